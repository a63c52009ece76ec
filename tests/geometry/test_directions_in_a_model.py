"""On the embedded model: a language's vector changes the language of the answer, a random one does not."""

from __future__ import annotations

from pathlib import Path

import torch

import latentlang as ll
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
