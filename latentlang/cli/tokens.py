"""``latentlang tokens``: which tokens can begin which language's answer, and what telling them apart costs."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_SHOWN = 12  # tokens of one answer; --full shows all
_LABELS_SHOWN = 12


def tokens(
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages: codes (es or es,it,ja) or a group (paper20); repeatable. Needed but with --data."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Short name (`latentlang models`), Hugging Face id or folder; its tokenizer is used."
        ),
    ] = defaults.MODEL,
    name: options.Name = None,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"Task (`latentlang tasks`); by default {defaults.TASK}, and {defaults.LENS_TASK} with --data."
        ),
    ] = None,
    data: options.Data = None,
    accept: options.Accept = None,
    pivot: Annotated[str, typer.Option(help="Language whose tokens count for no other.")] = defaults.PIVOT,
    full: Annotated[bool, typer.Option("--full", help="Every token and label, not the first few.")] = False,
    out: Annotated[
        Path | None,
        options.folder("Folder for tokens.parquet, policies.parquet and overlap.html.", remote=True),
    ] = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Show the answer tokens of each language, who shares them, and what each policy costs.

    A token is shown as text where its bytes are text, and as bytes (E3 83) where they are part of a character.
    """
    from latentlang.cli.console import echo_json, output, say
    from latentlang.cli.output_folder import Claim, OutputFolder
    from latentlang.cli.records import rows_record
    from latentlang.language_names import language, languages
    from latentlang.models.registry import resolve
    from latentlang.provenance import Provenance

    task = task or (defaults.TASK if data is None else defaults.LENS_TASK)
    if not lang and data is None:
        raise InputError("give languages, e.g. --lang es,it, or words of your own (--data)")
    if lang:
        targets = [entry.code for entry in languages(lang)]
    else:
        every = options.built_task(task, [], source=None, data=data, answers=None, accept=accept)
        targets = list(every.languages)
    codes = list(dict.fromkeys([*targets, language(pivot).code]))
    built = options.built_task(task, targets, source=None, data=data, answers=None, accept=accept)
    strings = {code: dict(built.answers(code)) for code in codes}
    if empty := [code for code in codes if not strings[code]]:
        raise InputError(
            f"the {task} task has no answers in {', '.join(empty)}"
            + (f"; {built.next_step}" if built.next_step else "")
        )
    info = resolve(model, called=name)
    claim = Claim("tokens", ("tokens.parquet", "policies.parquet", "overlap.html"))
    with nullcontext() if out is None else OutputFolder(out, claim, pages=pages) as folder:
        say(f"loading the tokenizer of {info.name}")
        from latentlang.answers import answer_sets, overlap_table, policy_table, token_bytes, token_table
        from latentlang.models import load_tokenizer

        table = token_bytes(load_tokenizer(model))
        speaking = [*(code for code in codes if code in built.languages), *built.languages]
        cue = built.prompts(speaking[0], items=1)[0].cue
        sets = answer_sets(table, strings, cue=cue, scope="any" if built.closed else "same")
        against = [language(pivot).code]
        console = output()
        token_rows, policies = token_table(sets), policy_table(sets, against=against, pivot=against[0])
        overlap = overlap_table(sets)
        if not pages.as_json:
            console.print(
                f"{info.name}: {table.family} tokenizer, {table.writing} tokens that write text; cue ends in "
                f"{cue[-3:]!r}"
            )
            _print_tokens(console, token_rows, full=full)
        if len(codes) > 1 and not pages.as_json:
            _print_overlap(console, overlap)
            _print_policies(console, policies, pivot=against[0])
        if folder is not None:
            from latentlang.figures import overlap_heatmap
            from latentlang.figures.header import made_with

            provenance = Provenance(
                model=info.name,
                task=task,
                languages=tuple(targets),
                policy="",
                settings={"pivot": against[0], **({"data": str(data)} if data is not None else {})},
            )
            folder.save_tables(
                "tokens", provenance, {"tokens.parquet": token_rows, "policies.parquet": policies}
            )
            title = f"{info.name}: {task}: answer tokens in common"
            figure = overlap_heatmap(
                overlap, subtitle=f"{task} · tokenizer of {info.name}", made_with=made_with(provenance)
            )
            folder.page(figure, "overlap.html", title=title)
            if not pages.as_json:
                folder.print_files(console)
        if pages.as_json:
            echo_json({
                "kind": "tokens", "model": info.name, "task": task, "languages": codes, "pivot": against[0],
                "tokens": rows_record(token_rows), "policies": rows_record(policies),
                "overlap": overlap.to_dict("index"),
                "files": [str(path) for path in (folder.files if folder is not None else ())],
            })  # fmt: skip


def _print_tokens(console: Console, token_rows: pd.DataFrame, *, full: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for head in (
        "language",
        "label",
        "answer",
        "tokens (in brackets: another language's answer may begin so too; ×2: two tokens write the same, such as a "
        "letter and its byte)",
    ):
        table.add_column(head, overflow="fold")
    groups = list(token_rows.groupby(["language", "label", "answer"], sort=False))
    shown = (
        groups
        if full
        else [
            g for g in groups if list(dict.fromkeys(k[1] for k, _ in groups)).index(g[0][1]) < _LABELS_SHOWN
        ]
    )
    for (code, label, answer), part in shown:
        line = Text()
        ordered = part.sort_values(["exclusive", "runs_on"], ascending=[False, True])
        alike = Counter((str(row.text), bool(row.exclusive)) for row in ordered.itertuples())
        for (text, exclusive), count in list(alike.items())[: None if full else _SHOWN]:
            times = f" ×{count}" if count > 1 else ""
            line.append(*((f"{text}{times}", "") if exclusive else (f"({text}{times})", "dim")))
            line.append("  ")
        if not full and len(alike) > _SHOWN:
            line.append(f"+{len(alike) - _SHOWN}", style="italic dim")
        table.add_row(str(code), str(label), str(answer), line)
    console.print(table)
    if len(shown) < len(groups):
        console.print(f"({len(groups) - len(shown)} more rows with --full)", style="dim")


def _print_overlap(console: Console, overlap: pd.DataFrame) -> None:
    from rich.table import Table

    console.print("\ntokens in common (diagonal: a language's own)")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for code in overlap.columns:
        table.add_column(str(code), justify="right")
    for head, row in zip(overlap.index, overlap.to_numpy().tolist(), strict=True):
        table.add_row(str(head), *("·" if value == 0 else str(value) for value in row))
    console.print(table)


def _print_policies(console: Console, policies: pd.DataFrame, *, pivot: str) -> None:
    from rich.table import Table

    console.print(f"\nanswers that each policy loses beside {pivot}")
    names = list(dict.fromkeys(policies["policy"]))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("language", *names, "why"):
        table.add_column(head, overflow="fold")
    for code, part in policies.groupby("language", sort=False):
        if code == pivot:
            continue
        lost = dict(zip(part["policy"], part["labels_lost"], strict=True))
        cells = [f"{lost[name]} of {part['labels'].iloc[0]}" for name in names]
        why = [str(text) for column in ("why", "caution") for text in part[column] if text]
        table.add_row(str(code), *cells, why[0] if why else "")
    console.print(table)
    others = policies[policies["language"] != pivot]
    total = others["language"].nunique()
    kept = others["labels_lost"] < others["labels"]
    counts = [f"{name} {int(kept[others['policy'] == name].sum())} of {total}" for name in names]
    console.print("languages that keep an answer: " + ", ".join(counts))
