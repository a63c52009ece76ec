"""``latentlang data list | get``: what others published, and how to have it here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang.cli import options
from latentlang.cli.completion import published_names
from latentlang.cli.examples import epilog, flowing_help
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.cli.listing import AsJson, print_json, print_table
from latentlang.installing import install_command
from latentlang.storage.files import size_words

if TYPE_CHECKING:
    from latentlang.downloads import Download, PublishedSet

_MOST_NAMED = 20

data = typer.Typer(
    name="data",
    help="Published data: what there is, and download it (verified).",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@data.callback(invoke_without_command=True)
def _group_of_commands(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def list_sets(as_json: AsJson = False) -> None:
    """List the data sets that can be downloaded, and those that are read from the Hugging Face hub.

    A file is verified by its SHA-256 where that is known; else it is pinned by the commit in its address, where there
    is one, and its hash is recorded when it is first downloaded and checked ever after.
    """
    from latentlang.downloads import published_sets
    from latentlang.tasks import TASKS

    rows = [_row(source, group) for source in published_sets() for group in source.groups]
    hub: list[dict[str, Any]] = [
        {
            "name": f"hub:{dataset.name}",
            "task": record.name,
            "hub_id": dataset.hub_id,
            "languages": list(dataset.languages),
        }
        for record in TASKS.values()
        for dataset in record.hub_datasets
    ]
    if as_json:
        return print_json([*rows, *hub])
    for source in published_sets():
        typer.echo(
            f"{source.name}: {source.about}; {source.origin}. Licence: "
            f"{source.licence}.\nlatentlang data get {source.name}\n"
        )
        print_table(
            ("--only", "files", "known size", "verified by SHA-256", "by address, then as recorded"),
            [
                (
                    r["group"],
                    str(r["files"]),
                    size_words(r["bytes"]) if r["bytes"] else "",
                    str(r["sha256"]),
                    str(r["files"] - r["sha256"]),
                )
                for r in rows
                if r["name"] == source.name
            ],
        )
        typer.echo()
    typer.echo(f"Read from the Hugging Face hub when asked for ({install_command('data')}):")
    print_table(
        ("--data", "--task", "on the hub", "languages"),
        [(r["name"], r["task"], r["hub_id"], _few(r["languages"])) for r in hub],
    )


def _few(codes: list[str]) -> str:
    """The codes, or how many they are."""
    return " ".join(codes) if len(codes) <= _MOST_NAMED else f"up to {len(codes)}"


def get(
    name: Annotated[
        str, typer.Argument(help="Which set (`latentlang data list`).", autocompletion=published_names)
    ],
    out: Annotated[
        Path | None, options.folder("Folder to put it in; by default one in your cache, which is printed.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only these groups (`latentlang data list` names them); repeatable."),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(help="Address that serves the same files, where the set's server is not within reach."),
    ] = None,
) -> None:
    """Download a data set, or what of it is not here yet, and say how to use it.

    Each file is checked by its SHA-256 (see `latentlang data list`); nothing is downloaded twice. The folder is one
    that --data reads, with the published few-shot prefixes.
    """
    from latentlang.cli.console import Progress, output
    from latentlang.downloads import download, published_set

    source = published_set(name)
    count = len(source.chosen(only))
    try:
        with Progress(f"downloading {name}", total=count) as progress:
            got = download(name, out, only=only, mirror=mirror, progress=progress.after(0))
    except KeyboardInterrupt:
        raise CommandInterrupt(
            "interrupted; the files that came whole are kept: run the same command again to go on"
        ) from None
    console = output()
    for line in _lines(source, got):
        console.print(line, soft_wrap=True)


def _row(source: PublishedSet, group: str) -> dict[str, Any]:
    """A row of the list."""
    files = source.chosen(group)
    return {
        "name": source.name,
        "group": group,
        "files": len(files),
        "bytes": sum(file.size or 0 for file in files),
        "sha256": sum(bool(file.sha256) for file in files),
        "repository": source.repository,
        "commit": source.commit,
    }


def _lines(source: PublishedSet, got: Download) -> list[str]:
    """What was done, and what to do with it."""
    from latentlang.downloads.fetch import default_folder
    from latentlang.tasks import closed_tasks
    from latentlang.tasks.parallel_text import UDHR

    lines = [f"{len(got.fetched)} files downloaded, {len(got.kept)} were here and are whole: {got.folder}"]
    if got.recorded:
        lines.append(
            f"{len(got.recorded)} of them had no known SHA-256; it is recorded in {got.folder / 'SHA256SUMS'} and "
            "checked from now on"
        )
    lines.append(f"licence of {source.name}: {source.licence}")
    folders = {name.partition("/")[0] for name in (*got.fetched, *got.kept)}
    for task in closed_tasks():
        if task in folders:
            lines.append(f"latentlang evaluate --task {task} --lang paper20 --data {_quoted(got.folder)}")
            break
    if source.name == UDHR:
        data = UDHR if got.folder == default_folder(UDHR) else _quoted(got.folder)
        lines.append(f"latentlang fertility --model MODEL --lang paper20 --text {data}")
        lines.append(f"latentlang harvest --task continuation --lang paper20 --data {data} --out activations")
    if "question_translation" in folders:
        questions = got.folder / "question_translation"
        lines.append(f"latentlang train --recipe zh+es-en --data {_quoted(questions)} --out adapter")
    return lines


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


for _name, _command in (("list", list_sets), ("get", get)):
    data.command(_name, epilog=epilog(f"data {_name}"), help=flowing_help(_command))(_command)
