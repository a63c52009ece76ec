"""What pages, docstrings and comments name is there: files by their path, Python names by what they resolve to.

In a docstring `one pair of backticks` marks a Python name: of its module (a parameter, a field, a column that it
writes), or a public one of the package. Two pairs mark code.
"""

from __future__ import annotations

import ast
import builtins
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.doc_pages import FOLDERS, PACKAGE, PAGES, ROOT, SOURCES, comments, docstrings, spans, tree

_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)}|figures)/[\w./-]*\w")
_FILE = re.compile(r"(?<![\w./*-])[\w./-]*\w\.(?:py|md)\b")
_DOTTED = re.compile(r"(?<![\w./-])(?:latentlang|ll)(?:\.[A-Za-z_]\w*)+")
_RUN = re.compile(r"python -m ([\w.]+)")
_NAME = re.compile(r"(?<!`)`(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)`(?!`)")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _files() -> frozenset[str]:
    """Files of the tree, each by its path and by every end of it: ``models/readout.py``, ``readout.py``."""
    below = [path for folder in (*FOLDERS, "figures", ".github") for path in (ROOT / folder).rglob("*")]
    parts = [path.relative_to(ROOT).parts for path in (*ROOT.iterdir(), *below)]
    return frozenset("/".join(path[start:]) for path in parts for start in range(len(path)))


def _missing_files(text: str) -> list[str]:
    """Paths and file names that a text mentions and the tree has not."""
    named = dict.fromkeys(_PATH.findall(text) + _FILE.findall(text))
    return [name for name in named if name not in _files()]


@pytest.mark.parametrize("path", SOURCES, ids=_id)
def test_files_in_docstrings_and_comments_exist(path: Path):
    assert not _missing_files("\n".join([*docstrings(path), *comments(path)]))


# Names


def _step(value: Any, name: str) -> Any:
    """An attribute, a submodule, or a field that a class declares without a value.

    Raises:
        AttributeError: it has none of the name.
    """
    try:
        return getattr(value, name)
    except AttributeError:
        declared = {
            key for kind in getattr(value, "__mro__", ()) for key in getattr(kind, "__annotations__", {})
        }
        if name in declared:
            return None
        if hasattr(value, "__path__") and find_spec(f"{value.__name__}.{name}"):
            return import_module(f"{value.__name__}.{name}")
        raise


def resolves(name: str, *starts: Any) -> bool:
    """Whether a dotted name leads somewhere from one of some objects."""
    for value in starts:
        try:
            for part in name.split("."):
                value = _step(value, part)
        except AttributeError:
            continue
        return True
    return False


def dotted_resolves(name: str) -> bool:
    """Whether ``latentlang.x.y`` or ``ll.x`` leads somewhere."""
    return resolves(name.partition(".")[2], import_module("latentlang"))


@cache
def _public() -> frozenset[str]:
    """Public functions, classes and methods of the package, by their bare names."""
    return frozenset(
        node.name
        for path in PACKAGE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    )


@cache
def _written(path: Path) -> frozenset[str]:
    """Names in a module's code: parameters, variables, attributes, and its short strings, which name columns."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(node.value)
    return frozenset(found)


def _module(path: Path) -> Any:
    return import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def name_exists(name: str, path: Path) -> bool:
    """Whether a name of a docstring is one of its module, its room, the package, or Python."""
    if "." not in name and name in _written(path) | _public():
        return True
    module = _module(path)
    room = import_module(".".join(module.__name__.split(".")[:2]))
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return resolves(name, module, room, import_module("latentlang"), *classes, builtins) or dotted_resolves(
        name
    )


@pytest.mark.parametrize("path", PACKAGE, ids=_id)
def test_names_in_docstrings_exist(path: Path):
    texts = list(docstrings(path))
    missing = {name for text in texts for name in _NAME.findall(text) if not name_exists(name, path)}
    missing |= {name for text in texts for name in _DOTTED.findall(text) if not dotted_resolves(name)}
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_files_and_names_in_the_sentences_of_a_page_exist(page: Path):
    told = spans(page)
    missing = [path for span in told for path in _missing_files(span)]
    missing += [name for span in told for name in _DOTTED.findall(span) if not dotted_resolves(name)]
    missing += [module for span in told for module in _RUN.findall(span) if find_spec(module) is None]
    assert not missing


def test_what_does_not_exist_would_be_found():
    assert _missing_files("see DESIGN.md") == ["DESIGN.md"]
    assert _missing_files("see tests/test_nothing.py") == ["tests/test_nothing.py"]
    assert not _missing_files(
        "see README.md, anatomy.py, latentlang/models/anatomy.py and experiments/pocket"
    )
    assert dotted_resolves("ll.models.HookedLM.adapter") and dotted_resolves("latentlang.lens.logit")
    assert not dotted_resolves("latentlang.figures.no_such_figure")
    assert not dotted_resolves("ll.reproductions")
    path = ROOT / "latentlang" / "answers" / "sets.py"
    assert all(
        name_exists(name, path) for name in ("answer_sets", "run_on", "tokenbytes.TokenBytes.probes", "int")
    )
    assert not any(
        name_exists(name, path) for name in ("answer_set_of", "tokenbytes.TokenBytes.words", "run_off")
    )


_SECTION = re.compile(
    r"^## [^\n]*: kind `(?P<kind>[\w-]+)`[^\n]*\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)
_CLASS = re.compile(r"Class(?:es)?: \[`\w+`\]\[(?P<name>[\w.]+)\]")
SECTIONS = [
    (found["kind"], cls["name"], found["text"])
    for found in _SECTION.finditer((ROOT / "docs" / "howto" / "results.md").read_text(encoding="utf-8"))
    if (cls := _CLASS.search(found["text"]))
]


@pytest.mark.parametrize(("kind", "name", "text"), SECTIONS, ids=[kind for kind, *_ in SECTIONS])
def test_the_page_on_results_names_kinds_and_methods_that_there_are(kind: str, name: str, text: str):
    module, _, cls = name.rpartition(".")
    result = getattr(import_module(module), cls)
    assert result.kind == kind
    assert all(hasattr(result, method) for method in re.findall(r"`(\w+)\([^`]*\)`", text))


def test_the_page_on_results_has_a_section_for_most_kinds():
    assert len(SECTIONS) >= 8
