"""``latentlang instructions describe``: what instruction data are, in numbers and a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.instructions import looking

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.instructions import InstructionsResult

_SHOWN = (
    "language", "origin", "dialogues", "share", "question_tokens", "answer_tokens", "answer_median", "short", "copied",
    "repeated", "unanswered", "identified", "other",
)  # fmt: skip


def describe(
    data: looking.Data,
    model: Annotated[
        str, typer.Option(help="Short name, Hugging Face id or folder; its tokenizer alone is used.")
    ] = defaults.MODEL,
    name: options.Name = None,
    lang: Annotated[
        list[str] | None, typer.Option(help="Languages: codes (ja or ja,hi) or a group; by default all.")
    ] = None,
    data_lang: looking.DataLanguage = None,
    identify: Annotated[
        bool, typer.Option("--identify/--no-identify", help="Tell the language of the answers.")
    ] = True,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Describe instructions: shares, tokens with a model's tokenizer, lengths, copied answers, repeats, languages.

    Needs no weights. Writes result.parquet, metadata.json, instructions.csv (the printed table) and instructions.html.
    """
    from latentlang.cli.console import say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.instructions.description import describe_instructions
    from latentlang.models import load_tokenizer
    from latentlang.models.registry import resolve
    from latentlang.storage.output import TABLE

    info = resolve(model, called=name)
    dialogues = looking.dialogues_of(data, data_lang)
    parts = [model_part(info.name), *data[:2]]
    claim = Claim("instructions", (TABLE, "instructions.csv", "instructions.html"))
    folder_name = out or run_folder("instructions", parts, {"lang": ",".join(lang or ())})
    with OutputFolder(folder_name, claim, pages=pages) as folder:
        say(f"loading the tokenizer of {info.name}")
        result = describe_instructions(
            dialogues, tokenizer=load_tokenizer(model), languages=lang, identify=identify, name=info.name,
            source=data,
        )  # fmt: skip
        folder.save(result)
        folder.text("instructions.csv", result.glance().to_csv(index=False))
        folder.page(result.figure(), "instructions.html", title=f"{info.name}: instructions")
        folder.print_result(result, _print_table, options.print_description)


def _print_table(result: InstructionsResult, console: Console) -> None:
    looking.print_rows(result.glance()[list(_SHOWN)], console)
