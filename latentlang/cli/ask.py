"""``latentlang ask``: how many questions a model answers rightly, and how likely it holds the right answer to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.arguments import check_count
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.questions import QuestionResult

_PAGE = "questions.html"


def ask(
    context: typer.Context,
    task: Annotated[str, typer.Option(help="xquad, tydiqa or mgsm; HumanEval has a command of its own.")],
    data: Annotated[
        list[Path],
        typer.Option(
            help="The benchmark's files, or a folder of them: SQuAD's JSON (xquad.es.json), JSON lines, or MGSM's TSV; "
            "repeatable."
        ),
    ],
    lang: Annotated[
        list[str] | None,
        typer.Option(help="Languages: codes (ja or ja,hi); repeatable; by default all in the files."),
    ] = None,
    file_lang: Annotated[
        str | None, typer.Option(help="Language of a file whose name and ids do not say it.")
    ] = None,
    model: options.Model = defaults.MODEL,
    adapter: Annotated[
        str | None, typer.Option(help="LoRA adapter: asks the model without it and with it.")
    ] = None,
    states: options.States = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="Answers that were written before: JSON lines with item, answer and language; only --model gives "
            "probabilities then."
        ),
    ] = None,
    items: options.Items = None,
    shots: options.Shots = None,
    new_tokens: Annotated[
        int | None, typer.Option(help="Tokens written at most; by default what suits the task.")
    ] = None,
    how: Annotated[str, typer.Option(help="greedy, or sample: answers are drawn.")] = "greedy",
    samples: Annotated[
        int, typer.Option(help="With --how sample: answers to each question; what most of them say counts.")
    ] = 1,
    temperature: options.Temperature = 1.0,
    top_p: options.TopP = None,
    chat: options.ChatTemplate = False,
    steps: Annotated[
        str | None,
        typer.Option(
            help="Of mgsm: let sums be worked out first, and read the result: corrected, or as-published."
        ),
    ] = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option(
            help="With --steps: JSON lines with question, answer (steps and result) and language; repeatable."
        ),
    ] = None,
    seed: options.Seed = defaults.SEED,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Let a model answer questions: exact match, F1, include or the last number, beside what chance would get.

    Beside them stands the probability of the reference answer, which tells models apart that get nothing right. Writes
    result.parquet, metadata.json and questions.html. Each answer is kept once written: a command that was stopped goes
    on when it is given again.
    """
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.models.decoding import Decoding
    from latentlang.questions import read_questions
    from latentlang.questions.question_sets import QUESTION_TASKS
    from latentlang.questions.worked_steps import check_steps

    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    check_count("--new-tokens", new_tokens, least=1)
    options.asked_states(adapter, states)
    source = context.get_parameter_source("model")
    asked = answers is None or adapter is not None or (source is not None and source.name != "DEFAULT")
    check_count("--samples", samples, least=1)
    decoding = Decoding(how=how, samples=samples, temperature=temperature, top_p=top_p, seed=seed)  # type: ignore[arg-type]
    if answers is not None and (chat or how != "greedy"):
        raise InputError("answers of a file are not written anew; leave --chat and --how out, or --answers")
    questions = read_questions(data, task=task, languages=lang, language=file_lang)
    check_steps(steps, task=task, number=QUESTION_TASKS[task].number, codes=questions.languages)
    if examples and steps is None:
        raise InputError("--examples are examples with steps; say how these are read: --steps corrected")
    info = loading.resolve(model) if asked else None
    asked_for = options.asked_for(
        context,
        lang=lang,
        answers=answers,
        items=items,
        shots=shots,
        new_tokens=new_tokens,
        states=states,
        seed=seed,
        how=how,
        samples=samples,
        temperature=temperature,
        top_p=top_p,
        chat="turns" if chat else None,
        steps=steps,
        examples=examples,
    )
    parts = [model_part(info.name) if info else "answers", adapter or "", task]
    claim = Claim("questions", (TABLE, _PAGE))
    with OutputFolder(out or run_folder("ask", parts, asked_for), claim, pages=pages) as folder:
        if info is not None:
            say(f"loading {info.name}")
        from latentlang.models.finished_languages import forget
        from latentlang.questions import ask as put

        loaded = loading.load(model, adapter=adapter) if asked else None
        unfinished = folder.unfinished
        with (
            keeping_parts(unfinished, "what was written"),
            Progress("asking") as progress,
        ):
            result = put(
                loaded,
                questions,
                items=items,
                shots=shots,
                new_tokens=new_tokens,
                answers=answers,
                decoding=None if answers else decoding,
                chat=chat,
                steps=steps,
                examples=examples,
                states=states,
                seed=seed,
                batch_tokens=batch_tokens,
                resume=None if answers else unfinished,
                progress=progress.after(0),
            )
        folder.save(result)
        forget(unfinished)
        folder.page(result.figure(), _PAGE, title=f"{result.provenance.model}: {task}")
        folder.print_result(result, _print_table, options.print_description)


def _print_table(result: QuestionResult, console: Console) -> None:
    """A row a language and state; what another question's answer gets is beside each score."""
    from rich.table import Table

    from latentlang.language_names import language

    table = Table(box=None, pad_edge=False, header_style="bold")
    several = len(result.states) > 1
    columns = [
        ("exact", "right", "null_exact"),
        ("f1", "F1", "null_f1"),
        ("include", "include", "null_include"),
        ("log_prob_per_byte", "log p per byte", "null_log_prob_per_byte"),
    ]
    summary = result.summary()
    columns = [column for column in columns if summary[column[0]].notna().any()]
    for head in ("language", *(["state"] if several else []), "n"):
        table.add_column(head, justify="left" if head in ("language", "state") else "right", no_wrap=True)
    for _name, head, _null in columns:
        table.add_column(head, justify="right", no_wrap=True)
        table.add_column("null", justify="right", no_wrap=True, style="dim")
    table.add_column("constant", justify="right", no_wrap=True, style="dim")
    for row in summary.to_dict("records"):
        scores = [f"{row[name]:.3f}" for column in columns for name in (column[0], column[2])]
        state = [str(row["state"])] if several else []
        table.add_row(
            language(str(row["language"])).name, *state, str(row["n"]), *scores, f"{row['constant']:.3f}"
        )
    console.print(table)
    console.print()
