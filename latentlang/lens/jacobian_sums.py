"""The running mean of a fit: over the texts of each language, then over languages, kept after every text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path

import torch
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor

from latentlang.errors import InputError
from latentlang.storage.documents import Record, checked, damaged, parse_json
from latentlang.storage.files import prepare_folder, replacing_name
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import remove_files
from latentlang.storage.tensors import read_tensors_of

_FILE = "jacobian_sums.safetensors"
_FORMAT = "latentlang jacobian sums 1"
_THEN = "delete the folder to begin anew"


class _SumsState(Record):
    question: str
    done: int = Field(ge=0)


class RunningMean:
    """Mean over languages of the mean over a language's texts; texts come language by language.

    Args:
        shape: of what is added.
        counts: how many texts each language has, in the order in which they come.
        path: where the sums are kept; None for nowhere.
        question: a hash of all that the sums depend on.

    Attributes:
        done: how many texts were added.
    """

    def __init__(self, shape: Sequence[int], counts: Sequence[int], path: Path | None, question: str) -> None:
        self._counts, self._path, self._question = list(counts), path, question
        self._ends = list(accumulate(self._counts))
        self._languages = torch.zeros(*shape)  # sum of the means of languages that are done
        self._texts = torch.zeros(*shape)  # sum over texts of the language that is not
        self.done = 0
        if path is not None and path.is_file():
            self._read(path)

    def add(self, values: Tensor) -> None:
        """Take in one text."""
        self._texts += values
        self.done += 1
        if self.done in self._ends:
            self._languages += self._texts / self._counts[self._ends.index(self.done)]
            self._texts.zero_()
        if self._path is not None:
            self._write(self._path)

    @property
    def mean(self) -> Tensor:
        """The mean, once all texts were added."""
        return self._languages / len(self._counts)

    def _write(self, path: Path) -> None:
        state = json.dumps({"question": self._question, "done": self.done})
        with replacing_name(path) as temporary:
            save_file(
                {"languages": self._languages, "texts": self._texts},
                temporary,
                {"format": _FORMAT, "state": state},
            )

    def _read(self, path: Path) -> None:
        tensors, metadata = read_tensors_of(path, format=_FORMAT, holding="unfinished fit")
        state = checked(
            _SumsState, parse_json(metadata.get("state", "null"), path, then=_THEN), path, then=_THEN
        )
        if state.question != self._question:
            raise InputError(
                f"{str(path.parent)!r} holds an unfinished fit of another model, other texts or other options; "
                f"{_THEN}, or choose another one"
            )
        shapes = [tensors[name].shape for name in ("languages", "texts") if name in tensors]
        if shapes != [self._languages.shape] * 2 or state.done > sum(self._counts):
            raise damaged(path, "its sums do not fit", then=_THEN)
        self._languages, self._texts, self.done = tensors["languages"], tensors["texts"], state.done


@contextmanager
def running_mean(
    folder: Path | None, question: str, *, shape: Sequence[int], counts: Sequence[int]
) -> Iterator[RunningMean]:
    """The running mean of a fit, from where a stopped one left it in a folder.

    Args:
        folder: made if missing; None to keep nothing.
        question: a hash of all that the sums depend on.
        shape: of what is added.
        counts: how many texts each language has.

    Raises:
        InputError: the folder holds a fit of something else, or cannot be written.
    """
    if folder is None:
        yield RunningMean(shape, counts, None, question)
        return
    with FolderLock(prepare_folder(folder)):
        yield RunningMean(shape, counts, folder / _FILE, question)


def has_sums(folder: Path) -> bool:
    """Whether a folder holds the sums of an unfinished fit."""
    return (folder / _FILE).is_file()


def forget_sums(folder: Path) -> None:
    """Remove the sums of a fit from a folder, and the folder. What is not ours stays."""
    if folder.is_dir():
        remove_files(folder, [_FILE])
        with suppress(OSError):  # not empty: something else lies there
            folder.rmdir()
