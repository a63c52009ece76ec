"""Types: mypy as `make lint` runs it, beside the other tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_types_are_right():
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
