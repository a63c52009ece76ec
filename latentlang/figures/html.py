"""One self-contained page for a figure: it works offline, asks no other computer for anything, and explains itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from latentlang.figures.page import caption as caption_html
from latentlang.figures.page import escaped, footer, meta_of, plot, texts, write_page

_BODY = """<main>
<h1 class="unseen">{title}</h1>
<figure>
{plot}{caption}</figure>
{footer}</main>"""


def write_html(
    figure: go.Figure,
    path: str | os.PathLike[str],
    *,
    title: str,
    lang: str = "en",
    caption: Sequence[str] | None = None,
) -> Path:
    """Write a figure as one page with plotly inside; whole or not at all.

    Args:
        figure: what to show. Where its ``layout.meta`` has ``how_to_read`` and ``made_with`` (lists of plain text, as
            `lens_figure` leaves them), they go below the figure; ``least_width`` is what it needs, in pixels.
        path: file to write; its folder must exist.
        title: the page's title, plain text.
        lang: language of the page's own text, as in HTML's ``lang``.
        caption: paragraphs of plain text that explain the figure, instead of its own.

    Returns:
        The path written.

    Raises:
        InputError: the file cannot be written.
    """
    meta = meta_of(figure)
    body = _BODY.format(
        title=escaped(title),
        plot=plot(figure, "figure", label=title),
        caption=caption_html(list(caption) if caption is not None else texts(meta, "how_to_read")),
        footer=footer(texts(meta, "made_with")),
    )
    return write_page(path, title=title, body=body, lang=lang)
