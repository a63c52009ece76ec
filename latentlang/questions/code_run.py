"""Programming problems put to a model: its programs are run in the sandbox, and those that pass counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from latentlang.arguments import check_count, checked_call
from latentlang.code_execution import Limits, ProgramRun, SandboxError, check_sandbox, run_program, run_tests
from latentlang.errors import InputError
from latentlang.generation.kept_answers import KeptAnswers, answers_in, depends_on, generate_kept
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import HookedLM, as_model
from latentlang.models.chat import chat_template_of, chat_text
from latentlang.models.decoding import Decoding
from latentlang.models.states import BASE, chosen_states, in_state
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance
from latentlang.questions.answer_files import read_answers
from latentlang.questions.asking import chosen_questions
from latentlang.questions.code_problems import STOPS, Problem, program_in_chat, read_problems, written_body
from latentlang.questions.code_result import CANONICAL, COLUMNS, CodeResult
from latentlang.tasks import Prompt
from latentlang.tasks.files import PathLike, Paths

#: Tokens of a completion, and how programs are drawn where there are several (UltraLink's evaluator: 300, 0.1, 0.95).
NEW_TOKENS, TEMPERATURE, TOP_P = 300, 0.8, 0.95


@checked_call
def humaneval(
    model: HookedLM | str | None,
    problems: Mapping[str, Sequence[Problem]] | Paths,
    *,
    allow_code: bool = False,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    samples: int = 1,
    k: int | Sequence[int] = 1,
    temperature: float = TEMPERATURE,
    new_tokens: int = NEW_TOKENS,
    answers: PathLike | None = None,
    states: str | Sequence[str] | None = None,
    limits: Limits | None = None,
    chat: bool = False,
    seed: int = 0,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> CodeResult:
    """Let a model write functions, run them against their tests, and count those that pass, beside the ceiling.

    The benchmark's own solutions are run first, behind the same prompts: where translation changed a function's name or
    broke its head, no model can pass. Programs run in a sandbox (`code_execution`), or not at all; their tests in
    another process, but for problems whose own solution passes beside its tests alone (the setting `together`).

    Args:
        model: the model, or its name; it is not changed. None runs the canonical solutions, and a file's programs.
        problems: files in HumanEval's layout, or what `read_problems` read.
        allow_code: True allows programs to be run; without it nothing is.
        languages: languages of the prompts; None for all that are there.
        items: problems per language, the same in every language; None for all.
        samples: programs per problem; one is written greedily, several are drawn.
        k: of how many one has to pass, a number or several; none above `samples`.
        temperature: of the draws, with top-p 0.95.
        new_tokens: how many tokens a program has at most.
        answers: a file of programs that were written before (`read_answers`; several per problem where ``samples`` is
            more than one): what goes behind the prompt.
        states: ``base``, ``tuned`` (with the adapter), or both; None for all the model has.
        limits: what a program may use.
        chat: whether problems are asked in the chat template of the model's tokenizer; the program is then taken out of
            the answer (`program_in_chat`).
        seed: draws problems and programs.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where programs are kept as soon as they are written, so that the same call goes on where one
            was stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (programs done, programs in all).

    Raises:
        InputError: running programs was not allowed, k is above the number of programs, or a file cannot be read.
        SandboxError: this machine cannot keep programs in; nothing was run.
        ModelError: a prompt longer than the model can read.
    """
    if not allow_code:
        raise InputError(
            "programs are only run where that is allowed: say allow_code=True (--allow-code); they run in a process "
            "without network and files, see docs/howto/questions.md"
        )
    for name, value, least in (
        ("items", items, 1),
        ("samples", samples, 1),
        ("new_tokens", new_tokens, 1),
        ("seed", seed, 0),
    ):
        check_count(name, value, least=least)
    read = problems if isinstance(problems, Mapping) else read_problems(problems, languages=languages)
    chosen = {code: chosen_questions(part, items, seed) for code, part in _wanted(read, languages).items()}
    given = None
    if answers is not None:
        given = read_answers(
            answers, {code: [one.item for one in part] for code, part in chosen.items()}, several=True
        )
    has_programs = model is not None or given is not None
    count = _programs(given, samples)
    ks = [1]
    if has_programs:
        ks = sorted({k} if isinstance(k, int) else {*k})
        _check_ks(ks, count)
    check_sandbox()  # before a model is loaded and writes for hours
    limits = limits or Limits()
    loaded = None if model is None or given is not None else as_model(model)
    state_names = [] if not has_programs else [BASE] if loaded is None else chosen_states(loaded, states)
    if loaded is None and (chat or resume is not None):
        raise InputError("no model writes anything here; leave chat and resume out, or give a model")
    if chat and loaded is not None:
        chat_template_of(loaded.tokenizer, model=loaded.name)
    decoding = _decoding(samples, temperature, new_tokens, seed, stop=() if chat else STOPS)
    total = sum(map(len, chosen.values())) * (1 + len(state_names) * count * (2 if loaded is not None else 1))

    def all_depends_on() -> dict[str, Any]:
        assert loaded is not None
        return depends_on(loaded, decoding)

    with (
        reporting(progress, "running programs", total=total) as report,
        answers_in(resume, all_depends_on) as kept,
    ):
        runs = _Runs(limits, report, total)
        for part in chosen.values():
            for problem in part:
                runs.run_canonical(problem)
        for code, part in chosen.items():
            for state in state_names:
                if given is not None:
                    written = [given[code][problem.item] for problem in part]
                else:
                    assert loaded is not None
                    with in_state(loaded, state):
                        written = _written(
                            loaded, part, decoding, batch_tokens, runs.while_written(count),
                            chat=chat, kept=kept, state=f"{state}-{code}",
                        )  # fmt: skip
                    runs.done += count * len(part)
                for problem, completions in zip(part, written, strict=True):
                    runs.run(problem, state, completions)
    source = "canonical solutions" if given is None else f"answers of {answers}"
    provenance = Provenance(
        model=source if loaded is None else loaded.name,
        revision=None if loaded is None else loaded.revision,
        adapter=loaded.adapter if loaded is not None and "tuned" in state_names else None,
        task="humaneval",
        languages=tuple(chosen),
        policy="",
        seed=seed,
        settings={
            "states": [CANONICAL, *state_names],
            "samples": count if has_programs else 0,
            "ks": ks,
            "items": max(map(len, chosen.values())),
            "new_tokens": new_tokens if loaded is not None else None,
            "answers_from": None if answers is None else str(answers),
            "decoding": decoding.how if loaded is not None else None,
            "temperature": decoding.temperature if loaded is not None else None,
            "chat": "turns" if chat else None,
            "limits": asdict(limits),
            "layers": list(runs.layers),
            "together": {code: list(items) for code, items in runs.together.items()},
            **({} if loaded is None else loaded.noted),
        },
    )
    return CodeResult(pd.DataFrame(runs.rows)[list(COLUMNS)], provenance)


class _Runs:
    """Programs that are run one after the other: a row of each, what kept them in, and how many are done.

    Attributes:
        rows: of the table.
        layers: see `ProgramRun`; the same for all programs.
        together: language code to the problems whose tests need to be in one process with the program.
        done: programs written, and programs run.
    """

    def __init__(self, limits: Limits, report: Report, total: int) -> None:
        self.rows: list[dict[str, Any]] = []
        self.layers: tuple[str, ...] = ()
        self.together: dict[str, list[str]] = {}
        self.done = 0
        self._limits, self._report, self._total = limits, report, total

    def run_canonical(self, problem: Problem) -> None:
        """Try a problem's own solution, which alone decides whether its tests can be in another process."""
        completion = problem.canonical_solution
        outcome = self._tried(problem, completion)
        if not outcome.passed and (other := self._tried_together(problem, completion)).passed:
            self.together.setdefault(problem.language, []).append(problem.item)
            outcome = other
        self._add(problem, CANONICAL, 0, completion, outcome)

    def run(self, problem: Problem, state: str, completions: Sequence[str]) -> None:
        """Try each completion of a problem."""
        together = problem.item in self.together.get(problem.language, ())
        for sample, completion in enumerate(completions):
            tried = self._tried_together if together else self._tried
            self._add(problem, state, sample, completion, tried(problem, completion))

    def _tried(self, problem: Problem, completion: str) -> ProgramRun:
        return run_tests(
            problem.solution(completion), head=problem.solution(problem.canonical_solution), tests=problem.tests,
            entry_point=problem.entry_point, limits=self._limits,
        )  # fmt: skip

    def _tried_together(self, problem: Problem, completion: str) -> ProgramRun:
        return run_program(problem.program(completion), limits=self._limits)

    def _add(self, problem: Problem, state: str, sample: int, completion: str, outcome: ProgramRun) -> None:
        self.layers = outcome.layers
        self.rows.append(
            {
                "state": state,
                "language": problem.language,
                "item": problem.item,
                "sample": sample,
                "completion": completion,
                "ended": outcome.ended,
                "detail": outcome.detail,
                "passed": outcome.passed,
            }
        )
        self.done += 1
        self._report(self.done, self._total)

    def while_written(self, count: int) -> Report:
        """What is called with the problems that a model has written `count` programs for each."""
        return lambda problems, _all: self._report(self.done + count * problems, self._total)


def _wanted(
    problems: Mapping[str, Sequence[Problem]], languages: str | Language | Iterable[str | Language] | None
) -> dict[str, Sequence[Problem]]:
    codes = list(problems) if languages is None else [entry.code for entry in find_languages(languages)]
    for code in codes:
        if not problems.get(code):
            raise InputError(f"there is no problem in {code!r}; there are {', '.join(problems) or 'none'}")
    if not codes:
        raise InputError("there is no problem; give at least one")
    return {code: problems[code] for code in codes}


def _programs(given: Mapping[str, Mapping[str, Sequence[str]]] | None, samples: int) -> int:
    """Programs per problem: those of a file where there is one, the same number of each."""
    if given is None:
        return samples
    counts = {len(texts): (code, item) for code, part in given.items() for item, texts in part.items()}
    if len(counts) > 1:
        (few, (code, item)), *_rest = sorted(counts.items())
        raise InputError(
            f"problem {item!r} in {code!r} has {few} programs, and others have {max(counts)}; give as many of each"
        )
    return next(iter(counts))


def _check_ks(ks: Sequence[int], count: int) -> None:
    for number in ks:
        check_count("k", number, least=1)
        if number > count:
            raise InputError(
                f"pass@{number} needs at least {number} programs per problem, and there are {count}; say "
                f"samples={number} (--samples {number}) or more, or a smaller k"
            )
    if not ks:
        raise InputError("no k is named; give at least one")


def _decoding(
    samples: int, temperature: float, new_tokens: int, seed: int, *, stop: tuple[str, ...]
) -> Decoding:
    if samples == 1:
        return Decoding(new_tokens=new_tokens, stop=stop)
    return Decoding(
        how="sample",
        samples=samples,
        temperature=temperature,
        top_p=TOP_P,
        new_tokens=new_tokens,
        seed=seed,
        stop=stop,
    )


def _written(
    model: HookedLM,
    problems: Sequence[Problem],
    decoding: Decoding,
    batch_tokens: int | None,
    progress: Report,
    *,
    chat: bool,
    kept: KeptAnswers | None,
    state: str,
) -> list[list[str]]:
    prompts: list[str | Prompt] = [problem.prompt for problem in problems]
    if chat:
        prompts = [_chat_prompt(problem, model) for problem in problems]
    texts = generate_kept(
        model,
        prompts,
        decoding,
        items=[problem.item for problem in problems],
        state=state,
        kept=kept,
        batch_tokens=batch_tokens,
        progress=progress,
    )
    return [
        [
            program_in_chat(written.text, problem.entry_point) if chat else written_body(written.text)
            for written in samples
        ]
        for problem, samples in zip(problems, texts, strict=True)
    ]


def _chat_prompt(problem: Problem, model: HookedLM) -> Prompt:
    turns = [{"role": "user", "content": problem.prompt.strip()}]
    text = chat_text(turns, model.tokenizer, model=model.name, answer_next=True)
    return Prompt(problem.item, problem.language, problem.item, "", text, "", templated=True)


__all__ = ["SandboxError", "humaneval"]
