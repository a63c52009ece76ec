"""A name or a bare transformers model where a loaded model is needed; a name where a task is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError
from latentlang.lens import logit_lens, multilingual_lens, train_tuned_lens
from latentlang.lens.single_prompt import explore
from latentlang.models import HookedLM
from latentlang.tasks import as_task
from tests.support import tiny

LOOKS = {
    "logit_lens": lambda model, out: logit_lens(model, "translation", languages="ja"),
    "multilingual_lens": lambda model, out: multilingual_lens(model, "translation", languages="ja"),
    "train_tuned_lens": lambda model, out: train_tuned_lens(model, ["a text"]),
    "explore": lambda model, out: explore(model, "a text"),
    "evaluate": lambda model, out: ll.evaluate(model, "sentiment"),
    "harvest": lambda model, out: ll.harvest(model, ["a text"], out=out / "store"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_the_name_of_a_model_is_looked_up(look, tmp_path):
    with pytest.raises(InputError, match="unknown model 'pockt'; did you mean 'pocket'"):
        LOOKS[look]("pockt", tmp_path)


def test_the_name_of_a_model_is_the_model_loaded():
    by_name = logit_lens("pocket", "repetition", languages="ja", items=2, shots=1)
    made = logit_lens(ll.load("pocket"), "repetition", languages="ja", items=2, shots=1)
    pd.testing.assert_frame_equal(by_name.table, made.table)
    assert replace(by_name.provenance, created=made.provenance.created) == made.provenance


@pytest.mark.parametrize(
    "name", ["run_with_cache", "to_tokens", "hooks", "cfg", "generate", "W_U", "forward", "embed", "loss_fn"]
)
def test_a_name_of_transformer_lens_says_where_it_is(name):
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; .*model\.bridge\(\)\.{name} has it"):
        getattr(model, name)
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        _ = model.colour
    with pytest.raises(TypeError, match=r"model\.activations\(prompts\) reads"):
        model(["a text"])


@pytest.mark.parametrize(
    ("name", "option"),
    [("to", "device='cuda:0', dtype='bf16'"), ("cuda", "device='cuda'"), ("half", "dtype='fp16'")],
)
def test_what_places_a_model_is_said_at_load(name, option):
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; .*load\(\.\.\., {option}\)"):
        getattr(model, name)


def test_what_is_no_name_of_a_model_is_refused():
    with pytest.raises(InputError, match=r"named by its short name, hub id or folder, not 42; .*HookedLM"):
        ll.load(42)


def test_a_saved_result_is_no_model(tmp_path):
    logit_lens("pocket", "repetition", languages="ja", items=2, shots=1).save(tmp_path / "run")
    with pytest.raises(InputError, match=r"holds a saved result, no model; .*LensResult\.load\("):
        ll.load(tmp_path / "run")


@pytest.mark.parametrize("option", ["language", "lang", "languges"])
def test_an_option_by_another_name_is_named(option):
    with pytest.raises(
        InputError, match=rf"unknown option of logit_lens '{option}'; did you mean 'languages'"
    ):
        logit_lens("pocket", "translation", **{option: "ja"})


@pytest.mark.parametrize("look", LOOKS)
def test_a_bare_model_says_how_to_wrap_it(look, tmp_path):
    with pytest.raises(InputError, match=r"not MistralForCausalLM; .*HookedLM\(model, tokenizer\)"):
        LOOKS[look](tiny.model("mistral"), tmp_path)


@pytest.mark.parametrize("lens", [logit_lens, multilingual_lens])
def test_the_name_of_a_task_is_the_task_with_its_defaults(lens):
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    by_name = lens(model, "repetition", languages="ja", items=2, shots=1)
    made = lens(model, ll.task("repetition"), languages="ja", items=2, shots=1)
    pd.testing.assert_frame_equal(by_name.table, made.table)
    assert replace(by_name.provenance, created=made.provenance.created) == made.provenance


def test_no_language_is_no_language():
    with pytest.raises(InputError, match=r"^no language named; give codes such as 'ja,hi'"):
        logit_lens("pocket", "translation", languages=None)


def test_what_is_neither_a_task_nor_a_name_is_refused():
    with pytest.raises(InputError, match="unknown task 'translations'; did you mean 'translation'"):
        as_task("translations")
    with pytest.raises(InputError, match="a task or the name of one is needed, not list"):
        as_task(["translation"])

    class Letters(type(ll.task("sentiment"))):
        def answers(self, language):
            return {"positive": "bon", "negative": "mauvais"}

    with pytest.raises(
        InputError,
        match=r"Letters.answers\('.*'\) gives 'bon' for 'positive'; give a tuple of .*, \('bon',\)",
    ):
        ll.evaluate("pocket", Letters(), languages="fr")


@pytest.mark.parametrize(
    "look",
    [
        lambda model: logit_lens(model, "repetition", languages="ja", items=2, shots=1, seed=-1),
        lambda model: multilingual_lens(model, "repetition", languages="ja", items=2, shots=1, seed=-1),
        lambda model: ll.evaluate(model, "sentiment", languages="ja", items=2, seed=-1),
        lambda model: ll.harvest(model, ["a text"], out="nowhere", seed=-1),
    ],
)
def test_a_negative_seed_is_refused_before_anything_runs(look):
    with pytest.raises(InputError, match="seed must be at least 0, not -1"):
        look(HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny"))


def test_numbers_may_be_numpys_and_one_needs_no_list():
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    text = "a text of some words"

    def same(one, other):
        torch.testing.assert_close(one.resid, other.resid)

    same(model.activations([text], positions=np.arange(3)), model.activations([text], positions=[0, 1, 2]))
    same(
        model.activations([text], positions=0, layers=np.int64(2)),
        model.activations([text], positions=[0], layers=[2]),
    )
    two = model.activations([text, text], positions=[np.array([0, 2]), np.array([1, 2])])
    same(two, model.activations([text, text], positions=[[0, 2], [1, 2]]))
    for layers, positions in ((np.arange(1, 3), -1), (2, "last")):
        given = explore(model, text, layers=layers, positions=positions).table
        listed = np.atleast_1d(layers).tolist()
        made = explore(model, text, layers=listed, positions=[-1]).table
        pd.testing.assert_frame_equal(given, made)
    assert model.encode(pd.Series([text])) == model.encode([text])
    assert train_tuned_lens(model, pd.Series([text]), steps=1, positions=2).bias.shape == (3, 32)


def test_states_may_be_a_generator():
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    result = ll.evaluate(model, "sentiment", languages="de", items=2, states=(name for name in ["base"]))
    assert result.states == ("base",)
