"""Taking out of each layer of a store what tells its languages apart, measured on items that were not fitted."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang import defaults
from latentlang.activations import ActivationStore, LayerView, open_store
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.geometry.directions_run import holds_beginning, measured_from, vector_pool
from latentlang.geometry.erasers import Projection, check_rank, fit_eraser, random_projection
from latentlang.geometry.erasure_result import COLUMNS, ErasureResult
from latentlang.geometry.features import working_device
from latentlang.geometry.geometry_settings import ErasureSettings
from latentlang.geometry.held_out import halves, nearest_mean_accuracy, read_items, shared_items
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.pairing import Group
from latentlang.geometry.selection import Languages, chosen_languages, chosen_layers
from latentlang.progress import ProgressOption, reporting

Store = ActivationStore | str | os.PathLike[str]


@checked_call
def erase(
    store: Store,
    *,
    method: str = defaults.ERASE_METHOD,
    rank: int | None = None,
    languages: Languages | None = None,
    pools: str | Sequence[str] | None = None,
    layers: Layers = defaults.LAYERS,
    site: str | None = None,
    seed: int = defaults.SEED,
    device: str | torch.device = defaults.DEVICE,
    progress: ProgressOption = True,
) -> ErasureResult:
    """Find what has to be taken out of each layer for its languages to be alike.

    Methods are said at `latentlang.geometry.erasers.fit_eraser`. The projections that are returned are fitted on all
    items that all languages have. What the table says of them is measured with others: each half of the items is erased
    by a projection fitted on the other half, then divided again, and the means of one part tell the languages of the
    other part. A random subspace of equal rank is taken out for comparison.

    Args:
        store: an open store, or its folder.
        method: ``"lsar"``, ``"leace"``, ``"mean"`` or ``"random"``.
        rank: dimensions to take out; by default, for ``"lsar"`` those in which halves of the items agree, for others
            one less than languages. ``"leace"`` takes none.
        languages: codes or groups, two or more; by default all in the store.
        pools: name of one pool; by default as of `directions`.
        layers: ``"all"``, numbers of layers, or ``"0,4,8-12"``.
        site: by default the store's first, mostly ``resid``.
        seed: of halves and random subspaces.
        device: where to compute, e.g. ``"cuda"``.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (layers done, layers).

    Raises:
        InputError: an unknown name, one language only, too few items that all languages have, a rank that cannot be, or
            activations that are not finite.
    """
    check_count("seed", seed, least=0)
    opened = store if isinstance(store, ActivationStore) else open_store(store)
    frame = opened.frame()
    codes = chosen_languages(languages, frame["language"].astype(str))
    check_rank(rank, method=method, languages=len(codes), width=opened.width(site))
    chosen = chosen_layers(layers, opened.layers)
    pool = vector_pool(pools, opened)
    where = working_device(device)
    shared = shared_items(frame, codes, what="languages that are erased")
    parts = halves(shared.count, seed=seed)
    rows: list[dict[str, float]] = []
    projections: dict[int, Projection] = {}
    with reporting(progress, "erasure", things="layers", total=len(chosen)) as report:
        for done, layer in enumerate(chosen):
            view = opened.layer(layer, pools=pool, site=site)

            def fitted(items: Tensor, view: LayerView = view) -> Projection:
                return fit_on(view, shared.group, items, method=method, rank=rank, seed=seed, device=where)

            everything = fitted(torch.arange(shared.count))
            projections[layer] = everything
            given = read_items(view, shared.group, device=where)
            held_out = [
                _accuracies(given[:, tested], fitted(other), seed=seed, layer=layer)
                for tested, other in (parts, parts[::-1])
            ]
            spread = (given - given.mean((0, 1))).square().sum()
            taken = given - everything(given)
            removed = (taken - taken.mean((0, 1))).square().sum()
            rows.append({
                "layer": layer, "rank": everything.rank,
                "removed": float(removed / spread) if float(spread) > 0 else 0.0,
                **{name: (held_out[0][name] + held_out[1][name]) / 2 for name in held_out[0]},
                "chance": 1 / len(codes), "n": shared.count,
            })  # fmt: skip
            report(done + 1, len(chosen))
    origin = opened.provenance
    settings = ErasureSettings(
        prompts_seed=origin.seed, method=method, rank=rank, pool=pool, site=site or opened.sites[0],
        bos=holds_beginning(frame, pool), layers=chosen, items=shared.count, notes=list(shared.notes),
        model_weights=opened.manifest.model.get("weights"),
        model_adapters=opened.manifest.model.get("adapters"),
    )  # fmt: skip
    return ErasureResult(
        table=pd.DataFrame(rows)[list(COLUMNS)],
        provenance=measured_from(origin, codes, seed=seed, settings=settings.stored()),
        projections=projections,
    )


def fit_on(
    view: LayerView,
    group: Group,
    items: Tensor,
    *,
    method: str,
    rank: int | None,
    seed: int,
    device: torch.device,
) -> Projection:
    """The projection fitted on some items of one layer.

    Args:
        view: the layer.
        group: languages and items.
        items: places of the items in the group, ``[item]``.
        method: as of `fit_eraser`, as are `rank` and `seed`.
        rank: dimensions.
        seed: of the random subspace, and of the halves that LSAR's rank is found by.
        device: where to compute.

    Raises:
        InputError: a number is not finite.
    """
    chosen = group.rows[:, items.numpy()]
    of_language = np.full(len(view), -1)
    half_of: NDArray[np.int64] = np.zeros(len(view), dtype=np.int64)
    for language, own in enumerate(chosen):
        of_language[own] = language
    _, second = halves(len(items), seed=seed)
    half_of[chosen[:, second.numpy()]] = 1
    kept = of_language >= 0
    rows = LayerRows(view, kept, device)
    return fit_eraser(rows, of_language[kept], method=method, rank=rank, seed=seed, halves=half_of[kept])


def _accuracies(rows: Tensor, projection: Projection, *, seed: int, layer: int) -> dict[str, float]:
    """How often the nearest mean is right on rows ``[language, item, d]`` that the projection was not fitted on."""
    fitted, tested = halves(rows.shape[1], seed=seed + 1)
    random = random_projection(rows.shape[2], max(1, projection.rank), seed=seed, layer=layer)
    states = {"accuracy": rows, "accuracy_erased": projection(rows), "accuracy_random": random(rows)}
    return {
        name: (
            nearest_mean_accuracy(state[:, fitted], state[:, tested])
            + nearest_mean_accuracy(state[:, tested], state[:, fitted])
        )
        / 2
        for name, state in states.items()
    }
