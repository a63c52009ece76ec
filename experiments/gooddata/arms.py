"""Russian arms for `latentlang reproduce gooddata`: `python -m experiments.gooddata.arms GOODDATA FOLDER`.

GOODDATA is the folder of the authors' files, which carry no licence: they are read where they lie. FOLDER gets a file
for each arm (``native.jsonl`` and so on), which ``latentlang reproduce gooddata --only layers-gemma --data FOLDER``
trains on: as many items each, of at most 400 characters, distinct, and matched in the lengths of their answers.

With ``made`` in GOODDATA's place the arms are those of the made world (`experiments.instructions.world_arms`), where
native, translated and round-trip answers differ by design. They lie in ``experiments/gooddata/made``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.instructions.small_sets import native_arms
from experiments.instructions.world_arms import TRIALS
from latentlang.instructions import Dialogue
from latentlang.storage.files import write_text

LANGUAGE = "ru"
ITEMS = 32
#: In GOODDATA's place: the made world's arms.
MADE = "made"
#: Those of them that are written, and what their files are called.
MADE_ARMS = {
    "native": "native", "round-trip": "round trip", "engine-a": "engine a", "lengths-alone": "lengths alone",
}  # fmt: skip


def write_arms(gooddata: Path, folder: Path, *, items: int = ITEMS) -> dict[str, Path]:
    """Write each arm's file.

    Args:
        gooddata: folder of the authors' files.
        folder: where they go.
        items: of each arm.

    Returns:
        Name of each arm to its file.
    """
    return _written(native_arms(gooddata, items=items).arms, folder)


def write_made_arms(folder: Path) -> dict[str, Path]:
    """Write the made world's arms, of one seed.

    Args:
        folder: where they go.

    Returns:
        Name of each arm to its file.
    """
    arms = TRIALS["origins"](0).arms
    return _written({name: arms[called] for name, called in MADE_ARMS.items()}, folder)


def _written(arms: Mapping[str, Iterable[Dialogue]], folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.jsonl" for name in arms}
    for name, path in files.items():
        write_text(path, _lines(arms[name]))
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
    parser.add_argument("gooddata", type=Path, help=f"folder of the files of Chen et al., or {MADE}")
    parser.add_argument("folder", type=Path, help="where the arms are written")
    parser.add_argument("--items", type=int, default=ITEMS, help="of each arm of real text")
    options = parser.parse_args()
    if options.gooddata == Path(MADE):
        write_made_arms(options.folder)
    else:
        write_arms(options.gooddata, options.folder, items=options.items)


if __name__ == "__main__":
    main()
