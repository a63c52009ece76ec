"""Heat maps: what they show is what the result holds, and text from data stays text."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from latentlang.errors import InputError
from latentlang.figures import language_heatmap, overlap_heatmap, write_html
from latentlang.figures.style import TARGET, contrast, english_name, ink_on, tint, turned
from latentlang.lens.multilingual import MultilingualLensResult
from latentlang.provenance import Provenance

LAYERS = 6
ANSWER_LANGUAGES = ("en", "de", "hi", "fr", "ja", "th")


def _result(asked=("ja",), *, pivot=True, model="pocket", layers=LAYERS):
    """English in layers 2 to 4, the target language at the last one."""
    rng = np.random.default_rng(0)
    rows = []
    for code in asked:
        for item in range(12):
            for answer_language in ANSWER_LANGUAGES:
                for layer in range(1, layers + 1):
                    level = 0.01
                    if pivot and answer_language == "en" and 2 <= layer <= 4:
                        level = 0.3
                    if answer_language == code and layer == layers:
                        level = 0.9
                    for choice in range(3):
                        value = rng.uniform(0.8, 1.0) * (level if choice == 0 else 0.01)
                        curve = "answer" if choice == 0 else "wrong"
                        rows.append(
                            (
                                "translation",
                                code,
                                f"i{item}",
                                f"i{item}/{choice}",
                                layer,
                                answer_language,
                                curve,
                                value,
                            )
                        )
    columns = ["task", "language", "item", "label", "layer", "answer_language", "curve", "value"]
    made = Provenance(
        model=model, task="translation", languages=tuple(asked), packages={}, commit=None,
        settings={"source": "fr", "shots": 4, "accuracy": dict.fromkeys(asked, 0.9), "counted": "own tokens"},
    )  # fmt: skip
    return MultilingualLensResult(table=pd.DataFrame(rows, columns=columns), provenance=made)


def test_cells_are_the_scores_and_the_leader_is_framed():
    result = _result()
    pivot_test = result.pivot_test()
    figure = language_heatmap(result)
    (heat,) = figure.data
    names = figure.layout.yaxis.ticktext
    assert "Japanese" in names[0] and "target" in names[0]
    assert "French" in names[1] and "prompt" in names[1]
    assert "English" in names[2] and names[2].startswith("<b>")
    scores = pivot_test.scores.set_index(["answer_language", "layer"])["score"]
    for place, code in enumerate(("ja", "fr", "en")):
        np.testing.assert_allclose(heat.z[place], [scores[code, layer] for layer in heat.x])
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (1.5, 4.5, 1.5, 2.5)
    # Colours follow the square root up to the largest value of all: a quarter of it has half of the colour, so that
    # the last layer of the target language does not make all else pale, and what differs looks different.
    assert heat.zmax == pytest.approx(scores.max())
    positions = [position for position, _ in heat.colorscale]
    np.testing.assert_allclose(np.sqrt(positions), np.linspace(0, 1, len(positions)))
    assert heat.colorbar.tickvals[1] == pytest.approx(heat.zmax / 4)
    # what would be 0.00 is not written
    assert "" in heat.text[2] and all(
        (text == "") == (abs(value) < 0.005)
        and (not text or float(re.sub("<[^>]*>", "", text)) == pytest.approx(value, abs=0.005))
        for text, value in zip(heat.text[2], heat.z[2], strict=True)
    )
    # over the bar: as the bar's own title it would be written onto it
    assert heat.colorbar.title.text is None
    assert [note.text for note in figure.layout.annotations] == [
        "probability of the right word minus that of wrong ones"
    ]
    assert "layers 2 to 4" in figure.layout.title.subtitle.text


def test_a_language_of_the_order_that_was_read_on_no_item_has_an_empty_row():
    result = _result(("ja", "fr"))
    table = result.table
    unread = (table["language"] == "ja") & (table["answer_language"] == "th")
    part = replace(result, table=table[~unread])
    figure = language_heatmap(part, language="ja", order=["en", "th", "ja"])
    (heat,) = figure.data
    values = np.array(heat.z, float)
    assert np.isnan(values[1]).all() and np.isfinite(values[[0, 2]]).all()
    assert [
        english_name(code) in name
        for code, name in zip(("en", "th", "ja"), figure.layout.yaxis.ticktext, strict=True)
    ] == [True] * 3
    with pytest.raises(InputError, match="unknown answer language of this result 'xx'"):
        language_heatmap(part, language="ja", order=["en", "xx"])


def test_without_a_pivot_nothing_is_framed_and_the_reason_is_given():
    figure = language_heatmap(_result(pivot=False))
    assert not figure.layout.shapes
    assert "no pivot" in figure.layout.title.subtitle.text


def test_several_languages_are_drawn_together_or_one_by_one():
    result = _result(("ja", "hi"))
    pivot_test = result.pivot_test()
    together = language_heatmap(result, pivot_test=pivot_test)
    assert "2 languages" in together.layout.title.text
    assert "target language" in together.layout.yaxis.ticktext[0]
    alone = language_heatmap(result, pivot_test=pivot_test, language="hi", value="answer")
    assert "French to Hindi" in alone.layout.title.text
    expected = result.table.query("language == 'hi' and answer_language == 'en' and curve == 'answer'")
    expected = expected.groupby("layer")["value"].mean()
    place = next(i for i, name in enumerate(alone.layout.yaxis.ticktext) if "English" in name)
    np.testing.assert_allclose(alone.data[0].z[place], expected)


def test_a_saved_result_draws_the_same(tmp_path):
    result = _result()
    again = MultilingualLensResult.load(result.save(tmp_path))
    assert again.figure().to_json() == result.figure().to_json()


def test_many_layers_have_few_ticks_and_no_numbers():
    figure = language_heatmap(_result(layers=48))
    assert figure.data[0].texttemplate is None
    assert len(figure.layout.xaxis.tickvals) <= 20
    assert figure.layout.xaxis.tickvals[-1] == 48


def test_text_from_data_is_escaped(tmp_path):
    figure = language_heatmap(_result(model="<img src=x onerror=alert(1)>%{x}"))
    page = write_html(figure, tmp_path / "page.html", title="heat map").read_text(encoding="utf-8")
    assert "<img" not in page.split("</script>")[-1]
    assert "<img" not in figure.layout.title.subtitle.text
    odd = pd.DataFrame([[2, 1], [1, 3]], index=["en", "<b>x"], columns=["en", "<b>x"])
    overlap = overlap_heatmap(odd, title="<i>", subtitle="%{y}")
    assert "<i>" not in overlap.layout.title.text
    assert "%{" not in overlap.layout.title.subtitle.text
    assert all("<b>" not in name for name in overlap.layout.yaxis.ticktext)
    assert "<b>" not in str(overlap.data[0].customdata)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"value": "gap"}, "unknown value 'gap'"), ({"language": "de"}, "unknown target language 'de'")],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        language_heatmap(_result(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"languages": ["ja", "hi"]}, "one language is needed here, not ja, hi"),
     ({"curves": ["score", "null"]}, "one curve is needed here, not score, null")],
)  # fmt: skip
def test_several_where_one_can_be_drawn_are_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        _result().figure(**options)


def test_overlap_colours_are_shares_of_the_row_and_numbers_are_counts():
    counts = pd.DataFrame([[10, 5, 0], [5, 20, 2], [0, 2, 4]], index=list("abc"), columns=list("abc"))
    (heat,) = overlap_heatmap(counts).data
    np.testing.assert_allclose(
        np.array(heat.z, float), [[np.nan, 0.5, 0], [0.25, np.nan, 0.1], [0, 0.5, np.nan]]
    )
    written = {(note.y, note.x): note.text for note in overlap_heatmap(counts).layout.annotations}
    assert written[0, 1] == "5"
    assert written[1, 1] == "20"
    (same,) = overlap_heatmap(counts / np.diag(counts)[:, None]).data
    np.testing.assert_allclose(np.array(same.z, float), np.array(heat.z, float))
    written = {
        (n.y, n.x): n.text for n in overlap_heatmap(counts / np.diag(counts)[:, None]).layout.annotations
    }
    assert written[0, 1] == "50%"


def test_overlap_names_languages_and_says_who_has_no_tokens():
    counts = pd.DataFrame([[3, 0], [0, 0]], index=["hi", "th"], columns=["hi", "th"])
    figure = overlap_heatmap(counts)
    assert english_name("hi") in figure.layout.yaxis.ticktext[0]
    assert "Thai has no tokens" in figure.data[0].customdata[1][0]
    assert "Hindi and Thai: 0 tokens, 0% of Hindi's" in figure.data[0].customdata[0][1]


def test_an_overlap_table_must_be_square():
    with pytest.raises(InputError, match="same languages in rows and columns"):
        overlap_heatmap(pd.DataFrame([[1, 2]], index=["en"], columns=["en", "de"]))
    with pytest.raises(InputError, match="at least one"):
        overlap_heatmap(pd.DataFrame())


def test_rows_say_how_many_items_could_be_read_and_who_has_no_row():
    result = _result()
    lost = (result.table["answer_language"] == "en") & result.table["item"].isin(["i0", "i1"]) | (
        result.table["answer_language"] == "th"
    )
    made = replace(
        result.provenance, settings={**result.provenance.settings, "candidates": list(ANSWER_LANGUAGES)}
    )
    figure = language_heatmap(replace(result, table=result.table[~lost], provenance=made))
    names = {
        name.split(" <")[0].removeprefix("<b>").split()[0]: name for name in figure.layout.yaxis.ticktext
    }
    assert "(10 of 12)" in names["English"] and "Thai" not in names
    assert all(" of 12" not in name for key, name in names.items() if key != "English")
    said = figure.layout.title.subtitle.text.replace("<br>", " ")
    assert "not shown, since too few items can be read: Thai" in said and "12 items" in said
    assert "not shown" not in language_heatmap(result).layout.title.subtitle.text


@pytest.mark.parametrize("share", [0.3, 0.6, 0.65, 0.8, 0.99])
def test_numbers_of_an_overlap_are_written_in_the_colour_that_is_told_from_the_cell(share):
    table = pd.DataFrame([[1, share], [share, 1]], index=["de", "fr"], columns=["de", "fr"])
    figure = overlap_heatmap(table)
    cell = tint(TARGET, share)
    written = next(note for note in figure.layout.annotations if note.text == f"{share:.0%}")
    assert written.font.color == ink_on(cell) and contrast(written.font.color, cell) > 3
    assert contrast(turned(written.font.color), turned(cell)) > 3  # as a dark page shows it
