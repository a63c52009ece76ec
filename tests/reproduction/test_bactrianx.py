"""`latentlang reproduce bactrianx`: every table, on a tiny random LLaMA and made-up files."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

import latentlang as ll
from latentlang.answers.repeats import repeat_counts
from latentlang.errors import InputError
from latentlang.evaluation import weighted_f1
from latentlang.models import load
from latentlang.reproduction import load_suite, plan, reproduce
from latentlang.reproduction.kinds.choice import ChoiceExperiment
from latentlang.stats.intervals import wilson
from tests.support import tiny
from tests.support.made_bactrianx import SENTIMENT, XCOPA, XWINOGRAD, write_data

COMPUTED = ("table1-ratio", "table5", "table7", "table8")


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> str:
    """A tiny random model of the paper's architecture, with pocket's tokenizer."""
    return tiny.saved_like_pocket(tmp_path_factory.mktemp("llama") / "tiny-llama", "llama")


@pytest.fixture(scope="module")
def data(tmp_path_factory, llama) -> Path:
    languages = load_suite("bactrianx").experiments["table1-ratio"].languages
    return write_data(tmp_path_factory.mktemp("data"), languages, tokenizer=load("pocket").tokenizer)


@pytest.fixture(scope="module")
def done(tmp_path_factory, llama, data):
    folder = tmp_path_factory.mktemp("done")
    planned = plan("bactrianx", model=llama, data=data, cache=folder / "cache")
    return reproduce(planned, out=folder / "out", formats=["html"], progress=False)


def table(done, name: str) -> pd.DataFrame:
    """Computed cells of a table: row and column to what came out."""
    return done.tables[name].table.set_index(["row", "column"])


def test_every_table_is_written_and_a_second_run_computes_nothing(done, llama, data):
    names = {path.name for path in done.files}
    suite = load_suite("bactrianx")
    assert {f"{name}.csv" for name in suite.order} <= names and {"index.html", "README.md"} <= names
    asked = len(XCOPA) + len(XWINOGRAD) + len(SENTIMENT)
    # the same tokenizer in two folders is counted once
    assert sorted(name.split("/")[0] for name in done.ran) == ["choose"] * asked + ["count-tokens"]
    again = plan("bactrianx", model=llama, data=data, cache=done.plan.bench.cache)
    assert all(step.cached for step in again.steps(cost=False))
    assert {name for name, found in done.tables.items() if found.n_computed} == set(COMPUTED)


def test_choices_are_those_of_an_evaluation_with_their_intervals(done, llama, data):
    cells = table(done, "table5")
    own = ll.evaluate(
        llama, ll.task("xcopa", data=data / "xcopa", split="test"), languages="it", progress=False
    )
    row, cell = own.summary().iloc[0], cells.loc["tiny-llama", "it"]
    assert cell["computed"] == pytest.approx(100 * row["accuracy"]) and cell["n"] == 6
    low, high = wilson(int(row["right"]), 6)
    assert (cell["low"], cell["high"]) == pytest.approx((100 * low, 100 * high))
    assert cells.loc["chance", "it"]["computed"] == 50
    right = list(own.table["label"])
    for answer in ("1", "2"):
        assert cells.loc[f"always {answer}", "it"]["computed"] == pytest.approx(100 * right.count(answer) / 6)
    # the files have three of the eleven languages, and their mean is not the paper's average
    assert ("tiny-llama", "Avg") not in cells.index or math.isnan(cells.loc["tiny-llama", "Avg"]["computed"])


def test_models_of_the_paper_keep_their_rows_and_corrections(done):
    cells = table(done, "table7")
    assert cells.loc["LLaMA-13B", "en"]["printed"] == "54.00"
    assert cells.loc["LLaMA-13B", "en"]["reason"] == "hundred-items"
    assert math.isnan(cells.loc["LLaMA-7B", "en"]["computed"])


def test_sentiment_is_scored_by_weighted_f1_beside_constant_answers(done):
    cells = table(done, "table8")
    labels = ["positive", "neutral", "negative", "positive"]
    for name in ("positive", "neutral", "negative"):
        expected = 100 * weighted_f1(labels, [name] * 4)
        assert cells.loc[f"always {name}", "jv"]["computed"] == pytest.approx(expected)
    found = cells.loc["tiny-llama", "id"]
    assert 0 <= found["low"] <= found["computed"] <= found["high"] <= 100
    assert "chance" not in cells.index


def test_the_ratio_is_of_the_same_text_in_every_language(done, data):
    cells, fields = table(done, "table1-ratio"), load_suite("bactrianx").experiments["table1-ratio"]
    assert set(cells.index.get_level_values(0)) == {"BLOOM", "LLaMA", "tiny-llama"}
    counted = ll.fertility(str(data / "tokenizers" / "llama"), data / "udhr", progress=False)
    seen = fields.tokenizers["LLaMA"].seen
    unseen = [code for code in fields.languages if code not in seen]
    ratio, cell = counted.ratio(unseen, seen), cells.loc["LLaMA", "total"]
    assert cell["computed"] == pytest.approx(ratio.ratio)
    assert cell["printed"] == "2.42" and cell["difference"] == pytest.approx(ratio.ratio - 2.42)
    assert cell["reason"] == "other-text" and (cell["n"], len(unseen)) == (3, 37)
    # pocket's tokenizer is the stand-in's, too, whose languages are taken to be LLaMA's
    assert cells.loc["tiny-llama", "total"]["computed"] == cell["computed"]
    assert math.isnan(cells.loc["BLOOM", "total"]["computed"])
    counts = repeat_counts(
        load("pocket").tokenizer, ll.task("continuation", data=data / "udhr").prompts("cs"), size=3
    )
    assert cells.loc["LLaMA", "forbidden, seen"]["n"] == len(seen) and counts["forbidden"].sum() > 0


def test_what_is_missing_is_named_with_how_it_is_got(llama, data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    planned = plan("bactrianx", model=llama, cache=tmp_path)
    assert planned.needed == {}
    lacks = {one.experiment.name: one.lacks for one in planned.tables() if one.lacks}
    assert "--data FOLDER takes them, as they were published, in a folder xcopa" in lacks["table5"]
    assert "latentlang data get udhr" in lacks["table1-ratio"]
    readme = plan("bactrianx", model=llama, data=data, cache=tmp_path).tables()
    said = {one.experiment.name: one for one in readme}
    assert "xstorycloze" in said["table6"].lacks and said["table5"].lacks == ""
    assert "hosted model as judge" in said["figure4"].stands_in


def test_prompts_as_published_are_refused_for_nobody_has_them(llama, data, tmp_path):
    with pytest.raises(InputError, match="table5 has no prompts as published"):
        plan("bactrianx", model=llama, data=data, protocol="as-published", only="table5", cache=tmp_path)


def test_fields_that_cannot_be_are_refused():
    record = {"name": "t", "title": "t", "source": "Table 1", "kind": "choice", "languages": ["en"]}
    with pytest.raises(ValueError, match="no task 'sentiment' with candidates"):
        ChoiceExperiment(**record, task="sentiment", models={"a": {"model": "pocket"}})
    with pytest.raises(ValueError, match="at least 1 item"):
        ChoiceExperiment(**record, task="xcopa", models={})
