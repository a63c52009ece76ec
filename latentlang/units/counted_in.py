"""Which model units were counted in, and whether another one is that model."""

from __future__ import annotations

from typing import Any, TypedDict

from latentlang.errors import ModelError
from latentlang.models import HookedLM
from latentlang.models.adapters import AdapterState
from latentlang.models.fingerprint import model_identity
from latentlang.provenance import Provenance
from latentlang.units.features_settings import FeaturesSettings
from latentlang.units.neurons_settings import NeuronsSettings


class CountedModel(TypedDict):
    """What the settings of counts say of their model."""

    model_weights: str
    model_adapters: dict[str, Any] | None


def counted_model(model: HookedLM) -> CountedModel:
    """What counts say of the model that they are of."""
    identity = model_identity(model)
    return {"model_weights": identity["weights"], "model_adapters": identity.get("adapters")}


def adapter_state(
    settings: FeaturesSettings | NeuronsSettings, provenance: Provenance
) -> AdapterState | None:
    """Which adapter took part where units were counted; None of counts that were saved without their weights."""
    if settings.model_weights is None:
        return None
    return AdapterState(provenance.adapter, settings.model_adapters)


def check_counted(
    model: HookedLM, settings: FeaturesSettings | NeuronsSettings, provenance: Provenance, *, units: str
) -> None:
    """Refuse a model that the units were not counted in, as far as their result says which it was.

    Args:
        model: where they are to be taken out.
        settings: of the counts.
        provenance: of the counts.
        units: what they are: ``neurons``.

    Raises:
        ModelError: other layers, other weights, or another adapter.
    """
    if settings.n_layers != model.n_layers:
        raise ModelError(
            f"the {units} were counted in {provenance.model!r}, of {settings.n_layers} layers, and this model has "
            f"{model.n_layers}; give the model that was counted"
        )
    state = adapter_state(settings, provenance)
    if state is None:
        return
    here = counted_model(model)
    if here["model_weights"] != settings.model_weights:
        raise ModelError(
            f"the {units} were counted in {provenance.model!r}, and {model.name!r} has other weights here (another "
            "model, dtype or quantisation); give the model that was counted, or count them in this one"
        )
    now = AdapterState(model.active_adapter, here["model_adapters"])
    if not state.agrees(now):
        raise ModelError(
            f"the {units} were counted with {state.said}, and {model.name!r} has {now.said} here; take them out in the "
            "state they were counted in (model.tuned(), model.base()), or count them in this one"
        )
