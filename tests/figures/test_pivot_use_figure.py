"""The figure of a pivot's use: a curve for each arm with the summary's numbers, the mean over languages by default."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latentlang.causal import PivotUseResult, pivot_test
from latentlang.causal.pivot_use_result import ABLATIONS, ARMS
from latentlang.errors import InputError
from latentlang.figures.pivot_use import pivot_use_figure
from tests.support.routes import THIRD, planted


@pytest.fixture(scope="module")
def result() -> PivotUseResult:
    lab = planted("used", categories=1)
    return pivot_test(lab.model, lab.task, languages="de,ja", third=THIRD, shots=1, progress=False)


@pytest.mark.parametrize("language", [None, "ja"])
def test_each_arm_is_a_curve_with_its_band(result: PivotUseResult, language: str | None) -> None:
    figure = result.figure(language=language)
    lines = [trace for trace in figure.data if trace.name]
    bands = [trace for trace in figure.data if not trace.name]
    assert [trace.legendgroup for trace in lines] == [trace.legendgroup for trace in bands]
    assert sorted(trace.legendgroup for trace in lines) == sorted(ARMS)
    summary = result.summary().set_index(["language", "arm"]).loc[language or "all"]
    for trace in lines:
        measure = "fall" if trace.legendgroup in ABLATIONS else "follows"
        assert trace.yaxis == ("y2" if measure == "fall" else "y")
        rows = summary.loc[trace.legendgroup]
        assert list(trace.x) == rows["layer"].tolist() and list(trace.y) == pytest.approx(
            rows[measure].tolist()
        )
        assert [row[0] for row in trace.customdata] == pytest.approx(rows[f"{measure}_low"].tolist())


def test_it_says_what_it_shows(result: PivotUseResult) -> None:
    figure = result.figure()
    assert figure.layout.title.text == "<b>Is English used?</b>"
    subtitle = figure.layout.title.subtitle.text
    assert "model used" in subtitle and "all languages" in subtitle and "verdict: used" in subtitle
    names = [trace.name for trace in figure.data if trace.name]
    assert "Spanish, as far" in names and "the target language itself" in names
    assert "Japanese itself" in [trace.name for trace in result.figure(language="ja").data]
    assert "seed 0" in figure.layout.meta["made_with"]
    assert result.figure(title="Mine", theme="dark", width=700).layout.title.text == "<b>Mine</b>"


def test_what_is_not_there_is_refused(result: PivotUseResult) -> None:
    with pytest.raises(InputError, match="unknown language of this result 'fr'"):
        result.figure(language="fr")
    with pytest.raises(InputError, match="nothing to draw"):
        pivot_use_figure(replace(result, table=result.table.head(0)))
