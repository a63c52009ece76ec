"""Where commands write: nobody's files are lost, one process at a time, and what is kept is said."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import stat
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

import latentlang.activations
import latentlang.answers
import latentlang.evaluation
import latentlang.geometry
import latentlang.lens
import latentlang.models
from latentlang.cli import main
from latentlang.errors import InputError
from latentlang.evaluation import EvaluationResult
from latentlang.geometry import PCAResult
from latentlang.lens import LensResult, MultilingualLensResult, TunedLens
from latentlang.storage.files import PARTIAL
from latentlang.storage.lock import LOCK, FolderLock
from tests.support.children import Child, Inside
from tests.support.command_line import Outcome
from tests.support.small_store import small_store, spectral

Run = Callable[..., Outcome]
LENS = ("lens", "--lang", "ja", "--items", "2")
AMONG = (*LENS, "--candidates", "en,ja,de")
PROMPT = ("lens", "--prompt", "fleur")
EVALUATE = ("evaluate", "--task", "sentiment", "--lang", "de,fr", "--items", "2")
TUNE = ("tune", "--steps", "2", "--positions", "16")
TOKENS = ("tokens", "--lang", "ja,de")
HARVEST = ("harvest", "--task", "sentiment", "--lang", "de", "--items", "2")
PCA, ALIGN = ("pca", "acts"), ("align", "acts", "--permutations", "5", "--resamples", "0")
COMMANDS = (LENS, AMONG, PROMPT, EVALUATE, TUNE, TOKENS, HARVEST, PCA, ALIGN)
#: What each computes with, once all has been checked.
WORK = {
    LENS: (latentlang.models, "load"),
    AMONG: (latentlang.models, "load"),
    PROMPT: (latentlang.models, "load"),
    EVALUATE: (latentlang.models, "load"),
    TUNE: (latentlang.models, "load"),
    TOKENS: (latentlang.models, "load_tokenizer"),
    HARVEST: (latentlang.models, "load"),
    PCA: (latentlang.geometry, "pca"),
    ALIGN: (latentlang.geometry, "alignment"),
}


def _name(value: object) -> str | None:
    return "-".join(value[:2]).replace("--", "") if isinstance(value, tuple) else None


@pytest.fixture(autouse=True)
def few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lens is tuned on one review per language; 25 take seconds, and what is written has the same names."""
    monkeypatch.setattr(import_module("latentlang.cli.tune"), "_DEFAULT_ITEMS", 1)


@pytest.fixture
def acts(tmp_path: Path) -> Path:
    layers = {layer: spectral(72, 8, seed=layer) for layer in (1, 2)}
    return small_store(tmp_path / "acts", layers, languages=["en", "ja", "de"], items=24).path


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command computes anything."""

    def working(*_given: object, **_options: object) -> None:
        raise AssertionError("it began to compute")

    for home, name in WORK.values():
        monkeypatch.setattr(home, name, working)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(outcome: Outcome, *parts: str) -> None:
    assert (outcome.code, outcome.out) == (2, ""), outcome.err
    assert outcome.err.startswith("latentlang: error: ") and outcome.err.count("\n") == 1
    for part in parts:
        assert part in outcome.err


# An empty name


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS, ("train",), ("compare", "--adapter", "a"), ("reproduce", "spontaneous"),
        ("data", "get", "spontaneous"),
    ],
    ids=_name,
)  # fmt: skip
def test_an_empty_name_is_not_the_current_folder(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    refused(run(*command, "--out", ""), "'--out'", "the name of the folder is empty")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("train", "--export"), ("reproduce", "spontaneous", "--cache")])
def test_nor_is_it_for_other_folders(run: Run, tmp_path: Path, option: tuple[str, ...]) -> None:
    refused(run(*option, ""), "the name of the folder is empty")
    assert list(tmp_path.iterdir()) == []


# What is there


FOREIGN = [
    *((command, name) for command in (LENS, PROMPT, PCA, ALIGN) for name in ("metadata.json", "result.parquet")),
    (LENS, "lens.html"),
    (AMONG, "languages/metadata.json"),
    (AMONG, "languages/languages.html"),
    (PROMPT, "prompt.html"),
    *((PCA, name) for name in ("prompts.parquet", "explained.parquet", "bases.safetensors", "pca.html", "pca.png")),
    *((ALIGN, f"{name}.html") for name in ("align", "curves", "table")),
    *((ALIGN, f"{name}.csv") for name in ("summary", "pairs", "languages")),
    *((EVALUATE, f"sentiment/{name}") for name in ("metadata.json", "result.parquet", "accuracy.html")),
    *((TOKENS, name) for name in ("metadata.json", "tokens.parquet", "policies.parquet", "overlap.html")),
    (TUNE, "tuned_lens.safetensors"),
]  # fmt: skip


@pytest.mark.usefixtures("idle", "acts")
@pytest.mark.parametrize(
    ("command", "name"),
    [*((command, "metadata.json") for command in (LENS, PCA, TOKENS)), (TUNE, "tuned_lens.safetensors")],
    ids=_name,
)
def test_a_pipe_of_such_a_name_is_not_waited_for(
    run: Run, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / name)

    def give_up(*_arguments: object) -> None:
        raise AssertionError("it waits for the pipe")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    try:
        refused(run(*command, "--out", "out"), f"'out' holds '{name}'", "choose another folder")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("idle", "acts")
@pytest.mark.parametrize(("command", "name"), FOREIGN, ids=_name)
def test_a_foreign_file_is_named_before_anything_is_computed(
    run: Run, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = contents(tmp_path / "out")
    refused(
        run(*command, "--out", "out"),
        f"{str(Path('out', name).parent)!r} holds '{path.name}', which was not made by this command",
        "choose another folder",
    )
    assert contents(tmp_path / "out") == before


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize("command", [c for c in COMMANDS if c != HARVEST], ids=_name)
def test_nothing_goes_into_a_store(run: Run, acts: Path, command: tuple[str, ...]) -> None:
    before = contents(acts)
    refused(run(*command, "--out", "acts"), "holds an activation store, which this would spoil")
    assert contents(acts) == before


@pytest.mark.usefixtures("idle", "acts")
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_nothing_goes_into_the_folder_of_another_result(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metadata.json").write_text(json.dumps({"kind": "training", "format": 1}))
    before = contents(tmp_path / "out")
    said = "is not empty" if command == HARVEST else "a result of another kind, 'training'"
    refused(run(*command, "--out", "out"), said)
    assert contents(tmp_path / "out") == before


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(
    ("command", "name"), [(EVALUATE, "sentiment"), (AMONG, "languages"), (TUNE, "tuned_lens.safetensors/x")], ids=_name
)  # fmt: skip
def test_what_is_in_the_way_is_seen_before_anything_is_computed(
    run: Run, tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    refused(run(*command, "--out", "out"), "out", name.partition("/")[0])
    assert path.read_text() == "mine"
    assert not (tmp_path / "out" / LOCK).exists()


@pytest.mark.usefixtures("idle")
def test_a_harvest_sees_before_the_model_that_the_folder_is_not_empty(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years")
    refused(run(*HARVEST, "--out", "out"), "holds no store and is not empty (thesis.txt)")


@pytest.mark.usefixtures("acts")
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_the_same_command_goes_over_what_it_wrote_and_keeps_the_users_files(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    before = os.umask(0o077)
    try:
        assert run(*command, "--out", "out").code == 0
        first = set(contents(tmp_path / "out"))
        if command != HARVEST:
            (tmp_path / "out" / "notes.txt").write_text("mine")
        older = next((tmp_path / "out").rglob("metadata.json"), None)
        made = (
            {} if older is None or command in (HARVEST, TUNE) else json.loads(older.read_text())["provenance"]
        )
        ran = run(*command, "--out", "out")
    finally:
        os.umask(before)
    replaced = ""
    if made:  # a result, which a store and a tuned lens are not
        moment = made["created"].partition("+")[0].replace("T", " ")
        replaced = f"replaced an older result of {made['model']!r} from {moment} UTC in out\n"
    assert (ran.code, ran.err) == (0, replaced)
    assert (replaced == "") == (command in (HARVEST, TUNE))
    assert set(contents(tmp_path / "out")) == first | ({"notes.txt"} if command != HARVEST else set())
    assert not any(name.endswith((PARTIAL, LOCK)) for name in first)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert modes == {0o600}, "the umask is obeyed"


# Two processes


@pytest.mark.usefixtures("acts")
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_a_second_process_is_refused_before_it_computes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    home, name = WORK[command]
    real = getattr(home, name)

    def first(inside: Inside) -> None:
        def pausing(*given: object, **options: object) -> object:
            inside.pause()
            return real(*given, **options)

        setattr(home, name, pausing)
        sys.stdout = io.StringIO()
        if main([*command, "--out", "out"]):
            raise InputError("the first was disturbed")

    def working(*_given: object, **_options: object) -> None:
        raise AssertionError("it began to compute")

    with Child(first) as child:
        child.wait_for_pause()
        with monkeypatch.context() as patched:
            patched.setattr(home, name, working)
            refused(run(*command, "--out", "out"), f"process {child.pid} is writing into 'out' right now")
        child.go_on()
        assert child.end() == (0, "")
    assert not (tmp_path / "out" / LOCK).exists()


@pytest.mark.parametrize("content", ["mine", "12345\n"])
@pytest.mark.usefixtures("idle", "acts")
@pytest.mark.parametrize("command", COMMANDS, ids=_name)
def test_a_foreign_lock_file_is_left_alone(
    run: Run, tmp_path: Path, command: tuple[str, ...], content: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out" / LOCK).write_text(content)
    refused(run(*command, "--out", "out"), "'out/.lock' was not made by latentlang")
    assert (tmp_path / "out" / LOCK).read_text() == content
    (tmp_path / "out" / LOCK).unlink()
    (tmp_path / "out" / LOCK).symlink_to(tmp_path / "victim")
    refused(run(*command, "--out", "out"), "'out/.lock' was not made by latentlang")
    assert (tmp_path / "victim").read_text() == "precious"


# Kills, interrupts and full disks


def test_killed_while_it_saves_the_next_run_puts_it_right(run: Run, tmp_path: Path, acts: Path) -> None:
    draw = random.Random(0)
    assert run(*PCA, "--out", "out").code == 0

    def killed(inside: Inside) -> None:
        real = PCAResult.save

        def ticking(*given: object) -> object:
            inside.tick()
            return real(*given)

        PCAResult.save = ticking  # type: ignore[method-assign]
        sys.stdout = io.StringIO()
        main([*PCA, "--pools", "mean", "--layers", "1", "--out", "out"])

    for _moment in range(12):
        with Child(killed) as child:
            child.kill(ticks=1, seconds=draw.uniform(0, 0.03))
        try:
            found = PCAResult.load(tmp_path / "out")
        except InputError as error:
            assert "holds no whole result" in str(error)
        else:
            assert found.layers in ((1,), (1, 2))
            assert set(found.table["layer"]) == set(found.provenance.settings["layers"])
    assert run(*PCA, "--out", "out").code == 0
    assert PCAResult.load(tmp_path / "out").layers == (1, 2)
    assert not [name for name in contents(tmp_path / "out") if name.startswith(".")]


@pytest.mark.parametrize(
    ("command", "home", "name", "kept"),
    [
        (LENS, "latentlang.figures.page", "write_html", ["result.parquet", "metadata.json"]),
        (LENS, "latentlang.cli.lens_table", "lens_lines", ["result.parquet", "metadata.json", "lens.html"]),
        (AMONG, "latentlang.cli.single_prompt", "say_who_leads", ["result.parquet", "metadata.json", "lens.html"]),
        (PROMPT, "latentlang.figures.page", "write_html", ["result.parquet", "metadata.json"]),
        (TUNE, "latentlang.lens", "divergence", ["tuned_lens.safetensors"]),
        (TOKENS, "latentlang.figures.page", "write_html", ["tokens.parquet", "policies.parquet", "metadata.json"]),
        (PCA, "latentlang.cli.pca", "_print_shares", [
            "result.parquet", "bases.safetensors", "metadata.json", "pca.html",
        ]),
        (ALIGN, "latentlang.geometry", "by_language", [
            "result.parquet", "metadata.json", "align.html", "curves.html", "table.html", "summary.csv", "pairs.csv",
        ]),
    ],
    ids=_name,
)  # fmt: skip
@pytest.mark.usefixtures("acts")
def test_an_interrupt_says_what_was_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], home: str, name: str, kept: list[str]
) -> None:
    def interrupted(*_given: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module(home), name, interrupted)
    ran = run(*command, "--out", "out")
    assert (ran.code, ran.err) == (130, f"latentlang: interrupted; kept {', '.join(kept)} in out\n")
    for file in kept:
        assert (Path("out") / file).is_file()
    assert not Path("out", LOCK).exists()


LOADERS = {
    LENS: LensResult.load,
    PCA: PCAResult.load,
    EVALUATE: lambda out: EvaluationResult.load(out / "sentiment"),
}


@pytest.mark.usefixtures("acts")
@pytest.mark.parametrize("command", list(LOADERS), ids=_name)
@pytest.mark.parametrize("size", [2_000, 100_000])
def test_a_full_disk_leaves_a_whole_result_and_no_page_of_another(
    run: Run, tmp_path: Path, command: tuple[str, ...], size: int
) -> None:
    assert run(*command, "--out", "out").code == 0
    before = LOADERS[command](tmp_path / "out")
    pages = {name for name in contents(tmp_path / "out") if name.endswith(".html")}

    def limited(inside: Inside) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with (tmp_path / "said").open("w") as sys.stderr:
            code = main([*command, "--out", "out"])
        inside.say(str(code).encode())

    with Child(limited) as child:
        assert child.end() == (0, "2")
    said = (tmp_path / "said").read_text()
    assert said.startswith("latentlang: error: no space left for ") and said.count("\n") == 1
    after = LOADERS[command](tmp_path / "out")
    replaced = after.provenance.created != before.provenance.created or size > 2_000
    left = {name for name in contents(tmp_path / "out") if name.endswith(".html")}
    assert left == (set() if replaced else pages)
    assert not [name for name in contents(tmp_path / "out") if PARTIAL in name]


def test_a_tuned_lens_is_not_lost_to_what_lies_in_its_place(run: Run, tmp_path: Path) -> None:
    lens = TunedLens(torch.zeros(1, 2, 2), torch.zeros(1, 2), "hash")
    lens.save(tmp_path / "out")
    lens.save(tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "tuned_lens.safetensors").write_bytes(b"mine")
    with pytest.raises(InputError, match="was not made by this command"):
        lens.save(tmp_path / "mine")
    with FolderLock(tmp_path / "out"):
        lens.save(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tuned_lens.safetensors"]


def test_several_looks_lie_beside_each_other(run: Run, tmp_path: Path) -> None:
    assert run(*AMONG, "--out", "out").code == 0
    assert LensResult.load(tmp_path / "out").provenance.languages == ("ja",)
    assert MultilingualLensResult.load(tmp_path / "out" / "languages").provenance.languages == ("ja",)
