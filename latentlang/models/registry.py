"""Short names of models: what they stand for, and what of it lies in the local cache."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from latentlang.errors import ModelError, unknown
from latentlang.paths import given_path, is_file, is_folder

POCKET_FOLDER = Path(__file__).parent / "pocket"
_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True)
class ModelInfo:
    """What a model's name stands for.

    Attributes:
        name: short name (``"mistral"``), or what the user gave.
        hub_id: id on the Hugging Face hub (``"mistralai/Mistral-7B-v0.1"``), or a folder's path.
        family: architecture family (``"mistral"``); empty where not known before loading.
        english_centric: whether mostly English text was seen in pre-training; None where not known.
        gated: whether the hub asks to accept a licence first (the hub has the last word).
        revision: branch, tag or commit asked for; None for the default.
        local: whether `hub_id` is a folder on this machine.
    """

    name: str
    hub_id: str
    family: str = ""
    english_centric: bool | None = None
    gated: bool = False
    revision: str | None = None
    local: bool = False


# name, hub id, family, English-centric, gated
_ROWS: tuple[tuple[str, str, str, bool, bool], ...] = (
    ("mistral", "mistralai/Mistral-7B-v0.1", "mistral", True, False),
    ("mistral-v0.3", "mistralai/Mistral-7B-v0.3", "mistral", True, False),
    ("llama2-7b", "meta-llama/Llama-2-7b-hf", "llama", True, True),
    ("llama2-13b", "meta-llama/Llama-2-13b-hf", "llama", True, True),
    ("llama3-8b", "meta-llama/Meta-Llama-3-8B", "llama", True, True),
    ("llama3.1-8b", "meta-llama/Llama-3.1-8B", "llama", True, True),
    ("llama3.2-1b", "meta-llama/Llama-3.2-1B", "llama", True, True),
    ("llama3.2-3b", "meta-llama/Llama-3.2-3B", "llama", True, True),
    ("qwen1.5-0.5b", "Qwen/Qwen1.5-0.5B", "qwen2", False, False),
    ("qwen1.5-1.8b", "Qwen/Qwen1.5-1.8B", "qwen2", False, False),
    ("qwen1.5-4b", "Qwen/Qwen1.5-4B", "qwen2", False, False),
    ("qwen1.5-14b", "Qwen/Qwen1.5-14B", "qwen2", False, False),
    ("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B", "qwen2", False, False),
    ("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B", "qwen2", False, False),
    ("qwen2.5-7b", "Qwen/Qwen2.5-7B", "qwen2", False, False),
    ("qwen2.5-14b", "Qwen/Qwen2.5-14B", "qwen2", False, False),
    ("qwen3-0.6b", "Qwen/Qwen3-0.6B-Base", "qwen3", False, False),
    ("qwen3-1.7b", "Qwen/Qwen3-1.7B-Base", "qwen3", False, False),
    ("qwen3-8b", "Qwen/Qwen3-8B-Base", "qwen3", False, False),
    ("qwen3-14b", "Qwen/Qwen3-14B-Base", "qwen3", False, False),
    ("gemma-2b", "google/gemma-2b", "gemma", True, True),
    ("gemma-7b", "google/gemma-7b", "gemma", True, True),
    ("gemma2-2b", "google/gemma-2-2b", "gemma2", True, True),
    ("gemma2-9b", "google/gemma-2-9b", "gemma2", True, True),
    ("gemma3-1b", "google/gemma-3-1b-pt", "gemma3_text", True, True),
    ("gemma3-4b", "google/gemma-3-4b-pt", "gemma3", False, True),
    ("gemma3-12b", "google/gemma-3-12b-pt", "gemma3", False, True),
    ("aya-expanse-8b", "CohereLabs/aya-expanse-8b", "cohere", False, True),
    ("eurollm-1.7b", "utter-project/EuroLLM-1.7B", "llama", False, False),
    ("eurollm-9b", "utter-project/EuroLLM-9B", "llama", False, True),
    ("bloom-560m", "bigscience/bloom-560m", "bloom", False, False),
    ("bloom-7b1", "bigscience/bloom-7b1", "bloom", False, False),
    ("bloomz-560m", "bigscience/bloomz-560m", "bloom", False, False),
    ("bloomz-7b1", "bigscience/bloomz-7b1", "bloom", False, False),
    ("olmo2-7b", "allenai/OLMo-2-1124-7B", "olmo2", True, False),
    ("phi3-mini", "microsoft/Phi-3-mini-4k-instruct", "phi3", True, False),
    ("gpt2", "openai-community/gpt2", "gpt2", True, False),
)
_POCKET = tuple(
    ModelInfo(name, str(POCKET_FOLDER / name), "mistral", english, local=True)
    for name, english in (("pocket", True), ("pocket-control", False))
)

REGISTRY: dict[str, ModelInfo] = {
    **{info.name: info for info in _POCKET},
    **{row[0]: ModelInfo(*row) for row in _ROWS},
}


def resolve(name: str | os.PathLike[str], *, revision: str | None = None) -> ModelInfo:
    """Find what a name stands for: a short name, a folder, or a hub id (``org/name`` or ``org/name@revision``).

    Args:
        name: short name, folder or hub id.
        revision: branch, tag or commit on the hub; the same as ``@revision``.

    Raises:
        ModelError: the name is none of these, the folder does not exist, or two revisions are named.
    """
    text = os.fspath(name).strip()
    if not text:
        raise ModelError("no model named; `latentlang models` lists the short names")
    path = given_path(text)
    short, _, tag = text.partition("@")
    info = REGISTRY.get(short.casefold())
    if info is not None:
        if info.local and (tag or revision):
            raise ModelError(f"the model {info.name!r} comes with this package and has no revisions")
        wanted = _one_revision(text, tag or None, revision)
        return info if wanted is None else ModelInfo(**{**info.__dict__, "revision": wanted})
    if is_folder(path):
        if revision:
            raise ModelError(f"{text!r} is a folder and has no revisions; leave revision={revision!r} out")
        known = {info.hub_id: info for info in REGISTRY.values()}.get(str(path))
        return known or ModelInfo(text, str(path), local=True)
    if is_file(path):
        raise ModelError(f"{text!r} is a file; name the folder that holds config.json and *.safetensors")
    match = _HUB_ID.fullmatch(text)
    if text.startswith((".", "/", "~")) or "\\" in text or (text.count("/") > 1 and match is None):
        raise ModelError(f"the model folder {text!r} does not exist")
    if match is None:
        near = unknown(
            "model", text, REGISTRY, hint="`latentlang models` lists the short names; or give a hub id"
        )
        raise ModelError(str(near))
    wanted = _one_revision(text, match["revision"], revision)
    same = next((entry for entry in REGISTRY.values() if entry.hub_id == match["id"]), None)
    if same is not None:
        return ModelInfo(**{**same.__dict__, "name": match["id"], "revision": wanted})
    return ModelInfo(match["id"], match["id"], revision=wanted)


def _one_revision(text: str, tag: str | None, revision: str | None) -> str | None:
    if tag and revision and tag != revision:
        raise ModelError(
            f"{text!r} names the revision {tag!r} and revision={revision!r} another; give one of them"
        )
    return tag or revision


def cached_bytes(info: ModelInfo) -> int | None:
    """Size of a model's weights on this machine (folder or hub cache), None where they are not there.

    Touches no network and imports no torch.
    """
    if info.local:
        folders = [Path(info.hub_id)]
    else:
        from huggingface_hub.constants import HF_HUB_CACHE

        snapshots = Path(HF_HUB_CACHE) / ("models--" + info.hub_id.replace("/", "--")) / "snapshots"
        folders = sorted(snapshots.glob("*"))
    sizes = [sum(file.stat().st_size for file in folder.glob("*.safetensors")) for folder in folders]
    return max(sizes, default=0) or None
