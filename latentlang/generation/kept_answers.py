"""Answers kept on disk prompt by prompt, so that a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.models.decoding import Decoding
from latentlang.models.fingerprint import model_identity
from latentlang.models.generation import Ended, Written, iter_generated
from latentlang.models.tokenization import PromptLike
from latentlang.provenance import package_versions
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import Steps, is_whole

_FILE, _VALUES = "answers.json", "values.json"


class _KeptText(Record):
    text: str
    tokens: list[int]
    ended: Ended
    log_prob: float
    stop: str = ""


class _KeptTexts(Record):
    texts: list[_KeptText]


class KeptAnswers:
    """The answers of one run, each kept with all that it depends on."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        """Take a folder, and what all answers depend on."""
        self._steps = Steps(folder)
        self._options = {"version": package_versions().get("latentlang"), **options}

    def get(self, state: str, item: str, ids: Sequence[int]) -> list[Written] | None:
        """What is kept of a prompt; None where there is nothing, or something damaged."""
        name, options = self._named(state, item, ids)
        if not is_whole(self._steps.folder / name, options):
            return None
        try:
            return _load(self._steps.folder / name)
        except InputError:
            return None

    def put(self, state: str, item: str, ids: Sequence[int], texts: Sequence[Written]) -> None:
        """Keep the answers to a prompt.

        Raises:
            InputError: the folder cannot be written.
        """
        name, options = self._named(state, item, ids)

        def compute(folder: Path) -> list[Written]:
            record = {
                "texts": [
                    {
                        "text": one.text, "tokens": list(one.tokens), "ended": one.ended, "log_prob": one.log_prob,
                        "stop": one.stop,
                    }
                    for one in texts
                ]
            }  # fmt: skip
            write_text(folder / _FILE, json.dumps(record, ensure_ascii=False) + "\n")
            return list(texts)

        self._steps.run(name, options, compute, _load)

    def values(self, state: str, tokens: Any, compute: Callable[[], Any]) -> Any:
        """Other values than answers, such as JSON can say, kept as soon as they are there.

        Args:
            state: names what they depend on beside their tokens.
            tokens: what they are of, as JSON can say it.
            compute: gives them.

        Raises:
            InputError: the folder cannot be written; or what `compute` raises.
        """
        digest = hashlib.sha256(json.dumps(tokens).encode()).hexdigest()

        def save(folder: Path) -> Any:
            values = compute()
            write_text(folder / _VALUES, json.dumps({"values": values}) + "\n")
            return values

        return self._steps.run(
            f"{state}/{digest[:24]}", {**self._options, "state": state, "tokens": digest}, save,
            lambda folder: read_json(folder / _VALUES, kind=dict)["values"],
        )  # fmt: skip

    def _named(self, state: str, item: str, ids: Sequence[int]) -> tuple[str, dict[str, Any]]:
        digest = hashlib.sha256(json.dumps([item, list(ids)]).encode("utf-8", "surrogatepass")).hexdigest()
        return f"{state}/{digest[:24]}", {**self._options, "state": state, "item": item, "prompt": digest}


def _load(folder: Path) -> list[Written]:
    record = checked(_KeptTexts, read_json(folder / _FILE, kind=dict), folder / _FILE)
    return [Written(one.text, tuple(one.tokens), one.ended, one.log_prob, one.stop) for one in record.texts]


@contextmanager
def answers_in(
    folder: str | os.PathLike[str] | None, options: Callable[[], Mapping[str, Any]]
) -> Iterator[KeptAnswers | None]:
    """A folder for answers, which no other process writes into meanwhile; None for none.

    Args:
        folder: made if missing.
        options: gives what all answers depend on; asked only where something is kept.

    Raises:
        InputError: it cannot be written, or another process writes into it.
    """
    if folder is None:
        yield None
        return
    path = prepare_folder(folder)
    with FolderLock(path):
        yield KeptAnswers(path, options())


def generate_kept(
    model: HookedLM,
    prompts: Sequence[PromptLike],
    decoding: Decoding,
    *,
    items: Sequence[str],
    state: str,
    kept: KeptAnswers | None,
    batch_tokens: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Written]]:
    """As `models.generation.generate`, but that each prompt's texts are kept once written, and not written again.

    Args:
        model: the model, in the state that it is in.
        prompts: texts, `Prompt` objects, or token ids.
        decoding: how it writes.
        items: names of the prompts.
        state: names what else the texts depend on: the model's state, or the language asked in.
        kept: where they are kept; None for nowhere.
        batch_tokens: tokens run at once; see `HookedLM.iter_activations`.
        progress: called with prompts done and prompts in all.

    Raises:
        InputError, ModelError: as `generate`; or the folder cannot be written.
    """
    tokenized = [list(one.ids) for one in model.tokenize(prompts)]
    return written_or_kept(
        tokenized,
        items,
        lambda some, names: iter_generated(model, some, decoding, items=names, batch_tokens=batch_tokens),
        state=state,
        kept=kept,
        progress=progress,
    )


def written_or_kept(
    prompts: Sequence[Sequence[int]],
    items: Sequence[str],
    write: Callable[[list[Sequence[int]], list[str]], Iterable[tuple[int, list[Written]]]],
    *,
    state: str,
    kept: KeptAnswers | None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Written]]:
    """Texts of each prompt: those that are kept, and of the others what is written now, kept as it comes.

    Args:
        prompts: tokens of each.
        items: names of the prompts.
        write: takes some of the prompts and their names, and gives the place among these and the texts of each, in any
            order.
        state: names what else the texts depend on.
        kept: where they are kept; None for nowhere.
        progress: called with prompts done, first those that were kept, and prompts in all.

    Raises:
        InputError: the folder cannot be written; or what `write` raises.
    """
    texts: dict[int, list[Written]] = {}
    if kept is not None:
        for place, (item, ids) in enumerate(zip(items, prompts, strict=True)):
            if (known := kept.get(state, item, ids)) is not None:
                texts[place] = known
    missing = [place for place in range(len(prompts)) if place not in texts]
    if progress is not None:
        progress(len(texts), len(prompts))
    if missing:
        for number, written in write(
            [prompts[place] for place in missing], [items[place] for place in missing]
        ):
            place = missing[number]
            texts[place] = written
            if kept is not None:
                kept.put(state, items[place], prompts[place], written)
            if progress is not None:
                progress(len(texts), len(prompts))
    return [texts[place] for place in range(len(prompts))]


def depends_on(model: HookedLM, decoding: Decoding | None = None) -> dict[str, Any]:
    """What all texts of a model depend on but their prompts, for `answers_in`.

    Args:
        model: the model.
        decoding: how it writes; None where not all texts are written in one way.
    """
    return {
        "model": model_identity(model), "device": model.device.type,
        "dtype": str(model.dtype).removeprefix("torch."),
        "decoding": None if decoding is None else decoding.record,
    }  # fmt: skip
