"""``latentlang evaluate``: how often a model chooses the right label, per language, before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.arguments import split_names
from latentlang.cli import options
from latentlang.cli.cluster_options import ClusterOptions
from latentlang.cli.evaluation_table import evaluation_lines, evaluation_record
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.cli.harness_run import harness_run
from latentlang.cli.unfinished import keeping_languages
from latentlang.errors import InputError, unknown
from latentlang.storage.output import TABLE
from latentlang.tasks import TASKS, closed_tasks

if TYPE_CHECKING:
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.evaluation import EvaluationResult


def evaluate(
    context: typer.Context,
    task: Annotated[
        str,
        typer.Option(
            help=f"Tasks with labels to choose between, one or several: {', '.join(closed_tasks())}."
        ),
    ] = defaults.TASK,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages: codes (ja or ja,hi) or a group (paper20); repeatable; by default all a task has."
        ),
    ] = None,
    model: options.Model = defaults.MODEL,
    adapter: Annotated[
        str | None, typer.Option(help="LoRA adapter: evaluates the model without it and with it.")
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            help="Words for the labels: same (the language's own, default), en, or agnostic (ox, horse)."
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(
            help="What is compared: first-tokens (as in the paper; the default of labels), sequence (whole answers; "
            "the default of candidates per item), sequence-per-byte or sequence-per-token."
        ),
    ] = None,
    items: options.Items = None,
    shots: options.Shots = None,
    seed: options.Seed = defaults.SEED,
    protocol: Annotated[
        str,
        typer.Option(
            help="corrected; as-published: the reference paper's sets and scorer, faults and all; or lm-eval: its "
            "prompts, of candidates per item."
        ),
    ] = defaults.PROTOCOL,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Files of the items: a folder in the paper's layout, or a published set's folder (xcopa, nusax...)."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Part of a published set: test (the default, where there is one), val..."),
    ] = None,
    harness: Annotated[
        str | None,
        typer.Option(help="Tasks of lm-eval instead, such as xcopa_it,xcopa_sw; needs the extra eval."),
    ] = None,
    include: Annotated[
        Path | None,
        typer.Option(help="With --harness: folder of lm-eval tasks of your own (YAML; may run Python)."),
    ] = None,
    accept: options.Accept = None,
    states: options.States = None,
    seen_languages: Annotated[
        list[str] | None,
        typer.Option(
            "--seen", help="Languages that the adapter was trained on; by default what its folder says."
        ),
    ] = None,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
    spread: ClusterOptions = ClusterOptions(),  # noqa: B008
) -> None:
    """Let a model choose between labels, in many languages; with an adapter, before and after, on the same items.

    Writes a folder per task with result.parquet, metadata.json and accuracy.html. Each language is kept once done: a
    command that was stopped goes on when it is given again.
    """
    from latentlang.cli.console import Progress, echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.language_names import languages
    from latentlang.tasks import task as build_task

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    spread.check()
    _check_alone(context, harness, include)
    codes = [entry.code for entry in languages(lang)] if lang else None
    trained = _seen(adapter, seen_languages)
    state_names = options.asked_states(adapter, states)
    if harness is not None:
        asked_for = options.asked_for(
            context,
            harness=harness,
            include=include,
            items=items,
            shots=shots,
            seed=seed,
            states=states,
            seen_languages=seen_languages,
        )
        return harness_run(
            loading.resolve(model),
            lambda: loading.load(model, adapter=adapter),
            harness,
            include=include,
            codes=codes,
            items=items,
            shots=shots,
            seed=seed,
            states=state_names,
            seen_languages=trained,
            batch_tokens=batch_tokens,
            out=out,
            pages=pages,
            about=[adapter or ""],
            asked_for=asked_for,
        )
    # a task need not have a protocol to choose
    how: dict[str, Any] = {} if protocol == "corrected" else {"protocol": protocol}
    how |= {
        key: value
        for key, value in (("data", data), ("split", split), ("answers", answers))
        if value is not None
    }
    if (called := options.accepted(accept, data)) is not None:
        how["accept"] = called
    names = split_names(task)
    _check_closed(names)
    tasks = [build_task(name, **how) for name in names]
    count = sum(
        sum(
            options.counted_prompts(
                built, codes or built.languages, items=items, shots=shots, seed=seed
            ).values()
        )
        for built in tasks
    )
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, answers=answers, score=score, items=items, shots=shots, seed=seed, protocol=protocol, data=data,
        split=split, accept=accept, states=states, seen_languages=seen_languages, chat="turns" if chat else None,
    )  # fmt: skip
    about = [model_part(info.name), adapter or "", *names, *(lang or [])]
    folder = OutputFolder(
        out or run_folder("evaluate", about, asked_for),
        *(Claim("evaluation", (TABLE, "accuracy.html"), name) for name in names),
        pages=pages,
    )
    with folder:
        from latentlang.evaluation import SCORES
        from latentlang.evaluation import evaluate as run
        from latentlang.models.finished_languages import finished_names, forget

        if score is not None and score not in SCORES:
            raise unknown("score", score, SCORES)
        kept: list[EvaluationResult] = []
        unfinished = folder.unfinished
        asked: dict[str, Any] = {
            "languages": codes, "score": score, "items": items, "shots": shots, "seed": seed, "protocol": protocol,
            "states": state_names, "seen_languages": trained or None, "share_prefix": share_prefix,
            "batch_tokens": batch_tokens,
        }  # fmt: skip

        def keep(result: EvaluationResult) -> None:
            kept[:] = [result]
            folder.save(result.of(result.tasks[-1]), result.tasks[-1])

        every = list(dict.fromkeys(code for built in tasks for code in codes or built.languages))
        with keeping_languages(unfinished, every):
            spread.fill(
                "evaluate", {"task": tasks, **asked}, unfinished, out=folder.path, model=model, loading=loading,
                adapter=adapter, chat=chat,
            )  # fmt: skip
        say(f"loading {info.name}")
        try:
            loaded = loading.load(model, adapter=adapter)
            tasks = [loaded.chat(built) for built in tasks] if chat else tasks
            with Progress("evaluating", total=count * len(state_names)) as progress:
                result = run(
                    loaded, tasks, **asked, progress=progress.after(0), keep=keep, resume=unfinished,
                )  # fmt: skip
        except BaseException as error:
            if not finished_names(unfinished):
                forget(unfinished)
            if isinstance(error, KeyboardInterrupt):
                raise CommandInterrupt(_what_was_kept(folder, kept)) from None
            raise
        for name in result.tasks:
            task_result = result.of(name)
            folder.save(task_result, name)
            title = f"{task_result.provenance.model}: accuracy, {name}"
            folder.page(task_result.figure(), f"{name}/accuracy.html", title=title)
        forget(unfinished)
        if pages.as_json:
            records = [evaluation_record(result.of(name)) for name in result.tasks]
            return echo_json(records)
        console = output()
        for name in result.tasks:
            for line in evaluation_lines(result.of(name), width=console.width):
                console.print(line)
        folder.print_files(console)


_WITHOUT_HARNESS = ("task", "answers", "score", "protocol", "data", "split", "accept", "chat", "cluster")


def _check_alone(context: typer.Context, harness: str | None, include: Path | None) -> None:
    """Refuse options that lm-eval's tasks settle themselves, and such as only they have.

    Raises:
        InputError: naming the first of them.
    """
    if harness is None:
        if include is not None:
            raise InputError("--include adds tasks to --harness; give their names there")
        return
    for name in _WITHOUT_HARNESS:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise InputError(
                f"--harness runs lm-eval's tasks as they are, which take no --{name}; leave one out"
            )


def _seen(adapter: str | None, given: Sequence[str] | None) -> list[str]:
    """The languages that an adapter was trained on: as the user says, or as its own folder does."""
    if adapter is None and not given:
        return []
    from latentlang.comparison.training_record import trained_on

    return list(trained_on(adapter, given or None).languages)


def _check_closed(names: Sequence[str]) -> None:
    closed = closed_tasks()
    if not names:
        raise InputError(f"no task named; give --task {','.join(closed)}")
    for name in names:
        if name in closed:
            continue
        if name in TASKS:
            raise InputError(
                f"the {name} task has no labels to choose between; --task takes {', '.join(closed)}"
            )
        raise unknown("task", name, closed, hint="`latentlang tasks` lists them")


def _what_was_kept(folder: OutputFolder, kept: Sequence[EvaluationResult]) -> str:
    """For the line that ends an interrupted command; what was being written when it was stopped is written anew."""
    if not kept:
        return "interrupted; nothing was written"
    result = kept[-1]
    last = result.of(result.tasks[-1])
    last.save(folder.path / last.provenance.task)
    counts = []
    for name in result.tasks:
        n = len(result.of(name).languages)
        counts.append(f"{name} in {n} language{'s' * (n > 1)}")
    return f"interrupted; kept {', '.join(counts)} in {folder.path}: run the same command again to go on"
