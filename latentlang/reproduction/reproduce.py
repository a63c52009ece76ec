"""``reproduce``: run what is missing for a paper's figures and tables, and write them, its own values beside ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latentlang.downloads.fetch import default_folder
from latentlang.errors import InputError, unknown
from latentlang.geometry.measures import FEWEST
from latentlang.models.registry import resolve
from latentlang.reproduction.cost import Cost, Estimate
from latentlang.reproduction.experiments import Experiment, Size, Suite, load_suite
from latentlang.reproduction.keys import Keys
from latentlang.reproduction.pages import Writer
from latentlang.reproduction.run import Bench, Progress, Runner, is_there, run_groups
from latentlang.reproduction.settings import Settings
from latentlang.reproduction.sizes import shape
from latentlang.reproduction.steps import Step, merged, ordered, steps_of
from latentlang.tasks import TASKS
from latentlang.tasks.labels import Protocol

#: Where steps are kept, and where figures and tables go, unless told otherwise.
CACHE, FIGURES = Path("latentlang-out") / "reproduce", Path("figures")


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
    """

    suite: Suite
    experiments: tuple[Experiment, ...]
    bench: Bench
    model: str | None
    needed: dict[Step, tuple[str, ...]] = field(repr=False)

    @cached_property
    def keys(self) -> Keys:
        """Hashes of the steps."""
        return Keys(self.bench.settings)

    def steps(self, *, device: str | None = None, cost: bool = True) -> list[PlannedStep]:
        """The steps in the order in which they are run.

        Args:
            device: where they would run, for the estimate; by default a GPU if there is any.
            cost: whether to estimate what those that are missing will cost.

        Raises:
            LatentlangError: data or model of a step cannot be found.
        """
        estimate = Estimate(self.bench.settings, device) if cost else None
        found = []
        for step, names in self.needed.items():
            cached = is_there(self.bench, self.keys, step)
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
        data: folder with the published test items, or ``hub:xnli``; by default what ``latentlang data get`` left in the
            user's cache, and where there is nothing, or for a model of the package, the embedded items.
        training_data: task to a folder with published question translations; of other tasks their own are taken.
        items: items per language of every task, instead of what the experiments say.
        seed: of everything drawn.
        overrides: fields of every recipe to change, e.g. ``{"steps": 100}``.
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
    infos = [resolve(run) for run in runs]
    embedded = all(info.name in ("pocket", "pocket-control") for info in infos)
    size = suite.embedded if embedded else suite.size
    if items is not None:
        tasks = {task for experiment in suite.experiments.values() for task in experiment.tasks}
        size = size.model_copy(update={"items": dict.fromkeys(tasks, items)})
    _check_items(chosen, size)
    settings = Settings(
        size=size, protocol=protocol, data=_data(suite, data, embedded=embedded),
        training_data=_training_data(training_data or {}), seed=seed,
        loading={key: value for key, value in loading.items() if value not in (None, False)},
        batch_tokens=batch_tokens, overrides=overrides or {},
    )  # fmt: skip
    # A harvest serves all experiments of its prompts; it is the same whichever of them were asked for.
    everything = _steps(suite.experiments.values(), standin, quiet=set(runs))
    harvests = tuple(step for step in merged(everything) if step.kind == "harvest")
    needed: dict[Step, list[str]] = {}
    for experiment in chosen:
        for step in _steps([experiment], standin, quiet=set(runs)):
            if step.kind == "harvest":
                step = next(h for h in harvests if _same_prompts(h, step))
            needed.setdefault(step, []).append(experiment.name)
    in_order = {step: tuple(dict.fromkeys(needed[step])) for step in ordered(needed)}
    bench = Bench(settings, Path(cache) if cache is not None else CACHE, harvests)
    planned = Plan(suite, tuple(chosen), bench, standin, in_order)
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
    """Whose items are asked."""
    if given is not None:
        return given if isinstance(given, str) else Path(given)
    if embedded or not suite.data or find_spec("pooch") is None:
        return None
    folder = default_folder(suite.data)
    return folder if folder.is_dir() else None


def _training_data(given: Mapping[str, str | os.PathLike[str]]) -> dict[str, Path]:
    found = {}
    for name, path in given.items():
        if name not in TASKS:
            raise unknown("task", name, TASKS)
        found[name] = Path(path).expanduser()
        if not found[name].exists():
            raise InputError(f"the training data {str(path)!r} of {name} do not exist")
    return found


def _steps(experiments: Iterable[Experiment], standin: str | None, *, quiet: set[str]) -> list[Step]:
    """The steps of experiments, of the models in `quiet` only: of others nothing need be known."""
    found: dict[Step, None] = {}
    for experiment in experiments:
        for model in [standin] if standin else experiment.models:
            if model in quiet:
                found |= dict.fromkeys(steps_of(experiment, model=model, n_layers=shape(model).n_layers))
    return list(found)


def _same_prompts(one: Step, other: Step) -> bool:
    return (one.model, one.adapter, one.task, one.answers) == (
        other.model,
        other.adapter,
        other.task,
        other.answers,
    )


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
        InputError: an option makes no sense, or a folder cannot be written.
        LatentlangError: a step cannot be run; what was run before stays.
    """
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, not {jobs}")
    folder = Path(out) if out is not None else figures_folder(planned)
    writer = Writer(planned.suite, planned.model, planned.bench.settings, folder, formats)
    runner = Runner(planned.bench, progress)
    ran: list[str] = []
    waiting = {experiment.name: experiment for experiment in planned.experiments}

    def write(whatever_is_there: bool = False) -> None:
        for name, experiment in list(waiting.items()):
            own = [step for step, names in planned.needed.items() if name in names]
            early = [step for step in own if step.kind != "pca"]
            if whatever_is_there or all(is_there(planned.bench, planned.keys, step) for step in early):
                writer.write(experiment, runner.run)
                del waiting[name]
                if told is not None:
                    told(f"{experiment.source} is written")

    write()
    missing = [
        step
        for step in planned.needed
        if step.kind != "pca" and not is_there(planned.bench, planned.keys, step)
    ]
    for group, done in run_groups(planned.bench, missing, jobs=jobs, progress=progress):
        ran += done
        if told is not None and group:
            told(f"{group[0].model} {group[0].adapter.recipe}: {len(group)} steps done")
        write()
    write(whatever_is_there=True)
    writer.finish(planned.experiments)
    return Reproduction(planned, folder, tuple(writer.files), (*ran, *runner.done), tuple(writer.notes))


def figures_folder(planned: Plan) -> Path:
    """``figures/spontaneous/pocket``: the paper, then the model that stands in, or ``paper`` for its own."""
    model = "paper" if planned.model is None else Path(resolve(planned.model).name).name
    return FIGURES / planned.suite.name / model
