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
from tests.support import tiny


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


def _pair(lm: HookedLM, folder: Path) -> tuple[DirectionsResult, ErasureResult]:
    """Directions and an erasure of a model in its present state, as they are loaded again."""
    store = ll.harvest(
        lm, ll.task("translation", source="fr"), languages="en,ja,de", items=8, pools=("last",), layers=[4],
        out=folder / "s", progress=False,
    )  # fmt: skip
    ll.directions(store, permutations=0, resamples=0).save(folder / "d")
    ll.erase(store, method="lsar", rank=1).save(folder / "e")
    return DirectionsResult.load(folder / "d"), ErasureResult.load(folder / "e")


def test_directions_found_with_an_adapter_on_are_refused_with_it_off_and_the_other_way(
    tmp_path: Path,
) -> None:
    plain = ll.load("pocket")
    lm = HookedLM(tiny.adapted(copy.deepcopy(plain.model)), plain.tokenizer, name="tuned", adapter="french")
    on = _pair(lm, tmp_path / "on")
    with lm.base():
        off = _pair(lm, tmp_path / "off")
    task = ll.task("translation", source="fr")
    for found, other, here, there in (
        (on, lm.base, "with the adapter 'french' on", "'tuned' has no adapter on"),
        (off, lm.tuned, "with no adapter on", "'tuned' has the adapter 'french' on"),
    ):
        for edit in (found[0].edit("ja", layers=4), found[1].edit(layers=4)):
            refused = rf"were found {here}, and {there} here"
            with lm.tuned() if found is on else lm.base():
                with lm.edited(edit):
                    assert len(lm.edits) == 1
                    # turned off or on while the edit is in force
                    with pytest.raises(ModelError, match=refused), other():
                        pass
                assert lm.edits == []
            with other(), pytest.raises(ModelError, match=refused), lm.edited(edit):
                pass
    # steering refuses them too
    with lm.base(), pytest.raises(ModelError, match="with the adapter 'french'"):
        ll.steer(
            lm, task, language="ja", directions=tmp_path / "on" / "d", other="de", layers=4, progress=False
        )


def test_directions_of_several_adapters_are_of_their_strengths(tmp_path: Path) -> None:
    plain = ll.load("pocket")
    lm = HookedLM(tiny.adapted(copy.deepcopy(plain.model)), plain.tokenizer, name="tuned", adapter="french")
    directions, _erasure = _pair(lm, tmp_path)
    edit = directions.edit("ja", layers=4)
    parts = [part for part in lm.model.modules() if hasattr(part, "set_scale")]
    for part in parts:
        part.set_scale("default", 0.5)
    with pytest.raises(
        ModelError, match=r"the adapter 'french' on, and 'tuned' has the adapter 'french x0.5' on"
    ):
        lm.edited(edit).__enter__()
    for part in parts:
        part.set_scale("default", 1.0)
    with lm.edited(edit):
        assert len(lm.edits) == 1
