"""What every result is: a tidy table, where it came from, and a folder it can be saved to and loaded from."""

from __future__ import annotations

import functools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Self, TypeVar, Unpack, cast

from pydantic import BeforeValidator, Field, model_validator

from latentlang.arguments import MOST, MOST_DRAWS, MOST_LAYER
from latentlang.errors import InputError, shown
from latentlang.printable import printable
from latentlang.provenance import Provenance
from latentlang.remote_paths import located
from latentlang.storage import format1
from latentlang.storage.documents import Record, checked, damaged, read_json, reading
from latentlang.storage.files import Staged, file_sha256, prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import METADATA, TABLE, check_vacant
from latentlang.storage.seals import check_whole
from latentlang.storage.tables import Columns, read_table
from latentlang.text import Sentences, long_texts_words

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

FORMAT_VERSION = 2
# Languages that are named one by one in a result's headline.
_MOST_NAMED = 8


class _Head(Record):
    kind: str
    format: int = Field(ge=0)


def _as_in_a_file(value: object) -> object:
    """A value as JSON gives it back: numpy's numbers and arrays as Python's, every sequence a list."""
    import numpy as np

    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _as_in_a_file(inner) for name, inner in value.items()}
    return [_as_in_a_file(inner) for inner in value] if isinstance(value, list | tuple) else value


def _text(value: object) -> object:
    return value if value is None else str(value)


#: A setting that a task gives: tasks of users may put anything there.
TaskText = Annotated[str | None, BeforeValidator(_text)]


#: A number of something, a layer, a number of draws, and a share, as a saved result may hold them.
Count = Annotated[int, Field(ge=0, le=MOST)]
LayerNumber = Annotated[int, Field(ge=0, le=MOST_LAYER)]
Draws = Annotated[int, Field(ge=0, le=MOST_DRAWS)]
Share = Annotated[float, Field(ge=0, le=1)]


class ResultSettings(Record):
    """The settings of a result, typed; each kind of result has a subclass in its room.

    Stored flat in ``provenance.settings``, among keys of the task, of the model and of other versions, which are
    ignored here and stay there. The default of a field is what a result means that does not say.
    """

    #: How the model's weights were packed, where they were.
    model_quantization: str | None = None
    #: The name or folder that the model was loaded by, where results call it otherwise.
    model_loaded_from: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_values(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        names = [field.alias or name for name, field in cls.model_fields.items()]
        return {name: _as_in_a_file(values[name]) for name in names if name in values}

    @classmethod
    def of(cls, provenance: Provenance, where: Path | str = "the record of a result's settings") -> Self:
        """What a provenance says.

        Args:
            provenance: of a result.
            where: the file it was read from, for the error.

        Raises:
            InputError: a setting is missing or of another kind.
        """
        return checked(cls, provenance.settings, where)

    def stored(self) -> dict[str, Any]:
        """The settings that were given, for ``provenance.settings``, in the order of the fields."""
        return self.model_dump(exclude_unset=True, by_alias=True)

    def remarks(self, provenance: Provenance) -> list[str]:
        """Sentences on how the result came about that whoever reads it must know; most often there are none.

        Args:
            provenance: of the result.
        """
        return []


class TextsSettings(ResultSettings):
    """Settings of what runs over texts that may be longer than the model's context."""

    #: What was done with those: ``refuse``, ``cut`` or ``drop``, and language to how many there were.
    long_texts: str = "refuse"
    too_long: dict[str, Count] = Field(default_factory=dict)

    def remarks(self, provenance: Provenance) -> list[str]:
        """That texts were cut or left out, where some were."""
        said = long_texts_words(self.long_texts, self.too_long)
        return [*super().remarks(provenance), *([said] if said else [])]


class TaskSettings(ResultSettings):
    """Settings that a task gives: what its prompts are made of."""

    source: TaskText = None
    #: Target language to the language of the prompt's word, where several runs were joined.
    sources: dict[str, str] | None = None
    answers: TaskText = None


SettingsT = TypeVar("SettingsT", bound=ResultSettings)


@dataclass(frozen=True)
class View:
    """What a notebook is to show.

    Attributes:
        headline: what it is, in one line of plain text; all that a terminal shows.
        table: gives a few rows that say what was found.
        figure: draws it; None for what has no figure.
        provenance: where it came from; None where that is not known.
        words: says it in words, where it can.
        points: a few short lines after the words.
    """

    headline: str
    table: Callable[[], pd.DataFrame]
    figure: Callable[[], go.Figure] | None = None
    provenance: Provenance | None = None
    words: Callable[[], str] | None = None
    points: Callable[[], Sequence[str]] | None = None


class Displayed(ABC):
    """What shows itself in a notebook: figure, small table and provenance; in a terminal and as text, one line."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # `dataclass` writes whole tables into the repr of every class that has none of its own
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Displayed.__repr__  # type: ignore[method-assign]
        if "describe" in cls.__dict__:
            cls.describe = _described(cls.__dict__["describe"])  # type: ignore[attr-defined]

    def _remarks(self) -> Sequence[str]:
        """What is said after every description: of how it came about, not what was found."""
        return ()

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


def _described(method: Callable[..., str]) -> Callable[..., Sentences]:
    """A ``describe`` that shows itself as sentences, with the remarks behind it."""

    @functools.wraps(method)
    def describe(self: Displayed, *args: Any, **options: Any) -> Sentences:
        return Sentences("\n".join([method(self, *args, **options), *self._remarks()]))

    return describe


# What other libraries call it, and what it is here.
_ELSEWHERE = {
    **dict.fromkeys(("df", "data", "dataframe", "to_df", "to_pandas"), "table"),
    **dict.fromkeys(("to_csv", "to_parquet"), "table, a pandas DataFrame, or .save(folder)"),
    **dict.fromkeys(("plot", "show"), "figure()"),
}


@dataclass(frozen=True)
class Result(Displayed, Generic[SettingsT]):
    """A tidy table with its provenance; subclasses say what the columns are and how it is drawn."""

    table: pd.DataFrame
    provenance: Provenance

    kind: ClassVar[str] = "result"
    #: Columns that a saved table must have, and what they hold.
    columns: ClassVar[Columns] = {}
    #: What ``provenance.settings`` holds; `settings` is one of these.
    settings_type: ClassVar[type[ResultSettings]] = ResultSettings

    @cached_property
    def settings(self) -> SettingsT:
        """The settings of the run, typed; ``provenance.settings`` holds them as they are stored."""
        return cast(SettingsT, self.settings_type.of(self.provenance))

    if not TYPE_CHECKING:  # to a type checker a name that is not there stays an error

        def __getattr__(self, name: str) -> Any:
            """Names that are not there; of those that other libraries use, with what does the same here."""
            if hasattr(type(self), name):  # a property that failed: its own error
                return object.__getattribute__(self, name)
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in _ELSEWHERE:
                message += f"; here it is .{_ELSEWHERE[name]}"
            raise AttributeError(message, name=name, obj=self)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # `dataclass` writes one that asks a table for its truth value into every class that has none of its own
        if "__eq__" not in cls.__dict__:
            cls.__eq__ = Result.__eq__  # type: ignore[method-assign]

    def __eq__(self, other: object) -> bool:
        """Whether both are of one kind and hold the same: table, provenance, and all that belongs to them."""
        if type(other) is not type(self):
            return NotImplemented
        return _same_fields(self, other)

    def _remarks(self) -> Sequence[str]:
        remarks: list[str] = self.settings.remarks(self.provenance)
        return remarks

    def glance(self) -> pd.DataFrame:
        """What was found in a few rows, as a notebook shows it below the figure: the summary, where there is one."""
        summary = getattr(self, "summary", None)
        rows: pd.DataFrame = self.table if summary is None else summary()
        return rows

    def _view(self) -> View:
        provenance = self.provenance
        model = (
            f"{provenance.model} + {Path(provenance.adapter).name}"
            if provenance.adapter
            else provenance.model
        )
        codes = provenance.languages
        named = " ".join(codes) if len(codes) <= _MOST_NAMED else f"{len(codes)} languages"
        parts = [f"model {model}", provenance.task, named, f"{len(self.table):,} rows"]
        return View(
            headline=f"{type(self).__name__}: " + ", ".join(filter(None, parts)),
            table=self.glance,
            figure=None if type(self).figure is Result.figure else self.figure,
            provenance=provenance,
        )

    def describe(self) -> str:
        """What was found, in plain sentences that claim no more than the numbers do."""
        raise TypeError(f"a {type(self).__name__} has no description of its own")

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """Draw the result; needs no model.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`; what else a kind of
                result takes is said there.
        """
        raise TypeError(f"a {type(self).__name__} has no figure of its own")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``result.parquet`` and ``metadata.json`` into a folder (made if missing); returns the folder.

        All or nothing: an older result of the same kind is replaced as a whole, or stays as it is. The metadata holds
        the SHA-256 of each file, by which `load` sees that they belong together.

        Raises:
            InputError: the folder cannot be written, is being written into by another process, or holds something
                else than an older result of this kind.
        """
        path = prepare_folder(folder, remote=True)
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
        path = located(folder)
        record = _read_record(path, cls.kind)
        provenance = Provenance.of(record, path / METADATA)
        if record["format"] == 1:
            provenance = replace(provenance, settings=format1.settings_today(provenance.settings))
        cls.settings_type.of(provenance, path / METADATA)
        check_whole(path, record)
        table = read_table(path / TABLE, cls.columns)
        result = cls(table=table, provenance=provenance)
        with reading(path / TABLE):
            problem = result.fault()
        if problem is not None:
            raise damaged(path / TABLE, problem)
        return result

    def fault(self) -> str | None:
        """What in a loaded table does not go with the rest, in words; None where nothing is wrong."""
        return None


def _read_record(folder: Path, kind: str) -> dict[str, Any]:
    """What ``metadata.json`` says of a saved result.

    Raises:
        InputError: there is none, it is of another kind or a newer format, or it is damaged.
    """
    path = folder / METADATA
    with reading(path):
        exists = path.exists()
    if not exists:
        raise InputError(
            f"{str(folder)!r} holds no saved result: there is no {METADATA} in it; name a folder that a "
            "command or `save` wrote"
        )
    record = read_json(path, kind=dict, finite=False)
    saved_kind = format1.kind_today(record)
    if saved_kind != kind:
        raise InputError(f"{str(folder)!r} holds a {shown(saved_kind, most=60)} result, not {kind!r}")
    version = checked(_Head, record, path).format
    if version > FORMAT_VERSION:
        raise InputError(
            f"{str(folder)!r} was written in format {version}, newer than this version's "
            f"{FORMAT_VERSION}; upgrade latentlang"
        )
    return record


def _same_fields(one: Any, other: Any) -> bool:
    return all(
        _same(getattr(one, entry.name), getattr(other, entry.name)) for entry in fields(one) if entry.compare
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two values of a result are the same, as a file would hold them: NaN is, and a list is its tuple."""
    import numpy as np
    import pandas as pd

    if isinstance(one, pd.DataFrame):
        return isinstance(other, pd.DataFrame) and one.equals(other)
    if is_dataclass(one):
        return type(one) is type(other) and _same_fields(one, other)
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and one.keys() == other.keys()
            and all(_same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(_same, one, other))
    if hasattr(one, "__array__"):  # numpy's and torch's
        if not hasattr(other, "__array__"):
            return False
        values, others = np.asarray(one), np.asarray(other)
        numbers = values.dtype.kind in "fc" and others.dtype.kind in "fc"
        return np.array_equal(values, others, equal_nan=numbers)
    return bool(one == other or (one != one and other != other))


def repeated(table: pd.DataFrame, keys: list[str]) -> str | None:
    """Whether a table says something twice, in words: the first row that has the same `keys` as an earlier one."""
    again = table.duplicated(keys)
    if not again.any():
        return None
    # as Python's own numbers, whatever the columns hold: "layer 1", not "layer np.int64(1)"
    row = table.loc[again, keys].head(1).astype(object).to_dict("records")[0]
    return "it has two rows of " + ", ".join(f"{name} {shown(row[name], most=40)}" for name in keys)


def unknown_state(table: pd.DataFrame, states: Sequence[str]) -> str | None:
    """Whether rows of a table are of a state that is none of `states`, in words."""
    for state in table["state"].unique():
        if state not in states:
            return f"there is no state {shown(state)}, only {', '.join(states)}"
    return None


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
