"""A saved result: what it says, its table, and of some kinds what lies behind: items of a cell, prompts of points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from latentlang.errors import InputError, LatentlangError, unknown
from latentlang.figures.scatter import aligned_signs, drawn
from latentlang.geometry import PCAResult
from latentlang.interactive.messages import Message
from latentlang.interactive.numbers import plain
from latentlang.interactive.session import RequestRun, Session
from latentlang.interactive.view_registry import register
from latentlang.language_names import language
from latentlang.lens import MultilingualLensResult
from latentlang.results import Result
from latentlang.tasks import task as build_task

#: Rows of a table, points of a scatter and prompts of a choice that are sent.
MOST_ROWS, MOST_POINTS, MOST_PROMPTS = 200, 2000, 200
# Characters of a cell of a table.
_LONGEST_CELL = 300

What = Literal["words", "table", "heat", "items", "item", "points", "prompts"]


class SavedArguments(Message):
    """What is wanted of the result.

    Attributes:
        what: ``words``, what it says; ``table``, its first rows; of a lens in all languages ``heat``, ``items`` of a
            cell and one ``item``; of a PCA ``points``, and ``prompts`` of some of them.
        sort: column that the table is sorted by; None as it is.
        descending: the largest first.
        target: target language; None for the first.
        language: the language whose words were read, of a cell.
        layer: of a cell.
        item: whose curves are wanted.
        state: whose points.
        rows: of points whose prompts are wanted.
    """

    what: What
    sort: str | None = None
    descending: bool = False
    target: str | None = None
    language: str | None = None
    layer: int | None = None
    item: str | None = None
    state: str | None = None
    rows: list[int] = Field(default_factory=list)


def describe_saved(result: Result[Any] | None, folder: str = "") -> dict[str, Any] | None:
    """What the page is told of a saved result at first; None where there is none.

    Args:
        result: of whatever kind.
        folder: where it was read from, for code.
    """
    if result is None:
        return None
    provenance = result.provenance
    panes = [name for kind, names in _PANES.items() if isinstance(result, kind) for name in names]
    return {
        "kind": result.kind,
        "headline": repr(result)[1:-1],
        "folder": folder,
        "rows": len(result.table),
        "columns": [str(name) for name in result.table.columns],
        "panes": panes,
        "points": MOST_POINTS,
        "provenance": _provenance(asdict(provenance)),
        "languages": [
            {
                "code": code,
                "name": language(code).name,
                "own": language(code).own_name,
                "rtl": language(code).rtl,
            }
            for code in _codes(result)
        ],
    }


@dataclass(frozen=True)
class SavedView:
    """One part: what is wanted of the session's result."""

    name: str = "saved"
    arguments: type[Message] = SavedArguments

    def parts(
        self, session: Session, arguments: SavedArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any]]:
        """A piece of the result.

        Raises:
            InputError: there is no result, or not this of it.
        """
        result = saved_of(session)
        what = arguments.what
        if what == "words":
            yield {"text": _words(result)}
        elif what == "table":
            yield saved_table(result, sort=arguments.sort, descending=arguments.descending)
        elif isinstance(result, MultilingualLensResult) and what == "heat":
            yield lens_heat(result, arguments.target)
        elif isinstance(result, MultilingualLensResult) and what == "items":
            yield cell_items(result, session, arguments.target, arguments.language, arguments.layer)
        elif isinstance(result, MultilingualLensResult) and what == "item":
            yield item_curves(result, session, arguments.target, arguments.item)
        elif isinstance(result, PCAResult) and what == "points":
            yield pca_points(result, arguments.state)
        elif isinstance(result, PCAResult) and what == "prompts":
            yield point_prompts(result, arguments.state, arguments.rows)
        else:
            raise InputError(f"a {type(result).__name__} has no {what}; ask for its table")

    def code(self, session: Session, arguments: SavedArguments, /) -> str:
        """Python code that gives the same from the folder."""
        result, what = saved_of(session), arguments.what
        lines = ["import latentlang as ll"]
        if session.saved_folder:  # else it is the notebook's own
            lines.append(f"result = ll.open_result({session.saved_folder!r})")
        if what == "words":
            lines.append("print(result.describe())")
        elif what == "table":
            sorted_by = (
                ""
                if arguments.sort is None
                else f".sort_values({arguments.sort!r}, ascending={not arguments.descending})"
            )
            lines.append(f"result.table{sorted_by}.head({MOST_ROWS})")
        elif isinstance(result, PCAResult):
            state = "" if arguments.state is None else f", state={arguments.state!r}"
            lines.append(
                "points = {layer: result.points(layer=layer" + state + ") for layer in result.layers}"
            )
            if what == "prompts":
                lines.append(f"points[result.layers[-1]].query('row in {arguments.rows}')")
        else:
            lines.append("cells = result.table")
            chosen = {
                "language": arguments.target or _targets(result)[0], "answer_language": arguments.language,
                "layer": arguments.layer, "item": arguments.item,
            }  # fmt: skip
            test = " and ".join(f"{name} == {value!r}" for name, value in chosen.items() if value is not None)
            lines.append(f"cells.query({test!r})")
            if what == "heat":
                lines[-1] += (
                    ".pivot_table(index='answer_language', columns='layer', values='value', aggfunc='mean')"
                )
                lines[-1] = lines[-1].replace(
                    ".query(" + repr(test), ".query(" + repr(f"{test} and curve == 'answer'")
                )
        return "\n".join(lines)


def saved_of(session: Session) -> Result[Any]:
    """The session's saved result.

    Raises:
        InputError: it has none.
    """
    result: Result[Any] | None = session.saved
    if result is None:
        raise InputError("no saved result was opened; give a folder: latentlang explore --saved FOLDER")
    return result


def saved_table(result: Result[Any], *, sort: str | None, descending: bool) -> dict[str, Any]:
    """The first rows of a result's table, ``columns`` and ``rows``, and how many there are in all.

    Args:
        result: the result.
        sort: column to sort all rows by first; None for their own order.
        descending: the largest first.

    Raises:
        InputError: there is no such column.
    """
    table = result.table
    if sort is not None:
        if sort not in table.columns:
            raise unknown("column of this result", sort, [str(name) for name in table.columns])
        keys = table[sort]
        keys = (
            keys.astype(str) if keys.dtype == object or isinstance(keys.dtype, pd.CategoricalDtype) else keys
        )
        table = table.iloc[
            keys.reset_index(drop=True).sort_values(ascending=not descending, kind="stable").index
        ]
    rows = table.head(MOST_ROWS)
    return {
        "columns": [str(name) for name in table.columns],
        "numbers": [bool(pd.api.types.is_numeric_dtype(table[name].dtype)) for name in table.columns],
        "rows": [[_cell(value) for value in row] for row in rows.itertuples(index=False, name=None)],
        "total": len(table),
    }


def lens_heat(result: MultilingualLensResult, target: str | None) -> dict[str, Any]:
    """Means over items by language and layer: ``answer`` and ``null``, ``[language][layer]``; ``n`` items.

    Raises:
        InputError: a target language that the result does not have.
    """
    table, code = _of_target(result, target)
    layers = sorted(int(layer) for layer in table["layer"].unique())
    codes = [name for name in _codes(result) if name in set(table["answer_language"].astype(str))]
    answers = table[table["curve"] == "answer"]
    counts = answers.groupby(["answer_language", "layer"], observed=True)["value"].count()
    wide = {
        curve: table[table["curve"] == curve]
        .groupby(["answer_language", "layer"], observed=True)["value"]
        .mean()
        .unstack("layer")
        .reindex(index=codes, columns=layers)
        for curve in ("answer", "null")
    }
    return {
        "targets": _targets(result), "target": code, "languages": codes, "layers": layers,
        "answer": plain(wide["answer"].to_numpy(float)), "null": plain(wide["null"].to_numpy(float)),
        "n": counts.unstack("layer").reindex(index=codes, columns=layers).fillna(0).astype(int).to_numpy().tolist(),
    }  # fmt: skip


def cell_items(
    result: MultilingualLensResult,
    session: Session,
    target: str | None,
    answer_language: str | None,
    layer: int | None,
) -> dict[str, Any]:
    """The items behind a cell: ``item, label, word, answer, null``, those first that stand highest above their null.

    Raises:
        InputError: a cell that is not there.
    """
    table, code = _of_target(result, target)
    part = table[(table["answer_language"] == answer_language) & (table["layer"] == layer)]
    if part.empty:
        raise InputError(f"this result has no cell of {answer_language!r} at layer {layer}")
    wide = (
        part[part["curve"].isin(["answer", "null"])]
        .pivot_table(index=["item"], columns="curve", values="value", observed=True)
        .reindex(columns=["answer", "null"])
    )
    labels = part[part["curve"] == "answer"].drop_duplicates("item").set_index("item")["label"]
    wide = wide.assign(above=wide["answer"] - wide["null"]).sort_values(
        "above", ascending=False, kind="stable"
    )
    names = [str(item) for item in wide.index]
    rows = [
        {
            "item": item, "label": str(labels.get(item, "")),
            "word": _word(session, str(answer_language), str(labels.get(item, ""))),
            "answer": answer, "null": null,
        }
        for item, (answer, null) in zip(names, plain(wide[["answer", "null"]].to_numpy(float)), strict=True)
    ]  # fmt: skip
    return {
        "target": code,
        "language": answer_language,
        "layer": layer,
        "items": rows[:MOST_ROWS],
        "total": len(rows),
    }


def item_curves(
    result: MultilingualLensResult, session: Session, target: str | None, item: str | None
) -> dict[str, Any]:
    """Of one item what each layer gives each language's word, ``curves``; its ``prompt`` where it can be made again.

    Raises:
        InputError: an item that is not there.
    """
    table, code = _of_target(result, target)
    part = table[table["item"].astype(str) == item]
    if part.empty:
        raise InputError(f"this result has no item {item!r} in {code!r}")
    layers = sorted(int(layer) for layer in part["layer"].unique())
    label = str(part[part["curve"] == "answer"]["label"].iloc[0])

    def curve(name: str, answer_language: str) -> Any:
        own = part[(part["curve"] == name) & (part["answer_language"] == answer_language)]
        return plain(own.drop_duplicates("layer").set_index("layer")["value"].reindex(layers).to_numpy(float))

    codes = [name for name in _codes(result) if name in set(part["answer_language"].astype(str))]
    return {
        "item": item, "label": label, "target": code, "layers": layers, "prompt": _prompt(result, code, str(item)),
        "curves": [
            {
                "language": name, "word": _word(session, name, label), "answer": curve("answer", name),
                "null": curve("null", name),
            }
            for name in codes
        ],
    }  # fmt: skip


def pca_points(result: PCAResult, state: str | None, *, most: int = MOST_POINTS) -> dict[str, Any]:
    """Points of every layer in one frame: ``x`` and ``y``, ``[layer][point]``, and of each point what it is.

    Of more prompts than `most` the same items of each language are shown. Signs of the axes are chosen so that each
    layer looks like the one before.

    Raises:
        InputError: a state that is not there.
    """
    layers = list(result.layers)
    first = result.points(layer=layers[0], state=state)
    groups = max(1, first["language"].nunique())
    kept = drawn(
        first["language"].astype(str), first["item"], most=max(1, most // groups), seed=result.provenance.seed
    )
    chosen = first[kept]
    raw = []
    for layer in layers:
        rows = result.points(layer=layer, state=state)
        if not np.array_equal(rows["row"], first["row"]):
            raise InputError(f"the table has other prompts at layer {layer} than at layer {layers[0]}")
        scores = rows[[name for name in ("pc1", "pc2") if name in rows]].to_numpy(float)[kept]
        raw.append(np.pad(scores, ((0, 0), (0, 2 - scores.shape[1]))))
    signs = aligned_signs(raw)
    scores = np.stack([values * sign for values, sign in zip(raw, signs, strict=True)])
    shares = result.explained[
        (result.explained["state"] == chosen["state"].iloc[0])
        & (result.explained["axes"] == chosen["axes"].iloc[0])
    ].pivot(index="layer", columns="component", values="ratio")
    return {
        "layers": layers, "states": list(dict.fromkeys(name for name, _axes in result.views)),
        "state": str(chosen["state"].iloc[0]), "axes": str(chosen["axes"].iloc[0]),
        "x": plain(scores[..., 0], 3), "y": plain(scores[..., 1], 3),
        "rows": chosen["row"].astype(int).tolist(), "language": chosen["language"].astype(str).tolist(),
        "label": chosen["label"].astype(str).tolist(), "item": chosen["item"].astype(str).tolist(),
        "question": [_cut(str(text)) for text in chosen["question"]],
        "share": plain(shares.reindex(index=layers, columns=[1, 2]).to_numpy(float), 4), "total": len(first),
    }  # fmt: skip


def point_prompts(result: PCAResult, state: str | None, rows: list[int]) -> dict[str, Any]:
    """The prompts of some points, whole: ``row, item, language, label, text``; the first `MOST_PROMPTS`."""
    table = result.points(state=state)
    chosen = table[table["row"].isin(rows)]
    return {
        "total": len(chosen),
        "prompts": [
            {name: str(row[name]) for name in ("item", "language", "label", "text")}
            | {"row": int(row["row"])}
            for row in chosen.head(MOST_PROMPTS).to_dict("records")
        ],
    }


def _targets(result: Result[Any]) -> list[str]:
    return [str(code) for code in result.table["language"].unique()]


def _of_target(result: MultilingualLensResult, target: str | None) -> tuple[pd.DataFrame, str]:
    targets = _targets(result)
    code = targets[0] if target is None else target
    if code not in targets:
        raise unknown("target language of this result", code, targets)
    return result.table[result.table["language"] == code], code


def _codes(result: Result[Any]) -> list[str]:
    """Languages of a result that have a name, in order."""
    named = [*result.provenance.languages]
    for column in ("answer_language", "language"):
        if column in result.table:
            named += [str(code) for code in result.table[column].unique()]
    known = []
    for code in dict.fromkeys(named):
        with suppress(InputError):
            if language(code).code == code:
                known.append(code)
    return known


def _word(session: Session, code: str, label: str) -> str:
    """A language's word for a label, where the session's task has one."""
    with suppress(LatentlangError):
        return " / ".join(session.task.answers(code).get(label, ()))
    return ""


def _prompt(result: MultilingualLensResult, code: str, item: str) -> str | None:
    """An item's prompt, made again as its provenance says; None where that cannot be done with what is embedded."""
    settings, provenance = result.settings, result.provenance
    if provenance.settings.get("concepts") or provenance.settings.get("chat"):
        return None
    source = (settings.sources or {}).get(code, settings.source)
    with suppress(LatentlangError, TypeError):
        task = build_task(provenance.task, **({} if source is None else {"source": source}))
        prompts = task.prompts(code, shots=settings.shots, seed=provenance.seed)
        return next((str(prompt) for prompt in prompts if prompt.item == item), None)
    return None


def _words(result: Result[Any]) -> str:
    try:
        return str(result.describe())
    except TypeError:  # a kind that has no sentences
        return ""


def _provenance(record: Mapping[str, Any]) -> list[list[str]]:
    """Names and values, settings among them, as lines of text."""
    lines = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            lines += [[f"{name}.{inner}", _cut(str(found))] for inner, found in value.items()]
        elif value not in (None, "", (), []):
            lines.append(
                [name, _cut(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))]
            )
    return lines


def _cell(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return "" if value is None or value is pd.NA else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


_PANES: dict[type[Result[Any]], tuple[str, ...]] = {MultilingualLensResult: ("heat",), PCAResult: ("points",)}

register(SavedView())
