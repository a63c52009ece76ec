"""The tables of docs/gemma.md from what `measure` saved: `python -m experiments.gemma3.tables FOLDER`.

One CSV file each in figures/gemma3-270m/; what FOLDER does not hold yet is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import latentlang as ll
from experiments.gemma3.measure import SEEDS, SOURCES, TASKS, TRAINED, TRAINING_SEEDS
from experiments.steps import saved, stacked, write_table
from latentlang.stats.crossed import crossed_mean
from latentlang.stats.intervals import bootstrap_means

FIGURES = Path(__file__).parents[2] / "figures" / "gemma3-270m"
PIVOT = "en"
# What is asked of the layers: right word minus wrong words, of English and of the prompt's own word.
CONTRASTS = {"pivot-null": ("pivot", "pivot_null"), "source-null": ("source", "source_null")}
MEASURES = ("retrieval_ab", "csls_ab", "cka", "centroid_distance")


def contrast(table: pd.DataFrame, right: str, wrong: str) -> pd.DataFrame:
    """Right minus wrong, a row for each layer and item, a column for each target language but English."""
    others = table[table["language"] != PIVOT]
    return _wide(others[others["curve"] == right]) - _wide(others[others["curve"] == wrong])


def _by_layer(values: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    return [(int(str(layer)), part) for layer, part in values.groupby(level="layer")]


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot(index=["layer", "item"], columns="language", values="value")


def lens_by_layer(folder: Path) -> pd.DataFrame:
    """Mean over items and target languages of English minus its null, and of the source word minus its own, by layer.

    The interval is over items and languages, both resampled.
    """
    rows = []
    for path, source, seed in saved(folder / "lens", SOURCES, SEEDS):
        table = ll.LensResult.load(path).table
        for name, (right, wrong) in CONTRASTS.items():
            for layer, values in _by_layer(contrast(table, right, wrong)):
                named = {"source": source, "seed": seed, "contrast": name, "layer": layer}
                rows.append(named | _crossed(values))
        for curve in ("target", "pivot", "source"):
            own = table[(table["curve"] == curve) & (table["language"] != PIVOT)]
            means = own.groupby(["layer", "language"])["value"].mean().groupby("layer").mean()
            named = {"source": source, "seed": seed, "contrast": curve}
            rows += [named | {"layer": layer, "mean": mean} for layer, mean in means.to_dict().items()]
    return pd.DataFrame(rows)


def lens_by_target(folder: Path, by_layer: pd.DataFrame) -> pd.DataFrame:
    """English minus its null for every target language, at the layer that the first seed chose for the source."""
    rows = []
    for path, source, seed in saved(folder / "lens", SOURCES, SEEDS):
        layer = chosen_layer(by_layer, source)
        result = ll.LensResult.load(path)
        table, accuracy = result.table, result.settings.accuracy
        for name, (right, wrong) in CONTRASTS.items():
            wide = contrast(table, right, wrong).xs(layer, level="layer")
            for language in wide.columns:
                values = wide[language].dropna().to_numpy(float)
                low, high = bootstrap_means(values[:, None], seed=0)
                rows.append({
                    "source": source, "target": language, "seed": seed, "layer": layer, "contrast": name,
                    "mean": values.mean(), "low": low[0], "high": high[0], "items": len(values),
                    "accuracy": accuracy[language],
                })  # fmt: skip
    return pd.DataFrame(rows)


def chosen_layer(by_layer: pd.DataFrame, source: str, contrast: str = "pivot-null") -> int:
    """Where the mean over languages is largest with the first seed; the other seeds are read at the same layer."""
    own = by_layer.query("source == @source and contrast == @contrast and seed == 0")
    return int(own["layer"].to_numpy()[own["mean"].to_numpy(float).argmax()])


def candidates(folder: Path) -> pd.DataFrame:
    """Which language leads, over all targets and for each, by the permutation test."""
    return stacked(
        ll.MultilingualLensResult.load(path)
        .pivot_test()
        .table.drop(columns=["task", "why"])
        .assign(source=source)
        for path, source in saved(folder / "candidates", SOURCES)
    )


def accuracy(folder: Path) -> pd.DataFrame:
    """Accuracy of each task and language, for each seed of the few-shot examples."""
    kept = ["task", "seed", "language", "n", "right", "accuracy", "low", "high", "chance", "unanswerable"]
    return stacked(
        ll.EvaluationResult.load(path).summary().assign(seed=seed)[kept]
        for path, _name, seed in saved(folder / "tasks", TASKS, SEEDS)
    )


def curves(folder: Path) -> pd.DataFrame:
    """English label minus the other English labels in the layers, by task."""
    rows = []
    for path, name in saved(folder / "curves", TASKS):
        for layer, values in _by_layer(contrast(ll.LensResult.load(path).table, *CONTRASTS["pivot-null"])):
            rows.append({"task": name, "layer": layer} | _crossed(values))
    return pd.DataFrame(rows)


def alignment(folder: Path) -> pd.DataFrame:
    """Means over pairs by layer: 20 languages among each other and with English, and all with English."""
    parts = []
    for path, name in saved(folder, ("alignment-20", "alignment-length", "alignment-100")):
        summary = ll.AlignmentResult.load(path).summary()
        parts.append(summary[summary["measure"].isin(MEASURES)].assign(run=name))
    return stacked(parts)


def alignment_by_language(folder: Path) -> pd.DataFrame:
    """Every language with English, by layer: retrieval and CSLS, with p over all languages and layers."""
    kept = [
        "language",
        "layer",
        "measure",
        "value",
        "low",
        "high",
        "null_mean",
        "p",
        "p_family",
        "partial",
        "n",
    ]
    parts = []
    for path, _name in saved(folder, ("alignment-100",)):
        result = ll.AlignmentResult.load(path)
        rows = pd.concat([result.rows(measure) for measure in ("retrieval_ab", "csls_ab")])
        first = rows["language_a"] == PIVOT
        rows["language"] = np.where(first, rows["language_b"], rows["language_a"])
        parts.append(rows[kept])
    return stacked(parts)


def fertility(folder: Path) -> pd.DataFrame:
    """Tokens for the same articles."""
    return stacked(ll.FertilityResult.load(path).summary() for path, _name in saved(folder, ("fertility",)))


def training(folder: Path) -> pd.DataFrame:
    """What question alignment and its controls changed."""
    return stacked(
        ll.ComparisonResult.load(path).table.assign(design=name, seed=seed)
        for path, name, seed in saved(folder / "compared", ("identity", *TRAINED), TRAINING_SEEDS)
    )


def _crossed(values: pd.DataFrame) -> dict[str, float]:
    """Mean over items and languages with its interval, of an item a row and a language a column."""
    mean = crossed_mean(values.to_numpy(float), seed=0)
    items, languages = values.shape
    return {
        "mean": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "items": items,
        "languages": languages,
    }


TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {
    "candidates": candidates, "accuracy": accuracy, "curves": curves, "alignment": alignment,
    "alignment-by-language": alignment_by_language, "fertility": fertility, "training": training,
}  # fmt: skip


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where `measure` saved its results")
    folder = parser.parse_args().folder
    by_layer = lens_by_layer(folder)
    write_table(FIGURES, "lens-by-layer", by_layer)
    write_table(FIGURES, "lens-by-target", lens_by_target(folder, by_layer))
    for name, table in TABLES.items():
        write_table(FIGURES, name, table(folder))


if __name__ == "__main__":
    main()
