"""Tables of what `measure` saved: `python -m experiments.bayling2.tables FOLDER`.

In figures/bayling2, bleu.csv has the 60 cells of BLEU in the paper's Table 2 whose translations are public, beside what
they come to here; off_target.csv which language the translations are in; against_gpt4.csv systems against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

import latentlang as ll
from experiments.bayling2.measure import AMONG, DIRECTIONS, SYSTEMS
from experiments.steps import is_saved, stacked, tables_command
from latentlang.language_id import py3langid_backend
from latentlang.translation import TranslationScores

FIGURES = Path(__file__).parents[2] / "figures" / "bayling2"
#: The paper's Table 2.
PUBLISHED = Path(__file__).parent / "published" / "table2.csv"
#: A cell this near is the same: digits are cut, and sacreBLEU's versions differ.
NEAR = 0.065


def results(folder: Path) -> Iterator[TranslationScores]:
    """The directions that are there."""
    for source, target in DIRECTIONS:
        path = folder / f"{source}-{target}"
        if is_saved(path):
            yield TranslationScores.load(path)


def _printed_bleu() -> pd.DataFrame:
    """``system, direction, published`` of the systems whose translations are public."""
    cells = pd.read_csv(PUBLISHED)
    direction, metric = (cells["column"].str.split(" ").str[part] for part in (0, 1))
    folders = {name: folder for folder, name in SYSTEMS.items()}
    rows = pd.DataFrame(
        {"system": cells["row"].map(folders), "direction": direction.str.lower(), "published": cells["value"]}
    )
    return rows[(metric == "BLEU") & rows["system"].notna()]


def bleu(folder: Path) -> pd.DataFrame:
    """BLEU as published and as computed here, beside the nulls."""
    computed = stacked(result.table[result.table["metric"] == "bleu"] for result in results(folder))
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


def off_target(folder: Path) -> pd.DataFrame:
    """Share of translations in another language, in percent: of those that could be told, and by the likeliest alone.

    The likeliest of `AMONG` is taken whatever its length or script (``likeliest``); ``reference`` is a system too.
    """
    backend = py3langid_backend()
    rows = []
    for result in results(folder):
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
            likely = [backend.probabilities(text, AMONG) for text in given]
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


def against_gpt4(folder: Path) -> pd.DataFrame:
    """The other systems against GPT-4 in BLEU and chrF++, paired over items, Holm over directions and systems."""
    there = list(results(folder))
    if not there:
        return pd.DataFrame()
    return ll.join_scores(*there).comparisons("gpt-4", metrics=("bleu", "chrf++"))


TABLES = {"bleu": bleu, "off_target": off_target, "against_gpt4": against_gpt4}

if __name__ == "__main__":
    tables_command(__doc__, TABLES, FIGURES)
