"""`latentlang reproduce`: a plan and a run from the command line; what cannot be done is said in one line."""

from __future__ import annotations

import re

import pytest

from latentlang.installing import install_command
from latentlang.reproduction import suite_names
from latentlang.reproduction.kinds import registry
from tests.support.made_paper import TABLES, LettersKind, write_paper
from tests.support.small_experiments import write_suite
from tests.support.warm import warm_process

QUICK = ("--set", "steps=1", "--set", "per_pair=40", "--format", "html")


@pytest.fixture
def small(tmp_path):
    return write_suite(tmp_path / "small")


def test_a_plan_says_what_is_missing_and_writes_nothing(run, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("reproduce", small, "--model", "pocket", "--dry-run")
    assert done.code == 0, done.err
    assert re.search(
        r"^train pocket sw\+hi-en sentiment +[\d.]+ +[\d.]+ \w+ +acc, modes, pear", done.out, re.M
    )
    assert re.search(r"^\d+ steps, 0 there", done.out, re.M)
    assert "Hours are an estimate" in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


def test_a_run_writes_its_files_and_a_second_one_runs_nothing(
    run, mistral_folder, small, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    asked = ("reproduce", small, "--model", mistral_folder, "--only", "acc", "--items", "4", *QUICK)
    done = run(*asked)
    assert done.code == 0, done.err
    assert "Table A is written" in done.err
    folder = tmp_path / "figures" / "small" / mistral_folder.name
    assert {path.name for path in folder.iterdir()} == {
        "acc.csv",
        "acc.md",
        "acc.tex",
        "index.html",
        "README.md",
    }
    assert "3 steps run, 0 were there" in done.out
    again = run(*asked)
    assert again.code == 0 and "0 steps run, 3 were there" in again.out
    planned = run(*asked, "--dry-run")
    assert re.search(r"^3 steps, 3 there", planned.out, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "unknown set of experiments 'nowhere'"),
        (("--only", "fig99"), "unknown figure or table 'fig99'"),
        (("--model", "no-such-model"), "unknown model 'no-such-model'"),
        (("--model", "pocket", "--items", "0"), "items must be at least 1, not 0"),
        (("--model", "pocket", "--only", ""), "--only names no figure or table"),
        (("--model", "pocket", "--only", " , "), "--only names no figure or table"),
        (("--model", "pocket", "--out", ""), "the name of the folder is empty"),
        (("--model", "pocket", "--cache", ""), "the name of the folder is empty"),
        (("--model", "pocket", "--set", "steps=3", "--set", "epochs=1"), "give epochs or steps, not both"),
        (("--model", "pocket", "--protocol", "mine"), "protocol must be corrected or as-published"),
        (("--model", "pocket", "--training-data", "folder"), "--training-data takes a task and a folder"),
        (("--model", "pocket", "--training-data", "nli=nowhere"), "training data 'nowhere' of nli do not exist"),
        (("--model", "pocket", "--only", "table1", "--data", "nowhere"), "nowhere"),
        (("--model", "pocket", "--only", "table1", "--set", "rank=high"), "rank"),
        (("--model", "pocket", "--only", "table1", "--set", "rank"), "--set takes a field and a value"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_one_line_and_leaves_nothing(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("reproduce", *arguments)
    assert done.code == 2
    assert message in done.err and len(done.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_format_there_is_not_leaves_no_folder(run, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("reproduce", small, "--model", "pocket", "--format", "gif")
    assert done.code == 2 and "unknown format 'gif'" in done.err
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("change", ["steps=100", "epochs=0.5"])
def test_steps_or_epochs_of_the_user_take_the_place_of_the_experiments(run, change):
    done = run(
        "reproduce", "spontaneous", "--model", "pocket", "--only", "fig1", "--set", change, "--dry-run"
    )
    assert done.code == 0 and "train pocket" in done.out, done.err


_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("trl", "peft", "accelerate"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

import importlib.util
import os
for name in list(sys.modules):  # as a new process, in which nothing has been imported
    if name.partition(".")[0] in ("trl", "peft", "accelerate", "latentlang"):
        del sys.modules[name]
os.chdir(sys.argv.pop(1))
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name in ("trl", "peft", "accelerate") else found(name, package)
)
sys.meta_path.insert(0, Missing())
from latentlang.cli import main
codes = [main([*sys.argv[1:], "--dry-run"])]
print("planned", file=sys.stderr, flush=True)
codes.append(main(sys.argv[1:]))
print(*codes)
"""


def test_a_plan_needs_nothing_that_only_training_needs(small, tmp_path):
    words = ["reproduce", str(small), "--model", "pocket", "--out", str(tmp_path / "out")]
    ran = warm_process("-c", _WITHOUT, tmp_path, *words)
    assert ran.out.splitlines()[-1:] == ["0 2"], ran.err
    assert "0 there" in ran.out
    message = f"training needs trl, peft, accelerate; `{install_command('train')}`"
    assert [message in part for part in ran.err.split("planned\n")] == [False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


def test_in_80_columns_no_name_of_a_plan_is_cut(run, small, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run("reproduce", small, "--model", "pocket", "--dry-run")
    lines = done.out.splitlines()
    assert done.code == 0 and max(map(len, lines)) <= 80
    place = next(n for n, line in enumerate(lines) if line.startswith("train pocket sw+hi-en sentiment"))
    assert lines[place + 1].strip() == "for acc, modes, pear, curves, points"
    assert "…" not in done.out


@pytest.fixture
def paper(tmp_path):
    registry.register("letters", LettersKind)
    yield write_paper(tmp_path / "made")
    registry.unregister("letters")


def test_a_plan_says_per_table_what_it_takes_and_what_cannot_be_had(run, paper, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run("reproduce", paper, "--dry-run")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(r"^table1 +2 +0 +2\.00 +2\.0 kB +4 +0\.50 *$", done.out, re.M)
    assert re.search(r"^all +2 +0 +2\.00 +2\.0 kB +4 +0\.50 *$", done.out, re.M)
    assert re.search(r"^table2 +–", done.out, re.M)
    told = " ".join(done.out.split("what stands in:")[1].split())
    assert told == (
        "table2: It needs people who judge or annotate. Nothing stands in. The paper's own takes 1,200 calls, 16.5 GPU "
        "hours and 300 US dollars (Section 4). figure3: It needs a hosted model as judge."
    )
    assert sorted(path.name for path in paper.parent.iterdir()) == ["made"]


def test_tables_of_which_the_same_cannot_be_had_are_named_together(run, paper, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    write_paper(paper, table2=TABLES["figure3"].replace("published: ''\n", ""))
    told = run("reproduce", paper, "--dry-run").out.split("what stands in:")[1]
    assert " ".join(told.split()) == "table2, figure3: It needs a hosted model as judge."


def test_a_run_sums_up_what_was_computed_of_each_table(run, paper, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run("reproduce", paper, "--model", "pocket", "--format", "html")
    assert done.code == 0, done.err
    assert re.search(r"^Table 1 +2 +1 +2 +0$", done.out, re.M) and re.search(
        r"^Table 2 +2 +0 +0 +–$", done.out, re.M
    )
    assert "note: nothing of these runs a model: pocket was not used" in done.out
    again = run("reproduce", paper, "--model", "pocket", "--format", "html", "--only", "table1,Table2")
    assert again.code == 0 and "0 steps run, 2 were there" in again.out


@pytest.mark.parametrize(
    ("changed", "arguments", "message"),
    [
        ({}, ("--only", "table9"), "unknown figure or table 'table9'; there are table1, table2, figure3"),
        ({"table1": "{title: x, source: x, kind: poetry}"}, (), "unknown kind of experiment 'poetry'"),
        ({"published_table2": ""}, (), "the printed values are missing: there is no file"),
        ({"corrections": "table,row,column,printed,corrected,source,reason\ntable1,x,y,1,2,,misprint\n"}, (),
         "corrects a cell that was not printed: 'table1', row 'x', column 'y'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_paper_is_one_line(run, paper, tmp_path, changed, arguments, message):
    folder = write_paper(tmp_path / "wrong", **changed)
    done = run("reproduce", folder, *arguments)
    assert done.code == 2
    assert message in done.err and len(done.err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "wrong"]


def test_papers_are_named_by_help_and_by_the_error(run):
    assert suite_names()[0] == "spontaneous"
    told = run("reproduce", "--help").out
    done = run("reproduce", "no-such-paper")
    assert done.code == 2 and "unknown set of experiments 'no-such-paper'" in done.err
    for name in suite_names():
        assert name in told and name in done.err


def test_a_model_in_a_folder_has_the_name_it_is_given_and_steps_that_were_run_serve_it(
    run, mistral_folder, small, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    asked = ("reproduce", small, "--model", mistral_folder, "--only", "acc", "--items", "4", *QUICK)
    assert "3 steps run" in run(*asked).out
    named = run(*asked, "--name", "my Mistral, step 300")
    assert named.code == 0 and "0 steps run, 3 were there" in named.out
    folder = tmp_path / "figures" / "small" / "my-Mistral-step-300"
    for file in ("index.html", "README.md", "acc.csv"):
        assert "my Mistral, step 300" in (folder / file).read_text(encoding="utf-8"), file
    assert "--name 'my Mistral, step 300'" in (folder / "README.md").read_text(encoding="utf-8")
    refused = run("reproduce", small, "--name", "mine", "--dry-run")
    assert refused.code == 2 and "give --model too" in refused.err
