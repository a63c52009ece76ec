"""What reading asks for and gives back: positions or pooled spans of chosen layers and hook sites."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from latentlang.arguments import Layers, given_layers, split_given, split_names
from latentlang.errors import InputError, ModelError, unknown

Site = Literal["resid", "attn_out", "mlp_out", "resid_mid", "mlp_post"]
Pool = Literal["last", "mean", "mean_no_bos", "question"]
SITES: tuple[str, ...] = get_args(Site)
POOLS: tuple[str, ...] = get_args(Pool)


@dataclass(frozen=True)
class ActivationBatch:
    """Residual sites of some prompts.

    Attributes:
        index: int64 ``[prompt]``, where each prompt stood in the input.
        layers: layer numbers along the layer axis; 0 = embeddings entering block 1, l = stream after block
            l, the last one before the final norm.
        lengths: int64 ``[prompt]``, tokens per prompt.
        positions: int64 ``[prompt, position]``, token index of each position read, -1 where a prompt has
            fewer than others of its batch; None where a single position or a pooled span was asked for.
        logits: float32 ``[prompt, vocab]``, the model's own next-token logits; None when not asked for.
        sites: name to tensor, ``d_model`` being the number of neurons for ``mlp_post``:
            ``[prompt, layer, d_model]`` for the last position (model's dtype) and for
            a pooled span (float32); ``[prompt, layer, pool, d_model]`` in float32 where several pools were
            asked for; else ``[prompt, layer, position, d_model]``, zeros where `positions` is -1.
        pools: names along the pool axis; empty where there is none.
    """

    index: Tensor
    layers: tuple[int, ...]
    lengths: Tensor
    positions: Tensor | None
    logits: Tensor | None
    sites: dict[str, Tensor] = field(repr=False)
    pools: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def resid(self) -> Tensor:
        """The residual stream after each layer."""
        return self._site("resid")

    @property
    def attn_out(self) -> Tensor:
        """What each block's attention adds to the residual stream."""
        return self._site("attn_out")

    @property
    def mlp_out(self) -> Tensor:
        """What each block's MLP adds to the residual stream."""
        return self._site("mlp_out")

    @property
    def resid_mid(self) -> Tensor:
        """The residual stream between a block's attention and its MLP."""
        return self._site("resid_mid")

    @property
    def mlp_post(self) -> Tensor:
        """The neurons of each block: what enters its MLP's output projection."""
        return self._site("mlp_post")

    def _site(self, name: str) -> Tensor:
        if name not in self.sites:
            raise ModelError(f"the site {name!r} was not read; ask for it with sites=({name!r}, ...)")
        return self.sites[name]


@dataclass(frozen=True)
class EncodedPrompt:
    """One prompt, ready to run.

    Attributes:
        index: where it stood in the input.
        ids: its tokens.
        positions: token indices to read, in the order asked for; empty where only averages are.
        spans: tokens ``[start, stop)`` of each average.
    """

    index: int
    ids: list[int]
    positions: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Request:
    """What to read of every prompt, checked.

    Attributes:
        layers: layer numbers, as asked.
        sites: names of sites.
        pooled: whether spans are averaged; positions may be kept beside them (else only positions are).
        squeezed: whether there is one vector per prompt and layer, without an axis of positions or pools.
        logits: whether the model's own next-token logits are kept.
        pools: names along the axis of pools; empty without one. The averages stand first, then ``last``.
        normed_last: whether ``resid`` after the last block is taken behind the final norm.
    """

    layers: tuple[int, ...]
    sites: tuple[str, ...]
    pooled: bool
    squeezed: bool
    logits: bool
    pools: tuple[str, ...] = ()
    normed_last: bool = False


def check_layers(
    layers: Layers, *, depth: int, sites: tuple[str, ...] = ("resid",), first: Literal[0, 1] = 0
) -> tuple[int, ...]:
    """Layer numbers from what the user asked for, in that order.

    ``"all"`` is `first`..depth, or 1..depth when a site inside the blocks is asked for too (layer 0 is no block).
    Negative numbers count from the last layer.

    Args:
        layers: ``"all"``, numbers, or text such as ``"0,4,8-12"``.
        depth: number of the last layer.
        sites: which are to be read.
        first: the first layer there is for the caller: 0, the embeddings, or 1 where only what blocks give is read.

    Raises:
        ModelError: a layer is no number, or is none of those there are, which the message names.
    """
    inside = [name for name in sites if name != "resid"]
    lowest = 1 if inside else first
    try:
        given = given_layers(layers)
    except InputError as error:
        raise ModelError(str(error)) from None
    if given == "all":
        return tuple(range(lowest, depth + 1))
    if not given:
        raise ModelError(f"no layer asked for; give 'all' or layer numbers from {lowest} to {depth}")
    there = f"this model has 0 (embeddings) to {depth}" if lowest == 0 else f"1 to {depth} can be read here"
    numbers = []
    for layer in given:
        if not -depth - 1 <= layer <= depth:
            raise ModelError(f"layer {layer} does not exist; {there}")
        number = layer % (depth + 1)
        if number < lowest:
            what = f" and has no {inside[0]!r}; ask for" if inside else ", which no block has worked on; give"
            raise ModelError(f"layer 0 is the embeddings{what} layers 1 to {depth}")
        numbers.append(number)
    return tuple(numbers)


def check_sites(sites: str | Sequence[str]) -> tuple[str, ...]:
    """Names of sites, each once.

    Raises:
        ModelError: a name is not known, or none is given.
    """
    names = tuple(split_names(sites))
    for name in names:
        if name not in SITES:
            raise ModelError(str(unknown("site", name, SITES)))
    if not names:
        raise ModelError(f"no site asked for; known: {', '.join(SITES)}")
    return names


def check_pools(pools: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of pools, as asked; empty where positions are read.

    Raises:
        ModelError: a name is not known or stands there twice, or none is given.
    """
    if pools is None:
        return ()
    names = tuple(split_given(pools))
    for name in names:
        if name not in POOLS:
            raise ModelError(str(unknown("pool", name, POOLS)))
    if not names:
        raise ModelError(f"no pool asked for; known: {', '.join(POOLS)}")
    if len(set(names)) < len(names):
        raise ModelError(f"pools={list(names)} names one twice; name each once")
    return names


def gather_index(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Token indices as a rectangle ``[prompt, position]``, filled up with -1."""
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows], dtype=torch.long, device=device)


def collect(readings: Iterable[ActivationBatch], *, total: int, width: int) -> ActivationBatch:
    """Put batches together in the order of the input, each as it comes: one copy of what is kept, no more.

    Args:
        readings: batches that together hold every prompt once.
        total: number of prompts.
        width: most positions read of any prompt.

    Raises:
        ModelError: there is no batch.
    """
    whole: ActivationBatch | None = None
    for reading in readings:
        whole = whole or _empty_like(reading, total, width)
        index = reading.index
        whole.lengths[index] = reading.lengths
        if whole.positions is not None and reading.positions is not None:
            whole.positions[index, : reading.positions.shape[1]] = reading.positions
        if whole.logits is not None and reading.logits is not None:
            whole.logits[index] = reading.logits
        for name, values in reading.sites.items():
            target = whole.sites[name]
            target = target if reading.positions is None else target[:, :, : values.shape[2]]
            target[index] = values
    if whole is None:
        raise ModelError("no prompt to read; give at least one")
    return whole


def _empty_like(reading: ActivationBatch, total: int, width: int) -> ActivationBatch:
    device = reading.index.device
    ragged = reading.positions is not None
    sites = {}
    for name, values in reading.sites.items():
        kept = (width,) if ragged else values.shape[2:-1]
        sites[name] = values.new_zeros((total, len(reading.layers), *kept, values.shape[-1]))
    return ActivationBatch(
        index=torch.arange(total, device=device),
        layers=reading.layers,
        lengths=torch.zeros(total, dtype=torch.long, device=device),
        positions=torch.full((total, width), -1, device=device) if ragged else None,
        logits=None if reading.logits is None else reading.logits.new_zeros((total, reading.logits.shape[1])),
        sites=sites,
        pools=reading.pools,
    )
