"""``latentlang answer``: a model answers prompts, in many languages, without an adapter and with it."""

from __future__ import annotations

import hashlib
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

    from latentlang.generation import AnswerResult

_PAGE = "answers.html"
# Answers that are printed; all are in the table.
_MOST_SHOWN = 6


def answer(
    context: typer.Context,
    prompt: Annotated[list[str] | None, typer.Option(help="What is asked; repeatable.")] = None,
    prompts: Annotated[
        list[Path] | None,
        typer.Option(
            help="File or folder of prompts: .txt (one a line); .jsonl, .json, .csv, .tsv or .parquet with a field "
            "prompt (and id, language), or with instructions; repeatable."
        ),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(help="Language that answers should be in, where the prompts do not say it."),
    ] = None,
    model: options.Model = defaults.MODEL,
    adapter: Annotated[
        str | None, typer.Option(help="LoRA adapter: the model answers without it and with it.")
    ] = None,
    states: options.States = None,
    chat: options.ChatTemplate = False,
    template: Annotated[
        str | None,
        typer.Option(help="Prompt template: alpaca, bactrianx, ...; or a text with {instruction} in it."),
    ] = None,
    how: Annotated[str, typer.Option(help="greedy, sample or beam.")] = "greedy",
    new_tokens: Annotated[int, typer.Option(help="Tokens written at most.")] = 128,
    min_new_tokens: Annotated[int, typer.Option(help="Tokens before the text may end.")] = 0,
    stop: Annotated[
        list[str] | None, typer.Option(help="Text at which writing ends, and which is cut off; repeatable.")
    ] = None,
    samples: Annotated[int, typer.Option(help="With --how sample: answers to each prompt.")] = 1,
    temperature: options.Temperature = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="With --how sample: draw among so many of the likeliest tokens.")
    ] = None,
    top_p: options.TopP = None,
    beams: Annotated[int | None, typer.Option(help="With --how beam: how many; by default 5.")] = None,
    length_penalty: Annotated[
        float, typer.Option(help="With --how beam: power of the length that scores are divided by.")
    ] = 1.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="Divides the logits of tokens that are there already; 1 for nothing.")
    ] = 1.0,
    no_repeat_ngram: Annotated[
        int, typer.Option(help="Of so many tokens in a row none stands twice; 0 for no such rule.")
    ] = 0,
    force_no_repeat: Annotated[
        bool,
        typer.Option("--force-no-repeat", help="Keep to that rule where it breaks languages, as published."),
    ] = False,
    among: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages that answers may be in, to tell them apart; by default the target languages, and English."
        ),
    ] = None,
    seed: options.DrawSeed = defaults.SEED,
    out: options.Out = None,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Let a model answer prompts, and say in which languages the answers are and what ended them.

    Writes result.parquet, metadata.json and answers.html (an interactive figure) into the output folder. Each answer is
    kept once written: a command that was stopped goes on when it is given again.
    """
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.generation import Decoding, read_prompts
    from latentlang.generation.answer_prompts import AnswerPrompt, as_prompts
    from latentlang.language_names import language, languages

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=None, shots=None, seed=seed, batch_tokens=batch_tokens)
    for name, value, least in (
        ("--new-tokens", new_tokens, 1), ("--min-new-tokens", min_new_tokens, 0), ("--samples", samples, 1),
        ("--top-k", top_k, 1), ("--beams", beams, 1), ("--no-repeat-ngram", no_repeat_ngram, 0),
    ):  # fmt: skip
        check_count(name, value, least=least)
    decoding = Decoding(
        how=how, new_tokens=new_tokens, min_new_tokens=min_new_tokens, stop=tuple(stop or ()), samples=samples,  # type: ignore[arg-type]
        temperature=temperature, top_k=top_k, top_p=top_p, beams=beams, length_penalty=length_penalty,
        repetition_penalty=repetition_penalty, no_repeat_ngram=no_repeat_ngram, force_no_repeat=force_no_repeat,
        seed=seed,
    )  # fmt: skip
    code = None if lang is None else language(lang).code
    told = None if not among else [entry.code for entry in languages(among)]
    options.asked_states(adapter, states)
    if prompt and prompts:
        raise InputError("--prompt is a text of your own and --prompts names files; leave out one of them")
    if not prompt and not prompts:
        raise InputError("give what is asked with --prompt TEXT, or a file with --prompts FILE")
    listed: list[AnswerPrompt] = (
        read_prompts(prompts, language=code) if prompts else as_prompts(prompt or [], language=code)
    )
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, lang=lang, states=states, template=template, how=how, new_tokens=new_tokens,
        min_new_tokens=min_new_tokens, stop=stop, samples=samples, temperature=temperature, top_k=top_k, top_p=top_p,
        beams=beams, length_penalty=length_penalty, repetition_penalty=repetition_penalty,
        no_repeat_ngram=no_repeat_ngram, force_no_repeat=force_no_repeat, among=among, seed=seed,
        chat="turns" if chat else None,
    )  # fmt: skip
    digest = hashlib.sha256("\0".join(prompt or []).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    named = "-".join(path.name for path in prompts) if prompts else digest
    with OutputFolder(
        out or run_folder("answer", [model_part(info.name), adapter or "", named], asked_for),
        Claim("answers", (TABLE, _PAGE)),
        pages=pages,
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.figures.answers import answers_table
        from latentlang.generation import answer as run_answer
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        with (
            keeping_parts(unfinished, "what was written"),
            Progress("answering", rate="prompts") as progress,
        ):
            result = run_answer(
                loaded, listed, decoding=decoding, chat=chat, template=template, states=states, among=told,
                data=[str(path) for path in prompts] if prompts else None, batch_tokens=batch_tokens,
                resume=unfinished, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result)
        forget(unfinished)
        folder.page(
            result.figure(), _PAGE, title=f"{info.name}: answers", below=[answers_table(result.table)]
        )
        folder.print_result(result, _print_answers)


def _print_answers(result: AnswerResult, console: Console) -> None:
    """The first answers, a row for each language and state, and what they tell."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.language_names import language

    made = result.provenance
    named = f"{made.model} + {made.adapter}" if made.adapter else made.model
    console.print(Text.assemble((named, "bold"), f" · {result.settings.decoding.get('how', '')}"))
    for row in result.table.head(_MOST_SHOWN).to_dict("records"):
        _print_one(
            {str(name): value for name, value in row.items()},
            console,
            several=len(result.settings.states) > 1,
        )
    if len(result.table) > _MOST_SHOWN:
        console.print(Text(f"... and {len(result.table) - _MOST_SHOWN} more", style="dim"))
    console.print()
    summary = result.summary()
    table = Table(box=None, pad_edge=False, header_style="bold")
    several = len(set(summary["state"])) > 1
    heads = (
        "language", *(["state"] if several else []), "answers", "in it", "other", "undecided", "empty", "cut", "tokens",
    )  # fmt: skip
    for head in heads:
        table.add_column(head, justify="left" if head in ("language", "state") else "right", no_wrap=True)
    for row in summary.to_dict("records"):
        table.add_row(
            language(row["language"]).name if row["language"] else "not said",
            *([str(row["state"])] if several else []), str(row["answers"]),
            *(_share(row[name]) for name in ("in_language", "off_target", "undecided", "empty", "length")),
            f"{row['tokens']:g}",
        )  # fmt: skip
    console.print(table)
    console.print()
    console.print(result.describe())


def _print_one(row: dict[str, object], console: Console, *, several: bool) -> None:
    """One answer in one line, cut to the width."""
    from rich.text import Text

    from latentlang.printable import printable

    prompt, said = (" ".join(printable(str(row[name])).split()) for name in ("prompt", "answer"))
    half = max(console.width // 2 - 4, 20)
    line = Text(f"{row['state']} " if several else "", style="dim")
    line.append(prompt if len(prompt) <= half else f"...{prompt[3 - half :]}", style="dim").append(" ▸ ")
    line.append(said or "(nothing)", style="" if said else "dim")
    line.truncate(console.width, overflow="ellipsis")
    console.print(line, no_wrap=True, overflow="ellipsis")


def _share(value: float) -> str:
    return "" if value != value else f"{value:.0%}"
