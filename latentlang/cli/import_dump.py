"""``latentlang import``: hidden states of another engine as a store, a sample of them held against our own reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.arguments import check_count, split_names
from latentlang.cli import options
from latentlang.cli.exit_codes import CommandInterrupt

if TYPE_CHECKING:
    from latentlang.activations import ActivationStore

_HELD = "What the hidden states are"


def import_dump(
    states: Annotated[
        Path,
        typer.Argument(
            help="Folder of vLLM's files, a file for each prompt; or one .safetensors or .npz file."
        ),
    ],
    prompts: Annotated[
        Path,
        typer.Option(
            help="Their prompts, in their order: .csv, .jsonl or .parquet with prompt, and language, item, label, file."
        ),
    ],
    out: Annotated[Path, options.folder("Folder of the store, or s3://bucket/store.", remote=True)],
    model: Annotated[
        str | None,
        typer.Option(
            help="The model they are of: tokens are compared, a sample is read again. Without it nothing is checked."
        ),
    ] = None,
    sample: Annotated[int, typer.Option(help="With --model: prompts that are read again.")] = 8,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="With --model: largest difference, relative to the layer's largest number; by default 0.001 in "
            "float32, 0.02 in float16, 0.05 in bfloat16."
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Layers along the axis of hidden_states, in its order (vLLM's eagle_aux_hidden_state_layer_ids); or "
            "which of the named layers to take.",
            rich_help_panel=_HELD,
        ),
    ] = None,
    shift: Annotated[
        int, typer.Option(help="Added to the numbers in the names of layers.", rich_help_panel=_HELD)
    ] = 0,
    normed_last: Annotated[
        bool,
        typer.Option(
            "--normed-last",
            help="The last layer stands behind the final norm (Hugging Face's hidden_states[-1]).",
            rich_help_panel=_HELD,
        ),
    ] = False,
    pools: Annotated[
        str,
        typer.Option(
            help="What is to stand for a prompt: mean, last; with --model also mean_no_bos, question. Of a file of "
            "vectors, the one that they are.",
            rich_help_panel=_HELD,
        ),
    ] = "mean,last",
    store_dtype: Annotated[
        str | None,
        typer.Option(help="What numbers are stored as: fp32, bf16 or fp16; by default as they are."),
    ] = None,
    adapter: options.Adapter = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    as_json: options.AsJson = False,
) -> None:
    """Take in hidden states of another engine (vLLM, transformers) as a store.

    The folder is a store that `latentlang pca` and `latentlang align` read without a model.

    With --model, a sample of the prompts is read again: what differs is refused, with the layer and the likely cause.
    """
    from latentlang.cli.console import Progress, echo_json, say
    from latentlang.cli.output_folder import OutputFolder

    check_count("--sample", sample, least=1)
    numbers = None if layers is None else options.layer_numbers(layers)
    if model is not None:
        loading.resolve(model)
    with OutputFolder(out) as folder:
        from latentlang.activations import import_activations

        loaded = None
        if model is not None:
            say(f"loading {model}")
            loaded = loading.load(model, adapter=adapter)
        try:
            with Progress("importing", rate="prompts") as progress:
                store = import_activations(
                    states, prompts, out=folder.path, layers=numbers, pools=split_names(pools), model=loaded,
                    sample=sample, tolerance=tolerance, shift=shift, normed_last=normed_last, dtype=store_dtype,
                    progress=progress.after(0),
                )  # fmt: skip
        except KeyboardInterrupt:
            raise CommandInterrupt(
                f"interrupted; what is whole is kept in {folder.path}: run the same command again to go on"
            ) from None
    if as_json:
        return echo_json(_record(store))
    _print(store)


# The word is one of Python's own.
import_dump.__name__ = "import"


def _record(store: ActivationStore) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "kind": "store",
        "model": store.provenance.model,
        "languages": list(store.provenance.languages),
        "prompts": len(store),
        "layers": list(store.layers),
        "pools": list(store.pools),
        "width": store.d_model,
        "dtype": store.manifest.layout.dtype,
        "imported": store.provenance.settings["imported"],
        "folder": str(store.path),
    }


def _print(store: ActivationStore) -> None:
    from latentlang.cli.console import output, print_next

    console = output()
    console.print(store.describe(), soft_wrap=True)
    check = store.provenance.settings["imported"]
    if check["checked"]:
        console.print(
            f"checked on {check['checked']} prompts: they differ from our own reading by at most "
            f"{check['difference']:.2g} of a layer's largest number (layer {check['layer']}; let pass up to "
            f"{check['tolerance']:.2g})",
            soft_wrap=True,
        )
    else:
        console.print("not checked: give --model to have a sample read again", soft_wrap=True)
    console.print(f"wrote {store.path}", soft_wrap=True)
    print_next(console, "pca", store.path)
