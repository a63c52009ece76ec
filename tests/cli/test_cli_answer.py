"""Answers at the command line: text, words, JSON, folder, a stopped run, and what is refused in one line."""

from __future__ import annotations

import json

import pytest

from latentlang.generation import AnswerResult, answer_run


def test_it_prints_answers_and_words_and_writes_the_result(run, tmp_path):
    outcome = run(
        "answer", "--prompt", "Le chat est", "--prompt", "Review: I love", "--lang", "fr", "--new-tokens", "6",
        "--out", "out",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    result = AnswerResult.load(tmp_path / "out")
    assert list(result.table["prompt"]) == ["Le chat est", "Review: I love"]
    assert f"Le chat est ▸ {' '.join(result.table['answer'][0].split())}" in outcome.out
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    page = (tmp_path / "out" / "answers.html").read_text(encoding="utf-8")
    assert "In which language the answers are" in page and "Le chat est</td>" in page
    assert not (tmp_path / "out" / ".unfinished").exists()


def test_files_of_prompts_and_json(run, tmp_path):
    (tmp_path / "fr.txt").write_text("Le chat\nUn chien\n", encoding="utf-8")
    outcome = run(
        "answer", "--prompts", "fr.txt", "--how", "sample", "--samples", "2", "--seed", "4", "--new-tokens", "4",
        "--stop", "zz", "--json",
    )  # fmt: skip
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    assert record["kind"] == "answers" and record["languages"] == ["fr"] and record["rows"][0]["answers"] == 4
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    result = AnswerResult.load(folder)
    assert folder.name.startswith("answer-pocket-fr-txt-how-sample")
    assert result.settings.data == ["fr.txt"] and result.settings.decoding["stop"] == ["zz"]
    assert record["sentence"] == result.describe() and result.provenance.seed == 4


def test_a_stopped_command_goes_on(run, tmp_path, monkeypatch):
    answers = answer_run.LocalBackend.write
    stopped = []

    def once(self, prompts, decoding, *, items, state):
        for number, one in enumerate(answers(self, prompts, decoding, items=items, state=state)):
            if number and not stopped:
                stopped.append(True)
                raise KeyboardInterrupt
            yield one

    monkeypatch.setattr(answer_run.LocalBackend, "write", once)
    command = ("answer", "--prompt", "a", "--prompt", "b", "--new-tokens", "3", "--out", "out")
    outcome = run(*command)
    assert (
        outcome.code == 130 and "what was written is kept in out: run the same command again" in outcome.err
    )
    assert run(*command).code == 0
    assert len(AnswerResult.load(tmp_path / "out").table) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give what is asked with --prompt TEXT, or a file with --prompts FILE"),
        (["--prompt", "a", "--prompts", "b.txt"], "leave out one of them"),
        (["--prompts", "b.txt"], "there is no file 'b.txt'"),
        (["--prompt", "a", "--new-tokens", "0"], "--new-tokens must be at least 1, not 0"),
        (["--prompt", "a", "--how", "best"], "unknown way to write 'best'"),
        (["--prompt", "a", "--temperature", "0.5"], "--temperature 0.5 is for --how sample"),
        (["--prompt", "a", "--states", "tuned"], "there is no tuned state without an adapter"),
        (["--prompt", "a", "--no-repeat-ngram", "3"], "breaks languages"),
        (["--prompt", "a", "--chat"], "has no chat template"),
        (["--prompt", "a", "--lang", "zzz"], "unknown language 'zzz'"),
        (["--prompt", " "], "prompt '1' is empty"),
    ],
)
def test_what_cannot_be_asked_is_one_line(run, options, message):
    outcome = run("answer", *options)
    assert outcome.code == 2 and message in outcome.err and "Traceback" not in outcome.err
