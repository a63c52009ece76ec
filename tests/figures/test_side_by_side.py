"""Results side by side: the same axes, each with its own numbers and nulls; what cannot be compared is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latentlang.errors import InputError
from latentlang.figures import compare, write_html
from latentlang.lens import LensResult
from latentlang.provenance import Provenance
from latentlang.training.result import TrainingResult
from tests.figures.test_heatmaps import _result as language_result
from tests.support.chromium import open_page
from tests.support.lens_standin import lens_result


def _changed(result: LensResult, **changes: Any) -> LensResult:
    return replace(result, provenance=replace(result.provenance, **changes))


def _lines(figure: Any, curve: str) -> list[Any]:
    return [
        t for t in figure.data if t.type == "scatter" and t.legendgroup == curve and t.customdata is not None
    ]


def test_two_models_have_their_own_curves_on_the_same_axes() -> None:
    first, second = lens_result(["ja"], items=6), lens_result(["ja"], items=6, scale=0.3, model="other")
    figure = compare([first, second])
    layout = figure.layout
    for curve in ("target", "target_null", "pivot", "pivot_null"):
        left, right = _lines(figure, curve)
        assert list(left.y) == list(_lines(first.figure(), curve)[0].y)
        assert list(right.y) == list(_lines(second.figure(), curve)[0].y)
        assert (left.xaxis, right.xaxis) == ("x", "x3") and (left.yaxis, right.yaxis) == ("y", "y3")
        assert left.showlegend and not right.showlegend
    assert layout.yaxis.range == layout.yaxis3.range and layout.xaxis.range == layout.xaxis3.range
    assert layout.yaxis3.matches == "y" and layout.xaxis3.anchor == "y3"
    assert layout.xaxis.domain[1] < layout.xaxis3.domain[0] and layout.xaxis3.domain[1] == pytest.approx(1)
    # The second alone would have a scale of its own.
    assert second.figure().layout.yaxis.range[1] < 0.5 < layout.yaxis.range[1]
    headings = [note.text for note in layout.annotations if note.text.startswith("<b>")]
    assert headings == ["<b>pocket</b>", "<b>other</b>"]
    assert "model pocket" in layout.title.subtitle.text and "model other" in layout.title.subtitle.text


def test_names_are_given_or_say_what_differs() -> None:
    plain = lens_result(["ja"], items=4, settings={"lens": "logit"})
    tuned = _changed(plain, settings={**plain.provenance.settings, "lens": "tuned"})
    figure = compare([plain, tuned])
    headings = [note.text for note in figure.layout.annotations if note.text.startswith("<b>")]
    assert headings == ["<b>logit lens</b>", "<b>tuned lens</b>"]
    assert "tuned" not in figure.layout.title.text  # it stands over its own half
    given = compare([plain, tuned], names=["<i>a", "b"]).layout.annotations
    assert [note.text for note in given if note.text.startswith("<b>")] == ["<b>&lt;i&gt;a</b>", "<b>b</b>"]


def test_languages_and_curves_are_chosen_for_all() -> None:
    first, second = (
        lens_result(["ja", "hi"], items=4),
        lens_result(["hi", "ja", "ru"], items=4, model="other"),
    )
    figure = compare([first, second], curves="target")
    assert {t.legendgroup for t in figure.data if t.customdata is not None} == {"target"}
    assert len(_lines(figure, "target")) == 4  # the two languages that both have
    assert len(_lines(compare([first, second], languages="hi"), "pivot")) == 2


def test_language_maps_have_the_same_rows_and_one_scale() -> None:
    figure = compare([language_result(), language_result(pivot=False, model="other")])
    left, right = figure.data
    assert (left.zmin, left.zmax) == (right.zmin, right.zmax) and right.showscale is False
    rows = figure.layout.yaxis.ticktext
    alone = language_result(pivot=False).figure()
    english = [
        next(i for i, name in enumerate(names) if "English" in name)
        for names in (rows, alone.layout.yaxis.ticktext)
    ]
    assert list(right.z[english[0]]) == list(alone.data[0].z[english[1]])
    assert len(figure.layout.shapes) == 1  # the leader of the first is framed in the first
    assert figure.layout.shapes[0].xref == "x" and not figure.layout.yaxis2.showticklabels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "cloze"}, "has task 'translation' and 'other' 'cloze'"),
        ({"seed": 3}, "has seed 0 and 'other' 3"),
        ({"policy": "drop"}, "has policy 'exclusive' and 'other' 'drop'"),
        ({"protocol": "as-published"}, "has protocol 'corrected' and 'other' 'as-published'"),
        ({"languages": ("hi",)}, "no language in common"),
    ],
)
def test_what_was_asked_otherwise_is_refused(changes: dict[str, object], message: str) -> None:
    result = lens_result(["ja"], items=4)
    with pytest.raises(InputError, match=re.escape(message)):
        compare([result, _changed(result, model="other", **changes)])


def test_what_cannot_lie_side_by_side_is_refused() -> None:
    result = lens_result(["ja"], items=4)
    other = _changed(lens_result(["ja"], items=6), model="other")
    with pytest.raises(InputError, match="read on other items in 'ja'"):
        compare([result, other])
    with pytest.raises(InputError, match="2 to 4 results"):
        compare([result])
    with pytest.raises(InputError, match="2 results and 1 names"):
        compare([result, result], names=["one"])
    with pytest.raises(InputError, match="of different kinds, lens and multilingual-lens"):
        compare([result, language_result()])
    with pytest.raises(InputError, match="results are laid side by side, not 'path'"):
        compare([result, "path"])  # type: ignore[list-item]
    record = Provenance(model="m", task="t", languages=("ja",), settings={})
    training = TrainingResult(table=result.table, provenance=record)
    with pytest.raises(InputError, match="kind 'training' cannot be laid side by side"):
        compare([training, training])
    with pytest.raises(InputError, match="unknown language of this result 'de'"):
        compare([result, result], languages="de")


@pytest.mark.browser
def test_a_browser_draws_both_halves_and_is_silent(tmp_path: Path) -> None:
    first, second = lens_result(["ja", "hi"], items=4), lens_result(["ja", "hi"], items=4, model="other")
    figure = compare([first, second])
    json.loads(figure.to_json())
    page = open_page(write_html(figure, tmp_path / "page.html", title="two"), width=1200)
    assert page.complaints == [] and page.dom.count('class="hm"') == 4
