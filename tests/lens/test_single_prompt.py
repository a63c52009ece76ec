"""The explorer of a single prompt, against the definitions over the whole vocabulary."""

from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.answers import token_bytes
from latentlang.errors import InputError
from latentlang.lens import ExplorerResult, explore
from latentlang.lens.single_prompt import EXPLORER_COLUMNS
from latentlang.models import HookedLM
from tests.support import tiny

PROMPT = 'Kritik: "fleur" - 中文: "'


@pytest.fixture(scope="module", params=["mistral", "gpt2"])
def model(request) -> HookedLM:
    return HookedLM(tiny.model(request.param), tiny.tokenizer(), name=f"tiny-{request.param}")


def _cell(result, site, position, layer):
    table = result.only(site).table
    return table[(table["position"] == position) & (table["layer"] == layer)]


@pytest.mark.parametrize("site", ["resid", "resid_mid", "attn_out", "mlp_out"])
def test_equals_the_definitions_at_every_position_and_layer(model, site):
    result = explore(model, PROMPT, top=3, sites=site)
    reading = model.activations([PROMPT], positions="all", sites=(site, "resid"), layers=[1, 2, 3])
    log_probs = model.unembed(reading.sites[site][0]).double().log_softmax(-1)  # [layer, position, vocab]
    final = model.unembed(reading.resid[0, -1]).double().log_softmax(-1)
    table = token_bytes(model.tokenizer)
    ids = model.encode([PROMPT])[0]
    assert len(result.table) == 3 * len(ids) * 3
    for layer in (1, 2, 3):
        for position, token in enumerate(ids):
            cell = _cell(result, site, position, layer)
            here = log_probs[layer - 1, position]
            best = here.topk(3)
            assert cell["rank"].tolist() == [1, 2, 3]
            assert cell["id"].tolist() == best.indices.tolist()
            assert cell["text"].tolist() == [table.render(i) for i in best.indices.tolist()]
            assert set(cell["token"]) == {table.render(token)}
            np.testing.assert_allclose(cell["probability"], best.values.exp(), rtol=1e-4)
            entropy = -(here.exp() * here).sum() / np.log(2)
            np.testing.assert_allclose(cell["entropy"], entropy, rtol=1e-4)
            kl = (here.exp() * (here - final[position])).sum() / np.log(2)
            np.testing.assert_allclose(cell["kl"], kl, rtol=1e-3, atol=1e-5)


def test_the_last_layer_is_the_models_own_distribution(model):
    result = explore(model, PROMPT, top=2)
    with torch.inference_mode():
        probs = model.model(torch.tensor(model.encode([PROMPT]))).logits[0].double().softmax(-1)
    last = result.table.query("layer == @model.n_layers")
    for position, own in enumerate(probs):
        cell = last[last["position"] == position]
        np.testing.assert_allclose(cell["probability"], own.topk(2).values, rtol=1e-4)
    assert last["kl"].max() < 1e-6


def test_positions_layers_and_streams_as_asked(model):
    whole = explore(model, PROMPT, top=2, sites=("mlp_out", "resid"))
    count = len(model.encode([PROMPT])[0])
    assert whole.sites == ("mlp_out", "resid")
    part = explore(
        model, PROMPT, top=2, sites=("mlp_out", "resid"), positions=[-1, 3, count - 1], layers=[2, -1]
    )
    wanted = whole.table.query("layer in [2, 3] and position in [3, @count - 1]")
    keys = ["site", "position", "layer", "rank"]
    pd.testing.assert_frame_equal(
        part.table.sort_values(keys, ignore_index=True),
        wanted.sort_values(keys, ignore_index=True),
        rtol=1e-4,
    )
    # without the last layer among those asked for, what is far from it is told all the same
    single = explore(model, PROMPT, top=2, sites="mlp_out", positions="last", layers=[2])
    np.testing.assert_allclose(
        single.table["kl"], _cell(whole, "mlp_out", count - 1, 2)["kl"], rtol=1e-4, atol=1e-6
    )
    assert set(single.table["layer"]) == {2}
    assert single.provenance.settings["layers"] == [2]
    embeddings = explore(model, PROMPT, layers=[0], positions="last", top=1)
    assert embeddings.table["layer"].tolist() == [0]


def test_long_prompts_are_read_in_parts(model, monkeypatch):
    whole = explore(model, PROMPT).table
    # the module: the package exports the function by the same name
    monkeypatch.setattr(import_module("latentlang.lens.single_prompt"), "_POSITIONS", 3)
    parts = explore(model, PROMPT).table
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-4, atol=1e-5)


def test_a_result_survives_its_folder(model, tmp_path):
    result = explore(model, PROMPT, top=2, sites=("resid", "attn_out"))
    assert list(result.table.columns) == list(EXPLORER_COLUMNS)
    again = ExplorerResult.load(result.save(tmp_path))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.provenance.settings["prompt"] == PROMPT
    assert set(again.only("attn_out").table["site"]) == {"attn_out"}
    with pytest.raises(InputError, match="unknown site 'mlp_out'"):
        again.only("mlp_out")


def test_the_figure_shows_the_stream_asked_for(model):
    result = explore(model, PROMPT, top=2, sites=("resid", "attn_out"))
    for site, figure in (("resid", result.figure()), ("attn_out", result.figure("attn_out"))):
        best = result.only(site).table.query("rank == 1")
        expected = best.pivot(index="layer", columns="position", values="probability").to_numpy()
        np.testing.assert_allclose(np.array(figure.data[0].z, dtype=float), expected)


def test_parts_of_characters_are_shown_as_bytes(model):
    tokens = explore(model, "花", top=1).table.drop_duplicates("position")["token"].tolist()
    assert tokens[0] == "<s>"
    assert " ".join(tokens[1:]) == "E8 8A B1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top must be at least 1, not 0"),
        ({"top": 2**63}, "top must be at most 1,000"),
        ({"positions": [99]}, "no position 99"),
        ({"positions": "some"}, "'some'"),
        ({"positions": []}, "no position asked for"),
        ({"layers": [9]}, "layer 9 does not exist"),
        ({"layers": []}, "no layer asked for"),
        ({"layers": "last"}, "'last'"),
        ({"sites": "residual"}, "unknown site 'residual'"),
        ({"sites": ()}, "no site asked for"),
        ({"sites": "attn_out", "layers": [0]}, "layer 0 is the embeddings"),
        ({"prompt": ["a", "b"]}, "must be one text, not list"),
    ],
)
def test_bad_options_are_named(model, options, message):
    with pytest.raises(InputError, match=message):
        explore(model, **{"prompt": PROMPT, **options})


@pytest.mark.parametrize("bos", [True, False])
def test_an_empty_prompt_is_refused(bos):
    """A token that the tokenizer puts first is no text; a space is."""
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer(bos=bos), name="tiny")
    with pytest.raises(InputError, match="the prompt is empty \\(''\\); give the text to look into"):
        explore(lm, "")
    assert len(explore(lm, " ").table)


def test_streams_that_a_model_does_not_have_are_named():
    parallel = HookedLM(tiny.model("gpt-neox"), tiny.tokenizer(), name="parallel")
    with pytest.raises(InputError, match="side by side"):
        explore(parallel, PROMPT, sites="resid_mid")
    assert set(explore(parallel, PROMPT, sites="attn_out", top=1).table["layer"]) == {1, 2, 3}
