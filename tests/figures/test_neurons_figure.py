"""The figure of neurons of languages: counts by layer, and beside them what the selection is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentlang.errors import InputError
from latentlang.figures.neurons import neurons_figure
from latentlang.provenance import Provenance
from latentlang.units import NeuronsResult, neurons
from tests.support.planted_neurons import planted, texts


@pytest.fixture(scope="module")
def result() -> NeuronsResult:
    given = texts()
    return neurons(planted(given), given, groups=6, deals=50, progress=False)


@pytest.mark.parametrize("rule", ["fdr", "lape", "lna"])
def test_cells_and_numbers_are_those_of_the_selection(result: NeuronsResult, rule: str) -> None:
    figure = result.figure(rule=rule)
    trace, beside = figure.data
    assert np.array_equal(np.array(trace.z), result.members(rule).sum(-1))
    assert list(figure.layout.yaxis.ticktext) == ["English", "German", "Japanese", "Hindi"]
    summary, plain = result.summary(rule), result.summary("lape")["neurons"]
    assert list(figure.layout.xaxis2.ticktext) == ["all", "specific", "related", "stability", "LAPE"]
    for place, row in enumerate(summary.to_dict("records")):
        stable = row["stability"]
        numbers = [str(row[name]) for name in ("neurons", "specific", "related")]
        stability = "–" if stable != stable else f"{stable:.2f}"
        assert list(beside.text[place]) == [*numbers, stability, str(plain[place])]
    subtitle = figure.layout.title.subtitle.text
    assert ("false-discovery rate 5%" in subtitle) == (rule == "fdr") and "of 144" in subtitle


def test_it_says_what_it_does_not_show(result: NeuronsResult) -> None:
    said = " ".join(result.figure().layout.meta["how_to_read"])
    assert "not that the model needs it" in said and "mixed pseudo-languages" in said
    assert "a model that has none" in " ".join(result.figure(rule="lape").layout.meta["how_to_read"])
    narrow = result.figure(width=400)
    assert [trace.xaxis for trace in narrow.data] == [None, "x2"] and narrow.layout.meta["narrow"]
    assert result.figure(title="Mine", theme="dark", width=720).layout.title.text == "<b>Mine</b>"


def test_nothing_to_draw_is_refused(result: NeuronsResult) -> None:
    bare = replace(result, provenance=Provenance(model="m", task="neurons", languages=()))
    with pytest.raises(InputError, match="nothing to draw"):
        neurons_figure(bare, rule="lape", fdr=0.05)
