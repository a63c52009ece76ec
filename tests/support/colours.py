"""How colours look."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Machado et al. 2009, severity 1, of linear RGB.
SIGHTS: dict[str, Floats] = {
    "all": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
# CSS's hue-rotate(180deg).
_ROTATED = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])


def lightness(colour: str) -> float:
    """CIE L* of ``#RRGGBB``, 0 to 100."""
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
        for v in (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    ]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def distance(one: str, other: str, *, sight: str, dark: bool = False, opacity: float = 1.0) -> float:
    """CIE76 distance of two colours on white paper, or on a dark page, as somebody sees them."""
    ends = [_lab(_seen(colour, sight, dark, opacity)) for colour in (one, other)]
    return float(np.linalg.norm(ends[0] - ends[1]))


def _seen(colour: str, sight: str, dark: bool, opacity: float) -> Floats:
    """Linear RGB of ``#RRGGBB``."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    channels = channels * opacity + 1 - opacity
    if dark:  # invert(0.92) and a turn of the hue, as the pages do
        channels = np.clip(_ROTATED @ (channels * (1 - 2 * 0.92) + 0.92), 0, 1)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return np.clip(SIGHTS[sight] @ linear, 0, 1)


def _lab(linear: Floats) -> Floats:
    ratio = _XYZ @ linear / _WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
