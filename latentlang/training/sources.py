"""Where question translations come from: a task's own questions, files in the paper's layout, or sets on a hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.languages import language
from latentlang.paths import given_path, is_folder
from latentlang.seeding import generator
from latentlang.storage.documents import printed
from latentlang.tasks import Task
from latentlang.tasks.files import PathLike, read_json
from latentlang.tasks.labels import (
    ENGLISH,
    KINDS,
    PROTOCOLS,
    SENTIMENT,
    Kind,
    languages_of,
    published_words,
    wording,
    words,
)
from latentlang.tasks.pairs import EmbeddedPairs, nli_pairs, paraphrase_pairs
from latentlang.tasks.reviews import Review, train_reviews, write_review
from latentlang.training.questions import AlignmentData, QuestionPair, choose, parallel_pairs

if TYPE_CHECKING:
    from latentlang.training.recipes import HubSet, Recipe

_INPUT, _ANSWER = "input", "answer"
_ORDER = "\nTranslate the input from "
_LONGEST_NAME = 100
# LLaMA-Factory's own file, which lies beside the data.
_NO_DATA = "dataset_info.json"
# Rows of a large hub set that are looked at, as a multiple of what is wanted: some are empty or say the same.
_HUB_RESERVE = 2


def alignment_data(
    recipe: Recipe,
    *,
    task: Task | None = None,
    data: PathLike | AlignmentData | Iterable[QuestionPair] | None = None,
) -> AlignmentData:
    """The question translations that a recipe asks for; never an answer among them.

    The embedded tasks give only items that are not evaluated on: training reviews (sentiment), and the pairs that
    few-shot examples come from (NLI and paraphrase, a few dozen).

    Args:
        recipe: languages, numbers, mixing.
        task: take this task's questions instead of the embedded ones'; they are then those it evaluates with.
        data: take these instead: a JSON file in the paper's layout, a folder of such files, or pairs; `AlignmentData`
            is taken as it is.

    Raises:
        InputError: no such data, or data that give an answer away, or too few.
    """
    if isinstance(data, AlignmentData):
        return data
    if task is not None and data is not None:
        raise InputError("give a task or data to take questions from, not both")
    conditions = recipe.data
    codes = list(dict.fromkeys([*conditions.sources, conditions.target]))
    notes: list[str] = []
    if isinstance(data, str | Path):
        pairs = read_pairs(data)
    elif data is not None:
        pairs = list(data)
    elif task is not None:
        pairs = parallel_pairs(
            task_questions(task, codes), sources=conditions.sources, target=conditions.target
        )
        notes.append(f"the questions are those that the {task.name} task evaluates with")
    elif conditions.hub:
        wanted = None if conditions.per_pair is None else conditions.per_pair * _HUB_RESERVE
        pairs = [
            pair
            for one in conditions.hub
            for pair in hub_pairs(
                one,
                sources=conditions.sources,
                target=conditions.target,
                rows=wanted,
                seed=recipe.schedule.seed,
            )
        ]
    else:
        texts = embedded_questions(conditions.task, codes)
        pairs = parallel_pairs(texts, sources=conditions.sources, target=conditions.target)
    check_no_answers(pairs)
    return choose(pairs, recipe, notes=notes)


# A task's questions


def embedded_questions(task: str, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Questions with cues of an embedded task that are free for training: language code to item to text.

    Raises:
        InputError: no such task, or no data in a language.
    """
    kind = KINDS.get(task)
    if kind is None:
        raise InputError(
            f"there are no embedded questions for the task {task!r}, only for {', '.join(KINDS)}; give data"
        )
    for code in codes:
        if code not in languages_of(kind):
            raise InputError(
                f"the {task} task has no questions in {code!r}; it has {', '.join(languages_of(kind))}"
            )
    reviews: dict[str, tuple[Review, ...]]
    if kind is SENTIMENT:
        reviews = {review.id: (review,) for review in train_reviews()}
    else:
        evaluated = {item.id for item in EmbeddedPairs(kind).items(ENGLISH)}
        made = nli_pairs() if kind.name == "nli" else paraphrase_pairs()
        reviews = {pair.id: (pair.first, pair.second) for pair in made if pair.id not in evaluated}
    found: dict[str, dict[str, str]] = {}
    for code in codes:
        form = wording(kind, code)
        found[code] = {
            item: form.question(tuple(write_review(review, code) for review in said)) + form.cue
            for item, said in reviews.items()
        }
    return found


def task_questions(task: Task, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Questions with cues of a task's own items: language code to item to text.

    Raises:
        InputError: the task has no data in a language.
    """
    return {
        code: {prompt.item: prompt.question + prompt.cue for prompt in task.prompts(code, shots=0)}
        for code in codes
    }


# Files


def read_pairs(path: PathLike) -> list[QuestionPair]:
    r"""Question translations from files in the paper's layout.

    A file is a JSON list of ``{"input", "answer"}``; the input ends with ``\nTranslate the input from Chinese to
    English:\n``, which says the languages. Items are told by their translation, so that files of one task in several
    languages are known to be parallel.

    Args:
        path: a file, or a folder: its files with ``question`` in their names, else all JSON files.

    Raises:
        InputError: no such file, or a record that is not in this layout.
    """
    place = given_path(path)
    if not is_folder(place):
        return list(_records(place))
    every = [file for file in sorted(place.glob("*.json")) if file.name != _NO_DATA]
    chosen = [file for file in every if "question" in file.name] or every
    if not chosen:
        raise InputError(f"the folder {str(place)!r} holds no JSON files with question translations")
    return [pair for file in chosen for pair in _records(file)]


def _records(path: Path) -> Iterator[QuestionPair]:
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} must hold a list of {{{_INPUT}, {_ANSWER}}}")
    for number, record in enumerate(records):
        yield _pair(record, f"{path}, item {number}")


def _pair(record: object, where: str) -> QuestionPair:
    """One record in the paper's layout."""
    texts = [record.get(key) for key in (_INPUT, _ANSWER)] if isinstance(record, Mapping) else []
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError(f"{where}: expected an object with the texts {_INPUT!r} and {_ANSWER!r}")
    question, translation = map(str, texts)
    text, source, target = _ordered(question)
    if not target:
        raise InputError(
            f"{where}: the input must end with 'Translate the input from ... to ...:' after the question, and it ends "
            f"with {question[-40:]!r}"
        )
    try:
        codes = [language(name).code for name in (source, target)]
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return QuestionPair(_named(translation), codes[0], codes[1], text, translation)


def _ordered(text: str) -> tuple[str, str, str]:
    r"""The question, and the names of the languages in the order that ends it; empty names where there is none.

    Without a pattern: one that tries every " to " of a long line is quadratic.
    """
    question, _, order = text.removesuffix("\n").rpartition(_ORDER)
    source, _, target = order.removesuffix(":").partition(" to ")
    names = (source, target)
    if (
        not question
        or not order.endswith(":")
        or "\n" in order
        or any(len(name) > _LONGEST_NAME for name in names)
    ):
        return text, "", ""
    return (question, *names) if source and target else (text, "", "")


def _named(translation: str) -> str:
    return hashlib.sha256(translation.encode("utf-8", "surrogatepass")).hexdigest()[:12]


# Sets on a hub


def hub_pairs(
    hub: HubSet, *, sources: Sequence[str], target: str, rows: int | None = None, seed: int = 0
) -> list[QuestionPair]:
    """Translations from a set on the Hugging Face hub, or from a folder that the datasets library can read.

    Args:
        hub: which set, and which of its columns.
        sources: languages translated from.
        target: language translated into.
        rows: look at so many rows, drawn at random; None for all.
        seed: draws them.

    Raises:
        InputError: the datasets library is missing, the set is not in the cache and there is no network, or it has no
            columns for these languages.
    """
    if hub.configs is not None:
        return _joined(hub, sources, target, rows=rows, seed=seed)
    table = _load(hub, hub.config)
    if rows is not None and len(table) > rows:
        table = table.select(sorted(generator("hub rows", seed).sample(range(len(table)), rows)))
    names = list(table.column_names)
    if hub.columns is None and {_INPUT, _ANSWER} <= set(names):
        found = [_pair(row, f"{hub.id}, row {number}") for number, row in enumerate(table)]
        return [pair for pair in found if pair.source in sources and pair.target == target]
    texts = _texts_of(hub, names, [*sources, target])
    pairs = []
    for row in table:
        own = texts(row)
        into = own.get(target, "")
        pairs += [
            QuestionPair(_named(into), source, target, own[source], into)
            for source in sources
            if own.get(source) and into
        ]
    return pairs


def _joined(
    hub: HubSet, sources: Sequence[str], target: str, *, rows: int | None, seed: int
) -> list[QuestionPair]:
    """Translations from a set with a configuration per language, put together by the items' names.

    Raises:
        InputError: a language has no configuration, or it lacks a column.
    """
    configs = {language(name).code: config for name, config in (hub.configs or {}).items()}
    texts: dict[str, dict[str, str]] = {}
    for code in (*sources, target):
        if code not in configs:
            raise InputError(f"the set {hub.id!r} has no configuration for {code!r}; say it in hub.configs")
        table = _load(hub, configs[code])
        for column in (hub.key, hub.text):
            if column not in table.column_names:
                raise InputError(
                    f"{hub.id!r} ({configs[code]}) has no column {column!r}, only {', '.join(table.column_names)}; "
                    "say in hub.key and hub.text which they are"
                )
        texts[code] = {str(row[hub.key]): str(row[hub.text] or "") for row in table}
    names = [name for name, text in texts[target].items() if text]
    if rows is not None and len(names) > rows:
        names = generator("hub rows", seed).sample(names, rows)
    return [
        QuestionPair(_named(texts[target][name]), source, target, texts[source][name], texts[target][name])
        for name in names
        for source in sources
        if texts[source].get(name)
    ]


def _load(hub: HubSet, config: str | None) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise InputError(f"sets on the hub need datasets; `{install_command('train')}`") from error
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        return datasets.load_dataset(hub.id, config, split=hub.split, revision=hub.revision)
    except Exception as error:
        # The library raises about everything, from connection errors to bare ValueErrors.
        reason = printed(str(error).strip() or type(error).__name__)
        raise InputError(
            f"the set {hub.id!r} cannot be read ({reason}); it must be in the local cache or the hub within reach, or "
            "give files in the paper's layout with data="
        ) from error
    finally:
        if not bars:
            datasets.enable_progress_bars()


def _texts_of(
    hub: HubSet, names: Sequence[str], codes: Sequence[str]
) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    """A function from a row to language code to text.

    Raises:
        InputError: the set has no columns for the last of the languages and one more.
    """
    if hub.columns is None and "translation" in names:
        return lambda row: {
            _code(name): str(text or "") for name, text in row["translation"].items() if _code(name) in codes
        }
    columns = {language(name).code: column for name, column in (hub.columns or {}).items()}
    known = {code: columns[code] for code in codes if columns.get(code) in names}
    if codes[-1] not in known or len(known) < 2:
        wanted = ", ".join(code for code in codes if code not in known)
        raise InputError(
            f"the set {hub.id!r} has the columns {', '.join(names)}; say in hub.columns which of them is {wanted}"
        )
    return lambda row: {code: str(row[column] or "") for code, column in known.items()}


@cache
def _code(name: str) -> str:
    try:
        return language(name.replace("_", "-")).code
    except InputError:
        return name


# No answers


def check_no_answers(pairs: Iterable[QuestionPair]) -> None:
    """Refuse translations in which a known cue is followed by one of its answers.

    Raises:
        InputError: naming the first one.
    """
    for pair in pairs:
        for code, text in ((pair.source, pair.question), (pair.target, pair.translation)):
            found = answer_in(text, code)
            if found is not None:
                raise InputError(
                    f"item {pair.item!r} ({code}) gives its answer away: {found!r} follows the cue in "
                    f"{text[-60:]!r}; train on questions, never on answers"
                )


def answer_in(text: str, code: str) -> str | None:
    """The answer word that follows a cue of a closed task in a text of a language; None where there is none."""
    for cue, answers in _cues(code).items():
        for after in text.split(cue)[1:]:
            plain = after.casefold()
            for word in answers:
                if plain.startswith(word):
                    return word
    return None


@cache
def _cues(code: str) -> dict[str, tuple[str, ...]]:
    """The closed tasks' cues in a language, as corrected and as published, with every word that may answer them."""
    found: dict[str, set[str]] = {}
    for kind in KINDS.values():
        if code not in languages_of(kind):
            continue
        for protocol in PROTOCOLS:
            cue = wording(kind, code, protocol=protocol).cue
            found.setdefault(cue, set()).update(_answers(kind, code))
    return {cue: tuple(sorted(answers)) for cue, answers in found.items()}


def _answers(kind: Kind, code: str) -> set[str]:
    known = (words(kind, code), published_words(kind, code) or {}, words(kind, ENGLISH), kind.agnostic)
    return {word.casefold() for own in known for word in own.values()}
