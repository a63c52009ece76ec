"""What every figure says of where it came from."""

from __future__ import annotations

from latentlang.figures.style import plain
from latentlang.provenance import Provenance

LONGEST_MODEL = 48


# By what a reading is named everywhere: only the plain lens reads the layer as it is.
LENSES = {"logit": "logit lens", "tuned": "tuned lens"}


def lens_words(made: Provenance) -> str:
    """The lens that was read through, ``logit lens`` or ``tuned lens``; empty where none was."""
    lens = made.settings.get("lens")
    return LENSES.get(str(lens), f"lens {plain(lens)}") if lens else ""


def is_tuned(made: Provenance) -> bool:
    """Whether layers were read through trained translators."""
    return made.settings.get("lens") == "tuned"


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
