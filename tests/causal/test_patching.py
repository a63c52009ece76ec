"""Patching between languages: where a planted model has its concept and its language, and against a plain loop."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.causal import CONTROLS, PatchResult
from latentlang.causal.patching import check_pairs
from latentlang.errors import InputError, ModelError
from latentlang.models import Edit, HookedLM
from latentlang.tasks import Prompt
from tests.support.planted_lm import CONCEPT_BLOCK, DEPTH, LANGUAGE_BLOCK, as_csv, planted


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.csv"
    path.write_text(as_csv(planted()[1]), encoding="utf-8")
    return path


def run(words: Path, **options: Any) -> PatchResult:
    model, _concepts = planted()
    return ll.patch(
        model, **{"source": "es-it", "target": "de-fr", "data": words, "progress": False, **options}
    )


def curve(result: PatchResult, arm: str, concept: str, language: str) -> list[float]:
    rows = result.summary().query("arm == @arm and concept == @concept and language == @language")
    values: list[float] = rows.sort_values("layer")["mean"].round(3).tolist()
    return values


def test_the_last_token_moves_the_language_first_and_the_concept_later(words: Path) -> None:
    result = run(words)
    early, between = LANGUAGE_BLOCK - 1, CONCEPT_BLOCK - LANGUAGE_BLOCK
    late = DEPTH - CONCEPT_BLOCK + 1
    assert curve(result, "patched", "target", "fr") == pytest.approx(
        [1] * early + [0] * (between + late), abs=0.02
    )
    assert curve(result, "patched", "target", "it") == pytest.approx(
        [0] * early + [1] * between + [0] * late, abs=0.02
    )
    assert curve(result, "patched", "source", "it") == pytest.approx(
        [0] * (early + between) + [1] * late, abs=0.02
    )
    assert curve(result, "patched", "source", "fr") == pytest.approx([0] * DEPTH, abs=0.02)
    for concept, language in (("source", "it"), ("source", "fr")):
        assert max(curve(result, "wrong-concept", concept, language)) < 0.02
    assert curve(result, "own-language", "source", "fr") == pytest.approx(
        [0] * (CONCEPT_BLOCK - 1) + [1] * late, abs=0.02
    )
    assert result.settings.accuracy == 1


@pytest.mark.parametrize("source", ["es-it", "es-it,it-es"])
def test_the_word_moves_the_concept_until_it_is_fetched_and_never_the_language(
    words: Path, source: str
) -> None:
    result = run(words, source=source, at="object", layers="0-8")
    moved, after = CONCEPT_BLOCK, DEPTH - CONCEPT_BLOCK + 1
    assert curve(result, "patched", "source", "fr") == pytest.approx([1] * moved + [0] * after, abs=0.02)
    assert curve(result, "patched", "target", "fr") == pytest.approx([0] * moved + [1] * after, abs=0.02)
    for language in result.settings.read[1:]:
        assert max(curve(result, "patched", "source", language)) < 0.02
    assert max(curve(result, "wrong-concept", "source", "fr")) < 0.02
    gap = (
        result.contrast("wrong-concept")
        .query("concept == 'source' and language == 'fr' and layer == 2")
        .iloc[0]
    )
    assert gap["low"] > 0.9


TEMPLATE = (
    "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


def talking() -> HookedLM:
    """`pocket` with a chat template, which it was never shown."""
    model = ll.load("pocket")
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = TEMPLATE
    return HookedLM(model.model, tokenizer, name="talking")


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("at", ["last", "object"])
def test_it_gives_what_a_plain_loop_gives(at: str, chat: bool) -> None:
    model = talking() if chat else ll.load("pocket")
    layers = (2, 5, 8)
    result = ll.patch(
        model,
        source="es-ru",
        target="fr-de",
        at=at,
        items=4,
        layers=layers,
        controls=(),
        chat=chat,
        progress=False,
    )
    # the same with one forward for each item and layer, whole prompts, one edit each
    tasks = [ll.task("translation", source=code) for code in ("fr", "es")]
    first, second = [model.chat(task) for task in tasks] if chat else tasks
    prompts = {p.label: p for p in first.prompts("de")}
    donors = {p.label: p for p in second.prompts("ru")}
    drawn = result.table.drop_duplicates("item")[["item", "donor"]].to_numpy().tolist()
    rows = []
    for item, donor in drawn:
        ours, theirs = model.tokenize([prompts[item], donors[donor]])
        to, at_ = (len(ours.ids) - 1, len(theirs.ids) - 1)
        if at == "object":
            assert ours.question is not None and theirs.question is not None
            to, at_ = ours.question[1] - 1, theirs.question[1] - 1
        if chat:
            _check_place(model, prompts[item], to, at)
        states = model.activations([theirs], layers="all", positions=[at_]).resid[0, :, 0]
        for layer in layers:
            onwards = range(layer, model.n_layers + 1) if at == "object" else [layer]
            edits = [Edit.replace(states[number], layers=number, positions=to) for number in onwards]
            with model.edited(edits):
                logits = model.activations([ours], share_prefix=False).logits
            assert logits is not None
            rows.append(logits[0].softmax(-1))
    expected = torch.stack(rows).view(len(drawn), len(layers), -1)
    word = result.table.query("arm == 'patched' and concept == 'target' and language == 'de'")
    wide = word.pivot(index="item", columns="layer", values="value").loc[[item for item, _donor in drawn]]
    tokens = _tokens(model, drawn)
    for row, ids in enumerate(tokens):
        np.testing.assert_allclose(wide.to_numpy()[row], expected[row, :, ids].sum(-1), atol=1e-5)


def _check_place(model: HookedLM, prompt: Prompt, position: int, at: str) -> None:
    """The place that is patched, of the templated text's own offsets."""
    word = prompt.question.strip()
    start = prompt.text.rindex(word)
    assert prompt.text[prompt.text.rindex("[user]") :].count(word) == 1  # in the last turn, and nowhere after
    offsets = model.tokenizer(prompt.text, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    end = len(prompt.text) if at == "last" else start + len(word)
    assert offsets[position][0] < end <= offsets[position][1]
    assert prompt.text.endswith("[assistant] ")


def _tokens(model: Any, drawn: list[list[str]]) -> list[list[int]]:
    """Tokens that count for each item's own German word, worked out anew from the sets."""
    from latentlang.answers import token_bytes
    from latentlang.answers.sets import answer_sets

    task = ll.task("translation", source="fr")
    sets = answer_sets(
        token_bytes(model.tokenizer), {c: task.answers(c) for c in ("de", "ru")}, cue='"', scope="same"
    )
    plans = []
    for item, donor in drawn:
        own = set(sets["de", item].ids.tolist())
        others = {("ru", item), ("de", donor), ("ru", donor)}
        plans.append(sorted(own.difference(*(sets[key].ids.tolist() for key in others))))
    return plans


def test_a_chat_is_noted_and_takes_a_template(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "source": "es-ru",
        "target": "fr-de",
        "items": 1,
        "layers": [4],
        "progress": False,
    }
    result = ll.patch(talking(), **options, chat=True)
    loaded = PatchResult.load(result.save(tmp_path / "out"))
    assert loaded.settings.chat == "turns" and str(loaded.settings.chat_template).startswith("sha256 ")
    with pytest.raises(ModelError, match="no chat template"):
        ll.patch("pocket", **options, chat=True)


def test_patching_one_s_own_activation_changes_nothing() -> None:
    model = ll.load("pocket")
    result = ll.patch(model, source="fr-de", target="fr-de", items=3, layers=[3], progress=False)
    # the same languages: only the concept is another
    assert result.settings.read == ["de"]
    table = result.table.query("arm in ('patched', 'own-language')")
    wide = table.pivot(index=["item", "concept"], columns="arm", values="value")
    np.testing.assert_array_equal(wide["patched"], wide["own-language"])


def test_results_are_saved_and_say_what_was_done(words: Path, tmp_path: Path) -> None:
    result = run(words, items=5, layers="4-7")
    result.save(tmp_path / "patch")
    loaded = PatchResult.load(tmp_path / "patch")
    pd.testing.assert_frame_equal(loaded.table, result.table)
    assert loaded.settings == result.settings
    assert loaded.settings.sources == [["es", "it"]] and loaded.settings.target == ["de", "fr"]
    text = loaded.describe()
    assert "Spanish to Italian into German to French, at the last token of the prompt, 5 items" in text
    assert re.search(r"The patched-in concept in Italian: at most (1.000|0.99\d) \[", text)
    assert re.search(r"The patched-in concept in French: at most 0\.0\d\d \[", text)
    # five items tell no difference for certain, however large it is
    assert re.search(r"\] more than with a third concept's activations, which is not certain", text)
    assert "not more than" not in text
    figure = loaded.figure(arms=["patched", "random"])
    assert {trace.name for trace in figure.data if trace.name} == {"Patched", "A random change"}
    assert len(loaded.glance()) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "es"}, "'es' is no pair of languages; write input-output"),
        ({"source": []}, "no pair of languages to patch from"),
        ({"source": "es-it,es-it"}, "names a pair twice"),
        ({"source": ("es", "it", "fr")}, "'es' is no pair of languages"),
        ({"at": "first"}, "unknown place 'first'"),
        ({"controls": "none"}, "unknown control 'none'"),
        ({"items": 0}, "items"),
        ({"target": "de-xx"}, "'de-xx' is no pair of languages"),
    ],
)
def test_what_makes_no_sense_is_refused(words: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(words, **options)


def test_a_layer_that_is_not_there_is_refused(words: Path) -> None:
    with pytest.raises(ModelError, match="layer 9 does not exist"):
        run(words, layers=9)


def test_words_that_begin_alike_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    rows = [f"{code},c{n},x{code}" for code in ("de", "fr", "es", "it") for n in range(12)]
    path.write_text("lang,word_original,word_translation\n" + "\n".join(rows), encoding="utf-8")
    with pytest.raises(InputError, match="no two concepts of es-it, de-fr can be told apart"):
        run(path, items=2)


def test_pairs_are_written_in_many_ways() -> None:
    options: dict[str, Any] = {"at": "last", "controls": CONTROLS}
    assert check_pairs("es-ru", ("fr", "ja"), **options) == ([("es", "ru")], ("fr", "ja"))
    assert check_pairs(["es-ru", ("de", "it")], "French-Japanese", **options)[0] == [
        ("es", "ru"),
        ("de", "it"),
    ]
    assert check_pairs("es-ru, de-it", "fr-ja", **options)[0] == [("es", "ru"), ("de", "it")]
    assert check_pairs(("es-ru", "de-it"), "zh-Hant-ja", **options) == (
        [("es", "ru"), ("de", "it")], (ll.language("zh-Hant").code, "ja"),
    )  # fmt: skip
