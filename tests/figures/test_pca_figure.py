"""The PCA figure: every prompt where it belongs, named, explained, and moved by the slider."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.figures import write_html
from latentlang.figures.pca import paper_layers, pca_figure
from latentlang.figures.scatter import (
    COLOURS,
    aligned_signs,
    drawn,
    hover_texts,
    marks,
    most_drawn,
    shortly,
    span,
)
from latentlang.geometry import PCAResult, compare_pca, pca
from tests.support.chromium import open_page
from tests.support.colours import lightness
from tests.support.small_store import small_store, spectral

CODES = ("en", "ja", "hi", "ar")
BAD = "<script>console.error('pwned')</script><img src=x onerror=console.error('pwned')> %{x}"

# Opened without a screen, a page is given no frames, and the slider waits for one.
FRAMES = "<script>window.requestAnimationFrame = call => setTimeout(call, 16);</script>"
SLIDE = """<script>
const figure = document.getElementById("figure");
const rail = document.querySelector(".slider-rail-touch-rect"), box = rail.getBoundingClientRect();
const seen = {points: document.querySelectorAll("path.point").length};
const place = {clientX: box.left + FRACTION * box.width, clientY: box.top + box.height / 2, bubbles: true};
rail.dispatchEvent(new MouseEvent("mousedown", place));
setTimeout(() => {
  document.dispatchEvent(new MouseEvent("mouseup", place));
  seen.x = figure._fullData.map(trace => Array.from(trace.x));
  seen.y = figure._fullData.map(trace => Array.from(trace.y));
  seen.text = figure._fullData.map(trace => trace.text.length);
  const axis = figure._fullLayout.xaxis || figure._fullLayout.scene.xaxis;
  seen.range = axis.range;
  seen.title = axis.title.text;
  document.body.dataset.seen = JSON.stringify(seen);
}, 1500);
</script>"""

HOVER = """<script>
Plotly.Fx.hover(document.getElementById("figure"), [{curveNumber: 0, pointNumber: 0}]);
</script>"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> PCAResult:
    folder = tmp_path_factory.mktemp("stores")
    layers = {layer: spectral(48, 8, seed=layer) for layer in (1, 2, 3, 4)} | {0: torch.ones(48, 8)}
    return pca(small_store(folder / "s", layers, languages=CODES, items=12), components=3)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> PCAResult:
    folder = tmp_path_factory.mktemp("stores")
    base = small_store(
        folder / "base", {n: spectral(24, 8, seed=n) for n in (1, 2)}, languages=CODES, items=6
    )
    layers = {n: spectral(24, 8, seed=n) * torch.linspace(2, -1, 8) + 3 for n in (1, 2)}
    tuned = small_store(folder / "tuned", layers, languages=CODES, items=6, adapter="lora")
    return compare_pca(base, tuned, components=3)


def points(figure: go.Figure) -> list[tuple[str, np.ndarray]]:
    """Name and ``[point, axis]`` of each trace."""
    letters = "xyz" if figure.data[0].type == "scatter3d" else "xy"
    return [(t.name, np.column_stack([t[letter] for letter in letters])) for t in figure.data]


def scores(
    result: PCAResult, code: str, layer: int, *, view: tuple[str, str] = ("base", "base"), count: int = 2
):
    table = result.table
    rows = table[(table["state"] == view[0]) & (table["axes"] == view[1]) & (table["layer"] == layer)]
    return rows[rows["language"] == code][[f"pc{n + 1}" for n in range(count)]].to_numpy()


def same_up_to_sign(found: np.ndarray, true: np.ndarray) -> bool:
    return np.allclose(np.abs(found), np.abs(true), rtol=2e-3, atol=2e-3 * np.abs(true).max(initial=1e-9))


# what is drawn


@pytest.mark.parametrize("three_d", [False, True])
def test_every_prompt_is_a_point_of_its_language_at_the_layer_shown(result: PCAResult, three_d: bool) -> None:
    figure = pca_figure(result, three_d=three_d)
    (slider,) = figure.layout.sliders
    assert [step.label for step in slider.steps] == ["0", "1", "2", "3", "4"]
    shown = int(slider.steps[slider.active].label)
    assert shown == 2  # nearest to 20/32 of the depth
    assert [name for name, _ in points(figure)] == ["English", "Japanese", "Hindi", "Arabic"]
    for code, (_, where) in zip(CODES, points(figure), strict=True):
        assert same_up_to_sign(where, scores(result, code, shown, count=3 if three_d else 2))


@pytest.mark.parametrize("three_d", [False, True])
def test_each_step_of_the_slider_holds_its_layer(result: PCAResult, three_d: bool) -> None:
    figure = pca_figure(result, three_d=three_d)
    for step in figure.layout.sliders[0].steps:
        data, layout = step.args
        layer = int(step.label)
        for place, code in enumerate(CODES):
            where = np.column_stack([data[letter][place] for letter in ("xyz" if three_d else "xy")])
            assert same_up_to_sign(where, scores(result, code, layer, count=where.shape[1]))
        axis = "scene.xaxis" if three_d else "xaxis"
        ratio = result.explained.query(f"layer == {layer} and component == 1")["ratio"].item()
        words = "(nothing varies)" if layer == 0 else f"({100 * ratio:.1f}%)"
        assert words in layout[f"{axis}.title.text"] and "PC1" in layout[f"{axis}.title.text"]
        assert ("<" in layout[f"{axis}.title.text"]) != three_d  # in 3-D markup would be read out
        low, high = layout[f"{axis}.range"]
        assert all(low < value < high for values in data["x"] for value in values)


def test_a_grid_has_a_plot_for_each_layer_and_no_slider(result: PCAResult) -> None:
    figure = pca_figure(result, grid=True, layers=[0, 1, 4])
    assert not figure.layout.sliders and len(figure.data) == 3 * len(CODES)
    assert [note.text for note in figure.layout.annotations] == ["layer 0", "layer 1", "layer 4"]
    for trace in figure.data:
        number = trace.xaxis[1:]
        layer = (0, 1, 4)[int(number or 1) - 1]
        code = CODES[[t.name for t in figure.data].index(trace.name)]
        assert same_up_to_sign(np.column_stack([trace.x, trace.y]), scores(result, code, layer))
    # One entry of the legend for each language, which shows and hides all of it.
    assert [t.showlegend for t in figure.data] == [True] * 4 + [False] * 8
    assert len({t.legendgroup for t in figure.data}) == 4
    assert len(pca_figure(result, grid=True).layout.annotations) == 4


def test_the_order_of_the_table_is_of_no_matter(result: PCAResult) -> None:
    mixed = replace(result, table=result.table.sample(frac=1, random_state=1))
    for (name, where), (other, there) in zip(
        points(pca_figure(result)), points(pca_figure(mixed)), strict=True
    ):
        assert name == other
        np.testing.assert_array_equal(where, there)


def test_one_layer_needs_no_slider(result: PCAResult) -> None:
    figure = pca_figure(result, layers=[3])
    assert not figure.layout.sliders
    assert same_up_to_sign(points(figure)[0][1], scores(result, "en", 3))


def test_a_comparison_shows_common_axes_alike_and_its_own_beside(both: PCAResult) -> None:
    figure = pca_figure(both)
    assert [note.text for note in figure.layout.annotations] == [
        "<b>base</b>", "<b>tuned, on the base's axes</b>", "<b>tuned, on its own axes</b>",
    ]  # fmt: skip
    assert len(figure.data) == 3 * len(CODES)
    shown = figure.layout.sliders[0].active + 1
    for place, view in enumerate(both.views):
        for code, (_, where) in zip(CODES, points(figure)[4 * place :], strict=False):
            assert same_up_to_sign(where, scores(both, code, shown, view=view))
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range != figure.layout.xaxis3.range
    # Base and tuned on the same axes are never mirrored against each other.
    signs = [
        np.sign(np.concatenate([w for _, w in points(figure)[4 * k : 4 * k + 4]]))
        * np.sign(np.concatenate([scores(both, code, shown, view=both.views[k]) for code in CODES]))
        for k in (0, 1)
    ]
    assert (signs[0] == signs[0][0]).all() and (signs[1] == signs[0][0]).all()
    grid = pca_figure(both, grid=True)
    assert len(grid.data) == 3 * 2 * len(CODES)
    assert "base pocket · tuned pocket + adapter lora" in grid.layout.title.subtitle.text


def test_colours_may_say_the_label(result: PCAResult) -> None:
    figure = pca_figure(result, colour="label", layers=[2])
    assert [name for name, _ in points(figure)] == ["positive", "negative"]
    assert [len(where) for _, where in points(figure)] == [24, 24]


# which points, and how they look


def test_of_many_prompts_the_same_items_are_drawn_in_every_language_and_the_figure_says_so(
    result: PCAResult,
) -> None:
    figure = pca_figure(result, most=5)
    texts = [re.findall(r"item (\d+)", " ".join(trace.text)) for trace in figure.data]
    assert all(items == texts[0] for items in texts) and len(set(texts[0])) == 5
    assert "48 prompts, 20 of them drawn" in figure.layout.title.subtitle.text
    note = figure.layout.meta["how_to_read"][-1]
    assert "all 48 prompts" in note and "at most 5 of a language" in note
    assert "of them drawn" not in pca_figure(result).layout.title.subtitle.text


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12345678")), max_size=30), st.integers(1, 6)
)
def test_no_group_draws_more_than_asked_or_less_than_it_has(rows: list[tuple[str, str]], most: int) -> None:
    frame = pd.DataFrame(rows, columns=["group", "item"], dtype=str)
    kept = drawn(frame["group"], frame["item"], most=most, seed=0)
    for _, part in frame.assign(kept=kept).groupby("group"):
        assert part["kept"].sum() == min(most, len(part))


def test_marks_can_be_told_apart() -> None:
    assert len({(mark.colour, mark.symbol) for mark in marks(101)}) == 101
    assert len({(mark.colour, mark.symbol) for mark in marks(56, three_d=True)}) == 56
    for one, other in zip(marks(55), marks(56)[1:], strict=True):
        assert one.colour != other.colour and one.symbol != other.symbol
    assert all(lightness(colour) < 75 for colour in COLOURS)
    assert most_drawn(4) == 500 and most_drawn(20) == 200 and most_drawn(1000) == 20


def test_pictures_turn_like_the_one_before() -> None:
    first = np.array([[1.0, 2.0], [3.0, -1.0], [-4.0, 0.0]])
    signs = aligned_signs([first, first * [-2, 1], first * [3, -1], first * 0])
    assert [sign.tolist() for sign in signs] == [[1, 1], [-1, 1], [1, -1], [1, 1]]


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=20))
def test_shortened_numbers_and_ranges_hold_every_point(values: list[float]) -> None:
    exact = np.array(values, dtype=np.float32)
    low, high = span(exact.astype(float))
    assert low < high and all(low <= value <= high for value in values)
    np.testing.assert_allclose(shortly(exact), exact, atol=1e-3 * np.abs(exact).max(initial=0) + 1e-45)


def test_hovering_says_the_prompt_as_text() -> None:
    frame = pd.DataFrame({
        "language": ["ja", "xx<b>"], "item": ["7", BAD], "label": ["positive", ""],
        "question": ["この映画は素晴らしい。" * 40, BAD],
    })  # fmt: skip
    first, second = hover_texts(frame)
    assert (
        first.startswith("<b>Japanese</b>  item 7  (positive)<br>")
        and first.count("<br>") == 4
        and "…" in first
    )
    assert "<script" not in second and "<img" not in second and "%{" not in second and "xx&lt;b&gt;" in second


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        (range(33), [20, 25, 30, 32]),
        (range(25), [15, 19, 22, 24]),
        (range(9), [5, 6, 7, 8]),
        ([0, 4], [0, 4]),
        ([7], [7]),
    ],
)
def test_a_grid_looks_where_the_paper_looks(layers: Any, wanted: list[int]) -> None:
    assert paper_layers(list(layers)) == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "mood"}, "unknown colour 'mood'"),
        ({"layers": [9]}, "has no layer 9; it has 0, 1, 2, 3, 4"),
        ({"layers": []}, "none was named"),
        ({"most": 0}, "at least 1 point of each language"),
    ],
)
def test_bad_options_are_named(result: PCAResult, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pca_figure(result, **options)


def test_what_cannot_be_drawn_is_said(result: PCAResult) -> None:
    thin = replace(result, table=result.table.drop(columns=["pc2", "pc3"]))
    with pytest.raises(InputError, match="needs 2 components and the PCA has 1"):
        pca_figure(thin)
    with pytest.raises(InputError, match="needs 3 components and the PCA has 2"):
        pca_figure(replace(result, table=result.table.drop(columns="pc3")), three_d=True)
    many = replace(result, table=result.table.assign(label=result.table["row"].astype(str)))
    with pytest.raises(InputError, match="48 labels, too many"):
        pca_figure(many, colour="label")
    holes = replace(result, table=result.table[(result.table["layer"] != 3) | (result.table["row"] > 1)])
    with pytest.raises(InputError, match="other prompts at layer 3"):
        pca_figure(holes)


# in a browser


def opened(figure: go.Figure, path: Path, fraction: float) -> tuple[Any, list[str]]:
    write_html(figure, path, title="PCA")
    text = path.read_text(encoding="utf-8").replace("<title>", FRAMES + "<title>", 1)
    path.write_text(text + SLIDE.replace("FRACTION", str(fraction)), encoding="utf-8")
    page = open_page(path)
    (seen_languages,) = re.findall(r'data-seen="([^"]*)"', page.dom)
    return json.loads(html.unescape(seen_languages)), page.complaints


@pytest.mark.browser
def test_the_slider_moves_the_points_offline_and_in_silence(result: PCAResult, tmp_path: Path) -> None:
    figure = pca_figure(result)
    seen_languages, complaints = opened(figure, tmp_path / "pca.html", 0.99)
    assert complaints == []
    assert seen_languages["points"] == 48 and seen_languages["text"] == [12] * 4
    data, layout = figure.layout.sliders[0].steps[-1].args
    assert seen_languages["x"] == data["x"] and seen_languages["y"] == data["y"]
    assert (
        seen_languages["range"] == layout["xaxis.range"]
        and seen_languages["title"] == layout["xaxis.title.text"]
    )


@pytest.mark.browser
def test_three_dimensions_are_drawn_under_the_pages_policy(result: PCAResult, tmp_path: Path) -> None:
    figure = pca_figure(result, three_d=True)
    seen_languages, complaints = opened(figure, tmp_path / "pca.html", 0.99)
    # What a browser without a graphics card says of itself is no complaint about the page.
    assert not [line for line in complaints if "Refused" in line or "Error" in line or "violates" in line]
    assert seen_languages["x"] == figure.layout.sliders[0].steps[-1].args[0]["x"]


@pytest.mark.browser
def test_markup_from_data_is_shown_as_text(result: PCAResult, tmp_path: Path) -> None:
    table = result.table.assign(question=BAD, item=BAD, label=BAD)
    made = replace(result.provenance, model=BAD, task=BAD, settings={"pool": BAD, "site": BAD})
    figure = pca_figure(replace(result, table=table, provenance=made), colour="label", layers=[2])
    path = write_html(figure, tmp_path / "pca.html", title=BAD)
    path.write_text(path.read_text(encoding="utf-8") + HOVER, encoding="utf-8")
    page = open_page(path)
    assert page.complaints == []
    assert page.dom.count("onerror=console") > 5  # also where the mouse is
    assert not re.search(r"<img[^>]*onerror", page.dom)
