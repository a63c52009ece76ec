"""On the embedded model: a language's vector changes the language of the answer, a random one does not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

import latentlang as ll
from latentlang.errors import ModelError
from latentlang.geometry import DirectionsResult, ErasureResult
from latentlang.models import HookedLM


def _japanese(lm: HookedLM, prompts: list[ll.Prompt], *edits: ll.Edit) -> float:
    """Share of answers whose first token is not written in ASCII; a byte of a Japanese character is not."""
    with lm.edited(list(edits)):
        logits = lm.activations(prompts).logits
    assert logits is not None
    firsts = [lm.tokenizer.decode([token]) for token in logits.argmax(-1).tolist()]
    return sum(not text.isascii() for text in firsts) / len(firsts)


def test_translation_into_english_turns_into_translation_into_japanese(tmp_path: Path) -> None:
    lm = ll.load("pocket")
    task = ll.task("translation", source="fr")
    store = ll.harvest(
        lm, task, languages="en,ja,de", items=60, pools=("last",), out=tmp_path / "s", progress=False
    )
    seen = set(store.frame()["item"])
    prompts = [prompt for prompt in task.prompts("en") if prompt.item not in seen][:40]
    assert len(prompts) == 40
    result = ll.directions(store, reference="en", layers=[4], permutations=0, resamples=0)
    edit = result.edit("ja", layers=4, strength=1.0, positions="last")
    random = torch.randn(lm.d_model, generator=torch.Generator().manual_seed(0))
    random *= result.at(4).typical / random.norm()
    assert _japanese(lm, prompts) <= 0.05
    assert _japanese(lm, prompts, edit) >= 0.8
    assert _japanese(lm, prompts, ll.Edit.add(random, layers=4, positions="last")) <= 0.1


def test_erasing_takes_the_language_out_of_what_is_read(tmp_path: Path) -> None:
    lm = ll.load("pocket")
    task = ll.task("translation", source="fr")
    store = ll.harvest(
        lm, task, languages="en,ja,de", items=60, pools=("last",), out=tmp_path / "s", progress=False
    )
    result = ll.erase(store, layers=[6], method="leace")
    prompts = [prompt for code in ("en", "ja", "de") for prompt in task.prompts(code, items=60)]
    with lm.edited(result.edit(layers=6, positions="last")):
        edited = lm.activations(prompts, layers=[6]).resid[:, 0].double()
    means = edited.reshape(3, 60, -1).mean(1)
    plain = store.layer(6, pools="last").tensor().double().reshape(3, 60, -1).mean(1)
    assert float((means - means[0]).norm()) < 1e-3 * float((plain - plain[0]).norm())


def test_directions_of_another_model_of_the_same_width_are_refused(tmp_path: Path) -> None:
    lm = ll.load("pocket")
    store = ll.harvest(
        lm, ll.task("translation", source="fr"), languages="en,ja", items=8, pools=("last",), layers=[4],
        out=tmp_path / "s", progress=False,
    )  # fmt: skip
    found = ll.directions(store, permutations=0, resamples=0)
    erasure = ll.erase(store, method="lsar", rank=1)
    found.save(tmp_path / "d")
    erasure.save(tmp_path / "e")
    other = HookedLM(copy.deepcopy(lm.model), lm.tokenizer, name="other")
    with torch.no_grad():
        other.model.get_output_embeddings().weight[0, 0] += 1
    for edit in (
        found.edit("ja", layers=4), DirectionsResult.load(tmp_path / "d").edit("ja", layers=4),
        erasure.edit(layers=4), ErasureResult.load(tmp_path / "e").edit(layers=4),
    ):  # fmt: skip
        with lm.edited(edit):
            assert len(lm.edits) == 1
        with (
            pytest.raises(ModelError, match="come from a model of other weights than 'other'"),
            other.edited(edit),
        ):
            pass
        assert other.edits == []
    # the numbers alone are anybody's
    with other.edited(ll.Edit.add(found.vector("ja", layer=4), layers=4)):
        assert len(other.edits) == 1
