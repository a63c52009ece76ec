"""``latentlang instructions filter``: keep what no check finds wrong, and a report of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentlang.cli import options
from latentlang.cli.instructions import looking
from latentlang.errors import InputError


def filter_data(
    data: looking.Data,
    out: Annotated[Path, options.folder("Folder for what is kept, and the report of what is dropped.")],
    data_lang: looking.DataLanguage = None,
    against: looking.Against = None,
    against_lang: looking.AgainstLanguage = None,
    checks: looking.Checks = None,
    pair_by: looking.PairBy = "group",
    answers_anew: looking.AnswersAnew = False,
    among: looking.Among = None,
    near: Annotated[
        float | None,
        typer.Option(
            help="Drop near-duplicates: from this Jaccard similarity of character shingles on, such as 0.8."
        ),
    ] = None,
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            help="Drop what holds part of an item of these test sets: files or folders of records; repeatable."
        ),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            help="Drop what asks with one of these keywords: programming, or a file with one on each line."
        ),
    ] = None,
    words: Annotated[int, typer.Option(help="With --tests: words of a run that both have.")] = 13,
    characters: Annotated[
        int, typer.Option(help="With --tests: characters of a run in scripts without spaces.")
    ] = 25,
    undecided: Annotated[
        bool, typer.Option("--drop-undecided", help="Drop those too of which a check could not tell.")
    ] = False,
    unanswered: Annotated[
        bool, typer.Option("--keep-unanswered", help="Keep dialogues without an answer.")
    ] = False,
    repeated: Annotated[
        bool, typer.Option("--keep-repeated", help="Keep dialogues that ask the same as an earlier one.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Keep the instructions that no check finds wrong; nothing is dropped without its reason.

    Writes dialogues.jsonl, and below report/ the counts by language and reason, what was dropped with its reasons, and
    the bounds of lengths.
    """
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.records import rows_record
    from latentlang.instructions.built import DIALOGUES
    from latentlang.instructions.data_folder import check_data_folder, save_data_folder
    from latentlang.instructions.filtering import filter_dialogues, nothing_left
    from latentlang.instructions.overlap import EvaluatedRuns, evaluated_items

    check_data_folder(out, "filter", [DIALOGUES])
    evaluated = None
    if tests is not None:
        evaluated = EvaluatedRuns(evaluated_items(tests), words=words, characters=characters)
    given = looking.looked_at(
        data, data_lang, against, against_lang,
        checks=checks, pair_by=pair_by, answers_anew=answers_anew, among=among,
    )  # fmt: skip
    filtered = filter_dialogues(
        given.dialogues, **given.options, answered=not unanswered, undecided=undecided, exact=not repeated, near=near,
        tests=evaluated, without=without,
    )  # fmt: skip
    counts = filtered.counts()
    record = {
        "data": list(data), "against": list(against or ()), "checks": given.options["checks"], "pair_by": pair_by,
        "answers_anew": answers_anew, "among": among, "identifier": filtered.report.identifier, "near": near,
        "without": without, "tests": [str(path) for path in tests or ()], "words": words, "characters": characters,
        "undecided": undecided, "keep_unanswered": unanswered, "keep_repeated": repeated,
        "dialogues": len(given.dialogues), "kept": len(filtered.kept),
        "carrying": filtered.report.carrying,
    }  # fmt: skip
    files = save_data_folder(
        out, "filter", data={DIALOGUES: filtered.kept}, record=record,
        tables={"counts": counts, "bounds": filtered.report.bounds_table()},
        dropped=[one.record() for one in filtered.dropped],
    )  # fmt: skip
    if as_json:
        echo_json({
            "counts": rows_record(counts), "examples": [one.record() for one in filtered.examples()],
            "files": [str(file) for file in files],
        })  # fmt: skip
    else:
        console = output()
        looking.print_rows(counts, console)
        looking.print_carrying(filtered.report.carrying, console)
        for file in files:
            console.print(f"wrote {file}", soft_wrap=True)
    if not filtered.kept:
        raise InputError(
            f"{nothing_left(filtered)}; what was dropped, with its reasons, is in {out / 'report'}"
        )
