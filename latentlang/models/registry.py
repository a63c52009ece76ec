"""Short names of models: what they stand for, and what of it lies in the local cache."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latentlang.errors import InputError, ModelError, shown, unknown
from latentlang.paths import given_path, is_file, is_folder
from latentlang.printable import printable

POCKET_FOLDER = Path(__file__).parent / "pocket"
_GGUF = ".gguf"
# Characters of what a user calls a model: more stand in no title.
_LONGEST_TITLE = 80
# Bytes of a weight; and the models whose files have all of them (most are published in half precision).
_HALF, _FLOAT32 = 2, 4
_STORED_WHOLE = ("openai-community/gpt2", "allenai/OLMo-2-1124-7B")
_HUB_ID = re.compile(
    r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<gguf>[\w.+-]+(?:/[\w.+-]+)*\.gguf))?",
    re.IGNORECASE,
)

# A folder of the hub's cache.
_CACHED = re.compile(r"/models--(?P<id>[\w.-]+?--[\w.-]+)/snapshots/[0-9a-f]{40}/?$")


@dataclass(frozen=True)
class ModelInfo:
    """What a model's name stands for.

    Attributes:
        name: short name (``"mistral"``), or what the user gave; or what the user calls it.
        hub_id: id on the Hugging Face hub (``"mistralai/Mistral-7B-v0.1"``), or the path of a folder or GGUF file.
        family: architecture family (``"mistral"``); empty where not known before loading.
        english_centric: whether mostly English text was seen in pre-training; None where not known.
        gated: whether the hub asks to accept a licence first (the hub has the last word).
        revision: branch, tag or commit asked for; None for the default.
        local: whether `hub_id` is a folder, or a GGUF file, on this machine.
        gguf: the GGUF file's name; None for safetensors, or where a hub repository has to be asked.
        parameters: about how many weights it has, as published; None where not known.
        given: what the user gave, where the user calls the model otherwise.
    """

    name: str
    hub_id: str
    family: str = ""
    english_centric: bool | None = None
    gated: bool = False
    revision: str | None = None
    local: bool = False
    gguf: str | None = None
    parameters: int | None = None
    given: str | None = None

    @property
    def download_bytes(self) -> int | None:
        """About how much its weights take on the hub; None where not known."""
        if self.parameters is None or self.local:
            return None
        return self.parameters * (_FLOAT32 if self.hub_id in _STORED_WHOLE else _HALF)


# name, hub id, family, English-centric, gated, millions of weights (about, as published)
_ROWS: tuple[tuple[str, str, str, bool, bool, int], ...] = (
    ("mistral", "mistralai/Mistral-7B-v0.1", "mistral", True, False, 7242),
    ("mistral-v0.3", "mistralai/Mistral-7B-v0.3", "mistral", True, False, 7248),
    ("llama2-7b", "meta-llama/Llama-2-7b-hf", "llama", True, True, 6738),
    ("llama2-13b", "meta-llama/Llama-2-13b-hf", "llama", True, True, 13016),
    ("llama3-8b", "meta-llama/Meta-Llama-3-8B", "llama", True, True, 8030),
    ("llama3.1-8b", "meta-llama/Llama-3.1-8B", "llama", True, True, 8030),
    ("llama3.2-1b", "meta-llama/Llama-3.2-1B", "llama", True, True, 1236),
    ("llama3.2-3b", "meta-llama/Llama-3.2-3B", "llama", True, True, 3213),
    ("qwen1.5-0.5b", "Qwen/Qwen1.5-0.5B", "qwen2", False, False, 620),
    ("qwen1.5-1.8b", "Qwen/Qwen1.5-1.8B", "qwen2", False, False, 1837),
    ("qwen1.5-4b", "Qwen/Qwen1.5-4B", "qwen2", False, False, 3950),
    ("qwen1.5-7b", "Qwen/Qwen1.5-7B", "qwen2", False, False, 7721),
    ("qwen1.5-14b", "Qwen/Qwen1.5-14B", "qwen2", False, False, 14167),
    ("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B", "qwen2", False, False, 494),
    ("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B", "qwen2", False, False, 1544),
    ("qwen2.5-7b", "Qwen/Qwen2.5-7B", "qwen2", False, False, 7616),
    ("qwen2.5-14b", "Qwen/Qwen2.5-14B", "qwen2", False, False, 14770),
    ("qwen3-0.6b", "Qwen/Qwen3-0.6B-Base", "qwen3", False, False, 596),
    ("qwen3-1.7b", "Qwen/Qwen3-1.7B-Base", "qwen3", False, False, 1721),
    ("qwen3-4b", "Qwen/Qwen3-4B-Base", "qwen3", False, False, 4022),
    ("qwen3-8b", "Qwen/Qwen3-8B-Base", "qwen3", False, False, 8191),
    ("qwen3-14b", "Qwen/Qwen3-14B-Base", "qwen3", False, False, 14768),
    ("gemma-2b", "google/gemma-2b", "gemma", True, True, 2506),
    ("gemma-7b", "google/gemma-7b", "gemma", True, True, 8538),
    ("gemma2-2b", "google/gemma-2-2b", "gemma2", True, True, 2614),
    ("gemma2-9b", "google/gemma-2-9b", "gemma2", True, True, 9242),
    ("gemma3-270m", "google/gemma-3-270m", "gemma3_text", False, True, 268),
    ("gemma3-1b", "google/gemma-3-1b-pt", "gemma3_text", True, True, 1000),
    ("gemma3-4b", "google/gemma-3-4b-pt", "gemma3", False, True, 4300),
    ("gemma3-12b", "google/gemma-3-12b-pt", "gemma3", False, True, 12187),
    ("aya-expanse-8b", "CohereLabs/aya-expanse-8b", "cohere", False, True, 8028),
    ("eurollm-1.7b", "utter-project/EuroLLM-1.7B", "llama", False, False, 1657),
    ("eurollm-9b", "utter-project/EuroLLM-9B", "llama", False, True, 9154),
    ("salamandra-2b", "BSC-LT/salamandra-2b", "llama", False, False, 2253),
    ("salamandra-7b", "BSC-LT/salamandra-7b", "llama", False, False, 7768),
    ("bloom-560m", "bigscience/bloom-560m", "bloom", False, False, 559),
    ("bloom-1b1", "bigscience/bloom-1b1", "bloom", False, False, 1065),
    ("bloom-1b7", "bigscience/bloom-1b7", "bloom", False, False, 1722),
    ("bloom-3b", "bigscience/bloom-3b", "bloom", False, False, 3003),
    ("bloom-7b1", "bigscience/bloom-7b1", "bloom", False, False, 7069),
    ("bloomz-560m", "bigscience/bloomz-560m", "bloom", False, False, 559),
    ("bloomz-7b1", "bigscience/bloomz-7b1", "bloom", False, False, 7069),
    ("olmo2-7b", "allenai/OLMo-2-1124-7B", "olmo2", True, False, 7299),
    ("phi3-mini", "microsoft/Phi-3-mini-4k-instruct", "phi3", True, False, 3821),
    ("smollm2-135m", "HuggingFaceTB/SmolLM2-135M", "llama", True, False, 135),
    ("smollm2-360m", "HuggingFaceTB/SmolLM2-360M", "llama", True, False, 362),
    ("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B", "llama", True, False, 1711),
    ("smollm3-3b", "HuggingFaceTB/SmolLM3-3B-Base", "smollm3", True, False, 3075),
    ("gpt2", "openai-community/gpt2", "gpt2", True, False, 124),
)
_POCKET = tuple(
    ModelInfo(name, str(POCKET_FOLDER / name), "mistral", english, local=True)
    for name, english in (("pocket", True), ("pocket-control", False))
)

REGISTRY: dict[str, ModelInfo] = {
    **{info.name: info for info in _POCKET},
    **{row[0]: ModelInfo(*row[:-1], parameters=row[-1] * 10**6) for row in _ROWS},
}


def resolve(
    name: str | os.PathLike[str], *, revision: str | None = None, called: str | None = None
) -> ModelInfo:
    """Find what a name stands for: a short name, a folder, a GGUF file, or a hub id (``org/name@revision:file.gguf``).

    Args:
        name: short name, folder, GGUF file or hub id.
        revision: branch, tag or commit on the hub; the same as ``@revision``.
        called: what the user calls the model, in titles and results; by default `name`.

    Raises:
        ModelError: the name is none of these, the folder does not exist, or two revisions are named.
        InputError: `called` cannot stand in a title.
    """
    info = _found(name, revision=revision)
    if called is None or called == info.name:
        return info
    return replace(info, name=check_title(called), given=info.name)


def name_of(place: str) -> str:
    """What a model is called that was read from a place, as `latentlang models` lists it.

    Args:
        place: what transformers notes as ``name_or_path``: a folder, of the hub's cache or another, or a hub id.

    Returns:
        Of an embedded model's folder and one of the cache its short name, or its hub id, where it has none; what was
        given, of any other.
    """
    if (cached := _CACHED.search(Path(place).as_posix())) is None:
        return next((info.name for info in _POCKET if Path(place) == Path(info.hub_id)), place)
    hub_id = cached["id"].replace("--", "/")
    return next((info.name for info in REGISTRY.values() if info.hub_id == hub_id), hub_id)


def check_title(name: str) -> str:
    """What a user calls a model, if it can stand in a title.

    Raises:
        InputError: it is empty, too long, or not one line of text.
    """
    is_line = isinstance(name, str) and printable(name) == name and [name] == name.splitlines()
    if not is_line or not name.strip() or len(name) > _LONGEST_TITLE:
        raise InputError(
            f"name={shown(name)} is what a model is called in titles and results: one line of 1 to {_LONGEST_TITLE} "
            "characters"
        )
    return name.strip()


def _found(name: str | os.PathLike[str], *, revision: str | None) -> ModelInfo:
    if not isinstance(name, str | os.PathLike):
        raise ModelError(
            f"a model is named by its short name, hub id or folder, not {shown(name)}; an object of transformers goes "
            "to HookedLM(model, tokenizer)"
        )
    text = os.fspath(name).strip()
    if not text:
        raise ModelError("no model named; `latentlang models` lists the short names")
    path = given_path(text)
    short, _, tag = text.partition("@")
    info = REGISTRY.get(short.casefold())
    if info is not None:
        if info.local and (tag or revision):
            raise ModelError(f"the model {info.name!r} comes with this package and has no revisions")
        pinned = _one_revision(text, tag or None, revision)
        return info if pinned is None else ModelInfo(**{**info.__dict__, "revision": pinned})
    if is_folder(path):
        if revision:
            raise ModelError(f"{text!r} is a folder and has no revisions; leave revision={revision!r} out")
        shipped = {info.hub_id: info for info in REGISTRY.values()}.get(str(path))
        return shipped or _folder_info(text, path)
    if (file := _gguf_file(text, path)) is not None:
        if revision:
            raise ModelError(f"{text!r} is a file and has no revisions; leave revision={revision!r} out")
        return ModelInfo(text, str(file), local=True, gguf=file.name)
    if is_file(path):
        raise ModelError(
            f"{text!r} is a file; name the folder that holds config.json and *.safetensors, or a *{_GGUF} file"
        )
    match = _HUB_ID.fullmatch(text)
    if text.casefold().endswith(_GGUF) and (match is None or match["gguf"] is None):
        raise ModelError(f"the file {text!r} does not exist")
    if text.startswith((".", "/", "~")) or "\\" in text or (text.count("/") > 1 and match is None):
        raise ModelError(f"the model folder {text!r} does not exist")
    if match is None:
        near = unknown(
            "model", text, REGISTRY, hint="`latentlang models` lists the short names; or give a hub id"
        )
        raise ModelError(str(near))
    pinned = _one_revision(text, match["revision"], revision)
    name = match["id"] if match["gguf"] is None else f"{match['id']}:{match['gguf']}"
    same = next((entry for entry in REGISTRY.values() if entry.hub_id == match["id"]), None)
    if same is not None:
        return ModelInfo(**{**same.__dict__, "name": name, "revision": pinned, "gguf": match["gguf"]})
    return ModelInfo(name, match["id"], revision=pinned, gguf=match["gguf"])


def _folder_info(text: str, folder: Path) -> ModelInfo:
    """What a folder stands for: the model in it, or its only GGUF file.

    Raises:
        ModelError: it has no safetensors and several GGUF files.
    """
    if (folder / "config.json").exists() or not (files := _gguf_in(folder)):
        return ModelInfo(text, str(folder), local=True)
    if len(files) > 1:
        raise ModelError(several_gguf(text, files))
    return ModelInfo(text, str(folder / files[0]), local=True, gguf=files[0])


def _gguf_file(text: str, path: Path) -> Path | None:
    """A GGUF file that was named, as ``path/model.gguf`` or ``folder:model.gguf``; None where none was.

    Raises:
        ModelError: the folder has no such file.
    """
    if is_file(path):
        return path if path.suffix.casefold() == _GGUF or _begins_as_gguf(path) else None
    folder, colon, file = text.rpartition(":")
    if not colon or not file.casefold().endswith(_GGUF) or not is_folder(parent := given_path(folder)):
        return None
    if not is_file(parent / file):
        files = _gguf_in(parent)
        has = ", ".join(files) if files else "no GGUF file"
        raise ModelError(f"the folder {folder!r} has no file {file!r}; it has {has}")
    return parent / file


def _begins_as_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"GGUF"
    except OSError:
        return False


def _gguf_in(folder: Path) -> list[str]:
    return gguf_models(path.name for path in folder.glob("*") if is_file(path))


def gguf_models(names: Iterable[str]) -> list[str]:
    """The GGUF files among some that hold a language model: not what a model sees with (``mmproj``)."""
    return sorted(
        name
        for name in names
        if name.casefold().endswith(_GGUF) and "mmproj" not in name.casefold() and not name.startswith(".")
    )


def several_gguf(name: str, files: Sequence[str], *, most: int = 40) -> str:
    """The error for a name that stands for several GGUF files."""
    more = f" and {len(files) - most} more" if len(files) > most else ""
    return (
        f"{name!r} has several GGUF files: {', '.join(files[:most])}{more}; name one as "
        f"--model {name}:{files[0]}"
    )


def _one_revision(text: str, tag: str | None, revision: str | None) -> str | None:
    if tag and revision and tag != revision:
        raise ModelError(
            f"{text!r} names the revision {tag!r} and revision={revision!r} another; give one of them"
        )
    return tag or revision


def cached_snapshots(info: ModelInfo) -> list[Path]:
    """What of a hub model lies in the hub's cache: a folder for each commit, whole or not."""
    from huggingface_hub.constants import HF_HUB_CACHE

    snapshots = Path(HF_HUB_CACHE) / ("models--" + info.hub_id.replace("/", "--")) / "snapshots"
    return sorted(snapshots.glob("*"))


def cached_bytes(info: ModelInfo) -> int | None:
    """Size of a model's weights on this machine (folder or hub cache), None where they are not there.

    Touches no network and imports no torch.
    """
    if info.local and info.gguf is not None:
        path = Path(info.hub_id)
        return path.stat().st_size if path.is_file() else None
    if info.local:
        folders = [Path(info.hub_id)]
    else:
        folders = cached_snapshots(info)
        if info.gguf is not None:
            files = [folder / info.gguf for folder in folders]
            return max((file.stat().st_size for file in files if file.exists()), default=None)
    sizes = [sum(file.stat().st_size for file in folder.glob("*.safetensors")) for folder in folders]
    return max(sizes, default=0) or None
