"""Our logit lens beside TransformerLens' own, on the same weights: the same sites, logits and probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

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
