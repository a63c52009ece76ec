"""``latentlang pivot``: whether a model uses the pivot's words on its way to an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.records import result_record, rows_record
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.causal import PivotUseResult

_PAGE = "pivot-use.html"
_ALL = "all"
# Those with a column.
_ARMS = ("pivot", "third", "random", "direct", "alone")


def pivot(
    context: typer.Context,
    lang: Annotated[
        list[str],
        typer.Option(help="Target language: codes (ja or ja,hi) or a group (paper20); repeatable."),
    ],
    model: options.Model = defaults.MODEL,
    task: Annotated[
        str, typer.Option(help="Word task: translation, repetition or cloze.")
    ] = defaults.LENS_TASK,
    source: options.Source = None,
    data: options.Data = None,
    pivot: Annotated[str, typer.Option(help="Language whose words may be used.")] = defaults.PIVOT,
    third: Annotated[
        str | None,
        typer.Option(help="Language whose directions are the control; by default one drawn by the seed."),
    ] = None,
    shots: options.Shots = None,
    items: options.Items = None,
    seed: options.Seed = defaults.SEED,
    layers: Annotated[
        str, typer.Option(help="After which blocks to change: all, or numbers and ranges: 4,8-12.")
    ] = "all",
    level: Annotated[
        float, typer.Option(help="Of the verdict and the intervals.", min=0.0, max=1.0)
    ] = defaults.LEVEL,
    out: options.Out = None,
    adapter: options.Adapter = None,
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
) -> None:
    """Test whether the pivot's words are used for the answer, or can merely be read.

    Exchanges the pivot's word for another one layer by layer, with controls, and looks whether the answer follows.
    Writes result.parquet, metadata.json and pivot-use.html (an interactive figure) into the output folder.
    """
    from latentlang.causal.pivot_languages import check_word_task, third_language
    from latentlang.cli.console import Progress, echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_languages
    from latentlang.language_names import language, languages
    from latentlang.stats.intervals import check_level

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    check_level(level)
    numbers = options.layer_numbers(layers)
    targets = [entry.code for entry in languages(lang)]
    pivot = language(pivot).code
    third = language(third).code if third is not None else None
    built = options.built_task(task, targets, source=source, data=data, answers=None, accept=None)
    check_word_task(built, pivot)
    for code in targets:
        third_language(built, code, pivot=pivot, third=third, seed=seed)
    count = sum(options.counted_prompts(built, targets, items=items, shots=shots, seed=seed).values())
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, source=source, data=data, pivot=pivot, third=third, shots=shots, items=items, seed=seed,
        layers=layers, level=level, chat="turns" if chat else None,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", task, "-".join(lang)]
    with OutputFolder(
        out or run_folder("pivot", parts, asked_for), Claim("pivot-use", (TABLE, _PAGE)), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.causal import pivot_test
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        built = loaded.chat(built) if chat else built
        unfinished = folder.unfinished
        with keeping_languages(unfinished, targets), Progress("changing", total=count) as progress:
            result = pivot_test(
                loaded, built, languages=targets, pivot=pivot, third=third, items=items, shots=shots, seed=seed,
                layers=numbers, share_prefix=share_prefix, batch_tokens=batch_tokens, resume=unfinished,
                progress=progress.after(0),
            )  # fmt: skip
        folder.save(result)
        forget(unfinished)
        folder.page(result.figure(), _PAGE, title=f"{info.name}: is {language(pivot).name} used?")
        if pages.as_json:
            return echo_json(pivot_record(result, level=level, files=folder.files))
        console = output()
        _print_table(result, console, level=level)
        folder.print_files(console)


def pivot_record(result: PivotUseResult, *, level: float, files: Sequence[Path]) -> dict[str, Any]:
    """A result for ``--json``: what all commands say of theirs, with the verdicts and shares at a level."""
    said = result.describe(level)
    return result_record(result, files) | {
        "sentence": said, "settings": dict(result.provenance.settings), "verdicts": rows_record(result.verdict(level)),
        "sentences": said.splitlines(), "summary": rows_record(result.summary(level)),
    }  # fmt: skip


def _print_table(result: PivotUseResult, console: Console, *, level: float) -> None:
    """The verdict and the shares that follow, a row a language; then the same in words."""
    from rich.table import Table

    from latentlang.language_names import language
    from latentlang.text import percent

    provenance, settings = result.provenance, result.settings
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    console.print(f"{named} · {provenance.task} · is {language(settings.pivot).name} used?", style="bold")
    console.print(
        "answers that follow when its word is exchanged for another, and when controls are; "
        f"verdict at {percent(level)}",
        style="dim",
    )
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for head in ("language", "verdict", "layer", "items", *_ARMS):
        table.add_column(head, justify="left" if head in ("language", "verdict") else "right")
    for row in result.verdict(level).to_dict("records"):
        name = _ALL if row["language"] == _ALL else language(str(row["language"])).name
        shares = ["" if row["items"] == 0 else f"{row[arm]:.0%}" for arm in _ARMS]
        layer = str(row["layer"]) if row["items"] else ""
        table.add_row(name, str(row["verdict"]), layer, str(row["items"]), *shares)
    console.print(table)
    console.print(
        "pivot: its word exchanged; third: another language's as much; random: as large a random change; direct: the "
        "pivot's after the last layer; alone: the pivot's without what moves the answer's own tokens",
        style="dim",
    )
    for line in result.describe(level).splitlines():
        console.print()
        console.print(line)
