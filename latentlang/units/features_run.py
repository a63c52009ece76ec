"""An SAE's features over text in several languages: reconstruction first, then which belong to which language."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.lens.bits import scored_sizes
from latentlang.models import HookedLM, as_model
from latentlang.models.finished_languages import FinishedLanguages, Kept, kept_in
from latentlang.models.hooked import check_unedited
from latentlang.models.long_texts import fitting_texts
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts
from latentlang.units.counted_in import counted_model
from latentlang.units.counting import groups_of
from latentlang.units.features_counting import FeatureCounts, count_features
from latentlang.units.features_overlap import overlaps
from latentlang.units.features_result import COLUMNS, OVERLAP_COLUMNS, FeaturesResult, FeatureTotals
from latentlang.units.features_settings import FeaturesSettings
from latentlang.units.neurons_result import text_number
from latentlang.units.null import Deals, Exceedances, against_chance, false_discovery_rates
from latentlang.units.sae import Dictionary, Sae, as_sae
from latentlang.units.sae_files import read_sae

# Runs of the text where the reconstruction is put in place: as it is, with it, and with zero.
_RUNS = 3
# Features that are set against their deals at once.
_FEATURES = 2048


@checked_call
def features(
    model: HookedLM | str,
    sae: Sae | Dictionary | str | os.PathLike[str],
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    layer: int | None = None,
    site: str | None = None,
    splice: bool = True,
    groups: int = 10,
    deals: int = 200,
    held_out: bool = True,
    seed: int = 0,
    long_texts: str = "refuse",
    batch_tokens: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> FeaturesResult:
    """Measure how an SAE reconstructs each language, and which of its features belong to which.

    The texts are run once, or three times with `splice`; no activations are kept. The beginning-of-text token does not
    count and is never changed.

    Args:
        model: the model, or its name; it is not changed.
        sae: the folder or file of an SAE (`read_sae`), what `train_sae` gave, or an object of another library with
            ``encode`` and ``decode``.
        texts: a folder of parallel text, or ``"udhr"``; a task; or language code to a list of texts. Translations are
            compared where the text is parallel.
        languages: which languages, at least two; by default all that the texts have.
        items: paragraphs per language; None for all.
        layer: of an object of another library, where its activations come from, in this package's numbers.
        site: of such an object: ``resid`` (by default), ``attn_out``, ``mlp_out`` or ``mlp_post``.
        splice: whether bits per byte are measured with the reconstruction in the activation's place, and with zero.
        groups: into how many groups the paragraphs are dealt; a paragraph is in the same in every language.
        deals: how often the groups are dealt out to mixed pseudo-languages; 0 for no null.
        held_out: whether paragraphs that the SAE was trained on, as far as that is known, are left out.
        seed: draws paragraphs, groups, deals and bootstrap samples.
        long_texts: what becomes of texts longer than the model's context: ``"refuse"`` them, ``"cut"`` them at their
            end, or ``"drop"`` them; how many is in the settings, and `describe` says it.
        batch_tokens: see `HookedLM.iter_activations`.
        out: a folder in which finished languages are kept, so that a stopped run goes on; None to keep nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: fewer than two languages, too few paragraphs, an SAE that cannot be read, or a value that makes no
            sense.
        ModelError: the SAE does not fit the model.
    """
    model = as_model(model)
    check_unedited(model, "features are counted")
    for name, value, least in (
        ("items", items, 1), ("seed", seed, 0), ("groups", groups, 2), ("deals", deals, 0), ("layer", layer, 0),
    ):  # fmt: skip
        check_count(name, value, least=least)
    if isinstance(sae, str | os.PathLike):
        read = read_sae(sae, layer=layer, site=site)
    else:
        read = as_sae(sae, layer=layer, site=site)
    read.check(model)
    prompts, trained_too, about = fresh_paragraphs(
        texts, languages, known=read.texts, items=items, held_out=held_out, seed=seed
    )
    fitting = fitting_texts(model, [prompt for each in prompts.values() for prompt in each], long_texts)
    prompts = {code: [one for one in fitting.prompts if one.language == code] for code in prompts}
    if len(prompts) < 2:
        raise InputError(
            "features of a language are told from those of others: give texts in at least two languages, as "
            "{'ja': [...], 'de': [...]} or a folder"
        )
    placed = groups_of(prompts, groups, seed=seed)
    on_device = read.on(model.device)
    runs = _RUNS if splice else 1
    total = runs * sum(map(len, prompts.values()))
    task: Task = texts if isinstance(texts, Task) else ContinuationTask()
    counts: dict[str, FeatureCounts] = {}
    sizes: dict[str, list[int]] = {}
    with (
        kept_in(out, model, [task], sae=read.identity, groups=groups, splice=splice) as kept,
        reporting(progress, "counting", things="paragraphs", total=total) as report,
    ):
        done = Counter[str]()
        for code, each in prompts.items():
            encoded = model.tokenize(each)
            sizes[code] = [size for _tokens, size in scored_sizes(model, each, encoded)]
            of_group = [placed[prompt.item] for prompt in each]

            def forward(number: int) -> None:
                done["paragraphs"] += number
                report(done["paragraphs"], total)

            def count(
                encoded: Any = encoded, of_group: Any = of_group, forward: Any = forward
            ) -> FeatureCounts:
                return count_features(
                    model, on_device, encoded, of_group, count=groups, splice=splice, batch_tokens=batch_tokens,
                    done=forward,
                )  # fmt: skip

            counts[code] = _kept(kept[0], each, {"groups": of_group}, count)
            done["paragraphs"] = runs * sum(len(prompts[name]) for name in counts)
            report(done["paragraphs"], total)
    settings = FeaturesSettings(
        long_texts=long_texts, too_long=fitting.counts,
        items=items, groups=groups, deals=deals, site=read.site, layer=read.layer, features=read.features,
        architecture=read.architecture, sae=read.source, sae_sha256=read.identity, spliced=splice,
        n_layers=model.n_layers, counted={code: int(each.tokens.sum()) for code, each in counts.items()},
        trained_too=trained_too, training_known=bool(read.texts), **counted_model(model),
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="features",
        languages=tuple(prompts), policy="", seed=seed, settings={**about, **settings.stored(), **model.noted},
    )  # fmt: skip
    return FeaturesResult(
        table=_table(prompts, counts, sizes),
        provenance=provenance,
        counts=_totals(prompts, counts, groups=groups, deals=deals, seed=seed),
        pairs=_pairs(prompts, counts),
    )


def fresh_paragraphs(
    texts: Texts,
    languages: str | Language | Iterable[str | Language] | None,
    *,
    known: Sequence[int],
    items: int | None,
    held_out: bool,
    seed: int,
) -> tuple[dict[str, list[Prompt]], dict[str, int], dict[str, object]]:
    """Paragraphs by language, how many of each the SAE was trained on too, and where they come from.

    An item that it was trained on in one language is left out in that language alone.

    Args:
        texts: as of `features`.
        languages: which.
        known: `text_number` of the texts that it was trained on.
        items: per language, at most.
        held_out: whether these are left out.
        seed: of the draw of paragraphs.

    Raises:
        InputError: it was trained on all paragraphs of a language.
    """
    listed, about = prompts_of_texts(texts, languages, items=None if known else items, seed=seed)
    seen = set(known)
    prompts: dict[str, list[Prompt]] = {}
    trained_too: dict[str, int] = {}
    for code in dict.fromkeys(prompt.language for prompt in listed):
        every = [prompt for prompt in listed if prompt.language == code]
        trained = {prompt for prompt in every if text_number(prompt.text) in seen}
        fresh = [prompt for prompt in every if not (held_out and prompt in trained)]
        if not fresh:
            raise InputError(
                f"the SAE was trained on all {len(every)} paragraphs in {code!r}, and none is left to measure on; "
                "train on fewer (train_sae(..., items=)), give other texts, or say held_out=False"
            )
        prompts[code] = fresh[:items]
        again = sum(prompt in trained for prompt in prompts[code])
        if again:
            trained_too[code] = again
    return prompts, trained_too, about


def _kept(
    finished: FinishedLanguages | None, prompts: Sequence[Prompt], question: Mapping[str, Any], count: Any
) -> FeatureCounts:
    """Counts of a language, from those that are there."""
    if finished is None:
        counted: FeatureCounts = count()
        return counted
    restored: list[FeatureCounts] = []

    def read() -> list[Kept]:
        return [({name: each.contiguous() for name, each in count().tensors().items()}, {})]

    def restore(parts: Sequence[Kept]) -> None:
        ((tensors, _facts),) = parts
        restored[:] = [FeatureCounts.of(tensors)]

    finished.run("features", prompts, question, read, restore)
    return restored[0]


def _table(
    prompts: Mapping[str, Sequence[Prompt]],
    counts: Mapping[str, FeatureCounts],
    sizes: Mapping[str, Sequence[int]],
) -> pd.DataFrame:
    parts = []
    for code, each in prompts.items():
        count = counts[code]
        tokens = count.tokens.double()
        mean = count.sums.sum(0) / tokens.sum().clamp_min(1)
        variance = count.squares - 2 * count.sums @ mean + tokens * mean.square().sum()
        bits = count.bits if count.bits.shape[1] else torch.full((len(each), _RUNS), torch.nan)
        parts.append(
            pd.DataFrame({
                "language": code, "item": [prompt.item for prompt in each], "tokens": count.tokens.numpy(),
                "active": count.active.numpy(), "error": count.error.numpy(),
                "variance": variance.clamp_min(0).numpy(), "bits": bits[:, 0].numpy(), "spliced": bits[:, 1].numpy(),
                "zeroed": bits[:, 2].numpy(), "bytes": list(sizes[code]),
            })
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _totals(
    prompts: Mapping[str, Sequence[Prompt]],
    counts: Mapping[str, FeatureCounts],
    *,
    groups: int,
    deals: int,
    seed: int,
) -> FeatureTotals:
    """Counts of the halves, and what is told from chance."""
    placed = groups_of(prompts, groups, seed=seed)
    tokens = np.zeros((len(counts), groups))
    for place, (code, count) in enumerate(counts.items()):
        for prompt, number in zip(prompts[code], count.tokens.tolist(), strict=True):
            tokens[place, placed[prompt.item]] += number
    fires, total = (
        np.stack([getattr(count, name).numpy() for count in counts.values()]) for name in ("fires", "total")
    )
    z, q, rates = _against_chance(fires, total, tokens, deals=deals, seed=seed)
    halves = [[group for group in range(groups) if group % 2 == half] for half in (0, 1)]

    def by_half(values: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(np.stack([values[:, half].sum(1) for half in halves]))

    texts = sorted({text_number(prompt.text) for each in prompts.values() for prompt in each})
    return FeatureTotals(
        fires=by_half(fires), total=by_half(total), tokens=by_half(tokens),
        paragraphs=torch.stack([count.present.double().sum(0) for count in counts.values()]),
        z=torch.from_numpy(z), q=torch.from_numpy(q), rates=torch.from_numpy(rates),
        texts=torch.tensor(texts, dtype=torch.int64),
    )  # fmt: skip


def _against_chance(
    fires: NDArray[np.float64],
    total: NDArray[np.float64],
    tokens: NDArray[np.float64],
    *,
    deals: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Entropy of firing against that of mixed languages, its rate of false discoveries, and that of mean activations.

    Args:
        fires: ``[language, group, feature]``.
        total: the same.
        tokens: ``[language, group]``.
        deals: how often they are dealt out; 0 for no null.
        seed: of the deals.
    """
    languages, groups, count = fires.shape
    if not deals:
        return np.full(count, np.nan), np.ones(count), np.full((languages, count), np.nan)
    drawn = Deals.draw(languages, groups, deals=deals, seed=seed)
    low, high, unused = Exceedances(), Exceedances(), Exceedances()
    below, above = [], []
    for start in range(0, count, _FEATURES):
        part = slice(start, start + _FEATURES)
        below.append(against_chance(fires[..., part], tokens, drawn, low=low, high=unused).low)
        above.append(against_chance(total[..., part], tokens, drawn, low=unused, high=high).high)
    z = np.concatenate(below)
    return (
        z,
        false_discovery_rates(z, low, deals),
        false_discovery_rates(np.concatenate(above, 1), high, deals),
    )


def _pairs(prompts: Mapping[str, Sequence[Prompt]], counts: Mapping[str, FeatureCounts]) -> pd.DataFrame:
    rows = [
        pd.DataFrame({"one": one, "other": other, "item": items, "paired": paired, "unpaired": unpaired})
        for one, other, items, paired, unpaired in overlaps(
            {code: count.present.numpy() for code, count in counts.items()},
            {code: [prompt.item for prompt in each] for code, each in prompts.items()},
        )
    ]
    columns = list(OVERLAP_COLUMNS)
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)
