"""Settings of lens runs, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang import defaults
from latentlang.results import Count, LayerNumber, ResultSettings, Share, TaskSettings


class LensUsed(ResultSettings):
    """What the layers were read through."""

    lens: str = "logit"


class LensSettings(TaskSettings):
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


class MultilingualLensSettings(TaskSettings):
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


class ExplorerSettings(ResultSettings):
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


class BitsSettings(ResultSettings):
    """Settings of `bits_per_byte`."""

    #: Paragraphs per language; None for all.
    items: Count | None = None
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    lens: str = "logit"
    lens_sha256: str | None = None
    translators: dict[str, Any] | None = None


class BarrierSettings(TaskSettings):
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
