"""Taking features out: against bits by hand, on a model of known features, beside matched sets, resumed and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.lens import bits_per_byte
from latentlang.models import HookedLM
from latentlang.units import FeatureAblationResult, FeaturesResult, feature_ablation, features
from tests.support import planted_features, tiny
from tests.support.planted_features import CODES, OWN

TEXTS = planted_features.texts(15)
COUNTED = {code: listed[:10] for code, listed in TEXTS.items()}
HELD_OUT = {code: listed[10:] for code, listed in TEXTS.items()}
SAE = planted_features.sae()


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return planted_features.model()


@pytest.fixture(scope="module")
def counted(model: HookedLM) -> FeaturesResult:
    return features(model, SAE, COUNTED, groups=5, deals=50, splice=False, progress=False)


@pytest.fixture(scope="module")
def result(model: HookedLM, counted: FeaturesResult) -> FeatureAblationResult:
    return feature_ablation(model, SAE, counted, TEXTS, random=19, progress=False)


def test_it_is_the_difference_of_two_measurements(model: HookedLM, result: FeatureAblationResult) -> None:
    plain = bits_per_byte(model, HELD_OUT, layers=[-1]).summary().set_index("language")["bits_per_byte"]
    summary = result.summary().set_index(["ablated", "language"])
    for code in CODES:
        with model.edited(SAE.edit(OWN[code])):
            edited = bits_per_byte(model, HELD_OUT, layers=[-1]).summary().set_index("language")
        for language in CODES:
            row = summary.loc[(code, language)]
            # the planted beginning of text has no feature, so that to edit it changes nothing
            assert row["effect"] == pytest.approx(
                edited.loc[language, "bits_per_byte"] - plain[language], abs=1e-5
            )
            assert row["low"] <= row["effect"] <= row["high"] and row["n"] == 5


def test_planted_features_matter_for_their_language_alone_and_more_than_random_ones(
    result: FeatureAblationResult,
) -> None:
    contrasts = result.contrasts().set_index("ablated")
    assert contrasts["features"].tolist() == [2] * 4 and result.settings.features == dict.fromkeys(CODES, 2)
    for code in CODES:
        row = contrasts.loc[code]
        assert row["verdict"] == "specific" and row["low"] > 0 and row["p"] == row["effect_p"] == 1 / 20
        assert row["own"] > 0.05 and abs(row["others"]) < 1e-4
    said = result.describe()
    assert "Features of 4 languages taken out" in said and "as many features, about as active" in said
    assert "counted too" not in said and "Hindi, 2 features:" in said
    assert result.figure().data[0].z is not None


@pytest.mark.parametrize("value", ["mean", "direction"])
def test_other_values_are_put_in_place(model: HookedLM, counted: FeaturesResult, value: str) -> None:
    import torch

    ablated = feature_ablation(model, SAE, counted, TEXTS, value=value, random=0, top=1, progress=False)
    means = torch.from_numpy(counted.means().mean(0))
    feature = int(counted.select(top=1).set_index("language").loc["hi", "feature"])
    positions = [list(range(1, len(model.tokenizer(text)["input_ids"]))) for text in HELD_OUT["hi"]]
    with model.edited(SAE.edit([feature], value=value, means=means, positions=positions)):
        edited = bits_per_byte(model, {"hi": HELD_OUT["hi"]}, layers=[-1]).table["bits"]
    rows = ablated.table.query("ablated == 'hi' and language == 'hi'")
    np.testing.assert_allclose(rows["bits"], edited, rtol=1e-5)
    assert set(ablated.contrasts()["verdict"]) == {"untested"}


def test_a_stopped_run_repeats_no_finished_set(
    model: HookedLM, counted: FeaturesResult, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentlang.units import ablation_sets

    run, ran = ablation_sets.bits_of_texts, []

    def noted(*arguments: Any, **options: Any) -> Any:
        ran.append(1)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return run(*arguments, **options)

    monkeypatch.setattr(ablation_sets, "bits_of_texts", noted)
    options: dict[str, Any] = {"random": 1, "languages": "en,hi", "out": tmp_path, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        feature_ablation(model, SAE, counted, TEXTS, **options)
    again = feature_ablation(model, SAE, counted, TEXTS, **options)
    # the model as it is, then two sets of the first language and one that was stopped; then as it is, and what is left
    assert len(ran) == 4 + 1 + 2
    straight = feature_ablation(model, SAE, counted, TEXTS, **{**options, "out": None})
    pd.testing.assert_frame_equal(again.table, straight.table, check_exact=True)


def test_it_is_saved_and_read_again(result: FeatureAblationResult, tmp_path: Any) -> None:
    again = FeatureAblationResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.describe() == result.describe() and again.settings == result.settings


def test_what_cannot_be_taken_out_is_refused(model: HookedLM, counted: FeaturesResult) -> None:
    options: dict[str, Any] = {"random": 0, "progress": False}
    with pytest.raises(InputError, match="all 10 paragraphs in 'en' were counted"):
        feature_ablation(model, SAE, counted, COUNTED, **options)
    with pytest.raises(InputError, match="is not the SAE whose features were counted"):
        feature_ablation(model, planted_features.sae(noise=[30]), counted, TEXTS, **options)
    with pytest.raises(InputError, match="unknown value 'half'"):
        feature_ablation(model, SAE, counted, TEXTS, value="half", **options)
    with pytest.raises(InputError, match="unknown rule 'best'"):
        feature_ablation(model, SAE, counted, TEXTS, rule="best", **options)
    with pytest.raises(ModelError, match="of 3 layers"):
        deeper = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="tiny")
        deeper.n_layers = 5
        feature_ablation(deeper, SAE, counted, TEXTS, **options)
    other = planted_features.model()
    with torch.no_grad():
        other.lm.lm_head.weight.mul_(1.01)
    with pytest.raises(ModelError, match=r"the features were counted in .* has other weights here"):
        feature_ablation(other, SAE, counted, TEXTS, **options)
    same = dict.fromkeys(CODES, TEXTS["en"])
    null = features(model, SAE, same, items=10, groups=5, deals=50, splice=False, progress=False)
    with pytest.raises(InputError, match="no feature belongs to"):
        feature_ablation(model, SAE, null, same, held_out=False, **options)
