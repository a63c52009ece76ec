"""Scores of arms of training data: from a table, a file, or evaluations and judgements that latentlang saved."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.errors import InputError, shown
from latentlang.evaluation.result import EvaluationResult
from latentlang.judging.judgement_result import JudgementResult
from latentlang.paths import given_path, is_folder
from latentlang.storage.output import kind_of
from latentlang.tasks.files import json_lines, read_json, read_text

if TYPE_CHECKING:
    import pandas as pd

#: What each score is of; all but the arm may be left out, where there is one of it.
KEYS = ("benchmark", "model", "language", "arm", "seed", "item")
SCORE = "score"
_CALLED = {"task": "benchmark", "id": "item", "value": "score"}
_THEN = "put it right"
#: What of a saved evaluation is the base, where it has one beside an adapter.
_BASE, _TUNED = "base", "tuned"

Source = str | os.PathLike[str] | EvaluationResult | JudgementResult
Scores = str | os.PathLike[str] | Mapping[str, Source | Sequence[Source]] | Any


def read_scores(given: Scores, *, base: str = "base") -> pd.DataFrame:
    """Scores, one row each: ``benchmark, model, language, arm, seed, item, score``.

    Args:
        given: a pandas table or a file (CSV, JSON list or JSON lines) with columns ``arm`` and ``score`` and, as far as
            there are several, ``benchmark`` (or ``task``), ``model``, ``language``, ``seed`` and ``item`` (or ``id``);
            or arm to a saved evaluation, to a folder of one, or to several that differ in their seed. What such an
            evaluation says of the model without its adapter is the base, where no arm has that name.
        base: name of the base.

    Raises:
        InputError: a column is missing or holds no numbers, a score is there twice, or there are none.
    """
    import pandas as pd

    if isinstance(given, str | os.PathLike):
        path = given_path(os.fspath(given))
        table, where = pd.DataFrame(_records(path)), str(path)
    elif isinstance(given, Mapping):
        table, where = _of_results(given, base), "the evaluations"
    elif isinstance(given, pd.DataFrame):
        table, where = given.copy(), "the table"
    else:
        raise InputError(
            f"{shown(given, most=60)} holds no scores; give a table, a file, or arm to evaluation"
        )
    table = table.rename(columns={old: new for old, new in _CALLED.items() if new not in table})
    for name in ("arm", SCORE):
        if name not in table:
            has = ", ".join(shown(str(column), most=40) for column in list(table)[:12]) or "none"
            raise InputError(
                f"{where} has no column {name}, only {has}; a row is an arm and a score at least"
            )
    if table.empty:
        raise InputError(f"{where} holds no scores")
    for name in KEYS:
        column = table[name] if name in table else pd.Series("", index=table.index)
        table[name] = column.map(lambda value: "" if value is None or value != value else str(value))
    try:
        table[SCORE] = table[SCORE].astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: a score is no number ({error}); {_THEN}") from None
    bad = table[~table[SCORE].map(math.isfinite)]
    if len(bad):
        raise InputError(f"{where}: the score of arm {bad['arm'].iloc[0]!r} is {bad[SCORE].iloc[0]}; {_THEN}")
    again = table.duplicated(list(KEYS))
    if again.any():
        row = table[again].iloc[0]
        named = ", ".join(f"{name} {row[name]!r}" for name in KEYS if row[name])
        raise InputError(f"{where} has two scores of {named}; give each run a seed, and each item an id")
    scores: pd.DataFrame = table[[*KEYS, SCORE]].reset_index(drop=True)
    return scores


def _records(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return [dict(row) for row in csv.DictReader(io.StringIO(read_text(path)))]
    if path.suffix == ".json":
        content = read_json(path)
        if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
            raise InputError(f"{path} is no list of objects; {_THEN}")
        return content
    return [record for _, record in json_lines(path)]


def _of_results(given: Mapping[str, Source | Sequence[Source]], base: str) -> pd.DataFrame:
    import pandas as pd

    tables: list[pd.DataFrame] = []
    bases: list[pd.DataFrame] = []
    for arm, sources in given.items():
        alone = isinstance(sources, str | os.PathLike | EvaluationResult | JudgementResult)
        several: Sequence[Source] = [sources] if alone else list(sources)  # type: ignore[arg-type, list-item]
        for number, source in enumerate(several):
            for result in _results(source):
                if isinstance(result, JudgementResult):
                    tables.append(_graded(result, arm).assign(arm=arm, seed=str(number)))
                    continue
                states = set(result.table["state"])
                tables.append(
                    _evaluated(result, _TUNED if _TUNED in states else _BASE).assign(
                        arm=arm, seed=str(number)
                    )
                )
                if states == {_BASE, _TUNED}:
                    bases.append(_evaluated(result, _BASE).assign(arm=base))
    if base not in given and bases:
        tables.append(pd.concat(bases).drop_duplicates(["benchmark", "model", "language", "item"]))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _graded(result: JudgementResult, arm: str) -> pd.DataFrame:
    """Grades of one set of answers, a benchmark a judge.

    Raises:
        InputError: there are none, or those of two sets.
    """
    scores = result.scores()
    if scores.empty:
        raise InputError(f"the judgement of arm {arm!r} has no grades; judge its answers one by one")
    if scores["arm"].nunique() > 1:
        raise InputError(f"the judgement of arm {arm!r} grades two sets of answers; grade each by itself")
    return scores


def _evaluated(result: EvaluationResult, state: str) -> pd.DataFrame:
    """Which items were answered rightly, a benchmark a task."""
    import pandas as pd

    part = result.table[result.table["state"] == state]
    return pd.DataFrame({
        "benchmark": part["task"].to_numpy(), "model": result.provenance.model,
        "language": part["language"].to_numpy(), "item": part["item"].to_numpy(),
        SCORE: part["right"].to_numpy(float),
    })  # fmt: skip


def _results(source: Source) -> list[EvaluationResult | JudgementResult]:
    """The evaluations and judgements of a folder, or in its folders (`latentlang evaluate` makes one a task)."""
    if isinstance(source, EvaluationResult | JudgementResult):
        return [source]
    path = given_path(os.fspath(source))
    folders = [path] if kind_of(path) else sorted(path.iterdir()) if is_folder(path) else []
    readers: dict[str, type[EvaluationResult] | type[JudgementResult]] = {
        EvaluationResult.kind: EvaluationResult, JudgementResult.kind: JudgementResult,
    }  # fmt: skip
    kinds = {folder: kind_of(folder) for folder in folders}
    read = [readers[kind].load(folder) for folder, kind in kinds.items() if kind in readers]
    if not read:
        raise InputError(
            f"{str(path)!r} holds no evaluation and no judgement; name a folder that `latentlang evaluate` or "
            "`latentlang judge` wrote"
        )
    return read
