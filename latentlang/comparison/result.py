"""What a before/after comparison found: the results of its parts, one table of changes, and what they say in words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

import pandas as pd

from latentlang.comparison.alignment_result import AlignmentComparison
from latentlang.comparison.change_table import COLUMNS, GLANCE, KINDS_OF_COLUMNS, accuracy_changes
from latentlang.comparison.comparison_settings import ComparisonSettings
from latentlang.comparison.lens import LensComparison, compare_lenses
from latentlang.comparison.text import highlights, sentences
from latentlang.errors import InputError
from latentlang.evaluation import EvaluationComparison
from latentlang.geometry import PCAResult
from latentlang.lens import LensResult
from latentlang.provenance import Provenance
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, View
from latentlang.storage.documents import reading
from latentlang.storage.output import METADATA
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

#: Where each result lies below the comparison's folder.
FOLDERS = {
    "evaluation": "evaluation", "lens_base": "lens/base", "lens_tuned": "lens/tuned", "pca": "pca",
    "alignment": "alignment",
}  # fmt: skip
REPORT = "report.html"


@dataclass(frozen=True)
class ComparisonResult(Result[ComparisonSettings]):
    """What an adapter changed, with what was measured before and after.

    Attributes:
        table: the changes of all parts; columns of `change_table.COLUMNS`.
        evaluation: every item's choice before and after; None where the part was left out, as for the others.
        lens: every item's readings before and after.
        pca: both states on the base's principal axes, and the tuned one on its own.
        alignment: both states' alignment with the pivot language.
        folder: where it lies on disk; None where it was not saved.
    """

    evaluation: EvaluationComparison | None = None
    lens: LensComparison | None = None
    pca: PCAResult | None = None
    alignment: AlignmentComparison | None = None
    folder: Path | None = field(default=None, compare=False)

    kind: ClassVar[str] = "comparison"
    columns: ClassVar[Columns] = KINDS_OF_COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = ComparisonSettings

    @property
    def seen_languages(self) -> tuple[str, ...]:
        """Codes of the languages that the adapter was trained on, as far as known."""
        return tuple(self.settings.seen_languages)

    @property
    def unseen(self) -> tuple[str, ...]:
        """Codes of the target languages that it was not trained on; none where that is not known."""
        if not self.settings.trained_known:
            return ()
        return tuple(code for code in self.provenance.languages if code not in self.seen_languages)

    @property
    def pivot(self) -> str:
        """Code of the language that might show in the middle layers, and that alignment is measured with."""
        return self.settings.pivot

    @property
    def level(self) -> float:
        """Coverage of the intervals."""
        return self.settings.level

    def describe(self) -> str:
        """What was compared; what changed and what did not: a verdict, then a sentence for each measure."""
        return " ".join(self._sentences())

    def _sentences(self) -> list[str]:
        return sentences(
            self.provenance,
            self.table,
            seen_languages=self.seen_languages,
            unseen=self.unseen,
            pivot=self.pivot,
            level=self.level,
        )

    def verdict(self) -> str:
        """What was compared, and in which measures there is evidence of change; the start of `describe`."""
        who, verdict, *_ = self._sentences()
        return f"{who} {verdict}"

    def highlights(self) -> list[str]:
        """At most three lines, a measure each, as the table of averages has it; what the page opens with."""
        return highlights(self.table, level=self.level, pivot=self.pivot)

    def glance(self) -> pd.DataFrame:
        """The averages over groups of languages, the columns to look at first."""
        return self.summary()[list(GLANCE)]

    def _view(self) -> View:
        return replace(super()._view(), words=self.verdict, points=self.highlights)

    def summary(self) -> pd.DataFrame:
        """The averages over groups of languages; columns of `change_table.COLUMNS`."""
        return self.table[self.table["group"] != "language"].reset_index(drop=True)

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """The change of each measure, language by layer.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.change_map import change_figure, comparison_maps

        return change_figure(
            comparison_maps(self), self.provenance, seen_languages=self.seen_languages, **look
        )

    def report(self, path: str | os.PathLike[str] | None = None, *, html: str = "whole") -> Path:
        """Write the whole comparison as one page that works offline; needs no model.

        Args:
            path: file to write; by default ``report.html`` in the result's folder.
            html: ``"whole"``, with plotly inside, or ``"light"``, with a link to one copy of it in the folder.

        Raises:
            InputError: there is no folder, or the file cannot be written.
        """
        from latentlang.comparison.report import write_comparison

        if path is None and self.folder is None:
            raise InputError("this comparison was not saved; say where the page goes: report(path)")
        return write_comparison(
            self, path if path is not None else (self.folder or Path()) / REPORT, html=html
        )

    def _save_parts(self, folder: Path) -> Sequence[str]:
        """Each part in a folder of its own."""
        parts: dict[str, Result[Any] | None] = {
            "evaluation": self.evaluation, "pca": self.pca, "alignment": self.alignment,
            "lens_base": None if self.lens is None else self.lens.base,
            "lens_tuned": None if self.lens is None else self.lens.tuned,
        }  # fmt: skip
        saved = []
        for name, part in parts.items():
            if part is None:
                continue
            if not self._is_there(name, folder):
                part.save(folder / FOLDERS[name])
            saved.append(f"{FOLDERS[name]}/{METADATA}")
        return saved

    def _is_there(self, name: str, folder: Path) -> bool:
        """Whether a step of a run has saved this part there already; the evaluation is joined of two."""
        same = self.folder is not None and self.folder.resolve() == folder.resolve()
        return same and name != "evaluation" and (folder / FOLDERS[name] / METADATA).exists()

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` or `compare` wrote.

        Raises:
            InputError: the folder holds no comparison, or a part of it is missing.
        """
        bare = super().load(folder)
        path = located(folder)
        parts = bare.settings.parts
        results: dict[str, Any] = {}
        if "evaluation" in parts:
            results["evaluation"] = EvaluationComparison.load(path / FOLDERS["evaluation"])
        if "lens" in parts:
            lenses = [LensResult.load(path / FOLDERS[name]) for name in ("lens_base", "lens_tuned")]
            with reading(path / "lens"):
                results["lens"] = compare_lenses(*lenses, seen_languages=bare.seen_languages)
        if "geometry" in parts:
            results["pca"] = PCAResult.load(path / FOLDERS["pca"])
            results["alignment"] = AlignmentComparison.load(path / FOLDERS["alignment"])
        return replace(bare, folder=path, **results)

    @classmethod
    def of(
        cls,
        provenance: Provenance,
        *,
        evaluation: EvaluationComparison | None = None,
        lens: LensComparison | None = None,
        pca: PCAResult | None = None,
        alignment: AlignmentComparison | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Put parts together, and their changes in one table; the coverage is the settings' ``level``."""
        level = ComparisonSettings.of(provenance).level
        tables = []
        if evaluation is not None:
            tables.append(accuracy_changes(evaluation, level=level))
        if lens is not None:
            tables.append(lens.changes(level))
        if alignment is not None:
            tables.append(alignment.changes())
        rows = [table for table in tables if len(table)]
        table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(COLUMNS))
        return cls(table, provenance, evaluation, lens, pca, alignment, folder)
