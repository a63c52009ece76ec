"""Arms of a comparison of training data: the same number of dialogues, parallel where they can be, matched where asked.

Arms that say the same (two engines' translations of one set, a round trip and what it began with) form a *family*: they
name it by `parallel_to`, and what is taken of one is taken of all, item by item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.duplicates import question_of
from latentlang.instructions.instruction_wordings import carries_a_text
from latentlang.instructions.pairing import item_key
from latentlang.instructions.text_parts import prose
from latentlang.language_id import Backend, LanguageIdentifier, py3langid_backend
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import pandas as pd

Origin = Literal["native", "translated", "round-trip"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
#: Lengths of answers are matched within so many quantiles of all of them.
QUANTILES = 20
#: An arm is in another language than it is named when so much of what could be told is.
MOST_OTHER = 0.5


@dataclass(frozen=True)
class Arm:
    """One of the sets that are compared.

    Attributes:
        name: what it is called (``google``, ``rtt-cohere``).
        language: code of the language that it is in.
        dialogues: all that it has.
        origin: ``native``, ``translated`` or ``round-trip``.
        engine: what translated it; empty for none.
        parallel_to: what its items are translations of: the same for arms that are parallel; by default its own name.
    """

    name: str
    language: str
    dialogues: Sequence[Dialogue]
    origin: Origin = "native"
    engine: str = ""
    parallel_to: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "language", language(self.language).code)
        object.__setattr__(self, "parallel_to", self.parallel_to or self.name)
        if self.origin not in ORIGINS:
            raise unknown("origin of an arm", self.origin, ORIGINS)


@dataclass(frozen=True)
class Arms:
    """Arms of equal size.

    Attributes:
        arms: in the order in which they were given; their dialogues are in the order of their items.
        items: of each family the items that were taken.
        notes: what was left out, and why, a sentence each.
        before: the arms as they were given.
    """

    arms: tuple[Arm, ...]
    items: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    before: tuple[Arm, ...] = field(default=(), repr=False)

    def table(self) -> pd.DataFrame:
        """One row per arm and state (``given``, ``taken``): sizes, and quantiles of the answers' characters.

        Columns ``arm, language, origin, engine, parallel_to, state, dialogues, length_low, length_median, length_high,
        length_mean``; the low and high length are those of the 10% shortest and longest.
        """
        import numpy as np
        import pandas as pd

        rows = []
        for state, arms in (("given", self.before), ("taken", self.arms)):
            for arm in arms:
                lengths = np.array([len(d.output) for d in arm.dialogues], dtype=float)
                low, middle, high = np.quantile(lengths, [0.1, 0.5, 0.9])
                rows.append({
                    "arm": arm.name, "language": arm.language, "origin": arm.origin, "engine": arm.engine,
                    "parallel_to": arm.parallel_to, "state": state, "dialogues": len(arm.dialogues),
                    "length_low": low, "length_median": middle, "length_high": high, "length_mean": lengths.mean(),
                })  # fmt: skip
        return pd.DataFrame(rows)


@checked_call
def build_arms(
    arms: Sequence[Arm],
    *,
    items: int | None = None,
    seed: int = 0,
    pair_by: str = "group",
    distinct: bool = False,
    match_lengths: bool = False,
    check_language: bool = True,
    backend: Backend | None = None,
) -> Arms:
    """Make arms of equal size, parallel by item within a family, and matched in answer length if asked.

    Args:
        arms: in one language; those of a family must have items in common.
        items: dialogues of each arm, drawn by the seed; None for all, where all arms have as many.
        seed: draws the items; of fewer items a part of those of more.
        pair_by: what the same items have in common; see `latentlang.instructions.pairing.item_key`.
        distinct: leave out items that ask the same as an earlier one in any arm of their family.
        match_lengths: take the items of each family so that the answers' lengths are spread alike: within each
            twentieth of all lengths as many of every family. Lengths are characters, the mean over a family's arms.
        check_language: refuse an arm that is mostly in another language than it is named.
        backend: of the identifier; py3langid by default.

    Raises:
        InputError: arms of unequal size without `items`, ids that do not pair, an arm in another language, or fewer
            items than asked for.
    """
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    _check_names(arms)
    if check_language:
        _check_languages(arms, backend)
    notes: list[str] = []
    families = {
        name: _family(
            name, [arm for arm in arms if arm.parallel_to == name], pair_by, notes, distinct=distinct
        )
        for name in dict.fromkeys(arm.parallel_to for arm in arms)
    }
    if match_lengths:
        chosen = _matched(families, seed)
        least = min(map(len, chosen.values()))
        notes.append(
            f"answers are matched in length: {counted(least, 'item')} of each family of arms, "
            f"of {listed([f'{len(family.items):,} ({name})' for name, family in families.items()])}"
        )
    else:
        chosen = {name: _order(family.items, seed) for name, family in families.items()}
    sizes = {name: len(names) for name, names in chosen.items()}
    if items is None and len(set(sizes.values())) > 1:
        each = listed([f"{counted(size, 'item')} in {name}" for name, size in sizes.items()])
        raise InputError(
            f"the arms are of unequal size: {each}; take as many of each with items={min(sizes.values())} "
            f"(--items {min(sizes.values())})"
        )
    if items is not None and items > min(sizes.values()):
        short = min(sizes, key=lambda name: sizes[name])
        raise InputError(
            f"{items:,} items of each arm are wanted, and {short!r} has {sizes[short]:,}; ask for no more"
        )
    taken = {name: tuple(names[:items]) for name, names in chosen.items()}
    built = tuple(
        replace(
            arm, dialogues=[families[arm.parallel_to].of[arm.name][item] for item in taken[arm.parallel_to]]
        )
        for arm in arms
    )
    return Arms(built, taken, tuple(notes), tuple(arms))


@dataclass(frozen=True)
class _Family:
    """Arms that say the same: arm to item to dialogue, the items that all have, and each one's length."""

    of: Mapping[str, Mapping[str, Dialogue]]
    items: tuple[str, ...]

    def length(self, item: str) -> float:
        """Characters of the answers, the mean over the arms."""
        return sum(len(dialogues[item].output) for dialogues in self.of.values()) / len(self.of)


def _family(name: str, arms: Sequence[Arm], by: str, notes: list[str], *, distinct: bool) -> _Family:
    of: dict[str, dict[str, Dialogue]] = {}
    for arm in arms:
        of[arm.name] = {}
        for dialogue in arm.dialogues:
            key = item_key(dialogue, by)
            if of[arm.name].setdefault(key, dialogue) is not dialogue:
                raise InputError(
                    f"arm {arm.name!r} has two dialogues of the item {key!r} by {by}; pair otherwise, or give each "
                    "item once"
                )
    common = set.intersection(*(set(dialogues) for dialogues in of.values()))
    if not common:
        first, second = ((n, next(iter(d), "none")) for n, d in list(of.items())[:2])
        raise InputError(
            f"the arms {first[0]!r} and {second[0]!r} should be parallel ({name}), and no item is in both: "
            f"{first[1]!r} and {second[1]!r} by {by}; pair by another key, or leave parallel_to out"
        )
    for arm in arms:
        if missing := len(of[arm.name]) - len(common):
            notes.append(
                f"{counted(missing, 'item')} of {arm.name} left out: another arm of {name} does not have them"
            )
    first_arm = of[arms[0].name]
    items = [item for item in first_arm if item in common]
    unanswered = {item for item in items if not all(d[item].is_answered for d in of.values())}
    if unanswered:
        notes.append(f"{counted(len(unanswered), 'item')} of {name} left out: an arm has no answer")
    items = [item for item in items if item not in unanswered]
    if distinct:
        repeated = _repeated(items, of)
        if repeated:
            notes.append(
                f"{counted(len(repeated), 'item')} of {name} left out: they ask the same as an earlier one"
            )
        items = [item for item in items if item not in repeated]
    return _Family(of, tuple(items))


def _repeated(items: Sequence[str], of: Mapping[str, Mapping[str, Dialogue]]) -> set[str]:
    repeated: set[str] = set()
    for dialogues in of.values():
        seen: set[str] = set()
        for item in items:
            asked = question_of(dialogues[item])
            if asked in seen:
                repeated.add(item)
            seen.add(asked)
    return repeated


def _order(items: Sequence[str], seed: int) -> list[str]:
    return sorted(items, key=lambda item: generator("instructions", "arms", seed, item).random())


def _matched(families: Mapping[str, _Family], seed: int) -> dict[str, list[str]]:
    """Of each family as many items within each quantile of all lengths as the family that has fewest there.

    Within a quantile the items of that family are drawn, and of the others those that are closest to each in length:
    otherwise a family of longer answers would be a little longer in every quantile. They are dealt out quantile by
    quantile, so that the first so many are spread alike too.
    """
    import numpy as np

    lengths = {
        name: {item: family.length(item) for item in family.items} for name, family in families.items()
    }
    every = np.concatenate([list(own.values()) for own in lengths.values()])
    edges = np.quantile(every, np.linspace(0, 1, QUANTILES + 1)[1:-1])
    bins: dict[str, list[list[str]]] = {}
    for name, own in lengths.items():
        places = np.searchsorted(edges, list(own.values()), side="right")
        bins[name] = [
            _order([item for item, place in zip(own, places, strict=True) if place == at], seed)
            for at in range(QUANTILES)
        ]
    least = [min(len(of_bins[at]) for of_bins in bins.values()) for at in range(QUANTILES)]
    if not any(least):
        raise InputError("no two families have answers of like length: they cannot be matched")
    for at in range(QUANTILES):
        fewest = min(bins, key=lambda name: len(bins[name][at]))
        goals = [lengths[fewest][item] for item in bins[fewest][at]]
        for name, of_bins in bins.items():
            of_bins[at] = _closest(of_bins[at], lengths[name], goals)
    # the same quantiles in the same order for every family: each draw is one of the places that are left
    slots = [at for at, number in enumerate(least) for _ in range(number)]
    generator("instructions", "slots", seed).shuffle(slots)
    return {name: _dealt(of_bins, slots) for name, of_bins in bins.items()}


def _closest(items: Sequence[str], lengths: Mapping[str, float], goals: Sequence[float]) -> list[str]:
    """For each length the item that is closest to it of those that are left; of several the first."""
    left = list(items)
    chosen = []
    for goal in goals:
        chosen.append(min(left, key=lambda item: abs(lengths[item] - goal)))
        left.remove(chosen[-1])
    return chosen


def _dealt(bins: Sequence[Sequence[str]], slots: Sequence[int]) -> list[str]:
    taken = [0] * len(bins)
    dealt = []
    for at in slots:
        dealt.append(bins[at][taken[at]])
        taken[at] += 1
    return dealt


def _check_names(arms: Sequence[Arm]) -> None:
    names = [arm.name for arm in arms]
    if len(names) < 2:
        raise InputError("one arm is nothing to compare; give two or more")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two arms are called {name!r}; give each a name of its own")
    for arm in arms:
        if not arm.dialogues:
            raise InputError(f"arm {arm.name!r} has no dialogues")
    codes = dict.fromkeys(arm.language for arm in arms)
    if len(codes) > 1:
        raise InputError(
            f"the arms are in {listed([language(code).name for code in codes])}; arms of one comparison are in one "
            "language: build those of each apart"
        )


def _check_languages(arms: Sequence[Arm], backend: Backend | None) -> None:
    """Refuse an arm that is in another language than it is named.

    Raises:
        InputError: naming the language that most of it is in, and the share.
    """
    said = {d.answer_language for arm in arms for d in arm.dialogues}
    among = list(dict.fromkeys([*(arm.language for arm in arms), *sorted(said), "en"]))
    identifier = LanguageIdentifier(among, backend=backend or py3langid_backend())
    for arm in arms:
        told: dict[str, int] = {}
        for dialogue in arm.dialogues:
            asked = dialogue.instruction
            asked = "" if carries_a_text(asked, dialogue.language) else asked
            identified = identifier.identify(prose(f"{asked}\n{dialogue.output}")).language
            if identified is not None:
                told[identified] = told.get(identified, 0) + 1
        whole = sum(told.values())
        if whole and 1 - told.get(arm.language, 0) / whole > MOST_OTHER:
            most = max(told, key=lambda code: told[code])
            said_to_be, is_in = language(arm.language).name, language(most).name
            share = percent(round(told[most] / whole, 2))
            raise InputError(
                f"arm {arm.name!r} is said to be in {said_to_be}, and {share} of what could be told is in {is_in} "
                f"({identifier.name}); name its language, or give other files"
            )
