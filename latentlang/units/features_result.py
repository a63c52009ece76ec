"""Features of an SAE in each language: how well it reconstructs them, and which features belong to which."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.errors import InputError, unknown
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import bootstrap_means, bootstrap_ratios, unless_few
from latentlang.storage.documents import damaged
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns, read_table
from latentlang.storage.tensors import read_tensors_of, tensor_bytes
from latentlang.units.features_settings import FeaturesSettings
from latentlang.units.features_text import feature_sentences
from latentlang.units.neurons_result import text_number
from latentlang.units.scores import Floats, entropy

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("language", "item", "tokens", "active", "error", "variance", "bits", "spliced", "zeroed", "bytes")
OVERLAP_COLUMNS: Columns = {
    "one": "text", "other": "text", "item": "text", "paired": "number", "unpaired": "number",
}  # fmt: skip
COUNTS, OVERLAP = "features.safetensors", "overlap.parquet"
_FORMAT = "latentlang-feature-counts"

#: How the features of a language are selected.
RULES = {
    "nu": "those whose mean activation in the language is most above that in the others (Deng et al. 2025)",
    "entropy": "those of lowest entropy that are active in nearly all of its paragraphs (Andrylie et al. 2025)",
}
#: Features of a language, at most; and the rate of false discoveries.
TOP, FDR = 10, 0.05
#: A language of which less than this share of the variance is reconstructed is flagged: its scores are of what is left.
LEAST_R2 = 0.5
# Of Andrylie et al. 2025: a feature counts if it is active in so many of a language's paragraphs, and at so many of its
# tokens; it belongs to the languages whose share of tokens is so near the largest.
_PARAGRAPHS, _TOKENS, _OWNS = 0.98, 0.1, 0.8


@dataclass(frozen=True, eq=False)
class FeatureTotals:
    """Counts of all features.

    Attributes:
        fires: float64 ``[half, language, feature]``, tokens at which the feature is active, in either half of the
            groups.
        total: the same, the sum of its activations.
        tokens: ``[half, language]`` tokens that counted.
        paragraphs: ``[language, feature]``, paragraphs in which it is active.
        z: ``[feature]``, how far the entropy is below that of mixed pseudo-languages, in their standard deviations.
        q: ``[feature]``, smallest rate of false discoveries at which it is called lower; 1 without a null.
        rates: ``[language, feature]``, smallest rate of false discoveries at which the mean activation in the language
            is called higher than in mixed pseudo-languages; NaN without a null.
        texts: int64 ``[text]``, beginnings of the hashes of the texts that were counted, in rising order.
    """

    fires: Tensor
    total: Tensor
    tokens: Tensor
    paragraphs: Tensor
    z: Tensor
    q: Tensor
    rates: Tensor
    texts: Tensor

    @classmethod
    def none(cls) -> FeatureTotals:
        """Of no language."""
        three, two, one = torch.zeros(2, 0, 0), torch.zeros(0, 0), torch.zeros(0)
        return cls(three, three, torch.zeros(2, 0), two, one, one, two, torch.zeros(0, dtype=torch.int64))

    def counted(self, texts: Iterable[str]) -> list[bool]:
        """Whether each of some texts was counted, in whatever language."""
        known = set(self.texts.tolist())
        return [text_number(text) in known for text in texts]


_TENSORS = ("fires", "total", "tokens", "paragraphs", "z", "q", "rates")


@dataclass(frozen=True)
class FeaturesResult(Result[FeaturesSettings]):
    """How an SAE reconstructs each language, and at which share of tokens each feature is active in it.

    Attributes:
        table: one row per paragraph: ``language, item, tokens, active`` (sum over tokens of the features that are
            active), ``error`` (sum of the squared distances to the reconstruction), ``variance`` (to the mean of the
            language), ``bits`` that the paragraph needs of the model as it is, ``spliced``, with the reconstruction in
            the activation's place, and ``zeroed``, with zero there; NaN where that was not asked for; UTF-8 ``bytes``.
        counts: of every feature.
        pairs: one row per pair of languages ``one, other`` and item: ``paired``, the overlap (Jaccard) of the features
            that are active in both paragraphs, and ``unpaired``, with paragraphs that say something else.
    """

    counts: FeatureTotals = field(default_factory=lambda: FeatureTotals.none())
    pairs: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(OVERLAP_COLUMNS)))

    kind: ClassVar[str] = "features"
    columns: ClassVar[Columns] = {
        "language": "text", "item": "text", "tokens": "whole", "active": "number", "error": "number",
        "variance": "number", "bits": "number", "spliced": "number", "zeroed": "number", "bytes": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = FeaturesSettings

    def fault(self) -> str | None:
        """A paragraph that is there twice, or has no token."""
        if len(self.table) and int(self.table["tokens"].min()) < 1:
            return "it has a paragraph without a token"
        return repeated(self.table, ["language", "item"])

    @property
    def languages(self) -> tuple[str, ...]:
        """Their codes."""
        return self.provenance.languages

    # Reconstruction

    def reconstruction(self, level: float = 0.95) -> pd.DataFrame:
        """How well the SAE gives back each language.

        Columns ``language, r2, low, high`` (share of the variance about the language's mean that is reconstructed, with
        a bootstrap interval over paragraphs, none of fewer than three), ``l0`` (features active at a token), ``dead``
        (share of features that are never active in it), ``bits_per_byte`` of the model as it is, ``spliced`` (how many
        more with the reconstruction in place) with ``spliced_low, spliced_high``, ``recovered`` (of the bits per byte
        that zero in its place costs, the share that the reconstruction does not; the *loss recovered*), ``tokens, n``
        (paragraphs) and ``flag``: ``unexplained`` where `r2` is below `LEAST_R2`, else empty.

        Args:
            level: coverage of the intervals.
        """
        dead = (self.counts.fires.sum(0) == 0).double().mean(-1).tolist()
        seed = self.provenance.seed
        rows = []
        for place, code in enumerate(self.languages):
            part = self.table[self.table["language"] == code]
            error, variance = (part[[name]].to_numpy(float) for name in ("error", "variance"))
            r2 = 1 - error.sum() / variance.sum() if variance.sum() else np.nan
            low, high = (
                unless_few(
                    len(part), bootstrap_ratios(variance - error, variance, most=1.0, level=level, seed=seed)
                )
                if (variance > 0).all()
                else (np.array([np.nan]),) * 2
            )
            sizes = part[["bytes"]].to_numpy(float)
            plain, spliced, zeroed = (part[[name]].to_numpy(float) for name in ("bits", "spliced", "zeroed"))
            more = unless_few(len(part), bootstrap_ratios(spliced - plain, sizes, level=level, seed=seed))
            lost = (zeroed - plain).sum()
            rows.append({
                "language": code, "r2": r2, "low": low[0], "high": high[0],
                "l0": part["active"].sum() / part["tokens"].sum(), "dead": dead[place],
                "bits_per_byte": plain.sum() / sizes.sum(), "spliced": (spliced - plain).sum() / sizes.sum(),
                "spliced_low": more[0][0], "spliced_high": more[1][0],
                "recovered": (zeroed - spliced).sum() / lost if lost > 0 else np.nan,
                "tokens": int(part["tokens"].sum()), "n": len(part),
                "flag": "unexplained" if not r2 >= LEAST_R2 else "",
            })  # fmt: skip
        return pd.DataFrame(rows)

    # Features

    def shares(self, half: int | None = None) -> Floats:
        """Share of tokens at which a feature is active, ``[language, feature]``.

        Args:
            half: of the groups, 0 or 1; None for all of them.
        """
        return self._per_token(self.counts.fires, half)

    def means(self, half: int | None = None) -> Floats:
        """Mean activation of each feature in each language, ``[language, feature]``; `half` as of `shares`."""
        return self._per_token(self.counts.total, half)

    def _per_token(self, sums: Tensor, half: int | None) -> Floats:
        values, tokens = sums.numpy(), self.counts.tokens.numpy()
        values, tokens = (values.sum(0), tokens.sum(0)) if half is None else (values[half], tokens[half])
        means: Floats = values / np.maximum(tokens, 1)[:, None]
        return means

    def nu(self, half: int | None = None) -> Floats:
        """Mean activation in a language less the mean over the others, ``[language, feature]`` (Deng et al. 2025).

        Args:
            half: as of `shares`.
        """
        means = self.means(half)
        count = len(means)
        differences: Floats = means - (means.sum(0) - means) / max(count - 1, 1)
        return differences

    def entropy(self) -> Floats:
        """Entropy over languages of the share of tokens, in nats, ``[feature]``; NaN for one that is never active."""
        return entropy(self.shares())

    def members(
        self, rule: str = "nu", *, top: int = TOP, fdr: float | None = FDR, half: int | None = None
    ) -> NDArray[np.bool_]:
        """Which feature belongs to which languages, ``[language, feature]``.

        `rule` is one of `RULES`; each language has at most `top` features:

        - ``nu``: those of the largest `nu` above 0; with `fdr` only those whose mean activation in the language is told
          from that in mixed pseudo-languages, at that rate of false discoveries;
        - ``entropy``: active in 98% of some language's paragraphs and at a tenth of its tokens; of the languages that
          have at least 0.8 of the largest share of tokens; those of lowest entropy. With `fdr` only those whose
          entropy is told from chance.

        Args:
            rule: the rule.
            top: features of a language, at most.
            fdr: rate of false discoveries; None for chance or not.
            half: counts of one half of the groups, 0 or 1, for the scores.

        Raises:
            InputError: an unknown rule, a number that is none, or no null where a rate is asked for.
        """
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
        if top < 1 or (fdr is not None and not 0 < fdr < 1):
            raise InputError(f"top is at least 1 and fdr between 0 and 1, or None; not {top!r} and {fdr!r}")
        if fdr is not None and not self.settings.deals:
            raise InputError(
                "this result has no null (deals=0); select with fdr=None or count again with deals=200"
            )
        if rule == "nu":
            scores = self.nu(half)
            allowed = scores > 0
            if fdr is not None:
                allowed &= self.counts.rates.numpy() <= fdr
        else:
            shares = self.shares(half)
            texts = self.table["language"].value_counts()[list(self.languages)].to_numpy()
            steady = (self.counts.paragraphs.numpy() >= _PARAGRAPHS * texts[:, None]) & (shares > _TOKENS)
            allowed = (shares >= _OWNS * shares.max(0)) & steady.any(0)
            if fdr is not None:
                allowed &= self.counts.q.numpy() <= fdr
            scores = np.broadcast_to(-np.nan_to_num(entropy(shares), nan=np.inf), shares.shape)
        mask = np.zeros(scores.shape, bool)
        for place, row in enumerate(scores):
            places = np.flatnonzero(allowed[place])
            mask[place, places[np.argsort(-row[places], kind="stable")[:top]]] = True
        return mask

    def select(self, rule: str = "nu", *, top: int = TOP, fdr: float | None = FDR) -> pd.DataFrame:
        """The features of each language, the first by its rule first.

        Columns ``language, feature, nu, mean`` (activation), ``share`` (of tokens), ``paragraphs`` (share of those in
        which it is active), ``entropy, q, rate`` (as in `FeatureTotals`), ``languages`` (how many it belongs to) and
        ``flag``, as of `reconstruction`. Arguments as of `members`.
        """
        members = self.members(rule, top=top, fdr=fdr)
        codes, features = np.nonzero(members)
        counts, entropies = self.counts, self.entropy()
        reconstruction = self.reconstruction().set_index("language")
        texts = reconstruction["n"].to_numpy()
        table = pd.DataFrame({
            "language": [self.languages[place] for place in codes], "feature": features,
            "nu": self.nu()[codes, features], "mean": self.means()[codes, features],
            "share": self.shares()[codes, features],
            "paragraphs": counts.paragraphs.numpy()[codes, features] / texts[codes],
            "entropy": entropies[features], "q": counts.q.numpy()[features],
            "rate": counts.rates.numpy()[codes, features], "languages": members.sum(0)[features],
            "flag": [reconstruction.loc[self.languages[place], "flag"] for place in codes],
        })  # fmt: skip
        by, rising = ("nu", False) if rule == "nu" else ("entropy", True)
        order = pd.Series(codes).rename("place")
        ranked = table.assign(place=order).sort_values(["place", by], ascending=[True, rising], kind="stable")
        return ranked.drop(columns="place").reset_index(drop=True)

    def overlap(self, level: float = 0.95) -> pd.DataFrame:
        """What translations have in common beyond paragraphs that are none, for each pair of languages.

        Columns ``one, other, paired, unpaired, difference, low, high`` (with a bootstrap interval over paragraphs) and
        ``n``.

        Args:
            level: coverage of the interval.
        """
        rows = []
        for (one, other), part in self.pairs.groupby(["one", "other"], sort=False, observed=True):
            differences = (part["paired"] - part["unpaired"]).to_numpy(float)[:, None]
            ends = bootstrap_means(differences, least=-1.0, most=1.0, level=level, seed=self.provenance.seed)
            low, high = unless_few(len(part), ends)
            rows.append({
                "one": one, "other": other, "paired": part["paired"].mean(), "unpaired": part["unpaired"].mean(),
                "difference": differences.mean(), "low": low[0], "high": high[0], "n": len(part),
            })  # fmt: skip
        return pd.DataFrame(
            rows, columns=["one", "other", "paired", "unpaired", "difference", "low", "high", "n"]
        )

    def summary(
        self, rule: str = "nu", *, top: int = TOP, fdr: float | None = FDR, level: float = 0.95
    ) -> pd.DataFrame:
        """How each language is reconstructed, and how many features it has.

        Columns as of `reconstruction`, and ``features``, ``specific`` (of this language alone) and ``stability``: of
        the selections by the two halves of the text, those in both over those in either (Jaccard). Arguments as of
        `members` and `reconstruction`.
        """
        if not self.settings.deals:
            fdr = None
        members = self.members(rule, top=top, fdr=fdr)
        halves = [self.members(rule, top=top, fdr=fdr, half=half) for half in (0, 1)]
        either = np.maximum((halves[0] | halves[1]).sum(1), 1)
        return self.reconstruction(level).assign(
            features=members.sum(1), specific=(members & (members.sum(0) == 1)).sum(1),
            stability=np.where(members.any(1), (halves[0] & halves[1]).sum(1) / either, np.nan),
        )  # fmt: skip

    def glance(self) -> pd.DataFrame:
        """How each language is reconstructed, and how many features it has; columns as of `summary`."""
        return self.summary()

    def describe(self, level: float = 0.95) -> str:
        """How well each language is reconstructed, which features are told from chance, what translations share.

        Args:
            level: coverage of the intervals.
        """
        return "\n".join(
            feature_sentences(self.summary(level=level), self.overlap(level), self.settings, top=TOP, fdr=FDR)
        )

    def figure(self, *, rule: str = "nu", top: int = 5, **look: Unpack[Look]) -> go.Figure:
        """A heat map of languages over their features, beside how each language is reconstructed.

        Args:
            rule: as of `members`.
            top: features of each language.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.features import features_figure

        return features_figure(self, rule=rule, top=top, fdr=FDR if self.settings.deals else None, **look)

    # On disk

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        tensors = {name: getattr(self.counts, name).contiguous() for name in _TENSORS}
        for name in ("z", "q", "rates"):
            tensors[name] = tensors[name].float()
        tensors["texts"] = self.counts.texts
        return {TABLE: self.table, OVERLAP: self.pairs, COUNTS: tensor_bytes(tensors, {"format": _FORMAT})}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        bare = super().load(folder)
        path = located(folder) / COUNTS
        tensors, _metadata = read_tensors_of(path, format=_FORMAT, holding="counts of features")
        languages, features = len(bare.languages), bare.settings.features
        expected = {
            "fires": (2, languages, features), "total": (2, languages, features), "tokens": (2, languages),
            "paragraphs": (languages, features), "z": (features,), "q": (features,), "rates": (languages, features),
        }  # fmt: skip
        for name, wanted in expected.items():
            found = tensors.get(name)
            sums = name in ("fires", "total", "tokens", "paragraphs")
            if found is None or tuple(found.shape) != wanted or (sums and not found.isfinite().all()):
                raise damaged(path, f"its {name} are not those of {features} features in these languages")
        texts = tensors.get("texts")
        if texts is None or texts.ndim != 1 or texts.dtype != torch.int64:
            raise damaged(path, "it does not say which texts were counted")
        if set(bare.table["language"]) != set(bare.languages):
            raise damaged(located(folder) / TABLE, "its languages are not those of the record")
        return replace(
            bare,
            counts=FeatureTotals(**{name: tensors[name].double() for name in _TENSORS}, texts=texts),
            pairs=read_table(located(folder) / OVERLAP, OVERLAP_COLUMNS),
        )
