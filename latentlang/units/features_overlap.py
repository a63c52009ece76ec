"""Which features translations have in common, beside paragraphs that are no translations of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from latentlang.units.scores import Floats

# Each paragraph is set against so many others, which have about as many active features as its translation.
_NEAREST = 5


def overlaps(
    present: Mapping[str, NDArray[np.bool_]], items: Mapping[str, Sequence[str]]
) -> list[tuple[str, str, list[str], Floats, Floats]]:
    """Of each pair of languages the overlap (Jaccard) of active features, paragraph by paragraph.

    Unpaired is, of each paragraph, the mean overlap with paragraphs of the other language that say something else and
    have about as many active features as its translation, taken both ways: a long paragraph has more of them, and so
    more in common with any long one.

    Args:
        present: language to ``[paragraph, feature]``.
        items: language to the item of each paragraph.

    Returns:
        Both languages, the items that both have, and of each the paired and the unpaired overlap; pairs of languages
        with fewer than two items in common are left out.
    """
    rows = []
    for one, other in combinations(present, 2):
        place = {item: number for number, item in enumerate(items[other])}
        shared = [(number, place[item]) for number, item in enumerate(items[one]) if item in place]
        if len(shared) < 2:
            continue
        first, second = (np.array(each) for each in zip(*shared, strict=True))
        grid = jaccard(present[one][first], present[other][second])
        sizes = present[one][first].sum(1), present[other][second].sum(1)
        unpaired = (_unpaired(grid, sizes[1]) + _unpaired(grid.T, sizes[0])) / 2
        rows.append((one, other, [items[one][number] for number in first], np.diag(grid).copy(), unpaired))
    return rows


def jaccard(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> Floats:
    """Overlap over union of the features of each two paragraphs, ``[paragraph, paragraph]``; 0 where both have none."""
    both = one.astype(np.float32) @ other.T.astype(np.float32)
    either = one.sum(1)[:, None] + other.sum(1)[None] - both
    shares: Floats = (both / np.maximum(either, 1)).astype(np.float64)
    return shares


def _unpaired(grid: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Of each row the mean over columns other than its own whose sizes are nearest to its own column's."""
    means = []
    for number, row in enumerate(grid):
        distance = np.abs(sizes - sizes[number]).astype(float)
        distance[number] = np.inf
        nearest = np.argsort(distance, kind="stable")[: min(_NEAREST, len(row) - 1)]
        means.append(row[nearest].mean())
    return np.array(means)
