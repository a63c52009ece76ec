"""``latentlang models | languages | tasks``: what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from latentlang.printable import printable
from latentlang.storage.files import size_words

# Columns of a terminal in which the whole table of models stands.
_ALL_OF_MODELS = 140

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def models(
    as_json: AsJson = False,
    clean: Annotated[
        bool,
        typer.Option("--clean", help="Remove the weights that were dequantised from GGUF files, and stop."),
    ] = False,
) -> None:
    """List the short names of models: which can be run right now, from where, and what the others take."""
    from latentlang.cli.console import output
    from latentlang.models.availability import availability, memory_of_machine
    from latentlang.models.gguf_cache import cache_entries, cache_folder
    from latentlang.models.registry import REGISTRY, cached_bytes
    from latentlang.text import counted

    kept = cache_entries()
    taken = f"{counted(len(kept), 'dequantised GGUF file')}, {size_words(sum(size for _, size in kept))}"
    if clean:
        return _clean(taken, str(cache_folder()), kept=bool(kept))
    rows: list[dict[str, Any]] = []
    for info in REGISTRY.values():
        size, here = cached_bytes(info), availability(info)
        rows.append(
            {
                "name": info.name,
                "hub_id": None if info.local else info.hub_id,
                "family": info.family,
                "english_centric": info.english_centric,
                "gated": info.gated,
                "cached": size is not None,
                "bytes": size,
                "source": here.source,
                "runnable": here.source is not None,
                "size": here.bytes,
                "memory": here.memory_bytes,
                "fits": here.fits,
                "command": here.command,
            }
        )
    if as_json:
        return print_json(rows)
    columns = {
        "name": [row["name"] for row in rows],
        "hub id": [row["hub_id"] or "comes with latentlang" for row in rows],
        "family": [row["family"] for row in rows],
        "English-centric": [{True: "yes", False: "no"}.get(row["english_centric"], "?") for row in rows],
        "licence": ["yes" if row["gated"] else "" for row in rows],
        "here": [row["source"] or "" for row in rows],
        "size": [
            "?" if row["size"] is None else ("" if row["source"] else "about ") + size_words(row["size"])
            for row in rows
        ],
        "memory": [
            "?"
            if row["memory"] is None
            else size_words(row["memory"]) + ("" if row["fits"] else ": too much")
            for row in rows
        ],
    }
    left_out = [] if output().width >= _ALL_OF_MODELS else ["hub id", "family", "English-centric"]
    shown = {head: cells for head, cells in columns.items() if head not in left_out}
    print_table(tuple(shown), list(zip(*shown.values(), strict=True)))
    if left_out:
        typer.echo(
            f"\nLeft out, for want of width: {', '.join(left_out)}. A terminal of {_ALL_OF_MODELS} columns, and "
            "--json, have them."
        )
    total = memory_of_machine()
    machine = "" if total is None else f" This machine has {size_words(total)}."
    typer.echo(
        "\nlicence: to be accepted first; here: where on this machine it is.\n"
        "What is on this machine can be run right now; the others are fetched at first use, of the size given. "
        f"Memory is for a CPU, with weights in float32.{machine}\n"
        "Any Hugging Face causal LM works too: --model org/name, or --model path/to/folder; and GGUF files: "
        "--model path/model.gguf, or --model org/name:file.gguf."
    )
    if kept:
        typer.echo(f"{taken} in {cache_folder()}; `latentlang models --clean` removes them.")


def _clean(taken: str, folder: str, *, kept: bool) -> None:
    """Say how much is removed, and remove it."""
    from latentlang.models.gguf_cache import clean_cache

    if not kept:
        typer.echo(printable(f"nothing is kept in {folder}"))
        return
    typer.echo(printable(f"removing {taken}, from {folder}"))
    clean_cache()


def languages(as_json: AsJson = False) -> None:
    """List the languages, their codes and groups."""
    from latentlang.language_names import GROUPS
    from latentlang.language_names import languages as find_languages

    rows: list[dict[str, Any]] = [
        {
            "code": entry.code,
            "flores": entry.flores,
            "name": entry.name,
            "own_name": entry.own_name,
            "script": entry.script,
            "groups": [name for name, codes in GROUPS.items() if entry.code in codes],
        }
        for entry in find_languages(list(GROUPS))
    ]
    if as_json:
        return print_json(rows)
    print_table(
        ("code", "FLORES", "name", "own name", "script", "groups"),
        [
            (r["code"], r["flores"], r["name"], r["own_name"], r["script"], " ".join(r["groups"]))
            for r in rows
        ],
    )
    typer.echo("\nWherever languages are asked for, a group's name stands for all of its languages.")


def tasks(as_json: AsJson = False) -> None:
    """List the tasks and how many languages each has."""
    from latentlang.tasks import TASKS, task

    rows: list[dict[str, Any]] = []
    for name, record in TASKS.items():
        built = task(name)
        rows.append(
            {
                "name": name,
                "description": record.about,
                "default_shots": built.default_shots,
                "languages": sorted(built.languages),
            }
        )
    if as_json:
        return print_json(rows)
    print_table(
        ("name", "languages", "shots", "what is asked"),
        [
            (
                r["name"],
                str(len(r["languages"])) if r["languages"] else "your own",
                str(r["default_shots"]),
                r["description"],
            )
            for r in rows
        ],
    )


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Print this recipe as YAML, to change and to use with --recipe.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the recipes of `latentlang train`, or print one."""
    from latentlang.training import recipe, recipe_names
    from latentlang.training.recipes import recipes_by_paper

    if name is not None:
        chosen = recipe(name)
        return (
            print_json([chosen.model_dump(mode="json")])
            if as_json
            else typer.echo(printable(chosen.yaml()), nl=False)
        )
    all_recipes = [recipe(entry) for entry in recipe_names()]
    if as_json:
        return print_json([entry.model_dump(mode="json") for entry in all_recipes])
    by_name = {entry.name: entry for entry in all_recipes}
    for paper, names in recipes_by_paper().items():
        typer.echo(f"{paper}\n")
        print_table(
            ("name", "what is trained on", "examples", "rate"),
            [
                (
                    name,
                    by_name[name].about,
                    "" if by_name[name].is_identity else by_name[name].data.amount,
                    "" if by_name[name].is_identity else f"{by_name[name].schedule.learning_rate:g}",
                )
                for name in names
            ],
        )
        typer.echo()
    typer.echo(
        "Any languages do too: --recipe fr+ja-en. `latentlang recipes NAME` prints one.\n"
        "Data that a recipe does not name are given with --data. BayLing 2 and\n"
        "UltraLink trained all weights, and so do these recipes (method: full):\n"
        "--set method=lora trains an adapter instead."
    )


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows for another program."""
    from latentlang.cli.console import echo_json

    echo_json(rows)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows for a reader."""
    from rich.table import Table

    from latentlang.cli.console import output

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        # The first column is what one copies into the next command: it is never cut.
        table.add_column(head, overflow="fold", no_wrap=head == heads[0])
    for row in rows:
        table.add_row(*row)
    output().print(table)
