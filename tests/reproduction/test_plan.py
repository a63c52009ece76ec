"""Steps: what experiments share is run once; what an outcome depends on changes its key, and nothing else does."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentlang.errors import InputError, LatentlangError
from latentlang.models.fingerprint import model_key
from latentlang.models.registry import resolve
from latentlang.models.shapes import model_shape
from latentlang.reproduction import load_suite, plan, planning, step_keys
from latentlang.reproduction.kinds import kind_named
from latentlang.reproduction.steps import STEP_KINDS, Adapter, Step, groups, merged, ordered


def _steps(*names, model="pocket"):
    chosen = load_suite("spontaneous").chosen(names or None)
    return merged(
        step for made in chosen for step in kind_named(made.kind).steps_of(made, model=model, n_layers=8)
    )


def test_what_two_tables_share_is_one_step():
    both = _steps("table1", "table2")
    assert set(both) == set(_steps("table1")) | set(_steps("table2"))
    assert len(both) < len(_steps("table1")) + len(_steps("table2"))


def test_one_harvest_serves_all_figures_and_tables_of_its_prompts():
    harvests = [step for step in _steps() if step.kind == "harvest"]
    assert len(harvests) == 2  # base and tuned
    assert {step.adapter.state for step in harvests} == {"base", "tuned"}
    for step in _steps():
        if step.kind in ("align", "pca"):
            assert any(
                set(step.languages) <= set(h.languages) and set(step.layers) <= set(h.layers)
                for h in harvests
            )


def test_every_adapter_that_is_used_is_trained_before():
    trained: set[tuple[str, Adapter]] = set()
    for step in _steps():
        if step.kind == "train":
            trained.add((step.model, step.adapter))
        elif step.adapter.recipe != "base":
            assert (step.model, step.adapter) in trained, step.label


def test_cross_task_tables_take_the_other_tasks_adapter():
    steps = [step for step in _steps("table5") if step.kind == "evaluate" and step.adapter.recipe != "base"]
    assert {(step.task, step.adapter.task) for step in steps} == {("sentiment", "nli"), ("nli", "sentiment")}


_adapters = st.builds(Adapter, st.sampled_from(["base", "zh-en", "sw-en"]), st.sampled_from(["", "nli"]))
_any_step = st.builds(
    Step, st.sampled_from(STEP_KINDS), st.sampled_from(["pocket", "mistral"]), _adapters,
    st.sampled_from(["nli", "sentiment"]),
)  # fmt: skip


@given(st.lists(_any_step, unique=True))
def test_groups_hold_every_step_once_and_share_model_and_adapter(steps):
    found = groups(steps)
    assert sorted(map(repr, (step for group in found for step in group))) == sorted(
        repr(step) for step in steps if step.kind != "pca"
    )
    for group in found:
        assert len({(step.model, step.adapter) for step in group}) == 1
        kinds = [STEP_KINDS.index(step.kind) for step in group]
        assert kinds == sorted(kinds)
    assert len({(group[0].model, group[0].adapter) for group in found}) == len(found)


@given(st.lists(_any_step, unique=True))
def test_the_order_does_not_depend_on_that_of_the_question(steps):
    assert {repr(s) for s in ordered(steps)} == {repr(s) for s in steps}
    places = [(s.kind == "pca", s.model, s.adapter.recipe != "base") for s in ordered(steps)]
    assert places == sorted(places)


def _keys(planned, kind, recipe="sw+hi-en"):
    step = next(s for s in planned.needed if s.kind == kind and s.adapter.recipe == recipe)
    return planned.keys.name(step, planned.bench.harvests)


@pytest.fixture
def asked(small, mistral):
    def ask(**changes):
        return plan(str(small), **{"model": mistral, **changes})

    return ask


@pytest.mark.parametrize("kind", ["train", "evaluate", "lens", "harvest", "align", "pca"])
def test_the_same_question_has_the_same_key(asked, kind):
    assert _keys(asked(), kind) == _keys(asked(cache="elsewhere", batch_tokens=64), kind)


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"items": 11}, {"evaluate", "lens", "harvest", "align", "pca"}),
        ({"seed": 1}, {"train", "evaluate", "lens", "harvest", "align", "pca"}),
        ({"overrides": {"steps": 3}}, {"train", "evaluate", "lens", "harvest", "align", "pca"}),
        ({"dtype": "bf16"}, {"train", "evaluate", "lens", "harvest", "align", "pca"}),
        ({"protocol": "as-published"}, {"evaluate", "lens", "harvest", "align", "pca"}),
    ],
)
def test_what_an_outcome_depends_on_changes_its_key(asked, changes, changed):
    before, after = asked(), asked(**changes)
    kinds = ("train", "evaluate", "lens", "harvest", "align", "pca")
    assert {kind for kind in kinds if _keys(before, kind) != _keys(after, kind)} == changed


def test_choosing_a_figure_changes_no_key(asked):
    assert _keys(asked(only=["points"]), "harvest") == _keys(asked(only=["pear"]), "harvest")


def test_a_model_that_was_trained_again_is_another(mistral, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(mistral, copy)
    first = model_key(resolve(str(copy)))
    assert first == model_key(resolve(mistral))
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    place = int(torch.randint(len(content) // 2, len(content), ()))
    content[place] ^= 1  # same names, shapes and sizes
    weights.write_bytes(content)
    assert model_key(resolve(str(copy))) != first


def test_another_tokenizer_makes_another_model(mistral, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(mistral, copy)
    first = model_key(resolve(str(copy)))
    file = copy / "tokenizer.json"
    file.write_text(file.read_text(encoding="utf-8").replace("the", "teh"), encoding="utf-8")
    assert model_key(resolve(str(copy))) != first


def test_another_device_or_dtype_is_another_outcome(asked):
    planned = asked()
    settings = planned.bench.settings
    assert (settings.device, settings.dtype) == ("cpu", "float32")
    assert _keys(planned, "evaluate") == _keys(asked(dtype="fp32"), "evaluate")  # what it was anyway
    elsewhere = replace(planned, bench=replace(planned.bench, settings=replace(settings, device="cuda")))
    assert _keys(planned, "evaluate") != _keys(elsewhere, "evaluate")


def test_code_that_was_changed_is_not_served_old_outcomes(asked, monkeypatch):
    before = _keys(asked(), "lens")
    monkeypatch.setattr(step_keys, "REVISIONS", {**step_keys.REVISIONS, "lens": 999})
    assert _keys(asked(), "lens") != before


def test_a_real_model_is_not_silently_asked_the_toy_items(monkeypatch, tmp_path):
    pytest.importorskip("pooch")
    monkeypatch.setattr(planning, "default_folder", lambda _name: tmp_path / "nothing")
    with pytest.raises(InputError, match="latentlang data get spontaneous fetches them"):
        plan("spontaneous", model="mistral", only=["fig1"])
    assert plan("spontaneous", model="mistral", only=["fig1"], data="embedded").bench.settings.data is None
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="nothing"):  # taken without being asked for, and empty
        plan("spontaneous", model="mistral", only=["fig1"])


def test_a_registered_model_that_is_not_on_the_machine_has_a_plan():
    steps = plan("spontaneous", model="gemma2-2b", only=["fig1"], data="embedded").steps()
    assert sum(line.cost.tokens for line in steps) > 0


def test_a_plan_estimates_what_is_missing(asked):
    steps = asked().steps()
    assert not any(line.cached for line in steps)
    by_kind = {line.step.kind: line.cost for line in steps}
    assert by_kind["train"].tokens > 0 and by_kind["train"].seconds > 0
    counted = asked(overrides={"steps": 6, "batch": 8, "accumulation": 4}).steps()
    more = asked(overrides={"steps": 12, "batch": 8, "accumulation": 1}).steps()
    few, many = (
        next(line.cost.tokens for line in lines if line.step.kind == "train") for lines in (counted, more)
    )
    assert abs(2 * few - many) <= 1  # a step takes its batch, in however many passes
    harvest = next(line for line in steps if line.step.kind == "harvest")
    n, stored = 10 * len(harvest.step.languages), 2 * 2
    assert (
        harvest.cost.bytes == n * len(harvest.step.layers) * model_shape(harvest.step.model).d_model * stored
    )


def test_more_items_cost_more(asked):
    def seconds(items):
        lines = asked(items=items, only=["acc"]).steps()
        return sum(line.cost.tokens for line in lines if line.step.kind == "evaluate")

    assert seconds(12) == pytest.approx(2 * seconds(6), rel=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": 0}, "items must be at least 1"),
        ({"items": 2**63}, "items must be at most 2,147,483,647"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1, not 0"),
        ({"items": 9, "only": "pear"}, "pear: at least 10 items a language are needed, not 9"),
        ({"overrides": {"task": "nli"}}, "task is said by each experiment"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"only": ["figure9"]}, "unknown figure or table 'figure9'"),
        ({"model": "no-such-model"}, "unknown model 'no-such-model'"),
        ({"training_data": {"poetry": "."}}, "unknown task 'poetry'"),
        ({"training_data": {"nli": "nowhere"}}, "the training data 'nowhere' of nli do not exist"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(asked, changes, message):
    with pytest.raises(LatentlangError, match=message):
        asked(**changes)


def test_among_all_tables_one_that_needs_more_items_is_left_out_with_the_reason(asked):
    planned = asked(items=9)
    lacks = {table.experiment.name: table.lacks for table in planned.tables(cost=False) if table.lacks}
    assert list(lacks) == ["pear"] and "give --items 10 or more" in lacks["pear"]
    of_pear = [step for step in planned.steps(cost=False) if "pear" in step.experiments]
    assert not of_pear and planned.needed
    pear = planned.suite.experiments["pear"]
    kind, run = kind_named(pear.kind), planned.bench.run
    assert kind.fill(pear, None, run) is None  # type: ignore[arg-type]
    assert kind.caption(pear, run, None).startswith("Nothing was computed: at least 10 items")
    assert not any(table.lacks for table in asked(items=10).tables(cost=False))


def test_labels_tell_steps_of_another_tasks_questions():
    step = Step("evaluate", "pocket", Adapter("zh-en", "nli"), "sentiment", "en", ("en",))
    assert step.label == "evaluate pocket zh-en (nli questions) sentiment en"
    assert "nli" not in replace(step, adapter=Adapter()).label


def test_a_chat_would_be_another_prompt_than_the_papers():
    with pytest.raises(InputError, match=r"asked as it asked them.*compare with --chat"):
        plan("spontaneous", model="pocket", chat=True)
    assert plan("spontaneous", model="pocket", only=["table1"], chat=False).needed
