"""The residual stream of one text with its gradients: what the last block's output owes to each layer before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.models.anatomy import Anatomy, hidden_in, hidden_of, quiet


@dataclass(frozen=True)
class StreamGraph:
    """Layers of one text, several times side by side, and the last block's output as a function of them.

    Attributes:
        sources: ``[copy, token, d_model]`` residual stream of each layer that was asked for.
        final: the same after the last block, before the final norm.
    """

    sources: tuple[Tensor, ...]
    final: Tensor

    def pulled_back(self, cotangents: Tensor, *, last: bool = False) -> tuple[Tensor, ...]:
        """Vector-Jacobian products: the gradient of ``sum(cotangents * final)`` with respect to each layer.

        Args:
            cotangents: ``[copy, token, d_model]``; each copy is a product of its own.
            last: whether this is the last call, so that the graph may go.

        Returns:
            ``[copy, token, d_model]`` for each of `sources`.
        """
        wanted = cotangents.to(self.final.device, self.final.dtype)
        return torch.autograd.grad(self.final, self.sources, wanted, retain_graph=not last)


def graph_of_text(
    anatomy: Anatomy, ids: Sequence[int], *, layers: Sequence[int], copies: int, device: torch.device
) -> StreamGraph:
    """Run one text so that its last block's output can be differentiated by its layers.

    Nothing below the lowest of the layers is kept; the model's weights get no gradient.

    Args:
        anatomy: the model's parts.
        ids: the text's tokens.
        layers: which layers, in rising order, all before the last; layer 0 is what enters block 1.
        copies: how often the text runs side by side, so that as many products come from one backward pass.
        device: where token ids go.
    """
    sources: dict[int, Tensor] = {}
    final: list[Tensor] = []
    first = layers[0]

    def source(hidden: Tensor, layer: int) -> Tensor:
        # What goes on is a copy: a block may add to its input in place.
        sources[layer] = hidden.detach().requires_grad_() if layer == first else hidden
        return sources[layer].clone()

    def before_first(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden = source(hidden_in(args, kwargs), 0)
        return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

    def after(layer: int) -> Any:
        def hook(_module: Any, _args: Any, output: Any) -> Any:
            hidden = source(hidden_of(output), layer)
            return hidden if isinstance(output, Tensor) else type(output)((hidden, *output[1:]))

        return hook

    def after_last(_module: Any, _args: Any, output: Any) -> None:
        final.append(hidden_of(output))

    with ExitStack() as hooks, quiet(anatomy.lm), torch.enable_grad(), _frozen(anatomy.lm):
        for layer in layers:
            handle = (
                anatomy.layers[0].register_forward_pre_hook(before_first, with_kwargs=True)
                if layer == 0
                else anatomy.layers[layer - 1].register_forward_hook(after(layer))
            )
            hooks.callback(handle.remove)
        hooks.callback(anatomy.layers[-1].register_forward_hook(after_last).remove)
        rows = torch.tensor([list(ids)], device=device).expand(copies, -1)
        keep = {"logits_to_keep": 1} if anatomy.keeps else {}
        anatomy.lm(input_ids=rows, use_cache=False, return_dict=True, **keep)
    return StreamGraph(tuple(sources[layer] for layer in layers), final[0])


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """A block in which no weight of a model asks for a gradient; each is as before afterwards."""
    asking = [weight for weight in model.parameters() if weight.requires_grad]
    try:
        for weight in asking:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in asking:
            weight.requires_grad_(True)
