"""What it takes to reproduce a paper: which steps, which of them are there already, and what the rest will cost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latentlang.arguments import check_count
from latentlang.downloads.fetch import default_folder
from latentlang.errors import InputError, LatentlangError, unknown
from latentlang.models.fingerprint import model_keys
from latentlang.models.loading import find_device, find_dtype
from latentlang.models.registry import POCKET_FOLDER, resolve
from latentlang.paths import given_path, is_folder, is_present
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.experiment_fields import Experiment
from latentlang.reproduction.experiments import Suite, load_suite
from latentlang.reproduction.kinds.base import AnyStep, KindStep, RunContext, as_sentence, stands_in_words
from latentlang.reproduction.kinds.of_models import ModelExperiment
from latentlang.reproduction.kinds.registry import kind_named
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.step_keys import Keys
from latentlang.reproduction.step_runner import Bench, is_there
from latentlang.reproduction.steps import Step, harvest_for, merged, ordered
from latentlang.reproduction.text import effort_words
from latentlang.storage.files import size_words
from latentlang.tasks import TASKS
from latentlang.tasks.labels import Protocol
from latentlang.text import counted, sentences

#: Where steps are kept by default.
CACHE = Path("latentlang-out") / "reproduce"
#: In place of a folder of test items: those of the package.
EMBEDDED = "embedded"
# What makes an experiment that experiment.
_FIXED = frozenset({"name", "task", "sources", "target", "hub"})


@dataclass(frozen=True)
class PlannedStep:
    """One line of a plan.

    Attributes:
        step: the step.
        cached: whether its outcome is there.
        cost: what it will cost; None where it is there or was not asked for.
        experiments: names of the figures and tables that need it.
    """

    step: AnyStep
    cached: bool
    cost: Cost | None
    experiments: tuple[str, ...]


@dataclass(frozen=True)
class PlannedExperiment:
    """What one table or figure takes.

    Attributes:
        experiment: which.
        steps: those that it needs; what several tables need stands at each.
        lacks: why nothing is computed for it and how that is changed, a sentence; empty where something is.
        stands_in: why the paper's own cannot be had and what stands in, likewise.
        listed: the same, for a list of what cannot be had.
    """

    experiment: Experiment
    steps: tuple[PlannedStep, ...]
    lacks: str
    stands_in: str
    listed: str

    @property
    def effort(self) -> str:
        """What the paper's own would take, a sentence; empty where nothing is known of it."""
        effort = self.experiment.effort
        return "" if effort is None else effort_words(effort)

    @property
    def cannot_be_had(self) -> str:
        """Why it cannot be had, what stands in and what the paper's own would take; empty where all can be had."""
        return " ".join(filter(None, [self.lacks, self.listed, self.effort]))

    @property
    def is_computed(self) -> bool:
        """Whether anything is computed for it; of printed numbers alone that needs no step."""
        return not self.lacks and kind_named(self.experiment.kind).computes

    @property
    def cost(self) -> Cost:
        """Of the steps that are missing, together."""
        return sum((step.cost for step in self.steps if step.cost is not None), start=Cost())

    @sentences
    def describe(self) -> str:
        """What it takes, in a sentence, and what of it cannot be had."""
        cost, there = self.cost, sum(step.cached for step in self.steps)
        parts = [counted(len(self.steps), "step") if self.is_computed else "nothing is computed"]
        parts += [f"{there} there"] if there else []
        if there < len(self.steps):
            parts += [f"{cost.seconds / 3600:.2f} hours", size_words(cost.bytes)]
            parts += [f"{counted(cost.calls, 'call')} of a hosted model"] if cost.calls else []
            parts += [f"{cost.price:,.2f} US dollars"] if cost.price else []
        told = [f"{self.experiment.source}: {', '.join(parts)}.", self.lacks, self.stands_in, self.effort]
        return " ".join(filter(None, told))


@dataclass(frozen=True)
class ReproductionPlan:
    """What a run will do.

    Attributes:
        suite: the paper's experiments.
        experiments: those that were chosen.
        bench: where steps run.
        model: the model that stands in for the paper's; None for these.
        needed: each step that is needed, with the names of the experiments that need it.
        others: the other experiments of these models, with their steps: what of them is there is written too.
    """

    suite: Suite
    experiments: tuple[Experiment, ...]
    bench: Bench
    model: str | None
    needed: Mapping[AnyStep, tuple[str, ...]] = field(repr=False)
    others: Mapping[str, tuple[AnyStep, ...]] = field(repr=False)

    @cached_property
    def keys(self) -> Keys:
        """Hashes of the steps."""
        return self.bench.keys()

    def is_there(self, step: AnyStep) -> bool:
        """Whether a step's outcome lies in the cache."""
        return is_there(self.bench, self.keys, step)

    def steps(self, *, cost: bool = True) -> list[PlannedStep]:
        """The steps in the order in which they are run.

        Args:
            cost: whether to estimate what those that are missing will cost.

        Raises:
            LatentlangError: data or model of a step cannot be found.
        """
        estimate = Estimate(self.bench.settings) if cost else None
        steps = []
        for step, names in self.needed.items():
            cached = self.is_there(step)
            price = None if cached or estimate is None else self._cost(step, estimate)
            steps.append(PlannedStep(step, cached, price, names))
        return steps

    def tables(self, *, cost: bool = True) -> list[PlannedExperiment]:
        """What each table and figure takes, in the paper's order, and what of it cannot be had.

        Args:
            cost: as of `steps`.

        Raises:
            LatentlangError: data or model of a step cannot be found.
        """
        steps, run = self.steps(cost=cost), self.bench.run
        return [
            PlannedExperiment(
                experiment, tuple(step for step in steps if experiment.name in step.experiments),
                as_sentence(kind_named(experiment.kind).lacks(experiment, run)),
                stands_in_words(experiment, run.reasons), stands_in_words(experiment, run.reasons, listed=True),
            )
            for experiment in self.experiments
        ]  # fmt: skip

    @sentences
    def describe(self) -> str:
        """What each table and figure takes and what cannot be had, a line each."""
        return "\n".join(table.describe() for table in self.tables())

    def _cost(self, step: AnyStep, estimate: Estimate) -> Cost:
        return step.cost(self.bench.run, estimate) if isinstance(step, KindStep) else estimate.of(step)


def plan(
    name: str,
    *,
    only: str | Sequence[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    protocol: Protocol = "corrected",
    data: str | os.PathLike[str] | None = None,
    training_data: Mapping[str, str | os.PathLike[str]] | None = None,
    items: int | None = None,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    cache: str | os.PathLike[str] | None = None,
    folder: Path | None = None,
    batch_tokens: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    quantization: str | None = None,
    trust_remote_code: bool = False,
    called: str | None = None,
    allow_code: bool = False,
    chat: bool = False,
) -> ReproductionPlan:
    """What it takes to reproduce a paper's figures and tables.

    Args:
        name: of the paper's experiments (``"spontaneous"``), or a folder of such files.
        only: names of figures and tables (``"fig1,table8"``); None for all.
        model: run this one instead of the paper's, in all of them.
        protocol: ``corrected``, or ``as-published``: the paper's own blocks, cues, answer sets and scorer.
        data: folder with the published test items, ``hub:xnli``, or ``"embedded"`` for the items of the package. By
            default what ``latentlang data get`` left in the user's cache; for a model of the package, its items.
        training_data: task to a folder with published question translations; of other tasks their own are taken.
        items: items per language of every task, instead of what the experiments say.
        seed: of everything drawn.
        overrides: fields of every recipe to change, e.g. ``{"steps": 100}``; not whose questions or which languages.
        cache: folder of the steps' outcomes; by default ``latentlang-out/reproduce``.
        folder: where sets of experiments are looked for, instead of in the project.
        batch_tokens: see `HookedLM.iter_activations`.
        device: as of `load`, like the next three.
        dtype: of the weights.
        quantization: ``"8bit"`` or ``"4bit"``.
        trust_remote_code: whether Python code that comes with a model may run.
        called: what `model` is called in titles and tables; by default its own name, or its folder's.
        allow_code: whether programs out of `data` may be run (`humaneval`); without it none is.
        chat: refused, with the reason: the paper's prompts are no chats.

    Raises:
        InputError: no such experiments, figure, table, model, recipe or option, or data that cannot be used.
        ModelError: nothing is known of the size of the model.
    """
    if chat:
        raise InputError(
            "the paper's prompts are asked as it asked them, and in a chat template they would be others, with its "
            "printed values beside them; leave the chat out, or ask an instruct model by lens, evaluate or compare "
            "with --chat (chat=True in Python)"
        )
    suite = load_suite(name, folder=folder)
    chosen = suite.chosen(only)
    standin = None if model is None else os.fspath(model)
    if called is not None:
        if standin is None:
            raise InputError(
                "a name is for the model that is run instead of the paper's; give --model too (model= in Python)"
            )
        resolve(standin, called=called)  # refuses what cannot stand in a title
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    check_count("batch_tokens", batch_tokens, least=1)
    kinds = {experiment.name: kind_named(experiment.kind) for experiment in suite.experiments.values()}
    own_models = {name for experiment in chosen for name in kinds[experiment.name].models(experiment)}
    runs = ([standin] if standin else sorted(own_models)) if own_models else []
    embedded = all(resolve(run).hub_id.startswith(str(POCKET_FOLDER)) for run in runs)
    size = suite.embedded if embedded else suite.size
    if items is not None:
        tasks = {
            task
            for experiment in suite.experiments.values()
            if isinstance(experiment, ModelExperiment)
            for task in experiment.tasks
        }
        size = size.model_copy(update={"items": dict.fromkeys(tasks, items)})
    for name_of_field in set(overrides or {}) & _FIXED:
        raise InputError(f"{name_of_field} is said by each experiment and cannot be changed for all of them")
    where = find_device(device)
    loading = {
        "device": device, "dtype": dtype, "quantization": quantization, "trust_remote_code": trust_remote_code,
    }  # fmt: skip
    settings = ReproductionSettings(
        size=size, protocol=protocol, data=_data(suite, data, runs=bool(runs), embedded=embedded),
        training_data=_training_data(training_data or {}), seed=seed,
        loading={key: value for key, value in loading.items() if value not in (None, False)},
        batch_tokens=batch_tokens, overrides=overrides or {}, device=where.type,
        dtype=str(find_dtype(dtype, where)).removeprefix("torch."), allow_code=allow_code,
    )  # fmt: skip
    run = RunContext(
        settings,
        standin,
        called,
        tuple(runs),
        items,
        only is not None,
        suite.folder,
        suite.printed,
        suite.corrections,
        suite.reasons,
    )
    for experiment in chosen:
        kinds[experiment.name].check(experiment, run)
    of_experiments = {
        experiment.name: _steps_of(experiment, run, needed=experiment in chosen)
        for experiment in suite.experiments.values()
    }
    # A harvest serves all experiments of its prompts; it is the same whichever of them were asked for.
    harvests = tuple(
        step
        for step in merged(
            step for steps in of_experiments.values() for step in steps or () if isinstance(step, Step)
        )
        if step.kind == "harvest"
    )
    needed: dict[AnyStep, list[str]] = {}
    others: dict[str, tuple[AnyStep, ...]] = {}
    known = {*runs, *_models_run(of_experiments[experiment.name] or () for experiment in chosen)}
    for experiment in suite.experiments.values():
        steps = of_experiments[experiment.name]
        if steps is None:
            continue
        own_steps = [
            harvest_for(step, harvests) if isinstance(step, Step) and step.kind == "harvest" else step
            for step in steps
        ]
        asked = {run.model_of(model) for model in kinds[experiment.name].models(experiment)}
        if experiment in chosen:
            for step in own_steps:
                needed.setdefault(step, []).append(experiment.name)
        elif asked | _models_run([own_steps]) <= known:
            others[experiment.name] = tuple(own_steps)
    in_order = {step: tuple(dict.fromkeys(needed[step])) for step in _ordered(needed)}
    where_kept = Path(cache) if cache is not None else CACHE
    bench = Bench(settings, where_kept, harvests, model_keys(sorted(known)), run)
    planned = ReproductionPlan(suite, tuple(chosen), bench, standin, in_order, others)
    for step in in_order:  # reads recipes, data and models: what cannot be used is found out now
        planned.keys.options(step, harvests)
    return planned


def _steps_of(experiment: Experiment, run: RunContext, *, needed: bool) -> list[AnyStep] | None:
    """The steps of an experiment and those that they read; None of one that was not asked for and cannot be had.

    Args:
        experiment: which.
        run: what the run knows. What was asked for by name and lacks its files in the folder that is given is refused;
            among all of a paper's it is left out instead, and the others are run.
        needed: whether it was asked for.

    Raises:
        LatentlangError: its steps cannot be had.
    """
    kind = kind_named(experiment.kind)
    try:
        refuses = needed and run.named and run.data is not None
        lacks = not refuses and kind.lacks(experiment, run)
        found = [] if lacks else list(kind.steps(experiment, run))
    except LatentlangError:
        if needed:
            raise
        return None
    return [one for step in found for one in (*_read_by(step), step)]


def _read_by(step: AnyStep) -> list[AnyStep]:
    """The steps that a step reads, and those that these read, each behind its own."""
    needs = step.needs if isinstance(step, KindStep) else ()
    return [one for needed in needs for one in (*_read_by(needed), needed)]


def _models_run(steps: Iterable[Sequence[AnyStep]]) -> set[str]:
    """Names of the models that steps of other kinds of experiment run."""
    return {step.runs for several in steps for step in several if isinstance(step, KindStep) and step.runs}


def _ordered(steps: Iterable[AnyStep]) -> list[AnyStep]:
    """In the order in which they are run: those of models, then the others as their experiments name them."""
    several = list(steps)
    return [
        *ordered(step for step in several if isinstance(step, Step)),
        *(step for step in several if not isinstance(step, Step)),
    ]


def _data(
    suite: Suite, given: str | os.PathLike[str] | None, *, runs: bool, embedded: bool
) -> str | Path | None:
    """Whose items are asked, where models of the reference paper's kinds of experiment run.

    Raises:
        InputError: a real model would silently be asked the toy items.
    """
    if given is not None:
        return None if given == EMBEDDED else given if isinstance(given, str) else Path(given)
    if not suite.data or (runs and embedded):
        return None
    if find_spec("pooch") is not None:
        folder = default_folder(suite.data)
        if is_folder(folder):
            return folder
    if not runs:
        return None
    raise InputError(
        f"the published items are not on this machine: latentlang data get {suite.data} fetches them, --data FOLDER "
        f"takes those of another folder, --data {EMBEDDED} the small ones of the package; --model pocket, or "
        "model='pocket' in Python, runs all of it small on the embedded model"
    )


def _training_data(given: Mapping[str, str | os.PathLike[str]]) -> dict[str, Path]:
    paths = {}
    for name, path in given.items():
        if name not in TASKS:
            raise unknown("task", name, TASKS)
        paths[name] = given_path(path)
        if not is_present(paths[name]):
            raise InputError(f"the training data {str(path)!r} of {name} do not exist")
    return paths
