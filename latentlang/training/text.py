"""What a training run came to, in words."""

from __future__ import annotations


def course(
    recipe: str,
    *,
    base_loss: float | None,
    best_loss: float | None,
    best_step: int | None,
    steps: int | None,
    full: bool = False,
) -> str:
    """How far the loss fell, and which weights are kept.

    Args:
        recipe: its name.
        base_loss: validation loss before training; None where nothing was held out.
        best_loss: the same at the best step.
        best_step: step of the weights that are kept; None for the identity recipe.
        steps: optimiser steps that were run; None where that is not known.
        full: whether all weights were trained.
    """
    if best_step is None:
        return f"The recipe {recipe} trains nothing: the tuned model is the model itself."
    of = f" of {steps}" if steps is not None else ""
    weights = f"the {'model' if full else 'adapter'} has the weights of step {best_step}{of}"
    if base_loss is None or best_loss is None:
        return f"Recipe {recipe}: nothing was held out; {weights}."
    verb = "fell" if best_loss < base_loss else "did not fall"
    return (
        f"Recipe {recipe}: the validation loss {verb}, from {base_loss:.3f} nats per token before training to "
        f"{best_loss:.3f}; {weights}."
    )
