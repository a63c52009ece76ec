"""``latentlang doctor``: a check-up of a model before it is trusted."""

from __future__ import annotations

from typing import Annotated

import typer

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "fault": ("FAULT", "bold red")}


def doctor(
    model: Annotated[
        str, typer.Option(help="Short name (`latentlang models`), Hugging Face id, folder or GGUF file.")
    ],
    adapter: Annotated[str | None, typer.Option(help="LoRA adapter to put on the model.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to run, e.g. cuda or cpu.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    quantization: Annotated[str | None, typer.Option(help="8bit or 4bit.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that the model's folder brings along.")
    ] = False,
) -> None:
    """Check a model: is it read exactly, which languages can be read on it, what will it cost?

    Exit code 1 when something is wrong.
    """
    from rich.text import Text

    from latentlang.cli.console import output, say

    say(f"loading {model}")
    from latentlang.models import load
    from latentlang.models.doctor import check_up
    from latentlang.text import counted

    loaded = load(
        model, adapter=adapter, device=device, dtype=dtype, quantization=quantization,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    findings = check_up(loaded, progress=lambda name: say(f"checking {name}"))
    console = output()
    width = max(len(finding.check) for finding in findings)
    console.print(
        f"{loaded.name}: {type(loaded.lm).__name__}, {loaded.n_layers} layers, width {loaded.d_model}"
    )
    for finding in findings:
        mark, style = _MARKS[finding.verdict]
        console.print(Text.assemble((f"{mark:5}", style), f"  {finding.check:{width}}  ", finding.detail))
    faults = sum(finding.verdict == "fault" for finding in findings)
    notes = sum(finding.verdict == "note" for finding in findings)
    if faults:
        console.print(f"Do not trust readings of this model yet: {faults} of {len(findings)} checks failed.")
        raise typer.Exit(1)
    console.print(
        "Readings of this model are exact." + (f" {counted(notes, 'note')} above." if notes else "")
    )
