"""What every figure says of where it came from: model, adapter and lens in its header, all of it in its footer."""

from __future__ import annotations

from latentlang.figures.style import plain, safe, shortened
from latentlang.provenance import Provenance
from latentlang.text import lens_name

LONGEST_MODEL = 48


def model_words(model: str, *, role: str = "model") -> str:
    """``model org/name``, safe for a label; of a long path the end.

    Args:
        model: its name.
        role: what it is in the figure: ``model``, ``base``, ``after``.
    """
    return f"{role} {safe(shortened(model, LONGEST_MODEL))}"


def adapter_words(adapter: str | None, *, none: str = "no adapter") -> str:
    """``adapter NAME`` as `model_words`; `none` where there is none."""
    return model_words(adapter, role="adapter") if adapter else none


def source_words(made: Provenance) -> list[str]:
    """Model and adapter, the first parts of a header's line."""
    return [model_words(made.model), adapter_words(made.adapter)]


def lens_words(made: Provenance) -> str:
    """The lens that was read through, ``logit lens`` or ``tuned lens``, plain text; empty where none was."""
    lens = made.settings.get("lens")
    return plain(lens_name(lens)) if lens else ""


def is_plain(made: Provenance) -> bool:
    """Whether layers were read as they are: by the logit lens, or by none."""
    return made.settings.get("lens", "logit") == "logit"


def is_tuned(made: Provenance) -> bool:
    """Whether layers were read through translators that were trained towards the output."""
    return made.settings.get("lens") == "tuned"


def through_words(made: Provenance) -> str:
    """``through a tuned lens``, ``through the affine lens``, safe for a label; empty for the logit lens."""
    if is_plain(made):
        return ""
    return "through a tuned lens" if is_tuned(made) else f"through the {safe(lens_words(made))}"


def made_with(made: Provenance) -> list[str]:
    """What one needs to ask for the same again; plain text."""
    parts = [f"model {plain(made.model)}" + (f" ({plain(made.revision)})" if made.revision else "")]
    if made.adapter:
        parts.append(f"adapter {plain(made.adapter)}")
    parts += [
        f"task {plain(made.task)}",
        *([lens] if (lens := lens_words(made)) else []),
        f"protocol {plain(made.protocol)}",
        *([f"policy {plain(made.policy)}"] if made.policy else []),
        f"seed {made.seed}",
    ]
    if version := made.packages.get("latentlang"):
        parts.append(f"latentlang {plain(version)}" + (f" ({plain(made.commit)})" if made.commit else ""))
    return [*parts, f"made {plain(made.created)}"]
