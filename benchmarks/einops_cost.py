"""What einops costs beside the plain operation, where this package uses it: `python -m benchmarks.einops_cost`.

One row per place: the median time of the plain operation and of einops, taking turns, and their ratio. Shapes are
small, so that what einops adds (it parses a pattern once and then looks it up) shows most; both give the same numbers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import einops
import numpy as np
import torch

ROUNDS, CALLS = 41, 200


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, einops {einops.__version__}, {ROUNDS} rounds of {CALLS} calls")
    print(f"{'place':42} {'plain':>9} {'einops':>9} {'ratio':>6}")
    for name, (plain, patterned) in cases().items():
        assert np.array_equal(np.asarray(plain()), np.asarray(patterned())), name
        times = [[_seconds(call) for call in (plain, patterned)] for _ in range(ROUNDS)]
        before, after = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:42} {before * 1e6:7.1f}us {after * 1e6:7.1f}us {after / before:6.2f}")


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - start) / CALLS


def cases() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """By place: the plain operation, and the same with a pattern."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    resid, logits, per_row = draw(8, 13, 64), draw(104, 2048), draw(8, 13)
    targets = torch.arange(16).reshape(8, 2)
    weights, hidden = draw(16, 2, 48), draw(16, 48, 256)
    cached, counts = draw(13, 16, 64), torch.arange(1, 17)
    units, scores, vectors = draw(4, 100, 256), draw(4, 100, 3), draw(4, 100, 5)
    gathered = draw(6, 20 * 100)
    numbers = np.arange(100)
    return {
        "readout: batch and layer into rows": (
            lambda: resid.flatten(0, 1),
            lambda: einops.rearrange(resid, "batch layer d -> (batch layer) d"),
        ),
        "readout: rows into batch and layer": (
            lambda: logits.unflatten(0, (8, 13)),
            lambda: einops.rearrange(logits, "(batch layer) ... -> batch layer ...", batch=8, layer=13),
        ),
        "readout: targets of each layer": (
            lambda: targets.repeat_interleave(13, dim=0),
            lambda: einops.repeat(targets, "batch target -> (batch layer) target", layer=13),
        ),
        "readout: second pass, values into rows": (
            lambda: per_row.flatten(),
            lambda: einops.rearrange(per_row, "batch layer -> (batch layer)"),
        ),
        "pooling: sums over positions": (
            lambda: torch.bmm(weights, hidden),
            lambda: einops.einsum(weights, hidden, "batch kept pos, batch pos d -> batch kept d"),
        ),
        "pooling: layers of the prefix": (
            lambda: cached.transpose(0, 1),
            lambda: einops.rearrange(cached, "layer slot d -> slot layer d"),
        ),
        "pooling: counts": (
            lambda: counts[:, None, None],
            lambda: einops.rearrange(counts, "prompt -> prompt 1 1"),
        ),
        "neighbours: cosine similarities": (
            lambda: units @ units.mT,
            lambda: einops.einsum(units, units, "language i d, language j d -> language i j"),
        ),
        "neighbours: null of retrieval": (
            lambda: gathered.view(6, -1, 100).mean(2),
            lambda: einops.reduce(gathered, "pair (draw item) -> pair draw", "mean", item=100),
        ),
        "pearson: components first": (
            lambda: scores.permute(2, 0, 1),
            lambda: einops.rearrange(scores, "language item component -> component language item"),
        ),
        "subspaces: cross products": (
            lambda: _cross(vectors),
            lambda: einops.einsum(vectors, vectors, "left item p, right item q -> left right p q"),
        ),
        "resampling: items of every draw": (
            lambda: np.tile(numbers, (200, 1)),
            lambda: einops.repeat(numbers, "item -> draw item", draw=200),
        ),
    }


def _cross(vectors: torch.Tensor) -> torch.Tensor:
    wide = vectors.permute(0, 2, 1).flatten(0, 1) @ vectors.permute(1, 0, 2).flatten(1)
    return wide.view(len(vectors), vectors.shape[2], len(vectors), vectors.shape[2]).permute(0, 2, 1, 3)


if __name__ == "__main__":
    main()
