"""The lens figure: probability curves over layers with their nulls, and the entropy strip above.

After Figures 1 and 3 of Zhang et al. 2024 and Figure 2 of Wendler et al. 2024.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import FRAME, Grid, Panel, ceiling, grid, has_gaps, layer_ticks, step
from latentlang.figures.lens_curves import STYLES, CurveStyle, Points, legend_columns
from latentlang.figures.lens_notes import emptiest_corner, unread, wrapped
from latentlang.figures.lens_text import how_to_read, subtitle, title
from latentlang.figures.shaping import Look, chosen_curves, chosen_languages, shaped
from latentlang.figures.style import (
    BASELINE,
    ENTROPY_SCALE,
    INK,
    ISOLATES,
    MUTED,
    english_name,
    font_stack,
    own_name,
    safe,
    shortened,
    template,
    translucent,
)
from latentlang.figures.text_width import pixels

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.language_names import Language
    from latentlang.lens.lens_settings import LensSettings
    from latentlang.provenance import Provenance


class LensCurves(Protocol):
    """What a result must have to be drawn: `LensResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``task, language, item, label, layer, curve, value``."""

    @property
    def provenance(self) -> Provenance:
        """Model, adapter, task and policy."""

    @property
    def settings(self) -> LensSettings:
        """The settings of the run."""

    def summary(self) -> pd.DataFrame:
        """Columns ``task, language, layer, curve, mean, low, high, n``: 95% intervals over items."""


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels that differ between one large panel and a grid of small ones."""

    head: int
    strip: int
    plot: int
    most_ticks: int
    line: float  # factor on the width of lines
    top: int = 84


_ONE = _Layout(head=0, strip=30, plot=330, most_ticks=17, line=1.0)
_FEW = _Layout(head=28, strip=16, plot=210, most_ticks=9, line=0.9)
_MANY = _Layout(head=26, strip=10, plot=124, most_ticks=5, line=0.75)
_MOST_FEW = 6
# Entropy is written into the strip's cells as long as they are wide enough for it.
_MOST_CELLS_TENTHS, _MOST_CELLS_WHOLE = 20, 40
_LEGEND_ROW = 23
_LEGEND_SIZE, _LEGEND_KEY = 12, 50  # of a name; what stands before it and after it, in pixels
_LEFT, _RIGHT = 64, 18
_MOST_WIDE = 960  # that a legend may ask for
_LONGEST_NOTE, _LONGEST_NOTE_MANY = 44, 28  # characters in a line
_BAR = 0.16  # of the plot's width


def lens_figure(
    result: LensCurves,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    curves: str | Iterable[str] | None = None,
    columns: int | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw what each layer would say: one panel per language, curves with 95% bands, entropy above.

    The figure fits its width to the page; for a file give one: ``figure.write_image("lens.png", width=1000)``.

    Args:
        result: a `LensResult`, new or loaded from disk.
        languages: target languages to draw, in this order; by default all.
        curves: names of the curves to draw, as in the table (``target``, ``pivot_null``, ``entropy``); by default all.
        columns: of panels; by default as many as suit their number.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw, the table holds several tasks, or a language or curve is not in it.
    """
    summary = result.summary()
    tasks = list(dict.fromkeys(summary["task"].astype(str)))
    if not tasks:
        raise InputError("the result holds no readings: there is nothing to draw")
    if len(tasks) > 1:
        raise InputError(f"the result holds several tasks ({', '.join(tasks)}); draw one task at a time")
    codes = list(dict.fromkeys([*result.provenance.languages, *summary["language"].astype(str)]))
    codes = chosen_languages(languages, codes)
    names = chosen_curves(curves, list(dict.fromkeys(summary["curve"].astype(str))))
    summary = summary[summary["language"].astype(str).isin(codes)]
    layout = _ONE if len(codes) == 1 else _FEW if len(codes) <= _MOST_FEW else _MANY
    drawing = _LensDrawing(
        result, summary, codes, layout, curves=names, columns=columns, width=look.get("width")
    )
    return shaped(drawing.figure(), **look)


class _LensDrawing:
    """One figure in the making."""

    def __init__(
        self,
        result: LensCurves,
        summary: pd.DataFrame,
        codes: Sequence[str],
        look: _Layout,
        *,
        curves: Sequence[str],
        columns: int | None,
        width: int | None = None,
    ) -> None:
        self.width = width
        self.provenance, self.settings = result.provenance, result.settings
        self.codes = codes
        self.look = look
        self.one = len(codes) == 1
        present = summary[summary["mean"].notna()].sort_values("layer")
        self.read = {
            (str(code), str(curve)): Points(*(part[name].tolist() for name in Points.names))
            for (code, curve), part in present.groupby(["language", "curve"], sort=False, observed=True)
        }
        self.curves = {key: points for key, points in self.read.items() if key[1] in curves}
        self.drawn = [s for s in STYLES if any(curve == s.curve for _, curve in self.curves)]
        self.closed = any(curve.endswith("_any") for _, curve in self.read)
        self.layers = sorted({int(layer) for layer in summary["layer"]})
        self.pivot = self.settings.pivot
        self.sources = {code: self.provenance.source_of(code) for code in codes}
        counted = result.table.groupby("language", observed=True)["item"].nunique()
        self.items = {str(code): int(count) for code, count in counted.items()}
        probabilities = summary[summary["curve"].astype(str).isin(set(curves) - {"entropy"})][
            ["mean", "high"]
        ]
        self.ceiling = ceiling(float(probabilities.max().max()) if len(probabilities) else 0.0)
        self.grid: Grid = grid(len(codes), head=look.head, strip=look.strip, plot=look.plot, columns=columns)
        self.named: set[str] = set()
        self.traces: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {"template": template()}

    def figure(self) -> go.Figure:
        # The answers last: on top.
        behind_first = sorted(self.drawn, key=lambda s: (s.curve != s.role, s.role), reverse=True)
        for panel, code in zip(self.grid.panels, self.codes, strict=True):
            self._axes(panel)
            self._strip(panel, code)
            for style in behind_first:
                self._curve(panel, code, style)
            if not any((code, style.curve) in self.curves for style in self.drawn):
                self._blank(panel)
            self._heading(panel, code)
            self._notes(panel, code)
        self._frame()
        # All at once: plotly checks a whole figure faster than its parts one by one.
        return go.Figure(data=self.traces, layout={**self.layout, "annotations": self.annotations})

    # one panel

    def _axes(self, panel: Panel) -> None:
        x, y, strip = self._axis_names(panel)
        # A little air below zero and above one: a line that lies there is drawn whole.
        air = 0.016 * self.ceiling
        upper = self.ceiling + (air if self.ceiling == 1 else 0)
        self.layout[_layout_key(x)] = {
            "domain": panel.x,
            "anchor": y,
            "range": [self.layers[0] - 0.5, self.layers[-1] + 0.5],
            "tickvals": layer_ticks(self.layers, self.look.most_ticks),
            "showticklabels": panel.lowest,
            "showgrid": False,
            "spikecolor": BASELINE,
            "spikethickness": 1,
            "spikedash": "solid",
            **({"title": {"text": "layer (residual stream after block)"}} if self.one else {}),
            **({} if panel.index == 0 else {"matches": "x"}),
        }
        self.layout[_layout_key(y)] = {
            "domain": panel.plot,
            "anchor": x,
            "range": [-air, upper],
            "dtick": step(self.ceiling, 6 if self.one else 4),
            "tickformat": "~g",
            "showticklabels": panel.first_column,
            "zeroline": True,
            "zerolinecolor": BASELINE,
            "zerolinewidth": 1,
            "title": {"text": "probability" if panel.first_column else None},
            **({} if panel.index == 0 else {"matches": "y"}),
        }
        self.layout[_layout_key(strip)] = {
            "domain": panel.strip,
            "anchor": x,
            "range": [-0.5, 0.5],
            "tickvals": [0],
            "ticktext": ["entropy<br>(bits)"],
            "showticklabels": any(curve == "entropy" for _, curve in self.curves) and self.one,
            "showgrid": False,
            "fixedrange": True,
        }

    def _axis_names(self, panel: Panel) -> tuple[str, str, str]:
        number, count = panel.index + 1, len(self.codes)
        return f"x{number if number > 1 else ''}", f"y{number if number > 1 else ''}", f"y{count + number}"

    def _strip(self, panel: Panel, code: str) -> None:
        points = self.curves.get((code, "entropy"))
        if points is None:
            return
        x, _, y = self._axis_names(panel)
        drawn = range(points.layer[0], points.layer[-1] + 1)
        at = {layer: place for place, layer in enumerate(points.layer)}
        # One cell for each layer, empty where it was not read: a wide one would be taken for several.
        z, rows = (
            [values[at[layer]] if layer in at else None for layer in drawn]
            for values in (points.mean, points.rows)
        )
        narrow = len(drawn) > _MOST_CELLS_TENTHS
        written = self.one and len(drawn) <= _MOST_CELLS_WHOLE
        self.traces.append({
            "type": "heatmap", "x": list(drawn), "y": [0], "z": [z], "customdata": [rows],
            "hoverongaps": not has_gaps(self.layers),
            "coloraxis": "coloraxis", "xaxis": x, "yaxis": y, "xgap": 0 if narrow and not self.one else 1,
            "name": "entropy", "hovertemplate": _hover("z", ".2f", name="entropy (bits)"),
            "texttemplate": ("%{z:.0f}" if narrow else "%{z:.1f}") if written else None, "textfont": {"size": 10.5},
        })  # fmt: skip

    def _curve(self, panel: Panel, code: str, style: CurveStyle) -> None:
        points = self.curves.get((code, style.curve))
        if points is None:
            return
        x, y, _ = self._axis_names(panel)
        name = self._label(style, code=code)
        shared = {"type": "scatter", "xaxis": x, "yaxis": y, "legendgroup": style.curve}
        banded = points.banded()
        if banded.layer:
            self.traces.append({
                **shared, "x": banded.layer + banded.layer[::-1], "y": banded.high + banded.low[::-1],
                "mode": "lines", "line": {"width": 0}, "fill": "toself",
                "fillcolor": translucent(style.colour, style.band), "hoverinfo": "skip", "showlegend": False,
                "name": f"{name}, 95% band",
            })  # fmt: skip
        first = style.curve not in self.named
        self.named.add(style.curve)
        # A single layer makes no line, and a line over layers that were not read must show where it was.
        lone = (
            {"mode": "markers" if alone else "lines+markers", "marker": {"size": 6, "color": style.colour}}
            if (alone := len(points.layer) == 1) or has_gaps(points.layer)
            else {}
        )
        self.traces.append({
            **shared, "x": points.layer, "y": points.mean, "customdata": points.rows, "mode": "lines",
            "line": {"color": style.colour, "width": style.width * self.look.line, "dash": style.dash},
            "name": self._label(style), "legendrank": 1000 + STYLES.index(style), "showlegend": first,
            "hovertemplate": _hover("y", ".3f" if self.ceiling >= 0.05 else ".2~e", name=name), **lone,
        })  # fmt: skip

    def _blank(self, panel: Panel) -> None:
        """Keep an empty panel's axes: plotly drops those that no trace uses."""
        x, y, _ = self._axis_names(panel)
        self.traces.append({
            "type": "scatter", "x": [None], "y": [None], "xaxis": x, "yaxis": y, "mode": "lines", "name": "",
            "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip

    def _label(self, style: CurveStyle, code: str | None = None) -> str:
        """A curve's name: in the legend of several languages, ``code`` None, for all of them at once."""
        words = style.words(closed=self.closed)
        if style.role == "pivot":
            return f"{english_name(self.pivot)}: {words}"
        if style.role == "source":
            sources = {self.sources[code]} if code else set(self.sources.values()) - {None}
            return f"{english_name(str(sources.pop())) if len(sources) == 1 else 'Language of the prompt'}: {words}"
        if code is None and not self.one:
            return f"Target language: {words}"
        return f"{english_name(code or self.codes[0])}: {words}"

    def _heading(self, panel: Panel, code: str) -> None:
        if self.one:
            return
        shared = {
            "y": panel.strip[1], "yanchor": "bottom", "yshift": 2,
        }  # fmt: skip
        english, native = english_name(code), own_name(code)
        text = f"<b>{native}</b>" + (
            f" <span style='color:{MUTED}'>{english}</span>" if english != native.strip(ISOLATES) else ""
        )
        font = {"family": font_stack(code), "size": 13 if self.look is _MANY else 15}
        self._say(text, x=panel.x[0], xanchor="left", xshift=-2, font=font, **shared)
        accuracy = self.settings.accuracy.get(code)
        if accuracy is not None:
            self._say(
                f"accuracy {accuracy:.2f}", x=panel.x[1], xanchor="right", xshift=2,
                font={"size": 10 if self.look is _MANY else 12, "color": MUTED}, **shared,
            )  # fmt: skip

    def _notes(self, panel: Panel, code: str) -> None:
        """Say in the panel what could not be read: an absent curve must not look like a probability of zero."""
        curves = {curve: points for (language, curve), points in self.read.items() if language == code}
        line = unread(curves, items=self.items.get(code, 0), language=code, pivot=self.pivot)
        if not line:
            return
        why = self.settings.notes.get(code)
        width = _LONGEST_NOTE_MANY if self.look is _MANY else _LONGEST_NOTE
        right, low = emptiest_corner(curves, self.layers, self.ceiling)
        (left_end, right_end), (bottom, top) = panel.x, panel.plot
        # In the paper's coordinates: an axis that plotly dropped would send the note to another panel.
        self._say(
            "<br>".join(wrapped(line, width)), hovertext=safe(shortened(why, 300)) if why else None,
            x=right_end if right else left_end, xanchor="right" if right else "left", xshift=-8 if right else 8,
            y=bottom + (0.5 if low else 0.97) * (top - bottom), yanchor="top", align="right" if right else "left",
            font={"size": 10.5 if self.look is _MANY else 12, "color": MUTED},
        )  # fmt: skip

    def _say(self, text: str, **where: Any) -> None:
        """Write into the figure, in the paper's coordinates."""
        self.annotations.append({"text": text, "showarrow": False, "xref": "paper", "yref": "paper", **where})

    # all panels

    def _frame(self) -> None:
        names = [trace["name"] for trace in self.traces if trace.get("showlegend")]
        entry = _LEGEND_KEY + max((pixels(name, _LEGEND_SIZE) for name in names), default=0)
        # plotly cuts a name that is wider than its column
        room = 0.97 * ((self.width or _MOST_WIDE) - _LEFT - _RIGHT)
        columns = max(1, min(legend_columns([style.curve for style in self.drawn]), int(room // entry)))
        rows = -(-len(self.named) // columns)
        below = 64 + rows * _LEGEND_ROW + 6
        entropies = [max(points.mean) for (_, curve), points in self.curves.items() if curve == "entropy"]
        bar_needed = not self.one or self.layers[-1] - self.layers[0] >= _MOST_CELLS_WHOLE
        self.layout.update(
            title={
                "text": title(self.provenance, self.codes),
                "subtitle": {
                    "text": subtitle(self.provenance, self.settings, self.codes, self.items),
                    "font": {"size": 12.5, "color": MUTED}
                },
                **ABOVE_PLOT,
            },
            height=self.look.top + self.grid.height + below,
            margin={"l": _LEFT, "r": _RIGHT, "t": self.look.top, "b": below, "autoexpand": False},
            hovermode="x unified",
            hoversubplots="axis",
            legend={
                "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
                "entrywidthmode": "fraction", "entrywidth": 0.97 / columns,
            },
            coloraxis={
                "colorscale": list(ENTROPY_SCALE), "cmin": 0, "cmax": math.ceil(max(entropies, default=1) or 1),
                "showscale": bool(entropies) and bar_needed,
                "colorbar": {
                    "orientation": "h", "x": 1, "xanchor": "right", "y": 0, "yanchor": "top", "len": _BAR,
                    "thickness": 9, "outlinewidth": 0, "nticks": 4, "ypad": 29, "xpad": 0,
                    "tickfont": {"size": 11, "color": MUTED},
                },
            },
            meta={
                "how_to_read": how_to_read(
                    self.provenance, self.settings, self.codes, closed=self.closed, one=self.one,
                    copied=any(style.role == "source" for style in self.drawn),
                ),
                "made_with": made_with(self.provenance),
                "least_width": max(
                    760 if columns <= 2 else 960, 120 + 210 * self.grid.columns,
                    math.ceil(columns * entry / 0.97) + _LEFT + _RIGHT,
                ),
            },
        )  # fmt: skip
        if entropies and bar_needed:
            # The bar's own title would lie on the bar.
            self._say(
                "entropy (bits)", name=FRAME, x=1 - _BAR - 0.008, y=0, xanchor="right",
                yanchor="top", yshift=-24, font={"size": 12, "color": INK},
            )  # fmt: skip
        if not self.one:
            self._say(
                "layer (residual stream after block)", name=FRAME, x=0.5, y=0,
                xanchor="center", yanchor="top", yshift=-24, font={"size": 13, "color": INK},
            )  # fmt: skip


def _hover(axis: str, digits: str, *, name: str) -> str:
    """Mean, interval and n, as plotly wants it."""
    bounds = f"%{{customdata[0]:{digits}}} to %{{customdata[1]:{digits}}}"
    return f"<b>%{{{axis}:{digits}}}</b>  ({bounds}; n = %{{customdata[2]:d}})  {name}<extra></extra>"


def _layout_key(axis: str) -> str:
    return f"{axis[0]}axis{axis[1:]}"
