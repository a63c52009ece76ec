"""The hyperparameters of a training: its adapter and its schedule, by default the reference paper's (see `recipes`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator

from latentlang.arguments import MOST, MOST_ALPHA, MOST_EPOCHS, MOST_RATE, most, split_names
from latentlang.errors import shown
from latentlang.training.data import Part

ALL_LINEAR = "all-linear"


class Lora(Part):
    """The adapter (Hu et al. 2021): weights ``W + alpha / rank * B A`` beside the frozen ``W``.

    Attributes:
        rank: rows of A, columns of B.
        alpha: scale; the paper's is twice the rank.
        dropout: share of A's inputs dropped while training.
        target_modules: names of the linear layers that get an adapter, or ``all-linear``.
    """

    rank: int = Field(default=8, ge=1, le=most("rank"))
    alpha: float = Field(default=16, gt=0, le=MOST_ALPHA)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] | Literal["all-linear"] = ("q_proj", "v_proj")

    @field_validator("target_modules", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, str) and value != ALL_LINEAR:
            value = split_names(value)
        if isinstance(value, list | tuple) and not value:
            raise ValueError("name at least one module")
        return value


class Schedule(Part):
    """How long and how fast.

    Attributes:
        epochs: passes over the training examples; None for the kind's own (question alignment: the paper's, 3, and 1
            for paraphrase).
        steps: optimiser steps instead of epochs; 0 for no training at all.
        batch: the batch size: examples per optimiser step, over all passes (gradient accumulation) and devices.
        accumulation: gradient accumulation: forward passes a step is made of on one device; more devices need fewer.
        learning_rate: at the end of the warm-up.
        scheduler: what the learning rate does after it.
        warmup: share of the steps in which the learning rate rises from 0.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this norm.
        cutoff: longest input and output together, in tokens; longer ones are left out.
        validation: share of the items that is set aside and measured, or, from 2 on, about how many examples
            altogether, each language in proportion; 0 for none.
        evaluations: how often the validation loss is measured, and a checkpoint written, in a whole run; or ``epoch``,
            after each pass over the data.
        keep: which weights the adapter has: ``best``, those with the lowest validation loss (the last ones where
            nothing is set aside), or ``last``.
        group_by_length: put examples of about the same length into a batch, so that less is padding; otherwise they
            are shuffled.
        packing: put several examples into a row of up to `cutoff` tokens, each attended to alone, so that nothing is
            padding; `batch` then counts rows. Refused for a model whose attention does not keep them apart.
        seed: of the choice of items, the order of training and the adapter's first weights.
    """

    epochs: float | None = Field(default=None, gt=0, le=MOST_EPOCHS)
    steps: int | None = Field(default=None, ge=0, le=most("steps"))
    batch: int = Field(default=16, ge=1, le=most("batch"))
    accumulation: int = Field(default=4, ge=1, le=most("batch"))
    learning_rate: float = Field(default=5e-5, gt=0, le=MOST_RATE)
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    max_grad_norm: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    cutoff: int = Field(default=2048, ge=8, le=MOST)
    validation: float = Field(default=0.05, ge=0, le=MOST)
    evaluations: Annotated[int, Field(ge=1, le=most("steps"))] | Literal["epoch"] = 10
    keep: Literal["best", "last"] = "best"
    group_by_length: bool = False
    packing: bool = False
    seed: int = Field(default=0, ge=0, le=most("seed"))

    @field_validator("evaluations", mode="wrap")
    @classmethod
    def _count_or_epoch(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ValueError(f"a whole number of times, or epoch, not {shown(value)} ({reason})") from None

    @field_validator("validation")
    @classmethod
    def _share_or_count(cls, value: float) -> float:
        if value >= 1 and (value < 2 or value != int(value)):
            raise ValueError(
                f"a share is less than 1, and a number of examples a whole one from 2 on, not {value:g}"
            )
        return value

    @model_validator(mode="after")
    def _sensible(self) -> Schedule:
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give epochs or steps, not both")
        if self.packing and self.group_by_length:
            raise ValueError("packing leaves no padding to save; leave group_by_length out")
        if self.batch % self.accumulation:
            raise ValueError(
                f"batch {self.batch} cannot be cut into {self.accumulation} equal passes; change accumulation"
            )
        return self
