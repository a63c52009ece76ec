"""A run's folder: what was asked for, which checkpoint is whole, and what is kept in the end."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from latentlang.errors import InputError, ModelError, shown
from latentlang.models.checkpoint_files import safetensors_header
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import is_temporary, remove_leftovers, replacing, write_text
from latentlang.storage.output import check_free, remove_files
from latentlang.storage.seals import is_unchanged, sealed
from latentlang.training.recipes import Recipe
from latentlang.training.result import CONFIG, RUN_FILE, WEIGHTS, TrainingResult

CHECKPOINTS = "checkpoints"
RECIPE_FILE, DATA_FILE, PAGE_FILE, CARD_FILE = "recipe.yaml", "data.parquet", "loss.html", "README.md"
_RESULT, _TABLE = "metadata.json", "result.parquet"
#: The files of a finished run, the page of the command line included.
OUTPUTS = (RUN_FILE, _RESULT, _TABLE, CONFIG, WEIGHTS, RECIPE_FILE, DATA_FILE, PAGE_FILE, CARD_FILE)
_NAME = re.compile(r"checkpoint-(\d+)")
# Written into a checkpoint before everything else, which makes it ours, and again, with what its files are, when it is
# whole.
_SEAL = "checkpoint.json"
_STATE = "trainer_state.json"
# PEFT writes a model card too, which is removed at once unless something goes wrong in between.
_PARTS = (WEIGHTS, CONFIG, "optimizer.pt", "scheduler.pt", "scaler.pt", _STATE, "README.md")
_RANDOM = "rng_state*.pth"
_FILES = "files"
#: Patterns of all files that a run leaves in its folder.
RUN_FILES = (*OUTPUTS, f"{CHECKPOINTS}/checkpoint-*/*", ".lock")


def check_folder(folder: Path) -> None:
    """Refuse a folder in which a run would overwrite or remove what no run made; changes nothing.

    Args:
        folder: it need not exist.

    Raises:
        InputError: saying what is there.
    """
    if _record(folder) is None:
        check_free(folder, [*(name for name in OUTPUTS if name != RUN_FILE), CHECKPOINTS])
    below = folder / CHECKPOINTS
    if below.exists() and not below.is_dir():
        raise InputError(f"{str(below)!r} is no folder, and checkpoints go there; choose another folder")
    for path in _checkpoints(folder):
        if _read_seal(path) is None and not all(is_temporary(entry.name) for entry in path.iterdir()):
            raise InputError(
                f"{str(path)!r} is a checkpoint that this command did not make, where its own would go; choose another "
                "folder"
            )


def settle(folder: Path, requested: Mapping[str, Any], *, resume: bool, main: bool = True) -> bool:
    """Make a folder ready for a run: nothing in it belongs to another one.

    Args:
        folder: where the run writes.
        requested: what is asked for, as JSON can say it.
        resume: whether to go on with what is there; otherwise a run that is there is removed.
        main: whether this process, of several, is the one that removes.

    Returns:
        Whether the same run is finished there.

    Raises:
        InputError: the folder holds another run, or files from elsewhere.
    """
    check_folder(folder)
    record = _record(folder)
    if record is None:
        return False
    if not resume:
        if main:
            _remove_run(folder, record)
        return False
    difference = _difference(_options_of(record), requested)
    if difference:
        raise InputError(
            f"{str(folder)!r} holds another run ({difference}); choose another folder, or resume=False "
            "(--no-resume) to replace it"
        )
    return (folder / _RESULT).exists()


def finished(folder: Path) -> TrainingResult | None:
    """The result of a run whose adapter is whole; None where it cannot be read or its adapter is not as it was written.

    The identity recipe has no adapter.
    """
    try:
        result = TrainingResult.load(folder)
        if result.adapter is not None:
            safetensors_header(folder / WEIGHTS)
            read_json(folder / CONFIG)
    except (InputError, ModelError, OSError, ValueError):
        return None
    seals = result.settings.files
    return result if seals is None or is_unchanged(folder, seals) else None


def begin(folder: Path, requested: Mapping[str, Any]) -> None:
    """Write down what is asked for, and which files the run will make, before the first step.

    Raises:
        InputError: it cannot be written.
    """
    text = json.dumps({**requested, _FILES: list(OUTPUTS)}, indent=2, ensure_ascii=False) + "\n"
    write_text(folder / RUN_FILE, text)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run that can be gone on from: it and its best one are as they were written.

    One that a kill cut short is passed over, and so is one that was damaged since.
    """
    for path in reversed(_checkpoints(folder)):
        if _is_whole(path):
            best = read_state(path).best_step
            if best is None or best == step_of(path) or _is_whole(path.with_name(f"checkpoint-{best}")):
                return path
    return None


def pass_over(folder: Path, chosen: Path | None) -> list[str]:
    """Remove the checkpoints after the one that a run goes on from; the trainer writes them again.

    Returns:
        A sentence for each that had been whole once: it is damaged.
    """
    sentences = []
    for path in _checkpoints(folder):
        if step_of(path) > step_of(chosen):
            if (_read_seal(path) or {}).get("whole"):
                how = f"that of step {step_of(chosen)}" if chosen is not None else "the start"
                sentences.append(
                    f"the checkpoint of step {step_of(path)} was damaged; the run went on from {how}"
                )
            remove_checkpoint(path)
    return sentences


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
    state = checked(_TrainerState, record, checkpoint / _STATE)
    return State(record["log_history"], state.best_global_step)


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
    """Copy a checkpoint's adapter into the run's folder, each by an atomic write.

    Args:
        folder: the run's.
        step: which checkpoint.
        base: name of the model that it belongs on.
    """
    checkpoint = folder / CHECKPOINTS / f"checkpoint-{step}"
    config = read_json(checkpoint / CONFIG, kind=dict)
    config |= {"base_model_name_or_path": base, "revision": None}
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # PEFT keeps a set, whose order is another in every process
    with (checkpoint / WEIGHTS).open("rb") as source, replacing(folder / WEIGHTS) as stream:
        shutil.copyfileobj(source, stream)
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def adapter_seal(folder: Path) -> dict[str, Any]:
    """By what `finished` recognises that the adapter in a folder is the one that the run made."""
    return {name: list(seal) for name, seal in sealed(folder, (WEIGHTS, CONFIG), large=True).items()}


def trained_weights(folder: Path) -> int:
    """How many weights the adapter in a folder has."""
    header = safetensors_header(folder / WEIGHTS)
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def begin_checkpoint(checkpoint: Path) -> None:
    """Make a checkpoint's folder ours, before the trainer writes into it."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    write_text(checkpoint / _SEAL, json.dumps({"whole": False}) + "\n")


def seal_checkpoint(checkpoint: Path) -> None:
    """Write down what the files of a checkpoint are, now that all of them are there."""
    files = sealed(checkpoint, _own_files(checkpoint), large=True)
    write_text(checkpoint / _SEAL, json.dumps({"whole": True, "files": files}, indent=2) + "\n")


def rotate(folder: Path, *, best: int | None) -> None:
    """Leave two checkpoints of a run: the last and the best one, or the last two."""
    checkpoints = _checkpoints(folder)
    steps = [step_of(path) for path in checkpoints]
    kept = {*steps[-1:], best} if best in steps[:-1] else set(steps[-2:])
    for path in checkpoints:
        if step_of(path) not in kept:
            remove_checkpoint(path)


def remove_checkpoints(folder: Path) -> None:
    """Remove a run's checkpoints, and the folder they are in if it holds nothing else."""
    for path in _checkpoints(folder):
        remove_checkpoint(path)


def remove_checkpoint(checkpoint: Path) -> None:
    """Remove what a run wrote into a checkpoint; one that no run made is left alone."""
    remove_leftovers(checkpoint)
    if _read_seal(checkpoint) is None:
        with suppress(OSError):  # a kill left it empty, or it is not ours
            checkpoint.rmdir()
        return
    names = [*_own_files(checkpoint), _SEAL]
    remove_files(checkpoint.parents[1], [f"{CHECKPOINTS}/{checkpoint.name}/{name}" for name in names])


def _checkpoints(folder: Path) -> list[Path]:
    """The folders with a checkpoint's name, in the order of their steps."""
    paths = [path for path in (folder / CHECKPOINTS).glob("checkpoint-*") if _NAME.fullmatch(path.name)]
    return sorted((path for path in paths if path.is_dir()), key=step_of)


def _own_files(checkpoint: Path) -> list[str]:
    names = [name for name in _PARTS if (checkpoint / name).is_file()]
    return [*names, *sorted(path.name for path in checkpoint.glob(_RANDOM))]


def _read_seal(checkpoint: Path) -> dict[str, Any] | None:
    """What a checkpoint says of itself; None where it is not ours."""
    try:
        seal = read_json(checkpoint / _SEAL)
    except InputError:
        return {} if os.path.lexists(checkpoint / _SEAL) else None
    return seal if isinstance(seal, dict) and "whole" in seal else None


def _is_whole(checkpoint: Path) -> bool:
    seal = _read_seal(checkpoint) or {}
    return bool(seal.get("whole") and seal.get("files") and is_unchanged(checkpoint, seal["files"]))


def _record(folder: Path) -> dict[str, Any] | None:
    """What a run in a folder was asked; None where there is none."""
    path = folder / RUN_FILE
    if not path.exists():
        return None
    record: dict[str, Any] = read_json(path, kind=dict, then="choose another folder")
    if not {"format", "recipe"} <= record.keys():
        raise InputError(f"{str(path)!r} was not made by this command; choose another folder")
    return record


def _options_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was asked for; of one from before a recipe had some field, that field's default too."""
    options = {name: value for name, value in record.items() if name != _FILES}
    with suppress(InputError, ValidationError):  # what cannot be read is compared as it stands
        options["recipe"] = Recipe.model_validate(options["recipe"]).model_dump(mode="json")
    return options


def _difference(recorded: Any, requested: Any, where: str = "") -> str:
    """The first field in which two records differ, in words; ``""`` where they are the same."""
    if isinstance(recorded, Mapping) and isinstance(requested, Mapping):
        for name in dict.fromkeys([*requested, *recorded]):
            difference = _difference(recorded.get(name), requested.get(name), f"{where}.{name}".lstrip("."))
            if difference:
                return difference
        return ""
    return (
        "" if recorded == requested else f"{where} was {shown(recorded)} there and is {shown(requested)} now"
    )


def _remove_run(folder: Path, record: Mapping[str, Any]) -> None:
    """Remove what a run's record says that it writes, and nothing else; the record last."""
    remove_checkpoints(folder)
    listed: Iterable[Any] = record.get(_FILES, OUTPUTS)
    remove_files(folder, [name for name in OUTPUTS if name in listed and name != RUN_FILE])
    remove_files(folder, [RUN_FILE])
