"""Who leads, in a row and in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from latentlang.languages import language
from latentlang.lens.contrasts import ASKED, FEWEST_ITEMS, POOLED, SOURCE, Panel
from latentlang.stats.intervals import FEWEST_CANDIDATES
from latentlang.text import counted, percent

LEADER_COLUMNS = (
    "task", "language", "is_pivot", "leader", "first", "last", "peak", "lead", "lead_low", "lead_high", "p", "score",
    "score_low", "score_high", "answer", "null", "next", "next_score", "unrelated", "unrelated_score", "readers",
    "items", "why",
)  # fmt: skip
_MORE = "read more items, fewer languages, or try policy against-target"
#: What sums and p-values may differ by from their exact values.
EXACT = 1e-9


def leader_row(panel: Panel, scores: pd.DataFrame, *, level: float, minimum: float) -> dict[str, object]:
    """The row of the table for one asked-for language."""
    candidates = scores[scores["role"] == "candidate"]
    count = candidates["reader"].nunique()
    row: dict[str, object] = dict.fromkeys(LEADER_COLUMNS[1:], np.nan)
    row |= {
        "language": panel.language, "is_pivot": False, "leader": "", "next": "", "unrelated": "", "first": 0, "last": 0,
        "peak": 0, "readers": count, "items": 0,
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
    others = here[(here["role"] == "candidate") & (here["reader"] != peak["reader"])].sort_values("score")
    row |= {
        "leader": peak["reader"],
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
        row |= {"unrelated": middle["reader"], "unrelated_score": float(middle["score"])}
    size = f"{peak['lead']:.3f} [{peak['lead_low']:.3f}, {peak['lead_high']:.3f}]"
    nearest = f"nearest is {_named(peak['reader'])} at layer {peak['layer']}"
    if count < FEWEST_CANDIDATES:
        why = (
            f"with {count} candidate language{'' if count == 1 else 's'} it is no question which one "
            f"leads; read the words of at least {FEWEST_CANDIDATES} that are neither asked for nor given ({nearest})"
        )
    elif not panel.comparable:
        why = f"{_unread(panel)}, so that no language can be said to be ahead of it; {_MORE} ({nearest})"
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
            candidates[(candidates["reader"] == peak["reader"]) & candidates["leads"]]["layer"].tolist(),
            int(peak["layer"]),
        )
        row |= {"is_pivot": True, "first": first, "last": last}
        span = f"layer {first}" if first == last else f"layers {first} to {last}"
        why = (
            f"{_named(peak['reader'])} leads in {span}, furthest at layer {peak['layer']}: ahead by {size} of "
            f"{_named(row['next'])}; its right words have probability {peak['answer']:.3f}, its wrong "
            f"ones {peak['null']:.3f}"
            + (f", a middling language scores {row['unrelated_score']:.3f}" if row["unrelated"] else "")
            + f"; right against wrong words: p = {_p(peak['p'])}"
        )
    return row | {"why": why + _copying(here, peak)}


def _unread(panel: Panel) -> str:
    """How much of the language asked for was read, where that is too little to compare with."""
    read = int(panel.items_read[panel.where("asked")].max(initial=0))
    return (
        f"of the language asked for {counted(read, 'answer')} of {len(panel.labels)} can be read, and "
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
    name = "word" if row["reader"] == SOURCE else f"{_named(row['reader'])} word"
    return f"; the prompt's own {name} scores more there: {size}"


def _stretch(layers: Sequence[int], peak: int) -> tuple[int, int]:
    """First and last of the layers in a row that hold the peak."""
    first = last = peak
    while first - 1 in layers:
        first -= 1
    while last + 1 in layers:
        last += 1
    return first, last


def _named(reader: object) -> str:
    """A reader in words; codes such as `no` and `is` would be read as English."""
    special = {"": "nothing else", ASKED: "the language asked for"}
    return special.get(str(reader)) or language(str(reader)).name


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


def verdict(table: pd.DataFrame, *, level: float, n_layers: int) -> str:
    """The last row in words, and how many of the asked-for languages agree."""
    row = table.iloc[-1]
    few = row["readers"] < FEWEST_CANDIDATES
    what = f"pivot {_named(row['leader'])}" if row["is_pivot"] else "no verdict" if few else "no pivot"
    asked = table[table["language"] != POOLED]
    over = f"{len(asked)} languages asked for" if len(asked) > 1 else f"{_named(row['language'])} asked for"
    text = f"{what}: {row['why']} ({over}, {counted(row['readers'], 'candidate')}, {counted(n_layers, 'layer')}, "
    text += f"intervals {percent(level)})"
    if len(asked) == 1:
        return text
    each = asked[asked["is_pivot"].astype(bool)]["leader"].value_counts()
    if each.empty:
        return f"{text}. Of the languages taken one by one none has a pivot."
    counts = ", ".join(f"{_named(leader)} for {count}" for leader, count in each.items())
    none = len(asked) - int(each.sum())
    return f"{text}. Taken one by one: {counts}{f', none for {none}' if none else ''}."
