"""``latentlang patch``: activations of one concept and language put into a prompt of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options
from latentlang.cli.options import LoadOptions

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.causal import PatchResult


def patch(
    model: options.Model = "pocket",
    source: Annotated[
        str,
        typer.Option(
            "--from",
            help="Pairs of languages that activations come from, input-output; of several the mean: es-ru,de-it.",
        ),
    ] = "es-ru",
    into: Annotated[
        str, typer.Option("--into", help="Pair of languages of the prompts they are put into.")
    ] = "fr-ja",
    at: Annotated[
        str,
        typer.Option(
            help="last: the prompt's last token, layer by layer; object: the word to translate, a layer and all later."
        ),
    ] = "last",
    controls: Annotated[
        str,
        typer.Option(help="Controls beside it: wrong-concept, random, own-language; all, or none."),
    ] = "all",
    data: Annotated[Path | None, typer.Option(help="CSV files of words of your own.")] = None,
    items: options.Items = None,
    shots: options.Shots = None,
    seed: options.Seed = 0,
    layers: options.StoreLayers = "all",
    out: options.Out = None,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: LoadOptions = LoadOptions(),  # noqa: B008
) -> None:
    """Patch activations between prompts of two pairs of languages: which layer fixes the concept, which the language?

    Writes result.parquet, metadata.json and patch.html (an interactive figure) into the output folder.
    """
    from latentlang.arguments import split_names
    from latentlang.causal.patching import CONTROLS, check_pairs
    from latentlang.cli.console import echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.records import result_record
    from latentlang.storage.output import TABLE

    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    numbers = options.layer_numbers(layers)
    words: dict[str, list[str]] = {"all": list(CONTROLS), "none": []}
    names = words[controls] if controls in words else split_names(controls)
    check_pairs(source, into, at=at, controls=names)
    info = loading.resolve(model)
    asked_for: dict[str, Any] = {
        "at": at if at != "last" else None, "controls": None if controls == "all" else controls,
        "data": data and str(data), "items": items, "shots": shots, "seed": seed or None,
        "layers": None if layers == "all" else layers,
    }  # fmt: skip
    parts = [model_part(info.name), adapter or "", source, into]
    with OutputFolder(
        out or run_folder("patch", parts, asked_for), Claim("patch", (TABLE, "patch.html")), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.causal import patch as run_patch

        loaded = loading.load(model, adapter=adapter)
        result = run_patch(
            loaded, source=source, target=into, at=at, data=data, controls=names, items=items, shots=shots,
            seed=seed, layers=numbers, batch_tokens=batch_tokens,
        )  # fmt: skip
        folder.save(result)
        folder.page(result.figure(), "patch.html", title=f"{info.name}: {source} patched into {into}")
        if pages.as_json:
            return echo_json(result_record(result, folder.files))
        console = output()
        _print_table(result, console)
        folder.print_files(console)


def _print_table(result: PatchResult, console: Console) -> None:
    """A sparkline over layers for each concept and language, patched and the control, and what they tell."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.cli.lens_table import LEAST_TOP, sparkline
    from latentlang.language_names import language
    from latentlang.text import PATCHED_ARMS, PATCHED_CONCEPTS, counted

    summary, made = result.summary(), result.provenance
    named = f"{made.model} + {made.adapter}" if made.adapter else made.model
    numbers = sorted(set(summary["layer"]))
    head = f" · layers {numbers[0]} to {numbers[-1]} · {counted(result.settings.items, 'item')} · seed {made.seed}"
    console.print(Text.assemble((named, "bold"), head))
    top = max(LEAST_TOP, float(summary["mean"].max()))
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "left", "right"):
        table.add_column(justify=justify)
    for (concept, code), part in summary.groupby(["concept", "language"], sort=False, observed=True):
        table.add_row(Text(f"{PATCHED_CONCEPTS[str(concept)]} in {language(str(code)).name}", style="bold"))
        for arm in ("patched", "unpatched", *result.settings.controls):
            rows = part[part["arm"] == arm].sort_values("layer").to_dict("records")
            best = max(rows, key=lambda row: float(row["mean"]))
            bars = sparkline([float(row["mean"]) for row in rows], top=top, width=24)
            where = "" if arm == "unpatched" else f" @ layer {best['layer']}"
            table.add_row(
                f"  {PATCHED_ARMS[arm]}",
                bars,
                f"{best['mean']:.3f}{where}",
                style=None if arm == "patched" else "dim",
            )
    console.print(table)
    console.print()
    for line in result.describe().splitlines():
        console.print(line, highlight=False, markup=False)
