"""What stands beside a reproduced table or figure: what was run, on what, and what was changed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from latentlang.provenance import git_commit, package_versions
from latentlang.reproduction.compared import ComparedTable
from latentlang.reproduction.experiment_fields import Effort
from latentlang.reproduction.kinds.base import RunContext
from latentlang.reproduction.kinds.model_tables import TableKind
from latentlang.reproduction.kinds.registry import KINDS, kind_named
from latentlang.reproduction.model_names import model_name
from latentlang.reproduction.settings import ReproductionSettings
from latentlang.reproduction.tables import FilledTable
from latentlang.text import counted, listed


def command_of(suite: str, run: RunContext) -> str:
    """The command that asks for the same again (its folders are left out)."""
    settings = run.settings
    parts = ["latentlang reproduce", suite, *([f"--model {model_name(run.model)}"] if run.model else [])]
    parts += [f"--name {shlex.quote(run.called)}"] if run.called else []
    parts += [f"--set {name}={_plain(value)}" for name, value in settings.overrides.items()]
    parts += [] if settings.protocol == "corrected" else [f"--protocol {settings.protocol}"]
    parts += [f"--seed {settings.seed}"] if settings.seed else []
    loading: Mapping[str, Any] = settings.loading
    parts += [
        f"--{name} {loading[name]}" for name in ("device", "dtype", "quantization") if loading.get(name)
    ]
    return f"`{' '.join(parts)}`"


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def effort_words(effort: Effort) -> str:
    """What the paper's own table or figure would take, a sentence."""
    parts = [
        counted(effort.calls, "call") if effort.calls else "",
        counted(f"{effort.gpu_hours:,g}", "GPU hour") if effort.gpu_hours else "",
        f"{effort.disk_gb:,g} GB" if effort.disk_gb else "",
        counted(f"{effort.usd:,g}", "US dollar") if effort.usd else "",
    ]
    source = f" ({effort.source})" if effort.source else ""
    return f"The paper's own takes {listed([part for part in parts if part]) or 'what is not said'}{source}."


def made_with(settings: ReproductionSettings) -> list[str]:
    """Versions, commit, device: for the last line of a page."""
    parts = [f"latentlang {package_versions().get('latentlang', '')}".strip()]
    commit = git_commit()
    parts += [f"commit {commit}"] if commit else []
    return [*parts, f"{settings.device}, {settings.dtype}", f"seed {settings.seed}"]


def overview(tables: Sequence[FilledTable], *, standin: str | None) -> tuple[str, list[str]]:
    """What a reproduction opens with, from the rows of its tables: a verdict, and at most three points.

    Args:
        tables: those that were written; of what several of them hold, each number counts once.
        standin: what the model that was run instead of the paper's is called.

    Returns:
        The verdict, empty where there are no tables, and the points.
    """
    verdicts, points, distances = [], [], []
    for name in KINDS:
        parts = [table.table for table in tables if table.experiment.kind == name]
        if not parts or not isinstance(kind := kind_named(name), TableKind):
            continue
        rows: pd.DataFrame = pd.concat(parts, ignore_index=True)
        differences = rows["difference"].dropna().abs()
        verdict, point = kind.verdict(rows.drop_duplicates(list(kind.apart)))
        verdicts.append(verdict)
        points.append(point)
        if len(differences):
            unit, decimals = kind.distance
            distances.append(f"{differences.median():.{decimals}f}{unit} ({len(differences):,} numbers)")
    if verdicts:
        points.append(_of_paper(distances, standin))
    if compared := [table for table in tables if isinstance(table, ComparedTable)]:
        verdict, more = _of_compared(compared)
        verdicts.append(verdict)
        points += more
    return " ".join(verdicts), points


def _of_paper(distances: Sequence[str], standin: str | None) -> str:
    """How far from what was printed."""
    if not distances:
        return "The paper printed no number to compare these with."
    text = f"Median distance from what the paper printed: {', '.join(distances)}"
    if standin is None:
        return f"{text}."
    return f"{text}; {standin} stands in for its models, so this says nothing about the paper."


def _tables(tables: Sequence[ComparedTable]) -> str:
    return counted(len(tables), "table or figure", "tables and figures")


def _of_compared(tables: Sequence[ComparedTable]) -> tuple[str, list[str]]:
    """How much of the printed tables was computed, and how much of it was corrected."""
    computed = [table for table in tables if table.n_computed]
    cells = sum(table.n_computed for table in computed)
    done = f"{counted(cells, 'cell')} of {_tables(computed)}" if computed else "no cell"
    verdict = (
        f"{counted(sum(table.n_printed for table in tables), 'printed cell')} in {_tables(tables)}; "
        f"{done} {'were' if cells > 1 else 'was'} computed here."
    )
    points = []
    corrected = [table for table in tables if table.n_corrected]
    if corrected:
        names = ", ".join(table.experiment.source for table in corrected)
        count = counted(sum(table.n_corrected for table in corrected), "printed cell")
        points.append(f"A correction stands beside {count}: {names}.")
    alone = [table.experiment.source for table in tables if not table.n_computed]
    if alone:
        points.append(f"The printed values stand alone: {', '.join(alone)}.")
    return verdict, points
