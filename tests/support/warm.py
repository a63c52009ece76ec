"""Processes of their own that begin with everything imported: forked from one that has done nothing else.

A command that loads a model spends four seconds on imports, for whose sake no test starts it. What a test wants of the
start itself (closed streams, an encoding, what is imported) it asks of `tests.support.command_line.process`. Their
workers (multiprocessing's ``spawn``) begin the same way.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import multiprocessing.spawn
import multiprocessing.util
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from tests.support.command_line import ROOT, Outcome, environment

#: What commands import when they load a model and read it, train on it, or draw what they read.
MODULES = (
    "torch", "pandas", "pyarrow.parquet", "plotly.graph_objects", "plotly.io", "peft", "trl.trainer.sft_trainer",
    "plotly.graph_objs._layout", "plotly.graph_objs._scatter", "plotly.graph_objs._heatmap",
    "transformers.models.auto.modeling_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.mistral.modeling_mistral", "babel.numbers", "rich.progress", "rich.table",
    "latentlang.cli", "latentlang.cli.console", "latentlang.cli.lens_table", "latentlang.lens.logit",
    "latentlang.lens.multilingual", "latentlang.models.loading", "latentlang.figures.page", "latentlang.comparison.run",
    "latentlang.activations.harvesting", "latentlang.training.trainer", "latentlang.training.run",
)  # fmt: skip
#: What a notebook's kernel and its notebook import, without what looks at its import for a notebook (tqdm, plotly).
KERNEL = (
    "ipykernel.kernelapp", "torch", "torch.distributed.tensor", "pandas", "pyarrow.parquet", "scipy.optimize", "einops",
    "babel.numbers", "pydantic",
)  # fmt: skip
_STATUS = struct.Struct("i")
_LONGEST = 2**17


class WarmProcess:
    """A running process: ``-m MODULE`` or ``-c CODE`` with arguments, as Python takes them.

    Args:
        arguments: Python's.
        stdout: a file descriptor; None for this process's.
        stderr: likewise.
        closed: those of its descriptors 0, 1 and 2 that are not open, as after ``>&-`` in a shell.
        folder: where it runs; None for the repository's root.
        modules: what it has imported.
        changes: to the environment, for what is not read at import.
    """

    def __init__(
        self,
        *arguments: object,
        stdout: int | None = None,
        stderr: int | None = None,
        closed: Sequence[int] = (),
        folder: Path | None = None,
        modules: tuple[str, ...] = MODULES,
        **changes: str,
    ) -> None:
        told, tell = os.pipe()
        asked = {
            "arguments": [str(argument) for argument in arguments],
            "environment": environment(**changes),
            "closed": list(closed),
            "folder": str(folder or ROOT),
        }
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            given = [nothing.fileno(), 1 if stdout is None else stdout, 2 if stderr is None else stderr, tell]
            socket.send_fds(_server(modules), [json.dumps(asked).encode()], given)
        os.close(tell)
        self._told = told
        self.pid: int = _STATUS.unpack(os.read(told, _STATUS.size))[0]
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return (
            self.wait() if self.returncode is not None or select.select([self._told], [], [], 0)[0] else None
        )

    def wait(self) -> int:
        """Its exit code when it has ended (negative: the signal that ended it)."""
        if self.returncode is None:
            self.returncode = _STATUS.unpack(os.read(self._told, _STATUS.size))[0]
            os.close(self._told)
        return self.returncode


class WarmKernel(WarmProcess):
    """A kernel of Jupyter; to be put in the place of ``jupyter_client``'s ``launch_kernel``."""

    stdin = stdout = stderr = None

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: str, **_others: object
    ) -> None:
        _python, *arguments = command
        env = {**env, "JPY_PARENT_PID": str(os.getpid())}
        super().__init__(
            *arguments, stdout=None, stderr=None, closed=(), folder=Path(cwd), modules=KERNEL, **env
        )

    def send_signal(self, number: int) -> None:
        """What a manager does that has no group of processes to send it to."""
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """What a manager does with a kernel that is slow to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """And then."""
        self.send_signal(signal.SIGKILL)


def warm_process(*arguments: object, **changes: str) -> Outcome:
    """As `tests.support.command_line.process`, begun with everything imported."""
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    running = WarmProcess(
        *arguments, stdout=out_end, stderr=err_end, closed=(), folder=None, modules=MODULES, **changes
    )
    os.close(out_end)
    os.close(err_end)
    with ThreadPoolExecutor(2) as readers:
        said = list(readers.map(_drained, (out, err)))
    return Outcome(running.wait(), *said)


def _drained(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as stream:
        return stream.read()


@cache
def _server(modules: tuple[str, ...]) -> socket.socket:
    """The process that forks; it ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm", str(theirs.fileno()), *modules],
        pass_fds=[theirs.fileno()], cwd=ROOT, env=environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    theirs.close()
    return ours


# In the process that forks


def _serve(asks: socket.socket, modules: Sequence[str]) -> dict[str, Any]:
    """Fork for each that asks, without end; returns in the forked ones alone, with what they were asked."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a run of the tests that is stopped closes the socket
    for name in modules:
        import_module(name)
    while True:
        message, given, _flags, _address = socket.recv_fds(asks, _LONGEST, 4)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            asks.close()
            asked: dict[str, Any] = json.loads(message)
            _begin(*given, closed=asked["closed"])
            return asked
        for descriptor in given:
            os.close(descriptor)


def _begin(stdin: int, stdout: int, stderr: int, tell: int, *, closed: Sequence[int]) -> None:
    """Fork once more, and tell of the one that returns: its process id, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    begun, begins = os.pipe()
    if (pid := os.fork()) != 0:
        os.close(begins)
        os.read(begun, 1)  # nothing: it has a session of its own, and with it a group that can be signalled
        os.close(begun)
        _end_with_parent()
        os.write(tell, _STATUS.pack(pid))
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        _pid, status = os.waitpid(pid, 0)
        os.write(tell, _STATUS.pack(os.waitstatus_to_exitcode(status)))
        os._exit(0)
    os.close(tell)
    os.setsid()  # so that it can be stopped with its children, as a terminal does
    for descriptor in (begun, begins):
        os.close(descriptor)
    for place, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    # as Python makes them at its start; those of the server know of its own files
    streams: dict[str, Any] = {
        "stdin": open(0, encoding="utf-8", closefd=False),  # noqa: SIM115
        "stdout": _stream(1, errors="strict", buffering=1 if os.isatty(1) else -1),
        "stderr": _stream(2, errors="backslashreplace", buffering=1),
    }
    for descriptor, name in enumerate(streams):
        if descriptor in closed:
            os.close(descriptor)
        stream = None if descriptor in closed else streams[name]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.util.spawnv_passfds = _spawned


_new_python = multiprocessing.util.spawnv_passfds


def _spawned(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """As multiprocessing's own, whose workers are new Pythons; these are forks, which have imported everything."""
    *_python, code, last = args
    if last != "--multiprocessing-fork":
        return _new_python(path, args, passfds)
    if (pid := os.fork()) == 0:
        _work(code, sorted({0, 1, 2, *passfds}))
    return pid


def _work(code: str, kept: list[int]) -> NoReturn:
    """A worker's whole life, with the files and the signals that a new Python would have."""
    for one, following in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(one + 1, following)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    sys.argv = ["-c", "--multiprocessing-fork"]
    status: Any = 1
    try:
        exec(code, {})
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status or 0)


def _end_with_parent() -> None:
    """Linux ends this process when the one that forked it ends; a kernel of Jupyter then sees that it is alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _stream(descriptor: int, *, errors: str, buffering: int) -> Any:
    return open(descriptor, "w", encoding="utf-8", errors=errors, buffering=buffering, closefd=False)


def _run(arguments: list[str]) -> int:
    """The exit code, to be left with at once: taking all modules down would copy what is shared with the server."""
    how, what, *rest = arguments
    sys.argv = [how, *rest]
    code: Any = 0
    try:
        if how == "-c":
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        else:
            assert how == "-m"
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
        if not isinstance(code, int | None):
            if sys.stderr is not None:
                sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException as error:
        traceback.print_exc()
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as at any end
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return code or 0


if __name__ == "__main__":
    wanted = _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    ended = _run(wanted["arguments"])
    if ended == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(ended)
