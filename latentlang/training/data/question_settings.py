"""The ``data`` part of a recipe for question alignment: which languages, whose questions, how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from latentlang.arguments import MOST
from latentlang.errors import InputError
from latentlang.language_names import language
from latentlang.storage.documents import norwegian
from latentlang.text import listed
from latentlang.training.data.base import (
    DEFAULT_KIND,
    DataSettings,
    Part,
    RecipeParts,
    language_codes,
)

# "3 epochs (1 epoch for PAWS to mitigate overfitting)"
_EPOCHS, _EPOCHS_OF_TASK = 3.0, MappingProxyType({"paraphrase": 1.0})


class HubSet(Part):
    """A set of translations on the Hugging Face hub (or a local folder that the datasets library can read).

    Attributes:
        id: its name there, ``org/name``.
        config: its configuration, e.g. ``en-zh``; None for the only one.
        split: which part of it.
        revision: branch, tag or commit; None for the newest.
        columns: language code to the column with its text; None where there is one column ``translation`` with a text
            per language (as OPUS and WMT have), or ``input`` and ``answer`` (the paper's layout).
        configs: language code to the configuration that holds its texts, where each language has one of its own
            (FLORES: ``{"zh": "cmn_Hans", "en": "eng_Latn"}``); rows are then put together by `key`.
        text: the column with the text, with `configs`.
        key: the column that names an item in every language, with `configs`.
    """

    id: str = Field(min_length=1)
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    columns: dict[str, str] | None = None
    configs: dict[str, str] | None = None
    text: str = "text"
    key: str = "id"

    @property
    def label(self) -> str:
        """The set with its configuration and revision, for a record: ``org/name (en-zh) at 1a2b3c``."""
        config = f" ({self.config})" if self.config is not None else ""
        return f"{self.id}{config}{'' if self.revision is None else f' at {self.revision}'}"

    @model_validator(mode="after")
    def _one_layout(self) -> HubSet:
        if self.configs is not None and (self.config is not None or self.columns is not None):
            raise ValueError("configs says where each language's texts are; leave config and columns out")
        return self


class QuestionSettings(DataSettings):
    """Which question translations are trained on.

    Attributes:
        kind: ``question-alignment``.
        sources: codes of the languages translated from.
        target: code of the language translated into.
        task: whose questions are translated: sentiment, nli or paraphrase; any name where they come from files or a
            hub set.
        per_pair: translations of each language pair, training and validation together; None for all there are.
        mixing: ``parallel``: every pair has the same items, as in the paper; ``disjoint``: no item is in two pairs.
        end: whether the end-of-text token follows a translation and is learnt; a model that never saw one in
            pre-training cannot learn it by LoRA, and most of its loss would be that token.
        wrong_pairs: the negative control: every question gets the translation of another item.
        hub: sets on the Hugging Face hub to take the translations from; none for the task's own questions.
    """

    kind: Literal["question-alignment"] = DEFAULT_KIND
    sources: tuple[str, ...] = ()
    target: str = "en"
    task: str = Field(default="sentiment", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    per_pair: int | None = Field(default=10_000, ge=2, le=MOST)
    mixing: Literal["parallel", "disjoint"] = "parallel"
    wrong_pairs: bool = False
    hub: tuple[HubSet, ...] = ()

    @field_validator("hub", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, Mapping | HubSet) else value or ()

    @field_validator("sources", mode="before")
    @classmethod
    def _codes(cls, value: Any) -> Any:
        return language_codes(value)

    @field_validator("target", mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        return norwegian(value)

    @field_validator("target")
    @classmethod
    def _code(cls, value: str) -> str:
        return language(value).code

    @model_validator(mode="after")
    def _apart(self) -> QuestionSettings:
        if self.target in self.sources:
            raise ValueError(f"{self.target!r} is both a source and the target")
        return self

    def check_complete(self) -> None:
        """Refuse settings without a language to translate from."""
        if not self.sources:
            raise ValueError("data.sources names no language to translate from")

    @property
    def task_name(self) -> str:
        """Whose questions are translated."""
        return self.task

    @property
    def default_epochs(self) -> float:
        """The paper's: 3, and 1 for paraphrase."""
        return _EPOCHS_OF_TASK.get(self.task, _EPOCHS)

    @property
    def amount(self) -> str:
        """Language pairs, and translations of each."""
        return f"{len(self.sources)} x {'all' if self.per_pair is None else f'{self.per_pair:,}'}"

    @property
    def default_name(self) -> tuple[str, str]:
        """``zh+es-en``, and what that is."""
        return question_name(self.sources, self.target)


def question_settings(recipe: RecipeParts) -> QuestionSettings:
    """The data part of a recipe for question alignment.

    Raises:
        InputError: the recipe is of another kind.
    """
    if not isinstance(recipe.data, QuestionSettings):
        raise InputError(
            f"recipe {recipe.name!r} is of kind {recipe.data.kind!r}, which has no question translations"
        )
    return recipe.data


def question_name(sources: Sequence[str], target: str) -> tuple[str, str]:
    """Name of a recipe that is called by its languages, ``zh+es-en``, and what it is in words."""
    into = language(target).name
    about = f"{listed([language(code).name for code in sources])} questions into {into}"
    return f"{'+'.join(sources)}-{target}", about
