"""Every notebook runs from top to bottom, is committed without outputs, and shows its figures."""

import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


class ThisInterpreter(KernelSpecManager):
    """The kernel ``python3`` is the Python that runs the tests, whatever kernels the machine has."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        assert kernel_name == "python3"
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def _read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def test_the_notebooks_are_one_course():
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(1, len(NOTEBOOKS) + 1)) and len(
        NOTEBOOKS
    ) >= 6
    for number, (path, following) in enumerate(zip(NOTEBOOKS, [*NOTEBOOKS[1:], None], strict=True), start=1):
        told = [cell.source for cell in _read(path).cells if cell.cell_type == "markdown"]
        first, last = told[0], told[-1]
        assert first.startswith(f"# {number} · ") and f"**{number} " in first.splitlines()[-1]
        assert last.index("## What you have seen") < last.index("## What it does not show")
        assert following is None or f"**Next:** `{following.name}`" in last


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path):
    for cell in _read(path).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    nbformat.validate(_read(path))


@pytest.mark.slow
@pytest.mark.timeout(1800)  # one trains models, on machines of any speed
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = _read(path)
    manager = AsyncKernelManager(kernel_spec_manager=ThisInterpreter(), kernel_name="python3")
    client = NotebookClient(
        notebook, km=manager, timeout=900, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = [o for o in outputs if "application/vnd.plotly.v1+json" in o.get("data", {})]
    assert figures and all(o["data"]["application/vnd.plotly.v1+json"]["data"] for o in figures)
    # Warnings of libraries are noise a reader would wonder about.
    assert [o.text for o in outputs if o.output_type == "site" and o.name == "stderr"] == []
