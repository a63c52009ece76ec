"""What can be wrong with a translated text, and what looks for it: one function and one record a check.

To add one: a function from a `TextPair` and what is known of all pairs to its findings, and one `register(Check(...))`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.instructions import checks_kept, checks_reply
from latentlang.instructions.check_records import Check, Known, TextFinding, TextPair

_CHECKS: dict[str, Check] = {}


def register(check: Check) -> Check:
    """Make a check known; those registered first are made first, and what fails several is dropped by the first.

    Raises:
        ValueError: there is one of this name.
    """
    if check.code in _CHECKS:
        raise ValueError(f"the check {check.code!r} is there already")
    _CHECKS[check.code] = check
    return check


for _check in (*checks_reply.CHECKS, *checks_kept.CHECKS):
    register(_check)


def known_checks() -> Mapping[str, Check]:
    """Code to check, in the order in which they are made."""
    return MappingProxyType(_CHECKS)


def chosen_checks(names: str | Iterable[str] | None) -> tuple[Check, ...]:
    """The checks of some names; all where None are named.

    Raises:
        InputError: there is none of a name.
    """
    asked = list(_CHECKS) if names is None else split_names(names)
    for name in asked:
        if name not in _CHECKS:
            raise unknown("check", name, _CHECKS)
    return tuple(check for code, check in _CHECKS.items() if code in asked)


def usable_checks(names: str | Iterable[str] | None, *, sources: bool, named: str) -> list[str]:
    """Codes of the checks of some names; of all, those alone that need no source where there is none.

    Args:
        names: of checks; None for all.
        sources: whether there are sources.
        named: how sources are named, for the error.

    Raises:
        InputError: there is no check of a name, or one that is named needs a source.
    """
    chosen = chosen_checks(names)
    needed = [] if sources else [check.code for check in chosen if check.needs_source]
    if names is not None and needed:
        raise InputError(f"the check {needed[0]!r} holds a text against its source; name the sources{named}")
    return [check.code for check in chosen if check.code not in needed]


def check_pair(pair: TextPair, checks: Sequence[Check], known: Known) -> list[TextFinding]:
    """What the checks find in a pair, in their order.

    Args:
        pair: the text and its source.
        checks: those of `chosen_checks`.
        known: what they know of all pairs.
    """
    return [
        finding
        for check in checks
        if pair.source is not None or not check.needs_source
        for finding in check.look(pair, known)
    ]
