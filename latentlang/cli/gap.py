"""``latentlang gap``: training on native data against training on translated data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.judging import GapResult


def gap(
    context: typer.Context,
    scores: Annotated[
        list[str],
        typer.Argument(
            help="A file of scores (CSV or JSON lines with columns arm, score and, as far as there are several, "
            "benchmark, model, language, seed, item), or NAME=FOLDER for each arm, FOLDER being an evaluation or "
            "judgement that was saved; a name given again is a further seed.",
            metavar="FILE | NAME=FOLDER ...",
        ),
    ],
    native: Annotated[str, typer.Option(help="The arm of native data.")] = "native",
    translated: Annotated[
        str | None,
        typer.Option(help="Arms of translated data, with commas; by default all others but the base."),
    ] = None,
    base: Annotated[str, typer.Option(help="The arm without training.")] = "base",
    permutations: Annotated[
        int, typer.Option(help="Random exchanges of arms behind the null of the correlation.")
    ] = defaults.GAP_EXCHANGES,
    seed: Annotated[int, typer.Option(help="Seed of the exchanges and intervals.")] = 0,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Show how much better a model is after native than after translated training data, and against no training.

    Writes result.parquet, metadata.json, gap.csv (the printed table), cells.csv, correlations.csv and gap.html.
    """
    from latentlang.cli.output_folder import Claim, OutputFolder, run_folder
    from latentlang.judging import gap as compared
    from latentlang.storage.output import TABLE

    options.check_counts(items=None, shots=None, seed=seed)
    given = _given(scores)
    asked_for = options.asked_for(
        context, native=native, translated=translated, base=base, permutations=permutations, seed=seed
    )
    parts = [Path(given).stem] if isinstance(given, str) else [",".join(given)]
    tables = ("gap.csv", "cells.csv", "correlations.csv")
    claim = Claim("gap", (TABLE, *tables, "gap.html"))
    with OutputFolder(out or run_folder("gap", parts, asked_for), claim, pages=pages) as folder:
        result = compared(
            given, native=native, translated=translated, base=base, permutations=permutations, seed=seed
        )
        folder.save(result)
        for name, table in zip(
            tables, (result.summary(), result.cells(), result.correlations()), strict=True
        ):
            folder.text(name, table.to_csv(index=False))
        folder.page(result.figure(), "gap.html", title="Native less translated training data")
        folder.print_result(result, _print_table, options.print_description)


def _given(scores: list[str]) -> str | dict[str, list[str]]:
    """One file, or arm to folders.

    Raises:
        InputError: it is neither.
    """
    from latentlang.errors import InputError, shown

    if len(scores) == 1 and ("=" not in scores[0] or Path(scores[0]).is_file()):
        return scores[0]
    arms: dict[str, list[str]] = {}
    for text in scores:
        name, sign, folder = text.partition("=")
        if not (sign and name.strip() and folder.strip()):
            raise InputError(f"an arm is NAME=FOLDER, such as native=runs/native, not {shown(text, most=80)}")
        arms.setdefault(name.strip(), []).append(folder.strip())
    return arms


def _print_table(result: GapResult, console: Console) -> None:
    """A row a benchmark, and below each of its arms."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("benchmark", overflow="fold")
    for head in ("base", "native", "translated", "gap", "interval", "cells", "+", "-"):
        table.add_column(head, justify="right")
    for row in result.summary().to_dict("records"):
        interval = "" if row["low"] != row["low"] else f"{row['low']:+.3g} to {row['high']:+.3g}"
        table.add_row(
            str(row["benchmark"]) or "all scores", "none" if row["base"] != row["base"] else f"{row['base']:.4g}",
            f"{row['native']:.4g}", f"{row['translated']:.4g}", f"{row['gap']:+.3g}", interval,
            str(row["cells"]), str(row["positive"]), str(row["negative"]),
        )  # fmt: skip
    console.print(table)
