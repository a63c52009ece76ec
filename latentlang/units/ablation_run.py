"""What a model loses of each language without the neurons of one, beside what it loses without others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.models import HookedLM, as_model
from latentlang.progress import ProgressOption
from latentlang.provenance import Provenance
from latentlang.tasks import Texts
from latentlang.units.ablation_result import NeuronAblationResult
from latentlang.units.ablation_sets import UnitSet, ablation_table, digest, held_out_texts, mean_sizes
from latentlang.units.ablation_settings import NeuronAblationSettings
from latentlang.units.counted_in import check_counted
from latentlang.units.matched import matched_set
from latentlang.units.neurons_result import FDR, VALUES, NeuronsResult, ablation
from latentlang.units.scores import LAPE_PERCENTILE, LAPE_SHARE

Members = NDArray[np.bool_]


@checked_call
def neuron_ablation(
    model: HookedLM | str,
    neurons: NeuronsResult,
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    ablated: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    rule: str = "fdr",
    share: float = LAPE_SHARE,
    percentile: float = LAPE_PERCENTILE,
    fdr: float = FDR,
    value: str = "zero",
    random: int = 20,
    held_out: bool = True,
    seed: int = 0,
    batch_tokens: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> NeuronAblationResult:
    """Measure how many more bits each language's text needs when the neurons of each language are taken out.

    The texts are run once as they are, and once for each language's neurons and each of its random sets: with K
    languages 1 + K (1 + `random`) times. Bits are those of `bits_per_byte` at the model's output.

    Args:
        model: the model that was counted, or its name; it is not changed.
        neurons: what `neurons` gave.
        texts: as for `neurons`; the same may be given again, of which what was counted is left out.
        languages: of the texts; by default all that were counted.
        ablated: whose neurons are taken out; by default those of all the languages of the texts.
        items: paragraphs per language at most; None for all that were not counted.
        rule: how neurons are selected; `share`, `percentile` and `fdr` as of `NeuronsResult.members`.
        share: see `rule`.
        percentile: see `rule`.
        fdr: see `rule`.
        value: what is put in their place at every token: ``zero``, or ``mean``, their mean over all languages counted.
        random: random sets beside each language's neurons: as many in each layer, with about their mean activation in
            that language, of no language themselves; 0 for none. Fewer than 19 cannot give a p of 0.05.
        held_out: whether paragraphs that were counted are left out.
        seed: draws paragraphs, random sets and bootstrap samples.
        batch_tokens: see `HookedLM.iter_activations`.
        out: a folder in which each finished set of neurons is kept, so that a stopped run goes on; None for none.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: all paragraphs of a language were counted, no language has a neuron, or a value makes no sense.
        ModelError: another model than was counted, or another adapter on it.
    """
    model = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    check_count("random", random, least=0)
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    check_counted(model, neurons.settings, neurons.provenance, units="neurons")
    members = neurons.members(rule, share=share, percentile=percentile, fdr=fdr)
    selected: Members = np.any(members, axis=0)
    measured = held_out_texts(
        texts, languages, known=neurons.languages, counted=neurons.counts.counted, items=items, held_out=held_out,
        seed=seed, counting="neurons", model=model, long_texts=neurons.settings.long_texts,
    )  # fmt: skip
    codes = measured.languages
    for code in codes:
        if code not in neurons.languages:
            raise unknown("language of these neurons", code, neurons.languages)
    asked = _asked(ablated, codes)
    own = {code: members[neurons.languages.index(code)] for code in asked}
    having = [code for code in asked if own[code].any()]
    if not having:
        raise InputError(f"no neuron belongs to {', '.join(asked)} by the rule {rule!r}: nothing to take out")
    means = neurons.means()
    sets = {
        code: [
            own[code],
            *(
                matched_set(own[code], selected, means[neurons.languages.index(code)], seed, code, number)
                for number in range(random)
            ),
        ]
        for code in having
    }
    layers = neurons.settings.layers
    instead = means.mean(0) if value == "mean" else None

    def unit_set(members: Members) -> UnitSet:
        return UnitSet(
            edit=lambda _prompts: ablation(members, layers, instead),
            question={
                "set": digest(members), "layers": layers, "value": value,
                "means": None if instead is None else digest(instead),
            },
        )  # fmt: skip

    table = ablation_table(
        model, measured.prompts, {code: [unit_set(each) for each in listed] for code, listed in sets.items()},
        texts=texts, kind="ablation", batch_tokens=batch_tokens, out=out, progress=progress,
    )  # fmt: skip
    settings = NeuronAblationSettings(
        items=items, rule=rule, share=share, percentile=percentile, fdr=fdr, value=value, random=random,
        counted_too=measured.counted_too, neurons={code: int(own[code].sum()) for code in having},
        layers=layers, without=[code for code in asked if code not in having],
        activation={
            code: mean_sizes(listed, means[neurons.languages.index(code)]) for code, listed in sets.items()
        },
        n_layers=model.n_layers,
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="neuron ablation",
        languages=tuple(codes), policy="", seed=seed,
        settings={**measured.about, **settings.stored(), **model.noted},
    )  # fmt: skip
    return NeuronAblationResult(table=table, provenance=provenance)


def _asked(ablated: str | Language | Iterable[str | Language] | None, codes: Sequence[str]) -> Sequence[str]:
    """Whose neurons are taken out, of the languages of the texts.

    Raises:
        InputError: of a language without text.
    """
    if ablated is None:
        return codes
    asked = [entry.code for entry in find_languages(ablated)]
    for code in asked:
        if code not in codes:
            raise unknown("language of these texts", code, codes)
    return asked
