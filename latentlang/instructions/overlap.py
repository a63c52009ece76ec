"""Dialogues that hold what is evaluated: long runs of words or characters that a test set has too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from latentlang.errors import InputError
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import instruction_files
from latentlang.instructions.pairing import texts_of
from latentlang.instructions.text_parts import has_no_spaces, units
from latentlang.tasks.files import Paths
from latentlang.tasks.record_files import records

#: Words of a run (Brown et al. 2020, appendix C), and characters where words have no spaces between them.
WORDS, CHARACTERS = 13, 25
# A shorter item is looked for whole, unless it is shorter than this.
_FEWEST_WORDS, _FEWEST_CHARACTERS = 6, 12
_NAMES = ("id", "task_id", "qid", "question_id", "idx")


@dataclass(frozen=True, slots=True)
class EvaluatedItem:
    """An item of a test set.

    Attributes:
        name: what it is called there.
        text: all it says.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """A dialogue that holds part of a test item.

    Attributes:
        index: the dialogue's place among those that were given.
        place: which of its texts.
        item: name of the test item.
        run: the words or characters that both have.
    """

    index: int
    place: str
    item: str
    run: str


class EvaluatedRuns:
    """Runs of words and characters of the items of test sets, to be found again."""

    def __init__(
        self, items: Iterable[EvaluatedItem], *, words: int = WORDS, characters: int = CHARACTERS
    ) -> None:
        """Take the runs of all items.

        Args:
            items: of one test set or of several.
            words: length of a run in scripts with spaces.
            characters: in those without.

        Raises:
            InputError: a length that makes no sense, or no item is long enough to be found.
        """
        if words < 1 or characters < 1:
            raise InputError(
                f"runs of {min(words, characters)} words or characters find nothing; say 1 or more"
            )
        self._of_run: dict[tuple[str, ...], str] = {}
        self.sizes: set[int] = set()
        self.items = self.too_short = 0
        for item in items:
            spaceless = has_no_spaces(item.text)
            parts = units(item.text)
            longest, fewest = (characters, _FEWEST_CHARACTERS) if spaceless else (words, _FEWEST_WORDS)
            size = min(longest, len(parts))
            if size < min(fewest, longest):
                self.too_short += 1
                continue
            self.items += 1
            self.sizes.add(size)
            for run in _runs(parts, size):
                self._of_run.setdefault(run, item.name)
        if not self.items:
            raise InputError(
                f"no test item is long enough to be looked for (at least {_FEWEST_WORDS} words, or "
                f"{_FEWEST_CHARACTERS} characters); give another test set"
            )

    def find(self, text: str) -> tuple[str, str] | None:
        """The first run of a text that an item has, and the item's name; None where there is none."""
        parts = units(text)
        for size in sorted(self.sizes, reverse=True):
            for run in _runs(parts, size):
                if run in self._of_run:
                    shown = " ".join(run)
                    return self._of_run[run], shown.replace(" ", "") if has_no_spaces(shown) else shown
        return None

    def overlaps(self, dialogues: Sequence[Dialogue]) -> list[Overlap]:
        """The dialogues that hold part of an item, the first place of each."""
        found = []
        for index, dialogue in enumerate(dialogues):
            for place, text in texts_of(dialogue).items():
                if (hit := self.find(text)) is not None:
                    found.append(Overlap(index, place, *hit))
                    break
        return found


def evaluated_items(data: Paths) -> Iterator[EvaluatedItem]:
    """The items of a test set in files of records: all the texts of a record, whatever its fields are called.

    Args:
        data: a file, several, or a folder, of the suffixes that instructions are read from.

    Raises:
        InputError: no such file, or one that cannot be read.
    """
    for path in instruction_files(data):
        for where, fields in records(path):
            name = next((str(fields[key]) for key in _NAMES if fields.get(key) not in (None, "")), "")
            texts = list(_texts(fields, skip=_NAMES))
            # each text is an item: a question alone gives a test away
            for text in texts:
                yield EvaluatedItem(f"{path.name}: {name}" if name else where, text)


def _texts(value: object, *, skip: Sequence[str] = ()) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in skip:
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _runs(parts: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for start in range(len(parts) - size + 1):
        yield tuple(parts[start : start + size])
