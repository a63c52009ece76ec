"""Bits that each language's text needs without the neurons of one language, and without random sets of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import bootstrap_ratio_contrasts, bootstrap_ratios
from latentlang.storage.tables import Columns
from latentlang.units.ablation_settings import NeuronAblationSettings
from latentlang.units.ablation_text import ablation_sentences

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("ablated", "language", "set", "item", "bits", "plain", "bytes")
#: Of the random sets, how likely one has at least the effect of the neurons.
_P = 0.05


@dataclass(frozen=True)
class NeuronAblationResult(Result[NeuronAblationSettings]):
    """What a model loses without the neurons of a language.

    Attributes:
        table: columns ``ablated`` (whose neurons are taken out), ``language`` (of the text), ``set`` (0 the language's
            own neurons, 1 and on the random sets), ``item``, ``bits`` that the paragraph then needs, ``plain``, those
            of the model as it is, and its UTF-8 ``bytes``.
    """

    kind: ClassVar[str] = "neuron-ablation"
    columns: ClassVar[Columns] = {
        "ablated": "text", "language": "text", "set": "whole", "item": "text", "bits": "number", "plain": "number",
        "bytes": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = NeuronAblationSettings

    def fault(self) -> str | None:
        """A paragraph that is there twice, or has no byte."""
        if len(self.table) and int(self.table["bytes"].min()) < 1:
            return "it has a paragraph without a byte"
        return repeated(self.table, ["ablated", "language", "set", "item"])

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Change in bits per byte of each language's text without the neurons of each language.

        Columns ``ablated, language, effect, low, high`` (bits per byte more than of the model as it is, with a
        bootstrap interval over paragraphs, each with its own change), ``relative`` (the change over the bits of the
        model as it is), ``random, random_least, random_most`` (mean and range of the effects of the random sets),
        ``p`` (share of random sets, with the neurons themselves as one, that have at least this effect), ``n``.

        Args:
            level: coverage of the interval.
        """
        rows = []
        for (ablated, language), part in self.table.groupby(
            ["ablated", "language"], sort=False, observed=True
        ):
            bits, plain, sizes = (part.pivot(index="item", columns="set", values=name) for name in _SUMMED)
            changes = (bits - plain).to_numpy(float)
            effects = changes.sum(0) / sizes.sum().to_numpy(float)
            low, high = bootstrap_ratios(
                changes[:, :1], sizes.to_numpy(float)[:, :1], level=level, seed=self.provenance.seed
            )
            rows.append({
                "ablated": ablated, "language": language, "effect": effects[0], "low": low[0], "high": high[0],
                "relative": changes[:, 0].sum() / plain[0].sum(), **_against(effects), "n": len(bits),
            })  # fmt: skip
        return pd.DataFrame(rows)

    def contrasts(self, level: float = 0.95) -> pd.DataFrame:
        """Whether the neurons of a language matter more for its own text than for that of the other languages.

        Changes are taken over the bits that the text needs of the model as it is, so that languages whose letters take
        more bytes can be compared. Columns ``ablated, neurons, own`` (change in its own text), ``others`` (mean of the
        changes in the other languages), ``difference, low, high`` (own less others, with a bootstrap interval over
        paragraphs), ``random, random_least, random_most, p`` (of the differences of the random sets, as in `summary`),
        ``effect_p`` (`p` of the effect on its own text), ``verdict``: ``specific`` where the interval is above zero and
        both the effect and the difference are larger than those of random sets at p 0.05; ``effect`` where the effect
        alone is; ``none`` where neither is; ``untested`` with fewer than 19
        random sets, beside which no p is 0.05.

        A language alone has no others and no row.

        Args:
            level: coverage of the interval.
        """
        summary = self.summary(level)
        own = summary[summary["ablated"] == summary["language"]]
        effects = {str(row["ablated"]): row for row in own.to_dict("records")}
        rows = []
        for ablated, part in self.table.groupby("ablated", sort=False, observed=True):
            bits, plain = (
                part.pivot(index="item", columns=["set", "language"], values=name).fillna(0)
                for name in ("bits", "plain")
            )
            languages = list(dict.fromkeys(part["language"]))
            if len(languages) < 2 or ablated not in languages:
                continue
            changes, sizes = bits - plain, plain
            relative = (changes.sum() / sizes.sum()).unstack("language")[languages]
            weights = np.array([
                1.0 if language == ablated else -1 / (len(languages) - 1) for language in languages
            ])  # fmt: skip
            differences = relative.to_numpy(float) @ weights
            low, high = bootstrap_ratio_contrasts(
                changes[0][languages].to_numpy(float), sizes[0][languages].to_numpy(float), weights[:, None],
                level=level, seed=self.provenance.seed,
            )  # fmt: skip
            against, effect_p = _against(differences), effects[str(ablated)]["p"]
            effect = effects[str(ablated)]["low"] > 0 and effect_p <= _P
            of_own = relative.loc[0]
            specific = effect and low[0] > 0 and against["p"] <= _P
            rows.append({
                "ablated": ablated, "neurons": self.settings.neurons.get(str(ablated), 0),
                "own": of_own[str(ablated)], "others": of_own.drop(str(ablated)).mean(),
                "difference": differences[0], "low": low[0], "high": high[0], **against, "effect_p": effect_p,
                "verdict": _verdict(effect, specific, tested=1 / len(differences) <= _P),
            })  # fmt: skip
        return pd.DataFrame(rows, columns=list(CONTRASTS))

    def glance(self) -> pd.DataFrame:
        """Of each language its own effect beside that on the others; columns as of `contrasts`."""
        return self.contrasts()

    def describe(self, level: float = 0.95) -> str:
        """Whose neurons matter, for which language, and what chance does.

        Args:
            level: coverage of the intervals.
        """
        return "\n".join(
            ablation_sentences(self.summary(level), self.contrasts(level), self.settings, level=level)
        )

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """A heat map: whose neurons are taken out, over the language of the text.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.neuron_ablation import neuron_ablation_figure

        return neuron_ablation_figure(self, **look)


_SUMMED = ("bits", "plain", "bytes")
CONTRASTS = (
    "ablated", "neurons", "own", "others", "difference", "low", "high", "random", "random_least", "random_most", "p",
    "effect_p", "verdict",
)  # fmt: skip


def _verdict(effect: bool, specific: bool, *, tested: bool) -> str:
    if not tested:
        return "untested"
    return "specific" if specific else "effect" if effect else "none"


def _against(values: NDArray[np.float64]) -> dict[str, float]:
    """The first of some values against the others, which random sets gave."""
    own, others = values[0], values[1:]
    if not len(others):
        return {"random": np.nan, "random_least": np.nan, "random_most": np.nan, "p": np.nan}
    p = (1 + int((others >= own).sum())) / (1 + len(others))
    return {
        "random": float(others.mean()), "random_least": float(others.min()), "random_most": float(others.max()), "p": p,
    }  # fmt: skip
