"""`make test` leaves out a few long tests, and a real model's; each long one says where its subject is tested sooner.

.ci/run runs them all.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CI = ROOT / ".ci" / "run"
#: More would make of `make test` another thing than the tests.
MOST = 42


def _marks(path: Path) -> Iterator[list[str] | None]:
    """What each mark of a file says: the files named in it; None for a bare one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.slow":
            call = called.get(id(node))
            yield None if call is None else [ast.literal_eval(argument) for argument in call.args]


@cache
def _all_marks() -> tuple[tuple[Path, list[str] | None], ...]:
    paths = [path for path in sorted(ROOT.glob("tests/**/*.py")) if path != Path(__file__)]
    return tuple((path, mark) for path in paths for mark in _marks(path))


def _has_quick_tests(path: Path) -> bool:
    """Whether a file has tests, and is not marked slow as a whole."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    whole = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    tests = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    quick = [node for node in tests if "mark.slow" not in "".join(map(ast.unparse, node.decorator_list))]
    return bool(quick) and not any("mark.slow" in ast.unparse(node) for node in whole)


def test_they_are_few_and_each_names_files_that_test_its_subject_sooner():
    assert 0 < len(_all_marks()) <= MOST
    for path, files in _all_marks():
        assert files, f"{path}: pytest.mark.slow names the files that test the subject sooner"
        for file in files:
            assert (ROOT / file).is_file() and _has_quick_tests(ROOT / file), f"{path} names {file}"


def test_a_bare_mark_would_be_found(tmp_path):
    path = tmp_path / "test_it.py"
    path.write_text(
        'import pytest\npytestmark = pytest.mark.slow\n@pytest.mark.slow("a.py", "b.py")\ndef test_it(): ...\n'
    )
    assert list(_marks(path)) == [None, ["a.py", "b.py"]]
    assert not _has_quick_tests(path)


def _selected(target: str) -> list[list[str]]:
    """The words of each run of pytest that a target of make asks for."""
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    told = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, "JOBS=2"],
        cwd=ROOT, env=outside, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    ).stdout  # fmt: skip
    return [line.partition(" -m pytest ")[2].split() for line in told.splitlines() if " -m pytest " in line]


def test_what_make_test_leaves_out_is_what_make_test_slow_runs():
    assert _selected("test") == [["-n", "2", "-m", "'not", "slow", "and", "not", "real'"]]
    assert _selected("test-slow") == [["-n", "2", "-m", "'slow", "or", "real'"]]


def test_ci_runs_both_and_looks_at_both_reports():
    text = CI.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    runs = re.findall(
        r'^PYTEST_ADDOPTS="\$options --junitxml=\$report/([\w.-]+)" make ([^#\n|&;]+)$', text, re.MULTILINE
    )
    assert [(report, words.split()) for report, words in runs] == [
        ("test.xml", [".venv/.gemma", "test"]),
        ("test-slow.xml", ["test-slow"]),
    ]
    assert 'for report in ("test.xml", "test-slow.xml"):' in text
    assert not re.search(r"--ignore|--deselect| -k ", text)
