"""Open a page in headless Chromium and say what came of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 300  # long, for a machine that trains models beside


@dataclass(frozen=True)
class Opened:
    """A page after its scripts ran.

    ``dom`` is its HTML without the scripts' own text; ``complaints`` is all that came to the browser's console.
    """

    dom: str
    complaints: list[str]


def find_chromium() -> str:
    """The browser's executable; skips the test where there is none."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip("no chromium executable found; install Debian's chromium package")
    return executable


def open_page(
    path: Path, *, width: int = 1100, height: int = 900, screenshot: Path | None = None, dark: bool = False
) -> Opened:
    """Run the page's scripts with no network to reach; skips the test where there is no Chromium."""
    executable = find_chromium()
    with tempfile.TemporaryDirectory() as profile:
        run = subprocess.run(
            [
                executable, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", "--enable-logging=stderr",
                "--virtual-time-budget=4000", f"--window-size={width},{height}",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--screenshot={screenshot}" if screenshot else "--dump-dom", path.resolve().as_uri(),
            ],
            capture_output=True, timeout=_SECONDS, check=True, env={**os.environ, "LANG": "C.UTF-8"},
        )  # fmt: skip
    log = run.stderr.decode("utf-8", "replace").splitlines()
    # Chromium logs errors and remarks alike, at the same level; a page of ours has nothing to say at all.
    complaints = [line for line in log if "CONSOLE" in line]
    dom = re.sub(r"<script\b.*?</script>", "", run.stdout.decode("utf-8"), flags=re.DOTALL)
    return Opened(dom=dom, complaints=complaints)
