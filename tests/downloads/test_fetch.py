"""Downloads: verified before they get their names, never twice, nothing half, one clear line when it cannot be."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from latentlang.downloads import catalogue, download
from latentlang.downloads.fetch import default_folder
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.storage.lock import FolderLock
from latentlang.tasks import task
from latentlang.tasks.labels import SENTIMENT
from latentlang.training import read_pairs
from tests.support.children import Child, Inside
from tests.support.published_files import COMMIT, ITEMS, content, script, serving, small_set

SENTIMENT_JA = "data/ap_emotion/emotion_ja36_test.json"


@pytest.fixture
def server(monkeypatch):
    """A server with the small set, whose hashes are not known."""
    files = content()
    monkeypatch.setattr(catalogue, "published_sets", lambda: (small_set(content(), pinned=False),))
    with serving(files) as running:
        yield running


@pytest.fixture
def pinned(server, monkeypatch):
    """The same with all hashes known."""
    monkeypatch.setattr(catalogue, "published_sets", lambda: (small_set(content(), pinned=True),))
    return server


def _leftovers(folder: Path) -> set[str]:
    """Files that are none of the set's: temporary ones."""
    own = {file.place for file in catalogue.published_set("small").files}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - own - {"few_shot_blocks.json", "SHA256SUMS"}


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_the_umask_is_obeyed(pinned, tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        download("small", tmp_path, mirror=pinned.address)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()} == {mode}


def test_a_second_process_is_refused_while_the_first_downloads(pinned, tmp_path):
    def holding(inside: Inside) -> None:
        with FolderLock(tmp_path):
            inside.pause()

    with Child(holding) as first:
        first.wait_for_pause()
        with pytest.raises(InputError, match=rf"process {first.pid} is writing into"):
            download("small", tmp_path, mirror=pinned.address)
        assert not pinned.asked
    download("small", tmp_path, mirror=pinned.address)
    assert not _leftovers(tmp_path)


def test_what_is_downloaded_is_what_the_tasks_read(pinned, tmp_path):
    reported: list[tuple[int, int]] = []
    got = download("small", tmp_path, mirror=pinned.address, progress=lambda *n: reported.append(n))
    assert sorted(pinned.asked) == sorted(content())
    assert len(got.fetched) == len(content()) and not got.kept and not got.recorded
    assert reported == [(n, len(content())) for n in range(len(content()) + 1)]
    for name in ("sentiment", "nli"):
        built = task(name, data=got.folder, answers="en", protocol="as-published")
        assert built.languages == ("en", "ja")
        prompts = built.prompts("ja")
        assert len(prompts) == ITEMS
        assert prompts[0].few_shot.count("ja example") == len(built.kind.keys) * built.kind.shots
        # The corrected protocol takes the published block apart and answers it anew.
        assert "ja example 0" in task(name, data=got.folder).prompts("ja")[0].few_shot
    pairs = read_pairs(got.folder / "question_translation")
    assert [pair.source for pair in pairs] == ["ja"] * 4
    assert not _leftovers(tmp_path)


def test_nothing_is_fetched_twice(pinned, tmp_path):
    first = download("small", tmp_path, mirror=pinned.address)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    pinned.forget()
    again = download("small", tmp_path, mirror=pinned.address)
    assert not pinned.asked and not again.fetched and again.kept == first.fetched
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_whole_folder_needs_no_network(server, tmp_path):
    download("small", tmp_path, mirror=server.address)
    assert not download("small", tmp_path, mirror="http://127.0.0.1:9").fetched


def test_groups_come_one_by_one_and_the_blocks_follow(server, tmp_path):
    got = download("small", tmp_path, only="nli", mirror=server.address)
    assert all(place.startswith(("nli/", "scripts/snli")) for place in got.fetched)
    assert list(json.loads((tmp_path / "few_shot_blocks.json").read_text())) == ["nli"]
    download("small", tmp_path, only=["questions"], mirror=server.address)
    assert list(json.loads((tmp_path / "few_shot_blocks.json").read_text())) == ["nli"]
    download("small", tmp_path, only="sentiment", mirror=server.address)
    assert set(json.loads((tmp_path / "few_shot_blocks.json").read_text())) == {"nli", "sentiment"}
    assert len(server.asked) == len(set(server.asked)) == len(content())


# Hashes


def test_the_recorded_hashes_are_those_of_the_files(server, tmp_path):
    got = download("small", tmp_path, mirror=server.address)
    assert got.recorded == got.fetched
    head, *lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert head == f"# someone/paper {COMMIT}" and len(lines) == len(content())
    for line in lines:
        digest, place = line.split("  ")
        assert hashlib.sha256((tmp_path / place).read_bytes()).hexdigest() == digest
    assert not download("small", tmp_path, mirror=server.address).recorded


@pytest.mark.skipif(sys.platform != "linux", reason="GNU sha256sum")
def test_the_folder_can_be_checked_without_this_package(server, tmp_path):
    download("small", tmp_path, mirror=server.address)
    command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "sentiment" / "emotion_ja36_test.json").write_text("[1]")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode != 0


def test_a_file_with_another_hash_is_refused_and_not_kept(pinned, tmp_path):
    pinned.files[SENTIMENT_JA] = pinned.files[SENTIMENT_JA].replace(b"36", b"37").replace(b"ja", b"jb")
    with pytest.raises(
        InputError, match=r"emotion_ja36_test\.json is not the file that was published: its SHA-256"
    ):
        download("small", tmp_path, mirror=pinned.address)
    assert not (tmp_path / "sentiment" / "emotion_ja36_test.json").exists()
    assert not _leftovers(tmp_path)
    assert (tmp_path / "sentiment" / "emotion_en36_test.json").read_bytes() == content()[
        "data/ap_emotion/emotion_en36_test.json"
    ]


def test_a_file_without_a_known_hash_is_held_to_the_recorded_one(server, tmp_path):
    download("small", tmp_path, mirror=server.address)
    place = tmp_path / "sentiment" / "emotion_ja36_test.json"
    recorded = (tmp_path / "SHA256SUMS").read_text()
    server.files[SENTIMENT_JA] = b'[{"input": "changed", "answer": "positive"}]'
    place.unlink()
    with pytest.raises(InputError, match="is not the file that was published"):
        download("small", tmp_path, mirror=server.address)
    assert not place.exists() and (tmp_path / "SHA256SUMS").read_text() == recorded
    server.files[SENTIMENT_JA] = content()[SENTIMENT_JA]
    assert download("small", tmp_path, mirror=server.address).fetched == ("sentiment/emotion_ja36_test.json",)


def test_a_damaged_file_is_fetched_anew(server, tmp_path):
    download("small", tmp_path, mirror=server.address)
    place = tmp_path / "sentiment" / "emotion_ja36_test.json"
    place.write_bytes(place.read_bytes()[:-20])
    server.forget()
    assert download("small", tmp_path, mirror=server.address).fetched == ("sentiment/emotion_ja36_test.json",)
    assert place.read_bytes() == content()[SENTIMENT_JA] and server.asked == [SENTIMENT_JA]


@pytest.mark.parametrize(
    "body", [b"<html>log in first</html>", b"[]", b'{"a": 1}', b"", b"\xff\xfe", b"[" * 200_000]
)
def test_what_cannot_be_the_file_is_never_recorded(server, tmp_path, body):
    server.files[SENTIMENT_JA] = body
    with pytest.raises(InputError, match=r"emotion_ja36_test\.json is not the file .*nothing of it was kept"):
        download("small", tmp_path, mirror=server.address)
    assert not (tmp_path / "sentiment" / "emotion_ja36_test.json").exists() and not _leftovers(tmp_path)
    assert "emotion_ja36" not in (tmp_path / "SHA256SUMS").read_text()


def test_a_malicious_script_is_neither_run_nor_kept(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server.files["emotion.py"] = script(SENTIMENT, "en", blocks="{'en': open('owned', 'w').name}").encode()
    with pytest.raises(InputError, match=r"emotion\.py is not the file .*not a dictionary of constants"):
        download("small", tmp_path / "out", mirror=server.address)
    assert not (tmp_path / "owned").exists() and not (tmp_path / "out" / "scripts" / "emotion.py").exists()


def test_files_that_somebody_put_there_are_taken_when_they_are_whole(server, tmp_path):
    place = tmp_path / "sentiment" / "emotion_ja36_test.json"
    place.parent.mkdir()
    place.write_bytes(content()[SENTIMENT_JA])
    got = download("small", tmp_path, mirror=server.address)
    assert "sentiment/emotion_ja36_test.json" in got.kept and SENTIMENT_JA not in server.asked
    assert "sentiment/emotion_ja36_test.json" in got.recorded
    broken = tmp_path / "other" / "sentiment" / "emotion_ja36_test.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("[")
    with pytest.raises(InputError, match=r"emotion_ja36_test\.json is not the file .*remove it"):
        download("small", tmp_path / "other", mirror=server.address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# someone/paper 7654321\n", "the folder holds something else; choose another one"),
        ("", "the folder holds something else"),
        (f"# someone/paper {COMMIT}\nabc  x\n", "a line that is no hash and name: 'abc  x'"),
        (f"# someone/paper {COMMIT}\n{'a' * 64}\n", "a line that is no hash and name"),
    ],
)
def test_a_folder_of_something_else_is_left_alone(server, tmp_path, text, message):
    (tmp_path / "SHA256SUMS").write_text(text)
    with pytest.raises(InputError, match=message):
        download("small", tmp_path, mirror=server.address)
    assert not server.asked and (tmp_path / "SHA256SUMS").read_text() == text


# When it cannot be


def test_offline_is_one_clear_line_that_says_what_works(server, tmp_path):
    download("small", tmp_path, only="nli", mirror=server.address)
    with pytest.raises(InputError) as caught:
        download("small", tmp_path, mirror="http://127.0.0.1:9")
    said = str(caught.value)
    assert said.startswith("127.0.0.1:9 cannot be reached, or broke off: 3 of 7 files of small are in ")
    for words in ("run the same command again", "--mirror", "--data FOLDER", "--model pocket"):
        assert words in said
    assert "\n" not in said and not _leftovers(tmp_path)


def test_a_connection_that_breaks_off_leaves_no_half_file(server, tmp_path):
    server.lengths[SENTIMENT_JA] = len(content()[SENTIMENT_JA]) + 1000
    with pytest.raises(InputError, match="broke off"):
        download("small", tmp_path, mirror=server.address)
    assert not (tmp_path / "sentiment" / "emotion_ja36_test.json").exists() and not _leftovers(tmp_path)
    server.lengths.clear()
    download("small", tmp_path, mirror=server.address)
    assert (tmp_path / "sentiment" / "emotion_ja36_test.json").read_bytes() == content()[SENTIMENT_JA]


def test_a_missing_file_is_named(server, tmp_path):
    del server.files[SENTIMENT_JA]
    with pytest.raises(InputError, match=r"emotion_ja36_test\.json answers 404.*--data FOLDER"):
        download("small", tmp_path, mirror=server.address)
    assert not _leftovers(tmp_path)


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("small", tmp_path, mirror=server.address, progress=stop)
    assert len(server.asked) == 3 and not _leftovers(tmp_path)
    download("small", tmp_path, mirror=server.address)
    assert len(server.asked) == len(set(server.asked)) == len(content())


def test_without_pooch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    for ask in (lambda: download("spontaneous", tmp_path), lambda: default_folder("spontaneous")):
        with pytest.raises(InputError, match=re.escape(f"downloads need pooch; `{install_command('data')}`")):
            ask()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write to the folder"):
        download("small", tmp_path / "file", mirror=server.address)
    (tmp_path / "out" / "sentiment").mkdir(parents=True)
    (tmp_path / "out" / "sentiment" / "emotion_en36_test.json").mkdir()
    with pytest.raises(InputError, match=r"emotion_en36_test\.json"):
        download("small", tmp_path / "out", mirror=server.address)


def test_pooch_keeps_quiet_and_can_be_heard_afterwards(server, tmp_path, monkeypatch):
    import pooch

    logger, said = pooch.get_logger(), []
    monkeypatch.setattr(logger, "handlers", [handler := logging.Handler()])
    monkeypatch.setattr(handler, "emit", lambda record: said.append(record.getMessage()))
    logger.info("before")
    download("small", tmp_path, mirror=server.address)
    logger.info("after")
    assert said == ["before", "after"]


def test_the_default_folder_is_in_the_users_cache_and_of_the_commit(tmp_path, monkeypatch, server):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder("small").name == f"small-{COMMIT}"
    if sys.platform == "linux":
        assert download("small", mirror=server.address).folder == tmp_path / "latentlang" / f"small-{COMMIT}"


def test_where_nothing_came_no_folder_is_left_that_would_pass_for_a_set(server, tmp_path):
    with pytest.raises(InputError, match="cannot be reached"):
        download("small", tmp_path / "new", mirror="http://127.0.0.1:9")
    assert not (tmp_path / "new").exists()


def test_only_folders_that_were_made_for_nothing_are_removed(server, tmp_path):
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    for folder in (tmp_path / "mine", tmp_path / "new"):
        with pytest.raises(InputError, match="cannot be reached"):
            download("small", folder, mirror="http://127.0.0.1:9")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "mine",
        "mine/empty",
    ]


# Servers that send something else


def test_no_more_is_taken_than_the_file_has(pinned, tmp_path):
    pinned.files[SENTIMENT_JA] = content()[SENTIMENT_JA] + b" " * 10**7
    size = len(content()[SENTIMENT_JA])
    with pytest.raises(InputError, match=rf"sends more bytes than the {size:,} that the published file has"):
        download("small", tmp_path, mirror=pinned.address)
    assert not (tmp_path / "sentiment" / "emotion_ja36_test.json").exists() and not _leftovers(tmp_path)


@pytest.mark.parametrize("known", [True, False])
def test_an_endless_server_is_left(tmp_path, monkeypatch, known):
    from latentlang.downloads import fetch

    monkeypatch.setattr(fetch, "_MOST_BYTES", 10**6)
    small = small_set(content(), pinned=known)
    monkeypatch.setattr(catalogue, "published_sets", lambda: (small,))
    endless = serving(content(), endless=[SENTIMENT_JA])
    with endless as server, pytest.raises(InputError, match="sends more bytes than"):
        download("small", tmp_path, mirror=server.address)
    assert not (tmp_path / "sentiment" / "emotion_ja36_test.json").exists() and not _leftovers(tmp_path)


def test_a_server_that_is_down_is_not_told_as_a_missing_file(server, tmp_path):
    server.statuses[SENTIMENT_JA] = 500
    with pytest.raises(InputError, match=r"answers 500: it does not give the file now; try again later"):
        download("small", tmp_path, mirror=server.address)


@pytest.mark.parametrize(
    "mirror",
    ["https://", "http://[::1", "http://h:port", "http://h:99999", "ftp://h", "http://a b", "http://h\x1b[31m",
     "http://h\nx", "http://\ud800", "http://h/?x=", "http://h/#x", "", "h", "http://" + "h" * 3000, "file:///etc"],
)  # fmt: skip
def test_mirrors_that_are_no_addresses(tmp_path, mirror):
    with pytest.raises(InputError, match="the mirror must be a web address") as caught:
        download("spontaneous", tmp_path / "out", mirror=mirror)
    assert (
        str(caught.value).isprintable() and len(str(caught.value)) < 400 and not (tmp_path / "out").exists()
    )


def test_a_host_that_cannot_be_asked_for(tmp_path):
    with pytest.raises(InputError, match=r"is no web address|cannot be reached"):
        download("spontaneous", tmp_path / "out", only="nli", mirror="http://a..b")
