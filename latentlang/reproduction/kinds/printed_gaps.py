"""Scores of arms of training data that stand in printed tables, told apart by the names of rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import Field, model_validator

from latentlang.errors import InputError, unknown
from latentlang.judging.arm_scores import KEYS
from latentlang.reproduction.experiment_fields import ExperimentPart

_BETWEEN_PARTS = "|"
_JOINED = ", "


class PrintedScores(ExperimentPart):
    """Cells of a printed table that are scores of arms.

    Names of rows and columns are parts between ``|``: `row` and `column` say what each part is. Parts called
    ``benchmark``, ``model``, ``language``, ``arm``, ``seed`` and ``item`` are that. Others of which several values are
    taken tell gaps apart: those in `by` benchmarks, and the rest the cells of a model, beside its languages.

    Attributes:
        table: name of the printed table, ``table12``.
        row: what the parts of a row's name are.
        column: what those of a column's name are.
        only: part to the values that are taken; others are left out.
        by: parts that tell benchmarks apart.
        called: part to the name that all of these cells have in it: ``{benchmark: MGSM, language: zh}``.
    """

    table: str
    row: tuple[str, ...] = Field(min_length=1)
    column: tuple[str, ...] = Field(min_length=1)
    only: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    by: tuple[str, ...] = ()
    called: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _named(self) -> PrintedScores:
        parts = [*self.row, *self.column]
        if len(set(parts)) < len(parts):
            raise ValueError(f"a part is named twice in {_JOINED.join(parts)}")
        for field, names in (("only", self.only), ("by", self.by)):
            for name in names:
                if name not in parts:
                    raise ValueError(
                        f"{field}: {name!r} is no part of a row or column, {_JOINED.join(parts)}"
                    )
        for name in self.called:
            if name not in KEYS or name in parts:
                raise ValueError(f"called: {name!r} must be one of {_JOINED.join(KEYS)} that is no part")
        if "arm" not in parts and "arm" not in self.called:
            raise ValueError(
                "nothing says which arm a score is of; name a part arm, or give called: {arm: NAME}"
            )
        return self


class PrintedGap(ExperimentPart):
    """Scores of arms that are compared.

    Attributes:
        scores: where they are printed.
        native: name of the arm of native data.
        translated: names of the arms of translated data.
        base: name of what both are held against, if there is something.
    """

    scores: tuple[PrintedScores, ...] = Field(min_length=1)
    native: str = "native"
    translated: tuple[str, ...] = Field(min_length=1)
    base: str = "base"


def printed_scores(source: PrintedScores, cells: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """Printed cells as scores of arms, as `latentlang.judging.gap` reads them.

    Args:
        source: which cells, and what their names say.
        cells: row and column to what is printed there.

    Raises:
        InputError: a name has other parts, a value that was asked for is nowhere, or a cell holds no number.
    """
    rows: list[dict[str, Any]] = []
    others = [
        name for name in (*source.row, *source.column)
        if name not in (*KEYS, *source.by) and len(source.only.get(name, ())) != 1
    ]  # fmt: skip
    seen: dict[str, set[str]] = {name: set() for name in source.only}
    for (row, column), text in cells.items():
        parts = _parts(source, row, column)
        for name in source.only:
            seen[name].add(parts[name])
        if any(parts[name] not in values for name, values in source.only.items()):
            continue
        try:
            score = float(text)
        except ValueError:
            raise InputError(
                f"{source.table}: {row}, {column} is {text!r} and no number; leave it out by only:"
            ) from None
        known = {name: value for name, value in parts.items() if name in KEYS} | source.called
        apart = [value for name, value in parts.items() if name in others]
        names = {
            "benchmark": _joined(known.get("benchmark", ""), *(parts[name] for name in source.by)),
            "language": _joined(known.get("language", ""), *apart),
        }
        rows.append(known | names | {"score": score})
    for name, values in source.only.items():
        for value in values:
            if value not in seen[name]:
                raise unknown(f"{name} of {source.table}", value, sorted(seen[name]))
    return pd.DataFrame(rows)


def _parts(source: PrintedScores, row: str, column: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for names, text in ((source.row, row), (source.column, column)):
        values = text.split(_BETWEEN_PARTS)
        if len(values) != len(names):
            raise InputError(
                f"{source.table}: {text!r} has {len(values)} parts and not the {len(names)} of {_JOINED.join(names)}"
            )
        parts |= dict(zip(names, values, strict=True))
    return parts


def _joined(*names: str) -> str:
    return _JOINED.join(filter(None, names))
