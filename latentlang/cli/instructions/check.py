"""``latentlang instructions check``: what is wrong with instruction data, text by text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentlang.cli import options
from latentlang.cli.instructions import looking
from latentlang.text import counted

_EXAMPLES = 3


def check(
    data: looking.Data,
    data_lang: looking.DataLanguage = None,
    against: looking.Against = None,
    against_lang: looking.AgainstLanguage = None,
    checks: looking.Checks = None,
    pair_by: looking.PairBy = "group",
    answers_anew: looking.AnswersAnew = False,
    among: looking.Among = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write every finding, as a table: a .csv file.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Check instructions: their language, and with --against what a translation must keep; nothing is changed.

    Says for each language and check how many dialogues fail it, and of how many it could not tell. Checks: empty,
    copied, announced, answered, language, length, numbers, latex, fences, entry-point, definitions, urls.
    """
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.records import rows_record
    from latentlang.errors import InputError
    from latentlang.instructions.filtering import check_dialogues
    from latentlang.storage.files import check_out_file, write_text

    if out is not None and out.suffix != ".csv":
        raise InputError(f"{str(out)!r}: findings are written as a table, .csv; name such a file")
    if out is not None:
        check_out_file(out, example="findings.csv")
    given = looking.looked_at(
        data, data_lang, against, against_lang,
        checks=checks, pair_by=pair_by, answers_anew=answers_anew, among=among,
    )  # fmt: skip
    report = check_dialogues(given.dialogues, **given.options)
    table, counts = report.table(), report.counts()
    unanswered = sum(not dialogue.is_answered for dialogue in report.dialogues)
    if out is not None:
        write_text(out, table.to_csv(index=False))
    examples = table.groupby(["language", "code"], sort=False).head(_EXAMPLES)
    if as_json:
        return echo_json({
            "dialogues": len(report.dialogues), "unanswered": unanswered, "unpaired": report.unpaired,
            "carrying": report.carrying,
            "identifier": report.identifier,
            "counts": rows_record(counts), "bounds": rows_record(report.bounds_table()),
            "examples": rows_record(examples), "files": [str(out)] if out is not None else [],
        })  # fmt: skip
    console = output()
    shown = counts[(counts["failed"] > 0) | (counts["undecided"] > 0)]
    if len(shown):
        looking.print_rows(shown, console)
        for row in examples.to_dict("records"):
            detail = f": {row['detail']}" if row["detail"] else ""
            console.print(
                f"{row['code']} ({row['verdict']}) {row['language']} {row['id']}, {row['place']}{detail}",
                soft_wrap=True,
            )
    else:
        console.print("no check failed")
    if unanswered:
        all_of = "all " if unanswered == len(report.dialogues) > 1 else ""
        has = "has" if unanswered == 1 else "have"
        console.print(
            f"{all_of}{counted(unanswered, 'dialogue')} {has} no answer at the end: `latentlang instructions answer` "
            "writes one; training and filter leave such a dialogue out", soft_wrap=True,
        )  # fmt: skip
    looking.print_carrying(report.carrying, console)
    if report.unpaired:
        console.print(
            f"{report.unpaired:,} dialogues have no source: of them the checks that need one say nothing"
        )
    for row in report.bounds_table().to_dict("records"):
        console.print(
            f"length of {row['language']} beside {row['source']}: {row['low']:.2f} to {row['high']:.2f} times as many "
            f"characters, learnt from {row['pairs']:,} texts", soft_wrap=True,
        )  # fmt: skip
    if out is not None:
        console.print(f"wrote {out}", soft_wrap=True)
    return None
