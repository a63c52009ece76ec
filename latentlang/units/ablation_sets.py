"""Bits of each language's text when units are taken out: the run that neurons and features have in common."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.lens.bits import bits_of_texts, scored_sizes
from latentlang.lens.tuned import as_lens
from latentlang.models import Edit, HookedLM
from latentlang.models.finished_languages import Kept, kept_in
from latentlang.models.long_texts import fitting_texts
from latentlang.models.tokenization import TokenizedPrompt
from latentlang.progress import ProgressOption, reporting
from latentlang.tasks import ContinuationTask, Prompt, Task, Texts, prompts_of_texts
from latentlang.units.ablation_tables import COLUMNS
from latentlang.units.scores import Floats


@dataclass(frozen=True)
class UnitSet:
    """One set of units, as it is taken out.

    Attributes:
        edit: does it, given the prompts.
        question: what the outcome depends on beside model and texts, as a stopped run finds it again.
    """

    edit: Callable[[Sequence[TokenizedPrompt]], Edit]
    question: Mapping[str, Any]


@dataclass(frozen=True)
class HeldOut:
    """Paragraphs to measure on.

    Attributes:
        prompts: language by language.
        counted_too: language to how many of them were counted too; none where all were held out.
        about: where they come from.
    """

    prompts: list[Prompt]
    counted_too: dict[str, int]
    about: dict[str, object]

    @property
    def languages(self) -> list[str]:
        """Their codes."""
        return list(dict.fromkeys(prompt.language for prompt in self.prompts))


def held_out_texts(
    texts: Texts,
    languages: str | Language | Iterable[str | Language] | None,
    *,
    known: Sequence[str],
    counted: Callable[[Iterable[str]], Sequence[bool]],
    items: int | None,
    held_out: bool,
    seed: int,
    counting: str,
    model: HookedLM,
    long_texts: str,
) -> HeldOut:
    """Paragraphs that were not counted, or all of them.

    Args:
        texts: as of `bits_per_byte`.
        languages: which; None for those of `known` that there are texts in.
        known: codes of the languages that were counted.
        counted: whether each of some texts was counted.
        items: paragraphs per language at most.
        held_out: whether those that were counted are left out.
        seed: of the draw of paragraphs.
        counting: the call that counts fewer, for the error.
        model: that will read them.
        long_texts: as of `fitting_texts`.

    Raises:
        InputError: all paragraphs of a language were counted.
    """
    if languages is None:
        languages = list(known)
        if isinstance(texts, Mapping):
            languages = [code for code in languages if code in {_code(name) for name in texts}]
    listed, about = prompts_of_texts(texts, languages or None, items=None, seed=seed)
    listed = fitting_texts(model, listed, long_texts).prompts  # as they were counted
    known_texts = dict(zip(listed, counted(prompt.text for prompt in listed), strict=True))
    prompts: list[Prompt] = []
    counted_too: dict[str, int] = {}
    for code in dict.fromkeys(prompt.language for prompt in listed):
        every = [prompt for prompt in listed if prompt.language == code]
        fresh = [prompt for prompt in every if not (held_out and known_texts[prompt])]
        if not fresh:
            raise InputError(
                f"all {len(every)} paragraphs in {code!r} were counted, and none is left to measure on; count fewer "
                f"({counting}(..., items=)), give other texts, or say held_out=False"
            )
        chosen = fresh[:items]
        again = sum(known_texts[prompt] for prompt in chosen)
        if again:
            counted_too[code] = again
        prompts += chosen
    return HeldOut(prompts, counted_too, about)


def ablation_table(
    model: HookedLM,
    prompts: Sequence[Prompt],
    sets: Mapping[str, Sequence[UnitSet]],
    *,
    texts: Texts,
    kind: str,
    batch_tokens: int | None,
    out: str | os.PathLike[str] | None,
    progress: ProgressOption,
) -> pd.DataFrame:
    """Bits of paragraphs as the model is, and without each set of units; columns as of `COLUMNS`.

    Args:
        model: the model.
        prompts: the paragraphs.
        sets: language to its own set, and random ones.
        texts: where the paragraphs come from.
        kind: folder in which finished sets are kept: ``ablation``.
        batch_tokens: as of `HookedLM.iter_activations`.
        out: where finished sets are kept; None to keep none.
        progress: told how many paragraphs are done.
    """
    tokenized = model.tokenize(prompts)
    sizes = np.array([size for _tokens, size in scored_sizes(model, prompts, tokenized)])
    done, total = Counter[str](), len(prompts) * (1 + sum(map(len, sets.values())))
    task: Task = texts if isinstance(texts, Task) else ContinuationTask()
    with (
        kept_in(out, model, [task]) as (finished,),
        reporting(progress, "taking out", things="paragraphs", total=total) as report,
    ):

        def forward(number: int) -> None:
            done["paragraphs"] += number
            report(done["paragraphs"], total)

        def bits(edits: Sequence[Edit]) -> Floats:
            with model.edited(edits):
                return bits_of_texts(
                    model, tokenized, layers=[model.n_layers], lens=as_lens(None, model),
                    batch_tokens=batch_tokens, done=forward,
                )[0][:, 0]  # fmt: skip

        plain = bits([])
        changed: dict[str, list[Floats]] = {}
        finished_sets = 0
        for code, of_language in sets.items():
            # a language's folder is called by the first prompt
            first = sorted(prompts, key=lambda prompt: prompt.language != code)
            parts: list[Floats] = []
            for number, one in enumerate(of_language):

                def run(one: UnitSet = one) -> Sequence[Kept]:
                    return [({"bits": torch.from_numpy(bits([one.edit(tokenized)]))}, {})]

                def restore(kept: Sequence[Kept], parts: list[Floats] = parts) -> None:
                    parts.append(kept[0][0]["bits"].numpy())

                if finished is None:
                    restore(run())
                else:
                    finished.run(f"{kind}/{number}", first, one.question, run, restore)
            changed[code] = parts
            finished_sets += len(of_language)
            done["paragraphs"] = len(prompts) * (1 + finished_sets)
            report(done["paragraphs"], total)
    return _table(prompts, plain, sizes, changed)


def digest(values: NDArray[np.bool_] | Floats) -> str:
    """What a step is asked, of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def mean_sizes(sets: Sequence[NDArray[np.bool_]], means: Floats) -> list[float]:
    """Mean size of the mean activation of a set, and of its random ones."""
    sizes = [float(np.abs(means[each]).mean()) for each in sets]
    return [sizes[0], *([float(np.mean(sizes[1:]))] if len(sizes) > 1 else [])]


def _code(name: str) -> str:
    return find_language(name).code


def _table(
    prompts: Sequence[Prompt],
    plain: Floats,
    sizes: NDArray[np.int64],
    changed: Mapping[str, Sequence[Floats]],
) -> pd.DataFrame:
    parts = [
        pd.DataFrame({
            "ablated": code, "language": [prompt.language for prompt in prompts], "set": number,
            "item": [prompt.item for prompt in prompts], "bits": bits, "plain": plain, "bytes": sizes,
        })
        for code, sets in changed.items()
        for number, bits in enumerate(sets)
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]
