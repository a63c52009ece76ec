"""``latentlang steer``: a language's direction is added while the model writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.causal import SteerResult

_PAGE = "steer.html"
_HEADS = {"language": "in it", "content": "content", "score": "both"}


def steer(
    context: typer.Context,
    lang: Annotated[str, typer.Option(help="Wanted language: a code or a name.")],
    model: options.Model = defaults.MODEL,
    task: Annotated[
        str,
        typer.Option(help="Word task: translation, repetition or cloze; with --text, text to go on with."),
    ] = defaults.LENS_TASK,
    asked: Annotated[
        str | None,
        typer.Option(help="Target language of the prompts; by default en, or de for en itself."),
    ] = None,
    source: options.Source = None,
    data: options.Data = None,
    text: Annotated[
        Path | None,
        typer.Option(
            help="Parallel text to go on with instead of words: a folder, a file a language; or udhr. Needs py3langid."
        ),
    ] = None,
    directions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `latentlang directions` on this model's activations; by default made of other items."
        ),
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(help="Language whose direction is a control; by default one drawn by the seed."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Layers to try: all, or numbers and ranges: 4,8-12; by default up to six."),
    ] = None,
    strengths: Annotated[
        str,
        typer.Option(help="Strengths to try: lengths of what is added, over the residual stream's."),
    ] = "0.1,0.25,0.5,1",
    positions: Annotated[
        str,
        typer.Option(help="new: where a new token is predicted from; all: at the prompt's tokens too."),
    ] = "new",
    how: Annotated[
        str,
        typer.Option(help="add: the direction is added; replace: in the place of what there was along it."),
    ] = "add",
    items: Annotated[
        int | None,
        typer.Option(help="Items in all: one half to choose on, the other to score on; by default 40."),
    ] = None,
    shots: options.Shots = None,
    new_tokens: Annotated[
        int | None,
        typer.Option(help="Tokens written at most; by default 12 for words and 48 for text."),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option(help="Sentence that asks for the wanted language in itself; known for 20 languages."),
    ] = None,
    seed: options.Seed = defaults.SEED,
    chat: options.Chat = False,
    out: options.Out = None,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Steer a model to a language while it writes, and measure what that is worth beside instructions and controls.

    Layer and strength are chosen on one half of the items and scored on the other. Writes result.parquet,
    metadata.json and steer.html (an interactive figure) into the output folder.
    """
    from latentlang.causal.steer_directions import open_directions
    from latentlang.causal.steer_languages import settle_languages
    from latentlang.causal.steer_plan import ITEMS
    from latentlang.causal.steering import check_grid
    from latentlang.cli.console import say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.language_names import language
    from latentlang.tasks import Task
    from latentlang.tasks import task as build_task

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    numbers = None if layers is None else options.layer_numbers(layers)
    grid = check_grid(
        _numbers(strengths), positions=positions, how=how, items=ITEMS if items is None else items,
        new_tokens=new_tokens, seed=seed,
    )  # fmt: skip
    if "," in lang:
        raise InputError(f"--lang takes one language, not {lang!r}; run the command once for each")
    language(lang)
    built: str | Task = task
    if text is not None:
        if task != defaults.LENS_TASK or data is not None or source is not None:
            raise InputError("--text is text to go on with; leave out --task, --data and --from")
        built = build_task("continuation", data=text)
    elif task != "translation" or data is not None or source is not None:
        wanted = [language(lang).code]
        built = options.built_task(task, wanted, source=source, data=data, answers=None, accept=None)
    settled = settle_languages(built, lang, asked)
    if not settled.words:
        settled.identifier()
    if other is not None:
        language(other)
    opened = None if directions is None else open_directions(directions)
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, asked=asked, source=source, data=data, text=text, directions=directions, other=other, layers=layers,
        strengths=strengths, positions=positions, how=how, items=items, shots=shots, new_tokens=new_tokens,
        instruction=instruction, seed=seed, chat=chat,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", settled.task.name, settled.wanted]
    with OutputFolder(
        out or run_folder("steer", parts, asked_for), Claim("steer", (TABLE, _PAGE)), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.causal import steer as run_steer
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        asked_task = loaded.chat(settled.task) if chat else settled.task
        unfinished = folder.unfinished
        with keeping_parts(unfinished, "what was written"):
            result = run_steer(
                loaded, asked_task, language=lang, asked=asked, other=other, directions=opened, layers=numbers,
                strengths=grid, positions=positions, how=how, items=ITEMS if items is None else items, shots=shots,
                instruction=instruction, new_tokens=new_tokens, seed=seed, batch_tokens=batch_tokens,
                resume=unfinished,
            )  # fmt: skip
        folder.save(result)
        forget(unfinished)
        options.note_fewer(
            items,
            {result.settings.asked: result.settings.items_choice + result.settings.items_scored},
            why="others are kept to make directions of, or cannot be told apart in the two languages",
        )
        folder.page(result.figure(), _PAGE, title=f"{info.name} steered to {language(lang).name}")
        folder.print_result(result, _print_table)


def _numbers(text: str) -> list[float]:
    """Strengths from ``0.5,1``.

    Raises:
        InputError: one is no number.
    """
    numbers = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            numbers.append(float(part))
        except ValueError as error:
            raise InputError(f"--strengths {text!r}: {part!r} is no number; give such as 0.5,1,2") from error
    return numbers


def _print_table(result: SteerResult, console: Console) -> None:
    """A row for each arm on the items that were scored, and what they tell."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.language_names import language
    from latentlang.text import STEER_ARMS

    made, settings = result.provenance, result.settings
    named = f"{made.model} + {made.adapter}" if made.adapter else made.model
    head = (
        f" · {made.task} · steered from {language(settings.asked).name} to {language(settings.wanted).name}"
    )
    console.print(Text.assemble((named, "bold"), f"{head} · seed {made.seed}"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for words in _HEADS.values():
        table.add_column(words, justify="right")
    table.add_column("interval")
    for row in result.summary().to_dict("records"):
        cells = [f"{row[name]:.2f}" for name in _HEADS]
        style = None if row["arm"] == "steered" else "dim"
        interval = f"{row['score_low']:.2f} to {row['score_high']:.2f}"
        table.add_row(STEER_ARMS[str(row["arm"])], *cells, interval, style=style)
    console.print(table)
    console.print()
    console.print(result.describe())
