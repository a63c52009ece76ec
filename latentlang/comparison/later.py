"""What a model is compared with: its adapters and other checkpoints, by name, and how each is loaded."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentlang.comparison.states import STEP_FOLDERS
from latentlang.comparison.training_record import TrainingRecord, trained_on
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.models import HookedLM, load
from latentlang.models.loading import adapter_folder

PathLike = str | os.PathLike[str]
#: One adapter or checkpoint, or several.
Given = PathLike | Sequence[PathLike] | None
_ODD = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class Later:
    """A state that a model is compared with.

    Attributes:
        adapter: folder or hub id of an adapter to put on the model; None where the model has it, or for a checkpoint.
        checkpoint: another model of the same tokenizer; None for an adapter.
        training: what is known of its training.
        name: what it is called among several, also its folder; None where there is one.
    """

    adapter: PathLike | None
    checkpoint: PathLike | HookedLM | None
    training: TrainingRecord
    name: str | None = None

    @property
    def given(self) -> str:
        """As it was named."""
        if isinstance(self.checkpoint, HookedLM):
            return self.checkpoint.name
        return str(self.checkpoint if self.adapter is None else self.adapter)


def later_states(
    adapter: Given,
    against: Given | HookedLM,
    seen_languages: str | Language | Iterable[str | Language] | None,
) -> list[Later]:
    """The states that a model is compared with, in the order given; several have a name each.

    Args:
        adapter: adapters, or None.
        against: other checkpoints, or None.
        seen_languages: languages of the training, where the user says so.

    Raises:
        InputError: one is given twice.
        ModelError: an adapter of several is not there; one alone is looked for when the model is loaded.
    """
    adapters, checkpoints = _each(adapter), [against] if isinstance(against, HookedLM) else _each(against)
    if not checkpoints and len(adapters) < 2:
        one = adapters[0] if adapters else None
        return [Later(one, None, trained_on(one, seen_languages))]
    states = [Later(one, None, trained_on(one, seen_languages)) for one in adapters]
    for one in checkpoints:
        folder = one.loaded_from if isinstance(one, HookedLM) else one
        states.append(Later(None, one, trained_on(folder, seen_languages)))
    for given, count in Counter(state.given for state in states).items():
        if count > 1:
            raise InputError(f"{given!r} is given twice; give each adapter and each checkpoint once")
    for state in states:
        if state.adapter is not None and not state.training.identity:
            adapter_folder(os.fspath(state.adapter))  # the model would run for minutes before it is missed
    return [replace(state, name=name) for state, name in zip(states, _names(states), strict=True)]


def _each(given: Given | HookedLM) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, str | os.PathLike) else list(given)


def _names(states: Sequence[Later]) -> list[str]:
    """A short name for each: the last part of its path, more of it where two would be called alike."""
    parts = [[part for part in Path(state.given).parts if part.strip("/\\")] or ["."] for state in states]
    lengths = [1] * len(states)
    while True:
        names = [
            _ODD.sub("-", "-".join(path[-length:])).strip("-") or "state"
            for path, length in zip(parts, lengths, strict=True)
        ]
        # the folder of a comparison of several states has those of the model's own steps beside theirs
        names = [f"{name}-state" if name in STEP_FOLDERS else name for name in names]
        alike = [names.count(name) > 1 for name in names]
        longer = [
            flag and length < len(path) for flag, length, path in zip(alike, lengths, parts, strict=True)
        ]
        if not any(longer):
            counted = Counter[str]()
            for place, name in enumerate(names):
                counted[name] += 1
                if counted[name] > 1:
                    names[place] = f"{name}-{counted[name]}"
            return names
        lengths = [length + more for length, more in zip(lengths, longer, strict=True)]


def loaded_pair(model: HookedLM | PathLike, later: Later, loading: Mapping[str, Any]) -> HookedLM:
    """The model with the adapter on that it is compared with; without one for the identity recipe.

    Raises:
        InputError: there is no adapter, or the model given cannot take it.
    """
    adapter, is_identity = later.adapter, later.training.identity
    if not isinstance(model, HookedLM):
        if adapter is None:
            raise InputError(
                "there is nothing to compare without an adapter; give adapter=FOLDER, or against=CHECKPOINT"
            )
        return load(model, adapter=None if is_identity else adapter, **loading)
    check_unloaded(loading)
    if is_identity:
        if model.adapter is not None:
            raise InputError(
                f"the identity recipe compares a model without an adapter; this one has {model.adapter!r}"
            )
        return model
    if model.adapter is None and adapter is not None:
        raise InputError(
            "this model is without an adapter; load it with one: load(name, adapter=...), or give its name"
        )
    if model.adapter is None:
        raise InputError(
            "this model has no adapter to compare it without; load it with one: load(name, adapter=...)"
        )
    return model


def loaded_plain(model: HookedLM | PathLike, loading: Mapping[str, Any]) -> HookedLM:
    """The model as it is, which adapters or other checkpoints are compared with.

    Raises:
        InputError: it has an adapter on.
    """
    if not isinstance(model, HookedLM):
        return load(model, **loading)
    check_unloaded(loading)
    if model.adapter is not None:
        raise InputError(
            f"this model has the adapter {model.adapter!r} on; give it without one, and what it is compared with as "
            "adapter= and against="
        )
    return model


def loaded_later(
    model: HookedLM | PathLike, later: Later, loading: Mapping[str, Any], *, name: str
) -> HookedLM:
    """The model of one of several states.

    Args:
        model: the one that is compared.
        later: the state.
        loading: options of `load`.
        name: what the model is called.

    Raises:
        InputError: an adapter for a model that is given as an object.
    """
    if isinstance(later.checkpoint, HookedLM):
        return later.checkpoint
    if later.checkpoint is not None:
        options = {key: value for key, value in loading.items() if key not in ("name", "revision")}
        called = later.name if later.name != name and Path(later.given).exists() else None
        return load(later.checkpoint, name=called, **options)
    if isinstance(model, HookedLM):
        raise InputError(
            "an adapter is put on a model that is named: give the model's name, or compare each adapter by itself"
        )
    return load(model, adapter=None if later.training.identity else later.adapter, **loading)


def check_unloaded(loading: Mapping[str, Any]) -> None:
    """Refuse options of `load` for a model that is loaded.

    Raises:
        InputError: naming them.
    """
    if loading:
        raise InputError(
            f"{', '.join(loading)}: such options are for a model that is named; load it with them instead"
        )
