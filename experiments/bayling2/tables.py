"""Tables of what was run: `python -m experiments.bayling2.tables CACHE OUT LAYERS`.

CACHE and OUT are the folders of ``latentlang reproduce bayling2 --data DATA --cache CACHE --out OUT``, LAYERS that of
`layers`. DATA holds what BayLing's authors published (github ictnlp/BayLing, exp/translation_benchmark, GPL-3.0;
nothing of it is here). One CSV file each in figures/bayling2:

- ``bleu``: the 60 cells of BLEU in the paper's Table 2 whose translations are public, beside what they come to here;
- ``off_target``: which language these translations are in; ``against_gpt4``: systems against each other;
- ``changes``: means over languages of printed tables, the tuned model less its base (Figures 6 to 9);
- ``arms``: held-out answers of the arms of fig10.yaml;
- ``lens``, ``pivots`` and ``alignment``: what the layers show of these arms.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import latentlang as ll
from experiments.bayling2.layers import BEFORE, CONTROLS, LANGUAGES, PIVOTS, run_name
from experiments.steps import is_saved, stacked, write_table
from latentlang.geometry import AlignmentResult
from latentlang.language_id import py3langid_backend
from latentlang.lens import MultilingualLensResult
from latentlang.reproduction.kinds.scores import ScoresExperiment
from latentlang.reproduction.kinds.training_arms import TrainingArmsExperiment
from latentlang.stats.intervals import bootstrap_means
from latentlang.translation import TranslationScores

FIGURES = Path(__file__).parents[2] / "figures" / "bayling2"
#: A cell this near is the same: digits are cut, and sacreBLEU's versions differ.
NEAR = 0.065
# What is left of sums that are zero is no number.
_DECIMALS = 6
_CHANGES = ("fig6", "fig7", "fig8", "fig9")
_SUITE = ll.reproduction.load_suite("bayling2")


def _scores() -> ScoresExperiment:
    experiment = _SUITE.experiments["table2"]
    assert isinstance(experiment, ScoresExperiment)
    return experiment


def _arms() -> TrainingArmsExperiment:
    experiment = _SUITE.experiments["fig10"]
    assert isinstance(experiment, TrainingArmsExperiment)
    return experiment


def results(cache: Path) -> Iterator[TranslationScores]:
    """The directions that are there, in the paper's order."""
    there = [TranslationScores.load(path) for path in sorted(cache.glob("scores/*")) if is_saved(path)]
    for direction in _scores().directions:
        yield from [result for result in there if result.directions == (direction,)][-1:]


def _printed_bleu() -> pd.DataFrame:
    """``system, direction, published`` of the systems whose translations are public."""
    experiment, cells = _scores(), _SUITE.printed["table2"]
    return pd.DataFrame(
        [
            {
                "system": system, "direction": direction,
                "published": float(cells[row, experiment.file(experiment.column, direction)]),
            }
            for row, system in experiment.systems.items()
            for direction in experiment.directions
        ]
    )  # fmt: skip


def bleu(cache: Path) -> pd.DataFrame:
    """BLEU as published and as computed here, beside the nulls."""
    computed = stacked(result.table[result.table["metric"] == "bleu"] for result in results(cache))
    if computed.empty:
        return computed
    rows = _printed_bleu().merge(computed, on=["system", "direction"]).rename(columns={"value": "computed"})
    rows["difference"] = rows["computed"] - rows["published"]
    rows["same"] = rows["difference"].abs() <= NEAR
    kept = [
        "system", "direction", "published", "computed", "difference", "same", "low", "high", "null_source",
        "null_other", "n", "signature",
    ]  # fmt: skip
    return rows[kept].round(3)


def off_target(cache: Path) -> pd.DataFrame:
    """Share of translations in another language, in percent: of those that could be told, and by the likeliest alone.

    The likeliest of the eight languages in question is taken whatever a text's length or script (``likeliest``);
    ``reference`` is a system too.
    """
    backend, among = py3langid_backend(), _scores().among
    rows = []
    for result in results(cache):
        right = result.items[result.items["system"] == result.systems[0]]
        texts = {"reference": right["reference"].tolist()} | {
            str(system): part["hypothesis"].tolist()
            for system, part in result.items.groupby("system", sort=False, observed=True)
        }
        scores = result.table.pivot(
            index="system", columns="metric", values=["value", "low", "high", "null_other"]
        ).astype(float)
        target = str(result.table["target"].iloc[0])
        for system, given in texts.items():
            likely = [backend.probabilities(text, among) for text in given]
            labels = [max(each, key=lambda code: each[code]) for each in likely]
            counts = pd.Series(labels).value_counts()
            row: dict[str, object] = {
                "system": system, "direction": result.directions[0], "n": len(given),
                "likeliest": 100 * sum(label != target for label in labels) / len(labels),
                "languages": " ".join(f"{code}:{count}" for code, count in counts.head(4).items()),
            }  # fmt: skip
            if system != "reference":
                row |= {
                    "off_target": 100 * scores["value", "off-target"][system],
                    "low": 100 * scores["low", "off-target"][system],
                    "high": 100 * scores["high", "off-target"][system],
                    "undecided": 100 * scores["value", "undecided"][system],
                }
            else:
                row["off_target"] = 100 * scores["null_other", "off-target"].iloc[0]
            rows.append(row)
    return pd.DataFrame(rows)


def against_gpt4(cache: Path) -> pd.DataFrame:
    """The other systems against GPT-4 in BLEU and chrF++, paired over items, Holm over directions and systems."""
    there = list(results(cache))
    if not there:
        return pd.DataFrame()
    return ll.join_scores(*there).comparisons("gpt-4", metrics=("bleu", "chrf++"))


def changes(out: Path) -> pd.DataFrame:
    """Means over languages (or benchmarks), the tuned model less its base, from printed tables."""
    parts = []
    for name in _CHANGES:
        if (path := out / f"{name}.csv").exists():
            table = pd.read_csv(path)
            table.insert(0, "figure", name)
            parts.append(table[["figure", "row", "column", "computed", "low", "high", "n", "unit"]])
    return stacked(parts)


def arms(out: Path) -> pd.DataFrame:
    """Held-out answers before and after each arm."""
    path = out / "fig10.csv"
    if not path.exists():
        return pd.DataFrame()
    return pd.read_csv(path)[["row", "column", "computed", "low", "high", "n", "unit"]]


def _runs(layers: Path, measure: str) -> dict[str, list[Path]]:
    """Name of each arm that is measured to the folders of its seeds."""
    experiment = _arms()
    seeds = {BEFORE: (0,)} | dict.fromkeys(experiment.arms, experiment.seeds)
    found = {
        arm: [layers / measure / run_name(arm, seed) for seed in of_arm] for arm, of_arm in seeds.items()
    }
    return {
        arm: there for arm, paths in found.items() if (there := [path for path in paths if is_saved(path)])
    }


def lens(layers: Path) -> pd.DataFrame:
    """Right words less wrong ones of each language at every layer, means over items and target languages."""
    by_arm = {
        arm: sum((_lens_scores(path) for path in paths[1:]), start=_lens_scores(paths[0])) / len(paths)
        for arm, paths in _runs(layers, "lens").items()
    }
    keys = [(code, layer) for code, layer in _columns(by_arm) if code in (*PIVOTS, *CONTROLS)]
    return against_before(by_arm, keys, ("words_in", "layer"), "items", layers, "lens")


def _lens_scores(path: Path) -> pd.DataFrame:
    """``[item, (language of the words, layer)]``."""
    table = MultilingualLensResult.load(path).table
    keys = ["item", "answer_language", "layer", "language"]
    curves = [
        table[table["curve"] == curve].groupby(keys, observed=True)["value"].mean()
        for curve in ("answer", "null")
    ]
    scores = (curves[0] - curves[1]).groupby(keys[:3], observed=True).mean()
    return scores.unstack(["answer_language", "layer"])


def pivots(layers: Path) -> pd.DataFrame:
    """Which language leads, over all target languages, with the permutation test; a row an arm and seed."""
    rows = []
    for arm, paths in _runs(layers, "lens").items():
        for path in paths:
            found = MultilingualLensResult.load(path).glance()
            row = found[found["language"] == "all"].iloc[0].to_dict()
            rows.append({"arm": arm, "seed": int(path.name.rpartition("-")[2]), **row})
    return pd.DataFrame(rows).drop(columns="language", errors="ignore")


def alignment(layers: Path) -> pd.DataFrame:
    """How well words find their translations in each pivot, at every layer; means over the seven languages."""
    by_arm, chance = {}, {}
    for arm, paths in _runs(layers, "alignment").items():
        values = [_retrieval(path, "value") for path in paths]
        by_arm[arm] = sum(values[1:], start=values[0]) / len(values)
        nulls = [_retrieval(path, "null_mean") for path in paths]
        chance[arm] = sum(nulls[1:], start=nulls[0]) / len(nulls)
    table = against_before(by_arm, _columns(by_arm), ("pivot", "layer"), "languages", layers, "alignment")
    if len(table):
        table["null"] = [
            float(chance[row["arm"]][row["pivot"], row["layer"]].mean()) for row in table.to_dict("records")
        ]
    return table


def _retrieval(path: Path, column: str) -> pd.DataFrame:
    """``[language, (pivot, layer)]``: how often a word finds its translation in the pivot."""
    result = AlignmentResult.load(path)
    parts = []
    for measure, language, pivot in (
        ("retrieval_ab", "language_a", "language_b"), ("retrieval_ba", "language_b", "language_a"),
    ):  # fmt: skip
        table = result.rows(measure)
        names = {language: "language", pivot: "pivot", column: "value"}
        parts.append(table[[*names, "layer"]].rename(columns=names).astype({"language": str, "pivot": str}))
    both = pd.concat(parts)
    kept = both[both["language"].isin(LANGUAGES) & both["pivot"].isin(PIVOTS)]
    return kept.set_index(["language", "pivot", "layer"])["value"].unstack(["pivot", "layer"])


def _columns(by_arm: Mapping[str, pd.DataFrame]) -> list[tuple[str, int]]:
    columns = by_arm[BEFORE].columns if BEFORE in by_arm else pd.MultiIndex.from_arrays([[], []])
    return sorted(zip(columns.get_level_values(0), columns.get_level_values(1), strict=True))


def against_before(
    by_arm: Mapping[str, pd.DataFrame],
    keys: Sequence[tuple[str, int]],
    names: tuple[str, str],
    unit: str,
    layers: Path,
    measure: str,
) -> pd.DataFrame:
    """A row an arm and column of its values: before, after, and the change with a bootstrap interval over the rows."""
    seeds = {arm: len(paths) for arm, paths in _runs(layers, measure).items()}
    rows: list[dict[str, Any]] = []
    for arm, after in by_arm.items():
        for key in keys if arm != BEFORE else ():
            both = pd.DataFrame({"before": by_arm[BEFORE][key], "after": after[key]}).dropna()
            if both.empty:
                continue
            change = (both["after"] - both["before"]).to_numpy(dtype=np.float64)
            low, high = bootstrap_means(change[:, None])
            rows.append({
                "arm": arm, **dict(zip(names, key, strict=True)), "seeds": seeds[arm], unit: len(change),
                "before": float(both["before"].mean()), "after": float(both["after"].mean()),
                "change": float(change.mean()), "low": float(low[0]), "high": float(high[0]),
            })  # fmt: skip
    return pd.DataFrame(rows).round(_DECIMALS)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("cache", "out", "layers"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    for folder, makers in (
        (options.cache, (bleu, off_target, against_gpt4)),
        (options.out, (changes, arms)),
        (options.layers, (lens, pivots, alignment)),
    ):
        for make in makers:
            write_table(FIGURES, make.__name__, make(folder))


if __name__ == "__main__":
    main()
