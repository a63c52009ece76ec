"""What makes the pivot, and what does not: the variants beside the recipe, from the table of runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from experiments.pocket.criteria import PIVOT_BARS, meet_all, spread
from experiments.pocket.train import variants

_GAP = "held_out_pair_gap_middle"
_COLUMNS = {
    "held_out_pair_accuracy": "pair: right", "held_out_pair_lead_middle": "lead", _GAP: "gap",
    "third_gap_middle": "gap, a third", "held_out_concept_accuracy": "strict: right",
    "sentiment_held_out_gap_middle": "sentiment: gap", "follows_English": "follows English",
    "follows_third_language": "a third",
}  # fmt: skip
#: Fewer seeds are points, not a range.
_ENOUGH = 3


def by_variant(seeds: pd.DataFrame) -> pd.DataFrame:
    """Recipes side by side, those of one length together: the median and the range over seeds.

    Args:
        seeds: rows of `seeds.measure_run`.

    Returns:
        A row per length, model and variant: the recipe first, then its control, then what differs from the recipe in
        one thing, in the order of `variants.yaml`.
    """
    rows = []
    for tokens, model, name, runs in _groups(seeds):
        about: dict[str, Any] = {
            "tokens": _millions(tokens), "model": model, "variant": name,
            "what differs": _what_differs(model, name), "seeds": len(runs),
        }  # fmt: skip
        about |= {shown: spread(runs[column].dropna(), 2) for column, shown in _COLUMNS.items()}
        rows.append(about | {"both bars": f"{meet_all(runs, PIVOT_BARS).sum()} of {len(runs)}"})
    return pd.DataFrame(rows)


def against_recipe(seeds: pd.DataFrame) -> str:
    """Whose seeds all read English less, or more, than every seed of the recipe as long, in a paragraph per length."""
    said = []
    for tokens, runs in seeds.groupby("tokens"):
        groups = {(model, name): own for _, model, name, own in _groups(runs) if len(own) >= _ENOUGH}
        recipe = groups.pop(("pocket", "recipe"), None)
        groups = {key: own for key, own in groups.items() if key[1] != "recipe"}
        if recipe is None or not groups:
            continue
        low, high = recipe[_GAP].min(), recipe[_GAP].max()
        lower = [name for (_, name), own in groups.items() if own[_GAP].max() < low]
        higher = [name for (_, name), own in groups.items() if own[_GAP].min() > high]
        neither = [name for _, name in groups if name not in lower + higher]
        met = {name: meet_all(own, PIVOT_BARS) for (_, name), own in groups.items()}
        said.append(
            f"**After {_millions(tokens)} tokens** the recipe's gap is {spread(recipe[_GAP], 2)}. All seeds lie below "
            f"the recipe's in {_listed(lower)}; above them in {_listed(higher)}; on both sides or among them in "
            f"{_listed(neither)}. Three seeds lie apart from three others by chance in 1 of 10 cases, so that of these "
            f"{len(groups)} one or the other would. Both bars for English in the middle, lead and gap, are met by "
            f"every seed of {_listed([name for name, seeds in met.items() if seeds.all()])}, and by none of "
            f"{_listed([name for name, seeds in met.items() if not seeds.any()])}."
        )
    return "\n\n".join(said)


def _groups(seeds: pd.DataFrame) -> Iterator[tuple[int, str, str, pd.DataFrame]]:
    """Runs of one length, model and variant, in the order of the table."""
    places = {"recipe": 0, **{name: place for place, name in enumerate(variants(), start=1)}}
    order = seeds.assign(
        place=seeds["variant"].map(places) * 2 + (seeds["model"] != "pocket"),
    )
    for (tokens, _), runs in order.groupby(["tokens", "place"]):
        yield int(str(tokens)), runs["model"].iloc[0], runs["variant"].iloc[0], runs


def _what_differs(model: str, name: str) -> str:
    own = "the hub is any of the 20 languages" if model != "pocket" else ""
    return "; ".join(part for part in (own, variants().get(name, {}).get("about", "")) if part)


def _millions(tokens: Any) -> str:
    return f"{float(tokens) / 1e6:.1f} M"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "no variant"
