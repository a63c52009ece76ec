"""The tables of docs/use.md from what `measure` saved: `python -m experiments.interventions.tables FOLDER`.

One CSV file each in figures/cause/; what FOLDER does not hold yet is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import latentlang as ll
from experiments.interventions.measure import (
    BARRIER_SOURCES,
    MODELS,
    PATCHED,
    PLACES,
    SEEDS,
    SOURCES,
    WANTED,
)
from experiments.steps import saved, stacked, tables_command
from latentlang.causal.pivot_use_verdict import POOLED
from latentlang.stats.crossed import FEWEST_LANGUAGES, crossed_mean

FIGURES = Path(__file__).parents[2] / "figures" / "cause"
# A concept is held against another concept, a language against the prompt as it is: as `PatchResult.describe` does.
CONTROL = {"source": "wrong-concept", "target": "unpatched"}


def pivot_use(folder: Path) -> pd.DataFrame:
    """The verdict on English for each model, source, seed and target language, and for all of them.

    ``beyond`` is the share that follows English less the share that follows the third language, at the verdict's
    layer, with its interval over items (for all languages over items and languages).
    """
    parts = []
    for model in MODELS:
        for path, source, seed in saved(folder / model / "pivot-use", SOURCES, SEEDS):
            result = ll.PivotUseResult.load(path)
            verdicts = result.verdict().assign(model=model, source=source, seed=seed)
            verdicts["asked"] = result.settings.items
            verdicts["accuracy"] = verdicts["language"].map(result.settings.accuracy)
            beyond = [
                _beyond(result, *row) for row in zip(verdicts["language"], verdicts["layer"], strict=True)
            ]
            parts.append(verdicts.join(pd.DataFrame(beyond, index=verdicts.index)))
    return stacked(parts)


def _beyond(result: ll.PivotUseResult, language: str, layer: int) -> dict[str, float]:
    rows = result.table[result.table["layer"] == layer]
    if language != POOLED:
        rows = rows[rows["language"] == language]
    if not len(rows):
        return {}
    by_arm = [
        rows[rows["arm"] == arm].pivot(index="item", columns="language", values="follows").astype(float)
        for arm in ("pivot", "third")
    ]
    mean = crossed_mean((by_arm[0] - by_arm[1]).to_numpy(), seed=0)
    wide = by_arm[0].shape[1] >= FEWEST_LANGUAGES
    low, high = (mean.low, mean.high) if wide else (mean.low_items, mean.high_items)
    return {"beyond": mean.mean, "beyond_low": low, "beyond_high": high}


def patching(folder: Path) -> pd.DataFrame:
    """Each word's probability at the layer where the first seed has it highest, and what is beyond the control there.

    ``more`` is patched minus `CONTROL` with its interval over items, and ``p`` its probability by exchange over all
    layers; ``first, last`` are the first and the last layer where the difference is beyond chance.
    """
    chosen: dict[tuple[Any, ...], int] = {}
    rows = []
    for model in MODELS:
        for seed in SEEDS:
            names = [(pair[0], pair[1], at) for pair in PATCHED for at in PLACES]
            for source, target, at in names:
                for path, *_names in saved(folder / model / "patching", [source], [target], [at], [seed]):
                    result = ll.PatchResult.load(path)
                    named = {"model": model, "source": source, "target": target, "at": at, "seed": seed}
                    for row in _words(result):
                        key = (model, source, target, at, row["concept"], row["language"])
                        layer = chosen.setdefault(key, int(row["curve"].idxmax()))
                        rows.append(named | _at(row, layer))
    return pd.DataFrame(rows)


def _words(result: ll.PatchResult) -> list[dict[str, Any]]:
    """For each word that is read: its curve over layers and the contrast with its control."""
    summary = result.summary()
    patched = summary[summary["arm"] == "patched"]
    contrasts = {concept: result.contrast(control) for concept, control in CONTROL.items()}
    words = []
    for (concept, language), part in patched.groupby(["concept", "language"], sort=False, observed=True):
        more = contrasts[str(concept)].query("concept == @concept and language == @language")
        words.append({
            "concept": concept, "language": language, "curve": part.set_index("layer")["mean"],
            "own": part.set_index("layer"), "more": more.set_index("layer"),
        })  # fmt: skip
    return words


def _at(word: dict[str, Any], layer: int) -> dict[str, Any]:
    """The row of a word at a layer."""
    own, more = word["own"].loc[layer], word["more"].loc[layer]
    beyond = word["more"].query("p <= 0.05 and mean >= 0.02").index
    return {
        "concept": word["concept"], "language": word["language"], "layer": layer,
        "mean": own["mean"], "low": own["low"], "high": own["high"], "n": int(own["n"]),
        "more": more["mean"], "more_low": more["low"], "more_high": more["high"], "p": more["p"],
        "first": int(beyond.min()) if len(beyond) else 0, "last": int(beyond.max()) if len(beyond) else 0,
    }  # fmt: skip


def barrier(folder: Path) -> pd.DataFrame:
    """Wrong answers whose right answer was readable inside, for each model, source, seed and language."""
    return stacked(
        [
            ll.BarrierResult.load(path).summary().assign(model=model, source=source, seed=seed)
            for model in MODELS
            for path, source, seed in saved(folder / model / "barrier", BARRIER_SOURCES, SEEDS)
        ]
    )


def steering(folder: Path) -> pd.DataFrame:
    """Each arm on the items that nothing was chosen on, with the verdict and steered minus the arm."""
    parts = []
    for model in MODELS:
        for path, wanted, seed in saved(folder / model / "steering", WANTED, SEEDS):
            result = ll.SteerResult.load(path)
            (verdict,) = result.verdict().to_dict("records")
            named = {key: verdict[key] for key in ("verdict", "reason")}
            more = result.contrast().set_index("arm")[["mean", "low", "high", "p"]].add_prefix("more_")
            rows = result.summary().join(more, on="arm")
            parts.append(rows.assign(model=model, wanted=wanted, seed=seed, **named))
    return stacked(parts)


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "pivot-use": pivot_use, "patching": patching, "barrier": barrier, "steering": steering,
}  # fmt: skip


if __name__ == "__main__":
    tables_command(__doc__, TABLES, FIGURES)
