"""Which layers, languages and pools of a store are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from latentlang.activations import ActivationStore
from latentlang.arguments import Layers, given_layers, ranges, split_given, split_names
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages

Languages = str | Language | Iterable[str | Language]


_COMPARED = ("item", "language", "label", "text")


def same_prompts(base: ActivationStore, tuned: ActivationStore) -> pd.DataFrame:
    """The prompts of two stores, which are to be compared row by row.

    Raises:
        InputError: they are not the same.
    """
    frame, other = base.frame(), tuned.frame()
    if len(frame) != len(other):
        raise InputError(
            f"the stores hold {len(frame)} and {len(other)} prompts; harvest the same prompts in both states"
        )
    for name in _COMPARED:
        differs = frame[name].astype(str).to_numpy() != other[name].astype(str).to_numpy()
        if differs.any():
            row = int(differs.argmax())
            raise InputError(
                f"the stores hold different prompts: row {row} differs in {name}; harvest the same ones"
            )
    return frame


def chosen_layers(layers: Layers, present: Sequence[int]) -> list[int]:
    """Resolve a choice of layers, in order and without repeats.

    Raises:
        InputError: a layer is not there, or none is chosen.
    """
    numbers = given_layers(layers)
    if numbers == "all":
        return list(present)
    if not numbers:
        raise InputError("no layer was chosen; give numbers such as [0, 4, 8], or 'all'")
    for layer in numbers:
        if layer not in present:
            raise InputError(f"there is no layer {layer!r} to read; there are {ranges(present)}")
    return sorted(set(numbers))


def chosen_languages(languages: Languages | None, present: Iterable[str]) -> list[str]:
    """Resolve a choice of languages among those that prompts are in; a store may have codes of its own.

    Raises:
        InputError: a language is not known, or no prompt is in it.
    """
    codes_present = list(dict.fromkeys(present))
    if languages is None:
        return codes_present
    parts = split_given(languages)
    if languages and not parts:
        find_languages(languages)  # says that no language is named
    codes: dict[str, None] = {}
    for part in parts:
        if isinstance(part, str) and part in codes_present:
            codes[part] = None
            continue
        for entry in find_languages(part):
            if entry.code not in codes_present:
                raise unknown("language of this store", entry.code, codes_present)
            codes[entry.code] = None
    return list(codes)


def chosen_pivot(pivot: Languages, present: Iterable[str]) -> str:
    """Resolve one language among those that prompts are in.

    Raises:
        InputError: as `chosen_languages`, or it is several.
    """
    codes = chosen_languages(pivot, present)
    if len(codes) != 1:
        raise InputError(f"the pivot is one language, not {', '.join(codes) or 'none'}")
    return codes[0]


def chosen_pools(asked: str | Iterable[str] | None, present: Sequence[str]) -> list[str]:
    """Resolve a choice of pools, in order and without repeats; None is all.

    Raises:
        InputError: a pool is not there, or none is chosen.
    """
    if asked is None:
        return list(present)
    names = split_names(asked)
    for pool in names:
        if pool not in present:
            raise unknown("pool", pool, present, hint=f"the store has {', '.join(present)}")
    if not names:
        raise InputError(f"no pool was chosen; the store has {', '.join(present)}")
    return names
