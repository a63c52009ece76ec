"""What the commands that change activations, or look where an answer comes from, share: JSON, stops, folders."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.cli.records import rows_record
from latentlang.geometry import erasure
from latentlang.models import HookedLM
from latentlang.results import Result
from latentlang.saved import open_result
from tests.support.command_line import Outcome

COMMANDS = {
    "patch": (
        "--from",
        "es-ru",
        "--into",
        "fr-de",
        "--items",
        3,
        "--layers",
        4,
        "--controls",
        "wrong-concept",
    ),
    "identity": ("--from", "es-ru", "--into", "identity", "--items", 3, "--layers", 4),
    "pivot": ("--lang", "de", "--items", 3, "--layers", 4),
    "steer": ("--lang", "ja", "--items", 4, "--layers", 4, "--strengths", 1),
    "trace": ("--lang", "fr,ja", "--prompt", "Le chat", "--tokens", 4, "--layers", 4),
    "barrier": ("--lang", "ja", "--items", 4),
    "erase": ("store", "--layers", 4),
    "neurons": ("--text", "text", "--lang", "en,ja,de", "--items", 8, "--deals", 10),
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and a folder of parallel text."""
    folder = tmp_path_factory.mktemp("ground")
    ll.harvest(
        ll.load("pocket"), "translation", languages="en,ja,de", items=8, pools=("last",), layers=[4],
        out=folder / "store", progress=False,
    )  # fmt: skip
    (folder / "text").mkdir()
    for code, words in {"en": "the cat saw a", "ja": "猫が見た", "de": "die Katze sah ein"}.items():
        lines = [f"{words} {number} {words}" for number in range(12)]
        (folder / "text" / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def ran(run: Callable[..., Outcome], ground: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Run one of `COMMANDS` with more arguments, where the store and the text lie."""
    for name in ("store", "text"):
        (tmp_path / name).symlink_to(ground / name)

    def command(name: str, *more: object) -> Outcome:
        return run("patch" if name == "identity" else name, *COMMANDS[name], *more)

    return command


def _strict(text: str) -> Any:
    """JSON as the standard has it, which knows no NaN."""

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_valid_has_the_saved_numbers_and_names_its_files(name: str, ran: Any, tmp_path: Path) -> None:
    # pictures need a package of their own
    drawn = name == "trace" and find_spec("kaleido") is not None
    outcome = ran(name, "--out", "out", "--json", *(("--png",) if drawn else ()))
    assert outcome.code == 0, outcome.err
    record = _strict(outcome.out)
    result: Result[Any] = open_result(tmp_path / "out")
    assert record["kind"] == result.kind and record["sentence"] == result.describe()
    rows = result.glance().to_dict("records")
    assert len(record["rows"]) == len(rows) > 0
    for told, saved in zip(record["rows"], rows, strict=True):
        for column, value in saved.items():
            if isinstance(value, float):
                missing = told[column] is None
                assert missing == math.isnan(value) and (missing or told[column] == pytest.approx(value))
            else:
                assert told[column] == value
    assert record["files"] and all((tmp_path / path).is_file() for path in record["files"])
    assert ("trace.png" in {Path(path).name for path in record["files"]}) == drawn


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("trace", HookedLM, "activations"),
        ("barrier", HookedLM, "iter_activations"),
        ("erase", erasure, "read_items"),
    ],
)
def test_a_stopped_command_that_keeps_nothing_is_one_line_and_begins_anew(
    name: str, where: Any, what: str, ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that keep what was run have a test of their own."""

    def stopped(*_given: Any, **_options: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(where, what, stopped)
        outcome = ran(name, "--out", "out")
    assert (outcome.code, outcome.err) == (130, "latentlang: interrupted; nothing was written\n")
    assert not (tmp_path / "out").exists()
    outcome = ran(name, "--out", "out")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "out" / "result.parquet").is_file()


@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_folder_that_is_a_file_is_refused_before_anything_runs(
    name: str, ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latentlang.models.loading.load", lambda *_given, **_options: pytest.fail("loaded"))
    (tmp_path / "out").write_text("mine")
    outcome = ran(name, "--out", "out")
    assert outcome.code == 2 and "cannot write to the folder 'out'" in outcome.err
    assert outcome.err.count("\n") == 1 and (tmp_path / "out").read_text() == "mine"


def test_rows_of_a_record_have_all_digits_and_no_nan() -> None:
    table = pd.DataFrame({
        "p": np.array([5.423135106374252e-17, 0.1 + 0.2, np.nan]), "low": [-np.inf, 1.0, None],
        "layer": np.array([1, 2, 3], np.int64), "said": np.array([True, False, True]),
        "parts": [[np.float64(0.5), np.nan], (1, 2), "text"],
    })  # fmt: skip
    assert json.loads(json.dumps(rows_record(table), allow_nan=False)) == [
        {"p": 5.423135106374252e-17, "low": None, "layer": 1, "said": True, "parts": [0.5, None]},
        {"p": 0.30000000000000004, "low": 1.0, "layer": 2, "said": False, "parts": [1, 2]},
        {"p": None, "low": None, "layer": 3, "said": True, "parts": "text"},
    ]
    assert rows_record(table.head(0)) == []
