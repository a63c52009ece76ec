"""What is read of Gemma 3 270M, against its own forward and the lens worked out slowly in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import latentlang as ll
from latentlang.answers import answer_sets, token_bytes
from latentlang.lens import explore, logit_lens, multilingual_lens
from latentlang.models import HookedLM, TokenSets, read_out
from latentlang.models.doctor import check_up
from tests.support.forward_reference import reference
from tests.support.gemma import SENTENCES, skip_without_gemma

skip_without_gemma()
pytestmark = pytest.mark.real

DEPTH = 18
SHOWN = (6, 12, 17, 18)
TEXTS = (SENTENCES[0], SENTENCES[8], SENTENCES[12])


def slow_log_probs(model: HookedLM, hidden: torch.Tensor) -> torch.Tensor:
    """``[row, vocab]`` by Gemma's own definition of norm and tied head, in double precision."""
    lm = model.lm
    wide = hidden.double()
    scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + lm.config.rms_norm_eps)
    normed = scaled * (1 + lm.model.norm.weight.detach().double())
    parts = [normed @ part.double().T for part in lm.lm_head.weight.detach().split(16384)]
    return torch.cat(parts, -1).log_softmax(-1)


def test_sites_and_logits_are_the_models_own(gemma):
    reading = gemma.activations(list(TEXTS))
    for row, text in enumerate(TEXTS):
        hidden, _, logits = reference(gemma.lm, gemma.encode([text])[0])
        # the last of them stands behind the final norm there
        # a batch is summed in another order: of the largest of so wide numbers a few roundings, on whichever processor
        rounding = 1e-6 * float(hidden[:, -1].abs().max())
        torch.testing.assert_close(reading.resid[row, :-1], hidden[:, -1], rtol=1e-4, atol=rounding)
        spread = float(logits.max() - logits.min())
        assert float((reading.logits[row] - logits).abs().max()) <= 1e-5 * spread
        assert float((gemma.unembed(reading.resid[row, -1]) - logits).abs().max()) <= 1e-5 * spread


def test_batches_and_a_shared_prefix_change_nothing(gemma):
    prompts = ll.task("translation", source="fr").prompts("ja", items=4, shots=2)
    together = gemma.activations(prompts)
    for row, prompt in enumerate(prompts):
        alone = gemma.activations([prompt], share_prefix=False)
        scale = float(alone.resid.abs().max())
        assert float((together.resid[row] - alone.resid[0]).abs().max()) <= 1e-5 * scale
        assert int(together.logits[row].argmax()) == int(alone.logits[0].argmax())


def test_the_lens_is_norm_and_head_in_double_precision(gemma):
    reading = gemma.activations(list(TEXTS), layers=SHOWN)
    sets = [np.array([5, 70, 900]), np.array([262_143]), np.arange(200, 260)]
    found = read_out(gemma, reading.resid, TokenSets(sets), top=3)
    for row in range(len(TEXTS)):
        log_probs = slow_log_probs(gemma, reading.resid[row])
        wanted = torch.stack([log_probs[:, torch.from_numpy(ids)].logsumexp(-1) for ids in sets], -1)
        torch.testing.assert_close(found.log_probs[row].double(), wanted, rtol=1e-5, atol=1e-4)
        entropy = -(log_probs.exp() * log_probs).sum(-1) / math.log(2)
        torch.testing.assert_close(found.entropy[row].double(), entropy, rtol=1e-4, atol=1e-4)
        assert torch.equal(found.top_ids[row], log_probs.topk(3, dim=-1).indices)


def test_curves_are_the_probabilities_of_the_answers_tokens(gemma):
    task, asked = ll.task("translation", source="ru"), {"items": 3, "shots": 2, "seed": 1}
    result = logit_lens(gemma, task, languages="de", layers=SHOWN, **asked)
    prompts = task.prompts("de", **asked)
    table = result.table.set_index(["item", "curve", "layer"])["value"]
    answers = {code: task.answers(code) for code in ("de", "en", "ru")}
    sets = answer_sets(token_bytes(gemma.tokenizer), answers, cue=prompts[0].cue, scope="same")
    compared = 0
    for prompt in prompts:
        log_probs = slow_log_probs(gemma, gemma.activations([prompt], layers=SHOWN).resid[0])
        for curve, code in (("target", "de"), ("pivot", "en"), ("source", "ru")):
            if (prompt.item, curve, DEPTH) not in table.index:
                continue
            ids = torch.from_numpy(sets[code, prompt.label].exclusive)
            wanted = log_probs[:, ids].exp().sum(-1).numpy()
            np.testing.assert_allclose(
                [table[prompt.item, curve, n] for n in SHOWN], wanted, rtol=1e-3, atol=1e-8
            )
            compared += 1
    assert compared >= 5


def test_some_layers_are_read_as_among_all(gemma):
    asked = {"languages": "ja", "items": 4, "shots": 2}
    task = ll.task("translation", source="de")
    every, some = (logit_lens(gemma, task, layers=layers, **asked).table for layers in ("all", SHOWN))
    every = every[every["layer"].isin(SHOWN)].reset_index(drop=True)
    assert list(some["curve"]) == list(every["curve"]) and list(some["layer"]) == list(every["layer"])
    np.testing.assert_allclose(some["value"], every["value"], rtol=1e-4, atol=1e-7)


def test_all_languages_at_once_agree_with_the_pair(gemma):
    result = multilingual_lens(
        gemma, ll.task("translation", source="ru"), languages="ja", candidates="en,de,hi,ar,ko", items=6, shots=2,
        layers=SHOWN,
    )  # fmt: skip
    values = result.table["value"].to_numpy()
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
    found = result.pivot_test()
    assert sorted(found.scores["layer"].unique()) == list(SHOWN)
    assert "layers 6, 12, 17, 18 alone" in found.describe()
    # at the last layer Japanese is what was asked for, and what the model says
    last = found.scores[(found.scores["layer"] == DEPTH)].set_index("answer_language")["score"]
    assert last.idxmax() == "ja"


def test_one_prompt_token_by_token(gemma):
    result = explore(gemma, "Monday, Tuesday, Wednesday, Thursday,", layers=SHOWN, positions="last", top=2)
    cells = result.table[result.table["layer"] == DEPTH]
    assert cells.iloc[0]["text"] == "␣Friday" and cells.iloc[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert (result.table["kl"] >= 0).all()


def test_the_doctor_finds_no_fault(gemma):
    findings = check_up(gemma)
    assert [finding for finding in findings if finding.verdict == "fault"] == []
    assert any("Q4_K_M" in finding.detail for finding in findings)
