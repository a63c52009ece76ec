"""The PCA figure: prompts as points, layer by layer; after Figures 2 and 4 of Zhang et al. 2024."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from latentlang import defaults
from latentlang.arguments import Layers, given_layers
from latentlang.errors import InputError, unknown
from latentlang.figures.header import made_with
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.layout import columns_for
from latentlang.figures.pca_points import PCA, Clouds, View, clouds
from latentlang.figures.pca_text import colour_names, how_to_read, subtitle, title, view_words
from latentlang.figures.scatter import marks, share, shortly, span
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import BASELINE, GRID, MUTED, PAPER, template

COLOURS = ("language", "label")
# Where in the depth of the model Zhang et al. 2024 look: layers 20, 25, 30 and the last of Mistral's 32.
PAPER_DEPTHS = (20 / 32, 25 / 32, 30 / 32, 1.0)
_MOST_LABELS = 12

_TOP, _LEFT, _RIGHT = 84, 66, 18
_LEGEND_ROW, _LEGEND_NAME = 23, 165  # height, and width of most names
_LEGEND_SHARE = 0.94  # of the width: plotly adds some pixels to each entry, and too much makes a row more
_SLIDER, _AXIS = 84, 52  # height of what lies below the plots
_WIDTH = 1000  # of the page, mostly: gaps are laid out for it
_LEAST_PAGE, _LEAST, _LEAST_3D = 760, 225, 420  # width of a page, and of a plot with its numbers
_HEIGHT_ONE, _HEIGHT_FEW, _HEIGHT_GRID = 470, 380, 225
_GAP_X, _GAP_Y = 66, 58  # between plots: an axis title and numbers
_HEAD = 26
_EYE = {"x": 1.65, "y": 1.65, "z": 1.0}  # far enough that the axes' titles are seen


@dataclass(frozen=True)
class _Cell:
    """One plot: which view and layer, what stands above it, lowest first, and where, in [0, 1] of width and height."""

    index: int
    view: View
    layer: int
    headings: tuple[str, ...]
    x: tuple[float, float]
    y: tuple[float, float]

    def axis(self, letter: str) -> str:
        return letter if self.index == 0 else f"{letter}{self.index + 1}"


def pca_figure(
    result: PCA,
    *,
    colour: str = defaults.PCA_COLOUR,
    layers: Layers | None = None,
    grid: bool = False,
    three_d: bool = False,
    most: int | None = None,
    **look: Unpack[Look],
) -> go.Figure:
    """Draw the prompts on their principal axes: one layer at a time with a slider, or a grid of layers.

    A comparison of base and tuned has a plot for each state and choice of axes, side by side. The figure fits its width
    to the page; for a file use the grid and give a width: ``pca_figure(result, grid=True).write_image("pca.png",
    width=1000)``.

    Args:
        result: a `PCAResult`, new or loaded from disk.
        colour: what colour and symbol say: ``"language"`` or ``"label"``.
        layers: those to draw, numbers or ``"0,4,8-12"``; by default all, in a grid four at the depths that the
            reference paper shows.
        grid: small plots beside each other instead of a slider.
        three_d: three components instead of two.
        most: points drawn of each language (or label); by default up to 500, fewer of many languages.
        **look: as in `Look`.

    Raises:
        InputError: the result has too few components or no such layer, or too many labels to colour.
    """
    check_colour(colour, result.table["label"])
    components = 3 if three_d else 2
    available = sorted({int(layer) for layer in result.table["layer"]})
    count = sum(name.startswith("pc") for name in result.table.columns)
    if count < components:
        raise InputError(
            f"this picture needs {components} components and the PCA has {count}; fit it with more"
        )
    if most is not None and most < 1:
        raise InputError(f"at least 1 point of each {colour} must be drawn, not {most}")
    if layers is None:
        chosen = paper_layers(available) if grid else available
    else:
        given = given_layers(layers)
        chosen = available if given == "all" else sorted(set(given))
        missing = [layer for layer in chosen if layer not in available]
        if missing or not chosen:
            raise InputError(
                f"the PCA has no layer {missing[0] if missing else '(none was named)'}; it has "
                f"{', '.join(map(str, available))}"
            )
    points = clouds(result, layers=chosen, colour=colour, components=components, most=most)
    drawing = _PCADrawing(result, points, colour=colour, grid=grid, three_d=three_d)
    return shaped(drawing.figure(), **look)


def check_colour(colour: str, labels: Iterable[str]) -> None:
    """Make sure that prompts can be coloured so.

    Args:
        colour: ``"language"`` or ``"label"``.
        labels: of all prompts.

    Raises:
        InputError: there is no such choice, or there are too many labels to tell apart.
    """
    if colour not in COLOURS:
        raise unknown("colour", colour, COLOURS)
    count = len(set(labels))
    if colour == "label" and count > _MOST_LABELS:
        raise InputError(f"there are {count} labels, too many to tell apart by colour; colour by language")


def paper_layers(layers: Sequence[int]) -> list[int]:
    """Four of the layers (fewer where there are fewer), at the depths the reference paper shows."""
    rest, chosen = sorted(layers), []
    last = rest[-1]
    for depth in reversed(PAPER_DEPTHS):
        if rest:
            nearest = min(rest, key=lambda layer: (abs(layer - depth * last), layer))
            rest.remove(nearest)
            chosen.append(nearest)
    return sorted(chosen)


class _PCADrawing:
    """One figure in the making."""

    def __init__(self, result: PCA, points: Clouds, *, colour: str, grid: bool, three_d: bool) -> None:
        self.provenance, self.settings = result.provenance, result.settings
        self.points = points
        self.colour = colour
        self.three_d = three_d
        self.letters = "xyz" if three_d else "xy"
        self.names = colour_names(points.groups, colour=colour)
        self.marks = marks(len(points.groups), three_d=three_d)
        self.slider = not grid and len(points.layers) > 1
        last = points.layers[-1]
        self.start = min(points.layers, key=lambda layer: abs(layer - PAPER_DEPTHS[0] * last))
        self.cells, self.height = self._lay_out(grid)

    def figure(self) -> go.Figure:
        data = [trace for cell in self.cells for trace in self._traces(cell)]
        return go.Figure(data=data, layout=self._layout())

    # where things lie

    def _lay_out(self, grid: bool) -> tuple[list[_Cell], int]:
        """The plots, and their height together: views below each other in a grid, beside each other with a slider."""
        views, layers = self.points.views, self.points.layers
        several = len(views) > 1
        if grid:
            plots = [(view, layer) for view in views for layer in layers]
            columns = self._columns(len(layers), several=several)
        else:
            plots, columns = [(view, self.start) for view in views], len(views)
        rows = -(-len(plots) // columns)
        above = _HEAD * (grid + several)  # the view's heading and the layer's
        each = _HEIGHT_FEW if several or self.three_d else _HEIGHT_ONE
        each = _HEIGHT_GRID if grid and not self.three_d else each
        step = above + each + _GAP_Y
        height = rows * step - _GAP_Y
        self.width = max(_WIDTH, columns * (_LEAST_3D if self.three_d else _LEAST))
        gap = (0 if self.three_d else _GAP_X) / (self.width - _LEFT - _RIGHT)
        width = (1 - gap * (columns - 1)) / columns
        cells = []
        for index, (view, layer) in enumerate(plots):
            row, column = divmod(index, columns)
            top, left = row * step + above, column * (width + gap)
            headings = [f"layer {layer}"] if grid else []
            if several and (column == 0 or not grid):
                headings.append(f"<b>{view_words(view)}</b>")
            cells.append(
                _Cell(
                    index, view, layer, tuple(headings), x=(left, min(1.0, left + width)),
                    y=(max(0.0, 1 - (top + each) / height), 1 - top / height),
                )
            )  # fmt: skip
        return cells, height

    def _columns(self, layers: int, *, several: bool) -> int:
        """Columns of a grid: of several views, one row each."""
        if several:
            return layers
        if self.three_d:
            return min(layers, 2)
        return layers if layers == len(PAPER_DEPTHS) else columns_for(layers)

    # points

    def _traces(self, cell: _Cell) -> Iterator[dict[str, Any]]:
        for group, coordinates in enumerate(self._coordinates(cell.view, cell.layer)):
            mark = self.marks[group]
            small = len(self.cells) > len(self.points.views)
            numbers = ", ".join(f"PC{n + 1} %{{{letter}:.3~g}}" for n, letter in enumerate(self.letters))
            where = (
                {"scene": cell.axis("scene")}
                if self.three_d
                else {"xaxis": cell.axis("x"), "yaxis": cell.axis("y")}
            )
            yield {
                "type": "scatter3d" if self.three_d else "scatter", **where, **coordinates, "mode": "markers",
                "name": self.names[self.points.groups[group]], "legendgroup": str(group),
                "showlegend": cell.index == 0,
                "marker": {
                    "color": mark.colour, "symbol": mark.symbol, "opacity": 0.75,
                    "size": 3.5 if self.three_d else 4.5 if small else 7,
                    "line": {"width": 0 if small or self.three_d else 0.5, "color": PAPER},
                },
                "text": self.points.hovers[cell.view][self.points.members[cell.view] == group],
                "hovertemplate": f"%{{text}}<br>{numbers}<extra></extra>",
            }  # fmt: skip

    def _coordinates(self, view: View, layer: int) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Of each group in turn."""
        scores, members = self.points.scores[view, layer], self.points.members[view]
        for group in range(len(self.points.groups)):
            coordinates = scores[members == group]
            yield {letter: coordinates[:, n] for n, letter in enumerate(self.letters)}

    def _step(self, layer: int) -> dict[str, Any]:
        """What the slider changes: points, ranges and the axes' titles. No frames: plotly would play them unasked."""
        groups = [coordinates for cell in self.cells for coordinates in self._coordinates(cell.view, layer)]
        points = {letter: [shortly(coordinates[letter]) for coordinates in groups] for letter in self.letters}
        axes = {
            f"{axis}.{name}": value
            for cell in self.cells
            for axis, changes in self._moving_axes(cell, layer).items()
            for name, value in changes.items()
        }
        return {"label": str(layer), "method": "update", "args": [points, axes]}

    # axes

    def _moving_axes(self, cell: _Cell, layer: int) -> dict[str, dict[str, Any]]:
        """Of each axis of a plot, by its name in the layout, what differs from layer to layer."""
        ratios = self.points.ratios.get((cell.view, layer), {})
        # What is on the same axes has the same range, to be compared.
        together = [view for view in self.points.views if view[1] == cell.view[1]]
        axes = {}
        for component, letter in enumerate(self.letters):
            values = np.concatenate([self.points.scores[view, layer][:, component] for view in together])
            changes = {
                "title.text": share(component + 1, ratios, markup=not self.three_d),
                "range": span(values),
            }
            scene = f"{cell.axis('scene')}.{letter}axis"
            axes[scene if self.three_d else f"{letter}axis{cell.axis('')}"] = changes
        return axes

    def _axes(self, cell: _Cell) -> dict[str, Any]:
        """Layout of a plot's axes, or of its scene."""
        small = len(self.cells) > len(self.points.views)
        axes: dict[str, Any] = {}
        for letter, changes in zip(self.letters, self._moving_axes(cell, cell.layer).values(), strict=True):
            other = "y" if letter == "x" else "x"
            axes[letter] = {
                "title": {"text": changes["title.text"], "font": {"size": 11.5 if small or self.three_d else 13}},
                "range": changes["range"], "zerolinecolor": BASELINE,
            }  # fmt: skip
            if self.three_d:
                axes[letter] |= {
                    "backgroundcolor": PAPER, "gridcolor": GRID, "linecolor": BASELINE, "nticks": 5,
                    "tickfont": {"size": 10, "color": MUTED},
                }  # fmt: skip
            else:
                axes[letter] |= {
                    "domain": cell.x if letter == "x" else cell.y, "anchor": cell.axis(other),
                    "zeroline": True, "zerolinewidth": 1, "nticks": 5 if small else 9, "tickangle": 0,
                }  # fmt: skip
                axes[letter]["title"]["standoff"] = 6
        if not self.three_d:
            return {f"{letter}axis{cell.axis('')}": axis for letter, axis in axes.items()}
        scene = {f"{letter}axis": axis for letter, axis in axes.items()}
        shared = {
            "domain": {"x": cell.x, "y": cell.y}, "aspectmode": "cube", "dragmode": "orbit",
            "camera": {"eye": _EYE, "center": {"x": 0, "y": 0, "z": -0.12}},
        }  # fmt: skip
        return {cell.axis("scene"): scene | shared}

    # around them

    def _layout(self) -> dict[str, Any]:
        groups = len(self.points.groups)
        columns = max(1, min(groups, self.width // _LEGEND_NAME))
        below = _AXIS + (_SLIDER if self.slider else 0) + -(-groups // columns) * _LEGEND_ROW + 10
        layout: dict[str, Any] = {
            "template": template(),
            "title": {
                "text": title(self.provenance),
                "subtitle": {
                    "text": subtitle(
                        self.provenance, self.settings, prompts=self.points.prompts, drawn=self.points.shown
                    ),
                    "font": {"size": 12.5, "color": MUTED},
                },
                **ABOVE_PLOT,
            },
            "height": _TOP + self.height + below,
            "margin": {"l": _LEFT, "r": _RIGHT, "t": _TOP, "b": below, "autoexpand": False},
            "hovermode": "closest",
            "legend": {
                "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
                "entrywidthmode": "fraction", "entrywidth": _LEGEND_SHARE / columns, "itemsizing": "constant",
            },
            "annotations": [note for cell in self.cells for note in self._headings(cell)],
            "meta": {
                "how_to_read": how_to_read(
                    self.settings, views=self.points.views, colour=self.colour, prompts=self.points.prompts,
                    drawn=self.points.shown, most=self.points.most,
                ),
                "made_with": made_with(self.provenance),
                "least_width": self.width if self.width > _WIDTH else _LEAST_PAGE,
            },
        }  # fmt: skip
        for cell in self.cells:
            layout |= self._axes(cell)
        if self.slider:
            layout["sliders"] = [self._slider()]
        return layout

    def _headings(self, cell: _Cell) -> Iterator[dict[str, Any]]:
        for line, text in enumerate(cell.headings):
            yield {
                "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": cell.x[0], "xshift": -2,
                "xanchor": "left", "y": cell.y[1], "yanchor": "bottom", "yshift": 3 + line * (_HEAD - 4),
                "font": {"size": 13},
            }  # fmt: skip

    def _slider(self) -> dict[str, Any]:
        return {
            "active": self.points.layers.index(self.start),
            "steps": [self._step(layer) for layer in self.points.layers],
            "currentvalue": {"prefix": "layer ", "font": {"size": 15}, "xanchor": "left"},
            "x": 0, "len": 1, "y": 0, "yanchor": "top", "pad": {"t": _AXIS, "b": 0, "l": 0, "r": 0},
            "font": {"size": 11, "color": MUTED}, "bgcolor": GRID, "bordercolor": BASELINE, "tickcolor": BASELINE,
            "transition": {"duration": 0},
        }  # fmt: skip
