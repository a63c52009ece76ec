"""The Jacobian lens: each layer is read as what it adds, to first order and on average, to the last one.

Gurnee et al. 2026, *Verbalizable Representations Form a Global Workspace in Language Models*: layer l is read as
``unembed(J_l h_l)``, where ``J_l`` is the Jacobian of the last block's output with respect to the stream after block l,
summed over the tokens that a token can act on and averaged over tokens and texts. Nothing is trained towards the
output; at the last layer J is the identity. It is fitted on text (`jacobian_fit`), or read from a file that somebody
published (`jacobian_files`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from latentlang.arguments import layer_words
from latentlang.errors import InputError, ModelError
from latentlang.lens.jacobian_files import (
    FORMAT,
    JACOBIANS_FILE,
    is_ours,
    is_published,
    read_ours,
    read_published,
)
from latentlang.lens.unembedding import unembedding_hash
from latentlang.models import HookedLM
from latentlang.models.directions import token_directions
from latentlang.paths import is_taken
from latentlang.remote_paths import located
from latentlang.storage.documents import reading
from latentlang.storage.files import prepare_folder, replacing_name
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_vacant, foreign

Settings = Mapping[str, float | int | str]


@dataclass(frozen=True, eq=False)
class JacobianLens:
    """Mean Jacobians of layers before the last.

    Attributes:
        jacobians: ``[layer, d_model, d_model]`` float32; row i holds what the stream's numbers add to number i of the
            last block's output.
        layers: the layers' numbers, in rising order; 0 is the embeddings.
        texts: language to how many of its texts the mean is over; of a published file one number, of no language.
        unembedding: hash of the norm and head of the model that it was fitted on; empty where a file does not say.
        settings: how it was fitted.
    """

    jacobians: Tensor
    layers: tuple[int, ...]
    texts: Mapping[str, int]
    unembedding: str = ""
    settings: dict[str, float | int | str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"JacobianLens({layer_words(self.layers)}, d_model {self.jacobians.shape[-1]}, "
            f"{sum(self.texts.values())} texts)"
        )

    @property
    def name(self) -> str:
        """``jacobian``."""
        return "jacobian"

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the Jacobians, their layers and the unembedding that they were fitted on."""
        digest = hashlib.sha256(f"{self.unembedding} {list(self.layers)}".encode())
        digest.update(self.jacobians.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def check(self, model: HookedLM) -> None:
        """Refuse a model it was not fitted on.

        Of a published file no more can be seen than that width and layers are the model's.

        Raises:
            ModelError: width, layers or the unembedding are another model's.
        """
        width = self.jacobians.shape[-1]
        if width != model.d_model or self.layers[-1] >= model.n_layers:
            raise ModelError(
                f"this Jacobian lens is for {layer_words(self.layers)} of width {width}; {model.name!r} has "
                f"{model.n_layers} layers of width {model.d_model}; fit one for it"
            )
        if self.unembedding and self.unembedding != unembedding_hash(model):
            raise ModelError(
                f"this Jacobian lens was fitted on another model than {model.name!r} (its norm and head differ); fit "
                "one for it"
            )

    def translate(self, resid: Tensor, layers: Sequence[int]) -> Tensor:
        """What each layer adds to the last one, to first order.

        Args:
            resid: ``[..., layer, d_model]`` residual streams.
            layers: their layer numbers.

        Returns:
            The same shape, float32.

        Raises:
            InputError: a layer that the lens does not have.
        """
        self.check_layers(layers)
        out = torch.empty(resid.shape, dtype=torch.float32, device=resid.device)
        for index, layer in enumerate(layers):
            jacobian = self.jacobians[self.layers.index(layer)].to(resid.device)
            out[..., index, :] = resid[..., index, :].float() @ jacobian.T
        return out

    def check_layers(self, layers: Sequence[int]) -> None:
        """Refuse layers that the lens does not have.

        Raises:
            InputError: naming them.
        """
        if missing := [layer for layer in layers if layer not in self.layers]:
            raise InputError(
                f"this Jacobian lens has {layer_words(self.layers)}, not {layer_words(missing)}; read others with "
                "layers=, or fit it on these"
            )

    def vectors(self, model: HookedLM, tokens: Sequence[int]) -> Tensor:
        """What each layer writes some tokens with: their directions at the last layer, taken back to each layer.

        Args:
            model: whose head it is.
            tokens: token ids.

        Returns:
            float32 ``[layer, token, d_model]``; ``vectors @ h`` is each token's logit in the lens, up to its bias and
            up to a positive factor that all tokens of one reading share (`models.directions.token_directions`).

        Raises:
            InputError: a token that there is not.
            ModelError: another model, or one whose final norm is no linear map up to a factor.
        """
        self.check(model)
        return token_directions(model, tokens).cpu() @ self.jacobians

    def merged(self, *others: JacobianLens) -> JacobianLens:
        """The lens of all the texts of this one and others, of other texts.

        Of the same languages the mean is over texts; of disjoint languages it is over languages.

        Raises:
            InputError: they were fitted in other ways, or share languages in other proportions, so that the mean over
                their texts cannot be had from their means.
        """
        lens = self
        for other in others:
            lens = lens._with(other)
        return lens

    def _with(self, other: JacobianLens) -> JacobianLens:
        if (self.layers, self.jacobians.shape) != (other.layers, other.jacobians.shape):
            raise InputError(
                "these Jacobian lenses have other layers or another width: there is no mean of them"
            )
        if self.unembedding != other.unembedding or _way(self.settings) != _way(other.settings):
            raise InputError(
                "these Jacobian lenses were fitted on other models or with other options: there is no mean of them"
            )
        if not set(self.texts) & set(other.texts):
            share = len(self.texts) / (len(self.texts) + len(other.texts))
        elif _proportions(self.texts) == _proportions(other.texts):
            share = sum(self.texts.values()) / (sum(self.texts.values()) + sum(other.texts.values()))
        else:
            raise InputError(
                "these Jacobian lenses share languages in other proportions of texts, so that the mean over all texts "
                "cannot be had from their means; fit on all of them at once, with resume="
            )
        texts = dict(Counter(self.texts) + Counter(other.texts))
        return JacobianLens(
            share * self.jacobians + (1 - share) * other.jacobians,
            self.layers,
            texts,
            self.unembedding,
            {**self.settings, "texts": sum(texts.values()), "languages": ",".join(filter(None, texts))},
        )

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``jacobian_lens.safetensors`` into a folder; returns the file.

        Raises:
            InputError: the folder cannot be written, or holds something else that would be overwritten.
        """
        path = prepare_folder(folder, remote=True) / JACOBIANS_FILE
        record = {"layers": self.layers, "texts": dict(self.texts), "settings": self.settings}
        metadata = {"format": FORMAT, "unembedding": self.unembedding, "record": json.dumps(record)}
        with FolderLock(path.parent, joins=True, needed=False):
            check_jacobian_target(path.parent)
            with replacing_name(path) as temporary:
                save_file({"jacobians": self.jacobians.contiguous()}, temporary, metadata)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: HookedLM | None = None) -> JacobianLens:
        """Read what `save` wrote, or a file that was published: ``J, n_prompts, source_layers, d_model``.

        A published file (``.pt`` or ``.safetensors``) counts layers from 0, the first block's output; here that is
        layer 1. Of a ``.pt`` file only tensors and numbers are read, never a pickle that could run code.

        Args:
            path: a folder that `save` wrote into, or a file.
            model: refused where the lens is for another; None to see later.

        Raises:
            InputError: no such file, or one that is no Jacobian lens.
            ModelError: it belongs to another model.
        """
        where = located(path)
        with reading(where):
            file = where / JACOBIANS_FILE if where.is_dir() else where
            present = file.is_file()
        if not present:
            raise InputError(f"{str(path)!r} holds no Jacobian lens; `latentlang jacobian` fits one")
        read = read_published(file) if is_published(file) else read_ours(file)
        lens = cls(read.jacobians, read.layers, read.texts, read.unembedding, read.settings)
        if model is not None:
            lens.check(model)
        return lens


def holds_jacobian_lens(path: str | os.PathLike[str]) -> bool:
    """Whether a folder or file is one of a Jacobian lens, by its name or, of safetensors, by its content."""
    where = located(path)
    with suppress(OSError, ValueError):
        if where.is_dir():
            return (where / JACOBIANS_FILE).is_file()
        return where.is_file() and (is_published(where) or is_ours(where))
    return False


def check_jacobian_target(folder: Path) -> None:
    """Refuse a folder into which no Jacobian lens may be written, before one is fitted.

    Raises:
        InputError: it holds a store or a result, or something that is no Jacobian lens lies in the file's place.
    """
    check_vacant(folder, None, ())
    path = folder / JACOBIANS_FILE
    if is_taken(path) and not (path.is_file() and is_ours(path)):
        raise foreign(folder, [JACOBIANS_FILE])


def _way(settings: Settings) -> dict[str, float | int | str]:
    """What two fits must have in common: all but which texts."""
    return {name: value for name, value in settings.items() if name not in ("texts", "languages", "left_out")}


def _proportions(texts: Mapping[str, int]) -> dict[str, float]:
    total = sum(texts.values())
    return {code: round(count / total, 12) for code, count in texts.items()}
