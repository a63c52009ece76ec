"""``reproduce``: run what is missing for a paper's figures and tables, and write them, its own values beside ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latentlang.activations.lock import FolderLock
from latentlang.downloads.fetch import default_folder
from latentlang.errors import InputError, LatentlangError, unknown
from latentlang.geometry.measures import FEWEST
from latentlang.models.hub import fetch
from latentlang.models.loading import find_device, find_dtype
from latentlang.models.registry import POCKET_FOLDER, resolve
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.experiments import Experiment, Size, Suite, load_suite
from latentlang.reproduction.keys import Keys, cached_commit, model_keys
from latentlang.reproduction.pages import Writer
from latentlang.reproduction.run import Bench, Progress, Runner, is_there, run_groups
from latentlang.reproduction.settings import Settings
from latentlang.reproduction.sizes import model_name, shape
from latentlang.reproduction.steps import Step, merged, ordered, steps_of
from latentlang.results import prepare_folder
from latentlang.tasks import TASKS
from latentlang.tasks.labels import Protocol

#: Where steps are kept, and where figures and tables go, unless told otherwise.
CACHE, FIGURES = Path("latentlang-out") / "reproduce", Path("figures")
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

    step: Step
    cached: bool
    cost: Cost | None
    experiments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
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
    needed: Mapping[Step, tuple[str, ...]] = field(repr=False)
    others: Mapping[str, tuple[Step, ...]] = field(repr=False)

    @cached_property
    def keys(self) -> Keys:
        """Hashes of the steps."""
        return Keys(self.bench.settings, self.bench.models)

    def is_there(self, step: Step) -> bool:
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
        found = []
        for step, names in self.needed.items():
            cached = self.is_there(step)
            price = None if cached or estimate is None else estimate.of(step)
            found.append(PlannedStep(step, cached, price, names))
        return found


def plan(
    name: str,
    *,
    only: Sequence[str] | None = None,
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
    **loading: Any,
) -> Plan:
    """What it takes to reproduce a paper's figures and tables.

    Args:
        name: of the paper's experiments (``"spontaneous"``), or a folder of such files.
        only: names of figures and tables (``["fig1", "table8"]``); None for all.
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
        batch_tokens: see `HookedLM.stream`.
        **loading: options of `load`: ``device, dtype, quantization, trust_remote_code``.

    Raises:
        InputError: no such experiments, figure, table, model, recipe or option, or data that cannot be used.
        ModelError: nothing is known of the size of the model.
    """
    suite = load_suite(name, folder=folder)
    chosen = suite.chosen(only)
    standin = None if model is None else os.fspath(model)
    if items is not None and items < 1:
        raise InputError(f"items must be at least 1, not {items}")
    if seed < 0:
        raise InputError(f"seed must be at least 0, not {seed}")
    runs = [standin] if standin else sorted({name for experiment in chosen for name in experiment.models})
    embedded = all(resolve(run).hub_id.startswith(str(POCKET_FOLDER)) for run in runs)
    size = suite.embedded if embedded else suite.size
    if items is not None:
        tasks = {task for experiment in suite.experiments.values() for task in experiment.tasks}
        size = size.model_copy(update={"items": dict.fromkeys(tasks, items)})
    _check_items(chosen, size)
    for name_of_field in set(overrides or {}) & _FIXED:
        raise InputError(f"{name_of_field} is said by each experiment and cannot be changed for all of them")
    device = find_device(loading.get("device"))
    settings = Settings(
        size=size, protocol=protocol, data=_data(suite, data, embedded=embedded),
        training_data=_training_data(training_data or {}), seed=seed,
        loading={key: value for key, value in loading.items() if value not in (None, False)},
        batch_tokens=batch_tokens, overrides=overrides or {}, device=device.type,
        dtype=str(find_dtype(loading.get("dtype"), device)).removeprefix("torch."),
    )  # fmt: skip
    # A harvest serves all experiments of its prompts; it is the same whichever of them were asked for.
    harvests = tuple(
        step for step in merged(_steps(suite.experiments.values(), standin, runs)) if step.kind == "harvest"
    )
    needed: dict[Step, list[str]] = {}
    others: dict[str, tuple[Step, ...]] = {}
    for experiment in suite.experiments.values():
        own = [_widened(step, harvests) for step in _steps([experiment], standin, runs)]
        if experiment in chosen:
            for step in own:
                needed.setdefault(step, []).append(experiment.name)
        elif standin or set(experiment.models) <= set(runs):
            others[experiment.name] = tuple(own)
    in_order = {step: tuple(dict.fromkeys(needed[step])) for step in ordered(needed)}
    bench = Bench(settings, Path(cache) if cache is not None else CACHE, harvests, model_keys(runs))
    planned = Plan(suite, tuple(chosen), bench, standin, in_order, others)
    for step in in_order:  # reads recipes, data and models: what cannot be used is found out now
        planned.keys.options(step, harvests)
    return planned


def _check_items(chosen: Iterable[Experiment], size: Size) -> None:
    """Refuse too few items for a correlation before anything is trained for it."""
    for experiment in chosen:
        for task in experiment.tasks if experiment.kind == "pearson" else ():
            if (count := size.items.get(task)) is not None and count < FEWEST:
                raise InputError(f"{experiment.name} needs at least {FEWEST} items per language, not {count}")


def _data(suite: Suite, given: str | os.PathLike[str] | None, *, embedded: bool) -> str | Path | None:
    """Whose items are asked.

    Raises:
        InputError: a real model would silently be asked the toy items.
    """
    if given is not None:
        return None if given == EMBEDDED else given if isinstance(given, str) else Path(given)
    if embedded or not suite.data:
        return None
    if find_spec("pooch") is not None:
        folder = default_folder(suite.data)
        if folder.is_dir():
            return folder
    raise InputError(
        f"the published items are not on this machine: latentlang data get {suite.data} fetches them, --data FOLDER "
        f"takes those of another folder, --data {EMBEDDED} the small ones of the package"
    )


def _training_data(given: Mapping[str, str | os.PathLike[str]]) -> dict[str, Path]:
    found = {}
    for name, path in given.items():
        if name not in TASKS:
            raise unknown("task", name, TASKS)
        found[name] = Path(path).expanduser()
        if not found[name].exists():
            raise InputError(f"the training data {str(path)!r} of {name} do not exist")
    return found


def _steps(experiments: Iterable[Experiment], standin: str | None, runs: Sequence[str]) -> list[Step]:
    """The steps of experiments, of the models in `runs` only: of others nothing need be known."""
    found: dict[Step, None] = {}
    for experiment in experiments:
        for model in [standin] if standin else experiment.models:
            if model in runs:
                found |= dict.fromkeys(steps_of(experiment, model=model, n_layers=shape(model).n_layers))
    return list(found)


def _widened(step: Step, harvests: Sequence[Step]) -> Step:
    """A harvest with the languages and layers that other experiments need of it; other steps as they are."""
    if step.kind != "harvest":
        return step
    about = (step.model, step.adapter, step.task, step.answers)
    return next(h for h in harvests if (h.model, h.adapter, h.task, h.answers) == about)


@dataclass(frozen=True)
class Reproduction:
    """What a run left.

    Attributes:
        plan: what was asked.
        folder: where figures and tables lie.
        files: what was written there.
        ran: names of the steps that were run; the others were there.
        notes: what a reader should know, a sentence each (pictures that could not be drawn...).
    """

    plan: Plan
    folder: Path
    files: tuple[Path, ...]
    ran: tuple[str, ...]
    notes: tuple[str, ...]


def reproduce(
    planned: Plan,
    *,
    out: str | os.PathLike[str] | None = None,
    formats: Sequence[str] = ("html", "png"),
    jobs: int = 1,
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Reproduction:
    """Run what is missing, and write every figure and table.

    A run that was stopped goes on where it was: each step's outcome is kept in the cache. Figures and tables are
    written as soon as all they need is there.

    Args:
        planned: as made by `plan`.
        out: folder for figures and tables; by default ``figures/spontaneous/pocket``.
        formats: of figures: ``html``, and ``png``, ``pdf``, ``svg`` where a browser is there to draw them.
        jobs: processes at once; more than one only helps where one does not fill the machine.
        progress: told of every step, where there is one process.
        told: told what was just done, in a line.

    Raises:
        InputError: an option makes no sense, a folder cannot be written, or another run has the cache.
        LatentlangError: a step cannot be run; the others are, and what they gave is written.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    if jobs > 1 and planned.bench.settings.device != "cpu":
        raise InputError(
            f"several jobs would share one {planned.bench.settings.device} device; leave --jobs out"
        )
    folder = Path(out) if out is not None else figures_folder(planned)
    writer = Writer(planned.suite, planned.model, planned.bench.settings, folder, formats)
    with FolderLock(prepare_folder(planned.bench.cache)):
        return _run(_fetched(planned), writer, folder, jobs=jobs, progress=progress, told=told or _nobody)


def _nobody(_line: str) -> None:
    """Where nobody wants to be told."""


def _fetched(planned: Plan) -> Plan:
    """The plan with the models of the hub on this machine, so that their commits are known before anything is keyed."""
    missing = [
        name for name in planned.bench.models if not resolve(name).local and not cached_commit(resolve(name))
    ]
    if not missing or all(planned.is_there(step) for step in planned.needed):
        return planned
    for name in missing:
        fetch(resolve(name), with_code=bool(planned.bench.settings.loading.get("trust_remote_code")))
    bench = replace(planned.bench, models=model_keys(list(planned.bench.models)))
    return replace(planned, bench=bench)


def _run(
    planned: Plan,
    writer: Writer,
    folder: Path,
    *,
    jobs: int,
    progress: Progress | None,
    told: Callable[[str], None],
) -> Reproduction:
    runner = Runner(planned.bench, progress)
    waiting = {experiment.name: experiment for experiment in planned.experiments}
    ran: list[str] = []
    failed: dict[Step, LatentlangError] = {}

    def write() -> None:
        """Write what has all its steps; the pictures' own steps need no model and are run here."""
        for name, experiment in list(waiting.items()):
            own = [step for step, names in planned.needed.items() if name in names and step.kind != "pca"]
            if all(planned.is_there(step) for step in own):
                writer.write(experiment, runner.run)
                del waiting[name]
                told(f"{experiment.source} is written")

    write()
    missing = [step for step in planned.needed if step.kind != "pca" and not planned.is_there(step)]
    for group, done in run_groups(planned.bench, missing, jobs=jobs, progress=progress):
        what = f"{group[0].model} {group[0].adapter.recipe}"
        if isinstance(done, LatentlangError):
            failed[group[0]] = done
            told(f"{what}: {done}")
        else:
            ran += done
            told(f"{what}: {len(group)} steps done")
        write()
    for name, steps in planned.others.items():
        if all(planned.is_there(step) for step in steps):
            writer.write(planned.suite.experiments[name], runner.run)
    writer.finish()
    if failed:
        first, error = next(iter(failed.items()))
        raise type(error)(
            f"{len(failed)} of the models with their adapters could not be run, first {first.model} "
            f"{first.adapter.recipe}: {error} (what could is kept and written into {folder})"
        )
    return Reproduction(planned, folder, tuple(writer.files), (*ran, *runner.done), tuple(writer.notes))


def figures_folder(planned: Plan) -> Path:
    """``figures/spontaneous/pocket``: the paper, then the model that stands in, or ``paper`` for its own."""
    model = "paper" if planned.model is None else model_name(planned.model)
    return FIGURES / planned.suite.name / model
