"""Which of the named models can be run right now, from where, and what the others would take."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from latentlang.errors import InputError, ModelError
from latentlang.installing import install_command
from latentlang.models.checkpoint_files import safetensors_header, weight_files
from latentlang.models.data_package import DataPackage, assembled, data_package
from latentlang.models.gguf_cache import cached_entry
from latentlang.models.gguf_header import read_header
from latentlang.models.hub import is_whole_snapshot
from latentlang.models.registry import ModelInfo, cached_bytes, cached_snapshots
from latentlang.storage.documents import read_json

Source = Literal["embedded", "hub cache", "data package"]
# Weights are float32 on a CPU. What runs beside them takes a fifth more, as a rule.
_FLOAT32, _BESIDE = 4, 1.2
_CONFIG = "config.json"
_CONTROL_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Availability:
    """Whether a model can be run now.

    Attributes:
        source: from where it would be taken; None where it has to be fetched first.
        bytes: its size there, or about that of the download; None where not known.
        memory_bytes: about what it takes to run on a CPU (weights in float32); None where not known.
        fits: whether this machine has so much memory; None where not known.
        command: the one command that gets it; None where it is here.
    """

    source: Source | None
    bytes: int | None
    memory_bytes: int | None
    fits: bool | None
    command: str | None


def availability(info: ModelInfo) -> Availability:
    """Look a model up on this machine; touches no network and imports no torch."""
    source, size, command = _location(info)
    parameters = parameters_of(info)
    memory = None if parameters is None else round(parameters * _FLOAT32 * _BESIDE)
    total = memory_of_machine()
    fits = None if memory is None or total is None else memory <= total
    return Availability(source, size, memory, fits, command)


def parameters_of(info: ModelInfo) -> int | None:
    """How many weights a model has, as published or as its files say; None where that is not known."""
    if info.parameters is not None or not info.local:
        return info.parameters
    if info.gguf is None:
        return _parameters(Path(info.hub_id))
    with suppress(ModelError):
        return read_header(Path(info.hub_id)).parameters
    return None


def config_of(info: ModelInfo) -> dict[str, Any]:
    """The config of a model that lies on this machine; of a GGUF file its sizes; empty where neither is here."""
    folders = [Path(info.hub_id)] if info.local else cached_snapshots(info)
    if info.gguf is not None:
        files = [Path(info.hub_id)] if info.local else [folder / info.gguf for folder in folders]
        for file in files:
            with suppress(ModelError):
                return read_header(file).sizes
        return {}
    for folder in folders:
        with suppress(InputError):
            return read_json(folder / _CONFIG, kind=dict, finite=False)
    package = data_package(info)
    return dict(_packaged_config(package)) if package is not None and package.installed else {}


@cache
def _packaged_config(package: DataPackage) -> dict[str, Any]:
    """What a data package's file says of itself: from the dequantised copy where there is one, else put together."""
    entry = cached_entry(package.sha256, "float32", weights=False)
    if entry is not None:
        with suppress(InputError):
            return read_json(entry.folder / _CONFIG, kind=dict, finite=False)
    with suppress(ModelError), assembled(package) as file:
        return read_header(file).sizes
    return {}


def _location(info: ModelInfo) -> tuple[Source | None, int | None, str | None]:
    if info.local:
        return "embedded", cached_bytes(info), None
    if any(is_whole_snapshot(folder) for folder in cached_snapshots(info)):
        return "hub cache", cached_bytes(info), None
    package = data_package(info)
    if package is not None and package.installed:
        return "data package", package.size, None
    if package is not None:
        return None, package.size, install_command(package.extra)
    return None, info.download_bytes, f"hf download {info.hub_id}"


def _parameters(folder: Path) -> int | None:
    try:
        headers = [safetensors_header(file) for file in weight_files(folder)]
    except ModelError:
        return None
    entries = [entry for header in headers for entry in header.values()]
    return sum(
        math.prod(entry["shape"]) for entry in entries if isinstance(entry, Mapping) and "shape" in entry
    )


def memory_of_machine() -> int | None:
    """Bytes of memory that a process may have here: the machine's, or its control group's; None where not known."""
    limits = []
    with suppress(AttributeError, OSError, ValueError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in _CONTROL_GROUPS:
        with suppress(OSError, ValueError):  # "max" is no number
            limits.append(int(Path(name).read_text(encoding="ascii")))
    return min((limit for limit in limits if limit > 0), default=None)
