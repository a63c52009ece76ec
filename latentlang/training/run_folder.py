"""A run's folder: what was asked for, which checkpoint is whole, and what is kept in the end.

What a run trains is an adapter or all weights; the two differ in their files alone.
"""

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
from latentlang.models.checkpoint_files import safetensors_header, weight_files
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import is_temporary, remove_leftovers, replacing, write_text
from latentlang.storage.output import check_free, remove_files
from latentlang.storage.seals import is_unchanged, sealed
from latentlang.training.recipes import Recipe
from latentlang.training.result import CONFIG, RUN_FILE, WEIGHTS, TrainingResult

CHECKPOINTS = "checkpoints"
RECIPE_FILE, DATA_FILE, PAGE_FILE, CARD_FILE = "recipe.yaml", "data.parquet", "loss.html", "README.md"
_RESULT, _TABLE = "metadata.json", "result.parquet"
_RECORDS = (RUN_FILE, _RESULT, _TABLE, RECIPE_FILE, DATA_FILE, PAGE_FILE, CARD_FILE)
_ADAPTER = (WEIGHTS, CONFIG)
_MODEL = ("config.json", "generation_config.json", "model.safetensors", "model.safetensors.index.json")
_SHARDS = "model-*-of-*.safetensors"
_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_NAME = re.compile(r"checkpoint-(\d+)")
# Written into a checkpoint before everything else, which makes it ours, and again, with what its files are, when it is
# whole.
_SEAL = "checkpoint.json"
_STATE = "trainer_state.json"
# PEFT writes a model card too, which is removed at once unless something goes wrong in between.
_PARTS = (*_ADAPTER, *_MODEL, "optimizer.pt", "scheduler.pt", "scaler.pt", _STATE, "README.md")
_RANDOM = "rng_state*.pth"
_FILES = "files"
#: Patterns of all files that a run leaves in its folder.
RUN_FILES = (*_RECORDS, *_ADAPTER, *_MODEL, _SHARDS, *_TOKENIZER, f"{CHECKPOINTS}/checkpoint-*/*", ".lock")


def outputs(*, full: bool) -> tuple[str, ...]:
    """The files of a finished run, the page of the command line included; shards as their pattern.

    Args:
        full: whether it trains all weights.
    """
    return (*_RECORDS, *((*_MODEL, _SHARDS, *_TOKENIZER) if full else _ADAPTER))


def check_folder(folder: Path, *, full: bool = False) -> None:
    """Refuse a folder in which a run would overwrite or remove what no run made; changes nothing.

    Args:
        folder: it need not exist.
        full: whether the run trains all weights.

    Raises:
        InputError: saying what is there.
    """
    if _record(folder) is None:
        check_free(
            folder, [*_there(folder, (name for name in outputs(full=full) if name != RUN_FILE)), CHECKPOINTS]
        )
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
    check_folder(folder, full=_is_full(requested))
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
    """The result of a run whose weights are whole; None where it cannot be read or they are not as they were written.

    The identity recipe has none.
    """
    try:
        result = TrainingResult.load(folder)
        if result.adapter is not None:
            safetensors_header(folder / WEIGHTS)
            read_json(folder / CONFIG)
        if result.checkpoint is not None:
            weight_files(folder)
    except (InputError, ModelError, OSError, ValueError):
        return None
    seals = result.settings.files
    return result if seals is None or is_unchanged(folder, seals) else None


def begin(folder: Path, requested: Mapping[str, Any]) -> None:
    """Write down what is asked for, and which files the run will make, before the first step.

    Raises:
        InputError: it cannot be written.
    """
    files = list(outputs(full=_is_full(requested)))
    text = json.dumps({**requested, _FILES: files}, indent=2, ensure_ascii=False) + "\n"
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
    _copy(checkpoint / WEIGHTS, folder / WEIGHTS)
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def keep_model(folder: Path, step: int) -> None:
    """Copy a checkpoint's whole model into the run's folder, each file by an atomic write.

    Args:
        folder: the run's.
        step: which checkpoint.
    """
    checkpoint = folder / CHECKPOINTS / f"checkpoint-{step}"
    for name in _there(checkpoint, (*_MODEL, _SHARDS)):
        _copy(checkpoint / name, folder / name)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, replacing(target) as stream:
        shutil.copyfileobj(reading, stream)


def weights_seal(folder: Path, *, full: bool) -> dict[str, Any]:
    """By what `finished` recognises that the weights in a folder are those that the run made."""
    names = _there(folder, (*_MODEL, _SHARDS)) if full else _ADAPTER
    return {name: list(seal) for name, seal in sealed(folder, names, large=True).items()}


def adapter_weights(folder: Path) -> int:
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
    return _there(checkpoint, (*_PARTS, _SHARDS, _RANDOM))


def _there(folder: Path, names: Iterable[str]) -> list[str]:
    """The files of a folder that have one of these names, which may be patterns, in their order."""
    return [
        path.name
        for name in names
        for path in (sorted(folder.glob(name)) if "*" in name else [folder / name])
        if os.path.lexists(path)
    ]


def _is_full(requested: Mapping[str, Any]) -> bool:
    """Whether a run that is asked for trains all weights; a record of before there was a choice does not say so."""
    recipe = requested.get("recipe")
    return isinstance(recipe, Mapping) and recipe.get("method") == "full"


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
    known = {name for full in (False, True) for name in outputs(full=full)}
    listed = [name for name in record.get(_FILES, outputs(full=False)) if name in known]
    remove_files(folder, [name for name in _there(folder, listed) if name != RUN_FILE])
    remove_files(folder, [RUN_FILE])
