"""Where a model that writes slips into another language: token by token, and layer by layer.

The model writes greedily. Of each new token the language is looked up in a table of tokens and languages, and of every
layer before it how much probability it gives to the tokens of each language. Where the text goes on in another
language, the layer is sought from which on that language leads, and the state there is changed to see whether the text
then stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import TokenLanguages, token_bytes, token_languages
from latentlang.arguments import Layers, check_count, checked_call
from latentlang.causal.trace_null import null_verdicts
from latentlang.causal.trace_result import COLUMNS, EDIT, EDIT_COLUMNS, RANDOM, TraceResult
from latentlang.causal.trace_settings import TraceSettings
from latentlang.causal.trace_switch import (
    WINDOW,
    Switch,
    find_origin,
    find_switch,
    latest_language,
    undone,
)
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.lens.base import Lens, lens_settings
from latentlang.lens.prompt_run import lens_layers
from latentlang.lens.tuned import as_lens
from latentlang.models import Edit, HookedLM, TokenSets, as_model, read_out
from latentlang.models.directions import random_vectors
from latentlang.models.edits import unit
from latentlang.models.generation import generate_tokens
from latentlang.models.hooked import check_unedited
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt
from latentlang.tasks.shared_texts import LanguageTexts, Texts, language_texts

Floats = NDArray[np.float64]

#: New tokens, unless asked otherwise, and random directions beside an edit.
TOKENS, DRAWS = 30, 20
# Of the text that null and means are read at: paragraphs of each language, the first tokens of each, and of these
# those whose every layer is read out.
_PARAGRAPHS, _LONGEST, _READ = 12, 64, 2
# Shorter texts say little of a language.
_SHORTEST = 6
_NULL_HIGH = 0.95
# Tokens whose every layer is read out at once.
_TOGETHER = 64


@checked_call
def trace(
    model: HookedLM | str,
    prompts: str | Prompt | Sequence[str | Prompt],
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    asked: str | Language | None = None,
    tokens: int = TOKENS,
    table: TokenLanguages | str | os.PathLike[str] | None = None,
    texts: Texts = None,
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    batch_tokens: int | None = None,
    progress: ProgressOption = True,
) -> TraceResult:
    """Trace in which language a model writes, and where and from which layer on it slips into another.

    Args:
        model: the model, or its name; it is not changed.
        prompts: one text or several; or `Prompt` objects, of a task's items (``task.prompts("ja", items=5)``), whose
            language is then the one asked for.
        languages: languages that are told apart, two or more: those that the model might write; by default those of
            the table.
        asked: language that the texts should be in; None: whether each stays in its own, that of its end.
        tokens: new tokens at most.
        table: which tokens belong to which language (`token_languages`), or the folder it was saved to; None to make
            one of `texts`.
        texts: parallel text in the languages, as of `token_languages`; null and mean activations are read at it.
        layers: ``"all"`` (1 to L), layer numbers, or text such as ``"4,8-12"``; the last always is.
        lens: what the layers are read through: a `Lens`, or the folder of a fitted one; None for the logit lens.
        draws: random directions beside the edit; 0 for no edits.
        seed: draws paragraphs and random directions.
        batch_tokens: see `HookedLM.iter_activations`.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (prompts done, prompts in all).

    Raises:
        InputError: no prompt, fewer than two languages, no text in one of them, a table of other languages or of
            another vocabulary, or a number that makes no sense.
        ModelError: a layer that does not exist, or a prompt that is too long.
    """
    loaded = as_model(model)
    check_unedited(loaded, "a model is traced")
    check_count("tokens", tokens, least=1)
    check_count("draws", draws, least=0)
    check_count("seed", seed, least=0)
    listed = list(prompts) if isinstance(prompts, Sequence) and not isinstance(prompts, str) else [prompts]
    check_prompts(listed)
    numbers = lens_layers(layers, depth=loaded.n_layers)
    through = as_lens(lens, loaded)
    opened = table if table is None or isinstance(table, TokenLanguages) else TokenLanguages.load(table)
    codes = trace_languages(languages, opened)
    wanted = [_asked(prompt, asked, codes) for prompt in listed]
    corpus = language_texts(texts, languages=codes, seed=seed)
    if opened is None:
        opened = token_languages(loaded, texts, languages=codes, seed=seed, progress=False)
    opened.check_vocabulary(loaded.tokenizer)
    with reporting(progress, "tracing", things="prompts", total=len(listed)) as report:
        run = _TraceRun(loaded, opened, codes, numbers, through, batch_tokens=batch_tokens)
        ground = run.ground(corpus, seed=seed)
        encoded = [list(prompt.ids) for prompt in loaded.tokenize(listed)]
        written = generate_tokens(loaded, encoded, new_tokens=tokens, batch_tokens=batch_tokens)
        frames, edits, before = [], [], []
        for place, (ids, new, own) in enumerate(zip(encoded, written, wanted, strict=True)):
            start = own or latest_language([opened.language_of(token) for token in ids])
            start = start if start in codes else None
            before.append(start)
            frame, made = run.prompt(place, ids, new, start, ground, tokens=tokens, draws=draws, seed=seed)
            frames.append(frame)
            edits += made
            report(place + 1, len(listed))
    counts = opened.certain["language"].value_counts()
    null_table, nulls = null_verdicts(loaded, opened, corpus, tokens=tokens, seed=seed, made=table is None)
    settings = TraceSettings(
        prompts=[str(prompt) for prompt in listed], asked=wanted, before=before, tokens=tokens, layers=list(numbers),
        n_layers=loaded.n_layers, **lens_settings(through), texts=opened.settings.texts,
        certainty=opened.settings.certainty, certain={code: int(counts.get(code, 0)) for code in codes},
        null_tokens=ground.null_tokens, mean_tokens=ground.mean_tokens, null_verdicts=nulls,
        null_table=null_table, window=WINDOW, draws=draws,
    )  # fmt: skip
    provenance = Provenance(
        model=loaded.name, revision=loaded.revision, adapter=loaded.active_adapter, task="trace",
        languages=tuple(codes), policy="", seed=seed, settings={**settings.stored(), **loaded.noted},
    )  # fmt: skip
    return TraceResult(
        table=pd.concat(frames, ignore_index=True)[list(COLUMNS)],
        provenance=provenance,
        edits=pd.DataFrame(edits, columns=list(EDIT_COLUMNS)),
    )


def check_prompts(prompts: Sequence[object]) -> None:
    """Refuse what is no list of texts that hold something.

    Raises:
        InputError: naming the first that is none.
    """
    if not prompts:
        raise InputError("there is no prompt to go on from; give a text")
    for prompt in prompts:
        if not isinstance(prompt, str | Prompt):
            raise InputError(f"a prompt must be a text or a Prompt, not {type(prompt).__name__}")
        if not str(prompt):
            raise InputError(f"the prompt is empty ({prompt!r}); give the text to go on from")


def trace_languages(
    languages: str | Language | Iterable[str | Language] | None, table: TokenLanguages | None
) -> list[str]:
    """Codes of the languages that are told apart.

    Raises:
        InputError: fewer than two, or others than the table's.
    """
    if languages is None:
        if table is None:
            raise InputError("give the languages that the model might write, two or more: languages='en,ja'")
        return list(table.languages)
    codes = [entry.code for entry in find_languages(languages)]
    if table is not None and {*codes} != {*table.languages}:
        raise InputError(
            f"languages are {', '.join(codes)} and those of the table {', '.join(table.languages)}; leave languages "
            "out, or make another table"
        )
    if len(codes) < 2:
        raise InputError(
            f"give two languages or more that the model might write, not {', '.join(codes) or 'none'}"
        )
    return list(table.languages) if table is not None else codes


def _asked(prompt: str | Prompt, asked: str | Language | None, codes: Sequence[str]) -> str | None:
    """Code of the language that a text should be in; None where nothing says it."""
    given = asked if asked is not None else prompt.language if isinstance(prompt, Prompt) else None
    if not given:
        return None
    code = find_language(given).code
    if code not in codes:
        raise InputError(
            f"the language asked for, {code!r}, is not among those told apart ({', '.join(codes)}); add it"
        )
    return code


@dataclass(frozen=True)
class _Ground:
    """What layers do over text: the null of each language's probability, and each language's mean activation.

    Attributes:
        null, high: ``[layer, language]`` mean and upper end of the probability of a language's tokens over text in the
            other languages.
        means: ``[language, layer, d]``, float32.
        null_tokens, mean_tokens: language to how many tokens these are of.
    """

    null: Floats
    high: Floats
    means: Tensor
    null_tokens: dict[str, int]
    mean_tokens: dict[str, int]


class _TraceRun:
    """One model, read in one way."""

    def __init__(
        self,
        model: HookedLM,
        table: TokenLanguages,
        codes: Sequence[str],
        layers: tuple[int, ...],
        lens: Lens,
        *,
        batch_tokens: int | None,
    ) -> None:
        self.model, self.table, self.codes, self.layers, self.lens = model, table, list(codes), layers, lens
        self.batch_tokens = batch_tokens
        self._weights = torch.from_numpy(table.membership(model.vocab_size))
        self._bytes = token_bytes(model.tokenizer)

    def ground(self, corpus: LanguageTexts, *, seed: int) -> _Ground:
        """Read the null and the mean activations at some paragraphs, the same in every language."""
        order = shuffled(sorted(corpus.items), "trace", seed)
        encoded = {code: self.model.encode(texts) for code, texts in corpus.of(order).items()}
        long = [
            place
            for place in range(len(order))
            if min(len(of_language[place]) for of_language in encoded.values()) >= _SHORTEST
        ]
        places = (long or list(range(len(order))))[:_PARAGRAPHS]
        masses, means, null_tokens, mean_tokens = [], [], {}, {}
        for code, of_language in encoded.items():
            ids = [of_language[place][:_LONGEST] for place in places]
            resid, first = self._states([each for each in ids if len(each) > 1])
            read = torch.cat([
                torch.linspace(start, stop - 1, min(_READ, stop - start)).long()
                for start, stop in zip(first, [*first[1:], len(resid)], strict=True)
            ])  # fmt: skip
            masses.append(self._masses(resid[read])[0])
            means.append(resid.float().mean(0))
            null_tokens[code], mean_tokens[code] = len(read), len(resid)
        others = [
            np.concatenate([masses[other][:, :, row] for other in range(len(masses)) if other != row])
            for row in range(len(masses))
        ]
        return _Ground(
            np.stack([values.mean(0) for values in others], -1),
            np.stack([np.quantile(values, _NULL_HIGH, axis=0) for values in others], -1),
            torch.stack(means), null_tokens, mean_tokens,
        )  # fmt: skip

    def _states(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, list[int]]:
        """States ``[token, layer, d]`` of all tokens but each text's first, and where each text's begin."""
        if not ids:
            raise InputError("the text has no paragraph of two tokens or more; give longer parallel text")
        reading = self.model.activations(
            [list(each) for each in ids], layers=self.layers, logits=False, batch_tokens=self.batch_tokens,
            positions=[list(range(1, len(each))) for each in ids],
        )  # fmt: skip
        parts = [reading.resid[row, :, : len(each) - 1].transpose(0, 1) for row, each in enumerate(ids)]
        starts = np.cumsum([0, *(len(each) - 1 for each in ids)])[:-1]
        return torch.cat(parts), starts.tolist()

    def _masses(self, resid: Tensor) -> tuple[Floats, NDArray[np.int64]]:
        """Probabilities of the languages ``[token, layer, language]`` and likeliest tokens ``[token, layer]``."""
        nothing = TokenSets([])
        masses, top = [], []
        for part in resid.split(_TOGETHER):
            readout = read_out(
                self.model, part, nothing, weights=self._weights, lens=self.lens, layers=self.layers
            )
            assert readout.masses is not None
            masses.append(readout.masses.double().cpu().numpy())
            top.append(readout.top_ids[..., 0].cpu().numpy())
        # columns of the table as the languages were given
        order = [self.table.languages.index(code) for code in self.codes]
        return np.concatenate(masses)[..., order], np.concatenate(top)

    def prompt(
        self,
        place: int,
        ids: Sequence[int],
        new: Sequence[int],
        before: str | None,
        ground: _Ground,
        *,
        tokens: int,
        draws: int,
        seed: int,
    ) -> tuple[pd.DataFrame, list[dict[str, object]]]:
        """The rows of one prompt, and of what is changed where it switches."""
        if not new:
            return pd.DataFrame(columns=list(COLUMNS)), []
        reading = self.model.activations(
            [[*ids, *new[:-1]]], layers=self.layers, logits=False, batch_tokens=self.batch_tokens,
            positions=list(range(len(ids) - 1, len(ids) + len(new) - 1)),
        )  # fmt: skip
        resid = reading.resid[0].transpose(0, 1)
        masses, top = self._masses(resid)
        owners = [self.table.language_of(token) for token in new]
        frame = self._frame(place, new, owners, masses, top, ground)
        switch = find_switch(owners, before)
        if switch is None or not draws:
            return frame, []
        column = self.codes.index(switch.language)
        null = np.broadcast_to(ground.high, masses.shape)
        step, layer = find_origin(self.layers, masses, null, owners, switch, column)
        if layer is None:
            return frame, []
        state = resid[step, self.layers.index(layer)].float()
        text = [*ids, *new[:step]]
        return frame, self._edited(
            place,
            text,
            owners[:step],
            before,
            switch,
            layer,
            state,
            ground,
            tokens=tokens,
            draws=draws,
            seed=seed,
        )

    def _frame(
        self,
        place: int,
        new: Sequence[int],
        owners: Sequence[str | None],
        masses: Floats,
        top: NDArray[np.int64],
        ground: _Ground,
    ) -> pd.DataFrame:
        steps, depth, languages = masses.shape
        each = depth * languages
        written = [self._bytes.render(token) for token in new]
        likeliest = [self._bytes.render(token) for token in top.ravel().tolist()]
        return pd.DataFrame({
            "prompt": place,
            "step": np.repeat(np.arange(steps), each),
            "token": np.repeat(np.array(written, object), each),
            "id": np.repeat(np.array(new, np.int64), each),
            "token_language": np.repeat(np.array([owner or "" for owner in owners], object), each),
            "layer": np.tile(np.repeat(self.layers, languages), steps),
            "language": np.tile(np.array(self.codes, object), steps * depth),
            "mass": masses.ravel(),
            "null": np.tile(ground.null.ravel(), steps),
            "null_high": np.tile(ground.high.ravel(), steps),
            "top": np.repeat(np.array(likeliest, object), languages),
        })  # fmt: skip

    def _edited(
        self,
        place: int,
        text: list[int],
        owners: list[str | None],
        before: str | None,
        switch: Switch,
        layer: int,
        state: Tensor,
        ground: _Ground,
        *,
        tokens: int,
        draws: int,
        seed: int,
    ) -> list[dict[str, object]]:
        """Write on from where a switch begins with the state before it changed, as meant and in random directions.

        `owners` are the languages of the new tokens that are kept.
        """
        row = self.layers.index(layer)
        old, new = (
            ground.means[self.codes.index(code), row].to(state) for code in (switch.before, switch.language)
        )
        axis = unit(new - old)
        change = -((state - old) @ axis) * axis
        length = change.norm()
        if not bool(length > 0):
            return []
        random = torch.stack([
            random_vectors(len(state), "trace-random", seed, place, draw) for draw in range(draws)
        ]).to(state)  # fmt: skip
        vectors = torch.cat([change[None], unit(random) * length])
        # [prompt, layer, d]; each row is the same text with a change of its own
        edit = Edit.add(vectors[:, None], layers=[layer], positions="last")
        continued = generate_tokens(
            self.model, [text] * len(vectors), new_tokens=tokens - len(owners), edit=edit,
            batch_tokens=self.batch_tokens,
        )  # fmt: skip
        rows: list[dict[str, object]] = []
        for number, ids in enumerate(continued):
            after = [self.table.language_of(token) for token in ids]
            rows.append({
                "prompt": place, "arm": RANDOM if number else EDIT, "draw": max(number - 1, 0), "step": len(owners),
                "layer": layer, "length": float(length / state.norm().clamp_min(1e-30)),
                "undone": undone(owners, after, before, switch.before),
                "text": self.model.tokenizer.decode(ids),
            })  # fmt: skip
        return rows
