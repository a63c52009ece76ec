"""A state of the explorer as one file that needs neither Python nor a network: the page, and replies that it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentlang.errors import InputError
from latentlang.interactive.messages import PageReply, PageRequest
from latentlang.interactive.page import explorer_page, script_data
from latentlang.interactive.request_queue import answer
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import Session
from latentlang.interactive.token_owners import learn_owners
from latentlang.progress import Report
from latentlang.storage.files import write_text

#: Views that a frozen page has, besides the opening.
FROZEN = ("grid", "words", "languages")
# What the page asks for of its own accord: next tokens of a cell, languages side by side, few-shot examples.
_TOP, _LANGUAGES, _SHOTS = 5, 20, 1
# Likeliest tokens of a position's layers, which a page pins where no concept is known.
_PINS = 6


def freeze(session: Session, path: Path, *, progress: Report | None = None) -> None:
    """Compute what a page shows of the session's prompt, and write the page with it.

    The grid through every lens and in every state of the model; the words after every token of it; and, where the
    prompt names a concept, that concept in up to 20 languages.

    Args:
        session: the session.
        path: of the file; the write is atomic.
        progress: called with (requests answered, requests in all).

    Raises:
        InputError: the prompt cannot be read, or the file cannot be written.
    """
    learn_owners(session).wait()  # before the first grid, which would else be told twice
    recorded = list(_recorded(session, progress))
    page = explorer_page(f"frozenTransport({script_data(json.dumps(recorded, ensure_ascii=False))})")
    write_text(path, page)


def _recorded(session: Session, progress: Report | None) -> Iterator[dict[str, Any]]:
    """Requests with their replies; each answers all requests that agree in the arguments that it names."""
    states = [(lens, adapter) for adapter in session.adapters for lens in session.lenses]
    (opening,) = _parts(_answered(session, "open", {}))
    opening["views"] = [name for name in opening["views"] if name in ("open", *FROZEN)]
    yield _record(
        "open", {}, [PageReply(id=0, event="part", data=opening), PageReply(id=0, event="done", code="")]
    )
    done, total = 0, len(states)
    for lens, adapter in states:
        asked: dict[str, Any] = {"prompt": session.prompt, "lens": lens, "adapter": adapter}
        replies = _answered(session, "grid", {**asked, "top": _TOP})
        yield _record("grid", asked, replies)
        parts = _parts(replies)
        head, cells = parts[0], _cells(parts)
        label = head["label"]
        total = len(states) * (2 + len(cells))
        for position, layers in sorted(cells.items()):
            words = {**asked, "position": position, "label": label, "languages": head["languages"]}
            pins = [] if label is not None else _winners(layers)
            yield _record("words", words, _answered(session, "words", {**words, "tokens": pins}))
            done += 1
            if progress is not None:
                progress(done, total)
        if label is not None:
            codes = list(dict.fromkeys((*session.languages, *session.speaking)))[:_LANGUAGES]
            side = {"label": label, "lens": lens, "adapter": adapter, "source": None}
            arguments = {**side, "languages": codes, "shots": _SHOTS}
            yield _record("languages", side, _answered(session, "languages", arguments))
        done += 2
        if progress is not None:
            progress(done, total)


def _answered(session: Session, view: str, arguments: dict[str, Any]) -> list[PageReply]:
    """The replies to a request, those that tell of progress left out.

    Raises:
        InputError: it could not be answered.
    """
    replies: list[PageReply] = []
    answer(session, PageRequest(id=0, view=view, arguments=arguments), RequestRun(0, replies.append))
    if replies[-1].event == "error":
        raise InputError(str(replies[-1].text))
    return [reply for reply in replies if reply.event != "progress"]


def _parts(replies: list[PageReply]) -> list[dict[str, Any]]:
    return [reply.data for reply in replies if reply.data is not None]


def _record(view: str, arguments: dict[str, Any], replies: list[PageReply]) -> dict[str, Any]:
    told = [{name: value for name, value in reply.record().items() if name != "id"} for reply in replies]
    return {"view": view, "arguments": arguments, "replies": told}


def _cells(parts: list[dict[str, Any]]) -> dict[int, list[Any]]:
    """Position to its cells, layer by layer."""
    return {
        position: layers
        for part in parts
        if "positions" in part
        for position, layers in zip(part["positions"], part["cells"], strict=True)
    }


def _winners(layers: list[Any]) -> list[int]:
    """Ids of the tokens that are the likeliest at some layer, those of the largest probability first."""
    best: dict[int, float] = {}
    for cell in layers:
        token, probability = cell["top"][0]
        best[token["id"]] = max(probability, best.get(token["id"], 0.0))
    return sorted(best, key=lambda token: -best[token])[:_PINS]
