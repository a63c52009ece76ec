"""Colours that can be told apart, fonts that cover the scripts, text made safe."""

from __future__ import annotations

import html
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.figures import change_map, erasure, explorer, heatmaps, patch, style
from latentlang.figures.layout import columns_for, grid
from latentlang.figures.lens_curves import STYLES, legend_columns
from latentlang.figures.style import PAPER, PIVOT, contrast, ink_on, shade, template, tint, turned, written_on
from latentlang.lens.result import CURVES
from tests.support.colours import lightness


def test_every_curve_of_a_result_has_a_style_of_its_own() -> None:
    assert {s.curve for s in STYLES} == set(CURVES) - {"entropy"}
    assert len({(s.colour, s.dash) for s in STYLES}) == len(STYLES)
    assert legend_columns(["target", "pivot", "pivot_null"]) == 2


def test_curves_stand_out_from_paper_and_the_strip_keeps_its_order_in_grey() -> None:
    assert all(lightness(s.colour) < 75 for s in STYLES)
    steps = [lightness(colour) for colour in style.ENTROPY_SCALE]
    assert all(a - b > 6 for a, b in itertools.pairwise(steps))


def test_fonts_put_a_languages_own_han_shapes_first() -> None:
    for code, family in (("ja", "CJK JP"), ("zh", "CJK SC"), ("zh-Hant", "CJK TC"), ("ko", "CJK KR")):
        stack = style.font_stack(code)
        assert stack.index(family) == min(stack.index(f) for f in ("CJK JP", "CJK SC", family) if f in stack)
        assert stack.endswith("system-ui, sans-serif")
    assert all(script in style.font_stack() for script in ("Devanagari", "Bengali", "Thai", "Arabic"))


@given(st.text())
def test_safe_text_has_no_markup_no_variables_and_no_turning(text: str) -> None:
    made = style.safe(text)
    assert not set("<>\n\r\t\u202e\u2066\u2069") & set(made) and "%{" not in made
    assert html.unescape(made) == style.plain(text)


@given(st.text(max_size=60), st.integers(2, 40))
def test_shortened_text_keeps_its_end(text: str, length: int) -> None:
    made = style.shortened(text, length)
    assert len(made) <= length
    assert made == text or (made[0] == "…" and text.endswith(made[1:]))


@given(st.integers(1, 120))
def test_grids_hold_every_panel_inside(count: int) -> None:
    made = grid(count, head=26, strip=10, plot=120)
    assert (
        len(made.panels) == count and made.columns == columns_for(count) and made.columns * made.rows >= count
    )
    assert sum(panel.lowest for panel in made.panels) == made.columns
    assert sum(panel.first_column for panel in made.panels) == made.rows
    for panel in made.panels:
        assert 0 <= panel.x[0] < panel.x[1] <= 1
        assert 0 <= panel.plot[0] < panel.plot[1] < panel.strip[0] < panel.strip[1] <= 1
        assert round((panel.plot[1] - panel.plot[0]) * made.height) == 120


def test_a_number_on_a_strong_colour_is_written_in_black_or_white():
    # plotly would write grey on these oranges (contrast below 3 and 3.2, less still on a dark page)
    assert contrast("#444444", tint(PIVOT, 0.9)) < 3 < contrast("#FFFFFF", tint(PIVOT, 0.9))
    assert written_on("0.36", tint(PIVOT, 0.9)) == "<span style='color:#FFFFFF'>0.36</span>"
    assert written_on("0.36", tint(PIVOT, 0.7)) == "<span style='color:#000000'>0.36</span>"
    assert written_on("0.02", tint(PIVOT, 0.2)) == "0.02"  # grey on nearly white, as plotly does
    assert written_on("0.82", "#7A3500") == "0.82"  # white
    assert written_on("", tint(PIVOT, 0.9)) == ""
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)


def test_a_tooltip_of_all_curves_says_of_which_layer_it_is():
    assert template().layout.xaxis.unifiedhovertitle.text == "layer %{x}"


def test_a_shade_is_the_mixture_of_its_neighbours():
    scale = ("#000000", "#804020", "#FFFFFF")
    assert [shade(scale, position) for position in (-1, 0, 0.25, 0.5, 1, 2)] == [
        "#000000",
        "#000000",
        "#402010",
        "#804020",
        "#FFFFFF",
        "#FFFFFF",
    ]


@pytest.mark.parametrize("scale", [heatmaps._HEAT, explorer._SCALE, change_map._SCALE])
def test_what_is_written_in_a_cell_can_be_read_on_a_light_and_on_a_dark_page(scale):
    for position in np.linspace(0, 1, 201):
        colour = shade(scale, position)
        channels = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        plotly = "#FFFFFF" if np.dot([0.299, 0.587, 0.114], channels) < 128 else "#444444"
        written = written_on("x", colour)
        ink = written.removeprefix("<span style='color:")[:7] if "span" in written else plotly
        assert contrast(ink, colour) > 3.15
        assert contrast(turned(ink), turned(colour)) > 3.15
        assert contrast(turned(ink_on(colour)), turned(colour)) > 3.15


def test_curves_of_controls_can_be_seen_on_a_light_and_on_a_dark_page():
    for colour in (
        *(colour for colour, _dash, _width in patch.ARM_STYLES.values()),
        *(colour for _name, colour, _dash, _width in erasure._CURVES.values()),
    ):
        assert contrast(colour, PAPER) > 3 < contrast(turned(colour), turned(PAPER)), colour
