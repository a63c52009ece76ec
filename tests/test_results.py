import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from small_store import small_store

from latentlang.errors import InputError
from latentlang.results import Provenance, Result


@dataclass(frozen=True)
class _Toy(Result):
    kind: ClassVar[str] = "toy"


def _toy() -> _Toy:
    table = pd.DataFrame({"language": pd.Categorical(["ja", "hi"]), "value": [0.25, 0.5]})
    return _Toy(table, Provenance(model="m", task="t", languages=("ja", "hi"), settings={"shots": 4}))


def test_a_saved_result_comes_back_the_same(tmp_path):
    toy = _toy()
    again = _Toy.load(toy.save(tmp_path / "a" / "b"))
    pd.testing.assert_frame_equal(again.table, toy.table)
    assert again.provenance == toy.provenance


def test_provenance_names_packages_and_time():
    provenance = _toy().provenance
    assert {"python", "torch", "transformers"} <= set(provenance.packages)
    assert provenance.created.startswith("20")


def test_loading_what_is_no_result_says_so(tmp_path):
    with pytest.raises(InputError, match="holds no saved result"):
        _Toy.load(tmp_path)


def test_loading_another_kind_or_a_newer_format_is_refused(tmp_path):
    _toy().save(tmp_path)
    record = json.loads((tmp_path / "metadata.json").read_text())
    (tmp_path / "metadata.json").write_text(json.dumps(record | {"kind": "other"}))
    with pytest.raises(InputError, match="'other' result, not 'toy'"):
        _Toy.load(tmp_path)
    (tmp_path / "metadata.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(InputError, match="newer than"):
        _Toy.load(tmp_path)


def test_a_result_goes_over_its_own_kind_only(tmp_path):
    _toy().save(tmp_path / "toy")
    _toy().save(tmp_path / "toy")  # an older one of its kind is replaced
    other = Result(_toy().table, _toy().provenance)
    with pytest.raises(InputError, match="result of another kind, 'toy', which this would overwrite"):
        other.save(tmp_path / "toy")
    assert _Toy.load(tmp_path / "toy").provenance == _toy().provenance


def test_a_result_never_goes_into_a_store(tmp_path):
    small_store(tmp_path / "store")
    before = {path.name: path.read_bytes() for path in (tmp_path / "store").iterdir() if path.is_file()}
    with pytest.raises(InputError, match="holds an activation store, which this would spoil"):
        _toy().save(tmp_path / "store")
    assert before == {
        path.name: path.read_bytes() for path in (tmp_path / "store").iterdir() if path.is_file()
    }


@pytest.mark.parametrize(
    "record",
    [
        [],
        {"kind": "toy"},
        {"kind": "toy", "format": "two", "provenance": {}},
        {"kind": "toy", "format": 1, "provenance": {"model": "m", "task": "t", "languages": [], "more": 1}},
    ],
)
def test_damaged_metadata_is_an_input_error(tmp_path, record):
    _toy().save(tmp_path)
    (tmp_path / "metadata.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"metadata\.json' is damaged|holds a None result"):
        _Toy.load(tmp_path)


def test_numbers_of_numpy_are_saved_and_what_cannot_be_leaves_the_older_result(tmp_path):
    made = Provenance(
        model="m", task="t", languages=("ja",), seed=np.int64(7), settings={"shots": np.int32(2)}
    )
    _Toy(_toy().table, made).save(tmp_path)
    again = _Toy.load(tmp_path).provenance
    assert (again.seed, again.settings["shots"]) == (7, 2)
    bad = Provenance(model="other", task="t", languages=("ja",), settings={"what": object()})
    with pytest.raises(TypeError, match="object cannot be saved"):
        _Toy(_toy().table.head(1), bad).save(tmp_path)
    kept = _Toy.load(tmp_path)
    assert len(kept.table) == 2 and kept.provenance.model == "m"
