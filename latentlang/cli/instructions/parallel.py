"""``latentlang instructions build parallel``: translation instructions from parallel text."""

from __future__ import annotations

from typing import Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.asking_options import MadeOut


def parallel(
    text: options.Text,
    pivots: Annotated[
        list[str], typer.Option(help="Languages that each other one is paired with, e.g. zh,en.")
    ],
    out: MadeOut,
    lang: options.TextLanguages = None,
    kinds: Annotated[
        str,
        typer.Option(
            help="Kinds of instruction: sentence, document, constrained, interactive; by default all.",
            show_default=False,
        ),
    ] = "sentence,document,constrained,interactive",
    direction: Annotated[str, typer.Option(help="to-pivot, from-pivot or both.")] = "both",
    asked_in: Annotated[
        str,
        typer.Option(help="Languages of the instructions, one drawn for each: en,zh; or source, or target."),
    ] = "en",
    between_pivots: Annotated[
        bool, typer.Option("--between-pivots", help="Pair the pivots with each other too.")
    ] = False,
    paragraphs: Annotated[int, typer.Option(help="Paragraphs of a document.")] = 3,
    items: Annotated[
        int | None, typer.Option(help="Paragraphs of the text, from the first; by default all.")
    ] = None,
    check_language: Annotated[
        bool,
        typer.Option(
            "--check-language/--no-check-language",
            help="Leave out paragraphs that were left in a pivot or in English.",
        ),
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of wordings, words and edits.")] = defaults.SEED,
    as_json: options.AsJson = False,
) -> None:
    """Make translation instructions of parallel text: sentences, documents, given words, and edits in a second turn.

    No model is asked. The same paragraphs have one group in all languages, so that a split never parts them.
    """
    from latentlang.cli.instructions.making import save_and_print
    from latentlang.instructions.from_parallel_text import parallel_instructions

    built = parallel_instructions(
        text,
        pivots=pivots,
        languages=lang or None,
        kinds=kinds,
        direction=direction,
        asked_in=asked_in,
        between_pivots=between_pivots,
        paragraphs=paragraphs,
        items=items,
        check_language=check_language,
        seed=seed,
    )
    save_and_print(built, out, as_json=as_json)
