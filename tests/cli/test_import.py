"""`latentlang import`: another engine's hidden states become a store, with what was checked said."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import latentlang as ll

TEXTS = {"en": ("a cat", "the dog runs"), "fr": ("un chat", "le chien court vite")}


@pytest.fixture
def dump(mistral_folder, tmp_path):
    """What vLLM's connector would write of some prompts: layers 0 and 1."""
    model = AutoModelForCausalLM.from_pretrained(mistral_folder)
    tokenizer = AutoTokenizer.from_pretrained(mistral_folder)
    lines, row = [], 0
    (tmp_path / "states").mkdir()
    for code, texts in TEXTS.items():
        for place, text in enumerate(texts):
            ids = tokenizer(text)["input_ids"]
            with torch.no_grad():
                found = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
            content = {"hidden_states": torch.stack([found[layer][0] for layer in (0, 1)], dim=1)}
            save_file({**content, "token_ids": torch.tensor(ids)}, tmp_path / "states" / f"{row}.safetensors")
            lines.append({"prompt": text, "language": code, "item": str(place)})
            row += 1
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return "states", "--prompts", "prompts.jsonl", "--layers", "0,1"


def test_a_dump_becomes_a_store_and_what_was_checked_is_said(run, dump, mistral_folder, tmp_path):
    ran = run("import", *dump, "--model", mistral_folder, "--sample", "3", "--out", "acts")
    assert (ran.code, ran.err) == (0, ""), ran.err
    assert "4 prompts in 2 languages" in ran.out
    assert "checked on 3 prompts: they differ from our own reading by at most" in ran.out
    assert "next: latentlang pca acts" in ran.out
    assert len(ll.open_store(tmp_path / "acts")) == 4
    ran = run("pca", "acts", "--pools", "last", "--layers", "1", "--out", "pictured")
    assert ran.code == 0, ran.err


def test_without_a_model_it_says_not_checked(run, dump):
    ran = run("import", *dump, "--out", "acts")
    assert (ran.code, ran.err) == (0, ""), ran.err
    assert "not checked: give --model to have a sample read again" in ran.out
    record = json.loads(run("import", *dump, "--out", "acts", "--json").out)
    assert record["imported"] == {"layout": "requests", "checked": 0}
    assert (record["prompts"], record["layers"], record["folder"]) == (4, [0, 1], "acts")


def test_what_differs_is_refused_in_one_line_with_the_option_to_correct(run, dump, mistral_folder, tmp_path):
    ran = run("import", *dump[:-1], "0,2", "--model", mistral_folder, "--out", "acts")
    assert (ran.code, ran.out) == (2, "")
    assert "layer 2 differs from our own reading of 4 prompts" in ran.err
    assert "it is what layer 1 is here" in ran.err
    assert "correct --layers or --shift" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "acts").exists()
    ran = run("import", *dump[:-2], "--out", "acts")
    assert ran.code == 2
    assert "does not say which 2 layers it holds; give --layers" in ran.err
