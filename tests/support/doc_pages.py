"""What the documentation says: pages, blocks of code and commands in them; docstrings and comments of the code."""

from __future__ import annotations

import ast
import io
import re
import shlex
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
FOLDERS = ("benchmarks", "docs", "experiments", "latentlang", "notebooks", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PACKAGE = [path for path in SOURCES if path.is_relative_to(ROOT / "latentlang")]

# A block may be told to be run: `<!-- try -->` stands on the line before it.
_BLOCK = re.compile(
    r"^(?P<try><!-- try -->\n)?^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"(?<!`)`(?P<text>[^`\n]+(?:\n[^`\n]+)?)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A block of code on a page, with the number of its first line."""

    page: Path
    line: int
    language: str
    text: str
    tried: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page, text.count("\n", 0, found.start("text")) + 1, found["language"], found["text"], bool(found["try"])
        )
        for found in _BLOCK.finditer(text)
    ]  # fmt: skip


def spans(page: Path) -> list[str]:
    """Pieces of code within the sentences of a page."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(found["text"].split()) for found in _SPAN.finditer(prose)]


def commands(block: Block) -> Iterator[list[str]]:
    """The arguments of each latentlang command in a block of shell; comments and other programs are left out."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:4] == ["accelerate", "launch", "-m", "latentlang"]:
            words = words[3:]
        if words[:1] == ["latentlang"]:
            yield words[1:]


@cache
def tree(path: Path) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def docstrings(path: Path) -> Iterator[str]:
    """Those of a module and of all that it defines."""
    for node in ast.walk(tree(path)):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and (text := ast.get_docstring(node)):
            yield text


def comments(path: Path) -> Iterator[str]:
    """The comments of a module."""
    lines = io.StringIO(path.read_text(encoding="utf-8")).readline
    yield from (token.string for token in tokenize.generate_tokens(lines) if token.type == tokenize.COMMENT)
