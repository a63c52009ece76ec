"""Questions with their reference answers, read from the files that benchmarks are published as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.files import named_language
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.paths import given_path, is_folder, is_present, paths_in_words
from latentlang.questions.number_reading import reference_number
from latentlang.questions.text_scores import normalised_words
from latentlang.tasks.files import PACKED, Paths, json_lines, read_json, read_text

_THEN = "put it right, or leave the item out"


@dataclass(frozen=True)
class Question:
    """A question and what would be right.

    Attributes:
        item: id; the same question has the same id in every language.
        language: code of the language that it is asked and answered in.
        question: its text.
        references: answers that are right; the first is the one whose probability is measured.
        context: text that the answer stands in; may be empty.
        group: what questions with one context have in common; an example is never from the question's own group.
    """

    item: str
    language: str
    question: str
    references: tuple[str, ...]
    context: str = ""
    group: str = ""


@dataclass(frozen=True)
class QuestionSet:
    """Questions of one task in one or several languages.

    Attributes:
        task: a key of `QUESTION_TASKS`.
        questions: language code to its questions, in the order of their file.
        files: names of the files that they were read from.
    """

    task: str
    questions: Mapping[str, tuple[Question, ...]]
    files: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.task not in QUESTION_TASKS:
            raise unknown("task", self.task, QUESTION_TASKS)
        if not self.questions or not all(self.questions.values()):
            raise InputError("there is no question; give at least one per language")
        for code, questions in self.questions.items():
            seen: set[str] = set()
            for question in questions:
                where = f"item {shown(question.item, most=60)} in {code!r}"
                if question.item in seen:
                    raise InputError(f"{where} is there twice; give each question an id of its own")
                seen.add(question.item)
                _check(question, self.task, where)

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages."""
        return tuple(self.questions)


@dataclass(frozen=True)
class QuestionTask:
    """What is asked in a task, unless something else is said.

    Attributes:
        shots: few-shot examples.
        new_tokens: how many tokens are written at most.
        number: whether the answer is its last number; else it is a text out of a context.
        suffixes: of files that it is read from.
    """

    shots: int
    new_tokens: int
    number: bool
    suffixes: tuple[str, ...]


#: Tasks by name; shots as in Chen et al. 2024 (5 for MGSM, 1 for TyDi QA, none for XQuAD).
QUESTION_TASKS: Mapping[str, QuestionTask] = {
    "xquad": QuestionTask(shots=0, new_tokens=32, number=False, suffixes=(".json", ".jsonl")),
    "tydiqa": QuestionTask(shots=1, new_tokens=32, number=False, suffixes=(".jsonl", ".json")),
    "mgsm": QuestionTask(shots=5, new_tokens=16, number=True, suffixes=(".tsv",)),
}


@checked_call
def read_questions(
    data: Paths,
    *,
    task: str,
    languages: str | Language | Iterable[str | Language] | None = None,
    language: str | Language | None = None,
) -> QuestionSet:
    """Read a benchmark's files.

    XQuAD and TyDi QA (GoldP) are SQuAD's JSON (``data``, ``paragraphs``, ``qas``) or an object a line with ``id``,
    ``context``, ``question`` and ``answers``; MGSM is a line per question: its text, a tab, the number.

    Args:
        data: files, or folders of them; each may be packed by gzip.
        task: a key of `QUESTION_TASKS`.
        languages: those wanted; None for all that are there.
        language: what the files are in, where neither their names (``xquad.es.json``, ``mgsm_es.tsv``) nor their ids
            (``finnish-123-0``) say so.

    Raises:
        InputError: no such file; an empty one; a record that lacks something, an id that is there twice, an answer
            that is not in the context, a number that is none; a wanted language that is not there.
    """
    if task not in QUESTION_TASKS:
        hint = "HumanEval is read by `latentlang humaneval`" if task == "humaneval" else ""
        raise unknown("task", task, QUESTION_TASKS, hint=hint)
    told = None if language is None else find_language(language).code
    wanted = None if languages is None else [entry.code for entry in find_languages(languages)]
    questions: dict[str, list[Question]] = {}
    paths = list(benchmark_files(data, QUESTION_TASKS[task].suffixes))
    for path in paths:
        named = told or named_language(path)
        if wanted is not None and named and named not in wanted and task != "tydiqa":
            continue
        read = _mgsm if task == "mgsm" else _squad
        count = 0
        for question in read(path, told, named):
            count += 1
            if wanted is None or question.language in wanted:
                questions.setdefault(question.language, []).append(question)
        if not count:
            raise InputError(f"{path} holds no question; give the whole file")
    for code in wanted or ():
        if code not in questions:
            raise InputError(
                f"no question in {code!r} in {paths_in_words(data)}; a file's language is in its name (xquad.es.json), "
                "or is given as language= (--file-lang)"
            )
    order = wanted or list(questions)
    return QuestionSet(
        task, {code: tuple(questions[code]) for code in order}, tuple(path.name for path in paths)
    )


def benchmark_files(data: Paths, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files that are meant by a file, several, or a folder.

    Args:
        data: what was given.
        suffixes: of files to take from a folder.

    Raises:
        InputError: there is none of this name, or none with such a suffix in it.
    """
    for entry in [data] if isinstance(data, str | Path) else data:
        path = given_path(entry)
        if not is_present(path):
            raise InputError(f"there is no file {str(path)!r}; name a file, or a folder of files")
        if not is_folder(path):
            yield path
            continue
        files = [file for file in sorted(path.iterdir()) if _suffix(file) in suffixes]
        if not files:
            raise InputError(f"the folder {str(path)!r} holds no {' or '.join(suffixes)}; name another")
        yield from files


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(PACKED)).suffix.casefold()


def _check(question: Question, task: str, where: str) -> None:
    """Refuse a question that no answer could be measured against."""
    if not question.question.strip():
        raise InputError(f"{where} has no question; {_THEN}")
    if not any(map(str.strip, question.references)) or not all(map(str.strip, question.references)):
        raise InputError(f"{where} has no answer, or an empty one; {_THEN}")
    for reference in question.references:
        if QUESTION_TASKS[task].number:
            try:
                reference_number(reference)
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
        elif not normalised_words(reference, question.language):
            raise InputError(
                f"{where}: of the answer {shown(reference, most=60)} nothing is left without punctuation and articles; "
                f"{_THEN}"
            )
        elif question.context and reference not in question.context:
            raise InputError(
                f"{where}: the answer {shown(reference, most=60)} is not in its context; {_THEN}"
            )


# SQuAD


def _squad(path: Path, told: str | None, named: str) -> Iterator[Question]:
    if _suffix(path) in (".jsonl", ".ndjson"):
        for number, record in json_lines(path):
            where = f"{path}, line {number}"
            context = _text(record, "context", where)
            yield _squad_question(record, context, context, told or _said(record, where) or named, where)
        return
    content = read_json(path)
    articles = _list(content, "data", str(path))
    for article_number, article in enumerate(articles, 1):
        for number, paragraph in enumerate(
            _list(article, "paragraphs", f"{path}, article {article_number}"), 1
        ):
            where = f"{path}, article {article_number}, paragraph {number}"
            context = _text(paragraph, "context", where)
            for record in _list(paragraph, "qas", where):
                language = told or _said(record, where) or named
                yield _squad_question(record, context, f"{article_number}/{number}", language, where)


def _squad_question(record: Any, context: str, group: str, language: str, where: str) -> Question:
    item = _text(record, "id", where)
    where = f"{where}, id {shown(item, most=60)}"
    answers = record.get("answers")
    texts = (
        answers.get("text")
        if isinstance(answers, dict)
        else [_text(answer, "text", where) for answer in _list(record, "answers", where)]
    )
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{where} has no answers; {_THEN}")
    return Question(
        item,
        _known(language, where),
        _text(record, "question", where),
        tuple(dict.fromkeys(texts)),
        context.lstrip("\ufeff"),
        group,
    )


def _said(record: Any, where: str) -> str:
    """The language that a record or its id names: ``finnish-123-0``."""
    said = record.get("language") if isinstance(record, dict) else None
    if isinstance(said, str):
        return find_language(said).code
    item = record.get("id") if isinstance(record, dict) else None
    head, dash, _rest = str(item).partition("-")
    if not dash or not head.isalpha() or len(head) < 4:
        return ""
    try:
        return find_language(head).code
    except InputError:
        return ""


# MGSM


def _mgsm(path: Path, told: str | None, named: str) -> Iterator[Question]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        fields = line.removesuffix("\r").split("\t")
        if len(fields) != 2:
            raise InputError(
                f"{where} has {len(fields)} fields; MGSM's lines are a question, a tab and its number"
            )
        try:
            reference_number(fields[1])
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        yield Question(str(number), _known(told or named, where), fields[0].strip(), (fields[1].strip(),))


# Fields


def _known(language: str, where: str) -> str:
    if not language:
        raise InputError(
            f"{where}: nothing says which language it is in; name the file xquad.es.json or mgsm_es.tsv, or say "
            "language= (--file-lang)"
        )
    return language


def _text(record: Any, name: str, where: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, str) or not value.strip():
        what = "is empty" if isinstance(value, str) else "is missing" if value is None else "is no text"
        raise InputError(f"{where}: {name!r} {what}; {_THEN}")
    return value


def _list(record: Any, name: str, where: str) -> list[Any]:
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, list):
        raise InputError(f"{where}: {name!r} is no list, so that this is not SQuAD's layout; {_THEN}")
    return value
