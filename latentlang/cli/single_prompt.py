"""Two more looks of ``latentlang lens``: one prompt token by token, and all languages at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.arguments import check_count, ranges
from latentlang.cli.output_folder import OUT, Claim, OutputFolder, slug
from latentlang.errors import InputError
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from latentlang.cli.options import LoadOptions, PageOptions
    from latentlang.lens import ExplorerResult, MultilingualLensResult

#: What `say_who_leads` writes.
LANGUAGES = Claim("multilingual-lens", (TABLE, "languages.html"), "languages")
_CELL = 14  # columns of a terminal that one candidate takes


def explore_prompt(
    model: str,
    prompt: str,
    *,
    top: int,
    layers: str | Sequence[int],
    lens: Path | None,
    kind: str,
    out: Path | None,
    adapter: str | None,
    batch_tokens: int | None,
    loading: LoadOptions,
    pages: PageOptions,
) -> None:
    """Read one prompt at every token and layer, or some; print the last token's candidates, write a figure of them all.

    The folder's name says `kind` of lens, where there is one.

    Raises:
        InputError: an empty prompt or a number that makes no sense.
    """
    from latentlang.cli.console import say

    if not prompt:
        raise InputError("--prompt is empty; give the text to look into")
    check_count("--top", top, least=1)
    check_count("--batch-tokens", batch_tokens, least=1)
    info = loading.resolve(model)
    named = hashlib.sha256(prompt.encode()).hexdigest()[:8]
    through = f"-{kind}-{slug(lens.name)}" if lens is not None else ""
    some = "" if isinstance(layers, str) else f"-layers-{slug(ranges(layers))}"
    folder = OutputFolder(
        out or OUT / f"prompt-{slug(Path(info.name).name)}-{named}{through}{some}",
        Claim("explore", (TABLE, "prompt.html")),
        pages=pages,
    )
    with folder:
        say(f"loading {info.name}")
        from latentlang.lens import explore
        from latentlang.lens.prompt_run import lens_layers

        loaded = loading.load(model, adapter=adapter)
        chosen = layers if isinstance(layers, str) else lens_layers(layers, depth=loaded.n_layers)
        result = explore(loaded, prompt, top=top, layers=chosen, lens=lens, batch_tokens=batch_tokens)
        if not pages.as_json:
            _print_last(result, top)
        folder.save(result)
        folder.page(result.figure(), "prompt.html", title=f"{info.name}: one prompt, token by token")
        folder.print_result(result)


def _print_last(result: ExplorerResult, top: int) -> None:
    from rich.table import Table

    from latentlang.cli.console import output
    from latentlang.figures.header import through_words

    console = output()
    table = result.table
    through = f" {words}" if (words := through_words(result.provenance)) else ""
    last = table[table["position"] == table["position"].max()]
    shown = max(1, min(top, (console.width - 30) // _CELL))
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("layer", "entropy", "KL to output", *(f"{rank}." for rank in range(1, shown + 1))):
        grid.add_column(head, justify="right" if head in ("layer", "entropy", "KL to output") else "left")
    for layer, part in last.groupby("layer"):
        part = part.sort_values("rank")
        cells = [f"{row.text} {row.probability:.2f}" for row in part.head(shown).itertuples()]
        first = part.iloc[0]
        grid.add_row(str(layer), f"{first['entropy']:.1f}", f"{first['kl']:.1f}", *cells)
    console.print(
        f"what each layer would say{through} after {last.iloc[0]['token']!r} (bits; probability beside each token)"
    )
    console.print(grid)


def say_who_leads(result: MultilingualLensResult, folder: OutputFolder, *, silent: bool = False) -> None:
    """Write result and heat map, and print who leads among all languages read, unless `silent`."""
    from latentlang.cli.console import output
    from latentlang.figures.header import through_words
    from latentlang.lens.text import unread_notes

    console, provenance = output(), result.provenance
    origin = f", from {' or '.join(provenance.sources)}" if provenance.sources else ""
    through = through_words(provenance) or "through the plain logit lens"
    if not silent:
        console.print()
        console.print(f"all languages at once, {through}{origin}: {result.pivot_test()}")
        for line in unread_notes(result.settings.notes):
            console.print(f"note: {line}", highlight=False, markup=False)
    folder.save(result, LANGUAGES.folder)
    title = f"{provenance.model}: {provenance.task}, all languages at once"
    folder.page(result.figure(), f"{LANGUAGES.folder}/languages.html", title=title)
    if not silent:
        folder.print_files(console)
