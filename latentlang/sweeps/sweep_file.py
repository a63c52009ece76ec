"""A sweep's YAML file: what its jobs go over, and the jobs; checked whole before anything is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

import latentlang.sweeps.shipped_kinds  # noqa: F401 - makes the package's own kinds known
from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown
from latentlang.paths import PathLike, given_path
from latentlang.storage.documents import Closed, Model, Names, damaged, parse_yaml, read_text, said
from latentlang.sweeps.kinds import JobFields, JobKind, Seeds, job_kind

_THEN = "put it right"
_EXAMPLE = "- {name: accuracy, job: evaluate, items: 20}"


class LoadingFields(Closed):
    """How models are run, the same in all jobs.

    Attributes:
        device: where, e.g. ``cuda:0``.
        dtype: of the weights: ``fp32``, ``bf16`` or ``fp16``.
        quantization: ``8bit`` or ``4bit``.
        batch_tokens: tokens run at once.
    """

    device: str | None = None
    dtype: str | None = None
    quantization: Literal["8bit", "4bit"] | None = None
    batch_tokens: Annotated[int, Field(ge=1)] | None = None


SlurmValue = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f]+$")]


class SweepFields(Closed):
    """The fields of the file.

    Attributes:
        about: what it is for.
        models: names, folders or hub ids.
        recipes: of trainings; ``none`` for the model as it is.
        tasks: names.
        languages: codes or groups.
        seeds: numbers, or ``0-4``.
        loading: how models are run.
        slurm: options of ``sbatch`` for every job, by their long names.
        jobs: an entry for each kind of job.
    """

    about: str = ""
    models: Names = Field(default_factory=list)
    recipes: Names = Field(default_factory=list)
    tasks: Names = Field(default_factory=list)
    languages: Names = Field(default_factory=list)
    seeds: Seeds = Field(default_factory=list)
    loading: LoadingFields = LoadingFields()
    slurm: dict[Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")], SlurmValue | int] = Field(
        default_factory=dict
    )
    jobs: list[dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """An entry under ``jobs``, checked.

    Attributes:
        kind: what it does.
        fields: what it says.
        where: file, line and name, for errors.
    """

    kind: JobKind
    fields: JobFields
    where: str


@dataclass(frozen=True)
class Sweep:
    """A sweep's file, checked.

    Attributes:
        name: of the sweep.
        file: where it was read; None for one made of values.
        fields: what it says.
        entries: under ``jobs``.
    """

    name: str
    file: Path | None
    fields: SweepFields
    entries: tuple[Entry, ...] = field(default_factory=tuple)

    @property
    def where(self) -> str:
        """The file, for errors."""
        return self.name if self.file is None else str(self.file)

    @property
    def loading(self) -> dict[str, Any]:
        """The options of loading that are given."""
        return self.fields.loading.model_dump(exclude_none=True)


@checked_call
def read_sweep(source: PathLike | Mapping[str, Any]) -> Sweep:
    """Read a sweep, and check every field of it.

    Args:
        source: a YAML file, or the same as a mapping.

    Raises:
        InputError: it cannot be read, or a field makes no sense: file, line and field are named.
    """
    if isinstance(source, Mapping):
        name, file, record, lines = str(source.get("name", "sweep")), None, dict(source), _Lines({}, [])
        record.pop("name", None)
        where = "this sweep"
    else:
        file = given_path(source)
        text = read_text(file, then=_THEN)
        record, name, where = parse_yaml(text, file), file.stem, str(file)
        lines = _lines(text)
    if not isinstance(record, Mapping) or not isinstance(record.get("jobs"), list) or not record["jobs"]:
        raise InputError(f"{where} must have jobs, a list with an entry for each kind, such as {_EXAMPLE}")
    fields = _checked(SweepFields, dict(record), where, lines.fields)
    entries: list[Entry] = []
    for number, entry in enumerate(fields.jobs):
        own = lines.entries[number] if number < len(lines.entries) else {}
        called = f"jobs entry {number + 1}"
        if isinstance(entry.get("name"), str):
            called += f" ({shown(entry['name'], most=60)})"
        at = f"{where}{_line_words(own.get('', 0))}, {called}"
        if "job" not in entry:
            raise InputError(f"{at} does not say its kind: add job, such as job: evaluate")
        try:
            kind = job_kind(entry["job"])
        except InputError as error:
            raise InputError(f"{at}: {error}") from None
        told = _checked(kind.fields, entry, f"{where}", own, called=called)
        if told.name in [one.fields.name for one in entries]:
            raise InputError(f"{at}: the name {told.name!r} is taken by another entry; choose another")
        entries.append(Entry(kind, told, at))
    return Sweep(name, file, fields, tuple(entries))


def _checked(
    model: type[Model], record: Any, where: str, lines: Mapping[str, int], called: str = ""
) -> Model:
    """A record as it should be; what is wrong is named with the line that it stands in.

    Raises:
        InputError: something is.
    """
    try:
        return model.model_validate(record)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False)[0]["loc"]
        line = lines.get(str(first[0]) if first else "", lines.get("", 0))
        at = f"{where}{_line_words(line)}" + (f", {called}" if called else "")
        raise damaged(at, said(problem), then=_THEN) from None


def _line_words(line: int) -> str:
    return f", line {line}" if line else ""


@dataclass(frozen=True)
class _Lines:
    """In which line each field begins, and each entry, whose own line has an empty name."""

    fields: Mapping[str, int]
    entries: Sequence[Mapping[str, int]]


def _lines(text: str) -> _Lines:
    """Where what stands, of a text that was read already: it is plain YAML without aliases."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return _Lines({}, [])
    fields = {key.value: key.start_mark.line + 1 for key, _ in root.value}
    entries: list[dict[str, int]] = []
    for key, value in root.value:
        if key.value == "jobs" and isinstance(value, yaml.SequenceNode):
            for entry in value.value:
                own = {"": entry.start_mark.line + 1}
                if isinstance(entry, yaml.MappingNode):
                    own |= {one.value: one.start_mark.line + 1 for one, _ in entry.value}
                entries.append(own)
    return _Lines(fields, entries)
