"""What a reader asks of a figure: languages, curves, a theme, a title, a width."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.figures.page import write_html
from latentlang.figures.shaping import chosen_languages, shaped
from tests.support.lens_standin import lens_result


def test_a_lens_figure_shows_the_languages_and_curves_that_were_asked_for() -> None:
    result = lens_result(["ja", "hi", "ru"], items=6)
    whole, part = result.figure(), result.figure(languages="hi,ja", curves=["pivot", "pivot_null"])
    lines = [trace for trace in part.data if trace.type == "scatter" and trace.hoverinfo != "skip"]
    assert {trace.legendgroup for trace in lines} == {"pivot", "pivot_null"} and len(lines) == 4
    assert not [trace for trace in part.data if trace.type == "heatmap"]
    headings = [note.text for note in part.layout.annotations if note.text.startswith("<b>")]
    assert "हिन्दी" in headings[0] and "日本語" in headings[1] and len(headings) == 2
    # The same numbers as in the whole figure.
    expected = [
        t for t in whole.data if t.type == "scatter" and t.legendgroup == "pivot" and t.customdata is not None
    ]
    hindi = next(trace for trace in lines if trace.legendgroup == "pivot" and trace.xaxis == "x")
    assert list(hindi.y) in [list(trace.y) for trace in expected]
    # A curve that was not asked for is no curve that could not be read.
    assert not [note for note in part.layout.annotations if "no token" in note.text]


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"languages": "de"}, "unknown language of this result 'de'"),
        ({"languages": []}, "no language named"),
        ({"curves": "targett"}, "unknown curve of this result 'targett'; did you mean 'target'"),
        ({"curves": []}, "no curve was chosen"),
        ({"theme": "sepia"}, "unknown theme 'sepia'"),
        ({"width": 20}, "width must be at least 300"),
        ({"colour": "red"}, "unknown option of this figure 'colour'; known: theme, title, width"),
    ],
)
def test_what_a_result_has_not_is_refused_by_name(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        lens_result(["ja"], items=4).figure(**wishes)


def test_title_and_width_are_taken_and_a_title_is_no_markup(tmp_path: Path) -> None:
    result = lens_result(["ja"], items=4)
    figure = result.figure(title="<i>mine", width=720)
    assert figure.layout.title.text == "<b>&lt;i&gt;mine</b>" and figure.layout.width == 720
    assert figure.layout.title.subtitle.text == result.figure().layout.title.subtitle.text
    page = write_html(figure, tmp_path / "page.html", title="page").read_text(encoding="utf-8")
    assert "--least: 720px" in page and 'class="plot" tabindex' in page


def test_a_dark_figure_is_dark_and_a_page_leaves_its_colours_alone(tmp_path: Path) -> None:
    result = lens_result(["ja"], items=4)
    light, dark = result.figure(), result.figure(theme="dark")
    # White becomes the dark page's paper (an inversion by .92), ink becomes light, a hue stays what it is.
    assert dark.layout.template.layout.paper_bgcolor == "#141414"
    ink = dark.layout.template.layout.font.color
    assert min(int(ink[start : start + 2], 16) for start in (1, 3, 5)) > 170
    (before,), (after,) = (
        [t.line.color for t in figure.data if t.legendgroup == "target" and t.customdata is not None]
        for figure in (light, dark)
    )
    red, _, blue = (int(after[start : start + 2], 16) for start in (1, 3, 5))
    assert before == "#0072B2" and blue > red
    assert [list(trace.y or ()) for trace in light.data] == [list(trace.y or ()) for trace in dark.data]
    page = write_html(dark, tmp_path / "page.html", title="page").read_text(encoding="utf-8")
    assert 'class="plot themed"' in page


def test_text_from_data_keeps_what_looks_like_a_colour() -> None:
    result = lens_result(["ja"], items=4, model="#FFFFFF color:#FFFFFF")
    figure = shaped(result.figure(), theme="dark")
    assert "#FFFFFF color:#FFFFFF" in figure.layout.title.subtitle.text


def test_a_group_is_asked_for_by_name() -> None:
    assert chosen_languages(None, ["ja", "hi"]) == ["ja", "hi"]
    assert chosen_languages("Hindi", ["ja", "hi"]) == ["hi"]
