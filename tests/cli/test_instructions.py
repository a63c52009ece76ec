"""``latentlang instructions``: each command as a user types it; a server on this machine, a table, a recording."""

import contextlib
import io
import json

import pytest

from latentlang.cli import main
from latentlang.instructions import read_dialogues
from tests.support.chat_server import KEY, chat_server, echo, failure, until
from tests.support.children import Child

ITEMS = [{"id": f"alpaca-{n}", "instruction": f"Say {n}.", "input": "", "output": f"{n}."} for n in range(3)]


@pytest.fixture(autouse=True)
def _files(run, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    (tmp_path / "alpaca.json").write_text(json.dumps(ITEMS))
    pairs = [("en", "de", "Say {}.", "Sag {}."), ("en", "de", "{}.", "{}!"), ("de", "en", "Sag {}.", "Say {}!"),
             ("de", "en", "{}!", "{}?")]  # fmt: skip
    rows = [
        {"asked": f"{source}>{target}: {asked.format(n)}", "answer": said.format(n)}
        for source, target, asked, said in pairs
        for n in range(3)
    ]
    rows += [{"asked": f"Sag {n}.", "answer": f"Na gut: {n}."} for n in range(2)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))


TRANSLATE = ("instructions", "translate", "alpaca.json", "--data-lang", "en", "--lang", "de")
TABLE = ("--provider", "table:pairs.jsonl")


def test_translate_then_answer(run, tmp_path):
    outcome = run(*TRANSLATE, *TABLE, "--parts", "instruction,input", "--out", "bx")
    assert outcome.code == 0, outcome.err
    assert "3 dialogues made (de 3)." in outcome.out and "wrote bx/dialogues.jsonl" in outcome.out
    assert [
        (one.instruction, one.output, one.answer_language) for one in read_dialogues(tmp_path / "bx")
    ] == [(f"Sag {n}.", f"{n}.", "en") for n in range(3)]
    outcome = run("instructions", "answer", "bx", *TABLE, "--out", "answered")
    assert outcome.code == 0, outcome.err
    assert "1: the table has no answer (not-in-table), such as 'alpaca-2' (de)" in outcome.out
    made = read_dialogues(tmp_path / "answered")
    assert [(one.output, one.answer_language) for one in made] == [("Na gut: 0.", "de"), ("Na gut: 1.", "de")]


def test_there_and_back(run, tmp_path):
    outcome = run(
        "instructions",
        "translate",
        "alpaca.json",
        "--data-lang",
        "en",
        "--through",
        "de",
        *TABLE,
        "--out",
        "rtt",
    )
    assert outcome.code == 0 and "wrote rtt/between/dialogues.jsonl" in outcome.out
    assert [one.output for one in read_dialogues(tmp_path / "rtt")] == ["0?", "1?", "2?"]
    assert [one.language for one in read_dialogues(tmp_path / "rtt/between")] == ["de"] * 3


def test_a_plan_writes_nothing_and_calls_nobody(run, tmp_path):
    with chat_server() as server:
        asked = (*TRANSLATE, "--provider", f"openai:small@{server.url}", "--out", "bx", "--dry-run")
        outcome = run(*asked, "--price", "1,2")
        assert outcome.code == 0 and "6 calls of openai:small would be made" in outcome.out
        assert "At 1 for a million" in outcome.out and not server.asked and not (tmp_path / "bx").exists()
        record = json.loads(run(*asked, "--json", "--tokenizer", "pocket").out)
        assert record["calls"] == 6 and record["price"] is None and "pocket" in record["counted_by"]


def test_a_server_is_asked_once_and_the_key_is_nowhere(run, tmp_path):
    with chat_server() as server:
        typed = (*TRANSLATE, "--provider", f"openai:small@{server.url}", "--out", "bx")
        first = run(*typed)
        assert first.code == 0 and len(server.asked) == 6
        assert "6 calls (42 tokens asked, 18 tokens answered); 0 replies taken from those kept." in first.out
        again = run(*typed, "--json")
        assert again.code == 0 and len(server.asked) == 6
        assert json.loads(again.out)["counts"] == [{"language": "de", "outcome": "made", "count": 3}]
        said = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
        assert not [text for text in (*said, first.out, first.err, again.out, again.err) if KEY in text]
    # a folder of kept replies is a recording
    typed = (*TRANSLATE, "--provider", "replay:bx/replies", "--out", "again")
    assert run(*typed).code == 0
    assert [one.turns for one in read_dialogues(tmp_path / "again")] == [
        one.turns for one in read_dialogues(tmp_path / "bx")
    ]


def test_an_error_in_the_middle_says_what_is_kept(run):
    with chat_server(
        lambda number, body: echo(number, body) if number < 2 else failure(404, "gone")
    ) as server:
        outcome = run(*TRANSLATE, "--provider", f"openai:small@{server.url}", "--out", "bx", "--at-once", "1")
        assert outcome.code == 2 and outcome.err.count("\n") == 1
        assert "status 404, gone" in outcome.err and "replies are kept in bx/replies" in outcome.err


def test_the_limit_of_calls_goes_on_where_it_was(run):
    with chat_server() as server:
        typed = (*TRANSLATE, "--provider", f"openai:small@{server.url}", "--out", "bx", "--at-once", "1")
        outcome = run(*typed, "--max-calls", "4")
        assert outcome.code == 2 and "the limit of 4 calls" in outcome.err and len(server.asked) == 4
        assert run(*typed, "--max-calls", "4").code == 0 and len(server.asked) == 6


def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on(run):
    def held(number, body):
        if number == 4 and len(server.asked) <= 5:
            server.stop.wait(60)
        return echo(number, body)

    with chat_server(held) as server:
        typed = [*TRANSLATE, "--provider", f"openai:small@{server.url}", "--out", "bx", "--at-once", "1"]

        def command(inside):
            with contextlib.redirect_stderr(io.StringIO()) as said:
                code = main(typed)
            inside.say(f"{code} {said.getvalue()}".encode())

        with Child(command) as child:
            until(lambda: len(server.asked) == 5)
            child.send(2)
            _code, said = child.end()
        assert said.startswith(
            "130 latentlang: interrupted; 5 questions asked; replies are kept in bx/replies: run"
        )
        assert run(*typed).code == 0 and len(server.asked) == 5 + 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("translate", "alpaca.json", "--provider", "table:pairs.jsonl", "--out", "o"), "say either --lang"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--through", "en"), "say either --lang"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--price", "1,2"), "--price and --tokenizer are for a plan"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--dry-run", "--price", "cheap"), "--price takes what a million"),
        ((*TRANSLATE[1:], "--provider", "gpt", "--out", "o"), "'gpt' is no provider"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--unit", "word"), "unknown unit of translation 'word'"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--at-once", "0"), "at_once must be at least 1"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--lang", "xx"), "unknown language 'xx'"),
        (("answer", "nothing.json", *TABLE, "--out", "o"), "there is no file 'nothing.json'"),
        (("answer", "alpaca.json", *TABLE, "--out", "o"), "there is no 'language'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(run, tmp_path, typed, said):
    outcome = run("instructions", *typed)
    assert outcome.code == 2 and said in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "o" / "dialogues.jsonl").exists()


def test_the_hosted_server_without_a_key(run, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    outcome = run(*TRANSLATE, "--provider", "openai:small", "--out", "o")
    assert outcome.code == 2 and "set the environment variable OPENAI_API_KEY" in outcome.err
