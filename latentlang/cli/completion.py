"""What a shell completes: names of languages, models, tasks and recipes, and values that an option's help names.

Loads nothing of what runs them.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

from latentlang import defaults
from latentlang.errors import InputError
from latentlang.geometry.measure_registry import measure_names

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


def _question_tasks() -> Named:
    from latentlang.questions.question_sets import QUESTION_TASKS

    return ((name, "") for name in QUESTION_TASKS)


def published_names(incomplete: str) -> list[tuple[str, str]]:
    """The data sets that can be downloaded, for ``latentlang data get``."""
    from latentlang.downloads import published_sets

    return list(completed(lambda: ((source.name, source.about) for source in published_sets()), incomplete))


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
#: Parameter of a command to words that may be values of it; a command offers those of them that its help names.
_WORDS: dict[str, str] = {
    "policy": "exclusive drop shared sequence against-target",
    "protocol": "corrected as-published lm-eval",
    "html": "whole light",
    "dtype": "fp32 bf16 fp16", "store_dtype": "fp32 bf16 fp16",
    "quantization": "8bit 4bit",
    "pools": "mean mean_no_bos question last",
    "site": "resid attn_out mlp_out mlp_post", "sites": "resid attn_out mlp_out resid_mid mlp_post",
    "measures": f"all {' '.join(measure_names())}",
    "score": "first-tokens sequence sequence-per-byte sequence-per-token",
    "answers": "same en agnostic",
    "states": "base tuned",
    "how": "greedy sample beam add replace",
    "null": "items within-label within-length",
    "items": "pairwise common",
    "method": "mean pca lda probe lsar leace random", "erase": "lsar leace mean random",
    "rule": "nu entropy fdr lape lna",
    "value": "zero mean direction",
    "tokens": "all shared inside",
    "long_texts": "refuse cut drop",
    "colour": "language label",
    "on": "h200 h100 a100 a100-40 l40s rtx4090 cpu",
    "part": "harvest lens evaluate", "parts": "evaluation lens geometry instruction input output",
    "executor": "local here ray slurm",
    "formats": "html png pdf svg",
    "unit": "part message dialogue",
    "kinds": "sentence document constrained interactive",
    "direction": "to-pivot from-pivot both",
    "at": "last object", "controls": "wrong-concept random own-language all none",
    "positions": "new all",
    "metrics": "bleu chrf chrf++ ter comet off-target undecided copied empty length",
    "template": "alpaca bactrianx pairwise rating5 rating10 scores-in-tags rating-in-brackets plain own-names",
    "report_to": "wandb tensorboard",
    "criteria": "person place society literature things organisation code",
    "pair_by": "group id number",
}  # fmt: skip
# What stands in a help where any task will do.
_ANY_TASK = "`latentlang tasks`"
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
            # typer's script for zsh drops straight apostrophes, and what stood between two of them
            yield before + comma + name, about.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")


def with_completion(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose options that take names complete them."""
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    parameters = []
    for name, parameter in signature.parameters.items():
        annotation = hints[name]
        if get_origin(annotation) is Annotated:
            names = _names_of(name, _help(annotation))
            if name == "name" and command.__name__ in _RECIPE_ARGUMENTS:
                names = _recipes
            if names is not None:
                annotation = _completing(annotation, names)
        parameters.append(parameter.replace(annotation=annotation))

    @functools.wraps(command)
    def run(*arguments: Any, **values: Any) -> Any:
        return command(*arguments, **values)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _help(annotation: Any) -> str:
    return next(
        (extra.help or "" for extra in get_args(annotation)[1:] if isinstance(extra, ParameterInfo)), ""
    )


def _names_of(parameter: str, help: str) -> Callable[[], Named] | None:
    """What a parameter takes: names of a kind, or the words that its help names; None where that is anything."""
    if parameter == "task" and _ANY_TASK not in help:
        return lambda: _named_in(help, [*_tasks(), *_question_tasks()])
    if parameter in _NAMES:
        return _NAMES[parameter]
    named = list(_named_in(help, ((word, "") for word in _WORDS.get(parameter, "").split())))
    return (lambda: named) if named else None


def _named_in(help: str, names: Named) -> Named:
    words = set(re.findall(r"[\w+-]+", help))
    return ((name, about) for name, about in names if name in words)


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
