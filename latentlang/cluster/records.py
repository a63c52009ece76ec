"""What is sent to workers: small plain records. A model goes by its name, a task by the options that it was made of."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.tasks import Candidate, Prompt, Task, task

# What a record of one entry stands for.
_TASK, _PROMPT, _MAPPING = "task", "prompt", "mapping"


@dataclass(frozen=True)
class ClusterJob:
    """One call, as all workers are told it.

    Attributes:
        call: which, of `calls.CALLS`.
        model: its name.
        load: options of `models.load`.
        chat: whether the task is asked in the chat template of the model's tokenizer.
        options: of the call, as `sent` makes them.
        folder: of the store, or where finished languages are kept; an absolute path.
        logs: folder of the workers' logs.
        place: the folder that relative paths start from.
        threads: of each worker.
        shared: whether workers see the folder. Where not, the files of a unit are sent to its worker and back.
    """

    call: str
    model: str
    load: Mapping[str, Any]
    chat: bool
    options: Mapping[str, Any]
    folder: str
    logs: str
    place: str
    threads: int
    shared: bool = True


@dataclass(frozen=True)
class Unit:
    """What a worker is given at a time, and what is done again where it is lost.

    Attributes:
        name: for people: ``shard 3``, ``ja``, ``sentiment/ja``.
        prompts: how many.
        shard: number of a shard of a harvest; None of anything else.
        language: code; empty of a shard.
        task: name of the task, where there are several.
    """

    name: str
    prompts: int
    shard: int | None = None
    language: str = ""
    task: str = ""


def sent(value: object, *, what: str = "this value") -> Any:
    """An option as plain data: text, numbers, lists and mappings.

    Args:
        value: of the option.
        what: it is, for the error.

    Raises:
        InputError: it cannot be made of plain data again.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # a worker begins without torch; where it is not loaded, nothing is of it
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, Language):
        return value.code
    if isinstance(value, Prompt):
        return {_PROMPT: asdict(value)}
    if isinstance(value, Task):
        if value.made_of is None:
            raise InputError(
                f"the {value.name} task cannot be made again by the workers; make it with task({value.name!r}, ...), "
                "or run it on one machine"
            )
        name, options = value.made_of
        return {_TASK: [name, sent(options, what=f"an option of the {name} task")]}
    if isinstance(value, Mapping):
        return {_MAPPING: [[sent(key, what=what), sent(entry, what=what)] for key, entry in value.items()]}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [sent(entry, what=what) for entry in value]
    raise InputError(
        f"{what} is {type(value).__name__}, which cannot be sent to workers; give a name, a path, numbers or texts"
    )


def received(value: Any) -> Any:
    """What `sent` was given, as far as a call can tell.

    Raises:
        InputError: a task of an unknown name.
    """
    if isinstance(value, list):
        return [received(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == _MAPPING:
        return {received(key): received(entry) for key, entry in content}
    if kind == _PROMPT:
        candidates = tuple(Candidate(**entry) for entry in content["candidates"])
        return Prompt(**{**content, "candidates": candidates})
    name, options = content
    return task(name, **received(options))
