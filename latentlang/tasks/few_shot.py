r"""Published few-shot prefixes: the fixed text that stands before every item of a language, and how an item follows it.

The file says task -> answer mode -> ``blocks`` (language to text) and ``item_format`` (language to the Python
expression that puts an item behind the block, e.g. ``'\n' + i + '\nEmotion: "'``). The expression is taken apart as
text; nothing is ever run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlang.errors import InputError
from latentlang.paths import given_path, is_file
from latentlang.tasks.files import PathLike, read_json
from latentlang.tasks.labels import Kind, Wording, gold_words
from latentlang.tasks.paper_files import Item

BLOCKS_FILE = "few_shot_blocks.json"
# Where a mode has no block of its own, its examples can be read from another's and answered anew.
_MODES = ("en", "same", "agnostic")


@dataclass(frozen=True, slots=True)
class ItemFormat:
    r"""How a published script puts an item behind a few-shot prefix.

    Attributes:
        joint: what stands between block and question (``"\n"``).
        wording: names before the item's texts, and the cue.
    """

    joint: str
    wording: Wording


def parse_item_format(expression: str, kind: Kind) -> ItemFormat:
    """Take a prompt expression apart into its constant pieces; it is parsed, never evaluated.

    Args:
        expression: strings and the task's variables, joined by ``+``.
        kind: the task, whose variables must each stand in it once and in order.

    Raises:
        InputError: the expression holds anything else.
    """
    try:
        body = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"the item format {_short(expression)} is no expression: {error}") from error
    pieces, names = [""], []
    for part in _summands(body, expression):
        if isinstance(part, ast.Name):
            names.append(part.id)
            pieces.append("")
        else:
            pieces[-1] += part
    if tuple(names) != kind.variables:
        raise InputError(
            f"the item format {_short(expression)} uses {', '.join(names) or 'no variable'}; a {kind.name} item has "
            f"{', '.join(kind.variables)}, in this order"
        )
    first = pieces[0].lstrip("\n")
    joint = pieces[0][: len(pieces[0]) - len(first)]
    return ItemFormat(joint, Wording((first, *pieces[1:-1]), pieces[-1]))


def _summands(body: ast.expr, expression: str) -> list[ast.Name | str]:
    """The terms of a sum from left to right: names, and the text of string constants."""
    terms: list[ast.Name | str] = []
    stack = [body]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            stack += [node.right, node.left]
        elif isinstance(node, ast.Name):
            terms.append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            terms.append(node.value)
        else:
            raise InputError(
                f"the item format {_short(expression)} may only join strings and variables with +; "
                f"{type(node).__name__} is neither"
            )
    return terms


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


# Of an example in a block: what is looked for behind each other without end takes the square of the block's length.
_LONGEST_TEXT = 2000


class FewShotPrefixes:
    """The published few-shot prefixes of one task.

    Attributes:
        path: the file.
        modes: answer modes that have blocks.
    """

    def __init__(self, kind: Kind, path: PathLike) -> None:
        """Read the file.

        Raises:
            InputError: the file cannot be read, is of another shape, or has nothing for this task.
        """
        self.kind = kind
        self.path = given_path(path)
        record = read_json(self.path)
        if (
            not isinstance(record, dict)
            or not isinstance(record.get(kind.name), dict)
            or not record[kind.name]
        ):
            tasks = ", ".join(record) if isinstance(record, dict) else "no tasks"
            raise InputError(f"{self.path} has no few-shot prefixes for {kind.name!r} (it has {tasks})")
        self._by_mode: dict[str, dict[str, Any]] = record[kind.name]
        for mode, entry in self._by_mode.items():
            for key in ("blocks", "item_format"):
                texts = entry.get(key) if isinstance(entry, dict) else None
                if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
                    raise InputError(f"{self.path}: {kind.name} / {mode} needs {key!r}, language to text")
        self.modes = tuple(self._by_mode)

    @classmethod
    def in_folder(cls, kind: Kind, folder: Path) -> FewShotPrefixes | None:
        """The blocks of ``few_shot_blocks.json`` in a folder; None where there is no such file, or not for this task.

        Raises:
            InputError: the file is there and cannot be used.
        """
        path = folder / BLOCKS_FILE
        if not is_file(path):
            return None
        record = read_json(path)
        return None if isinstance(record, dict) and kind.name not in record else cls(kind, path)

    def published(self, language: str, mode: str) -> tuple[str, Wording]:
        """The block as published, with what joins it to the question, and the published wording.

        Raises:
            InputError: nothing was published for this language and answer mode.
        """
        if mode not in self._by_mode:
            raise InputError(
                f"{self.path} has no {self.kind.name} blocks with answers={mode!r}, only {', '.join(self.modes)}; "
                "protocol='corrected' answers the same examples in any way"
            )
        form = self._form(language, mode)
        return self._by_mode[mode]["blocks"][language] + form.joint, form.wording

    def examples(self, language: str, mode: str) -> tuple[Item, ...]:
        """The examples of a block, taken apart: from the mode's own block, or any other where it has none.

        Raises:
            InputError: no block for this language, or one that does not follow its own item format.
        """
        source = next((m for m in (mode, *_MODES, *self.modes) if m in self._by_mode), mode)
        wording = self._form(language, source).wording
        return _take_apart(self.kind, self._by_mode[source]["blocks"][language], wording, language, self.path)

    def _form(self, language: str, mode: str) -> ItemFormat:
        entry = self._by_mode[mode]
        for key in ("blocks", "item_format"):
            if language not in entry[key]:
                raise InputError(f"{self.path}: {self.kind.name} / {mode} has no {key} for {language!r}")
        return parse_item_format(entry["item_format"][language], self.kind)


def _take_apart(kind: Kind, block: str, wording: Wording, language: str, path: Path) -> tuple[Item, ...]:
    """The examples of a block.

    The published blocks are not quite regular: a full-width colon here and there (Chinese), a premise that is called
    "location" (Dutch), spaces behind an answer.
    """
    label_of: Mapping[str, str] = gold_words(kind, language) | {
        word: name for name, word in kind.agnostic.items()
    }
    names = "".join(
        _any_name(name) + f"(?P<text{n}>.{{1,{_LONGEST_TEXT}}}?)" for n, name in enumerate(wording.before)
    )
    example = re.compile(names + _loose(wording.cue) + r'(?P<answer>[^"\n]*)"[ \t]*(?:\n|\Z)', re.DOTALL)
    examples: list[Item] = []
    start = 0
    while start < len(block.rstrip()):
        match = example.match(block, start)
        label = label_of.get(match["answer"].strip().casefold()) if match else None
        if match is None or label is None:
            raise InputError(
                f"{path}: the {kind.name} block for {language!r} does not follow its item format in example "
                f"{len(examples) + 1}; protocol='as-published' uses the block as it is"
            )
        texts = tuple(match[f"text{n}"] for n in range(len(wording.before)))
        examples.append(Item(f"example-{len(examples)}", label, texts, match["answer"]))
        start = match.end()
    return tuple(examples)


def _any_name(text: str) -> str:
    """A pattern for what stands before a text: nothing where nothing does, else any name with a colon."""
    start = text[: len(text) - len(text.lstrip("\n"))]
    return re.escape(start) + (r"[^:：\n]{1,40}[:：] ?" if text.strip() else "")


def _loose(text: str) -> str:
    """A pattern for a constant piece that takes a full-width colon for a colon, with or without a space."""
    return re.sub(r":(?:\\ )?", lambda _: "[:：] ?", re.escape(text))
