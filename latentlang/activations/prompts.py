"""The prompts table of a store: one row per prompt, in the order of the rows of every layer.

The few-shot prefix is kept once per distinct text (dictionary encoding), and the whole prompt is put together again
when the table is read, so that 20 languages with long blocks stay small on the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.errors import InputError
from latentlang.storage.files import file_sha256, replacing
from latentlang.storage.tables import Columns, column_problem, read_table

if TYPE_CHECKING:
    import pandas as pd

TEXTS = ("item", "language", "label", "few_shot", "question", "cue")
LENGTHS = ("tokens", "few_shot_tokens", "question_tokens")
_KINDS: Columns = {
    **dict.fromkeys(TEXTS, "text"), **dict.fromkeys(LENGTHS, "number"), "has_bos": "truth?",
}  # fmt: skip
_REMEDY = "delete the store and run the same harvest again"
COLUMNS = ("item", "language", "label", "text", "question", "cue", *LENGTHS, "has_bos")


def completed(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of prompts as it is stored: every text column there, lengths missing where they are not known.

    Args:
        frame: has ``item``; ``language``, ``label``, ``few_shot``, ``question`` and ``cue``, or ``text``, the lengths
            and columns of the user's own where known.

    Raises:
        InputError: there is no column ``item``, no row, or a length that is no number.
    """
    import pandas as pd

    if "item" not in frame.columns:
        raise InputError("the table of prompts has no column 'item'; it says which rows are the same item")
    if not len(frame):
        raise InputError("the table of prompts is empty; a store holds at least one prompt")
    frame = frame.reset_index(drop=True)
    if "text" in frame.columns:
        frame = _divided(frame)
    columns: dict[str, pd.Series] = {
        name: frame[name].astype(str) if name in frame.columns else pd.Series([""] * len(frame))
        for name in TEXTS
    }
    for name in (*LENGTHS, "has_bos"):
        columns[name] = frame[name] if name in frame.columns else pd.Series([float("nan")] * len(frame))
        if (problem := column_problem(columns[name], _KINDS[name])) is not None:
            raise InputError(
                f"the column {name!r} of the table of prompts {problem}; leave it out where not known"
            )
    for name in frame.columns:
        if name not in columns and name != "text":
            columns[str(name)] = frame[name]
    return pd.DataFrame(columns)


def _divided(frame: pd.DataFrame) -> pd.DataFrame:
    """Say what stands before the question and the cue of a text as its few-shot prefix."""
    frame = frame.copy()
    rest = [
        frame[name].astype(str) if name in frame.columns else [""] * len(frame)
        for name in ("question", "cue")
    ]
    blocks, questions = [], []
    for text, question, cue in zip(frame["text"].astype(str), *rest, strict=True):
        if not text.endswith(question + cue):
            raise InputError(
                f"the text {text[-60:]!r} does not end in its question and cue, {question + cue!r}"
            )
        divided = question or "few_shot" in frame.columns
        before = text[: len(text) - len(question + cue)]
        blocks.append(before if divided else "")
        questions.append(question if divided else before)
    return frame.assign(few_shot=blocks, question=questions)


def write_prompts(path: Path, tables: Iterable[pd.DataFrame]) -> str:
    """Write tables of prompts one below the other; returns the file's SHA-256.

    Raises:
        InputError: the file cannot be written.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    with replacing(path) as stream:
        writer: pq.ParquetWriter | None = None
        for table in tables:
            arrow = pa.Table.from_pandas(table, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(stream, arrow.schema, compression="zstd")
            writer.write_table(arrow.cast(writer.schema))
        if writer is not None:
            writer.close()
    return file_sha256(path)


def read_prompts(path: Path, *, rows: int | None = None) -> pd.DataFrame:
    """The table as it was written.

    Args:
        path: the file.
        rows: how many it must have; None where that is not known.

    Raises:
        InputError: it cannot be read, or has other rows or columns than a table of prompts.
    """
    return read_table(path, _KINDS, rows=rows, then=_REMEDY)


def presented(stored: pd.DataFrame) -> pd.DataFrame:
    """The table as a user sees it: the whole prompt as ``text`` in place of the prefix; `COLUMNS`, then the user's."""
    text = stored["few_shot"] + stored["question"] + stored["cue"]
    shown = stored.drop(columns="few_shot").assign(text=text)
    return shown[[*COLUMNS, *(name for name in shown.columns if name not in COLUMNS)]]


class ContentHash:
    """SHA-256 over prompts: their texts, and their tokens where there are any."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, texts: Sequence[str], ids: bytes = b"") -> None:
        """One prompt: its `TEXTS`, and its token ids as bytes."""
        self._hash.update(json.dumps(list(texts), ensure_ascii=False).encode("utf-8", "surrogatepass"))
        self._hash.update(len(ids).to_bytes(8, "little") + ids)

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()
