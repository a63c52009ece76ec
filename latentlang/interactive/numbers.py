"""Numbers as a page is told of them: rounded, and null where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def plain(values: ArrayLike, places: int = 6) -> Any:
    """Numbers as nested lists, rounded; NaN and infinity are None.

    Args:
        values: an array of any shape, or one number.
        places: decimal places that are kept.
    """
    array = np.asarray(np.round(np.asarray(values, np.float64), places))  # of one number numpy makes no array
    found = np.asarray(array.astype(object))
    found[~np.isfinite(array)] = None
    return found.tolist()
