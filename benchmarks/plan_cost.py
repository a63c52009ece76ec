"""The costs behind `latentlang plan`, and how far its times are off: `python -m benchmarks.plan_cost`.

On one thread, in CPU seconds of the round that other processes disturbed least: random models of small shapes, prompts
of random tokens. The costs are fitted on one set of runs (harvest, lens, evaluation, of the shapes and lengths in
`FITTED`), and the times of other shapes and lengths (`CHECKED`) are foretold from them and measured. Writes
`latentlang/sizing/costs.json` and `plan_cost.json`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import MistralConfig

from benchmarks.harvest_cost import with_questions
from benchmarks.lens_cost import build, machine, random_prompts
from latentlang.activations import harvest
from latentlang.models import HookedLM, TokenSets, read_out
from latentlang.models.shapes import DecoderShape

COSTS = Path(__file__).parents[1] / "latentlang" / "sizing" / "costs.json"
_POOLS = ("mean", "last")
#: Layers, width, heads, width within an MLP, vocabulary; prompts; tokens of each.
FITTED = (
    ((2, 64, 4, 128, 500), 400, 20), ((8, 512, 8, 1536, 8000), 12, 100), ((8, 512, 8, 1536, 32000), 16, 30),
    ((12, 768, 12, 2304, 16000), 8, 100),
)  # fmt: skip
CHECKED = (
    ((6, 640, 8, 2048, 24000), 12, 130), ((16, 512, 8, 1792, 32000), 10, 60), ((10, 896, 14, 2432, 40000), 6, 90),
    ((24, 384, 6, 1024, 16000), 16, 80),
)  # fmt: skip


def shape_of(numbers: tuple[int, ...]) -> DecoderShape:
    """The shape of a row of `FITTED`."""
    layers, width, heads, inner, vocabulary = numbers
    return DecoderShape(
        layers, width, heads, heads, width // heads, inner, vocabulary, tied=False, gated=True
    )


def operations(shape: DecoderShape, prompts: list[list[int]], part: str) -> tuple[float, float]:
    """Floating point operations in the blocks and in the head, as `plan` counts them."""
    tokens = sum(map(len, prompts))
    mean = tokens / len(prompts)
    forward = tokens * (2 * shape.body + 2 * shape.layers * shape.heads * shape.head_dim * mean)
    rows = {"harvest": 0, "lens": shape.layers + 1, "evaluate": 1}[part]
    return forward, 2.0 * shape.head * rows * len(prompts)


def measured(
    numbers: tuple[int, ...], count: int, length: int, *, rounds: int, folder: Path
) -> list[dict[str, Any]]:
    """CPU seconds of each part on a random model of a shape, of the least disturbed round; a row a part."""
    shape = shape_of(numbers)
    layers, width, heads, inner, vocabulary = numbers
    config = MistralConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, sliding_window=None,
    )  # fmt: skip
    lm = HookedLM(build(config, "cpu"), name="random")
    prompts = random_prompts(count, length, 0.0, vocabulary)
    sets = TokenSets([np.unique(np.random.default_rng(s).integers(0, vocabulary, 8)) for s in range(40)])
    questions = with_questions(prompts, 0)

    def run(part: str, number: int) -> None:
        if part == "harvest":
            harvest(
                lm,
                questions,
                out=folder / f"{layers}-{width}-{length}-{number}",
                pools=_POOLS,
                progress=False,
            )
            return
        kept = "all" if part == "lens" else [layers]
        for reading in lm.iter_activations(prompts, layers=kept, share_prefix=False):
            read_out(lm, reading.resid, sets, top=0, logits=reading.logits)

    rows = []
    for part in ("harvest", "lens", "evaluate"):
        times = []
        for number in range(rounds + 1):
            gc.collect()
            start = time.process_time()
            run(part, number)
            times.append(time.process_time() - start)
        forward, head = operations(shape, prompts, part)
        written = count * (layers + 1) * len(_POOLS) * width * 4 if part == "harvest" else 0
        rows.append(
            {
                "shape": list(numbers), "prompts": count, "tokens": length, "part": part, "forward": forward,
                "head": head, "bytes": written, "seconds": min(times[1:]),
            }
        )  # fmt: skip
        print(
            {name: rows[-1][name] for name in ("shape", "prompts", "tokens", "part", "seconds")}, flush=True
        )
    return rows


def fitted(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Costs that tell the times of rows best, each row's error relative to its time; none is negative."""
    from scipy.optimize import nnls

    terms = np.array(
        [[row["forward"], row["head"], row["prompts"], row["bytes"]] for row in rows], dtype=float
    )
    seconds = np.array([row["seconds"] for row in rows])
    scale = terms.max(axis=0)
    found, _ = nnls(terms / seconds[:, None] / scale, np.ones(len(rows)))
    forward, head, prompt, byte = found / scale
    return {
        "forward": float(1 / forward), "head": float(1 / head), "per_prompt": float(prompt),
        "writing": float(1 / max(byte, 1e-12)),
    }  # fmt: skip


def foretold(row: dict[str, Any], costs: dict[str, Any]) -> float:
    """Seconds of a row by the costs."""
    return float(
        row["forward"] / costs["forward"]
        + row["head"] / costs["head"]
        + row["prompts"] * costs["per_prompt"]
        + row["bytes"] / costs["writing"]
    )


def per_language(rounds: int) -> float:
    """CPU seconds that a further language adds to an evaluation, beside its prompts: its words among the tokens."""
    import latentlang as ll

    model = ll.load("pocket", device="cpu")
    task = ll.task("sentiment")

    def run(codes: str) -> float:
        times = []
        for _ in range(rounds + 1):
            start = time.process_time()
            ll.evaluate(model, task, languages=codes, items=2, shots=0, progress=False)
            times.append(time.process_time() - start)
        return statistics.median(times[1:])

    return max(0.0, (run("ja,de,fr,es,ru,zh") - run("ja")) / 5)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--costs", type=Path, default=COSTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        every = [
            [row for case in cases for row in measured(*case, rounds=options.rounds, folder=Path(name))]
            for cases in (FITTED, CHECKED)
        ]
    costs: dict[str, Any] = {"machine": machine("cpu"), **fitted(every[0])}
    costs["per_language"] = per_language(options.rounds)
    for rows in every:
        for row in rows:
            row["foretold"] = foretold(row, costs)
            row["off"] = row["foretold"] / row["seconds"] - 1
    worst = max(abs(row["off"]) for row in every[1])
    print(costs)
    for row in every[1]:
        print(
            f"{row['shape']} {row['part']}: {row['seconds']:.3f} s, foretold {row['foretold']:.3f}, {row['off']:+.0%}"
        )
    record = {
        "machine": machine("cpu"), "load": round(os.getloadavg()[1], 1), "rounds": options.rounds, "fitted": every[0],
        "checked": every[1], "worst": worst,
    }  # fmt: skip
    options.costs.write_text(json.dumps(costs, indent=1) + "\n")
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
