"""What a training run found: the losses, the best step, and where its adapter lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, Unpack

from latentlang.errors import InputError
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings
from latentlang.storage.documents import read_json
from latentlang.storage.tables import Columns
from latentlang.training.data import DataWords
from latentlang.training.data.base import words_of
from latentlang.training.text import course
from latentlang.training.training_settings import TrainingSettings

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look
    from latentlang.models import HookedLM

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
#: What was asked for, written before the first step; tells whether a folder holds the same run.
RUN_FILE = "run.json"
COLUMNS = ("step", "epoch", "split", "loss", "learning_rate")


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run is, as it is reported after every step.

    Attributes:
        step: optimiser steps done.
        steps: of so many.
        training_loss: mean over the last steps in nats per output token; None before the first is known.
        validation_loss: of the last evaluation; None before the first.
        evaluated: whether `validation_loss` was measured at this step.
    """

    step: int
    steps: int
    training_loss: float | None = None
    validation_loss: float | None = None
    evaluated: bool = False


@dataclass(frozen=True)
class TrainingResult(Result[TrainingSettings]):
    """The course of a training run.

    Attributes:
        table: columns ``step, epoch, split, loss, learning_rate``. `split` is ``train`` (mean over the steps since the
            row before) or ``validation`` (all validation examples after that step; step 0: before training).
            `loss` is the mean cross-entropy of the output's tokens and the end token, in nats.
    """

    kind: ClassVar[str] = "training"
    columns: ClassVar[Columns] = {
        "step": "whole", "epoch": "number", "split": "text", "loss": "number", "learning_rate": "number",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = TrainingSettings

    @property
    def adapter(self) -> Path | None:
        """Folder of the adapter, for ``load(name, adapter=...)``; None where there is none.

        There is none of the identity recipe, and none where all weights were trained (see `checkpoint`).
        """
        return None if self.provenance.adapter is None else Path(self.provenance.adapter)

    @property
    def checkpoint(self) -> Path | None:
        """Folder of the whole model, for ``load(...)``, where all weights were trained; otherwise None."""
        folder = self.settings.checkpoint
        return None if folder is None else located(folder)

    @property
    def folder(self) -> Path | None:
        """Where the trained weights lie, an adapter's or a model's; None for the identity recipe."""
        return self.adapter or self.checkpoint

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe's fields, in its three parts."""
        fields: Mapping[str, Any] = self.provenance.settings["recipe"]
        return fields

    @property
    def words(self) -> DataWords:
        """What is said of the data that were trained on, in the words of their kind."""
        provenance = self.provenance
        return words_of(self.recipe["data"], languages=provenance.languages, task=provenance.task)

    @property
    def best_step(self) -> int | None:
        """Step whose weights are kept: the lowest validation loss, or the last step where nothing was held out.

        None for the identity recipe.
        """
        return self.settings.best_step

    @property
    def base_loss(self) -> float | None:
        """Validation loss before training; None where nothing was held out."""
        return self._validation_at(0)

    @property
    def best_loss(self) -> float | None:
        """Validation loss at the best step; None where nothing was held out."""
        return None if self.best_step is None else self._validation_at(self.best_step)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know, a sentence each."""
        return tuple(self.settings.notes)

    def _validation_at(self, step: int) -> float | None:
        rows = self.table[(self.table["split"] == "validation") & (self.table["step"] == step)]
        return None if rows.empty else float(rows["loss"].iloc[-1])

    def on(self, model: HookedLM) -> HookedLM:
        """A model with the adapter on, on the same weight tensors; the model given stays as it is.

        Merging the adapter into the weights would change them for both.

        Args:
            model: the base model that was trained.

        Raises:
            InputError: there is no adapter, or it is not where it was written.
            ModelError: it does not fit this model.
        """
        from latentlang.models import HookedLM
        from latentlang.models.adapter_loading import put_on
        from latentlang.models.bridge import twin

        if self.checkpoint is not None:
            raise InputError(
                f"all weights were trained, and there is no adapter to put on a model: load({str(self.checkpoint)!r})"
            )
        if self.adapter is None:
            raise InputError("the identity recipe trains nothing: the tuned model is the model itself")
        if not (self.adapter / WEIGHTS).exists():
            raise InputError(
                f"the adapter is no longer in {str(self.adapter)!r}; load the result from its folder"
            )
        tuned, base = put_on(twin(model.lm), self.adapter, name=str(self.adapter))
        return HookedLM(
            tuned,
            model.tokenizer,
            name=model.name,
            loaded_from=model.loaded_from,
            revision=model.revision,
            adapter=str(self.adapter),
            base=base,
            quantization=model.quantization,
        )

    def glance(self) -> pd.DataFrame:
        """Validation loss before training and at the best step, and where the weights lie."""
        import pandas as pd

        values = {
            "base loss": self.base_loss, "best loss": self.best_loss, "best step": self.best_step,
            "adapter": None if self.adapter is None else str(self.adapter), "model": self.settings.checkpoint,
        }  # fmt: skip
        present = {name: value for name, value in values.items() if value is not None}
        return pd.DataFrame([present or {"adapter": "none: the identity recipe trains nothing"}])

    def describe(self) -> str:
        """How far the loss fell, and which weights are kept."""
        return course(
            str(self.recipe["name"]),
            base_loss=self.base_loss,
            best_loss=self.best_loss,
            best_step=self.best_step,
            steps=self.settings.steps,
            full=self.checkpoint is not None,
        )

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """The losses over the steps, the base's loss and the best step marked.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.
        """
        from latentlang.figures.loss import loss_figure

        return loss_figure(self, **look)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote; weights that were moved along with it are found.

        Raises:
            InputError: the folder holds no such result.
        """
        result = super().load(folder)
        if result.adapter is not None and (located(folder) / WEIGHTS).exists():
            return replace(result, provenance=replace(result.provenance, adapter=str(folder)))
        if result.checkpoint is not None and (located(folder) / "config.json").exists():
            settings = {**result.provenance.settings, "checkpoint": str(folder)}
            return replace(result, provenance=replace(result.provenance, settings=settings))
        return result


def is_identity(folder: str | os.PathLike[str]) -> bool:
    """Whether a training folder holds the identity recipe's record: nothing to load, tuned is base.

    Reads one small file; ``load(name, adapter=folder)`` would find no adapter there.
    """
    try:
        record = read_json(located(folder) / RUN_FILE, kind=dict)
        return bool(record["recipe"]["schedule"]["steps"] == 0)
    except (InputError, KeyError, TypeError):
        return False
