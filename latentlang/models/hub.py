"""From a hub id to a folder: what is in the cache is used as it is, what is not is fetched, and nothing ever hangs."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

from latentlang.errors import ModelError
from latentlang.models.checkpoint_files import weight_files
from latentlang.models.registry import REGISTRY, ModelInfo, gguf_models, several_gguf
from latentlang.storage.files import size_words

logger = logging.getLogger(__name__)

# Seconds to wait for the hub's first word before saying that there is no network.
_PATIENCE = 5.0
_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja")
_WEIGHTS = "*.safetensors"
# other people's formats of the same weights
_CONNECTION_ERRORS = frozenset(
    [
        "TransportError",
        "TimeoutException",
        "ConnectError",
        "ConnectionError",
        "Timeout",
        "ProxyError",
        "OfflineModeIsEnabled",
        "LocalEntryNotFoundError",
    ]
)
_NOT_NEEDED = ("original/*", "consolidated*", "onnx/*", "*.gguf", "*.bin", "*.pth", "*.msgpack", "*.h5")


class OnlyGGUFError(ModelError):
    """A repository that holds GGUF files and no safetensors; `files` are their names."""

    def __init__(self, name: str, files: list[str]) -> None:
        super().__init__(several_gguf(name, files))
        self.files = files


def offline() -> bool:
    """Whether the user asked for no network."""
    from huggingface_hub import constants

    transformers_offline = os.environ.get("TRANSFORMERS_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")
    return bool(constants.HF_HUB_OFFLINE) or transformers_offline


def fetch(info: ModelInfo, *, with_code: bool = False, weights: bool = True) -> tuple[Path, str]:
    """The folder of a hub model and its commit, from the cache or, where it is not whole there, from the network.

    Args:
        info: a model on the hub.
        with_code: whether Python files are fetched too (for ``trust_remote_code``).
        weights: False where only the tokenizer is wanted.

    Raises:
        ModelError: not cached and no network; no such model or revision; a licence to accept first; only
            pickles.
        OnlyGGUFError: it holds GGUF files only.
    """
    if info.gguf is not None:
        path, commit = fetch_gguf(info)
        return path.parent, commit
    patterns = [*_SMALL_FILES, *([_WEIGHTS] if weights else []), *(["*.py"] if with_code else [])]
    cached = _snapshot(info, patterns, local_files_only=True)
    if cached is not None and (
        is_whole_snapshot(cached) if weights else (cached / "tokenizer_config.json").exists()
    ):
        return cached, cached.name
    if cached is not None and (files := _cached_gguf(cached)):
        raise OnlyGGUFError(info.hub_id, files)
    if offline():
        raise _unreachable(info, "HF_HUB_OFFLINE is set", cached)
    _check_remote(info, cached)
    logger.warning("fetching %s from the Hugging Face hub%s", info.hub_id, _about(info))
    folder = _snapshot(info, patterns, local_files_only=False)
    if folder is None:
        raise _unreachable(info, "the download found nothing", cached)
    return folder, folder.name


def fetch_gguf(info: ModelInfo) -> tuple[Path, str]:
    """A GGUF file of a hub repository and its commit, from the cache or, where it is not there, from the network.

    Raises:
        ModelError: as `fetch`; or the repository has no such file.
    """
    assert info.gguf is not None
    cached = _snapshot(info, [info.gguf], local_files_only=True, gguf=True)
    if cached is not None and (cached / info.gguf).exists():
        return cached / info.gguf, cached.name
    if offline():
        raise _unreachable(info, "HF_HUB_OFFLINE is set", None, kind="file")
    _check_remote(info, None, kind="file")
    logger.warning("fetching %s of %s from the Hugging Face hub", info.gguf, info.hub_id)
    folder = _snapshot(info, [info.gguf], local_files_only=False, gguf=True)
    if folder is None or not (folder / info.gguf).exists():
        raise _unreachable(info, "the download found nothing", None, kind="file")
    return folder / info.gguf, folder.name


def _cached_gguf(folder: Path) -> list[str]:
    """GGUF files in a snapshot that has no weights in another format."""
    if (folder / "config.json").exists():
        return []
    return gguf_models(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _about(info: ModelInfo) -> str:
    """What a download will take, where it is known."""
    size = info.download_bytes
    return "" if size is None or info.gguf is not None else f" (about {size_words(size)})"


def fetch_adapter(adapter: str) -> Path:
    """The folder of an adapter on the hub (``org/name`` or ``org/name@revision``); errors as in `fetch`."""
    hub_id, _, revision = adapter.partition("@")
    info = ModelInfo(adapter, hub_id, revision=revision or None)
    patterns = ["adapter_config.json", "adapter_model.safetensors"]
    cached = _snapshot(info, patterns, local_files_only=True)
    if cached is not None and all((cached / name).exists() for name in patterns):
        return cached
    if offline():
        raise _unreachable(info, "HF_HUB_OFFLINE is set", cached, kind="adapter")
    _check_remote(info, cached, kind="adapter")
    folder = _snapshot(info, patterns, local_files_only=False)
    if folder is None:
        raise _unreachable(info, "the download found nothing", cached, kind="adapter")
    return folder


def is_whole_snapshot(folder: Path) -> bool:
    """Whether a folder of the cache has a config and all of its weights."""
    if not (folder / "config.json").exists():
        return False
    try:
        weight_files(folder)
    except ModelError:
        return False
    return True


def _snapshot(
    info: ModelInfo, patterns: list[str], *, local_files_only: bool, gguf: bool = False
) -> Path | None:
    """The hub's snapshot folder; None where the cache has none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                info.hub_id, revision=info.revision, allow_patterns=patterns,
                ignore_patterns=None if gguf else list(_NOT_NEEDED),
                local_files_only=local_files_only, etag_timeout=_PATIENCE,
            )
        )  # fmt: skip
    except LocalEntryNotFoundError:
        return None
    except Exception as error:
        raise _explain(info, error) from error


def _check_remote(info: ModelInfo, cached: Path | None, *, kind: str = "model") -> None:
    """Ask the hub, briefly, whether the model is there, open to this user, and kept in a safe format."""
    from huggingface_hub import HfApi

    try:
        remote = HfApi().model_info(info.hub_id, revision=info.revision, timeout=_PATIENCE)
        if remote.gated:
            HfApi().auth_check(info.hub_id)
    except Exception as error:
        if _is_connection(error):
            raise _unreachable(info, "the Hugging Face hub does not answer", cached, kind=kind) from error
        raise _explain(info, error) from error
    names = [file.rfilename for file in remote.siblings or ()]
    files = gguf_models(names)
    if info.gguf is not None:
        if info.gguf not in names:
            has = ", ".join(files) if files else "no GGUF file"
            raise ModelError(f"{info.hub_id!r} has no file {info.gguf!r}; it has {has}")
        return
    if files and kind == "model" and not any(name.endswith(".safetensors") for name in names):
        raise OnlyGGUFError(info.hub_id, files)
    if not any(name.endswith(".safetensors") for name in names):
        pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in names)
        has = "its weights only as pickles, which can run code" if pickled else "no weights"
        raise ModelError(
            f"{info.hub_id!r} has {has} (no *.safetensors); look for a converted copy, or convert it in a place "
            "you trust"
        )


def _is_connection(error: BaseException) -> bool:
    """Whether an error means that the network was not reached.

    Recognised by class names: the hub's client has changed its HTTP library more than once.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    unanswered = isinstance(error, OSError) and getattr(error, "response", None) is None
    return bool(names & _CONNECTION_ERRORS) or (unanswered and "HfHubHTTPError" not in names)


def _explain(info: ModelInfo, error: BaseException) -> ModelError:
    """One clear line for what the hub said."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in names:
        return ModelError(
            f"{info.hub_id!r}{_about(info)} is behind a licence: accept it at https://huggingface.co/{info.hub_id} and "
            "run `hf auth login`; meanwhile `--model pocket` needs neither"
        )
    if "RevisionNotFoundError" in names:
        return ModelError(
            f"{info.hub_id!r} has no revision {info.revision!r}; leave it out, or see the model's page"
        )
    if "RepositoryNotFoundError" in names:
        return ModelError(
            f"the hub has no model {info.hub_id!r} (or it is private: `hf auth login`); `latentlang models` lists "
            "short names"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
        return ModelError(
            f"cannot write {info.hub_id!r} into the hub's cache: {error.strerror}; set HF_HOME to a folder with room"
        )
    if _is_connection(error):
        return _unreachable(info, "the connection to the Hugging Face hub broke", None)
    return ModelError(f"cannot fetch {info.hub_id!r}: {_first_line(error)}")


def _unreachable(info: ModelInfo, why: str, cached: Path | None, *, kind: str = "model") -> ModelError:
    state = "only half in the local cache" if cached is not None else "not in the local cache"
    tag = f" --revision {info.revision}" if info.revision else ""
    short = f" (short name {info.name!r})" if info.name in REGISTRY else ""
    what = info.hub_id if info.gguf is None else f"{info.hub_id}:{info.gguf}"
    file = "" if info.gguf is None else f" {info.gguf}"
    return ModelError(
        f"the {kind} {what!r}{short} is {state} and {why}; where there is a network run "
        f"`hf download {info.hub_id}{file}{tag}`{_about(info)}, give a folder, or use "
        "`--model pocket`, which comes with this package"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
