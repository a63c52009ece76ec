"""Small benchmarks in the layouts of the published ones."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from latentlang.provenance import Provenance
from latentlang.questions import CodeResult, Question, QuestionSet

_COLOURS = {"en": "red", "es": "rojo", "zh": "红"}
_SENTENCES = {
    "en": ("The thing is {}.", "What is {} of {}?"),
    "es": ("La cosa es {}.", "¿Qué es {} de {}?"),
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
