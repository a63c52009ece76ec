"""Sums worked out step by step before the answer: how they are asked for, and the number that is then read.

Two readings have names. ``as-published`` is that of lm-evaluation-harness' ``mgsm_native_cot`` (strict match): the
first number behind the language's phrase, compared without punctuation, so that 5.0 counts as 50 and -5 as 5; in
Bengali the phrase is English. ``corrected`` reads the number behind the last such phrase, or else the last of the text,
as the language writes numbers.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from latentlang.errors import InputError, shown, unknown
from latentlang.instructions.files import named_language
from latentlang.language_names import language as find_language
from latentlang.questions.number_reading import NumberRead, last_number
from latentlang.questions.question_sets import Question, benchmark_files
from latentlang.tasks import Prompt
from latentlang.tasks.files import Paths, json_lines

AS_PUBLISHED, CORRECTED = "as-published", "corrected"
PROTOCOLS = (CORRECTED, AS_PUBLISHED)
#: Tokens that may be written, and examples shown where a file has as many (Shi et al. 2023).
NEW_TOKENS, SHOTS = 256, 8
# Signs that stand before a result in any language.
_SIGNS = ("####", "\\boxed{")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。।！？\n]")


@dataclass(frozen=True)
class StepWords:
    """A language's words.

    Attributes:
        question: what stands before a question.
        cue: what stands before its steps.
        phrases: what stands before the result; the first one is the published one.
        before: what stands before the number as published.
        after: what stands behind it.
    """

    question: str
    cue: str
    phrases: tuple[str, ...]
    before: str
    after: str = ""


#: Language code to its words, as MGSM's examples have them (Shi et al. 2023).
STEP_WORDS: Mapping[str, StepWords] = {
    "bn": StepWords("প্রশ্ন:", "ধাপে ধাপে উত্তর:", ("উত্তর হল",), "The answer is "),
    "de": StepWords("Frage:", "Schritt-für-Schritt-Antwort:", ("Die Antwort lautet",), "Die Antwort lautet "),
    "en": StepWords("Question:", "Step-by-Step Answer:", ("The answer is",), "The answer is "),
    "es": StepWords("Pregunta:", "Respuesta paso a paso:", ("La respuesta es",), "La respuesta es "),
    "fr": StepWords("Question :", "Réponse étape par étape :", ("La réponse est",), "La réponse est "),
    "ja": StepWords("問題：", "ステップごとの答え:", ("答えは",), "答えは", "です。"),
    "ru": StepWords("Задача:", "Пошаговое решение:", ("Ответ —", "Ответ -", "Ответ:"), "Ответ — "),
    "sw": StepWords("Swali:", "Jibu la Hatua kwa Hatua:", ("Jibu ni",), "Jibu ni "),
    "te": StepWords("ప్రశ్న:", "దశలవారీగా సమాధానం:", ("సమాధానం",), "సమాధానం "),
    "th": StepWords("โจทย์:", "คำตอบทีละขั้นตอน:", ("คำตอบคือ",), "คำตอบคือ "),
    "zh": StepWords("问题：", "逐步解答:", ("答案是",), "答案是 ", "。"),
}
# Where what was published differs from the language's own words.
_PUBLISHED_CUES = {"ru": "Пошаговоерешение:"}


@dataclass(frozen=True)
class WorkedExample:
    """A question with its steps, of which the last says the result."""

    question: str
    steps: str


def check_steps(protocol: str | None, *, task: str, number: bool, codes: Iterable[str]) -> None:
    """Refuse steps where nobody knows how to ask for them.

    Args:
        protocol: one of `PROTOCOLS`, or None for no steps.
        task: its name.
        number: whether its answers are numbers.
        codes: languages asked in.

    Raises:
        InputError: saying what.
    """
    if protocol is None:
        return
    if protocol not in PROTOCOLS:
        raise unknown("way of reading steps", protocol, PROTOCOLS)
    if not number:
        raise InputError(f"the answers of {task} are no numbers that are worked out; leave steps out")
    for code in codes:
        if code not in STEP_WORDS:
            raise InputError(
                f"there are no words to ask for steps in {code!r}, only in {', '.join(STEP_WORDS)}; leave it or steps "
                "out"
            )


def read_worked_examples(data: Paths, codes: Sequence[str]) -> dict[str, list[WorkedExample]]:
    """Examples with their steps, by language.

    A file has JSON lines with ``question`` and ``answer`` (the steps and the result), and ``language`` where its name
    does not say it. What MGSM's own examples begin with ("Question:", "Step-by-Step Answer:") may stand there or not.

    Args:
        data: files, or a folder.
        codes: languages wanted.

    Raises:
        InputError: no such file, a line that lacks something, or no example in a language.
    """
    examples: dict[str, list[WorkedExample]] = {code: [] for code in codes}
    for path in benchmark_files(data, (".jsonl", ".ndjson")):
        named = named_language(path)
        for number, record in json_lines(path):
            where = f"{path}, line {number}"
            said = record.get("language")
            code = find_language(said).code if isinstance(said, str) else named
            if not code:
                raise InputError(f"{where} does not say its 'language', nor does the file's name; add it")
            if code not in examples:
                continue
            question, steps = _field(record, "question", where), _field(record, "answer", where)
            words = STEP_WORDS[code]
            cues = (words.cue, _PUBLISHED_CUES.get(code, words.cue))
            examples[code].append(WorkedExample(_without(question, words.question), _without(steps, *cues)))
    for code, listed in examples.items():
        if not listed:
            raise InputError(f"there is no example with steps in {code!r}; add some, or ask with shots=0")
    return examples


def _field(record: Mapping[str, object], name: str, where: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            f"{where}: {name!r} is missing, empty or no text; put it right, or leave the line out"
        )
    return value


def _without(text: str, *heads: str) -> str:
    text = text.strip()
    head = next((head for head in heads if text.startswith(head)), "")
    return text[len(head) :].strip()


def examples_of(
    questions: Sequence[Question], pool: Sequence[WorkedExample], shots: int
) -> list[list[WorkedExample]]:
    """Each question's examples, in their order; never the question itself: then the next one stands in.

    Args:
        questions: of one language.
        pool: examples of the same language.
        shots: how many.

    Raises:
        InputError: there are too few.
    """
    chosen = []
    for question in questions:
        shown_to_it = [one for one in pool if one.question != question.question.strip()][:shots]
        if len(shown_to_it) < shots:
            raise InputError(
                f"{shots} examples with steps are asked for, and item {shown(question.item, most=60)} in "
                f"{question.language!r} has {len(shown_to_it)}; give more with examples= (--examples FILE), or ask for "
                "fewer shots"
            )
        chosen.append(shown_to_it)
    return chosen


def steps_turns(
    question: Question, examples: Sequence[WorkedExample], protocol: str
) -> tuple[list[tuple[str, str]], tuple[str, str]]:
    """What is asked: each example and its steps, then the question and its cue.

    Args:
        question: the question.
        examples: shown before it.
        protocol: one of `PROTOCOLS`.
    """
    words = STEP_WORDS[question.language]
    cue = _PUBLISHED_CUES.get(question.language, words.cue) if protocol == AS_PUBLISHED else words.cue
    solved = [(f"{words.question} {one.question}\n{cue}", one.steps) for one in examples]
    return solved, (f"{words.question} {question.question.strip()}\n", cue)


def steps_prompt(question: Question, examples: Sequence[WorkedExample], protocol: str) -> Prompt:
    """The prompt of a question, which ends where its steps begin."""
    solved, (asked, cue) = steps_turns(question, examples, protocol)
    few_shot = "".join(f"{before} {steps}\n\n" for before, steps in solved)
    return Prompt(question.item, question.language, question.item, few_shot, asked, cue)


def stop_before_next_question(language: str) -> str:
    """What a model writes when it goes on to another question."""
    return STEP_WORDS[language].question


def worked_number(text: str, *, language: str) -> NumberRead:
    """The number behind the last phrase that says a result, or else the last of the text.

    Args:
        text: steps and result.
        language: that they are in.
    """
    phrases = (*STEP_WORDS[language].phrases, *STEP_WORDS["en"].phrases, *_SIGNS)
    places = [
        match.end() for phrase in phrases for match in re.finditer(re.escape(phrase), text, re.IGNORECASE)
    ]
    if places:
        behind = text[max(places) :].lstrip()
        said = _SENTENCE_END.split(behind, maxsplit=1)[0]
        read = last_number(said, language=language)
        if read.reading != "none":
            return read
    return last_number(text, language=language)


def published_number(text: str, *, language: str) -> str | None:
    """The first number behind the published phrase, as it stands there; None where there is none.

    Args:
        text: steps and result.
        language: that they are in.
    """
    words = STEP_WORDS[language]
    match = re.search(f"{re.escape(words.before)}(-?[0-9.,]+){re.escape(words.after)}", text)
    return match[1] if match else None


def without_punctuation(number: str) -> str:
    """A number as what was published compares it: no sign, no mark."""
    return number.strip().translate(str.maketrans("", "", string.punctuation))
