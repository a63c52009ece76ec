"""Tables: our numbers with their intervals, the paper's beside them, and the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from latentlang.errors import InputError
from latentlang.geometry.alignment_result import paper_table
from latentlang.reproduction.experiments import BASE, Experiment
from latentlang.reproduction.model_sizes import model_name, shape
from latentlang.reproduction.published_values import MEAN, PUBLISHED_TABLES, published
from latentlang.reproduction.steps import Step, adapter_of

Outcome = Callable[[Step], Any]
_ACCURACY = (
    "paper_model", "model", "task", "trained_on", "answers", "recipe", "language", "n", "ours", "low", "high", "chance",
    "paper", "printed", "difference",
)  # fmt: skip
_PEARSON = (
    "paper_model", "model", "paper_layer", "layer", "pair", "state", "n", "ours", "low", "high", "null_mean", "p",
    "without_length", "paper", "printed", "difference",
)  # fmt: skip
#: Names of lines: our numbers, and those that were printed.
OURS, PAPER = "ours", "paper"
_MEASURE = "pearson_pc1"
_MOST_COLUMNS = 11
#: What tasks and kinds of answers are called.
TASKS = {"sentiment": "Sentiment", "nli": "NLI", "paraphrase": "Paraphrase"}
ANSWERS = {"en": "English answers", "same": "Same language", "agnostic": "Task-agnostic"}


@dataclass(frozen=True)
class Wide:
    """A table as it is printed: a heading for each column, text in each cell, rows in groups.

    Attributes:
        head: names of the columns; the first is that of the rows' own names.
        rows: name of the row, what stands in it (``ours``, ``paper``, ...), the cells. Lines without a name belong
            to the row above.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class ReproducedTable:
    """One table of the paper, filled by a run.

    Attributes:
        experiment: which.
        table: one row per number. Accuracies in percent: ``paper_model`` is whose place the `model` takes, `low` and
            `high` the 95 % interval of `ours` (Wilson over items of one language, crossed bootstrap for a ``mean`` over
            languages), `chance` what guessing gives. Pearson: `ours` with its interval from half samples, `null_mean`
            and `p` against unpaired items, `without_length` the coefficient once prompt length is regressed out.
            `paper` is what was printed there (nan where nothing was), `printed` the same with its digits, `difference`
            ours less it.
    """

    experiment: Experiment
    table: pd.DataFrame

    @cached_property
    def wide(self) -> tuple[Wide, ...]:
        """As it is printed: in parts of at most eleven columns, as in the paper."""
        return (_wide_pearson(self),) if self.experiment.kind == "pearson" else _wide_accuracy(self)


def table_of(
    experiment: Experiment, *, standin: str | None, outcome: Outcome, folder: Path
) -> ReproducedTable:
    """Fill one table.

    Args:
        experiment: of kind ``accuracy`` or ``pearson``.
        standin: the model that was run instead of the paper's; None for these themselves.
        outcome: gives the result of a step.
        folder: of the experiments, with the published values.

    Raises:
        InputError: the published values cannot be read.
    """
    if experiment.kind not in ("accuracy", "pearson"):
        raise InputError(f"{experiment.name} is a figure, not a table")
    printed = published(folder, experiment.name) if experiment.name in PUBLISHED_TABLES else None
    rows: list[dict[str, Any]] = []
    for paper_model in experiment.models:
        fill = _accuracies if experiment.kind == "accuracy" else _correlations
        rows += fill(experiment, paper_model, standin or paper_model, outcome)
    table = pd.DataFrame(rows)
    keys: dict[str, str]
    columns: tuple[str, ...]
    if experiment.kind == "accuracy":
        keys = {"paper_model": "model", **{k: k for k in ("task", "recipe", "answers", "language")}}
        columns = _ACCURACY
    else:
        keys, columns = (
            {"paper_model": "model", "paper_layer": "layer", "pair": "pair", "state": "state"},
            _PEARSON,
        )
        if printed is not None:
            printed = printed.assign(pair=printed["one"] + "-" + printed["other"])
    if printed is None:
        table = table.assign(paper=float("nan"), printed="")
    else:
        theirs = printed[[*keys.values(), "value", "printed"]].rename(
            columns={**{name: ours for ours, name in keys.items()}, "value": "paper"}
        )
        table = table.merge(theirs, on=list(keys), how="left", validate="one_to_one")
    table = table.assign(printed=table["printed"].fillna(""), difference=table["ours"] - table["paper"])
    return ReproducedTable(experiment, table[list(columns)])


def _accuracies(
    experiment: Experiment, paper_model: str, model: str, outcome: Outcome
) -> list[dict[str, Any]]:
    rows = []
    for task in experiment.tasks:
        for answers in experiment.answers:
            for recipe in experiment.recipes:
                adapter = adapter_of(experiment, recipe, task)
                result = outcome(Step("evaluate", model, adapter, task, answers, experiment.languages))
                about = {
                    "paper_model": paper_model, "model": model_name(model), "task": task, "trained_on": adapter.task,
                    "answers": answers, "recipe": recipe,
                }  # fmt: skip
                averages = result.averages()
                for name, scores in (
                    *((str(row["language"]), row) for row in result.summary().to_dict("records")),
                    *((MEAN, row) for row in averages[averages["group"] == "all"].to_dict("records")),
                ):
                    # Of few languages there is an interval over items alone.
                    kind = "_items" if pd.isna(scores["low"]) else ""
                    numbers = {
                        "ours": "accuracy",
                        "low": f"low{kind}",
                        "high": f"high{kind}",
                        "chance": "chance",
                    }
                    shares = {
                        column_name: 100 * float(scores[column]) for column_name, column in numbers.items()
                    }
                    rows.append({**about, "language": name, "n": int(scores["n"]), **shares})
    return rows


def _correlations(
    experiment: Experiment, paper_model: str, model: str, outcome: Outcome
) -> list[dict[str, Any]]:
    rows = []
    task, answers = experiment.tasks[0], experiment.answers[0]
    adapters = [adapter_of(experiment, recipe, task) for recipe in (BASE, experiment.recipes[0])]
    n_layers = shape(model).n_layers
    layers = tuple(experiment.layers_of(n_layers))
    for adapter in adapters:
        result = outcome(Step("align", model, adapter, task, answers, experiment.languages, layers))
        measured = paper_table(result, measure=_MEASURE)
        sizes = result.rows(_MEASURE).assign(
            pair=lambda rows: rows["language_a"].astype(str) + "-" + rows["language_b"].astype(str)
        )
        measured = measured.merge(sizes[["layer", "pair", "n"]], on=["layer", "pair"])
        for paper_layer in experiment.layers:
            layer = experiment.layer_of(paper_layer, n_layers)
            for pair in experiment.pairs:
                for row in measured[
                    (measured["layer"] == layer) & measured["pair"].isin(_either(pair))
                ].to_dict("records"):
                    rows.append({
                        "paper_model": paper_model, "model": model_name(model), "paper_layer": paper_layer,
                        "layer": layer, "pair": pair, "state": adapter.state, "n": int(row["n"]), "ours": row["value"],
                        "low": row["low"], "high": row["high"], "null_mean": row["null_mean"], "p": row["p"],
                        "without_length": row["partial"],
                    })  # fmt: skip
    return rows


def _either(pair: str) -> tuple[str, str]:
    one, other = pair.split("-")
    return pair, f"{other}-{one}"


# As printed


def _wide_accuracy(reproduced: ReproducedTable) -> tuple[Wide, ...]:
    experiment, table = reproduced.experiment, reproduced.table
    key = {"language": "language", "model": "paper_model", "task": "task", "answers": "answers"}[
        experiment.columns
    ]
    if experiment.columns != "language":
        table = table[table["language"] == MEAN]
    columns = list(dict.fromkeys(table[key]))
    names = {"task": TASKS, "answers": ANSWERS}.get(experiment.columns, {})
    parts = -(-len(columns) // _MOST_COLUMNS)
    each = -(-len(columns) // parts)
    wides = []
    for start in range(0, len(columns), each):
        chosen = columns[start : start + each]
        rows: list[tuple[str, str, tuple[str, ...]]] = []
        for recipe in experiment.recipes:
            part = table[table["recipe"] == recipe].set_index(key)
            cells = [part.loc[column] for column in chosen]
            rows.append((recipe, OURS, tuple(_number(cell["ours"], 1) for cell in cells)))
            rows.append(("", "95 %", tuple(_range(cell, 0) for cell in cells)))
            rows.append(("", PAPER, tuple(str(cell["printed"]) for cell in cells)))
            rows.append(("", "difference", tuple(_number(c["difference"], 1, signed=True) for c in cells)))
        wides.append(Wide((experiment_head(reproduced), "", *(names.get(c, c) for c in chosen)), tuple(rows)))
    return tuple(wides)


def _wide_pearson(reproduced: ReproducedTable) -> Wide:
    experiment, table = reproduced.experiment, reproduced.table
    states = list(dict.fromkeys(table["state"]))
    layers = list(dict.fromkeys(table["paper_layer"]))
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    for layer in layers:
        for pair in experiment.pairs:
            part = table[(table["pair"] == pair) & (table["paper_layer"] == layer)].set_index("state")
            cells = [part.loc[state] for state in states]
            name = pair if len(layers) == 1 else f"{pair}, layer {layer}"
            rows.append((name, OURS, tuple(_number(cell["ours"], 2) for cell in cells)))
            rows.append(("", "95 %", tuple(_range(cell, 2) for cell in cells)))
            rows.append(("", "unpaired (chance)", tuple(_number(cell["null_mean"], 2) for cell in cells)))
            rows.append(("", "without length", tuple(_number(cell["without_length"], 2) for cell in cells)))
            rows.append(("", PAPER, tuple(str(cell["printed"]) for cell in cells)))
            rows.append(
                ("", "difference", tuple(_number(cell["difference"], 2, signed=True) for cell in cells))
            )
    return Wide((experiment_head(reproduced), "", *states), tuple(rows))


def experiment_head(reproduced: ReproducedTable) -> str:
    """Whose numbers ``ours`` are."""
    models = ", ".join(dict.fromkeys(reproduced.table["model"]))
    if reproduced.experiment.kind != "pearson":
        return models
    layers = ", ".join(map(str, dict.fromkeys(reproduced.table["layer"])))
    return f"{models}, layer {layers}"


def _number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    if value is None or pd.isna(value):
        return ""
    rounded = round(float(value), decimals) + 0.0  # + 0.0: no "-0.00"
    return f"{rounded:{'+' if signed else ''}.{decimals}f}".replace("-", "−")


def _range(cell: pd.Series, decimals: int) -> str:
    low, high = (_number(cell[name], decimals) for name in ("low", "high"))
    return f"{low} to {high}" if low and high else ""


def markdown(wides: Sequence[Wide]) -> str:
    """A table for a README."""
    lines: list[str] = []
    for wide in wides:
        lines += [""] if lines else []
        lines.append("| " + " | ".join(map(_cell, wide.head)) + " |")
        lines.append("| --- | --- |" + " ---: |" * (len(wide.head) - 2))
        lines += [
            "| " + " | ".join(map(_cell, (name, kind, *cells))) + " |" for name, kind, cells in wide.rows
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


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
