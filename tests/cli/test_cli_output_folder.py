"""What a command runs and where its result goes."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.cli.output_folder import OutputFolder, default_folder, joined, plan, slug
from latentlang.errors import InputError
from latentlang.languages import GROUPS
from latentlang.lens import LensResult
from latentlang.provenance import Provenance


def _planned(*arguments, **options):
    return [(task.name, getattr(task, "source", None), codes) for task, codes in plan(*arguments, **options)]


def test_translation_is_from_french_and_french_from_german():
    assert _planned("translation", ["ja", "hi"]) == [("translation", "fr", ["ja", "hi"])]
    assert _planned("translation", ["fr"]) == [("translation", "de", ["fr"])]
    assert _planned("translation", ["de", "fr", "ja"]) == [
        ("translation", "fr", ["de", "ja"]),
        ("translation", "de", ["fr"]),
    ]


def test_a_source_that_is_asked_for_too_is_itself_translated_from_another():
    assert _planned("translation", ["de", "ja"], source="ja") == [
        ("translation", "ja", ["de"]),
        ("translation", "fr", ["ja"]),
    ]
    assert _planned("translation", ["fr", "ja"], source="French") == [
        ("translation", "fr", ["ja"]),
        ("translation", "de", ["fr"]),
    ]


@given(
    st.lists(st.sampled_from(GROUPS["paper20"]), min_size=1, unique=True), st.sampled_from(GROUPS["paper20"])
)
def test_every_language_is_asked_for_once_and_never_from_itself(asked, source):
    if asked == [source]:
        with pytest.raises(InputError, match="same language"):
            plan("translation", asked, source=source)
        return
    runs = plan("translation", asked, source=source)
    assert sorted(code for _, codes in runs for code in codes) == sorted(asked)
    assert all(task.source not in codes for task, codes in runs)


def test_other_tasks_have_no_source():
    assert _planned("sentiment", ["ja", "fr"]) == [("sentiment", None, ["ja", "fr"])]
    with pytest.raises(InputError, match="--from de is for the translation task"):
        plan("repetition", ["ja"], source="de")


@given(st.text(max_size=200))
def test_a_slug_is_short_and_plain(text):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(text))
    assert len(slug(text)) <= 40


@given(st.text(min_size=50, max_size=80), st.text(min_size=50, max_size=80))
def test_slugs_of_cut_texts_differ(one, other):
    assert (slug(one) == slug(other)) == (one == other) or max(len(slug(one)), len(slug(other))) < 8


def test_the_default_folder_is_named_by_the_run(tmp_path):
    def name(model, asked, adapter=None):
        return default_folder(model, task="translation", asked=asked, adapter=adapter).as_posix()

    assert name("pocket", ["ja"]) == "latentlang-out/lens-pocket-translation-ja"
    assert (
        name("pocket", ["Japanese,hi", "PAPER20"]) == "latentlang-out/lens-pocket-translation-ja-hi-paper20"
    )
    assert name("Qwen/Qwen3-8B-Base", ["ja"]) == "latentlang-out/lens-qwen-qwen3-8b-base-translation-ja"
    assert name("pocket", ["ja"], "my/lora") == "latentlang-out/lens-pocket-my-lora-translation-ja"
    (tmp_path / "My Model").mkdir()
    assert name(f"{tmp_path}/My Model/", ["ja"]) == "latentlang-out/lens-my-model-translation-ja"
    options = {"from": "de", "shots": 0, "items": None, "data": "/x/My data.csv"}
    told = default_folder("pocket", task="translation", asked=["ja"], options=options).as_posix()
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


def _result(source, codes):
    rows = [("translation", code, "i", "i", 1, "target", 0.1 * place) for place, code in enumerate(codes)]
    columns = ["task", "language", "item", "label", "layer", "curve", "value"]
    table = pd.DataFrame(rows, columns=columns).astype({"language": "category", "curve": "category"})
    settings = {
        "source": source,
        "accuracy": dict.fromkeys(codes, 0.5),
        "notes": {codes[0]: "a note"},
        "shots": 4,
    }
    return LensResult(table, Provenance("m", "translation", tuple(codes), settings=settings))


def test_joined_results_keep_every_row_in_the_order_asked_for():
    first, second = _result("fr", ["ja", "hi"]), _result("de", ["fr"])
    result = joined([first, second], ["ja", "fr", "hi"])
    assert list(result.table["language"]) == ["ja", "fr", "hi"]
    assert list(result.table["value"]) == [0.0, 0.0, 0.1]
    made = result.provenance
    assert made.languages == ("ja", "fr", "hi")
    assert made.settings["sources"] == {"ja": "fr", "hi": "fr", "fr": "de"}
    assert made.settings["accuracy"] == {"ja": 0.5, "hi": 0.5, "fr": 0.5}
    assert made.settings["notes"] == {"ja": "a note", "fr": "a note"}
    assert made.settings["shots"] == 4
    # the parts are as they were
    assert first.provenance.languages == ("ja", "hi") and "sources" not in first.provenance.settings
    assert joined([first], ["ja", "hi"]) is first
