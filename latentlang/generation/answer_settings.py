"""Settings of answers, as their results store them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from latentlang.results import ResultSettings


class AnswerSettings(ResultSettings):
    """Settings of `answer`."""

    #: How texts were written: `Decoding.record`.
    decoding: dict[str, Any] = Field(default_factory=dict)
    states: list[str] = Field(default_factory=list)
    #: ``turns`` where the tokenizer's chat template was used, with its hash; else the prompt template, if any.
    chat: str | None = None
    chat_template: str | None = None
    template: str | None = None
    #: What ran the model, and what its texts depend on beside the model.
    backend: str = "transformers"
    backend_settings: dict[str, Any] = Field(default_factory=dict)
    #: What told languages, and among which.
    identifier: str | None = None
    among: list[str] = Field(default_factory=list)
    #: Files that the prompts were read from.
    data: list[str] | None = None
