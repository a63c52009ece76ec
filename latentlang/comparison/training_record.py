"""What is known of an adapter: which languages it was trained on, how, and whether there is one at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from latentlang.comparison.text import training_facts
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.paths import given_path
from latentlang.training import TrainingResult, is_identity


@dataclass(frozen=True)
class TrainingRecord:
    """An adapter's past.

    Attributes:
        languages: codes of the languages in its training, sources and target; empty where not known.
        known: whether it is known what it was trained on.
        identity: whether nothing was trained: tuned is base.
        facts: what else the record says, for the page's provenance: name of fact to plain text.
    """

    languages: tuple[str, ...]
    known: bool
    identity: bool = False
    facts: tuple[tuple[str, str], ...] = ()


def trained_on(
    adapter: str | os.PathLike[str] | None,
    given: str | Language | Iterable[str | Language] | None = None,
) -> TrainingRecord:
    """Find out what an adapter was trained on.

    Args:
        adapter: its folder or hub id; None for an adapter that is on a model already.
        given: the languages, where the user says so; they have the last word.

    Raises:
        InputError: an unknown language.
    """
    said = None if given is None else tuple(entry.code for entry in find_languages(given))
    if adapter is None:
        return TrainingRecord(said or (), said is not None)
    folder = given_path(adapter)
    identity = is_identity(folder)
    try:
        result = TrainingResult.load(folder)
    except InputError:
        return TrainingRecord(said or (), said is not None or identity, identity)
    recorded = () if identity else result.provenance.languages
    return TrainingRecord(recorded if said is None else said, True, identity, tuple(training_facts(result)))
