"""The prompts of a harvest as tokens, in little memory: four bytes a token, so that 20,000 prompts are no burden."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from latentlang.activations.prompts import TEXTS, ContentHash
from latentlang.errors import InputError
from latentlang.models import HookedLM
from latentlang.models.forward import Reader
from latentlang.models.tokenization import PromptLike, TokenizedPrompt, name_of
from latentlang.tasks import Prompt

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1024
_UNKNOWN = -1


class PromptTokens:
    """Prompts, tokenized once and checked, in the order of the store.

    Args:
        model: makes tokens of texts.
        reader: checks them.
        prompts: texts, `Prompt` objects or token ids.

    Attributes:
        content: SHA-256 of all texts and tokens.

    Raises:
        InputError: there is no prompt, or one cannot be run.
    """

    def __init__(self, model: HookedLM, reader: Reader, prompts: Sequence[PromptLike]) -> None:
        if isinstance(prompts, str | Prompt | TokenizedPrompt):
            raise InputError("give a list of prompts, not a single one")
        if not len(prompts):
            raise InputError("no prompt to harvest; give at least one")
        self._prompts = prompts
        self._tokenizer = model.tokenizer
        self._ids = array("i")
        self._ends = array("q", [0])
        # first and last token of the question, tokens of the block, whether there is a beginning token
        self._spans: dict[str, array[int]] = {
            name: array("i") for name in ("start", "stop", "few_shot", "bos")
        }
        content = ContentHash()
        for first in range(0, len(prompts), _CHUNK):
            chunk = [self._prompt(row) for row in range(first, min(first + _CHUNK, len(prompts)))]
            tokenized = model.tokenize(chunk)
            reader.prepare(tokenized)
            for row, tokens in enumerate(tokenized, start=first):
                start, stop = tokens.question or (_UNKNOWN, _UNKNOWN)
                few_shot = _UNKNOWN if tokens.few_shot_tokens is None else tokens.few_shot_tokens
                for values, value in zip(
                    self._spans.values(), (start, stop, few_shot, tokens.has_bos), strict=True
                ):
                    values.append(int(value))
                token_ids = array("i", tokens.ids)
                self._ids.extend(token_ids)
                self._ends.append(len(self._ids))
                content.add(self.texts(row), token_ids.tobytes())
        self.content = content.hexdigest()

    def __len__(self) -> int:
        return len(self._prompts)

    def _prompt(self, row: int) -> PromptLike:
        """A prompt as it is tokenized; a text is all question."""
        prompt = self._prompts[row]
        return Prompt(str(row), "", "", "", prompt, "") if isinstance(prompt, str) else prompt

    def texts(self, row: int) -> tuple[str, ...]:
        """What a prompt's row says in `TEXTS`; token ids are shown as the text they stand for."""
        prompt = self._prompt(row)
        if isinstance(prompt, Prompt):
            return tuple(str(getattr(prompt, name)) for name in TEXTS)
        ids = list(self._ids_of(row))
        text = "" if self._tokenizer is None else self._tokenizer.decode(ids, skip_special_tokens=True)
        return (str(row), "", "", "", text, "")

    def name(self, row: int) -> str:
        """How a prompt is called in an error."""
        return name_of(self._prompt(row), row)

    def rows(self, start: int, stop: int) -> list[TokenizedPrompt]:
        """Some prompts, ready to run."""
        tokenized = []
        for row in range(start, stop):
            first, last, few_shot, bos = (values[row] for values in self._spans.values())
            tokenized.append(
                TokenizedPrompt(
                    list(self._ids_of(row)), self.name(row), (first, last) if first >= 0 else None,
                    few_shot if few_shot >= 0 else None, bool(bos),
                )
            )  # fmt: skip
        return tokenized

    def tables(self) -> Iterator[pd.DataFrame]:
        """The prompts' table, some rows at a time."""
        import pandas as pd

        ends = np.asarray(self._ends)
        spans = {name: np.asarray(values, dtype=np.int64) for name, values in self._spans.items()}
        lengths = {
            "tokens": np.diff(ends),
            "few_shot_tokens": _or_nan(spans["few_shot"], spans["few_shot"]),
            "question_tokens": _or_nan(spans["stop"] - spans["start"], spans["start"]),
            "has_bos": spans["bos"].astype(bool),
        }
        for start in range(0, len(self), _CHUNK):
            stop = min(start + _CHUNK, len(self))
            columns: dict[str, Any] = dict(
                zip(TEXTS, zip(*(self.texts(row) for row in range(start, stop)), strict=True), strict=True)
            )
            columns |= {name: values[start:stop] for name, values in lengths.items()}
            yield pd.DataFrame(columns)

    def _ids_of(self, row: int) -> array[int]:
        return self._ids[self._ends[row] : self._ends[row + 1]]


def _or_nan(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Whole numbers; with NaN for those that are not known, where there are any."""
    unknown = where == _UNKNOWN
    return np.where(unknown, np.nan, values) if unknown.any() else values
