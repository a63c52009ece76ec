"""Layerwise PCA of stored activations: all languages stacked, one PCA per layer, read from the store in batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.activations import ActivationStore, open_store
from latentlang.arguments import Layers, check_count, checked_call, ranges
from latentlang.errors import InputError, shown, unknown
from latentlang.geometry.basis import Basis
from latentlang.geometry.features import working_device
from latentlang.geometry.geometry_settings import PCASettings
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.pca_fit import METHODS, fit, project, spread
from latentlang.geometry.pca_result import COLUMNS, PCAResult
from latentlang.geometry.selection import (
    Languages,
    chosen_languages,
    chosen_layers,
    chosen_pool,
    common_pools,
    same_prompts,
)
from latentlang.progress import ProgressOption, Report, reporting

if TYPE_CHECKING:
    from latentlang.provenance import Provenance

Store = ActivationStore | str | os.PathLike[str]

COMPONENTS = 2
# More than there can be are zeros; so many are given all the same.
_FEW_COMPONENTS = 64
# Numbers of eight bytes that a result may hold: 8 GiB.
_MOST_NUMBERS = 2**30
STATES = ("base", "tuned")


@checked_call
def pca(
    store: Store,
    *,
    layers: Layers = "all",
    pools: str | Sequence[str] | None = None,
    components: int | None = None,
    languages: Languages | None = None,
    basis: PCAResult | None = None,
    site: str | None = None,
    state: str | None = None,
    method: str = "auto",
    device: str | torch.device = "cpu",
    progress: ProgressOption = True,
) -> PCAResult:
    """Principal components of each layer over the prompts of all languages together (Zhang et al. 2024, section 6.2).

    Each layer is one PCA of ``[prompt, d_model]`` vectors less their mean, not scaled (Pearson 1901). The axes are
    exact (see `latentlang.geometry.pca_fit`) and computed in float64, whatever the dtype stored; activations are read
    in batches, so that memory does not grow with their number. Signs: the largest loading of each axis is positive.

    As in the paper, the vectors are by default the mean over *all* tokens of the prompt, so that they carry the
    few-shot prefix, the beginning token and, through 1/T, the prompt's length; pools that leave these out are used
    where the store has them (``pools="question"``). One thing differs from the published code: its last layer is
    Hugging Face's ``hidden_states[-1]``, which has gone through the final norm, and a store's has not. All other
    layers are the same.

    Args:
        store: an open store, or its folder.
        layers: ``"all"``, numbers of layers, or ``"0,4,8-12"``.
        pools: name of one pool; by default that of `basis`, or ``"mean"``, or the only one the store has.
        components: number of axes, any; by default as many as `basis` has, or 2.
        languages: codes or groups; by default all in the store. Only their prompts shape the axes.
        basis: an earlier PCA to project on (before and after tuning in one picture), instead of fitting new axes.
        site: by default the store's first, mostly ``resid``.
        state: ``"base"`` or ``"tuned"``; by default as the store was made, with an adapter or without.
        method: how axes are found, see `latentlang.geometry.pca_fit`.
        device: where it is computed, e.g. ``"cuda"``; it must know float64.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (layers done, layers).

    Raises:
        InputError: no such layer, pool or language, a basis of another model, or a number that is not finite.
    """
    opened = store if isinstance(store, ActivationStore) else open_store(store)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    state = state or ("tuned" if opened.provenance.adapter else "base")
    if state not in STATES:
        raise unknown("state", state, STATES)
    chosen = chosen_layers(layers, opened.layers if basis is None else _common_layers(opened, basis))
    count = _components(components, basis)
    check_components(count, opened.width(site), held=len(opened) * len(chosen))
    pool = _pool(pools, basis, opened.pools)
    where = working_device(device)
    frame = opened.frame()
    codes = chosen_languages(languages, frame["language"])
    kept = frame["language"].isin(codes).to_numpy(bool, copy=True)
    prompts = _prompts(frame, kept, state)
    bases, scores, explained = [], [], []
    with reporting(progress, "principal components", things="layers", total=len(chosen)) as report:
        for done, layer in enumerate(chosen):
            rows = LayerRows(opened.layer(layer, pools=pool, site=site), kept, where)
            axes = (
                fit(rows, count, state=state, method=method)
                if basis is None
                else basis.basis(layer).first(count)
            )
            bases.append(axes)
            layer_scores = project(rows, axes)
            scores.append(_scores(prompts, layer_scores, layer=layer, axes=axes.state))
            total = axes.total if basis is None else spread(rows)
            explained.append(_explained(axes, state, layer_scores, total))
            report(done + 1, len(chosen))
    settings = PCASettings(
        pool=pool, site=site or opened.sites[0], components=count, layers=chosen,
        harvested=opened.provenance.created,
    )  # fmt: skip
    return PCAResult(
        table=pd.concat(scores, ignore_index=True),
        provenance=_provenance(opened.provenance, codes, {**opened.provenance.settings, **settings.stored()}),
        bases=tuple(bases),
        explained=pd.concat(explained, ignore_index=True),
    )


def compare_pca(base: Store, tuned: Store, *, layers: Layers = "all", **options: Any) -> PCAResult:
    """Base and tuned states of the same prompts: both on the base's axes, and the tuned also on its own.

    The rows with ``axes == "base"`` show what moved, in one picture; those with ``axes == state`` are each in its own,
    as Zhang et al. 2024 (Figures 2 and 4) did, where a turn of the axes cannot be parted from a move of the points.

    Args:
        base: store of the base model, open or its folder.
        tuned: store of the tuned one, of the same layers and pool.
        layers: ``"all"`` (that both have), numbers of layers, or ``"0,4,8-12"``.
        **options: those of `pca` but ``basis`` and ``state``.

    Raises:
        InputError: as `pca`; or the stores hold different prompts, have no layer in common, or an option makes no
            sense here.
    """
    for name in ("basis", "state"):
        if name in options:
            raise InputError(f"compare_pca chooses {name!r} itself; leave it out")
    stores = [s if isinstance(s, ActivationStore) else open_store(s) for s in (base, tuned)]
    same_prompts(*stores)
    both = [layer for layer in stores[0].layers if layer in stores[1].layers]
    if not both:
        raise InputError("the two stores have no layer in common; harvest the same layers from both models")
    chosen = chosen_layers(layers, both)
    options["pools"] = chosen_pool(options.get("pools"), common_pools(*stores))
    progress: ProgressOption = options.pop("progress", True)

    with reporting(progress, "principal components", things="layers", total=3 * len(chosen)) as report:

        def after(earlier: int) -> Report:
            return lambda done, _: report(earlier * len(chosen) + done, 3 * len(chosen))

        before = pca(stores[0], layers=chosen, state="base", progress=after(0), **options)
        common = pca(stores[1], layers=chosen, state="tuned", basis=before, progress=after(1), **options)
        on_own_axes = pca(stores[1], layers=chosen, state="tuned", progress=after(2), **options)
    parts = (before, common, on_own_axes)
    origin, later = before.provenance, on_own_axes.provenance
    return PCAResult(
        table=pd.concat([part.table for part in parts], ignore_index=True),
        provenance=replace(
            origin,
            adapter=later.adapter,
            settings={**origin.settings, "tuned": {"model": later.model, "revision": later.revision}},
        ),
        bases=before.bases + on_own_axes.bases,
        explained=pd.concat([part.explained for part in parts], ignore_index=True),
    )


def _common_layers(store: ActivationStore, basis: PCAResult) -> list[int]:
    common = [layer for layer in basis.layers if layer in store.layers]
    if not common:
        raise InputError(
            f"the basis is of layers {ranges(basis.layers)}, and the store has {ranges(store.layers)}: none in common"
        )
    return common


def _components(given: int | None, basis: PCAResult | None) -> int:
    most = None if basis is None else basis.components
    count = given if given is not None else most or COMPONENTS
    check_count("components", count, least=1)
    if most is not None and count > most:
        raise InputError(f"the basis has {most} components; {count} were asked for: fit it with more")
    return count


def check_components(count: int, width: int, *, held: int) -> None:
    """Refuse more components than there are directions, or than the memory holds numbers for.

    Args:
        count: of components.
        width: of the activations.
        held: numbers that are kept of each component.

    Raises:
        InputError: it does.
    """
    most = max(width, _FEW_COMPONENTS)
    if count > most:
        raise InputError(
            f"components must be at most {most:,}, not {shown(count)}: activations of width {width:,} have no more"
        )
    if count * held > _MOST_NUMBERS:
        raise InputError(
            f"{count:,} components would take {8 * count * held / 2**30:,.0f} GiB; ask for fewer components or layers"
        )


def _pool(given: str | Iterable[str] | None, basis: PCAResult | None, present: Sequence[str]) -> str:
    fitted = None if basis is None else basis.settings.pool
    pool = chosen_pool(fitted if given is None else given, present)
    if fitted is not None and pool != fitted:
        raise InputError(f"the basis was fitted on pool {fitted!r}; {pool!r} cannot be projected on it")
    return pool


def _prompts(frame: pd.DataFrame, kept: NDArray[np.bool_], state: str) -> pd.DataFrame:
    """The columns of a result's table that do not change from layer to layer."""
    frame = frame.assign(state=state, row=np.arange(len(frame)))[kept]
    for name in ("text", "question"):  # once in memory, however many layers
        frame[name] = frame[name].astype("category")
    return frame.reset_index(drop=True)


def _scores(prompts: pd.DataFrame, scores: NDArray[np.float64], *, layer: int, axes: str) -> pd.DataFrame:
    named = {f"pc{component + 1}": scores[:, component] for component in range(scores.shape[1])}
    about = prompts.assign(layer=layer, axes=axes)[list(COLUMNS)]
    return pd.concat([about, pd.DataFrame(named, index=about.index)], axis="columns")


def _explained(axes: Basis, state: str, scores: NDArray[np.float64], total: float) -> pd.DataFrame:
    variance = scores.var(0, ddof=min(1, len(scores) - 1))
    return pd.DataFrame({
        "state": state, "axes": axes.state, "layer": axes.layer, "component": np.arange(1, len(variance) + 1),
        "variance": variance, "ratio": variance / total if total > 0 else 0.0, "total": total,
        "prompts": len(scores), "method": axes.method,
    })  # fmt: skip


def _provenance(origin: Provenance, codes: Sequence[str], settings: dict[str, Any]) -> Provenance:
    """The store's provenance, of the languages used; what was computed now has this moment's versions."""
    from latentlang.provenance import Provenance

    return Provenance(
        model=origin.model, task=origin.task, languages=tuple(codes), revision=origin.revision, adapter=origin.adapter,
        protocol=origin.protocol, policy="", seed=origin.seed, settings=settings,
    )  # fmt: skip
