"""A sparse autoencoder (SAE) of one site and layer, as it was published or trained: activations to features and back.

Four encoders are known: ``standard`` (ReLU), ``gated`` (Rajamanoharan et al. 2024), ``jumprelu`` (a threshold for each
feature) and ``topk`` (the k largest). Numbers are computed in float32, whatever they are stored in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from latentlang.errors import InputError, ModelError, shown
from latentlang.models import Edit, HookedLM
from latentlang.models.edits import EDIT_SITES, EditPlace, Positions, features_of
from latentlang.storage.files import Staged, prepare_folder
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_free, check_vacant
from latentlang.storage.tensors import tensor_bytes

#: Architectures, and the tensors that each has beside encoder, decoder and the decoder's bias.
ARCHITECTURES: Mapping[str, tuple[str, ...]] = {
    "standard": ("b_enc",), "jumprelu": ("b_enc", "threshold"), "topk": ("b_enc",),
    "gated": ("b_gate", "b_mag", "r_mag"),
}  # fmt: skip
#: What is done to an activation before it is encoded, and undone afterwards.
NORMALIZATIONS = ("none", "centred", "constant_norm_rescale", "layer_norm")
#: What is put in the place of features: nothing; their mean; or nothing of what lies along their directions at all.
VALUES = ("zero", "mean", "direction")
#: Files of one on disk, in the layout of SAELens.
CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
# What TransformerLens calls a place, of a block's number.
_HOOKS = {
    "resid": "hook_resid_post", "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out", "mlp_post": "mlp.hook_post",
}  # fmt: skip
# As SAELens has it.
_EPSILON = 1e-5
# Activations that are encoded at once.
_ROWS = 1024


@runtime_checkable
class Dictionary(Protocol):
    """What stands for an SAE where a user gives one of another library."""

    def encode(self, activations: Tensor, /) -> Tensor:
        """Activations ``[row, d]`` as features ``[row, feature]``."""

    def decode(self, features: Tensor, /) -> Tensor:
        """And back."""


@dataclass(frozen=True, eq=False)
class Sae:
    """A sparse autoencoder; made by `read_sae`, `train_sae`, or `Sae.of` an object of another library.

    Attributes:
        site: where its activations come from: ``resid``, ``attn_out``, ``mlp_out`` or ``mlp_post``.
        layer: of which layer, in this package's numbers: ``resid`` 0 is what enters the first block, l what leaves
            block l; the parts of the first block are of layer 1.
        architecture: one of `ARCHITECTURES`; of another library's, the name of its class.
        tensors: ``W_enc`` ``[d, feature]``, ``W_dec`` ``[feature, d]``, ``b_dec`` ``[d]`` and those of the
            architecture ``[feature]``, all float32; none of another library's.
        k: how many features ``topk`` leaves.
        rescaled: whether ``topk`` weighs features by the length of their directions.
        subtracts_bias: whether ``b_dec`` is taken away before encoding.
        normalization: of activations, one of `NORMALIZATIONS`.
        source: the file, or what it was trained on.
        about: what its file says of it: its model, where it was trained.
        texts: beginnings of the hashes of the texts that it was trained on, where that is known.
        given: the object of another library.
    """

    site: str
    layer: int
    architecture: str
    tensors: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    k: int | None = None
    rescaled: bool = False
    subtracts_bias: bool = True
    normalization: str = "none"
    source: str = ""
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)
    texts: tuple[int, ...] = field(default=(), repr=False)
    given: Dictionary | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check that its parts are there, fit together, and are numbers.

        Raises:
            InputError: they are not; the message names the part.
        """
        if self.site not in EDIT_SITES:
            raise InputError(f"site={self.site!r} of an SAE is none of {', '.join(EDIT_SITES)}")
        if self.given is not None:
            return
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"the SAE{self._of} is of the architecture {shown(self.architecture)}, which is not known; known: "
                f"{', '.join(ARCHITECTURES)}; another can be given as an object with encode and decode"
            )
        if self.normalization not in NORMALIZATIONS:
            raise InputError(
                f"the SAE{self._of} normalises activations by {shown(self.normalization)}, which is not known; known: "
                f"{', '.join(NORMALIZATIONS)}"
            )
        for name in ("W_enc", "W_dec", "b_dec", *ARCHITECTURES[self.architecture]):
            if name not in self.tensors:
                raise InputError(
                    f"the SAE{self._of} has no {name}, which one of the architecture {self.architecture!r} needs; it "
                    f"has {', '.join(sorted(self.tensors)) or 'none'}"
                )
        features, width = self.tensors["W_dec"].shape if self.tensors["W_dec"].ndim == 2 else (0, 0)
        wanted = {"W_dec": (features, width), "W_enc": (width, features), "b_dec": (width,)}
        for name, tensor in self.tensors.items():
            shape = wanted.get(name, (features,))
            if tuple(tensor.shape) != shape or not features:
                raise InputError(
                    f"{name} of the SAE{self._of} is of shape {list(tensor.shape)}, where {list(shape)} goes with "
                    f"W_dec {list(self.tensors['W_dec'].shape)}"
                )
            if not bool(tensor.isfinite().all()):
                raise InputError(
                    f"{name} of the SAE{self._of} holds a number that is NaN or infinite; its training failed, or the "
                    "file is damaged"
                )
        if self.architecture == "topk" and (self.k is None or not 1 <= self.k <= features):
            raise InputError(
                f"the SAE{self._of} leaves k={shown(self.k)} of its {features} features; k is a whole number from 1"
            )

    @property
    def _of(self) -> str:
        return f" in {self.source!r}" if self.source else ""

    def __repr__(self) -> str:
        size = f"{self.features} features of width {self.d_model}, " if self.given is None else ""
        return f"Sae({self.architecture}, {size}{self.site} at layer {self.layer})"

    @classmethod
    def of(cls, given: Dictionary, *, layer: int, site: str = "resid") -> Sae:
        """An object of another library, with ``encode`` and ``decode``.

        Args:
            given: the object.
            layer: where its activations come from, in this package's numbers.
            site: and from which site.

        Raises:
            InputError: it has no ``encode`` or ``decode``.
        """
        if isinstance(given, type) or not isinstance(given, Dictionary):
            raise InputError(
                f"{shown(given)} is no SAE: give the folder or file of one, what read_sae or train_sae gave, or an "
                "object with encode(activations) and decode(features)"
            )
        return cls(site=site, layer=layer, architecture=type(given).__name__, given=given)

    @property
    def features(self) -> int:
        """How many it has."""
        return len(self.tensors["W_dec"]) if self.given is None else int(self._directions.shape[0])

    @property
    def d_model(self) -> int:
        """Width of what it encodes."""
        return int(self.tensors["W_dec"].shape[1]) if self.given is None else int(self._directions.shape[1])

    @cached_property
    def identity(self) -> str:
        """Hash of its numbers; of another library's, of its directions."""
        parts = self.tensors if self.given is None else {"directions": self._directions}
        facts = (
            self.site,
            self.layer,
            self.architecture,
            self.k,
            self.rescaled,
            self.subtracts_bias,
            self.normalization,
        )
        content = hashlib.sha256(repr(facts).encode())
        for name, tensor in sorted(parts.items()):
            content.update(name.encode())
            content.update(tensor.detach().cpu().contiguous().numpy().data)
        return content.hexdigest()

    def on(self, device: torch.device) -> Sae:
        """The same on a device."""
        return replace(self, tensors={name: tensor.to(device) for name, tensor in self.tensors.items()})

    def check(self, model: HookedLM) -> None:
        """Refuse a model that it does not fit.

        Raises:
            ModelError: the model has no such layer, or its activations are of another width.
        """
        least = 0 if self.site == "resid" else 1
        if not least <= self.layer <= model.n_layers:
            raise ModelError(
                f"{self!r} is of a layer that {model.name!r} has not: it has {least} to {model.n_layers}; does it come "
                "from another model?"
            )
        if self.given is None and self.site != "mlp_post" and self.d_model != model.d_model:
            raise ModelError(
                f"{self!r} does not fit {model.name!r}, whose {self.site} is {model.d_model} wide; does it come from "
                "another model?"
            )

    # Activations to features and back

    def encode(self, activations: Tensor) -> Tensor:
        """Activations ``[..., d]`` as features ``[..., feature]``, float32."""
        if self.given is not None:
            features: Tensor = self.given.encode(activations)
            return features
        normal, _size, _centre = self._normalized(activations.float())
        if self.subtracts_bias:
            normal = normal - self.tensors["b_dec"]
        before = normal @ self.tensors["W_enc"]
        if self.architecture == "gated":
            magnitudes = (before * self.tensors["r_mag"].exp() + self.tensors["b_mag"]).relu()
            return torch.where(before + self.tensors["b_gate"] > 0, magnitudes, 0.0)
        before = before + self.tensors["b_enc"]
        if self.architecture == "jumprelu":
            return torch.where(before > self.tensors["threshold"], before.relu(), 0.0)
        if self.architecture == "standard":
            return before.relu()
        if self.rescaled:
            before = before * self._lengths
        assert self.k is not None, "checked when it was made"
        values, places = before.topk(self.k, dim=-1, sorted=False)
        return torch.zeros_like(before).scatter_(-1, places, values.relu())

    def decode(self, features: Tensor, activations: Tensor | None = None) -> Tensor:
        """Features ``[..., feature]`` as activations ``[..., d]``.

        Args:
            features: what `encode` gave.
            activations: what it was given; needed where activations are normalised each by its own size.

        Raises:
            InputError: they are needed and not given.
        """
        if self.given is not None:
            if activations is not None:
                # one of SAELens that normalises activations decodes by the size of those it encoded last
                self.given.encode(activations)
            return self.given.decode(features)
        if self.rescaled:
            features = features / self._lengths
        decoded = features @ self.tensors["W_dec"] + self.tensors["b_dec"]
        if self.normalization == "none":
            return decoded
        if activations is None:
            raise InputError(
                f"{self!r} normalises each activation ({self.normalization}): give those that were encoded, "
                "decode(features, activations)"
            )
        _normal, size, centre = self._normalized(activations.float())
        return decoded * size + centre

    def reconstruct(self, activations: Tensor) -> Tensor:
        """What is left of activations when they have gone through the features."""
        return self.decode(self.encode(activations), activations)

    def directions(self, features: Sequence[int] | None = None) -> Tensor:
        """What each feature adds, ``[feature, d]``, when it is 1.

        Args:
            features: which; None for all.
        """
        return self._directions if features is None else self._directions[list(features)]

    @cached_property
    def _directions(self) -> Tensor:
        if self.given is None:
            directions = self.tensors["W_dec"]
            return directions / self._lengths[:, None] if self.rescaled else directions
        count = _features_of(self.given)
        none = torch.zeros(1, count)
        return (self.given.decode(torch.eye(count)) - self.given.decode(none)).float()

    @cached_property
    def _lengths(self) -> Tensor:
        lengths: Tensor = self.tensors["W_dec"].norm(dim=-1)
        return lengths

    def _normalized(self, activations: Tensor) -> tuple[Tensor, Tensor | float, Tensor | float]:
        """Activations as the encoder takes them, and what they are multiplied with and added to when they come out."""
        if self.normalization == "none":
            return activations, 1.0, 0.0
        if self.normalization == "constant_norm_rescale":
            size = activations.norm(dim=-1, keepdim=True) / activations.shape[-1] ** 0.5
            return activations / size, size, 0.0
        centre = activations.mean(-1, keepdim=True)
        centred = activations - centre
        if self.normalization == "centred":
            return centred, 1.0, centre
        spread = centred.std(-1, keepdim=True)
        return centred / (spread + _EPSILON), spread, centre

    # On disk

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write it as SAELens does (version 6: ``cfg.json``, ``sae_weights.safetensors``); returns the folder.

        Raises:
            InputError: it is an object of another library, or the folder cannot be written or holds something else.
        """
        if self.given is not None:
            raise InputError(f"{self!r} is an object of another library, which can save it")
        path = prepare_folder(folder, remote=True)
        with FolderLock(path, joins=True, needed=False), Staged(path) as files:
            check_target(path)
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
            files.add(WEIGHTS, tensor_bytes(tensors, {"format": "pt"}))
            files.add(CONFIG, (json.dumps(self._config(), indent=2, ensure_ascii=False) + "\n").encode())
        return path

    def _config(self) -> dict[str, Any]:
        block, hook = (
            (0, "hook_resid_pre") if self.layer == 0 else (self.layer - 1, _HOOKS.get(self.site, self.site))
        )
        centred = self.normalization == "centred"
        metadata: dict[str, Any] = {
            "sae_lens_version": "6.0.0", "model_name": self.about.get("model"), "hook_name": f"blocks.{block}.{hook}",
            "prepend_bos": True,
            **({"model_from_pretrained_kwargs": {"center_writing_weights": True}} if centred else {}),
            "latentlang": {"training": self.about.get("training", {}), "texts": list(self.texts)},
        }  # fmt: skip
        return {
            "architecture": self.architecture, "d_in": self.d_model, "d_sae": self.features, "dtype": "float32",
            "device": "cpu", "apply_b_dec_to_input": self.subtracts_bias,
            "normalize_activations": "none" if centred else self.normalization, "reshape_activations": "none",
            **({"k": self.k, "rescale_acts_by_decoder_norm": self.rescaled} if self.architecture == "topk" else {}),
            "metadata": metadata,
        }  # fmt: skip

    # In a model

    def edit(
        self,
        features: int | Iterable[int],
        *,
        value: str = "zero",
        means: Tensor | None = None,
        positions: Positions = "all",
    ) -> Edit:
        """Taking features out while a model runs, for `HookedLM.edited`; what the SAE leaves unexplained stays.

        Args:
            features: which.
            value: ``zero`` takes away what they add; ``mean`` puts their `means` in its place; ``direction`` takes out
                whatever lies along their directions, features or not (Deng et al. 2025).
            means: of all features, ``[feature]``, for ``mean``.
            positions: where, as of `Edit`.

        Raises:
            InputError: no such feature or value, or no means where they are needed.
        """
        chosen = [
            int(index)
            for index in features_of([features] if isinstance(features, int) else list(features))[0]
        ]
        if max(chosen) >= self.features:
            raise InputError(f"{self!r} has no feature {max(chosen)}; they are counted from 0")
        if value not in VALUES:
            raise InputError(f"unknown value {value!r}; known: {', '.join(VALUES)}")
        if value == "direction":
            return Edit.project_out(
                self.directions(chosen), layers=[self.layer], site=self.site, positions=positions
            )
        if value == "mean" and means is None:
            raise InputError(
                "value='mean' needs means=, the mean of each feature; FeaturesResult.means() has them"
            )
        instead = torch.zeros(len(chosen)) if value == "zero" or means is None else means[chosen].float()
        return Edit(
            _Without(self, tuple(chosen), instead), layers=[self.layer], site=self.site, positions=positions
        )

    def splice(self, *, positions: Positions = "all") -> Edit:
        """The reconstruction in the place of activations while a model runs, for `HookedLM.edited`."""
        return Edit(_Spliced(self), layers=[self.layer], site=self.site, positions=positions)


def as_sae(given: Sae | Dictionary, *, layer: int | None, site: str | None) -> Sae:
    """An SAE as a user gives it.

    Args:
        given: an `Sae`, or an object with ``encode`` and ``decode``.
        layer: of such an object.
        site: of such an object; ``resid`` by default.

    Raises:
        InputError: it is none, or its layer is not said, or is said again.
    """
    if isinstance(given, Sae):
        if layer is not None or site is not None:
            raise InputError(
                f"{given!r} says where it belongs; layer and site are for objects of other libraries"
            )
        return given
    if not isinstance(given, type) and isinstance(given, Dictionary) and layer is None:
        raise InputError(
            f"say which layer's activations {type(given).__name__} takes (layer=, in this package's numbers: the "
            "stream after block l is layer l, hook_resid_post of TransformerLens' block l is layer l + 1)"
        )
    return Sae.of(given, layer=layer or 0, site=site or "resid")


def check_target(folder: Path) -> None:
    """Refuse a folder into which no SAE may be written, before one is trained.

    Raises:
        InputError: it holds a store or a result, or another SAE than `Sae.save` wrote.
    """
    check_vacant(folder, None, ())
    if not is_ours(folder):
        check_free(folder, [CONFIG, WEIGHTS])


def is_ours(folder: Path) -> bool:
    """Whether a folder holds an SAE that `Sae.save` wrote."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return isinstance(config["metadata"]["latentlang"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _features_of(given: Any) -> int:
    """How many features an object of another library has.

    Raises:
        InputError: it does not say.
    """
    for holder, name in (
        (given, "W_dec"),
        (given, "W_enc"),
        (given, "d_sae"),
        (getattr(given, "cfg", None), "d_sae"),
    ):
        value = getattr(holder, name, None)
        if isinstance(value, Tensor) and value.ndim == 2:
            return int(value.shape[0 if name == "W_dec" else 1])
        if isinstance(value, int) and value > 0:
            return value
    raise InputError(
        f"{type(given).__name__} does not say how many features it has; give it an attribute d_sae"
    )


def in_rows(change: Callable[[Tensor], Tensor], activations: Tensor) -> Tensor:
    """A function of activations ``[row, d]``, a thousand rows at a time: there are more features than numbers."""
    parts = activations.split(_ROWS)
    return change(activations) if len(parts) == 1 else torch.cat([change(part) for part in parts])


@dataclass(frozen=True, eq=False)
class _Spliced:
    """The reconstruction in the activation's place."""

    sae: Sae

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """It."""
        return in_rows(self.sae.reconstruct, activations).to(activations)


@dataclass(frozen=True, eq=False)
class _Without:
    """The activation with other values of some features; the rest, and what no feature explains, as it was."""

    sae: Sae
    chosen: tuple[int, ...]
    instead: Tensor

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """It."""
        return in_rows(self._changed, activations).to(activations)

    def _changed(self, activations: Tensor) -> Tensor:
        features = self.sae.encode(activations)
        other = features.clone()
        other[:, list(self.chosen)] = self.instead.to(features)
        before = self.sae.decode(features, activations)
        changed: Tensor = activations + (self.sae.decode(other, activations) - before)
        return changed
