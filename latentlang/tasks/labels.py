"""What the closed tasks say in each language: labels, cues, answer words, and what was published instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from latentlang.errors import InputError
from latentlang.tasks.reviews import AGNOSTIC, LABELS, Answers, review_lexicon

Protocol = Literal["corrected", "as-published"]
PROTOCOLS: tuple[Protocol, ...] = ("corrected", "as-published")
ENGLISH = "en"


@dataclass(frozen=True)
class Kind:
    """A closed task, whatever its items.

    Attributes:
        name: short name, as at the command line.
        labels: the classes, in the order in which few-shot examples alternate.
        keys: fields of an item in the published JSON files.
        variables: how the published scripts name these fields in their prompts.
        shots: few-shot examples of the reference paper.
        agnostic: label to an answer that means nothing about the task, the same in all languages.
        stems: how published files of this task begin.
    """

    name: str
    labels: tuple[str, ...]
    keys: tuple[str, ...]
    variables: tuple[str, ...]
    shots: int
    agnostic: Mapping[str, str]
    stems: tuple[str, ...]


SENTIMENT = Kind(
    "sentiment", LABELS, ("input",), ("i",), 2, MappingProxyType(AGNOSTIC), ("emotion", "sentiment")
)
# The paper has task-agnostic answers for sentiment only (Table 6); a third animal is ours.
NLI = Kind(
    "nli",
    ("entailment", "neutral", "contradiction"),
    ("premise", "hypothesis"),
    ("p", "h"),
    6,
    MappingProxyType({"entailment": "ox", "neutral": "goat", "contradiction": "horse"}),
    ("snli", "xnli", "nli"),
)
PARAPHRASE = Kind(
    "paraphrase",
    ("same", "different"),
    ("sentence1", "sentence2"),
    ("s1", "s2"),
    4,
    MappingProxyType({"same": "ox", "different": "horse"}),
    ("paws", "pawsx", "paraphrase"),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (SENTIMENT, NLI, PARAPHRASE)})


@dataclass(frozen=True, slots=True)
class Wording:
    r"""How a question and its cue are written in a language.

    Attributes:
        before: what stands before each of the item's texts (``("Premise: ", "\nHypothesis: ")``).
        cue: what follows the question, up to the answer (``'\nAnswer: "'``).
    """

    before: tuple[str, ...]
    cue: str

    def question(self, texts: tuple[str, ...]) -> str:
        """The item's texts, each behind its name."""
        return "".join(name + text for name, text in zip(self.before, texts, strict=True))

    def example(self, texts: tuple[str, ...], answer: str) -> str:
        """A question with its answer, as it stands in a few-shot prefix."""
        return f'{self.question(texts)}{self.cue}{answer}"\n'


@cache
def _records() -> dict[str, dict[str, Any]]:
    text = files("latentlang.tasks").joinpath("data/labels.json").read_text(encoding="utf-8")
    records: dict[str, dict[str, Any]] = json.loads(text)
    return records


def languages_of(kind: Kind) -> tuple[str, ...]:
    """Codes of the languages that have a wording and answer words."""
    return tuple(review_lexicon() if kind is SENTIMENT else _records()[kind.name])


def wording(kind: Kind, language: str, *, protocol: Protocol = "corrected") -> Wording:
    """How a language asks; some published cues are mistranslations (Russian ``Приговор``: a court's sentence)."""
    if kind is SENTIMENT:
        return Wording(("",), f'\n{review_lexicon()[language]["cue"]}: "')
    record = _records()[kind.name][language]
    record = record["published"] if protocol == "as-published" else record
    first, *rest = record["fields"]
    return Wording((f"{first}: ", *(f"\n{name}: " for name in rest)), f'\n{record["cue"]}: "')


def words(kind: Kind, language: str) -> dict[str, str]:
    """Label to the language's own word for it."""
    by_label: dict[str, str]
    if kind is SENTIMENT:
        by_label = dict(review_lexicon()[language]["labels"])
    else:
        by_label = dict(_records()[kind.name][language]["answers"])
    return by_label


def published_words(kind: Kind, language: str) -> dict[str, str] | None:
    """Label to the word that the paper published for a language; None where it published none (paraphrase)."""
    if kind is SENTIMENT or language == ENGLISH:
        return words(kind, language)
    by_label: dict[str, str] | None = _records()[kind.name][language]["published"].get("answers")
    return None if by_label is None else dict(by_label)


def answer_words(kind: Kind, language: str, *, answers: Answers, protocol: Protocol) -> dict[str, str] | None:
    """Label to the answer of an answer mode; None where the paper published none (as-published only)."""
    if answers == "en":
        return words(kind, ENGLISH)
    if answers == "agnostic":
        return dict(kind.agnostic) if kind is SENTIMENT or protocol == "corrected" else None
    return published_words(kind, language) if protocol == "as-published" else words(kind, language)


def scorer_words(kind: Kind, language: str) -> dict[str, str]:
    """Label to the string that the published scorer compares an item's gold answer with.

    Sentiment and NLI: the language's published words. Paraphrase: the English words, in every language.
    """
    return published_words(kind, language) or words(kind, ENGLISH)


def gold_words(kind: Kind, language: str) -> dict[str, str]:
    """Every string that names a label in a language's files, in lower case, to the label.

    Our words, the published ones, English, and what two published NLI files say where their scorer expects another
    string: Japanese ``中性`` for ``中立``, Bengali ``ধারণ করে`` for ``এনটেইলমেন্ট``.
    """
    label_of: dict[str, str] = {}
    for by_label in (words(kind, language), published_words(kind, language) or {}, words(kind, ENGLISH)):
        label_of.update({word.casefold(): label for label, word in by_label.items()})
    extra = {} if kind is SENTIMENT else _records()[kind.name][language].get("published_gold", {})
    label_of.update({word.casefold(): label for label, strings in extra.items() for word in strings})
    return label_of


def check_protocol(protocol: str) -> None:
    """Refuse a protocol that does not exist.

    Raises:
        InputError: naming the two that do.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol must be {' or '.join(PROTOCOLS)}, not {protocol!r}")
