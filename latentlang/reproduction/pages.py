"""Files of a reproduction: tables as CSV, Markdown and LaTeX, figures as pages and pictures, and one page of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.figures.document import (
    Block,
    Bullets,
    Cell,
    Document,
    Figure,
    Section,
    Table,
    Text,
    write_document,
)
from latentlang.figures.image import FORMATS as PICTURES
from latentlang.figures.image import check_pictures, write_picture
from latentlang.figures.library import check_html
from latentlang.figures.page import write_html
from latentlang.reproduction.compared import ComparedTable
from latentlang.reproduction.experiment_fields import Experiment
from latentlang.reproduction.experiments import Suite
from latentlang.reproduction.kinds.base import AnyStep, Outcome, RunContext, as_sentence, stands_in_words
from latentlang.reproduction.kinds.registry import kind_named
from latentlang.reproduction.reasons import reason_words
from latentlang.reproduction.tables import FilledTable, Wide, latex, markdown, row_of
from latentlang.reproduction.text import command_of, made_with, overview
from latentlang.storage.documents import read_text
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.output import check_free

FORMATS = ("html", *PICTURES)
README, INDEX = "README.md", "index.html"
_SCALE = 1.5
_TABLE_ENDINGS = ("csv", "md", "tex")
_INVENTORY = (
    "",
    "what it shows",
    "printed",
    "corrected",
    "computed here",
    "what cannot be had, and what stands in",
)
# What the README of every such folder says, and by which one is known again.
_MADE_BY = "Made by "


class PageWriter:
    """Writes the figures and tables of one run into a folder.

    Attributes:
        files: what was written, in order.
        notes: what could not be, a sentence each.
        tables: experiment to its table.
    """

    def __init__(
        self,
        suite: Suite,
        run: RunContext,
        folder: Path,
        formats: str | Sequence[str],
        *,
        html: str = "whole",
    ) -> None:
        """Make the folder.

        Raises:
            InputError: it cannot be written, or there is no such format.
        """
        formats = split_names(formats)
        for name in formats:
            if name not in FORMATS:
                raise unknown("format", name, FORMATS)
        check_html(html)
        self._html = html
        self.files: list[Path] = []
        self.notes: list[str] = []
        self._suite, self._run = suite, run
        self._folder, self._formats = prepare_folder(folder), formats
        self.tables: dict[str, FilledTable] = {}
        self._figures: dict[str, list[go.Figure]] = {}
        if set(PICTURES) & set(formats):
            try:
                check_pictures()
            except InputError as error:
                self._without_pictures(error)

    def claim(self, experiments: Sequence[Experiment]) -> None:
        """Make the folder this run's before anything is written into it: its README says whose it is.

        Raises:
            InputError: it holds files of the names that would be written, which no such run made.
        """
        readme = self._folder / README
        if _is_ours(readme):
            return
        names = [
            f"{name}.{ending}" for experiment in experiments for name, ending in self._names_of(experiment)
        ]
        pages = [INDEX] if "html" in self._formats else []
        check_free(self._folder, [README, *pages, *dict.fromkeys(names)])
        self._write_text(README, self._readme(self._title(), []))
        self.files.remove(readme)

    def _names_of(self, experiment: Experiment) -> list[tuple[str, str]]:
        """Names and endings of the files of one figure or table."""
        kind = kind_named(experiment.kind)
        tables = [(experiment.name, ending) for ending in _TABLE_ENDINGS] if kind.tabulates else []
        drawn = kind.figure_names(experiment, self._run)
        return [*tables, *((name, ending) for name in drawn for ending in self._formats)]

    def is_wanted(self, name: str, steps: Sequence[AnyStep]) -> bool:
        """Whether a table that was not asked for is written where its steps are there.

        One that needs none is only where it was written before, so that the page stays whole.
        """
        return bool(steps) or (self._folder / f"{name}.{_TABLE_ENDINGS[0]}").exists()

    def write(self, experiment: Experiment, outcome: Outcome) -> None:
        """Write one figure or table.

        Args:
            experiment: which.
            outcome: gives the result of a step, whose training and harvests are there.

        Raises:
            InputError: a file cannot be written, or a published value cannot be read.
        """
        kind = kind_named(experiment.kind)
        if (table := kind.fill(experiment, outcome, self._run)) is not None:
            self.tables[experiment.name] = table
            self._write_table(experiment, table)
        drawn = kind.figures(experiment, outcome, self._run)
        self._figures[experiment.name] = drawn
        names = kind.figure_names(experiment, self._run)
        for name, figure in zip(names[: len(drawn)], drawn, strict=True):
            self._write_figure(experiment, figure, name)

    def finish(self) -> None:
        """Write the page of all that was written, and the README beside it.

        Raises:
            InputError: a file cannot be written.
        """
        written = [
            experiment
            for name, experiment in self._suite.experiments.items()
            if name in self.tables or name in self._figures
        ]
        title = self._title()
        if "html" in self._formats:
            verdict, points = self._overview()
            about: list[Block] = [Text(verdict, kind="lead"), Bullets(points)] if verdict else []
            about += [Text(text, kind="about" if verdict else "") for text in self._introduction()]
            about += self._inventory()
            sections = [Section("about", "About", about, heading=False), *map(self._section, written)]
            document = Document(title, sections, made_with=made_with(self._run.settings))
            self.files.append(write_document(document, self._folder / INDEX, html=self._html))
        self._write_text(README, self._readme(title, written))

    def in_order(self) -> dict[str, FilledTable]:
        """The tables that were written, in the paper's order."""
        return {name: self.tables[name] for name in self._suite.experiments if name in self.tables}

    # parts

    def _title(self) -> str:
        return self._suite.title + (f", with {self._run.standin}" if self._run.standin else "")

    def _section(self, experiment: Experiment) -> Section:
        blocks: list[Block] = [Text(self._what(experiment), "about")]
        if (table := self.tables.get(experiment.name)) is not None:
            blocks += [_html_table(experiment, wide) for wide in table.wide]
            blocks += [Bullets(self._reasons(table))] if self._reasons(table) else []
        title = _title(experiment)
        blocks += [Figure(figure, title) for figure in self._figures.get(experiment.name, ())]
        return Section(experiment.name, title, blocks)

    def _write_table(self, experiment: Experiment, table: FilledTable) -> None:
        what = self._what(experiment)
        self._write_text(f"{experiment.name}.csv", table.table.to_csv(index=False, float_format="%.6g"))
        reasons = "".join(f"\n- {text}" for text in self._reasons(table))
        self._write_text(
            f"{experiment.name}.md",
            f"**{_title(experiment)}.** {what}\n\n{markdown(table.wide)}{reasons and reasons + chr(10)}",
        )
        caption = f"{experiment.title[:1].upper()}{experiment.title[1:]}. {what}"
        self._write_text(
            f"{experiment.name}.tex", latex(table.wide, caption=caption, label=f"tab:{experiment.name}")
        )

    def _write_text(self, name: str, text: str) -> None:
        path = self._folder / name
        try:
            write_text(path, text)
        except OSError as error:
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        self.files.append(path)

    def _write_figure(self, experiment: Experiment, figure: go.Figure, name: str) -> None:
        if "html" in self._formats:
            path = self._folder / f"{name}.html"
            self.files.append(write_html(figure, path, title=_title(experiment), html=self._html))
        for ending in [ending for ending in self._formats if ending in PICTURES]:
            try:
                path = self._folder / f"{name}.{ending}"
                self.files.append(write_picture(figure, path, scale=_SCALE))
            except InputError as error:
                self._without_pictures(error)
                return

    def _without_pictures(self, error: InputError) -> None:
        self.notes.append(f"no pictures: {error}")
        self._formats = [name for name in self._formats if name not in PICTURES]

    def _what(self, experiment: Experiment) -> str:
        kind = kind_named(experiment.kind)
        return kind.caption(experiment, self._run, self.tables.get(experiment.name))

    def _reasons(self, table: FilledTable) -> list[str]:
        """What the codes of a table say, and where its corrections are from."""
        if not isinstance(table, ComparedTable):
            return []
        sentences = [f"{code}: {reason_words(code, self._run.reasons)}" for code in table.codes]
        corrections = self._run.corrections.get(table.experiment.name, {}).values()
        sources = dict.fromkeys(correction.source for correction in corrections if correction.source)
        return [*sentences, *([f"Corrections from: {'; '.join(sources)}."] if sources else [])]

    def _inventory(self) -> list[Block]:
        """All tables and figures with what can be had of each, where some of it cannot or is printed in cells."""
        rows = self._can_be_had()
        if not rows:
            return []
        cells = [
            [
                Cell(source.replace(" ", "\N{NO-BREAK SPACE}")),
                Cell(title),
                *(Cell(text, number=True) for text in numbers),
                Cell(words),
            ]
            for source, title, *numbers, words in rows
        ]
        return [Table("All tables and figures, and what can be had of each.", _INVENTORY, cells)]

    def _can_be_had(self) -> list[tuple[str, str, str, str, str, str]]:
        if not any(kind_named(one.kind).in_cells for one in self._suite.experiments.values()):
            return []
        rows = []
        for name, experiment in self._suite.experiments.items():
            table = self.tables.get(name)
            computed = f"{table.n_computed:,}" if isinstance(table, ComparedTable) else ""
            if name not in self.tables and name not in self._figures:
                computed = "not run"
            lacks = as_sentence(kind_named(experiment.kind).lacks(experiment, self._run))
            words = " ".join(
                filter(None, [lacks, stands_in_words(experiment, self._run.reasons, listed=True)])
            )
            printed = sum(map(bool, self._suite.printed.get(name, {}).values()))
            corrected = len(self._suite.corrections.get(name, {}))
            counts = (f"{count:,}" if count else "" for count in (printed, corrected))
            rows.append((experiment.source, experiment.title, *counts, computed, words))
        return rows  # type: ignore[return-value]

    def _overview(self) -> tuple[str, list[str]]:
        return overview(list(self.in_order().values()), standin=self._run.standin)

    def _introduction(self) -> list[str]:
        command = f"{_MADE_BY}{command_of(self._suite.name, self._run)}"
        texts = [self._suite.about.strip(), f"{command}; every number stands in the CSV file of its table."]
        return [text for text in texts if text]

    def _readme(self, title: str, written: Sequence[Experiment]) -> str:
        lines = [f"# {title}", ""]
        verdict, points = self._overview()
        if verdict:
            lines += [f"**{verdict}**", "", *(f"- {point}" for point in points), ""]
        for text in self._introduction():
            lines += [text, ""]
        if rows := self._can_be_had():
            lines += [row_of(_INVENTORY), row_of(["---"] * len(_INVENTORY)), *map(row_of, rows), ""]
        for experiment in written:
            lines += [f"## {_title(experiment)}", "", self._what(experiment), ""]
            if (table := self.tables.get(experiment.name)) is not None:
                lines.append(markdown(table.wide))
                lines += [f"- {text}" for text in self._reasons(table)]
                lines += [""] if self._reasons(table) else []
            for name in kind_named(experiment.kind).figure_names(experiment, self._run):
                # Only what this run drew: an older picture might show something else.
                if self._folder / f"{name}.png" in self.files:
                    lines += [f"![{experiment.title}]({name}.png)", ""]
        return "\n".join(lines).rstrip() + "\n"


def _is_ours(readme: Path) -> bool:
    """Whether a README is one that `PageWriter` wrote."""
    try:
        return f"{_MADE_BY}`latentlang reproduce" in read_text(readme)
    except InputError:
        return False


def _title(experiment: Experiment) -> str:
    return f"{experiment.source}: {experiment.title}"


def _html_table(experiment: Experiment, wide: Wide) -> Table:
    first = [row for row, (name, *_) in enumerate(wide.rows) if name]
    ends = [*first[1:], len(wide.rows)]
    spans = {start: end - start for start, end in zip(first, ends, strict=True)}
    rows = []
    for row, (name, kind, cells) in enumerate(wide.rows):
        numbers = [Cell(text, number=True) for text in cells]
        rows.append([*([Cell(name, span=spans[row])] if name else []), Cell(kind), *numbers])
    columns = wide.head[2:]
    about = wide.about or f"{experiment.source}: {columns[0]} to {columns[-1]}"
    return Table(f"{about}.", wide.head, rows, first)
