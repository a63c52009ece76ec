"""Bits that each language's text needs without the neurons of one language, and without random sets of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang.results import Result, ResultSettings
from latentlang.storage.tables import Columns
from latentlang.units.ablation_settings import NeuronAblationSettings
from latentlang.units.ablation_tables import COLUMNS, ablation_contrasts, ablation_fault, ablation_summary
from latentlang.units.ablation_text import AblationWords, ablation_sentences

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

# What is put in the place of neurons, in words.
_VALUES = {"zero": "zero", "mean": "their mean over languages"}


@dataclass(frozen=True)
class NeuronAblationResult(Result[NeuronAblationSettings]):
    """What a model loses without the neurons of a language.

    Attributes:
        table: columns ``ablated`` (whose neurons are taken out), ``language`` (of the text), ``set`` (0 the language's
            own neurons, 1 and on the random sets), ``item``, ``bits`` that the paragraph then needs, ``plain``, those
            of the model as it is, and its UTF-8 ``bytes``.
    """

    kind: ClassVar[str] = "neuron-ablation"
    columns: ClassVar[Columns] = COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = NeuronAblationSettings

    def fault(self) -> str | None:
        """A paragraph that is there twice, or has no byte."""
        return ablation_fault(self.table)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Change in bits per byte of each language's text without the neurons of each language.

        Columns ``ablated, language, effect, low, high`` (bits per byte more than of the model as it is, with a
        bootstrap interval over paragraphs, each with its own change), ``relative`` (the change over the bits of the
        model as it is), ``random, random_least, random_most`` (mean and range of the effects of the random sets),
        ``p`` (share of random sets, with the neurons themselves as one, that have at least this effect), ``n``.

        Args:
            level: coverage of the interval.
        """
        return ablation_summary(self.table, level=level, seed=self.provenance.seed)

    def contrasts(self, level: float = 0.95) -> pd.DataFrame:
        """Whether the neurons of a language matter more for its own text than for that of the other languages.

        Changes are taken over the bits that the text needs of the model as it is, so that languages whose letters take
        more bytes can be compared. Columns ``ablated, neurons, own`` (change in its own text), ``others`` (mean of the
        changes in the other languages), ``difference, low, high`` (own less others, with a bootstrap interval over
        paragraphs), ``random, random_least, random_most, p`` (of the differences of the random sets, as in `summary`),
        ``effect_p`` (``p`` of the effect on its own text), ``verdict``: ``specific`` where the interval is above zero
        and both the effect and the difference are larger than those of random sets at p 0.05; ``effect`` where the
        effect alone is; ``none`` where neither is; ``untested`` with fewer than 19
        random sets, beside which no p is 0.05.

        A language alone has no others and no row.

        Args:
            level: coverage of the interval.
        """
        return ablation_contrasts(
            self.table, self.summary(level), self.settings.neurons, units="neurons", level=level,
            seed=self.provenance.seed,
        )  # fmt: skip

    def glance(self) -> pd.DataFrame:
        """Of each language its own effect beside that on the others; columns as of `contrasts`."""
        return self.contrasts()

    def describe(self, level: float = 0.95) -> str:
        """Whose neurons matter, for which language, and what chance does.

        Args:
            level: coverage of the intervals.
        """
        return "\n".join(
            ablation_sentences(self.summary(level), self.contrasts(level), self._words(), level=level)
        )

    def _words(self) -> AblationWords:
        settings = self.settings
        return AblationWords(
            noun="neuron", numbers=settings.neurons, done=f"set to {_VALUES.get(settings.value, settings.value)}",
            matched="as many neurons in the same layers and about as active", random=settings.random,
            counted_too=tuple(settings.counted_too), without=tuple(settings.without), activation=settings.activation,
        )  # fmt: skip

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """A heat map: whose neurons are taken out, over the language of the text.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.neuron_ablation import ablation_figure

        return ablation_figure(self, self._words(), **look)
