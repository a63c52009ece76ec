"""Paths that users give: one error that names the path, wherever the machine refuses to say what is there."""

from pathlib import Path

import pandas as pd
import pytest

from latentlang.errors import InputError
from latentlang.paths import given_path, is_file, is_folder, is_present, paths_in_words, usable_path
from latentlang.questions import read_problems


def test_what_is_there(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nothing")
    assert is_folder(tmp_path) and is_present(tmp_path) and not is_file(tmp_path)
    assert is_file(tmp_path / "file") and is_present(tmp_path / "file") and not is_folder(tmp_path / "file")
    for nothing in ("nothing", "dangling", "file/below"):
        assert not (
            is_present(tmp_path / nothing) or is_file(tmp_path / nothing) or is_folder(tmp_path / nothing)
        )


@pytest.mark.parametrize("look", [is_present, is_file, is_folder])
def test_what_cannot_be_looked_at_is_named(tmp_path, look):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop' cannot be looked at: Too many levels of symbolic links"):
        look(tmp_path / "loop")
    with pytest.raises(InputError, match="cannot be looked at: File name too long") as caught:
        look("x" * 5000)
    assert len(str(caught.value)) < 300
    with pytest.raises(InputError, match="cannot be looked at: embedded null byte"):
        look("a\0b")


def test_a_home_folder_is_found_or_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert given_path("~/x") == tmp_path / "x"
    (tmp_path / "~here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert given_path(Path("./~here/x")) == Path("~here/x")
    with pytest.raises(InputError, match="'~nobody_at_all/x': this machine knows no such home folder"):
        given_path("~nobody_at_all/x")


def test_what_is_no_path():
    with pytest.raises(InputError, match=r"'a\\x00b' is no path: it holds a NUL character"):
        given_path("a\0b")
    with pytest.raises(InputError, match=r"'caf\\udce9' holds bytes that are not UTF-8 text"):
        given_path("caf\udce9")


def test_a_value_that_is_no_path_is_named_by_its_kind():
    with pytest.raises(InputError, match=r"^a dict is no path; give the name of a file or folder$"):
        given_path({"de": "worte.csv"})
    with pytest.raises(
        InputError, match=r"^a DataFrame is no path; .*; a table is saved first, by its to_csv$"
    ):
        given_path(pd.DataFrame({"id": [1]}))


def test_a_device_is_neither_file_nor_folder(tmp_path):
    assert usable_path(tmp_path / "new") == tmp_path / "new"
    with pytest.raises(InputError, match="'/dev/zero' is a device"):
        usable_path("/dev/zero")


def test_several_paths_are_named_as_they_were_given(tmp_path):
    assert paths_in_words("a.txt") == paths_in_words([Path("a.txt")]) == "'a.txt'"
    assert paths_in_words(["a.txt", Path("b/c")]) == "'a.txt', 'b/c'" and paths_in_words([]) == "these files"
    assert "\n" not in paths_in_words(["a\nb"])
    (tmp_path / "humaneval_en.jsonl").write_text(
        '{"task_id": "a", "prompt": "p", "entry_point": "f", "canonical_solution": "x", "test": "t"}\n'
    )
    with pytest.raises(InputError, match=r"no problem in 'fr' in '[^\[]*humaneval_en.jsonl'; name"):
        read_problems([tmp_path / "humaneval_en.jsonl"], languages="fr")
