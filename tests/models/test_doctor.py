import pytest
import torch

from latentlang.models import HookedLM
from latentlang.models.doctor import check_up
from tests.support import tiny


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [("mistral", torch.float32), ("qwen2", torch.bfloat16), ("bloom", torch.float32)],
)
def test_a_sound_model_passes(architecture, dtype):
    model = HookedLM(tiny.model(architecture, dtype=dtype), tiny.tokenizer(), name="tiny")
    seen = []
    findings = check_up(model, progress=seen.append)
    assert not [f for f in findings if f.verdict == "fault"]
    assert {f.check for f in findings} >= {
        "exactness", "precision", "context", "tokenizer", "languages", "memory", "speed", "untouched",
    }  # fmt: skip
    assert seen[0] == "exactness"


def test_a_reading_that_is_off_is_a_fault(monkeypatch):
    model = HookedLM(tiny.model("llama"), tiny.tokenizer(), name="tiny")
    norm = model.norm
    monkeypatch.setattr(model, "norm", lambda hidden: norm(hidden) + 0.01)
    exactness = [f for f in check_up(model) if f.check == "exactness"]
    assert exactness[0].verdict == "fault"


def test_a_model_that_changes_is_a_fault(monkeypatch):
    model = HookedLM(tiny.model("llama"), tiny.tokenizer(), name="tiny")
    activations = model.activations

    def meddling(*args, **options):
        model.lm.train()
        return activations(*args, **options)

    monkeypatch.setattr(model, "activations", meddling)
    assert next(f for f in check_up(model) if f.check == "untouched").verdict == "fault"


def test_a_short_context_and_a_missing_tokenizer_are_named():
    short = HookedLM(tiny.model("mistral", max_position_embeddings=8), tiny.tokenizer(), name="short")
    assert {f.check for f in check_up(short) if f.verdict == "fault"} >= {"exactness", "context"}
    bare = HookedLM(tiny.model("mistral"), name="bare")
    assert "tokenizer" in next(f for f in check_up(bare) if f.verdict == "fault").detail
