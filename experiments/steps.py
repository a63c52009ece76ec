"""Long measurements in steps: each is saved by itself and not done again."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from latentlang.results import Result
from latentlang.storage.output import METADATA

log = logging.getLogger(__name__)


def is_saved(path: Path) -> bool:
    """Whether a result lies there, whole: its record is written last."""
    return (path / METADATA).exists()


def step(path: Path, run: Callable[..., Result[Any]], *arguments: Any, **options: Any) -> None:
    """Save what `run` gives at `path`, unless that is there."""
    if is_saved(path):
        return
    begun, cpu = time.perf_counter(), time.process_time()
    run(*arguments, **options).save(path)
    log.info("%s: %.0f s, %.0f CPU s", path, time.perf_counter() - begun, time.process_time() - cpu)


def saved(folder: Path, *axes: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """The results that are there, of every combination of names: folder ``fr-0`` and its names."""
    for names in product(*axes):
        path = folder / "-".join(map(str, names))
        if is_saved(path):
            yield path, *names


def stacked(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables below each other; one without rows where there is none."""
    listed = list(parts)
    return pd.concat(listed, ignore_index=True) if listed else pd.DataFrame()


def tables_command(
    about: str | None, tables: Mapping[str, Callable[[Path], pd.DataFrame]], figures: Path
) -> None:
    """Command line of a module that makes tables: each as CSV into the folder of the pictures, where it has rows.

    Args:
        about: the module's docstring.
        tables: name to what makes the table from the folder of saved results.
        figures: where they are written; made if missing.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where `measure` saved its results")
    folder = parser.parse_args().folder
    figures.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        rows = table(folder)
        if len(rows):
            rows.to_csv(figures / f"{name}.csv", index=False, float_format="%.4g")
