"""The narrow form: every panel below the one before it, nothing wider than the screen, the same values."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

import latentlang as ll
from latentlang.figures import compare, lens_figure, overlap_heatmap, write_html
from latentlang.figures.alignment import alignment_heatmap
from latentlang.figures.alignment_tables import alignment_table
from latentlang.figures.bits import bits_figure
from latentlang.figures.explorer import explorer_figure
from latentlang.figures.headings import fitted
from latentlang.figures.layout import first_in_view
from latentlang.figures.narrow import BELOW, WIDTH, has_narrow_form, narrow_form, narrowed, patch
from latentlang.figures.text_width import lines, pixels
from latentlang.lens import explore
from tests.figures.test_heatmaps import _result as language_result
from tests.support.alignment_standin import alignment_result
from tests.support.chromium import open_page
from tests.support.devtools import chromium
from tests.support.lens_standin import lens_result

LONG = "an-organisation/a-model-with-a-very-long-name-1b-instruct-v0"


def _drawn(figure: go.Figure) -> list[tuple[Any, ...]]:
    """What is drawn, without where."""
    return [(t.type, str(t.x), str(t.y) if t.type == "scatter" else str(t.z)) for t in figure.data]


def _panels(figure: go.Figure) -> list[tuple[float, float, float, float]]:
    """Left, right, lower and upper end of each pair of axes that a trace is on."""
    pairs = dict.fromkeys((t.xaxis or "x", t.yaxis or "y") for t in figure.data)
    ends = []
    for x, y in pairs:
        across = figure.layout[f"xaxis{x[1:]}"].domain or (0, 1)
        down = figure.layout[f"yaxis{y[1:]}"].domain or (0, 1)
        ends.append((*across, *down))
    return ends


def test_panels_of_a_grid_lie_below_each_other_in_reading_order_and_keep_their_values() -> None:
    wide = lens_figure(lens_result(["ja", "hi", "ru", "de", "zh"], items=6))
    narrow = narrowed(wide)
    assert len({left for left, *_ in _panels(wide)}) == 3
    assert {(left, right) for left, right, *_ in _panels(narrow)} == {(0, 1)}
    assert _drawn(narrow) == _drawn(wide)
    headings = sorted((n for n in narrow.layout.annotations if n.text.startswith("<b>")), key=lambda n: -n.y)
    assert [re.sub("<.*?>", "", n.text).split()[-1] for n in headings] == [
        "Japanese",
        "Hindi",
        "Russian",
        "German",
        "Chinese",
    ]
    curves = [narrow.layout[f"yaxis{n}"].domain for n in ("", 2, 3, 4, 5)]
    for (low, _), (_, below), heading in zip(curves, curves[1:], headings[1:], strict=False):
        assert low > heading.y > below  # a heading stands between its panel and the one before
    assert all(narrow.layout[f"xaxis{n}"].showticklabels for n in ("", 2, 3, 4, 5))
    assert all(narrow.layout[f"yaxis{n}"].showticklabels for n in ("", 2, 3, 4, 5))
    assert narrow.layout.height > 3 * 210


def test_panels_that_share_their_rows_get_rows_of_their_own_and_the_menu_changes_them_all() -> None:
    result = alignment_result(measures=("cka", "retrieval_ab"))
    wide = alignment_heatmap(result)
    narrow = narrowed(wide)
    count = len(result.pools)
    assert count > 1 and {t.yaxis for t in wide.data} == {"y"}
    heats = [t for t in narrow.data if t.type == "heatmap"][:count]
    assert len({t.yaxis for t in heats}) == count and _drawn(narrow) == _drawn(wide)
    for heat in heats:
        axis = narrow.layout[f"yaxis{heat.yaxis[1:]}"]
        assert (axis.anchor or "x") == heat.xaxis
        assert (narrow.layout[f"xaxis{heat.xaxis[1:]}"].anchor or "y") == heat.yaxis
        assert axis.showticklabels is not False
    changes = narrow.layout.updatemenus[0].buttons[1].args[1]
    # at the right end, from where it has the width of the rows' names too: at the left it began outside of the page
    assert (narrow.layout.updatemenus[0].x, narrow.layout.updatemenus[0].xanchor) == (1, "right")
    for heat in heats:
        assert changes[f"yaxis{heat.yaxis[1:]}.categoryarray"] == changes["yaxis.categoryarray"]


@pytest.mark.parametrize("kind", ["lens", "grid", "languages", "overlap", "alignment", "compared"])
def test_no_text_is_wider_than_the_screen(kind: str) -> None:
    figure = {
        "lens": lambda: lens_figure(lens_result(["ja"], items=4, model=LONG)),
        "grid": lambda: lens_figure(lens_result(["ja", "hi", "th", "ru"], items=4, model=LONG)),
        "languages": lambda: language_result(model=LONG).figure(),
        "overlap": lambda: overlap_heatmap(
            language_overlap(), subtitle=f"a task of labels · tokenizer of {LONG}"
        ),
        "alignment": lambda: alignment_heatmap(alignment_result()),
        "compared": lambda: compare([lens_result(["ja"], items=4, model=LONG), lens_result(["ja"], items=4)]),
    }[kind]()
    narrow = narrowed(figure)
    layout = narrow.layout
    assert layout.width is None and layout.margin.l < WIDTH / 2
    title, subtitle = layout.title.text, layout.title.subtitle.text
    # one name that has no space may be longer than a line
    for text, size in ((title, 15.5), (subtitle, 11.5)):
        assert all(pixels(line, size) <= WIDTH or " " not in line.strip() for line in text.split("<br>"))
    assert layout.margin.t >= 20 * lines(title) + 16 * lines(subtitle)
    for trace in narrow.data:
        if trace.showlegend:
            assert pixels(trace.name, 11.5) <= WIDTH
    for axis in [layout[name] for name in layout if name.startswith("yaxis")]:
        if axis.ticktext and axis.showticklabels is not False:
            assert max(pixels(name, axis.tickfont.size) for name in axis.ticktext) <= layout.margin.l


def language_overlap() -> Any:
    import pandas as pd

    codes = ["en", "de", "zh-Hant"]
    return pd.DataFrame([[4, 2, 0], [2, 5, 0], [0, 0, 3]], index=codes, columns=codes)


def test_a_table_is_in_blocks_that_repeat_the_pairs() -> None:
    result = alignment_result()
    wide, narrow = alignment_table(result, measure="cka"), narrowed(alignment_table(result, measure="cka"))
    (table,) = wide.data
    heads = [list(block.header["values"]) for block in narrow.data]
    assert all(head[0] == table.header["values"][0] and len(head) <= 4 for head in heads)
    assert [name for head in heads for name in head[1:]] == list(table.header["values"][1:])
    cells = [column for block in narrow.data for column in block.cells["values"][1:]]
    assert [list(column) for column in cells] == [list(column) for column in table.cells["values"][1:]]
    ends = [block.domain.y for block in narrow.data]
    assert all(low >= upper for (low, _), (_, upper) in itertools.pairwise(ends))


def test_a_page_has_the_narrow_form_without_the_values_again(tmp_path: Path) -> None:
    figure = lens_figure(lens_result(["ja", "hi"], items=4))
    page = write_html(figure, tmp_path / "page.html", title="t").read_text(encoding="utf-8")
    (text,) = re.findall(r'<script type="application/json" class="narrow">(.*?)</script>', page, re.DOTALL)
    form = json.loads(text)
    assert len(form["data"]) == len(figure.data) and "meta" not in form["layout"]
    assert not any(name in changes for changes in form["data"] for name in ("x", "y", "z", "customdata"))
    drawn = figure.to_dict()
    again = [
        trace | changes
        for trace, changes in zip(
            drawn["data"], patch(drawn["data"], narrow_form(drawn)["data"]), strict=True
        )
    ]
    assert (
        json.loads(go.Figure(data=again).to_json())["data"] == json.loads(narrowed(figure).to_json())["data"]
    )


def test_a_figure_that_says_no_size_has_no_narrow_form(tmp_path: Path) -> None:
    bare = go.Figure(data=[{"type": "scatter", "y": [1]}])
    assert not has_narrow_form(bare) and narrowed(bare) is bare
    assert 'class="narrow"' not in write_html(bare, tmp_path / "page.html", title="t").read_text(
        encoding="utf-8"
    )


def test_a_narrow_width_that_is_asked_for_gives_the_narrow_form() -> None:
    result = lens_result(["ja", "hi"], items=4)
    narrow, wide = result.figure(width=BELOW - 1), result.figure(width=BELOW)
    assert {domain[:2] for domain in _panels(narrow)} == {(0, 1)} and narrow.layout.width == BELOW - 1
    assert len({domain[:2] for domain in _panels(wide)}) == 2 and not has_narrow_form(narrow)


def test_titles_are_broken_for_the_width_and_can_be_broken_again() -> None:
    figure = lens_figure(
        lens_result(["ja"], items=4, model=LONG, settings={"source": "a long name of a language"})
    )
    subtitle, height, top = figure.layout.title.subtitle.text, figure.layout.height, figure.layout.margin.t
    plain = subtitle.replace("<br>", " ")
    fitted(figure, width=620)
    more = lines(figure.layout.title.subtitle.text) - lines(subtitle)
    assert more >= 1 and figure.layout.title.subtitle.text.replace("<br>", " ") == plain
    assert figure.layout.height - height == figure.layout.margin.t - top > 0
    fitted(figure)
    assert (figure.layout.title.subtitle.text, figure.layout.height) == (subtitle, height)


@pytest.mark.browser
def test_a_browser_shows_all_of_it_at_400_pixels_and_the_wide_form_at_1100(tmp_path: Path) -> None:
    measure = """<script>addEventListener("load", () => {
      const end = document.querySelector(".plot").getBoundingClientRect();
      const boxes = [...document.querySelectorAll(".main-svg text")].map(text => text.getBoundingClientRect());
      const drawn = boxes.filter(box => box.width > 0);
      document.body.dataset.cut = drawn.filter(box => box.left < -1 || box.right > innerWidth + 1).length;
      document.body.dataset.scrolled = document.querySelector(".plot").scrollWidth > Math.ceil(end.width) + 1;
      document.body.dataset.columns = new Set([...document.querySelectorAll(".hm image")]
        .map(image => Math.round(image.getBoundingClientRect().left))).size;
    });</script>"""
    figure = lens_figure(lens_result(["ja", "hi", "th", "ru"], items=4, model=LONG))
    path = write_html(figure, tmp_path / "page.html", title="t")
    path.write_text(
        path.read_text(encoding="utf-8").replace("</body>", f"{measure}</body>"), encoding="utf-8"
    )
    page = open_page(path, width=500)  # Chromium's least
    assert page.complaints == []
    assert (
        'data-cut="0"' in page.dom and 'data-scrolled="false"' in page.dom and 'data-columns="1"' in page.dom
    )
    page = open_page(path, width=1100)
    assert page.complaints == [] and 'data-columns="2"' in page.dom


@pytest.mark.browser
def test_a_window_made_narrow_and_wide_again_shows_what_it_showed(tmp_path: Path) -> None:
    figure = explorer_figure(explore(ll.load("pocket"), 'Français: "fleur" - 日本語: "', top=1))
    path = write_html(figure, tmp_path / "page.html", title="t")
    shown = """JSON.stringify([document.querySelectorAll(".colorbar").length,
      document.querySelector(".js-plotly-plot")._fullLayout._size, document.querySelectorAll(".xtick").length])"""
    with chromium(tmp_path / "profile", width=1200) as page:
        page.send("Page.navigate", url=path.as_uri())
        page.wait("plot", "!!document.querySelector('.js-plotly-plot .colorbar')")
        before = page.run(shown)
        for width in (500, 1200):
            page.send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            narrow = "orientation === 'h'" if width == 500 else "orientation !== 'h'"
            page.wait(
                f"figure for {width}",
                f"document.querySelector('.js-plotly-plot')._fullData[0].colorbar.{narrow}",
            )
            page.wait("drawing", "!!document.querySelector('.colorbar')")
        assert page.run(shown) == before and page.complaints == []


def test_a_legend_of_one_name_has_room_below_the_axis() -> None:
    result = ll.bits_per_byte("pocket", {"en": ["The dog is in the house."]}, layers="7,8")
    wide = bits_figure(result)
    (name,) = {trace.name for trace in wide.data if trace.showlegend is not False}
    narrow = narrowed(wide)
    assert narrow.layout.legend.yref == "container" and name == "English"
    # numbers of the axis, its title, a line of the legend
    assert narrow.layout.margin.b > 18 + 22 + 15


def test_an_axis_of_layers_keeps_its_title_where_the_last_panel_has_names_below_it() -> None:
    wide = go.Figure(
        data=[
            {"type": "scatter", "x": [1, 2], "y": [0, 1]},
            {"type": "scatter", "x": [1, 2], "y": [0, 1], "xaxis": "x2", "yaxis": "y2"},
            {"type": "heatmap", "x": ["en", "de"], "y": ["en"], "z": [[0, 1]], "xaxis": "x3", "yaxis": "y3"},
        ],
        layout={
            "height": 600,
            "margin": {"l": 20, "r": 20, "t": 80, "b": 80},
            "xaxis": {"domain": [0, 0.5], "anchor": "y", "title": {"text": "layer"}},
            "xaxis2": {"domain": [0.5, 1], "anchor": "y2"},
            "xaxis3": {"anchor": "y3"},
            "yaxis": {"domain": [0.5, 1]},
            "yaxis2": {"domain": [0.5, 1], "anchor": "x2"},
            "yaxis3": {"domain": [0, 0.4], "anchor": "x3"},
        },
    )
    layout = narrowed(wide).layout
    assert [axis.title.text for axis in (layout.xaxis, layout.xaxis2, layout.xaxis3)] == [None, "layer", None]


def test_a_note_in_a_corner_of_a_plot_stays_in_its_half() -> None:
    result = lens_result(["ja", "hi"], items=6)
    lost = (result.table["curve"] == "pivot") & result.table["item"].isin(
        sorted(set(result.table["item"]))[:2]
    )
    wide = lens_figure(replace(result, table=result.table[~lost]))
    corner = [n for n in narrowed(wide).layout.annotations if n.yanchor == "top" and "can be read" in n.text]
    assert corner
    for note in corner:
        assert pixels(note.text, note.font.size) < 0.6 * (WIDTH - 50)


@pytest.mark.parametrize("side", ["top", "bottom"])
@pytest.mark.parametrize("count", [3, 12])
def test_names_of_columns_are_turned_where_they_do_not_fit_and_have_their_room(side: str, count: int) -> None:
    names = ["Norwegian", "Vietnamese", "Slovenian"] * (count // 3)
    places = list(range(count))
    figure = go.Figure(
        data=[
            {"type": "heatmap", "x": places, "y": [0], "z": [places], "showscale": False},
            {"type": "heatmap", "x": [0], "y": [0], "z": [[0]], "xaxis": "x2", "yaxis": "y", "showscale": False},
        ],
        layout={
            "title": {"text": "names"}, "height": 200, "margin": {"t": 100, "b": 60},
            "xaxis": {"domain": [0, 0.7], "side": side, "tickangle": -60, "tickvals": places, "ticktext": names},
            "xaxis2": {"domain": [0.75, 1], "side": "top", "tickvals": [0], "ticktext": ["all"]},
            "yaxis": {"range": [0.5, -0.5], "tickvals": [0], "ticktext": ["row"]},
        },
    )  # fmt: skip
    narrow = narrowed(figure)
    layout = narrow.layout
    plot = layout.height - layout.margin.t - layout.margin.b
    (_, _, lower, upper), (_, _, _, second) = _panels(narrow)
    above, between = (1 - upper) * plot, (lower - second) * plot
    assert layout.xaxis.tickangle == (0 if count == 3 else -90)
    needed = 16 if count == 3 else max(pixels(name, 10.5) for name in names)
    own = needed if side == "bottom" else 0
    assert between > own + 16  # and the other panel's names above it
    assert above > needed if side == "top" else above < 1


@pytest.mark.parametrize(
    ("wanted", "room", "columns", "first"),
    [(-1, 5, 30, 0), (3, 5, 30, 0), (10, 5, 30, 8), (29, 5, 30, 25), (4, 40, 30, 0), (7, 4, 8, 4)],
)
def test_the_columns_in_view_begin_with_the_first_or_hold_the_wanted_one(wanted, room, columns, first):
    assert first_in_view(wanted, room, columns) == first
    assert wanted < 0 or first <= wanted < first + room


def test_a_narrow_heat_map_shows_its_wanted_column_where_it_names_one() -> None:
    figure = explorer_figure(explore(ll.load("pocket"), "Le chat mange le poisson et le chien. " * 2, top=1))
    count = len(figure.data[0].x)

    def span(wanted: int | None) -> tuple[float, float]:
        figure.update_layout(meta={**figure.layout.meta, "in_view": wanted})
        first, last = narrowed(figure).layout.xaxis.range
        return first, last

    first, last = span(None)  # the explorer's, which has the answer at its end
    assert last == count - 0.5 and 2 < last - first < 8
    assert span(-1)[0] == -0.5 and span(-1)[1] == pytest.approx(last - first - 0.5, abs=1)
    first, last = span(count // 2)
    assert first < count // 2 - 1 and count // 2 + 1 < last
