"""A run's folder: what was asked for, which checkpoint is whole, and what is kept in the end."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from latentlang.errors import InputError, shown
from latentlang.models.files import safetensors_header
from latentlang.paths import is_present
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import write_text
from latentlang.training.result import CONFIG, RUN_FILE, WEIGHTS

CHECKPOINTS = "checkpoints"
_RESULT = "metadata.json"
_NAME = re.compile(r"checkpoint-(\d+)")
# The trainer writes its state last: a checkpoint that has it has the rest.
_STATE = "trainer_state.json"
_PARTS = (WEIGHTS, "optimizer.pt", "scheduler.pt", _STATE)


def settle(folder: Path, wanted: Mapping[str, Any], *, resume: bool, main: bool = True) -> bool:
    """Make a folder ready for a run: nothing in it belongs to another one.

    Args:
        folder: where the run writes.
        wanted: what is asked for, as JSON can say it.
        resume: whether to go on with what is there; otherwise a run that is there is removed.
        main: whether this process, of several, is the one that removes.

    Returns:
        Whether the same run is finished there.

    Raises:
        InputError: the folder holds another run, or an adapter from elsewhere.
    """
    if not resume:
        if main:
            _remove_run(folder)
        return False
    known = _record(folder)
    if known is not None:
        difference = _difference(known, wanted)
        if difference:
            raise InputError(
                f"{str(folder)!r} holds another run ({difference}); choose another folder, or resume=False "
                "(--no-resume) to replace it"
            )
        return is_present(folder / _RESULT)
    if is_present(folder / CONFIG):
        raise InputError(
            f"{str(folder)!r} holds an adapter that this command did not make; choose another folder, or resume=False "
            "(--no-resume) to replace it"
        )
    return False


def begin(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Write down what is asked for, before the first step."""
    write_text(folder / RUN_FILE, json.dumps(wanted, indent=2, ensure_ascii=False) + "\n")


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run; one that a kill cut short is passed over."""
    found = []
    for path in (folder / CHECKPOINTS).glob("checkpoint-*"):
        match = _NAME.fullmatch(path.name)
        if match and _is_whole(path):
            found.append((int(match[1]), path))
    return max(found)[1] if found else None


def step_of(checkpoint: Path | None) -> int:
    """The step a checkpoint was written after; 0 for none."""
    match = None if checkpoint is None else _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else 0


@dataclass(frozen=True)
class State:
    """How far a run came.

    Attributes:
        history: the trainer's log, entry by entry.
        best_step: step with the lowest validation loss; None where nothing was held out.
    """

    history: list[dict[str, Any]]
    best_step: int | None


def read_state(checkpoint: Path) -> State:
    """The state that a whole checkpoint was written with.

    Raises:
        InputError: it is damaged.
    """
    # The trainer writes NaN where a loss or a gradient was none.
    record = read_json(checkpoint / _STATE, finite=False)
    found = checked(_TrainerState, record, checkpoint / _STATE)
    return State(record["log_history"], found.best_global_step)


class _Entry(Record):
    model_config = ConfigDict(allow_inf_nan=True)
    step: int
    epoch: float | None = None
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None


class _TrainerState(Record):
    log_history: list[_Entry]
    best_global_step: int | None = None


def keep_adapter(folder: Path, step: int, *, base: str) -> None:
    """Copy a checkpoint's adapter into the run's folder, each file whole or not at all.

    Args:
        folder: the run's.
        step: which checkpoint.
        base: name of the model that it belongs on.
    """
    checkpoint = folder / CHECKPOINTS / f"checkpoint-{step}"
    config = read_json(checkpoint / CONFIG, kind=dict)
    config |= {"base_model_name_or_path": base, "revision": None}
    aside = folder / f".{WEIGHTS}"
    shutil.copyfile(checkpoint / WEIGHTS, aside)
    aside.replace(folder / WEIGHTS)
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def trained_weights(folder: Path) -> int:
    """How many weights the adapter in a folder has."""
    header = safetensors_header(folder / WEIGHTS)
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def remove_checkpoints(folder: Path) -> None:
    """Remove a run's checkpoints."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _is_whole(checkpoint: Path) -> bool:
    if not all((checkpoint / name).is_file() for name in _PARTS):
        return False
    try:
        read_state(checkpoint)
    except InputError:
        return False
    return True


def _record(folder: Path) -> dict[str, Any] | None:
    path = folder / RUN_FILE
    if not path.exists():
        return None
    return read_json(path, kind=dict, then="choose another folder")


def _difference(known: Any, wanted: Any, where: str = "") -> str:
    """The first field in which two records differ, in words; ``""`` where they are the same."""
    if isinstance(known, Mapping) and isinstance(wanted, Mapping):
        for name in dict.fromkeys([*wanted, *known]):
            found = _difference(known.get(name), wanted.get(name), f"{where}.{name}".lstrip("."))
            if found:
                return found
        return ""
    return "" if known == wanted else f"{where} was {shown(known)} there and is {shown(wanted)} now"


def _remove_run(folder: Path) -> None:
    """Remove what a run writes, and nothing else."""
    remove_checkpoints(folder)
    for name in (RUN_FILE, _RESULT, "result.parquet", CONFIG, WEIGHTS):
        (folder / name).unlink(missing_ok=True)
