"""What a model translated, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import pandas as pd

from latentlang.language_names import Language
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.tables import Columns
from latentlang.text import counted, percent
from latentlang.translation.scores_result import TranslationScores, join_scores
from latentlang.translation.scoring import score_translations
from latentlang.translation.translation_settings import TranslationSettings

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = (
    "direction", "source_language", "target_language", "item", "source", "reference", "hypothesis", "written", "tokens",
    "ended",
)  # fmt: skip
# What of the model's own settings goes with the scores.
_NOTED = ("model_quantization", "model_loaded_from")
# From this share on it is said that translations were cut off.
_MANY_CUT = 0.01


@dataclass(frozen=True)
class TranslationResult(Result[TranslationSettings]):
    """What a model wrote as translations.

    Attributes:
        table: columns ``direction, source_language, target_language, item, source`` (the text), ``reference``,
            ``hypothesis`` (the translation in what was written), ``written`` (all of it), ``tokens``, ``ended``
            (``stop-string``: its line did, ``end`` of the text, or ``length``: it was cut off).
    """

    kind: ClassVar[str] = "translation"
    columns: ClassVar[Columns] = {**dict.fromkeys(COLUMNS[:8], "text"), "tokens": "whole", "ended": "text"}
    settings_type: ClassVar[type[ResultSettings]] = TranslationSettings

    def fault(self) -> str | None:
        """A translation that is there twice."""
        return repeated(self.table, ["direction", "item"])

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions, in the order of the table."""
        return tuple(dict.fromkeys(self.table["direction"].astype(str)))

    @property
    def system(self) -> str:
        """The model, and its adapter's name, as scores call them."""
        model, adapter = self.provenance.model, self.provenance.adapter
        return f"{model} + {Path(adapter).name}" if adapter else model

    @cached_property
    def scores(self) -> TranslationScores:
        """Scores by `score_translations` as it is by default, all directions in one."""
        return self.score()

    def score(
        self,
        *,
        system: str | None = None,
        among: str | Language | Iterable[str | Language] | None = None,
        **options: Any,
    ) -> TranslationScores:
        """Scores of all directions in one.

        Args:
            system: what the model is called; by default its name.
            among: languages that a translation may be in; see `score_translations`.
            **options: others of `score_translations`: ``metrics``, ``tokenize``, ``comet``, ``level``, ``resamples``.

        Raises:
            InputError: as of `score_translations`.
        """
        name = self.system if system is None else system
        options = {"seed": self.provenance.seed, "progress": False, **options}
        scores = join_scores(*(
            score_translations(
                {name: part["hypothesis"].tolist()}, part["reference"].tolist(), sources=part["source"].tolist(),
                lang=str(part["target_language"].iloc[0]), source=str(part["source_language"].iloc[0]),
                items=part["item"].tolist(), among=among, **options,
            )
            for _direction, part in self.table.groupby("direction", sort=False, observed=True)
        ))  # fmt: skip
        run = self.provenance
        noted = {name: run.settings[name] for name in _NOTED if name in run.settings}
        provenance = replace(
            scores.provenance, model=run.model, revision=run.revision, adapter=run.adapter,
            settings={**scores.provenance.settings, **noted},
        )  # fmt: skip
        return replace(scores, provenance=provenance)

    def glance(self) -> pd.DataFrame:
        """The scores, a row a direction and metric."""
        return self.scores.glance()

    def describe(self) -> str:
        """What the translations are worth beside the nulls, and how many were cut off."""
        settings = self.settings
        how = str(settings.decoding.get("how", "greedy"))
        written = {"beam": "by beam search", "sample": "by draws"}.get(how, "greedily")
        asked = "as in a chat" if settings.chat else f"after {counted(settings.shots, 'example')}"
        lines = [
            f"{self.system} translated {counted(settings.n_items, 'text')} in "
            f"{counted(len(self.directions), 'direction')}, {asked}, {written}.",
            self.scores.describe(),
        ]
        cut = float((self.table["ended"] == "length").mean())
        if cut >= _MANY_CUT:
            lines.append(f"{percent(round(cut, 3))} of the translations were cut off at their longest.")
        return "\n".join(lines)

    def figure(self, *, metric: str | None = None, **look: Unpack[Look]) -> go.Figure:
        """The scores of each direction beside the nulls.

        Args:
            metric: which; by default BLEU.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a metric that there is not, or nothing to draw.
        """
        return self.scores.figure(metric=metric, **look)
