"""Whether a model's file and the model that was made of it are the same: nothing left out, nothing of another shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from latentlang.errors import ModelError
from latentlang.models.anatomy import find_layers, text_config
from latentlang.models.checkpoint_files import weight_files

# Buffers that old checkpoints carry along and today's code computes itself.
_DERIVED = ("inv_freq", "masked_bias", "position_ids", "causal_mask")


def check_weights(lm: Any, report: Mapping[str, Any], folder: Path, *, name: str) -> tuple[str, ...]:
    """Compare what a file holds with what the model took of it.

    Args:
        lm: the model.
        report: transformers' account of the loading.
        folder: where the files are.
        name: the model's name.

    Returns:
        Notes: parts of the file that are not the language model's, and so are not read.

    Raises:
        ModelError: a weight is missing, has another shape, or would be left out though it is not zero.
    """
    if missing := sorted(report.get("missing_keys") or ()):
        raise ModelError(
            f"the weights of {name!r} lack {missing[0]!r}{_more(missing)}, which would be random numbers; fetch the "
            "model again"
        )
    if mismatched := sorted(report.get("mismatched_keys") or ()):
        key, stored, expected = mismatched[0]
        raise ModelError(
            f"the weight {key!r} of {name!r} is {_shape(stored)} where its config.json asks for {_shape(expected)}"
            f"{_more(mismatched)}; config and weights are not of one model, fetch both again"
        )
    unexpected = [
        key for key in sorted(report.get("unexpected_keys") or ()) if key.rsplit(".", 1)[-1] not in _DERIVED
    ]
    inside, other = _parted(lm, unexpected)
    if lost := _not_zero(folder, inside):
        beyond = _beyond(lm, lost)
        if beyond is not None:
            raise ModelError(
                f"the weights of {name!r} go on to block {beyond} and its config.json says {len(find_layers(lm)[1])} "
                "blocks, so that the last ones would be left out; config and weights are not of one model"
            )
        raise ModelError(
            f"the weight {lost[0]!r}{_more(lost)} of {name!r} has no place in {type(lm).__name__} and would be left "
            "out: its config.json names another architecture (model_type) than the one it was trained as"
        )
    parts = sorted({key.split(".")[0] if "." in key else key for key in other})
    if not parts or getattr(lm.config, "vision_config", None) is not None:
        return ()
    return (f"{len(other)} weights of its file are no part of {type(lm).__name__} ({', '.join(parts[:3])})",)


def _parted(lm: Any, keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """Keys that belong to the language model, and those of other parts (eyes, ears, heads that guess ahead).

    Of another part is what lies in a module that the model does not have, unless that is inside its blocks.
    """
    blocks = find_layers(lm)[0] + "."
    depth = len(find_layers(lm)[1])
    guessing = getattr(text_config(lm), "num_nextn_predict_layers", None) or 0
    ahead = tuple(f"{blocks}{depth + extra}." for extra in range(int(guessing)))
    inside: list[str] = []
    other: list[str] = []
    for key in keys:
        *path, _leaf = key.split(".")
        matched = 0
        while matched < len(path) and _has(lm, path[: matched + 1]):
            matched += 1
        # a module of its own with modules of its own, beside what is known
        foreign = len(path) - matched >= 2 or (matched == 0 and len(path) > 0)
        in_blocks = key.startswith(blocks) and not key.startswith(ahead)
        (inside if in_blocks or (not foreign and not key.startswith(ahead)) else other).append(key)
    return inside, other


def _has(lm: Any, path: list[str]) -> bool:
    try:
        lm.get_submodule(".".join(path))
    except AttributeError:
        return False
    return True


def _beyond(lm: Any, keys: Iterable[str]) -> int | None:
    """The highest number of a block that the model does not have, counted from 1; None where it has all."""
    blocks, layers = find_layers(lm)
    numbers = [
        int(key.removeprefix(blocks + ".").split(".")[0])
        for key in keys
        if key.startswith(blocks + ".") and key.removeprefix(blocks + ".").split(".")[0].isdigit()
    ]
    highest = max(numbers, default=-1)
    return highest + 1 if highest >= len(layers) else None


def _not_zero(folder: Path, keys: list[str]) -> list[str]:
    """Keys whose tensor in the files is floating-point and not all 0; those that are not found count as such."""
    if not keys:
        return []
    left = dict.fromkeys(keys)
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as stored:
            names = set(stored.keys())
            for key in [key for key in left if key in names]:
                tensor = stored.get_tensor(key)
                if not _matters(tensor):
                    del left[key]
    return [*left]


def _matters(tensor: Tensor) -> bool:
    """Whether a tensor is one that was learned: no zeros, no whole numbers, no causal mask (GPT-J, GPT-Neo)."""
    if not tensor.is_floating_point() or not bool(torch.count_nonzero(tensor)):
        return False
    square = tensor.ndim > 2 and tensor.shape[-1] == tensor.shape[-2]
    return not (square and torch.equal(tensor, torch.ones_like(tensor).tril()))


def _more(keys: list[Any]) -> str:
    return f" and {len(keys) - 1} more" if len(keys) > 1 else ""


def _shape(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))
