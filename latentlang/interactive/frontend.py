"""The explorer's page: plain ES modules of `static/`, put together to one, with its style sheet; nothing is built."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

#: Modules in the order in which they need each other; ``app`` last, with what a page and a notebook call.
MODULES = ("dom", "transport", "app")
# An import stands on a line of its own: all modules share one scope once they are one.
_IMPORT = re.compile(r"^import [^\n]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)


@cache
def module() -> str:
    """The whole front end as one ES module, whose default export is ``{render}``, as anywidget wants it."""
    parts = (_text(f"{name}.js") for name in MODULES)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts)


@cache
def style() -> str:
    """The style sheet."""
    return _text("explorer.css")


def _text(name: str) -> str:
    return (files("latentlang.interactive") / "static" / name).read_text(encoding="utf-8")
