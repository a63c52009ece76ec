"""How tests are shared out over processes (``pytest -n 2``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).parents[1]
_BROWSERS = "browsers"
_REAL = "real"
#: Rooms whose tests start processes and train models: each test for itself, or one file would be waited for at the end.
_SLOW_ROOMS = frozenset({"cli", "comparison", "experiments", "notebooks", "reproduction", "training"})


@cache
def unit(file: str) -> str | None:
    """What runs in one process with the tests of a file (by its path); None: each of them for itself."""
    path = _TESTS.parent / file
    if "mark.browser" in path.read_text(encoding="utf-8"):
        return _BROWSERS  # several at a time would starve each other
    if path.relative_to(_TESTS).parts[0] == _REAL:
        return _REAL  # one process loads the real model, which takes gigabytes
    return None if path.relative_to(_TESTS).parts[0] in _SLOW_ROOMS else file


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist is not checked
    """Whole files, so that what they share is made once; browsers in one process; slow tests one by one, last.

    pytest-xdist's own ``--dist loadgroup`` puts the group's name into an attribute that pytest 9.2 no longer reads.
    Its order is kept: the units with most tests first, so that single tests fill up the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid.split("::")[0]) or nodeid
