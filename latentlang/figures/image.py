"""A figure as a picture file, where the optional kaleido and a browser are there to draw it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import plotly.graph_objects as go

from latentlang.errors import InputError, unknown
from latentlang.figures.shaping import shaped
from latentlang.installing import install_command
from latentlang.remote_paths import located
from latentlang.storage.files import write_bytes

FORMATS = ("png", "pdf", "svg", "webp")
_WIDTH, _SCALE = 1000, 2


def check_pictures() -> None:
    """Make sure that pictures can be drawn, before anything slow is computed for one.

    Raises:
        InputError: kaleido is not installed.
    """
    if find_spec("kaleido") is None:
        raise InputError(
            f"a picture file needs the package kaleido, which is not installed; {install_command('figures')}, or take "
            "the HTML page"
        )


def write_picture(
    figure: go.Figure, path: str | os.PathLike[str], *, width: int | None = None, scale: float = _SCALE
) -> Path:
    """Write a figure as PNG, PDF, SVG or WebP, as the file's name ends, by an atomic write.

    Args:
        figure: what to draw.
        path: file to write; its folder must exist.
        width: in pixels as the figure counts them, for figures that fit their width to the page; by default 1000, or
            what the figure's ``layout.meta`` says it needs (``least_width``).
        scale: picture pixels per pixel.

    Returns:
        The path written.

    Raises:
        InputError: kaleido or a browser is missing, there is no such format, or the file cannot be written.
    """
    check_pictures()
    target = located(path)
    ending = target.suffix.removeprefix(".").casefold()
    if ending not in FORMATS:
        raise unknown("picture format", ending, FORMATS)
    meta = figure.layout.meta if isinstance(figure.layout.meta, dict) else {}
    if width is not None:
        figure = shaped(go.Figure(figure), width=width)
    width = width or max(_WIDTH, int(meta.get("least_width", 0)))
    try:
        picture = figure.to_image(format=ending, width=width, scale=scale)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the picture could not be drawn: {reason}; it takes Chrome or Chromium (plotly_get_chrome fetches one); "
            "or take the HTML page"
        ) from error
    write_bytes(target, picture)
    return target
