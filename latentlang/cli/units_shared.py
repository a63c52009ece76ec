"""What `latentlang neurons` and `latentlang features` have in common at the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from latentlang.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


class PrintedAblation(Protocol):
    """What is printed of an ablation of neurons or features."""

    def contrasts(self) -> pd.DataFrame:
        """A row for each language whose units were taken out."""

    def describe(self) -> str:
        """In words."""


def counted_items(
    there: Mapping[str, int], items: int | None, ablate: int | None, *, which: str = ""
) -> int | None:
    """How many paragraphs are counted, so that there are others to measure on.

    Args:
        there: language to the number of its paragraphs.
        items: of which so many are to be counted; None for all that are left.
        ablate: and so many are to be measured on; None for none.
        which: which paragraphs these are, for the error.

    Raises:
        InputError: there are too few.
    """
    if ablate is None:
        return items
    fewest = min(there, key=lambda code: there[code])
    left = there[fewest] - (items or 2)
    if left < ablate:
        raise InputError(
            f"{fewest!r} has {there[fewest]} paragraphs{which}, too few to count {items or 'two'} and to measure on "
            f"--ablate {ablate} others; give more text, or smaller --items and --ablate"
        )
    return items or there[fewest] - ablate


def print_ablation(
    ablation: PrintedAblation, console: Console, *, units: str, name: Callable[[str], str]
) -> None:
    """A row for each language whose units were taken out, and what is said of it.

    Args:
        ablation: the result.
        console: where it is printed.
        units: what was taken out: ``neurons``.
        name: of a language.
    """
    from rich.table import Table

    from latentlang.text import signed

    table = Table(
        box=None, pad_edge=False, header_style="bold", title=f"without {units} of", title_justify="left"
    )
    for head in ("language", units, "own %", "others %", "own less others", "p", "verdict"):
        table.add_column(head, justify="left" if head in ("language", "verdict") else "right")
    for row in ablation.contrasts().to_dict("records"):
        shares = [signed(100 * row[column], 2, keep_side=False) for column in ("own", "others", "difference")]
        p = f"{row['p']:.2g}" if row["p"] == row["p"] else "-"
        table.add_row(name(str(row["ablated"])), str(row[units]), *shares, p, str(row["verdict"]))
    console.print()
    console.print(table)
    print_words(ablation.describe(), console)


def print_words(text: str, console: Console) -> None:
    """Each line as a paragraph."""
    for line in text.splitlines():
        console.print()
        console.print(line, highlight=False, markup=False)


def ablation_record(ablation: Any) -> dict[str, Any]:
    """For ``--json``."""
    from latentlang.cli.records import rows_record

    return {
        "sentence": ablation.describe(), "rows": rows_record(ablation.contrasts()),
        "effects": rows_record(ablation.summary()),
    }  # fmt: skip
