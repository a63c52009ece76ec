"""Items of closed tasks from sets on the Hugging Face hub: ``task("nli", data="hub:xnli")``.

XNLI (Conneau et al. 2018) and PAWS-X (Yang et al. 2019) are parallel and translated by people. Questions and cues are
worded as for all other items (`latentlang.tasks.labels`); items come from the set's test part, few-shot examples from
its validation part. Only these two parts are downloaded, language by language, never the large training part.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, unknown
from latentlang.installing import install_command
from latentlang.paths import given_path, is_folder
from latentlang.seeding import shuffled
from latentlang.tasks.files import PathLike
from latentlang.tasks.labels import Kind, languages_of
from latentlang.tasks.paper_files import Item
from latentlang.tasks.registry import TASKS, HubDataset

PREFIX = "hub:"
_ITEMS, _EXAMPLES = "test", "validation"
_OTHER_DATA = "give a folder with data="
# Rows of a stream among which the next one is drawn.
_DRAWN_FROM = 1000
# What stands in PAWS-X where a sentence was not translated.
_UNTRANSLATED = frozenset({"", "NS"})


@dataclass(frozen=True, slots=True)
class ChoiceDataset(HubDataset):
    """A parallel set for a closed task, one folder of Parquet files per language: ``{code}/{part}-*.parquet``.

    Its languages without a wording in this package are left out.

    Attributes:
        labels: the classes, by the number in its column ``label``.
    """

    labels: tuple[str, ...]


XNLI = ChoiceDataset(
    "xnli",
    "facebook/xnli",
    ("en", "bg", "de", "es", "fr", "hi", "ru", "sw", "th", "zh"),
    ("entailment", "neutral", "contradiction"),
)
PAWS_X = ChoiceDataset(
    "paws-x",
    "google-research-datasets/paws-x",
    ("en", "de", "es", "fr", "ja", "zh"),
    ("different", "same"),
)


def choice_datasets() -> Iterator[tuple[str, ChoiceDataset]]:
    """Each parallel set of a closed task, with the name of the task."""
    for record in TASKS.values():
        for dataset in record.hub_datasets:
            if isinstance(dataset, ChoiceDataset):
                yield record.name, dataset


def is_hub(data: PathLike | None) -> bool:
    """Whether a ``data=`` means a set on the hub."""
    return data is not None and str(data).startswith(PREFIX)


@dataclass(frozen=True)
class Place:
    """Where a set lies.

    Attributes:
        name: hub id, or the whole path of a folder.
        revision: commit, branch or tag that was asked for.
        folder: the folder, where it is one.
    """

    name: str
    revision: str | None = None
    folder: Path | None = None

    @property
    def origin(self) -> str:
        """``hub:``, its name, and its revision, if any."""
        return PREFIX + self.name + (f"@{self.revision}" if self.revision else "")


def find_place(wanted: str, known: Mapping[str, str]) -> Place | None:
    """The place that a user means by a short name, a folder, or a hub id with or without ``@revision``.

    Args:
        wanted: without `PREFIX`.
        known: short name to hub id. A short name means the set, whatever folders lie here; ``./xnli`` is the folder.

    Returns:
        None if it is none of the three.
    """
    short, _, revision = wanted.partition("@")
    folder = given_path(wanted)
    if short in known:
        return Place(known[short], revision or None)
    if wanted and is_folder(folder):
        return Place(str(folder.resolve()), folder=folder)
    return Place(short, revision or None) if "/" in short else None


class HubItems:
    """Items and few-shot examples of a task from a hub set.

    Items are named by the set's own ids (their places, where it has none), so that they are the same in every language.
    An item that is untranslated, or labelled otherwise, in any of the languages is left out in all of them.

    Attributes:
        origin: ``hub:`` and the set's hub id or folder, with the revision that was asked for.
        languages: codes of the languages that have items and a wording.
    """

    def __init__(self, kind: Kind, data: PathLike) -> None:
        """Choose the set; nothing is downloaded before its items are asked for.

        Args:
            kind: the task.
            data: ``hub:xnli``, ``hub:paws-x``, or ``hub:`` and the hub id or folder of a set of the same layout; a hub
                id with ``@revision`` for a commit, branch or tag.

        Raises:
            InputError: no such set, or not of this task.
        """
        self.kind = kind
        spec = str(data).removeprefix(PREFIX)
        # short name to the task that reads the set
        task_of = {dataset.name: name for name, dataset in choice_datasets()}
        dataset_of_task = next((dataset for name, dataset in choice_datasets() if name == kind.name), None)
        if dataset_of_task is None:
            raise InputError(
                f"there is no hub set for the {kind.name} task; {', '.join(task_of)} are for "
                f"{', '.join(task_of.values())}"
            )
        short = spec.partition("@")[0]
        if task_of.get(short, kind.name) != kind.name:
            raise InputError(
                f"{PREFIX}{short} is for the {task_of[short]} task; {kind.name} has {PREFIX}{dataset_of_task.name}"
            )
        source = find_place(spec, {dataset_of_task.name: dataset_of_task.hub_id})
        if source is None:
            raise unknown("hub set", short, task_of, hint="or give a hub id, org/name, or a folder")
        self._source, self._revision, self.origin = source.name, source.revision, source.origin
        self._labels = dataset_of_task.labels
        self.languages = tuple(code for code in dataset_of_task.languages if code in languages_of(kind))
        if local := source.folder:
            self.languages = tuple(code for code in self.languages if (local / code).is_dir())
            if not self.languages:
                raise InputError(
                    f"{local} has no folders named by language ({', '.join(dataset_of_task.languages)}), each with "
                    f"{_ITEMS}-*.parquet and {_EXAMPLES}-*.parquet"
                )

    def items(self, language: str) -> tuple[Item, ...]:
        """The items of a language, in the set's order.

        Raises:
            InputError: the set cannot be read.
        """
        return self._items[language]

    def examples(self, language: str, *, shots: int, seed: int) -> tuple[Item, ...]:
        """Few-shot examples with alternating labels, from the validation part; the same in every language.

        Raises:
            InputError: the set cannot be read, or has fewer.
        """
        by_label = [
            shuffled([item for item in self._examples[language] if item.label == label], "hub", seed, label)
            for label in self.kind.labels
        ]
        examples = [item for turn in zip(*by_label, strict=False) for item in turn]
        if shots > len(examples):
            raise InputError(
                f"{self.origin} has {len(examples)} few-shot examples with labels in turn, not {shots}"
            )
        return tuple(examples[:shots])

    @property
    def notes(self) -> dict[str, str]:
        """Language code to how many of the set's items were left out; empty where none were, or none read so far."""
        left_out = self.__dict__.get("_left_out", 0)
        said = (
            f"{self.origin}: {left_out} items are untranslated or labelled otherwise in one of "
            f"{', '.join(self.languages)}, and left out in all"
        )
        return dict.fromkeys(self.languages, said) if left_out else {}

    @cached_property
    def _items(self) -> dict[str, tuple[Item, ...]]:
        items, self._left_out = self._parallel(_ITEMS)
        return items

    @cached_property
    def _examples(self) -> dict[str, tuple[Item, ...]]:
        return self._parallel(_EXAMPLES)[0]

    def _parallel(self, part: str) -> tuple[dict[str, tuple[Item, ...]], int]:
        """Language code to the items that are whole and say the same in all languages; how many are not."""
        read = {code: {item.id: item for item in self._read(code, part)} for code in self.languages}
        first, *others = read.values()
        names = list(dict.fromkeys(name for items in read.values() for name in items))
        whole = [
            name
            for name in names
            if all(name in items and _is_whole(items[name]) for items in read.values())
            and all(items[name].label == first[name].label for items in others)
        ]
        if not whole:
            raise InputError(
                f"{self.origin}: no item of its {part} part is there in {', '.join(self.languages)}"
            )
        return {code: tuple(items[name] for name in whole) for code, items in read.items()}, len(names) - len(
            whole
        )

    def _read(self, code: str, part: str) -> Iterator[Item]:
        table = load_part(self._source, f"{code}/{part}-*.parquet", revision=self._revision)
        columns = (*self.kind.keys, "label")
        if missing := [name for name in columns if name not in table.column_names]:
            raise InputError(
                f"{self.origin} ({code}, {part}) has no column {missing[0]!r}, only {', '.join(table.column_names)}"
            )
        numbered = "id" in table.column_names
        for row_number, row in enumerate(table):
            label = row["label"]
            if not isinstance(label, int) or not 0 <= label < len(self._labels):
                raise InputError(
                    f"{self.origin} ({code}, {part}), row {row_number}: the label must be 0 to "
                    f"{len(self._labels) - 1}, not {label!r}"
                )
            texts = tuple(str(row[key] or "").strip() for key in self.kind.keys)
            name = int(row["id"]) if numbered else row_number
            yield Item(f"{name:04}", self._labels[label], texts)


def _is_whole(item: Item) -> bool:
    return _UNTRANSLATED.isdisjoint(item.texts)


def load_part(name: str, pattern: str, *, revision: str | None) -> Any:
    """A part of a set, by the pattern of its files, so that nothing else of it is downloaded.

    Raises:
        InputError: the datasets library is missing, or the set cannot be read.
    """
    what = f"{pattern} of the set {name!r}"
    options: dict[str, Any] = {"data_files": {"part": pattern}, "split": "part", "revision": revision}
    return _asked("load_dataset", name, what=what, otherwise=_EMBEDDED, **options)


def load_set(
    name: str,
    config: str | None,
    *,
    part: str,
    revision: str | None,
    otherwise: str = _OTHER_DATA,
    extra: str = "data",
) -> Any:
    """A part of a set, by the names that the set gives its configurations and parts.

    Args:
        name: hub id, or the path of a folder.
        config: its configuration; None for the only one.
        part: train, test...
        revision: commit, branch or tag; None for the newest.
        otherwise: what else to do where it cannot be read, for the error.
        extra: of the package, that installs the datasets library.

    Raises:
        InputError: the datasets library is missing, or the set cannot be read.
    """
    what = f"the part {part!r} of the set {name!r}" + (f" ({config})" if config else "")
    return _asked(
        "load_dataset",
        name,
        config,
        what=what,
        otherwise=otherwise,
        extra=extra,
        split=part,
        revision=revision,
    )


def stream_set(
    name: str,
    config: str | None,
    *,
    part: str,
    revision: str | None,
    seed: int | None = None,
    otherwise: str = _OTHER_DATA,
) -> Iterator[dict[str, Any]]:
    """The rows of a part of a set, fetched as they are asked for, so that little of a large set is downloaded.

    Args:
        name: hub id, or the path of a folder.
        config: its configuration; None for the only one.
        part: train, test...
        revision: commit, branch or tag; None for the newest.
        seed: draws files of the set and, among the next thousand, rows; None for the set's own order.
        otherwise: what else to do where it cannot be read, for the error.

    Raises:
        InputError: the datasets library is missing, or the set cannot be read; also while rows are fetched.
    """
    what = f"the part {part!r} of the set {name!r}" + (f" ({config})" if config else "")
    stream = _asked(
        "load_dataset",
        name,
        config,
        what=what,
        otherwise=otherwise,
        split=part,
        revision=revision,
        streaming=True,
    )
    rows = iter(stream if seed is None else stream.shuffle(seed=seed, buffer_size=_DRAWN_FROM))
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:
            raise _unread(what, error, otherwise) from error
        yield dict(row)


def asked_of_hub(
    function: str, name: str, *arguments: str | None, revision: str | None, otherwise: str = _OTHER_DATA
) -> list[str]:
    """The names of a set's configurations or parts, from one of the functions that the datasets library has for it.

    Raises:
        InputError: the datasets library is missing, or the set cannot be read.
    """
    names = _asked(
        function, name, *arguments, what=f"the set {name!r}", otherwise=otherwise, revision=revision
    )
    return [str(given) for given in names]


_EMBEDDED = "give a folder with data=, or leave data out for the embedded items"


def _asked(
    function: str,
    *arguments: Any,
    what: str,
    otherwise: str = _OTHER_DATA,
    extra: str = "data",
    **options: Any,
) -> Any:
    """What the datasets library gives, without its progress bars and its lines about each try."""
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"sets on the hub need datasets; `{install_command(extra)}`") from error
    try:
        with without_bars(), _without_retry_lines():
            return getattr(datasets, function)(*arguments, **options)
    # The library raises about everything, from connection errors to bare ValueErrors.
    except Exception as error:
        raise _unread(what, error, otherwise) from error


def _unread(what: str, error: Exception, otherwise: str) -> InputError:
    reason = " ".join((str(error).strip() or type(error).__name__).split())[:200]
    return InputError(
        f"{what} cannot be read ({reason}); it must be in the local cache or the hub within reach; {otherwise}"
    )


@contextmanager
def _without_retry_lines() -> Iterator[None]:
    """A context in which the hub's library does not log every try to reach it: that none did, the error says."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def without_bars() -> Iterator[None]:
    """A context in which the datasets library shows no progress bars of its own."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
