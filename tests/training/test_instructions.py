"""Instructions: files, templates, mixture weights and splits, the loss mask to the token, and runs that are resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlang.cli.train import summary_lines
from latentlang.comparison.training_record import trained_on
from latentlang.errors import InputError
from latentlang.figures.loss import loss_figure
from latentlang.instructions import read_dialogues
from latentlang.models import HookedLM
from latentlang.training import (
    Recipe,
    TrainingData,
    TrainingExample,
    TrainingProgress,
    TrainingResult,
    recipe,
    train,
    training_data,
)
from latentlang.training.data.instructions import Instructions
from latentlang.training.tokenization import IGNORED, tokenize_examples
from tests.support.loss_reference import loss_by_hand

NUMBERS = {
    "de": ["eins", "zwei", "drei", "vier"],
    "es": ["uno", "dos", "tres", "cuatro"],
    "en": ["one", "two", "three"],
}
SCHEDULE = {
    "batch": 4, "accumulation": 1, "learning_rate": 2e-2, "steps": 4, "evaluations": 2, "validation": 0.25,
}  # fmt: skip


def records(count: int = 8, languages: tuple[str, ...] = ("de", "es")) -> list[dict[str, Any]]:
    """Parallel items: a number is asked for and told, with an input in every other."""
    return [
        {
            "id": f"n{n}", "language": code, "instruction": f"{NUMBERS[code][n % 3]} {n}?",
            "input": f"{code} {n}" if n % 2 else "", "output": f"{NUMBERS[code][-1]} {n}.",
        }
        for code in languages for n in range(count)
    ]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def instructions(path: Path | None = None, **fields: Any) -> Recipe:
    data = {name: fields.pop(name) for name in list(fields) if name in Instructions.model_fields}
    files = [] if path is None else [str(path)]
    record = {"kind": "instructions", "files": files, **data}
    return recipe({"name": "mine", "data": record}, **{"validation": 0.25, **fields})


def _ids(examples: tuple[TrainingExample, ...], code: str) -> set[str]:
    return {example.id for example in examples if example.language == code}


# Files


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv"])
def test_the_same_records_are_read_from_every_layout(suffix: str, tmp_path: Path) -> None:
    rows = [
        *records(),
        {"id": "q", "language": "German", "instruction": 'Sag "Ja",\tbitte\nnun', "output": "Ja\u2028!"},
    ]
    path = tmp_path / f"mine{suffix}"
    if suffix == ".jsonl":
        write(path, rows)
    elif suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    else:
        pd.DataFrame(rows).to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    read = read_dialogues(path)
    assert [(r.id, r.language, r.instruction, r.input, r.output) for r in read] == [
        (
            row["id"],
            "de" if row["id"] == "q" else row["language"],
            row["instruction"],
            row.get("input", ""),
            row["output"],
        )
        for row in rows
    ]
    assert read_dialogues(tmp_path) == read


def test_an_item_without_an_id_is_told_by_what_is_asked(tmp_path: Path) -> None:
    rows = [{"instruction": "Sag was.", "output": text, "language": "de"} for text in ("a", "b")]
    first, second = read_dialogues(write(tmp_path / "a.jsonl", rows), distinct=False)
    assert first.id == second.id != ""
    other = read_dialogues(write(tmp_path / "a.jsonl", [{**rows[0], "input": "x"}]))[0]
    assert other.id != first.id


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"instruction": "x"}', ["a.jsonl, line 1", "no 'output'", "only instruction"]),
        ("a.jsonl", '{"instruction": "x", "output": "y"}', ["line 1", "no 'language'", "data.languages"]),
        (
            "a.jsonl",
            '{"instruction": "x", "output": "y", "language": "Klingonese"}',
            ["line 1", "'Klingonese'"],
        ),
        ("a.jsonl", '{"instruction": 3, "output": "y", "language": "de"}', ["'instruction' is 3", "a text"]),
        ("a.jsonl", '{"instruction": "x", "output": "y", "language": "de", "id": []}', ["'id' is []"]),
        ("a.jsonl", "[1]", ["line 1", "no object with fields"]),
        ("a.jsonl", '{"instruction": "x"', ["is not JSON"]),
        ("a.json", "{}", ["must hold a list"]),
        ("a.json", "[]", ["no instructions in"]),
        ("a.csv", "instruction,output\nx\n", ["line 2", "1 cells under 2 columns"]),
        ("a.csv", "output,output\nx,y\n", ["two columns of one name"]),
        ("a.csv", 'instruction,output\n"x,y', ["a.csv, line 2", "unexpected end of data"]),
        ("a.txt", "x", ["'.jsonl'"[1:-1], "none of"]),
        ("a.jsonl", "", ["is empty"]),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    name: str, content: str, words: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        training_data(instructions(tmp_path / name))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_records_need_no_language_where_the_recipe_names_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"instruction": f"x{n}", "output": "y"} for n in range(4)])
    assert training_data(instructions(path, languages="Norwegian")).languages() == ("no",)
    with pytest.raises(InputError, match="no 'language'"):
        training_data(instructions(path, languages=["de", "es"]))


# Templates


def test_templates_put_instruction_and_input_where_they_belong() -> None:
    plain = Instructions()
    assert plain.prompt("Zähle.", "1 2") == "Zähle.\n1 2\n" and plain.prompt("Zähle.") == "Zähle.\n"
    alpaca = Instructions(template="alpaca")
    assert alpaca.prompt("Zähle.", "1 2").endswith(
        "### Instruction:\nZähle.\n\n### Input:\n1 2\n\n### Response:"
    )
    assert alpaca.prompt("Zähle.").endswith("### Instruction:\nZähle.\n\n### Response:")
    assert "### Input" not in alpaca.prompt("Zähle.")
    own = Instructions(template="Q: {instruction} ({input})\nA: ")
    # What stands in a text is no placeholder.
    assert own.prompt("{input} {0}", "{instruction}") == "Q: {input} {0} ({instruction})\nA: "
    assert Instructions(template="Q: {instruction}\nA:").prompt("Zähle.", "1 2") == "Q: Zähle.\n1 2\nA:"


# Which examples


def test_parallel_items_are_chosen_and_held_out_together(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", records(40))
    data = training_data(instructions(path, per_language=20))
    for part, count in ((data.train, 15), (data.validation, 5)):
        assert _ids(part, "de") == _ids(part, "es") and len(_ids(part, "de")) == count
    assert data.counts() == {"de": (15, 5), "es": (15, 5)} and data.notes == ()
    again = training_data(instructions(path, per_language=20))
    other = training_data(instructions(path, per_language=20, seed=1))
    assert again == data and again.digest() == data.digest() != other.digest()


@given(sizes=st.lists(st.integers(1, 12), min_size=2, max_size=3), share=st.sampled_from([0.1, 0.25, 0.5]))
@settings(max_examples=40, deadline=None)
def test_every_language_is_held_out_by_its_share_and_no_item_is_on_both_sides(
    sizes: list[int], share: float
) -> None:
    examples = [
        TrainingExample(f"{code}{n}", code, f"{code} {n}\n", "x")
        for code, size in zip(NUMBERS, sizes, strict=False) for n in range(size)
    ]  # fmt: skip
    if all(size == 1 for size in sizes):
        return
    data = training_data(instructions(validation=share), data=examples)
    assert not {e.id for e in data.train} & {e.id for e in data.validation}
    assert {*data.train, *data.validation} == set(examples)
    for code, size in zip(NUMBERS, sizes, strict=False):
        held = len(_ids(data.validation, code))
        assert held == max(round(share * size), 1 if size > 1 else 0)


def test_weights_mix_languages_without_repeating_an_example(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [*records(30, ("de",)), *records(20, ("es",)), *records(9, ("en",))])

    def counts(**fields: Any) -> dict[str, int]:
        return {
            code: sum(both) for code, both in training_data(instructions(path, **fields)).counts().items()
        }

    assert counts() == {"de": 30, "es": 20, "en": 9}
    assert counts(weights={"de": 2, "Spanish": 1}) == {"de": 30, "es": 15}
    assert counts(weights={"de": 1, "es": 1, "en": 1}) == {"de": 9, "es": 9, "en": 9}
    assert counts(weights={"de": 0.3, "es": 0.6}, total=12) == {"de": 4, "es": 8}
    assert counts(weights={"de": 3, "es": 1}, per_language=12) == {"de": 12, "es": 4}
    short = training_data(instructions(path, weights={"de": 1, "es": 1}, total=50))
    assert short.notes == (
        "40 instructions, fewer than the 50 asked for",
        "languages that the recipe does not name are left out: en (9)",
    )[::-1]  # fmt: skip
    # A smaller mixture is part of a larger one.
    small, large = (
        training_data(instructions(path, weights={"de": 1, "es": 1}, total=n, validation=0)) for n in (8, 16)
    )
    assert set(small.train) < set(large.train)
    with pytest.raises(InputError, match="the weights leave no example in Spanish"):
        counts(weights={"de": 100, "es": 1}, total=50)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    rows = [
        *records(4, ("de",)),
        {**records(1)[0], "output": " "},
        records(4, ("de",))[0],
        *records(2, ("en",)),
    ]
    data = training_data(instructions(write(tmp_path / "a.jsonl", rows), languages="de"))
    assert len(data.train) + len(data.validation) == 4
    assert data.notes == (
        "1 record without an instruction or an output left out",
        "languages that the recipe does not name are left out: en (2)",
    )
    with pytest.raises(InputError, match="no instruction has an output"):
        training_data(instructions(write(tmp_path / "b.jsonl", [{**row, "output": ""} for row in records()])))
    with pytest.raises(
        InputError, match=r"wants instructions in French, and the data have none, only de, es"
    ):
        training_data(instructions(write(tmp_path / "c.jsonl", records()), languages="fr,de"))
    with pytest.raises(InputError, match=r"too few to set some aside \(1 instruction\)"):
        training_data(instructions(write(tmp_path / "d.jsonl", records(1, ("de",)))))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"template": "alpacca"}, ["unknown template 'alpacca'", "did you mean 'alpaca'", "{instruction}"]),
        ({"weights": {"de": 0}}, ["the weight of 'de' must be greater than 0"]),
        ({"weights": {"de": 1, "German": 1}}, ["each language may be named once"]),
        ({"weights": {"de": 1}, "languages": ["es"]}, ["weights and languages", "'de'"]),
        ({"total": 3}, ["total goes with weights"]),
        ({"languages": "klingonese"}, ["unknown language 'klingonese'"]),
        ({"sources": ["zh"]}, ["'sources'"]),
        (
            {"kind": "instruction"},
            ["unknown kind of training data 'instruction'", "did you mean 'instructions'"],
        ),
        ({"per_language": 0}, ["data.per_language"]),
    ],
)
def test_a_recipe_that_makes_no_sense_is_one_line(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        recipe({"data": {"kind": "instructions", **fields}})
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_fields_of_another_kind_are_unknown_and_no_file_is_said() -> None:
    with pytest.raises(InputError, match="unknown recipe field 'per_pair'"):
        instructions().changed(per_pair=3)
    with pytest.raises(
        InputError, match=r"names no file of instructions; say data\.files, or give data \(--data\)"
    ):
        training_data(instructions())
    with pytest.raises(InputError, match="cannot be exported"):
        instructions().data.export(TrainingData((), ()), "out", layout="paper")


def test_a_recipe_of_instructions_is_read_back(tmp_path: Path) -> None:
    chosen = instructions(tmp_path / "a.jsonl", weights={"de": 2, "no": 1}, template="alpaca", rank=4)
    path = tmp_path / "mine.yaml"
    path.write_text(chosen.yaml(), encoding="utf-8")
    assert recipe(path) == chosen and chosen.data.kind == "instructions"


def test_an_answer_to_what_is_evaluated_is_refused(tmp_path: Path) -> None:
    asked = {"language": "de", "instruction": 'Ein guter Film.\nEmotion: "', "id": "z"}
    for output in ("positive", 'positiv"'):
        path = write(tmp_path / "a.jsonl", [*records(), {**asked, "output": output}])
        with pytest.raises(
            InputError, match=r"item 'z' \(de\) answers a question that is evaluated: 'positiv"
        ):
            training_data(instructions(path, template="alpaca"))
    path = write(tmp_path / "a.jsonl", [*records(), {**asked, "output": "grün"}])
    assert training_data(instructions(path)).train


# Training


@pytest.mark.parametrize("template", ["plain", "alpaca"])
def test_the_loss_counts_the_output_and_the_end_and_nothing_else(
    any_model: HookedLM, template: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", records())
    data = training_data(instructions(path, template=template, validation=0))
    assert len({len(example.output) for example in data.train}) > 1
    tokens = tokenize_examples(any_model, data.train, cutoff=512)
    end = any_model.tokenizer.eos_token_id
    for example, ids, labels in zip(data.train, tokens.input_ids, tokens.labels, strict=True):
        prompt = any_model.encode([example.input])[0]
        # The prompt's tokens are those of the prompt alone, and none of them is counted.
        assert ids[: len(prompt)] == prompt and labels[: len(prompt)] == [IGNORED] * len(prompt)
        assert labels[len(prompt) :] == ids[len(prompt) :] and ids[-1] == end
        written = any_model.tokenizer.decode(ids[len(prompt) : -1], clean_up_tokenization_spaces=False)
        assert written.strip(" ") == example.output
    assert tokens.counted == sum(
        len(ids) - len(any_model.encode([e.input])[0])
        for e, ids in zip(data.train, tokens.input_ids, strict=True)
    )


def test_a_run_on_instructions_has_a_loss_a_record_and_words(model: HookedLM, tmp_path: Path) -> None:
    chosen = instructions(write(tmp_path / "a.jsonl", records()), **SCHEDULE)
    data = training_data(chosen)
    result = train(model, chosen, out=tmp_path / "out")
    assert result.base_loss == pytest.approx(loss_by_hand(model, data.validation), rel=1e-5)
    assert result.best_loss == pytest.approx(loss_by_hand(result.on(model), data.validation), rel=1e-5)
    assert result.best_loss < result.base_loss - 0.1
    made = result.provenance
    assert (made.task, made.languages) == ("instructions", ("de", "es"))
    assert made.settings["pairs"] == {"de": [6, 2], "es": [6, 2]}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "data.parquet"), data.table())
    assert list(data.table()) == ["split", "language", "id", "input", "output"]

    loaded = TrainingResult.load(tmp_path / "out")
    figure = loss_figure(loaded)
    assert figure.layout.title.text.startswith("<b>Instructions in German and Spanish</b>")
    assert (
        all(name in figure.layout.title.text for name in ("Deutsch", "Español"))
        and "→" not in figure.layout.title.text
    )
    assert "template plain" in figure.layout.title.subtitle.text
    assert "12 instructions, 4 held out" in figure.layout.title.subtitle.text
    shown = [*figure.layout.meta["how_to_read"], *(trace.name for trace in figure.data)]
    assert not any("translation" in text or "question" in text for text in shown)
    record = trained_on(tmp_path / "out")
    assert record.languages == ("de", "es") and record.known
    facts = dict(record.facts)
    assert facts["trained on"] == "instructions, in de, es" and "control" not in facts
    assert summary_lines(loaded)[0].startswith(
        "tiny qwen2: mine, template plain: 12 instructions to learn from, 4 held out"
    )


def test_a_run_on_instructions_goes_on_where_it_was_stopped(model: HookedLM, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", records())
    chosen = instructions(path, **SCHEDULE)
    whole = train(model, chosen, out=tmp_path / "whole")

    def stop(progress: TrainingProgress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, chosen, out=tmp_path / "out", progress=stop)
    resumed = train(model, chosen, out=tmp_path / "out")
    assert resumed.provenance.settings["resumed_from"] == 2
    name = "adapter_model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    pd.testing.assert_frame_equal(resumed.table, whole.table)
    # Other texts are another run.
    write(path, [{**row, "output": f"{row['output']}!"} for row in records()])
    with pytest.raises(InputError, match="holds another run"):
        train(model, chosen, out=tmp_path / "out")


def test_long_instructions_are_left_out_and_called_so(model: HookedLM, tmp_path: Path) -> None:
    rows = [*records(), {**records(1)[0], "id": "long", "instruction": "eins " * 200}]
    chosen = instructions(write(tmp_path / "a.jsonl", rows), **SCHEDULE, cutoff=64)
    result = train(model, chosen, out=tmp_path / "out", steps=1)
    assert "1 instruction is longer than 64 tokens and left out" in result.notes
    with pytest.raises(InputError, match="no training instruction is short enough for a cutoff of 8"):
        train(model, chosen, out=tmp_path / "b", cutoff=8)


def test_the_loss_of_all_counts_the_template_too(model: HookedLM) -> None:
    examples = [
        TrainingExample("1", "de", "Sag eins.\n", "eins"),
        TrainingExample("2", "de", "Sag zwei.\n", "zwei"),
    ]
    answers, every = (
        Instructions(files=("a.jsonl",), loss=loss).tokenize(model, examples, cutoff=64)
        for loss in ("answers", "all")
    )
    assert every.input_ids == answers.input_ids == every.labels
    assert all(IGNORED in labels for labels in answers.labels)
    words = Instructions.words({"template": "plain", "loss": "all"}, languages=["de"], task="")
    assert "write instructions and the outputs" in words.how_to_read
