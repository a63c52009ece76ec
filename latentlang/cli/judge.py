"""``latentlang judge``: answers judged by models, two sets beside each other or one alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.asking_options import AskingOptions

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.judging import JudgementResult


def judge(
    context: typer.Context,
    answers: Annotated[
        list[Path],
        typer.Argument(
            help="One or two sets of answers: JSON lines with id, language, question and answer, or a folder of a "
            "result with them; one that has answers before and after training is two sets.",
            metavar="ANSWERS [ANSWERS]",
        ),
    ],
    judge: Annotated[
        list[str],
        typer.Option(
            help="What judges: openai:MODEL@URL, openai:MODEL, local:MODEL, replay:FILE or table:FILE; may be given "
            "several times."
        ),
    ],
    template: Annotated[
        str | None,
        typer.Option(
            help="What it is asked: pairwise, rating5, rating10, scores-in-tags, rating-in-brackets, or a YAML file; "
            "by default pairwise of two sets and rating5 of one."
        ),
    ] = None,
    template_language: Annotated[
        str | None,
        typer.Option(help="Language in which judges are asked: en (default), de, es, fr, ja, ru or zh."),
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What the sets are called, with a comma; by default as their files.")
    ] = None,
    lang: Annotated[
        list[str] | None, typer.Option(help="Languages to judge, e.g. en,ja; by default all.")
    ] = None,
    items: Annotated[int | None, typer.Option(help="Questions per language; by default all.")] = None,
    regrade: Annotated[
        float, typer.Option(help="Share of the items that is judged again, to see whether judges drift.")
    ] = defaults.REGRADE,
    nulls: Annotated[
        float,
        typer.Option(
            help="Share of the items of which an answer is judged beside itself and beside another question's."
        ),
    ] = defaults.NULLS,
    seed: Annotated[
        int, typer.Option(help="Seed of the items, the order of the calls and the intervals.")
    ] = 0,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    asking: AskingOptions = AskingOptions(),  # noqa: B008
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Have models judge answers: two sets in both orders, or one set by grades; with nulls and what may be bias.

    Writes result.parquet, metadata.json, judgement.csv (the printed table) and judgement.html; replies are kept as they
    come, so that the same command goes on where one was stopped.
    """
    from latentlang.cli.instructions.making import (
        REPLIES,
        askers,
        keeping_replies,
        planners,
        prices_of,
        print_plan,
        provider_options,
    )
    from latentlang.cli.output_folder import Claim, OutputFolder, run_folder
    from latentlang.errors import InputError
    from latentlang.instructions.providers import provider as provider_of
    from latentlang.judging import judge as judged
    from latentlang.storage.output import TABLE

    options.check_counts(items=items, shots=None, seed=seed)
    if len(answers) > 2:
        raise InputError(f"one or two sets of answers can be judged, not {len(answers)}; judge two at a time")
    prices = prices_of(asking)
    sources = [provider_of(text, options=provider_options(asking, loading)) for text in judge]
    asked_for = options.asked_for(
        context,
        template=template and Path(template).stem,
        template_language=template_language,
        items=items,
        regrade=regrade,
        nulls=nulls,
        seed=seed,
    )
    parts = [*(path.stem for path in answers), ",".join(judge), ",".join(lang) if lang else ""]
    path = out or run_folder("judge", parts, asked_for)
    cache = asking.cache or path / REPLIES
    chosen: dict[str, Any] = {
        "template": template, "template_language": template_language,
        "names": None if names is None else [one.strip() for one in names.split(",")],
        "languages": lang, "items": items, "regrade": regrade, "nulls": nulls, "seed": seed,
    }  # fmt: skip
    if asking.dry_run:
        plans = planners(sources, asking, cache=cache)
        judged(*answers, judges=plans, progress=False, **chosen)
        return print_plan(*(planner.plan(prices) for planner in plans), as_json=pages.as_json)
    claim = Claim("judgement", (TABLE, "judgement.csv", "judgement.html"))
    with OutputFolder(path, claim, pages=pages) as folder:
        judges = askers(sources, asking, cache=cache)
        with keeping_replies(judges, cache=cache):
            result = judged(*answers, judges=judges, **chosen)
        folder.save(result)
        folder.text("judgement.csv", result.summary().to_csv(index=False))
        if (result.table["code"] == "").any():
            folder.page(result.figure(), "judgement.html", title=f"Judgement by {result.provenance.model}")
        else:
            folder.no_page("judgement.html", "no reply could be read, so there is nothing to draw")
        folder.print_result(result, _print_table, options.print_description)


def _print_table(result: JudgementResult, console: Console) -> None:
    """A row a judge and language."""
    from rich.table import Table

    from latentlang.judging.judgement_text import language_words

    table = Table(box=None, pad_edge=False, header_style="bold")
    several = len(result.judges) > 1
    heads = [*(["judge"] if several else []), "language"]
    numbers = (
        ["win rate", "interval", "won", "tied", "lost", "unread"]
        if result.pairwise
        else ["mean", "interval", "items", "unread"]
    )
    if not result.pairwise:
        heads.append("answers")
    for head in heads:
        table.add_column(head, overflow="fold")
    for head in numbers:
        table.add_column(head, justify="right")
    for row in result.summary().to_dict("records"):
        cells = [*([str(row["judge"])] if several else []), language_words(str(row["language"]))]
        if result.pairwise:
            interval = _interval(row, 3) if row["n"] else ""
            cells += [
                f"{row['win_rate']:.3f}" if row["n"] else "", interval, f"{row['wins']:,}", f"{row['ties']:,}",
                f"{row['losses']:,}", f"{row['unread']:,}",
            ]  # fmt: skip
        else:
            mean = f"{row['mean']:.2f}" if row["n"] else ""
            cells += [str(row["answers"]), mean, _interval(row, 2), f"{row['n']:,}", f"{row['unread']:,}"]
        table.add_row(*cells)
    console.print(table)


def _interval(row: dict[Any, Any], digits: int) -> str:
    low, high = row["low"], row["high"]
    return "" if low != low else f"{low:.{digits}f} to {high:.{digits}f}"
