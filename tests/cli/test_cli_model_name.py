"""``--name``: what a model in a folder is called in what a command says and writes."""

import json
import shutil

import pytest

import latentlang as ll
from latentlang.models.registry import POCKET_FOLDER

NAME = "my Mistral, step 300"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model in a folder whose name says nothing."""
    path = tmp_path_factory.mktemp("models") / "checkpoint-300"
    shutil.copytree(POCKET_FOLDER / "pocket", path)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("lens", "--lang", "ja", "--items", "2"),
        ("lens", "--prompt", "a b"),
        ("evaluate", "--lang", "de", "--items", "2"),
        ("tokens", "--lang", "de"),
        ("train", "--recipe", "de-en", "--steps", "1", "--per-pair", "4", "--set", "evaluations=1"),
    ],
)
def test_the_shell_takes_a_name(command, folder, run, tmp_path):
    outcome = run(*command, "--model", str(folder), "--name", NAME, "--out", str(tmp_path / "out"))
    assert outcome.code == 0, outcome.err
    told = [line for line in (outcome.out + outcome.err).splitlines() if not line.startswith("next: ")]
    assert not any(str(folder) in line for line in told)
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "out").rglob("*.html")]
    assert pages and all(f"<title>{NAME}" in page for page in pages)
    (record, *_) = (json.loads(path.read_text()) for path in (tmp_path / "out").rglob("metadata.json"))
    assert record["provenance"]["model"] == NAME


def test_the_record_of_a_training_has_the_name_and_the_folder(folder, tmp_path):
    for recipe in ("identity", "de-en"):
        options = {"per_pair": 4, "steps": 1, "evaluations": 1} if recipe == "de-en" else {}
        result = ll.train(str(folder), recipe, out=tmp_path / recipe, name=NAME, progress=False, **options)
        assert result.provenance.model == NAME and result.settings.model_loaded_from == str(folder)
    model = ll.load("pocket")
    with pytest.raises(ll.InputError, match=r"load\(\.\.\., name='mine'\)"):
        ll.train(model, "de-en", out=tmp_path / "other", name="mine")


def test_the_shell_refuses_a_name_that_is_none(folder, run, tmp_path):
    options = ("--model", folder, "--out", tmp_path / "out", "--name")
    outcome = run("lens", "--lang", "ja", *options, "")
    assert outcome.code == 2 and "called in titles" in outcome.err
