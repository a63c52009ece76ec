"""Tasks of lm-eval (the LM evaluation harness) on a loaded model, with a result per item.

lm-eval writes the prompts and decides what is right; the model is asked through `asked_by_harness`. Each item becomes a
row of an `EvaluationResult`: intervals, McNemar's test and language groups are those of every evaluation.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from latentlang.arguments import check_count, checked_call, split_names
from latentlang.errors import InputError, LatentlangError
from latentlang.evaluation.asked_by_harness import harness_model
from latentlang.evaluation.evaluation_settings import EvaluatedTaskSettings
from latentlang.evaluation.result import COLUMNS, SCORE, EvaluationResult
from latentlang.generation.kept_answers import answers_in, depends_on
from latentlang.installing import install_command
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.models import HookedLM, as_model
from latentlang.models.states import chosen_states, in_state
from latentlang.paths import given_path, is_folder
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks.candidates import LM_EVAL
from latentlang.tasks.hub import without_bars

#: Metrics of lm-eval that say of each item whether it is right, in the order in which one is taken.
METRICS = ("acc", "acc_norm", "acc_bytes", "exact_match", "acc_mutual_info", "prompt_level_strict_acc")
_FLORES = re.compile(r"(.+)_([a-z]{3}_[A-Z][a-z]{3})")
# A language with its country; a second language (mlqa_ar_de) is none.
_REGION = re.compile(r"(.+)_([a-z]{2})_(?:bd|br|cn|in|jp|ke|kr|la|ng|tw|us|xy|\2)")
_CODE = re.compile(r"(.+)_([a-z]{2})")
_MACHINE_TRANSLATED = re.compile(r"(.+)_([a-z]{2})_mt")
# Ends of lm-eval's names that are words and abbreviations of their own (arxiv_cs: computer science).
_NO_CODE = re.compile(r".*_(?:lsat_ar|jec_qa_ca|yes_no|arxiv_cs|shi_ba|om_te)|polemo2_in")


@checked_call
def evaluate_harness(
    model: HookedLM | str,
    tasks: str | Iterable[str],
    *,
    include: str | os.PathLike[str] | None = None,
    language: str | Language | None = None,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    metric: str | None = None,
    states: str | Sequence[str] | None = None,
    seen_languages: str | Language | Iterable[str | Language] | None = None,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> EvaluationResult:
    """Run tasks of lm-eval on a model.

    ``xcopa_it`` and ``xcopa_sw`` become one task, ``xcopa``, in two languages: a language code at the end of a name is
    its language. Items with the same number are taken to be the same in all languages of a task. A task in a language
    that another of its name has already keeps its whole name.

    Args:
        model: the model, or its name; it is not changed.
        tasks: names of tasks, groups or tags of lm-eval, with ``*`` for several (``"xcopa_it,xcopa_sw"``).
        include: folder with YAML files of tasks of your own, beside lm-eval's. They may name Python functions, which
            are then run: take no such files from strangers.
        language: language of tasks whose names do not end in one; English by default, with a note.
        items: the first so many of each task; None for all.
        shots: few-shot examples; None for what each task says.
        seed: draws the few-shot examples, and the texts of tasks that sample them.
        metric: what counts as right, one of `METRICS`; None for the first of these that a task has.
        states: ``base``, ``tuned`` (with the adapter), or both; None for all the model has.
        seen_languages: languages that the adapter was trained on, for averages over seen and unseen ones.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where what the model answers is kept as soon as it is there, so that the same call goes on
            where one was stopped; delete it when the result is saved. None keeps nothing.
        progress: as of `evaluate`; a function is called with (requests done, requests so far).

    Raises:
        InputError: lm-eval is not installed, a task is not known, its data cannot be had or it has no metric that says
            of an item whether it is right; an impossible number.
        ModelError: as of `evaluate`.
    """
    model = as_model(model)
    check_count("items", items, least=1)
    check_count("shots", shots, least=0)
    check_count("seed", seed, least=0)
    names = split_names(tasks)
    if not names:
        raise InputError("no task of lm-eval named; give names such as 'xcopa_it,xcopa_sw'")
    state_names = chosen_states(model, states)
    default = None if language is None else find_language(language).code
    with _quiet():
        loaded = _loaded(names, include)
        runs = [_HarnessTask.of(name, task, metric, default) for name, task in loaded["tasks"].items()]
        _settle_names(runs)
        rows: list[pd.DataFrame] = []
        asked: dict[str, Any] = {}
        with (
            reporting(progress, "evaluating", total=None) as report,
            answers_in(resume, lambda: depends_on(model)) as kept,
        ):
            for state in state_names:
                for run in runs:
                    run.set_up(shots, seed)
                lm = harness_model(
                    model, batch_tokens=batch_tokens, progress=report, kept=kept, state=state, seed=seed
                )
                with in_state(model, state):
                    samples = _samples(lm, loaded, items)
                asked |= lm.notes()
                rows += [run.rows(state, samples[run.name]) for run in runs]
    return _result(model, runs, rows, asked, states=state_names, seed=seed, seen_languages=seen_languages)


@dataclass
class _HarnessTask:
    """One task of lm-eval.

    Attributes:
        name: as lm-eval calls it.
        task: lm-eval's object.
        base: its name without the language.
        language: code.
        metric: what counts as right.
        note: what is to be said of it; empty for nothing.
        shots: few-shot examples.
        most: candidates of the item that has the most; 0 where answers are written.
        items: how many there were.
    """

    name: str
    task: Any
    base: str
    language: str
    metric: str
    note: str = ""
    shots: int = 0
    most: int = 0
    items: int = 0

    @classmethod
    def of(cls, name: str, task: Any, metric: str | None, language: str | None) -> _HarnessTask:
        """Settle name, language and metric.

        Raises:
            InputError: it has no such metric, or none that says of an item whether it is right.
        """
        there = list(task.aggregation())
        right = [known for known in METRICS if known in there]
        if not right or (metric is not None and metric not in there):
            what = (
                f"no metric {metric!r}"
                if metric is not None and right
                else "no metric that says of an item whether it is right"
            )
            raise InputError(
                f"lm-eval's task {name} has {what}, only {', '.join(there) or 'none'}; "
                f"{f'choose one of {chr(44).join(right)}' if right else 'run it with lm-eval itself'}"
            )
        if metric is not None and metric not in METRICS:
            raise InputError(
                f"metric {metric!r} says of no item whether it is right; {name} has {', '.join(right)}"
            )
        base, said = task_and_language(name)
        note = ""
        if not said:
            said = language or "en"
            note = (
                ""
                if language
                else f"the name {name} says no language: taken as English (language= says another)"
            )
        return cls(name, task, base, said, metric or right[0], note)

    def set_up(self, shots: int | None, seed: int) -> None:
        """Few-shot examples as asked for; the same draw in each state."""
        usual = self.task.get_config("num_fewshot")
        if usual is None or (shots is not None and usual != 0):
            self.task.set_config(key="num_fewshot", value=shots or 0)
        self.shots = int(self.task.get_config("num_fewshot") or 0)
        if shots and not self.shots:
            self.note = self.note or f"lm-eval's {self.name} takes no few-shot examples"
        self.task.set_fewshot_seed(seed=seed)

    def rows(self, state: str, samples: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """The table's rows of a state, of the first of the task's filters."""
        first = samples[0]["filter"]
        kept = sorted((s for s in samples if s["filter"] == first), key=lambda s: int(s["doc_id"]))
        self.items = len(kept)
        return pd.DataFrame(
            [
                {
                    "task": self.base,
                    "state": state,
                    "language": self.language,
                    "item": f"{int(sample['doc_id']):05}",
                    "answerable": True,
                    "mass": np.nan,
                    "shared": 0.0,
                    **self._record(sample),
                }
                for sample in kept
            ]
        )

    def _record(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """What one item's row says of the answer."""
        value = sample[self.metric]
        if not isinstance(value, int | float | np.number | np.bool_) or float(value) not in (0.0, 1.0):
            raise InputError(
                f"lm-eval's metric {self.metric} gives {value!r} for an item of {self.name}, which is neither right "
                "nor wrong; choose another with metric="
            )
        right = bool(value)
        if self.task.OUTPUT_TYPE != "multiple_choice":
            target = str(sample["target"])
            answer = sample["filtered_resps"][0]
            answer = answer[0] if isinstance(answer, list | tuple) else answer
            if self.task.OUTPUT_TYPE == "loglikelihood":
                # what the model would write in the place of a text that is not the likeliest is not known
                answer = target if right else ""
            return {"label": target, "predicted": str(answer), "right": right, "confidence": np.nan}
        choices = self.task.doc_to_choice(sample["doc"])
        scores = np.array([float(answer[0]) for answer in sample["filtered_resps"]])[: len(choices)]
        if self.metric == "acc_norm":
            scores = scores / [len(text) for text in choices]
        elif self.metric == "acc_bytes":
            scores = scores / [len(text.encode()) for text in choices]
        self.most = max(self.most, len(scores))
        gold = (self.task.doc_to_text if self.task.multiple_input else self.task.doc_to_target)(sample["doc"])
        gold = choices.index(gold) if isinstance(gold, str) and gold in choices else gold
        gold = gold[0] if isinstance(gold, list) else gold
        chosen = int(np.argmax(scores))
        # of a metric with a choice of its own, and of items with several right answers, what lm-eval says counts
        label = chosen if right else int(gold) if str(gold).isdigit() else -1
        return {
            "label": str(label + 1),
            "predicted": str(chosen + 1),
            "right": right,
            "confidence": float(1 / np.exp(scores - scores.max()).sum()),
            **{f"{SCORE}{place}": float(score) for place, score in enumerate(scores, 1)},
        }


def _settle_names(runs: Sequence[_HarnessTask]) -> None:
    """Give a task whose language another of the same name has already its whole name.

    Raises:
        InputError: languages of one task are measured by different metrics.
    """
    taken: dict[tuple[str, str], _HarnessTask] = {}
    metrics: dict[str, _HarnessTask] = {}
    for run in runs:
        if taken.setdefault((run.base, run.language), run) is not run:
            run.base = run.name
        first = metrics.setdefault(run.base, run)
        if run.metric != first.metric:
            raise InputError(
                f"{first.name} is measured by {first.metric} and {run.name} by {run.metric}, which have no mean; name "
                "one that both have (metric=), or run them one after the other"
            )


def task_and_language(name: str) -> tuple[str, str]:
    """The name of a task without its language, and the language's code; empty where it says none.

    ``xcopa_it`` is ``xcopa`` in ``it``, ``belebele_lug_Latn`` is ``belebele`` in ``lg``, ``mmmlu_es_la`` is ``mmmlu``
    in ``es``, ``arc_easy`` says no language.
    """
    if _NO_CODE.fullmatch(name):
        return name, ""
    for pattern, end in ((_FLORES, ""), (_MACHINE_TRANSLATED, "_mt"), (_REGION, ""), (_CODE, "")):
        if (match := pattern.fullmatch(name)) is not None:
            try:
                return match[1] + end, find_language(match[2]).code
            except InputError:
                continue
    return name, ""


def _loaded(names: Sequence[str], include: str | os.PathLike[str] | None) -> dict[str, Any]:
    """lm-eval's objects of these tasks.

    Raises:
        InputError: lm-eval is missing, or does not know a task, or cannot read its data.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise InputError(f"tasks of the harness need lm-eval; `{install_command('eval')}`") from error
    folder = None
    if include is not None:
        folder = given_path(include)
        if not is_folder(folder):
            raise InputError(
                f"include={str(folder)!r} is no folder; give one with YAML files of lm-eval tasks"
            )
    # lm-eval's own thousands of tasks take seconds to list: only where a name is not among the user's
    managers = ([(folder, False)] if folder is not None else []) + [(folder, True)]
    for path, defaults in managers:
        manager = TaskManager(include_path=None if path is None else str(path), include_defaults=defaults)
        unknown = [name for name in names if not manager.match_tasks([name])]
        if not unknown or defaults:
            break
    if unknown:
        raise InputError(
            f"lm-eval has no task {unknown[0]!r}; `lm-eval ls tasks` lists those it has, and --include FOLDER adds "
            "your own"
        )
    try:
        loaded: dict[str, Any] = dict(manager.load(manager.match_tasks(list(names))))
    # the datasets library and lm-eval raise about everything where a set is out of reach
    except Exception as error:
        reason = " ".join((str(error).strip() or type(error).__name__).split())[:200]
        raise InputError(
            f"lm-eval cannot set up {', '.join(names)} ({reason}); its data must be within reach on the hub or in the "
            "local cache and fit its YAML file, or give a task that reads files of yours with --include FOLDER"
        ) from error
    return loaded


def _samples(
    lm: Any, loaded: Mapping[str, Any], items: int | None
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Task name to what lm-eval logs of each item.

    Raises:
        InputError: lm-eval cannot run a task.
    """
    from lm_eval.evaluator import evaluate

    try:
        logged = evaluate(lm=lm, task_dict=loaded, limit=items, log_samples=True, bootstrap_iters=0)
    except LatentlangError:
        raise
    # templates and Python functions of tasks raise about everything, items late in a file too
    except Exception as error:
        reason = " ".join((str(error).strip() or type(error).__name__).split())[:300]
        raise InputError(f"lm-eval cannot run {', '.join(loaded['tasks'])}: {reason}") from error
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = logged["samples"]
    return samples


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what lm-eval logs, its bars and those of its data sets: ours says what is done."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with ExitStack() as after:
        after.callback(logger.setLevel, level)
        try:
            from lm_eval.api import task as tasks_of_lm_eval
        except ImportError:  # which is said where tasks are read
            pass
        else:
            # the bar over contexts has no switch of its own
            bar = tasks_of_lm_eval.tqdm
            after.callback(setattr, tasks_of_lm_eval, "tqdm", bar)
            tasks_of_lm_eval.tqdm = partial(bar, disable=True)
            after.enter_context(without_bars())
        yield


def _result(
    model: HookedLM,
    runs: Sequence[_HarnessTask],
    rows: Sequence[pd.DataFrame],
    asked: Mapping[str, Any],
    *,
    states: Sequence[str],
    seed: int,
    seen_languages: str | Language | Iterable[str | Language] | None,
) -> EvaluationResult:
    table = pd.concat(rows, ignore_index=True)
    tasks: dict[str, Any] = {}
    for base in dict.fromkeys(run.base for run in runs):
        of_task = [run for run in runs if run.base == base]
        most = max(1, *(run.most for run in of_task))
        for place in range(1, most + 1):
            if f"{SCORE}{place}" not in table:
                table[f"{SCORE}{place}"] = np.nan
        settings = EvaluatedTaskSettings(
            protocol=LM_EVAL,
            labels=[str(place) for place in range(1, most + 1)],
            per_item=True,
            shots=max(run.shots for run in of_task),
            items=max(run.items for run in of_task),
            notes={run.language: run.note for run in of_task if run.note},
        )
        versions = {run.name: str(run.task.VERSION) for run in of_task}
        tasks[base] = {**settings.stored(), "lm_eval_tasks": versions, "metric": of_task[0].metric}
    order = list(dict.fromkeys(run.base for run in runs))
    table["task"] = pd.Categorical(table["task"], order)
    table = table.sort_values("task", kind="stable").astype({"task": object}).reset_index(drop=True)
    scores = sorted(
        (name for name in table.columns if name.startswith(SCORE)), key=lambda name: (len(name), name)
    )
    provenance = Provenance(
        model=model.name,
        revision=model.revision,
        adapter=model.adapter if "tuned" in states else None,
        task=",".join(order),
        languages=tuple(dict.fromkeys(table["language"])),
        policy="",
        protocol=LM_EVAL,
        seed=seed,
        settings={
            "score": ",".join(dict.fromkeys(run.metric for run in runs)),
            "states": list(states),
            "seen": [] if not seen_languages else [entry.code for entry in find_languages(seen_languages)],
            **model.noted,
            **asked,
            "tasks": tasks,
        },
    )
    return EvaluationResult(table=table[[*COLUMNS, *scores]], provenance=provenance)
