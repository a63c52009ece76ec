"""The whole way on a tiny random Mistral: tables, figures, pages; run again, stopped, in two processes."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from latentlang.errors import InputError
from latentlang.evaluation import EvaluationResult
from latentlang.reproduction import Reproduction, execution, plan, reproduce
from latentlang.reproduction import pages as pages_module
from latentlang.reproduction.kinds import kind_named
from latentlang.reproduction.step_runner import StepRunner
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import finished_steps
from latentlang.workers import wait_for_workers
from tests.support.killed import assert_all_end, children_of, wait_for_files
from tests.support.small_experiments import SPONTANEOUS, write_suite
from tests.support.warm import WarmProcess, warm_process

QUICK = {"overrides": {"steps": 2, "per_pair": 40}}
FILES = {
    *(f"{name}.{ending}" for name in ("acc", "modes", "pear") for ending in ("csv", "md", "tex")),
    "curves.html", "points.html", "index.html", "README.md",
}  # fmt: skip


@pytest.fixture(scope="module")
def done(small: Path, mistral: str, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """All of the small experiments, run once."""
    folder = tmp_path_factory.mktemp("done")
    planned = plan(str(small), model=mistral, cache=folder / "cache", **QUICK)
    return reproduce(planned, out=folder / "out", formats=["html"])


def test_every_table_and_figure_is_written(done):
    assert {path.name for path in done.files} == FILES
    assert all(path.is_file() for path in done.files)
    assert len(done.ran) == len(done.plan.needed)


def test_a_second_run_runs_nothing_and_writes_the_same(done, small, mistral, tmp_path):
    planned = plan(str(small), model=mistral, cache=done.plan.bench.cache, **QUICK)
    assert all(line.cached for line in planned.steps(cost=False))
    again = reproduce(planned, out=tmp_path / "again", formats=["html"])
    assert again.ran == ()
    for name in ("acc", "modes", "pear"):
        assert (again.folder / f"{name}.csv").read_bytes() == (done.folder / f"{name}.csv").read_bytes()


def test_accuracies_are_those_of_the_steps(done):
    table = pd.read_csv(done.folder / "acc.csv")
    assert set(table.language) == {"en", "de", "sw", "mean"}
    assert set(table.recipe) == {"base", "sw+hi-en"}
    found = {}
    for folder in (done.plan.bench.cache / "evaluate").iterdir():
        asked = json.loads((folder / "step.json").read_text())["options"]
        if asked["answers"] == "en":
            result = EvaluationResult.load(folder)
            name = "base" if result.provenance.adapter is None else result.provenance.adapter.split(",")[0]
            found[name] = result.summary().set_index("language")["accuracy"]
    for row in table[table.language != "mean"].itertuples():
        assert row.ours == pytest.approx(100 * found[row.recipe][row.language], rel=1e-5)
        assert row.low <= row.ours <= row.high
        assert math.isnan(row.paper) and math.isnan(row.difference)


def test_correlations_stand_with_their_nulls(done):
    table = pd.read_csv(done.folder / "pear.csv")
    assert list(zip(table.pair, table.state, strict=True)) == [
        (pair, state) for state in ("base", "tuned") for pair in ("en-de", "de-sw")
    ]
    assert table.ours.between(-1, 1).all() and table.null_mean.abs().max() < 1
    assert (table.layer <= 3).all() and (table.paper_layer == 20).all()


def test_tables_have_their_numbers_in_long_form_too(done):
    run = StepRunner(done.plan.bench)
    for name, row, column, unit in (
        ("acc", "sw+hi-en", "mean", "%"), ("modes", "base", "same", "%"), ("pear", "de-sw", "tuned", "r"),
    ):  # fmt: skip
        experiment = done.plan.suite.experiments[name]
        cells = kind_named(experiment.kind).table(experiment, run.run, done.plan.bench.run)
        table = done.tables[name].table
        (cell,) = [cell for cell in cells if (cell.row, cell.column) == (row, column)]
        assert cell.value in set(table["ours"]) and cell.low <= cell.value <= cell.high and cell.unit == unit
        assert len({(cell.row, cell.column) for cell in cells}) == len(cells)


def test_no_page_says_where_the_cache_lies(done):
    for path in done.files:
        assert str(done.plan.bench.cache) not in path.read_text(encoding="utf-8"), path.name


def test_the_pages_tell_the_same_numbers_as_the_table(done):
    table = pd.read_csv(done.folder / "acc.csv")
    row = table[(table.recipe == "base") & (table.language == "de")].iloc[0]
    line = next(
        text
        for text in (done.folder / "README.md").read_text().splitlines()
        if text.startswith("| base | ours |")
    )
    assert line.split(" | ")[3].strip(" |") == f"{row.ours:.1f}"
    tex = (done.folder / "acc.tex").read_text()
    widths = {text.count("&") for text in tex.splitlines() if text.endswith(r"\\")}
    assert widths == {5} and r"\%" in tex


def test_a_part_of_them_leaves_the_pages_whole(done, small, mistral):
    planned = plan(str(small), model=mistral, only=["curves"], cache=done.plan.bench.cache, **QUICK)
    before = (done.folder / "README.md").read_text(encoding="utf-8")
    reproduce(planned, out=done.folder, formats=["html"])
    assert (done.folder / "README.md").read_text(encoding="utf-8") == before
    assert before.count("\n## ") == 5


def test_an_older_picture_is_not_shown_as_of_this_run(done, small, mistral, tmp_path):
    (tmp_path / "curves.png").write_bytes(b"old")
    planned = plan(str(small), model=mistral, only=["curves"], cache=done.plan.bench.cache, **QUICK)
    made = reproduce(planned, out=tmp_path, formats=["html"])
    assert "curves.png" not in (made.folder / "README.md").read_text(encoding="utf-8")


def test_the_correlations_are_those_of_one_pca_over_all_languages(done):
    """The paper's protocol by hand: one PCA over the languages, mean over all tokens, r over items."""
    import numpy as np

    from latentlang.activations import open_store

    stores = {}
    for folder in (done.plan.bench.cache / "harvest").iterdir():
        opened = open_store(folder / "store")
        stores["tuned" if opened.provenance.adapter else "base"] = opened
    table = pd.read_csv(done.folder / "pear.csv")
    for state, opened in stores.items():
        layer = int(table.layer.iloc[0])
        values = opened.layer(layer, pools="mean").tensor().double().numpy()
        codes = opened.frame()["language"].to_numpy()
        kept = np.isin(codes, ["en", "de", "sw"])
        centred = values[kept] - values[kept].mean(0)
        first = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
        for row in table[table.state == state].itertuples():
            one, other = (first[codes[kept] == code] for code in row.pair.split("-"))
            assert np.corrcoef(one, other)[0, 1] == pytest.approx(row.ours, abs=2e-3)


def test_what_fails_does_not_keep_the_rest_from_being_run(small, mistral, tmp_path, monkeypatch):
    from latentlang.reproduction import step_runner as running

    def fails(*_args: object, **_options: object) -> None:
        raise InputError("the loss is no number")

    monkeypatch.setattr(running, "train", fails)
    planned = plan(str(small), model=mistral, only=["acc"], cache=tmp_path / "cache", **QUICK)
    with pytest.raises(
        InputError, match=r"1 of the groups of steps .*sw\+hi-en: the loss is no number .*what could is kept"
    ):
        reproduce(planned, out=tmp_path / "out", formats=["html"])
    assert list((tmp_path / "cache" / "evaluate").glob("base-*/metadata.json"))
    assert (tmp_path / "out" / "README.md").is_file()


def test_one_cache_has_one_run_at_a_time(done, small, mistral, tmp_path):
    planned = plan(str(small), model=mistral, cache=done.plan.bench.cache, **QUICK)
    with FolderLock(done.plan.bench.cache), pytest.raises(InputError, match="is writing into"):
        reproduce(planned, out=tmp_path, formats=["html"])


def test_a_model_that_arrives_during_the_run_has_one_key(small, mistral, tmp_path, monkeypatch):
    """Before a hub model is there its commit is not known; what was run must be found under the same key after."""
    from latentlang.models import fingerprint
    from latentlang.models.registry import ModelInfo
    from latentlang.reproduction import step_runner as running

    arrived: list[str] = []
    hub = ModelInfo("org/model", "org/model")
    planned = plan(str(small), model=mistral, only=["acc"], cache=tmp_path / "cache", **QUICK)
    for place in (execution, fingerprint):
        monkeypatch.setattr(place, "resolve", lambda _name: hub)
        monkeypatch.setattr(place, "cached_commit", lambda _info: "c0ffee" if arrived else None)
    monkeypatch.setattr(execution, "fetch", lambda *_args, **_options: arrived.append("now"))
    planned = replace(planned, bench=replace(planned.bench, models={mistral: "org/model@main"}))
    made = reproduce(planned, out=tmp_path / "out", formats=["html"])
    assert arrived == ["now"] and len(made.ran) == len(set(made.ran)) == len(planned.needed)
    asked = json.loads(next((tmp_path / "cache" / "evaluate").glob("*/step.json")).read_text())
    assert asked["options"]["model"] == "org/model@c0ffee"
    assert running.is_there(made.plan.bench, made.plan.keys, next(iter(made.plan.needed)))


def test_an_interrupted_run_of_several_processes_stops_at_once(small, mistral, tmp_path):
    cache = tmp_path / "cache"
    words = [
        "reproduce", small, "--model", mistral, "--only", "acc,modes", "--set", "steps=400", "--jobs", "2",
        "--cache", cache, "--out", tmp_path / "out", "--format", "html",
    ]  # fmt: skip
    with (tmp_path / "err").open("wb") as stderr:
        running = WarmProcess("-m", "latentlang", *words, stderr=stderr.fileno())
    wait_for_files(cache, "train/*/checkpoints", count=1, parent=running)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the children too
    code, err = running.wait(), (tmp_path / "err").read_text()
    assert code == 130, err
    assert "interrupted; what was done is kept in" in err and "Traceback" not in err
    assert not list(cache.glob("train/*/adapter_model.safetensors"))


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGTERM,
        *(
            pytest.param(other, marks=pytest.mark.slow("tests/reproduction/test_reproduce.py"))
            for other in (signal.SIGKILL, signal.SIGINT)
        ),
    ],
)
def test_workers_end_with_a_run_that_is_ended_from_outside(small, mistral, tmp_path, how):
    cache = tmp_path / "cache"
    words = [
        "reproduce", small, "--model", mistral, "--only", "acc", "--set", "steps=4000", "--jobs", "2",
        "--cache", cache, "--out", tmp_path / "out", "--format", "html",
    ]  # fmt: skip
    with (tmp_path / "err").open("wb") as stderr:
        running = WarmProcess("-m", "latentlang", *words, stderr=stderr.fileno())
    wait_for_files(cache, "train/*/checkpoints", count=1, parent=running)
    workers = children_of(running.pid)
    assert len(workers) >= 2
    os.kill(running.pid, how)
    running.wait()
    assert_all_end(workers)
    with FolderLock(cache):
        wait_for_workers(cache)
    assert not list(cache.glob("train/*/adapter_model.safetensors"))


@pytest.mark.slow("tests/reproduction/test_reproduce.py")
def test_a_full_disk_leaves_no_step_half_done_and_other_groups_go_on(done, small, mistral, tmp_path):
    cache, out = tmp_path / "cache", tmp_path / "out"
    planned = plan(str(small), model=mistral, only=["acc", "curves"], cache=cache, **QUICK)
    sizes = sorted(path.stat().st_size for path in done.plan.bench.cache.rglob("*") if path.is_file())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    finished = []
    for limit in (100, 5000, sizes[len(sizes) // 2], sizes[-1] // 2):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(InputError, match=r"File too large|could not be (run|written)"):
                reproduce(planned, out=out, formats=["html"])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        for step in finished_steps(cache) if cache.exists() else ():
            if step.startswith("evaluate/"):
                assert len(EvaluationResult.load(cache / step).table)
        assert not [path for path in cache.rglob(".*") if path.name != ".lock"]
        finished.append(len(finished_steps(cache)))
    # What trains needs the largest files; the base model's group does not wait for it.
    assert finished == sorted(finished) and finished[-1] >= 2
    made = reproduce(planned, out=out, formats=["html"])
    assert (made.folder / "acc.csv").read_bytes() == (done.folder / "acc.csv").read_bytes()


@pytest.mark.parametrize("name", ["acc.csv", "curves.html", "README.md", "index.html"])
def test_files_from_elsewhere_are_not_overwritten(done, small, mistral, tmp_path, name):
    (tmp_path / name).write_text("mine")
    planned = plan(str(small), model=mistral, cache=done.plan.bench.cache, **QUICK)
    with pytest.raises(InputError, match=f"holds '{name}', which was not made by this command"):
        reproduce(planned, out=tmp_path, formats=["html"])
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow("tests/reproduction/test_reproduce.py")
def test_two_workers_that_import_everything_themselves_give_the_same_tables(done, small, mistral, tmp_path):
    planned = plan(str(small), model=mistral, only=["acc"], cache=tmp_path / "cache", **QUICK)
    both = reproduce(planned, out=tmp_path / "out", formats=["html"], jobs=2)
    assert (both.folder / "acc.csv").read_bytes() == (done.folder / "acc.csv").read_bytes()


@pytest.mark.slow("tests/reproduction/test_reproduce.py")
def test_two_processes_give_the_same_tables_as_one(done, small, mistral, tmp_path):
    code = (
        "import sys\n"
        "from latentlang.reproduction import plan, reproduce\n"
        "if __name__ == '__main__':\n"
        f"    planned = plan({str(small)!r}, model={mistral!r}, only=['acc'], cache=sys.argv[1], **{QUICK!r})\n"
        "    reproduce(planned, out=sys.argv[2], formats=['html'], jobs=2)\n"
    )
    ended = warm_process("-c", code, tmp_path / "cache", tmp_path / "out")  # its workers begin warm too
    assert ended.code == 0, ended.err
    assert (tmp_path / "out" / "acc.csv").read_bytes() == (done.folder / "acc.csv").read_bytes()


@pytest.mark.slow("tests/reproduction/test_reproduce.py")
def test_a_killed_run_goes_on_and_ends_the_same(done, small, mistral, tmp_path):
    code = (
        "import os, signal, sys, torch; torch.set_num_threads(1)\n"
        "from latentlang.reproduction import plan, reproduce\n"
        "begun = set()\n"
        "def killed_in_the_fourth(step, done, total):\n"
        "    begun.add(step)\n"
        "    if len(begun) == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        f"    planned = plan({str(small)!r}, model={mistral!r}, only=['acc', 'pear'], cache=sys.argv[1], **{QUICK!r})\n"
        "    reproduce(planned, out=sys.argv[2], formats=['html'], progress=killed_in_the_fourth)\n"
    )
    cache, out = tmp_path / "cache", tmp_path / "out"
    assert warm_process("-c", code, cache, out).code == -signal.SIGKILL
    kept = {path.parent: path.stat().st_mtime_ns for path in cache.glob("*/*/result.parquet")}
    assert kept, "it was killed before the first step was done"
    planned = plan(str(small), model=mistral, only=["acc", "pear"], cache=cache, **QUICK)
    after = reproduce(planned, out=out, formats=["html"])
    assert 0 < len(after.ran) < len(planned.needed)
    assert all((folder / "result.parquet").stat().st_mtime_ns == written for folder, written in kept.items())
    for name in ("acc", "pear"):
        assert (out / f"{name}.csv").read_bytes() == (done.folder / f"{name}.csv").read_bytes()


def test_an_outcome_that_was_damaged_is_computed_again(done, small, mistral, tmp_path):
    import shutil

    cache = tmp_path / "cache"
    shutil.copytree(done.plan.bench.cache, cache)
    victim = next((cache / "lens").glob("*/result.parquet"))
    victim.write_bytes(b"not a table")
    planned = plan(str(small), model=mistral, only=["curves"], cache=cache, **QUICK)
    again = reproduce(planned, out=tmp_path / "out", formats=["html"])
    assert [name.split("/")[0] for name in again.ran] == ["lens"]


def test_printed_values_stand_beside_ours_with_the_difference(mistral, tmp_path):
    small = {"table6": "{title: kinds, source: Table 6, kind: accuracy, models: [mistral], recipes: [base],"
             " languages: [en, de], answers: [same, agnostic], columns: answers}"}  # fmt: skip
    folder = write_suite(
        tmp_path / "spontaneous", "{title: x, order: [table6], size: {items: {sentiment: 4}}}", **small
    )
    (folder / "published").mkdir()
    text = (SPONTANEOUS / "published" / "table6.csv").read_text()
    (folder / "published" / "table6.csv").write_text(text)
    planned = plan(str(folder), model=mistral, cache=tmp_path / "cache")
    made = reproduce(planned, out=tmp_path / "out", formats=["html"])
    table = pd.read_csv(made.folder / "table6.csv")
    means = table[table.language == "mean"].set_index("answers")
    assert dict(means.paper) == {"same": 76.86, "agnostic": 50.40}
    assert list(table.difference.dropna()) == pytest.approx(
        list((table.ours - table.paper).dropna()), abs=1e-3
    )
    assert "stands in for mistral" in (made.folder / "README.md").read_text()
    assert "| 76.86 | 50.40 |" in (made.folder / "table6.md").read_text()


def test_without_a_browser_the_pages_are_written_and_one_line_says_why(
    done, small, mistral, tmp_path, monkeypatch
):
    def none(*_args: object, **_options: object) -> None:
        raise InputError("the picture could not be drawn: no browser")

    monkeypatch.setattr(pages_module, "write_picture", none)
    monkeypatch.setattr(pages_module, "check_pictures", lambda: None)
    planned = plan(str(small), model=mistral, cache=done.plan.bench.cache, **QUICK)
    made = reproduce(planned, out=tmp_path / "out", formats=["html", "png", "svg"])
    assert made.notes == ("no pictures: the picture could not be drawn: no browser",)
    assert {path.name for path in made.files} == FILES


def test_a_format_or_number_of_jobs_that_makes_no_sense_is_refused(done, small, mistral, tmp_path):
    planned = plan(str(small), model=mistral, cache=done.plan.bench.cache, **QUICK)
    with pytest.raises(InputError, match="unknown format 'gif'"):
        reproduce(planned, out=tmp_path, formats=["gif"])
    with pytest.raises(InputError, match="jobs must be at least 1, not 0"):
        reproduce(planned, out=tmp_path, jobs=0)


def test_a_paper_is_named_with_the_options_of_its_plan(done, small, mistral, tmp_path):
    planned = done.plan.bench.cache
    named = reproduce(
        str(small),
        model=mistral,
        cache=planned,
        only="acc",
        out=tmp_path,
        formats="html",
        progress=False,
        **QUICK,
    )
    assert named.ran == () and [entry.name for entry in named.plan.experiments] == ["acc"]
    written = (tmp_path / "acc.csv").read_bytes()
    assert written == (done.folder / "acc.csv").read_bytes()
    with pytest.raises(InputError, match="unknown option of reproduce 'modell'; did you mean 'model'"):
        reproduce(str(small), modell=mistral)
    with pytest.raises(InputError, match=r"seed: such options are for plan\(\.\.\.\), which made this plan"):
        reproduce(done.plan, seed=1)
    with pytest.raises(InputError, match="a paper's name or a plan is needed, not 3"):
        reproduce(3)


def test_the_papers_own_models_are_not_run_on_what_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        InputError, match=r"not on this machine: latentlang data get spontaneous .*model='pocket'"
    ):
        reproduce("spontaneous", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_rounds_to_nothing_has_no_sign():
    from latentlang.reproduction.tables import shown_number

    assert shown_number(-0.001, 2) == "0.00" and shown_number(-0.004, 2, signed=True) == "+0.00"
    assert shown_number(-0.006, 2) == "−0.01" and shown_number(float("nan"), 1) == ""


@pytest.mark.slow("tests/reproduction/test_reproduce.py", "tests/reproduction/test_published.py")
def test_the_papers_own_files_go_the_whole_way_on_a_stand_in_for_mistral(mistral, tmp_path):
    only = ["table6", "fig1", "fig2", "table8"]
    planned = plan(
        "spontaneous", model=mistral, only=only, data="embedded", items=10, cache=tmp_path / "cache",
        overrides={"steps": 1, "per_pair": 20},
    )  # fmt: skip
    made = reproduce(planned, out=tmp_path / "out", formats=["html"])
    assert {path.name for path in made.files} >= {
        "table6.csv",
        "table8.csv",
        "fig1.html",
        "fig2.html",
        "index.html",
    }
    table = pd.read_csv(made.folder / "table6.csv")
    means = table[table.language == "mean"]
    assert len(means) == 10 and means.paper.notna().all() and means.ours.between(0, 100).all()
    assert len(table) == 10 * 21  # ten rows of the paper's table, each in 20 languages and on average
    correlations = pd.read_csv(made.folder / "table8.csv")
    assert len(correlations) == 18 and correlations.paper.notna().all()
    assert "stands in for mistral" in (made.folder / "README.md").read_text(encoding="utf-8")
