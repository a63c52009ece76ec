"""How much of each layer's distribution is on tokens of each language: means, leaders, positions, and controls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.language_names import Language
from latentlang.lens.mass_settings import LanguageMassSettings
from latentlang.lens.mass_text import mass_sentences
from latentlang.lens.result import named_lens
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.intervals import bootstrap_ratios, unless_few
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

Floats = NDArray[np.float64]
COLUMNS = ("language", "item", "position", "layer", "of", "mass", "tokens")
#: In place of a language: tokens that belong to none.
UNCOUNTED = ""
#: Orders of the layers that the control draws.
PERMUTATIONS = 1000
#: What is said of the language with most mass: more than any other, by a lead that counts, and more than the language
#: has of the vocabulary and of all the texts; so, by a small lead; no more than one of these; not with confidence.
LEADS, SMALL, KNOWN, OPEN = "leads", "small", "as-known", "open"
#: A lead below this is called small, whatever its interval.
SMALL_LEAD = 0.05


@dataclass(frozen=True)
class LanguageMassResult(Result[LanguageMassSettings]):
    """How much of each layer's next-token distribution is on tokens of each language, in texts of several.

    Attributes:
        table: columns ``language`` (of the text), ``item``, ``position`` (the first of a range of positions),
            ``layer``, ``of`` (whose tokens; empty for tokens that belong to no language), ``mass`` (their probability,
            summed over the positions), ``tokens`` (number of positions). Layers as in a lens: the last is the model's
            output.
    """

    kind: ClassVar[str] = "language-mass"
    columns: ClassVar[Columns] = {
        "language": "text", "item": "text", "position": "whole", "layer": "whole", "of": "text", "mass": "number",
        "tokens": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = LanguageMassSettings

    def fault(self) -> str | None:
        """A mass that is there twice, or of no token."""
        if len(self.table) and int(self.table["tokens"].min()) < 1:
            return "it has a mass over no token"
        return repeated(self.table, list(COLUMNS[:5]))

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the texts' languages."""
        return self.provenance.languages

    @property
    def candidates(self) -> tuple[str, ...]:
        """Codes of the languages that tokens may belong to."""
        return tuple(self.settings.prior)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Mass of each language's tokens at each layer, over all positions, with an interval over paragraphs.

        Columns ``language, layer, of, mass, low, high``; ``share``, the mass over that of all tokens that belong to a
        language; what is known without reading the text: ``prior``, the mass where all tokens are alike, and
        ``unigram``, where they have their frequency in all the texts, each language's alike; ``written``, the share of
        the text's own tokens; ``n`` paragraphs, of fewer than three of which there is no interval. The rows of tokens
        that belong to no language have an empty ``of`` and no share.

        Args:
            level: coverage of the interval.
        """
        parts = []
        for code in self.languages:
            masses, tokens = self._wide(code)
            means = self._means(masses, tokens, level).assign(language=code)
            means["prior"] = means["of"].map(self.settings.prior)
            means["unigram"] = means["of"].map({name: self._unigram(name) for name in self.candidates})
            means["written"] = means["of"].map(self.settings.written[code])
            parts.append(means)
        first = ["language", "layer", "of", "mass", "low", "high", "share", "prior", "unigram", "written"]
        return _ordered(parts, first)

    def positions(self, level: float = 0.95) -> pd.DataFrame:
        """The same for each range of positions.

        Columns ``language, position, layer, of, mass, low, high, share, n``; ``position`` is the first of the range,
        ``n`` the paragraphs that reach it.

        Args:
            level: coverage of the interval.
        """
        parts = []
        for code in self.languages:
            for first in self.settings.positions:
                masses, tokens = self._wide(code, position=first)
                if len(masses):
                    means = self._means(masses, tokens, level)
                    parts.append(means.assign(language=code, position=first))
        kept = ["language", "position", "layer", "of", "mass", "low", "high", "share", "n"]
        return _ordered(parts, kept)[kept]

    def leaders(self, level: float = 0.95) -> pd.DataFrame:
        """Which language has most mass at each layer.

        Columns ``language, layer, leader, mass, low, high, next, lead, lead_low, lead_high`` (mass beyond that of the
        language with the next most), ``known`` (the larger of the leader's `prior` and `unigram` mass), ``verdict``:
        ``leads`` where the lead's interval is above zero, the mass's above what is known, and the lead at least
        `SMALL_LEAD`; ``small`` where the lead is not; ``as-known`` where its interval alone is above zero; ``open``
        where that is not, or where there is none, of fewer than three paragraphs. Intervals are for one layer at a
        time.

        Args:
            level: coverage of the intervals.
        """
        known = {code: max(self.settings.prior[code], self._unigram(code)) for code in self.candidates}
        rows = []
        for code in self.languages:
            masses, tokens = self._wide(code)
            for place, layer in enumerate(self.settings.layers):
                own = masses[:, place, :-1]
                order = np.argsort(-own.sum(0), kind="stable")
                first, second = int(order[0]), int(order[1])
                values = np.stack([own[:, first], own[:, first] - own[:, second]], 1)
                low, high = self._interval(values, tokens, level)
                mean = values.sum(0) / tokens.sum()
                leader = self.candidates[first]
                ahead, beyond = low[1] > 0, low[0] > known[leader]
                rows.append({
                    "language": code, "layer": layer, "leader": leader, "mass": mean[0], "low": low[0],
                    "high": high[0], "next": self.candidates[second], "lead": mean[1], "lead_low": low[1],
                    "lead_high": high[1], "known": known[leader],
                    "verdict": OPEN if not ahead else KNOWN if not beyond else SMALL if mean[1] < SMALL_LEAD else LEADS,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def control(self, permutations: int = PERMUTATIONS) -> pd.DataFrame:
        """Whether a language has more mass at some layer than the layers have on the whole.

        The layers of each paragraph change places at random, which leaves nothing but their mean. Columns ``language,
        layer, of, excess`` (mass less the mean over layers), ``chance`` (95th percentile of the largest excess of any
        layer), ``p`` (of the excess, for all layers together).

        Args:
            permutations: random orders.
        """
        parts = []
        for code in self.languages:
            masses, tokens = self._wide(code)
            weighted = masses / tokens.sum()
            mean = weighted.mean(1).sum(0)  # [of]
            excess = weighted.sum(0) - mean  # [layer, of]
            draw = np.random.default_rng(self.provenance.seed)
            largest = np.empty((permutations, masses.shape[2]))
            rows = np.arange(len(masses))[:, None]
            for number in range(permutations):
                order = draw.permuted(np.tile(np.arange(masses.shape[1]), (len(masses), 1)), axis=1)
                largest[number] = (weighted[rows, order].sum(0) - mean).max(0)
            # of equal sums the last bit may differ
            p = (1 + (largest[:, None] >= excess - 1e-12).sum(0)) / (1 + permutations)
            parts.append(
                self._long(excess=excess, p=p, chance=np.tile(np.quantile(largest, 0.95, axis=0), (len(excess), 1)))
                .assign(language=code)
            )  # fmt: skip
        return _ordered(parts, ["language", "layer", "of", "excess", "chance", "p"])

    def glance(self) -> pd.DataFrame:
        """The leaders at the last layer."""
        leaders = self.leaders()
        last: pd.DataFrame = leaders[leaders["layer"] == leaders["layer"].max()]
        return last.reset_index(drop=True)

    def _view(self) -> View:
        return named_lens(super()._view())

    def describe(self, level: float = 0.95) -> str:
        """Which language leads at which layers, beside what a reader would give that knows the vocabulary alone.

        Args:
            level: coverage of the intervals.
        """
        return "\n".join(mass_sentences(self.summary(level), self.leaders(level), self.settings, level=level))

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """Mass over layers, stacked, a panel for each language of the texts.

        Args:
            languages: of the texts to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.language_mass import language_mass_figure

        return language_mass_figure(self, languages=languages, **look)

    def _unigram(self, code: str) -> float:
        """Share of a language's tokens in all the texts, each language's alike."""
        written = self.settings.written
        return float(np.mean([shares.get(code, 0.0) for shares in written.values()])) if written else 0.0

    def _wide(self, code: str, position: int | None = None) -> tuple[Floats, Floats]:
        """Masses ``[item, layer, of]`` of a language's texts, and their numbers of tokens ``[item]``."""
        part = self.table[self.table["language"] == code]
        if position is not None:
            part = part[part["position"] == position]
        layers, names = self.settings.layers, [*self.candidates, UNCOUNTED]
        items = list(dict.fromkeys(part["item"]))
        keys = [part[name].to_numpy() for name in ("item", "layer", "of")]
        whole = pd.MultiIndex.from_product([items, layers, names])
        sums = part["mass"].groupby(keys, sort=False).sum().reindex(whole, fill_value=0.0)
        one = part[(part["layer"] == layers[0]) & (part["of"] == UNCOUNTED)]
        tokens = one["tokens"].groupby(one["item"].to_numpy(), sort=False).sum().reindex(items)
        return sums.to_numpy(float).reshape(len(items), len(layers), len(names)), tokens.to_numpy(float)

    def _interval(self, masses: Floats, tokens: Floats, level: float) -> tuple[Floats, Floats]:
        sizes = np.broadcast_to(tokens[:, None], masses.shape)
        ends = bootstrap_ratios(masses, sizes, least=0.0, most=1.0, level=level, seed=self.provenance.seed)
        return unless_few(len(masses), ends)

    def _means(self, masses: Floats, tokens: Floats, level: float) -> pd.DataFrame:
        flat = masses.reshape(len(masses), -1)
        shape = masses.shape[1:]
        low, high = (ends.reshape(shape) for ends in self._interval(flat, tokens, level))
        sums = masses.sum(0)
        share = np.full(shape, np.nan)
        counted = sums[:, :-1].sum(-1, keepdims=True)
        np.divide(sums[:, :-1], counted, out=share[:, :-1], where=counted > 0)
        return self._long(mass=sums / tokens.sum(), low=low, high=high, share=share).assign(n=len(masses))

    def _long(self, **values: Floats) -> pd.DataFrame:
        """Arrays ``[layer, of]`` as rows."""
        layers, names = self.settings.layers, [*self.candidates, UNCOUNTED]
        frame: dict[str, Any] = {"layer": np.repeat(layers, len(names)), "of": names * len(layers)}
        return pd.DataFrame(frame | {name: array.ravel() for name, array in values.items()})


def _ordered(parts: list[pd.DataFrame], first: list[str]) -> pd.DataFrame:
    table = pd.concat(parts, ignore_index=True)
    return table[[*first, *(name for name in table.columns if name not in first)]]
