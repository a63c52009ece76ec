"""States of a model, before and after training: the weights as they were, and with the adapter."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.evaluation.result import STATES
from latentlang.models import HookedLM


def chosen_states(model: HookedLM, states: str | Sequence[str] | None) -> list[str]:
    """The states asked for, base first.

    Raises:
        InputError: no such state, none at all, or no adapter that does anything.
    """
    adapted = model.adapter is not None
    names = split_names((STATES if adapted else STATES[:1]) if states is None else states)
    for name in names:
        if name not in STATES:
            raise unknown("state", name, STATES)
    chosen = [name for name in STATES if name in names]
    if not chosen:
        raise InputError(f"no state asked for; give {' or '.join(STATES)}")
    if "tuned" in chosen:
        model.tuned()  # refuses a model without an adapter, or with one that does nothing
    if "base" in chosen:
        model.base()  # refuses an adapter that cannot be taken off
    return chosen


def in_state(model: HookedLM, state: str) -> AbstractContextManager[None]:
    """A block in which the model is in a state: ``tuned`` with its adapter, ``base`` without."""
    return model.tuned() if state == "tuned" else model.base()
