"""Notes say exactly what is missing, where nothing is covered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.figures.lens_curves import Points
from latentlang.figures.lens_notes import emptiest_corner, unread, wrapped


def curve(*means: float, n: int = 12) -> Points:
    values = list(means)
    return Points(list(range(1, len(values) + 1)), values, values, values, [n] * len(values))


@pytest.mark.parametrize(
    ("target", "pivot", "said"),
    [
        (12, 12, ""),
        (0, 12, "no token begins only this language's answer"),
        (12, 0, "no token begins only the English answer"),
        (0, 0, "no token begins only one language's answer"),
        (9, 12, "Japanese: 9 of 12 answers can be read"),
        (12, 9, "English: 9 of 12 answers can be read"),
        (6, 6, "6 of 12 answers can be read"),
        (6, 5, "Japanese: 6 of 12 answers can be read; English: 5 of 12 answers can be read"),
        (0, 5, "no token begins only this language's answer; English: 5 of 12 answers can be read"),
    ],
)
def test_what_could_not_be_read_is_said(target: int, pivot: int, said: str) -> None:
    names = [("target", target), ("target_null", target), ("pivot", pivot), ("pivot_null", pivot)]
    curves = {name: curve(0.1, n=n) for name, n in names if n}
    assert unread(curves, items=12, language="ja", pivot="en") == said


def test_a_missing_null_is_said() -> None:
    both = {"target": curve(0.1), "pivot": curve(0.1)}
    assert unread(both, items=12, language="ja", pivot="en") == "no null: no wrong answer can be read"
    one = both | {"target_null": curve(0.1)}
    assert (
        unread(one, items=12, language="ja", pivot="en") == "no null: no wrong answer can be read in English"
    )


def test_the_pivots_own_panel_misses_no_pivot() -> None:
    own = {"target": curve(0.1), "target_null": curve(0.1)}
    assert unread(own, items=12, language="en", pivot="en") == ""
    assert unread({}, items=0, language="ja", pivot="en") == "nothing could be read in this language"


def test_a_note_goes_where_no_curve_is() -> None:
    layers = [1, 2, 3, 4]
    assert emptiest_corner({}, layers, 1.0) == (False, False)
    assert emptiest_corner({"pivot": curve(0.9, 0.9, 0, 0)}, layers, 1.0) == (True, False)
    assert emptiest_corner({"pivot": curve(0.9, 0.9, 0.9, 0.9)}, layers, 1.0) == (False, True)
    assert emptiest_corner({"entropy": curve(0.9, 0.9, 0, 0)}, layers, 1.0) == (False, False)
    rising = {"pivot": curve(0.9, 0.9, 0.9, 0.9), "target": curve(0.3, 0.3, 0, 0)}
    assert emptiest_corner(rising, layers, 1.0) == (True, True)


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=30), st.integers(12, 50))
def test_wrapping_loses_no_word_and_keeps_the_width(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), width)
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)
