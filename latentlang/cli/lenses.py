"""``latentlang lenses``: the pivot under several lenses, on the same items, with one null."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError, unknown
from latentlang.paths import usable_path
from latentlang.storage.output import TABLE

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.lens import PivotByLensResult

_PAGE = "lenses.html"
_ALL = "all"
_FITTED = ("tuned", "jacobian")


def lenses(
    context: typer.Context,
    lang: Annotated[
        list[str],
        typer.Option(help="Target language: codes (ja or ja,hi) or a group (paper20); repeatable."),
    ],
    lens: Annotated[
        list[str],
        typer.Option(
            help="logit, tuned:FOLDER or jacobian:FOLDER (or a published file), NAME= before it to call it so; "
            "repeatable, at least two. The first is what the others are held against."
        ),
    ],
    model: options.Model = defaults.MODEL,
    task: options.TaskName = defaults.LENS_TASK,
    source: options.Source = None,
    data: options.Data = None,
    pivot: Annotated[str, typer.Option(help="Language whose gap is compared.")] = defaults.PIVOT,
    candidates: Annotated[
        list[str] | None,
        typer.Option(help="Languages whose words are read, codes or a group; by default all the task has."),
    ] = None,
    shots: options.Shots = None,
    items: options.Items = None,
    seed: options.Seed = defaults.SEED,
    policy: Annotated[
        str, typer.Option(help="Which tokens count: exclusive, or against-target.")
    ] = defaults.POLICY,
    layers: options.LensLayers = "all",
    level: Annotated[
        float, typer.Option(help="Of the verdicts and the intervals.", min=0.0, max=1.0)
    ] = defaults.LEVEL,
    out: options.Out = None,
    adapter: options.Adapter = None,
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
) -> None:
    """Compare lenses on a pivot: is it there under each of them, or is it one lens's own?

    Reads the same items through every lens, with one null for all. Writes result.parquet, metadata.json and
    lenses.html (an interactive figure) into the output folder.
    """
    from latentlang.cli.console import Progress, echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.records import result_record, rows_record
    from latentlang.cli.unfinished import keeping_languages
    from latentlang.language_names import language, languages
    from latentlang.lens import CANDIDATE_POLICIES
    from latentlang.stats.intervals import check_level
    from latentlang.tasks.base import check_pivot

    # Everything that can be wrong and is cheap to see comes before the model.
    given = named_lenses(lens)
    if policy not in CANDIDATE_POLICIES:
        raise unknown("policy", policy, CANDIDATE_POLICIES)
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    check_level(level)
    numbers = options.layer_numbers(layers)
    targets = [entry.code for entry in languages(lang)]
    pivot = language(pivot).code
    read = [entry.code for entry in languages(candidates)] if candidates else None
    built = options.built_task(task, targets, source=source, data=data, answers=None, accept=None)
    check_pivot(built, pivot)
    count = sum(options.counted_prompts(built, targets, items=items, shots=shots, seed=seed).values())
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, lens=lens, source=source, data=data, pivot=pivot, candidates=candidates, shots=shots, items=items,
        seed=seed, policy=policy, layers=layers, chat="turns" if chat else None,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", task, "-".join(lang)]
    with OutputFolder(
        out or run_folder("lenses", parts, asked_for), Claim("pivot-by-lens", (TABLE, _PAGE)), pages=pages
    ) as folder:
        say(f"loading {info.name}")
        from latentlang.lens import pivot_by_lens
        from latentlang.models.finished_languages import forget

        loaded = loading.load(model, adapter=adapter)
        built = loaded.chat(built) if chat else built
        unfinished = folder.unfinished
        with keeping_languages(unfinished, targets), Progress("reading", total=count) as progress:
            result = pivot_by_lens(
                loaded, built, lenses=given, languages=targets, pivot=pivot, candidates=read, items=items, shots=shots,
                seed=seed, policy=policy, layers=numbers, share_prefix=share_prefix, batch_tokens=batch_tokens,
                resume=unfinished, progress=progress.after(0),
            )  # fmt: skip
        folder.save(result)
        forget(unfinished)
        title = f"{info.name}: {language(pivot).name} under {len(given)} lenses"
        folder.page(result.figure(), _PAGE, title=title)
        if pages.as_json:
            record = result_record(result, folder.files)
            return echo_json(record | {"gaps": rows_record(result.gaps(level))})
        console = output()
        _print(result, console, level=level)
        folder.print_files(console)


def named_lenses(given: tuple[str, ...] | list[str]) -> dict[str, Path | None]:
    """Lenses by what they are called, from ``logit``, ``tuned:FOLDER`` and ``NAME=jacobian:PATH``.

    Raises:
        InputError: fewer than two, one that is none of these or is not there, or a name twice.
    """
    from latentlang.lens.tuned import check_saved_lens

    named: dict[str, Path | None] = {}
    for entry in given:
        name, equals, rest = entry.partition("=")
        what, colon, where = (rest if equals else entry).partition(":")
        if (what == "logit") == bool(colon) or (what != "logit" and (what not in _FITTED or not where)):
            raise InputError(
                f"--lens {entry!r} is no lens; give logit, tuned:FOLDER or jacobian:FOLDER (or a published file), and "
                "NAME= before it to call it so"
            )
        called = name.strip() if equals else what
        if not called or called in named:
            why = (
                f"there are two lenses called {called!r}"
                if called
                else f"the name in --lens {entry!r} is empty"
            )
            raise InputError(f"{why}; call each by a name of its own, such as --lens english=jacobian:FOLDER")
        named[called] = usable_path(Path(where)) if where else None
    for path in filter(None, named.values()):
        check_saved_lens(path)
    if len(named) < 2:
        raise InputError("lenses are compared; give at least two, such as --lens logit --lens tuned:FOLDER")
    return named


def _print(result: PivotByLensResult, console: Console, *, level: float) -> None:
    """The pivot's gap under each lens, and the same in words."""
    from rich.table import Table

    from latentlang.language_names import language
    from latentlang.text import signed

    name = language(result.settings.pivot).name
    provenance = result.provenance
    console.print(f"{provenance.model} · {provenance.task} · {name} under {len(result.lenses)} lenses")
    console.print(
        f"{name}'s gap over the layers before the last, and how it differs from the first lens's", style="dim"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("language", "lens", "gap", "difference", "interval", "items"):
        table.add_column(head, justify="left" if head in ("language", "lens") else "right")
    for row in result.differences(level).to_dict("records"):
        named = _ALL if row["language"] == _ALL else language(str(row["language"])).name
        certain = row["difference"] == row["difference"]
        change = (
            [signed(row["difference"]), f"[{signed(row['low'])}, {signed(row['high'])}]"]
            if certain
            else ["", ""]
        )
        table.add_row(named, str(row["lens"]), signed(row["gap"]), *change, str(row["n"]))
    console.print(table)
    for line in result.describe(level).splitlines():
        console.print()
        console.print(line, highlight=False, markup=False)
