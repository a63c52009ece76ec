"""``latentlang doctor``: a check-up of a model before it is trusted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from latentlang.cli import options

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "fault": ("FAULT", "bold red")}


def doctor(
    model: Annotated[
        str, typer.Option(help="Short name (`latentlang models`), Hugging Face id, folder or GGUF file.")
    ],
    adapter: Annotated[str | None, typer.Option(help="LoRA adapter to put on the model.")] = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    as_json: options.AsJson = False,
) -> None:
    """Check a model: is it read exactly, which languages can be read on it, what will it cost?

    Exit code 1 when something is wrong.
    """
    from rich.text import Text

    from latentlang.cli.console import echo_json, output, say

    say(f"loading {model}")
    from latentlang.models.doctor import check_up
    from latentlang.text import counted

    loaded = loading.load(model, adapter=adapter)
    findings = check_up(loaded, progress=lambda name: say(f"checking {name}"))
    faults = sum(finding.verdict == "fault" for finding in findings)
    if as_json:
        echo_json(
            {"model": loaded.name, "exact": not faults, "findings": [asdict(finding) for finding in findings]}
        )
        if faults:
            raise typer.Exit(1)
        return
    console = output()
    width = max(len(finding.check) for finding in findings)
    console.print(
        f"{loaded.name}: {type(loaded.lm).__name__}, {loaded.n_layers} layers, width {loaded.d_model}"
    )
    for finding in findings:
        mark, style = _MARKS[finding.verdict]
        console.print(Text.assemble((f"{mark:5}", style), f"  {finding.check:{width}}  ", finding.detail))
    notes = sum(finding.verdict == "note" for finding in findings)
    if faults:
        console.print(f"Do not trust readings of this model yet: {faults} of {len(findings)} checks failed.")
        raise typer.Exit(1)
    console.print(
        "Readings of this model are exact." + (f" {counted(notes, 'note')} above." if notes else "")
    )
