"""``latentlang compare``: a model without and with its adapter, or another checkpoint, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from latentlang import defaults
from latentlang.arguments import MOST, parse_count
from latentlang.cli import options
from latentlang.cli.exit_codes import CommandInterrupt
from latentlang.errors import InputError
from latentlang.geometry.measure_registry import measure_names

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from latentlang.cli.console import Progress
    from latentlang.comparison import ComparisonGroup, ComparisonResult

_RUN = "What is run"
_ALL = "all"
# Columns of a terminal in which a row of the summary stands in one line.
_WIDE = 130
# Groups of languages where there is little room, and how wide each column is.
_SHORT_GROUPS = {"all": "all", "seen": "seen", "unseen": "not seen"}
_NARROW_WIDTHS = (15, 6, 6, 9, 16, 23)


def compare(
    out: Annotated[
        Path,
        options.folder("Folder for the results and report.html. A run that was stopped goes on in it."),
    ],
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            help="LoRA adapter: its folder or hub id; or the identity recipe's folder, the control. Repeatable: each "
            "is compared with the model."
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another checkpoint of the same tokenizer: its folder or name; repeatable."),
    ] = None,
    model: options.Model = defaults.MODEL,
    task: options.TaskName = defaults.TASK,
    lang: Annotated[
        list[str] | None,
        typer.Option(
            help="Languages: codes (ja or ja,hi) or a group; repeatable; by default "
            f"{defaults.COMPARED_LANGUAGES}."
        ),
    ] = None,
    seen_languages: Annotated[
        list[str] | None,
        typer.Option(
            "--seen", help="Languages that the adapter was trained on; by default what its record says."
        ),
    ] = None,
    parts: Annotated[
        str,
        typer.Option(
            help="Which parts: evaluation, lens, geometry; by default all.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = ",".join(defaults.PARTS),
    items: Annotated[
        str | None,
        typer.Option(
            help="Items per language, or all; by default "
            f"{defaults.EVALUATION_ITEMS} for the evaluation, {defaults.COMPARED_ITEMS} for lens and geometry.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    measures: Annotated[
        str,
        typer.Option(
            help=f"Of alignment: {', '.join(measure_names())}, or all; by default "
            f"{', '.join(defaults.COMPARED_MEASURES)}.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = ",".join(defaults.COMPARED_MEASURES),
    layers: Annotated[
        str, typer.Option(help="Of the geometry: all, or numbers and ranges: 0,4,8-12.", rich_help_panel=_RUN)
    ] = defaults.LAYERS,
    pools: Annotated[
        str,
        typer.Option(
            help="What stands for a prompt in the geometry: mean, mean_no_bos, question, last.",
            rich_help_panel=_RUN,
        ),
    ] = ",".join(defaults.COMPARED_POOLS),
    score: Annotated[
        str,
        typer.Option(
            help="What the evaluation compares: first-tokens, sequence or sequence-per-byte.",
            rich_help_panel=_RUN,
        ),
    ] = defaults.SCORE,
    policy: Annotated[
        str,
        typer.Option(
            help="The lens and tokens of several languages: exclusive, drop, shared or sequence.",
            rich_help_panel=_RUN,
        ),
    ] = defaults.POLICY,
    pivot: Annotated[
        str, typer.Option(help="Language that might show in the middle layers.", rich_help_panel=_RUN)
    ] = defaults.PIVOT,
    answers: Annotated[
        str | None,
        typer.Option(
            help="Words for the labels of closed tasks: same, en or agnostic.", rich_help_panel=_RUN
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Items of your own, as for the other commands.", rich_help_panel=_RUN)
    ] = None,
    accept: options.Accept = None,
    shots: Annotated[
        int | None,
        typer.Option(help="Few-shot examples; by default the task's own number.", rich_help_panel=_RUN),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the items' order, examples and intervals.", rich_help_panel=_RUN)
    ] = defaults.SEED,
    keep_activations: Annotated[
        bool,
        typer.Option(
            "--keep-activations/--drop-activations",
            help="Leave the harvested activations on disk.",
            rich_help_panel=_RUN,
        ),
    ] = True,
    chat: options.Chat = False,
    batch_tokens: options.BatchTokens = None,
    loading: options.LoadOptions = options.LoadOptions(),  # noqa: B008
    share_prefix: options.SharePrefix = True,
    pages: options.PageOptions = options.PageOptions(),  # noqa: B008
) -> None:
    """Say what an adapter changed and what it did not: accuracy, what the layers would say, geometry.

    Runs the model without and with it on the same items; or the model and another checkpoint (--against). Of several,
    each is compared with the model, which is run once, and has a folder and a page of its own. Writes report.html, one
    page that works offline, and every result in a folder of its own; steps that are there already are not run again.
    """
    if not adapter and not against:
        raise InputError(
            "say what is compared: --adapter FOLDER (`latentlang train` makes one), or --against CHECKPOINT"
        )
    from latentlang.cli.console import echo_json, output, say
    from latentlang.cli.output_folder import OutputFolder
    from latentlang.cli.records import result_record

    count = _count(items)
    options.check_counts(items=None, shots=shots, seed=seed, batch_tokens=batch_tokens)
    numbers = options.layer_numbers(layers)
    built = options.built_task(task, (), source=None, data=data, answers=answers, accept=accept)
    info = loading.resolve(model)
    folder = OutputFolder(out, pages=pages)
    say(f"loading {info.name}")
    from latentlang.comparison import compare as run
    from latentlang.figures.image import write_picture
    from latentlang.storage.output import METADATA, TABLE

    try:
        with _ComparisonProgress() as progress:
            result = run(
                model, out=folder.path, adapter=adapter or None, against=against or None, task=built,
                languages=lang or defaults.COMPARED_LANGUAGES,
                seen_languages=seen_languages or None, parts=parts, items=count, shots=shots, seed=seed, pivot=pivot,
                score=score, policy=policy, measures=measures, layers=numbers, pools=pools,
                keep_activations=keep_activations, chat=chat, share_prefix=share_prefix, batch_tokens=batch_tokens,
                progress=progress, **loading.named(),
            )  # fmt: skip
        say("drawing")
        files = [folder.path / name for name in (TABLE, METADATA)]
        files.append(result.report(html=pages.html))
        if pages.png:
            files.append(write_picture(result.figure(), folder.path / "change.png"))
    except KeyboardInterrupt:
        raise CommandInterrupt(_what_was_kept(folder.path)) from None
    finally:
        folder.leave_nothing_empty()
    if pages.as_json:
        return echo_json(result_record(result, files))
    console = output()
    for name, one in _each(result).items():
        if name:
            console.print(name, style="bold", soft_wrap=True)
        for part in [summary_table(one)] if console.width >= _WIDE else narrow_summary(one):
            console.print(part)
        console.print()
        console.print(one.verdict())
        for point in one.highlights():
            console.print(f"- {point}")
        console.print()
    for path in files:
        console.print(f"wrote {path}", soft_wrap=True)


def _each(result: ComparisonResult | ComparisonGroup) -> Mapping[str, ComparisonResult]:
    """The comparisons by name; of one alone, which has none, an empty one."""
    from latentlang.comparison import ComparisonResult

    return {"": result} if isinstance(result, ComparisonResult) else result.comparisons


def summary_table(result: ComparisonResult) -> Table:
    """The averages over groups of languages, a row each."""
    from rich.table import Table

    from latentlang.comparison.text import verdict, words_of
    from latentlang.text import GROUPS, percent, signed, span, unsigned

    grid = Table(box=None, pad_edge=False, header_style="bold")
    grid.add_column("measure")
    grid.add_column("languages")
    for head in ("before", "after", "change"):
        grid.add_column(head, justify="right")
    grid.add_column(f"{percent(result.level)} interval", justify="right", no_wrap=True)
    grid.add_column("verdict")
    last = None
    for row in result.summary().to_dict("records"):
        about = (str(row["part"]), str(row["measure"]))
        grid.add_row(
            "" if about == last else words_of(*about, pivot=result.pivot).row,
            f"{GROUPS[row['group']]} ({row['languages']})", unsigned(row["before"]), unsigned(row["after"]),
            signed(row["difference"]), span(row["low"], row["high"]),
            verdict(row) if row["change"] else "-",
        )  # fmt: skip
        last = about
    return grid


def narrow_summary(result: ComparisonResult) -> Iterator[Table | Text]:
    """The same averages for 80 columns: a line for each measure, and under it a row for each group of languages."""
    from rich.table import Table
    from rich.text import Text

    from latentlang.comparison.text import verdict, words_of
    from latentlang.text import percent, signed, span, unsigned

    def grid(*rows: Sequence[str], **options: Any) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False, **options)
        for place, width in enumerate(_NARROW_WIDTHS):
            is_number = 0 < place < len(_NARROW_WIDTHS) - 1
            table.add_column(justify="right" if is_number else "left", width=width)
        for row in rows:
            table.add_row(*row)
        return table

    yield grid(
        ("", "before", "after", "change", f"{percent(result.level)} interval", "verdict"), style="bold"
    )
    rows = result.summary().to_dict("records")
    for (part, measure), of_measure in groupby(rows, key=lambda row: (str(row["part"]), str(row["measure"]))):
        yield Text(words_of(part, measure, pivot=result.pivot).row, style="bold")
        yield grid(*(
            (
                f"  {_SHORT_GROUPS[row['group']]} ({row['languages']})", unsigned(row["before"]),
                unsigned(row["after"]), signed(row["difference"]), span(row["low"], row["high"]),
                verdict(row) if row["change"] else "-",
            )
            for row in of_measure
        ))  # fmt: skip


def _count(items: str | None) -> int | None:
    """A number of items; so many that it is all of them for ``all``.

    Raises:
        InputError: that is neither.
    """
    if items is None:
        return None
    if items == _ALL:
        return MOST
    return parse_count("--items", items, least=1, instead=_ALL)


def _what_was_kept(out: Path) -> str:
    """For the line that ends an interrupted command."""
    from latentlang.storage.step_cache import finished_steps

    steps = finished_steps(out)
    if not steps:
        return "interrupted before the first step was done"
    return f"interrupted; {', '.join(steps)} are kept in {out}: run the same command again to go on"


class _ComparisonProgress:
    """A progress bar for each step in turn, on stderr."""

    def __init__(self) -> None:
        self._step = ""
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(kind, error, trace)

    def __call__(self, step: str, done: int, total: int) -> None:
        """What the comparison reports to."""
        from latentlang.cli.console import Progress

        if step != self._step or self._bar is None:
            self._close(None, None, None)
            self._step, self._bar = step, Progress(step, total=total).__enter__()
        self._bar.after(0)(done, total)

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
            self._bar = None
