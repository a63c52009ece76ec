"""Running steps: each kept in a folder with what it was asked, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from latentlang.activations import ActivationStore, harvest, open_store
from latentlang.activations.manifest import STORE_FILES
from latentlang.errors import InputError, LatentlangError
from latentlang.evaluation import EvaluationResult, evaluate
from latentlang.geometry import AlignmentResult, PCAResult, alignment, compare_pca
from latentlang.lens import LensResult, logit_lens
from latentlang.models import HookedLM, load
from latentlang.reproduction.kinds.base import AnyStep, KindStep, RunContext
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.step_keys import Keys
from latentlang.reproduction.steps import Step, groups, harvest_for
from latentlang.results import Result
from latentlang.storage.step_cache import Steps, is_whole
from latentlang.training import TrainingResult, train
from latentlang.training.run_folder import RUN_FILES
from latentlang.workers import WORKERS, begin_worker

Saved = TypeVar("Saved", bound=Result[Any])

#: Called while a step runs with: the step, things done, things in all.
Progress = Callable[[Any, int, int], None]
#: What the paper's Pearson tables are made of, and what its PCA and correlation average over.
MEASURE, POOL = "pearson", "mean"
_CURVE_POLICIES = {"corrected": "exclusive", "as-published": "drop"}


@dataclass(frozen=True)
class Bench:
    """Where steps run: settings, the cache's folder, and the harvests that steps read.

    Attributes:
        settings: how they are run.
        cache: folder of all steps.
        harvests: the harvests of the whole set of experiments.
        models: name of each model to what tells its weights from others (`models.fingerprint.model_key`).
        context: what the run knows besides its experiments; its settings give way to these here.
    """

    settings: ReproductionSettings
    cache: Path
    harvests: tuple[Step, ...]
    models: Mapping[str, str]
    context: RunContext = field(default_factory=RunContext, repr=False)

    @property
    def run(self) -> RunContext:
        """What the run knows, with these settings."""
        return replace(self.context, settings=self.settings)

    def keys(self) -> Keys:
        """Hashes of the steps."""
        return Keys(self.run, self.models)

    def run_group(self, steps: Sequence[AnyStep], progress: Progress | None = None) -> list[str]:
        """Run steps that share a model and its adapter; it is loaded once, and only if something is to be run.

        Returns:
            Names of the steps that were run; the others were there.

        Raises:
            InputError, ModelError: a step cannot be run. What was run before stays.
        """
        runner = StepRunner(self, progress)
        for step in steps:
            runner.run(step)
        return runner.done


class StepRunner:
    """Runs steps one after the other, with one model in memory.

    Attributes:
        done: names of the steps that were run; the others were there.
        context: what the run knows.
    """

    def __init__(self, bench: Bench, progress: Progress | None = None) -> None:
        """Prepare; nothing is loaded before a step needs it."""
        self._bench, self._progress = bench, progress
        self._settings = bench.settings
        self.context = bench.run
        self._keys = bench.keys()
        self._steps = Steps(bench.cache)
        self._model: tuple[object, HookedLM] | None = None
        self.done: list[str] = []

    def run(self, step: AnyStep) -> Any:
        """The outcome of a step, from the cache or computed, with the model called as the user calls it."""
        outcome = self._kept(step)
        called, model = self.context.called, step.model if isinstance(step, Step) else step.runs
        if called is None or model != self.context.model or not isinstance(outcome, Result):
            return outcome
        return replace(outcome, provenance=replace(outcome.provenance, model=called))

    def _kept(self, step: AnyStep) -> Any:
        """The outcome of a step as it is kept: with the model's own name, so that it serves a run under any other."""
        name = self._keys.name(step, self._bench.harvests)
        options = self._keys.options(step, self._bench.harvests)
        compute, read, resumes = self._how(step)

        def computed(folder: Path) -> Any:
            self.done.append(name)
            return compute(folder)

        return self._steps.run(name, options, computed, read, resumes=resumes)

    def _how(self, step: AnyStep) -> tuple[Callable[[Path], Any], Callable[[Path], Any], Sequence[str]]:
        """What computes a step, what reads it back, and what a stopped one leaves."""
        if isinstance(step, KindStep):
            tools = _Tools(self, step)
            return partial(self._of_kind, step, tools), step.read, step.resumes
        stores = [f"store/{file}" for file in STORE_FILES]
        kinds: dict[str, tuple[Callable[[Step, Path], Any], Callable[[Path], Any], Sequence[str]]] = {
            "train": (self._train, TrainingResult.load, RUN_FILES),
            "evaluate": (self._evaluate, EvaluationResult.load, ()),
            "lens": (self._lens, LensResult.load, ()),
            "harvest": (self._harvest, lambda folder: open_store(folder / "store"), stores),
            "align": (self._align, AlignmentResult.load, ()),
            "pca": (self._pca, PCAResult.load, ()),
        }
        compute, read, resumes = kinds[step.kind]
        return partial(compute, step), read, resumes

    def _of_kind(self, step: KindStep, tools: _Tools, folder: Path) -> Any:
        for needed in step.needs:
            self._kept(needed)
        return step.compute(folder, tools)

    def folder(self, step: AnyStep) -> Path:
        """Where a step's outcome lies, or will."""
        return self._bench.cache / self._keys.name(step, self._bench.harvests)

    def progress_of(self, step: AnyStep) -> Callable[[int, int], None] | None:
        """What a step tells how far it is; None where nobody looks."""
        return None if self._progress is None else partial(self._progress, step)

    def _loaded(self, step: Step) -> HookedLM:
        """The model with the step's adapter on it."""
        loaded = (step.model, step.adapter)
        if self._model is not None:
            had, model = self._model
            if had == loaded:
                return model
            self._model = None  # before the next one is loaded: two may not fit
        training = step.training
        adapter = None
        if training is not None:
            self._kept(training)
            adapter = self.folder(training)
            _collected()
        model = load(step.model, adapter=adapter, **self._settings.loading)
        self._model = (loaded, model)
        return model

    def model(self, name: str, adapter: Path | None) -> HookedLM:
        """A model with an adapter that lies in a folder, for the steps of other kinds of experiment."""
        loaded = (name, adapter)
        if self._model is not None and self._model[0] == loaded:
            return self._model[1]
        self._model = None
        _collected()
        model = load(name, adapter=adapter, **self._settings.loading)
        self._model = (loaded, model)
        return model

    # the steps

    def _train(self, step: Step, folder: Path) -> TrainingResult:
        settings, report = self._settings, self.progress_of(step)
        loading = {
            name: settings.loading[name]
            for name in ("device", "quantization", "trust_remote_code")
            if settings.loading.get(name)
        }
        return train(
            step.model, settings.recipe(step), out=folder, data=settings.training_examples(step),
            dtype=settings.loading.get("dtype"),
            progress=None if report is None else lambda at: report(at.step, at.steps), **loading,
        )  # fmt: skip

    def _evaluate(self, step: Step, folder: Path) -> EvaluationResult:
        settings = self._settings
        result = evaluate(
            self._loaded(step), settings.task(step), languages=step.languages, items=settings.items(step.task),
            seed=settings.seed, states=[step.adapter.state], batch_tokens=settings.batch_tokens,
            progress=self.progress_of(step),
        )  # fmt: skip
        return _saved(result, step, folder)

    def _lens(self, step: Step, folder: Path) -> LensResult:
        settings = self._settings
        result = logit_lens(
            self._loaded(step), settings.task(step), languages=step.languages, items=settings.items(step.task),
            seed=settings.seed, protocol=settings.protocol, policy=_CURVE_POLICIES[settings.protocol],
            progress=self.progress_of(step),
        )  # fmt: skip
        return _saved(result, step, folder)

    def _harvest(self, step: Step, folder: Path) -> ActivationStore:
        settings = self._settings
        return harvest(
            self._loaded(step), settings.task(step), out=folder / "store", languages=step.languages,
            items=settings.items(step.task), seed=settings.seed, layers=step.layers, pools=(POOL, "question"),
            batch_tokens=settings.batch_tokens, normed_last=settings.protocol == "as-published",
            progress=self.progress_of(step),
        )  # fmt: skip

    def _align(self, step: Step, folder: Path) -> AlignmentResult:
        size = self._settings.size
        store = self._kept(harvest_for(step, self._bench.harvests))
        result = alignment(
            store, languages=step.languages, layers=step.layers, measures=MEASURE, seed=self._settings.seed,
            permutations=size.permutations, resamples=size.resamples, progress=self.progress_of(step),
        )  # fmt: skip
        return _saved(result, step, folder)

    def _pca(self, step: Step, folder: Path) -> PCAResult:
        before, after = (
            self._kept(harvest_for(step, self._bench.harvests, base=base)) for base in (True, False)
        )
        result = compare_pca(
            before,
            after,
            layers=step.layers,
            languages=step.languages,
            pools=POOL,
            progress=self.progress_of(step),
        )
        return _saved(result, step, folder)


@dataclass(frozen=True)
class _Tools:
    """What a step of another kind of experiment may use (`kinds.base.StepTools`)."""

    _runner: StepRunner
    _step: KindStep

    @property
    def run(self) -> RunContext:
        return self._runner.context

    @property
    def progress(self) -> Callable[[int, int], None] | None:
        return self._runner.progress_of(self._step)

    def model(self, name: str, *, adapter: Path | None = None) -> HookedLM:
        return self._runner.model(name, adapter)

    def outcome(self, step: KindStep) -> Any:
        return self._runner._kept(step)

    def folder(self, step: KindStep) -> Path:
        return self._runner.folder(step)


def _collected() -> None:
    """Free what was trained or loaded: it lives on in cycles of objects until they are collected."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _saved(result: Saved, step: Step, folder: Path) -> Saved:
    """Save a result with its adapter called by the recipe: where the cache lies is nobody's business."""
    if step.adapter.task:
        named = f"{step.adapter.recipe}, {step.adapter.task} questions"
        result = replace(result, provenance=replace(result.provenance, adapter=named))
    result.save(folder)
    return result


def is_there(bench: Bench, keys: Keys, step: AnyStep) -> bool:
    """Whether a step's outcome lies in the cache."""
    return is_whole(bench.cache / keys.name(step, bench.harvests), keys.options(step, bench.harvests))


def all_groups(steps: Sequence[AnyStep]) -> list[list[AnyStep]]:
    """Steps that run in one process, one after the other: of a model with its adapter, or that need each other."""
    of_kinds: list[list[KindStep]] = []
    for step in steps:
        if isinstance(step, KindStep):
            mine = [group for group in of_kinds if _belongs(step, group)]
            of_kinds = [group for group in of_kinds if group not in mine]
            of_kinds.append([*(one for group in mine for one in group), step])
    found: list[list[AnyStep]] = []
    found += [list(group) for group in groups(step for step in steps if isinstance(step, Step))]
    found += [list(group) for group in of_kinds]
    return found


def _belongs(step: KindStep, group: Sequence[KindStep]) -> bool:
    return any(
        (step.runs and step.runs == other.runs) or step in other.needs or other in step.needs
        for other in group
    )


def run_groups(
    bench: Bench, steps: Sequence[AnyStep], *, jobs: int = 1, progress: Progress | None = None
) -> Iterator[tuple[list[AnyStep], list[str] | LatentlangError]]:
    """Run steps, those that share a model and its adapter together, several such groups at once.

    A group that fails does not keep the others from being run.

    Args:
        bench: where they run.
        steps: what is wanted; what the cache holds is not run again.
        jobs: processes at once; more than one only helps where one does not fill the machine.
        progress: called at every step where there is one process.

    Yields:
        The steps of a group, and the names of those that had to be run; or why it could not be.
    """
    in_groups = all_groups(steps)
    jobs = min(jobs, len(in_groups))
    if jobs <= 1:
        for group in in_groups:
            try:
                yield group, bench.run_group(group, progress)
            except LatentlangError as error:
                yield group, error
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    before = set(multiprocessing.active_children())
    # A fresh interpreter for each: a forked one would share the locks of torch's threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_alone, initargs=(threads, bench.cache))
    waiting: dict[Future[list[str]], list[AnyStep]] = {}
    left = list(reversed(in_groups))
    try:
        while left or waiting:
            # No more are handed out than run at once: after an interruption none must begin.
            while left and len(waiting) < jobs:
                group = left.pop()
                waiting[pool.submit(bench.run_group, group)] = group
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                group = waiting.pop(future)
                try:
                    yield group, future.result()
                except LatentlangError as error:
                    yield group, error
    except BrokenProcessPool:
        raise InputError(
            "a process was killed from outside, most likely for want of memory; use fewer --jobs: what was done is kept"
        ) from None
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        (bench.cache / WORKERS).unlink(missing_ok=True)


def _alone(threads: int, cache: Path) -> None:
    """Prepare a process that shares the machine: its own threads; it ends with its parent."""
    import logging

    begin_worker(cache)
    torch.set_num_threads(threads)
    logging.disable(logging.WARNING)
