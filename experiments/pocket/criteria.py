"""What the criteria ask for, and what was found: every number of `criteria.yaml` from measured tables, and by seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from experiments.pocket.train import Recipe

_CRITERIA = Path(__file__).parent / "criteria.yaml"
#: What the median seed is the median of.
_DECIDES = "held_out_pair_gap_middle"
#: The two that say whether English is read in the middle.
PIVOT_BARS = ("held_out_pair_lead_middle", "held_out_pair_gap_middle")
_SPLITS = {
    ("translation", "seen"): "concepts seen between the two languages",
    ("translation", "held-out pair"): "concepts never seen between the two languages",
    ("translation", "held-out concept"): "concepts never seen between any two languages but with English",
    ("sentiment", "seen"): "adjectives seen in reviews",
    ("sentiment", "held-out"): "adjectives seen in English reviews only",
}
_SPLITS_OF_CONTROL = {
    ("translation", "held-out concept"): "concepts never seen beside a translation",
    ("sentiment", "held-out"): "adjectives never seen in reviews",
}


def split_name(model: str, task: str, split: str) -> str:
    """A split in words; in the control, what is held out altogether was not seen with English either."""
    return (_SPLITS_OF_CONTROL if model == "pocket-control" else _SPLITS).get(
        (task, split), _SPLITS[task, split]
    )


@dataclass(frozen=True)
class Criterion:
    """One line of `criteria.yaml`.

    Attributes:
        subject: translation, sentiment or control.
        key: what is measured.
        at_most: whether the bar is an upper one.
        limit: the bar.
    """

    subject: str
    key: str
    at_most: bool
    limit: float

    @property
    def model(self) -> str:
        """Whose number it is about."""
        return "pocket-control" if self.subject == "control" else "pocket"

    @property
    def column(self) -> str:
        """What it is called in the table of runs."""
        return self.key if self.subject == "translation" else f"{self.subject}_{self.key}"

    def met(self, values: pd.Series[float]) -> pd.Series[bool]:
        """Which of these numbers meet it."""
        return values <= self.limit if self.at_most else values >= self.limit


@cache
def criteria() -> tuple[Criterion, ...]:
    """All of `criteria.yaml`, in its order."""
    written: dict[str, dict[str, float]] = yaml.safe_load(_CRITERIA.read_text(encoding="utf-8"))
    return tuple(
        Criterion(
            subject, name.removesuffix("_at_most").removesuffix("_at_least"), name.endswith("_at_most"), limit
        )
        for subject, bars in written.items()
        for name, limit in bars.items()
    )


def splits_of(task: str) -> tuple[str, ...]:
    """What a task is asked about, from seen to never seen."""
    return tuple(split for known, split in _SPLITS if known == task)


def meet_all(runs: pd.DataFrame, columns: tuple[str, ...]) -> pd.Series[bool]:
    """Which of these runs meet every criterion of `pocket` on these columns of the table of runs."""
    bars = [one for one in criteria() if one.column in columns]
    return pd.concat([one.met(runs[one.column]) for one in bars], axis="columns").all(axis="columns")


def verdicts(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every criterion with its bar, the measured value and whether it is met; and by how many of the seeds."""
    rows: list[dict[str, Any]] = []
    for criterion in criteria():
        value = measured(tables, criterion.subject, criterion.key)
        met = criterion.met(pd.Series([value])).item()
        runs = whole_runs(tables["seeds"], criterion.model)[criterion.column]
        digits = 0 if criterion.key.endswith("languages") else 2
        rows.append({
            "of": criterion.subject, "criterion": criterion.key.replace("_", " "),
            "bar": f"{'<=' if criterion.at_most else '>='} {criterion.limit:g}",
            "measured": round(value, 3), "met": "yes" if met else "no",
            "all seeds": spread(runs, digits), "met by": f"{criterion.met(runs).sum()} of {len(runs)}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def measured(tables: dict[str, pd.DataFrame], subject: str, key: str, *, model: str | None = None) -> float:
    """The number a criterion asks for (`criteria.yaml` says what the words mean).

    Args:
        tables: as for `write_card`.
        subject: of the criteria: translation, sentiment or control.
        key: its name without ``at_least`` or ``at_most``.
        model: whose number; by default `pocket`, and `pocket-control` for those of the control.
    """
    name = model or ("pocket-control" if subject == "control" else "pocket")
    accuracy, curves = tables["accuracy"], tables["curves"]
    if subject == "control":  # the larger of its splits
        column, layers = key.split("_")
        return max(
            _best(rows_of(curves, name, "translation", split), column, layers)
            for split in splits_of("translation")
        )
    split = max((name for name in splits_of(subject) if key.startswith(_key(name))), key=len)
    rest = key.removeprefix(_key(split)).strip("_")
    own = rows_of(accuracy, name, subject, split)
    if rest == "accuracy":
        return float(own["accuracy"].mean())
    if rest == "accuracy_above_chance_languages":
        return float((own["low"] > 0.5).sum())
    column, layers = rest.rsplit("_", 1)
    return _best(rows_of(curves, name, subject, split), column, layers)


def whole_runs(seeds: pd.DataFrame, model: str, *, variant: str = "recipe") -> pd.DataFrame:
    """Rows of a recipe, by default the one that ships, trained as long as that."""
    return runs_of(seeds, tokens_of(Recipe().as_record()), model=model, variant=variant)


def runs_of(
    seeds: pd.DataFrame, tokens: int, *, model: str = "pocket", variant: str = "recipe"
) -> pd.DataFrame:
    """Rows of a recipe, trained on so many tokens."""
    return seeds[(seeds["model"] == model) & (seeds["variant"] == variant) & (seeds["tokens"] == tokens)]


def millions(tokens: float) -> str:
    """A number of tokens as the card says it."""
    return f"{tokens / 1e6:.1f} M"


def tokens_of(recipe: dict[str, Any]) -> int:
    """How many tokens a recipe trains on."""
    tokens: int = recipe["steps"] * recipe["rows"] * recipe["row_tokens"]
    return tokens


def median_seed(seeds: pd.DataFrame) -> int:
    """The seed of `pocket` whose gap on held-out pairs is the median (of an even number, the lower one)."""
    own = whole_runs(seeds, "pocket").sort_values([_DECIDES, "seed"])
    return int(own["seed"].iloc[(len(own) - 1) // 2])


def spread(values: pd.Series[float], digits: int) -> str:
    """The median and, of several, the smallest and the largest."""
    median, low, high = (
        f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.00"
        for value in (values.median(), values.min(), values.max())
    )
    return median if len(values) < 2 else f"{median} [{low}, {high}]"


def between(values: pd.Series[Any], digits: int) -> str:
    """The smallest and the largest, or one number where they look alike."""
    low, high = (f"{round(value, digits) + 0.0:.{digits}f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _key(split: str) -> str:
    return split.replace("-", "_").replace(" ", "_")


def layers_named(name: str, depth: int) -> list[int]:
    """The last layer, those of the middle half, or any."""
    return {
        "last": [depth],
        "middle": list(range(depth // 4 + 1, 3 * depth // 4 + 1)),
        "any": list(range(1, depth + 1)),
    }[name]


def _best(part: pd.DataFrame, column: str, layers: str) -> float:
    """Largest mean over languages among some layers (`layers_named`)."""
    means = part.groupby("layer")[column].mean()
    return float(means[layers_named(layers, int(means.index.max()))].max())


def rows_of(frame: pd.DataFrame, model: str, task: str, split: str) -> pd.DataFrame:
    """The rows of one model, task and split."""
    return frame[(frame["model"] == model) & (frame["task"] == task) & (frame["split"] == split)]
