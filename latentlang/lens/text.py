"""What the lens found, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from latentlang.answers import reason_text
from latentlang.arguments import layer_words
from latentlang.language_names import language
from latentlang.language_names import language as find_language
from latentlang.lens.answer_curves import CurveNotes, PromptCode, Unread
from latentlang.lens.answer_languages import LeftOut
from latentlang.lens.contrasts import FEWEST_ITEMS, POOLED, SOURCE, TARGET
from latentlang.lens.lens_settings import ExplorerSettings, LensSettings
from latentlang.provenance import Provenance
from latentlang.stats.intervals import FEWEST_CANDIDATES
from latentlang.text import capital, counted, lens_name, listed, percent

_MORE = "read more items, fewer languages, or try policy against-target"


def pivot_reason(row: Any, *, minimum: float) -> str:
    """Why a language is the pivot, or none is: a row of `PivotTest.table` in words.

    Args:
        row: its columns but ``why``.
        minimum: a lead smaller than this is called no pivot.
    """
    if row["reason"] == "no-candidate":
        return f"no candidate language has {FEWEST_ITEMS} readable items; read more items or languages"
    said = _SAID[row["reason"]](row, minimum)
    if not row["source_word"]:
        return said
    word = "word" if row["source_word"] == SOURCE else f"{_named(row['source_word'])} word"
    size = _sized(row, "source_score", "source_low", "source_high")
    return f"{said}; the prompt's own {word} scores more there: {size}"


def _leads(row: Any, _minimum: float) -> str:
    first, last = row["first"], row["last"]
    span = f"layer {first}" if first == last else f"layers {first} to {last}"
    return (
        f"{_named(row['leader'])} leads in {span}, furthest at layer {row['peak']}: ahead by {_lead(row)} of "
        f"{_named(row['next'])}; its right words have probability {row['answer']:.3f}, its wrong "
        f"ones {row['null']:.3f}"
        + (f", a middling language scores {row['unrelated_score']:.3f}" if row["unrelated"] else "")
        + f"; right against wrong words: p = {_p(row['p'])}"
    )


def _few_candidates(row: Any, _minimum: float) -> str:
    count = row["candidates"]
    return (
        f"with {count} candidate language{'' if count == 1 else 's'} it is no question which one "
        f"leads; read the words of at least {FEWEST_CANDIDATES} that are neither target nor source ({_nearest(row)})"
    )


def _target_unread(row: Any, _minimum: float) -> str:
    return (
        f"of the target language {counted(row['target_read'], 'answer')} of {row['target_items']} can be read, and "
        f"{FEWEST_ITEMS} are needed, so that no language can be said to be ahead of it; {_MORE} ({_nearest(row)})"
    )


def _chance(row: Any, _minimum: float) -> str:
    return (
        f"no language's right words stand out from its wrong ones more than chance would have it ({_nearest(row)}, "
        f"p = {_p(row['p'])})"
    )


_SAID: dict[str, Callable[[Any, float], str]] = {
    "leads": _leads,
    "few-candidates": _few_candidates,
    "target-unread": _target_unread,
    "chance": _chance,
    "none-ahead": lambda row, _minimum: (
        "no language whose right words stand out from its wrong ones is ahead of all the others at any layer "
        f"({_nearest(row)}, {-row['lead']:.3f} behind)"
    ),
    "uncertain": lambda row, _minimum: f"no lead is certain ({_nearest(row)}, ahead by {_lead(row)})",
    "small": lambda row, minimum: f"no lead reaches {minimum:g} ({_nearest(row)}, ahead by {_lead(row)})",
    "one-label": lambda row, _minimum: (
        f"no lead holds for each of the labels ({_nearest(row)}, ahead by {_lead(row)})"
    ),
}


def _nearest(row: Any) -> str:
    return f"nearest is {_named(row['leader'])} at layer {row['peak']}"


def _lead(row: Any) -> str:
    return _sized(row, "lead", "lead_low", "lead_high")


def _sized(row: Any, *columns: str) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*(row[column] for column in columns))


def _named(answer_language: object) -> str:
    """An answer language in words; codes such as ``no`` and ``is`` would be read as English."""
    special = {"": "nothing else", TARGET: "the target language"}
    return special.get(str(answer_language)) or language(str(answer_language)).name


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1g}"


def verdict(table: pd.DataFrame, *, level: float, layers: Sequence[int]) -> str:
    """The last row in words, and how many of the target languages agree; `layers`: those that were read, in order."""
    row = table.iloc[-1]
    few = row["candidates"] < FEWEST_CANDIDATES
    what = f"pivot {_named(row['leader'])}" if row["is_pivot"] else "no verdict" if few else "no pivot"
    targets = table[table["language"] != POOLED]
    over = (
        f"{len(targets)} target languages"
        if len(targets) > 1
        else f"target language {_named(row['language'])}"
    )
    text = f"{what}: {row['why']} ({over}, {counted(row['candidates'], 'candidate')}, {_layers(layers)}, "
    text += f"intervals {percent(level)})"
    if len(targets) == 1:
        return text
    each = targets[targets["is_pivot"].astype(bool)]["leader"].value_counts()
    if each.empty:
        return f"{text}. Of the languages taken one by one none has a pivot."
    counts = ", ".join(f"{_named(leader)} for {count}" for leader, count in each.items())
    none = len(targets) - int(each.sum())
    return f"{text}. Taken one by one: {counts}{f', none for {none}' if none else ''}."


def _layers(layers: Sequence[int]) -> str:
    """How many layers were read, or which, where some were left out."""
    every = list(layers) == list(range(1, len(layers) + 1))
    return counted(len(layers), "layer") if every else f"{layer_words(layers)} alone"


# A lead below this is called small, whatever its interval (the bar that the embedded control is held to).
SMALL_LEAD = 0.05


# Of fewer, a bootstrap interval says next to nothing: of one item it has no width at all.
_FEWEST_ITEMS = 5


def pivot_sentences(gap: pd.DataFrame, provenance: Provenance, *, copied: pd.DataFrame) -> dict[str, str]:
    """What each language's curves say of the pivot; through which lens and at which layers, where it is not the usual.

    Args:
        gap: as of `LensResult.gap`.
        provenance: the result's provenance.
        copied: the same of the prompt's own word.
    """
    settings = LensSettings.of(provenance)
    lens = settings.lens
    ways = [] if lens == "logit" else [f"through the {lens_name(lens)}"]
    if settings.layers:
        ways.append(f"at {layer_words(settings.layers)} alone")
    through = f"{capital(', '.join(ways))}: " if ways else ""
    last = settings.n_layers or int(gap["layer"].max())
    return {
        code: through
        + reading(
            gap[gap["language"] == code],
            target=code,
            pivot=settings.pivot,
            last=last,
            source=provenance.source_of(code),
            copied=copied[copied["language"] == code],
            answers=settings.answers,
        )
        for code in provenance.languages
    }


def prompt_sentences(cells: pd.DataFrame, provenance: Provenance) -> str:
    """What the layers would say after the last token of one prompt.

    Args:
        cells: the likeliest next token of each layer there, ``rank`` 1 of an `ExplorerResult` of one site.
        provenance: its provenance.
    """
    cells = cells.sort_values("layer")
    final, first = cells.iloc[-1], cells.iloc[0]
    settings = ExplorerSettings.of(provenance)
    lens = lens_name(settings.lens)
    output = ", the model's own output," if final["layer"] == settings.n_layers else ""
    text = (
        f"After {final['token']!r} layer {final['layer']}{output} would say {final['text']!r} (probability "
    )
    text += f"{final['probability']:.2f})"
    if len(cells) == 1:
        return f"{text}, read by the {lens}."
    same = (cells["id"] == final["id"])[::-1].cumprod()[::-1].astype(bool)  # from there on without a break
    since = int(cells.loc[same, "layer"].iloc[0])
    if since == first["layer"]:
        return f"{text}, and so would every layer from {first['layer']} on, read by the {lens}."
    return (
        f"{text}; read by the {lens}, that token is the likeliest from layer {since} on, and layer {first['layer']} "
        f"would say {first['text']!r} ({first['probability']:.2f})."
    )


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
            "The answer words mean nothing about the task and are the same in every language: there is no pivot to "
            "look for."
        )
    if gap.empty and answers == pivot:
        return f"{name} words are the target: there is no pivot to look for."
    if target == pivot:
        return f"{name} is the target language: there is no pivot to look for.{_copied_word(copied, source)}"
    if source == pivot:
        return (
            f"{name} is the language of the prompt's own word: what is read of it may be copied, and says nothing of a "
            "pivot."
        )
    if gap.empty:
        sentence = f"{name} cannot be read here: its answers have no token of their own, or no null."
        return sentence + _copied_word(copied, source)
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
        sentence = f"No layer reads {name} above its null{size} with confidence"
        if little and best["mean"] < SMALL_LEAD:
            sentence = f"{name} hardly leads its null"
        return f"{sentence}: at most {interval}, at {where}." + _copied_word(copied, source)
    target_name = find_language(target).name
    ahead = (
        f"the {target_name} answer cannot be read"
        if math.isnan(best["lead"])
        else f"there it is ahead of the {target_name} answer in {best['lead']:.0%} of the items in which "
        "that can be read"
    )
    sentence = f"{name} leads its null by {interval} at {where}; {ahead}."
    return sentence + _copied_word(copied, source, layer=layer, lead=float(best["mean"]))


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


def unread_notes(notes: Mapping[str, str]) -> list[str]:
    """Notes of a result by language as sentences, languages with the same one together.

    Args:
        notes: language code to note.
    """
    by_note: dict[str, list[str]] = {}
    for code, note in notes.items():
        by_note.setdefault(note, []).append(language(code).name)
    return [f"{listed(names)}: {note}." for note, names in by_note.items()]


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
