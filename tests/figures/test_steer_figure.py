"""The figure of steering: the grid's numbers with the chosen cell framed, and each arm with its intervals."""

from __future__ import annotations

from dataclasses import replace

import pytest

import latentlang as ll
from latentlang.causal import SteerResult
from latentlang.errors import InputError
from latentlang.figures.steer import steer_figure


@pytest.fixture(scope="module")
def result() -> SteerResult:
    return ll.steer(
        "pocket",
        language="ja",
        other="es",
        layers="3,6",
        strengths=(0.5, 1),
        items=8,
        new_tokens=6,
        progress=False,
    )


def test_the_grid_and_the_arms_have_the_results_numbers(result: SteerResult) -> None:
    figure = result.figure()
    heat, frame, *marks = figure.data
    grid = result.grid().set_index(["strength", "layer"])["score"]
    for up, row in zip(heat.y, heat.z, strict=True):
        assert [grid.at[float(up), int(across)] for across in heat.x] == pytest.approx(list(row))
    settings = result.settings
    assert (frame.x[0], frame.y[0]) == (str(settings.chosen_layer), f"{settings.chosen_strength:g}")
    summary = result.summary()
    assert len(marks) == 3
    for trace, name in zip(marks, ("score", "language", "content"), strict=True):
        assert list(trace.x) == pytest.approx(summary[name].tolist())
        assert list(trace.error_x.array) == pytest.approx((summary[f"{name}_high"] - summary[name]).tolist())
        assert list(trace.error_x.arrayminus) == pytest.approx(
            (summary[name] - summary[f"{name}_low"]).tolist()
        )
    assert len(figure.layout.yaxis2.ticktext) == len(summary)


def test_it_says_what_it_shows_and_has_a_narrow_form(result: SteerResult) -> None:
    figure = result.figure()
    assert figure.layout.title.text == "<b>Steering to Japanese</b>"
    assert "asked for English" in figure.layout.title.subtitle.text
    assert "Spanish's direction" in figure.layout.yaxis2.ticktext
    told = " ".join(figure.layout.meta["how_to_read"])
    assert "日本語で答えてください。" in told and "not asked here" in told
    assert "seed 0" in figure.layout.meta["made_with"]
    assert result.figure(title="Mine", theme="dark", width=400).layout.width == 400


def test_what_is_not_there_is_refused(result: SteerResult) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        steer_figure(replace(result, table=result.table.head(0)))
