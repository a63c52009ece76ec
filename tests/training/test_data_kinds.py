"""A kind of training data is one class and one registration; recipes and records from before there were kinds open."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from latentlang.cli.train import summary_lines
from latentlang.comparison.training_record import trained_on
from latentlang.errors import InputError
from latentlang.figures.loss import loss_figure
from latentlang.models import HookedLM
from latentlang.storage.documents import Record
from latentlang.training import (
    DataSettings,
    Recipe,
    TrainingData,
    TrainingExample,
    TrainingResult,
    recipe,
    recipe_for,
    train,
    training_data,
)
from latentlang.training.data import base, data_kinds, register
from latentlang.training.data.questions import choose
from latentlang.training.tokenization import TokenizedExamples

SCHEDULE = {
    "batch": 4, "accumulation": 1, "learning_rate": 2e-2, "steps": 2, "evaluations": 1, "validation": 0.25,
}  # fmt: skip


class Echo(DataSettings):
    """A kind of its own: the model is trained to write a word again."""

    kind: Literal["echo"] = "echo"
    words_to_repeat: tuple[str, ...] = ("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht")

    def load(
        self, recipe: base.RecipeParts, *, task: Any = None, data: Any = None
    ) -> TrainingData[TrainingExample]:
        examples = [TrainingExample(word, "de", f"{word} → ", word) for word in data or self.words_to_repeat]
        held = round(recipe.schedule.validation * len(examples))
        return TrainingData(tuple(examples[held:]), tuple(examples[:held]))


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Echo]]:
    """`Echo`, registered for one test."""
    monkeypatch.setattr(base, "_KINDS", dict(base._KINDS))
    yield register(Echo)


def test_one_class_and_one_registration_train_an_adapter(
    echo: type[Echo], model: HookedLM, tmp_path: Path
) -> None:
    chosen = recipe({"name": "say it again", "data": {"kind": "echo"}}, **SCHEDULE)
    assert isinstance(chosen.data, echo) and chosen.epochs is None
    (tmp_path / "mine.yaml").write_text(chosen.yaml(), encoding="utf-8")
    assert recipe(tmp_path / "mine.yaml") == chosen
    assert chosen.changed(words_to_repeat=["neun"]).data == Echo(words_to_repeat=("neun",))
    assert not recipe_for("pocket", chosen, {"end": False}).data.end
    result = train(model, chosen, out=tmp_path / "out")
    assert result.provenance.languages == ("de",) and result.provenance.task == "echo"
    assert result.provenance.settings["pairs"] == {"de": [6, 2]}
    before = (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns
    assert train(model, chosen, out=tmp_path / "out").provenance == result.provenance
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_mtime_ns == before
    assert loss_figure(result).layout.title.text.startswith("<b>Echo: German</b>")
    assert summary_lines(result)[0].startswith(
        "tiny qwen2: say it again, echo: 6 examples to learn from, 2 held out"
    )
    assert dict(trained_on(tmp_path / "out").facts)["trained on"] == "echo, in de"


def test_a_kind_may_say_what_the_loss_counts(echo: type[Echo], model: HookedLM, tmp_path: Path) -> None:
    class Everything(Echo):
        kind: Literal["everything"] = "everything"

        def tokenize(self, model: HookedLM, examples: Sequence[Any], *, cutoff: int) -> TokenizedExamples:
            """The loss counts the input too."""
            tokens = super().tokenize(model, examples, cutoff=cutoff)
            return TokenizedExamples(tokens.input_ids, tokens.input_ids)

    register(Everything)
    counts = {}
    for kind in ("echo", "everything"):
        result = train(model, recipe({"data": {"kind": kind}}, **SCHEDULE), out=tmp_path / kind)
        counts[kind] = result.provenance.settings["tokens"]["train"]
    words = [Echo().words_to_repeat[n] for n in range(2, 8)]
    prompts = sum(map(len, model.encode([f"{word} → " for word in words])))
    assert counts["everything"] == counts["echo"] + prompts


def test_a_record_of_a_kind_that_is_not_known_any_more_opens(
    echo: type[Echo], model: HookedLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(model, recipe({"data": {"kind": "echo"}}, **SCHEDULE), out=tmp_path)
    monkeypatch.setattr(base, "_KINDS", {name: kind for name, kind in base._KINDS.items() if name != "echo"})
    result = TrainingResult.load(tmp_path)
    assert loss_figure(result).layout.title.text.startswith("<b>Echo: German</b>")
    assert dict(trained_on(tmp_path).facts)["trained on"] == "echo, in de"
    with pytest.raises(
        InputError, match=r"unknown kind of training data 'echo'; known: instructions, question-al"
    ):
        recipe(tmp_path / "recipe.yaml")


def test_a_kind_may_say_what_a_saved_record_must_have(
    echo: type[Echo], model: HookedLM, tmp_path: Path
) -> None:
    class Saved(Record):
        words_to_repeat: list[str]

    train(model, recipe({"data": {"kind": "echo"}}, **SCHEDULE), out=tmp_path)
    echo.saved = Saved
    try:
        TrainingResult.load(tmp_path)
        path = tmp_path / "metadata.json"
        record = json.loads(path.read_text())
        del record["provenance"]["settings"]["recipe"]["data"]["words_to_repeat"]
        path.write_text(json.dumps(record))
        with pytest.raises(InputError, match=r"recipe\.data\.words_to_repeat is missing"):
            TrainingResult.load(tmp_path)
    finally:
        del echo.saved


def test_a_record_of_instructions_that_was_damaged_is_one_error(model: HookedLM, tmp_path: Path) -> None:
    examples = [TrainingExample(f"{n}", "de", f"say {n}\n", f"{n}") for n in range(8)]
    told = recipe({"data": {"kind": "instructions"}}, **SCHEDULE)
    result = train(model, told, out=tmp_path, data=examples)
    assert result.provenance.settings["pairs"] == {"de": [6, 2]}
    path = tmp_path / "metadata.json"
    record = json.loads(path.read_text())
    record["provenance"]["settings"]["recipe"]["data"]["template"] = []
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"recipe\.data\.template is \[\] and should be"):
        TrainingResult.load(tmp_path)


def test_a_kind_needs_a_name_of_its_own(echo: type[Echo]) -> None:
    class Nameless(DataSettings):
        def load(self, recipe: Any, **_: Any) -> TrainingData[Any]:
            return TrainingData((), ())

    class Other(Nameless):
        kind: Literal["echo"] = "echo"

    with pytest.raises(TypeError, match="Nameless needs a field kind"):
        register(Nameless)
    with pytest.raises(TypeError, match="the kind 'echo' of training data is Echo already"):
        register(Other)
    assert register(Echo) is Echo and data_kinds()[-1] == "echo"


# Before there were kinds


def test_a_recipe_without_a_kind_is_question_alignment(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(
        "data: {sources: [zh], per_pair: 20}\nschedule: {batch: 8, accumulation: 1}\n", encoding="utf-8"
    )
    old = recipe(path)
    assert old.data.kind == "question-alignment" and old.data.sources == ("zh",)
    assert old == recipe(
        {"name": "old", "data": {"kind": "question-alignment", **old.data.model_dump()}},
        batch=8,
        accumulation=1,
    )
    assert training_data(old).counts() == {"zh-en": (19, 1)}


def test_a_run_from_before_there_were_kinds_is_finished_and_gone_on_from(
    model: HookedLM, small: Recipe, tmp_path: Path
) -> None:
    result = train(model, small, out=tmp_path, steps=2)
    for name in ("run.json", "metadata.json"):
        record = json.loads((tmp_path / name).read_text())
        holder = record if name == "run.json" else record["provenance"]["settings"]
        assert holder["recipe"]["data"].pop("kind") == "question-alignment"
        (tmp_path / name).write_text(json.dumps(record))
    again = train(model, small, out=tmp_path, steps=2)
    assert again.provenance.settings["files"] == result.provenance.settings["files"]
    assert "run again" not in " ".join(again.notes)
    assert loss_figure(again).layout.title == loss_figure(result).layout.title


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (
            [("Le chat dort.", "The cat sleeps.")],
            "zh+es-en",
            r"QuestionPair\(item=, source=, target=, question=, ",
        ),
        (
            {"fr": "en"},
            {"data": {"kind": "instructions", "files": "x"}},
            r"TrainingExample\(id=, language=, input=, ",
        ),
    ],
)
def test_what_is_no_example_is_refused_by_name(given: Any, kind: Any, message: str) -> None:
    with pytest.raises(
        InputError, match=r" is no example to train on; give a latentlang\.training\." + message
    ):
        training_data(recipe(kind), data=given)


def test_a_field_without_its_part_says_where_it_belongs() -> None:
    with pytest.raises(
        InputError, match=r"'target_modules'.*; write it within 'lora': \{'lora': \{'target_modules'"
    ):
        recipe({"target_modules": "all-linear"})


def test_kinds_are_not_mixed_up(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    told = recipe({"name": "mine", "data": {"kind": "instructions", "files": "a.jsonl"}})
    with pytest.raises(
        InputError, match="recipe 'mine' is of kind 'instructions', which has no question translations"
    ):
        choose([], told)
    with pytest.raises(InputError, match="question alignment takes AlignmentData, not TrainingData"):
        train(model, small, out=tmp_path, data=TrainingData((), ()))
    with pytest.raises(InputError, match="come from files, not from a task"):
        training_data(told, task=object())  # type: ignore[arg-type]
