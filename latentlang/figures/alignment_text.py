"""The words around alignment figures: titles, names of measures and poolings, and how a newcomer reads them."""

from __future__ import annotations

from collections.abc import Sequence

from latentlang.figures.header import source_words
from latentlang.figures.style import english_name, plain, safe
from latentlang.geometry.geometry_settings import AlignmentSettings
from latentlang.geometry.measure_registry import measure as find_measure
from latentlang.provenance import Provenance
from latentlang.text import CHANCE, counted, percent, pool_name

#: Up to so many pairs are named in full; beyond, by codes.
MOST_NAMED = 45


def title(measures: Sequence[str], pairs: Sequence[tuple[str, str]]) -> str:
    """What was asked, never what was found: ``Alignment of English with 19 languages: linear CKA``."""
    what = f": {find_measure(measures[0]).words}" if len(measures) == 1 else ""
    firsts = {a for a, _ in pairs}
    if len(pairs) == 1:
        who = f"{english_name(pairs[0][0])} and {english_name(pairs[0][1])}"
    elif len(firsts) == 1:
        who = f"{english_name(pairs[0][0])} with {len(pairs)} languages"
    else:
        who = f"{len({code for pair in pairs for code in pair})} languages, {len(pairs)} pairs"
    return f"<b>Alignment of {who}{what}</b>"


def subtitle(provenance: Provenance, settings: AlignmentSettings, *, items: Sequence[int]) -> str:
    """Model, adapter, task, items and what chance is, in one line."""
    parts = [*source_words(provenance), safe(provenance.task)]
    counts = sorted({int(count) for count in items})
    if counts:
        span = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        parts.append(f"{counted(span, 'item')} in common")
    if settings.erase:
        parts.append(
            f"language erased ({safe(settings.erase)}, fitted on {counted(settings.erase_items, 'other item')})"
        )
    null, drawn = settings.null, settings.permutations
    parts.append(
        f"chance: {CHANCE.get(null, safe(null))}, {counted(drawn, 'time')}" if drawn else "chance not drawn"
    )
    return " · ".join(parts)


def pool_words(pool: str) -> str:
    """What a vector is the mean of, in a few words: ``question only``."""
    return safe(pool_name(pool).short)


def pair_words(pair: tuple[str, str], measure: str, *, named: bool) -> str:
    """``English – German``, or ``en – de``; with an arrow where a measure has a direction."""
    first, second = (english_name(code) if named else safe(code) for code in pair)
    if measure.endswith("_ab"):
        return f"{first} → {second}"
    if measure.endswith("_ba"):
        return f"{second} → {first}"
    return f"{first} – {second}"


def how_to_read(settings: AlignmentSettings, measures: Sequence[str], *, marks: bool) -> list[str]:
    """Paragraphs for someone who never saw such a figure; plain text."""
    shown = [find_measure(name) for name in measures]
    chance = {
        "items": "translations are unpaired at random",
        "within-label": "translations are unpaired at random within their label, so that agreeing on the class "
        "alone is no alignment",
        "within-length": "translations are exchanged at random among items of nearly the same length, so that "
        "agreeing on length alone is no alignment",
    }.get(settings.null, settings.null)
    paragraphs = [
        "The same items are asked in several languages. Each language's own mean is taken out, and the figure "
        "shows how alike two languages arrange the items at each layer.",
        *dict.fromkeys(entry.about for entry in shown),
        f"Chance is what the same measure gives when {chance}. The interval says how far the value could be off "
        f"with other items ({percent(settings.level)}).",
        "Prompt length can fake alignment: a mean over T tokens holds 1/T of the beginning token, and translations "
        "have correlated lengths. So each value is also given with length (T, 1/T and log T) regressed out.",
    ]
    if settings.erase:
        paragraphs.append(
            "What tells languages apart was taken out of the activations first, by a projection fitted on other items "
            "than those measured here; the result also has the values with nothing taken out, and with as many "
            "random dimensions taken out."
        )
    if marks:
        paragraphs.append(
            "A cell as plain as the page is at chance; the more it stands out in blue, the further from chance. "
            "Grey was not measured. A cross marks what is no more than chance; a ring what is "
            "gone, or more than half gone, once length is taken out. Compare the panels: what shows only under all "
            "tokens is the beginning token's or the few-shot prefix's."
        )
    return [plain(text) for text in paragraphs]
