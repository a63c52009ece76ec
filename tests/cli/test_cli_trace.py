"""Traces at the command line: text, words, JSON, folder, and what is refused in one line."""

from __future__ import annotations

import json
import shutil

import pytest
from transformers import AutoTokenizer

from latentlang.causal import TraceResult
from tests.models.test_chat import CHATML

PROMPT = 'Français: "fleur" - 日本語: "'


def test_it_prints_the_text_and_the_words_and_writes_the_result(run, tmp_path):
    outcome = run(
        "trace", "--lang", "fr,ja", "--prompt", PROMPT, "--prompt", "Le", "--tokens", "8", "--out", "out"
    )
    assert (outcome.code, outcome.err) == (0, "")
    result = TraceResult.load(tmp_path / "out")
    assert result.settings.prompts == [PROMPT, "Le"] and result.provenance.languages == ("fr", "ja")
    assert "1. 花" in outcome.out
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    for number, name in enumerate(("trace.html", "trace-2.html")):
        page = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert ("Which language each layer would write" in page) == bool(len(result.tokens(number)))
    assert (tmp_path / "out" / "edits.parquet").exists()


def test_json_has_a_row_a_prompt_and_the_folder_is_named_for_the_run(run, tmp_path):
    outcome = run(
        "trace",
        "--lang",
        "fr,ja",
        "--task",
        "translation",
        "--asked",
        "ja",
        "--items",
        "2",
        "--tokens",
        "4",
        "--json",
    )
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    folder = tmp_path / "latentlang-out" / "trace-pocket-translation-lang-fr-ja-asked-ja-items-2-new-tokens-4"
    result = TraceResult.load(folder)
    assert record["kind"] == "trace" and [row["prompt"] for row in record["rows"]] == [0, 1]
    assert record["sentence"] == result.describe() and result.settings.asked == ["ja", "ja"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--lang is needed: Languages that the model might write"),
        (["--lang", "ja"], "two languages or more"),
        (["--lang", "fr,ja"], "give a text to go on from with --prompt, or a --task"),
        (["--lang", "fr,ja", "--prompt", ""], "the prompt is empty"),
        (["--lang", "fr,ja", "--prompt", "x", "--asked", "de"], "--asked de is not among"),
        (
            ["--lang", "fr,ja", "--prompt", "x", "--task", "translation", "--asked", "ja"],
            "leave out one of them",
        ),
        (["--lang", "fr,ja", "--task", "translation"], "--task needs the language to ask in"),
        (["--lang", "fr,ja", "--prompt", "x", "--items", "3"], "are for the prompts of a --task"),
        (["--lang", "fr,ja", "--prompt", "x", "--chat"], "--chat asks a --task as in a chat"),
        (["--lang", "fr,ja", "--task", "translation", "--asked", "ja", "--chat"], "has no chat template"),
        (["--lang", "fr,ko", "--prompt", "x"], "there is no embedded text in 'ko'"),
        (["--lang", "fr,ja", "--prompt", "x", "--text", "nowhere"], "nowhere"),
        (["--lang", "fr,ja", "--prompt", "x", "--new-tokens", "0"], "--new-tokens must be at least 1"),
        (["--lang", "fr,ja", "--prompt", "x", "--layers", "99"], "99"),
    ],
)
def test_what_makes_no_sense_is_one_line(run, options, message, tmp_path):
    outcome = run("trace", *options)
    assert outcome.code == 2 and message in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("result.parquet"))


def test_a_task_is_asked_in_the_chat_template_of_an_instruct_model(run, qwen_folder, tmp_path):
    folder = tmp_path / "instruct"
    shutil.copytree(qwen_folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    outcome = run(
        "trace", "--model", "instruct", "--lang", "fr,ja", "--task", "translation", "--asked", "ja", "--items", 2,
        "--shots", 1, "--tokens", 2, "--layers", 1, "--draws", 0, "--chat",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (written,) = (tmp_path / "latentlang-out").iterdir()
    assert written.name.endswith("chat-turns")
    prompts = TraceResult.load(written).settings.prompts
    assert len(prompts) == 2 and all(text.endswith("<|im_start|>assistant\n") for text in prompts)
