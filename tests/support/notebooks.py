"""A notebook, run as a reader would run it."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

from docs.notebooks import FOLDER, PLOTLY, executed, page
from tests.support.warm import WarmKernel

_BAR = re.compile(r"\d+%\|")
_ALT = re.compile(r"^!\[([^\]]+)\]", re.MULTILINE)


def check_run(path: Path, folder: Path, *, notices: tuple[str, ...] = ()) -> None:
    """Run a notebook in an empty folder; it shows its figures, those of its page, and no warnings.

    Args:
        path: the notebook.
        folder: where it runs.
        notices: how the lines begin that latentlang itself has to say there.
    """
    with patch("jupyter_client.provisioning.local_provisioner.launch_kernel", WarmKernel):
        notebook = executed(path, folder)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = [output for output in outputs if PLOTLY in output.get("data", {})]
    assert figures and all(output["data"][PLOTLY]["data"] for output in figures)
    # Warnings of libraries are noise a reader would wonder about; bars of progress are none.
    told = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    lines = [line for text in told for line in text.splitlines() if line.strip()]
    assert [line for line in lines if not (_BAR.search(line) or line.startswith(notices))] == []
    text, _ = page(notebook, path.stem)
    assert _ALT.findall(text) == _ALT.findall((FOLDER / f"{path.stem}.md").read_text(encoding="utf-8"))
