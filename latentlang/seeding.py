"""Reproducible draws: the same item gets the same draw in every language, whatever else is drawn."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")


def generator(*key: object) -> random.Random:
    """A random generator that depends on `key` alone (not on the process, the platform or other draws)."""
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def shuffled(values: Sequence[Value], *key: object) -> list[Value]:
    """`values` in an order that depends on `key` alone."""
    order = list(values)
    generator(*key).shuffle(order)
    return order


def bucket(*key: object, count: int) -> int:
    """A number in ``[0, count)`` that depends on `key` alone; splits items into train and test for good."""
    return generator("bucket", *key).randrange(count)
