"""``latentlang tune``: train a tuned lens for a model on a user's text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.paths import is_folder, is_present
from latentlang.tasks.hub import is_hub
from latentlang.tasks.parallel_text import UDHR

_DEFAULT_ITEMS = 25  # reviews per language when no text is given


def tune(
    out: Annotated[Path, options.folder("Folder for tuned_lens.safetensors.", remote=True)],
    model: options.Model = defaults.MODEL,
    text: Annotated[
        Path | None,
        typer.Option(
            help="UTF-8 file, one text a line; or a folder of parallel text, udhr (`latentlang data get udhr`) or a "
            "set on the hub (hub:flores); by default short reviews in the paper's 20 languages."
        ),
    ] = None,
    lang: Annotated[
        list[str] | None,
        typer.Option(help="With parallel text: its languages that are trained on; by default all."),
    ] = None,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = defaults.TUNING_STEPS,
    positions: Annotated[int, typer.Option(help="Tokens per step.")] = defaults.TUNING_POSITIONS,
    seed: Annotated[int, typer.Option(help="Seed of the order of texts.")] = defaults.SEED,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    as_json: options.AsJson = False,
) -> None:
    """Train a tuned lens: translators that bring each layer's reading close to the model's output.

    Read it beside the plain lens, not instead of it: a language that only passes through the middle layers may be
    translated away.
    """
    from latentlang.arguments import check_count
    from latentlang.cli.console import Progress, echo_json, output, print_next, say
    from latentlang.cli.output_folder import OutputFolder

    options.check_counts(items=None, shots=None, seed=seed, batch_tokens=batch_tokens)
    check_count("--steps", steps, least=1)
    check_count("--positions", positions, least=1)
    texts = _texts(text, lang)
    info = loading.resolve(model)
    with OutputFolder(out) as folder:
        from latentlang.lens import divergence, train_tuned_lens
        from latentlang.lens.tuned import check_target

        check_target(folder.path)
        say(f"loading {info.name}")
        loaded = loading.load(model)
        with Progress("training", total=steps) as progress:
            lens = train_tuned_lens(
                loaded,
                texts,
                steps=steps,
                positions=positions,
                seed=seed,
                batch_tokens=batch_tokens,
                progress=progress.after(0),
            )
        folder.files.append(lens.save(folder.path))
        console = output()
        sample = texts[:: max(1, len(texts) // 64)]
        plain = divergence(loaded, sample, batch_tokens=batch_tokens)
        tuned = divergence(loaded, sample, lens=lens, batch_tokens=batch_tokens)
        if as_json:
            kls = zip(plain.tolist(), tuned.tolist(), strict=True)
            rows = [
                {"layer": layer, "logit": before, "tuned": after} for layer, (before, after) in enumerate(kls)
            ]
            return echo_json(
                {
                    "kind": "tuned-lens",
                    "model": info.name,
                    "seed": seed,
                    "steps": steps,
                    "texts": len(sample),
                    "kl_to_output_in_bits": rows,
                    "files": [str(path) for path in folder.files],
                }
            )
        console.print(f"{info.name}: KL to the output in bits, layer by layer, on {len(sample)} of the texts")
        for layer, (before, after) in enumerate(zip(plain.tolist(), tuned.tolist(), strict=True)):
            console.print(f"  {layer:3}  logit lens {before:6.2f}   tuned lens {after:6.2f}")
        folder.print_files(console)
        print_next(console, "lens", "--model", model, "--lang", "ja", "--tuned", folder.path)


def _texts(file: Path | None, lang: list[str] | None) -> list[str]:
    if file is not None and (is_hub(file) or is_folder(file) or (str(file) == UDHR and not is_present(file))):
        from latentlang.language_names import languages
        from latentlang.tasks import task

        parallel = task("continuation", data=file)
        codes = [entry.code for entry in languages(lang)] if lang else parallel.languages
        return [prompt.text for code in codes for prompt in parallel.prompts(code)]
    if lang:
        raise InputError("--lang chooses among the languages of parallel text; give its folder with --text")
    if file is None:
        from latentlang.tasks import task

        reviews = task("sentiment")
        return [p.text for code in reviews.languages for p in reviews.prompts(code, items=_DEFAULT_ITEMS)]
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(
            f"cannot read the texts in {str(file)!r}: {reason}; name a UTF-8 file with a text a line, a folder of "
            "parallel text, or leave --text out"
        ) from error
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise InputError(f"{str(file)!r} holds no text; one text a line is expected")
    return texts
