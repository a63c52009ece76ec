"""``latentlang bits``: how well each layer predicts real text, in bits per UTF-8 byte."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.lens import BitsResult


def bits(
    text: options.Text,
    model: options.Model = "pocket",
    lang: options.TextLanguages = None,
    items: Annotated[int | None, typer.Option(help="Paragraphs per language; by default all.")] = None,
    layers: options.StoreLayers = "all",
    tuned: Annotated[
        Path | None,
        typer.Option(help="Folder of a tuned lens (`latentlang tune`) to read the layers through."),
    ] = None,
    jacobian: options.Jacobian = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the paragraphs that are drawn and of the intervals.")
    ] = 0,
    out: options.Out = None,
    adapter: options.Adapter = None,
    long_texts: options.LongTexts = "refuse",
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Show how many bits each layer needs for a byte of real text, language by language.

    Writes result.parquet, metadata.json and bits.html (an interactive figure) into the output folder.
    """
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_languages
    from latentlang.language_names import languages
    from latentlang.storage.output import TABLE
    from latentlang.tasks import ContinuationTask
    from latentlang.tasks.texts import check_long_texts

    # Everything that can be wrong and is cheap to see comes before the model.
    check_long_texts(long_texts)
    options.check_counts(items=items, shots=None, seed=seed, batch_tokens=batch_tokens)
    numbers = options.layer_numbers(layers)
    fitted = options.one_lens(tuned, jacobian)
    task = ContinuationTask(data=text)
    asked = [entry.code for entry in languages(lang)] if lang else list(task.languages)
    count = sum(options.counted_prompts(task, asked, items=items, seed=seed).values())
    info = loading.resolve(model)
    asked_for: dict[str, Any] = {
        "items": items, "layers": None if layers == "all" else layers, "tuned": tuned and str(tuned),
        "jacobian": jacobian and str(jacobian),
        "seed": seed or None,
        "long-texts": None if long_texts == "refuse" else long_texts,
    }  # fmt: skip
    parts = [model_part(info.name), adapter or "", str(text), ",".join(lang) if lang else "all"]
    with OutputFolder(
        out or run_folder("bits", parts, asked_for), Claim("bits", (TABLE, "bits.html")), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.figures.bits import bits_figure
        from latentlang.lens import bits_per_byte
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        with (
            keeping_languages(unfinished, asked),
            Progress("reading", total=count, rate="paragraphs") as progress,
        ):
            result = bits_per_byte(
                loaded, task, languages=asked, items=items, layers=numbers, lens=fitted, seed=seed,
                long_texts=long_texts, batch_tokens=batch_tokens, resume=unfinished, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result)
        folder.page(bits_figure(result), "bits.html", title=f"{info.name}: bits per byte")
        forget(unfinished)
        folder.print_result(result, _print_table, options.print_remarks)


def _print_table(result: BitsResult, console: Console) -> None:
    """Bits per byte of the last layer that was read and of the best one, a row a language."""
    from rich.table import Table

    from latentlang.language_names import language
    from latentlang.text import lens_name

    provenance, settings, summary = result.provenance, result.settings, result.summary()
    relative = result.relative() if "en" in set(summary["language"]) else None
    last = int(summary["layer"].max())
    final = " (the output)" if last == settings.n_layers else ""
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    console.print(
        f"{named} · {lens_name(settings.lens)} · bits per UTF-8 byte at layer {last}{final}, "
        "95% intervals over n paragraphs" + ("" if relative is None else "; en = 1: bits beside English")
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = ["language", "n", "bits/byte", "interval", "bits/token", "least", "at layer"]
    for head in [*heads, *([] if relative is None else ["en = 1"])]:
        table.add_column(head, justify="left" if head == "language" else "right")
    for code, part in summary.groupby("language", sort=False):
        rows = part.to_dict("records")
        output = next(row for row in rows if row["layer"] == last)
        best = min(rows, key=lambda row: float(row["bits_per_byte"]))
        cells = [
            language(str(code)).name, str(output["n"]), f"{output['bits_per_byte']:.3f}",
            _interval(output), f"{output['bits_per_token']:.2f}",
            f"{best['bits_per_byte']:.3f}", str(best["layer"]),
        ]  # fmt: skip
        if relative is not None:
            shares = relative[(relative["language"] == code) & (relative["layer"] == last)]["relative"]
            cells.append(f"{shares.iloc[0]:.2f}" if len(shares) else "")
        table.add_row(*cells)
    console.print(table)


def _interval(row: Mapping[Hashable, Any]) -> str:
    """The interval of bits per byte; none of one or two paragraphs."""
    return "none" if row["low"] != row["low"] else f"[{row['low']:.3f}, {row['high']:.3f}]"
