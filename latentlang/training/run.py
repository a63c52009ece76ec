"""Running a recipe: TRL's trainer on an adapter (PEFT's LoRA) or on all weights, into a folder that can be resumed.

A model that is given stays as it is: an adapter is put on a second tree of its tensors, and all weights are trained in
a copy.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from latentlang.arguments import checked_call
from latentlang.errors import InputError, ModelError
from latentlang.models.chat import template_digest
from latentlang.models.registry import REGISTRY
from latentlang.models.training_notes import tokenizer_digest
from latentlang.progress import reporting
from latentlang.provenance import Provenance, package_versions
from latentlang.storage.files import check_out, prepare_folder, replacing, write_text
from latentlang.storage.full import disk_may_be_full
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import check_vacant
from latentlang.tasks import Task
from latentlang.tasks.files import PathLike
from latentlang.text import are, counted
from latentlang.training import devices, run_folder
from latentlang.training.card import model_card
from latentlang.training.data import TrainingData
from latentlang.training.data.base import Example, words_of
from latentlang.training.full import LARGE, check_method, put_start, save_tokenizer
from latentlang.training.hyperparameters import ALL_LINEAR
from latentlang.training.recipes import Recipe, recipe_for, training_data
from latentlang.training.result import (
    COLUMNS,
    TrainingProgress,
    TrainingResult,
)
from latentlang.training.starting import Start, starting_point
from latentlang.training.tokenization import TokenizedExamples, end_token, padding_token
from latentlang.training.training_settings import TrainingSettings

if TYPE_CHECKING:
    from latentlang.models import HookedLM

_PACKAGES = ("trl", "peft", "accelerate")
_FORMAT = 1
# What is noted of a model that is trained.
_NOTED = ("model_quantization", "model_loaded_from")
Progress = bool | Callable[[TrainingProgress], None] | None


@checked_call
def train(
    model: HookedLM | str | os.PathLike[str],
    recipe: str | os.PathLike[str] | Mapping[str, Any] | Recipe,
    *,
    out: PathLike,
    task: Task | str | None = None,
    data: PathLike | TrainingData[Any] | Iterable[Example] | None = None,
    resume: bool = True,
    name: str | None = None,
    dtype: str | None = None,
    quantization: str | None = None,
    gradient_checkpointing: bool | None = None,
    keep_checkpoints: bool = False,
    device: str | None = None,
    trust_remote_code: bool = False,
    report_to: str | Sequence[str] = "none",
    as_published: str | Sequence[str] | None = None,
    deepspeed: PathLike | None = None,
    progress: Progress = True,
    **overrides: Any,
) -> TrainingResult:
    """Train a LoRA (Hu et al. 2021) on question translations (Zhang et al. 2024, section 3) or other training data.

    The model's weights do not change, and a model object that is given stays as it is: `TrainingResult.on` puts the
    adapter on it, ``load(name, adapter=out)`` loads both. With ``method="full"`` all weights of a copy are trained, in
    float32, and ``load(out)`` loads the new model. The same seed gives the same weights on a CPU. A run that was
    stopped goes on from its last checkpoint when it is asked for again.

    Args:
        model: a model, or its name as for `load`.
        recipe: a shipped name, any ``zh+es-en``, a YAML file, or a `Recipe`; its ``data.kind`` says what is trained
            on. For an embedded model a recipe that is *named* is taken with what ``recipes.yaml`` says for these.
        out: folder for the adapter or the model, the result and the checkpoints.
        task: whose questions, by name (as the recipe's field); or a task, whose own items are then taken (see
            `alignment_data`).
        data: take these examples instead: files of the recipe's kind (translations in the paper's layout,
            instructions), or examples.
        resume: go on with the same run where `out` has one; False starts anew.
        name: what a model that is named is called in titles and the record; by default its own name or folder.
        dtype: ``fp32``, ``bf16`` or ``fp16``, of the computation and of the weights of a model that is named; by
            default what suits the device, and the own one of a model that is given. Where all weights are trained
            these are float32, and only the computation is not.
        quantization: ``8bit`` or ``4bit`` weights (bitsandbytes); for a model that is named.
        gradient_checkpointing: keep few activations and compute the others twice; by default for large models.
        keep_checkpoints: leave the last and the best checkpoint in ``out/checkpoints``.
        device: where a model that is named goes.
        trust_remote_code: run Python code that comes with a model that is named.
        report_to: where losses are told beside the result, through TRL: ``wandb``, ``tensorboard``, or several; their
            own environment variables say where to (``WANDB_PROJECT``, ``TENSORBOARD_LOGGING_DIR``).
        as_published: fields of the recipe that are taken as paper or code say where these disagree, or ``all``
            (`Recipe.with_published`).
        deepspeed: file of a DeepSpeed config, which is handed on to transformers as it is; never tried here.
        progress: True shows a bar on stderr, or lines where that is no terminal; False nothing; a function is called
            after every step and evaluation.
        **overrides: fields of the recipe to change, e.g. ``steps=100, per_pair=500``.

    Raises:
        InputError: everything that can be wrong with recipe, data, folder or devices, most of it before the model is
            loaded; or the loss is no number any more.
        ModelError: the model cannot be loaded.
    """
    from latentlang.models import HookedLM
    from latentlang.models.hooked import check_unedited

    if isinstance(model, HookedLM):
        if name is not None:
            raise InputError(
                f"name={name!r}: a model has its name from where it was loaded: load(..., name={name!r})"
            )
        check_unedited(model, "a model is trained")
    wanted_precision = devices.check_precision(dtype)
    devices.check_quantization(quantization)
    reports = devices.check_reports(report_to)
    deepspeed_config = devices.check_deepspeed(deepspeed)
    processes = devices.processes()
    if isinstance(task, str):
        overrides["task"], task = task, None
    given = Path(recipe) if isinstance(recipe, os.PathLike) else recipe
    chosen = recipe_for(model, given, overrides, as_published=as_published)
    machine: dict[str, Any] = {
        "device": device,
        "checkpointing": gradient_checkpointing,
        "processes": processes,
    }
    check_method(chosen, model, called=name, quantization=quantization, **machine)
    examples = None if chosen.is_identity else training_data(chosen, task=task, data=data)
    if examples is not None:
        devices.check_packages()
        check_method(
            chosen,
            model,
            called=name,
            examples=examples.train + examples.validation,
            quantization=quantization,
            **machine,
        )
    start = starting_point(chosen, out=Path(out))
    check_vacant(check_out(out), TrainingResult.kind)
    run_folder.check_folder(Path(out), full=chosen.method == "full")
    folder = prepare_folder(out)
    # Of several processes of one run one writes.
    lock: AbstractContextManager[Any] = FolderLock(folder) if processes.is_main else nullcontext()
    with lock:
        if examples is None:
            return _identity(model, chosen, folder, called=name, resume=resume, processes=processes)
        if isinstance(model, HookedLM):
            if quantization is not None or device is not None:
                raise InputError(
                    "quantization and device are chosen where a model is loaded: load(..., quantization='4bit')"
                )
            lm = model
        else:
            lm = _loaded(
                model,
                wanted_precision,
                "fp32" if chosen.method == "full" else wanted_precision,
                quantization,
                device,
                name=name,
                trust_remote_code=trust_remote_code,
                processes=processes,
            )
        if chosen.method == "lora" and chosen.lora.rank > lm.d_model:
            raise InputError(
                f"rank {chosen.lora.rank} is above the width of {lm.name!r}, which is {lm.d_model}: more than that "
                "changes nothing"
            )
        with disk_may_be_full(folder):
            return _TrainingRun(
                lm, chosen, examples, folder, given=lm is model, precision=wanted_precision, quantization=quantization,
                gradient_checkpointing=gradient_checkpointing, processes=processes, start=start, report_to=reports,
                deepspeed=deepspeed_config,
            ).go(resume=resume, keep=keep_checkpoints, progress=progress)  # fmt: skip


def _loaded(
    model: str | os.PathLike[str],
    precision: str | None,
    weights: str | None,
    quantization: str | None,
    device: str | None,
    *,
    name: str | None,
    trust_remote_code: bool,
    processes: devices.Processes,
) -> HookedLM:
    import torch

    from latentlang.devices import named_device
    from latentlang.models import load

    where = named_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    devices.check_choices(where, precision=precision, four_bit=quantization == "4bit")
    if processes.count > 1 and device is None and torch.cuda.is_available():
        device = f"cuda:{processes.local_rank}"
    return load(
        model, name=name, dtype=weights, device=device, quantization=quantization,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip


def _identity(
    model: HookedLM | str | os.PathLike[str],
    recipe: Recipe,
    folder: Path,
    *,
    called: str | None,
    resume: bool,
    processes: devices.Processes,
) -> TrainingResult:
    """The control's record; needs no model beyond its name."""
    from latentlang.models.registry import resolve

    given = getattr(model, "name", None)
    info = None if given else resolve(model, called=called)
    name = str(given if info is None else info.name)
    revision = getattr(model, "revision", None)
    run_record = {
        "format": _FORMAT,
        "model": name,
        "revision": revision,
        "recipe": recipe.model_dump(mode="json"),
    }
    if run_folder.settle(folder, run_record, resume=resume, main=processes.is_main) and (
        done := run_folder.finished(folder)
    ):
        return done
    facts: dict[str, Any] = {"recipe": run_record["recipe"], "pairs": {}, "best_step": None, "notes": []}
    if info is not None and info.given is not None:
        facts["model_loaded_from"] = info.given
    settings = TrainingSettings.model_validate(facts)
    provenance = Provenance(
        model=name, revision=revision, task=recipe.data.task_name, languages=(), policy="", seed=recipe.schedule.seed,
        settings=settings.stored(),
    )  # fmt: skip
    result = TrainingResult(table=pd.DataFrame(columns=list(COLUMNS)), provenance=provenance)
    if processes.is_main:
        run_folder.begin(folder, run_record)
        write_text(folder / run_folder.RECIPE_FILE, recipe.yaml())
        result.save(folder)
    return result


@contextmanager
def _told(progress: Progress, steps: int, *, done: int) -> Iterator[Callable[[TrainingProgress], None]]:
    """What a run of so many steps tells how far it is."""
    if callable(progress):
        yield progress
        return
    with reporting(progress, "training", things="steps", total=steps) as report:
        report(done, steps)
        yield lambda at: report(at.step, at.steps)


class _TrainingRun:
    """One recipe on one model in one folder."""

    def __init__(
        self,
        model: HookedLM,
        recipe: Recipe,
        data: TrainingData[Any],
        folder: Path,
        *,
        given: bool,
        precision: str | None,
        quantization: str | None,
        gradient_checkpointing: bool | None,
        processes: devices.Processes,
        start: Start | None,
        report_to: Sequence[str],
        deepspeed: Path | None,
    ) -> None:
        self.start, self.report_to, self.deepspeed = start, report_to, deepspeed
        self.model, self.recipe, self.data, self.folder = model, recipe, data, folder
        self.given, self.quantization, self.processes = given, quantization, processes
        self.notes = list(data.notes)
        earlier = () if start is None else start.languages
        self.languages = tuple(dict.fromkeys((*recipe.data.languages_of(data), *earlier)))
        self.words = words_of(
            recipe.data.model_dump(mode="json"), languages=self.languages, task=recipe.data.task_name
        )
        # transformers counts 4-bit weights, which are packed in bytes, as the weights that they are
        self.size = int(model.lm.num_parameters())
        self.checkpointing = self.size >= LARGE if gradient_checkpointing is None else gradient_checkpointing
        self.full = recipe.method == "full"
        _check_model(model, recipe)
        weights = next(p.dtype for p in model.lm.parameters() if p.is_floating_point())
        if self.full:
            devices.check_whole(weights, name=model.name)
            precision = precision or devices.fastest_precision(model.device)
        self.precision = devices.precision_on(model.device, wanted=precision, weights=weights)

    def go(self, *, resume: bool, keep: bool, progress: Progress) -> TrainingResult:
        run_record = self._asked_for()
        if run_folder.settle(self.folder, run_record, resume=resume, main=self.processes.is_main):
            done = run_folder.finished(self.folder)
            if done is not None:
                return done
            what = "model" if self.full else "adapter"
            self.notes.append(
                f"the run was finished before, and was run again: its {what} or record had been changed or was gone"
            )
        train, validation = self._tokens()
        checkpoint = run_folder.last_checkpoint(self.folder) if resume else None
        if self.processes.is_main:
            self.notes += run_folder.pass_over(self.folder, checkpoint)
            run_folder.begin(self.folder, run_record)
        table, facts = self._train(
            train, validation, checkpoint, progress if self.processes.is_main else None
        )
        result = self._result(table, facts)
        if not self.processes.is_main:
            return result
        self._keep(result)
        if not keep:
            run_folder.remove_checkpoints(self.folder)
        return result

    def _asked_for(self) -> dict[str, Any]:
        """What makes a run the same run."""
        start = {} if self.start is None else {"start": self.start.digest}
        return start | {
            "format": _FORMAT,
            "model": self.model.name,
            "revision": self.model.revision,
            "recipe": self.recipe.model_dump(mode="json"),
            "data": self.data.digest(),
            "precision": self.precision,
            "quantization": self.quantization,
            "processes": self.processes.count,
        }

    def _tokens(self) -> tuple[TokenizedExamples, TokenizedExamples]:
        cutoff, noun = self.recipe.schedule.cutoff, self.words.noun
        train, validation = (
            self.recipe.data.tokenize(self.model, part, cutoff=cutoff)
            for part in (self.data.train, self.data.validation)
        )
        longest = min(cutoff, self.model.max_length or cutoff)
        for count, become in (
            (train.left_out + validation.left_out, f"longer than {longest} tokens and left out"),
            (train.cut + validation.cut, f"longer than {longest} tokens and cut there"),
            (
                train.unanswered + validation.unanswered,
                f"left out: cut at {longest} tokens, nothing of an answer is left to learn from",
            ),
        ):
            if count:
                self.notes.append(f"{counted(count, noun)} {are(count)} {become}")
        if not len(train) or (self.data.validation and not len(validation)):
            raise InputError(
                f"no {'validation' if len(train) else 'training'} {noun} is short enough for a cutoff of {cutoff} "
                f"tokens and this model's {self.model.max_length}; raise the cutoff, or give shorter texts"
            )
        if self.recipe.data.end and end_token(self.model) is None:
            self.notes.append("neither tokenizer nor model has an end-of-text token: outputs have no end")
        return train, validation

    def _train(
        self,
        train: TokenizedExamples,
        validation: TokenizedExamples,
        checkpoint: Path | None,
        progress: Progress,
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        from latentlang.training import trainer as running

        if self.recipe.schedule.packing:
            train = self._packed(train)
        plan = running.plan_steps(self.recipe, len(train), self.processes)
        start = time.perf_counter()
        # A run may have been killed after its last step, and the trainer would take one more.
        if run_folder.step_of(checkpoint) < plan.steps:
            with (
                running.undisturbed(self.model.lm),
                running.told_apart(self.report_to),
                _told(progress, plan.steps, done=run_folder.step_of(checkpoint)) as on_event,
            ):
                trainer = running.build_trainer(
                    self._module(first=checkpoint is None), copy.deepcopy(self.model.tokenizer), self.recipe, plan,
                    train, validation,
                    folder=self.folder / run_folder.CHECKPOINTS, precision=self.precision,
                    padding=padding_token(self.model), gradient_checkpointing=self.checkpointing,
                    resumed=checkpoint is not None, on_event=on_event,
                    start=None if self.start is None or self.full else self.start.folder,
                    report_to=self.report_to, deepspeed=self.deepspeed,
                )  # fmt: skip
                if self.processes.sharded and not trainer.is_fsdp_enabled:
                    self.notes.append(
                        "FSDP was asked for, and accelerate shares weights out on GPUs alone: each process had all of "
                        "them"
                    )
                trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
                trainer.accelerator.wait_for_everyone()
                state = run_folder.State(trainer.state.log_history, trainer.state.best_global_step)
        else:
            assert checkpoint is not None
            state = run_folder.read_state(checkpoint)
        best = state.best_step or plan.steps
        trainable = None
        if self.processes.is_main:
            trainable = self._keep_weights(best)
        facts = {
            "steps": plan.steps,
            "best_step": best,
            "trainable": trainable,
            "parameters": self.size,
            "passes": plan.passes,
            "tokens": {"train": train.counted, "validation": validation.counted},
            "resumed_from": run_folder.step_of(checkpoint) or None,
            "files": run_folder.weights_seal(self.folder, full=self.full) if self.processes.is_main else None,
            "seconds": round(time.perf_counter() - start, 1),
        }
        return _table(state.history), facts

    def _packed(self, train: TokenizedExamples) -> TokenizedExamples:
        """Several examples to a row, once the model is seen to keep them apart."""
        from latentlang.training.packing import check_exact, packed

        check_exact(self.model.lm, train, padding=padding_token(self.model))
        cutoff = self.recipe.schedule.cutoff
        rows = packed(train, length=min(cutoff, self.model.max_length or cutoff))
        self.notes.append(
            f"{counted(len(train), self.words.noun)} packed into {counted(len(rows), 'row')}, which a batch counts"
        )
        return rows

    def _keep_weights(self, best: int) -> int:
        """Put the weights of the best step into the run's folder; how many were trained."""
        if not self.full:
            run_folder.keep_adapter(self.folder, best, base=self._base_name())
            return run_folder.adapter_weights(self.folder)
        run_folder.keep_model(self.folder, best)
        save_tokenizer(self.model.tokenizer, self.folder)
        if "embeddings" not in self.recipe.freeze:
            return self.size
        frozen: int = sum(weight.numel() for weight in self.model.lm.get_input_embeddings().parameters())
        return self.size - frozen

    def _module(self, *, first: bool) -> Any:
        """The modules that are trained: our own model's; of a user's a second tree on its tensors, or a copy.

        Args:
            first: whether the run begins, and has no weights of a checkpoint yet.
        """
        if self.full:
            module = copy.deepcopy(self.model.lm) if self.given else self.model.lm
            if first and self.start is not None:
                put_start(module, self.start)
            module.requires_grad_(True)
            if "embeddings" in self.recipe.freeze:
                module.get_input_embeddings().requires_grad_(False)
            return module
        if not self.given:
            return self.model.lm
        from latentlang.models.bridge import twin

        try:
            return twin(self.model.lm)
        except ModelError as error:
            raise InputError(
                "this model object cannot be trained without changing it; give its name instead "
                f"({self.model.loaded_from!r})"
            ) from error

    def _base_name(self) -> str:
        """What other tools look the model up by: the hub's name, not a place in this machine's cache."""
        info = REGISTRY.get(self.model.loaded_from)
        return info.hub_id if info is not None and not info.local else self.model.loaded_from

    def _result(self, table: pd.DataFrame, facts: Mapping[str, Any]) -> TrainingResult:
        recipe = self.recipe
        settings = TrainingSettings(
            recipe=recipe.model_dump(mode="json"),  # type: ignore[arg-type]
            pairs={name: list(counts) for name, counts in self.data.counts().items()},
            origins={name: list(counts) for name, counts in self.data.origins().items()},
            data=self.data.digest(),
            downloads=list(self.data.downloads),
            precision=self.precision,
            quantization=self.quantization,
            gradient_checkpointing=self.checkpointing,
            device=str(self.model.device),
            processes=self.processes.count,
            tokenizer=tokenizer_digest(self.model.tokenizer),
            chat_template=template_digest(self.model.tokenizer),
            checkpoint=str(self.folder) if self.full else None,
            notes=[*self.notes, *_verdict(table, facts["best_step"], recipe)],
            **facts,
        ).stored()
        settings |= {name: value for name, value in self.model.noted.items() if name in _NOTED}
        versions = package_versions() | {name: metadata.version(name) for name in _PACKAGES}
        provenance = Provenance(
            model=self.model.name, revision=self.model.revision, task=recipe.data.task_name,
            languages=self.languages, adapter=None if self.full else str(self.folder), policy="",
            seed=recipe.schedule.seed, settings=settings, packages=versions,
        )  # fmt: skip
        return TrainingResult(table=table, provenance=provenance)

    def _keep(self, result: TrainingResult) -> None:
        """Write everything but the adapter, the result last: a folder that has it is finished."""
        write_text(self.folder / run_folder.RECIPE_FILE, self.recipe.yaml())
        with replacing(self.folder / run_folder.DATA_FILE) as stream:
            self.data.table().to_parquet(stream, index=False)
        info = REGISTRY.get(self.model.loaded_from)
        card = model_card(result, base=self._base_name(), embedded=info is not None and info.local)
        write_text(self.folder / run_folder.CARD_FILE, card)
        result.save(self.folder)


def _verdict(table: pd.DataFrame, best: int, recipe: Recipe) -> list[str]:
    """Says so where the weights that are kept are no better than those before training."""
    losses = table[table["split"] == "validation"].set_index("step")["loss"]
    if 0 not in losses or best not in losses or losses[best] < losses[0]:
        return []
    kept = "no checkpoint has" if recipe.schedule.keep == "best" else "the last weights do not have"
    if recipe.start is not None:
        before = f"the {'weights' if recipe.method == 'full' else 'adapter'} that it was started from"
    else:
        before = f"the model {'before training' if recipe.method == 'full' else 'without an adapter'}"
    return [f"{kept} a lower validation loss than {before}: nothing was learnt"]


def _check_model(model: HookedLM, recipe: Recipe) -> None:
    """Refuse what cannot be trained, before anything slow."""
    if model.adapter is not None:
        raise InputError(
            f"the model has an adapter on it ({model.adapter!r}); train on the model itself, loaded without one"
        )
    if model.tokenizer is None:
        raise InputError("this model was given without a tokenizer, which turns texts into tokens")
    devices.check_device(model.device)
    devices.check_choices(model.device, four_bit=getattr(model.lm, "is_loaded_in_4bit", False))
    targets = recipe.lora.target_modules
    if targets == ALL_LINEAR or recipe.method == "full":
        return
    names = [name for name, _ in model.lm.named_modules()]
    for target in targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise InputError(
                f"{type(model.lm).__name__} has no module {target!r} to put LoRA on; it has {_linear(model)}: say "
                "lora.target_modules, or all-linear"
            )
    head = model.lm.get_output_embeddings()
    for name, module in model.lm.named_modules():
        if module is head and any(name == target or name.endswith(f".{target}") for target in targets):
            raise InputError(f"LoRA on the head ({name!r}) cannot be trained by this trainer; leave it out")


def _linear(model: HookedLM) -> str:
    """Names of the model's linear layers, the head left out."""
    head = model.lm.get_output_embeddings()
    names = [
        name.rpartition(".")[2]
        for name, module in model.lm.named_modules()
        if module is not head and getattr(module, "weight", None) is not None
        and module.weight.ndim == 2 and "mbedding" not in type(module).__name__
    ]  # fmt: skip
    return ", ".join(dict.fromkeys(names))


def _table(history: list[dict[str, Any]]) -> pd.DataFrame:
    """The trainer's log as a tidy table; of an evaluation that a resumed run repeated, the last counts."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for entry in history:
        for split, key in (("train", "loss"), ("validation", "eval_loss")):
            if key in entry:
                rows[entry["step"], split] = {
                    "step": int(entry["step"]), "epoch": float(entry.get("epoch") or 0.0), "split": split,
                    "loss": float(entry[key]), "learning_rate": entry.get("learning_rate"),
                }  # fmt: skip
    table = pd.DataFrame(list(rows.values()), columns=list(COLUMNS))
    table["learning_rate"] = table["learning_rate"].astype(float)
    return table.sort_values(["step", "split"], ignore_index=True)
