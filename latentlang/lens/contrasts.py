"""Arrays of a lens table: items, labels, answer languages and layers in the same places for every target language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from latentlang.errors import InputError
from latentlang.provenance import Provenance

Floats = NDArray[np.float64]

#: An answer language with fewer readable items is no candidate: an interval over so few items means nothing.
FEWEST_ITEMS = 5
#: In place of a language code: all target languages together, and, among their answer languages, the one asked for
#: and the one of the prompt's own word.
POOLED, TARGET, SOURCE = "all", "(target)", "(source)"
# Readings come as float32; a difference this small beside them is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Contrasts:
    """Readings of one target language.

    Attributes:
        language: the target language.
        answer_languages: codes along the answer language axis.
        roles: ``candidate``, ``target``, ``source`` or ``few``, per answer language.
        answer: ``[item, answer_language, layer]`` probability of the own label's word; NaN where it cannot be read.
        contrast: ``[item, choice, answer_language, layer]`` each label's word minus the mean of the item's other
            labels' words, choice 0 being the right label; NaN where it cannot be read.
        labels: ``[item]`` a number for each item's right label.
    """

    language: str
    answer_languages: tuple[str, ...]
    roles: tuple[str, ...]
    answer: Floats
    contrast: Floats
    labels: NDArray[np.int64]

    @property
    def score_items(self) -> Floats:
        """``[item, answer_language, layer]`` answer minus null."""
        return self.contrast[:, 0]

    def where(self, *roles: str) -> NDArray[np.bool_]:
        """``[answer_language]`` whether an answer language has one of the roles."""
        return np.array([role in roles for role in self.roles], np.bool_)

    @property
    def items_read(self) -> NDArray[np.int64]:
        """``[answer_language]`` items with a score."""
        return np.asarray(np.isfinite(self.score_items[..., 0]).sum(0))

    @property
    def comparable(self) -> bool:
        """Whether the target language can be read: without it no language can be said to be ahead of it."""
        return bool((self.where("target") & (self.items_read >= FEWEST_ITEMS)).any())

    @property
    def for_each_label(self) -> NDArray[np.bool_]:
        """``[answer_language, layer]`` whether the score is above zero for each label that is right for several items.

        In a closed task a layer that leans to ``positive`` only, but more so for positive items, has a mean above zero.
        """
        steady = np.ones(self.score_items.shape[1:], np.bool_)
        for label in np.unique(self.labels):
            part = self.score_items[self.labels == label]
            count = np.isfinite(part).sum(0)
            steady &= (count < FEWEST_ITEMS) | (np.nansum(part, 0) > 0)
        return steady


def contrasts_by_target(
    table: pd.DataFrame, provenance: Provenance
) -> tuple[list[Contrasts], list[int], NDArray[np.int64]]:
    """Arrays of a table: `Contrasts` per target language, the layers, and ``[item]`` how many labels an item has.

    Items and their labels stand in the same places in all `Contrasts`, so that one permutation serves all.
    """
    columns = ("language", "item", "label", "answer_language", "curve")
    coded = {name: table[name].astype("category").cat.remove_unused_categories() for name in columns}
    codes = {name: series.cat.codes.to_numpy(np.int64) for name, series in coded.items()}
    names = {name: [str(value) for value in series.cat.categories] for name, series in coded.items()}
    layers, layer = np.unique(table["layer"].to_numpy(), return_inverse=True)
    values = table["value"].to_numpy(np.float64)
    answers = codes["curve"] == _index_of(names["curve"], "answer")
    wrongs = codes["curve"] == _index_of(names["curve"], "wrong")
    # The own label comes first, then the wrong ones, each item's in an order of its own.
    places = np.full((len(names["item"]), len(names["label"])), -1, np.int64)
    places[codes["item"][answers], codes["label"][answers]] = 0
    pairs = np.unique(np.stack([codes["item"][wrongs], codes["label"][wrongs]], 1), axis=0)
    labels = np.zeros(len(names["item"]), np.int64)
    labels[codes["item"][answers]] = codes["label"][answers]
    choices = np.zeros(len(names["item"]), np.int64)
    owned = np.unique(codes["item"][answers])
    choices[owned] = 1
    for item, label in pairs[np.isin(pairs[:, 0], owned)].tolist():
        places[item, label] = choices[item]
        choices[item] += 1
    choice = places[codes["item"], codes["label"]]
    used = (answers | wrongs) & (choice >= 0)
    all_contrasts = []
    for code in [c for c in provenance.languages if c in names["language"]]:
        rows = used & (codes["language"] == names["language"].index(code))
        shape = (
            len(names["item"]),
            max(1, int(choices.max(initial=1))),
            len(names["answer_language"]),
            len(layers),
        )
        grid = np.full(shape, np.nan)
        grid[codes["item"][rows], choice[rows], codes["answer_language"][rows], layer[rows]] = values[rows]
        all_contrasts.append(
            _contrasts_of(code, names["answer_language"], grid, labels, provenance.source_of(code))
        )
    if not all_contrasts:
        raise InputError("the result holds no readings: there is nothing to compare")
    return all_contrasts, [int(number) for number in layers], choices


def _index_of(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _contrasts_of(
    code: str, answer_languages: Sequence[str], grid: Floats, labels: NDArray[np.int64], source: str | None
) -> Contrasts:
    contrast = right_minus_wrong(grid)
    read_items = np.isfinite(contrast[:, 0, :, 0])
    enough = [
        np.count_nonzero(read_items[:, index]) >= FEWEST_ITEMS for index in range(len(answer_languages))
    ]
    roles = [
        "target" if name == code else "source" if name == source else "candidate" if enough[index] else "few"
        for index, name in enumerate(answer_languages)
    ]
    # An answer language that was not read for this language has no place among its rivals.
    kept = [index for index in range(len(answer_languages)) if np.isfinite(grid[:, :, index]).any()]
    return Contrasts(
        language=code,
        answer_languages=tuple(answer_languages[index] for index in kept),
        roles=tuple(roles[index] for index in kept),
        answer=grid[:, 0][:, kept],
        contrast=contrast[:, :, kept],
        labels=labels,
    )


def right_minus_wrong(grid: Floats) -> Floats:
    """Each label's word minus the mean of the others that can be read.

    Args:
        grid: ``[item, choice, answer_language, layer]`` probabilities; NaN where a word cannot be read.

    Returns:
        The same shape; NaN where the word, or every other, cannot be read. The sum over choices is zero.
    """
    read = np.isfinite(grid)
    filled = np.where(read, grid, 0.0)
    count = read.sum(1, keepdims=True)
    # Mean of the others, not their sum: own - (total - own) / (count - 1).
    contrast = (count * filled - filled.sum(1, keepdims=True)) / np.maximum(count - 1, 1)
    contrast[np.abs(contrast) <= _ROUNDING * filled.max(1, keepdims=True, initial=0.0)] = 0.0
    return np.where(read & (count > 1), contrast, np.nan)


def own_labels(contrasts: Contrasts) -> Contrasts:
    """The same readings without the contrasts of wrong labels."""
    return replace(contrasts, contrast=contrasts.contrast[:, :1])


def pool(all_contrasts: Sequence[Contrasts]) -> Contrasts:
    """All target languages as one: for each item, the mean over those in which an answer language is a candidate.

    The target languages themselves become one answer language, each read where it is asked for; so do the languages
    of the prompts' own words.
    """
    candidates = list(
        dict.fromkeys(
            name
            for contrasts in all_contrasts
            for name, role in zip(contrasts.answer_languages, contrasts.roles, strict=True)
            if role == "candidate"
        )
    )
    given = any("source" in contrasts.roles for contrasts in all_contrasts)
    answer_languages = [*candidates, TARGET, *([SOURCE] if given else [])]
    items, choices, _, layers = all_contrasts[0].contrast.shape
    sums = {
        "answer": np.zeros((items, len(answer_languages), layers)),
        "contrast": np.zeros((items, choices, len(answer_languages), layers)),
    }
    counts = {name: np.zeros_like(total) for name, total in sums.items()}
    for contrasts in all_contrasts:
        for column, (name, role) in enumerate(zip(contrasts.answer_languages, contrasts.roles, strict=True)):
            if role not in ("candidate", "target", "source"):
                continue
            row = answer_languages.index({"target": TARGET, "source": SOURCE}.get(role, name))
            for field, part in (
                ("answer", contrasts.answer[:, column]),
                ("contrast", contrasts.contrast[:, :, column]),
            ):
                seen = np.isfinite(part)
                sums[field][..., row, :] += np.where(seen, part, 0.0)
                counts[field][..., row, :] += seen
    means = {
        name: np.where(counts[name] > 0, total / np.maximum(counts[name], 1), np.nan)
        for name, total in sums.items()
    }
    return Contrasts(
        language=POOLED,
        answer_languages=tuple(answer_languages),
        roles=("candidate",) * len(candidates) + ("target",) + (("source",) if given else ()),
        answer=means["answer"],
        contrast=means["contrast"],
        labels=all_contrasts[0].labels,
    )
