"""Texts written by draws and by beams, in batches of several lengths: against plain loops and transformers' own."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from transformers import (
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM, generation
from latentlang.models.decoding import Decoding, spells_bytes
from latentlang.models.generation import Written, generate
from latentlang.models.logit_rules import among, drawn, restrained
from latentlang.seeding import generator
from tests.support import tiny
from tests.support.tiny_aligned import byte_fallback, hooked

PROMPTS = ["Review: I love", "Review: I love this film, it is", "Kritik: Ich hasse", "評価：", "R"]
ARCHITECTURES = ["mistral-window", "gemma3", "gpt2", "bloom"]
WAYS = {
    "greedy": Decoding(new_tokens=7),
    "rules": Decoding(
        new_tokens=7, repetition_penalty=1.3, no_repeat_ngram=2, force_no_repeat=True, min_new_tokens=4
    ),
    "sample": Decoding(how="sample", new_tokens=7, samples=2, temperature=1.2, top_k=50, top_p=0.9, seed=3),
    "beam": Decoding(how="beam", new_tokens=7, beams=3, length_penalty=0.7),
}
THEIRS = {
    "greedy": {},
    "rules": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 4},
    "beam": {"num_beams": 3, "length_penalty": 0.7},
}


def loaded(architecture: str) -> HookedLM:
    return HookedLM(tiny.model(architecture), tiny.tokenizer(), name=architecture)


def logits_after(model: HookedLM, text: list[int]) -> torch.Tensor:
    logits = model.activations([text], share_prefix=False).logits
    assert logits is not None
    return logits


def plain_loop(model: HookedLM, ids: list[int], decoding: Decoding, item: str, sample: int) -> Written:
    """One text, whole at each step; a draw looks a number up in the cumulated probabilities, token by token."""
    text, log_prob, ended = list(ids), 0.0, "length"
    ends = torch.tensor([tiny.EOS])
    draw = generator("generation", decoding.seed, item, sample)
    for _ in range(decoding.new_tokens):
        logits = logits_after(model, text)
        scores = restrained(logits, [text], [len(ids)], decoding, ends)
        token = int(scores[0].argmax())
        if decoding.how == "sample":
            number, shares = draw.random(), among(scores, decoding)[0].softmax(-1).tolist()
            token = next(place for place in range(len(shares)) if sum(shares[: place + 1]) > number)
        log_prob += float(logits[0].log_softmax(-1)[token])
        if token == tiny.EOS:
            ended = "end"
            break
        text.append(token)
    return Written("", tuple(text[len(ids) :]), ended, log_prob)  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_of_several_lengths_are_what_each_is_alone_and_what_transformers_writes(architecture):
    model = loaded(architecture)
    assert model.batching.why_not_mixed(30) is None
    ids = model.encode(PROMPTS)
    names = ["a", "b", "c", "d", "e"]
    for way, decoding in WAYS.items():
        written = generate(model, ids, decoding, items=names)
        for name, row, texts in zip(names, ids, written, strict=True):
            (alone,) = generate(model, [row], decoding, items=[name])
            assert [one.tokens for one in alone] == [one.tokens for one in texts]
            if way in THEIRS:
                theirs = model.model.generate(
                    torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long), do_sample=False,
                    max_new_tokens=7, pad_token_id=tiny.PAD, **THEIRS[way],
                )[0, len(row) :].tolist()  # fmt: skip
                stop = theirs.index(tiny.EOS) if tiny.EOS in theirs else len(theirs)
                assert texts[0].tokens == tuple(theirs[:stop])
            for sample, text in enumerate(texts):
                assert text.log_prob == pytest.approx(alone[sample].log_prob, abs=1e-3)


@pytest.mark.parametrize("way", ["greedy", "rules", "sample"])
def test_a_batch_writes_what_a_plain_loop_writes(way):
    model = loaded("mistral-window")
    decoding = WAYS[way]
    for place, texts in enumerate(generate(model, PROMPTS, decoding)):
        ids = model.encode([PROMPTS[place]])[0]
        for sample, text in enumerate(texts):
            reference = plain_loop(model, ids, decoding, str(place), sample)
            assert (text.tokens, text.ended) == (reference.tokens, reference.ended)
            assert text.log_prob == pytest.approx(reference.log_prob, abs=1e-3)


def test_beams_find_the_likeliest_text_where_they_hold_all():
    """Of two tokens after a prompt every pair is a beam: the best is the likeliest of all pairs."""
    model = loaded("llama")
    ids = model.encode([PROMPTS[0]])[0]
    first = logits_after(model, ids)[0].log_softmax(-1)
    best = (-math.inf, ())
    seconds = model.activations([[*ids, token] for token in range(tiny.VOCAB)]).logits.log_softmax(-1)
    # three lengths are there: none (ended at once), one token and the end, two
    for token in range(tiny.VOCAB):
        if token == tiny.EOS:
            best = max(best, (float(first[token]), ()))
            continue
        value, after = (seconds[token] + first[token]).max(-1)
        tokens = (token,) if int(after) == tiny.EOS else (token, int(after))
        best = max(best, (float(value) / 2, tokens))
    decoding = Decoding(how="beam", beams=tiny.VOCAB, new_tokens=2)
    ((text,),) = generate(model, [ids], decoding)
    assert text.tokens == best[1]


def test_draws_follow_the_distribution_and_depend_on_seed_item_and_sample_alone():
    model = loaded("llama")
    decoding = Decoding(how="sample", new_tokens=1, samples=1500, temperature=0.7, top_k=20, seed=1)
    ((ids,),) = [model.encode([PROMPTS[0]])]
    (texts,) = generate(model, [ids], decoding, items=["x"], batch_tokens=4096)
    expected = among(logits_after(model, ids), decoding)[0].softmax(-1)
    counts = Counter(text.tokens[0] if text.tokens else tiny.EOS for text in texts)
    for token, count in counts.items():
        share = float(expected[token])
        assert share > 0
        assert abs(count / 1500 - share) < 5 * math.sqrt(share * (1 - share) / 1500) + 1e-9
    three = Decoding(how="sample", new_tokens=6, samples=3, seed=1)
    among_others = generate(model, [*model.encode(PROMPTS[1:]), ids], three, items=["p", "q", "r", "s", "x"])
    (alone,) = generate(model, [ids], three, items=["x"])
    assert [text.tokens for text in among_others[-1]] == [text.tokens for text in alone]
    assert len({text.tokens for text in alone}) == 3
    (other,) = generate(model, [ids], three, items=["y"])
    (seeded,) = generate(model, [ids], Decoding(how="sample", new_tokens=6, samples=3, seed=2), items=["x"])
    assert len({tuple(text.tokens for text in texts) for texts in (alone, other, seeded)}) == 3


def test_rules_are_those_of_transformers():
    torch.manual_seed(0)
    logits = torch.randn(3, 50)
    texts = torch.randint(0, 12, (3, 20))
    lists = texts.tolist()
    penalty = Decoding(repetition_penalty=1.7)
    assert torch.equal(
        restrained(logits, lists, [4, 4, 4], penalty, torch.tensor([])),
        RepetitionPenaltyLogitsProcessor(1.7)(texts, logits),
    )
    for size in (1, 2, 3):
        ours = restrained(
            logits, lists, [4] * 3, Decoding(no_repeat_ngram=size, force_no_repeat=True), torch.tensor([])
        )
        assert torch.equal(ours, NoRepeatNGramLogitsProcessor(size)(texts, logits.clone()))
    for top_k, top_p, temperature in ((None, 0.8, 0.5), (7, None, 2.0), (20, 0.3, 1.0), (200, 1.0, 1.0)):
        decoding = Decoding(how="sample", top_k=top_k, top_p=top_p, temperature=temperature)
        theirs = TemperatureLogitsWarper(temperature)(texts, logits)
        theirs = theirs if top_k is None else TopKLogitsWarper(top_k)(texts, theirs)
        theirs = theirs if top_p is None or top_p == 1 else TopPLogitsWarper(top_p)(texts, theirs)
        assert torch.allclose(among(logits, decoding).softmax(-1), theirs.softmax(-1))


def test_a_nucleus_that_is_wider_than_is_first_looked_at_is_found():
    flat = torch.zeros(1, 2000)
    kept = among(flat, Decoding(how="sample", top_p=0.75)) > -torch.inf
    assert int(kept.sum()) in (1500, 1501)  # to rounding


def test_a_number_chooses_the_token_whose_part_it_is_in():
    logits = torch.tensor([[0.25, 0.0, 0.5, 0.25]]).log()
    decoding = Decoding(how="sample")
    chosen = [int(drawn(logits, decoding, [number])) for number in (0.0, 0.249, 0.25, 0.7, 0.76, 1 - 2**-53)]
    assert chosen == [0, 0, 2, 2, 3, 3]
    # the last one is never a token that cannot be drawn
    assert int(drawn(torch.tensor([[0.0, -torch.inf]]), decoding, [1 - 2**-53])) == 0


def test_writing_ends_at_a_stop_string_in_the_text_whatever_the_tokens_are():
    model = loaded("llama")
    ((whole,),) = generate(model, [PROMPTS[0]], Decoding(new_tokens=12))
    inside = whole.text[3:5]
    cut = whole.text.index(inside)
    ((text,),) = generate(model, [PROMPTS[0]], Decoding(new_tokens=12, stop=("never there", inside)))
    assert (text.text, text.ended, text.stop) == (whole.text[:cut], "stop-string", inside)
    assert len(text.tokens) < 12 and whole.tokens[: len(text.tokens)] == text.tokens
    # the same by beams: a text that stops competes with those that go on
    beams = Decoding(how="beam", beams=2, new_tokens=12, stop=(inside,))
    ((text,),) = generate(model, [PROMPTS[0]], beams)
    assert inside not in text.text


def test_a_stop_string_of_several_tokens_and_bytes_is_found():
    class Bytes:
        """A token is a byte."""

        def decode(self, tokens, skip_special_tokens):
            return bytes(tokens).decode("utf-8", "replace")

    from latentlang.models.stop_strings import StopStrings

    stops = StopStrings(Bytes(), ["。", "終わり。"])
    text = [*("はい" * 20 + "終わり").encode()]
    assert not any(stops.reached(text[: end + 1]) for end in range(len(text)))
    end = [*"。".encode()]
    assert [stops.reached([*text, *end[:count]]) for count in (1, 2, 3)] == [False, False, True]
    assert stops.cut("はい終わり。後") == ("はい", "終わり。") and stops.cut("いいえ") == ("いいえ", "")


def test_rows_that_have_ended_are_left_out(monkeypatch):
    """A row that ends early does not run to the end of the longest one, and the others write what they would."""
    model = loaded("llama")
    (texts,) = [[one for (one,) in generate(model, PROMPTS, Decoding(new_tokens=10))]]
    first = texts[0].tokens[0]
    model.tokenizer.eos_token_id = first
    rows: list[int] = []
    append = generation.NextTokens.append
    monkeypatch.setattr(
        generation.NextTokens,
        "append",
        lambda self, tokens: (rows.append(len(tokens)), append(self, tokens))[1],
    )
    again = [
        one for (one,) in generate(model, [PROMPTS[0], *PROMPTS[:1], PROMPTS[2]], Decoding(new_tokens=10))
    ]
    assert again[0].ended == again[1].ended == "end" and again[0].tokens == ()
    assert rows[-1] == 1 < max(rows) or set(rows) == {1}
    expected = texts[2].tokens
    stop = expected.index(first) if first in expected else len(expected)
    assert again[2].tokens == expected[:stop]


def test_ngram_blocking_is_refused_where_characters_are_spelt_in_bytes():
    for model in (hooked("mistral", byte_fallback(), eos_token="</s>", pad_token="<pad>"), loaded("llama")):
        assert spells_bytes(model.tokenizer)
        with pytest.raises(
            InputError, match=r"no_repeat_ngram=3 breaks languages whose characters .* byte tokens"
        ):
            generate(model, ["a"], Decoding(no_repeat_ngram=3, new_tokens=2))
        assert generate(model, ["a"], Decoding(no_repeat_ngram=3, force_no_repeat=True, new_tokens=2))
    words = tiny.tokenizer()
    words.get_vocab = lambda: {"a": 0, "é": 1, "<0x0A>": 2}
    assert not spells_bytes(words)


def test_a_byte_fallback_tokenizer_writes_characters_that_are_whole():
    model = hooked("mistral", byte_fallback(), eos_token="</s>", pad_token="<pad>")
    prompts = ["a b", "b"]
    for way in ("greedy", "beam", "sample"):
        for place, texts in enumerate(generate(model, prompts, WAYS[way])):
            (alone,) = generate(model, prompts[place : place + 1], WAYS[way], items=[str(place)])
            assert [one.text for one in alone] == [one.text for one in texts]
            assert all(
                one.text == model.tokenizer.decode(one.tokens, skip_special_tokens=True) for one in texts
            )


def test_the_embedded_model_writes_what_transformers_writes():
    model = ll.load("pocket")
    prompts = ["The cat", "Le chat est dans la", '日本語: "']
    ids = model.encode(prompts)
    for way in ("greedy", "beam"):
        for row, (text,) in zip(ids, generate(model, ids, WAYS[way]), strict=True):
            theirs = model.model.generate(
                torch.tensor([row]), attention_mask=torch.ones(1, len(row), dtype=torch.long), do_sample=False,
                max_new_tokens=7, pad_token_id=0, **THEIRS[way],
            )[0, len(row) :].tolist()  # fmt: skip
            assert tuple(theirs[: len(text.tokens)]) == text.tokens


def test_where_lengths_cannot_be_mixed_prompts_of_one_length_run_together(monkeypatch):
    model = loaded("llama")
    expected = generate(model, PROMPTS, WAYS["sample"])
    monkeypatch.setattr(type(model.batching), "why_not_mixed", lambda self, tokens=32: "a reason")
    batches: list[int] = []
    started = generation.NextTokens.__init__

    def counted(self, model, prompts, *, edit=None):
        batches.append(len({len(prompt) for prompt in prompts}))
        started(self, model, prompts, edit=edit)

    monkeypatch.setattr(generation.NextTokens, "__init__", counted)
    again = generate(model, PROMPTS, WAYS["sample"])
    assert set(batches) == {1} and len(batches) > 1
    assert [[one.tokens for one in texts] for texts in again] == [
        [one.tokens for one in texts] for texts in expected
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "best"}, "unknown way to write 'best'"),
        ({"new_tokens": 0}, "new_tokens must be at least 1, not 0"),
        ({"new_tokens": 2, "min_new_tokens": 3}, "min_new_tokens is 3 and new_tokens 2"),
        ({"how": "sample", "temperature": 0.0}, "temperature must be above 0, not 0.0; how='greedy'"),
        (
            {"how": "sample", "temperature": 1e-300},
            "temperature 1e-300 is too small to divide by; how='greedy'",
        ),
        ({"how": "beam", "length_penalty": -1000}, "a power of the length, from -50 to 50, not -1000"),
        ({"how": "sample", "temperature": float("nan")}, "temperature must be a number, not nan"),
        ({"how": "sample", "top_p": 1.5}, r"top_p is a probability, in \(0, 1\], not 1.5"),
        ({"how": "sample", "top_k": 0}, "top_k must be at least 1"),
        ({"temperature": 0.7}, "temperature=0.7 is for how='sample', and how is 'greedy'"),
        ({"how": "sample", "beams": 4}, "beams=4 is for how='beam'"),
        ({"stop": ("",)}, "a stop string must be a text that is not empty, not ''"),
        ({"stop": (3,)}, "a stop string must be a text that is not empty, not 3"),
        ({"repetition_penalty": "high"}, "repetition_penalty must be a number, not 'high'"),
        ({"force_no_repeat": True}, "force_no_repeat=True is for no_repeat_ngram"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Decoding(**options)


def test_settings_are_recorded_as_far_as_they_mean_something():
    assert Decoding(stop="###").record == {
        "how": "greedy", "new_tokens": 128, "min_new_tokens": 0, "stop": ["###"], "repetition_penalty": 1.0,
        "no_repeat_ngram": 0,
    }  # fmt: skip
    assert Decoding(how="beam").record["beams"] == 5
    drawn_record = Decoding(how="sample", top_p=0.9, seed=4).record
    assert (drawn_record["top_p"], drawn_record["seed"], "beams" in drawn_record) == (0.9, 4, False)


def test_what_cannot_be_written_is_refused():
    model = loaded("llama")
    with pytest.raises(InputError, match="2 items were named for 1 prompts"):
        generate(model, ["a"], items=["x", "y"])
    with pytest.raises(ModelError, match="prompt 1 has no token"):
        generate(model, [[5], []])
    with pytest.raises(ModelError, match="reads 256"):
        generate(model, ["a"], Decoding(new_tokens=300))
    plain = HookedLM(tiny.model("llama"), None, name="llama")
    with pytest.raises(ModelError, match="without a tokenizer writes no text"):
        generate(plain, [[5, 6]], Decoding(stop=("x",)))
    ((text,),) = generate(plain, [[5, 6]], Decoding(new_tokens=3))
    assert text.text == "" and len(text.tokens) <= 3


@pytest.mark.parametrize("how", ["greedy", "sample", "beam"])
def test_numbers_that_are_none_write_nothing(how):
    model = HookedLM(tiny.model("llama"), tiny.tokenizer(), name="llama")
    generate(model, ["a"], Decoding(new_tokens=1))  # what holds NaN from the beginning is refused before
    with torch.no_grad():
        model.lm.lm_head.weight[7] = float("nan")
    with pytest.raises(ModelError, match="logits are NaN or infinite in float32"):
        generate(model, ["a"], Decoding(how=how, new_tokens=2))


def limit_rows(model: HookedLM, rows: int) -> None:
    """Memory ends where more texts are run at once."""

    def hook(_module, args) -> None:
        if len(args[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.get_input_embeddings().register_forward_pre_hook(hook)


@pytest.mark.parametrize("way", ["greedy", "sample", "beam"])
def test_a_batch_is_halved_when_memory_ends_and_writing_goes_on(way: str, caplog) -> None:
    model = loaded("gpt2")
    ids = [[5, 6, 7 + number] for number in range(8)]
    names = [f"item {number}" for number in range(8)]
    wanted = generate(model, ids, WAYS[way], items=names)
    limit_rows(model, {"greedy": 3, "sample": 5, "beam": 7}[way])
    assert [[one.tokens for one in texts] for texts in generate(model, ids, WAYS[way], items=names)] == [
        [one.tokens for one in texts] for texts in wanted
    ]
    # two samples are two rows; of beams there are three a prompt
    halved = {"greedy": [(8, 4), (4, 2)], "sample": [(16, 8), (8, 4)], "beam": [(8, 4), (4, 2)]}[way]
    assert [record.getMessage() for record in caplog.records] == [
        f"out of memory with {before} texts at once; going on with {after}" for before, after in halved
    ]


def test_edited_texts_are_halved_with_their_own_vectors() -> None:
    model = loaded("gpt2")
    ids = [[5, 6, 7 + number] for number in range(8)]
    vectors = torch.randn(8, 2, model.d_model, generator=torch.Generator().manual_seed(1))
    edit = ll.Edit.add(vectors, layers=[1, 2], positions="new")
    wanted = generation.generate_tokens(model, ids, new_tokens=4, edit=edit)
    limit_rows(model, 3)
    assert generation.generate_tokens(model, ids, new_tokens=4, edit=edit) == wanted


def test_a_text_that_alone_is_too_much_is_said_and_other_errors_are_none_of_memory() -> None:
    model = loaded("gpt2")
    generate(model, [[5, 6]], WAYS["greedy"])
    limit_rows(model, 0)
    with pytest.raises(
        ModelError, match="not enough memory on cpu for a single text of 2 tokens and 7 new ones"
    ):
        generate(model, [[5, 6], [5, 7]], WAYS["greedy"])
    model = loaded("gpt2")
    model.model.get_input_embeddings().register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate(model, [[5, 6]], WAYS["greedy"])
