"""Means of cells that are printed in other tables."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from latentlang.errors import InputError
from latentlang.reproduction.kinds.base import RunContext
from latentlang.reproduction.kinds.printed_means import PrintedMeansExperiment, PrintedMeansKind
from latentlang.reproduction.published_cells import Correction

PRINTED = {
    "base": {("de", "x"): "1.0", ("fr", "x"): "2.0", ("sw", "x"): "", ("de", "y"): "10", ("fr", "y"): "20"},
    "tuned": {("de", "x"): "4.0", ("fr", "x"): "1.0", ("sw", "x"): "9", ("de", "y"): "11", ("fr", "y"): "23"},
}
CORRECTIONS = {"tuned": {("fr", "x"): Correction("1.0", "5.0", "elsewhere", "misprint")}}
RUN = RunContext(printed=PRINTED, corrections=CORRECTIONS)


def _table(**fields):
    record = {"name": "t", "title": "t", "source": "Table 1", "kind": "printed-means", **fields}
    cells = PrintedMeansKind().table(PrintedMeansExperiment(**record), None, RUN)
    return {(cell.row, cell.column): (cell.value, cell.n) for cell in cells}


def test_a_column_has_its_mean_over_the_cells_that_have_a_number():
    assert _table(means=[{"row": "all", "table": "base", "column": "{column} BLEU"}]) == {
        ("all", "x BLEU"): (1.5, 2), ("all", "y BLEU"): (15, 2),
    }  # fmt: skip


def test_a_table_less_another_has_means_of_groups_and_how_many_are_above():
    table = _table(
        means=[{"row": "change", "table": "tuned", "minus_table": "base"}], columns=["x"], scale=10,
        groups={"near": ["de"], "none": ["ja"]},
    )  # fmt: skip
    assert table == {
        ("change", "x"): (10, 2), ("change", "x, above 0"): (1, 2),  # 4 - 1 and 1 - 2, times ten
        ("change, near", "x"): (30, 1), ("change, near", "x, above 0"): (1, 1),
    }  # fmt: skip


def test_corrected_cells_are_taken_where_they_are_asked_for():
    mean = {"row": "change", "table": "tuned", "minus_table": "base", "corrected": True}
    assert _table(means=[mean], columns=["x"])["change", "x"] == (3, 2)


def test_a_row_less_another_is_averaged_over_its_columns():
    mean = {"row": "fr less de", "table": "base", "of_row": "fr", "minus_row": "de"}
    assert _table(means=[mean])["fr less de", "mean"] == (5.5, 2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"means": [{"row": "a", "table": "base", "of_row": "it"}]}, "base has no row 'it'"),
        ({"means": [{"row": "a", "table": "base"}], "columns": ["z"]}, "base has no column 'z'"),
        ({"means": [{"row": "a", "table": "none"}]}, "no printed values of 'none'"),
    ],
)
def test_names_that_are_not_there_are_refused(fields, said):
    with pytest.raises(InputError, match=said):
        _table(**fields)


def test_a_row_is_taken_off_a_row():
    with pytest.raises(ValidationError, match="name that one by of_row"):
        _table(means=[{"row": "a", "table": "base", "minus_row": "de"}])
