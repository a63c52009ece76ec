"""Run a Python program that nobody has read: without network, files of the user, other processes, or end.

Every program has a process of its own, which gives up its rights in the kernel before the program is read (`inside`):

- *system calls*: a list of those that Python computes with (seccomp); none makes a process, a thread or a socket;
- *files*: namespaces with nothing in them but Python, system libraries and one empty folder in memory, and Landlock;
  or Landlock alone, where namespaces are not allowed: then nothing can be written, and names of files can be guessed;
- *resources*: memory, processor time, time, sizes of files, output (`Limits`);
- no capabilities, no new privileges, an environment of its own, a session of its own that is killed as a whole.

Where the kernel enforces less, nothing is run.

A program alone (`run_program`) is in one process with what reports its end: one that is *made* to look right can. A
program and its tests (`run_tests`) are in two, between which plain data go: what passes is said by a process that the
program cannot reach, of values that this process made itself.
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
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
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
# Characters of an error's line; a program alone can report longer ones.
_MOST_DETAIL = 400
# Seconds that a program has to end once its tests have.
_ENDING_SECONDS = 2.0
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
    "not-plain",
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
            limit; ``crashed`` a signal, or an end without a report; ``not-plain`` (`run_tests`) an argument of a test
            or what the function returned is no plain data.
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


def run_tests(
    program: str,
    *,
    head: str,
    tests: str,
    entry_point: str,
    limits: Limits | None = None,
    mode: str | None = None,
) -> ProgramRun:
    """Run a program's function against tests that are in another process, where the program cannot reach them.

    Arguments and results go between the two as plain data (numbers, texts, bytes, lists, tuples, sets, dicts, booleans,
    None; what derives from them goes as these), so that what the tests compare is of Python's own types. Arguments that
    the function changes stay unchanged for the tests.

    Args:
        program: Python source that defines the function.
        head: what the tests need of a program: names that they use besides the function. It is run beside the tests, so
            that it must not be a model's.
        tests: source that calls the function by its name, and raises where it is wrong.
        entry_point: the function's name.
        limits: what each of the two may use; `Limits()` by default.
        mode: one of `MODES`; the strictest that this machine has by default.

    Raises:
        SandboxError: this machine cannot enforce the limits; nothing was run.
        InputError: a text holds half of a character.
    """
    for text, what in ((program, "a program"), (head, "a head"), (tests, "tests")):
        check_unicode(text, what)
    chosen = check_sandbox() if mode is None else mode
    return _run_apart(program, head, tests, entry_point, limits or Limits(), chosen)


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
    with ExitStack() as stack:
        alone = _Process.started(stack, limits, mode, program=program)
        stopped = _listen([alone], limits)
    return _outcome(alone, stopped, limits, mode)


def _run_apart(
    program: str, head: str, tests: str, entry_point: str, limits: Limits, mode: str
) -> ProgramRun:
    questions, question_end = os.pipe()
    answers, answer_end = os.pipe()
    with ExitStack() as stack:
        try:
            testing = _Process.started(
                stack, limits, mode, program=head, tests=tests, asks=entry_point, read=answers, write=question_end
            )  # fmt: skip
            tried = _Process.started(
                stack, limits, mode, program=program, serves=entry_point, read=questions, write=answer_end
            )  # fmt: skip
        finally:
            for handle in (questions, question_end, answers, answer_end):
                os.close(handle)
        stopped = _listen([testing, tried], limits)
    verdict = _outcome(testing, stopped, limits, mode)
    own = _outcome(tried, stopped, limits, mode)
    if stopped is None and _records(bytes(testing.reported), testing.nonce).get("unanswered"):
        # why there was no answer is known where it was tried; whether it passed, to the tests alone
        ended, detail = (
            ("failed", "it gave no answer that can be read") if own.passed else (own.ended, own.detail)
        )
        verdict = replace(verdict, ended=ended, detail=detail)
    return replace(verdict, output=own.output)


@dataclass(eq=False)
class _Process:
    """A process that confines itself, and what came of it so far.

    Attributes:
        process: it.
        nonce: what its reports know.
        reports: the handle that they come by.
        printed: what it printed.
        reported: its reports.
    """

    process: subprocess.Popen[bytes]
    nonce: str
    reports: int
    printed: bytearray = field(default_factory=bytearray)
    reported: bytearray = field(default_factory=bytearray)

    @property
    def prints(self) -> int:
        """The handle that what it prints comes by."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    @classmethod
    def started(
        cls,
        stack: ExitStack,
        limits: Limits,
        mode: str,
        *,
        program: str,
        tests: str = "",
        asks: str = "",
        serves: str = "",
        read: int = -1,
        write: int = -1,
    ) -> _Process:
        """Start it and tell it what to do; it is ended with the stack.

        Args:
            stack: what is to be done at the end.
            limits: what it may use.
            mode: see `MODES`.
            program: what it runs.
            tests: what it runs behind that, if it `asks`.
            asks: name of the function that another process serves.
            serves: name of the function that it serves.
            read: handle that it reads from, if it asks or serves.
            write: handle that it writes to.

        Raises:
            SandboxError: no process can be started.
        """
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="latentlang-program-"))
        root, work = Path(folder, "root"), Path(folder, "work")
        root.mkdir()
        work.mkdir()
        nonce = secrets.token_hex(16)
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
            "tests": tests,
            "asks": asks,
            "serves": serves,
            "read": read,
            "write": write,
        }
        reports, report_end = os.pipe()
        stack.callback(os.close, reports)
        try:
            process = _start(report_end, work, [handle for handle in (read, write) if handle >= 0])
        except OSError as error:
            raise SandboxError(f"no process can be started: {error.strerror or error}") from error
        finally:
            os.close(report_end)
        stack.callback(_end, process)
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it ended at once; its report says why
            process.stdin.write(json.dumps(told).encode())
            process.stdin.close()
        return cls(process, nonce, reports)


def _start(report_end: int, work: Path, others: Sequence[int]) -> subprocess.Popen[bytes]:
    """The process that is to confine itself; it has three pipes, those named, and nothing else of this one."""
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
        pass_fds=(report_end, *others),
        start_new_session=True,
    )


def _listen(processes: Sequence[_Process], limits: Limits) -> str | None:
    """What they print and report, until the first closed both and the others did, or a limit; returns which one."""
    first = processes[0]
    held: dict[int, tuple[bytearray, int]] = {}
    for one in processes:
        held |= {one.prints: (one.printed, limits.output), one.reports: (one.reported, _MOST_REPORT)}
    decides = {first.prints, first.reports}
    last, begun = time.monotonic() + _STARTING_SECONDS, False
    ending: float | None = None
    with selectors.DefaultSelector() as selector:
        for handle in held:
            selector.register(handle, selectors.EVENT_READ)
        while selector.get_map():
            left = (last if ending is None else min(last, ending)) - time.monotonic()
            if left <= 0:
                return "time" if ending is None else None
            for key, _events in selector.select(left):
                text, most = held[key.fd]
                piece = os.read(key.fd, 65_536)
                if not piece:
                    selector.unregister(key.fd)
                text += piece
                if len(text) > most:
                    del text[most:]
                    return "output"
            if not begun and all(one.reported for one in processes):  # they are confined, and begin
                begun, last = True, time.monotonic() + limits.wall_seconds
            if ending is None and not decides & set(selector.get_map()):
                ending = time.monotonic() + _ENDING_SECONDS  # the others have nothing left to do but to end
    # they may close both and go on
    try:
        first.process.wait(max(last - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return "time"
    for one in processes[1:]:
        with suppress(subprocess.TimeoutExpired):
            one.process.wait(_ENDING_SECONDS)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of its session, and wait for it."""
    if process.returncode is None:  # later its number may be another's
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _records(report: bytes, nonce: str) -> dict[str, Any]:
    """The report's lines that know the nonce, put together."""
    records: dict[str, Any] = {}
    for line in report.splitlines():
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and record.get("nonce") == nonce:
                if "layers" in records:  # said before there was a program that could say it
                    record["layers"] = records["layers"]
                records |= record
    return records


def _outcome(ran: _Process, stopped: str | None, limits: Limits, mode: str) -> ProgramRun:
    """What became of it.

    Raises:
        SandboxError: the limits were not in force, so that nothing was run.
    """
    code, report = ran.process.returncode, _records(bytes(ran.reported), ran.nonce)
    if "layers" not in report:
        reason = report.get("refused") or (
            "it did not start in time"
            if stopped == "time"
            else f"it ended with code {code} before it was confined"
        )
        raise SandboxError(f"{mode}: {reason}")
    ended, detail = str(report.get("ended", "crashed")), str(report.get("detail", ""))[:_MOST_DETAIL]
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
    return ProgramRun(
        ended if ended in ENDINGS else "crashed",
        detail,
        ran.printed.decode(errors="replace"),
        tuple(report["layers"]),
    )
