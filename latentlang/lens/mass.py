"""Language mass: how much of a layer's whole distribution is on tokens of each language, over running text.

A token belongs to a language by a table of tokens and languages (`answers.language_table`) where that is certain
enough; the others are left out, and their probability is counted (Wu et al. 2024 spread every token over all languages,
so that digits and signs count for all). One pass over the vocabulary gives the masses of all layers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentlang.answers import TokenLanguages, token_languages
from latentlang.arguments import Layers, check_count, checked_call, given_layers
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.lens.base import Lens, lens_settings
from latentlang.lens.mass_result import COLUMNS, UNCOUNTED, LanguageMassResult
from latentlang.lens.mass_settings import LanguageMassSettings
from latentlang.lens.tuned import as_lens
from latentlang.models import ActivationBatch, HookedLM, TokenSets, as_model, read_out
from latentlang.models.finished_languages import kept_in, kept_tensor
from latentlang.models.long_texts import fitting_texts
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts

#: Positions are gathered in ranges that begin here; position 1 is the first token after that of the beginning.
POSITIONS = (1, 4, 16, 64)
# Positions whose every layer is read at once.
_ROWS = 64
Floats = NDArray[np.float64]


@checked_call
def language_mass(
    model: HookedLM | str,
    texts: Texts,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    table: TokenLanguages | str | os.PathLike[str] | None = None,
    items: int | None = None,
    layers: Layers = "all",
    lens: Lens | str | os.PathLike[str] | None = None,
    seed: int = 0,
    long_texts: str = "refuse",
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> LanguageMassResult:
    """Measure how much of each layer's next-token distribution is on tokens of each language.

    Args:
        model: the model, or its name; it is not changed.
        texts: a folder of parallel text, or ``"udhr"``; a task, whose prompts are taken whole; or language code to a
            list of texts.
        languages: of the texts; by default all that the texts have.
        table: which tokens belong to which language (`token_languages`), or the folder it was saved to; it may have
            more languages. None makes one from the same texts, which must then be parallel and in two languages at
            least.
        items: paragraphs per language of a folder or task, and of lists the first ones; None for all.
        layers: ``"all"`` (1 to L), layer numbers, or ``"0,4,8-12"``; 0 is the embeddings.
        lens: what the layers are read through: a `Lens`, or the folder of a saved tuned lens; None for the logit lens.
        seed: draws paragraphs, bootstrap samples and permutations.
        long_texts: what becomes of texts longer than the model's context: ``"refuse"`` them, ``"cut"`` them at their
            end, or ``"drop"`` them; how many is in the settings, and `describe` says it.
        batch_tokens: tokens run at once; by default what suits the device.
        resume: a folder where each language is kept as soon as it is done, so that the same call goes on where one was
            stopped.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: no text, a language that is not there, a table of another vocabulary or without the language of a
            text, or a number that makes no sense.
        ModelError: a text is longer than the model's context, or the model cannot be read.
    """
    model = as_model(model)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    if not isinstance(texts, str | os.PathLike | Task | Mapping):
        raise InputError("texts need their language; give them as {'ja': [...], 'de': [...]}, or a folder")
    opened = table if table is None or isinstance(table, TokenLanguages) else TokenLanguages.load(table)
    if isinstance(texts, str | os.PathLike):
        texts = ContinuationTask(data=os.fspath(texts))
    prompts, about = prompts_of_texts(texts, languages, items=items, seed=seed)
    fitting = fitting_texts(model, prompts, long_texts)
    prompts = fitting.prompts
    codes = list(dict.fromkeys(prompt.language for prompt in prompts))
    table_of_these = opened is None
    if opened is None:
        opened = _table_of(model, texts, codes, seed=seed)
    opened.check_vocabulary(model.tokenizer)
    for code in codes:
        if code not in opened.languages:
            raise unknown("language of the table of tokens", code, opened.languages)
    if len(opened.languages) < 2:
        raise InputError(
            f"the table of tokens has those of {opened.languages[0]!r} alone, and mass is told apart between "
            "languages; give one of others too"
        )
    membership = opened.membership(model.vocab_size)
    weights = torch.from_numpy(membership)
    through = as_lens(lens, model)
    wanted = range(1, model.n_layers + 1) if isinstance(layers, str) and layers == "all" else layers
    tokenized = model.tokenize(prompts)
    by_language = {
        code: [place for place, prompt in enumerate(prompts) if prompt.language == code] for code in codes
    }
    for code, places in by_language.items():
        if not any(len(_places(tokenized[place])) for place in places):
            raise InputError(
                f"the texts in {code!r} have no token to measure; leave the language out, or give text"
            )
    numbers = _numbers(model, tokenized, wanted)
    masses: dict[str, Floats] = {}
    question = {
        "layers": given_layers(list(numbers)), "positions": list(POSITIONS), **lens_settings(through),
        "table": hashlib.sha256(np.ascontiguousarray(membership).tobytes()).hexdigest(),
    }  # fmt: skip
    task: Task = texts if isinstance(texts, Task) else ContinuationTask()
    with (
        kept_in(resume, model, [task]) as (finished,),
        reporting(progress, "reading", things="paragraphs", total=len(prompts)) as report,
    ):
        done = 0
        for code, places in by_language.items():

            def read(places: Sequence[int] = places, before: int = done) -> Tensor:
                part = [tokenized[place] for place in places]
                sums = np.zeros((len(part), len(POSITIONS), len(numbers), len(opened.languages)))
                read_texts = 0
                for reading in model.iter_activations(
                    part, layers=numbers, positions="all", logits=False, batch_tokens=batch_tokens
                ):
                    _add(sums, model, reading, part, through, weights)
                    read_texts += len(reading)
                    report(before + read_texts, len(prompts))
                return torch.from_numpy(sums)

            asked = [prompts[place] for place in places]
            masses[code] = kept_tensor(finished, "mass", asked, question, read).numpy()
            done += len(places)
            report(done, len(prompts))
    parts = [
        _frame([prompts[place] for place in places], [tokenized[place] for place in places], masses[code],
               numbers, opened.languages)
        for code, places in by_language.items()
    ]  # fmt: skip
    settings = LanguageMassSettings(
        long_texts=long_texts, too_long=fitting.counts,
        items=items, layers=list(numbers), n_layers=model.n_layers, positions=list(POSITIONS), **lens_settings(through),
        table_of_these=table_of_these, table_texts=opened.settings.texts, certainty=opened.settings.certainty,
        certain={code: int(membership[:, column].sum()) for column, code in enumerate(opened.languages)},
        prior=_shares(opened.languages, membership.mean(0)),
        written={
            code: _shares(opened.languages, _written([tokenized[place] for place in places], membership))
            for code, places in by_language.items()
        },
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task="language mass",
        languages=tuple(codes), policy="", seed=seed, settings={**about, **settings.stored(), **model.noted},
    )  # fmt: skip
    return LanguageMassResult(table=pd.concat(parts, ignore_index=True), provenance=provenance)


def _table_of(
    model: HookedLM, texts: Task | Mapping[str, Sequence[str]], codes: Sequence[str], *, seed: int
) -> TokenLanguages:
    """A table of tokens and languages from the texts themselves.

    Raises:
        InputError: they are in one language, or no text.
    """
    if len(codes) < 2:
        raise InputError(
            f"tokens are told apart between languages, and the texts are in {codes[0]!r} alone; give texts in others "
            "too, or table=token_languages(...)"
        )
    if isinstance(texts, Task) and not isinstance(texts, ContinuationTask):
        raise InputError(
            f"the prompts of the task {texts.name!r} are no parallel text; give table=token_languages(model, "
            "'udhr', languages=...)"
        )
    return token_languages(model, texts, languages=codes, seed=seed, progress=False)


def _numbers(model: HookedLM, tokenized: Sequence[TokenizedPrompt], layers: Layers) -> tuple[int, ...]:
    """Numbers of the layers that are asked for, each once."""
    reader = model.reader(layers=layers, positions="all", logits=False)
    return tuple(dict.fromkeys(reader.runner.request.layers))


def _places(encoded: TokenizedPrompt) -> range:
    """Places of a text's own tokens: after that of the beginning, of which nothing can be read."""
    return range(int(encoded.has_bos), len(encoded.ids))


def _add(
    sums: Floats,
    model: HookedLM,
    reading: ActivationBatch,
    tokenized: Sequence[TokenizedPrompt],
    lens: Lens,
    weights: Tensor,
) -> None:
    """Add the masses of a batch to ``[text, range of positions, layer, language]``."""
    for place, index in enumerate(reading.index.tolist()):
        own = _places(tokenized[index])
        # position 1 is in the first range
        ranges = np.searchsorted(POSITIONS, np.arange(1, len(own) + 1), side="right") - 1
        states = reading.resid[place, :, own.start : own.stop].transpose(0, 1)  # [token, layer, d_model]
        for start in range(0, len(own), _ROWS):
            part = states[start : start + _ROWS]
            masses = read_out(
                model, part, TokenSets([]), top=0, lens=lens, layers=reading.layers, weights=weights
            ).masses
            assert masses is not None
            np.add.at(sums[index], ranges[start : start + _ROWS], masses.double().cpu().numpy())


def _written(tokenized: Sequence[TokenizedPrompt], membership: NDArray[np.float32]) -> Floats:
    """Shares of the texts' own tokens that belong to each language."""
    ids = np.array([encoded.ids[place] for encoded in tokenized for place in _places(encoded)], np.int64)
    shares: Floats = membership[ids].mean(0).astype(float) if len(ids) else np.zeros(membership.shape[1])
    return shares


def _shares(codes: Sequence[str], values: NDArray[np.floating]) -> dict[str, float]:
    return {code: float(value) for code, value in zip(codes, values, strict=True)}


def _frame(
    prompts: Sequence[Prompt],
    tokenized: Sequence[TokenizedPrompt],
    sums: Floats,
    layers: Sequence[int],
    languages: Sequence[str],
) -> pd.DataFrame:
    """Rows of one language's texts: every range of positions that a text reaches, layer and language of tokens."""
    lengths = np.array([len(_places(encoded)) for encoded in tokenized])
    ends = np.append(np.array(POSITIONS[1:]), np.iinfo(np.int64).max)
    tokens = np.clip(np.minimum(lengths[:, None] + 1, ends) - np.array(POSITIONS), 0, None)
    # what belongs to no language is what is left
    rest = tokens[:, :, None] - sums.sum(-1)
    masses = np.concatenate([sums, np.maximum(rest, 0.0)[..., None]], -1)
    text, position = np.nonzero(tokens)
    shape = len(text), len(layers), len(languages) + 1
    names = np.array([*languages, UNCOUNTED], object)

    def spread(values: NDArray[np.generic] | Sequence[object]) -> NDArray[np.generic]:
        return np.repeat(np.asarray(values), shape[1] * shape[2])

    return pd.DataFrame({
        "language": np.full(len(text) * shape[1] * shape[2], prompts[0].language, object),
        "item": spread(np.array([prompts[place].item for place in text.tolist()], np.object_)),
        "position": spread(np.array(POSITIONS)[position]),
        "layer": np.tile(np.repeat(np.array(layers), shape[2]), len(text)),
        "of": np.tile(names, len(text) * shape[1]),
        "mass": masses[text, position].ravel(),
        "tokens": spread(tokens[text, position]),
    })[list(COLUMNS)]  # fmt: skip
