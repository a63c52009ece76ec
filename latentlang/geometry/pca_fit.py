"""Principal axes of one layer's prompts, exact, by the way that costs least for their number and width."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.geometry.basis import Basis, oriented
from latentlang.geometry.eigen import leading, search, worth_searching
from latentlang.geometry.layer_rows import LayerRows

METHODS = ("auto", "krylov", "gram", "covariance")
# A layer up to this size stays in the page cache, so that reading it again costs little; of a larger one, one pass.
_CACHED_LAYER = 2**30
# Widest matrix that is made of its own accord: 2 GiB in float64. Of wider layers the store is read several times.
_WIDEST = 16384


def fit(rows: LayerRows, components: int, *, state: str, method: str = "auto") -> Basis:
    """Find the principal axes of the chosen prompts of one layer.

    All methods accumulate in float64 and agree with a singular value decomposition of the centred rows to 1e-7 of
    each component's own size, mostly to 1e-9.

    - ``covariance``: one pass; the ``[d, d]`` scatter from merged batches (Chan, Golub and LeVeque 1983), then its
      largest eigenvectors. Memory ``2 d^2``.
    - ``gram``: for fewer prompts than features, the ``[n, n]`` inner products of the centred rows (Turk and Pentland
      1991, eq. 6). Holds the rows: memory ``n d + 2 n^2``, which with n <= d is no more than that of ``covariance``.
    - ``krylov``: block Krylov iteration on the store itself (Musco and Musco 2015), some 5 to 12 passes, memory of a
      few hundred vectors of length d. It goes on until a bound on the error says that it is exact; where the spectrum
      is too flat for that, the smaller of the two matrices is made after all.
    - ``auto``: ``krylov`` where few of many components are wanted and the layer stays in the page cache (up to 1 GiB)
      or is wider than 16,384; else the smaller matrix.

    Args:
        rows: the prompts, at least one.
        components: number of axes.
        state: whose they are, for the record.
        method: one of `METHODS`.

    Raises:
        InputError: a number is not finite, or they are too far apart to be decomposed.
    """
    with rows.decomposing():
        return _fit(rows, components, state=state, method=method)


def _fit(rows: LayerRows, components: int, *, state: str, method: str) -> Basis:
    chosen = _automatic(rows, components) if method == "auto" else method
    moments = _moments(rows, scatter=chosen == "covariance")
    if not math.isfinite(moments.total):
        raise rows.not_finite()
    mean = moments.mean
    solution: tuple[Tensor, Tensor] | None = None
    if moments.total == 0:
        chosen, solution = "none", (mean[:0], mean.new_zeros(rows.width, 0))
    elif chosen == "krylov":
        solution = _by_krylov(rows, mean, components)
        if solution is None:
            chosen = _matrix(rows)
            moments = _moments(rows, scatter=True) if chosen == "covariance" else moments
    if solution is None:
        solution = (
            leading(moments.scatter(), components)
            if chosen == "covariance"
            else _by_gram(rows, mean, components)
        )
    values, axes = _existing(*solution, components, size=max(rows.count, rows.width))
    freedom = max(1, rows.count - 1)
    return Basis(
        state=state, layer=rows.view.layer, mean=mean.cpu(), components=oriented(axes.T.cpu()).contiguous(),
        variance=values.cpu() / freedom, total=moments.total / freedom, prompts=rows.count, method=chosen,
    )  # fmt: skip


def project(rows: LayerRows, axes: Basis) -> NDArray[np.float64]:
    """Scores of the chosen prompts on axes that may have been fitted on others, ``[prompt, component]``.

    Raises:
        InputError: the axes are of another width, or a number is not finite.
    """
    axes.check(rows.width)
    mean, across = axes.mean.to(rows.device), axes.components.T.to(rows.device)
    # Room for all before the first piece: small results between large pieces would break the heap up, so that the
    # memory of a piece could not be used again.
    scores = mean.new_empty(rows.count, across.shape[1])
    start = 0
    for piece in rows.centred(mean):
        torch.mm(piece, across, out=scores[start : start + len(piece)])
        start += len(piece)
    if not torch.isfinite(scores).all():
        raise rows.not_finite()
    return scores.cpu().numpy()


def spread(rows: LayerRows) -> float:
    """Total variance of the chosen prompts over all features."""
    return _moments(rows, scatter=False).total / max(1, rows.count - 1)


def _automatic(rows: LayerRows, components: int) -> str:
    repeatable = rows.bytes <= _CACHED_LAYER or min(rows.count, rows.width) > _WIDEST
    if repeatable and worth_searching(min(rows.count, rows.width), components):
        return "krylov"
    return _matrix(rows)


def _matrix(rows: LayerRows) -> str:
    return "gram" if rows.count <= rows.width else "covariance"


def _moments(rows: LayerRows, *, scatter: bool) -> Moments:
    moments = Moments(scatter=scatter)
    for batch in rows.batches():
        moments.update(batch)
    return moments


def _by_krylov(rows: LayerRows, mean: Tensor, components: int) -> tuple[Tensor, Tensor] | None:
    def scatter_times(block: Tensor) -> Tensor:
        image = torch.zeros_like(block)
        for piece in rows.centred(mean):
            image.addmm_(piece.T, piece @ block)
        return image

    return search(scatter_times, rows.width, components, device=rows.device)


def _by_gram(rows: LayerRows, mean: Tensor, components: int) -> tuple[Tensor, Tensor]:
    held = mean.new_empty(rows.count, rows.width)
    start = 0
    for piece in rows.centred(mean):
        held[start : start + len(piece)] = piece
        start += len(piece)
    values, mixes = leading(products(held.T), components)
    axes = held.T @ mixes
    return values, axes / axes.norm(dim=0).clamp_min(torch.finfo(axes.dtype).tiny)


def _existing(values: Tensor, axes: Tensor, components: int, *, size: int) -> tuple[Tensor, Tensor]:
    """Exactly as many values and axes as components; zeros for those that rounding alone has made, or nothing."""
    noise = float(values[0]) * torch.finfo(values.dtype).eps * size if len(values) else 0.0
    count = int((values > noise).sum())
    padded_values, padded_axes = values.new_zeros(components), axes.new_zeros(len(axes), components)
    padded_values[:count], padded_axes[:, :count] = values[:count], axes[:, :count]
    return padded_values, padded_axes


# The scatter is symmetric: its lower half is summed in strips of columns, which saves close to half of the products.
_STRIPS = 8


_LEAST_STRIP = 128


class Moments:
    """Running moments, merged batch by batch (Chan, Golub and LeVeque 1983, eq. 2.1, for matrices).

    Every row is first moved by the first row seen. Rows that are all equal thus have a scatter of exactly zero, and a
    mean far from zero costs no digits.

    Attributes:
        count: rows seen.
        total: sum of squared distances from the mean over rows and features.
    """

    def __init__(self, *, scatter: bool = False) -> None:
        """Begin with no rows; `scatter` says whether the ``[d, d]`` matrix is summed too, not only its trace."""
        self.count = 0
        self.total = 0.0
        self._sums_scatter = scatter
        self._shift = torch.empty(0)
        self._mean = torch.empty(0)  # of the rows moved by the shift
        self._scatter = torch.empty(0)

    def update(self, rows: Tensor) -> None:
        """Take in ``[row, d]`` of any float dtype, at least one row, of the same width as all before."""
        added, width = rows.shape
        if self.count == 0:
            self._shift = rows[0].double()
            self._mean = torch.zeros_like(self._shift)
            self._scatter = self._shift.new_zeros((width, width) if self._sums_scatter else (0, 0))
        held = self._shift.new_empty(added + 1, width)
        moved = held[:-1]
        torch.sub(rows, self._shift, out=moved)
        mean = moved.mean(0)
        moved -= mean
        apart = mean - self._mean
        everything = self.count + added
        # The distance of the two means counts as one more row of this weight.
        held[-1] = apart * math.sqrt(self.count * added / everything)
        self.total += float(held.norm()) ** 2
        if self._sums_scatter:
            _add_products(self._scatter, held)
        self._mean += apart * (added / everything)
        self.count = everything

    @property
    def mean(self) -> Tensor:
        """Mean row, ``[d]``."""
        return self._shift + self._mean

    def scatter(self) -> Tensor:
        """Sum over rows of the outer products of distances from the mean, ``[d, d]``."""
        return _mirrored(self._scatter)


def products(rows: Tensor) -> Tensor:
    """``rows.T @ rows`` for ``[row, d]``, exactly symmetric."""
    gram = rows.new_zeros(rows.shape[1], rows.shape[1])
    _add_products(gram, rows)
    return _mirrored(gram)


def _add_products(into: Tensor, rows: Tensor) -> None:
    """Add ``rows.T @ rows`` to the lower half of ``[d, d]``; what this leaves above the diagonal is no result."""
    width = rows.shape[1]
    strip = max(_LEAST_STRIP, -(-width // _STRIPS))
    for start in range(0, width, strip):
        stop = min(start + strip, width)
        into[start:, start:stop].addmm_(rows[:, start:].T, rows[:, start:stop])


def _mirrored(lower: Tensor) -> Tensor:
    """The symmetric matrix whose lower half is given."""
    return lower.tril() + lower.tril(-1).T
