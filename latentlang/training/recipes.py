"""Recipes: which training data, which LoRA, which schedule; read from YAML, a name, or made of Python values.

The defaults are the reference paper's (Zhang et al. 2024, section 3, "Implementations", and the settings of its
LLaMA-Factory commands): the conditions in ``recipes.yaml`` say only which languages they train on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import yaml
from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from latentlang.arguments import checked_call, split_names
from latentlang.errors import InputError, shown, unknown
from latentlang.language_names import language
from latentlang.models.registry import REGISTRY
from latentlang.paths import given_path, is_present
from latentlang.storage.documents import read_yaml
from latentlang.training.data import DEFAULT_KIND, DataSettings, Part, data_kind
from latentlang.training.data.base import kind_of
from latentlang.training.data.question_settings import question_name
from latentlang.training.hyperparameters import Lora, Schedule

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from latentlang.tasks import Task
    from latentlang.tasks.files import PathLike
    from latentlang.training.data import TrainingData
    from latentlang.training.data.base import Example

#: In place of the names of fields: all that a recipe has under `as_published`.
ALL_PUBLISHED = "all"
_ALIGNMENT = "Question alignment (Zhang et al. 2024)"
_YAML_SUFFIXES = (".yaml", ".yml")


class PublishedValue(Part):
    """What a publication says of a field where the recipe says otherwise: its paper and its code disagree.

    Attributes:
        value: of the field.
        source: where it stands, and what the recipe follows instead.
        used: whether it was taken.
    """

    value: Any
    source: str = Field(min_length=1)
    used: bool = False


class Recipe(Part):
    """What one adapter is made of.

    Attributes:
        name: what it is called (``zh+es-en``).
        about: what it is for, in a sentence.
        data: which texts; its field `kind` says what sort of training data it asks for, ``question-alignment`` where
            it is left out (`latentlang.training.data`).
        lora: which adapter.
        schedule: how long and how fast.
        method: ``lora`` trains an adapter; ``full`` all weights, in float32, which takes 16 bytes for each of them
            and is refused where there are fewer; `lora` is then of no account.
        freeze: with ``method: full``, what stays as it is: ``embeddings``, and with them a head that is tied to them.
        start: what training goes on from, a second stage: the folder of an adapter with the same `lora`; where all
            weights are trained that of a model, or an adapter, which is added to them. None for the model as it is.
        as_published: field, named without its part, to what paper or code say otherwise of it; `with_published` takes
            them.
    """

    name: str = Field(min_length=1, max_length=80)
    about: str = ""
    data: SerializeAsAny[DataSettings] = Field(default_factory=lambda: data_kind(DEFAULT_KIND)())
    lora: Lora = Lora()
    schedule: Schedule = Schedule()
    start: str | None = Field(default=None, min_length=1)
    method: Literal["lora", "full"] = "lora"
    freeze: tuple[Literal["embeddings"], ...] = ()
    as_published: dict[str, PublishedValue] = Field(default_factory=dict)

    @field_validator("start", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @field_validator("freeze", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return split_names(value) if isinstance(value, str) else value

    @field_validator("data", mode="before")
    @classmethod
    def _of_its_kind(cls, value: Any) -> Any:
        """The settings of the kind that is named, so that each kind has its own fields."""
        if isinstance(value, DataSettings):
            return value
        return data_kind(kind_of(value) if isinstance(value, Mapping) else DEFAULT_KIND).model_validate(value)

    @model_validator(mode="after")
    def _complete(self) -> Recipe:
        if self.data.in_order and self.schedule.group_by_length:
            raise ValueError("order: sequential says which example comes when; leave group_by_length out")
        if self.data.in_order and self.schedule.packing:
            raise ValueError(
                "packing puts examples together by their lengths, out of their order; leave it out"
            )
        if self.freeze and self.method != "full":
            raise ValueError(
                "freeze is for method: full; an adapter leaves every weight of the model as it is"
            )
        for field in self.as_published:
            if field not in _homes(type(self.data)):
                raise ValueError(str(unknown("field under as_published", field, _homes(type(self.data)))))
        if not self.is_identity:
            self.data.check_complete()
        return self

    @model_serializer(mode="wrap")
    def _without_nothing(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A recipe whose sources agree does not say so."""
        record: dict[str, Any] = written(self)
        if not record.get("as_published"):
            record.pop("as_published", None)
        return record

    @property
    def is_identity(self) -> bool:
        """Whether nothing is trained (``steps: 0``): the control that a tuned model is held against."""
        return self.schedule.steps == 0

    @property
    def epochs(self) -> float | None:
        """Passes over the data, the kind's own where the recipe does not say; None where steps are counted."""
        if self.schedule.steps is not None:
            return None
        return self.schedule.epochs or self.data.default_epochs

    def changed(self, **overrides: Any) -> Recipe:
        """The same recipe with some fields changed, e.g. ``per_pair=500, learning_rate=1e-4``.

        A field is named without its part; giving ``steps`` takes ``epochs`` back, and the other way round.

        Raises:
            InputError: no such field, or a value that it cannot have.
        """
        record = self.model_dump()
        homes = _homes(type(self.data))
        for field, value in overrides.items():
            if field not in homes:
                raise unknown("recipe field", field, homes)
            part = homes[field]
            (record if part is None else record[part])[field] = value
            if (published := record.get("as_published", {}).get(field)) is not None:
                published["used"] = False
            other = {"steps": "epochs", "epochs": "steps"}.get(field)
            if other is not None and value is not None and overrides.get(other) is None:
                record["schedule"][other] = None
        changed = _checked(record, where=f"recipe {self.name!r}")
        before, now = self.data.default_name, changed.data.default_name
        # A name that says the languages must not go on saying those that were changed.
        if before is not None and now is not None and now != before and self.name == before[0]:
            named = {"name": now[0], "about": now[1]}
            return changed.model_copy(
                update={key: text for key, text in named.items() if key not in overrides}
            )
        return changed

    def with_published(self, fields: str | Iterable[str] = ALL_PUBLISHED) -> Recipe:
        """The same recipe with values that the publication gives where its sources disagree (`as_published`).

        Which were taken is in the outcome's `as_published`, and so in the record of a training.

        Args:
            fields: names of fields, or ``all``.

        Raises:
            InputError: the recipe has no such value, or none is named.
        """
        names = split_names(fields) if isinstance(fields, str) else list(fields)
        if not self.as_published:
            raise InputError(
                f"recipe {self.name!r} has no values under as_published: where its sources say something, they agree; "
                "leave as_published out (--as-published)"
            )
        if not names:
            raise InputError(
                f"no as-published field is named; recipe {self.name!r} has {', '.join(self.as_published)}, or take "
                f"{ALL_PUBLISHED} (--as-published)"
            )
        if ALL_PUBLISHED in names:
            names = list(self.as_published)
        for name in names:
            if name not in self.as_published:
                raise unknown(
                    "as-published field", name, (ALL_PUBLISHED, *self.as_published),
                    where=f"of recipe {self.name!r}",
                )  # fmt: skip
        changed = self.changed(**{name: self.as_published[name].value for name in names})
        taken = {
            name: entry.model_copy(update={"used": entry.used or name in names})
            for name, entry in self.as_published.items()
        }
        return changed.model_copy(update={"as_published": taken})

    def yaml(self) -> str:
        """The whole recipe as YAML, defaults spelled out; `recipe` reads it back."""
        text: str = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
        )
        return text


@checked_call
def recipe(
    source: str | Path | Mapping[str, Any] | Recipe,
    *,
    as_published: str | Iterable[str] | None = None,
    **overrides: Any,
) -> Recipe:
    """Find or read a recipe.

    Args:
        source: a shipped name (`recipe_names`), any ``zh+es-en``: languages translated from and into, a YAML file, or
            the fields as a mapping.
        as_published: fields that are taken as `Recipe.with_published` has them, or ``all``; None for none.
        **overrides: fields to change, see `Recipe.changed`.

    Raises:
        InputError: no such recipe, a file that cannot be read, or a field or value that makes no sense; the message
            names file, field and value.
    """
    chosen = source if isinstance(source, Recipe) else _find(source)
    return _adapted(chosen, as_published, overrides)


def _adapted(
    chosen: Recipe, as_published: str | Iterable[str] | None, overrides: Mapping[str, Any] | None
) -> Recipe:
    """A recipe with published values, then with changes of fields.

    Raises:
        InputError: a field is named by both.
    """
    if as_published is not None:
        chosen = chosen.with_published(as_published)
        for name, entry in chosen.as_published.items():
            if entry.used and name in (overrides or {}):
                raise InputError(
                    f"{name} is changed, and as_published takes it as published; leave one of the two out "
                    f"(--set {name}=..., --as-published)"
                )
    return chosen.changed(**overrides) if overrides else chosen


def recipe_for(
    model: object,
    source: str | Path | Mapping[str, Any] | Recipe,
    overrides: Mapping[str, Any] | None = None,
    *,
    as_published: str | Iterable[str] | None = None,
) -> Recipe:
    """A recipe for a model: `recipe`, with what ``recipes.yaml`` changes for embedded models.

    Only a recipe that is asked for by name is changed; a file, a mapping or a `Recipe` is meant as it stands.

    Args:
        model: a model, or its name.
        source: as for `recipe`.
        overrides: fields to change; they have the last word.
        as_published: as for `recipe`; these too are taken after what is changed for embedded models.

    Raises:
        InputError: as `recipe`.
    """
    chosen = recipe(source)
    named = isinstance(source, str) and Path(source).suffix not in _YAML_SUFFIXES
    info = REGISTRY.get(str(getattr(model, "name", model)))
    if named and info is not None and info.local and not chosen.is_identity:
        chosen = chosen.changed(**_shipped()["embedded"])
    return _adapted(chosen, as_published, overrides)


def training_data(
    recipe: Recipe,
    *,
    task: Task | None = None,
    data: PathLike | TrainingData[Any] | Iterable[Example] | None = None,
) -> TrainingData[Any]:
    """The examples that a recipe asks for, of whatever kind, checked for what is evaluated.

    Args:
        recipe: whose.
        task: take this task's own items, for kinds that can (question alignment).
        data: take these instead of what the recipe names: files of its kind, or examples; `TrainingData` are taken as
            they are.

    Raises:
        InputError: no such data, too few, or data with what is evaluated among them.
    """
    return recipe.data.load(recipe, task=task, data=data)


def recipe_names() -> tuple[str, ...]:
    """Names of the shipped recipes: the conditions of question alignment, the control, and those of other papers."""
    return tuple(_all_shipped())


def recipes_by_paper() -> dict[str, tuple[str, ...]]:
    """The paper that shipped recipes are from, to their names."""
    shipped = _shipped()
    return {_ALIGNMENT: tuple(shipped["recipes"])} | {
        paper: tuple(recipes) for paper, recipes in shipped["papers"].items()
    }


_WHICH = "`latentlang recipes` lists them; or say the languages, as zh+es-en, or name a YAML file"


def _find(source: str | Path | Mapping[str, Any]) -> Recipe:
    if isinstance(source, Mapping):
        return _checked({"name": "unnamed", **source}, where="this recipe")
    path = given_path(source)
    if isinstance(source, Path) or path.suffix in _YAML_SUFFIXES:
        return _read(path)
    name = source.strip()
    shipped = _all_shipped()
    if name in shipped:
        return _checked({"name": name, **shipped[name]}, where=f"recipe {name!r}")
    pair = _parse(name)
    if pair is None:
        raise unknown("recipe", name, shipped, hint=_WHICH)
    sources, target = pair
    # Read through the aliases: Chinese+es-English is zh+es-en.
    plain, about = question_name(sources, target)
    if plain in shipped:
        return _find(plain)
    record = {
        "name": plain,
        "about": about,
        "data": {"sources": sources, "target": target},
    }
    return _checked(record, where=f"recipe {name!r}")


def _parse(name: str) -> tuple[list[str], str] | None:
    """The languages of ``zh+es-en``; a code may have a hyphen of its own, as ``zh-Hant``."""
    for cut in [match.start() for match in re.finditer("-", name)][::-1]:
        try:
            sources = [language(part).code for part in name[:cut].split("+")]
            return sources, language(name[cut + 1 :]).code
        except InputError:
            continue
    return None


def _read(path: Path) -> Recipe:
    if not is_present(path):
        there = f"(there is no file {shown(str(path))})"
        raise unknown("recipe", path.stem, _all_shipped(), where=there, hint=_WHICH)
    record = read_yaml(path)
    if not isinstance(record, dict):
        raise InputError(f"the recipe {str(path)!r} must have fields such as data, lora and schedule")
    return _checked({"name": path.stem, **record}, where=f"recipe {str(path)!r}")


def _checked(record: Mapping[str, Any], *, where: str) -> Recipe:
    try:
        return Recipe.model_validate(record)
    except ValidationError as error:
        _refuse(error.errors(), where, record)


def _refuse(problems: list[ErrorDetails], where: str, record: Mapping[str, Any]) -> NoReturn:
    """One sentence for what pydantic found: the first problem, and how many more there are."""
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        part, name = first["loc"][:-1], str(first["loc"][-1])
        fields = _fields(_part_of(record, str(part[0])) if part else Recipe)
        data = record.get("data", {})
        is_top = not part and isinstance(data, Mapping)
        home = _homes(_part_of({"data": data}, "data")).get(name) if is_top else None
        hint = f"write it within {home!r}: {{{home!r}: {{{name!r}: ...}}}}" if home else ""
        error = unknown(f"field of {where}", field if not part else name, fields, hint=hint)
        raise InputError(f"{error}{more}") from None
    reason = first["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    # A whole part is no value to show; its own message names what is wrong in it.
    given = "" if isinstance(first["input"], dict | BaseModel) else f", not {shown(first['input'])}"
    given = "" if first["type"] == "value_error" else given
    raise InputError(f"{where}: {field + ': ' if field else ''}{reason}{given}{more}") from None


def _part_of(record: Mapping[str, Any], name: str) -> Any:
    """The class of a part of a recipe."""
    if name == "data":
        return data_kind(kind_of(record["data"]))
    return Recipe.model_fields[name].annotation


def _fields(part: Any) -> tuple[str, ...]:
    return tuple(getattr(part, "model_fields", {}))


@cache
def _homes(data: type[DataSettings]) -> dict[str, str | None]:
    """Field to the part it is in, with data of a kind; None for the recipe's own."""
    homes: dict[str, str | None] = {
        "name": None, "about": None, "start": None, "method": None, "freeze": None,
    }  # fmt: skip
    for part, model in (("data", data), ("lora", Lora), ("schedule", Schedule)):
        homes |= dict.fromkeys((name for name in model.model_fields if name != "kind"), part)
    return homes


@cache
def _shipped() -> dict[str, Any]:
    text = files("latentlang.training").joinpath("recipes.yaml").read_text(encoding="utf-8")
    record: dict[str, Any] = yaml.safe_load(text)
    return record


def _all_shipped() -> dict[str, Any]:
    """The shipped recipes by name."""
    shipped = _shipped()
    return dict(shipped["recipes"]) | {
        name: record for recipes in shipped["papers"].values() for name, record in recipes.items()
    }
