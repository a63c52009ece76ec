"""What an accuracy figure holds: every language's accuracy with its interval, chance, and what changed."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest

from latentlang.errors import InputError
from latentlang.evaluation import EvaluationResult, compare_evaluations
from latentlang.figures import accuracy_figure, write_html
from latentlang.language_names import GROUPS, language
from tests.support.chromium import open_page
from tests.support.evaluated import before_and_after, evaluated

CELLS = {"de": (30, 25, 2, 3), "zh": (40, 3, 4, 13), "th": (10, 0, 20, 30)}
BASE = {code: [n % 3 > 0 for n in range(12)] for code in ("de", "zh", "th")}


def points(figure: go.Figure) -> list[go.Scatter]:
    """The traces of accuracies, without legend keys."""
    return [trace for trace in figure.data if trace.error_x.array is not None]


def texts(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_points_intervals_and_hover_are_the_summarys_numbers() -> None:
    result = evaluated({"base": BASE})
    figure = accuracy_figure(result)
    languages, means = points(figure)
    summary = result.summary()
    np.testing.assert_allclose(languages.x, summary["accuracy"])
    np.testing.assert_allclose(np.array(languages.x) + languages.error_x.array, summary["high"])
    np.testing.assert_allclose(np.array(languages.x) - languages.error_x.arrayminus, summary["low"])
    assert list(languages.y) == [0, 1, 2]
    assert list(figure.layout.yaxis.ticktext) == ["German", "Chinese", "Thai", "<b>mean of 3</b>"]
    assert "8 of 12 right" in languages.customdata[0] and "Deutsch" in languages.customdata[0]
    averages = result.averages()
    np.testing.assert_allclose(means.x, averages["accuracy"])
    np.testing.assert_allclose(np.array(means.x) + means.error_x.array, averages["high_items"])
    assert set(means.marker.symbol) == {"diamond"}


@pytest.mark.parametrize(("task", "chance"), [("sentiment", 1 / 2), ("nli", 1 / 3)])
def test_chance_is_dashed_over_all_rows(task: str, chance: float) -> None:
    figure = accuracy_figure(evaluated({"base": BASE}, tasks=[task]))
    (line,) = [trace for trace in figure.data if trace.name == "chance"]
    assert list(line.x) == [chance, chance] and line.line.dash != "solid" and line.showlegend
    low, high = sorted(figure.layout.yaxis.range)
    assert min(line.y) <= low and max(line.y) >= high


def test_title_axis_and_subtitle_say_what_was_asked() -> None:
    figure = accuracy_figure(evaluated({"base": BASE}, model="some/model"))
    assert figure.layout.title.text == "<b>Accuracy: sentiment in 3 languages</b>"
    said = figure.layout.title.subtitle.text
    for part in ("model some/model", "12 items a language", "2 shots", "answers same", "score first-tokens"):
        assert part in said
    assert figure.layout.xaxis.title.text == "accuracy"
    assert figure.layout.xaxis.range[0] <= 0 and figure.layout.xaxis.range[1] >= 1
    one = accuracy_figure(evaluated({"base": {"ja": [True, False]}}))
    assert one.layout.title.text == "<b>Accuracy: sentiment in Japanese</b>"
    assert not [tick for tick in one.layout.yaxis.ticktext if "mean" in tick]


def test_before_and_after_are_told_apart_without_colour() -> None:
    result = before_and_after(CELLS, seen_languages=["zh"])
    figure = result.figure()
    summary = result.summary()
    shown = {}
    for state in ("base", "tuned"):
        own = [trace for trace in points(figure) if trace.legendgroup == state]
        languages = next(trace for trace in own if len(trace.x) == 3 and "diamond" not in trace.marker.symbol)
        np.testing.assert_allclose(languages.x, summary[summary["state"] == state]["accuracy"])
        assert list(languages.marker.symbol) == ["circle", "square", "circle"]  # seen in training: square
        shown[state] = languages
    assert all(np.array(shown["base"].y) < np.array(shown["tuned"].y))
    paper = figure.layout.template.layout.paper_bgcolor
    assert shown["base"].marker.color == paper != shown["tuned"].marker.color
    legend = {trace.name for trace in figure.data if trace.showlegend}
    assert {"before training (base)", "after (tuned)", "language seen in training", "chance"} <= legend
    ticks = list(figure.layout.yaxis.ticktext)
    assert ticks[:3] == ["German", "Chinese ■", "Thai"]
    assert ticks[3:] == ["<b>mean of 3</b>", "<b>seen: mean of 1</b>", "<b>unseen: mean of 2</b>"]


def test_changes_are_written_beside_and_bold_where_they_are_more_than_chance() -> None:
    result = before_and_after(CELLS)
    comparison = compare_evaluations(result)
    notes = {
        note.y: note for note in accuracy_figure(result, comparison).layout.annotations if note.hovertext
    }
    for place, row in enumerate(comparison.summary().itertuples()):
        text = f"{row.difference:+.2f}".replace("-", "−")
        assert text in notes[place].text and f"{row.low:+.2f}".replace("-", "−") in notes[place].text
        assert ("<b>" in notes[place].text) == bool(row.change)
    assert "<b>" in notes[0].text and "<b>" not in notes[1].text
    caption = " ".join(accuracy_figure(result, comparison).layout.meta["how_to_read"])
    assert comparison.describe() in caption
    assert "change" in texts(accuracy_figure(result, comparison))
    assert "change" not in texts(accuracy_figure(evaluated({"base": BASE})))


def test_nothing_changed_is_no_minus_nought() -> None:
    figure = before_and_after({"de": (30, 1, 1, 300), "fr": (1, 0, 0, 1)}).figure()
    assert [text.partition(" ")[0] for text in texts(figure) if "to" in text][:2] == ["0.00", "0.00"]


def test_each_task_has_a_panel_and_they_share_the_rows() -> None:
    tasks = ("sentiment", "nli", "paraphrase")
    figure = before_and_after(CELLS, tasks=tasks, seen_languages=["zh"]).figure()
    for name in tasks:
        assert f"<b>{name}</b>" in texts(figure)
    domains = [figure.layout[axis].domain for axis in ("xaxis", "xaxis2", "xaxis3")]
    assert all(a[1] < b[0] for a, b in pairwise(domains))
    assert figure.layout.yaxis2.matches == "y" and not figure.layout.yaxis3.showticklabels
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert len(named) == len(set(named))  # one legend
    assert "3 tasks in 3 languages" in figure.layout.title.text


def test_languages_where_a_label_cannot_be_chosen_are_grey_and_show_their_ceiling() -> None:
    result = evaluated({"base": BASE}, lost=["th"])
    figure = accuracy_figure(result)
    kept, grey, means = points(figure)
    assert (len(kept.x), len(grey.x)) == (2, 1) and list(grey.y) == [2]
    assert grey.marker.color != kept.marker.color
    (ceiling,) = [trace for trace in figure.data if trace.name == "highest there can be"]
    assert list(ceiling.x) == [0.5] and list(ceiling.y) == [2]
    assert "6 cannot be right" in grey.customdata[0]
    assert means.x[0] == pytest.approx(result.summary()["accuracy"][:2].mean())
    assert "<b>mean of 2</b>" in figure.layout.yaxis.ticktext
    assert any("upright stroke" in paragraph for paragraph in figure.layout.meta["how_to_read"])
    legend = [trace.name for trace in figure.data if trace.showlegend]
    assert "a label cannot be chosen" in legend


def test_a_tuned_state_alone_is_drawn_as_such() -> None:
    figure = accuracy_figure(evaluated({"tuned": BASE}))
    assert {trace.name for trace in points(figure)} == {"accuracy (tuned)"}
    assert "adapter my-lora" in figure.layout.title.subtitle.text


def test_text_from_outside_is_only_text() -> None:
    result = evaluated({"base": BASE}, model="<b>x</b>%{y}", settings={"after": "<i>z"})
    said = accuracy_figure(result).layout.title.subtitle.text
    assert "<b>" not in said and "<i>" not in said and "%{" not in said


def test_nothing_to_draw_is_refused() -> None:
    result = evaluated({"base": BASE})
    with pytest.raises(InputError, match="nothing to draw"):
        accuracy_figure(EvaluationResult(table=result.table.iloc[:0], provenance=result.provenance))


def test_a_saved_result_draws_the_same(tmp_path) -> None:
    result = before_and_after(CELLS, seen_languages=["zh"])
    result.save(tmp_path)
    assert EvaluationResult.load(tmp_path).figure().to_json() == result.figure().to_json()
    json.loads(result.figure().to_json())


@pytest.mark.browser
def test_a_page_with_twenty_languages_before_and_after_draws_without_complaint(tmp_path) -> None:
    cells = dict.fromkeys(GROUPS["paper20"], (20, 6, 4, 10))
    result = before_and_after(cells, tasks=("sentiment", "nli"), seen_languages=["zh", "es", "en"])
    page = write_html(result.figure(), tmp_path / "accuracy.html", title="accuracy")
    opened = open_page(page)
    assert opened.complaints == []
    drawn = re.sub(r"<[^>]+>", " ", opened.dom)
    for code in GROUPS["paper20"]:
        assert language(code).name in drawn
    assert opened.dom.count('class="xerror') >= 2 * 2 * 20  # an interval for each point
    assert "How to read this" in drawn
