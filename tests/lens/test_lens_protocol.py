"""A lens of one's own is one class: every function that reads layers reads through it, against the slow definition."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import latentlang as ll
from latentlang.answers import answer_paths, answer_sets, token_bytes
from latentlang.errors import InputError, ModelError
from latentlang.interactive.prompt_session import PromptSession
from latentlang.lens import LogitLens, TunedLens, divergence, explore, logit_lens, multilingual_lens
from latentlang.lens.tuned import as_lens, unembedding_hash
from latentlang.models import HookedLM, TokenSets, read_out, score_answers
from tests.support import tiny


@dataclass(frozen=True, eq=False)
class AffineLens:
    """Layer l is read as ``turn[l] @ h_l + shift[l]``."""

    turn: torch.Tensor
    shift: torch.Tensor
    requested: list[list[int]] = field(default_factory=list)

    name = "affine"
    identity = "0a1b"

    def translate(self, resid, layers):
        self.requested.append(list(layers))
        return torch.einsum("lij,...lj->...li", self.turn[layers], resid) + self.shift[layers]


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.fixture
def lens(model) -> AffineLens:
    torch.manual_seed(0)
    depth, width = model.n_layers, model.d_model
    return AffineLens(torch.randn(depth, width, width), torch.randn(depth, width))


def _slow(model, lens, ids, position=-1):
    """``[layer, vocab]`` log-probabilities after a token: each layer turned and shifted by hand, the last as it is."""
    norm, head = model.model.model.norm, model.model.lm_head
    with torch.inference_mode():
        out = model.model(torch.tensor([ids]), output_hidden_states=True)
        inner = [
            head(norm(lens.turn[layer] @ h[0, position] + lens.shift[layer]))
            for layer, h in enumerate(out.hidden_states[:-1])
        ]
        return torch.stack([*inner[1:], out.logits[0, position]]).double().log_softmax(-1).numpy()


def _slow_path(model, lens, ids, path):
    """``[layer]`` log-probability of a path, each of its tokens and its end read by `_slow`."""
    total = np.zeros(model.n_layers)
    for place in range(len(path.tokens) + bool(path.ends)):
        log_probs = _slow(model, lens, [*ids, *path.tokens[:place]])
        wanted = [path.tokens[place]] if place < len(path.tokens) else list(path.ends)
        total += np.logaddexp.reduce(log_probs[:, wanted], axis=-1)
    return total


def _own(sets, code, label):
    """Tokens that no other language's answer to the label begins with; none where all run on into longer words."""
    answer = sets[code, label]
    return answer.exclusive if np.setdiff1d(answer.exclusive, answer.running_on).size else []


def test_the_logit_lens_reads_the_language_asked_for_and_the_pivot_through_it(model, lens):
    task = ll.task("translation", source="fr")
    result = logit_lens(model, task, languages="ja", items=4, shots=1, lens=lens)
    plain = logit_lens(model, task, languages="ja", items=4, shots=1)
    read = 0
    for prompt in task.prompts("ja", items=4, shots=1):
        probs = np.exp(_slow(model, lens, model.encode([prompt])[0]))
        answers = {code: {prompt.label: task.answers(code)[prompt.label]} for code in ("ja", "en", "fr")}
        sets = answer_sets(token_bytes(model.tokenizer), answers, cue=prompt.cue, scope="same")
        rows = result.table.query("item == @prompt.item")
        for curve, code in (("target", "ja"), ("pivot", "en")):
            ids = _own(sets, code, prompt.label)
            values = rows[rows["curve"] == curve]["value"].to_numpy()
            if len(ids):
                np.testing.assert_allclose(values, probs[:, ids].sum(-1), rtol=1e-5)
                read += 1
        entropy = -(probs * np.log2(probs)).sum(-1)
        np.testing.assert_allclose(rows.query("curve == 'entropy'")["value"], entropy, rtol=1e-5)
    assert read
    last, inner = ("layer == @model.n_layers", "layer < @model.n_layers")
    assert np.array_equal(result.table.query(last)["value"], plain.table.query(last)["value"])
    assert not np.allclose(result.table.query(inner)["value"], plain.table.query(inner)["value"])
    # the output is the model's own: no lens is asked for it
    assert {layer for layers in lens.requested for layer in layers} == set(range(1, model.n_layers))


def test_the_lens_in_all_languages_reads_through_it(model, lens):
    task, codes = ll.task("translation", source="fr"), ("en", "de", "hi", "ja", "fr")
    result = multilingual_lens(
        model, task, languages="ja", candidates="en,de,hi", items=3, shots=1, lens=lens
    )
    read = 0
    for prompt in task.prompts("ja", items=3, shots=1):
        probs = np.exp(_slow(model, lens, model.encode([prompt])[0]))
        answers = {code: {prompt.label: task.answers(code)[prompt.label]} for code in codes}
        sets = answer_sets(token_bytes(model.tokenizer), answers, cue=prompt.cue, scope="same")
        for code in codes:
            rows = result.table.query(
                "item == @prompt.item and answer_language == @code and curve == 'answer'"
            )
            ids = _own(sets, code, prompt.label)
            assert bool(len(rows)) == bool(len(ids))
            if len(ids):
                np.testing.assert_allclose(rows["value"], probs[:, ids].sum(-1), rtol=1e-5)
                read += 1
    assert read > 3


def test_a_single_prompt_is_read_through_it_at_every_position_and_layer(model, lens):
    text = "日本 is in Asia"
    result = explore(model, text, top=3, lens=lens)
    session = PromptSession.at(model, text)
    cells = session.cells(list(session.positions), top=3, lens=lens)
    assert cells.ids.ravel().tolist() == result.table["id"].tolist()
    ids = model.encode([text])[0]
    for position in range(len(ids)):
        log_probs = _slow(model, lens, ids, position)
        for layer in range(1, model.n_layers + 1):
            cell = result.table.query("position == @position and layer == @layer")
            best = np.sort(np.exp(log_probs[layer - 1]))[::-1][:3]
            np.testing.assert_allclose(cell["probability"], best, rtol=1e-4)
            np.testing.assert_allclose(
                np.exp(log_probs[layer - 1][cell["id"].to_numpy()]), cell["probability"], rtol=1e-4
            )
            kl = (np.exp(log_probs[layer - 1]) * (log_probs[layer - 1] - log_probs[-1])).sum() / np.log(2)
            np.testing.assert_allclose(cell["kl"], kl, rtol=1e-3, atol=1e-4)


def test_the_words_of_a_session_are_read_through_it(model, lens):
    task = ll.task("translation", source="fr")
    prompt = task.prompts("ja", items=1, shots=0)[0]
    session = PromptSession.at(model, prompt.text)
    position = len(session.ids) - 1
    tokens = session.word_tokens(task, prompt.label, ("ja", "hi"), position)
    words = session.words(tokens, position, lens=lens)
    probs = np.exp(_slow(model, lens, list(session.ids)))
    answers = {code: {prompt.label: task.answers(code)[prompt.label]} for code in ("ja", "hi")}
    sets = answer_sets(token_bytes(model.tokenizer), answers, cue='"', scope="same")
    rows = next(curve for curve in words if curve.language == "ja").probability
    np.testing.assert_allclose(rows, probs[:, _own(sets, "ja", prompt.label)].sum(-1), rtol=1e-5)


def test_whole_answers_are_scored_through_it(model, lens):
    prompts, answers = ["The film is good", "日本"], [["positiv", "bad"], ["日"]]
    scores = score_answers(model, prompts, answers, lens=lens)
    for score, ids, found in zip(scores, *answer_paths(model, prompts, answers), strict=True):
        for values, paths in zip(score.log_probs, found, strict=True):
            slow = np.logaddexp.reduce([_slow_path(model, lens, ids, path) for path in paths])
            np.testing.assert_allclose(values, slow, rtol=1e-4)
    task = ll.task("translation", source="fr")
    result = logit_lens(model, task, languages="ja", items=2, shots=0, policy="sequence", lens=lens)
    (prompt, _) = task.prompts("ja", items=2, shots=0)
    words = task.answers("ja")[prompt.label]
    (score,) = score_answers(model, [prompt], [[words]], lens=lens)
    target = result.table.query("item == @prompt.item and curve == 'target'")["value"]
    np.testing.assert_allclose(target, np.exp(score.log_probs[0]), rtol=1e-5)


def test_how_far_its_readings_are_from_the_output(model, lens):
    text = "日本 is in Asia"
    ids = model.encode([text])[0]
    # [layer, position, vocab]
    log_probs = np.stack([_slow(model, lens, ids, at) for at in range(len(ids))], axis=1)
    kl = (np.exp(log_probs[-1]) * (log_probs[-1] - log_probs)).sum(-1).mean(-1) / np.log(2)
    np.testing.assert_allclose(divergence(model, [text], lens=lens)[1:], kl, rtol=1e-3, atol=1e-5)


def test_results_and_figures_say_which_lens(model, lens):
    task = ll.task("translation", source="fr")
    options = {"languages": "ja", "items": 6, "shots": 0}
    results = [
        logit_lens(model, task, **options, lens=lens),
        multilingual_lens(model, task, candidates="en,de,hi,ru", **options, lens=lens),
        explore(model, "日本", lens=lens),
    ]
    for result in results:
        assert result.provenance.settings["lens"] == "affine"
        assert result.provenance.settings["lens_sha256"] == "0a1b"
        assert "affine lens" in repr(result)
        layout = result.figure().layout
        assert "affine lens" in f"{layout.title.text}{layout.title.subtitle.text}"
        assert "through the affine lens" in " ".join(layout.meta["how_to_read"]).replace(
            "put through", "through"
        )
        assert "affine lens" in layout.meta["made_with"]
    plain = logit_lens(model, task, **options, lens=LogitLens())
    assert plain.table.equals(logit_lens(model, task, **options).table)
    assert plain.provenance.settings["lens"] == "logit" and "lens_sha256" not in plain.provenance.settings


def test_a_saved_tuned_lens_is_taken_by_its_folder(model, tmp_path):
    torch.manual_seed(1)
    depth, width = model.n_layers, model.d_model
    tuned = TunedLens(torch.randn(depth, width, width), torch.randn(depth, width), unembedding_hash(model))
    tuned.save(tmp_path)
    affine = AffineLens(torch.eye(width) + tuned.weight, tuned.bias)
    task = ll.task("translation", source="fr")
    options = {"languages": "ja", "items": 3, "shots": 0}
    one, other = (logit_lens(model, task, **options, lens=lens) for lens in (str(tmp_path), affine))
    np.testing.assert_allclose(one.table["value"], other.table["value"], rtol=2e-4)
    assert one.provenance.settings["lens"] == "tuned"
    assert one.provenance.settings["lens_sha256"] == tuned.identity
    assert explore(model, "日本", lens=tmp_path).provenance.settings["lens_sha256"] == tuned.identity
    other_bias = TunedLens(tuned.weight, tuned.bias + 1e-3, tuned.unembedding)
    assert other_bias.identity != tuned.identity != TunedLens(tuned.weight, tuned.bias, "x").identity


def test_only_what_fits_is_read_through(model, lens, tmp_path):
    depth, width = model.n_layers, model.d_model
    with pytest.raises(ModelError, match="another model than 'tiny'"):
        multilingual_lens(
            model,
            "translation",
            languages="ja",
            lens=TunedLens(torch.zeros(depth, width, width), torch.zeros(depth, width), "another"),
        )
    for bad in (lambda h: h, AffineLens, 3):
        with pytest.raises(
            InputError, match=r"is no lens: give an object with a name, an identity and translate"
        ):
            as_lens(bad, model)
    with pytest.raises(InputError, match="holds no tuned lens"):
        explore(model, "a", lens=tmp_path)
    with pytest.raises(
        InputError, match="the affine lens translates the stream after a block; read 'attn_out'"
    ):
        explore(model, "a", sites=("resid", "attn_out"), lens=lens)
    resid = torch.zeros(1, 2, width)
    with pytest.raises(InputError, match="give the 2 layers' numbers"):
        read_out(model, resid, TokenSets([]), lens=lens)

    class Short(AffineLens):
        def translate(self, resid, layers):
            return resid[..., :-1]

    with pytest.raises(
        InputError, match=r"gave \[1, 1, \d+\] for \[1, 1, \d+\]; translate\(\) must keep the shape"
    ):
        read_out(model, resid, TokenSets([]), lens=Short(lens.turn, lens.shift), layers=[1, depth])
