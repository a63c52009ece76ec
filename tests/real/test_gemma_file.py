"""Gemma 3 270M from its GGUF file: the weights, the tokenizer and what it says are those that the file holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentlang.models import data_package
from latentlang.models.gguf_header import read_header
from latentlang.models.gguf_reader import quick_reader
from tests.support.gemma import GEMMA, SENTENCES, skip_without_gemma

skip_without_gemma()
pytestmark = pytest.mark.real


def test_gemma_is_read_as_its_file_says(gemma: Any) -> None:
    assert (gemma.name, gemma.quantization, gemma.revision) == ("gemma3-270m", "Q4_K_M", GEMMA.sha256[:12])
    import gguf

    from tests.support.gguf_files import best_pieces

    tokenizer = gemma.tokenizer
    with data_package.assembled(GEMMA) as path:
        header = read_header(path, arrays=("tokenizer.ggml.tokens", "tokenizer.ggml.scores"))
        with quick_reader():
            by_name = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}

        def dequantised(name: str) -> torch.Tensor:
            tensor = by_name[name]
            return torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())

        weights = gemma.lm.state_dict()
        for ours, theirs, shift in (
            ("embed_tokens.weight", "token_embd.weight", 0), ("norm.weight", "output_norm.weight", 1),
            ("layers.17.mlp.down_proj.weight", "blk.17.ffn_down.weight", 0),
            ("layers.5.self_attn.q_norm.weight", "blk.5.attn_q_norm.weight", 1),
        ):  # fmt: skip
            assert torch.equal(weights[f"model.{ours}"], dequantised(theirs) - shift), ours
    values = header.metadata
    vocabulary = {"tokens": values["tokenizer.ggml.tokens"], "scores": values["tokenizer.ggml.scores"]}
    assert len(tokenizer) == len(vocabulary["tokens"]) == gemma.vocab_size == 262_144
    special = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)
    assert special == (0, 1, 2, 3)
    for text in SENTENCES:
        ids = gemma.encode([text])[0]
        assert ids[0] == 2
        assert tokenizer.convert_ids_to_tokens(ids[1:]) == best_pieces(text, vocabulary, before="")
        assert tokenizer.decode(ids[1:]) == text
    days = {"Monday, Tuesday, Wednesday, Thursday,": " Friday", "Lundi, mardi, mercredi, jeudi,": " vendredi"}
    for text, next_day in days.items():
        assert tokenizer.decode(gemma.activations([text]).logits[0].argmax()) == next_day
    attention = gemma.lm.config.layer_types
    assert [place for place, kind in enumerate(attention) if kind == "full_attention"] == [5, 11, 17]
