"""The page of several comparisons with one model: the states beside each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from latentlang.comparison.report import change_cells, page_of, short_name, verdict_cell
from latentlang.figures.document import (
    Bullets,
    Cell,
    Document,
    Figure,
    Link,
    Section,
    Table,
    Text,
    write_document,
)
from latentlang.figures.header import made_with
from latentlang.figures.states_change import States, states_figure
from latentlang.figures.style import plain
from latentlang.text import GROUPS, percent

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.comparison.result import ComparisonResult


class GroupOfStates(States, Protocol):
    """What is told: `ComparisonGroup` has it."""

    @property
    def comparisons(self) -> Mapping[str, ComparisonResult]:
        """Name of each state to its comparison."""

    def summary(self) -> pd.DataFrame:
        """The averages over groups of languages, the states below each other."""


def write_group(result: GroupOfStates, path: str | os.PathLike[str], *, html: str = "whole") -> Path:
    """Write the states of a group beside each other as one page; needs no model.

    Args:
        result: a `ComparisonGroup`, new or loaded from disk.
        path: file to write; its folder must exist.
        html: as in `latentlang.figures.page.write_html`.

    Raises:
        InputError: the file cannot be written.
    """
    return write_document(group_document(result, beside=Path(path).parent), path, html=html)


def group_document(result: GroupOfStates, *, beside: Path | None = None) -> Document:
    """What is on the page of several states.

    Args:
        result: a `ComparisonGroup`.
        beside: folder of the page, for links to those of the comparisons that lie somewhere.
    """
    changed = [
        Text(f"{plain(name)}: {one.verdict()}", kind="about") for name, one in result.comparisons.items()
    ]
    pages = Bullets([_page(name, one, beside) for name, one in result.comparisons.items()])
    sections = [
        Section("reading", "What changed", [*changed, _group_table(result)], heading=False),
        Section(
            "states",
            "State by state",
            [Figure(states_figure(result), "The change of each measure in each state, with intervals.")],
        ),
        Section(
            "pages",
            "Each comparison",
            [Text("Each has a page of its own, in its folder:", kind="about"), pages],
        ),
    ]
    title = f"Before and after: {short_name(result.provenance.model)}, {', '.join(map(short_name, result.comparisons))}"
    return Document(title, sections, made_with(result.provenance))


def _page(name: str, one: ComparisonResult, beside: Path | None) -> str | Link:
    """The name of a comparison, with a link to its page where one can lead there."""
    if one.folder is None or beside is None:
        return plain(name)
    return page_of(one.folder, plain(name), beside=beside)


def _group_table(result: GroupOfStates) -> Table:
    """Every measure's averages, per group of languages, a row for each state."""
    rows: list[list[Cell]] = []
    first = []
    for about, changes in result.summary().groupby(["part", "measure", "group"], sort=False):
        first.append(len(rows))
        name = result.measure_names[str(about[0]), str(about[1])]
        for number, row in enumerate(changes.to_dict("records")):
            heads = [Cell(name, span=len(changes)), Cell(GROUPS[row["group"]], span=len(changes))]
            rows.append(
                [
                    *(heads if number == 0 else []),
                    Cell(plain(row["state"])),
                    *change_cells(row),
                    verdict_cell(row),
                ]
            )
    return Table(
        "Averages over languages, each counting alike, of each state against the model. Each is tested against the "
        "model alone, and never against another state.",
        [
            "measure",
            "languages",
            "state",
            "before",
            "after",
            "change",
            f"{percent(result.level)} interval",
            "for these languages",
        ],
        rows,
        first=first,
    )
