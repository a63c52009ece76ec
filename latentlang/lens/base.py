"""What a lens is: how the residual stream of a layer is brought to what the model's own norm and head can read.

The logit lens reads it as it is (nostalgebraist 2020); the tuned lens (`lens.tuned`) puts it through an affine map
first. Another lens is one class with a name, an identity and `Lens.translate`; `logit_lens`, `multilingual_lens`,
`explore` and whole answers then read through it. Norm, head and the pass over the vocabulary are the model's and the
same for every lens (`models.readout`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from latentlang.models import HookedLM


@runtime_checkable
class Lens(Protocol):
    """Translates layers into what the last one would be.

    Results keep `name` and `identity` in their provenance, and figures and tables say the name. A lens that fits some
    models only, or was trained, is a `FittedLens` too.
    """

    @property
    def name(self) -> str:
        """What figures call it, before the word "lens": ``logit``, ``tuned``."""

    @property
    def identity(self) -> str:
        """A hash of all that `translate` depends on beside the model; empty where that is nothing."""

    def translate(self, resid: Tensor, layers: Sequence[int]) -> Tensor:
        """What the last layer would be, by each of these layers.

        It is never called for the last layer, whose reading is the model's own output.

        Args:
            resid: ``[..., layer, d_model]`` residual streams, before the final norm, in the model's dtype; not to be
                changed in place.
            layers: their layer numbers; layer 0 is the embeddings.

        Returns:
            The same shape, on the same device, of any floating dtype.
        """


@runtime_checkable
class FittedLens(Lens, Protocol):
    """A lens made for a model."""

    @property
    def settings(self) -> Mapping[str, float | int | str]:
        """How it was made, for the provenance."""

    def check(self, model: HookedLM) -> None:
        """Refuse a model that it was not made for.

        Raises:
            ModelError: it is made for another model.
        """


@runtime_checkable
class PartialLens(FittedLens, Protocol):
    """A lens that may be without some layers."""

    def check_layers(self, layers: Sequence[int]) -> None:
        """Refuse layers that it does not have.

        Raises:
            InputError: naming them.
        """


@dataclass(frozen=True)
class LogitLens:
    """The logit lens: the layer is read as it is."""

    @property
    def name(self) -> str:
        """``logit``."""
        return "logit"

    @property
    def identity(self) -> str:
        """Empty: it is the model's own norm and head alone."""
        return ""

    def translate(self, resid: Tensor, layers: Sequence[int]) -> Tensor:
        """The residual streams themselves, ``[..., layer, d_model]``."""
        return resid


def check_lens_layers(lens: Lens, layers: Sequence[int], *, depth: int) -> None:
    """Refuse, before anything is run, layers that a lens does not have; the last one is read without it.

    Raises:
        InputError: naming them.
    """
    if isinstance(lens, PartialLens):
        lens.check_layers([layer for layer in layers if layer != depth])


def lens_settings(lens: Lens) -> dict[str, Any]:
    """What a result's provenance says of its lens: its name, and, where there are such, identity and settings."""
    return {
        "lens": lens.name,
        **({"lens_sha256": lens.identity} if lens.identity else {}),
        **({"translators": dict(lens.settings)} if isinstance(lens, FittedLens) else {}),
    }
