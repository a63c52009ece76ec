"""Damaged copies of what a file holds: each key gone, each value of another kind, too large, too deep, or cut off."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

DEEP = json.loads("[" * 60 + "]" * 60)
#: Put in the place of every value; the names say which.
WRONG: dict[str, Any] = {
    "null": None, "true": True, "text": "x", "empty text": "", "control": "\x1b[31m\x07\u202e", "number": 7,
    "negative": -3, "fraction": 2.5, "huge": 10**18, "larger": 10**30, "tiny": 1e-300, "infinite": float("inf"),
    "nan": float("nan"), "list": [], "mapping": {}, "numbers": [1, None, "x"], "nested": {"a": {"b": [DEEP]}},
    "long": "y" * 10_000, "path": "../../etc/passwd",
}  # fmt: skip
#: Bytes that are no file of any kind.
JUNK = {
    "empty": b"", "zeros": bytes(64), "binary": bytes(range(256)), "brackets": b"[" * 100_000, "list": b"[]",
    "null": b"null", "number": b"7", "digits": b"1" * 5000, "not utf-8": b'{"a": "\xff"}', "nan": b"NaN",
    "objects": b'{"a":' * 50_000, "surrogate": b'{"kind": "\\ud800"}', "huge header": b"\xff" * 16 + b"{}",
    "claimed header": (2**40).to_bytes(8, "little") + b"{}",
}  # fmt: skip


def changed(record: Any) -> Iterator[tuple[str, Any]]:
    """Copies of a record with one thing wrong, each with words for what; a third of the values at each place."""
    for number, path in enumerate(_places(record)):
        where = "/".join(map(str, path))
        parent = _at(record, path[:-1])
        yield f"without {where}", _with(record, path, gone=True)
        for name, value in list(WRONG.items())[number % 3 :: 3]:
            if value != parent[path[-1]]:
                yield f"{name} at {where}", _with(record, path, value)
    for name, value in WRONG.items():
        yield f"{name} in place of all", value


def cut(content: bytes, *, pieces: int = 9) -> Iterator[tuple[str, bytes]]:
    """A file's bytes cut short, with a byte flipped, and other files' in their place."""
    for place in range(pieces):
        size = len(content) * place // pieces
        yield f"{size} of {len(content)} bytes", content[:size]
        flipped = bytearray(content)
        flipped[size] ^= 0xFF
        yield f"byte {size} flipped", bytes(flipped)
    yield "one byte less", content[:-1]
    yield "one byte more", content + b"\x00"
    yield from JUNK.items()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a record; of a list only the first entry, since the others are of its kind."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _at(record: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        record = record[key]
    return record


def _with(record: Any, path: tuple[Any, ...], value: Any = None, *, gone: bool = False) -> Any:
    made = copy.deepcopy(record)
    parent = _at(made, path[:-1])
    if gone:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return made
