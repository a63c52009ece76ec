"""What this machine can train with, checked before anything slow is tried: precision, quantisation, processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.installing import install_command
from latentlang.paths import PathLike, given_path
from latentlang.storage.documents import read_json

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "fp16")
_ALIASES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
# What a training run imports; all of it is in the extra.
_PACKAGES = ("trl", "peft", "accelerate", "datasets")
_UNSET = "-1"
#: Where a run may tell its losses to, by TRL's names, and the packages that do it.
REPORTS = {"wandb": ("wandb",), "tensorboard": ("tensorboard", "tensorboardX")}


@dataclass(frozen=True)
class Processes:
    """The processes of one run, as a launcher (``accelerate launch``, ``torchrun``) started them.

    Attributes:
        count: how many there are.
        rank: which of them this is, from 0.
        local_rank: which on this computer; also its GPU.
        sharded: whether weights, gradients and moments are to be shared out among them (FSDP), not copied.
    """

    count: int = 1
    rank: int = 0
    local_rank: int = 0
    sharded: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0


def processes() -> Processes:
    """The processes of this run, from the environment that launchers set.

    Raises:
        InputError: several processes are announced and none was launched, which would wait for the others forever.
    """
    launched = os.environ.get("LOCAL_RANK", _UNSET) != _UNSET
    count = _number("WORLD_SIZE", 1)
    if not launched and count > 1:
        raise InputError(
            f"WORLD_SIZE is {count}, and no launcher started this process (LOCAL_RANK is not set); use `accelerate "
            "launch -m latentlang train ...`, or unset WORLD_SIZE"
        )
    if not launched:
        return Processes()
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    return Processes(count, _number("RANK", 0), _number("LOCAL_RANK", 0), sharded)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError as error:
        raise InputError(f"the environment variable {name} must be a whole number, not {text!r}") from error


def check_packages() -> None:
    """Make sure that what training imports is installed.

    Raises:
        InputError: naming what is missing and the extra that has it.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f"training needs {', '.join(missing)}; `{install_command('train')}`")


def check_reports(given: str | Sequence[str]) -> tuple[str, ...]:
    """Where losses are told to, without ``none``.

    Raises:
        InputError: it is unknown, or its package is not installed.
    """
    names = tuple(name for name in split_names(given) if name != "none")
    for name in names:
        if name not in REPORTS:
            raise unknown("report_to", name, ("none", *REPORTS))
        if not any(find_spec(package) for package in REPORTS[name]):
            package = REPORTS[name][0]
            raise InputError(
                f"report_to={name!r} needs {package}, which is not installed; `pip install {package}`, or leave it out"
            )
    return names


def check_deepspeed(given: PathLike | None) -> Path | None:
    """The file of a DeepSpeed config, which is handed on as it is.

    Raises:
        InputError: it is no JSON object, or DeepSpeed is not installed.
    """
    if given is None:
        return None
    path = given_path(given)
    read_json(path, kind=dict, then="name a config of DeepSpeed, or leave it out")
    if find_spec("deepspeed") is None:
        raise InputError("a DeepSpeed config needs deepspeed; `pip install deepspeed`, or leave it out")
    return path


def check_precision(precision: str | None) -> str | None:
    """The precision by its short name; None for the machine's own.

    Raises:
        InputError: there is no such precision.
    """
    if precision is None:
        return None
    name = _ALIASES.get(precision.casefold(), precision.casefold())
    if name not in PRECISIONS:
        raise unknown("dtype", precision, PRECISIONS)
    return name


def check_quantization(quantization: str | None) -> None:
    """Make sure that weights can be quantised here; imports nothing heavy.

    Raises:
        InputError: no such quantisation, or bitsandbytes is not installed.
    """
    if quantization is None:
        return
    if quantization not in ("8bit", "4bit"):
        raise unknown("quantization", quantization, ("8bit", "4bit"))
    if find_spec("bitsandbytes") is None:
        raise InputError(
            f"quantization={quantization!r} needs bitsandbytes, which is not installed; `pip install bitsandbytes`, or "
            "leave it out"
        )


def check_choices(device: torch.device, *, precision: str | None = None, four_bit: bool = False) -> None:
    """Refuse what a kind of device cannot train with.

    With bitsandbytes 0.50 the loss of a 4-bit model goes up and down at random on a CPU, where it falls in 8 bits.

    Raises:
        InputError: saying what works.
    """
    import torch

    if precision == "fp16" and device.type != "cuda":
        raise InputError(f"training in fp16 needs a GPU; use dtype 'bf16' or 'fp32' on this {device.type}")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("this GPU cannot compute in bf16; use dtype 'fp16' or 'fp32'")
    if four_bit and device.type == "cpu":
        raise InputError(
            "4-bit weights cannot be trained on a CPU (bitsandbytes gives them wrong gradients there); use "
            "quantization '8bit' or none, or a GPU"
        )


def precision_on(device: torch.device, *, wanted: str | None, weights: torch.dtype) -> str:
    """The precision to compute in on a device: the one asked for, else that of the weights.

    Raises:
        InputError: the device cannot compute in it, or the weights are too coarse for it.
    """
    import torch

    stored = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(weights, "fp32")
    chosen = wanted or stored
    check_choices(device, precision=chosen)
    if chosen == "fp32" and stored != "fp32":
        raise InputError(
            f"the model's weights are in {stored}, which computing in fp32 does not mend; load it with dtype='fp32'"
        )
    return chosen


def check_whole(weights: torch.dtype, *, name: str) -> None:
    """Refuse to train weights in half precision, in which most of a step's changes are lost.

    Raises:
        InputError: the weights are no float32.
    """
    import torch

    if weights != torch.float32:
        raise InputError(
            f"all weights are trained in float32, and those of {name!r} are {str(weights).removeprefix('torch.')}: "
            "load it with dtype='fp32' (train's own dtype='bf16' computes in bfloat16)"
        )


def fastest_precision(device: torch.device) -> str:
    """What is computed in by default beside weights in float32: ``bf16`` on a GPU that has it."""
    import torch

    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


def check_device(device: torch.device) -> None:
    """Refuse a GPU that the trainer would not use: it takes the first one that is visible.

    Raises:
        InputError: saying how to make this one the first.
    """
    if device.type == "cuda" and device.index not in (None, 0) and processes().count == 1:
        raise InputError(
            f"training runs on the first visible GPU, and the model is on {device}; start with "
            f"CUDA_VISIBLE_DEVICES={device.index}"
        )
