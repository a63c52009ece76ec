"""``latentlang align``: how alike languages lay out the same items, from a store, without a model."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.geometry.measure_registry import measure_names
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.cli.output_folder import OutputFolder
    from latentlang.geometry import AlignmentResult

_CHANCE = "Chance and intervals"
# Columns of a terminal in which measures and poolings stand in words.
_WIDE = 120
# A measure of the whole layout, which has a sentence whatever is measured first.
_WHOLE = "cka"


def align(
    context: typer.Context,
    store: Annotated[Path, typer.Argument(help="Folder of activations (`latentlang harvest`).")],
    lang: options.StoreLanguages = None,
    pivot: Annotated[
        str | None,
        typer.Option(help="Compare every language with this one only; by default all pairs."),
    ] = None,
    layers: options.StoreLayers = defaults.LAYERS,
    measures: Annotated[
        str,
        typer.Option(help=f"all, or of {', '.join(measure_names())}."),
    ] = defaults.MEASURES,
    pools: Annotated[
        str | None,
        typer.Option(help="What stands for a prompt: mean, mean_no_bos, question, last; by default all."),
    ] = None,
    items: Annotated[
        str,
        typer.Option(help="pairwise: all items a pair has in common; common: only those all languages have."),
    ] = defaults.PAIRED_ITEMS,
    erase: Annotated[
        str | None,
        typer.Option(
            help="Take out first what tells languages apart: lsar, leace, mean or random; fitted on half of the items, "
            "measured on the other."
        ),
    ] = None,
    components: Annotated[
        int, typer.Option(help="Principal components to take Pearson r of.")
    ] = defaults.COMPONENTS,
    null: Annotated[
        str,
        typer.Option(
            help="What chance is: items (translations unpaired), within-label or within-length (unpaired among items "
            "of the same class, or of like length).",
            rich_help_panel=_CHANCE,
        ),
    ] = defaults.NULL,
    permutations: Annotated[
        int,
        typer.Option(
            help="How often translations are unpaired; p is at least 1 / (this + 1).", rich_help_panel=_CHANCE
        ),
    ] = defaults.PERMUTATIONS,
    resamples: Annotated[
        int, typer.Option(help="Half samples for the intervals; 0 for none.", rich_help_panel=_CHANCE)
    ] = defaults.RESAMPLES,
    seed: Annotated[
        int, typer.Option(help="Seed of permutations and half samples.", rich_help_panel=_CHANCE)
    ] = defaults.SEED,
    device: options.Compute = defaults.DEVICE,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Measure how closely languages are aligned at each layer, against chance and with prompt length taken out.

    Needs no model. Writes result.parquet, metadata.json, align.html (heat map), curves.html, table.html, and tables as
    CSV.
    """
    # Everything that can be wrong and is cheap to see comes before the work.
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress
    from latentlang.cli.output_folder import Claim, OutputFolder, folder_part, run_folder

    numbers = options.layer_numbers(layers)
    check_count("--seed", seed, least=0)
    from latentlang.activations import open_store
    from latentlang.geometry import alignment
    from latentlang.geometry.selection import chosen_layers, chosen_pools

    opened = open_store(store)
    chosen, pool_names = chosen_layers(numbers, opened.layers), chosen_pools(pools, opened.pools)
    asked_for = options.asked_for(
        context, lang=lang, pivot=pivot, layers=layers, measures=measures, pools=pools, null=null, items=items,
        erase=erase, components=components, permutations=permutations, resamples=resamples, seed=seed,
    )  # fmt: skip
    files = (TABLE, "align.html", "curves.html", "table.html", "summary.csv", "pairs.csv", "languages.csv")
    folder = OutputFolder(
        out or run_folder("align", [folder_part(store)], asked_for), Claim("alignment", files), pages=pages
    )
    with folder:
        with Progress("layers and pools", total=len(chosen) * len(pool_names)) as progress:
            result = alignment(
                opened, languages=lang, pivot=pivot, layers=chosen, measures=measures, pools=pool_names, items=items,
                null=null, components=components, permutations=permutations, resamples=resamples, erase=erase,
                seed=seed, device=device, progress=progress.after(0),
            )  # fmt: skip
        _write(result, folder)
        folder.print_result(result, _print_summary)


def _write(result: AlignmentResult, folder: OutputFolder) -> None:
    from latentlang.figures.alignment import alignment_heatmap
    from latentlang.figures.alignment_curves import alignment_curves
    from latentlang.figures.alignment_tables import alignment_table
    from latentlang.geometry import by_language, paper_table

    folder.save(result)
    provenance, first = result.provenance, result.measures[0]
    title = f"{provenance.model}: alignment of languages, {provenance.task}"
    folder.page(alignment_heatmap(result), "align.html", title=title)
    folder.page(alignment_curves(result), "curves.html", title=title)
    folder.page(alignment_table(result, measure=first), "table.html", title=title)
    folder.text("summary.csv", result.summary().to_csv(index=False))
    folder.text("pairs.csv", paper_table(result, measure=first).to_csv(index=False))
    folder.text("languages.csv", by_language(result, measure=first).to_csv())


def _print_summary(result: AlignmentResult, console: Console) -> None:
    """Each measure where it stands out most, the first one under the other poolings, and a sentence."""
    import pandas as pd
    from rich.table import Table
    from rich.text import Text

    from latentlang.figures.alignment_text import pool_words
    from latentlang.geometry.measure_registry import measure as find_measure
    from latentlang.geometry.text import peaks

    provenance = result.provenance
    line = Text.assemble((provenance.model, "bold"), f" + {provenance.adapter}" if provenance.adapter else "")
    count = len(result.pairs)
    line.append(
        f" · {provenance.task} · {len(provenance.languages)} languages, {count} pair{'' if count == 1 else 's'}, "
        f"layers {result.layers[0]} to {result.layers[-1]}"
    )
    console.print(line)
    best = peaks(result)
    at_default_pool = best["pooling"].astype(str) == result.default_pool
    first = best["measure"].astype(str) == result.measures[0]
    # The first measure under the other poolings comes last.
    rows = pd.concat([best[at_default_pool], best[first & ~at_default_pool]])
    narrow = console.width < _WIDE
    heads = ("layer", "value", "chance", "without length", "above chance", "in the search", "flagged")
    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("measure", no_wrap=True)
    if not narrow:
        grid.add_column("pooling")
    for head in heads:
        first_word, space, others = head.rpartition(" ")
        grid.add_column(f"{first_word}\n{others}" if narrow and space else head, justify="right")
    pool = result.default_pool
    for row in rows.itertuples():
        if narrow and str(row.pooling) != pool:
            pool = str(row.pooling)
            grid.add_row(Text(f"{pool}:", style="dim"))
        name = str(row.measure)
        grid.add_row(
            *([name] if narrow else [find_measure(name).words, pool_words(str(row.pooling))]), str(row.layer),
            *(_number(value, ".2f") for value in (row.value, row.null_mean, row.partial)),
            *(_number(value, ".0%") for value in (row.above_chance, row.above_chance_family, row.flagged)),
        )  # fmt: skip
    lines = ["each measure at the layer where it stands out most from chance; mean and share of pairs"]
    if narrow:
        lines.append(
            f"measures by the names of --measures (`latentlang align --help`); {pool_words(result.default_pool)}"
            + (", then other poolings" if len(rows) > int(at_default_pool.sum()) else "")
        )
    for about in lines:
        console.print(Text(about))
    console.print(grid)
    # The first measure is the paper's, which sees one direction; the second of all.
    spoken = [name for name in dict.fromkeys((result.measures[0], _WHOLE)) if name in result.measures]
    for text, style in [
        *((result.describe(measure=name), "italic") for name in spoken),
        *((f"note: {note}", "yellow") for note in result.notes),
    ]:
        for part in textwrap.wrap(text, max(20, console.width)):
            console.print(Text(part, style=style))


def _number(value: Any, digits: str) -> str:
    # Rounded once, to what is shown (a hundredth or a per cent): by way of thousandths 0.6849 would be 0.69.
    return "-" if math.isnan(value) else format(round(float(value), 2) + 0.0, digits)
