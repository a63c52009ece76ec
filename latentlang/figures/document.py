"""A page of several figures, tables and texts: one file, plotly in it once, readable by eye, keyboard and ear."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import plotly.graph_objects as go

from latentlang.figures.library import library_for
from latentlang.figures.page import caption_html, escaped, footer, meta_of, plot, texts, write_page
from latentlang.remote_paths import located

# A figure in a closed part has no width when it is drawn; what is printed must be open.
_SCRIPT = """<script>
window.Plotly && (() => {
  const fit = part => part.querySelectorAll(".js-plotly-plot").forEach(found => Plotly.Plots.resize(found));
  const parts = [...document.querySelectorAll("details")];
  parts.forEach(part => part.addEventListener("toggle", () => { if (part.open) fit(part); }));
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = parts.filter(part => !part.open);
    opened.forEach(part => { part.open = true; fit(part); });
  });
  addEventListener("afterprint", () => opened.forEach(part => { part.open = false; }));
})();
</script>
"""


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: plain text.
        kind: ``""``, ``lead`` (the first thing to read) or ``about`` (the small print).
    """

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Link:
    """A link to another page.

    Attributes:
        text: plain text.
        path: of the page, relative to this one, as the file system has it.
    """

    text: str
    path: str


@dataclass(frozen=True)
class Bullets:
    """A list of short points.

    Attributes:
        items: each in plain text, or a link.
    """

    items: Sequence[str | Link]


@dataclass(frozen=True)
class Figure:
    """A figure with its caption.

    Attributes:
        figure: what is drawn; its ``meta`` says how it is read.
        label: what it shows, in a sentence, for who cannot see it.
        caption: paragraphs instead of the figure's own.
    """

    figure: go.Figure
    label: str
    caption: Sequence[str] | None = None


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: plain text.
        kind: ``""``, ``up`` or ``down``: how it is marked.
        number: whether it is set to the right.
        span: how many rows it stands for; the rows after it begin with their second column.
        lang: code of the language that the text is in, where it is not the page's; its script says its direction.
    """

    text: str
    kind: str = ""
    number: bool = False
    span: int = 1
    lang: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption.

    Attributes:
        caption: what it holds and how it is read, plain text.
        head: names of the columns.
        rows: cells, the first of a row being its heading; behind one that spans rows, the second too.
        first: numbers of the rows that begin a group, for a line above them.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    first: Sequence[int] = ()


@dataclass(frozen=True)
class Facts:
    """Names and what they are: provenance.

    Attributes:
        rows: name and plain text.
    """

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Details:
    """Something that is there when it is opened.

    Attributes:
        title: what it is, plain text.
        blocks: what is in it.
    """

    title: str
    blocks: Sequence[Block]


Block = Text | Bullets | Figure | Table | Facts | Details


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: for links within the page; ``[a-z-]``, unique.
        title: its heading, plain text.
        blocks: what is in it.
        heading: False for the part that stands under the page's own title.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    heading: bool = True


@dataclass(frozen=True)
class Document:
    """A page.

    Attributes:
        title: plain text.
        sections: its parts, in order.
        made_with: what it was made with, for the last line.
        lang: language of its own text.
    """

    title: str
    sections: Sequence[Section] = field(default_factory=tuple)
    made_with: Sequence[str] = ()
    lang: str = "en"


def write_document(document: Document, path: str | os.PathLike[str], *, html: str = "whole") -> Path:
    """Write a page, by an atomic write.

    Args:
        document: what is in it.
        path: file to write; its folder must exist.
        html: as in `latentlang.figures.page.write_html`.

    Raises:
        InputError: the file cannot be written, or there is no such kind of page.
    """
    parts = list(_body(document, library_for(html, located(path))))
    light = html == "light"
    return write_page(path, title=document.title, body="\n".join(parts), lang=document.lang, light=light)


def _body(document: Document, library: bool | str) -> Iterator[str]:
    numbers = itertools.count(1)
    yield '<main class="report">'
    yield f"<h1>{escaped(document.title)}</h1>"
    named = [section for section in document.sections if section.heading]
    for section in document.sections:
        yield f'<section id="{escaped(section.name)}" aria-label="{escaped(section.title)}">'
        if section.heading:
            yield f"<h2>{escaped(section.title)}</h2>"
        for block in section.blocks:
            yield from _block(block, numbers, library)
        yield "</section>"
        if not section.heading and len(named) > 1:
            yield _contents(named)
    yield footer(document.made_with)
    yield "</main>"
    yield _SCRIPT


def _contents(sections: Sequence[Section]) -> str:
    links = "".join(
        f'<li><a href="#{escaped(section.name)}">{escaped(section.title)}</a></li>' for section in sections
    )
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _block(block: Block, numbers: Iterator[int], library: bool | str) -> Iterator[str]:
    if isinstance(block, Text):
        kind = f' class="{escaped(block.kind)}"' if block.kind else ""
        yield f"<p{kind}>{escaped(block.text)}</p>"
    elif isinstance(block, Bullets):
        yield f"<ul>{''.join(f'<li>{_item(item)}</li>' for item in block.items)}</ul>"
    elif isinstance(block, Figure):
        number = next(numbers)
        meta = meta_of(block.figure)
        words = block.caption if block.caption is not None else texts(meta, "how_to_read")
        drawn = plot(block.figure, f"figure-{number}", label=block.label, library=number == 1 and library)
        if_narrow = texts(meta, "if_narrow") if block.caption is None else ()
        yield f"<figure>\n{drawn}{caption_html(words, if_narrow=if_narrow, heading='h3')}</figure>"
    elif isinstance(block, Table):
        yield _table(block)
    elif isinstance(block, Facts):
        rows = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in block.rows)
        yield f"<dl>{rows}</dl>"
    else:
        yield f"<details><summary>{escaped(block.title)}</summary>"
        for inner in block.blocks:
            yield from _block(inner, numbers, library)
        yield "</details>"


def _item(item: str | Link) -> str:
    if isinstance(item, str):
        return escaped(item)
    return f'<a href="{escaped(quote(item.path))}">{escaped(item.text)}</a>'


def _table(table: Table) -> str:
    width = len(table.head)
    whole = [row for row in table.rows if len(row) == width]
    # A column of numbers has its heading over them.
    numeric = [bool(whole) and all(row[column].number for row in whole) for column in range(width)]
    head = "".join(
        f'<th scope="col"{_classes(number=right)}>{escaped(name)}</th>'
        for name, right in zip(table.head, numeric, strict=True)
    )
    lines = []
    for index, row in enumerate(table.rows):
        headings = 2 if row[0].span > 1 else 1
        cells = "".join(_cell(cell, heading=number < headings) for number, cell in enumerate(row))
        lines.append(f"<tr{' class=first' if index in table.first else ''}>{cells}</tr>")
    label = escaped(table.caption.partition(".")[0])
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{label}"><table>\n'
        f"<caption>{escaped(table.caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _cell(cell: Cell, *, heading: bool) -> str:
    text, classes = escaped(cell.text), _classes(cell.kind, number=cell.number)
    if cell.lang:
        classes += f' lang="{escaped(cell.lang)}" dir="auto"'
    if not heading:
        return f"<td{classes}>{text}</td>"
    span = f' scope="rowgroup" rowspan="{cell.span}"' if cell.span > 1 else ' scope="row"'
    return f"<th{span}{classes}>{text}</th>"


def _classes(kind: str = "", *, number: bool = False) -> str:
    names = [name for name in (kind, "number" if number else "") if name]
    return f' class="{escaped(" ".join(names))}"' if names else ""
