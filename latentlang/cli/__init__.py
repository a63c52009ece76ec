"""The command line: parse, call the library, print; nothing is computed here.

Commands import what they need when they run, so that ``latentlang --help`` needs no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer

from latentlang.cli.align import align
from latentlang.cli.answer import answer
from latentlang.cli.ask import ask
from latentlang.cli.barrier import barrier
from latentlang.cli.bits import bits
from latentlang.cli.compare import compare
from latentlang.cli.completion import with_completion
from latentlang.cli.data import data
from latentlang.cli.directions import directions
from latentlang.cli.doctor import doctor
from latentlang.cli.erase import erase
from latentlang.cli.evaluate import evaluate
from latentlang.cli.examples import epilog, flowing_help
from latentlang.cli.exit_codes import check_text, guarded
from latentlang.cli.explore import explore
from latentlang.cli.features import features
from latentlang.cli.fertility import fertility
from latentlang.cli.gap import gap
from latentlang.cli.harvest import harvest
from latentlang.cli.help_names import whole_names
from latentlang.cli.humaneval import humaneval
from latentlang.cli.import_dump import import_dump
from latentlang.cli.instructions import instructions
from latentlang.cli.jacobian import jacobian
from latentlang.cli.judge import judge
from latentlang.cli.lens import lens
from latentlang.cli.lenses import lenses
from latentlang.cli.listing import languages, models, recipes, tasks
from latentlang.cli.mass import mass
from latentlang.cli.neurons import neurons
from latentlang.cli.options import with_load_options, with_paths
from latentlang.cli.patch import patch
from latentlang.cli.pca import pca
from latentlang.cli.pivot import pivot
from latentlang.cli.plan import plan
from latentlang.cli.reproduce import reproduce
from latentlang.cli.score import score
from latentlang.cli.shell_words import at_shell
from latentlang.cli.steer import steer
from latentlang.cli.sweep import sweep
from latentlang.cli.tokens import tokens
from latentlang.cli.trace import trace
from latentlang.cli.train import train
from latentlang.cli.train_sae import train_sae
from latentlang.cli.translate import translate
from latentlang.cli.tune import tune
from latentlang.paths import current_folder

__all__ = ["app", "main"]


_MOST_SCREEN_DIGITS = 4


app = typer.Typer(
    name="latentlang",
    help="In which language does a language model think? Look into it layer by layer.",
    epilog="Start with: latentlang lens --model pocket --lang ja",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
#: Heading in the list of commands to those below it.
_COMMANDS = {
    "What the layers hold": (explore, lens, tokens, tune, jacobian, lenses, bits, mass, barrier, trace),
    "What is used: changes inside a model": (pivot, patch, steer),
    "Activations on disk": (harvest, import_dump, pca, align, directions, erase),
    "Neurons and features": (neurons, train_sae, features),
    "What a model answers, and how good that is": (
        evaluate,
        ask,
        humaneval,
        answer,
        translate,
        score,
        judge,
        gap,
    ),
    "Training, and what it changed": (train, recipes, compare, sweep),
    "Data, and what there is": (doctor, plan, models, languages, tasks, fertility, reproduce),
}
_GROUPS = {"Training, and what it changed": (instructions,), "Data, and what there is": (data,)}
for heading, commands in _COMMANDS.items():
    for command in commands:
        app.command(
            epilog=epilog(command.__name__.replace("_", "-")),
            help=flowing_help(command),
            rich_help_panel=heading,
        )(with_paths(with_completion(with_load_options(command))))
    for group in _GROUPS.get(heading, ()):
        app.add_typer(group, rich_help_panel=heading)


def _show_version(show: bool) -> None:
    if show:
        import latentlang

        typer.echo(f"latentlang {latentlang.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@cache
def _command() -> Any:
    """All commands, made once a process: reading the annotations of all of them takes as long as a short command."""
    return typer.main.get_command(app)


def _as_options(given: list[str]) -> list[str]:
    """``help lens`` and ``version``, which other programs have as commands, as the options that they are here."""
    if given[:1] == ["help"]:
        return [*given[1:], "--help"]
    return ["--version"] if given == ["version"] else given


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the entry point of ``latentlang``.

    Args:
        arguments: command line without the program's name; the process's own by default.

    Returns:
        Exit code: 0, 2 for an input that cannot be used, 130 when interrupted, 1 for anything unforeseen.
    """
    # Threads that wait for each other sleep instead of spinning. Where cores are shared, spinning more than doubled
    # the time of a run on the embedded model. It must be said before torch is imported; the user's own word stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in (
        "COLUMNS",
        "LINES",
    ):  # no screen is that large; rich would fill the memory, or fail to read it
        if len(os.environ.get(name, "")) > _MOST_SCREEN_DIGITS:
            del os.environ[name]
    command = _command()
    given = _as_options(list(sys.argv[1:] if arguments is None else arguments))

    def run() -> object:
        check_text(given)
        current_folder()  # libraries end the process without a word of ours where it is gone
        with whole_names(given):
            return command.main(args=given, prog_name="latentlang", standalone_mode=False)

    return guarded(run, worded=lambda message: at_shell(message, command, given), arguments=given)
