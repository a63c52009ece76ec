"""The explorer's page: plain ES modules of `static/`, put together to one, with its style sheet; nothing is built."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

#: Modules in the order in which they need each other; ``app`` last, with what a page and a notebook call.
MODULES = (
    "dom", "colours", "store", "transport", "registry", "controls", "reading", "answer", "strip", "grid", "words",
    "languages", "patch", "steer", "scatter", "saved", "app",
)  # fmt: skip
#: Style sheets, a later one over an earlier one.
STYLES = ("explorer", "cause")
# An import stands on a line of its own; an export is a declaration.
_IMPORT = re.compile(r'^import (\{[^}\n]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|let|class|(?:async )?function)\s+(\w+))", re.MULTILINE)


@cache
def module() -> str:
    """The whole front end as one ES module, whose default export is ``{render}``, as anywidget wants it.

    Each module but the last is a function of its own that gives its exports, so that no name of one meets another's.
    """
    *inner, last = MODULES
    return "\n".join((*map(_enclosed, inner), _EXPORT.sub("", _imported(last))))


@cache
def style() -> str:
    """The style sheet."""
    return "\n".join(_text(f"{name}.css") for name in STYLES)


def _enclosed(name: str) -> str:
    """A module as a constant that holds its exports."""
    text = _imported(name)
    exported = ", ".join(_EXPORT.findall(text))
    return f"const {name}_module = (() => {{\n{_EXPORT.sub('', text)}\nreturn {{ {exported} }};\n}})();"


def _imported(name: str) -> str:
    """A module that takes what it imports from the constants of `_enclosed`."""
    return _IMPORT.sub(r"const \1 = \2_module;", _text(f"{name}.js"))


def _text(name: str) -> str:
    return (files("latentlang.interactive") / "static" / name).read_text(encoding="utf-8")
