"""Patching by hand: the stream of a cell of one prompt is put into a cell of another, and the answers are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import Field

from latentlang.causal.cell_patching import CellPatch, CellPatching
from latentlang.causal.pairs import pair_prompts
from latentlang.interactive.loading_code import loading_lines
from latentlang.interactive.messages import Message, NoArguments
from latentlang.interactive.numbers import plain
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import BASE, Session
from latentlang.interactive.token_owners import NO_CONCEPT, token_owners, words_of
from latentlang.interactive.view_registry import register

# Prompts to begin with, where the task is the embedded translation: pair of languages and concept of each.
_SOURCE, _TARGET = (("es", "ru"), "object/book"), (("fr", "de"), "nature/flower")
_DRAWN: dict[str, Any] = {"data": None, "shots": 2, "seed": 0}
# By this share of the depth concept and language are mostly both there.
_DEPTH = 0.75
_TOP = 8


class CellArguments(Message):
    """A cell of a prompt.

    Attributes:
        prompt: its text.
        layer: layer number, 0 for the embeddings.
        position: token, from 0.
    """

    prompt: str
    layer: int = Field(ge=0)
    position: int


class PatchArguments(Message):
    """What is put where.

    Attributes:
        source: where the stream is taken from.
        target: where it is put.
        adapter: of the model's states.
        layers: layers to do the same at, each into itself; None for the one patch from layer to layer.
    """

    source: CellArguments
    target: CellArguments
    adapter: str = BASE
    layers: list[int] | None = None


@dataclass(frozen=True)
class PatchView:
    """A part: ``words``, ``before`` and ``after``; with `layers`, a part a layer: ``layer`` and ``words``.

    A word is ``name``; ``of``, whose concept it is, the source's or the target's; ``asked``, in whose language;
    ``label``, ``language``, ``word``; its probability ``before`` and ``after``, and ``random``, the mean over changes
    of the same size in random directions, ``low`` to ``high``. ``size`` is the change over what was there.
    """

    name: str = "patch"
    arguments: type[Message] = PatchArguments

    def parts(
        self, session: Session, arguments: PatchArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any]]:
        """What the patch does.

        Raises:
            LatentlangError: an empty prompt, a layer or a token that does not exist, an unknown adapter.
        """
        source, target = arguments.source, arguments.target
        wanted, why = words_wanted(session, source.prompt, target.prompt)
        with session.state(arguments.adapter):
            patching = _patching(session, arguments, {name: word["word"] for name, word in wanted.items()})
        layers = arguments.layers
        if layers is None:
            with session.state(arguments.adapter):
                patch = patching.at(source.layer, target.layer)
            yield {
                "words": _words(patch, wanted), "why": why, "size": round(patch.size, 4),
                **_tops(session, patch, (source.prompt, target.prompt)),
            }  # fmt: skip
            return
        for done, layer in enumerate(layers or range(1, session.model.n_layers + 1)):
            run.progress(done, len(layers) or session.model.n_layers)
            with session.state(arguments.adapter):
                patch = patching.at(layer, layer)
            yield {"layer": layer, "words": _words(patch, wanted), "why": why}

    def code(self, session: Session, arguments: PatchArguments, /) -> str:
        """Python code that patches the same."""
        source, target = arguments.source, arguments.target
        wanted, _why = words_wanted(session, source.prompt, target.prompt)
        each = arguments.layers is not None
        at, into = ("layer", "layer") if each else (source.layer, target.layer)
        lines = [
            *loading_lines(session, arguments.adapter),
            f"prompts = {{'source': {source.prompt!r},",
            f"           'target': {target.prompt!r}}}",
            f"words = { ({name: word['word'] for name, word in wanted.items()})!r}",
        ]
        call = (
            f"ll.patch_cell(model, **prompts, source_cell=({at}, {source.position}), "
            f"target_cell=({into}, {target.position}), words=words, top={_TOP})"
        )
        if each:
            layers = arguments.layers or list(range(1, session.model.n_layers + 1))
            lines += [f"patches = {{layer: {call}", f"           for layer in {layers}}}"]
            lines += ["{layer: patch.words for layer, patch in patches.items()}"]
        else:
            lines += [f"patch = {call}", "patch.words"]
        return "\n".join(lines)


@dataclass(frozen=True)
class PatchStartView:
    """A part: two prompts to begin with, ``source`` and ``target``, and the ``layer`` to patch at."""

    name: str = "patch-start"
    arguments: type[Message] = NoArguments

    def parts(self, session: Session, arguments: NoArguments, run: RequestRun, /) -> Iterator[dict[str, Any]]:
        """Prompts of the task: different concepts, asked for in different languages."""
        source, target = starting_prompts(session)
        yield {
            "source": source,
            "target": target,
            "layer": max(1, int(_DEPTH * session.model.n_layers + 0.5)),
        }

    def code(self, session: Session, arguments: NoArguments, /) -> str:
        """Nothing is computed."""
        return ""


def starting_prompts(session: Session) -> tuple[str, str]:
    """A source and a target prompt of the session's task; its first prompt twice where it has no others."""
    task = session.task
    if task.name == "translation" and "concepts" not in task.settings:
        source, target = (
            next(str(prompt) for prompt in pair_prompts(pair, **_DRAWN)[1] if prompt.label == label)
            for pair, label in (_SOURCE, _TARGET)
        )
        return source, target
    codes = [code for code in dict.fromkeys((*session.languages, *task.languages)) if code in task.languages]
    if not codes or not task.has_answers:
        return session.prompt, session.prompt
    into = task.prompts(codes[0], items=1)[0]
    others = [prompt for prompt in task.prompts(codes[min(1, len(codes) - 1)]) if prompt.label != into.label]
    return str(others[0] if others else into), str(into)


def words_wanted(session: Session, source: str, target: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The words of both prompts' concepts in both prompts' languages, by name; and why there are none, or fewer.

    The target's own come first: what it is to say, then its concept in the source's language, and the source's concept
    in the target's language and in its own.
    """
    labels = {"target": session.guess(target), "source": session.guess(source)}
    asked = {name: session.named(prompt)[-1:] for name, prompt in (("target", target), ("source", source))}
    unknown = [name for name in ("source", "target") if labels[name] is None or not asked[name]]
    why = " ".join(
        f"No word of the task, or no language, was recognised in the {name} prompt." for name in unknown
    )
    found: dict[str, dict[str, Any]] = {}
    for of, label in labels.items():
        for whose, codes in asked.items():
            for code in codes:
                strings = session.task.answers(code).get(label or "", ())
                name = f"{(label or '').rpartition('/')[2]} in {code}"
                if strings and name not in found:
                    found[name] = {
                        "of": of, "asked": whose, "label": label, "language": code, "word": list(strings),
                    }  # fmt: skip
    return found, why


def _patching(
    session: Session, arguments: PatchArguments, words: Mapping[str, Sequence[str]]
) -> CellPatching:
    """The patches between two tokens of two prompts; those of the last request are kept, with what was run for them."""
    kept: dict[Any, CellPatching] = session.once("patching", dict)
    source, target = arguments.source, arguments.target
    key = (arguments.adapter, source.prompt, source.position, target.prompt, target.position)
    if key not in kept:
        patching = CellPatching(
            session.model, source=source.prompt, target=target.prompt, positions=(source.position, target.position),
            words=words, top=_TOP,
        )  # fmt: skip
        kept.clear()
        kept[key] = patching
    return kept[key]


def _words(patch: CellPatch, wanted: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    columns = ["before", "after", "random", "low", "high"]
    bounds = {"low": patch.random.min(0), "high": patch.random.max(0)}
    numbers = plain(patch.words.assign(**bounds)[columns].to_numpy(float))
    rows = patch.words[["name", "word", "why"]].astype(str).itertuples(index=False, name=None)
    return [
        {**wanted[name], "name": name, "word": word, "why": why, **dict(zip(columns, values, strict=True))}
        for (name, word, why), values in zip(rows, numbers, strict=True)
    ]


def _tops(session: Session, patch: CellPatch, prompts: Sequence[str]) -> dict[str, list[list[Any]]]:
    """The likeliest tokens before and after, as the page is told of tokens."""
    owners = token_owners(session)
    words = NO_CONCEPT
    for prompt in prompts:
        words |= words_of(session, session.guess(prompt))

    def told(table: pd.DataFrame) -> list[list[Any]]:
        return [
            [owners.record(token, words), p]
            for token, p in zip(
                table["id"].tolist(), plain(table["probability"].to_numpy(float)), strict=True
            )
        ]

    return {"before": told(patch.before), "after": told(patch.after)}


register(PatchView())
register(PatchStartView())
