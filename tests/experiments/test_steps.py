"""What the commands of experiments have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import pytest

from experiments.steps import measuring_options, write_table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    return parser


@pytest.mark.parametrize(("given", "names"), [((), ["a", "b"]), (("b",), ["b"])])
def test_all_is_measured_unless_names_are_given(
    given: tuple[str, ...], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["measure", "out", *given])
    options = measuring_options(_parser(), ("a", "b"))
    assert (options.folder, options.names) == ("out", names)


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["measure", "out", "c"])
    with pytest.raises(SystemExit):
        measuring_options(_parser(), ("a", "b"), what="kind")
    assert "there is no kind 'c'; there are a, b" in capsys.readouterr().err


def test_a_table_without_rows_is_not_written(tmp_path: Path) -> None:
    write_table(tmp_path / "figures", "full", pd.DataFrame({"x": [1.23456]}))
    write_table(tmp_path / "figures", "empty", pd.DataFrame({"x": []}))
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["full.csv"]
    assert (tmp_path / "figures" / "full.csv").read_text() == "x\n1.235\n"


def test_rows_of_what_was_not_measured_again_stay(tmp_path: Path) -> None:
    first = pd.DataFrame({"model": ["b", "b", "a"], "draw": [0, 0, 0], "gap": [0.123456, float("nan"), 1.0]})
    write_table(tmp_path, "gaps", first, kept=("model", "draw"))
    again = pd.DataFrame({"model": ["a", "b"], "draw": [0, 1], "gap": [2.0, 3.0]})
    write_table(tmp_path, "gaps", again, kept=("model", "draw"))
    text = (tmp_path / "gaps.csv").read_text()
    assert text.splitlines() == ["model,draw,gap", "b,0,0.1235", "b,0,", "a,0,2", "b,1,3"]
    write_table(tmp_path, "gaps", again)
    assert (tmp_path / "gaps.csv").read_text().splitlines() == ["model,draw,gap", "a,0,2", "b,1,3"]
