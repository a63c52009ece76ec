"""Models that are not what they seem are refused, not read wrongly; and surgery on a twin."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from latentlang.errors import ModelError
from latentlang.installing import install_command
from latentlang.models import HookedLM
from latentlang.models.anatomy import find_layers
from latentlang.models.bridge import twin
from tests.support import tiny
from tests.support.forward_reference import state


def test_the_tail_is_what_runs_between_the_last_block_and_the_head() -> None:
    def tail(architecture: str) -> list[str]:
        lm = HookedLM(tiny.model(architecture))
        names = {module: name for name, module in lm.model.named_modules()}
        return [names[module] for module in lm._anatomy.tail]

    assert tail("mistral") == ["model.norm"]
    assert tail("gpt2") == ["transformer.ln_f"]
    assert tail("gpt-neox") == ["gpt_neox.final_layer_norm"]
    assert tail("opt") == ["model.decoder.final_layer_norm"]
    assert tail("opt-projected") == ["model.decoder.project_out"]


def test_experts_are_not_taken_for_blocks() -> None:
    model = tiny.model("mistral")
    # as many experts as blocks, in every block
    for layer in model.model.layers:
        layer.experts = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    assert find_layers(model)[0] == "model.layers"


def test_a_model_with_more_than_a_text_part_is_read_by_its_text_part() -> None:
    text = {**tiny.CONFIGS["gemma3"]().to_dict(), "num_hidden_layers": 2}
    text["layer_types"] = text["layer_types"][:2]
    vision = hf.SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    config = hf.Gemma3Config(text_config=text, vision_config=vision.to_dict(), mm_tokens_per_image=4)
    torch.manual_seed(0)
    model = hf.Gemma3ForConditionalGeneration(config).eval()
    lm = HookedLM(model)
    ids = [5, 9, 200, 7]
    with torch.no_grad():
        output = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    reading = lm.activations([ids])
    assert lm.n_layers == 2
    torch.testing.assert_close(reading.resid[0, :-1], torch.stack(output.hidden_states[:-1])[:, 0, -1])
    assert reading.logits is not None
    torch.testing.assert_close(reading.logits[0], output.logits[0, -1])


class Shifted(hf.MistralForCausalLM):
    """Does something to its logits that no config tells of."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits.flip(-1)
        return output


class Stacked(nn.Module):
    """A block that passes on four streams."""

    def __init__(self, block: nn.Module, *, first: bool) -> None:
        super().__init__()
        self.block, self.first = block, first

    def forward(self, hidden: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        streams = hidden.expand(4, *hidden.shape) if self.first else hidden
        return torch.stack([self.block(stream, **kwargs) for stream in streams])


def test_logits_that_do_not_come_from_norm_and_head_are_refused() -> None:
    lm = HookedLM(Shifted(tiny.CONFIGS["mistral"]()))
    with pytest.raises(
        ModelError, match=r"do not give the model's own logits \(off by .* where they spread over"
    ):
        lm.activations([[5, 6]])
    with pytest.raises(ModelError, match="do not give the model's own logits"):
        lm.unembed(torch.zeros(32))


class Inlined(hf.MistralForCausalLM):
    """Uses its head's weight without calling the head."""

    def forward(self, input_ids: torch.Tensor, **kwargs: Any) -> Any:
        hidden = self.model(input_ids, use_cache=False).last_hidden_state
        return hf.modeling_outputs.CausalLMOutput(logits=hidden @ self.lm_head.weight.T)


def test_a_head_that_is_not_called_is_refused() -> None:
    with pytest.raises(ModelError, match="does not call its language-model head as a module"):
        HookedLM(Inlined(tiny.CONFIGS["mistral"]())).activations([[5, 6]])


def test_a_stream_that_is_not_plain_is_refused() -> None:
    model = tiny.model("mistral")
    for number, layer in enumerate(model.model.layers):
        model.model.layers[number] = Stacked(layer, first=number == 0)
    with pytest.raises(ModelError, match="does not pass a plain residual stream from block to block"):
        HookedLM(model).activations([[5, 6]])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: "mistral", "a model object is needed, not str"),
        (lambda: nn.Linear(2, 2), "Linear has no config"),
        (lambda: tiny.model("mistral").model, "MistralModel has no language-model head"),
        (
            lambda: hf.T5ForConditionalGeneration(
                hf.T5Config(vocab_size=9, d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=2)
            ),
            "T5ForConditionalGeneration is no decoder-only language model",
        ),
    ],
)
def test_what_is_no_causal_lm_is_refused(model: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        HookedLM(model())


def test_blocks_that_cannot_be_found_are_named() -> None:
    model = tiny.model("mistral")
    model.config.num_hidden_layers = 5
    with pytest.raises(ModelError, match="keeps no list of 5 decoder blocks"):
        HookedLM(model)


# Surgery


def test_a_twin_has_modules_of_its_own_and_the_same_tensors() -> None:
    model = tiny.model("gemma3")
    second = twin(model)
    assert {id(value) for value in second.parameters()} == {id(value) for value in model.parameters()}
    assert {id(value) for value in second.buffers()} == {id(value) for value in model.buffers()}
    assert not set(second.modules()) & set(model.modules())
    assert second.config is not model.config


def test_a_patch_through_the_bridge_leaves_the_model_as_it_was() -> None:
    level = logging.getLogger("transformers").level
    model = tiny.model("mistral")
    before = state(model)
    lm = HookedLM(model, tiny.tokenizer(), name="local/tiny")
    ids, other = torch.tensor([[5, 9, 200, 7, 33]]), torch.tensor([[8, 8, 41, 17, 90]])
    bridge = lm.bridge()
    with torch.no_grad():
        plain = bridge(ids)
        own = model(ids).logits
        torch.testing.assert_close(plain, own, rtol=1e-5, atol=1e-5)
        donor = lm.activations(other.tolist(), layers=[2], positions="all").resid[0, 0]

        def patch(resid: torch.Tensor, hook: Any) -> torch.Tensor:
            return donor[None].to(resid.dtype).expand_as(resid).clone()

        patched = bridge.run_with_hooks(ids, fwd_hooks=[("blocks.1.hook_out", patch)])
        # the whole stream of layer 2 is the other prompt's, so its logits are too
        torch.testing.assert_close(patched, model(other).logits, rtol=1e-4, atol=1e-5)
        assert float((patched - own).abs().max()) > 1e-2
        assert torch.equal(model(ids).logits, own)
    assert {value.data_ptr() for value in bridge.parameters()} >= {
        value.data_ptr() for value in model.parameters()
    }
    assert state(model) == before
    assert logging.getLogger("transformers").level == level


def test_an_adapter_comes_along_into_the_bridge() -> None:
    model = tiny.adapted(tiny.model("mistral"), modules=["q_proj"])
    ids = torch.tensor([[5, 9, 200, 7, 33]])
    bridge = HookedLM(model, tiny.tokenizer(), name="local/tiny").bridge()
    with torch.no_grad():
        torch.testing.assert_close(bridge(ids), model(ids).logits, rtol=1e-5, atol=1e-5)


def test_without_transformer_lens_the_bridge_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformer_lens.model_bridge", None)
    with pytest.raises(ModelError, match=re.escape(install_command("surgery"))):
        HookedLM(tiny.model("mistral"), tiny.tokenizer()).bridge()
