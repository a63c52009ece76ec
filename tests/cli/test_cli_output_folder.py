"""Where the result of a command goes."""

import re

from hypothesis import given
from hypothesis import strategies as st

from latentlang.cli.output_folder import OutputFolder, default_folder, slug
from latentlang.language_names import GROUPS


@given(st.text(max_size=200))
def test_a_slug_is_short_and_plain(text):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(text))
    assert len(slug(text)) <= 40


@given(st.text(min_size=50, max_size=80), st.text(min_size=50, max_size=80))
def test_slugs_of_cut_texts_differ(one, other):
    assert (slug(one) == slug(other)) == (one == other) or max(len(slug(one)), len(slug(other))) < 8


def test_the_default_folder_is_named_by_the_run(tmp_path):
    def name(model, asked, adapter=None):
        return default_folder(model, task="translation", target_languages=asked, adapter=adapter).as_posix()

    assert name("pocket", ["ja"]) == "latentlang-out/lens-pocket-translation-ja"
    assert (
        name("pocket", ["Japanese,hi", "PAPER20"]) == "latentlang-out/lens-pocket-translation-ja-hi-paper20"
    )
    assert name("Qwen/Qwen3-8B-Base", ["ja"]) == "latentlang-out/lens-qwen-qwen3-8b-base-translation-ja"
    assert name("pocket", ["ja"], "my/lora") == "latentlang-out/lens-pocket-my-lora-translation-ja"
    (tmp_path / "My Model").mkdir()
    assert name(f"{tmp_path}/My Model/", ["ja"]) == "latentlang-out/lens-my-model-translation-ja"
    options = {"from": "de", "shots": 0, "items": None, "data": "/x/My data.csv"}
    told = default_folder("pocket", task="translation", target_languages=["ja"], options=options).as_posix()
    assert told == "latentlang-out/lens-pocket-translation-ja-from-de-shots-0-data-x-my-data-csv"
    everything = name("pocket", list(GROUPS["flores101"]))
    assert len(everything) < 100 and everything != name("pocket", list(GROUPS["flores101"])[:-1])


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    folder = OutputFolder(tmp_path / "a" / "b" / "c")
    assert folder.path.is_dir()
    folder.leave_nothing_empty()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_has_something_stays(tmp_path):
    (tmp_path / "a").mkdir()
    OutputFolder(tmp_path / "a").leave_nothing_empty()
    assert (tmp_path / "a").is_dir()
    folder = OutputFolder(tmp_path / "a" / "b" / "c")
    (tmp_path / "a" / "b" / "other").touch()
    folder.leave_nothing_empty()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["other"]
