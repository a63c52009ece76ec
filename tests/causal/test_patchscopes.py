"""Patchscopes: a planted model of which it is known what its activations hold, and a plain loop."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.answers import token_bytes
from latentlang.answers.sets import answer_sets
from latentlang.causal import PatchscopeResult
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.provenance import Provenance
from latentlang.stats.intervals import difference_of_shares, share_means, wilson
from tests.support.planted_lm import CONCEPT_BLOCK, DEPTH, as_csv, planted


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.csv"
    path.write_text(as_csv(planted()[1]), encoding="utf-8")
    return path


@pytest.fixture
def model() -> HookedLM:
    """The planted model, which takes ``x`` for a word that says nothing."""
    model, _concepts = planted()
    (token,) = model.tokenizer("x", add_special_tokens=False)["input_ids"]
    words: Any = model.model.words
    words[token] = True
    return model


def run(model: HookedLM, words: Path, **options: Any) -> PatchscopeResult:
    given: dict[str, Any] = {
        "source": "es-it",
        "data": words,
        "read": "de,fr,es,it",
        "progress": False,
    } | options
    return ll.patchscope(model, **given)


def curve(result: PatchscopeResult, arm: str, language: str = "it") -> list[float]:
    rows = result.summary().query("arm == @arm and language == @language")
    return list(rows.sort_values(["layer", "into_layer"])["mean"])


def test_the_word_s_concept_is_said_in_every_language_alike_while_it_is_still_fetched(
    model: HookedLM, words: Path
) -> None:
    result = run(model, words, at="object", layers="0-8")
    # no language is asked for in an identity prompt: each has its share
    expected = [0.25] * CONCEPT_BLOCK + [0] * (DEPTH + 1 - CONCEPT_BLOCK)
    for language in ("de", "fr", "es", "it"):
        assert curve(result, "patched", language) == pytest.approx(expected, abs=0.01)
        for control in ("wrong-concept", "unpatched"):
            assert max(curve(result, control, language)) < 0.01
        assert max(curve(result, "random", language)) < 0.05
    gap = result.contrast().query("language == 'it' and layer == 2").iloc[0]
    assert gap["low"] > 0.23 and gap["p"] < 0.01


def test_the_answer_s_place_holds_the_concept_from_its_block_on(model: HookedLM, words: Path) -> None:
    result = run(model, words, at="last", layers="1-8", into_layers="0-8", controls="wrong-concept", items=4)
    means = result.summary().query("language == 'fr'").set_index(["arm", "layer", "into_layer"])["mean"]
    for layer in range(1, DEPTH + 1):
        for into in range(DEPTH + 1):
            said = 0.25 if layer >= CONCEPT_BLOCK and into < CONCEPT_BLOCK else 0.0
            assert means["patched", layer, into] == pytest.approx(said, abs=0.01), (layer, into)
            assert means["wrong-concept", layer, into] == pytest.approx(0, abs=0.01)
    # put into the layer that it comes from, it is there too late
    assert max(curve(run(model, words, items=4), "patched")) < 0.01


def test_a_text_of_one_s_own_says_which_language_is_asked_for(model: HookedLM, words: Path) -> None:
    # the planted model answers in the language that was named last
    result = run(model, words, at="object", layers=2, into=f'{ll.language("fr").own_name}: "{{}}" - "')
    assert curve(result, "patched", "fr") == pytest.approx([1.0], abs=0.02)
    assert curve(result, "patched", "it") == pytest.approx([0.0], abs=0.02)


def test_items_that_a_text_names_are_left_out(model: HookedLM, words: Path) -> None:
    named = planted()[1][0].words["de"]
    result = run(model, words, layers=2, into=f'"{named}" - "{{}}" - "')
    assert result.settings.left_out == 1 and result.settings.items == 7  # 4 of 12 are shots
    assert "c0" not in set(result.table["item"])


def test_it_gives_what_a_plain_loop_gives() -> None:
    model = ll.load("pocket")
    result = ll.patchscope(
        model, source="es-ru,fr-ru", at="object", items=3, layers="3,6", into_layers="2,3", read="ru,de",
        controls="wrong-concept", progress=False,
    )  # fmt: skip
    donors = [
        {prompt.label: prompt for prompt in ll.task("translation", source=code).prompts("ru")} for code in ("es", "fr")
    ]  # fmt: skip
    answers = {code: ll.task("translation", source="es").answers(code) for code in ("ru", "de")}
    sets = answer_sets(token_bytes(model.tokenizer), answers, cue='"', scope="same")
    lm = model.model
    pairs = result.table.drop_duplicates("item")[["item", "other"]].to_numpy().tolist()
    assert len(pairs) == 3
    for item, other in pairs:
        states = {}
        for name in (item, other):
            each = []
            for prompts in donors:
                (donor,) = model.tokenize([prompts[name]])
                assert donor.question is not None
                output = lm(torch.tensor([list(donor.ids)]), output_hidden_states=True, use_cache=False)
                each.append([state[0, donor.question[1] - 1] for state in output.hidden_states])
            states[name] = [torch.stack(parts).mean(0) for parts in zip(*each, strict=True)]
        text, start = _identity_prompt(result, item)
        (ours,) = model.tokenize([text])
        offsets = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        (at,) = [place for place, (first, last) in enumerate(offsets) if first <= start < last]
        for arm, name in (("patched", item), ("wrong-concept", other)):
            for layer, into in itertools.product((3, 6), (2, 3)):
                probs = _replaced(lm, list(ours.ids), into, at, states[name][layer])
                cell = (result.table["arm"] == arm) & (result.table["layer"] == layer)
                cell &= (result.table["item"] == item) & (result.table["into_layer"] == into)
                rows = result.table[cell].set_index("language")["value"]
                for code in ("ru", "de"):
                    others = {(one, label) for one in ("ru", "de") for label in (item, other)} - {
                        (code, item)
                    }
                    ids = set(sets[code, item].ids.tolist()).difference(
                        *(sets[key].ids.tolist() for key in others)
                    )
                    assert rows[code] == pytest.approx(float(probs[sorted(ids)].sum()), abs=1e-5)


def _replaced(lm: Any, ids: list[int], block: int, at: int, value: torch.Tensor) -> torch.Tensor:
    """Next-token probabilities with another activation after a block."""

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[0, at] = value
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = lm.model.layers[block - 1].register_forward_hook(hook)
    with torch.no_grad():
        probs: torch.Tensor = lm(torch.tensor([ids]), use_cache=False).logits[0, -1].softmax(-1)
    handle.remove()
    return probs


def _identity_prompt(result: PatchscopeResult, item: str) -> tuple[str, int]:
    """The prompt as written down here, and the place of its x."""
    from latentlang.seeding import shuffled

    answers = {code: ll.task("translation", source="es").answers(code) for code in ("ru", "de")}
    labels = [prompt.label for prompt in ll.task("translation", source="es").prompts("ru")]
    both = {prompt.label for prompt in ll.task("translation", source="fr").prompts("ru")}
    candidates = [one for one in labels if one in both and all(one in answers[code] for code in answers)]
    (other,) = set(result.table.query("item == @item")["other"])
    order = shuffled([one for one in candidates if one != item], "patchscope", 0, item)
    chosen = [one for one in order if one != other][:6]
    drawn = [answers[("ru", "de")[place % 2]][one][0] for place, one in enumerate(chosen)]
    lines = [f'"{word}" - "{word}"\n' for word in shuffled(drawn, "patchscope-examples", 0, item)]
    before = "".join(lines) + '"'
    return before + 'x" - "', len(before)


def test_layers_and_items_do_not_depend_on_others() -> None:
    model = ll.load("pocket")
    options: dict[str, Any] = {"source": "es-ru", "read": "ru", "progress": False}
    every = ll.patchscope(model, **options, items=3, layers="2-5").table
    few = ll.patchscope(model, **options, items=2, layers=4).table
    keys = ["item", "other", "arm", "layer", "into_layer", "language"]
    merged = few.merge(every, on=keys)
    assert len(merged) == len(few) > 0
    np.testing.assert_allclose(merged["value_x"], merged["value_y"], rtol=1e-3, atol=1e-6)


def test_it_is_saved_told_and_drawn(model: HookedLM, words: Path, tmp_path: Path) -> None:
    result = run(model, words, at="object", items=6, layers="2,7", read="it,fr")
    loaded = PatchscopeResult.load(result.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(loaded.table, result.table)
    assert loaded.settings == result.settings and loaded.settings.into_layers is None
    said = loaded.describe()
    assert "Spanish to Italian, the last token of the word to translate, put into an identity prompt" in said
    assert "The concept's word in French: at most 0.248 [" in said and "after layer 2; 0.00" in said
    assert "more than with another concept's activation." in said and "not more" not in said
    figure = loaded.figure()
    assert {trace.name for trace in figure.data if trace.name} == {
        "Patched", "Unpatched", "Another concept", "A random change",
    }  # fmt: skip
    grid = run(model, words, at="object", items=3, layers="2,7", into_layers="1-8", read="it,fr")
    maps = grid.figure().data
    assert [len(trace.z) for trace in maps] == [8, 8]
    assert np.array(maps[0].z)[:, 0] == pytest.approx([0.25] * 5 + [0] * 3, abs=0.01)
    with pytest.raises(InputError, match="shows one arm, not patched, random"):
        grid.figure(arms=["patched", "random"])
    assert "into layer" in grid.describe() and "pairs of layers" in grid.describe()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "es"}, "'es' is no pair of languages"),
        ({"into": "x"}, r"into='x': give 'identity', or a text in which {} stands once"),
        ({"into": "{} {}"}, "stands once"),
        ({"at": "first"}, "unknown place 'first'"),
        ({"controls": "own-language"}, "unknown control 'own-language'"),
        ({"read": "xx"}, "xx"),
        ({"items": 0}, "items"),
    ],
)
def test_what_makes_no_sense_is_refused(
    model: HookedLM, words: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(model, words, **options)


def test_a_layer_that_is_not_there_is_refused(model: HookedLM, words: Path) -> None:
    with pytest.raises(ModelError, match="layer 9 does not exist"):
        run(model, words, into_layers=9)


# Intervals of few items


def _table(values: dict[str, list[float]]) -> PatchscopeResult:
    rows = [
        (f"i{item}", "other", arm, 3, 3, "it", value)
        for arm, of_arm in values.items()
        for item, value in enumerate(of_arm)
    ]
    provenance = Provenance(model="m", task="translation", languages=("it",), settings={})
    return PatchscopeResult(pd.DataFrame(rows, columns=list(PatchscopeResult.columns)), provenance)


@pytest.mark.parametrize(
    ("patched", "wrong"),
    [([0.75], [0.25]), ([0.75, 0.5], [0.25, 0.0]), ([1.0] * 9, [0.0] * 9), ([0.5] * 9, [0.5] * 9)],
)
def test_an_interval_of_few_or_of_equal_items_is_no_point(patched: list[float], wrong: list[float]) -> None:
    result = _table({"patched": patched, "unpatched": [0.0] * len(patched), "wrong-concept": wrong})
    rows = result.summary().set_index("arm")
    n = len(patched)
    for arm, values in (("patched", patched), ("unpatched", [0.0] * n), ("wrong-concept", wrong)):
        assert tuple(rows.loc[arm, ["low", "high"]]) == pytest.approx(wilson(sum(values), n))
        assert rows.loc[arm, "low"] < rows.loc[arm, "high"]
    (row,) = result.contrast().to_dict("records")
    ends = difference_of_shares(float(np.mean(patched)), float(np.mean(wrong)), n)
    assert (row["low"], row["high"]) == pytest.approx(ends) and row["low"] < row["mean"]


def test_an_interval_of_items_that_differ_is_a_bootstrap() -> None:
    values = [0.1, 0.4, 0.9, 0.2]
    row = _table({"patched": values, "unpatched": [0.0] * 4}).summary().set_index("arm").loc["patched"]
    low, high = share_means(np.array(values)[:, None])
    assert low[0] == 0 < high[0] < 1
    assert (row["low"], row["high"]) == pytest.approx((low[0], high[0]))
