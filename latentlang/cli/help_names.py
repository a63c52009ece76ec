"""Long names of options, broken after a hyphen where a narrow terminal would cut them in the help."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Columns of a terminal in which all names stand in one line.
_WIDE = 110
# Letters of a name that stands in one line in 80 columns too; of one that stands beside its opposite.
_MOST, _MOST_NEGATIVE = 20, 18
_NAME = re.compile(r"--[\w-]+")


def broken(name: str) -> str:
    """A name in two lines, the first of which ends with the hyphen that is nearest to its middle."""
    places = [match.end() for match in re.finditer(r"(?<=\w)-", name)]
    if len(name) <= (_MOST_NEGATIVE if name.startswith("--no-") else _MOST) or not places:
        return name
    place = min(places, key=lambda end: abs(end - len(name) / 2))
    return f"{name[:place]}\n{name[place:]}"


@contextmanager
def whole_names(arguments: Sequence[str]) -> Iterator[None]:
    """A context in which the help names every option in full; does nothing where no help is asked for.

    The table of typer's help cuts a name that is wider than its column, with no option to fold it.

    Args:
        arguments: the command line.
    """
    if not {"-h", "--help"} & set(arguments):
        yield
        return
    from rich.console import Console
    from rich.text import Text
    from typer import rich_utils

    if Console().width >= _WIDE:
        yield
        return

    class Positive(rich_utils.OptionHighlighter):
        def __call__(self, text: Any) -> Text:
            return super().__call__(_whole(text))

    class Negative(rich_utils.NegativeOptionHighlighter):
        def __call__(self, text: Any) -> Text:
            return super().__call__(_whole(text))

    before = rich_utils.highlighter, rich_utils.negative_highlighter
    rich_utils.highlighter, rich_utils.negative_highlighter = Positive(), Negative()
    try:
        yield
    finally:
        rich_utils.highlighter, rich_utils.negative_highlighter = before


def _whole(text: Any) -> Any:
    return broken(text) if isinstance(text, str) and _NAME.fullmatch(text) else text
