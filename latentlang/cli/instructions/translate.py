"""``latentlang instructions translate``: dialogues in other languages, or there and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang.cli import options
from latentlang.cli.asking_options import AskingOptions, MadeOut, Provider
from latentlang.errors import InputError

if TYPE_CHECKING:
    from latentlang.instructions.built import Built
    from latentlang.instructions.providers.asking import Asking

Data = Annotated[
    list[Path],
    typer.Argument(
        help="Files or folders of instructions, in any layout (.jsonl, .json, .csv, .tsv, .parquet)."
    ),
]
DataLanguage = Annotated[
    str | None, typer.Option("--data-lang", help="Language of records that do not say theirs.")
]


def translate(
    data: Data,
    provider: Provider,
    out: MadeOut,
    lang: Annotated[
        list[str] | None, typer.Option(help="Languages to translate into: codes (ja or ja,hi) or a group.")
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(
            help="In place of --lang: translate into this language and back into each dialogue's own."
        ),
    ] = None,
    data_lang: DataLanguage = None,
    unit: Annotated[
        str,
        typer.Option(help="Translated in one call: part (instruction, input, answer), message or dialogue."),
    ] = "part",
    parts: Annotated[
        str,
        typer.Option(
            help="Parts that are translated: instruction, input, output; without output the answers stay."
        ),
    ] = "instruction,input,output",
    prompts: Annotated[
        str | None,
        typer.Option(
            help="Set of prompts: a language's code, chen2024, table, or a YAML file; by default en."
        ),
    ] = None,
    leave: Annotated[
        str | None,
        typer.Option(
            help="Leave what asks with one of these keywords as it is: programming, or a file with one on each line."
        ),
    ] = None,
    as_json: options.AsJson = False,
    asking: AskingOptions = AskingOptions(),  # noqa: B008
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Translate dialogues by a model; ids and groups stay, so that translations of one item are known as such.

    A reply is kept as soon as it comes: stopped and run again, the command asks for the rest. What was dropped, and
    why, is counted by language and written down.
    """
    from latentlang.cli.instructions.making import given_languages, make
    from latentlang.instructions import read_dialogues
    from latentlang.instructions.translation import round_trip
    from latentlang.instructions.translation import translate as translated

    if (lang is None) == (through is None):
        raise InputError(
            "say either --lang, languages to translate into, or --through, the language of a round trip"
        )
    targets = [] if lang is None else given_languages(lang, "--lang")
    dialogues = read_dialogues(data, language=data_lang)

    def build(asks: Asking) -> Built:
        if through is not None:
            if parts != "instruction,input,output":
                raise InputError("a round trip translates all parts; leave --parts out")
            if leave is not None:
                raise InputError("a round trip translates all dialogues; leave --leave out")
            return round_trip(dialogues, through=through, asking=asks, unit=unit, prompts=prompts)
        return translated(
            dialogues, targets, asking=asks, unit=unit, parts=parts, prompts=prompts, leave=leave
        )

    make(out, build, provider=provider, asking=asking, loading=loading, as_json=as_json)
