"""How tests are shared out over processes."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.several_processes import FIRST, Scheduling, unit
from tests.support.warm import warm_process

ROOT = Path(__file__).parents[1]


@pytest.mark.slow("tests/test_several_processes.py")
def test_what_is_begun_first_is_there():
    named = {name for name in FIRST if name.startswith("tests/")}
    single = {name for name in named if "::" in name}
    assert single and all((ROOT / name).is_file() and unit(name) == name for name in named - single)
    files = {name.split("::")[0] for name in single}
    done = warm_process("-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *sorted(files))
    assert single <= set(done.out.splitlines()) and {unit(file) for file in files} == {None}
    assert {"real", "browsers"} <= {
        unit(str(path.relative_to(ROOT))) for path in ROOT.glob("tests/**/test_*.py")
    }


def test_long_units_are_given_out_before_those_with_many_tests(monkeypatch):
    given = []
    monkeypatch.setattr(
        LoadScopeScheduling,
        "_assign_work_unit",
        lambda self, node: given.append(self.workqueue.popitem(last=False)[0]),
    )
    scheduling = Scheduling.__new__(Scheduling)
    scheduling.workqueue = OrderedDict((name, {}) for name in ("many", FIRST[1], "few", FIRST[0]))
    for _ in range(4):
        scheduling._assign_work_unit(None)
    assert given == [FIRST[0], FIRST[1], "many", "few"]
