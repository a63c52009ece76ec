"""plotly's JavaScript for pages: inside each of them, or one copy in a folder, which they link."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from plotly.offline import get_plotlyjs, get_plotlyjs_version

from latentlang.errors import unknown
from latentlang.storage.files import write_bytes

#: ``whole``: a page is one file that can be sent away; ``light``: it is small and needs the copy in its folder.
HTML = ("whole", "light")


def library_for(html: str, page: Path, *, folder: Path | None = None) -> bool | str:
    """What `latentlang.figures.page.plot` takes as its library; of light pages the copy is written where it is not yet.

    Args:
        html: one of `HTML`.
        page: the file that the page will be.
        folder: that holds the copy; by default the page's own.

    Raises:
        InputError: there is no such kind of page, or the copy cannot be written.
    """
    check_html(html)
    if html == "whole":
        return True
    copy = write_library(page.parent if folder is None else folder)
    return Path(os.path.relpath(copy, page.parent)).as_posix()


def check_html(html: str) -> None:
    """Refuse what is no kind of page.

    Raises:
        InputError: naming what there is.
    """
    if html not in HTML:
        raise unknown("kind of page", html, HTML)


def write_library(folder: Path) -> Path:
    """Make sure that a folder holds plotly.js in the version that is installed; returns the file.

    A copy that is whole is left as it is, whatever else is replaced by an atomic write.

    Raises:
        InputError: it cannot be written.
    """
    path = folder / f"plotly-{get_plotlyjs_version()}.min.js"
    content = get_plotlyjs().encode("utf-8")
    with suppress(OSError):
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return path
    write_bytes(path, content)
    return path
