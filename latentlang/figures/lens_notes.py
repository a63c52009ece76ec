"""What a panel says of answers that could not be read, and where it has room to say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from latentlang.figures.lens_curves import Points
from latentlang.figures.style import english_name


def unread(curves: Mapping[str, Points], *, items: int, language: str, pivot: str) -> str:
    """Which answers, or nulls, of a language or of the pivot could not be read; empty where all could.

    Args:
        curves: the panel's curves by name.
        items: how many the language has.
        language: code of the target language.
        pivot: code of the pivot language.
    """
    if not items:
        return "nothing could be read in this language"
    roles = {"target": language} if language == pivot else {"target": language, "pivot": pivot}
    read = {role: curves[role].most if role in curves else 0 for role in roles}
    if not any(read.values()):
        return "no token begins only one language's answer"
    parts = []
    if read["target"] == 0:
        parts.append("no token begins only this language's answer")
    if read.get("pivot") == 0:
        parts.append(f"no token begins only the {english_name(pivot)} answer")
    some = {role: count for role, count in read.items() if 0 < count < items}
    if len(some) == 2 and len(set(some.values())) == 1:
        parts.append(f"{some['target']} of {items} answers can be read")
    else:
        parts += [
            f"{english_name(roles[role])}: {n} of {items} answers can be read" for role, n in some.items()
        ]
    # A curve without its null is no evidence: the reader must not miss that it is missing.
    alone = [role for role in roles if role in curves and f"{role}_null" not in curves]
    if alone:
        parts.append(
            "no null: no wrong answer can be read"
            + ("" if len(alone) > 1 else f" in {english_name(roles[alone[0]])}")
        )
    return "; ".join(parts)


def emptiest_corner(curves: Mapping[str, Points], layers: Sequence[int], ceiling: float) -> tuple[bool, bool]:
    """Where a note covers the fewest points: (on the right, below the middle).

    Args:
        curves: the panel's curves by name; the entropy, which lies elsewhere, does not count.
        layers: all layers, in order.
        ceiling: probability at the top of the panel.
    """
    middle = (layers[0] + layers[-1]) / 2
    corners = [(False, False), (True, False), (False, True), (True, True)]  # the first of equals is taken
    taken = dict.fromkeys(corners, 0)
    for name, points in curves.items():
        for layer, mean in zip(points.layer, points.mean, strict=True) if name != "entropy" else ():
            height = mean / ceiling
            if height > 0.12:  # a note has room above what lies lower
                taken[layer > middle, height < 0.55] += 1
    return min(corners, key=lambda corner: taken[corner])


def wrapped(line: str, width: int) -> list[str]:
    """Break a line at spaces."""
    lines = [""]
    for word in line.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
