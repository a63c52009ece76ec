"""Closed tasks put to a model: which label it chooses, in many languages, before and after training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from latentlang import defaults
from latentlang.answers import closing, token_bytes
from latentlang.arguments import check_count, checked_call, split_given
from latentlang.errors import InputError, ModelError, unknown
from latentlang.evaluation.evaluation_settings import EvaluatedTaskSettings
from latentlang.evaluation.result import COLUMNS, SCORE, EvaluationResult
from latentlang.evaluation.scoring import (
    PER,
    SCORES,
    Choice,
    ItemCandidates,
    Scored,
    WholeAnswers,
    first_tokens,
    published,
    whole_answers,
)
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import HookedLM, as_model
from latentlang.models.finished_languages import FinishedLanguages, Kept, answers_digest, kept_in
from latentlang.models.states import chosen_states, in_state
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import ChoiceTask, Prompt, Task, as_task, closed_tasks, task_record
from latentlang.tasks import task as build_task
from latentlang.tasks.base import settings_for, with_data_notes
from latentlang.tasks.candidates import LM_EVAL
from latentlang.tasks.labels import check_protocol

# Noted where so much of the probability is on tokens that begin several labels' answers, or so little on any answer.
_MUCH_SHARED, _LITTLE_MASS = 0.5, 0.01


@checked_call
def evaluate(
    model: HookedLM | str,
    task: str | Task | Iterable[str | Task],
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    answers: str | None = None,
    score: str | None = None,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    protocol: str | None = None,
    states: str | Sequence[str] | None = None,
    seen_languages: str | Language | Iterable[str | Language] | None = None,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
    keep: Callable[[EvaluationResult], None] | None = None,
) -> EvaluationResult:
    """Let a model choose between labels, or between each item's candidates (Zhang et al. 2024, sections 4 and 5).

    Args:
        model: the model, or its name; it is not changed.
        task: tasks with a small closed set of labels, by name (``"sentiment,nli"``) or as made by `tasks.task`; or
            tasks whose items have candidates of their own (``tasks.task("xcopa", data=FOLDER)``).
        languages: languages asked in (codes, names, ``"paper20"``); None for all that a task has.
        answers: words that stand for the labels, in the few-shot prefix as in what is scored: the language's own
            (``same``), English (``en``), or such as mean nothing about the task (``agnostic``). None for what a task
            was made with, ``same`` by default.
        score: what is compared, see `SCORES`. ``first-tokens`` sums the probability of the tokens that can begin a
            label's answer; those that begin several labels' count for none. ``sequence`` and ``sequence-per-byte``
            compare whole answers, as lm-eval's ``acc`` and ``acc_bytes`` do. None: ``first-tokens``, and ``sequence``
            for candidates per item, of which first tokens say little.
        items: how many items per language; None for all.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples and bootstrap samples.
        protocol: ``corrected``: labels are classes, whatever a file calls them; ``as-published``: the reference
            paper's blocks, cues, answer sets and ties, and its scorer, which compares strings and so can never count a
            third of the Japanese and Bengali NLI items as right; ``lm-eval``: the prompts of lm-eval, of tasks with
            candidates per item. None for what a task was made with.
        states: ``base``, ``tuned`` (with the adapter), or both; None for all the model has.
        seen_languages: languages that the adapter was trained on, for averages over seen and unseen ones.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where each language is kept as soon as it is done, so that the same call goes on where one was
            stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all); every state counts.
        keep: called after each language with the result so far, so that it can be saved.

    Raises:
        InputError: an unknown name, an impossible number, an open task, a prompt longer than the model's context, a
            state that the model does not have, or no label that can be chosen in any language.
    """
    model = as_model(model)
    check_count("seed", seed, least=0)
    if score is not None and score not in SCORES:
        raise unknown("score", score, SCORES)
    state_names = chosen_states(model, states)
    tasks = [_TaskRun(*pair) for pair in _tasks(task, answers, protocol)]
    score = _score(score, [task_run.task for task_run in tasks])
    codes = None if languages is None else [entry.code for entry in find_languages(languages)]
    token_bytes(model.tokenizer)  # a tokenizer that cannot be read is refused before anything runs
    for task_run in tasks:
        task_run.prepare(model, codes, score=score, items=items, shots=shots, seed=seed)
    total, done = (
        len(state_names)
        * sum(len(task_prompts) for task_run in tasks for task_prompts in task_run.prompts.values()),
        0,
    )
    rows: list[pd.DataFrame] = []
    settings = {
        "score": score,
        "states": state_names,
        "seen": [] if not seen_languages else [entry.code for entry in find_languages(seen_languages)],
    }

    def result_so_far() -> EvaluationResult:
        return _result(model, tasks, rows, settings, shots=shots, seed=seed)

    with (
        reporting(progress, "evaluating", total=total) as report,
        kept_in(
            resume, model, [task_run.task for task_run in tasks], share_prefix=share_prefix
        ) as finished_of,
    ):
        for task_run, finished in zip(tasks, finished_of, strict=True):
            for code, prompts in task_run.prompts.items():
                if finished is not None and not finished.takes(code):
                    continue
                for state in state_names:

                    def advance(count: int, _own: int, before: int = done) -> None:
                        report(before + count, total)

                    def choose(
                        task_run: _TaskRun = task_run,
                        code: str = code,
                        state: str = state,
                        advance: Callable[[int, int], None] = advance,
                    ) -> Scored:
                        with in_state(model, state):
                            return task_run.choices[code].run(
                                model,
                                task_run.prompts[code],
                                share_prefix=share_prefix,
                                batch_tokens=batch_tokens,
                                progress=advance,
                            )

                    if finished is None:
                        scored = choose()
                    else:
                        scored = _kept_or_chosen(finished, task_run, code, state, score, choose)
                    rows.append(task_run.rows(code, state, scored))
                    task_run.note_what_decides(code, scored)
                    done += len(prompts)
                    report(done, total)
                if keep is not None:
                    keep(result_so_far())
    return result_so_far()


def _kept_or_chosen(
    finished: FinishedLanguages,
    task_run: _TaskRun,
    code: str,
    state: str,
    score: str,
    choose: Callable[[], Scored],
) -> Scored:
    """What a state of the model gives one language's labels, as it is kept, or computed and kept."""
    kept: list[Scored] = []
    question = {
        "state": state, "score": score, "protocol": task_run.protocol,
        "answers": answers_digest(task_run.task, [code]), "labels": list(task_run.choices[code].labels),
        "lost": sorted(task_run.choices[code].lost),
    }  # fmt: skip

    def taken() -> list[Kept]:
        return [choose().kept()]

    def restore(parts: Sequence[Kept]) -> None:
        kept[:] = [Scored.restored(*part) for part in parts]

    finished.run(f"{task_run.task.name}/{state}", task_run.prompts[code], question, taken, restore)
    return kept[0]


@dataclass
class _TaskRun:
    """One task with what is asked of it.

    Attributes:
        prompts: language code to prompts.
        choices: language code to how its labels are chosen between.
        right: language code to item to the label that counts as right; None where none can.
        notes: language code to what cannot be answered, or hardly.
    """

    task: Task
    protocol: str
    prompts: dict[str, list[Prompt]] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    right: dict[str, Mapping[str, str | None]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def per_item(self) -> bool:
        """Whether each item has candidates of its own."""
        return bool(self.task.candidate_labels)

    def prepare(
        self,
        model: HookedLM,
        codes: Sequence[str] | None,
        *,
        score: str,
        items: int | None,
        shots: int | None,
        seed: int,
    ) -> None:
        """Settle prompts and choices of every language, and check all that can be checked before a model runs."""
        published_way = self.protocol == "as-published"
        if published_way and score != "first-tokens":
            raise InputError(f"protocol 'as-published' compares first tokens; it has no score {score!r}")
        for code in self.task.languages if codes is None else codes:
            prompts = self.task.prompts(code, items=items, shots=shots, seed=seed)
            if self.per_item:
                self.prompts[code] = prompts
                self.choices[code] = ItemCandidates(self.task.candidate_labels, {}, PER[score])
                self.right[code] = {prompt.item: prompt.label for prompt in prompts}
                _check_candidates(model, prompts)
                continue
            strings = {label: tuple(texts) for label, texts in self.task.answers(code).items()}
            cue = prompts[0].cue
            if published_way:
                choice: Choice = published(model, strings, language=code)
            elif score == "first-tokens":
                choice = first_tokens(model, strings, cue=cue)
            else:
                choice = whole_answers(model, strings, cue=cue, per=PER[score])
            self.prompts[code], self.choices[code] = prompts, choice
            scored = self.task.scored_labels(code) if isinstance(self.task, ChoiceTask) else {}
            self.right[code] = {prompt.item: scored.get(prompt.item, prompt.label) for prompt in prompts}
            _check_length(model, prompts, strings if isinstance(choice, WholeAnswers) else {})
            if note := self._unanswerable(code, strings):
                self.notes[code] = note
        if all(len(choice.lost) == len(choice.labels) for choice in self.choices.values()):
            raise InputError(
                f"no answer of the {self.task.name} task can be chosen: {next(iter(self.notes.values()))}"
            )

    def _answerable(self, code: str, prompt: Prompt) -> bool:
        right = self.right[code][prompt.item]
        return right is not None and right not in self.choices[code].lost

    def _unanswerable(self, code: str, strings: Mapping[str, tuple[str, ...]]) -> str:
        prompts = self.prompts[code]
        count = sum(not self._answerable(code, prompt) for prompt in prompts)
        parts = []
        if lost := self.choices[code].lost:
            label, why = next(iter(lost.items()))
            more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
            way_out = (
                ""
                if isinstance(self.choices[code], WholeAnswers)
                else "; score='sequence' compares whole answers"
            )
            parts.append(f"{strings[label][0]!r} ({label}) cannot be chosen: {why}{more}{way_out}")
        elif count:
            parts.append("the published scorer expects a string that the file never has")
        return f"{count} of {len(prompts)} items cannot be right: {'; '.join(parts)}" if parts else ""

    def note_what_decides(self, code: str, scored: Scored) -> None:
        """Note where the choice hangs on little: on what shared tokens leave, or on what is hardly ever said."""
        # whole candidates are long, and each of them is hardly ever said
        if code in self.notes or self.per_item:
            return
        if scored.shared.mean() >= _MUCH_SHARED:
            self.notes[code] = (
                "most of the next-token probability is on tokens that begin several labels' answers and count for "
                "none; score='sequence' tells these apart"
            )
        elif scored.mass.mean() < _LITTLE_MASS:
            self.notes[code] = (
                f"all labels' answers together have less than {_LITTLE_MASS} of the probability: the model would "
                "rather say something else, and chooses between what it would hardly say"
            )

    def rows(self, code: str, state: str, scored: Scored) -> pd.DataFrame:
        """The table's rows of a language."""
        prompts, choice = self.prompts[code], self.choices[code]
        predicted = [None if index is None else choice.labels[index] for index in scored.chosen]
        right = [self.right[code][prompt.item] for prompt in prompts]
        columns: dict[str, Any] = {
            "task": self.task.name,
            "state": state,
            "language": code,
            "item": [prompt.item for prompt in prompts],
            "label": [prompt.label for prompt in prompts],
            "predicted": pd.Series(predicted, dtype=object),
            "right": [
                expected is not None and expected == guess
                for expected, guess in zip(right, predicted, strict=True)
            ],
            "answerable": [self._answerable(code, prompt) for prompt in prompts],
            "confidence": scored.confidence,
            "mass": scored.mass,
            "shared": scored.shared,
        }
        columns |= {f"{SCORE}{label}": scored.scores[:, n] for n, label in enumerate(choice.labels)}
        return pd.DataFrame(columns)

    def settings(self, shots: int | None) -> dict[str, Any]:
        """What the result says of the task."""
        first = next(iter(self.choices.values()))
        settings = EvaluatedTaskSettings(
            protocol=self.protocol,
            labels=list(first.labels),
            shots=self.task.default_shots if shots is None else shots,
            items=max(map(len, self.prompts.values())),
            notes=with_data_notes(self.notes, self.task, self.prompts),
        )
        if self.per_item:
            settings = settings.model_copy(update={"per_item": True})
        return {**settings_for(self.task, self.prompts), **settings.stored()}


def _check_candidates(model: HookedLM, prompts: Sequence[Prompt]) -> None:
    """Refuse what cannot be run: an item that is too long, or one without a context where nothing begins a text.

    Raises:
        ModelError: naming the item.
    """

    def whole(prompt: Prompt) -> str:
        return prompt.text + max(
            (c.given + c.text for c in prompt.candidates), key=lambda text: len(text.encode())
        )

    longest = max(prompts, key=lambda prompt: len(whole(prompt).encode()))
    model.iter_activations(
        [replace(longest, few_shot="", question=whole(longest), cue="", candidates=())], layers=[-1]
    )
    bare = next((p for p in prompts if not all(p.text + c.given for c in p.candidates)), None)
    if bare is not None and not model.encode([""])[0]:
        raise ModelError(
            f"item {bare.item!r} ({bare.language}) has no context, and the tokenizer of {model.name!r} puts nothing "
            "before a text that its first token could be read after; give the items a context"
        )


def _check_length(model: HookedLM, prompts: Sequence[Prompt], answers: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse now, not hours later, a prompt that is too long for the model with the answers that go behind it.

    Raises:
        ModelError: naming the item.
    """
    longest = max(prompts, key=lambda prompt: len(prompt.text.encode()))
    tail = max((text for texts in answers.values() for text in texts), key=len, default="")
    tail += closing(longest.cue) if tail else ""
    # Prompts are checked at once; nothing is run, since nobody asks for the readings.
    model.iter_activations([replace(longest, cue=longest.cue + tail)], layers=[-1])


def _tasks(
    given: str | Task | Iterable[str | Task], answers: str | None, protocol: str | None
) -> list[tuple[Task, str]]:
    """The tasks, each with its protocol.

    Raises:
        InputError: an unknown or open task, one named twice, or one made otherwise than is asked now.
    """
    if protocol is not None and protocol != LM_EVAL:
        check_protocol(protocol)
    by_name: dict[str, tuple[Task, str]] = {}
    for part in split_given(given):
        if isinstance(part, str):
            if not task_record(part).closed:
                raise _open(part)
            options = {"answers": answers, "protocol": protocol}
            task = build_task(part, **{key: value for key, value in options.items() if value is not None})
        else:
            task = as_task(part)
            for option, value in (("answers", answers), ("protocol", protocol)):
                used = task.settings.get(option, value)
                if value is not None and used != value:
                    raise InputError(
                        f"the {task.name} task was made with {option}={used!r}, not {value!r}; leave {option} out, or "
                        f"make the task with it"
                    )
        if not task.closed:
            raise _open(task.name)
        if not task.languages:
            raise InputError(
                f"the {task.name} task has no items of its own; make it with data=, at a shell --data"
            )
        if task.name in by_name:
            raise InputError(f"the {task.name} task is named twice; evaluate the two one after the other")
        by_name[task.name] = (task, str(protocol or task.settings.get("protocol", "corrected")))
    if not by_name:
        raise InputError("no task named; give names such as 'sentiment,nli'")
    return list(by_name.values())


def _score(given: str | None, tasks: Sequence[Task]) -> str:
    """What is compared in all of these tasks.

    Raises:
        InputError: none is named and the tasks have different ones, or first tokens of candidates per item.
    """
    per_item = [task.name for task in tasks if task.candidate_labels]
    if given == defaults.SCORE and per_item:
        raise InputError(
            f"the items of the {per_item[0]} task have candidates of their own, whose first tokens say little; choose "
            "score 'sequence', 'sequence-per-byte' or 'sequence-per-token'"
        )
    if given is None and 0 < len(per_item) < len(tasks):
        raise InputError(
            f"{', '.join(task.name for task in tasks)}: some have candidates per item and some the same labels for "
            "all; say score='sequence' (at a shell --score sequence), or evaluate them one after the other"
        )
    return given or (defaults.CANDIDATE_SCORE if per_item else defaults.SCORE)


def _open(name: str) -> InputError:
    return InputError(
        f"the {name} task is open: it has no labels to choose between; evaluate takes {', '.join(closed_tasks())}, or "
        "a closed task of yours"
    )


def _result(
    model: HookedLM,
    tasks: Sequence[_TaskRun],
    rows: Sequence[pd.DataFrame],
    settings: Mapping[str, Any],
    *,
    shots: int | None,
    seed: int,
) -> EvaluationResult:
    table = pd.concat(rows, ignore_index=True)
    scores = [name for name in table.columns if name.startswith(SCORE)]
    done = set(table["task"])
    begun = [task_run for task_run in tasks if task_run.task.name in done]
    provenance = Provenance(
        model=model.name, revision=model.revision,
        adapter=model.adapter if "tuned" in settings["states"] else None,
        task=",".join(task_run.task.name for task_run in begun), languages=tuple(dict.fromkeys(table["language"])),
        policy="", protocol=",".join(dict.fromkeys(task_run.protocol for task_run in begun)), seed=seed,
        settings={
            **settings, **model.noted, "tasks": {task_run.task.name: task_run.settings(shots) for task_run in begun},
        },
    )  # fmt: skip
    return EvaluationResult(table=table[[*COLUMNS, *scores]], provenance=provenance)
