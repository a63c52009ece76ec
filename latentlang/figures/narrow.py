"""A figure for a narrow screen: its panels below each other, its texts broken, its legend and colour bars below."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from latentlang.figures.headings import BESIDE_ROWS, lifted, unbroken
from latentlang.figures.layout import first_in_view
from latentlang.figures.text_width import BREAK, broken, lines, pixels

#: Narrower windows show this form, in pixels.
BELOW = 600
#: Width that texts are broken for: a small telephone's, less the page's margins.
WIDTH = 336
#: Says in ``layout.meta`` that a figure has this form.
NARROW = "narrow"
#: Says there how wide a figure is by itself, where nobody asks for a width.
OWN_WIDTH = "own_width"
_TITLE, _TITLE_LINE, _SUBTITLE, _SUBTITLE_LINE = 15.5, 20, 11.5, 16
_PAD, _RIGHT, _GAP, _MENU = 10, 12, 16, 46
_TICKS, _TICK_SIZE, _AXIS_TITLE, _SLIDER = 18, 10.5, 22, 66
_LABEL, _LABEL_SIZE, _LABEL_LINE = 124, 10.5, 1.25  # of a row: widest, size, height of a line in sizes
_NUMBERS, _NUMBERS_TITLED = 36, 52  # margins left of an axis of numbers
_HEADING_LINE = 1.35
_BAR, _BAR_HEADING = 34, 18  # a colour bar with its numbers; its heading
_LEGEND_SIZE, _LEGEND_LINE, _LEGEND_PAD, _KEY, _ITEM = 11.5, 15, 4, 46, 30
_CELL_TEXT, _CELL_SIZE, _CELL_SMALLEST = 21, 9, 8  # least width of a cell with a number, size of numbers
_BESIDE = 84  # widest note beside a row
_CORNER = 0.55  # of a plot's width for a note in a corner of it
_BLOCK = 3  # columns of numbers of a table side by side
_TABLE_GAP = 10


def narrowed(figure: go.Figure) -> go.Figure:
    """A figure in its narrow form, or itself where it has none; it is not changed."""
    if not has_narrow_form(figure):
        return figure
    # not `to_dict`, which packs arrays
    drawn = {
        "data": [trace.to_plotly_json() for trace in figure.data],
        "layout": figure.layout.to_plotly_json(),
    }
    return go.Figure(narrow_form(drawn))


def has_narrow_form(figure: go.Figure) -> bool:
    """Whether there is a narrow form: of figures that say their height and margins, and are not narrow already."""
    layout = figure.layout
    sized = layout.height is not None and layout.margin.t is not None
    return sized and bool(figure.data) and not (layout.meta or {}).get(NARROW)


def narrow_form(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The narrow form of a figure that is given as ``to_dict`` gives it; values that stay are the same objects.

    Args:
        drawn: with ``data`` and ``layout``.
    """
    if any(trace["type"] == "table" for trace in drawn["data"]):
        return _tables(drawn)
    return _Stack(drawn).form()


@dataclass
class _Stacked:
    """An x axis with its y axes, or a scene.

    Attributes:
        axis: ``x2``; of a scene ``scene2``.
        rows: ids of its y axes.
        traces: numbers of its traces.
        x, y: left and right, lower and upper end, in [0, 1] of the plot.
        notes: numbers of the annotations that belong to it.
        head, plot, foot: heights in pixels in the narrow form: what stands above, the plot, axis and colour bar.
        top: where its plot begins in the narrow form, in pixels.
        beside: width that notes to the right of it need, in pixels.
    """

    axis: str
    x: tuple[float, float]
    y: tuple[float, float]
    rows: list[str] = field(default_factory=list)
    traces: list[int] = field(default_factory=list)
    notes: list[int] = field(default_factory=list)
    head: float = 0
    plot: float = 0
    foot: float = 0
    top: float = 0
    beside: float = 0

    def distance(self, x: float, y: float) -> float:
        """How far a point lies outside."""
        outside = [max(low - at, at - high, 0) for at, (low, high) in ((x, self.x), (y, self.y))]
        return sum(outside)


class _Stack:
    """One figure in the making."""

    def __init__(self, drawn: Mapping[str, Any]) -> None:
        self.traces: list[dict[str, Any]] = [dict(trace) for trace in drawn["data"]]
        self.layout: dict[str, Any] = dict(drawn["layout"])
        self.meta = dict(self.layout.get("meta") or {})
        margin = self.layout["margin"]
        self.inner = self.layout["height"] - margin.get("t", 0) - margin.get("b", 0)
        self.notes = [dict(note) for note in self.layout.get("annotations", ())]
        self.shapes = [dict(shape) for shape in self.layout.get("shapes", ())]
        self.panels = self._panels()
        self.below = [number for number, note in enumerate(self.notes) if _is_below(note)]
        self._give_notes()
        self.own_bars = self._own_bars()
        self.left = 0.0

    def form(self) -> dict[str, Any]:
        """The narrow form."""
        self._separate_rows()
        self._label_rows()
        height = self._place()
        below = self._below()
        top = self._heading()
        menus = self.layout.get("updatemenus")
        if menus:
            self.layout["updatemenus"] = [self._menu(menu) for menu in menus]
            top += _MENU
        self.layout.pop("width", None)
        self.layout |= {
            "height": round(top + height + below),
            "margin": {
                "l": round(self.left),
                "r": _RIGHT,
                "t": round(top),
                "b": round(below),
                "autoexpand": False,
            },
            "annotations": self.notes,
            "shapes": self.shapes,
            "autosize": True,
            "dragmode": "pan" if "column" in self.meta else False,
            "meta": self.meta | {NARROW: True, "least_width": 300},
        }
        return {"data": self.traces, "layout": self.layout}

    # what there is

    def _panels(self) -> list[_Stacked]:
        panels: dict[str, _Stacked] = {}
        for number, trace in enumerate(self.traces):
            scene = trace.get("scene", "scene") if trace["type"].endswith("3d") else None
            axis = scene or trace.get("xaxis", "x")
            if axis not in panels:
                domain = self.layout.get(_key(axis), {}).get("domain", {} if scene else (0, 1))
                x = domain.get("x", (0, 1)) if scene else domain
                panels[axis] = _Stacked(axis, (x[0], x[1]), domain.get("y", (0, 1)) if scene else (1, 0))
            panel = panels[axis]
            panel.traces.append(number)
            if not scene and (row := trace.get("yaxis", "y")) not in panel.rows:
                panel.rows.append(row)
        for key, axis in self.layout.items():
            if key.startswith("yaxis") and axis.get("anchor", "x") in panels:
                panel = panels[axis.get("anchor", "x")]
                panel.rows += [row for row in [key.replace("axis", "")] if row not in panel.rows]
        for panel in panels.values():
            ends = [self.layout.get(_key(row), {}).get("domain", (0, 1)) for row in panel.rows]
            if ends:
                panel.y = min(end[0] for end in ends), max(end[1] for end in ends)
        columns = self.meta.get("stack") == "columns"

        def reading(panel: _Stacked) -> tuple[float, float]:
            across, down = round(panel.x[0], 3), -round(panel.y[1], 3)
            return (across, down) if columns else (down, across)

        return sorted(panels.values(), key=reading)

    def _give_notes(self) -> None:
        """Find the panel of each note that is placed in the paper's coordinates."""
        for number, note in enumerate(self.notes):
            across, down = note.get("xref", "x"), note.get("yref", "y")
            if number in self.below or across != "paper":
                continue
            x = note.get("x", 0)
            inside = [panel for panel in self.panels if down == "paper" or down in panel.rows]
            if inside:
                y = note.get("y", 0) if down == "paper" else sum(inside[0].y) / 2
                min(inside, key=lambda panel: panel.distance(x, y)).notes.append(number)

    def _own_bars(self) -> dict[str, _Stacked]:
        """Colour axes that belong to one of several panels, each with a bar of its own."""
        users: dict[str, list[_Stacked]] = {}
        for panel in self.panels:
            for number in panel.traces:
                if axis := self.traces[number].get("coloraxis"):
                    users.setdefault(axis, []).append(panel)
        if len(users) < 2:
            return {}
        return {axis: panels[0] for axis, panels in users.items() if len(panels) == 1}

    # rows

    def _separate_rows(self) -> None:
        """Give each panel y axes of its own, where panels beside each other had one together; all carry their names."""
        taken = {row for panel in self.panels for row in panel.rows}
        seen: set[str] = set()
        self.copies: dict[str, list[str]] = {}
        free = (f"y{number}" for number in range(2, 10_000) if f"y{number}" not in taken)
        for panel in self.panels:
            for place, row in enumerate(panel.rows):
                if row not in seen:
                    seen.add(row)
                    continue
                new = next(free)
                self.layout[_key(new)] = self.layout[_key(row)] | {"anchor": panel.axis}
                self.copies.setdefault(row, []).append(new)
                panel.rows[place] = new
                across = self.layout[_key(panel.axis)]
                if across.get("anchor", "y") == row:
                    self.layout[_key(panel.axis)] = across | {"anchor": new}
                for number in panel.traces:
                    if self.traces[number].get("yaxis", "y") == row:
                        self.traces[number]["yaxis"] = new
                for drawn in (*self.notes, *self.shapes):
                    if drawn.get("yref", "y") == row and drawn.get("xref", "x").split(" ")[0] == panel.axis:
                        drawn["yref"] = new
        for panel in self.panels:
            for row in panel.rows:
                axis = self.layout[_key(row)] = dict(self.layout.get(_key(row), {}))
                # An axis that cannot be moved is no scale: it names a strip, or does not.
                if axis.get("showticklabels") is False and not axis.get("fixedrange"):
                    axis["showticklabels"] = True
                    first = self.layout.get(_key(axis.get("matches", "y")), {})
                    axis["title"] = axis["title"] if _text(axis.get("title")) else first.get("title", {})

    def _label_rows(self) -> None:
        """Break the rows' names and find how much room they and the axes' numbers take."""
        self.stretched: dict[str, float] = {}
        for panel in self.panels:
            for row in panel.rows:
                axis = self.layout[_key(row)]
                names = [str(name) for name in axis.get("ticktext") or axis.get("tickvals") or ()]
                if axis.get("showticklabels") is False:
                    continue
                titled = _text(axis.get("title"))
                if titled and pixels(titled, 13) > self._height(panel):
                    titled = titled.partition(" (")[0]
                    axis["title"] = axis["title"] | {"text": titled}
                if not names or not any(
                    isinstance(name, str) for name in axis.get("ticktext") or axis["tickvals"]
                ):
                    self.left = max(self.left, _NUMBERS_TITLED if titled else _NUMBERS)
                    continue
                size = min(axis.get("tickfont", {}).get("size", _LABEL_SIZE), _LABEL_SIZE)
                texts = [broken(name, _LABEL, size) for name in names]
                widest = max(pixels(text, size) for text in texts)
                keeps_title = titled and widest < _NUMBERS
                axis |= {
                    "ticktext": texts, "tickvals": axis.get("tickvals"), "automargin": False,
                    "tickfont": axis.get("tickfont", {}) | {"size": size},
                    "title": axis["title"] if keeps_title else {"text": None},
                }  # fmt: skip
                self.left = max(self.left, widest + 10 + (_AXIS_TITLE if keeps_title else 0))
                row_height = self._height(panel) / max(1, len(names))
                needed = _LABEL_LINE * size * max(map(lines, texts))
                if max(map(lines, texts)) > 1 and needed > row_height:
                    self.stretched[panel.axis] = max(self.stretched.get(panel.axis, 1), needed / row_height)

    def _height(self, panel: _Stacked) -> float:
        return float((panel.y[1] - panel.y[0]) * self.inner)

    # where panels lie

    def _place(self) -> float:
        """Put the panels below each other; the height of them all, in pixels."""
        stretch = max(self.stretched.values(), default=1.0)
        self._say_once()
        at = 0.0
        room = WIDTH - self.left - _RIGHT
        for panel in self.panels:
            panel.plot = self._height(panel) * stretch
            panel.head, panel.beside = self._head(panel, room)
            panel.foot = self._foot(panel, room - panel.beside)
            if self.layout.get(_key(panel.axis), {}).get("side") == "top":
                # names that stand above the panel take their room there
                panel.head, panel.foot = panel.head + panel.foot, 0
            panel.top = at + panel.head
            at = panel.top + panel.plot + panel.foot + _GAP
        last = self.panels[-1]
        height = last.top + last.plot
        for panel in self.panels:
            self._move(panel, height, room)
        return height

    def _say_once(self) -> None:
        """Leave an axis title that some panels have to the lowest of all, among those whose axes say the same."""
        flat = [panel for panel in self.panels if not panel.axis.startswith("scene")]
        for kind in {self._is_of_words(panel) for panel in flat}:
            self._say_once_under([_key(panel.axis) for panel in flat if self._is_of_words(panel) == kind])

    def _is_of_words(self, panel: _Stacked) -> bool:
        """Whether names stand along a panel's x axis, and not numbers such as layers."""
        values = [value for number in panel.traces for value in _some(self.traces[number].get("x"))]
        return any(isinstance(value, str) for value in values)

    def _say_once_under(self, keys: Sequence[str]) -> None:
        titles = {_text(self.layout.get(key, {}).get("title")) for key in keys}
        if len(keys) > 1 and len(titles) == 2 and "" in titles:
            title = next(self.layout[key]["title"] for key in keys if _text(self.layout[key].get("title")))
            for key in keys:
                self.layout[key] = self.layout[key] | {"title": title if key == keys[-1] else {"text": None}}

    def _head(self, panel: _Stacked, room: float) -> tuple[float, float]:
        """Break a panel's notes; heights of those above it, and width of those beside it."""
        above, beside = 0.0, 0.0
        for number in panel.notes:
            note = self.notes[number]
            size = note.get("font", {}).get("size", 12)
            if note.get("yref", "y") != "paper":
                note["text"] = broken(note["text"].replace("  ", BREAK), _BESIDE, size)
                if note.get("xanchor") == "left" and abs(note.get("x", 0) - panel.x[1]) < 1e-6:
                    beside = max(beside, pixels(note["text"], size) + note.get("xshift", 0))
                continue
            # what stands in a corner of the plot was placed where half of it is empty
            in_corner = note.get("yanchor") == "top" and note.get("xanchor") in ("left", "right")
            note["text"] = broken(note["text"], _CORNER * room if in_corner else room, size)
            note["align"] = note.get("xanchor", "center")
            higher = (note.get("y", 0) - panel.y[1]) * self.inner
            if higher > -1 and note.get("yanchor") == "bottom":
                above = max(
                    above, higher + note.get("yshift", 0) + lines(note["text"]) * _HEADING_LINE * size
                )
        return above, beside

    def _foot(self, panel: _Stacked, room: float) -> float:
        """Height of what stands below a panel; its numbers made fewer, or its names turned, where they would touch."""
        if panel.axis.startswith("scene"):
            return 0
        key = _key(panel.axis)
        axis = self.layout[key] = self.layout.get(key, {}) | {"showticklabels": True}
        foot: float = _TICKS
        names = axis.get("ticktext")
        values = axis.get("tickvals")
        if values is not None and "column" not in self.meta:
            texts = [str(text) for text in (names or values)]
            space = room / max(1, len(texts))
            widest = max((pixels(text, _TICK_SIZE) for text in texts), default=0)
            if widest + 4 > space and all(text.lstrip("-").isdecimal() for text in texts):
                step = -(-(widest + 4) // space)
                kept = list(range(len(texts)))[:: -int(step)][::-1]
                axis["tickvals"] = [values[place] for place in kept]
                if names:
                    axis["ticktext"] = [names[place] for place in kept]
                turned = False
            else:
                turned = widest + 4 > space
            if turned:
                foot = widest + 8
            if turned or axis.get(
                "tickangle"
            ):  # turned in the wide form, they may fit as they are in this one
                axis["tickangle"] = -90 if turned else 0
        elif axis.get("tickangle"):
            foot = max((pixels(str(text), _LABEL_SIZE) for text in names or ()), default=30) + 12
        axis["tickfont"] = axis.get("tickfont", {}) | {"size": _TICK_SIZE}
        if title := _text(axis.get("title")):
            axis["title"] = axis["title"] | {"text": broken(title, WIDTH - _PAD, 12), "standoff": 6}
            foot += _AXIS_TITLE
        for name, owner in self.own_bars.items():
            if owner is panel:
                scale = self.layout[name]
                bar = scale["colorbar"] | {
                    "x": 0.5, "xanchor": "center", "len": 0.9, "yref": "paper", "yanchor": "top", "ypad": foot + 4,
                }  # fmt: skip
                self.layout[name] = scale | {"colorbar": bar}
                foot += _BAR
        return foot

    def _move(self, panel: _Stacked, height: float, room: float) -> None:
        """Put axes, notes and a colour bar of a panel in their places."""
        right = 1 - panel.beside / room
        lower, upper = max(0.0, 1 - (panel.top + panel.plot) / height), 1 - panel.top / height

        def across(x: float) -> float:
            return (x - panel.x[0]) / (panel.x[1] - panel.x[0]) * right

        def up(y: float) -> float:
            return lower + (y - panel.y[0]) / (panel.y[1] - panel.y[0]) * (upper - lower)

        if panel.axis.startswith("scene"):
            scene = self.layout[_key(panel.axis)]
            self.layout[_key(panel.axis)] = scene | {"domain": {"x": [0, 1], "y": [lower, upper]}}
        else:
            self.layout[_key(panel.axis)] |= {"domain": [0, right]}
        for row in panel.rows:
            axis = self.layout[_key(row)]
            ends = axis.get("domain", (0, 1))
            axis["domain"] = [max(0.0, up(ends[0])), min(1.0, up(ends[1]))]
        for number in panel.notes:
            note = self.notes[number]
            note["x"] = min(1.0, max(0.0, across(note.get("x", 0))))
            if note.get("yref") == "paper":
                note["y"] = min(1.0, max(0.0, up(note.get("y", 0))))
        for name, owner in self.own_bars.items():
            if owner is panel:
                self.layout[name]["colorbar"]["y"] = lower
        self._fit_cells(panel, room - panel.beside)

    def _fit_cells(self, panel: _Stacked, room: float) -> None:
        """Smaller numbers and marks in cells, or none where cells are too small for them."""
        axis = self.layout.get(_key(panel.axis), {})
        heats = [number for number in panel.traces if self.traces[number]["type"] == "heatmap"]
        if not heats:
            return
        if column := self.meta.get("column"):
            shown = max(1, int(room // column))
            columns = len(self.traces[heats[0]].get("x", ()))
            if (wanted := self.meta.get("in_view")) is not None:
                first = first_in_view(wanted, shown, columns) - 0.5
                axis |= {"range": [first, min(first + shown, columns - 0.5)]}
            else:
                last = axis["range"][1]
                axis |= {"range": [max(-0.5, last - shown), last]}
            self.layout[_key(panel.rows[0])]["fixedrange"] = True
            return
        cell = room / max(1, _length(self.traces[heats[0]].get("x", ())))
        for number in panel.traces:
            trace = self.traces[number]
            if trace.get("texttemplate"):
                fits = cell >= _CELL_TEXT
                trace["texttemplate"] = trace["texttemplate"] if fits else ""
                trace["textfont"] = trace.get("textfont", {}) | {"size": _CELL_SIZE}
            size = trace.get("marker", {}).get("size")
            if isinstance(size, int | float) and size > 0.8 * cell:
                trace["marker"] = trace["marker"] | {"size": round(0.8 * cell, 1)}
        inside = [
            note for note in self.notes
            if note.get("xref", "x") == panel.axis and note.get("yref", "y") in panel.rows
        ]  # fmt: skip
        widest = max((pixels(note["text"], _CELL_SMALLEST) for note in inside), default=0)
        for note in inside:
            note["font"] = note.get("font", {}) | {
                "size": _CELL_SIZE if widest + 3 < cell else _CELL_SMALLEST
            }
            note["visible"] = widest <= cell

    # around them

    def _heading(self) -> float:
        """Break title and subtitle; their height."""
        title = self.layout.get("title")
        if not title or not _text(title):
            return _PAD
        texts = unbroken(self.meta, title)
        first, second = broken(texts[0], WIDTH - _PAD, _TITLE), broken(texts[1], WIDTH - _PAD, _SUBTITLE)
        self.layout["title"] = title | {
            "text": first, "font": {"size": _TITLE}, **BESIDE_ROWS,
            "pad": {"t": _PAD + lifted(first, _TITLE), "l": 4},
            "subtitle": {"text": second, "font": (title.get("subtitle") or {}).get("font", {}) | {"size": _SUBTITLE}},
        }  # fmt: skip
        self.meta |= {"heading": list(texts)}
        titles = _TITLE_LINE * lines(first) + lifted(first, _TITLE)
        return 3 * _PAD + titles + (_SUBTITLE_LINE * lines(second) if second else 0)

    def _below(self) -> float:
        """Put what stands below all panels in its place; its height."""
        at = self.panels[-1].foot
        headings = []
        for number in self.below:
            note = self.notes[number]
            if note.get("xanchor") == "center":
                at += 6
                note |= {"yanchor": "top", "yshift": -at + 2}
                at += _AXIS_TITLE
            else:
                headings.append(note)
        if sliders := self.layout.get("sliders"):
            self.layout["sliders"] = [
                slider | {"pad": slider.get("pad", {}) | {"t": at + 4}, "x": 0, "len": 1}
                for slider in sliders
            ]
            at += _SLIDER
        bars = list(self._shared_bars())
        if bars and not headings:
            text = next((text for text in (_text(bar.get("title")) for bar in bars) if text), "")
            headings = [{
                "text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": 1, "xanchor": "right", "y": 0,
                "font": {"size": 12},
            }]  # fmt: skip
            self.notes += headings
        for note in headings:
            note["text"] = broken(note["text"], WIDTH - _PAD, 11.5)
            note |= {"x": 1, "xanchor": "right", "align": "right", "yanchor": "top", "yshift": -at - 4}
            at += _BAR_HEADING * lines(note["text"]) + 4
        for bar in bars:
            bar |= {
                "orientation": "h", "x": 0.5, "xanchor": "center", "len": 0.94, "lenmode": "fraction", "y": 0,
                "yref": "paper", "yanchor": "top", "ypad": at + 2, "xpad": 0, "title": {"text": None},
            }  # fmt: skip
        at += _BAR if bars else 0
        return at + self._legend()

    def _shared_bars(self) -> Iterator[dict[str, Any]]:
        """The colour bars that stand below all panels: copies in place of the figure's own."""
        for key in [key for key in self.layout if key.startswith("coloraxis") and key not in self.own_bars]:
            scale = self.layout[key]
            if scale.get("showscale", True) and any(trace.get("coloraxis") == key for trace in self.traces):
                self.layout[key] = scale | {"colorbar": dict(scale.get("colorbar", {}))}
                yield self.layout[key]["colorbar"]
        for trace in self.traces:
            if trace["type"] == "heatmap" and "coloraxis" not in trace and trace.get("showscale", True):
                trace["colorbar"] = dict(trace.get("colorbar", {}))
                yield trace["colorbar"]

    def _legend(self) -> float:
        """Put the legend below all, in as many columns as its names allow; its height."""
        shown = [trace for trace in self.traces if _in_legend(trace)]
        several = {trace.get("legendgroup") or trace.get("name") for trace in shown}
        # plotly leaves the legend out where one trace alone could stand in it
        able = [trace for trace in self.traces if _in_legend(trace) or _is_named_elsewhere(trace)]
        if not several or (len(able) < 2 and not any(trace.get("showlegend") for trace in shown)):
            return _PAD
        room = WIDTH - _PAD - _KEY
        for trace in shown:
            trace["name"] = broken(str(trace.get("name", "")), room, _LEGEND_SIZE)
        widest = max(pixels(trace["name"], _LEGEND_SIZE) for trace in shown)
        # plotly fills a line as far as the plot is wide
        plot = WIDTH - self.left - _RIGHT
        columns = max(1, min(3, int(plot // (widest + _KEY))))
        # A figure whose traces a menu exchanges has the legend of one choice at a time.
        names = list(dict.fromkeys(trace["name"] for trace in shown))
        rows = [names[start : start + columns] for start in range(0, len(names), columns)]
        height = sum(_LEGEND_LINE * max(map(lines, row)) + _LEGEND_PAD for row in rows)
        self.layout["legend"] = self.layout.get("legend", {}) | {
            "orientation": "h", "x": 0, "xref": "container", "xanchor": "left", "y": 0, "yref": "container",
            "yanchor": "bottom", "entrywidthmode": "pixels", "entrywidth": round(max(plot / columns - _KEY, widest)),
            "itemwidth": _ITEM, "font": {"size": _LEGEND_SIZE}, "title": {"text": None},
            "maxheight": round(height + 20),
        }  # fmt: skip
        return height + 2 * _PAD

    def _menu(self, menu: dict[str, Any]) -> dict[str, Any]:
        """A menu above the first panel that changes the copies of an axis with the axis, and breaks what it writes."""
        buttons = []
        for button in menu["buttons"]:
            changes, *others = button["args"][1:]
            changed: dict[str, Any] = {}
            for name, value in changes.items():
                if name == "title.text":
                    value = broken(value, WIDTH - _PAD, _TITLE)
                part, _, rest = name.partition(".")
                rows = [part, *(_key(copy) for copy in self.copies.get(part.replace("axis", ""), ()))]
                for row in rows:
                    changed[f"{row}.{rest}"] = value
                    if rest == "tickvals" and row.startswith("yaxis"):
                        changed[f"{row}.ticktext"] = [
                            broken(str(name), _LABEL, _LABEL_SIZE) for name in value
                        ]
            buttons.append(button | {"args": [button["args"][0], changed, *others]})
        return menu | {
            "buttons": buttons, "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom",
            "pad": {"b": 8, "t": 0, "l": 4}, "font": {"size": _LEGEND_SIZE},
        }  # fmt: skip


def _tables(drawn: Mapping[str, Any]) -> dict[str, Any]:
    """A table in blocks of a few columns below each other, the first column in each."""
    layout = dict(drawn["layout"])
    (table,) = drawn["data"]
    head, cells = table["header"], table["cells"]
    count = len(head["values"])
    rows = len(cells["values"][0]) if count else 0
    blocks = [[0, *range(start, min(start + _BLOCK, count))] for start in range(1, count, _BLOCK)]
    each = head["height"] + rows * cells["height"] + _TABLE_GAP
    height = each * len(blocks)
    traces = []
    for number, columns in enumerate(blocks):
        part = {
            "header": head | {"values": [head["values"][column] for column in columns]},
            "cells": cells
            | {
                "values": [cells["values"][column] for column in columns],
                "font": cells["font"] | {"color": [cells["font"]["color"][column] for column in columns]},
            },
            "columnwidth": [table["columnwidth"][column] for column in columns],
            "domain": {"x": [0, (len(columns) + 1.4) / (_BLOCK + 2.4)],
                       "y": [max(0.0, 1 - (number + 1) * each / height), 1 - number * each / height]},
        }  # fmt: skip
        traces.append(dict(table) | part)
    stack = _Stack({"data": [], "layout": layout})
    top = stack._heading()
    layout = stack.layout | {
        "autosize": True,
        "height": round(top + height + _PAD),
        "margin": {"l": 4, "r": 4, "t": round(top), "b": _PAD},
        "meta": stack.meta | {NARROW: True, "least_width": 300},
    }
    return {"data": traces, "layout": layout}


def _key(axis: str) -> str:
    """``x2`` as the layout names it: ``xaxis2``; of a scene its name."""
    return axis if axis.startswith("scene") else f"{axis[0]}axis{axis[1:]}"


def _text(title: Any) -> str:
    """The text of a title, which may be one or hold one."""
    return str((title.get("text") if isinstance(title, Mapping) else title) or "")


def _is_below(note: Mapping[str, Any]) -> bool:
    """Whether a note stands below all panels: an axis's title for all of them, or the heading of a colour bar."""
    in_paper = note.get("xref") == "paper" == note.get("yref")
    return in_paper and note.get("y") == 0 and note.get("yshift", 0) < 0


def _in_legend(trace: Mapping[str, Any]) -> bool:
    if trace["type"] == "heatmap":
        return bool(trace.get("showlegend"))
    return (
        trace.get("showlegend", True) and bool(trace.get("name")) and trace.get("visible", True) is not False
    )


def _is_named_elsewhere(trace: Mapping[str, Any]) -> bool:
    """Whether a trace was left out of a legend in which it could stand."""
    return trace["type"] != "heatmap" and trace.get("visible", True) is not False


def _some(values: Any) -> list[Any]:
    """The first values of a list or an array; none of an array as plotly writes it, which holds numbers."""
    return [] if values is None or isinstance(values, Mapping) else list(values[:2])


def _length(values: Any) -> int:
    """How many there are in a list, or in an array as plotly writes it."""
    if isinstance(values, Mapping):
        size = int(str(values["dtype"])[-1])
        return len(base64.b64decode(values["bdata"])) // size
    return len(values)


def patch(wide: Sequence[Mapping[str, Any]], narrow: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What turns the traces of a figure into those of its narrow form: changed values, and None for those that go.

    Args:
        wide: traces of the figure.
        narrow: of its narrow form; a trace that is one of many is written whole.
    """
    if len(wide) != len(narrow):
        return [dict(trace) for trace in narrow]
    changes = []
    for before, after in zip(wide, narrow, strict=True):
        changed = {name: value for name, value in after.items() if value is not before.get(name, ...)}
        changes.append(changed | {name: None for name in before if name not in after})
    return changes
