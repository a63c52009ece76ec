"""Whole answers, against one sequence at a time through the model's own hidden states."""

from unicodedata import category

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import latentlang as ll
from latentlang.answers import answer_paths, token_bytes
from latentlang.errors import InputError
from latentlang.lens import logit_lens
from latentlang.models import HookedLM, score_answers
from tests.support import tiny
from tests.support.answer_corpus import SENTIMENT, trained


def _lm(tokenizer, architecture="mistral", **changes):
    plain = tiny.model(architecture, vocab_size=len(tokenizer), max_position_embeddings=2048, **changes)
    return HookedLM(plain, tokenizer, name="tiny")


@pytest.fixture(scope="module", params=["mistral", "qwen2"])
def model(request) -> HookedLM:
    return HookedLM(tiny.model(request.param), tiny.tokenizer(), name=f"tiny-{request.param}")


def _slow(model, ids, path):
    """``[layer]`` log-probability of a path: every token by itself, the prompt and what came before it run anew."""
    total = torch.zeros(model.n_layers, dtype=torch.float64)
    norm, head = model.model.model.norm, model.model.lm_head
    for place in range(len(path.tokens) + bool(path.ends)):
        before = torch.tensor([[*ids, *path.tokens[:place]]])
        with torch.inference_mode():
            out = model.model(before, output_hidden_states=True)
            inner = [head(norm(h[0, -1])) for h in out.hidden_states[1:-1]]
            log_probs = torch.stack([*inner, out.logits[0, -1]]).double().log_softmax(-1)
        if place < len(path.tokens):
            total += log_probs[:, path.tokens[place]]
        else:
            total += log_probs[:, list(path.ends)].logsumexp(-1)
    return total.numpy()


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("batch_tokens", [None, 1])
def test_equal_the_slow_definition(model, share, batch_tokens):
    words = ll.task("translation", source="fr")
    prompts = words.prompts("ja", items=3, shots=2)
    answers = [
        [words.answers(code)[prompt.label][0] for code in ("ja", "en", "de")] + ["positiv", "positive"][:n]
        for n, prompt in enumerate(prompts)
    ]
    seen = []
    scores = score_answers(
        model,
        prompts,
        answers,
        share_prefix=share,
        batch_tokens=batch_tokens,
        progress=lambda *n: seen.append(n),
    )
    ids, paths = answer_paths(model, prompts, answers)
    assert ids == model.encode(prompts)
    for score, before, found, own in zip(scores, ids, paths, answers, strict=True):
        assert score.log_probs.shape == (len(own), model.n_layers)
        for values, (path,) in zip(score.log_probs, found, strict=True):
            np.testing.assert_allclose(values, _slow(model, before, path), rtol=2e-5)
    assert seen[-1] == (3, 3)
    first = logit_lens(model, words, languages="ja", items=3, shots=2)
    entropy = first.table.query("curve == 'entropy'")["value"].to_numpy().reshape(3, -1)
    np.testing.assert_allclose([score.entropy for score in scores], entropy, rtol=1e-4)


def test_the_last_layer_is_the_models_own_probability_of_the_answer(model):
    prompt = ll.task("sentiment").prompts("en", items=1, shots=1)[0]
    (score,) = score_answers(model, [prompt.text], [["positive"]])
    ids = model.encode([prompt.text, prompt.text + "positive", prompt.text + 'positive"'])
    closers = [i for i in range(model.vocab_size) if model.tokenizer.decode([i]).startswith('"')]
    with torch.inference_mode():
        log_probs = model.model(torch.tensor([ids[2]])).logits[0].double().log_softmax(-1)
    own = sum(log_probs[at - 1, ids[1][at]] for at in range(len(ids[0]), len(ids[1])))
    own += log_probs[len(ids[1]) - 1, closers].logsumexp(-1)
    assert score.log_probs[0, -1] == pytest.approx(own.item(), rel=1e-5)


def _greedy_tokenizer():
    """Byte-level BPE without splitting, that merges a quote with the letter after it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [('"', "p"), ('"p', "o"), ("s", "i"), ('"', "Ċ")]
    tokens = ["</s>", *alphabet, *("".join(pair) for pair in merges)]
    backend = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")


def test_where_the_cue_merges_with_the_answer_the_prompt_stays_and_the_answer_is_spelled():
    model = _lm(_greedy_tokenizer())
    tokenizer = model.tokenizer
    assert tokenizer.tokenize('a: "posi"')[-3:] == ['"po', "si", '"']
    (ids,), ((found,),) = answer_paths(model, ['a: "'], [["posi"]])
    assert tokenizer.convert_ids_to_tokens(ids)[-1] == '"'
    (path,) = found
    assert tokenizer.convert_ids_to_tokens(path.tokens) == ["p", "o", "si"]
    assert set(tokenizer.convert_ids_to_tokens(path.ends)) == {'"', '"p', '"po', '"Ċ'}
    (score,) = score_answers(model, ['a: "'], [["posi"]])
    np.testing.assert_allclose(score.log_probs[0], _slow(model, ids, path), rtol=2e-5)


def test_an_answer_may_begin_with_a_space_where_the_cue_leaves_one_out(model):
    (ids,), ((found,),) = answer_paths(model, ["Emotion:"], [["gut"]])
    table = token_bytes(model.tokenizer)
    spelled = {b"".join(table.bytes[token] for token in path.tokens) for path in found}
    assert spelled == {b"gut", b" gut"}
    (score,) = score_answers(model, ["Emotion:"], [["gut"]])
    slow = np.logaddexp(*(_slow(model, ids, path) for path in found))
    np.testing.assert_allclose(score.log_probs[0], slow, rtol=2e-5)


def test_wordings_add_up_and_none_counts_twice(model):
    both, one, two, twice, open_both, open_short = (
        score_answers(model, [cue], [[answer]])[0].log_probs[0]
        for cue, answer in (
            ('a: "', ("gut", "gute")), ('a: "', "gut"), ('a: "', "gute"), ('a: "', ("gut", "gut")),
            ("a: ", ("gut", "gute")), ("a: ", "gut"),
        )
    )  # fmt: skip
    np.testing.assert_allclose(both, np.logaddexp(one, two), rtol=1e-6)
    np.testing.assert_allclose(twice, one, rtol=1e-6)
    # without an end, whatever writes "gute" has written "gut"
    np.testing.assert_allclose(open_both, open_short, rtol=1e-6)


@settings(max_examples=8, deadline=None)
@given(
    answers=st.lists(st.text("abпо犬ा", min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    share_prefix=st.booleans(),
)
def test_answers_are_scored_as_if_each_were_alone_and_sum_to_at_most_one(answers, share_prefix):
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    (score,) = score_answers(model, ['a: "'], [answers], share_prefix=share_prefix)
    assert np.exp(score.log_probs).sum(0).max() <= 1 + 1e-6
    for answer, values in zip(answers, score.log_probs, strict=True):
        (alone,) = score_answers(model, ['a: "'], [[answer]])
        np.testing.assert_allclose(values, alone.log_probs[0], rtol=2e-5)


def test_an_answer_that_cannot_be_written_is_nan():
    model = _lm(trained("unigram"))
    (score,) = score_answers(model, ['a: "'], [["positive", "\u0f00\u0f01"]])
    assert np.isfinite(score.log_probs[0]).all()
    assert np.isnan(score.log_probs[1]).all()
    (empty,) = score_answers(model, ['a: "'], [[]])
    assert empty.log_probs.shape == (0, model.n_layers)
    assert np.isfinite(empty.entropy).all()


def test_bad_input_is_named(model):
    with pytest.raises(InputError, match="2 prompts need as many lists of answers, not 1"):
        score_answers(model, ["a", "b"], [["c"]])
    with pytest.raises(InputError, match="at least one character"):
        score_answers(model, ["a"], [[" "]])
    with pytest.raises(InputError, match="256"):
        score_answers(model, ["a " * 300], [["b"]])


def test_every_label_of_the_papers_tasks_is_written_whole():
    model = _lm(trained("qwen"))
    answers = [answer for labels in SENTIMENT.values() for (answer,) in labels.values()]
    (score,) = score_answers(model, ['\nEmotion: "'], [answers])
    assert np.isfinite(score.log_probs).all()


def test_chosen_layers_are_read_alone(model):
    answers = [["gut", "positive"]]
    (every,), (last,), (two,) = (
        score_answers(model, ['a: "'], answers, layers=layers) for layers in (None, [-1], [1, 3])
    )
    np.testing.assert_allclose(last.log_probs, every.log_probs[:, -1:], rtol=1e-6)
    np.testing.assert_allclose(two.log_probs, every.log_probs[:, [0, 2]], rtol=1e-6)
    assert (last.entropy.shape, last.top_ids.tolist()) == ((1,), every.top_ids[-1:].tolist())
    (whole,) = score_answers(model, ['a: "'], answers, layers="all")
    assert whole.log_probs.shape == (2, model.n_layers + 1)
    np.testing.assert_allclose(whole.log_probs[:, 1:], every.log_probs, rtol=1e-6)


def test_an_answer_that_begins_another_is_followed_by_the_end_of_a_word(model):
    """``1`` takes no part of what ``10`` has: else it would be picked however sure the model is of ``10``."""
    table = token_bytes(model.tokenizer)
    (score,) = score_answers(model, ["Antwort:\n"], [["1", "10"]])
    ids = model.encode(["Antwort:\n", "Antwort:\n1", "Antwort:\n10"])
    with torch.inference_mode():
        before, one, ten = (
            model.model(torch.tensor([own])).logits[0, -1].double().softmax(-1) for own in ids
        )
    digit = ids[1][-1], ids[2][-1]
    assert (len(ids[1]), len(ids[2])) == (len(ids[0]) + 1, len(ids[0]) + 2)
    ends = [
        token
        for token, text in enumerate(table.bytes)
        if token == model.tokenizer.eos_token_id
        or (
            text
            and (first := text.decode("utf-8", "replace")[0]) != "\ufffd"
            and category(first)[0] not in "LMN"
        )
    ]
    expected = [before[digit[0]] * one[ends].sum(), before[digit[0]] * one[digit[1]] * ten[ends].sum()]
    found = np.exp(score.log_probs[:, -1])
    np.testing.assert_allclose(found, [float(value) for value in expected], rtol=1e-4)
