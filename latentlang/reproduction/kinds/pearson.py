"""Tables of the correlation of languages' first principal components, before and after training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import pandas as pd
from pydantic import model_validator

from latentlang.errors import InputError
from latentlang.geometry.alignment_result import paper_table
from latentlang.geometry.measures import FEWEST
from latentlang.models.shapes import model_shape
from latentlang.reproduction.kinds.base import Outcome, RunContext, too_few_items
from latentlang.reproduction.kinds.model_tables import OURS, PAPER, TableKind, from_to, head_of
from latentlang.reproduction.kinds.of_models import ModelExperiment, adapter_of
from latentlang.reproduction.steps import BASE, Step
from latentlang.reproduction.tables import FilledTable, Wide, shown_number, shown_range

_MEASURE = "pearson_pc1"


class PearsonExperiment(ModelExperiment):
    """A table of correlations: pairs of languages and layers in its rows, the two states in its columns."""

    by_layer: ClassVar[bool] = True

    @model_validator(mode="after")
    def _of_pairs(self) -> PearsonExperiment:
        if not (self.pairs and all(isinstance(layer, int) for layer in self.layers)):
            raise ValueError("pearson needs pairs of languages, and layers by number")
        return self


class PearsonKind(TableKind[PearsonExperiment]):
    """Correlations of first principal components."""

    fields = PearsonExperiment
    words = "correlation of languages' first principal components, before and after training"
    read = ("harvest", "align")
    sentence = (
        "Pearson r of the first principal component between languages, over items, with its 95% interval; the "
        "mean with translations unpaired; and r once prompt length is regressed out of both."
    )
    keys = MappingProxyType(
        {"paper_model": "model", "paper_layer": "layer", "pair": "pair", "state": "state"}
    )
    columns = (
        "paper_model", "model", "paper_layer", "layer", "pair", "state", "n", "ours", "low", "high", "null_mean", "p",
        "without_length", "paper", "printed", "difference",
    )  # fmt: skip
    apart = ("model", "layer", "pair", "state")
    distance = (" of r", 2)
    unit = "r"

    def check(self, experiment: PearsonExperiment, run: RunContext) -> None:
        """Refuse too few items for a correlation, of a table that was named, before anything is trained for it.

        Raises:
            InputError: there are too few.
        """
        if run.named and (few := self.lacks(experiment, run)):
            raise InputError(f"{experiment.name}: {few.rstrip('.')}")

    def lacks(self, experiment: PearsonExperiment, run: RunContext) -> str:
        """Enough items for a correlation."""
        counts = [count for task in experiment.tasks if (count := run.settings.items(task)) is not None]
        return too_few_items(min(counts, default=None), FEWEST)

    def printed(self, values: pd.DataFrame) -> pd.DataFrame:
        """With the pair in one column."""
        return values.assign(pair=values["one"] + "-" + values["other"])

    def rows(
        self, experiment: PearsonExperiment, paper_model: str, model: str, outcome: Outcome
    ) -> list[dict[str, Any]]:
        """One for each state, layer and pair."""
        rows = []
        task, answers = experiment.tasks[0], experiment.answers[0]
        adapters = [adapter_of(experiment, recipe, task) for recipe in (BASE, experiment.recipes[0])]
        n_layers = model_shape(model).layers
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
                            "paper_model": paper_model, "paper_layer": paper_layer,
                            "layer": layer, "pair": pair, "state": adapter.state, "n": int(row["n"]),
                            "ours": row["value"], "low": row["low"], "high": row["high"],
                            "null_mean": row["null_mean"], "p": row["p"], "without_length": row["partial"],
                        })  # fmt: skip
        return rows

    def cell(self, experiment: PearsonExperiment, row: Mapping[Any, Any]) -> tuple[str, str]:
        """Pairs in rows, with the layer where there are several; states in columns."""
        layer = f", layer {row['paper_layer']}" if len(experiment.layers) > 1 else ""
        return f"{row['pair']}{layer}", str(row["state"])

    def as_printed(self, experiment: PearsonExperiment, table: pd.DataFrame) -> Sequence[Wide]:
        """Pairs in rows, the model before and after training in columns."""
        states = list(dict.fromkeys(table["state"]))
        layers = list(dict.fromkeys(table["paper_layer"]))
        rows: list[tuple[str, str, tuple[str, ...]]] = []
        for layer in layers:
            for pair in experiment.pairs:
                part = table[(table["pair"] == pair) & (table["paper_layer"] == layer)].set_index("state")
                cells = [part.loc[state] for state in states]
                name = pair if len(layers) == 1 else f"{pair}, layer {layer}"
                lines = {
                    OURS: (shown_number(cell["ours"], 2) for cell in cells),
                    "95%": (shown_range(cell["low"], cell["high"], 2) for cell in cells),
                    "unpaired (chance)": (shown_number(cell["null_mean"], 2) for cell in cells),
                    "without length": (shown_number(cell["without_length"], 2) for cell in cells),
                    PAPER: (str(cell["printed"]) for cell in cells),
                    "difference": (shown_number(cell["difference"], 2, signed=True) for cell in cells),
                }
                rows += [(name if line == OURS else "", line, tuple(texts)) for line, texts in lines.items()]
        shown_layers = ", ".join(map(str, dict.fromkeys(table["layer"])))
        return [Wide((f"{head_of(table)}, layer {shown_layers}", "", *states), tuple(rows))]

    def verdict(self, rows: pd.DataFrame) -> tuple[str, str]:
        """Pairs and layers whose correlation is higher with the adapter, as it is and without prompt length."""
        keys = ["model", "layer", "pair"]
        wide = rows.pivot(index=keys, columns="state", values=["ours", "without_length"])
        counts = {}
        for name in ("ours", "without_length"):
            both = (
                wide[name].dropna() if {"base", "tuned"} <= set(wide[name].columns) else wide[name].iloc[:0]
            )
            counts[name] = (int((both["tuned"] > both["base"]).sum()), len(both)) if len(both) else (0, 0)
        (higher, of), (still, _) = counts["ours"], counts["without_length"]
        verdict = (
            f"Pearson r of the first component is higher with the adapter in {higher} of {of} pairs and layers, in "
            f"{still} once prompt length is regressed out."
            if of
            else "Pearson r of the first component was measured, and nothing to compare it with."
        )
        values = ", ".join(
            f"{from_to(part['ours'], 2)} {'without' if state == 'base' else 'with'} the adapter (unpaired "
            f"translations {from_to(part['null_mean'], 2)})"
            for state, part in rows.groupby("state", sort=False)
        )
        return verdict, f"Pearson r of the first component: {values}."

    def counts(
        self, experiment: PearsonExperiment, run: RunContext, table: FilledTable | None
    ) -> dict[str, int]:
        """Of the pair that has most."""
        if table is None:
            return super().counts(experiment, run, table)
        return {experiment.tasks[0]: int(table.table["n"].max())}


def _either(pair: str) -> tuple[str, str]:
    one, other = pair.split("-")
    return pair, f"{other}-{one}"
