"""``latentlang mass``: how much of each layer's distribution is on tokens of each language, over real text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.lens import LanguageMassResult

_PAGE = "mass.html"


def mass(
    text: options.Text,
    model: options.Model = "pocket",
    lang: options.TextLanguages = None,
    items: Annotated[int | None, typer.Option(help="Paragraphs per language; by default all.")] = None,
    layers: options.StoreLayers = "all",
    table: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a saved table of tokens and languages; by default one is made of all of the text."
        ),
    ] = None,
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
    """Show which language's tokens each layer would write, over real text in each of several languages.

    Writes result.parquet, metadata.json and mass.html (an interactive figure) into the output folder.
    """
    from latentlang.answers import TokenLanguages
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
    opened = None if table is None else TokenLanguages.load(table)
    info = loading.resolve(model)
    asked_for: dict[str, Any] = {
        "items": items, "layers": None if layers == "all" else layers, "table": table and str(table),
        "tuned": tuned and str(tuned), "jacobian": jacobian and str(jacobian), "seed": seed or None,
        "long-texts": None if long_texts == "refuse" else long_texts,
    }  # fmt: skip
    parts = [model_part(info.name), adapter or "", str(text), ",".join(lang) if lang else "all"]
    with OutputFolder(
        out or run_folder("mass", parts, asked_for), Claim("language-mass", (TABLE, _PAGE)), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.lens import language_mass
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        with (
            keeping_languages(unfinished, asked),
            Progress("reading", total=count, rate="paragraphs") as progress,
        ):
            result = language_mass(
                loaded, task, languages=asked, table=opened, items=items, layers=numbers, lens=fitted, seed=seed,
                long_texts=long_texts, batch_tokens=batch_tokens, resume=unfinished, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result)
        folder.page(result.figure(), _PAGE, title=f"{info.name}: language mass")
        forget(unfinished)
        folder.print_result(result, _print_table, options.print_remarks)


def _print_table(result: LanguageMassResult, console: Console) -> None:
    """A row a language of the text: what it has itself, where another one leads, and what is left out."""
    from rich.table import Table

    from latentlang.language_names import language
    from latentlang.text import lens_name

    provenance, settings = result.provenance, result.settings
    summary, leaders = result.summary(), result.leaders()
    last = int(summary["layer"].max())
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    final = " (the output)" if last == settings.n_layers else ""
    console.print(
        f"{named} · {lens_name(settings.lens)} · probability of tokens of each language; layer {last}{final}, 95% "
        "intervals over paragraphs"
    )
    console.print(
        "in text: of the text's own tokens; of none: on tokens that belong to no language", style="dim"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("text", "n", "own", "interval", "in text", "of none", "another leads"):
        table.add_column(head, justify="left" if head in ("text", "another leads") else "right")
    for code in result.languages:
        rows = summary[(summary["language"] == code) & (summary["layer"] == last)].set_index("of")
        own, masses = rows.loc[code], rows["mass"].to_dict()
        others = leaders[
            (leaders["language"] == code) & (leaders["verdict"] == "leads") & (leaders["leader"] != code)
        ].sort_values("mass", ascending=False)
        led = [f"{language(str(row['leader'])).name} {row['mass']:.2f} at layer {row['layer']}"
               for row in others.head(1).to_dict("records")]  # fmt: skip
        interval = f"[{own['low']:.3f}, {own['high']:.3f}]" if own["low"] == own["low"] else "-"
        table.add_row(
            language(code).name, f"{own['n']:.0f}", f"{own['mass']:.3f}", interval,
            f"{own['written']:.3f}", f"{masses['']:.3f}", "".join(led),
        )  # fmt: skip
    console.print(table)
