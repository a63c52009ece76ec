"""What lies in a model's folder: whether it is whole and safe to load, checked before anything slow is tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latentlang.errors import ModelError, shown
from latentlang.paths import is_present
from latentlang.storage import documents, tensors

FETCH_AGAIN = "fetch the model again"
_WEIGHT_FILE = re.compile(r"[\w+][\w.+-]*\.safetensors", re.ASCII)
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model",
    "tekken.json", "tokenizer.tiktoken",
)  # fmt: skip
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "consolidated*.pth")
_CONVERT = "from_pretrained(...) and save_pretrained(...) in a place you trust write model.safetensors"
# What configs call their number of layers.
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers", "decoder_layers")
_HEAD_SUFFIXES = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForVisionText2Text")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model's folder.

    Raises:
        ModelError: it cannot be read.
    """
    return documents.read_json(path, kind=dict, then=FETCH_AGAIN, error=ModelError)


class _WeightIndex(documents.Record):
    weight_map: dict[str, str]


class _Config(documents.Record):
    architectures: list[str] | None = None
    model_type: str | None = None
    is_encoder_decoder: bool | None = None


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that hold a model's weights, in order: those that transformers loads.

    Where one file lies beside shards, it takes the one file.

    Raises:
        ModelError: there are none, only pickles, a shard is missing, or a file ends too early.
    """
    if (folder / _SINGLE).exists():
        files = [folder / _SINGLE]
    elif (folder / _INDEX).exists():
        index = documents.checked(
            _WeightIndex, read_json(folder / _INDEX), folder / _INDEX, then=FETCH_AGAIN, error=ModelError
        )
        names = sorted(set(index.weight_map.values()))
        for name in names:
            # A name from a file that anyone may have written must not lead out of the folder, or steer a terminal.
            if not _WEIGHT_FILE.fullmatch(name):
                raise documents.damaged(
                    folder / _INDEX, f"it names {shown(name)}, which is no weight file of this folder",
                    then=FETCH_AGAIN, error=ModelError,
                )  # fmt: skip
        missing = [name for name in names if not (folder / name).exists()]
        if missing or not names:
            what = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            raise ModelError(
                f"{str(folder)!r} is only half there: {what or 'every shard'} of {len(names)} weight files missing; "
                "fetch the rest (`hf download`)"
            )
        files = [folder / name for name in names]
    else:
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        if pickles:
            raise ModelError(
                f"{str(folder)!r} holds its weights as a pickle ({pickles[0]}), which can run code and is not "
                f"loaded; {_CONVERT}"
            )
        raise ModelError(
            f"{str(folder)!r} has a config.json and no weights (*.safetensors): half-downloaded? Fetch the rest "
            "(`hf download`)"
        )
    for file in files:
        safetensors_header(file)
    return files


def safetensors_header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file, once its length has been checked against the file's.

    Raises:
        ModelError: it is no safetensors file, or it ends too early.
    """
    return tensors.safetensors_header(file, then=FETCH_AGAIN, error=ModelError)


def check_config(folder: Path) -> dict[str, Any]:
    """The config of a model's folder, if it is that of a decoder-only language model.

    Raises:
        ModelError: no config.json, or an encoder, an encoder-decoder, or a model without a language-model
            head.
    """
    path = folder / "config.json"
    if not is_present(path):
        if (folder / "adapter_config.json").exists():
            raise ModelError(
                f"{str(folder)!r} holds an adapter, no model; load its base model and give this as adapter="
            )
        if (folder / "result.parquet").exists():
            raise ModelError(
                f"{str(folder)!r} holds a saved result, no model; the class of the result opens it, such as "
                f"LensResult.load({str(folder)!r})"
            )
        raise ModelError(f"{str(folder)!r} holds no model (no config.json); name the folder that has one")
    config = read_json(path)
    documents.checked(_Config, config, path, then=FETCH_AGAIN, error=ModelError)
    names = [str(name) for name in config.get("architectures") or ()]
    what = shown(names[0] if names else str(config.get("model_type") or "unknown"))[1:-1]
    if config.get("is_encoder_decoder"):
        raise ModelError(
            f"{str(folder)!r} is an encoder-decoder model ({what}); latentlang reads decoder-only language models"
        )
    if names and not any(name.endswith(_HEAD_SUFFIXES) for name in names):
        raise ModelError(
            f"{str(folder)!r} is {what}, which is no decoder with a language-model head (an encoder, a classifier "
            "or a bare stack of blocks); latentlang reads decoder-only language models"
        )
    return config


def check_depth(config: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Refuse a config that speaks of more layers than the weights have tensors: they would be built one by one.

    Raises:
        ModelError: naming the field.
    """
    tensors = sum(len(safetensors_header(file)) for file in files)
    parts = [config, *(part for part in config.values() if isinstance(part, Mapping))]
    for part in parts:
        for name in _DEPTHS:
            depth = part.get(name)
            if isinstance(depth, int | float) and depth > tensors:
                raise ModelError(
                    f"the config says {name} {shown(depth)}, and the weights have {tensors:,} tensors in all; "
                    f"{FETCH_AGAIN}"
                )


def check_tokenizer(folder: Path) -> None:
    """Refuse a folder without a tokenizer.

    Raises:
        ModelError: none of the files that a tokenizer can be made of is there.
    """
    if not any((folder / name).exists() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"{str(folder)!r} has no tokenizer (tokenizer.json, tokenizer.model, vocab.json); copy the files of the "
            "model's own tokenizer there"
        )
