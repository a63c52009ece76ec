"""Forward hooks that keep chosen positions, or sums over spans, of chosen layers; nothing else is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from latentlang.models.anatomy import Anatomy, hidden_in, hidden_of
from latentlang.models.batch import Request
from latentlang.models.block_layout import BlockLayout


@dataclass
class Selector:
    """Which vectors of ``[batch, position, d_model]`` are kept, as ``[batch, kept, d_model]``.

    Attributes:
        index: int64 ``[batch, kept]``, token indices; negative ones are read at 0 and to be ignored.
        weights: float32 ``[batch, sums, position]``; weighted sums. With these all is kept in float32, sums
            first, then single positions.
    """

    index: Tensor | None = None
    weights: Tensor | None = None
    _copies: dict[torch.device, tuple[Tensor | None, Tensor | None]] = field(default_factory=dict)

    def __call__(self, hidden: Tensor) -> Tensor:
        """The vectors kept of ``[batch, position, d_model]``."""
        weights, index = self._on(hidden.device)
        # einops.einsum("batch kept position, batch position d -> batch kept d") costs 1.6 times as much on small
        # batches (benchmarks/einops_cost.py), and this runs in every block of every forward.
        sums = None if weights is None else torch.bmm(weights, hidden.float())
        if index is None:
            assert sums is not None, "a selector keeps positions, sums or both"
            return sums
        single = hidden[torch.arange(len(index), device=hidden.device)[:, None], index]
        return single if sums is None else torch.cat([sums, single.float()], dim=1)

    def _on(self, device: torch.device) -> tuple[Tensor | None, Tensor | None]:
        """Sums and positions on a block's device (they differ under a device map), moved there once."""
        if device not in self._copies:
            self._copies[device] = (
                None if self.weights is None else self.weights.to(device),
                None if self.index is None else self.index.clamp(min=0).to(device),
            )
        return self._copies[device]


class Capture(AbstractContextManager["Capture"]):
    """Hooks on a model for one forward.

    Args:
        anatomy: the model's parts.
        request: layers and sites to keep.
        layouts: how to read inside the blocks; needed for sites other than ``resid`` and ``mlp_post``.
        projections: per block the MLP's output projection; needed for ``mlp_post``.
        select: which vectors to keep.
        last: int64 ``[batch]``, index of each prompt's last token, where the head is to be applied. The
            head then runs on those positions only, whatever the padding.
        rows: how many of them get logits; 1 makes the head nearly free where logits are not wanted.
        device: where kept vectors go.

    Attributes:
        sites: name to ``[batch, layer, kept, d_model]``, after the forward.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        request: Request,
        layouts: tuple[BlockLayout, ...],
        select: Selector,
        *,
        last: Tensor,
        rows: int,
        device: torch.device,
        projections: tuple[nn.Module, ...] = (),
    ) -> None:
        self.sites: dict[str, Tensor] = {}
        self._anatomy = anatomy
        self._request = request
        self._layouts = layouts
        self._projections = projections
        self._select = select
        self._last = last[:rows, None]
        self._final: Tensor | None = None
        self._device = device
        self._slots: dict[int, list[int]] = {}
        for slot, layer in enumerate(request.layers):
            self._slots.setdefault(layer, []).append(slot)
        self._hooks = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._attach()
        except BaseException:
            self._hooks.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()
        self._final = None

    def _attach(self) -> None:
        layers = self._anatomy.layers
        sites = self._request.sites
        inside = tuple(name for name in sites if name not in ("resid", "mlp_post"))
        if 0 in self._slots and "resid" in sites:
            self._before(layers[0], self._keeper(0))
        for number, layer in enumerate(layers, start=1):
            if number in self._slots and inside:
                self._attach_inside(number, layer, inside)
            if number in self._slots and "mlp_post" in sites:
                self._attach_neurons(number, layer, self._projections[number - 1])
            if number in self._slots and "resid" in sites:
                self._after(layer, self._keeper(number))
        self._after(layers[-1], self._keep_final)
        self._hooks.callback(self._anatomy.head.register_forward_pre_hook(self._feed_head).remove)

    def _keeper(self, number: int) -> Callable[[Tensor], None]:
        if self._request.normed_last and number == len(self._anatomy.layers):
            # token by token, before anything is averaged
            return lambda hidden: self._keep("resid", number, self._select(self._anatomy.norm(hidden)))
        return lambda hidden: self._keep("resid", number, self._select(hidden))

    def _before(self, module: nn.Module, do: Callable[[Tensor], None]) -> None:
        def hook(_module: nn.Module, args: Any, kwargs: Any) -> None:
            do(hidden_in(args, kwargs))

        self._hooks.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)

    def _after(self, module: nn.Module, do: Callable[[Tensor], None]) -> None:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            do(hidden_of(output))

        self._hooks.callback(module.register_forward_hook(hook).remove)

    def _attach_inside(self, number: int, layer: nn.Module, inside: tuple[str, ...]) -> None:
        layout = self._layouts[number - 1]
        parts: dict[str, Tensor] = {}
        shape: list[torch.Size] = []

        def before(hidden: Tensor) -> None:
            shape[:] = [hidden.shape]
            parts["before"] = self._select(hidden)

        def part(name: str) -> Callable[[Tensor], None]:
            # OPT runs its MLP on [batch * position, d_model]
            return lambda hidden: parts.__setitem__(name, self._select(hidden.view(shape[0])))

        def finish(_hidden: Tensor) -> None:
            a, m, b = parts["attention"], parts["mlp"], parts["before"]
            if "attn_out" in inside:
                self._keep("attn_out", number, layout.attn_out(b, a))
            if "resid_mid" in inside:
                self._keep("resid_mid", number, layout.resid_mid(b, a))
            if "mlp_out" in inside:
                self._keep("mlp_out", number, layout.mlp_out(b, a, m))
            parts.clear()

        self._before(layer, before)
        self._after(layer.get_submodule(layout.attention), part("attention"))
        self._after(layer.get_submodule(layout.mlp), part("mlp"))
        self._after(layer, finish)

    def _attach_neurons(self, number: int, layer: nn.Module, projection: nn.Module) -> None:
        shape: list[int] = []

        def entering(hidden: Tensor) -> None:
            # OPT runs its MLP on [batch * position, neurons]
            self._keep("mlp_post", number, self._select(hidden.view(*shape, hidden.shape[-1])))

        self._before(layer, lambda hidden: shape.__setitem__(slice(None), hidden.shape[:2]))
        self._before(projection, entering)

    def _keep(self, name: str, number: int, kept: Tensor) -> None:
        if name not in self.sites:
            shape = (kept.shape[0], len(self._request.layers), *kept.shape[1:])
            self.sites[name] = torch.empty(shape, dtype=kept.dtype, device=self._device)
        for slot in self._slots[number]:
            self.sites[name][:, slot] = kept.to(self._device)

    def _keep_final(self, hidden: Tensor) -> None:
        rows = torch.arange(len(self._last), device=hidden.device)[:, None]
        self._final = hidden[rows, self._last.to(hidden.device)]

    def _feed_head(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._final is None:
            return None
        normed = self._anatomy.norm(self._final)
        return (normed.to(args[0].device), *args[1:])
