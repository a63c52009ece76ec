"""Every causal architecture that transformers can build tiny is read exactly (alone, in batches, shared) or refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.errors import ModelError
from latentlang.models import HookedLM
from tests.support import architectures
from tests.support.forward_reference import draw

# Those that the options of `architectures` do not make small, or that need more than options.
UNBUILT = frozenset({
    "cohere_compass_text", "dbrx", "dots3_note", "dots3_note_text", "emu3", "gemma4_assistant", "mllama", "musicgen",
    "musicgen_melody", "zamba", "zamba2",
})  # fmt: skip
# Encoders that only play the decoder, sites that are several or of another shape, blocks that are no list.
REFUSED = frozenset({
    "bert", "big_bird", "camembert", "cpmant", "data2vec-text", "deepseek_v4", "ernie", "gemma3n", "gemma3n_text",
    "hrm_text", "hy_v4", "inkling2_text", "longcat_flash", "megatron-bert", "prophetnet", "reformer",
    "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm", "xlm-roberta", "xlm-roberta-xl",
    "xlnet", "xmod",
})  # fmt: skip

pytestmark = pytest.mark.slow("tests/models/test_exactness.py")

BLOCK = draw(70, seed=1)[0]
PROMPTS = [[*BLOCK, *rest] for rest in draw(6, 1, 11, 4, seed=2)]
# The tests' own tolerance of fp32 logits, over their spread; recurrent kernels add up in another order.
ALLOWED = 2e-6


def check(model: Any) -> HookedLM:
    """Readings of all kinds against the model itself, one prompt at a time."""
    with torch.no_grad():
        own = torch.stack(
            [model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float() for ids in PROMPTS]
        )
    lm = HookedLM(model)
    alone = [lm.activations([ids]) for ids in PROMPTS]
    batch, shared = lm.activations(PROMPTS, share_prefix=False), lm.activations(PROMPTS)
    spread = float(own.max() - own.min())
    for reading in (batch, shared):
        assert reading.logits is not None
        assert float((reading.logits - own).abs().max()) <= ALLOWED * spread
        assert float((lm.unembed(reading.resid[:, -1]) - own).abs().max()) <= ALLOWED * spread
        for row, single in enumerate(alone):
            scale = float(single.resid.abs().max())
            assert float((reading.resid[row] - single.resid[0]).abs().max()) <= 1e-5 * scale
    return lm


@pytest.mark.parametrize("model_type", architectures.causal_types())
def test_a_causal_architecture_is_read_exactly_or_refused(model_type: str) -> None:
    if model_type in UNBUILT:
        pytest.skip("not built from its config's options")
    model = architectures.model(model_type)
    if model_type in REFUSED:
        with pytest.raises(ModelError) as caught:
            HookedLM(model).activations(PROMPTS)
        assert "\n" not in str(caught.value)
        return
    check(model)


@pytest.mark.parametrize(
    "model_type",
    [
        "aya_vision", "cohere2_vision", "gemma3", "glm4v", "idefics3", "internvl", "llava", "mistral3", "paligemma",
        "qwen2_5_vl", "qwen2_vl", "qwen3_5", "qwen3_vl", "smolvlm",
    ],
)  # fmt: skip
def test_the_text_part_of_a_vision_language_model_is_read_exactly(model_type: str) -> None:
    model = architectures.with_eyes(model_type)
    lm = check(model)
    assert (lm.batching.looks_ahead is not None) is (model_type == "paligemma")
    inner = model.model
    if hasattr(inner, "rope_deltas"):  # as a picture would leave them
        inner.rope_deltas = torch.tensor([[37]])
        check(model)


def test_layers_of_rwkv_are_numbered_as_those_of_all_others() -> None:
    """Its own list of hidden states begins with the first block's output, and has no embeddings."""
    model = architectures.model("rwkv")
    with torch.no_grad():
        output = model(torch.tensor([PROMPTS[0]]), output_hidden_states=True, use_cache=False)
        embedded = model.get_input_embeddings()(torch.tensor([PROMPTS[0]]))
    reading = HookedLM(model).activations([PROMPTS[0]], positions="all").resid[0]
    torch.testing.assert_close(reading[0], embedded[0])
    assert len(output.hidden_states) == architectures.LAYERS + 1
    for layer in range(1, architectures.LAYERS):
        torch.testing.assert_close(reading[layer], output.hidden_states[layer - 1][0])
