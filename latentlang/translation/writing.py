"""What a model writes as a translation: greedily, until the line ends; kept in parts, so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from latentlang.models import HookedLM
from latentlang.models.fingerprint import model_identity
from latentlang.models.generation import generate_tokens
from latentlang.provenance import package_versions
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import Steps
from latentlang.tasks import Prompt

#: Why a text ended: its line did, the model ended it, or it was as long as it may be.
Ending = Literal["line", "end", "length"]
# Tokens that are written before it is seen whose line has ended; each further round is twice as long.
_FIRST_ROUND = 24
_KEPT = "written.json"


class WrittenText(Record):
    """What was written after a prompt.

    Attributes:
        text: all of it.
        tokens: their number.
        ended: why it ended.
    """

    text: str
    tokens: int
    ended: Ending

    @property
    def translation(self) -> str:
        """The translation in it: the first line of what a base model wrote; of a chat all, in one line."""
        if self.ended == "line":
            return self.text.split("\n", 1)[0].strip()
        return " ".join(self.text.split("\n")).strip()


def write_lines(
    model: HookedLM,
    prompts: Sequence[Prompt],
    *,
    new_tokens: int,
    stop_at_line: bool,
    batch_tokens: int | None = None,
) -> list[WrittenText]:
    """What a model writes after each prompt, greedily.

    Args:
        model: the model.
        prompts: what it goes on from.
        new_tokens: at most.
        stop_at_line: whether a text ends where its line does; of a chat it does not.
        batch_tokens: tokens run at once.
    """
    begun = [list(prompt.ids) for prompt in model.tokenize(prompts)]
    written: list[list[int]] = [[] for _ in begun]
    ended: dict[int, Ending] = {}
    size = _FIRST_ROUND if stop_at_line else new_tokens
    while len(ended) < len(begun):
        open_rows = [row for row in range(len(begun)) if row not in ended]
        size = min(size, new_tokens - len(written[open_rows[0]]))
        rounds = generate_tokens(
            model,
            [begun[row] + written[row] for row in open_rows],
            new_tokens=size,
            batch_tokens=batch_tokens,
        )
        for row, tokens in zip(open_rows, rounds, strict=True):
            written[row] += tokens
            if stop_at_line and "\n" in _decoded(model, written[row]):
                ended[row] = "line"
            elif len(tokens) < size:
                ended[row] = "end"
            elif len(written[row]) >= new_tokens:
                ended[row] = "length"
        size *= 2
    return [
        WrittenText(text=_decoded(model, tokens), tokens=len(tokens), ended=ended[row])
        for row, tokens in enumerate(written)
    ]


def _decoded(model: HookedLM, tokens: Sequence[int]) -> str:
    """The text of tokens; halves of characters are not at its end."""
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True))


class KeptLines:
    """What was written of each part of a run, kept with all that it depends on."""

    def __init__(self, folder: Path, model: HookedLM, **options: object) -> None:
        self._steps = Steps(folder)
        self._options = {
            "version": package_versions().get("latentlang"), "model": model_identity(model),
            "device": model.device.type, "dtype": str(model.dtype), **options,
        }  # fmt: skip

    def run(
        self, part: str, prompts: Sequence[Prompt], write: Callable[[], list[WrittenText]]
    ) -> list[WrittenText]:
        """The texts of a part, new or as they were kept."""
        digest = hashlib.sha256(
            "\x1f".join(f"{one.item}\x1f{one.text}" for one in prompts).encode()
        ).hexdigest()

        def compute(folder: Path) -> list[WrittenText]:
            texts = write()
            record = {"texts": [text.model_dump() for text in texts]}
            write_text(folder / _KEPT, json.dumps(record, ensure_ascii=False) + "\n")
            return texts

        def load(folder: Path) -> list[WrittenText]:
            return checked(_KeptPart, read_json(folder / _KEPT, kind=dict), folder / _KEPT).texts

        return self._steps.run(part, {**self._options, "prompts": digest}, compute, load)


class _KeptPart(Record):
    texts: list[WrittenText]


@contextmanager
def kept_lines(
    folder: str | os.PathLike[str] | None, model: HookedLM, **options: object
) -> Iterator[KeptLines | None]:
    """A folder for what was written, which no other process writes into meanwhile; None for none."""
    if folder is None:
        yield None
        return
    path = prepare_folder(folder)
    with FolderLock(path):
        yield KeptLines(path, model, **options)
