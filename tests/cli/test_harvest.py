"""`latentlang harvest`: a store from the command line, resumed, verified, refused."""

from __future__ import annotations

import json
import re

import pytest
import torch

import latentlang as ll
from latentlang.activations import harvesting
from latentlang.cli import options
from latentlang.errors import InputError
from tests.support.warm import warm_process

QUICK = ("harvest", "--items", "3", "--out", "store")


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


def test_a_store_of_several_languages(run, tmp_path):
    text = _ended_well(run(*QUICK, "--lang", "ja,en", "--lang", "de"))
    assert re.search(r"prompts +9 of sentiment in 3 languages", text)
    assert "layers 0-8, pools mean, question, last: float32 [160]" in text
    assert "in 1 file" in text and "prompts/s" in text and "wrote store" in text
    assert "next: latentlang pca store" in text
    store = ll.open_store(tmp_path / "store")
    prompts = [p for code in ("ja", "en", "de") for p in ll.task("sentiment").prompts(code, items=3)]
    assert store.frame()["text"].tolist() == [prompt.text for prompt in prompts]
    assert store.provenance.languages == ("ja", "en", "de")
    assert (store.provenance.task, store.provenance.settings["shots"]) == ("sentiment", 2)
    model = ll.load("pocket")
    for pool in store.pools:
        wanted = model.activations(prompts, pools=pool).resid
        torch.testing.assert_close(store.layer(5, pools=pool).tensor(), wanted[:, 5], rtol=1e-5, atol=1e-5)


def test_the_same_command_again_runs_nothing(run, tmp_path):
    _ended_well(run(*QUICK, "--lang", "ja"))
    before = (tmp_path / "store" / "manifest.json").read_bytes()
    text = _ended_well(run(*QUICK, "--lang", "ja"))
    assert "3 were there before" in text and "nothing was run" in text and "kept store" in text
    assert (tmp_path / "store" / "manifest.json").read_bytes() == before


def test_json_says_what_was_run(run, tmp_path):
    _ended_well(run(*QUICK, "--lang", "ja"))
    record = json.loads(_ended_well(run(*QUICK, "--lang", "ja", "--json")))
    store = ll.open_store(tmp_path / "store")
    assert (record["kind"], record["model"], record["prompts"], record["run"]) == ("store", "pocket", 3, 0)
    assert (record["layers"], record["width"], record["dtype"]) == (list(range(9)), 160, "float32")
    assert (record["bytes"], record["folder"]) == (store.manifest.bytes, "store")


def test_what_is_kept_can_be_chosen(run, tmp_path):
    _ended_well(
        run(
            *QUICK, "--lang", "fr,ja", "--task", "translation", "--layers", "0, 2-4,8", "--pools", "last", "--sites",
            "resid", "--store-dtype", "bf16", "--shots", "1",
        )
    )  # fmt: skip
    store = ll.open_store(tmp_path / "store")
    assert (store.layers, store.pools, store.dtype) == ((0, 2, 3, 4, 8), ("last",), torch.bfloat16)
    assert store.provenance.settings["sources"] == {"fr": "de", "ja": "fr"}
    assert list(dict.fromkeys(store.frame()["language"])) == ["fr", "ja"], "in the order asked for"


def test_an_interrupt_says_what_was_kept_and_how_to_go_on(run, tmp_path, monkeypatch):
    # as small as three prompts of this model
    monkeypatch.setattr(harvesting, "rows_per_shard", lambda _layout, _bytes: 3)
    made = harvesting._piece

    def interrupted(reading, shard, layout):
        if shard == 2:
            raise KeyboardInterrupt
        return made(reading, shard, layout)

    monkeypatch.setattr(harvesting, "_piece", interrupted)
    outcome = run(*QUICK, "--lang", "ja,en,de")
    assert outcome.code == 130
    assert re.search(
        r"interrupted; [36] of 9 prompts are kept in store: run the same command again", outcome.err
    )
    monkeypatch.setattr(harvesting, "_piece", made)
    text = _ended_well(run(*QUICK, "--lang", "ja,en,de"))
    assert re.search(r"9 of sentiment in 3 languages; [36] were there before", text)


def test_an_interrupt_before_anything_was_written(run, tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ll.activations, "harvest", interrupted)
    outcome = run(*QUICK, "--lang", "ja")
    assert (outcome.code, outcome.err) == (130, "latentlang: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_verify_reads_every_byte(run, tmp_path):
    _ended_well(run(*QUICK, "--lang", "ja"))
    text = _ended_well(run("harvest", "--verify", "store"))
    assert "sound: 1 file, 0.1 MiB, as they were written" in text
    shard = tmp_path / "store" / "shard-00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    outcome = run("harvest", "--verify", "store")
    assert outcome.code == 2
    assert "shard-00000.safetensors has changed since it was written" in outcome.out
    assert outcome.err == "latentlang: error: 1 file of the store 'store' cannot be relied on\n"


def test_a_store_of_something_else_is_refused(run, tmp_path):
    _ended_well(run(*QUICK, "--lang", "ja"))
    outcome = run(*QUICK, "--lang", "ja", "--layers", "1", "--seed", "3")
    assert outcome.code == 2
    assert "layers 0-8 there, 1 here" in outcome.err
    assert "its prompts are others, from row 0 on" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "s"), "say which languages are run"),
        (("--lang", "ja"), "say where the store goes"),
        (("--lang", "jaa", "--out", "s"), "unknown language 'jaa'"),
        (
            ("--lang", "ja", "--out", "s", "--layers", "1-x"),
            "--layers '1-x': give all, or numbers and ranges",
        ),
        (("--lang", "ja", "--out", "s", "--layers", ""), "--layers '': give all"),
        (("--lang", "ja", "--out", "s", "--layers", "9"), "layer 9 does not exist; this model has 0"),
        (("--lang", "ja", "--out", "s", "--pools", "maen"), "unknown pool 'maen'"),
        (("--lang", "ja", "--out", "s", "--pools", ""), "no pool asked for"),
        (("--lang", "ja", "--out", "s", "--sites", "residual"), "unknown site 'residual'"),
        (("--lang", "ja", "--out", "s", "--items", "0"), "items must be at least 1, not 0"),
        (("--lang", "ja", "--out", "s", "--store-dtype", "int8"), "activations cannot be stored as int8"),
        (("--lang", "ja", "--out", "s", "--model", "pockt"), "did you mean 'pocket'"),
        (("--lang", "ja", "--out", "s", "--task", "translation", "--shots", "40"), "tokens long"),
        (("--verify", "nowhere"), "holds no activation store"),
        (("--verify", "s", "--lang", "ja"), "leave out --lang and --out with it"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(run, tmp_path, arguments, message):
    outcome = run("harvest", *arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_in_a_process_of_its_own_with_a_progress_bar(tmp_path):
    outcome = warm_process(
        "-m", "latentlang", "harvest", "--lang", "ja", "--items", "200", "--out", tmp_path / "store",
        FORCE_COLOR="1", TTY_COMPATIBLE="1", COLUMNS="120",
    )  # fmt: skip
    assert outcome.code == 0
    assert "harvesting" in outcome.err and "200/200" in outcome.err and "prompts/s" in outcome.err
    assert len(ll.open_store(tmp_path / "store")) == 200
    assert json.loads((tmp_path / "store" / "manifest.json").read_text())["format"] == 2


def test_layers_are_read_as_ranges():
    assert options.layer_numbers("all") == "all"
    assert options.layer_numbers("0,4, 8-10") == [0, 4, 8, 9, 10]
    for text in ("", "1,", "-1", "4-", "a"):
        with pytest.raises(InputError, match="--layers"):
            options.layer_numbers(text)
