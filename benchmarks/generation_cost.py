"""What writing costs beside transformers' own `generate` on the same batch: `python -m benchmarks.generation_cost`.

Prompts of several lengths in several languages, a fixed number of new tokens each (the end is held back), on one
thread, in CPU seconds, the two taking turns; medians. `generate` gets the prompts filled up on the left with their
mask, as one would give them. Greedy and beams write the same tokens (checked); draws are each side's own. The
log-probability of what is written and its text come with ours. Prints a table and writes `generation_cost.json`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import latentlang as ll
from benchmarks.lens_cost import machine, take_turns
from latentlang.generation import Decoding, generate
from latentlang.models import HookedLM

PROMPTS = (
    "The capital of France is", "La capitale de la France est une ville", "Die Hauptstadt von Deutschland heißt",
    "日本の首都は", "Once upon a time there was a small dog that", "El perro y el gato viven en", "Столица России",
    "In the morning she drank a cup of tea and read",
)  # fmt: skip


def cases(new: int) -> dict[str, tuple[Decoding, dict[str, Any]]]:
    """How texts are written, ours and theirs."""
    held: dict[str, Any] = {"new_tokens": new, "min_new_tokens": new}
    return {
        "greedy": (Decoding(**held), {}),
        "draws, top-p 0.9": (
            Decoding(how="sample", top_p=0.9, temperature=0.8, **held),
            {"do_sample": True, "top_p": 0.9, "temperature": 0.8, "top_k": None},
        ),
        "4 beams": (Decoding(how="beam", beams=4, **held), {"num_beams": 4}),
    }


def theirs(model: HookedLM, prompts: list[list[int]], new: int, options: dict[str, Any]) -> list[list[int]]:
    """What transformers writes."""
    width = max(map(len, prompts))
    pad = model.tokenizer.pad_token_id or 0
    padded = torch.tensor([[pad] * (width - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in prompts])
    lm: Any = model.model
    written = lm.generate(
        padded,
        attention_mask=mask,
        max_new_tokens=new,
        min_new_tokens=new,
        pad_token_id=pad,
        **{"do_sample": False, **options},
    )
    rows: list[list[int]] = written[:, width:].tolist()
    return rows


def measured(model: HookedLM, new: int, repeats: int) -> list[dict[str, Any]]:
    """A row for each way of writing, of prompts of several lengths and of one."""
    encoded = model.encode(PROMPTS)
    shortest = min(map(len, encoded))
    rows = []
    for lengths, prompts in (
        ("several lengths", encoded),
        ("one length", [row[:shortest] for row in encoded]),
    ):
        for way, (decoding, options) in cases(new).items():
            ours = [list(texts[0].tokens) for texts in generate(model, prompts, decoding)]
            same = ours == theirs(model, prompts, new, options)
            if decoding.how != "sample" and not same:
                raise SystemExit(f"{way}, {lengths}: other tokens than generate writes")

            def run_ours(prompts: list[list[int]] = prompts, decoding: Decoding = decoding) -> None:
                generate(model, prompts, decoding)

            def run_theirs(prompts: list[list[int]] = prompts, options: dict[str, Any] = options) -> None:
                theirs(model, prompts, new, options)

            spent = take_turns({"ours": run_ours, "theirs": run_theirs}, rounds=repeats, device="cpu")
            times = {name: statistics.median(each) for name, each in spent.items()}
            rows.append({"what": f"{way}, {lengths}", **times, "ratio": times["ours"] / times["theirs"]})
    return rows


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in options.model or ["pocket", "gemma3-270m"]:
        model = ll.load(name)
        rows += [{"model": name, **row} for row in measured(model, options.new_tokens, options.repeats)]
    print(pd.DataFrame(rows).round(3).to_string(index=False))
    record = {
        "prompts": len(PROMPTS),
        "new_tokens": options.new_tokens,
        "machine": machine("cpu"),
        "rows": rows,
    }
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
