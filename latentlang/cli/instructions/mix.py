"""``latentlang instructions mix``: a mixture or arms of instruction data, drawn by a seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options
from latentlang.cli.instructions import looking
from latentlang.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.instructions import Dialogue


def mix(
    file: Annotated[Path, typer.Argument(help="YAML file with parts (a mixture) or arms, each a list.")],
    out: Annotated[Path, options.folder("Folder for the dialogues and the report.")],
    total: Annotated[
        int | None, typer.Option(help="Dialogues altogether, instead of the file's total.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Draws them, instead of the file's seed.")] = None,
    items: Annotated[
        int | None, typer.Option(help="Of arms: dialogues of each; by default all, if as many.")
    ] = None,
    pair_by: looking.PairBy = "group",
    match_lengths: Annotated[
        bool, typer.Option("--match-lengths", help="Of arms: spread the lengths of the answers alike.")
    ] = False,
    distinct: Annotated[
        bool, typer.Option("--distinct", help="Of arms: leave out items that ask the same as an earlier one.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Draw a mixture of instruction data by shares or counts, or arms of equal size to compare.

    A mixture's file has total and parts: - {name: chat, files: chat.jsonl, share: 0.5} for each (or count: 200 in place
    of the share; languages, sampling). That of arms has arms: - {name: native, language: de, files: de.jsonl} for each
    (kind, engine).

    A mixture of one seed is part of every larger one of that seed. Writes dialogues.jsonl, or of arms NAME.jsonl each,
    and below report/ how many were drawn of what.
    """
    from latentlang.cli.console import echo_json, output
    from latentlang.cli.records import rows_record
    from latentlang.instructions.data_folder import check_data_folder, save_data_folder
    from latentlang.instructions.mixture_files import holds_arms

    data: dict[str, tuple[Dialogue, ...] | list[Dialogue]]
    record: dict[str, Any] = {"file": str(file), "total": total, "seed": seed}
    if holds_arms(file):
        if total is not None:
            raise InputError("--total is for a mixture; arms have --items")
        options_of_arms = {
            "items": items,
            "pair_by": pair_by,
            "distinct": distinct,
            "match_lengths": match_lengths,
        }
        data, table, notes = _arms(file, seed or 0, options_of_arms)
        record |= options_of_arms
    else:
        if items is not None or match_lengths or distinct:
            raise InputError("--items, --match-lengths and --distinct are for arms; a mixture has --total")
        data, table, notes = _mixture(file, total, seed)
    check_data_folder(out, "mix", list(data))
    files = save_data_folder(
        out, "mix", data=data, record={**record, "notes": notes}, tables={"counts": table}
    )
    if as_json:
        return echo_json(
            {"counts": rows_record(table), "notes": notes, "files": [str(path) for path in files]}
        )
    console = output()
    looking.print_rows(table, console)
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True)
    for path in files:
        console.print(f"wrote {path}", soft_wrap=True)
    return None


def _mixture(
    file: Path, total: int | None, seed: int | None
) -> tuple[dict[str, Any], pd.DataFrame, list[str]]:
    from latentlang.instructions.built import DIALOGUES
    from latentlang.instructions.mixture import mix as draw
    from latentlang.instructions.mixture_files import read_mixture

    mixed = draw(read_mixture(file, total=total, seed=seed))
    return {DIALOGUES: mixed.dialogues}, mixed.table(), []


def _arms(file: Path, seed: int, chosen: dict[str, Any]) -> tuple[dict[str, Any], pd.DataFrame, list[str]]:
    from latentlang.instructions.arms import build_arms
    from latentlang.instructions.mixture_files import read_arms

    arms = build_arms(read_arms(file), seed=seed, **chosen)
    return {f"{arm.name}.jsonl": list(arm.dialogues) for arm in arms.arms}, arms.table(), list(arms.notes)
