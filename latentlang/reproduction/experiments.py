"""Experiments as data: one YAML file per figure or table of a paper, and what they have in common in ``suite.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, SerializeAsAny, ValidationError, field_validator

from latentlang.arguments import split_names
from latentlang.errors import InputError, shown, unknown
from latentlang.reproduction.experiment_fields import Experiment, ExperimentPart, Size, check_code
from latentlang.reproduction.kinds.registry import kind_named
from latentlang.reproduction.published_cells import (
    CORRECTIONS,
    Cell,
    Correction,
    check_corrections,
    read_cells,
    read_corrections,
)
from latentlang.reproduction.reasons import REASONS, STAND_INS
from latentlang.reproduction.suites import SUITE_FILE, experiments_folder, read_fields, read_suite
from latentlang.storage.documents import said

_NAME = re.compile(r"[a-z][a-z0-9-]*")

Made = TypeVar("Made", bound=ExperimentPart)


class SuiteFile(ExperimentPart):
    """What the experiments of one paper have in common.

    Attributes:
        title: the paper.
        about: what a reader should know of all of them.
        data: name of the published set of test items (``latentlang data list``).
        size: how much is run of the reference paper's kinds.
        embedded: likewise for the models that come with the package.
        order: names of the experiments, in the paper's order.
        reasons: code to the sentence, for corrections and for values that differ.
    """

    title: str
    about: str = ""
    data: str = ""
    size: Size = Field(default_factory=Size)
    embedded: Size = Field(default_factory=Size)
    order: tuple[str, ...] = Field(min_length=1)
    reasons: dict[str, str] = Field(default_factory=dict)

    @field_validator("reasons")
    @classmethod
    def _reasons(cls, value: dict[str, str]) -> dict[str, str]:
        for code in value:
            check_code(code)
        return value


class Suite(SuiteFile):
    """All experiments of one paper.

    Attributes:
        name: of its folder.
        experiments: by name, in the paper's order.
        folder: where they were read from.
        printed: experiment to the cells that the paper printed, for those whose values are such cells.
        corrections: experiment to the corrections of these.
    """

    name: str
    experiments: dict[str, SerializeAsAny[Experiment]] = Field(default_factory=dict)
    folder: Path = Path()
    printed: dict[str, dict[Cell, str]] = Field(default_factory=dict, repr=False)
    corrections: dict[str, dict[Cell, Correction]] = Field(default_factory=dict, repr=False)

    def chosen(self, names: str | Sequence[str] | None = None) -> list[Experiment]:
        """Experiments by name, in the paper's order; all of them for None.

        Raises:
            InputError: there is no such experiment.
        """
        if names is None:
            return list(self.experiments.values())
        chosen = list(dict.fromkeys(name.casefold() for name in split_names(names)))
        for name in chosen:
            if name not in self.experiments:
                raise InputError(
                    f"unknown figure or table {shown(name)}; there are {', '.join(self.experiments)}"
                )
        if not chosen:
            raise InputError(f"no figure or table was named; there are {', '.join(self.experiments)}")
        return [experiment for name, experiment in self.experiments.items() if name in chosen]


def load_suite(name: str, *, folder: Path | None = None) -> Suite:
    """Read the experiments of a paper, its printed values and their corrections.

    Args:
        name: as for `experiments_folder`.
        folder: likewise.

    Raises:
        InputError: there is no such folder, or a file in it is wrong or missing; it is named.
    """
    path = experiments_folder(name, folder=folder)
    common = _checked(SuiteFile, read_suite(path), path / SUITE_FILE)
    experiments: dict[str, Experiment] = {}
    for experiment in common.order:
        if not _NAME.fullmatch(experiment):
            raise InputError(
                f"{path / SUITE_FILE}: {experiment!r} is no name of an experiment; use a-z, 0-9 and -"
            )
        experiments[experiment] = _experiment(path / f"{experiment}.yaml", common.reasons)
    printed = {
        name: read_cells(path, experiment.published_file, experiment.published_table)
        for name, experiment in experiments.items()
        if experiment.published_file and kind_named(experiment.kind).in_cells
    }
    corrections = _corrections(path, experiments, printed, common.reasons)
    fields = {name: getattr(common, name) for name in SuiteFile.model_fields}
    return Suite(
        **fields,
        name=path.name,
        experiments=experiments,
        folder=path,
        printed=printed,
        corrections=corrections,
    )


def _experiment(path: Path, reasons: Mapping[str, str]) -> Experiment:
    record = {**read_fields(path), "name": path.stem}
    fields: type[Experiment] = Experiment
    if isinstance(record.get("kind"), str):
        try:
            fields = kind_named(record["kind"]).fields
        except InputError as error:
            raise InputError(f"{shown(str(path))}: {error}") from None
    made = _checked(fields, record, path)
    for code, common in ((made.stands_in, STAND_INS), *((code, REASONS) for code in made.differs)):
        if code and code not in reasons and code not in common:
            raise InputError(f"{shown(str(path))}: {_unknown_code(code, common, reasons)}")
    return made


def _corrections(
    path: Path,
    experiments: Mapping[str, Experiment],
    printed: Mapping[str, Mapping[Cell, str]],
    reasons: Mapping[str, str],
) -> dict[str, dict[Cell, Correction]]:
    by_table = read_corrections(path)
    # Several experiments may show cells of one printed table.
    tables: dict[str, dict[Cell, str]] = {}
    for name, cells in printed.items():
        tables.setdefault(experiments[name].published_table, {}).update(cells)
    check_corrections(path, by_table, tables)
    for correction in (one for of_table in by_table.values() for one in of_table.values()):
        if correction.reason not in reasons and correction.reason not in REASONS:
            raise InputError(f"{path / CORRECTIONS}: {_unknown_code(correction.reason, REASONS, reasons)}")
    return {
        name: {
            cell: correction
            for cell, correction in by_table.get(experiments[name].published_table, {}).items()
            if cell in cells
        }
        for name, cells in printed.items()
    }


def _unknown_code(code: str, common: Mapping[str, str], own: Mapping[str, str]) -> InputError:
    return unknown("code of a reason", code, (*own, *common), hint=f"reasons in {SUITE_FILE} adds one")


def _checked(kind: type[Made], record: Mapping[str, Any], path: Path) -> Made:
    try:
        return kind(**record)
    except ValidationError as error:
        raise InputError(f"{shown(str(path))}: {said(error)}") from error
