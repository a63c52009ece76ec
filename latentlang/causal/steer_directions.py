"""Directions to steer along: given, and then of this very model, or made on the spot of items that are not asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentlang.arguments import ranges
from latentlang.errors import InputError, ModelError, unknown
from latentlang.geometry import DirectionsResult
from latentlang.models import HookedLM
from latentlang.models.edits import unit
from latentlang.models.fingerprint import model_identity
from latentlang.tasks import Prompt

GivenDirections = DirectionsResult | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class SteerDirections:
    """Unit vectors of two languages.

    Attributes:
        wanted: layer to the direction of the wanted language, ``[d_model]``, float32.
        other: layer to that of the language that is the control.
        method: how they were fitted.
        items: of how many items they were made; None where they were given.
    """

    wanted: dict[int, Tensor]
    other: dict[int, Tensor]
    method: str
    items: int | None = None

    @property
    def layers(self) -> list[int]:
        """Layers at which both languages have a direction."""
        return sorted({*self.wanted} & {*self.other})


def open_directions(given: GivenDirections) -> DirectionsResult:
    """A result of `ll.directions`, or what a folder holds.

    Raises:
        InputError: it is none.
    """
    if isinstance(given, DirectionsResult):
        return given
    if not isinstance(given, str | os.PathLike):
        raise InputError(
            f"directions are a result of ll.directions or the folder it was saved to, not {type(given).__name__}"
        )
    return DirectionsResult.load(given)


def check_model(directions: DirectionsResult, model: HookedLM) -> None:
    """Refuse directions of another model, even of the same width.

    Raises:
        ModelError: naming both.
    """
    made, here = directions.provenance, model_identity(model)
    width = directions.vectors[0].vectors.shape[1] if directions.vectors else model.d_model
    of = f"{made.model!r}" + (f" with the adapter {made.adapter!r}" if made.adapter else "")
    this = f"{model.name!r}" + (f" with the adapter {model.active_adapter!r}" if model.active_adapter else "")
    again = "find them in a store that this model harvested (latentlang harvest, latentlang directions)"
    if width != model.d_model:
        raise ModelError(f"the directions of {of} are {width} wide, and {this} is {model.d_model}; {again}")
    weights = directions.settings.model_weights
    if weights is not None and weights != here["weights"]:
        raise ModelError(
            f"the directions are of {of} with other weights or dtype than {this} has here; {again}"
        )
    if made.adapter != here["adapter"] or (
        weights is None and (made.model, made.revision) != (here["name"], here["revision"])
    ):
        raise ModelError(f"the directions are of {of}, not of {this}; {again}")
    if directions.settings.site != "resid":
        raise ModelError(
            f"the directions are of the site {directions.settings.site!r}, and steering is in the residual stream; "
            "find them with site='resid'"
        )


def control_among(directions: DirectionsResult, taken: Sequence[str]) -> list[str]:
    """Languages with a direction of their own that may be the control.

    Raises:
        InputError: there is none.
    """
    others = [code for code in directions.languages if code not in taken]
    if not others:
        raise InputError(
            f"the directions are of {', '.join(directions.languages)} alone, and the control needs another language's; "
            "find them in a store of three languages or more"
        )
    return others


def given_directions(
    directions: DirectionsResult, model: HookedLM, *, wanted: str, other: str, layers: Sequence[int] | None
) -> SteerDirections:
    """The directions of two languages, from a result.

    Args:
        directions: the result.
        model: that is steered.
        wanted: code of the wanted language.
        other: code of the control.
        layers: those asked for; None for all there are.

    Raises:
        InputError: a language or a layer without a direction.
        ModelError: they are of another model.
    """
    check_model(directions, model)
    for code in (wanted, other):
        if code not in directions.languages:
            raise unknown("language of these directions", code, directions.languages)
    for layer in layers or ():
        if layer not in directions.layers:
            raise InputError(
                f"there are no directions at layer {layer}; there are at {ranges(directions.layers)}"
            )
    numbers = directions.layers if layers is None else layers
    found = {
        code: {
            layer: unit(directions.vector(code, layer=layer).float()).to(model.device)
            for layer in numbers
            if float(directions.vector(code, layer=layer).norm()) > 0
        }
        for code in (wanted, other)
    }
    return SteerDirections(found[wanted], found[other], directions.settings.method)


def made_directions(
    model: HookedLM,
    prompts: dict[str, list[Prompt]],
    *,
    wanted: str,
    asked: str,
    other: str,
    layers: Sequence[int],
    pool: str,
    batch_tokens: int | None = None,
) -> SteerDirections:
    """Differences of the means: the same items asked for in the wanted language, less asked for in the prompts' own.

    Args:
        model: the model.
        prompts: language to prompts of the same items.
        wanted: code of the wanted language.
        asked: code of the language that the steered prompts ask for.
        other: code of the control.
        layers: layer numbers.
        pool: what of a prompt is averaged: ``last`` or ``mean_no_bos``.
        batch_tokens: see `HookedLM.iter_activations`.
    """
    means = {
        code: model.activations(
            prompts[code], layers=list(layers), pools=pool, logits=False, batch_tokens=batch_tokens
        ).resid.float().mean(0)
        for code in (wanted, asked, other)
    }  # fmt: skip
    found = {}
    for code in (wanted, other):
        apart = means[code] - means[asked]
        # what is rounding of the activations is no direction
        least = torch.finfo(torch.float32).eps * means[asked].norm(dim=-1).clamp_min(1e-30) * 10
        found[code] = {
            layer: unit(vector)
            for layer, vector, size in zip(layers, apart, least.tolist(), strict=True)
            if float(vector.norm()) > size
        }
    return SteerDirections(found[wanted], found[other], "mean", len(prompts[asked]))
