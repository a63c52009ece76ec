"""Commands whose stores and results lie on another filesystem."""

from __future__ import annotations

import pytest

import latentlang as ll
from latentlang.cli.output_folder import UNFINISHED, OutputFolder
from latentlang.lens import LensResult
from tests.support.object_store import Counted, new_memory, objects, remote
from tests.support.small_store import small_store

HARVEST = ("--lang", "en,ja", "--items", "3", "--pools", "mean", "--layers", "0-2")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))


def test_harvest_and_pca_from_bucket_to_bucket(run, mistral_folder, bucket):
    out = f"{bucket}/of/mine"
    ran = run("harvest", "--model", mistral_folder, *HARVEST, "--out", f"{out}/acts")
    assert (ran.code, ran.err) == (0, ""), ran.err
    assert f"wrote {out}/acts" in ran.out
    assert f"next: latentlang pca {out}/acts" in ran.out
    assert len(ll.open_store(f"{out}/acts")) == 6
    again = run("harvest", "--model", mistral_folder, *HARVEST, "--out", f"{out}/acts")
    assert "all of it was there: nothing was run" in again.out
    sound = run("harvest", "--verify", f"{out}/acts")
    assert "sound: 1 file" in sound.out
    ran = run("pca", f"{out}/acts", "--out", f"{out}/pca")
    assert (ran.code, ran.err) == (0, ""), ran.err
    assert f"wrote {out}/pca/pca.html" in ran.out
    assert {"pca.html", "result.parquet", "metadata.json"} <= set(objects(f"{out}/pca"))
    assert ll.open_result(f"{out}/pca").kind == "pca"
    ran = run("pca", f"{out}/acts", "--out", f"{out}/acts")
    assert ran.code == 2
    assert "holds an activation store, which this would spoil" in ran.err


def test_what_is_finished_of_a_lens_lies_in_the_cache_until_all_is(
    run, mistral_folder, tmp_path, monkeypatch
):
    out = new_memory()
    asked = ("lens", "--model", mistral_folder, "--lang", "ja,de", "--items", "2", "--out", out)
    kept: list[object] = []
    monkeypatch.setattr(
        OutputFolder, "save", lambda self, *_args, **_options: kept.append(self.unfinished) or 1 / 0
    )
    assert run(*asked).code != 0
    (folder,) = kept
    assert folder.is_relative_to(tmp_path / "cache")
    assert {path.name for path in folder.rglob("step.json")}, "its languages"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))
    assert run(*asked).code == 0
    assert not folder.exists()
    assert UNFINISHED not in {path.name for path in remote(out).iterdir()}
    assert set(LensResult.load(out).provenance.languages) >= {"ja", "de"}


def test_a_default_name_is_made_of_a_stores_url(run, tmp_path):
    place = new_memory()
    small_store(place)
    assert run("pca", place).code == 0
    (made,) = (tmp_path / "latentlang-out").iterdir()
    assert made.name.startswith("pca-memory-folder-")


def test_a_place_that_holds_no_store_is_one_line(run):
    ran = run("pca", "counted://nothing")
    assert (ran.code, ran.out) == (2, "")
    assert "'counted://nothing' holds no activation store (there is no manifest.json in it)" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("out", "said"),
    [("s4://bucket/acts", "there is no filesystem s4:// here"), ("counted://mine", "no permission for")],
)
def test_a_place_that_may_not_be_written_is_one_line_before_the_model_is_loaded(
    run, mistral_folder, monkeypatch, out, said
):
    monkeypatch.setattr(Counted, "forbidden", True)
    monkeypatch.setattr(ll.HookedLM, "__init__", lambda *_arguments, **_options: pytest.fail("it was loaded"))
    ran = run("harvest", "--model", mistral_folder, *HARVEST, "--out", out)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "compare", "reproduce"])
def test_commands_that_write_into_a_folder_here_say_so(run, command):
    words = {"train": ("aligned",), "compare": ("pocket", "--lang", "ja"), "reproduce": ()}[command]
    ran = run(command, *words, "--out", "s3://bucket/x")
    assert ran.code == 2
    assert "is not on this machine, and this command writes into a folder here" in ran.err
