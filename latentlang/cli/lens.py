"""``latentlang lens``: the logit lens of a model on a task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.cluster_options import ClusterOptions
from latentlang.cli.unfinished import keeping_languages
from latentlang.errors import InputError, unknown
from latentlang.storage.output import TABLE

_LOOKS = "Other readings"
# What --candidates says for every language that the task has words in.
_EVERY_LANGUAGE = "all"

# typer reads the annotations when the program starts: what they name must be imported here, and be light.


def lens(
    context: typer.Context,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="Target language: codes (ja or ja,hi) or a group (paper20); repeatable. Needed but with --prompt."
        ),
    ] = None,
    model: options.Model = defaults.MODEL,
    task: options.TaskName = defaults.LENS_TASK,
    source: options.Source = None,
    data: options.Data = None,
    accept: options.Accept = None,
    pivot: Annotated[
        str, typer.Option(help="Language that might show in the middle layers.")
    ] = defaults.PIVOT,
    shots: options.Shots = None,
    items: options.Items = None,
    seed: options.Seed = defaults.SEED,
    policy: Annotated[
        str | None,
        typer.Option(
            help="What to do with tokens that begin answers of both languages: exclusive (default), drop, shared, "
            "or sequence (whole answers: no language is lost)."
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="corrected, or as-published: the reference paper's own answer sets.")
    ] = defaults.PROTOCOL,
    layers: options.LensLayers = "all",
    answers: Annotated[
        str | None, typer.Option(help="Words for the labels of closed tasks: same, en or agnostic.")
    ] = None,
    out: options.Out = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            help="Read the answer in all these languages too, and say which leads (codes, paper20, or all: "
            "every language that the task, or your --data, has words in).",
            rich_help_panel=_LOOKS,
        ),
    ] = None,
    tuned: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a tuned lens (`latentlang tune`) to read through.", rich_help_panel=_LOOKS
        ),
    ] = None,
    jacobian: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a Jacobian lens (`latentlang jacobian`), or a published file of one, to read through.",
            rich_help_panel=_LOOKS,
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            help="Look into this one text, token by token, instead of a task.", rich_help_panel=_LOOKS
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(help="With --prompt: next tokens shown.", rich_help_panel=_LOOKS)
    ] = defaults.TOP,
    adapter: options.Adapter = None,
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
    spread: ClusterOptions = ClusterOptions(),  # noqa: B008
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Show what each layer would answer, in the target language and in the pivot, with their nulls.

    Writes result.parquet, metadata.json and lens.html (an interactive figure) into the output folder.
    """
    from latentlang.cli.console import Progress, echo_json, output, say
    from latentlang.cli.lens_table import lens_lines
    from latentlang.cli.output_folder import Claim, OutputFolder, default_folder
    from latentlang.cli.records import result_record
    from latentlang.cli.single_prompt import LANGUAGES, explore_prompt, say_who_leads
    from latentlang.language_names import language, languages
    from latentlang.tasks.base import check_pivot

    spread.check()
    numbers = options.layer_numbers(layers)
    fitted = options.one_lens(tuned, jacobian)
    if prompt is not None:
        if chat:
            raise InputError(
                "--chat asks a task as in a chat; leave it out with --prompt, and write the turns out"
            )
        if lang or candidates:
            raise InputError("--prompt looks into one text; leave out --lang and --candidates with it")
        if spread.cluster is not None:
            raise InputError(
                "--prompt looks into one text, which is not shared out; leave out --cluster with it"
            )
        return explore_prompt(
            model,
            prompt,
            top=top,
            layers=numbers,
            lens=fitted,
            kind="tuned" if jacobian is None else "jacobian",
            out=out,
            adapter=adapter,
            batch_tokens=batch_tokens,
            loading=loading,
            pages=pages,
        )
    if not lang:
        raise InputError("give a target language, e.g. --lang ja, or give a text with --prompt")
    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    targets = [entry.code for entry in languages(lang)]
    answer_languages: str | list[str] | None = None
    if candidates:
        every_language = candidates == [_EVERY_LANGUAGE]
        answer_languages = (
            _EVERY_LANGUAGE if every_language else [entry.code for entry in languages(candidates)]
        )
    pivot = language(pivot).code
    built = options.built_task(task, targets, source=source, data=data, answers=answers, accept=accept)
    check_pivot(built, pivot)
    options.counted_prompts(built, targets, items=items, shots=shots, seed=seed)
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, source=source, data=data, accept=accept, answers=answers, shots=shots, items=items, pivot=pivot,
        seed=seed, policy=policy, protocol=protocol, layers=layers, tuned=tuned, jacobian=jacobian,
        candidates=candidates, chat="turns" if chat else None,
    )  # fmt: skip
    folder = OutputFolder(
        out
        or default_folder(info.name, task=task, target_languages=lang, adapter=adapter, options=asked_for),
        Claim("lens", (TABLE, "lens.html")),
        *([LANGUAGES] if candidates else []),
        pages=pages,
    )
    with folder:
        from latentlang.figures.header import lens_words
        from latentlang.lens import POLICIES
        from latentlang.lens.logit import PROTOCOLS
        from latentlang.lens.with_candidates import lens_with_candidates
        from latentlang.models.finished_languages import forget

        if policy is not None and policy not in POLICIES:
            raise unknown("policy", policy, POLICIES)
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)
        unfinished = folder.unfinished
        how: dict[str, Any] = {
            "languages": targets, "candidates": answer_languages, "pivot": pivot, "items": items, "shots": shots,
            "seed": seed, "policy": policy, "protocol": protocol, "layers": numbers, "lens": fitted,
            "share_prefix": share_prefix, "batch_tokens": batch_tokens,
        }  # fmt: skip
        with keeping_languages(unfinished, targets):
            spread.fill(
                "lens", {"task": built, **how}, unfinished, out=folder.path, model=model, loading=loading,
                adapter=adapter, chat=chat,
            )  # fmt: skip
            say(f"loading {info.name}")
            loaded = loading.load(model, adapter=adapter)
            built = loaded.chat(built) if chat else built
            with Progress("reading") as progress:
                pair, everyone = lens_with_candidates(
                    loaded, built, **how, resume=unfinished, progress=progress.after(0)
                )
        result = pair.result()
        folder.save(result)
        multilingual = [] if everyone is None else [everyone.result()]
        if not multilingual:
            forget(unfinished)
        provenance = result.provenance
        names = ", ".join(language(code).name for code in provenance.languages)
        title = f"{provenance.model}: {lens_words(provenance) or 'lens'}, {provenance.task}, {names}"
        folder.page(result.figure(), "lens.html", title=title)
        if not pages.as_json:
            console = output()
            for line in lens_lines(result, width=console.width):
                console.print(line)
            options.print_remarks(result, console)
            folder.print_files(console)
        for read in multilingual:
            say_who_leads(read, folder, silent=pages.as_json)
        forget(unfinished)
        if pages.as_json:
            record = result_record(result, folder.files)
            echo_json(record | {"all_languages": [result_record(read) for read in multilingual]})
