"""Parts of a store as one file, for other tools."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentlang.errors import InputError, unknown
from latentlang.storage.files import replacing

if TYPE_CHECKING:
    from latentlang.activations.store import ActivationStore

FORMATS = ("safetensors", "npy")


def export(
    store: ActivationStore,
    path: str | os.PathLike[str],
    *,
    layers: int | Sequence[int] | None,
    pool: str | Sequence[str] | None,
    stream: str | None,
    format: str | None,
) -> Path:
    """What `ActivationStore.export` does."""
    target = Path(path)
    kind = format or target.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS, hint="give format=, or a file name that ends in one of them")
    asked, named = store.layers if layers is None else layers, store.pools if pool is None else pool
    numbers = tuple(dict.fromkeys([int(asked)] if isinstance(asked, int | np.integer) else asked))
    pools = tuple(dict.fromkeys([named] if isinstance(named, str) else named))
    if not numbers or not pools:
        raise InputError("nothing to export: give at least one layer and one pool")
    if kind == "npy" and len(pools) > 1:
        raise InputError(f"a numpy file holds one array; say which pool: {', '.join(pools)}")
    views = [store.layer(layer, pool=name, stream=stream) for layer in numbers for name in pools]
    with replacing(target) as out:
        if kind == "npy":
            # numpy has no bfloat16
            dtype = torch.float32 if store.dtype == torch.bfloat16 else store.dtype
            shape = len(numbers), len(store), store.d_model
            described = {
                "descr": np.dtype(str(dtype).removeprefix("torch.")).str,
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(out, described)
        else:
            dtype = store.dtype
            chosen = replace(store.manifest.layout, streams=(views[0].stream,), layers=numbers, pools=pools)
            out.write(chosen.header(len(store)))
        for view in views:
            for batch in view.batches():
                out.write(batch.to(dtype).contiguous().view(torch.uint8).numpy().data)
    return target
