"""What a reader may ask of any figure: a theme, a title, a width; and which languages and curves of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypedDict

import plotly.graph_objects as go

from latentlang.arguments import check_count, split_names
from latentlang.errors import InputError, unknown
from latentlang.figures.headings import fitted
from latentlang.figures.narrow import BELOW, OWN_WIDTH, has_narrow_form, narrowed
from latentlang.figures.notebook_figure import NotebookFigure
from latentlang.figures.style import safe, turned
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages

THEMES = ("light", "dark")
LEAST_WIDTH = 300  # of a figure, in pixels
# Text from data is escaped: what stands in such a tag is ours.
_IN_TAG = re.compile(r"(?<=<span style='color:)#[0-9A-Fa-f]{6}")


class Look(TypedDict, total=False):
    """What every figure takes.

    Attributes:
        theme: ``"light"`` or ``"dark"``; by default light, and on a page as the reader's computer is set.
        title: plain text instead of the figure's own title.
        width: in pixels; by default that of the page.
    """

    theme: str | None
    title: str | None
    width: int | None


def shaped(
    figure: go.Figure,
    *,
    theme: str | None = None,
    title: str | None = None,
    width: int | None = None,
    **others: object,
) -> go.Figure:
    """A figure with a theme, a title and a width, its title broken into the lines that its width allows.

    A figure of less than `latentlang.figures.narrow.BELOW` pixels has its panels below each other.

    Args:
        figure: as its builder made it; its title may be broken in place.
        theme: as in `Look`, as are the others.
        title: plain text.
        width: in pixels, at least `LEAST_WIDTH`.
        **others: what no figure takes; refused by name here, where the options of every figure arrive.

    Raises:
        InputError: an unknown theme or option, or a width that is too small.
    """
    for name in others:
        raise unknown(
            "option of this figure",
            name,
            Look.__annotations__,
            hint="and more by its kind, such as languages: see help(result.figure)",
        )
    if theme is not None and theme not in THEMES:
        raise unknown("theme", theme, THEMES)
    check_count("width", width, least=LEAST_WIDTH)
    if theme is None and title is None and width is None:
        fitted(figure)
        return _for_notebooks(figure)
    meta = dict(figure.layout.meta or {})
    shown = go.Figure(_recoloured(figure.to_dict())) if theme == "dark" else go.Figure(figure)
    if title is not None:
        shown.layout.title.text = f"<b>{safe(title)}</b>"
        if "heading" in meta:
            meta["heading"] = [shown.layout.title.text, meta["heading"][1]]
    if theme is not None:
        meta["theme"] = theme
    shown.layout.meta = meta
    if width is None:
        fitted(shown)
        return _for_notebooks(shown)
    if width < BELOW and has_narrow_form(shown):
        shown = narrowed(shown)
    else:
        fitted(shown, width=width)
    shown.layout.width = width
    kept = {name: value for name, value in shown.layout.meta.items() if name != OWN_WIDTH}
    shown.layout.meta = {**kept, "least_width": width}
    return _for_notebooks(shown)


def _for_notebooks(figure: go.Figure) -> NotebookFigure:
    """The figure itself: a copy of all its parts, each checked anew, takes as long as to draw it."""
    if type(figure) is not go.Figure:
        return figure if isinstance(figure, NotebookFigure) else NotebookFigure(figure, skip_invalid=True)
    figure.__class__ = NotebookFigure
    shown: NotebookFigure = figure
    return shown


def chosen_languages(
    asked: str | Language | Iterable[str | Language] | None, present: Collection[str]
) -> list[str]:
    """Codes of the languages to draw, in the order asked for; all that are there where None is.

    Args:
        asked: codes, names or groups.
        present: codes that the result has, in its order.

    Raises:
        InputError: one that the result does not have, or none at all.
    """
    if asked is None:
        return list(present)
    codes = [entry.code for entry in find_languages(asked)]
    missing = [code for code in codes if code not in present]
    if missing:
        raise unknown("language of this result", missing[0], present)
    return codes


def chosen_curves(asked: str | Iterable[str] | None, present: Collection[str]) -> list[str]:
    """Names of the curves to draw; all that are there where None is.

    Raises:
        InputError: one that the result does not have, or none at all.
    """
    if asked is None:
        return list(present)
    names = list(dict.fromkeys(split_names(asked)))
    missing = [name for name in names if name not in present]
    if missing:
        raise unknown("curve of this result", missing[0], present)
    if not names:
        raise InputError("no curve was chosen to draw; leave curves out for all")
    return names


def _recoloured(value: Any, *, colours: bool = False) -> Any:
    """A part of a figure with its colours turned for a dark page; `colours`: whether strings in it are colours."""
    if isinstance(value, Mapping):
        return {
            name: _recoloured(part, colours=str(name).endswith(("color", "colorscale")) or colours)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_recoloured(part, colours=colours) for part in value]
    if not isinstance(value, str):
        return value
    if not colours:
        return _IN_TAG.sub(lambda match: turned(match[0]), value)
    return turned(value)
