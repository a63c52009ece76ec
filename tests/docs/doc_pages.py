"""What the documentation says: its pages, the blocks of code in them, and the commands in these."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

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
