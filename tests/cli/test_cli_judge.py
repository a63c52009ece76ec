"""``latentlang judge`` and ``latentlang gap``: as a user types them, by a server on this machine and a recording."""

import json

import pytest

from latentlang.judging import GapResult, JudgementResult
from tests.support.chat_server import KEY, chat_server, completion, failure
from tests.support.planted_judges import answers, parts


@pytest.fixture(autouse=True)
def _files(run, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name, quality in (("base", 1), ("tuned", 9)):
        rows = [vars(one) for one in answers(name, lambda _, q=quality: q, count=12)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


def better(_number, body):
    _question, *shown = parts(body["messages"][-1]["content"])
    return completion(f"Because. [[{1 + max(range(len(shown)), key=lambda n: shown[n])}]]")


def test_two_sets_are_planned_judged_and_told(run, tmp_path):
    with chat_server(better) as server:
        command = (
            "judge",
            "tuned.jsonl",
            "base.jsonl",
            "--judge",
            f"openai:small@{server.url}",
            "--out",
            "j",
        )
        planned = run(*command, "--dry-run", "--price", "1,2")
        # 24 pairs in both orders, 10 of them again, 10 items beside themselves; no answer differs from another
        assert planned.code == 0 and "78 calls of openai:small" in planned.out and "million" in planned.out
        assert not server.asked
        outcome = run(*command)
        assert outcome.code == 0, outcome.err
        assert len(server.asked) == 78
        again = run(*command, "--json")
        assert len(server.asked) == 78  # all replies are kept
    assert "tuned wins 24, ties 0 and loses 0 of 24 items against base (all languages)" in outcome.out
    assert "wrote j/judgement.html" in outcome.out and "wrote j/judgement.csv" in outcome.out
    assert max(map(len, outcome.out.splitlines()[:4])) <= 80
    record = json.loads(again.out)
    assert record["kind"] == "judgement" and record["rows"][0]["win_rate"] == 1
    result = JudgementResult.load(tmp_path / "j")
    assert result.names == ["tuned", "base"] and KEY not in (tmp_path / "j" / "metadata.json").read_text()


def test_a_plan_needs_no_key(run, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    command = ("judge", "tuned.jsonl", "--judge", "openai:small")
    planned = run(*command, "--dry-run")
    assert planned.code == 0, planned.err
    assert "calls of openai:small" in planned.out
    assert "OPENAI_API_KEY" in run(*command).err


def test_a_run_that_a_limit_stops_says_how_to_go_on(run, tmp_path):
    with chat_server(better) as server:
        command = ("judge", "tuned.jsonl", "--judge", f"openai:small@{server.url}", "--out", "j")
        outcome = run(*command, "--max-calls", "5")
        assert outcome.code == 2 and "the limit of 5 calls" in outcome.err
        assert "replies are kept in j/replies: run the same command again to go on" in outcome.err
        assert run(*command).code == 0
        assert len(server.asked) == 24 + 10  # and ten again
    replayed = run("judge", "tuned.jsonl", "--judge", "replay:j/replies", "--out", "again", "--nulls", "0")
    assert replayed.code == 0, replayed.err
    assert "mean grade" in replayed.out


def test_replies_that_say_nothing_make_no_figure_but_a_result(run, tmp_path):
    with chat_server(lambda *_: completion("I cannot say.")) as server:
        outcome = run("judge", "tuned.jsonl", "--judge", f"openai:small@{server.url}", "--out", "j")
    assert outcome.code == 0, outcome.err
    assert "24 replies of 24 could not be read and count for nothing" in outcome.out
    assert "no judgement.html: no reply could be read" in outcome.out
    assert (
        not (tmp_path / "j" / "judgement.html").exists()
        and JudgementResult.load(tmp_path / "j").table["reply"].all()
    )


@pytest.mark.parametrize(
    ("typed", "match"),
    [
        ("judge tuned.jsonl", "--judge"),
        ("judge nothing.jsonl --judge table:x", "x"),
        ("judge tuned.jsonl --judge nobody:x", "unknown provider 'nobody'"),
        ("judge tuned.jsonl base.jsonl tuned.jsonl --judge replay:tuned.jsonl", "one or two sets"),
        ("judge tuned.jsonl --judge local:nothing --regrade 7 --dry-run", "nothing"),
        ("gap nothing.csv", "nothing.csv"),
        ("gap native", "native"),
        ("gap native=x google", "an arm is NAME=FOLDER"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, typed, match):
    outcome = run(*typed.split())
    assert outcome.code == 2 and match in outcome.err


def test_a_server_without_a_key_ends_in_one_line(run):
    with chat_server(lambda *_: failure(401)) as server:
        outcome = run("judge", "tuned.jsonl", "--judge", f"openai:small@{server.url}", "--out", "j")
    assert outcome.code == 2 and "does not take the key" in outcome.err and KEY not in outcome.err


def test_a_gap_from_a_file_and_from_judgements(run, tmp_path):
    rows = [
        f"{benchmark},m{n},{arm},{n + above}"
        for benchmark in ("a", "b")
        for n in range(5)
        for arm, above in (("base", 0), ("native", 1), ("google", 0.25), ("cohere", 0.5))
    ]
    (tmp_path / "scores.csv").write_text("\n".join(["benchmark,model,arm,score", *rows]))
    outcome = run("gap", "scores.csv", "--out", "g")
    assert outcome.code == 0, outcome.err
    assert (
        "a: mean gap +0.625 over 5 cells" in outcome.out
        and "native +1, google and cohere +0.375" in outcome.out
    )
    assert max(map(len, outcome.out.splitlines()[:3])) <= 80
    assert {path.name for path in (tmp_path / "g").iterdir()} >= {
        "gap.csv", "cells.csv", "correlations.csv", "gap.html", "result.parquet",
    }  # fmt: skip
    assert GapResult.load(tmp_path / "g").settings.translated == ["google", "cohere"]
    for name, grade in (("tuned", 4), ("base", 2)):
        with chat_server(lambda *_, g=grade: completion(f"[[{g}]]")) as server:
            run(
                "judge", f"{name}.jsonl", "--judge", f"openai:x@{server.url}", "--out", name, "--regrade", "0"
            )
    outcome = run("gap", "native=tuned", "google=base", "--out", "of-judges", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["rows"][0]["gap"] == 2
