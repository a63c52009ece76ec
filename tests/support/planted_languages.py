"""Languages that differ in a known way: a plane of directions that only language uses, and what the items mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from latentlang.activations import ActivationStore
from tests.support.small_store import small_store

Floats = NDArray[np.float64]
CODES = ("en", "de", "fr", "ja", "ru", "hi", "zh", "sw")


@dataclass(frozen=True)
class World:
    """Prompts and what they are made of.

    Attributes:
        rows: ``[language, item, width]``.
        plane: orthonormal rows that span what differs between languages, ``[dimension, width]``.
        points: where each language lies, ``[language, width]``.
    """

    rows: Floats
    plane: Floats
    points: Floats

    @property
    def tensor(self) -> torch.Tensor:
        """The rows as a tensor."""
        return torch.from_numpy(self.rows)

    def store(
        self, folder: Path, *, codes: Sequence[str] = CODES, layers: Sequence[int] = (1,)
    ) -> ActivationStore:
        """The rows as a store, the same at every layer."""
        languages, items, width = self.rows.shape
        flat = torch.from_numpy(self.rows.reshape(-1, width))
        return small_store(folder, dict.fromkeys(layers, flat), languages=codes[:languages], items=items)


def world(
    languages: int = 8, items: int = 60, *, width: int = 64, dimensions: int = 3, meaning: int = 10,
    apart: float = 4.0, wobble: float = 0.0, noise: float = 0.3, seed: int = 0,
) -> World:  # fmt: skip
    """Items with a meaning of some dimensions, at the point of their language in a plane that is orthogonal to it.

    Args:
        languages: how many.
        items: of each language.
        width: of the activations.
        dimensions: of the plane.
        meaning: dimensions that the items differ in.
        apart: how far languages lie apart.
        wobble: how far each prompt lies off its language's point, in the plane.
        noise: of every feature.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(width, dimensions + meaning)))[0].T
    plane, subject = axes[:dimensions], axes[dimensions:]
    points = apart * rng.normal(size=(languages, dimensions))
    inside = points[:, None] + wobble * rng.normal(size=(languages, items, dimensions))
    rows = inside @ plane + rng.normal(size=(items, meaning)) @ subject + 5 * np.ones(width) / np.sqrt(width)
    rows = (
        (rows + noise * rng.normal(size=rows.shape)).astype(np.float32).astype(float)
    )  # as a store has them
    return World(rows, plane, points @ plane)
