"""What is said of a command line that cannot be read: typer's words, the value, and what was probably meant."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from latentlang.errors import InputError

#: Options as other tools, or habit, call them, to ours; the first that the command has is named.
_CALLED_ELSEWHERE = {
    "limit": ("items",), "n": ("items",), "num-items": ("items",), "samples": ("items",),
    "num-fewshot": ("shots",), "fewshot": ("shots",),
    "l": ("lang",), "language": ("lang",), "languages": ("lang",), "target": ("lang", "into"), "tgt": ("lang",),
    "src": ("from",), "source": ("from",), "to": ("lang", "directions"),
    "m": ("model",), "model-name": ("model",), "model-name-or-path": ("model",), "pretrained": ("model",),
    "t": ("task",), "tasks": ("task",), "dataset": ("data",),
    "o": ("out",), "output": ("out",), "output-dir": ("out",), "output-path": ("out",), "output-folder": ("out",),
    "batch-size": ("batch-tokens", "batch"), "layer": ("layers",), "strength": ("strengths",),
    "max-new-tokens": ("new-tokens",), "max-tokens": ("new-tokens",), "max-steps": ("steps",),
    "precision": ("dtype",), "lora": ("adapter",), "peft": ("adapter",),
    "text-file": ("text", "prompts"), "prompt-file": ("prompts",), "file": ("data", "prompts", "text"),
}  # fmt: skip
#: What pydantic calls a value that is no number, in words.
_KINDS = {"int_parsing": "a whole number", "int_from_float": "a whole number", "float_parsing": "a number"}
# How alike an option must be to what was typed, and how many are named.
_ALIKE, _MOST_NEAR = 0.75, 2
_EXTRA = re.compile(r"^Got unexpected extra arguments?(?:\(s\))? \((.+)\)$")


def usage(error: Exception, arguments: Sequence[str] = ()) -> str | None:
    """What typer says of a command line it cannot read; its errors have no public base class in all its versions.

    Args:
        error: that a command ended with.
        arguments: the command line.

    Returns:
        One line with what to do; None where the error is another one.
    """
    if not hasattr(error, "format_message"):
        return None
    context = getattr(error, "ctx", None)
    said = (
        _without_option(error, _left_over(context, arguments))
        or _missing(error)
        or _wrong_value(error)
        or _other_name(error)
        or _near_name(error)
    )
    said = said or str(error.format_message()).rstrip(".")
    if context is None:
        return said
    see = f"see `{context.command_path} --help`"
    return f"{said} {see.capitalize()}" if said.endswith("?") else f"{said}; {see}"


def _missing(error: Any) -> str | None:
    """An option or argument that is needed, with its help: typer names it and says no word of what goes there."""
    option = getattr(error, "param", None)
    help = getattr(option, "help", None)
    if option is None or not help or type(error).__name__ != "MissingParameter":
        return None
    name = max(option.opts, key=len)
    if not name.startswith("-"):
        name = option.metavar or name.upper()
    return f"{name} is needed: {help.rstrip('.')}"


def _wrong_value(error: Any) -> str | None:
    """A value that is no number, which newer versions of typer do not name."""
    option, errors = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    if option is None or not callable(errors) or not (found := errors()):
        return None
    name, value = max(option.opts, key=len), found[0].get("input")
    if kind := _KINDS.get(str(found[0].get("type"))):
        return f"{name} takes {kind}, not {value!r}"
    return f"{str(error.format_message()).rstrip('.')}, not {value!r}"


def _other_name(error: Any) -> str | None:
    """An option that has another name here."""
    given = getattr(error, "option_name", None)
    if given is None or type(error).__name__ != "NoSuchOption" or error.ctx is None:
        return None
    own = _flags(error.ctx.command)
    for name in _CALLED_ELSEWHERE.get(given.lstrip("-").replace("_", "-"), ()):
        if f"--{name}" in own:
            return f"No such option: {given}; here it is --{name}"
    return None


def _near_name(error: Any) -> str | None:
    """An option that was not written quite right; typer names any that has a few letters in common."""
    given = getattr(error, "option_name", None)
    if given is None or type(error).__name__ != "NoSuchOption" or error.ctx is None:
        return None
    near = difflib.get_close_matches(
        given, {*_flags(error.ctx.command), *error.ctx.help_option_names}, n=_MOST_NEAR, cutoff=_ALIKE
    )
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"No such option: {given}{meant}"


def _left_over(context: Any, arguments: Sequence[str]) -> list[str]:
    """Words of a command line that are neither an option of its command nor an argument that it takes."""
    names = context.command_path.split()[1:] if context is not None else []
    if not names or list(arguments[: len(names)]) != names:
        return []
    try:
        _, left, _ = context.command.make_parser(context).parse_args(list(arguments[len(names) :]))
    except Exception:  # typer's have no public base class; the error that came first is the one that is told
        return []
    return list(left)


def _without_option(error: Any, left: Sequence[str]) -> str | None:
    """Names of models, tasks and languages, or a text, that were given without their options.

    Args:
        error: that a command ended with; also that an option is missing, which is told where nothing is known here.
        left: what of the command line belongs to no option.
    """
    match = _EXTRA.match(str(error.format_message()).rstrip("."))
    if error.ctx is None or (match is None and type(error).__name__ != "MissingParameter"):
        return None
    words = list(left) or (match[1].split() if match else [])
    own = _flags(error.ctx.command)
    meant = []
    for word in words:
        for option, known in _KNOWN.items():
            if option in own and known(word):
                meant.append(f"{option} {shlex.quote(word)}")
                break
    return f"Got unexpected {' '.join(words)!r}; did you mean `{' '.join(meant)}`?" if meant else None


def _flags(command: Any) -> set[str]:
    return {flag for parameter in command.params for flag in parameter.opts}


def _a_model(word: str) -> bool:
    from latentlang.models.registry import REGISTRY

    return word in REGISTRY or _holds(word, "config.json")


def _an_adapter(word: str) -> bool:
    return _holds(word, "adapter_config.json")


def _holds(folder: str, name: str) -> bool:
    try:
        return (Path(folder) / name).is_file()
    except (OSError, ValueError):  # no name of a file
        return False


def _a_text(word: str) -> bool:
    from latentlang.tasks.parallel_text import UDHR

    return word == UDHR


def _a_sentence(word: str) -> bool:
    return " " in word.strip()


def _tasks(word: str) -> bool:
    from latentlang.questions.question_sets import QUESTION_TASKS
    from latentlang.tasks import TASKS

    return set(word.split(",")) <= {*TASKS, *QUESTION_TASKS}


def _a_recipe(word: str) -> bool:
    from latentlang.training.recipes import recipe_names

    return word in recipe_names()


def _languages(word: str) -> bool:
    from latentlang.language_names import languages

    try:
        return bool(languages(word))
    except InputError:
        return False


#: Option to whether a word is a value of it.
_KNOWN: dict[str, Callable[[str], bool]] = {
    "--model": _a_model,
    "--adapter": _an_adapter,
    "--task": _tasks,
    "--recipe": _a_recipe,
    "--lang": _languages,
    "--text": _a_text,
    "--prompt": _a_sentence,
}
