"""A mixture of instruction data: parts with shares or counts, languages drawn by a rule, nested by size.

A mixture of one seed is part of every larger one of the same seed (2,000 in 4,000 in 8,000), so that a curve over sizes
differs in size alone. That takes an allocation that never gives a part less when the total grows: Webster's divisor
method (Balinski and Young 1982), not rounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.dialogues import Dialogue, by_language
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.text import counted, listed

if TYPE_CHECKING:
    import pandas as pd

Sampling = Literal["uniform", "proportional", "temperature"]
#: How the languages of a part are drawn: as many of each; as many as there are; or as there are to the power of 1/T.
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
#: Temperature at which languages are drawn by default where that is asked for (Arivazhagan et al. 2019).
TEMPERATURE = 5.0
# Shares that are typed, as 0.333, add up to one but for this.
_ROUNDING = 5e-3


@dataclass(frozen=True)
class MixturePart:
    """A part of a mixture.

    Attributes:
        name: for reports and errors.
        dialogues: what it is drawn from.
        share: of the total; None where `count` is given.
        count: number of dialogues; None where `share` is given.
        languages: codes of those that are drawn; all that are there where it is empty.
        sampling: how languages are drawn.
        temperature: with ``temperature``: 1 is proportional, and the higher the more uniform.
    """

    name: str
    dialogues: Sequence[Dialogue]
    share: float | None = None
    count: int | None = None
    languages: tuple[str, ...] = ()
    sampling: Sampling = "proportional"
    temperature: float = TEMPERATURE

    def by_language(self) -> dict[str, list[Dialogue]]:
        """The dialogues of each language that is wanted.

        Raises:
            InputError: a language has none.
        """
        groups = by_language(self.dialogues)
        wanted = tuple(language(code).code for code in self.languages) or tuple(groups)
        for code in wanted:
            if code not in groups:
                has = ", ".join(groups) or "none"
                raise InputError(
                    f"part {self.name!r} has nothing in {language(code).name}; it has {has}: leave the language out, "
                    "or give data in it"
                )
        return {code: groups[code] for code in wanted}

    def weights(self) -> dict[str, float]:
        """What the languages are drawn by.

        Raises:
            InputError: a language has nothing.
        """
        sizes = {code: len(group) for code, group in self.by_language().items()}
        if self.sampling == "uniform":
            return dict.fromkeys(sizes, 1.0)
        power = 1.0 if self.sampling == "proportional" else 1.0 / self.temperature
        return {code: size**power for code, size in sizes.items()}


@dataclass(frozen=True)
class Mixture:
    """Parts, how much of each, and the seed that draws them.

    Attributes:
        parts: each with a share, or each with a count.
        total: number of dialogues; with counts their sum, which need not be said.
        seed: draws the dialogues; the same seed gives nested mixtures.
    """

    parts: tuple[MixturePart, ...]
    total: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self)

    def sizes(self) -> dict[str, int]:
        """Name of each part to the number of dialogues that is drawn from it."""
        if self.parts[0].count is not None:
            return {part.name: part.count or 0 for part in self.parts}
        assert self.total is not None
        return allocate(self.total, {part.name: part.share or 0.0 for part in self.parts})


@dataclass(frozen=True)
class Mixed:
    """Dialogues that were drawn for a mixture.

    Attributes:
        mixture: which.
        dialogues: part by part, language by language.
        parts: name of the part of each dialogue.
    """

    mixture: Mixture
    dialogues: tuple[Dialogue, ...]
    parts: tuple[str, ...] = field(default=())

    def table(self) -> pd.DataFrame:
        """One row per part and language: ``part, language, available, drawn, share``."""
        import pandas as pd

        drawn = Counter(zip(self.parts, (d.language for d in self.dialogues), strict=True))
        rows = [
            (
                part.name,
                code,
                len(group),
                drawn[part.name, code],
                drawn[part.name, code] / len(self.dialogues),
            )
            for part in self.mixture.parts
            for code, group in part.by_language().items()
        ]
        return pd.DataFrame(rows, columns=["part", "language", "available", "drawn", "share"])


@checked_call
def mix(mixture: Mixture) -> Mixed:
    """Draw a mixture.

    Which dialogues are drawn depends on the seed and the groups alone: the same items in every language, and of a
    smaller total a part of what a larger one draws. None is drawn twice.

    Raises:
        InputError: a part or a language has fewer than are wanted, or two parts give the same dialogue.
    """
    drawn: list[tuple[str, Dialogue]] = []
    for part in mixture.parts:
        size = mixture.sizes()[part.name]
        groups = part.by_language()
        for code, number in allocate(size, part.weights()).items():
            if number > len(groups[code]):
                raise InputError(
                    f"part {part.name!r} wants {counted(number, 'dialogue')} in {language(code).name} and has "
                    f"{len(groups[code]):,}; lower the total or the share, give more, or draw the languages otherwise "
                    f"(sampling: {', '.join(SAMPLINGS)})"
                )
            drawn += ((part.name, dialogue) for dialogue in _ordered(groups[code], mixture.seed)[:number])
    _check_once(drawn)
    return Mixed(mixture, tuple(dialogue for _, dialogue in drawn), tuple(name for name, _ in drawn))


@checked_call
def nested(dialogues: Sequence[Dialogue], sizes: Sequence[int], *, seed: int = 0) -> Iterator[list[Dialogue]]:
    """Subsets of some sizes, each part of the larger ones: so many dialogues of each language.

    Args:
        dialogues: what they are taken from.
        sizes: dialogues per language of each subset, in any order.
        seed: draws them.

    Raises:
        InputError: a language has fewer than the largest size.
    """
    groups = by_language(dialogues)
    for size in sizes:
        check_count("size", size, least=0)
        for code, group in groups.items():
            if size > len(group):
                raise InputError(
                    f"a subset of {size:,} is wanted, and {language(code).name} has {counted(len(group), 'dialogue')}"
                )
    ordered = {code: _ordered(group, seed) for code, group in groups.items()}
    return ([one for group in ordered.values() for one in group[:size]] for size in sizes)


def allocate(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """A total shared out by weights, by Webster's method: a larger total gives no part less.

    Args:
        total: what is shared out.
        weights: not negative; of what has none nothing is given.
    """
    positive = {name: weight for name, weight in weights.items() if weight > 0}
    whole = sum(positive.values())
    # What rounding gives of a little less is Webster's allocation of its own sum: only the rest is given singly.
    less = max(0, total - len(positive))
    given = {name: max(0, math.ceil(less * weight / whole - 0.5)) for name, weight in positive.items()}
    for _ in range(total - sum(given.values())):
        name = max(positive, key=lambda one: positive[one] / (2 * given[one] + 1))
        given[name] += 1
    return {name: given.get(name, 0) for name in weights}


def _ordered(dialogues: Sequence[Dialogue], seed: int) -> list[Dialogue]:
    return sorted(
        dialogues, key=lambda one: (generator("instructions", "choice", seed, one.group).random(), one.id)
    )


def _check(mixture: Mixture) -> None:
    """Refuse what makes no sense.

    Raises:
        InputError: naming it.
    """
    parts = mixture.parts
    if not parts:
        raise InputError("a mixture needs at least one part")
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two parts of the mixture are called {name!r}; give each a name of its own")
    for part in parts:
        _check_part(part)
    check_count("seed", mixture.seed, least=0)
    by_share = [part.share is not None for part in parts]
    if any(by_share) and not all(by_share):
        odd = parts[by_share.index(not by_share[0])].name
        raise InputError(
            f"part {odd!r} is given otherwise than the first: say a share of each part, or a count"
        )
    if not by_share[0]:
        total = sum(part.count or 0 for part in parts)
        if mixture.total is not None and mixture.total != total:
            raise InputError(
                f"the counts of the parts add up to {total:,}, and the total is {mixture.total:,}; leave the total out"
            )
        return
    if mixture.total is None:
        raise InputError("shares are of a total; say how many dialogues there are altogether (total)")
    check_count("total", mixture.total, least=1)
    whole = sum(part.share or 0.0 for part in parts)
    if abs(whole - 1) > _ROUNDING:
        each = listed([f"{part.name} {part.share:g}" for part in parts])
        raise InputError(f"the shares of the parts add up to {whole:g}, not 1: {each}")


def _check_part(part: MixturePart) -> None:
    if part.sampling not in SAMPLINGS:
        raise unknown("sampling of languages", part.sampling, SAMPLINGS)
    if (part.share is None) == (part.count is None):
        raise InputError(f"part {part.name!r} needs a share or a count, and one of them alone")
    if part.share is not None and not 0 < part.share <= 1:
        raise InputError(
            f"the share of part {part.name!r} must be above 0 and at most 1, not {shown(part.share)}"
        )
    check_count(f"the count of part {part.name!r}", part.count, least=1)
    if not part.dialogues:
        raise InputError(f"part {part.name!r} has no dialogues; name its files")
    if not part.temperature >= 1:
        raise InputError(
            f"the temperature of part {part.name!r} must be at least 1, not {part.temperature:g}"
        )
    part.by_language()


def _check_once(drawn: Sequence[tuple[str, Dialogue]]) -> None:
    part_of: dict[tuple[str, str, str, str], str] = {}
    for name, one in drawn:
        key = (one.language, one.answer_language, one.origin, one.id)
        if key in part_of:
            raise InputError(
                f"the dialogue {shown(one.id, most=60)} ({one.language}) is in part {part_of[key]!r} and in part "
                f"{name!r}; let the parts differ in their files or their languages, or name their origin"
            )
        part_of[key] = name
