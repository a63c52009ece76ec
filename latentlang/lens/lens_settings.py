"""Settings of lens runs, as their results store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from latentlang import defaults
from latentlang.provenance import Provenance
from latentlang.results import Count, LayerNumber, ResultSettings, Share, TaskSettings, TextsSettings
from latentlang.text import lens_name


class LensUsed(ResultSettings):
    """What the layers were read through."""

    lens: str = "logit"


class ThroughLens(ResultSettings):
    """Settings of what is read through a lens, with fields ``lens`` and ``translators``."""

    def remarks(self, provenance: Provenance) -> list[str]:
        """That the lens was fitted on other weights than it is read on, where that is so."""
        said = fitted_elsewhere(
            getattr(self, "lens", "logit"), getattr(self, "translators", None), provenance
        )
        return [*super().remarks(provenance), *([said] if said else [])]


def fitted_elsewhere(lens: str, translators: Mapping[str, Any] | None, provenance: Provenance) -> str:
    """That a fitted lens knows the model with another adapter, or without one; empty where it does not.

    Args:
        lens: its name.
        translators: how it was fitted; None of the logit lens.
        provenance: of what was read through it.
    """
    if translators is None:
        return ""
    read, fitted = provenance.adapter or "", translators.get("adapter")
    name = f"The {lens_name(lens)}"
    if fitted is None:
        return (
            f"{name} does not say whether it was fitted with the adapter {read} on the model." if read else ""
        )
    if str(fitted) == read:
        return ""
    was = f"with the adapter {fitted}" if fitted else "without an adapter"
    here = f"with the adapter {read}" if read else "without one"
    return (
        f"{name} was fitted on the model {was} and is read here {here}: what it shows may be the lens's own."
    )


class LensSettings(TaskSettings, ThroughLens):
    """Settings of `logit_lens`."""

    pivot: str = defaults.PIVOT
    #: Few-shot examples.
    shots: Count | None = None
    #: Most items of a language.
    items: Count = 0
    n_layers: LayerNumber | None = None
    #: Those that were read, where not all were.
    layers: list[LayerNumber] | None = None
    lens: str = "logit"
    #: Of what the lens has learnt, where it has.
    lens_sha256: str | None = None
    #: How it was trained, where it was.
    translators: dict[str, Any] | None = None
    #: Language to the share of items that the model itself answers rightly.
    accuracy: dict[str, Share] = Field(default_factory=dict)
    #: Language to what could not be read, and why.
    notes: dict[str, str] = Field(default_factory=dict)
    #: At most so many wrong answers an item make the null.
    nulls: Count | None = None


class MultilingualLensSettings(TaskSettings, ThroughLens):
    """Settings of the multilingual lens."""

    #: Codes of the languages whose words were looked for.
    candidates: list[str] = Field(default_factory=list)
    shots: Count | None = None
    items: Count = 0
    n_layers: LayerNumber | None = None
    #: Those that were read, where not all were.
    layers: list[LayerNumber] | None = None
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None
    #: Whether the task has a small set of labels.
    closed: bool = False
    #: At most so many wrong labels an item make the null.
    wrong_labels: Count | None = None
    #: Which tokens count, in words.
    counted: str | None = None
    accuracy: dict[str, Share] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)


class ExplorerSettings(ThroughLens):
    """Settings of `explore`."""

    prompt: str = ""
    #: Next tokens kept per position and layer.
    top: Count | None = None
    sites: list[str] = Field(default_factory=list)
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None


class BitsSettings(TextsSettings, ThroughLens):
    """Settings of `bits_per_byte`."""

    #: Paragraphs per language; None for all.
    items: Count | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None


class BarrierSettings(TaskSettings, ThroughLens):
    """Settings of `translation_barrier`."""

    #: Codes of the languages whose words were looked for.
    candidates: list[str] = Field(default_factory=list)
    shots: Count | None = None
    items: Count = 0
    #: Items whose right and wrong answers cannot be told apart.
    left_out: Count = 0
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    #: How many of a layer's likeliest tokens were looked at.
    top: Count = 1
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None


class PivotByLensSettings(TaskSettings):
    """Settings of `pivot_by_lens`."""

    pivot: str = defaults.PIVOT
    #: What each lens is called here, to what it is: name, and identity and settings where there are such.
    lenses: dict[str, dict[str, Any]] = Field(default_factory=dict)
    #: Codes of the languages whose words were looked for.
    candidates: list[str] = Field(default_factory=list)
    shots: Count | None = None
    items: Count = 0
    n_layers: LayerNumber | None = None
    #: Those that were read, where not all were.
    layers: list[LayerNumber] | None = None
    closed: bool = False
    #: At most so many wrong labels an item make the null.
    wrong_labels: Count | None = None
    #: Which tokens count, in words.
    counted: str | None = None
    accuracy: dict[str, Share] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)

    def remarks(self, provenance: Provenance) -> list[str]:
        """As of one lens, of each."""
        said = {
            called: fitted_elsewhere(str(used.get("lens", "")), used.get("translators"), provenance)
            for called, used in self.lenses.items()
        }
        return [*super().remarks(provenance), *(f"{called}: {text}" for called, text in said.items() if text)]
