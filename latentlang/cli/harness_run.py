"""``latentlang evaluate --harness``: tasks of lm-eval, with the tables and figures of every evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.cli import options
from latentlang.cli.evaluation_table import evaluation_lines, evaluation_record
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from latentlang.models import HookedLM, ModelInfo


def harness_run(
    info: ModelInfo,
    load: Callable[[], HookedLM],
    names: str,
    *,
    include: Path | None,
    codes: Sequence[str] | None,
    items: int | None,
    shots: int | None,
    seed: int,
    states: Sequence[str],
    seen_languages: Sequence[str],
    batch_tokens: int | None,
    out: Path | None,
    pages: options.PageOptions,
    about: Sequence[str],
    asked_for: Mapping[str, str],
) -> None:
    """Run lm-eval's tasks, save one result of all of them and print a table per task.

    Args:
        info: the model.
        load: loads it, with its adapter.
        names: of the tasks.
        include: folder of further tasks.
        codes: the language of tasks whose names say none.
        items: as of `evaluate_harness`.
        shots: as of `evaluate_harness`.
        seed: as of `evaluate_harness`.
        states: as of `evaluate_harness`.
        seen_languages: as of `evaluate_harness`.
        batch_tokens: as of `evaluate_harness`.
        out: where to.
        pages: how pages are written.
        about: what the default folder's name says beside the model.
        asked_for: options that it says.

    Raises:
        InputError: several languages, or as of `evaluate_harness`.
    """
    from latentlang.cli.console import echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_parts

    if codes is not None and len(codes) > 1:
        raise InputError(
            "with --harness, --lang is the one language of tasks whose names say none; name a task per language, such "
            "as xcopa_it,xcopa_sw"
        )
    folder = OutputFolder(
        out or run_folder("evaluate", [model_part(info.name), *about], asked_for),
        Claim("evaluation", (TABLE, "accuracy.html")),
        pages=pages,
    )
    with folder:
        say(f"loading {info.name}")
        from latentlang.evaluation import evaluate_harness
        from latentlang.models.finished_languages import forget

        loaded = load()
        unfinished = folder.unfinished
        with keeping_parts(unfinished, "what was answered"):
            result = evaluate_harness(
                loaded,
                names,
                include=include,
                language=codes[0] if codes else None,
                items=items,
                shots=shots,
                seed=seed,
                states=states,
                seen_languages=seen_languages or None,
                batch_tokens=batch_tokens,
                resume=unfinished,
            )
        folder.save(result)
        forget(unfinished)
        folder.page(
            result.figure(),
            "accuracy.html",
            title=f"{result.provenance.model}: accuracy, {', '.join(result.tasks)}",
        )
        if pages.as_json:
            return echo_json([evaluation_record(result.of(name)) for name in result.tasks])
        console = output()
        for name in result.tasks:
            for line in evaluation_lines(result.of(name), width=console.width):
                console.print(line)
        folder.print_files(console)
