"""The tasks by name: one record each, which `task`, the evaluation, the lists and the command line's help read.

A task is known everywhere once it is registered (those that come with the package: `latentlang.tasks.shipped`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown, unknown
from latentlang.tasks.base import Task

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A set on the Hugging Face hub from which a task can take its items (``data="hub:xnli"``).

    Attributes:
        name: short name, after ``hub:``.
        hub_id: its name on the hub.
        languages: codes of its languages.
    """

    name: str
    hub_id: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What is known of a task before it is built.

    Attributes:
        name: what it is called in Python, at the command line and in experiment files.
        build: makes it from its options, all by keyword.
        about: what is asked, in half a line.
        closed: whether its answers are a small set of labels, which an evaluation chooses between.
        hub_datasets: the sets on the hub that it reads.
    """

    name: str
    build: Callable[..., Task]
    about: str
    closed: bool
    hub_datasets: tuple[HubDataset, ...]

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that it takes."""
        return tuple(inspect.signature(self.build).parameters)


#: Task name to its record, in the order of the lists.
TASKS: dict[str, TaskRecord] = {}


def register(
    name: str,
    build: Callable[..., Task],
    *,
    about: str,
    closed: bool = False,
    hub_datasets: Iterable[HubDataset] = (),
) -> TaskRecord:
    """Make a task known by a name: to `task`, and to all that takes the name of a task.

    Args:
        name: letters, digits, ``-`` and ``_``.
        build: the task's class, or a function that makes it; options by keyword, all with defaults.
        about: what is asked, in half a line.
        closed: whether its answers are a small set of labels.
        hub_datasets: the sets on the Hugging Face hub that it reads with ``data="hub:NAME"``.

    Raises:
        InputError: the name cannot be one, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"a task's name is of at most 40 letters, digits, - and _, not {name!r}")
    if name in TASKS:
        raise InputError(f"there is a task {name!r} already; choose another name")
    TASKS[name] = TaskRecord(name, build, about, closed, tuple(hub_datasets))
    return TASKS[name]


def task_record(name: str) -> TaskRecord:
    """What is known of a task.

    Raises:
        InputError: there is none of this name.
    """
    record = TASKS.get(name)
    if record is None:
        raise unknown("task", name, TASKS, hint="`latentlang tasks` lists them")
    return record


def closed_tasks() -> tuple[str, ...]:
    """Names of the tasks with labels to choose between."""
    return tuple(name for name, record in TASKS.items() if record.closed)


@checked_call
def task(name: str, **options: Any) -> Task:
    """Build a task by name.

    Args:
        name: a key of `TASKS`.
        **options: the task's own options, e.g. ``source="fr"`` for translation (``source=("fr", "de")``: from German
            where French itself is asked for, the default), ``answers="en"`` for closed tasks, ``data=PATH`` for files
            of one's own (a folder of JSON files in the paper's layout, or CSV files of words), ``data="hub:xnli"`` or
            ``data="hub:paws-x"`` for these sets on the Hugging Face hub, ``protocol="as-published"`` for the paper's
            own cues, blocks and words.

    Raises:
        InputError: no such task, or no such option, or files that cannot be used.
    """
    record = task_record(name)
    try:
        inspect.signature(record.build).bind(**options)
    except TypeError as error:
        raise InputError(
            f"the {name} task does not take these options: {error}; it takes {', '.join(record.options) or 'none'}"
        ) from error
    built = record.build(**options)
    built.made_of = (name, dict(options))
    return built


def as_task(given: str | Task) -> Task:
    """The task itself, or the one of a name with its defaults.

    Raises:
        InputError: no such task, something that is neither a task nor a name, or a task whose answers are strings where
            they should be tuples of them.
    """
    if isinstance(given, Task):
        _check_answers_of(given)
        return given
    if isinstance(given, str):
        return task(given)
    raise InputError(f"a task or the name of one is needed, not {type(given).__name__}; task(...) makes one")


def _check_answers_of(task: Task) -> None:
    """Refuse ``"rouge"`` for ``("rouge",)`` in a task of one's own: it would be read as answers of a letter each."""
    if type(task).__module__.startswith("latentlang.") or not task.has_answers:
        return
    for language in task.languages[:1]:  # who writes so writes so in all
        for label, texts in task.answers(language).items():
            if isinstance(texts, str):
                raise InputError(
                    f"{type(task).__name__}.answers({language!r}) gives {shown(texts)} for {shown(label)}; give a "
                    f"tuple of strings, ({shown(texts)},)"
                )
