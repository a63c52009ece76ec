"""Some prompts of one layer of a store, gone through as often as needed, never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from latentlang.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from latentlang.activations import LayerView

_READ_BYTES = 16 * 2**20  # of a batch as float64
# What stays in a core's cache between the two products of one step; a GPU is better left with the whole batch.
_CACHED_BYTES = 2 * 2**20
_FLOAT64 = 8


@dataclass(frozen=True)
class LayerRows:
    """The chosen rows of one layer.

    Attributes:
        view: the layer.
        kept: which rows count, ``[prompt]`` of bool.
        device: where batches are sent.
    """

    view: LayerView
    kept: NDArray[np.bool_]
    device: torch.device

    @property
    def count(self) -> int:
        """Number of rows that count."""
        return int(self.kept.sum())

    @property
    def width(self) -> int:
        """d_model."""
        return int(self.view.shape[1])

    @property
    def bytes(self) -> int:
        """Size of the rows as they are stored."""
        return self.count * self.width * self.view.dtype.itemsize

    def batches(self) -> Iterator[Tensor]:
        """The rows in the order of the store, some ``[row, d_model]`` at a time, in the dtype stored."""
        size = max(1, _READ_BYTES // (_FLOAT64 * self.width))
        everything = bool(self.kept.all())
        start = 0
        for shard in self.view.shards():
            for batch in shard.split(size):
                stop = start + len(batch)
                chosen = batch if everything else batch[torch.from_numpy(self.kept[start:stop])]
                start = stop
                if len(chosen):
                    yield chosen.to(self.device)

    def centred(self, mean: Tensor) -> Iterator[Tensor]:
        """The rows less a mean ``[d_model]``, float64, in pieces small enough to stay in the cache."""
        size = max(1, _CACHED_BYTES // (_FLOAT64 * self.width))
        for batch in self.batches():
            for piece in batch.split(size if self.device.type == "cpu" else len(batch)):
                yield piece - mean  # float64, as the mean is

    @contextmanager
    def decomposing(self) -> Iterator[None]:
        """A block whose eigen-decompositions may fail; how far apart the numbers of a matrix are can be too much.

        Raises:
            InputError: one did.
        """
        try:
            yield
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            raise InputError(
                f"layer {self.view.layer}, pool {self.view.pool!r} of the store cannot be decomposed: its numbers are "
                "too large or too far apart; leave that layer out (layers=...) or harvest again"
            ) from error

    def not_finite(self) -> InputError:
        """What to say of the first row that holds a NaN or an infinity."""
        start = 0
        rows = self.kept.nonzero()[0]
        for batch in self.batches():
            bad = (~torch.isfinite(batch)).any(1).nonzero()
            if len(bad):
                row = int(rows[start + int(bad[0])])
                return InputError(
                    f"layer {self.view.layer}, pool {self.view.pool!r}, row {row} of the store holds a number that "
                    "is not finite; leave that layer out (layers=...) or harvest again"
                )
            start += len(batch)
        return InputError(f"layer {self.view.layer} holds numbers too large to square")
