"""What an adapter's folder says of its past."""

import json

import pandas as pd
import pytest

from latentlang.comparison.training_record import trained_on
from latentlang.errors import InputError
from latentlang.provenance import Provenance
from latentlang.training import TrainingResult, recipe


def _record(folder, *, name="zh+es-en", **changes):
    chosen = recipe(name, **changes).model_dump(mode="json")
    data = chosen["data"]
    languages = tuple(data["sources"]) + ((data["target"],) if data["sources"] else ())
    made = Provenance(
        model="pocket", task="sentiment", languages=languages, packages={}, commit=None,
        settings={"recipe": chosen, "steps": 40, "notes": ["a note"], "downloads": ["org/set (en-zh)"]},
    )  # fmt: skip
    table = pd.DataFrame(columns=["step", "epoch", "split", "loss", "learning_rate"])
    TrainingResult(table=table, provenance=made).save(folder)
    (folder / "run.json").write_text(json.dumps({"recipe": chosen}))
    return folder


def test_languages_are_those_of_the_record(tmp_path):
    found = trained_on(_record(tmp_path))
    assert found.languages == ("zh", "es", "en") and found.known and not found.identity
    facts = dict(found.facts)
    assert facts["recipe"] == "zh+es-en" and facts["trained on"] == "sentiment questions, zh, es into en"
    assert facts["downloaded"] == "org/set (en-zh)"
    assert facts["LoRA"] == "rank 8, alpha 16, on q_proj, v_proj"
    assert facts["note"] == "a note" and "learning rate 5e-05" in facts["steps"]


def test_wrong_pairs_are_named(tmp_path):
    assert "wrong pairs" in dict(trained_on(_record(tmp_path, wrong_pairs=True)).facts)["control"]


def test_the_user_has_the_last_word(tmp_path):
    assert trained_on(_record(tmp_path), "German,ja").languages == ("de", "ja")
    with pytest.raises(InputError, match="unknown language"):
        trained_on(tmp_path, "klingonese")


def test_nothing_trained_saw_no_language(tmp_path):
    found = trained_on(_record(tmp_path, name="identity"))
    assert found.identity and found.known and found.languages == ()
    assert dict(found.facts)["training"].startswith("none")


def test_without_a_record_nothing_is_known(tmp_path):
    for adapter in (tmp_path, "someone/adapter", None):
        found = trained_on(adapter)
        assert not found.known and not found.identity and found.languages == ()
    assert trained_on("someone/adapter", "zh").known
