"""``latentlang reproduce``: a paper's figures and tables, what is missing run, its own values beside ours."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from latentlang import defaults
from latentlang.arguments import check_count, split_names
from latentlang.cli import options
from latentlang.cli.completion import tables_of_paper
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import InputError
from latentlang.reproduction.suites import suite_names
from latentlang.text import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from latentlang.cli.console import Progress
    from latentlang.reproduction import PlannedExperiment, PlannedStep, Reproduction, ReproductionPlan
    from latentlang.reproduction.cost import Cost
    from latentlang.reproduction.kinds.base import AnyStep

_RUN = "What is run"
_OUTPUT = "What is written"
# Columns of a terminal in which a row of the plan stands in one line.
_WIDE = 120
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def reproduce(
    paper: Annotated[
        str,
        typer.Argument(
            help=f"The paper: {', '.join(suite_names())}; or a folder with such files as `experiments/` has."
        ),
    ] = defaults.PAPER,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Figures and tables: fig1,table8; repeatable; by default all.",
            autocompletion=tables_of_paper,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Run this one in all of them: short name, hub id or folder; by default the paper's own."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="What --model is called in titles, tables and the output folder; by default its own name."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be run, what is there, and what it would cost.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            help="Test items: a folder, hub:xnli, or embedded; by default those of `latentlang data get`.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    training_data: Annotated[
        list[str] | None,
        typer.Option(
            help="Question translations of a task: nli=FOLDER; repeatable; by default the embedded ones.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="corrected, or as-published: the paper's own sets and scorer.", rich_help_panel=_RUN
        ),
    ] = defaults.PROTOCOL,
    items: Annotated[
        int | None,
        typer.Option(help="Items per language; by default what the experiments say.", rich_help_panel=_RUN),
    ] = None,
    seed: options.Seed = defaults.SEED,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any field of every recipe, e.g. --set steps=100; repeatable.", rich_help_panel=_RUN
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(help="Processes at once, for small models on a CPU.", rich_help_panel=_RUN),
    ] = 1,
    cache: Annotated[
        Path | None,
        options.folder("Folder of the steps' outcomes; by default latentlang-out/reproduce.", panel=_OUTPUT),
    ] = None,
    out: Annotated[
        Path | None,
        options.folder("Folder for figures and tables; by default figures/PAPER/MODEL.", panel=_OUTPUT),
    ] = None,
    formats: Annotated[
        str,
        typer.Option("--format", help="Of figures: html, png, pdf, svg.", rich_help_panel=_OUTPUT),
    ] = ",".join(defaults.FIGURE_FORMATS),
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="Run programs of the data, in processes without network and files; without it none.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    chat: Annotated[bool, typer.Option("--chat", hidden=True)] = False,
    html: Annotated[
        str,
        typer.Option(
            help="whole: each page is one file; light: pages link one copy of plotly.js in their folder.",
            rich_help_panel=_OUTPUT,
        ),
    ] = defaults.HTML,
    batch_tokens: options.BatchTokens = None,
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Run a paper's experiments and write its figures and tables, with the values it printed beside ours.

    What cannot be had is named, with what stands in; a correction stands beside the value that was printed. Each step
    is kept: a run that was stopped goes on where it was, and what several tables need is run once. Writes index.html
    (all on one page) and README.md, and for each table CSV, Markdown and LaTeX.
    """
    from latentlang.cli.console import output, say
    from latentlang.reproduction import plan
    from latentlang.reproduction import reproduce as run
    from latentlang.tasks.labels import check_protocol
    from latentlang.training.devices import check_packages

    check_protocol(protocol)
    for option, value in (("--jobs", jobs), ("--items", items), ("--batch-tokens", batch_tokens)):
        check_count(option, value, least=1)
    check_count("--seed", seed, least=0)
    names = split_names(only or ())
    if only and not names:
        raise InputError("--only names no figure or table; leave it out for all of them")
    say("planning")
    planned = plan(
        paper, only=names or None, model=model, protocol=protocol, data=data,  # type: ignore[arg-type]
        training_data=_folders(training_data or []), items=items, seed=seed,
        overrides=options.assigned(change or []), cache=cache, batch_tokens=batch_tokens,
        called=name, allow_code=allow_code, chat=chat, **loading.named(),
    )  # fmt: skip
    console = output()
    if dry_run:
        tables = planned.tables()
        if planned.needed:
            console.print(_plan_table(planned, tables, width=console.width))
            console.print()
        console.print(_tables_table(planned, tables))
        _print_lacking(console, tables)
        return
    if any(step.kind == "train" for step in planned.needed):
        check_packages()
    try:
        with _ReproductionProgress(planned) as progress:
            done = run(
                planned,
                out=out,
                formats=split_names(formats),
                html=html,
                jobs=jobs,
                progress=progress,
                on_event=progress.line,
            )
    except KeyboardInterrupt:
        raise CommandInterrupt(
            f"interrupted; what was done is kept in {planned.bench.cache}, and the same command goes on from there"
        ) from None
    for note in done.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"{counted(len(done.ran), 'step')} run, {len(planned.needed) - len(done.ran)} were there")
    _print_compared(console, done)
    shown = [path for path in done.files if path.name in ("index.html", "README.md")]
    console.print(f"wrote {counted(len(done.files), 'file')} into {done.folder}", soft_wrap=True)
    for path in shown:
        console.print(f"wrote {path}", soft_wrap=True)


def _folders(given: Sequence[str]) -> dict[str, str]:
    """``nli=FOLDER`` as task and folder."""
    folders = {}
    for text in given:
        task, sign, folder = text.partition("=")
        if not sign or not folder.strip():
            raise InputError(f"--training-data takes a task and a folder, e.g. nli=DIR, not {text!r}")
        folders[task.strip()] = folder.strip()
    return folders


def _plan_table(planned: ReproductionPlan, tables: Sequence[PlannedExperiment], *, width: int) -> Table:
    """The steps, what is there, and what the others will cost; what they are for is below them where it is narrow."""
    from rich.table import Table

    from latentlang.storage.files import size_words

    by_step = {line.step: line for table in tables for line in table.steps}
    steps = [by_step[step] for step in planned.needed]
    where = planned.bench.settings.device
    grid = Table(box=None, pad_edge=False, header_style="bold")
    narrow = width < _WIDE
    grid.add_column("step", no_wrap=not narrow)
    for head in (f"hours ({where})", "disk"):
        grid.add_column(head, justify="right", no_wrap=True)
    if not narrow:
        grid.add_column("for")
    for line in steps:
        names = ", ".join(line.experiments)
        label = f"{line.step.label}\n  for {names}" if narrow else line.step.label
        what_for = () if narrow else (names,)
        if line.cached or line.cost is None:
            grid.add_row(label, "there", "", *what_for)
        else:
            grid.add_row(label, f"{line.cost.seconds / _HOUR:.2f}", size_words(line.cost.bytes), *what_for)
    costs = [line.cost for line in steps if line.cost is not None]
    cached = sum(line.cached for line in steps)
    grid.add_row(
        f"{counted(len(steps), 'step')}, {cached} there", f"{sum(c.seconds for c in costs) / _HOUR:.2f}",
        size_words(sum(c.bytes for c in costs)), *(() if narrow else ("",)),
    )  # fmt: skip
    grid.caption = (
        "Hours are an estimate: operations of the tokens there are, at 0.4 of the speed of a large matrix product, "
        "measured just now on this device."
    )
    grid.caption_justify = "left"
    return grid


def _tables_table(planned: ReproductionPlan, tables: Sequence[PlannedExperiment]) -> Table:
    """What each table and figure takes."""
    from rich.table import Table

    from latentlang.reproduction.cost import Cost

    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("table or figure")
    hours = "hours" if planned.bench.settings.device == "cpu" else "GPU hours"
    for head in ("steps", "there", hours, "disk", "calls", "price (US$)"):
        grid.add_column(head, justify="right", no_wrap=True)
    for table in tables:
        texts = _sums(table.steps, table.cost) if table.is_computed else ("–",) * 6
        grid.add_row(table.experiment.name, *texts)
    once = {line.step: line for table in tables for line in table.steps}
    if len(tables) > 1 and once:
        whole = sum((line.cost for line in once.values() if line.cost is not None), start=Cost())
        grid.add_row("all", *_sums(list(once.values()), whole))
    grid.caption = "What several tables need is counted at each of them, and once in all."
    grid.caption_justify = "left"
    return grid


def _sums(lines: Sequence[PlannedStep], cost: Cost) -> tuple[str, ...]:
    """Of some steps: how many, how many are there, and hours, disk, calls and price of the others."""
    from latentlang.storage.files import size_words

    return (
        str(len(lines)), str(sum(line.cached for line in lines)), f"{cost.seconds / _HOUR:.2f}",
        size_words(cost.bytes), f"{cost.calls:,}", f"{cost.price:,.2f}",
    )  # fmt: skip


def _print_lacking(console: Console, tables: Sequence[PlannedExperiment]) -> None:
    """What cannot be had, with what stands in and what the paper's own would take."""
    lacking: dict[str, list[str]] = {}
    for table in tables:
        if words := table.cannot_be_had:
            lacking.setdefault(words, []).append(table.experiment.name)
    if not lacking:
        return
    console.print()
    console.print("What cannot be had, and what stands in:")
    for words, names in lacking.items():
        for line in textwrap.wrap(
            f"{', '.join(names)}: {words}",
            max(20, console.width),
            subsequent_indent="  ",
            break_on_hyphens=False,
        ):
            console.print(line, soft_wrap=True)


def _print_compared(console: Console, done: Reproduction) -> None:
    """A line for each table whose printed cells stand beside computed ones."""
    from rich.table import Table

    from latentlang.reproduction import ComparedTable

    tables = [table for table in done.tables.values() if isinstance(table, ComparedTable)]
    if not tables:
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("table or figure")
    for head in ("printed", "corrected", "computed here"):
        grid.add_column(head, justify="right", no_wrap=True)
    grid.add_column("median difference", justify="right")
    for table in tables:
        differences = table.table["difference"].dropna().abs()
        grid.add_row(
            table.experiment.source, f"{table.n_printed:,}", f"{table.n_corrected:,}", f"{table.n_computed:,}",
            f"{differences.median():.3g}" if len(differences) else "–",
        )  # fmt: skip
    console.print(grid)


class _ReproductionProgress:
    """A bar for the step that runs, and a line for each that is done."""

    def __init__(self, planned: ReproductionPlan) -> None:
        self._planned = planned
        self._step: AnyStep | None = None
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, step: AnyStep, done: int, total: int) -> None:
        from latentlang.cli.console import Progress

        if step != self._step or self._bar is None:
            self._close()
            self._step, self._bar = step, Progress(step.label, total=total).__enter__()
        self._bar.after(0)(done, total)

    def line(self, text: str) -> None:
        """Say what is done, on stderr."""
        from latentlang.cli.console import note

        self._close()
        note(text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar = None
