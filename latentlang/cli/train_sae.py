"""``latentlang train-sae``: train a sparse autoencoder on the tokens of a user's text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentlang import defaults
from latentlang.cli import options

_SHAPE = "Shape and training"


def train_sae(
    text: options.Text,
    layer: Annotated[
        int,
        typer.Option(
            help="Layer: 0 what enters the first block, l the stream after block l (counted from 1)."
        ),
    ],
    out: Annotated[
        Path,
        options.folder("Folder for cfg.json and sae_weights.safetensors (SAELens' layout).", remote=True),
    ],
    model: options.Model = defaults.MODEL,
    site: Annotated[str, typer.Option(help="Site: resid, attn_out, mlp_out or mlp_post.")] = defaults.SITE,
    lang: options.TextLanguages = None,
    items: Annotated[
        int | None,
        typer.Option(help="Paragraphs per language; what is measured later must be others. By default all."),
    ] = None,
    features: Annotated[
        int | None,
        typer.Option(help="Features; by default four for each number of the stream.", rich_help_panel=_SHAPE),
    ] = None,
    k: Annotated[int, typer.Option("--k", help="Features active at a token.", rich_help_panel=_SHAPE)] = 32,
    steps: Annotated[int, typer.Option(help="Optimiser steps.", rich_help_panel=_SHAPE)] = 2000,
    batch: Annotated[int, typer.Option(help="Tokens per step.", rich_help_panel=_SHAPE)] = 512,
    tokens: Annotated[
        int, typer.Option(help="At most so many tokens are read, and held in memory.", rich_help_panel=_SHAPE)
    ] = 200_000,
    learning_rate: Annotated[
        float, typer.Option(help="Of Adam; falls to zero at the end.", rich_help_panel=_SHAPE)
    ] = 1e-3,
    seed: Annotated[
        int, typer.Option(help="Seed of the paragraphs, the first directions and the order of tokens.")
    ] = defaults.SEED,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    as_json: options.AsJson = False,
) -> None:
    """Train a TopK sparse autoencoder (SAE) on text in whatever languages, for `latentlang features`.

    Activations and what was learned are kept while it runs: a command that was stopped goes on when it is given again.
    """
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress, echo_json, output, print_next, say
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.errors import unknown
    from latentlang.language_names import languages
    from latentlang.models.edits import EDIT_SITES
    from latentlang.tasks import ContinuationTask

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=None, seed=seed, batch_tokens=batch_tokens)
    for name, value, least in (
        ("--layer", layer, 0), ("--features", features, 1), ("--k", k, 1), ("--steps", steps, 1),
        ("--batch", batch, 1), ("--tokens", tokens, 1),
    ):  # fmt: skip
        check_count(name, value, least=least)
    if site not in EDIT_SITES:
        raise unknown("site", site, EDIT_SITES)
    task = ContinuationTask(data=text)
    codes = [entry.code for entry in languages(lang)] if lang else list(task.languages)
    total = sum(options.counted_prompts(task, codes, items=items, seed=seed).values())
    info = loading.resolve(model)
    with OutputFolder(out) as folder:
        from latentlang.models.finished_languages import forget
        from latentlang.units import train_sae as train
        from latentlang.units.sae import CONFIG, WEIGHTS, check_target

        check_target(folder.path)
        say(f"loading {info.name}")
        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        with (
            keeping_parts(unfinished, "what was done"),
            Progress("reading and training", total=total + steps) as progress,
        ):
            sae = train(
                loaded, task, layer=layer, site=site, languages=codes, items=items, features=features, k=k,
                steps=steps, batch=batch, tokens=tokens, learning_rate=learning_rate, seed=seed,
                batch_tokens=batch_tokens, out=unfinished, progress=progress.after(0),
            )  # fmt: skip
        sae.save(folder.path)
        folder.files += [folder.path / CONFIG, folder.path / WEIGHTS]
        forget(unfinished)
        trained = sae.about["training"]
        if as_json:
            return echo_json({
                "kind": "sae", "model": info.name, "seed": seed, "site": site, "layer": layer, **trained,
                "files": [str(path) for path in folder.files],
            })  # fmt: skip
        console = output()
        console.print(
            f"{info.name} · {site} at layer {layer}: {sae.features:,} features, {k} active at a token, trained on "
            f"{trained['tokens']:,} tokens in {len(codes)} languages"
        )
        console.print(
            f"R2 of the reconstruction of what it was trained on {trained['r2']:.3f}; {trained['dead']:.0%} of the "
            "features are never active."
        )
        folder.print_files(console)
        print_next(console, "features", "--model", model, "--sae", folder.path, "--text", text)
