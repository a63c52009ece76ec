r"""Few-shot prefixes out of published scripts: taken from their text, which is parsed and never run.

The scripts say ``prompt_prefix = {'en': '''...''', ...}``, and further down, language by language,
``[prompt_prefix['en'] + '\n' + i + '\nEmotion: \"' for i in inputs['input']]``. The dictionary is read with
`ast.literal_eval`, which takes constants only; the sum is taken apart into its strings and variables.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from latentlang.errors import InputError
from latentlang.language_names import language

_VARIABLE = "prompt_prefix"
# The published scripts have 20 to 35 kB; what is far larger is something else.
_MOST_CHARACTERS = 1_000_000


def script_blocks(text: str, *, name: str) -> dict[str, Any]:
    """The few-shot prefixes of a script, as the closed tasks read them from ``few_shot_blocks.json``.

    Args:
        text: the script.
        name: what to call it in errors, and as ``source``.

    Returns:
        ``source``; ``blocks``, language code to block; ``item_format``, language code to the expression that puts an
        item behind its block.

    Raises:
        InputError: the text is no such script. Nothing of it has been run then either.
    """
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"{name} has {len(text):,} characters: too many for a script with few-shot prefixes")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{name} is no Python script: {_first_line(error)}") from error
    blocks = _blocks(tree, name)
    formats = dict(_formats(tree, name))
    missing = [code for code in blocks if code not in formats]
    if missing:
        raise InputError(f"{name} does not say how an item follows the block in {', '.join(missing)}")
    return {"source": name, "blocks": blocks, "item_format": {code: formats[code] for code in blocks}}


def _blocks(tree: ast.Module, name: str) -> dict[str, str]:
    """Language code to block, from the only assignment to the variable."""
    values = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == _VARIABLE for target in node.targets)
    ]
    if len(values) != 1:
        count = "nowhere" if not values else f"in {len(values)} places"
        raise InputError(f"{name} assigns {_VARIABLE} {count}, not in one place")
    try:
        prefixes = ast.literal_eval(values[0])
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise InputError(f"{name}: {_VARIABLE} is not a dictionary of constants") from error
    if not isinstance(prefixes, dict) or not prefixes:
        raise InputError(f"{name}: {_VARIABLE} must be a dictionary, language to few-shot prefix")
    for code, block in prefixes.items():
        if not isinstance(code, str) or not isinstance(block, str):
            raise InputError(
                f"{name}: {_VARIABLE} must hold texts only, not {code!r}: {type(block).__name__}"
            )
        if language(code).code != code:
            raise InputError(f"{name}: {_VARIABLE} has {code!r} where a language code should be")
    return prefixes


def _formats(tree: ast.Module, name: str) -> Iterator[tuple[str, str]]:
    """Language code and the expression of what follows its block."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ListComp):
            continue
        first, *rest = _terms(node.elt)
        code = _language_of(first)
        if code is not None:
            yield code, " + ".join(_written(term, f"{name}, line {node.lineno}") for term in rest)


def _terms(expression: ast.expr) -> list[ast.expr]:
    """The terms of a sum, from left to right."""
    terms: list[ast.expr] = []
    rest = expression
    while isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Add):
        terms.append(rest.right)
        rest = rest.left
    return [rest, *reversed(terms)]


def _language_of(term: ast.expr) -> str | None:
    """``xx`` of ``prompt_prefix['xx']``; None for anything else."""
    if not (isinstance(term, ast.Subscript) and isinstance(term.value, ast.Name)):
        return None
    if term.value.id != _VARIABLE or not isinstance(term.slice, ast.Constant):
        return None
    key = term.slice.value
    return key if isinstance(key, str) else None


def _written(term: ast.expr, where: str) -> str:
    """A term as Python: a variable, or a text; nothing else can come out."""
    if isinstance(term, ast.Name):
        return term.id
    if isinstance(term, ast.Constant) and isinstance(term.value, str):
        return repr(term.value)
    raise InputError(f"{where}: a prompt may only join texts and variables, not {type(term).__name__}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
