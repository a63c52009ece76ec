"""The whole comparison on real (tiny) models: the parts are the library's own, and what is done stays done."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.comparison import ComparisonResult, compare
from latentlang.errors import InputError, ModelError
from latentlang.evaluation import evaluate
from latentlang.lens import logit_lens
from latentlang.models import HookedLM, load
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import STEP_FILE, finished_steps
from latentlang.tasks import task
from latentlang.training import train
from tests.support import tiny
from tests.support.before_after import SMALL

STEPS = [
    "alignment", "evaluation/base", "evaluation/tuned", "harvest/base", "harvest/tuned", "lens/base", "lens/tuned",
    "pca",
]  # fmt: skip


def _key(folder, step):
    return json.loads((folder / step / STEP_FILE).read_text())["key"]


def _same(one, other):
    pd.testing.assert_frame_equal(one.table, other.table)


def test_a_tiny_model_with_a_random_lora_goes_the_whole_way(pair, tmp_path):
    model, lora = pair
    told = []
    result = compare(
        str(model), adapter=str(lora), out=tmp_path, progress=lambda *found: told.append(found), **SMALL
    )
    assert finished_steps(tmp_path) == STEPS
    assert {step for step, _, _ in told} == {
        "evaluation, base", "evaluation, tuned", "lens, base", "lens, tuned", "activations, base",
        "activations, tuned", "principal components", "alignment",
    }  # fmt: skip
    assert all(done <= total for _, done, total in told)
    assert set(result.table["part"]) == {"evaluation", "lens", "alignment"}
    # Random weights beside random weights change what layers say.
    assert (result.lens.summary()["difference"] != 0).any()
    assert (result.alignment.table["difference"] != 0).any()
    assert result.pca.views == (("base", "base"), ("tuned", "base"), ("tuned", "tuned"))
    assert result.lens.base.provenance.adapter is None and result.lens.tuned.provenance.adapter == str(lora)
    assert "It is not known which languages the adapter was trained on" in result.describe()
    assert result.seen_languages == result.unseen == ()
    page = result.report()
    assert page == tmp_path / "report.html" and page.stat().st_size > 4_000_000


def test_each_part_is_what_the_library_says_of_that_state(compared, mistral):
    model, lora = mistral
    loaded = load(str(model), adapter=str(lora))
    with loaded.base():
        lens = logit_lens(loaded, task("sentiment"), languages=["ja", "de", "hi"], items=12)
    _same(compared.lens.base, lens)
    wanted = evaluate(loaded, "sentiment", languages="ja,de,hi", items=12)
    both = compared.evaluation.table.merge(
        wanted.table, on=["state", "language", "item"], suffixes=("", "_own")
    )
    assert len(both) == len(wanted.table) == 72
    assert (both["predicted"] == both["predicted_own"]).all()
    np.testing.assert_allclose(both["score_positive"], both["score_positive_own"], rtol=1e-5)
    # English was not asked for, and is what alignment is with.
    assert compared.alignment.pivot == "en" and set(compared.alignment.table["language_b"]) == {
        "ja",
        "de",
        "hi",
    }


def test_it_is_read_back_and_drawn_without_a_model(compared, tmp_path):
    folder = shutil.copytree(compared.folder, tmp_path / "moved")
    again = ComparisonResult.load(folder)
    assert again.provenance == compared.provenance and again.describe() == compared.describe()
    _same(again, compared)
    assert again.report().parent == folder
    saved = again.save(tmp_path / "elsewhere")
    other = ComparisonResult.load(saved)
    _same(other, compared)
    _same(other.lens.tuned, compared.lens.tuned)
    _same(other.alignment, compared.alignment)
    with pytest.raises(InputError, match="was not saved; say where"):
        replace(compared, folder=None).report()
    assert again.figure().data


def test_a_stopped_run_goes_on_and_comes_to_the_same(compared, mistral, tmp_path):
    model, lora = mistral

    def stop(step, done, total):
        if step == "activations, tuned" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(str(model), adapter=str(lora), out=tmp_path, progress=stop, **SMALL)
    assert finished_steps(tmp_path) == [
        "evaluation/base",
        "evaluation/tuned",
        "harvest/base",
        "lens/base",
        "lens/tuned",
    ]
    told = set()
    result = compare(
        str(model),
        adapter=str(lora),
        out=tmp_path,
        progress=lambda step, done, total: told.add(step),
        **SMALL,
    )
    assert told == {"activations, tuned", "principal components", "alignment"}
    _same(result, compared)


def test_only_what_an_option_concerns_is_run_again(compared, mistral, tmp_path):
    model, lora = mistral
    folder = shutil.copytree(compared.folder, tmp_path / "out")
    before = {step: _key(folder, step) for step in STEPS}
    told = set()

    def run(**changes):
        told.clear()
        compare(
            str(model), adapter=str(lora), out=folder, progress=lambda step, done, total: told.add(step),
            **{**SMALL, **changes},
        )  # fmt: skip

    run()
    assert told == set()
    run(measures="cka")
    assert told == {"alignment"} and _key(folder, "alignment") != before["alignment"]
    run(measures="cka", score="sequence")
    assert told == {"evaluation, base", "evaluation, tuned"}
    run(measures="cka", score="sequence", policy="drop", parts="lens")
    assert told == {"lens, base", "lens, tuned"}
    run(
        measures="cka",
        items=10,
        evaluation_items=12,
        score="sequence",
        policy="drop",
        parts="lens,evaluation",
    )
    assert told == {"lens, base", "lens, tuned"}
    # The activations may go once the geometry is there; nothing asks for them again.
    run(items=12, measures="cka", score="sequence", policy="drop", keep_activations=False)
    assert not (folder / "harvest").exists()
    run(items=12, measures="cka", score="sequence", policy="drop", keep_activations=False)
    assert told == set()


def test_what_others_put_into_the_folders_stays(compared, mistral, tmp_path):
    model, lora = mistral
    folder = shutil.copytree(compared.folder, tmp_path / "out")
    mine = [folder / name for name in ("mine", "lens/base/mine", "harvest/mine", "harvest/base/store/mine")]
    for path in mine:
        path.write_text("mine")
    options = {**SMALL, "policy": "drop", "measures": "cka"}
    compare(str(model), adapter=str(lora), out=folder, keep_activations=False, **options)
    assert [path.read_text() for path in mine] == ["mine"] * 4
    assert {path for path in (folder / "harvest").rglob("*") if path.is_file()} == set(mine[2:])


@pytest.mark.parametrize("name", ["harvest/manifest.json", "harvest/base/store/manifest.json", "report.html",
                                  "lens/notes.txt", "result.parquet", "evaluation/base/step.json"])  # fmt: skip
def test_a_folder_with_files_from_elsewhere_is_refused(mistral, tmp_path, name):
    _, lora = mistral
    path = tmp_path / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(InputError, match="choose another folder"):
        compare("no model is looked for", adapter=str(lora), out=tmp_path / "out", **SMALL)
    assert path.read_text() == "{}" and len([p for p in tmp_path.rglob("*") if p.is_file()]) == 1


def test_a_store_in_a_comparisons_folder_is_not_its_activations(compared, mistral, tmp_path):
    model, lora = mistral
    folder = tmp_path / "out"
    compare(str(model), adapter=str(lora), out=folder, parts="lens", **SMALL)
    shutil.copytree(compared.folder / "harvest" / "base" / "store", folder / "harvest")
    with pytest.raises(InputError, match="is an activation store of your own"):
        compare(str(model), adapter=str(lora), out=folder, keep_activations=False, **SMALL)
    assert (folder / "harvest" / "manifest.json").exists()


def test_one_folder_has_one_comparison_at_a_time(mistral, tmp_path, monkeypatch):
    _, lora = mistral
    with FolderLock(tmp_path), pytest.raises(InputError, match="is writing into"):
        compare("no model is looked for", adapter=str(lora), out=tmp_path, **SMALL)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the name of the output folder is empty"):
        compare("no model is looked for", adapter=str(lora), out="", **SMALL)


@pytest.mark.parametrize(
    "measures", ["pearson", "svcca", "procrustes", "mutual_knn", "csls", "centroid_distance"]
)
def test_every_measure_alone_has_its_table_and_page(mistral, tmp_path, measures):
    model, lora = mistral
    options = {**SMALL, "parts": "geometry", "measures": measures}
    result = compare(str(model), adapter=str(lora), out=tmp_path, **options)
    assert len(result.summary()) and result.describe() and result.figure().data
    assert result.report().exists() and ComparisonResult.load(tmp_path).describe() == result.describe()


def test_another_adapter_is_another_comparison(compared, mistral, tmp_path):
    model, lora = mistral
    folder = shutil.copytree(compared.folder, tmp_path / "out")
    other = shutil.copytree(lora, tmp_path / "lora")
    from safetensors.torch import load_file, save_file

    weights = load_file(other / "adapter_model.safetensors")
    save_file({name: 1.5 * value for name, value in weights.items()}, other / "adapter_model.safetensors")
    told = set()
    options = {"progress": lambda step, done, total: told.add(step), **SMALL, "parts": "lens"}
    compare(str(model), adapter=str(lora), out=folder, **options)
    assert told == set()
    compare(str(model), adapter=str(other), out=folder, **options)
    assert "lens, tuned" in told


def test_another_strength_is_another_comparison(compared, mistral, tmp_path):
    model, lora = mistral
    folder = shutil.copytree(compared.folder, tmp_path / "out")
    loaded = load(str(model), adapter=str(lora))
    told = set()
    options = {"progress": lambda step, done, total: told.add(step), **SMALL, "parts": "lens"}
    compare(loaded, out=folder, **options)
    assert told == set()
    for part in loaded.model.modules():
        if hasattr(part, "set_scale"):
            part.set_scale("default", 0.5)
    result = compare(loaded, out=folder, **options)
    assert told == {"lens, tuned"}
    assert result.provenance.adapter == f"{lora} x0.5"


def test_an_adapter_of_another_model_is_noted_in_the_results_and_on_the_page(mistral, tmp_path):
    import html
    import json

    model, lora = mistral
    other = shutil.copytree(lora, tmp_path / "lora")
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": "someone/else"})
    )
    result = compare(str(model), adapter=str(other), out=tmp_path / "out", **SMALL, parts="evaluation,lens")
    said = "says that it was trained on 'someone/else'"
    for part in (result, result.evaluation, result.lens.base, result.lens.tuned):
        assert said in str(part.provenance.settings.get("model_notes"))
    assert said in html.unescape(result.report().read_text())


def test_nothing_trained_is_no_evidence_of_change_anywhere(tmp_path):
    train("pocket", "identity", out=tmp_path / "identity")
    result = compare("pocket", adapter=tmp_path / "identity", out=tmp_path / "out", **SMALL)
    assert (result.table["difference"] == 0).all() and (result.table["change"] == "").all()
    assert "There is no evidence of change in anything that was measured." in result.describe()
    assert "compared with itself, run twice" in result.describe()
    assert (result.alignment.table["change"] == "").all()
    for curve in ("gap", "target"):
        assert (result.lens.map(curve)["change"] == "").all()
    assert result.provenance.adapter is None and result.unseen == ("ja", "de", "hi")
    page = result.report().read_text(encoding="utf-8")
    assert "nothing trained (control)" in page
    marked = re.findall(r"(\d+) of \d+ cells more than chance", page)
    assert len(marked) == 4 and set(marked) == {"0"}


def test_a_trained_adapter_says_which_languages_it_saw(tmp_path):
    adapter = tmp_path / "zh-en"
    train("pocket", "zh-en", out=adapter, steps=2, per_pair=16, evaluations=1, learning_rate=1e-2)
    options = {**SMALL, "languages": "zh,ja,de"}
    result = compare("pocket", adapter=str(adapter), out=tmp_path / "out", **options)
    assert result.seen_languages == ("zh", "en") and result.unseen == ("ja", "de")
    assert "Training saw Chinese and English; it never saw Japanese and German." in result.describe()
    groups = result.summary().set_index(["measure", "group"])["languages"]
    assert (groups["accuracy", "seen"], groups["accuracy", "unseen"]) == (1, 2)
    assert dict(result.provenance.settings["training"])["recipe"] == "zh-en"
    said = compare(
        "pocket", adapter=str(adapter), out=tmp_path / "out", seen_languages="ja", parts="lens", **options
    )
    assert said.seen_languages == ("ja",)


def test_a_loaded_model_stays_as_it_is(mistral, tmp_path):
    model, lora = mistral
    loaded = load(str(model), adapter=str(lora))
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    small = {**SMALL, "parts": "evaluation,lens"}
    result = compare(loaded, out=tmp_path, seen_languages="de", **small)
    assert result.seen_languages == ("de",) and loaded.active_adapter == str(lora)
    for name, value in loaded.model.state_dict().items():
        assert torch.equal(value, before[name]) and value.data_ptr()
    bare = load(str(model))
    for options, message in (
        ({}, "has no adapter to compare it without"),
        ({"adapter": str(lora)}, "is without an adapter"),
        ({"device": "cpu"}, "such options are for a model that is named"),
    ):
        with pytest.raises(InputError, match=message):
            compare(bare, out=tmp_path / "other", **options, **small)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": "lens,pictures"}, "unknown part 'pictures'"),
        ({"parts": ""}, "no part was chosen"),
        ({"score": "best"}, "unknown score 'best'"),
        ({"policy": "none"}, "unknown policy 'none'"),
        ({"measures": "svd"}, "unknown measure 'svd'"),
        ({"pools": "middle"}, "unknown pool 'middle'"),
        ({"items": 0}, "items must be at least 1, not 0"),
        ({"items": 5}, "geometry needs at least 10 items per language, not 5"),
        ({"level": 1.0}, "level must be between 0 and 1"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"resamples": 2**31}, "resamples must be at most 100,000, not 2147483648"),
        ({"task": "repetition"}, "has no labels to choose between"),
        ({"task": "sentimental"}, "unknown task 'sentimental'"),
        ({"languages": "xx"}, "unknown language 'xx'"),
        ({"seen_languages": "xx"}, "unknown language 'xx'"),
        ({"adapter": None}, "nothing to compare without an adapter"),
        ({"devic": "cpu"}, "unknown option of compare 'devic'; did you mean 'device'"),
        ({"item": 5}, "unknown option of compare 'item'; did you mean 'items'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(options, message, tmp_path):
    given = {"adapter": "lora", "out": tmp_path / "out", **SMALL, **options}
    with pytest.raises(InputError, match=message):
        compare("pocket", **given)
    assert not list(tmp_path.glob("out/*"))


def test_an_adapter_that_does_nothing_is_refused(mistral, tmp_path):
    from safetensors.torch import load_file, save_file

    model, lora = mistral
    still = shutil.copytree(lora, tmp_path / "still")
    weights = load_file(still / "adapter_model.safetensors")
    save_file({name: 0 * value for name, value in weights.items()}, still / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="changes no logit"):
        compare(str(model), adapter=str(still), out=tmp_path / "out", **SMALL)


def test_open_tasks_have_lens_and_geometry(mistral, tmp_path):
    model, lora = mistral
    small = {**SMALL, "parts": "lens,geometry"}
    result = compare(str(model), adapter=str(lora), out=tmp_path, task="repetition", **small)
    assert result.evaluation is None and set(result.table["part"]) == {"lens", "alignment"}
    assert "accuracy" not in result.describe().lower()
    assert Path(result.report()).exists()


CHAT = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{% endif %}{% endfor %}"
)


def test_a_chat_is_asked_in_both_states_and_said(tmp_path):
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = CHAT
    model = HookedLM(
        tiny.adapted(tiny.model("mistral", max_position_embeddings=2048)).eval(), tokenizer, name="tiny"
    )
    options = {**SMALL, "parts": "evaluation,lens", "items": 4, "progress": False}
    result = compare(model, out=tmp_path / "chat", chat=True, **options)
    plain = compare(model, out=tmp_path / "plain", **options)
    asked = model.chat("sentiment")
    alone = evaluate(model, asked, languages=SMALL["languages"], items=4, progress=False)
    pd.testing.assert_frame_equal(
        result.evaluation.evaluation.table.sort_values(["state", "language", "item"], ignore_index=True),
        alone.table.sort_values(["state", "language", "item"], ignore_index=True),
    )
    assert not result.lens.tuned.table["value"].equals(plain.lens.tuned.table["value"])
    assert result.settings.chat == "turns" and plain.settings.chat is None
    assert f"as a chat, template {result.settings.chat_template}" in result.report().read_text(
        encoding="utf-8"
    )
    again = ComparisonResult.load(tmp_path / "chat")
    assert again.settings.chat_template == asked.settings["chat_template"]


def test_a_model_without_a_template_is_asked_in_no_chat(mistral, tmp_path):
    model, lora = mistral
    with pytest.raises(ModelError, match="has no chat template"):
        compare(str(model), adapter=str(lora), out=tmp_path / "out", chat=True, **SMALL)
