"""Loading by name, from folders, with adapters; and every way in which that can fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from latentlang.errors import InputError, ModelError
from latentlang.models import REGISTRY, HookedLM, cached_bytes, hooked, hub, load, resolve
from latentlang.models.fingerprint import checkpoint_fingerprint
from tests.support import architectures, tiny


@pytest.fixture(scope="module")
def _saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    tiny.model("mistral").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(_saved: Path, tmp_path: Path) -> Path:
    """A whole model's folder, which the test may spoil."""
    copy = tmp_path / "tiny"
    copy.mkdir()
    for file in _saved.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_is_loaded_as_it_is(folder: Path) -> None:
    lm = load(folder)
    assert (lm.name, lm.adapter, lm.dtype, lm.device.type) == (str(folder), None, torch.float32, "cpu")
    assert not lm.model.training
    model = hf.AutoModelForCausalLM.from_pretrained(folder)
    ids = lm.encode(["Review: good"])
    reading = lm.activations(["Review: good"])
    assert reading.logits is not None
    torch.testing.assert_close(reading.logits[0], model(torch.tensor(ids)).logits[0, -1].detach())
    assert load(folder, dtype="bf16").dtype == torch.bfloat16
    assert load(folder, dtype=torch.float16, attn="eager").model.config._attn_implementation == "eager"
    assert load(folder, device_map="cpu").activations(["a"]).resid.shape == (1, 4, 32)


def test_the_revision_of_a_folder_changes_with_what_is_in_it(folder: Path) -> None:
    first = load(folder).revision
    assert first == checkpoint_fingerprint(folder) == load(folder).revision
    assert first is not None
    assert len(first) == 12
    change_config(folder, rms_norm_eps=1e-3)
    second = checkpoint_fingerprint(folder)
    assert second != first
    config, model = (folder / "config.json").read_bytes(), hf.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01)
    sizes = [path.stat().st_size for path in sorted(folder.glob("*.safetensors"))]
    model.save_pretrained(folder)
    assert sizes == [path.stat().st_size for path in sorted(folder.glob("*.safetensors"))]
    (folder / "config.json").write_bytes(config)
    assert checkpoint_fingerprint(folder) != second


@pytest.mark.parametrize("name", ["pocket", "pocket-control"])
def test_the_pocket_models_load_by_name(name: str) -> None:
    lm = load(name)
    assert lm.name == name
    assert lm.activations(["a"]).logits is not None
    assert cached_bytes(resolve(name)) is not None


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def _without_a_shard(folder: Path) -> None:
    _weights(folder).rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def _cut(folder: Path, stop: int) -> None:
    _weights(folder).write_bytes(_weights(folder).read_bytes()[:stop])


def _without_norms(folder: Path) -> None:
    kept = {name: tensor for name, tensor in load_file(_weights(folder)).items() if "norm.weight" not in name}
    save_file(kept, _weights(folder), {"format": "pt"})


#: What is wrong with a model's folder: what makes it so.
SPOILED: dict[str, Callable[[Path], object]] = {
    "no config": lambda folder: (folder / "config.json").unlink(),
    "broken config": lambda folder: (folder / "config.json").write_text("{"),
    "adapter": lambda folder: (folder / "config.json").rename(folder / "adapter_config.json"),
    "no weights": lambda folder: _weights(folder).unlink(),
    "pickle": lambda folder: _weights(folder).rename(folder / "pytorch_model.bin"),
    "shard": _without_a_shard,
    "cut": lambda folder: _cut(folder, -100),
    "cut header": lambda folder: _cut(folder, 100),
    "not safetensors": lambda folder: _weights(folder).write_bytes(b"\x10\0\0\0\0\0\0\0not json at all!"),
    "lacking": _without_norms,
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "broken tokenizer": lambda folder: (folder / "tokenizer.json").write_text("{}"),
    "encoder": lambda folder: change_config(folder, architectures=["BertForMaskedLM"], model_type="bert"),
    "seq2seq": lambda folder: change_config(
        folder, architectures=["T5ForConditionalGeneration"], model_type="t5", is_encoder_decoder=True
    ),
    "bare": lambda folder: change_config(folder, architectures=["MistralModel"]),
    "unknown type": lambda folder: change_config(
        folder, architectures=["NewForCausalLM"], model_type="newer-than-this"
    ),
    "own code": lambda folder: change_config(
        folder,
        architectures=["NewForCausalLM"],
        model_type="newer",
        auto_map={"AutoConfig": "new.NewConfig"},
    ),
    "wrong size": lambda folder: change_config(folder, hidden_size=64),
}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no config", "holds no model (no config.json)"),
        ("broken config", "config.json' is not JSON"),
        ("adapter", "holds an adapter, no model; load its base model and give this as adapter="),
        ("no weights", "has a config.json and no weights (*.safetensors): half-downloaded?"),
        ("pickle", "holds its weights as a pickle (pytorch_model.bin)"),
        ("shard", "is only half there: model-00002-of-00002.safetensors of 2 weight files missing"),
        ("cut", "is cut off:"),
        ("cut header", "is no safetensors file, or cut off"),
        ("not safetensors", "is no safetensors file"),
        ("lacking", "lack 'model.layers.0.input_layernorm.weight' and 6 more, which would be random numbers"),
        ("no tokenizer", "has no tokenizer (tokenizer.json"),
        ("broken tokenizer", "cannot be loaded"),
        ("encoder", "is BertForMaskedLM, which is no decoder with a language-model head"),
        ("seq2seq", "is an encoder-decoder model (T5ForConditionalGeneration)"),
        ("bare", "is MistralModel, which is no decoder with a language-model head"),
        ("unknown type", "newer-than-this"),
        ("own code", "brings Python code of its own, which is not run"),
        ("wrong size", "is 300 x 32 where its config.json asks for 300 x 64 and "),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_in_one_line(
    what: str, message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    SPOILED[what](folder)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "LOAD REPORT" not in capfd.readouterr().err


def test_options_that_cannot_be_used_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, message in [
        ({"dtype": "int8"}, "unknown dtype='int8'; known: float32"),
        ({"dtype": torch.int32}, "is no floating-point dtype"),
        ({"device": "cuda:7"}, "no device 'cuda:7' on this machine; there is cpu"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"device": "meta"}, "no device 'meta' on this machine; there is cpu"),
        ({"device": "hpu"}, "no device 'hpu' on this machine; there is cpu"),
        ({"device": "vulkan"}, "no device 'vulkan' on this machine; there is cpu"),
        ({"device": "cuda:99999999999999999999"}, "no device 'cuda:99999999999999999999'"),
        ({"device": "cpu", "device_map": "auto"}, "not both"),
        ({"quantization": "2bit"}, "unknown quantization='2bit'; known: 8bit, 4bit"),
        ({"attn": "quick"}, "cannot be loaded"),
        ({"revision": "main"}, "is a folder and has no revisions"),
    ]:
        with pytest.raises(ModelError) as caught:
            load(folder, **options)
        assert message in str(caught.value), options
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="needs bitsandbytes"):
        load(folder, quantization="4bit")


def test_memory_that_does_not_do_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any, **_kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(hf.AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(ModelError, match=r"not enough memory for .* in bfloat16; use quantization='4bit'"):
        load(folder, dtype="bf16")


# Names


def test_names_stand_for_models() -> None:
    assert resolve("mistral").hub_id == "mistralai/Mistral-7B-v0.1"
    assert resolve("Mistral") == REGISTRY["mistral"]
    assert resolve("mistral@abc").revision == "abc"
    assert resolve("mistral", revision="abc").revision == "abc"
    tagged = resolve("org/name@v1.0")
    assert (tagged.hub_id, tagged.revision, tagged.family) == ("org/name", "v1.0", "")
    same = resolve("Qwen/Qwen2.5-7B")
    assert (same.family, same.english_centric) == ("qwen2", False)
    assert resolve(REGISTRY["pocket"].hub_id).name == "pocket"
    assert len({info.hub_id for info in REGISTRY.values()}) == len(REGISTRY)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mistrl", "unknown model 'mistrl'; did you mean 'mistral'"),
        ("", "no model named"),
        ("./nowhere", "the model folder './nowhere' does not exist"),
        ("/no/where/at/all", "does not exist"),
        ("a/b/c", "does not exist"),
        (__file__, "is a file; name the folder"),
        ("pocket@main", "comes with this package and has no revisions"),
    ],
)
def test_names_that_stand_for_nothing_are_refused(name: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(name)
    assert message in str(caught.value)
    assert isinstance(caught.value, InputError)


def test_two_revisions_are_one_too_many() -> None:
    with pytest.raises(ModelError, match="names the revision 'a' and revision='b' another"):
        resolve("org/name@a", revision="b")


# The hub, without a network


class HubError(Exception):
    """Stands for an error of the hub's client."""


def named(name: str) -> BaseException:
    """An error of the class name that the hub's client would raise, whatever its HTTP library."""
    return type(name, (HubError,), {})("401 Client Error.\nmore lines")


@pytest.fixture
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """An empty cache and a hub that answers as told."""
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    def answers(
        *,
        error: BaseException | None = None,
        files: tuple[str, ...] = (),
        gated: bool = False,
        closed: bool = False,
    ) -> None:
        def model_info(_self: Any, _id: str, *, revision: str | None, timeout: float) -> Any:
            assert timeout <= 10, "nothing may hang"
            if error is not None:
                raise error
            return SimpleNamespace(gated=gated, siblings=[SimpleNamespace(rfilename=name) for name in files])

        def auth_check(_self: Any, _id: str) -> None:
            if closed:
                raise named("GatedRepoError")

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
        monkeypatch.setattr("huggingface_hub.HfApi.auth_check", auth_check)

    return answers


def test_offline_and_not_cached_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert cached_bytes(resolve("mistral")) is None
    with pytest.raises(ModelError) as caught:
        load("mistral")
    text = str(caught.value)
    for part in (
        "'mistralai/Mistral-7B-v0.1'",
        "HF_HUB_OFFLINE",
        "hf download mistralai/Mistral-7B-v0.1",
        "--model pocket",
    ):
        assert part in text
    with pytest.raises(ModelError, match="hf download org/name --revision v2"):
        load("org/name@v2")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": named("ConnectError")}, "the Hugging Face hub does not answer"),
        ({"error": named("TimeoutException")}, "the Hugging Face hub does not answer"),
        ({"error": named("RepositoryNotFoundError")}, "the hub has no model 'org/name'"),
        ({"error": named("RevisionNotFoundError")}, "'org/name' has no revision 'v2'"),
        ({"error": named("SomethingElse")}, "cannot fetch 'org/name': 401 Client Error."),
        (
            {"gated": True, "closed": True},
            "accept it at https://huggingface.co/org/name and run `hf auth login`",
        ),
        ({"files": ("config.json", "pytorch_model.bin")}, "its weights only as pickles"),
        ({"files": ("config.json",)}, "has no weights (no *.safetensors)"),
    ],
)
def test_what_the_hub_says_is_told_in_one_line(
    online: Callable[..., None], answer: Any, message: str
) -> None:
    online(**answer)
    with pytest.raises(ModelError) as caught:
        load("org/name@v2")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def put_in_cache(cache: Path, folder: Path, *, without: str = "") -> str:
    """Lay a model's files into a hub cache as the hub's client does."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = cache / "models--org--name"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in folder.iterdir():
        if file.name != without:
            (snapshot / file.name).write_bytes(file.read_bytes())
    return commit


def test_a_cached_model_is_loaded_without_a_network(
    folder: Path, online: Callable[..., None], tmp_path: Path
) -> None:
    online(error=AssertionError("the network was asked"))
    commit = put_in_cache(tmp_path / "cache", folder)
    lm = load("org/name")
    assert (lm.name, lm.revision) == ("org/name", commit)
    assert cached_bytes(resolve("org/name")) == (folder / "model.safetensors").stat().st_size


def test_a_half_cached_model_is_said_to_be_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    put_in_cache(tmp_path / "cache", folder, without="model.safetensors")
    assert hub.offline()
    with pytest.raises(ModelError, match="is only half in the local cache and HF_HUB_OFFLINE is set"):
        load("org/name")


# Adapters

peft = pytest.importorskip("peft")


def adapted(*, zero: bool = False, **options: Any) -> Any:
    torch.manual_seed(5)
    return tiny.adapted(tiny.model("mistral"), zero=zero, **options)


def test_an_adapter_is_switched_without_a_second_copy(folder: Path, tmp_path: Path) -> None:
    adapted().save_pretrained(tmp_path / "lora")
    plain = load(folder).activations(["Review: good"])
    lm = load(folder, adapter=tmp_path / "lora")
    assert lm.adapter == str(tmp_path / "lora")
    own = lm.activations(["Review: good"])
    assert float((own.resid - plain.resid).abs().max()) > 1e-3
    with lm.base():
        assert torch.equal(lm.activations(["Review: good"]).resid, plain.resid)
        with lm.tuned():
            assert torch.equal(lm.activations(["Review: good"]).resid, own.resid)
        assert torch.equal(lm.activations(["Review: good"]).resid, plain.resid)
    assert torch.equal(lm.activations(["Review: good"]).resid, own.resid)


@pytest.mark.parametrize("trainable", [True, False])
def test_switching_leaves_gradients_as_they_were(trainable: bool) -> None:
    model = adapted(modules_to_save=["lm_head"])
    for parameter in model.parameters():
        parameter.requires_grad_(trainable and parameter.requires_grad)
    before = [parameter.requires_grad for parameter in model.parameters()]
    assert any(before) is trainable
    lm = HookedLM(model, tiny.tokenizer())
    assert lm.adapter == "default"
    with pytest.raises(KeyError, match="stop"), lm.base():
        assert [parameter.requires_grad for parameter in model.parameters()] == before
        raise KeyError("stop")
    with lm.tuned():
        pass
    assert [parameter.requires_grad for parameter in model.parameters()] == before
    assert not any(getattr(module, "disable_adapters", False) is True for module in model.modules())


def test_readings_of_an_adapted_model_are_its_own() -> None:
    model = adapted()
    lm = HookedLM(model, tiny.tokenizer())
    ids = [5, 9, 200, 7]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
    reading = lm.activations([ids])
    assert reading.logits is not None
    torch.testing.assert_close(reading.logits[0], logits)
    torch.testing.assert_close(lm.unembed(reading.resid[0, -1]), logits)


def test_an_adapter_that_does_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    adapted(zero=True).save_pretrained(tmp_path / "lora")
    with pytest.raises(
        ModelError, match="changes no logit of this model: it is untrained, or made for another model"
    ):
        load(folder, adapter=tmp_path / "lora")
    with pytest.raises(ModelError, match="'default' changes no logit"):
        HookedLM(adapted(zero=True), tiny.tokenizer()).tuned()


def test_without_an_adapter_base_changes_nothing_and_tuned_is_refused() -> None:
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    with lm.base():
        assert lm.activations([[5]]).resid.shape == (1, 4, 32)
    with pytest.raises(ModelError, match="this model has no adapter"):
        lm.tuned()


def test_adapters_that_cannot_be_loaded_are_refused(folder: Path, tmp_path: Path) -> None:
    adapted().save_pretrained(tmp_path / "lora")
    lora = tmp_path / "lora"

    def refused(adapter: str | Path) -> str:
        with pytest.raises(ModelError) as caught:
            load(folder, adapter=adapter)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "the adapter folder './none' does not exist" in refused("./none")
    assert "holds no adapter (no adapter_config.json)" in refused(folder)
    assert "the adapter 'org/lora' is not in the local cache" in refused("org/lora")
    weights = lora / "adapter_model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-50])
    assert "is cut off" in refused(lora)
    weights.rename(lora / "adapter_model.bin")
    assert "holds its weights as a pickle" in refused(lora)
    (lora / "adapter_model.bin").unlink()
    assert "has no weights" in refused(lora)
    weights.write_bytes(kept)
    change = json.loads((lora / "adapter_config.json").read_text())
    (lora / "adapter_config.json").write_text(json.dumps({**change, "target_modules": ["no_such_module"]}))
    assert "does not fit this model" in refused(lora)


def test_a_prompt_learning_adapter_is_refused() -> None:
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    with pytest.raises(ModelError, match="prompt-learning"):
        HookedLM(peft.get_peft_model(tiny.model("mistral"), config), tiny.tokenizer())


# Weights and config that are not of one model


def saved(architecture: str, folder: Path, **config: Any) -> Path:
    tiny.model(architecture).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    change_config(folder, **config)
    return folder


@pytest.mark.parametrize(
    ("architecture", "config", "message"),
    [
        (
            "qwen2", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
            "the weight 'model.layers.0.self_attn.k_proj.bias' and 8 more",
        ),
        (
            "qwen3", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
            "the weight 'model.layers.0.self_attn.k_norm.weight' and 5 more",
        ),
        ("llama", {"num_hidden_layers": 2}, "go on to block 3 and its config.json says 2 blocks"),
        (
            "llama", {"vocab_size": 200},
            "the weight 'lm_head.weight' of {folder!r} is 300 x 32 where its config.json asks for 200 x 32 and 1 more",
        ),
    ],
)  # fmt: skip
def test_weights_that_would_be_left_out_are_named(
    architecture: str, config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    folder = saved(architecture, tmp_path / "odd", **config)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert message.format(folder=str(folder)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_left_out_that_are_zero_or_of_another_part_do_no_harm(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path / "zero")
    plain = load(folder).activations([[5, 6]]).logits
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.0.self_attn.q_proj.bias"] = torch.zeros(32)
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    tensors["vision_tower.encoder.layers.0.fc.weight"] = torch.ones(4, 4)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    lm = load(folder)
    assert torch.equal(lm.activations([[5, 6]]).logits, plain)
    assert lm.loading_notes == ("1 weights of its file are no part of LlamaForCausalLM (vision_tower)",)


@pytest.mark.parametrize("model_type", ["gptj", "gpt_neo", "gpt_bigcode"])
def test_masks_that_old_checkpoints_carry_along_do_no_harm(model_type: str, tmp_path: Path) -> None:
    architectures.model(model_type).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    plain = load(tmp_path).activations([[5, 6]]).logits
    tensors = load_file(tmp_path / "model.safetensors")
    part = "attn.attention" if model_type == "gpt_neo" else "attn"
    tensors[f"transformer.h.0.{part}.bias"] = torch.ones(1, 1, 16, 16).tril()
    tensors[f"transformer.h.0.{part}.masked_bias"] = torch.tensor(-1e9)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    # to rounding: the weights lie at other addresses of the file
    torch.testing.assert_close(load(tmp_path).activations([[5, 6]]).logits, plain, rtol=1e-5, atol=1e-5)
    tensors[f"transformer.h.0.{part}.bias"] = torch.ones(1, 1, 16, 16)
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="would be left out"):
        load(tmp_path)


def test_blocks_that_only_guess_ahead_are_noted(tmp_path: Path) -> None:
    folder = saved("llama", tmp_path / "mtp", num_hidden_layers=2, num_nextn_predict_layers=1)
    assert load(folder).loading_notes == ("9 weights of its file are no part of LlamaForCausalLM (model)",)


def test_the_revision_is_of_the_file_that_is_loaded(folder: Path) -> None:
    first, plain = checkpoint_fingerprint(folder), load(folder).activations([[5, 6]]).logits
    model = tiny.model("mistral", seed=3)
    model.save_pretrained(folder / "shards", max_shard_size="20KB")
    for file in (folder / "shards").glob("*safetensors*"):
        file.rename(folder / file.name)
    assert torch.equal(load(folder).activations([[5, 6]]).logits, plain), "transformers takes the one file"
    assert checkpoint_fingerprint(folder) == first
    (folder / "model.safetensors").unlink()
    assert not torch.equal(load(folder).activations([[5, 6]]).logits, plain)
    assert checkpoint_fingerprint(folder) != first


def test_float16_that_was_not_asked_for_gives_way_to_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = tiny.model("gemma3")
    with torch.no_grad():
        model.model.layers[0].post_feedforward_layernorm.weight.fill_(6e4)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr("latentlang.models.loading.find_dtype", lambda dtype, _device: dtype or torch.float16)
    lm = load(tmp_path)
    assert lm.dtype is torch.float32
    assert "is loaded in float32: the activations of Gemma3ForCausalLM are" in caplog.text
    own = hf.AutoModelForCausalLM.from_pretrained(tmp_path)(torch.tensor([[5, 6]])).logits[0, -1]
    torch.testing.assert_close(lm.activations([[5, 6]]).logits[0], own.detach())
    with pytest.raises(ModelError, match="in float16"):
        load(tmp_path, dtype=torch.float16).activations([[5, 6]])


def test_behind_a_dot_stand_the_names_that_users_need():
    lm = HookedLM(tiny.model("mistral"), tiny.tokenizer())
    offered = set(dir(lm))
    assert {"activations", "edited", "bridge", "encode", "n_layers", "notes", "tokenizer"} <= offered
    assert not offered & hooked._INNER and all(hasattr(lm, name) for name in hooked._INNER)
