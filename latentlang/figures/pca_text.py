"""The words around a PCA figure: title, what was drawn, panel headings, and how a newcomer reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from latentlang.figures.header import adapter_words, model_words, named
from latentlang.figures.style import english_name, plain, safe
from latentlang.geometry.geometry_settings import PCASettings
from latentlang.provenance import Provenance
from latentlang.text import counted, pool_name

_VIEWS = {
    ("base", "base"): "base",
    ("tuned", "base"): "tuned, on the base's axes",
    ("tuned", "tuned"): "tuned, on its own axes",
}


def title(provenance: Provenance) -> str:
    """What was asked, never what was found: ``Principal components of each layer: sentiment in 4 languages``."""
    codes = provenance.languages
    where = english_name(codes[0]) if len(codes) == 1 else f"{len(codes)} languages"
    return f"<b>Principal components of each layer: {safe(provenance.task)} in {where}</b>"


def subtitle(provenance: Provenance, settings: PCASettings, *, prompts: int, drawn: int) -> str:
    """Models and adapter, number of prompts (of the first view) and of those drawn, and what was pooled: one line."""
    tuned = settings.tuned
    parts = [model_words(provenance, role="base" if tuned else "model")]
    if tuned is not None:
        after = [named("tuned", tuned.model), adapter_words(provenance.adapter, none="")]
        parts.append(" + ".join(filter(None, after)))
    else:
        parts.append(adapter_words(provenance.adapter))
    parts.append(counted(prompts, "prompt") + (f", {drawn:,} of them drawn" if drawn < prompts else ""))
    parts.append(safe(pool_words(settings)))
    return " · ".join(parts)


def pool_words(settings: PCASettings) -> str:
    """What one point is, as plain text: ``mean over all tokens of the prompt``."""
    words = plain(pool_name(settings.pool).point)
    return words if settings.site == "resid" else f"{words}, {plain(settings.site)}"


def view_words(view: tuple[str, str]) -> str:
    """What one panel shows of a comparison: ``tuned, on the base's axes``."""
    return _VIEWS.get(view, f"{safe(view[0])}, on axes of {safe(view[1])}")


def how_to_read(
    settings: PCASettings,
    *,
    views: Sequence[tuple[str, str]],
    colour: str,
    prompts: int,
    drawn: int,
    most: int,
) -> list[str]:
    """Paragraphs for someone who never saw such a figure; plain text."""
    pool = pool_words(settings)
    paragraphs = [
        f"Each point is one prompt: its activations at the layer ({pool}), a long list of numbers, seen from the few "
        "directions in which the prompts of all languages together differ most. In brackets: the share of all their "
        "differences (the variance) that an axis shows; where it is small, most of what differs cannot be seen here. "
        f"Colour and symbol say the {colour}; hover over a point to read the prompt.",
        "Clouds that lie apart by language say that the layer keeps these languages apart; clouds of one shape say "
        "that it orders their prompts alike. Either may come of the prompts' meaning, but also of their length, the "
        "few-shot prefix or the beginning token: latentlang align tells these apart. The sign of an axis means "
        "nothing; it is chosen so that neighbouring layers look alike.",
    ]
    if ("tuned", "base") in views:
        paragraphs.append(
            "Base and tuned are drawn on the same axes, those of the base model, so that a point that moves has moved. "
            "On its own axes each state is shown as in the reference paper: there the axes may turn from one state to "
            "the other, and a cloud that seems to have moved may not have."
            if ("tuned", "tuned") in views
            else "The tuned model's prompts are drawn on the axes of the base model: compare them with the base's "
            "picture on the same axes."
        )
    if drawn < prompts:
        paragraphs.append(
            f"The axes were computed from all {prompts:,} prompts; {drawn:,} are drawn, at most {most} of a "
            f"{colour}, of the same items as far as possible."
        )
    return paragraphs


def colour_names(groups: Sequence[str], *, colour: str) -> Mapping[str, str]:
    """What the legend calls each group, safe for a label."""
    if colour == "language":
        return {group: english_name(group) if group else "no language" for group in groups}
    return {group: safe(group) if group else "no label" for group in groups}
