"""Candidates per item: tasks whose items each offer answers of their own, from the files of published sets.

``task("xcopa", data=FOLDER)``. A candidate is a text that goes on with the item's context to the letter; which is the
likeliest is the choice (`evaluation`). Where candidates differ in what is said before (XWinograd puts names for a
pronoun), what follows is scored after each. Fixed labels are the case in which all items offer the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType

from latentlang.arguments import check_count
from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import UNSPACED_SCRIPTS
from latentlang.language_names import language as find_language
from latentlang.paths import given_path, is_folder
from latentlang.seeding import shuffled
from latentlang.tasks.base import Candidate, Prompt, Task, check_language, pick
from latentlang.tasks.benchmark_files import SPLIT_NAMES, SPLITS, BenchmarkFile, Row, find_files, rows
from latentlang.tasks.files import PathLike
from latentlang.text import counted

#: Prompts in words of this package, and as lm-eval writes them.
CORRECTED, LM_EVAL = "corrected", "lm-eval"


@dataclass(frozen=True, slots=True)
class CandidateItem:
    """One item of a file.

    Attributes:
        id: its name, the same in every language of a parallel set.
        context: what is given.
        candidates: what is chosen between.
        answer: which of them is right, from 0.
    """

    id: str
    context: str
    candidates: tuple[Candidate, ...]
    answer: int


#: Connective words of a language, by their role (``cause``, ``effect``).
Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Writing:
    """How the items of one language are to be written.

    Attributes:
        language: its code.
        protocol: `CORRECTED` or `LM_EVAL`.
        gap: what stands between words: a space, or nothing.
        words: the language's own connective words.
    """

    language: str
    protocol: str
    gap: str
    words: Words


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A published set, or a layout of one's own.

    Attributes:
        name: short name, as at the command line.
        labels: what its candidates are called, in the order of the tables; empty: as many places as the files have.
        languages: what files call a language, in small letters, to its code.
        item: makes an item of a row.
        protocols: how its prompts can be written, the default first.
        columns: of tables without a head.
        default_language: language of files that do not say theirs; empty where they have to.
        language_columns: columns that may say the language.
        has_words: whether items need connective words, which ``connectors.json`` has by language.
    """

    name: str
    labels: tuple[str, ...]
    languages: Mapping[str, str]
    item: Callable[[Row, Writing], CandidateItem]
    protocols: tuple[str, ...] = (CORRECTED, LM_EVAL)
    columns: tuple[str, ...] = ()
    default_language: str = ""
    language_columns: tuple[str, ...] = ()
    has_words: bool = False


class CandidateTask(Task):
    """Which of an item's candidates fits?

    Items come from files alone: nothing of published sets is in the package. Those that cannot be decided (an empty
    candidate, two that are equal) are left out, and `notes` says how many.

    Attributes:
        benchmark: the set.
        protocol: how prompts are written.
        split: the part that is read.
    """

    closed = True
    default_shots = 0
    has_answers = False
    next_step = "items come from files: --data FOLDER"

    def __init__(
        self,
        benchmark: Benchmark,
        *,
        data: PathLike | None = None,
        split: str | None = None,
        protocol: str = CORRECTED,
        words: Mapping[str, Words] | None = None,
    ) -> None:
        """Find the files; items are read when a language's are asked for.

        Args:
            benchmark: the set.
            data: folder of its published files, or one of them; or a folder in which a folder of the set's name holds
                them. Without it there are no items.
            split: part to read (`SPLITS`); None for the first of these that there is.
            protocol: ``corrected``: connective words of this package and texts as the files have them; ``lm-eval``: the
                prompts of lm-eval 0.4.13 to the letter.
            words: language code to connective words of your own (``{"eu": {"cause": " zeren", "effect": ", beraz"}}``).

        Raises:
            InputError: an option has no such value, or there are no such files.
        """
        if protocol not in benchmark.protocols:
            raise InputError(
                f"the {benchmark.name} task has protocol {' or '.join(benchmark.protocols)}, not {protocol!r}"
            )
        if words is not None and not benchmark.has_words:
            raise InputError(f"the {benchmark.name} task has no connective words; leave words out")
        self.name, self.benchmark, self.protocol = benchmark.name, benchmark, protocol
        self._words = {find_language(code).code: given for code, given in (words or {}).items()}
        self._read: dict[str, tuple[CandidateItem, ...]] = {}
        self._left_out: dict[str, str] = {}
        self._files: list[BenchmarkFile] = []
        self.split = ""
        if data is not None:
            root = given_path(data)
            root = root / self.name if is_folder(root / self.name) else root
            self._files, self.split = _of_split(find_files(root, benchmark.languages), split, self.name)
        elif split is not None:
            raise InputError(f"split={split!r} chooses among files: give their folder as data")
        self.settings: Mapping[str, object] = {
            "protocol": protocol,
            "data": "" if data is None else str(data),
            "split": self.split,
            **({"words": {code: dict(given) for code, given in self._words.items()}} if self._words else {}),
        }

    @cached_property
    def _files_of(self) -> dict[str, list[BenchmarkFile]]:
        """Language code to its files; those that say it in a column under ``""``."""
        by_language: dict[str, list[BenchmarkFile]] = {}
        for file in self._files:
            code = file.language
            if not code and not self.benchmark.language_columns:
                code = self.benchmark.default_language
                if not code:
                    raise InputError(
                        f"{file.path} does not say its language; call it or its folder by one ({self.name} reads "
                        f"{', '.join(sorted(set(self.benchmark.languages.values())))})"
                    )
            by_language.setdefault(code, []).append(file)
        return by_language

    @cached_property
    def _rows_of(self) -> dict[str, list[Row]]:
        """Language code to its rows, of files that say the language in a column."""
        by_language: dict[str, list[Row]] = {}
        for file in self._files_of.get("", ()):
            for row in rows(file, names=self.benchmark.columns):
                by_language.setdefault(self._language_of(row), []).append(row)
        return by_language

    def _language_of(self, row: Row) -> str:
        columns = self.benchmark.language_columns
        if not any(name in row.values for name in columns) and self.benchmark.default_language:
            return self.benchmark.default_language
        said = row.text(*columns)
        code = self.benchmark.languages.get(said.lower())
        if code is None:
            try:
                code = find_language(said).code
            except InputError as error:
                raise InputError(f"{row.place}: {error}") from None
        return code

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that the files have."""
        if not self._files:
            return ()
        return tuple(code for code in dict.fromkeys([*self._files_of, *self._rows_of]) if code)

    @property
    def candidate_labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the candidates are called; places up to the most that an item has."""
        if self.benchmark.labels or not self._files:
            return self.benchmark.labels or ("1",)
        most = max(len(item.candidates) for code in self.languages for item in self._items(code))
        return tuple(str(place) for place in range(1, most + 1))

    @property
    def notes(self) -> Mapping[str, str]:
        """Language code to how many items were left out and why, for the languages read so far."""
        return dict(self._left_out)

    def _items(self, code: str) -> tuple[CandidateItem, ...]:
        """The items of a language that can be decided, in the order of the files.

        Raises:
            InputError: a file cannot be read, an id is there twice, or no item can be decided.
        """
        if code not in self._read:
            writing = Writing(code, self.protocol, _gap(code), self._connectives(code))
            of_language = self._rows_of.get(code, [])
            of_language = [
                row
                for file in self._files_of.get(code, [])
                for row in rows(file, names=self.benchmark.columns)
            ] + of_language
            self._read[code], left_out = _decidable(self.benchmark, of_language, writing)
            if left_out:
                self._left_out[code] = _left_out(left_out)
            if not self._read[code]:
                raise InputError(
                    f"{self.name} has no items in {code!r} that can be decided: "
                    f"{self._left_out.get(code, 'its files are empty')}"
                )
        return self._read[code]

    def _connectives(self, code: str) -> Words:
        if not self.benchmark.has_words:
            return {}
        given = connectors(self.name, self.protocol) | self._words
        if code not in given:
            raise InputError(
                f"the {self.name} task has no connective words in {code!r} ({find_language(code).name}) with protocol "
                f"{self.protocol!r}, only in {', '.join(given)}; give your own in Python: task({self.name!r}, "
                f"data=..., words={{{code!r}: {{...}}}})"
            )
        asked = set(next(iter(connectors(self.name, self.protocol).values())))
        if missing := sorted(asked - set(given[code])):
            raise InputError(f"words of {code!r} lack {', '.join(map(repr, missing))}")
        return given[code]

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Contexts with their candidates; few-shot examples, if asked for, are set aside of the items.

        Raises:
            InputError: no items in the language, an impossible number, or few-shot examples with lm-eval's prompts.
        """
        code = find_language(language).code
        examples, chosen = self._drawn(code, shots, seed)
        few_shot = "".join(f"{''.join(_solved(item))}\n\n" for item in examples)
        return pick([_prompt(item, code, few_shot) for item in chosen], items)

    def solved(self, language: str, *, shots: int, seed: int = 0) -> list[tuple[str, str]]:
        """The few-shot examples: context, and right candidate.

        Raises:
            InputError: as of `prompts`.
        """
        return [_solved(item) for item in self._drawn(find_language(language).code, shots, seed)[0]]

    def _drawn(
        self, code: str, shots: int | None, seed: int
    ) -> tuple[list[CandidateItem], list[CandidateItem]]:
        """The few-shot examples, and the items that are left."""
        check_language(self, code)
        check_count("shots", shots, least=0)
        count = shots or 0
        if count and self.protocol == LM_EVAL:
            raise InputError(
                f"protocol 'lm-eval' has no few-shot examples here, so leave out shots={count}; `latentlang evaluate "
                "--harness` draws them as lm-eval does"
            )
        by_id = {item.id: item for item in self._items(code)}
        order = shuffled(sorted(by_id), self.name, seed)
        if count >= len(order):
            raise InputError(
                f"{count} few-shot examples leave no items: {self.name} has {len(order)} in {code!r}"
            )
        in_order = [by_id[name] for name in order]
        return in_order[:count], in_order[count:]

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """None that all items have."""
        return {}

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other candidates' labels."""
        return tuple(name for name in self.candidate_labels if name != label)


def _gap(code: str) -> str:
    return "" if find_language(code).script in UNSPACED_SCRIPTS else " "


def _prompt(item: CandidateItem, code: str, few_shot: str) -> Prompt:
    label = item.candidates[item.answer].label
    return Prompt(item.id, code, label, few_shot, item.context, "", candidates=item.candidates)


def _solved(item: CandidateItem) -> tuple[str, str]:
    right = item.candidates[item.answer]
    return item.context + right.given, right.text


@cache
def _connector_file() -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    text = files("latentlang.tasks").joinpath("data/connectors.json").read_text(encoding="utf-8")
    words: dict[str, dict[str, dict[str, dict[str, str]]]] = json.loads(text)
    return words


def connectors(benchmark: str, protocol: str = CORRECTED) -> dict[str, Words]:
    """Language code to the connective words of a benchmark, by their role."""
    return {
        code: MappingProxyType(words)
        for code, words in _connector_file().get(benchmark, {}).get(protocol, {}).items()
    }


def _of_split(
    all_files: list[BenchmarkFile], wanted: str | None, name: str
) -> tuple[list[BenchmarkFile], str]:
    """The files of a split, and which it is; files that name none belong to any.

    Raises:
        InputError: there is no such split.
    """
    splits = [split for split in SPLITS if any(file.split == split for file in all_files)]
    if wanted is None:
        split = splits[0] if splits else ""
    elif (split := SPLIT_NAMES.get(wanted, wanted)) not in splits:
        raise unknown(f"split of these {name} files", split, splits or ["none: their names say no split"])
    return [file for file in all_files if file.split in ("", split)], split


def _decidable(
    benchmark: Benchmark, of_language: Iterable[Row], writing: Writing
) -> tuple[tuple[CandidateItem, ...], list[tuple[str, str]]]:
    """The items that can be decided, and id and reason of those that cannot.

    Raises:
        InputError: a row cannot be read, or an id is there twice.
    """
    kept: dict[str, CandidateItem] = {}
    left_out: list[tuple[str, str]] = []
    places: dict[str, str] = {}
    for row in of_language:
        item = benchmark.item(row, writing)
        if item.id in places:
            raise InputError(
                f"{row.place}: the id {shown(item.id)} is there already ({places[item.id]}); every item needs its own"
            )
        places[item.id] = row.place
        if reason := _undecidable(item):
            left_out.append((item.id, reason))
        else:
            kept[item.id] = item
    return tuple(kept.values()), left_out


def _undecidable(item: CandidateItem) -> str:
    """Why nothing can be chosen between an item's candidates; empty where it can."""
    if any(not candidate.text.strip() for candidate in item.candidates):
        names = all(candidate.given.strip() for candidate in item.candidates)
        return "nothing behind the candidates" if names else "an empty candidate"
    if len({(candidate.given, candidate.text) for candidate in item.candidates}) < len(item.candidates):
        return "two equal candidates"
    return ""


def _left_out(items: list[tuple[str, str]]) -> str:
    counts = Counter(reason for _name, reason in items)
    first = {reason: name for name, reason in reversed(items)}
    said = ", ".join(f"{count} with {reason} ({first[reason]})" for reason, count in counts.items())
    return f"{counted(len(items), 'item')} left out: {said}"


def positions(texts: Iterable[str], *, before: str) -> tuple[Candidate, ...]:
    """Candidates that are called by their place, from ``"1"``.

    Args:
        texts: what is scored of each.
        before: put before each but an empty one.
    """
    return tuple(Candidate(str(place), text and f"{before}{text}") for place, text in enumerate(texts, 1))
