"""What edits and patching cost beside plain forwards of the same prompts: `python -m benchmarks.edit_cost`.

Word translation on one thread, in CPU seconds. *Patching*: a sweep over all layers at the last token and at the word to
translate, without and with all controls, over plain forwards of the same prompts (each prompt whole, batched). The
prompts that activations come from are run too and counted. *Generation*: the transformers model's own ``generate`` with
an edit at one layer on every token, over the same without. Prints a table and writes `edit_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import latentlang as ll
from benchmarks.lens_cost import machine
from latentlang.models import HookedLM

SOURCE, TARGET = "es-ru", "fr-ja"
NEW_TOKENS = 16


def seconds(run: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a run, after one that is not counted."""
    run()
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def patching(model: HookedLM, items: int, repeats: int) -> list[dict[str, Any]]:
    """A sweep over all layers, over plain forwards."""
    prompts = ll.task("translation", source="fr").prompts("ja", items=items)
    plain = seconds(lambda: model.activations(prompts, layers=[-1], share_prefix=False), repeats)
    rows = []
    for at in ("last", "object"):
        for controls in ((), tuple(ll.causal.CONTROLS)):

            def sweep(at: str = at, controls: tuple[str, ...] = controls) -> None:
                ll.patch(
                    model, source=SOURCE, target=TARGET, at=at, items=items, controls=controls, progress=False
                )

            cost = seconds(sweep, repeats)
            rows.append(
                {
                    "what": f"patching at {at}, {len(controls)} controls, {model.n_layers} layers",
                    "seconds": cost,
                    "over_plain": cost / plain,
                }
            )
    return rows


def generation(model: HookedLM, items: int, repeats: int) -> dict[str, Any]:
    """Generation with an edit, over generation without."""
    prompts = [str(prompt) for prompt in ll.task("translation", source="fr").prompts("ja", items=items)]
    ids = model.encode(prompts)
    width = max(map(len, ids))
    pad = model.tokenizer.pad_token_id or 0
    padded = torch.tensor([[pad] * (width - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])

    lm: Any = model.model

    def generate() -> None:
        lm.generate(
            padded,
            attention_mask=mask,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=pad,
            eos_token_id=None,
        )

    plain = seconds(generate, repeats)
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    with model.edited(ll.Edit.add(vector, strength=0.01, layers=model.n_layers // 2, positions="all")):
        edited = seconds(generate, repeats)
    return {
        "what": f"{NEW_TOKENS} new tokens, one edited layer",
        "seconds": edited,
        "over_plain": edited / plain,
    }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gemma3-270m")
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = ll.load(options.model)
    rows = [
        *patching(model, options.items, options.repeats),
        generation(model, options.items, options.repeats),
    ]
    print(pd.DataFrame(rows).round(2).to_string(index=False))
    record = {"model": options.model, "items": options.items, "machine": machine("cpu"), "rows": rows}
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
