"""``latentlang instructions``: each command as a user types it; a server on this machine, a table, a recording."""

import contextlib
import io
import json

import pytest

from latentlang.cli import main
from latentlang.instructions import read_dialogues
from latentlang.instructions.culture import published_criteria
from tests.support.chat_server import KEY, chat_server, completion, echo, failure, until
from tests.support.children import Child
from tests.support.parallel import lines_folder

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
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--temperature", "warm"), "--temperature takes a number such as 0"),
        ((*TRANSLATE[1:], "--provider", "gpt", "--out", "o"), "'gpt' is no provider"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--unit", "word"), "unknown unit of translation 'word'"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--at-once", "0"), "at_once must be at least 1"),
        ((*TRANSLATE[1:], *TABLE, "--out", "o", "--lang", "xx"), "unknown language 'xx'"),
        (("answer", "nothing.json", *TABLE, "--out", "o"), "there is no file 'nothing.json'"),
        (("answer", "alpaca.json", *TABLE, "--out", "o"), "there is no 'language'"),
        ((*TRANSLATE[1:], "--provider", "table:no.csv", "--out", "o"), "there is no file 'no.csv'; name one with"),
        ((*TRANSLATE[1:], "--provider", "table:odd.csv", "--out", "o"), "there is no column 'asked', only 'source'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(run, tmp_path, typed, said):
    (tmp_path / "odd.csv").write_text("source,target\nName,Nom\n")
    outcome = run("instructions", *typed)
    assert outcome.code == 2 and said in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "o" / "dialogues.jsonl").exists()


def test_the_hosted_server_without_a_key(run, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    outcome = run(*TRANSLATE, "--provider", "openai:small", "--out", "o")
    assert outcome.code == 2 and "set the environment variable OPENAI_API_KEY" in outcome.err
    planned = run(*TRANSLATE, "--provider", "openai:small", "--out", "o", "--dry-run")
    assert planned.code == 0 and "6 calls of openai:small would be made" in planned.out


# From parallel text, documents and a chat

PARALLEL = ("instructions", "build", "parallel", "--text", "rights", "--pivots", "en", "--lang", "de,ja")


@pytest.fixture
def rights(tmp_path):
    return lines_folder(tmp_path / "rights")


@pytest.mark.usefixtures("rights")
def test_build_parallel(run, tmp_path):
    outcome = run(*PARALLEL, "--kinds", "sentence,document", "--paragraphs", "2", "--out", "cross")
    assert outcome.code == 0, outcome.err
    assert "28 dialogues made (en 14, de 7 and ja 7)." in outcome.out
    assert "the document is too short (short-document), such as '00005..00005'" in outcome.out
    assert len(read_dialogues(tmp_path / "cross")) == 28
    record = json.loads(
        run(*PARALLEL, "--kinds", "interactive", "--asked-in", "target", "--out", "cross", "--json").out
    )
    assert {row["language"]: row["count"] for row in record["counts"]} == {"de": 5, "en": 10, "ja": 5}
    assert {one.language for one in read_dialogues(tmp_path / "cross")} == {"de", "en", "ja"}


@pytest.fixture
def texts(tmp_path):
    sentence = "La ville se trouve au bord de la mer et vit de la pêche depuis des siècles. "
    english = "The town lies by the sea and has lived on fishing for many hundreds of years. "
    for name, text in (("un", sentence * 60), ("deux", sentence), ("trois", english * 60)):
        (tmp_path / "texts" / "fr").mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / "fr" / f"{name}.txt").write_text(text, encoding="utf-8")


GROUNDED = ("instructions", "build", "grounded", "--from", "texts", "--out", "specific")


@pytest.mark.usefixtures("texts")
def test_build_grounded(run, tmp_path):
    with chat_server() as server:
        typed = (*GROUNDED, "--provider", f"openai:small@{server.url}")
        plan = run(*typed, "--dry-run")
        assert plan.code == 0 and not server.asked, plan.err
        outcome = run(*typed)
        assert outcome.code == 0, outcome.err
        assert f"{len(server.asked)} calls of openai:small would be made" in plan.out
        assert (
            "1: it is in another language than it should be (other-language), such as 'fr/trois.txt' (fr)"
            in outcome.out
        )
        assert "1: the document is too short (short-document), such as 'fr/deux.txt' (fr)" in outcome.out
        (talk,) = read_dialogues(tmp_path / "specific")
        assert talk.language == "fr" and talk.input.startswith("La ville") and len(talk.turns) >= 4
        assert run(*typed).code == 0 and len(server.asked) == len(talk.turns)


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("--lang", "ru"), "no document is in ru; they are in fr"),
        (
            ("--segment-tokens", "1000"),
            "--segment-tokens takes the least and the most, e.g. 1000-2000, not '1000'",
        ),
        (("--segment-tokens", "x-2"), "--segment-tokens takes a number of at least 0, not 'x'"),
        (("--segment-tokens", "9-2"), "a least number of tokens, 9, is more than the most, 2"),
        (("--data-lang", "sw"), "there are no prompts for dialogues about documents in 'sw'"),
        (("--data-lang", "es"), "no document passed the language filter: of 3 documents said to be in es"),
    ],
)
def test_documents_that_cannot_be_talked_about(run, typed, said):
    outcome = run(*GROUNDED, *TABLE, *typed)
    assert outcome.code == 2 and said in outcome.err and outcome.err.count("\n") == 1


def test_culture(run, tmp_path):
    def judge(_number, body):
        met = int("Say 1." in body["messages"][-1]["content"])
        lines = [f"{name}: {met if name == 'place' else 0} - so" for name in published_criteria()]
        return completion("who knows" if "Say 2." in body["messages"][-1]["content"] else "\n".join(lines))

    with chat_server(judge) as server:
        typed = ("instructions", "culture", "alpaca.json", "--data-lang", "en", "--out", "agnostic")
        outcome = run(*typed, "--provider", f"openai:small@{server.url}")
    assert outcome.code == 0, outcome.err
    assert (
        "1 dialogue made (en 1)." in outcome.out
        and "it could not be decided (undecided), such as 'alpaca-2'" in outcome.out
    )
    assert [one.id for one in read_dialogues(tmp_path / "agnostic")] == ["alpaca-0"]
    assert [one.id for one in read_dialogues(tmp_path / "agnostic/undecided")] == ["alpaca-2"]
    assert "alpaca-1,en,place,1,so" in (tmp_path / "agnostic/report/criteria.csv").read_text()
    outcome = run(*typed, *TABLE, "--criteria", "food")
    assert outcome.code == 2 and "unknown criterion 'food'" in outcome.err
