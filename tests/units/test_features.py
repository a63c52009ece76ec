"""Features of a planted dictionary: found with their languages, reconstructed exactly, and told from chance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.lens import bits_per_byte
from latentlang.models import HookedLM
from latentlang.units import FeaturesResult, Sae, features
from latentlang.units.features_overlap import jaccard, overlaps
from tests.support import planted_features, tiny
from tests.support.planted_features import CODES, CONCEPT, CONCEPTS, OWN

TEXTS = planted_features.texts()
FEW: dict[str, Any] = {"groups": 5, "deals": 100, "progress": False}


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return planted_features.model()


@pytest.fixture(scope="module")
def sae() -> Sae:
    return planted_features.sae()


@pytest.fixture(scope="module")
def result(model: HookedLM, sae: Sae) -> FeaturesResult:
    return features(model, sae, TEXTS, **FEW)


def test_planted_features_are_found_with_their_languages(result: FeaturesResult) -> None:
    for place, code in enumerate(CODES):
        assert np.argsort(-result.nu()[place])[:2].tolist() == list(OWN[code])
        chosen = result.select(top=4).query("language == @code", local_dict={"code": code})
        assert set(chosen["feature"]) == set(OWN[code])
        assert (
            chosen["rate"].max() <= 0.05 and (chosen["share"] == 1).all() and (chosen["entropy"] == 0).all()
        )
        np.testing.assert_allclose(chosen["mean"], [2.0, 1.5], atol=1e-3)
        np.testing.assert_allclose(chosen["nu"], [2.0, 1.5], atol=1e-3)
        by_entropy = result.members("entropy")[place]
        assert np.flatnonzero(by_entropy).tolist() == sorted(OWN[code])
    concepts = result.entropy()[CONCEPT : CONCEPT + len(CONCEPTS)]
    np.testing.assert_allclose(concepts, np.log(len(CODES)), atol=0.05)
    summary = result.summary()
    assert summary["features"].tolist() == summary["specific"].tolist() == [2] * 4
    assert summary["stability"].tolist() == [1.0] * 4


def test_features_that_are_of_no_language_are_told_so(model: HookedLM, sae: Sae) -> None:
    """The same letters everywhere: each language is as every other."""
    draw = np.random.default_rng(0)
    same = {
        code: ["".join(draw.choice(list("abcdefghijklmnopqrst"), 12)) for _ in range(20)] for code in CODES
    }
    null = features(model, sae, same, groups=10, deals=100, splice=False, progress=False)
    assert not null.members("nu").any() and not null.members("entropy").any()
    # the authors' rule gives each language its features all the same
    assert (null.members("nu", fdr=None).sum(1) > 0).all()
    assert "no feature is more active in one language" in null.describe()


def test_the_true_dictionary_reconstructs_exactly_and_changes_nothing(
    model: HookedLM, result: FeaturesResult
) -> None:
    reconstruction = result.reconstruction()
    assert (reconstruction["r2"] > 0.9999).all() and (reconstruction["flag"] == "").all()
    assert reconstruction["spliced"].abs().max() < 1e-3 and (reconstruction["recovered"] > 0.999).all()
    plain = bits_per_byte(model, TEXTS, layers=[-1]).summary().set_index("language")["bits_per_byte"]
    np.testing.assert_allclose(reconstruction.set_index("language")["bits_per_byte"], plain, rtol=1e-6)
    # two features of the language and one of the concept at each token
    sizes = planted_features.coefficients()
    for code, row in reconstruction.set_index("language").iterrows():
        ids = [model.tokenizer(text)["input_ids"][1:] for text in TEXTS[str(code)]]
        active = sum(int((sizes[token] > 0).sum()) for text in ids for token in text)
        tokens = sum(map(len, ids))
        assert row["l0"] == pytest.approx(active / tokens) and row["tokens"] == tokens
        assert row["dead"] == pytest.approx(1 - (2 + len(CONCEPTS)) / 32)


def test_a_language_that_is_not_reconstructed_is_flagged(model: HookedLM) -> None:
    """Features of Hindi are active and write nothing."""
    poor = planted_features.sae()
    poor.tensors["W_dec"][list(OWN["hi"])] = 0
    result = features(model, poor, TEXTS, **FEW)
    rows = result.reconstruction().set_index("language")
    by_hand = 1 - result.table.groupby("language", sort=False)["error"].sum() / (
        result.table.groupby("language", sort=False)["variance"].sum()
    )
    np.testing.assert_allclose(rows["r2"], by_hand)
    assert rows.index[rows["flag"] == "unexplained"].tolist() == ["hi"] and rows.loc["hi", "spliced"] > 0.1
    assert set(result.select().query("language == 'hi'")["flag"]) == {"unexplained"}
    assert "Less than half of the variance is reconstructed in Hindi:" in result.describe()


def test_translations_share_what_was_planted(result: FeaturesResult) -> None:
    overlap = result.overlap()
    assert len(overlap) == 6 and set(overlap["n"]) == {5}
    np.testing.assert_allclose(overlap["paired"], 2 / 6)
    # of the other four paragraphs two share a concept
    np.testing.assert_allclose(overlap["unpaired"], (1 / 7 + 1 / 7 + 0 + 0) / 4)
    assert (overlap["low"] > 0).all()
    np.testing.assert_allclose(overlap["difference"], overlap["paired"] - overlap["unpaired"])


def test_unpaired_paragraphs_have_about_as_many_features() -> None:
    """Long paragraphs share much with any long one: those are what they are set against."""
    draw = np.random.default_rng(0)
    sizes = np.repeat([5, 200], 10)
    one, other = (np.stack([draw.random(400) < size / 400 for size in sizes]) for _ in range(2))
    ((_one, _other, items, paired, unpaired),) = overlaps(
        {"en": one, "de": other}, {code: [str(number) for number in range(20)] for code in ("en", "de")}
    )
    assert items == [str(number) for number in range(20)]
    assert abs((paired - unpaired).mean()) < 0.02  # nothing was planted
    assert jaccard(one, other)[np.ix_(sizes == 200, sizes == 200)].mean() > 0.3
    assert (jaccard(np.zeros((1, 3), bool), np.zeros((1, 3), bool)) == 0).all()
    assert overlaps({"en": one, "de": other}, {"en": ["1"] * 20, "de": ["2"] * 20}) == []


def test_an_edit_takes_out_exactly_what_a_feature_adds(model: HookedLM, sae: Sae) -> None:
    text, dictionary = TEXTS["de"][0], planted_features.directions()
    plain = model.activations([text], layers=[1], positions="all").resid[0, 0]
    feature = OWN["de"][0]
    others = [number for number in range(32) if number != feature]
    for value, means, left in (
        ("zero", None, 0.0), ("direction", None, 0.0), ("mean", torch.full((32,), 0.7), 0.7),
    ):  # fmt: skip
        with model.edited(sae.edit(feature, value=value, means=means)):
            edited = model.activations([text], layers=[1], positions="all").resid[0, 0]
        before, after = (rows @ dictionary.T for rows in (plain, edited))
        np.testing.assert_allclose(after[1:, feature], left, atol=1e-3)
        np.testing.assert_allclose(after[:, others], before[:, others], atol=1e-5)
    with pytest.raises(InputError, match="needs means="):
        sae.edit(feature, value="mean")
    with pytest.raises(InputError, match="has no feature 32"):
        sae.edit(32)
    with pytest.raises(InputError, match="unknown value 'half'"):
        sae.edit(1, value="half")


def test_what_the_sae_leaves_unexplained_stays(model: HookedLM) -> None:
    poor = planted_features.sae()
    poor.tensors["W_dec"][CONCEPT:] = 0
    text, dictionary = TEXTS["ja"][1], planted_features.directions()
    plain = model.activations([text], layers=[1], positions="all").resid[0, 0] @ dictionary.T
    with model.edited(poor.edit(OWN["ja"][0])):
        edited = model.activations([text], layers=[1], positions="all").resid[0, 0] @ dictionary.T
    np.testing.assert_allclose(edited[:, CONCEPT:], plain[:, CONCEPT:], atol=1e-5)
    with model.edited(poor.splice()):
        spliced = model.activations([text], layers=[1], positions="all").resid[0, 0] @ dictionary.T
    np.testing.assert_allclose(spliced[:, CONCEPT:], 0, atol=1e-4)


class Remembering:
    """As SAELens where it normalises activations: it decodes once by the size of what it encoded last."""

    d_sae = 32

    def __init__(self) -> None:
        self.inner, self.size = planted_features.sae(), torch.zeros(0)

    def encode(self, activations: torch.Tensor) -> torch.Tensor:
        self.size = activations.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        return self.inner.encode(activations / self.size)

    def decode(self, given: torch.Tensor) -> torch.Tensor:
        size, self.size = self.size, torch.zeros(0)
        return self.inner.decode(given) * (size if len(size) == len(given) else 1.0)


def test_an_object_of_another_library_is_counted_and_taken_out(
    model: HookedLM, result: FeaturesResult
) -> None:
    given = Remembering()
    counted = features(model, given, TEXTS, layer=1, splice=False, **FEW)
    assert np.array_equal(counted.counts.fires, result.counts.fires)
    assert (counted.reconstruction()["r2"] > 0.999).all()
    assert counted.settings.architecture == "Remembering"
    with pytest.raises(InputError, match="say which layer's activations Remembering takes"):
        features(model, given, TEXTS, **FEW)
    text, dictionary = TEXTS["de"][0], planted_features.directions()
    with model.edited(Sae.of(given, layer=1).edit(OWN["de"][0])):
        edited = model.activations([text], layers=[1], positions="all").resid[0, 0] @ dictionary.T
    np.testing.assert_allclose(edited[1:, OWN["de"][0]], 0, atol=1e-3)
    np.testing.assert_allclose(edited[1:, OWN["de"][1]], 1.5, atol=1e-3)


@pytest.mark.parametrize("architecture", ["mistral", "gemma3", "gpt2", "opt"])
@pytest.mark.parametrize("site", ["resid", "attn_out", "mlp_out", "mlp_post"])
def test_counts_are_those_of_encoding_what_the_model_holds(architecture: str, site: str) -> None:
    lm = HookedLM(tiny.model(architecture), tiny.tokenizer(), name="tiny")
    width = 32 if site != "mlp_post" else lm._output_projections[0][1]
    draw = torch.Generator().manual_seed(1)
    tensors = {
        "W_enc": torch.randn(width, 20, generator=draw), "W_dec": torch.randn(20, width, generator=draw),
        "b_enc": torch.randn(20, generator=draw), "b_dec": torch.randn(width, generator=draw),
    }  # fmt: skip
    sae = Sae(site=site, layer=2, architecture="standard", tensors=tensors)
    given = {
        "en": ["a cat sat", "dogs run far", "so it is"],
        "de": ["ein Hund", "die Katze lag da", "so sei es"],
    }
    result = features(lm, sae, given, groups=3, deals=5, splice=False, batch_tokens=24, progress=False)
    for place, code in enumerate(given):
        seen: list[torch.Tensor] = []
        for text in given[code]:
            if site == "mlp_post":
                projection = lm._output_projections[1][0]
                hook = projection.register_forward_pre_hook(
                    lambda _module, args, seen=seen: seen.append(args[0].reshape(-1, args[0].shape[-1])[1:])
                )
                lm.activations([text], logits=False)
                hook.remove()
            else:
                seen.append(
                    lm.activations([text], layers=[2], positions="all", sites=site).sites[site][0, 0, 1:]
                )
        rows = torch.cat(seen)
        fires = (sae.encode(rows) != 0).sum(0)
        assert torch.equal(result.counts.fires.sum(0)[place].long(), fires)
        np.testing.assert_allclose(
            result.counts.total.sum(0)[place], sae.encode(rows).sum(0), rtol=1e-4, atol=1e-3
        )
        part = result.table[result.table["language"] == code]
        np.testing.assert_allclose(
            part["error"].sum(), (rows - sae.reconstruct(rows)).square().sum(), rtol=1e-4
        )
        variance = (rows - rows.mean(0)).square().sum()
        np.testing.assert_allclose(part["variance"].sum(), variance, rtol=1e-4)


# Stopped, saved and refused


def test_a_stopped_run_repeats_no_finished_language(
    model: HookedLM, sae: Sae, result: FeaturesResult, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentlang.units import features_run

    count, ran = features_run.count_features, []

    def noted(*arguments: Any, **options: Any) -> Any:
        ran.append(1)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return count(*arguments, **options)

    monkeypatch.setattr(features_run, "count_features", noted)
    with pytest.raises(KeyboardInterrupt):
        features(model, sae, TEXTS, out=tmp_path, **FEW)
    again = features(model, sae, TEXTS, out=tmp_path, **FEW)
    assert len(ran) == 5 and again == FeaturesResult(
        result.table, again.provenance, counts=result.counts, pairs=result.pairs
    )
    # another SAE is counted anew
    with pytest.raises(AssertionError):
        ran[:] = [1, 1, 1]
        features(model, planted_features.sae(noise=[31]), TEXTS, out=tmp_path, **FEW)
        assert len(ran) == 3


def test_it_is_saved_and_read_again(result: FeaturesResult, tmp_path: Any) -> None:
    again = FeaturesResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.describe() == result.describe() and again.settings == result.settings
    pd.testing.assert_frame_equal(again.select(), result.select(), rtol=1e-6)
    pd.testing.assert_frame_equal(again.overlap(), result.overlap())
    assert result.counts.counted([TEXTS["ja"][0], "never"]) == [True, False]
    assert again.figure().data[0].z is not None and result.figure(rule="entropy").data


@pytest.mark.parametrize("damage", ["missing", "cut", "fewer", "pairs", "settings"])
def test_a_damaged_result_is_one_clear_error(damage: str, result: FeaturesResult, tmp_path: Any) -> None:
    folder = result.save(tmp_path / "out")
    counts = folder / "features.safetensors"
    if damage == "missing":
        counts.unlink()
    elif damage == "cut":
        counts.write_bytes(counts.read_bytes()[:-50])
    elif damage == "fewer":
        pd.read_parquet(folder / "result.parquet").head(3).to_parquet(folder / "result.parquet")
    elif damage == "pairs":
        (folder / "overlap.parquet").write_bytes(b"x")
    else:
        record = json.loads((folder / "metadata.json").read_text())
        record["provenance"]["settings"]["features"] = 7
        (folder / "metadata.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=str(tmp_path / "out")):
        FeaturesResult.load(folder)


def test_without_a_null_and_without_splicing(model: HookedLM, sae: Sae) -> None:
    bare = features(model, sae, TEXTS, groups=5, deals=0, splice=False, progress=False)
    assert bare.table["bits"].isna().all() and "without a null this says nothing" in bare.describe()
    assert bare.glance()["recovered"].isna().all() and bare.figure().data
    with pytest.raises(InputError, match="has no null"):
        bare.members()


def test_texts_that_it_was_trained_on_are_left_out(model: HookedLM) -> None:
    from dataclasses import replace

    from latentlang.units.neurons_result import text_number

    trained = replace(
        planted_features.sae(), texts=tuple(text_number(TEXTS[code][0]) for code in ("en", "de"))
    )
    held = features(model, trained, TEXTS, **FEW)
    assert held.table.groupby("language").size().to_dict() == {"en": 4, "de": 4, "ja": 5, "hi": 5}
    assert held.settings.trained_too == {} and held.settings.training_known
    every = features(model, trained, TEXTS, held_out=False, **FEW)
    assert (
        every.settings.trained_too == {"en": 1, "de": 1} and "was trained on paragraphs" in every.describe()
    )
    whole = replace(trained, texts=tuple(text_number(text) for text in TEXTS["en"]))
    with pytest.raises(InputError, match="trained on all 5 paragraphs in 'en'"):
        features(model, whole, TEXTS, **FEW)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ({"ja": ["a", "b"]}, {}, "at least two languages"),
        ({"ja": ["a b"], "de": ["c", "d"]}, {}, "'ja' has 1 paragraph, too few for two groups"),
        (TEXTS, {"languages": "ja,fr"}, "unknown language of these texts 'fr'"),
        (TEXTS, {"groups": 1}, "groups must be at least 2"),
        (TEXTS, {"deals": -1}, "deals must be at least 0"),
        (TEXTS, {"layer": 1}, "says where it belongs"),
        ("nowhere", {}, "does not exist"),
    ],
)
def test_what_cannot_be_counted_is_refused(
    model: HookedLM, sae: Sae, given: Any, options: Any, said: str
) -> None:
    with pytest.raises((InputError, ModelError), match=said):
        features(model, sae, given, **{**FEW, **options})


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda result: result.members("best"), "unknown rule 'best'"),
        (lambda result: result.members(top=0), "top is at least 1"),
        (lambda result: result.members(fdr=1.0), "fdr between 0 and 1"),
    ],
)
def test_what_a_result_cannot_say_is_refused(result: FeaturesResult, ask: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ask(result)


def test_an_sae_of_another_model_or_none_is_refused(model: HookedLM, tmp_path: Any) -> None:
    with pytest.raises(ModelError, match="is of a layer that 'planted features' has not"):
        features(model, planted_features.sae(layer=9), TEXTS, **FEW)
    with pytest.raises(InputError, match="is no SAE"):
        features(model, 7, TEXTS, **FEW)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="does not exist"):
        features(model, tmp_path / "nowhere", TEXTS, **FEW)
    saved = planted_features.sae().save(tmp_path / "sae")
    by_folder = features(model, saved, TEXTS, **FEW)
    assert by_folder.settings.sae == str(saved)


def test_of_two_paragraphs_there_is_no_interval(model: HookedLM, sae: Sae) -> None:
    few = features(model, sae, TEXTS, items=2, groups=2, deals=20, progress=False)
    rows = few.reconstruction()
    assert (
        rows[["low", "high", "spliced_low", "spliced_high"]].isna().all(axis=None)
        and rows["r2"].notna().all()
    )
    assert few.overlap()[["low", "high"]].isna().all(axis=None)
    assert "nan" not in few.describe() and few.figure(rule="nu").data
