"""``latentlang directions``: the direction of each language at each layer, from a store, without a model."""

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

    from latentlang.geometry import DirectionsResult

_CHANCE = "Chance and intervals"
_VECTORS = "vectors.safetensors"


def directions(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Folder of activations (`latentlang harvest`).")],
    method: Annotated[
        str,
        typer.Option(help="mean (difference of means), pca, lda or probe; the last two need scikit-learn."),
    ] = defaults.DIRECTIONS_METHOD,
    lang: options.StoreLanguages = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Set each language against this one only; by default against all others."),
    ] = None,
    layers: options.StoreLayers = defaults.LAYERS,
    pools: Annotated[
        str | None,
        typer.Option(
            help="What stands for a prompt; by default the first there is of mean_no_bos, question, last, mean."
        ),
    ] = None,
    permutations: Annotated[
        int | None,
        typer.Option(
            help="How often languages are permuted within items; by default 100 for mean, else 20.",
            rich_help_panel=_CHANCE,
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(help="Half samples for the intervals; 0 for none.", rich_help_panel=_CHANCE)
    ] = defaults.RESAMPLES,
    seed: Annotated[
        int, typer.Option(help="Seed of halves, permutations and half samples.", rich_help_panel=_CHANCE)
    ] = defaults.SEED,
    device: options.Compute = defaults.DEVICE,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Find the direction of each language at each layer, and how well it separates items that it was not fitted on.

    Needs no model. Writes result.parquet, metadata.json, vectors.safetensors and directions.html (an interactive
    figure).
    """
    # Everything that can be wrong and is cheap to see comes before the work.
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress
    from latentlang.cli.output_folder import Claim, OutputFolder, folder_part, run_folder

    numbers = options.layer_numbers(layers)
    check_count("--seed", seed, least=0)
    from latentlang.activations import open_store
    from latentlang.figures.directions import directions_figure
    from latentlang.geometry import directions as run
    from latentlang.geometry.selection import chosen_layers

    opened = open_store(store)
    chosen = chosen_layers(numbers, opened.layers)
    asked_for = options.asked_for(
        context, method=method, lang=lang, reference=reference, layers=layers, pools=pools, permutations=permutations,
        resamples=resamples, seed=seed,
    )  # fmt: skip
    claim = Claim("directions", (TABLE, _VECTORS, "directions.html"))
    with OutputFolder(
        out or run_folder("directions", [folder_part(store)], asked_for), claim, pages=pages
    ) as folder:
        with Progress("layers", total=len(chosen)) as progress:
            result = run(
                opened, method=method, languages=lang, reference=reference, layers=chosen, pools=pools,
                permutations=permutations, resamples=resamples, seed=seed, device=device, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result, others=[_VECTORS])
        title = f"{result.provenance.model}: language vectors, {result.provenance.task}"
        folder.page(directions_figure(result), "directions.html", title=title)
        folder.print_result(result, _print_layers)


def _print_layers(result: DirectionsResult, console: Console) -> None:
    """The mean over languages at each layer, and a sentence."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.text import counted, unsigned

    provenance = result.provenance
    line = Text.assemble((provenance.model, "bold"), f" + {provenance.adapter}" if provenance.adapter else "")
    console.print(line.append(f" · {provenance.task} · {counted(len(result.languages), 'language')}"))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    names = {
        "auc": "AUC", "auc_null": "chance", "auc_without": "AUC w/o outliers", "d_prime": "d'",
        "split_half": "split-half", "split_half_null": "chance", "norm": "length",
    }  # fmt: skip
    grid.add_column("layer", justify="right")
    for head in names.values():
        grid.add_column(head, justify="right", no_wrap=True)
    for row in result.summary().to_dict("records"):
        cells = [unsigned(row[name], 2) if row[name] == row[name] else "-" for name in names]
        grid.add_row(str(row["layer"]), *cells)
    console.print(Text("mean over languages; items that were not fitted"))
    console.print(grid)
    for text, style in [
        (result.describe(), "italic"),
        *((f"note: {note}", "yellow") for note in result.notes),
    ]:
        for part in textwrap.wrap(text, max(20, console.width)):
            console.print(Text(part, style=style))
