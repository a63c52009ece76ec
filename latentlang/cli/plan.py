"""``latentlang plan``: what a large run takes, before it begins."""

from __future__ import annotations

from typing import Annotated

import typer

from latentlang import defaults
from latentlang.arguments import given_layers
from latentlang.cli import options
from latentlang.errors import InputError, shown


def plan(
    model: options.Model = defaults.MODEL,
    count: Annotated[int, typer.Option("--lang", help="How many languages.")] = defaults.PLANNED_LANGUAGES,
    prompts: Annotated[
        str, typer.Option(help="How many prompts, in all languages together: 10000, 1e6.")
    ] = str(defaults.PLANNED_PROMPTS),
    tokens: Annotated[float, typer.Option(help="Tokens of a prompt, on average.")] = defaults.PLANNED_TOKENS,
    shared: Annotated[
        float,
        typer.Option(help="Share of these that the prompts of a language begin with alike, run once."),
    ] = 0.0,
    part: Annotated[str, typer.Option(help="What is run: harvest, lens, evaluate; with commas.")] = ",".join(
        defaults.PLANNED_PARTS
    ),
    layers: Annotated[str, typer.Option(help="Layers that are harvested: all, or 0,4,8-12.")] = "all",
    pools: Annotated[
        str, typer.Option(help="Pools that are harvested: mean, mean_no_bos, question, last.")
    ] = ",".join(defaults.HARVESTED_POOLS),
    dtype: Annotated[
        str | None, typer.Option(help="Of what is stored; by default bfloat16, float32 on a CPU.")
    ] = None,
    on: Annotated[
        str, typer.Option(help="Machine: h200, h100, a100, a100-40, l40s, rtx4090, or cpu (one thread).")
    ] = defaults.PLANNED_ON,
    as_json: options.AsJson = False,
) -> None:
    """Say what a harvest, a lens and an evaluation take: hours, disk, network and memory; nothing is loaded or fetched.

    Operations are counted from the shape of the model, bytes on disk are exact. Times on a CPU rest on measured costs,
    those on a GPU on its maker's numbers at a stated share, never on a measurement: docs/scale.md has both.
    """
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.listing import print_table
    from latentlang.cli.records import rows_record
    from latentlang.sizing import plan as planned
    from latentlang.sizing.planning import hours_words, millions
    from latentlang.storage.files import size_words

    found = planned(
        model, languages=count, prompts=_whole(prompts), tokens=tokens, shared=shared, parts=part,
        layers=given_layers(layers, option="--layers "), pools=pools.split(","), dtype=dtype, on=on,
    )  # fmt: skip
    if as_json:
        return echo_json(
            {
                "model": found.model, "machine": found.machine.about, "basis": found.machine.basis,
                "parameters": found.shape.parameters, "languages": found.languages, "prompts": found.prompts,
                "download": found.download, "hours": found.hours, "disk": found.disk,
                "parts": rows_record(found.table),
            }
        )  # fmt: skip
    print_table(
        ("part", "million tokens", "time", "disk", "memory", "time is"),
        [
            (
                one.part, millions(one.tokens), hours_words(one.hours), size_words(one.disk) if one.disk else "",
                size_words(one.memory), found.machine.basis,
            )
            for one in found.parts
        ],
    )  # fmt: skip
    output().print(found.describe(), soft_wrap=True)
    return None


def _whole(text: str) -> int:
    """A whole number, ``1e6`` too.

    Raises:
        InputError: it is none.
    """
    try:
        number = float(text)
        if number == int(number) and number < 1e18:
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"--prompts is a whole number, such as 10000 or 1e6, not {shown(text, most=40)}")
