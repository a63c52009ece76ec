"""What a user calls a model: that name stands in titles, captions and results, and the folder in their provenance."""

import json
import shutil

import pandas as pd
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

import latentlang as ll
from latentlang.answers.vocabulary import tokenizer_name
from latentlang.errors import InputError
from latentlang.figures.header import made_with
from latentlang.lens import LensResult
from latentlang.models import HookedLM
from latentlang.models.registry import POCKET_FOLDER, name_of, resolve

NAME = "my Mistral, step 300"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model in a folder whose name says nothing."""
    path = tmp_path_factory.mktemp("models") / "checkpoint-300"
    shutil.copytree(POCKET_FOLDER / "pocket", path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return ll.load(folder, name=NAME)


def test_titles_and_provenance_say_the_name_and_keep_the_folder(model, folder, tmp_path):
    result = ll.logit_lens(model, "translation", languages="ja", items=2, progress=False)
    assert model.name == result.provenance.model == NAME and model.loaded_from == str(folder)
    assert result.provenance.settings["model_loaded_from"] == str(folder)
    assert result.settings.model_loaded_from == str(folder)
    figure = result.figure().to_json()
    assert NAME in figure and f"model {NAME}" in repr(result)
    assert made_with(result.provenance)[0] == f"model {NAME} ({model.revision}) from {folder}"
    again = LensResult.load(result.save(tmp_path / "saved"))
    assert again.provenance == result.provenance and again.settings.model_loaded_from == str(folder)


def test_numbers_are_those_of_the_model_by_its_folder(model, folder):
    plain = ll.load(folder)
    assert plain.name == plain.loaded_from == str(folder) and "model_loaded_from" not in plain.noted
    one, other = (
        ll.evaluate(of, "sentiment", languages="de", items=4, progress=False).table for of in (model, plain)
    )
    pd.testing.assert_frame_equal(one, other)


def test_a_comparison_of_two_has_both_names(model, folder):
    other = ll.load(folder, name="step 600")
    results = [
        ll.logit_lens(each, "translation", languages="ja", items=2, progress=False) for each in (model, other)
    ]
    layout = ll.figures.compare(results).layout
    drawn = " ".join([layout.title.text, *(note.text for note in layout.annotations)])
    assert NAME in drawn and "step 600" in drawn and "checkpoint-300" not in drawn


def test_a_name_is_for_models_by_any_name_and_its_own_changes_nothing():
    assert resolve("pocket", called="pocket") == resolve("pocket")
    info = resolve("mistral", called="base")
    assert (info.name, info.given, info.hub_id) == ("base", "mistral", resolve("mistral").hub_id)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 81, "bell\a", 3])
def test_a_name_that_cannot_stand_in_a_title_is_refused(name):
    with pytest.raises(InputError, match=r"name=.*what a model is called in titles"):
        ll.load("pocket", name=name)


def test_what_is_trained_on_it_can_be_found_by_others(model, folder, tmp_path):
    trained = ll.train(
        model, "zh-en", out=tmp_path / "adapter", task="sentiment", steps=1, per_pair=20, progress=False
    )
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(folder)
    assert trained.provenance.model == NAME and trained.settings.model_loaded_from == str(folder)
    tuned = ll.load(folder, name="tuned", adapter=tmp_path / "adapter")
    assert not tuned.notes and tuned.name == "tuned"
    assert trained.on(model).loaded_from == str(folder)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (POCKET_FOLDER / "pocket", "pocket"),
        (POCKET_FOLDER / "pocket-control", "pocket-control"),
        (f"/home/me/hub/models--mistralai--Mistral-7B-v0.1/snapshots/{'a1' * 20}", "mistral"),
        (f"/home/me/hub/models--some-lab--some-model/snapshots/{'a1' * 20}", "some-lab/some-model"),
        ("some-lab/some-model", "some-lab/some-model"),
        ("/home/me/pocket", "/home/me/pocket"),
        ("", ""),
    ],
)
def test_a_place_has_the_name_that_models_lists(place, name):
    assert name_of(str(place)) == name


def test_a_model_and_a_tokenizer_that_were_read_by_hand_have_it_too():
    folder = POCKET_FOLDER / "pocket"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer_name(tokenizer) == "pocket"
    assert HookedLM(AutoModelForCausalLM.from_pretrained(folder), tokenizer).name == "pocket"
