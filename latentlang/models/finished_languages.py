"""What a run has done, kept language by language in a folder, so that a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from latentlang.models.fingerprint import model_identity
from latentlang.provenance import package_versions
from latentlang.storage.documents import read_json
from latentlang.storage.files import prepare_folder, write_bytes
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import files_below, remove_files
from latentlang.storage.step_cache import STEP_FILE, Steps, finished_steps, is_whole
from latentlang.storage.tensors import read_tensors, tensor_bytes
from latentlang.tasks import Prompt, Task

if TYPE_CHECKING:
    from latentlang.models.hooked import HookedLM

# Files of a language.
_PASSES = "pass-*.safetensors"
#: Tensors by name, and facts that JSON can say.
Kept = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass(frozen=True)
class LanguagePart(os.PathLike[str]):
    """One language of a run that several processes share, to be given in the place of the run's folder.

    The call then runs this language alone, and ends with `LanguagePartDone`. The folder itself belongs to another
    process, which holds its lock and takes the part in (`take_in`).

    Attributes:
        folder: where the run's finished languages lie; it is only read.
        part: folder in which the language is kept, of this process alone.
        language: its code.
        task: name of the task; empty for any.
    """

    folder: Path
    part: Path
    language: str
    task: str = ""

    def __fspath__(self) -> str:
        return str(self.folder)


class LanguagePartDone(Exception):  # noqa: N818 - no error: a part has no result of its own
    """What a call was given a `LanguagePart` for is done, and kept."""


class FinishedLanguages:
    """The languages that one run of a model on a task has done.

    A language is kept with all that its numbers depend on: of another model, other prompts or options it is run anew.
    What the model noticed in reading it is kept too, so that a resumed run says the same of the model.

    Attributes:
        folder: where they lie.
    """

    def __init__(
        self, folder: Path, model: HookedLM, task: Task, *, part: LanguagePart | None = None, **options: Any
    ) -> None:
        """Take a folder, made if missing; `options` are what the numbers depend on beside task, prompts and question.

        Raises:
            InputError: it cannot be made or written.
        """
        self.folder = folder
        self._model, self._task = model, task.name
        self._part = part
        self._steps = Steps(folder)
        self._options = {
            "version": package_versions().get("latentlang"), "model": model_identity(model),
            "device": model.device.type, "dtype": str(model.dtype), "task": task.name,
            "settings": dict(task.settings), **options,
        }  # fmt: skip

    @property
    def names(self) -> list[str]:
        """The languages that are there."""
        return finished_names(self.folder)

    def takes(self, language: str) -> bool:
        """Whether a language is to be run here: all are, unless the call was given a `LanguagePart`."""
        part = self._part
        return part is None or (part.language == language and part.task in ("", self._task))

    def run(
        self,
        kind: str,
        prompts: Sequence[Prompt],
        question: Mapping[str, Any],
        read: Callable[[], Sequence[Kept]],
        restore: Callable[[Sequence[Kept]], None],
    ) -> None:
        """Read a language's prompts and keep what came of it, or give it back.

        Args:
            kind: of reading; the folder in which its languages lie.
            prompts: of the language.
            question: what the numbers depend on beside model, task and prompts.
            read: runs the prompts, and gives what is to be kept.
            restore: takes it; it is called after `read` too, so that a resumed run sees the same.

        Raises:
            InputError: the folder cannot be written, or holds something else in the language's place.
        """

        def compute(folder: Path) -> None:
            with self._model.noticing() as notes:
                parts = read()
            for number, (tensors, facts) in enumerate(parts):
                content = tensor_bytes(tensors, {"facts": json.dumps(facts), "notes": json.dumps(notes)})
                write_bytes(folder / f"pass-{number}.safetensors", content)

        def load(folder: Path) -> None:
            parts = []
            for number in range(len(list(folder.glob(_PASSES)))):
                tensors, facts = read_tensors(folder / f"pass-{number}.safetensors")
                parts.append((tensors, json.loads(facts["facts"])))
                self._model.take_notes(json.loads(facts.get("notes", "{}")))
            restore(parts)

        options = {**self._options, **_asked(prompts), **question}
        # prompts that are in no language of their own lie in the folder of their kind itself
        name = "/".join(filter(None, [kind, prompts[0].language]))
        steps = self._steps
        if self._part is not None and not is_whole(self.folder / name, options):
            steps = Steps(self._part.part)
        steps.run(name, options, compute, load)

    def clear(self) -> None:
        """Remove all of it: the result is somewhere else. What is not ours stays."""
        forget(self.folder)


def take_in(folder: Path, part: Path) -> None:
    """Have the languages that lie whole in a part be finished languages of a folder; the part goes.

    Args:
        folder: whose lock the caller holds.
        part: folder of a `LanguagePart`; nothing where there is none.

    Raises:
        InputError: the folder cannot be written, or holds something else in a language's place.
    """
    if not part.is_dir():
        return
    steps = Steps(folder)
    for name in finished_steps(part):
        record = read_json(part / name / STEP_FILE, finite=False)

        def copy(into: Path, made: Path = part / name) -> None:
            for file in sorted(made.glob(_PASSES)):
                write_bytes(into / file.name, file.read_bytes())

        steps.run(name, record["options"], copy, lambda _there: None)
    shutil.rmtree(part, ignore_errors=True)


def finished_names(folder: Path) -> list[str]:
    """The languages that are kept in a folder."""
    return sorted({name.rpartition("/")[2] for name in finished_steps(folder)})


def forget(folder: Path) -> None:
    """Remove the finished languages of a folder, and the folder. What is not ours stays."""
    if not folder.is_dir():
        return
    steps = Steps(folder)
    for name in files_below(folder, [f"**/{STEP_FILE}"]):
        steps.drop(name.removesuffix(f"/{STEP_FILE}"))
    remove_files(folder, files_below(folder, [f"**/{STEP_FILE}"]))
    with suppress(OSError):  # not empty: something else lies there
        folder.rmdir()


def _asked(prompts: Sequence[Prompt]) -> dict[str, Any]:
    return {"language": prompts[0].language, "prompts": prompts_digest(prompts)}


def answers_digest(task: Task, codes: Iterable[str]) -> str:
    """Hash of what the answers are in some languages."""
    digest = hashlib.sha256()
    for code in codes:
        digest.update(repr((code, sorted(task.answers(code).items()))).encode())
    return digest.hexdigest()


def prompts_digest(prompts: Iterable[Prompt]) -> str:
    """Hash of what is asked, and of which items."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update("\x1f".join([prompt.item, str(prompt.label), prompt.text, ""]).encode())
        for candidate in prompt.candidates:
            digest.update("\x1f".join([candidate.label, candidate.given, candidate.text, ""]).encode())
    return digest.hexdigest()


def kept_tensor(
    finished: FinishedLanguages | None,
    kind: str,
    prompts: Sequence[Prompt],
    question: Mapping[str, Any],
    compute: Callable[[], Tensor],
) -> Tensor:
    """One tensor that was computed of prompts: as it was kept, or new; arguments as of `FinishedLanguages.run`.

    Args:
        finished: where it is kept; None keeps nothing.
        kind: of reading.
        prompts: of one language.
        question: what the numbers depend on beside model, task and prompts.
        compute: gives the tensor; on the CPU, where it is kept.
    """
    if finished is None:
        return compute()
    restored: list[Tensor] = []

    def restore(parts: Sequence[Kept]) -> None:
        ((tensors, _facts),) = parts
        restored[:] = [tensors["values"]]

    finished.run(kind, prompts, question, lambda: [({"values": compute().contiguous()}, {})], restore)
    return restored[0]


@contextmanager
def kept_in(
    folder: str | os.PathLike[str] | None, model: HookedLM, tasks: Sequence[Task], **options: Any
) -> Iterator[list[FinishedLanguages | None]]:
    """Each task's finished languages of a folder, which no other process writes into meanwhile; None each for None.

    Raises:
        InputError: it cannot be written, or another process writes into it.
        LanguagePartDone: at the end of the block, where the folder is a `LanguagePart`.
    """
    if folder is None:
        yield [None for _ in tasks]
        return
    if isinstance(folder, LanguagePart):
        yield [FinishedLanguages(folder.folder, model, task, part=folder, **options) for task in tasks]
        raise LanguagePartDone
    path = prepare_folder(folder)
    with FolderLock(path):
        yield [FinishedLanguages(path, model, task, **options) for task in tasks]
