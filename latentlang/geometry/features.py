"""One layer of several languages, item by item, and which of them are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from latentlang.devices import named_device

# Variance below this share of the mean square is rounding: such vectors are all the same.
_ROUNDING = 1e-12
# Numbers up to two to this many, and down to its inverse, are taken as they are: activations lie far within.
_WIDE = 24
#: Numbers held at once by a step that would otherwise grow with pairs or draws: 16 MiB in float32, near to the cache.
CHUNK = 2**22


@dataclass(frozen=True, eq=False)
class Features:
    """Vectors of the same items in several languages, each language's own centroid taken out.

    Numbers so large or small that their products leave float32 are all brought near 1 by one power of two, which no
    measure sees.

    Attributes:
        rows: ``[language, item, d]``, float32.
        centroids: what was taken out, less the mean of all centroids, ``[language, d]``, float64.
        energy: mean square of the vectors before the centroid was taken out, ``[language]``.
        removed: orthonormal columns that were regressed out beside the centroid, ``[language, item, c]``; columns of
            zeros where there are fewer.
    """

    rows: Tensor
    centroids: Tensor
    energy: Tensor
    removed: Tensor | None = None

    @classmethod
    def of(cls, languages: Sequence[Tensor], *, device: torch.device | str = "cpu") -> Features:
        """Centre each language's ``[item, d]`` by itself, in float64; the items are the same and in the same order."""
        count, width = languages[0].shape
        scale = _scale(languages)
        rows = torch.empty(len(languages), count, width, device=device)
        centroids = torch.empty(len(languages), width, dtype=torch.float64, device=device)
        energy = torch.empty(len(languages), dtype=torch.float64, device=device)
        for index, given in enumerate(languages):
            exact = given.to(device=device, dtype=torch.float64) * scale
            centroids[index] = exact.mean(0)
            energy[index] = exact.square().sum() / count
            rows[index] = exact - centroids[index]
        return cls(rows, centroids - centroids.mean(0), energy)

    @property
    def items(self) -> int:
        """Number of items."""
        return self.rows.shape[1]

    @cached_property
    def variance(self) -> Tensor:
        """Total variance over all features (n - 1 in the denominator), ``[language]``, float64."""
        return self.squares.sum(1) / (self.items - 1)

    @cached_property
    def squares(self) -> Tensor:
        """Squared distance of each item from its language's centroid, ``[language, item]``, float64."""
        return torch.stack([language.double().square().sum(1) for language in self.rows])

    @cached_property
    def varies(self) -> Tensor:
        """Whether a language's vectors differ at all, ``[language]``."""
        return self.variance > _ROUNDING * self.energy

    @cached_property
    def gram(self) -> Tensor:
        """Inner products of items within each language, ``[language, item, item]``, float64."""
        gram = self.rows.new_empty(len(self.rows), self.items, self.items, dtype=torch.float64)
        for index, language in enumerate(self.rows):
            exact = language.double()
            torch.mm(exact, exact.T, out=gram[index])
        return gram

    @cached_property
    def units(self) -> Tensor:
        """The rows at length one, float32; a row at the centroid itself stays zero."""
        return torch.nn.functional.normalize(self.rows, dim=-1)

    def without(self, columns: Tensor) -> Features:
        """The same with orthonormal columns ``[language, item, c]`` regressed out of every feature."""
        rows = torch.empty_like(self.rows)
        for index, language in enumerate(self.rows):
            exact, basis = language.double(), columns[index]
            rows[index] = exact - basis @ (basis.T @ exact)
        return Features(rows, self.centroids, self.energy, columns)


def _scale(languages: Sequence[Tensor]) -> float:
    """The power of two that brings the largest number near 1; 1 for numbers that can be multiplied as they are."""
    largest = max(float(given.abs().max()) for given in languages)
    if not math.isfinite(largest) or largest == 0:
        return 1.0
    exponent = math.frexp(largest)[1]
    return 1.0 if abs(exponent) <= _WIDE else math.ldexp(1.0, -exponent)


class Pairs:
    """Which languages are compared with which.

    Attributes:
        first: place of each pair's first language, ``[pair]``; ``second`` of the other.
        lefts: the languages that are ever first, rising; ``rights`` those that are ever second.
    """

    def __init__(self, pairs: Sequence[tuple[int, int]], *, device: torch.device | str = "cpu") -> None:
        """Take pairs of places."""
        self.first = torch.tensor([a for a, _ in pairs], device=device)
        self.second = torch.tensor([b for _, b in pairs], device=device)
        self.lefts, self._left = self.first.unique(return_inverse=True)
        self.rights, self._right = self.second.unique(return_inverse=True)

    def __len__(self) -> int:
        return len(self.first)

    def pick(self, table: Tensor) -> Tensor:
        """Of a table over all lefts and rights, ``[left, right, ...]``, the pairs' entries, ``[pair, ...]``."""
        return table[self._left, self._right]

    def chunks(self, numbers: int) -> list[slice]:
        """Stretches of pairs, each short enough for so many numbers per pair to be held at once."""
        size = max(1, CHUNK // max(1, numbers))
        return [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]


@dataclass(frozen=True)
class Measured:
    """What some measures gave.

    Attributes:
        names: of the measures.
        values: ``[measure, pair]``.
        null: with the items of the second language permuted, ``[permutation, measure, pair]``.
        halves: on half samples of the items, ``[resample, measure, pair]``.
    """

    names: tuple[str, ...]
    values: Tensor
    null: Tensor
    halves: Tensor


def working_device(device: torch.device | str) -> torch.device:
    """The device, if it is there and can compute in float64.

    Raises:
        InputError: it cannot.
    """
    return torch.empty(0, device=named_device(device, dtype=torch.float64)).device
