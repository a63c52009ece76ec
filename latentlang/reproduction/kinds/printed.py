"""Tables of which nothing can be computed: the printed values, why the paper's own cannot be had, what stands in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import model_validator

from latentlang.reproduction.kinds.base import Computed, Experiment, ExperimentKind, Outcome, RunContext


class PrintedExperiment(Experiment):
    """A table or figure of which nothing is computed."""

    @model_validator(mode="after")
    def _says_why(self) -> PrintedExperiment:
        if not self.stands_in:
            raise ValueError(
                "an experiment of the kind printed says by stands_in why nothing is computed: unpublished-data, "
                "hosted-judge, needs-gpu or another code"
            )
        return self


class PrintedKind(ExperimentKind[PrintedExperiment]):
    """The printed values alone."""

    fields = PrintedExperiment
    computes = False
    words = "nothing: the printed values and their corrections stand alone"

    def steps(self, experiment: PrintedExperiment, run: RunContext) -> Sequence[Any]:
        """None."""
        return ()

    def table(self, experiment: PrintedExperiment, outcome: Outcome, run: RunContext) -> Sequence[Computed]:
        """No cell."""
        return ()

    def about(self, experiment: PrintedExperiment, run: RunContext) -> str:
        """That nothing was computed."""
        return "Nothing was computed here."
