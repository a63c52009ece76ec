"""``latentlang erase``: what tells languages apart at each layer taken out, from a store, without a model."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.geometry import ErasureResult

_PROJECTIONS = "projections.safetensors"


def erase(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Folder of activations (`latentlang harvest`).")],
    method: Annotated[
        str, typer.Option(help="lsar, leace, mean (all differences of means) or random.")
    ] = defaults.ERASE_METHOD,
    rank: Annotated[
        int | None, typer.Option(help="Dimensions to take out; by default the method chooses.")
    ] = None,
    lang: options.StoreLanguages = None,
    layers: options.StoreLayers = defaults.LAYERS,
    pools: Annotated[
        str | None,
        typer.Option(
            help="What stands for a prompt; by default the first there is of mean_no_bos, question, last, mean."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of halves and random subspaces.")] = defaults.SEED,
    device: options.Compute = defaults.DEVICE,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Take out of each layer what tells its languages apart, and say how much is left on items not fitted.

    Needs no model. Writes result.parquet, metadata.json, projections.safetensors and erasure.html (an interactive
    figure).
    """
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress
    from latentlang.cli.output_folder import Claim, OutputFolder, folder_part, run_folder

    numbers = options.layer_numbers(layers)
    check_count("--seed", seed, least=0)
    from latentlang.activations import open_store
    from latentlang.geometry import erase as run
    from latentlang.geometry.selection import chosen_layers

    opened = open_store(store)
    chosen = chosen_layers(numbers, opened.layers)
    asked_for = options.asked_for(
        context, method=method, rank=rank, lang=lang, layers=layers, pools=pools, seed=seed
    )
    claim = Claim("erasure", (TABLE, _PROJECTIONS, "erasure.html"))
    with OutputFolder(
        out or run_folder("erase", [folder_part(store)], asked_for), claim, pages=pages
    ) as folder:
        with Progress("layers", total=len(chosen)) as progress:
            result = run(
                opened, method=method, rank=rank, languages=lang, pools=pools, layers=chosen, seed=seed, device=device,
                progress=progress.after(0),
            )  # fmt: skip
        folder.save(result, others=[_PROJECTIONS])
        title = f"{result.provenance.model}: languages erased, {result.provenance.task}"
        folder.page(result.figure(), "erasure.html", title=title)
        folder.print_result(result, _print_layers)


def _print_layers(result: ErasureResult, console: Console) -> None:
    """How well languages are told apart at each layer, and a sentence."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.text import counted

    provenance = result.provenance
    line = Text.assemble((provenance.model, "bold"), f" + {provenance.adapter}" if provenance.adapter else "")
    languages = counted(len(provenance.languages), "language")
    console.print(line.append(f" · {provenance.task} · {languages}"))
    console.print(Text("languages told rightly by the nearest mean; items that were not fitted"))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("layer", "dimensions", "as it is", "erased", "random", "chance"):
        grid.add_column(head, justify="right")
    for row in result.table.sort_values("layer").to_dict("records"):
        shares = [f"{row[name]:.0%}" for name in ("accuracy", "accuracy_erased", "accuracy_random", "chance")]
        grid.add_row(str(row["layer"]), str(row["rank"]), *shares)
    console.print(grid)
    for text, style in [
        (result.describe(), "italic"),
        *((f"note: {note}", "yellow") for note in result.notes),
    ]:
        for part in textwrap.wrap(text, max(20, console.width)):
            console.print(Text(part, style=style))
