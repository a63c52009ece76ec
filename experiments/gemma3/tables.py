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
    for path, source, seed in _lenses(folder):
        table = ll.LensResult.load(path).table
        for name, (right, wrong) in CONTRASTS.items():
            for layer, values in _by_layer(contrast(table, right, wrong)):
                mean = crossed_mean(values.to_numpy(float), seed=0)
                rows.append({
                    "source": source, "seed": seed, "contrast": name, "layer": layer, "mean": mean.mean,
                    "low": mean.low, "high": mean.high, "items": len(values), "languages": values.shape[1],
                })  # fmt: skip
        for curve in ("target", "pivot", "source"):
            own = table[(table["curve"] == curve) & (table["language"] != PIVOT)]
            means = own.groupby(["layer", "language"])["value"].mean().groupby("layer").mean()
            named = {"source": source, "seed": seed, "contrast": curve}
            rows += [named | {"layer": layer, "mean": mean} for layer, mean in means.to_dict().items()]
    return pd.DataFrame(rows)


def lens_by_target(folder: Path, by_layer: pd.DataFrame) -> pd.DataFrame:
    """English minus its null for every target language, at the layer that the first seed chose for the source."""
    rows = []
    for path, source, seed in _lenses(folder):
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
    parts = []
    for source in SOURCES:
        if (folder / "candidates" / source / "metadata.json").exists():
            result = ll.MultilingualLensResult.load(folder / "candidates" / source)
            parts.append(result.pivot_test().table.assign(source=source))
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts, ignore_index=True).drop(columns=["task", "why"])


def accuracy(folder: Path) -> pd.DataFrame:
    """Accuracy of each task and language, pooled over the seeds of the few-shot examples, and its spread over them."""
    parts = []
    for name in TASKS:
        for seed in SEEDS:
            path = folder / "tasks" / f"{name}-{seed}"
            if (path / "metadata.json").exists():
                parts.append(ll.EvaluationResult.load(path).summary().assign(seed=seed))
    if not parts:
        return pd.DataFrame()
    kept = [
        "task",
        "seed",
        "language",
        "n",
        "right",
        "accuracy",
        "low",
        "high",
        "chance",
        "unanswerable",
    ]
    return pd.concat(parts, ignore_index=True)[kept]


def curves(folder: Path) -> pd.DataFrame:
    """English label minus the other English labels in the layers, by task."""
    rows = []
    for name in TASKS:
        path = folder / "curves" / name
        if (path / "metadata.json").exists():
            table = ll.LensResult.load(path).table
            for layer, values in _by_layer(contrast(table, *CONTRASTS["pivot-null"])):
                mean = crossed_mean(values.to_numpy(float), seed=0)
                rows.append({
                    "task": name, "layer": layer, "mean": mean.mean, "low": mean.low, "high": mean.high,
                    "items": len(values), "languages": values.shape[1],
                })  # fmt: skip
    return pd.DataFrame(rows)


def alignment(folder: Path) -> pd.DataFrame:
    """Means over pairs by layer: 20 languages among each other and with English, and all with English."""
    parts = []
    for name in ("alignment-20", "alignment-length", "alignment-100"):
        if (folder / name / "metadata.json").exists():
            summary = ll.AlignmentResult.load(folder / name).summary()
            parts.append(summary[summary["measure"].isin(MEASURES)].assign(run=name))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def alignment_by_language(folder: Path) -> pd.DataFrame:
    """Every language with English, by layer: retrieval and CSLS, with p over all languages and layers."""
    if not (folder / "alignment-100" / "metadata.json").exists():
        return pd.DataFrame()
    result = ll.AlignmentResult.load(folder / "alignment-100")
    rows = pd.concat([result.rows(measure) for measure in ("retrieval_ab", "csls_ab")])
    first = rows["language_a"] == PIVOT
    rows["language"] = np.where(first, rows["language_b"], rows["language_a"])
    return rows[
        ["language", "layer", "measure", "value", "low", "high", "null_mean", "p", "p_family", "partial", "n"]
    ]


def fertility(folder: Path) -> pd.DataFrame:
    """Tokens for the same articles."""
    if not (folder / "fertility" / "metadata.json").exists():
        return pd.DataFrame()
    return ll.FertilityResult.load(folder / "fertility").summary()


def training(folder: Path) -> pd.DataFrame:
    """What question alignment and its controls changed."""
    parts = []
    for name in ("identity", *TRAINED):
        for seed in TRAINING_SEEDS:
            path = folder / "compared" / f"{name}-{seed}"
            if (path / "metadata.json").exists():
                parts.append(ll.ComparisonResult.load(path).table.assign(design=name, seed=seed))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _lenses(folder: Path) -> list[tuple[Path, str, int]]:
    paths = [(folder / "lens" / f"{source}-{seed}", source, seed) for source in SOURCES for seed in SEEDS]
    return [entry for entry in paths if (entry[0] / "metadata.json").exists()]


def write(table: pd.DataFrame, name: str) -> None:
    """Save a table with four digits, unless there is nothing in it."""
    if len(table):
        FIGURES.mkdir(parents=True, exist_ok=True)
        table.to_csv(FIGURES / f"{name}.csv", index=False, float_format="%.4g")


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
    write(by_layer, "lens-by-layer")
    write(lens_by_target(folder, by_layer), "lens-by-target")
    for name, table in TABLES.items():
        write(table(folder), name)


if __name__ == "__main__":
    main()
