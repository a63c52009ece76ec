"""``latentlang trace``: in which language a model writes, token by token, and where it slips into another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.causal import TraceResult

_EDITS = "edits.parquet"
# Prompts that have a page of their own.
_MOST_PAGES = 12


def trace(
    context: typer.Context,
    lang: Annotated[
        list[str],
        typer.Option(
            help="Languages that the model might write, two or more: codes (en,ja) or a group (paper20); repeatable."
        ),
    ],
    prompt: Annotated[
        list[str] | None, typer.Option(help="Text that the model goes on from; repeatable.")
    ] = None,
    asked: Annotated[
        str | None,
        typer.Option(help="Language that the text should be in; by default whether it stays in its own."),
    ] = None,
    model: options.Model = defaults.MODEL,
    task: Annotated[
        str | None, typer.Option(help="Prompts of this task (`latentlang tasks`), asked in --asked.")
    ] = None,
    data: options.Data = None,
    items: options.Items = None,
    shots: options.Shots = None,
    chat: options.Chat = False,
    tokens: Annotated[int, typer.Option("--new-tokens", "--tokens", help="Tokens written at most.")] = 30,
    text: Annotated[
        Path | None,
        typer.Option(
            help="Parallel text that tells which tokens belong to which language: a folder, a file a language; udhr; "
            "or hub:flores. By default the embedded reviews and words, enough for languages of different scripts."
        ),
    ] = None,
    layers: options.LensLayers = "all",
    tuned: Annotated[
        Path | None, typer.Option(help="Folder of a tuned lens (`latentlang tune`) to read through.")
    ] = None,
    jacobian: options.Jacobian = None,
    draws: Annotated[
        int, typer.Option(help="Random changes that the one at the switch is held against; 0 for no changes.")
    ] = 20,
    seed: options.Seed = defaults.SEED,
    out: options.Out = None,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Trace in which language a model writes, and where and from which layer on it slips into another.

    Writes result.parquet, edits.parquet, metadata.json and trace.html (an interactive figure; trace-2.html and so on
    for more prompts) into the output folder.
    """
    from latentlang.arguments import check_count
    from latentlang.causal.tracing import check_prompts, trace_languages
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.language_names import language
    from latentlang.tasks import Prompt
    from latentlang.tasks.shared_texts import language_texts

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    check_count("--new-tokens", tokens, least=1)
    check_count("--draws", draws, least=0)
    numbers = options.layer_numbers(layers)
    fitted = options.one_lens(tuned, jacobian)
    codes = trace_languages(lang, None)
    wanted = None if asked is None else language(asked).code
    if wanted is not None and wanted not in codes:
        raise InputError(
            f"--asked {asked} is not among the languages told apart ({', '.join(codes)}); add it to --lang"
        )
    texts = None if text is None else str(text)
    language_texts(texts, languages=codes)
    prompts: list[str | Prompt] = list(prompt or [])
    built = None
    if chat and task is None:
        raise InputError(
            "--chat asks a --task as in a chat; leave it out with --prompt, and write the turns out"
        )
    if task is not None:
        if prompts:
            raise InputError("--prompt is a text of your own and --task gives others; leave out one of them")
        if wanted is None:
            raise InputError("--task needs the language to ask in, e.g. --asked ja")
        built = options.built_task(task, [wanted], source=None, data=data, answers=None, accept=None)
        options.counted_prompts(built, [wanted], items=items, shots=shots, seed=seed)
        prompts += built.prompts(wanted, items=items, shots=shots, seed=seed)
    elif data is not None or items is not None or shots is not None:
        raise InputError(
            "--data, --items and --shots are for the prompts of a --task; leave them out with --prompt"
        )
    if not prompts:
        raise InputError("give a text to go on from with --prompt, or a --task")
    check_prompts(prompts)
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, lang=lang, asked=asked, data=data, items=items, shots=shots, tokens=tokens, text=text, layers=layers,
        tuned=tuned, jacobian=jacobian, draws=draws, seed=seed, chat="turns" if chat else None,
    )  # fmt: skip
    named = task or hashlib.sha256("\0".join(map(str, prompts)).encode()).hexdigest()[:8]
    names = [
        "trace.html",
        *(f"trace-{number}.html" for number in range(2, min(len(prompts), _MOST_PAGES) + 1)),
    ]
    with OutputFolder(
        out or run_folder("trace", [model_part(info.name), adapter or "", named], asked_for),
        Claim("trace", (TABLE, _EDITS, *names)),
        pages=pages,
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.causal import trace as run_trace

        loaded = loading.load(model, adapter=adapter)
        if chat and built is not None and wanted is not None:
            # the same items; the template is the tokenizer's
            prompts = list(loaded.chat(built).prompts(wanted, items=items, shots=shots, seed=seed))
        with Progress("tracing", total=len(prompts), rate="prompts") as progress:
            result = run_trace(
                loaded, prompts, languages=codes, asked=wanted, tokens=tokens, texts=texts, layers=numbers, lens=fitted,
                draws=draws, seed=seed, batch_tokens=batch_tokens, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result, others=[_EDITS])
        for number, name in enumerate(names):
            if len(result.tokens(number)):
                title = f"{info.name}: which language each layer would write"
                folder.page(result.figure(number), name, title=title)
            else:
                folder.no_page(name, f"nothing was written for prompt {number + 1}")
        if len(prompts) > len(names):
            folder.no_page(
                f"trace-{len(names) + 1}.html and later",
                f"the first {len(names)} of {len(prompts)} prompts have a page; result.parquet holds all",
            )
        folder.print_result(result, _print_texts)


def _print_texts(result: TraceResult, console: Console) -> None:
    """The new tokens, each in the colour of its language, and what was found in words."""
    from rich.text import Text

    provenance = result.provenance
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    colours = dict(
        zip(provenance.languages, ("cyan", "red", "green", "magenta", "yellow", "blue"), strict=False)
    )
    key = Text.assemble((named, "bold"), " · new tokens by language: ")
    for place, code in enumerate(provenance.languages):
        key.append(", " if place else "").append(code, style=colours.get(code, "bold"))
    console.print(key)
    summary = result.summary()
    for row in summary.head(_MOST_PAGES).to_dict("records"):
        line = Text(f"{row['prompt'] + 1}. " if len(summary) > 1 else "")
        for token in result.tokens(row["prompt"]).to_dict("records"):
            mark = "‖" if token["step"] == row["onset"] else ""
            style = colours.get(token["token_language"], "bold") if token["token_language"] else "dim"
            line.append(mark, style="bold").append(token["token"].replace("␣", " "), style=style)
        console.print(line)
    if len(summary) > _MOST_PAGES:
        console.print(f"... and {len(summary) - _MOST_PAGES} more", style="dim")
    console.print()
    console.print(result.describe())
