"""``latentlang translate``: a model translates parallel data, and what it writes is scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError

if TYPE_CHECKING:
    from latentlang.translation.parallel_items import ParallelData

_PAGE, _CSV, _SCORES = "translate.html", "translations.csv", "scores"


def translate(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Option(
            help="Parallel data: a folder, udhr, hub:flores, a .csv, .tsv or .jsonl file with a column per language; "
            "or a file of lines per language: --data en=FILE --data fr=FILE.",
            metavar="DATA",
        ),
    ],
    lang: Annotated[
        list[str] | None, typer.Option(help="Languages to translate into: codes (ja or ja,hi) or a group.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option("--from", help="Languages to translate from.")] = None,
    directions: Annotated[
        str | None, typer.Option(help="In place of --from and --lang: en-fr,fr-en.")
    ] = None,
    model: options.Model = "pocket",
    shots: Annotated[
        int | None, typer.Option(help="Few-shot examples; by default 4, and none in a chat.")
    ] = None,
    examples: Annotated[
        list[str] | None,
        typer.Option(
            help="Parallel data that examples are taken from; by default the last items.", metavar="DATA"
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help="Of the prompt: plain, own-names, instruction, or a YAML file with ask and cue."),
    ] = None,
    items: Annotated[int | None, typer.Option(help="Items per direction; by default all.")] = None,
    longest: Annotated[
        int | None, typer.Option(help="Leave out items of more characters in one of the languages.")
    ] = None,
    new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens of a translation at most; by default 4 for each of the text's and 32 more."
        ),
    ] = None,
    beams: Annotated[
        int | None, typer.Option(help="Write by beam search with so many beams; by default greedily.")
    ] = None,
    seed: options.Seed = defaults.SEED,
    chat: options.Chat = False,
    out: options.Out = None,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
) -> None:
    """Translate parallel data with a model, and score it beside a copy of the source and other items' references.

    Stopped and run again, the command goes on. Writes result.parquet, metadata.json, translations.csv, translate.html
    (an interactive figure) and the folder scores (see `latentlang score`).
    """
    from latentlang.cli.console import Progress, say
    from latentlang.cli.output_folder import Claim, OutputFolder, model_part, run_folder
    from latentlang.cli.score import print_scores
    from latentlang.cli.unfinished import keeping_parts
    from latentlang.models.decoding import Decoding
    from latentlang.storage.output import TABLE
    from latentlang.translation.bleu_tokenizers import bleu_tokenizer
    from latentlang.translation.translating import plan_translation

    # Everything that can be wrong and is cheap to see comes before the model.
    options.check_counts(items=items, shots=shots, seed=seed, batch_tokens=batch_tokens)
    if directions is None and not (source and lang):
        raise InputError("say what is translated into what: --from en --lang ja, or --directions en-ja")
    given = parallel_data(data)
    asked: dict[str, Any] = {
        "directions": directions, "source": source or None, "target": lang or None, "shots": shots,
        "examples": parallel_data(examples) if examples else None, "template": template, "chat": chat, "items": items,
        "longest": longest, "new_tokens": new_tokens, "seed": seed,
        "decoding": None if beams is None else Decoding(how="beam", beams=beams),
    }  # fmt: skip
    plan = plan_translation(given, **asked)
    for _source, target in plan.pairs:
        bleu_tokenizer(target)
    info = loading.resolve(model)
    asked_for = options.asked_for(
        context, shots=shots, examples=examples, template=template, items=items, longest=longest, new_tokens=new_tokens,
        beams=beams, seed=seed, chat=chat,
    )  # fmt: skip
    parts = [model_part(info.name), adapter or "", ",".join(plan.settings.directions), ",".join(data)]
    claims = (
        Claim("translation", (TABLE, _CSV, _PAGE)),
        Claim("translation-scores", (TABLE, "items.parquet", "samples.parquet"), folder=_SCORES),
    )
    with OutputFolder(out or run_folder("translate", parts, asked_for), *claims, pages=pages) as folder:
        say(f"loading {info.name}")
        from latentlang.models.finished_languages import forget
        from latentlang.translation import translate as run_translate

        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        with (
            keeping_parts(unfinished, "what was translated"),
            Progress("translating", rate="texts") as progress,
        ):
            result = run_translate(
                loaded,
                given,
                **asked,
                batch_tokens=batch_tokens,
                resume=unfinished,
                progress=progress.after(0),
            )
        folder.save(result)
        forget(unfinished)
        folder.text(_CSV, result.table.to_csv(index=False))
        folder.save(result.scores, _SCORES, others=("items.parquet", "samples.parquet"))
        folder.page(result.figure(), _PAGE, title=f"{info.name}: translations")
        folder.print_result(result, lambda result, console: print_scores(result.scores, console))


def parallel_data(given: list[str]) -> ParallelData:
    """What ``--data`` says: one place, or a file of lines for each language.

    Raises:
        InputError: several places.
    """
    pairs = [text.partition("=") for text in given]
    if all(sign and code and "/" not in code and path for code, sign, path in pairs):
        return {code: Path(path) for code, _sign, path in pairs}
    if len(given) != 1:
        raise InputError(
            "several --data are a file of lines for each language: --data en=FILE --data fr=FILE, not "
            f"{' '.join(given)}"
        )
    return given[0]
