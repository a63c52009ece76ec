"""What a large run will take, before it begins: hours, disk, network and memory, from the shape of the model alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentlang import defaults
from latentlang.arguments import Layers, check_count, checked_call, chosen_names
from latentlang.errors import InputError
from latentlang.models.registry import resolve
from latentlang.models.shapes import DecoderShape, model_shape
from latentlang.results import Displayed, View
from latentlang.sizing.costs import Machine, machine
from latentlang.storage.files import size_words
from latentlang.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from latentlang.activations.shards import Layout

#: What can be planned.
PARTS = defaults.PLANNED_PARTS
_HOUR = 3600.0
_FLOAT32 = 4  # bytes
_MOST_TOKENS = 10**7


@dataclass(frozen=True)
class PlannedPart:
    """What one part of a run takes.

    Attributes:
        part: ``harvest``, ``lens`` or ``evaluate``.
        tokens: that are run.
        operations: floating point.
        hours: of one device, or of one thread of a CPU.
        disk: bytes of the store that is written, without tables.
        memory: bytes on the device.
    """

    part: str
    tokens: int
    operations: float
    hours: float
    disk: int
    memory: int


@dataclass(frozen=True)
class SizePlan(Displayed):
    """What a run takes.

    Attributes:
        model: its name.
        shape: of the model.
        machine: that it runs on.
        languages: how many.
        prompts: in all languages together.
        prompt_tokens: of a prompt, on average.
        shared: share of a prompt's tokens that is run once for all prompts of a language.
        download: bytes of weights, fetched once; None where that is not known, 0 where they are here.
        parts: what is run.
    """

    model: str
    shape: DecoderShape
    machine: Machine
    languages: int
    prompts: int
    prompt_tokens: float
    shared: float
    download: int | None
    parts: tuple[PlannedPart, ...]

    @property
    def hours(self) -> float:
        """Of all parts."""
        return sum(part.hours for part in self.parts)

    @property
    def disk(self) -> int:
        """Bytes that all parts write."""
        return sum(part.disk for part in self.parts)

    @property
    def table(self) -> pd.DataFrame:
        """A row a part: ``part, tokens, operations, hours, disk, memory, basis``."""
        import pandas as pd

        return pd.DataFrame([vars(part) | {"basis": self.machine.basis} for part in self.parts])

    def describe(self) -> str:
        """All parts and their sums, in sentences, and what they rest on."""
        lines = [
            f"{self.model} ({self.shape.parameters / 1e9:.3g} billion weights, {self.shape.layers} layers): "
            f"{counted(self.prompts, 'prompt')} of {self.prompt_tokens:,.0f} tokens in "
            f"{counted(self.languages, 'language')}."
        ]
        for part in self.parts:
            written = f", {size_words(part.disk)} on disk" if part.disk else ""
            lines.append(
                f"{part.part}: {hours_words(part.hours)}, {millions(part.tokens)} million tokens{written}, "
                f"{size_words(part.memory)} of memory."
            )
        if len(self.parts) > 1:
            lines.append(f"All together: {hours_words(self.hours)}, {size_words(self.disk)} on disk.")
        if self.download:
            lines.append(
                f"Network: {size_words(self.download)} of weights once; what is written, if its disk is elsewhere."
            )
        if self.machine.memory and max(part.memory for part in self.parts) > self.machine.memory:
            lines.append(
                f"That is more than the {size_words(self.machine.memory)} of the device: spread the model over "
                "several, or load it in 8 or 4 bits."
            )
        how = (
            "its costs were measured"
            if self.machine.basis == "measured"
            else "nothing of it was measured: the time is a formula's"
        )
        exact = " Disk is that of the store, exactly; tables come on top." if self.disk else ""
        lines.append(f"Time on {self.machine.about}; {how}.{exact}")
        return "\n".join(lines)

    def _view(self) -> View:
        headline = f"{type(self).__name__}: {self.model}, {counted(self.prompts, 'prompt')}, {hours_words(self.hours)}"
        return View(headline=headline, table=lambda: self.table, words=self.describe)


def hours_words(hours: float) -> str:
    """``3.2 hours``, ``12 minutes``, ``5 seconds``: a time as one reads it."""
    for unit, size in (("hour", 1.0), ("minute", 1 / 60)):
        if hours >= size:
            return counted(_three_digits(hours / size), unit)
    return counted(f"{hours * _HOUR:.2g}", "second")


def millions(count: int) -> str:
    """``160``, ``0.0016``, ``160,000``: so many millions."""
    return _three_digits(count / 1e6)


def _three_digits(number: float) -> str:
    """Three digits, and all that stand before the point: ``1.61``, ``5,277``."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


@checked_call
def plan(
    model: str,
    *,
    languages: int = defaults.PLANNED_LANGUAGES,
    prompts: int = defaults.PLANNED_PROMPTS,
    tokens: float = defaults.PLANNED_TOKENS,
    shared: float = 0.0,
    parts: str | Iterable[str] = PARTS,
    layers: Layers = "all",
    pools: str | Sequence[str] = defaults.HARVESTED_POOLS,
    dtype: str | None = None,
    on: str = defaults.PLANNED_ON,
) -> SizePlan:
    """Say what a run takes, without loading or fetching anything.

    Operations are counted from the shape of the model (`DecoderShape`): two for each weight of the blocks and token,
    the attention's own, and two for each weight of the head and row that is unembedded, which is one a prompt for an
    evaluation, and one a layer for the lens. Time is operations by what the machine does in a second, and what each
    prompt, language and byte adds (docs/scale.md). Bytes on disk are exact.

    Args:
        model: name; its shape is known, or its configuration lies on this machine.
        languages: how many.
        prompts: how many, in all languages together.
        tokens: of a prompt, on average.
        shared: share of these that prompts of a language have in common at their beginning, which is run once.
        parts: of ``harvest``, ``lens`` and ``evaluate``.
        layers: that are harvested; the lens reads all.
        pools: that are harvested.
        dtype: of what is stored; by default bf16, float32 on a CPU.
        on: a machine: ``h200``, ``h100``, ``a100`` and others, or ``cpu``.

    Raises:
        InputError: a number makes no sense, or a name is not known.
        ModelError: nothing is known of the model.
    """
    from latentlang.activations.shards import Layout, stored_dtype
    from latentlang.activations.writer import rows_per_shard
    from latentlang.models.batch import check_layers, check_pools

    check_count("languages", languages, least=1)
    check_count("prompts", prompts, least=1)
    if prompts < languages:
        raise InputError(
            f"{counted(prompts, 'prompt')} cannot be in {counted(languages, 'language')}: prompts are those of all "
            "languages together"
        )
    if not 1 <= tokens <= _MOST_TOKENS:
        raise InputError(f"tokens of a prompt must be 1 to {_MOST_TOKENS:,}, not {tokens}")
    if not 0 <= shared < 1:
        raise InputError(f"shared is a share of a prompt's tokens, from 0 to below 1, not {shared}")
    chosen = chosen_names(parts, "part", PARTS)
    shape, where, info = model_shape(model), machine(on), resolve(model)
    numbers = tuple(sorted(set(check_layers(layers, depth=shape.layers, sites=("resid",)))))
    kept = tuple(check_pools(pools))
    stored = stored_dtype(dtype or ("float32" if where.itemsize == 4 else "bfloat16"))
    layout = Layout(("resid",), numbers, kept, stored, shape.d_model)
    disk = _stored_bytes(layout, prompts, rows_per_shard(layout, None))
    run = prompts * tokens * (1 - shared) + languages * tokens * shared
    forward = run * (2 * shape.body + 2 * shape.layers * shape.heads * shape.head_dim * tokens)
    rows = {"harvest": 0, "lens": shape.layers + 1, "evaluate": 1}
    planned = []
    for part in chosen:
        head = 2.0 * shape.head * rows[part] * prompts
        written = disk if part == "harvest" else 0
        seconds = (
            forward / where.forward
            + head / where.head
            + prompts * where.per_prompt
            + languages * where.per_language
            + written / where.writing
        )
        memory = _memory(shape, where, tokens, part)
        planned.append(PlannedPart(part, round(run), forward + head, seconds / _HOUR, written, memory))
    return SizePlan(
        info.name, shape, where, languages, prompts, tokens, shared, 0 if info.local else info.download_bytes,
        tuple(planned),
    )  # fmt: skip


def _stored_bytes(layout: Layout, prompts: int, rows: int) -> int:
    """Bytes of the shards of a store, of so many rows each, headers too."""
    whole, rest = divmod(prompts, rows)
    return whole * layout.file_bytes(rows) + (layout.file_bytes(rest) if rest else 0)


def _memory(shape: DecoderShape, where: Machine, tokens: float, part: str) -> int:
    """Bytes that a part holds at once: weights, a batch on its way through a block, and what is kept of it."""
    from latentlang.models.forward import BATCH_TOKENS
    from latentlang.models.readout import CHUNK_ELEMENTS

    batch = BATCH_TOKENS["cuda" if where.memory else "cpu"]
    within = batch * (3 * shape.d_mlp + 6 * shape.d_model) * where.itemsize
    rows = max(1.0, batch / tokens)
    kept = rows * (shape.layers + 1) * shape.d_model * _FLOAT32
    logits = 0 if part == "harvest" else (CHUNK_ELEMENTS + rows * shape.vocabulary) * _FLOAT32
    return round(shape.parameters * where.itemsize + within + kept + logits)
