"""What a trace found, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.causal.trace_null import HELD_OUT
from latentlang.causal.trace_switch import LEAST, NO_SWITCH, NOTHING, SWITCH, TOO_FEW, WINDOW, is_sparse
from latentlang.language_names import language as find_language
from latentlang.provenance import Provenance
from latentlang.stats.intervals import wilson
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    from latentlang.causal.trace_settings import TraceSettings

# Prompts that are told one by one.
_MOST_TOLD = 6
_LONGEST = 40


def trace_sentences(summary: pd.DataFrame, settings: TraceSettings, made: Provenance) -> list[str]:
    """A line on all prompts, one for each of the first that switch, and one on what the readings rest on.

    Args:
        summary: of a `TraceResult`.
        settings: of the result.
        made: its provenance.
    """
    rows = summary.to_dict("records")
    lines = []
    if len(rows) > 1:
        count = sum(row["verdict"] == SWITCH for row in rows)
        lines.append(f"{count} of {counted(len(rows), 'text')} go on in another language than before.")
    told = rows if len(rows) == 1 else [row for row in rows if row["verdict"] == SWITCH]
    lines += [_prompt(row, settings, several=len(rows) > 1) for row in told[:_MOST_TOLD]]
    if len(told) > _MOST_TOLD:
        lines.append(f"The other {len(told) - _MOST_TOLD} are in the summary.")
    unclear = sum(row["verdict"] == TOO_FEW for row in rows)
    if len(rows) > 1 and unclear:
        lines.append(f"Of {unclear} too few tokens belong to a language to say.")
    silent = sum(row["verdict"] == NOTHING for row in rows)
    if len(rows) > 1 and silent:
        lines.append(f"After {counted(silent, 'prompt')} nothing was written.")
    names = listed([find_language(code).name for code in made.languages])
    written, known = (sum(row[column] for row in rows) for column in ("tokens", "known"))
    lines.append(
        f"Languages are told apart among {names} alone, by tokens that belong to one of them with a certainty of at "
        f"least {percent(settings.certainty or 0)} (text: {settings.texts}); of {counted(written, 'new token')} "
        f"{known} do."
    )
    lines += _null(settings)
    return lines


def _null(settings: TraceSettings) -> list[str]:
    """The line on text in one language that is said to switch; none where none was looked at."""
    verdicts = settings.null_verdicts.values()
    n, switches, unclear = (
        sum(counts.get(code, 0) for counts in verdicts for code in codes)
        for codes in ((NO_SWITCH, SWITCH, TOO_FEW), (SWITCH,), (TOO_FEW,))
    )
    if not n:
        return []
    low, high = wilson(switches, n)
    text = "held-out text" if settings.null_table == HELD_OUT else "text"
    line = (
        f"Of {counted(n, 'stretch', 'stretches')} of {counted(settings.tokens, 'token')} of {text} in one language "
        f"{switches} would be called a switch (false switches: {_share(switches / n)}, with 95% confidence "
        f"{_share(low)} to {_share(high)})"
    )
    if unclear:
        line += f"; of {unclear} too few tokens would be known"
    return [f"{line}."]


def _share(value: float) -> str:
    return f"{round(100 * value, 2):g}%"


def _prompt(row: Mapping[Any, Any], settings: TraceSettings, *, several: bool) -> str:
    text = settings.prompts[row["prompt"]]
    shown = text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"
    begin = f"Prompt {row['prompt']} ({shown!r}): " if several else ""
    if row["verdict"] == NOTHING:
        return f"{begin}nothing was written."
    if row["verdict"] == TOO_FEW:
        known = f"{row['known'] or 'none'} of {counted(row['tokens'], 'new token')}"
        if row["known"] < LEAST or is_sparse(row["known"], row["tokens"]) or not row["before"]:
            verb = "belongs" if row["known"] < LEAST else "belong"
            return f"{begin}{known} {verb} to a known language: too few to say whether it switches."
        old = find_language(row["before"]).name
        return (
            f"{begin}{known} belong to a language, too few of them to {old} to say that the text stays in it, or to "
            "another one to say that it goes on in that."
        )
    if row["verdict"] == NO_SWITCH:
        rule = f"no {WINDOW} known tokens are mostly of another language"
        stays = (
            f"the text stays in {find_language(row['before']).name}"
            if row["before"]
            else "there is no switch"
        )
        return f"{begin}over {counted(row['tokens'], 'new token')} {stays}: {rule}."
    new, old = find_language(row["language"]).name, find_language(row["before"]).name
    asked = settings.asked[row["prompt"]]
    after = f"{old}, which was asked for" if asked == row["before"] else old
    said = f"{begin}the text goes on in {new} after {after}, from new token {row['onset'] + 1} on"
    if row["onset"] < row["step"]:
        said += f" (the first that belongs to {new} is new token {row['step'] + 1}, {row['token']!r})"
    else:
        said += f" ({row['token']!r})"
    if row["layer"] < 0:
        return f"{said}; at the last layer {new} does not lead before it, so no layer is named."
    said += f"; before it {new} leads from layer {row['layer']} to the last."
    return said + _edit(row, settings, old)


def _edit(row: Mapping[Any, Any], settings: TraceSettings, old: str) -> str:
    if row["undone"] != row["undone"]:
        return ""
    outcome = "is undone" if row["undone"] else "is not undone"
    direct = (
        " (the last one: what is changed there is the output itself)"
        if row["layer"] == settings.n_layers
        else ""
    )
    return (
        f" The switch {outcome} where the state there is set to {old}'s mean along the difference of the two languages"
        f"{direct}; by as large a change in a random direction it is in {row['random'] * settings.draws:.0f} of "
        f"{settings.draws}."
    )
