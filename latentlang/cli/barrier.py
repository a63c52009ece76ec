"""``latentlang barrier``: wrong answers whose right answer was readable at an earlier layer, beyond chance."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.lens import BarrierResult

_PAGE = "barrier.html"
_ALL = "all"


def barrier(
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
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages whose words are looked for, codes or a group; by default all the task has."
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many of a layer's likeliest tokens are looked at.")] = 1,
    shots: options.Shots = None,
    items: options.Items = None,
    seed: options.Seed = defaults.SEED,
    layers: options.LensLayers = "all",
    tuned: Annotated[
        Path | None, typer.Option(help="Folder of a tuned lens (`latentlang tune`) to read through.")
    ] = None,
    jacobian: options.Jacobian = None,
    level: Annotated[float, typer.Option(help="Of the intervals.", min=0.0, max=1.0)] = defaults.LEVEL,
    out: options.Out = None,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
) -> None:
    """Find wrong answers that were right inside: the translation barrier, less what the same search finds by chance.

    Writes result.parquet, metadata.json and barrier.html (an interactive figure) into the output folder.
    """
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.language_names import languages
    from latentlang.stats.intervals import check_level

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    check_count("--top", top, least=1)
    check_level(level)
    numbers = options.layer_numbers(layers)
    fitted = options.one_lens(tuned, jacobian)
    targets = [entry.code for entry in languages(lang)]
    read = [entry.code for entry in languages(candidates)] if candidates else None
    built = options.built_task(task, targets, source=source, data=data, answers=None, accept=None)
    count = sum(options.counted_prompts(built, targets, items=items, shots=shots, seed=seed).values())
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, source=source, data=data, candidates=candidates, top=top, shots=shots, items=items, seed=seed,
        layers=layers, tuned=tuned, jacobian=jacobian,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", task, "-".join(lang)]
    with OutputFolder(
        out or run_folder("barrier", parts, asked_for), Claim("barrier", (TABLE, _PAGE)), pages=pages
    ) as folder:
        from latentlang.lens.barrier import candidate_languages, check_word_task, translation_barrier

        check_word_task(built)
        for code in targets:
            candidate_languages(built, code, read)
        say(f"loading {info.name}")
        loaded = loading.load(model, adapter=adapter)
        with Progress("reading", total=count) as progress:
            result = translation_barrier(
                loaded, built, languages=targets, candidates=read, items=items, shots=shots, seed=seed, layers=numbers,
                top=top, lens=fitted, share_prefix=share_prefix, batch_tokens=batch_tokens, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result)
        if result.table["answered"].all():
            folder.no_page(_PAGE, "every item is answered rightly, so there is no wrong answer to draw")
        else:
            folder.page(result.figure(), _PAGE, title=f"{info.name}: right inside, wrong at the end")
        folder.print_result(result, partial(_print_table, level=level))


def _print_table(result: BarrierResult, console: Console, *, level: float) -> None:
    """A row a language; then the same in words."""
    from rich.table import Table

    from latentlang.language_names import language

    provenance = result.provenance
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    console.print(f"{named} · {provenance.task} · right inside, wrong at the end", style="bold")
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for head in ("language", "items", "wrong", "readable", "chance", "barrier", "interval", "layer"):
        table.add_column(head, justify="left" if head == "language" else "right")
    for row in result.summary(level).to_dict("records"):
        name = _ALL if row["language"] == _ALL else language(str(row["language"])).name
        cells = [name, str(row["items"]), str(row["wrong"])]
        if row["wrong"]:
            cells += [f"{row['readable']:.0%}", f"{row['chance']:.0%}", _points(row["barrier"])]
            cells += [
                "no interval"
                if row["low"] != row["low"]
                else f"{_points(row['low'])} to {_points(row['high'])}",
                f"{row['layer']:g}" if row["layer"] == row["layer"] else "",
            ]
        table.add_row(*cells)
    console.print(table)
    console.print()
    for line in result.describe(level).splitlines():
        console.print(line, highlight=False, markup=False)


def _points(difference: float) -> str:
    """A difference of shares as the shares themselves: ``+12%``, ``−11%``."""
    from latentlang.text import signed

    return f"{signed(100 * difference, 0, keep_side=False)}%"
