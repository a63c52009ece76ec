"""What a model loses of each language without the features of one, beside what it loses without others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Unpack

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.models import Edit, HookedLM, as_model
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption
from latentlang.provenance import Provenance
from latentlang.results import Result, ResultSettings
from latentlang.storage.tables import Columns
from latentlang.tasks import Texts
from latentlang.units.ablation_sets import UnitSet, ablation_table, digest, held_out_texts, mean_sizes
from latentlang.units.ablation_tables import COLUMNS, ablation_contrasts, ablation_fault, ablation_summary
from latentlang.units.ablation_text import AblationWords, ablation_sentences
from latentlang.units.counted_in import check_counted
from latentlang.units.features_counting import text_positions
from latentlang.units.features_result import FDR, FeaturesResult
from latentlang.units.features_settings import FeatureAblationSettings
from latentlang.units.matched import matched_set
from latentlang.units.sae import VALUES, Dictionary, Sae, as_sae
from latentlang.units.sae_files import read_sae

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

Members = NDArray[np.bool_]
# Deng et al. 2025 take one feature out, or two.
_TOP = 2
_DONE = {
    "zero": "taken out", "mean": "set to their mean over languages",
    "direction": "taken out with all that lies along their directions",
}  # fmt: skip


@dataclass(frozen=True)
class FeatureAblationResult(Result[FeatureAblationSettings]):
    """What a model loses without the features of a language.

    Attributes:
        table: columns ``ablated`` (whose features are taken out), ``language`` (of the text), ``set`` (0 the language's
            own features, 1 and on the random sets), ``item``, ``bits`` that the paragraph then needs, ``plain``, those
            of the model as it is, and its UTF-8 ``bytes``.
    """

    kind: ClassVar[str] = "feature-ablation"
    columns: ClassVar[Columns] = COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = FeatureAblationSettings

    def fault(self) -> str | None:
        """A paragraph that is there twice, or has no byte."""
        return ablation_fault(self.table)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Change in bits per byte of each language's text without the features of each language.

        Columns as of `NeuronAblationResult.summary`.

        Args:
            level: coverage of the interval.
        """
        return ablation_summary(self.table, level=level, seed=self.provenance.seed)

    def contrasts(self, level: float = 0.95) -> pd.DataFrame:
        """Whether the features of a language matter more for its own text than for that of the other languages.

        Columns as of `NeuronAblationResult.contrasts`, with ``features`` for ``neurons``.

        Args:
            level: coverage of the interval.
        """
        return ablation_contrasts(
            self.table, self.summary(level), self.settings.features, units="features", level=level,
            seed=self.provenance.seed,
        )  # fmt: skip

    def glance(self) -> pd.DataFrame:
        """Of each language its own effect beside that on the others; columns as of `contrasts`."""
        return self.contrasts()

    def describe(self, level: float = 0.95) -> str:
        """Whose features matter, for which language, and what chance does.

        Args:
            level: coverage of the intervals.
        """
        return "\n".join(
            ablation_sentences(self.summary(level), self.contrasts(level), self._words(), level=level)
        )

    def _words(self) -> AblationWords:
        settings = self.settings
        return AblationWords(
            noun="feature", numbers=settings.features, done=_DONE.get(settings.value, settings.value),
            matched="as many features, about as active", random=settings.random,
            counted_too=tuple(settings.counted_too), without=tuple(settings.without), activation=settings.activation,
        )  # fmt: skip

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """A heat map: whose features are taken out, over the language of the text.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.neuron_ablation import ablation_figure

        return ablation_figure(self, self._words(), **look)


@checked_call
def feature_ablation(
    model: HookedLM | str,
    sae: Sae | Dictionary | str | os.PathLike[str],
    features: FeaturesResult,
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    rule: str = "nu",
    top: int = _TOP,
    fdr: float | None = FDR,
    value: str = "zero",
    random: int = 20,
    held_out: bool = True,
    seed: int = 0,
    batch_tokens: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> FeatureAblationResult:
    """Measure how many more bits each language's text needs when the features of each language are taken out.

    What the SAE does not explain stays in the stream: nothing changes but what the features add. The texts are run once
    as they are, and once for each language's features and each of its random sets: with K languages 1 + K (1 +
    `random`) times. Bits are those of `bits_per_byte` at the model's output.

    Args:
        model: the model that was counted, or its name; it is not changed.
        sae: the SAE that was counted.
        features: what `features` gave.
        texts: as for `features`; the same may be given again, of which what was counted is left out.
        languages: of the texts, and whose features are taken out; by default all that were counted.
        items: paragraphs per language at most; None for all that were not counted.
        rule: how features are selected; `top` and `fdr` as of `FeaturesResult.members`.
        top: features of a language, at most.
        fdr: rate of false discoveries; None for chance or not.
        value: ``zero`` takes away what the features add; ``mean`` puts their mean over all languages in its place;
            ``direction`` takes out whatever lies along their directions, features or not.
        random: random sets beside each language's features: as many, which add about as much in that language, of no
            language themselves; 0 for none. Fewer than 19 cannot give a p of 0.05.
        held_out: whether paragraphs that were counted are left out.
        seed: draws paragraphs, random sets and bootstrap samples.
        batch_tokens: see `HookedLM.iter_activations`.
        out: a folder in which each finished set of features is kept, so that a stopped run goes on; None for none.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: all paragraphs of a language were counted, no language has a feature, another SAE than was counted,
            or a value that makes no sense.
        ModelError: another model than was counted, or another adapter on it.
    """
    model = as_model(model)
    for name, number, least in (
        ("items", items, 1),
        ("seed", seed, 0),
        ("random", random, 0),
        ("top", top, 1),
    ):
        check_count(name, number, least=least)
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    told = features.settings
    check_counted(model, told, features.provenance, units="features")
    if isinstance(sae, str | os.PathLike):
        given = read_sae(sae, layer=told.layer, site=told.site)
    else:
        given = sae if isinstance(sae, Sae) else as_sae(sae, layer=told.layer, site=told.site)
    if given.identity != told.sae_sha256:
        raise InputError(
            f"{given!r} is not the SAE whose features were counted ({told.architecture}, {told.features} features, "
            f"{told.site} at layer {told.layer}); give that one"
        )
    given = given.on(model.device)
    members = features.members(rule, top=top, fdr=fdr)
    measured = held_out_texts(
        texts, languages, known=features.languages, counted=features.counts.counted, items=items, held_out=held_out,
        seed=seed, counting="features", model=model, long_texts=features.settings.long_texts,
    )  # fmt: skip
    codes = measured.languages
    for code in codes:
        if code not in features.languages:
            raise unknown("language of these features", code, features.languages)
    own = {code: members[features.languages.index(code)] for code in codes}
    having = [code for code in codes if own[code].any()]
    if not having:
        raise InputError(
            f"no feature belongs to {', '.join(codes)} by the rule {rule!r}: nothing to take out"
        )
    means = features.means()
    # how much a feature adds to the stream: its activation, in lengths of its direction
    added = means * given.directions().norm(dim=-1).double().cpu().numpy()
    selected: Members = np.any(members, axis=0)
    sets = {
        code: [
            own[code],
            *(
                matched_set(
                    own[code][None], selected[None], added[features.languages.index(code)][None], seed, code, number,
                    noun="feature",
                )[0]
                for number in range(random)
            ),
        ]
        for code in having
    }  # fmt: skip
    over_languages = torch.from_numpy(means.mean(0)).float().to(model.device)

    def unit_set(chosen: Members) -> UnitSet:
        def edit(prompts: Sequence[TokenizedPrompt]) -> Edit:
            return given.edit(
                np.flatnonzero(chosen).tolist(),
                value=value,
                means=over_languages,
                positions=text_positions(prompts),
            )

        return UnitSet(
            edit=edit,
            question={
                "set": digest(chosen), "sae": told.sae_sha256, "value": value,
                "means": digest(means.mean(0)) if value == "mean" else None,
            },
        )  # fmt: skip

    table = ablation_table(
        model, measured.prompts, {code: [unit_set(each) for each in listed] for code, listed in sets.items()},
        texts=texts, kind="feature-ablation", batch_tokens=batch_tokens, out=out, progress=progress,
    )  # fmt: skip
    settings = FeatureAblationSettings(
        items=items, rule=rule, top=top, fdr=fdr, value=value, random=random, counted_too=measured.counted_too,
        features={code: int(own[code].sum()) for code in having},
        without=[code for code in codes if code not in having],
        activation={
            code: mean_sizes(listed, added[features.languages.index(code)]) for code, listed in sets.items()
        },
        site=told.site, layer=told.layer, sae=given.source, sae_sha256=told.sae_sha256, n_layers=model.n_layers,
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="feature ablation",
        languages=tuple(codes), policy="", seed=seed,
        settings={**measured.about, **settings.stored(), **model.noted},
    )  # fmt: skip
    return FeatureAblationResult(table=table, provenance=provenance)
