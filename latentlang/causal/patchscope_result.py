"""What patchscopes found: probabilities of a concept's words, per item, arm and layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang.arguments import split_names
from latentlang.causal.patch_means import arm_means, contrasts
from latentlang.causal.patch_settings import PatchscopeSettings
from latentlang.causal.patchscope_text import scope_sentences
from latentlang.errors import InputError, unknown
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("item", "other", "arm", "layer", "into_layer", "language", "value")
_CELLS = ["layer", "into_layer"]


@dataclass(frozen=True)
class PatchscopeResult(Result[PatchscopeSettings]):
    """Probabilities of concepts' words after their activations were put into another prompt.

    Attributes:
        table: columns ``item, other, arm, layer, into_layer, language, value``. `item` is the concept; `other` the one
            whose activation is the control; `arm` is ``patched``, ``unpatched`` (the prompt as it is, the same at every
            layer) or a control of `patchscopes.SCOPE_CONTROLS`; `layer` is where the activation comes from,
            `into_layer` where it is put; `value` in [0, 1] is the probability of the item's word in `language`, in all
            arms.
    """

    kind: ClassVar[str] = "patchscope"
    columns: ClassVar[Columns] = {
        "item": "text", "other": "text", "arm": "text", "layer": "whole", "into_layer": "whole", "language": "text",
        "value": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = PatchscopeSettings

    def fault(self) -> str | None:
        """A value that is there twice."""
        return repeated(self.table, ["item", "arm", "language", *_CELLS])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Mean over items with a bootstrap interval over items.

        Columns ``arm, language, layer, into_layer, mean, low, high, n``.

        Args:
            level: coverage of the interval.
        """
        return arm_means(self.table, ["arm", "language"], _CELLS, level=level, seed=self.provenance.seed)

    def contrast(self, control: str = "wrong-concept", level: float = 0.95) -> pd.DataFrame:
        """Patched minus a control, the mean over the items' own differences, with an interval over items.

        Columns ``language, layer, into_layer, mean, low, high, p, n``: ``p`` is how likely so large a difference is in
        any cell of layers if patched and control are exchanged item by item (`stats.crossed.exchange_family`).

        Args:
            control: an arm that was run, or ``unpatched``.
            level: coverage of the interval.

        Raises:
            InputError: that arm was not run.
        """
        return contrasts(
            self.table, ["language"], _CELLS, control=control, level=level, seed=self.provenance.seed
        )

    def glance(self) -> pd.DataFrame:
        """Of each language the layers where its word is highest; columns as of `summary`."""
        patched = self.summary().query("arm == 'patched'")
        highest = patched.groupby("language", sort=False, observed=True)["mean"].idxmax()
        return patched.loc[highest].reset_index(drop=True)

    def describe(self, level: float = 0.95) -> str:
        """In which languages the activations say the concept, after which layers, and how much more than a control.

        Args:
            level: coverage of the intervals.
        """
        contrast = self.contrast(level=level) if "wrong-concept" in set(self.table["arm"]) else None
        return "\n".join(scope_sentences(self.summary(level), contrast, self.settings, level=level))

    def figure(self, *, arms: str | Iterable[str] | None = None, **look: Unpack[Look]) -> go.Figure:
        """A panel for each language, with a curve per arm over layers; of pairs of layers a map of patched alone.

        Args:
            arms: those to draw as curves; by default all. Of pairs of layers one: by default ``patched``.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: an arm that was not run, or several for a map.
        """
        from latentlang.figures.patchscope import patchscope_figure

        names = list(dict.fromkeys(self.table["arm"]))
        by_default = names if self.settings.into_layers is None else ["patched"]
        wanted = by_default if arms is None else split_names(arms)
        for name in wanted:
            if name not in names:
                raise unknown("arm of this result", name, names)
        if not wanted:
            raise InputError(f"no arm to draw; there are {', '.join(names)}")
        return patchscope_figure(self, arms=wanted, **look)
