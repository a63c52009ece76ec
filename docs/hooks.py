"""What MkDocs runs while it builds the site: pages that are made from the code, and texts that are said only once.

The command-line reference comes from the commands themselves and the Python reference from each room's ``__all__``, so
neither can go stale. ``<!-- README.md: Beside other tools -->`` in a page stands for that section of the README,
``<!-- measures -->`` for the table of the measures of alignment, and ``pictures/NAME.png`` may be a file of
``figures/``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

import latentlang

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^<!-- (?P<file>[\w./]+\.md): (?P<heading>.+?) -->$", re.MULTILINE)
_MEASURES = "<!-- measures -->"
#: A picture on a line of its own: it leads to itself, since a page or a telephone is narrower than most figures.
_PICTURE = re.compile(r"^(?P<picture>!\[[^\]]*\]\((?P<file>[^)\s]+)\))$", re.MULTILINE)
#: What tells the tests to run the block that follows (tests/docs).
_TRIED = re.compile(r"^<!-- try -->\n", re.MULTILINE)
#: Pages that are other files of the repository as they are.
_PAGES = {"pocket.md": "latentlang/models/pocket/CARD.md"}
#: Pictures of the model card, by the heading they stand under; the card itself ships without them.
_CARD = "pocket.md"
_CARD_PICTURES = {
    "Translation, layer by layer": ("pivot", "Curves of the right word, of English and of its null by layer"),
    "Is the English used?": (
        "cause",
        "Share of answers that follow a swap of two concepts, by layer and language",
    ),
    "Every run": ("seeds", "Gap of English and of a third language by layer, a line for every seed"),
    "What makes the pivot": (
        "ablations",
        "Gap of English for each variant of the recipe, a point for every seed",
    ),
}
# Folders of figures/ that pages show pictures of; on GitHub these are found where they are committed.
_SHOWN = ("gemma3-270m", "cause", "units", "gooddata", "ultralink", "five-systems", "bactrianx", "bayling2")
#: Committed figures that pages show.
_FIGURES = {
    "pictures/readme-lens.png": "figures/readme-lens.png",
    **{f"pictures/pocket-{name}.png": f"figures/pocket/{name}.png" for name, _ in _CARD_PICTURES.values()},
    **{
        f"pictures/{folder}/{path.name}": f"figures/{folder}/{path.name}"
        for folder in _SHOWN
        for path in sorted((ROOT / "figures" / folder).glob("*.png"))
    },
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each room under *Reference*, *Python*."""
    reference = next(entry["Reference"] for entry in config.nav or () if "Reference" in entry)
    python = next(entry["Python"] for entry in reference if "Python" in entry)
    python += [{f"latentlang.{room}": f"reference/python/{room}.md"} for room in rooms()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, and the figures that lie elsewhere."""
    pages = {"reference/command-line.md": command_line(), "reference/python/index.md": public_names()}
    pages |= {f"reference/python/{room}.md": room_page(room) for room in rooms()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    for path, source in {**_PAGES, **_FIGURES}.items():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Put sections of other files where a page asks for them, and its pictures into the model card."""
    if page.file.src_uri == _CARD:
        for heading, (name, words) in _CARD_PICTURES.items():
            above = f"## {heading}\n"
            if above not in markdown:
                raise PluginError(f"the model card has no section {heading!r} for its picture")
            markdown = markdown.replace(above, f"{above}\n![{words}](pictures/pocket-{name}.png)\n")
    for folder in _SHOWN:
        markdown = markdown.replace(f"../figures/{folder}/", f"pictures/{folder}/")
    markdown = _PICTURE.sub(r"[\g<picture>](\g<file>)", markdown.replace(_MEASURES, measure_table()))
    return _SECTION.sub(lambda found: section(found["file"], found["heading"]), _TRIED.sub("", markdown))


def section(path: str, heading: str) -> str:
    """The text under a second-level heading of a Markdown file, without the heading.

    Raises:
        PluginError: there is no such file or heading, so that a build stops rather than leave a hole.
    """
    file = ROOT / path
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise PluginError(f"{path} has no section {heading!r}, which a page of the documentation shows")
    return found[1].strip()


def measure_table() -> str:
    """The measures of alignment as a Markdown table, from their records."""
    from latentlang.geometry.measure_registry import registered

    rows = [
        f"| `{entry.name}` | {entry.compares or entry.words} | {entry.source} |" for entry in registered()
    ]
    return "\n".join(["| measure | what it compares | source |", "| --- | --- | --- |", *rows])


# The command line


def commands(group: Any, prefix: str = "latentlang") -> Iterator[tuple[str, Any]]:
    """Every command with its full name, those of groups too."""
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def command_line() -> str:
    """The page of all commands with their options."""
    import typer

    from latentlang.cli import app

    found = dict(commands(typer.main.get_command(app)))
    lines = [
        "# Command line", "",
        "Made from the program itself. `latentlang COMMAND --help` says the same.", "",
        "Exit codes: 0, done; 2, an input cannot be used (one line says which and what to do); 130, interrupted; 1, "
        "anything unforeseen, or `latentlang doctor` found a fault.", "",
    ]  # fmt: skip
    for name, command in found.items():
        first, _, rest = inspect.cleandoc(command.help or "").partition("\n\n")
        lines += [f"## {name}", "", _text(first), ""]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(
            [name, *(p.name.upper() if p.required else f"[{p.name.upper()}]" for p in arguments)]
        )
        lines += ["```text", f"{usage} [OPTIONS]", "```", "", *([_text(rest), ""] if rest else [])]
        panels: dict[str, list[Any]] = {}
        for parameter in command.params:
            if parameter.name != "help" and not getattr(parameter, "hidden", False):
                panels.setdefault(parameter.rich_help_panel or "", []).append(parameter)
        for panel, parameters in panels.items():
            lines += [f"**{panel}**", ""] if panel else []
            lines += ["| option | what it does |", "| --- | --- |", *map(_row, parameters), ""]
    return "\n".join(lines)


def _row(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if parameter.param_type_name == "argument":
        names = [parameter.name.upper()]
    shown = " / ".join(f"`{name}`" for name in names)
    notes = ["required"] if parameter.required else []
    if getattr(parameter, "multiple", False) and "repeatable" not in (parameter.help or ""):
        notes.append("repeatable")
    default = parameter.default
    if not (default is None or default is False or callable(default) or default in ([], ())):
        chosen = names[0] if default is True else default
        notes.append(f"default `{chosen}`")
    text = _text(parameter.help or "").replace("|", "\\|")
    said = f" *({', '.join(notes)})*" if notes else ""
    return f"| {shown} | {text}{said} |"


def _text(text: str) -> str:
    """A help text as Markdown; what looks like HTML stays text."""
    return re.sub(r"[ \t]*\n(?!\n)", "\n", text).replace("<", "&lt;")


# The Python reference, read from the sources: nothing heavy is imported for it

_ORDER = ("function", "class", "attribute", "module")


@cache
def package() -> Any:
    """The package's names and docstrings."""
    return griffe.load("latentlang", search_paths=[ROOT], try_relative_path=False)


def rooms() -> list[str]:
    """Names of the rooms that have a page, as ``latentlang`` lists them."""
    return list(latentlang._ROOMS)


def public(room: str) -> list[str]:
    """A room's public names: its ``__all__``, or what a module defines without an underscore and says something about.

    Raises:
        PluginError: the room has none.
    """
    module = package()[room]
    names = list(module.exports or ())
    if not names:
        names = [
            name
            for name, member in module.members.items()
            if not (name.startswith("_") or member.is_alias) and (member.docstring or name.isupper())
        ]
    if not names:
        raise PluginError(f"latentlang.{room} has no public names")
    return names


def room_page(room: str) -> str:
    """A page with all public names of a room."""
    lines = [f"# latentlang.{room}", "", _docstring(room), ""]
    for name in sorted(public(room), key=lambda name: _ORDER.index(_kind(f"{room}.{name}"))):
        lines += [f"::: latentlang.{room}.{name}", ""]
    return "\n".join(lines)


def public_names() -> str:
    """The page of the names that ``import latentlang`` gives, each with its first line."""
    lines = [
        "# Python", "",
        "`import latentlang as ll` imports nothing heavy: a name is imported when it is first used. These are the "
        "names at the top; the rooms have more, for instance `ll.tasks.register`.", "",
        "| name | what it is |", "| --- | --- |",
    ]  # fmt: skip
    homes = {name: module for module, names in latentlang._HOMES.items() for name in names}
    for name in sorted(homes, key=lambda name: (name[0].isupper(), name.casefold())):
        home = homes[name].removeprefix("latentlang.")
        first = _docstring(f"{home}.{name}").partition("\n")[0]
        lines.append(f"| [`ll.{name}`][{homes[name]}.{name}] | {first} |")
    lines += ["", "| room | what lives there |", "| --- | --- |"]
    for room in rooms():
        lines.append(f"| [`latentlang.{room}`]({room}.md) | {_docstring(room).partition(chr(10))[0]} |")
    return "\n".join(lines) + "\n"


def _kind(path: str) -> str:
    member = package()[path]
    return str((member.final_target if member.is_alias else member).kind.value)


def _docstring(path: str) -> str:
    member = package()[path]
    return inspect.cleandoc(member.docstring.value) if member.docstring else ""
