"""``latentlang pca``: principal components of each layer, from a store, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.arguments import check_count
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.geometry import PCAResult

_PICTURE = "The figure"
_MOST_PICTURED = 12  # plots of a PNG
_CELL = 9  # columns of a terminal that one share takes


def pca(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Folder of activations (`latentlang harvest`).")],
    lang: options.StoreLanguages = None,
    layers: options.StoreLayers = defaults.LAYERS,
    pools: Annotated[
        str | None,
        typer.Option(
            help="What stands for a prompt: mean (as in the paper), mean_no_bos, question, last; by default mean, or "
            "the only one in the store."
        ),
    ] = None,
    components: Annotated[int, typer.Option(help="Number of components.")] = defaults.PCA_COMPONENTS,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Store of the base model, where STORE is of the tuned one: both on its axes, and each on its own."
        ),
    ] = None,
    device: options.Compute = defaults.DEVICE,
    out: options.Out = None,
    colour: Annotated[
        str,
        typer.Option(
            "--colour", "--color", help="What colours say: language or label.", rich_help_panel=_PICTURE
        ),
    ] = defaults.PCA_COLOUR,
    three_d: Annotated[
        bool, typer.Option("--3d", help="Three dimensions.", rich_help_panel=_PICTURE)
    ] = False,
    points: Annotated[
        int | None,
        typer.Option(
            help="Most points drawn of a language; by default 500, fewer of many languages.",
            rich_help_panel=_PICTURE,
        ),
    ] = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Show the prompts of each layer along the directions in which they differ most, languages together.

    Needs no model. Writes pca.html (a scatter with a slider over layers), the scores and the axes.
    """
    # Everything that can be wrong and is cheap to see comes before the work.
    from latentlang.cli.console import Progress
    from latentlang.cli.output_folder import Claim, OutputFolder, folder_part, run_folder

    least = 3 if three_d else 2
    if components < 2:
        raise InputError(f"--components must be at least 2 to be drawn, not {components}")
    check_count("--components", components, least=2)
    check_count("--points", points, least=1)
    numbers = options.layer_numbers(layers)
    from latentlang.activations import open_store
    from latentlang.figures.pca import check_colour, pca_figure
    from latentlang.geometry import compare_pca
    from latentlang.geometry import pca as run
    from latentlang.geometry.selection import chosen_layers, chosen_pool, common_pools

    stores = [open_store(path) for path in ([store] if base is None else [base, store])]
    check_colour(colour, stores[-1].frame()["label"])
    chosen = chosen_layers(numbers, [layer for layer in stores[0].layers if layer in stores[-1].layers])
    pool = chosen_pool(pools, stores[0].pools if base is None else common_pools(*stores))
    how: dict[str, Any] = {
        "layers": chosen, "pools": pool, "components": max(components, least), "languages": lang, "device": device,
    }  # fmt: skip
    asked_for = options.asked_for(
        context, base=base and folder_part(base), lang=lang, layers=layers, pools=pools, components=components,
        three_d="view" if three_d else None, colour=colour, points=points,
    )  # fmt: skip
    files = (
        TABLE,
        "prompts.parquet",
        "explained.parquet",
        "bases.safetensors",
        "pca.html",
        "pca.png",
    )
    folder = OutputFolder(
        out or run_folder("pca", [folder_part(store)], asked_for), Claim("pca", files), pages=pages
    )
    with folder:
        with Progress("layers", total=len(chosen) * (1 if base is None else 3)) as progress:
            compute = run if base is None else compare_pca
            result: PCAResult = compute(*stores, progress=progress.after(0), **how)
        looks: dict[str, Any] = {"colour": colour, "three_d": three_d, "most": points}
        folder.save(result, others=["bases.safetensors"])
        title = f"{result.provenance.model}: principal components, {result.provenance.task}"
        few = chosen if len(chosen) <= _MOST_PICTURED and layers != defaults.LAYERS else None
        folder.page(
            pca_figure(result, **looks),
            "pca.html",
            title=title,
            picture=lambda: pca_figure(result, grid=True, layers=few, **looks),  # a plot per layer
        )
        folder.print_result(result, _print_shares)


def _print_shares(result: PCAResult, console: Console) -> None:
    """Say what share of the variance each component has, layer by layer."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.figures.pca_text import pool_words, view_words

    provenance, explained = result.provenance, result.explained
    count = int(explained["prompts"].iloc[0])
    languages = len(provenance.languages)
    tuned = result.settings.tuned
    line = Text.assemble((provenance.model, "bold"), f" and {tuned.model}" if tuned else "")
    line.append(f" + {provenance.adapter}" if provenance.adapter else "")
    line.append(
        f" · {provenance.task} · {count:,} prompts in {languages} language{'' if languages == 1 else 's'}"
    )
    console.print(line.append(f" · {pool_words(result.settings)}"))
    shown = max(1, min(result.components, (console.width - 10) // _CELL // len(result.views)))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("layer", justify="right")
    for view, _ in enumerate(result.views):
        for component in range(1, shown + 1):
            grid.add_column(f"{'│ ' if view and component == 1 else ''}PC{component}", justify="right")
    still = []
    for layer, part in explained.groupby("layer"):
        cells = []
        for state, axes in result.views:
            shares = part[(part["state"] == state) & (part["axes"] == axes)].sort_values("component")
            cells += [f"{ratio:.1%}" if ratio > 0 else "-" for ratio in shares["ratio"].head(shown)]
        grid.add_row(str(layer), *cells)
        if (part["total"] == 0).all():
            still.append(str(layer))
    several = (
        f"; from left to right: {'; '.join(map(view_words, result.views))}" if len(result.views) > 1 else ""
    )
    console.print(f"share of the variance along each component{several}")
    console.print(grid)
    if still:
        console.print(f"nothing varies at layer {', '.join(still)}: all prompts are the same there")
