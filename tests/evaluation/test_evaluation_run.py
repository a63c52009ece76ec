"""`evaluate` from end to end on tiny models: rows, states, answer modes, the published scorer, and what is refused."""

import json

import numpy as np
import pandas as pd
import peft
import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.evaluation import EvaluationResult, evaluate
from latentlang.evaluation.result import COLUMNS
from latentlang.evaluation.scoring import FirstTokens, Scored
from latentlang.lens import logit_lens
from latentlang.models import HookedLM
from latentlang.stats.intervals import wilson
from latentlang.tasks.labels import KINDS, published_words, words
from tests.support import tiny
from tests.support.paper_folder import FORMATS, write_json, write_task

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
TASKS = ("sentiment", "nli", "paraphrase")


def tuned_model(architecture: str = "mistral", **settings) -> HookedLM:
    """A tiny model with a random adapter."""
    plain = tiny.model(architecture, max_position_embeddings=2048)
    return HookedLM(tiny.adapted(plain).eval(), tiny.tokenizer(), name="tiny", **settings)


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral", max_position_embeddings=2048), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def result(model) -> EvaluationResult:
    return evaluate(model, "sentiment,nli", languages="de,fr", items=7, shots=1, seed=2)


def test_one_row_per_item_language_and_task_in_order(result):
    scores = [f"score_{label}" for name in ("sentiment", "nli") for label in KINDS[name].labels]
    assert list(result.table.columns) == [*COLUMNS, *scores]
    expected = [
        (name, code, prompt.item, prompt.label)
        for name in ("sentiment", "nli")
        for code in ("de", "fr")
        for prompt in ll.task(name).prompts(code, items=7, shots=1, seed=2)
    ]
    columns = ["task", "language", "item", "label"]
    assert list(result.table[columns].itertuples(index=False, name=None)) == expected
    assert set(result.table["state"]) == {"base"}
    for name in ("sentiment", "nli"):
        own = result.table[result.table["task"] == name]
        mine = [f"score_{label}" for label in KINDS[name].labels]
        assert own[mine].notna().all(axis=None) and own[[s for s in scores if s not in mine]].isna().all(
            axis=None
        )
        best = own[mine].to_numpy().argmax(1)
        assert list(own["predicted"]) == [KINDS[name].labels[place] for place in best]
        assert (own["right"] == (own["predicted"] == own["label"])).all()
    assert result.table["confidence"].between(1 / 3, 1).all()
    assert result.table["answerable"].all()


def test_the_summary_counts_and_has_wilsons_interval(result):
    summary = result.summary(level=0.9)
    assert list(zip(summary["task"], summary["language"], strict=True)) == [
        ("sentiment", "de"), ("sentiment", "fr"), ("nli", "de"), ("nli", "fr"),
    ]  # fmt: skip
    for row in summary.itertuples():
        own = result.table[(result.table["task"] == row.task) & (result.table["language"] == row.language)]
        assert (row.n, row.right) == (7, own["right"].sum())
        assert row.accuracy == row.right / 7
        assert (row.low, row.high) == wilson(row.right, 7, level=0.9)
        assert row.majority == own["label"].value_counts().max() / 7
        assert row.unanswerable == 0
    assert list(summary["chance"]) == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 3])


def test_means_over_languages_count_each_alike(result):
    averages = result.averages()
    for name in ("sentiment", "nli"):
        (row,) = averages[averages["task"] == name].itertuples()
        own = result.summary().query("task == @name")
        assert row.accuracy == pytest.approx(own["accuracy"].mean())
        assert row.macro_f1 == pytest.approx(own["macro_f1"].mean())
        assert (row.group, row.languages, row.n) == ("all", 2, 14)
        assert row.low_items <= row.accuracy <= row.high_items
        assert np.isnan(row.low) and np.isnan(row.high)  # two languages say nothing of others


def test_confusion_and_calibration(result):
    found = result.confusion("fr", task="nli")
    own = result.table.query("task == 'nli' and language == 'fr'")
    assert found.to_numpy().sum() == 7
    assert np.trace(found.to_numpy()) == own["right"].sum()
    for label in KINDS["nli"].labels:
        for chosen in KINDS["nli"].labels:
            assert found.loc[label, chosen] == ((own["label"] == label) & (own["predicted"] == chosen)).sum()
    assert result.calibration("French", task="nli", bins=4)["n"].sum() == 7
    with pytest.raises(InputError, match="several tasks: say task=, one of sentiment, nli"):
        result.confusion("fr")
    with pytest.raises(InputError, match="language of this evaluation 'sw'"):
        result.confusion("sw", task="nli")
    with pytest.raises(InputError, match="state of this evaluation 'tuned'"):
        result.confusion("fr", task="nli", state="tuned")


def test_the_part_of_one_task_is_what_it_would_be_alone(model, result):
    part = result.of("nli")
    alone = evaluate(model, "nli", languages="de,fr", items=7, shots=1, seed=2)
    pd.testing.assert_frame_equal(part.table, alone.table, check_dtype=False)
    assert part.provenance.settings == alone.provenance.settings
    assert part.provenance.task == alone.provenance.task == "nli"
    assert part.labels() == KINDS["nli"].labels


def test_saved_and_loaded_it_is_the_same(result, tmp_path):
    result.save(tmp_path)
    again = EvaluationResult.load(tmp_path)
    pd.testing.assert_frame_equal(again.summary(), result.summary())
    pd.testing.assert_frame_equal(again.averages(), result.averages())
    assert again.figure().to_json() == result.figure().to_json()


def test_another_architecture_goes_the_same_way():
    plain = tiny.model("qwen2", max_position_embeddings=2048)
    found = evaluate(HookedLM(plain, tiny.tokenizer(), name="tiny"), "paraphrase", languages="pl", items=4)
    assert found.summary()["n"].item() == 4 and found.provenance.model == "tiny"


@pytest.mark.parametrize("score", ["first-tokens", "sequence-per-byte"])
def test_sharing_and_batches_change_no_answer(model, score):
    asked = {"languages": "pl,fr", "items": 4, "score": score}
    first = evaluate(model, "nli", **asked).table
    for options in ({"share_prefix": False}, {"batch_tokens": 1}):
        other = evaluate(model, "nli", **asked, **options).table
        assert list(other["predicted"]) == list(first["predicted"])
        columns = [name for name in first.columns if name.startswith("score_")]
        np.testing.assert_allclose(other[columns], first[columns], rtol=1e-4)


def test_the_embedded_model_chooses_as_the_lens_says_it_does():
    pocket = ll.load("pocket")
    task = ll.task("sentiment")
    found = evaluate(pocket, task, languages="ja,de", items=20)
    lens = logit_lens(pocket, task, languages="ja,de", items=20)
    accuracy = dict(zip(found.summary()["language"], found.summary()["accuracy"], strict=True))
    assert accuracy == pytest.approx(lens.provenance.settings["accuracy"])
    assert min(accuracy.values()) > 0.5


# Answer modes


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("mode", ["same", "en", "agnostic"])
def test_few_shot_blocks_and_what_is_scored_speak_the_same_words(monkeypatch, model, name, mode):
    asked = {}
    monkeypatch.setattr(
        "latentlang.evaluation.run.first_tokens",
        lambda model, strings, *, cue: asked.setdefault("strings", strings) and _choice(strings),
    )
    monkeypatch.setattr(_Listens, "heard", [])
    evaluate(model, name, languages="de", items=2, answers=mode)
    expected = {
        "same": words(KINDS[name], "de"), "en": words(KINDS[name], "en"), "agnostic": dict(KINDS[name].agnostic),
    }[mode]  # fmt: skip
    assert asked["strings"] == {label: (text,) for label, text in expected.items()}
    (prompts,) = _Listens.heard
    for prompt in prompts:
        answered = [
            line.rpartition(': "')[2][:-1] for line in prompt.few_shot.splitlines() if line.endswith('"')
        ]
        assert answered and set(answered) <= set(expected.values())


class _Listens(FirstTokens):
    heard: list = []  # noqa: RUF012

    def run(self, model, prompts, **options):
        self.heard.append(prompts)
        count = len(prompts)
        return Scored(np.zeros((count, len(self.labels))), np.ones(count), np.zeros(count), [0] * count)


def _choice(strings):
    return _Listens(tuple(strings), {}, (), np.empty(0, np.int64))


# Before and after


def test_states_are_the_models_own_with_and_without_its_adapter():
    model = tuned_model()
    found = evaluate(model, "sentiment", languages="de,th", items=6, shots=1, score="sequence")
    assert found.states == ("base", "tuned")
    assert list(found.table["state"]) == (["base"] * 6 + ["tuned"] * 6) * 2
    plain = HookedLM(tiny.model("mistral", max_position_embeddings=2048), tiny.tokenizer(), name="tiny")
    alone = evaluate(plain, "sentiment", languages="de,th", items=6, shots=1, score="sequence")
    base = found.table[found.table["state"] == "base"]
    np.testing.assert_allclose(base["score_positive"], alone.table["score_positive"], rtol=1e-5)
    with model.tuned():
        after = evaluate(model, "sentiment", languages="de,th", items=6, shots=1, score="sequence")
    np.testing.assert_allclose(after.table["score_positive"], found.table["score_positive"], rtol=1e-6)
    tuned = found.table[found.table["state"] == "tuned"]
    assert (np.abs(tuned["score_positive"].to_numpy() - base["score_positive"].to_numpy()) > 1e-3).all()
    only = evaluate(model, "sentiment", languages="th", items=6, shots=1, score="sequence", states=["base"])
    assert only.states == ("base",) and only.provenance.adapter is None
    assert found.provenance.adapter is not None


def test_an_adapter_that_cannot_be_taken_off_is_refused_before_anything_is_run():
    lora = peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="pissa")
    model = HookedLM(
        peft.get_peft_model(tiny.model("mistral", max_position_embeddings=2048), lora), tiny.tokenizer()
    )
    with torch.no_grad():
        next(p for name, p in model.model.named_parameters() if "lora_B" in name).add_(0.1)
    with pytest.raises(ModelError, match="init_lora_weights='pissa'"):
        evaluate(
            model, "sentiment", languages="de", items=2, shots=1, progress=lambda *_: pytest.fail("it ran")
        )
    assert evaluate(model, "sentiment", languages="de", items=2, shots=1, states="tuned").states == ("tuned",)


def test_the_record_names_the_adapters_that_were_on():
    model = tuned_model()
    model.model.add_adapter("other", peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    model.model.set_adapter("other")
    found = evaluate(model, "sentiment", languages="de", items=2, shots=1)
    assert found.provenance.adapter == "other"
    assert not any("adapter" in note for note in found.provenance.settings.get("model_notes", ()))


def test_a_state_that_is_not_there_is_refused(model):
    with pytest.raises(InputError, match="no adapter"):
        evaluate(model, "sentiment", items=1, states=("tuned",))
    with pytest.raises(InputError, match="state 'after'"):
        evaluate(model, "sentiment", items=1, states=["after"])
    with pytest.raises(InputError, match="give base or tuned"):
        evaluate(model, "sentiment", items=1, states=[])


def test_seen_languages_have_means_of_their_own():
    found = evaluate(
        tuned_model(), "sentiment", languages="de,fr,es", items=4, shots=0, seen_languages="es,English"
    )
    assert found.seen_languages == ("es", "en")
    averages = found.averages()
    assert list(averages["group"]) == ["all", "seen", "unseen"] * 2
    assert list(averages["languages"]) == [3, 1, 2] * 2
    assert found.provenance.settings["seen"] == ["es", "en"]


def test_what_is_done_is_handed_over_language_by_language():
    kept, seen_languages = [], []
    with pytest.raises(KeyboardInterrupt):
        evaluate(
            tuned_model(), "sentiment,nli", languages="de,th", items=3, shots=0,
            progress=lambda *n: seen_languages.append(n), keep=lambda part: kept.append(part) or _stop_after(kept, 3),
        )  # fmt: skip
    assert [(part.tasks, part.languages) for part in kept] == [
        (("sentiment",), ("de",)), (("sentiment",), ("de", "th")), (("sentiment", "nli"), ("de", "th")),
    ]  # fmt: skip
    assert len(kept[-1].of("nli").table) == 6 and kept[-1].of("nli").languages == ("de",)
    assert {total for _, total in seen_languages} == {24}
    assert [done for done, _ in seen_languages] == sorted(
        done for done, _ in seen_languages
    ) and seen_languages[-1][0] == 18
    assert len(kept[-1].summary()) == 6


def _stop_after(kept, count):
    if len(kept) == count:
        raise KeyboardInterrupt


# What cannot be answered


def test_items_that_cannot_be_right_are_counted_said_and_left_out_of_means():
    pocket = ll.load("pocket")
    found = evaluate(pocket, "paraphrase", languages="bn,de", items=8)
    row = found.summary().set_index("language").loc["bn"]
    assert (row["n"], row["unanswerable"]) == (8, 4)  # they count as wrong
    own = found.table[found.table["language"] == "bn"]
    assert (~own["answerable"] == (own["label"] == "same")).all()
    assert not own[~own["answerable"]]["right"].any()
    assert found.incomplete() == ("bn",)
    assert found.notes()["bn"].startswith("4 of 8 items cannot be right: 'একই' (same) cannot be chosen:")
    (mean,) = found.averages().itertuples()
    assert (mean.languages, mean.accuracy) == (1, found.summary().set_index("language").loc["de", "accuracy"])
    whole = evaluate(pocket, "paraphrase", languages="bn", items=8, score="sequence")
    assert whole.summary()["unanswerable"].item() == 0 and whole.incomplete() == ()
    with pytest.raises(InputError, match=r"no answer of the sentiment task can be chosen.*score='sequence'"):
        evaluate(pocket, "sentiment", languages="th", items=2)


def test_much_probability_on_shared_tokens_is_noted(model, monkeypatch):
    def shares(self, model, prompts, **options):
        count = len(prompts)
        return Scored(np.zeros((count, 2)), np.full(count, 0.1), np.full(count, 0.8), [None] * count)

    monkeypatch.setattr(FirstTokens, "run", shares)
    found = evaluate(model, "sentiment", languages="de", items=2, shots=0)
    assert found.notes()["de"].startswith(
        "most of the next-token probability is on tokens that begin several"
    )
    assert found.table["predicted"].isna().all() and not found.table["right"].any()
    assert found.confusion("de")["undecided"].sum() == 2


def test_a_model_that_would_say_something_else_is_noted(model):
    found = evaluate(model, "sentiment", languages="de,fr", items=2, shots=0, score="sequence")
    assert (found.table["mass"] < 0.01).all()
    assert found.notes()["de"].startswith(
        "all labels' answers together have less than 0.01 of the probability"
    )
    assert found.notes()["de"] == found.notes()["fr"]


# As published


JA, BN = {"neutral": "中性"}, {"entailment": "ধারণ করে"}


@pytest.fixture
def published_nli(tmp_path):
    """NLI files whose Japanese and Bengali gold strings are as in the published ones, and blocks."""
    kind, codes = KINDS["nli"], ("en", "ja", "bn", "de")
    strings = {code: published_words(kind, code) for code in codes}
    strings["ja"] = {**strings["ja"], **JA}
    strings["bn"] = {**strings["bn"], **BN}
    folder = write_task(tmp_path / "data", "nli", codes, strings=strings)
    block = 'Premise: a\nHypothesis: b\nAnswer: "entailment"'
    form = FORMATS["nli"]
    modes = {"en": {"blocks": dict.fromkeys(codes, block), "item_format": dict.fromkeys(codes, form)}}
    write_json(folder / "few_shot_blocks.json", {"nli": modes})
    return folder


def _always_right(self, model, prompts, **options):
    chosen = [self.labels.index(prompt.label) for prompt in prompts]
    scores = np.full((len(prompts), len(self.labels)), -9.0)
    scores[np.arange(len(prompts)), chosen] = -0.1
    return Scored(scores, np.ones(len(prompts)), np.zeros(len(prompts)), chosen)


def test_the_published_scorer_cannot_give_japanese_and_bengali_more_than_two_thirds(
    published_nli, model, monkeypatch
):
    monkeypatch.setattr(FirstTokens, "run", _always_right)
    made = {"data": published_nli, "answers": "en"}
    as_published = evaluate(model, ll.task("nli", protocol="as-published", **made))
    accuracy = as_published.summary().set_index("language")
    assert accuracy["accuracy"].to_dict() == pytest.approx({"en": 1, "de": 1, "ja": 2 / 3, "bn": 2 / 3})
    assert accuracy["unanswerable"].to_dict() == {"en": 0, "de": 0, "ja": 12, "bn": 12}
    own = as_published.table.query("language == 'ja' and label == 'neutral'")
    assert not own["right"].any() and not own["answerable"].any()
    assert "the published scorer expects a string that the file never has" in as_published.notes()["ja"]
    assert as_published.incomplete() == ()  # its means are the published ones, fault and all
    assert as_published.averages()["accuracy"].item() == pytest.approx((1 + 1 + 2 / 3 + 2 / 3) / 4)
    assert as_published.provenance.protocol == "as-published"

    corrected = evaluate(model, ll.task("nli", **made), shots=1)
    assert (corrected.summary()["accuracy"] == 1).all() and (corrected.summary()["unanswerable"] == 0).all()


def test_as_published_uses_its_own_sets_and_ties(published_nli, model):
    task = ll.task("nli", data=published_nli, answers="en", protocol="as-published")
    found = evaluate(model, task, languages="en", items=3)
    choice = found.table.filter(like="score_")
    assert np.isfinite(choice.to_numpy()).all()
    with pytest.raises(InputError, match="'as-published' compares first tokens; it has no score 'sequence'"):
        evaluate(model, task, languages="en", score="sequence")


# What is refused


def test_bad_input_is_named(model):
    with pytest.raises(InputError, match="the translation task is open"):
        evaluate(model, "sentiment,translation")
    with pytest.raises(InputError, match="the repetition task is open"):
        evaluate(model, ll.task("repetition"))
    with pytest.raises(InputError, match="unknown task 'sentimet'; did you mean 'sentiment'"):
        evaluate(model, "sentimet")
    with pytest.raises(InputError, match="score 'sequences'; did you mean 'sequence'"):
        evaluate(model, "sentiment", score="sequences")
    with pytest.raises(InputError, match="made with answers='en', not 'same'"):
        evaluate(model, ll.task("nli", answers="en"), answers="same")
    with pytest.raises(InputError, match="named twice"):
        evaluate(model, [ll.task("nli", answers="en"), "nli"])
    with pytest.raises(InputError, match="no task named"):
        evaluate(model, [])
    with pytest.raises(InputError, match="answers must be one of same, en, agnostic"):
        evaluate(model, "nli", answers="English")
    with pytest.raises(InputError, match="protocol must be"):
        evaluate(model, ll.task("nli"), protocol="published")
    with pytest.raises(InputError, match="no data in 'eo'"):
        evaluate(model, "sentiment", languages="de,eo")


def test_a_prompt_that_is_too_long_is_refused_before_anything_runs(monkeypatch):
    small = HookedLM(tiny.model("mistral", max_position_embeddings=200), tiny.tokenizer(), name="tiny")
    monkeypatch.setattr(FirstTokens, "run", lambda *a, **k: pytest.fail("a model ran"))
    with pytest.raises(InputError, match=r"\(bn\) is \d+ tokens long and this model takes at most 200"):
        evaluate(small, "sentiment", languages="en,bn", items=3)


def test_settings_say_how_it_was_asked(result):
    settings = json.loads(json.dumps(result.provenance.settings))
    assert settings["score"] == "first-tokens" and settings["states"] == ["base"]
    assert settings["tasks"]["nli"]["answers"] == "same" and settings["tasks"]["nli"]["shots"] == 1
    assert settings["tasks"]["sentiment"]["items"] == 7
    assert result.provenance.task == "sentiment,nli" and result.provenance.languages == ("de", "fr")
    assert result.provenance.seed == 2 and result.provenance.policy == ""
