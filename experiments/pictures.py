"""Pictures of pages, with their captions beside them: drawn from saved results, committed with the tables."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import plotly.graph_objects as go

from latentlang.figures.image import check_pictures, write_picture
from latentlang.storage.files import write_text

_SCALE = 1.4
Drawing = Callable[[Path], go.Figure]


def caption(figure: go.Figure) -> str:
    """How a picture is read and what it was made with, as its page says."""
    meta = figure.layout.meta or {}
    parts = [*meta.get("how_to_read", ()), " · ".join(meta.get("made_with", ()))]
    return "\n".join(re.sub(r"<[^>]*>", "", part) for part in parts if part)


def draw(
    pictures: Mapping[str, Drawing], into: Path, *, about: str | None, drawn_from: Path | None = None
) -> None:
    """The command line of a module of pictures: a folder of results, and which pictures.

    Args:
        pictures: name to what draws it from the folder.
        into: where they are written, each with a text beside it.
        about: the module's own words.
        drawn_from: the folder of results, where it is always the same: that of committed tables.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    if drawn_from is None:
        parser.add_argument("folder", type=Path, help="where `measure` saved its results")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(pictures)}; all by default")
    options = parser.parse_args()
    folder = options.folder if drawn_from is None else drawn_from
    check_pictures()
    for name in options.names or pictures:
        figure = pictures[name](folder)
        write_picture(figure, into / f"{name}.png", scale=_SCALE)
        write_text(into / f"{name}.txt", caption(figure) + "\n")
