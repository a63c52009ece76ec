"""The translation barrier where it is known how many wrong answers were right inside, and where none can be."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.lens import BarrierResult, translation_barrier
from latentlang.models import Edit
from latentlang.provenance import Provenance
from latentlang.stats.intervals import bootstrap_means, difference_of_shares, wilson
from latentlang.tasks import Concept
from tests.support.known import Known, written

LAYERS = 6


@pytest.fixture(scope="module")
def model() -> Known:
    """English from layer 2 on, the target language from layer 5 on."""
    return written({2: "en", 5: "target"}, n_layers=LAYERS)


def measured(lab: Known, **options: object) -> BarrierResult:
    given = {"languages": "ja", "shots": 2, "progress": False} | options
    return translation_barrier(lab.model, lab.task, **given)  # type: ignore[arg-type]


def test_the_share_of_wrong_answers_that_were_right_inside_is_found(model: Known) -> None:
    """Of 10 items 5 are corrupted after the last block alone, and 3 from the first: 5 of 8 are lost at the end."""
    prompts = model.task.prompts("ja", shots=2)
    assert len(prompts) == 10
    labels = [prompt.label for prompt in prompts]
    # another concept of the category, whose own prompt gives the states that are put in place
    others = [
        next(labels.index(name) for name in model.task.wrong_labels(label) if name in labels)
        for label in labels
    ]
    lm = model.model
    last = [len(prompt.ids) - 1 for prompt in lm.tokenize(prompts)]
    states = lm.activations(prompts, layers=list(range(1, LAYERS + 1)), logits=False).resid
    late, early = range(5), range(5, 8)
    at_end = Edit.replace(
        states[others][:, LAYERS - 1], layers=[LAYERS],
        positions=[[last[row]] if row in late else [] for row in range(10)],
    )  # fmt: skip
    throughout = Edit.replace(
        states[others], layers=list(range(1, LAYERS + 1)),
        positions=[[last[row]] if row in early else [] for row in range(10)],
    )  # fmt: skip
    with lm.edited([at_end, throughout]):
        result = measured(model)
    items = result.items().set_index("item").loc[[prompt.item for prompt in prompts]]
    assert items["answered"].tolist() == [False] * 8 + [True] * 2
    assert items["layer"].tolist() == [2] * 5 + [0] * 3 + [2] * 2
    assert set(items["answer_language"]) == {"en", ""}
    (row,) = result.summary().to_dict("records")
    assert (row["wrong"], row["items"], row["layer"]) == (8, 10, 2)
    assert row["readable"] == pytest.approx(5 / 8)
    # one of the five wrong labels of each of the three others
    assert row["chance"] == pytest.approx(3 * (1 / 5) / 8)
    assert row["barrier"] == pytest.approx(5 / 8 - 3 / 40) and row["p"] < 0.01
    assert "of 8 wrong answers among 10 items the right one was readable inside in 62%" in result.describe()
    curves = result.curves("ja").set_index(["curve", "layer"])["mean"]
    assert curves["right", 1] == 0 and curves["right", 2] == pytest.approx(5 / 8)


def test_without_wrong_answers_there_is_none(model: Known) -> None:
    result = measured(model)
    assert result.summary()["wrong"].tolist() == [0]
    assert result.describe() == "Japanese: all 10 items are answered rightly, so there is no barrier to find."
    with pytest.raises(InputError, match="every item is answered rightly"):
        result.figure()


def test_another_language_at_the_end_is_wrong_and_right_inside() -> None:
    result = measured(written({2: "en", 5: "ru"}, n_layers=LAYERS), languages="ja,de")
    assert result.summary()["readable"].tolist() == [1.0, 1.0, 1.0]
    assert result.summary()["chance"].tolist() == [0.0, 0.0, 0.0]
    assert result.summary()["language"].tolist() == ["ja", "de", "all"]


def test_the_prompts_own_word_is_not_found() -> None:
    lab = written({2: "fr", 6: "ru"}, n_layers=LAYERS)
    result = measured(lab)
    assert result.summary()["readable"].tolist() == [0.0] and "fr" not in result.settings.candidates
    # given in another language it is
    task = type(lab.task)(source="en", concepts=lab.concepts)
    again = translation_barrier(lab.model, task, languages="ja", shots=2, progress=False)
    assert again.summary()["readable"].tolist() == [1.0]


def test_languages_that_are_not_read_are_not_found() -> None:
    lab = written({2: "en", 5: "ru"}, n_layers=LAYERS)
    assert measured(lab, candidates="hi").summary()["readable"].tolist() == [0.0]
    assert measured(lab, candidates="hi,en").summary()["layer"].tolist() == [2.0]
    assert measured(lab, layers="5,6").summary()["layer"].tolist() == [5.0]


def made(hits: np.ndarray, right: np.ndarray, languages: tuple[str, ...] = ("ja",)) -> BarrierResult:
    """A result in which item `i` finds the labels in ``hits[i]``, ``right[i]`` being its own, in each language."""
    items, labels = hits.shape
    rows = []
    for language in languages:
        for item in range(items):
            for label in range(labels):
                layer, code = (3, "en") if hits[item, label] else (0, "")
                own, read = f"l{right[item]}", f"l{label}"
                rows.append(("t", language, f"i{item}", own, read, False, layer, code))
    provenance = Provenance(
        model="m",
        task="t",
        languages=languages,
        settings={"layers": [1, 3, 5], "n_layers": 5},
        packages={},
        commit=None,
    )
    return BarrierResult(pd.DataFrame(rows, columns=list(BarrierResult.columns)), provenance)


def test_where_the_right_label_is_like_any_other_nothing_is_found() -> None:
    """However much is readable: the search finds the right label no more often than wrong ones."""
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        result = made(draw.random((30, 6)) < 0.5, draw.integers(0, 6, 30))
        rows.append(result.summary().iloc[0])
    found = pd.DataFrame(rows)
    assert abs(found["barrier"].mean()) < 0.03 and found["readable"].mean() > 0.4
    assert (found["p"] <= 0.05).mean() <= 0.12
    assert ((found["low"] <= 0) & (found["high"] >= 0)).mean() >= 0.85


def test_items_that_are_readable_in_all_languages_alike_are_no_more_certain_than_in_one() -> None:
    """What is read in one language is read in others: four times the same items say what they say once."""
    draw = np.random.default_rng(0)
    for _ in range(12):
        hits, right = draw.random((30, 6)) < 0.5, draw.integers(0, 6, 30)
        alone = made(hits, right).summary()
        together = made(hits, right, ("ja", "de", "ru", "hi")).summary()
        assert together["language"].tolist() == ["ja", "de", "ru", "hi", "all"]
        assert together["p"].tolist() == alone["p"].tolist() * 5


def test_the_p_value_is_that_of_an_exact_count() -> None:
    """Two languages and three labels: every choice of right labels is counted out."""
    hits = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
    right = np.array([0, 1, 0, 1])
    result = made(hits, right, ("ja", "de"))
    # of every item a draw of one of three labels for both languages; means are alike, so that the sum decides
    sums = [
        sum(
            2 * (1 - (row.sum() - 1) / 2 if row[label] else -row.sum() / 2)
            for row, label in zip(hits, draw, strict=True)
        )
        for draw in itertools.product(range(3), repeat=4)
    ]
    observed = sum(2 * (1 - (row.sum() - 1) / 2) for row in hits)
    exact = np.mean(np.array(sums) >= observed - 1e-9)
    assert result.summary()["p"].iloc[-1] == pytest.approx(exact, abs=0.01)


def test_where_the_right_label_is_found_more_often_it_is_said() -> None:
    draw = np.random.default_rng(1)
    hits, right = draw.random((40, 6)) < 0.2, draw.integers(0, 6, 40)
    hits[np.arange(40), right] = np.arange(40) < 28
    (row,) = made(hits, right).summary().to_dict("records")
    assert row["readable"] == 0.7 and row["p"] < 0.001 and row["low"] > 0.2
    said = made(hits, right).describe()
    assert "first at layer 3 in the median" in said


def test_it_is_saved_and_loaded_and_drawn(tmp_path) -> None:
    result = measured(written({2: "en", 5: "ru"}, n_layers=LAYERS), languages="ja,de")
    loaded = BarrierResult.load(result.save(tmp_path / "barrier"))
    pd.testing.assert_frame_equal(loaded.table, result.table)
    assert loaded.describe() == result.describe()
    figure = loaded.figure()
    lines = {trace.name: trace for trace in figure.data if trace.name}
    assert list(lines["the right answer"].x) == [1, 2, 3, 4, 5]
    assert list(lines["the right answer"].y) == [0, 1, 1, 1, 1]
    assert set(lines["each wrong answer: chance"].y) == {0}
    assert "20 wrong answers of 20" in figure.layout.title.subtitle.text
    with pytest.raises(InputError, match="unknown language of this result 'fr'"):
        loaded.figure(language="fr")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": 0}, "items must be at least 1"),
        ({"top": 0}, "top must be at least 1"),
        ({"layers": str(LAYERS)}, "no layer before the last would be searched"),
        ({"layers": "99"}, "99"),
        ({"candidates": "ko"}, "no words in 'ko'"),
        ({"languages": "ko"}, "ko"),
    ],
)
def test_bad_input_is_one_clear_error(model: Known, options, message) -> None:
    with pytest.raises((InputError, ModelError), match=message):
        measured(model, **options)


def test_a_task_of_few_labels_is_refused(model: Known) -> None:
    with pytest.raises(InputError, match="the sentiment task has few labels"):
        translation_barrier(model.model, "sentiment", languages="ja")


def test_words_that_cannot_be_told_apart_are_refused(model: Known) -> None:
    same = tuple(Concept(f"c{number}", "things", {"fr": f"x{number}", "ja": "y"}) for number in range(4))
    task = type(model.task)(source="fr", concepts=same)
    with pytest.raises(InputError, match="no item has a right and a wrong answer that can be told apart"):
        ll.translation_barrier(model.model, task, languages="ja", shots=1, progress=False)


def test_a_label_twice_is_no_result() -> None:
    result = made(np.ones((2, 2), bool), np.zeros(2, int))
    doubled = replace(result, table=pd.concat([result.table, result.table.head(1)]))
    assert doubled.fault() is not None and result.fault() is None


# Intervals of few items


@pytest.mark.parametrize("items", [1, 2, 6])
def test_an_interval_of_few_or_of_equal_items_is_no_point(items: int) -> None:
    """All wrong answers were right inside, and no wrong one was: each item adds 1, and nothing varies."""
    hits = np.zeros((items, 4), bool)
    hits[:, 0] = True
    alone = made(hits, np.zeros(items, int))
    low, high = difference_of_shares(1.0, 0.0, items)
    (row,) = alone.summary().to_dict("records")
    assert (row["barrier"], row["low"], row["high"]) == pytest.approx((1.0, low, high)) and low < 1
    # the same items in two languages are no more items
    pooled = made(hits, np.zeros(items, int), ("ja", "de", "fr", "es", "it")).summary().set_index("language")
    assert tuple(pooled.loc["all", ["low", "high"]]) == pytest.approx((low, high))
    curves = alone.curves().set_index(["curve", "layer"])
    assert tuple(curves.loc[("right", 3), ["low", "high"]]) == pytest.approx(wilson(items, items))
    assert tuple(curves.loc[("chance", 3), ["low", "high"]]) == pytest.approx(wilson(0, items))
    assert tuple(curves.loc[("right", 1), ["low", "high"]]) == pytest.approx(wilson(0, items))


def test_an_interval_of_items_that_differ_is_a_bootstrap() -> None:
    hits = np.zeros((12, 4), bool)
    hits[:5, 0] = True
    (row,) = made(hits, np.zeros(12, int)).summary().to_dict("records")
    low, high = bootstrap_means(hits[:, :1].astype(float))
    assert (row["low"], row["high"]) == pytest.approx((low[0], high[0]))
