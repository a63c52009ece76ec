"""Experiments as data: the shipped ones are whole and cover every printed number; wrong files are named."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError
from latentlang.language_names import GROUPS
from latentlang.reproduction import PUBLISHED_TABLES, load_suite, published
from latentlang.reproduction.experiment_fields import Size
from latentlang.reproduction.kinds.pca import PCAExperiment
from latentlang.reproduction.suites import experiments_folder, suite_names
from latentlang.training import recipe
from tests.support.small_experiments import SPONTANEOUS, write_suite

TABLES = [
    name
    for name, made in load_suite("spontaneous").experiments.items()
    if made.kind in ("accuracy", "pearson")
]


def test_every_table_and_figure_of_the_paper_is_there():
    suite = load_suite("spontaneous")
    assert {name for name in suite.experiments if name.startswith("table")} == set(PUBLISHED_TABLES)
    assert {name for name in suite.experiments if name.startswith("fig")} == {f"fig{n}" for n in range(1, 5)}
    assert {path.stem for path in suite.folder.glob("*.yaml")} == {*suite.experiments, "suite"}


@pytest.mark.parametrize("name", TABLES)
def test_every_printed_number_has_a_cell_and_every_cell_a_printed_number(name):
    made = load_suite("spontaneous").experiments[name]
    printed = published(SPONTANEOUS, name)
    if made.kind == "pearson":
        theirs = set(
            zip(printed.model, printed.layer, printed.one + "-" + printed.other, printed.state, strict=True)
        )
        ours = {
            (model, layer, pair, state)
            for model in made.models for layer in made.layers for pair in made.pairs for state in ("base", "tuned")
        }  # fmt: skip
        assert set(printed.recipe) == set(made.recipes)
    else:
        columns = ("model", "task", "trained_on", "recipe", "answers")
        theirs = set(zip(*(printed[column] for column in columns), strict=True))
        ours = {
            (model, task, "" if way == "base" else made.adapter_task(task), way, answers)
            for model in made.models for task in made.tasks for way in made.recipes for answers in made.answers
        }  # fmt: skip
        wanted = {*made.languages} if made.columns == "language" else {"mean"}
        assert set(printed.language) == wanted
    assert ours == theirs


def test_the_recipes_of_all_experiments_exist():
    for made in load_suite("spontaneous").experiments.values():
        for name in made.recipes:
            assert name == "base" or recipe(name).data.sources


def test_a_group_of_languages_is_the_default():
    assert load_suite("spontaneous").experiments["table1"].languages == GROUPS["paper20"]


@given(st.integers(1, 100), st.lists(st.integers(0, 32), min_size=1, max_size=6))
def test_layers_of_another_model_lie_at_the_same_share_of_its_depth(n_layers, layers):
    made = PCAExperiment(
        name="x", title="x", source="x", kind="pca", models=("mistral",), recipes=("zh-en",),
        layers=(*layers, "last"), depth=32,
    )  # fmt: skip
    found = made.layers_of(n_layers)
    assert len(found) == len(set(found)) and n_layers in found
    assert all(0 <= own <= n_layers for own in found)
    for layer in layers:
        assert min(abs(own - layer * n_layers / 32) for own in found) <= 0.5


def test_the_papers_own_layers_stay_as_they_are():
    assert load_suite("spontaneous").experiments["fig2"].layers_of(32) == [20, 25, 30, 32]


def test_pockets_four_layers_of_the_pca_are_four():
    assert len(load_suite("spontaneous").experiments["fig2"].layers_of(8)) == 4


def test_changes_for_a_task_come_after_those_for_all():
    size = Size(training={"epochs": 3, "rank": 4}, training_of={"nli": {"epochs": 1}})
    assert size.changes("nli") == {"epochs": 1, "rank": 4}
    assert size.changes("sentiment") == {"epochs": 3, "rank": 4}


def test_chosen_are_in_the_papers_order_and_unknown_ones_are_named():
    suite = load_suite("spontaneous")
    assert [made.name for made in suite.chosen(["fig1", " Table2 ", "fig1"])] == ["table2", "fig1"]
    with pytest.raises(InputError, match="unknown figure or table 'fig9'"):
        suite.chosen(["fig9"])
    with pytest.raises(InputError, match="no figure or table was named"):
        suite.chosen([" "])


def test_a_folder_of_ones_own_is_found_and_an_unknown_name_is_not(small, tmp_path):
    assert experiments_folder(str(small)) == small
    assert experiments_folder("small", folder=small.parent) == small
    with pytest.raises(InputError, match=r"unknown set of experiments 'nowhere'; known: .*spontaneous"):
        load_suite("nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "acc.yaml' is not YAML"),
        ("just words", "must hold fields"),
        ("{title: x}", "acc.yaml': source is missing"),
        (
            "{title: x, source: x, kind: lens, models: [a], recipes: [base]}",
            "compares the base model with one recipe",
        ),
        ("{title: x, source: x, kind: pca, models: [a], recipes: [zh-en]}", "needs layers"),
        ("{title: x, source: x, kind: accuracy, models: [a], recipes: ['../etc']}", "is no recipe"),
        (
            "{title: x, source: x, kind: accuracy, models: [a], recipes: [base], tasks: [poetry]}",
            "no task 'poetry'",
        ),
        ("{title: x, source: x, kind: accuracy, models: [a], recipes: [base], languages: [xx]}", "xx"),
        ("{title: x, source: x, kind: accuracy, models: [a], recipes: [base], colour: red}", "colour"),
        (
            "{title: x, source: x, kind: pearson, models: [a], recipes: [b], layers: [40], depth: 32, pairs: [a-b]}",
            "no layer 40 of 32",
        ),
        (
            "{title: x, source: x, kind: pearson, models: [a], recipes: [zh-en], layers: [4], depth: 32, pairs: [en]}",
            "pair 'en' is not two",
        ),
        (
            "{title: x, source: x, kind: pearson, models: [a], recipes: [zh-en], layers: [4], depth: 32}",
            "needs pairs",
        ),
        (
            "{title: x, source: x, kind: accuracy, models: [a], recipes: [base], answers: [en, same]}",
            "several of answers need columns: answers",
        ),
        (
            "{title: x, source: x, kind: lens, models: [a, b], recipes: [zh-en], columns: model}",
            "several of model need columns: model, in a table of accuracies",
        ),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, text, message):
    folder = write_suite(tmp_path / "wrong", acc=text)
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        load_suite(str(folder))


def test_a_file_cannot_give_itself_another_name(tmp_path):
    folder = write_suite(
        tmp_path / "a",
        acc="{name: ../../x, title: x, source: x, kind: accuracy, models: [a], recipes: [base]}",
    )
    assert load_suite(str(folder)).experiments["acc"].name == "acc"


def test_a_missing_file_and_a_name_with_a_path_are_refused(tmp_path):
    folder = write_suite(tmp_path / "a")
    (folder / "acc.yaml").unlink()
    with pytest.raises(InputError, match=r"there is no file .*acc\.yaml"):
        load_suite(str(folder))
    with pytest.raises(InputError, match="is no name of an experiment"):
        load_suite(str(write_suite(tmp_path / "b", suite="{title: x, order: ['../../x']}")))


def test_the_wheel_has_the_experiments_of_every_paper():
    project = tomllib.loads((SPONTANEOUS.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for name in suite_names():
        assert shipped.get(f"experiments/{name}") == f"latentlang/experiments/{name}"


@pytest.mark.parametrize("name", suite_names())
def test_every_papers_folder_is_whole(name):
    suite = load_suite(name)
    listed = {f"{experiment}.yaml" for experiment in suite.experiments} | {"suite.yaml"}
    assert {path.name for path in suite.folder.glob("*.yaml")} == listed
    assert suite.title and all(experiment.source for experiment in suite.experiments.values())
