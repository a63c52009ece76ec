"""Fields of a recipe that say how it is trained: what is kept, how often it is measured, in which order, from where."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import (
    AlignmentData,
    Recipe,
    TrainingProgress,
    TrainingResult,
    recipe,
    train,
    training_data,
)
from latentlang.training.trainer import build_trainer, plan_steps
from tests.support.benchmark_files import write_lines
from tests.support.loss_reference import loss_by_hand

LANGUAGES = ("de", "es", "en")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def steps_of(result: TrainingResult, split: str = "validation") -> list[int]:
    return result.table[result.table["split"] == split]["step"].tolist()


def instructions(path: Path, count: int = 8) -> Path:
    rows = [
        {"id": f"{code}{n}", "language": code, "instruction": f"say {n}", "output": f"{code} {n} " * (1 + n % 3)}
        for code in LANGUAGES for n in range(count)
    ]  # fmt: skip
    return write_lines(path, rows)


def of_instructions(path: Path, **fields: Any) -> Recipe:
    return recipe({"name": "mine", "data": {"kind": "instructions", "files": str(path)}}, **fields)


# keep, evaluations, validation


def test_the_last_weights_are_kept_where_a_recipe_says_so(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    """A learning rate far too high: the validation loss falls, then explodes; both runs are the same but for that."""
    options: dict[str, Any] = {"steps": 12, "evaluations": 4, "learning_rate": 0.3, "progress": False}
    best = train(model, small, out=tmp_path / "best", **options)
    last = train(model, small, out=tmp_path / "last", keep="last", **options)
    assert best.best_step is not None and best.best_step < 12
    assert last.best_step == 12
    pd.testing.assert_frame_equal(best.table, last.table)
    assert last.best_loss == pytest.approx(loss_by_hand(last.on(model), data.validation), rel=1e-4)
    assert last.best_loss > best.best_loss


def test_a_loss_is_measured_after_each_epoch(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    # 18 translations in batches of 4: five steps an epoch
    result = train(model, small, out=tmp_path, steps=None, epochs=3, evaluations="epoch", progress=False)
    assert steps_of(result) == [0, 5, 10, 15]


@pytest.mark.parametrize(
    ("validation", "held"),
    [(0.25, {"de": 2, "es": 2, "en": 2}), (9, {"de": 3, "es": 3, "en": 3}), (2, {"de": 1, "es": 1, "en": 1})],
)
def test_validation_is_a_share_or_a_number_of_examples(
    validation: float, held: dict[str, int], tmp_path: Path
) -> None:
    mine = of_instructions(instructions(tmp_path / "a.jsonl"), validation=validation)
    data = training_data(mine)
    assert {code: counts[1] for code, counts in data.counts().items()} == held


def test_a_number_of_translations_is_held_out(small: Recipe) -> None:
    assert sum(held for _, held in training_data(small.changed(validation=8)).counts().values()) == 8
    with pytest.raises(InputError, match="too few to set some aside"):
        training_data(small.changed(validation=24))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"validation": 1.5}, "schedule.validation: a share is less than 1"),
        ({"validation": 2.5}, "a whole one from 2 on, not 2.5"),
        ({"evaluations": "epochs"}, "schedule.evaluations: a whole number of times, or epoch, not 'epochs'"),
        ({"evaluations": 0}, "schedule.evaluations"),
        ({"keep": "first"}, "schedule.keep"),
        ({"group_by_length": "perhaps"}, "schedule.group_by_length"),
        ({"packing": True, "group_by_length": True}, "packing leaves no padding to save"),
    ],
)
def test_what_makes_no_sense_is_named(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe("zh-en", **fields)
    assert words in str(caught.value)


# Order


def _batches(model: HookedLM, mine: Recipe, folder: Path) -> list[list[list[int]]]:
    from latentlang.training.devices import processes

    data = training_data(mine)
    tokens, held = (mine.data.tokenize(model, part, cutoff=512) for part in (data.train, data.validation))
    trainer = build_trainer(
        copy.deepcopy(model.lm), model.tokenizer, mine, plan_steps(mine, len(tokens), processes()), tokens, held,
        folder=folder, precision="fp32", padding=0, gradient_checkpointing=False, resumed=False, on_event=None,
    )  # fmt: skip
    return [
        [[token for token in row if token] for row in batch["input_ids"].tolist()]
        for batch in trainer.get_train_dataloader()
    ]


def test_one_language_after_the_other(model: HookedLM, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"batch": 4, "accumulation": 1, "validation": 0, "languages": "es,de,en"}
    mine = of_instructions(instructions(tmp_path / "a.jsonl"), **fields, order="sequential")
    rows = [row for batch in _batches(model, mine, tmp_path / "o") for row in batch]
    codes = [model.tokenizer.decode(row).split("say")[1].split()[1] for row in rows]
    assert codes == ["es"] * 8 + ["de"] * 8 + ["en"] * 8


def test_the_default_is_mixed(model: HookedLM, tmp_path: Path) -> None:
    mine = of_instructions(instructions(tmp_path / "a.jsonl"), batch=4, accumulation=1, validation=0)
    rows = [row for batch in _batches(model, mine, tmp_path / "o") for row in batch]
    codes = [model.tokenizer.decode(row).split("say")[1].split()[1] for row in rows]
    assert sorted(codes) == ["de"] * 8 + ["en"] * 8 + ["es"] * 8 and codes != sorted(codes)


def test_examples_of_one_length_come_together(model: HookedLM, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"batch": 4, "accumulation": 1, "validation": 0}
    path = instructions(tmp_path / "a.jsonl", count=24)

    def spread(**more: Any) -> int:
        batches = _batches(model, of_instructions(path, **fields, **more), tmp_path / f"{len(more)}")
        return sum(max(map(len, batch)) - min(map(len, batch)) for batch in batches)

    assert spread(group_by_length=True) < spread() / 2


def test_an_order_and_batches_by_length_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave group_by_length out"):
        of_instructions(tmp_path / "a.jsonl", order="sequential", group_by_length=True)


# Start


def test_training_goes_on_from_an_adapter(
    model: HookedLM, small: Recipe, data: AlignmentData, tmp_path: Path
) -> None:
    first = train(model, small, out=tmp_path / "a", progress=False)
    second = train(
        model, small, out=tmp_path / "b", start=str(tmp_path / "a"), learning_rate=1e-12, progress=False
    )
    # what is measured before training is the adapter's loss, and all but no learning leaves its weights
    assert second.base_loss == pytest.approx(first.best_loss, rel=1e-5)
    for name, tensor in weights(tmp_path / "a").items():
        torch.testing.assert_close(weights(tmp_path / "b")[name], tensor, atol=1e-7, rtol=1e-5)
    assert "continued from" in (tmp_path / "b" / "README.md").read_text(encoding="utf-8")


def test_languages_of_the_first_stage_count_as_seen(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    train(model, small, out=tmp_path / "a", steps=1, progress=False)
    second = train(
        model, small, out=tmp_path / "b", sources="zh", start=tmp_path / "a", steps=1, progress=False
    )
    assert second.provenance.languages == ("zh", "en", "es", "de")


def test_a_start_that_changed_is_another_run(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    train(model, small, out=tmp_path / "a", steps=1, progress=False)
    options: dict[str, Any] = {
        "out": tmp_path / "b",
        "start": str(tmp_path / "a"),
        "steps": 1,
        "progress": False,
    }
    train(model, small, **options)
    train(model, small, out=tmp_path / "a", steps=2, resume=False, progress=False)
    with pytest.raises(InputError, match="holds another run"):
        train(model, small, **options)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rank": 4}, "has rank 8, and the recipe's lora.rank is 4"),
        ({"alpha": 8}, "has alpha 16"),
        ({"target_modules": "q_proj,k_proj,v_proj"}, "target_modules"),
        ({"target_modules": "all-linear"}, "on other modules"),
    ],
)
def test_a_start_of_another_shape_is_refused(
    model: HookedLM, small: Recipe, fields: dict[str, Any], words: str, tmp_path: Path
) -> None:
    train(model, small, out=tmp_path / "a", steps=1, progress=False)
    with pytest.raises(InputError) as caught:
        train(model, small, out=tmp_path / "b", start=str(tmp_path / "a"), steps=1, progress=False, **fields)
    assert words in str(caught.value)


def test_a_start_that_is_none_is_refused(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no adapter"):
        train(model, small, out=tmp_path / "b", start=str(tmp_path / "none"), steps=1)
    train(model, "identity", out=tmp_path / "i", progress=False)
    with pytest.raises(InputError, match="identity"):
        train(model, small, out=tmp_path / "b", start=str(tmp_path / "i"), steps=1)


# Several targets, and runs from before


def test_several_targets_get_an_adapter_each(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    train(model, small, out=tmp_path, target_modules="q_proj,k_proj,v_proj", steps=1, progress=False)
    parts = {name.split(".lora_")[0].rpartition(".")[2] for name in weights(tmp_path)}
    assert parts == {"q_proj", "k_proj", "v_proj"}


def test_a_run_from_before_these_fields_is_the_same_run(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    first = train(model, small, out=tmp_path, steps=1, progress=False)
    record = json.loads((tmp_path / "run.json").read_text())
    for name in ("keep", "group_by_length"):
        del record["recipe"]["schedule"][name]
    del record["recipe"]["start"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    again = train(model, small, out=tmp_path, steps=1, progress=False)
    assert again.provenance == first.provenance  # found finished, not run again


class StoppedError(Exception):
    """What stops a run in a test."""


@pytest.mark.parametrize(
    "fields", [{"order": "sequential"}, {"group_by_length": True}, {"keep": "last"}, {"start": True}]
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    model: HookedLM, fields: dict[str, Any], tmp_path: Path
) -> None:
    mine = of_instructions(
        instructions(tmp_path / "a.jsonl"), batch=4, accumulation=1, steps=10, evaluations=5, validation=0.25
    )
    if "start" in fields:
        train(model, mine, out=tmp_path / "first", seed=7, progress=False)
        fields = {"start": str(tmp_path / "first")}

    def stop(at: TrainingProgress) -> None:
        if at.step == 9:
            raise StoppedError

    whole = train(model, mine, out=tmp_path / "whole", progress=False, **fields)
    with pytest.raises(StoppedError):
        train(model, mine, out=tmp_path / "again", progress=stop, **fields)
    resumed = train(model, mine, out=tmp_path / "again", progress=False, **fields)
    assert resumed.settings.resumed_from == 8 and whole.settings.resumed_from is None
    for name, tensor in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "again")[name], tensor, atol=0, rtol=0)
