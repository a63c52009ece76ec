"""Run a Python program that nobody has read: without network, files of the user, other processes, or end.

Every program has a process of its own, which gives up its rights in the kernel before the program is read (`inside`):

- *system calls*: a list of those that Python computes with (seccomp); none makes a process, a thread or a socket;
- *files*: namespaces with nothing in them but Python, system libraries and one empty folder in memory, and Landlock;
  or Landlock alone, where namespaces are not allowed: then nothing can be written, and names of files can be guessed;
- *resources*: memory, processor time, time, sizes of files, output (`Limits`);
- no capabilities, no new privileges, an environment of its own, a session of its own that is killed as a whole.

Where the kernel enforces less, nothing is run. A program is in one process with what reports its end: one that is
*made* to look right can. What is kept safe is the machine, not the score of somebody who cheats.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from latentlang.arguments import check_count, check_unicode
from latentlang.errors import InputError

_INSIDE = Path(__file__).with_name("inside.py")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
MODES = ("namespaces", "landlock")
_MEGABYTE = 2**20
# Bytes of a report; a program that writes into it gets no further. Seconds until it is confined, on a busy machine.
_MOST_REPORT, _STARTING_SECONDS = 65_536, 120.0
#: How a program may end; ``passed`` is its last line reached.
ENDINGS = (
    "passed",
    "failed",
    "syntax",
    "exited",
    "memory",
    "time",
    "output",
    "crashed",
)


class SandboxError(InputError):
    """This machine cannot keep a program in, so that none is run."""


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
        seconds: of processor time.
        wall_seconds: from its first line to its end, of which a busy machine may take a part.
        memory: address space in megabytes; Python itself takes about 50.
        disk: megabytes of all files together that it writes, which are in memory and gone when it ends.
        output: bytes of what it prints.
    """

    seconds: int = 10
    wall_seconds: int = 40
    memory: int = 1024
    disk: int = 16
    output: int = 65_536

    def __post_init__(self) -> None:
        for name, least in (("seconds", 1), ("wall_seconds", 1), ("memory", 128), ("disk", 1), ("output", 1)):
            check_count(name, getattr(self, name), least=least)


@dataclass(frozen=True)
class ProgramRun:
    """How a program ended.

    Attributes:
        ended: one of `ENDINGS`: ``passed`` its last line was reached; ``failed`` an error that it did not catch;
            ``syntax`` it is no Python; ``exited`` it left before its last line; ``memory``, ``time`` and ``output`` a
            limit; ``crashed`` a signal, or an end without a report.
        detail: the error's line, or the signal; empty if passed.
        output: what it printed, as far as the limit; bytes that are no UTF-8 are replaced.
        layers: what kept it in.
    """

    ended: str
    detail: str
    output: str
    layers: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether its last line was reached."""
        return self.ended == "passed"


def run_program(program: str, *, limits: Limits | None = None, mode: str | None = None) -> ProgramRun:
    """Run a program's text in a process that can do no harm.

    Args:
        program: Python source; it sees the standard library alone, an empty folder, and no input.
        limits: what it may use; `Limits()` by default.
        mode: one of `MODES`; the strictest that this machine has by default.

    Raises:
        SandboxError: this machine cannot enforce the limits; nothing was run.
        InputError: the text holds half of a character.
    """
    check_unicode(program, "a program")
    return _run(program, limits or Limits(), check_sandbox() if mode is None else mode)


# Each line tries what must not be possible; the program passes if nothing was.
_PROBE = """
import os, socket
def refused(act, *given):
    try:
        act(*given)
    except (OSError, PermissionError):
        return
    raise SystemError(f"{act.__name__} was allowed")
refused(socket.socket)
refused(os.fork)
refused(os.execv, "/bin/true", ["true"])
refused(os.kill, os.getppid(), 0)
refused(os.listdir, "/proc")
refused(os.listdir, "/etc")
refused(open, MARK)
refused(open, MARK, "w")
refused(open, "/etc/passwd")
refused(os.chmod, ".", 0o777)
try:
    bytearray(MEMORY)
except MemoryError:
    pass
else:
    raise SystemError("more memory than allowed")
"""


@lru_cache(maxsize=1)
def check_sandbox() -> str:
    """Which of `MODES` this machine enforces, the strictest first; tried once, with a program that tries to get out.

    Raises:
        SandboxError: none, with what the kernel refused.
    """
    if sys.platform != "linux":
        raise SandboxError(
            f"programs are run on Linux alone, not on {sys.platform}: there is nothing here that keeps them in"
        )
    limits = Limits()
    problems = []
    with tempfile.NamedTemporaryFile(prefix="latentlang-") as mark:
        probe = f"MARK, MEMORY = {mark.name!r}, {2 * limits.memory * _MEGABYTE}\n{_PROBE}"
        for mode in MODES:
            try:
                tried = _run(probe, limits, mode)
            except SandboxError as error:
                problems.append(str(error))
                continue
            if tried.passed:
                return mode
            problems.append(f"{mode}: {tried.ended}, {tried.detail}")
    raise SandboxError(
        "this machine does not let programs be kept in, so none is run: "
        + "; ".join(problems)
        + "; run them on a "
        "Linux machine (x86-64) whose kernel allows user namespaces, or has Landlock (6.2 or newer)"
    )


def _readable() -> list[str]:
    """Folders of Python's standard library and of system libraries, outer ones first."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    standard = [os.path.realpath(sysconfig.get_path(name, vars=base)) for name in ("stdlib", "platstdlib")]
    return [*filter(os.path.isdir, _LIBRARIES), *dict.fromkeys(filter(os.path.isdir, standard))]


def _run(program: str, limits: Limits, mode: str) -> ProgramRun:
    nonce = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="latentlang-program-") as folder:
        root, work = Path(folder, "root"), Path(folder, "work")
        root.mkdir()
        work.mkdir()
        told = {
            "mode": mode,
            "nonce": nonce,
            "parent": os.getpid(),
            "root": str(root),
            "work": str(work),
            "readable": _readable(),
            "seconds": limits.seconds,
            "memory_bytes": limits.memory * _MEGABYTE,
            "disk_bytes": limits.disk * _MEGABYTE,
            "files": 256,
            "program": program,
        }
        reports, report_end = os.pipe()
        try:
            process = _start(report_end, work)
        except OSError as error:
            os.close(reports)
            raise SandboxError(f"no process can be started: {error.strerror or error}") from error
        finally:
            os.close(report_end)
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it ended at once; its report says why
                process.stdin.write(json.dumps(told).encode())
                process.stdin.close()
            stopped, output, report = _listen(process, reports, limits)
        finally:
            _end(process)
            os.close(reports)
            assert process.stdout is not None
            process.stdout.close()
    return _outcome(process.returncode, stopped, output, _records(report, nonce), limits, mode)


def _start(report_end: int, work: Path) -> subprocess.Popen[bytes]:
    """The process that is to confine itself; it has three pipes and nothing else of this one."""
    environment = {
        "HOME": str(work),
        "TMPDIR": str(work),
        "LANG": "C.UTF-8",
        "PATH": "",
        "PYTHONHASHSEED": "0",
        "TZ": "UTC",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-s", "-S", "-B", "-X", "utf8", str(_INSIDE), str(report_end)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=work,
        pass_fds=(report_end,),
        start_new_session=True,
    )


def _listen(
    process: subprocess.Popen[bytes], reports: int, limits: Limits
) -> tuple[str | None, bytes, bytes]:
    """What it prints and reports, until it closes both, or a limit; returns which one, and the two."""
    assert process.stdout is not None
    printed, reported = process.stdout.fileno(), reports
    texts = {printed: bytearray(), reported: bytearray()}
    most = {printed: limits.output, reported: _MOST_REPORT}
    last = time.monotonic() + _STARTING_SECONDS
    with selectors.DefaultSelector() as selector:
        for handle in texts:
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map():
            left = last - time.monotonic()
            if left <= 0:
                return "time", bytes(texts[printed]), bytes(texts[reported])
            for key, _events in selector.select(left):
                handle = key.fd
                piece = os.read(handle, 65_536)
                if not piece:
                    selector.unregister(handle)
                if handle == reported and not texts[handle] and piece:  # it is confined, and begins
                    last = time.monotonic() + limits.wall_seconds
                texts[handle] += piece
                if len(texts[handle]) > most[handle]:
                    del texts[handle][most[handle] :]
                    return "output", bytes(texts[printed]), bytes(texts[reported])
    # it may close both and go on
    try:
        process.wait(max(last - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return "time", bytes(texts[printed]), bytes(texts[reported])
    return None, bytes(texts[printed]), bytes(texts[reported])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of its session, and wait for it."""
    if process.returncode is None:  # later its number may be another's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _records(report: bytes, nonce: str) -> dict[str, Any]:
    """The report's lines that know the nonce, put together."""
    records: dict[str, Any] = {}
    for line in report.splitlines():
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and record.get("nonce") == nonce:
                records |= record
    return records


def _outcome(
    code: int, stopped: str | None, output: bytes, report: dict[str, Any], limits: Limits, mode: str
) -> ProgramRun:
    """What became of it.

    Raises:
        SandboxError: the limits were not in force, so that nothing was run.
    """
    if "layers" not in report:
        reason = report.get("refused") or (
            "it did not start in time"
            if stopped == "time"
            else f"it ended with code {code} before it was confined"
        )
        raise SandboxError(f"{mode}: {reason}")
    ended, detail = str(report.get("ended", "crashed")), str(report.get("detail", ""))
    detail = detail.encode(errors="backslashreplace").decode()  # an error's text may hold half of a character
    if stopped is not None:
        ended = stopped
        detail = (
            f"more than {limits.output:,} bytes of output"
            if stopped == "output"
            else f"more than {limits.wall_seconds} s"
        )
    elif "ended" not in report and code == -signal.SIGXCPU:
        ended, detail = "time", f"more than {limits.seconds} s of processor time"
    elif "ended" not in report:
        detail = f"it ended with code {code}"
        with suppress(ValueError):  # an exit code, or a signal without a name (real-time ones)
            detail = signal.Signals(-code).name
    return ProgramRun(ended, detail, output.decode(errors="replace"), tuple(report["layers"]))
