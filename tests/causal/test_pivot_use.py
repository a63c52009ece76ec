"""Is the pivot used: models of which it is known, every change against plain hooks, and the rules under their nulls."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import latentlang as ll
from latentlang.causal import PivotUseResult, pivot_test
from latentlang.causal.pivot_languages import third_language
from latentlang.causal.pivot_use_result import ARMS, COLUMNS
from latentlang.causal.pivot_use_verdict import (
    CONDITIONS,
    NOT_SHOWN,
    READABLE,
    USED,
    arm_means,
    verdict_table,
)
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.stats.intervals import bootstrap_means, wilson
from tests.support import tiny
from tests.support.forward_reference import state
from tests.support.known import ASKED, written
from tests.support.routes import LAYERS, PIVOT, THIRD, Planted, planted


def measured(lab: Planted, **options: Any) -> PivotUseResult:
    given = {"languages": "de", "third": THIRD, "shots": 1, "progress": False} | options
    return pivot_test(lab.model, lab.task, **given)


def follows(result: PivotUseResult, arm: str, layer: int) -> float:
    rows = result.table.query("arm == @arm and layer == @layer", local_dict={"arm": arm, "layer": layer})
    return float(rows["follows"].mean())


@pytest.fixture(scope="module")
def used() -> PivotUseResult:
    return measured(planted("used", categories=4))


@pytest.fixture(scope="module")
def carried() -> PivotUseResult:
    return measured(planted("carried", categories=4))


# Models of which it is known


def test_a_pivot_that_the_answer_is_computed_through_is_called_used(used: PivotUseResult) -> None:
    (row,) = used.verdict().to_dict("records")
    assert (row["verdict"], row["reason"], row["layer"], row["first"], row["last"]) == (USED, "used", 2, 2, 2)
    assert row["p"] <= 0.05 / LAYERS
    assert (row["pivot"], row["alone"]) == (1, 1)
    assert (row["third"], row["third_alone"], row["random"], row["direct"]) == (0, 0, 0, 0)
    assert row["ablation"] > 0.9 and max(row["ablation_other"], row["ablation_direct"]) < 0.01
    # before it is written, and once it has been read, there is nothing to exchange
    assert [follows(used, "pivot", layer) for layer in (1, 2, 3, 4)] == [0, 1, 0, 0]
    # the answer itself is there from layer 3 on
    assert [follows(used, "target", layer) for layer in (1, 2, 3, 4)] == [0, 0, 1, 1]


def test_the_same_words_written_and_never_read_are_readable_only(carried: PivotUseResult) -> None:
    # 46 items bound a share by 0.1 at 90%, not at 95%
    assert carried.verdict()["verdict"].tolist() == [NOT_SHOWN]
    (row,) = carried.verdict(0.9).to_dict("records")
    assert (row["verdict"], row["reason"], row["reads"]) == (READABLE, "bounded", 1)
    assert row["bound"] < 0.1 and not carried.table.query("arm == 'pivot'")["follows"].any()
    # few items cannot bound it
    few = replace(
        carried, table=carried.table[carried.table["item"].isin(carried.table["item"].unique()[:12])]
    )
    assert few.verdict(0.9)["verdict"].tolist() == [NOT_SHOWN]


def test_the_lens_cannot_tell_the_two_apart(used: PivotUseResult, carried: PivotUseResult) -> None:
    shares = [
        result.table.query("arm == 'pivot'").groupby("layer")["component"].agg(lambda part: (part > 0).mean())
        for result in (used, carried)
    ]
    assert shares[0].tolist() == shares[1].tolist() == [0, 1, 1, 1]


def test_noise_and_words_in_common_leave_a_use_seen() -> None:
    lab = planted("used", shared=0.3, noise=0.02, mixed=0.2, categories=2)
    result = measured(lab, languages="de,ja")
    verdicts = result.verdict().set_index("language")
    assert verdicts["verdict"].tolist() == [USED] * 3 and set(verdicts["layer"]) == {2}
    assert verdicts.loc["all", "items"] == verdicts.loc[["de", "ja"], "items"].sum()


def test_what_follows_directly_is_no_use() -> None:
    result = measured(planted("carried", cognate=1.5, amount=2.0, erased=True))
    assert follows(result, "pivot", 3) == follows(result, "direct", 3) == 1
    assert (
        follows(result, "third", 3) == follows(result, "alone", 3) == follows(result, "third_alone", 3) == 0
    )
    # nothing of the word is left to exchange after the last block, so that an exchange there would be no control
    assert follows(result, "pivot", LAYERS) == 0
    (row,) = result.verdict().to_dict("records")
    assert (row["verdict"], row["reason"]) == (NOT_SHOWN, "direct")


def test_a_concept_in_no_language_is_no_use_of_english() -> None:
    known = written({4: ASKED}, n_layers=5, answer_from=2, noise=0.05, strength=8)
    result = pivot_test(known.model, known.task, languages="ja", third="de", shots=1, progress=False)
    assert follows(result, "pivot", 2) == follows(result, "third", 2) == 1
    (row,) = result.verdict().to_dict("records")
    assert row["verdict"] == NOT_SHOWN and not result.table.query("arm == 'alone'")["follows"].any()


def test_words_that_are_not_the_items_are_not_used() -> None:
    (row,) = measured(planted("used", categories=4, scrambled=True)).verdict().to_dict("records")
    assert (row["verdict"], row["reason"]) == (NOT_SHOWN, "reads")


# The rules under their nulls


def _outcomes(null: str, draw: np.random.Generator, *, items: int = 30, layers: int = 4) -> pd.DataFrame:
    """A table in which all that makes a use is there, at every layer, but for one condition, which is chance."""
    shares = dict.fromkeys(ARMS, 0.0) | {"pivot": 0.6, "alone": 0.5, "target": 1.0}
    falls = dict.fromkeys(ARMS, 0.0) | {"ablation": 0.4}
    if null != "reads":
        condition = next(one for one in CONDITIONS if one.code == null)
        values = shares if condition.measure == "follows" else falls
        values[condition.control] = values[condition.arm]
        if null == "alone":  # its control is that of the pivot too
            shares["pivot"] = 0.95
    shape = layers, len(ARMS), items
    layer, arm, item = np.meshgrid(range(1, layers + 1), range(len(ARMS)), range(items), indexing="ij")
    share, fall = (np.array([each[name] for name in ARMS])[None, :, None] for each in (shares, falls))
    component = draw.normal(0, 1, shape) if null == "reads" else np.ones(shape)
    columns = {
        "language": "de", "item": item.ravel(), "label": "a", "other": "b", "layer": layer.ravel(),
        "arm": np.array(ARMS)[arm.ravel()], "follows": (draw.random(shape) < share).ravel(),
        "answer": (0.9 - fall + draw.normal(0, 0.2, shape)).ravel(), "answer_other": 0.0, "before": 0.9,
        "before_other": 0.0, "component": component.ravel(), "length": 0.1,
    }  # fmt: skip
    return pd.DataFrame(columns)[list(COLUMNS)]


@pytest.mark.parametrize("null", ["reads", *(condition.code for condition in CONDITIONS)])
def test_where_one_condition_is_chance_used_is_said_in_at_most_one_of_twenty(null: str) -> None:
    draw = np.random.default_rng(sum(map(ord, null)))
    cases = 60
    rows = [
        verdict_table(_outcomes(null, draw), ["de"], level=0.95, minimum=0.02, without=0.1, seed=case).iloc[0]
        for case in range(cases)
    ]
    said = sum(row["verdict"] == USED for row in rows)
    assert said <= 0.05 * cases
    # and it is that condition that is found wanting
    assert sum(row["reason"] == null for row in rows) >= 0.9 * cases


def _carried(shares: dict[str, float], draw: np.random.Generator, *, items: int) -> pd.DataFrame:
    """A table of one layer in which words can be read, and answers follow the arms in these shares."""
    columns = {
        "language": "de", "item": np.tile(np.arange(items), len(ARMS)), "label": "a", "other": "b", "layer": 1,
        "arm": np.repeat(ARMS, items),
        "follows": np.concatenate([draw.random(items) < shares.get(arm, 0.0) for arm in ARMS]),
        "answer": 0.9, "answer_other": 0.0, "before": 0.9, "before_other": 0.0, "component": 1.0, "length": 0.1,
    }  # fmt: skip
    return pd.DataFrame(columns)[list(COLUMNS)]


def test_a_pivot_beyond_every_control_is_called_readable_only_in_at_most_one_of_twenty() -> None:
    """The nearest of three controls is chosen after looking; without correction it is 13 in 100."""
    draw = np.random.default_rng(0)
    shares = {
        "pivot": 0.4,
        "third": 0.3,
        "random": 0.3,
        "direct": 0.3,
        "target": 1.0,
    }  # 0.1 above each: no little
    cases = 300
    rows = [
        verdict_table(
            _carried(shares, draw, items=300), ["de"], level=0.9, minimum=0.02, without=0.1, seed=0
        ).iloc[0]
        for _case in range(cases)
    ]
    assert sum(row["verdict"] == READABLE for row in rows) <= 0.05 * cases


@pytest.mark.parametrize(("items", "verdict"), [(51, NOT_SHOWN), (55, READABLE)])
def test_it_takes_so_many_items_to_say_readable_only(items: int, verdict: str) -> None:
    table = _carried({"target": 1.0}, np.random.default_rng(0), items=items)
    row = verdict_table(table, ["de"], level=0.95, minimum=0.02, without=0.1, seed=0).iloc[0]
    assert row["verdict"] == verdict
    # the upper end of Newcombe's interval where nothing follows, at 5% / 3, two-sided
    z = NormalDist().inv_cdf(1 - 0.05 / 6)
    assert row["bound"] == pytest.approx(z**2 / (items + z**2), rel=1e-3)


def test_without_a_null_it_is_said() -> None:
    draw = np.random.default_rng(0)
    table = _outcomes("direct", draw)
    table.loc[table["arm"] == "direct", "follows"] = False
    row = verdict_table(table, ["de"], level=0.95, minimum=0.02, without=0.1, seed=0).iloc[0]
    assert (row["verdict"], row["first"], row["last"]) == (USED, 1, 4)
    # one layer alone
    table.loc[(table["layer"] != 3) & (table["arm"] == "pivot"), "follows"] = False
    row = verdict_table(table, ["de"], level=0.95, minimum=0.02, without=0.1, seed=0).iloc[0]
    assert (row["verdict"], row["first"], row["last"]) == (USED, 3, 3)


@pytest.mark.slow("tests/causal/test_pivot_use.py")
def test_false_uses_of_random_and_scrambled_models_are_at_most_one_of_twenty() -> None:
    cases, said = 200, 0
    for case in range(cases):
        draw = np.random.default_rng(case)
        scrambled = bool(case % 2)
        lab = planted(
            "used" if scrambled else "carried", seed=case, shared=draw.uniform(0, 2),
            cognate=draw.uniform(0, 2), noise=draw.uniform(0, 0.05),
            mixed=draw.uniform(0, 0.3), amount=draw.uniform(0.5, 1.5), erased=bool(draw.integers(2)),
            scrambled=scrambled, categories=1,
        )  # fmt: skip
        said += USED in measured(lab, seed=case).verdict()["verdict"].tolist()
    assert said <= 0.05 * cases


# What is done


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def test_every_change_is_what_a_plain_hook_on_each_prompt_does() -> None:
    lab = planted("used", shared=0.5, noise=0.05, mixed=0.2, categories=2)
    result = measured(lab, items=6, layers=[2, 3], seed=3)
    lm, layer = lab.model.model, 2
    rows = result.table.query("layer == @layer", local_dict={"layer": layer}).set_index(["item", "arm"])
    words = {concept.id: concept.words for concept in lab.concepts}

    def token(code: str, name: str) -> int:
        return int(lab.model.tokenizer.convert_tokens_to_ids(words[name][code]))

    def read(code: str, name: str) -> Tensor:
        return (lm.lm_head.weight[token(code, name)] * lm.model.norm.weight).detach()

    def direction(code: str, name: str) -> Tensor:
        members = [other for other in words if other.split("/")[0] == name.split("/")[0]]
        return _unit(read(code, name) - torch.stack([read(code, one) for one in members]).mean(0))

    assert len(rows) == len(ARMS) * rows.index.get_level_values("item").nunique() > 0
    for prompt in lab.task.prompts("de", items=6, shots=1, seed=3):
        if prompt.item not in rows.index.get_level_values("item"):
            continue
        ids = torch.tensor(lab.model.encode([prompt.text]))
        with torch.no_grad():
            states = lm(ids, output_hidden_states=True, use_cache=False).hidden_states
        here = states[layer][0, -1]
        one, other = prompt.label, rows.loc[(prompt.item, "pivot"), "other"]
        axes = {code: _unit(direction(code, one) - direction(code, other)) for code in (PIVOT, THIRD, "de")}
        span = torch.stack([read("de", one), read("de", other)])
        basis = torch.linalg.qr(span.T)[0]
        alone, third_alone = (_unit(axes[code] - basis @ (basis.T @ axes[code])) for code in (PIVOT, THIRD))
        amount = here @ axes[PIVOT]
        component = here @ direction(PIVOT, one)
        changes = {
            "pivot": -2 * amount * axes[PIVOT],
            "third": -2 * amount * axes[THIRD],
            "direct": -2 * amount * axes[PIVOT],
            "alone": -2 * (here @ alone) * alone,
            "third_alone": -2 * (here @ alone) * third_alone,
            "target": -2 * (here @ axes["de"]) * axes["de"],
            "ablation": -component * direction(PIVOT, one),
            "ablation_other": -component * direction(PIVOT, other),
            "ablation_direct": -component * direction(PIVOT, one),
        }
        for arm, change in changes.items():
            block = lm.model.layers[LAYERS - 1 if arm.endswith("direct") else layer - 1]

            def hook(_module: Any, _args: Any, output: Any, change: Tensor = change) -> Any:
                output = output.clone()
                output[0, -1] += change
                return output

            with torch.no_grad(), block.register_forward_hook(hook):
                logits = lm(ids, use_cache=False).logits[0, -1]
            probs, row = logits.softmax(-1), rows.loc[(prompt.item, arm)]
            assert row["answer"] == pytest.approx(float(probs[token("de", one)]), abs=1e-4), arm
            assert row["answer_other"] == pytest.approx(float(probs[token("de", other)]), abs=1e-4), arm
            assert row["follows"] == (int(logits.argmax()) == token("de", other)), arm
            assert row["length"] == pytest.approx(float(change.norm() / here.norm()), rel=1e-3), arm
        assert rows.loc[(prompt.item, "pivot"), "component"] == pytest.approx(float(amount), rel=1e-3)
        random = rows.loc[(prompt.item, "random")]
        assert random["length"] == pytest.approx(rows.loc[(prompt.item, "pivot"), "length"], rel=1e-3)
        probs = lm(ids).logits[0, -1].softmax(-1).detach()
        assert random["before"] == pytest.approx(float(probs[token("de", one)]), abs=1e-4)


def test_alone_moves_neither_word_directly() -> None:
    result = pivot_test(ll.load("pocket"), languages="de", items=12, progress=False)
    last = result.table.query("arm == 'alone' and layer == 8")
    whole = result.table.query("arm == 'pivot' and layer == 8")
    assert len(last) >= 8 and not last["follows"].any()
    # the change is large, and yet the logits of both words' tokens are what they were; those of others are not
    assert last["length"].median() > 0.1

    def moved(rows: pd.DataFrame) -> float:
        ratios = (rows["answer"] / rows["answer_other"]) / (rows["before"] / rows["before_other"])
        return float(np.abs(np.log(ratios)).max())

    assert moved(last) < 1e-3 < 1 < moved(whole)


def test_the_model_is_as_it_was_and_layers_and_items_do_not_depend_on_others() -> None:
    lab = planted("used", categories=1, mixed=0.2)
    before = state(lab.model.model)
    every = measured(lab, languages="de,ja")
    assert state(lab.model.model) == before and lab.model.edits == []
    keys = ["language", "item", "arm", "layer"]
    few = measured(lab, layers="2", items=4)
    pd.testing.assert_frame_equal(
        few.table.sort_values(keys, ignore_index=True),
        every.table.merge(few.table[keys]).sort_values(keys, ignore_index=True), rtol=1e-3, atol=1e-5,
    )  # fmt: skip
    assert set(few.table["layer"]) == {2} and few.table["item"].nunique() == 4
    apart = measured(lab, layers=[2], items=4, share_prefix=False)
    pd.testing.assert_frame_equal(few.table, apart.table, rtol=1e-3, atol=1e-5)
    other = measured(lab, layers=[2], seed=5)
    assert other.settings.third == {"de": THIRD} and other.provenance.seed == 5


def test_it_runs_in_parts_with_the_same_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = planted("used", categories=1)
    whole = measured(lab).table
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr("latentlang.causal.pivot_use._MOST_NUMBERS", 1)
    parts = measured(lab, progress=lambda done, total: calls.append((done, total))).table
    keys = ["item", "arm", "layer"]
    pd.testing.assert_frame_equal(
        parts.sort_values(keys, ignore_index=True), whole.sort_values(keys, ignore_index=True), rtol=1e-3, atol=1e-5
    )  # fmt: skip
    assert len(calls) > 3 and calls[-1] == (12, 12) and calls == sorted(calls)


@pytest.mark.parametrize("shots", [0, 1])
def test_asked_as_in_a_chat_the_change_is_made_where_the_answer_is_predicted(shots: int) -> None:
    lab = planted("used", categories=1)
    lab.model.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[assistant] "
    )
    result = pivot_test(
        lab.model, lab.model.chat(lab.task), languages="de", third=THIRD, shots=shots, progress=False
    )
    assert [follows(result, "pivot", layer) for layer in (1, 2, 3, 4)] == [0, 1, 0, 0]
    assert follows(result, "third", 2) == follows(result, "random", 2) == 0
    assert result.provenance.settings["chat"] == "turns" and result.verdict()["verdict"].tolist() == [USED]


def test_items_that_are_not_answered_rightly_are_left_out_and_counted() -> None:
    lab = planted("carried", shared=1.0, noise=0.1, mixed=0.3, categories=2)
    result = measured(lab, languages="de,ja")
    for code in ("de", "ja"):
        asked = len(lab.task.prompts(code, shots=1))
        kept = result.table.query("language == @code", local_dict={"code": code})["item"].nunique()
        left = result.settings.left_out[code]
        assert left["wrong"] > 0 and kept == asked - left["wrong"] - left["alike"]
        assert result.settings.accuracy[code] == pytest.approx(kept / (asked - left["alike"]))


# What is said of it


def test_means_are_those_of_the_table_and_all_is_the_mean_over_languages() -> None:
    result = measured(planted("used", shared=0.3, noise=0.05, mixed=0.2), languages="de,ja")
    summary = result.summary(0.9).set_index(["language", "arm", "layer"])
    table = result.table.assign(fall=result.table["before"] - result.table["answer"])
    for code in ("de", "ja"):
        part = table.query("language == @code and arm == 'pivot' and layer == 2", local_dict={"code": code})
        row = summary.loc[(code, "pivot", 2)]
        assert row["follows"] == pytest.approx(part["follows"].mean()) and row["n"] == len(part)
        assert row["fall"] == pytest.approx(part["fall"].mean())
        low, high = bootstrap_means(part[["fall"]].to_numpy(float), level=0.9)
        assert (row["fall_low"], row["fall_high"]) == pytest.approx((low[0], high[0]))
    both = summary.loc[["de", "ja"]].groupby(["arm", "layer"])[["follows", "fall"]].mean()
    for name in ("follows", "fall"):
        expected = summary.loc["all"][name]
        assert np.allclose(both[name].reindex(expected.index), expected)
    pooled = summary.loc["all"]
    assert (pooled["follows_low"] <= pooled["follows"] + 1e-9).all()
    assert pooled.loc[("pivot", 2), "n"] == len(table.query("arm == 'pivot' and layer == 2"))


@pytest.mark.parametrize("items", [1, 2, 12])
def test_an_interval_of_few_or_of_equal_items_is_no_point(items: int) -> None:
    table = _outcomes("reads", np.random.default_rng(0), items=items, layers=1)
    fixed = table["arm"].isin(["target", "third"])
    # every answer follows the target and none the third language, and P(answer) falls by 0.25 with each
    table = table.assign(
        follows=table["follows"].where(~fixed, table["arm"] == "target").astype(float),
        answer=table["answer"].where(~fixed, 0.65),
    )
    languages = ("de", "ja", "fr", "es", "it")
    for codes in (["de"], list(languages)):
        both = pd.concat([table.assign(language=code) for code in codes], ignore_index=True)
        means = arm_means(both, level=0.95, seed=0).set_index(["language", "arm"])
        for code in {*codes, *(["all"] if len(codes) > 1 else [])}:
            one, none = means.loc[(code, "target")], means.loc[(code, "third")]
            assert (one["follows_low"], one["follows_high"]) == pytest.approx(wilson(items, items))
            assert (none["follows_low"], none["follows_high"]) == pytest.approx(wilson(0, items))
            # 0.25 on the scale from -1 to 1
            ends = [2 * end - 1 for end in wilson(0.625 * items, items)]
            assert (one["fall_low"], one["fall_high"]) == pytest.approx(tuple(ends))


def test_it_is_saved_told_and_drawn(used: PivotUseResult, carried: PivotUseResult, tmp_path: Any) -> None:
    again = PivotUseResult.load(used.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, used.table)
    assert again.settings == used.settings and again.settings.third == {"de": THIRD}
    assert again.verdict().equals(used.verdict())
    said = again.describe()
    assert said.startswith("German: English is used after layer 2 (") and "Spanish" in said
    assert "100% of 46 answers follow" in said and carried.describe(0.9).startswith(
        "German: English is readable only"
    )
    (row,) = again.glance().to_dict("records")
    assert row["verdict"] == USED and row["items"] == 46
    broken = replace(used, table=pd.concat([used.table, used.table.head(1)]))
    assert "two rows" in str(broken.fault())
    without = used.table[used.table["arm"] != "direct"]
    assert "no row of the arm 'direct'" in str(replace(used, table=without).fault())
    assert "arm 'magic'" in str(replace(used, table=used.table.assign(arm="magic")).fault())


def test_too_few_items_for_any_certainty_are_said_to_be_few(used: PivotUseResult) -> None:
    for count, reason in ((7, "few-items"), (8, "used")):  # 2 ** (1 - 7) > 0.05 / 4 > 2 ** (1 - 8)
        kept = used.table[used.table["item"].isin(used.table["item"].unique()[:count])]
        result = replace(used, table=kept)
        assert result.verdict()["reason"].tolist() == [reason]
        assert ("so few answers" in result.describe()) == (reason == "few-items")


def test_a_language_without_items_is_said_to_have_none(used: PivotUseResult) -> None:
    settings = dict(used.provenance.settings) | {"left_out": {"ja": {"wrong": 7, "alike": 2}}}
    provenance = replace(used.provenance, languages=("de", "ja"), settings=settings)
    result = replace(used, provenance=provenance)
    verdicts = result.verdict().set_index("language")
    assert verdicts.loc["ja", ["verdict", "reason", "items"]].tolist() == [NOT_SHOWN, "no-items", 0]
    assert "7 not answered rightly, 2 with words that cannot be told apart" in result.describe()


# What cannot be tested


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": "en"}, "the pivot 'en' is itself the language asked for"),
        ({"pivot": "fr"}, "the pivot 'fr' is itself the language given in the prompt"),
        ({"third": "de"}, "the third language 'de' is the control"),
        ({"third": "fr"}, "neither of them, nor the prompt's 'fr'"),
        ({"third": "pl"}, "no answers in the pivot language 'pl'"),
        ({"pivot": "pl"}, "no answers in the pivot language 'pl'"),
        ({"layers": 9}, "9"),
        ({"layers": [0]}, "0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"items": 0}, "items must be at least 1, not 0"),
        ({"languages": "hi"}, "no data in 'hi'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    lab = planted("used", categories=1)
    with pytest.raises(InputError, match=message):
        measured(lab, **options)


def test_closed_tasks_models_that_cannot_and_norms_that_are_none_are_refused() -> None:
    lab = planted("used", categories=1)
    with pytest.raises(InputError, match="the sentiment task has a few labels, not words"):
        pivot_test(lab.model, "sentiment", languages="de")
    with pytest.raises(InputError, match=r"no item is left .* \(5 with .*, 1 not answered rightly\)"):
        pivot_test(HookedLM(tiny.model(), tiny.tokenizer()), languages="de", items=6, shots=0, progress=False)

    class Bent(torch.nn.Module):
        def __init__(self, norm: Any) -> None:
            super().__init__()
            self.norm = norm

        def forward(self, hidden: Tensor) -> Tensor:
            normed: Tensor = self.norm(hidden)
            return normed * (1 + 1e-3 * normed.abs())

    lab.model.model.model.norm = Bent(lab.model.model.model.norm)
    bent = HookedLM(lab.model.model, lab.model.tokenizer)
    with pytest.raises(ModelError, match="no linear map of the residual stream"):
        pivot_test(bent, lab.task, languages="de", third=THIRD, shots=1, progress=False)


def test_the_third_language_is_drawn_in_the_pivots_script() -> None:
    task = ll.task("translation", source="fr")
    drawn = {third_language(task, "ja", pivot="en", seed=seed) for seed in range(30)}
    assert len(drawn) > 3 and not drawn & {"fr", "en", "ja"}
    assert all(ll.language(code).script == "Latn" for code in drawn)
    assert third_language(task, "ja", pivot="en", seed=1) == third_language(task, "ja", pivot="en", seed=1)
    words = planted("used", categories=1).concepts
    three = [replace(one, words={code: one.words[code] for code in ("fr", "en", "de")}) for one in words]
    with pytest.raises(InputError, match="no third language, which is the control"):
        third_language(ll.tasks.WordTask(source="fr", concepts=three), "de", pivot="en")
