"""What runs a model that writes: transformers on the loaded model, or another engine on the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from latentlang.models import HookedLM
from latentlang.models.decoding import Decoding
from latentlang.models.generation import Written, iter_generated
from latentlang.models.states import in_state


class GenerationBackend(Protocol):
    """An engine that writes after prompts that are tokens already."""

    @property
    def name(self) -> str:
        """Name and version, for a result's provenance."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What else its texts depend on, as JSON can say it."""

    def check(self, decoding: Decoding, states: Sequence[str]) -> None:
        """Refuse what it cannot do, before it runs.

        Raises:
            InputError: saying what.
        """

    def write(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, *, items: Sequence[str], state: str
    ) -> Iterator[tuple[int, list[Written]]]:
        """The place of each prompt and its texts, in any order."""


class LocalBackend:
    """The loaded model itself."""

    name = "transformers"

    def __init__(self, model: HookedLM, *, batch_tokens: int | None = None) -> None:
        """Take a model, and how many tokens are run at once (`HookedLM.iter_activations`)."""
        self._model, self._batch_tokens = model, batch_tokens

    @property
    def settings(self) -> Mapping[str, Any]:
        """Device and dtype."""
        return {"device": self._model.device.type, "dtype": str(self._model.dtype).removeprefix("torch.")}

    def check(self, decoding: Decoding, states: Sequence[str]) -> None:
        """It does all that a `Decoding` can say."""

    def write(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, *, items: Sequence[str], state: str
    ) -> Iterator[tuple[int, list[Written]]]:
        """As `models.generation.iter_generated`, in a state of the model."""
        with in_state(self._model, state):
            yield from iter_generated(
                self._model, prompts, decoding, items=items, batch_tokens=self._batch_tokens
            )
