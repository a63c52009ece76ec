"""``latentlang instructions build pipeline``: all steps of a YAML file, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang.cli import options
from latentlang.cli.asking_options import AskingOptions

if TYPE_CHECKING:
    from latentlang.cli.instructions.making import PipelineAsking
    from latentlang.instructions.pipeline import PipelineReport, PipelineStep


def pipeline(
    file: Annotated[Path, typer.Argument(help="YAML file with steps, a list.")],
    out: Annotated[Path, options.folder("Folder of the steps' folders, and of the replies.")],
    provider: Annotated[
        str | None,
        typer.Option(
            help="What answers in steps that do not say theirs, in place of the file's: openai:MODEL@URL, local:MODEL, "
            "replay:FILE or table:FILE."
        ),
    ] = None,
    as_json: options.AsJson = False,
    asking: AskingOptions = AskingOptions(),  # noqa: B008
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Make instruction data in several steps: translate, round-trip, answer, parallel, grounded, culture, filter, mix.

    Each step of the file has a name, a step (its kind) and the options of the command that does the same alone, with
    underscores; data names files, or steps before it. A step is done again only where something that it depends on has
    changed, and a reply is kept as soon as it comes: stopped and run again, the command goes on. --dry-run sums calls,
    tokens and price of all steps.
    """
    from latentlang.cli.instructions.making import PipelineAsking, keeping_replies, prices_of
    from latentlang.instructions.pipeline import REPLIES, read_pipeline, run_pipeline
    from latentlang.storage.files import check_out, prepare_folder
    from latentlang.storage.lock import FolderLock

    prices = prices_of(asking)
    steps = read_pipeline(file, provider=provider, prices=prices)
    cache = asking.cache or check_out(out) / REPLIES
    asks = PipelineAsking(asking, loading, cache=cache)
    if asking.dry_run:
        report = run_pipeline(steps, out=out, asking=asks, planned=True)
        return _print(report, steps, asks, as_json=as_json)
    prepare_folder(out)
    with FolderLock(out, joins=True, needed=False), keeping_replies(asks.askers, cache=cache):
        report = run_pipeline(steps, out=out, asking=asks)
    return _print(report, steps, asks, as_json=as_json)


def _print(report: PipelineReport, steps: list[PipelineStep], asks: PipelineAsking, *, as_json: bool) -> None:
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.instructions import looking
    from latentlang.cli.records import rows_record
    from latentlang.instructions.built import DIALOGUES

    files = [] if report.planned else [str(report.folder / step.name / DIALOGUES) for step in steps]
    if as_json:
        return echo_json({"steps": rows_record(report.table), "price": report.price, "files": files})
    console = output()
    table = report.table if report.table["price"].notna().any() else report.table.drop(columns="price")
    looking.print_rows(table, console)
    console.print(report.describe(), soft_wrap=True)
    if report.planned and asks.counted_by:
        console.print(f"Tokens are {', '.join(asks.counted_by)}.", soft_wrap=True)
    for path in files:
        console.print(f"wrote {path}", soft_wrap=True)
    return None
