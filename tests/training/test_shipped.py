"""The recipes of other papers have the values that these print, and are read back; all weights are not trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import recipe, recipe_for, recipe_names, train
from latentlang.training.recipes import recipes_by_paper

OTHERS = [name for name in recipe_names() if recipe(name).data.kind == "instructions"]
QKV = ("q_proj", "k_proj", "v_proj")


@pytest.mark.parametrize("name", OTHERS)
def test_a_shipped_recipe_is_read_back_and_says_what_it_is(name: str, tmp_path: Path) -> None:
    shipped = recipe(name)
    (tmp_path / "mine.yaml").write_text(shipped.yaml(), encoding="utf-8")
    assert recipe(tmp_path / "mine.yaml") == shipped
    assert shipped.about and shipped.name == name
    assert recipe_for("pocket", name).lora.target_modules == "all-linear"


def test_names_stand_under_their_papers() -> None:
    sizes = {paper: len(names) for paper, names in recipes_by_paper().items()}
    assert list(sizes.values()) == [13, 2, 8, 14, 13] and len(recipe_names()) == 50


def test_bactrian_x() -> None:
    multi, mono = recipe("bactrianx-multi"), recipe("bactrianx-mono")
    assert (multi.lora.rank, multi.lora.alpha, multi.lora.dropout) == (64, 16, 0.05)
    assert (mono.lora.rank, mono.lora.alpha, mono.lora.dropout) == (16, 16, 0.05)
    assert [one.schedule.steps for one in (multi, mono)] == [100_000, 5_000]
    assert [one.schedule.cutoff for one in (multi, mono)] == [768, 1024]
    assert len(multi.data.languages) == 52 and "fil" in multi.data.languages
    for one in (multi, mono):
        schedule = one.schedule
        assert (schedule.batch, schedule.learning_rate, schedule.scheduler) == (128, 3e-4, "linear")
        assert (schedule.warmup, schedule.weight_decay, schedule.validation) == (0, 0, 5000)
        assert schedule.keep == "last" and schedule.group_by_length
        assert one.lora.target_modules == ("q_proj", "v_proj")
        assert (one.data.template, one.data.overlong) == ("bactrianx", "cut")
    # the measurements of a whole run are 2,000 steps apart
    assert multi.schedule.steps / multi.schedule.evaluations == 2000


def test_bayling_2() -> None:
    for name, rate in (
        ("7b", 2e-5),
        ("13b", 2e-5),
        ("8b", 2e-6),
        ("no-crosslingual", 2e-6),
        ("pivot-en", 2e-6),
        ("pivot-zh", 2e-6),
    ):
        one = recipe(f"bayling2-{name}")
        schedule = one.schedule
        assert (one.method, one.epochs, schedule.batch, schedule.learning_rate) == ("full", 3, 128, rate)
        assert schedule.weight_decay == 0
    matched = recipe("bayling2-no-crosslingual-matched")
    assert (matched.epochs, matched.schedule.steps, matched.schedule.learning_rate) == (
        None,
        3_200_000 * 3 / 128,
        2e-6,
    )
    assert [recipe(f"bayling2-{size}").data.template for size in ("7b", "13b", "8b")] == [
        "bayling",
        "bayling",
        "chat",
    ]


@pytest.mark.parametrize("name", [name for name in OTHERS if name.startswith("gooddata")])
def test_good_data(name: str) -> None:
    one = recipe(name)
    lora, schedule = one.lora, one.schedule
    assert (lora.rank, lora.alpha, lora.dropout, lora.target_modules) == (8, 16, 0.05, QKV)
    assert (one.epochs, schedule.batch, schedule.evaluations, schedule.keep) == (10, 64, "epoch", "best")
    assert schedule.learning_rate == (1e-6 if name.endswith("1e-6") else 1e-4)
    assert one.data.per_language == (241 if "multi" in name else None)
    assert len(one.data.languages) == (8 if "multi" in name else 0)
    assert one.method == "lora"


@pytest.mark.parametrize("name", [name for name in OTHERS if name.startswith("ultralink")])
def test_ultralink(name: str) -> None:
    one = recipe(name)
    schedule = one.schedule
    assert (one.method, one.epochs, schedule.batch, schedule.learning_rate) == ("full", 3, 128, 2e-5)
    assert (schedule.scheduler, schedule.warmup, schedule.cutoff) == ("cosine", 0.04, 4096)
    assert one.data.order == ("sequential" if name.endswith("sequential") else "mixed")
    size = name.partition("prune-")[2].removesuffix("k")
    assert one.data.per_language == (1000 * int(size) if size else None)


def test_the_parts_of_ultralink_are_all_files_between_them() -> None:
    parts = [set(recipe(f"ultralink-no-{part}").data.files) for part in ("specific", "agnostic")]
    assert [len(part) for part in parts] == [15, 5] and not parts[0] & parts[1]


def test_all_weights_are_refused_with_what_they_take(
    model: HookedLM, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # where they fit it goes on to what else is missing: the data
    with pytest.raises(InputError, match="names no file of instructions"):
        train(model, "bayling2-7b", out=tmp_path / "out")
    monkeypatch.setattr("latentlang.training.full.memory_of_machine", lambda: 10**6)
    with pytest.raises(
        InputError, match=r"'bayling2-7b' has method: full.*takes about .*MB \(weights .*method=lora"
    ):
        train(model, "bayling2-7b", out=tmp_path / "out")
    with pytest.raises(InputError, match=r"; this machine has 1\.0 MB"):
        train("pocket", "bayling2-7b", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="names no file of instructions"):
        train(model, "bayling2-7b", out=tmp_path / "out", method="lora")


# Where a paper and its code disagree

PUBLISHED = [name for name in OTHERS if recipe(name).as_published]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_value_is_one_and_differs_from_the_recipes(name: str) -> None:
    shipped = recipe(name)
    for field, entry in shipped.as_published.items():
        taken = shipped.with_published(field)
        before, after = (
            next(getattr(part, field) for part in (one.lora, one.schedule, one.data) if hasattr(part, field))
            for one in (shipped, taken)
        )
        assert before != after and entry.source and not entry.used
        assert [f for f, one in taken.as_published.items() if one.used] == [field]
    whole = shipped.with_published()
    assert all(entry.used for entry in whole.as_published.values())


def test_the_published_values_of_bactrian_x() -> None:
    assert PUBLISHED == ["bactrianx-multi", "bactrianx-mono"]
    one = recipe("bactrianx-multi", as_published="all", batch=64)
    assert (one.epochs, one.schedule.steps, one.data.split_by) == (4, None, "row")
    assert (one.schedule.warmup, one.schedule.batch) == (0.002, 64)
    assert one.lora.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert recipe("bactrianx-multi", as_published="all,warmup", batch=64) == one
    some = recipe_for("pocket", "bactrianx-multi", as_published="target_modules, split_by")
    assert some.lora.target_modules == one.lora.target_modules and some.schedule.epochs == 3
    assert {name for name, entry in some.as_published.items() if entry.used} == {"target_modules", "split_by"}
    assert not some.changed(split_by="id").as_published["split_by"].used


@pytest.mark.parametrize(
    ("name", "fields", "changes", "words"),
    [
        (
            "bactrianx-multi",
            "warmpu",
            {},
            "field 'warmpu' of recipe 'bactrianx-multi'; did you mean 'warmup'",
        ),
        (
            "bactrianx-multi",
            "",
            {},
            "no as-published field is named; recipe 'bactrianx-multi' has target_modules, ",
        ),
        ("gooddata-native", "all", {}, "recipe 'gooddata-native' has no values under as_published"),
        ("bactrianx-multi", "warmup", {"warmup": 0.1}, "warmup is changed, and as_published takes it"),
    ],
)
def test_published_values_that_are_not_there_are_one_line(
    name: str, fields: str, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        recipe(name, as_published=fields, **changes)


def test_a_recipe_of_ones_own_has_published_values(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    lines = ["data: {kind: instructions}", "as_published:", "  rank: {value: 4, source: page 3}"]
    path.write_text("\n".join(lines))
    assert recipe(path, as_published="rank").lora.rank == 4 and recipe(path).lora.rank == 8
    path.write_text("\n".join([*lines, "  rnak: {value: 4, source: page 3}"]))
    with pytest.raises(InputError, match=r"field under as_published.*'rnak'.*rank"):
        recipe(path)
    path.write_text("\n".join([*lines[:2], "  rank: {value: 4}"]))
    with pytest.raises(InputError, match=r"as_published\.rank\.source: field required"):
        recipe(path)
    path.write_text("\n".join([*lines[:2], "  rank: {value: many, source: page 3}"]))
    with pytest.raises(InputError, match=r"rank.*'many'"):
        recipe(path, as_published="rank")


def test_which_were_taken_is_in_the_record(model: HookedLM, tmp_path: Path) -> None:
    rows = [{"id": str(n), "language": code, "instruction": f"{code} {n}", "output": str(n)}
            for code in ("de", "es") for n in range(20)]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = {
        "name": "own", "data": {"kind": "instructions", "files": str(tmp_path / "rows.jsonl")},
        "lora": {"target_modules": "all-linear"}, "schedule": {"steps": 1, "batch": 2, "accumulation": 1,
        "validation": 10, "evaluations": 1},
        "as_published": {"split_by": {"value": "row", "source": "code"}, "rank": {"value": 4, "source": "paper"}},
    }  # fmt: skip
    result = train(model, own, out=tmp_path / "out", as_published="split_by", progress=False)
    assert result.recipe["data"]["split_by"] == "row"
    assert {name: entry["used"] for name, entry in result.recipe["as_published"].items()} == {
        "split_by": True, "rank": False,
    }  # fmt: skip
    assert sum(held for _learnt, held in result.settings.pairs.values()) == 10
    assert any("stand on both sides of the split" in note for note in result.notes)
    assert "used: true" in (tmp_path / "out" / "README.md").read_text()
    # the same run asked for again is found, and without the value it is another one
    assert train(model, own, out=tmp_path / "out", as_published="split_by", progress=False).table.equals(
        result.table
    )
    with pytest.raises(InputError, match="holds another run"):
        train(model, own, out=tmp_path / "out", progress=False)
