"""``latentlang instructions``: instruction data made, and looked after; one line registers a command.

Commands have modules of their own beside this one, and import what they need when they run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from latentlang.cli.completion import with_completion
from latentlang.cli.examples import epilog, flowing_help
from latentlang.cli.instructions.answer import answer
from latentlang.cli.instructions.check import check
from latentlang.cli.instructions.culture import culture
from latentlang.cli.instructions.describe import describe
from latentlang.cli.instructions.filtering import filter_data
from latentlang.cli.instructions.grounded import grounded
from latentlang.cli.instructions.mix import mix
from latentlang.cli.instructions.parallel import parallel
from latentlang.cli.instructions.pipeline import pipeline
from latentlang.cli.instructions.translate import translate
from latentlang.cli.options import with_load_options, with_paths

_SETTINGS = {"help_option_names": ["-h", "--help"]}

instructions = typer.Typer(
    name="instructions",
    help="Instruction data: make it with a model, translate it, check it, mix it.",
    context_settings=_SETTINGS,
)
build = typer.Typer(
    name="build",
    help="Make instruction data from text, or in several steps.",
    context_settings=_SETTINGS,
)


@instructions.callback(invoke_without_command=True)
@build.callback(invoke_without_command=True)
def _group_of_commands(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _add(group: typer.Typer, path: str, command: Callable[..., Any]) -> None:
    """A command of a group; `path` is what is typed after ``latentlang``."""
    name = path.rpartition(" ")[2]
    group.command(name, epilog=epilog(path), help=flowing_help(command))(
        with_paths(with_completion(with_load_options(command)))
    )


# What makes data.
_add(instructions, "instructions translate", translate)
_add(instructions, "instructions answer", answer)
_add(instructions, "instructions culture", culture)
_add(build, "instructions build parallel", parallel)
_add(build, "instructions build grounded", grounded)
_add(build, "instructions build pipeline", pipeline)
# What looks after it.
_add(instructions, "instructions check", check)
_add(instructions, "instructions filter", filter_data)
_add(instructions, "instructions mix", mix)
_add(instructions, "instructions describe", describe)

instructions.add_typer(build)
