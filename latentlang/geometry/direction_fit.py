"""Language vectors of one layer: what leads from the other languages' prompts to one language's.

Each vector is as long as the means of the two lie apart along it, so that methods can be compared.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from latentlang.errors import InputError
from latentlang.geometry.eigen import leading
from latentlang.geometry.pca_fit import products
from latentlang.installing import install_command

# Directions whose spread is below this share of the widest are rounding.
_ROUNDING = 1e-10
_MOST_STEPS = 2000


def fit_directions(rows: Tensor, *, method: str, reference: int | None = None) -> Tensor:
    """The vector of each language, ``[language, d]``; zero for the reference itself.

    - ``mean``: the difference of the means (Marks and Tegmark 2024; CLaS-Bench 2026).
    - ``pca``: the first principal axis of the language's prompts and those it is set against, pooled (Goncharov 2026);
      against several languages, those are their mean for each item.
    - ``lda``: the difference of the means within the span of linear discriminants of all languages, in features of unit
      variance (ITLC 2025), with these variances put back, which the published code leaves out. Covariances are shrunk
      (Ledoit and Wolf 2004): there are mostly more dimensions than prompts.
    - ``probe``: the weights of a logistic regression on features of unit variance (L2, C = 1, classes balanced), as a
      direction in the activations.

    Args:
        rows: the same items in each language, ``[language, item, d]``, float64.
        method: one of `METHODS`.
        reference: place of the language that each is set against; None for all others.
    """
    return METHODS[method](rows, reference)


def needs_scikit_learn(method: str) -> None:
    """Make sure that what a method is fitted with is there.

    Raises:
        InputError: scikit-learn is not installed.
    """
    if method in ("lda", "probe"):
        try:
            import sklearn  # noqa: F401
        except ImportError as error:
            raise InputError(f"method {method!r} needs scikit-learn; `{install_command('eval')}`") from error


def differences(means: Tensor, reference: int | None) -> Tensor:
    """How far each language's mean lies from the reference's, or from the mean of all others, ``[language, d]``."""
    if reference is not None:
        return means - means[reference]
    count = len(means)
    return (means - means.mean(0)) * (count / (count - 1))


def _by_mean(rows: Tensor, reference: int | None) -> Tensor:
    return differences(rows.mean(1), reference)


def _by_pca(rows: Tensor, reference: int | None) -> Tensor:
    apart = differences(rows.mean(1), reference)
    total = rows.sum(0)
    vectors = torch.zeros_like(apart)
    for language, own in enumerate(rows):
        if language == reference:
            continue
        others = rows[reference] if reference is not None else (total - own) / (len(rows) - 1)
        pooled = torch.cat([own, others])
        axis = _first_axis(pooled - pooled.mean(0))
        vectors[language] = axis * (axis @ apart[language])
    return vectors


def _first_axis(centred: Tensor) -> Tensor:
    """The unit vector along which centred rows ``[row, d]`` spread most; zero where they do not."""
    if len(centred) >= centred.shape[1]:
        values, axes = leading(products(centred), 1)
        return axes[:, 0] * (values[0] > 0)
    values, mixes = leading(products(centred.T), 1)
    axis = centred.T @ mixes[:, 0]
    size = axis.norm()
    return axis / size if float(size) > 0 else torch.zeros_like(axis)


def _by_lda(rows: Tensor, reference: int | None) -> Tensor:
    from sklearn.covariance import LedoitWolf
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    scaled = _Scaled(rows)
    if not len(scaled.axes):
        return torch.zeros_like(rows[:, 0])
    count, items, _ = rows.shape
    fitted = LinearDiscriminantAnalysis(
        solver="lsqr", covariance_estimator=LedoitWolf(store_precision=False), priors=[1 / count] * count
    ).fit(scaled.scores.cpu().numpy(), np.repeat(np.arange(count), items))
    discriminants = torch.from_numpy(fitted.coef_).to(rows)
    if count > 2:  # of two languages it is their one discriminant already
        discriminants = discriminants - discriminants.mean(0)
    _left, sizes, right = torch.linalg.svd(discriminants, full_matrices=False)
    span = right[sizes > _ROUNDING * sizes[0]] @ scaled.axes
    apart = differences(rows.mean(1), reference) / scaled.deviations
    vectors: Tensor = (apart @ span.T) @ span * scaled.deviations
    return vectors


def _by_probe(rows: Tensor, reference: int | None) -> Tensor:
    apart = differences(rows.mean(1), reference)
    vectors = torch.zeros_like(apart)
    everything = None if reference is not None else _Scaled(rows)
    count, items, _ = rows.shape
    for language in range(count):
        if language == reference:
            continue
        if everything is None:
            scaled = _Scaled(rows[[reference, language]])
            classes = np.repeat([0, 1], items)
        else:
            scaled, classes = everything, np.repeat(np.arange(count) == language, items).astype(int)
        if not len(scaled.axes):
            continue
        weights = torch.from_numpy(_logistic(scaled.scores.cpu().numpy(), classes)).to(rows)
        direction = weights @ scaled.axes / scaled.deviations
        unit = direction / direction.norm().clamp_min(torch.finfo(direction.dtype).tiny)
        vectors[language] = unit * (unit @ apart[language]).abs()
    return vectors


def _logistic(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(class_weight="balanced", max_iter=_MOST_STEPS).fit(scores, classes)
    weights: np.ndarray = fitted.coef_[0]
    return weights


class _Scaled:
    """Prompts in features of unit variance, as scores on an orthonormal basis of their span: nothing is lost.

    Estimators that know only inner products then work with no more features than prompts.

    Attributes:
        deviations: standard deviation of each feature, ``[d]``; 1 where it does not vary.
        axes: the basis, ``[r, d]``; empty where nothing varies.
        scores: ``[language and item, r]``, less their mean.
    """

    def __init__(self, rows: Tensor) -> None:
        """Take rows ``[language, item, d]``."""
        flat = rows.flatten(0, 1)
        centred = flat - flat.mean(0)
        deviations = centred.square().mean(0).sqrt()
        varies = deviations > _ROUNDING * flat.abs().amax(0)
        self.deviations = torch.where(varies, deviations, 1.0)
        scaled = centred * varies / self.deviations
        count, width = scaled.shape
        if not bool(varies.any()):
            self.axes = scaled[:0]
        elif count < width:
            self.axes = torch.linalg.qr(scaled.T).Q.T
        else:
            self.axes = torch.eye(width, dtype=rows.dtype, device=rows.device)
        self.scores = scaled if count >= width else scaled @ self.axes.T


_Fit = Callable[[Tensor, "int | None"], Tensor]
#: Names of methods to what fits them.
METHODS: dict[str, _Fit] = {"mean": _by_mean, "pca": _by_pca, "lda": _by_lda, "probe": _by_probe}
