"""Results of one kind side by side with the same axes: models, plain and tuned lens, a model and its control."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import plotly.graph_objects as go

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.figures.accuracy import accuracy_figure
from latentlang.figures.bits import bits_figure
from latentlang.figures.header import lens_words, made_with, model_name
from latentlang.figures.headings import unbroken
from latentlang.figures.heatmaps import language_heatmap
from latentlang.figures.layout import FRAME
from latentlang.figures.lens import lens_figure
from latentlang.figures.shaping import Look, chosen_languages, shaped
from latentlang.figures.style import INK, MUTED, plain, safe, shortened
from latentlang.language_names import Language
from latentlang.results import Result, ResultSettings
from latentlang.text import listed

MOST_RESULTS = 4
_KINDS = ("lens", "multilingual-lens", "evaluation", "bits")
_GAP = 0.03  # of the width, between results
_TOP, _LINE, _HEADING = 66, 17, 28  # pixels: title and first line; a further line; names of the results
_LEAST = 420  # pixels of width of a result
_LONGEST_NAME = 40
_AXIS = re.compile(r"([xy])(axis)?(\d*)( domain)?")


class _Compared(ResultSettings):
    shots: int | None = None
    pivot: str | None = None
    items: int | None = None


@checked_call
def compare(
    results: Sequence[Result[Any]],
    *,
    names: Sequence[str] | None = None,
    languages: str | Language | Sequence[str | Language] | None = None,
    curves: str | Sequence[str] | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw results beside each other with the same axes, nulls and all.

    Args:
        results: two to four of one kind: lens, multilingual lens, evaluation or bits per byte; of the same prompts.
        names: what stands over each; by default what they differ in: model, adapter or lens.
        languages: those to draw; by default all that every result has. Of a multilingual lens one target language.
        curves: of a lens as in `LensResult.figure`; of a multilingual lens ``score``, ``answer`` or ``null``.
        **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

    Raises:
        InputError: results that cannot be compared, with what differs; or a name, language or curve there is not.
    """
    results = list(results)
    if not 2 <= len(results) <= MOST_RESULTS:
        raise InputError(f"2 to {MOST_RESULTS} results can be laid side by side, not {len(results)}")
    kind = _kind(results)
    headings = _names(results, names)
    common = [
        code
        for code in results[0].provenance.languages
        if all(code in result.provenance.languages for result in results)
    ]
    if not common:
        raise _refused("they have no language in common")
    if curves is not None and kind not in ("lens", "multilingual-lens"):
        raise InputError(f"curves= is for a lens; a result of kind {kind!r} has none to choose")
    codes = chosen_languages(languages, common)
    _check_alike(results, headings, codes)
    return shaped(_composed(_drawn(results, kind, codes, languages, curves), results, headings), **look)


def _refused(why: str) -> InputError:
    return InputError(f"these results cannot be laid side by side: {why}; run them with the same settings")


def _kind(results: Sequence[Result[Any]]) -> str:
    for result in results:
        if not isinstance(result, Result):
            raise InputError(f"results are laid side by side, not {shown(result)}")
    kinds = list(dict.fromkeys(result.kind for result in results))
    if len(kinds) > 1:
        raise _refused(f"they are of different kinds, {listed(kinds)}")
    if kinds[0] not in _KINDS:
        raise InputError(
            f"results of kind {kinds[0]!r} cannot be laid side by side; only {listed(_KINDS)} can: draw each by itself"
        )
    return kinds[0]


def _names(results: Sequence[Result[Any]], names: Sequence[str] | None) -> list[str]:
    """What stands over each result: the names given, or what they differ in."""
    if names is not None:
        given = [names] if isinstance(names, str) else list(names)
        if len(given) != len(results):
            raise InputError(f"there are {len(results)} results and {len(given)} names; give one for each")
        return [plain(name) for name in given]
    parts = [
        [model_name(result.provenance) for result in results],
        [result.provenance.adapter or "no adapter" for result in results],
        [lens_words(result.provenance) for result in results],
    ]
    differing = [column for column in parts if len(set(column)) > 1]
    if not differing:
        return [f"result {number}" for number in range(1, len(results) + 1)]
    return [
        ", ".join(shortened(plain(text), _LONGEST_NAME) for text in texts if text)
        for texts in zip(*differing, strict=True)
    ]


def _check_alike(results: Sequence[Result[Any]], headings: Sequence[str], codes: Sequence[str]) -> None:
    """Refuse results of other prompts, or read by other rules."""
    asked: Mapping[str, Callable[[Result[Any]], object]] = {
        "task": lambda result: result.provenance.task,
        "seed": lambda result: result.provenance.seed,
        "protocol": lambda result: result.provenance.protocol,
        "policy": lambda result: result.provenance.policy,
        "source language": lambda result: listed(list(filter(None, map(result.provenance.source_of, codes)))),
        "number of examples": lambda result: _Compared.of(result.provenance).shots,
        "pivot": lambda result: _Compared.of(result.provenance).pivot,
    }
    for what, value in asked.items():
        values = [value(result) for result in results]
        for name, other in zip(headings[1:], values[1:], strict=True):
            if other != values[0]:
                raise _refused(f"{headings[0]!r} has {what} {shown(values[0])} and {name!r} {shown(other)}")
    for code in codes:
        items = [_items(result, code) for result in results]
        for name, other in zip(headings[1:], items[1:], strict=True):
            if other != items[0]:
                raise _refused(f"{headings[0]!r} and {name!r} were read on other items in {code!r}")


def _items(result: Result[Any], code: str) -> object:
    """The items of a language; of a multilingual lens, whose table has only what can be read, how many were asked."""
    if result.kind == "multilingual-lens":
        return _Compared.of(result.provenance).items
    rows = result.table[result.table["language"].astype(str) == code]
    return set(zip(*(rows[name].astype(str) for name in ("task", "item") if name in rows), strict=True))


def _drawn(
    results: Sequence[Any],
    kind: str,
    codes: Sequence[str],
    languages: object,
    curves: str | Sequence[str] | None,
) -> list[dict[str, Any]]:
    """Each result's own figure, of the same languages, as plain values."""
    if kind == "lens":
        figures = [lens_figure(result, languages=codes, curves=curves, columns=1) for result in results]
    elif kind == "bits":
        figures = [bits_figure(result, languages=codes) for result in results]
    elif kind == "evaluation":
        figures = [accuracy_figure(result, languages=codes) for result in results]
    else:
        value = "score" if curves is None else curves if isinstance(curves, str) else ",".join(curves)
        if languages is not None and len(codes) > 1:
            raise InputError("a multilingual lens is drawn for one target language, or for all together")
        code = codes[0] if len(codes) == 1 else None
        tests = [result.pivot_test() for result in results]
        rows = [
            list(language_heatmap(result, language=code, value=value, pivot_test=test).layout.meta["rows"])
            for result, test in zip(results, tests, strict=True)
        ]
        common = [row for row in rows[0] if all(row in other for other in rows)]
        figures = [
            language_heatmap(result, language=code, value=value, pivot_test=test, order=common)
            for result, test in zip(results, tests, strict=True)
        ]
    return [figure.to_dict() for figure in figures]


def _composed(
    figures: Sequence[dict[str, Any]], results: Sequence[Result[Any]], headings: Sequence[str]
) -> go.Figure:
    """The figures beside each other: one legend, one scale, names above."""
    _level(figures)
    first = figures[0]["layout"]
    width = (1 - _GAP * (len(figures) - 1)) / len(figures)
    layout: dict[str, Any] = {key: value for key, value in first.items() if not _AXIS.fullmatch(key)}
    layout["annotations"], layout["shapes"] = [], []
    traces: list[dict[str, Any]] = []
    in_legend: set[str] = set()
    offset = 0
    for place, figure in enumerate(figures):
        left = place * (width + _GAP)
        part = _Part(left, width, offset, alone=place == 0)
        for key, axis in figure["layout"].items():
            if _AXIS.fullmatch(key):
                layout[part.renamed(key)] = part.axis(key, axis, figures[0]["layout"])
        for trace in figure["data"]:
            traces.append(part.trace(trace, in_legend))
        in_legend |= {str(trace.get("legendgroup")) for trace in figure["data"] if trace.get("showlegend")}
        for note in figure["layout"].get("annotations", ()):
            if note.get("name") == FRAME:
                layout["annotations"] += [note] if place == 0 else []
            else:
                layout["annotations"].append(part.placed(note))
        layout["shapes"] += [part.placed(shape) for shape in figure["layout"].get("shapes", ())]
        layout["annotations"].append({
            "text": f"<b>{safe(shortened(headings[place], _LONGEST_NAME))}</b>", "x": left, "xanchor": "left", "y": 1,
            "yanchor": "bottom", "yshift": 7, "xref": "paper", "yref": "paper", "showarrow": False,
            "font": {"size": 14, "color": INK},
        })  # fmt: skip
        offset += max(int(match[3] or 1) for key in figure["layout"] if (match := _AXIS.fullmatch(key)))
    lines = [
        f"<b>{safe(name)}</b>: {line}" if number == 0 else line
        for name, figure in zip(headings, figures, strict=True)
        for number, line in enumerate(_unbroken(figure)[1].split("<br>"))
    ]
    margin = dict(first["margin"])
    inner = first["height"] - margin["t"] - margin["b"]
    margin["t"] = _TOP + _LINE * len(lines) + _HEADING
    layout["margin"], layout["height"] = margin, inner + margin["t"] + margin["b"]
    layout["title"] = first["title"] | {
        # The one that names no lens: what they differ in stands above each.
        "text": min((_unbroken(figure)[0] for figure in figures), key=len),
        "subtitle": {"text": "<br>".join(lines), "font": {"size": 12.5, "color": MUTED}},
    }
    layout["meta"] = {
        "how_to_read": [
            "Results of the same prompts stand side by side, with the same axes and colours. Whether they differ by "
            "more than chance is not tested here.",
            *first["meta"]["how_to_read"],
        ],
        "made_with": [
            f"{name}: {', '.join(made_with(result.provenance))}"
            for name, result in zip(headings, results, strict=True)
        ],
        "least_width": max(first["meta"].get("least_width", 0), _LEAST * len(figures)),
        # On a narrow screen one result follows the other.
        "stack": "columns",
    }
    return go.Figure(data=traces, layout=layout)


def _unbroken(figure: Mapping[str, Any]) -> tuple[str, str]:
    layout = figure["layout"]
    return unbroken(layout["meta"], layout["title"])


def _level(figures: Sequence[dict[str, Any]]) -> None:
    """Give all figures the widest range of each axis and of each colour, in place."""
    layouts = [figure["layout"] for figure in figures]
    for key in {key for layout in layouts for key in layout if _AXIS.fullmatch(key)}:
        axes = [layout[key] for layout in layouts if "range" in layout.get(key, {})]
        if not axes:
            continue
        # An axis of rows goes from the last to the first.
        widest = max(axes, key=lambda axis: abs(axis["range"][1] - axis["range"][0]))
        spread = list(widest["range"])
        if key.startswith("x"):
            spread = [min(axis["range"][0] for axis in axes), max(axis["range"][1] for axis in axes)]
        marks = {name: widest[name] for name in ("dtick", "tickvals", "ticktext") if name in widest}
        for axis in axes:
            axis |= {"range": spread, **marks}
    scales = [layout["coloraxis"] for layout in layouts if "coloraxis" in layout]
    for scale in scales:
        scale["cmax"] = max(other["cmax"] for other in scales)
    heats = [trace for figure in figures for trace in figure["data"] if trace.get("zmax") is not None]
    if heats:
        widest_heat = max(heats, key=lambda trace: trace["zmax"])
        for heat in heats:
            heat["zmin"], heat["zmax"] = min(trace["zmin"] for trace in heats), widest_heat["zmax"]
            heat["colorbar"] = widest_heat["colorbar"]


class _Part:
    """Where one figure lies among the others."""

    def __init__(self, left: float, width: float, offset: int, *, alone: bool) -> None:
        self.left, self.width, self.offset, self.first = left, width, offset, alone

    def renamed(self, name: str) -> str:
        """``xaxis2``, ``y2`` or ``x2 domain`` with the number that it has among all; other references as they are."""
        match = _AXIS.fullmatch(name)
        if match is None:
            return name
        number = int(match[3] or 1) + self.offset
        return f"{match[1]}{match[2] or ''}{number if number > 1 else ''}{match[4] or ''}"

    def axis(self, key: str, axis: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
        """An axis in its place; those of further figures move with the first one's and have no numbers of their own."""
        moved = dict(axis)
        for name in ("anchor", "matches", "overlaying"):
            if name in moved:
                moved[name] = self.renamed(moved[name])
        if key.startswith("x"):
            low, high = moved.get("domain", (0, 1))
            moved["domain"] = [self._at(low), min(1.0, self._at(high))]
        elif not self.first:
            moved |= {"showticklabels": False, "title": {"text": None}}
        moved.setdefault("anchor", self.renamed(key.replace("axis", "").translate({120: "y", 121: "x"})))
        if not self.first and key in first:
            moved["matches"] = first[key].get("matches", key.replace("axis", ""))
        return moved

    def trace(self, trace: dict[str, Any], in_legend: set[str]) -> dict[str, Any]:
        """A trace on its axes; what is in the legend already is not there again."""
        moved = trace | {
            name: self.renamed(trace.get(name, name[0])) for name in ("xaxis", "yaxis")
        }  # fmt: skip
        if str(trace.get("legendgroup")) in in_legend:
            moved["showlegend"] = False
        if not self.first and "colorbar" in trace:
            moved["showscale"] = False
        return moved

    def placed(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """A note or a shape in its place."""
        moved = dict(drawn)
        for name in ("xref", "yref"):
            moved[name] = self.renamed(moved.get(name, name[0]))
        if moved["xref"] == "paper":
            moved |= {name: self._at(moved[name]) for name in ("x", "x0", "x1") if name in moved}
        return moved

    def _at(self, share: float) -> float:
        return self.left + share * self.width
