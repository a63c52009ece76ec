"""``latentlang explore``: look into a model by hand, in a browser, or in one file that holds what was computed."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError

_MOST_PORT = 65_535


def explore(
    model: options.Model = defaults.MODEL,
    prompt: Annotated[
        str | None, typer.Option(help="Text to begin with; by default one of the task's prompts.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="Task whose words are looked for (`latentlang tasks`).")
    ] = defaults.LENS_TASK,
    data: options.Data = None,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages that are looked for at first: codes (en,ja) or a group; by default up to eight."
        ),
    ] = None,
    lens: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of a tuned or a Jacobian lens to read through besides the logit lens; repeatable."
        ),
    ] = None,
    saved: Annotated[Path | None, typer.Option(help="Folder of a saved result to look into as well.")] = None,
    adapter: options.Adapter = None,
    port: Annotated[
        int, typer.Option(help="TCP port on this computer; 0 for any that is free.", min=0, max=_MOST_PORT)
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Serve nothing: write one HTML file that holds what is computed of the prompt, and answers clicks."
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser, where there is one.")
    ] = True,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Look into a model by hand: in which language does each layer think, token by token?

    Serves a page on this computer alone, until Ctrl-C: a grid of layers by tokens coloured by language, a concept's
    words in all languages over the layers, the same concept asked for in many languages. The page asks no other
    computer for anything, and its address, which has a token in it, works from this one only.
    """
    from latentlang.cli.console import Progress, output
    from latentlang.interactive.frozen import freeze
    from latentlang.interactive.server import PATIENCE, check_port, serving
    from latentlang.interactive.session import speaking
    from latentlang.interactive.session_start import first_prompt, make_session, named_lenses
    from latentlang.interactive.token_owners import prepare, stop_learning
    from latentlang.lens.tuned import check_saved_lens
    from latentlang.saved import open_result
    from latentlang.storage.files import check_out_file

    # Everything that can be wrong and is cheap to see comes before the model.
    if prompt is not None and not prompt.strip():
        raise InputError("--prompt is empty; give the text to look into, or leave it out")
    if out is not None:
        check_out_file(out, example="page.html")
    else:
        check_port(port)
    for folder in lens or ():
        check_saved_lens(folder)
    if saved is not None:
        open_result(saved)
    built = options.built_task(task, [], source=None, data=data, answers=None, accept=None)
    if prompt is None:
        first_prompt(built, speaking(built))
    loading.resolve(model)
    console = output()
    loaded = loading.load(model, adapter=adapter)
    lenses, folders = named_lenses(loaded, lens or ())
    session = make_session(
        loaded,
        prompt,
        task=built,
        languages=lang,
        lenses=lenses,
        folders=folders,
        saved=saved,
        adapter_folder=adapter or "",
    )
    try:
        if out is not None:
            with Progress("computing") as progress:
                freeze(session, out, progress=progress.after(0))
            console.print(f"wrote {out}", soft_wrap=True)
            return
        prepare(session)
        with serving(session, port=port) as address:
            console.print(f"{loaded.name}: {address} (Ctrl-C ends it)", soft_wrap=True)
            if browser:
                _open(address)
            with suppress(KeyboardInterrupt):
                Event().wait()
    finally:
        stop_learning(session, wait=PATIENCE)
    console.print("ended")


def _open(address: str) -> None:
    """Show the address in a browser with windows; a text browser would take the terminal."""
    import webbrowser

    windows = sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    if windows:
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(address)
