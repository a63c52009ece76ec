"""Running latentlang commands: in this process or in one of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, without what would change how output looks."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE")
    }
    return kept | {"OMP_NUM_THREADS": "1"} | changes


def hear_interrupts() -> None:
    """For a child's ``preexec_fn``: Ctrl-C reaches it as from a terminal.

    A run of the tests that was started in the background (``&``, nohup, a job of CI) ignores SIGINT, and so would each
    of its children.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def process(*arguments: object, **changes: str) -> Outcome:
    """Run Python as a process of its own, from the repository's root."""
    ran = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, timeout=300, check=False, stdin=subprocess.DEVNULL,
        env=environment(**changes), preexec_fn=hear_interrupts,
    )  # fmt: skip
    return Outcome(ran.returncode, ran.stdout, ran.stderr)
