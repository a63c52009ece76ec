"""Title and subtitle broken into the lines that a figure's width allows, with room made for them."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from latentlang.figures.text_width import broken, lines, pixels

#: A title is broken for a notebook's cell or a laptop's screen, unless a width is asked for.
USUAL_WIDTH = 860
TITLE_SIZE, SUBTITLE_SIZE = 19.0, 12.5
TITLE_LINE, SUBTITLE_LINE = 25, 17  # pixels of a further line
_TOP, _RIGHT = 18, 12
_BAR = 124  # plotly's buttons, beside the first line of the title
_LIFT = 0.7  # of the size
_TOP_LEFT = {"x": 0, "y": 1, "yref": "container", "yanchor": "top"}
#: Where a title stands: over its plot; where names of rows stand beside the plot, over the page's caption.
ABOVE_PLOT = {**_TOP_LEFT, "xref": "paper", "pad": {"t": _TOP}}
BESIDE_ROWS = {**_TOP_LEFT, "xref": "container", "pad": {"t": _TOP, "l": 64}}


def fitted(figure: go.Figure, *, width: int | None = None) -> None:
    """Break title and subtitle of a figure for a width, in place; what the figure needs is in its ``least_width``.

    Args:
        figure: its ``layout.meta`` keeps title and subtitle as they were, so that it can be fitted again.
        width: in pixels; by default `USUAL_WIDTH`, or what the figure needs where that is more.
    """
    layout = figure.layout
    if layout.title.text is None:
        return
    meta = dict(layout.meta or {})
    least = int(meta.get("least_width", 0))
    title, subtitle = unbroken(meta, layout.title)
    left = _left(layout)
    room = (width or max(USUAL_WIDTH, least)) - left - _RIGHT
    texts = broken(title, room - _BAR, TITLE_SIZE), broken(subtitle, room, SUBTITLE_SIZE)
    more = round(_height(*texts) - _height(layout.title.text, layout.title.subtitle.text or ""))
    if more:
        meta["heading"] = [title, subtitle]
    layout.title.text = texts[0]
    if subtitle:
        layout.title.subtitle.text = texts[1]
    if layout.title.yanchor == "top":
        layout.title.pad.t = _TOP + lifted(texts[0], TITLE_SIZE)
    if more and layout.height is not None:
        layout.height += more
        layout.margin.t = (layout.margin.t or 0) + more
    widths = pixels(texts[0], TITLE_SIZE) + _BAR, pixels(texts[1], SUBTITLE_SIZE)
    needed = int(max(widths) + left + _RIGHT)
    if width is None and least and needed > least:
        meta["least_width"] = min(needed, max(USUAL_WIDTH, least))
    if meta:
        layout.meta = meta


def unbroken(meta: dict[str, Any], title: Any) -> tuple[str, str]:
    """Title and subtitle as they were before they were broken.

    Args:
        meta: of the figure.
        title: the title in its layout.
    """
    if "heading" in meta:
        first, second = meta["heading"]
        return str(first), str(second)
    return str(title["text"]), str((title["subtitle"] or {})["text"] or "") if "subtitle" in title else ""


def lifted(title: str, size: float) -> float:
    """Pixels by which plotly sets a title higher that has several lines: what its place must be lower for."""
    return _LIFT * size if lines(title) > 1 else 0.0


def _height(title: str, subtitle: str) -> float:
    return TITLE_LINE * lines(title) + lifted(title, TITLE_SIZE) + SUBTITLE_LINE * lines(subtitle)


def _left(layout: go.Layout) -> float:
    """Where the title begins."""
    title = layout.title
    pad = (title.pad.l or 0) if title.pad is not None else 0
    return float(pad + ((layout.margin.l or 0) if title.xref == "paper" else 0))
