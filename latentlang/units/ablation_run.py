"""What a model loses of each language without the neurons of one, beside what it loses without others."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, ModelError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens.bits import bits_of_texts, scored_sizes
from latentlang.lens.tuned import as_lens
from latentlang.models import HookedLM, as_model
from latentlang.models.finished_languages import Kept, kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts
from latentlang.units.ablation_result import COLUMNS, NeuronAblationResult
from latentlang.units.ablation_settings import NeuronAblationSettings
from latentlang.units.matched import matched_set
from latentlang.units.neurons_result import FDR, VALUES, NeuronsResult, ablation
from latentlang.units.scores import LAPE_PERCENTILE, LAPE_SHARE, Floats

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
        ModelError: another model than was counted.
    """
    model = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    check_count("random", random, least=0)
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    if neurons.settings.n_layers != model.n_layers:
        raise ModelError(
            f"the neurons were counted in {neurons.provenance.model!r}, of {neurons.settings.n_layers} layers, and "
            f"this model has {model.n_layers}; give the model that was counted"
        )
    members = neurons.members(rule, share=share, percentile=percentile, fdr=fdr)
    selected: Members = np.any(members, axis=0)
    prompts, counted_too, about = _texts(neurons, texts, languages, items=items, held_out=held_out, seed=seed)
    codes = list(dict.fromkeys(prompt.language for prompt in prompts))
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
    tokenized = model.tokenize(prompts)
    sizes = np.array([size for _tokens, size in scored_sizes(model, prompts, tokenized)])
    done, total = Counter[str](), len(prompts) * (1 + len(having) * (1 + random))
    task: Task = texts if isinstance(texts, Task) else ContinuationTask()
    with (
        kept_in(out, model, [task]) as (finished,),
        reporting(progress, "taking out", things="paragraphs", total=total) as report,
    ):

        def forward(number: int) -> None:
            done["paragraphs"] += number
            report(done["paragraphs"], total)

        def bits(of_set: Members | None) -> Floats:
            edits = []
            if of_set is not None:
                edits = [
                    ablation(of_set, neurons.settings.layers, means.mean(0) if value == "mean" else None)
                ]
            with model.edited(edits):
                return bits_of_texts(
                    model, tokenized, layers=[model.n_layers], lens=as_lens(None, model),
                    batch_tokens=batch_tokens, done=forward,
                )[0][:, 0]  # fmt: skip

        plain = bits(None)
        changed: dict[str, list[Floats]] = {}
        for place, code in enumerate(having, start=1):
            # a language's folder is called by the first prompt
            first = sorted(prompts, key=lambda prompt: prompt.language != code)
            parts: list[Floats] = []
            for number, of_set in enumerate(sets[code]):

                def run(of_set: Members = of_set) -> Sequence[Kept]:
                    return [({"bits": torch.from_numpy(bits(of_set))}, {})]

                def restore(kept: Sequence[Kept], parts: list[Floats] = parts) -> None:
                    parts.append(kept[0][0]["bits"].numpy())

                if finished is None:
                    restore(run())
                else:
                    question = {
                        "set": _record(of_set), "layers": neurons.settings.layers, "value": value,
                        "means": None if value == "zero" else _record(means.mean(0)),
                    }  # fmt: skip
                    finished.run(f"ablation/{number}", first, question, run, restore)
            changed[code] = parts
            done["paragraphs"] = len(prompts) * (1 + place * (1 + random))
            report(done["paragraphs"], total)
    sizes_of = {code: _activation(sets[code], means[neurons.languages.index(code)]) for code in having}
    settings = NeuronAblationSettings(
        items=items, rule=rule, share=share, percentile=percentile, fdr=fdr, value=value, random=random,
        counted_too=counted_too, neurons={code: int(own[code].sum()) for code in having},
        layers=neurons.settings.layers, without=[code for code in asked if code not in having],
        activation=sizes_of, n_layers=model.n_layers,
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="neuron ablation",
        languages=tuple(codes), policy="", seed=seed, settings={**about, **settings.stored(), **model.noted},
    )  # fmt: skip
    return NeuronAblationResult(table=_table(prompts, plain, sizes, changed), provenance=provenance)


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


def _texts(
    neurons: NeuronsResult,
    texts: Texts,
    languages: str | Language | Iterable[str | Language] | None,
    *,
    items: int | None,
    held_out: bool,
    seed: int,
) -> tuple[list[Prompt], dict[str, int], dict[str, object]]:
    """The paragraphs, language by language; how many of each were counted too; and where they come from.

    Raises:
        InputError: all paragraphs of a language were counted.
    """
    if languages is None:
        languages = list(neurons.languages)
        if isinstance(texts, Mapping):
            languages = [code for code in languages if code in {_code(name) for name in texts}]
    listed, about = prompts_of_texts(texts, languages or None, items=None, seed=seed)
    known = dict(zip(listed, neurons.counts.counted(prompt.text for prompt in listed), strict=True))
    prompts: list[Prompt] = []
    counted_too: dict[str, int] = {}
    for code in dict.fromkeys(prompt.language for prompt in listed):
        every = [prompt for prompt in listed if prompt.language == code]
        fresh = [prompt for prompt in every if not (held_out and known[prompt])]
        if not fresh:
            raise InputError(
                f"all {len(every)} paragraphs in {code!r} were counted, and none is left to measure on; count fewer "
                "(neurons(..., items=)), give other texts, or say held_out=False"
            )
        chosen = fresh[:items]
        again = sum(known[prompt] for prompt in chosen)
        if again:
            counted_too[code] = again
        prompts += chosen
    return prompts, counted_too, about


def _code(name: str) -> str:
    return find_language(name).code


def _record(values: Members | Floats) -> str:
    """What a step is asked, of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def _activation(sets: Sequence[Members], means: Floats) -> list[float]:
    """Mean size of the mean activation of a set, and of its random ones."""
    sizes = [float(np.abs(means[each]).mean()) for each in sets]
    return [sizes[0], *([float(np.mean(sizes[1:]))] if len(sizes) > 1 else [])]


def _table(
    prompts: Sequence[Prompt],
    plain: Floats,
    sizes: NDArray[np.int64],
    changed: Mapping[str, Sequence[Floats]],
) -> pd.DataFrame:
    parts = [
        pd.DataFrame({
            "ablated": code, "language": [prompt.language for prompt in prompts], "set": number,
            "item": [prompt.item for prompt in prompts], "bits": bits, "plain": plain, "bytes": sizes,
        })
        for code, sets in changed.items()
        for number, bits in enumerate(sets)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]
