"""Options that several commands have: said once, so that they mean and are called the same everywhere.

Also what their values are read as, where that is the same too.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from latentlang import defaults
from latentlang.arguments import check_count, given_layers, split_names
from latentlang.errors import InputError, shown, unknown
from latentlang.paths import usable_path
from latentlang.remote_paths import RemotePath, located
from latentlang.storage.documents import parse_yaml

if TYPE_CHECKING:
    from rich.console import Console

    from latentlang.models import HookedLM
    from latentlang.models.registry import ModelInfo
    from latentlang.results import Result
    from latentlang.tasks import Task

MODEL_PANEL = "How the model is run"
WRITTEN_PANEL = "What is written and printed"
# Languages that a note names one by one.
_MOST_NAMED = 8


def folder(help: str, *names: str, panel: str | None = None, remote: bool = False) -> Any:
    """An option that names a folder to write to; an empty name, as of an unset variable, is not the current folder.

    Args:
        help: what the option says.
        *names: of the option.
        panel: of the help.
        remote: whether it may be on another filesystem (``s3://bucket/store``).
    """
    parser = _place_named if remote else _folder_named
    return typer.Option(*names, parser=parser, metavar="<path>", help=help, rich_help_panel=panel)


def _place_named(text: str) -> Path:
    if not text:
        raise typer.BadParameter("the name of the folder is empty; name one (. is the current folder)")
    return located(text)


def _folder_named(text: str) -> Path:
    path = _place_named(text)
    if isinstance(path, RemotePath):
        raise typer.BadParameter(
            f"{str(path)!r} is not on this machine, and this command writes into a folder here; name one, and copy it "
            "when it is whole"
        )
    return path


Model = Annotated[
    str, typer.Option(help="Short name (`latentlang models`), Hugging Face id, folder or GGUF file.")
]
Name = Annotated[
    str | None,
    typer.Option(
        help="What the model is called in titles, results and the output folder; by default its own name or folder."
    ),
]
TaskName = Annotated[str, typer.Option(help="Task (`latentlang tasks`).")]
Source = Annotated[
    str | None,
    typer.Option("--from", help="Language to translate from; by default fr, and de for fr itself."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Items of your own: CSV files of words, JSON in the paper's layout; or a set on the hub, hub:xnli."
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        help="With --data: what the files call a label, e.g. positive=1; repeatable.", metavar="LABEL=TEXT"
    ),
]
States = Annotated[
    str | None, typer.Option(help="With --adapter: base, tuned, or both (base,tuned; the default).")
]
ChatTemplate = Annotated[
    bool, typer.Option("--chat", help="Ask in the chat template of the model's tokenizer.")
]
Temperature = Annotated[float, typer.Option(help="With --how sample: what logits are divided by.")]
TopP = Annotated[
    float | None, typer.Option(help="With --how sample: draw among the likeliest tokens of this probability.")
]
Shots = Annotated[int | None, typer.Option(help="Few-shot examples; by default the task's own number.")]
Items = Annotated[int | None, typer.Option(help="Items per language; by default all.")]
Seed = Annotated[int, typer.Option(help="Seed of the items' order, examples and intervals.")]
DrawSeed = Annotated[int, typer.Option(help="Seed of what is drawn, and of the intervals.")]
Out = Annotated[
    Path | None,
    folder(
        "Folder to write to, or s3://bucket/folder; by default latentlang-out/ and a name for the run.",
        remote=True,
    ),
]
StoreLanguages = Annotated[
    list[str] | None,
    typer.Option(help="Languages: codes (ja or ja,hi) or a group (paper20); by default all in the store."),
]
StoreLayers = Annotated[str, typer.Option(help="all, or numbers and ranges: 0,4,8-12.")]
LensLayers = Annotated[
    str,
    typer.Option(
        "--layers",
        help="Layers to read: all, or numbers and ranges: 4,8-12; the last, the output, always is.",
    ),
]
Compute = Annotated[str, typer.Option(help="Where to compute, e.g. cuda.")]

Text = Annotated[
    Path,
    typer.Option(
        help="Folder of parallel text, a file a language; udhr (`latentlang data get udhr`); or a set on the hub "
        "(hub:flores)."
    ),
]
TextLanguages = Annotated[
    list[str] | None,
    typer.Option(help="Languages: codes (ja or ja,hi) or a group (paper20); by default all of the text."),
]
LongTexts = Annotated[
    str,
    typer.Option(
        help="Texts longer than the model's context: refuse them, cut them at their end, or drop them.",
        rich_help_panel=MODEL_PANEL,
    ),
]
Jacobian = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a Jacobian lens (`latentlang jacobian`), or a published file of one, to read through."
    ),
]

Adapter = Annotated[
    str | None, typer.Option(help="LoRA adapter to put on the model.", rich_help_panel=MODEL_PANEL)
]
Device = Annotated[
    str | None,
    typer.Option(help="Where to run, e.g. cuda:1; by default a GPU if any.", rich_help_panel=MODEL_PANEL),
]
Dtype = Annotated[
    str | None, typer.Option(help="Of the weights: fp32, bf16 or fp16.", rich_help_panel=MODEL_PANEL)
]
Quantization = Annotated[str | None, typer.Option(help="8bit or 4bit.", rich_help_panel=MODEL_PANEL)]
BatchTokens = Annotated[
    int | None,
    typer.Option(help="Tokens run at once; by default what suits the device.", rich_help_panel=MODEL_PANEL),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run Python code that comes with the model.", rich_help_panel=MODEL_PANEL
    ),
]
Chat = Annotated[
    bool,
    typer.Option(
        "--chat",
        help="Ask an instruct model as in a chat, in its own template; few-shot examples become turns.",
        rich_help_panel=MODEL_PANEL,
    ),
]
SharePrefix = Annotated[
    bool,
    typer.Option(
        "--share-prefix/--no-share-prefix",
        help="Run a few-shot prefix that prompts share only once.",
        rich_help_panel=MODEL_PANEL,
    ),
]

Html = Annotated[
    str,
    typer.Option(
        help="whole: each page is one file; light: pages link one copy of plotly.js in their folder.",
        rich_help_panel=WRITTEN_PANEL,
    ),
]
Png = Annotated[
    bool,
    typer.Option("--png", help="Also write each figure as a PNG.", rich_help_panel=WRITTEN_PANEL),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print JSON instead of tables and text.", rich_help_panel=WRITTEN_PANEL),
]


@dataclass(frozen=True)
class PageOptions:
    """Options of every command that writes figures.

    A command takes them as one parameter ``pages``, as `LoadOptions`.
    """

    html: Html = defaults.HTML
    png: Png = False
    as_json: AsJson = False

    def check(self) -> None:
        """Refuse what cannot be written, before anything slow is computed.

        Raises:
            InputError: there is no such kind of page, or what draws pictures is not installed.
        """
        from latentlang.figures.image import check_pictures
        from latentlang.figures.library import check_html

        check_html(self.html)
        if self.png:
            check_pictures()


@dataclass(frozen=True)
class MachineOptions:
    """Options of `models.load` that say how a model is run.

    A command takes them as one parameter ``loading``, which `with_load_options` spells out for the command line.
    """

    device: Device = None
    dtype: Dtype = None
    quantization: Quantization = None
    trust_remote_code: TrustRemoteCode = False

    def named(self) -> dict[str, Any]:
        """Name of each to its value."""
        return asdict(self)


@dataclass(frozen=True)
class LoadOptions(MachineOptions):
    """Those, and what the model is called: options of every command that runs one model."""

    name: Name = None

    def resolve(self, model: str) -> ModelInfo:
        """What a model's name stands for, called as the user wants it.

        Raises:
            InputError: the name it is to have cannot stand in a title.
            ModelError: there is no such model.
        """
        from latentlang.models.registry import resolve

        return resolve(model, called=self.name)

    def load(self, model: str, *, adapter: str | None = None) -> HookedLM:
        """Load a model.

        Args:
            model: its name.
            adapter: to put on it.

        Raises:
            InputError: no such model, or an option that cannot be used.
            ModelError: it cannot be loaded.
        """
        from latentlang.models import load

        return load(model, adapter=adapter, **self.named())


#: Parameters of commands that stand for several options, the fields of their class.
_SPELLED_OUT = ("loading", "pages", "asking", "spread")


def with_load_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose parameters that stand for several options are options for each of their fields."""
    hints = get_type_hints(command, include_extras=True)
    records = {name: hints[name] for name in _SPELLED_OUT if name in hints}
    if not records:
        return command
    keyword = inspect.Parameter.KEYWORD_ONLY
    options: dict[str, list[inspect.Parameter]] = {}
    for name, record in records.items():
        record_hints = get_type_hints(record, include_extras=True)
        options[name] = [
            inspect.Parameter(field.name, keyword, default=field.default, annotation=record_hints[field.name])
            for field in fields(record)
        ]
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        whole = parameter.replace(annotation=hints[name], kind=keyword)
        parameters += options.get(name, [whole])

    @functools.wraps(command)
    def run(**values: Any) -> Any:
        chosen = {
            name: record(**{option.name: values.pop(option.name) for option in options[name]})
            for name, record in records.items()
        }
        return command(**values, **chosen)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def with_paths(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose paths are what the user meant (``--out=~/x``), or refused in one line."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        return command(**{
            name: usable_path(value) if isinstance(value, Path) else value for name, value in given.items()
        })  # fmt: skip

    return run


def asked_for(context: typer.Context, **values: object) -> dict[str, str]:
    """The options that were given and say something else than without them: name to text, for a folder's name.

    Args:
        context: of the command.
        **values: parameters of the command, as they are used; in the order of the name.
    """
    options = {option.name: option for option in context.command.params}
    given = {}
    for name, value in values.items():
        source = context.get_parameter_source(name)
        default = options[name].default
        if source is None or source.name == "DEFAULT" or value in (None, [], "", default):
            continue
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        given[max(options[name].opts, key=len).lstrip("-")] = text
    return given


def check_counts(*, items: int | None, shots: int | None, seed: int, batch_tokens: int | None = None) -> None:
    """Refuse numbers that make no sense, before a model is loaded.

    Raises:
        InputError: naming the option.
    """
    check_count("--items", items, least=1)
    check_count("--shots", shots, least=0)
    check_count("--seed", seed, least=0)
    check_count("--batch-tokens", batch_tokens, least=1)


def asked_states(adapter: str | None, states: str | None) -> list[str]:
    """The states that a model is asked in; by default all that it has.

    Args:
        adapter: ``--adapter``.
        states: ``--states``.

    Raises:
        InputError: there is no such state, or none with an adapter.
    """
    from latentlang.evaluation import STATES

    names = split_names(states) if states else list(STATES if adapter else STATES[:1])
    for name in names:
        if name not in STATES:
            raise unknown("state", name, STATES)
    if "tuned" in names and adapter is None:
        raise InputError("there is no tuned state without an adapter; give --adapter FOLDER")
    return names


def counted_prompts(
    task: Task, codes: Sequence[str], *, items: int | None, seed: int, shots: int | None = None
) -> dict[str, int]:
    """How many prompts each language has; says so where they are fewer than was asked for.

    Args:
        task: gives the prompts.
        codes: of the languages.
        items: ``--items``.
        seed: ``--seed``.
        shots: ``--shots``.

    Raises:
        InputError: a language that the task has no data in, or too few items for the few-shot examples.
    """
    there = {code: len(task.prompts(code, items=items, shots=shots, seed=seed)) for code in codes}
    note_fewer(items, there)
    return there


def note_fewer(items: int | None, there: Mapping[str, int], *, why: str = "there are no more") -> None:
    """Say on stderr which languages have fewer items than was asked for, and why.

    Args:
        items: ``--items``; None asks for all.
        there: language or another name to the number that is used.
        why: the reason.
    """
    if items is None or not (fewer := {code: count for code, count in there.items() if count < items}):
        return
    from latentlang.cli.console import note

    by_count: dict[int, list[str]] = {}
    for code, count in fewer.items():
        by_count.setdefault(count, []).append(code)
    named = "; ".join(
        f"{count} in {', '.join(codes[:_MOST_NAMED])}{' and others' if len(codes) > _MOST_NAMED else ''}"
        for count, codes in sorted(by_count.items())
    )
    note(f"note: fewer items than the {items:,} asked for: {named}; {why}")


def one_lens(tuned: Path | None, jacobian: Path | None) -> Path | None:
    """The lens that the layers are read through; None for the logit lens.

    Raises:
        InputError: both are given, or there is no lens there.
    """
    if tuned is not None and jacobian is not None:
        raise InputError("--tuned and --jacobian each say what the layers are read through; give one of them")
    path = jacobian if tuned is None else tuned
    if path is not None:
        from latentlang.lens.tuned import check_saved_lens

        check_saved_lens(path)
    return path


def print_description(result: Result[Any], console: Console) -> None:
    """What a result says of itself in sentences."""
    console.print(result.describe())


def print_remarks(result: Result[Any], console: Console) -> None:
    """What must be known of how a result came about, where its description is not printed."""
    for remark in result.settings.remarks(result.provenance):
        console.print(f"note: {remark}", highlight=False, markup=False)


def layer_numbers(text: str) -> str | list[int]:
    """Layer numbers from ``0,4,8-12``; ``all`` as it is.

    Raises:
        InputError: that is no list of numbers.
    """
    return given_layers(text, option="--layers ")


def accepted(given: Sequence[str] | None, data: Path | None) -> dict[str, list[str]] | None:
    """``--accept positive=1 --accept negative=0`` as label to the strings that name it in the files; None for none.

    Raises:
        InputError: that is no label with a text, or there are no files.
    """
    if not given:
        return None
    if data is None:
        raise InputError("--accept says what files call a label; give their folder with --data")
    by_label: dict[str, list[str]] = {}
    for text in given:
        label, sign, name = text.partition("=")
        if not sign or not label.strip() or not name.strip():
            raise InputError(
                f"--accept takes a label and what the files call it, e.g. --accept positive=1, not {text!r}"
            )
        by_label.setdefault(label.strip(), []).append(name)
    return by_label


def built_task(
    name: str,
    targets: Sequence[str],
    *,
    source: str | None,
    data: Path | None,
    answers: str | None,
    accept: Sequence[str] | None,
) -> Task:
    """The task that a command asks, with the options that were given.

    Args:
        name: task name.
        targets: codes of the target languages.
        source: ``--from``; where it is a target itself, that one is translated from a default source.
        data: ``--data``.
        answers: ``--answers``.
        accept: ``--accept``, as given.

    Raises:
        InputError: no such task, an option that it does not have, or a source that makes no sense.
    """
    from latentlang.language_names import language
    from latentlang.tasks import DEFAULT_SOURCES, task, task_record

    given: dict[str, Any] = {"data": data, "answers": answers, "accept": accepted(accept, data)}
    if source is not None:
        if "source" not in task_record(name).options:
            raise InputError(f"--from {source} is for the translation task; {name} has no source language")
        first = language(source).code
        if list(targets) == [first]:
            raise InputError(
                f"--from {source} and --lang {first} are the same language; choose another, or --task repetition"
            )
        given["source"] = tuple(dict.fromkeys((first, *DEFAULT_SOURCES)))
    return task(name, **{option: value for option, value in given.items() if value is not None})


def assigned(changes: Sequence[str]) -> dict[str, Any]:
    """``--set rank=4`` as fields and values; a value is read as YAML.

    Raises:
        InputError: that is no field with a value.
    """
    values: dict[str, Any] = {}
    for text in changes:
        field, sign, value = text.partition("=")
        if not sign or not field.strip():
            raise InputError(f"--set takes a field and a value, e.g. --set rank=4, not {shown(text)}")
        values[field.strip()] = parse_yaml(value, f"--set {shown(field.strip())}", then="give a plain value")
    return values
