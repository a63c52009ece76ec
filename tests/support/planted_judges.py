"""Judges whose bias is known: they read the package's own templates and answer by a rule."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from latentlang.instructions.providers import Reply
from latentlang.judging import JudgedAnswer

_CODE = re.compile(r"carry the code ([0-9a-f]{12})")
LANGUAGES = ("en", "ja")

#: Question and answers, as they stand in the prompt, and a draw of that question's own, to what is said.
Rule = Callable[[str, Sequence[str], random.Random], str]


def parts(prompt: str) -> list[str]:
    """Question and answers of a prompt of `pairwise` or of a rating."""
    code = _CODE.search(prompt)
    assert code is not None
    places = list(re.finditer(rf"^=== [a-z12 ]+ {code[1]} ===$", prompt, re.MULTILINE))
    return [prompt[one.end() : other.start()].strip("\n") for one, other in pairwise(places)]


@dataclass
class PlantedJudge:
    """A judge that follows a rule.

    Attributes:
        rule: what it says.
        name: its own.
        asked: prompts, in the order in which they came.
    """

    rule: Rule
    name: str = "planted"
    settings: Mapping[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def ask(self, messages: Sequence[Mapping[str, str]]) -> Reply:
        """What the rule says."""
        prompt = messages[-1]["content"]
        self.asked.append(prompt)
        question, *answers = parts(prompt)
        return Reply(self.rule(question, answers, random.Random(f"{self.name} {question}")))


def _better(answers: Sequence[str]) -> str:
    """By the digits that stand in the answers: the larger one is better."""
    one, other = (int(re.sub(r"\D", "", answer) or 0) for answer in answers)
    return "[[1]]" if one > other else "[[2]]" if other > one else "[[tie]]"


def perfect(_question: str, answers: Sequence[str], _draw: random.Random) -> str:
    """Says which answer is better."""
    return _better(answers)


def by_place(share: float) -> Rule:
    """In a share of the questions takes the first answer whatever it is."""
    return lambda _, answers, draw: "[[1]]" if draw.random() < share else _better(answers)


def at_random(_question: str, answers: Sequence[str], draw: random.Random) -> str:
    """Draws a verdict, another one for each order."""
    return random.Random(f"{draw.random()} {answers}").choice(["[[1]]", "[[2]]", "[[tie]]"])


def by_length(slope: float) -> Rule:
    """Takes the first answer with log odds of so much for each doubling of its length, alike in both orders."""

    def rule(_question: str, answers: Sequence[str], draw: random.Random) -> str:
        one, other = (max(len(answer), 1) for answer in answers)
        # the same draw decides for the same pair in either order
        order = sorted(answers)
        chance = 1 / (
            1 + math.exp(-slope * math.log2(len(order[0]) / len(order[1]) if order[1] else one / other))
        )
        chosen = order[0] if draw.random() < chance else order[1]
        return "[[1]]" if chosen == answers[0] else "[[2]]"

    return rule


def answers(
    name: str,
    quality: Callable[[int], int],
    *,
    count: int = 60,
    languages: Sequence[str] = LANGUAGES,
    length: Callable[[int], int] = lambda _: 0,
) -> list[JudgedAnswer]:
    """Answers whose quality is a number that stands in them."""
    return [
        JudgedAnswer(
            f"q{n}", code, f"Question {code}-{'abc'[n % 3]}{n}?", f"{name} {quality(n)} {'x' * length(n)}".strip()
        )
        for code in languages
        for n in range(count)
    ]  # fmt: skip
