"""Which dialogue another was translated from, and which dialogues say the same: by their group, or their number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.check_records import TextPair
from latentlang.instructions.dialogues import Dialogue
from latentlang.text import counted

#: What the same items have in common: their group (their id, where nothing else is said), or the number that ends it.
KEYS = ("group", "number")
_NUMBER = re.compile(r"(\d+)$")


def item_key(dialogue: Dialogue, by: str = "group") -> str:
    """What a dialogue has in common with those that say the same.

    Args:
        dialogue: whose.
        by: ``group``; or ``number``, that at the end of its group: 17 of ``aya_eng_google_translated_to_spa_17``.

    Raises:
        InputError: no such key, or a group that ends with no number.
    """
    if by not in KEYS:
        raise unknown("way of pairing", by, KEYS)
    if by == "group":
        return dialogue.group
    match = _NUMBER.search(dialogue.group)
    if match is None:
        raise InputError(
            f"{shown(dialogue.group, most=60)} ({dialogue.language}) ends with no number by which it could be paired; "
            "pair by group"
        )
    return match[1]


@dataclass(frozen=True)
class Paired:
    """Dialogues beside what they were translated from.

    Attributes:
        sources: of each dialogue, in their order; None where there is none.
        unpaired: how many have none.
    """

    sources: tuple[Dialogue | None, ...]
    unpaired: int


def pair_up(dialogues: Sequence[Dialogue], sources: Sequence[Dialogue], *, by: str = "group") -> Paired:
    """Find what each dialogue was translated from.

    Args:
        dialogues: translations.
        sources: what they were translated from, in one language.
        by: see `item_key`.

    Raises:
        InputError: two sources have one key, or no dialogue has a source.
    """
    by_key: dict[str, Dialogue] = {}
    for source in sources:
        key = item_key(source, by)
        if by_key.setdefault(key, source) is not source:
            raise InputError(
                f"two sources have the {by} {shown(key, most=60)} ({by_key[key].id!r} and {source.id!r}); give those "
                "of one language and origin, or pair by another key"
            )
    found = tuple(by_key.get(item_key(dialogue, by)) for dialogue in dialogues)
    unpaired = sum(source is None for source in found)
    if dialogues and unpaired == len(dialogues):
        raise InputError(
            f"none of the {counted(len(dialogues), 'dialogue')} has a source: {shown(dialogues[0].group, most=60)} "
            f"is none of {shown(sources[0].group, most=60)}... by {by}; pair by another key ({', '.join(KEYS)})"
            if sources
            else "no sources were given"
        )
    return Paired(found, unpaired)


def texts_of(dialogue: Dialogue) -> dict[str, str]:
    """The texts of a dialogue by their places: ``system``, ``instruction``, ``input``, ``answer``, then by number."""
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for turn in dialogue.turns:
        number = numbers[turn.role] = numbers.get(turn.role, 0) + 1
        first = {"user": "instruction", "assistant": "answer", "system": "system"}[turn.role]
        texts[first if number == 1 else f"{turn.role} {number}"] = turn.text
    if dialogue.input:
        texts["input"] = dialogue.input
    return texts


def is_answer(place: str) -> bool:
    """Whether a text of this place is said by the assistant."""
    return place == "answer" or place.startswith("assistant")


def pairs_of(
    dialogue: Dialogue, source: Dialogue | None, *, answers_translated: bool = True
) -> Iterator[TextPair]:
    """The texts of a dialogue beside those of its source.

    Args:
        dialogue: whose.
        source: what it was translated from; None for none.
        answers_translated: whether its answers were translated too; False where they were written anew.
    """
    texts = texts_of(dialogue)
    before: Mapping[str, str] = {} if source is None else texts_of(source)
    for place in dict.fromkeys([*texts, *before]):
        answer = is_answer(place)
        if answer and not answers_translated and place not in texts:
            continue
        known = source is not None and place in before and (answers_translated or not answer)
        yield TextPair(
            text=texts.get(place, ""),
            language=dialogue.answer_language if answer else dialogue.language,
            place=place,
            source=before[place] if known else None,
            source_language=_language(source, answer=answer) if known else "",
        )


def _language(dialogue: Dialogue | None, *, answer: bool) -> str:
    if dialogue is None:
        return ""
    return dialogue.answer_language if answer else dialogue.language
