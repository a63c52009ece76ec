"""The manifest of a store: what it holds, of which model and prompts, and which shards are there.

It is the last file written when a store begins and the only one that changes while it grows. It holds no time and no
path, so that a run that was killed and resumed ends with the same bytes as one that was not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from latentlang.activations.shards import DTYPES, Layout
from latentlang.arguments import ranges
from latentlang.errors import InputError, shown
from latentlang.remote_paths import located
from latentlang.storage.documents import Record, checked, damaged, parse_json, read_json, reading
from latentlang.storage.files import exchange_bytes, sync_folder, write_bytes

FORMAT_VERSION = 2
_READ = (1, 2)
KIND = "latentlang-activations"
MANIFEST = "manifest.json"
PROMPTS = "prompts.parquet"
METADATA = "metadata.json"
#: Patterns of all files of a store, what a killed writer leaves included.
STORE_FILES = (MANIFEST, PROMPTS, METADATA, "shard-*.safetensors", ".*.partial", ".lock")


_REMEDY = "delete the store and run the same harvest again"
# Numbers are whole and of 63 bits wherever they come from.
_MOST_NUMBER = 2**63 - 1
_MOST_SLOTS = 100_000
_LONGEST_NAME = 100
# How often a manifest that others write too is tried to be written.
_TRIES = 5


def shard_name(number: int) -> str:
    """The file of a shard."""
    return f"shard-{number:05d}.safetensors"


def is_name(text: str) -> bool:
    """Whether a site or a pool can be called so: a dot divides names in a tensor's, and the rest is to be printed."""
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable() and "." not in text


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
        layout: sites, layers, pools, dtype and d_model.
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
            shards.append(Shard(shard_name(number), rows, self.layout.file_bytes(rows)))
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
        write_bytes(folder / MANIFEST, _content(self))
        sync_folder(folder)

    @property
    def identity(self) -> str:
        """SHA-256 of all but which shards are there: two that have the same may be filled into one store."""
        return hashlib.sha256(_content(self.with_shards())).hexdigest()

    def current(self, folder: Path) -> Manifest:
        """The same with the shards that the one in the folder has by now, which other processes may have written.

        Raises:
            InputError: the one there is gone, or of another store.
        """
        return _there(self, folder)[0]

    def note(self, folder: Path, number: int, shard: Shard) -> Manifest:
        """Say of a shard in the folder's manifest that it was written; what is there of the others stays.

        Args:
            folder: of the store.
            number: of the shard.
            shard: as it was written. What this manifest has in its place was known before.

        Raises:
            InputError: the manifest there is gone or of another store, another process wrote the shard meanwhile with
                other bytes, or it cannot be written.
        """
        for _ in range(_TRIES):
            there, was = _there(self, folder)
            found = there.shards[number].sha256
            clash = found not in (self.shards[number].sha256, shard.sha256)
            # whose bytes are there is not known then
            noted = there.with_shard(number, replace(shard, sha256=None) if clash else shard)
            if not exchange_bytes(folder / MANIFEST, _content(noted), was=was):
                continue
            sync_folder(folder)
            if clash:
                raise InputError(
                    f"another process wrote {shard.file} of the store {str(folder)!r} at the same time, with other "
                    "bytes; when it has ended, run the same command again: this shard is run anew, all others are kept"
                )
            return noted
        raise InputError(
            f"other processes change the manifest of the store {str(folder)!r} all the time; when they have ended, run "
            "the same command again"
        )


def _content(manifest: Manifest) -> bytes:
    """What the file of a manifest holds."""
    kept = manifest.layout
    layout = asdict(kept)
    if not kept.widths:
        del layout["widths"]
    layout["shape"] = [len(kept.sites), len(kept.layers), len(kept.pools), manifest.rows, kept.d_model]
    record = {
        "kind": KIND, "format": FORMAT_VERSION, "model": dict(manifest.model), "prompts": dict(manifest.prompts),
        "layout": layout, "shard_rows": manifest.shard_rows, "run": dict(manifest.run),
    }  # fmt: skip
    states = [
        asdict(shard) | {"state": "complete" if shard.complete else "missing"} for shard in manifest.shards
    ]
    # one line a fact and one a shard: a person reads it too
    lines = [f" {json.dumps(key)}: {_line(value)}" for key, value in record.items()]
    lines.append(' "shards": [\n  ' + ",\n  ".join(map(_line, states)) + "\n ]")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _there(manifest: Manifest, folder: Path) -> tuple[Manifest, bytes]:
    """A manifest with the shards of the one in the folder, and the bytes of that one.

    Raises:
        InputError: as of `Manifest.current`.
    """
    path = folder / MANIFEST
    with reading(path):
        content = path.read_bytes() if path.exists() else None
    if content is None:
        raise InputError(
            f"the store {str(folder)!r} was removed while it was filled: its {MANIFEST} is gone; run the same "
            "command again, or choose another folder"
        )
    if content == _content(manifest):
        return manifest, content
    there = _manifest_of(parse_json(content, shown(str(path)), then=_REMEDY), folder)
    if there.identity != manifest.identity:
        what = "; ".join(differences(there, manifest)) or "its prompts are others"
        raise InputError(
            f"the store {str(folder)!r} was replaced by another process while it was filled ({what}) and is left "
            "as it is; choose another folder"
        )
    return replace(manifest, shards=there.shards), content


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class _StoreLayout(Record):
    # format 1 called them streams
    sites: list[str] = Field(min_length=1, validation_alias=AliasChoices("sites", "streams"))
    layers: list[Annotated[int, Field(ge=0, le=_MOST_NUMBER)]] = Field(min_length=1)
    pools: list[str] = Field(min_length=1)
    dtype: Literal["float32", "bfloat16", "float16"]
    d_model: int = Field(ge=1, le=_MOST_NUMBER)
    widths: list[Annotated[int, Field(ge=1, le=_MOST_NUMBER)]] = Field(default_factory=list)


class _Shard(Record):
    file: str
    rows: int = Field(ge=1, le=_MOST_NUMBER)
    bytes: int = Field(ge=1, le=_MOST_NUMBER)
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None


class _Prompts(Record):
    model_config = ConfigDict(extra="allow")
    rows: int = Field(ge=1, le=_MOST_NUMBER)
    content: str
    sha256: str


class _Manifest(Record):
    kind: str
    format: int
    model: dict[str, Any]
    prompts: _Prompts
    layout: _StoreLayout
    shard_rows: int = Field(ge=1, le=_MOST_NUMBER)
    run: dict[str, Any]
    shards: list[_Shard] = Field(min_length=1)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        InputError: there is none, it is of another format, or it is damaged: a field is missing or of another kind, or
            it speaks of more than its shards can hold.
    """
    folder = located(folder)
    path = folder / MANIFEST
    with reading(path):
        present = path.exists()
    if not present:
        raise InputError(
            f"{str(folder)!r} holds no activation store (there is no {MANIFEST} in it); make one with "
            "`latentlang harvest --out`"
        )
    return _manifest_of(read_json(path, then=_REMEDY), folder)


def _manifest_of(record: Any, folder: Path) -> Manifest:
    """The manifest that a record read from a folder describes.

    Raises:
        InputError: as of `read_manifest`.
    """
    path = folder / MANIFEST
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise InputError(f"{str(path)!r} is no manifest of an activation store")
    if record.get("format") not in _READ:
        raise InputError(
            f"{str(folder)!r} is a store of format {shown(record.get('format'))}, and this version of latentlang reads "
            f"formats {_READ[0]} and {_READ[1]}; harvest again into another folder, or use the version that made it"
        )
    parsed = checked(_Manifest, record, path, then=_REMEDY)
    if (problem := _fault(parsed, folder)) is not None:
        raise damaged(path, problem, then=_REMEDY)
    layout = parsed.layout
    manifest = Manifest(
        model=dict(record["model"]),
        prompts=dict(record["prompts"]),
        layout=Layout(
            sites=tuple(layout.sites), layers=tuple(layout.layers), pools=tuple(layout.pools),
            dtype=layout.dtype, d_model=layout.d_model, widths=tuple(layout.widths),
        ),
        shard_rows=parsed.shard_rows,
        run=dict(record["run"]),
        shards=tuple(Shard(**shard.model_dump()) for shard in parsed.shards),
        format=parsed.format,
    )  # fmt: skip
    sizes = {rows: manifest.layout.file_bytes(rows) for rows in {shard.rows for shard in manifest.shards}}
    if any(shard.bytes != sizes[shard.rows] for shard in manifest.shards):
        raise damaged(path, "its shards do not add up to its shape", then=_REMEDY)
    return manifest


def _fault(manifest: _Manifest, folder: Path) -> str | None:
    """What in a manifest cannot be, before anything is made of its numbers; None where nothing is wrong."""
    layout, rows = manifest.layout, manifest.prompts.rows
    for kind, names in (("sites", layout.sites), ("layers", layout.layers), ("pools", layout.pools)):
        if len(set(names)) < len(names):
            return f"layout.{kind} names one twice"
    for name in (*layout.sites, *layout.pools):
        if not is_name(name):
            return f"{shown(name)} is no name of a site or a pool"
    slots = len(layout.sites) * len(layout.layers) * len(layout.pools)
    if slots > _MOST_SLOTS:
        return f"it speaks of {slots:,} layers and pools, more than any model has"
    if layout.widths and len(layout.widths) != len(layout.sites):
        return f"it has widths of {len(layout.widths)} sites and names {len(layout.sites)}"
    if len(manifest.shards) != -(-rows // manifest.shard_rows):
        return (
            f"{len(manifest.shards):,} shards of {manifest.shard_rows:,} prompts cannot hold {rows:,} prompts"
        )
    widths = layout.widths or [layout.d_model] * len(layout.sites)
    row_bytes = len(layout.layers) * len(layout.pools) * sum(widths) * DTYPES[layout.dtype].itemsize
    for number, shard in enumerate(manifest.shards):
        # Names come from a file that anyone may have written: none may lead out of the folder, or steer a terminal.
        if shard.file != shard_name(number):
            return f"the file of shard {number} is called {shown(shard.file)}, not {shard_name(number)!r}"
        if shard.rows != min(manifest.shard_rows, rows - number * manifest.shard_rows):
            return f"shard {number} has {shard.rows:,} prompts, which do not add up to {rows:,}"
        if shard.rows * row_bytes > shard.bytes:
            return (
                f"shard {number} cannot hold {shard.rows:,} prompts of {row_bytes:,} bytes in {shard.bytes:,}"
            )
    whole = next((shard for shard in manifest.shards if shard.sha256 is not None), None)
    if whole is None:
        return None
    try:
        size = (folder / whole.file).stat().st_size
    except OSError:
        return None  # reported by `quick_faults`, with what to do
    if size < whole.rows * row_bytes:
        return f"{whole.file} has {size:,} bytes and cannot hold {whole.rows:,} prompts of {row_bytes:,}"
    return None


def differences(stored: Manifest, planned: Manifest) -> list[str]:
    """What a store holds that a run would not add to it, in words; prompts aside, of which only the hash is known."""
    problems = []
    for old, new in (
        ({f"model {key}": value for key, value in side.model.items()} for side in (stored, planned)),
        (asdict(stored.layout), asdict(planned.layout)),
        ({"prompts per shard": stored.shard_rows}, {"prompts per shard": planned.shard_rows}),
        (stored.run, planned.run),
    ):
        for key in dict.fromkeys([*old, *new]):
            was, now = old.get(key), new.get(key)
            if _line(was) == _line(now):
                continue
            if key == "model weights":
                problems.append("the model has other weights")
            else:
                problems.append(f"{key.replace('_', ' ')} {_shown(was)} there, {_shown(now)} here")
    return problems


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ranges(value) if all(isinstance(entry, int) for entry in value) else ", ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {entry}" for key, entry in sorted(value.items()))
    return "none" if value is None else str(value)
