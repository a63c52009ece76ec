"""Alignment of every pair of languages at every layer, with nulls, intervals and controls, streamed from a store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import torch

from latentlang import defaults
from latentlang.activations import ActivationStore, open_store
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.geometry.alignment_result import AlignmentResult
from latentlang.geometry.alignment_table import Rows
from latentlang.geometry.confounds import TERMS
from latentlang.geometry.features import working_device
from latentlang.geometry.geometry_settings import AlignmentSettings
from latentlang.geometry.held_out_erasure import HeldOutErasure
from latentlang.geometry.layer_measurement import Job, Plan, measure_layer
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.measure_registry import chosen_measures, measure_of
from latentlang.geometry.measures import FEWEST
from latentlang.geometry.neighbours import NEIGHBOURS, neighbours_of
from latentlang.geometry.pairing import Pairing, pair_up
from latentlang.geometry.pca_fit import fit
from latentlang.geometry.pca_run import check_components
from latentlang.geometry.resampling import NULLS
from latentlang.geometry.selection import (
    Languages,
    chosen_languages,
    chosen_layers,
    chosen_pivot,
    chosen_pools,
)
from latentlang.geometry.subspaces import DIRECTIONS, directions_of
from latentlang.language_names import Language
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.stats.intervals import check_level, error_probability
from latentlang.text import counted

Store = ActivationStore | str | os.PathLike[str]


@checked_call
def alignment(
    store: Store,
    *,
    languages: Languages | None = None,
    pivot: str | Language | None = None,
    layers: Layers = defaults.LAYERS,
    pools: str | Iterable[str] | None = None,
    measures: str | Iterable[str] = defaults.MEASURES,
    items: str = defaults.PAIRED_ITEMS,
    null: str = defaults.NULL,
    components: int = defaults.COMPONENTS,
    neighbours: int = NEIGHBOURS,
    directions: int = DIRECTIONS,
    permutations: int = defaults.PERMUTATIONS,
    resamples: int = defaults.RESAMPLES,
    level: float = defaults.LEVEL,
    erase: str | None = None,
    erase_rank: int | None = None,
    seed: int = 0,
    device: str | torch.device = defaults.DEVICE,
    progress: ProgressOption = True,
) -> AlignmentResult:
    """Measure how alike two languages lay out the same items, for every pair, layer and pooling.

    Each language's own centroid is taken out before anything is compared, so that what is measured is how the *items*
    lie to each other; how far the languages lie apart is a measure of its own (``centroid_distance``). All measures are
    records of `measure_registry`; formulas and sources stand at the functions that these name, in
    `latentlang.geometry.measures`, `subspaces` and `neighbours`.

    Every value comes with what tells it from its look-alikes:

    - its null, a permutation test: translations unpaired, by permuting the items of the second language (Fisher 1935,
      section 21; Good 2005), with p exact and at least ``1 / (permutations + 1)``. With ``null="within-label"`` items
      are exchanged only within their label, so that two languages which merely agree on the *class* of an item are at
      chance; with ``"within-length"`` only with items of nearly the same length (strata of four), which takes out
      whatever length does, also what no regression finds, such as vectors of long prompts lying closer to their
      centroid;
    - an interval over items from half samples (`resampling.interval` says why no ordinary bootstrap);
    - ``partial``: the value once the number of tokens the pool averages over is regressed out, as T, 1/T and log T: for
      ``pearson`` the partial correlation given both languages' lengths, else each language's own lengths are taken out
      of all its features. ``centroid_distance`` has none: languages differ in length as such, and a regression would
      extrapolate;
    - the same under every pooling of the store: ``mean_no_bos`` leaves out the beginning token, ``question`` also the
      shared few-shot prefix.

    Permutations and half samples are the same for all pairs, layers and poolings, so ``p_family`` can say how likely so
    large a value is *anywhere* in the table of its measure and pooling: p with family-wise correction (max-T; Westfall
    and Young 1993).

    With `erase`, language is first taken out of the activations by a projection that is fitted on half of the items
    (`latentlang.geometry.erasers.fit_eraser`), and all measures are those of the other half. Three columns more say
    what that changed: ``erased_rank``, the dimensions taken out; ``unerased``, the value of the same items with nothing
    taken out; and ``random_erased``, with a random subspace of equal rank taken out.

    Memory: one layer of the languages in float32, ``languages * items * d_model * 4`` bytes, about five times (as
    stored, centred, without length, and both at length one), and a few hundred MiB beside it. Time grows with pairs
    (`pivot` makes fewer) and with permutations; where each pair has items of its own, pairs are measured one by one,
    and ``items="common"`` is much quicker.

    Args:
        store: an open store, or its folder.
        languages: codes or groups; by default all in the store. Their prompts shape the principal axes.
        pivot: compare each language with this one only; by default every pair.
        layers: ``"all"``, numbers of layers, or ``"0,4,8-12"``.
        pools: names of pools; by default all in the store.
        measures: names of measures (`measure_registry.measure_names`), or ``"all"``.
        items: ``"pairwise"``: all items that a pair has in common; ``"common"``: only those all languages have.
        null: ``"items"``, ``"within-label"`` or ``"within-length"``.
        components: principal components of all languages stacked for which Pearson r is taken.
        neighbours: k of the nearest neighbours (`neighbours.neighbours_of` says when fewer).
        directions: most directions of a language for SVCCA and Procrustes (`subspaces.directions_of` says when fewer).
        permutations: how often translations are unpaired.
        resamples: half samples for the intervals; 0 for none.
        level: coverage of intervals and bands; ``1 - level`` is the error probability of flags.
        erase: ``"lsar"``, ``"leace"``, ``"mean"`` or ``"random"``: how language is taken out; by default it is not.
        erase_rank: dimensions to take out, as `rank` of `latentlang.geometry.erase`.
        seed: of permutations, half samples, and of the halves that are erased and measured.
        device: where to compute, e.g. ``"cuda"``.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (layers and pools done, in all).

    Raises:
        InputError: an unknown name, an impossible number, one language only, no pair with enough items in common,
            labels within which nothing can be exchanged, or activations that are not finite.
    """
    counts = {
        "components": (components, 1), "neighbours": (neighbours, 1), "directions": (directions, 1),
        "permutations": (permutations, 0), "resamples": (resamples, 0), "seed": (seed, 0),
    }  # fmt: skip
    for name, (value, least) in counts.items():
        check_count(name, value, least=least)
    check_level(level)
    if null not in NULLS:
        raise unknown("null", null, NULLS)
    selected = chosen_measures(measures)
    opened = store if isinstance(store, ActivationStore) else open_store(store)
    frame = opened.frame()
    codes = chosen_languages(languages, frame["language"].astype(str))
    hub = None if pivot is None else chosen_pivot(pivot, codes)
    chosen = chosen_layers(layers, opened.layers)
    poolings = chosen_pools(pools, opened.pools)
    where = working_device(device)
    eraser = None
    if erase is not None:
        eraser = HeldOutErasure.prepare(
            frame, codes, opened.width(), method=erase, rank=erase_rank, seed=seed, device=where
        )
    elif erase_rank is not None:
        raise InputError(f"erase_rank={erase_rank!r} goes with erase=...: say how language is taken out")
    pairing = pair_up(frame, codes, pivot=hub, items=items, without=eraser.fitted if eraser else ())
    _check_items(pairing, halved=eraser is not None)
    plan = Plan(selected, neighbours=neighbours, directions=directions)
    jobs = [
        Job.prepare(
            group, frame, poolings, null=null, permutations=permutations,
            resamples=resamples, seed=seed, device=where,
        )
        for group in pairing.groups
    ]  # fmt: skip
    if plan.needs_axes:
        most = max(len(job.pairs) for job in jobs)
        check_components(components, opened.width(), held=most * (permutations + resamples + 1))
    rows = Rows(components=components, level=level, null=null)
    total, done = len(chosen) * len(poolings), 0
    with reporting(progress, "alignment", things="layers and pools", total=total) as report:
        for layer in chosen:
            for pool in poolings:
                view = opened.layer(layer, pools=pool)
                views = {"": view} if eraser is None else eraser.views(view)
                axes = {
                    name: fit(LayerRows(each, pairing.kept, where), components, state="base")
                    for name, each in (views.items() if plan.needs_axes else ())
                }
                for job in jobs:
                    measured = {
                        name: measure_layer(
                            each, job if not name else job.values_only(), plan, axes.get(name)
                        )
                        for name, each in views.items()
                    }  # fmt: skip
                    rows.add(
                        job.group,
                        measured.pop(""),
                        layer=layer,
                        pool=pool,
                        measures=selected,
                        controls=measured,
                    )
                done += 1
                report(done, total)
    origin = opened.provenance
    settings = AlignmentSettings(
        prompts_seed=origin.seed, pivot=hub, layers=chosen, pools=poolings, measures=list(selected),
        items_of_pairs=items, null=null, components=components, neighbours=neighbours, directions=directions,
        permutations=permutations, resamples=resamples, level=level, length_terms=list(TERMS), erase=erase,
        erase_items=None if eraser is None else len(eraser.fitted),
        notes=[*pairing.notes, *_notes(jobs, plan, permutations=permutations, level=level)],
    )  # fmt: skip
    provenance = Provenance(
        model=origin.model, task=origin.task, languages=pairing.languages, revision=origin.revision,
        adapter=origin.adapter, protocol=origin.protocol, policy="", seed=seed,
        settings={**origin.settings, **settings.stored()},
    )  # fmt: skip
    table = rows.table()
    if eraser is not None:
        table["erased_rank"] = [
            eraser.ranks[layer, pool] for layer, pool in zip(table["layer"], table["pooling"], strict=True)
        ]
    return AlignmentResult(table=table, provenance=provenance)


def _check_items(pairing: Pairing, *, halved: bool) -> None:
    """Refuse languages of which no two have enough items in common."""
    most = max(pairing.groups, key=lambda group: len(group.items))
    if len(most.items) < FEWEST:
        raise InputError(
            f"no two languages have {FEWEST} items in common{' beside those that erase= is fitted on' * halved}; "
            f"{most.what} have the most, {len(most.items)}: harvest the same items in each language, and more of them"
        )


def _notes(jobs: Sequence[Job], plan: Plan, *, permutations: int, level: float) -> list[str]:
    """What a reader should know of numbers that were smaller than asked for."""
    notes = []
    few = sum(len(job.group.pairs) for job in jobs if not job.enough)
    if few:
        notes.append(
            f"{counted(few, 'pair has', 'pairs have')} fewer than {FEWEST} items in common and no values"
        )
    least = min(len(job.group.items) for job in jobs if job.enough)
    options = {option for name in plan.measures for option in measure_of(name).options}
    if "directions" in options:
        fewer = directions_of(least, plan.directions)
        if fewer < plan.directions:
            notes.append(
                f"with {least} items, SVCCA and Procrustes use at most {counted(fewer, 'direction')}, not "
                f"{plan.directions}"
            )
    if "neighbours" in options:
        fewer = neighbours_of(least, plan.neighbours)
        if fewer < plan.neighbours:
            near = counted(fewer, "nearest neighbour counts", "nearest neighbours count")
            notes.append(f"with {least} items, {near}, not {plan.neighbours}")
    alone = max(job.alone for job in jobs)
    if alone:
        items = counted(
            alone, "item has a label of its own and stays", "items have a label of their own and stay"
        )
        notes.append(f"{items} paired in the null")
    unknown_lengths = sorted({pool for job in jobs for pool in job.without_lengths})
    if unknown_lengths:
        notes.append(
            f"the store does not know all lengths for {', '.join(unknown_lengths)}: no value with length taken out"
        )
    alpha = error_probability(level)
    if permutations > 0 and 1 / (1 + permutations) > alpha:
        notes.append(
            f"with {counted(permutations, 'permutation')} no p can be as small as {alpha:.2g}: all count as chance"
        )
    return notes
