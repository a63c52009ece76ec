"""TRL's supervised trainer, told exactly what to do and kept from doing more.

This module imports TRL, which takes seconds; it is imported when a run begins and not before.
"""

from __future__ import annotations

import logging
import math
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from transformers import TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl import SFTConfig, SFTTrainer
from trl.trainer import utils as trl_utils

from latentlang.errors import InputError
from latentlang.seeding import generator
from latentlang.storage.full import disk_may_be_full
from latentlang.storage.tensors import read_tensors
from latentlang.training import run_folder
from latentlang.training.devices import Processes
from latentlang.training.full import save_model
from latentlang.training.hyperparameters import Lora
from latentlang.training.packing import PackingCollator
from latentlang.training.recipes import Recipe
from latentlang.training.result import WEIGHTS, TrainingProgress
from latentlang.training.tokenization import IGNORED, TokenizedExamples

#: Rows of the loss table that a whole run leaves for its training loss.
_ROWS = 200
_CHATTY = ("transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes", "torch.distributed")


@dataclass(frozen=True)
class StepPlan:
    """A recipe worked out for some data on this machine.

    Attributes:
        steps: optimiser steps.
        per_pass: examples in one forward pass on one device.
        passes: forward passes per step and device.
        every: steps between evaluations, which are also checkpoints.
    """

    steps: int
    per_pass: int
    passes: int
    every: int


def plan_steps(recipe: Recipe, examples: int, processes: Processes) -> StepPlan:
    """How many steps, of how many passes, a recipe takes.

    Raises:
        InputError: a step cannot be shared out evenly among the processes.
    """
    schedule = recipe.schedule
    most = schedule.batch // schedule.accumulation
    passes = math.ceil(schedule.batch / (most * processes.count))
    if schedule.batch % (passes * processes.count):
        raise InputError(
            f"a batch of {schedule.batch} cannot be shared out evenly among {processes.count} processes in {passes} "
            f"passes; make it a multiple of {passes * processes.count}"
        )
    per_epoch = math.ceil(examples / schedule.batch)
    epochs = recipe.epochs
    steps = schedule.steps if epochs is None else max(1, math.ceil(epochs * per_epoch))
    assert steps is not None
    every = per_epoch if schedule.evaluations == "epoch" else max(1, math.ceil(steps / schedule.evaluations))
    return StepPlan(steps, schedule.batch // (passes * processes.count), passes, every)


class _ByLength(LengthGroupedSampler):  # type: ignore[misc]  # transformers is not checked
    """Batches of like length whose order depends on seed and epoch alone, so that a run that goes on has the same."""

    def __init__(self, batch_size: int, lengths: list[int], *, seed: int) -> None:
        super().__init__(batch_size, lengths=lengths)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the data comes."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """The examples of one pass."""
        self.generator = torch.Generator().manual_seed(
            generator("by length", self.seed, self.epoch).getrandbits(32)
        )
        return iter(super().__iter__())


class RecipeTrainer(SFTTrainer):  # type: ignore[misc]  # TRL is not checked
    """`SFTTrainer` with an exact validation loss, checkpoints without pickled settings, and no word to anybody."""

    def _send_telemetry(self) -> None:
        """Report nothing to anybody."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """Transformers' choice, but one by length that a resumed run repeats."""
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        data: Any = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(row) for row in data["input_ids"]]
        together = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return _ByLength(together, lengths, seed=self.args.seed)

    def create_model_card(self, *_args: Any, **_kwargs: Any) -> None:
        """No card: the folder has the recipe and the provenance."""

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Write the weights that are trained alone: no pickled settings, no tokenizer, no question to the hub."""
        if self.args.should_save:
            save = save_adapter if isinstance(self.model, PeftModel) else save_model
            save(self.model, Path(output_dir or self.args.output_dir), state_dict=state_dict)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint with a record of its files, and remove older ones; on a full disk keep those there are."""
        below, writes = Path(self.args.output_dir), self.args.should_save
        checkpoint = below / f"checkpoint-{self.state.global_step}"
        try:
            with disk_may_be_full(checkpoint):
                if writes:
                    run_folder.begin_checkpoint(checkpoint)
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()  # each process writes its own random state
                if writes:
                    run_folder.seal_checkpoint(checkpoint)
        except BaseException:
            if writes:
                run_folder.remove_checkpoint(checkpoint)
            raise
        if writes:
            run_folder.rotate(below.parent, best=self.state.best_global_step)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """TRL's loss; in evaluation weighted, so that the mean over examples is the mean over tokens."""
        with _outputs_only():
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        if self.model.training:
            return loss
        # The evaluation loop averages the batches' means with their numbers of examples; what we want is sum / count.
        labels = inputs["labels"]
        counted = (labels[:, 1:] != IGNORED).sum()
        weight = counted / len(labels) / self._counted_per_example()
        return (loss[0] * weight, loss[1]) if return_outputs else loss * weight

    def _counted_per_example(self) -> float:
        """Mean number of validation tokens that the loss counts in an example."""
        data: Any = self.eval_dataset
        if not hasattr(self, "_mean_counted"):
            self._mean_counted = sum(
                sum(label != IGNORED for label in labels) for labels in data["labels"]
            ) / len(data)
        return self._mean_counted


@contextmanager
def _outputs_only() -> Iterator[None]:
    """Have TRL's head score the output's positions alone on a CPU too, as it does on GPUs.

    Elsewhere it scores every position, input and padding with it, to keep its shapes fixed for compilers: half of a
    step's time on the embedded models. Where TRL has no such switch, nothing is changed; the loss is the same.
    """
    switch = getattr(trl_utils, "_use_triton", None)
    if switch is None:
        yield
        return
    trl_utils._use_triton = lambda device: device.type == "cpu" or switch(device)
    try:
        yield
    finally:
        trl_utils._use_triton = switch


class Watcher(TrainerCallback):  # type: ignore[misc]  # transformers is not checked
    """Tells somebody how a run goes, and ends one whose loss is no number any more."""

    def __init__(self, on_event: Callable[[TrainingProgress], None] | None, plan: StepPlan) -> None:
        self.on_event = on_event
        self.plan = plan
        self.training: float | None = None
        self.validation: float | None = None

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Keep the newest losses."""
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise InputError(
                f"the training loss is {loss} at step {state.global_step}: the run has diverged; use a smaller "
                "learning_rate, or dtype 'fp32'"
            )
        self.training = float(loss)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Tell the validation loss."""
        loss = (metrics or {}).get("eval_loss")
        if loss is not None:
            self.validation = float(loss)
            self._tell(state.global_step, evaluated=True)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell the step."""
        self._tell(state.global_step)

    def _tell(self, step: int, *, evaluated: bool = False) -> None:
        if self.on_event is not None:
            self.on_event(TrainingProgress(step, self.plan.steps, self.training, self.validation, evaluated))


def build_trainer(
    model: Any,
    tokenizer: Any,
    recipe: Recipe,
    plan: StepPlan,
    train: TokenizedExamples,
    validation: TokenizedExamples,
    *,
    folder: Path,
    precision: str,
    padding: int,
    gradient_checkpointing: bool,
    resumed: bool,
    on_event: Callable[[TrainingProgress], None] | None,
    start: Path | None = None,
    report_to: Sequence[str] = (),
    deepspeed: Path | None = None,
) -> RecipeTrainer:
    """A trainer that is ready to run; it puts its adapter on the model it is given, or trains the model itself.

    Args:
        model: causal LM; its modules are changed.
        tokenizer: its tokenizer; may be changed.
        recipe: method, LoRA and schedule.
        plan: the recipe's steps.
        train: what is trained on.
        validation: what chooses the best checkpoint; may be empty.
        folder: where checkpoints go.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        padding: token to fill batches with.
        gradient_checkpointing: compute activations twice rather than keep them.
        resumed: whether the run goes on from a checkpoint, so that the base's loss is known already.
        on_event: called after every step.
        start: folder of an adapter whose weights are the adapter's first ones.
        report_to: where losses are told too: ``wandb``, ``tensorboard``.
        deepspeed: a config of DeepSpeed, which is handed on.

    Raises:
        InputError: the adapter to start from has other weights than the recipe's.
    """
    schedule = recipe.schedule
    evaluated = len(validation) > 0
    chooses = evaluated and schedule.keep == "best"
    on_cpu = next(model.parameters()).device.type == "cpu"
    constant = "constant_with_warmup" if schedule.warmup else "constant"
    settings = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=plan.per_pass,
        per_device_eval_batch_size=plan.per_pass,
        gradient_accumulation_steps=plan.passes,
        max_steps=plan.steps,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type=constant if schedule.scheduler == "constant" else schedule.scheduler,
        warmup_steps=round(schedule.warmup * plan.steps),
        weight_decay=schedule.weight_decay,
        max_grad_norm=schedule.max_grad_norm,
        logging_steps=max(1, plan.steps // _ROWS),
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluated else "no",
        eval_steps=plan.every,
        eval_on_start=evaluated and not resumed,
        save_strategy="steps",
        save_steps=plan.every,
        load_best_model_at_end=chooses,
        metric_for_best_model="eval_loss" if chooses else None,
        greater_is_better=False if chooses else None,
        train_sampling_strategy=_sampling(recipe),
        seed=schedule.seed,
        data_seed=schedule.seed,
        use_cpu=on_cpu,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        gradient_checkpointing=gradient_checkpointing,
        completion_only_loss=True,
        max_length=None,
        packing=False,
        # The labels are ours already: TRL would only copy them, with progress bars.
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=None if _has_experts(model) else False,
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        report_to=list(report_to) or "none",
        run_name=recipe.name,
        deepspeed=None if deepspeed is None else str(deepspeed),
    )
    if settings.n_gpu > 1:
        # Several visible GPUs and no launcher: use the first, where the model is, rather than nn.DataParallel.
        settings._n_gpu = 1
    trainer = RecipeTrainer(
        model=model,
        args=settings,
        data_collator=PackingCollator(padding),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(validation) if evaluated else None,
        processing_class=tokenizer,
        peft_config=_adapter(recipe.lora) if recipe.method == "lora" else None,
        callbacks=[Watcher(on_event, plan)],
    )
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    if trainer.is_fsdp_enabled:
        # A checkpoint has whole weights, put together from all processes: parts of them no other tool reads.
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    if start is not None:
        put_first_weights(trainer.model, start)
    return trainer


def _adapter(lora: Lora) -> LoraConfig:
    """A recipe's adapter as PEFT has it."""
    modules = lora.target_modules
    return LoraConfig(
        r=lora.rank,
        lora_alpha=int(lora.alpha) if float(lora.alpha).is_integer() else lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        task_type="CAUSAL_LM",
    )


def _sampling(recipe: Recipe) -> str:
    """What transformers calls the order of the examples."""
    if recipe.data.in_order:
        return "sequential"
    return "group_by_length" if recipe.schedule.group_by_length else "random"


def _has_experts(model: Any) -> bool:
    """Whether a step may leave some weights out, so that processes must look which ones."""
    fields = vars(model.config.get_text_config())
    return any("experts" in name and isinstance(value, int) and value > 0 for name, value in fields.items())


def _dataset(examples: TokenizedExamples) -> Any:
    from datasets import Dataset

    columns: dict[str, Any] = {"input_ids": examples.input_ids, "labels": examples.labels}
    if examples.lengths:
        columns["seq_lengths"] = examples.lengths
    return Dataset.from_dict(columns)


def save_adapter(model: Any, folder: Path, *, state_dict: dict[str, Any] | None = None) -> None:
    """Write a PEFT model's adapter as safetensors with its JSON config, and nothing else."""
    assert isinstance(model, PeftModel)
    # Embeddings are never trained here; "auto" would ask the hub whether the vocabulary was changed.
    model.save_pretrained(str(folder), state_dict=state_dict, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def put_first_weights(model: Any, start: Path) -> None:
    """Give a new adapter the weights of another one of the same shape.

    Raises:
        InputError: it is on other modules, or of another shape.
    """
    weights, _ = read_tensors(start / WEIGHTS)
    own = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    if own != set(weights):
        odd = sorted(own ^ set(weights))[0]
        raise InputError(
            f"the adapter to start from, {str(start)!r}, is on other modules than the recipe's lora.target_modules: "
            f"only one of them has {odd!r}"
        )
    try:
        set_peft_model_state_dict(model, weights)
    except RuntimeError as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"the adapter to start from, {str(start)!r}, has other shapes than this model's: {reason}"
        ) from error


@contextmanager
def told_apart(report_to: Sequence[str]) -> Iterator[None]:
    """A context after which the next run of this process is told as another one, unless a user began the telling."""
    if "wandb" not in report_to:
        yield
        return
    import wandb

    begun = wandb.run is not None
    try:
        yield
    finally:
        if not begun and wandb.run is not None:
            wandb.finish()


@contextmanager
def undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """A context in which a run may do as it likes; random states, gradients, loggers and variables are put back."""
    flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    python, cpu = random.getstate(), torch.get_rng_state()
    legacy = np.random.get_state()  # noqa: NPY002 - the one that trainers seed
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    variables = {name: value for name, value in os.environ.items() if name.startswith("ACCELERATE_")}
    levels = [(logging.getLogger(name), logging.getLogger(name).level) for name in _CHATTY]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger, _ in levels:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)
        for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
            if name not in variables:
                del os.environ[name]
        os.environ.update(variables)
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)
        for parameter, needs_grad, gradient in flags:
            parameter.requires_grad_(needs_grad)
            parameter.grad = gradient
