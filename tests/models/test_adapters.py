"""Adapters of every kind that PEFT has, against plain transformers and PEFT, one prompt at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch

from latentlang.errors import ModelError
from latentlang.models import HookedLM, load
from latentlang.models.adapter_loading import other_base
from latentlang.models.adapters import _UNREADABLE, kind_of
from latentlang.models.doctor import check_up
from tests.support import tiny

peft = pytest.importorskip("peft")
from safetensors.torch import load_file, save_file  # noqa: E402

IDS = [5, 9, 200, 7, 33, 9]
ON = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}


def lora(**options: Any) -> Any:
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 8, **ON, **options})


def kind(name: str, **options: Any) -> Callable[[], Any]:
    """A config by its class; the class may be missing in an older PEFT."""

    def make() -> Any:
        found = getattr(peft, name, None)
        if found is None:
            pytest.skip(f"this PEFT has no {name}")
        return found(**{**ON, **options})

    return make


def sub(option: str, name: str, **options: Any) -> Callable[[], Any]:
    """A LoRA with a variant's own config."""

    def make() -> Any:
        found = getattr(peft, name, None)
        if found is None:
            pytest.skip(f"this PEFT has no {name}")
        return lora(**{option: found(**options)})

    return make


# Each is read with the adapter on and off; those that say so rewrite the base's weights at loading.
KINDS: dict[str, Callable[[], Any]] = {
    "lora": lora,
    "gaussian": lambda: lora(init_lora_weights="gaussian"),
    "orthogonal": lambda: lora(init_lora_weights="orthogonal"),
    "eva": lambda: lora(init_lora_weights="eva", eva_config=peft.EvaConfig()),
    "mica": lambda: lora(init_lora_weights="mica"),
    "pissa (rewrites)": lambda: lora(init_lora_weights="pissa"),
    "olora (rewrites)": lambda: lora(init_lora_weights="olora"),
    "kasa (rewrites)": sub("kasa_config", "KasaConfig"),
    "embeddings and head (rewrites)": lambda: lora(target_modules=["embed_tokens", "lm_head", "q_proj"]),
    "rslora": lambda: lora(use_rslora=True),
    "dora": lambda: lora(use_dora=True),
    "qalora": lambda: lora(use_qalora=True),
    "bdlora": sub(
        "use_bdlora", "BdLoraConfig", nblocks=2, target_modules_bd_a=["q_proj"], target_modules_bd_b=["v_proj"]
    ),
    "monteclora": sub("monteclora_config", "MontecloraConfig"),
    "velora": sub("velora_config", "VeloraConfig"),
    "ranks by module": lambda: lora(rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3}),
    "lora with a bias": lambda: lora(lora_bias=True),
    "head saved whole": lambda: lora(modules_to_save=["lm_head"]),
    "embeddings saved whole": lambda: lora(modules_to_save=["embed_tokens"]),
    "tokens beside lora": lambda: lora(trainable_token_indices=[5, 9, 200]),
    "parameters": lambda: lora(target_modules=[], target_parameters=["q_proj.weight"]),
    "tokens": lambda: peft.TrainableTokensConfig(token_indices=[5, 9, 200], task_type="CAUSAL_LM"),
    "adalora": lambda: peft.AdaLoraConfig(total_step=100, init_r=4, target_r=2, **ON),
    "ia3": lambda: peft.IA3Config(
        task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
    ),
    "ln_tuning": lambda: peft.LNTuningConfig(task_type="CAUSAL_LM", target_modules=["input_layernorm", "norm"]),
    "boft": kind("BOFTConfig", boft_block_size=4), "fourierft": kind("FourierFTConfig", n_frequency=50),
    "hra": kind("HRAConfig"), "loha": kind("LoHaConfig", r=4), "lokr": kind("LoKrConfig", r=4),
    "oft": kind("OFTConfig", r=4, oft_block_size=0),
    "vblora": kind("VBLoRAConfig", r=4, num_vectors=16, vector_length=8),
    "vera": kind("VeraConfig", r=4), "vera without its projection": kind("VeraConfig", r=4, save_projection=False),
    "adamss": kind("AdamssConfig"), "beft": kind("BeftConfig"), "c3a": kind("C3AConfig", block_size=8),
    "deft": kind("DeftConfig"), "delora": kind("DeloraConfig"), "frod": kind("FrodConfig"),
    "glora": kind("GloraConfig"),
    "gralora": kind("GraloraConfig", r=4, gralora_k=2), "hira": kind("HiraConfig"), "lily": kind("LilyConfig"),
    "miss": kind("MissConfig", r=4), "bone": kind("MissConfig", r=4, init_weights="bat"), "osf": kind("OSFConfig"),
    "peanut": kind("PeanutConfig"), "psoft": kind("PsoftConfig", r=4), "pvera": kind("PveraConfig", r=4),
    "randlora": kind("RandLoraConfig", r=4), "road": kind("RoadConfig", group_size=8),
    "shira": kind("ShiraConfig", r=4),
    "supertuning": kind("SupertuningConfig"), "tinylora": kind("TinyLoraConfig"), "unilora": kind("UniLoraConfig"),
    "waveft": kind("WaveFTConfig", n_frequency=50),
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model on disk."""
    return saved_model(tmp_path_factory.mktemp("base") / "tiny-one")


def saved_model(folder: Path, architecture: str = "mistral", **changes: Any) -> Path:
    tiny.model(architecture, **changes).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def trained(model: Any, config: Any, folder: Path, **saving: Any) -> torch.Tensor:
    """Put an adapter with random weights on a model and save it; the logits it gives by PEFT alone."""
    torch.manual_seed(3)
    adapted = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
        found = logits_of(adapted)
    adapted.save_pretrained(folder, **saving)
    return found


@torch.no_grad()
def logits_of(model: Any, ids: list[int] = IDS) -> torch.Tensor:
    return model(torch.tensor([ids])).logits[0, -1].float()


def off(ours: torch.Tensor | None, right: torch.Tensor) -> float:
    """Largest difference over the spread of the right logits."""
    assert ours is not None
    return float((ours - right).abs().max() / (right.max() - right.min()))


def check(
    model: Path, adapter: Path, *, tuned: torch.Tensor, plain: torch.Tensor, allowed: float = 1e-6
) -> HookedLM:
    """Readings with the adapter on, off and on again are those of PEFT and of the model without it."""
    lm = load(model, adapter=adapter)
    assert off(lm.activations([IDS]).logits[0], tuned) < allowed
    with lm.base():
        assert off(lm.activations([IDS]).logits[0], plain) < allowed
        with lm.tuned():
            assert off(lm.activations([IDS]).logits[0], tuned) < allowed
        assert off(lm.activations([IDS]).logits[0], plain) < allowed
    assert off(lm.activations([IDS]).logits[0], tuned) < allowed
    assert off(tuned, plain) > 1e-5
    return lm


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_with_it_and_without_it(name: str, base: Path, tmp_path: Path) -> None:
    tuned = trained(tiny.model("mistral"), KINDS[name](), tmp_path / "on")
    check(base, tmp_path / "on", tuned=tuned, plain=logits_of(tiny.model("mistral")))


@pytest.mark.parametrize(
    ("architecture", "begun"),
    [("gpt2", "pissa"), ("qwen2", "pissa"), ("qwen2", "olora"), ("gemma2", "olora")],
)
def test_the_base_of_an_adapter_that_rewrites_it_is_restored(
    architecture: str, begun: str, tmp_path: Path
) -> None:
    model = saved_model(tmp_path / "model", architecture)
    targets = ["c_attn"] if architecture == "gpt2" else ["q_proj", "down_proj"]
    config = lora(
        init_lora_weights=begun, target_modules=targets, bias="all", fan_in_fan_out=architecture == "gpt2"
    )
    tuned = trained(tiny.model(architecture), config, tmp_path / "on")
    lm = check(model, tmp_path / "on", tuned=tuned, plain=logits_of(tiny.model(architecture)))
    before = {name: value.clone() for name, value in lm.model.state_dict().items()}
    with pytest.raises(KeyError, match="stop"), lm.base():
        raise KeyError("stop")
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


def test_no_kind_of_this_peft_is_left_out() -> None:
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    tried = {kind_of(KINDS[name]()) for name in KINDS}
    left = [kind for kind in PEFT_TYPE_TO_CONFIG_MAPPING if kind.value not in tried | _UNREADABLE.keys()]
    assert all(issubclass(PEFT_TYPE_TO_CONFIG_MAPPING[kind], peft.PromptLearningConfig) for kind in left)
    here = Path(__file__).read_text()
    for part in get_args(get_type_hints(peft.LoraConfig)["init_lora_weights"]):
        for begun in get_args(part):
            assert f'"{begun.replace("[number of iters]", "4")}"' in here


def test_the_base_under_quantised_weights_is_not_quantised(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LoftQ, with rounding in place of bitsandbytes."""

    def rounded(weight: torch.Tensor, reduced_rank: int, **_: Any) -> tuple[torch.Tensor, ...]:
        a, b = torch.zeros(reduced_rank, weight.shape[1]), torch.zeros(weight.shape[0], reduced_rank)
        return weight.data.round(decimals=1), a, b

    monkeypatch.setattr("peft.tuners.lora.layer.loftq_init", rounded)
    config = lora(init_lora_weights="loftq", loftq_config=peft.LoftQConfig(loftq_bits=4))
    tuned = trained(tiny.model("mistral"), config, tmp_path / "on")
    check(base, tmp_path / "on", tuned=tuned, plain=logits_of(tiny.model("mistral")))


def test_half_precision_gives_the_base_back_to_the_bit(base: Path, tmp_path: Path) -> None:
    config = lora(init_lora_weights="pissa", modules_to_save=["lm_head"])
    trained(tiny.model("mistral"), config, tmp_path / "on")
    plain = load(base, dtype="bf16").activations([IDS])
    lm = load(base, dtype="bf16", adapter=tmp_path / "on")
    with lm.base():
        assert torch.equal(lm.activations([IDS]).resid, plain.resid)
    found = check_up(lm)
    assert not [finding for finding in found if finding.verdict == "fault"]
    assert any("without it the model is the one it was put on" in finding.detail for finding in found)


def test_an_adapter_put_on_by_transformers_is_switched_too() -> None:
    model = tiny.model("mistral")
    plain = logits_of(model)
    model.add_adapter(lora(init_lora_weights=False))
    lm = HookedLM(model, tiny.tokenizer())
    assert lm.active_adapter == "default" and off(lm.activations([IDS]).logits[0], logits_of(model)) < 1e-6
    with lm.base():
        assert lm.active_adapter is None and off(lm.activations([IDS]).logits[0], plain) < 1e-6


def test_a_bridge_is_not_built_on_weights_that_are_only_lent(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(init_lora_weights="pissa"), tmp_path / "on")
    lm = load(base, adapter=tmp_path / "on")
    with lm.base(), pytest.raises(ModelError, match="load the model without the adapter"):
        lm.bridge()


def test_biases_of_the_base_are_its_own_without_the_adapter(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model", "qwen2")
    tuned = trained(tiny.model("qwen2"), lora(bias="lora_only"), tmp_path / "on")
    lm = check(model, tmp_path / "on", tuned=tuned, plain=logits_of(tiny.model("qwen2")))
    # the tokenizer has a note too
    assert "holds 6 of the model's own weights" in " ".join(lm.notes)


@pytest.mark.parametrize("tied", [False, True])
def test_embeddings_in_the_file_do_not_stay_without_the_adapter(tied: bool, tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model", tied=tied)
    changed = tiny.model("mistral", tied=tied)
    with torch.no_grad():
        changed.get_input_embeddings().weight[200:210] += 0.5
    tuned = trained(changed, lora(), tmp_path / "on", save_embedding_layers=True)
    lm = check(model, tmp_path / "on", tuned=tuned, plain=logits_of(tiny.model("mistral", tied=tied)))
    # an untied head is saved as it was
    held = "'lm_head.weight', 'model.embed_tokens.weight'" if tied else "'model.embed_tokens.weight'"
    assert f"weights ({held})" in lm.notes[0]
    head, embeddings = lm.lm.get_output_embeddings(), lm.lm.get_input_embeddings()
    with lm.base():
        assert (head.weight is embeddings.weight) is tied


def test_the_restored_weights_are_those_that_the_adapter_changed_and_no_others(
    base: Path, tmp_path: Path
) -> None:
    trained(tiny.model("mistral"), lora(init_lora_weights="pissa"), tmp_path / "on")
    lm = load(base, adapter=tmp_path / "on")
    before = {name: value.data_ptr() for name, value in lm.model.named_parameters()}
    with lm.base():
        other = [name for name, value in lm.model.named_parameters() if value.data_ptr() != before[name]]
    assert len(other) == 6
    assert all(name.endswith(("q_proj.base_layer.weight", "v_proj.base_layer.weight")) for name in other)
    assert [before[name] for name, _ in lm.model.named_parameters()] == list(before.values())


def test_repeated_layers_are_read_and_not_compared(base: Path, tmp_path: Path) -> None:
    tuned = trained(tiny.model("mistral"), lora(layer_replication=[[0, 2], [1, 3]]), tmp_path / "on")
    lm = load(base, adapter=tmp_path / "on")
    assert lm.n_layers == 4 and off(lm.activations([IDS]).logits[0], tuned) < 1e-6
    with lm.tuned():
        assert off(lm.activations([IDS]).logits[0], tuned) < 1e-6
    with pytest.raises(
        ModelError, match=r"the model without its adapter cannot be had: .* it repeats layers"
    ):
        lm.base()
    assert "no comparison without the adapter" in lm.notes[-1]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (lambda: lora(init_lora_weights="pissa"), "init_lora_weights='pissa'"),
        (lambda: lora(init_lora_weights="olora"), "init_lora_weights='olora'"),
        (lambda: lora(layer_replication=[[0, 2], [1, 3]]), "it repeats layers"),
        (lambda: lora(bias="all"), "biases of the model itself"),
    ],
)
def test_a_model_that_came_with_its_weights_rewritten_has_no_base(config: Any, said: str) -> None:
    architecture = "mistral" if config().layer_replication else "qwen2"
    lm = HookedLM(peft.get_peft_model(tiny.model(architecture), config()), tiny.tokenizer())
    lm.activations([IDS])
    with pytest.raises(ModelError, match=said):
        lm.base()


def test_a_merged_adapter_cannot_be_taken_off() -> None:
    model = peft.get_peft_model(tiny.model("mistral"), lora(init_lora_weights=False))
    right = logits_of(model)
    model.merge_adapter()
    lm = HookedLM(model, tiny.tokenizer())
    assert off(lm.activations([IDS]).logits[0], right) < 1e-5
    with pytest.raises(ModelError, match="the adapter is merged into the weights"):
        lm.base()


def test_what_cannot_be_put_together_again_is_refused(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(init_lora_weights="pissa_niter_4"), tmp_path / "drawn")
    with pytest.raises(ModelError, match="draws what this takes out of the weights at random"):
        load(base, adapter=tmp_path / "drawn")
    trained(tiny.model("mistral"), lora(), tmp_path / "on")
    config = json.loads((tmp_path / "on" / "adapter_config.json").read_text())
    config["init_lora_weights"] = "corda"
    (tmp_path / "on" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=r"begun with init_lora_weights='corda'; saved with save_pretrained\("
    ):
        load(base, adapter=tmp_path / "on")


def test_a_lora_begun_by_gradients_says_what_it_lacks(base: Path, tmp_path: Path) -> None:
    config = lora(init_lora_weights="lora_ga", lora_ga_config=peft.LoraGAConfig())
    trained(tiny.model("mistral"), config, tmp_path / "on")
    assert (
        "unless it was converted, this is not what was trained"
        in load(base, adapter=tmp_path / "on").notes[0]
    )


# Kinds that are no change of weights


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            lambda: peft.PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
            "prompt-learning kind",
        ),
        (
            lambda: peft.PromptEncoderConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
            "prompt-learning kind",
        ),
        (
            lambda: peft.AdaptionPromptConfig(adapter_len=4, adapter_layers=2, task_type="CAUSAL_LM"),
            "ADAPTION_PROMPT",
        ),
        (lambda: peft.PolyConfig(**ON), "of the kind POLY, which needs the number of a task"),
        (lambda: peft.XLoraConfig(hidden_size=32, adapters={}), "of the kind XLORA"),
        (lambda: peft.ShadowConfig(task_type="CAUSAL_LM"), "of the kind SHADOW"),
        (
            lambda: lora(alora_invocation_tokens=[5, 9]),
            r"an activated LoRA \(aLoRA\).* invocation tokens \[5, 9\]",
        ),
    ],
)
def test_what_is_no_change_of_weights_is_said_so(config: Any, said: str, base: Path, tmp_path: Path) -> None:
    config().save_pretrained(tmp_path)
    save_file({"a": torch.zeros(1)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=said):
        load(base, adapter=tmp_path)


def test_an_activated_lora_is_refused_on_a_model_too() -> None:
    model = peft.get_peft_model(tiny.model("mistral"), lora(alora_invocation_tokens=[5, 9]))
    with pytest.raises(ModelError, match="an activated LoRA"):
        HookedLM(model, tiny.tokenizer())


# Adapters that are not whole, or not for this model


@pytest.mark.parametrize(
    "name", ["lora", "dora", "vera", "shira", "tinylora", "ia3", "vblora", "oft", "randlora"]
)
@pytest.mark.parametrize("what", ["half", "last"])
def test_an_adapter_that_is_not_whole_is_refused(name: str, what: str, base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), KINDS[name](), tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    names = sorted(weights, key=lambda key: (".layers." not in key, key))
    lost = names[::2] if what == "half" else names[-1:]
    if what == "half" and name == "vera":
        lost = [key for key in lost if ".layers." in key]
    save_file(
        {key: weights[key] for key in weights if key not in lost}, tmp_path / "adapter_model.safetensors"
    )
    with pytest.raises(ModelError, match=rf"lacks {len(lost)} of its tensors \('.*it is not whole"):
        load(base, adapter=tmp_path)


@pytest.mark.parametrize("module", ["lm_head", "embed_tokens"])
def test_a_module_declared_and_not_saved_is_named(module: str, base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(modules_to_save=[module]), tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    (lost,) = [key for key in weights if module in key]
    save_file({key: weights[key] for key in weights if key != lost}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=rf"lacks 1 of its tensors \('(model\.)?{module}.weight'\)"):
        load(base, adapter=tmp_path)


def test_an_adapter_of_a_deeper_model_is_refused(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral", num_hidden_layers=5), lora(), tmp_path)
    with pytest.raises(
        ModelError, match=r"holds 8 of 20 that this model has no place for \('model.layers.3.self_attn"
    ):
        load(base, adapter=tmp_path)


def test_an_adapter_of_a_shallower_model_is_whole(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral", num_hidden_layers=2), lora(), tmp_path)
    with pytest.raises(ModelError, match=r"lacks 4 of its tensors \('model.layers.2.self_attn"):
        load(base, adapter=tmp_path)


def test_dora_without_its_flag_is_refused(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(use_dora=True), tmp_path)
    change_config(tmp_path, use_dora=False)
    with pytest.raises(
        ModelError, match=r"holds 6 of 18 .*these are DoRA's, and its config says use_dora: false"
    ):
        load(base, adapter=tmp_path)


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_head_that_is_saved_and_not_declared_is_read_and_does_not_stay(base: Path, tmp_path: Path) -> None:
    tuned = trained(tiny.model("mistral"), lora(modules_to_save=["lm_head"]), tmp_path)
    change_config(tmp_path, modules_to_save=None)
    lm = check(base, tmp_path, tuned=tuned, plain=logits_of(tiny.model("mistral")))
    assert "holds 1 of the model's own weights ('lm_head.weight')" in lm.notes[0]


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_weights_of_the_base_that_are_saved_unchanged_change_nothing(target: str, tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model", tied=True)
    plain = logits_of(tiny.model("mistral", tied=True))
    tuned = trained(
        tiny.model("mistral", tied=True), lora(target_modules=["q_proj", target]), tmp_path / "on"
    )
    assert any(f"{target}.base_layer" in key for key in load_file(tmp_path / "on/adapter_model.safetensors"))
    assert check(model, tmp_path / "on", tuned=tuned, plain=plain).notes == ()


def test_a_head_that_is_not_declared_would_change_tied_embeddings(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model", tied=True)
    trained(tiny.model("mistral", tied=True), lora(modules_to_save=["lm_head"]), tmp_path / "on")
    change_config(tmp_path / "on", modules_to_save=None)
    with pytest.raises(
        ModelError, match=r"holds 'lm_head.weight' without the embeddings, which this model ties"
    ):
        load(model, adapter=tmp_path / "on")


_NOT_TRAINED = r"says lora_alpha=.* and r=4, which no adapter is trained with"


@pytest.mark.parametrize(
    ("alpha", "said"),
    [
        (1e9, _NOT_TRAINED),
        ("much", _NOT_TRAINED),
        (float("nan"), "adapter_config.json' is damaged: it holds NaN"),
        (float("inf"), "adapter_config.json' is damaged: it holds Infinity"),
    ],
)
def test_a_scaling_that_no_training_has_is_refused(
    alpha: object, said: str, base: Path, tmp_path: Path
) -> None:
    trained(tiny.model("mistral"), lora(), tmp_path)
    change_config(tmp_path, lora_alpha=alpha)
    with pytest.raises(ModelError, match=said):
        load(base, adapter=tmp_path)


def test_weights_that_give_no_numbers_are_refused(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(), tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    name = next(key for key in weights if "lora_B" in key)
    weights[name][0, 0] = torch.inf
    save_file(weights, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="no finite numbers: 'default' of kind LORA, lora_alpha=8, r=4"):
        load(base, adapter=tmp_path)


def test_few_trained_tokens_are_an_effect_and_none_are_none(base: Path, tmp_path: Path) -> None:
    config = peft.TrainableTokensConfig(token_indices=[250], task_type="CAUSAL_LM")
    trained(tiny.model("mistral"), config, tmp_path / "on")
    load(base, adapter=tmp_path / "on")
    peft.get_peft_model(tiny.model("mistral"), config).save_pretrained(tmp_path / "still")
    with pytest.raises(ModelError, match="changes no logit of this model"):
        load(base, adapter=tmp_path / "still")


# Which model it was trained on


def test_an_adapter_of_another_model_is_noted(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained(tiny.model("mistral"), lora(), tmp_path)
    change_config(tmp_path, base_model_name_or_path="someone/else-1b")
    lm = load(base, adapter=tmp_path)
    said = f"says that it was trained on 'someone/else-1b', and this model is {str(base)!r}"
    assert said in lm.notes[0] and said in caplog.text and lm.noted == {"model_notes": list(lm.notes)}
    assert any(said in finding.detail and finding.verdict == "note" for finding in check_up(lm))


def test_one_model_under_several_names_is_no_other(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tiny.model("mistral"), lora(), tmp_path)
    monkeypatch.chdir(base.parent)
    (tmp_path / "link").symlink_to(base)

    def note(
        said: str | None, *names: str, revision: str | None = None, known: str | None = None
    ) -> str | None:
        change_config(tmp_path, base_model_name_or_path=said, revision=known)
        return other_base(tmp_path, name="a", names=names, revision=revision)

    folders = (str(base), base.name, f"./{base.name}", str(tmp_path / "link"), f"/elsewhere/{base.name}/")
    for said in (*folders, None, ""):
        assert note(said, str(base), str(base)) is None
    cached = "/home/x/hub/models--google--gemma-2-2b/snapshots/0123456789abcdef"
    for said in ("google/gemma-2-2b", "Google/Gemma-2-2B", "gemma-2-2b", cached, "/models/gemma-2-2b"):
        assert note(said, "google/gemma-2-2b", "google/gemma-2-2b") is None
    assert "trained on 'google/gemma-2-9b'" in str(note("google/gemma-2-9b", "google/gemma-2-2b"))
    assert note("old/name", "new/name", revision="a" * 40, known="a" * 40) is None
    assert "in the revision bbbb" in str(note("new/name", "new/name", revision="a" * 40, known="b" * 40))
    assert note("new/name", "new/name", revision="a" * 12, known="main") is None


def test_the_record_of_a_training_knows_the_weights(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(), tmp_path)
    change_config(tmp_path, base_model_name_or_path=str(base))
    revision = load(base).revision
    record = {"kind": "training", "provenance": {"model": str(base), "revision": revision}}
    (tmp_path / "metadata.json").write_text(json.dumps(record))
    assert load(base, adapter=tmp_path).notes == ()
    record["provenance"]["revision"] = "0123456789ab"
    (tmp_path / "metadata.json").write_text(json.dumps(record))
    assert "in the revision 0123456789ab, and this is" in load(base, adapter=tmp_path).notes[0]
    (tmp_path / "metadata.json").write_text("[1")
    assert load(base, adapter=tmp_path).notes == ()


# Tied embeddings, saved whole


def test_the_width_of_the_vocabulary_is_that_of_the_logits(tmp_path: Path) -> None:
    config = lora(modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    pocket = load("pocket")
    tuned = trained(pocket.lm, config, tmp_path)
    lm = load("pocket", adapter=tmp_path)
    assert lm.vocab_size == 6144
    for state, right in ((lm.tuned, tuned), (lm.base, logits_of(load("pocket").lm))):
        with state():
            reading = lm.activations([IDS])
            assert reading.logits is not None and reading.logits.shape == (1, 6144)
            for ours in (reading.logits[0], lm.unembed(reading.resid[0, -1])):
                assert off(ours, right) < 1e-6


# Several adapters, and other strengths


def two() -> tuple[Any, HookedLM]:
    model = peft.get_peft_model(tiny.model("mistral"), lora(init_lora_weights=False), "fr")
    model.add_adapter("de", lora(init_lora_weights=False))
    return model, HookedLM(model, tiny.tokenizer(), name="tiny")


def test_the_adapters_that_are_on_are_named_at_the_time_of_reading() -> None:
    model, lm = two()
    assert (lm.adapter, lm.active_adapter) == ("fr", "fr")
    model.set_adapter("de")
    assert (lm.adapter, lm.active_adapter) == ("de", "de")
    assert off(lm.activations([IDS]).logits[0], logits_of(model)) < 1e-6
    model.base_model.set_adapter(["fr", "de"])
    assert lm.active_adapter == "fr + de"
    assert off(lm.activations([IDS]).logits[0], logits_of(model)) < 1e-6
    with lm.base():
        assert lm.active_adapter is None and lm.adapter == "fr + de"
        assert off(lm.activations([IDS]).logits[0], logits_of(tiny.model("mistral"))) < 1e-6
    for part in model.modules():
        if hasattr(part, "set_scale"):
            part.set_scale("de", 0.5)
    assert lm.active_adapter == "fr + de x0.5"


def test_a_given_name_is_kept_for_the_adapter_it_was_given_for(base: Path, tmp_path: Path) -> None:
    trained(tiny.model("mistral"), lora(use_rslora=True, lora_alpha=8), tmp_path)
    lm = load(base, adapter=tmp_path)
    assert lm.adapter == str(tmp_path) and lm.adapter_state is None
    scaled = [part for part in lm.model.modules() if hasattr(part, "set_scale")]
    for part in scaled:
        part.set_scale("default", 2.0)
    assert lm.adapter == f"{tmp_path} x2" and lm.adapter_state == {"default": 2.0}
    scaled[0].set_scale("default", 3.0)
    assert lm.adapter == f"{tmp_path} (strengths differ by layer)"
    with lm.base():
        assert lm.adapter_state is None
    for part in scaled:
        part.set_scale("default", 1.0)
    lm.model.add_adapter("other", lora(init_lora_weights=False))
    lm.model.set_adapter("other")
    assert lm.adapter == "other" and lm.adapter_state == {"other": 1.0}


# Quantised modules


def test_dynamically_quantised_modules_are_read() -> None:
    model = tiny.model("mistral")
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    lm = HookedLM(quantised, tiny.tokenizer(), name="int8")
    with torch.no_grad():
        # scales are those of all that is in one call, so that the head is run as we run it
        right = quantised(torch.tensor([IDS]), logits_to_keep=1).logits[0, -1]
    reading = lm.activations([IDS])
    assert lm.vocab_size == tiny.VOCAB and off(reading.logits[0], right) < 1e-6
    assert off(lm.unembed(reading.resid[0, -1]), right) < 1e-5


def test_an_adapter_under_which_the_model_fails_is_refused(tmp_path: Path) -> None:
    # its config lists the kind of every layer, and PEFT adds none for those it repeats
    model = saved_model(tmp_path / "model", "qwen2")
    config = lora(layer_replication=[[0, 2], [1, 3]])
    peft.get_peft_model(tiny.model("qwen2"), config).save_pretrained(tmp_path / "on")
    with pytest.raises(ModelError, match="on it this model no longer runs"):
        load(model, adapter=tmp_path / "on")


def test_a_copied_folder_is_the_same_adapter(base: Path, tmp_path: Path) -> None:
    tuned = trained(tiny.model("mistral"), lora(), tmp_path / "on")
    shutil.copytree(tmp_path / "on", tmp_path / "copy")
    assert off(load(base, adapter=tmp_path / "copy").activations([IDS]).logits[0], tuned) < 1e-6
