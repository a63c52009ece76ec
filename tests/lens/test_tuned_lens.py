from dataclasses import replace

import pytest
import torch

import latentlang as ll
from latentlang.errors import InputError, ModelError
from latentlang.lens.tuned import TunedLens, divergence, train_tuned_lens, unembedding_hash
from latentlang.models import HookedLM
from tests.support import tiny
from tests.support.object_store import new_memory

TEXTS = [
    "The film is good.",
    "Der Film ist gut.",
    "この映画は良いです。",
    "यह फ़िल्म अच्छी है।",
    "Filamu ni nzuri.",
] * 2


@pytest.fixture(scope="module")
def model() -> HookedLM:
    return HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")


@pytest.fixture(scope="module")
def tuned(model) -> TunedLens:
    return train_tuned_lens(model, TEXTS, steps=40, positions=48)


def test_it_comes_closer_to_the_output_at_every_layer(model, tuned):
    plain, better = divergence(model, TEXTS), divergence(model, TEXTS, lens=tuned)
    assert (better[:-1] < plain[:-1]).all()
    assert plain[-1] == pytest.approx(0, abs=1e-6)
    assert better[-1] == pytest.approx(0, abs=1e-6)


def test_divergence_is_the_definition(model):
    reading = model.activations(TEXTS[:1], positions="all")
    logits = model.unembed(reading.resid[0]).double()
    goal, found = logits[-1].log_softmax(-1), logits.log_softmax(-1)
    expected = (goal.exp() * (goal - found)).sum(-1).mean(-1) / torch.log(torch.tensor(2.0))
    torch.testing.assert_close(divergence(model, TEXTS[:1]), expected.double(), rtol=1e-4, atol=1e-6)


def test_translate_is_affine_and_leaves_the_last_layer(model, tuned):
    resid = torch.randn(2, model.n_layers + 1, model.d_model)
    out = tuned.translate(resid, range(model.n_layers + 1))
    torch.testing.assert_close(out[:, -1], resid[:, -1])
    h = resid[1, 1]
    torch.testing.assert_close(out[1, 1], h + tuned.weight[1] @ h + tuned.bias[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["weight", "bias"])
def test_one_that_is_no_numbers_is_not_loaded(model, tuned, tmp_path, part, value):
    broken = getattr(tuned, part).clone()
    broken.view(-1)[-1] = value
    replace(tuned, **{part: broken}).save(tmp_path)
    with pytest.raises(InputError, match="is not finite; its training failed"):
        TunedLens.load(tmp_path, model)


def test_saved_and_loaded_it_is_the_same_and_refuses_another_model(model, tuned, tmp_path):
    tuned.save(tmp_path)
    again = TunedLens.load(tmp_path, model)
    place = new_memory()
    tuned.save(place)
    assert TunedLens.load(place, model).identity == again.identity
    assert torch.equal(again.weight, tuned.weight)
    assert torch.equal(again.bias, tuned.bias)
    assert again.losses == tuned.losses
    assert again.settings == tuned.settings
    other = HookedLM(tiny.model("mistral", seed=1), tiny.tokenizer(), name="other")
    with pytest.raises(ModelError, match="another model than 'other'"):
        TunedLens.load(tmp_path, other)
    deeper = HookedLM(tiny.model("gpt2"), tiny.tokenizer(), name="gpt2")
    with pytest.raises(ModelError):
        TunedLens.load(tmp_path, deeper)
    with pytest.raises(InputError, match="no tuned lens"):
        TunedLens.load(tmp_path / "nowhere", model)


def test_the_model_is_untouched_by_training(model):
    before = {name: value.clone() for name, value in model.lm.state_dict().items()}
    grads = [p.grad is None for p in model.lm.parameters()]
    train_tuned_lens(model, TEXTS, steps=2, positions=16)
    assert all(torch.equal(before[name], value) for name, value in model.lm.state_dict().items())
    assert [p.grad is None for p in model.lm.parameters()] == grads
    assert unembedding_hash(model) == unembedding_hash(model)


@pytest.mark.parametrize(
    ("texts", "options"), [([], {}), (["a"], {"steps": 0}), (["a"], {"positions": 0}), ("abc", {})]
)
def test_bad_options(model, texts, options):
    with pytest.raises(InputError):
        train_tuned_lens(model, texts, **options)


@pytest.mark.slow("tests/lens/test_tuned_lens.py")
def test_on_pocket_it_is_closer_at_every_layer_on_held_out_text():
    model = ll.load("pocket")
    prompts = [
        p.text for code in ("en", "ja", "de", "hi") for p in ll.task("sentiment").prompts(code, items=20)
    ]
    tuned = train_tuned_lens(model, prompts[::2], steps=60, positions=128)
    plain, better = divergence(model, prompts[1::2]), divergence(model, prompts[1::2], lens=tuned)
    assert (better[:-1] < plain[:-1]).all()


def test_training_leaves_no_gradient_on_the_model():
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    train_tuned_lens(model, ["a text of some words", "and another one"], steps=2, positions=4)
    assert not [name for name, parameter in model.lm.named_parameters() if parameter.grad is not None]


def test_its_repr_is_a_line_without_numbers_of_its_weights(model, tuned):
    assert repr(tuned) == f"TunedLens(layers 0-{model.n_layers - 1}, d_model {model.d_model})"
