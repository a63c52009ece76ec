"""Gemma 3 270M against llama.cpp, where that engine could be built: on the same file, and on its weights unpacked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentlang.models import data_package
from tests.support.gemma import GEMMA, SENTENCES, skip_without_gemma

skip_without_gemma()
llama_cpp = pytest.importorskip(
    "llama_cpp", reason="llama-cpp-python is not installed: nothing to compare with"
)
pytestmark = pytest.mark.real


def unpacked(packed: Path, path: Path) -> Path:
    """A GGUF file of the same model with all its weights as float32 numbers."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, dequantize

    reader = GGUFReader(packed)
    writer = GGUFWriter(path, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = 0 if name == "general.file_type" else field.contents()
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def distances(gemma: Any, path: Path, **options: Any) -> dict[str, float]:
    """Sentence to the total variation between our next-token probabilities and the engine's."""
    engine = llama_cpp.Llama(
        model_path=str(path), n_ctx=128, logits_all=True, n_threads=1, verbose=False, **options
    )
    apart = {}
    for text in SENTENCES:
        ids = gemma.encode([text])[0]
        assert engine.tokenize(text.encode(), add_bos=True, special=False) == ids
        engine.reset()
        engine.eval(ids)
        theirs = torch.tensor(np.array(engine.scores[len(ids) - 1])).double().softmax(-1)
        ours = gemma.activations([text]).logits[0].double().softmax(-1)
        apart[text] = float((ours - theirs).abs().sum() / 2)
    engine.close()
    return apart


def test_probabilities_are_those_of_llama_cpp_on_the_same_weights(gemma: Any, tmp_path: Path) -> None:
    """Against an engine that shares no code with ours, on the file's weights unpacked and a cache in float32.

    What is left is its table of GELU in half precision: about 2^-11 of each value, over 18 layers; 0.0006 at most was
    measured. A wrong rotary base, norm or tokenizer gives 0.5 and more.
    """
    with data_package.assembled(GEMMA) as packed:
        path = unpacked(packed, tmp_path / "float32.gguf")
    apart = distances(gemma, path, type_k=0, type_v=0)  # 0: float32
    assert max(apart.values()) < 0.002, apart


def test_on_the_packed_file_only_its_rounding_of_activations_is_left(gemma: Any) -> None:
    """On the file itself llama.cpp multiplies packed weights with activations that it rounds to eight bits.

    Each product is then off by about 2^-8 of the largest in its group of 32 or 256, at random. Measured: 0.06 in the
    median of the sentences and 0.15 at most, on short prompts whose next token is open.
    """
    with data_package.assembled(GEMMA) as path:
        apart = distances(gemma, path)
    assert float(np.median(list(apart.values()))) < 0.1, apart
    assert max(apart.values()) < 0.25, apart
