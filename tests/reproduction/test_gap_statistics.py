"""Gaps from printed tables: which cells are which scores, and every number against a slow reference."""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from latentlang.errors import InputError
from latentlang.judging import gap
from latentlang.reproduction import plan, reproduce
from latentlang.reproduction.kinds.gap_statistics import computed_gaps
from latentlang.reproduction.kinds.printed_gaps import PrintedScores, printed_scores

CELLS = {
    ("A|native", "1e-4|es"): "31.0", ("A|native", "1e-4|zh"): "40.5", ("A|native", "1e-6|es"): "20.0",
    ("A|cohere", "1e-4|es"): "30.0", ("A|cohere", "1e-4|zh"): "38.5", ("A|cohere", "1e-6|es"): "20.5",
}  # fmt: skip
PARTS = {"table": "t", "row": ["model", "arm"], "column": ["rate", "language"]}


def _scores(**fields):
    return printed_scores(PrintedScores(**PARTS | fields), CELLS)


def test_the_parts_of_names_say_what_a_score_is_of():
    table = _scores(only={"rate": ["1e-4"]}, called={"benchmark": "X"})
    assert table.to_dict("records")[3] == {
        "benchmark": "X", "model": "A", "arm": "cohere", "language": "zh", "score": 38.5,
    }  # fmt: skip
    assert len(table) == 4


def test_other_parts_tell_benchmarks_apart_or_cells_of_a_model():
    assert _scores(by=["rate"], called={"benchmark": "X"})["benchmark"].unique().tolist() == [
        "X, 1e-4",
        "X, 1e-6",
    ]
    assert _scores()["language"].unique().tolist() == ["es, 1e-4", "zh, 1e-4", "es, 1e-6"]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"only": {"rate": ["1e-5"]}}, "unknown rate of t '1e-5'"),
        ({"column": ["rate"]}, "'1e-4|es' has 2 parts and not the 1 of rate"),
        ({"column": ["rate", "language", "data"]}, "2 parts and not the 3"),
    ],
)
def test_names_that_are_otherwise_are_one_clear_error(fields, match):
    with pytest.raises(InputError, match=match.replace("|", r"\|")):
        _scores(**fields)


def test_a_cell_that_is_no_number_is_named():
    source = PrintedScores(table="t", row=("model", "arm"), column=("language",))
    with pytest.raises(InputError, match=r"t: A\|b, es is '-' and no number"):
        printed_scores(source, {("A|b", "es"): "-"})


@pytest.mark.parametrize(
    "fields",
    [
        {"row": ["model", "model"]},
        {"only": {"data": ["mono"]}},
        {"by": ["data"]},
        {"called": {"model": "A"}},
        {"called": {"rate": "1"}},
        {"row": ["model", "engine"]},
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields):
    with pytest.raises(ValidationError):
        PrintedScores(**PARTS | fields)


def _models(gaps, *, spread=0.0):
    """Scores of models in two languages, whose native arm is ahead by so much."""
    draw = np.random.default_rng(0)
    return pd.DataFrame([
        {"benchmark": "b", "model": f"m{place}", "language": language, "arm": arm, "score": level + ahead * ahead_of}
        for place, ahead in enumerate(gaps) for language in ("es", "zh")
        for level in (20 + 3 * place + spread * draw.normal(),)
        for arm, ahead_of in (("native", 1.0), ("cohere", 0.0), ("google", -0.5))
    ])  # fmt: skip


def test_the_numbers_are_those_of_the_cells():
    ahead = [1.0, 2.0, 2.5, 4.0, -0.5]
    cells = {cell.column: cell for cell in computed_gaps(gap(_models(ahead, spread=2.0), permutations=99))}
    gaps = 1.25 * np.array(ahead)
    assert cells["gap"].value == pytest.approx(gaps.mean()) and cells["gap"].n == 10
    assert (cells["gaps above 0"].value, cells["gaps below 0"].value) == (8, 2)
    assert cells["translated arms apart"].value == pytest.approx(np.abs(np.array(ahead) / 2).mean())
    wide = _models(ahead, spread=2.0).pivot(index=["model", "language"], columns="arm", values="score")
    difference = wide["native"] - (wide["cohere"] + wide["google"]) / 2
    assert cells["r with native score"].value == pytest.approx(np.corrcoef(difference, wide["native"])[0, 1])
    assert cells["r with mean of all arms"].value == pytest.approx(
        np.corrcoef(difference, wide.mean(axis=1))[0, 1]
    )
    assert "native above base" not in cells


def test_intervals_are_over_models_with_all_of_their_cells():
    """A model's two languages are alike here, so that resampling cells would give an interval that is too short."""
    ahead = np.linspace(-0.5, 4, 16).tolist()
    result = gap(_models(ahead), permutations=9)
    (cell,) = [cell for cell in computed_gaps(result, ["gap"]) if cell.column == "gap"]
    draw = np.random.default_rng(1)
    means = [1.25 * draw.choice(ahead, size=16).mean() for _ in range(4000)]
    assert cell.low == pytest.approx(np.quantile(means, 0.025), abs=0.15)
    assert cell.high == pytest.approx(np.quantile(means, 0.975), abs=0.15)
    row = result.summary().iloc[0]
    assert cell.high - cell.low > 1.2 * (row["high"] - row["low"])


def test_the_interval_of_a_correlation_over_few_models_stays_within_one():
    result = gap(_models([0.5, 1.0, 1.5, 3.0], spread=1.0), permutations=9)
    found = [
        cell for cell in computed_gaps(result, ["correlations"]) if cell.unit == "r" and cell.low is not None
    ]
    assert {cell.column for cell in found} == {"r with native score", "r with mean of all arms"}
    assert max(cell.high for cell in found) == 1 and min(cell.low for cell in found) >= -1


def test_few_models_have_no_interval():
    assert [cell.low for cell in computed_gaps(gap(_models([1.0, 2.0]), permutations=9), ["gap"])] == [
        None,
        None,
    ]


EXPERIMENT = """
title: gap of a made table
source: Table 1
kind: gap-statistics
unit: percent
permutations: 20
gaps:
  - translated: [cohere]
    base: "1e-6"
    scores:
      - table: table1
        row: [model, arm]
        column: [rate, language]
        only: {rate: ["1e-4"]}
        called: {benchmark: X}
      - table: table1
        row: [model, seed]
        column: [rate, language]
        only: {rate: ["1e-6"]}
        called: {benchmark: X, arm: "1e-6"}
"""


def _paper(folder: Path, cells, corrections=()) -> Path:
    (folder / "published").mkdir(parents=True)
    (folder / "suite.yaml").write_text("title: A made paper\norder: [table1]\n")
    (folder / "table1.yaml").write_text(EXPERIMENT)
    for path, header, rows in (
        (folder / "published" / "table1.csv", ("table", "row", "column", "value"),
         [("table1", *place, value) for place, value in cells.items()]),
        (folder / "corrections.csv",
         ("table", "row", "column", "printed", "corrected", "source", "reason"), corrections),
    ):  # fmt: skip
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
    return folder


def test_a_paper_has_its_gaps_beside_its_cells_and_corrections_count(tmp_path):
    cells = {
        (f"{model}|{arm}", f"{rate}|es"): f"{10 * place + ahead + (rate == '1e-4'):.1f}"
        for place, model in enumerate("ABCD", 1)
        for arm, ahead in (("native", 2), ("cohere", 0))
        for rate in ("1e-4", "1e-6")
    }
    paper = _paper(
        tmp_path / "made", cells, [("table1", "A|native", "1e-4|es", "13.0", "17.0", "me", "misprint")]
    )
    made = reproduce(plan(str(paper), cache=tmp_path / "cache"), out=tmp_path / "out", progress=False)
    assert made.ran == () and (tmp_path / "out" / "table1.html").is_file()
    table = made.tables["table1"].table
    found = table[table["row"] == "X"].set_index("column")
    assert found.loc["gap", "computed"] == pytest.approx((6 + 2 + 2 + 2) / 4)
    # two runs at 1e-6, of which the base is the mean
    assert found.loc["native above 1e-6", "computed"] == pytest.approx((6 + 2 + 2 + 2) / 4)
    assert found.loc["translated above 1e-6", "computed"] == pytest.approx(0)
    assert table.loc[table["corrected"] != "", "printed"].tolist() == ["13.0"]
    assert found.loc["gap", "unit"] == "percent" and math.isfinite(found.loc["gap", "low"])
