"""The lens on tasks, against one prompt at a time through the model's own hidden states."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.answers import answer_sets, published_sets, token_bytes
from latentlang.errors import InputError
from latentlang.lens import LensResult, logit_lens
from latentlang.models import HookedLM
from latentlang.stats.intervals import bootstrap_means, wilson
from tests.support import tiny
from tests.support.lens_standin import lens_result


@pytest.fixture(scope="module", params=["mistral", "qwen2"])
def model(request) -> HookedLM:
    return HookedLM(tiny.model(request.param), tiny.tokenizer(), name=f"tiny-{request.param}")


def _curve(result, item, curve):
    return result.table[(result.table["item"] == item) & (result.table["curve"] == curve)]


def _slow_probs(model, prompt):
    """``[layer, vocab]`` next-token distributions of one prompt, by definition (a) of the logit lens."""
    ids = torch.tensor(model.encode([prompt.text]))
    with torch.inference_mode():
        out = model.model(ids, output_hidden_states=True)
        norm, head = model.model.model.norm, model.model.lm_head
        inner = [
            head(norm(h[0, -1])) for h in out.hidden_states[1:-1]
        ]  # Hugging Face's last one is already normed
        return torch.stack([*inner, out.logits[0, -1]]).double().softmax(-1).numpy()


def test_curves_equal_the_slow_definition(model):
    words = ll.task("translation", source="fr")
    result = logit_lens(model, words, languages="ja", items=6, shots=1)
    table = token_bytes(model.tokenizer)
    prompts = words.prompts("ja", items=6, shots=1)
    for prompt in prompts:
        probs = _slow_probs(model, prompt)
        labels = (prompt.label, *words.wrong_labels(prompt.label))
        answers = {code: {n: words.answers(code)[n] for n in labels} for code in ("ja", "en", "fr")}
        sets = answer_sets(table, answers, cue=prompt.cue, scope="same")
        for role, code in (("target", "ja"), ("pivot", "en"), ("source", "fr")):
            own = probs[:, sets[code, prompt.label].exclusive].sum(-1)
            # a wrong answer with no token of its own says nothing, which is not a zero
            wrong = [sets[code, n] for n in labels[1:]]
            wrong = [own for own in wrong if np.setdiff1d(own.exclusive, own.running_on).size]
            null = np.mean([probs[:, own.exclusive].sum(-1) for own in wrong], axis=0)
            mine = sets[code, prompt.label]
            if not np.setdiff1d(mine.exclusive, mine.running_on).size:
                assert not {role, f"{role}_null"} & set(result.table.query("item == @prompt.item")["curve"])
                continue
            for name, expected in ((role, own), (f"{role}_null", null)):
                part = _curve(result, prompt.item, name)
                np.testing.assert_allclose(part["value"], expected, rtol=2e-4, atol=1e-7)
        entropy = -(probs * np.log2(probs)).sum(-1)
        part = _curve(result, prompt.item, "entropy")
        np.testing.assert_allclose(part["value"], entropy, rtol=1e-4)


def test_the_last_layer_is_the_models_own_distribution(model):
    words = ll.task("translation", source="de")
    result = logit_lens(model, words, languages="hi", items=4, shots=0)
    for prompt in words.prompts("hi", items=4, shots=0):
        ids = torch.tensor(model.encode([prompt.text]))
        with torch.inference_mode():
            probs = model.model(ids).logits[0, -1].double().softmax(-1).numpy()
        last = _curve(result, prompt.item, "entropy")
        assert last["value"].iloc[-1] == pytest.approx(-(probs * np.log2(probs)).sum(), rel=1e-5)


def test_closed_tasks_have_the_papers_four_curves_with_their_nulls(model):
    result = logit_lens(model, ll.task("sentiment"), languages="ja", items=4)
    assert set(result.table["curve"]) == {
        "target", "target_null", "target_any", "pivot", "pivot_null", "pivot_any", "entropy",
    }  # fmt: skip
    wide = result.table.pivot(index=["item", "layer"], columns="curve", values="value")
    assert (wide["target_any"] >= wide[["target", "target_null"]].max(axis=1) - 1e-9).all()
    assert (wide["target_any"] <= wide["target"] + wide["target_null"] + 1e-9).all()


def test_table_columns_types_and_layers(model):
    result = logit_lens(model, ll.task("sentiment"), languages="ja,ru", items=3, shots=1)
    assert list(result.table.columns) == ["task", "language", "item", "label", "layer", "curve", "value"]
    assert sorted(result.table["layer"].unique()) == list(range(1, model.n_layers + 1))
    probabilities = result.table[result.table["curve"] != "entropy"]["value"]
    assert probabilities.between(0, 1).all()
    assert result.provenance.languages == ("ja", "ru")
    assert set(result.provenance.settings["accuracy"]) == {"ja", "ru"}


def test_summary_is_the_mean_with_an_interval_around_it(model):
    result = logit_lens(model, ll.task("translation", source="fr"), languages="sw", items=20, shots=1)
    summary = result.summary()
    assert list(summary.columns) == ["task", "language", "layer", "curve", "mean", "low", "high", "n"]
    assert (summary["low"] <= summary["mean"] + 1e-12).all()
    assert (summary["mean"] <= summary["high"] + 1e-12).all()
    expected = result.table.groupby(["curve", "layer"], observed=True)["value"].mean()
    for row in summary.itertuples():
        assert row.mean == pytest.approx(expected[row.curve, row.layer])
    wide = result.table.pivot(index=["item", "layer"], columns="curve", values="value")
    gap = result.gap().set_index("layer")["mean"]
    both = wide.dropna(subset=["pivot", "pivot_null"])
    np.testing.assert_allclose(gap, (both["pivot"] - both["pivot_null"]).groupby("layer").mean(), rtol=1e-9)


def test_the_lead_is_among_items_whose_target_can_be_read(model):
    result = logit_lens(model, ll.task("translation", source="fr"), languages="sw", items=20, shots=1)
    table = result.table
    some = set(sorted(set(table["item"]))[::2])
    unread = table[(table["curve"] != "target") | table["item"].isin(some)]
    wide = unread.pivot(index=["item", "layer"], columns="curve", values="value").dropna(
        subset=["target", "pivot_null"]
    )
    ahead = (wide["pivot"] > wide["target"]) & (wide["pivot"] > wide["pivot_null"])
    gap = replace(result, table=unread).gap().set_index("layer")
    np.testing.assert_allclose(gap["lead"], ahead.groupby("layer").mean())
    assert (gap["n"] == result.gap().set_index("layer")["n"]).all()
    never = replace(result, table=table[table["curve"] != "target"]).gap()
    assert never["lead"].isna().all()


def test_a_result_survives_its_folder(model, tmp_path):
    result = logit_lens(model, ll.task("sentiment"), languages="ja", items=2)
    again = LensResult.load(result.save(tmp_path))
    pd.testing.assert_frame_equal(again.table, result.table)
    pd.testing.assert_frame_equal(again.summary(), result.summary())
    assert again.provenance == result.provenance


def test_asking_for_the_pivot_itself_draws_no_pivot_curve(model):
    result = logit_lens(model, ll.task("sentiment"), languages="en", items=2)
    assert not {"pivot", "pivot_null"} & set(result.table["curve"])
    assert result.gap().empty


@pytest.mark.parametrize("mode", ["en", "agnostic"])
def test_answers_in_the_pivots_own_words_are_the_target(model, mode):
    result = logit_lens(model, ll.task("sentiment", answers=mode), languages="ja", items=2)
    assert set(result.table["curve"]) == {"target", "target_null", "target_any", "entropy"}


def test_policies_differ_as_they_say(model):
    words = ll.task("translation", source="fr")
    exclusive, dropped, shared = (
        logit_lens(model, words, languages="de", items=30, shots=1, policy=policy)
        for policy in ("exclusive", "drop", "shared")
    )
    prompts = words.prompts("de", items=30, shots=1)
    strings = {code: dict(words.answers(code)) for code in ("de", "en", "fr")}
    sets = answer_sets(token_bytes(model.tokenizer), strings, cue=prompts[0].cue, scope="same")
    apart = {
        p.item
        for p in prompts
        if not any(
            np.intersect1d(sets[a, p.label].ids, sets[b, p.label].ids).size
            for a, b in itertools.combinations(strings, 2)
        )
    }
    assert set(dropped.table.query("curve == 'target'")["item"]) == apart
    assert apart <= set(exclusive.table.query("curve == 'target'")["item"])
    assert len(apart) < 30
    assert "target_shared" in set(shared.table["curve"])
    assert dropped.provenance.settings["notes"]["de"]


def test_the_published_protocol_reads_the_papers_sets(model):
    words = ll.task("sentiment")
    result = logit_lens(model, words, languages="ja,it", items=4, protocol="as-published")
    assert result.provenance.protocol == "as-published"
    assert result.provenance.policy == "drop"
    strings = {code: dict(words.answers(code)) for code in ("ja", "en")}
    sets = published_sets(model.tokenizer, strings)
    prompt = words.prompts("ja", items=1)[0]
    expected = _slow_probs(model, prompt)[:, sets["ja", prompt.label].ids].sum(-1)
    found = result.table[result.table["language"] == "ja"]
    found = found[(found["item"] == prompt.item) & (found["curve"] == "target")]
    np.testing.assert_allclose(found["value"], expected, rtol=2e-4, atol=1e-7)
    assert "it" in result.provenance.settings["notes"]
    with pytest.raises(InputError, match="has no policy 'exclusive'"):
        logit_lens(model, words, languages="ja", protocol="as-published", policy="exclusive")


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_users_padding_side_does_not_matter(side):
    plain = tiny.model("mistral")
    results = [
        logit_lens(
            HookedLM(plain, tiny.tokenizer(padding_side=s), name="t"),
            ll.task("sentiment"),
            languages="ru",
            items=6,
            shots=1,
        )
        for s in ("left", side)
    ]
    np.testing.assert_allclose(results[0].table["value"], results[1].table["value"], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": "jaa"}, "unknown language 'jaa'"),
        ({"languages": "ja", "pivot": "xx-unknown"}, "unknown language"),
        ({"languages": "ja", "items": 0}, "items must be at least 1, not 0"),
        ({"languages": "ja", "items": 2**63}, "items must be at most 2,147,483,647"),
        ({"languages": "ja", "seed": 2**63}, "seed must be at most 4,294,967,295"),
        ({"languages": "ja", "policy": "exklusive"}, "did you mean 'exclusive'"),
        ({"languages": "ja", "protocol": "published"}, "did you mean 'as-published'"),
        ({"languages": "eo"}, "no data in 'eo'"),
    ],
)
def test_bad_options_are_named(model, options, message):
    with pytest.raises(InputError, match=message):
        logit_lens(model, ll.task("sentiment"), **options)


def test_a_prompt_longer_than_the_context_is_refused():
    short = HookedLM(tiny.model("mistral", max_position_embeddings=16), tiny.tokenizer(), name="short")
    with pytest.raises(InputError, match="16"):
        logit_lens(short, ll.task("sentiment"), languages="ja", items=2)


@pytest.mark.parametrize(
    ("policy", "protocol"), [("drop", "corrected"), ("sequence", "corrected"), ("drop", "as-published")]
)
def test_a_dropped_item_is_read_by_nobody(policy, protocol):
    """Dutch has words of English (ladder): to count these as English would find English in right Dutch answers."""
    lm = ll.load("pocket")
    result = logit_lens(lm, "translation", languages="nl", items=60, policy=policy, protocol=protocol)
    table = result.table
    read = {curve: {*part["item"]} for curve, part in table.groupby("curve")}
    assert 0 < len(read["target"]) < 60
    assert read["pivot"] <= read["target"] and read["pivot_null"] <= read["target"]
    assert len(read["entropy"]) == 60
    assert result.gap()["n"].max() <= len(read["target"])
    note = result.provenance.settings["notes"]["nl"]
    counts = [
        int(count) for count in re.findall(r"(\d+) of 60 items are dropped for their answer in \w+", note)
    ]
    assert sum(counts) == 60 - len(read["target"]) and "items are dropped for their answer in nl" in note


def test_labels_that_the_pivot_shares_are_out_of_its_curves_too():
    lm = ll.load("pocket")
    reviews = ll.task("sentiment", protocol="as-published")
    with pytest.raises(InputError, match="no answer can be read"):
        logit_lens(lm, reviews, languages="it", items=10, protocol="as-published")


def test_a_language_without_a_number_is_left_out_of_the_glance():
    result = lens_result(["ja", "de"], items=4)
    table = result.table.copy()
    table.loc[(table["language"] == "de") & (table["curve"] == "pivot_null"), "value"] = float("nan")
    half = replace(result, table=table)
    assert half.gap().groupby("language")["mean"].count().to_dict() == {"de": 0, "ja": 8}
    assert half.glance()["language"].tolist() == ["ja"]
    pd.testing.assert_frame_equal(
        half.glance(), result.glance().query("language == 'ja'"), check_index_type=False
    )
    table.loc[table["curve"] == "pivot_null", "value"] = float("nan")
    nothing = replace(result, table=table)
    pd.testing.assert_frame_equal(nothing.glance(), nothing.summary())


@pytest.mark.parametrize("items", [1, 2])
def test_of_one_or_two_items_there_is_no_interval(items: int) -> None:
    result = lens_result(codes=("fr",), layers=4, items=items)
    for table in (result.summary(), result.gap()):
        assert table[["low", "high"]].isna().all(axis=None) and table["mean"].notna().all()
    assert "±" not in result.describe() and "nan" not in result.describe()
    # a figure draws the curves without a band
    names = [trace.name for trace in result.figure().data]
    assert "English" in " ".join(names) and not any("band" in name for name in names)


def test_items_that_are_all_alike_have_the_interval_of_a_share() -> None:
    result = lens_result(codes=("fr",), layers=4, items=12)
    table = result.table.assign(value=result.table["value"].where(result.table["curve"] == "pivot_null", 0.5))
    summary = replace(result, table=table).summary().set_index(["curve", "layer"])
    assert tuple(summary.loc[("target", 2), ["low", "high"]]) == pytest.approx(wilson(6, 12))
    # bits have no upper end
    assert summary.loc["entropy", ["low", "high"]].isna().all(axis=None)
    of_layer = result.table.query("curve == 'pivot_null' and layer == 2").sort_values("item")
    varied = of_layer["value"].to_numpy()[:, None]
    expected = [float(end[0]) for end in bootstrap_means(varied)]
    assert summary.loc[("pivot_null", 2), ["low", "high"]].tolist() == pytest.approx(expected)
