"""The comparison itself: evaluation, lens and geometry of a model and of what it is compared with, step by step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from latentlang import defaults
from latentlang.activations import ActivationStore
from latentlang.activations.manifest import MANIFEST
from latentlang.arguments import Layers, check_count, check_options, checked_call, chosen_names, given_layers
from latentlang.comparison.alignment import compare_alignment
from latentlang.comparison.alignment_result import AlignmentComparison
from latentlang.comparison.comparison_settings import ComparisonSettings
from latentlang.comparison.group import ComparisonGroup
from latentlang.comparison.later import Given, Later, later_states, loaded_later, loaded_pair, loaded_plain
from latentlang.comparison.lens import LensComparison, compare_lenses
from latentlang.comparison.result import FOLDERS, REPORT, ComparisonResult
from latentlang.comparison.states import (
    BASE,
    HARVESTS,
    STEP_FOLDERS,
    STEPS,
    TUNED,
    Asked,
    ModelShape,
    ModelState,
    PromptSpec,
    StateRun,
)
from latentlang.errors import InputError, unknown
from latentlang.evaluation import SCORES, EvaluationComparison, compare_evaluations
from latentlang.evaluation.result import STATES
from latentlang.geometry import PCAResult, compare_pca
from latentlang.geometry.measure_registry import chosen_measures
from latentlang.geometry.measures import FEWEST
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens import POLICIES
from latentlang.models import HookedLM, load
from latentlang.models.batch import POOLS, check_layers
from latentlang.progress import Report, reporting_steps
from latentlang.provenance import Provenance
from latentlang.results import Result
from latentlang.stats.intervals import check_level
from latentlang.storage.files import check_out
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_free, check_vacant, kind_of
from latentlang.storage.step_cache import Steps, has_steps, step_key
from latentlang.tasks import Task, as_task

PARTS = defaults.PARTS
_WRITTEN = (*STEP_FOLDERS, "result.parquet", "metadata.json", REPORT)
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
    adapter: Given = None,
    against: Given | HookedLM = None,
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
) -> ComparisonResult | ComparisonGroup:
    """Run evaluation, lens and geometry without and with an adapter, on one copy of the weights, and compare.

    Or the model and another checkpoint of the same tokenizer (`against`); or the model and several adapters and
    checkpoints, each of them against the model as it is, which is then run once: a `ComparisonGroup`.

    Every step is kept in `out` with what it was asked, so that a run that was stopped goes on where it was, and only
    steps whose options changed are run again. The identity recipe's folder (nothing trained) compares the model with
    itself, run twice: the control.

    Args:
        model: a model with its adapter on, or its name as for `load`.
        out: folder for the results.
        adapter: folder or hub id of the adapter, or the identity recipe's folder; None where `model` has it. A list of
            them for several.
        against: another checkpoint of the same tokenizer: name, folder or model; a list of names for several.
        task: name, or a task of yours. Evaluation needs one with labels.
        languages: languages asked in (codes, names, ``"paper20"``).
        seen_languages: languages that training saw; by default what its record says, for each adapter or checkpoint.
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
        ModelError: a model or adapter cannot be loaded, or an adapter does nothing.
    """
    check_options(loading, compare, load)
    asked_parts = chosen_names(parts, "part", PARTS)
    chosen = [name for name in PARTS if name in asked_parts]
    if score not in SCORES:
        raise unknown("score", score, SCORES)
    if policy not in POLICIES:
        raise unknown("policy", policy, POLICIES)
    asked_measures = chosen_measures(measures)
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
    laters = later_states(adapter, against, seen_languages)
    several = len(laters) > 1
    check_folder(check_out(out), kind=ComparisonGroup.kind if several else ComparisonResult.kind)
    steps = Steps(Path(out))
    with FolderLock(steps.folder), reporting_steps(progress) as report:
        asked = Asked(
            spec, own_items, score=score, policy=policy, layers=numbers, pools=asked_pools,
            share_prefix=share_prefix, batch_tokens=batch_tokens, progress=report,
        )  # fmt: skip
        comparing = _Comparing(
            model,
            asked,
            steps,
            chosen,
            chat=chat,
            keep_activations=keep_activations,
            loading=loading,
            measures=asked_measures,
            draws={"permutations": permutations, "resamples": resamples, "level": level},
        )
        if several:
            return comparing.several(laters)
        return comparing.one(laters[0])


class _Comparing:
    """The states of a comparison, one or several beside the model as it is."""

    def __init__(
        self,
        model: HookedLM | str | os.PathLike[str],
        asked: Asked,
        steps: Steps,
        parts: Sequence[str],
        *,
        chat: bool,
        keep_activations: bool,
        loading: Mapping[str, Any],
        measures: Sequence[str],
        draws: Mapping[str, Any],
    ) -> None:
        self.model, self.asked, self.parts, self.chat = model, asked, parts, chat
        self.keep_activations, self.loading = keep_activations, loading
        self.measures, self.draws = measures, draws
        self.steps = steps

    def one(self, later: Later) -> ComparisonResult:
        """One adapter on the model, or one other checkpoint."""
        if later.checkpoint is not None:
            before, shape = self._before()
            result = self._against(later, before, shape, self.steps)
            self._leave(before)
            return result
        loaded = loaded_pair(self.model, later, self.loading)
        is_identity = later.training.identity
        if not is_identity:
            loaded.base()  # refuses an adapter that cannot be taken off
        asked = self._prepared(loaded)
        before, after = (
            StateRun(
                ModelState(role, lambda: loaded, adapter_on=None if is_identity else role == TUNED),
                asked,
                self.steps,
            )
            for role in STATES
        )
        result = self._run(before, after, later).parts(self.parts)
        self._leave(before, after)
        return result

    def several(self, laters: Sequence[Later]) -> ComparisonGroup:
        """Several states, each against the model as it is, which is run once."""
        before, shape = self._before()
        comparisons: dict[str, ComparisonResult] = {}
        for later in laters:
            assert later.name is not None
            check_folder(self.steps.folder / later.name, kind=ComparisonResult.kind)
            steps = Steps(self.steps.folder / later.name)
            comparisons[later.name] = self._against(later, before, shape, steps)
        self._leave(before)
        group = ComparisonGroup.of(comparisons, folder=self.steps.folder)
        group.save(self.steps.folder)
        return group

    def _prepared(self, loaded: HookedLM) -> Asked:
        """What is asked, in the model's chat template where that is wanted, and checked against its layers."""
        asked = self.asked
        if self.chat:
            asked = replace(asked, spec=replace(asked.spec, task=loaded.chat(asked.spec.task)))
        if "geometry" in self.parts:
            check_layers(asked.layers, depth=loaded.n_layers, sites=("resid",))
        return asked

    def _before(self) -> tuple[StateRun, ModelShape]:
        """The model as it is, run in all parts and let go, so that the others have its room."""
        state = ModelState(BASE, partial(loaded_plain, self.model, self.loading))
        asked = self._prepared(state.model)
        shape = ModelShape.of(state.model, asked.spec.texts(max(asked.items.values())))
        run = StateRun(state, asked, self.steps)
        run.run(self.parts)
        state.release()
        return run, shape

    def _against(self, later: Later, before: StateRun, shape: ModelShape, steps: Steps) -> ComparisonResult:
        """One of the others."""
        state = ModelState(
            TUNED,
            partial(loaded_later, self.model, later, self.loading, name=shape.name),
            adapter_on=None if later.checkpoint is not None or later.training.identity else True,
            label=later.name,
        )
        if later.checkpoint is not None:
            shape.check_pairs(ModelShape.of(state.model, shape.texts), self.parts)
        after = StateRun(state, before.asked, steps)
        result = self._run(before, after, later).parts(self.parts)
        self._leave(after)
        return result

    def _run(self, before: StateRun, after: StateRun, later: Later) -> _ComparisonRun:
        return _ComparisonRun(before, after, later, measures=self.measures, draws=self.draws)

    def _leave(self, *runs: StateRun) -> None:
        if not self.keep_activations and "geometry" in self.parts:
            for run in runs:
                run.steps.drop(HARVESTS[run.state.role])


def check_folder(folder: Path, *, kind: str = ComparisonResult.kind) -> None:
    """Refuse a folder in which a comparison would write over, or into, what it did not make.

    Args:
        folder: it need not exist.
        kind: of the result that goes there: one comparison, or a group of them.

    Raises:
        InputError: saying what is there.
    """
    check_vacant(folder, kind)
    if (folder / "harvest" / MANIFEST).exists():
        raise InputError(
            f"{str(folder / 'harvest')!r} is an activation store of your own, and a comparison keeps its activations "
            "there; choose another folder"
        )
    if not (has_steps(folder, STEPS) or kind_of(folder) == kind):
        check_free(folder, _WRITTEN)


class _ComparisonRun:
    """One state held against the model as it is, from what was run in each."""

    def __init__(
        self,
        before: StateRun,
        after: StateRun,
        later: Later,
        *,
        measures: Sequence[str],
        draws: Mapping[str, Any],
    ) -> None:
        self.before, self.after, self.later = before, after, later
        self.measures, self.draws = measures, draws
        self.asked, self.spec, self.steps = after.asked, after.asked.spec, after.steps
        self.trained = later.training

    def parts(self, chosen: Sequence[str]) -> ComparisonResult:
        """The whole comparison, saved."""
        results: dict[str, Any] = {}
        if "evaluation" in chosen:
            results["evaluation"] = self.evaluation()
        if "lens" in chosen:
            results["lens"] = self.lens()
        if "geometry" in chosen:
            results["pca"], results["alignment"] = self.pca(), self.alignment()
        result = ComparisonResult.of(self.provenance(chosen), folder=self.steps.folder, **results)
        result.save(self.steps.folder)
        return result

    def evaluation(self) -> EvaluationComparison:
        """Choices before and after."""
        before, after = self.before.evaluated(), self.after.evaluated()
        return compare_evaluations(before, after, seen_languages=self.trained.languages or None)

    def lens(self) -> LensComparison:
        """Readings before and after."""
        before, after = self.before.read(), self.after.read()
        return compare_lenses(before, after, seen_languages=self.trained.languages)

    def _stores(self) -> list[ActivationStore]:
        """Activations before and after; harvested where they are not there."""
        return [self.before.harvested(), self.after.harvested()]

    def _geometry_options(self, **step_options: Any) -> dict[str, Any]:
        runs = (self.before, self.after)
        return {"harvested": [step_key(run.harvest_options()) for run in runs], **step_options}

    def _progress_of(self, step: str) -> Report:
        name = self.later.name
        return partial(self.asked.progress, step if name is None else f"{step}, {name}")

    def pca(self) -> PCAResult:
        """Both states on the base's axes, the tuned one on its own too."""
        pool = self.asked.pools[0]

        def compute(folder: Path) -> PCAResult:
            result = compare_pca(
                *self._stores(), pools=pool, progress=self._progress_of("principal components")
            )
            result.save(folder)
            return result

        return self.steps.run(FOLDERS["pca"], self._geometry_options(pool=pool), compute, PCAResult.load)

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
        task, asked, base = self.spec.task, self.asked, self.before.state.facts
        after = self.after.state.facts
        is_other = after.name != base.name or after.revision != base.revision
        settings = ComparisonSettings(
            parts=list(parts), items=dict(asked.items), pivot=self.spec.pivot,
            shots=task.default_shots if self.spec.shots is None else self.spec.shots, score=asked.score,
            measures=list(self.measures), pools=list(asked.pools), n_layers=base.n_layers,
            seen=list(self.trained.languages), trained_known=self.trained.known, identity=self.trained.identity,
            training=[list(fact) for fact in self.trained.facts], after=after.name if is_other else None,
            dtype=base.dtype, device=base.device, **self.draws,
        )  # fmt: skip
        return Provenance(
            model=base.name, revision=base.revision, adapter=after.adapter, task=task.name,
            languages=tuple(self.spec.codes), policy=asked.policy, seed=self.spec.seed,
            settings={**task.settings, **settings.stored(), **after.noted},
        )  # fmt: skip
