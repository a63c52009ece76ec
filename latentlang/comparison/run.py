"""The comparison itself: evaluation, lens and geometry of one model without and with its adapter, step by step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from latentlang import defaults
from latentlang.activations import ActivationStore, harvest, open_store
from latentlang.activations.manifest import MANIFEST, STORE_FILES
from latentlang.arguments import Layers, check_count, check_options, checked_call, chosen_names, given_layers
from latentlang.comparison.alignment import compare_alignment
from latentlang.comparison.alignment_result import AlignmentComparison
from latentlang.comparison.comparison_settings import ComparisonSettings
from latentlang.comparison.lens import compare_lenses
from latentlang.comparison.result import FOLDERS, REPORT, ComparisonResult
from latentlang.comparison.training_record import TrainingRecord, trained_on
from latentlang.errors import InputError, unknown
from latentlang.evaluation import (
    SCORES,
    EvaluationComparison,
    EvaluationResult,
    compare_evaluations,
    evaluate,
)
from latentlang.evaluation.result import STATES
from latentlang.geometry import PCAResult, compare_pca
from latentlang.geometry.measure_registry import chosen_measures
from latentlang.geometry.measures import FEWEST
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens import POLICIES, LensResult, logit_lens
from latentlang.models import HookedLM, load
from latentlang.models.batch import POOLS, check_layers
from latentlang.models.fingerprint import model_identity
from latentlang.progress import Report, reporting_steps
from latentlang.provenance import Provenance, package_versions
from latentlang.results import Result
from latentlang.stats.intervals import check_level
from latentlang.storage.files import check_out
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_free, check_vacant, kind_of
from latentlang.storage.step_cache import Steps, has_steps, step_key
from latentlang.tasks import Task, as_task

PARTS = defaults.PARTS
#: Where the activations of each state lie below the comparison's folder.
HARVESTS = {state: f"harvest/{state}" for state in STATES}
_STEPS = (*(f"evaluation/{state}" for state in STATES), *FOLDERS.values(), *HARVESTS.values())
_WRITTEN = (
    *dict.fromkeys(name.partition("/")[0] for name in _STEPS),
    "result.parquet",
    "metadata.json",
    REPORT,
)
Progress = bool | Callable[[str, int, int], None] | None


P = ParamSpec("P")
T = TypeVar("T")


def _of_a_model(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate `compare` so that results are sent to the function that draws them, whatever else the call lacks."""

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> T:
        given = args[0] if args else options.get("model")
        if isinstance(given, Result | Sequence) and not isinstance(given, str):
            raise InputError(
                "compare runs a model without and with its adapter: compare(model, adapter=..., out=...); results that "
                "are there are laid side by side by ll.figures.compare([one, other])"
            )
        return function(*args, **options)

    return call


@_of_a_model
@checked_call
def compare(
    model: HookedLM | str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None = None,
    task: str | Task = defaults.TASK,
    languages: str | Language | Iterable[str | Language] = defaults.COMPARED_LANGUAGES,
    seen_languages: str | Language | Iterable[str | Language] | None = None,
    parts: str | Iterable[str] = PARTS,
    items: int | None = None,
    evaluation_items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    pivot: str | Language = defaults.PIVOT,
    score: str = defaults.SCORE,
    policy: str = defaults.POLICY,
    measures: str | Iterable[str] = defaults.COMPARED_MEASURES,
    layers: Layers = "all",
    pools: str | Iterable[str] = defaults.COMPARED_POOLS,
    permutations: int = defaults.COMPARED_PERMUTATIONS,
    resamples: int = defaults.COMPARED_RESAMPLES,
    level: float = defaults.LEVEL,
    keep_activations: bool = True,
    chat: bool = False,
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    progress: Progress = True,
    **loading: Any,
) -> ComparisonResult:
    """Run evaluation, lens and geometry without and with an adapter, on one copy of the weights, and compare.

    Every step is kept in `out` with what it was asked, so that a run that was stopped goes on where it was, and only
    steps whose options changed are run again. The identity recipe's folder (nothing trained) compares the model with
    itself, run twice: the control.

    Args:
        model: a model with its adapter on, or its name as for `load`.
        out: folder for the results.
        adapter: folder or hub id of the adapter, or the identity recipe's folder; None where `model` has it.
        task: name, or a task of yours. Evaluation needs one with labels.
        languages: languages asked in (codes, names, ``"paper20"``).
        seen_languages: languages that the adapter was trained on; by default what its training record says.
        parts: of `PARTS`, which are run.
        items: items per language of lens and geometry, and of the evaluation where it has no number of its own; by
            default `defaults.COMPARED_ITEMS` and `defaults.EVALUATION_ITEMS`, or all there are.
        evaluation_items: items per language of the evaluation.
        shots: few-shot examples; None for the task's default.
        seed: of everything drawn.
        pivot: language whose answers might show in the middle layers, and that alignment is measured with.
        score: what the evaluation compares, see `evaluation.SCORES`.
        policy: what the lens does with tokens that languages share, see `logit_lens`.
        measures: names of alignment measures (`geometry.measure_registry.measure_names`), or ``"all"``.
        layers: ``"all"``, numbers, or ``"0,4,8-12"``, of the geometry; the lens always reads all.
        pools: which vectors stand for a prompt in the geometry; the first is drawn in the PCA.
        permutations: how often translations are unpaired for the nulls of the alignment.
        resamples: half samples for the intervals of the alignment.
        level: coverage of intervals, and 1 less the chance of any false change among languages.
        keep_activations: whether the harvested activations stay on disk.
        chat: ask the task as in a chat, in the template of the model's tokenizer, in both states (see
            `HookedLM.chat`).
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`; of evaluation and geometry.
        progress: True shows a bar for each step; False nothing; a function is called with (step, done, in all).
        **loading: options of `load` where `model` is a name.

    Raises:
        InputError: an option cannot be used, or `out` holds something else; before anything runs where that can be
            seen.
        ModelError: the model or its adapter cannot be loaded, or the adapter does nothing.
    """
    check_options(loading, compare, load)
    asked_parts = chosen_names(parts, "part", PARTS)
    chosen = [name for name in PARTS if name in asked_parts]
    if score not in SCORES:
        raise unknown("score", score, SCORES)
    if policy not in POLICIES:
        raise unknown("policy", policy, POLICIES)
    chosen_measures(measures)
    numbers = given_layers(layers)
    asked_pools = chosen_names(pools, "pool", POOLS)
    counts = {
        "items": (items, 1), "evaluation_items": (evaluation_items, 1), "seed": (seed, 0), "resamples": (resamples, 2),
    }  # fmt: skip
    for name, (value, least) in counts.items():
        check_count(name, value, least=least)
    check_level(level)
    built = as_task(task)
    if "evaluation" in chosen and not built.closed:
        raise InputError(
            f"the {built.name} task has no labels to choose between, which the evaluation needs; ask for the parts "
            "lens,geometry only"
        )
    codes = [entry.code for entry in find_languages(languages)]
    hub = find_language(pivot).code
    spec = PromptSpec(built, codes, hub, shots=shots, seed=seed)
    own_items = {
        "evaluation": spec.available(evaluation_items or items or defaults.EVALUATION_ITEMS),
        "lens": spec.available(items or defaults.COMPARED_ITEMS),
    }
    if "geometry" in chosen and own_items["lens"] < FEWEST:
        raise InputError(f"geometry needs at least {FEWEST} items per language, not {own_items['lens']}")
    training = trained_on(adapter, seen_languages)
    check_folder(check_out(out))
    steps = Steps(Path(out))
    with FolderLock(steps.folder), reporting_steps(progress) as report:
        loaded = _model(model, adapter, training, loading)
        if not training.identity:
            loaded.base()  # refuses an adapter that cannot be taken off
        if chat:
            spec = replace(spec, task=loaded.chat(spec.task))
        if "geometry" in chosen:
            check_layers(numbers, depth=loaded.n_layers, sites=("resid",))
        run = _ComparisonRun(
            loaded, training, spec, steps, items=own_items, score=score, policy=policy,
            measures=chosen_measures(measures), layers=numbers, pools=asked_pools, permutations=permutations,
            resamples=resamples, level=level, share_prefix=share_prefix, batch_tokens=batch_tokens, progress=report,
        )  # fmt: skip
        results: dict[str, Any] = {}
        if "evaluation" in chosen:
            results["evaluation"] = run.evaluation()
        if "lens" in chosen:
            results["lens"] = run.lens()
        if "geometry" in chosen:
            results["pca"], results["alignment"] = run.pca(), run.alignment()
            if not keep_activations:
                for name in HARVESTS.values():
                    steps.drop(name)
        result = ComparisonResult.of(run.provenance(chosen), folder=steps.folder, **results)
        result.save(steps.folder)
        return result


def check_folder(folder: Path) -> None:
    """Refuse a folder in which a comparison would write over, or into, what it did not make.

    Raises:
        InputError: saying what is there.
    """
    check_vacant(folder, ComparisonResult.kind)
    if (folder / "harvest" / MANIFEST).exists():
        raise InputError(
            f"{str(folder / 'harvest')!r} is an activation store of your own, and a comparison keeps its activations "
            "there; choose another folder"
        )
    if not (has_steps(folder, _STEPS) or kind_of(folder) == ComparisonResult.kind):
        check_free(folder, _WRITTEN)


class _ComparisonRun:
    """The steps of one comparison."""

    def __init__(
        self,
        model: HookedLM,
        trained: TrainingRecord,
        spec: PromptSpec,
        steps: Steps,
        *,
        items: Mapping[str, int],
        score: str,
        policy: str,
        measures: Sequence[str],
        layers: str | Sequence[int],
        pools: Sequence[str],
        permutations: int,
        resamples: int,
        level: float,
        share_prefix: bool,
        batch_tokens: int | None,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.model, self.trained, self.spec, self.steps = model, trained, spec, steps
        self.items, self.score, self.policy, self.measures = items, score, policy, measures
        self.layers, self.pools = layers, pools
        self.draws: dict[str, Any] = {"permutations": permutations, "resamples": resamples, "level": level}
        self.share_prefix, self.batch_tokens, self._progress = share_prefix, batch_tokens, progress

    def _as(self, state: str) -> AbstractContextManager[None]:
        if self.trained.identity:
            return nullcontext()
        return self.model.tuned() if state == "tuned" else self.model.base()

    def _progress_of(self, step: str) -> Report:
        return partial(self._progress, step)

    def _options(self, state: str, codes: Sequence[str], items: int, **step_options: Any) -> dict[str, Any]:
        with self._as(state):
            identity = model_identity(self.model)
        # Where the adapter lies and which tensors are switched on say nothing about its numbers; its weights do.
        del identity["adapter"]
        return {
            "version": package_versions().get("latentlang"), "model": identity, "state": state,
            **self.spec.options(codes, items), **step_options,
        }  # fmt: skip

    # the parts

    def evaluation(self) -> EvaluationComparison:
        """Choices before and after."""
        items = self.items["evaluation"]
        before, after = (self._evaluated(state, items) for state in STATES)
        return compare_evaluations(before, after, seen_languages=self.trained.languages or None)

    def _evaluated(self, state: str, items: int) -> EvaluationResult:
        def compute(folder: Path) -> EvaluationResult:
            result = evaluate(
                self.model, self.spec.task, languages=self.spec.codes, items=items, shots=self.spec.shots,
                seed=self.spec.seed, score=self.score, share_prefix=self.share_prefix, batch_tokens=self.batch_tokens,
                states=["base"] if self.trained.identity else [state],
                progress=self._progress_of(f"evaluation, {state}"),
            )  # fmt: skip
            result.save(folder)
            return result

        options = self._options(state, self.spec.codes, items, score=self.score)
        return self.steps.run(f"evaluation/{state}", options, compute, EvaluationResult.load)

    def lens(self) -> Any:
        """Readings before and after."""
        before, after = (self._read(state) for state in STATES)
        return compare_lenses(before, after, seen_languages=self.trained.languages)

    def _read(self, state: str) -> LensResult:
        items = self.items["lens"]

        def compute(folder: Path) -> LensResult:
            with self._as(state):
                result = logit_lens(
                    self.model, self.spec.task, languages=self.spec.codes, pivot=self.spec.pivot, items=items,
                    shots=self.spec.shots, seed=self.spec.seed, policy=self.policy, share_prefix=self.share_prefix,
                    progress=self._progress_of(f"lens, {state}"),
                )  # fmt: skip
            result.save(folder)
            return result

        options = self._options(state, self.spec.codes, items, policy=self.policy, pivot=self.spec.pivot)
        return self.steps.run(FOLDERS[f"lens_{state}"], options, compute, LensResult.load)

    def _harvest_options(self, state: str) -> dict[str, Any]:
        layers = self.layers if isinstance(self.layers, str) else list(self.layers)
        return self._options(
            state, self.spec.with_pivot, self.items["lens"], layers=layers, pools=list(self.pools)
        )

    def _stores(self) -> list[ActivationStore]:
        """Activations before and after; harvested where they are not there."""
        return [self._harvested(state) for state in STATES]

    def _harvested(self, state: str) -> ActivationStore:
        spec, items = self.spec, self.items["lens"]

        def compute(folder: Path) -> ActivationStore:
            with self._as(state):
                return harvest(
                    self.model, spec.task, out=folder / "store", languages=spec.with_pivot, items=items,
                    shots=spec.shots, seed=spec.seed, layers=self.layers, pools=self.pools,
                    share_prefix=self.share_prefix, batch_tokens=self.batch_tokens,
                    progress=self._progress_of(f"activations, {state}"),
                )  # fmt: skip

        return self.steps.run(
            HARVESTS[state], self._harvest_options(state), compute, lambda folder: open_store(folder / "store"),
            resumes=[f"store/{name}" for name in STORE_FILES],
        )  # fmt: skip

    def _geometry_options(self, **step_options: Any) -> dict[str, Any]:
        return {"harvested": [step_key(self._harvest_options(state)) for state in STATES], **step_options}

    def pca(self) -> PCAResult:
        """Both states on the base's axes, the tuned one on its own too."""

        def compute(folder: Path) -> PCAResult:
            result = compare_pca(
                *self._stores(), pools=self.pools[0], progress=self._progress_of("principal components")
            )
            result.save(folder)
            return result

        return self.steps.run(
            FOLDERS["pca"], self._geometry_options(pool=self.pools[0]), compute, PCAResult.load
        )

    def alignment(self) -> AlignmentComparison:
        """Alignment with the pivot before and after."""
        step_options = {
            "measures": list(self.measures), "pivot": self.spec.pivot, "seed": self.spec.seed, **self.draws,
            "seen": list(self.trained.languages),
        }  # fmt: skip

        def compute(folder: Path) -> AlignmentComparison:
            result = compare_alignment(
                *self._stores(), pivot=self.spec.pivot, measures=self.measures, seed=self.spec.seed,
                seen_languages=self.trained.languages, progress=self._progress_of("alignment"), **self.draws,
            )  # fmt: skip
            result.save(folder)
            return result

        options = self._geometry_options(**step_options)
        return self.steps.run(FOLDERS["alignment"], options, compute, AlignmentComparison.load)

    def provenance(self, parts: Sequence[str]) -> Provenance:
        """Where the whole comparison came from."""
        task, model = self.spec.task, self.model
        settings = ComparisonSettings(
            parts=list(parts), items=dict(self.items), pivot=self.spec.pivot,
            shots=task.default_shots if self.spec.shots is None else self.spec.shots, score=self.score,
            measures=list(self.measures), pools=list(self.pools), n_layers=model.n_layers,
            seen=list(self.trained.languages), trained_known=self.trained.known, identity=self.trained.identity,
            training=[list(fact) for fact in self.trained.facts],
            dtype=str(model.dtype).removeprefix("torch."), device=str(model.device), **self.draws,
        )  # fmt: skip
        return Provenance(
            model=model.name, revision=model.revision, adapter=model.adapter, task=task.name,
            languages=tuple(self.spec.codes), policy=self.policy, seed=self.spec.seed,
            settings={**task.settings, **settings.stored(), **model.noted},
        )  # fmt: skip


def _model(
    model: HookedLM | str | os.PathLike[str],
    adapter: str | os.PathLike[str] | None,
    trained: TrainingRecord,
    loading: Mapping[str, Any],
) -> HookedLM:
    """The model with its adapter on; without one for the identity recipe."""
    if not isinstance(model, HookedLM):
        if adapter is None:
            raise InputError("there is nothing to compare without an adapter; give adapter=FOLDER")
        return load(model, adapter=None if trained.identity else adapter, **loading)
    if loading:
        raise InputError(
            f"{', '.join(loading)}: such options are for a model that is named; load it with them instead"
        )
    if trained.identity:
        if model.adapter is not None:
            raise InputError(
                f"the identity recipe compares a model without an adapter; this one has {model.adapter!r}"
            )
        return model
    if model.adapter is None and adapter is not None:
        raise InputError(
            "this model is without an adapter; load it with one: load(name, adapter=...), or give its name"
        )
    if model.adapter is None:
        raise InputError(
            "this model has no adapter to compare it without; load it with one: load(name, adapter=...)"
        )
    return model


@dataclass(frozen=True)
class PromptSpec:
    """The prompts of a comparison."""

    task: Task
    codes: list[str]
    pivot: str
    shots: int | None
    seed: int

    @cached_property
    def with_pivot(self) -> list[str]:
        """The languages, the pivot among them if the task has it: alignment is with it."""
        if self.pivot in self.codes or self.pivot not in self.task.languages:
            return self.codes
        return [*self.codes, self.pivot]

    def available(self, items: int) -> int:
        """So many items, or all there are."""
        return min(items, *(len(self._prompts(code, None)) for code in self.codes))

    def _prompts(self, code: str, items: int | None) -> Any:
        return self.task.prompts(code, items=items, shots=self.shots, seed=self.seed)

    def options(self, codes: Sequence[str], items: int) -> dict[str, Any]:
        """What a step's outcome depends on, the prompts and answers themselves included."""
        digest = hashlib.sha256()
        for code in codes:
            for prompt in self._prompts(code, items):
                digest.update("\x1f".join([prompt.item, str(prompt.label), prompt.text, ""]).encode())
            digest.update(repr(sorted(self.task.answers(code).items())).encode())
        return {
            "task": self.task.name, "settings": dict(self.task.settings), "languages": list(codes), "items": items,
            "shots": self.shots, "seed": self.seed, "prompts": digest.hexdigest(),
        }  # fmt: skip
