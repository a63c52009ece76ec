"""Views of the explorer by name: a view is one module in `views/` and one `register`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol

from latentlang.errors import unknown
from latentlang.interactive.messages import Message
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import Session


class ExplorerView(Protocol):
    """What a page can ask for."""

    @property
    def name(self) -> str:
        """What a request calls it."""

    @property
    def arguments(self) -> type[Message]:
        """The type of its arguments."""

    def parts(self, session: Session, arguments: Any, run: RequestRun, /) -> Iterator[dict[str, Any] | None]:
        """What is to be shown, part by part, the most wanted first; None where other requests may go first.

        Long work calls ``run.progress`` or ``run.check`` often: there a cancelled request ends.

        Raises:
            LatentlangError: what is wrong, in one line.
        """

    def code(self, session: Session, arguments: Any, /) -> str:
        """Python code that gives the same in a notebook."""


# Modules of `views/`, in the order of the page's tabs.
_MODULES = ("opening", "grid", "words", "languages", "patch", "steer", "saved")
_VIEWS: dict[str, ExplorerView] = {}


def register(view: ExplorerView) -> None:
    """Make a view known."""
    _VIEWS[view.name] = view


def names() -> tuple[str, ...]:
    """Names of the views that can be asked for."""
    _load()
    return tuple(_VIEWS)


def find_view(name: str) -> ExplorerView:
    """The view of a name.

    Raises:
        InputError: there is none.
    """
    _load()
    if name not in _VIEWS:
        raise unknown("view", name, tuple(_VIEWS))
    return _VIEWS[name]


def _load() -> None:
    """Import the modules that register the package's own views."""
    for module in _MODULES:
        import_module(f"latentlang.interactive.views.{module}")
