"""A head that rules tokens out."""

import pytest
import torch


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
