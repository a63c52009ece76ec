"""``latentlang train``: an adapter or a model from a recipe, on question translations or other training data."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.arguments import check_count
from latentlang.cli import options
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import InputError
from latentlang.text import counted

if TYPE_CHECKING:
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.training import TrainingData, TrainingResult
    from latentlang.training.recipes import Recipe

_SCHEDULE = "What is changed in the recipe"
_MACHINE = options.MODEL_PANEL


def train(
    model: options.Model = defaults.MODEL,
    recipe: Annotated[
        str,
        typer.Option(help="Recipe (`latentlang recipes`), languages such as zh+es-en, or a YAML file."),
    ] = defaults.RECIPE,
    out: Annotated[
        Path | None,
        options.folder("Folder for the adapter, or the model, and its record; needed but with --export."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Data of your own: translations as JSON in the paper's layout, or files of the recipe's kind."
        ),
    ] = None,
    export: Annotated[
        Path | None,
        options.folder("Write the training data here in LLaMA-Factory's layout, and train nothing."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="Whose questions: sentiment, nli or paraphrase.", rich_help_panel=_SCHEDULE),
    ] = None,
    per_pair: Annotated[
        int | None, typer.Option(help="Translations of each language pair.", rich_help_panel=_SCHEDULE)
    ] = None,
    wrong_pairs: Annotated[
        bool,
        typer.Option(
            "--wrong-pairs",
            help="The negative control: every question gets another item's translation.",
            rich_help_panel=_SCHEDULE,
        ),
    ] = False,
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps, instead of epochs.", rich_help_panel=_SCHEDULE)
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Passes over the training data.", rich_help_panel=_SCHEDULE)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Batch size: examples per step.", rich_help_panel=_SCHEDULE)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="At the end of the warm-up.", rich_help_panel=_SCHEDULE)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of items, order and first weights.", rich_help_panel=_SCHEDULE)
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="So many runs, with this seed and the next ones, each in a folder seed-N of --out.",
            rich_help_panel=_SCHEDULE,
        ),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any field of the recipe, e.g. --set rank=4; repeatable.",
            rich_help_panel=_SCHEDULE,
        ),
    ] = None,
    as_published: Annotated[
        str | None,
        typer.Option(
            help="Fields to take as published where a paper and its code disagree: names with commas, or all "
            "(`latentlang recipes NAME` has them under as_published).",
            rich_help_panel=_SCHEDULE,
        ),
    ] = None,
    gradient_checkpointing: Annotated[
        bool | None,
        typer.Option(
            "--gradient-checkpointing/--no-gradient-checkpointing",
            help="Less memory, more time; by default for large models.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    report_to: Annotated[
        str,
        typer.Option(
            help="Tell the losses to wandb or tensorboard too, or to both: wandb,tensorboard.",
            rich_help_panel=_MACHINE,
        ),
    ] = "none",
    deepspeed: Annotated[
        Path | None,
        typer.Option(
            help="Config of DeepSpeed (JSON), handed on as it is; never tried here.", rich_help_panel=_MACHINE
        ),
    ] = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with the same run where the folder has one, or start anew.",
            rich_help_panel=_MACHINE,
        ),
    ] = True,
    keep_checkpoints: Annotated[
        bool,
        typer.Option(
            "--keep-checkpoints", help="Leave the best and the last one there.", rich_help_panel=_MACHINE
        ),
    ] = False,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Train a LoRA on translated questions, without any answers, so that languages come closer together.

    Or on other training data, such as instructions, by a recipe whose data.kind says so. A run that was stopped goes on
    when the same command is given again. On several GPUs: accelerate launch -m latentlang train ... With --set
    method=full all weights are trained. Writes the adapter or the model, result.parquet, metadata.json, recipe.yaml,
    data.parquet, loss.html and a model card, README.md.
    """
    from latentlang.cli.console import echo_json, output, say
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.cli.records import result_record
    from latentlang.training import recipe_for, training_data
    from latentlang.training.devices import (
        check_deepspeed,
        check_precision,
        check_quantization,
        check_reports,
        processes,
    )
    from latentlang.training.full import check_method

    changes: dict[str, Any] = {
        "task": task, "per_pair": per_pair, "wrong_pairs": wrong_pairs or None, "steps": steps, "epochs": epochs,
        "batch": batch, "learning_rate": learning_rate, "seed": seed,
    }  # fmt: skip
    changes = {name: value for name, value in changes.items() if value is not None} | options.assigned(
        change or []
    )
    # Everything that can be wrong and is cheap to see comes before the model.
    chosen = recipe_for(model, recipe, changes, as_published=as_published)
    check_count("seeds", seeds, least=1)
    if export is not None and seeds is not None:
        raise InputError("--seeds trains, and --export trains nothing; give one of them")
    if export is not None:
        return _export(chosen, export, data)
    if out is None:
        raise InputError(f"say where the {'model' if chosen.method == 'full' else 'adapter'} goes: --out DIR")
    info = loading.resolve(model)
    check_precision(loading.dtype)
    check_quantization(loading.quantization)
    check_reports(report_to)
    check_deepspeed(deepspeed)
    check_method(
        chosen,
        model,
        quantization=loading.quantization,
        device=loading.device,
        processes=processes(),
        checkpointing=gradient_checkpointing,
    )
    is_main = processes().is_main
    runs = _runs(chosen, Path(out), seeds)
    results: list[TrainingResult] = []
    records: list[dict[str, Any]] = []
    for one, path in runs:
        examples = None if one.is_identity else training_data(one, data=data)
        folder = OutputFolder(path, pages=pages)
        if is_main:
            say(f"loading {info.name}{'' if seeds is None else f' for seed {one.schedule.seed}'}")
        result, written = _trained(
            model, one, folder, examples=examples, resume=resume, gradient_checkpointing=gradient_checkpointing,
            keep_checkpoints=keep_checkpoints, report_to=report_to, deepspeed=deepspeed, is_main=is_main,
            **loading.named(),
        )  # fmt: skip
        results.append(result)
        records.append(result_record(result, written))
        if is_main and not pages.as_json:
            _say_result(result, written, model=model)
    if not is_main:
        return None
    if pages.as_json:
        return echo_json(records[0] if seeds is None else records)
    if seeds is not None:
        for line in seed_lines(results):
            output().print(line, soft_wrap=True)
    return None


def _runs(chosen: Recipe, out: Path, seeds: int | None) -> list[tuple[Recipe, Path]]:
    """The recipe of each run and its folder."""
    if seeds is None:
        return [(chosen, out)]
    first = chosen.schedule.seed
    return [(chosen.changed(seed=seed), out / f"seed-{seed}") for seed in range(first, first + seeds)]


def _trained(
    model: str,
    chosen: Recipe,
    folder: OutputFolder,
    *,
    examples: TrainingData[Any] | None,
    is_main: bool,
    **options: Any,
) -> tuple[TrainingResult, list[Path]]:
    """Run one recipe, and write its page; what is there when somebody interrupts it is said."""
    from rich.console import Console

    from latentlang.cli.console import passing
    from latentlang.cli.loss_display import LossDisplay
    from latentlang.training import train as run_training
    from latentlang.training.devices import check_packages, processes

    total = None
    if examples is not None:
        check_packages()
        from latentlang.training.trainer import plan_steps

        # before the tokens are known; examples that turn out too long may make it fewer
        total = plan_steps(chosen, len(examples.train), processes()).steps

    # Of several processes one speaks.
    screen = passing() if is_main else Console(quiet=True, force_terminal=False)
    try:
        with LossDisplay(f"training {chosen.name}", console=screen, total=total) as display:
            result = run_training(model, chosen, out=folder.path, data=examples, progress=display, **options)
        return result, _written(result, folder) if is_main else []
    except KeyboardInterrupt:
        raise CommandInterrupt(_kept(folder.path)) from None
    finally:
        folder.leave_nothing_empty()


def _say_result(result: TrainingResult, written: Sequence[Path], *, model: str) -> None:
    from latentlang.cli.console import output, print_next

    console = output()
    for line in summary_lines(result):
        console.print(line)
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True)
    adapters = [path.parent for path in written if path.name == "adapter_model.safetensors"]
    for folder in adapters:
        print_next(
            console,
            "compare",
            "--model",
            model,
            "--adapter",
            folder,
            "--out",
            folder.with_name(f"{folder.name}-compared"),
        )


def seed_lines(results: Sequence[TrainingResult]) -> list[str]:
    """The losses of runs that differ in their seed: a table, with mean and standard deviation."""
    lines = ["", f"{'seed':>6}  {'before':>8}  {'kept':>8}  {'step':>6}   validation loss, nats per token"]
    for result in results:
        losses = "  ".join(
            f"{'-' if loss is None else f'{loss:.3f}':>8}" for loss in (result.base_loss, result.best_loss)
        )
        lines.append(f"{result.provenance.seed:>6}  {losses}  {result.best_step or 0:>6}")
    kept = [result.best_loss for result in results if result.best_loss is not None]
    if len(kept) > 1:
        lines.append(
            f"kept: mean {statistics.mean(kept):.3f}, standard deviation {statistics.stdev(kept):.3f} over "
            f"{counted(len(kept), 'seed')}; each seed holds other items out"
        )
    return lines


def summary_lines(result: TrainingResult) -> list[str]:
    """What a run came to, in a few lines."""
    provenance, settings = result.provenance, result.settings
    name = result.recipe["name"]
    if result.folder is None:
        return [f"{provenance.model}: {name} trains nothing; the record says so to whatever compares it"]
    learnt, held = (sum(counts[index] for counts in settings.pairs.values()) for index in (0, 1))
    words = result.words
    trained = (
        f"all {settings.parameters:,} weights trained"
        if result.checkpoint is not None and settings.trainable == settings.parameters
        else f"{settings.trainable:,} of {settings.parameters:,} weights trained"
        if result.checkpoint is not None
        else f"{settings.trainable:,} weights trained beside {settings.parameters:,}"
    )
    lines = [
        f"{provenance.model}: {name}, {words.about}: {counted(learnt, words.noun)} to learn from, {held:,} held out; "
        f"{trained}"
    ]
    base, best = result.base_loss, result.best_loss
    if best is not None:
        before = "" if base is None else f"{base:.3f} before training, "
        lines.append(
            f"validation loss (nats per token): {before}{best:.3f} at step {result.best_step} of {settings.steps}, "
            "which is kept"
        )
    lines.append(f"time: {settings.seconds:.0f} s")
    return [*lines, *(f"note: {note}" for note in result.notes)]


def _written(result: TrainingResult, folder: OutputFolder) -> list[Path]:
    names = ["result.parquet", "metadata.json", "recipe.yaml"]
    if result.folder is None:
        return [folder.path / name for name in names]
    title = f"{result.provenance.model}: training {result.recipe['name']}"
    folder.page(result.figure(), "loss.html", title=title)
    weights = [name for name in result.settings.files or () if name.endswith(".safetensors")]
    return [folder.path / name for name in (*weights, *names, "data.parquet", "README.md")] + folder.files


def _kept(folder: Path) -> str:
    from latentlang.training.run_folder import finished, last_checkpoint, step_of

    if (result := finished(folder)) is not None:
        what = "adapter" if result.checkpoint is None else "model"
        return f"interrupted; the training was finished, and its {what} and record are in {folder}"
    checkpoint = last_checkpoint(folder)
    if checkpoint is None:
        return "interrupted before the first checkpoint; the same command begins again"
    return (
        f"interrupted; the checkpoint of step {step_of(checkpoint)} is kept in {folder}: the same command goes on from "
        "it"
    )


def _export(chosen: Recipe, folder: Path, data: Path | None) -> None:
    from latentlang.cli.console import output
    from latentlang.training import training_data

    examples = training_data(chosen, data=data)
    console = output()
    for note in examples.notes:
        console.print(f"note: {note}")
    for path in chosen.data.export(examples, folder, layout="llama-factory"):
        console.print(f"wrote {path}", soft_wrap=True)
