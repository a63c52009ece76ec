"""Alignment figures: what they show is what the result holds, marks stand where flags are, text stays text."""

import numpy as np
import pytest

from latentlang.errors import InputError
from latentlang.figures import write_html
from latentlang.figures.alignment import alignment_heatmap
from latentlang.figures.alignment_curves import MOST_PANELS, alignment_curves
from latentlang.figures.alignment_tables import alignment_table
from latentlang.geometry import AlignmentResult
from tests.support.alignment_standin import alignment_result, without


def _maps(figure):
    return [trace for trace in figure.data if trace.type == "heatmap"]


def _cell(result, pair, layer, measure, pool, column="value"):
    rows = result.rows(measure, pool)
    rows = rows[(rows["language_a"] == pair[0]) & (rows["language_b"] == pair[1]) & (rows["layer"] == layer)]
    return float(rows[column].iloc[0])


def test_cells_are_the_values_pairs_sorted_by_what_they_have_above_chance():
    result = alignment_result()
    figure = alignment_heatmap(result, measure="cka")
    first, second = _maps(figure)
    assert list(first.y) == ["German – Hindi", "English – Hindi", "English – German"]
    assert list(first.x) == [0, 1, 2, 3]
    for row, pair in enumerate((("de", "hi"), ("en", "hi"), ("en", "de"))):
        for layer in range(4):
            assert first.z[row][layer] == pytest.approx(_cell(result, pair, layer, "cka", "mean"), abs=1e-6)
            assert second.z[row][layer] == pytest.approx(
                _cell(result, pair, layer, "cka", "question"), abs=1e-6
            )
    assert list(second.y) == list(first.y)
    assert first.customdata[0][1][2] == pytest.approx(0.02)
    assert first.zmin == pytest.approx(0.02)  # white is chance
    assert first.zmax == pytest.approx(result.table["value"].max())
    headings = [note.text for note in figure.layout.annotations]
    assert headings == ["<b>all tokens</b>", "<b>question only</b>", "linear CKA, debiased"]
    # over the bar: as the bar's own title it would be written onto it
    assert first.colorbar.title.text is None and figure.layout.annotations[-1].yref == "paper"
    assert not figure.layout.updatemenus


def test_a_distance_is_dark_where_it_is_small():
    result = alignment_result()
    result.table["null_mean"] = 0.9
    figure = alignment_heatmap(result, measure="procrustes")
    heat = _maps(figure)[0]
    assert heat.reversescale
    assert heat.zmax == pytest.approx(0.9)
    assert heat.zmin == pytest.approx(0.1)
    assert next(iter(heat.y)) == "English – German"


def test_a_direction_is_said():
    figure = alignment_heatmap(alignment_result(), measure="retrieval_ab")
    assert "English → German" in _maps(figure)[0].y


def test_marks_stand_where_the_flags_are():
    flags = {
        (("en", "de"), 2, "cka", "mean"): "length bos",
        (("de", "hi"), 0, "cka", "question"): "chance",
        (("de", "hi"), 0, "pearson_pc1", "mean"): "chance",
    }
    figure = alignment_heatmap(alignment_result(flags=flags), measure="cka")
    marks = {trace.legendgroup: trace for trace in figure.data if trace.type == "scatter"}
    assert (list(marks["length"].x), list(marks["length"].y)) == ([2], ["English – German"])
    assert marks["length"].xaxis == "x"
    assert (list(marks["chance"].x), list(marks["chance"].y)) == ([0], ["German – Hindi"])
    assert marks["chance"].xaxis == "x2"
    assert _maps(figure)[0].text[2][2] == "length, bos"


def test_the_menu_shows_one_measure_at_a_time():
    figure = alignment_heatmap(alignment_result())
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons][:2] == [
        "Pearson r of component 1",
        "linear CKA, debiased",
    ]
    shown = [trace.visible for trace in figure.data]
    for place, button in enumerate(menu.buttons):
        visible, layout = button.args
        seen_languages = [
            trace for trace, wanted in zip(figure.data, visible["visible"], strict=True) if wanted
        ]
        assert len([trace for trace in seen_languages if trace.type == "heatmap"]) == 2
        assert list(layout["yaxis.categoryarray"]) == list(seen_languages[0].y)
        if place == 0:
            assert visible["visible"] == shown


def test_many_pairs_are_named_by_codes_and_few_rows_stay_readable():
    codes = ("en", "de", "fr", "es", "it", "nl", "ja", "ru", "sv", "sl", "pl")
    figure = alignment_heatmap(alignment_result(codes, measures=("cka",)))
    assert "en – de" in _maps(figure)[0].y
    assert figure.layout.height < 55 * 24
    assert _maps(figure)[0].texttemplate is None


def test_curves_are_the_values_with_bands_null_and_what_length_leaves():
    result = alignment_result()
    figure = alignment_curves(result, measure="cka")
    headings = [note.text for note in figure.layout.annotations]
    assert headings == ["<b>English – German</b>", "<b>English – Hindi</b>", "<b>German – Hindi</b>"]
    first = [trace for trace in figure.data if trace.xaxis == "x"]
    named = {trace.name: trace for trace in first}
    pair = ("en", "de")
    values = [_cell(result, pair, layer, "cka", "mean") for layer in range(4)]
    np.testing.assert_allclose(named["all tokens"].y, values)
    np.testing.assert_allclose(named["all tokens, prompt length taken out"].y, np.array(values) - 0.01)
    assert named["all tokens, prompt length taken out"].line.dash == "6px,4px"
    np.testing.assert_allclose(named["question only"].y, np.array(values) + 0.005)
    band = named["interval over items"]
    np.testing.assert_allclose(band.y[:4], np.array(values) + 0.05)
    np.testing.assert_allclose(band.y[4:][::-1], np.array(values) - 0.05)
    null = named["chance (band of the null)"]
    assert set(np.round(null.y, 3)) == {-0.08, 0.12}
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert len(legend) == len(set(legend)) == 5


def test_one_pair_has_a_panel_for_each_measure():
    figure = alignment_curves(alignment_result(("en", "de")))
    assert [note.text for note in figure.layout.annotations] == [
        "Pearson r of component 1", "linear CKA, debiased", "orthogonal Procrustes distance",
        "retrieval by cosine, first to second",
    ]  # fmt: skip
    assert "English and German" in figure.layout.title.text
    same = alignment_result(("en", "de")).figure()
    assert [trace.name for trace in same.data] == [trace.name for trace in figure.data]


def test_of_many_pairs_those_with_the_pivot_come_first_and_the_rest_is_said():
    codes = ("de", "fr", "es", "it", "nl", "ja", "en", "ru")
    figure = alignment_curves(alignment_result(codes))
    headings = [note.text for note in figure.layout.annotations]
    assert len(headings) == MOST_PANELS
    assert all("English" in text for text in headings[:7])
    assert figure.layout.meta["how_to_read"][-1] == "8 more pairs are in the table and the heat map."
    chosen = alignment_curves(alignment_result(codes), pairs=[("en", "de"), ("ja", "es")])
    assert [note.text for note in chosen.layout.annotations] == [
        "<b>German – English</b>",
        "<b>Spanish – Japanese</b>",
    ]


def test_what_was_not_measured_leaves_an_empty_panel_not_an_error():
    result = alignment_result()
    gone = result.table["language_b"] == "hi"
    result.table.loc[gone, ["value", "low", "high", "null_low", "null_high", "null_mean", "p", "partial"]] = (
        np.nan
    )
    assert len(alignment_curves(result).layout.annotations) == 3
    assert len(_maps(alignment_heatmap(result, measure="cka"))) == 2
    everything = without(result, "value", "low", "high", "null_low", "null_high", "null_mean", "p", "partial")
    alignment_heatmap(everything)
    alignment_curves(everything)
    alignment_table(everything)


def test_without_null_and_interval_the_values_are_still_drawn():
    bare = without(alignment_result(), "low", "high", "null_mean", "null_low", "null_high", "p", "p_family")
    names = {trace.name for trace in alignment_curves(bare).data}
    assert names == {"all tokens", "all tokens, prompt length taken out", "question only"}
    (heat, *_) = maps = _maps(alignment_heatmap(bare))
    assert heat.zmin == pytest.approx(min(one.z.min() for one in maps))
    assert heat.zmax == pytest.approx(max(one.z.max() for one in maps))
    assert not any("chance" in text for text in heat.colorbar.ticktext)


def test_a_distance_without_a_null_is_drawn_on_its_own_scale():
    bare = without(alignment_result(), "low", "high", "null_mean", "null_low", "null_high", "p", "p_family")
    (heat, *_) = maps = _maps(alignment_heatmap(bare, measure="procrustes"))
    assert heat.zmin == pytest.approx(min(one.z.min() for one in maps))
    assert heat.zmax == pytest.approx(max(one.z.max() for one in maps))


def test_the_table_is_the_papers_with_base_and_tuned_side_by_side():
    flags = {
        (("en", "de"), 2, "pearson_pc1", "mean"): "chance",
        (("en", "hi"), 2, "pearson_pc1", "mean"): "length",
    }
    base, tuned = alignment_result(flags=flags), alignment_result()
    (table,) = alignment_table({"base": base, "tuned": tuned}, layers=[2, 3]).data
    header = list(table.header["values"])
    assert header[1:] == [
        "<b>layer 2</b><br>base", "<b>layer 2</b><br>tuned", "<b>layer 3</b><br>base", "<b>layer 3</b><br>tuned"
    ]  # fmt: skip
    columns = table.cells["values"]
    assert list(columns[0]) == ["English – German", "English – Hindi", "German – Hindi"]
    assert list(columns[1]) == ["0.200<br>(0.190)", "0.220 †<br>(0.210)", "0.240<br>(0.230)"]
    assert table.cells["font"]["color"][1][0] != table.cells["font"]["color"][1][1]
    (alone,) = alignment_table(base).data
    assert len(alone.cells["values"]) == 5


def test_a_saved_result_draws_the_same(tmp_path):
    result = alignment_result()
    again = AlignmentResult.load(result.save(tmp_path))
    for draw in (alignment_heatmap, alignment_curves, alignment_table):
        assert draw(again).to_json() == draw(result).to_json()


def test_text_from_data_is_escaped(tmp_path):
    odd = "<img src=x onerror=alert(1)>"
    result = alignment_result(("en", odd), model=odd, pools=("mean", odd))
    for number, draw in enumerate((alignment_heatmap, alignment_curves, alignment_table)):
        figure = draw(result)
        assert "<img" not in figure.layout.title.subtitle.text
        assert all("<img" not in str(note.text) for note in figure.layout.annotations)
        page = write_html(figure, tmp_path / f"{number}.html", title="t").read_text(encoding="utf-8")
        assert "<img" not in page.split("</script>")[-1]
    assert "<img" not in str(_maps(alignment_heatmap(result))[0].y)
    assert "<img" not in str(alignment_table(result).data[0].cells["values"])


@pytest.mark.parametrize(
    ("draw", "options", "message"),
    [
        (alignment_heatmap, {"measure": "mutual_knn"}, "unknown measure of this result 'mutual_knn'"),
        (alignment_heatmap, {"pools": ["last"]}, "unknown pooling of this result 'last'"),
        (alignment_heatmap, {"pools": []}, "no alignment to draw"),
        (alignment_curves, {"pairs": [("en", "ja")]}, "no pair 'en-ja'"),
        (alignment_curves, {"pools": "last"}, "unknown pooling of this result 'last'"),
        (alignment_table, {"layers": [9]}, "no layer 9"),
        (alignment_table, {"measure": "mutual_knn"}, "unknown measure of this result 'mutual_knn'"),
    ],
)
def test_bad_options_are_named(draw, options, message):
    with pytest.raises(InputError, match=message):
        draw(alignment_result(), **options)


def test_the_menu_changes_the_heading_of_the_bar_too():
    figure = alignment_heatmap(alignment_result())
    place = len(figure.layout.annotations) - 1
    for button in figure.layout.updatemenus[0].buttons:
        assert button.args[1][f"annotations[{place}].text"] == button.label
    assert figure.layout.annotations[place].text == figure.layout.updatemenus[0].buttons[0].label
