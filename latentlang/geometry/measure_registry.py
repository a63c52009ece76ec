"""The measures of alignment: what each is called, which way is more aligned, on which scale its interval is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown

FAMILIES = ("pearson", "cka", "svcca", "procrustes", "knn", "retrieval", "csls", "centres")


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: as in a table's column ``measure``.
        family: what it is asked for by; one of `FAMILIES`.
        words: what it is, in a few words.
        sign: 1 where larger values stand out more from the null, -1 where smaller ones do.
        scale: ``correlation`` (at most 1), ``share`` (of items, in [0, 1]), ``distance`` (in [0, 1]) or ``ratio``
            (not negative).
        alignment: whether it says how alike two languages are; the distance of centres says how far apart they lie,
            whatever their shapes.
    """

    name: str
    family: str
    words: str
    sign: int
    scale: str
    alignment: bool = True


_FIXED = (
    Measure("cka", "cka", "linear CKA, debiased", 1, "correlation"),
    Measure("svcca", "svcca", "SVCCA, mean canonical correlation", 1, "correlation"),
    Measure("procrustes", "procrustes", "orthogonal Procrustes distance", -1, "distance"),
    Measure("knn", "knn", "overlap of nearest neighbours", 1, "share"),
    Measure("retrieval_ab", "retrieval", "retrieval by cosine, first to second", 1, "share"),
    Measure("retrieval_ba", "retrieval", "retrieval by cosine, second to first", 1, "share"),
    Measure("csls_ab", "csls", "retrieval by CSLS, first to second", 1, "share"),
    Measure("csls_ba", "csls", "retrieval by CSLS, second to first", 1, "share"),
    Measure("centres", "centres", "distance of centres in units of the spread", 1, "ratio", alignment=False),
)
_BY_NAME = {measure.name: measure for measure in _FIXED}
_PEARSON = "pearson_pc"


def measure(name: str) -> Measure:
    """Find a measure by the name it has in a table.

    Raises:
        InputError: there is none of this name.
    """
    number = name.removeprefix(_PEARSON)
    if name.startswith(_PEARSON) and number.isdecimal() and int(number[:9]) > 0:
        words = f"Pearson r of component {number}"
        return Measure(name, "pearson", words, 1, "correlation")
    if name not in _BY_NAME:
        raise unknown("measure", name, [*_BY_NAME, f"{_PEARSON}1"])
    return _BY_NAME[name]


def pearson_names(components: int) -> tuple[str, ...]:
    """``pearson_pc1`` and so on."""
    return tuple(f"{_PEARSON}{number}" for number in range(1, components + 1))


def names_of(family: str, *, components: int) -> tuple[str, ...]:
    """Names in the table of what a family measures."""
    if family == "pearson":
        return pearson_names(components)
    return tuple(entry.name for entry in _FIXED if entry.family == family)


def families(asked: str | Iterable[str] | None) -> tuple[str, ...]:
    """Resolve a choice of families, in the order of `FAMILIES`; None and ``"all"`` are all.

    Raises:
        InputError: an unknown family, or none.
    """
    parts = split_names("all" if asked is None else asked)
    if not parts:
        raise InputError(f"no measure was chosen; there are {', '.join(FAMILIES)}")
    for part in parts:
        if part != "all" and part not in FAMILIES:
            raise unknown("measure", part, ["all", *FAMILIES])
    return tuple(family for family in FAMILIES if family in parts or "all" in parts)
