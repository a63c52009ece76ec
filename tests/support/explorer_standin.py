"""A session of the explorer without a model: views that say what was planted, in the shapes that the real ones have.

The words of "flower" lead as planted: English in the middle layers, the asked language in the last ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pytest
from pydantic import ConfigDict

from latentlang.errors import InputError
from latentlang.interactive import view_registry
from latentlang.interactive.messages import Message
from latentlang.interactive.page import explorer_page, script_data
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.server import serving
from latentlang.language_names import language

LAYERS = 18
PIVOT_AT, ANSWER_FROM = 12, 16
PROMPT = 'Français: "fleur" - Deutsch: "'
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>\u001b[31m'
#: Answers only once it is cancelled.
SLOW = "slow"
WORDS = {
    "en": "flower", "fr": "fleur", "de": "Blume", "ja": "花", "zh": "花朵", "hi": "फूल", "ru": "цветок", "ar": "زهرة",
    "sw": "ua", "es": "flor", "it": "fiore", "nl": "bloem", "ko": "꽃", "th": "ดอกไม้", "tr": "çiçek", "pl": "kwiat",
    "fi": "kukka", "hu": "virág", "vi": "hoa", "sv": "blomma",
}  # fmt: skip
FIRST = ("en", "fr", "ja", "de", "hi", "ru", "sw")
_TOKENS = (("Fran", "fr"), ("çais", "fr"), (":", None), (' "', None), ("fle", "fr"), ("ur", "fr"), ('"', None),
           (" -", None), (" Deutsch", "de"), (":", None), (' "', None))  # fmt: skip
_BYTES = "<0xE8>"


class AnyArguments(Message):
    """Arguments of any name."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


@dataclass(frozen=True)
class Standin:
    """What is planted.

    Attributes:
        lenses: as the opening lists them.
        adapters: as the opening lists them.
        rest: set to let a grid that waits after the last position go on.
        cancelled: prompts whose requests were cancelled while they ran.
    """

    lenses: tuple[str, ...] = ("logit", "tuned")
    adapters: tuple[str, ...] = ("",)
    rest: Event | None = None
    cancelled: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _View:
    name: str
    arguments: type[Message] = AnyArguments

    def parts(self, session: Standin, arguments: Any, run: RequestRun, /) -> Iterator[dict[str, Any]]:
        asked = arguments.model_dump()
        if (prompt := asked.get("prompt")) is not None and not prompt.strip():
            raise InputError("the prompt is empty; type one")
        if prompt and SLOW in prompt:
            try:
                while not run.cancelled.wait(0.02):
                    run.progress(1, 4)
            finally:
                session.cancelled.append(prompt)
        yield from {"open": _open, "grid": _grid, "words": _words, "languages": _languages}[self.name](
            session, asked, run
        )

    def code(self, session: Standin, arguments: Any, /) -> str:
        return f"ll.{self.name}({arguments.model_dump()})"


@contextmanager
def standin_views() -> Iterator[None]:
    """The stand-in's views are the ones that are known."""
    with pytest.MonkeyPatch.context() as patched:
        views = {name: _View(name) for name in ("open", "grid", "words", "languages")}
        patched.setattr(view_registry, "_VIEWS", views)
        patched.setattr(view_registry, "_load", lambda: None, raising=False)
        yield


@contextmanager
def serving_standin(standin: Standin | None = None) -> Iterator[str]:
    """The address of a page of the stand-in, with the real server and the real queue between."""
    with standin_views(), serving(standin or Standin()) as address:  # type: ignore[arg-type]
        yield address


def frozen_page(*, without: Collection[str] = ()) -> str:
    """A page that holds the replies to what it asks at first, as a file; but for some views."""
    opening = next(_open(Standin(), {}, _silent()))
    asked: dict[str, dict[str, Any]] = {
        "open": {}, "grid": {"prompt": PROMPT, "lens": "logit"},
        "words": {"prompt": PROMPT, "label": "flower", "languages": [*FIRST]},
        "languages": {"label": "flower", "languages": list(dict.fromkeys((*opening["first"], *WORDS)))[:20]},
    }  # fmt: skip
    recorded = []
    with standin_views():
        for view, arguments in asked.items():
            if view in without:
                continue
            parts = _View(view).parts(Standin(), AnyArguments(**arguments), _silent())
            replies = [
                *({"event": "part", "data": part} for part in parts),
                {"event": "done", "code": f"ll.{view}()"},
            ]
            recorded.append({"view": view, "arguments": arguments, "replies": replies})
    return explorer_page(f"frozenTransport({script_data(json.dumps(recorded))})")


def _silent() -> RequestRun:
    return RequestRun(0, lambda reply: None)


def token(text: str, code: str | None = None, *, part: bool = False) -> dict[str, Any]:
    """A token as a page is told of it."""
    number = sum(ord(char) * 31**at for at, char in enumerate(text)) % 262_144
    return {"id": number, "text": text, "language": code, **({"bytes": True} if part else {})}


def bell(layer: float, middle: float, width: float, height: float) -> float:
    """A hill over layers."""
    return height * math.exp(-(((layer - middle) / width) ** 2))


def curves(asked: str, *, shift: float = 0.0) -> dict[str, list[float]]:
    """Probability of each language's word at each layer."""
    found = {
        code: [0.002 + 0.001 * math.sin(layer + at) ** 2 for layer in range(1, LAYERS + 1)]
        for at, code in enumerate(WORDS)
    }
    found["en"] = [0.002 + bell(layer, PIVOT_AT + shift, 2.2, 0.34) for layer in range(1, LAYERS + 1)]
    found["fr"] = [0.002 + bell(layer, 6, 2.5, 0.06) for layer in range(1, LAYERS + 1)]
    found[asked] = [
        0.001 + 0.78 / (1 + math.exp(-(layer - ANSWER_FROM + 0.8) * 2)) for layer in range(1, LAYERS + 1)
    ]
    return found


def _open(standin: Standin, asked: dict[str, Any], run: RequestRun) -> Iterator[dict[str, Any]]:
    yield {
        "model": {"name": "gemma3-270m", "layers": LAYERS, "vocabulary": 262_144, "context": 32_768},
        "lenses": [{"id": name, "name": name} for name in standin.lenses],
        "adapters": [{"id": name, "name": name or "without adapter"} for name in standin.adapters],
        "languages": [
            {"code": entry.code, "name": entry.name, "own": entry.own_name, "rtl": entry.rtl}
            for entry in map(language, WORDS)
        ],
        "first": list(FIRST), "task": "translation",
        "concepts": [{"label": "flower", "name": "flower"}, {"label": "animal/dog", "name": "dog (animal)"}],
        "prompt": PROMPT,
        "examples": [
            {"title": "French to German: fleur", "prompt": PROMPT},
            {"title": "Japanese to French: 花", "prompt": '日本語: "花" - Français: "'},
            {"title": "English to Arabic: flower", "prompt": 'English: "flower" - العربية: "'},
        ],
        "views": ["grid", "words", "languages"], "saved": None,
    }  # fmt: skip


def _asked(prompt: str) -> str:
    named = [code for code in WORDS if language(code).own_name in prompt.split(" - ")[-1]]
    return named[-1] if named else "de"


def _grid(standin: Standin, asked: dict[str, Any], run: RequestRun) -> Iterator[dict[str, Any]]:
    prompt, aim = asked["prompt"], _asked(asked["prompt"])
    tokens = [token(text, code) for text, code in _TOKENS]
    if prompt != PROMPT:
        tokens = [token(f"{word} ") for word in prompt.split(" ") if word]
    label = "flower" if any(word in prompt for word in WORDS.values()) else None
    yield {
        "tokens": tokens, "label": label, "asked": aim, "named": ["fr", aim] if prompt == PROMPT else [aim],
        "window": {"from": 0, "to": len(tokens)},
    }  # fmt: skip
    last = len(tokens) - 1
    shift = 1.0 if asked.get("lens") == "tuned" else 0.0
    yield {"positions": [last], "cells": [_column(aim, last, last, shift=shift)]}
    if standin.rest is not None and not standin.rest.wait(60):
        raise InputError("nobody let the grid go on")
    for start in range(last - 1, -1, -4):
        positions = list(range(start, max(-1, start - 4), -1))
        run.check()
        yield {"positions": positions, "cells": [_column(aim, at, last, shift=shift) for at in positions]}
        run.progress(last - positions[-1], last)
    yield {"layer": PIVOT_AT, "unreliable": [1, 2, 3]}


def _column(aim: str, position: int, last: int, *, shift: float) -> list[dict[str, Any]]:
    return [_cell(aim, layer, position, last, shift=shift) for layer in range(1, LAYERS + 1)]


def _cell(aim: str, layer: int, position: int, last: int, *, shift: float = 0.0) -> dict[str, Any]:
    at = layer - 1
    if position == last:
        read = curves(aim, shift=shift)
        found = [(token(WORDS[code], code), read[code][at]) for code in ("en", aim, "fr")]
        found += [
            (token(HOSTILE), 0.02 if layer > 5 else 0.12),
            (token(_BYTES, part=True), 0.011 if layer != 4 else 0.2),
        ]
    else:
        text, code = _TOKENS[(position + 1) % len(_TOKENS)]
        sure = 0.05 + 0.6 * at / LAYERS
        odd = ("en", "fr", "ru", "ar", "hi")[(position * 7 + layer // 4) % 5]
        found = [
            (token(text, code), sure if layer > 6 else 0.03),
            (token(WORDS[odd], odd), bell(layer, 9 + position % 3, 3, 0.3)),
            (token("the", "en"), 0.04 if layer < 7 else 0.01), (token("▁\u200f", None), 0.008),
            (token(_BYTES, part=True), 0.05 if layer == 4 else 0.002),
        ]  # fmt: skip
    ordered = sorted(found, key=lambda pair: -pair[1])
    return {
        "top": [[found, round(p, 4)] for found, p in ordered],
        "entropy": round(11 - 10.4 * at / LAYERS, 3), "kl": round(12 * (1 - layer / LAYERS) ** 1.5, 3),
    }  # fmt: skip


def _words(standin: Standin, asked: dict[str, Any], run: RequestRun) -> Iterator[dict[str, Any]]:
    aim = _asked(asked["prompt"])
    read = curves(aim, shift=1.0 if asked.get("lens") == "tuned" else 0.0)
    rows: list[dict[str, Any]] = []
    own = asked.get("words")
    for code in own or (asked["languages"] if asked["label"] else ()):
        null = [0.004 + bell(layer, 11, 4, 0.012) for layer in range(1, LAYERS + 1)]
        missing = code == "sw"
        values = [None] * LAYERS if missing else read[code]
        rows.append({
            "kind": "word", "language": code, "word": own[code] if own else WORDS[code], "probability": values,
            "rank": [None] * LAYERS if missing else [max(1, round(1 / (p * p * 4))) for p in read[code]],
            "null": null, "low": [p / 4 for p in null], "high": [p * 2 for p in null],
            "why": "each of its tokens can begin another of these languages' words too" if missing else "",
        })  # fmt: skip
    for number in asked.get("tokens", ()):
        values = [0.01 + bell(layer, 8, 3, 0.1) for layer in range(1, LAYERS + 1)]
        rows.append({"kind": "token", "token": {"id": number, "text": f"token {number}", "language": "en"},
                     "probability": values, "rank": [round(1 / p) for p in values]})  # fmt: skip
    yield {"layers": list(range(1, LAYERS + 1)), "rows": rows}


def _languages(standin: Standin, asked: dict[str, Any], run: RequestRun) -> Iterator[dict[str, Any]]:
    for done, code in enumerate(asked["languages"], 1):
        run.check()
        if code == "hu":
            continue  # a language without a word
        read = curves(code, shift=(done % 5) - 2)
        cells = [_cell(code, layer, 0, 0, shift=(done % 5) - 2) for layer in range(1, LAYERS + 1)]
        yield {
            "language": code, "prompt": f'Français: "fleur" - {language(code).own_name}: "', "asked_word": WORDS[code],
            "tokens": 11, "cells": [{"top": cell["top"][:3], "entropy": cell["entropy"]} for cell in cells],
            "answer": read[code], "pivot": read["en"], "null": [0.006] * LAYERS,
        }  # fmt: skip
        run.progress(done, len(asked["languages"]))
