"""``latentlang harvest``: activations of a task's prompts, streamed to a store on disk; and checking a store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.arguments import split_names
from latentlang.cli import options
from latentlang.cli.cluster_options import ClusterOptions
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import InputError
from latentlang.text import are, counted

if TYPE_CHECKING:
    from latentlang.activations import ActivationStore

_KEPT = "What is kept"
_MIB = 2**20


def harvest(
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages: codes (ja or ja,hi) or a group (paper20); repeatable. Needed but with --verify."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        options.folder(
            "Folder of the store, or s3://bucket/store; needed but with --verify. A run that was stopped goes on when "
            "it is given again.",
            remote=True,
        ),
    ] = None,
    model: options.Model = defaults.MODEL,
    task: options.TaskName = defaults.TASK,
    source: options.Source = None,
    data: options.Data = None,
    accept: options.Accept = None,
    shots: options.Shots = None,
    items: options.Items = None,
    seed: Annotated[int, typer.Option(help="Seed of the items' order and the examples.")] = defaults.SEED,
    answers: Annotated[
        str | None,
        typer.Option(help="Words for the labels in the examples of closed tasks: same, en or agnostic."),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(help="Read every byte of this store and say what is damaged; nothing is run."),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            help="all, or numbers and ranges: 0,4,8-12 (0 = embeddings, l = after block l).",
            rich_help_panel=_KEPT,
        ),
    ] = defaults.LAYERS,
    pools: Annotated[
        str,
        typer.Option(
            help="What stands for a prompt: mean over its tokens, mean_no_bos, question (its tokens alone), last.",
            rich_help_panel=_KEPT,
        ),
    ] = ",".join(defaults.HARVESTED_POOLS),
    sites: Annotated[
        str, typer.Option(help="resid, attn_out, mlp_out, resid_mid, mlp_post.", rich_help_panel=_KEPT)
    ] = defaults.SITE,
    store_dtype: Annotated[
        str | None,
        typer.Option(
            help="What numbers are stored as: fp32, bf16 or fp16; by default the model's own.",
            rich_help_panel=_KEPT,
        ),
    ] = None,
    normed_last: Annotated[
        bool,
        typer.Option(
            "--normed-last",
            help="Keep the last layer behind the final norm, as the reference paper's scripts do.",
            rich_help_panel=_KEPT,
        ),
    ] = False,
    adapter: options.Adapter = None,
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
    spread: ClusterOptions = ClusterOptions(),  # noqa: B008
    as_json: options.AsJson = False,
) -> None:
    """Run prompts and keep their activations on disk, layer by layer.

    The folder is a store that `latentlang pca` and `latentlang align` read without a model.

    Run the same command again to go on with a run that was stopped.
    """
    if verify is not None:
        if lang or out is not None:
            raise InputError("--verify looks at a store that is there; leave out --lang and --out with it")
        return _verify(verify)
    if not lang:
        raise InputError("say which languages are run, e.g. --lang paper20")
    if out is None:
        raise InputError("say where the store goes, e.g. --out activations")
    from latentlang.cli.console import Progress, echo_json, say
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.language_names import languages

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    spread.check()
    numbers = options.layer_numbers(layers)
    pool_names, site_names = split_names(pools), split_names(sites)
    codes = [entry.code for entry in languages(lang)]
    built = options.built_task(task, codes, source=source, data=data, answers=answers, accept=accept)
    count = sum(options.counted_prompts(built, codes, items=items, shots=shots, seed=seed).values())
    info = loading.resolve(model)
    counts: list[int] = []
    with OutputFolder(out) as folder:
        from latentlang.activations import harvest as run
        from latentlang.activations.manifest import MANIFEST
        from latentlang.activations.shards import stored_dtype
        from latentlang.activations.writer import check_empty
        from latentlang.models.batch import check_pools, check_sites

        check_pools(pool_names)
        check_sites(site_names)
        kept_as = None if store_dtype is None else stored_dtype(store_dtype)
        if not (folder.path / MANIFEST).exists():
            check_empty(folder.path)
        how: dict[str, Any] = {
            "languages": codes, "layers": numbers, "pools": pool_names, "sites": site_names, "items": items,
            "shots": shots, "seed": seed, "share_prefix": share_prefix, "batch_tokens": batch_tokens, "dtype": kept_as,
            "normed_last": normed_last,
        }  # fmt: skip
        try:
            there = _there(out)
            started = time.monotonic()
            spread.fill(
                "harvest", {"prompts": built, **how}, out, out=folder.path, model=model, loading=loading,
                adapter=adapter, chat=chat,
            )  # fmt: skip
            say(f"loading {info.name}")
            loaded = loading.load(model, adapter=adapter)
            built = loaded.chat(built) if chat else built
            if spread.cluster is None:
                started = time.monotonic()
            with Progress("harvesting", total=count, rate="prompts") as progress:
                show = progress.after(0)

                def advance(done: int, total: int) -> None:
                    counts.append(done)
                    show(done, total)

                store = run(loaded, built, out=out, **how, progress=advance)
            seconds = time.monotonic() - started
            before = counts[0] if spread.cluster is None else there
            if as_json:
                return echo_json(_record(store, before=before))
            _print_summary(store, seconds=seconds, before=before)
        except KeyboardInterrupt:
            raise CommandInterrupt(_what_was_kept(out)) from None


def _there(out: Path) -> int:
    """How many prompts of a store are there already."""
    from latentlang.activations.manifest import MANIFEST, read_manifest
    from latentlang.activations.partial_shard import rows_kept

    return rows_kept(out, read_manifest(out)) if (out / MANIFEST).exists() else 0


def _what_was_kept(out: Path) -> str:
    """For the line that ends an interrupted command."""
    from latentlang.activations.manifest import read_manifest
    from latentlang.activations.partial_shard import rows_kept

    try:
        manifest = read_manifest(out)
    except InputError:
        return "interrupted; nothing was written"
    kept = rows_kept(out, manifest)
    if not kept:
        return f"interrupted; no prompt is kept in {out} yet: the same command begins again"
    return (
        f"interrupted; {kept:,} of {counted(manifest.rows, 'prompt')} {are(kept)} kept in {out}: run the same command "
        "again to go on"
    )


def _record(store: ActivationStore, *, before: int) -> dict[str, Any]:
    """What ``--json`` prints of a store; `before`: prompts that were in it already."""
    provenance, manifest = store.provenance, store.manifest
    return {
        "kind": "store",
        "model": provenance.model,
        "adapter": provenance.adapter,
        "task": provenance.task,
        "languages": list(provenance.languages),
        "seed": provenance.seed,
        "prompts": len(store),
        "run": len(store) - before,
        "layers": list(store.layers),
        "pools": list(store.pools),
        "sites": list(store.sites),
        "width": store.d_model,
        "widths": {site: store.width(site) for site in store.sites},
        "dtype": manifest.layout.dtype,
        "bytes": manifest.bytes,
        "folder": str(store.path),
    }


def _print_summary(store: ActivationStore, *, seconds: float, before: int) -> None:
    from rich.table import Table

    from latentlang.arguments import ranges
    from latentlang.cli.console import output, print_next

    console = output()
    provenance, count, size = store.provenance, len(store), store.manifest.bytes
    new = count - before
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_row("model", provenance.model + (f" + {provenance.adapter}" if provenance.adapter else ""))
    languages = len(provenance.languages)
    grid.add_row(
        "prompts",
        f"{count:,} of {provenance.task} in {languages} language{'' if languages == 1 else 's'}"
        + (f"; {before:,} were there before" if before else ""),
    )
    sites = "" if store.sites == ("resid",) else f", sites {', '.join(store.sites)}"
    grid.add_row(
        "each",
        f"layers {ranges(store.layers)}, pools {', '.join(store.pools)}{sites}: {store.manifest.layout.dtype} "
        f"[{store.width_words}]",
    )
    grid.add_row("size", f"{size / _MIB:,.1f} MiB in {_files(len(store.manifest.shards))}")
    if new:
        written = size * new / count
        grid.add_row(
            "time", f"{seconds:,.1f} s: {new / seconds:,.0f} prompts/s, {written / _MIB / seconds:,.1f} MiB/s"
        )
    console.print(grid)
    if not new:
        console.print("all of it was there: nothing was run")
    console.print(f"wrote {store.path}" if new else f"kept {store.path}", soft_wrap=True)
    print_next(console, "pca", store.path)
    if len(provenance.languages) > 1:
        print_next(console, "align", store.path)


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _verify(folder: Path) -> None:
    """Hash a store and print what is wrong.

    Raises:
        InputError: something is.
    """
    from latentlang.activations import find_faults, open_store
    from latentlang.activations.manifest import read_manifest
    from latentlang.cli.console import Progress, output

    manifest = read_manifest(folder)
    with Progress("hashing", total=manifest.bytes) as progress:
        faults = find_faults(folder, progress=progress.after(0))
    console = output()
    for fault in faults:
        console.print(fault, soft_wrap=True)
    if faults:
        raise InputError(f"{_files(len(faults))} of the store {str(folder)!r} cannot be relied on")
    console.print(repr(open_store(folder)))
    console.print(
        f"sound: {_files(len(manifest.shards))}, {manifest.bytes / _MIB:,.1f} MiB, as they were written"
    )
