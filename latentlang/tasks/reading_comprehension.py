"""Reading comprehension with four answers to choose from: Belebele (Bandarkar et al. 2024), from the hub or a folder.

``task("reading", data="hub:belebele")``. A passage, a question and four answers named A to D; what is asked for is a
letter, the same in all languages, so that an accuracy can be compared while a lens has no language to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.seeding import shuffled
from latentlang.tasks.base import Prompt, Task, check_language, pick
from latentlang.tasks.files import PathLike
from latentlang.tasks.hub import PREFIX, find_place, load_part
from latentlang.tasks.labels import Protocol, check_protocol
from latentlang.tasks.registry import HubDataset

LETTERS = ("A", "B", "C", "D")
BELEBELE = HubDataset("belebele", "facebook/belebele", GROUPS["flores101"])
_CUE = '\nAnswer: "'
_COLUMNS = ("flores_passage", "question", *(f"mc_answer{n}" for n in range(1, 5)), "correct_answer_num")


class ReadingTask(Task):
    """Which of four answers does a passage give?

    The set has no part for few-shot examples: they are taken from its items, the same in every language, and are then
    no items. Passages are long; more than a few examples rarely fit.

    Attributes:
        origin: where the items come from; empty without any.
    """

    name = "reading"
    closed = True
    default_shots = 0
    next_step = "items: --data hub:belebele; words in any language: --task translation --data words.csv"

    def __init__(
        self, *, data: PathLike | None = None, protocol: Protocol = "corrected", answers: str | None = None
    ) -> None:
        """Choose the set; nothing is read before its items are asked for.

        Args:
            data: ``hub:belebele``, or ``hub:`` and a hub id (``@revision``) or folder of the same layout: a file
                ``data/eng_Latn.jsonl`` for each language, by its FLORES code. Without it there are no items.
            protocol: ``corrected``; the reference paper has no such task to be followed as published.
            answers: None: they are letters in any language.

        Raises:
            InputError: no such set, or an option that makes no sense here.
        """
        check_protocol(protocol)
        if protocol != "corrected" or answers is not None:
            raise InputError(
                "the reading task has letters for answers, and no published protocol; leave answers and protocol out"
            )
        self.origin, self._source = "", ""
        self._revision: str | None = None
        self._flores = {entry.code: entry.flores for entry in find_languages(BELEBELE.languages)}
        if data is not None:
            self._choose(str(data).removeprefix(PREFIX))
        self.settings = {"answers": "letters", "protocol": "corrected", "data": self.origin}

    def _choose(self, wanted: str) -> None:
        source = find_place(wanted, {BELEBELE.name: BELEBELE.hub_id})
        if source is None:
            raise InputError(
                f"unknown set {wanted!r} for the reading task; give hub:belebele, a hub id or a folder"
            )
        self._source, self._revision, self.origin = source.name, source.revision, source.origin
        if local := source.folder:
            names = {path.stem for path in (local / "data").glob("*.jsonl")}
            self._flores = {code: name for code, name in self._flores.items() if name in names}
            if not self._flores:
                raise InputError(
                    f"{local} has no files such as data/eng_Latn.jsonl, by the languages' FLORES codes"
                )

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that the set has, as far as is known before it is read."""
        return tuple(self._flores) if self._source else ()

    @cached_property
    def _read(self) -> dict[str, dict[str, dict[str, str]]]:
        return {}

    def _items(self, code: str) -> dict[str, dict[str, str]]:
        """Item name to its texts, in the set's order."""
        if code not in self._read:
            table = load_part(self._source, f"data/{self._flores[code]}.jsonl", revision=self._revision)
            if missing := [name for name in _COLUMNS if name not in table.column_names]:
                raise InputError(
                    f"{self.origin} ({code}) has no column {missing[0]!r}, only {', '.join(table.column_names)}"
                )
            self._read[code] = {self._named(row, number): row for number, row in enumerate(table)}
        return self._read[code]

    def _named(self, row: Mapping[str, Any], position: int) -> str:
        """Passage and question number name an item in every language; the order of the files differs."""
        right = str(row["correct_answer_num"])
        if right not in ("1", "2", "3", "4"):
            raise InputError(f"{self.origin}, row {position}: the right answer must be 1 to 4, not {right!r}")
        link, number = row.get("link"), row.get("question_number")
        return f"{position:04}" if link is None else f"{link}#{number}"

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Prompts such as ``P: ...⏎Q: ...⏎A: ...⏎B: ...⏎C: ...⏎D: ...⏎Answer: "``.

        Raises:
            InputError: no items in the language, an impossible number, or a set that cannot be read.
        """
        code = find_language(language).code
        check_language(self, code)
        check_count("shots", shots, least=0)
        rows = self._items(code)
        order = shuffled(sorted(rows), "reading", seed)
        count = shots or 0
        if not order:
            raise InputError(f"{self.origin} has no items in {code!r}")
        if count >= len(order):
            raise InputError(
                f"{count} few-shot examples leave no items: {self.origin} has {len(order)} in {code!r}"
            )
        few_shot = "".join(
            f'{_question_text(rows[name])}{_CUE}{_right(rows[name])}"\n\n' for name in order[:count]
        )
        prompts = [
            Prompt(name, code, _right(rows[name]), few_shot, _question_text(rows[name]), _CUE)
            for name in order[count:]
        ]
        return pick(prompts, items)

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """The letters, the same in all languages."""
        return {letter: (letter,) for letter in LETTERS}

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other letters."""
        return tuple(letter for letter in LETTERS if letter != label)


def _question_text(row: Mapping[str, Any]) -> str:
    answers = "".join(f"\n{letter}: {row[f'mc_answer{n}']}" for n, letter in enumerate(LETTERS, 1))
    return f"P: {row['flores_passage']}\nQ: {row['question']}{answers}"


def _right(row: Mapping[str, Any]) -> str:
    return LETTERS[int(row["correct_answer_num"]) - 1]
