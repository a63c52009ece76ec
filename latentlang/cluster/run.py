"""Calls shared out over workers, with the options that they have on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from latentlang.activations import ActivationStore, harvest
from latentlang.activations.harvesting import check_no_store
from latentlang.arguments import checked_call
from latentlang.cluster.calls import CALLS
from latentlang.cluster.driver import Driver
from latentlang.cluster.ray_pool import AUTO, RayPool, check_ray
from latentlang.cluster.records import ClusterJob, sent
from latentlang.errors import InputError, unknown
from latentlang.evaluation import EvaluationResult, evaluate
from latentlang.lens import LensResult, logit_lens
from latentlang.models import load
from latentlang.models.tokenization import PromptLike
from latentlang.paths import user_cache
from latentlang.progress import ProgressOption, reporting
from latentlang.remote_paths import RemotePath, located
from latentlang.storage.files import prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.tasks import Task, Texts
from latentlang.units import NeuronsResult, neurons

#: Folder of the workers' logs.
LOGS = "logs"


class Cluster(AbstractContextManager["Cluster"]):
    """Workers that share out a call, each with the model: on this machine or on a Ray cluster.

    A unit of work is a shard of a harvest, or a language. A worker that is lost, with its machine or alone, is begun
    again, and what it had in hand is run again; a call that was stopped goes on when it is made again. Results are
    those of one machine, byte for byte, on the same kind of machine with the same number of threads.

    Use it as a context: the workers begin with the first call, keep the model between calls, and end with the block.

    Args:
        address: ``"auto"`` starts a Ray on this machine; or ``"HOST:PORT"`` of a cluster's head, to be used on a
            machine of that cluster.
        workers: how many; by default one per GPU.
        cpus: cores, and threads, of each worker; by default an even share of this machine with ``"auto"``, else 1.
        model_options: how each worker loads the model: options of `load`, such as ``{"dtype": "bf16"}``.
        tell: called with a line on what happened, such as a worker that was lost; by default a warning is logged.

    Raises:
        InputError: Ray is not installed, or a number makes no sense.
    """

    def __init__(
        self,
        address: str = AUTO,
        *,
        workers: int | None = None,
        cpus: int | None = None,
        model_options: Mapping[str, Any] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        check_ray()
        self._address, self._workers, self._cpus = address, workers, cpus
        self._load = dict(model_options or {})
        self._tell = tell or _warn
        self._pool: RayPool | None = None

    def __repr__(self) -> str:
        return f"Cluster({self._address!r}, workers={self._workers})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    @checked_call
    def harvest(
        self,
        model: str | os.PathLike[str],
        prompts: str | Task | Sequence[PromptLike],
        *,
        out: str | os.PathLike[str],
        progress: ProgressOption = True,
        **options: Any,
    ) -> ActivationStore:
        """As `harvest`, shard by shard; workers write into the store's folder, which all machines must see.

        Args:
            model: its name or folder, the same on all machines.
            prompts: a task made with `task`, the name of one, or prompts of your own.
            out: the store's folder; also one of another filesystem (``s3://bucket/store``), for which the workers'
                logs go into the user's cache of each machine.
            progress: as of `harvest`.
            **options: of `harvest`.

        Raises:
            InputError: as of `harvest`; or workers cannot be had, or units failed: the others are kept.
            ModelError: as of `harvest`.
        """
        if not options.pop("resume", True):
            check_no_store(located(out))
        self.fill("harvest", model, {"prompts": prompts, **options}, folder=out, progress=progress)
        return harvest(self._loaded(model), prompts, out=out, progress=False, **options)

    @checked_call
    def logit_lens(
        self,
        model: str | os.PathLike[str],
        task: str | Task,
        *,
        languages: str | Iterable[str],
        resume: str | os.PathLike[str],
        progress: ProgressOption = True,
        **options: Any,
    ) -> LensResult:
        """As `logit_lens`, language by language.

        Args:
            model: its name or folder, the same on all machines.
            task: made with `task`, or the name of one.
            languages: as of `logit_lens`.
            resume: the folder where languages are kept; all machines must see it.
            progress: as of `logit_lens`.
            **options: of `logit_lens`.

        Raises:
            InputError: as of `logit_lens`; or workers cannot be had, or units failed: the others are kept.
            ModelError: as of `logit_lens`.
        """
        given = {"task": task, "languages": languages, **options}
        self.fill("lens", model, given, folder=resume, progress=progress)
        return logit_lens(
            self._loaded(model), task, languages=languages, resume=resume, progress=False, **options
        )

    @checked_call
    def evaluate(
        self,
        model: str | os.PathLike[str],
        task: str | Task | Iterable[str | Task],
        *,
        resume: str | os.PathLike[str],
        progress: ProgressOption = True,
        **options: Any,
    ) -> EvaluationResult:
        """As `evaluate`, task by task and language by language.

        Args:
            model: its name or folder, the same on all machines.
            task: as of `evaluate`; made with `task`, or names.
            resume: the folder where languages are kept; all machines must see it.
            progress: as of `evaluate`.
            **options: of `evaluate`.

        Raises:
            InputError: as of `evaluate`; or workers cannot be had, or units failed: the others are kept.
            ModelError: as of `evaluate`.
        """
        tasks = task if isinstance(task, str | Task) else list(task)
        self.fill("evaluate", model, {"task": tasks, **options}, folder=resume, progress=progress)
        return evaluate(self._loaded(model), tasks, resume=resume, progress=False, **options)

    @checked_call
    def neurons(
        self,
        model: str | os.PathLike[str],
        texts: Texts,
        *,
        out: str | os.PathLike[str],
        progress: ProgressOption = True,
        **options: Any,
    ) -> NeuronsResult:
        """As `neurons`, language by language.

        Args:
            model: its name or folder, the same on all machines.
            texts: as of `neurons`.
            out: the folder where languages are kept; all machines must see it.
            progress: as of `neurons`.
            **options: of `neurons`.

        Raises:
            InputError: as of `neurons`; or workers cannot be had, or units failed: the others are kept.
            ModelError: as of `neurons`.
        """
        self.fill("neurons", model, {"texts": texts, **options}, folder=out, progress=progress)
        return neurons(self._loaded(model), texts, out=out, progress=False, **options)

    @checked_call
    def fill(
        self,
        call: str,
        model: str | os.PathLike[str],
        options: Mapping[str, Any],
        *,
        folder: str | os.PathLike[str],
        logs: str | os.PathLike[str] | None = None,
        chat: bool = False,
        shared: bool = True,
        progress: ProgressOption = True,
    ) -> None:
        """Have the workers do all of a call but its end, which the single-machine call then puts together.

        Args:
            call: ``harvest``, ``lens``, ``evaluate`` or ``neurons``.
            model: its name or folder.
            options: of the call, task, prompts or texts among them.
            folder: of the store, or where finished languages are kept.
            logs: folder of the workers' logs; ``logs`` in `folder` by default.
            chat: whether tasks are asked in the chat template of the model's tokenizer.
            shared: whether all machines see the folder, which a harvest needs; where not, workers send what they did.
            progress: as of the call.

        Raises:
            InputError: no such call, something that cannot be sent, or what `driver.Driver` raises.
        """
        if call not in CALLS:
            raise unknown("call", call, CALLS)
        if not isinstance(model, str | os.PathLike):
            raise InputError(
                f"each worker loads the model itself: give its name or folder, not {type(model).__name__} (how it is "
                "loaded: Cluster(model_options={...}))"
            )
        known = CALLS[call].takes
        for name in options:
            if name not in known:
                raise unknown(f"option of {call}", name, known)
        device = str(self._load.get("device") or "")
        if ":" in device:
            raise InputError(
                f"each worker is given a GPU of its own; leave out device {device!r}, or say cuda or cpu"
            )
        plain = {name: sent(value, what=f"{name}=") for name, value in options.items()}
        loading = {name: sent(value, what=f"{name}=") for name, value in self._load.items()}
        # a part of a language takes its place by a new name, which an object store cannot give; a shard is put whole
        path = prepare_folder(folder, remote=call == "harvest")
        with FolderLock(path, joins=True):
            if self._pool is None:
                self._pool = RayPool(
                    self._address, workers=self._workers, cpus=self._cpus, gpus=device != "cpu"
                )
            job = ClusterJob(
                call, os.fspath(model), loading, chat, plain, str(path.resolve()),
                str(_logs(located(logs or path / LOGS)).resolve()), str(Path.cwd()), self._pool.cpus,
                shared or call == "harvest",
            )  # fmt: skip
            number = self._pool.workers
            doing = f"{CALLS[call].doing} on {number} worker{'' if number == 1 else 's'}"
            try:
                with reporting(progress, doing) as report:
                    Driver(self._pool, job, workers=number, report=report, tell=self._tell).run()
            except BaseException:
                self.close()
                raise

    def _loaded(self, model: str | os.PathLike[str]) -> Any:
        return load(model, progress=False, **self._load)


def _logs(folder: Path) -> Path:
    """Where workers write their logs: they go on line by line, so not on another filesystem."""
    if not isinstance(folder, RemotePath):
        return folder
    return user_cache() / LOGS / "-".join(part.strip(":") for part in folder.parts[:-1])


def _warn(line: str) -> None:
    import logging

    logging.getLogger(__name__).warning("%s", line)
