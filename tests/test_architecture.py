"""The rooms: each imports only rooms above it, and no two modules need each other to be imported."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import latentlang

ROOT = Path(latentlang.__file__).parent
#: Rooms and single modules, each of which may import those before it (docs/architecture.md, "The rooms").
ORDER = (
    "_lazy",
    "printable", "errors", "text", "arguments", "remote_paths", "paths", "installing",
    "workers", "defaults", "language_names",
    "language_id", "seeding", "devices", "progress",
    "storage", "provenance", "results", "stats", "downloads", "tasks", "answers", "models", "activations", "geometry",
    "figures", "lens", "causal", "units", "instructions", "generation", "training", "evaluation", "code_execution",
    "questions", "judging", "translation", "comparison", "sizing", "cluster", "sweeps", "saved", "interactive",
    "reproduction", "cli", "__main__", "__init__",
)  # fmt: skip
#: Pairs that know each other only when a method runs or for a type: a result draws or compares itself (the pattern of
#: pandas' ``.plot``).
LAZY_CIRCLES = (
    {"comparison.report", "comparison.result"},
    {"evaluation.comparison", "evaluation.result"},
    {
        "figures.header",
        "figures.notebook",
        "figures.notebook_figure",
        "figures.shaping",
        "provenance",
        "results",
    },
)

#: Modules named like a function of theirs: each is asked for by its path, and its package does not give the function.
#: A command's module is called as the command.
LIKE_THEIR_FUNCTION = {
    "figures.alignment_curves", "geometry.flags", "interactive.token_owners", "models.availability",
    "models.data_package", "models.quiet", "printable", "training.data.hub_pairs", "training.data.question_settings",
}  # fmt: skip


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")}


def _statements(body: list[ast.stmt], *, lazy: bool) -> Iterator[ast.stmt]:
    for node in body:
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if lazy or not (typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield node
            for field in ("body", "orelse", "finalbody", "handlers"):
                yield from _statements(getattr(node, field, []), lazy=lazy)


def imported(module: str, *, lazy: bool) -> set[str]:
    """Modules of the package that a module imports; with `lazy` also within functions and for types."""
    found = set()
    for node in _statements(MODULES[module].body, lazy=lazy):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "latentlang":
            home = node.module.removeprefix("latentlang").removeprefix(".") or "__init__"
            names = [f"{home}.{alias.name}".removeprefix("__init__.") for alias in node.names]
            found |= {name if name in MODULES else home for name in names}
        elif isinstance(node, ast.Import):
            found |= {
                alias.name.removeprefix("latentlang.") for alias in node.names if "latentlang." in alias.name
            }
    return found & MODULES.keys()


def _reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in edges.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def circles(*, lazy: bool) -> list[set[str]]:
    edges = {name: imported(name, lazy=lazy) for name in MODULES}
    reached = {name: _reached(name, edges) for name in MODULES}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in MODULES}
    return [set(group) for group in groups if group]


def _room(module: str) -> str:
    return module.split(".")[0]


def test_every_room_has_its_place():
    assert {_room(module) for module in MODULES} == set(ORDER)


def test_the_page_of_the_architecture_has_the_rooms_in_their_order():
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("\n| --- | --- |\n")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    rooms = [name.removeprefix("latentlang/").removesuffix("/").removesuffix(".py") for name in named]
    assert rooms == [name for name in ORDER if not name.startswith("__")]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_room_imports_only_rooms_above_it(module):
    own = ORDER.index(_room(module))
    below = {name for name in imported(module, lazy=False) if ORDER.index(_room(name)) > own}
    assert not below


def test_no_module_needs_another_that_needs_it():
    assert not circles(lazy=False)


def test_circles_of_methods_are_the_known_ones():
    assert sorted(map(sorted, circles(lazy=True))) == sorted(map(sorted, LAZY_CIRCLES))


@pytest.mark.parametrize("module", sorted(name for name in MODULES if not name.startswith("cli.")))
def test_no_private_name_is_imported_from_another_module(module):
    private = [
        f"{node.module}.{alias.name}"
        for node in _statements(MODULES[module].body, lazy=True)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("latentlang")
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert not private


def test_a_module_is_not_named_like_a_function_of_its_own():
    named = {
        name
        for name, tree in MODULES.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == name.split(".")[-1] and _room(name) != "cli"
    }
    assert named == LIKE_THEIR_FUNCTION


def _exported(package: str) -> set[str]:
    """Names in a package's ``__all__``."""
    for node in MODULES[package].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return {str(entry.value) for entry in ast.walk(node.value) if isinstance(entry, ast.Constant)}
    return set()


@pytest.mark.parametrize("package", sorted({_room(name) for name in MODULES if "." in name}))
def test_a_package_does_not_give_a_function_by_the_name_of_a_module(package):
    """Otherwise ``package.name`` is one or the other, as what was imported first has it."""
    modules = {name.removeprefix(f"{package}.") for name in MODULES if name.startswith(f"{package}.")}
    assert not modules & _exported(package)


def test_a_class_has_a_name_of_its_own():
    homes: dict[str, list[str]] = {}
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(name)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


@pytest.mark.parametrize(
    "package",
    ["latentlang", *(f"latentlang.{room}" for room in ("evaluation", "geometry", "models", "training"))],
)
def test_every_name_that_a_package_promises_is_there(package):
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize(
    "package", ["latentlang", *(f"latentlang.{room}" for room in ("evaluation", "models", "training"))]
)
def test_a_package_lists_its_public_names_and_nothing_else(package):
    module = import_module(package)
    rooms = set(latentlang._ROOMS) if module is latentlang else set()
    listed = {name for name in dir(module) if not name.startswith("__")}
    assert listed == {name for name in module.__all__ if not name.startswith("__")} | rooms
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing


def test_a_name_that_is_nearly_one_says_which():
    with pytest.raises(AttributeError, match=r"no attribute 'logit_lense'; did you mean 'logit_lens'"):
        _ = latentlang.logit_lense
    with pytest.raises(AttributeError, match=r"no attribute 'steering'; did you mean 'steer'"):
        _ = latentlang.steering


def test_names_that_a_notebook_would_guess_are_at_the_top():
    names = (
        "__version__",
        "explore",
        "multilingual_lens",
        "TunedLens",
        "train_tuned_lens",
        "reproduce",
        "reproduction",
        "tasks",
    )
    assert all(name in dir(latentlang) and getattr(latentlang, name) is not None for name in names)


def test_what_tests_share_is_in_one_package():
    tests = ROOT.parent / "tests"
    elsewhere = [
        path.relative_to(tests).as_posix()
        for path in tests.rglob("*.py")
        if not path.name.startswith("test_")
        and path.name not in ("__init__.py", "conftest.py")
        and path.relative_to(tests).parts[0] != "support"
    ]
    assert not elsewhere
