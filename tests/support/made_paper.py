"""A made paper in cells: printed values, a correction, and a kind of experiment that counts letters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import plotly.graph_objects as go
from pydantic import Field

from latentlang.errors import InputError
from latentlang.reproduction.kinds.base import (
    Computed,
    Cost,
    Estimate,
    Experiment,
    ExperimentKind,
    KindStep,
    Outcome,
    RunContext,
    StepTools,
)
from latentlang.storage.documents import read_json
from latentlang.storage.files import write_text

SUITE = """
title: A made paper
about: Words and their letters.
order: [table1, table2, figure3]
reasons:
  sum: The sum of the row's own cells.
"""
TABLES = {
    "table1": """
title: letters of words
source: Table 1
kind: letters
words: {es: casa, fr: maison}
differs: [other-text]
note: Counted by hand there.
""",
    "table2": """
title: what people thought
source: Table 2
kind: printed
stands_in: needs-people
instead: Nothing stands in.
effort: {calls: 1200, gpu_hours: 16.5, usd: 300, source: Section 4}
""",
    "figure3": """
title: what a judge thought
source: Figure 3
kind: printed
published: ''
stands_in: hosted-judge
""",
}
PUBLISHED = {
    "table1": "table,row,column,value\ntable1,es,letters,4\ntable1,fr,letters,7\ntable1,fr,vowels,\n",
    "table2": "table,row,column,value\ntable2,A|B,good,45.0%\ntable2,A|B,bad,yes\n",
}
CORRECTIONS = (
    "table,row,column,printed,corrected,source,reason\ntable1,fr,letters,7,6,the word itself,misprint\n"
)


class Letters(Experiment):
    """Words whose letters are counted."""

    words: dict[str, str] = Field(min_length=1)


@dataclass(frozen=True)
class CountLetters(KindStep):
    """The number of letters of a word."""

    kind: ClassVar[str] = "count-letters"
    language: str = ""
    word: str = ""

    def options(self, run: RunContext) -> dict[str, Any]:
        return {"word": self.word, "times": run.items or 1}

    def cost(self, run: RunContext, estimate: Estimate) -> Cost:
        return Cost(seconds=3600.0, bytes=1024, calls=2, price=0.25)

    def compute(self, folder: Path, tools: StepTools) -> int:
        if not self.word:
            raise InputError(f"there is no word of {self.language!r}")
        count = len(self.word) * (tools.run.items or 1)
        write_text(folder / "count.json", json.dumps(count))
        return count

    def read(self, folder: Path) -> int:
        return int(read_json(folder / "count.json", finite=True))


class LettersKind(ExperimentKind[Letters]):
    """Letters of words."""

    fields = Letters
    words = "letters of words"
    draws = True

    def steps(self, experiment: Letters, run: RunContext) -> Sequence[CountLetters]:
        return [CountLetters(language, word) for language, word in experiment.words.items()]

    def table(self, experiment: Letters, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        return [
            Computed(step.language, "letters", outcome(step), low=0, high=9, n=1, unit="letters")
            for step in self.steps(experiment, run)
        ]

    def figure(self, experiment: Letters, outcome: Outcome, run: RunContext) -> go.Figure:
        counts = [outcome(step) for step in self.steps(experiment, run)]
        return go.Figure([go.Bar(x=list(experiment.words), y=counts)])


def write_paper(folder: Path, **changed: str) -> Path:
    """A folder of the made paper; `changed` files are written otherwise, by names such as ``table1`` and ``suite``."""
    texts = {
        "suite.yaml": changed.pop("suite", SUITE),
        "corrections.csv": changed.pop("corrections", CORRECTIONS),
    }
    texts |= {
        f"{name}.yaml": text
        for name, text in {**TABLES, **changed}.items()
        if not name.startswith("published_")
    }
    for name, text in PUBLISHED.items():
        texts[f"published/{name}.csv"] = changed.get(f"published_{name}", text)
    for name, text in texts.items():
        if text:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    return folder
