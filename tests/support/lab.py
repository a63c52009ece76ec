"""A JupyterLab of its own for a test: settings, kernels and files in one folder, nothing of the user's touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.devtools import wait_for

ROOT = Path(__file__).parents[2]
_TOKEN = "of-a-test"
_PATIENCE = 20  # seconds to end in


@contextmanager
def jupyter_lab(folder: Path, *, dark: bool = False) -> Iterator[str]:
    """Run JupyterLab on the folder's ``files``; gives its address, ends it with the block."""
    files = folder / "files"
    files.mkdir(exist_ok=True)
    settings = folder / "config" / "lab" / "user-settings" / "@jupyterlab"
    # Cells that are out of view are otherwise not drawn at all.
    _write(settings / "notebook-extension" / "tracker.jupyterlab-settings", {"windowingMode": "none"})
    _write(settings / "apputils-extension" / "notification.jupyterlab-settings", {"fetchNews": "false"})
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    _write(settings / "apputils-extension" / "themes.jupyterlab-settings", {"theme": theme})
    own = {
        "JUPYTER_CONFIG_DIR": folder / "config", "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime", "IPYTHONDIR": folder / "ipython",
        "JUPYTERLAB_SETTINGS_DIR": settings.parent, "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "PYTHONPATH": ROOT, "OMP_NUM_THREADS": 1,
    }  # fmt: skip
    log = (folder / "lab.log").open("wb")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0",
            f"--IdentityProvider.token={_TOKEN}", f"--ServerApp.root_dir={files}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
        ],
        cwd=folder, env={**os.environ, **{name: str(value) for name, value in own.items()}},
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:

        def address() -> str | None:
            said = (folder / "lab.log").read_text(errors="replace")
            assert process.poll() is None, f"JupyterLab ended with {process.returncode}: {said[-3000:]}"
            for record in (folder / "runtime").glob("jpserver-*.json"):
                try:
                    port = json.loads(record.read_text())["port"]
                except ValueError:  # still being written
                    continue
                return f"http://127.0.0.1:{port}/lab?token={_TOKEN}" if port else None
            return None

        yield wait_for("JupyterLab", address)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except (
            subprocess.TimeoutExpired
        ):  # it waits for a kernel that is just starting; kernels end without it
            process.kill()
            process.wait()
        log.close()


def _write(path: Path, settings: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))
