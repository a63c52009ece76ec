"""Change maps and lens differences: what is drawn is what was measured, and text from data stays text."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from latentlang.comparison import compare_lenses
from latentlang.errors import InputError
from latentlang.figures.change_map import ChangeMap, change_figure, comparison_maps, lens_map
from latentlang.figures.lens_change import lens_change_figure, lens_differences_figure
from latentlang.provenance import Provenance
from tests.support.before_after import CODES, LAYERS, lens, lenses, whole

BAD = "<b>x</b><script>alert(1)</script>"


@pytest.fixture(scope="module")
def pair():
    shifts = {("ja", "pivot", 3): 0.2, ("de", "target", 4): -0.1, ("hi", "target", 2): 0.004}
    return lenses(shifts=shifts, noise=3)


def _figure(pair, *curves):
    return change_figure(
        [lens_map(pair, curve) for curve in curves], pair.tuned.provenance, seen_languages=pair.seen_languages
    )


def test_cells_are_the_differences_with_seen_languages_on_top(pair):
    figure = _figure(pair, "target", "gap")
    target, gap = figure.data
    codes = ["en", "zh", "de", "ja", "hi", "th"]
    assert list(figure.layout.yaxis.ticktext)[:3] == ["English ■", "Chinese ■", "German"]
    table = pair.map("target").set_index(["language", "layer"])["difference"]
    for row, code in enumerate(codes):
        for place, layer in enumerate(target.x):
            assert target.z[row][place] == pytest.approx(table[code, layer])
    assert np.isnan(np.array(gap.z, float)[0]).all()  # English has no gap of its own
    assert "not read" in gap.text[0][0] and "more than chance" in gap.text[3][2]
    assert figure.layout.coloraxis.cmax == -figure.layout.coloraxis.cmin == np.nanmax(np.abs(target.z))


def test_frames_are_on_changes_that_are_neither_chance_nor_tiny(pair):
    figure = _figure(pair, "target", "gap")
    frames = {
        (shape.yref, shape.y0 + 0.45, shape.x0 + 0.46)
        for shape in figure.layout.shapes
        if shape.type == "rect"
    }
    assert frames == {("y", 2, 4), ("y2", 3, 3)}
    tiny = pair.map("target").query("language == 'hi' and layer == 2").iloc[0]
    assert abs(tiny["difference"]) < 0.01


def test_nothing_changed_is_a_white_map_without_frames():
    pair = lenses()
    figure = _figure(pair, "target")
    assert not [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (np.array(figure.data[0].z, float) == 0).all() and figure.layout.coloraxis.cmax == pytest.approx(
        0.02
    )
    assert not [note for note in figure.layout.annotations if note.text[:1] in "+−"]


def test_a_map_of_nothing_is_one_clear_error(pair):
    empty = ChangeMap("a", "b", pair.map("gap").iloc[:0])
    with pytest.raises(InputError, match="no map to draw"):
        change_figure([empty], pair.tuned.provenance)


def test_titles_from_data_stay_text(pair):
    made = lens(adapter=BAD).provenance
    figure = change_figure([ChangeMap(BAD, "b", pair.map("target"))], made)
    drawn = figure.to_dict()
    drawn["layout"].pop("meta")  # plain text, never drawn by plotly; the page escapes it
    assert "<script" not in str(drawn) and "alert(1)" in str(drawn)


def _lines(figure, name, axis):
    return next(
        trace for trace in figure.data
        if trace.mode == "lines" and trace.xaxis == axis and trace.line.width and name in trace.name
    )  # fmt: skip


def test_rows_are_groups_and_columns_before_after_and_difference(pair):
    figure = lens_change_figure(pair)
    summary = pair.summary(["unseen"], curves=["target"]).set_index("layer")
    before, after, difference = (_lines(figure, "right word", axis) for axis in ("x7", "x8", "x9"))
    for trace, state in ((before, "before"), (after, "after"), (difference, "difference")):
        blue = next(
            t for t in figure.data
            if t.xaxis == trace.xaxis and t.mode == "lines" and t.line.width and "Target language: right" in t.name
        )  # fmt: skip
        np.testing.assert_allclose(blue.y, summary[state])
        assert list(blue.x) == list(range(1, LAYERS + 1))
    assert figure.layout.yaxis2.matches == "y" and figure.layout.yaxis6.matches == "y3"
    heads = [note.text for note in figure.layout.annotations]
    assert "<b>mean over 4 languages never seen in training</b>" in heads
    assert heads.count("after − before") == 3
    assert "null" in " ".join(figure.layout.meta["how_to_read"])


def test_one_language_and_all_languages(pair):
    one = lens_change_figure(pair, ["ja"])
    assert any("日本語" in note.text for note in one.layout.annotations)
    small = lens_differences_figure(pair)
    heads = [note.text for note in small.layout.annotations if note.text.startswith("<b>")]
    assert len(heads) == len(CODES) and sum("■" in head for head in heads) == 2
    with pytest.raises(InputError, match="no language or group 'sw'"):
        lens_change_figure(pair, ["sw"])


def test_a_language_that_could_not_be_read_says_so():
    curves = ("target", "target_null", "pivot", "pivot_null")
    pair = lenses(without=[("hi", curve) for curve in curves])
    figure = lens_differences_figure(pair)
    assert [note.text for note in figure.layout.annotations].count("nothing could be read") == 1
    heads = [note.text for note in lens_change_figure(pair).layout.annotations]
    assert "<b>mean over 3 languages never seen in training</b>" in heads


def test_a_single_layer_is_a_point():
    base, tuned = (part.table[part.table["layer"] == 1] for part in (lens(), lens(noise=1)))
    made = lens().provenance
    pair = compare_lenses(*(type(lens())(table=table, provenance=made) for table in (base, tuned)))
    assert any(trace.mode == "markers" for trace in lens_change_figure(pair).data)


def test_titles_of_narrow_maps_stay_over_their_own(pair):
    """Once "right word, in the target language" was written over "English gap"."""
    figure = _figure(pair, "target", "gap")
    least = figure.layout.meta["least_width"]
    plot = least - figure.layout.margin.l - figure.layout.margin.r
    titles = [
        note for note in figure.layout.annotations if note.yref == "paper" and note.text.startswith("<b>")
    ]
    assert [re.sub("</b><br><b>", " ", note.text) for note in titles] == [
        "<b>right word, in the target language</b>", "<b>English gap</b>",
    ]  # fmt: skip
    for note, end in zip(titles, [titles[1].x, 1], strict=True):
        longest = max(len(line) for line in re.findall("<b>(.*?)</b>", note.text))
        assert longest * 7 <= (end - note.x) * plot
    lines = max(note.text.count("<b>") for note in titles)
    assert figure.layout.margin.t >= 84 + 17 * lines


def test_a_comparison_of_another_measure_alone_has_its_map(tmp_path):
    """Once all was computed and then no report written, since no map was made for that measure."""
    result = whole(tmp_path)
    table = result.alignment.table
    only = replace(result.alignment, table=table[table["measure"] == "pearson_pc1"].reset_index(drop=True))
    (entry,) = comparison_maps(replace(result, lens=None, alignment=only))
    assert entry.title == "English: Pearson r of component 1" and len(entry.table)


@pytest.mark.parametrize(("layers", "widest"), [(4, 900), (9, 900), (30, 900), (60, 132 + 18 + 6 * 4 * 60)])
def test_four_maps_are_in_view_in_a_notebook(layers, widest):
    rows = [("en", layer, 0.1, 0.2, 0.1, 0.0, 0.2, 9, "") for layer in range(1, layers + 1)]
    columns = ["language", "layer", "before", "after", "difference", "low", "high", "n", "change"]
    one = ChangeMap("a measure", "a measure", pd.DataFrame(rows, columns=columns))
    figure = change_figure([one] * 4, Provenance("pocket", "sentiment", ("en",)))
    assert 640 <= figure.layout.meta["least_width"] <= widest
