"""What an ablation of neurons or features shows, in words."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentlang.language_names import language
from latentlang.text import capital, counted, listed, percent
from latentlang.text import signed as with_sign

if TYPE_CHECKING:
    import pandas as pd

# Random sets whose units are this many times less active are no fair match.
_FAR = 1.5


@dataclass(frozen=True)
class AblationWords:
    """What units were taken out, and how.

    Attributes:
        noun: what a unit is: ``neuron``.
        numbers: language to the number of its units.
        done: what was done to them: ``set to zero``.
        matched: what the units of a random set have in common with those they stand beside.
        random: random sets beside each language's units.
        counted_too: languages whose paragraphs were counted too.
        without: languages that no unit belongs to.
        activation: language to the mean size of the units' mean activation, and that of the random sets'.
    """

    noun: str
    numbers: Mapping[str, int]
    done: str
    matched: str
    random: int
    counted_too: Sequence[str]
    without: Sequence[str]
    activation: Mapping[str, Sequence[float]]


def ablation_sentences(
    summary: pd.DataFrame, contrasts: pd.DataFrame, words: AblationWords, *, level: float
) -> Iterator[str]:
    """A line on what was done, one for each language, and one on all of them.

    Args:
        summary: of `ablation_summary`.
        contrasts: of `ablation_contrasts`.
        words: what was taken out.
        level: coverage of the intervals.
    """
    codes = list(dict.fromkeys(summary["ablated"]))
    least = int(summary["n"].min())
    beside = (
        f"{counted(words.random, 'random set')} each, {words.matched}"
        if words.random
        else f"no random sets beside them: what any {words.noun}s do is not known"
    )
    yield (
        f"{capital(words.noun)}s of {counted(len(codes), 'language')} {words.done}; change in "
        f"bits per byte over at least {counted(least, 'paragraph')} a language; {beside}."
    )
    if words.counted_too:
        names = listed([language(code).name for code in words.counted_too])
        yield f"Paragraphs in {names} were counted too: the {words.noun}s were chosen on what they are measured on."
    if words.without:
        yield f"No {words.noun} belongs to {listed([language(code).name for code in words.without])}."
    effects = summary[summary["ablated"] == summary["language"]].set_index("ablated")
    by_language = contrasts.set_index("ablated").to_dict("index")
    for code, row in effects.to_dict("index").items():
        yield _line(str(code), row, by_language.get(code), words, level=level)
    far = [
        language(code).name
        for code, sizes in words.activation.items()
        if len(sizes) > 1 and sizes[0] > _FAR * sizes[1]
    ]
    if far:
        yield (
            f"Random sets of {listed(far)} are far less active than the {words.noun}s they stand beside: few others "
            "are as active, and a larger effect may be that of their activation."
        )
    untested = len(contrasts) and bool((contrasts["verdict"] == "untested").all())
    if words.random and untested:
        yield "With fewer than 19 random sets no p is 0.05, and nothing is called specific."
    elif words.random and len(contrasts):
        specific = int((contrasts["verdict"] == "specific").sum())
        yield (
            f"Of {counted(len(contrasts), 'language')}, the {words.noun}s of {specific} matter for its own text more "
            "than for others and more than random ones do; p is of each language alone."
        )


def _line(
    code: str,
    row: Mapping[Hashable, Any],
    contrast: Mapping[Hashable, Any] | None,
    words: AblationWords,
    *,
    level: float,
) -> str:
    """What the neurons of a language do to its own text, to others, and beside random ones."""
    parts = [
        f"{language(code).name}, {counted(words.numbers.get(code, 0), words.noun)}: its own text needs "
        f"{_signed(row['effect'])} bits per byte ({_interval(row, level)})"
    ]
    if words.random:
        parts.append(
            f"random sets {_signed(row['random'])} and at most {_signed(row['random_most'])} (p {row['p']:.2g})"
        )
    line = ", ".join(parts)
    if contrast is None:
        return f"{line}."
    said = {
        "specific": "specific",
        "effect": "an effect, not shown to be specific",
        "none": "no effect beyond chance",
    }
    verdict = f": {said[contrast['verdict']]}" if contrast["verdict"] in said else ""
    return (
        f"{line}; {_share(contrast['own'])} of the bits it needs, {_share(contrast['others'])} in other languages, "
        f"difference {_share(contrast['difference'])} ({_shares(contrast)})"
        f"{verdict}."
    )


def _interval(row: Mapping[Hashable, Any], level: float) -> str:
    if math.isnan(row["low"]):
        return "no interval: too few paragraphs"
    return f"{percent(level)} interval {_signed(row['low'])} to {_signed(row['high'])}"


def _shares(row: Mapping[Hashable, Any]) -> str:
    return "no interval" if math.isnan(row["low"]) else f"{_share(row['low'])} to {_share(row['high'])}"


def _signed(value: float) -> str:
    return with_sign(value, 4, keep_side=False)


def _share(value: float) -> str:
    return f"{with_sign(100 * value, 2, keep_side=False)}%"
