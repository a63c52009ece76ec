"""The calls that can be shared out: into which units, how a worker runs one, and how what it left is taken in."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from latentlang.activations.harvesting import HarvestPlan, missing_shards
from latentlang.activations.manifest import Manifest, Shard, read_manifest
from latentlang.arguments import split_given
from latentlang.cluster.records import ClusterJob, Unit
from latentlang.errors import InputError
from latentlang.evaluation import evaluate
from latentlang.language_names import languages as find_languages
from latentlang.lens.with_candidates import lens_with_candidates
from latentlang.models import HookedLM
from latentlang.models.finished_languages import LanguagePart, LanguagePartDone, take_in
from latentlang.progress import Report
from latentlang.tasks import Task, as_task, prompts_of_texts
from latentlang.units import neurons

#: Where parts of languages lie in the folder of finished languages until they are taken in.
PARTS = ".parts"


class Call(Protocol):
    """A call in units."""

    @property
    def given(self) -> str:
        """Name of what the call is given beside the model."""

    @property
    def doing(self) -> str:
        """What is done, for the display."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the options that a worker can be given."""

    def units(
        self, model: HookedLM, options: dict[str, Any], folder: Path, kept: dict[str, Any]
    ) -> list[Unit]:
        """The units of a job; run by one worker before all others. `kept`: what a worker keeps through a job."""

    def run(
        self, model: HookedLM, options: dict[str, Any], folder: Path, unit: Unit, part: Path, kept: dict[str, Any],
        report: Report,
    ) -> Any:  # fmt: skip
        """Run one unit, by a worker; gives plain data for `take_in`."""

    def settle(self, folder: Path) -> None:
        """Take in what is whole of what workers left that nobody waits for, and remove the rest.

        Called before and after a run, by the process that holds the folder's lock.
        """

    def take_in(self, folder: Path, part: Path, unit: Unit, outcome: Any) -> None:
        """Note what a worker did, by the process that holds the folder's lock."""


@dataclass(frozen=True)
class LanguageCall:
    """A call that keeps each language once it is done.

    Attributes:
        function: the call.
        given: name of its parameter for task or texts.
        keeps: name of its parameter for the folder.
        count: gives the units, of its options.
        doing: for the display.
        narrows: whether what is kept of a language is the same where it alone is asked for; else all languages are, and
            the call prepares of them what it needs.
    """

    function: Callable[..., Any]
    given: str
    keeps: str
    count: Callable[[dict[str, Any]], Iterable[Unit]]
    doing: str
    narrows: bool = True

    @property
    def takes(self) -> tuple[str, ...]:
        """Those of the call but for where it keeps what is done, and what it reports to."""
        return _options(self.function, without=(self.keeps, "progress", "keep"))

    def units(
        self, model: HookedLM, options: dict[str, Any], folder: Path, kept: dict[str, Any]
    ) -> list[Unit]:
        """A language each."""
        return list(self.count(options))

    def run(
        self, model: HookedLM, options: dict[str, Any], folder: Path, unit: Unit, part: Path, kept: dict[str, Any],
        report: Report,
    ) -> None:  # fmt: skip
        """Run one language into a folder of its own."""
        if self.narrows:
            # what one language alone cannot (a task has no answer in it) may be right beside others
            with suppress(InputError):
                return self._run({**options, "languages": [unit.language]}, model, folder, unit, part, report)
        self._run(options, model, folder, unit, part, report)

    def _run(
        self, options: dict[str, Any], model: HookedLM, folder: Path, unit: Unit, part: Path, report: Report
    ) -> None:
        one = {self.keeps: LanguagePart(folder, part, unit.language, unit.task)}
        try:
            self.function(model, **options, **one, progress=report)
        except LanguagePartDone:
            return
        raise AssertionError("a call that is given a part of a run has no result")

    def settle(self, folder: Path) -> None:
        """Take in parts that are whole."""
        parts = folder / PARTS
        for part in sorted(parts.glob("*")):
            take_in(folder, part)
        with suppress(OSError):  # not there, or a worker that is just ending writes into it
            parts.rmdir()

    def take_in(self, folder: Path, part: Path, unit: Unit, outcome: None) -> None:
        """Have the language be one of the finished ones; nothing where it was before."""
        take_in(folder, part)


class HarvestCall:
    """A harvest, shard by shard; workers write the shards, and the driver the manifest."""

    given = "prompts"
    doing = "harvesting"

    @property
    def takes(self) -> tuple[str, ...]:
        """Those that decide what is in a store."""
        return _options(HarvestPlan, without=())

    def units(
        self, model: HookedLM, options: dict[str, Any], folder: Path, kept: dict[str, Any]
    ) -> list[Unit]:
        """The shards that are missing; a store that is not there is begun."""
        manifest = self._manifest(model, options, folder, kept)
        return [
            Unit(f"shard {number}", manifest.shards[number].rows, shard=number)
            for number in missing_shards(folder, manifest)
        ]

    def run(
        self, model: HookedLM, options: dict[str, Any], folder: Path, unit: Unit, part: Path, kept: dict[str, Any],
        report: Report,
    ) -> dict[str, str | None]:  # fmt: skip
        """Write one shard; gives its SHA-256, what was known of it before, and which store it is of."""
        assert unit.shard is not None
        manifest = self._manifest(model, options, folder, kept)
        shard: Shard = kept["plan"].fill_shard(folder, manifest, unit.shard, report)
        return {
            "sha256": shard.sha256,
            "was": manifest.shards[unit.shard].sha256,
            "store": manifest.identity,
        }

    def settle(self, folder: Path) -> None:
        """Nothing: parts of shards are found by who runs them."""

    def take_in(self, folder: Path, part: Path, unit: Unit, outcome: dict[str, str | None]) -> None:
        """Note the shard in the manifest."""
        number = unit.shard
        assert number is not None
        manifest = read_manifest(folder)
        if manifest.identity != outcome["store"]:
            raise InputError(
                f"the store {str(folder)!r} was replaced by another process while it was filled and is left as it is; "
                "choose another folder"
            )
        shard = manifest.shards[number]
        known = manifest.with_shard(number, replace(shard, sha256=outcome["was"]))
        known.note(folder, number, replace(shard, sha256=outcome["sha256"]))

    @staticmethod
    def _manifest(model: HookedLM, options: dict[str, Any], folder: Path, kept: dict[str, Any]) -> Manifest:
        """The store's manifest, which is compared once with what this worker would write."""
        if "plan" not in kept:
            plan = HarvestPlan(model, **options)
            kept["manifest"] = plan.opened(folder)
            kept["plan"] = plan
        manifest: Manifest = kept["manifest"]
        return manifest


def _options(function: Callable[..., Any], *, without: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(function).parameters if name not in ("model", *without))


def _lens_units(options: dict[str, Any]) -> Iterable[Unit]:
    task = as_task(options["task"])
    for entry in find_languages(options["languages"]):
        yield Unit(entry.code, _prompts(task, entry.code, options), language=entry.code)


def _evaluation_units(options: dict[str, Any]) -> Iterable[Unit]:
    tasks = [as_task(given) for given in split_given(options["task"])]
    asked = options.get("languages")
    for task in tasks:
        for code in task.languages if asked is None else [entry.code for entry in find_languages(asked)]:
            name = code if len(tasks) == 1 else f"{task.name}/{code}"
            yield Unit(name, _prompts(task, code, options), language=code, task=task.name)


def _neurons_units(options: dict[str, Any]) -> Iterable[Unit]:
    prompts, _ = prompts_of_texts(
        options["texts"], options.get("languages"), items=options.get("items"), seed=options.get("seed", 0)
    )
    for code, number in Counter(prompt.language for prompt in prompts).items():
        yield Unit(code, number, language=code)


def _prompts(task: Task, code: str, options: dict[str, Any]) -> int:
    chosen = {name: options.get(name) for name in ("items", "shots")}
    return len(task.prompts(code, **chosen, seed=options.get("seed", 0)))


#: Name to call.
CALLS: dict[str, Call] = {
    "harvest": HarvestCall(),
    "lens": LanguageCall(lens_with_candidates, "task", "resume", _lens_units, "reading"),
    "evaluate": LanguageCall(evaluate, "task", "resume", _evaluation_units, "evaluating"),
    "neurons": LanguageCall(neurons, "texts", "out", _neurons_units, "counting", narrows=False),
}


def call_of(job: ClusterJob) -> Call:
    """The call that a job is of.

    Raises:
        InputError: there is none.
    """
    if job.call not in CALLS:
        raise InputError(f"{job.call!r} is not run on a cluster; these are: {', '.join(CALLS)}")
    return CALLS[job.call]
