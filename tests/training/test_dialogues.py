"""Dialogues in training: every answer is learnt and nothing else, token by token; templates; what is too long."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latentlang.errors import InputError, ModelError
from latentlang.instructions import Dialogue, Turn
from latentlang.instructions.dialogues import single
from latentlang.instructions.prompt_templates import CHAT, DialoguePiece, template, templates
from latentlang.models import HookedLM
from latentlang.training import Recipe, recipe, train, training_data
from latentlang.training.chat_tokens import chat_pieces
from latentlang.training.data.instructions import Instructions
from latentlang.training.dialogue_tokens import tokenize_pieces
from latentlang.training.tokenization import IGNORED, tokenize_examples
from tests.models.test_chat import TEMPLATES, instruct_model

TALK = Dialogue(
    "t", "de", (
        Turn("system", "Sei kurz."), Turn("user", "Wie spät?"), Turn("assistant", "Vier Uhr."),
        Turn("user", "Und nun?"), Turn("assistant", "Fünf Uhr."),
    ),
)  # fmt: skip
SCHEDULE = {
    "batch": 2,
    "accumulation": 1,
    "steps": 2,
    "evaluations": 1,
    "validation": 0,
    "learning_rate": 2e-2,
}


def chat_recipe(path: Path, **fields: Any) -> Recipe:
    data = {name: fields.pop(name) for name in list(fields) if name in Instructions.model_fields}
    return recipe({"name": "mine", "data": {"kind": "instructions", "files": str(path), **data}}, **fields)


def write(path: Path, dialogues: list[Dialogue]) -> Path:
    path.write_text("".join(json.dumps(one.record()) + "\n" for one in dialogues), encoding="utf-8")
    return path


def counted(ids: list[int], labels: list[int]) -> list[list[int]]:
    """The runs of tokens that the loss counts."""
    runs: list[list[int]] = []
    before = IGNORED
    for token, label in zip(ids, labels, strict=True):
        assert label in (IGNORED, token)
        if label != IGNORED:
            runs.append([]) if before == IGNORED else None
            runs[-1].append(token)
        before = label
    return runs


# Templates


def test_named_templates_are_as_published() -> None:
    assert list(templates()) == ["base", "plain", "alpaca", "bactrianx", "bayling"]
    assert template("bactrianx").prompt("Zähle.", "1 2") == "### Input:\nZähle.\n\n1 2\n\n### Output:\n"
    assert template("bactrianx").prompt("Zähle.") == "### Input:\nZähle.\n\n### Output:\n"
    assert template("alpaca").prompt("Zähle.", "1 2") == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n### Instruction:\nZähle.\n\n### Input:\n1 2\n\n### "
        "Response:"
    )
    with pytest.raises(InputError, match="'chat' is the tokenizer's"):
        Instructions(template=CHAT).prompt("Zähle.")


@pytest.mark.parametrize("name", [*templates(), "Q: {instruction}\nA: "])
def test_a_dialogue_is_its_prompts_and_answers_in_turn(name: str) -> None:
    pieces = list(template(name).pieces(TALK))
    assert [piece.is_answer for piece in pieces] == [False, True, False, True]
    assert [piece.text for piece in pieces if piece.is_answer] == ["Vier Uhr.", "Fünf Uhr."]
    assert pieces[0].text.startswith("Sei kurz.") and "Wie spät?" in pieces[0].text
    assert (
        pieces[2].text.endswith(template(name).prompt("Und nun?", later=True))
        and "Sei kurz" not in pieces[2].text
    )
    # a question without an answer is no part of it
    open_ended = Dialogue("t", "de", (*TALK.turns, Turn("user", "Warum?")))
    assert list(template(name).pieces(open_ended)) == pieces


# Tokens


def test_one_exchange_has_the_tokens_that_it_always_had(any_model: HookedLM) -> None:
    dialogues = [
        single("1", "de", "Eins?", "Zwei."),
        single("2", "es", "¿Uno?", " dos", input="tres"),
        single("3", "ja", "水?", "水"),
    ]
    pieces = [list(template("plain").pieces(one)) for one in dialogues]
    examples = [Instructions()._example(one) for one in dialogues]
    for cutoff in (512, 14):
        for end in (True, False):
            before = tokenize_examples(any_model, examples, cutoff=cutoff, end=end)
            assert tokenize_pieces(any_model, pieces, cutoff=cutoff, end=end) == before


def test_every_answer_of_a_dialogue_is_learnt_with_its_end(any_model: HookedLM) -> None:
    pieces = list(template("plain").pieces(TALK))
    tokens = tokenize_pieces(any_model, [pieces], cutoff=512)
    end = any_model.tokenizer.eos_token_id
    runs = counted(tokens.input_ids[0], tokens.labels[0])
    assert [run[-1] for run in runs] == [end, end]
    said = [
        any_model.tokenizer.decode(run[:-1], clean_up_tokenization_spaces=False).strip(" ") for run in runs
    ]
    assert said == ["Vier Uhr.", "Fünf Uhr."]
    # what comes before the second answer has the tokens that it has when the model is asked
    before = pieces[0].text + pieces[1].text + str(any_model.tokenizer.eos_token) + pieces[2].text
    asked = any_model.encode([before])[0]
    assert tokens.input_ids[0][: len(asked)] == asked and tokens.labels[0][len(asked)] != IGNORED


@pytest.mark.parametrize("name", TEMPLATES)
def test_in_a_chat_template_the_assistants_turns_alone_are_learnt(name: str) -> None:
    model = instruct_model(name)
    talk = TALK if name == "chatml" else Dialogue("t", "de", TALK.turns[1:])
    tokens = tokenize_pieces(
        model, [chat_pieces(talk, model.tokenizer, model="m")], cutoff=512, templated=True
    )
    # the very tokens of the template, but for what it writes behind the last turn
    whole = model.tokenizer.apply_chat_template(talk.messages(), tokenize=True, return_dict=False)
    ids = tokens.input_ids[0]
    assert ids == whole[: len(ids)]
    runs = counted(ids, tokens.labels[0])
    said = [model.tokenizer.decode(run, clean_up_tokenization_spaces=False) for run in runs]
    ending = {"chatml": "<|im_end|>", "gemma": "<end_of_turn>", "inst": ""}[name]
    assert [text.strip() for text in said] == [
        f"{turn.text}{ending}" for turn in talk.turns if turn.role == "assistant"
    ]
    # before each answer stands what the model is given when it is asked
    for number in [n for n, turn in enumerate(talk.turns) if turn.role == "assistant"]:
        asked = model.tokenizer.apply_chat_template(
            talk.messages()[:number], tokenize=True, add_generation_prompt=True, return_dict=False
        )
        assert ids[: len(asked)] == asked and tokens.labels[0][len(asked)] != IGNORED
        assert tokens.labels[0][len(asked) - 1] == IGNORED


def test_an_answer_that_stands_in_the_header_too_is_learnt_where_it_is_the_answer() -> None:
    tokenizer = SimpleNamespace(
        all_special_tokens=["</s>"],
        get_chat_template=lambda: "{{ messages }}",
        apply_chat_template=lambda messages, tokenize, add_generation_prompt: "".join(
            f"<|{message['role']}|>\n{message['content'].strip()}</s>\n" for message in messages
        ),
    )
    for answer in ("assistant", " a\n", "s", "t"):
        one = Dialogue("1", "en", (Turn("user", "Who?"), Turn("assistant", answer)))
        assert chat_pieces(one, tokenizer, model="m") == [
            DialoguePiece("<|user|>\nWho?</s>\n<|assistant|>\n"),
            DialoguePiece(f"{answer.strip()}</s>", is_answer=True),
        ]


def test_without_an_end_the_token_that_ends_a_turn_is_not_learnt() -> None:
    model = instruct_model("chatml")
    pieces = chat_pieces(TALK, model.tokenizer, model="m", end=False)
    assert [piece.text for piece in pieces if piece.is_answer] == ["Vier Uhr.", "Fünf Uhr."]
    assert pieces[-1] == DialoguePiece("Fünf Uhr.", is_answer=True)


def test_a_tokenizer_without_a_template_and_one_that_rewrites_turns_are_refused(model: HookedLM) -> None:
    with pytest.raises(ModelError, match=r"has no chat template.*name another template, such as base"):
        chat_pieces(TALK, model.tokenizer, model="m")
    last_only = instruct_model("chatml")
    last_only.tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(ModelError, match="otherwise once others follow"):
        chat_pieces(TALK, last_only.tokenizer, model="m")


# What is too long


@pytest.mark.parametrize("overlong", ["drop", "cut"])
def test_what_is_too_long_is_left_out_or_cut_and_never_learnt_without_an_answer(
    any_model: HookedLM, overlong: Any
) -> None:
    short = [DialoguePiece("Eins?\n"), DialoguePiece("Zwei.", is_answer=True)]
    long_answer = [DialoguePiece("Eins?\n"), DialoguePiece("Zwei. " * 40, is_answer=True)]
    long_prompt = [DialoguePiece("Eins? " * 60), DialoguePiece("Zwei.", is_answer=True)]
    tokens = tokenize_pieces(any_model, [short, long_answer, long_prompt], cutoff=40, overlong=overlong)
    whole = tokenize_pieces(any_model, [short, long_answer], cutoff=1000)
    if overlong == "drop":
        assert (len(tokens), tokens.left_out, tokens.cut, tokens.unanswered) == (1, 2, 0, 0)
    else:
        assert (len(tokens), tokens.left_out, tokens.cut, tokens.unanswered) == (2, 0, 1, 1)
        assert tokens.input_ids[1] == whole.input_ids[1][:40] and tokens.labels[1] == whole.labels[1][:40]
    assert all(any(label != IGNORED for label in labels) for labels in tokens.labels)


def test_a_run_says_how_many_were_cut(model: HookedLM, tmp_path: Path) -> None:
    rows = [single(f"n{n}", "de", f"Eins {n}?", "Zwei.") for n in range(4)]
    rows += [single("long", "de", "Eins?", "Zwei. " * 60), single("lost", "de", "Eins " * 90, "Zwei.")]
    chosen = chat_recipe(write(tmp_path / "a.jsonl", rows), overlong="cut", cutoff=64, **SCHEDULE)
    notes = train(model, chosen, out=tmp_path / "out").notes
    assert "1 instruction is longer than 64 tokens and cut there" in notes
    assert "1 instruction is left out: cut at 64 tokens, nothing of an answer is left to learn from" in notes


# From files


def test_dialogues_of_several_turns_and_layouts_are_trained_on(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "Eins?"}, {"from": "gpt", "value": "Zwei."}] * 2
    lines: list[dict[str, Any]] = [
        {"id": "a", "conversations": turns}, {"id": "b", "data": ["Eins?", "Zwei."]},
        {"id": "c", "messages": [{"role": "user", "content": "Drei?"}]}, {"inputs": "Vier?", "targets": "Fünf."},
    ]  # fmt: skip
    path = tmp_path / "de.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    data = training_data(chat_recipe(path, validation=0))
    assert {(example.id, example.output) for example in data.train} >= {("a", "Zwei."), ("b", "Zwei.")}
    assert data.counts() == {"de": (3, 0)} and data.notes == (
        "1 record without an instruction or an output left out",
    )
    first = next(example for example in data.train if example.id == "a")
    assert first.input == "Eins?\nZwei.\nEins?\n"
    assert list(data.table()["input"]) == [example.input for example in data.train]


def test_a_run_in_the_chat_template_lowers_the_loss(tmp_path: Path) -> None:
    model = instruct_model("chatml")
    rows = [single(f"n{n}", "de", f"Eins {n}?", "Zwei.") for n in range(8)]
    chosen = chat_recipe(
        write(tmp_path / "a.jsonl", rows), template="chat", **{**SCHEDULE, "steps": 4, "validation": 0.25}
    )
    result = train(model, chosen, out=tmp_path / "out")
    assert result.base_loss is not None and result.best_loss is not None
    assert result.best_loss < result.base_loss - 0.1
    assert "template chat" in result.words.about


def test_parallel_items_by_group_are_on_one_side(tmp_path: Path) -> None:
    rows = [
        single(f"{code}-{n}", code, f"{code} {n}?", f"{n}.", group=f"item{n}", origin=code)
        for code in ("de", "es") for n in range(12)
    ]  # fmt: skip
    data = training_data(chat_recipe(write(tmp_path / "a.jsonl", rows), validation=0.25))
    assert {e.id for e in data.validation}.isdisjoint(e.id for e in data.train)
    assert data.counts() == {"de": (9, 3), "es": (9, 3)}
