"""Long measurements in steps: each is saved by itself and not done again."""

from __future__ import annotations

import argparse
import io
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch

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
    with timed(path):
        run(*arguments, **options).save(path)


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


@contextmanager
def timed(what: object) -> Iterator[None]:
    """A block whose time is logged, and that of the processor, unless it fails."""
    begun, cpu = time.perf_counter(), time.process_time()
    yield
    log.info("%s: %.0f s, %.1f CPU s", what, time.perf_counter() - begun, time.process_time() - cpu)


def measuring_options(
    parser: argparse.ArgumentParser, known: Iterable[str], *, what: str = "stage"
) -> argparse.Namespace:
    """What a command that measures was asked for; sets the process up for it: one thread, and a log.

    Args:
        parser: of the command's other options.
        known: what it measures, a name each: ``names`` of the options has those that are wanted, by default all.
        what: what one of them is called.
    """
    names = list(known)
    parser.add_argument(
        "names", nargs="*", metavar=what.upper(), help=f"of {', '.join(names)}; all by default"
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in names:
            parser.error(f"there is no {what} {name!r}; there are {', '.join(names)}")
    options.names = options.names or names
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    return options


def tables_command(
    about: str | None,
    tables: Mapping[str, Callable[[Path], pd.DataFrame]],
    figures: Path,
    *,
    kept: Collection[str] = (),
) -> None:
    """Command line of a module that makes tables: each as CSV into the folder of the pictures, where it has rows.

    Args:
        about: the module's docstring.
        tables: name to what makes the table from the folder of saved results.
        figures: where they are written; made if missing.
        kept: see `write_table`.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where `measure` saved its results")
    folder = parser.parse_args().folder
    for name, table in tables.items():
        write_table(figures, name, table(folder), kept=kept)


def write_table(figures: Path, name: str, table: pd.DataFrame, *, kept: Collection[str] = ()) -> None:
    """Write a table as CSV into the folder of the pictures, which is made if missing; nothing where it has no rows.

    Args:
        figures: the folder.
        name: of the file, without its ending.
        table: its rows.
        kept: columns that say what was measured. Rows of an older file stay where no new row has the same values there,
            since a long measurement is made in parts, on machines that need not have each other's results.
    """
    figures.mkdir(parents=True, exist_ok=True)
    if not len(table):
        return
    path = figures / f"{name}.csv"
    text = table.to_csv(index=False, float_format="%.4g")
    keys = [column for column in kept if column in table]
    if keys and path.exists():
        new, old = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in (io.StringIO(text), path))
        text = _updated(old, new, keys).to_csv(index=False)
    path.write_text(text, encoding="utf-8")


def computed(out: Path, name: str) -> pd.DataFrame:
    """The cells that were computed of a table that `latentlang reproduce` wrote; without rows where it wrote none.

    Args:
        out: the command's folder.
        name: of the experiment.
    """
    path = out / f"{name}.csv"
    if not path.is_file():
        return pd.DataFrame()
    table = pd.read_csv(path, dtype={"row": str, "column": str, "printed": str, "corrected": str})
    return table[table["computed"].notna()].reset_index(drop=True)


def committed_tables(figures: Path) -> dict[str, pd.DataFrame]:
    """Name to table: the CSV files in a folder of pictures."""
    return {path.stem: pd.read_csv(path) for path in sorted(figures.glob("*.csv"))}


def _updated(old: pd.DataFrame, new: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The rows of each key, new ones where there are any; keys in the old order, then in the new."""
    measured, before = (list(table[keys].itertuples(index=False, name=None)) for table in (new, old))
    order = {key: number for number, key in enumerate(dict.fromkeys([*before, *measured]))}
    known = set(measured)
    staying = [key not in known for key in before]
    rows = pd.concat([old[staying], new], ignore_index=True)
    # A name for each step: types of one expression with both took mypy a sixth of its time.
    places = [order[key] for key in rows[keys].itertuples(index=False, name=None)]
    by_place = sorted(range(len(rows)), key=places.__getitem__)
    return rows.iloc[by_place]
