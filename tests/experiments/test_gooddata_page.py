"""The page on Chen et al. 2024 says what its tables hold, and the tables what the printed numbers give."""

import io

import pandas as pd
import pytest

from experiments.gooddata import page, tables
from experiments.gooddata.pictures import gaps


def test_the_page_is_what_the_committed_tables_say():
    assert page.page(page.tables(), page.printed()) == page.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["figure1", "table7"])
def test_the_committed_gaps_are_those_of_the_printed_tables(name):
    committed = pd.read_csv(tables.FIGURES / "gaps.csv")
    found = pd.read_csv(io.StringIO(tables.gaps(only=name).to_csv(index=False)))
    mine = committed[committed["experiment"] == name].reset_index(drop=True)
    assert len(found)
    pd.testing.assert_frame_equal(found, mine, check_dtype=False, atol=1e-3)


def test_a_caption_that_its_table_contradicts_is_told_with_the_numbers():
    """Were the gap at 1e-6 as large as at 1e-4, the page would say so."""
    parts = page.tables()
    gaps = parts["gaps"]
    at = (
        (gaps["experiment"] == "table6")
        & (gaps["row"] == "eight models, 1e-6, mono")
        & (gaps["column"] == "gap")
    )
    changed = gaps.assign(value=gaps["value"].where(~at, 7.5))
    said = page.page(parts | {"gaps": changed}, page.printed()).replace("\n  ", " ")
    assert "At 1e-6 it is 7.5 [0.2, 0.8]" in said
    assert "8 on CMMLU (Table 11)" in said


def test_the_picture_has_the_gap_of_each_test_with_its_interval_beside_two_translations():
    figure = gaps(page.tables()["gaps"])
    assert [len(trace.x) for trace in figure.data] == [7, 7, 4, 4]
    assert list(figure.data[2].y)[-1] == "translated questions GPT-4-Turbo" and figure.data[2].x[-1] > 40
    assert figure.data[0].error_x.arrayminus[0] > 0


def test_readings_of_models_are_means_over_seeds_with_their_range():
    column = "English gap, layers before the last, change"
    layers = pd.DataFrame([
        {"row": row, "column": column, "computed": value}
        for row, value in (
            ("native, seed 0", 0.1), ("native, seed 1", 0.3), ("google, seed 0", 0.4), ("google, seed 1", 0.2),
        )
    ])  # fmt: skip
    said = page.page(page.tables() | {"layers-gemma": layers}, page.printed()).replace("\n", " ")
    assert "| native |" in said and "0.200 (0.100 to 0.300)" in said
    assert "google less native +0.100 (−0.100 to +0.300)" in said
