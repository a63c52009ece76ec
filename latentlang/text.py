"""Small pieces of English that every room's sentences are made of."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: object, noun: str, plural: str | None = None) -> str:
    """``1 item``, ``2 items``; of a span such as ``8 to 12``, and of anything but one, the plural.

    Args:
        count: how many; a whole number from 1000 on is written with commas.
        noun: of what, in the singular.
        plural: where it is not the noun and an s.
    """
    shown = f"{count:,}" if isinstance(count, int) else str(count)
    return f"{shown} {noun if shown == '1' else plural or noun + 's'}"


def percent(share: float) -> str:
    """``95%`` and ``97.5%``: a share to its last digit, where ``:.0%`` would call a level of .975 98%."""
    return f"{round(100 * share, 10):.6g}%"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; empty for nothing."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def lens_name(lens: object) -> str:
    """What a lens is called everywhere: ``logit lens``, ``tuned lens``."""
    return f"{lens} lens"
