"""Counts of neurons: against a plain loop with hooks, on a model of known neurons, resumed, saved, and refused."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.units import NeuronsResult, neurons
from latentlang.units.counting import groups_of
from tests.support import tiny
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.planted_neurons import PLANTED, planted, texts

# Random neurons fire at half of all tokens: a neuron of few tokens of a language is active by a low bar alone.
LENIENT: dict[str, Any] = {"share": 0.02, "percentile": 10}
FEW: dict[str, Any] = {"groups": 5, "deals": 20, "progress": False}


def hooked(architecture: str = "mistral", **tokenizer: Any) -> HookedLM:
    return HookedLM(tiny.model(architecture), tiny.tokenizer(**tokenizer), name="tiny")


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return hooked()


@pytest.fixture(scope="module")
def result(model: HookedLM) -> NeuronsResult:
    return neurons(model, PARAGRAPHS, **FEW)


# Of a block: the module whose output enters the activation function, how much of it, and the output projection.
_PARTS = {
    "mistral": lambda layer: (layer.mlp.gate_proj, 48, layer.mlp.down_proj),
    "gemma3": lambda layer: (layer.mlp.gate_proj, 48, layer.mlp.down_proj),
    "phi3": lambda layer: (layer.mlp.gate_up_proj, 48, layer.mlp.down_proj),
    "gpt2": lambda layer: (layer.mlp.c_fc, 128, layer.mlp.c_proj),
    "gpt-neox": lambda layer: (layer.mlp.dense_h_to_4h, 48, layer.mlp.dense_4h_to_h),
    "bloom": lambda layer: (layer.mlp.dense_h_to_4h, 128, layer.mlp.dense_4h_to_h),
    "opt": lambda layer: (layer.fc1, 48, layer.fc2),
    "qwen2": lambda layer: (layer.mlp.gate_proj, 48, layer.mlp.down_proj),
}


def _layers(lm: Any) -> list[Any]:
    (blocks,) = (part for part in lm.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == 3)
    return list(blocks)


def _by_hand(lm: HookedLM, architecture: str, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """``[layer, token, neuron]`` before the activation function and after, of one text alone."""
    before: list[torch.Tensor] = []
    after: list[torch.Tensor] = []
    hooks = []
    for layer in _layers(lm.model):
        enters, width, leaves = _PARTS[architecture](layer)
        hooks.append(
            enters.register_forward_hook(
                lambda _module, _args, out, width=width: before.append(
                    out.reshape(-1, out.shape[-1])[:, :width]
                )
            )
        )
        hooks.append(
            leaves.register_forward_pre_hook(
                lambda _module, args: after.append(args[0].reshape(-1, args[0].shape[-1]))
            )
        )
    with torch.no_grad():
        lm.model(torch.tensor([ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return torch.stack(before).numpy(), torch.stack(after).double().numpy()


@pytest.mark.parametrize("architecture", _PARTS)
@pytest.mark.parametrize("bos", [True, False])
def test_counts_are_those_of_a_plain_loop(architecture: str, bos: bool) -> None:
    lm = hooked(architecture, bos=bos)
    given = {code: PARAGRAPHS[code] for code in ("en", "hi")}
    result = neurons(lm, given, batch_tokens=64, **FEW)
    prompts = {
        code: [ll.Prompt(f"{number:05}", code, "", "", text, "") for number, text in enumerate(listed, 1)]
        for code, listed in given.items()
    }
    placed = groups_of(prompts, 5, seed=0)
    for place, code in enumerate(given):
        fires, total, tokens = Counter[int](), Counter[int](), Counter[int]()
        for prompt in prompts[code]:
            before, after = _by_hand(lm, architecture, lm.tokenizer(prompt.text)["input_ids"])
            half = placed[prompt.item] % 2
            fires[half] = fires[half] + (before[:, bos:] > 0).sum(1)
            total[half] = total[half] + after[:, bos:].sum(1)
            tokens[half] += before.shape[1] - bos
        for half in (0, 1):
            assert np.array_equal(result.counts.fires[half, place].numpy(), fires[half])
            np.testing.assert_allclose(result.counts.total[half, place], total[half], rtol=1e-4, atol=1e-4)
            assert result.counts.tokens[half, place] == tokens[half]
    counted = {code: int(result.counts.tokens[:, place].sum()) for place, code in enumerate(given)}
    assert result.settings.counted == counted


def test_some_layers_are_those_of_all(model: HookedLM, result: NeuronsResult) -> None:
    some = neurons(model, PARAGRAPHS, layers="2", **FEW)
    assert some.settings.layers == [2] and set(some.table["layer"]) == {2}
    assert torch.equal(some.counts.fires[:, :, 0], result.counts.fires[:, :, 1])
    assert some.table["entropy"].tolist() == result.table.query("layer == 2")["entropy"].tolist()


def test_the_model_is_not_changed_and_the_same_seed_gives_the_same(
    model: HookedLM, result: NeuronsResult
) -> None:
    again = neurons(model, PARAGRAPHS, **FEW)
    pd.testing.assert_frame_equal(again.table, result.table)
    assert not model._interventions._edits
    other = neurons(model, PARAGRAPHS, **{**FEW, "seed": 1})
    assert torch.equal(other.counts.fires.sum(0), result.counts.fires.sum(0))
    assert not other.table["z"].equals(result.table["z"])


def test_shared_tokens_are_those_of_half_of_the_languages_and_inside_ones_begin_no_word(
    model: HookedLM,
) -> None:
    ids = {
        code: [model.tokenizer(text)["input_ids"] for text in listed] for code, listed in PARAGRAPHS.items()
    }
    present = [{token for text in listed for token in text} for listed in ids.values()]
    shared = {token for token in set().union(*present) if sum(token in each for each in present) >= 2}
    result = neurons(model, PARAGRAPHS, tokens="shared", **FEW)
    for code, listed in ids.items():
        assert result.settings.counted[code] == sum(token in shared for text in listed for token in text[1:])
    result = neurons(model, PARAGRAPHS, tokens="inside", **FEW)
    for code, listed in ids.items():
        words = [model.tokenizer.convert_ids_to_tokens(text) for text in listed]
        begins = sum(word.startswith(("Ġ", "Ċ")) for text in words for word in text[2:])
        assert result.settings.counted[code] == sum(len(text) - 2 for text in listed) - begins


# A model of known neurons


@pytest.fixture(scope="module")
def known() -> NeuronsResult:
    given = texts()
    return neurons(planted(given), given, groups=6, deals=50, progress=False)


def test_planted_neurons_are_found_with_their_languages(known: NeuronsResult) -> None:
    for code, neuron in PLANTED.items():
        place = known.languages.index(code)
        shares = known.shares()[:, 0, neuron]
        assert shares[place] > 0.2 and (np.delete(shares, place) == 0).all()
        row = known.table.query("layer == 1 and neuron == @neuron", local_dict={"neuron": neuron}).iloc[0]
        assert row["entropy"] == 0 and row["q"] <= 0.05
        chosen = known.select(**LENIENT).query(
            "layer == 1 and neuron == @neuron", local_dict={"neuron": neuron}
        )
        assert chosen["language"].tolist() == [code] and chosen["languages"].tolist() == [1]
        assert chosen["precision"].tolist() == [1.0] and chosen["difference"].item() > 3
        assert chosen["share"].item() == shares[place]
        for rule in ("lape", "lna"):
            assert known.members(rule, **LENIENT)[place, 0, neuron]


def test_means_and_edits_are_of_the_selected_neurons(known: NeuronsResult) -> None:
    edit = known.edit("hi", value="mean", **LENIENT)
    members = known.members(**LENIENT)[known.languages.index("hi")]
    assert [list(each) for each in edit.change.features] == [np.flatnonzero(row).tolist() for row in members]
    np.testing.assert_allclose(edit.change.vectors[0].numpy(), known.means().mean(0))
    summary = known.summary(**LENIENT).set_index("language")
    assert summary.loc["hi", "neurons"] == members.sum()
    assert (summary["specific"] + summary["related"]).equals(summary["neurons"])
    assert known.figure().data[0].z is not None


def test_what_is_said_is_what_the_tables_hold(known: NeuronsResult) -> None:
    first, second, *_ = known.describe().splitlines()
    assert first == (
        f"144 neurons in 3 layers, over 4 languages of at least {min(known.settings.counted.values())} tokens each."
    )
    assert second.startswith("LAPE's rule selects 1, a fixed share, as it does of any model")
    lower = (known.table["q"] <= 0.05).mean()
    assert ("of all neurons fire in fewer languages" in known.describe()) == (lower > 0.5)
    bare = dataclasses.replace(known, table=known.table.assign(q=1.0))
    assert "none is told from chance" in bare.describe()


def test_without_a_null_nothing_is_told_from_chance(model: HookedLM) -> None:
    bare = neurons(model, PARAGRAPHS, groups=5, deals=0, progress=False)
    assert bare.table["z"].isna().all() and "without a null" in bare.describe()
    assert bare.members("lape").any() and bare.glance()["neurons"].sum() and bare.figure().data
    with pytest.raises(InputError, match="no null"):
        bare.members()


# Stopped and saved runs


def test_a_stopped_run_repeats_no_finished_language(
    model: HookedLM, result: NeuronsResult, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = HookedLM.iter_activations

    def noted(self: HookedLM, prompts: Any, **options: Any) -> Any:
        ran.append(prompts[0].name[-3:-1])
        if len(ran) == 3:
            raise KeyboardInterrupt
        return run(self, prompts, **options)

    monkeypatch.setattr(HookedLM, "iter_activations", noted)
    with pytest.raises(KeyboardInterrupt):
        neurons(model, PARAGRAPHS, out=tmp_path, **FEW)
    again = neurons(model, PARAGRAPHS, out=tmp_path, **FEW)
    assert ran == ["en", "de", "ja", "ja", "hi"]
    pd.testing.assert_frame_equal(again.table, result.table, check_exact=True)
    for name in ("fires", "total", "tokens", "rates", "precision", "difference", "texts"):
        assert getattr(again.counts, name).numpy().tobytes() == getattr(result.counts, name).numpy().tobytes()
    ran[:] = ["not third"] * 3
    neurons(model, PARAGRAPHS, out=tmp_path, **FEW)
    assert len(ran) == 3
    # which tokens are shared depends on the other languages
    two = {code: PARAGRAPHS[code] for code in ("en", "hi")}
    shared = {**FEW, "tokens": "shared"}
    neurons(model, PARAGRAPHS, out=tmp_path, **shared)
    kept, alone = (neurons(model, two, out=out, **shared) for out in (tmp_path, None))
    assert torch.equal(kept.counts.fires, alone.counts.fires)


def test_it_is_saved_and_read_again(known: NeuronsResult, tmp_path: Any) -> None:
    again = NeuronsResult.load(known.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.table, known.table)
    assert again.describe() == known.describe() and again.settings == known.settings
    pd.testing.assert_frame_equal(again.select(), known.select(), rtol=1e-6)
    for name in ("fires", "total", "tokens", "texts"):
        assert torch.equal(getattr(again.counts, name), getattr(known.counts, name))
    assert known.counts.counted([texts()["ja"][0], "never"]) == [True, False]


@pytest.mark.parametrize("damage", ["missing", "cut", "another", "fewer", "settings"])
def test_a_damaged_result_is_one_clear_error(
    damage: str, model: HookedLM, known: NeuronsResult, tmp_path: Any
) -> None:
    folder = known.save(tmp_path / "out")
    counts = folder / "counts.safetensors"
    if damage == "missing":
        counts.unlink()
    elif damage == "cut":
        counts.write_bytes(counts.read_bytes()[:-50])
    elif damage == "another":
        other = neurons(model, PARAGRAPHS, layers="2", **FEW).save(tmp_path / "other")
        counts.write_bytes((other / "counts.safetensors").read_bytes())
    elif damage == "fewer":
        pd.read_parquet(folder / "result.parquet").head(3).to_parquet(folder / "result.parquet")
    else:
        record = json.loads((folder / "metadata.json").read_text())
        record["provenance"]["settings"]["neurons"] = -1
        (folder / "metadata.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=str(tmp_path / "out")):
        NeuronsResult.load(folder)


# What cannot be counted


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ({"ja": ["a", "b"]}, {}, "at least two languages"),
        (["a b", "c d"], {}, "at least two languages"),
        ({"ja": ["a b"], "de": ["c", "d"]}, {}, "'ja' has 1 paragraph, too few for two groups"),
        (PARAGRAPHS, {"languages": "ja,fr"}, "unknown language of these texts 'fr'"),
        (PARAGRAPHS, {"tokens": "some"}, "unknown choice of tokens 'some'"),
        (PARAGRAPHS, {"groups": 1}, "groups must be at least 2"),
        (PARAGRAPHS, {"deals": -1}, "deals must be at least 0"),
        (PARAGRAPHS, {"layers": [0]}, "layer 0"),
        (PARAGRAPHS, {"layers": [9]}, "9"),
        ({"en": ["a", "b"], "hi": ["घर", "हर"]}, {"tokens": "inside"}, "no token of the texts in 'en' counts"),
        ("nowhere", {}, "does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_refused(model: HookedLM, given: Any, options: Any, said: str) -> None:
    with pytest.raises((InputError, ModelError), match=said):
        neurons(model, given, **{**FEW, **options})


def test_a_mixture_of_experts_has_no_one_set_of_neurons() -> None:
    with pytest.raises(ModelError, match="neurons"):
        neurons(hooked("mixtral"), PARAGRAPHS, **FEW)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda result: result.members("best"), "unknown rule 'best'"),
        (lambda result: result.members(share=0), "share is above 0"),
        (lambda result: result.members(fdr=1.0), "fdr between 0 and 1"),
        (lambda result: result.edit("fr"), "unknown language of this result 'fr'"),
        (lambda result: result.edit("hi", value="one"), "unknown value 'one'"),
        (
            lambda result: result.edit("en", share=0.01, percentile=10),
            "no neuron belongs to en by the rule 'fdr'",
        ),
    ],
)
def test_what_a_result_cannot_say_is_refused(known: NeuronsResult, ask: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ask(known)


def test_a_folder_and_its_task_give_the_same(model: HookedLM, tmp_path: Any) -> None:
    folder = lines_folder(tmp_path / "text")
    by_folder, by_task = (
        neurons(model, given, languages="en,hi", **FEW)
        for given in (folder, ll.task("continuation", data=folder))
    )
    assert by_folder.languages == ("en", "hi")
    pd.testing.assert_frame_equal(by_folder.table, by_task.table)
    assert neurons(model, folder, items=2, **FEW).settings.items == 2
