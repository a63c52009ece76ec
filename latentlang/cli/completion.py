"""What a shell completes: names of languages, models, tasks and recipes, without loading what runs them."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

from latentlang import defaults
from latentlang.errors import InputError

Named = Iterable[tuple[str, str]]


def _languages() -> Named:
    from latentlang.language_names import GROUPS, languages

    yield from ((code, f"{len(members)} languages") for code, members in GROUPS.items())
    yield from ((entry.code, entry.name) for entry in languages("flores101"))


def _models() -> Named:
    from latentlang.models.registry import REGISTRY

    return ((info.name, "" if info.local else info.hub_id) for info in REGISTRY.values())


def _tasks() -> Named:
    from latentlang.tasks import TASKS

    return ((record.name, record.about) for record in TASKS.values())


def _recipes() -> Named:
    from latentlang.training.recipes import recipe, recipe_names

    return ((name, recipe(name).about) for name in recipe_names())


def _papers() -> Named:
    from latentlang.reproduction.suites import experiments_folder, read_suite, suite_names

    for name in suite_names():
        yield name, str(read_suite(experiments_folder(name)).get("title", ""))


def tables_of_paper(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The figures and tables of the paper that the command names, for its ``--only``."""
    from latentlang.reproduction.suites import experiments_folder, read_suite

    paper = str(context.params.get("paper") or defaults.PAPER)
    try:
        names = [(str(name), paper) for name in read_suite(experiments_folder(paper)).get("order", ())]
    except InputError:  # no such paper: there is nothing to complete
        names = []
    return list(completed(lambda: names, incomplete))


#: Parameter of a command to the names that it takes.
_NAMES: dict[str, Callable[[], Named]] = {
    "lang": _languages, "candidates": _languages, "pivot": _languages, "source": _languages, "reference": _languages,
    "seen_languages": _languages, "asked": _languages, "other": _languages, "model": _models, "task": _tasks,
    "recipe": _recipes, "pivots": _languages, "through": _languages, "tokenizer": _models, "paper": _papers,
}  # fmt: skip
#: Commands whose argument ``name`` is a recipe.
_RECIPE_ARGUMENTS = frozenset({"recipes"})


def completed(names: Callable[[], Named], incomplete: str) -> Iterator[tuple[str, str]]:
    """The names that what was typed can become; behind a comma the next one.

    Args:
        names: gives each with a word on it.
        incomplete: what was typed.
    """
    before, comma, last = incomplete.rpartition(",")
    for name, about in names():
        if name.startswith(last):
            yield before + comma + name, about


def with_completion(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose options that take names complete them."""
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    parameters = []
    for name, parameter in signature.parameters.items():
        names = _NAMES.get(name)
        if name == "name" and command.__name__ in _RECIPE_ARGUMENTS:
            names = _recipes
        annotation = hints[name]
        if names is not None and get_origin(annotation) is Annotated:
            annotation = _completing(annotation, names)
        parameters.append(parameter.replace(annotation=annotation))

    @functools.wraps(command)
    def run(*arguments: Any, **values: Any) -> Any:
        return command(*arguments, **values)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _completing(annotation: Any, names: Callable[[], Named]) -> Any:
    kind, *extras = get_args(annotation)
    changed = []
    for extra in extras:
        if isinstance(extra, ParameterInfo):
            extra = copy.copy(extra)
            extra.autocompletion = _completer(names)
        changed.append(extra)
    return Annotated[(kind, *changed)]


def _completer(names: Callable[[], Named]) -> Callable[[str], list[tuple[str, str]]]:
    def complete(incomplete: str) -> list[tuple[str, str]]:
        return list(completed(names, incomplete))

    return complete
