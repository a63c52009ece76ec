"""Running what is missing of a plan, and writing its figures and tables as soon as all they need is there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from latentlang import defaults
from latentlang.arguments import check_count, check_options, checked_call
from latentlang.errors import InputError, LatentlangError
from latentlang.models.data_package import is_packaged
from latentlang.models.fingerprint import cached_commit, model_keys
from latentlang.models.hub import fetch
from latentlang.models.registry import resolve
from latentlang.progress import StepReport, reporting_steps
from latentlang.reproduction.kinds.base import AnyStep
from latentlang.reproduction.kinds.registry import kind_named
from latentlang.reproduction.pages import PageWriter
from latentlang.reproduction.planning import ReproductionPlan, plan
from latentlang.reproduction.step_runner import Progress, StepRunner, run_groups
from latentlang.reproduction.tables import FilledTable
from latentlang.reproduction.text import overview
from latentlang.storage.files import check_out, prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.text import counted, sentences
from latentlang.workers import wait_for_workers

#: Where figures and tables go, unless told otherwise.
FIGURES = Path("figures")


@dataclass(frozen=True)
class Reproduction:
    """What a run left.

    Attributes:
        plan: what was asked.
        folder: where figures and tables lie.
        files: what was written there.
        ran: names of the steps that were run; the others were there.
        notes: what a reader should know, a sentence each (pictures that could not be drawn...).
        tables: experiment to its table, of those that were written.
    """

    plan: ReproductionPlan
    folder: Path
    files: tuple[Path, ...]
    ran: tuple[str, ...]
    notes: tuple[str, ...]
    tables: Mapping[str, FilledTable] = field(default_factory=dict, repr=False)

    @sentences
    def describe(self) -> str:
        """What the tables say, a line each."""
        verdict, points = overview(list(self.tables.values()), standin=self.plan.bench.run.standin)
        return "\n".join(filter(None, [verdict, *points, *self.notes]))


@checked_call
def reproduce(
    planned: ReproductionPlan | str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    formats: str | Sequence[str] = defaults.FIGURE_FORMATS,
    html: str = "whole",
    jobs: int = 1,
    progress: bool | Progress | None = True,
    on_event: Callable[[str], None] | None = None,
    **planning: Any,
) -> Reproduction:
    """Run what is missing, and write every figure and table.

    A run that was stopped goes on where it was: each step's outcome is kept in the cache. Figures and tables are
    written as soon as all they need is there.

    Args:
        planned: as made by `plan`; or the paper's name, ``"spontaneous"``.
        out: folder for figures and tables; by default ``figures/spontaneous/pocket``.
        formats: of figures: ``html``, and ``png``, ``pdf``, ``svg`` where a browser is there to draw them.
        html: ``"whole"``, pages with plotly inside, or ``"light"``, which link one copy of it in the folder.
        jobs: processes at once; more than one only helps where one does not fill the machine.
        progress: True shows a bar for each step, False nothing; a function is called with what is done of every step
            and what there is. Where there is one process.
        on_event: called with what was just done, in a line.
        **planning: options of `plan` where the paper is named: ``model="pocket", only="table8"``.

    Raises:
        InputError: an option makes no sense, a folder cannot be written, or another run has the cache.
        LatentlangError: a step cannot be run; the others are, and what they gave is written.
    """
    if isinstance(planned, str | os.PathLike):
        check_options(planning, reproduce, plan)
        planned = plan(os.fspath(planned), **planning)
    elif not isinstance(planned, ReproductionPlan):
        raise InputError(f"a paper's name or a plan is needed, not {planned!r}")
    elif planning:
        raise InputError(f"{', '.join(planning)}: such options are for plan(...), which made this plan")
    check_count("jobs", jobs, least=1)
    if jobs > 1 and planned.bench.settings.device != "cpu":
        raise InputError(
            f"several jobs would share one {planned.bench.settings.device} device; leave --jobs out"
        )
    folder = check_out(out) if out is not None else figures_folder(planned)
    writer = PageWriter(planned.suite, planned.bench.run, folder, formats, html=html)
    cache = prepare_folder(planned.bench.cache)
    with ExitStack() as locks:
        locks.enter_context(FolderLock(cache))
        wait_for_workers(cache)
        if folder.resolve() != cache.resolve():
            locks.enter_context(FolderLock(folder))
        writer.claim([*planned.experiments, *(planned.suite.experiments[name] for name in planned.others)])
        report = locks.enter_context(reporting_steps(progress, name=attrgetter("label")))

        def tell(line: str) -> None:
            if isinstance(report, StepReport):
                report.close()  # no line is printed into a bar
            (on_event or _nobody)(line)

        return _run(_fetched(planned), writer, folder, jobs=jobs, progress=report, on_event=tell)


def _nobody(_line: str) -> None:
    """Progress that is not shown."""


def _fetched(planned: ReproductionPlan) -> ReproductionPlan:
    """The plan with the models of the hub on this machine, so that their commits are known before anything is keyed."""
    missing = [
        name
        for name in planned.bench.models
        if not (info := resolve(name)).local and not cached_commit(info) and not is_packaged(info)
    ]
    if not missing or all(planned.is_there(step) for step in planned.needed):
        return planned
    for name in missing:
        fetch(resolve(name), with_code=bool(planned.bench.settings.loading.get("trust_remote_code")))
    bench = replace(planned.bench, models=model_keys(list(planned.bench.models)))
    return replace(planned, bench=bench)


def _run(
    planned: ReproductionPlan,
    writer: PageWriter,
    folder: Path,
    *,
    jobs: int,
    progress: Progress | None,
    on_event: Callable[[str], None],
) -> Reproduction:
    runner = StepRunner(planned.bench, progress)
    waiting = {experiment.name: experiment for experiment in planned.experiments}
    ran: list[str] = []
    not_run: dict[str, LatentlangError] = {}
    not_written: dict[str, LatentlangError] = {}

    def fails(failed: dict[str, LatentlangError], what: str, error: LatentlangError) -> None:
        failed[what] = error
        on_event(f"{what}: {error}")

    def write() -> None:
        """Write what has all its steps; the pictures' own steps need no model and are run here."""
        for name, experiment in list(waiting.items()):
            steps_here = [step for step, names in planned.needed.items() if name in names and not step.late]
            if all(planned.is_there(step) for step in steps_here):
                del waiting[name]
                try:
                    writer.write(experiment, runner.run)
                except LatentlangError as error:
                    fails(not_written, experiment.source, error)
                else:
                    on_event(f"{experiment.source} is written")

    write()
    missing = [step for step in planned.needed if not step.late and not planned.is_there(step)]
    for group, done in run_groups(planned.bench, missing, jobs=jobs, progress=progress):
        what = group[0].group
        if isinstance(done, LatentlangError):
            fails(not_run, what, done)
        else:
            ran += done
            on_event(f"{what}: {counted(len(group), 'step')} done")
        write()
    for name, steps in planned.others.items():
        if writer.is_wanted(name, steps) and _are_there(planned, steps):
            try:
                writer.write(planned.suite.experiments[name], runner.run)
            except LatentlangError as error:
                fails(not_written, planned.suite.experiments[name].source, error)
    try:
        writer.finish()
    except LatentlangError as error:
        fails(not_written, "the page of all", error)
    for failed, words in (
        (not_run, "groups of steps could not be run"),
        (not_written, "figures and tables could not be written"),
    ):
        for what, first in failed.items():
            raise type(first)(
                f"{len(failed)} of the {words}, first {what}: {first} (what could is kept and written into {folder})"
            )
    notes = [*writer.notes, *_left_out(planned), *_unused_model(planned)]
    return Reproduction(
        planned, folder, tuple(writer.files), (*ran, *runner.done), tuple(notes), writer.in_order()
    )


def _left_out(planned: ReproductionPlan) -> list[str]:
    """What was not computed for want of data, of a tokenizer or of a permission, and how that is changed."""
    why: dict[str, list[str]] = {}
    for experiment in planned.experiments:
        if words := kind_named(experiment.kind).lacks(experiment, planned.bench.run):
            why.setdefault(words.rstrip("."), []).append(experiment.name)
    return [f"not computed: {', '.join(names)}: {words}" for words, names in why.items()]


def _unused_model(planned: ReproductionPlan) -> list[str]:
    """That the model asked for was run by nothing, where that is so: values do not come from it."""
    if planned.model is None or planned.bench.models:
        return []
    return [f"nothing of these runs a model: {planned.bench.run.standin} was not used"]


def _are_there(planned: ReproductionPlan, steps: Sequence[AnyStep]) -> bool:
    """Whether all steps of a table that was not asked for are there; not where what they read is not."""
    try:
        return all(planned.is_there(step) for step in steps)
    except LatentlangError:
        return False


def figures_folder(planned: ReproductionPlan) -> Path:
    """``figures/spontaneous/pocket``: the paper, then the model that stands in, or ``paper`` for its own."""
    run = planned.bench.run
    model = run.standin or "paper"
    if run.called:
        # a title may hold what no folder is called by
        model = re.sub(r"[^\w.+-]+", "-", run.called).strip("-.") or "model"
    return FIGURES / planned.suite.name / model
