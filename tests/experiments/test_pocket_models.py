"""The shipped weights do what their card says: some of its numbers are measured again."""

import json
import re

import pandas as pd
import pytest

import latentlang as ll
from experiments.pocket import evaluate
from experiments.pocket.card import write_card
from experiments.pocket.criteria import verdicts
from experiments.pocket.splits import concepts_of, held_out_concepts
from experiments.pocket.train import HUBS, MODELS
from latentlang.tasks import WordTask
from latentlang.tasks.words import embedded_concepts

MODEL_NAMES = sorted(HUBS)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return evaluate.kept_tables()


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("place", [3, 20])
def test_a_pair_measured_again_gives_the_cards_numbers(name, place, tables):
    model = ll.load(name)
    source, target = evaluate.language_pairs()[place]
    split = "held-out pair"
    task = WordTask(source=source, only=concepts_of(split, source, target))
    key = {"model": name, "task": "translation", "split": split, "source": source, "language": target}

    def row(kind: str) -> pd.DataFrame:
        table = tables[kind]
        for column, value in key.items():
            table = table[table[column] == value]
        return table

    right = evaluate.written_right(model, task.prompts(target), task)
    assert sum(right) / len(right) == pytest.approx(row("accuracy")["accuracy"].item(), abs=0.011)
    gap = ll.logit_lens(model, task, languages=target).gap().set_index("layer")["mean"]
    card = row("curves").set_index("layer")["gap"]
    assert (gap - card).abs().max() < 5e-3


def test_the_card_is_what_its_tables_make(tables, tmp_path):
    write_card(tables, tmp_path / "CARD.md")
    assert (tmp_path / "CARD.md").read_text(encoding="utf-8") == evaluate.CARD.read_text(encoding="utf-8")


def test_the_card_is_two_screens_and_the_rest_folded():
    card = (MODELS / "CARD.md").read_text(encoding="utf-8")
    opened, closed = (
        re.findall(rf"^{tag}$", card, re.MULTILINE) for tag in ('<details markdown="1">', "</details>")
    )
    assert len(opened) == len(closed) == 10
    first = re.sub(r"<details.*?</details>", "", card, flags=re.DOTALL)
    assert len(first.splitlines()) <= 90 and len(first.split()) <= 1100
    headings = re.findall(r"^## (.+)$", first, re.MULTILINE)
    assert headings == ["Against the criteria", "What not to conclude", "All that was measured"]


def test_the_card_says_of_every_criterion_whether_it_is_met(tables):
    found = verdicts(tables)
    assert set(found["of"]) == {"translation", "sentiment", "control"}
    card = (MODELS / "CARD.md").read_text(encoding="utf-8")
    for row in found.itertuples():
        assert f"| {row.of} | {row.criterion} | {row.bar} | {row.measured:g} | {row.met} |" in card
    translation = found[found["of"] == "translation"].set_index("criterion")["met"]
    assert translation["seen accuracy"] == translation["held out pair accuracy"] == "yes"


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_package_holds_small_safe_weights_and_says_what_was_held_out(name):
    folder = MODELS / name
    assert {p.name for p in folder.iterdir()} == {
        "config.json", "model.safetensors", "split.json", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert sum(p.stat().st_size for p in folder.iterdir()) < 12e6
    split = json.loads((folder / "split.json").read_text())
    assert set(split["held_out_concepts"]) == held_out_concepts()
    assert len(split["languages_without_reviews"]) >= 5


def test_both_models_share_tokenizer_and_recipe():
    for file in ("tokenizer.json", "config.json", "split.json"):
        assert (MODELS / "pocket" / file).read_bytes() == (MODELS / "pocket-control" / file).read_bytes()


def test_most_non_latin_answers_take_two_or_more_tokens():
    model = ll.load("pocket")
    codes = ("zh", "ja", "ru", "bg", "hi", "th", "bn")
    texts = [f'"{c.words[code]}' for code in codes for c in embedded_concepts()]
    empty, *lengths = map(len, model.encode(['"', *texts]))
    assert sum(length - empty > 1 for length in lengths) > 0.75 * len(lengths)
