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
    (trace,) = figure.data
    assert np.array_equal(np.array(trace.z), result.members(rule).sum(-1))
    assert list(figure.layout.yaxis.ticktext) == ["English", "German", "Japanese", "Hindi"]
    summary, plain = result.summary(rule), result.summary("lape")["neurons"]
    written = {(note.x, note.y): note.text for note in figure.layout.annotations if note.yref == "y"}
    columns = sorted({x for x, _y in written})
    names = ("neurons", "specific", "related", "stability")
    for place, row in enumerate(summary.to_dict("records")):
        for x, name in zip(columns, names, strict=False):
            value = row[name]
            expected = "–" if value != value else f"{value:.2f}" if name == "stability" else f"{value}"
            assert written[x, place] == expected
        assert written[columns[-1], place] == f"{plain[place]}"
    subtitle = figure.layout.title.subtitle.text
    assert ("false-discovery rate 5%" in subtitle) == (rule == "fdr") and "of 144" in subtitle


def test_it_says_what_it_does_not_show(result: NeuronsResult) -> None:
    said = " ".join(result.figure().layout.meta["how_to_read"])
    assert "not that the model needs it" in said and "mixed pseudo-languages" in said
    assert "a model that has none" in " ".join(result.figure(rule="lape").layout.meta["how_to_read"])
    assert result.figure(title="Mine", theme="dark", width=720).layout.title.text == "<b>Mine</b>"


def test_nothing_to_draw_is_refused(result: NeuronsResult) -> None:
    bare = replace(result, provenance=Provenance(model="m", task="neurons", languages=()))
    with pytest.raises(InputError, match="nothing to draw"):
        neurons_figure(bare, rule="lape", fdr=0.05)
