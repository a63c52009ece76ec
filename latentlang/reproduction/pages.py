"""Files of a reproduction: tables as CSV, Markdown and LaTeX, figures as pages and pictures, and one page of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from latentlang.comparison import compare_lenses
from latentlang.errors import InputError, unknown
from latentlang.figures.html import write_html
from latentlang.figures.lens_change import lens_change_figure
from latentlang.figures.pca import pca_figure
from latentlang.figures.picture import check_pictures, write_picture
from latentlang.report.document import Cell, Document, Figure, Section, Table, Text, write_document
from latentlang.reproduction.experiments import Experiment, Suite
from latentlang.reproduction.settings import Settings
from latentlang.reproduction.sizes import shape
from latentlang.reproduction.steps import Adapter, Step
from latentlang.reproduction.tables import ReproducedTable, Wide, latex, markdown, table_of
from latentlang.results import git_commit, package_versions, prepare_folder, write_text

PICTURES = ("png", "pdf", "svg")
FORMATS = ("html", *PICTURES)
_WIDTH, _SCALE = 1000, 1.5


class Writer:
    """Writes the figures and tables of one run into a folder.

    Attributes:
        files: what was written, in order.
        notes: what could not be, a sentence each.
    """

    def __init__(
        self, suite: Suite, standin: str | None, settings: Settings, folder: Path, formats: Sequence[str]
    ) -> None:
        """Make the folder.

        Raises:
            InputError: it cannot be written, or there is no such format.
        """
        for name in formats:
            if name not in FORMATS:
                raise unknown("format", name, FORMATS)
        self.files: list[Path] = []
        self.notes: list[str] = []
        self._suite, self._standin, self._settings = suite, standin, settings
        self._folder, self._formats = prepare_folder(folder), list(formats)
        self._tables: dict[str, ReproducedTable] = {}
        self._figures: dict[str, list[go.Figure]] = {}
        if set(PICTURES) & set(formats):
            try:
                check_pictures()
            except InputError as error:
                self._without_pictures(error)

    def write(self, experiment: Experiment, outcome: Callable[[Step], Any]) -> None:
        """Write one figure or table.

        Args:
            experiment: which.
            outcome: gives the result of a step, whose training and harvests are there.

        Raises:
            InputError: a file cannot be written, or a published value cannot be read.
        """
        if experiment.kind in ("accuracy", "pearson"):
            found = table_of(experiment, standin=self._standin, outcome=outcome, folder=self._suite.folder)
            self._tables[experiment.name] = found
            self._write_table(experiment, found)
            return
        drawn = [self._drawn(experiment, model, outcome) for model in self._models(experiment)]
        self._figures[experiment.name] = drawn
        for number, figure in enumerate(drawn, 1):
            name = experiment.name if len(drawn) == 1 else f"{experiment.name}-{number}"
            self._write_figure(experiment, figure, name)

    def finish(self, experiments: Sequence[Experiment]) -> None:
        """Write the page of all, and the README beside it.

        Raises:
            InputError: a file cannot be written.
        """
        sections = [Section("about", "About", [Text(line) for line in self._about()], heading=False)]
        for experiment in experiments:
            blocks: list[Any] = [Text(self._what(experiment), "about")]
            if experiment.name in self._tables:
                blocks.append(_html_table(self._tables[experiment.name]))
            for figure in self._figures.get(experiment.name, ()):
                blocks.append(Figure(figure, self._title(experiment)))
            sections.append(Section(experiment.name, self._title(experiment), blocks))
        title = f"{self._suite.title}, with {self._standin}" if self._standin else self._suite.title
        if "html" in self._formats:
            document = Document(title, sections, made_with=self._made_with())
            self.files.append(write_document(document, self._folder / "index.html"))
        write_text(self._folder / "README.md", self._readme(title, experiments))
        self.files.append(self._folder / "README.md")

    # parts

    def _models(self, experiment: Experiment) -> list[str]:
        return [self._standin] if self._standin else list(experiment.models)

    def _drawn(self, experiment: Experiment, model: str, outcome: Callable[[Step], Any]) -> go.Figure:
        task, answers = experiment.tasks[0], experiment.answers[0]
        adapter = Adapter(experiment.recipes[0], experiment.adapter_task(task))
        one = Step(experiment.kind, model, adapter, task, answers, experiment.languages)
        if experiment.kind == "lens":
            base = Step("lens", model, Adapter(), task, answers, experiment.languages)
            found = compare_lenses(outcome(base), outcome(one))
            return lens_change_figure(found, experiment.languages)
        layers = tuple(experiment.layers_of(shape(model).n_layers))
        result = outcome(Step("pca", model, adapter, task, answers, experiment.languages, layers))
        return pca_figure(result, grid=True, layers=layers)

    def _write_table(self, experiment: Experiment, found: ReproducedTable) -> None:
        wide, what = found.wide, self._what(experiment)
        texts = {
            "csv": found.table.to_csv(index=False, float_format="%.6g"),
            "md": f"**{self._title(experiment)}.** {what}\n\n{markdown(wide)}",
            "tex": latex(wide, caption=f"{experiment.title}. {what}", label=f"tab:{experiment.name}"),
        }
        for ending, text in texts.items():
            path = self._folder / f"{experiment.name}.{ending}"
            write_text(path, text)
            self.files.append(path)

    def _write_figure(self, experiment: Experiment, figure: go.Figure, name: str) -> None:
        if "html" in self._formats:
            path = self._folder / f"{name}.html"
            self.files.append(write_html(figure, path, title=self._title(experiment)))
        for ending in [ending for ending in self._formats if ending in PICTURES]:
            try:
                path = self._folder / f"{name}.{ending}"
                self.files.append(write_picture(figure, path, width=_WIDTH, scale=_SCALE))
            except InputError as error:
                self._without_pictures(error)
                return

    def _without_pictures(self, error: InputError) -> None:
        self.notes.append(f"no pictures: {error}")
        self._formats = [name for name in self._formats if name not in PICTURES]

    # words

    @staticmethod
    def _title(experiment: Experiment) -> str:
        return f"{experiment.source}: {experiment.title}"

    def _what(self, experiment: Experiment) -> str:
        """What a table or figure shows and how it was made here, in a few sentences."""
        models = ", ".join(experiment.models)
        found = [f"{self._standin} stands in for {models}." if self._standin else f"Run with {models}."]
        if experiment.kind == "accuracy":
            found.append(
                "Accuracy in percent with its 95 % interval, the paper's printed value, and the difference."
            )
        elif experiment.kind == "pearson":
            found.append(
                "Pearson r of the first principal component between languages, over items, with its 95 % interval; the "
                "mean with translations unpaired; and r once prompt length is regressed out of both."
            )
        items = [
            f"{task}: {count}"
            for task in experiment.tasks
            if (count := self._settings.items(task)) is not None
        ]
        whose = "the embedded ones" if self._settings.data is None else "the published ones"
        found.append(
            f"Items per language: {', '.join(items) or 'all'} ({whose}); protocol {self._settings.protocol}."
        )
        whose_questions = {
            task: "published" if task in self._settings.training_data else "embedded"
            for task in dict.fromkeys(map(experiment.adapter_task, experiment.tasks))
        }
        found.append(
            "Adapters are trained on "
            + ", ".join(f"{whose} {task}" for task, whose in whose_questions.items())
            + " questions."
        )
        if self._standin:
            found.append("Another model, other items: the difference says nothing about the paper.")
        return " ".join([*found, experiment.note]).strip()

    def _about(self) -> list[str]:
        return [part for part in (self._suite.about.strip(),) if part]

    def _made_with(self) -> list[str]:
        parts = [f"latentlang {package_versions().get('latentlang', '')}".strip()]
        commit = git_commit()
        return [*parts, *([f"commit {commit}"] if commit else []), f"seed {self._settings.seed}"]

    def _readme(self, title: str, experiments: Sequence[Experiment]) -> str:
        model = self._standin or "MODEL"
        lines = [f"# {title}", "", *self._about(), ""]
        lines += [
            f"Made by `latentlang reproduce {self._suite.name} --model {model}`. Every number stands in the CSV file "
            "of its table, with its interval.",
            "",
        ]
        for experiment in experiments:
            lines += [f"## {self._title(experiment)}", "", self._what(experiment), ""]
            if experiment.name in self._tables:
                lines += [markdown(self._tables[experiment.name].wide)]
            count = len(self._figures.get(experiment.name, ()))
            for number in range(1, count + 1):
                name = experiment.name if count == 1 else f"{experiment.name}-{number}"
                if (self._folder / f"{name}.png").is_file():
                    lines += [f"![{experiment.title}]({name}.png)", ""]
        return "\n".join(lines).rstrip() + "\n"


def _html_table(found: ReproducedTable) -> Table:
    wide: Wide = found.wide
    rows, first = [], [place for place, (name, *_) in enumerate(wide.rows) if name]
    ends = [*first[1:], len(wide.rows)]
    spans = {start: end - start for start, end in zip(first, ends, strict=True)}
    for place, (name, own, cells) in enumerate(wide.rows):
        numbers = [Cell(text, number=True) for text in cells]
        rows.append([*([Cell(name, span=spans[place])] if name else []), Cell(own), *numbers])
    return Table(f"{found.experiment.title}.", wide.head, rows, first)
