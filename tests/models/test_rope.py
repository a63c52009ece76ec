"""Models whose rotary frequencies depend on the length of the forward: what runs together must not change a reading."""

import pytest
import torch
import transformers as hf

from latentlang.models import HookedLM
from latentlang.models.forward import short_length
from tests.support import tiny

LIMIT = 24
_LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [6.0] * 4}


def _longrope():
    return hf.Phi3Config(
        **tiny._SIZE,
        original_max_position_embeddings=LIMIT,
        rope_scaling=dict(_LONGROPE),
        initializer_range=0.3,
    )


def _prompts(lengths):
    shared = torch.arange(5, 20).tolist()
    return [
        [*shared, *((37 * place + k) % 250 + 3 for k in range(n - len(shared)))]
        for place, n in enumerate(lengths)
    ]


@pytest.mark.parametrize("share", [True, False])
def test_batches_and_blocks_do_not_change_what_is_read(share):
    torch.manual_seed(0)
    lm = hf.AutoModelForCausalLM.from_config(_longrope()).eval()
    model = HookedLM(lm, tiny.tokenizer(), name="rope")
    prompts = _prompts([20, 22, LIMIT, LIMIT + 1, 30, 30, 18])
    with torch.inference_mode():  # the slow reference: every prompt in a forward of its own
        alone = [lm(torch.tensor([ids])).logits[0, -1].float() for ids in prompts]
    for reading in model.iter_activations(prompts, layers=[-1], share_prefix=share, batch_tokens=10_000):
        for row, index in enumerate(reading.index.tolist()):
            torch.testing.assert_close(reading.logits[row], alone[index], rtol=1e-4, atol=1e-4)


def test_up_to_what_length_frequencies_are_the_same():
    assert short_length(_longrope()) == LIMIT
    for name in ("mistral", "gemma3", "qwen2"):
        assert short_length(tiny.CONFIGS[name]()) is None
