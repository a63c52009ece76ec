"""Matched Russian arms for `latentlang reproduce gooddata`: `python -m experiments.gooddata.arms GOODDATA FOLDER`.

GOODDATA is the folder of the authors' files, which carry no licence: they are read where they lie. FOLDER gets a file
for each arm (``native.jsonl`` and so on), which ``latentlang reproduce gooddata --only layers --data FOLDER`` trains
on: as many items each, of at most 400 characters, distinct, and matched in the lengths of their answers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from experiments.instructions.small_sets import native_arms
from latentlang.instructions import Dialogue
from latentlang.storage.files import write_text

LANGUAGE = "ru"
ITEMS = 32


def write_arms(gooddata: Path, folder: Path, *, items: int = ITEMS) -> dict[str, Path]:
    """Write each arm's file.

    Args:
        gooddata: folder of the authors' files.
        folder: where they go.
        items: of each arm.

    Returns:
        Name of each arm to its file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, dialogues in native_arms(gooddata, items=items).arms.items():
        files[name] = folder / f"{name}.jsonl"
        write_text(files[name], _lines(dialogues))
    return files


def _lines(dialogues: Iterable[Dialogue]) -> str:
    records = (
        {
            "id": one.id, "instruction": one.instruction, "input": one.input, "output": one.output,
            "language": LANGUAGE,
        }
        for one in dialogues
    )  # fmt: skip
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gooddata", type=Path, help="folder of the files of Chen et al.")
    parser.add_argument("folder", type=Path, help="where the arms are written")
    parser.add_argument("--items", type=int, default=ITEMS, help="of each arm")
    options = parser.parse_args()
    write_arms(options.gooddata, options.folder, items=options.items)


if __name__ == "__main__":
    main()
