"""A saved result is opened without its class; two results are equal or not, and are compared where they can be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pandas as pd
import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.results import Result
from latentlang.saved import RESULT_CLASSES, open_result
from tests.support.lens_standin import lens_result
from tests.support.small_store import small_store, spectral

FORMAT_1 = Path(__file__).parent / "data" / "format1"


def _kinds_of(result_class: type[Result[Any]]) -> list[type[Result[Any]]]:
    return [one for each in result_class.__subclasses__() for one in (each, *_kinds_of(each))]


def test_every_kind_of_result_is_known_by_its_name() -> None:
    for module in walk_packages(ll.__path__, "latentlang."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    classes = {one for one in _kinds_of(Result) if one.__module__.startswith("latentlang.")}
    assert classes == set(RESULT_CLASSES.values()) and len(RESULT_CLASSES) == len(classes)
    assert all(kind == one.kind for kind, one in RESULT_CLASSES.items())


def test_a_result_is_opened_by_its_record(tmp_path: Path) -> None:
    result = lens_result()
    opened = ll.open_result(result.save(tmp_path / "run"))
    assert type(opened) is type(result) and opened == result
    assert type(open_result(str(FORMAT_1 / "among" / "languages"))) is ll.MultilingualLensResult
    assert isinstance(open_result(FORMAT_1 / "compare"), ll.ComparisonResult)


def test_what_is_no_result_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no saved result; activations are opened by ll.open_store"):
        ll.open_result(tmp_path)
    lens_result().save(tmp_path / "run")
    with pytest.raises(InputError, match="in it there are results in 'run'"):
        ll.open_result(tmp_path)
    record = json.loads((tmp_path / "run" / "metadata.json").read_text())
    (tmp_path / "run" / "metadata.json").write_text(json.dumps(record | {"kind": "tokens"}))
    with pytest.raises(
        InputError, match=r"holds 'tokens', which is no result that can be opened; known: .*bits"
    ):
        ll.open_result(tmp_path / "run")
    (tmp_path / "run" / "metadata.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        ll.open_result(tmp_path / "run")


def test_results_are_equal_where_all_of_them_is() -> None:
    result = lens_result()
    other = replace(result, table=result.table.copy())
    assert (result == other) is True and (result != other) is False
    changed = result.table.assign(value=result.table["value"] + 1e-12)
    assert (result == replace(result, table=changed)) is False
    assert (result == replace(result, table=result.table.iloc[:-1])) is False
    assert (result == replace(result, provenance=replace(result.provenance, seed=99))) is False
    listed = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in result.provenance.settings.items()
    }
    assert result == replace(result, provenance=replace(result.provenance, settings=listed))
    assert (result == 3) is False and result in [3, other]
    missing = replace(result, table=result.table.assign(value=np.nan))
    assert missing == replace(missing, table=missing.table.copy())


def test_what_belongs_to_a_result_counts_and_where_it_lies_does_not(tmp_path: Path) -> None:
    store = small_store(
        tmp_path / "store", {1: spectral(72, 8, seed=1)}, languages=["en", "ja", "de"], items=24
    )
    directions = ll.directions(store, progress=False)
    (vectors,) = directions.vectors
    assert directions == ll.open_result(directions.save(tmp_path / "directions"))
    moved = replace(vectors, vectors=vectors.vectors + 1e-9)
    assert (directions == replace(directions, vectors=(moved,))) is False
    assert (directions == replace(directions, vectors=())) is False
    pca = ll.pca(store, progress=False)
    assert pca == replace(pca, explained=pca.explained.copy())
    assert (pca == replace(pca, explained=pca.explained.iloc[:-1])) is False
    shutil.copytree(FORMAT_1 / "compare", tmp_path / "copy")
    one, copy = open_result(FORMAT_1 / "compare"), open_result(tmp_path / "copy")
    assert isinstance(one, ll.ComparisonResult) and one == copy
    assert (one == replace(one, lens=None)) is False
    pd.testing.assert_frame_equal(one.table, copy.table)


@pytest.mark.parametrize("more", [{}, {"out": "here"}])
def test_compare_of_results_names_the_function_that_draws_them(more: dict[str, str]) -> None:
    result = lens_result()
    for given in ([result, result], (result, result), result):
        with pytest.raises(InputError, match=r"ll\.figures\.compare\(\[one, other\]\)"):
            ll.compare(given, **more)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="compare needs out="):
        ll.compare("pocket")  # type: ignore[call-arg]
