"""The lens with policy="sequence": curves from the probabilities of whole answers."""

import numpy as np
import pytest

import latentlang as ll
from latentlang.lens import logit_lens
from latentlang.lens.answer_curves import MOST_NULLS
from latentlang.models import HookedLM, score_answers
from latentlang.tasks import Concept
from tests.support import tiny
from tests.support.answer_corpus import trained
from tests.support.known import ASKED, written

PAPER20 = ll.language_names.GROUPS["paper20"]


def _lm(tokenizer, architecture="mistral", **changes):
    plain = tiny.model(architecture, vocab_size=len(tokenizer), max_position_embeddings=2048, **changes)
    return HookedLM(plain, tokenizer, name="tiny")


@pytest.fixture(scope="module", params=["mistral", "qwen2"])
def model(request) -> HookedLM:
    return HookedLM(tiny.model(request.param), tiny.tokenizer(), name=f"tiny-{request.param}")


def test_curves_are_the_probabilities_of_whole_answers(model):
    words = ll.task("translation", source="fr")
    result = logit_lens(model, words, languages="ja", items=3, shots=1, policy="sequence", seed=3)
    assert result.provenance.policy == "sequence"
    for prompt in words.prompts("ja", items=3, shots=1, seed=3):
        wide = result.table.query("item == @prompt.item").pivot(
            index="layer", columns="curve", values="value"
        )
        assert wide.drop(columns="entropy").to_numpy().max() <= 1
        for role, code in (("target", "ja"), ("pivot", "en")):
            known = words.answers(code)
            wrong = [known[name] for name in words.wrong_labels(prompt.label)]
            (score,) = score_answers(model, [prompt], [[known[prompt.label], *wrong]])
            probs = np.exp(score.log_probs)
            np.testing.assert_allclose(wide[role], probs[0], rtol=1e-4)
            # the null is the mean over a draw of at most MOST_NULLS of them
            ordered = np.sort(probs[1:], axis=0)
            assert (wide[f"{role}_null"] >= ordered[:MOST_NULLS].mean(0) * (1 - 1e-4)).all()
            assert (wide[f"{role}_null"] <= ordered[-MOST_NULLS:].mean(0) * (1 + 1e-4)).all()
            if len(wrong) <= MOST_NULLS:
                np.testing.assert_allclose(wide[f"{role}_null"], probs[1:].mean(0), rtol=1e-4)


def test_nulls_are_a_draw_of_the_seed_and_the_item(monkeypatch, model):
    asked: list = []

    def watched(model, prompts, answers, **options):
        asked.append([list(map(tuple, own)) for own in answers])
        return score_answers(model, prompts, answers, **options)

    monkeypatch.setattr("latentlang.lens.logit.score_answers", watched)
    words = ll.task("translation", source="fr")
    for language, seed in (("ja", 0), ("ja", 0), ("hi", 0), ("ja", 1)):
        logit_lens(model, words, languages=language, items=2, shots=0, policy="sequence", seed=seed)
    first, again, hindi, other = asked
    assert first == again != other
    sizes = [min(MOST_NULLS, len(words.wrong_labels(p.label))) for p in words.prompts("ja", items=2, shots=0)]
    assert max(sizes) == MOST_NULLS
    assert [len({*own}) for own in first] == [3 * (1 + size) for size in sizes]
    # those of the pivot and of the prompt's own language are the same whatever the target language
    assert [own[len(own) // 3 :] for own in first] == [own[len(own) // 3 :] for own in hindi]


def test_closed_tasks_sum_over_all_labels(model):
    result = logit_lens(model, ll.task("sentiment"), languages="de", items=4, shots=1, policy="sequence")
    assert result.table.groupby("curve", observed=True)["item"].nunique().eq(4).all()
    wide = result.table.pivot(index=["item", "layer"], columns="curve", values="value")
    for role in ("target", "pivot"):
        np.testing.assert_allclose(wide[f"{role}_any"], wide[role] + wide[f"{role}_null"], rtol=1e-6)
    last = wide.xs(model.n_layers, level="layer")
    assert result.provenance.settings["accuracy"]["de"] == (last["target"] > last["target_null"]).mean()


@pytest.mark.parametrize("kind", ["mistral", "qwen"])
def test_all_twenty_languages_are_usable(kind):
    model = _lm(trained(kind), num_hidden_layers=2)
    for task in (ll.task("sentiment"), ll.task("repetition")):
        codes = [code for code in PAPER20 if code in task.languages]
        result = logit_lens(model, task, languages=",".join(codes), items=2, shots=0, policy="sequence")
        counts = result.table.groupby(["language", "curve"], observed=True)["item"].nunique().unstack()
        assert len(codes) == (counts["target"] >= 1).sum() == 20
        assert (counts["pivot"] >= 1).sum() == 19  # English has no pivot but itself
        if task.name == "sentiment":
            assert (counts["target"] == 2).all()
            dropped = logit_lens(model, task, languages=",".join(codes), items=2, shots=0, policy="drop")
            assert dropped.table.query("curve == 'target'")["language"].nunique() < 20


def test_answers_that_no_reading_tells_apart_are_noted():
    texts = [("hotel", "hotel"), ("positiv", "positive"), ("katze", "cat"), ("hund", "dog")]
    concepts = [Concept(f"w/{en}", "w", {"en": en, "de": de, "fr": f"le {de}o"}) for de, en in texts]
    k = written({1: "en", 2: ASKED}, n_layers=3, concepts=concepts)
    result = logit_lens(k.model, k.task, languages="de", shots=0, policy="sequence")
    assert (
        "1 of 4 items are dropped for their answer in de, e.g. 'hotel': 'hotel' is also the en answer"
        in (result.provenance.settings["notes"]["de"])
    )
    assert set(result.table.query("curve == 'target'")["label"]) == {"w/positive", "w/cat", "w/dog"}
