"""Options of commands that ask a provider: said once, as those of `options`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from latentlang import defaults
from latentlang.cli import options

Provider = Annotated[
    str,
    typer.Option(
        help="What answers: openai:MODEL@URL, openai:MODEL, local:MODEL, replay:FILE or table:FILE."
    ),
]
MadeOut = Annotated[
    Path,
    options.folder("Folder to write to: dialogues.jsonl, and below report/ what was made and dropped."),
]
_PANEL = "How it is asked"


@dataclass(frozen=True)
class AskingOptions:
    """Options of every command that asks a provider.

    A command takes them as one parameter ``asking``, as `options.LoadOptions`.
    """

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only say how many calls it would take, and tokens.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    cache: Annotated[
        Path | None,
        options.folder("Folder that replies are kept in; by default replies/ in --out.", panel=_PANEL),
    ] = None
    max_calls: Annotated[
        int | None,
        typer.Option(help="Calls of this run, at most; by default any number.", rich_help_panel=_PANEL),
    ] = None
    at_once: Annotated[int, typer.Option(help="Calls at once, at most.", rich_help_panel=_PANEL)] = (
        defaults.AT_ONCE
    )
    attempts: Annotated[
        int,
        typer.Option(
            help="How often a call is tried that fails in a way that may pass.", rich_help_panel=_PANEL
        ),
    ] = defaults.ATTEMPTS
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds to wait for a reply; by default 120.", rich_help_panel=_PANEL),
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens of an answer, at most; by default the server's own limit, and 512 of a local model.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    temperature: Annotated[
        str,
        typer.Option(
            help="Of sampling, 0 for none; server leaves it to the server, as some models want.",
            rich_help_panel=_PANEL,
        ),
    ] = "0"
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="With --dry-run: model whose tokenizer counts; by default a local model's own, or an estimate.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    price: Annotated[
        str | None,
        typer.Option(
            help="With --dry-run: what a million tokens cost, asked and answered, e.g. 0.15,0.60.",
            rich_help_panel=_PANEL,
        ),
    ] = None
