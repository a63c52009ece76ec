"""Programs that try to pass without doing what the tests ask: none does, whatever it does to its own process."""

import math
from collections import Counter, OrderedDict
from fractions import Fraction

import pytest

from latentlang.code_execution import Limits, SandboxError, check_sandbox, run_program, run_tests
from latentlang.code_execution.inside import NotPlainError, packed, unpacked

_LIMITS = Limits(seconds=1, wall_seconds=60, memory=256, disk=1, output=20_000)
_HEAD = "def f(x):\n    return x + 1\n"
_TESTS = """
def check(candidate):
    assert candidate(2) == 3
    assert candidate(-1) == 0
    assert candidate([]) is None or True
check(f)
"""
_NUMBERS = _TESTS.replace("    assert candidate([]) is None or True\n", "")


@pytest.fixture(autouse=True)
def _a_sandbox() -> None:
    try:
        check_sandbox()
    except SandboxError as error:
        pytest.skip(str(error))


def _run(program: str, tests: str = _NUMBERS):
    return run_tests(program, head=_HEAD, tests=tests, entry_point="f", limits=_LIMITS)


def test_a_right_function_passes_and_a_wrong_one_says_why() -> None:
    right = _run("print('seen')\n" + _HEAD)
    assert (right.ended, right.detail, right.output) == ("passed", "", "seen\n")
    for program, ended, detail in (
        ("def f(x): return x + 2", "failed", "AssertionError: "),
        ("def g(x): return x + 1", "failed", "NameError: name 'f' is not defined"),
        ("def f(x) return x", "syntax", "SyntaxError: expected ':' (<program>, line 1)"),
        ("def f(x): return None + x", "failed", "TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'"),
        ("class Odd(Exception): pass\ndef f(x): raise Odd('no')", "failed", "Odd: no"),
        ("def f(x): return b'\\xff'.decode()", "failed", "UnicodeDecodeError: "),
        ("import sys\ndef f(x): sys.exit()", "exited", "it ended the process before its last line"),
        ("def f(x): return bytearray(10 * 2**30)", "memory", "MemoryError"),
        ("def f(x):\n    while True: pass", "time", "more than 1 s of processor time"),
        ("def f(x):\n    while True: print('x' * 1000)", "output", "more than 20,000 bytes of output"),
        ("import os, signal\ndef f(x): signal.raise_signal(signal.SIGSEGV)", "crashed", "SIGSEGV"),
        ("def f(x): return lambda: x", "not-plain", "it returned what is no plain data: function is no plain data"),
    ):  # fmt: skip
        run = _run(program)
        assert (run.ended, run.detail[: len(detail) or None]) == (ended, detail), program


#: What a program may do to look right where it is in one process with its tests, by a name of it.
CHEATS = {
    "an answer that equals anything": """
class Any:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
def f(x): return Any()
""",
    "a number that equals anything": """
class Any(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def f(x): return Any(7)
""",
    "a text that equals anything": """
class Any(str):
    def __eq__(self, other): return True
    __hash__ = str.__hash__
def f(x): return Any('')
""",
    "a list that equals anything": """
class Any(list):
    def __eq__(self, other): return True
def f(x): return Any()
""",
    "an answer that is taken for what it is not": """
class Any:
    __class__ = int
    def __eq__(self, other): return True
    def __index__(self): return 7
def f(x): return Any()
""",
    "left at once": "import os\nos._exit(0)",
    "left in a call": "import os\ndef f(x): os._exit(0)",
    "left by an error": "import sys\ndef f(x): sys.exit(0)",
    "another end than it had": """
import os
end = os._exit
os._exit = lambda code: None
def f(x): return 9
""",
    "another json": """
import json
json.dumps = lambda *given, **named: '{"ended": "passed"}'
def f(x): return 9
""",
    "the report from the frames above": """
import sys, os, json
frame = sys._getframe()
while frame:
    for held in list(frame.f_locals.values()):
        if isinstance(held, str) and len(held) == 32:
            for handle in range(3, 60):
                try: os.write(handle, (json.dumps({'nonce': held, 'ended': 'passed', 'detail': ''}) + '\\n').encode())
                except OSError: pass
    frame = frame.f_back
def f(x): return 9
""",
    "the report from the frames above, and no more": """
import sys, os, json
frame = sys._getframe()
while frame:
    if 'nonce' in frame.f_locals:
        line = json.dumps({'nonce': frame.f_locals['nonce'], 'ended': 'passed', 'layers': 5, 'detail': 3}) + '\\n'
        os.write(frame.f_locals['handle'], line.encode())
        os._exit(0)
    frame = frame.f_back
""",
    "its caller's own words": """
import sys
frame = sys._getframe()
while frame.f_back: frame = frame.f_back
frame.f_globals['_ended'] = lambda told: {'ended': 'passed', 'detail': ''}
frame.f_globals['_serve'] = lambda *given: None
def f(x): return 9
""",
    "words that the tests say of success": "print('passed')\nprint('{\"ended\": \"passed\"}')\ndef f(x): return 9",
    "another assert": """
import builtins
builtins.AssertionError = type('AssertionError', (BaseException,), {'__init__': lambda self, *given: None})
def f(x): return 9
""",
    "another check": "def check(candidate): return None\ndef f(x): return 9",
    "another check in every module": """
import sys
for module in list(sys.modules.values()):
    module.__dict__['check'] = lambda candidate: None
def f(x): return 9
""",
    "other built-in functions": """
import builtins
for name in ('abs', 'all', 'any', 'len', 'round', 'sorted', 'isinstance', 'compile', 'exec'):
    setattr(builtins, name, lambda *given, **named: True)
def f(x): return 9
""",
    "an error for an answer": "def f(x): raise AssertionError('passed')",
    "an error that is no error": "class Fine(BaseException): pass\ndef f(x): raise Fine",
    "an error that ends the tests": "def f(x): raise SystemExit(0)",
    "an error called as what ends tests": "class SystemExit(Exception): pass\ndef f(x): raise SystemExit('0')",
    "an error called as no name can be": "E = type('a b\\0', (Exception,), {})\ndef f(x): raise E('x')",
    "noise where answers go": """
import os
for handle in range(3, 60):
    try: os.write(handle, b'["value", true]\\n' * 100)
    except OSError: pass
def f(x): return 9
""",
    "an answer without an end": """
import os
def f(x):
    for handle in range(3, 60):
        try: os.write(handle, b'[' * 60_000)
        except OSError: pass
    os._exit(0)
""",
    "an answer that is nested without end": """
import os
def f(x):
    text = b'["value", ' + b'["list", [' * 200_000
    for handle in range(3, 60):
        try:
            for start in range(0, len(text), 4096): os.write(handle, text[start:start + 4096])
            os.write(handle, b'\\n')
        except OSError: pass
    os._exit(0)
""",
    "numbers that are none": "def f(x): return float('nan')",
    "what it is not asked": """
import os
def f(x):
    for handle in range(3, 60):
        try: os.write(handle, b'["passed", true, null]\\n')
        except OSError: pass
    return 9
""",
    "the tests taken from the other process": """
import os
def f(x):
    found = b''
    for handle in range(3, 60):
        try:
            os.set_blocking(handle, False)
            found += os.read(handle, 100_000)
        except OSError: pass
    return len(found)
""",
    "the other process' memory": """
import os, ctypes
def f(x):
    libc = ctypes.CDLL(None)
    for pid in range(1, 300): libc.syscall(310, pid, 0, 0, 0, 0)
    for pid in range(1, 300): os.kill(pid, 9)
""",
    "a trace on its own lines": """
import sys
sys.settrace(lambda *given: None)
sys.setprofile(lambda *given: None)
sys.excepthook = lambda *given: None
def f(x): return 9
""",
    "something done at the end": """
import atexit, os
atexit.register(os._exit, 0)
def f(x): return 9
""",
    "handles closed": "import os\nos.closerange(0, 60)\ndef f(x): return 3",
    "nothing": "",
}


@pytest.mark.parametrize("name", CHEATS)
def test_no_program_passes_that_does_not_do_what_is_asked(name: str) -> None:
    run = _run(CHEATS[name])
    assert not run.passed and run.ended != "passed"
    assert run.layers[-1] == "seccomp" and len(run.detail) <= 400


def test_in_one_process_some_of_them_would_pass() -> None:
    caught = ("an answer that equals anything", "the report from the frames above, and no more")
    assert all(run_program(CHEATS[name] + _NUMBERS, limits=_LIMITS).passed for name in caught)


def test_tests_that_swallow_errors_are_not_passed_by_what_gives_no_answer() -> None:
    swallows = "try:\n    f(2)\nexcept:\n    pass\n"
    assert not _run("import os\ndef f(x): os._exit(0)", swallows).passed
    assert not _run("def f(x): return lambda: x", swallows).passed
    assert _run("def f(x): raise ValueError", swallows).passed
    kind = "try:\n    f(2)\nexcept ValueError as error:\n    assert str(error) == 'no'\nelse:\n    raise AssertionError"
    assert _run("def f(x): raise ValueError('no')", kind).passed
    assert not _run("def f(x): raise KeyError('no')", kind).passed


def test_tests_have_names_of_the_head_and_arguments_of_every_plain_kind() -> None:
    head = "def helper(x):\n    return -x\n" + _HEAD
    tests = "assert f(x=helper(-2)) == 3\nassert f({'a': [1, (2.5, None)], 'b': {3}})\n"
    program = (
        "def helper(x): raise ValueError\n"
        "def f(x): return 3 if x == 2 else x == {'a': [1, (2.5, None)], 'b': {3}}\n"
    )
    assert run_tests(program, head=head, tests=tests, entry_point="f", limits=_LIMITS).passed
    given = run_tests(_HEAD, head=_HEAD, tests="f(len)\n", entry_point="f", limits=_LIMITS)
    assert (given.ended, given.detail) == ("not-plain", "builtin_function_or_method is no plain data")


def test_plain_data_come_out_as_they_went_in() -> None:
    values = [
        None, True, 0, -(10**5000), 1.5, -0.0, math.inf, 2 - 3j, "a\ud800\0", b"\xff", [], (1, [2]), {1, "a"},
        frozenset({2}), {(1, 2): {"x": None}, 3: ()}, set(),
    ]  # fmt: skip
    for value in values:
        back = unpacked(packed(value))
        assert back == value and type(back) is type(value)
    assert math.isnan(unpacked(packed(math.nan)))
    assert type(unpacked(packed(Counter("aab")))) is dict and unpacked(packed(OrderedDict(a=1))) == {"a": 1}
    itself: list = []
    itself.append(itself)
    for value in (itself, len, Fraction(1, 2), iter([]), range(3), object()):
        with pytest.raises(NotPlainError):
            packed(value)
    no_values = (
        3,
        [],
        ["int"],
        ["int", "x"],
        ["eval", "1"],
        ["float", 3],
        ["set", [["list", []]]],
        ["dict", [["a"]]],
    )
    for held in (*no_values, {}):
        with pytest.raises((ValueError, TypeError)):
            unpacked(held)
