"""Evaluation, activations on disk and alignment, on Gemma 3 270M."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import latentlang as ll
from latentlang.activations import ActivationStore, find_faults, harvest
from latentlang.evaluation import evaluate
from latentlang.geometry import alignment
from latentlang.lens import logit_lens
from tests.support.gemma import skip_without_gemma
from tests.support.slow_measures import cka

skip_without_gemma()
pytestmark = pytest.mark.real

ITEMS, LAYERS = 10, (0, 9, 18)


def test_choices_are_what_the_last_layer_says(gemma):
    asked = {"languages": "en,de", "items": 5, "shots": 1, "seed": 2}
    result = evaluate(gemma, "sentiment", **asked)
    scores = result.table[["score_positive", "score_negative"]].to_numpy()
    chosen = np.array(["positive", "negative"])[scores.argmax(1)]
    assert (result.table["predicted"] == chosen).all()
    assert (result.table["right"] == (chosen == result.table["label"])).all()
    assert result.table["mass"].between(0, 1).all()
    lens = logit_lens(gemma, "sentiment", policy="shared", pivot="en", layers=[18], **asked)
    assert lens.provenance.settings["accuracy"] == pytest.approx(
        result.table.groupby("language", observed=True)["right"].mean().to_dict()
    )


def test_whole_answers_are_the_models_own_probabilities(gemma):
    result = evaluate(gemma, "sentiment", languages="de", items=2, shots=1, score="sequence")
    task = ll.task("sentiment")
    for prompt, (_, row) in zip(task.prompts("de", items=2, shots=1), result.table.iterrows(), strict=True):
        before = gemma.encode([prompt])[0]
        for label, (word, *_) in task.answers("de").items():
            own = gemma.encode([prompt.text + word + '"'])[0][len(before) :]
            with torch.no_grad():
                logits = gemma.lm(torch.tensor([[*before, *own]]), use_cache=False).logits[0].double()
            log_probs = logits.log_softmax(-1)
            path = [float(log_probs[len(before) - 1 + place, token]) for place, token in enumerate(own)]
            # what closes the answer is a sum over tokens of which the quote alone is one
            assert sum(path) - 1e-4 <= row[f"score_{label}"] <= sum(path[:-1]) + 1e-4


@pytest.fixture(scope="module")
def store(gemma, tmp_path_factory: pytest.TempPathFactory) -> ActivationStore:
    folder: Path = tmp_path_factory.mktemp("real") / "store"
    return harvest(gemma, "sentiment", out=folder, languages="de,ja", layers=LAYERS, items=ITEMS, shots=0)


def test_what_is_on_disk_is_what_was_read(gemma, store):
    assert find_faults(store.path) == []
    prompts = [p for code in ("de", "ja") for p in ll.task("sentiment").prompts(code, items=ITEMS, shots=0)]
    alone = gemma.activations(prompts[-1:], layers=LAYERS, pools="mean", share_prefix=False).resid[0]
    frame = store.frame()
    row = int(np.flatnonzero((frame["language"] == "ja") & (frame["item"] == prompts[-1].item))[0])
    for place, layer in enumerate(LAYERS):
        kept = store.layer(layer, pools="mean")[row].float()
        assert float((kept - alone[place]).abs().max()) <= 1e-4 * float(alone[place].abs().max())


def test_alignment_is_its_definition(store):
    result = alignment(store, measures="cka,retrieval", pools="mean", permutations=20, resamples=20)
    frame = store.frame()
    for layer in LAYERS:
        every = np.asarray(store.layer(layer, pools="mean"), dtype=np.float64)
        sides = []
        for code in ("de", "ja"):
            own = frame[frame["language"] == code].sort_values("item")
            sides.append(every[own.index])
        wanted = cka(*(side - side.mean(0) for side in sides))
        row = result.table[(result.table["layer"] == layer) & (result.table["measure"] == "cka")].iloc[0]
        assert row["n"] == ITEMS and row["value"] == pytest.approx(wanted, rel=1e-3, abs=1e-4)
