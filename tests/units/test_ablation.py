"""Taking neurons out: against bits by hand, on a model of known neurons, beside matched sets, resumed and refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from latentlang.errors import InputError, ModelError
from latentlang.lens import bits_per_byte
from latentlang.models import HookedLM
from latentlang.units import NeuronAblationResult, NeuronsResult, neuron_ablation, neurons
from latentlang.units.matched import matched_set
from tests.support import tiny
from tests.support.planted_neurons import PLANTED, planted, texts

TEXTS = texts(14)
COUNTED = {code: listed[:8] for code, listed in TEXTS.items()}
HELD_OUT = {code: listed[8:] for code, listed in TEXTS.items()}
LENIENT: dict[str, Any] = {"share": 0.02, "percentile": 10, "progress": False}


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return planted(TEXTS)


@pytest.fixture(scope="module")
def counted(model: HookedLM) -> NeuronsResult:
    return neurons(model, COUNTED, groups=8, deals=50, progress=False)


@pytest.fixture(scope="module")
def result(model: HookedLM, counted: NeuronsResult) -> NeuronAblationResult:
    return neuron_ablation(model, counted, TEXTS, random=19, **LENIENT)


def test_it_is_the_difference_of_two_measurements(
    model: HookedLM, counted: NeuronsResult, result: NeuronAblationResult
) -> None:
    plain = bits_per_byte(model, HELD_OUT, layers=[-1])
    summary = result.summary().set_index(["ablated", "language"])
    for code in PLANTED:
        with model.edited(counted.edit(code, share=0.02, percentile=10)):
            edited = bits_per_byte(model, HELD_OUT, layers=[-1])
        before, after = (each.summary().set_index("language") for each in (plain, edited))
        for language in HELD_OUT:
            row = summary.loc[(code, language)]
            difference = (after - before).loc[language, "bits_per_byte"]
            assert row["effect"] == pytest.approx(difference, abs=1e-6)
            assert row["relative"] == pytest.approx(
                difference / before.loc[language, "bits_per_byte"], abs=1e-6
            )
            assert row["low"] <= row["effect"] <= row["high"] and row["n"] == 6


def test_planted_neurons_matter_for_their_language_alone_and_more_than_random_ones(
    result: NeuronAblationResult,
) -> None:
    contrasts = result.contrasts().set_index("ablated")
    for code in PLANTED:
        row = contrasts.loc[code]
        assert row["verdict"] == "specific" and row["low"] > 0 and row["p"] == row["effect_p"] == 1 / 20
        assert row["own"] > 0.02 and row["difference"] > row["random_most"]
    said = result.describe()
    assert "19 random sets each" in said and "counted too" not in said
    (japanese,) = (line for line in said.splitlines() if line.startswith("Japanese, "))
    assert japanese.endswith("specific.")
    others = contrasts.drop(index=list(PLANTED))
    assert (others["verdict"] != "specific").all()


def test_the_mean_is_put_in_place_too(model: HookedLM, counted: NeuronsResult) -> None:
    result = neuron_ablation(model, counted, TEXTS, value="mean", random=0, **LENIENT)
    with model.edited(counted.edit("hi", value="mean", share=0.02, percentile=10)):
        edited = bits_per_byte(model, HELD_OUT, layers=[-1]).table["bits"]
    rows = result.table.query("ablated == 'hi'")
    np.testing.assert_allclose(rows["bits"], edited, rtol=1e-6)
    contrasts = result.contrasts()
    assert set(contrasts["verdict"]) == {"untested"} and contrasts["p"].isna().all()
    assert "no random sets beside them" in result.describe() and result.figure().layout.shapes == ()


def test_neurons_of_some_languages_alone_are_taken_out(
    model: HookedLM, counted: NeuronsResult, result: NeuronAblationResult
) -> None:
    (code, *_others) = PLANTED
    some = neuron_ablation(model, counted, TEXTS, ablated=code, random=19, **LENIENT)
    # the same numbers, of one language's neurons over all texts
    same = result.table[result.table["ablated"] == code].reset_index(drop=True)
    pd.testing.assert_frame_equal(some.table, same)
    assert set(some.settings.neurons) == {code} and list(some.contrasts()["ablated"]) == [code]
    with pytest.raises(InputError, match="unknown language of these texts 'sw'"):
        neuron_ablation(model, counted, TEXTS, ablated="sw", **LENIENT)


def test_what_was_counted_is_held_out_unless_asked_for(model: HookedLM, counted: NeuronsResult) -> None:
    options = {"random": 0, "items": 3, **LENIENT}
    held = neuron_ablation(model, counted, TEXTS, **options)
    assert held.settings.counted_too == {} and set(held.table["item"]) == {"00009", "00010", "00011"}
    every = neuron_ablation(model, counted, TEXTS, held_out=False, **options)
    assert every.settings.counted_too == dict.fromkeys(TEXTS, 3)
    assert "were counted too" in every.describe()
    with pytest.raises(InputError, match="all 8 paragraphs in 'en' were counted"):
        neuron_ablation(model, counted, COUNTED, **options)


def test_random_sets_are_as_many_in_each_layer_about_as_active_and_of_no_language() -> None:
    draw = np.random.default_rng(0)
    activity = draw.normal(size=(3, 400))
    selected = draw.random((3, 400)) < 0.1
    own = selected & (draw.random((3, 400)) < 0.5)
    own[1] = False
    sets = [matched_set(own, selected, activity, 0, "ja", number) for number in range(10)]
    for drawn in sets:
        assert drawn.sum(1).tolist() == own.sum(1).tolist() and not (drawn & selected).any()
        for layer in (0, 2):
            one, other = np.sort(activity[layer, own[layer]]), np.sort(activity[layer, drawn[layer]])
            # but for the most active ones, of which there are no others
            assert np.median(np.abs(one - other)) < 0.15
    assert len({drawn.tobytes() for drawn in sets}) == 10
    assert np.array_equal(sets[3], matched_set(own, selected, activity, 0, "ja", 3))
    with pytest.raises(InputError, match="too many to draw random sets of others"):
        matched_set(np.ones((1, 4), bool), np.ones((1, 4), bool), activity[:1, :4], 0)


def _table(effects: dict[tuple[str, str, int], float]) -> pd.DataFrame:
    rows = [
        {
            "ablated": own, "language": language, "set": number, "item": f"{item}", "bits": plain + effect * plain,
            "plain": plain, "bytes": 100 * (1 + item),
        }
        for (own, language, number), effect in effects.items()
        for item, plain in enumerate([200.0, 400.0, 800.0])
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_numbers_and_verdicts_are_those_of_the_table(result: NeuronAblationResult) -> None:
    effects = {
        ("ja", language, number): (0.10 if language == "ja" else 0.02) if number == 0 else 0.001 * number
        for language in ("ja", "de", "en")
        for number in range(21)
    }
    settings = {
        **result.provenance.settings,
        "neurons": {"ja": 3},
        "random": 20,
        "activation": {},
        "without": ["de"],
    }
    own = replace(result, table=_table(effects), provenance=replace(result.provenance, settings=settings))
    row = own.summary().query("language == 'ja'").iloc[0]
    # bits rise by a tenth of 1400 over 600 bytes
    assert row["effect"] == pytest.approx(140 / 600) and row["relative"] == pytest.approx(0.1)
    assert row["random"] == pytest.approx(0.0105 * 1400 / 600) and row["p"] == pytest.approx(1 / 21)
    contrast = own.contrasts().iloc[0]
    assert contrast["difference"] == pytest.approx(0.08) and contrast["others"] == pytest.approx(0.02)
    assert contrast["random"] == pytest.approx(0, abs=1e-12) and contrast["verdict"] == "specific"
    said = own.describe()
    assert "Japanese, 3 neurons: its own text needs +0.2333 bits per byte" in said
    assert "+10.00% of the bits it needs, +2.00% in other languages, difference +8.00%" in said
    assert "No neuron belongs to German." in said
    few = replace(own, table=own.table.query("set < 19"))
    assert few.contrasts()["verdict"].tolist() == ["untested"] and few.summary()["p"].min() > 0.05
    assert few.describe().endswith("no p is 0.05, and nothing is called specific.")
    # random sets that do as much to the language, and to it alone
    worse = effects | {("ja", "ja", number): 0.2 for number in range(5, 8)}
    weak = replace(own, table=_table(worse))
    assert weak.contrasts()["verdict"].tolist() == ["none"]
    assert weak.summary().query("language == 'ja'")["p"].item() == pytest.approx(4 / 21)
    # as much to all of them
    general = effects | {("ja", language, 0): 0.1 for language in ("de", "en")}
    assert replace(own, table=_table(general)).contrasts()["verdict"].tolist() == ["effect"]
    # the neurons were far more active than what was there to draw from
    far = replace(own.provenance, settings={**settings, "activation": {"ja": [3.0, 1.0]}})
    assert "Random sets of Japanese are far less active" in replace(own, provenance=far).describe()


def test_a_stopped_run_goes_on_and_ends_the_same(
    model: HookedLM, counted: NeuronsResult, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"random": 2, "items": 2, **LENIENT}
    whole = neuron_ablation(model, counted, TEXTS, **options)
    passes: list[int] = []
    run = HookedLM.iter_activations

    def noted(self: HookedLM, prompts: Any, **options: Any) -> Any:
        passes.append(1)
        if len(passes) == 6:
            raise KeyboardInterrupt
        return run(self, prompts, **options)

    monkeypatch.setattr(HookedLM, "iter_activations", noted)
    with pytest.raises(KeyboardInterrupt):
        neuron_ablation(model, counted, TEXTS, out=tmp_path, **options)
    again = neuron_ablation(model, counted, TEXTS, out=tmp_path, **options)
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
    ablated = whole.table["ablated"].nunique()
    # of the second run: the model as it is, and the sets that the first had not done (it had done four)
    assert len(passes) == 6 + 1 + 3 * ablated - 4
    passes[:] = [1] * 6
    neuron_ablation(model, counted, TEXTS, out=tmp_path, **{**options, "value": "mean"})
    assert len(passes) == 6 + 1 + 3 * ablated


def test_it_is_saved_read_again_and_drawn(result: NeuronAblationResult, tmp_path: Any) -> None:
    again = NeuronAblationResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.summary(), result.summary())
    assert again.describe() == result.describe() and again.settings == result.settings
    figure = again.figure()
    trace, beside = figure.data
    summary = result.summary()
    expected = summary.pivot(index="ablated", columns="language", values="effect")
    rows, columns = list(dict.fromkeys(summary["ablated"])), list(dict.fromkeys(summary["language"]))
    np.testing.assert_allclose(np.array(trace.z, float), expected.loc[rows, columns])
    contrasts = result.contrasts().set_index("ablated")
    for code, (text,) in zip(rows, beside.text, strict=True):
        assert text.startswith("<b>") == (contrasts.loc[code, "verdict"] == "specific")
        assert f"{100 * abs(contrasts.loc[code, 'difference']):.1f} [" in text
    framed = {(int(shape.y0 + 0.5), int(shape.x0 + 0.5)) for shape in figure.layout.shapes}
    above = summary[summary["p"] <= 0.05]
    assert framed == {
        (rows.index(row["ablated"]), columns.index(row["language"])) for row in above.to_dict("records")
    }
    assert "19 random sets beside each" in figure.layout.title.subtitle.text
    broken = replace(result, table=pd.concat([result.table, result.table.head(1)]))
    assert broken.fault()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"value": "one"}, "unknown value 'one'"),
        ({"random": -1}, "random must be at least 0"),
        ({"items": 0}, "items must be at least 1"),
        ({"rule": "best"}, "unknown rule 'best'"),
        ({"languages": "fr"}, "unknown language of these texts 'fr'"),
        ({"languages": "en", "share": 0.01}, "no neuron belongs to en by the rule 'fdr'"),
    ],
)
def test_what_cannot_be_taken_out_is_refused(
    model: HookedLM, counted: NeuronsResult, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        neuron_ablation(model, counted, TEXTS, **{**LENIENT, **options})


def test_another_model_is_refused(counted: NeuronsResult) -> None:
    other = HookedLM(tiny.model("mistral", num_hidden_layers=2), tiny.tokenizer(), name="other")
    with pytest.raises(ModelError, match="of 3 layers, and this model has 2"):
        neuron_ablation(other, counted, TEXTS, **LENIENT)


def test_a_language_that_was_not_counted_is_refused(model: HookedLM, counted: NeuronsResult) -> None:
    with pytest.raises(InputError, match="unknown language of these neurons 'fr'"):
        neuron_ablation(
            model, counted, {**TEXTS, "fr": ["un mot", "deux mots"]}, languages="fr,ja", **LENIENT
        )


def _retrained(model: HookedLM) -> HookedLM:
    other = planted(TEXTS)
    with torch.no_grad():
        other.lm.lm_head.weight.mul_(1.01)
    return other


def test_a_model_of_the_same_layers_and_other_weights_is_refused(
    model: HookedLM, counted: NeuronsResult, tmp_path: Any
) -> None:
    other = _retrained(model)
    with pytest.raises(ModelError, match="has other weights here"):
        neuron_ablation(other, counted, TEXTS, random=0, **LENIENT)
    edit = counted.edit("ja", share=0.02, percentile=10)
    with pytest.raises(ModelError, match="other weights"), other.edited(edit):
        pass
    with model.edited(edit):
        pass
    # also of counts that were saved; of those of before, which do not say, nothing is known
    again = NeuronsResult.load(counted.save(tmp_path / "counts"))
    assert again.settings.model_weights == counted.settings.model_weights is not None
    with pytest.raises(ModelError, match="has other weights here"):
        neuron_ablation(other, again, TEXTS, random=0, **LENIENT)
    known = {
        name: value for name, value in counted.provenance.settings.items() if not name.startswith("model_")
    }
    old = replace(counted, provenance=replace(counted.provenance, settings=known))
    with other.edited(old.edit("ja", share=0.02, percentile=10)):
        pass


def test_counts_with_an_adapter_on_are_not_taken_out_with_it_off(model: HookedLM) -> None:
    tuned = HookedLM(tiny.adapted(planted(TEXTS).lm), tiny.tokenizer(), name="tuned")
    counts = neurons(tuned, COUNTED, groups=8, deals=50, progress=False)
    options: dict[str, Any] = {**LENIENT, "rule": "lape", "random": 0}
    assert len(neuron_ablation(tuned, counts, TEXTS, **options).table)
    with tuned.base(), pytest.raises(ModelError, match=r"counted with the adapter .* has no adapter on here"):
        neuron_ablation(tuned, counts, TEXTS, **options)


def test_of_two_paragraphs_there_is_no_interval_and_nothing_is_called_an_effect(
    model: HookedLM, counted: NeuronsResult
) -> None:
    few = neuron_ablation(model, counted, HELD_OUT, items=2, random=19, **LENIENT)
    summary, contrasts = few.summary(), few.contrasts()
    assert summary[["low", "high"]].isna().all(axis=None) and contrasts[["low", "high"]].isna().all(axis=None)
    assert (contrasts["verdict"] == "none").all() and "no interval" in few.describe()
    assert "nan" not in few.describe() and few.figure().data
