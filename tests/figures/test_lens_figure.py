"""What a lens figure holds: every curve with its band, null and n, in words, for one language and for many."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from latentlang.errors import InputError
from latentlang.figures import lens_figure
from latentlang.figures.layout import ceiling, layer_ticks, step
from latentlang.figures.text_width import pixels
from latentlang.language_names import GROUPS, language
from latentlang.lens.result import LensResult
from tests.support.lens_standin import lens_result

MISSING = "no token begins only this language's answer"


def lines(figure: go.Figure) -> list[go.Scatter]:
    """The curves, without their bands."""
    return [trace for trace in figure.data if trace.type == "scatter" and trace.fill is None]


def bands(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.type == "scatter" and trace.fill == "toself"]


def texts(figure: go.Figure) -> list[str]:
    return [note.text.replace("<br>", " ") for note in figure.layout.annotations]


def test_one_language_has_its_curves_with_names_a_newcomer_understands() -> None:
    figure = lens_figure(lens_result(["ja"]))
    named = {trace.legendgroup: trace.name for trace in lines(figure)}
    assert named == {
        "target": "Japanese: right word",
        "target_null": "Japanese: other words of the category (null)",
        "pivot": "English: right word",
        "pivot_null": "English: other words of the category (null)",
    }
    assert {trace.line.dash for trace in lines(figure) if not trace.legendgroup.endswith("null")} == {"solid"}
    assert "solid" not in {trace.line.dash for trace in lines(figure) if trace.legendgroup.endswith("null")}
    assert all(trace.showlegend for trace in lines(figure))


def test_the_prompts_own_word_is_a_third_thin_curve() -> None:
    figure = lens_figure(lens_result(["ja"], copied=True))
    named = {trace.legendgroup: trace for trace in lines(figure)}
    assert named["source"].name == "French: the prompt's own word"
    assert named["source_null"].name == "French: other words of the category (null)"
    thinnest = min(named[role].line.width for role in ("target", "pivot", "target_null", "pivot_null"))
    assert named["source"].line.width < thinnest and named["source_null"].line.dash != "solid"
    assert any("stands in the prompt itself" in text for text in figure.layout.meta["how_to_read"])
    plain = lens_figure(lens_result(["ja"]))
    assert not any("stands in the prompt itself" in text for text in plain.layout.meta["how_to_read"])
    # several languages, each with its own source
    mixed = lens_result(["ja", "fr"], copied=True, settings={"sources": {"ja": "fr", "fr": "de"}})
    shown = {trace.name for trace in lines(lens_figure(mixed)) if trace.legendgroup == "source"}
    assert shown == {"Language of the prompt: the prompt's own word"}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            "exclusive",
            "A token that can begin both this word and the answer in English or Japanese counts for neither",
        ),
        (
            "shared",
            "A token that can begin both this word and the answer in English or Japanese counts for neither",
        ),
        (
            "drop",
            "Items of which this word and the answer in English or Japanese can begin with one token are left out",
        ),
        ("sequence", "Items of which this word is spelled as the answer in English or Japanese are left out"),
    ],
)
def test_the_caption_says_what_the_policy_does_with_copies(policy: str, said: str) -> None:
    result = lens_result(["ja"], copied=True)
    result = replace(result, provenance=replace(result.provenance, policy=policy))
    (own,) = [
        text for text in lens_figure(result).layout.meta["how_to_read"] if "stands in the prompt" in text
    ]
    assert said in own and own.count("so that a copy is not taken for an answer") == 1
    assert "can be read as an answer" not in " ".join(lens_figure(result).layout.meta["how_to_read"])
    assert ("counts for neither" in own) == (policy in ("exclusive", "shared"))


def test_the_caption_says_that_published_sets_take_copies_for_answers() -> None:
    result = lens_result(["ja"])
    result = replace(result, provenance=replace(result.provenance, policy="drop", protocol="as-published"))
    assert "a copy of it can be read as an answer" in " ".join(lens_figure(result).layout.meta["how_to_read"])


def test_a_closed_task_adds_the_curves_of_all_labels() -> None:
    figure = lens_figure(lens_result(["ja"], task="sentiment", closed=True))
    named = {trace.legendgroup: trace.name for trace in lines(figure)}
    assert named["target_any"] == "Japanese: all labels' words"
    assert named["pivot_null"] == "English: other labels' words (null)"
    assert len(named) == 6
    assert figure.layout.title.text.startswith("<b>What each layer would say: sentiment in Japanese</b>")


def test_curves_bands_and_hover_are_the_summarys_numbers() -> None:
    result = lens_result(["ja"], layers=5)
    summary = result.summary().set_index(["curve", "layer"])
    figure = lens_figure(result)
    for trace in lines(figure):
        own = summary.loc[trace.legendgroup].sort_index()
        assert list(trace.x) == [1, 2, 3, 4, 5]
        np.testing.assert_allclose(trace.y, own["mean"])
        np.testing.assert_allclose(trace.customdata, own[["low", "high", "n"]])
        assert "customdata[0]" in trace.hovertemplate and "n = %{customdata[2]:d}" in trace.hovertemplate
    for trace in bands(figure):
        own = summary.loc[trace.legendgroup].sort_index()
        np.testing.assert_allclose(trace.y[:5], own["high"])
        np.testing.assert_allclose(trace.y[5:][::-1], own["low"])
        assert trace.hoverinfo == "skip" and trace.showlegend is False
    assert len(bands(figure)) == len(lines(figure)) == 4


def test_the_entropy_strip_lies_above_and_is_in_bits() -> None:
    result = lens_result(["ja"])
    figure = lens_figure(result)
    (strip,) = [trace for trace in figure.data if trace.type == "heatmap"]
    own = result.summary().query("curve == 'entropy'").sort_values("layer")
    np.testing.assert_allclose(strip.z[0], own["mean"])
    assert "bits" in strip.hovertemplate and strip.texttemplate == "%{z:.1f}"
    layout = figure.layout
    assert strip.xaxis == "x" and layout.yaxis2.domain[0] > layout.yaxis.domain[1]
    assert "(bits)" in layout.yaxis2.ticktext[0]
    assert layout.coloraxis.cmin == 0 and layout.coloraxis.cmax >= own["mean"].max()


def test_axes_have_names_units_and_whole_layers() -> None:
    layout = lens_figure(lens_result(["ja"])).layout
    assert layout.xaxis.title.text == "layer (residual stream after block)"
    assert layout.yaxis.title.text == "probability"
    assert list(layout.xaxis.tickvals) == list(range(1, 9))


def test_title_and_subtitle_say_what_was_asked_of_which_model() -> None:
    figure = lens_figure(lens_result(["ja"], items=9, model="some/model", adapter="my-lora"))
    assert "What each layer would say: French to Japanese" in figure.layout.title.text
    assert "日本語" in figure.layout.title.text
    said = figure.layout.title.subtitle.text
    for part in (
        "model some/model",
        "adapter my-lora",
        "9 items",
        "4 shots",
        "policy exclusive",
        "accuracy 0.98",
    ):
        assert part in said
    assert "no adapter" in lens_figure(lens_result(["ja"])).layout.title.subtitle.text


@pytest.mark.parametrize(
    "codes", [["ja"], ["ja", "hi", "th", "ar"], list(GROUPS["paper20"]), list(GROUPS["flores101"][:26])]
)
def test_every_language_has_a_panel_of_its_own_with_its_names(codes: list[str]) -> None:
    figure = lens_figure(lens_result(codes, items=4))
    others = [code for code in codes if code != "en"]
    assert len([trace for trace in figure.data if trace.type == "heatmap"]) == len(codes)
    assert len([trace for trace in lines(figure) if trace.legendgroup == "target"]) == len(codes)
    assert len([trace for trace in lines(figure) if trace.legendgroup == "pivot"]) == len(others)
    shown = [trace.legendgroup for trace in lines(figure) if trace.showlegend]
    assert sorted(shown) == ["pivot", "pivot_null", "target", "target_null"]  # one legend
    if len(codes) > 1:
        headings = " ".join(texts(figure))
        for code in codes:
            assert language(code).own_name in headings and language(code).name in headings
        assert "layer (residual stream after block)" in headings
        assert "entropy (bits)" in headings and figure.layout.coloraxis.showscale
        assert f"French to {len(codes)} languages" in figure.layout.title.text


def test_panels_share_their_axes_and_do_not_overlap() -> None:
    figure = lens_figure(lens_result(list(GROUPS["paper20"]), items=3))
    boxes = []
    for place in range(1, 21):
        x = figure.layout[f"xaxis{place if place > 1 else ''}"]
        y = figure.layout[f"yaxis{place if place > 1 else ''}"]
        strip = figure.layout[f"yaxis{20 + place}"]
        if place > 1:
            assert (x.matches, y.matches) == ("x", "y")
        assert 0 <= y.domain[0] < y.domain[1] < strip.domain[0] < strip.domain[1] <= 1
        boxes.append((*x.domain, y.domain[0], strip.domain[1]))
    for place, (left, right, low, high) in enumerate(boxes):
        for left2, right2, low2, high2 in boxes[place + 1 :]:
            assert right <= left2 or right2 <= left or high <= low2 or high2 <= low


def test_a_language_without_a_readable_answer_says_so_and_keeps_the_pivot() -> None:
    gone = [("es", "target"), ("es", "target_null")]
    for codes in (["es"], ["ja", "es", "hi"]):
        figure = lens_figure(
            lens_result(codes, without=gone, settings={"notes": {"es": "12 of 12 cannot be read"}})
        )
        (note,) = [n for n in figure.layout.annotations if n.text.replace("<br>", " ") == MISSING]
        assert note.hovertext == "12 of 12 cannot be read"
        y = figure.layout[f"yaxis{codes.index('es') + 1 if codes.index('es') else ''}"]
        assert note.yref == "paper" and y.domain[0] < note.y < y.domain[1]
        assert len([trace for trace in lines(figure) if trace.legendgroup == "pivot"]) == len(codes)
        assert len([trace for trace in lines(figure) if trace.legendgroup == "target"]) == len(codes) - 1
    assert MISSING not in texts(lens_figure(lens_result(["ja"])))


def test_a_language_with_no_rows_at_all_keeps_its_panel() -> None:
    result = lens_result(["ja", "es"])
    table = result.table[result.table["language"] != "es"]
    figure = lens_figure(LensResult(table=table, provenance=result.provenance))
    assert "nothing could be read in this language" in texts(figure)
    assert len([trace for trace in figure.data if trace.type == "heatmap"]) == 1


def test_answers_that_only_some_items_have_are_counted_out() -> None:
    result = lens_result(["ja"], items=12)
    lost = result.table["curve"].isin(["target", "target_null"]) & result.table["item"].isin(["0", "1", "2"])
    figure = lens_figure(LensResult(table=result.table[~lost], provenance=result.provenance))
    assert texts(figure) == ["Japanese: 9 of 12 answers can be read"]
    (target,) = [trace for trace in lines(figure) if trace.legendgroup == "target"]
    assert {row[2] for row in target.customdata} == {9}


def test_the_pivots_own_panel_has_one_pair_of_curves_and_no_complaint() -> None:
    figure = lens_figure(lens_result(["en"]))
    assert {trace.legendgroup for trace in lines(figure)} == {"target", "target_null"}
    assert texts(figure) == []


def test_a_joined_result_names_all_sources() -> None:
    figure = lens_figure(lens_result(["ja", "fr"], settings={"sources": {"ja": "fr", "fr": "de"}}))
    assert "French or German to 2 languages" in figure.layout.title.text


def test_one_item_has_no_interval_to_draw_wrongly() -> None:
    figure = lens_figure(lens_result(["ja"], items=1))
    assert len(lines(figure)) == 4
    json.loads(figure.to_json())


def test_unknown_intervals_leave_the_curve() -> None:
    result = lens_result(["ja"])

    class NoIntervals(LensResult):
        def summary(self, level: float = 0.95) -> pd.DataFrame:
            return super().summary(level).assign(low=np.nan, high=np.nan)

    figure = lens_figure(NoIntervals(table=result.table, provenance=result.provenance))
    assert bands(figure) == [] and len(lines(figure)) == 4


def test_a_saved_result_draws_the_same(tmp_path) -> None:
    result = lens_result(["ja", "hi"])
    result.save(tmp_path / "run")
    again = LensResult.load(tmp_path / "run")
    assert lens_figure(again).to_json() == lens_figure(result).to_json()
    assert again.figure().to_json() == lens_figure(result).to_json()


@pytest.mark.parametrize("scale", [1.07, 0.3, 1e-4, 0.0])
def test_probabilities_start_at_zero_end_at_most_at_one_and_fit(scale: float) -> None:
    figure = lens_figure(lens_result(["ja"], scale=scale))
    low, high = figure.layout.yaxis.range
    top = max(max(trace.y) for trace in bands(figure))
    assert -0.02 * high <= low <= 0 and top <= high <= 1.02
    assert top >= 0.4 * high or top == 0


def test_round_ceilings_steps_andlayer_ticks() -> None:
    assert [ceiling(value) for value in (0, 0.97, 0.99, 1.0, 0.55)] == [1, 1, 1, 1, pytest.approx(0.6)]
    for value in np.geomspace(1e-7, 1, 200):
        top = ceiling(value)
        assert value <= top <= 1 and top / step(top, 4) <= 4.0001
    assert layer_ticks(range(1, 33), 5) == [1, 8, 16, 24, 32]
    for last in (*range(1, 90), 126):
        for most in (5, 9, 17):
            ticks = layer_ticks(range(1, last + 1), most)
            assert ticks[0] == 1 and ticks[-1] == last and ticks == sorted(set(ticks))
            assert len(ticks) <= most + 1


def test_nothing_to_draw_and_two_tasks_are_refused_in_words() -> None:
    result = lens_result(["ja"])
    with pytest.raises(InputError, match="nothing to draw"):
        lens_figure(LensResult(table=result.table.iloc[:0], provenance=result.provenance))
    two = pd.concat([result.table, result.table.assign(task="sentiment")])
    with pytest.raises(InputError, match="translation, sentiment"):
        lens_figure(LensResult(table=two, provenance=result.provenance))


def test_text_from_data_cannot_be_markup_or_a_variable() -> None:
    bad = '<script>alert(1)</script><a href="x">%{y}'
    result = lens_result(
        ["ja", "ar"],
        model=bad,
        adapter=bad,
        task=bad,
        settings={"source": bad, "lens": bad, "notes": {"ja": bad}},
    )
    table = result.table[~result.table["curve"].isin(["target"])]
    figure = lens_figure(LensResult(table=table, provenance=result.provenance))
    drawn = figure.to_dict()
    drawn["layout"].pop("meta")  # plain text, never drawn by plotly; write_html escapes it
    everything = json.dumps(drawn, default=str)
    assert "alert(1)" in everything  # shown, as text
    assert "<script" not in everything and "<a " not in everything and "%{y}" not in everything


def test_an_unknown_language_code_is_shown_as_text() -> None:
    figure = lens_figure(lens_result(["<b>qq", "ja"], items=3))
    assert any("&lt;b&gt;qq" in text for text in texts(figure))
    assert not any("<b>qq" in text for text in texts(figure))


def test_drawing_leaves_the_result_and_the_users_plotly_as_they_were() -> None:
    import plotly.io as pio

    result = lens_result(["ja"])
    before, templates = result.table.copy(), (pio.templates.default, set(pio.templates))
    lens_figure(result)
    pd.testing.assert_frame_equal(result.table, before)
    assert (pio.templates.default, set(pio.templates)) == templates


def test_a_tuned_lens_is_named_in_title_subtitle_caption_and_footer() -> None:
    plain, tuned = (
        lens_figure(lens_result(["ja"], settings={"lens": lens})).layout for lens in ("logit", "tuned")
    )
    assert "through a tuned lens: French to Japanese" in tuned.title.text.replace("<br>", " ")
    assert "· tuned lens ·" in tuned.title.subtitle.text and "· logit lens ·" in plain.title.subtitle.text
    assert "tuned lens" in tuned.meta["made_with"] and "logit lens" in plain.meta["made_with"]
    caption = " ".join(tuned.meta["how_to_read"])
    assert "never instead of it" in caption and "were the model to stop here" not in caption
    caption = " ".join(plain.meta["how_to_read"])
    assert "tuned" not in caption and "were the model to stop here" in caption


def test_one_item_is_not_several() -> None:
    said = lens_figure(lens_result(["ja"], items=1, settings={"shots": 1})).layout.title.subtitle.text
    assert "· 1 item · 1 shot ·" in said


@pytest.mark.parametrize("codes", [("ja",), ("ja", "hi", "de")])
@pytest.mark.parametrize("width", [None, 630, 760])
def test_no_name_of_the_legend_is_wider_than_its_column(codes, width):
    figure = lens_result(codes).figure(width=width)
    legend, room = figure.layout.legend, figure.layout.meta["least_width"] - 82
    assert legend.entrywidthmode == "fraction"
    columns = round(0.97 / legend.entrywidth)
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert len(names) >= 4 and max(pixels(name, 12) for name in names) + 45 <= legend.entrywidth * room
    # every row has its height below the plots
    assert figure.layout.margin.b >= 23 * -(-len(names) // columns) + 64
