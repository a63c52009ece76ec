"""Language vectors of each layer of a store, held against items that were not fitted and against permuted languages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang import defaults
from latentlang.activations import ActivationStore, open_store
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import unknown
from latentlang.geometry.direction_fit import METHODS, fit_directions, needs_scikit_learn
from latentlang.geometry.directions_result import COLUMNS, DirectionsResult
from latentlang.geometry.features import working_device
from latentlang.geometry.geometry_settings import DirectionsSettings
from latentlang.geometry.held_out import area_under_curve, d_prime, halves, read_items, shared_items
from latentlang.geometry.language_vectors import LanguageVectors
from latentlang.geometry.resampling import interval, p_values
from latentlang.geometry.selection import (
    Languages,
    chosen_languages,
    chosen_layers,
    chosen_pivot,
    chosen_pool,
)
from latentlang.language_names import Language
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.stats.intervals import check_level

Store = ActivationStore | str | os.PathLike[str]

#: Features of largest mean square, of which a few dominate the activations of many models (Sun et al. 2024).
OUTLIERS = 5


@checked_call
def directions(
    store: Store,
    *,
    method: str = defaults.DIRECTIONS_METHOD,
    languages: Languages | None = None,
    reference: str | Language | None = None,
    pools: str | Sequence[str] | None = None,
    layers: Layers = defaults.LAYERS,
    site: str | None = None,
    permutations: int | None = None,
    resamples: int = defaults.RESAMPLES,
    level: float = defaults.LEVEL,
    seed: int = defaults.SEED,
    device: str | torch.device = defaults.DEVICE,
    progress: ProgressOption = True,
) -> DirectionsResult:
    """Find the direction of each language at each layer: what leads from the other languages' prompts to its own.

    Methods are said at `latentlang.geometry.direction_fit.fit_directions`. Only items that all languages have count,
    so that a vector does not hold what the items are about. Vectors are fitted on all of them; what is reported of
    them is never measured on items that were fitted: vectors of two random halves are held against each other (cosine),
    and each half's prompts are told apart along the vector of the other (AUC, d'). Chance is the same with the
    languages of each item's prompts permuted.

    A few features may be so large that they make up most of every vector: everything is also given without the
    `OUTLIERS` of largest mean square. The beginning token is worse; its activations are in the pool ``mean``, and in
    no vector where another pool is taken.

    Args:
        store: an open store, or its folder.
        method: ``"mean"``, ``"pca"``, ``"lda"`` or ``"probe"``; the last two need scikit-learn.
        languages: codes or groups, two or more; by default all in the store.
        reference: set each language against this one only; by default against all others.
        pools: name of one pool; by default the first there is of ``mean_no_bos``, ``question``, ``last``, ``mean``.
        layers: ``"all"``, numbers of layers, or ``"0,4,8-12"``.
        site: by default the store's first, mostly ``resid``.
        permutations: how often languages are permuted; by default 100 for ``"mean"`` and 20 for what is slower; 0 for
            no null.
        resamples: half samples for the intervals; 0 for none.
        level: coverage of intervals and bands; ``1 - level`` is the error probability.
        seed: of halves, permutations and half samples.
        device: where to compute, e.g. ``"cuda"``; ``"lda"`` and ``"probe"`` are fitted on the CPU.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (layers done, layers).

    Raises:
        InputError: an unknown name, one language only, too few items that all languages have, an impossible number, or
            activations that are not finite.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    needs_scikit_learn(method)
    if permutations is None:
        permutations = defaults.DIRECTIONS_PERMUTATIONS if method == "mean" else defaults.SLOW_PERMUTATIONS
    for name, value in {"permutations": permutations, "resamples": resamples, "seed": seed}.items():
        check_count(name, value, least=0)
    check_level(level)
    opened = store if isinstance(store, ActivationStore) else open_store(store)
    frame = opened.frame()
    codes = chosen_languages(languages, frame["language"].astype(str))
    against = None
    if reference is not None:
        against = chosen_pivot(reference, frame["language"].astype(str))
        codes = list(dict.fromkeys([*codes, against]))
    chosen = chosen_layers(layers, opened.layers)
    pool = vector_pool(pools, opened)
    where = working_device(device)
    shared = shared_items(frame, codes, what="directions")
    codes = list(shared.group.languages)
    plan = _Plan.drawn(
        codes, against, shared.count, method=method, permutations=permutations, resamples=resamples, seed=seed
    )
    tables, vectors, nulls = [], [], []
    with reporting(progress, "directions", things="layers", total=len(chosen)) as report:
        for done, layer in enumerate(chosen):
            view = opened.layer(layer, pools=pool, site=site)
            rows = read_items(view, shared.group, device=where)
            found, numbers, null = plan.measure(rows, level=level)
            nulls.append(null)
            vectors.append(found.named(layer, plan.named))
            tables.append(
                pd.DataFrame({"language": plan.named, "layer": layer, **numbers, "n": shared.count})
            )
            report(done + 1, len(chosen))
    table = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    origin = opened.provenance
    settings = DirectionsSettings(
        prompts_seed=origin.seed, method=method, reference=against, pool=pool, site=site or opened.sites[0],
        bos=holds_beginning(frame, pool), model_weights=opened.manifest.model.get("weights"),
        model_adapters=opened.manifest.model.get("adapters"), layers=chosen,
        outliers=plan.outliers(opened.width(site)),
        permutations=permutations, resamples=resamples, level=level, notes=list(shared.notes),
        peak_p=_peak_p(table, np.array(nulls)),
    )  # fmt: skip
    return DirectionsResult(
        table=table,
        provenance=measured_from(origin, codes, seed=seed, settings=settings.stored()),
        vectors=tuple(vectors),
    )


def vector_pool(pools: str | Sequence[str] | None, store: ActivationStore) -> str:
    """The one pool that is asked for; by default the first of `defaults.DIRECTIONS_POOLS` that the store has.

    Raises:
        InputError: it is not there, or several are named.
    """
    if pools is None:
        return next((pool for pool in defaults.DIRECTIONS_POOLS if pool in store.pools), store.pools[0])
    return chosen_pool(pools, store.pools)


def holds_beginning(frame: pd.DataFrame, pool: str) -> bool | None:
    """Whether vectors of a pool hold the beginning token's; None where that is not known."""
    if pool in ("mean_no_bos", "question", "last"):
        return False
    begins = frame["has_bos"] if "has_bos" in frame else pd.Series(dtype=bool)
    if pool != "mean" or begins.empty or begins.isna().any():
        return None
    return bool(begins.astype(bool).any())


def measured_from(
    origin: Provenance, codes: Sequence[str], *, seed: int, settings: dict[str, object]
) -> Provenance:
    """The provenance of what is measured on a store: of the languages used, with this moment's versions."""
    return Provenance(
        model=origin.model, task=origin.task, languages=tuple(codes), revision=origin.revision, adapter=origin.adapter,
        protocol=origin.protocol, policy="", seed=seed, settings={**origin.settings, **settings},
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Fitted:
    vectors: Tensor
    typical: float
    outliers: tuple[int, ...]

    def named(self, layer: int, codes: Sequence[str]) -> LanguageVectors:
        return LanguageVectors(layer, tuple(codes), self.vectors.cpu(), self.typical, self.outliers)


@dataclass(frozen=True, eq=False)
class _Plan:
    """What stays the same over layers.

    Attributes:
        method: how vectors are fitted.
        reference: place of the language that others are set against; None for all others.
        places: of the languages that have vectors.
        named: their codes.
        halves: two halves of the items.
        permutations: which language's prompt stands for each language, ``[permutation, language, item]``.
        samples: half samples of each half's places, ``[resample, item]``.
    """

    method: str
    reference: int | None
    places: list[int]
    named: list[str]
    halves: tuple[Tensor, Tensor]
    permutations: Tensor
    samples: tuple[Tensor, Tensor]

    @classmethod
    def drawn(
        cls, codes: list[str], reference: str | None, items: int, *, method: str, permutations: int,
        resamples: int, seed: int,
    ) -> _Plan:  # fmt: skip
        parts = halves(items, seed=seed)
        order = np.random.default_rng((seed, 4))
        languages = np.broadcast_to(np.arange(len(codes))[:, None], (permutations, len(codes), items))
        half = np.random.default_rng((seed, 5))
        samples = tuple(
            torch.from_numpy(
                half.permuted(np.broadcast_to(np.arange(len(part)), (resamples, len(part))), axis=1)[
                    :, : len(part) // 2
                ]
            )
            for part in parts
        )
        return cls(
            method, None if reference is None else codes.index(reference),
            [place for place, code in enumerate(codes) if code != reference],
            [code for code in codes if code != reference],
            parts, torch.from_numpy(order.permuted(languages, axis=1)), (samples[0], samples[1]),
        )  # fmt: skip

    def outliers(self, width: int) -> int:
        """How many features are left out; never all."""
        return min(OUTLIERS, width - 1)

    def measure(
        self, rows: Tensor, *, level: float
    ) -> tuple[_Fitted, dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """Fit one layer's rows ``[language, item, d]`` and measure what was fitted.

        The third is the mean AUC over languages of each permutation, which are the same ones at every layer.
        """
        largest = rows.square().mean((0, 1)).topk(self.outliers(rows.shape[2])).indices
        kept = torch.ones(rows.shape[2], dtype=rows.dtype, device=rows.device)
        kept[largest] = 0.0
        vectors = self._fit(rows)
        typical, typical_without = (_median_length(part) for part in (rows, rows * kept))
        fitted = [self._fit(rows[:, part]) for part in self.halves]
        scores = self._scores(rows, fitted)
        values = self._auc(scores)
        split = _cosines(*fitted)
        nulls = self._null(rows)
        exists = (vectors.norm(dim=1) > 0) & (fitted[0].norm(dim=1) > 0) & (fitted[1].norm(dim=1) > 0)
        without = [part * kept for part in fitted]
        samples = (
            torch.stack(
                [
                    self._auc([score[..., chosen] for score, chosen in zip(scores, drawn, strict=True)])
                    for drawn in zip(*self.samples, strict=True)
                ]
            )
            if len(self.samples[0])
            else values.new_empty(0, len(values))
        )
        n = rows.shape[1]
        low, high = interval(_array(values), _array(samples), n=n, scale="share", level=level)
        tail = (1 - level) / 2
        numbers = {
            "norm": _array(vectors.norm(dim=1)) / max(typical, 1e-300),
            "norm_without": _array((vectors * kept).norm(dim=1)) / max(typical_without, 1e-300),
            "split_half": _array(split), "split_half_without": _array(_cosines(*without)),
            **_chance("split_half", _array(split), nulls[0], tail, high_name="split_half_high"),
            "auc": _array(values), "auc_low": low, "auc_high": high,
            "auc_without": _array(self._auc(self._scores(rows, without))),
            **_chance("auc", _array(values), nulls[1], tail, high_name="auc_null_high"),
            "d_prime": _array(self._d_prime(scores)),
        }  # fmt: skip
        there = _array(exists.double()) > 0
        found = _Fitted(vectors, typical, tuple(int(index) for index in largest.tolist()))
        numbers = {name: np.where(there, value, np.nan) for name, value in numbers.items()}
        return found, numbers, nulls[1].mean(1)

    def _fit(self, rows: Tensor) -> Tensor:
        """Vectors of the languages that have one, ``[language, d]``."""
        return fit_directions(rows, method=self.method, reference=self.reference)[self.places]

    def _scores(self, rows: Tensor, fitted: Sequence[Tensor]) -> list[Tensor]:
        """Of each half the scores along the other half's vectors, ``[vector, language, item]``."""
        return [
            torch.einsum("vd,kid->vki", other, rows[:, part])
            for part, other in zip(self.halves, reversed(fitted), strict=True)
        ]

    def _kinds(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the vector's own language ``[vector, item]``, and of those it is set against."""
        own = torch.stack([scores[row, place] for row, place in enumerate(self.places)])
        if self.reference is not None:
            return own, scores[:, self.reference]
        others = [
            torch.cat([scores[row, :place], scores[row, place + 1 :]]).flatten()
            for row, place in enumerate(self.places)
        ]
        return own, torch.stack(others)

    def _auc(self, scores: Sequence[Tensor]) -> Tensor:
        return torch.stack([area_under_curve(*self._kinds(part)) for part in scores]).mean(0)

    def _d_prime(self, scores: Sequence[Tensor]) -> Tensor:
        return torch.stack([d_prime(*self._kinds(part)) for part in scores]).mean(0)

    def _null(self, rows: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Split-half cosines and areas with languages permuted within items, ``[permutation, language]`` each."""
        items = torch.arange(rows.shape[1])
        split, areas = [], []
        for permutation in self.permutations:
            moved = rows[permutation, items]
            fitted = [self._fit(moved[:, part]) for part in self.halves]
            split.append(_cosines(*fitted))
            areas.append(self._auc(self._scores(moved, fitted)))
        if not split:
            nothing = np.empty((0, len(self.places)))
            return nothing, nothing
        # two halves without any direction have none in common
        return np.nan_to_num(_array(torch.stack(split))), _array(torch.stack(areas))


def _peak_p(table: pd.DataFrame, nulls: NDArray[np.float64]) -> float | None:
    """How likely a mean AUC as of the best layer is at the best layer of permuted languages; None without a null.

    Args:
        table: of the result.
        nulls: ``[layer, permutation]`` mean AUC over languages.
    """
    means = table.groupby("layer")["auc"].mean()
    if not nulls.size or means.isna().all():
        return None
    highest = np.nanmax(nulls, axis=0)
    return float((1 + (highest >= means.max() - 1e-12).sum()) / (1 + len(highest)))


def _median_length(rows: Tensor) -> float:
    return float(np.median(_array(rows.norm(dim=2))))


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of each row with the other's, ``[row]``; NaN where one is zero."""
    cosines: Tensor = (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))
    return cosines


def _chance(
    name: str, values: NDArray[np.float64], null: NDArray[np.float64], tail: float, *, high_name: str
) -> dict[str, NDArray[np.float64]]:
    if not len(null):
        nothing = np.full(len(values), np.nan)
        return {f"{name}_null": nothing, high_name: nothing, f"{name}_p": nothing}
    return {
        f"{name}_null": null.mean(0), high_name: np.quantile(null, 1 - tail, axis=0),
        f"{name}_p": p_values(values, null, sign=1),
    }  # fmt: skip


def _array(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.cpu().numpy().astype(np.float64)
    return array
