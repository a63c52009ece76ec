"""What can be downloaded: every file has a place of its own, and the reference paper's tasks are whole."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import latentlang.downloads
from latentlang.downloads import published_set, published_sets
from latentlang.downloads.catalogue import is_sha256
from latentlang.downloads.fetch import BLOCKS_FILE
from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.tasks import few_shot
from latentlang.tasks.labels import KINDS

SPONTANEOUS = published_set("spontaneous")


def test_the_papers_tasks_are_whole():
    places = [file.place for file in SPONTANEOUS.files]
    assert len(places) == len(set(places)) == len({file.path for file in SPONTANEOUS.files})
    assert SPONTANEOUS.groups == (*KINDS, "questions")
    stems = {"sentiment": "emotion_{}500", "nli": "snli_{}600", "paraphrase": "paws_{}500"}
    for name, stem in stems.items():
        own = {file.place for file in SPONTANEOUS.chosen(name) if not file.is_script}
        assert own == {f"{name}/{stem.format(code)}_test.json" for code in GROUPS["paper20"]}
    scripts = {file.path: file.group for file in SPONTANEOUS.files if file.is_script}
    assert {entry.script: entry.task for entry in SPONTANEOUS.scripts} == scripts


def test_hashes_and_sizes_are_known_together():
    for source in published_sets():
        for file in source.files:
            assert (file.size is None) == (file.sha256 == "")
            assert not file.sha256 or is_sha256(file.sha256)
        known = [file.sha256 for file in source.files if file.sha256]
        assert len(known) == len(set(known))
        assert (
            known or not source.commit
        )  # what is pinned by neither changes in its place: its hash is recorded


def test_no_place_leaves_the_folder():
    for file in SPONTANEOUS.files:
        assert len(Path(file.place).parts) == 2 and ".." not in file.place and "\\" not in file.path


def test_an_address_is_pinned_by_the_commit():
    file = SPONTANEOUS.files[0]
    tail = (
        f"/Shimao-Zhang/LLM-Multilingual-Learner/{SPONTANEOUS.commit}/data/ap_emotion/emotion_en500_test.json"
    )
    assert SPONTANEOUS.address(file) == "https://raw.githubusercontent.com" + tail
    assert SPONTANEOUS.address(file, mirror="http://here:8000/gh/") == "http://here:8000/gh" + tail
    assert SPONTANEOUS.address(file, mirror="https://name:word@[::1]:8000").startswith(
        "https://name:word@[::1]:8000/"
    )
    for wrong in (
        "file:///etc", "ftp://x", "here:8000", "http://", "https://[::1", "http://a b", "http://x:99999999", "http://x:y",
        "http://\x1b[31m", "http://x\n/", f"http://{'a' * 3000}",
    ):  # fmt: skip
        with pytest.raises(InputError, match="the mirror must be a web address"):
            SPONTANEOUS.address(file, mirror=wrong)


def test_groups_are_chosen_by_name():
    assert SPONTANEOUS.chosen() == SPONTANEOUS.files
    assert {file.group for file in SPONTANEOUS.chosen("nli, questions")} == {"nli", "questions"}
    assert SPONTANEOUS.chosen(["nli", "questions"]) == SPONTANEOUS.chosen("questions,nli")
    with pytest.raises(InputError, match="unknown group of files 'sentimental'; did you mean 'sentiment'"):
        SPONTANEOUS.chosen("sentimental")
    with pytest.raises(InputError, match="no group of files named; spontaneous has sentiment"):
        SPONTANEOUS.chosen(" ,")
    with pytest.raises(InputError, match="unknown data set 'spontanous'; did you mean 'spontaneous'"):
        published_set("spontanous")


def test_the_tasks_look_for_the_blocks_under_this_name():
    assert BLOCKS_FILE == few_shot.BLOCKS_FILE


def test_the_room_imports_only_what_it_may():
    allowed = (
        "arguments",
        "errors",
        "installing",
        "language_names",
        "paths",
        "progress",
        "results",
        "storage",
        "downloads",
    )
    for path in Path(latentlang.downloads.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latentlang"):
                assert (node.module or "").split(".")[1] in allowed, path


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, latentlang.downloads\n"
        "assert not {'pooch', 'requests', 'torch', 'datasets', 'pandas'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
