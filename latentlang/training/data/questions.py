"""Question translations: the pairs a model is aligned with, and how items become training and validation pairs.

The format is that of the reference paper's files: the question with its cue in one language, an instruction to
translate, and the same question with its cue in the other language. There are no answers anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.training.data.base import TrainingData, digest_of, held_share
from latentlang.training.data.question_settings import QuestionSettings, question_settings

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.training.data.base import RecipeParts

#: What stands between a question and its translation in the published files.
INSTRUCTION = "\nTranslate the input from {source} to {target}:\n"


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """A question with its cue in two languages.

    Attributes:
        item: names the item; the same in every language pair.
        source: code of the language translated from.
        target: code of the language translated into.
        question: question and cue in the source language.
        translation: question and cue in the target language.
    """

    item: str
    source: str
    target: str
    question: str
    translation: str

    @property
    def id(self) -> str:
        """The item."""
        return self.item

    @property
    def language(self) -> str:
        """The language that is written: the target."""
        return self.target

    @property
    def group(self) -> str:
        """What it is counted under: the language pair, ``zh-en``."""
        return f"{self.source}-{self.target}"

    @property
    def input(self) -> str:
        r"""What the model is given: ``QUESTION-WITH-CUE\nTranslate the input from Chinese to English:\n``."""
        names = {"source": language(self.source).name, "target": language(self.target).name}
        return self.question + INSTRUCTION.format(**names)

    @property
    def output(self) -> str:
        """What it is trained to write."""
        return self.translation


@dataclass(frozen=True)
class AlignmentData(TrainingData[QuestionPair]):
    """Question translations, pair by pair in the order of the recipe's languages."""

    def digest(self) -> str:
        """Twelve hex digits that change with any text, language, item or order of the pairs."""
        return digest_of(
            [
                [(pair.item, pair.source, pair.target, pair.question, pair.translation) for pair in part]
                for part in (self.train, self.validation)
            ]
        )

    def table(self) -> pd.DataFrame:
        """One row per pair: ``split`` (train or validation), ``source, target, item, input, output``."""
        import pandas as pd

        rows = [
            (split, pair.source, pair.target, pair.item, pair.input, pair.output)
            for split, part in (("train", self.train), ("validation", self.validation))
            for pair in part
        ]
        return pd.DataFrame(rows, columns=["split", "source", "target", "item", "input", "output"])


def parallel_pairs(
    texts: Mapping[str, Mapping[str, str]], *, sources: Sequence[str], target: str
) -> list[QuestionPair]:
    """Pairs of parallel texts.

    Args:
        texts: language code to item to its question with cue.
        sources: languages translated from.
        target: language translated into.
    """
    into = texts[target]
    return [
        QuestionPair(item, source, target, question, into[item])
        for source in sources
        for item, question in texts[source].items()
        if item in into
    ]


def choose(pairs: Iterable[QuestionPair], recipe: RecipeParts, *, notes: Sequence[str] = ()) -> AlignmentData:
    """Choose as many pairs as a recipe wants, set some items aside for validation, and permute where it says so.

    The choice depends on the seed and the items' names alone, so that adding a language leaves the others' items as
    they are (``mixing: parallel``). Validation goes by translations: items with the same one are on the same side.

    Args:
        pairs: all there are.
        recipe: what is wanted.
        notes: what is known about the pairs already.

    Raises:
        InputError: a language has no pair, or there are too few to set any aside.
    """
    data, schedule = question_settings(recipe), recipe.schedule
    all_notes = list(notes)
    by_source: dict[str, list[QuestionPair]] = {source: [] for source in data.sources}
    for pair in pairs:
        if pair.target == data.target and pair.source in by_source:
            by_source[pair.source].append(pair)
    for source, of_source in by_source.items():
        if not of_source:
            raise InputError(
                f"recipe {recipe.name!r} translates from {language(source).name} into "
                f"{language(data.target).name}, and the data have no such pair"
            )
    chosen: list[QuestionPair] = []
    for number, of_source in enumerate(by_source.values()):
        ordered = sorted(_once_each(of_source), key=lambda pair: _draw("choice", schedule.seed, pair.item))
        if data.mixing == "disjoint":
            # By name, not by rank: an item that one language lacks must not shift the others'.
            share = len(data.sources)
            ordered = [p for p in ordered if int(share * _draw("mix", schedule.seed, p.item)) == number]
        chosen += ordered[: data.per_pair]
        all_notes += _too_few(data, ordered)
    held = _held_out(chosen, held_share(schedule.validation, len(chosen)), schedule.seed)
    train = [pair for pair in chosen if pair.translation not in held]
    validation = [pair for pair in chosen if pair.translation in held]
    if schedule.validation and not (train and validation):
        raise InputError(
            f"recipe {recipe.name!r}: {len(chosen)} pairs are too few to set some aside; give more, or validation: 0"
        )
    if data.wrong_pairs:
        train, validation = _wrong(train, schedule.seed), _wrong(validation, schedule.seed)
        all_notes.append("wrong pairs: every question has the translation of another item (negative control)")
    return AlignmentData(tuple(train), tuple(validation), tuple(all_notes))


def _draw(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return generator("alignment", *key).random()


def _once_each(pairs: Iterable[QuestionPair]) -> list[QuestionPair]:
    """Without the pairs that say the same as an earlier one."""
    return list({(pair.question, pair.translation): pair for pair in reversed(list(pairs))}.values())[::-1]


def _too_few(data: QuestionSettings, pairs: Sequence[QuestionPair]) -> list[str]:
    if data.per_pair is None or len(pairs) >= data.per_pair:
        return []
    name = f"{pairs[0].source}-{pairs[0].target}" if pairs else "a pair"
    return [f"{name}: {len(pairs):,} translations, fewer than the {data.per_pair:,} asked for"]


def _held_out(pairs: Sequence[QuestionPair], share: float, seed: int) -> frozenset[str]:
    """The translations set aside: a share of all, at least one where any is wanted."""
    if not share:
        return frozenset()
    texts = sorted({pair.translation for pair in pairs}, key=lambda text: _draw("validation", seed, text))
    return frozenset(texts[: max(1, round(share * len(texts)))])


def _wrong(pairs: Sequence[QuestionPair], seed: int) -> list[QuestionPair]:
    """The same questions and the same translations, put together wrongly within each language pair.

    The items are put in a circle in random order, drawn for each source language anew, and each gets the translation
    of the next one; none gets its own.

    Raises:
        InputError: a language pair has one translation only.
    """
    changed: dict[int, QuestionPair] = {}
    for source in dict.fromkeys(pair.source for pair in pairs):
        rows = [row for row, pair in enumerate(pairs) if pair.source == source]
        texts = sorted(
            {pairs[row].translation for row in rows}, key=lambda t: _draw("wrong", seed, source, t)
        )
        if len(texts) < 2:
            raise InputError(
                f"wrong_pairs needs at least two different translations from {source!r} to exchange"
            )
        following = dict(zip(texts, [*texts[1:], texts[0]], strict=True))
        for row in rows:
            changed[row] = replace(pairs[row], translation=following[pairs[row].translation])
    return [changed[row] for row in range(len(pairs))]
