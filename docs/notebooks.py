"""Execute the notebooks and keep them as pages of the course: `python -m docs.notebooks [NUMBER ...]`.

A notebook's page lies in docs/course with its figures beside it as WebP pictures, both committed: `make docs` and
GitHub show the course without running anything. The tests compare each page with its notebook, text and code. Needs
the extra `figures`, for notebook 5 `train` and for notebook 7 `gemma`.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from latentlang.figures.headings import unbroken
from latentlang.figures.image import check_pictures, write_picture
from latentlang.text import counted

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FOLDER = Path(__file__).parent / "course"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
# The text of a page is 700 pixels wide.
_SCALE = 1.2
_MOST_LINES = 30
_NEXT = re.compile(r"`(\d\d_\w+)\.ipynb`")
_TAG = re.compile(r"<[^>]+>")
_STYLE = re.compile(r"<style.*?</style>\s*", re.DOTALL)
# What makes a figure suit a notebook's theme and width; the page has a picture of it.
_SUITING = re.compile(
    r'<div class="latentlang-figured"></div>|<div id="latentlang-\w+">.*?</div><script>.*?</script>',
    re.DOTALL,
)
# Another for every run, and true of this one only.
_MADE = re.compile(r" · latentlang [\w.]+ \([0-9a-f]+(?:\+dirty)?\) · made [-+:.\dTZ]+")
# A notebook keeps its runs in a temporary folder, called otherwise on every machine.
_TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r"/tmp\w+/")
_CAPTION = "*(A widget: it works in a notebook with a running kernel.)*"


class ThisInterpreter(KernelSpecManager):
    """The kernel ``python3`` is the Python that runs this, whatever kernels the machine has."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The one kernel there is."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook as it is committed."""
    return nbformat.read(path, as_version=4)


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """A notebook with its outputs, run from top to bottom in a folder by this Python and this checkout."""
    notebook = read(path)
    manager = AsyncKernelManager(kernel_spec_manager=ThisInterpreter(), kernel_name="python3")
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython")}
    client = NotebookClient(notebook, km=manager, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute(cleanup_kc=True, env={**os.environ, **own})  # the kernel ends with it
    return notebook


def blocks(notebook: nbformat.NotebookNode) -> list[str]:
    """Text and code of a notebook as its page has them, without outputs."""
    return [
        _linked(cell.source) if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
        for cell in notebook.cells
    ]


def _title(figure: go.Figure) -> str:
    """The first line of a figure's title, wherever it was broken to fit; empty where there is none."""
    if not figure.layout.title.text:
        return ""
    whole, _ = unbroken(dict(figure.layout.meta or {}), figure.layout.title)
    return " ".join(html.unescape(_TAG.sub("", whole.partition("<br>")[0])).split())


def page(notebook: nbformat.NotebookNode, name: str) -> tuple[str, dict[str, go.Figure]]:
    """The page of an executed notebook as Markdown, and its figures by file name.

    Args:
        notebook: with outputs.
        name: of the notebook, without its ending; figures are named after it.
    """
    figures: dict[str, go.Figure] = {}
    parts = [f"<!-- Made by `python -m docs.notebooks` from notebooks/{name}.ipynb: change that. -->"]
    for block, cell in zip(blocks(notebook), notebook.cells, strict=True):
        parts.append(block)
        for made in cell.get("outputs", ()):
            output = nbformat.from_dict(json.loads(_TEMPORARY.sub("", json.dumps(made))))
            data = output.get("data", {})
            if PLOTLY in data:
                drawn = {part: data[PLOTLY][part] for part in ("data", "layout")}
                figure = go.Figure(drawn, skip_invalid=True)
                file = f"{name}-{len(figures) + 1}.webp"
                figures[file] = figure
                title = _title(figure)
                parts.append(f"![{title or 'Figure'}]({file})")
            else:
                parts += _text(output)
    return "\n\n".join(parts) + "\n", figures


def _text(output: Any) -> Iterator[str]:
    """What an output without a figure says; progress and warnings are not kept."""
    data = output.get("data", {})
    if output.output_type == "stream":
        if output.name == "stdout":
            yield _fenced(output.text)
    elif WIDGET in data:
        # Progress is a widget too, but no value of a cell.
        if output.output_type == "execute_result":
            yield _CAPTION
    elif "text/html" in data:
        # A blank line would end the HTML block; GitHub shows styles as text.
        shown = _MADE.sub("", _STYLE.sub("", _SUITING.sub("", data["text/html"]))).strip()
        if shown:
            yield re.sub(r"\n\s*\n", "\n", shown)
    elif "text/plain" in data:
        yield _fenced(data["text/plain"])


def _fenced(text: str) -> str:
    lines = text.rstrip("\n").splitlines()
    if len(lines) > _MOST_LINES:
        left = counted(len(lines) - _MOST_LINES, "more line")
        lines = [*lines[:_MOST_LINES], f"... and {left}"]
    return "\n".join(["```text", *lines, "```"])


def _linked(text: str) -> str:
    """Names of notebooks as links to their pages."""
    return _NEXT.sub(r"[`\1.ipynb`](\1.md)", text)


def main(numbers: list[str]) -> int:
    """Make the pages of the notebooks named by number, or all."""
    chosen = [path for path in NOTEBOOKS if not numbers or str(int(path.name[:2])) in numbers]
    if not chosen:
        sys.stderr.write(f"no notebook {numbers[0]!r}; there are 1 to {len(NOTEBOOKS)}\n")
        return 2
    check_pictures()
    FOLDER.mkdir(exist_ok=True)
    for path in chosen:
        with tempfile.TemporaryDirectory() as folder:
            text, figures = page(executed(path, Path(folder)), path.stem)
        for old in FOLDER.glob(f"{path.stem}-*.webp"):
            old.unlink()
        for file, figure in figures.items():
            write_picture(figure, FOLDER / file, scale=_SCALE)
        (FOLDER / f"{path.stem}.md").write_text(text, encoding="utf-8")
        sys.stderr.write(f"{path.stem}: {counted(len(figures), 'figure')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
