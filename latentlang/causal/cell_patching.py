"""Patching by hand: the residual stream at one place of one prompt is put into one place of another prompt.

What `patching` does for many prompts of two pairs of languages, for two texts that somebody looks at: a layer and a
token of each are named, and the words whose probabilities are wanted. Beside the change stands another one of the same
size in random directions, without which nobody can tell what was carried from what was broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import answer_sets, token_bytes
from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.models import Edit, HookedLM, TokenSets, as_model, read_out
from latentlang.models.batch import check_layers
from latentlang.models.directions import random_vectors
from latentlang.models.edits import unit

#: Random directions beside a patch, of which the mean is told.
DRAWS = 3
_TOP = 5
_COLUMNS = ("name", "word", "before", "after", "random", "why")
_NO_TOKEN = "no token begins this word and none of the others"


@dataclass(frozen=True)
class CellPatch:
    """What one patch does to what comes next.

    Attributes:
        words: a row a word: its ``name``; ``word``, how it is written; its probability in [0, 1] without the patch
            (``before``), with it (``after``) and with changes of the same size in random directions (``random``, the
            mean over draws); NaN where no token tells it from the others, which ``why`` then says.
        before: the likeliest next tokens without the patch: ``id, token, probability``.
        after: the same with it.
        random: ``[draw, word]`` probabilities of the words with each random change.
        source: the token that the stream was taken after, as its place in its prompt, from 0.
        target: the token that it was put after.
        size: length of the change, over the length of the stream that was there.
    """

    words: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame
    random: NDArray[np.float64]
    source: int
    target: int
    size: float


@checked_call
def patch_cell(
    model: HookedLM | str,
    *,
    source: str,
    target: str,
    source_cell: tuple[int, int],
    target_cell: tuple[int, int],
    words: Mapping[str, str | Sequence[str]],
    draws: int = DRAWS,
    top: int = _TOP,
    seed: int = 0,
) -> CellPatch:
    """Put the residual stream at one place of a prompt into a place of another, and see what comes next there.

    Args:
        model: the model, or its name; it is not changed.
        source: the text that the stream is taken from.
        target: the text that it is put into; what comes after it is read.
        source_cell: layer (0 is the embeddings) and token of the source, counted from 0, or from the end by -1, -2 ...
        target_cell: layer and token of the target.
        words: name to the word, or the spellings, whose probability is wanted; a word is read by the tokens that can
            begin it and none of the others.
        draws: random directions of the control.
        top: likeliest tokens that are told.
        seed: of the random directions.

    Raises:
        InputError: an empty prompt, or a word that is none.
        ModelError: a layer or a token that does not exist.
    """
    return CellPatching(
        as_model(model), source=source, target=target, positions=(source_cell[1], target_cell[1]), words=words,
        draws=draws, top=top, seed=seed,
    ).at(source_cell[0], target_cell[0])  # fmt: skip


class CellPatching:
    """Patches between the same two tokens of two prompts, at whatever layers; arguments as of `patch_cell`."""

    def __init__(
        self,
        model: HookedLM,
        *,
        source: str,
        target: str,
        positions: tuple[int, int],
        words: Mapping[str, str | Sequence[str]],
        draws: int = DRAWS,
        top: int = _TOP,
        seed: int = 0,
    ) -> None:
        check_count("draws", draws, least=1)
        check_count("top", top, least=1)
        check_count("seed", seed, least=0)
        self._model, self._draws, self._top, self._seed = model, draws, top, seed
        for name, text in (("source", source), ("target", target)):
            if not text.strip():
                raise InputError(f"the {name} prompt is empty; give a text")
        (self._source,), (self._target,) = model.encode([source]), model.encode([target])
        self.positions = (
            _position(positions[0], len(self._source), "source"),
            _position(positions[1], len(self._target), "target"),
        )
        self._spellings = {
            name: (word,) if isinstance(word, str) else tuple(word) for name, word in words.items()
        }
        self._tokens = tokens_of_words(model, self._spellings, after=target)
        self._sets = TokenSets([self._tokens[name] for name in self._tokens])
        self._streams: dict[int, tuple[Tensor, Tensor]] = {}
        self._plain: tuple[NDArray[np.float64], pd.DataFrame] | None = None

    def at(self, source_layer: int, target_layer: int) -> CellPatch:
        """Patch the stream after one layer of the source into that after one layer of the target.

        Raises:
            ModelError: a layer that does not exist.
        """
        for layer in (source_layer, target_layer):
            check_layers([layer], depth=self._model.n_layers)
        value, there = self._stream(source_layer)[0], self._stream(target_layer)[1]
        change = value - there
        draws = random_vectors((self._draws, len(change)), "cell patch", self._seed).to(change)
        values = torch.cat([value[None], there + unit(draws) * change.norm()])
        edit = Edit.replace(values, layers=[target_layer], positions=[self.positions[1]])
        if self._plain is None:
            self._plain = self._read(1)[0]
        with self._model.edited(edit):
            patched, *random = self._read(len(values))
        before, after = self._plain[0], patched[0]
        others = np.stack([probabilities for probabilities, _top in random])
        why = ["" if len(self._tokens[name]) else _NO_TOKEN for name in self._tokens]
        rows = zip(
            self._tokens,
            map(" / ".join, self._spellings.values()),
            before,
            after,
            others.mean(0),
            why,
            strict=True,
        )
        return CellPatch(
            words=pd.DataFrame(rows, columns=list(_COLUMNS)), before=self._plain[1], after=patched[1], random=others,
            source=self.positions[0], target=self.positions[1],
            size=float(change.norm() / there.norm().clamp_min(1e-30)),
        )  # fmt: skip

    def _stream(self, layer: int) -> tuple[Tensor, Tensor]:
        """The stream after a layer at the source's token and at the target's, ``[d]`` each, float32."""
        if layer not in self._streams:
            reading = self._model.activations(
                [self._source, self._target], layers=[layer], positions=[[place] for place in self.positions],
                logits=False,
            ).resid.float()  # fmt: skip
            self._streams[layer] = reading[0, 0, 0], reading[1, 0, 0]
        return self._streams[layer]

    def _read(self, rows: int) -> list[tuple[NDArray[np.float64], pd.DataFrame]]:
        """Probabilities of the words ``[word]`` and the likeliest tokens after the target, of so many runs of it."""
        model = self._model
        reading = model.activations([self._target] * rows, layers=[model.n_layers])
        found = read_out(model, reading.resid, self._sets, logits=reading.logits, top=self._top)
        probabilities = found.log_probs[:, 0].double().exp().cpu().numpy()
        probabilities[:, self._sets.empty.numpy().astype(bool)] = np.nan
        table = token_bytes(model.tokenizer)
        tops = []
        for row in range(rows):
            ids = found.top_ids[row, 0].tolist()
            tops.append(
                pd.DataFrame(
                    {
                        "id": ids,
                        "token": [table.render(token) for token in ids],
                        "probability": found.top_log_probs[row, 0].double().exp().tolist(),
                    }
                )
            )
        return list(zip(probabilities, tops, strict=True))


def tokens_of_words(
    model: HookedLM, words: Mapping[str, Sequence[str]], *, after: str
) -> dict[str, NDArray[np.int64]]:
    """Of each word the tokens that can begin it and none of the others; empty where none can, or only longer words.

    Args:
        model: whose tokens.
        words: name to spellings.
        after: the text that they would stand after: whether a space may come first.
    """
    if not words:
        return {}
    sets = answer_sets(
        token_bytes(model.tokenizer), {name: {"": tuple(each)} for name, each in words.items()}, cue=after
    )
    holders = Counter(token for each in sets.values() for token in each.ids.tolist())
    found = {}
    for each in sets.values():
        own = [token for token in each.ids.tolist() if holders[token] == 1]
        found[each.language] = np.array(own if {*own} - {*each.running_on.tolist()} else [], dtype=np.int64)
    return found


def _position(given: int, tokens: int, name: str) -> int:
    if not -tokens <= given < tokens:
        raise InputError(f"the {name} prompt has {tokens} tokens, so there is none at {given}; count from 0")
    return given % tokens
