"""What tests of killed processes wait for."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.warm import WarmProcess

_PATIENCE = 240.0


def wait_for_files(
    folder: Path, pattern: str, *, count: int, parent: subprocess.Popen[Any] | WarmProcess
) -> list[Path]:
    """Wait until processes have left so many files, which their parent must live to see."""
    last = time.monotonic() + _PATIENCE
    while time.monotonic() < last:
        found = [path for path in folder.glob(pattern) if path.is_dir() or path.stat().st_size]
        if len(found) >= count:
            return found
        assert parent.poll() is None, f"it ended by itself: {parent.returncode}"
        time.sleep(0.05)
    raise AssertionError(f"{pattern} did not appear")


def children_of(process: int) -> list[int]:
    """Process ids of a process's children."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def assert_all_end(processes: Iterable[int]) -> None:
    """Wait until processes are gone; they are not this one's children."""
    left = set(processes)
    last = time.monotonic() + _PATIENCE
    while left and time.monotonic() < last:
        left = {process for process in left if _runs(process)}
        time.sleep(0.05)
    for process in left:
        os.kill(process, 9)
    assert not left, f"still running: {left}"


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
