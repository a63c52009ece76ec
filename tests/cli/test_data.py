"""`latentlang data`: what there is, getting it, and what is said when it cannot be had."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from latentlang.downloads import catalogue, download
from latentlang.installing import install_command
from latentlang.tasks import task
from latentlang.training import read_pairs
from tests.support.declaration_archive import PATH, official
from tests.support.published_files import content, serving, small_set


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(catalogue, "published_sets", lambda: (small_set(content(), pinned=False),))
    with serving(content()) as running:
        yield running


def test_the_list_says_what_there_is_and_how_it_is_verified(run):
    outcome = run("data", "list")
    assert outcome.code == 0 and not outcome.err
    counts = {"sentiment": ("23", "20", "3"), "nli": ("21", "10", "11"), "paraphrase": ("21", "0", "21")}
    for name, (files, known, others) in counts.items():
        (row,) = (line.split() for line in outcome.out.splitlines() if line.split()[:1] == [name])
        assert row[1] == files and row[-2:] == [known, others]
    for words in (
        "verified by SHA-256",
        "by address, then as recorded",
        "5605459",
        "hub:xnli",
        "facebook/xnli",
    ):
        assert words in outcome.out


def test_the_list_as_json(run):
    rows = json.loads(run("data", "list", "--json").out)
    sets = {row["group"]: row for row in rows if row["name"] == "spontaneous"}
    assert sets["sentiment"]["files"] == 23 and sets["sentiment"]["sha256"] == 20
    read = {row["name"]: row["task"] for row in rows if row["name"].startswith("hub:")}
    assert read == {
        "hub:xnli": "nli",
        "hub:paws-x": "paraphrase",
        "hub:belebele": "reading",
        "hub:flores": "continuation",
    }
    assert {row["name"] for row in rows} == {"spontaneous", "udhr", *read}


def test_the_declaration_is_got_and_the_commands_that_use_it_are_named(run, tmp_path):
    with serving({f"/{PATH}": official()}) as server:
        outcome = run("data", "get", "udhr", "--out", tmp_path / "udhr", "--mirror", server.address)
    assert outcome.code == 0 and not outcome.err
    first, recorded, licence, fertility, harvest = outcome.out.splitlines()
    assert first == f"1 files downloaded, 0 were here and are whole: {tmp_path / 'udhr'}"
    assert recorded.startswith("1 of them had no known SHA-256")
    assert licence.startswith("licence of udhr: none is stated; ©")
    assert fertility.startswith("latentlang fertility ")
    asked = dict(zip(shlex.split(harvest), shlex.split(harvest)[1:], strict=False))
    assert task(asked["--task"], data=asked["--data"]).languages == ("en", "ja")


def test_data_alone_shows_its_commands(run):
    outcome = run("data")
    assert outcome.code == 0 and "list" in outcome.out and "get" in outcome.out


def test_get_says_where_it_is_and_what_to_do_next(run, server, tmp_path):
    out = tmp_path / "my data"
    outcome = run("data", "get", "small", "--out", out, "--mirror", server.address)
    assert outcome.code == 0 and not outcome.err
    first, recorded, licence, evaluate, train = outcome.out.splitlines()
    assert first == f"7 files downloaded, 0 were here and are whole: {out}"
    assert recorded.startswith("7 of them had no known SHA-256") and "SHA256SUMS" in recorded
    assert licence == "licence of small: made by a test"
    asked = dict(zip(shlex.split(evaluate), shlex.split(evaluate)[1:], strict=False))
    assert task(asked["--task"], data=asked["--data"]).languages == ("en", "ja")
    asked = dict(zip(shlex.split(train), shlex.split(train)[1:], strict=False))
    assert len(read_pairs(asked["--data"])) == 4
    again = run("data", "get", "small", "--out", out, "--mirror", server.address).out.splitlines()
    assert again[0] == f"0 files downloaded, 7 were here and are whole: {out}"
    assert len(again) == 4 and len(server.asked) == 7


def test_only_some_groups(run, server, tmp_path):
    outcome = run(
        "data", "get", "small", "--out", tmp_path, "--only", "questions", "--mirror", server.address
    )
    assert "1 files" in outcome.out and "latentlang train" in outcome.out
    assert "latentlang evaluate" not in outcome.out
    asked = ("--only", "questions,nli", "--only", "sentiment", "--mirror", server.address)
    assert "6 files downloaded, 1 were here" in run("data", "get", "small", "--out", tmp_path, *asked).out


def test_offline_is_one_line_and_code_2(run, server, tmp_path):
    outcome = run("data", "get", "small", "--out", tmp_path, "--mirror", "http://127.0.0.1:9")
    assert outcome.code == 2 and not outcome.out
    assert outcome.err.count("\n") == 1
    for words in ("127.0.0.1:9 cannot be reached", "0 of 7 files", "--data FOLDER", "--model pocket"):
        assert words in outcome.err


def test_interrupting_keeps_what_came_whole(run, server, tmp_path, monkeypatch):
    def stopped(*_: object, **options: object) -> None:
        download("small", tmp_path, only="nli", mirror=server.address)
        raise KeyboardInterrupt

    monkeypatch.setattr("latentlang.downloads.download", stopped)
    outcome = run("data", "get", "small", "--out", tmp_path, "--mirror", server.address)
    assert outcome.code == 130 and "run the same command again to go on" in outcome.err
    monkeypatch.undo()
    monkeypatch.setattr(catalogue, "published_sets", lambda: (small_set(content(), pinned=False),))
    outcome = run("data", "get", "small", "--out", tmp_path, "--mirror", server.address)
    assert "4 files downloaded, 3 were here" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "spontanous"], "unknown data set 'spontanous'; did you mean 'spontaneous'"),
        (["get", "spontaneous", "--only", "emotions"], "unknown group of files 'emotions'"),
        (["get", "spontaneous", "--mirror", "ftp://x"], "the mirror must be a web address"),
        (["get"], "NAME is needed: Which set"),
    ],
)
def test_bad_arguments_are_one_line(run, arguments, message):
    outcome = run("data", *arguments)
    assert outcome.code == 2 and outcome.err.count("\n") == 1 and message in outcome.err


def test_without_pooch_the_extra_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    outcome = run("data", "get", "spontaneous", "--out", tmp_path)
    assert outcome.code == 2 and install_command("data") in outcome.err


@pytest.mark.parametrize("width", ["60", "80"])
def test_the_tables_fit_narrow_terminals(run, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    # The sentences between the tables are left to the terminal.
    table = run("data", "list").out.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= int(width) and "paraphrase" in table
