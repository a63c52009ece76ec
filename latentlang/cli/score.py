"""``latentlang score``: translations in files, scored beside what no translation would get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latentlang import defaults
from latentlang.cli import options
from latentlang.errors import InputError
from latentlang.paths import usable_path

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.translation import TranslationScores

_PAGE, _CSV = "score.html", "scores.csv"


def score(
    context: typer.Context,
    hypotheses: Annotated[
        list[str],
        typer.Option(
            help="File of translations, one a line (.gz too); repeatable, NAME=FILE to name the system.",
            metavar="[NAME=]FILE",
        ),
    ],
    references: Annotated[Path, typer.Option(help="File of right translations, one a line.")],
    lang: Annotated[str, typer.Option(help="Language translated into.")],
    sources: Annotated[
        Path | None, typer.Option(help="File of what was translated: copies are counted and scored.")
    ] = None,
    source: Annotated[str | None, typer.Option("--from", help="Language translated from.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Of bleu, chrf, chrf++, ter, comet, off-target, undecided, copied, empty, length; by default all but "
            "chrf, ter and comet."
        ),
    ] = None,
    tokenize: Annotated[
        str | None,
        typer.Option(help="Tokenizer of BLEU, as sacreBLEU calls it; by default the language's own."),
    ] = None,
    among: Annotated[
        list[str] | None,
        typer.Option(help="Languages that a translation may be in; by default en, zh, de, fr, es and ru."),
    ] = None,
    comet: Annotated[
        str | None,
        typer.Option(help="COMET model to score with too: a name or a file; it must be installed."),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap samples of the items.")] = 1000,
    seed: Annotated[
        int, typer.Option(help="Seed of the samples and of other items' references.")
    ] = defaults.SEED,
    out: options.Out = None,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Score translations by BLEU, chrF++ and the share off target, beside a copy of the source and other references.

    Several systems are compared over the same items (paired bootstrap). Writes result.parquet, items.parquet,
    samples.parquet, metadata.json, scores.csv and score.html (an interactive figure).
    """
    from latentlang.arguments import check_count, chosen_names
    from latentlang.cli.console import echo_json, say
    from latentlang.cli.output_folder import Claim, OutputFolder, run_folder
    from latentlang.cli.records import result_record, rows_record
    from latentlang.language_names import language, languages
    from latentlang.storage.files import file_sha256
    from latentlang.storage.output import TABLE
    from latentlang.translation import METRICS, read_lines
    from latentlang.translation.bleu_tokenizers import bleu_tokenizer

    check_count("--resamples", resamples, least=1)
    check_count("--seed", seed, least=0)
    target = language(lang).code
    origin = None if source is None else language(source).code
    asked = None if metrics is None else chosen_names(metrics, "metric of translations", tuple(METRICS))
    if asked is None or "bleu" in asked:
        bleu_tokenizer(target, tokenize)
    codes = None if not among else [entry.code for entry in languages(among)]
    files = named_files(hypotheses)
    read = {name: read_lines(path) for name, path in files.items()}
    right = read_lines(references)
    given = None if sources is None else read_lines(sources)
    counts = {path: len(read[name]) for name, path in files.items()} | {references: len(right)}
    if sources is not None and given is not None:
        counts[sources] = len(given)
    check_counts_alike(counts, references)
    asked_for = options.asked_for(
        context, metrics=metrics, tokenize=tokenize, among=codes, comet=comet, resamples=resamples, seed=seed
    )
    parts = [f"{origin or ''}-{target}".strip("-"), ",".join(files), references.name]
    claim = Claim("translation-scores", (TABLE, "items.parquet", "samples.parquet", _CSV, _PAGE))
    with OutputFolder(out or run_folder("score", parts, asked_for), claim, pages=pages) as folder:
        say(f"scoring {', '.join(files)}")
        from latentlang.translation import score_translations

        result = score_translations(
            read, right, sources=given, lang=target, source=origin, metrics=asked, tokenize=tokenize, among=codes,
            comet=comet or False, resamples=resamples, seed=seed,
        )  # fmt: skip
        noted = {str(path): file_sha256(path) for path in counts}
        provenance = result.provenance
        result = replace(
            result, provenance=replace(provenance, settings={**provenance.settings, "files": noted})
        )
        folder.save(result, others=("items.parquet", "samples.parquet"))
        folder.text(_CSV, result.table.to_csv(index=False))
        folder.page(result.figure(), _PAGE, title=f"Translations, {result.directions[0]}")
        if pages.as_json:
            compared = result.comparisons() if len(result.systems) > 1 else None
            more = {} if compared is None else {"comparisons": rows_record(compared)}
            return echo_json({**result_record(result, folder.files), **more})
        folder.print_result(result, print_scores)


def named_files(given: Sequence[str]) -> dict[str, Path]:
    """Name of each system to its file: as it is named, else the file's name, or where these are alike its folder's.

    Raises:
        InputError: a name twice.
    """
    named: list[tuple[str, Path]] = []
    for text in given:
        name, sign, file = text.partition("=")
        is_named = bool(sign and name.strip() and file) and "/" not in name
        named.append((name.strip(), usable_path(file)) if is_named else ("", usable_path(text)))
    stems = [_stem(path) for called, path in named if not called]
    by_folder = len(set(stems)) < len(stems)
    files: dict[str, Path] = {}
    for called, path in named:
        called = called or (path.resolve().parent.name if by_folder else _stem(path))
        if called in files:
            raise InputError(
                f"two systems are called {called!r} ({files[called]} and {path}); name them: --hypotheses "
                f"first={files[called]}"
            )
        files[called] = path
    return files


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem or path.name


def check_counts_alike(counts: dict[Path, int], references: Path) -> None:
    """Refuse files of different lengths.

    Raises:
        InputError: naming both counts.
    """
    for path, count in counts.items():
        if count != counts[references]:
            raise InputError(
                f"{path} has {count:,} lines and {references} has {counts[references]:,}: nothing is scored; give a "
                "line for each item in each file, an empty one where a system wrote nothing"
            )


def print_scores(result: TranslationScores, console: Console) -> None:
    """The tables, and what they do not say."""
    for table in _tables(result):
        console.print(table)
    _print_words(result, console)


def _tables(result: TranslationScores) -> Iterator[Any]:
    """A table a direction, a row a system and metric."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.text import percent
    from latentlang.translation.scores_text import direction_words, interval, number, title

    for _direction, part in result.table.groupby("direction", sort=False, observed=True):
        first = part.iloc[0]
        yield Text(
            f"{direction_words(str(first['source']), str(first['target']))} · {int(first['n']):,} items · "
            f"{percent(result.settings.level)} intervals · copy, other: a copy of the source, another reference"
        )
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in ("system", "metric", "score", "interval", "copy", "other"):
            table.add_column(
                head, justify="left" if head in ("system", "metric") else "right", no_wrap=head != "system"
            )
        before = None
        for row in part.to_dict("records"):
            metric = str(row["metric"])
            table.add_row(
                "" if row["system"] == before else str(row["system"]), title(metric), number(metric, row["value"]),
                interval(metric, row["low"], row["high"]), number(metric, row["null_source"]),
                number(metric, row["null_other"]),
            )  # fmt: skip
            before = row["system"]
        yield table


def _print_words(result: TranslationScores, console: Console) -> None:
    """The signatures, and what sentences add to the table: notes, and systems against each other."""
    from latentlang.translation.scores_text import comparison_sentences, note_sentences, title

    for row in result.table.drop_duplicates(["metric", "signature"]).to_dict("records"):
        if row["metric"] in ("bleu", "chrf", "chrf++", "ter", "comet"):
            console.print(f"{title(str(row['metric']))} {row['signature']}", style="dim", soft_wrap=True)
    for line in note_sentences(result.table, result.settings):
        console.print(line)
    if len(result.systems) > 1 and len(result.samples):
        settings = result.settings
        for line in comparison_sentences(
            result.comparisons(), level=settings.level, resamples=settings.resamples
        ):
            console.print(line)
