"""Tables as they are printed, for a page, a README or a paper; what fills them is a kind of experiment's business."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from latentlang.reproduction.experiment_fields import Experiment

#: The most columns of numbers that a printed table has; of more there are several parts.
MOST_COLUMNS = 11


@dataclass(frozen=True)
class Wide:
    """A table as it is printed: a heading for each column, text in each cell, rows in groups.

    Attributes:
        head: names of the columns; the first is that of the rows' own names.
        rows: name of the row, what stands in it (``ours``, ``paper``, ...), the cells. Lines without a name belong
            to the row above.
        about: what it holds, for its caption on a page; empty: its first and last column.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    about: str = ""


class FilledTable(Protocol):
    """A table of a paper, filled by a run."""

    @property
    def experiment(self) -> Experiment:
        """Which table."""

    @property
    def table(self) -> pd.DataFrame:
        """Its numbers, a row each, as they are written to a CSV file."""

    @property
    def wide(self) -> tuple[Wide, ...]:
        """As it is printed, in parts."""


def in_parts(columns: Sequence[str]) -> list[Sequence[str]]:
    """Columns of a table in parts of about the same number, at most `MOST_COLUMNS`."""
    parts = -(-len(columns) // MOST_COLUMNS)
    each = -(-len(columns) // max(1, parts))
    return [columns[start : start + each] for start in range(0, len(columns), max(1, each))]


def shown_number(value: Any, decimals: int, *, signed: bool = False) -> str:
    """A number with so many decimals; empty where there is none."""
    if value is None or pd.isna(value):
        return ""
    rounded = round(float(value), decimals) + 0.0  # + 0.0: no "-0.00"
    return f"{rounded:{'+' if signed else ''}.{decimals}f}".replace("-", "−")


def shown_range(low: Any, high: Any, decimals: int) -> str:
    """The two ends of an interval; empty where one is missing."""
    ends = [shown_number(value, decimals) for value in (low, high)]
    return " to ".join(ends) if all(ends) else ""


def markdown(wides: Sequence[Wide]) -> str:
    """A table for a README."""
    lines: list[str] = []
    for wide in wides:
        lines += [""] if lines else []
        lines.append(row_of(wide.head))
        lines.append("| --- | --- |" + " ---: |" * (len(wide.head) - 2))
        lines += [row_of((name, kind, *cells)) for name, kind, cells in wide.rows]
    return "\n".join(lines) + "\n"


def row_of(cells: Iterable[str]) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def latex(wides: Sequence[Wide], *, caption: str, label: str) -> str:
    """A table for a paper, with the caption and label given; it needs the packages booktabs and graphicx."""
    lines = ["% \\usepackage{booktabs, graphicx}", r"\begin{table*}", r"\centering"]
    for wide in wides:
        lines += [
            r"\resizebox{\textwidth}{!}{%", r"\begin{tabular}{ll" + "r" * (len(wide.head) - 2) + "}", r"\toprule",
            " & ".join(map(_escaped, wide.head)) + r" \\",
        ]  # fmt: skip
        for name, kind, cells in wide.rows:
            if name:
                lines.append(r"\midrule")
            lines.append(" & ".join(map(_escaped, (name, kind, *cells))) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}}", ""]
    lines[-1] = rf"\caption{{{_escaped(caption)}}}"
    return "\n".join([*lines, rf"\label{{{label}}}", r"\end{table*}"]) + "\n"


_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$",
})  # fmt: skip


def _escaped(text: str) -> str:
    return text.translate(_LATEX)
