"""The manifest of a store: what it holds, of which model and prompts, and which shards are there.

It is the last file written when a store begins and the only one that changes while it grows. It holds no time and no
path, so that a run that was killed and resumed ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from latentlang.activations.shards import DTYPES, Layout
from latentlang.arguments import ranges
from latentlang.errors import InputError
from latentlang.storage.files import sync_folder, write_bytes

FORMAT_VERSION = 1
KIND = "latentlang-activations"
MANIFEST = "manifest.json"
PROMPTS = "prompts.parquet"
METADATA = "metadata.json"


@dataclass(frozen=True)
class Shard:
    """One file of consecutive prompts.

    Attributes:
        file: its name.
        rows: number of prompts in it.
        bytes: its size.
        sha256: SHA-256 of the file, in hexadecimal; None while it is missing.
    """

    file: str
    rows: int
    bytes: int
    sha256: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it has been written."""
        return self.sha256 is not None


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    Attributes:
        model: ``name``, ``revision``, ``adapter`` and ``weights`` (a fingerprint) of the model.
        prompts: ``rows``, ``content`` (SHA-256 of texts and tokens), ``sha256`` of the prompts' file.
        layout: streams, layers, pools, dtype and d_model.
        shard_rows: prompts per shard; the last one may have fewer.
        run: what else decides the last bit of a number: ``batch_tokens``, ``share``, ``device``, package versions.
        shards: the files, in the order of the prompts.
        format: version of the format.
    """

    model: Mapping[str, Any]
    prompts: Mapping[str, Any]
    layout: Layout
    shard_rows: int
    run: Mapping[str, Any] = field(default_factory=dict)
    shards: tuple[Shard, ...] = ()
    format: int = FORMAT_VERSION

    @property
    def rows(self) -> int:
        """Number of prompts."""
        return int(self.prompts["rows"])

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(shard.bytes for shard in self.shards)

    def with_shards(self) -> Manifest:
        """The same with its list of shards, all missing."""
        shards = []
        for number, start in enumerate(range(0, self.rows, self.shard_rows)):
            rows = min(self.shard_rows, self.rows - start)
            shards.append(Shard(f"shard-{number:05d}.safetensors", rows, self.layout.file_bytes(rows)))
        return replace(self, shards=tuple(shards))

    def with_shard(self, number: int, shard: Shard) -> Manifest:
        """The same with one shard replaced."""
        shards = list(self.shards)
        shards[number] = shard
        return replace(self, shards=tuple(shards))

    def write(self, folder: Path) -> None:
        """Put it into a folder, in place of the one there, and make the names of all files there last.

        Raises:
            InputError: it cannot be written.
        """
        layout = asdict(self.layout)
        layout["shape"] = [
            len(self.layout.streams), len(self.layout.layers), len(self.layout.pools), self.rows, self.layout.d_model,
        ]  # fmt: skip
        record = {
            "kind": KIND, "format": self.format, "model": dict(self.model), "prompts": dict(self.prompts),
            "layout": layout, "shard_rows": self.shard_rows, "run": dict(self.run),
        }  # fmt: skip
        states = [
            asdict(shard) | {"state": "complete" if shard.complete else "missing"} for shard in self.shards
        ]
        # one line a fact and one a shard: a person reads it too
        lines = [f" {json.dumps(key)}: {_line(value)}" for key, value in record.items()]
        lines.append(' "shards": [\n  ' + ",\n  ".join(map(_line, states)) + "\n ]")
        write_bytes(folder / MANIFEST, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
        sync_folder(folder)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        InputError: there is none, it is of another format, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{str(folder)!r} holds no activation store (there is no {MANIFEST} in it); make one with "
            "`latentlang harvest --out`"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise InputError(f"{str(path)!r} is no manifest of an activation store")
    if record.get("format") != FORMAT_VERSION:
        raise InputError(
            f"{str(folder)!r} is a store of format {record.get('format')!r}, and this version of latentlang reads "
            f"format {FORMAT_VERSION}; harvest again into another folder, or use the version that made it"
        )
    try:
        return _parsed(record)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{str(path)!r} is damaged: {type(error).__name__} {error}") from error


def _parsed(record: Mapping[str, Any]) -> Manifest:
    layout = record["layout"]
    if layout["dtype"] not in DTYPES:
        raise ValueError(f"dtype {layout['dtype']!r}")
    shards = []
    for entry in record["shards"]:
        name = entry["file"]
        # names come from a file that anyone may have written: they must not lead out of the folder
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"shard name {name!r}")
        shards.append(Shard(name, int(entry["rows"]), int(entry["bytes"]), entry["sha256"]))
    manifest = Manifest(
        model=dict(record["model"]),
        prompts=dict(record["prompts"]),
        layout=Layout(
            streams=tuple(map(str, layout["streams"])),
            layers=tuple(map(int, layout["layers"])),
            pools=tuple(map(str, layout["pools"])),
            dtype=layout["dtype"],
            d_model=int(layout["d_model"]),
        ),
        shard_rows=int(record["shard_rows"]),
        run=dict(record["run"]),
        shards=tuple(shards),
        format=int(record["format"]),
    )
    planned = [(shard.rows, shard.bytes) for shard in manifest.with_shards().shards]
    if planned != [(shard.rows, shard.bytes) for shard in shards]:
        raise ValueError("its shards do not add up to its shape")
    return manifest


def differences(there: Manifest, planned: Manifest) -> list[str]:
    """What a store holds that a run would not add to it, in words; prompts aside, of which only the hash is known."""
    found = []
    for old, new in (
        ({f"model {key}": value for key, value in side.model.items()} for side in (there, planned)),
        (asdict(there.layout), asdict(planned.layout)),
        ({"prompts per shard": there.shard_rows}, {"prompts per shard": planned.shard_rows}),
        (there.run, planned.run),
    ):
        for key in dict.fromkeys([*old, *new]):
            was, now = old.get(key), new.get(key)
            if _line(was) == _line(now):
                continue
            if key == "model weights":
                found.append("the model has other weights")
            else:
                found.append(f"{key.replace('_', ' ')} {_shown(was)} there, {_shown(now)} here")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ranges(value) if all(isinstance(entry, int) for entry in value) else ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {entry}" for key, entry in sorted(value.items()))
    return "none" if value is None else str(value)
