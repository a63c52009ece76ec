"""The change map: languages over layers, how much each cell changed, and which changes are more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import made_with, source_words
from latentlang.figures.headings import BESIDE_ROWS, USUAL_WIDTH
from latentlang.figures.layout import layer_ticks
from latentlang.figures.lens_notes import wrapped
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    INK,
    MUTED,
    PIVOT,
    TARGET,
    english_name,
    ink_on,
    own_name,
    plain_name,
    safe,
    shade,
    template,
    tint,
)
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.text import counted, signed

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance

#: Curves and measures that `comparison_maps` shows where they were read.
CURVES, MEASURES = ("target", "gap"), ("cka", "retrieval_ab")
# From a fall to a rise, white between: told apart with colour blindness, and by the dots' signs in grey.
_SCALE = [
    *(tint(PIVOT, share) for share in (1, 0.7, 0.4, 0.15)), "#FFFFFF",
    *(tint(TARGET, share) for share in (0.15, 0.4, 0.7, 1)),
]  # fmt: skip
_LEAST = 0.02  # of the colour scale: smaller changes must not look like large ones
#: Least change that is framed: paired readings tell apart from chance what no reader would care for.
LEAST_MARKED = 0.01
_ROW, _TOP, _HEAD, _BELOW, _LEFT = 22, 84, 28, 116, 132
_TITLE_LETTER, _TITLE_LINE = 7.6, 17  # width and height in pixels that a bold title takes
_LEAST_CELL, _WIDEST_CELL = 6, 27  # width of a cell in pixels, where the page has no more room
_MOST_WRITTEN = 28  # cells in a row of the whole figure that are wide enough for a number
_GAP = 0.018


class LensChanges(Protocol):
    """What a lens comparison must have: `LensComparison` has it."""

    @property
    def curves(self) -> tuple[str, ...]:
        """Names of the curves."""

    @property
    def pivot(self) -> str:
        """Code of the pivot language."""

    def map(self, curve: str) -> pd.DataFrame:
        """Columns ``language, layer, before, after, difference, low, high, n, change``."""


class AlignmentChanges(Protocol):
    """What an alignment comparison must have: `AlignmentComparison` has it."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures."""

    @property
    def pivot(self) -> str:
        """Code of the pivot language."""

    def map(self, measure: str, pools: str | None = None) -> pd.DataFrame:
        """The same columns."""


class Comparison(Protocol):
    """What a whole comparison must have: `ComparisonResult` has it."""

    @property
    def lens(self) -> LensChanges | None:
        """Its lens part."""

    @property
    def alignment(self) -> AlignmentChanges | None:
        """Its alignment part."""


@dataclass(frozen=True)
class ChangeMap:
    """One map of a figure.

    Attributes:
        title: what changed, in few words, plain text.
        meaning: the same in a sentence, for the caption.
        table: columns ``language, layer, before, after, difference, low, high, n, change``.
    """

    title: str
    meaning: str
    table: pd.DataFrame


def lens_map(lens: LensChanges, curve: str) -> ChangeMap:
    """The change of a curve.

    Args:
        lens: a `LensComparison`.
        curve: its name.
    """
    name = plain_name(lens.pivot)
    title, meaning = {
        "target": (
            "right word, in the target language",
            "the probability of the right word in the target language",
        ),
        "gap": (
            f"{name} gap",
            f"the {name} gap: the probability of the right answer's {name} word less that of the wrong ones'",
        ),
    }.get(curve, (curve, f"the curve {curve!r}"))
    return ChangeMap(title, meaning, lens.map(curve))


def alignment_map(alignment: AlignmentChanges, measure: str, pools: str | None = None) -> ChangeMap:
    """The change of a measure of alignment with the pivot language.

    Args:
        alignment: an `AlignmentComparison`.
        measure: its name.
        pools: by default the comparison's own.
    """
    name = plain_name(alignment.pivot)
    words = find_measure(measure).compared_with(name)
    return ChangeMap(words.title, words.meaning, alignment.map(measure, pools))


def comparison_maps(result: Comparison) -> list[ChangeMap]:
    """The maps of a whole comparison: the right word, the pivot's gap, and alignment, as far as they were measured.

    Of alignment these are `MEASURES`; where none of them was measured, the first that were.

    Args:
        result: a `ComparisonResult`.
    """
    maps = []
    if result.lens is not None:
        maps += [lens_map(result.lens, curve) for curve in CURVES if curve in result.lens.curves]
    if result.alignment is not None:
        measured = result.alignment.measures
        chosen = [name for name in MEASURES if name in measured] or measured[: len(MEASURES)]
        maps += [alignment_map(result.alignment, name) for name in chosen]
    return maps


def change_figure(
    maps: Sequence[ChangeMap],
    provenance: Provenance,
    *,
    seen_languages: Sequence[str] = (),
    **look: Unpack[Look],
) -> go.Figure:
    """Draw maps side by side: a row per language, a column per layer, blue where something rose, orange where it fell.

    Args:
        maps: at least one; all are drawn for the same languages.
        provenance: where the comparison came from.
        seen_languages: codes of the languages that training has seen; they stand on top.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw.
    """
    full = [entry for entry in maps if len(entry.table)]
    if not full:
        raise InputError("nothing was measured language by layer: there is no map to draw")
    return shaped(_ChangeMapDrawing(full, provenance, seen_languages).figure(), **look)


class _ChangeMapDrawing:
    """One figure in the making."""

    def __init__(
        self, maps: Sequence[ChangeMap], provenance: Provenance, seen_languages: Sequence[str]
    ) -> None:
        self.maps, self.provenance = maps, provenance
        measured = dict.fromkeys(code for entry in maps for code in entry.table["language"].astype(str))
        ordered = [code for code in [*provenance.languages, *measured] if code in measured]
        codes = list(dict.fromkeys(ordered))
        self.seen_languages = [code for code in codes if code in seen_languages]
        self.codes = [*self.seen_languages, *(code for code in codes if code not in seen_languages)]
        self.layers = [sorted({int(layer) for layer in entry.table["layer"]}) for entry in maps]
        cells = sum(map(len, self.layers))
        self.written = cells <= _MOST_WRITTEN
        # in a notebook all maps are in view, until their cells are too narrow to be told apart
        room = USUAL_WIDTH - _LEFT - 18
        self.width = max(640, _LEFT + 18 + max(_LEAST_CELL * cells, min(_WIDEST_CELL * cells, room)))
        shares = [
            len(layers) / sum(map(len, self.layers)) * (1 - _GAP * (len(maps) - 1)) for layers in self.layers
        ]
        # A title stays over its own map, also where the figure is as narrow as in a notebook.
        room = min(self.width, USUAL_WIDTH) - _LEFT - 18
        self.titles = [
            wrapped(safe(entry.title), max(8, int(share * room / _TITLE_LETTER)))
            for entry, share in zip(maps, shares, strict=True)
        ]
        self.head = _HEAD + _TITLE_LINE * (max(map(len, self.titles)) - 1)
        self.traces: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {"template": template()}

    def figure(self) -> go.Figure:
        left = 0.0
        width = 1 - _GAP * (len(self.maps) - 1)
        columns = sum(map(len, self.layers))
        for index, (entry, layers) in enumerate(zip(self.maps, self.layers, strict=True)):
            right = left + width * len(layers) / columns
            self._map(index, entry, layers, left, min(right, 1.0))
            left = right + _GAP
        self._frame()
        self.layout |= {"annotations": self.annotations, "shapes": self.shapes}
        return go.Figure(data=self.traces, layout=self.layout)

    def _map(self, index: int, entry: ChangeMap, layers: list[int], left: float, right: float) -> None:
        number = "" if index == 0 else str(index + 1)
        x, y, colour = f"x{number}", f"y{number}", f"coloraxis{number}"
        table = entry.table.assign(language=entry.table["language"].astype(str))
        grid = table.pivot(index="language", columns="layer", values="difference")
        values = grid.reindex(index=self.codes, columns=layers).to_numpy(float)
        sizes = [abs(cell) for line in values for cell in line if math.isfinite(cell)]
        largest = max([_LEAST, *sizes])
        hover = {(row["language"], int(row["layer"])): _hover(row) for row in table.to_dict("records")}
        self.traces.append({
            "type": "heatmap", "x": layers, "y": list(range(len(self.codes))), "z": values.tolist(),
            "xaxis": x, "yaxis": y, "coloraxis": colour, "xgap": 1, "ygap": 1, "name": safe(entry.title),
            "text": [[hover.get((code, layer), f"{english_name(code)}, layer {layer}: not read") for layer in layers]
                     for code in self.codes],
            "hovertemplate": "%{text}<extra></extra>", "hoverongaps": True,
        })  # fmt: skip
        self._marks(x, y, table, written=values, layers=layers, largest=largest)
        self.layout[f"xaxis{number}"] = {
            "domain": [left, right], "anchor": y, "tickvals": layer_ticks(layers, 11), "showgrid": False,
            "range": [layers[0] - 0.5, layers[-1] + 0.5], "title": {"text": "layer", "standoff": 16},
        }  # fmt: skip
        rows = len(self.codes)
        names = [english_name(code) + (" ■" if code in self.seen_languages else "") for code in self.codes]
        self.layout[f"yaxis{number}"] = {
            "anchor": x, "range": [rows - 0.5, -0.5], "tickvals": list(range(rows)), "ticktext": names,
            "showticklabels": index == 0, "showgrid": False, "tickfont": {"size": 12, "color": INK},
            **({"matches": "y"} if index else {}),
        }  # fmt: skip
        self.layout[colour] = {
            "colorscale": [[step / (len(_SCALE) - 1), shade] for step, shade in enumerate(_SCALE)],
            "cmin": -largest, "cmax": largest,
            "colorbar": {
                "orientation": "h", "x": (left + right) / 2, "xanchor": "center", "len": (right - left) * 0.8,
                "y": 0, "yref": "container", "yanchor": "bottom", "thickness": 9, "outlinewidth": 0, "ypad": 26,
                "xpad": 0, "tickvals": [-largest, 0, largest],
                "ticktext": [_signed(-largest), "0", _signed(largest)], "tickfont": {"size": 11, "color": MUTED},
            },
        }  # fmt: skip
        self._say(
            "<br>".join(f"<b>{line}</b>" for line in self.titles[index]), x=left, y=1, xanchor="left", yanchor="bottom",
            yshift=6, size=13, align="left",
        )  # fmt: skip
        if self.seen_languages and len(self.seen_languages) < rows:
            edge = len(self.seen_languages) - 0.5
            self.shapes.append({
                "type": "line", "xref": f"{x} domain", "yref": y, "x0": 0, "x1": 1, "y0": edge, "y1": edge,
                "line": {"color": INK, "width": 1.2},
            })  # fmt: skip

    def _marks(
        self, x: str, y: str, table: pd.DataFrame, *, written: Any, layers: list[int], largest: float
    ) -> None:
        """A frame around what is more than chance, and numbers in cells where there is room."""
        changed = table[(table["change"] != "") & (table["difference"].abs() >= LEAST_MARKED)]
        bold = {(self.codes.index(row["language"]), int(row["layer"])) for row in changed.to_dict("records")}
        for row, layer in sorted(bold):
            self.shapes.append({
                "type": "rect", "xref": x, "yref": y, "x0": layer - 0.46, "x1": layer + 0.46, "y0": row - 0.45,
                "y1": row + 0.45, "line": {"color": INK, "width": 1.4}, "layer": "above",
            })  # fmt: skip
        if self.written:
            for row, line in enumerate(written):
                for layer, cell in zip(layers, line, strict=True):
                    if not math.isfinite(cell) or (
                        not (marked := (row, layer) in bold) and abs(cell) < 0.005
                    ):
                        continue
                    text, strength = _signed(cell, 2, short=True), abs(cell) / largest
                    dark = marked or strength > 0.3
                    self.annotations.append({
                        "text": f"<b>{text}</b>" if marked else text, "x": layer, "y": row, "xref": x, "yref": y,
                        "showarrow": False,
                        "font": {
                            "size": 10, "color": ink_on(shade(_SCALE, (1 + cell / largest) / 2)) if dark else MUTED,
                        },
                    })  # fmt: skip

    def _frame(self) -> None:
        height = len(self.codes) * _ROW
        under = [*source_words(self.provenance), safe(self.provenance.task)]
        under.append("□ more than chance anywhere in the map")
        if self.seen_languages:
            under.append("■ language seen in training")
        self.layout.update(
            title={
                "text": "<b>What changed, language by layer</b>",
                "subtitle": {"text": " · ".join(under), "font": {"size": 12.5, "color": MUTED}},
                **BESIDE_ROWS,
            },
            height=_TOP + self.head + height + _BELOW,
            margin={"l": _LEFT, "r": 18, "t": _TOP + self.head, "b": _BELOW, "autoexpand": False},
            meta={
                "how_to_read": self._how_to_read(), "made_with": made_with(self.provenance),
                "least_width": self.width,
            },
        )  # fmt: skip

    def _how_to_read(self) -> list[str]:
        listed = "; ".join(entry.meaning for entry in self.maps)
        return [
            "Each cell is a language at a layer; its colour is how much something changed, after minus before, as "
            "a mean over items: blue where it rose, orange where it fell. The maps in order: "
            f"{listed}. Every map has its own scale; hover over a cell for its numbers.",
            f"A frame says that the change is at least {LEAST_MARKED:g} and more than chance, with all cells of "
            "its map taken together: if nothing had changed, even one frame would be seen in at most 5% of such "
            "maps. (Lens: before and after are exchanged at random, item by item, and the largest change of the "
            "whole map is taken. Alignment: Holm's correction.) Cells without a frame may have changed all the "
            "same.",
        ]

    def _say(self, text: str, *, size: float, **where: Any) -> None:
        self.annotations.append({
            "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": size, "color": INK},
            **where,
        })  # fmt: skip


def _hover(row: Mapping[Any, Any]) -> str:
    code = str(row["language"])
    text = f"<b>{own_name(code)}</b> {english_name(code)}, layer {row['layer']}"
    if not math.isfinite(row["difference"]):
        return f"{text}: not measured"
    text += f"<br>{_signed(row['difference'])} ({_signed(row['low'])} to {_signed(row['high'])})"
    text += f"<br>{row['before']:.3f} before, {row['after']:.3f} after, {counted(int(row['n']), 'item')}"
    return text + ("<br>more than chance" if row["change"] else "<br>no evidence of change")


def _signed(value: float, places: int = 3, *, short: bool = False) -> str:
    text = signed(value, places, keep_side=False)
    return text.replace("0.", ".", 1) if short else text
