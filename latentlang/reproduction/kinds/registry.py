"""The kinds of experiment by name: one `register` makes a kind known to files, plans, runs, pages and the command line.

Those that come with the package: `latentlang.reproduction.kinds.shipped`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError, shown, unknown

if TYPE_CHECKING:
    from latentlang.reproduction.kinds.base import ExperimentKind

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_KINDS: dict[str, type[ExperimentKind[Any]] | str] = {}
#: Name to the class of the kind, or where that lies: ``package.module:Class``.
KINDS: Mapping[str, type[ExperimentKind[Any]] | str] = MappingProxyType(_KINDS)


def register(name: str, kind: type[ExperimentKind[Any]] | str) -> None:
    """Make a kind of experiment known by a name, or put it in another's place.

    Args:
        name: what files call it: a-z, 0-9 and ``-``.
        kind: its class, or where that lies, ``"package.module:Class"``, which is imported when it is first needed.

    Raises:
        InputError: the name cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{shown(name)} is no name of a kind of experiment; use a-z, 0-9 and -")
    _KINDS[name] = kind
    _made.cache_clear()


def unregister(name: str) -> None:
    """Forget a kind."""
    _KINDS.pop(name, None)
    _made.cache_clear()


def kind_named(name: str) -> ExperimentKind[Any]:
    """The kind of a name.

    Raises:
        InputError: there is none.
    """
    if name not in _KINDS:
        raise unknown("kind of experiment", name, _KINDS)
    return _made(name)


@cache
def _made(name: str) -> ExperimentKind[Any]:
    kind = _KINDS[name]
    if isinstance(kind, str):
        module, _, class_name = kind.partition(":")
        found: type[ExperimentKind[Any]] = getattr(import_module(module), class_name)
        return found()
    return kind()
