"""The lens before and after: curves side by side, and the paired difference layer by layer with its band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.arguments import split_names
from latentlang.errors import InputError
from latentlang.figures.header import (
    adapter_words,
    after_words,
    is_plain,
    is_tuned,
    lens_words,
    made_with,
    model_words,
    through_words,
)
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import ceiling, grid, layer_ticks, step
from latentlang.figures.lens_curves import STYLES, CurveStyle, Points
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    BASELINE,
    INK,
    MUTED,
    english_name,
    font_stack,
    own_name,
    plain_name,
    safe,
    template,
    translucent,
)
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.lens import LensResult

#: Columns of a row of panels: state, its heading.
_STATES = (("before", "before (base)"), ("after", "after (tuned)"), ("difference", "after − before"))
_DRAWN = ("target", "target_null", "pivot", "pivot_null")
_TOP, _BELOW, _LEFT, _RIGHT = 92, 104, 64, 18
_HEAD, _ROW_HEIGHT, _ROW_GAP = 46, 200, 26
_GAPS = (0.03, 0.07)  # of the width, between the columns: the difference has an axis of its own
_SMALL, _SMALL_HEAD = 118, 26
_ALONE = {"all": "", "seen": ", seen in training", "unseen": ", never seen in training"}
_GROUPS = {
    "all": "mean over {}", "seen": "mean over {} seen in training", "unseen": "mean over {} never seen in training",
}  # fmt: skip


class LensChange(Protocol):
    """What a comparison must have to be drawn: `LensComparison` has it."""

    @property
    def base(self) -> LensResult:
        """The readings before."""

    @property
    def tuned(self) -> LensResult:
        """The readings after."""

    @property
    def seen_languages(self) -> tuple[str, ...]:
        """Languages seen in training."""

    @property
    def pivot(self) -> str:
        """Code of the pivot language."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the target languages."""

    @property
    def groups(self) -> dict[str, list[str]]:
        """Groups of languages."""

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of all curves that were read."""

    def summary(
        self, where: str | Sequence[str] | None = None, *, curves: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Curves before, after and their difference per language and group."""


@dataclass(frozen=True)
class _Panel:
    """One plot: of which language or group, which state, and where it lies."""

    index: int
    where: str
    state: str
    x: tuple[float, float]
    y: tuple[float, float]
    numbers: bool  # on its vertical axis
    lowest: bool


def lens_change_figure(
    comparison: LensChange, where: str | Sequence[str] | None = None, **look: Unpack[Look]
) -> go.Figure:
    """Draw curves before, after and their difference, a row for each language or group of languages.

    Args:
        comparison: a `LensComparison`.
        where: languages and groups; by default the groups there are.
        **look: as in `Look`.

    Raises:
        InputError: an unknown language, or nothing to draw.
    """
    rows = list(comparison.groups) if where is None else split_names(where)
    step_height = _HEAD + _ROW_HEIGHT + _ROW_GAP
    height = len(rows) * step_height - _ROW_GAP
    width = (1 - sum(_GAPS)) / len(_STATES)
    panels: list[_Panel] = []
    for number, name in enumerate(rows):
        top = number * step_height + _HEAD
        left = 0.0
        for column, (state, _) in enumerate(_STATES):
            panels.append(
                _Panel(
                    len(panels), name, state, (left, min(1.0, left + width)),
                    (max(0.0, 1 - (top + _ROW_HEIGHT) / height), 1 - top / height), column != 1,
                    number == len(rows) - 1,
                )
            )  # fmt: skip
            left += width + (_GAPS[column] if column < len(_GAPS) else 0)
    drawing = _LensChangeDrawing(comparison, panels, height, "The layers before and after", wide=True)
    return shaped(drawing.figure(), **look)


def lens_differences_figure(comparison: LensChange) -> go.Figure:
    """Draw the difference alone, a small panel for each language.

    Args:
        comparison: a `LensComparison`.

    Raises:
        InputError: nothing to draw.
    """
    codes = list(comparison.languages)
    laid = grid(len(codes), head=_SMALL_HEAD, strip=0, plot=_SMALL, strip_gap=0)
    panels = [
        _Panel(panel.index, code, "difference", panel.x, panel.plot, panel.first_column, panel.lowest)
        for panel, code in zip(laid.panels, codes, strict=True)
    ]
    drawing = _LensChangeDrawing(comparison, panels, laid.height, "What changed in each language", wide=False)
    return shaped(drawing.figure())


class _LensChangeDrawing:
    """One figure in the making."""

    def __init__(
        self, comparison: LensChange, panels: Sequence[_Panel], height: int, title: str, *, wide: bool
    ) -> None:
        self.comparison, self.panels, self.height, self.title, self.wide = (
            comparison,
            panels,
            height,
            title,
            wide,
        )
        self.summary = comparison.summary(list(dict.fromkeys(panel.where for panel in panels)), curves=_DRAWN)
        self.drawn = [
            style
            for style in STYLES
            if style.curve in _DRAWN and (self.summary["curve"] == style.curve).any()
        ]
        if not self.drawn:
            raise InputError("nothing was read in these languages: there is nothing to draw")
        self.layers = sorted({int(layer) for layer in self.summary["layer"]})
        drawn_rows = self.summary[self.summary["curve"].isin([style.curve for style in self.drawn])]
        self.ceiling = ceiling(float(drawn_rows[["before_high", "after_high"]].max().max()))
        # At least a hundredth: what is smaller must not look like much.
        self.reach = ceiling(max(0.01, float(drawn_rows[["low", "high"]].abs().max().max())))
        self.traces: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {"template": template()}
        items = comparison.base.table.groupby("language", observed=True)["item"].nunique()
        self.items = {str(code): int(count) for code, count in items.items()}
        self.named: set[str] = set()

    def figure(self) -> go.Figure:
        behind_first = sorted(
            self.drawn, key=lambda style: (style.curve != style.role, style.role), reverse=True
        )
        for panel in self.panels:
            self._axes(panel)
            curves = [style for style in behind_first if self._curve(panel, style)]
            if not curves:
                self._blank(panel)
            self._headings(panel)
        self._frame()
        return go.Figure(data=self.traces, layout={**self.layout, "annotations": self.annotations})

    def _names(self, panel: _Panel) -> tuple[str, str]:
        number = "" if panel.index == 0 else str(panel.index + 1)
        return f"x{number}", f"y{number}"

    def _axes(self, panel: _Panel) -> None:
        x, y = self._names(panel)
        change = panel.state == "difference"
        bounds = (
            [-1.04 * self.reach, 1.04 * self.reach]
            if change
            else [-0.016 * self.ceiling, self.ceiling * 1.016]
        )
        first = next(other for other in self.panels if (other.state == "difference") == change)
        self.layout[f"xaxis{x[1:]}"] = {
            "domain": panel.x, "anchor": y, "range": [self.layers[0] - 0.5, self.layers[-1] + 0.5],
            "tickvals": layer_ticks(self.layers, 9 if self.wide else 5), "showticklabels": panel.lowest or self.wide,
            "showgrid": False, "spikecolor": BASELINE,
            "spikethickness": 1, "spikedash": "solid", **({} if panel.index == 0 else {"matches": "x"}),
        }  # fmt: skip
        words = "change of probability" if change else "probability"
        self.layout[f"yaxis{y[1:]}"] = {
            "domain": panel.y, "anchor": x, "range": bounds, "zeroline": True, "zerolinewidth": 1,
            "dtick": step(2 * self.reach if change else self.ceiling, 4), "tickformat": "+~g" if change else "~g",
            "zerolinecolor": MUTED if change else BASELINE, "showticklabels": panel.numbers,
            "title": {"text": words if panel.numbers and self.wide else None, "standoff": 6, "font": {"size": 12}},
            **({} if panel is first else {"matches": self._names(first)[1]}),
        }  # fmt: skip

    def _curve(self, panel: _Panel, style: CurveStyle) -> bool:
        rows = self.summary[(self.summary["where"] == panel.where) & (self.summary["curve"] == style.curve)]
        if rows.empty:
            return False
        prefix = "" if panel.state == "difference" else f"{panel.state}_"
        points = Points(
            rows["layer"].tolist(), rows[panel.state].tolist(), rows[f"{prefix}low"].tolist(),
            rows[f"{prefix}high"].tolist(), rows["n"].tolist(),
        )  # fmt: skip
        x, y = self._names(panel)
        name = self._label(style, panel.where)
        shared = {"type": "scatter", "xaxis": x, "yaxis": y, "legendgroup": style.curve}
        self.traces.append({
            **shared, "x": points.layer + points.layer[::-1], "y": points.high + points.low[::-1], "mode": "lines",
            "line": {"width": 0}, "fill": "toself", "fillcolor": translucent(style.colour, style.band),
            "hoverinfo": "skip", "showlegend": False, "name": f"{name}, 95% band",
        })  # fmt: skip
        digits = "+.3f" if panel.state == "difference" else ".3f"
        bounds = f"%{{customdata[0]:{digits}}} to %{{customdata[1]:{digits}}}"
        self.traces.append({
            **shared, "x": points.layer, "y": points.mean, "customdata": points.rows,
            "mode": "lines" if len(points.layer) > 1 else "markers", "marker": {"color": style.colour},
            "line": {"color": style.colour, "width": style.width * (0.9 if self.wide else 0.75), "dash": style.dash},
            "name": self._label(style), "showlegend": style.curve not in self.named,
            "legendrank": 1000 + STYLES.index(style),
            "hovertemplate": f"<b>%{{y:{digits}}}</b>  ({bounds})  {name}<extra></extra>",
        })  # fmt: skip
        self.named.add(style.curve)
        return True

    def _label(self, style: CurveStyle, where: str | None = None) -> str:
        words = style.words(closed=any(curve.endswith("_any") for curve in self.comparison.curves))
        if style.role == "pivot":
            return f"{english_name(self.comparison.pivot)}: {words}"
        if where is None or where in self.comparison.groups:
            return f"Target language: {words}"
        return f"{english_name(where)}: {words}"

    def _blank(self, panel: _Panel) -> None:
        """Keep an empty panel's axes: plotly drops those that no trace uses."""
        x, y = self._names(panel)
        self.traces.append({
            "type": "scatter", "x": [None], "y": [None], "xaxis": x, "yaxis": y, "mode": "lines", "name": "",
            "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip
        self._say(
            "nothing could be read", x=panel.x[0], xanchor="left", xshift=8, y=panel.y[1], yanchor="top", yshift=-6,
            font={"size": 11, "color": MUTED},
        )  # fmt: skip

    def _headings(self, panel: _Panel) -> None:
        if panel.where in self.comparison.groups:
            counts = self.summary.loc[self.summary["where"] == panel.where, "languages"]
            few, many = int(counts.min()), int(counts.max())
            members = self.comparison.groups[panel.where]
            count = counted(many if few == many else f"{few} to {many}", "language")
            alone = len(members) == 1
            row = (
                english_name(members[0]) + _ALONE[panel.where]
                if alone
                else _GROUPS[panel.where].format(count)
            )
        else:
            english, native = english_name(panel.where), own_name(panel.where)
            mark = " ■" if panel.where in self.comparison.seen_languages else ""
            beside = f"{english}{mark}{self._read(panel.where)}"
            row = f"{native} <span style='color:{MUTED};font-weight:400'>{beside}</span>"
        shared = {"x": panel.x[0], "xanchor": "left", "xshift": -2, "y": panel.y[1], "yanchor": "bottom"}
        if not self.wide:
            return self._say(
                f"<b>{row}</b>", yshift=3, font={"size": 13, "family": font_stack(panel.where)}, **shared
            )
        column = next(words for state, words in _STATES if state == panel.state)
        self._say(column, yshift=3, font={"size": 12.5, "color": MUTED}, **shared)
        if panel.state == _STATES[0][0]:
            self._say(
                f"<b>{row}</b>", yshift=22, font={"size": 14, "family": font_stack(panel.where)}, **shared
            )
        return None

    def _read(self, code: str) -> str:
        """How many of a language's items could be read, where it is not all of them."""
        items = self.items.get(code, 0)
        curves = [style.curve for style in self.drawn if not style.curve.endswith("_null")]
        rows = self.summary[(self.summary["where"] == code) & self.summary["curve"].isin(curves)]
        counts = sorted({int(count) for count in rows["n"]})
        if not counts or counts[0] >= items:
            return ""
        span = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        return f" · {span} of {counted(items, 'item')}"

    def _frame(self) -> None:
        provenance = self.comparison.base.provenance
        later = self.comparison.tuned.provenance
        is_other = later.model != provenance.model
        after = after_words(later.model) if is_other else adapter_words(later.adapter)
        counts = sorted(set(self.items.values()))
        items = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        under = [
            model_words(provenance), after, safe(provenance.task),
            f"{counted(items, 'item')} a language", f"policy {safe(provenance.policy)}",
        ]  # fmt: skip
        if through := through_words(provenance):
            under.append(f"read {through}")
        if self.comparison.seen_languages and not self.wide:
            under.append("■ seen in training")
        self._say(
            "layer (residual stream after block)", x=0.5, y=0, xanchor="center", yanchor="top", yshift=-24,
            font={"size": 13, "color": INK},
        )  # fmt: skip
        self.layout.update(
            title={
                "text": f"<b>{self.title}</b>",
                "subtitle": {"text": " · ".join(under), "font": {"size": 12.5, "color": MUTED}},
                **ABOVE_PLOT,
            },
            height=_TOP + self.height + _BELOW,
            margin={"l": _LEFT, "r": _RIGHT, "t": _TOP, "b": _BELOW, "autoexpand": False},
            hovermode="x unified",
            legend={
                "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
                "entrywidthmode": "fraction", "entrywidth": 0.48,
            },
            meta={
                "how_to_read": self._how_to_read(), "made_with": made_with(self.comparison.tuned.provenance),
                "least_width": 900,
            },
        )  # fmt: skip

    def _how_to_read(self) -> list[str]:
        pivot = plain_name(self.comparison.pivot)
        provenance = self.comparison.base.provenance
        how = "were it the last" if is_plain(provenance) else f"as the {lens_words(provenance)} reads it"
        how = "as a translator trained towards the output reads it" if is_tuned(provenance) else how
        first = (
            f"Before and after: what each layer would say, {how}: the probability of the "
            f"right word in the target language (blue) and in {pivot} (orange), averaged over items; dashed, that "
            f"of wrong words, the null. Only the distance of {pivot} from its null is evidence that the answer can "
            "be read in it; that it is used is not shown. After − before: the difference, item by item."
            if self.wide
            else "After minus before, layer by layer: the change of the probability of the right word in the target "
            f"language (blue) and in {pivot} (orange), averaged over items; dashed, that of wrong words, the null."
        )
        return [
            first,
            "The band of a difference is a 95% bootstrap interval of the items' own differences: where it holds zero, "
            "that layer by itself gives no evidence of change. With many layers and languages some bands miss zero by "
            "chance; the change map says which changes are more than that. A language or curve is missing where no "
            "token tells its answers, or the wrong ones, apart from another language's."
            + (
                " A mean counts each language alike; its band is over items, and says nothing about other languages."
                if self.wide
                else ""
            ),
        ]

    def _say(self, text: str, **where: Any) -> None:
        self.annotations.append({"text": text, "showarrow": False, "xref": "paper", "yref": "paper", **where})
