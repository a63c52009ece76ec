"""Training of the embedded models: which blocks are left out, the course of the rate, and a whole run in small."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

import latentlang as ll
from experiments.pocket import train
from experiments.pocket.tokenizer import shared_tokenizer
from experiments.pocket.train import MODELS, Recipe, variant

SMALL = {"width": 32, "feed_forward": 48, "rows": 2, "row_tokens": 32}


@pytest.fixture(scope="module")
def tokenizer():
    return shared_tokenizer(MODELS / "pocket")


def test_blocks_of_the_middle_are_left_out_alike_and_those_at_both_ends_never():
    assert train.skip_shares(Recipe()) == [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0, 0]
    growing = train.skip_shares(Recipe(skipped="growing"))
    assert growing[0] == 0 and growing[-1] == 0.2
    assert growing == sorted(growing)
    assert train.skip_shares(Recipe(depth=1)) == [0]


def test_a_block_left_out_is_as_if_it_were_not_there_and_only_in_training(tokenizer):
    recipe = Recipe(**SMALL, block_skip=0)
    plain = train.build_model(recipe, tokenizer)
    thinned = train.build_model(recipe, tokenizer)
    # Nearly always, for what is kept is scaled by the inverse of how often.
    train.skip_blocks(thinned, [0, 0, 1 - 1e-9, 0, 0, 0, 1 - 1e-9, 0])
    ids = torch.arange(300, 316).view(2, 8)
    with torch.inference_mode():
        whole = plain.eval()(input_ids=ids).logits
        assert torch.equal(thinned.eval()(input_ids=ids).logits, whole)
        without = thinned.train()(input_ids=ids).logits
        del plain.model.layers[6], plain.model.layers[2]
        assert torch.allclose(without, plain(input_ids=ids, use_cache=False).logits, atol=1e-6)
        assert not torch.allclose(without, whole, atol=1e-4)


def test_blocks_left_out_at_random_change_a_block_by_as_much_on_average(tokenizer):
    recipe = Recipe(**SMALL, depth=1, block_skip=0)
    model = train.build_model(recipe, tokenizer)
    train.skip_blocks(model, [0.25])
    states = torch.randn(1, 4, recipe.width).expand(4000, -1, -1)
    block = model.model.layers[0]
    places = torch.arange(4)[None]
    positions = model.model.rotary_emb(states[:1], places)
    with torch.inference_mode():
        changed = block.train()(states, position_embeddings=positions, attention_mask=None) - states
        whole = block.eval()(states[:1], position_embeddings=positions, attention_mask=None) - states[:1]
    left_out = (changed.abs().amax((1, 2)) == 0).float().mean()
    assert left_out.item() == pytest.approx(0.25, abs=0.03)
    assert torch.allclose(changed.mean(0), whole[0], atol=0.05 * whole.abs().max().item())


def test_the_rate_rises_stays_and_falls():
    recipe = Recipe(steps=1000, warm_up=100, decay_from=0.5)
    shares = [train.course(recipe, step) for step in range(1000)]
    assert shares[0] == pytest.approx(0.01) and shares[100:500] == [1.0] * 400
    assert shares[:100] == sorted(shares[:100]) and shares[500:] == sorted(shares[500:], reverse=True)
    assert shares[-1] == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize("name", [None, "untied"])
def test_a_run_in_small_writes_a_model_that_loads_as_it_was_trained(tmp_path, name, tokenizer):
    recipe = replace(variant(name, **SMALL, seed=3), steps=3, hub_only_share=0.4)
    folder = train.train("pocket", recipe, compiled=False, out=tmp_path / "pocket")
    first, *rows = map(json.loads, (tmp_path / f"pocket-seed{recipe.seed}.jsonl").read_text().splitlines())
    assert first["hub"] == "en" and first["recipe"]["steps"] == 3
    assert rows[-1]["step"] == 3 and rows[-1]["loss"] == pytest.approx(math.log(len(tokenizer)), rel=0.3)
    lm = AutoModelForCausalLM.from_pretrained(folder)
    tied = lm.get_input_embeddings().weight.data_ptr() == lm.get_output_embeddings().weight.data_ptr()
    assert tied == recipe.tied
    assert not torch.equal(
        lm.get_input_embeddings().weight.float(),
        train.build_model(recipe, tokenizer).get_input_embeddings().weight.to(torch.bfloat16).float(),
    )
    assert ll.load(str(folder)).n_layers == recipe.depth
    assert json.loads((folder / "split.json").read_text())["recipe"] == json.loads(
        json.dumps(recipe.as_record())
    )
