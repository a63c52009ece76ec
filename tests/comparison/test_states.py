"""Two checkpoints, and several adapters at once: each is what a comparison by itself says; the model is run once."""

import html
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

import latentlang as ll
from latentlang.comparison import ComparisonGroup, ComparisonResult, compare
from latentlang.comparison.later import later_states
from latentlang.errors import InputError, ModelError
from latentlang.models import load
from latentlang.storage.step_cache import finished_steps
from tests.comparison.conftest import save_pair
from tests.support import tiny
from tests.support.before_after import SMALL

NUMBERS = ["before", "after", "difference"]


@pytest.fixture(scope="module")
def merged(mistral, tmp_path_factory):
    """The tiny Mistral with its LoRA in its weights."""
    model, lora = mistral
    loaded = load(str(model), adapter=str(lora), progress=False)
    folder = tmp_path_factory.mktemp("merged") / "merged"
    loaded.model.merge_and_unload().save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def group(mistral, merged, tmp_path_factory):
    """Two adapters and a checkpoint against the model; not to be changed."""
    model, lora = mistral
    folder = tmp_path_factory.mktemp("group")
    other = shutil.copytree(lora, folder / "twice")
    weights = load_file(other / "adapter_model.safetensors")
    save_file({name: 2.0 * value for name, value in weights.items()}, other / "adapter_model.safetensors")
    told = []
    result = compare(
        str(model),
        adapter=[str(lora), str(other)],
        against=str(merged),
        out=folder / "out",
        progress=lambda step, done, total: told.append(step),
        **SMALL,
    )
    return result, list(dict.fromkeys(told))


def same_numbers(one, other, **tolerance):
    keys = ["part", "measure", "group", "language"]
    first, second = (result.table.set_index(keys)[NUMBERS] for result in (one, other))
    assert first.index.equals(second.index)
    np.testing.assert_allclose(first.to_numpy(float), second.to_numpy(float), **tolerance)


def test_another_checkpoint_is_compared_as_the_adapter_that_is_in_its_weights(
    compared, mistral, merged, tmp_path
):
    model, _ = mistral
    result = compare(str(model), against=str(merged), out=tmp_path / "out", **SMALL)
    assert isinstance(result, ComparisonResult)
    same_numbers(result, compared, rtol=1e-4, atol=1e-5)
    assert (result.lens.summary()["difference"] != 0).any()
    assert result.provenance.adapter is None and result.settings.after == "merged"
    assert (
        f"The model {model} is compared with merged, a checkpoint of the same tokenizer" in result.describe()
    )
    assert "which languages the checkpoint was trained on" in result.describe()
    assert finished_steps(tmp_path / "out") == finished_steps(compared.folder)
    page = html.unescape(result.report().read_text(encoding="utf-8"))
    assert f"{model.name}, merged" in page.split("</title>")[0] and "nothing trained" not in page
    for figure in (result.figure(), result.lens.figure(), result.evaluation.figure(), result.pca.figure()):
        assert (
            "merged" in figure.layout.title.subtitle.text
            and "no adapter" not in figure.layout.title.subtitle.text
        )
    assert "merged" in result.lens._view().headline
    again = ComparisonResult.load(tmp_path / "out")
    assert again.describe() == result.describe() and again.settings.after == "merged"
    told = set()
    compare(
        str(model),
        against=str(merged),
        out=tmp_path / "out",
        progress=lambda step, *_: told.add(step),
        **SMALL,
    )
    assert not told
    # a model that is loaded is the same state
    models = [load(str(folder), progress=False) for folder in (model, merged)]
    given = compare(models[0], against=models[1], out=tmp_path / "given", **{**SMALL, "parts": "lens"})
    pd.testing.assert_frame_equal(given.lens.tuned.table, result.lens.tuned.table)


def test_several_are_each_what_they_are_alone_and_the_model_is_run_once(group, compared):
    result, told = group
    assert isinstance(result, ComparisonGroup) and list(result.comparisons) == ["lora", "twice", "merged"]
    base = [step for step in told if step.endswith(", base")]
    assert base == ["evaluation, base", "lens, base", "activations, base"]
    assert [step for step in told if step.startswith("lens")] == [
        "lens, base",
        "lens, lora",
        "lens, twice",
        "lens, merged",
    ]
    same_numbers(result["lora"], compared, rtol=1e-4, atol=1e-5)
    same_numbers(result["merged"], compared, rtol=1e-4, atol=1e-5)
    assert (result["twice"].lens.tuned.table["value"] != result["lora"].lens.tuned.table["value"]).any()
    assert set(result.table["state"]) == {"lora", "twice", "merged"}
    assert len(result.table) == sum(len(one.table) for one in result.comparisons.values())
    lines = result.describe().splitlines()
    assert [line.split(":")[0] for line in lines] == ["lora", "twice", "merged"]
    summary = result.summary()
    assert list(summary["state"])[:3] == ["lora", "twice", "merged"] and summary["measure"].nunique() > 3
    with pytest.raises(InputError, match="no state 'x' was compared; there are lora, twice, merged"):
        result["x"]


def test_a_group_is_read_back_and_has_its_pages(group, tmp_path):
    result, _ = group
    folder = shutil.copytree(result.folder, tmp_path / "moved")
    again = ll.open_result(folder)
    assert isinstance(again, ComparisonGroup) and again.describe() == result.describe()
    pd.testing.assert_frame_equal(again.table, result.table)
    page = again.report(html="light").read_text(encoding="utf-8")
    assert all(
        f'<a href="{name}/report.html">{name}</a>' in page and (folder / name / "report.html").exists()
        for name in again.comparisons
    )
    assert 'href="../report.html"' in (folder / "twice" / "report.html").read_text(encoding="utf-8")
    (folder / "pages").mkdir()
    elsewhere = again.report(folder / "pages" / "all.html", html="light").read_text(encoding="utf-8")
    assert '<a href="../twice/report.html">' in elsewhere
    figure = again.figure()
    assert len(figure.data) == len(again.measure_names)
    assert list(figure.data[0].y) == ["lora", "twice", "merged"]
    row = again.table.query("state == 'twice' and measure == 'accuracy' and group == 'all'").iloc[0]
    assert figure.data[0].x[1] == row["difference"]
    saved = ComparisonGroup.load(again.save(tmp_path / "elsewhere"))
    assert saved["twice"].lens.tuned.table.equals(again["twice"].lens.tuned.table)


def test_other_tokenizers_depths_and_states_are_refused_with_one_line(mistral, tmp_path):
    model, lora = mistral
    other, _ = save_pair(tmp_path, "qwen2")
    with pytest.raises(
        InputError, match=r"have different tokenizers .* tokens\); compare checkpoints of one"
    ) as caught:
        compare(str(model), against=str(other), out=tmp_path / "out", **{**SMALL, "parts": "lens"})
    assert "\n" not in str(caught.value)
    loaded = load(str(model), progress=False)
    deeper = tiny.model("mistral", vocab_size=len(loaded.tokenizer), num_hidden_layers=loaded.n_layers + 1)
    deeper.save_pretrained(tmp_path / "deeper")
    loaded.tokenizer.save_pretrained(tmp_path / "deeper")
    with pytest.raises(InputError, match=r"layers .*, which are no pairs; ask for the part evaluation only"):
        compare(loaded, against=str(tmp_path / "deeper"), out=tmp_path / "deep", **{**SMALL, "parts": "lens"})
    for options, message in (
        ({"adapter": [str(lora), str(lora)]}, "is given twice"),
        ({"adapter": str(lora), "against": "pocket"}, "an adapter is put on a model that is named"),
    ):
        with pytest.raises(InputError, match=message):
            compare(loaded, out=tmp_path / "x", **options, **{**SMALL, "parts": "lens"})
    with pytest.raises(ModelError, match=r"the adapter folder .*gone' does not exist"):
        compare(
            "no model is looked for", adapter=[str(lora), str(tmp_path / "gone")], out=tmp_path / "x", **SMALL
        )
    adapted = load(str(model), adapter=str(lora), progress=False)
    with pytest.raises(InputError, match=r"has the adapter .* on; give it without one"):
        compare(adapted, against="pocket", out=tmp_path / "y", **SMALL)


def test_states_have_short_names_that_differ():
    names = [state.name for state in later_states(["a/lora", "b/lora", "c/lens"], ["org/model", "pca"], None)]
    assert names == ["a-lora", "b-lora", "lens-state", "model", "pca-state"]
    assert [state.name for state in later_states("a/lora", None, None)] == [None]
