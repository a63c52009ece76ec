"""Arms against each other: what is refused, and the cells from the answers against a slow reckoning."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from latentlang.errors import InputError
from latentlang.instructions import write_dialogues
from latentlang.instructions.dialogues import single
from latentlang.reproduction import plan
from latentlang.reproduction.kinds.arms import BEFORE
from latentlang.reproduction.kinds.base import RunContext
from latentlang.reproduction.kinds.training_arms import TrainingArmsExperiment, TrainingArmsKind
from latentlang.reproduction.settings import ReproductionSettings

KIND = TrainingArmsKind()
FIELDS = {
    "name": "fig1", "title": "t", "source": "Figure 1", "kind": "training-arms", "template": "{instruction}",
    "arms": {"many": ["many.jsonl"], "few": ["few.jsonl"]}, "asked": {"facts": ["asked.jsonl"]}, "seeds": [0, 3],
    "recipe": {"steps": 2}, "compare": [["many", "few"], ["few", BEFORE]], "write": {"new_tokens": 4},
}  # fmt: skip


@pytest.fixture
def run(tmp_path) -> RunContext:
    for name, items in (("many", ["a", "b"]), ("few", ["a"]), ("asked", ["c", "d"])):
        dialogues = [
            single(f"{item}/{code}", code, f"{item}?", f"{item}!", group=item)
            for item in items
            for code in ("en", "fr")
        ]
        write_dialogues(tmp_path / f"{name}.jsonl", dialogues)
    return RunContext(folder=tmp_path)


def _experiment(**changes) -> TrainingArmsExperiment:
    return TrainingArmsExperiment(**(FIELDS | changes))


def _answers(step) -> pd.DataFrame:
    """Losses that depend on arm, seed, item and language; French answers of the arm few are in English."""
    arm, seed = (step.training.arm, step.training.seed) if step.training else (BEFORE, 0)
    add = {BEFORE: 2.0, "many": 1.0, "few": 1.5}[arm] + seed / 10
    rows = [
        {
            "set": "facts", "item": item, "language": code, "tokens": 2, "right": code == "en",
            "loss": add + {"c": 0.0, "d": 0.25}[item] + {"en": 0.0, "fr": 0.5}[code],
            "written": "x", "written_in": "en" if arm == "few" else code if item == "c" else "",
        }
        for item in ("c", "d") for code in ("en", "fr")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_steps_are_the_model_before_and_every_arm_and_seed(run):
    steps = KIND.steps(_experiment(), run)
    assert [(step.training.arm, step.training.seed) if step.training else BEFORE for step in steps] == [
        BEFORE, ("many", 0), ("few", 0), ("many", 3), ("few", 3),
    ]  # fmt: skip
    other = RunContext(folder=run.folder, settings=ReproductionSettings(seed=10), model="gemma3-270m")
    step = KIND.steps(_experiment(), other)[1]
    assert step.training.seed == 10 and step.model == step.training.model == "gemma3-270m"


def test_cells_are_means_over_items_and_seeds(run):
    cells = {
        (cell.row, cell.column): cell for cell in KIND.table(_experiment(by_language=True), _answers, run)
    }
    before, many, few = (2.0, 1.0 + 0.15, 1.5 + 0.15)
    for name, mean in ((BEFORE, before), ("many", many), ("few", few)):
        assert cells[name, "facts"].value == pytest.approx(mean + 0.125 + 0.25)
        assert cells[name, "facts, fr"].value == pytest.approx(mean + 0.125 + 0.5)
        assert cells[name, "facts"].n == 2
    assert cells["many less few", "facts"].value == pytest.approx(many - few)
    assert cells["few less before", "facts"].value == pytest.approx(few - before)
    # the arms differ by as much for every item: the interval of the difference has no width, that of a loss has
    assert np.isclose(cells["many less few", "facts"].low, cells["many less few", "facts"].high)
    assert cells["many", "facts"].low < cells["many", "facts"].high
    assert cells["many", "facts, range over seeds"].value == pytest.approx(0.3)
    assert (BEFORE, "facts, range over seeds") not in cells


def test_answers_in_another_language_are_counted_among_those_that_can_be_told(run):
    cells = {(cell.row, cell.column): cell for cell in KIND.table(_experiment(), _answers, run)}
    assert (
        cells["few", "facts, in another language"].value,
        cells["few", "facts, in another language"].n,
    ) == (50, 4)
    assert (
        cells["many", "facts, in another language"].value,
        cells["many", "facts, in another language"].n,
    ) == (0, 2)
    assert cells["few", "facts, right"].value == 50
    alone = KIND.table(_experiment(write=None), _answers, run)
    assert not [cell for cell in alone if "language" in cell.column or "right" in cell.column]


def test_an_item_that_is_learnt_must_not_be_asked(run):
    experiment = _experiment(asked={"facts": ["asked.jsonl"], "learnt": ["few.jsonl"]})
    with pytest.raises(
        InputError, match=r"'learnt' asks what the arm 'many' learns from: 1 item, such as 'a'"
    ):
        KIND.steps(experiment, run)


def test_a_file_that_is_missing_is_named(run):
    with pytest.raises(InputError, match=r"no file 'nothing.jsonl' of instructions"):
        KIND.steps(_experiment(arms={"one": ["nothing.jsonl"]}, compare=[]), run)


def test_files_that_are_missing_are_in_the_caption_each_once_and_nothing_is_computed(run):
    assert KIND.lacks(_experiment(), run) == ""
    lacking = _experiment(
        arms={"many": ["many.jsonl", "more.jsonl"], "few": ["more.jsonl"]}, asked={"facts": ["held.jsonl"]}
    )
    words = KIND.lacks(lacking, run)
    assert (
        words.startswith("the files more.jsonl and held.jsonl of instructions are not there")
        and "--data" in words
    )
    assert KIND.fill(lacking, _answers, run) is None
    assert KIND.caption(lacking, run, None).startswith("Nothing was computed: the files more.jsonl")


def test_a_table_whose_files_are_missing_is_left_out_and_refused_only_where_a_folder_was_named(tmp_path):
    suite = tmp_path / "paper"
    suite.mkdir()
    arms = {name: value for name, value in FIELDS.items() if name not in ("name", "compare")}
    files = {
        "suite": {"title": "A paper", "order": ["arms"]},
        "arms": arms | {"asked": {"facts": ["no-such.jsonl"]}, "published": ""},
    }
    for name, record in files.items():
        (suite / f"{name}.yaml").write_text(yaml.safe_dump(record), encoding="utf-8")
    for name in ("many", "few"):
        write_dialogues(suite / f"{name}.jsonl", [single("a/en", "en", "a?", "a!", group="a")])
    for asked in ({}, {"only": "arms"}, {"data": tmp_path}):
        planned = plan(str(suite), cache=tmp_path / "cache", **asked)
        assert "no-such.jsonl" in planned.tables(cost=False)[0].lacks and not planned.needed
    with pytest.raises(InputError, match=r"no file 'no-such.jsonl' of instructions"):
        plan(str(suite), cache=tmp_path / "cache", only="arms", data=tmp_path)


def test_a_wrong_field_of_the_recipe_is_refused_before_anything_is_run(run):
    with pytest.raises(InputError, match="stepps"):
        KIND.steps(_experiment(recipe={"stepps": 3}), run)


def test_a_field_that_arms_have_by_default_can_be_given(run):
    step = KIND.steps(_experiment(recipe={"steps": 2, "evaluations": 2}), run)[1]
    schedule = json.loads(step.recipe)["schedule"]
    assert (schedule["evaluations"], schedule["keep"]) == (2, "last")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compare": [["many", "lots"]]}, "'lots' is no arm"),
        ({"arms": {BEFORE: ["many.jsonl"]}}, "no arm may be called before"),
        ({"seeds": [1, 1]}, "each seed may be named once"),
        ({"template": "chat"}, "not in the model's chat"),
        ({"write": {"new_tokens": 0}}, "new_tokens"),
    ],
)
def test_fields_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ValidationError) as error:
        _experiment(**changes)
    assert said in str(error.value)
