"""A folder of instruction data: the dialogues, and below ``report`` how they came to be chosen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import write_dialogues
from latentlang.paths import PathLike, given_path, is_present
from latentlang.provenance import package_versions
from latentlang.storage.files import check_out, prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.output import foreign

if TYPE_CHECKING:
    import pandas as pd

_REPORT = "report"


def check_data_folder(folder: PathLike, step: str, names: Sequence[str]) -> Path:
    """Refuse a folder that holds data of these names that the same step did not write.

    Args:
        folder: it need not exist.
        step: ``filter`` or ``mix``.
        names: of the files of dialogues.

    Raises:
        InputError: saying what is there, or that the folder cannot be written.
    """
    path = check_out(given_path(folder))
    taken = [name for name in names if is_present(path / name)]
    if taken and not is_present(path / _REPORT / f"{step}.json"):
        raise foreign(path, taken)
    return path


def save_data_folder(
    folder: PathLike,
    step: str,
    *,
    data: Mapping[str, Sequence[Dialogue]],
    record: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    dropped: Iterable[Mapping[str, Any]] | None = None,
) -> list[Path]:
    """Write dialogues with the report of the step that chose them; an older one of the same step is replaced.

    Args:
        folder: made if missing.
        step: what chose them; ``report/STEP.json`` has its record.
        data: file to dialogues.
        record: how it was asked for: files, settings, seed.
        tables: name of a table to it, written as ``report/NAME.csv``.
        dropped: what was dropped, with its reasons, for ``report/dropped.jsonl``.

    Returns:
        The files written.

    Raises:
        InputError: the folder cannot be written, or holds data of other steps.
    """
    path = prepare_folder(folder)
    report = path / _REPORT
    texts = {report / f"{name}.csv": table.to_csv(index=False) for name, table in tables.items()}
    if dropped is not None:
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in dropped]
        texts[report / "dropped.jsonl"] = "".join(lines)
    whole = {"step": step, **record, "packages": package_versions()}
    texts[report / f"{step}.json"] = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    with FolderLock(path, joins=True, needed=False):
        check_data_folder(path, step, list(data))
        prepare_folder(report)
        # last what could be taken for a user's own: by its record the folder is then known as ours
        for file, text in texts.items():
            write_text(file, text)
        written = [write_dialogues(path / name, dialogues) for name, dialogues in data.items()]
    return [*written, *texts]
