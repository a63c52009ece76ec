"""What a block's attention and MLP add to the residual stream: found by checking which parts add up.

Architectures differ in where this is to be had (after a post-norm in Gemma 2 and OLMo 2, times a factor in
Granite, already summed with the stream in BLOOM, side by side in Falcon and GPT-NeoX). So the parts of
every block are watched on one probe, and the reading that satisfies ``before + attention + MLP = after`` is
taken; where there is none, the stream is refused.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.errors import ModelError
from latentlang.models.anatomy import Anatomy, hidden_in, hidden_of, probe_tokens, quiet, text_config

_ATTENTION = ("self_attn", "attn", "self_attention", "attention")
_MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "moe", "fc2")
# Largest difference between the parts' sum and the block's output, relative to the output's largest value.
# Measured: at most 1.1e-7 in fp32; in bf16 the sum is rounded in another order, at most 7e-3.
_TOLERANCE, _TOLERANCE_HALF = 1e-5, 3e-2


@dataclass(frozen=True)
class BlockLayout:
    """Where to hook one block.

    Attributes:
        attention, mlp: names of the child modules whose outputs are read.
        factor: what both are multiplied by before they are added.
        summed: whether those outputs already contain the stream they are added to (BLOOM).
        parallel: whether attention and MLP read the same stream, so that there is none between them.
    """

    attention: str
    mlp: str
    factor: float = 1.0
    summed: bool = False
    parallel: bool = False

    def attn_out(self, before: Tensor, attention: Tensor) -> Tensor:
        """What the attention adds, from the stream before the block and the hooked output."""
        return attention - before if self.summed else attention * self.factor

    def resid_mid(self, before: Tensor, attention: Tensor) -> Tensor:
        """The stream between attention and MLP."""
        return attention if self.summed else before + attention * self.factor

    def mlp_out(self, before: Tensor, attention: Tensor, mlp: Tensor) -> Tensor:
        """What the MLP adds."""
        return mlp - self.resid_mid(before, attention) if self.summed else mlp * self.factor


@dataclass
class _Watch:
    """What passed through one block on the probe."""

    before: Tensor
    inputs: dict[str, Tensor]
    parts: dict[str, Tensor]
    after: Tensor | None = None


def find_block_layouts(anatomy: Anatomy, *, device: torch.device) -> tuple[BlockLayout, ...]:
    """One layout per block.

    Raises:
        ModelError: no two parts of some block add up to what it adds to the stream.
    """
    watches = _watch(anatomy, device, negate=None)
    config = text_config(anatomy.lm)
    factor = getattr(config, "residual_multiplier", 1.0)
    # a normed stream is what such a block adds to, so that its parts do not add up to the stream
    normed = getattr(config, "apply_residual_connection_post_layernorm", False)
    layouts = []
    for number, (layer, watch) in enumerate(zip(anatomy.layers, watches, strict=True), start=1):
        layout = None if normed else _fit(layer, watch, float(factor))
        if layout is None:
            raise ModelError(
                f"what attention and MLP add to the residual stream cannot be told apart in block {number} of "
                f"{type(anatomy.lm).__name__}; only the site 'resid' can be read"
            )
        layouts.append(layout)
    # The first block's MLP does not notice a changed attention output where both read the same stream.
    changed = _watch(anatomy, device, negate=_child(anatomy.layers[0], _ATTENTION))[0]
    if torch.equal(changed.parts[layouts[0].mlp], watches[0].parts[layouts[0].mlp]):
        layouts = [BlockLayout(**{**layout.__dict__, "parallel": True}) for layout in layouts]
    return tuple(layouts)


def mlp_of(layer: nn.Module) -> nn.Module:
    """The MLP of a block.

    Raises:
        ModelError: it has none under a known name.
    """
    name = _child(layer, _MLP)
    if name is None:
        raise ModelError(
            f"{type(layer).__name__} has no MLP that could be found, so its neurons cannot be read or edited"
        )
    return layer.get_submodule(name)


def _child(layer: nn.Module, names: tuple[str, ...]) -> str | None:
    children = dict(layer.named_children())
    return next((name for name in names if name in children), None)


def _watch(anatomy: Anatomy, device: torch.device, *, negate: str | None) -> list[_Watch]:
    """Run the probe and keep every block's input, output and its children's outputs.

    `negate` names a child of the first block whose output changes its sign.
    """
    watched: list[_Watch] = []

    def before(_module: nn.Module, args: Any, kwargs: Any) -> None:
        watched.append(_Watch(before=hidden_in(args, kwargs).clone(), inputs={}, parts={}))

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        watched[-1].after = hidden_of(output).clone()

    def flip(_module: nn.Module, _args: Any, output: Any) -> Any:
        return (-output[0], *output[1:]) if isinstance(output, tuple) else -output

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, args: Any, output: Any) -> None:
            stream = watched[-1].before
            given = args[0] if args else None
            for kept, hidden in ((watched[-1].inputs, given), (watched[-1].parts, hidden_of(output))):
                # cloned: Falcon adds to its MLP's output in place
                if isinstance(hidden, Tensor) and hidden.numel() == stream.numel():
                    kept[name] = hidden.reshape(stream.shape).clone()

        return hook

    with ExitStack() as hooks:
        for layer in anatomy.layers:
            hooks.callback(layer.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(layer.register_forward_hook(after).remove)
            for name, child in layer.named_children():
                hooks.callback(child.register_forward_hook(keep(name)).remove)
        if negate is not None:
            first = anatomy.layers[0].get_submodule(negate)
            hooks.callback(first.register_forward_hook(flip, prepend=True).remove)
        with quiet(anatomy.lm):
            anatomy.lm(input_ids=probe_tokens(anatomy.lm, device), use_cache=False, return_dict=True)
    return watched


def _fit(layer: nn.Module, watch: _Watch, factor: float) -> BlockLayout | None:
    attention, mlp = _child(layer, _ATTENTION), _child(layer, _MLP)
    order = list(watch.parts)
    if attention not in watch.parts or mlp not in watch.parts or watch.after is None:
        return None
    norms = {name for name in order if "norm" in type(layer.get_submodule(name)).__name__.casefold()}

    def with_norms(part: str) -> list[str]:
        """The part itself, or the norm that runs on its output."""
        following = order[order.index(part) + 1 :]
        return [part, *[name for name in following[:1] if name in norms]]

    half = watch.after.dtype not in (torch.float32, torch.float64)
    allowed = (_TOLERANCE_HALF if half else _TOLERANCE) * float(watch.after.abs().max())
    attention, mlp = str(attention), str(mlp)
    for first, second in product(with_norms(attention), with_norms(mlp)):
        layout = BlockLayout(first, second, factor=factor)
        a, m = watch.parts[first], watch.parts[second]
        total = watch.before + layout.attn_out(watch.before, a) + layout.mlp_out(watch.before, a, m)
        if float((total - watch.after).abs().max()) <= allowed:
            return layout
    # BLOOM hands the stream into attention and MLP, which add it themselves: then the MLP's output is the
    # block's, and what is normed before the MLP is the attention's output as it is.
    between = order[order.index(attention) + 1 : order.index(mlp)]
    fed = [watch.inputs[name] for name in between if name in watch.inputs]
    feeds = any(torch.equal(hidden, watch.parts[attention]) for hidden in fed)
    if feeds and torch.equal(watch.parts[mlp], watch.after):
        return BlockLayout(attention, mlp, summed=True)
    return None
