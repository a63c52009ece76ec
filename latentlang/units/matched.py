"""Matched random sets of neurons: as many in each layer as a given set, about as active, of no language."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.seeding import generator
from latentlang.units.scores import Floats

# Each neuron is replaced by one of so many whose activation is nearest to its own.
_NEAREST = 20


def matched_set(
    own: NDArray[np.bool_], selected: NDArray[np.bool_], activity: Floats, *key: object, noun: str = "neuron"
) -> NDArray[np.bool_]:
    """A random set, ``[layer, neuron]``.

    Every neuron is replaced by one of its layer, drawn from those not yet taken whose mean activation is nearest.

    Args:
        own: ``[layer, neuron]`` the set.
        selected: ``[layer, neuron]`` neurons of any language; none of them is taken.
        activity: ``[layer, neuron]`` mean activation by which they are matched.
        key: what the draw depends on.
        noun: what its members are, for the error.

    Raises:
        InputError: a layer has too few other neurons.
    """
    drawn = np.zeros_like(own)
    draw = generator("matched neurons", *key)
    for layer, members in enumerate(own):
        free = ~selected[layer]
        if free.sum() < members.sum():
            raise InputError(
                f"{int(selected[layer].sum())} of {len(members)} {noun}s of a layer are selected, too many to draw "
                "random sets of others; select fewer or take random=0"
            )
        for neuron in np.flatnonzero(members).tolist():
            candidates = np.flatnonzero(free)
            distance = np.abs(activity[layer, candidates] - activity[layer, neuron])
            nearest = candidates[np.argsort(distance, kind="stable")[:_NEAREST]]
            taken = int(nearest[draw.randrange(len(nearest))])
            drawn[layer, taken] = True
            free[taken] = False
    return drawn
