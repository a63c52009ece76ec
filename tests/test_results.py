import copy
import json
import os
import random
import resource
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from latentlang.errors import InputError
from latentlang.geometry import PCAResult, pca
from latentlang.provenance import Provenance, _Fields
from latentlang.results import Result
from latentlang.storage.files import PARTIAL
from latentlang.storage.lock import LOCK, FolderLock
from tests.support.children import REFUSED, Child, Inside
from tests.support.lens_standin import lens_result
from tests.support.small_store import small_store


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
    toy = _toy()
    toy.save(tmp_path / "toy")
    toy.save(tmp_path / "toy")  # an older one of its kind is replaced
    other = Result(_toy().table, _toy().provenance)
    with pytest.raises(InputError, match="result of another kind, 'toy', which this would overwrite"):
        other.save(tmp_path / "toy")
    assert _Toy.load(tmp_path / "toy").provenance == toy.provenance


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


def test_what_a_file_does_not_say_is_not_made_up(tmp_path):
    """A provenance without packages is not given today's."""
    _toy().save(tmp_path)
    path = tmp_path / "metadata.json"
    record = json.loads(path.read_text())
    for name in ("packages", "commit", "created"):
        del record["provenance"][name]
    path.write_text(json.dumps(record))
    made = _Toy.load(tmp_path).provenance
    assert (made.packages, made.commit, made.created) == ({}, None, "")


def test_the_file_knows_every_field_of_a_provenance():
    assert set(_Fields.model_fields) == {field.name for field in fields(Provenance)}


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


# Saved over an older one


def _of(language: str, *, rows: int = 2) -> _Toy:
    table = pd.DataFrame({"language": [language] * rows, "value": np.random.default_rng(0).random(rows)})
    return _Toy(table, Provenance(model="m", task="t", languages=(language,), created="then", commit=None))


def _state(folder: Path) -> str:
    """Whose result lies in a folder; "" where `load` refuses it."""
    try:
        found = _Toy.load(folder)
    except InputError as error:
        assert "holds no whole result" in str(error) or "holds no saved result" in str(error)
        return ""
    (language,) = set(found.table["language"])
    assert found.provenance.languages == (language,), "a table beside another one's record"
    return str(language)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_killed_at_random_moments_it_is_the_old_or_the_new_result_or_refused(tmp_path):
    draw = random.Random(0)
    new = _of("ja", rows=30_000)
    for _moment in range(30):
        _of("fr").save(tmp_path)

        def saving(inside: Inside) -> None:
            inside.tick()
            new.save(tmp_path)

        with Child(saving) as child:
            child.kill(ticks=1, seconds=draw.uniform(0, 0.03))
        assert _state(tmp_path) in ("fr", "ja", "")
    new.save(tmp_path)
    assert _state(tmp_path) == "ja"
    assert _names(tmp_path) == ["metadata.json", "result.parquet"], "what the kills left is removed"


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("home", "step"), [(os, "fsync"), (Path, "replace")])
def test_killed_at_every_step_it_is_never_a_table_beside_another_record(tmp_path, home, step, there, hashed):
    seen = []
    for number in range(5):
        folder = tmp_path / str(number)
        if there:
            _of("fr").save(folder)
            if not hashed:  # as versions without hashes wrote it
                path = folder / "metadata.json"
                record = json.loads(path.read_text())
                del record["files"]
                path.write_text(json.dumps(record))

        def dying(_inside: Inside, number: int = number, folder: Path = folder) -> None:
            real, count = getattr(home, step), [0]

            def die(*arguments: object) -> object:
                if count[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                count[0] += 1
                return real(*arguments)

            setattr(home, step, die)
            _of("ja").save(folder)

        with Child(dying) as child:
            killed = child.end()[0] == -signal.SIGKILL
        seen.append(_state(folder))
        assert seen[-1] == "ja" or killed
        _of("hi").save(folder)
        assert _state(folder) == "hi" and _names(folder) == ["metadata.json", "result.parquet"]
    assert seen[0] == ("fr" if there else "") and seen[-1] == "ja"


def test_a_table_beside_another_results_record_is_refused(tmp_path):
    one, other = _of("fr").save(tmp_path / "fr"), _of("ja").save(tmp_path / "ja")
    (one / "result.parquet").write_bytes((other / "result.parquet").read_bytes())
    with pytest.raises(
        InputError, match=r"result.parquet is not the file that metadata.json was written with"
    ):
        _Toy.load(one)


def test_a_result_without_hashes_is_read_as_before(tmp_path):
    path = _toy().save(tmp_path) / "metadata.json"
    record = json.loads(path.read_text())
    assert set(record.pop("files")) == {"result.parquet"}
    path.write_text(json.dumps(record))
    assert len(_Toy.load(tmp_path).table) == 2


@pytest.mark.parametrize(
    "files", [["result.parquet"], {"../other": "0"}, {"/dev/zero": "0"}, {"": "0"}, {"a\0b": "0"}, {"x": 7}]
)
def test_a_list_of_files_that_leads_elsewhere_is_not_followed(tmp_path, files):
    path = _toy().save(tmp_path) / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": files}))
    with pytest.raises(InputError, match=r"its list of files cannot be read|x is missing"):
        _Toy.load(tmp_path)


def _limited(save: Callable[[], object]) -> tuple[int, str]:
    def run(_inside: Inside) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        save()

    with Child(run) as child:
        return child.end()


def test_a_full_disk_leaves_the_older_result(tmp_path):
    _of("fr").save(tmp_path)
    code, said = _limited(lambda: _of("ja", rows=30_000).save(tmp_path))
    assert code == REFUSED and said.startswith("no space left for ")
    assert _state(tmp_path) == "fr" and _names(tmp_path) == ["metadata.json", "result.parquet"]


def test_a_full_disk_leaves_the_older_result_of_several_files(tmp_path):
    old = pca(small_store(tmp_path / "old", items=4), components=2)
    folder = old.save(tmp_path / "out")
    before = {name: (folder / name).read_bytes() for name in _names(folder)}
    # only its last file is too large
    wide = replace(old.bases[0], components=old.bases[0].components.repeat(1, 400))
    code, said = _limited(lambda: replace(old, bases=(wide,)).save(folder))
    assert code == REFUSED and "no space left for" in said and "bases.safetensors" in said
    assert before == {name: (folder / name).read_bytes() for name in _names(folder)}
    pd.testing.assert_frame_equal(PCAResult.load(folder).table, old.table)


# What else lies in the folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.json", "{}"),
        ("metadata.json", '{"title": "my data set"}'),
        ("metadata.json", "[]"),
        ("metadata.json", "not json"),
        ("metadata.json", '{"kind": 7}'),
        ("result.parquet", "my table"),
    ],
)
def test_a_foreign_file_is_named_and_left_alone(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(
        InputError, match=rf"holds '{name}', which was not made by this command and would be overwritten"
    ):
        _toy().save(tmp_path)
    assert (tmp_path / name).read_text() == content and _names(tmp_path) == [name]


def test_a_folder_in_a_files_place_is_named_before_anything_is_written(tmp_path):
    _toy().save(tmp_path)
    (tmp_path / "result.parquet").unlink()
    (tmp_path / "result.parquet").mkdir()
    with pytest.raises(InputError, match=r"result.parquet' is a folder where a file would go"):
        _toy().save(tmp_path)


def test_the_users_own_files_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / f"mine{PARTIAL}").write_text("mine")
    _toy().save(tmp_path)
    _toy().save(tmp_path)
    assert _names(tmp_path) == ["metadata.json", f"mine{PARTIAL}", "notes.txt", "result.parquet"]


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path):
    folder = _toy().save(tmp_path / "out")
    victim = tmp_path / "victim"
    (folder / "result.parquet").rename(victim)
    before = victim.read_bytes()
    (folder / "result.parquet").symlink_to(victim)
    _of("ja").save(folder)
    assert victim.read_bytes() == before and _state(folder) == "ja"


def test_the_umask_is_obeyed(tmp_path):
    before = os.umask(0o077)
    try:
        _toy().save(tmp_path / "out")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert modes == {0o600}


def test_no_two_processes_save_into_one_folder(tmp_path):
    def holding(inside: Inside) -> None:
        with FolderLock(tmp_path):
            inside.pause()

    with Child(holding) as first:
        first.wait_for_pause()
        with pytest.raises(InputError, match=rf"process {first.pid} is writing into"):
            _toy().save(tmp_path)
        assert _names(tmp_path) == [LOCK]
    with FolderLock(tmp_path):
        _toy().save(tmp_path)  # of the process that has the lock
    assert _names(tmp_path) == ["metadata.json", "result.parquet"]


@pytest.mark.parametrize(("name", "here"), [("df", "table"), ("to_pandas", "table"), ("plot", r"figure\(\)")])
def test_a_name_of_another_library_says_what_it_is_here(name, here):
    result = lens_result()
    with pytest.raises(
        AttributeError, match=rf"'LensResult' object has no attribute '{name}'; here it is \.{here}$"
    ):
        getattr(result, name)
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        _ = result.colour
    pd.testing.assert_frame_equal(copy.deepcopy(result).table, result.table)
