"""Which model the numbers of an edit come from, as a result of an activation store knows it."""

from __future__ import annotations

from typing import TypedDict

from latentlang.geometry.geometry_settings import DirectionsSettings, ErasureSettings
from latentlang.models.adapters import AdapterState
from latentlang.provenance import Provenance


class EditOrigin(TypedDict):
    """What an edit says of where its numbers come from, as options of `Edit`."""

    weights: str | None
    adapter: AdapterState | None


def edit_origin(settings: DirectionsSettings | ErasureSettings, provenance: Provenance) -> EditOrigin:
    """The model that a result's numbers come from; nothing is known of one that was saved without its weights."""
    weights = settings.model_weights
    state = None if weights is None else AdapterState(provenance.adapter, settings.model_adapters)
    return {"weights": weights, "adapter": state}
