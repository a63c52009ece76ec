"""Shares of tokens at which neurons fire in each language, and which neurons belong to few languages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.arguments import ranges
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.models.edits import Edit
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.documents import damaged
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns
from latentlang.storage.tensors import read_tensors_of, tensor_bytes
from latentlang.units.counted_in import adapter_state
from latentlang.units.neurons_settings import NeuronsSettings
from latentlang.units.scores import LAPE_PERCENTILE, LAPE_SHARE, Floats, active_bar, language_related, lape
from latentlang.units.text import neuron_sentences

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("layer", "neuron", "entropy", "z", "q")
COUNTS = "counts.safetensors"
_FORMAT = "latentlang-neuron-counts"
_TENSORS = ("fires", "total", "tokens", "rates", "precision", "difference")

#: How language-specific neurons are selected.
RULES = {
    "fdr": "of the neurons that fire in fewer languages than by chance (rate of false discoveries), those of lowest "
    "entropy",
    "lape": "those of lowest entropy, chance or not (Tang et al. 2024)",
    "lna": "those of lowest entropy less a penalty, chance or not (Zhang et al. 2025)",
}
#: What may be put in the place of neurons.
VALUES = ("zero", "mean")
#: Rate of false discoveries.
FDR = 0.05


@dataclass(frozen=True, eq=False)
class NeuronCounts:
    """Counts of all neurons of some layers.

    Attributes:
        fires: float64 ``[half, language, layer, neuron]``, tokens at which the neuron fires, in either half of the
            groups.
        total: the same, the sum of its activations (``mlp_post``) over the tokens.
        tokens: ``[half, language]`` tokens that counted.
        rates: ``[language, layer, neuron]``, the smallest rate of false discoveries at which the share in the language
            is called higher than in mixed pseudo-languages.
        precision: the same shape, average precision with which the neuron's mean activation finds the groups of
            paragraphs of the language among all groups (Kojima et al. 2024, of sentences there).
        difference: the same shape, mean activation over the groups of the language less that over all others, in
            pooled standard deviations; infinite where neither varies.
        texts: int64 ``[text]``, beginnings of the hashes of the texts that were counted, in rising order.
    """

    fires: Tensor
    total: Tensor
    tokens: Tensor
    rates: Tensor
    precision: Tensor
    difference: Tensor
    texts: Tensor

    @classmethod
    def none(cls) -> NeuronCounts:
        """Of no language."""
        four, three = torch.zeros(2, 0, 0, 0), torch.zeros(0, 0, 0)
        return cls(four, four, torch.zeros(2, 0), three, three, three, torch.zeros(0, dtype=torch.int64))

    def counted(self, texts: Iterable[str]) -> list[bool]:
        """Whether each of some texts was counted, in whatever language."""
        known = set(self.texts.tolist())
        return [text_number(text) in known for text in texts]


@dataclass(frozen=True)
class NeuronsResult(Result[NeuronsSettings]):
    """At which share of tokens each neuron fires in each language.

    Attributes:
        table: one row per neuron: ``layer, neuron`` (its place in the layer), ``entropy`` over languages in nats
            (NaN for one that never fires), ``z``, how far it is below that of mixed pseudo-languages in their standard
            deviations, and ``q``, the smallest rate of false discoveries at which it is called lower. NaN and 1
            without a null.
        counts: what the table was made of.
    """

    counts: NeuronCounts = field(default_factory=lambda: NeuronCounts.none())

    kind: ClassVar[str] = "neurons"
    columns: ClassVar[Columns] = {
        "layer": "whole", "neuron": "whole", "entropy": "number", "z": "number", "q": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = NeuronsSettings

    def fault(self) -> str | None:
        """A neuron that is there twice."""
        return repeated(self.table, ["layer", "neuron"])

    @property
    def languages(self) -> tuple[str, ...]:
        """Their codes."""
        return self.provenance.languages

    def shares(self, half: int | None = None) -> Floats:
        """Share of tokens at which a neuron fires, ``[language, layer, neuron]``.

        Args:
            half: of the groups, 0 or 1; None for all of them.
        """
        fires, tokens = self.counts.fires.numpy(), self.counts.tokens.numpy()
        fires, tokens = (fires.sum(0), tokens.sum(0)) if half is None else (fires[half], tokens[half])
        shares: Floats = fires / np.maximum(tokens, 1)[:, None, None]
        return shares

    def means(self) -> Floats:
        """Mean activation of each neuron in each language, ``[language, layer, neuron]``."""
        tokens = np.maximum(self.counts.tokens.numpy().sum(0), 1)
        means: Floats = self.counts.total.numpy().sum(0) / tokens[:, None, None]
        return means

    def members(
        self,
        rule: str = "fdr",
        *,
        share: float = LAPE_SHARE,
        percentile: float = LAPE_PERCENTILE,
        fdr: float = FDR,
        half: int | None = None,
    ) -> NDArray[np.bool_]:
        """Which neuron belongs to which languages, ``[language, layer, neuron]``.

        A neuron is *active* in a language where its share of tokens is above a percentile of the shares of all neurons
        in all languages. `rule` is one of `RULES`:

        - ``fdr``: active somewhere, q at most `fdr`, and of these those of lowest entropy, at most `share` of all
          neurons; it belongs to the languages in which it is active and fires more than in mixed ones, at a rate of
          false discoveries of `fdr`;
        - ``lape``: the same without the null;
        - ``lna``: with the penalty of `scores.language_related`.

        Args:
            rule: the rule.
            share: at most this share of all neurons is selected.
            percentile: of all shares, above which a neuron is active.
            fdr: rate of false discoveries; for ``fdr`` alone.
            half: counts of one half of the groups, 0 or 1; for ``lape`` and ``lna``, and the shares of ``fdr``.

        Raises:
            InputError: an unknown rule, a share or percentile that is none, or no null where the rule needs one.
        """
        if rule not in RULES:
            raise unknown("rule", rule, RULES)
        if not 0 < share <= 1 or not 0 < fdr < 1 or not 0 <= percentile < 100:
            raise InputError(
                "share is above 0 and at most 1, fdr between 0 and 1, percentile from 0 to below 100"
            )
        shares = self.shares(half)
        flat = shares.reshape(len(shares), -1)
        if rule == "lna":
            return language_related(flat, share=share, percentile=percentile)[0].reshape(shares.shape)
        if rule == "lape":
            return lape(flat, share=share, percentile=percentile).reshape(shares.shape)
        if not self.settings.deals:
            raise InputError(
                "this result has no null (deals=0); select by rule='lape' or count again with deals=200"
            )
        active = (flat > active_bar(flat, percentile)) & (
            self.counts.rates.numpy().reshape(flat.shape) <= fdr
        )
        ordered = self.table.sort_values(["layer", "neuron"])
        allowed = active.any(0) & (ordered["q"].to_numpy() <= fdr)
        scores = ordered["entropy"].to_numpy(float)
        places = np.flatnonzero(allowed)
        chosen = places[np.argsort(scores[places], kind="stable")[: round(share * flat.shape[1])]]
        mask = np.zeros(flat.shape[1], bool)
        mask[chosen] = True
        return (active & mask).reshape(shares.shape)

    def select(self, rule: str = "fdr", **options: float) -> pd.DataFrame:
        """The neurons of each language, the most specific first.

        Columns ``language, layer, neuron, share`` (of tokens at which it fires), ``mean`` (activation), ``precision,
        difference`` (as in `NeuronCounts`), ``entropy, q, languages`` (how many it belongs to). Arguments as of
        `members`.
        """
        members = self.members(rule, **options)  # type: ignore[arg-type]
        codes, layers, neurons = np.nonzero(members)
        table = pd.DataFrame({
            "language": [self.languages[place] for place in codes],
            "layer": [self.settings.layers[place] for place in layers], "neuron": neurons,
            "share": self.shares()[codes, layers, neurons], "mean": self.means()[codes, layers, neurons],
            "precision": self.counts.precision.numpy()[codes, layers, neurons],
            "difference": self.counts.difference.numpy()[codes, layers, neurons],
            "languages": members.sum(0)[layers, neurons],
        })  # fmt: skip
        joined = table.merge(
            self.table[["layer", "neuron", "entropy", "q"]], on=["layer", "neuron"], how="left"
        )
        order = {code: place for place, code in enumerate(self.languages)}
        joined = joined.sort_values(
            ["language", "entropy"],
            key=lambda values: values.map(order) if values.name == "language" else values,
        )
        names = ["share", "mean", "precision", "difference", "entropy", "q", "languages"]
        return joined[["language", "layer", "neuron", *names]].reset_index(drop=True)

    def summary(self, rule: str = "fdr", **options: float) -> pd.DataFrame:
        """How many neurons each language has.

        Columns ``language, neurons, specific`` (of this language alone), ``related`` (of several), ``median_layer``,
        ``stability``: of LAPE's selections from the two halves of the text, those in both over those in either
        (Jaccard); of the rule ``lna`` its own.
        """
        members = self.members(rule, **options)  # type: ignore[arg-type]
        layers = np.array(self.settings.layers)
        halves = [self.members("lape" if rule == "fdr" else rule, half=half) for half in (0, 1)]
        rows = []
        for place, code in enumerate(self.languages):
            own, (one, other) = members[place], (half[place] for half in halves)
            either = int((one | other).sum())
            specific = int((own & (members.sum(0) == 1)).sum())
            rows.append({
                "language": code, "neurons": int(own.sum()), "specific": specific,
                "related": int(own.sum()) - specific,
                "median_layer": float(np.median(np.repeat(layers, own.sum(1)))) if own.any() else np.nan,
                "stability": int((one & other).sum()) / either if either else np.nan,
            })  # fmt: skip
        return pd.DataFrame(rows)

    def edit(
        self,
        languages: str | Language | Iterable[str | Language],
        *,
        rule: str = "fdr",
        value: str = "zero",
        **options: float,
    ) -> Edit:
        """Taking the neurons of some languages out while a model runs, for `HookedLM.edited`.

        A model that they were not counted in refuses the edit.

        Args:
            languages: whose neurons.
            rule: as of `members`.
            value: what is put in their place: ``zero``, or ``mean``, their mean activation over all languages.
            **options: as of `members`.

        Raises:
            InputError: a language has no such neuron, or the value is unknown.
        """
        if value not in VALUES:
            raise unknown("value", value, VALUES)
        listed = [languages] if isinstance(languages, str | Language) else list(languages)
        codes = [find_language(entry).code for entry in listed]
        for code in codes:
            if code not in self.languages:
                raise unknown("language of this result", code, self.languages)
        members = self.members(rule, **options)  # type: ignore[arg-type]
        own: NDArray[np.bool_] = np.any(members[[self.languages.index(code) for code in codes]], axis=0)
        if not own.any():
            raise InputError(
                f"no neuron belongs to {', '.join(codes)} by the rule {rule!r}: there is nothing to take out"
            )
        edit = ablation(own, self.settings.layers, self.means().mean(0) if value == "mean" else None)
        state = adapter_state(self.settings, self.provenance)
        return replace(edit, weights=self.settings.model_weights, adapter=state)

    def describe(self) -> str:
        """How many neurons are selected, how many of them chance would give, and whose they are."""
        kept = int(self.members("fdr").any(0).sum()) if self.settings.deals else None
        plain = int(self.members("lape").any(0).sum())
        sentences = neuron_sentences(
            self.table, self.glance(), self.settings, plain=plain, kept=kept, fdr=FDR
        )
        return "\n".join(sentences)

    def figure(self, *, rule: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """Neurons of each language by layer.

        Args:
            rule: as of `members`; by default ``fdr`` where there is a null, else ``lape``.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.neurons import neurons_figure

        rule = rule or ("fdr" if self.settings.deals else "lape")
        return neurons_figure(self, rule=rule, fdr=FDR, **look)

    def glance(self) -> pd.DataFrame:
        """How many neurons each language has; columns as of `summary`, by the null where there is one."""
        return self.summary("fdr" if self.settings.deals else "lape")

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        tensors = {name: getattr(self.counts, name).contiguous() for name in _TENSORS}
        for name in ("rates", "precision", "difference"):
            tensors[name] = tensors[name].float()
        tensors["texts"] = self.counts.texts
        return {TABLE: self.table, COUNTS: tensor_bytes(tensors, {"format": _FORMAT})}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        bare = super().load(folder)
        path = located(folder) / COUNTS
        tensors, _metadata = read_tensors_of(path, format=_FORMAT, holding="counts of neurons")
        settings = bare.settings
        shape = (len(bare.languages), len(settings.layers), settings.neurons)
        four = ("fires", "total")
        expected = {name: (2, *shape) if name in four else shape for name in _TENSORS} | {
            "tokens": (2, shape[0])
        }
        for name, wanted in expected.items():
            found = tensors.get(name)
            if found is None or tuple(found.shape) != wanted or (name in four and not found.isfinite().all()):
                what = f"its {name} are not those of layers {ranges(settings.layers)} and of these languages"
                raise damaged(path, what)
        texts = tensors.get("texts")
        if texts is None or texts.ndim != 1 or texts.dtype != torch.int64:
            raise damaged(path, "it does not say which texts were counted")
        if len(bare.table) != shape[1] * shape[2]:
            raise damaged(
                located(folder) / TABLE, f"it has {len(bare.table)} rows for {shape[1] * shape[2]} neurons"
            )
        return replace(
            bare, counts=NeuronCounts(**{name: tensors[name].double() for name in _TENSORS}, texts=texts)
        )


def text_number(text: str) -> int:
    """What stands for a text that was counted: the beginning of its hash."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def ablation(members: NDArray[np.bool_], layers: Iterable[int], means: Floats | None) -> Edit:
    """Neurons ``[layer, neuron]`` replaced by zero, or by their means ``[layer, neuron]``."""
    features = [np.flatnonzero(own).tolist() for own in members]
    value = None if means is None else torch.from_numpy(means)[None]
    return Edit.ablate(value, features=features, layers=list(layers), site="mlp_post", positions="all")
