"""Programs that try to get out of the sandbox, use the machine up, or look right: each is kept in, in both modes."""

import os
import runpy
import socket
import sys
from pathlib import Path

import pytest

from latentlang.code_execution import (
    Limits,
    ProgramRun,
    SandboxError,
    check_sandbox,
    inside,
    run_program,
    sandbox,
)
from latentlang.code_execution.inside import _ALLOWED, filter_program
from latentlang.errors import InputError

#: Where nothing is to be waited for.
_QUICK = Limits(seconds=1, wall_seconds=60, memory=256, disk=1, output=20_000)


def _lacks(mode: str) -> str:
    try:
        run_program("", mode=mode)
    except SandboxError as error:
        return str(error)
    return ""


@pytest.fixture(params=sandbox.MODES)
def mode(request: pytest.FixtureRequest) -> str:
    if why := _lacks(request.param):
        pytest.skip(f"this machine has no {request.param}: {why}")
    return str(request.param)


def _run(program: str, mode: str, limits: Limits = _QUICK) -> ProgramRun:
    return run_program(program, limits=limits, mode=mode)


_TRY = """
try:
    {act}
except {by} as error:
    print(type(error).__name__)
else:
    raise SystemError({act!r} + " was allowed")
"""


def _refused(mode: str, *acts: str, by: str = "OSError") -> None:
    """Whether each line raises what a program gets that may not do it."""
    run = _run("import os\n" + "".join(_TRY.format(act=act, by=by) for act in acts), mode)
    assert run.passed, run
    assert len(run.output.splitlines()) == len(acts)


def test_a_program_is_run_and_what_it_prints_is_kept(mode: str) -> None:
    run = _run("import math, decimal, hashlib, re, collections\nprint(math.comb(5, 2), __name__)\n", mode)
    assert run == ProgramRun("passed", "", "10 __main__\n", run.layers)
    assert run.layers[-1] == "seccomp"


@pytest.mark.parametrize(
    ("program", "ended", "detail"),
    [
        ("assert 1 == 2, 'no'", "failed", "AssertionError: no"),
        ("def f(:", "syntax", "SyntaxError: invalid syntax (<program>, line 1)"),
        ("import sys; sys.exit(0)", "exited", "it ended the process before its last line"),
        ("import os; os._exit(0)", "crashed", "it ended with code 0"),
        ("x = bytearray(10 * 2**30)", "memory", "MemoryError"),
        ("import os, signal; signal.raise_signal(signal.SIGSEGV)", "crashed", "SIGSEGV"),
        # the kernel has signals that have no name
        ("import signal; signal.raise_signal(40)", "crashed", "it ended with code -40"),
        (
            "class E(Exception):\n    def __str__(self): raise E\nraise E",
            "failed",
            "an error that cannot be printed",
        ),
        ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt: "),
        ("raise ValueError('\\ud800')", "failed", r"ValueError: \ud800"),
        ("def f(): f()\nf()", "failed", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_each_way_to_end_has_its_name(program: str, ended: str, detail: str) -> None:
    run = _run(program, check_sandbox())
    assert (run.passed, run.ended, run.detail) == (False, ended, detail)


def test_what_was_printed_before_an_error_is_kept() -> None:
    for end in ("raise ValueError('no')", "raise SystemExit", "bytearray(10 * 2**30)"):
        assert _run(f"print('seen')\n{end}", check_sandbox()).output == "seen\n"


def test_the_network_is_cut_also_to_this_very_machine(mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        port = server.getsockname()[1]
        _refused(
            mode,
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
            "socket.socketpair()",
            "socket.socket(socket.AF_UNIX)",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
            "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)",
        )
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_process_or_thread_is_made_and_no_program_is_called(mode: str) -> None:
    _refused(
        mode,
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "import subprocess; subprocess.run(['true'])",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
    )
    _refused(mode, "import threading; threading.Thread(target=print).start()", by="RuntimeError")
    assert _run("import os\nif os.system('true') == 0: raise SystemError", mode).passed


def test_a_fork_bomb_makes_nothing_and_ends() -> None:
    bomb = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
    assert _run(bomb, check_sandbox()).ended == "time"


def test_system_calls_made_directly_are_refused_too(mode: str) -> None:
    # fork, vfork, clone3, socket, ptrace, process_vm_readv, io_uring_setup, memfd_create, mount, unshare, setns,
    # keyctl, bpf, perf_event_open, userfaultfd, prlimit64 (with new limits), prctl, landlock_create_ruleset
    numbers = (57, 58, 435, 41, 101, 310, 425, 319, 165, 272, 308, 250, 321, 298, 323, 157, 444)
    program = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"for number in {numbers}:\n"
        "    if libc.syscall(number, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: raise SystemError(number)\n"
        "limits = (ctypes.c_ulong * 2)(2**40, 2**40)\n"
        "if libc.syscall(302, 0, 9, limits, None) != -1 or ctypes.get_errno() != 1: raise SystemError('prlimit')\n"
    )
    assert _run(program, mode).passed


def test_an_old_way_to_call_the_kernel_ends_the_program(mode: str) -> None:
    # x32: the same calls under other numbers
    run = _run("import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 41, 2, 1, 0)\n", mode)
    assert (run.ended, run.detail) == ("crashed", "SIGSYS")


def test_nobody_elses_process_is_signalled(mode: str) -> None:
    kills = (f"os.kill({os.getpid()}, 9)", "os.kill(os.getppid(), 9)", "os.kill(-1, 9)", "os.killpg(0, 9)")
    _refused(mode, *kills, "os.setsid()", "os.setpgid(0, 0)", "os.nice(-5)", "os.setuid(0)")


def test_files_of_the_user_are_not_read(mode: str, tmp_path: Path) -> None:
    secret = tmp_path / ".ssh" / "id_ed25519"
    secret.parent.mkdir()
    secret.write_text("a key")
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(secret)
    files = (secret, elsewhere, "/etc/passwd", "/proc/self/environ", "/proc/1/environ", "/dev/mem", __file__)
    # where nothing else is mounted, the folders above Python's and the program's are there, with nothing else in them
    folders = (
        tmp_path,
        "/etc",
        "/proc",
        "/dev",
        "/sys",
        *([Path.home(), "/tmp"] if mode == "landlock" else []),
    )
    _refused(
        mode,
        *(f"open({str(path)!r}).read()" for path in files),
        *(f"os.listdir({str(folder)!r})" for folder in folders),
        f"os.truncate({str(secret)!r}, 0)",
        f"os.open({str(secret)!r}, os.O_RDONLY | os.O_TRUNC)",
        f"os.unlink({str(secret)!r})",
        f"os.rename({str(secret)!r}, 'mine')",
        f"os.link({str(secret)!r}, 'mine')",
        f"os.chmod({str(secret)!r}, 0)",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        "open(os.__file__, 'a')",
        "open('/usr/lib/new', 'w')",
        "os.chroot('.')",
    )
    assert secret.read_text() == "a key"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".ssh", "link"]


def test_a_link_out_of_its_folder_leads_nowhere(mode: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a key")
    _refused(
        mode,
        f"os.symlink({str(tmp_path / 'secret')!r}, 'link'); open('link').read()",
        f"os.symlink('/', 'all'); os.listdir('all{tmp_path}')",
        "os.listdir('../' * 20 + 'etc')",
    )


def test_the_environment_holds_nothing_of_the_user(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTLANG_SECRET", "a key")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    run = _run("import os, sys\nprint(sorted(os.environ), sys.argv, len(sys.path), os.listdir('.'))\n", mode)
    assert run.output.startswith(
        "['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED', 'TMPDIR', 'TZ'] ['program'] 3 []"
    )
    assert _run("import numpy", mode).detail == "ModuleNotFoundError: No module named 'numpy'"
    assert _run("import latentlang", mode).detail == "ModuleNotFoundError: No module named 'latentlang'"


def test_what_is_written_is_limited_and_gone_afterwards() -> None:
    if why := _lacks("namespaces"):
        pytest.skip(why)
    run = _run("open('a', 'w').write('text'); print(open('a').read())", "namespaces")
    assert run.output == "text\n"
    for act in (
        "open('a', 'wb').write(bytes(2 * 2**20))",
        "[open(str(number), 'wb').write(bytes(2**18)) for number in range(8)]",
        "[open(str(number), 'w').close() for number in range(1000)]",
    ):
        _refused("namespaces", act)
    assert _run("import os; print(os.listdir('.'))", "namespaces").output == "[]\n"


def test_nothing_is_written_without_namespaces() -> None:
    if why := _lacks("landlock"):
        pytest.skip(why)
    _refused("landlock", "open('a', 'w')", "os.mkdir('a')", "os.symlink('/', 'a')")


def test_output_time_and_memory_end_it(mode: str) -> None:
    endless = _run("while True: print('x' * 1000)", mode)
    assert (endless.ended, len(endless.output)) == ("output", _QUICK.output)
    sleeping = Limits(seconds=1, wall_seconds=1, memory=256)
    assert _run("import time; time.sleep(60)", mode, sleeping).ended == "time"
    closed = "import os, time\nos.closerange(0, 60)\ntime.sleep(60)"
    assert _run(closed, mode, sleeping).ended == "time"
    assert _run("held = []\nwhile True: held.append(bytes(2**20))", mode).ended == "memory"
    deaf = "import signal, time\n[signal.signal(number, signal.SIG_IGN) for number in (2, 14, 15, 24)]\ntime.sleep(60)"
    assert _run(deaf, mode, sleeping).ended == "time"


def test_a_report_that_the_program_writes_itself_is_not_believed(mode: str) -> None:
    line = '{\\"nonce\\": \\"\\", \\"ended\\": \\"passed\\"}\\n'
    forged = f"import os\nfor handle in range(3, 60):\n    try: os.write(handle, b'{line}')\n    except OSError: pass\n"
    assert _run(forged + "raise ValueError('no')", mode).detail == "ValueError: no"
    flood = forged.replace("    try: os", "    try:\n        for _ in range(10_000): os")
    assert _run(flood, mode).ended == "output"


def test_the_filter_of_system_calls_allows_what_its_list_says() -> None:
    rules = filter_program(77)

    def decides(number: int, arguments: tuple[int, ...] = (0,) * 6, arch: int = 0xC000003E) -> int:
        words = {0: number, 4: arch}
        for index, value in enumerate(arguments):
            words |= {16 + 8 * index: value & 0xFFFFFFFF, 20 + 8 * index: value >> 32}
        place, register = 0, 0
        while True:
            code, yes, no, value = rules[place]
            place += 1
            if code == 0x06:
                return value
            if code == 0x20:
                register = words[value]
            else:
                place += yes if (register == value if code == 0x15 else register >= value) else no

    allowed = {number for number in range(600) if decides(number, (77, 1, 0, 0, 0, 0)) == 0x7FFF0000}
    assert allowed == {*_ALLOWED.values(), 72, 234, 302}
    assert decides(16, (0, 0x5401, 0, 0, 0, 0)) == 0x7FFF0000
    assert decides(234, (78, 0, 9, 0, 0, 0)) == decides(302, (0, 9, 2**40, 0, 0, 0)) == 0x50001
    assert decides(234, (77 + 2**32, 0, 9, 0, 0, 0)) == 0x50001
    assert decides(0, arch=0x40000003) == decides(0x40000000) == 0x80000000


def test_what_cannot_be_enforced_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_sandbox.cache_clear()
    try:
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(SandboxError, match="on Linux alone, not on darwin"):
            run_program("print(1)")
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(sandbox, "_PROBE", "raise SystemError('open was allowed')\n")
        with pytest.raises(SandboxError, match=r"namespaces: .*; landlock: .*open was allowed"):
            run_program("print(1)")
        monkeypatch.setattr(sandbox, "_readable", lambda: ["/nowhere"])
        with pytest.raises(SandboxError, match=r"nowhere|No such file"):
            run_program("print(1)", mode="namespaces")
    finally:
        check_sandbox.cache_clear()


def test_each_way_to_keep_files_apart_does_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if why := _lacks("namespaces"):
        pytest.skip(why)
    text = Path(inside.__file__).read_text(encoding="utf-8")
    (tmp_path / "inside.py").write_text(
        text.replace("_LEAST_LANDLOCK = 3", "_LEAST_LANDLOCK = 99"), encoding="utf-8"
    )
    monkeypatch.setattr(sandbox, "_INSIDE", tmp_path / "inside.py")
    assert _run("", "namespaces").layers == ("namespaces", "seccomp")
    _refused(
        "namespaces",
        f"open({str(tmp_path / 'inside.py')!r})",
        "open('/etc/passwd')",
        "os.listdir('/proc')",
        "open('/usr/lib/new', 'w')",
        "open(os.__file__, 'a')",
        "open('/new', 'w')",
        "os.mkdir(os.path.dirname(os.getcwd()) + '/new')",
    )
    with pytest.raises(SandboxError, match="landlock: the kernel has none"):
        run_program("", mode="landlock")


def test_where_there_is_no_sandbox_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    # Windows has no such module; what needs it is started by path, on Linux
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.delitem(sys.modules, inside.__name__)
    monkeypatch.setattr(sys, "platform", "win32")
    elsewhere = runpy.run_path(sandbox.__file__, run_name="elsewhere")
    with pytest.raises(InputError, match="on Linux alone, not on win32"):
        elsewhere["run_program"]("print(1)")


def test_limits_and_texts_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="seconds must be at least 1, not 0"):
        Limits(seconds=0)
    with pytest.raises(InputError, match="memory must be at least 128, not 1"):
        Limits(memory=1)
    with pytest.raises(InputError, match="half of a character"):
        run_program("x = '\ud800'")
