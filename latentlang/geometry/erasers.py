"""What takes language out of the activations of one layer: projections, fitted on the prompts of several languages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.activations import LayerView
from latentlang.errors import InputError, shown, unknown
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.pca_fit import Moments

METHODS = ("lsar", "leace", "mean", "random")
# Sizes below this share of the largest are rounding; of the means of activations, which are mostly stored in float32.
_ROUNDING, _STORED = 1e-9, 1e-6


@dataclass(frozen=True, eq=False)
class Projection:
    """The affine map ``x - (x - centre) @ read.T @ write`` of one layer; all float64, on the CPU.

    Attributes:
        read: what is measured of an activation, ``[k, d]``.
        write: what each measured number takes away, ``[k, d]``; the same orthonormal rows as `read` where the map is
            an orthogonal projection.
        centre: the activation that stays as it is, ``[d]``.
    """

    read: Tensor
    write: Tensor
    centre: Tensor

    @property
    def rank(self) -> int:
        """How many dimensions are taken out."""
        return len(self.read)

    def __call__(self, activations: Tensor) -> Tensor:
        """Activations ``[..., d]`` without them, float64."""
        given = activations.double()
        read, write, centre = (part.to(given.device) for part in (self.read, self.write, self.centre))
        return given - ((given - centre) @ read.T) @ write

    @classmethod
    def orthogonal(cls, basis: Tensor) -> Projection:
        """The projection that takes out the span of orthonormal rows ``[k, d]``."""
        basis = basis.cpu()
        return cls(basis, basis, basis.new_zeros(basis.shape[1]))


@dataclass(frozen=True)
class ErasedView(LayerView):
    """One layer of a store with a projection applied to every row that is read; float64."""

    projection: Projection

    @classmethod
    def of(cls, view: LayerView, projection: Projection) -> ErasedView:
        """The view with a projection."""
        return cls(view.store, view.layer, view.pool, view.site, projection)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the numbers."""
        return torch.float64

    def shards(self) -> Iterator[Tensor]:
        """The rows of each file, ``[rows, d_model]``."""
        for rows in super().shards():
            yield self.projection(rows)

    def __getitem__(self, rows: int | slice | Sequence[int] | Sequence[bool] | np.ndarray | Tensor) -> Tensor:
        """Some rows, as of `LayerView`."""
        plain = LayerView(self.store, self.layer, self.pool, self.site)
        return self.projection(plain[rows])


def check_rank(rank: int | None, *, method: str, languages: int, width: int) -> None:
    """Refuse a method that is not known, and a rank that it cannot have.

    Raises:
        InputError: it is.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if rank is None:
        return
    if method == "leace":
        raise InputError(
            f"rank={shown(rank)}: leace takes out as many dimensions as it needs; leave rank out, or use method 'lsar'"
        )
    most = width - 1 if method == "random" else min(languages - 1, width - 1)
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1 or rank > most:
        why = "" if method == "random" else f": {languages} languages differ in {languages - 1} dimensions"
        raise InputError(f"rank must be a whole number from 1 to {most}, not {shown(rank)}{why}")


def fit_eraser(
    rows: LayerRows,
    codes: NDArray[np.int64],
    *,
    method: str,
    rank: int | None = None,
    seed: int = 0,
    halves: NDArray[np.int64] | None = None,
) -> Projection:
    """Fit the projection of one layer, with no more in memory than a batch, the means and for LEACE ``[d, d]``.

    - ``lsar``: the leading directions in which the means of the languages differ (Xie et al. 2022). That method takes
      the best affine subspace of rank r through the means and the point of it that is nearest to zero; what it takes
      out are the leading r left singular vectors of the means less their mean, to which that point is orthogonal.
      Without a rank, as many as the means of two halves of the items agree on (`agreeing_rank`).
    - ``mean``: all differences of means, K - 1 dimensions (LRDS; Zhao et al. 2025): ``lsar`` of that rank.
    - ``leace``: ``x - W^+ U U^T W (x - m)`` with W the inverse square root of the covariance and U the span of
      ``W S`` with S the covariances with each language (Belrose et al. 2023): no linear classifier of language does
      better than the majority on what it was fitted on, and nothing that does this changes activations less. The
      covariance is shrunk (Ledoit and Wolf 2004), which keeps the first and makes W exist with fewer prompts than
      dimensions.
    - ``random``: a random subspace of `rank`, or K - 1, dimensions.

    Args:
        rows: the prompts.
        codes: which language each is in, ``[row]`` from 0 on, in the order of the rows.
        method: one of `METHODS`.
        rank: dimensions to take out.
        seed: of the random subspace.
        halves: 0 or 1 for each row, the halves of the items; for ``lsar`` without a rank.

    Raises:
        InputError: a number is not finite, or they are too far apart to be decomposed.
    """
    count = int(codes.max()) + 1
    if method == "random":
        return random_projection(
            rows.width, rank or min(count, rows.width) - 1, seed=seed, layer=rows.view.layer
        )
    with rows.decomposing():
        if method == "leace":
            return _leace(rows, codes, count)
        means = _means(rows, codes, count)
        if rank is None:
            rank = min(count, rows.width) - 1
            if method == "lsar" and halves is not None:
                parts = _means(rows, codes + count * halves, 2 * count)
                rank = agreeing_rank(parts[:count], parts[count:])
        return Projection.orthogonal(_leading_directions(means, rank))


def random_projection(width: int, rank: int, *, seed: int, layer: int) -> Projection:
    """The projection that takes out a random subspace, another one at each layer."""
    drawn = np.random.default_rng((seed, 6, layer)).normal(size=(width, rank))
    return Projection.orthogonal(torch.from_numpy(np.linalg.qr(drawn)[0].T.copy()))


def agreeing_rank(first: Tensor, second: Tensor) -> int:
    """In how many dimensions two halves of the items agree on how the languages' means ``[language, d]`` differ.

    Noise that the halves do not share makes the eigenvalues of the symmetrised products between halves as often
    negative as positive. Counted are those above the most negative one's size; at least 1.
    """
    one, other = (means - means.mean(0) for means in (first, second))
    # The products lie in the span of both halves' means: that is small enough to be decomposed.
    _left, sizes, right = torch.linalg.svd(torch.cat([one, other]), full_matrices=False)
    basis = right[sizes > _ROUNDING * sizes[0]].T
    a, b = one @ basis, other @ basis
    values = torch.linalg.eigvalsh((a.T @ b + b.T @ a) / 2)
    if not len(values):
        return 1
    noise = max(-float(values[0]), _ROUNDING * float(values[-1]))
    return max(1, min(int((values > noise).sum()), len(first) - 1))


def _means(rows: LayerRows, codes: NDArray[np.int64], count: int) -> Tensor:
    """Mean of each language's rows, ``[language, d]``, in one pass."""
    moments = [Moments() for _ in range(count)]
    start = 0
    for batch in rows.batches():
        here = torch.from_numpy(codes[start : start + len(batch)]).to(batch.device)
        start += len(batch)
        for code in here.unique().tolist():
            moments[code].update(batch[here == code])
    means = torch.stack([each.mean for each in moments])
    if not torch.isfinite(means).all():
        raise rows.not_finite()
    return means


def _leading_directions(means: Tensor, rank: int) -> Tensor:
    """Orthonormal directions ``[k, d]``, at most `rank`, in which the means differ most."""
    _left, sizes, right = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    exist = sizes[:rank] > _STORED * means.norm(dim=1).max()
    directions: Tensor = right[:rank][exist]
    return directions


def _leace(rows: LayerRows, codes: NDArray[np.int64], count: int) -> Projection:
    moments = Moments(scatter=True)
    by_language = [Moments() for _ in range(count)]
    start = 0
    for batch in rows.batches():
        moments.update(batch)
        here = torch.from_numpy(codes[start : start + len(batch)]).to(batch.device)
        start += len(batch)
        for code in here.unique().tolist():
            by_language[code].update(batch[here == code])
    if not np.isfinite(moments.total):
        raise rows.not_finite()
    mean = moments.mean
    # Covariance with each language, whose rank is that of the differences between the means.
    shares = mean.new_tensor([each.count / moments.count for each in by_language])
    apart = torch.stack([each.mean - mean for each in by_language])
    _left, sizes, right = torch.linalg.svd(shares[:, None] * apart, full_matrices=False)
    exist = sizes > _STORED * mean.norm()
    crossed = sizes[exist, None] * right[exist]
    if not len(crossed):
        nothing = mean.new_zeros(0, rows.width).cpu()
        return Projection(nothing, nothing, mean.cpu())
    values, vectors = torch.linalg.eigh(_shrunk(rows, moments))
    kept = values > _ROUNDING * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    whitened = (crossed @ vectors) / values.sqrt()  # W S in the axes of the covariance, [k, axis]
    span = torch.linalg.qr(whitened.T).Q.T
    read = (span / values.sqrt()) @ vectors.T
    write = (span * values.sqrt()) @ vectors.T
    return Projection(read.cpu(), write.cpu(), mean.cpu())


def _shrunk(rows: LayerRows, moments: Moments) -> Tensor:
    """The covariance ``[d, d]``, shrunk towards a multiple of the identity (Ledoit and Wolf 2004, lemma 3.1)."""
    count, width = moments.count, rows.width
    covariance = moments.scatter() / count
    typical = float(covariance.trace()) / width
    fourth = sum(float(piece.square().sum(1).square().sum()) for piece in rows.centred(moments.mean))
    size = float(covariance.square().sum())
    apart = size - width * typical**2  # squared distance from the multiple of the identity
    noise = max(0.0, (fourth / count - size) / count)
    share = min(noise, apart) / apart if apart > 0 else 1.0
    covariance *= 1 - share
    covariance.diagonal().add_(share * typical)
    return covariance
