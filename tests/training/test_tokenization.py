"""Tokens of a pair: the input as it is asked, the output after it, one beginning, one end, and the loss on the rest."""

from __future__ import annotations

import pytest

from latentlang.answers import token_bytes
from latentlang.models import HookedLM
from latentlang.training import AlignmentData, QuestionPair
from latentlang.training.tokenization import (
    IGNORED,
    TokenizedExamples,
    end_token,
    padding_token,
    tokenize_examples,
)
from tests.support.tiny_aligned import byte_fallback, byte_level, hooked, merging


def _parts(found: TokenizedExamples, place: int = 0) -> tuple[list[int], list[int]]:
    """The tokens that the loss leaves out, and those that it counts."""
    ids, labels = found.input_ids[place], found.labels[place]
    start = sum(label == IGNORED for label in labels)
    assert labels == [IGNORED] * start + ids[start:]
    return ids[:start], ids[start:]


def _written(model: HookedLM, ids: list[int]) -> bytes:
    table = token_bytes(model.tokenizer)
    return b"".join(table.bytes[i] or b"" for i in ids)


def test_the_input_is_as_asked_and_the_loss_counts_output_and_end(
    any_model: HookedLM, data: AlignmentData
) -> None:
    found = tokenize_examples(any_model, data.train, cutoff=512)
    assert len(found) == len(data.train) and found.left_out == 0
    for place, pair in enumerate(data.train):
        before, after = _parts(found, place)
        assert before == any_model.encode([pair.input])[0]
        assert after[-1] == any_model.tokenizer.eos_token_id and after.count(after[-1]) == 1
        assert _written(any_model, after[:-1]).decode() == pair.output
    assert found.counted == sum(len(_parts(found, place)[1]) for place in range(len(found)))


def test_there_is_one_beginning_token(mistral: HookedLM, data: AlignmentData) -> None:
    found = tokenize_examples(mistral, data.train, cutoff=512)
    bos = mistral.tokenizer.bos_token_id
    assert all(ids[0] == bos and ids.count(bos) == 1 for ids in found.input_ids)


def test_no_space_is_put_before_the_output(mistral: HookedLM) -> None:
    pair = QuestionPair("a", "es", "en", 'El libro es bueno.\nEmoción: "', 'The book is good.\nEmotion: "')
    tokenizer = mistral.tokenizer
    # Alone, a SentencePiece tokenizer writes a space before it.
    alone = tokenizer(pair.output, add_special_tokens=False)["input_ids"]
    assert _written(mistral, alone).startswith(b" ")
    _, after = _parts(tokenize_examples(mistral, [pair], cutoff=512))
    assert _written(mistral, after[:-1]) == pair.output.encode()
    assert after[:-1] != alone


def test_the_cue_at_the_end_is_that_of_a_prompt(any_model: HookedLM, data: AlignmentData) -> None:
    r"""The output ends with a cue and its quotation mark: the tokens after which, at other times, an answer is read."""
    pair = data.train[0]
    _, after = _parts(tokenize_examples(any_model, [pair], cutoff=512))
    prompt = any_model.encode([pair.output])[0]
    cue = len(any_model.encode(['x\nEmotion: "'])[0]) - len(any_model.encode(["x"])[0])
    assert after[-1 - cue : -1] == prompt[-cue:]
    assert _written(any_model, after[-1 - cue : -1]).endswith(b': "')


@pytest.mark.parametrize(
    "output",
    [
        'The film is good.\nEmotion: "',  # ":⏎The" is one token of this tokenizer
        "In my opinion.",
        '"Quoted" and more: "',
        " a space first",
        "\n a line break first",
        "好。",
    ],
)
def test_a_boundary_that_merges_is_kept(output: str) -> None:
    model = hooked("qwen2", merging(), eos_token="</s>")
    pair = QuestionPair("a", "zh", "en", '很好。\n情感: "', output)
    before, after = _parts(tokenize_examples(model, [pair], cutoff=512))
    assert before == model.encode([pair.input])[0]
    assert _written(model, after[:-1]) == output.encode()


def test_such_a_boundary_does_merge_in_this_tokenizer() -> None:
    model = hooked("qwen2", merging(), eos_token="</s>")
    pair = QuestionPair("a", "zh", "en", "很好。", "The film is good.")
    alone, joined = model.encode([pair.input, pair.input + pair.output])
    assert joined[: len(alone)] != alone


def test_a_long_pair_is_left_out_and_never_cut(model: HookedLM, data: AlignmentData) -> None:
    whole = tokenize_examples(model, data.train, cutoff=512)
    lengths = [len(ids) for ids in whole.input_ids]
    cutoff = sorted(lengths)[len(lengths) // 2]
    some = tokenize_examples(model, data.train, cutoff=cutoff)
    kept = [ids for ids in whole.input_ids if len(ids) <= cutoff]
    assert some.input_ids == kept and some.left_out == len(lengths) - len(kept) > 0


def test_the_models_context_is_a_limit_too(data: AlignmentData) -> None:
    model = hooked("mistral", byte_level(), eos_token="<|endoftext|>")
    model.config.max_position_embeddings = 40
    found = tokenize_examples(model, data.train, cutoff=512)
    assert all(len(ids) <= 40 for ids in found.input_ids) and found.left_out


def test_without_an_end_token_there_is_none(data: AlignmentData) -> None:
    model = hooked("qwen2", byte_level())
    assert end_token(model) is None and padding_token(model) == 0
    _, after = _parts(tokenize_examples(model, data.train, cutoff=512))
    assert _written(model, after).decode() == data.train[0].output


def test_the_models_own_end_token_is_found_where_the_tokenizer_has_none(data: AlignmentData) -> None:
    model = hooked("qwen2", byte_level())
    model.lm.generation_config.eos_token_id = [7, 9]
    assert end_token(model) == 7 == padding_token(model)
    assert tokenize_examples(model, data.train, cutoff=512).input_ids[0][-1] == 7
    model.lm.generation_config.eos_token_id = None
    model.config.eos_token_id = 5
    assert end_token(model) == 5


def test_a_recipe_may_want_no_end(mistral: HookedLM, data: AlignmentData) -> None:
    closed = tokenize_examples(mistral, data.train, cutoff=512)
    open_ = tokenize_examples(mistral, data.train, cutoff=512, end=False)
    assert [ids[:-1] for ids in closed.input_ids] == open_.input_ids


def test_a_padding_token_beyond_the_model_is_not_used() -> None:
    model = hooked("mistral", byte_fallback(), eos_token="</s>", pad_token="<pad>")
    assert model.tokenizer.pad_token_id >= model.vocab_size
    assert padding_token(model) == 0
