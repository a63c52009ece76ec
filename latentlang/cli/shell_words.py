"""Errors of the library, which name arguments of functions, as they read at a shell, which has options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

# A value as an error shows it: quoted, or up to what ends it.
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|\.\.\.|[\w./:@-]*[\w/@])?"
# An argument with its value. What follows a sign or an option is its value (``--set rank=4``), what is quoted is data.
_ARGUMENT = re.compile(rf"(?<![\w'\"/.=<-])(?<!--\w )([a-z][a-z_]*)=(?!=)({_VALUE})")
# A call that an error recommends: ``train_sae(..., items=)``, ``load(name, adapter=...)``, ``task('cloze', data=...)``.
_CALL = re.compile(r"\b([a-z_]+)\(((?:[^()'\"]|'[^']*'|\"[^\"]*\")*=(?:[^()'\"]|'[^']*'|\"[^\"]*\")*)\)")
# Both ways in one message: ``sources= (--sources FILE)``, ``data=, at a shell --data``.
_BOTH = re.compile(
    rf"(?<![\w'\"/.=<-])[a-z][a-z_]*=(?!=){_VALUE}(?: \((?:at a shell )?(--[a-z][^()]*)\)|, at a shell (--[a-z][^,;]*))"
)
# What is said for Python beside the option: ``--chat (chat=True in Python)``, ``--model a, or model='a' in Python,``.
_FOR_PYTHON = re.compile(
    r"(--[a-z][\w-]*(?: [\w./=:-]+)?)(?: \((?:[^()]|\([^()]*\))*\bin Python\)|, or [a-z_]+=(?:'[^']*')? in Python\b,?)"
)
#: Arguments that are called otherwise at a shell, by what their option is called.
_CALLED = {
    "language": "lang", "languages": "lang", "texts": "text", "pool": "pools", "judges": "judge", "lenses": "lens",
    "target": "lang", "targets": "lang",
}  # fmt: skip
# Calls whose arguments are options of the command itself.
_OWN = {"load", "task"}


def at_shell(message: str, command: Any, arguments: Sequence[str]) -> str:
    """An error's message with the options of the command that was given in place of a function's arguments.

    What the command has no option for stays as it is; where the message says it both ways, the option is left.

    Args:
        message: of the error.
        command: the program, as `typer.main.get_command` makes it.
        arguments: its command line.
    """
    commands = dict(_commands(command))
    name = _given(command, arguments)
    if name not in commands:
        return message
    own = _options(commands[name])

    def called(match: re.Match[str]) -> str:
        function, inside = match[1], match[2]
        other = function.replace("_", "-")
        if other in commands:
            said = _arguments(inside, _options(commands[other]))
            return f"`latentlang {other} {said}`" if said else match[0]
        said = _arguments(inside, own) if function in _OWN else ""
        if said and function == "task" and (chosen := re.match(r"'([\w-]+)'", inside)) and "task" in own:
            said = f"--task {chosen[1]} {said}"
        return said or match[0]

    def argued(match: re.Match[str]) -> str:
        said = _option(match[1], match[2], own)
        return match[0] if said is None or said.split()[0] in message else said

    message = _FOR_PYTHON.sub(lambda match: match[1], message)
    message = _BOTH.sub(lambda match: match[1] or match[2], message)
    return _ARGUMENT.sub(argued, _CALL.sub(called, message))


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _given(group: Any, arguments: Sequence[str]) -> str:
    """The name of the command that was given, those of its groups before it."""
    names: list[str] = []
    for argument in arguments:
        if not hasattr(group, "commands") or argument not in group.commands:
            break
        names.append(argument)
        group = group.commands[argument]
    return " ".join(names)


def _options(command: Any) -> dict[str, Any]:
    """Options of a command, by the name of the function's argument and by their own."""
    found: dict[str, Any] = {}
    for parameter in command.params:
        if parameter.param_type_name != "option" or getattr(parameter, "hidden", False):
            continue
        found.setdefault(parameter.name, parameter)
        for flag in parameter.opts:
            found.setdefault(flag.lstrip("-").replace("-", "_"), parameter)
    return found


def _option(name: str, value: str, options: dict[str, Any]) -> str | None:
    """An argument as an option; None where the command has none."""
    parameter = options.get(name) or options.get(_CALLED.get(name, ""))
    if parameter is None or value == "None":
        return None
    flag = str(max(parameter.opts, key=len))
    if value in ("True", "False"):
        switched = value == "True"
        if not getattr(parameter, "is_flag", False):
            return None
        if switched:
            return flag
        return str(max(parameter.secondary_opts, key=len)) if parameter.secondary_opts else f"no {flag}"
    plain = value[1:-1] if value[:1] in ("'", '"') and " " not in value else value
    return f"{flag} {plain}".rstrip()


def _arguments(inside: str, options: dict[str, Any]) -> str:
    """All arguments of a call as options; empty where one of them is none."""
    said = [_option(name, value, options) for name, value in _ARGUMENT.findall(inside)]
    return " ".join(part for part in said if part is not None) if said and None not in said else ""
