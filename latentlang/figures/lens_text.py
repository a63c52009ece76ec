"""The words around a lens figure: its title, what it was made with, and how a newcomer reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from latentlang.arguments import layer_words
from latentlang.figures.header import is_jacobian, is_plain, is_tuned, lens_words, source_words, through_words
from latentlang.figures.style import MUTED, english_name, own_name, plain_name, safe
from latentlang.provenance import Provenance
from latentlang.text import counted

if TYPE_CHECKING:
    from latentlang.lens.lens_settings import LensSettings, MultilingualLensSettings


def title(provenance: Provenance, codes: Sequence[str]) -> str:
    """What was asked, never what was found: ``What each layer would say: French to Japanese``."""
    sources = list(dict.fromkeys(filter(None, map(provenance.source_of, codes))))
    one = codes[0] if len(codes) == 1 else None
    target = english_name(one) if one else f"{len(codes)} languages"
    native = own_name(one) if one else ""
    if provenance.task == "translation" and sources:
        start = " or ".join(english_name(source) for source in sources)
        what = f"{start} to {target}"
        native = f"{own_name(sources[0])} → {native}" if one and len(sources) == 1 else native
    else:
        what = f"{safe(provenance.task)} in {target}"
    after = f"  <span style='color:{MUTED};font-size:0.85em'>{native}</span>" if native else ""
    through = through_words(provenance)
    return f"<b>What each layer would say{f', {through}' if through else ''}: {what}</b>{after}"


def subtitle(
    provenance: Provenance,
    settings: LensSettings | MultilingualLensSettings,
    codes: Sequence[str],
    items: Mapping[str, int],
) -> str:
    """Model, adapter, items, shots, policy and accuracy, in one line."""
    parts = source_words(provenance)
    counts = sorted({items[code] for code in codes if code in items})
    if counts:
        each = " each" if len(codes) > 1 else ""
        parts.append(f"{counted(_span([str(count) for count in counts]), 'item')}{each}")
    if settings.shots is not None:
        parts.append(counted(settings.shots, "shot"))
    if lens := lens_words(provenance):
        parts.append(safe(lens))
    if settings.layers:
        parts.append(f"{safe(layer_words(settings.layers))} alone")
    if provenance.protocol != "corrected":
        parts.append(f"protocol {safe(provenance.protocol)}")
    parts.append(f"policy {safe(provenance.policy)}")
    accuracy = sorted(settings.accuracy[code] for code in codes if code in settings.accuracy)
    if accuracy:
        parts.append(f"accuracy {_span([f'{value:.2f}' for value in accuracy])}")
    return " · ".join(parts)


def _span(values: Sequence[str]) -> str:
    """First to last of sorted values."""
    return values[0] if values[0] == values[-1] else f"{values[0]} to {values[-1]}"


def how_to_read(
    provenance: Provenance,
    settings: LensSettings,
    codes: Sequence[str],
    *,
    closed: bool,
    one: bool,
    copied: bool = False,
) -> list[str]:
    """Paragraphs for someone who never saw such a figure; plain text; `copied`: the prompt's own word is drawn."""
    pivot = plain_name(settings.pivot)
    target = plain_name(codes[0]) if one else "the target language"
    wrong = "the words of the other labels" if closed else "other words of the same category"
    if is_plain(provenance):
        asks = "we ask: were the model to stop here, which word would it say next?"
    elif is_tuned(provenance):
        asks = (
            "we put the layer's state through a translator that was trained to come as near as it can to the model's "
            "output, and ask: which word does it say next?"
        )
    elif is_jacobian(provenance):
        asks = (
            "we ask what the layer's state adds to the last one's on its way, to first order and on average over the "
            "texts of a fit: which word would that alone say next?"
        )
    else:
        asks = f"we put the layer's state through the {lens_words(provenance)}, and ask: which word does it say next?"
    paragraphs = [
        f"A language model works layer by layer. At each layer {asks} A solid line is the probability, averaged over "
        f"the items that can be read, that this word is the right answer in {target} (blue) or in {pivot} (orange). "
        "The last layer is what the model really says.",
        f"A dashed line is the null: the average probability of {wrong}, in the same language. If {pivot} rises no "
        "higher than its null, the layer leans towards the language but not towards the answer; only the distance "
        f"between the two is evidence that the answer itself can be read in {pivot}. That it is used is not shown.",
        "The band around a line is a 95% bootstrap interval over items: with other items of the same kind the mean "
        "would mostly have come out within it. The strip above shows the entropy in bits: how undecided the layer is "
        "among all tokens: 0 where one is certain, one bit more for every doubling of what is possible. The more "
        "a cell stands out from the page, the more tokens are possible.",
    ]
    if is_tuned(provenance):
        paragraphs.append(
            "This is a tuned lens: it was trained towards the output, so that a language which only passes through the "
            "middle layers may be translated away, and an answer may be read before the layer holds it. Read it beside "
            "the plain logit lens, never instead of it."
        )
    elif is_jacobian(provenance):
        paragraphs.append(
            "This is a Jacobian lens: nothing in it was trained to say a word, but it is a mean over texts, to first "
            "order, and what texts of one language taught it need not hold for another. Read it beside the plain "
            "logit lens."
        )
    elif not is_plain(provenance):
        paragraphs.append(
            f"These layers were read through the {lens_words(provenance)}: what it adds cannot be told from what the "
            "layer holds. Read it beside the plain logit lens."
        )
    if closed:
        paragraphs[1] += (
            " A dotted line adds up the words of all labels: how much of the layer's guess goes to the task at all."
        )
    if copied:
        either = f"in {pivot} or {target}"
        apart = {
            "drop": f"Items of which this word and the answer {either} can begin with one token are left out",
            "sequence": f"Items of which this word is spelled as the answer {either} are left out",
        }.get(
            provenance.policy or "",
            f"A token that can begin both this word and the answer {either} counts for neither",
        )
        paragraphs.append(
            "The thin green line is the word that stands in the prompt itself: where it rises above its null, the "
            f"layer holds that word, as one that merely copies would. {apart}, so that a copy is not taken for an "
            "answer."
        )
    if provenance.protocol == "as-published":
        paragraphs.append(
            "The answer sets are the published ones: a token with which a word of the prompt begins too counts as the "
            "answer's all the same, so that a copy of it can be read as an answer."
        )
    if provenance.policy == "exclusive":
        paragraphs.append(
            "Only tokens that can begin the answer of one language are counted; "
            "a curve is missing where there are none."
        )
    return paragraphs
