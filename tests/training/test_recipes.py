"""Recipes: the paper's numbers, names, files, overrides, and one clear sentence for each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.training import Recipe, recipe, recipe_for, recipe_names
from latentlang.training.data import data_kind, data_kinds
from latentlang.training.hyperparameters import Lora, Schedule
from latentlang.training.recipes import recipes_by_paper

PAPER = ("zh-en", "sw-en", "zh+es-en", "zh+de-en", "zh+it-en", "sw+hi-en", "sw+th-en", "zh+es+ru-en", "zh+de+it-en",
         "ja+it-zh", "sw+hi-zh", "en+ja-zh")  # fmt: skip


def test_the_papers_conditions_and_the_control_are_shipped() -> None:
    of_questions = [name for name in recipe_names() if recipe(name).data.kind == "question-alignment"]
    assert set(of_questions) == {*PAPER, "identity"}
    assert recipe_names() == tuple(name for names in recipes_by_paper().values() for name in names)


@pytest.mark.parametrize("name", PAPER)
def test_a_shipped_recipe_has_the_papers_settings(name: str) -> None:
    found = recipe(name)
    assert f"{'+'.join(found.data.sources)}-{found.data.target}" == found.name == name
    assert found.data.per_pair == 10_000 and found.data.task == "sentiment" and not found.data.wrong_pairs
    lora, schedule = found.lora, found.schedule
    assert (lora.rank, lora.alpha, lora.dropout, lora.target_modules) == (8, 16, 0, ("q_proj", "v_proj"))
    assert (schedule.batch, schedule.learning_rate, schedule.scheduler) == (16, 5e-5, "cosine")
    assert (schedule.warmup, schedule.validation, schedule.cutoff) == (0.1, 0.05, 2048)
    assert found.epochs == 3
    assert found.about


def test_paraphrase_has_one_epoch_as_in_the_paper_unless_told() -> None:
    assert recipe("zh-en", task="paraphrase").epochs == 1
    assert recipe("zh-en", task="paraphrase", epochs=2).epochs == 2
    assert recipe("zh-en", task="nli").epochs == 3


def test_identity_trains_nothing() -> None:
    assert recipe("identity").is_identity
    assert not recipe("zh-en").is_identity
    assert recipe("zh-en", steps=0).is_identity


@pytest.mark.parametrize(
    ("name", "sources", "target"),
    [
        ("fr+ja-en", ("fr", "ja"), "en"),
        ("Chinese+es-English", ("zh", "es"), "en"),
        ("zh-Hant+es-en", ("zh-Hant", "es"), "en"),
        ("ja-zh-Hant", ("ja",), "zh-Hant"),
        ("swh_Latn-en", ("sw",), "en"),
        (" zh-en ", ("zh",), "en"),
    ],
)
def test_any_languages_make_a_recipe(name: str, sources: tuple[str, ...], target: str) -> None:
    found = recipe(name)
    assert (found.data.sources, found.data.target) == (sources, target)
    assert found.name == f"{'+'.join(sources)}-{target}" and found.about


@given(
    st.lists(st.sampled_from(GROUPS["flores101"]), min_size=2, max_size=5, unique=True),
)
def test_a_name_made_of_codes_is_read_back(codes: list[str]) -> None:
    *sources, target = codes
    found = recipe(f"{'+'.join(sources)}-{target}")
    assert (found.data.sources, found.data.target) == (tuple(sources), target)


def test_an_alias_of_a_shipped_recipe_is_the_shipped_one() -> None:
    assert recipe("Chinese+Spanish-English") == recipe("zh+es-en")


@pytest.mark.parametrize("name", [*PAPER, "identity"])
def test_a_recipe_printed_as_yaml_is_read_back(name: str, tmp_path: Path) -> None:
    found = recipe(name, seed=3, target_modules="all-linear")
    path = tmp_path / "mine.yaml"
    path.write_text(found.yaml(), encoding="utf-8")
    assert recipe(path) == recipe(str(path)) == found


def test_a_file_may_be_short_and_takes_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "swahili-first.yml"
    path.write_text(
        "\ufeffdata: {sources: sw, target: Chinese}\nschedule: {learning_rate: 5e-4}\n", encoding="utf-8"
    )
    found = recipe(path)
    assert found.name == "swahili-first"
    assert (found.data.sources, found.data.target, found.schedule.learning_rate) == (("sw",), "zh", 5e-4)


def test_overrides_go_into_the_part_that_has_the_field() -> None:
    found = recipe("zh-en", per_pair=50, rank=4, alpha=8, learning_rate=1e-3, sources="sw,hi", name="mine")
    assert (found.name, found.data.per_pair, found.data.sources) == ("mine", 50, ("sw", "hi"))
    assert (found.lora.rank, found.lora.alpha, found.schedule.learning_rate) == (4, 8, 1e-3)
    assert recipe(found, rank=2).lora.rank == 2
    assert recipe({"data": {"sources": ["zh"]}}, rank=2).lora.rank == 2


def test_steps_and_epochs_take_each_other_back() -> None:
    counted = recipe("zh-en", epochs=2).changed(steps=7)
    assert (counted.schedule.steps, counted.schedule.epochs, counted.epochs) == (7, None, None)
    passed = counted.changed(epochs=2)
    assert (passed.schedule.steps, passed.epochs) == (None, 2)
    with pytest.raises(InputError, match="epochs or steps, not both"):
        recipe("zh-en", epochs=2, steps=7)


@pytest.mark.parametrize("kind", data_kinds())
def test_fields_have_names_of_their_own(kind: str) -> None:
    names = [*data_kind(kind).model_fields, *Lora.model_fields, *Schedule.model_fields, "name", "about"]
    assert len(names) == len(set(names))


def test_a_recipe_cannot_be_changed_in_place() -> None:
    found = recipe("zh-en")
    with pytest.raises(ValidationError):
        found.schedule.seed = 1  # type: ignore[misc]


def test_embedded_models_get_settings_of_their_own_when_a_recipe_is_named() -> None:
    plain = recipe("zh+es-en")
    assert recipe_for("mistral", "zh+es-en") == plain
    small = recipe_for("pocket", "zh+es-en")
    assert small.schedule.learning_rate > 10 * plain.schedule.learning_rate
    assert not small.data.end
    assert small.data.sources == plain.data.sources
    assert small.lora.target_modules == "all-linear" and small.lora.rank > plain.lora.rank
    # What a user says is the last word, and a recipe that is handed over is meant as it stands.
    assert recipe_for("pocket", "zh+es-en", {"learning_rate": 5e-5}).schedule.learning_rate == 5e-5
    assert recipe_for("pocket", plain) == plain
    assert recipe_for("pocket", "identity") == recipe("identity")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"learning_rate": -1}, ["'zh-en'", "schedule.learning_rate", "greater than 0", "-1"]),
        ({"learning_rate": float("nan")}, ["schedule.learning_rate", "finite"]),
        ({"rank": "many"}, ["lora.rank", "integer", "'many'"]),
        ({"batch": 10}, ["batch 10", "4 equal passes"]),
        ({"validation": 1}, ["schedule.validation", "less than 1"]),
        ({"target": "zh"}, ["'zh' is both a source and the target"]),
        ({"sources": ["zh", "Chinese"]}, ["each language may be named once"]),
        ({"sources": "klingonese"}, ["unknown language 'klingonese'"]),
        ({"sources": []}, ["names no language"]),
        ({"mixing": "some"}, ["data.mixing", "'parallel' or 'disjoint'", "'some'"]),
        ({"target_modules": []}, ["name at least one module"]),
        ({"task": "../up"}, ["data.task", "'../up'"]),
        ({"scheduler": "steps"}, ["schedule.scheduler", "'steps'"]),
        ({"learning_rat": 1}, ["learning_rat", "did you mean 'learning_rate'"]),
        ({"rank": 0, "batch": 0}, ["lora.rank", "(and 1 more)"]),
    ],
)
def test_a_value_that_makes_no_sense_is_named(overrides: dict[str, object], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        recipe("zh-en", **overrides)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: {sources: [zh], tsk: nli}", ["'tsk'", "did you mean 'task'"]),
        ("dat: {}", ["'dat'", "did you mean 'data'"]),
        ("data: [1, 2]", ["data", "dictionary"]),
        ("- zh", ["must have fields"]),
        ("data: {sources: [zh", ["is not YAML", "line"]),
        ("data: !!python/object/apply:os.getcwd []", ["is not YAML"]),
        ("data: {sources: [zh], hub: {id: a/b, splt: train}}", ["'splt'"]),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(text: str, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        recipe(path)
    assert "mine.yaml" in str(caught.value) and "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file '.*none\.yaml'"):
        recipe(tmp_path / "none.yaml")
    for typed, near in (
        ("zh+es-em.yaml", "did you mean 'zh+es-en'"),
        ("nowhere.yaml", "`latentlang recipes` lists"),
    ):
        with pytest.raises(InputError, match=rf"there is no file '{re.escape(typed)}'.*{re.escape(near)}"):
            recipe(typed)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.yaml.*is not UTF-8"):
        recipe(binary)


@pytest.mark.parametrize("name", ["zh+es", "identty", "zh+xx-en", "", "-", "+-en"])
def test_an_unknown_name_says_where_to_look(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown recipe.*latentlang recipes"):
        recipe(name)


def test_a_recipe_is_what_its_yaml_says() -> None:
    assert isinstance(recipe("zh-en"), Recipe)
    assert "learning_rate: 5.0e-05" in recipe("zh-en").yaml()


def test_norwegian_is_no_boolean(tmp_path):
    file = tmp_path / "norwegian.yaml"
    file.write_text("data: {sources: [no, sv], target: en}", encoding="utf-8")
    assert recipe(file).data.sources == ("no", "sv")
    file.write_text("data: {sources: no, target: en}", encoding="utf-8")
    assert recipe(file).data.sources == ("no",)
    file.write_text("data: {sources: sv, target: no}", encoding="utf-8")
    assert recipe(file).data.target == "no"
    assert recipe("zh-en", sources=False).data.sources == ("no",)  # as --set sources=no is read


def test_a_name_that_says_the_languages_follows_them():
    changed = recipe("zh+es-en", sources="ja")
    assert (changed.name, changed.about) == ("ja-en", "Japanese questions into English")
    assert recipe("zh+es-en", target="sv").name == "zh+es-sv"
    assert recipe("zh+es-en", sources="zh,es").about == recipe("zh+es-en").about
    assert recipe("zh+es-en", sources="ja", name="mine").name == "mine"
    assert recipe({"name": "own", "data": {"sources": ["zh"]}}, sources="ja").name == "own"
