"""Small benchmarks in the layouts of the published ones."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from latentlang.code_execution import SandboxError, check_sandbox
from latentlang.provenance import Provenance
from latentlang.questions import CodeResult, Question, QuestionSet

_COLOURS = {"en": "red", "es": "rojo", "ru": "красный", "zh": "红"}
_SENTENCES = {
    "en": ("The thing is {}.", "What is {} of {}?"),
    "es": ("La cosa es {}.", "¿Qué es {} de {}?"),
    "ru": ("Вещь — {}.", "Что такое {} из {}?"),
    "zh": ("东西是{}。", "{}是什么{}？"),
}


def squad(language: str, *, paragraphs: int = 3, questions: int = 2) -> dict[str, Any]:
    """Paragraphs with questions of their own, ids alike in all languages."""
    statement, question = _SENTENCES[language]
    colours = [[f"{_COLOURS[language]}{p}{q or ''}" for q in range(questions)] for p in range(paragraphs)]
    entries = [
        {
            "context": " ".join(statement.format(colour) for colour in row),
            "qas": [
                {
                    "id": f"{p}-{q}",
                    "question": question.format(q, p),
                    "answers": [{"text": colour, "answer_start": 0}],
                }
                for q, colour in enumerate(row)
            ],
        }
        for p, row in enumerate(colours)
    ]
    return {"version": "1.1", "data": [{"paragraphs": entries}]}


def write_squad(folder: Path, *languages: str, **sizes: int) -> None:
    """A file per language, named as XQuAD's."""
    for code in languages:
        (folder / f"xquad.{code}.json").write_text(json.dumps(squad(code, **sizes)), encoding="utf-8")


def write_mgsm(folder: Path, *languages: str, questions: int = 8) -> None:
    """A file per language, named as MGSM's; question n has the answer n."""
    for code in languages:
        lines = [f"How many is {number}?\t{number}" for number in range(1, questions + 1)]
        (folder / f"mgsm_{code}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def problem(number: int, **other: str) -> dict[str, str]:
    """A problem in HumanEval's layout: a function that adds one; fields may be others."""
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def add{number}(x: int) -> int:\n    """ Add one. """\n',
        "entry_point": f"add{number}",
        "canonical_solution": "    return x + 1\n",
        "test": "\n\ndef check(candidate):\n    assert candidate(2) == 3\n    assert candidate(-1) == 0\n",
    } | other


def write_problems(folder: Path, *languages: str) -> None:
    """A file of three problems per language; in Spanish a name was translated, and another head is broken."""
    spanish = [
        problem(0, prompt='def sumar0(x: int) -> int:\n    """ Suma uno. """'),
        problem(1, prompt='definir add1(x: int) -> int:\n    """ Suma uno. """\n'),
        problem(2, prompt='def add2(x: int) -> int:\n    """ Suma uno. """'),
    ]
    for code in languages:
        problems = spanish if code == "es" else [problem(number) for number in range(3)]
        lines = "\n".join(map(json.dumps, problems))
        (folder / f"humaneval_{code}.json").write_text(lines + "\n", encoding="utf-8")


def needs_a_sandbox() -> None:
    """Skip a test where this machine cannot keep programs in."""
    try:
        check_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


def small_questions() -> QuestionSet:
    """Two questions in each of two languages."""
    return QuestionSet(
        "xquad",
        {
            code: tuple(
                Question(str(number), code, f"{number}?", (answer,), context=f"{answer}.")
                for number, answer in enumerate(answers)
            )
            for code, answers in (("en", ("red", "blue")), ("es", ("rojo", "azul")))
        },
    )


def code_result() -> CodeResult:
    """Two problems in one language, of which the model solves one, and the ceiling is two."""
    rows = [
        (
            state,
            "es",
            f"HumanEval/{number}",
            0,
            "    return 1\n",
            "passed" if passed else "failed",
            "",
            passed,
        )
        for state, outcomes in (("canonical", (True, True)), ("base", (True, False)))
        for number, passed in enumerate(outcomes)
    ]
    made = Provenance(
        model="pocket",
        task="humaneval",
        languages=("es",),
        policy="",
        settings={"states": ["canonical", "base"], "samples": 1, "ks": [1]},
    )
    return CodeResult(pd.DataFrame(rows, columns=list(CodeResult.columns)), made)
