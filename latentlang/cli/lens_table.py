"""A lens result as lines of text: a sparkline per curve, its null beside it, and what they tell."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from latentlang.arguments import layer_words
from latentlang.language_names import language as find_language

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.lens import LensResult

BARS = "▁▂▃▄▅▆▇█"
# A full bar is never less than this probability: the noise of a flat curve must not look like a mountain.
LEAST_TOP = 0.1
_GAP = "  "
_BETWEEN_NOTES = "; "  # as `latentlang.lens.text.curve_notes` joins them


def sparkline(values: Sequence[float], *, top: float, width: int | None = None) -> str:
    """One bar per value, from 0 to `top`; the highest of neighbours where they are more than `width`."""
    cells = len(values) if width is None else max(1, min(width, len(values)))
    edges = [round(cell * len(values) / cells) for cell in range(cells + 1)]
    highest = [max(values[start:stop]) for start, stop in pairwise(edges)]
    steps = len(BARS) - 1
    return "".join(BARS[round(steps * min(1.0, max(0.0, v / top)))] if top > 0 else BARS[0] for v in highest)


def lens_lines(result: LensResult, *, width: int) -> Iterator[Text]:
    """Lines for a terminal of a width: per language its curves, their nulls and a sentence."""
    # Here, not above: figures load torch, and an option that is refused should not wait for it.
    from latentlang.figures.header import is_tuned
    from latentlang.lens.text import pivot_sentences

    summary = result.summary()
    sentences = pivot_sentences(result.gap(), result.provenance, copied=result.gap(role="source"))
    settings = result.settings
    pivot, some = settings.pivot, settings.layers
    last = settings.n_layers or int(summary["layer"].max())
    shown = layer_words(some) if some else f"layers 1 to {last}"
    shared, notes = _notes_by_language(result)
    yield _headline(result)
    for code in result.provenance.languages:
        yield Text()
        yield _language_line(result, code)
        source = result.provenance.source_of(code)
        language_summary = summary[summary["language"] == code]
        yield from _curve_lines(language_summary, target=code, pivot=pivot, source=source, width=width)
        yield from _wrapped(sentences[code], width, style="italic")
        if note := notes.get(code):
            yield from _wrapped(f"note: {note}", width, style="yellow")
    if shared:
        yield Text()
        yield from _wrapped(f"note on each of these languages: {shared}", width, style="yellow")
    yield Text()
    yield Text(
        f"bars: {shown}; the curves of a language and their nulls on one scale, a full bar is the highest of them (at "
        f"least {LEAST_TOP:g}); entropy on its own; value @ layer: the highest mean over items; null: the same reading "
        "for wrong answers.",
        style="dim",
    )
    if result.provenance.protocol == "as-published":
        yield Text(
            "as published: what begins like a word of the prompt counts as an answer all the same; the default "
            "protocol tells the two apart.",
            style="dim",
        )
    if is_tuned(result.provenance):
        yield Text(
            "tuned lens: trained towards the output, it may translate away a language that only passes through; read "
            "it beside the plain lens (without --tuned).",
            style="dim",
        )


def _notes_by_language(result: LensResult) -> tuple[str, dict[str, str]]:
    """What the notes of all languages have in common, to be said once, and by language what is its own."""
    notes, codes = result.settings.notes, result.provenance.languages
    if len(codes) < 2 or any(code not in notes for code in codes):
        return "", notes
    policy = f" (policy {result.provenance.policy})"
    if not all(note.endswith(policy) for note in notes.values()):  # notes on the data come after it
        policy = ""
    parts = {code: notes[code].removesuffix(policy).split(_BETWEEN_NOTES) for code in codes}
    shared = [part for part in parts[codes[0]] if all(part in others for others in parts.values())]
    own = {code: [part for part in parts[code] if part not in shared] for code in codes}
    said = {code: _BETWEEN_NOTES.join(rest) + policy for code, rest in own.items() if rest}
    return (_BETWEEN_NOTES.join(shared) + policy if shared else ""), said


def _wrapped(text: str, width: int, *, style: str) -> Iterator[Text]:
    for line in textwrap.wrap(text, max(20, width), initial_indent=_GAP, subsequent_indent=_GAP):
        yield Text(line, style=style)


def _headline(result: LensResult) -> Text:
    from latentlang.figures.header import lens_words

    provenance = result.provenance
    line = Text.assemble((provenance.model, "bold"))
    if provenance.adapter:
        line.append(f" + {provenance.adapter}")
    protocol = [f"protocol {provenance.protocol}"] if provenance.protocol != "corrected" else []
    parts = [
        provenance.task,
        f"{result.settings.shots}-shot",
        lens_words(provenance),
        *protocol,
        f"policy {provenance.policy}",
    ]
    for part in (*filter(None, parts), f"seed {provenance.seed}"):
        line.append(f" · {part}")
    return line


def _language_line(result: LensResult, code: str) -> Text:
    line = Text.assemble((f"{find_language(code).name} ({code})", "bold"))
    source = result.provenance.source_of(code)
    if source:
        line.append(f" from {find_language(source).name} ({source})")
    count = result.table.loc[result.table["language"] == code, "item"].nunique()
    return line.append(f": accuracy {result.settings.accuracy[code]:.2f}, n = {count}")


@dataclass(frozen=True)
class _Row:
    """One curve to draw: `values` by layer, its null or None, and what a full bar stands for."""

    label: str
    values: pd.Series
    null: pd.Series | None
    top: float
    unit: str = ""


def _rows(summary: pd.DataFrame, *, target: str, pivot: str, source: str | None) -> list[_Row]:
    curves = {
        str(curve): part.sort_values("layer").set_index("layer")["mean"]
        for curve, part in summary.groupby("curve", observed=True)
    }
    roles = ("target", "pivot", "source")
    drawn = [curve for key, curve in curves.items() if key.partition("_")[0] in roles]
    top = max([LEAST_TOP, *(float(curve.max()) for curve in drawn)])
    rows = []
    for role, code in zip(roles, (target, pivot, source), strict=True):
        if code is None:
            continue
        name = find_language(code).name + (" (prompt)" if role == "source" else "")
        named = (
            (role, name),
            (f"{role}_any", f"{name}, any label"),
            (f"{role}_shared", f"{name}, shared tokens"),
        )
        for key, label in named:
            if key in curves:
                null = curves.get(f"{role}_null") if key == role else None
                rows.append(_Row(label, curves[key], null, top))
    if "entropy" in curves:
        rows.append(_Row("entropy", curves["entropy"], None, float(curves["entropy"].max()), " bits"))
    return rows


def _curve_lines(
    summary: pd.DataFrame, *, target: str, pivot: str, source: str | None, width: int
) -> Iterator[Text]:
    rows = _rows(summary, target=target, pivot=pivot, source=source)
    layers = max((len(row.values) for row in rows), default=0)
    label_width = max((cell_len(row.label) for row in rows), default=0)
    beside = 5 * len(_GAP) + label_width + len("null ") + 2 * (layers + len("0.00 @00")) <= width
    room = layers
    if not beside:  # then below
        rows = [
            part
            for row in rows
            for part in (
                row,
                *([] if row.null is None else [_Row(f"{row.label} null", row.null, None, row.top)]),
            )
        ]
        label_width = max((cell_len(row.label) for row in rows), default=0)
        room = width - label_width - 3 * len(_GAP) - len("0.00 @00 bits")
    for row in rows:
        line = Text(_GAP + set_cell_size(row.label, label_width) + _GAP)
        line.append(
            sparkline(list(row.values), top=row.top, width=room), style="magenta" if row.unit else "cyan"
        )
        line.append(f"{_GAP}{_peak(row.values)}{row.unit}")
        if beside and row.null is not None:
            line.append(
                f"{_GAP}null {sparkline(list(row.null), top=row.top)}{_GAP}{_peak(row.null)}", style="dim"
            )
        yield line


def _peak(curve: pd.Series) -> str:
    return "no number" if curve.isna().all() else f"{curve.max():.2f} @{curve.idxmax()}"
