"""The gap between arms: the printed one comes out, a planted one too, and arithmetic is told from what is not."""

import json
import math

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.generation import AnswerPrompt
from latentlang.judging import GapResult, gap, read_scores
from latentlang.judging import gap_measures as measures
from tests.judging.test_judges import BAD, GOOD, Says
from tests.support.evaluated import evaluated
from tests.support.planted_judges import PlantedJudge

#: Chen et al. 2024, Tables 10 (TyDi QA, F1) and 11 (CMMLU), learning rate 1e-4, monolingual: native, cohere, google.
PRINTED = {
    "TyDi QA": [
        (28.3, 28.8, 25.5),
        (28.5, 28.2, 28.3),
        (33.6, 34.4, 30.7),
        (22.5, 19.8, 17.5),
        (20.1, 20.2, 18.1),
        (21.9, 20.0, 20.1),
        (37.0, 34.2, 27.2),
        (34.4, 33.0, 32.1),
    ],
    "CMMLU": [
        (32.7, 30.2, 31.2),
        (31.8, 29.4, 30.7),
        (48.7, 48.3, 46.4),
        (44.1, 41.6, 42.8),
        (55.9, 53.8, 52.9),
        (65.3, 59.3, 59.8),
        (72.3, 68.4, 67.6),
        (78.2, 76.2, 75.8),
    ],
}


def scores(values, benchmark="b", names=("native", "cohere", "google"), **more):
    """Rows from ``[cell, arm]``."""
    return pd.DataFrame([
        {"benchmark": benchmark, "model": f"m{cell}", "arm": arm, "score": score, **more}
        for cell, row in enumerate(values)
        for arm, score in zip(names, row, strict=True)
    ])  # fmt: skip


def test_the_printed_gaps_come_out():
    result = gap(pd.concat([scores(rows, name) for name, rows in PRINTED.items()]))
    summary, found = result.summary().set_index("benchmark"), result.correlations().set_index("benchmark")
    for name, mean, between, r, r_mean in (
        ("TyDi QA", 2.2, 2.4, 0.34, 0.19),
        ("CMMLU", 2.7, 1.0, 0.56, 0.53),
    ):
        row = summary.loc[name]
        assert (row["cells"], row["positive"], row["negative"]) == (8, 8, 0)
        assert round(row["gap"], 1) == mean and round(row["p"], 3) == 0.008
        assert round(row["between_translated"], 1) == between
        assert (
            round(found.loc[name, "r_native"], 2) == r and round(found.loc[name, "r_midpoint"], 2) == r_mean
        )
    assert "There is no score of the base without training" in result.describe()
    base = result.arms().query("arm == 'base'")
    assert base["cells"].tolist() == [0, 0] and base["mean"].isna().all()  # a row, though nothing is in it


def test_coupling_is_in_the_printed_correlation_and_not_in_ours():
    """Arms that differ by noise alone: r of the gap with the native score is 0.82 by arithmetic."""
    draw = np.random.default_rng(0)
    worlds = [gap(scores(draw.normal(size=(60, 3))), permutations=60) for _ in range(24)]
    found = pd.concat([world.correlations() for world in worlds])
    assert found["r_native"].mean() == pytest.approx(math.sqrt(2 / 3), abs=0.03)
    assert found["r_midpoint"].mean() == pytest.approx(1 / 3, abs=0.05)
    assert abs(found["r_arms"].mean()) < 0.05
    # the null of exchanged arms says what arithmetic gives, and no more than chance is beyond it
    assert found["r_native_null"].mean() == pytest.approx(math.sqrt(2 / 3), abs=0.03)
    assert (found["p_arms"] < 0.05).mean() <= 0.17 and (found["p_native"] < 0.05).mean() <= 0.17


def test_a_gap_that_grows_with_the_score_is_found_and_a_mean_gap_alone_is_no_growth():
    draw = np.random.default_rng(1)
    skill = draw.normal(size=40)
    noise = 0.2 * draw.normal(size=(40, 3))
    grows = np.column_stack([1.5 * skill, skill, skill]) + noise
    steady = np.column_stack([skill + 2, skill, skill]) + noise
    rows = (
        gap(pd.concat([scores(grows, "grows"), scores(steady, "steady")]))
        .correlations()
        .set_index("benchmark")
    )
    assert rows.loc["grows", "r_arms"] > 0.8 and rows.loc["grows", "p_arms"] < 0.01
    assert abs(rows.loc["steady", "r_arms"]) < 0.3 and rows.loc["steady", "p_arms"] > 0.05


def _items(effect, *, seeds=2, items=80, base=0.4):
    """Items of one cell: the translated arm lacks some of what the base has."""
    draw = np.random.default_rng(2)
    hard = draw.random(items)
    rows = []
    for arm, above in (("base", 0.0), ("native", 0.0), ("cohere", effect), ("google", effect)):
        for seed in range(1 if arm == "base" else seeds):
            right = hard < base + above
            rows += [
                {"arm": arm, "seed": seed, "item": f"i{n}", "score": float(right[n]), "language": "zh"}
                for n in range(items)
            ]
    return pd.DataFrame(rows)


def test_what_translated_data_spoil_is_told_from_what_native_data_add():
    result = gap(_items(-0.2))
    cell = result.cells().iloc[0]
    assert (cell["items"], cell["seeds"], bool(cell["paired"])) == (80, 2, True)
    assert cell["gap"] == pytest.approx(-cell["translated_base"]) and cell["native_base"] == 0
    assert 0 < cell["low"] < cell["gap"] < cell["high"] and cell["translated_base_high"] < 0
    assert math.isnan(cell["native_base_low"])  # the same items are right: never a point
    assert f"training: native +0, cohere and google {cell['translated_base']:.3g}." in result.describe()
    figure = result.figure()
    assert [trace.name for trace in figure.data] == [
        "a cell", "mean gap", "native above the base", "translated above the base",
    ]  # fmt: skip


def test_unshared_items_are_drawn_by_themselves():
    table = pd.DataFrame([
        {"arm": arm, "item": f"{arm}{n}", "score": n % 2 + above}
        for arm, above in (("native", 1), ("google", 0))
        for n in range(40)
    ])  # fmt: skip
    cell = gap(table).cells().iloc[0]
    assert cell["gap"] == 1 and not cell["paired"] and cell["items"] == 0
    # two means of 40 values of variance 0.25 * 40 / 39
    half = 1.96 * math.sqrt(2 * 0.25 / 39)
    assert (cell["low"], cell["high"]) == pytest.approx((1 - half, 1 + half), abs=0.1 * half)
    # on the same items nothing varies but the arms' difference, of which there is none
    table["item"] = table["item"].str.removeprefix("native").str.removeprefix("google")
    assert math.isnan(gap(table).cells().iloc[0]["low"])
    two = table[table["item"].isin(["0", "1"])]
    assert math.isnan(gap(two.assign(item=two["arm"] + two["item"])).cells().iloc[0]["low"])


@pytest.mark.parametrize(
    ("items", "seeds", "shared", "of_run"),
    [
        (16, 1, False, 0.0),
        (6, 1, False, 0.0),
        (12, 3, False, 0.6),
        (0, 4, False, 0.6),
        (12, 2, True, 0.6),
        (16, 4, True, 0.3),
    ],
)
def test_the_interval_holds_a_planted_gap_whatever_arms_share(items, seeds, shared, of_run):
    """No `items`: a score a seed. What runs differ by is planted too."""
    rows = []
    for world in range(40):
        draw = np.random.default_rng(world)
        ease = draw.normal(size=max(items, 1))
        for arm, mean in (("native", 1.0), ("google", 0.0)):
            own = ease if shared else draw.normal(size=max(items, 1))
            for seed in range(seeds):
                run = mean + of_run * draw.normal()
                rows += [
                    {
                        "model": f"m{world}", "arm": arm, "seed": seed,
                        "score": run + (own[n] if items else 0) + 0.5 * draw.normal(),
                        "item": "" if not items else n if shared else f"{arm}{n}",
                    }
                    for n in range(max(items, 1))
                ]  # fmt: skip
    cells = gap(pd.DataFrame(rows), permutations=1).cells()
    held = (cells["low"] < 1) & (cells["high"] > 1)
    assert len(held) == 40 and held.mean() >= 0.88


def test_arms_that_share_items_are_drawn_together_beside_one_that_does_not():
    draw = np.random.default_rng(0)
    ease = 3 * draw.normal(size=40)
    rows = [
        {
            "arm": arm,
            "item": f"{'b' if arm == 'base' else 'i'}{n}",
            "score": ease[n] + mean + 0.1 * draw.normal(),
        }
        for arm, mean in (("native", 1), ("cohere", 0), ("google", 0), ("base", -1))
        for n in range(40)
    ]
    cell = gap(pd.DataFrame(rows)).cells().iloc[0]
    # what items have in common is not in the gap, and is in what is above the base
    assert cell["high"] - cell["low"] < 0.2 < 1 < cell["native_base_high"] - cell["native_base_low"]
    assert cell["native_base_low"] < cell["native_base"] < cell["native_base_high"]


def test_seeds_that_answered_other_items_count_by_what_they_have():
    rows = [
        {"arm": arm, "seed": seed, "item": n, "score": float(n % 3 + above)}
        for arm, above in (("native", 1), ("google", 0))
        for seed in range(2)
        for n in range(12 * seed, 12 * seed + 12)
    ]
    cell = gap(pd.DataFrame(rows)).cells().iloc[0]
    assert not cell["paired"] and cell["gap"] == pytest.approx(1) and cell["low"] < 1 < cell["high"]


def test_an_interval_is_no_wider_than_its_scores_where_each_seed_has_an_item_of_its_own():
    rows = [("native", seed, f"a{seed}", seed % 2) for seed in range(6)]
    rows += [("mt", 0, f"b{number}", number % 2) for number in range(6)]
    table = pd.DataFrame(rows, columns=["arm", "seed", "item", "score"]).assign(benchmark="b", language="en")
    cell = gap(table, native="native", translated=["mt"], permutations=10).cells().iloc[0]
    assert cell["gap"] == 0 and -2 < cell["low"] < 0 < cell["high"] < 2


def test_intervals_of_cells_are_resampled_once_for_a_level(monkeypatch):
    levels, resampled = [], measures.gaps_of_cells

    def counting(*given, level, **options):
        levels.append(level)
        return resampled(*given, level=level, **options)

    monkeypatch.setattr(measures, "gaps_of_cells", counting)
    draw = np.random.default_rng(0)
    result = gap(pd.DataFrame([
        {"arm": arm, "item": n, "score": draw.normal()} for arm in ("native", "google") for n in range(9)
    ]))  # fmt: skip
    first = result.cells()
    result.describe(), result.summary(), result.figure()
    assert levels == [0.95]
    narrower = result.cells(0.5)
    assert levels == [0.95, 0.5]
    assert first["low"].iloc[0] < narrower["low"].iloc[0] < narrower["high"].iloc[0] < first["high"].iloc[0]
    first["gap"] = 0.0  # what was given away is the reader's own
    assert result.cells()["gap"].iloc[0] == pytest.approx(result.summary()["gap"].iloc[0]) != 0
    with pytest.raises(InputError, match="level must be between 0 and 1, not 2"):
        result.cells(2)


def test_correlations_are_over_the_items_that_the_gaps_are_of():
    shared = scores(PRINTED["CMMLU"])
    rows = pd.concat([shared.assign(item="x"), shared.assign(item="y")])
    # items that one arm alone has say nothing of the gap
    draw = np.random.default_rng(0)
    more = shared[shared["arm"] == "native"].assign(item="z", score=draw.normal(0, 500, size=8))
    one, other = gap(rows, permutations=40), gap(pd.concat([rows, more]), permutations=40)
    assert other.cells()["gap"].tolist() == one.cells()["gap"].tolist()
    pd.testing.assert_frame_equal(other.correlations(), one.correlations())
    assert other.arms()["mean"].tolist() != one.arms()["mean"].tolist()


def test_answers_are_written_judged_and_compared_from_end_to_end(tmp_path):
    """`answer`, `judge` and `gap` take each other's results, saved and opened again."""
    model = ll.load("pocket")
    prompts = [AnswerPrompt(f"q{n}", code, text) for code, texts in (
        ("fr", ["Le chat est", "Un chien", "La nuit"]), ("en", ["The cat is", "A dog", "The night"]),
    ) for n, text in enumerate(texts)]  # fmt: skip
    grades = {}
    for arm, tokens in (("native", 6), ("google", 2)):
        decoding = ll.Decoding(new_tokens=tokens)
        answered = ll.answer(model, prompts, decoding=decoding, identify=False, progress=False)
        answered.save(tmp_path / arm)
        # grades an answer by how many words it has
        counting = PlantedJudge(
            lambda _q, texts, _draw: f"[[{min(1 + len(texts[0].split()), 5)}]]", "counting"
        )
        judged = ll.judge(tmp_path / arm, judges=counting, regrade=0, nulls=0, progress=False)
        words = [min(1 + len(text.split()), 5) for text in answered.table["answer"]]
        assert judged.scores().sort_values(["language", "item"])["score"].tolist() == [*words[3:], *words[:3]]
        judged.save(tmp_path / f"{arm}-judged")
        grades[arm] = words
    result = gap(
        {"native": tmp_path / "native-judged", "google": tmp_path / "google-judged"}, permutations=10
    )
    cells = result.cells().set_index("language")
    for code, place in (("fr", 0), ("en", 3)):
        means = [np.mean(grades[arm][place : place + 3]) for arm in ("native", "google")]
        assert cells.loc[code, "gap"] == pytest.approx(means[0] - means[1]) and cells.loc[code, "items"] == 3
    assert "native" in result.describe()


def test_evaluations_and_judgements_are_arms_and_the_base_comes_from_them(tmp_path):
    right = {"base": {"ja": [True, False] * 5}, "tuned": {"ja": [True] * 8 + [False] * 2}}
    worse = {"base": right["base"], "tuned": {"ja": [True] * 3 + [False] * 7}}
    evaluated(right).save(tmp_path / "native" / "sentiment")
    evaluated(worse).save(tmp_path / "google")
    result = gap({"native": [tmp_path / "native"], "google": tmp_path / "google"})
    cell = result.cells().iloc[0]
    assert cell["gap"] == pytest.approx(0.5) and cell["base"] == 0.5 and cell["items"] == 10
    assert cell["native_base"] == pytest.approx(0.3)
    grades = [
        ll.judge(answers, judges=Says(f"[[{grade}]]"), regrade=0, nulls=0, progress=False)
        for answers, grade in ((GOOD, 4), (BAD, 2))
    ]
    judged = gap({"native": grades[0], "google": grades[1]})
    assert judged.cells()["gap"].tolist() == [2, 2] and judged.summary()["benchmark"].tolist() == ["says"]


def test_scores_are_read_from_files(tmp_path):
    rows = scores([[1, 0, 0.5]], names=("native", "cohere", "google")).rename(columns={"benchmark": "task"})
    rows.to_csv(tmp_path / "s.csv", index=False)
    (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, rows.to_dict("records"))))
    (tmp_path / "s.json").write_text(json.dumps(rows.to_dict("records")))
    read = [read_scores(tmp_path / f"s.{kind}") for kind in ("csv", "jsonl", "json")]
    assert read[0].equals(read[1]) and read[1].equals(read[2])
    assert read[0]["benchmark"].tolist() == ["b"] * 3 and read[0]["score"].tolist() == [1, 0, 0.5]
    with pytest.raises(InputError, match=r"there is no file .*none\.csv'; give the path of one"):
        read_scores(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        ([{"arm": "native"}], {}, "no column score"),
        ([{"arm": "native", "score": "x"}], {}, "a score is no number"),
        ([{"arm": "native", "score": math.nan}], {}, "is nan"),
        ([{"arm": "native", "score": 1}] * 2, {}, "two scores of arm 'native'"),
        ([{"arm": "mine", "score": 1}], {}, "unknown arm of these scores 'native'"),
        ([{"arm": "native", "score": 1}], {}, "no arm of translated data"),
        ([{"arm": "native", "score": 1}, {"arm": "base", "score": 1}], {}, "no arm of translated data"),
        ([{"arm": "native", "score": 1, "model": "a"}, {"arm": "x", "score": 1, "model": "b"}], {}, "no benchmark"),
        ([{"arm": "native", "score": 1}, {"arm": "x", "score": 1}], {"translated": "native"}, "must differ"),
        ([{"arm": "native", "score": 1}, {"arm": "x", "score": 1}], {"translated": "y"}, "unknown arm"),
        ([{"arm": "native", "score": 1}, {"arm": "x", "score": 1}], {"permutations": 0}, "permutations"),
    ],
)  # fmt: skip
def test_scores_that_are_none_are_one_clear_error(table, options, match):
    with pytest.raises(InputError, match=match):
        gap(pd.DataFrame(table), **options)


def test_a_folder_without_scores_says_so(tmp_path):
    with pytest.raises(InputError, match="holds no evaluation and no judgement"):
        gap({"native": tmp_path, "google": tmp_path})


def test_a_saved_gap_is_the_same(tmp_path):
    result = gap(_items(-0.2))
    result.save(tmp_path / "g")
    again = GapResult.load(tmp_path / "g")
    assert again == result and again.describe() == result.describe()
    assert ll.open_result(tmp_path / "g").figure(width=400, theme="dark").layout.width == 400
    with pytest.raises(InputError, match="benchmark of this result"):
        again.figure(benchmarks="nothing")


def test_names_are_escaped_on_the_page():
    table = scores([[1, 0, 0]] * 3, benchmark="<script>b").assign(model=lambda t: "<b onload>" + t["model"])
    text = gap(table).figure().to_json()
    assert "<script>" not in text and "<b onload" not in text


def rows_of_items(arm, items, score, seed="0"):
    return [{"arm": arm, "item": str(item), "seed": seed, "score": score(item)} for item in items]


def test_every_number_is_of_the_items_that_the_arms_share():
    rows = [
        *rows_of_items("native", range(20), lambda item: 1.0 if item >= 15 else 0.6),
        *rows_of_items("google", range(15), lambda item: 0.5),
        *rows_of_items("base", range(20), lambda item: 0.4 if item < 15 else 0.0),
    ]
    result = gap(pd.DataFrame(rows))
    cell, arms = result.cells().iloc[0], result.arms().set_index("role")
    assert (cell["gap"], cell["native_base"]) == (pytest.approx(0.1), pytest.approx(0.2))
    assert arms["mean"].to_dict() == pytest.approx({"base": 0.4, "native": 0.6, "translated": 0.5})
    assert "native +0.2, google +0.1" in result.describe() and "no item in common" not in result.describe()


def test_a_base_without_items_takes_no_interval_from_the_gap():
    draw = np.random.default_rng(0)
    rows = [
        *rows_of_items("native", range(20), lambda item: draw.random()),
        *rows_of_items("google", range(20), lambda item: draw.random()),
    ]
    alone = gap(pd.DataFrame(rows)).cells().iloc[0]
    beside = gap(pd.DataFrame([*rows, {"arm": "base", "item": "", "seed": "", "score": 0.4}]))
    cell = beside.cells().iloc[0]
    assert (cell["low"], cell["high"], cell["items"]) == (alone["low"], alone["high"], 20)
    assert math.isnan(cell["native_base_low"]) and cell["native_base"] == pytest.approx(cell["native"] - 0.4)
    assert beside.arms().set_index("arm")["mean"]["base"] == 0.4


def test_arms_without_an_item_in_common_are_told():
    rows = [
        *rows_of_items("native", range(10), lambda item: 1.0),
        *rows_of_items("google", range(10, 20), lambda item: 0.0),
    ]
    assert "In 1 of 1 cell the arms have no item in common" in gap(pd.DataFrame(rows)).describe()


def test_two_seeds_vary_as_far_as_two_draws_of_many():
    """Items all alike, seeds apart by 2: the mean of two has the standard error 1, and so have the resampled means."""
    rows = [
        row
        for arm in ("native", "google")
        for seed, score in (("0", 1.0), ("1", 3.0))
        for row in rows_of_items(arm, range(5), lambda item, score=score: score, seed)
    ]
    cell = gap(pd.DataFrame(rows)).cells().iloc[0]
    assert cell["high"] - cell["low"] == pytest.approx(
        2 * 4.3027 * math.sqrt(2), rel=0.05
    )  # Student's t of 2 degrees of freedom, one of each arm
