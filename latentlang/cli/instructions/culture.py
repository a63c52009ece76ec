"""``latentlang instructions culture``: dialogues that a model finds bound to no culture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from latentlang.cli import options
from latentlang.cli.asking_options import AskingOptions, MadeOut, Provider
from latentlang.cli.instructions.translate import Data, DataLanguage

if TYPE_CHECKING:
    from latentlang.instructions.built import Built
    from latentlang.instructions.providers.asking import Asking


def culture(
    data: Data,
    provider: Provider,
    out: MadeOut,
    data_lang: DataLanguage = None,
    criteria: Annotated[
        str | None,
        typer.Option(
            help="Criteria: person, place, society, literature, things, organisation (the default: the paper's), code."
        ),
    ] = None,
    as_json: options.AsJson = False,
    asking: AskingOptions = AskingOptions(),  # noqa: B008
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Keep the dialogues that a model finds to meet none of some criteria of culture.

    Each criterion's score and reason is in report/criteria.csv. Where a reply does not give every score, the dialogue
    is undecided: it is not among those kept, and lies in undecided/.
    """
    from latentlang.cli.instructions.making import make
    from latentlang.instructions import read_dialogues
    from latentlang.instructions.culture import culture_filter

    dialogues = read_dialogues(data, language=data_lang)

    def build(asks: Asking) -> Built:
        return culture_filter(dialogues, asking=asks, by=criteria)

    make(out, build, provider=provider, asking=asking, loading=loading, as_json=as_json)
