"""Training an SAE: it finds a planted dictionary, the same for the same seed, stopped or not; and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.units import Sae, features, read_sae, sae_training, train_sae
from tests.support import planted_features, tiny
from tests.support.parallel import PARAGRAPHS

SMALL: dict[str, Any] = {"layer": 1, "features": 24, "k": 4, "batch": 64, "steps": 40, "progress": False}


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def trained(model: HookedLM) -> Sae:
    return train_sae(model, PARAGRAPHS, **SMALL)


def test_what_was_planted_is_reconstructed_and_language_is_found() -> None:
    model, texts = planted_features.model(), planted_features.texts(15)
    sae = train_sae(
        model, {code: listed[:10] for code, listed in texts.items()}, layer=1, features=24, k=4, batch=128, steps=600,
        learning_rate=5e-3, progress=False,
    )  # fmt: skip
    assert sae.about["training"]["r2"] > 0.99
    result = features(model, sae, texts, groups=5, deals=50, progress=False)
    assert (result.reconstruction()["r2"] > 0.99).all()
    assert (result.table.groupby("language").size() == 5).all()  # what it was trained on is left out
    # the two features of a language are always active together, which is one direction to whoever does not know
    dictionary = planted_features.directions()
    for code in planted_features.CODES:
        first, second = planted_features.OWN[code]
        planted = torch.nn.functional.normalize(2.0 * dictionary[first] + 1.5 * dictionary[second], dim=0)
        (row,) = result.select(top=1).query("language == @code", local_dict={"code": code}).to_dict("records")
        assert float(sae.directions([row["feature"]])[0] @ planted) > 0.5
        assert row["entropy"] < 0.01 and row["share"] > 0.99


def test_directions_are_of_length_one_and_nothing_of_the_model_changes(model: HookedLM, trained: Sae) -> None:
    np.testing.assert_allclose(trained.directions().norm(dim=-1), 1, atol=1e-5)
    assert (trained.site, trained.layer, trained.architecture, trained.k) == ("resid", 1, "topk", 4)
    assert not model._interventions._edits and all(p.grad is None for p in model.model.parameters())
    assert len(trained.texts) == sum(map(len, PARAGRAPHS.values()))
    rows = torch.cat([
        model.activations([text], layers=[1], positions="all").resid[0, 0, 1:]
        for listed in PARAGRAPHS.values() for text in listed
    ])  # fmt: skip
    assert trained.about["training"]["tokens"] == len(rows)
    active = (trained.encode(rows) != 0).sum(-1)
    assert int(active.max()) <= 4
    error = (rows - trained.reconstruct(rows)).square().sum() / (rows - rows.mean(0)).square().sum()
    assert 1 - float(error) == pytest.approx(trained.about["training"]["r2"], abs=0.25)


def test_the_same_seed_gives_the_same_and_longer_training_more(model: HookedLM, trained: Sae) -> None:
    assert train_sae(model, PARAGRAPHS, **SMALL).identity == trained.identity
    assert train_sae(model, PARAGRAPHS, **{**SMALL, "seed": 1}).identity != trained.identity
    longer = train_sae(model, PARAGRAPHS, **{**SMALL, "steps": 400})
    assert longer.about["training"]["r2"] > trained.about["training"]["r2"]


def test_features_that_were_never_active_are_brought_back(
    model: HookedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SMALL, "features": 200, "k": 2, "steps": 300}
    brought_back = train_sae(model, PARAGRAPHS, **options).about["training"]
    monkeypatch.setattr(sae_training, "_DEAD_PASSES", 10**9)
    left = train_sae(model, PARAGRAPHS, **options).about["training"]
    assert left["dead"] > 0.2 > 0.1 > brought_back["dead"] and brought_back["r2"] > left["r2"] + 0.05


def test_a_stopped_training_goes_on_to_the_same(
    model: HookedLM, trained: Sae, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sae_training, "_KEEP_EVERY", -1)
    learn, learned = sae_training._Training._learn, []

    def stopping(self: Any) -> None:
        learned.append(self.step)
        if len(learned) == 20:
            raise KeyboardInterrupt
        learn(self)

    monkeypatch.setattr(sae_training._Training, "_learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_sae(model, PARAGRAPHS, out=tmp_path, **SMALL)
    read: list[int] = []
    monkeypatch.setattr(sae_training, "_activations", lambda *_a, **_o: read.append(1))
    again = train_sae(model, PARAGRAPHS, out=tmp_path, **SMALL)
    assert learned == [*range(20), *range(19, 40)] and not read
    assert again.identity == trained.identity
    assert train_sae(model, PARAGRAPHS, out=tmp_path, **SMALL).identity == trained.identity
    assert len(learned) == 41
    # what a kill cut short is begun again
    state = next(tmp_path.rglob("state.safetensors"))
    state.write_bytes(state.read_bytes()[:1000])
    assert train_sae(model, PARAGRAPHS, out=tmp_path, **SMALL).identity == trained.identity


def test_no_more_tokens_are_read_than_asked_for(model: HookedLM) -> None:
    few = train_sae(model, PARAGRAPHS, **{**SMALL, "tokens": 80})
    assert few.about["training"]["tokens"] == 80


def test_it_is_saved_and_read_with_where_it_came_from(trained: Sae, tmp_path: Any) -> None:
    again = read_sae(trained.save(tmp_path / "sae"))
    assert again.identity == trained.identity and again.texts == trained.texts
    assert again.about["training"] == trained.about["training"] and again.about["model"] == "tiny"
    assert dataclasses.replace(again, source="").layer == 1


@pytest.mark.parametrize("site", ["attn_out", "mlp_out", "mlp_post"])
def test_other_sites_are_trained_on(model: HookedLM, site: str) -> None:
    sae = train_sae(model, PARAGRAPHS, **{**SMALL, "layer": 2, "site": site, "steps": 5})
    assert (sae.site, sae.d_model) == (site, 48 if site == "mlp_post" else 32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 25}, "k=25 features cannot be active of 24"),
        ({"k": 0}, "k must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"layer": 4}, "has no layer 4 in 'tiny'; it has 0 to 3"),
        ({"layer": 0, "site": "mlp_out"}, "'mlp_out' has no layer 0"),
        ({"site": "nowhere"}, "unknown site 'nowhere'"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"tokens": 4}, "the texts have 4 tokens, too few"),
        ({"languages": "fr"}, "unknown language of these texts 'fr'"),
    ],
)
def test_what_cannot_be_trained_is_refused(model: HookedLM, options: Any, said: str) -> None:
    with pytest.raises((InputError, ModelError), match=said):
        train_sae(model, PARAGRAPHS, **{**SMALL, **options})
