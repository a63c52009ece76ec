"""A trace of what a model writes: layers over new tokens, each cell in the colour of the language that leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import lens_words, made_with, source_words
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import first_in_view, has_gaps
from latentlang.figures.narrow import OWN_WIDTH
from latentlang.figures.scatter import COLOURS
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import INK, MUTED, PAPER, english_name, isolated, safe, template
from latentlang.text import percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

_COLUMN, _ROW = 46, 22  # pixels of a cell
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 96, 128
_WIDEST = 900
_LEAST_WIDTH = 760  # of the title with the buttons beside it
_LONGEST, _LONGEST_TICK = 6, 10  # characters of a token in a cell, and below a column
_OTHERS = "#8A94A0"


class Traced(Protocol):
    """What the figure needs of a result: `TraceResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per prompt, step, layer and language."""

    @property
    def provenance(self) -> Provenance:
        """Where it came from."""

    @property
    def settings(self) -> Any:
        """Prompts and the certainty of the tokens' languages."""

    def tokens(self, prompt: int = 0) -> pd.DataFrame:
        """The new tokens of a prompt."""

    def summary(self) -> pd.DataFrame:
        """A row a prompt, with its switch."""


_CUT = "Some of the tokens are in view; drag the picture for the others, or ask for a larger width."


def trace_figure(result: Traced, *, prompt: int = 0, **look: Unpack[Look]) -> go.Figure:
    """Draw a trace: columns are new tokens, rows layers, the last on top.

    Args:
        result: a `TraceResult`, new or loaded from disk.
        prompt: place of the prompt.
        **look: as in `Look`.

    Raises:
        InputError: nothing was written after the prompt.
    """
    part = result.table[result.table["prompt"] == prompt]
    if part.empty:
        raise InputError(f"nothing was written after prompt {prompt}: there is nothing to draw")
    tokens = result.tokens(prompt)
    codes = [str(code) for code in dict.fromkeys(part["language"])]
    layers = sorted({int(layer) for layer in part["layer"]})
    # Cells as high as each other, whatever was left out between them.
    rows = list(range(len(layers))) if has_gaps(layers) else layers
    masses = np.stack([
        part[part["language"] == code].pivot(index="layer", columns="step", values="mass").to_numpy(float)
        for code in codes
    ])  # fmt: skip
    top = part[part["language"] == codes[0]].pivot(index="layer", columns="step", values="top")
    words = top.map(lambda text: _short(text, _LONGEST)).to_numpy()
    leader = masses.argmax(0)
    colours = _colours(codes, masses)
    hovers = _hovers(part, codes, layers, len(tokens))
    traces: list[go.Heatmap | go.Scatter] = []
    for number, code in enumerate(codes):
        here = leader == number
        if not here.any():
            continue
        colour = colours[code]
        traces.append(
            go.Heatmap(
                z=np.where(here, masses[number], np.nan), x=list(range(len(tokens))), y=rows, zmin=0, zmax=1, xgap=1,
                ygap=1, colorscale=[[0, PAPER], [1, colour]], showscale=False, hoverongaps=False,
                text=np.where(here, words, ""), texttemplate="%{text}", textfont={"size": 10},
                customdata=hovers, hovertemplate="%{customdata}<extra></extra>", name=english_name(code),
            )
        )  # fmt: skip
    # a key to the colours: heat maps have none
    shown = [code for code in codes if colours[code] != _OTHERS and (leader == codes.index(code)).any()]
    traces += [_key(english_name(code), colours[code]) for code in shown]
    if any(colours[code] == _OTHERS for number, code in enumerate(codes) if (leader == number).any()):
        traces.append(_key("another", _OTHERS))
    figure = go.Figure(data=traces)
    switch = result.summary().iloc[prompt]
    room = max(1, ((look.get("width") or _WIDEST) - _LEFT - _RIGHT) // _COLUMN)
    in_view = min(room, len(tokens))
    width = max(_LEAST_WIDTH, _LEFT + _RIGHT + _COLUMN * in_view)
    ticks = [
        _tick(text, owner, colours)
        for text, owner in zip(tokens["token"], tokens["token_language"], strict=True)
    ]
    provenance = result.provenance
    end = f"…{safe(result.settings.prompts[prompt][-36:])}"
    subtitle = [*source_words(provenance), safe(lens_words(provenance)), f"after {isolated(end)}"]
    figure.update_layout(
        template=template(), dragmode="pan" if in_view < len(tokens) else "zoom", width=width,
        height=_TOP + _BOTTOM + _ROW * len(layers), margin={"l": _LEFT, "r": _RIGHT, "t": _TOP, "b": _BOTTOM},
        title={
            **ABOVE_PLOT, "text": "<b>Which language each layer would write, token by token</b>",
            "subtitle": {"text": " · ".join(subtitle), "font": {"size": 12.5, "color": MUTED}},
        },
        legend={"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        shapes=_marks(switch, layers, rows),
        meta={
            "how_to_read": _how_to_read(result, switch, in_view < len(tokens)), "made_with": made_with(provenance),
            "least_width": width,
            OWN_WIDTH: width, "column": _COLUMN, "in_view": int(switch["onset"]),
            # a narrow screen has room for fewer columns still
            "if_narrow": [] if in_view < len(tokens) else [_CUT],
        },
    )  # fmt: skip
    start = first_in_view(int(switch["onset"]), in_view, len(tokens))
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(tokens))), ticktext=ticks, tickangle=-45, showgrid=False,
        title={"text": "new token"}, fixedrange=False, range=[start - 0.5, start + in_view - 0.5],
    )  # fmt: skip
    step = 1 if len(layers) <= 40 else 2
    figure.update_yaxes(
        tickmode="array", tickvals=rows[::step], ticktext=[str(layer) for layer in layers[::step]], showgrid=False,
        title={"text": "layer"}, range=[rows[0] - 0.5, rows[-1] + 0.5],
    )  # fmt: skip
    return shaped(figure, **look)


def _colours(codes: list[str], masses: np.ndarray[Any, Any]) -> dict[str, str]:
    """Colours of the languages that have most probability; those that are left are grey."""
    order = np.argsort(-masses.sum((1, 2)), kind="stable")[: len(COLOURS)]
    # in the order given, so that a language has its colour in every prompt where few are told apart
    chosen = sorted(order.tolist()) if len(codes) <= len(COLOURS) else order.tolist()
    return dict.fromkeys(codes, _OTHERS) | {
        codes[number]: colour for number, colour in zip(chosen, COLOURS, strict=False)
    }


def _key(name: str, colour: str) -> go.Scatter:
    return go.Scatter(
        x=[None], y=[None], mode="markers", name=name, marker={"symbol": "square", "size": 11, "color": colour},
        hoverinfo="skip",
    )  # fmt: skip


def _tick(text: object, owner: object, colours: dict[str, str]) -> str:
    shown = _short(text, _LONGEST_TICK)
    return f"<span style='color:{colours[str(owner)]}'><b>{shown}</b></span>" if owner else shown


def _marks(switch: pd.Series, layers: list[int], rows: list[int]) -> list[dict[str, Any]]:
    """A line before the first token of the new language, and a frame around the layer from which on it leads."""
    if switch["step"] < 0:
        return []
    step = int(switch["onset"])
    shapes: list[dict[str, Any]] = [
        {
            "type": "line", "x0": step - 0.5, "x1": step - 0.5, "y0": rows[0] - 0.5, "y1": rows[-1] + 0.5,
            "line": {"color": INK, "width": 2, "dash": "4px,3px"},
        }
    ]  # fmt: skip
    if switch["layer"] in layers:
        row = rows[layers.index(int(switch["layer"]))]
        shapes.append({
            "type": "rect", "x0": step - 0.5, "x1": step + 0.5, "y0": row - 0.5, "y1": row + 0.5,
            "line": {"color": INK, "width": 2.5},
        })  # fmt: skip
    return shapes


def _how_to_read(result: Traced, switch: pd.Series, cut: bool) -> list[str]:
    certainty = percent(result.settings.certainty or 0)
    lines = [
        "Each column is a new token, below in the colour of the language that it belongs to; each row is a layer, on "
        "top the last, the model's own output. A cell has the colour of the language whose tokens have most "
        "probability in what that layer would say in the token's place, the stronger the more probability that is, and "
        "holds the layer's likeliest token. Hover shows all languages with their nulls: how much of each a layer has "
        "over text in the other languages.",
        f"A token belongs to a language with a certainty of at least {certainty}, or to none; faint cells give most of "
        "their probability to tokens that belong to none.",
    ]
    if switch["step"] >= 0:
        framed = (
            "; framed is the layer from which on that language leads there, above its null, up to the last"
        )
        lines.append(
            "The dashed line stands where the text goes on in "
            f"{english_name(switch['language'])}{framed if switch['layer'] >= 0 else ''}."
        )
    if cut:
        lines.append(_CUT)
    return lines


def _hovers(part: pd.DataFrame, codes: list[str], layers: list[int], steps: int) -> np.ndarray[Any, Any]:
    """Hover text ``[layer, step]``."""
    hovers = np.empty((len(layers), steps), object)
    ordered = part.sort_values(["step", "layer"], kind="stable")
    # languages of one cell follow each other
    for start in range(0, len(ordered), len(codes)):
        cell = ordered.iloc[start : start + len(codes)]
        first = cell.iloc[0]
        owner = f" ({english_name(first['token_language'])})" if first["token_language"] else ""
        lines = [
            f"layer {first['layer']}, new token {first['step'] + 1}: {isolated(safe(first['token']))}{owner}",
            f"likeliest there: {isolated(safe(first['top']))}",
            *(
                f"{row['mass']:.3f} {english_name(row['language'])} (null {row['null']:.3f}, up to "
                f"{row['null_high']:.3f})"
                for row in cell.sort_values("mass", ascending=False).head(6).to_dict("records")
            ),
        ]
        hovers[layers.index(int(first["layer"])), int(first["step"])] = "<br>".join(lines)
    return hovers


def _short(text: object, length: int) -> str:
    """A token for a label: cut at its end, escaped, its direction its own."""
    plain = str(text)
    return isolated(safe(plain if len(plain) <= length else plain[: length - 1] + "…"))
