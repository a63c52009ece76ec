"""The wheel and the sdist, built and installed where no checkout is: what they hold, and that they run.

The environment is new and empty. What latentlang needs is read from where the tests run, so that nothing is
downloaded; latentlang itself is not, since their editable install is a ``.pth`` file, which counts only in its folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pandas as pd
import pytest

import latentlang as ll

ROOT = Path(__file__).parents[2]


def _run(*words: object, cwd: Path) -> str:
    """What a command says; it knows nothing of the checkout but what the words name."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _files(folder: Path, *, below: Path) -> set[str]:
    """Paths of the files in a folder, without what Python and tools leave there."""
    paths = {path.relative_to(below) for path in folder.rglob("*") if path.is_file()}
    return {
        path.as_posix() for path in paths if not any(part.startswith((".", "__")) for part in path.parts[:-1])
    }


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and the wheel that was made from it, as `make wheel` does."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    (path,) = built.glob("*.tar.gz")
    return path


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel."""

    bin: Path
    packages: Path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    binaries = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", binaries / "python", "--disable-pip-version-check"]
    _run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    needed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "needed.pth").write_text("\n".join(sorted(needed)) + "\n", encoding="utf-8")
    return Installed(binaries, packages)


def test_the_wheel_holds_the_package_and_the_experiments_and_nothing_else(wheel: Path):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    held = {name for name in names if ".dist-info/" not in name}
    package = _files(ROOT / "latentlang", below=ROOT)
    papers = [path.parent for path in (ROOT / "experiments").glob("*/suite.yaml")]
    experiments = {f"latentlang/{name}" for folder in papers for name in _files(folder, below=ROOT)}
    assert held == package | experiments
    assert {
        "latentlang/tasks/data/words.json",
        "latentlang/training/recipes.yaml",
        "latentlang/models/pocket/pocket/model.safetensors",
        "latentlang/models/pocket/pocket-control/model.safetensors",
        "latentlang/experiments/spontaneous/suite.yaml",
        "latentlang/experiments/spontaneous/published/table1.csv",
        "latentlang/py.typed",
    } <= held


def _metadata(wheel: Path) -> Message:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return BytesParser().parsebytes(archive.read(name))


def test_the_wheel_says_what_it_is(wheel: Path):
    metadata = _metadata(wheel)
    assert (metadata["Name"], metadata["Version"]) == ("latentlang", ll.__version__)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("License-File", [])) == {"LICENSE", "NOTICE"}
    assert str(metadata.get_payload()).startswith("# latentlang")


def test_the_sdist_holds_what_the_tests_read(sdist: Path):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("benchmarks", "docs", "experiments", "figures", "latentlang", "notebooks", "tests"):
        missing = {name for name in _files(ROOT / folder, below=ROOT) - names if not name.endswith(".html")}
        assert not missing
    whole = {
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "mkdocs.yml",
        ".ci/run",
        ".github/workflows/ci.yml",
    }
    assert whole | {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE"} <= names
    assert not {name for name in names if name.startswith((".venv", ".git/"))}


def test_the_installed_copy_is_the_one_that_runs(installed: Installed, tmp_path: Path):
    where = _run(
        installed.bin / "python", "-c", "import latentlang; print(latentlang.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()) == installed.packages / "latentlang" / "__init__.py"
    assert _run(installed.bin / "latentlang", "--version", cwd=tmp_path).split()[-1] == ll.__version__


@pytest.mark.slow("tests/packaging/test_wheel.py")
def test_its_lens_reads_what_the_checkout_reads(installed: Installed, tmp_path: Path):
    words = ("lens", "--model", "pocket", "--lang", "ja", "--from", "fr", "--items", "6", "--out", "out")
    _run(installed.bin / "latentlang", *words, cwd=tmp_path)
    assert (tmp_path / "out" / "lens.html").stat().st_size > 1_000_000
    result = ll.logit_lens(ll.load("pocket"), ll.task("translation", source="fr"), languages="ja", items=6)
    theirs = pd.read_parquet(tmp_path / "out" / "result.parquet")
    assert len(theirs) > 100
    pd.testing.assert_frame_equal(theirs, result.table, check_dtype=False, check_categorical=False)


@pytest.mark.slow("tests/packaging/test_wheel.py")
def test_its_experiments_are_found_and_planned(installed: Installed, tmp_path: Path):
    words = ("reproduce", "spontaneous", "--model", "pocket", "--dry-run")
    plan = _run(installed.bin / "latentlang", *words, cwd=tmp_path)
    assert "table13" in plan and "fig4" in plan
    assert not list(tmp_path.iterdir())
