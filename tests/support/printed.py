"""What a paper printed, read a second time, exactly: tests hold it against itself and against its corrections."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def rows(paper: str, table: str) -> dict[str, dict[str, str]]:
    """Row to column to the value as printed; fails where a cell stands twice or is of another table."""
    found: dict[str, dict[str, str]] = {}
    for cell in _text(EXPERIMENTS / paper / "published" / f"{table}.csv").to_dict("records"):
        assert cell["table"] == table, cell
        assert cell["column"] not in found.setdefault(cell["row"], {}), cell
        found[cell["row"]][cell["column"]] = cell["value"]
    return found


def corrections(paper: str) -> pd.DataFrame:
    """The corrections of a paper as text: ``table, row, column, printed, corrected, source, reason``."""
    return _text(EXPERIMENTS / paper / "corrections.csv")


def mean(values: Iterable[str]) -> Decimal:
    """Of printed numbers, exactly."""
    numbers = [Decimal(value) for value in values]
    return sum(numbers, Decimal(0)) / len(numbers)


def rounded(value: Decimal, digits: int) -> str:
    """To so many digits behind the point, a half upwards."""
    return str(value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def is_share(printed: str, items: int, *, whole: int = 100) -> bool:
    """Whether some number of the items gives this share, rounded either way to the digits that it has.

    Args:
        printed: the share.
        items: how many there are.
        whole: what all of them are: 100 of percentages, 1 of fractions.
    """
    value, half = Decimal(printed), Decimal("0.5").scaleb(-len(printed.partition(".")[2]))
    near = int(value * items / whole)
    return any(abs(Decimal(whole * count) / items - value) <= half for count in (near, near + 1))


def _text(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)
