"""One prompt of the explorer: read once, then asked for tokens and words at any layer and position."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from latentlang.answers import token_bytes
from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.lens.answer_languages import build_answer_languages
from latentlang.lens.base import Lens, LogitLens
from latentlang.lens.single_prompt import ExplorerResult, tabulate
from latentlang.models import HookedLM, TokenSets, read_out
from latentlang.models.batch import ActivationBatch
from latentlang.progress import ProgressOption, reporting
from latentlang.tasks import Prompt, Task
from latentlang.tasks.base import sources_of

_QUOTED = re.compile('["“„«「]([^"“”„«»「」]+)["”“»」]')
_NOT_ITS_OWN = "each of its tokens can begin another of these languages' words too"
# A word that stands less above wrong words than this says nothing of a layer.
_LEAST_ABOVE_NULL = 0.01
# Share of the largest distance from the output at which a reading has begun to be the output's.
_HALF_WAY = 0.5
WORD_COLUMNS = ("language", "word", "layer", "answer", "null", "why")


@dataclass(frozen=True)
class PromptSession:
    """One prompt, read at every position and layer.

    Attributes:
        model: what it was read with.
        text: the prompt.
        ids: its tokens.
        reading: the residual streams, ``[1, layer, position, d_model]``, layers 1 to L.
        result: the likeliest next tokens everywhere.
        lens: what the layers are read through.
    """

    model: HookedLM
    text: str
    ids: tuple[int, ...]
    reading: ActivationBatch = field(repr=False)
    result: ExplorerResult = field(repr=False)
    lens: Lens = field(default_factory=LogitLens)

    @classmethod
    def at(
        cls,
        model: HookedLM,
        text: str,
        *,
        top: int,
        lens: Lens | None = None,
        progress: ProgressOption = False,
    ) -> PromptSession:
        """Run the model once.

        Raises:
            InputError: an empty prompt.
            ModelError: a prompt that is too long, or a model that cannot be read.
        """
        if not text.strip():
            raise InputError("the prompt is empty; type one")
        (ids,) = model.encode([text])
        layers = range(1, model.n_layers + 1)
        through = lens or LogitLens()
        with reporting(progress, "reading", things="positions") as report:
            reading = model.activations([ids], layers=tuple(layers), positions="all", logits=False)
            result = tabulate(model, text, reading, ids=ids, top=top, lens=through, progress=report)
        return cls(model, text, tuple(ids), reading, result, through)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer numbers, 1 to L."""
        return self.reading.layers

    def cell(self, layer: int, position: int) -> pd.DataFrame:
        """The likeliest next tokens at one layer and position; columns as of an `ExplorerResult`."""
        table = self.result.table
        return table[(table["layer"] == layer) & (table["position"] == position)]

    def words(self, task: Task, label: str, codes: Sequence[str], position: int) -> pd.DataFrame:
        """What every layer gives each language's word for a label, and its words for wrong labels, after a token.

        Only tokens that can begin no other of these languages' answers count (policy ``exclusive``).

        Args:
            task: whose answers these are.
            label: the class or concept.
            codes: languages whose words are read.
            position: index of the token after which the word would stand.

        Returns:
            Columns ``language``; ``word``; ``layer``; ``answer``, the probability of the word in [0, 1]; ``null``, the
            mean probability of at most `lens.answer_languages.WRONG_LABELS` wrong words; NaN where no token is the
            language's own, and ``why`` then says so.
        """
        words = {code: answers[label] for code in codes if label in (answers := task.answers(code))}
        if not words:
            return pd.DataFrame(columns=list(WORD_COLUMNS))
        table = token_bytes(self.model.tokenizer)
        before = table.bytes[self.ids[position]] or b""
        prompt = Prompt(label, next(iter(words)), label, "", "", before.decode("utf-8", "replace"))
        answer_languages = build_answer_languages(
            task, table, [prompt], codes=tuple(words), policy="exclusive", source=None, seed=0
        )
        values = self._values(answer_languages.ids, position)
        probabilities = answer_languages.values(label, values) if answer_languages.choices[label] else None
        parts = []
        for column, (code, strings) in enumerate(words.items()):
            nothing = np.full(len(self.layers), np.nan)
            answer = nothing if probabilities is None else probabilities[0, column]
            wrong = (
                probabilities[1:, column] if probabilities is not None else np.empty((0, len(self.layers)))
            )
            read = wrong[~np.isnan(wrong).any(1)]
            why = "" if not np.isnan(answer).any() else _NOT_ITS_OWN
            columns = {
                "language": code, "word": " / ".join(strings), "layer": self.layers, "answer": answer,
                "null": read.mean(0) if len(read) else nothing, "why": why,
            }  # fmt: skip
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)[list(WORD_COLUMNS)]

    def informative_layer(self, words: pd.DataFrame | None, *, named: Sequence[str], position: int) -> int:
        """The layer to look at first, before the last.

        That is where the word of a language that the prompt does not name stands highest above wrong words: there a
        layer is on its way through that language. Where no such word stands by 0.01 above them, or no answer is known,
        it is the first layer whose KL from the output is at most half of the largest.

        Args:
            words: as of `words`; None where no answer is known.
            named: codes of the languages that the prompt names, source and target: their words are copied or said.
            position: index of the token that is looked at.
        """
        inner = self.layers[:-1]
        if not inner:
            return self.layers[-1]
        if words is not None:
            others = words[words["layer"].isin(inner) & ~words["language"].isin(list(named))]
            above = (others["answer"] - others["null"]).dropna()
            if len(above) and above.max() >= _LEAST_ABOVE_NULL:
                return int(others["layer"].to_numpy()[above.reindex(others.index).argmax()])
        table = self.result.table
        distances = table[(table["position"] == position) & (table["rank"] == 1)].set_index("layer")["kl"]
        near = distances.loc[list(inner)] <= _HALF_WAY * distances.max()
        return next((layer for layer in inner if near[layer]), inner[-1])

    def _values(self, ids: np.ndarray, position: int) -> np.ndarray:
        """Probabilities of single tokens after a position, ``[layer, token]``."""
        sets = TokenSets([np.array([token]) for token in ids.tolist()])
        readout = read_out(
            self.model, self.reading.resid[:, :, position], sets, top=0, lens=self.lens, layers=self.layers
        )
        values: np.ndarray = readout.log_probs[0].double().exp().cpu().numpy()
        return values


def labels_of(task: Task) -> tuple[str, ...]:
    """All labels that a task has words for, in the order of its languages."""
    return tuple(dict.fromkeys(label for code in task.languages for label in task.answers(code)))


def guess(task: Task, text: str) -> str | None:
    """The label that a prompt's last line names in some language; of several the last, and of these the longest.

    Where something stands in quotation marks, only the last such words count: what follows may name a language
    (``Français: "fleur" - 中文: "``), which is a word as well.

    Args:
        task: an open task; of a closed one nothing can be guessed, since a prompt does not name its own label.
        text: the prompt.
    """
    lines = text.rstrip().splitlines()
    if task.closed or not lines:
        return None
    line = unicodedata.normalize("NFC", lines[-1])
    quoted = _QUOTED.findall(line)
    line = (quoted[-1] if quoted else line).casefold()
    best: tuple[int, int] = (-1, 0)
    guessed = None
    for code in dict.fromkeys((*task.languages, *sources_of(task, task.languages))):
        for label, strings in task.answers(code).items():
            for word in strings:
                end = _end_of(unicodedata.normalize("NFC", word).casefold(), line)
                if end >= 0 and (end, len(word)) > best:
                    best, guessed = (end, len(word)), label
    return guessed


def named_languages(text: str, codes: Sequence[str]) -> tuple[str, ...]:
    """The languages whose names stand in a prompt's last line outside of quotation marks, in their order there.

    The last of them is the one that is asked for: ``Français: "fleur" - 中文: "``.

    Args:
        text: the prompt.
        codes: the languages it may name, in their own words or in English.
    """
    lines = text.rstrip().splitlines()
    if not lines:
        return ()
    line = _QUOTED.sub(" ", unicodedata.normalize("NFC", lines[-1])).casefold()
    ends = {}
    for code in codes:
        entry = language(code)
        names = {
            unicodedata.normalize("NFC", name).casefold() for name in (entry.name, entry.own_name) if name
        }
        end = max((_end_of(name, line) for name in names), default=-1)
        if end >= 0:
            ends[code] = end
    return tuple(sorted(ends, key=lambda code: ends[code]))


def _end_of(word: str, line: str) -> int:
    """Where the last occurrence of a word between other characters ends; -1 where there is none."""
    start = line.rfind(word)
    while start >= 0:
        end = start + len(word)
        inside = (start > 0 and line[start - 1].isalpha()) or (end < len(line) and line[end].isalpha())
        if not inside:
            return end
        start = line.rfind(word, 0, end - 1)
    return -1
