"""Alignment of every language with the pivot, before and after, with intervals of the paired difference over items."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import torch

from latentlang import defaults
from latentlang.activations import ActivationStore, open_store
from latentlang.arguments import Layers, check_count
from latentlang.comparison.alignment_result import COLUMNS, AlignmentComparison
from latentlang.comparison.comparison_settings import AlignmentComparisonSettings
from latentlang.comparison.half_samples import HalfSamples, averaged, tabulated
from latentlang.errors import InputError
from latentlang.geometry.features import working_device
from latentlang.geometry.geometry_settings import TunedModel
from latentlang.geometry.layer_measurement import Job, Plan, measure_layer
from latentlang.geometry.layer_rows import LayerRows
from latentlang.geometry.measure_registry import chosen_measures
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.geometry.measures import FEWEST
from latentlang.geometry.neighbours import NEIGHBOURS
from latentlang.geometry.pairing import pair_up
from latentlang.geometry.pca_fit import fit
from latentlang.geometry.selection import (
    Languages,
    chosen_languages,
    chosen_layers,
    chosen_pivot,
    chosen_pools,
    common_pools,
    same_prompts,
)
from latentlang.geometry.subspaces import DIRECTIONS
from latentlang.language_names import Language
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance

if TYPE_CHECKING:
    from latentlang.geometry.basis import Basis

Store = ActivationStore | str | os.PathLike[str]


def compare_alignment(
    base: Store,
    tuned: Store,
    *,
    pivot: str | Language = defaults.PIVOT,
    languages: Languages | None = None,
    layers: Layers = "all",
    pools: str | Iterable[str] | None = None,
    measures: str | Iterable[str] = defaults.COMPARED_MEASURES,
    components: int = defaults.COMPARED_COMPONENTS,
    permutations: int = defaults.COMPARED_PERMUTATIONS,
    resamples: int = defaults.COMPARED_RESAMPLES,
    level: float = defaults.LEVEL,
    seed: int = 0,
    seen_languages: Sequence[str] = (),
    device: str | torch.device = "cpu",
    progress: ProgressOption = True,
) -> AlignmentComparison:
    """Measure alignment with the pivot in both states of a model, and how sure the difference is.

    Measures and nulls are those of `latentlang.alignment`. Both states are measured on the same half samples
    of items, so that the spread of ``after - before`` over these (the delete-d jackknife with d = n/2: Shao and Wu
    1989; see `geometry.resampling`) holds what the two have in common; the interval is the difference plus and minus
    its normal quantile, p that of a two-sided normal test. Where the two states give the same numbers the difference is
    0, with an interval of no width. Groups of languages draw languages too, with replacement, for each half sample.

    Pearson r is taken on the *base's* principal axes in both states: on axes of its own a tuned state may order its
    components otherwise, and r of component 1 would be of something else.

    Args:
        base: store of the base state, open or its folder.
        tuned: store of the tuned one, of the same prompts.
        pivot: the language that all others are compared with.
        languages: codes or groups; by default all in the stores.
        layers: ``"all"`` (that both have), numbers, or ``"0,4,8-12"``.
        pools: names of pools; by default all that both have.
        measures: names of measures, or ``"all"``.
        components: principal components for which Pearson r is taken.
        permutations: how often translations are unpaired for the null's mean.
        resamples: half samples of the items.
        level: coverage of intervals, and 1 less the chance of any false change.
        seed: of permutations, half samples and draws of languages.
        seen_languages: codes of the languages that training has seen.
        device: where to compute.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (steps done, steps in all).

    Raises:
        InputError: the stores are of different prompts, or as for `alignment`.
    """
    check_count("resamples", resamples, least=2)
    check_count("permutations", permutations, least=0)
    stores = [store if isinstance(store, ActivationStore) else open_store(store) for store in (base, tuned)]
    frame = same_prompts(*stores)
    measured = chosen_measures(measures)
    codes = chosen_languages(languages, frame["language"].astype(str))
    hub = chosen_pivot(pivot, codes)
    chosen = chosen_layers(layers, [layer for layer in stores[0].layers if layer in stores[1].layers])
    names = chosen_pools(pools, common_pools(*stores))
    pairing = pair_up(frame, codes, pivot=hub)
    where = working_device(device)
    plan = Plan(measured, neighbours=NEIGHBOURS, directions=DIRECTIONS)
    jobs = [
        Job.prepare(
            group, frame, [], null="items", permutations=permutations, resamples=resamples, seed=seed, device=where
        )
        for group in pairing.groups
    ]  # fmt: skip
    # Prompts are as long in both states: there is nothing to take out of their difference.
    jobs = [replace(job, lengths=dict.fromkeys(names)) for job in jobs if job.enough]
    if not jobs:
        raise InputError(
            f"no language has {FEWEST} items in common with {hub!r}; harvest more items, in each language the same"
        )
    by_measure: dict[tuple[str, str], list[HalfSamples]] = {}
    total, done = len(chosen) * len(names) * len(jobs), 0
    with reporting(progress, "alignment", things="steps", total=total) as report:
        for pool in names:
            for layer in chosen:
                views = [store.layer(layer, pools=pool) for store in stores]
                axes: Basis | None = None
                if plan.needs_axes:
                    axes = fit(LayerRows(views[0], pairing.kept, where), components, state="base")
                for job in jobs:
                    before, after = (measure_layer(view, job, plan, axes) for view in views)
                    for (one, _), (other, _) in zip(before, after, strict=True):
                        for index, name in enumerate(one.names):
                            halves = HalfSamples.of(
                                layer, job.group, one, other, index, scale=find_measure(name).scale
                            )
                            by_measure.setdefault((pool, name), []).append(halves)
                    done += 1
                    report(done, total)
    task = stores[0].provenance.task
    tables, averages = [], []
    for (pool, name), samples in by_measure.items():
        tables.append(tabulated(samples, level=level).assign(measure=name, pooling=pool, language_a=hub))
        about = {"part": "alignment", "task": task, "measure": name}
        rows = averaged(samples, codes, seen_languages=seen_languages, about=about, level=level, seed=seed)
        averages.append(rows.assign(pooling=pool))
    earlier, later = stores[0].provenance, stores[1].provenance
    settings = AlignmentComparisonSettings(
        pivot=hub, layers=chosen, pools=names, measures=list(measured), components=components,
        permutations=permutations, resamples=resamples, level=level, seen=list(seen_languages),
        notes=list(pairing.notes),
        tuned=TunedModel(model=later.model, revision=later.revision),
        after=later.model if later.model != earlier.model else None,
    )  # fmt: skip
    provenance = Provenance(
        model=earlier.model, task=earlier.task, languages=tuple(codes), revision=earlier.revision,
        adapter=later.adapter, protocol=earlier.protocol, policy="", seed=seed,
        settings={**earlier.settings, **settings.stored()},
    )  # fmt: skip
    table = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    return AlignmentComparison(
        table=table, provenance=provenance, averages=pd.concat(averages, ignore_index=True)
    )
