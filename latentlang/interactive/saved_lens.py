"""A saved lens in all languages, as the explorer shows it: a heat map, the items of a cell, an item's curves."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pandas as pd

from latentlang.errors import InputError, LatentlangError, unknown
from latentlang.interactive.numbers import plain
from latentlang.interactive.saved_facts import MOST_ROWS, result_languages
from latentlang.interactive.session import Session
from latentlang.lens import MultilingualLensResult
from latentlang.results import Result
from latentlang.tasks import task as build_task


def lens_heat(result: MultilingualLensResult, target: str | None) -> dict[str, Any]:
    """Means over items by language and layer: ``answer`` and ``null``, ``[language][layer]``; ``n`` items.

    Raises:
        InputError: a target language that the result does not have.
    """
    table, code = _of_target(result, target)
    layers = sorted(int(layer) for layer in table["layer"].unique())
    codes = [name for name in result_languages(result) if name in set(table["answer_language"].astype(str))]
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
        "targets": target_languages(result), "target": code, "languages": codes, "layers": layers,
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

    codes = [name for name in result_languages(result) if name in set(part["answer_language"].astype(str))]
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


def target_languages(result: Result[Any]) -> list[str]:
    """Codes of the languages that were asked for, in order."""
    return [str(code) for code in result.table["language"].unique()]


def _of_target(result: MultilingualLensResult, target: str | None) -> tuple[pd.DataFrame, str]:
    targets = target_languages(result)
    code = targets[0] if target is None else target
    if code not in targets:
        raise unknown("target language of this result", code, targets)
    return result.table[result.table["language"] == code], code


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
