"""Who leads, in a row and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from latentlang.answers import reason_text
from latentlang.languages import language
from latentlang.languages import language as find_language
from latentlang.lens.answer_curves import CurveNotes, PromptCode, Unread
from latentlang.lens.answer_languages import LeftOut
from latentlang.lens.contrasts import FEWEST_ITEMS, POOLED, SOURCE, TARGET, Contrasts
from latentlang.stats.intervals import FEWEST_CANDIDATES
from latentlang.text import counted, percent

PIVOT_COLUMNS = (
    "task", "language", "is_pivot", "leader", "first", "last", "peak", "lead", "lead_low", "lead_high", "p", "score",
    "score_low", "score_high", "answer", "null", "next", "next_score", "unrelated", "unrelated_score", "candidates",
    "items", "why",
)  # fmt: skip
_MORE = "read more items, fewer languages, or try policy against-target"
#: What sums and p-values may differ by from their exact values.
EXACT = 1e-9


def pivot_row(
    contrasts: Contrasts, scores: pd.DataFrame, *, level: float, minimum: float
) -> dict[str, object]:
    """The row of the table for one target language."""
    candidates = scores[scores["role"] == "candidate"]
    count = candidates["answer_language"].nunique()
    row: dict[str, object] = dict.fromkeys(PIVOT_COLUMNS[1:], np.nan)
    row |= {
        "language": contrasts.language, "is_pivot": False, "leader": "", "next": "", "unrelated": "",
        "first": 0, "last": 0, "peak": 0, "candidates": count, "items": 0,
    }  # fmt: skip
    if candidates.empty:
        return row | {
            "why": f"no candidate language has {FEWEST_ITEMS} readable items; read more items or languages"
        }
    certain = candidates[candidates["p"] <= 1 - level + EXACT]
    leading = candidates[candidates["leads"]]
    best = next(part for part in (leading, certain, candidates) if len(part))
    peak = best.sort_values("lead", ascending=False, kind="stable").iloc[0]
    here = scores[scores["layer"] == peak["layer"]]
    others = here[
        (here["role"] == "candidate") & (here["answer_language"] != peak["answer_language"])
    ].sort_values("score")
    row |= {
        "leader": peak["answer_language"],
        "peak": int(peak["layer"]),
        "items": int(peak["n"]),
        "next": peak["next"],
    }
    row |= {
        name: float(peak[name]) for name in ("lead", "lead_low", "lead_high", "p", "answer", "null", "score")
    }
    row |= {
        "score_low": float(peak["low"]),
        "score_high": float(peak["high"]),
        "next_score": float(peak["next_score"]),
    }
    if len(others):
        middle = others.iloc[(len(others) - 1) // 2]
        row |= {"unrelated": middle["answer_language"], "unrelated_score": float(middle["score"])}
    size = f"{peak['lead']:.3f} [{peak['lead_low']:.3f}, {peak['lead_high']:.3f}]"
    nearest = f"nearest is {_named(peak['answer_language'])} at layer {peak['layer']}"
    if count < FEWEST_CANDIDATES:
        why = (
            f"with {count} candidate language{'' if count == 1 else 's'} it is no question which one "
            f"leads; read the words of at least {FEWEST_CANDIDATES} that are neither asked for nor given ({nearest})"
        )
    elif not contrasts.comparable:
        why = f"{_unread(contrasts)}, so that no language can be said to be ahead of it; {_MORE} ({nearest})"
    elif peak["p"] > 1 - level + EXACT:
        why = (
            f"no language's right words stand out from its wrong ones more than chance would have it ({nearest}, "
            f"p = {_p(peak['p'])})"
        )
    elif peak["lead"] <= 0:
        why = f"no language is ahead of all the others at any layer ({nearest}, {-peak['lead']:.3f} behind)"
    elif not peak["lead_low"] > 0:  # nor where it is no number
        why = f"no lead is certain ({nearest}, ahead by {size})"
    elif peak["lead"] < minimum:
        why = f"no lead reaches {minimum:g} ({nearest}, ahead by {size})"
    elif not peak["each_label"]:
        why = f"no lead holds for each of the labels ({nearest}, ahead by {size})"
    else:
        first, last = _stretch(
            candidates[(candidates["answer_language"] == peak["answer_language"]) & candidates["leads"]][
                "layer"
            ].tolist(),
            int(peak["layer"]),
        )
        row |= {"is_pivot": True, "first": first, "last": last}
        span = f"layer {first}" if first == last else f"layers {first} to {last}"
        why = (
            f"{_named(peak['answer_language'])} leads in {span}, furthest at layer {peak['layer']}: ahead by {size} of "
            f"{_named(row['next'])}; its right words have probability {peak['answer']:.3f}, its wrong "
            f"ones {peak['null']:.3f}"
            + (f", a middling language scores {row['unrelated_score']:.3f}" if row["unrelated"] else "")
            + f"; right against wrong words: p = {_p(peak['p'])}"
        )
    return row | {"why": why + _copying(here, peak)}


def _unread(contrasts: Contrasts) -> str:
    """How much of the target language was read, where that is too little to compare with."""
    read = int(contrasts.items_read[contrasts.where("target")].max(initial=0))
    return (
        f"of the target language {counted(read, 'answer')} of {len(contrasts.labels)} can be read, and "
        f"{FEWEST_ITEMS} are needed"
    )


def _copying(here: pd.DataFrame, peak: pd.Series) -> str:
    """Whether the prompt's own word scores more at the peak than the candidate there, with certainty above zero."""
    enough = (here["role"] == "source") & (here["n"] >= FEWEST_ITEMS)
    source = here[enough & (here["low"] > 0) & (here["score"] > peak["score"])]
    if source.empty:
        return ""
    row = source.iloc[0]
    size = f"{row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    name = "word" if row["answer_language"] == SOURCE else f"{_named(row['answer_language'])} word"
    return f"; the prompt's own {name} scores more there: {size}"


def _stretch(layers: Sequence[int], peak: int) -> tuple[int, int]:
    """First and last of the layers in a row that hold the peak."""
    first = last = peak
    while first - 1 in layers:
        first -= 1
    while last + 1 in layers:
        last += 1
    return first, last


def _named(answer_language: object) -> str:
    """An answer language in words; codes such as ``no`` and ``is`` would be read as English."""
    special = {"": "nothing else", TARGET: "the target language"}
    return special.get(str(answer_language)) or language(str(answer_language)).name


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


def verdict(table: pd.DataFrame, *, level: float, n_layers: int) -> str:
    """The last row in words, and how many of the target languages agree."""
    row = table.iloc[-1]
    few = row["candidates"] < FEWEST_CANDIDATES
    what = f"pivot {_named(row['leader'])}" if row["is_pivot"] else "no verdict" if few else "no pivot"
    asked = table[table["language"] != POOLED]
    over = f"{len(asked)} target languages" if len(asked) > 1 else f"{_named(row['language'])} asked for"
    text = f"{what}: {row['why']} ({over}, {counted(row['candidates'], 'candidate')}, {counted(n_layers, 'layer')}, "
    text += f"intervals {percent(level)})"
    if len(asked) == 1:
        return text
    each = asked[asked["is_pivot"].astype(bool)]["leader"].value_counts()
    if each.empty:
        return f"{text}. Of the languages taken one by one none has a pivot."
    counts = ", ".join(f"{_named(leader)} for {count}" for leader, count in each.items())
    none = len(asked) - int(each.sum())
    return f"{text}. Taken one by one: {counts}{f', none for {none}' if none else ''}."


# A lead below this is called small, whatever its interval (the bar that the embedded control is held to).
SMALL_LEAD = 0.05


# Of fewer, a bootstrap interval says next to nothing: of one item it has no width at all.
_FEWEST_ITEMS = 5


def reading(
    gap: pd.DataFrame,
    *,
    target: str,
    pivot: str,
    last: int,
    source: str | None = None,
    copied: pd.DataFrame | None = None,
    answers: str | None = None,
) -> str:
    """What one language's curves say about the pivot: a sentence that claims no more than its interval does.

    Args:
        gap: pivot minus null per layer, columns as of `LensResult.gap`.
        target: target language.
        pivot: pivot language.
        last: number of the last layer, which is the model's own output.
        source: language of the word in the prompt.
        copied: source word minus its null per layer; None or empty where it was not read.
        answers: answer mode of a closed task; ``en`` and ``agnostic`` ask for the same words in every language.
    """
    name = find_language(pivot).name
    if gap.empty and answers == "agnostic":
        return (
            "The words asked for mean nothing about the task and are the same in every language: there is no pivot to "
            "look for."
        )
    if gap.empty and answers == pivot:
        return f"{name} words are what was asked for: there is no pivot to look for."
    if target == pivot:
        return f"{name} is what was asked for: there is no pivot to look for.{_copied_word(copied, source)}"
    if source == pivot:
        return (
            f"{name} is the language of the prompt's own word: what is read of it may be copied, and says nothing of a "
            "pivot."
        )
    if gap.empty:
        found = f"{name} cannot be read here: its answers have no token of their own, or no null."
        return found + _copied_word(copied, source)
    gap = gap[gap["mean"].notna()]
    if gap.empty:
        return f"{name} cannot be judged here: no reading is a number."
    count = int(gap["n"].max())
    # A lead that is sure goes before a larger one that is not; what is sure and next to nothing is no lead.
    sure = gap[(gap["low"] > 0) & (gap["mean"] >= SMALL_LEAD)]
    few = count < _FEWEST_ITEMS
    best = (gap if sure.empty or few else sure).sort_values("mean", ascending=False).iloc[0]
    mean, low, high = (_rounded(float(best[column])) for column in ("mean", "low", "high"))
    interval, layer = f"{mean} [{low}, {high}]", int(best["layer"])
    where = f"layer {layer}" + (", the output itself" if layer == last else "")
    if few:
        return (
            f"{name} is at most {mean} above its null, at {where}: of {count} item{'' if count == 1 else 's'}, too few "
            "to say more."
        )
    if sure.empty:
        little = bool((gap["low"] > 0).any())
        size = f" by {SMALL_LEAD:g} or more" if little else ""
        found = f"No layer reads {name} above its null{size} with confidence"
        if little and best["mean"] < SMALL_LEAD:
            found = f"{name} hardly leads its null"
        return f"{found}: at most {interval}, at {where}." + _copied_word(copied, source)
    asked = find_language(target).name
    ahead = (
        f"the {asked} answer cannot be read"
        if math.isnan(best["lead"])
        else f"there it is ahead of the {asked} answer in {best['lead']:.0%} of the items in which "
        "that can be read"
    )
    found = f"{name} leads its null by {interval} at {where}; {ahead}."
    return found + _copied_word(copied, source, layer=layer, lead=float(best["mean"]))


def _copied_word(
    copied: pd.DataFrame | None, source: str | None, *, layer: int = 0, lead: float = 0.0
) -> str:
    """What is to be said of the prompt's own word, with a space before it; empty where it does not lead its null.

    Args:
        copied: source word minus its null per layer.
        source: its language.
        layer: where the pivot leads its null; 0 where it does not.
        lead: by how much.
    """
    if copied is None or copied.empty or source is None or int(copied["n"].max()) < _FEWEST_ITEMS:
        return ""
    sure = copied[(copied["low"] > 0) & (copied["mean"] >= SMALL_LEAD)]
    if sure.empty:
        return ""
    here = sure[sure["layer"] == layer]
    more = len(here) > 0 and float(here.iloc[0]["mean"]) > lead
    row = here.iloc[0] if more else sure.sort_values("mean", ascending=False).iloc[0]
    size = "{} [{}, {}]".format(*(_rounded(float(row[column])) for column in ("mean", "low", "high")))
    name = find_language(source).name
    if more:
        most = sure.sort_values("mean", ascending=False).iloc[0]
        elsewhere = f", and by {_rounded(float(most['mean']))} at layer {int(most['layer'])}"
        return f" The prompt's own {name} word leads its null by more there, {size}" + (
            "." if int(most["layer"]) == layer else f"{elsewhere}."
        )
    return f" The prompt's own {name} word leads its null by {size} at layer {int(row['layer'])}."


_UNREAD: dict[PromptCode, str] = {
    "no-word": "no word",
    "quoted": "it stands in the question",
    "unwritable": "the tokenizer cannot write it",
    "copied": "a word of the question begins like it",
    "no-token": "every token is shared",
}


def curve_notes(notes: CurveNotes) -> str:
    """What could not be read of one language, and what to mind, for the provenance; empty where there is nothing."""
    parts = [_unread_answers(one) for one in notes.unread]
    parts += [
        f"{one.count} of {one.total} answers in {one.language} begin like the prompt's word in {one.source}, e.g. "
        f"{one.answer!r} like {one.word!r}: a token that begins both counts for neither"
        for one in notes.alike
    ]
    if notes.unclosed is not None:
        parts.append(f"nothing closes the answer but the end of a word, and {reason_text(notes.unclosed)}")
    return "; ".join(parts) + (f" (policy {notes.policy})" if parts else "")


def _unread_answers(unread: Unread) -> str:
    # An item that the policy drops is read in no language, not only in the one that it is dropped for.
    what = (
        f"items are dropped for their answer in {unread.language}"
        if unread.dropped
        else f"answers in {unread.language} cannot be read"
    )
    why = _UNREAD[unread.reason] if isinstance(unread.reason, str) else reason_text(unread.reason)
    example = f", e.g. {unread.answer!r}: {why}" if unread.answer else f": {why}"
    return f"{unread.count} of {unread.total} {what}{example}"


def left_out(answers: LeftOut | None) -> str:
    """How many answers of each language could not be read, and why; empty where all could."""
    if answers is None:
        return ""
    counts = ", ".join(f"{code} {count}" for code, count in answers.counts.items())
    why = f"{answers.answer!r}: {reason_text(answers.reason)}" if answers.answer else _UNREAD["no-word"]
    return (
        f"answers of {answers.total} left out because no token is the language's own, or there is no word: {counts} "
        f"(in {answers.worst} e.g. {why})"
    )


def _rounded(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no "-0.00"
