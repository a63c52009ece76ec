"""What machines can do: measured here on a CPU, and by their makers' numbers at a stated utilisation on GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from latentlang.arguments import checked_call
from latentlang.errors import unknown
from latentlang.storage.documents import Record, checked, parse_json
from latentlang.text import percent

#: Share of a GPU's dense bf16 peak that a forward pass of full batches is taken to reach, and of its bandwidth and the
#: head's product likewise: assumed, until `benchmarks/gpu.sh` was run.
UTILISATION = 0.4
#: Bytes per second written to disk where nothing was measured: a network file system of a cluster.
WRITING = 5e8
Basis = Literal["measured", "assumed"]


@dataclass(frozen=True)
class Machine:
    """What a machine does in a second, and what the package adds to that.

    Attributes:
        name: as `plan` calls it.
        about: what it is, and where its numbers are from.
        basis: ``measured`` by a run of the package, ``assumed`` from its maker's numbers.
        forward: floating point operations a second in the blocks.
        head: the same in the head's product.
        per_prompt: seconds that each prompt adds: tokens, batches, tables.
        per_language: seconds that each language adds.
        writing: bytes a second to disk.
        memory: bytes on the device; 0 where it is the machine's own memory.
        itemsize: bytes of a weight.
    """

    name: str
    about: str
    basis: Basis
    forward: float
    head: float
    per_prompt: float
    per_language: float
    writing: float
    memory: int
    itemsize: int


class MeasuredCosts(Record):
    """What `benchmarks/plan_cost.py` measured.

    Attributes:
        machine: where.
        forward: floating point operations a second in the blocks, one thread.
        head: the same in the head's product.
        per_prompt: seconds a prompt.
        per_language: seconds a language.
        writing: bytes a second.
    """

    machine: str
    forward: float
    head: float
    per_prompt: float
    per_language: float
    writing: float


# Dense bf16 operations a second and bytes of memory, by their makers' data sheets.
_GPUS = MappingProxyType({
    "h200": ("NVIDIA H200", 989e12, 141e9), "h100": ("NVIDIA H100 SXM", 989e12, 80e9),
    "a100": ("NVIDIA A100 80 GB", 312e12, 80e9), "a100-40": ("NVIDIA A100 40 GB", 312e12, 40e9),
    "l40s": ("NVIDIA L40S", 362e12, 48e9), "rtx4090": ("NVIDIA RTX 4090", 165e12, 24e9),
})  # fmt: skip
_CPU = "cpu"


@cache
def measured_costs() -> MeasuredCosts:
    """The costs that were measured on a CPU, as they lie in the package."""
    text = files("latentlang.sizing").joinpath("costs.json").read_text(encoding="utf-8")
    return checked(MeasuredCosts, parse_json(text, "costs.json"), "costs.json")


def machine_names() -> tuple[str, ...]:
    """Names of the machines that are known."""
    return (*_GPUS, _CPU)


@checked_call
def machine(name: str) -> Machine:
    """What a machine can do.

    Raises:
        InputError: it is not known.
    """
    found = measured_costs()
    if name == _CPU:
        about = f"one thread of {found.machine}"
        return Machine(
            name, about, "measured", found.forward, found.head, found.per_prompt, found.per_language, found.writing, 0,
            4,
        )  # fmt: skip
    if name not in _GPUS:
        raise unknown("machine", name, machine_names())
    title, peak, memory = _GPUS[name]
    about = f"{title}, {percent(UTILISATION)} of {peak / 1e12:,.0f} TFLOP/s assumed"
    # What the package adds to a prompt and a language is work of the host, and was measured there.
    return Machine(
        name, about, "assumed", UTILISATION * peak, UTILISATION * peak, found.per_prompt, found.per_language, WRITING,
        int(memory), 2,
    )  # fmt: skip
