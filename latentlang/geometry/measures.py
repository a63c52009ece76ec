"""Measures of items and of centroids: Pearson r of components, linear CKA, distance of centroids.

Functions on `Features` measure all pairs of languages at once, with every permutation and half sample; `linear_cka` and
`centroid_distance` are the same for two matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from einops import rearrange
from torch import Tensor

from latentlang.errors import InputError
from latentlang.geometry.confounds import residual_scores
from latentlang.geometry.features import CHUNK, Features, Measured, Pairs
from latentlang.geometry.measure_registry import component_names
from latentlang.geometry.resampling import Draws, draw

#: Fewest items on which two languages are compared.
FEWEST = 10
_LEAST = 1e-30  # what nothing is divided by


def pearson(scores: Tensor, pairs: Pairs, draws: Draws) -> Measured:
    """Pearson r of each component's scores between two languages over items (Zhang et al. 2024, Appendix C).

    ``r = sum_i (a_i - mean a)(b_i - mean b) / (n s_a s_b)``, where a_i and b_i are the scores of item i on one
    principal axis of *all* languages stacked. Each language's own mean drops out. NaN where a language's scores do not
    vary.

    Args:
        scores: ``[language, item, component]``, float64.
        pairs: which are compared.
        draws: permutations and half samples.
    """
    centred = scores - scores.mean(1, keepdim=True)
    sizes = centred.norm(dim=1, keepdim=True)
    flat = sizes <= 1e-9 * scores.norm(dim=1, keepdim=True)
    unit = torch.where(flat, torch.nan, centred / sizes.clamp_min(_LEAST))

    def sides(units: Tensor) -> tuple[Tensor, Tensor]:
        """Those that are first and those that are second, as factors of a product over items."""
        return (
            rearrange(units[pairs.lefts], "left item component -> component left item"),
            rearrange(units[pairs.rights], "right item component -> component item right"),
        )

    def between(product: Tensor) -> Tensor:
        """``[component, left, right]`` to ``[component, pair]``."""
        return pairs.pick(rearrange(product, "component left right -> left right component")).T

    left, right = sides(unit)
    values = between(left @ right)
    null = values.new_empty(len(draws.permutations), *values.shape)
    for row, permutation in enumerate(draws.permutations):
        null[row] = between(left @ right[:, permutation])
    halves = values.new_empty(len(draws.halves), *values.shape)
    for row, half in enumerate(draws.halves):
        part = unit[:, half]
        part = part - part.mean(1, keepdim=True)
        part = part / part.norm(dim=1, keepdim=True).clamp_min(_LEAST)
        first, second = sides(part)
        halves[row] = between(first @ second)
    return Measured(component_names("pearson", scores.shape[2]), values, null, halves)


def partial_pearson(scores: Tensor, pairs: Pairs, lengths: Tensor) -> Tensor:
    """The same with the lengths of *both* languages' prompts regressed out of both scores, ``[component, pair]``.

    The partial correlation of a and b given the columns for length of both languages (Fisher 1924). 0 where length
    leaves nothing of a score.

    Args:
        scores: ``[language, item, component]``, float64.
        pairs: which are compared.
        lengths: orthonormal columns ``[language, item, c]``, as of `confounds.length_columns`.
    """
    correlations = []
    for part in pairs.chunks(scores.shape[1] * (4 * lengths.shape[2] + 4 * scores.shape[2])):
        first, second = residual_scores(scores, lengths, pairs.first[part], pairs.second[part])
        correlations.append((first * second).sum(1))
    return torch.cat(correlations).T


def cka(features: Features, pairs: Pairs, draws: Draws) -> Measured:
    """Linear CKA, debiased (Kornblith et al. 2019, eq. 4; Nguyen et al. 2021, eq. 3, after Song et al. 2012).

    ``CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`` of the inner products ``K = X X^T`` and ``L = Y Y^T`` of items
    within each language, with the unbiased estimator ``HSIC(K, L) = [tr(K~ L~) + (1' K~ 1)(1' L~ 1) / ((n-1)(n-2)) -
    2 (1' K~ L~ 1) / (n-2)] / (n (n-3))``, K~ being K with its diagonal put to zero. Independent X and Y give 0 on
    average, where the plain CKA rises to 1 as d / n grows; so it can be slightly negative. It is computed as the inner
    product of U-centred matrices, which is the same number (Székely and Rizzo 2014, definition 2).

    Where columns were regressed out of the features, the n residuals have only m degrees of freedom, and independent
    languages would share the pattern of the projection M, since ``E K = tr(cov) M``: ``tr(K) M / m`` is taken from K
    first. With nothing regressed out this changes nothing.
    """
    centred = _u_centred(_grams(features))
    sizes = rearrange(centred, "language i j -> language (i j)").double().norm(dim=1)
    # Each item pair is in the matrix twice.
    unit = centred / _of_each((sizes / 2**0.5).clamp_min(_LEAST))
    count = features.items
    upper, lower = torch.triu_indices(count, count, 1, device=unit.device)
    flat = rearrange(unit, "language i j -> language (i j)")
    left = flat[pairs.lefts][:, upper * count + lower]
    right = rearrange(flat[pairs.rights], "right cell -> cell right").contiguous()
    values = pairs.pick(left.double() @ right[upper * count + lower].double())
    null = values.new_empty(len(draws.permutations), 1, len(pairs))
    for row, moved in enumerate(draws.permutations):
        cells = moved[upper] * count + moved[lower]
        null[row, 0] = pairs.pick(left @ right.index_select(0, cells))
    halves = values.new_empty(len(draws.halves), 1, len(pairs))
    # Cells first, so that those of a half sample are whole rows.
    grams = (
        rearrange(_grams(features), "language i j -> (i j) language").contiguous()
        if len(draws.halves)
        else flat
    )
    for row, half in enumerate(draws.halves):
        cells = (half[:, None] * count + half).flatten()
        part = rearrange(grams.index_select(0, cells), "(i j) language -> language i j", i=len(half))
        part = rearrange(_u_centred(part), "language i j -> language (i j)")
        part = part / part.norm(dim=1, keepdim=True).clamp_min(_LEAST)
        halves[row, 0] = pairs.pick(part[pairs.lefts] @ part[pairs.rights].T)
    return Measured(("cka",), values[None], null, halves)


def centroid_distances(features: Features, pairs: Pairs, draws: Draws) -> Measured:
    """Distance of two languages' centroids in units of the spread within a language.

    ``sqrt(max(0, |mean x - mean y|^2 - tr cov(x - y) / n)) / s``, with ``s^2 = (tr cov(x) + tr cov(y)) / 2``: the root
    of a standardised squared distance (Cohen 1988, eq. 2.2.1, in d dimensions) from which is taken what n items would
    give on average were the centroids the same. 1 means: as far apart as an item typically is from its centroid.

    Unpairing translations does not move a centroid. The permutation test is therefore another one: within each item
    the two languages change places at random (a sign flip of x - y; Fisher 1935, section 21).
    """
    count = features.items
    first, second = pairs.first, pairs.second
    apart = features.centroids[first] - features.centroids[second]
    between = apart.square().sum(1)  # squared distance of the centroids, [pair]
    # Squared length of x_i - y_i, [pair, item].
    each = torch.stack(
        [
            (features.rows[a].double() - features.rows[b].double() + shift).square().sum(1)
            for a, b, shift in zip(first.tolist(), second.tolist(), apart, strict=True)
        ]
    )
    spread = (features.variance[first] + features.variance[second]) / 2
    values = _standard_distance(between, each.sum(1), spread, count)
    flipped = torch.cat(
        [_squared_distances(means, pairs) for means, _ in _means(features, draws.signs / count)]
    )
    # What the centroids of the exchanged languages lose of their distance, the spread within them gains.
    wider = spread + count * (between - flipped) / (4 * (count - 1))
    null = _standard_distance(flipped, each.sum(1), wider, count)
    size = int(draws.halves.shape[1])
    masks = draws.masks.double()
    parts: list[Tensor] = []
    for means, within in _means(features, masks / max(1, size)):
        inside = within * size / (size - 1)
        spread = (inside[:, first] + inside[:, second]) / 2
        sums = masks[sum(len(part) for part in parts) :][: len(means)] @ each.T
        parts.append(_standard_distance(_squared_distances(means, pairs), sums, spread, size))
    halves = torch.cat(parts)
    return Measured(("centroid_distance",), values[None], null[:, None], halves[:, None])


def each_pair(name: str, value: Callable[[Tensor, Tensor], float]) -> Callable[..., Measured]:
    """A measure's function from one of two matrices: pair by pair, with each permutation and half sample.

    The simplest way to a measure of one's own, ``register(Measure(name=..., function=each_pair(...), ...))``; it takes
    ``permutations + resamples + 1`` calls for each pair and layer.

    Args:
        name: of the measure.
        value: gives the measure of two ``[item, d]`` matrices, float32, whose rows are the same items; each language's
            own centroid (of all items) is taken out.
    """

    def function(features: Features, pairs: Pairs, draws: Draws) -> Measured:
        both = [(features.rows[a], features.rows[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
        values = [value(x, y) for x, y in both]
        null = [[value(x, y[moved]) for x, y in both] for moved in draws.permutations]
        halves = [[value(x[half], y[half]) for x, y in both] for half in draws.halves]
        exact = features.rows.new_tensor([values, *null, *halves], dtype=torch.float64)[
            :, None
        ]  # [draw, 1, pair]
        return Measured((name,), exact[0], exact[1 : 1 + len(null)], exact[1 + len(null) :])

    return function


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Debiased linear CKA of two ``[item, d]`` matrices (their widths may differ); see `cka`."""
    return one_value(cka, same_width(first, second))


def centroid_distance(first: Tensor, second: Tensor) -> float:
    """Distance of the centroids of two ``[item, d]`` matrices in units of their spread; see `centroid_distances`."""
    return one_value(centroid_distances, [first, second])


def one_value(
    family: Callable[[Features, Pairs, Draws], Measured], both: Sequence[Tensor], place: int = 0
) -> float:
    """What a family gives for two matrices whose rows are the same items, nothing drawn.

    Raises:
        InputError: they cannot be compared.
    """
    _check(both)
    device = both[0].device
    features = Features.of(both, device=device)
    if not bool(features.varies.all()):
        return math.nan
    draws = draw(len(both[0]), permutations=0, resamples=0, seed=0, device=device)
    return float(family(features, Pairs([(0, 1)], device=device), draws).values[place, 0])


def same_width(first: Tensor, second: Tensor) -> list[Tensor]:
    """Two matrices, the narrower one with columns of zeros, which change no inner product of items."""
    width = max(first.shape[1], second.shape[1])
    return [torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in (first, second)]


def _check(both: Sequence[Tensor]) -> None:
    """Refuse matrices that cannot be compared.

    Raises:
        InputError: they have not the same number of items, or fewer than `FEWEST`, or not the same width.
    """
    counts = [len(part) for part in both]
    if len(set(counts)) > 1 or counts[0] < FEWEST:
        raise InputError(
            f"the rows of both must be the same items, at least {FEWEST}; these have {' and '.join(map(str, counts))}"
        )
    widths = [part.shape[1] for part in both]
    if len(set(widths)) > 1:
        raise InputError(
            f"vectors of width {' and '.join(map(str, widths))} do not lie in one space; compare layers of one model"
        )


def _means(features: Features, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Weighted sums of each language's vectors, some draws at a time, and the mean square about them.

    Args:
        features: the languages.
        weights: ``[draw, item]``, float64.

    Yields:
        Sums ``[draw, language, d]``, and for weights that sum to 1 the variance (n in the denominator) within each
        language ``[draw, language]``.
    """
    size = max(1, CHUNK // (2 * features.centroids.numel()))
    for some in weights.split(size):
        sums = torch.stack([some @ rows.double() for rows in features.rows], 1)
        within = some @ features.squares.T - sums.square().sum(2)
        yield sums + rearrange(some.sum(1), "draw -> draw 1 1") * features.centroids, within


def _squared_distances(points: Tensor, pairs: Pairs) -> Tensor:
    """Of points ``[draw, language, d]``, ``[draw, pair]``."""
    products = points @ points.mT
    squares = products.diagonal(dim1=1, dim2=2)
    return squares[:, pairs.first] + squares[:, pairs.second] - 2 * products[:, pairs.first, pairs.second]


def _standard_distance(between: Tensor, each: Tensor, spread: Tensor, count: int) -> Tensor:
    """Distance in units of the spread, from squared numbers: of the means, the sum over items, the variance."""
    expected = (each - count * between) / (count * (count - 1))
    return ((between - expected).clamp_min(0) / spread.clamp_min(_LEAST)).sqrt()


def _grams(features: Features) -> Tensor:
    """Inner products ``[language, item, item]`` in float32 at a size near 1, corrected for what was regressed out."""
    gram = features.gram
    traces = gram.diagonal(dim1=1, dim2=2).sum(1)
    if features.removed is not None:
        columns = features.removed
        freedom = features.items - 1 - (columns.square().sum(1) > 0.5).sum(1)
        # tr(K) M / m with M = I - 1 1'/n - Q Q'; U-centring ignores the first two terms.
        gram = gram + _of_each(traces / freedom) * (columns @ columns.mT)
    return (gram / _of_each((traces / features.items).clamp_min(_LEAST))).float()


def _of_each(numbers: Tensor) -> Tensor:
    """One number of each language, beside its matrix."""
    return rearrange(numbers, "language -> language 1 1")


def _u_centred(grams: Tensor) -> Tensor:
    """U-centred matrices ``[language, n, n]``: rows and columns sum to 0 without the diagonal, which is 0."""
    count = grams.shape[-1]
    bare = grams - torch.diag_embed(grams.diagonal(dim1=-2, dim2=-1))
    rows = bare.sum(-1)
    total = rows.sum(-1) / ((count - 1) * (count - 2))
    rows = rows / (count - 2)
    bare = bare - rows[..., :, None] - rows[..., None, :] + total[..., None, None]
    bare.diagonal(dim1=-2, dim2=-1).zero_()
    return bare
