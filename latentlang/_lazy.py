"""Names of a package that are imported when they are first asked for, so that importing the package is quick."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, Iterable[str]], *, rooms: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        homes: module to the public names that come from it.
        rooms: modules and packages within it that are public themselves.
    """
    home_of = {name: home for home, names in homes.items() for name in names}
    modules = frozenset(rooms)

    def find(name: str) -> Any:
        if name in home_of:
            return getattr(import_module(home_of[name]), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        near = [] if name.startswith("_") else difflib.get_close_matches(name, [*home_of, *modules], n=2)
        meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        # with its name given Python adds no guess of its own, which IPython does not show
        raise AttributeError(f"module {package!r} has no attribute {name!r}{meant}", name=name)

    def names() -> list[str]:
        dunder = (name for name in vars(sys.modules[package]) if name.startswith("__"))
        return sorted({*home_of, *modules, *dunder, *vars(sys.modules[package]).get("__all__", ())})

    return find, names
