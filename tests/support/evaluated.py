"""A synthetic evaluation: the shape of a real one, with as many right answers as asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from latentlang.evaluation import EvaluationResult
from latentlang.provenance import Provenance
from latentlang.tasks.labels import KINDS


def evaluated(
    right: Mapping[str, Mapping[str, Sequence[bool]]],
    *,
    tasks: Sequence[str] = ("sentiment",),
    seen_languages: Sequence[str] = (),
    lost: Sequence[str] = (),
    model: str = "pocket",
    adapter: str | None = "my-lora",
    score: str = "first-tokens",
    shots: int = 2,
    settings: Mapping[str, Any] | None = None,
) -> EvaluationResult:
    """An evaluation in which the n-th item of a language is right or wrong as said.

    Args:
        right: state to language to one value per item; the same for all tasks.
        tasks: names of closed tasks.
        seen_languages: codes of languages seen in training.
        lost: codes of languages whose first label cannot be chosen.
        model: name in the provenance, as are adapter and further settings.
    """
    rows = []
    for task in tasks:
        labels = KINDS[task].labels
        for state, by_language in right.items():
            for code, values in by_language.items():
                for n, hit in enumerate(values):
                    place = n % len(labels)
                    chosen = place if hit else (place + 1) % len(labels)
                    scores = np.full(len(labels), -4.0)
                    scores[chosen] = -0.5
                    answerable = True
                    if code in lost:
                        scores[0], answerable = -np.inf, place != 0
                    rows.append({
                        "task": task, "state": state, "language": code, "item": f"{n:03}", "label": labels[place],
                        "predicted": labels[chosen], "right": bool(hit), "answerable": answerable,
                        "confidence": 0.9 if hit else 0.6, "mass": 0.7, "shared": 0.1,
                        **{f"score_{label}": float(value) for label, value in zip(labels, scores, strict=True)},
                    })  # fmt: skip
    states = list(right)
    codes = tuple(right[states[0]])
    own = {"answers": "same", "protocol": "corrected", "shots": shots, "items": 0}
    made = Provenance(
        model=model, task=",".join(tasks), languages=codes, adapter=adapter if "tuned" in right else None, policy="",
        settings={
            "score": score, "states": states, "seen": list(seen_languages),
            "tasks": {name: {**own, "labels": list(KINDS[name].labels), "notes": {}} for name in tasks},
            **(settings or {}),
        },
    )  # fmt: skip
    return EvaluationResult(table=pd.DataFrame(rows), provenance=made)


def pattern(both: int, gained: int, lost: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Right before, and right after, of so many items of each kind."""
    before = [True] * both + [False] * gained + [True] * lost + [False] * neither
    after = [True] * both + [True] * gained + [False] * lost + [False] * neither
    return before, after


def before_and_after(cells: Mapping[str, tuple[int, int, int, int]], **options: Any) -> EvaluationResult:
    """An evaluation of both states from counts per language: right both times, gained, lost, wrong both times."""
    patterns = {code: pattern(*counts) for code, counts in cells.items()}
    return evaluated(
        {
            "base": {code: before for code, (before, _) in patterns.items()},
            "tuned": {code: after for code, (_, after) in patterns.items()},
        },
        **options,
    )
