"""The tokenizers that `tests/answers` trains are used here too; a head that rules tokens out."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "answers"))


@pytest.fixture
def mask_head(monkeypatch):
    """Make a model's head rule out its first tokens, as a model with a mask in its head would."""

    def mask(model, tokens=10):
        head = model.head

        def masked(normed, start=0, stop=None):
            logits = head(normed, start, stop)
            logits[..., :tokens] = -torch.inf
            return logits

        monkeypatch.setattr(model, "head", masked)

    return mask
