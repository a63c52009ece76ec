"""A process that begins warm is a process as any other: what it is given, what it says, how it ends."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.command_line import process
from tests.support.warm import MODULES, WarmProcess, warm_process

_SAYS = """
import os, sys
print(sys.argv[1:], __name__, os.getcwd(), os.environ["ONE"], sys.stdin.read(), sys.stdout.isatty())
print("wrong", file=sys.stderr)
sys.exit(3)
"""


@pytest.mark.parametrize(
    "arguments", [("-c", _SAYS, "a b", "ü"), ("-m", "latentlang", "--version"), ("-m", "latentlang", "lens"),
                  ("-c", "import os; os.kill(os.getpid(), 9)"), ("-c", "import os; os.kill(os.getpid(), 2)")]
)  # fmt: skip
def test_it_says_and_ends_as_one_that_begins_cold(arguments):
    cold, warm = (begin(*arguments, ONE="1", COLUMNS="50") for begin in (process, warm_process))
    assert (warm.code, warm.out) == (cold.code, cold.out)
    assert warm.err.splitlines()[-1:] == cold.err.splitlines()[-1:]


def test_it_has_everything_imported_and_no_thread():
    code = "import sys, threading; print(*sys.modules); print(threading.active_count(), file=sys.stderr)"
    ran = warm_process("-c", code)
    assert set(MODULES) <= set(ran.out.split()) and ran.err == "1\n"


def test_one_leaves_nothing_to_the_next():
    assert warm_process("-c", "import os, torch; os.environ['X'] = '1'; torch.x = 1").code == 0
    assert (
        warm_process("-c", "import os, torch; print('X' in os.environ, hasattr(torch, 'x'))").out
        == "False False\n"
    )


def test_several_run_at_once_and_can_be_killed():
    reader, writer = os.pipe()
    several = [
        WarmProcess("-c", "import time; print(1, flush=True); time.sleep(300)", stdout=writer)
        for _ in range(2)
    ]
    assert [os.getpgid(running.pid) for running in several] == [running.pid for running in several]
    os.close(writer)
    with open(reader) as stream:  # noqa: PTH123
        assert [stream.readline() for _ in several] == ["1\n", "1\n"]
        for running, how in zip(several, (signal.SIGKILL, signal.SIGTERM), strict=True):
            os.kill(running.pid, how)
            assert running.wait() == -how
        assert stream.read() == ""
