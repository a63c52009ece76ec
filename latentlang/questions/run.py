"""Questions put to a model: what it writes, and how likely it holds the reference answer to be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, ModelError, shown
from latentlang.generation.kept_answers import KeptAnswers, answers_in, depends_on, generate_kept
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import HookedLM, as_model
from latentlang.models.answer_scores import score_answers
from latentlang.models.chat import chat_template_of
from latentlang.models.decoding import Decoding, check_no_repeat
from latentlang.models.states import BASE, chosen_states, in_state
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance
from latentlang.questions.answer_files import read_answers
from latentlang.questions.asking import (
    QUOTE,
    answer_in_chat,
    chat_prompts_of,
    chosen_questions,
    other_references,
    prompts_of,
    steps_prompts,
    written_answer,
)
from latentlang.questions.number_reading import last_number, reference_number
from latentlang.questions.question_result import COLUMNS, QuestionResult
from latentlang.questions.question_sets import (
    QUESTION_TASKS,
    Question,
    QuestionSet,
    QuestionTask,
    read_questions,
)
from latentlang.questions.text_scores import exact_match, f1_score, includes_reference, normalised_words
from latentlang.questions.worked_steps import (
    AS_PUBLISHED,
    NEW_TOKENS,
    SHOTS,
    WorkedExample,
    check_steps,
    examples_of,
    published_number,
    read_worked_examples,
    stop_before_next_question,
    without_punctuation,
    worked_number,
)
from latentlang.tasks import Prompt
from latentlang.tasks.files import PathLike, Paths

_NAN = float("nan")
# Beside a reference's own tokens: a space, and what closes the quotation.
_ENDING = 4


@checked_call
def ask(
    model: HookedLM | str | None,
    questions: QuestionSet | Paths,
    *,
    task: str | None = None,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    shots: int | None = None,
    new_tokens: int | None = None,
    decoding: Decoding | None = None,
    chat: bool = False,
    steps: str | None = None,
    examples: Paths | None = None,
    answers: PathLike | None = None,
    states: str | Sequence[str] | None = None,
    seen_languages: str | Language | Iterable[str | Language] | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> QuestionResult:
    """Let a model answer questions, and measure its answers against the reference answers.

    Each prompt ends with an opening quotation mark; what is written up to the closing one is the answer. Beside exact
    match, F1 and include stands the probability that the model gives the whole reference answer there, which says
    something of a model that gets nothing right too. For each score the null is the reference of another question.

    Args:
        model: the model, or its name; it is not changed. None measures only the answers of a file.
        questions: as read by `read_questions`, or the files themselves.
        task: of the files: ``xquad``, ``tydiqa`` or ``mgsm``.
        languages: languages asked in; None for all that are there.
        items: questions per language, the same in every language; None for all.
        shots: few-shot examples, from the same questions but never the question itself or another about its text; None
            for the task's default.
        new_tokens: how many tokens are written at most; None for the task's default.
        decoding: how answers are written: greedily (None), or by draws; of several samples the answer that most of
            them give counts (maj@k). Its number of new tokens does not count.
        chat: whether questions are asked in the chat template of the model's tokenizer; examples are turns then.
        steps: ``corrected`` or ``as-published``: sums are worked out step by step, and read so (`worked_steps`); the
            probability of the reference is not measured then. None asks for the answer alone.
        examples: with steps: files of examples with theirs, see `read_worked_examples`; without them none is shown.
        answers: a file of answers that were written before, see `read_answers`; then nothing is written, and a model
            only gives the probabilities of the references.
        states: ``base``, ``tuned`` (with the adapter), or both; None for all the model has.
        seen_languages: languages that the adapter was trained on.
        seed: draws items, examples and nulls.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where answers are kept as soon as they are written, so that the same call goes on where one was
            stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: an unknown name, an impossible number, a file that cannot be read, a question without an answer.
        ModelError: no chat template, or a prompt longer than the model can read, naming the item.
    """
    check_count("items", items, least=1)
    check_count("shots", shots, least=0)
    check_count("new_tokens", new_tokens, least=1)
    check_count("seed", seed, least=0)
    asked = _asked(questions, task, languages)
    if model is None and answers is None:
        raise InputError("there is neither a model nor a file of answers; give model, or answers=")
    if model is None and states is not None:
        raise InputError("answers of a file are in no state of a model; leave states out")
    rules = QUESTION_TASKS[asked.task]
    check_steps(steps, task=asked.task, number=rules.number, codes=asked.languages)
    worked = _worked(examples, steps, asked.languages)
    shots, new_tokens = _settled(rules, steps, worked, shots, new_tokens)
    how = replace(decoding or Decoding(seed=seed), new_tokens=new_tokens)
    if answers is not None and (decoding is not None or chat or resume is not None):
        raise InputError("answers of a file are not written anew; leave decoding, chat and resume out")
    chosen = {code: chosen_questions(asked.questions[code], items, seed) for code in asked.languages}
    given = None
    if answers is not None:
        given = read_answers(answers, {code: [one.item for one in part] for code, part in chosen.items()})
    others = {
        code: dict(
            zip((one.item for one in part), other_references(part, asked.questions[code], seed), strict=True)
        )
        for code, part in chosen.items()
    }
    loaded = None if model is None else as_model(model)
    state_names = [BASE] if loaded is None else chosen_states(loaded, states)
    if given is not None and len(state_names) > 1:
        raise InputError("answers of a file are of one state; say which, states='base' or states='tuned'")
    prompts: dict[str, list[Prompt]] = {}
    probable = loaded is not None and steps is None
    asking = _Asking(shots=shots, seed=seed, chat=chat, steps=steps, number=rules.number, worked=worked)
    reading = _Reading(number=rules.number, steps=steps)
    if loaded is not None:
        check_no_repeat(how, loaded.tokenizer)
        for code, part in chosen.items():
            prompts[code] = asking.prompts(loaded, part, asked.questions[code])
            scored = others[code] if probable else None
            _check_length(loaded, prompts[code], part, scored, 0 if given is not None else new_tokens)
    passes = (loaded is not None and given is None) + probable
    total = passes * len(state_names) * sum(map(len, chosen.values()))

    def all_depends_on() -> dict[str, Any]:
        assert loaded is not None
        return depends_on(loaded, how)

    rows: list[dict[str, Any]] = []
    with (
        reporting(progress, "asking", total=total) as report,
        answers_in(resume, all_depends_on) as kept,
    ):
        done = 0
        for code, part in chosen.items():
            stops = (*how.stop, *asking.stops(code))
            for state in state_names:
                written = [] if given is None else [[given[code][one.item][0]] for one in part]
                scores: list[list[float]] = [[] for _ in part]
                with nullcontext() if loaded is None else in_state(loaded, state):
                    if loaded is not None and given is None:
                        texts = _write(
                            loaded,
                            prompts[code],
                            replace(how, stop=stops),
                            kept,
                            f"{state}-{code}",
                            batch_tokens,
                            _from(report, done, total),
                        )
                        written = [[asking.answer(text) for text in samples] for samples in texts]
                        done += len(part)
                    if loaded is not None and probable:
                        scores = _probabilities(
                            loaded,
                            prompts[code],
                            part,
                            others[code],
                            batch_tokens,
                            _from(report, done, total),
                        )
                        done += len(part)
                rows += _rows(part, written, others[code], scores, state, reading)
    settings: dict[str, Any] = {
        "states": state_names,
        "seen": [entry.code for entry in find_languages(seen_languages)] if seen_languages else [],
        "shots": shots if loaded is not None else None,
        "items": max(map(len, chosen.values())),
        "new_tokens": None if given is not None else new_tokens,
        "files": list(asked.files),
        "answers_from": None if answers is None else str(answers),
        "decoding": None if given is not None else how.how,
        "decoding_options": {} if given is not None else how.record,
        "samples": how.samples,
        "chat": "turns" if chat else None,
        "steps": steps,
        "constant": {code: _constant(part, number=rules.number) for code, part in chosen.items()},
        **({} if loaded is None else loaded.noted),
    }
    provenance = Provenance(
        model=loaded.name if loaded is not None else f"answers of {answers}",
        revision=None if loaded is None else loaded.revision,
        adapter=loaded.adapter if loaded is not None and "tuned" in state_names else None,
        task=asked.task,
        languages=tuple(chosen),
        policy="",
        seed=seed,
        settings=settings,
    )
    return QuestionResult(pd.DataFrame(rows, columns=list(COLUMNS)), provenance)


@dataclass(frozen=True)
class _Asking:
    """How questions are asked, and what of a text is the answer."""

    shots: int
    seed: int
    chat: bool
    steps: str | None
    number: bool
    worked: Mapping[str, Sequence[WorkedExample]]

    def prompts(
        self, model: HookedLM, questions: Sequence[Question], pool: Sequence[Question]
    ) -> list[Prompt]:
        """The prompts of one language.

        Raises:
            InputError: too few examples.
            ModelError: no chat template, or it cannot write such a chat.
        """
        if self.chat:
            chat_template_of(model.tokenizer, model=model.name)
        held: dict[str, Any] = {"tokenizer": model.tokenizer if self.chat else None, "model": model.name}
        if self.steps is not None:
            examples = examples_of(questions, self.worked.get(questions[0].language, []), self.shots)
            return steps_prompts(questions, examples, self.steps, **held)
        if self.chat:
            return chat_prompts_of(questions, pool, shots=self.shots, seed=self.seed, **held)
        return prompts_of(questions, pool, shots=self.shots, seed=self.seed)

    def stops(self, language: str) -> tuple[str, ...]:
        """What ends a text beside its length; a turn in a chat ends by itself."""
        if self.chat:
            return ()
        return ("\n",) if self.steps is None else (stop_before_next_question(language),)

    def answer(self, text: str) -> str:
        """What counts of what was written: with steps all of it, and of a number in a chat too."""
        if self.steps is not None or (self.chat and self.number):
            return text.strip()
        return answer_in_chat(text) if self.chat else written_answer(text)


def _asked(
    questions: QuestionSet | Paths,
    task: str | None,
    languages: str | Language | Iterable[str | Language] | None,
) -> QuestionSet:
    if not isinstance(questions, QuestionSet):
        if task is None:
            raise InputError(f"say which task the files are of: task=, one of {', '.join(QUESTION_TASKS)}")
        return read_questions(questions, task=task, languages=languages)
    if task not in (None, questions.task):
        raise InputError(f"these are questions of {questions.task}, not of {task!r}; leave task out")
    if languages is None:
        return questions
    codes = [entry.code for entry in find_languages(languages)]
    for code in codes:
        if code not in questions.questions:
            raise InputError(f"there is no question in {code!r}; there are {', '.join(questions.languages)}")
    return QuestionSet(questions.task, {code: questions.questions[code] for code in codes}, questions.files)


def _check_length(
    model: HookedLM,
    prompts: Sequence[Prompt],
    questions: Sequence[Question],
    others: dict[str, Question | None] | None,
    new_tokens: int,
) -> None:
    """Refuse a prompt that is too long with what goes behind it, before anything is run."""
    if model.max_length is None:
        return
    for prompt, question in zip(model.tokenize(prompts), questions, strict=True):
        references = []
        if others is not None:
            other = others[question.item]
            references = [question.references[0], *([] if other is None else [other.references[0]])]
        behind = max([new_tokens, *(len(text.encode()) + _ENDING for text in references)])
        # a token has at least a byte: only where that is too long are tokens counted
        if len(prompt.ids) + behind > model.max_length:
            longest = 0
            if references:
                encoded = model.encode([text + QUOTE for text in references])
                longest = max(map(len, encoded)) + _ENDING
            length = len(prompt.ids) + max(new_tokens, longest)
            if length > model.max_length:
                raise ModelError(
                    f"item {shown(question.item, most=60)} in {question.language!r} takes {length} tokens with its "
                    f"answer, and {model.name} reads {model.max_length}; ask for fewer shots, or leave it out"
                )


def _worked(
    examples: Paths | None, steps: str | None, codes: Sequence[str]
) -> dict[str, list[WorkedExample]]:
    if examples is None:
        return {}
    if steps is None:
        raise InputError(
            "examples of a file are examples with steps; say how they are read: steps='corrected'"
        )
    return read_worked_examples(examples, codes)


def _settled(
    rules: QuestionTask,
    steps: str | None,
    worked: Mapping[str, Sequence[WorkedExample]],
    shots: int | None,
    new_tokens: int | None,
) -> tuple[int, int]:
    """Examples and new tokens, where nobody said how many."""
    if steps is None:
        return rules.shots if shots is None else shots, new_tokens or rules.new_tokens
    if shots is None:
        shots = min([SHOTS, *map(len, worked.values())]) if worked else 0
    return shots, new_tokens or NEW_TOKENS


def _write(
    model: HookedLM,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    kept: KeptAnswers | None,
    state: str,
    batch_tokens: int | None,
    progress: Report,
) -> list[list[str]]:
    texts = generate_kept(
        model,
        prompts,
        decoding,
        items=[prompt.item for prompt in prompts],
        state=state,
        kept=kept,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return [[written.text for written in samples] for samples in texts]


def _probabilities(
    model: HookedLM,
    prompts: Sequence[Prompt],
    questions: Sequence[Question],
    others: dict[str, Question | None],
    batch_tokens: int | None,
    progress: Report,
) -> list[list[float]]:
    """Natural logs: of each question's reference, and of the other question's where there is one."""
    wanted = []
    for question in questions:
        other = others[question.item]
        wanted.append([question.references[0], *([] if other is None else [other.references[0]])])
    scored = score_answers(model, prompts, wanted, layers=[-1], batch_tokens=batch_tokens, progress=progress)
    return [[float(value) for value in scores.log_probs[:, -1]] for scores in scored]


@dataclass(frozen=True)
class _Reading:
    """How answers are read: as texts, by their last number, or by the number that their steps end with."""

    number: bool
    steps: str | None

    def scores(self, question: Question, answer: str) -> dict[str, Any]:
        """How far an answer is a question's references."""
        if not self.number:
            held = {"language": question.language}
            return {
                "exact": exact_match(answer, question.references, **held),
                "f1": f1_score(answer, question.references, **held),
                "include": float(includes_reference(answer, question.references, **held)),
                "reading": "text" if normalised_words(answer, question.language) else "empty",
            }
        if self.steps == AS_PUBLISHED:
            said = published_number(answer, language=question.language)
            right = said is not None and without_punctuation(said) in map(
                without_punctuation, question.references
            )
            return {
                "exact": right,
                "f1": _NAN,
                "include": _NAN,
                "reading": "none" if said is None else "read",
            }
        read = (worked_number if self.steps else last_number)(answer, language=question.language)
        right = read.value is not None and read.value in map(reference_number, question.references)
        return {"exact": right, "f1": _NAN, "include": _NAN, "reading": read.reading}

    def said(self, question: Question, answer: str) -> object:
        """What answers that count alike have in common; None of one that says nothing."""
        if not self.number:
            return tuple(normalised_words(answer, question.language)) or None
        if self.steps == AS_PUBLISHED:
            number = published_number(answer, language=question.language)
            return None if number is None else without_punctuation(number)
        return (worked_number if self.steps else last_number)(answer, language=question.language).value


def _majority(question: Question, samples: Sequence[str], reading: _Reading) -> tuple[str, float]:
    """The first sample with the answer that most give, and the share that gives it; of a tie what was drawn first."""
    said = [reading.said(question, text) for text in samples]
    counts = Counter(value for value in said if value is not None)
    if not counts:
        return samples[0], _NAN
    ((value, count),) = counts.most_common(1)
    return samples[said.index(value)], count / len(samples)


def _rows(
    questions: Sequence[Question],
    written: Sequence[Sequence[str]],
    others: dict[str, Question | None],
    scores: Sequence[Sequence[float]],
    state: str,
    reading: _Reading,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for question, samples, log_probs in zip(questions, written, scores, strict=True):
        answer, agreement = _majority(question, samples, reading)
        other = others[question.item]
        row = {
            "state": state,
            "language": question.language,
            "item": question.item,
            "answer": answer,
            "reference": question.references[0],
            "null_reference": "" if other is None else other.references[0],
            "log_prob": log_probs[0] if log_probs else _NAN,
            "reference_bytes": len(question.references[0].encode()),
            "null_log_prob": log_probs[1] if len(log_probs) > 1 else _NAN,
            "null_bytes": _NAN if other is None else len(other.references[0].encode()),
            "agreement": agreement,
            "mean_exact": sum(reading.scores(question, text)["exact"] for text in samples) / len(samples),
        }
        row |= reading.scores(question, answer)
        null = {"exact": _NAN, "f1": _NAN, "include": _NAN}
        if other is not None:
            null = {
                name: float(value) for name, value in reading.scores(other, answer).items() if name in null
            }
        rows.append(row | {f"null_{name}": value for name, value in null.items()})
    return rows


def _constant(questions: Sequence[Question], *, number: bool) -> float:
    """The constant answer: the share of questions that the most frequent reference is right for."""
    counts: Counter[object] = Counter()
    for question in questions:
        keys: set[object] = {
            reference_number(text) if number else tuple(normalised_words(text, question.language))
            for text in question.references
        }
        counts.update(keys)
    return counts.most_common(1)[0][1] / len(questions)


def _from(report: Report, before: int, total: int) -> Report:
    return lambda done, _own: report(before + done, total)
