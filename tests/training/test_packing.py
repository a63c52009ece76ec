"""Packing: examples in one row are learnt as each alone, on this model and its attention, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.training import AlignmentData, Recipe, TrainingResult, recipe, train
from latentlang.training.packing import PackingCollator, check_exact, packed
from latentlang.training.tokenization import IGNORED, TokenizedExamples
from tests.support import tiny


def token_losses(model: HookedLM, rows: list[dict[str, Any]]) -> list[float]:
    """-log p of every token that is learnt, from the logits of a batch of the collator."""
    batch = PackingCollator(0)(rows)
    labels = batch.pop("labels")[:, 1:]
    with torch.no_grad():
        logits = model.lm(**batch, use_cache=False).logits[:, :-1].double()
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
    )
    return losses[labels != IGNORED].tolist()


def test_every_token_is_learnt_as_in_its_example_alone(
    any_model: HookedLM, small: Recipe, data: AlignmentData
) -> None:
    examples = small.data.tokenize(any_model, data.train, cutoff=512)
    longest = max(map(len, examples.input_ids))
    rows = packed(examples, length=3 * longest)
    assert len(rows) < len(examples) and max(map(len, rows.lengths)) >= 3
    assert all(
        sum(lengths) == len(ids) <= 3 * longest
        for lengths, ids in zip(rows.lengths, rows.input_ids, strict=True)
    )
    together = [
        token_losses(any_model, [{"input_ids": ids, "labels": labels, "seq_lengths": lengths}])
        for ids, labels, lengths in zip(rows.input_ids, rows.labels, rows.lengths, strict=True)
    ]
    alone = {
        tuple(ids): token_losses(any_model, [{"input_ids": ids, "labels": labels}])
        for ids, labels in zip(examples.input_ids, examples.labels, strict=True)
    }
    seen = 0
    for ids, lengths, losses in zip(rows.input_ids, rows.lengths, together, strict=True):
        start, expected = 0, []
        for length in lengths:
            expected += alone[tuple(ids[start : start + length])]
            start += length
            seen += 1
        assert losses == pytest.approx(expected, abs=1e-5)
    assert seen == len(examples)


def test_a_step_has_the_loss_of_its_examples(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    """One step over all examples, packed or padded: the same weights come of it."""
    options: dict[str, Any] = {"steps": 1, "evaluations": 1, "warmup": 0, "progress": False}
    padded = train(model, small, out=tmp_path / "padded", batch=18, **options)
    rows = train(model, small, out=tmp_path / "packed", batch=2, packing=True, **options)
    assert "18 translations packed into 2 rows, which a batch counts" in rows.notes

    def loss(result: TrainingResult) -> float:
        return float(result.table.loc[result.table["split"] == "train", "loss"].iloc[0])

    assert loss(rows) == pytest.approx(loss(padded), rel=1e-5)
    assert rows.base_loss == pytest.approx(padded.base_loss, rel=1e-6)
    assert rows.best_loss == pytest.approx(padded.best_loss, rel=1e-3)


def test_a_model_that_mixes_them_is_refused(model: HookedLM, small: Recipe, tmp_path: Path) -> None:
    forward = model.lm.forward

    def without_positions(*args: Any, **inputs: Any) -> Any:
        return forward(*args, **{name: value for name, value in inputs.items() if name != "position_ids"})

    model.lm.forward = without_positions
    with pytest.raises(
        InputError, match=r"packing is refused: Qwen2ForCausalLM \(sdpa\).*differ by up to.*group_by_length"
    ):
        train(model, small, out=tmp_path, packing=True, cutoff=256, progress=False)


@pytest.mark.parametrize(
    ("architecture", "implementation"),
    [("llama", "sdpa"), ("llama", "eager"), ("gemma2", "eager"), ("gpt2", "sdpa")],
)
def test_these_keep_examples_apart(architecture: str, implementation: str) -> None:
    lm = tiny.model(architecture)
    lm.set_attn_implementation(implementation)
    examples = TokenizedExamples([[5, 9, 4, 30], [7, 3, 11, 12, 13], [8, 2, 40]], [[], [], []])
    check_exact(lm, examples, padding=0)


def test_an_order_excludes_packing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="out of their order"):
        recipe(
            {
                "data": {"kind": "instructions", "files": "a.jsonl", "order": "sequential"},
                "schedule": {"packing": True},
            }
        )
