"""``latentlang jacobian``: fit a Jacobian lens for a model on a user's text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import LatentlangError
from latentlang.text import counted

_SAMPLE = 32  # texts on which the lens is held against the logit lens


def jacobian(
    text: options.Text,
    out: Annotated[Path, options.folder("Folder for jacobian_lens.safetensors.", remote=True)],
    model: options.Model = defaults.MODEL,
    lang: options.TextLanguages = None,
    items: Annotated[int | None, typer.Option(help="Paragraphs per language; by default all.")] = None,
    layers: Annotated[
        str, typer.Option(help="all (0 to the last but one), or numbers and ranges: 10-17.")
    ] = "all",
    skip: Annotated[
        int, typer.Option(help="Tokens at the beginning of each text that do not count.")
    ] = defaults.JACOBIAN_SKIP,
    longest: Annotated[
        int, typer.Option(help="Texts are cut to this many tokens.")
    ] = defaults.JACOBIAN_LONGEST,
    seed: Annotated[int, typer.Option(help="Seed of the paragraphs that are drawn.")] = defaults.SEED,
    adapter: options.Adapter = None,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    as_json: options.AsJson = False,
) -> None:
    """Fit a Jacobian lens: what each layer adds to the last one, to first order and on average over texts.

    A paragraph costs as many backward passes as the model is wide. A stopped run goes on when it is started again.
    """
    from latentlang.cli.console import Progress, echo_json, output, print_next, say
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.language_names import languages
    from latentlang.tasks import ContinuationTask

    options.check_counts(items=items, shots=None, seed=seed, batch_tokens=batch_tokens)
    numbers = options.layer_numbers(layers)
    task = ContinuationTask(data=text)
    asked = [entry.code for entry in languages(lang)] if lang else list(task.languages)
    options.counted_prompts(task, asked, items=items, seed=seed)
    prompts = [prompt for code in asked for prompt in task.prompts(code, items=items, seed=seed)]
    info = loading.resolve(model)
    with OutputFolder(out) as folder:
        from latentlang.lens import divergence, fit_jacobian_lens
        from latentlang.lens.jacobian import check_jacobian_target
        from latentlang.lens.jacobian_sums import forget_sums, has_sums

        check_jacobian_target(folder.path)
        say(f"loading {info.name}")
        loaded = loading.load(model, adapter=adapter)
        unfinished = folder.unfinished
        try:
            with Progress("fitting", total=len(prompts) * loaded.d_model) as progress:
                lens = fit_jacobian_lens(
                    loaded, task, languages=asked, items=items, layers=numbers, skip=skip, longest=longest, seed=seed,
                    batch_tokens=batch_tokens, resume=unfinished, progress=progress.after(0),
                )  # fmt: skip
        except KeyboardInterrupt:
            if not has_sums(unfinished):
                forget_sums(unfinished)
                raise
            raise CommandInterrupt(
                f"interrupted; the sums so far are kept in {folder.path}: run the same command again to go on"
            ) from None
        except LatentlangError:
            if not has_sums(unfinished):
                forget_sums(unfinished)
            raise
        folder.files.append(lens.save(folder.path))
        forget_sums(unfinished)
        texts = [prompt.text for prompt in prompts]
        sample = texts[:: max(1, len(texts) // _SAMPLE)]
        plain = divergence(loaded, sample, batch_tokens=batch_tokens).tolist()
        fitted = divergence(loaded, sample, lens=lens, layers=lens.layers, batch_tokens=batch_tokens).tolist()
        rows = [
            {"layer": layer, "logit": plain[layer], "jacobian": after}
            for layer, after in zip(lens.layers, fitted, strict=True)
        ]
        if as_json:
            return echo_json({
                "kind": "jacobian-lens", "model": info.name, "seed": seed, "texts": dict(lens.texts),
                "settings": lens.settings, "kl_to_output_in_bits": rows, "files": [str(path) for path in folder.files],
            })  # fmt: skip
        console = output()
        fitted_on = ", ".join(f"{count} in {code}" for code, count in lens.texts.items())
        console.print(
            f"{info.name}: Jacobian lens of {counted(sum(lens.texts.values()), 'text')} ({fitted_on}); KL to the "
            f"output in bits, layer by layer, on {len(sample)} of them"
        )
        for row in rows:
            console.print(
                f"  {row['layer']:3}  logit lens {row['logit']:6.2f}   Jacobian lens {row['jacobian']:6.2f}"
            )
        folder.print_files(console)
        print_next(console, "lens", "--model", model, "--lang", "ja", "--jacobian", folder.path)
