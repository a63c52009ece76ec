"""Training of all weights, which some papers did: what it would take, and that it is not done here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from latentlang.errors import InputError
from latentlang.models.availability import availability, memory_of_machine
from latentlang.models.registry import resolve
from latentlang.storage.files import size_words

if TYPE_CHECKING:
    from latentlang.models import HookedLM
    from latentlang.training.recipes import Recipe

# In float32: a weight, its gradient, and AdamW's two moments.
_COPIES, _FLOAT32 = 4, 4


def check_method(
    recipe: Recipe, model: HookedLM | str | os.PathLike[str], *, called: str | None = None
) -> None:
    """Refuse a recipe that trains all weights, before the model is loaded.

    Args:
        recipe: its `method`.
        model: a model, or its name as for `load`.
        called: what a model that is named is called.

    Raises:
        InputError: with the bytes that it would take, and those that this machine has, as far as they are known.
    """
    if recipe.method == "lora" or recipe.is_identity:
        return
    needed, has = weights_bytes(model, called=called), memory_of_machine()
    takes = machine = ""
    if needed is not None:
        takes = f", which would take about {size_words(_COPIES * needed)} for weights, gradients and AdamW"
        machine = "" if has is None else f" (this machine has {size_words(has)})"
    raise InputError(
        f"recipe {recipe.name!r} has method: full, the training of all weights{takes}{machine}; only adapters are "
        "trained here: method='lora' (--set method=lora) trains one, with the recipe's lora and a learning rate that "
        "is yours to choose"
    )


def weights_bytes(model: HookedLM | str | os.PathLike[str], *, called: str | None = None) -> int | None:
    """Bytes of a model's weights in float32; None where that is not known without loading it."""
    lm = getattr(model, "lm", None)
    if lm is not None:
        return _FLOAT32 * int(lm.num_parameters())
    return availability(resolve(model, called=called)).memory_bytes
