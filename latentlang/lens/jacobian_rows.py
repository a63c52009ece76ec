"""Rows of a Jacobian lens: what it reads some tokens by, and nothing else, at a fraction of the cost."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import Field
from safetensors.torch import save_file
from torch import Tensor

from latentlang.arguments import layer_words
from latentlang.errors import InputError, ModelError
from latentlang.lens.jacobian import JacobianLens
from latentlang.lens.unembedding import unembedding_hash
from latentlang.models import HookedLM
from latentlang.remote_paths import located
from latentlang.storage.documents import Record, checked, damaged, parse_json
from latentlang.storage.files import prepare_folder, replacing_name
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_vacant
from latentlang.storage.tensors import read_tensors_of

_FORMAT = "latentlang jacobian rows 1"
_FILE = "jacobian_rows.safetensors"


class _Rows(Record):
    tokens: list[int] = Field(min_length=1)
    layers: list[int] = Field(min_length=1)
    texts: dict[str, int]
    settings: dict[str, float | int | str]


@dataclass(frozen=True, eq=False)
class JacobianRows:
    """What a Jacobian lens reads some tokens by.

    Attributes:
        tokens: token ids.
        rows: ``[layer, token, d_model]`` float32, each token's direction at the last layer taken back to each layer.
        layers: the layers' numbers.
        texts: language to how many of its texts the mean is over.
        unembedding: hash of the norm and head of the model that they were fitted on.
        settings: how they were fitted.
    """

    tokens: tuple[int, ...]
    rows: Tensor
    layers: tuple[int, ...]
    texts: Mapping[str, int]
    unembedding: str = ""
    settings: dict[str, float | int | str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"JacobianRows({len(self.tokens)} tokens, {layer_words(self.layers)})"

    @classmethod
    def of(cls, lens: JacobianLens, model: HookedLM, tokens: Sequence[int]) -> JacobianRows:
        """The rows of a whole lens.

        Raises:
            InputError: a token that there is not.
            ModelError: another model than the lens was fitted on.
        """
        vectors = lens.vectors(model, tokens)
        return cls(
            tuple(tokens), vectors, lens.layers, lens.texts, unembedding_hash(model), dict(lens.settings)
        )

    def check(self, model: HookedLM) -> None:
        """Refuse a model they were not fitted on.

        Raises:
            ModelError: it is another.
        """
        if self.rows.shape[-1] != model.d_model or self.unembedding != unembedding_hash(model):
            raise ModelError(f"these rows were fitted on another model than {model.name!r}; fit them for it")

    def scores(self, resid: Tensor, layers: Sequence[int]) -> Tensor:
        """What each layer gives each token, up to a positive factor that the tokens of one reading share.

        So tokens can be put in order, and their signs and order compared between layers; sizes can not.

        Args:
            resid: ``[..., layer, d_model]`` residual streams.
            layers: their layer numbers.

        Returns:
            ``[..., layer, token]`` float32, in the order of `tokens`.

        Raises:
            InputError: a layer that was not fitted.
        """
        if missing := [layer for layer in layers if layer not in self.layers]:
            raise InputError(f"these rows are of {layer_words(self.layers)}, not of {layer_words(missing)}")
        places = [self.layers.index(layer) for layer in layers]
        rows = self.rows[places].to(resid.device)
        return torch.einsum("...ld,lkd->...lk", resid.float(), rows)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``jacobian_rows.safetensors`` into a folder; returns the file.

        Raises:
            InputError: the folder cannot be written, or holds a store or a result.
        """
        path = prepare_folder(folder, remote=True) / _FILE
        record = {
            "tokens": self.tokens,
            "layers": self.layers,
            "texts": dict(self.texts),
            "settings": self.settings,
        }
        metadata = {"format": _FORMAT, "unembedding": self.unembedding, "record": json.dumps(record)}
        with FolderLock(path.parent, joins=True, needed=False):
            check_vacant(path.parent, None, ())
            with replacing_name(path) as temporary:
                save_file({"rows": self.rows.contiguous()}, temporary, metadata)
        return path

    @classmethod
    def load(cls, folder: str | os.PathLike[str], model: HookedLM) -> JacobianRows:
        """Read what `save` wrote, for the model they were fitted on.

        Raises:
            InputError: no such file, or a damaged one.
            ModelError: they belong to another model.
        """
        path = located(folder) / _FILE
        tensors, metadata = read_tensors_of(path, format=_FORMAT, holding="rows of a Jacobian lens")
        record = checked(_Rows, parse_json(metadata.get("record", "null"), path), path)
        rows = tensors.get("rows")
        shape = (len(record.layers), len(record.tokens))
        if rows is None or rows.ndim != 3 or rows.shape[:2] != shape or not bool(torch.isfinite(rows).all()):
            raise damaged(path, "there are no rows as they were written")
        loaded = cls(
            tuple(record.tokens), rows, tuple(record.layers), record.texts, metadata.get("unembedding", ""),
            dict(record.settings),
        )  # fmt: skip
        loaded.check(model)
        return loaded
