"""How tokenizers write whole answers, and what ends them."""

import pytest

from latentlang.answers import answer_paths, closing, token_bytes
from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.answer_corpus import TASKS, trained

FAMILIES = ("mistral", "metaspace", "gemma", "gpt2", "qwen", "llama3", "unigram")


def _lm(tokenizer, architecture="mistral", **changes):
    plain = tiny.model(architecture, vocab_size=len(tokenizer), max_position_embeddings=2048, **changes)
    return HookedLM(plain, tokenizer, name="tiny")


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("task", TASKS)
def test_paths_are_the_tokenizers_own_or_spell_the_same_bytes(kind, task):
    model = _lm(trained(kind))
    table = token_bytes(model.tokenizer)
    answers = [answer for labels in TASKS[task].values() for (answer,) in labels.values()]
    for cue in ('Review: fine.\nEmotion: "', 'x\n"', "Answer: ", "感情：「"):
        (ids,), (paths,) = answer_paths(model, [cue], [answers])
        assert ids == model.encode([cue])[0]
        close = closing(cue)
        for answer, found in zip(answers, paths, strict=True):
            if not found:
                assert kind == "unigram"  # the only one without bytes
                continue
            for path in found:
                written = b"".join(table.bytes[token] for token in path.tokens)
                if path.ends and not close:
                    assert written == table.answer_bytes(answer)
                elif path.ends:
                    rest = table.answer_bytes(answer + close)[len(written) :]
                    assert rest
                    for end in path.ends:
                        assert table.bytes[end].startswith(rest)
                else:
                    assert written == table.answer_bytes(answer + close)
            whole = model.encode([cue + answer + close])[0]
            own = tuple(whole[len(ids) :])
            if whole[: len(ids)] == ids and len(found) == 1:
                (path,) = found
                assert own == path.tokens or (own[:-1] == path.tokens and own[-1] in path.ends)


def test_whatever_begins_with_the_closing_mark_closes():
    for kind in ("qwen", "llama3", "gpt2"):
        model = _lm(trained(kind))
        _, ((paths,),) = answer_paths(model, ['Emotion: "'], [["positiv"]])
        expected = {i for i in range(len(model.tokenizer)) if model.tokenizer.decode([i]).startswith('"')}
        assert set(paths[0].ends or paths[0].tokens[-1:]) == expected


@pytest.mark.parametrize(
    ("cue", "close"),
    [
        ('a: "', '"'),
        ("「", "」"),
        ("a: „", "“"),
        ("a: «", "»"),
        ("a: ", ""),
        ("a:", ""),
        ("", ""),
        ("(", ")"),
    ],
)
def test_what_closes(cue, close):
    assert closing(cue) == close


@pytest.mark.parametrize("cue", ["C'est l'", "aujourd’"])
def test_an_elision_opens_no_quotation(cue):
    assert closing(cue) == ""
    assert closing(cue[:-2] + " '") == "'"


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_end_of_a_word_closes_answers_that_begin_others(kind):
    model = _lm(trained(kind))
    table = token_bytes(model.tokenizer)
    _, (alone, nested, spaced) = answer_paths(
        model, ["Answer: "] * 3, [["1", "2"], ["1", "10"], [["new"], ["new york"]]]
    )
    assert not any(path.ends for found in alone for path in found)
    if not all(nested):
        return  # letters that this vocabulary has no bytes for
    for paths in nested:
        for path in paths:
            texts = [table.bytes[token] for token in path.ends if table.bytes[token]]
            assert texts and not any(text[:1].isalnum() for text in texts)
            assert model.tokenizer.eos_token_id is None or model.tokenizer.eos_token_id in path.ends
    short, long = ({table.bytes[t] for path in paths for t in path.ends} for paths in spaced)
    assert b" y" not in short and b" " not in short and short < long
    # a quotation mark closes them as it ever did
    _, (quoted,) = answer_paths(model, ['Answer: "'], [["1", "10"]])
    assert all(
        not path.ends or table.bytes[path.ends[0]].startswith(b'"') for found in quoted for path in found
    )
