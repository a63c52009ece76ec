"""One job, run: its outcome and its numbers in its folder, or why there are none."""

from __future__ import annotations

import gc
import json
import math
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, LatentlangError
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import Steps, step_key
from latentlang.sweeps.combinations import JobTable
from latentlang.sweeps.kinds import JobInput, JobKind, JobMeasure, SweepJob

#: What a job gave, in its folder.
MEASURES = "measures.json"
# Folder of the locks of jobs that run.
_RUNNING = "running"


@dataclass(frozen=True)
class JobCall:
    """All that a process needs to run a job.

    Attributes:
        job: which.
        kind: what it does.
        out: the sweep's folder.
        options: what its outcome depends on.
        inputs: name of each entry whose outcome it reads to the folders of its jobs.
        loading: the sweep's options of loading.
    """

    job: SweepJob
    kind: JobKind
    out: Path
    options: Mapping[str, Any]
    inputs: Mapping[str, tuple[Path, ...]]
    loading: Mapping[str, Any]

    @classmethod
    def of(cls, table: JobTable, job: SweepJob, out: Path) -> JobCall:
        """The call of a job of a table."""
        inputs = {
            name: tuple(out / other.folder for other in others) for name, others in table.inputs(job).items()
        }
        return cls(job, table.entry(job).kind, out, table.options(job), inputs, table.sweep.loading)


@dataclass(frozen=True)
class JobEnd:
    """How a job ended.

    Attributes:
        number: of the job.
        seconds: that it took.
        error: why it failed; None where it did not.
    """

    number: int
    seconds: float
    error: str | None = None


class Workbench:
    """What jobs of one process share: the model that was loaded last (`kinds.Tools`)."""

    def __init__(self, loading: Mapping[str, Any]) -> None:
        """Prepare; nothing is loaded before a job needs it."""
        self._loading = dict(loading)
        self._model: tuple[object, Any] | None = None

    @property
    def loading(self) -> Mapping[str, Any]:
        """The options of loading."""
        return self._loading

    def model(self, name: str, *, adapter: Path | None = None) -> Any:
        """A model with an adapter, or what was trained in its place, loaded unless it was the last one.

        Args:
            name: of the model.
            adapter: folder of a training.

        Raises:
            InputError: the training left nothing that can be loaded.
            ModelError: it cannot be loaded.
        """
        from latentlang.models import load
        from latentlang.training import TrainingResult

        wanted = (name, adapter)
        if self._model is not None and self._model[0] == wanted:
            return self._model[1]
        self.release()
        options = {key: value for key, value in self._loading.items() if key != "batch_tokens"}
        trained = None if adapter is None else TrainingResult.load(adapter)
        if trained is not None and trained.checkpoint is not None:
            model = load(str(adapter), **options)
        elif trained is not None and trained.adapter is None:
            model = load(name, **options)
        else:
            model = load(name, adapter=adapter, **options)
        self._model = (wanted, model)
        return model

    def release(self) -> None:
        """Let go of the model."""
        if self._model is None:
            return
        self._model = None
        gc.collect()
        torch: Any = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


def run_job(call: JobCall, bench: Workbench) -> JobEnd:
    """Run a job, unless its outcome is there; what it raises becomes the reason why it failed."""
    began = time.monotonic()
    error = None
    try:
        _run(call, bench)
    except LatentlangError as found:
        error = str(found)
    except MemoryError as found:
        error = f"not enough memory for this ({found})"
    except Exception as found:
        traceback.print_exc()
        error = f"unforeseen {type(found).__name__}: {found}"
    return JobEnd(call.job.number, time.monotonic() - began, error)


def _run(call: JobCall, bench: Workbench) -> None:
    job, kind = call.job, call.kind

    def compute(folder: Path) -> tuple[JobMeasure, ...]:
        kind.run(JobInput(job, folder, call.inputs, bench))
        measures = tuple(kind.measures(folder))
        rows = [{name: _finite(value) for name, value in asdict(one).items()} for one in measures]
        write_text(folder / MEASURES, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return measures

    with _alone(call.out, job):
        left = kind.resumes()
        resumes = (*left, MEASURES) if left else ()
        Steps(call.out).run(job.folder, call.options, compute, read_measures, resumes=resumes)


@contextmanager
def _alone(out: Path, job: SweepJob) -> Iterator[None]:
    """Keep two processes from running one job, of an array of a cluster too.

    Raises:
        InputError: another process runs it.
    """
    folder = prepare_folder(out / _RUNNING / f"job-{step_key({'folder': job.folder})[:12]}")
    try:
        with ExitStack() as held:
            try:
                held.enter_context(FolderLock(folder, needed=False))
            except InputError:
                raise InputError("another process is running this job right now; wait for it") from None
            yield
    finally:
        for empty in (folder, folder.parent):
            with suppress(OSError):  # a lock is in it, or another job's folder
                empty.rmdir()


def _finite(value: Any) -> Any:
    """A value as JSON has it: a number that is none is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Measure(Record):
    measure: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    language: str | None = None
    null: float | None = None
    least: float | None = None
    most: float | None = None


class _Measures(Record):
    measures: list[_Measure]


def read_measures(folder: Path) -> tuple[JobMeasure, ...]:
    """The numbers that a finished job gave.

    Raises:
        InputError: they are not there, or damaged.
    """
    path = folder / MEASURES
    found = checked(_Measures, {"measures": read_json(path, finite=False)}, path)
    return tuple(
        JobMeasure(**one.model_dump() | {"value": math.nan if one.value is None else one.value})
        for one in found.measures
    )
