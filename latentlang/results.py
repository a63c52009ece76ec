"""What every result is: a tidy table, where it came from, and a folder it can be saved to and loaded from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from latentlang.errors import InputError
from latentlang.printable import printable
from latentlang.storage.files import Staged, file_sha256, prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import METADATA, TABLE, check_vacant, check_whole

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

FORMAT_VERSION = 1
# Languages that are named one by one in a result's headline.
_MOST_NAMED = 8
_PACKAGES = ("latentlang", "torch", "transformers", "tokenizers", "pandas", "numpy")


@dataclass(frozen=True)
class Provenance:
    """Where a result came from; everything needed to ask for it again.

    Attributes:
        model: name the model was loaded by; ``revision`` its commit or a hash of its files, where known.
        adapter: LoRA adapter, or ``None``.
        task: task name; ``settings`` holds its own options (source language, shots, items...).
        languages: codes of the languages read.
        protocol: ``"corrected"`` or ``"as-published"``.
        policy: how tokens shared by languages were counted.
        seed: random seed of everything drawn.
        packages: version of each package that can change a number.
        commit: git commit of the code, where it runs from a checkout.
        created: UTC time, ISO 8601.
    """

    model: str
    task: str
    languages: tuple[str, ...]
    revision: str | None = None
    adapter: str | None = None
    protocol: str = "corrected"
    policy: str = "exclusive"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=lambda: package_versions())
    commit: str | None = field(default_factory=lambda: git_commit())
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Provenance:
        """The provenance in what ``metadata.json`` holds.

        Raises:
            KeyError: there is none.
            TypeError: it has other fields.
        """
        fields = dict(record["provenance"])
        return cls(**fields | {"languages": tuple(fields["languages"])})

    def _repr_html_(self) -> str:
        """What a notebook shows: names and values, one a line."""
        from latentlang.figures.notebook import facts

        rows = {name: _words(value) for name, value in asdict(self).items()}
        return facts({name: text for name, text in rows.items() if text})


def _words(value: object) -> str:
    """A value of provenance in one line; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value))
    return str(value)


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a number, and of Python."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """Commit of the checkout this package runs from, ``+dirty`` where files differ; None when installed."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        run = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty=+dirty", "--exclude=*"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None


@dataclass(frozen=True)
class View:
    """What a notebook is to show.

    Attributes:
        headline: what it is, in one line of plain text; all that a terminal shows.
        table: gives a few rows that say what was found.
        figure: draws it; None for what has no figure.
        made: where it came from; None where that is not known.
        words: says it in words, where it can.
    """

    headline: str
    table: Callable[[], pd.DataFrame]
    figure: Callable[[], go.Figure] | None = None
    made: Provenance | None = None
    words: Callable[[], str] | None = None


class Displayed(ABC):
    """What shows itself in a notebook: figure, small table and provenance; in a terminal and as text, one line."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # `dataclass` writes whole tables into the repr of every class that has none of its own
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Displayed.__repr__  # type: ignore[method-assign]

    @abstractmethod
    def _view(self) -> View:
        """What is shown; cheap to make, what is slow is in its functions."""

    def __repr__(self) -> str:
        return printable(f"<{self._view().headline}>")

    def _repr_html_(self) -> str:
        """Figure and card as HTML, for what asks for no more than that; notebooks ask `_ipython_display_` first."""
        from latentlang.figures.notebook import page_part

        return page_part(self._view())

    def _ipython_display_(self) -> None:
        from latentlang.figures.notebook import show

        show(self._view())


@dataclass(frozen=True)
class Result(Displayed):
    """A tidy table with its provenance; subclasses say what the columns are and how it is drawn."""

    table: pd.DataFrame
    provenance: Provenance

    kind: ClassVar[str] = "result"

    def glance(self) -> pd.DataFrame:
        """What was found in a few rows, as a notebook shows it below the figure: the summary, where there is one."""
        summary = getattr(self, "summary", None)
        found: pd.DataFrame = self.table if summary is None else summary()
        return found

    def _view(self) -> View:
        made = self.provenance
        model = f"{made.model} + {Path(made.adapter).name}" if made.adapter else made.model
        codes = made.languages
        named = " ".join(codes) if len(codes) <= _MOST_NAMED else f"{len(codes)} languages"
        parts = [f"model {model}", made.task, named, f"{len(self.table):,} rows"]
        return View(
            headline=f"{type(self).__name__}: " + ", ".join(filter(None, parts)),
            table=self.glance,
            figure=None if type(self).figure is Result.figure else self.figure,
            made=made,
        )

    def figure(self) -> go.Figure:
        """Draw the result; needs no model."""
        raise TypeError(f"a {type(self).__name__} has no figure of its own")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``result.parquet`` and ``metadata.json`` into a folder (made if missing); returns the folder.

        All or nothing: an older result of the same kind is replaced as a whole, or stays as it is. The metadata holds
        the SHA-256 of each file, by which `load` sees that they belong together.

        Raises:
            InputError: the folder cannot be written, is being written into by another process, or holds something
                else than an older result of this kind.
        """
        path = prepare_folder(folder)
        with FolderLock(path, joins=True, needed=False):
            content = self._content()
            check_vacant(path, self.kind, content)
            save_files(path, self.kind, self.provenance, content, parts=self._save_parts(path))
        return path

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        """The files beside the metadata, by name."""
        return {TABLE: self.table}

    def _save_parts(self, folder: Path) -> Sequence[str]:
        """Save results that are part of this one into folders of their own; returns the names of their metadata."""
        return ()

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        import pandas as pd

        path = Path(folder)
        try:
            record = json.loads((path / METADATA).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{str(path)!r} holds no saved result: {error}") from error
        kind = record.get("kind") if isinstance(record, dict) else None
        if kind != cls.kind:
            raise InputError(f"{str(path)!r} holds a {kind!r} result, not {cls.kind!r}")
        try:
            newer = int(record.get("format", 0)) > FORMAT_VERSION
            provenance = None if newer else Provenance.of(record)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{str(path / 'metadata.json')!r} is damaged: {error!r}") from error
        if provenance is None:
            raise InputError(
                f"{str(path)!r} was written in format {record['format']}, newer than this version's "
                f"{FORMAT_VERSION}; upgrade latentlang"
            )
        try:
            table = pd.read_parquet(path / TABLE)
        except (OSError, ValueError) as error:
            raise InputError(f"{str(path)!r} holds no saved result: {error}") from error
        check_whole(path, record)
        return cls(table=table, provenance=provenance)


def _plain(value: object) -> object:
    """Numbers and arrays of numpy as JSON can say them."""
    import numpy as np

    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be saved as metadata")


def save_files(
    folder: Path,
    kind: str,
    provenance: Provenance,
    content: Mapping[str, pd.DataFrame | bytes],
    *,
    parts: Sequence[str] = (),
) -> None:
    """Write files and the ``metadata.json`` that says what they are, over older ones of this kind; all or nothing.

    Args:
        folder: must exist, and be locked.
        kind: of result.
        provenance: where they came from.
        content: name to table or content.
        parts: names of other files in the folder that belong to it, as they are now.

    Raises:
        InputError: they cannot be written; a full disk is called so.
    """
    with Staged(folder) as files:
        listed = {name: files.add(name, what) for name, what in content.items()}
        listed |= {name: file_sha256(folder / name) for name in parts}
        record = {"kind": kind, "format": FORMAT_VERSION, "provenance": asdict(provenance), "files": listed}
        text = json.dumps(record, indent=2, ensure_ascii=False, default=_plain) + "\n"
        files.add(METADATA, text.encode())
