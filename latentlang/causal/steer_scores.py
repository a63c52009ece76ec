"""What a steered answer is worth: is it in the wanted language, does it keep its content, and both at once.

A word's language is that of the words it is one of, byte by byte; only what is no word of the task is identified by its
script, and stays undecided where that is not enough. A text's language is identified sentence by sentence and, inside a
sentence, script by script. All scores lie in [0, 1].
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from latentlang.answers import closing
from latentlang.language_id import LanguageIdentifier, letters_by_script
from latentlang.tasks import Prompt, Task

# Scripts whose words stand together without spaces.
_UNSPACED = {"Hani", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"}
_ORDER, _BETA = 6, 2.0

# Word to language to the labels that it is an answer of.
_Holders = dict[str, dict[str, set[str]]]

#: How an answer's language was decided, beside the reasons of `language_id.REASONS`.
ANSWER_SET, SHARED, PARTS = "answer-set", "shared", "parts"


@dataclass(frozen=True)
class SteerScore:
    """The scores of one answer.

    Attributes:
        language: share of it that is in the wanted language.
        content: how much of what it should say it says.
        decided: how its language was decided (a code).
    """

    language: float
    content: float
    decided: str

    @property
    def score(self) -> float:
        """The harmonic mean of the two: as large as both are, and 0 where one is."""
        total = self.language + self.content
        return 2 * self.language * self.content / total if total else 0.0


class WordScores:
    """Scores of answers that are words of a task.

    Args:
        task: whose answers count.
        wanted: code of the wanted language.
        asked: code of the language that the prompt asks for.
        identifier: for what is no word of the task.
    """

    def __init__(self, task: Task, *, wanted: str, asked: str, identifier: LanguageIdentifier) -> None:
        self._wanted, self._asked, self._identifier = wanted, asked, identifier
        codes = dict.fromkeys(filter(None, [wanted, asked, task.given(asked), *task.languages]))
        # as written first, so that case tells languages apart where it does (Hand, hand); then in any case, as the
        # assistant of a chat begins its answer with a capital
        self._tables: list[tuple[Callable[[str], str], _Holders]] = [(str, {}), (str.casefold, {})]
        for code in codes:
            for label, words in task.answers(code).items():
                for word in words:
                    for folded, holders in self._tables:
                        holders.setdefault(folded(_composed(word)), {}).setdefault(code, set()).add(label)

    def score(self, written: str, prompt: Prompt) -> SteerScore:
        """Score what was written after a prompt that asks for the word of its label."""
        answer, closed = answer_of(written, prompt.cue)
        by_language = self._holders(answer, closed=closed)
        content = float(any(prompt.label in labels for labels in by_language.values()))
        if not by_language:
            identified = self._identifier.identify(answer)
            return SteerScore(float(identified.language == self._wanted), content, identified.reason)
        if self._wanted in by_language and self._asked in by_language:
            return SteerScore(0.0, content, SHARED)
        return SteerScore(float(self._wanted in by_language), content, ANSWER_SET)

    def _holders(self, answer: str, *, closed: bool) -> Mapping[str, set[str]]:
        """Language to the labels of the word that an answer is, or where it was not closed begins with; the longest."""
        for folded, holders in self._tables:
            written = folded(answer)
            if written in holders:
                return holders[written]
            begun = [] if closed else [word for word in holders if _begins_with(written, word)]
            if begun:
                return holders[max(begun, key=len)]
        return {}


def answer_of(written: str, cue: str) -> tuple[str, bool]:
    """The answer in what was written, and whether a quotation mark closed it.

    Args:
        written: everything.
        cue: end of the prompt, which may have opened a quotation.
    """
    line = _composed(written).lstrip().split("\n")[0]
    end = closing(cue)
    answer, mark, _rest = line.partition(end) if end else (line, "", "")
    return answer.strip(), bool(mark)


def _begins_with(answer: str, word: str) -> bool:
    if not answer.startswith(word):
        return False
    rest = answer[len(word) :]
    scripts = letters_by_script(word[-1])
    return not rest or unicodedata.category(rest[0])[0] not in "LMN" or not _UNSPACED.isdisjoint(scripts)


def score_text(written: str, reference: str, *, wanted: str, identifier: LanguageIdentifier) -> SteerScore:
    """Scores of a text: the share of it in the wanted language, and its chrF against a reference.

    Args:
        written: the text.
        reference: what it should say, in the wanted language.
        wanted: code of the language.
        identifier: of languages.
    """
    shares = identifier.shares(written)
    language = shares.get(wanted, 0.0)
    return SteerScore(language, chrf(written, reference), PARTS if shares else "no-letters")


def chrf(text: str, reference: str) -> float:
    """Character n-gram F-score (Popovic 2015): orders 1 to 6, beta 2, white space left out, of one text.

    Orders that either of the two is too short for do not count.
    """
    precisions, recalls = [], []
    for order in range(1, _ORDER + 1):
        given, wanted = (_grams("".join(part.split()), order) for part in (text, reference))
        if not given or not wanted:
            continue
        common = (given & wanted).total()
        precisions.append(common / given.total())
        recalls.append(common / wanted.total())
    if not precisions:
        return 0.0
    precision, recall = _mean(precisions), _mean(recalls)
    weighed = _BETA**2 * precision + recall
    return (1 + _BETA**2) * precision * recall / weighed if weighed else 0.0


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[at : at + order] for at in range(len(text) - order + 1))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
