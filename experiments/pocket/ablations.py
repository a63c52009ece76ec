"""What makes the pivot, and what does not: the variants beside the recipe, from the table of runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from experiments.pocket.criteria import PIVOT_BARS, meet_all, millions, runs_of, spread
from experiments.pocket.train import variants

_GAP = "held_out_pair_gap_middle"
_RIGHT = "held_out_pair_accuracy"
_COLUMNS = {
    _RIGHT: "pair: right", "held_out_pair_lead_middle": "lead", _GAP: "gap",
    "third_gap_middle": "gap, a third", "held_out_concept_accuracy": "strict: right",
    "sentiment_held_out_gap_middle": "sentiment: gap", "follows_English": "follows English",
    "follows_third_language": "a third",
}  # fmt: skip
#: In it English follows a word of X no oftener than any other language does.
FOLLOWING = "equal-follow"
_PLACES = (
    "each lies below every one of the recipe's", "each lies above", "some lie among or on both sides",
    "no run learnt words",
)  # fmt: skip
#: Fewer runs of the recipe are points, not a range.
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
            "tokens": millions(tokens), "model": model, "variant": name,
            "what differs": _what_differs(model, name), "seeds": len(runs),
        }  # fmt: skip
        about |= {shown: spread(runs[column].dropna(), 2) for column, shown in _COLUMNS.items()}
        recipe = runs_of(seeds, tokens)
        about["learnt words"] = f"{learnt(runs, recipe).sum()} of {len(runs)}" if len(recipe) else ""
        rows.append(about | {"both bars": f"{meet_all(runs, PIVOT_BARS).sum()} of {len(runs)}"})
    return pd.DataFrame(rows)


def learnt(runs: pd.DataFrame, recipe: pd.DataFrame) -> pd.Series[bool]:
    """Which runs had learnt words: pairs right in at least half of what runs of the recipe as long write (median)."""
    return runs[_RIGHT] >= recipe[_RIGHT].median() / 2


def against_recipe(seeds: pd.DataFrame) -> str:
    """Whose runs all read English less, or more, than every run of the recipe as long, in a paragraph per length.

    Only runs that had learnt words: where the right word is unknown no language reads it.
    """
    said = []
    for tokens in sorted(seeds["tokens"].unique()):
        runs = seeds[seeds["tokens"] == tokens]
        groups = {name: own for _, model, name, own in _groups(runs) if model == "pocket"}
        recipe = groups.pop("recipe", None)
        if recipe is None or len(recipe) < _ENOUGH or not groups:
            continue
        places: dict[str, list[str]] = {words: [] for words in _PLACES}
        for name, own in groups.items():
            able = own[learnt(own, recipe)]
            some = f" ({len(able)} of {len(own)})" if 0 < len(able) < len(own) else ""
            places[_place(able[_GAP], recipe[_GAP])].append(f"`{name}`{some}")
        said.append(
            f"**After {millions(tokens)} tokens** the recipe's gap is {spread(recipe[_GAP], 2)}. Of the runs that had "
            "learnt words by then (their number in brackets where not all had): "
            + "; ".join(f"{words}: {', '.join(names)}" for words, names in places.items() if names)
            + ". Three runs lie apart from three others by chance in 1 of 10 comparisons, fewer oftener, and all are "
            f"held against the same {len(recipe)} runs."
        )
    return "\n\n".join(said)


def _place(gaps: pd.Series[float], recipe: pd.Series[float]) -> str:
    """Where the gaps of some runs lie beside the recipe's."""
    below, above, among, none = _PLACES
    if gaps.empty:
        return none
    if gaps.max() < recipe.min():
        return below
    return above if gaps.min() > recipe.max() else among


def default_or_stage(seeds: pd.DataFrame) -> str:
    """What was found where English no longer follows oftener than other languages, beside the recipe as long."""
    said = []
    for tokens in sorted(seeds["tokens"].unique()):
        runs, recipe = runs_of(seeds, tokens, variant=FOLLOWING), runs_of(seeds, tokens)
        if len(runs) and len(recipe):
            said.append(_of_following(runs, recipe, tokens))
    return "\n\n".join(said)


def _of_following(runs: pd.DataFrame, recipe: pd.DataFrame, tokens: Any) -> str:
    """Numbers, and what they come to: each conclusion from the ranges over seeds."""

    def both(column: str) -> str:
        return f"{spread(runs[column], 2)} (the recipe {spread(recipe[column], 2)})"

    left, before = ((table[_GAP] - table["third_gap_middle"]) for table in (runs, recipe))
    gone = 1 - left.median() / before.median()
    right = "held_out_concept_accuracy"
    fewer = runs[right].max() < recipe[right].min()
    follows, third = runs["follows_English"], runs["follows_third_language"]
    oftener = (follows > third).all()
    said = [
        f"**After {millions(tokens)} tokens** (seeds: {len(runs)}; the recipe: {len(recipe)}): lead "
        f"{both('held_out_pair_lead_middle')}, gap {both(_GAP)}, gap of a third language {both('third_gap_middle')}. "
        f"Held-out pairs are written right in {both(_RIGHT)}, strict concepts in {both(right)}. A "
        f"swap along English is followed in {both('follows_English')}, one along a third language in "
        f"{both('follows_third_language')}."
    ]
    if gone > 0:
        said.append(
            f"By the medians, {gone:.0%} of what English reads beyond a third language goes with English being what "
            f"usually follows a word of X{', though the ranges meet' if left.max() >= before.min() else ''}; "
            + (
                "strict concepts suffer in every seed: a way over English may have been lost with it."
                if fewer
                else "strict concepts are written no worse without it."
            )
        )
    said.append(
        f"What is left above a third language is {left.min():.2f} to {left.max():.2f}"
        f", and a swap along English is {'' if oftener else 'not '}followed oftener than one along a third language "
        "in every seed."
    )
    return " ".join(said)


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
