"""The page of a before/after comparison: what changed in words, then each part with its figures and tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.comparison.comparison_settings import GROUP
from latentlang.comparison.result import REPORT
from latentlang.comparison.text import highlights, method, noteworthy, verdict, words_of
from latentlang.comparison.text import sentences as comparison_sentences
from latentlang.figures.accuracy import accuracy_figure
from latentlang.figures.change_map import change_figure, comparison_maps
from latentlang.figures.document import (
    Block,
    Bullets,
    Cell,
    Details,
    Document,
    Facts,
    Figure,
    Link,
    Section,
    Table,
    Text,
    write_document,
)
from latentlang.figures.header import made_with, model_name
from latentlang.figures.lens import lens_figure
from latentlang.figures.lens_change import lens_change_figure, lens_differences_figure
from latentlang.figures.pca import pca_figure
from latentlang.figures.style import plain, plain_name, shortened
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.stats.crossed import FEWEST_LANGUAGES
from latentlang.storage.output import kind_of
from latentlang.text import GROUPS, counted, percent, pool_name, signed, span, unsigned

if TYPE_CHECKING:
    from latentlang.comparison.alignment_result import AlignmentComparison
    from latentlang.comparison.result import ComparisonResult

_MOST_POINTS = 40  # of a language in the PCA: twenty languages must stay light
_LONGEST_NAME = 60
_ITEMS = {"evaluation": "evaluation", "lens": "lens and geometry"}
#: Measures of alignment in the table that is open on the page, as many as a screen is wide; the others are beside it.
_FIRST = ("cka", "retrieval_ab", "centroid_distance")


def write_comparison(result: ComparisonResult, path: str | os.PathLike[str], *, html: str = "whole") -> Path:
    """Write a comparison as one page; needs no model.

    Args:
        result: a `ComparisonResult`, new or loaded from disk.
        path: file to write; its folder must exist.
        html: as in `latentlang.figures.page.write_html`.

    Raises:
        InputError: the file cannot be written.
    """
    return write_document(comparison_document(result, beside=Path(path).parent), path, html=html)


def comparison_document(result: ComparisonResult, *, beside: Path | None = None) -> Document:
    """What is on the page.

    Args:
        result: a `ComparisonResult`.
        beside: folder of the page, for a link to that of the group which the comparison is one of.
    """
    sections = [Section("reading", "What changed", list(_reading(result)), heading=False)]
    if result.evaluation is not None:
        sections.append(Section("accuracy", "Accuracy", list(_accuracy(result))))
    if result.lens is not None:
        sections.append(Section("lens", "What the layers would say", list(_lens(result))))
    if result.lens is not None or result.alignment is not None:
        sections.append(Section("map", "Language by layer", list(_map(result))))
    if result.pca is not None:
        sections.append(Section("components", "Principal components", list(_components(result))))
    if result.alignment is not None:
        sections.append(
            Section("alignment", "Alignment with " + plain_name(result.pivot), list(_alignment(result)))
        )
    sections.append(Section("provenance", "Where this comes from", list(_provenance(result))))
    if result.folder is not None and beside is not None and kind_of(result.folder.parent) == GROUP:
        link = page_of(result.folder.parent, "All states on one page", beside=beside)
        sections.append(Section("group", "Beside the others", [Bullets([link])]))
    return Document(_title(result), sections, made_with(result.provenance))


def _title(result: ComparisonResult) -> str:
    provenance = result.provenance
    later = result.settings.after or (Path(provenance.adapter).name if provenance.adapter else None)
    name = "nothing trained (control)" if later is None else short_name(later)
    return f"Before and after: {short_name(provenance.model)}, {name}"


def short_name(name: str) -> str:
    """A name as it stands in a title."""
    return shortened(plain(name), _LONGEST_NAME)


def page_of(folder: Path, words: str, *, beside: Path) -> Link:
    """A link to the page in a result's folder.

    Args:
        folder: the result's.
        words: of the link.
        beside: folder of the page that it stands on.
    """
    return Link(words, Path(os.path.relpath(folder / REPORT, beside)).as_posix())


def _reading(result: ComparisonResult) -> Iterator[Block]:
    who, verdict, *sentences = comparison_sentences(
        result.provenance,
        result.table,
        seen_languages=result.seen_languages,
        unseen=result.unseen,
        pivot=result.pivot,
        level=result.level,
    )
    yield Text(verdict, kind="lead")
    if points := highlights(result.table, level=result.level, pivot=result.pivot):
        yield Bullets(points)
    yield Text(who, kind="about")
    yield _averages(result)
    # A paragraph for each measure: all in one could not be found again in the table.
    yield Details("Every measure in words", [Text(text) for text in sentences])
    yield Details("When a change counts as one", [Text(method(result.level))])


def _averages(result: ComparisonResult) -> Table:
    """Every measure's averages, per group of languages."""
    rows: list[list[Cell]] = []
    first = []
    for about, changes in result.summary().groupby(["part", "measure"], sort=False):
        first.append(len(rows))
        name = Cell(words_of(str(about[0]), str(about[1]), pivot=result.pivot).row, span=len(changes))
        for number, row in enumerate(changes.to_dict("records")):
            rows.append([
                *([name] if number == 0 else []), Cell(f"{GROUPS[row['group']]} ({row['languages']})"),
                *change_cells(row),
                Cell("–" if pd.isna(row["low_wide"]) else span(row["low_wide"], row["high_wide"]), number=True),
                verdict_cell(row),
            ])  # fmt: skip
    level = percent(result.level)
    return Table(
        "Averages over languages, each counting alike. Two intervals: over items, for these languages; and over items "
        f"and languages, for others of this kind, of at least {FEWEST_LANGUAGES} languages.",
        [
            "measure", "languages", "before", "after", "change", f"{level} interval, items",
            f"{level} interval, items and languages", "for these languages",
        ],
        rows, first=first,
    )  # fmt: skip


def change_cells(row: Mapping[Any, Any]) -> list[Cell]:
    """Before, after, change and interval of a row of changes."""
    return [
        Cell(unsigned(row["before"]), number=True), Cell(unsigned(row["after"]), number=True),
        Cell(signed(row["difference"]), kind=_mark(row), number=True),
        Cell(span(row["low"], row["high"]), number=True),
    ]  # fmt: skip


def verdict_cell(row: Mapping[Any, Any]) -> Cell:
    """What a row of changes says."""
    return Cell(verdict(row), kind=_mark(row))


def _mark(row: Mapping[Any, Any]) -> str:
    """How a change is coloured: not at all where it is too small to care for."""
    return str(row["change"]) if noteworthy(row) else ""


def _accuracy(result: ComparisonResult) -> Iterator[Block]:
    comparison = result.evaluation
    assert comparison is not None
    changes = result.table[result.table["part"] == "evaluation"]
    yield Figure(
        accuracy_figure(comparison.evaluation, comparison),
        "Accuracy per language before and after, with 95% intervals and chance; the same numbers are in the table "
        "below. " + comparison.describe(result.level),
    )
    yield Details("Accuracy per language as a table", [_languages(result, changes)])
    notes = [
        note for task in comparison.evaluation.tasks for note in _notes(comparison.evaluation.notes(task))
    ]
    if notes:
        yield Details("What could not be answered", [Text(note) for note in notes])


def _notes(notes: Mapping[str, str]) -> list[str]:
    return [f"{plain_name(code)}: {note}" for code, note in notes.items()]


def _languages(result: ComparisonResult, changes: pd.DataFrame) -> Table:
    """One measure per row group, all its languages."""
    rows = []
    for row in changes[changes["group"] == "language"].to_dict("records"):
        corrected = "" if pd.isna(row["p_holm"]) else f"{row['p_holm']:.2g}"
        rows.append([
            Cell(plain_name(row["language"])), Cell("seen" if row["seen"] else ""), Cell(str(row["n"]), number=True),
            *change_cells(row), Cell(corrected, number=True), verdict_cell(row),
        ])  # fmt: skip
    return Table(
        "Each language on the same items before and after. p is corrected over the languages (Holm).",
        [
            "language", "in training", "items", "before", "after", "change", f"{percent(result.level)} interval",
            "p (Holm)", "verdict",
        ],
        rows,
    )  # fmt: skip


def _lens(result: ComparisonResult) -> Iterator[Block]:
    lens = result.lens
    assert lens is not None
    pivot = plain_name(lens.pivot)
    yield Figure(
        lens_change_figure(lens),
        f"Probability of the right word and of wrong words, in the target language and in {pivot}, over the layers: "
        "before, after, and the difference with its band. The averages are in the first table of this page.",
    )
    yield Figure(
        lens_differences_figure(lens),
        "The difference of the same probabilities over the layers, one small panel for each language.",
    )
    for name, part in (("before", lens.base), ("after", lens.tuned)):
        figure = lens_figure(part)
        yield Details(
            f"All curves of each language, {name}",
            [Figure(figure, f"Logit lens curves of each language {name}, with nulls and entropy.")],
        )
    for measure, changes in result.table[result.table["part"] == "lens"].groupby("measure", sort=False):
        words = words_of("lens", str(measure), pivot=result.pivot)
        yield Details(f"Table: {words.row}", [Text(words.meaning, kind="about"), _languages(result, changes)])
    notes = _notes(lens.base.settings.notes)
    if notes:
        yield Details("What could not be read", [Text(note) for note in notes])


def _map(result: ComparisonResult) -> Iterator[Block]:
    maps = comparison_maps(result)
    marked = []
    for entry in maps:
        changed = entry.table[entry.table["change"] != ""]
        languages = changed["language"].astype(str).nunique()
        marked.append(
            f"{entry.title}: {len(changed)} of {len(entry.table)} cells more than chance, in "
            f"{counted(languages, 'language')}"
        )
    yield Figure(
        change_figure(maps, result.provenance, seen_languages=result.seen_languages),
        f"Change maps, languages by layers. {'; '.join(marked)}.",
    )


def _components(result: ComparisonResult) -> Iterator[Block]:
    assert result.pca is not None
    yield Figure(
        pca_figure(result.pca, most=_MOST_POINTS),
        "Scatter plots of the prompts of all languages along the first two principal components, with a slider over "
        "the layers: the base on its own axes, the tuned model on the base's axes and on its own.",
    )
    yield Details(
        "Four layers at once",
        [
            Figure(
                pca_figure(result.pca, grid=True, most=_MOST_POINTS),
                "The same scatter plots at four layers, without a slider.", caption=[],
            )
        ],
    )  # fmt: skip


def _alignment(result: ComparisonResult) -> Iterator[Block]:
    alignment = result.alignment
    assert alignment is not None
    pivot = plain_name(alignment.pivot)
    first = [one for one in _FIRST if one in alignment.measures] or list(alignment.measures[: len(_FIRST)])
    others = [one for one in alignment.measures if one not in first]
    name = pool_name(alignment.default_pool)
    yield Text(
        f"How alike each language and {pivot} lay out the same items, averaged over the layers after the embeddings. "
        f"Prompts are represented by {name.phrase}. Pearson r is taken on the base's axes in "
        "both states. Intervals and tests come from half samples of the items, the same for both states.",
        kind="about",
    )
    yield _alignment_table(alignment, first, alignment.default_pool, result)
    tables = [_alignment_table(alignment, part, alignment.default_pool, result) for part in _threes(others)]
    if tables:
        yield Details("Other measures", tables)
    yield Details(
        "Layer by layer, mean over languages",
        [_by_layer(alignment, part) for part in (first, *_threes(others))],
    )
    for pool in alignment.pools:
        if pool != alignment.default_pool:
            tables = [_alignment_table(alignment, part, pool, result) for part in (first, *_threes(others))]
            yield Details(f"The same with {pool_name(pool).phrase}", tables)


def _threes(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + len(_FIRST)] for start in range(0, len(names), len(_FIRST))]


def _alignment_table(
    alignment: AlignmentComparison, measures: Sequence[str], pool: str, result: ComparisonResult
) -> Table:
    table = alignment.changes(pool)
    languages = list(dict.fromkeys(table.loc[table["group"] == "language", "language"]))
    groups = [name for name in GROUPS if (table["group"] == name).any()]
    cells = {(row["measure"], row["group"], row["language"]): row for row in table.to_dict("records")}
    rows = []
    for group, code in [*(("language", code) for code in languages), *((name, "") for name in groups)]:
        name = (
            GROUPS[group]
            if group != "language"
            else plain_name(code) + (" ■" if code in result.seen_languages else "")
        )
        row = [Cell(name)]
        for measure in measures:
            change = cells.get((measure, group, code))
            row += _pair_cells(change)
        rows.append(row)
    head = ["language"]
    for measure in measures:
        short = words_of("alignment", measure, pivot=alignment.pivot).row
        head += [f"{short}: before → after", f"change ({percent(result.level)} interval)"]
    return Table(
        "Alignment before and after. ■ marks languages seen in training; a change in colour is more than chance "
        "after Holm's correction over the languages, and at least 0.01.",
        head, rows, first=[len(languages)],
    )  # fmt: skip


def _pair_cells(row: Mapping[Any, Any] | None) -> list[Cell]:
    if row is None:
        return [Cell("not measured"), Cell("")]
    interval = f"({span(row['low'], row['high'])})"
    return [
        Cell(f"{unsigned(row['before'])} → {unsigned(row['after'])}", number=True),
        Cell(f"{signed(row['difference'])} {interval}", kind=_mark(row), number=True),
    ]


def _by_layer(alignment: AlignmentComparison, measures: Sequence[str]) -> Table:
    table = alignment.table[alignment.table["pooling"] == alignment.default_pool]
    rows = []
    for layer, part in table.groupby("layer"):
        row = [Cell(str(layer))]
        for measure in measures:
            changes = part[part["measure"] == measure]
            null = (
                "" if not find_measure(measure).alignment else f" (null {changes['null_before'].mean():.3f})"
            )
            up, down = ((changes["change"] == name).sum() for name in ("up", "down"))
            row += [
                Cell(f"{changes['before'].mean():.3f} → {changes['after'].mean():.3f}{null}", number=True),
                Cell(f"{signed(changes['difference'].mean())}; {up} up, {down} down", number=True),
            ]
        rows.append(row)
    head = ["layer"]
    for measure in measures:
        head += [words_of("alignment", measure, pivot=alignment.pivot).row, "change; languages"]
    return Table(
        "Means over languages at each layer. The null is the same measure with translations unpaired, before; "
        "languages count as up or down where the change is more than chance, corrected over languages and layers.",
        head, rows,
    )  # fmt: skip


def _provenance(result: ComparisonResult) -> Iterator[Block]:
    provenance, settings = result.provenance, result.settings
    rows = [("model", model_name(provenance)), ("revision", provenance.revision or "not known")]
    rows += [("loaded from", settings.model_loaded_from)] if settings.model_loaded_from else []
    rows += [("after", settings.after)] if settings.after else [("adapter", provenance.adapter or "none")]
    rows += [("note", note) for note in settings.model_notes]
    rows += [(name, text) for name, text in settings.training]
    names = {True: _listed(result.seen_languages) or "none", False: "not known"}
    rows += [
        ("languages in training", names[settings.trained_known]),
        ("languages never seen", _listed(result.unseen) or "none, or not known"),
        ("task", f"{provenance.task}, {counted(settings.shots, 'shot')}"),
        ("items a language", ", ".join(f"{_ITEMS[name]} {count}" for name, count in settings.items.items())),
        ("parts", ", ".join(settings.parts)), ("choice by", str(settings.score)),
        ("lens policy", provenance.policy), ("alignment measures", ", ".join(settings.measures)),
        ("pools", ", ".join(settings.pools)), ("layers in the model", str(settings.n_layers)),
        ("seed", str(provenance.seed)), ("numbers in", f"{settings.dtype} on {settings.device}"),
        ("packages", ", ".join(f"{name} {version}" for name, version in provenance.packages.items())),
        ("commit", provenance.commit or "not in a checkout"), ("made", provenance.created),
    ]  # fmt: skip
    if settings.chat is not None:
        rows.append(("asked", f"as a chat, template {settings.chat_template}"))
    yield Facts([(plain(name), plain(text)) for name, text in rows])
    yield Text(
        "The results lie beside this page and can be read with ComparisonResult.load; the page itself can be written "
        "again from them with .report(), without a model.",
        kind="quiet",
    )


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(plain_name(code) for code in codes)
