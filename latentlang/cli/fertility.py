"""``latentlang fertility``: how many tokens a model's tokenizer takes for the same text in many languages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.answers import FertilityResult


#: In place of a language: each by itself.
NO_REFERENCE = "none"


def fertility(
    text: options.Text = Path("udhr"),
    model: Annotated[
        str,
        typer.Option(
            help="Short name (`latentlang models`), Hugging Face id or folder; its tokenizer alone is used."
        ),
    ] = "pocket",
    name: options.Name = None,
    lang: options.TextLanguages = None,
    reference: Annotated[
        str,
        typer.Option(
            help="Language that the others are relative to, on the same paragraphs; none for tokens per character "
            "alone."
        ),
    ] = "en",
    items: Annotated[int | None, typer.Option(help="Paragraphs per language; by default all.")] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the paragraphs that are drawn and of the intervals.")
    ] = 0,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Show how many tokens real text takes, language by language, and how many of them are bytes of a character.

    Needs no weights. Writes result.parquet, metadata.json, fertility.csv (the printed table) and fertility.html.
    """
    from latentlang.cli.console import say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.language_names import language, languages
    from latentlang.models.registry import resolve
    from latentlang.storage.output import TABLE
    from latentlang.tasks import ContinuationTask

    options.check_counts(items=items, shots=None, seed=seed)
    task = ContinuationTask(data=text)
    asked = [entry.code for entry in languages(lang)] if lang else None
    options.counted_prompts(task, asked or task.languages, items=items, seed=seed)
    base = None if reference.strip().casefold() == NO_REFERENCE else language(reference).code
    info = resolve(model, called=name)
    asked_for: dict[str, Any] = {
        "reference": None if base == "en" else base or NO_REFERENCE, "items": items, "seed": seed or None,
    }  # fmt: skip
    parts = [model_part(info.name), str(text), ",".join(lang) if lang else "all"]
    claim = Claim("fertility", (TABLE, "fertility.csv", "fertility.html"))
    with OutputFolder(out or run_folder("fertility", parts, asked_for), claim, pages=pages) as folder:
        say(f"loading the tokenizer of {info.name}")
        from latentlang.answers import fertility as count
        from latentlang.figures.fertility import fertility_figure
        from latentlang.models import load_tokenizer

        result = count(
            load_tokenizer(model),
            task,
            languages=asked,
            reference=base,
            items=items,
            name=info.name,
            seed=seed,
        )
        folder.save(result)
        folder.text("fertility.csv", result.glance().to_csv(index=False))
        folder.page(fertility_figure(result), "fertility.html", title=f"{info.name}: fertility")
        folder.print_result(result, _print_table, options.print_description)


def _print_table(result: FertilityResult, console: Console) -> None:
    """A row a language, from the fewest tokens to the most."""
    from rich.table import Table

    from latentlang.language_names import language, script_name

    table = Table(box=None, pad_edge=False, header_style="bold")
    relative = [f"tokens, {language(result.reference).name} = 1", "interval"] if result.reference else []
    heads = ("code", "language", "script", *relative, "tokens/char", "bytes")
    for head in heads:
        table.add_column(head, justify="left" if head in heads[:3] else "right", no_wrap=head == heads[0])
    for row in result.glance().to_dict("records"):
        table.add_row(
            str(row["language"]), language(str(row["language"])).name, script_name(str(row["script"])),
            *([f"{row['relative']:.2f}", _interval(row["low"], row["high"])] if relative else []),
            f"{row['tokens_per_character']:.3f}", f"{row['byte_share']:.1%}",
        )  # fmt: skip
    console.print(table)


def _interval(low: float, high: float) -> str:
    return "none" if math.isnan(low) else f"[{low:.2f}, {high:.2f}]"
