"""A store from tensors that are already there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from latentlang.activations.manifest import Manifest, is_name
from latentlang.activations.prompts import TEXTS, ContentHash, completed
from latentlang.activations.shards import Layout, stored_dtype
from latentlang.activations.store import ActivationStore, open_store
from latentlang.activations.writer import begin, check_empty, rows_per_shard, write_shard
from latentlang.errors import InputError
from latentlang.results import Provenance
from latentlang.storage.files import prepare_folder
from latentlang.storage.lock import FolderLock

if TYPE_CHECKING:
    import pandas as pd


def write_store(
    folder: str | os.PathLike[str],
    *,
    frame: pd.DataFrame,
    tensors: Mapping[tuple[int, str], Tensor],
    provenance: Provenance | None = None,
    shard_rows: int | None = None,
) -> ActivationStore:
    """Write activations of your own as a store.

    Args:
        folder: where to; must be empty or not there.
        frame: one row per prompt; has at least ``item``, and ``language``, ``label``, ``text``, ``question``, ``cue``,
            ``tokens``, ``block_tokens``, ``question_tokens``, ``has_bos`` as far as they are known.
        tensors: (layer, pool) to ``[prompt, d_model]``; every layer under every pool, one dtype.
        provenance: where they came from.
        shard_rows: prompts per file; by default as many as a harvest would put into one.

    Raises:
        InputError: tensors and table do not fit together, or the folder cannot be written or is not empty.
    """
    table = completed(frame)
    layout = _layout(tensors, rows=len(table))
    if shard_rows is not None and shard_rows < 1:
        raise InputError(f"shard_rows must be at least 1, not {shard_rows}")
    content = ContentHash()
    for texts in zip(*(table[name] for name in TEXTS), strict=True):
        content.add(texts)
    made = provenance or Provenance(
        model="unknown", task="unknown", languages=tuple(dict.fromkeys(table["language"]))
    )
    planned = Manifest(
        model={"name": made.model, "revision": made.revision, "adapter": made.adapter},
        prompts={"rows": len(table), "content": content.hexdigest()},
        layout=layout,
        shard_rows=shard_rows or rows_per_shard(layout, None),
    )
    path = prepare_folder(folder)
    with FolderLock(path):
        check_empty(path)
        manifest = begin(path, planned, [table], made)
        start = 0
        for number, shard in enumerate(manifest.shards):
            stop = start + shard.rows
            parts = (
                tensors[layer, pool][start:stop].cpu().contiguous()
                for layer in layout.layers
                for pool in layout.pools
            )
            digest = write_shard(path / shard.file, layout, shard.rows, parts)
            manifest = manifest.with_shard(number, replace(shard, sha256=digest))
            start = stop
        manifest.write(path)
    return open_store(path)


def _layout(tensors: Mapping[tuple[int, str], Tensor], *, rows: int) -> Layout:
    if not tensors:
        raise InputError("no tensor was given; a store holds at least one layer")
    layers = tuple(sorted({layer for layer, _ in tensors}))
    pools = tuple(dict.fromkeys(pool for _, pool in tensors))
    for pool in pools:
        if not is_name(pool):
            raise InputError(f"the pool {pool!r} cannot be stored: give it a name without a dot")
    if layers[0] < 0:
        raise InputError(f"layer {layers[0]} cannot be stored: layers count from 0, the embeddings")
    first = next(iter(tensors.values()))
    for layer in layers:
        for pool in pools:
            if (layer, pool) not in tensors:
                raise InputError(f"layer {layer} has no pool {pool!r}; every layer needs every pool")
            values = tensors[layer, pool]
            if values.shape != (rows, first.shape[-1]) or values.dtype != first.dtype:
                raise InputError(
                    f"layer {layer}, {pool!r} is {values.dtype} {list(values.shape)}; expected {first.dtype} "
                    f"{[rows, first.shape[-1]]}, a row per prompt of the table"
                )
    return Layout(("resid",), layers, pools, stored_dtype(first.dtype), int(first.shape[-1]))
