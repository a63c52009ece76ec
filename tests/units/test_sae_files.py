"""SAE files of every layout, written by hand: read, encoded and decoded as by their formulas; and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from latentlang.errors import InputError, ModelError
from latentlang.models import HookedLM
from latentlang.units import Sae, read_sae
from tests.support import tiny
from tests.support.object_store import new_memory

D, F = 32, 48
DRAW = np.random.default_rng(3)
W = {
    "W_enc": DRAW.normal(size=(D, F)), "W_dec": DRAW.normal(size=(F, D)), "b_enc": DRAW.normal(size=F),
    "b_dec": DRAW.normal(size=D), "threshold": np.abs(DRAW.normal(size=F)) * 4, "b_gate": DRAW.normal(size=F),
    "b_mag": DRAW.normal(size=F), "r_mag": DRAW.normal(size=F) / 4,
}  # fmt: skip
W = {name: value.astype(np.float32) for name, value in W.items()}
X = DRAW.normal(size=(9, D)).astype(np.float32) * 2
PARTS = {
    "standard": ("b_enc",), "jumprelu": ("b_enc", "threshold"), "topk": ("b_enc",),
    "gated": ("b_gate", "b_mag", "r_mag"),
}  # fmt: skip


def tensors(architecture: str, **other: np.ndarray) -> dict[str, torch.Tensor]:
    names = ("W_enc", "W_dec", "b_dec", *PARTS[architecture])
    return {
        name: torch.from_numpy(value.copy()) for name, value in ({n: W[n] for n in names} | other).items()
    }


def saelens(folder: Path, architecture: str, *, tensor: Any = None, old: bool = False, **config: Any) -> Path:
    """A folder as SAELens writes it: of version 6, or an earlier one with everything in one record."""
    folder.mkdir(parents=True, exist_ok=True)
    hook = {"hook_name": "blocks.1.hook_resid_post", "model_name": "tiny"}
    record: dict[str, Any] = {"d_in": D, "d_sae": F, "dtype": "float32", "apply_b_dec_to_input": True}
    if old:
        record |= {**hook, "activation_fn_str": "relu", "normalize_activations": "none", **config}
    else:
        metadata = {"sae_lens_version": "6.2.0", **hook, **config.pop("metadata", {})}
        record |= {
            "architecture": architecture,
            "normalize_activations": "none",
            "metadata": metadata,
            **config,
        }
        if architecture == "topk":
            record.setdefault("k", 5)
    (folder / "cfg.json").write_text(json.dumps(record))
    save_file(tensor or tensors(architecture), folder / "sae_weights.safetensors")
    return folder


def top(values: np.ndarray, k: int) -> np.ndarray:
    kept = np.zeros_like(values)
    for row, out in zip(values, kept, strict=True):
        places = np.argsort(-row)[:k]
        out[places] = np.maximum(row[places], 0)
    return kept


def features(architecture: str, x: np.ndarray, *, subtracted: bool = True) -> np.ndarray:
    """The published formula of each encoder."""
    x = x - W["b_dec"] if subtracted else x
    before = x @ W["W_enc"] + W["b_enc"]
    if architecture == "gated":
        magnitude = np.maximum(x @ (W["W_enc"] * np.exp(W["r_mag"])) + W["b_mag"], 0)
        return (x @ W["W_enc"] + W["b_gate"] > 0) * magnitude
    if architecture == "jumprelu":
        return before * (before > W["threshold"])
    return top(before, 5) if architecture == "topk" else np.maximum(before, 0)


def close(one: torch.Tensor, other: np.ndarray) -> None:
    np.testing.assert_allclose(one.numpy(), other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", PARTS)
@pytest.mark.parametrize("subtracted", [True, False])
def test_each_architecture_of_saelens_is_its_formula(
    architecture: str, subtracted: bool, tmp_path: Path
) -> None:
    sae = read_sae(saelens(tmp_path / "s", architecture, apply_b_dec_to_input=subtracted))
    assert (sae.architecture, sae.site, sae.layer, sae.features, sae.d_model) == (
        architecture,
        "resid",
        2,
        F,
        D,
    )
    expected = features(architecture, X, subtracted=subtracted)
    assert 0 < (expected != 0).mean() < 1
    close(sae.encode(torch.from_numpy(X)), expected)
    close(sae.decode(torch.from_numpy(expected)), expected @ W["W_dec"] + W["b_dec"])
    close(sae.reconstruct(torch.from_numpy(X)), expected @ W["W_dec"] + W["b_dec"])
    # a file of it does as well, and activations of any dtype and shape
    again = read_sae(tmp_path / "s" / "sae_weights.safetensors")
    assert again.identity == sae.identity
    assert again.encode(torch.from_numpy(X).double()[None]).shape == (1, 9, F)


def test_what_is_saved_is_read_again_in_the_layout_of_saelens(tmp_path: Path) -> None:
    for architecture in PARTS:
        sae = read_sae(saelens(tmp_path / architecture, architecture))
        again = read_sae(sae.save(tmp_path / f"{architecture} again"))
        assert read_sae(sae.save(f"{new_memory()}/sae")).identity == again.identity
        assert again.identity == sae.identity and again.about["hook"] == "blocks.1.hook_resid_post"
    config = json.loads((tmp_path / "topk again" / "cfg.json").read_text())
    assert (config["architecture"], config["k"], config["metadata"]["hook_name"]) == (
        "topk", 5, "blocks.1.hook_resid_post",
    )  # fmt: skip
    sae.save(tmp_path / "gated again")  # its own is replaced
    with pytest.raises(InputError, match=r"cfg\.json"):
        sae.save(tmp_path / "gated")  # another's is not


def test_older_files_of_saelens_are_read(tmp_path: Path) -> None:
    plain = read_sae(saelens(tmp_path / "a", "standard", old=True, hook_point="ignored"))
    close(plain.encode(torch.from_numpy(X)), features("standard", X))
    by_function = read_sae(
        saelens(tmp_path / "b", "topk", old=True, activation_fn_str="topk", activation_fn_kwargs={"k": 5})
    )
    assert by_function.architecture == "topk"
    close(by_function.encode(torch.from_numpy(X)), features("topk", X))
    logged = tensors("jumprelu", log_threshold=np.log(W["threshold"]))
    del logged["threshold"]
    log = read_sae(saelens(tmp_path / "c", "jumprelu", tensor=logged))
    close(log.encode(torch.from_numpy(X)), features("jumprelu", X))
    factors = np.abs(DRAW.normal(size=F)).astype(np.float32)
    scaled = read_sae(saelens(tmp_path / "d", "standard", tensor=tensors("standard", scaling_factor=factors)))
    expected = features("standard", X)
    close(scaled.reconstruct(torch.from_numpy(X)), (expected * factors) @ W["W_dec"] + W["b_dec"])


def test_topk_that_weighs_features_by_the_length_of_their_directions(tmp_path: Path) -> None:
    sae = read_sae(saelens(tmp_path / "s", "topk", rescale_acts_by_decoder_norm=True))
    lengths = np.linalg.norm(W["W_dec"], axis=1)
    expected = top(((X - W["b_dec"]) @ W["W_enc"] + W["b_enc"]) * lengths, 5)
    close(sae.encode(torch.from_numpy(X)), expected)
    close(sae.reconstruct(torch.from_numpy(X)), (expected / lengths) @ W["W_dec"] + W["b_dec"])
    close(sae.directions().norm(dim=-1), np.ones(F))


@pytest.mark.parametrize("kind", ["layer_norm", "constant_norm_rescale"])
def test_activations_are_normalised_as_the_files_say(kind: str, tmp_path: Path) -> None:
    sae = read_sae(saelens(tmp_path / "s", "standard", normalize_activations=kind))
    if kind == "layer_norm":
        centre, spread = X.mean(1, keepdims=True), X.std(1, ddof=1, keepdims=True)
        normal, size = (X - centre) / (spread + 1e-5), spread
    else:
        size, centre = np.linalg.norm(X, axis=1, keepdims=True) / D**0.5, 0.0
        normal = X / size
    expected = features("standard", normal)
    close(sae.encode(torch.from_numpy(X)), expected)
    decoded = (expected @ W["W_dec"] + W["b_dec"]) * size + centre
    close(sae.reconstruct(torch.from_numpy(X)), decoded)
    with pytest.raises(InputError, match="give those that were encoded"):
        sae.decode(torch.from_numpy(expected))
    assert read_sae(sae.save(tmp_path / "again")).identity == sae.identity


def test_a_factor_that_is_not_in_the_file_is_asked_for_and_used(tmp_path: Path) -> None:
    folder = saelens(tmp_path / "s", "standard", normalize_activations="expected_average_only_in")
    with pytest.raises(InputError, match="give it as scale="):
        read_sae(folder)
    sae = read_sae(folder, scale=0.3)
    expected = features("standard", 0.3 * X)
    close(sae.encode(torch.from_numpy(X)), expected)
    close(sae.reconstruct(torch.from_numpy(X)), (expected @ W["W_dec"] + W["b_dec"]) / 0.3)
    with pytest.raises(InputError, match="scale must be a number above 0"):
        read_sae(folder, scale=-1.0)


def test_an_sae_of_centred_weights_takes_centred_activations(tmp_path: Path) -> None:
    kwargs = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    sae = read_sae(saelens(tmp_path / "s", "standard", metadata=kwargs))
    centre = X.mean(1, keepdims=True)
    expected = features("standard", X - centre)
    close(sae.encode(torch.from_numpy(X)), expected)
    close(sae.reconstruct(torch.from_numpy(X)), expected @ W["W_dec"] + W["b_dec"] + centre)
    assert read_sae(sae.save(tmp_path / "again")).identity == sae.identity


# Other layouts


def scope(folder: Path, **other: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: W[name] for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")} | other
    np.savez(folder / "params.npz", **arrays)
    return folder


def test_gemma_scope_says_its_place_in_its_folders_names(tmp_path: Path) -> None:
    folder = scope(tmp_path / "gemma-scope-2b-pt-res" / "layer_12" / "width_16k" / "average_l0_82")
    sae = read_sae(folder)
    assert (sae.site, sae.layer, sae.architecture, sae.subtracts_bias) == ("resid", 13, "jumprelu", False)
    close(sae.encode(torch.from_numpy(X)), features("jumprelu", X, subtracted=False))
    assert read_sae(scope(tmp_path / "gemma-scope-2b-pt-mlp" / "layer_3" / "x")).site == "mlp_out"
    assert read_sae(scope(tmp_path / "mine" / "layer_3"), site="resid").layer == 4
    bare = scope(tmp_path / "bare")
    assert read_sae(bare, layer=5).layer == 5
    with pytest.raises(InputError, match="do not say where its activations come from"):
        read_sae(bare)
    with pytest.raises(InputError, match="hook_z"):
        read_sae(scope(tmp_path / "gemma-scope-2b-pt-att" / "layer_3" / "x"))


def scope2(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    hook = "model.layers.17.output"
    record = {
        "hf_hook_point_in": hook, "hf_hook_point_out": hook, "width": F, "model_name": "tiny", "type": "sae",
        "architecture": "jump_relu", "l0": 7, "affine_connection": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(record | config))
    small = {"W_enc": "w_enc", "W_dec": "w_dec"}
    save_file(
        {small.get(name, name): value for name, value in tensors("jumprelu").items()},
        folder / "params.safetensors",
    )
    return folder


def test_gemma_scope_2_is_read_and_a_transcoder_is_none(tmp_path: Path) -> None:
    sae = read_sae(scope2(tmp_path / "s"))
    assert (sae.site, sae.layer) == ("resid", 18) and sae.about["model"] == "tiny"
    close(sae.encode(torch.from_numpy(X)), features("jumprelu", X, subtracted=False))
    added = "model.layers.5.post_feedforward_layernorm.output"
    mlp = read_sae(scope2(tmp_path / "m", hf_hook_point_in=added, hf_hook_point_out=added))
    assert (mlp.site, mlp.layer) == ("mlp_out", 6)
    with pytest.raises(InputError, match="transcoder"):
        read_sae(scope2(tmp_path / "t", hf_hook_point_out=added))


def sparsify(folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    record = {"expansion_factor": 2, "normalize_decoder": True, "num_latents": F, "k": 5, "d_in": D}
    (folder / "cfg.json").write_text(json.dumps(record | config))
    given = tensors("topk")
    save_file(
        {"encoder.weight": given["W_enc"].T.contiguous(), "encoder.bias": given["b_enc"], "W_dec": given["W_dec"],
         "b_dec": given["b_dec"]},
        folder / "sae.safetensors",
    )  # fmt: skip
    return folder


def test_sparsify_is_a_topk_whose_layer_its_folder_says(tmp_path: Path) -> None:
    sae = read_sae(sparsify(tmp_path / "layers.6"))
    assert (sae.site, sae.layer, sae.architecture, sae.k) == ("resid", 7, "topk", 5)
    close(sae.encode(torch.from_numpy(X)), features("topk", X))
    with pytest.raises(InputError, match="transcoder"):
        read_sae(sparsify(tmp_path / "layers.7", transcode=True))


@pytest.mark.parametrize(
    ("hook", "site", "layer"),
    [
        ("blocks.0.hook_resid_pre", "resid", 0),
        ("blocks.3.hook_resid_pre", "resid", 3),
        ("blocks.3.hook_resid_post", "resid", 4),
        ("blocks.3.hook_attn_out", "attn_out", 4),
        ("blocks.3.hook_mlp_out", "mlp_out", 4),
        ("blocks.3.mlp.hook_post", "mlp_post", 4),
        ("model.layers.3", "resid", 4),
        ("transformer.h.3", "resid", 4),
        ("gpt_neox.layers.3.output", "resid", 4),
    ],
)
def test_places_are_called_as_here(hook: str, site: str, layer: int, tmp_path: Path) -> None:
    sae = read_sae(saelens(tmp_path / "s", "standard", metadata={"hook_name": hook}))
    assert (sae.site, sae.layer) == (site, layer)
    if site != "resid" or hook.startswith("blocks"):
        again = read_sae(sae.save(tmp_path / "again"))
        assert (again.site, again.layer) == (site, layer)


def test_an_unknown_place_can_be_named(tmp_path: Path) -> None:
    folder = saelens(tmp_path / "s", "standard", metadata={"hook_name": "blocks.1.hook_unknown"})
    with pytest.raises(InputError, match=r"hook_unknown'.*give layer="):
        read_sae(folder)
    named = read_sae(folder, layer=2, site="attn_out")
    assert (named.site, named.layer) == ("attn_out", 2)


# What is refused


def _drop(name: str) -> Any:
    def damage(folder: Path) -> None:
        save_file(
            {n: t for n, t in tensors("jumprelu").items() if n != name}, folder / "sae_weights.safetensors"
        )

    return damage


def _nan(folder: Path) -> None:
    values = tensors("jumprelu")
    values["b_enc"][3] = float("nan")
    save_file(values, folder / "sae_weights.safetensors")


def _cut(folder: Path) -> None:
    path = folder / "sae_weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _config(**config: Any) -> Any:
    def damage(folder: Path) -> None:
        record = json.loads((folder / "cfg.json").read_text())
        (folder / "cfg.json").write_text(json.dumps(record | config))

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_drop("W_dec"), "has no W_dec"),
        (_drop("threshold"), "has no threshold, which one of the architecture 'jumprelu' needs"),
        (_nan, "b_enc of the SAE.* NaN or infinite"),
        (_cut, "cut off"),
        (_config(architecture="temporal"), "architecture 'temporal', which is not known; known: standard, jumprelu"),
        (_config(architecture="gated"), "has no b_gate"),
        (_config(architecture="topk"), "leaves k=None of its 48 features"),
        (_config(architecture="topk", k=99), "leaves k=99"),
        (_config(d_in=99), "cfg.json says d_in 99"),
        (_config(normalize_activations="tanh"), "normalises activations by 'tanh'"),
        (_config(architecture="standard", activation_fn="tanh-relu"), "activation function 'tanh-relu'"),
        (_config(reshape_activations="hook_z"), "attention heads"),
        (_config(d_out=99), "transcoder"),
        (lambda folder: (folder / "cfg.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "cfg.json").unlink(), "holds no SAE that is read"),
    ],
)  # fmt: skip
def test_damaged_or_unknown_files_are_one_clear_error(damage: Any, said: str, tmp_path: Path) -> None:
    folder = saelens(tmp_path / "s", "jumprelu")
    damage(folder)
    with pytest.raises(InputError, match=said) as caught:
        read_sae(folder)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = saelens(tmp_path / "s", "standard", tensor=tensors("standard", b_enc=W["b_enc"][:-1].copy()))
    with pytest.raises(InputError, match=r"b_enc of the SAE.* shape \[47\], where \[48\]"):
        read_sae(folder)


def test_no_pickle_is_read(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("a pickle was read",))

    file = tmp_path / "ae.pt"
    file.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match="is a pickle, which can run code"):
        read_sae(file)
    with pytest.raises(InputError, match=r"'ae\.pt' is a pickle"):
        read_sae(tmp_path)
    objects = np.empty(1, dtype=object)
    objects[0] = Trap()
    with pytest.raises(InputError, match="holds 'threshold' as a pickle"):
        read_sae(scope(tmp_path / "scope", threshold=objects), layer=1)
    path = scope(tmp_path / "cut") / "params.npz"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="is damaged"):
        read_sae(path.parent, layer=1)


def test_a_folder_of_several_names_them(tmp_path: Path) -> None:
    saelens(tmp_path / "a", "standard")
    saelens(tmp_path / "b", "standard")
    with pytest.raises(InputError, match="in it there are SAEs in 'a', 'b'"):
        read_sae(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_sae(tmp_path / "nowhere")


def test_a_model_that_it_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = HookedLM(tiny.model("mistral"), tiny.tokenizer(), name="tiny")
    read_sae(saelens(tmp_path / "s", "standard")).check(model)
    high = read_sae(saelens(tmp_path / "h", "standard", metadata={"hook_name": "blocks.7.hook_resid_post"}))
    with pytest.raises(ModelError, match="0 to 3; does it come from another model"):
        high.check(model)
    wide = {
        name: torch.zeros(4, 4) if value.ndim == 2 else torch.zeros(4)
        for name, value in tensors("standard").items()
    }
    with pytest.raises(ModelError, match="whose resid is 32 wide"):
        Sae(site="resid", layer=1, architecture="standard", tensors=wide).check(model)


class Other:
    """Of another library."""

    d_sae = F

    def encode(self, activations: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(features("standard", activations.numpy()))

    def decode(self, given: torch.Tensor) -> torch.Tensor:
        return given @ torch.from_numpy(W["W_dec"]) + torch.from_numpy(W["b_dec"])


def test_an_object_with_encode_and_decode_is_one(tmp_path: Path) -> None:
    sae = Sae.of(Other(), layer=2)
    known = read_sae(saelens(tmp_path / "s", "standard"))
    x = torch.from_numpy(X)
    assert (sae.features, sae.d_model, sae.architecture) == (F, D, "Other")
    for one, other in (
        (sae.encode(x), known.encode(x)), (sae.reconstruct(x), known.reconstruct(x)),
        (sae.directions([3, 4]), known.directions([3, 4])),
    ):  # fmt: skip
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="is no SAE"):
        Sae.of(object(), layer=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="which can save it"):
        sae.save(tmp_path / "o")
