"""A model without its adapter and with it: the states that results compare."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.models.hooked import HookedLM

#: In the order in which they are shown.
BASE, TUNED = "base", "tuned"
MODEL_STATES = (BASE, TUNED)


def chosen_states(model: HookedLM, states: str | Sequence[str] | None) -> list[str]:
    """The states asked for, base first; all that the model has for None.

    Raises:
        InputError: no such state, none at all, or no adapter that does anything.
    """
    adapted = model.adapter is not None
    names = split_names((MODEL_STATES if adapted else (BASE,)) if states is None else states)
    for name in names:
        if name not in MODEL_STATES:
            raise unknown("state", name, MODEL_STATES)
    if not names:
        raise InputError(f"no state asked for; give {' or '.join(MODEL_STATES)}")
    if TUNED in names:
        model.tuned()  # refuses a model without an adapter, or with one that does nothing
    if BASE in names:
        model.base()  # refuses an adapter that cannot be taken off
    return [name for name in MODEL_STATES if name in names]


def in_state(model: HookedLM, state: str) -> AbstractContextManager[None]:
    """A context in which the model is in a state."""
    return model.tuned() if state == TUNED else model.base()
