"""Running steps: each kept in a folder with what it was asked, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
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
Progress = Callable[[Step, int, int], None]
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
    """

    settings: ReproductionSettings
    cache: Path
    harvests: tuple[Step, ...]
    models: Mapping[str, str]

    def run_group(self, steps: Sequence[Step], progress: Progress | None = None) -> list[str]:
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
    """

    def __init__(self, bench: Bench, progress: Progress | None = None) -> None:
        """Prepare; nothing is loaded before a step needs it."""
        self._bench, self._progress = bench, progress
        self._settings = bench.settings
        self._keys = Keys(bench.settings, bench.models)
        self._steps = Steps(bench.cache)
        self._model: tuple[Step, HookedLM] | None = None
        self.done: list[str] = []

    def run(self, step: Step) -> Any:
        """The outcome of a step, from the cache or computed."""
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
        name = self._keys.name(step, self._bench.harvests)
        options = self._keys.options(step, self._bench.harvests)

        def computed(folder: Path) -> Any:
            self.done.append(name)
            return compute(step, folder)

        return self._steps.run(name, options, computed, read, resumes=resumes)

    def folder(self, step: Step) -> Path:
        """Where a step's outcome lies, or will."""
        return self._bench.cache / self._keys.name(step, self._bench.harvests)

    def _progress_of(self, step: Step) -> Callable[[int, int], None] | None:
        return None if self._progress is None else partial(self._progress, step)

    def _loaded(self, step: Step) -> HookedLM:
        """The model with the step's adapter on it."""
        if self._model is not None:
            had, model = self._model
            if (had.model, had.adapter) == (step.model, step.adapter):
                return model
            self._model = None  # before the next one is loaded: two may not fit
        training = step.training
        adapter = None
        if training is not None:
            self.run(training)
            adapter = self.folder(training)
            # What was trained lives on in cycles of the trainer's objects until they are collected.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        model = load(step.model, adapter=adapter, **self._settings.loading)
        self._model = (step, model)
        return model

    # the steps

    def _train(self, step: Step, folder: Path) -> TrainingResult:
        settings, report = self._settings, self._progress_of(step)
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
            progress=self._progress_of(step),
        )  # fmt: skip
        return _saved(result, step, folder)

    def _lens(self, step: Step, folder: Path) -> LensResult:
        settings = self._settings
        result = logit_lens(
            self._loaded(step), settings.task(step), languages=step.languages, items=settings.items(step.task),
            seed=settings.seed, protocol=settings.protocol, policy=_CURVE_POLICIES[settings.protocol],
            progress=self._progress_of(step),
        )  # fmt: skip
        return _saved(result, step, folder)

    def _harvest(self, step: Step, folder: Path) -> ActivationStore:
        settings = self._settings
        return harvest(
            self._loaded(step), settings.task(step), out=folder / "store", languages=step.languages,
            items=settings.items(step.task), seed=settings.seed, layers=step.layers, pools=(POOL, "question"),
            batch_tokens=settings.batch_tokens, normed_last=settings.protocol == "as-published",
            progress=self._progress_of(step),
        )  # fmt: skip

    def _align(self, step: Step, folder: Path) -> AlignmentResult:
        size = self._settings.size
        store = self.run(harvest_for(step, self._bench.harvests))
        result = alignment(
            store, languages=step.languages, layers=step.layers, measures=MEASURE, seed=self._settings.seed,
            permutations=size.permutations, resamples=size.resamples, progress=self._progress_of(step),
        )  # fmt: skip
        return _saved(result, step, folder)

    def _pca(self, step: Step, folder: Path) -> PCAResult:
        before, after = (
            self.run(harvest_for(step, self._bench.harvests, base=base)) for base in (True, False)
        )
        result = compare_pca(
            before,
            after,
            layers=step.layers,
            languages=step.languages,
            pools=POOL,
            progress=self._progress_of(step),
        )
        return _saved(result, step, folder)


def _saved(result: Saved, step: Step, folder: Path) -> Saved:
    """Save a result with its adapter called by the recipe: where the cache lies is nobody's business."""
    if step.adapter.task:
        named = f"{step.adapter.recipe}, {step.adapter.task} questions"
        result = replace(result, provenance=replace(result.provenance, adapter=named))
    result.save(folder)
    return result


def is_there(bench: Bench, keys: Keys, step: Step) -> bool:
    """Whether a step's outcome lies in the cache."""
    return is_whole(bench.cache / keys.name(step, bench.harvests), keys.options(step, bench.harvests))


def run_groups(
    bench: Bench, steps: Sequence[Step], *, jobs: int = 1, progress: Progress | None = None
) -> Iterator[tuple[list[Step], list[str] | LatentlangError]]:
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
    all_groups = groups(steps)
    jobs = min(jobs, len(all_groups))
    if jobs <= 1:
        for group in all_groups:
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
    waiting: dict[Future[list[str]], list[Step]] = {}
    left = list(reversed(all_groups))
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
