"""What was written of each step of a steering run, kept on disk so that a stopped run goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from latentlang.models import Edit, HookedLM
from latentlang.models.edits import settle
from latentlang.models.fingerprint import model_identity
from latentlang.provenance import package_versions
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import Steps
from latentlang.tasks import Prompt

_TEXTS = "texts.json"


class KeptTexts:
    """What was written of each step of a run, kept with all that it depends on."""

    def __init__(self, folder: Path, model: HookedLM, *, new_tokens: int) -> None:
        self._steps, self._model = Steps(folder), model
        self._options = {
            "version": package_versions().get("latentlang"), "model": model_identity(model),
            "device": model.device.type, "dtype": str(model.dtype), "new_tokens": new_tokens,
        }  # fmt: skip

    def run(
        self, step: str, prompts: Sequence[Prompt], edit: Edit | None, write: Callable[[], list[str]]
    ) -> list[str]:
        """The texts of a step, new or as they were kept."""
        model = self._model
        record = None if edit is None else settle(edit, depth=model.n_layers, d_model=model.d_model).record
        digest = hashlib.sha256("\x1f".join(prompt.text for prompt in prompts).encode()).hexdigest()

        def compute(folder: Path) -> list[str]:
            texts = write()
            write_text(folder / _TEXTS, json.dumps({"texts": texts}, ensure_ascii=False) + "\n")
            return texts

        def load(folder: Path) -> list[str]:
            record = read_json(folder / _TEXTS, kind=dict)
            return checked(_Texts, record, folder / _TEXTS).texts

        return self._steps.run(step, {**self._options, "prompts": digest, "edit": record}, compute, load)


class _Texts(Record):
    texts: list[str]


@contextmanager
def kept_texts(
    folder: str | os.PathLike[str] | None, model: HookedLM, *, new_tokens: int
) -> Iterator[KeptTexts | None]:
    """A folder for what was written, which no other process writes into meanwhile; None for none."""
    if folder is None:
        yield None
        return
    path = prepare_folder(folder)
    with FolderLock(path):
        yield KeptTexts(path, model, new_tokens=new_tokens)
