"""``latentlang features``: an SAE's features of languages, reconstruction first, and what a model does without them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.units_shared import ablation_record, counted_items, print_ablation, print_words
from latentlang.errors import InputError, unknown
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.units import FeatureAblationResult, FeaturesResult

_PAGE, _FILES = "features.html", ("features.safetensors", "overlap.parquet")
_ABLATION, _ABLATION_PAGE = "ablation", "feature-ablation.html"
_CHANCE = "Chance and selection"
_TAKEN_OUT = "Taking features out"


def features(
    context: typer.Context,
    sae: Annotated[
        Path,
        typer.Option(
            help="Folder of the SAE: of SAELens, Gemma Scope (1 and 2) or sparsify, or of `latentlang train-sae`."
        ),
    ],
    text: options.Text,
    model: options.Model = defaults.MODEL,
    lang: options.TextLanguages = None,
    items: Annotated[
        int | None,
        typer.Option(help="Paragraphs per language that are counted; by default all that --ablate leaves."),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            help="Layer of the SAE's activations, where its files do not say it (block N's output: N + 1)."
        ),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(help="Site, where its files do not say it: resid, attn_out, mlp_out or mlp_post."),
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out/--no-held-out",
            help="Leave out paragraphs that the SAE was trained on, as far as its files say which.",
        ),
    ] = True,
    splice: Annotated[
        bool,
        typer.Option(
            "--splice/--no-splice",
            help="Also measure bits per byte with the reconstruction in the activation's place (two more runs).",
        ),
    ] = True,
    rule: Annotated[
        str,
        typer.Option(
            help="How features are selected: nu (difference of means) or entropy.", rich_help_panel=_CHANCE
        ),
    ] = "nu",
    top: Annotated[int, typer.Option(help="Features of a language, at most.", rich_help_panel=_CHANCE)] = 10,
    groups: Annotated[
        int,
        typer.Option(help="Groups of paragraphs that are dealt out.", rich_help_panel=_CHANCE),
    ] = 10,
    deals: Annotated[
        int,
        typer.Option(
            help="How often they are dealt out to mixed pseudo-languages; 0 for no null.",
            rich_help_panel=_CHANCE,
        ),
    ] = 200,
    ablate: Annotated[
        int | None,
        typer.Option(
            help="Also take each language's features out, and measure what that does to so many paragraphs of each "
            "language that were not counted.",
            rich_help_panel=_TAKEN_OUT,
        ),
    ] = None,
    take_out: Annotated[
        int,
        typer.Option(
            help="So many features of each language are taken out at once.", rich_help_panel=_TAKEN_OUT
        ),
    ] = 2,
    value: Annotated[
        str,
        typer.Option(
            help="zero: what they add is taken away; mean: their mean over languages; direction: all that lies along "
            "their directions.",
            rich_help_panel=_TAKEN_OUT,
        ),
    ] = "zero",
    random: Annotated[
        int,
        typer.Option(
            help="Random sets of features beside each language's own; below 19 none can give p 0.05.",
            rich_help_panel=_TAKEN_OUT,
        ),
    ] = 20,
    seed: Annotated[
        int, typer.Option(help="Seed of the paragraphs, groups, deals, random sets and intervals.")
    ] = defaults.SEED,
    out: options.Out = None,
    adapter: options.Adapter = None,
    long_texts: options.LongTexts = "refuse",
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Measure how a sparse autoencoder (SAE) reconstructs each language, and which features belong to which.

    Writes result.parquet, overlap.parquet, features.safetensors, metadata.json and features.html (an interactive
    figure) into the output folder, and with --ablate the same of the ablation into its folder ablation. Paragraphs that
    the SAE was trained on, as far as it says, are left out (--no-held-out: counted too). Each language is kept once
    done: a command that was stopped goes on when it is given again.
    """
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress, echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.unfinished import keeping_counts
    from latentlang.language_names import language, languages
    from latentlang.tasks import ContinuationTask
    from latentlang.tasks.texts import check_long_texts

    # Everything that can be wrong and is cheap to see comes before the model.
    check_long_texts(long_texts)
    options.check_counts(items=items, shots=None, seed=seed, batch_tokens=batch_tokens)
    for name, number, least in (
        ("--groups", groups, 2), ("--deals", deals, 0), ("--random", random, 0), ("--ablate", ablate, 1),
        ("--layer", layer, 0), ("--top", top, 1), ("--take-out", take_out, 1),
    ):  # fmt: skip
        check_count(name, number, least=least)
    _check_choices(rule=rule, value=value)
    codes = [entry.code for entry in languages(lang)] if lang else []
    from latentlang.units.sae_files import read_sae

    # in the order in which they are asked for: the SAE, then the text
    read = read_sae(sae, layer=layer, site=site)
    task = ContinuationTask(data=text)
    codes = codes or list(task.languages)
    if len(codes) < 2:
        raise InputError(
            "features of a language are told from those of others: give at least two, e.g. --lang ja,de"
        )
    fdr = _fdr(deals)
    from latentlang.units.features_run import fresh_paragraphs

    fresh, _trained, _about = fresh_paragraphs(
        task, codes, known=read.texts, items=None, held_out=held_out, seed=seed
    )
    there = {code: len(each) for code, each in fresh.items()}
    unseen = " that the SAE was not trained on" * held_out
    options.note_fewer(items, there, why=f"there are no more{unseen}")
    items = counted_items(there, items, ablate, which=unseen)
    total = sum(min(items or count, count) for count in there.values()) * (3 if splice else 1)
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, items=items, held_out=held_out, splice=splice, rule=rule, top=top, groups=groups, deals=deals,
        ablate=ablate, take_out=take_out, value=value, random=random, seed=seed, long_texts=long_texts,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", sae.name, str(text), ",".join(lang) if lang else "all"]
    claims = [Claim("features", (TABLE, *_FILES, _PAGE))]
    if ablate is not None:
        claims.append(Claim("feature-ablation", (TABLE, _ABLATION_PAGE), _ABLATION))
    folder = OutputFolder(out or run_folder("features", parts, asked_for), *claims, pages=pages)
    with folder:
        say(f"loading {info.name}")
        from latentlang.models.finished_languages import forget
        from latentlang.units import feature_ablation
        from latentlang.units import features as count

        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        ablation: FeatureAblationResult | None = None
        with keeping_counts(unfinished, codes):
            with Progress("counting", total=total) as progress:
                result = count(
                    loaded, read, task, languages=codes, items=items, held_out=held_out, splice=splice, groups=groups,
                    deals=deals, seed=seed, long_texts=long_texts, batch_tokens=batch_tokens, out=unfinished,
                    progress=progress.after(0),
                )  # fmt: skip
            folder.save(result, others=_FILES)
            folder.page(result.figure(rule=rule), _PAGE, title=f"{info.name}: features of languages")
            having = int((result.summary(rule, top=take_out, fdr=fdr)["features"] > 0).sum())
            if ablate is not None and not having:
                folder.no_page(
                    f"{_ABLATION}/{_ABLATION_PAGE}",
                    f"no feature is selected by the rule {rule}, so there is nothing to take out",
                )
            elif ablate is not None:
                runs = sum(min(ablate, number - (items or 0)) for number in there.values())
                with Progress("taking out", total=runs * (1 + having * (1 + random))) as progress:
                    ablation = feature_ablation(
                        loaded, read, result, task, languages=codes, items=ablate, rule=rule, top=take_out, fdr=fdr,
                        value=value, random=random, seed=seed, batch_tokens=batch_tokens, out=unfinished,
                        progress=progress.after(0),
                    )  # fmt: skip
        if ablation is not None:
            folder.save(ablation, _ABLATION)
            title = f"{info.name}: without the features of a language"
            folder.page(ablation.figure(), f"{_ABLATION}/{_ABLATION_PAGE}", title=title)
        forget(unfinished)
        if pages.as_json:
            return echo_json(_record(result, ablation, folder, rule=rule, top=top, fdr=fdr))
        console = output()
        _print_features(result, console, rule=rule, top=top, fdr=fdr, name=lambda code: language(code).name)
        if ablation is not None:
            print_ablation(ablation, console, units="features", name=lambda code: language(code).name)
        folder.print_files(console)


def _check_choices(*, rule: str, value: str) -> None:
    from latentlang.units.features_result import RULES
    from latentlang.units.sae import VALUES

    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if value not in VALUES:
        raise unknown("value", value, VALUES)


def _fdr(deals: int) -> float | None:
    from latentlang.units.features_result import FDR

    return FDR if deals else None


def _record(
    result: FeaturesResult,
    ablation: FeatureAblationResult | None,
    folder: Any,
    *,
    rule: str,
    top: int,
    fdr: Any,
) -> dict[str, Any]:
    """For ``--json``: the result, its features by the rule that was asked for, the overlaps, and the ablation."""
    from latentlang.cli.records import result_record, rows_record

    said = result_record(result, folder.files)
    said |= {"rule": rule, "rows": rows_record(result.summary(rule, top=top, fdr=fdr))}
    said["features"] = rows_record(result.select(rule, top=top, fdr=fdr))
    said["overlap"] = rows_record(result.overlap())
    if ablation is not None:
        said["ablation"] = ablation_record(ablation)
    return said


def _print_features(
    result: FeaturesResult, console: Console, *, rule: str, top: int, fdr: float | None, name: Any
) -> None:
    """How each language is reconstructed, its features, and what is said of them."""
    from rich.table import Table

    from latentlang.text import signed

    provenance = result.provenance
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    settings = result.settings
    console.print(
        f"{named} · {settings.features:,} features of {settings.site} at layer {settings.layer} · rule {rule}"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("language", "tokens", "R2", "L0", "dead", "bits/byte", "recovered", "features", "first"):
        table.add_column(head, justify="left" if head == "language" else "right")
    first = result.select(rule, top=top, fdr=fdr).groupby("language")["feature"].first()
    for row in result.summary(rule, top=top, fdr=fdr).to_dict("records"):
        code = str(row["language"])
        told = row["recovered"] == row["recovered"]
        table.add_row(
            name(code), f"{row['tokens']:,}", f"{row['r2']:.2f}{' !' if row['flag'] else ''}", f"{row['l0']:.1f}",
            f"{row['dead']:.0%}", signed(row["spliced"], 3, keep_side=False) if settings.spliced else "-",
            f"{row['recovered']:.0%}" if told else "-", str(row["features"]), str(first.get(code, "-")),
        )  # fmt: skip
    console.print(table)
    print_words(result.describe(), console)
