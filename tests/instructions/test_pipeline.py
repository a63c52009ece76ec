"""A pipeline of instruction data: steps on what steps made, plans that sum, and nothing done or asked twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from latentlang.cli import app, main
from latentlang.errors import InputError
from latentlang.instructions import read_dialogues
from latentlang.instructions.pipeline import read_pipeline, run_pipeline
from latentlang.instructions.pipeline_kinds import StepKind, register_step
from latentlang.instructions.providers import Asker, Planner, Prices, Reply
from tests.support.parallel import lines_folder

ITEMS = [
    {
        "id": f"a{n}",
        "language": "en",
        "instruction": f"Say {n} now.",
        "input": "",
        "output": f"Of course: {n}!",
    }
    for n in range(4)
]
STEPS: list[dict[str, Any]] = [
    {"name": "german", "step": "translate", "data": "items.json", "lang": "de", "parts": "instruction,input"},
    {"name": "answered", "step": "answer", "data": "german"},
    {"name": "kept", "step": "filter", "data": "answered", "against": "items.json", "answers_anew": True,
     "checks": "empty,numbers"},
    {"name": "cross", "step": "parallel", "text": "rights", "pivots": "en", "lang": "ja", "kinds": "sentence",
     "check_language": False},
    {"name": "all", "step": "mix", "total": 6, "parts": [
        {"name": "chat", "files": "kept", "share": 0.5}, {"name": "cross", "files": "cross", "share": 0.5}]},
]  # fmt: skip


class Echo:
    """Answers with what it was asked, and counts."""

    name, settings, retried, one_at_a_time = "echo", {}, False, True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, messages: Any) -> Reply:
        self.asked.append(messages[-1]["content"])
        return Reply(f"Gesagt: {messages[-1]['content'][-12:]}", prompt_tokens=5, answer_tokens=3)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("items.json").write_text(json.dumps(ITEMS))
    lines_folder(tmp_path / "rights")


def pipeline(steps: list[dict[str, Any]] = STEPS, **more: Any) -> Path:
    Path("steps.yaml").write_text(json.dumps({"provider": "table:x", **more, "steps": steps}))
    return Path("steps.yaml")


def run(
    echo: Echo, *, steps: list[dict[str, Any]] = STEPS, planned: bool = False, told: Any = None, **more: Any
):
    def asking(provider: str, *, prices: Prices | None):
        return Planner(echo, cache="out/replies") if planned else Asker(echo, cache="out/replies")

    return run_pipeline(
        read_pipeline(pipeline(steps, **more)), out="out", asking=asking, planned=planned, told=told
    )


def test_each_step_works_on_what_steps_before_it_made() -> None:
    report = run(Echo())
    table = report.table.set_index("step")
    assert list(table["outcome"]) == ["made"] * 5 and list(table["calls"]) == [4, 4, 0, 0, 0]
    german, answered = (read_dialogues(Path("out") / name) for name in ("german", "answered"))
    assert {one.language for one in german} == {"de"} and german[0].output == "Of course: 0!"
    assert all(one.output.startswith("Gesagt: ") for one in answered)
    mixed = read_dialogues("out/all")
    assert len(mixed) == 6 and {one.origin for one in mixed} >= {"parallel"}
    assert (Path("out") / "kept" / "report" / "counts.csv").is_file()
    assert "took 8 calls (40 tokens asked, 24 tokens answered)" in report.describe()


def test_what_is_there_is_left_and_what_depends_on_a_change_is_done_again() -> None:
    echo = Echo()
    run(echo)
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("dialogues.jsonl")}
    again = run(echo)
    assert len(echo.asked) == 8 and list(again.table["outcome"]) == ["kept"] * 5
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("dialogues.jsonl")} == before
    assert "5 steps are there already: german, answered, kept, cross, all." in again.describe()
    changed = [*STEPS[:2], {**STEPS[2], "keep_repeated": True}, *STEPS[3:]]
    assert list(run(echo, steps=changed).table["outcome"]) == ["kept", "kept", "made", "kept", "made"]
    Path("items.json").write_text(json.dumps([*ITEMS, {**ITEMS[0], "id": "a9", "instruction": "Say 9 now."}]))
    outcomes = run(echo, steps=changed).table
    assert list(outcomes["outcome"]) == ["made", "made", "made", "kept", "made"]
    # replies of before are taken
    assert len(echo.asked) == 10 and list(outcomes["kept"])[:2] == [4, 4]


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("leave", "noon", "now"),
        ("prompts", "a: {text}, {source}>{target}", "b: {text}, {source}>{target}"),
    ],
)
def test_a_step_is_done_again_where_its_prompts_or_keywords_have_changed(
    field: str, before: str, after: str
) -> None:
    echo = Echo()
    file = Path(f"{field}.{'yaml' if field == 'prompts' else 'txt'}")
    steps = [{**STEPS[0], field: str(file)}]
    outcomes = []
    for text in (before, before, after):
        prompts = {"language": "en", "origin": "here", "translate": text}
        file.write_text(json.dumps(prompts) if field == "prompts" else text)
        outcomes += list(run(echo, steps=steps).table["outcome"])
    assert outcomes == ["made", "kept", "made"]


def test_norwegian_is_a_language_where_yaml_reads_false() -> None:
    steps: list[dict[str, Any]] = [
        {**STEPS[0], "lang": False},
        {"name": "trip", "step": "round-trip", "data": "items.json", "data_lang": False, "through": False},
        {**STEPS[0], "name": "two", "lang": [False, "de"]},
    ]
    there, back, two = (step.told.model_dump() for step in read_pipeline(pipeline(steps)))
    assert (there["lang"], back["data_lang"], back["through"]) == (["no"], "no", "no")
    assert two["lang"] == ["no", "de"]


def test_a_step_that_fails_is_named_and_those_before_it_are_kept() -> None:
    echo = Echo()
    broken = [*STEPS[:2], {**STEPS[2], "near": 7.0}, *STEPS[3:]]
    with pytest.raises(InputError, match=r"^step 'kept' \(filter\): "):
        run(echo, steps=broken)
    done = []
    run(echo, told=done.append)
    assert len(echo.asked) == 8 and [step.kept for step in done] == [True, True, False, False, False]


def test_a_plan_asks_nobody_writes_nothing_and_sums_at_most() -> None:
    echo = Echo()
    plan = run(echo, planned=True)
    assert echo.asked == [] and not Path("out").exists()
    assert list(plan.table["calls"]) == [4, 4, 0, 0, 0] and set(plan.table["outcome"]) == {"planned"}
    assert list(plan.table["dialogues"]) == [4, 4, 4, 10, 6] and plan.price is None
    assert "All steps together would take 8 calls (" in plan.describe()
    run(echo, steps=STEPS[:1])
    rest = run(echo, planned=True)
    assert list(rest.table["calls"]) == [0, 4, 0, 0, 0] and rest.steps[0].kept
    assert "1 step is there already: german." in rest.describe()


def test_prices_are_the_files_or_a_steps_own() -> None:
    steps = [{**STEPS[0], "price": [1_000_000, 0]}, *STEPS[1:]]
    checked = read_pipeline(pipeline(steps, price=[0, 2_000_000]))
    assert [step.prices for step in checked[:2]] == [Prices(1_000_000, 0), Prices(0, 2_000_000)]
    assert read_pipeline(pipeline(steps), prices=Prices(1, 2))[1].prices == Prices(1, 2)


def test_every_kind_is_run(tmp_path: Path) -> None:
    Path("doc.fr.txt").write_text("La ville est belle et la mer est grande. " * 20)
    steps = [
        {"name": "trip", "step": "round-trip", "data": "items.json", "through": "de"},
        {"name": "there", "step": "answer", "data": "trip/between"},
        {"name": "about", "step": "grounded", "from": "doc.fr.txt", "data_lang": "fr", "check_language": False,
         "document_tokens": "1-1000", "segment_tokens": "1-1000"},
        {"name": "free", "step": "culture", "data": "about,trip", "criteria": "person"},
    ]  # fmt: skip
    plan = run(Echo(), steps=steps, planned=True)
    assert all(calls > 0 for calls in plan.table["calls"])
    with pytest.raises(InputError, match=r"step 'free' \(culture\): nothing is left of 5 dialogues"):
        run(Echo(), steps=steps)
    assert {one.language for one in read_dialogues("out/there")} == {"de"}
    assert list(run(Echo(), steps=steps[:3]).table["outcome"]) == ["kept"] * 3


@pytest.mark.parametrize(
    ("steps", "more", "words"),
    [
        ([], {}, "must have steps, a list"),
        (["translate"], {}, "step 1 must have a name, a step and its fields, not 'translate'"),
        (
            [{"name": "a", "step": "tranlsate"}],
            {},
            r"step 1: unknown step 'tranlsate'; did you mean 'translate'",
        ),
        ([{**STEPS[0], "to": "de"}], {}, "step 1 is damaged: there is a field to that"),
        ([{"name": "a", "step": "translate", "data": "x"}], {}, "step 1 is damaged: lang is missing"),
        ([STEPS[0], STEPS[0]], {}, "step 2: the name 'german' is taken: another step is called so"),
        ([{**STEPS[0], "name": "replies"}], {}, "the name 'replies' is taken: replies lie in a folder"),
        ([{**STEPS[0], "name": "../x"}], {}, r"name is '../x' and should match pattern"),
        ([{**STEPS[0], "name": ".."}], {}, r"name is '..' and should match pattern"),
        (
            [{"name": "a", "step": ["answer"]}],
            {},
            r"step must be one of answer, .*, translate; not \['answer'\]",
        ),
        ([{"name": "a"}], {}, "step must be one of answer, .*; it says none"),
        (STEPS, {"provider": 5}, "provider must be a name such as openai:MODEL@URL, not 5"),
        ([STEPS[1], STEPS[0]], {}, "step 1, 'answered', works on 'german', which is not made before it"),
        (
            [{**STEPS[1], "data": "answered"}],
            {},
            "step 1, 'answered', works on 'answered', which is not made",
        ),
        (
            STEPS,
            {"provider": None},
            r"'german', asks somebody and nobody is named; say provider .*--provider",
        ),
        (STEPS, {"price": "cheap"}, r"price must be what a million tokens cost"),
        (STEPS, {"setps": []}, "has a field 'setps', and there are about, provider, price, steps"),
        (
            [{"name": "a", "step": "grounded", "from": "x", "segment_tokens": "many"}],
            {},
            "the least and the most",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line_before_anything_is_run(
    steps: list[Any], more: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_pipeline(pipeline(steps, **more))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "germna"}, r"step 'answered' \(answer\): there is no file 'germna'.*; the steps before are german"),
        ({"step": "filter", "data": "german", "checks": "copied"}, "name the sources under against"),
        ({"step": "filter", "data": "german", "checks": "numbers", "against": "other.json", "keep_repeated": True},
         "nothing is left: [a-z-]+ dropped most, 4 in de.*; leave that check out, or give other data"),
        ({"step": "mix", "total": 9, "parts": [{"name": "x", "files": "german", "share": 1}]}, "step 'answered' .mix."),
        ({"step": "mix", "total": 9, "parts": [{"name": "x", "files": [], "share": 1}]}, "part 'x' has no dialogues"),
    ],
)  # fmt: skip
def test_what_a_step_cannot_do_is_one_line(changes: dict[str, Any], words: str) -> None:
    Path("other.json").write_text(json.dumps([{**one, "instruction": "Say 77 now."} for one in ITEMS]))
    with pytest.raises(InputError, match=words):
        run(Echo(), steps=[STEPS[0], {"name": "answered", "step": "answer", **changes}])


def test_a_kind_of_ones_own_is_registered_once() -> None:
    with pytest.raises(ValueError, match="is there already"):
        register_step(StepKind("mix", read_pipeline(pipeline())[4].kind.fields, lambda told, given: None))  # type: ignore[arg-type, return-value]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"asked": f"en>de: {one['instruction']}", "answer": f"Sag {n} jetzt."} for n, one in enumerate(ITEMS)
    ]
    rows += [{"asked": f"Sag {n} jetzt.", "answer": f"Gern, nun denn: {n}."} for n in range(4)]
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = str(pipeline(provider="table:pairs.jsonl"))
    command = ["instructions", "build", "pipeline", file, "--out", "out"]
    planned = CliRunner().invoke(app, [*command, "--dry-run", "--price", "1000000,0", "--json"])
    record = json.loads(planned.stdout)
    assert record["files"] == [] and record["price"] == sum(step["prompt_tokens"] for step in record["steps"])
    assert not Path("out").exists()
    assert main([*command, "--max-calls", "6"]) == 2
    error = capsys.readouterr().err
    assert "step 'answered' (answer)" in error and "run the same command again to go on" in error
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "german" in done.stdout and "took 2 calls" in done.stdout, done.output
    assert "wrote out/all/dialogues.jsonl" in done.stdout
    assert main(["instructions", "describe", "out/all", "--no-identify", "--out", "described"]) == 0
    assert main([*command[:3], "none.yaml", "--out", "out"]) == 2
