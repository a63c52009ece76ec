"""Layers by tokens: what every layer would say after every token, and whose words these are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from latentlang import defaults
from latentlang.interactive.loading_code import lens_option, loading_lines
from latentlang.interactive.messages import Message
from latentlang.interactive.page_cells import cell_records
from latentlang.interactive.prompt_readings import Cells
from latentlang.interactive.reliability import unreliable_layers
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import BASE, LOGIT, Session
from latentlang.interactive.token_owners import (
    ConceptTokens,
    TokenOwners,
    learn_owners,
    token_owners,
    words_of,
)
from latentlang.interactive.view_registry import register

# Positions that are read at once: few enough that a newer request need not wait long.
_CHUNK = 12
_MOST_TOP = 20
# Seconds between two looks whether a newer request waits.
_MOMENT = 0.05


class GridArguments(Message):
    """What a grid is of.

    Attributes:
        prompt: its text.
        lens: name of a lens.
        adapter: of the model's states.
        top: next tokens of a cell.
        first: the first token that is read; None for the last ones. A page calls it ``from``.
    """

    prompt: str
    lens: str = LOGIT
    adapter: str = BASE
    top: int = Field(default=defaults.TOP, ge=1, le=_MOST_TOP)
    first: int | None = Field(default=None, ge=0, alias="from")


@dataclass(frozen=True)
class GridView:
    """Parts: the prompt's tokens; then cells, the last position first, then the others; the layer to look at.

    After these, when no other request waits: ``unreliable``, the layers where the lens says no more than how frequent
    tokens are; and the cells once more whose tokens' languages were not known yet when they were first told.

    The first part is ``tokens``, ``window`` (``from``, ``to``: the tokens that are read, those from the one to before
    the other), ``label``, ``asked``, ``named``, and ``languages``, those whose words to look for.
    """

    name: str = "grid"
    arguments: type[Message] = GridArguments

    def parts(
        self, session: Session, arguments: GridArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any] | None]:
        """What a prompt's layers would say.

        Raises:
            LatentlangError: an empty prompt, an unknown lens or adapter, a prompt that is too long.
        """
        lens = session.lens(arguments.lens)
        reading = session.read(arguments.prompt, arguments.adapter, first=arguments.first)
        label, named = session.guess(arguments.prompt), session.named(arguments.prompt)
        languages = session.suggested(arguments.prompt)
        owners, words = token_owners(session), words_of(session, label)
        positions = reading.positions
        yield {
            "tokens": [owners.record(token, words) for token in reading.ids],
            "window": {"from": positions.start, "to": positions.stop},
            "label": label,
            "asked": named[-1] if named else None,
            "named": list(named),
            "languages": list(languages),
        }
        total, done = len(positions), 0
        last = None
        told: list[tuple[Cells, dict[str, Any]]] = []
        for chunk in _chunks(positions):
            run.check()
            with session.state(arguments.adapter):
                cells = reading.cells(chunk, top=arguments.top, lens=lens)
            last = cells if last is None else last
            part = _part(cells, owners, words)
            if not owners.learnt:
                told.append((cells, part))
            yield part
            done += len(chunk)
            run.progress(done, total)
            yield None  # a newer question about what is there already need not wait for the rest
        assert last is not None and last.kl is not None
        curves = []
        if label is not None:
            tokens = reading.word_tokens(session.task, label, languages, positions[-1])
            with session.state(arguments.adapter):
                curves = reading.words(tokens, positions[-1], lens=lens, ranks=False)
        yield {"layer": reading.informative_layer(curves, last.kl[0], named=named)}
        learnt = learn_owners(session)
        for layers in unreliable_layers(session, arguments.lens, arguments.adapter):
            yield None if layers is None else {"unreliable": list(layers)}
        while told and not learnt.wait(_MOMENT):
            yield None
        for cells, before in told:
            now = _part(cells, owners, words)
            if now != before:
                yield now

    def code(self, session: Session, arguments: GridArguments, /) -> str:
        """Python code that reads the same prompt."""
        options = f"top={arguments.top}{lens_option(session, arguments.lens)}"
        return "\n".join([
            *loading_lines(session, arguments.adapter),
            f"result = ll.explore(model, {arguments.prompt!r}, {options})",
            "result.figure()",
        ])  # fmt: skip


def _part(cells: Cells, owners: TokenOwners, words: ConceptTokens) -> dict[str, Any]:
    return {"positions": list(cells.positions), "cells": cell_records(cells, owners, words)}


def _chunks(positions: range) -> Iterator[list[int]]:
    """The last position alone, then the others from the end."""
    yield [positions[-1]]
    others = list(positions[:-1])[::-1]
    for start in range(0, len(others), _CHUNK):
        yield others[start : start + _CHUNK]


register(GridView())
