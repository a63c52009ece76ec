"""The largest eigenvalues and vectors of a symmetric positive matrix, to a tolerance that is checked, not hoped for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Apply = Callable[[Tensor], Tensor]

# Up to here all eigenvectors at once are quicker than a search for the largest.
_SMALL = 768
# A search for more than this share of all of them is no shorter than finding them all.
_SHARE = 0.06
_EXTRA = 10  # vectors searched for beside those wanted: the gap that counts is the one to the first left out
_ROUNDS = 16
# Of a component's scores, relative to their own size: a bound, which what comes out mostly beats a hundredfold.
_TOLERANCE = 1e-7
_SEED = 0


def worth_searching(size: int, count: int) -> bool:
    """Whether so few of so many eigenvectors are wanted that a search is quicker than finding them all."""
    return size > _SMALL and count <= _SHARE * size


def leading(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Largest eigenvalues, falling, and their vectors as columns: ``[k]`` and ``[m, k]``, k = min(count, m).

    Args:
        matrix: ``[m, m]``, float64, symmetric, no negative eigenvalue.
        count: how many.
    """
    size = len(matrix)
    count = min(count, size)
    if worth_searching(size, count):
        solution = search(lambda block: matrix @ block, size, count, device=matrix.device)
        if solution is not None:
            return solution
    values, vectors = torch.linalg.eigh(matrix)
    return values.flip(0)[:count].clamp_min(0), vectors.flip(1)[:, :count]


def search(
    apply: Apply, size: int, count: int, *, device: torch.device | str, rounds: int = _ROUNDS
) -> tuple[Tensor, Tensor] | None:
    """Leading eigenpairs of an implicit matrix, known only by its product with a block of vectors (matvec).

    None where it does not converge. Block Krylov iteration from a random start with a fixed seed (Musco and Musco 2015,
    algorithm 2), orthogonalised in full, with Rayleigh-Ritz vectors. It ends when the residual bounds the error of each
    vector's scores: the angle to the true vector is at most residual / gap (Davis and Kahan 1970), and what it mixes in
    of a larger component weighs by the ratio of their sizes. Memory: ``2 * rounds * (count + 10) * size`` numbers.

    Args:
        apply: the matrix times ``[m, b]``, float64.
        size: m.
        count: how many, at most m.
        device: where the blocks lie.
        rounds: most calls of `apply`.
    """
    width = min(size, count + _EXTRA)
    start = torch.randn(size, width, dtype=torch.float64, generator=torch.Generator().manual_seed(_SEED))
    block = torch.linalg.qr(start.to(device)).Q
    basis, images = block[:, :0], block[:, :0]
    for _ in range(rounds):
        image = apply(block)
        basis, images = torch.cat([basis, block], 1), torch.cat([images, image], 1)
        small = basis.T @ images
        values, mixes = torch.linalg.eigh((small + small.T) / 2)
        values, mixes = values.flip(0), mixes.flip(1)[:, :count]
        vectors = basis @ mixes
        residuals = (images @ mixes - vectors * values[:count]).norm(dim=0)
        block = _rest(image, basis, floor=_noise(values, size))
        if block.shape[1] == 0 or _converged(values, residuals, size):
            return values[:count].clamp_min(0), torch.linalg.qr(vectors).Q
    return None


def _noise(values: Tensor, size: int) -> float:
    """What rounding alone makes of a zero, beside the largest eigenvalue."""
    return float(values[0].clamp_min(0)) * torch.finfo(values.dtype).eps * size


def _rest(image: Tensor, basis: Tensor, *, floor: float) -> Tensor:
    """Orthonormal columns for what of the image lies outside the basis; none where that is only rounding."""
    for _ in range(2):  # once leaves rounding errors of the size of the image
        image = image - basis @ (basis.T @ image)
    left, sizes, _ = torch.linalg.svd(image, full_matrices=False)
    block = left[:, sizes > floor][:, : len(basis) - basis.shape[1]]
    block = block - basis @ (basis.T @ block)
    orthonormal: Tensor = torch.linalg.qr(block).Q
    return orthonormal


def _converged(values: Tensor, residuals: Tensor, size: int) -> bool:
    first_values = values[: len(residuals)]
    noise = _noise(values, size)
    apart = (values[None] - first_values[:, None]).abs()
    apart[torch.arange(len(first_values)), torch.arange(len(first_values))] = torch.inf
    gaps = apart.min(1).values
    sizes = (first_values.clamp_min(0) / values[0].clamp_min(torch.finfo(values.dtype).tiny)).sqrt()
    enough = residuals <= (_TOLERANCE * gaps * sizes).clamp_min(noise)
    return bool((enough | (first_values <= noise)).all())
