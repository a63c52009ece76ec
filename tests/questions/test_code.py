"""HumanEval: the ceiling of the canonical solutions, pass@k worked out by hand, and programs that are never run."""

import itertools
import json
from pathlib import Path

import pytest

from latentlang.code_execution import SandboxError, run_program
from latentlang.errors import InputError
from latentlang.generation import kept_answers
from latentlang.models import HookedLM
from latentlang.models.generation import Written
from latentlang.questions import CodeResult, code_run, humaneval, pass_at_k, read_problems
from latentlang.questions.code_problems import program_in_chat, written_body
from tests.support import tiny
from tests.support.question_files import needs_a_sandbox, problem, write_problems

_RIGHT, _WRONG = "    return x + 1\n", "    return x + 2\n"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English is whole; in Spanish a name was translated, a head is broken, and a prompt lacks its last line end."""
    folder = tmp_path_factory.mktemp("humaneval")
    write_problems(folder, "en", "es")
    return folder


def test_pass_at_k_is_the_share_of_choices_with_one_that_passes() -> None:
    for n in range(1, 7):
        for right in range(n + 1):
            for k in range(1, n + 1):
                draws = [*itertools.combinations([1] * right + [0] * (n - right), k)]
                assert pass_at_k(n, right, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    assert pass_at_k(200, 5, 1) == pytest.approx(0.025)
    for n, right, k, message in (
        (3, 1, 4, r"pass@4 needs at least 4 programs per problem, and there are 3"),
        (3, 4, 1, "4 of 3 programs cannot be right"),
        (3, 1, 0, "k must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            pass_at_k(n, right, k)


def test_the_ceiling_is_what_the_canonical_solutions_pass(folder: Path, tmp_path: Path) -> None:
    needs_a_sandbox()
    result = humaneval(None, folder, allow_code=True, progress=False)
    ceilings = result.ceilings().set_index("language")
    assert ceilings.loc["en"].to_dict() == {"problems": 3, "passed": 3, "syntax": 0, "failed": 0, "other": 0}
    assert ceilings.loc["es"].to_dict() == {"problems": 3, "passed": 1, "syntax": 1, "failed": 1, "other": 0}
    failed = result.table[result.table["ended"] == "failed"].iloc[0]
    assert failed["detail"] == "NameError: name 'add0' is not defined"
    assert list(result.summary()["ceiling"]) == [1, pytest.approx(1 / 3)]
    assert (
        "Spanish: 1 of 3 canonical solutions pass (1 are no Python behind this prompt, 1 fail)"
        in result.describe()
    )
    result.save(tmp_path / "out")
    assert CodeResult.load(tmp_path / "out") == result
    assert result.settings.layers[-1] == "seccomp"
    assert list(result.figure().layout.yaxis.ticktext) == ["English", "Spanish"]


def test_programs_of_a_model_are_counted_beside_the_ceiling(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_a_sandbox()
    texts = {
        "HumanEval/0": [_RIGHT, _WRONG],
        "HumanEval/1": [_WRONG, _WRONG],
        "HumanEval/2": [_RIGHT, _RIGHT],
    }
    seen = []

    def write(model, prompts, decoding, *, items, **_options):
        seen.append(decoding)
        return [[Written(text + "\n\nprint(1)", (), "length", 0.0) for text in texts[item]] for item in items]

    monkeypatch.setattr(code_run, "generate_kept", write)
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    result = humaneval(model, folder, allow_code=True, samples=2, k=[1, 2], progress=False)
    assert (seen[0].how, seen[0].samples, seen[0].top_p) == ("sample", 2, 0.95)
    summary = result.summary().set_index("language")
    assert summary.loc["en", "pass@1"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert summary.loc["en", "pass@2"] == pytest.approx(2 / 3)
    # in Spanish the head of the first is another's name: its right body fails too
    assert summary.loc["es", "pass@1"] == pytest.approx(1 / 3)
    assert summary.loc["es", "pass@1_solvable"] == 1
    assert (summary["pass@1_low"] <= summary["pass@1"]).all() and (summary["samples"] == 2).all()
    assert "pass@2 66.7%" in result.describe() and "ceiling 33.3%" in result.describe()
    assert "print" not in "".join(result.table["completion"])


def test_a_programs_tests_are_in_one_process_with_it_only_where_its_own_solution_needs_that(
    tmp_path: Path,
) -> None:
    needs_a_sandbox()
    in_place = problem(
        1, prompt="def add1(x):\n", canonical_solution="    x.append(1)\n",
        test="def check(candidate):\n    x = []\n    candidate(x)\n    assert x == [1]\n",
    )  # fmt: skip
    cheats = "    class Any:\n        __eq__ = lambda self, other: True\n    return Any()\n"
    (tmp_path / "humaneval_en.jsonl").write_text("\n".join(map(json.dumps, [problem(0), in_place])))
    answers = [
        {"task_id": f"HumanEval/{number}", "completion": completion}
        for number, body in ((0, _RIGHT), (1, "    x.append(1)\n"))
        for completion in (cheats, "    import os\n    os._exit(0)\n", "    return (y for y in [x])\n", body)
    ]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)))
    result = humaneval(
        None,
        tmp_path / "humaneval_en.jsonl",
        answers=tmp_path / "answers.jsonl",
        allow_code=True,
        progress=False,
    )
    base = result.table[result.table["state"] == "base"]
    assert list(base["passed"]) == [False, False, False, True] * 2
    assert list(base["ended"][:4]) == ["not-plain", "crashed", "not-plain", "passed"]
    assert list(result.ceilings()["passed"]) == [2]
    assert result.settings.together == {"en": ["HumanEval/1"]}
    assert "The tests of 1 problem (HumanEval/1 in English) need to be in one process" in result.describe()


def test_programs_of_a_file_are_run(folder: Path, tmp_path: Path) -> None:
    needs_a_sandbox()
    file = tmp_path / "programs.jsonl"
    lines = [
        {"task_id": f"HumanEval/{number}", "completion": body}
        for number in range(3)
        for body in (_RIGHT, _WRONG)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    result = humaneval(
        None, folder, languages="en", allow_code=True, answers=file, k=2, items=2, progress=False
    )
    assert list(result.summary()["pass@2"]) == [1]
    with pytest.raises(InputError, match=r"pass@3 needs at least 3 programs per problem, and there are 2"):
        humaneval(None, folder, languages="en", allow_code=True, answers=file, k=3, progress=False)
    file.write_text("\n".join(map(json.dumps, lines[:-1])))
    with pytest.raises(InputError, match="problem 'HumanEval/2' in 'en' has 1 programs, and others have 2"):
        humaneval(None, folder, languages="en", allow_code=True, answers=file, progress=False)


def test_nothing_is_run_that_was_not_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("run_program", "run_tests"):
        monkeypatch.setattr(code_run, name, lambda *_args, **_options: pytest.fail("a program was run"))
    with pytest.raises(
        InputError, match=r"only run where that is allowed: say allow_code=True \(--allow-code\)"
    ):
        humaneval(None, folder)

    def cannot() -> str:
        raise SandboxError("no kernel for that")

    monkeypatch.setattr(code_run, "check_sandbox", cannot)
    with pytest.raises(SandboxError, match="no kernel for that"):
        humaneval(None, folder, allow_code=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, "line 1: 'prompt' is missing"),
        ({"test": ""}, "'test' is empty"),
        ({"canonical_solution": 3}, "'canonical_solution' is no text"),
        ({"entry_point": "a; import os"}, "the entry point 'a; import os' is no function's name"),
    ],
)
def test_a_record_that_cannot_be_used_is_told(tmp_path: Path, change: dict, message: str) -> None:
    file = tmp_path / "humaneval_en.jsonl"
    file.write_text(json.dumps(problem(0) | change))
    with pytest.raises(InputError, match=message):
        read_problems(file)


def test_what_is_not_there_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no problem in 'fr'"):
        read_problems(folder, languages="fr")
    nameless = tmp_path / "problems.jsonl"
    nameless.write_text(json.dumps(problem(0)))
    with pytest.raises(InputError, match="nothing says which language it is in"):
        read_problems(nameless)
    assert list(read_problems(nameless, language="en")) == ["en"]
    nameless.write_text(f"{json.dumps(problem(0))}\n{json.dumps(problem(0))}")
    with pytest.raises(InputError, match="problem 'HumanEval/0' is there twice in 'en'"):
        read_problems(nameless, language="en")


def test_a_body_ends_where_another_thing_begins() -> None:
    assert written_body("    return 1\n\n\ndef other():\n    pass") == "    return 1\n"
    assert written_body("    return 1\n\nprint(f())") == "    return 1\n"
    assert written_body("    if x:\n        return 1") == "    if x:\n        return 1\n"


def test_a_program_is_taken_out_of_an_answer_in_a_chat(folder: Path) -> None:
    whole = "Sure!\n```python\nimport math\n\ndef add0(x):\n    return x + 1\n\nprint(add0(2))\n```\nIt adds."
    assert program_in_chat(whole, "add0") == "\nimport math\n\ndef add0(x):\n    return x + 1\n"
    two = "```\npip install x\n```\nThen:\n```py\ndef add0(x):\n    return 1"
    assert program_in_chat(two, "add0") == "\ndef add0(x):\n    return 1\n"
    assert program_in_chat("def add0(x):\n    return 2\n\nassert add0(1) == 2", "add0").endswith("return 2\n")
    assert program_in_chat("```python\n    return x + 1\n```", "add0") == "    return x + 1\n"
    needs_a_sandbox()
    (problem, *_others) = read_problems(folder, languages="en")["en"]
    assert run_program(problem.program(program_in_chat(whole, "add0"))).passed
    assert not run_program(problem.program(program_in_chat(two, "add0"))).passed


def test_programs_are_kept_and_asked_for_in_a_chat(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_a_sandbox()
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
    model = HookedLM(tiny.model("mistral"), tokenizer, name="tiny")
    options = {"languages": "en", "new_tokens": 2, "allow_code": True, "chat": True, "progress": False}
    first = humaneval(model, folder, items=2, resume=tmp_path / "kept", **options)
    assert first.settings.chat == "turns"
    written = []
    generated = kept_answers.iter_generated

    def counted(model, prompts, decoding, *, items, **other):
        written.extend(items)
        assert not decoding.stop
        return generated(model, prompts, decoding, items=items, **other)

    monkeypatch.setattr(kept_answers, "iter_generated", counted)
    whole = humaneval(model, folder, resume=tmp_path / "kept", **options)
    assert len(written) == 1 and len(whole.table) == 6
    with pytest.raises(InputError, match="no model writes anything here"):
        humaneval(None, folder, **options)
