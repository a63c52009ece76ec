"""What the file of every table or figure says, whatever its kind, and how much of the reference paper's is run."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

_CODE = re.compile(r"[a-z][a-z0-9-]{0,39}")
_FILE = re.compile(r"[A-Za-z0-9_-]*")


class ExperimentPart(BaseModel):
    """A record of a file of experiments: unknown fields are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def check_code(value: str) -> str:
    """A code of a reason: ``other-model``.

    Raises:
        ValueError: it is none.
    """
    if not _CODE.fullmatch(value):
        raise ValueError(f"{value!r} is no code; use a-z, 0-9 and -")
    return value


class Effort(ExperimentPart):
    """What the paper's own table or figure would take.

    Attributes:
        calls: of a hosted model.
        gpu_hours: hours of one GPU.
        disk_gb: gigabytes on disk.
        usd: price in US dollars.
        source: where these numbers are from.
    """

    calls: int = Field(default=0, ge=0)
    gpu_hours: float = Field(default=0.0, ge=0)
    disk_gb: float = Field(default=0.0, ge=0)
    usd: float = Field(default=0.0, ge=0)
    source: str = ""


class Experiment(ExperimentPart):
    """One table or figure: what experiments of every kind say. A kind adds fields of its own.

    Attributes:
        name: of its file: ``table1``.
        title: what it shows.
        source: what it is in the paper: ``Table 1``.
        kind: which kind of experiment fills it (`latentlang.reproduction.kinds`).
        note: what a reader should know.
        published: name of the file in ``published/`` with the paper's values; None: the experiment's own name; empty:
            the paper printed none.
        table: value of that file's column ``table`` that is meant; empty: the experiment's own name.
        differs: codes of why a value computed here may differ from the printed one.
        stands_in: code of why the paper's own cannot be had; empty where it can.
        instead: what stands in, a sentence.
        effort: what the paper's own would take.
    """

    name: str
    title: str
    source: str
    kind: str
    note: str = ""
    published: str | None = None
    table: str = ""
    differs: tuple[str, ...] = ()
    stands_in: str = ""
    instead: str = ""
    effort: Effort | None = None

    @field_validator("published")
    @classmethod
    def _published(cls, value: str | None) -> str | None:
        if value is not None and not _FILE.fullmatch(value):
            raise ValueError(f"{value!r} is no name of a file in published/; give it without folder and .csv")
        return value

    @field_validator("stands_in")
    @classmethod
    def _stands_in(cls, value: str) -> str:
        return value and check_code(value)

    @field_validator("differs")
    @classmethod
    def _differs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_code, value))

    @property
    def published_file(self) -> str:
        """Name of the file of printed values, without ending; empty where there is none."""
        return self.name if self.published is None else self.published

    @property
    def published_table(self) -> str:
        """What that file's column ``table`` holds for this experiment."""
        return self.table or self.name


class Size(ExperimentPart):
    """How much is run.

    Attributes:
        items: task to items per language; all of a task that is not named.
        training: fields of a recipe to change, for all trainings.
        training_of: likewise for those on one task's questions.
        permutations: for the nulls of the alignment.
        resamples: for its intervals.
    """

    items: dict[str, int] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    training_of: dict[str, dict[str, Any]] = Field(default_factory=dict)
    permutations: int = Field(default=1000, ge=1)
    resamples: int = Field(default=200, ge=0)

    def changes(self, task: str) -> dict[str, Any]:
        """Fields of a recipe changed for training on a task's questions."""
        return {**self.training, **self.training_of.get(task, {})}
