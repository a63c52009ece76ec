"""Settings of patching runs, as their results store them."""

from __future__ import annotations

from pydantic import Field

from latentlang.results import Count, LayerNumber, ResultSettings, Share


class PatchSettings(ResultSettings):
    """Settings of `patch`."""

    #: Pairs of languages that activations come from: source and target language.
    sources: list[list[str]] = Field(default_factory=list)
    #: Source and target language of the prompts that they are put into.
    target: list[str] = Field(default_factory=list)
    #: ``last`` or ``object``.
    at: str = "last"
    controls: list[str] = Field(default_factory=list)
    #: Languages whose words are read.
    read: list[str] = Field(default_factory=list)
    shots: Count | None = None
    items: Count = 0
    #: Items for which no other concept could be told apart.
    left_out: Count = 0
    layers: list[LayerNumber] = Field(default_factory=list)
    n_layers: LayerNumber | None = None
    #: Of words of one's own: how many and a hash.
    concepts: str | None = None
    #: ``turns`` where prompts are asked as in a chat, and a hash of the template.
    chat: str | None = None
    chat_template: str | None = None
    #: Share of the target prompts whose right word is the likeliest of the words that are read.
    accuracy: Share | None = None


class PatchscopeSettings(ResultSettings):
    """Settings of `patchscope`."""

    #: Pairs of languages that activations come from: source and target language.
    sources: list[list[str]] = Field(default_factory=list)
    #: ``identity``, or a text of one's own.
    into: str = "identity"
    #: Where in the prompts the activations are taken from: ``last`` or ``object``.
    at: str = "last"
    controls: list[str] = Field(default_factory=list)
    #: Languages whose words are read.
    read: list[str] = Field(default_factory=list)
    #: Few-shot examples of the prompts that activations come from.
    shots: Count | None = None
    #: Examples of the identity prompt.
    examples: Count | None = None
    items: Count = 0
    #: Items whose words cannot be told apart, or stand in the text.
    left_out: Count = 0
    #: Layers that activations come from.
    layers: list[LayerNumber] = Field(default_factory=list)
    #: Layers that they are put into; None where each goes into the layer that it comes from.
    into_layers: list[LayerNumber] | None = None
    n_layers: LayerNumber | None = None
    #: Of words of one's own: how many and a hash.
    concepts: str | None = None
