"""Gemma 3 270M against llama.cpp on the same file, where that engine could be built."""

from __future__ import annotations

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


def test_probabilities_are_those_of_llama_cpp(gemma: Any) -> None:
    """Against an engine that shares no code with ours, on the file itself.

    llama.cpp multiplies packed weights with activations that it rounds to eight bits, 32 or 256 at a time: each product
    is off by about 2^-8 of the largest in its row, at random, over 18 layers. Probabilities then agree to a few percent
    of themselves, and total variation stays well below 0.1; a wrong rotary base, norm or tokenizer gives 0.5 and more.
    """
    with data_package.assembled(GEMMA) as path:
        engine = llama_cpp.Llama(model_path=str(path), n_ctx=128, logits_all=True, n_threads=1, verbose=False)
        for text in SENTENCES:
            ids = gemma.encode([text])[0]
            assert engine.tokenize(text.encode(), add_bos=True, special=False) == ids
            engine.reset()
            engine.eval(ids)
            theirs = torch.tensor(np.array(engine.scores[len(ids) - 1])).double().softmax(-1)
            ours = gemma.activations([text]).logits[0].double().softmax(-1)
            assert float((ours - theirs).abs().sum() / 2) < 0.1, text
        engine.close()
