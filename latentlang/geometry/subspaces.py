"""Measures between the subspaces that hold most of each language's variance: SVCCA and orthogonal Procrustes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from einops import einsum
from torch import Tensor

from latentlang.geometry.eigen import leading
from latentlang.geometry.features import Features, Measured, Pairs
from latentlang.geometry.measures import one_value, same_width
from latentlang.geometry.resampling import Draws

DIRECTIONS = 20
#: Share of a language's variance that its directions need not exceed (Raghu et al. 2017, section 2).
VARIANCE = 0.99
# Canonical correlations of d directions over n items are near 1 whatever the data when n is not many times d.
_ITEMS_PER_DIRECTION = 20
# The directions of a half sample are looked for among this many times those of all items.
_ROOM = 4
# A direction along which vectors vary less than this, beside the first, does not exist.
_FLAT = 1e-9


@dataclass(frozen=True)
class Subspaces:
    """The leading principal directions of each language, by the items' scores on them.

    Attributes:
        units: scores ``[language, item, direction]``, orthogonal columns of length one, the direction with most
            variance first; columns of zeros where a language has fewer.
        sizes: length of each column, all squares of a language summing to 1, ``[language, direction]``.
        counts: directions of each language, ``[language]``.
    """

    units: Tensor
    sizes: Tensor
    counts: Tensor

    @classmethod
    def of(cls, vectors: Tensor, values: Tensor, totals: Tensor, *, most: int) -> Subspaces:
        """Keep the fewest directions that hold `VARIANCE` of the total, at most `most`.

        Args:
            vectors: unit columns ``[language, item, direction]``.
            values: variance along each, falling, ``[language, direction]``.
            totals: variance along all, ``[language]``.
            most: how many at most.
        """
        vectors, values = vectors[..., :most], values[:, :most]
        before = values.cumsum(1) - values
        kept = (before < VARIANCE * totals[:, None]) & (values > _FLAT * values[:, :1])
        values = torch.where(kept, values, 0.0)
        sizes = (values / values.sum(1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)).sqrt()
        return cls((vectors * kept[:, None, :]).float(), sizes.float(), kept.sum(1))


def directions_of(items: int, directions: int) -> int:
    """How many directions are used at most with so few items: one for twenty items."""
    return max(1, min(directions, items // _ITEMS_PER_DIRECTION))


def spectral(
    features: Features,
    pairs: Pairs,
    draws: Draws,
    *,
    directions: int = DIRECTIONS,
    wanted: tuple[str, ...] = ("svcca", "procrustes"),
) -> Measured:
    """SVCCA and orthogonal Procrustes distance, both between the leading directions of two languages.

    Let X and Y be the items' scores ``[n, p]`` and ``[n, q]`` on the leading principal directions of each language
    (`subspaces`), centred.

    - ``svcca`` (Raghu et al. 2017, section 2): the mean of the min(p, q) canonical correlations, the singular values of
      ``(X^T X)^(-1/2) X^T Y (Y^T Y)^(-1/2)``. It rises with p / n whatever the data, which its null shows; so p is at
      most n / 20.
    - ``procrustes`` (Schönemann 1966): ``min over rotations R of |X - Y R|^2 / 2``, with X and Y scaled to a sum of
      squares of 1, which is ``1 - |X^T Y|_*``, one less the sum of singular values; in [0, 1], 0 for the same shape.

    A half sample has directions of its own.
    """
    most = directions_of(features.items, directions)
    names = tuple(name for name in ("svcca", "procrustes") if name in wanted)
    values, vectors = _wide(features, min(features.items - 1, _ROOM * most))
    totals = features.gram.diagonal(dim1=1, dim2=2).sum(1)
    space = Subspaces.of(vectors, values, totals, most=most)
    observed = _measured(space, space.units, pairs, names)
    null = observed.new_empty(len(draws.permutations), *observed.shape)
    for row, moved in enumerate(draws.permutations):
        null[row] = _measured(space, space.units[:, moved], pairs, names)
    halves = observed.new_empty(len(draws.halves), *observed.shape)
    scores = (vectors * values.sqrt()[:, None, :]).float()
    rest = features.squares - scores.double().square().sum(2)  # of each item, outside these directions
    for row, half in enumerate(draws.halves):
        part = _half(scores[:, half], rest[:, half].sum(1), most)
        halves[row] = _measured(part, part.units, pairs, names)
    return Measured(names, observed.double(), null.double(), halves.double())


def svcca(first: Tensor, second: Tensor, *, directions: int = DIRECTIONS) -> float:
    """SVCCA of two ``[item, d]`` matrices (their widths may differ); see `spectral`."""
    family = partial(spectral, directions=directions, wanted=("svcca",))
    return one_value(family, same_width(first, second))


def procrustes_distance(first: Tensor, second: Tensor, *, directions: int = DIRECTIONS) -> float:
    """Orthogonal Procrustes distance of two ``[item, d]`` matrices (their widths may differ); see `spectral`."""
    family = partial(spectral, directions=directions, wanted=("procrustes",))
    return one_value(family, same_width(first, second))


def _wide(features: Features, count: int) -> tuple[Tensor, Tensor]:
    """Largest eigenvalues of each language's inner products and their vectors, ``[language, count]`` and by item."""
    solutions = [leading(gram, count) for gram in features.gram]
    return torch.stack([values for values, _ in solutions]), torch.stack(
        [vectors for _, vectors in solutions]
    )


def _half(scores: Tensor, rest: Tensor, most: int) -> Subspaces:
    """Directions of half of the items, among those of all.

    Args:
        scores: of the half, ``[language, item, direction]``.
        rest: sum of squares outside these directions, ``[language]``.
        most: how many at most.
    """
    scores = scores - scores.mean(1, keepdim=True)
    values, axes = torch.linalg.eigh(scores.mT @ scores)
    values, axes = values.flip(1).clamp_min(0), axes.flip(2)[..., :most]
    units = torch.nn.functional.normalize(scores @ axes, dim=1)
    return Subspaces.of(units, values, values.sum(1) + rest, most=most)


def _measured(space: Subspaces, partners: Tensor, pairs: Pairs, names: tuple[str, ...]) -> Tensor:
    """The measures ``[measure, pair]`` of each language with another's units, whose items may have been permuted."""
    left, right = space.units[pairs.lefts], partners[pairs.rights]
    table = einsum(left, right, "left item p, right item q -> left right p q")
    cross = pairs.pick(table)  # X^T Y of unit columns, [pair, p, q]
    values = []
    if "svcca" in names:
        fewest = torch.minimum(space.counts[pairs.first], space.counts[pairs.second])
        values.append(_nuclear(cross) / fewest)
    if "procrustes" in names:
        # Plain: for every draw, a pattern costs twice as much as the index (benchmarks/einops_cost.py).
        weighted = space.sizes[pairs.first][:, :, None] * cross * space.sizes[pairs.second][:, None, :]
        values.append(1 - _nuclear(weighted))
    return torch.stack(values)


def _nuclear(matrices: Tensor) -> Tensor:
    """Sum of the singular values of each matrix."""
    norms: Tensor = torch.linalg.svdvals(matrices).sum(-1)
    return norms
