"""``latentlang humaneval``: programs that a model writes, run in a sandbox, beside what the benchmark's own pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.arguments import check_count, parse_count, split_names
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.questions import CodeResult

_PAGE = "code.html"


def humaneval(
    context: typer.Context,
    data: Annotated[
        list[Path],
        typer.Option(
            help="Files in HumanEval's layout (humaneval_es.json), or a folder of them; repeatable."
        ),
    ],
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="Run programs, in processes without network, files and other processes; without it nothing is run.",
        ),
    ] = False,
    lang: Annotated[
        list[str] | None,
        typer.Option(help="Languages: codes (es or es,fr); repeatable; by default all in the files."),
    ] = None,
    file_lang: Annotated[
        str | None, typer.Option(help="Language of a file whose name does not say it.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Short name, Hugging Face id, folder or GGUF file; by default none: the benchmark's own solutions."
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="LoRA adapter: the model writes without it and with it.")
    ] = None,
    states: options.States = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="Programs that were written before: JSON lines with task_id, completion and language."
        ),
    ] = None,
    items: options.Items = None,
    samples: Annotated[int, typer.Option(help="Programs per problem; one is written greedily.")] = 1,
    k: Annotated[str, typer.Option(help="Of how many one has to pass, one or several: 1,5.")] = "1",
    temperature: Annotated[
        float, typer.Option(help="With several samples: what logits are divided by.")
    ] = 0.8,
    new_tokens: Annotated[int, typer.Option(help="Tokens of a program at most.")] = 300,
    seconds: Annotated[int, typer.Option(help="Processor time that a program may take.")] = 10,
    memory: Annotated[int, typer.Option(help="Megabytes that a program may take.")] = 1024,
    chat: options.ChatTemplate = False,
    seed: options.DrawSeed = defaults.SEED,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Let a model write functions, run them against their tests, and say pass@k beside the ceiling.

    The benchmark's own solutions are run first: behind a translated prompt not all of them pass. Needs Linux on x86-64;
    where the kernel cannot keep programs in, nothing is run. Writes result.parquet, metadata.json and code.html. Each
    program is kept once written: a command that was stopped goes on when it is given again.
    """
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.code_execution import Limits, check_sandbox
    from latentlang.questions import read_problems

    options.check_counts(items=items, shots=None, seed=seed, batch_tokens=batch_tokens)
    check_count("--samples", samples, least=1)
    check_count("--new-tokens", new_tokens, least=1)
    ks = [parse_count("--k", part, least=1) for part in split_names(k)]
    limits = Limits(seconds=seconds, wall_seconds=4 * seconds, memory=memory)
    if not allow_code:
        raise InputError(
            "programs are only run where that is allowed: add --allow-code (docs/howto/questions.md)"
        )
    if model is None and adapter is not None:
        raise InputError("an adapter is put on a model; give --model too")
    options.asked_states(adapter, states)
    writes = model is not None and answers is None
    if chat and not writes:
        raise InputError("no model writes anything here; leave --chat out, or give --model")
    problems = read_problems(data, languages=lang, language=file_lang)
    check_sandbox()
    info = None if model is None else loading.resolve(model)
    asked_for = options.asked_for(
        context,
        lang=lang,
        answers=answers,
        items=items,
        samples=samples,
        k=k,
        temperature=temperature,
        new_tokens=new_tokens,
        states=states,
        seconds=seconds,
        memory=memory,
        seed=seed,
        chat="turns" if chat else None,
    )
    what = model_part(info.name) if info else "answers" if answers else "canonical"
    claim = Claim("code", (TABLE, _PAGE))
    with OutputFolder(
        out or run_folder("humaneval", [what, adapter or "", *problems], asked_for), claim, pages=pages
    ) as folder:
        if info is not None:
            say(f"loading {info.name}")
        from latentlang.models.finished_languages import forget
        from latentlang.questions import humaneval as run

        loaded = None if model is None else loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        with (
            keeping_parts(unfinished, "what was written"),
            Progress("running programs") as progress,
        ):
            result = run(
                loaded,
                problems,
                allow_code=True,
                items=items,
                samples=samples,
                k=ks,
                temperature=temperature,
                new_tokens=new_tokens,
                answers=answers,
                states=states,
                limits=limits,
                chat=chat,
                seed=seed,
                batch_tokens=batch_tokens,
                resume=unfinished if writes else None,
                progress=progress.after(0),
            )
        folder.save(result)
        forget(unfinished)
        folder.page(result.figure(), _PAGE, title=f"{result.provenance.model}: HumanEval")
        folder.print_result(result, _print_table, options.print_description)


def _print_table(result: CodeResult, console: Console) -> None:
    """A row a language and state: pass@k beside the ceiling."""
    from rich.table import Table

    from latentlang.language_names import language

    summary = result.summary()
    scores = [name for name in summary.columns if name.startswith("pass@") and name.split("@")[1].isdigit()]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("language", "state", "problems", "programs", *scores, "ceiling"):
        table.add_column(head, justify="left" if head in ("language", "state") else "right", no_wrap=True)
    for row in summary.to_dict("records"):
        table.add_row(
            language(str(row["language"])).name,
            str(row["state"]),
            str(row["n"]),
            str(row["samples"]),
            *(f"{row[name]:.3f}" for name in scores),
            f"{row['ceiling']:.3f}",
        )
    console.print(table)
    console.print()
