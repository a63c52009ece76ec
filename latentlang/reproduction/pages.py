"""Files of a reproduction: tables as CSV, Markdown and LaTeX, figures as pages and pictures, and one page of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from latentlang.arguments import split_names
from latentlang.comparison import compare_lenses
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
from latentlang.figures.lens_change import lens_change_figure
from latentlang.figures.library import check_html
from latentlang.figures.page import write_html
from latentlang.figures.pca import pca_figure
from latentlang.reproduction.experiments import Experiment, Suite
from latentlang.reproduction.model_sizes import model_name, shape
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.steps import Adapter, Step, adapter_of
from latentlang.reproduction.tables import ReproducedTable, Wide, latex, markdown, table_of
from latentlang.reproduction.text import about_experiment, command_of, made_with, overview
from latentlang.storage.documents import read_text
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.output import check_free

FORMATS = ("html", *PICTURES)
README, INDEX = "README.md", "index.html"
_SCALE = 1.5
# What the README of every such folder says, and by which one is known again.
_MADE_BY = "Made by "


class PageWriter:
    """Writes the figures and tables of one run into a folder.

    Attributes:
        files: what was written, in order.
        notes: what could not be, a sentence each.
    """

    def __init__(
        self,
        suite: Suite,
        standin: str | None,
        settings: ReproductionSettings,
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
        self._suite, self._standin, self._settings = suite, standin, settings
        self._folder, self._formats = prepare_folder(folder), formats
        self._tables: dict[str, ReproducedTable] = {}
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
        if experiment.kind in ("accuracy", "pearson"):
            return [(experiment.name, ending) for ending in ("csv", "md", "tex")]
        names = _names(experiment, 1 if self._standin else len(experiment.models))
        return [(name, ending) for name in names for ending in self._formats]

    def write(self, experiment: Experiment, outcome: Callable[[Step], Any]) -> None:
        """Write one figure or table.

        Args:
            experiment: which.
            outcome: gives the result of a step, whose training and harvests are there.

        Raises:
            InputError: a file cannot be written, or a published value cannot be read.
        """
        if experiment.kind in ("accuracy", "pearson"):
            table = table_of(experiment, standin=self._standin, outcome=outcome, folder=self._suite.folder)
            self._tables[experiment.name] = table
            self._write_table(experiment, table)
            return
        models = [self._standin] if self._standin else list(experiment.models)
        drawn = [_drawn(experiment, model, outcome) for model in models]
        self._figures[experiment.name] = drawn
        for name, figure in zip(_names(experiment, len(drawn)), drawn, strict=True):
            self._write_figure(experiment, figure, name)

    def finish(self) -> None:
        """Write the page of all that was written, and the README beside it.

        Raises:
            InputError: a file cannot be written.
        """
        written = [
            experiment
            for name, experiment in self._suite.experiments.items()
            if name in self._tables or name in self._figures
        ]
        title = self._title()
        if "html" in self._formats:
            verdict, points = self._overview()
            about: list[Block] = [Text(verdict, kind="lead"), Bullets(points)] if verdict else []
            about += [Text(text, kind="about" if verdict else "") for text in self._introduction()]
            sections = [Section("about", "About", about, heading=False), *map(self._section, written)]
            document = Document(title, sections, made_with=made_with(self._settings))
            self.files.append(write_document(document, self._folder / INDEX, html=self._html))
        self._write_text(README, self._readme(title, written))

    # parts

    def _title(self) -> str:
        return self._suite.title + (f", with {model_name(self._standin)}" if self._standin else "")

    def _section(self, experiment: Experiment) -> Section:
        blocks: list[Block] = [Text(self._what(experiment), "about")]
        if (table := self._tables.get(experiment.name)) is not None:
            blocks += [_html_table(experiment, wide) for wide in table.wide]
        title = _title(experiment)
        blocks += [Figure(figure, title) for figure in self._figures.get(experiment.name, ())]
        return Section(experiment.name, title, blocks)

    def _write_table(self, experiment: Experiment, table: ReproducedTable) -> None:
        what = self._what(experiment)
        self._write_text(f"{experiment.name}.csv", table.table.to_csv(index=False, float_format="%.6g"))
        self._write_text(
            f"{experiment.name}.md", f"**{_title(experiment)}.** {what}\n\n{markdown(table.wide)}"
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
        return about_experiment(
            experiment, self._settings, standin=self._standin, table=self._tables.get(experiment.name)
        )

    def _overview(self) -> tuple[str, list[str]]:
        return overview(list(self._tables.values()), standin=self._standin)

    def _introduction(self) -> list[str]:
        command = f"{_MADE_BY}{command_of(self._suite.name, self._standin, self._settings)}"
        texts = [self._suite.about.strip(), f"{command}; every number stands in the CSV file of its table."]
        return [text for text in texts if text]

    def _readme(self, title: str, written: Sequence[Experiment]) -> str:
        lines = [f"# {title}", ""]
        verdict, points = self._overview()
        if verdict:
            lines += [f"**{verdict}**", "", *(f"- {point}" for point in points), ""]
        for text in self._introduction():
            lines += [text, ""]
        for experiment in written:
            lines += [f"## {_title(experiment)}", "", self._what(experiment), ""]
            if (table := self._tables.get(experiment.name)) is not None:
                lines.append(markdown(table.wide))
            for name in _names(experiment, len(self._figures.get(experiment.name, ()))):
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


def _names(experiment: Experiment, count: int) -> list[str]:
    """Names of an experiment's figures, without ending."""
    if count == 1:
        return [experiment.name]
    return [f"{experiment.name}-{number}" for number in range(1, count + 1)]


def _drawn(experiment: Experiment, model: str, outcome: Callable[[Step], Any]) -> go.Figure:
    task, answers = experiment.tasks[0], experiment.answers[0]
    adapter = adapter_of(experiment, experiment.recipes[0], task)
    if experiment.kind == "lens":
        base, tuned = (
            outcome(Step("lens", model, a, task, answers, experiment.languages)) for a in (Adapter(), adapter)
        )
        return lens_change_figure(compare_lenses(base, tuned), experiment.languages)
    layers = tuple(experiment.layers_of(shape(model).n_layers))
    result = outcome(Step("pca", model, adapter, task, answers, experiment.languages, layers))
    return pca_figure(result, grid=True, layers=layers)


def _html_table(experiment: Experiment, wide: Wide) -> Table:
    first = [row for row, (name, *_) in enumerate(wide.rows) if name]
    ends = [*first[1:], len(wide.rows)]
    spans = {start: end - start for start, end in zip(first, ends, strict=True)}
    rows = []
    for row, (name, kind, cells) in enumerate(wide.rows):
        numbers = [Cell(text, number=True) for text in cells]
        rows.append([*([Cell(name, span=spans[row])] if name else []), Cell(kind), *numbers])
    columns = wide.head[2:]
    return Table(f"{experiment.source}: {columns[0]} to {columns[-1]}.", wide.head, rows, first)
