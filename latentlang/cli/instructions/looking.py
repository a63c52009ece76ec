"""What the commands have in common that look after instruction data: the data, and what they are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.errors import InputError
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from latentlang.instructions import Dialogue

Data = Annotated[
    list[str],
    typer.Argument(
        help="Instructions: files or folders in any layout (.jsonl, .json, .csv, .tsv, .parquet), hub:ORG/NAME."
    ),
]
DataLanguage = Annotated[
    str | None, typer.Option("--data-lang", help="Language of records that do not say theirs.")
]
Against = Annotated[
    list[str] | None,
    typer.Option(help="What they were translated from, in one language: files or folders; repeatable."),
]
AgainstLanguage = Annotated[
    str | None, typer.Option("--against-lang", help="Language of those records where they do not say theirs.")
]
Checks = Annotated[
    str | None,
    typer.Option(
        help="Checks to make: names with commas; by default all, which `latentlang instructions check --help` "
        "lists."
    ),
]
PairBy = Annotated[
    str,
    typer.Option(
        help="What a dialogue and its source have in common: group (or id), or number, that at its end."
    ),
]
AnswersAnew = Annotated[
    bool,
    typer.Option(
        "--answers-anew", help="The answers were written anew, not translated: hold them against nothing."
    ),
]
Among = Annotated[
    str | None,
    typer.Option(help="Languages in question for the identifier; by default those of the data, and English."),
]
# Findings of a check that are listed on the screen.
_MOST_SHOWN = 3


def dialogues_of(data: Sequence[str], lang: str | None) -> list[Dialogue]:
    """The dialogues of files, folders and hub sets.

    Raises:
        InputError: there are none, or they cannot be read.
    """
    from latentlang.instructions import read_dialogues
    from latentlang.instructions.hub import hub_dialogues
    from latentlang.tasks.hub import is_hub

    dialogues: list[Dialogue] = []
    files: list[Any] = [path for path in data if not is_hub(path)]
    if files:
        dialogues += read_dialogues(files, language=lang)
    for name in data:
        if is_hub(name):
            dialogues += hub_dialogues(name, languages=lang).dialogues
    return dialogues


@dataclass(frozen=True)
class Looked:
    """What a command was given: the data, and options of `check_dialogues`."""

    dialogues: list[Dialogue]
    options: dict[str, Any]


def looked_at(
    data: Sequence[str],
    data_lang: str | None,
    against: Sequence[str] | None,
    against_lang: str | None,
    *,
    checks: str | None,
    pair_by: str,
    answers_anew: bool,
    among: str | None,
) -> Looked:
    """The data and what is asked of them.

    Raises:
        InputError: files that cannot be read, or options that need others.
    """
    from latentlang.instructions.checks import usable_checks

    chosen = usable_checks(checks, sources=against is not None, named=": --against PATH")
    if against is None and (answers_anew or against_lang):
        raise InputError("--answers-anew and --against-lang are said of sources; name them: --against PATH")
    return Looked(
        dialogues_of(data, data_lang),
        {
            "sources": None if against is None else dialogues_of(against, against_lang), "checks": chosen,
            "pair_by": pair_by, "answers_translated": not answers_anew,
            "among": None if among is None else among.split(","),
        },
    )  # fmt: skip


def print_carrying(count: int, console: Console) -> None:
    """Of how many dialogues the language check left a text out that they ask to translate."""
    if count:
        carry = "carries" if count == 1 else "carry"
        console.print(
            f"{counted(count, 'dialogue')} {carry} a text to translate, whose language is not looked at; that of the "
            "answer is", soft_wrap=True,
        )  # fmt: skip


def print_rows(table: pd.DataFrame, console: Console) -> None:
    """A table: shares as per cent, numbers with their commas; a column a row where that is too wide for the console."""
    from pandas.api.types import is_numeric_dtype
    from rich.table import Table

    rows = table.to_dict("records")
    cells = {str(name): [_cell(str(name), row[name]) for row in rows] for name in table.columns}
    widths = [max(map(len, (name, *values))) for name, values in cells.items()]
    if sum(widths) + 2 * (len(widths) - 1) > console.width:
        return _print_on_its_side(cells, console)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in table.columns:
        grid.add_column(str(name), justify="right" if is_numeric_dtype(table[name]) else "left")
    for values in zip(*cells.values(), strict=True):
        grid.add_row(*values)
    console.print(grid)
    return None


def _print_on_its_side(cells: Mapping[str, list[str]], console: Console) -> None:
    """Rows as columns below each other, as many side by side as the console is wide."""
    from rich.table import Table

    heads = max(map(len, cells))
    count = len(next(iter(cells.values())))
    first = 0
    while first < count:
        end, taken = first, heads
        while end < count:
            taken += 2 + max(len(values[end]) for values in cells.values())
            if taken > console.width and end > first:
                break
            end += 1
        grid = Table(box=None, pad_edge=False, show_header=False)
        grid.add_column(style="bold", no_wrap=True)
        for _ in range(first, end):
            grid.add_column(justify="right")
        for name, values in cells.items():
            grid.add_row(name, *values[first:end])
        if first:
            console.print()
        console.print(grid)
        first = end


_SHARES = ("share", "copied", "short", "identified", "other", "undecided share", "byte_share")


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{value:.1%}" if name in _SHARES else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
