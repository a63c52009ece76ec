"""The numbers that the reference paper printed, as tables: read, checked, ready to be laid beside ours.

They stand in ``experiments/spontaneous/published``, a CSV file each (its README says what each table is and where the
paper contradicts itself). Accuracies are in percent and Pearson coefficients in [-1, 1], as printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import language
from latentlang.reproduction.steps import BASE
from latentlang.storage.documents import printed

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "published"
MEAN = "mean"
ACCURACY_TABLES = ("table1", "table2", "table3", "table4", "table5", "table6", "table12", "table13")
PEARSON_TABLES = ("table8", "table9", "table10", "table11")
PUBLISHED_TABLES = (*ACCURACY_TABLES[:6], *PEARSON_TABLES, *ACCURACY_TABLES[6:])

_ACCURACY_COLUMNS = ("model", "task", "trained_on", "recipe", "answers", "language", "value")
_PEARSON_COLUMNS = ("model", "recipe", "layer", "one", "other", "state", "value")
_STATES = (BASE, "tuned")
_TASKS = ("sentiment", "nli", "paraphrase")
_ANSWERS = ("en", "same", "agnostic")


def published(folder: Path, table: str) -> pd.DataFrame:
    """One table of the paper, one row per number.

    Args:
        folder: the experiment's folder (``experiments/spontaneous``), which holds ``published/``.
        table: ``"table1"`` ... ``"table13"``, without ``"table7"`` (the languages of Llama 2's pre-training data).

    Returns:
        Accuracy tables: ``model``, ``task``, ``trained_on`` (the task whose questions were trained on; empty for the
        base model), ``recipe`` (``base`` or a recipe's name), ``answers``, ``language`` (a code, or ``mean`` for an
        average that the paper printed) and ``value`` in percent. Pearson tables (8 to 11): ``model``, ``recipe`` (of
        the tuned model), ``layer``, ``one`` and ``other`` (languages), ``state`` (``base`` or ``tuned``), ``value``.
        All have ``printed``, the value with the digits it has there.

    Raises:
        InputError: no such table, or a file that is missing or not as it should be.
    """
    if table not in PUBLISHED_TABLES:
        raise unknown(
            "published table", table, PUBLISHED_TABLES, hint="table1 to table13 are there, but for table7"
        )
    path = Path(folder) / FOLDER / f"{table}.csv"
    pearson = table in PEARSON_TABLES
    columns = _PEARSON_COLUMNS if pearson else _ACCURACY_COLUMNS
    values = _read(path, columns)
    values["printed"] = values["value"]
    if pearson:
        _check_values(path, values, "state", _STATES)
        for column in ("one", "other"):
            _check_languages(path, values[column])
        values["layer"] = _numbers(path, values["layer"], least=0, most=1000, whole=True).astype("int64")
        values["value"] = _numbers(path, values["value"], least=-1, most=1)
    else:
        _check_values(path, values, "task", _TASKS)
        _check_values(path, values, "trained_on", ("", *_TASKS))
        _check_values(path, values, "answers", _ANSWERS)
        _check_languages(path, values.loc[values["language"] != MEAN, "language"])
        values["value"] = _numbers(path, values["value"], least=0, most=100)
    key = [name for name in columns if name != "value"]
    if values.duplicated(key).any():
        first = values[values.duplicated(key)].iloc[0]
        raise InputError(f"{path} says twice what {', '.join(str(first[name]) for name in key)} is")
    return values


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    try:
        # All as text first: an empty `trained_on` stays empty, and a number that is none can be named.
        values = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read the published values {path}: {error.strerror or error}") from error
    except (ValueError, ArithmeticError, LookupError) as error:
        raise InputError(f"{path} is no table of published values: {printed(str(error))}") from error
    if tuple(values.columns) != tuple(columns):
        raise InputError(
            f"{path} must have the columns {', '.join(columns)}, and has {shown(list(values.columns))}"
        )
    if values.empty:
        raise InputError(f"{path} has no rows")
    return values


def _check_values(path: Path, table: pd.DataFrame, column: str, allowed: Sequence[str]) -> None:
    for value in table[column].unique():
        if value not in allowed:
            names = ", ".join(name or "(empty)" for name in allowed)
            raise InputError(f"{path}: {column} must be one of {names}, not {shown(value)}")


def _check_languages(path: Path, codes: pd.Series) -> None:
    for code in codes.unique():
        try:
            resolved = language(code).code
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if resolved != code:
            raise InputError(f"{path}: write the language as {resolved!r}, not {code!r}")


def _numbers(path: Path, texts: pd.Series, *, least: float, most: float, whole: bool = False) -> pd.Series:
    import pandas as pd

    values = pd.to_numeric(texts, errors="coerce")
    # A missing number compares as False, so it is caught too.
    wrong = texts[~values.between(least, most) | (whole & (values % 1 != 0))]
    if not wrong.empty:
        what = f"a {'whole ' if whole else ''}number from {least:g} to {most:g}"
        raise InputError(
            f"{path}, row {wrong.index[0] + 1}: {texts.name} must be {what}, not {shown(wrong.iloc[0])}"
        )
    return values.astype("float64") if texts.name == "value" else values
