"""A worker: a process that has the model and runs one unit of a job after the other."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import latentlang
from latentlang.cluster.parcels import Parcel, packed, unpacked
from latentlang.cluster.records import ClusterJob, Unit, received
from latentlang.errors import InputError, LatentlangError
from latentlang.provenance import package_versions
from latentlang.remote_paths import located

#: Packages of which workers must have the version of the driver.
COMPARED = ("latentlang", "torch", "transformers", "tokenizers")


@cache
def software() -> dict[str, str]:
    """Versions that decide a number, and a hash of this package's own code (a clone has no other version)."""
    versions = package_versions()
    digest = hashlib.sha256()
    root = Path(latentlang.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    found = {name: versions.get(name, "none") for name in COMPARED}
    return {**found, "the code of latentlang": digest.hexdigest()[:12]}


def check_told(told: Mapping[str, Any], *, where: str, folder: Path) -> None:
    """Refuse a worker whose numbers might be others, or who could not write into the folder.

    Args:
        told: what it says of itself (`Worker.hello`).
        where: it is, for the error.
        folder: that it has to see.

    Raises:
        InputError: naming what differs.
    """
    for name, version in software().items():
        if told["software"].get(name) != version:
            raise InputError(
                f"{where} has {name} {told['software'].get(name)} and this machine {version}; install the same on "
                "all machines, so that all compute the same numbers"
            )
    if not told["sees"]:
        raise InputError(
            f"{where} does not see the folder {str(folder)!r} of {platform.node()}; choose one on a file system that "
            "all machines share"
        )


class Worker:
    """Runs what it is asked, one thing at a time, and says how far it is meanwhile.

    It answers with plain data, also of what went wrong, so that no error has to be rebuilt elsewhere.

    Args:
        number: which worker it is, from 0.
        own_process: whether all that is logged in this process is of this worker.
    """

    def __init__(self, number: int, own_process: bool = True) -> None:
        self._number, self._own_process = number, own_process
        self._lines: list[str] = []
        self._log: Path | None = None
        self._job: ClusterJob | None = None
        self._model: Any = None
        self._loaded: tuple[Any, ...] = ()
        self._options: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._done = 0

    def answer(self, method: str, *arguments: Any) -> dict[str, Any]:
        """``value`` of one of the methods below, or ``error``: its kind and text."""
        try:
            return {"value": self._methods()[method](*arguments)}
        except LatentlangError as error:
            self._write(f"{type(error).__name__}: {error}")
            return {"error": str(error)}
        except Exception as error:
            self._write(traceback.format_exc())
            return {"error": f"unforeseen {type(error).__name__}: {error}"}

    def _methods(self) -> Mapping[str, Callable[..., Any]]:
        """What it can be asked."""
        return {"hello": self.hello, "load": self.load, "units": self.units, "run": self.run}

    def done(self) -> int:
        """Prompts of the unit in hand that are done; asked from another thread."""
        return self._done

    def hello(self, token: str) -> dict[str, Any]:
        """Who this is, which software it has, and whether it sees a file; no name stands for none that it has to."""
        return {
            "host": platform.node(), "process": os.getpid(), "software": software(),
            "sees": not token or located(token).exists(),
        }  # fmt: skip

    def load(self, job: ClusterJob) -> dict[str, Any]:
        """Have a job's model and options, from now on; gives where the model runs and in which dtype."""
        import torch

        from latentlang.cluster.calls import call_of
        from latentlang.models import load

        os.chdir(job.place)
        torch.set_num_threads(job.threads)
        which = (job.model, tuple(sorted(job.load.items())))
        if self._loaded != which:
            self._model, self._loaded = None, ()
            began = time.monotonic()
            self._model = load(job.model, progress=False, **job.load)
            self._loaded = which
            self._write(f"loaded {self._model.name} in {time.monotonic() - began:.1f} s")
        call = call_of(job)
        self._job, self._kept = job, {}
        self._options = {name: received(value) for name, value in job.options.items()}
        if job.chat:
            given = self._options[call.given]
            asked = self._model.chat
            self._options[call.given] = (
                [asked(one) for one in given] if isinstance(given, list) else asked(given)
            )
        return {"device": self._model.device.type, "dtype": str(self._model.dtype).removeprefix("torch.")}

    def units(self) -> list[Unit]:
        """The units of the job, by the first worker that has its model."""
        from latentlang.cluster.calls import call_of

        assert self._job is not None
        with self._model.noticing():
            return call_of(self._job).units(self._model, self._options, located(self._job.folder), self._kept)

    def run(self, unit: Unit, part: str, sent: Parcel) -> Any:
        """Run a unit; gives what its call does, and where no folder is shared the files that it made.

        Args:
            unit: of the job.
            part: a folder that nobody else writes into, for what needs one.
            sent: files of the job's folder, where this machine does not see it.
        """
        import torch

        from latentlang.cluster.calls import call_of

        job = self._job
        assert job is not None
        # of this thread
        torch.set_num_threads(job.threads)
        self._log_to(Path(job.logs))
        self._write(f"{unit.name}: begun, {unit.prompts} prompts")
        self._done, began = 0, time.monotonic()

        def report(done: int, _total: int) -> None:
            self._done = done

        def outcome_in(folder: Path, own: Path) -> Any:
            with self._model.noticing():
                return call_of(job).run(self._model, self._options, folder, unit, own, self._kept, report)

        if job.shared:
            outcome = outcome_in(located(job.folder), located(part))
        else:
            with tempfile.TemporaryDirectory(prefix="latentlang-") as place:
                unpacked(Path(place, "sent"), sent)
                outcome_in(Path(place, "sent"), Path(place, "part"))
                outcome = packed(Path(place, "part"))
        self._done = 0
        self._write(f"{unit.name}: done in {time.monotonic() - began:.1f} s")
        return outcome

    def _log_to(self, folder: Path) -> None:
        path = folder / f"worker-{self._number}.log"
        if self._log == path:
            return
        # a log that cannot be written must not end the work
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if self._own_process:
                handler = logging.FileHandler(path, encoding="utf-8")
                handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
                root = logging.getLogger()
                root.handlers[:] = [
                    one for one in root.handlers if not isinstance(one, logging.FileHandler)
                ] + [handler]  # fmt: skip
            self._log = path
            lines, self._lines = self._lines, []
            with path.open("a", encoding="utf-8") as log:
                log.writelines(lines)

    def _write(self, text: str) -> None:
        """A line for the log, with the time; held until there is one."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{platform.node()} {os.getpid()}] {text.rstrip()}\n"
        if self._log is None:
            self._lines.append(line)
            return
        with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
            log.write(line)
