"""``latentlang sweep``: models x recipes x tasks x languages x seeds as jobs, run, and one table of them."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.sweeps import JobOutcome, JobTable, SweepReport, SweepResult

_RUN_PANEL = "Where jobs are run"
# Rows that a terminal gets of a long table; the files have all.
_MOST_ROWS = 60


def sweep(
    file: Annotated[Path, typer.Argument(help="YAML file of the sweep (docs/howto/sweep.md).")],
    out: options.Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the table of jobs, and how many there are.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            help="Jobs at once, each in a process of its own; with --slurm, tasks of an array at once.",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = 1,
    executor: Annotated[
        str,
        typer.Option(
            help="local: processes of this machine; here: one after the other in this process; ray: as --cluster auto; "
            "slurm: as --slurm; or one that was registered.",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = "local",
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Run the jobs on workers of Ray: auto (processes on this machine), or HOST:PORT of a Ray cluster; "
            "needs the extra cluster.",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = None,
    cpus: Annotated[
        int | None,
        typer.Option(
            help="With --cluster: cores of each job; by default an even share of this machine with auto, else 1.",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = None,
    slurm: Annotated[
        bool,
        typer.Option(
            "--slurm",
            help="Run nothing: write sweep.sbatch, an array script with a stage for jobs that need others.",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = False,
    job: Annotated[
        int | None,
        typer.Option(
            help="Run this job alone, here, as a task of an array does (--dry-run has the numbers).",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = None,
    gather: Annotated[
        bool,
        typer.Option(
            "--gather",
            help="Run nothing: put what is finished into the table and the page.",
            rich_help_panel=_RUN_PANEL,
        ),
    ] = False,
    html: options.Html = defaults.HTML,
    as_json: options.AsJson = False,
) -> None:
    """Run the jobs of a sweep: every combination of its models, recipes, tasks, languages and seeds.

    Each entry of the file is a kind of job, which is one command with its options: train, evaluate, lens, harvest,
    neurons, compare. Entries that read another's outcome are run after it. What is finished is not run again: stopped
    and given again, the command goes on, and a changed entry is done again with what depends on it. A job that fails is
    named, and the rest goes on.

    Writes result.parquet, result.csv (a row a job and measure), seeds.csv (means over seeds), jobs.csv, metadata.json
    and sweep.html.
    """
    from latentlang.sweeps import job_table, run_one, run_sweep

    chosen = _only_one(executor, dry_run=dry_run, slurm=slurm, job=job, gather=gather, cluster=cluster)
    if chosen == "ray":
        from latentlang.cluster.ray_pool import check_ray

        check_ray()
    folder = out or Path("latentlang-out") / f"sweep-{file.stem}"
    table = job_table(file)
    if dry_run:
        return _print_plan(table, folder, as_json=as_json)
    if job is not None:
        return _print_one(run_one(table, job, out=folder))
    from latentlang.cli.sweep_display import watching

    with watching(table) as watch:
        try:
            report = run_sweep(
                table, out=folder, jobs=jobs, executor=chosen, cluster=cluster, cpus=cpus, html=html, told=watch,
                gather=gather,
            )  # fmt: skip
        except KeyboardInterrupt:
            raise CommandInterrupt(
                f"interrupted; {watch.finished} of {len(table.jobs)} jobs are finished and kept in {folder}: run the "
                "same command again to go on"
            ) from None
    _print_report(report, as_json=as_json)
    if report.failed:
        first = report.failed[0]
        raise InputError(
            f"{len(report.failed)} of {len(table.jobs)} jobs failed, first job {first.job.number}, {first.job.label}: "
            f"{first.error} (what is finished is kept in {folder})"
        )


def _only_one(
    executor: str, *, dry_run: bool, slurm: bool, job: int | None, gather: bool, cluster: str | None
) -> str:
    """The executor, where no two options ask for different things.

    Raises:
        InputError: two do.
    """
    given = {"--dry-run": dry_run, "--slurm": slurm, "--job": job is not None, "--gather": gather}
    named = [name for name, is_given in given.items() if is_given]
    if slurm and executor not in ("local", "slurm"):
        named.append(f"--executor {executor}")
    if cluster is not None and not dry_run:
        named += ["--cluster"] if executor in ("local", "ray") else ["--cluster", f"--executor {executor}"]
    if len(named) > 1:
        raise InputError(f"{' and '.join(named)} ask for different things; give one of them")
    if slurm:
        return "slurm"
    return executor if cluster is None else "ray"


def _print_plan(table: JobTable, folder: Path, *, as_json: bool) -> None:
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.records import rows_record

    frame = table.frame()
    frame["finished"] = [table.is_finished(job, folder) for job in table.jobs]
    if as_json:
        return echo_json({"jobs": rows_record(frame), "out": str(folder)})
    console = output()
    columns = ["job", "entry", "model", "recipe", "task", "languages", "seed", "needs", "finished"]
    rows = [
        ["" if value is None or value != value else _cell(value) for value in row]
        for row in frame[columns].astype(object).where(frame[columns].notna(), None).itertuples(index=False)
    ]
    _print_rows(console, columns, rows)
    finished = int(frame["finished"].sum())
    console.print(f"{table.describe()} {finished} are finished in {folder}.", soft_wrap=True)
    return None


def _cell(value: object) -> str:
    return {True: "yes", False: ""}[value] if isinstance(value, bool) else str(value)


def _print_rows(console: Console, heads: list[str], rows: list[list[str]]) -> None:
    from rich.table import Table

    used = [place for place, _ in enumerate(heads) if any(row[place] for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place in used:
        right = heads[place] in ("job", "seed", "value", "low", "high", "seeds", "languages averaged")
        table.add_column(heads[place], justify="right" if right else "left", overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(row[place] for place in used))
    console.print(table)
    if len(rows) > _MOST_ROWS:
        console.print(f"... and {len(rows) - _MOST_ROWS} more rows")


def _print_one(outcome: JobOutcome) -> None:
    from latentlang.cli.console import output

    if outcome.state == "failed":
        raise InputError(f"job {outcome.job.number}, {outcome.job.label}, failed: {outcome.error}")
    words = "was finished already" if outcome.state == "kept" else "is done"
    output().print(f"job {outcome.job.number}, {outcome.job.label}, {words}", soft_wrap=True)


def _print_report(report: SweepReport, *, as_json: bool) -> None:
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.records import result_record

    files = list(report.files)
    if as_json:
        if report.result is None:
            return echo_json({"files": [str(path) for path in files]})
        return echo_json(
            result_record(report.result, files)
            | {"jobs": [job.model_dump() for job in report.result.settings.jobs]}
        )
    console = output()
    if report.result is not None:
        _print_result(report.result, console)
    for path in files:
        console.print(f"wrote {path}", soft_wrap=True)
    if report.result is None:
        console.print(f"submit it: bash {shlex.quote(str(files[0]))}", soft_wrap=True)
    return None


def _print_result(result: SweepResult, console: Console) -> None:
    """A row for each entry, model, recipe, task and measure: the mean over languages and seeds."""
    heads = [
        "entry",
        "model",
        "recipe",
        "task",
        "measure",
        "value",
        "interval over seeds",
        "seeds",
        "languages",
    ]
    rows = []
    for row in result.summary().to_dict("records"):
        interval = "" if row["low"] != row["low"] else f"{row['low']:.4g} to {row['high']:.4g}"
        value = "" if row["value"] != row["value"] else f"{row['value']:.4g}"
        rows.append([
            *(str(row[name]) for name in heads[:5]), value, interval, str(row["seeds"] or ""), str(row["languages"]),
        ])  # fmt: skip
    _print_rows(console, heads, rows)
    states = Counter(job.state for job in result.settings.jobs)
    console.print(", ".join(f"{number} {state}" for state, number in states.items()), soft_wrap=True)
