"""``latentlang neurons``: neurons that fire in few languages, told from chance, and what a model loses without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.cluster_options import ClusterOptions
from latentlang.cli.units_shared import ablation_record, counted_items, print_ablation, print_words
from latentlang.errors import InputError, unknown
from latentlang.storage.output import TABLE
from latentlang.text import counted

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.units import NeuronAblationResult, NeuronsResult

_PAGE, _COUNTS = "neurons.html", "counts.safetensors"
_ABLATION, _ABLATION_PAGE = "ablation", "neuron-ablation.html"
_CHANCE = "Chance and selection"
_TAKEN_OUT = "Taking neurons out"


def neurons(
    context: typer.Context,
    text: options.Text,
    model: options.Model = defaults.MODEL,
    lang: options.TextLanguages = None,
    items: Annotated[
        int | None,
        typer.Option(help="Paragraphs per language that are counted; by default all that --ablate leaves."),
    ] = None,
    layers: options.StoreLayers = "all",
    tokens: Annotated[
        str,
        typer.Option(
            help="Which tokens count: all; shared (in the texts of at least half of the languages); inside (not at the "
            "beginning of a word)."
        ),
    ] = "all",
    rule: Annotated[
        str,
        typer.Option(
            help="How neurons are selected: fdr (told from chance by the null), lape, or lna.",
            rich_help_panel=_CHANCE,
        ),
    ] = "fdr",
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
            help="Also take each language's neurons out, and measure what that does to so many paragraphs of each "
            "language that were not counted.",
            rich_help_panel=_TAKEN_OUT,
        ),
    ] = None,
    value: Annotated[
        str,
        typer.Option(help="What is put in their place: zero or mean.", rich_help_panel=_TAKEN_OUT),
    ] = "zero",
    random: Annotated[
        int,
        typer.Option(
            help="Random sets of neurons beside each language's own; below 19 none can give p 0.05.",
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
    spread: ClusterOptions = ClusterOptions(),  # noqa: B008
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Count which neurons fire in few languages, and tell them from what mixed languages give by chance.

    Writes result.parquet, counts.safetensors, metadata.json and neurons.html (an interactive figure) into the output
    folder, and with --ablate the same of the ablation into its folder ablation. Each language is kept once done: a
    command that was stopped goes on when it is given again.
    """
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress, echo_json, note, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.records import result_record
    from latentlang.cli.unfinished import keeping_counts
    from latentlang.language_names import language, languages
    from latentlang.tasks import task as build_task
    from latentlang.tasks.texts import check_long_texts

    # Everything that can be wrong and is cheap to see comes before the model.
    check_long_texts(long_texts)
    options.check_counts(items=items, shots=None, seed=seed, batch_tokens=batch_tokens)
    spread.check()
    check_count("--groups", groups, least=2)
    check_count("--deals", deals, least=0)
    check_count("--random", random, least=0)
    check_count("--ablate", ablate, least=1)
    _check_choices(rule=rule, tokens=tokens, value=value, deals=deals)
    numbers = options.layer_numbers(layers)
    task = build_task("continuation", data=text)
    codes = [entry.code for entry in languages(lang)] if lang else list(task.languages)
    there = {code: len(task.prompts(code, seed=seed)) for code in codes}
    if len(codes) < 2:
        raise InputError(
            "neurons of a language are told from those of others: give at least two, e.g. --lang ja,de"
        )
    options.note_fewer(items, there)
    items = counted_items(there, items, ablate)
    total = sum(min(items or count, count) for count in there.values())
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, items=items, layers=layers, tokens=tokens, rule=rule, groups=groups, deals=deals, ablate=ablate,
        value=value, random=random, seed=seed, long_texts=long_texts,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", str(text), ",".join(lang) if lang else "all"]
    claims = [Claim("neurons", (TABLE, _COUNTS, _PAGE))]
    if ablate is not None:
        claims.append(Claim("neuron-ablation", (TABLE, _ABLATION_PAGE), _ABLATION))
    folder = OutputFolder(out or run_folder("neurons", parts, asked_for), *claims, pages=pages)
    with folder:
        from latentlang.models.finished_languages import forget
        from latentlang.units import neuron_ablation
        from latentlang.units import neurons as count

        unfinished = folder.unfinished
        ablation: NeuronAblationResult | None = None
        how: dict[str, Any] = {
            "languages": codes, "items": items, "layers": numbers, "tokens": tokens, "groups": groups, "deals": deals,
            "seed": seed, "long_texts": long_texts, "batch_tokens": batch_tokens,
        }  # fmt: skip
        with keeping_counts(unfinished, codes):
            if ablate is not None and spread.cluster is not None:
                note("--cluster shares out the counting; neurons are then taken out in this process alone")
            spread.fill(
                "neurons", {"texts": task, **how}, unfinished, out=folder.path, model=model, loading=loading,
                adapter=adapter,
            )  # fmt: skip
            say(f"loading {info.name}")
            loaded = loading.load(model, adapter=adapter)
            with Progress("counting", total=total) as progress:
                result = count(loaded, task, **how, out=unfinished, progress=progress.after(0))
            folder.save(result, others=[_COUNTS])
            folder.page(result.figure(rule=rule), _PAGE, title=f"{info.name}: neurons of languages")
            having = int((result.summary(rule)["neurons"] > 0).sum())
            if ablate is not None and not having:
                folder.no_page(
                    f"{_ABLATION}/{_ABLATION_PAGE}",
                    f"no neuron is selected by the rule {rule}, so there is nothing to take out",
                )
            elif ablate is not None:
                runs = sum(min(ablate, number - (items or 0)) for number in there.values())
                with Progress("taking out", total=runs * (1 + having * (1 + random))) as progress:
                    ablation = neuron_ablation(
                        loaded, result, task, languages=codes, items=ablate, rule=rule, value=value, random=random,
                        seed=seed, batch_tokens=batch_tokens, out=unfinished, progress=progress.after(0),
                    )  # fmt: skip
        if ablation is not None:
            folder.save(ablation, _ABLATION)
            title = f"{info.name}: without the neurons of a language"
            folder.page(ablation.figure(), f"{_ABLATION}/{_ABLATION_PAGE}", title=title)
        forget(unfinished)
        if pages.as_json:
            return echo_json(_record(result, ablation, folder, rule=rule, record=result_record))
        console = output()
        _print_counts(result, console, rule=rule, name=lambda code: language(code).name)
        if ablation is not None:
            print_ablation(ablation, console, units="neurons", name=lambda code: language(code).name)
        folder.print_files(console)


def _check_choices(*, rule: str, tokens: str, value: str, deals: int) -> None:
    from latentlang.units import RULES, TOKENS
    from latentlang.units.neurons_result import VALUES

    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if tokens not in TOKENS:
        raise unknown("choice of tokens", tokens, TOKENS)
    if value not in VALUES:
        raise unknown("value", value, VALUES)
    if rule == "fdr" and not deals:
        raise InputError("--rule fdr needs a null; give --rule lape or lna, or --deals 200")


def _record(
    result: NeuronsResult, ablation: NeuronAblationResult | None, folder: Any, *, rule: str, record: Any
) -> dict[str, Any]:
    """For ``--json``: the result, its neurons by the rule that was asked for, and the ablation."""
    from latentlang.cli.records import rows_record

    said: dict[str, Any] = record(result, folder.files)
    said |= {"rule": rule, "rows": rows_record(result.summary(rule))}
    said["neurons"] = rows_record(result.select(rule))
    if ablation is not None:
        said["ablation"] = ablation_record(ablation)
    return said


def _print_counts(result: NeuronsResult, console: Console, *, rule: str, name: Any) -> None:
    """Neurons a language, and what is said of them."""
    from rich.table import Table

    provenance = result.provenance
    named = f"{provenance.model} + {provenance.adapter}" if provenance.adapter else provenance.model
    console.print(f"{named} · neurons of {counted(len(result.languages), 'language')} · rule {rule}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("language", "tokens", "neurons", "specific", "related", "median layer", "stability", "LAPE"):
        table.add_column(head, justify="left" if head == "language" else "right")
    plain = result.summary("lape").set_index("language")["neurons"]
    for row in result.summary(rule).to_dict("records"):
        code = str(row["language"])
        numbers = [
            f"{row[column]:.{places}f}" if row[column] == row[column] else "-"
            for column, places in (("median_layer", 1), ("stability", 2))
        ]
        table.add_row(
            name(code), f"{result.settings.counted[code]:,}", str(row["neurons"]), str(row["specific"]),
            str(row["related"]), *numbers, str(plain[code]),
        )  # fmt: skip
    console.print(table)
    print_words(result.describe(), console)
