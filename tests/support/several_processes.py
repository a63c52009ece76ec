"""How tests are shared out over processes (``pytest -n 2``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).parents[1]
_BROWSERS = "browsers"
_REAL = "real"
#: Rooms whose tests start processes and train models: each test for itself, or one file would be waited for at the end.
_SLOW_ROOMS = frozenset({"cli", "comparison", "experiments", "notebooks", "reproduction", "training"})
#: Units that take long, longest first: begun last, one of them would be waited for by all other processes.
FIRST = (
    _REAL,
    "tests/notebooks/test_notebooks.py::test_notebook_runs[05_question_alignment]",
    _BROWSERS,
    "tests/lens/test_tuned_lens.py",
    "tests/test_types.py",
    "tests/storage/test_damaged_files.py",
    "tests/packaging/test_wheel.py",
    "tests/lens/test_pivot_test.py",
    "tests/models/test_gguf.py",
    "tests/docs/test_docs_examples.py",
)


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
    Its order is kept after `FIRST`: the units with most tests first, so that single tests fill up the end.
    """

    def _assign_work_unit(self, node: Any) -> None:
        for name in FIRST:
            if name in self.workqueue:
                self.workqueue.move_to_end(name, last=False)
                break
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid.split("::")[0]) or nodeid
