"""An evaluation on a terminal: a table per task as wide as there is room for, notes, and what changed; or as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latentlang.cli.records import rows_record

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from latentlang.evaluation import EvaluationResult

_GROUPS = {"all": "mean of {}", "seen": "mean of {} seen", "unseen": "mean of {} unseen"}
_SEEN = "■"
_MEANS = "a mean's interval is over items and, of five languages or more, over languages too"
_CONSTANT = (
    "constant: accuracy of always answering the commonest label; ECE: expected calibration error in 15 bins"
)
_CHANGES = (
    "change: up or down where it is more than chance (exact McNemar test, Holm correction over languages; of a mean: "
    "over items, with a test that exchanges before and after); a mean's accuracies are over items and, of five "
    "languages or more, over languages too"
)
_MASS = "label mass: probability of all labels' answers together, the rest is what the model would rather say"


def evaluation_lines(result: EvaluationResult, *, width: int) -> Iterator[Any]:
    """One task: a headline, the table, notes and what a comparison says."""
    from rich.text import Text

    from latentlang.evaluation import STATES, compare_evaluations

    provenance = result.provenance
    task_settings = result.settings.tasks[provenance.task]
    head = Text.assemble((provenance.model, "bold"))
    if provenance.adapter:
        head.append(f" + {provenance.adapter}")
    parts = [provenance.task, f"{task_settings.shots}-shot"]
    if not task_settings.per_item:
        parts.append(f"answers {task_settings.answers or 'same'}")
    elif task_settings.split:
        parts.append(f"split {task_settings.split}")
    parts += [f"score {result.settings.score}", f"seed {provenance.seed}"]
    parts += [f"protocol {provenance.protocol}"] * (provenance.protocol != "corrected")
    parts.append(f"chance {result.summary()['chance'].mean():.2f}")
    yield head.append("".join(f" · {part}" for part in parts))
    both = result.states == STATES
    yield _changes_table(result, width) if both else _accuracies_table(result, width)
    if result.incomplete():
        left_out = ", ".join(result.incomplete())
        yield Text(f"left out of the mean, since a label cannot be chosen: {left_out}", style="yellow")
    notes: dict[str, list[str]] = {}
    for code, note in result.notes().items():
        notes.setdefault(note, []).append(code)
    for note, codes in notes.items():
        yield Text(f"note on {', '.join(codes)}: {note}", style="yellow")
    legend = (
        _CHANGES if both else "; ".join([_CONSTANT, *([] if task_settings.per_item else [_MASS]), _MEANS])
    )
    yield Text(f"{f'{_SEEN} seen in training; ' if result.seen_languages else ''}{legend}", style="dim")
    if both:
        yield Text(compare_evaluations(result).describe(), style="italic")
    yield Text()


def _name(code: str, result: EvaluationResult) -> str:
    from latentlang.language_names import language

    return f"{language(code).name} ({code})" + (f" {_SEEN}" if code in result.seen_languages else "")


# Head of a column to how soon it goes where the terminal is narrow; those without a number stay, n among them.
_DROPPED = {
    "weighted-F1": 0,
    "ECE": 1,
    "label mass": 2,
    "macro-F1": 3,
    "constant": 4,
    "95%": 1,
    "p (Holm)": 2,
}
_GAP = 2


def _table(rows: Sequence[Mapping[str, str]], *, bold: int, width: int) -> Table:
    """A table that fits into `width`, whose last `bold` rows are bold; a head may end in spaces to be unique."""
    from rich.cells import cell_len
    from rich.table import Table

    heads = list(dict.fromkeys(head for row in rows for head in row))
    wide = {
        head: max(cell_len(head.strip()), *(cell_len(row.get(head, "")) for row in rows)) for head in heads
    }
    for head in sorted(heads, key=lambda head: _DROPPED.get(head.strip(), len(_DROPPED))):
        if sum(wide[kept] + _GAP for kept in heads) - _GAP > width and head.strip() in _DROPPED:
            heads.remove(head)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, head in enumerate(heads):
        table.add_column(head.strip(), justify="left" if column == 0 else "right", overflow="fold")
    for number, row in enumerate(rows):
        style = "bold" if number >= len(rows) - bold else None
        table.add_row(*(row.get(head, "") for head in heads), style=style)
    return table


def _accuracies_table(result: EvaluationResult, width: int) -> Table:
    summary = _records(result.summary())
    short = any(row["unanswerable"] for row in summary)
    # whole candidates are long: each of them, and all together, is hardly ever said
    per_item = result.settings.tasks[result.provenance.task].per_item
    rows = [
        {
            "language": _name(row["language"], result), **_accuracy(row),
            "ECE": _number(row["ece"]),
            **({} if per_item else {"label mass": _number(row["mass"])}),
            **({"unanswerable": f"{row['unanswerable'] or ''}"} if short else {}),
        }
        for row in summary
    ]  # fmt: skip
    means = _records(result.averages()) if len(summary) > 1 else []
    rows += [{"language": _GROUPS[row["group"]].format(row["languages"]), **_accuracy(row)} for row in means]
    return _table(rows, bold=len(means), width=width)


def _accuracy(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "n": f"{row['n']}", "accuracy": f"{row['accuracy']:.3f}", "95% interval": _interval(row),
        "macro-F1": _number(row["macro_f1"]), "weighted-F1": _number(row["weighted_f1"]),
        "constant": _number(row["majority"]),
    }  # fmt: skip


def _changes_table(result: EvaluationResult, width: int) -> Table:
    """Both states and what changed; of a mean, the interval of the change is over items."""
    from latentlang.evaluation import compare_evaluations

    comparison = compare_evaluations(result)
    at = {(row["language"], row["state"]): row for row in _records(result.summary())}
    at |= {(row["group"], row["state"]): row for row in _records(result.averages())}
    changes = [
        row | {"name": _name(row["language"], result), "key": row["language"], "p": row["p_holm"]}
        for row in _records(comparison.summary())
    ]
    means = [
        row
        | {
            "name": _GROUPS[row["group"]].format(row["languages"]), "key": row["group"], "low": row["low_items"],
            "high": row["high_items"],
        }
        for row in (_records(comparison.averages()) if len(changes) > 1 else [])
    ]  # fmt: skip
    rows = [
        {
            "language": row["name"], "n": f"{row['n']}",
            "base": f"{row['before']:.3f}", "95%": _interval(at[row["key"], "base"]),
            "tuned": f"{row['after']:.3f}", "95% ": _interval(at[row["key"], "tuned"]),
            "change": f"{row['difference']:+.3f}", "95% of it": _ends(row["low"], row["high"], "+.3f"),
            "p (Holm)": f"{row['p']:.2g}", "": row["change"],
        }
        for row in [*changes, *means]
    ]  # fmt: skip
    return _table(rows, bold=len(means), width=width)


def _number(value: float) -> str:
    """To three digits; of what cannot be known, where no item can be answered, a dash."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def _interval(row: Mapping[str, Any]) -> str:
    """Of a mean of few languages, that over items."""
    few = math.isnan(row["low"])
    low, high = (row["low_items"], row["high_items"]) if few else (row["low"], row["high"])
    return _ends(low, high, ".3f")


def _ends(low: float, high: float, digits: str) -> str:
    """An interval; a dash where there is none."""
    return "–" if math.isnan(low) or math.isnan(high) else f"[{low:{digits}}, {high:{digits}}]"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def evaluation_record(result: EvaluationResult) -> dict[str, Any]:
    """One task for ``--json``."""
    from latentlang.evaluation import STATES, compare_evaluations

    provenance = result.provenance
    record: dict[str, Any] = {
        "model": provenance.model, "adapter": provenance.adapter, "task": provenance.task,
        "protocol": provenance.protocol, "score": result.settings.score,
        "languages": rows_record(result.summary()), "means": rows_record(result.averages()),
        "notes": result.notes(),
    }  # fmt: skip
    if result.states == STATES:
        comparison = compare_evaluations(result)
        record |= {
            "changes": rows_record(comparison.summary()), "mean_changes": rows_record(comparison.averages()),
            "sentence": comparison.describe(),
        }  # fmt: skip
    return record
