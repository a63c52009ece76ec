"""Whole calls beside `latentlang plan`: `python -m benchmarks.plan_calls MODEL --items 4 12 36`.

`benchmarks.plan_cost` holds the plan against readings of random prompts. Here a model harvests, is evaluated and is
read by the lens as a user asks for it, two languages of a task, on one thread, in CPU seconds of the better of two
rounds; the plan gets the prompts' own mean length and the share of it that a language's prompts have in common. The
model is loaded before. Writes plan_calls.json, a row a call; rows of other models stay.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

import latentlang as ll
from latentlang.models import HookedLM

OUT = Path(__file__).with_name("plan_calls.json")
LANGUAGES = ("ja", "de")
_ROUNDS = 2
_MOST_SHARED = 0.99


def called(model: HookedLM, items: int) -> dict[str, tuple[str, Callable[[Path], object]]]:
    """Part of a plan to the task that is asked, and the call, which may write into a folder."""
    asked: dict[str, Any] = {"languages": LANGUAGES, "items": items, "progress": False}
    return {
        "harvest": (
            "sentiment",
            lambda folder: ll.harvest(model, "sentiment", out=folder / "store", **asked),
        ),
        "evaluate": ("sentiment", lambda _: ll.evaluate(model, "sentiment", **asked)),
        "lens": ("translation", lambda _: ll.logit_lens(model, "translation", **asked)),
    }


def lengths(model: HookedLM, task: str, items: int) -> tuple[int, float, float]:
    """How many prompts, their mean length, and the share of tokens that a language's prompts begin with alike."""
    tokens, shared, count = 0, 0, 0
    for code in LANGUAGES:
        ids = [found.ids for found in model.tokenize(ll.task(task).prompts(code, items=items))]
        alike = len(list(takewhile(lambda place: len(set(place)) == 1, zip(*ids, strict=False))))
        tokens, shared, count = tokens + sum(map(len, ids)), shared + alike * len(ids), count + len(ids)
    return count, tokens / count, min(_MOST_SHARED, shared / tokens)


def measured(model: HookedLM, items: int) -> list[dict[str, Any]]:
    """A row a part."""
    rows = []
    for part, (task, run) in called(model, items).items():
        times = []
        for _ in range(_ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                run(Path(folder))
                times.append(time.process_time() - start)
        count, mean, shared = lengths(model, task, items)
        planned = ll.plan(
            model.name,
            languages=len(LANGUAGES),
            prompts=count,
            tokens=mean,
            shared=shared,
            parts=part,
            on="cpu",
        )
        rows.append(
            {
                "model": model.name, "part": part, "prompts": count, "tokens": round(mean), "shared": round(shared, 2),
                "seconds": round(min(times), 2), "foretold": round(planned.hours * 3600, 2),
            }
        )  # fmt: skip
    return rows


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--items", type=int, nargs="+", default=(4, 12, 36))
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = ll.load(options.model)
    measured(model, min(options.items))  # what is found out at the first call
    rows = [row for items in options.items for row in measured(model, items)]
    before = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else []
    kept = [row for row in before if row["model"] != model.name]
    OUT.write_text(json.dumps([*kept, *rows], indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    main()
