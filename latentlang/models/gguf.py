"""GGUF files: dequantised once into a folder like any other, which is kept in the user's cache and loaded as it is."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, ModelError
from latentlang.models.gguf_cache import (
    KEPT_DTYPES,
    Dequantised,
    alone,
    cache_folder,
    cached_entry,
    known_sha256,
    partial_folder,
    publish,
    whole_entry,
)  # fmt: skip
from latentlang.models.gguf_conversion import converted, dequantising_bar
from latentlang.models.gguf_header import GGUFHeader
from latentlang.storage.files import size_words
from latentlang.storage.full import is_full

logger = logging.getLogger(__name__)

_WEIGHTS = "model.safetensors"
# What a tokenizer, a config and a file system's own notes may take beside the weights.
_ROOM = 256 * 2**20


def dequantised(
    path: Path, *, name: str, dtype: str, sha256: str | None = None, weights: bool = True
) -> Dequantised:
    """A GGUF file as a folder of the cache, made now if it is not there.

    Args:
        path: the file.
        name: the model's name, for what is said.
        dtype: of the weights that are wanted (``"float32"``); an entry in float32 does for every other.
        sha256: of the file, where it is known.
        weights: False where only the tokenizer is wanted, for which an entry of any dtype will do.

    Raises:
        ModelError: the file is damaged, of an architecture that transformers does not read, or a package of the extra
            ``gguf`` is not installed.
    """
    digest = sha256 or known_sha256(path)
    kept = dtype if dtype in KEPT_DTYPES else "float32"
    if (entry := cached_entry(digest, dtype, weights=weights)) is not None:
        return entry
    folder = cache_folder() / f"{digest}-{kept}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            # another process may have made it meanwhile
            return whole_entry(digest, kept) or _make_entry(path, folder, digest, kept, name=name)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        logger.warning(
            "%s is dequantised again next time: %r cannot be written (%s); LATENTLANG_CACHE names another folder",
            name, str(folder.parent), error.strerror or error,
        )  # fmt: skip
        return _in_memory(path, digest, kept, name=name)


def _make_entry(path: Path, folder: Path, sha256: str, dtype: str, *, name: str) -> Dequantised:
    """Make an entry: aside, and renamed when it is whole."""
    aside = partial_folder(folder)
    header, model, tokenizer, notes = converted(path, dtype, name=name)
    need = KEPT_DTYPES[dtype] * header.parameters
    try:
        aside.mkdir()
        free = shutil.disk_usage(aside).free
        if free < need + _ROOM // (1 if need > _ROOM else 16):
            raise _FullError(f"{size_words(free)} free")
        with dequantising_bar(shown=False):
            _save(model, tokenizer, aside, weights=True)
        publish(aside, folder, source=path.name, quantization=header.quantization, notes=notes)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if not isinstance(error, _FullError) and not is_full(error) and not is_full(error.__cause__ or error):
            raise
        logger.warning(
            "%s is loaded, and dequantised again next time: there is no room for its %s in %r (%s); make room, or name "
            "another folder by LATENTLANG_CACHE",
            name, size_words(need), str(folder.parent), error,
        )  # fmt: skip
        return _with_model(model, tokenizer, header, sha256, notes, name=name)
    size = sum(file.stat().st_size for file in folder.iterdir())
    logger.warning(
        "%s (%s) was dequantised to %s; %s are kept in %r, and `latentlang models --clean` removes them",
        name, header.quantization, dtype, size_words(size), str(folder),
    )  # fmt: skip
    return Dequantised(folder, sha256, header.quantization, notes)


class _FullError(OSError):
    """There is less room than the weights need."""


def _in_memory(path: Path, sha256: str, dtype: str, *, name: str) -> Dequantised:
    header, model, tokenizer, notes = converted(path, dtype, name=name)
    return _with_model(model, tokenizer, header, sha256, notes, name=name)


def _with_model(
    model: Any, tokenizer: Any, header: GGUFHeader, sha256: str, notes: tuple[str, ...], *, name: str
) -> Dequantised:
    """A model in memory, and a temporary folder with its config and tokenizer."""
    try:
        kept = tempfile.TemporaryDirectory(prefix="latentlang-")
        _save(model, tokenizer, Path(kept.name), weights=False)
    except OSError as error:
        raise ModelError(
            f"no room for the tokenizer of {name!r} in {tempfile.gettempdir()!r} ({error.strerror or error}); make "
            "room, or name other folders by TMPDIR and LATENTLANG_CACHE"
        ) from error
    return Dequantised(Path(kept.name), sha256, header.quantization, notes, model, kept)


def _save(model: Any, tokenizer: Any, folder: Path, *, weights: bool) -> None:
    """Write a model's folder; its weights in one file."""
    if weights:
        model.save_pretrained(folder, max_shard_size="1TB")
        with (folder / _WEIGHTS).open("rb+") as stream:
            os.fsync(stream.fileno())
        (folder / _WEIGHTS).chmod((folder / "config.json").stat().st_mode)
    else:
        model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
