"""One word for each concept: the glossary's terms stand in the files it names, and banned synonyms nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doc_pages import PACKAGE, PAGES, ROOT, SOURCES, comments, docstrings, tree

GLOSSARY = ROOT / "docs" / "glossary.md"
_ROW = re.compile(
    r"^\| \*\*(?P<term>[^*]+)\*\*(?: \((?P<other>[^)]+)\))? \| (?P<meaning>.+) \| (?P<where>.+) \|$",
    re.MULTILINE,
)
ROWS = [found.groupdict() for found in _ROW.finditer(GLOSSARY.read_text(encoding="utf-8"))]

TARGET = r"(?:query|output) language|languages? (?:you )?asked for|asked[-]for languages?"
#: What is not to be said, and what is said instead. Another synonym needs a line here and nothing else. Brackets keep a
#: search for a synonym over the whole tree from finding it here.
BANNED = {
    TARGET: "target language",
    r"whole or not (?:at all|there)": "atomic",
    r"poly[g]lot": "multilingual",
    r"hook points?": "hook site",
    r"few-shot demonstrations?|in-context examples?": "few-shot examples",
    r"bridge language|interlingua": "pivot language",
    r"activation caches?": "activation store",
    r"few-shot blocks?": "few-shot prefix",
}


def _plain(text: str) -> str:
    """Lower case, with `CamelCase`, snake_case and hyphens as words apart."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.sub(r"[-_\s]+", " ", apart).lower().split())


def test_the_glossary_has_a_row_for_each_concept():
    rows = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("| **")]
    assert len(ROWS) == len(rows) >= 30
    terms = [_plain(row["term"]) for row in ROWS]
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["term"])
def test_a_term_is_found_in_the_files_that_its_row_names(row: dict[str, str | None]):
    terms = [_plain(term) for term in (row["term"], row["other"]) if term]
    files = re.findall(r"`([^`]+\.py)`", row["where"] or "")
    assert files
    assert any(term in _plain((ROOT / file).read_text(encoding="utf-8")) for file in files for term in terms)


def _said(text: str) -> list[str]:
    words = " ".join(text.split())
    return [
        f"{found[0]!r}: say {instead!r}"
        for pattern, instead in BANNED.items()
        for found in re.finditer(pattern, words, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_the_words_of_the_glossary(page: Path):
    assert not _said(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_and_comments_use_the_words_of_the_glossary(path: Path):
    assert not _said("\n".join([*docstrings(path), *comments(path)]))


def test_a_banned_synonym_would_be_found():
    (advice,) = _said("in the language\nasked for")
    assert advice.endswith("say 'target language'")
    assert not _said("in the target language; what was asked for is kept")


#: A number, or what stands for one in a text, and a per cent sign apart from it (not plotly's ``%{x}``).
_APART = re.compile(r"[\d}] %(?!\{)")


def _texts(path: Path) -> Iterator[str]:
    """Texts and comments of a module; what is filled in is ``}``."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
    yield from comments(path)


def test_a_per_cent_sign_follows_its_number_at_once():
    sources = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in ("latentlang", "experiments")]
    texts = [(path, text) for path in sources for text in _texts(path)]
    texts += [(page, page.read_text(encoding="utf-8")) for page in PAGES]
    assert len(texts) > 10_000
    assert [(path, text) for path, text in texts if _APART.search(text)] == []


@pytest.mark.parametrize("code", ['"95 % of it"', 'f"{share:.1f} % of it"', "x = 1  # 5 %"])
def test_a_per_cent_sign_that_stands_apart_would_be_found(code, tmp_path):
    apart, together = tmp_path / "apart.py", tmp_path / "together.py"
    apart.write_text(code)
    together.write_text('y = 5 % 3; z = "PC1 %{x}"; ' + code.replace(" %", "%"))
    assert any(map(_APART.search, _texts(apart))) and not any(map(_APART.search, _texts(together)))
