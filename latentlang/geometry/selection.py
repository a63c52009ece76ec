"""Which layers, languages and pools of a store are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from latentlang import defaults
from latentlang.activations import ActivationStore
from latentlang.arguments import Layers, given_layers, one_name, ranges, split_given, split_names
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages

Languages = str | Language | Iterable[str | Language]


# Languages that the error lists by itself.
_LISTED = 12
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


def common_pools(base: ActivationStore, tuned: ActivationStore) -> list[str]:
    """Pools that two stores both have.

    Raises:
        InputError: there is none.
    """
    common = [pool for pool in base.pools if pool in tuned.pools]
    if not common:
        raise InputError(
            f"the two stores have no pool in common ({', '.join(base.pools)} and {', '.join(tuned.pools)}); harvest "
            "the same pools from both models"
        )
    return common


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
                raise unknown(
                    "language of this store", entry.code, codes_present,
                    hint=f"it has {', '.join(codes_present)}" if len(codes_present) > _LISTED else "",
                )  # fmt: skip
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


def chosen_pool(asked: str | Iterable[str] | None, present: Sequence[str]) -> str:
    """Resolve the choice of one pool; None is the reference paper's, or the only one there is.

    Raises:
        InputError: it is not there, it is several, or none was asked for and several others are there.
    """
    if asked is not None:
        return chosen_pools([one_name(asked, "pool")], present)[0]
    if defaults.PCA_POOL in present:
        return defaults.PCA_POOL
    if len(present) != 1:
        raise InputError(f"say which pool is meant; the store has {', '.join(present)}")
    return present[0]
