"""A call shared out over workers that are killed, fail and are slow: the result is that of one machine."""

from __future__ import annotations

import errno
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import latentlang as ll
from latentlang.activations import harvesting, writer
from latentlang.cluster import driver as driving
from latentlang.cluster import run as running
from latentlang.cluster.calls import PARTS, call_of
from latentlang.cluster.driver import Driver
from latentlang.cluster.records import ClusterJob, sent
from latentlang.errors import InputError
from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.object_store import files, new_memory, objects
from tests.support.parallel import PARAGRAPHS
from tests.support.stores import Stop, contents
from tests.support.worker_pool import AFTER, BEFORE, NEVER, FakePool

TASK = {"items": 4, "shots": 1}
LANGUAGES = ["ja", "de", "fr", "hi"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.saved_like_pocket(tmp_path_factory.mktemp("model"), "mistral")


def options_of(call: str) -> dict[str, Any]:
    """The options of a small call."""
    lens = {"task": ll.task("translation"), "languages": LANGUAGES, **TASK}
    return {
        "harvest": {
            "prompts": ll.task("sentiment"), "languages": LANGUAGES, "shard_bytes": 5 * 4 * 3 * 32 * 4, **TASK,
        },
        "lens": lens,
        "evaluate": {"task": [ll.task("sentiment"), ll.task("nli")], "languages": LANGUAGES[:2], **TASK},
        "neurons": {"texts": PARAGRAPHS, "groups": 4, "deals": 20, "tokens": "shared"},
    }[call]  # fmt: skip


def alone(call: str, model: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """What one machine makes: the bytes of all files."""
    options = {**options_of(call), **changes}
    lm = ll.load(model)
    return made(call, lm, options, folder)


def made(call: str, lm: Any, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The files of a call's result, which is put together of what is in a folder."""
    if call == "harvest":
        ll.harvest(lm, options["prompts"], out=folder, **without(options, "prompts"))
        for path in (folder / "logs").glob("*"):
            path.unlink()
        if (folder / "logs").exists():
            (folder / "logs").rmdir()
        return contents(folder)
    result: Any
    if call == "lens":
        result = ll.logit_lens(lm, options["task"], resume=folder, **without(options, "task"))
    elif call == "evaluate":
        result = ll.evaluate(lm, options["task"], resume=folder, **without(options, "task"))
    else:
        result = ll.neurons(lm, options["texts"], out=folder, **without(options, "texts"))
    return contents(result.save(folder / "result"))


def without(options: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}


def job_of(call: str, model: str, folder: Path, **changes: Any) -> ClusterJob:
    folder.mkdir(exist_ok=True)
    options = {name: sent(value) for name, value in {**options_of(call), **changes}.items()}
    return ClusterJob(call, model, {}, False, options, str(folder), str(folder / "logs"), str(Path.cwd()), 1)


def drive(
    pool: FakePool, job: ClusterJob, *, workers: int = 3, clock: Callable[[], float] | None = None
) -> tuple[list[tuple[int, int]], list[str]]:
    """Run a job; gives what was reported and what was told."""
    reports: list[tuple[int, int]] = []
    told: list[str] = []
    how = {} if clock is None else {"clock": clock}
    Driver(
        pool, job, workers=workers, report=lambda *report: reports.append(report), tell=told.append, **how
    ).run()
    return reports, told


@pytest.fixture
def never_runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called no model runs."""

    def refuse(*_args: Any, **_options: Any) -> None:
        raise AssertionError("the model is run")

    def begin() -> None:
        monkeypatch.setattr("latentlang.models.forward.Runner.run_batch", refuse)
        monkeypatch.setattr("latentlang.activations.harvesting.ShardWriter", refuse)

    return begin


@pytest.mark.parametrize("call", ["harvest", "lens", "evaluate", "neurons"])
def test_the_result_is_that_of_one_machine_though_workers_are_killed(call, model, tmp_path, never_runs):
    expected = alone(call, model, tmp_path / "alone")
    drawn = random.Random(call)
    kills: list[str] = []

    def fate(_number: int, method: str, _arguments: Any, _count: int) -> str | None:
        if len(kills) < 12 and method in ("run", "load") and drawn.random() < 0.5:
            kills.append(method)
            return drawn.choice([BEFORE, AFTER])
        return None

    pool = FakePool(fate)
    reports, told = drive(pool, job_of(call, model, tmp_path / "shared"))
    assert kills and len(told) == len(kills)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert reports[-1][0] == reports[-1][1] > 0
    assert (
        not list((tmp_path / "shared").glob(".latentlang-*")) and not (tmp_path / "shared" / PARTS).exists()
    )
    logs = "".join(path.read_text() for path in (tmp_path / "shared" / "logs").glob("worker-*.log"))
    assert "begun, " in logs and "done in " in logs
    lm = ll.load(model)
    never_runs()
    assert made(call, lm, options_of(call), tmp_path / "shared") == expected


class Apart(FakePool):
    """Workers that do not see the folder of the job, nor anything else in its place."""

    def ask(self, number: int, method: str, *arguments: Any) -> None:
        super().ask(number, method, *map(self._elsewhere, arguments))

    @staticmethod
    def _elsewhere(argument: Any) -> Any:
        return replace(argument, folder=f"{__file__}/none") if isinstance(argument, ClusterJob) else argument


@pytest.mark.parametrize("call", ["lens", "evaluate", "neurons"])
def test_workers_that_see_no_folder_send_what_they_did(call, model, tmp_path, never_runs):
    expected, lost = alone(call, model, tmp_path / "alone"), []

    def fate(_number: int, method: str, _arguments: Any, _count: int) -> str | None:
        if method == "run" and len(lost) < 2:
            lost.append(method)
            return AFTER
        return None

    job = replace(job_of(call, model, tmp_path / "mine"), shared=False)
    drive(Apart(fate), job)
    assert lost and not (tmp_path / "mine" / PARTS).exists()
    lm = ll.load(model)
    never_runs()
    # what is finished is sent to who would do it again
    again = Apart()
    drive(again, job)
    assert again.ran
    assert made(call, lm, options_of(call), tmp_path / "mine") == expected


def test_a_unit_prepares_its_own_language_alone(model, tmp_path, monkeypatch):
    import latentlang.lens.with_candidates as home

    asked: list[Any] = []
    prompts_of = home.prompts_of

    def noted(task: Any, languages: Any, **options: Any) -> Any:
        asked.append(languages)
        return prompts_of(task, languages, **options)

    monkeypatch.setattr(home, "prompts_of", noted)
    drive(FakePool(), job_of("lens", model, tmp_path / "shared"), workers=1)
    assert asked == [[code] for code in LANGUAGES]


@pytest.mark.parametrize(("tokens", "times"), [("all", 2), ("inside", 2), ("shared", 8)])
def test_counting_prepares_other_languages_only_where_they_decide_what_counts(
    tokens, times, model, tmp_path, monkeypatch, never_runs
):
    asked: Counter[str] = Counter()
    tokenize = HookedLM.tokenize

    def noted(lm: HookedLM, prompts: Any) -> Any:
        asked.update(prompt.text for prompt in prompts)
        return tokenize(lm, prompts)

    with monkeypatch.context() as patch:
        patch.setattr(HookedLM, "tokenize", noted)
        drive(FakePool(), job_of("neurons", model, tmp_path / "shared", tokens=tokens), workers=1)
    assert set(asked.values()) == {times} and len(asked) == 20
    lm, how = ll.load(model), {**without(options_of("neurons"), "texts"), "tokens": tokens}
    expected = ll.neurons(lm, PARAGRAPHS, **how)
    never_runs()
    assert ll.neurons(lm, PARAGRAPHS, out=tmp_path / "shared", **how).table.equals(expected.table)


def test_what_a_language_alone_cannot_is_run_beside_the_others(tmp_path):
    from latentlang.cluster.calls import LanguageCall
    from latentlang.cluster.records import Unit
    from latentlang.models.finished_languages import LanguagePartDone

    asked: list[Any] = []

    def call(_model: Any, *, languages: Any, resume: Any, progress: Any) -> None:
        asked.append(languages)
        if len(languages) < 2:
            raise InputError("no answer can be chosen")
        raise LanguagePartDone

    spread = LanguageCall(call, "task", "resume", lambda _options: [], "reading")
    given: Any = {"languages": ["ja", "de"]}
    spread.run(None, given, tmp_path, Unit("ja", 1, language="ja"), tmp_path, {}, print)  # type: ignore[arg-type]
    assert asked == [["ja"], ["ja", "de"]]


def test_a_store_whose_manifest_somebody_changed_is_not_written_into(model, tmp_path):
    folder = tmp_path / "shared"

    def fate(_number: int, method: str, _arguments: Any, count: int) -> str | None:
        manifest = folder / "manifest.json"
        if method == "run" and count == 1:
            record = json.loads(manifest.read_text())
            record["shards"] = record["shards"][:1]
            record["prompts"]["rows"] = record["shards"][0]["rows"]
            manifest.write_text(json.dumps(record))
        return None

    with pytest.raises(InputError, match=r"replaced by another process|is damaged"):
        drive(FakePool(fate), job_of("harvest", model, folder), workers=1)


def test_a_log_that_cannot_be_written_does_not_end_the_work(model, tmp_path):
    job = replace(job_of("lens", model, tmp_path / "shared"), logs=f"{__file__}/logs")
    pool = FakePool()
    drive(pool, job, workers=1)
    assert [name for name, _ in pool.ran] == LANGUAGES


def test_candidates_and_whole_answers_are_shared_out_too(model, tmp_path, never_runs):
    from latentlang.lens.with_candidates import lens_with_candidates

    changes = {"candidates": ["ja", "en", "fr"], "policy": "sequence", "items": 2, "layers": [1, 3]}
    drive(FakePool(), job_of("lens", model, tmp_path / "shared", **changes))
    options = {**options_of("lens"), **changes}
    task = options.pop("task")
    lm = ll.load(model)
    pair, everyone = lens_with_candidates(lm, task, **options)
    assert everyone is not None
    expected = [one.result().save(tmp_path / name) for one, name in ((pair, "pair"), (everyone, "all"))]
    never_runs()
    pair, everyone = lens_with_candidates(lm, task, resume=tmp_path / "shared", **options)
    assert everyone is not None
    for one, folder in zip((pair, everyone), expected, strict=True):
        assert contents(one.result().save(tmp_path / "again" / folder.name)) == contents(folder)


def test_a_store_on_another_filesystem_is_that_of_one_machine(model, tmp_path, never_runs):
    options = options_of("harvest")
    here = ll.harvest(
        ll.load(model), options["prompts"], out=tmp_path / "alone", **without(options, "prompts")
    )
    place, lost = new_memory(), []

    def fate(_number: int, method: str, _arguments: Any, count: int) -> str | None:
        if method == "run" and count in (1, 2) and len(lost) < 2:
            lost.append(count)
            return AFTER
        return None

    given = {name: sent(value) for name, value in options.items()}
    job = ClusterJob("harvest", model, {}, False, given, place, str(tmp_path / "logs"), str(Path.cwd()), 1)
    pool = FakePool(fate)
    drive(pool, job)
    assert len(lost) == 2 and len({number for _, number in pool.ran}) > 1
    lm = ll.load(model)
    never_runs()
    ll.harvest(lm, options["prompts"], out=place, **without(options, "prompts"))
    mine, theirs = files(here.path), objects(place)
    for each in (mine, theirs):
        del each["metadata.json"]  # says when it was made
    assert theirs == mine


def test_what_is_done_is_not_done_again(model, tmp_path):
    folder = tmp_path / "shared"
    first = FakePool(lambda _number, method, _arguments, count: NEVER if method == "run" and count else None)

    def stop(done: int, _total: int) -> None:
        if first.ran:
            raise Stop

    job = job_of("harvest", model, folder)
    with pytest.raises(Stop):
        Driver(first, job, workers=2, report=stop, tell=print).run()
    assert first.closed and len(first.ran) == 1
    second = FakePool()
    reports, _ = drive(second, job)
    names = [name for name, _ in second.ran]
    assert len(names) == len(set(names)) and first.ran[0][0] not in names
    assert reports[-1][1] == sum(4 for _ in LANGUAGES) - 5, "what was there is not counted"
    third = FakePool()
    drive(third, job)
    assert third.ran == [] and (folder / "manifest.json").exists()


def test_a_language_that_a_killed_driver_had_not_taken_in_yet_is_not_lost(model, tmp_path, monkeypatch):
    folder, job = tmp_path / "shared", job_of("lens", model, tmp_path / "shared")
    pool = FakePool()
    # killed between the worker's last word and its own next step
    monkeypatch.setattr(driving, "call_of", lambda _job: Unsettled())
    with pytest.raises(SystemExit):
        drive(pool, job, workers=1)
    monkeypatch.undo()
    (part,) = (folder / PARTS).iterdir()
    assert not (folder / "pair").exists() and list(part.rglob("pass-0.safetensors"))
    (folder / PARTS / "begun").mkdir()
    (folder / PARTS / "begun" / "half").write_text("of a file")
    call_of(job).settle(folder)
    assert [path.parent.name for path in (folder / "pair").glob("*/step.json")] == ["ja"]
    again = FakePool()
    drive(again, job, workers=1)
    assert again.ran == [(code, 0) for code in LANGUAGES], "a kept one is found by who is given it"
    kept = list((folder / "pair").glob("*/pass-0.safetensors"))
    assert len(kept) == len(LANGUAGES) and not (folder / PARTS).exists()


class Unsettled:
    """The lens's call, of a driver that is killed at the first language."""

    def settle(self, _folder: Path) -> None: ...

    def take_in(self, *_: Any) -> None:
        raise SystemExit


def test_a_unit_that_fails_is_named_and_the_others_are_kept(model, tmp_path, monkeypatch):
    job = job_of("harvest", model, tmp_path / "shared")
    check = harvesting._check_finite

    def broken(piece: Any, layout: Any, name: Any) -> None:
        if piece.shard == 1:
            piece.values[0] = float("nan")
        check(piece, layout, name)

    monkeypatch.setattr(harvesting, "_check_finite", broken)
    pool = FakePool()
    with pytest.raises(
        InputError, match=r"1 unit failed, shard 1: .* has an activation that is NaN.*logs are in"
    ):
        drive(pool, job)
    assert pool.closed
    states = [
        line for line in (tmp_path / "shared" / "manifest.json").read_text().splitlines() if "shard-0" in line
    ]
    assert [line.count('"complete"') for line in states] == [1, 0, 1, 1]
    monkeypatch.undo()
    again = FakePool()
    drive(again, job)
    assert [name for name, _ in again.ran] == ["shard 1"]


def test_where_one_unit_after_the_other_fails_the_rest_is_not_run(model, tmp_path, monkeypatch):
    """A full disk: each shard would be run for nothing."""
    job, ran, write = job_of("harvest", model, tmp_path / "shared"), [], writer.write_shard

    def full(path: Path, *how: Any) -> str:
        ran.append(path.name)
        if len(ran) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *how)

    monkeypatch.setattr(writer, "write_shard", full)
    monkeypatch.setattr(driving, "MOST_FAILED", 2)
    with pytest.raises(
        InputError, match=r"2 units failed, shard 1: .*, 1 were not tried any more; all others are kept"
    ):
        drive(FakePool(), job, workers=1)
    assert len(ran) == 3
    monkeypatch.undo()
    again = FakePool()
    drive(again, job)
    assert [name for name, _ in again.ran] == ["shard 1", "shard 2", "shard 3"]


def test_a_unit_that_kills_every_worker_is_given_up(model, tmp_path):
    def fate(_number: int, method: str, arguments: Any, _count: int) -> str | None:
        return BEFORE if method == "run" and arguments[0].name == "ja" else None

    pool = FakePool(fate)
    with pytest.raises(InputError, match="1 unit failed, ja: its worker was lost 5 times"):
        drive(pool, job_of("lens", model, tmp_path / "shared"), workers=2)
    assert {name for name, _ in pool.ran} == set(LANGUAGES) - {"ja"}
    assert sorted(path.name for path in (tmp_path / "shared" / "pair").iterdir()) == sorted(
        {"de", "fr", "hi"}
    )


def test_a_machine_that_is_lost_leaves_its_work_to_the_others(model, tmp_path):
    """What is begun again finds no place; the run ends without it."""
    pool: FakePool

    def fate(number: int, method: str, _arguments: Any, _count: int) -> str | None:
        if number == 0 and method == "run":
            return BEFORE
        return NEVER if number == 0 and pool.begun[0] > 1 else None

    pool = FakePool(fate)
    _, told = drive(pool, job_of("lens", model, tmp_path / "shared"), workers=2)
    assert {number for _, number in pool.ran} == {1} and len(pool.ran) == len(LANGUAGES)
    assert len(told) == 1 and "is lost (killed); ja is run again" in told[0]


def test_a_slow_worker_does_not_hold_the_others_up(model, tmp_path):
    pool: FakePool

    def fate(number: int, method: str, _arguments: Any, _count: int) -> str | None:
        return NEVER if number == 0 and method == "run" and len(pool.ran) < len(LANGUAGES) - 1 else None

    pool = FakePool(fate)
    drive(pool, job_of("lens", model, tmp_path / "shared"), workers=2)
    assert pool.ran == [("de", 1), ("fr", 1), ("hi", 1), ("ja", 0)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            lambda told: {**told, "software": {**told["software"], "torch": "1.0"}},
            "has torch 1.0 and this machine",
        ),
        (
            lambda told: {**told, "software": {**told["software"], "the code of latentlang": "0"}},
            "has the code of latentlang 0 and this machine",
        ),
        (lambda told: {**told, "sees": False}, "does not see the folder"),
    ],
)
def test_a_worker_that_would_make_something_else_is_refused(changed, said, model, tmp_path):
    pool = FakePool(changed=lambda number, told: changed(told) if number == 1 else told)
    with pytest.raises(InputError, match=f"worker 1 on .* {said}"):
        drive(pool, job_of("lens", model, tmp_path / "shared"), workers=2)
    assert pool.closed and not list((tmp_path / "shared").iterdir())


def test_workers_on_another_device_are_refused(model, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(driving, "find_device", lambda _given: torch.device("cuda"))
    with pytest.raises(InputError, match="has the model on cpu and this machine would have it on cuda"):
        drive(FakePool(), job_of("lens", model, tmp_path / "shared"), workers=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "nowhere-at-all"}, "nowhere-at-all"),
        ({"call": "lens", "place": "/nowhere"}, "FileNotFoundError"),
    ],
)
def test_what_no_worker_can_do_ends_the_run_with_a_line(changes, said, model, tmp_path):
    pool = FakePool()
    with pytest.raises(InputError, match=f"worker 0 on .*{said}"):
        drive(pool, replace(job_of("lens", model, tmp_path / "shared"), **changes))
    assert pool.closed


def test_workers_that_end_as_soon_as_they_begin_are_given_up(model, tmp_path):
    pool = FakePool(lambda *_: BEFORE)
    with pytest.raises(InputError, match=r"workers end before they can work \(killed\)"):
        drive(pool, job_of("lens", model, tmp_path / "shared"), workers=2)
    assert set(pool.begun.values()) == {3}


def test_a_cluster_that_has_no_room_is_not_waited_for_for_ever(model, tmp_path):
    now = iter(range(0, 10_000, 40))
    with pytest.raises(InputError, match="no worker could be begun within 300 s"):
        drive(
            FakePool(lambda *_: NEVER),
            job_of("lens", model, tmp_path / "shared"),
            clock=lambda: float(next(now)),
        )


def test_an_interrupt_keeps_what_is_done_and_ends_the_workers(model, tmp_path, monkeypatch):
    pool = FakePool(interrupted_after=2)
    with pytest.raises(KeyboardInterrupt):
        drive(pool, job_of("lens", model, tmp_path / "shared"))
    assert pool.closed and len(list((tmp_path / "shared" / "pair").iterdir())) == 2


def test_a_store_in_a_bucket_has_its_workers_logs_in_the_cache(model, tmp_path, monkeypatch, bucket):
    monkeypatch.setenv("LATENTLANG_CACHE", str(tmp_path / "cache"))
    pool = FakePool()
    pool.workers = 2
    monkeypatch.setattr(running, "RayPool", lambda *_args, **_options: pool)
    out = f"{bucket}/acts"
    with ll.Cluster("auto", workers=2) as cluster:
        store = cluster.harvest(model, ["Review: good", "Kritik"], out=out, pools="last")
        assert len(store) == 2 and str(store.path) == out
        with pytest.raises(InputError, match="holds a store already"):
            cluster.harvest(model, ["Review: good"], out=out, resume=False)
        with pytest.raises(
            InputError, match="is not on this machine, and this is written into a folder here"
        ):
            cluster.logit_lens(model, "translation", resume=out, **without(options_of("lens"), "task"))
    (log, *_) = (tmp_path / "cache" / "logs").rglob("worker-*.log")
    assert "shard 0: done in " in log.read_text()
    assert set(objects(out)) == {
        "manifest.json", "metadata.json", "prompts.parquet", "shard-00000.safetensors",
    }  # fmt: skip


def test_the_python_calls_give_what_they_give_on_one_machine(model, tmp_path, monkeypatch):
    pool = FakePool()
    pool.workers = 2
    monkeypatch.setattr(running, "RayPool", lambda *_args, **_options: pool)
    with ll.Cluster("auto", workers=2) as cluster:
        store = cluster.harvest(model, ["Review: good", "Kritik"], out=tmp_path / "store", pools="last")
        assert len(store) == 2
        options = without(options_of("lens"), "task")
        lens = cluster.logit_lens(model, "translation", resume=tmp_path / "lens", **options)
        scores = cluster.evaluate(
            model, "sentiment,nli", resume=tmp_path / "scores", languages="ja", states="base", **TASK
        )
        counts = cluster.neurons(model, PARAGRAPHS, out=tmp_path / "counts", groups=4, deals=20)
        assert "Cluster('auto', workers=2)" in repr(cluster)
    assert pool.begun == {0: 1, 1: 1}, "workers stay from call to call"
    assert pool.closed
    assert lens.table.equals(ll.logit_lens(model, ll.task("translation"), **options).table)
    assert scores.table.equals(
        ll.evaluate(model, "sentiment,nli", languages="ja", states="base", **TASK).table
    )
    assert counts.table.equals(ll.neurons(model, PARAGRAPHS, groups=4, deals=20).table)
    with pytest.raises(InputError, match="holds a store already"):
        cluster.harvest(model, ["Review: good"], out=tmp_path / "store", resume=False)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"model": 3}, "each worker loads the model itself: give its name or folder, not int"),
        ({"nothing": 1}, "unknown option of lens 'nothing'"),
        ({"call": "pca"}, "unknown call 'pca'"),
        ({"lens": object()}, "lens= is object, which cannot be sent to workers"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_a_worker_is_begun(how, said, tmp_path):
    cluster = ll.Cluster("auto", workers=2)
    given = {"call": "lens", "model": "pocket"} | {k: v for k, v in how.items() if k in ("call", "model")}
    options = {"languages": "ja", **{k: v for k, v in how.items() if k not in ("call", "model")}}
    with pytest.raises(InputError, match=said):
        cluster.fill(given["call"], given["model"], options, folder=tmp_path)
    with pytest.raises(InputError, match="each worker is given a GPU of its own"):
        ll.Cluster("auto", workers=2, model_options={"device": "cuda:1"}).fill(
            "lens", "pocket", {}, folder=tmp_path
        )
    assert not list(tmp_path.iterdir())
