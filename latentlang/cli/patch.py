"""``latentlang patch``: activations of one concept and language put into a prompt of another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options
from latentlang.cli.options import LoadOptions
from latentlang.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.causal import PatchResult, PatchscopeResult


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
        str,
        typer.Option(
            "--into",
            help="Pair of languages of the prompts they are put into; or identity (a prompt that repeats words), or a "
            "text of your own with {} where the activation goes.",
        ),
    ] = "fr-ja",
    at: Annotated[
        str,
        typer.Option(
            help="last: the prompt's last token, layer by layer; object: the word to translate, a layer and all later. "
            "Into a text: where activations come from."
        ),
    ] = "last",
    read: Annotated[
        str | None,
        typer.Option(
            help="Into identity or a text: languages whose words are read; by default those of --from, and English."
        ),
    ] = None,
    into_layers: Annotated[
        str,
        typer.Option(
            help="Into identity or a text: same (each layer into itself), or layers that every one is put into: all, "
            "4,8-12."
        ),
    ] = "same",
    controls: Annotated[
        str,
        typer.Option(
            help="Controls beside it: wrong-concept, random, own-language (not into a text); all, or none."
        ),
    ] = "all",
    data: Annotated[Path | None, typer.Option(help="CSV files of words of your own.")] = None,
    items: options.Items = None,
    shots: options.Shots = None,
    seed: options.Seed = 0,
    layers: options.StoreLayers = "all",
    out: options.Out = None,
    adapter: options.Adapter = None,
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: LoadOptions = LoadOptions(),  # noqa: B008
) -> None:
    """Patch activations between prompts of two pairs of languages: which layer fixes the concept, which the language?

    With --into identity or a text of your own (patchscopes): what do activations say, and in which language?

    Writes result.parquet, metadata.json and patch.html or patchscope.html (an interactive figure) into the output
    folder.
    """
    from latentlang.arguments import split_names
    from latentlang.causal.patching import CONTROLS, check_pairs
    from latentlang.causal.patchscopes import SCOPE_CONTROLS, check_scope, is_text
    from latentlang.cli.console import say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder, slug
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.storage.output import TABLE
    from latentlang.tasks import task as word_task

    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    numbers = options.layer_numbers(layers)
    text = is_text(into)
    into_numbers = "same" if into_layers == "same" else options.layer_numbers(into_layers)
    words: dict[str, list[str]] = {"all": list(SCOPE_CONTROLS if text else CONTROLS), "none": []}
    names = words[controls] if controls in words else split_names(controls)
    if text:
        if chat:
            raise InputError(
                "--chat asks prompts of two pairs of languages; leave it out with --into identity or a text, and write "
                "the template's turns into the text"
            )
        check_scope(source, into=into, read=read, at=at, controls=names)
    else:
        for name, given in (("--read", read is not None), ("--into-layers", into_layers != "same")):
            if given:
                raise InputError(
                    f"{name} is for --into identity, or a text of your own with {{}}; leave it out"
                )
        check_pairs(source, into, at=at, controls=names)
    if data is not None:
        word_task("translation", data=data)
    info = loading.resolve(model)
    asked_for: dict[str, Any] = {
        "at": at if at != "last" else None, "controls": None if controls == "all" else controls,
        "data": data and str(data), "items": items, "shots": shots, "seed": seed or None,
        "layers": None if layers == "all" else layers, "read": read, "chat": "turns" if chat else None,
        "into-layers": None if into_layers == "same" else into_layers,
    }  # fmt: skip
    parts = [model_part(info.name), adapter or "", source, slug(into) if text else into]
    kind, page = ("patchscope", "patchscope.html") if text else ("patch", "patch.html")
    with OutputFolder(
        out or run_folder("patch", parts, asked_for), Claim(kind, (TABLE, page)), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.causal import patch as run_patch
        from latentlang.causal import patchscope as run_patchscope
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        shared: dict[str, Any] = {
            "source": source, "at": at, "data": data, "controls": names, "items": items, "shots": shots, "seed": seed,
            "layers": numbers, "batch_tokens": batch_tokens, "resume": unfinished,
        }  # fmt: skip
        with keeping_parts(unfinished, "what was run"):
            result: PatchResult | PatchscopeResult = (
                run_patchscope(loaded, into=into, read=read, into_layers=into_numbers, **shared)
                if text
                else run_patch(loaded, target=into, chat=chat, **shared)
            )
        folder.save(result)
        forget(unfinished)
        options.note_fewer(
            items, {into if text else into.partition("-")[2]: result.settings.items},
            why=f"{result.settings.left_out} cannot be told from other concepts by the tokens that begin their words",
        )  # fmt: skip
        folder.page(result.figure(), page, title=f"{info.name}: {source} patched into {into}")
        folder.print_result(result, _print_table)


def _print_table(result: PatchResult | PatchscopeResult, console: Console) -> None:
    """A sparkline over layers for each word that is read, patched and the controls, and what they tell."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.cli.lens_table import LEAST_TOP, sparkline
    from latentlang.language_names import language
    from latentlang.text import PATCHED_ARMS, PATCHED_CONCEPTS, SCOPE_ARMS, counted

    summary, made = result.summary(), result.provenance
    scoped = "into_layer" in summary
    if scoped:
        summary = summary.assign(concept="the concept's word")
        # of pairs of layers, the best one of each layer that activations come from
        keys = ["concept", "language", "arm", "layer"]
        summary = summary.sort_values("mean", kind="stable").drop_duplicates(keys, keep="last").sort_index()
    named = f"{made.model} + {made.adapter}" if made.adapter else made.model
    numbers = sorted(set(summary["layer"]))
    head = f" · layers {numbers[0]} to {numbers[-1]} · {counted(result.settings.items, 'item')} · seed {made.seed}"
    console.print(Text.assemble((named, "bold"), head))
    top = max(LEAST_TOP, float(summary["mean"].max()))
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "left", "right"):
        table.add_column(justify=justify)
    arms = SCOPE_ARMS if scoped else PATCHED_ARMS
    for (concept, code), part in summary.groupby(["concept", "language"], sort=False, observed=True):
        word = PATCHED_CONCEPTS.get(str(concept), str(concept))
        table.add_row(Text(f"{word} in {language(str(code)).name}", style="bold"))
        for arm in ("patched", "unpatched", *result.settings.controls):
            rows = part[part["arm"] == arm].sort_values("layer").to_dict("records")
            best = max(rows, key=lambda row: float(row["mean"]))
            bars = sparkline([float(row["mean"]) for row in rows], top=top, width=24)
            where = f" @ layer {best['layer']}"
            if scoped and best["into_layer"] != best["layer"]:
                where += f" in {best['into_layer']}"
            table.add_row(
                f"  {arms[arm]}",
                bars,
                f"{best['mean']:.3f}{'' if arm == 'unpatched' else where}",
                style=None if arm == "patched" else "dim",
            )
    console.print(table)
    console.print()
    console.print(result.describe())
