"""GGUF files: dequantised once into a folder like any other, which is kept in the user's cache and loaded as it is.

An entry of the cache is named by the file's SHA-256 and the dtype, is written aside and renamed when it is whole, and
says what it was made with: another version of transformers makes it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from latentlang.errors import InputError, ModelError
from latentlang.installing import install_command
from latentlang.models.gguf_config import ROPE_FACTORS, mend_config
from latentlang.models.gguf_header import GGUFHeader, gguf_package, read_header
from latentlang.models.gguf_tokenizer import TOKENS, checked_tokenizer
from latentlang.models.quiet import quiet
from latentlang.paths import is_folder, user_cache
from latentlang.progress import is_bar_shown, reporting
from latentlang.storage.documents import Record, checked, printed, read_json
from latentlang.storage.files import file_sha256, size_words, write_text
from latentlang.storage.full import is_full
from latentlang.storage.seals import is_unchanged, sealed

logger = logging.getLogger(__name__)

# One more whenever what comes of a file changes here: entries of before are then made again.
_FORMAT = 1
_RECORD = "latentlang.json"
_WEIGHTS = "model.safetensors"
# Nothing else of what lies there is ours to remove.
_ENTRY = re.compile(r"\.?[0-9a-f]{64}-[a-z0-9]+(?:\.partial)?")
_PARTIAL, _LOCK, _SUM = ".partial", ".lock", ".sha256.json"
# A file that was changed so shortly ago may be changed again without another time of change.
_RACY_NS = 2 * 10**9
# What a tokenizer, a config and a file system's own notes may take beside the weights.
_ROOM = 256 * 2**20
_LEFT_SECONDS = 24 * 3600
#: How folders begin in which a file lies while it is dequantised.
ASSEMBLED = "latentlang-"
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Dequantised:
    """A GGUF file as a model's folder.

    Attributes:
        folder: with config.json, the tokenizer's files and model.safetensors.
        sha256: of the GGUF file.
        quantization: how its weights are packed (``"Q4_K_M"``).
        notes: what was noticed on the way.
        model: the model itself where there was no room for its weights in the folder; None where they are there.
        held: what keeps a temporary folder there.
    """

    folder: Path
    sha256: str
    quantization: str
    notes: tuple[str, ...] = ()
    model: Any = None
    held: Any = None


class _Record(Record):
    format: int
    sha256: str
    quantization: str
    dtype: str
    source: str
    packages: dict[str, str]
    notes: list[str]
    files: dict[str, Any]
    seen: dict[str, list[int]]


def cache_folder() -> Path:
    """Where dequantised files are kept."""
    return user_cache() / "gguf"


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
        ModelError: the file is damaged, of an architecture that transformers does not read, or `gguf` or `accelerate`
            is not installed.
    """
    digest = sha256 or known_sha256(path)
    kept = dtype if dtype in _BYTES else "float32"
    if (entry := cached_entry(digest, dtype, weights=weights)) is not None:
        return entry
    folder = cache_folder() / f"{digest}-{kept}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            # another process may have made it meanwhile
            return _entry(digest, kept) or _make_entry(path, folder, digest, kept, name=name)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        logger.warning(
            "%s is dequantised again next time: %r cannot be written (%s); LATENTLANG_CACHE names another folder",
            name, str(folder.parent), error.strerror or error,
        )  # fmt: skip
        return _in_memory(path, digest, kept, name=name)


def cached_entry(sha256: str, dtype: str, *, weights: bool = True) -> Dequantised | None:
    """The entry of a file that does for a dtype, by the file's hash; None where there is no whole one."""
    for kind in (dtype, "float32") if weights else _BYTES:
        if kind in _BYTES and (entry := _entry(sha256, kind)) is not None:
            return entry
    return None


def cache_entries() -> list[tuple[Path, int]]:
    """Folders of the cache and their sizes in bytes, with what killed runs left."""
    root = cache_folder()
    if not is_folder(root):
        return []
    entries = sorted(entry for entry in root.iterdir() if _ENTRY.fullmatch(entry.name) and entry.is_dir())
    return [
        (entry, sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())) for entry in entries
    ]


def clean_cache() -> None:
    """Remove all dequantised weights, but those that another process is making right now.

    Raises:
        InputError: one cannot be removed.
    """
    for entry, _ in cache_entries():
        with _alone(entry, wait=False) as ours:
            if not ours:
                continue
            try:
                aside = entry
                if not entry.name.endswith(_PARTIAL):  # gone at once for whoever looks, whatever happens then
                    aside = entry.with_name(f".{entry.name}{_PARTIAL}")
                    shutil.rmtree(aside, ignore_errors=True)
                    entry.rename(aside)
                shutil.rmtree(aside)
            except OSError as error:
                raise InputError(f"cannot remove {str(entry)!r}: {error.strerror or error}") from error
    for note in cache_folder().glob(f"*{_SUM}"):
        note.unlink(missing_ok=True)
    for left in cache_folder().glob(f"{ASSEMBLED}*"):
        with suppress(OSError):  # of a run that was killed; a running one needs it for minutes
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(left)


# The cache


def _entry(sha256: str, dtype: str) -> Dequantised | None:
    """A whole entry; None where there is none, it was spoilt, or another version made it."""
    folder = cache_folder() / f"{sha256}-{dtype}"
    try:
        if not (folder / _RECORD).is_file():
            return None
        record = checked(_Record, read_json(folder / _RECORD, kind=dict), folder / _RECORD)
    except (OSError, InputError):
        return None
    expected = (_FORMAT, sha256, dtype, _packages())
    if (record.format, record.sha256, record.dtype, record.packages) != expected:
        return None
    try:
        same = {name: _stamp(folder / name) for name in record.files} == record.seen
    except OSError:
        return None
    # where times tell nothing (a copied cache), the files are read
    if not same and not is_unchanged(folder, record.files):
        return None
    return Dequantised(folder, sha256, record.quantization, tuple(record.notes))


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _packages() -> dict[str, str]:
    """Versions that decide what comes of a file."""
    return {name: metadata.version(name) for name in ("transformers", "tokenizers")}


@contextmanager
def _alone(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep other processes from making the same entry; whether they are kept, where it is not waited for them."""
    try:
        import fcntl
    except ImportError:  # no locks: two may make it, and the first to be done keeps it
        yield True
        return
    path = folder.parent / f".{folder.name.strip('.').removesuffix(_PARTIAL)}{_LOCK}"
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not wait:
                yield False
                return
            logger.warning("another process is dequantising the same file; waiting for it")
            with suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
        yield True


def _make_entry(path: Path, folder: Path, sha256: str, dtype: str, *, name: str) -> Dequantised:
    """Make an entry: aside, and renamed when it is whole."""
    aside = folder.with_name(f".{folder.name}{_PARTIAL}")
    shutil.rmtree(aside, ignore_errors=True)  # what a killed run left; the lock is ours
    header, model, tokenizer, notes = _converted(path, dtype, name=name)
    need = _BYTES[dtype] * header.parameters
    try:
        aside.mkdir()
        free = shutil.disk_usage(aside).free
        if free < need + _ROOM // (1 if need > _ROOM else 16):
            raise _FullError(f"{size_words(free)} free")
        with _bar(shown=False):
            _save(model, tokenizer, aside, weights=True)
        names = sorted(file.name for file in aside.iterdir())
        record = {
            "format": _FORMAT, "sha256": sha256, "quantization": header.quantization, "dtype": dtype,
            "source": path.name, "packages": _packages(), "notes": list(notes),
            "files": sealed(aside, names, large=True),
            "seen": {file: _stamp(aside / file) for file in names},
        }  # fmt: skip
        write_text(aside / _RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        if folder.exists():  # spoilt, or of another version
            shutil.rmtree(folder)
        aside.rename(folder)
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
    header, model, tokenizer, notes = _converted(path, dtype, name=name)
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


def known_sha256(path: Path) -> str:
    """The hash of a file, from a note of the cache where size, inode and times are as they were.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    note = cache_folder() / f"{key}{_SUM}"
    with suppress(OSError, InputError, KeyError, TypeError):
        noted = read_json(note, kind=dict)
        if noted["stamp"] == stamp and isinstance(noted["sha256"], str):
            return str(noted["sha256"])
    read_header(path)  # refuse a file that is none before its gigabytes are read
    digest = file_sha256(path)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY_NS:
        with suppress(OSError, InputError):
            note.parent.mkdir(parents=True, exist_ok=True)
            write_text(note, json.dumps({"path": str(path), "stamp": stamp, "sha256": digest}) + "\n")
    return digest


# The conversion


def architectures() -> tuple[str, ...]:
    """Architectures of GGUF files that transformers reads, encoder-decoders left out."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES as LEGACY

    names = set(LEGACY) - {"general", "tokenizer", "t5", "umt5", "t5encoder"}
    with suppress(ImportError):  # of later versions
        from transformers.integrations.gguf import GGUF_ARCHS

        names |= set(GGUF_ARCHS)
    # transformers calls some otherwise than the files do
    other = {
        "qwen2_moe": "qwen2moe",
        "qwen3_moe": "qwen3moe",
        "gpt_oss": "gpt-oss",
        "minimax_m2": "minimax-m2",
    }
    return tuple(sorted({other.get(name, name) for name in names}))


def _converted(path: Path, dtype: str, *, name: str) -> tuple[GGUFHeader, Any, Any, tuple[str, ...]]:
    """The model of a file, dequantised, its tokenizer, and notes.

    Raises:
        ModelError: transformers cannot make it, or would leave something out.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    gguf_package()
    header = read_header(path, arrays=(TOKENS,))
    readable = architectures()
    if header.architecture not in readable:
        raise ModelError(
            f"{name!r} is a GGUF file of the architecture {header.architecture!r}, which transformers does not read "
            f"from GGUF; it reads {', '.join(readable)}. Use the model's own files (config.json and *.safetensors)"
        )
    try:
        metadata.version("accelerate")
    except metadata.PackageNotFoundError as error:
        raise ModelError(f"GGUF files need accelerate; `{install_command('gguf')}`") from error
    logger.info("dequantising %s (%s)", name, header.quantization)
    where: dict[str, Any] = {
        "gguf_file": path.name, "local_files_only": True, "trust_remote_code": False,
    }  # fmt: skip
    folder = str(path.parent.absolute())
    try:
        large, own = header.parameters > 2**27, is_bar_shown()
        with reporting(large and not own, f"dequantising {name}"), _bar(shown=large and own):
            config = AutoConfig.from_pretrained(folder, **where)
            mend_config(config, header, _rope_factors(header))
            model, report = AutoModelForCausalLM.from_pretrained(
                folder, config=config, dtype=getattr(torch, dtype), output_loading_info=True,
                ignore_mismatched_sizes=True, **where, **_unpacked(),
            )  # fmt: skip
            tokenizer = AutoTokenizer.from_pretrained(folder, **where)
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        line = printed(str(error).strip() or type(error).__name__, most=300)
        raise ModelError(f"{name!r} cannot be made of its GGUF file: {line}") from error
    _check_report(model, report, header, name=name)
    _forget_packing(model)
    tokenizer, notes = checked_tokenizer(tokenizer, header.metadata, name=name)
    return header, model.eval(), _plain(tokenizer), notes


def _unpacked() -> dict[str, Any]:
    """The option by which later versions of transformers unpack all weights, whatever kernels there are."""
    try:
        from transformers import GgufConfig
    except ImportError:
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _check_report(model: Any, report: Mapping[str, Any], header: GGUFHeader, *, name: str) -> None:
    """Refuse a model that lacks weights, or of whose file something would be left out."""
    if missing := sorted(report.get("missing_keys") or ()):
        raise ModelError(f"the GGUF file of {name!r} lacks {missing[0]!r}{_more(missing)}; {_AGAIN}")
    if mismatched := sorted(report.get("mismatched_keys") or ()):
        raise ModelError(
            f"the weight {mismatched[0][0]!r} of {name!r} has another shape than its metadata say{_more(mismatched)}; "
            f"{_AGAIN}"
        )
    left = sorted(report.get("unexpected_keys") or ()) or _not_read(model, header)
    if left:
        raise ModelError(
            f"transformers would leave out {left[0]!r}{_more(left)} of the GGUF file of {name!r}; use the model's own "
            "files (config.json and *.safetensors)"
        )


_AGAIN = "fetch the file again, or take another one"


def _more(keys: Sequence[Any]) -> str:
    return f" and {len(keys) - 1} more" if len(keys) > 1 else ""


def _not_read(model: Any, header: GGUFHeader) -> list[str]:
    """Tensors of a file that transformers' older reader has no place for, and leaves out without a word."""
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    with suppress(ImportError):
        from transformers.integrations.gguf import GGUF_ARCHS

        if header.architecture in GGUF_ARCHS:  # its newer reader reports what it has no place for
            return []
    processor = TENSOR_PROCESSORS.get(header.architecture, TensorProcessor)(config=model.config.to_dict())
    places = set(get_gguf_hf_weights_map(model, processor))
    # a head of its own, which that reader puts in its place apart from the others
    places |= {ROPE_FACTORS, "output.weight"}
    # experts that lie in one tensor have no suffix there
    return sorted(
        tensor.name
        for tensor in header.tensors
        if tensor.name not in places and tensor.name.removesuffix(".weight") not in places
    )


def _rope_factors(header: GGUFHeader) -> list[float] | None:
    """The tensor of rotary factors; None where the file has none."""
    import numpy as np

    entry = next((tensor for tensor in header.tensors if tensor.name == ROPE_FACTORS), None)
    if entry is None:
        return None
    if entry.kind != 0:
        raise ModelError(f"the tensor {ROPE_FACTORS!r} of {str(header.path)!r} is no float32; {_AGAIN}")
    factors = np.fromfile(
        header.path,
        dtype="<f4",
        count=entry.shape[-1] if entry.shape else 0,
        offset=header.start + entry.offset,
    )
    return [float(value) for value in factors]


def _forget_packing(model: Any) -> None:
    """Take off what says that the weights are packed: they are not any more, and could not be saved."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if name in model.__dict__:
            delattr(model, name)


def _plain(tokenizer: Any) -> Any:
    """The same tokenizer as its file alone makes it: a class of its own would build parts of it anew."""
    from transformers import PreTrainedTokenizerFast

    roles = ("bos_token", "eos_token", "unk_token", "pad_token")
    plain = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, clean_up_tokenization_spaces=False,
        **{role: value for role in roles if (value := getattr(tokenizer, role, None)) is not None},
    )  # fmt: skip
    plain.chat_template = getattr(tokenizer, "chat_template", None)
    return plain


@contextmanager
def _bar(*, shown: bool) -> Iterator[None]:
    """Keep the progress bar of dequantising off where nobody would see it move."""
    from transformers import modeling_gguf_pytorch_utils as reader

    bar = reader.tqdm
    if not shown:
        reader.tqdm = lambda things, **_: things
    try:
        with quiet(progress=shown):
            yield
    finally:
        reader.tqdm = bar
