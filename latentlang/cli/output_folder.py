"""Where the result of a command goes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from latentlang.arguments import split_names
from latentlang.cli.console import echo_json, note, output
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.cli.options import PageOptions
from latentlang.cli.records import result_record
from latentlang.errors import shown
from latentlang.language_names import GROUPS, language
from latentlang.paths import current_folder, is_file, is_folder, user_cache
from latentlang.remote_paths import RemotePath, located
from latentlang.results import save_files
from latentlang.storage.documents import read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import METADATA, TABLE, check_vacant, kind_of

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from rich.console import Console

    from latentlang.figures.document import Block
    from latentlang.provenance import Provenance
    from latentlang.results import Result

R = TypeVar("R", bound="Result[Any]")
OUT = Path("latentlang-out")
#: Where finished languages lie in the output folder until all are.
UNFINISHED = ".unfinished"
_SLUG_LENGTH = 40
# Of a date and a time to the second.
_MOMENT_LENGTH = 19
# Files that are made of a result.
_DRAWN = (".html", ".png", ".csv")


def _pictures(claim: Claim) -> tuple[str, ...]:
    """Names of the pictures that may stand beside the pages of a claim."""
    return tuple(str(Path(name).with_suffix(".png")) for name in claim.names if name.endswith(".html"))


def _made_before(folder: Path) -> str:
    """What an older result in a folder is, for the sentence that it was replaced."""
    record = read_json(folder / METADATA, finite=False)
    made = record.get("provenance") if isinstance(record, dict) else None
    model, created = (
        str(made.get(name, "")) if isinstance(made, dict) else "" for name in ("model", "created")
    )
    moment = created.partition("+")[0].replace("T", " ")[:_MOMENT_LENGTH]
    return (
        "an older result"
        + (f" of {shown(model)}" if model else "")
        + (f" from {moment} UTC" if moment else "")
    )


def slug(text: str, *, length: int = _SLUG_LENGTH) -> str:
    """Text for a folder's name: only ``[a-z0-9-]``, at most `length` characters, distinct where cut."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
    if plain and len(plain) <= length:
        return plain
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain[: length - 9].rstrip('-')}-{digest}".lstrip("-")


def default_folder(
    model: str,
    *,
    task: str,
    target_languages: Sequence[str],
    adapter: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Path:
    """Where a run's result goes by default: ``latentlang-out/lens-pocket-translation-ja``.

    `options` that were asked for (neither None nor empty) stand in the name too, so that runs which differ in them do
    not overwrite each other: ``...-ja-from-de-shots-2``.
    """
    names = split_names(target_languages)
    codes = [name.casefold() if name.casefold() in GROUPS else language(name).code for name in names]
    return run_folder("lens", [model_part(model), adapter or "", task, "-".join(codes)], options or {})


def model_part(model: str) -> str:
    """What of a model's name stands in a folder's name: of a folder, its own."""
    return Path(model).resolve().name if is_folder(model) or is_file(model) else model


def folder_part(folder: Path) -> str:
    """What of a folder stands in another one's name: its path from here, or from `OUT` where it lies in there."""
    if isinstance(located(folder), RemotePath):
        return str(located(folder))
    here = current_folder()
    resolved = folder.resolve()
    for base in (OUT.resolve(), here):
        if resolved.is_relative_to(base):
            return str(resolved.relative_to(base))
    return str(resolved)


def run_folder(command: str, parts: Sequence[str], options: Mapping[str, object]) -> Path:
    """``latentlang-out/pca-store-pools-last``: command, what it ran on, and the options that were asked for.

    Args:
        command: its name.
        parts: what it ran on; empty ones are left out.
        options: name to value; None and empty ones were not asked for.
    """
    asked_for = [f"{name}-{value}" for name, value in options.items() if value not in (None, "")]
    return OUT / "-".join([command, *(slug(part) for part in (*parts, *asked_for) if part)])


@dataclass(frozen=True)
class Claim:
    """Files that a command is going to write.

    Attributes:
        kind: of the result that they belong to.
        names: the files beside ``metadata.json``.
        folder: where in the output folder they go; ``""`` for itself.
    """

    kind: str
    names: tuple[str, ...]
    folder: str = ""


class OutputFolder(AbstractContextManager["OutputFolder"]):
    """The folder a command writes to; a command that fails leaves no empty folder behind.

    While the block runs no other process writes into it. That it replaced an older result is said at the block's end;
    an interrupt in it ends the command with a line that says what was kept.

    Attributes:
        path: the folder.
        files: what was written, in order.
    """

    def __init__(self, path: Path, *claims: Claim, pages: PageOptions | None = None) -> None:
        """Make the folder.

        Args:
            path: of the folder.
            claims: what will be written; refused when the block begins where it would go over something else.
            pages: how figures are written.

        Raises:
            InputError: it cannot be made or written.
        """
        self._pages = pages or PageOptions()
        self._pages.check()
        self.files: list[Path] = []
        self._printed = 0
        self._without: list[str] = []
        self._claims = [
            replace(claim, names=tuple(dict.fromkeys([*claim.names, *_pictures(claim)])))
            if self._pages.png
            else claim
            for claim in claims
        ]
        self._rewritten: set[str] = set()
        self._replaced: str | None = None
        path = located(path)
        # on another filesystem there are none to be made
        here = [] if isinstance(path, RemotePath) else [path, *path.parents]
        folders = [*here, *(path / claim.folder for claim in claims if here)]
        # those within others first
        self._made = sorted(
            {folder for folder in folders if not os.path.lexists(folder)},
            key=lambda folder: -len(folder.parts),
        )
        self.path = prepare_folder(path, remote=True)
        self._lock = FolderLock(self.path, joins=True, needed=False)

    def __enter__(self) -> Self:
        """Keep other processes away, and make sure that all can be written.

        Raises:
            InputError: another process is writing into the folder, or something would be overwritten or is in the way.
        """
        with ExitStack() as undone:
            undone.callback(self.leave_nothing_empty)
            undone.enter_context(self._lock)
            if self._claims and all(claim.folder for claim in self._claims):
                check_vacant(self.path, None, ())
            for claim in self._claims:
                check_vacant(self.path / claim.folder, claim.kind, claim.names)
                if kind_of(self.path / claim.folder) == claim.kind:
                    self._rewritten.add(claim.folder)
                    self._replaced = self._replaced or _made_before(self.path / claim.folder)
                if claim.folder:
                    prepare_folder(self.path / claim.folder, remote=True)
            undone.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)
        self.leave_nothing_empty()
        if isinstance(error, KeyboardInterrupt):
            raise CommandInterrupt(self.what_was_kept()) from None
        if error is None and self._replaced is not None:
            note(f"replaced {self._replaced} in {self.path}")

    @property
    def unfinished(self) -> Path:
        """Where what is finished lies until all is: in the folder, or for one that is not here in the user's cache."""
        if not isinstance(self.path, RemotePath):
            return self.path / UNFINISHED
        return user_cache() / "unfinished" / slug(str(self.path))

    def save(self, result: Result[Any], folder: str = "", *, others: Sequence[str] = ()) -> None:
        """Write a result; `others` are files of it beside ``result.parquet`` that are worth a line.

        Pages of an older result are removed: none must stand beside a table that it does not show.

        Raises:
            InputError: the folder cannot be written any more.
        """
        result_folder = result.save(self.path / folder)
        self._add(result_folder / name for name in (TABLE, *others, METADATA))
        for claim in self._claims:
            # Of an earlier result there may be pictures that are not drawn this time.
            older = _pictures(claim) if claim.folder in self._rewritten else ()
            for name in (*claim.names, *older):
                if claim.folder == folder and Path(name).suffix in _DRAWN:
                    (result_folder / name).unlink(missing_ok=True)

    def save_tables(self, kind: str, provenance: Provenance, tables: Mapping[str, pd.DataFrame]) -> None:
        """Write tables that are no result of the library, with where they came from.

        Raises:
            InputError: the folder cannot be written any more.
        """
        save_files(self.path, kind, provenance, tables)
        self._add(self.path / name for name in (*tables, METADATA))

    def page(
        self,
        figure: go.Figure,
        name: str,
        *,
        title: str,
        picture: Callable[[], go.Figure] | None = None,
        below: Sequence[Block] = (),
    ) -> None:
        """Write a figure as a page that works offline, and as a picture where pictures were asked for.

        Args:
            figure: what to show.
            name: of the page, below the folder.
            title: the page's.
            picture: draws what is on the picture, where it is not the figure.
            below: what stands on the page below the figure: tables, texts.

        Raises:
            InputError: the folder cannot be written any more, or no picture can be drawn.
        """
        from latentlang.figures.document import Document, Figure, Section, write_document
        from latentlang.figures.image import write_picture
        from latentlang.figures.library import write_library
        from latentlang.figures.page import meta_of, texts, write_html

        path = self.path / name
        html = self._pages.html
        if html == "light":
            self._add([write_library(self.path)])
        if below:
            blocks = [Figure(figure, title), *below]
            section = Section("figure", title, blocks, heading=False)
            made_with = texts(meta_of(figure), "made_with")
            self._add([write_document(Document(title, [section], made_with), path, html=html)])
        else:
            self._add([write_html(figure, path, title=title, html=html, library_folder=self.path)])
        if self._pages.png:
            self._add([write_picture(picture() if picture else figure, path.with_suffix(".png"))])

    def no_page(self, name: str, why: str) -> None:
        """Have it said, with the files, that a page was not written: what is missing looks like a fault else.

        Args:
            name: of the page.
            why: there is nothing to draw.
        """
        self._without.append(f"no {name}: {why}")

    def text(self, name: str, text: str) -> None:
        """Write a text file.

        Raises:
            InputError: the folder cannot be written any more.
        """
        write_text(self.path / name, text)
        self._add([self.path / name])

    def _add(self, files: Iterable[Path]) -> None:
        self.files += [file for file in files if file not in self.files]

    def print_files(self, console: Console) -> None:
        """Say what was written since this was said last."""
        for path in self.files[self._printed :]:
            # A path is for copying: never broken over two lines.
            console.print(f"wrote {path}", soft_wrap=True)
        self._printed = len(self.files)
        while self._without:
            console.print(self._without.pop(0), soft_wrap=True)

    def print_result(self, result: R, *parts: Callable[[R, Console], None]) -> None:
        """Print a result, and what was written: as JSON where that was asked for.

        Args:
            result: what was found.
            *parts: each prints something of it, in this order.
        """
        if self._pages.as_json:
            return echo_json(result_record(result, self.files))
        console = output()
        for part in parts:
            part(result, console)
        self.print_files(console)

    def what_was_kept(self) -> str:
        """For the line that ends an interrupted command."""
        if not self.files:
            return "interrupted; nothing was written"
        names = ", ".join(str(file.relative_to(self.path)) for file in self.files)
        return f"interrupted; kept {names} in {self.path}"

    def leave_nothing_empty(self) -> None:
        """Remove the folders this command made, as far as nothing is in them."""
        for folder in self._made:
            with suppress(OSError):  # not empty: it is wanted
                folder.rmdir()
