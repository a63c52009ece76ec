"""What runs inside the sandbox: gives up every right it can, then runs one program.

Started by path, and imported by tests alone: it needs Linux, and `sandbox` says so where there is none.

It knows the standard library alone, since it runs without site packages. Nothing of the program is read before every
limit is in force; a step that the kernel refuses ends the process with a report, and nothing is run.

Told on standard input, as one JSON object: ``mode``, ``nonce``, ``parent`` (process id), ``root`` and ``work`` (empty
folders), ``readable`` (folders of Python and of system libraries), the limits, and ``program``. It reports on the
handle that its argument names, a JSON object a line: first what is in force, then how the program ended.

A program may also be one of two, each in a process of its own: one ``serves`` its function to the other, which
``asks`` (the tests). Between them go handles to ``read`` from and to ``write`` to, and on these plain data alone
(`packed`): whatever the one that serves does to its own process, the other compares values that are its own.
"""

import builtins
import ctypes
import json
import os
import resource
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

# unshare(2), mount(2), mount_setattr(2), prctl(2), seccomp(2): numbers of linux/uapi, of x86-64 where they differ.
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = (
    1 << 17,
    1 << 26,
    1 << 27,
    1 << 28,
    1 << 30,
)
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE = 2, -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_SYS_PIVOT_ROOT, _SYS_SECCOMP, _SYS_CAPSET, _SYS_MOUNT_SETATTR = 155, 317, 126, 442
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_SIGKILL = 9
_LAST_CAPABILITY = 63
_LEAST_LANDLOCK = 3  # before, a file could be emptied by opening it (O_TRUNC)

_LIBC = ctypes.CDLL(None, use_errno=True)


class RefusedError(Exception):
    """The kernel would not do something that the sandbox cannot be without."""


def _call(what: str, number: int, *arguments: Any) -> int:
    """A system call by its number."""
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    value: int = _LIBC.syscall(ctypes.c_long(number), *plain)
    if value < 0:
        raise RefusedError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return value


def _prctl(what: str, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:5]]
    if _LIBC.prctl(*padded) < 0:
        raise RefusedError(f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    if _LIBC.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]) < 0:
        raise RefusedError(f"mount on {target}: {os.strerror(ctypes.get_errno())}")


# Files


def enter_namespaces(told: dict[str, Any]) -> None:
    """Leave users, mounts, network, host name and shared memory of the machine; what is left is Python and a folder."""
    user, group = os.geteuid(), os.getegid()
    spaces = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
    if _LIBC.unshare(spaces) < 0:
        raise RefusedError(f"unshare: {os.strerror(ctypes.get_errno())}")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"65534 {user} 1"),
        ("gid_map", f"65534 {group} 1"),
    ):
        try:
            Path("/proc/self", name).write_text(line)
        except OSError as error:
            raise RefusedError(f"{name}: {error.strerror}") from None
    root, quiet = told["root"], _MS_NOSUID | _MS_NODEV
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", quiet, "size=1m,nr_inodes=4096,mode=755")
    for path in told["readable"]:
        outer, inner = Path(path), Path(root + path)
        inner.parent.mkdir(parents=True, exist_ok=True)
        if outer.is_symlink():
            inner.symlink_to(outer.readlink())
            continue
        if inner.is_dir():  # lies in another one
            continue
        inner.mkdir()
        _mount(path, str(inner), None, _MS_BIND | _MS_REC)
        locked = struct.pack("QQQQ", _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV, 0, 0, 0)
        _call(
            "mount_setattr",
            _SYS_MOUNT_SETATTR,
            _AT_FDCWD,
            os.fsencode(inner),
            _AT_RECURSIVE,
            locked,
            len(locked),
        )
    work = root + told["work"]
    Path(work).mkdir(parents=True, exist_ok=True)
    _mount(
        "tmpfs",
        work,
        "tmpfs",
        quiet | _MS_NOEXEC,
        f"size={told['disk_bytes']},nr_inodes={told['files']},mode=700",
    )
    os.chdir(root)
    _call("pivot_root", _SYS_PIVOT_ROOT, b".", b".")
    if _LIBC.umount2(b".", _MNT_DETACH) < 0:
        raise RefusedError(f"umount: {os.strerror(ctypes.get_errno())}")
    _mount("none", "/", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | quiet)


def restrict_paths(told: dict[str, Any], *, writable: bool) -> bool:
    """Landlock: read Python and system libraries, use the folder, open nothing else; False if the kernel lacks it."""
    version = _LIBC.syscall(ctypes.c_long(_SYS_LANDLOCK_CREATE), None, ctypes.c_long(0), ctypes.c_long(1))
    if version < _LEAST_LANDLOCK:
        return False
    every = (1 << (16 if version >= 5 else 15)) - 1  # rights of files; device ioctls came with 5
    reads, all_but_devices = (1 << 2) | (1 << 3), (1 << 15) - 1 - (1 << 6) - (1 << 11) - (1 << 0)
    # after them TCP (since 4), and abstract sockets and signals (since 6)
    attributes = struct.pack("QQQ", every, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call("landlock_create_ruleset", _SYS_LANDLOCK_CREATE, attributes, size, 0)
    for path, rights in (
        *((path, reads) for path in told["readable"]),
        (told["work"], all_but_devices if writable else reads),
    ):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        beneath = struct.pack("=Qi", rights, handle)
        _call("landlock_add_rule", _SYS_LANDLOCK_ADD, rules, 1, beneath, 0)
        os.close(handle)
    _call("landlock_restrict_self", _SYS_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)
    return True


# Rights


def drop_capabilities() -> None:
    """Nothing that root may do, now or later."""
    for number in range(_LAST_CAPABILITY + 1):
        if _LIBC.prctl(*map(ctypes.c_ulong, (_PR_CAPBSET_DROP, number, 0, 0, 0))) < 0:
            break  # behind the last that this kernel has, or there is no right to drop any
    header, nothing = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 0, 0, 0, 0, 0, 0)
    _call("capset", _SYS_CAPSET, header, nothing)


def limit_resources(told: dict[str, Any]) -> None:
    """Memory, time, file sizes, open files, processes."""
    for name, (soft, hard) in {
        "RLIMIT_AS": (told["memory_bytes"],) * 2,
        "RLIMIT_CPU": (told["seconds"], told["seconds"] + 1),
        "RLIMIT_FSIZE": (told["disk_bytes"],) * 2,
        "RLIMIT_NOFILE": (64, 64),
        "RLIMIT_NPROC": (1, 1),
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_MEMLOCK": (0, 0),
        "RLIMIT_MSGQUEUE": (0, 0),
    }.items():
        try:
            resource.setrlimit(getattr(resource, name), (soft, hard))
        except (OSError, ValueError) as error:
            raise RefusedError(f"setrlimit {name}: {error}") from None
        if resource.getrlimit(getattr(resource, name)) != (soft, hard):
            raise RefusedError(f"setrlimit {name}: not in force")


# System calls (x86-64) that a program may make: what Python needs to compute, to load modules and to use files. There
# is none that makes a process, a thread or a socket, none that signals or traces another process, none that changes
# owner, mode or attributes of a file, and none that mounts or loads anything.
_ALLOWED = {
    name: int(number)
    for line in """
read 0 | write 1 | open 2 | close 3 | stat 4 | fstat 5 | lstat 6 | poll 7 | lseek 8 | mmap 9 | mprotect 10
munmap 11 | brk 12 | rt_sigaction 13 | rt_sigprocmask 14 | rt_sigreturn 15 | pread64 17 | readv 19
writev 20 | access 21 | select 23 | sched_yield 24 | mremap 25 | madvise 28 | dup 32 | dup2 33 | pause 34
nanosleep 35 | getitimer 36 | alarm 37 | setitimer 38 | getpid 39 | exit 60 | uname 63 | fsync 74
ftruncate 77 | getdents 78 | getcwd 79 | chdir 80 | rename 82 | mkdir 83 | rmdir 84 | unlink 87 | symlink 88
readlink 89 | umask 95 | gettimeofday 96 | getrlimit 97 | getrusage 98 | sysinfo 99 | times 100 | getuid 102
getgid 104 | geteuid 107 | getegid 108 | getppid 110 | sigaltstack 131 | gettid 186 | time 201 | futex 202
sched_getaffinity 204 | getdents64 217 | set_tid_address 218 | restart_syscall 219 | clock_gettime 228
clock_getres 229 | clock_nanosleep 230 | exit_group 231 | openat 257 | mkdirat 258 | newfstatat 262
unlinkat 263 | renameat 264 | symlinkat 266 | readlinkat 267 | faccessat 269 | pselect6 270 | ppoll 271
set_robust_list 273 | dup3 292 | renameat2 316 | getrandom 318 | membarrier 324 | statx 332 | rseq 334
faccessat2 439
""".strip().splitlines()
    for name, number in (entry.split() for entry in line.split("|"))
}
_IOCTL, _FCNTL, _TGKILL, _PRLIMIT64 = 16, 72, 234, 302
# ioctl: terminal settings, and closing on exec; fcntl: copy a handle, its flags, close on exec.
_IOCTLS, _FCNTLS = (0x5401, 0x5450, 0x5451), (0, 1, 2, 3, 4, 1030)
_ARCHITECTURE, _X32 = 0xC000003E, 0x40000000
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | 1  # the last is an error number: EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06


def filter_program(own_pid: int) -> list[tuple[int, int, int, int]]:
    """The filter of system calls as instructions ``(code, jump if true, jump if false, value)``."""
    rules = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _ARCHITECTURE),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for number in sorted(_ALLOWED.values()):
        rules += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    # arguments are of 64 bits, read as two halves: argument i begins at byte 16 + 8i
    for number, argument, values in (
        (_IOCTL, 1, _IOCTLS),
        (_FCNTL, 1, _FCNTLS),
        (_TGKILL, 0, (own_pid,)),
        (_PRLIMIT64, 2, (0,)),
    ):
        checks = [
            (_LOAD, 0, 0, 16 + 8 * argument + 4),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, _REFUSE),
            (_LOAD, 0, 0, 16 + 8 * argument),
        ]
        for value in values:
            checks += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        checks.append((_RETURN, 0, 0, _REFUSE))
        rules += [(_EQUAL, 0, len(checks), number), *checks]
    return [*rules, (_RETURN, 0, 0, _REFUSE)]


def filter_calls() -> None:
    """Seccomp: from here on the listed system calls alone."""
    code = b"".join(struct.pack("HBBI", *rule) for rule in filter_program(os.getpid()))
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    _call("seccomp", _SYS_SECCOMP, 1, 0, ctypes.create_string_buffer(program, len(program)))


# Plain data between two processes

# Characters of an error's line.
_MOST_DETAIL = 400
# Bytes of one answer.
_MOST_MESSAGE = 2**22
_SEVERAL = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class NotPlainError(BaseException):
    """A value that is no plain data stays where it is; no test's ``except Exception`` is meant by it."""


class _GoneError(BaseException):
    """There is no answer."""


def packed(value: Any) -> Any:
    """A value as JSON, each part with its kind: numbers, texts, bytes, lists, tuples, sets, dicts, booleans and None.

    What is derived from these (a ``Counter``) goes as what it derives from, without its methods.

    Raises:
        NotPlainError: it is, or holds, something else, or itself.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return ["int", hex(value)]
    if isinstance(value, float):
        return ["float", float.hex(value)]
    if isinstance(value, complex):
        return ["complex", float.hex(value.real), float.hex(value.imag)]
    if isinstance(value, bytes | bytearray):
        return ["bytes", bytes(value).hex()]
    try:
        if isinstance(value, dict):
            return ["dict", [[packed(key), packed(held)] for key, held in value.items()]]
        for kind, plain in _SEVERAL.items():
            if isinstance(value, plain):
                return [kind, [packed(held) for held in value]]
    except RecursionError:
        raise NotPlainError("it is nested too deeply") from None
    raise NotPlainError(f"{type(value).__name__} is no plain data")


def unpacked(held: Any) -> Any:
    """The value that `packed` wrote; it is made anew, of Python's own types alone.

    Raises:
        ValueError: nothing that `packed` writes.
        TypeError: the same.
        RecursionError: it is nested too deeply.
    """
    if held is None or isinstance(held, bool | str):
        return held
    if not isinstance(held, list) or not held or not isinstance(held[0], str):
        raise ValueError("no packed value")
    kind, *parts = held
    if kind == "complex":
        real, imaginary = parts
        return complex(float.fromhex(real), float.fromhex(imaginary))
    (part,) = parts
    if kind in _SEVERAL:
        return _SEVERAL[kind]([unpacked(one) for one in part])
    if kind == "dict":
        return {unpacked(key): unpacked(one) for key, one in part}
    if kind == "int":
        return int(part, 16)
    if kind == "float":
        return float.fromhex(part)
    if kind == "bytes":
        return bytes.fromhex(part)
    raise ValueError("no packed value")


class _Channel:
    """Lines of JSON to another process and back.

    Attributes:
        broken: why no further answer counts, whatever the tests do about it; None as long as all is well.
    """

    def __init__(self, read: int, write: int) -> None:
        self._lines, self._write = open(read, "rb"), write  # noqa: SIM115 (it is open as long as the process is)
        self.broken: BaseException | None = None

    def send(self, message: Any) -> None:
        """Write a line."""
        rest = (json.dumps(message) + "\n").encode()
        while rest:
            rest = rest[os.write(self._write, rest) :]

    def line(self) -> bytes:
        """The next line; empty where there is none, or one without an end."""
        line = self._lines.readline(_MOST_MESSAGE)
        return line if line.endswith(b"\n") else b""

    def ask(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What the other process' function returns, or raises.

        Raises:
            NotPlainError: an argument, or what it returned, is no plain data.
            _GoneError: there is no answer.
        """
        if self.broken is not None:
            raise self.broken
        try:
            try:
                self.send([packed(given), packed(named)])
                how, *parts = json.loads(self.line())
                if how == "not-plain":
                    raise NotPlainError(f"it returned what is no plain data: {parts[0]}"[:_MOST_DETAIL])
                if how == "value":
                    return unpacked(*parts)
                name, text = map(str, parts)
            except (OSError, ValueError, TypeError, RecursionError, LookupError):
                raise _GoneError from None
        except BaseException as error:
            self.broken = error
            raise
        raise _error(name, text)


def _error(name: str, text: str) -> Exception:
    """An error that was raised elsewhere: Python's own of that name, or one of no other use."""
    known = getattr(builtins, name, None)
    try:
        if isinstance(known, type) and issubclass(known, Exception):
            made: Exception = known(text)
            return made
    except TypeError:  # it takes more than a text
        pass
    other: Exception = type(name, (Exception,), {})(text)
    return other


def _asking(channel: _Channel) -> Callable[..., Any]:
    """The function that the tests call."""

    def candidate(*given: Any, **named: Any) -> Any:
        return channel.ask(given, named)

    return candidate


def _serve(module: types.ModuleType, name: str, channel: _Channel) -> None:
    """Answer calls of a function until no more come.

    Raises:
        NameError: there is no such function.
    """
    if name not in module.__dict__:
        raise NameError(f"name {name!r} is not defined")
    function = module.__dict__[name]
    while line := channel.line():
        given, named = map(unpacked, json.loads(line))
        try:
            answer = ["value", packed(function(*given, **named))]
        except NotPlainError as error:
            answer = ["not-plain", str(error)]
        except (SystemExit, MemoryError):
            raise
        except BaseException as error:
            answer = ["raised", type(error).__name__, _text(error)]
        channel.send(answer)


# The program


def _report(handle: int, record: dict[str, Any]) -> None:
    os.write(handle, (json.dumps(record) + "\n").encode())


def _confine(told: dict[str, Any]) -> list[str]:
    """Put all limits in force; returns what keeps files apart."""
    machine = os.uname()
    if machine.sysname != "Linux" or machine.machine != "x86_64" or struct.calcsize("P") != 8:
        raise RefusedError(
            f"{machine.sysname} on {machine.machine}; programs are run on 64-bit Linux on x86-64 alone"
        )
    _prctl("pdeathsig", _PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != told["parent"]:
        raise RefusedError("the process that started it is gone")
    if told["mode"] == "namespaces":
        enter_namespaces(told)
    os.chdir(told["work"])
    _prctl("dumpable", _PR_SET_DUMPABLE, 0)
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    landlock = restrict_paths(told, writable=told["mode"] == "namespaces")
    if not landlock and told["mode"] == "landlock":
        raise RefusedError(f"landlock: the kernel has none, or one older than {_LEAST_LANDLOCK}")
    limit_resources(told)
    drop_capabilities()
    filter_calls()
    return [
        *(["namespaces"] if told["mode"] == "namespaces" else []),
        *(["landlock"] if landlock else []),
        "seccomp",
    ]


def _ended(told: dict[str, Any]) -> dict[str, Any]:
    """Run it; returns how it ended, and whether what it asked gave no answer.

    Called by `main` alone, once `_confine` has put every limit in force.
    """
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    asks, serves = told["asks"], told["serves"]
    channel = _Channel(told["read"], told["write"]) if asks or serves else None
    try:
        try:
            _execute(told["program"], module)
            if channel is not None and asks:
                module.__dict__[asks] = _asking(channel)
                _execute(told["tests"], module)
                if channel.broken is not None:
                    raise channel.broken
            elif channel is not None:
                _serve(module, serves, channel)
        finally:  # what it printed before an error is kept too
            sys.stdout.flush()
    except NotPlainError as error:
        return {"ended": "not-plain", "detail": str(error)[:_MOST_DETAIL]}
    except _GoneError:
        return {"ended": "failed", "detail": "", "unanswered": True}
    except SystemExit:
        return {"ended": "exited", "detail": "it ended the process before its last line"}
    except MemoryError:
        return {"ended": "memory", "detail": "MemoryError"}
    except SyntaxError as error:
        return {"ended": "syntax", "detail": f"{type(error).__name__}: {error}"[:_MOST_DETAIL]}
    except BaseException as error:
        return {"ended": "failed", "detail": _text(error, named=True)}
    return {"ended": "passed", "detail": ""}


def _text(error: BaseException, *, named: bool = False) -> str:
    try:
        return (f"{type(error).__name__}: {error}" if named else str(error))[:_MOST_DETAIL]
    except BaseException:  # an error class of the program's own
        return "an error that cannot be printed"


def _execute(text: str, module: types.ModuleType) -> None:
    # the one place that runs what nobody has read: in a process of its own, confined for good by now
    exec(compile(text, "<program>", "exec", dont_inherit=True), module.__dict__)


def main() -> NoReturn:
    """Read what is told, confine this process, run the program, report."""
    handle = int(sys.argv[1])
    with open(0, "rb") as file:
        told = json.loads(file.read())
    os.open(os.devnull, os.O_RDONLY)  # the lowest handle that is free, which is standard input's
    nonce = told.pop("nonce")
    try:
        layers = _confine(told)
    except (RefusedError, OSError) as error:
        _report(handle, {"nonce": nonce, "refused": str(error)})
        os._exit(1)
    sys.argv[:] = ["program"]
    _report(handle, {"nonce": nonce, "layers": layers})
    ended = _ended(told)
    _report(handle, {"nonce": nonce, **ended})
    os._exit(0)


if __name__ == "__main__":
    main()
