"""Labels broken into lines: at spaces, tags whole, rather where a part ends."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from latentlang.figures.headings import TITLE_SIZE, fitted
from latentlang.figures.text_width import broken, lines, pixels


def test_tags_and_marks_take_no_room_and_wide_characters_take_more() -> None:
    assert pixels("<span style='color:#123456'>abc</span>", 12) == pixels("abc", 12)
    assert pixels("a &amp; b", 12) == pytest.approx(pixels("a x b", 12), rel=0.1)
    assert pixels("e\u0301", 12) == pixels("\u2068e\u2069", 12) == pixels("e", 12)
    assert pixels("日本", 12) == 24 and pixels("ab", 24) == 2 * pixels("ab", 12)
    assert pixels("<b>ab</b>", 12) > pixels("ab", 12)
    assert pixels("ab<br>abcd", 12) == pixels("abcd", 12)


def test_no_line_is_wider_than_asked_for_where_words_allow_it() -> None:
    text = "one two three four five six seven eight nine ten"
    for width in (40, 90, 200):
        parts = broken(text, width, 12).split("<br>")
        assert all(pixels(part, 12) <= width for part in parts) and " ".join(parts) == text
    assert broken("unbreakable", 10, 12) == "unbreakable"
    assert broken(text, 10_000, 12) == text


def test_a_tag_stays_whole_and_breaks_that_are_there_stay() -> None:
    text = (
        "<b>a bold title of words</b> <span style='color:#123456;font-size:0.85em'>and more</span><br>below"
    )
    parts = broken(text, 80, 12)
    assert "<span style='color:#123456;font-size:0.85em'>" in parts and parts.endswith("<br>below")
    assert parts.replace("<br>", " ") == text.replace("<br>", " ") and lines(parts) > 2


def test_a_line_ends_where_a_part_ends() -> None:
    assert (
        broken("model pocket · 12 items · policy exclusive", 170, 12)
        == "model pocket · 12 items ·<br>policy exclusive"
    )
    assert broken("Norwegian Norsk (7 of 12)", 130, 12) == "Norwegian Norsk<br>(7 of 12)"


@pytest.mark.parametrize("width", [320, 640, 860])
def test_the_first_line_of_a_title_leaves_room_for_plotlys_buttons(width):
    words = "what each layer would say of a question that is long enough for several lines"
    figure = go.Figure(layout={"title": {"text": f"<b>{words}</b>", "subtitle": {"text": words}, "x": 0}})
    fitted(figure, width=width)
    assert pixels(figure.layout.title.text, TITLE_SIZE) <= width - 120
    assert figure.layout.title.text.replace("<br>", " ") == f"<b>{words}</b>"
