"""Measures of who is near whom: overlap of nearest neighbours, and translations found by nearness."""

from __future__ import annotations

from functools import partial

import torch
from einops import einsum, rearrange, reduce
from torch import Tensor

from latentlang.geometry.features import Features, Measured, Pairs
from latentlang.geometry.measures import one_value, same_width
from latentlang.geometry.resampling import EXACT, Draws

NEIGHBOURS = 10
# Neighbours that are more than this share of all items say little: any two sets of them overlap.
_MOST_NEIGHBOURS = 1 / 4


def neighbours_of(items: int, neighbours: int) -> int:
    """How many neighbours count with so few items: at most a quarter of the other items, at least 1."""
    return max(1, min(neighbours, int((items - 1) * _MOST_NEIGHBOURS)))


def mutual_knn(features: Features, pairs: Pairs, draws: Draws, *, neighbours: int = NEIGHBOURS) -> Measured:
    """Overlap of mutual nearest neighbours (Huh et al. 2024, appendix A).

    ``mean over items i of |N_a(i) ∩ N_b(i)| / k``, where N_a(i) are the k other items nearest to item i within language
    a, by cosine similarity of the vectors less their language's centroid. By chance ``k / (n - 1)``. Among items that
    are equally near at the edge of a neighbourhood (duplicates) none is preferred: each counts by its share of the
    places left, which is what random choice would give on average.

    A half sample has half the neighbours, so that a neighbourhood stays the same share of all items.
    """
    count = features.items
    near = neighbours_of(count, neighbours)
    cosines = einsum(features.units, features.units, "language i d, language j d -> language i j")
    cosines.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    weights = _membership(cosines, near)
    flat = rearrange(weights, "language i j -> language (i j)")
    left, right = flat[pairs.lefts], rearrange(flat[pairs.rights], "right cell -> cell right").contiguous()
    values = pairs.pick(left @ right).double() / (count * near)
    null = values.new_empty(len(draws.permutations), 1, len(pairs))
    for row, moved in enumerate(draws.permutations):
        cells = (moved[:, None] * count + moved).flatten()
        null[row, 0] = pairs.pick(left @ right.index_select(0, cells)) / (count * near)
    halves = values.new_empty(len(draws.halves), 1, len(pairs))
    for row, half in enumerate(draws.halves):
        fewer = max(1, round(near * len(half) / count))
        part = _membership(cosines[:, half[:, None], half], fewer)
        part = rearrange(part, "language i j -> language (i j)")
        halves[row, 0] = pairs.pick(part[pairs.lefts] @ part[pairs.rights].T) / (len(half) * fewer)
    return Measured(("mutual_knn",), values[None], null, halves)


def retrieval(
    features: Features,
    pairs: Pairs,
    draws: Draws,
    *,
    neighbours: int = NEIGHBOURS,
    wanted: tuple[str, ...] = ("retrieval", "csls"),
) -> Measured:
    """Share of items whose translation is the nearest of all items of the other language (precision at 1), both ways.

    By cosine similarity of the vectors less their language's centroid (``retrieval``; the similarity search of Artetxe
    and Schwenk 2019 and Libovický et al. 2020, who take the centroid out as well), and by CSLS (Conneau et al. 2018,
    section 2.3):
    ``2 cos(x, y) - r(x) - r(y)``, r being the mean cosine to the k nearest of the other language, so that an item which
    is near to everything is not everybody's translation. By chance ``1 / n``. Where several are equally near, each is
    found with equal probability.

    A half sample keeps r as it was among all items.
    """
    near = neighbours_of(features.items, neighbours)
    tables = []
    for part in pairs.chunks(
        features.items * (4 * features.items + len(draws.permutations) + len(draws.halves))
    ):
        units = features.units
        cosines = einsum(
            units[pairs.first[part]], units[pairs.second[part]], "pair i d, pair j d -> pair i j"
        )
        tables_of_part = _found_both_ways(cosines, draws) if "retrieval" in wanted else []
        if "csls" in wanted:
            nearest = cosines.topk(near, dim=2, sorted=False).values.mean(2)
            nearest_back = cosines.topk(near, dim=1, sorted=False).values.mean(1)
            tables_of_part += _found_both_ways(
                2 * cosines - nearest[:, :, None] - nearest_back[:, None, :], draws
            )
        tables.append(tables_of_part)
    names = tuple(f"{name}_{way}" for name in ("retrieval", "csls") if name in wanted for way in ("ab", "ba"))
    values, null, halves = (
        torch.stack([torch.cat([table[row][kind] for table in tables], -1) for row in range(len(names))], -2)
        for kind in range(3)
    )
    return Measured(names, values, null, halves)


def neighbour_overlap(first: Tensor, second: Tensor, *, neighbours: int = NEIGHBOURS) -> float:
    """Overlap of nearest neighbours of two ``[item, d]`` matrices (their widths may differ); see `mutual_knn`."""
    return one_value(partial(mutual_knn, neighbours=neighbours), same_width(first, second))


def translation_retrieval(
    first: Tensor, second: Tensor, *, csls: bool = False, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Precision at 1 between two ``[item, d]`` matrices, from first to second and back; see `retrieval`."""
    both = [first, second]
    family = partial(retrieval, neighbours=neighbours, wanted=("csls" if csls else "retrieval",))
    return one_value(family, both), one_value(family, both, 1)


def _membership(nearness: Tensor, count: int) -> Tensor:
    """How far each item is among another's `count` nearest: ``[language, item, item]``, rows sum to `count`."""
    edge = nearness.topk(count, dim=-1).values[..., -1:]
    inside = (nearness > edge + EXACT).to(nearness.dtype)
    tied = ((nearness - edge).abs() <= EXACT).to(nearness.dtype)
    return inside + tied * ((count - inside.sum(-1, keepdim=True)) / tied.sum(-1, keepdim=True))


def _found_both_ways(nearness: Tensor, draws: Draws) -> list[tuple[Tensor, Tensor, Tensor]]:
    return [_precision(nearness, draws), _precision(nearness.mT, draws)]


def _precision(nearness: Tensor, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Precision at 1 of ``[pair, item asked for, candidate]``.

    Returns:
        Values ``[pair]``; null and halves ``[draw, pair]``.
    """
    pairs, count, _ = nearness.shape
    best, nearest = nearness.max(2, keepdim=True)
    top = nearness >= best - EXACT
    ties = top.sum(2)
    right = nearness.diagonal(dim1=1, dim2=2)[..., None]
    hit = top.diagonal(dim1=1, dim2=2) / ties
    if int(ties.sum()) == pairs * count:  # no ties: comparing numbers of items is quicker
        null = (nearest[:, None, :, 0] == draws.permutations).float().mean(2)
    else:
        cells = torch.arange(count, device=nearness.device) * count + draws.permutations
        hits_of_draws = rearrange(top / ties[..., None], "pair i j -> pair (i j)")[:, cells.flatten()]
        null = reduce(hits_of_draws, "pair (draw item) -> pair draw", "mean", item=count)
    # An item is found in a half sample if no candidate that beats its translation is in it.
    masks = draws.masks.to(nearness.dtype).T
    beaten = (nearness > right + EXACT).to(nearness.dtype) @ masks  # [pair, item, draw]
    hits = (beaten == 0) * masks
    equal = (nearness - right).abs_() <= EXACT
    if int(equal.sum()) > pairs * count:
        hits = hits / (equal.to(nearness.dtype) @ masks).clamp_min(1)
    halves = hits.sum(1) / max(1, draws.halves.shape[1])
    return hit.double().mean(1), null.double().T, halves.double().T
