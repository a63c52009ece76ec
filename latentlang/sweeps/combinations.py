"""The table of jobs of a sweep: every combination that its entries go over, in an order in which they can be run."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.arguments import checked_call
from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import languages as find_languages
from latentlang.paths import PathLike, is_file, is_folder
from latentlang.provenance import package_versions
from latentlang.storage.step_cache import is_whole, step_key
from latentlang.sweeps.kinds import AXES, MOST_JOBS, NO_RECIPE, SweepJob
from latentlang.sweeps.sweep_file import Entry, Sweep, read_sweep
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

#: Folder of the jobs' folders.
JOBS = "jobs"
# Axis to the field of the file that says its values.
_FIELDS = {axis: f"{axis}s" for axis in AXES}
_LONGEST_PART = 60


@dataclass(frozen=True)
class JobTable:
    """The jobs of a sweep.

    Attributes:
        sweep: whose.
        jobs: in an order in which they can be run; their numbers are their places, from 1.
    """

    sweep: Sweep
    jobs: tuple[SweepJob, ...]

    def job(self, number: int) -> SweepJob:
        """The job of a number.

        Raises:
            InputError: there is none.
        """
        if not 1 <= number <= len(self.jobs):
            raise InputError(f"there is no job {number}: {self.sweep.where} has jobs 1 to {len(self.jobs)}")
        return self.jobs[number - 1]

    def entry(self, job: SweepJob) -> Entry:
        """The entry that a job is of."""
        return next(entry for entry in self.sweep.entries if entry.fields.name == job.entry)

    @property
    def stages(self) -> list[list[SweepJob]]:
        """Jobs that need none of each other, stage by stage."""
        return [list(jobs) for _, jobs in itertools.groupby(self.jobs, key=lambda job: job.stage)]

    def inputs(self, job: SweepJob) -> dict[str, list[SweepJob]]:
        """Name of each entry whose outcome a job reads to its jobs among those that it needs."""
        needed = [self.job(number) for number in job.needs]
        return {name: [one for one in needed if one.entry == name] for name in job.fields.inputs()}

    @cached_property
    def _options(self) -> list[dict[str, Any]]:
        """What the outcome of each job depends on; a job's own question, and the keys of those it needs."""
        every: list[dict[str, Any]] = []
        version = package_versions().get("latentlang")
        for job in self.jobs:
            entry = self.entry(job)
            try:
                content = entry.kind.content(job, self.sweep.loading)
            except InputError as error:
                raise type(error)(f"{entry.where}: {error}") from error
            every.append({
                "kind": job.fields.job, "revision": entry.kind.revision, "version": version,
                "asked": job.fields.asked(), "model": job.model,
                "recipe": job.recipe, "task": job.task, "languages": list(job.languages), "seed": job.seed,
                "loading": self.sweep.loading, "content": dict(content),
                "needs": [step_key(every[number - 1]) for number in job.needs],
            })  # fmt: skip
        return every

    def options(self, job: SweepJob) -> dict[str, Any]:
        """Everything that the outcome of a job depends on, as JSON can say it.

        Raises:
            InputError: its model, recipe, task or data cannot be found.
        """
        return self._options[job.number - 1]

    def is_finished(self, job: SweepJob, folder: Path) -> bool:
        """Whether a job's outcome lies below a sweep's folder, made of the same."""
        return is_whole(folder / job.folder, self.options(job))

    def frame(self) -> pd.DataFrame:
        """A row a job: ``job, entry, kind, stage, model, recipe, task, languages, seed, needs, folder``."""
        import pandas as pd

        rows = [
            {
                "job": job.number, "entry": job.entry, "kind": job.fields.job, "stage": job.stage, "model": job.model,
                "recipe": job.recipe, "task": job.task, "languages": ",".join(job.languages), "seed": job.seed,
                "needs": ",".join(map(str, job.needs)), "folder": job.folder,
            }
            for job in self.jobs
        ]  # fmt: skip
        return pd.DataFrame(rows).astype({"seed": "Int64"})

    def describe(self) -> str:
        """How many jobs of which kind, in how many stages."""
        each = []
        for entry in self.sweep.entries:
            number = sum(job.entry == entry.fields.name for job in self.jobs)
            each.append(f"{entry.fields.name} {number:,}")
        return f"{counted(len(self.jobs), 'job')} in {counted(len(self.stages), 'stage')}: {', '.join(each)}."


@checked_call
def job_table(source: PathLike | Mapping[str, Any] | Sweep) -> JobTable:
    """The jobs of a sweep; nothing is run.

    Args:
        source: a sweep's file, the same as a mapping, or what `read_sweep` gave.

    Raises:
        InputError: as `read_sweep`; or entries that wait for each other, an entry that goes over nothing, a name
            that is not known, or an entry whose input has no job for one of its own.
    """
    sweep = source if isinstance(source, Sweep) else read_sweep(source)
    entries = {entry.fields.name: entry for entry in sweep.entries}
    jobs: list[SweepJob] = []
    over: dict[str, dict[str, list[Any]]] = {}
    for name in _in_order(sweep, entries):
        entry = entries[name]
        over[name] = _values(sweep, entry, over)
        jobs += _jobs_of(entry, over[name], jobs)
        if len(jobs) > MOST_JOBS:
            raise InputError(f"{sweep.where} has more than {MOST_JOBS:,} jobs; make several sweeps of it")
    return JobTable(sweep, _numbered(jobs))


def _in_order(sweep: Sweep, entries: Mapping[str, Entry]) -> list[str]:
    """Names of the entries, each behind those that it needs.

    Raises:
        InputError: one needs an entry that is not there, or they wait for each other.
    """
    needs: dict[str, list[str]] = {}
    for name, entry in entries.items():
        needs[name] = [*entry.fields.inputs(), *entry.fields.after]
        for other in needs[name]:
            if other not in entries:
                raise InputError(f"{entry.where}: {unknown('entry under jobs', other, entries)}")
    done: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise InputError(
                f"{sweep.where}: the entries {circle} wait for each other; take one of them apart"
            )
        if name not in done:
            for other in needs[name]:
                visit(other, (*path, name))
            done.append(name)

    for name in entries:
        visit(name, ())
    return done


def _values(sweep: Sweep, entry: Entry, over: Mapping[str, Mapping[str, list[Any]]]) -> dict[str, list[Any]]:
    """Each axis that an entry goes over, to its values.

    Raises:
        InputError: there are none of an axis, or a language is not known.
    """
    inherited = [over[name] for name in entry.fields.inputs()]
    values: dict[str, list[Any]] = {}
    for axis in AXES:
        given = getattr(entry.fields, _FIELDS[axis])
        before = [one[axis] for one in inherited if axis in one]
        if axis not in entry.kind.axes and not before:
            if given is not None:
                raise InputError(
                    f"{entry.where}: {entry.kind.name} does not go over {_FIELDS[axis]}; leave {_FIELDS[axis]} out"
                )
            continue
        if given is None:
            given = before[0] if before else getattr(sweep.fields, _FIELDS[axis])
        if not given:
            raise InputError(
                f"{entry.where} goes over {_FIELDS[axis]}, and there are none: say {_FIELDS[axis]} there or at the top "
                "of the file"
            )
        if axis == "language":
            try:
                given = [one.code for one in find_languages(list(given))]
            except InputError as error:
                raise InputError(f"{entry.where}: {error}") from None
        values[axis] = list(dict.fromkeys(given))
    return values


def _jobs_of(entry: Entry, values: Mapping[str, list[Any]], before: Sequence[SweepJob]) -> list[SweepJob]:
    """The jobs of an entry, not numbered yet: `needs` holds places in the list of those before.

    Raises:
        InputError: there is none, or what it reads has no job for one of them.
    """
    together = entry.kind.together if entry.fields.together is None else entry.fields.together
    choices: list[list[Any]] = []
    for axis in AXES:
        if axis == "language":
            codes = values.get(axis, [])
            choices.append([tuple(codes)] if together or not codes else [(code,) for code in codes])
        else:
            choices.append(values.get(axis, [None]))
    names = list(dict.fromkeys([*entry.fields.inputs(), *entry.fields.after]))
    places = {name: [place for place, other in enumerate(before) if other.entry == name] for name in names}
    jobs = []
    for model, recipe, task, codes, seed in itertools.product(*choices):
        if entry.kind.trains and recipe == NO_RECIPE:
            continue
        job = SweepJob(0, 0, entry.fields, model, recipe, task, codes, seed, (), "")
        needs: list[int] = []
        for name in names:
            found = [place for place in places[name] if _agree(job, before[place])]
            if not found and name in entry.fields.inputs() and recipe != NO_RECIPE:
                raise InputError(
                    f"{entry.where} reads {name!r}, which has no job for {job.label.partition(': ')[2]}; give both the "
                    "same models, recipes, tasks, languages and seeds"
                )
            needs += found
        stage = 1 + max((before[place].stage for place in needs), default=-1)
        jobs.append(replace(job, stage=stage, needs=tuple(needs), folder=_folder(job)))
    if not jobs:
        raise InputError(
            f"{entry.where}: every recipe is {NO_RECIPE}, of which nothing is trained; name a recipe too, or leave the "
            "entry out"
        )
    return jobs


def _agree(one: SweepJob, other: SweepJob) -> bool:
    """Whether two jobs are of the same, as far as both go over it."""
    for axis in ("model", "recipe", "task", "seed"):
        mine, its = getattr(one, axis), getattr(other, axis)
        if mine is not None and its is not None and mine != its:
            return False
    return not one.languages or not other.languages or bool(set(one.languages) & set(other.languages))


def _numbered(jobs: Sequence[SweepJob]) -> tuple[SweepJob, ...]:
    """The jobs by their stages, numbered from 1."""
    order = sorted(range(len(jobs)), key=lambda place: jobs[place].stage)
    number = {place: at for at, place in enumerate(order, 1)}
    numbered = tuple(
        replace(
            jobs[place], number=number[place], needs=tuple(sorted(number[need] for need in jobs[place].needs))
        )
        for place in order
    )
    folders: dict[str, SweepJob] = {}
    for job in numbered:
        if (other := folders.setdefault(job.folder.casefold(), job)) is not job:
            raise InputError(
                f"{shown(other.label)} and {shown(job.label)} would have one folder; name them apart"
            )
    return numbered


def _folder(job: SweepJob) -> str:
    """``jobs/accuracy/pocket/zh-es-en/sentiment/ja/seed-0``."""
    parts: list[str] = [JOBS, job.entry]
    parts += [_part(name) for name in (job.model, job.recipe, job.task) if name is not None]
    if job.languages:
        parts.append(_part(",".join(job.languages)))
    if job.seed is not None:
        parts.append(f"seed-{job.seed}")
    return "/".join(parts)


def _part(name: str) -> str:
    """A name as a folder's; of a path its end, and where anything is left out, something that tells it apart."""
    if re.fullmatch(r"\w[\w.,+-]*", name) and len(name) <= _LONGEST_PART:
        return name
    path = is_folder(name) or is_file(name) or "/" in name
    own = Path(name).stem if path else name
    plain = re.sub(r"[^\w.+-]+", "-", own).strip("-.")[: _LONGEST_PART - 9] or "x"
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
