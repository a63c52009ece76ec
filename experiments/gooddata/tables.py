"""The gaps of the printed tables, in one file: `python -m experiments.gooddata.tables`; no model is run.

``figures/gooddata/gaps.csv`` has a row for every number that ``latentlang reproduce gooddata`` computes from the
printed tables, with the table or figure that it stands beside.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from latentlang.reproduction import plan
from latentlang.reproduction.kinds import kind_named
from latentlang.storage.files import write_text

FIGURES = Path(__file__).parents[2] / "figures" / "gooddata"
KIND = "gap-statistics"
COLUMNS = ("experiment", "row", "column", "value", "low", "high", "n", "unit")
_DIGITS = 4


def gaps(only: str | None = None) -> pd.DataFrame:
    """The numbers of each table and figure; columns of `COLUMNS`.

    Args:
        only: names of experiments; by default all whose numbers are printed.
    """
    planned = plan("gooddata", only=only)
    kind = kind_named(KIND)
    rows = [
        {"experiment": experiment.name} | asdict(cell)
        for experiment in planned.experiments
        if experiment.kind == KIND
        for cell in kind.table(experiment, _nothing, planned.bench.run)
    ]
    return pd.DataFrame(rows)[list(COLUMNS)].round(_DIGITS)


def _nothing(step: object) -> object:
    """The kind has no steps."""
    raise LookupError(step)


def main() -> None:
    """Command line of this module."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    write_text(FIGURES / "gaps.csv", gaps().to_csv(index=False))


if __name__ == "__main__":
    main()
