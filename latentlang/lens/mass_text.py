"""What language mass says, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from latentlang.language_names import language as find_language
from latentlang.text import counted, lens_name, listed, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.lens.mass_settings import LanguageMassSettings


def mass_sentences(
    summary: pd.DataFrame, leaders: pd.DataFrame, settings: LanguageMassSettings, *, level: float
) -> Iterator[str]:
    """A line on what was counted, and one for each language of the texts.

    Args:
        summary: of a `LanguageMassResult`.
        leaders: of the same.
        settings: of the run.
        level: coverage of the intervals.
    """
    last = int(summary["layer"].max())
    outside = summary[(summary["of"] == "") & (summary["layer"] == last)]["mass"]
    certainty = percent(settings.certainty) if settings.certainty is not None else "some"
    yield (
        f"Tokens that belong to one of {counted(len(settings.prior), 'language')} with a certainty of at least "
        f"{certainty} count, read by the {lens_name(settings.lens)}; the others hold "
        f"{_range(outside.min(), outside.max())} of the probability at layer {last}. Intervals: {percent(level)}, over "
        "paragraphs, for one layer at a time."
    )
    for code, part in leaders.groupby("language", sort=False, observed=True):
        own = summary[(summary["language"] == code) & (summary["of"] == code)]
        yield _sentence(str(code), part.to_dict("records"), own.to_dict("records")[-1], settings)


def _sentence(code: str, rows: list[Any], last: Any, settings: LanguageMassSettings) -> str:
    name = find_language(code).name
    said = []
    for leader, group in groupby(rows, key=lambda row: row["leader"] if row["verdict"] == "leads" else None):
        if leader is None:
            continue
        run = list(group)
        most = max(run, key=lambda row: row["mass"])
        said.append(
            f"{find_language(leader).name} leads at {_layers(run[0]['layer'], run[-1]['layer'])} (at most "
            f"{_sized(most)} of the probability, at layer {most['layer']}; its part of vocabulary and texts would be "
            f"{most['known']:.2f})"
        )
    ahead = listed(said) if said else "no language leads at any layer"
    output = ", the output" if last["layer"] == settings.n_layers else ""
    return (
        f"{name} text: {ahead}. {name} has {_sized(last)} at layer {last['layer']}{output}, and "
        f"{last['written']:.2f} of the text's own tokens."
    )


def _layers(first: int, last: int) -> str:
    return f"layer {first}" if first == last else f"layers {first} to {last}"


def _sized(row: Any) -> str:
    if math.isnan(row["low"]):
        return f"{row['mass']:.2f} [no interval]"
    return f"{row['mass']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _range(low: float, high: float) -> str:
    return f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
