"""Our logit lens beside TransformerLens' own, on the same weights: the same sites, logits and probabilities."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import latentlang as ll
from latentlang.answers import answer_sets, token_bytes
from latentlang.models import HookedLM, TokenSets, read_out
from tests.support import tiny
from tests.support.forward_reference import draw

SETS = [np.array([0, 7, 130]), np.array([299]), np.arange(1, 300, 2)]


# An RMSNorm without biases, a LayerNorm with; an RMSNorm of another formula with soft-capped logits.
@pytest.mark.parametrize("architecture", ["mistral", "gpt2", "gemma2"])
def test_every_layers_lens_is_transformer_lens_own(architecture: str) -> None:
    lm = HookedLM(tiny.model(architecture), tiny.tokenizer(), name="local/tiny")
    prompts = draw(12, 12, 12)
    reading = lm.activations(prompts, layers="all")
    bridge = lm.bridge()
    # after the bridge, which keeps transformers' logger from being silenced by the import
    from transformer_lens.tools.analysis import logit_lens

    with torch.no_grad():
        _, cache = bridge.run_with_cache(torch.tensor(prompts))
        sites, labels = cache.accumulated_resid(layer=-1, incl_mid=False, pos_slice=-1, return_labels=True)
        theirs = logit_lens(cache, positions=-1).values  # [layer, prompt, vocabulary]
    resid = reading.resid.transpose(0, 1)
    assert len(labels) == lm.n_layers + 1 == len(resid)
    torch.testing.assert_close(resid, sites, rtol=1e-5, atol=1e-5)

    ours = lm.unembed(reading.resid).transpose(0, 1)
    scale = float(theirs.abs().max())
    assert float((ours - theirs).abs().max()) <= 1e-5 * scale
    # layers differ, so that one taken for another would show
    assert min(float((theirs[a] - theirs[a + 1]).abs().max()) for a in range(lm.n_layers)) > 1e-2 * scale

    readout = read_out(lm, reading.resid, TokenSets(SETS), top=3)
    log_probs = theirs.double().log_softmax(-1).transpose(0, 1)
    summed = torch.stack([log_probs[..., torch.from_numpy(ids)].logsumexp(-1) for ids in SETS], -1)
    torch.testing.assert_close(readout.log_probs.double(), summed, rtol=1e-4, atol=1e-4)
    entropy = -(log_probs.exp() * log_probs).sum(-1) / math.log(2)
    torch.testing.assert_close(readout.entropy.double(), entropy, rtol=1e-4, atol=1e-4)
    assert torch.equal(readout.top_ids, log_probs.topk(3, dim=-1).indices)


Asked = tuple[HookedLM, list[list[int]], list[list[int]], list[tuple[np.ndarray, np.ndarray]]]


@pytest.fixture(scope="module")
def asked() -> Asked:
    """Prompts of the same words that ask for German and for Spanish, and the tokens that begin each answer."""
    model = ll.load("pocket")
    task = ll.task("translation", source="fr")
    sets = answer_sets(
        token_bytes(model.tokenizer),
        {code: task.answers(code) for code in ("de", "es")},
        cue='"',
        scope="same",
    )
    labels = ["animal/cow", "animal/tiger", "month/november", "country/greece"]
    prompts = {code: {one.label: one.text for one in task.prompts(code, shots=0)} for code in ("de", "es")}
    german, spanish = (model.encode([prompts[code][label] for label in labels]) for code in ("de", "es"))
    return model, german, spanish, [
        (sets["de", label].exclusive, sets["es", label].exclusive) for label in labels
    ]  # fmt: skip


def _logits(model: HookedLM, prompts: list[list[int]]) -> torch.Tensor:
    logits = model.activations(prompts).logits
    assert logits is not None
    return logits


def _contrast(logits: torch.Tensor, words: tuple[np.ndarray, np.ndarray]) -> torch.Tensor:
    log_probs = logits.log_softmax(-1)
    german, spanish = (log_probs[torch.from_numpy(ids)].logsumexp(-1) for ids in words)
    return german - spanish


def test_attribution_patching_approximates_exact_patching_of_a_language_contrast(asked: Asked) -> None:
    model, german, spanish, words = asked
    bridge = model.bridge()
    from transformer_lens.tools.analysis import attribution_patch

    plain = _logits(model, spanish)
    for site, kind in (("mlp_out", "mlp_out"), ("attn_out", "attn_head_out")):
        estimated = np.zeros((model.n_layers, len(german[0])))
        for row, sets in enumerate(words):
            scores = attribution_patch(
                bridge, torch.tensor(german[row : row + 1]), torch.tensor(spanish[row : row + 1]),
                lambda logits, sets=sets: _contrast(logits[0, -1], sets),
            ).node_scores  # fmt: skip
            for node, score in scores.items():
                if node.kind == kind:
                    estimated[node.layer, node.position] += score / len(words)
        donors = getattr(model.activations(german, sites=(site,), positions="all"), site)
        exact = np.zeros_like(estimated)
        for layer in range(model.n_layers):
            for position in range(len(german[0])):
                edit = ll.Edit.replace(
                    donors[:, layer, position], layers=layer + 1, site=site, positions=position
                )
                with model.edited(edit):
                    patched = _logits(model, spanish)
                exact[layer, position] = np.mean(
                    [
                        float(_contrast(patched[row], sets) - _contrast(plain[row], sets))
                        for row, sets in enumerate(words)
                    ]
                )
        assert np.corrcoef(estimated.ravel(), exact.ravel())[0, 1] > 0.85
        # the part with the largest effect is the one that is estimated to have the largest, or nearly so
        assert np.abs(estimated).argmax() in np.argsort(-np.abs(exact).ravel())[:2]


@pytest.mark.parametrize("position", [7, 9])
@pytest.mark.parametrize(("site", "hook"), [("resid", "hook_resid_post"), ("mlp_out", "hook_mlp_out")])
def test_a_direct_patch_and_a_full_interchange_are_our_replacement(
    asked: Asked, site: str, hook: str, position: int
) -> None:
    model, german, spanish, _words = asked
    bridge = model.bridge()
    from transformer_lens.tools.analysis import SubspaceInterchange, intervened_logits

    reading = model.activations(german, sites=(site,), layers=[5], positions=[position])
    donor = getattr(reading, site)[:, 0, 0]

    def put(activations: torch.Tensor, hook: object) -> torch.Tensor:
        activations[:, position] = donor
        return activations

    name = f"blocks.4.{hook}"
    with torch.no_grad():
        direct = bridge.run_with_hooks(torch.tensor(spanish), fwd_hooks=[(name, put)])[:, -1]
    interchanged = intervened_logits(
        bridge, name, SubspaceInterchange(torch.eye(model.d_model)), torch.tensor(spanish), donor,
        lambda tokens: bridge(tokens)[:, -1], positions=torch.full((len(spanish),), position),
    )  # fmt: skip
    with model.edited(ll.Edit.replace(donor, layers=5, site=site, positions=position)):
        ours = _logits(model, spanish)
    plain = _logits(model, spanish)
    scale = float(plain.abs().max())
    assert float((ours - direct).abs().max()) <= 1e-5 * scale
    assert float((ours - interchanged).abs().max()) <= 1e-5 * scale
    assert float((ours - plain).abs().max()) > 1e-2 * scale


@pytest.mark.parametrize("architecture", ["mistral", "gpt2"])
def test_a_jacobian_lens_is_transformer_lens_own_and_its_file_is_read(
    architecture: str, tmp_path: Path
) -> None:
    lm = HookedLM(tiny.model(architecture), tiny.tokenizer(), name="local/tiny")
    texts = ["Der Film ist gut, und die Musik ist es auch.", "この映画は良いです。音楽も素晴らしい。"]
    ours = ll.fit_jacobian_lens(lm, texts, skip=4, longest=20)
    bridge = lm.bridge()
    from transformer_lens.tools.analysis import JacobianLens

    theirs = JacobianLens.fit(
        bridge, texts, corpus="two sentences", max_seq_len=20, skip_first_positions=4, show_progress=False
    )
    # theirs count layers from the first block's output
    assert theirs.source_layers == [layer - 1 for layer in ours.layers[1:]]
    for layer in theirs.source_layers:
        torch.testing.assert_close(ours.jacobians[layer + 1], theirs.jacobians[layer], rtol=1e-3, atol=1e-4)
    path = tmp_path / "tiny_jacobian_lens.pt"
    theirs.save(str(path))
    read = ll.JacobianLens.load(path, lm)
    assert read.layers == ours.layers[1:] and read.texts == {"": 2}
    torch.testing.assert_close(read.jacobians, ours.jacobians[1:], rtol=1e-2, atol=2e-3)
    # and says the same of a prompt
    prompt = texts[0]
    expected = theirs.readout(bridge, prompt, positions=[-1], top_k=5)
    cells = ll.explore(lm, prompt, top=5, positions="last", lens=ours).table
    for layer in theirs.source_layers:
        part = cells[cells["layer"] == layer + 1]
        assert part["id"].tolist() == expected.lens_topk_indices[layer][0].tolist()
