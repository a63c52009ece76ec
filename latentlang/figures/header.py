"""What every figure says of where it came from: model, adapter and lens in its header, all of it in its footer."""

from __future__ import annotations

from collections.abc import Iterable

from latentlang.figures.style import plain, safe, shortened
from latentlang.provenance import Provenance
from latentlang.results import ResultSettings
from latentlang.text import counted, lens_name

LONGEST_MODEL = 48


class _HeaderSettings(ResultSettings):
    lens: str | None = None
    after: str | None = None


def named(role: str, name: str) -> str:
    """``adapter NAME``: what something is in the figure and its name, safe for a label; of a long path the end."""
    return f"{role} {safe(shortened(name, LONGEST_MODEL))}"


def model_name(provenance: Provenance) -> str:
    """The model's name, and how its weights were packed where they were: ``gemma3-270m (Q4_K_M)``; plain text."""
    packed = _HeaderSettings.of(provenance).model_quantization
    return plain(f"{provenance.model} ({packed})" if packed else provenance.model)


def model_words(provenance: Provenance, *, role: str = "model") -> str:
    """``model org/name (Q4_K_M)``, safe for a label; of a long path the end.

    Args:
        provenance: of the result.
        role: what the model is in the figure: ``model``, ``base``.
    """
    packed = _HeaderSettings.of(provenance).model_quantization
    return named(role, provenance.model) + (f" ({safe(str(packed))})" if packed else "")


def adapter_words(adapter: str | None, *, none: str = "no adapter") -> str:
    """``adapter NAME`` as `named`; `none` where there is none."""
    return named("adapter", adapter) if adapter else none


def source_words(provenance: Provenance) -> list[str]:
    """Model and adapter, the first parts of a header's line; or the model and the checkpoint it is compared with."""
    after = _HeaderSettings.of(provenance).after
    second = adapter_words(provenance.adapter) if after is None else after_words(after)
    return [model_words(provenance), second]


def after_words(name: str) -> str:
    """``after: NAME``: another model than the one before, safe for a label."""
    return named("after:", name)


def counts_words(counts: Iterable[int], noun: str) -> str:
    """``80 items``, or ``60 to 80 items`` where languages have other numbers.

    Args:
        counts: of each language.
        noun: of what, in the singular.
    """
    numbers = sorted({int(count) for count in counts})
    fewest, most = numbers[0], numbers[-1]
    return counted(fewest if fewest == most else f"{fewest} to {most}", noun)


def lens_words(provenance: Provenance) -> str:
    """The lens that was read through, ``logit lens`` or ``tuned lens``, plain text; empty where none was."""
    lens = _HeaderSettings.of(provenance).lens
    return plain(lens_name(lens)) if lens else ""


def is_plain(provenance: Provenance) -> bool:
    """Whether layers were read as they are: by the logit lens, or by none."""
    return (_HeaderSettings.of(provenance).lens or "logit") == "logit"


def is_tuned(provenance: Provenance) -> bool:
    """Whether layers were read through translators that were trained towards the output."""
    return _HeaderSettings.of(provenance).lens == "tuned"


def is_jacobian(provenance: Provenance) -> bool:
    """Whether layers were read through the mean Jacobians that lead from them to the last one."""
    return _HeaderSettings.of(provenance).lens == "jacobian"


def through_words(provenance: Provenance) -> str:
    """``through a tuned lens``, ``through the affine lens``, safe for a label; empty for the logit lens."""
    if is_plain(provenance):
        return ""
    fitted = is_tuned(provenance) or is_jacobian(provenance)
    return f"through {'a' if fitted else 'the'} {safe(lens_words(provenance))}"


def made_with(provenance: Provenance) -> list[str]:
    """What one needs to ask for the same again; plain text."""
    parts = [
        f"model {model_name(provenance)}"
        + (f" ({plain(provenance.revision)})" if provenance.revision else "")
        + (f" from {plain(source)}" if (source := _HeaderSettings.of(provenance).model_loaded_from) else "")
    ]
    if provenance.adapter:
        name = plain(provenance.adapter)
        parts.append(name if name.startswith("adapter") else f"adapter {name}")
    parts += [
        f"task {plain(provenance.task)}",
        *([lens] if (lens := lens_words(provenance)) else []),
        f"protocol {plain(provenance.protocol)}",
        *([f"policy {plain(provenance.policy)}"] if provenance.policy else []),
        f"seed {provenance.seed}",
    ]
    if version := provenance.packages.get("latentlang"):
        parts.append(
            f"latentlang {plain(version)}" + (f" ({plain(provenance.commit)})" if provenance.commit else "")
        )
    return [*parts, f"made {plain(provenance.created)}"]
