"""Mixtures and arms as YAML files: what they are made of, by files or hub sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from latentlang.errors import InputError
from latentlang.instructions.arms import ORIGINS, Arm
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import read_dialogues
from latentlang.instructions.hub import hub_dialogues
from latentlang.instructions.mixture import TEMPERATURE, Mixture, MixturePart
from latentlang.language_names import language
from latentlang.paths import PathLike, given_path
from latentlang.storage.documents import Closed, Code, Names, checked, read_yaml
from latentlang.tasks.hub import is_hub

_EXAMPLES = {
    "parts": "{name: chat, files: chat.jsonl, share: 0.5}",
    "arms": "{name: native, language: de, files: native.de.jsonl}",
}


class _ReadFrom(Closed):
    """What a part or an arm is read from."""

    model_config = ConfigDict(strict=False)

    name: str
    files: list[str]
    layout: str | None = None
    origin: str = ""

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class _PartRecord(_ReadFrom):
    share: float | None = None
    count: int | None = None
    languages: Names = Field(default_factory=list)
    sampling: Literal["uniform", "proportional", "temperature"] = "proportional"
    temperature: float = TEMPERATURE


class _MixtureRecord(Closed):
    model_config = ConfigDict(strict=False)

    parts: list[_PartRecord]
    total: int | None = None
    seed: int = 0


class _ArmRecord(_ReadFrom):
    language: Code
    kind: str = Field(default=ORIGINS[0])
    engine: str = ""
    parallel_to: str = ""


class _ArmsRecord(Closed):
    model_config = ConfigDict(strict=False)

    arms: list[_ArmRecord]


def holds_arms(path: PathLike) -> bool:
    """Whether a YAML file says arms, not a mixture.

    Raises:
        InputError: it cannot be read, or says neither.
    """
    record = _record(path)
    if ("arms" in record) == ("parts" in record):
        raise InputError(
            f"{str(path)!r} must have either parts (a mixture) or arms; see `latentlang instructions mix --help`"
        )
    name = "arms" if "arms" in record else "parts"
    if not isinstance(record[name], list) or not all(isinstance(entry, Mapping) for entry in record[name]):
        raise InputError(
            f"{str(path)!r}: {name} must be a list with an entry for each, such as - {_EXAMPLES[name]}"
        )
    return name == "arms"


def read_mixture(path: PathLike, *, total: int | None = None, seed: int | None = None) -> Mixture:
    """A mixture from a YAML file.

    Args:
        path: of a file with ``parts`` (each with ``name``, ``files`` and a ``share`` or ``count``, and perhaps
            ``languages``, ``sampling``, ``temperature``, ``layout``, ``origin``), ``total`` and ``seed``.
        total: instead of the file's.
        seed: instead of the file's.

    Raises:
        InputError: it cannot be read, a field makes no sense, or a file of instructions cannot be used.
    """
    record = checked(_MixtureRecord, _record(path), given_path(path), then="put it right")
    parts = [
        MixturePart(
            part.name, _read(part, part.languages), part.share, part.count,
            tuple(language(code).code for code in part.languages), part.sampling, part.temperature,
        )
        for part in record.parts
    ]  # fmt: skip
    return Mixture(
        tuple(parts),
        record.total if total is None else total,
        record.seed if seed is None else seed,
    )


def read_arms(path: PathLike) -> list[Arm]:
    """Arms from a YAML file.

    Args:
        path: of a file with ``arms``, each with ``name``, ``language``, ``files`` and perhaps ``kind`` (native,
            translated, round-trip), ``engine`` and ``parallel_to``.

    Raises:
        InputError: as `read_mixture`.
    """
    record = checked(_ArmsRecord, _record(path), given_path(path), then="put it right")
    return [
        Arm(
            arm.name, arm.language, _read(arm, [arm.language], every=arm.language), arm.kind,  # type: ignore[arg-type]
            arm.engine, arm.parallel_to,
        )
        for arm in record.arms
    ]  # fmt: skip


def _record(path: PathLike) -> Mapping[str, Any]:
    record = read_yaml(given_path(path))
    if not isinstance(record, Mapping):
        raise InputError(f"{str(path)!r} must have fields such as parts and total, or arms")
    return record


def _read(source: _ReadFrom, codes: list[str], *, every: str | None = None) -> list[Dialogue]:
    """The dialogues of a part, those of one origin and name only once."""
    dialogues: list[Dialogue] = []
    paths: list[str | Path] = [file for file in source.files if not is_hub(file)]
    if paths:
        dialogues += read_dialogues(
            paths, language=every, layout=source.layout, origin=source.origin or source.name
        )
    for file in source.files:
        if is_hub(file):
            read = hub_dialogues(
                file, languages=codes or None, layout=source.layout, origin=source.origin or source.name
            )
            dialogues += read.dialogues
    return dialogues
