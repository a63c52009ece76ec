"""What an ablation of neurons shows, in words."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from latentlang.language_names import language
from latentlang.text import counted, listed, percent
from latentlang.text import signed as with_sign
from latentlang.units.ablation_settings import NeuronAblationSettings

if TYPE_CHECKING:
    import pandas as pd

_VALUES = {"zero": "zero", "mean": "their mean over languages"}
# Random sets whose neurons are this many times less active are no fair match.
_FAR = 1.5


def ablation_sentences(
    summary: pd.DataFrame, contrasts: pd.DataFrame, settings: NeuronAblationSettings, *, level: float
) -> Iterator[str]:
    """A line on what was done, one for each language, and one on all of them.

    Args:
        summary: of a `NeuronAblationResult`.
        contrasts: the same's.
        settings: of the run.
        level: coverage of the intervals.
    """
    codes = list(dict.fromkeys(summary["ablated"]))
    least = int(summary["n"].min())
    beside = (
        f"{counted(settings.random, 'random set')} each, as many neurons in the same layers and about as active"
        if settings.random
        else "no random sets beside them: what any neurons do is not known"
    )
    yield (
        f"Neurons of {counted(len(codes), 'language')} set to {_VALUES.get(settings.value, settings.value)}; change in "
        f"bits per byte over at least {counted(least, 'paragraph')} a language; {beside}."
    )
    if settings.counted_too:
        names = listed([language(code).name for code in settings.counted_too])
        yield f"Paragraphs in {names} were counted too: the neurons were chosen on what they are measured on."
    if settings.without:
        yield f"No neuron belongs to {listed([language(code).name for code in settings.without])}."
    effects = summary[summary["ablated"] == summary["language"]].set_index("ablated")
    by_language = contrasts.set_index("ablated").to_dict("index")
    for code, row in effects.to_dict("index").items():
        yield _line(str(code), row, by_language.get(code), settings, level=level)
    far = [
        language(code).name
        for code, sizes in settings.activation.items()
        if len(sizes) > 1 and sizes[0] > _FAR * sizes[1]
    ]
    if far:
        yield (
            f"Random sets of {listed(far)} are far less active than the neurons they stand beside: few others are as "
            "active, and a larger effect may be that of their activation."
        )
    untested = len(contrasts) and bool((contrasts["verdict"] == "untested").all())
    if settings.random and untested:
        yield "With fewer than 19 random sets no p is 0.05, and nothing is called specific."
    elif settings.random and len(contrasts):
        specific = int((contrasts["verdict"] == "specific").sum())
        yield (
            f"Of {counted(len(contrasts), 'language')}, the neurons of {specific} matter for its own text more "
            "than for others and more than random ones do; p is of each language alone."
        )


def _line(
    code: str,
    row: Mapping[Hashable, Any],
    contrast: Mapping[Hashable, Any] | None,
    settings: NeuronAblationSettings,
    *,
    level: float,
) -> str:
    """What the neurons of a language do to its own text, to others, and beside random ones."""
    parts = [
        f"{language(code).name}, {counted(settings.neurons.get(code, 0), 'neuron')}: its own text needs "
        f"{_signed(row['effect'])} bits per byte ({percent(level)} interval {_signed(row['low'])} to "
        f"{_signed(row['high'])})"
    ]
    if settings.random:
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
        f"difference {_share(contrast['difference'])} ({_share(contrast['low'])} to {_share(contrast['high'])})"
        f"{verdict}."
    )


def _signed(value: float) -> str:
    return with_sign(value, 4, keep_side=False)


def _share(value: float) -> str:
    return f"{with_sign(100 * value, 2, keep_side=False)}%"
