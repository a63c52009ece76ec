"""The measures of alignment once more, as slowly and plainly as their formulas, in numpy and float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A number that numpy gives is a np.float64: Any where a formula's result is one.
Array = NDArray[Any]


def centred(x: Array) -> Array:
    result: Array = x - x.mean(0)
    return result


def cosines(x: Array, y: Array) -> Array:
    x, y = centred(x), centred(y)
    return np.array([[a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for b in y] for a in x])


def hsic(k: Array, m: Array) -> Any:
    """The unbiased estimator, by its formula."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    first = np.trace(k @ m)
    second = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    third = 2 * (one @ k @ m @ one) / (n - 2)
    return (first + second - third) / (n * (n - 3))


def hsic_by_quadruples(k: Array, m: Array) -> float:
    """The same as an average over all ordered quadruples of different items."""
    total, count = 0.0, 0
    for i, j, q, r in itertools.permutations(range(len(k)), 4):
        total += k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
        count += 1
    return total / count


def cka(x: Array, y: Array) -> Any:
    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def centre_distance(x: Array, y: Array) -> Any:
    n = len(x)
    apart = x.mean(0) - y.mean(0)
    noise = np.cov((x - y).T).trace() / n
    spread = (np.cov(x.T).trace() + np.cov(y.T).trace()) / 2
    return np.sqrt(max(0.0, apart @ apart - noise) / spread)


def nearest(similar: Array, i: int, k: int) -> set[int]:
    others = [j for j in range(len(similar)) if j != i]
    return set(sorted(others, key=lambda j: -similar[i, j])[:k])


def neighbour_overlap(x: Array, y: Array, k: int) -> Any:
    a, b = cosines(x, x), cosines(y, y)
    return np.mean([len(nearest(a, i, k) & nearest(b, i, k)) / k for i in range(len(x))])


def precision(similar: Array) -> Any:
    """Row i asks, column i is right; ties share."""
    found = []
    for i, row in enumerate(similar):
        top = np.flatnonzero(row >= row.max() - 1e-6)
        found.append(1 / len(top) if i in top else 0.0)
    return np.mean(found)


def csls(x: Array, y: Array, k: int) -> Array:
    similar = cosines(x, y)
    own = [np.mean(sorted(row)[-k:]) for row in similar]
    other = [np.mean(sorted(column)[-k:]) for column in similar.T]
    return np.array([[2 * similar[i, j] - own[i] - other[j] for j in range(len(y))] for i in range(len(x))])


def leading_scores(x: Array, most: int) -> Array:
    """Scores on the fewest principal directions that hold 99% of the variance, at most `most`."""
    u, s, _ = np.linalg.svd(centred(x), full_matrices=False)
    share = np.cumsum(s**2) / np.sum(s**2)
    count = min(most, int(np.searchsorted(share, 0.99)) + 1)
    scores: Array = u[:, :count] * s[:count]
    return scores


def svcca(x: Array, y: Array, most: int) -> Any:
    """Canonical correlations as cosines of the angles between two column spaces."""
    a, b = leading_scores(x, most), leading_scores(y, most)
    qa, qb = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    return np.linalg.svd(qa.T @ qb, compute_uv=False).sum() / min(a.shape[1], b.shape[1])


def procrustes(x: Array, y: Array, most: int) -> Any:
    """By the best rotation itself, not by a formula for what it leaves."""
    a, b = leading_scores(x, most), leading_scores(y, most)
    width = max(a.shape[1], b.shape[1])
    a, b = (np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in (a, b))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    u, _, v = np.linalg.svd(b.T @ a)
    return np.linalg.norm(a - b @ u @ v) ** 2 / 2


def partial_correlation(a: Array, b: Array, covariates: Sequence[Array]) -> Any:
    """Pearson r of the residuals of two least-squares fits."""
    design = np.column_stack([np.ones(len(a)), *covariates])
    rest = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (a, b)]
    return np.corrcoef(*rest)[0, 1]


def without_length(x: Array, tokens: Array) -> Array:
    design = np.column_stack([np.ones(len(x)), tokens, 1 / tokens, np.log(tokens)])
    residuals: Array = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
    return residuals
