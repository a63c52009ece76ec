"""Reading an activation store: one layer of all prompts, memory-mapped, without touching the rest.

Of a store on another filesystem (``s3://bucket/store``) the bytes of that layer are fetched, and no others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from latentlang.activations.manifest import METADATA, PROMPTS, Manifest, read_manifest
from latentlang.activations.prompts import presented, read_prompts
from latentlang.activations.shards import map_rows
from latentlang.activations.verify import find_faults, quick_faults
from latentlang.arguments import Layers, checked_call, given_layers, one_name, ranges, split_names
from latentlang.errors import InputError, MissingRowError, unknown
from latentlang.printable import printable
from latentlang.provenance import Provenance
from latentlang.remote_paths import located
from latentlang.storage.documents import read_json
from latentlang.storage.files import Progress, replacing
from latentlang.text import counted, sentences

if TYPE_CHECKING:
    import pandas as pd

BATCH_ROWS = 4096


@dataclass(frozen=True)
class ActivationStore:
    """Activations of prompts on disk; made by `open_store`, `harvest` and `write_store`.

    Attributes:
        path: its folder.
        manifest: what it holds.
        provenance: where it came from.
    """

    path: Path
    manifest: Manifest
    provenance: Provenance

    def __len__(self) -> int:
        return self.manifest.rows

    def __repr__(self) -> str:
        return printable(
            f"ActivationStore({str(self.path)!r}, {len(self)} prompts, layers {ranges(self.layers)}, "
            f"pools {', '.join(self.pools)}, {self.manifest.layout.dtype} [{self.width_words}])"
        )

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer numbers; 0 = embeddings, l = after block l."""
        return self.manifest.layout.layers

    @property
    def pools(self) -> tuple[str, ...]:
        """Names of pools."""
        return self.manifest.layout.pools

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of sites; mostly just ``resid``."""
        return self.manifest.layout.sites

    @property
    def d_model(self) -> int:
        """Width of a vector of the residual stream; of a site `width`."""
        return self.manifest.layout.d_model

    def width(self, site: str | None = None) -> int:
        """Width of the vectors of a site: of ``mlp_post`` the number of neurons, of the others `d_model`.

        Args:
            site: its name; by default the first.

        Raises:
            InputError: the store does not hold it.
        """
        return self.manifest.layout.width(self._site(site))

    @property
    def width_words(self) -> str:
        """``640``; where sites differ in width, that of each by its name."""
        layout = self.manifest.layout
        if len(set(layout.slot_widths)) == 1:
            return str(layout.slot_widths[0])
        return ", ".join(f"{site} {layout.width(site)}" for site in self.sites)

    def _site(self, site: str | None) -> str:
        name = self.sites[0] if site is None else site
        if name not in self.sites:
            raise unknown("site", name, self.sites, hint="only what was harvested can be read")
        return name

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the numbers."""
        return self.manifest.layout.torch_dtype

    def layer(
        self, layer: int, *, pools: str | Sequence[str] | None = None, site: str | None = None
    ) -> LayerView:
        """One layer of all prompts.

        Args:
            layer: its number.
            pools: name of one pool; may be left out where there is only one.
            site: name of a site; by default the first, mostly ``resid``.

        Raises:
            InputError: the store does not hold it.
        """
        if layer not in self.layers:
            raise InputError(f"the store has no layer {layer}; it has {ranges(self.layers)}")
        if pools is None and len(self.pools) > 1:
            raise InputError(f"say which pool is meant: {', '.join(self.pools)}")
        pool = self.pools[0] if pools is None else one_name(pools, "pool")
        if pool not in self.pools:
            raise unknown("pool", pool, self.pools, hint=f"the store has {', '.join(self.pools)}")
        return LayerView(self, layer, pool, self._site(site))

    @sentences
    def describe(self) -> str:
        """What it holds: prompts, languages, layers, pools, and of which model."""
        provenance = self.provenance
        adapter = f" with the adapter {provenance.adapter}" if provenance.adapter else ""
        prompts = f"{counted(len(self), 'prompt')} in {counted(len(provenance.languages), 'language')}"
        layers = f"{'layer' if len(self.layers) == 1 else 'layers'} {ranges(self.layers)}"
        sites, pools = (
            f"{counted(len(names), noun)} ({', '.join(names)})"
            for names, noun in ((self.sites, "site"), (self.pools, "pool"))
        )
        return (
            f"{prompts}, read by {provenance.model}{adapter}: {layers}, {sites}, {pools}; vectors of "
            f"{self.width_words} numbers in {self.manifest.layout.dtype}."
        )

    def frame(self) -> pd.DataFrame:
        """The prompts, one row each, in the order of the rows of every layer.

        Columns: ``item``, ``language``, ``label``, ``text`` (the whole prompt), ``question``, ``cue``; ``tokens``, the
        length of the whole prompt as it was run, with its beginning token (``has_bos``); ``few_shot_tokens`` and
        ``question_tokens``, how many of them hold a character of the few-shot prefix and of the question. Lengths are
        NaN where not known. Columns that a user gave come last.
        """
        return presented(read_prompts(self.path / PROMPTS, rows=len(self)))

    def verify(self, *, progress: Progress | None = None) -> None:
        """Read every byte and hold it against what was written.

        Args:
            progress: called with (bytes read, bytes in all).

        Raises:
            InputError: a file is missing, cut short or changed; all such files are named.
        """
        if faults := find_faults(self.path, progress=progress):
            raise InputError(f"the store {str(self.path)!r} is damaged: {'; '.join(faults)}")

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        layers: Layers | None = None,
        pools: str | Sequence[str] | None = None,
        site: str | None = None,
        format: str | None = None,
    ) -> Path:
        """Write chosen layers into one file; memory does not grow with the number of prompts.

        Args:
            path: the file; what is there is replaced.
            layers: their numbers, or ``"0,4,8-12"``; by default all.
            pools: names of pools; by default all. A numpy file takes one.
            site: name of a site; by default the first.
            format: ``safetensors`` (a tensor ``[prompt, d_model]`` per layer and pool, called ``resid.020.mean``) or
                ``npy`` (one array ``[layer, prompt, d_model]``; bfloat16 becomes float32, since numpy has none); by
                default what the file's name ends in.

        Raises:
            InputError: the store does not hold it, or the file cannot be written.
        """
        return export(self, path, layers=layers, pools=pools, site=site, format=format)


@dataclass(frozen=True)
class LayerView:
    """One layer, pool and site of all prompts; rows are read from the disk when they are used.

    Attributes:
        store: the store.
        layer: number of the layer.
        pool: name of the pool.
        site: its name.
    """

    store: ActivationStore
    layer: int
    pool: str
    site: str

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        return printable(
            f"LayerView({self.site}, layer {self.layer}, {self.pool}, {list(self.shape)} {self.dtype})"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of prompts, width."""
        return len(self.store), self.store.width(self.site)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the numbers."""
        return self.store.dtype

    def shards(self) -> Iterator[Tensor]:
        """The rows of each file, memory-mapped ``[rows, d_model]``."""
        following = self._shard(0, soon=True)
        for number in range(1, len(self._starts)):
            # the disk reads the next one while this one is used
            rows, following = following, self._shard(number, soon=True)
            yield rows
        yield following

    def batches(self, size: int = BATCH_ROWS) -> Iterator[Tensor]:
        """The rows in their order, ``[size, d_model]`` at a time and the rest at the end, in the dtype stored.

        Batches do not depend on how the rows are divided into files: memory-mapped where one file holds them all,
        copied together where not.

        Raises:
            InputError: `size` is less than 1.
        """
        if size < 1:
            raise InputError(f"size must be at least 1, not {size}")
        waiting: list[Tensor] = []
        count = 0
        for rows in self.shards():
            while len(rows):
                taken = rows[: size - count]
                rows = rows[len(taken) :]
                waiting.append(taken)
                count += len(taken)
                if count == size:
                    yield _together(waiting)
                    waiting, count = [], 0
        if waiting:
            yield _together(waiting)

    def tensor(self) -> Tensor:
        """All rows, ``[prompt, d_model]``; memory-mapped where there is one file."""
        return _together(list(self.shards()))

    def __iter__(self) -> Iterator[Tensor]:
        """The rows in their order, each ``[d_model]``."""
        for rows in self.shards():
            yield from rows

    def __array__(self, dtype: np.dtype[Any] | None = None, copy: bool | None = None) -> np.ndarray:
        """All rows as a numpy array, ``[prompt, d_model]``; bfloat16 becomes float32, since numpy has none.

        Raises:
            ValueError: no copy is wanted, and none can be done without.
        """
        rows = self.tensor()
        array = rows.float().numpy() if rows.dtype == torch.bfloat16 else rows.numpy()
        target = array.dtype if dtype is None else np.dtype(dtype)
        copied = len(self._starts) > 1 or rows.dtype == torch.bfloat16 or target != array.dtype
        if copy is False and copied:
            raise ValueError("these rows lie in several files, or in another dtype: an array needs a copy")
        return array.astype(target, copy=bool(copy) and not copied)

    def __getitem__(self, rows: int | slice | Sequence[int] | Sequence[bool] | np.ndarray | Tensor) -> Tensor:
        """Some rows, in the order asked for: ``[d_model]`` for a number, else ``[rows, d_model]``.

        A mask has a truth value per prompt. Negative numbers count from the end.

        Raises:
            MissingRowError: a row does not exist; an InputError and an IndexError.
            InputError: `rows` are no rows.
        """
        count = len(self)
        if isinstance(rows, int | np.integer):
            return self[[int(rows)]][0]
        if isinstance(rows, slice):
            rows = range(*rows.indices(count))
        index = torch.as_tensor(rows if isinstance(rows, Tensor) else np.asarray(rows))
        if index.dtype == torch.bool:
            if len(index) != count:
                raise InputError(f"a mask of {len(index)} rows was given for {count} prompts")
            index = index.nonzero()[:, 0]
        if index.is_floating_point() and len(index):
            raise InputError("rows are whole numbers, a slice or a mask")
        index = index.long().reshape(-1)
        if len(index) and not (-count <= int(index.min()) and int(index.max()) < count):
            bad = index[(index < -count) | (index >= count)][0]
            raise MissingRowError(f"there is no row {int(bad)}; the store has {count} prompts")
        index = index % count
        vectors = torch.empty(len(index), self.shape[1], dtype=self.dtype)
        shard_of = torch.bucketize(index, torch.tensor(self._starts), right=True) - 1
        for number in shard_of.unique().tolist():
            here = shard_of == number
            vectors[here] = self._shard(number)[index[here] - self._starts[number]]
        return vectors

    def _shard(self, number: int, *, soon: bool = False) -> Tensor:
        manifest = self.store.manifest
        layout, shard = manifest.layout, manifest.shards[number]
        slot = layout.slot(self.site, self.layer, self.pool)
        start = shard.bytes - shard.rows * layout.row_bytes + layout.offset(slot, shard.rows)
        return map_rows(
            self.store.path / shard.file, start=start, rows=shard.rows, d_model=layout.width(self.site),
            dtype=layout.torch_dtype, soon=soon,
        )  # fmt: skip

    @cached_property
    def _starts(self) -> list[int]:
        """First row of each shard."""
        return [0, *accumulate(shard.rows for shard in self.store.manifest.shards)][:-1]


def _together(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@checked_call
def open_store(path: str | os.PathLike[str]) -> ActivationStore:
    """Open a store, and check that all its files are there, as long as they should be, and its prompts unchanged.

    `verify` also reads and hashes every shard.

    Args:
        path: its folder, on this machine or another filesystem (``s3://bucket/store``).

    Raises:
        InputError: there is no store, it is unfinished, of another format, or damaged; the file is named.
    """
    folder = located(path)
    manifest = read_manifest(folder)
    missing = [shard for shard in manifest.shards if not shard.complete]
    if missing:
        raise InputError(
            f"the store {str(folder)!r} is unfinished: {len(missing)} of {len(manifest.shards)} shards are missing; "
            "run the same harvest again to finish it"
        )
    if faults := quick_faults(folder, manifest):
        raise InputError(f"the store {str(folder)!r} is damaged: {'; '.join(faults)}")
    return ActivationStore(folder, manifest, read_provenance(folder))


def read_provenance(folder: Path) -> Provenance:
    """Where a store came from.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / METADATA
    return Provenance.of(read_json(path, kind=dict, finite=False), path)


FORMATS = ("safetensors", "npy")


def export(
    store: ActivationStore,
    path: str | os.PathLike[str],
    *,
    layers: Layers | None,
    pools: str | Sequence[str] | None,
    site: str | None,
    format: str | None,
) -> Path:
    """What `ActivationStore.export` does."""
    target = located(path)
    kind = format or target.suffix.removeprefix(".")
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS, hint="give format=, or a file name that ends in one of them")
    given = "all" if layers is None else given_layers(layers)
    numbers = tuple(dict.fromkeys(store.layers if given == "all" else given))
    names = store.pools if pools is None else tuple(split_names(pools))
    if not numbers or not names:
        raise InputError("nothing to export: give at least one layer and one pool")
    if kind == "npy" and len(names) > 1:
        raise InputError(f"a numpy file holds one array; say which pool: {', '.join(names)}")
    views = [store.layer(layer, pools=name, site=site) for layer in numbers for name in names]
    with replacing(target) as out:
        if kind == "npy":
            # numpy has no bfloat16
            dtype = torch.float32 if store.dtype == torch.bfloat16 else store.dtype
            shape = len(numbers), len(store), views[0].shape[1]
            described = {
                "descr": np.dtype(str(dtype).removeprefix("torch.")).str,
                "fortran_order": False,
                "shape": shape,
            }
            np.lib.format.write_array_header_1_0(out, described)
        else:
            dtype = store.dtype
            width = store.width(views[0].site)
            chosen = replace(
                store.manifest.layout,
                sites=(views[0].site,),
                layers=numbers,
                pools=names,
                d_model=width,
                widths=(),
            )
            out.write(chosen.header(len(store)))
        for view in views:
            for batch in view.batches():
                out.write(batch.to(dtype).contiguous().view(torch.uint8).numpy().data)
    return target
