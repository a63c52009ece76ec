"""How tests are shared out over processes."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

from tests.support.several_processes import FIRST, Scheduling, unit

ROOT = Path(__file__).parents[1]


def test_what_is_begun_first_is_there():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    files = sorted({name.split("::")[0] for name in FIRST if name.startswith("tests/")})
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True)
    units = {unit(line.split("::")[0]) or line for line in done.stdout.splitlines() if "::" in line}
    assert {name for name in FIRST if name.startswith("tests/")} <= units
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
