"""What instruction data are: shares, languages, tokens with one model's tokenizer, lengths, copies, duplicates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import pandas as pd

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import read_dialogues
from latentlang.instructions.hub import hub_dialogues
from latentlang.instructions.pairing import is_answer, texts_of
from latentlang.instructions.text_parts import prose
from latentlang.language_id import Backend, LanguageIdentifier, py3langid_backend
from latentlang.language_names import Language, language
from latentlang.language_names import languages as find_languages
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns
from latentlang.tasks.files import Paths
from latentlang.tasks.hub import is_hub
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

_COLUMNS = (
    "language", "answer_language", "origin", "id", "group", "turns", "question_characters", "answer_characters",
    "question_tokens", "answer_tokens", "byte_tokens", "copied", "repeated", "identified",
)  # fmt: skip
#: An answer of no more characters is called short.
SHORT = 40
_AT_ONCE = 256
_FULL_STOPS = "。．."
#: What stands as the language of an answer that could not be told.
UNDECIDED = "undecided"
_MANY = 0.01
_MOST_NAMED = 6


class InstructionsSettings(ResultSettings):
    """Settings of `describe_instructions`."""

    #: The files or the set on the hub, as they were given, and what was read of it.
    data: list[str] | None = None
    taken: list[str] | None = None
    #: Family of the tokenizer; None where none was given.
    tokenizer: str | None = None
    #: Name of what told languages; None where none was asked.
    identifier: str | None = None


@dataclass(frozen=True)
class InstructionsResult(Result[InstructionsSettings]):
    """What instruction data are, dialogue by dialogue.

    Attributes:
        table: columns ``language, answer_language, origin, id, group, turns`` (exchanges), ``question_characters,
            answer_characters, question_tokens, answer_tokens`` (all turns of either side; tokens without special ones,
            missing without a tokenizer), ``byte_tokens`` (tokens that write no whole character), ``copied`` (the last
            answer, but for a full stop, stands in what was asked), ``repeated`` (an earlier one of its language and
            origin asks the same, to the letter) and ``identified`` (language of the answers, or ``undecided``).
    """

    kind: ClassVar[str] = "instructions"
    columns: ClassVar[Columns] = {
        "language": "text", "answer_language": "text", "origin": "text", "id": "text", "group": "text",
        "turns": "whole", "question_characters": "whole", "answer_characters": "whole", "question_tokens": "number",
        "answer_tokens": "number", "byte_tokens": "number", "copied": "truth", "repeated": "truth",
        "identified": "text?",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = InstructionsSettings

    def fault(self) -> str | None:
        """A dialogue that is there twice."""
        return repeated(self.table, ["language", "answer_language", "origin", "id"])

    @property
    def has_tokens(self) -> bool:
        """Whether tokens were counted."""
        return bool(len(self.table)) and not self.table["answer_tokens"].isna().all()

    def summary(self) -> pd.DataFrame:
        """One row per language and origin.

        Columns ``language, origin, dialogues, share, groups, exchanges, question_tokens, answer_tokens, byte_share,
        question_characters, answer_characters, answer_median, short, unanswered, copied, repeated, identified, other,
        undecided``: means of tokens and characters, the median of the answers' characters, shares of answers that are
        short (up to 40 characters) or copied, numbers of dialogues without an answer and of repeated questions, and
        shares of answers in the language they should be in, in another, and undecided.
        """
        rows = [
            {"language": str(code), "origin": str(origin), **_row(part, len(self.table))}
            for (code, origin), part in self.table.groupby(["language", "origin"], sort=False)
        ]
        return pd.DataFrame(rows)

    def glance(self) -> pd.DataFrame:
        """The languages and origins, the largest first."""
        return self.summary().sort_values("dialogues", ascending=False, ignore_index=True, kind="stable")

    def describe(self) -> str:
        """How much there is of what, how long answers are, and what is copied, repeated or in another language."""
        summary = self.glance()
        codes = list(dict.fromkeys(summary["language"]))
        named = [language(code).name for code in codes[:_MOST_NAMED]]
        more = [f"{counted(len(codes) - _MOST_NAMED, 'language')} more"] if len(codes) > _MOST_NAMED else []
        lines = [f"{counted(len(self.table), 'dialogue')} in {listed([*named, *more])}."]
        for row in summary.head(_MOST_NAMED).to_dict("records"):
            lines.append(_sentence(row, tokens=self.has_tokens))
        return "\n".join(lines)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """A row a language and origin: how many dialogues, and how long their answers are.

        Args:
            languages: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.instructions import instructions_figure

        return instructions_figure(self, languages=languages, **look)


def _row(part: pd.DataFrame, whole: int) -> dict[str, float]:
    answered = part[part["answer_characters"] > 0]
    told = part[part["identified"].notna()]
    tokens = float(part["question_tokens"].sum() + part["answer_tokens"].sum())
    right = told["identified"] == told["answer_language"]
    open_ones = told["identified"] == UNDECIDED
    return {
        "dialogues": len(part), "share": len(part) / whole, "groups": int(part["group"].nunique()),
        "exchanges": float(part["turns"].mean()), "question_tokens": float(part["question_tokens"].mean()),
        "answer_tokens": float(answered["answer_tokens"].mean()),
        "byte_share": float(part["byte_tokens"].sum()) / tokens if tokens else float("nan"),
        "question_characters": float(part["question_characters"].mean()),
        "answer_characters": float(answered["answer_characters"].mean()),
        "answer_median": float(answered["answer_characters"].median()),
        "short": float((answered["answer_characters"] <= SHORT).mean()),
        "unanswered": len(part) - len(answered), "copied": float(answered["copied"].mean()),
        "repeated": int(part["repeated"].sum()),
        "identified": float(right.mean()), "other": float((~right & ~open_ones).mean()),
        "undecided": float(open_ones.mean()),
    }  # fmt: skip


def _sentence(row: dict[Any, Any], *, tokens: bool) -> str:
    name = language(str(row["language"])).name + (f", {row['origin']}" if row["origin"] else "")
    length = f"{row['answer_median']:.0f} characters in the median"
    if tokens:
        length = f"{row['answer_tokens']:.0f} tokens on average, {length}"
    said = [
        f"{counted(int(row['dialogues']), 'dialogue')} ({percent(round(row['share'], 3))})",
        f"answers of {length}",
    ]
    if row["copied"] >= _MANY:
        said.append(f"{percent(round(row['copied'], 3))} of them copied from the question")
    if row["repeated"]:
        said.append(f"{counted(int(row['repeated']), 'question')} asked before")
    if row["unanswered"]:
        said.append(f"{row['unanswered']:,} without an answer")
    if row["other"] >= _MANY:
        said.append(f"{percent(round(row['other'], 3))} of the answers in another language")
    return f"{name}: {'; '.join(said)}."


@checked_call
def describe_instructions(
    data: Paths | Sequence[Dialogue],
    *,
    tokenizer: Any = None,
    languages: str | Language | Iterable[str | Language] | None = None,
    language: str | None = None,
    layout: str | None = None,
    origin: str = "",
    identify: bool = True,
    backend: Backend | None = None,
    name: str | None = None,
    source: Sequence[str] | None = None,
    seed: int = 0,
    progress: ProgressOption = True,
) -> InstructionsResult:
    """Describe instruction data: how much there is in which language, how long, copied, repeated, of which origin.

    Args:
        data: files, a folder, ``hub:ORG/NAME``, or dialogues.
        tokenizer: counts the tokens: a model's name, whose tokenizer alone is loaded, a loaded model, or a Hugging Face
            tokenizer; None for characters alone.
        languages: those to describe; by default all.
        language: of records that do not say theirs, as in `read_dialogues`, like the next two.
        layout: of the records.
        origin: of records that do not say theirs.
        identify: whether the language of the answers is told, by script and py3langid.
        backend: of the identifier.
        name: of the tokenizer, for the provenance; its own by default.
        source: files that dialogues which are given were read from, for the provenance.
        seed: stands in the provenance; nothing is drawn.
        progress: as in `latentlang.answers.fertility`.

    Raises:
        InputError: no such data, a language that they do not have, or no identifier.
    """
    check_count("seed", seed, least=0)
    dialogues, noted = _dialogues(data, languages, language=language, layout=layout, origin=origin, seed=seed)
    identifier = None
    if identify:
        among = dict.fromkeys([*(d.answer_language for d in dialogues), "en"])
        identifier = LanguageIdentifier(list(among), backend=backend or py3langid_backend())
    counter = None if tokenizer is None else _Counter(tokenizer, name)
    rows = []
    seen: set[tuple[str, str, str]] = set()
    with reporting(progress, "describing", things="dialogues", total=len(dialogues)) as report:
        for start in range(0, len(dialogues), _AT_ONCE):
            part = dialogues[start : start + _AT_ONCE]
            counts = [None] * len(part) if counter is None else counter.count(part)
            for dialogue, tokens in zip(part, counts, strict=True):
                rows.append(_of_one(dialogue, tokens, identifier, seen))
            report(len(rows), len(dialogues))
    if source is not None:
        noted = {**noted, "data": list(source)}
    provenance = Provenance(
        model="" if counter is None else counter.name, task="instructions",
        languages=tuple(dict.fromkeys(d.language for d in dialogues)), policy="", seed=seed,
        settings={
            **noted, "tokenizer": None if counter is None else counter.family,
            "identifier": None if identifier is None else identifier.name,
        },
    )  # fmt: skip
    return InstructionsResult(table=pd.DataFrame(rows, columns=list(_COLUMNS)), provenance=provenance)


def _dialogues(
    data: Any,
    languages: str | Language | Iterable[str | Language] | None,
    *,
    language: str | None,
    layout: str | None,
    origin: str,
    seed: int,
) -> tuple[list[Dialogue], dict[str, Any]]:
    """The dialogues that are meant, and what is noted of them."""
    if isinstance(data, str) and is_hub(data):
        read = hub_dialogues(data, languages=languages, layout=layout, origin=origin, seed=seed)
        return list(read.dialogues), {"data": [data], "taken": list(read.taken)}
    if not isinstance(data, str | os.PathLike) and all(isinstance(one, Dialogue) for one in data):
        dialogues, noted = list(data), {}
    else:
        dialogues = read_dialogues(data, language=language, layout=layout, origin=origin)
        paths = [data] if isinstance(data, str | os.PathLike) else list(data)
        noted = {"data": [os.fspath(path) for path in paths]}
    return _of_languages(dialogues, languages), noted


def _of_languages(
    dialogues: Sequence[Dialogue], asked: str | Language | Iterable[str | Language] | None
) -> list[Dialogue]:
    """Those of the languages that are asked for, each of which must be there.

    Raises:
        InputError: a language has none, or nothing is there at all.
    """
    if not dialogues:
        raise InputError("there are no dialogues to describe")
    if asked is None:
        return list(dialogues)
    there = dict.fromkeys(one.language for one in dialogues)
    entries = find_languages(asked)
    for entry in entries:
        if entry.code not in there:
            raise InputError(f"there is nothing in {entry.name}; there are {', '.join(there)}")
    codes = {entry.code for entry in entries}
    return [one for one in dialogues if one.language in codes]


@dataclass(frozen=True, slots=True)
class _TokenCounts:
    question: int
    answer: int
    partial: int


class _Counter:
    """Counts the tokens of dialogues."""

    def __init__(self, tokenizer: Any, name: str | None) -> None:
        from latentlang.answers.token_counts import partial_tokens
        from latentlang.answers.vocabulary import token_bytes, tokenizer_name

        if isinstance(tokenizer, str | os.PathLike):
            from latentlang.models.loading import load_tokenizer

            name = name or os.fspath(tokenizer)
            tokenizer = load_tokenizer(tokenizer)
        given = getattr(tokenizer, "name", None)
        self._tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
        if not callable(self._tokenizer):
            raise InputError(
                f"{type(tokenizer).__name__} is no tokenizer; give one, a model, or a model's name"
            )
        table = token_bytes(self._tokenizer)
        self._partial = partial_tokens(table, range(len(table)))
        self.family = table.family
        self.name = str(name or given or tokenizer_name(self._tokenizer))

    def count(self, dialogues: Sequence[Dialogue]) -> list[_TokenCounts | None]:
        """Of each dialogue the tokens of what is asked and answered, and those that write no whole character."""
        parts = [
            (n, is_answer(place), text)
            for n, d in enumerate(dialogues)
            for place, text in texts_of(d).items()
        ]
        encoded = self._tokenizer(
            [text for *_, text in parts],
            add_special_tokens=False,
            padding=False,
            truncation=False,
            verbose=False,
        )["input_ids"]
        counts = [[0, 0, 0] for _ in dialogues]
        for (number, answer, _), ids in zip(parts, encoded, strict=True):
            counts[number][answer] += len(ids)
            counts[number][2] += sum(token in self._partial for token in ids)
        return [_TokenCounts(*three) for three in counts]


def _of_one(
    dialogue: Dialogue,
    tokens: _TokenCounts | None,
    identifier: LanguageIdentifier | None,
    seen: set[tuple[str, str, str]],
) -> tuple[Any, ...]:
    texts = texts_of(dialogue)
    questions = "\n".join(text for place, text in texts.items() if not is_answer(place))
    answers = "\n".join(text for place, text in texts.items() if is_answer(place))
    key = (dialogue.language, dialogue.origin, questions)
    again = key in seen
    seen.add(key)
    identified = None
    if identifier is not None and answers.strip():
        identified = identifier.identify(prose(answers)).language or UNDECIDED
    missing = float("nan")
    return (
        dialogue.language, dialogue.answer_language, dialogue.origin, dialogue.id, dialogue.group,
        sum(turn.role == "user" for turn in dialogue.turns),
        sum(len(text) for place, text in texts.items() if not is_answer(place)),
        sum(len(text) for place, text in texts.items() if is_answer(place)),
        missing if tokens is None else float(tokens.question), missing if tokens is None else float(tokens.answer),
        missing if tokens is None else float(tokens.partial), is_copied(dialogue), again, identified,
    )  # fmt: skip


def is_copied(dialogue: Dialogue) -> bool:
    """Whether the last answer, but for its full stop, stands in what was asked."""
    answer = dialogue.output.strip().rstrip(_FULL_STOPS)
    asked = [text for place, text in texts_of(dialogue).items() if not is_answer(place)]
    return bool(answer) and any(answer in text for text in asked)
