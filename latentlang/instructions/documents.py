"""Documents that dialogues are grounded in: text files, JSON lines, what wikiextractor writes, and pages of markup.

Each has a language: what its record says, else the one that is given, else the code in its file's name or of its folder
(``fr/page.html``).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.language_names import language as find_language
from latentlang.paths import given_path, is_folder, is_present, paths_in_words
from latentlang.tasks.files import PACKED, Paths, json_lines, read_text

_TEXT, _LINES, _MARKUP = (
    (".txt", ".md"),
    (".jsonl", ".ndjson"),
    (".html", ".htm", ".xhtml", ".page", ".docbook"),
)
#: Suffixes of files that documents are read from; wikiextractor's have none (``wiki_00``).
SUFFIXES = (*_TEXT, *_LINES, *_MARKUP)
_WIKI = re.compile(r"wiki_\d+")
_DOCUMENT = re.compile(r"<doc (?P<about>[^>\n]*)>\n(?P<text>.*?)\n</doc>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_THEN = "put it right, or remove it"
# Elements of HTML, Mallard and DocBook that are paragraphs of their own, and those that are no text.
_BLOCKS = frozenset(
    [
        "p", "title", "subtitle", "para", "simpara", "h1", "h2", "h3", "h4", "h5", "h6", "li", "item", "dt", "dd", "td",
        "th", "caption", "blockquote", "div", "section", "br", "tr", "table", "ul", "ol",
    ]
)  # fmt: skip
_NO_TEXT = frozenset(["script", "style", "head", "nav", "info", "svg", "pre", "screen", "programlisting"])
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class SourceDocument:
    """A text that dialogues may be grounded in.

    Attributes:
        id: names it among all.
        language: code of the language that it is said to be in.
        text: its paragraphs, parted by blank lines or line breaks.
        title: what it is called; empty where nobody says.
    """

    id: str
    language: str
    text: str
    title: str = ""


@checked_call
def read_documents(data: Paths, *, language: str | None = None) -> list[SourceDocument]:
    """Documents from files.

    Args:
        data: a file (`SUFFIXES`, each also packed by gzip), several, or a folder, whose folders are looked into.
        language: code or name for documents that do not say theirs.

    Raises:
        InputError: there is no such file, one cannot be used, or no language is said.
    """
    code = find_language(language).code if language is not None else ""
    documents = [
        document
        for root, path in _files(data)
        for document in _documents(
            path, path.relative_to(root).as_posix() if root != path else path.name, code
        )
    ]
    if not documents:
        raise InputError(f"there are no documents in {paths_in_words(data)}; {_THEN}")
    ids = [document.id for document in documents]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InputError(f"two documents are called {shown(twice, most=80)}; give each an id of its own")
    return documents


def _files(data: Paths) -> Iterator[tuple[Path, Path]]:
    for entry in [data] if isinstance(data, str | Path) else data:
        path = given_path(entry)
        if not is_present(path):
            raise InputError(f"there is no file {str(path)!r}; name a file or a folder with documents")
        if not is_folder(path):
            if not _is_read(path):
                raise InputError(
                    f"{str(path)!r} is none of {', '.join(SUFFIXES)}; documents are read from these"
                )
            yield path, path
            continue
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and _is_read(file)]
        if not files:
            raise InputError(f"the folder {str(path)!r} holds no {', '.join(SUFFIXES)} with documents")
        yield from ((path, file) for file in files)


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(PACKED)).suffix.casefold()


def _is_read(path: Path) -> bool:
    return _suffix(path) in SUFFIXES or _WIKI.fullmatch(path.name.removesuffix(PACKED)) is not None


def _documents(path: Path, name: str, given: str) -> Iterator[SourceDocument]:
    suffix = _suffix(path)
    if suffix in _LINES:
        yield from _records(path, given)
    elif suffix in _MARKUP:
        text = _marked(read_text(path))
        yield SourceDocument(name, given or _named(path), text, text.partition("\n")[0])
    elif suffix in _TEXT:
        yield SourceDocument(name, given or _named(path), read_text(path).replace("\r\n", "\n"))
    else:
        yield from _wiki(path, given)


def _wiki(path: Path, given: str) -> Iterator[SourceDocument]:
    """What wikiextractor wrote: ``<doc>`` elements, or a JSON object a line."""
    text = read_text(path)
    if text.lstrip().startswith("{"):
        yield from _records(path, given)
        return
    found = list(_DOCUMENT.finditer(text))
    if not found:
        raise InputError(f"{path} holds neither <doc> elements of wikiextractor nor JSON lines; {_THEN}")
    for match in found:
        about = dict(_ATTRIBUTE.findall(match["about"]))
        title = html.unescape(about.get("title", ""))
        yield SourceDocument(
            about.get("id", title), given or _named(path), html.unescape(match["text"]).strip(), title
        )


def _records(path: Path, given: str) -> Iterator[SourceDocument]:
    for number, record in json_lines(path, then=_THEN):
        document = document_of(
            record, f"{path}, line {number}", lambda: given or _named(path), name=f"{path.name}/{number}"
        )
        if document is not None:
            yield document


def document_of(
    record: Mapping[str, Any], where: str, code: Callable[[], str], *, name: str
) -> SourceDocument | None:
    """The document of a record with ``text``, and perhaps ``id``, ``title`` and ``language``; None without a text.

    Args:
        record: of a file's line, or a row of a set.
        where: file and line, for the error.
        code: gives its language, where it does not say it.
        name: its id, where it has none.

    Raises:
        InputError: a field is of another kind, or the language is not known.
    """
    text, title, given = record.get("text"), record.get("title", ""), record.get("id", "")
    if not isinstance(text, str) or not isinstance(title, str):
        raise InputError(f"{where}: 'text' and 'title' must be texts, not {shown(text, most=60)}; {_THEN}")
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise InputError(
            f"{where}: 'id' is {shown(given, most=60)} and should be a text or a number; {_THEN}"
        )
    if not text.strip():
        return None  # wikiextractor writes pages without text too
    said = record.get("language") or record.get("lang")
    language = find_language(said).code if isinstance(said, str) else code()
    return SourceDocument(str(given) or name, language, text, title)


def _named(path: Path) -> str:
    """The language that a file's name or its folder's says.

    Raises:
        InputError: none does.
    """
    stem = path.name.removesuffix(PACKED).removesuffix(Path(path.name.removesuffix(PACKED)).suffix)
    for part in (
        stem,
        stem.partition(".")[2],
        stem.partition("_")[0],
        *(folder.name for folder in path.parents[:2]),
    ):
        if 2 <= len(part) <= 8:
            try:
                return find_language(part).code
            except InputError:
                continue
    raise InputError(
        f"{path}: nothing says its language; name the file or its folder by it (fr.txt, fr/page.html), or say "
        "language= (--data-lang)"
    )


class _Paragraphs(HTMLParser):
    """The text of a page of markup, a paragraph an element."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self._words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        name = tag.rpartition(":")[2]
        if name in _NO_TEXT:
            self._silent += 1
        elif name in _BLOCKS:
            self.end()

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag.rpartition(":")[2] in _BLOCKS:
            self.end()

    def handle_endtag(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in _NO_TEXT:
            self._silent = max(0, self._silent - 1)
        elif name in _BLOCKS:
            self.end()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data)

    def end(self) -> None:
        """A paragraph ends."""
        text = _SPACE.sub(" ", "".join(self._words)).strip()
        if text:
            self.paragraphs.append(text)
        self._words = []


def _marked(text: str) -> str:
    parser = _Paragraphs()
    parser.feed(text)
    parser.close()
    parser.end()
    return "\n\n".join(parser.paragraphs)
