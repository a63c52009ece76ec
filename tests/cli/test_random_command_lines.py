"""Random command lines with odd values and damaged files: whatever is given, a command ends well or in one line.

In CI a few dozen are tried. ``LATENTLANG_TRIES=1000 pytest tests/cli/test_random_command_lines.py`` tries more, with
``LATENTLANG_SEED`` others; a failure names the seed that repeats it.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.models import OptionInfo

from latentlang import cli
from latentlang.cli.options import with_load_options
from tests.support import small_store
from tests.support.command_line import ROOT, environment
from tests.support.parallel import declaration, lines_folder

pytestmark = pytest.mark.slow("tests/cli/test_cli_exit_codes.py", "tests/cli/test_cli_options.py")

TRIES = int(os.environ.get("LATENTLANG_TRIES", "40"))
SEED = int(os.environ.get("LATENTLANG_SEED", "0"))
# CPU time of one command, of any machine; what takes more was let through although it makes no sense.
SECONDS = 120
# What must not reach a terminal, written out here again: the code's own pattern may be wrong.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_LINE = 2100

# Command lines that end well, and soon. Those that take a word of their own (--json) need none of it.
GOOD = tuple(
    tuple(line.split())
    for line in """
    lens --lang ja --items 2 --out o
    lens --lang de --items 2 --out o --task sentiment --shots 2
    lens --lang ja --items 2 --out o --candidates ja,de
    lens --prompt word --out o --top 3
    tokens --lang ja --out o
    tune --out o --steps 1 --positions 8 --text texts.txt
    tune --out o --steps 1 --positions 8 --text parallel --lang de
    bits --out o --text parallel --lang de
    neurons --out o --text parallel --groups 2 --deals 5 --rule lape
    pivot --lang de --items 2 --layers 7 --out o
    fertility --out o --text parallel
    train --out o --recipe identity
    train --out o --steps 1 --per-pair 8 --batch 2 --set accumulation=1
    train --export o --per-pair 8
    evaluate --lang ja --items 2 --out o
    harvest --lang ja --items 2 --out o
    harvest --task continuation --data parallel --lang de --out o
    harvest --verify store
    pca store --out o
    align store --out o --permutations 5 --resamples 4
    compare --adapter control --out o --lang ja --items 4 --parts evaluation
    reproduce --model pocket --dry-run
    doctor --model nothing
    models
    languages
    tasks
    recipes zh+es-en
    data list
    data get spontaneous --out o --mirror http://127.0.0.1:9
    """.strip().splitlines()
)
# Those that read a store, a control's record, a recipe, words or texts, of which one file will be damaged.
READERS = tuple(
    tuple(line.split())
    for line in """
    harvest --verify store
    pca store --out o
    align store --out o --permutations 5 --resamples 4
    compare --adapter control --out o --lang ja --items 4 --parts evaluation
    train --out control --recipe identity
    train --recipe recipe.yaml --export o
    lens --lang de --data words.csv --out o
    tune --out o --steps 1 --positions 8 --text texts.txt
    bits --out o --text parallel
    fertility --out o --text declaration --lang de
    """.strip().splitlines()
)
_DIGITS = "9" * 5000
NUMBERS = (
    "-1", "0", "1", "3", "007", "+2", "1_0", "1.5", "nan", "inf", "-inf", "1e400", "0x10", "٣", "²", _DIGITS,
    f"-{_DIGITS}", str(2**31), str(2**63), str(2**64 + 1), str(10**30), "0-99999999999", "8-4", "0-", "-",
    "0,1,2-3", "1,,2", f"0-{_DIGITS}",
)  # fmt: skip
TEXTS = (
    "", " ", ",", "ja,,", "xx", "-", "--", "\x1b[31mred\x1b[0m", "bell\x07", "\x9b31m", "back\x08\rline",
    "tab\tline\nbreak", "\u202egnp.exe", "\u2066isolated", "half\udce9", "nul\0byte", "日本語", "é" * 200,
    "x" * 300, "x" * 5000, "%s{}", "{0}", "[red]x[/red]", "$(true)", "null", "true", "[]", "{}", "a=b", "rank",
    "=", "!!int x", "all", "mean", "paper20", "identity", "org/name", "org/name@x", "a/b/c", "hub:xnli", "hub:",
    "hub:\x1b[31m/x", "http://", "https://[::1", "https://\x1b[31m",
    "http://[::1", "http://a b", "http://127.0.0.1:99999999", "http://127.0.0.1:9/\x07", "ftp://x", "http://..",
)  # fmt: skip
PATHS = (
    "~nobody_at_all/x", "~", ".", "..", "/proc/nothing", "/dev/null", "/dev/full", "/dev/zero", "file",
    "file/below", "store", "empty", "texts.txt", "control", "nothing", "loop", "dangling", "closed/x", "x" * 300,
    "x/" * 2500, "\x1b[2Jx", "\u202ex", "no text\udcff", "nul\0", "words.csv", "recipe.yaml",
)  # fmt: skip
SETTINGS = (
    "rank=!!int x", "seed=2024-13-45", "seed=2024-01-01", f"rank={'[' * 3000}", "rank=1e400", f"rank={_DIGITS}",
    "rank=-1", "rank", "=", "=3", "name=\x1b[31mred", "rank=&a [*a]", "rank={", "alpha=.inf", "alpha=.nan",
    "batch=10000000000", "target_modules=\x1b[31m", "target_modules=[]", "sources=xx", "sources=[1, 2]",
    "nothing=1", "steps=1", "epochs=1", "rank=65536", "hub={}", "data=3", "learning_rate=yes", "seed=~",
    "rank=!!python/object:os.system x",
)  # fmt: skip
DEVICES = (
    "meta", "hpu", "vulkan", "xla", "cuda:99", "cuda:-1", "cpu:1", "gpu", "\x1b[31m", "", "cpu:" + _DIGITS,
)  # fmt: skip
# Numbers in a text, since it may be `all` too.
_COUNTS = ("items", "layers")


Line = list[str]
# Makes a command line, and may change the files of the working folder it is given.
Generator = Callable[[random.Random, Path], Line]


def _options(name: str) -> dict[str, tuple[str, Any]]:
    """Options of a command: how they are written, and of which type; flags have bool."""
    found: dict[str, tuple[str, Any]] = {}
    command = with_load_options(getattr(cli, name))
    hints = get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters:
        kind, *notes = get_args(hints[parameter]) or (hints[parameter],)
        for note in notes:
            if isinstance(note, OptionInfo):
                # typer keeps the first of an option's names as its default until it has looked
                given = (note.default, *(note.param_decls or ()))
                named = [text for text in given if isinstance(text, str) and text.startswith("--")]
                found[parameter] = (
                    named[0].partition("/")[0] if named else f"--{parameter.replace('_', '-')}",
                    kind,
                )
    return found


def _value(draw: random.Random, parameter: str, kind: Any) -> str:
    """An odd value, more often one that is odd for its option."""
    if parameter == "change":
        return draw.choice(SETTINGS)
    if parameter == "device":
        return draw.choice(DEVICES)
    of_kind = NUMBERS if int in (kind, *get_args(kind)) or float in (kind, *get_args(kind)) else TEXTS
    if Path in (kind, *get_args(kind)) or parameter in ("adapter", "model"):
        of_kind = PATHS
    if parameter in _COUNTS and draw.random() < 0.7:
        of_kind = NUMBERS
    return draw.choice(of_kind if draw.random() < 0.8 else (*NUMBERS, *TEXTS, *PATHS))


def odd_values(draw: random.Random, _place: Path) -> Line:
    """A good command line with one to three options odd."""
    # Lists have few options, and planning measures the machine: seldom.
    line = list(draw.choices(GOOD, [1 if len(good) < 3 or "--dry-run" in good else 4 for good in GOOD])[0])
    if line[0] == "data":
        places = [place for place, text in enumerate(line) if place > 1 and not text.startswith("--")]
        if places:
            place = draw.choice(places)
            odd = draw.choice((*TEXTS, *PATHS))
            line[place] = odd  # no server is named there that could be reached
        return line
    options = _options(line[0])
    for _ in range(draw.choice((1, 1, 1, 1, 2)) if options else 0):
        parameter, (written, kind) = draw.choice(list(options.items()))
        if kind is bool or bool in get_args(kind):
            line.append(written)
            continue
        line.append(f"{written}={_value(draw, parameter, kind)}")
    if draw.random() < 0.1:
        line.insert(draw.randrange(len(line) + 1), draw.choice((*TEXTS, *PATHS)))
    return line


def damaged_files(draw: random.Random, place: Path) -> Line:
    """A command that reads a store, a control's record or a list of words, one file of which is damaged."""
    line = list(draw.choice(READERS))
    read = [place / part for part in line if (place / part).exists() and part != "o"]
    files = sorted(
        file for path in read for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()
    )
    damage(draw, draw.choice(files))
    return line


def damage(draw: random.Random, file: Path) -> None:
    """Cut a file, change or exchange a part of it, or put something else in its place."""
    content = file.read_bytes()
    start = draw.randrange(len(content) + 1)
    odd = draw.choice(
        (
            b"",
            b"null",
            b"{}",
            b"[" * 5000,
            b"\0" * 16,
            b"\xff\xfe",
            b"\x1b[31m",
            b"1e999",
            b"-1",
            b"99999999999",
        )
    )
    way = draw.choice(("cut", "insert", "replace", "byte", "gone"))
    if way == "gone":
        file.unlink()
    elif way == "cut":
        file.write_bytes(content[:start])
    elif way == "insert":
        file.write_bytes(content[:start] + odd + content[start:])
    elif way == "replace":
        file.write_bytes(odd)
    else:
        file.write_bytes(content[:start] + bytes([draw.randrange(256)]) + content[start + 1 :])


#: What is tried, and how often against the others; adapters and whole models join here.
GENERATORS: tuple[tuple[Generator, int], ...] = ((odd_values, 3), (damaged_files, 1))


class _TooSlow(Exception):  # noqa: N818
    """Not an error of the command."""


@contextlib.contextmanager
def _within(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooSlow(f"more than {seconds} s of CPU time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def faults(code: int, out: str, err: str) -> list[str]:
    """What is wrong with how a command ended."""
    found = []
    if code not in (0, 2):
        found.append(f"exit code {code}")
    if "unforeseen" in err:
        found.append("unforeseen")
    found += [word for word in ("Traceback", "_TooSlow") if word in out + err]
    if steering := _STEERING.search(out + err):
        found.append(f"{steering.group()!r} printed raw")
    if code == 2:
        last = err.rstrip("\n").rpartition("\n")[2]
        if not last.startswith("latentlang: ") or len(last) > _LONGEST_LINE:
            found.append("no line that says what is wrong")
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command lines name."""
    folder = tmp_path_factory.mktemp("prepared")
    small_store.small_store(folder / "store", languages=("ja", "de"), items=12)
    (folder / "texts.txt").write_text("one text\nanother text\n" * 8)
    lines_folder(folder / "parallel", {"de": ["Ein Satz.", "Zwei."], "en": ["One sentence.", "Two."]})
    (folder / "declaration").mkdir()
    declaration(
        folder / "declaration", {"deu": ("de", [["Ein Satz."]]), "eng": ("en", [["One."]])}, packed=True
    )
    (folder / "file").write_text("mine")
    (folder / "words.csv").write_text(
        "lang,word_original,word_translation\nde,cat,Katze\nde,dog,Hund\nde,sun,Sonne\n"
    )
    (folder / "empty").mkdir()
    for line, target in (
        (("train", "--out", "control", "--recipe", "identity"), "control"),
        (("recipes", "zh+es-en"), ""),
    ):
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
            assert cli.main(line) == 0
        if not target:
            (folder / "recipe.yaml").write_text(out.getvalue())
    return folder


def _set_up(prepared: Path, path: Path) -> Path:
    shutil.copytree(prepared, path)
    (path / "loop").symlink_to("loop")
    (path / "dangling").symlink_to("not-here")
    return path


def _try(seed: int, prepared: Path, path: Path) -> tuple[Line, list[str], str]:
    draw = random.Random(seed)
    place = _set_up(prepared, path)
    generator = draw.choices([each for each, _ in GENERATORS], [often for _, often in GENERATORS])[0]
    line = generator(draw, place)
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(place), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
        _within(SECONDS),
    ):  # fmt: skip
        code = cli.main(line)
    shutil.rmtree(place, ignore_errors=True)
    return line, faults(code, out.getvalue(), err.getvalue()), err.getvalue()


def test_random_command_lines_end_well_or_in_one_line(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))  # `models --clean` is among them
    failed = []
    for seed in range(SEED, SEED + TRIES):
        began = time.monotonic()
        line, found, err = _try(seed, prepared, tmp_path / str(seed))
        if os.environ.get("LATENTLANG_TRIES"):
            log = {
                "seed": seed, "line": [part[:60] for part in line], "found": found, "err": err[-500:],
                "seconds": round(time.monotonic() - began, 1),
            }  # fmt: skip
            with Path(os.environ.get("LATENTLANG_LOG", tmp_path / "log")).open("a") as stream:
                stream.write(json.dumps(log) + "\n")
        if found:
            failed.append(f"seed {seed}: {line!r}: {', '.join(found)}: {err[-500:]!r}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("seed", range(3))
def test_some_in_processes_of_their_own(prepared: Path, tmp_path: Path, seed: int) -> None:
    """As a shell runs them: arguments are bytes, and what a library prints by itself is seen too."""
    draw = random.Random(f"process {seed}")
    place = _set_up(prepared, tmp_path / "place")
    line = [argument.replace("\0", "") for argument in odd_values(draw, place)]
    ran = subprocess.run(
        [sys.executable, "-m", "latentlang", *map(os.fsencode, line)], capture_output=True, cwd=place,
        stdin=subprocess.DEVNULL, timeout=300, check=False,
        env=environment(
            HOME=str(tmp_path), LATENTLANG_CACHE=str(tmp_path / "cache"), PYTHONPATH=str(ROOT), HF_HUB_OFFLINE="1",
            LC_ALL=draw.choice(("C", "C.UTF-8")),
        ),
    )  # fmt: skip
    out, err = (stream.decode(errors="surrogateescape") for stream in (ran.stdout, ran.stderr))
    assert not faults(ran.returncode, out, err), f"{line!r}: {err[-500:]!r}"
