"""What a patching run found: probabilities of both concepts' words, per item, arm and layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang.arguments import split_names
from latentlang.causal.patch_means import arm_means, contrasts
from latentlang.causal.patch_settings import PatchSettings
from latentlang.causal.text import patch_sentences
from latentlang.errors import InputError, unknown
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("item", "donor", "arm", "layer", "concept", "language", "value")
_KEYS = ["arm", "concept", "language"]


@dataclass(frozen=True)
class PatchResult(Result[PatchSettings]):
    """Probabilities after patching.

    Attributes:
        table: columns ``item, donor, arm, layer, concept, language, value``. `item` is the concept of the prompt that
            was patched, `donor` that of the activations put into it; `arm` is ``patched``, ``unpatched`` (the same at
            every layer) or a control of `patching.CONTROLS`; `layer` the layer patched, or the first one; `concept`
            says whose word in `language` has the probability `value` in [0, 1]: ``target``, the item's, or ``source``,
            the donor's, in all arms the same ones.
    """

    kind: ClassVar[str] = "patch"
    columns: ClassVar[Columns] = {
        "item": "text", "donor": "text", "arm": "text", "layer": "whole", "concept": "text", "language": "text",
        "value": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = PatchSettings

    def fault(self) -> str | None:
        """A value that is there twice."""
        return repeated(self.table, ["item", *_KEYS, "layer"])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Mean over items with a bootstrap interval over items.

        Columns ``arm, concept, language, layer, mean, low, high, n``.

        Args:
            level: coverage of the interval.
        """
        return arm_means(self.table, _KEYS, ["layer"], level=level, seed=self.provenance.seed)

    def contrast(self, control: str = "wrong-concept", level: float = 0.95) -> pd.DataFrame:
        """Patched minus a control, the mean over the items' own differences, with an interval over items.

        Columns ``concept, language, layer, mean, low, high, p, n``: ``p`` is how likely so large a difference is at any
        of the layers if patched and control are exchanged item by item (`stats.crossed.exchange_family`).

        Args:
            control: an arm that was run, or ``unpatched``.
            level: coverage of the interval.

        Raises:
            InputError: that arm was not run.
        """
        return contrasts(
            self.table, _KEYS[1:], ["layer"], control=control, level=level, seed=self.provenance.seed
        )

    def glance(self) -> pd.DataFrame:
        """Of each word the layer where patching puts it highest; columns as of `summary`."""
        patched = self.summary().query("arm == 'patched'")
        highest = patched.groupby(["concept", "language"], sort=False, observed=True)["mean"].idxmax()
        return patched.loc[highest].reset_index(drop=True)

    def describe(self, level: float = 0.95) -> str:
        """From which layers on the activations carry the concept, and from which the language.

        Args:
            level: coverage of the intervals.
        """
        controls = [name for name in ("wrong-concept", "unpatched") if name in set(self.table["arm"])]
        contrasts = {name: self.contrast(name, level) for name in controls}
        return "\n".join(patch_sentences(self.summary(level), contrasts, self.settings, level=level))

    def figure(self, *, arms: str | Iterable[str] | None = None, **look: Unpack[Look]) -> go.Figure:
        """A panel for each concept and language that is read, with a curve per arm over layers.

        Args:
            arms: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: an arm that was not run.
        """
        from latentlang.figures.patch import patch_figure

        names = list(dict.fromkeys(self.table["arm"]))
        wanted = names if arms is None else split_names(arms)
        for name in wanted:
            if name not in names:
                raise unknown("arm of this result", name, names)
        if not wanted:
            raise InputError(f"no arm to draw; there are {', '.join(names)}")
        return patch_figure(self, arms=wanted, **look)
