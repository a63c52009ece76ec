"""Bits per byte: against a slow definition from the model's own logits, and what a uniform model must give."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.figures.bits import bits_figure
from latentlang.lens import BitsResult, bits_per_byte
from latentlang.models import HookedLM, readout
from latentlang.models.finished_languages import finished_names
from tests.support import tiny
from tests.support.parallel import PARAGRAPHS, lines_folder

TEXTS = {code: PARAGRAPHS[code] for code in ("en", "ja", "hi")}


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


def _slow(model, text):
    """``[layer]`` bits of a text from the model's norm and head by hand, one token after the other; layers 1 to L."""
    ids = model.tokenizer(text)["input_ids"]
    norm, head = model.model.model.norm, model.model.lm_head
    bits = np.zeros(model.n_layers)
    with torch.no_grad():
        out = model.model(torch.tensor([ids]), output_hidden_states=True)
        for place in range(1, len(ids)):
            inner = [head(norm(states[0, place - 1])) for states in out.hidden_states[1:-1]]
            logits = torch.stack([*inner, out.logits[0, place - 1]]).double()
            bits -= logits.log_softmax(-1)[:, ids[place]].numpy() / math.log(2)
    return bits, len(ids) - 1


@pytest.mark.parametrize("chunk", [None, 300])
def test_it_is_the_definition_token_by_token(model, chunk, monkeypatch):
    if chunk is not None:  # several chunks of the vocabulary
        monkeypatch.setattr(readout, "CPU_CHUNK_ELEMENTS", chunk)
    result = bits_per_byte(model, TEXTS, batch_tokens=64)
    for code, texts in TEXTS.items():
        for number, text in enumerate(texts, 1):
            rows = result.table.query(
                "language == @code and item == @item", local_dict={"code": code, "item": f"{number:05}"}
            )
            bits, tokens = _slow(model, text)
            assert rows["layer"].tolist() == list(range(1, model.n_layers + 1))
            np.testing.assert_allclose(rows["bits"], bits, rtol=1e-5)
            assert set(rows["tokens"]) == {tokens} and set(rows["bytes"]) == {len(text.encode())}


def test_a_uniform_model_needs_log2_of_the_vocabulary_for_each_token():
    lm = tiny.model("mistral", tied=False)
    torch.nn.init.zeros_(lm.lm_head.weight)
    uniform = HookedLM(lm, tiny.tokenizer(), name="uniform")
    summary = bits_per_byte(uniform, TEXTS).summary()
    np.testing.assert_allclose(summary["bits_per_token"], math.log2(uniform.vocab_size), rtol=1e-6)
    np.testing.assert_allclose(summary["perplexity"], uniform.vocab_size, rtol=1e-5)  # of a uniform guess
    expected = summary["tokens"] * math.log2(uniform.vocab_size) / summary["bytes"]
    np.testing.assert_allclose(summary["bits_per_byte"], expected, rtol=1e-6)


def test_the_beginning_token_is_not_scored_and_without_one_neither_is_the_first(model):
    plain = HookedLM(tiny.model("mistral"), tiny.tokenizer(bos=False), name="plain")
    text = TEXTS["en"][2]
    ids = plain.tokenizer(text)["input_ids"]
    row = bits_per_byte(plain, [text]).table.iloc[-1]
    first = len(plain.tokenizer.decode(ids[:1]))
    assert row["tokens"] == len(ids) - 1 and row["bytes"] == len(text.encode()) - first
    with_bos = bits_per_byte(model, [text]).table.iloc[-1]
    assert with_bos["tokens"] == len(ids) and with_bos["bytes"] == len(text.encode())


def test_the_interval_is_over_paragraphs_and_the_mean_weighs_bytes(model):
    result = bits_per_byte(model, TEXTS)
    summary, last = result.summary(), result.table.query("layer == layer.max()")
    for code, part in last.groupby("language"):
        row = summary.query("language == @code and layer == layer.max()", local_dict={"code": code}).iloc[0]
        assert row["bits_per_byte"] == pytest.approx(part["bits"].sum() / part["bytes"].sum())
        # of five paragraphs Student's t, with 4 degrees of freedom, times the bootstrap's standard error
        draws = np.random.default_rng(result.provenance.seed).multinomial(5, np.full(5, 1 / 5), size=1000)
        samples = (draws @ part["bits"].to_numpy()) / (draws @ part["bytes"].to_numpy())
        half = 2.7764451 * samples.std() * np.sqrt(5 / 4)
        assert row["high"] == pytest.approx(row["bits_per_byte"] + half)
        assert row["low"] == pytest.approx(max(row["bits_per_byte"] - half, 0))
        assert row["n"] == 5
    # of one or two paragraphs there is none
    for count in (1, 2):
        few = bits_per_byte(model, {"ja": TEXTS["ja"][:count], "hi": TEXTS["hi"][:count]})
        for table in (few.summary(), few.relative("hi")):
            assert table[["low", "high"]].isna().all(axis=None)
        assert "nan" not in few.describe() and "[" not in few.describe().splitlines()[0]
        assert "NaN" not in few.figure().data[1].hovertemplate


def test_relative_bits_are_those_of_the_same_paragraphs(model):
    result = bits_per_byte(model, TEXTS | {"ja": TEXTS["ja"][:3]})
    relative = result.relative().query("layer == layer.max()").set_index("language")
    last = result.table.query("layer == layer.max()").set_index(["language", "item"])["bits"]
    expected = last["ja"].sum() / last["en"][list(last["ja"].index)].sum()
    assert relative.loc["ja", "relative"] == pytest.approx(expected) and relative.loc["ja", "n"] == 3
    assert relative.loc["en", ["relative", "low", "high"]].tolist() == pytest.approx([1, 1, 1])
    with pytest.raises(InputError, match="unknown language of this result 'fr'"):
        result.relative("fr")


@dataclass(frozen=True)
class Negated:
    name = "negated"
    identity = "1"

    def translate(self, resid, layers):
        return -resid


def test_another_lens_is_read_through_and_leaves_the_output(model):
    plain, other = (bits_per_byte(model, TEXTS, lens=lens).table for lens in (None, Negated()))
    same = np.isclose(plain["bits"], other["bits"], rtol=1e-4)
    assert same[plain["layer"] == model.n_layers].all() and not same[plain["layer"] < model.n_layers].any()


def test_layers_are_chosen_and_zero_is_the_embeddings(model):
    every, few = bits_per_byte(model, TEXTS), bits_per_byte(model, TEXTS, layers=[0, -1])
    assert set(few.table["layer"]) == {0, model.n_layers}
    np.testing.assert_allclose(
        few.table.query("layer > 0")["bits"], every.table.query("layer == layer.max()")["bits"], rtol=1e-6
    )


def test_a_folder_a_task_and_lists_are_the_same_text(model, tmp_path):
    folder = lines_folder(tmp_path / "text", TEXTS)
    by_folder, by_task, by_lists = (
        bits_per_byte(model, texts, languages="ja,en").summary()
        for texts in (folder, ll.task("continuation", data=folder), TEXTS)
    )
    assert by_folder["language"].unique().tolist() == ["ja", "en"]
    for other in (by_task, by_lists):
        np.testing.assert_allclose(other["bits_per_byte"], by_folder["bits_per_byte"], rtol=1e-6)
    assert bits_per_byte(model, folder, items=2).table["item"].nunique() == 2


def test_it_is_saved_told_and_drawn(model, tmp_path):
    result = bits_per_byte(model, TEXTS)
    again = BitsResult.load(result.save(tmp_path / "out"))
    assert again.summary().equals(result.summary())
    row = result.glance().iloc[1]
    line = result.describe().splitlines()[1]
    assert line.startswith(
        f"Japanese: {row['bits_per_byte']:.3f} bits per byte [{row['low']:.3f}, {row['high']:.3f}] at layer "
        f"{model.n_layers}, the output ({row['bits_per_token']:.2f} bits a token, 5 paragraphs)"
    )
    assert "logit" not in repr(result) and "3 languages" not in repr(result)
    curves = [trace for trace in result.figure().data if trace.name]
    assert [trace.name for trace in curves] == ["English", "Japanese", "Hindi"]
    assert list(curves[1].y) == result.summary().query("language == 'ja'")["bits_per_byte"].tolist()
    alone = bits_per_byte(model, TEXTS["ja"])
    assert alone.describe().startswith("The text: ") and bits_figure(alone).data[1].name == "the text"


def test_many_languages_are_a_heat_map_in_the_order_of_the_output(model):
    codes = ("en", "de", "fr", "es", "it", "nl", "sv", "pl", "da")
    result = bits_per_byte(model, {code: [f"{code} is a language", "and more"] for code in codes})
    (trace,) = result.figure().data
    assert trace.type == "heatmap" and len(trace.y) == 9
    last = [row[-1] for row in trace.z]
    assert last == sorted(last)


@pytest.mark.parametrize(
    ("texts", "options", "said"),
    [
        ({}, {}, "no text was given"),
        ([""], {}, "no token|has no token that another one comes before"),
        ({"ja": "a single text"}, {}, "the texts of 'ja' must be a list of texts"),
        ({"ja": ["a"]}, {"languages": "de"}, "unknown language of these texts 'de'"),
        (["a b"], {"languages": "de"}, "a list of texts has no languages to choose from"),
        (["a b"], {"items": 0}, "items must be at least 1"),
        (["word " * 400], {}, "takes at most"),
        ("nowhere", {}, "does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(model, texts, options, said):
    with pytest.raises((InputError, ModelError), match=said):
        bits_per_byte(model, texts, **options)


def test_a_stopped_run_goes_on_where_it_was(model, tmp_path, monkeypatch):
    place = lines_folder(tmp_path / "text", PARAGRAPHS)
    whole = bits_per_byte(model, place, items=2)
    others = list(PARAGRAPHS)[1:]

    def stop(done, total):
        if done > 2:  # the second language is begun
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bits_per_byte(model, place, items=2, resume=tmp_path / "kept", progress=stop)
    assert len(finished_names(tmp_path / "kept")) == 1
    ran = []
    iterate = model.iter_activations
    monkeypatch.setattr(
        model,
        "iter_activations",
        lambda prompts, **options: ran.append(len(prompts)) or iterate(prompts, **options),
    )
    resumed = bits_per_byte(model, place, items=2, resume=tmp_path / "kept")
    assert ran == [2] * len(others)
    pd.testing.assert_frame_equal(resumed.table, whole.table, rtol=1e-5)
    ran.clear()
    again = bits_per_byte(model, place, items=2, layers="1,2", resume=tmp_path / "kept")
    assert ran == [2] * (len(others) + 1), "other layers are another question"
    assert set(again.table["layer"]) == {1, 2}
    with pytest.raises(InputError, match="resume keeps languages of a folder of text or of a task"):
        bits_per_byte(model, PARAGRAPHS, resume=tmp_path / "kept")
