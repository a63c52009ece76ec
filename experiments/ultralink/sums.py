"""Sums and differences of small numbers, asked in three languages; what is asked afterwards is in no training set.

The numbers and the answer are digits, the same in all languages, as in MGSM; what is to be done with them is said by
words of the language, without which nobody can tell a sum from a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from latentlang.seeding import bucket, generator, shuffled
from latentlang.training import TrainingExample

#: Language to how a sum and a difference of two numbers are asked for.
WORDING: dict[str, dict[str, str]] = {
    "en": {"+": "{a} plus {b}", "-": "{a} minus {b}"},
    "zh": {"+": "{a} 加上 {b}", "-": "{a} 减去 {b}"},
    "es": {"+": "{a} más {b}", "-": "{a} menos {b}"},
}
_HELD_OUT_EVERY = 5


@dataclass(frozen=True)
class Skill:
    """Which sums are learnt.

    Attributes:
        signs: ``+``, or ``+-`` where a word of the language says which of the two is asked for.
        largest: the largest number in them.
        added: the largest second number of a sum; None for the same.
        asked: how many of those held out are asked afterwards; None for all.
    """

    signs: str
    largest: int
    added: int | None = None
    asked: int | None = None


#: The first can be done without a word of the language: there is one thing that is done with two numbers. The last two
#: have over a thousand that can be learnt; `pocket` does not learn the larger sums, carrying and all, from 1,500 steps.
SKILLS = {
    "sums": Skill("+", 19),
    "sums and differences": Skill("+-", 14),
    "additions of up to 2": Skill("+", 449, added=2, asked=100),
    "larger sums": Skill("+", 35, asked=100),
}


@dataclass(frozen=True)
class Sum:
    """Two numbers and what is to be done with them.

    Attributes:
        a: the first number.
        sign: ``+`` or ``-``; no difference is below 0.
        b: the second number.
    """

    a: int
    sign: str
    b: int

    @property
    def id(self) -> str:
        """Names it in all languages."""
        return f"{self.a}{self.sign}{self.b}"

    @property
    def value(self) -> int:
        """What comes out."""
        return self.a + self.b if self.sign == "+" else self.a - self.b

    def question(self, code: str) -> str:
        """How it is asked for in a language, up to where the answer begins."""
        return f'"{WORDING[code][self.sign].format(a=self.a, b=self.b)}" = "'


@cache
def _sums(skill: str, *, held_out: bool) -> tuple[Sum, ...]:
    numbers, signs, added = range(SKILLS[skill].largest + 1), SKILLS[skill].signs, SKILLS[skill].added
    second = numbers if added is None else range(added + 1)
    both = [Sum(a, "+", b) for a in numbers for b in second]
    both += [Sum(a, "-", b) for a in numbers for b in numbers if b <= a and "-" in signs]
    return tuple(one for one in both if (bucket("sums", one.id, count=_HELD_OUT_EVERY) == 0) == held_out)


def learnt(skill: str, number: int | None = None, *, seed: int = 0) -> list[Sum]:
    """Some of those that may be trained on, as the seed draws them, fewer being part of more; all of them for None."""
    return shuffled(list(_sums(skill, held_out=False)), "sums", "learnt", seed)[:number]


def held_out(skill: str) -> list[Sum]:
    """Those that are asked afterwards only."""
    sums, asked = list(_sums(skill, held_out=True)), SKILLS[skill].asked
    return sums if asked is None else shuffled(sums, "sums", "asked")[:asked]


def examples(
    sums: Sequence[Sum], code: str, *, answers: Sequence[int] | None = None
) -> list[TrainingExample]:
    """Sums in a language, with their answers, or with others in their place."""
    values = [one.value for one in sums] if answers is None else answers
    return [
        TrainingExample(one.id, code, one.question(code), f'{value}"', "sums")
        for one, value in zip(sums, values, strict=True)
    ]


def exchanged(sums: Sequence[Sum], *, seed: int) -> list[int]:
    """The sums' answers in another order, each as often as before."""
    values = [one.value for one in sums]
    generator("sums", "exchanged", seed).shuffle(values)
    return values
