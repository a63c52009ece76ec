"""Names as one text, ``"a,b"``, mean what a list of them does, wherever several can be given."""

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from latentlang.answers import TokenBytes, answer_sets, policy_table
from latentlang.comparison import compare_alignment
from latentlang.errors import InputError
from latentlang.figures.alignment import alignment_heatmap
from latentlang.figures.heatmaps import language_heatmap
from latentlang.geometry import alignment, compare_pca, pca
from latentlang.lens import explore, multilingual_lens
from latentlang.models import HookedLM
from latentlang.reproduction import load_suite
from latentlang.tasks import task
from tests.support import tiny
from tests.support.before_after import lenses
from tests.support.small_store import small_store, spectral

PROMPTS = ["the house", "a small river"]


@pytest.fixture(scope="module")
def model():
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


def test_pools_and_sites_of_activations(model):
    text = model.activations(PROMPTS, pools="mean, last", sites="resid,mlp_out")
    listed = model.activations(PROMPTS, pools=["mean", "last"], sites=["resid", "mlp_out"])
    assert text.pools == listed.pools == ("mean", "last")
    assert list(text.sites) == list(listed.sites) == ["mlp_out", "resid"]
    for name, values in listed.sites.items():
        assert torch.equal(text.sites[name], values) and values.ndim == 4
    # one name has no axis of pools
    assert model.activations(PROMPTS, pools="mean").resid.ndim == 3


def test_sites_of_one_prompt(model):
    text, listed = (
        explore(model, "a text", sites=sites) for sites in ("mlp_out,resid", ["mlp_out", "resid"])
    )
    pd.testing.assert_frame_equal(text.table, listed.table)
    assert text.sites == ("mlp_out", "resid")


def test_pools_of_a_store(tmp_path):
    store = small_store(tmp_path / "s", pools=("mean", "question", "last"))
    path = store.export(tmp_path / "some.safetensors", layers=1, pools="question,last")
    assert set(load_file(path)) == {"resid.001.question", "resid.001.last"}
    options = {"layers": 1, "measures": "cka,retrieval", "permutations": 3, "resamples": 2}
    assert alignment(store, pools="question,last", **options).pools == ("question", "last")
    assert compare_alignment(store, store, pools="last,mean", **options).pools == ("last", "mean")
    with pytest.raises(InputError, match="one pool is needed here, not mean, last"):
        pca(store, pools="mean,last")


def test_pools_of_a_figure(tmp_path):
    store = small_store(tmp_path / "s", pools=("mean", "question", "last"))
    result = alignment(store, layers=1, measures="cka", permutations=3, resamples=2)
    text, listed = (alignment_heatmap(result, pools=pools) for pools in ("last,mean", ["last", "mean"]))
    assert text.to_dict() == listed.to_dict()
    assert sum(trace.type == "heatmap" for trace in text.data) == 2


def test_without_a_choice_the_pca_takes_the_mean_or_the_only_pool(tmp_path):
    rows = spectral(20, 6)
    last = small_store(tmp_path / "last", {1: rows}, pools=("last",))
    assert pca(last).settings.pool == "last"
    two = small_store(tmp_path / "two", {1: rows}, pools=("question", "last"))
    with pytest.raises(InputError, match="say which pool is meant; the store has question, last"):
        pca(two)
    with pytest.raises(InputError, match=r"unknown pool 'mean'.*the store has last"):
        pca(last, pools="mean")
    three = small_store(tmp_path / "three", {1: rows}, pools=("mean", "last"))
    assert pca(three).settings.pool == "mean"
    # of two stores, a pool that both have
    assert compare_pca(three, last).settings.pool == "last"
    mean = small_store(tmp_path / "mean", {1: rows}, pools=("mean",))
    for compared in (compare_pca, compare_alignment):
        with pytest.raises(InputError, match=r"no pool in common \(last and mean\); harvest the same"):
            compared(last, mean)


def test_places_and_curves_of_two_lens_results():
    pair = lenses()
    text = pair.summary("ja,en", curves="target,pivot")
    pd.testing.assert_frame_equal(text, pair.summary(["ja", "en"], curves=["target", "pivot"]))
    assert set(text["where"]) == {"ja", "en"} and set(text["curve"]) == {"target", "pivot"}
    assert pair.figure("ja").to_dict() == pair.figure(["ja"]).to_dict()


def test_rows_of_a_language_heat_map():
    result = multilingual_lens("pocket", "translation", languages="ja", candidates="de,es", items=2, shots=1)
    text, listed = (language_heatmap(result, order=order).to_dict() for order in ("es,ja", ["es", "ja"]))
    assert text == listed


def test_policies_and_rivals_of_a_table():
    table = TokenBytes((b"p", b"posit", b"positivo", b"positive", b"k", b"kiva"))
    words = {"en": {"+": ("positive",)}, "it": {"+": ("positivo",)}, "fi": {"+": ("kiva",)}}
    sets = answer_sets(table, words, cue='\nEmotion: "')
    text = policy_table(sets, policies="drop,exclusive", against="en,fi")
    listed = policy_table(sets, policies=["drop", "exclusive"], against=["en", "fi"])
    pd.testing.assert_frame_equal(text, listed)
    assert set(text["policy"]) == {"drop", "exclusive"}


def test_concepts_of_a_task():
    text, listed = (
        task("repetition", only=only) for only in ("animal/dog,animal/cat", ["animal/dog", "animal/cat"])
    )
    assert text.settings["only"] == listed.settings["only"] == ["animal/dog", "animal/cat"]


def test_figures_and_tables_of_a_paper():
    suite = load_suite("spontaneous")
    assert suite.chosen("table8, fig1") == suite.chosen(["fig1", "table8"])
    assert {entry.name for entry in suite.chosen("table8, fig1")} == {"table8", "fig1"}
