"""The pivot's gap under several lenses side by side: the same items, one run of the model, one null for all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd

from latentlang import defaults
from latentlang.arguments import Layers, checked_call
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language, one_language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens.base import Lens, lens_settings
from latentlang.lens.contrasts import POOLED
from latentlang.lens.lens_settings import PivotByLensSettings
from latentlang.lens.logit import prompts_of
from latentlang.lens.multilingual import COLUMNS as READ_COLUMNS
from latentlang.lens.multilingual import MultilingualLensPass, MultilingualLensResult
from latentlang.lens.pivot_lenses_text import lens_sentences
from latentlang.lens.pivot_test import MINIMUM_LEAD, PivotTest, find_pivots
from latentlang.lens.prompt_run import run_passes
from latentlang.lens.text import unread_notes
from latentlang.models import HookedLM, as_model
from latentlang.models.finished_languages import kept_in
from latentlang.progress import ProgressOption, reporting
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.intervals import bootstrap_means, check_level, unless_few
from latentlang.storage.tables import Columns
from latentlang.tasks import Task, as_task
from latentlang.tasks.base import check_pivot

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = ("lens", *READ_COLUMNS)
GAP_COLUMNS = (
    "lens", "language", "layer", "gap", "low", "high", "lead", "lead_low", "lead_high", "p", "leads", "n",
)  # fmt: skip
DIFFERENCE_COLUMNS = ("lens", "language", "gap", "difference", "low", "high", "n")
_FEWEST_LENSES = 2
#: What a lens may be given as.
GivenLens = Lens | str | os.PathLike[str] | None


@dataclass(frozen=True)
class PivotByLensResult(Result[PivotByLensSettings]):
    """What every layer gives each language's word for the answer, per item, under several lenses.

    Attributes:
        table: as of `MultilingualLensResult`, with a column ``lens`` before all others. At the last layer, the model's
            own output, all lenses read the same.
    """

    kind: ClassVar[str] = "pivot-by-lens"
    columns: ClassVar[Columns] = {"lens": "text", **MultilingualLensResult.columns}
    settings_type: ClassVar[type[ResultSettings]] = PivotByLensSettings

    def fault(self) -> str | None:
        """A reading that is there twice, or a lens that was not read on the items of the others."""
        counts = self.table.groupby("lens", observed=True).size()
        if set(map(str, counts.index)) != set(self.lenses):
            return "its lenses are not those that its record names"
        if counts.nunique() > 1:
            return "its lenses were read on other items each"
        keys = ["lens", "task", "language", "answer_language", "curve", "item", "label", "layer"]
        return repeated(self.table, keys)

    @property
    def lenses(self) -> tuple[str, ...]:
        """What the lenses are called, in the order in which they were given."""
        return tuple(self.settings.lenses)

    def readings(self, lens: str) -> pd.DataFrame:
        """The table of one lens, as of `MultilingualLensResult`.

        Raises:
            InputError: there is no such lens.
        """
        if lens not in self.lenses:
            raise unknown("lens of this result", lens, self.lenses)
        part = self.table[self.table["lens"].astype(str) == lens]
        return part[list(READ_COLUMNS)].reset_index(drop=True)

    def pivot_tests(
        self, level: float = 0.95, permutations: int = 1000, minimum: float = MINIMUM_LEAD
    ) -> dict[str, PivotTest]:
        """Which language leads under each lens, by the test of `MultilingualLensResult.pivot_test` with one null.

        Right and wrong labels are exchanged alike under all lenses, and a score counts only if it exceeds the largest
        of nearly all such searches over lenses, languages and layers: who tries more lenses finds no more by chance.

        Args:
            level: as there, like all that follows.
            permutations: how often right and wrong labels are exchanged.
            minimum: a lead smaller than this is called no pivot.

        Raises:
            InputError: an impossible number.
        """
        return find_pivots(
            {lens: self.readings(lens) for lens in self.lenses},
            self.provenance,
            level=level,
            permutations=permutations,
            minimum=minimum,
        )

    def gaps(self, level: float = 0.95, *, tests: Mapping[str, PivotTest] | None = None) -> pd.DataFrame:
        """The pivot's gap at each layer under each lens: its right words minus its words for wrong labels.

        Columns ``lens, language, layer, gap, low, high, lead, lead_low, lead_high, p, leads, n``, as in
        `PivotTest.scores`; `language` ``all`` is the mean over the target languages.

        Args:
            level: coverage of the intervals.
            tests: as `pivot_tests` gave them, so that they need not be made again.
        """
        pivot = self.settings.pivot
        parts = []
        for lens, test in (tests or self.pivot_tests(level)).items():
            scores = test.scores[test.scores["answer_language"] == pivot]
            parts.append(scores.rename(columns={"score": "gap"}).assign(lens=lens))
        return pd.concat(parts, ignore_index=True)[list(GAP_COLUMNS)]

    def differences(self, level: float = 0.95, *, against: str | None = None) -> pd.DataFrame:
        """How much larger the pivot's gap is under each lens than under one of them, item by item.

        The gap is averaged over the layers before the last. Columns ``lens, language, gap, difference, low, high, n``:
        `difference` with a bootstrap interval over items, none of fewer than three; NaN for the lens that the others
        are held against. Languages that are the pivot, or whose prompts hold its word, are left out; ``all`` is the
        mean over the others.

        Args:
            level: coverage of the intervals.
            against: the lens that others are held against; by default the first.

        Raises:
            InputError: no such lens, or no language in which the pivot can be looked for.
        """
        check_level(level)
        first = self.lenses[0] if against is None else against
        if first not in self.lenses:
            raise unknown("lens of this result", first, self.lenses)
        means = self._inner_gaps()
        rows = []
        for code in dict.fromkeys(means["language"]):
            wide = means[means["language"] == code].pivot(index="item", columns="lens", values="gap")
            for lens in self.lenses:
                row = {"lens": lens, "language": code, "gap": float(wide[lens].mean()), "n": len(wide)}
                if lens == first:
                    rows.append(row | dict.fromkeys(("difference", "low", "high"), np.nan))
                    continue
                change = (wide[lens] - wide[first]).to_numpy(float)
                # a gap is within 1 of zero
                ends = bootstrap_means(
                    change[:, None], least=-2.0, most=2.0, level=level, seed=self.provenance.seed
                )
                low, high = unless_few(len(change), ends)
                rows.append(row | {"difference": change.mean(), "low": low[0], "high": high[0]})
        return pd.DataFrame(rows)[list(DIFFERENCE_COLUMNS)]

    def _inner_gaps(self) -> pd.DataFrame:
        """Columns ``lens, language, item, gap``, the mean over the layers before the last; ``all`` where several."""
        pivot, table = self.settings.pivot, self.table
        layers = sorted(set(table["layer"].tolist()))
        codes = [
            code
            for code in self.provenance.languages
            if code != pivot and self.provenance.source_of(code) != pivot
        ]
        inner = table[
            (table["answer_language"].astype(str) == pivot)
            & table["curve"].isin(["answer", "null"])
            & table["language"].astype(str).isin(codes)
            & ((table["layer"] < layers[-1]) | (len(layers) == 1))
        ].astype(dict.fromkeys(("lens", "language", "item", "curve"), str))
        wide = inner.pivot_table(
            index=["lens", "language", "item"], columns="curve", values="value", aggfunc="mean", sort=False
        )
        if wide.empty or not {"answer", "null"} <= set(wide.columns):
            raise InputError(
                f"no item was read in {find_language(pivot).name}: there is no gap of the pivot to compare"
            )
        gaps: pd.DataFrame = (wide["answer"] - wide["null"]).dropna().rename("gap").reset_index()
        if gaps["language"].nunique() > 1:
            pooled = gaps.groupby(["lens", "item"], sort=False)["gap"].mean().reset_index()
            gaps = pd.concat([gaps, pooled.assign(language=POOLED)], ignore_index=True)
        return gaps

    def describe(self, level: float = 0.95) -> str:
        """Which language leads under each lens, and how much the pivot's gap differs between them; a line a lens.

        Then, of each target language, why items could not be read in some languages.

        Args:
            level: coverage of the intervals, and of the verdicts.
        """
        return self._words(self.pivot_tests(level), level)

    def _words(self, tests: Mapping[str, PivotTest], level: float) -> str:
        gaps, differences = self.gaps(level, tests=tests), self.differences(level)
        verdicts = {lens: test.describe() for lens, test in tests.items()}
        lines = lens_sentences(verdicts, gaps, differences, pivot=self.settings.pivot, level=level)
        return "\n".join([*lines, *unread_notes(self.settings.notes)])

    def glance(self) -> pd.DataFrame:
        """How large the pivot's gap is under each lens, averaged over the layers before the last."""
        differences = self.differences()
        pooled = differences[differences["language"] == POOLED]
        shown: pd.DataFrame = pooled if len(pooled) else differences
        return shown.reset_index(drop=True)

    def _view(self) -> View:
        tests = cache(self.pivot_tests)  # the search with its permutations is the slow part; once will do

        def figure() -> go.Figure:
            from latentlang.figures.pivot_lenses import lenses_figure

            return lenses_figure(self, gaps=self.gaps(tests=tests()))

        return replace(super()._view(), figure=figure, words=lambda: self._words(tests(), 0.95))

    def figure(self, *, languages: str | Language | None = None, **look: Unpack[Look]) -> go.Figure:
        """The pivot's gap over layers, a curve a lens.

        Args:
            languages: one target language; by default the only one, or the mean over all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have.
        """
        from latentlang.figures.pivot_lenses import lenses_figure

        code = None if languages is None else one_language(languages).code
        return lenses_figure(self, gaps=self.gaps(), language=code, **look)


@checked_call
def pivot_by_lens(
    model: HookedLM | str,
    task: str | Task,
    *,
    lenses: Mapping[str, GivenLens],
    languages: str | Language | Iterable[str | Language],
    pivot: str | Language = defaults.PIVOT,
    candidates: str | Language | Iterable[str | Language] | None = None,
    items: int | None = None,
    shots: int | None = None,
    seed: int = 0,
    policy: str = "exclusive",
    layers: Layers = "all",
    share_prefix: bool = True,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> PivotByLensResult:
    """Read the answer in every language at every layer under several lenses, to see what of a pivot is the lens's.

    A language that leads under one lens and not under another is a finding about lenses as much as about the model. The
    model runs once; each batch is read through every lens, the items, words and wrong labels being the same.

    Args:
        model: the model to look into, or its name; it is not changed.
        task: gives prompts and answers: as made by `tasks.task`, or the name of one with its defaults.
        lenses: what each is called here, to a `Lens`, the folder or file of a saved one, or None for the logit lens;
            the first is what the others are held against.
        languages: target languages; one or several.
        pivot: the language whose gap is compared.
        candidates: languages whose words are read, as of `multilingual_lens`; the pivot is always among them.
        items: how many items per language; None for all.
        shots: few-shot examples; None for the task's default.
        seed: draws items, examples, wrong labels, bootstrap samples and permutations.
        policy: ``exclusive`` or ``against-target``, as of `multilingual_lens`.
        layers: ``"all"`` (1 to L), layer numbers, negative ones from the end, or ``"10-17"``. The last layer, the
            model's own output, is always read too.
        share_prefix: run a few-shot prefix that prompts have in common only once.
        batch_tokens: see `HookedLM.iter_activations`.
        resume: a folder where each language is kept as soon as it is done, so that the same call goes on where one was
            stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: fewer than two lenses, an unknown name, an impossible number, a layer that a lens does not have,
            or no readable answer in any language.
        ModelError: a layer that does not exist, or a lens of another model.
    """
    loaded, asked = as_model(model), as_task(task)
    given = _named(lenses)
    code = find_language(pivot).code
    check_pivot(asked, code)
    codes = None
    if candidates is not None:
        codes = list(dict.fromkeys([*(entry.code for entry in find_languages(candidates)), code]))
    passes = [
        MultilingualLensPass(
            loaded, asked, candidates=codes, shots=shots, seed=seed, policy=policy, layers=layers, lens=lens
        )
        for lens in given.values()
    ]
    prompts = prompts_of(asked, languages, items=items, shots=shots, seed=seed)
    with (
        reporting(progress, "reading", total=sum(map(len, prompts.values()))) as report,
        kept_in(resume, loaded, [asked], share_prefix=share_prefix) as (finished,),
    ):
        run_passes(
            loaded,
            prompts,
            passes,
            share_prefix=share_prefix,
            batch_tokens=batch_tokens,
            progress=report,
            finished=finished,
        )
    return _joined(list(given), passes, pivot=code)


def _named(lenses: Mapping[str, GivenLens]) -> dict[str, GivenLens]:
    """The lenses by their names.

    Raises:
        InputError: fewer than two, or a name that is none.
    """
    if not isinstance(lenses, Mapping):
        raise InputError(
            f"lenses= is a name for each lens, such as {{'logit': None, 'tuned': 'folder'}}, not {lenses!r}"
        )
    if len(lenses) < _FEWEST_LENSES:
        raise InputError(f"lenses are compared, and {len(lenses)} was given; name at least {_FEWEST_LENSES}")
    for name in lenses:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"a lens is called by a text, not {name!r}")
    return dict(lenses)


def _joined(names: Sequence[str], passes: Sequence[MultilingualLensPass], *, pivot: str) -> PivotByLensResult:
    results = [one.result() for one in passes]
    first = results[0].provenance
    used: dict[str, dict[str, Any]] = {
        name: lens_settings(one.lens) for name, one in zip(names, passes, strict=True)
    }
    kept = {
        name: value
        for name, value in first.settings.items()
        if name not in ("lens", "lens_sha256", "translators")
    }
    settings = PivotByLensSettings(pivot=pivot, lenses=used).stored()
    table = pd.concat([result.table for result in results], ignore_index=True)
    numbers = np.repeat(np.arange(len(names)), [len(result.table) for result in results])
    table = table.assign(lens=pd.Categorical.from_codes(numbers, categories=pd.Index(list(names))))
    return PivotByLensResult(table[list(COLUMNS)], replace(first, settings={**kept, **settings}))
