"""Questions and programs at the command line: tables, words, JSON, folders, and what is refused in one line."""

import json

import pytest

from latentlang.code_execution import SandboxError, check_sandbox
from latentlang.generation import kept_answers
from latentlang.questions import CodeResult, QuestionResult
from tests.support.question_files import squad, write_mgsm, write_squad


def test_it_prints_scores_beside_their_nulls_and_writes_the_result(run, tmp_path):
    write_squad(tmp_path, "en", "es")
    outcome = run(
        "ask",
        "--task",
        "xquad",
        "--data",
        "xquad.en.json",
        "--data",
        "xquad.es.json",
        "--items",
        "2",
        "--new-tokens",
        "3",
        "--out",
        "out",
    )
    assert (outcome.code, outcome.err) == (0, "")
    result = QuestionResult.load(tmp_path / "out")
    assert list(result.table["language"]) == ["en", "en", "es", "es"]
    assert outcome.out.splitlines()[0].split()[:5] == ["language", "n", "right", "null", "F1"]
    assert f"{result.summary()['log_prob_per_byte'].iloc[1]:.3f}" in outcome.out
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    assert "Answers to XQuAD questions" in (tmp_path / "out" / "questions.html").read_text(encoding="utf-8")


def test_answers_that_exist_need_no_model(run, tmp_path):
    write_mgsm(tmp_path, "en")
    lines = [{"id": str(number), "answer": f"so {number}"} for number in range(1, 9)]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    outcome = run("ask", "--task", "mgsm", "--data", ".", "--answers", "answers.jsonl", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    assert (record["kind"], record["rows"][0]["exact"]) == ("questions", 1)
    assert record["model"] == "answers of answers.jsonl"
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert folder.name.startswith("ask-answers-mgsm")


def test_what_cannot_be_asked_is_told_in_one_line(run, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(squad("en")), encoding="utf-8")
    for options, message in (
        (("--task", "humaneval", "--data", "mine.json"), "HumanEval is read by `latentlang humaneval`"),
        (("--task", "xquad", "--data", "mine.json"), "nothing says which language it is in"),
        (("--task", "xquad", "--data", "none.json"), "there is no file 'none.json'"),
        (
            ("--task", "xquad", "--data", "mine.json", "--states", "tuned"),
            "no tuned state without an adapter",
        ),
        (
            ("--task", "xquad", "--data", "mine.json", "--file-lang", "en", "--shots", "9"),
            "9 examples are asked for",
        ),
    ):
        outcome = run("ask", *options)
        assert outcome.code == 2, options
        assert message in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "latentlang-out").exists()


@pytest.fixture
def problems(tmp_path):
    record = {
        "task_id": "HumanEval/0",
        "prompt": "def add(x):\n",
        "entry_point": "add",
        "canonical_solution": "    return x + 1\n",
        "test": "def check(f):\n    assert f(1) == 2\n",
    }
    (tmp_path / "humaneval_es.json").write_text(json.dumps(record), encoding="utf-8")
    return "humaneval_es.json"


def test_programs_are_run_only_where_that_is_said(run, problems, tmp_path, monkeypatch):
    outcome = run("humaneval", "--data", problems)
    assert outcome.code == 2 and "only run where that is allowed: add --allow-code" in outcome.err

    def cannot():
        raise SandboxError("this machine does not let programs be kept in")

    monkeypatch.setattr("latentlang.code_execution.check_sandbox", cannot)
    outcome = run("humaneval", "--data", problems, "--allow-code")
    assert outcome.code == 2 and "this machine does not let programs be kept in" in outcome.err
    assert not (tmp_path / "latentlang-out").exists()


def test_the_ceiling_and_a_models_programs_beside_it(run, problems, tmp_path):
    try:
        check_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))
    outcome = run("humaneval", "--data", problems, "--allow-code", "--out", "ceiling")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Spanish: 1 of 1 canonical solution pass: that is the ceiling." in outcome.out
    outcome = run(
        "humaneval",
        "--data",
        problems,
        "--allow-code",
        "--model",
        "pocket",
        "--samples",
        "2",
        "--k",
        "1,2",
        "--new-tokens",
        "4",
        "--out",
        "out",
    )
    assert (outcome.code, outcome.err) == (0, "")
    result = CodeResult.load(tmp_path / "out")
    assert list(result.table["state"]) == ["canonical", "base", "base"]
    assert outcome.out.splitlines()[0].split() == [
        "language",
        "state",
        "problems",
        "programs",
        "pass@1",
        "pass@2",
        "ceiling",
    ]
    outcome = run("humaneval", "--data", problems, "--allow-code", "--model", "pocket", "--k", "2")
    assert (
        outcome.code == 2 and "pass@2 needs at least 2 programs per problem, and there are 1" in outcome.err
    )


def test_a_stopped_run_goes_on_and_sums_are_worked_out_by_draws(run, tmp_path, monkeypatch):
    write_mgsm(tmp_path, "en", questions=3)
    worked = {"question": "One and one?", "answer": "1 + 1 = 2. The answer is 2.", "language": "en"}
    (tmp_path / "worked.jsonl").write_text(json.dumps(worked), encoding="utf-8")
    command = (
        "ask", "--task", "mgsm", "--data", "mgsm_en.tsv", "--steps", "corrected", "--examples", "worked.jsonl", "--how",
        "sample", "--samples", "2", "--new-tokens", "4", "--batch-tokens", "1", "--out", "out",
    )  # fmt: skip
    generated, asked = kept_answers.iter_generated, []

    def stopped(*options, items, **named):
        for place, texts in generated(*options, items=items, **named):
            yield place, texts
            asked.append(items[place])
            if len(asked) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(kept_answers, "iter_generated", stopped)
    outcome = run(*command)
    assert outcome.code == 130 and "what was written is kept in out" in outcome.err
    assert run(*command).code == 0 and sorted(asked) == ["1", "2", "3"]
    assert not (tmp_path / "out" / ".unfinished").exists()
    result = QuestionResult.load(tmp_path / "out")
    assert (result.settings.steps, result.settings.samples, result.settings.shots) == ("corrected", 2, 1)
    assert len(result.table) == 3 and result.table["log_prob"].isna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "best"], "unknown way of reading steps 'best'"),
        (["--examples", "worked.jsonl"], "say how these are read: --steps corrected"),
        (["--samples", "2"], "samples"),
        (["--chat"], "has no chat template"),
        (["--chat", "--answers", "a.jsonl"], "answers of a file are not written anew"),
    ],
)
def test_ways_of_asking_that_cannot_be_are_one_line(run, tmp_path, options, message):
    write_mgsm(tmp_path, "en")
    (tmp_path / "worked.jsonl").write_text("", encoding="utf-8")
    outcome = run("ask", "--task", "mgsm", "--data", "mgsm_en.tsv", "--shots", "0", *options)
    assert outcome.code == 2 and message in outcome.err and "Traceback" not in outcome.err
