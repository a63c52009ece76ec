"""Texts that are longer than the model's context: refused, cut to what fits, or left out; said once for all runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from latentlang.errors import InputError, ModelError
from latentlang.models.hooked import HookedLM
from latentlang.models.tokenization import name_of
from latentlang.tasks import Prompt
from latentlang.tasks.texts import check_long_texts


@dataclass(frozen=True)
class FittingTexts:
    """Texts that the model can take.

    Attributes:
        prompts: the texts.
        counts: language to how many were cut, or left out; only languages in which some were.
    """

    prompts: list[Prompt]
    counts: dict[str, int]


def fitting_texts(model: HookedLM, prompts: Sequence[Prompt], long_texts: str) -> FittingTexts:
    """Texts that fit into the model's context.

    A text is cut at its end, between two tokens, so that what is left is read as the beginning of the whole text is.
    Where a paragraph is left out in one language it stays in the others.

    Args:
        model: the model.
        prompts: the texts.
        long_texts: ``"refuse"``, ``"cut"`` or ``"drop"``.

    Raises:
        InputError: another word, or all texts of a language are too long.
        ModelError: a text is too long, and is not to be cut or left out.
    """
    check_long_texts(long_texts)
    most = model.max_length
    if most is None:
        return FittingTexts(list(prompts), {})
    fitting: list[Prompt] = []
    counts = Counter[str]()
    for number, (prompt, encoded) in enumerate(zip(prompts, model.tokenize(prompts), strict=True)):
        if len(encoded.ids) <= most:
            fitting.append(prompt)
            continue
        if long_texts == "refuse":
            raise ModelError(
                f"{name_of(prompt, number)} is {len(encoded.ids)} tokens long and this model takes at most {most}; "
                "long_texts='cut' (--long-texts cut) reads the beginning of such texts, 'drop' leaves them out"
            )
        counts[prompt.language] += 1
        if long_texts == "cut":
            fitting.append(_cut(model, prompt, most))
    for code in dict.fromkeys(prompt.language for prompt in prompts):
        if all(prompt.language != code for prompt in fitting):
            raise InputError(
                f"all texts{f' in {code!r}' if code else ''} are longer than the {most} tokens that this model takes; "
                "long_texts='cut' (--long-texts cut) reads their beginnings"
            )
    return FittingTexts(fitting, dict(counts))


def _cut(model: HookedLM, prompt: Prompt, most: int) -> Prompt:
    """The longest beginning of a text that fits."""
    text = prompt.text
    fits, long = 0, len(text)
    while long - fits > 1:
        middle = (fits + long) // 2
        if _length(model, prompt, text[:middle]) <= most:
            fits = middle
        else:
            long = middle
    return _beginning(prompt, text[:fits])


def _length(model: HookedLM, prompt: Prompt, text: str) -> int:
    return len(model.tokenize([_beginning(prompt, text)])[0].ids)


def _beginning(prompt: Prompt, text: str) -> Prompt:
    return replace(prompt, few_shot="", question=text, cue="")
