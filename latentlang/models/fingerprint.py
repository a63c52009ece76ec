"""Which model activations are of: its names, and a fingerprint of its weights that tells a retrained one apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentlang.errors import ModelError
from latentlang.models.checkpoint_files import FETCH_AGAIN, safetensors_header, weight_files
from latentlang.models.data_package import data_package
from latentlang.models.gguf_cache import known_sha256
from latentlang.models.registry import ModelInfo, resolve
from latentlang.models.weight_sample import fingerprint
from latentlang.storage import documents

if TYPE_CHECKING:
    from latentlang.models.hooked import HookedLM


def model_identity(model: HookedLM) -> dict[str, Any]:
    """Name, revision, adapter (the one that is on, if any), class, and `fingerprint` of a model.

    Of several adapters, or one at another strength, it is said which are on and how strongly: no weight tells that.
    """
    state = model.adapter_state
    return {
        "name": model.name,
        "revision": model.revision,
        "adapter": model.active_adapter,
        "class": type(model.lm).__name__,
        "weights": fingerprint(model.model),
        **({} if state is None else {"adapters": state}),
        **({"edits": model.edits} if model.edits else {}),
    }


# Of each weight file, for its fingerprint.
_FILE_SAMPLES, _SAMPLE_BYTES = 64, 256


def checkpoint_fingerprint(folder: Path) -> str:
    """Twelve hex digits that change with a model's config, tensor names, shapes, file sizes or weights.

    Of the weights a few kilobytes of each file are read, evenly spread: training again changes nearly all of them, and
    reading 15 GB would take longer than many an analysis of the model.
    """
    config = folder / "config.json"
    with documents.reading(config, then=FETCH_AGAIN, error=ModelError):
        digest = hashlib.sha256(config.read_bytes())
    for file in weight_files(folder):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}:".encode())
        digest.update(json.dumps(safetensors_header(file), sort_keys=True).encode())
        with file.open("rb") as stream:
            for sample in range(_FILE_SAMPLES):
                stream.seek(size * sample // _FILE_SAMPLES)
                digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:12]


# Weights up to this size are read whole; of larger ones, some bytes and the time of the last change.
_READ_WHOLE = 2 << 30


_LOOKS, _LOOK_BYTES = 64, 4096


_SMALL_FILES = ("*.json", "*.model", "*.txt", "*.tiktoken")


def model_key(info: ModelInfo) -> str:
    """What tells a model from another of its name without loading it: a hash of its files, or its commit on the hub."""
    if not info.local:
        file = "" if info.gguf is None else f":{info.gguf}"
        commit = cached_commit(info)
        if commit is None and (package := data_package(info)) is not None and package.installed:
            return package.sha256
        return f"{info.hub_id}@{commit or info.revision or 'main'}{file}"
    if info.gguf is not None:
        return known_sha256(Path(info.hub_id))
    folder, digest = Path(info.hub_id), hashlib.sha256()
    small = {path for pattern in _SMALL_FILES for path in folder.glob(pattern)}
    for path in sorted({*small, *weight_files(folder)}):
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} ".encode())
        with path.open("rb") as stream:
            if status.st_size <= _READ_WHOLE:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
                continue
            digest.update(str(status.st_mtime_ns).encode())
            for sample in range(_LOOKS):
                stream.seek(sample * (status.st_size - _LOOK_BYTES) // (_LOOKS - 1))
                digest.update(stream.read(_LOOK_BYTES))
    return digest.hexdigest()


def cached_commit(info: ModelInfo) -> str | None:
    """The commit of a hub model that lies in the local cache; None where it does not."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(info.hub_id, info.gguf or "config.json", revision=info.revision)
    if not isinstance(cached, str):
        return None
    return Path(cached).parents[(info.gguf or "").count("/")].name


def model_keys(names: Sequence[str]) -> dict[str, str]:
    """The key of each model."""
    return {name: model_key(resolve(name)) for name in names}
