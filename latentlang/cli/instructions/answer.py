"""``latentlang instructions answer``: answers written anew, in the language that is asked in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from latentlang.cli import options
from latentlang.cli.asking_options import AskingOptions, MadeOut, Provider
from latentlang.cli.instructions.translate import Data, DataLanguage

if TYPE_CHECKING:
    from latentlang.instructions.built import Built
    from latentlang.instructions.providers.asking import Asking


def answer(
    data: Data,
    provider: Provider,
    out: MadeOut,
    data_lang: DataLanguage = None,
    system: Annotated[str, typer.Option(help="A system text for all dialogues without one.")] = "",
    keep_cut: Annotated[
        bool, typer.Option("--keep-cut", help="Keep answers that were ended by the limit of their length.")
    ] = False,
    as_json: options.AsJson = False,
    asking: AskingOptions = AskingOptions(),  # noqa: B008
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Write the answers of dialogues anew by a model; answers that are there are left out.

    A reply is kept as soon as it comes: stopped and run again, the command asks for the rest.
    """
    from latentlang.cli.instructions.making import make
    from latentlang.instructions import read_dialogues
    from latentlang.instructions.answering import answer as answered

    dialogues = read_dialogues(data, language=data_lang)

    def build(asks: Asking) -> Built:
        return answered(dialogues, asking=asks, system=system, keep_cut=keep_cut)

    make(out, build, provider=provider, asking=asking, loading=loading, as_json=as_json)
