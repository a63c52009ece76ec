"""The loss curve of a training run: training and validation loss over steps, the base's loss, the step that is kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import plotly.graph_objects as go

from latentlang.errors import InputError
from latentlang.figures.header import LONGEST_MODEL, made_with, model_words
from latentlang.figures.headings import ABOVE_PLOT
from latentlang.figures.scatter import reference_line
from latentlang.figures.shaping import Look, shaped
from latentlang.figures.style import (
    BASELINE,
    INK,
    MUTED,
    PAPER,
    PIVOT,
    TARGET,
    own_name,
    safe,
    shortened,
    template,
    tint,
)
from latentlang.text import counted, trained_weights

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.provenance import Provenance
    from latentlang.training.training_settings import TrainingSettings

_HEIGHT, _TOP, _BELOW = 470, 84, 96


class ControlDescription(Protocol):
    """What is said of data that make a run a control, as plain text."""

    @property
    def name(self) -> str:
        """Of the control."""

    @property
    def how_to_read(self) -> str:
        """A paragraph."""


class DataDescription(Protocol):
    """What is said of training data, as plain text: `latentlang.training.data.DataWords` has it."""

    @property
    def title(self) -> str:
        """What is trained on."""

    @property
    def own_names(self) -> Sequence[Sequence[str]]:
        """Codes of the languages beside the title, in lists that arrows part."""

    @property
    def about(self) -> str:
        """Whose texts."""

    @property
    def noun(self) -> str:
        """What an example is called, in the singular."""

    @property
    def output(self) -> str:
        """What an output is called, in the singular."""

    @property
    def how_to_read(self) -> str:
        """What the model is given and trained to write, a sentence without its full stop."""

    @property
    def after(self) -> Sequence[str]:
        """Further paragraphs."""

    @property
    def control(self) -> ControlDescription | None:
        """What makes the run a control."""


class Training(Protocol):
    """What a result must have to be drawn: `TrainingResult` has it."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns ``step, epoch, split, loss, learning_rate``."""

    @property
    def provenance(self) -> Provenance:
        """The model."""

    @property
    def settings(self) -> TrainingSettings:
        """The settings of the run."""

    @property
    def words(self) -> DataDescription:
        """What is said of the data that were trained on."""

    @property
    def best_step(self) -> int | None:
        """Step whose weights are kept."""


def loss_figure(result: Training, **look: Unpack[Look]) -> go.Figure:
    """Draw the losses of a run over its steps, in nats per output token.

    Args:
        result: a `TrainingResult`, new or loaded from disk.
        **look: as in `Look`.

    Raises:
        InputError: there is nothing to draw: the identity recipe trains nothing.
    """
    if result.table.empty:
        raise InputError("the result holds no losses: the identity recipe trains nothing")
    curves = {
        split: result.table[result.table["split"] == split].sort_values("step")
        for split in ("train", "validation")
    }
    words = result.words
    traces = [
        _trace(curves["train"], "training: mean since the point before", tint(TARGET, 0.75), markers=False),
        _trace(
            curves["validation"], f"validation: {safe(words.noun)}s never trained on", PIVOT, markers=True
        ),
    ]
    provenance, best = result.provenance, result.best_step
    annotations, shapes = _marks(curves["validation"], best)
    layout: dict[str, Any] = {
        "template": template(),
        "title": {
            "text": _title(words),
            "subtitle": {"text": _subtitle(result, words), "font": {"size": 12.5, "color": MUTED}},
            **ABOVE_PLOT,
        },
        "height": _HEIGHT,
        "margin": {"l": 64, "r": 18, "t": _TOP, "b": _BELOW, "autoexpand": False},
        "hovermode": "x unified",
        "xaxis": {
            "title": {"text": "optimiser step"}, "showgrid": False, "rangemode": "tozero", "spikecolor": BASELINE,
            "spikethickness": 1, "spikedash": "solid", "unifiedhovertitle": {"text": "step %{x}"},
        },
        "yaxis": {"title": {"text": "loss (nats per output token)"}, "tickformat": "~g"},
        "legend": {
            "orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
            "traceorder": "reversed",
        },
        "annotations": annotations,
        "shapes": shapes,
        "meta": {
            "how_to_read": _how_to_read(words, full=result.settings.recipe.method == "full"),
            "made_with": made_with(provenance), "least_width": 640,
        },
    }  # fmt: skip
    figure = go.Figure(data=[trace for trace in traces if trace["x"]], layout=layout)
    return shaped(figure, **look)


def _trace(rows: pd.DataFrame, name: str, colour: str, *, markers: bool) -> dict[str, Any]:
    return {
        "type": "scatter", "x": rows["step"].tolist(), "y": rows["loss"].tolist(),
        "customdata": [[epoch] for epoch in rows["epoch"].tolist()],
        "cliponaxis": False, "mode": "lines+markers" if markers or len(rows) == 1 else "lines",
        "line": {"color": colour, "width": 2.4 if markers else 1.6},
        "marker": {"size": 7, "color": PAPER, "line": {"color": colour, "width": 2}},
        "name": name,
        "hovertemplate": f"<b>%{{y:.3f}}</b>  {name} (epoch %{{customdata[0]:.2f}})<extra></extra>",
    }  # fmt: skip


def _marks(rows: pd.DataFrame, best: int | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The base's loss as a line across, and the kept step as a filled point with its number."""
    annotations: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    losses = {int(step): float(loss) for step, loss in zip(rows["step"], rows["loss"], strict=True)}
    if 0 in losses:
        shapes.append(reference_line(losses[0], axis="y"))
        annotations.append({
            "text": f"before training {losses[0]:.3f}", "xref": "paper", "x": 1, "xanchor": "right",
            "y": losses[0], "yanchor": "bottom", "showarrow": False, "font": {"size": 12, "color": MUTED},
        })  # fmt: skip
    if best in losses and math.isfinite(losses[best]):
        right = max(losses) > 0 and best > max(losses) / 2
        annotations.append({
            "text": f"<b>kept: {losses[best]:.3f}</b> at step {best}", "x": best, "y": losses[best],
            "xanchor": "right" if right else "left", "yanchor": "bottom", "showarrow": True, "arrowhead": 0,
            "arrowwidth": 1, "arrowcolor": PIVOT, "ax": -28 if right else 28, "ay": -34,
            "standoff": 5, "font": {"size": 12.5, "color": INK},
        })  # fmt: skip
    return annotations, shapes


def _title(words: DataDescription) -> str:
    """What was trained on, never what came of it."""
    names = " → ".join(", ".join(own_name(code) for code in codes) for codes in words.own_names)
    control = f", {safe(words.control.name)} (control)" if words.control is not None else ""
    return f"<b>{safe(words.title)}{control}</b>  <span style='color:{MUTED};font-size:0.85em'>{names}</span>"


def _subtitle(result: Training, words: DataDescription) -> str:
    recipe = result.settings.recipe
    lora, schedule = recipe.lora, recipe.schedule
    counts = result.settings.pairs.values()
    trained, held = (sum(count[index] for count in counts) for index in (0, 1))
    modules = lora.target_modules
    where = modules if isinstance(modules, str) else ", ".join(modules)
    parts = [
        model_words(result.provenance),
        safe(words.about),
        f"{safe(counted(trained, words.noun))}, {held:,} held out",
        trained_weights(recipe.freeze)
        if recipe.method == "full"
        else f"LoRA rank {lora.rank} on {safe(shortened(where, LONGEST_MODEL))}",
        f"learning rate {schedule.learning_rate:g}",
        f"batch {schedule.batch}",
        f"seed {schedule.seed}",
    ]
    return " · ".join(parts)


def _how_to_read(words: DataDescription, *, full: bool) -> list[str]:
    which = "all of its weights" if full else "only small added weights (LoRA)"
    paragraphs = [
        f"{words.how_to_read}; {which} change. The loss says how surprised it is, on average, "
        f"by each token of the right {words.output}: lower is better, and a loss falls by 0.7 when the right token "
        "becomes twice as probable.",
        f"The orange line is measured on {words.noun}s of items that were never trained on; the step where it is "
        "lowest is the one that is kept. Where it rises while the blue line goes on falling, the model learns its "
        "training items by heart. The dashed line is the model before training.",
        *words.after,
    ]
    if words.control is not None:
        paragraphs.insert(1, words.control.how_to_read)
    return paragraphs
