"""What the pages and the README tell a reader to type: commands parse, names exist, and what is marked is run."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import typer

from latentlang.cli import _as_options, app, main
from latentlang.geometry import measure_registry
from latentlang.language_names import languages
from latentlang.models.registry import REGISTRY
from latentlang.questions import QUESTION_TASKS
from latentlang.tasks import TASKS
from latentlang.training import recipe
from latentlang.training.data import base as training_data
from tests.support.doc_pages import PAGES, ROOT, Block, blocks, commands, spans

ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in ALL_BLOCKS if block.language == "sh"]
PYTHON = [block for block in ALL_BLOCKS if block.language == "python"]
TRIED = [page for page in PAGES if any(block.tried for block in blocks(page))]


def _name(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@cache
def _group() -> Any:
    return typer.main.get_command(app)


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what follows its name; COMMAND stands for any."""
    command, rest = _group(), _as_options(list(words))
    while hasattr(command, "commands") and rest and not rest[0].startswith("-") and rest[0] != "COMMAND":
        assert rest[0] in command.commands, f"no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    return command, rest


def test_the_pages_have_examples():
    assert len(SHELL) > 15 and len(PYTHON) > 10 and len(TRIED) > 8
    assert all(block.language in ("sh", "python") for block in ALL_BLOCKS if block.tried)


@pytest.mark.parametrize("block", SHELL, ids=_name)
def test_commands_parse_and_name_what_exists(block: Block):
    for words in commands(block):
        command, rest = _command(words)
        found = command.make_context("latentlang", list(rest)).params
        for option in ("lang", "candidates", "pivot", "source"):
            if found.get(option) and list(found[option]) != ["all"]:
                languages(found[option])
        if isinstance(task := found.get("task"), str):
            assert set(task.split(",")) <= {*TASKS, *QUESTION_TASKS}, task
        if isinstance(model := found.get("model"), str):
            assert model in REGISTRY or model.startswith("path/to/"), model
        # A file that the page itself writes is read where the block is run.
        if isinstance(name := found.get("recipe"), str) and not name.endswith(".yaml"):
            recipe(name)


def test_targets_of_make_exist():
    rules = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    told = [line for block in SHELL for line in block.text.splitlines()]
    told += [span for page in PAGES for span in spans(page)]
    named = {line.split()[1] for line in told if re.match(r"make [a-z]", line)}
    assert {"demo", "test"} <= named <= set(rules)


def test_a_command_that_does_not_exist_would_be_found():
    with pytest.raises(AssertionError, match="no command"):
        _command(["lense"])
    with pytest.raises(Exception, match="No such option"):
        command, rest = _command(["lens", "--langs", "ja"])
        command.make_context("latentlang", rest)


def _options(command: Any) -> set[str]:
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    below = getattr(command, "commands", {}).values()
    return own.union({"--help"}, *(_options(other) for other in below))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_and_options_in_sentences_exist(page: Path):
    for span in spans(page):
        words = span.split()
        if words[0] == "latentlang" and len(words) > 1 and re.fullmatch("[a-z]+", words[1]):
            command, rest = _command(words[1:])
            asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
        elif re.match(r"--[a-z]", span):
            command, asked = _group(), {words[0]}
        else:
            continue
        assert asked <= _options(command), f"{span}: {asked - _options(command)}"


@pytest.mark.parametrize("block", PYTHON, ids=_name)
def test_python_compiles_and_names_what_exists(block: Block):
    tree = ast.parse(block.text, filename=str(block))
    known: dict[str, Any] = {"ll": importlib.import_module("latentlang")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("latentlang"):
            module = importlib.import_module(node.module or "")
            known |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
    for path in _ours(tree, known):
        value = known[path[0]]
        for part in path[1:]:
            assert hasattr(value, part), f"{'.'.join(path)} does not exist"
            value = getattr(value, part)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        path = _dotted(call.func)
        if path and path[0] in known:
            called = known[path[0]]
            for part in path[1:]:
                called = getattr(called, part)
            given = {word.arg: None for word in call.keywords if word.arg}
            inspect.signature(called).bind_partial(*(None for _ in call.args), **given)


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """``("ll", "models", "load")``; empty where it is no plain name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)):
        return (*before, node.attr)
    return ()


def _ours(tree: ast.AST, known: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(tree):
        path = _dotted(node)
        if len(path) > 1 and path[0] in known:
            yield path


@pytest.fixture
def registries() -> Iterator[None]:
    """What a page registers is not known to the tests that run after it."""
    with patch.dict(TASKS), patch.dict(measure_registry._MEASURES), patch.dict(training_data._KINDS):
        yield


@pytest.mark.parametrize("page", TRIED, ids=_name)
@pytest.mark.usefixtures("registries")
def test_marked_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In an empty folder, from the top of the page to its end, as a reader would."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        if not block.tried:
            continue
        if block.language == "python":
            exec(compile(block.text, str(block), "exec", dont_inherit=True), names)
        else:
            typed = list(commands(block))
            assert typed, f"{block} has no command to try"
            for words in typed:
                assert main(words) == 0, f"{block}: latentlang {' '.join(words)}"


def _front_links() -> Iterator[tuple[str, str]]:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        yield from ((name, link) for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text))


@pytest.mark.parametrize(("page", "link"), list(_front_links()))
def test_links_of_the_front_pages_lead_somewhere(page: str, link: str):
    assert "://" in link or (ROOT / link).exists()
