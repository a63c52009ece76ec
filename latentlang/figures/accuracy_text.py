"""The words around an accuracy figure: what it was made with, and how a newcomer reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentlang.figures.header import adapter_words, after_words, model_words
from latentlang.figures.style import plain, safe
from latentlang.stats.crossed import FEWEST_LANGUAGES
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.evaluation.evaluation_settings import EvaluationSettings
    from latentlang.provenance import Provenance


def subtitle(provenance: Provenance, settings: EvaluationSettings, summary: pd.DataFrame) -> list[str]:
    """Model, adapter, items, shots, answers and score, safe for a label."""
    parts = [model_words(provenance)]
    if settings.after:
        parts.append(after_words(settings.after))
    if provenance.adapter:
        parts.append(adapter_words(provenance.adapter))
    counts = sorted(set(summary["n"]))
    span = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    parts.append(f"{counted(span, 'item')} a language")
    tasks = settings.tasks.values()
    shots = "/".join(dict.fromkeys(str(task.shots) for task in tasks if task.shots is not None))
    answers = "/".join(dict.fromkeys(task.answers for task in tasks if task.answers is not None))
    if shots:
        parts.append(counted(shots, "shot"))
    if answers:
        parts.append(f"answers {safe(answers)}")
    parts.append(f"score {safe(settings.score)}")
    if provenance.protocol != "corrected":
        parts.append(f"protocol {safe(provenance.protocol)}")
    return parts


def how_to_read(
    *, means: bool, ceiling: bool, seen_languages: bool, sentence: str | None, per_item: bool = False
) -> list[str]:
    """Paragraphs for someone who never saw such a figure; plain text.

    Args:
        means: whether means over languages are drawn.
        ceiling: whether some items cannot be right.
        seen_languages: whether languages seen in training are marked.
        sentence: what a comparison says, None where there is none.
        per_item: whether items have candidates of their own.
    """
    offered = "the candidates that it offers" if per_item else "the task's labels"
    paragraphs = [
        f"For each item the model chooses between {offered}; a point is the share of items for which it chose "
        "the right one. The line through it is the 95% Wilson interval: with other items of the same kind the share "
        "would mostly have come out within it. The dashed line is chance: a choice by dice.",
    ]
    if means:
        paragraphs.append(
            "Diamonds are means over languages, each counting alike. Their interval allows for other items and, of "
            f"{FEWEST_LANGUAGES} languages or more, for other languages of this kind."
        )
    if ceiling:
        paragraphs.append(
            "A short upright stroke is the highest accuracy there can be in a language, where some items cannot be "
            "right: their answer has no token of its own, or the published scorer expects another string. Languages "
            "in which a label cannot be chosen at all are left out of the means."
        )
    if seen_languages:
        paragraphs.append("Languages with a square were seen in training; the others were not.")
    if sentence is not None:
        paragraphs.append(
            "The change is after minus before, on the same items. It is bold where it is more than chance allows: in "
            "a language by the exact McNemar test, corrected after Holm over the languages; for a mean where its "
            "interval over items is on one side of zero and a test that exchanges before and after, item by item, "
            "agrees (this is about the languages shown, not others)."
        )
        paragraphs += [plain(line) for line in sentence.splitlines()]
    return paragraphs
