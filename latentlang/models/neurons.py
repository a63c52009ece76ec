"""Where the neurons of an MLP are read before their activation function: found by recomputing what enters its output.

The neurons of a block are what enters the MLP's output projection (``mlp_post``): ``act(x)`` in a plain MLP, and
``act(x) * y`` in a gated one, where x and y are linear in the block's normed stream. x is ``mlp_pre``, by whose sign a
neuron is said to fire (LAPE; TransformerLens' ``hook_pre``). Modules are named differently everywhere, and Phi-3 and
others compute x and y in one; so the linear maps of a block are watched on one probe, and those that give what enters
the output projection are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from latentlang.errors import ModelError
from latentlang.models.anatomy import Anatomy, hidden_in, hidden_of, probe_tokens, quiet, text_config

# Those that configs name under other names, or only in code.
_ACTIVATIONS = ("silu", "gelu", "gelu_pytorch_tanh", "gelu_new", "relu", "relu2", "quick_gelu")
_CONFIG_KEYS = ("hidden_act", "hidden_activation", "activation_function", "hidden_activation_function")
# Largest difference between what is recomputed and what was watched, relative to its largest value.
_TOLERANCE, _TOLERANCE_HALF = 1e-5, 3e-2


@dataclass(frozen=True, eq=False)
class Gate:
    """Where the values before the activation function are.

    Attributes:
        module: the linear module that gives them.
        start, stop: which of its outputs they are.
    """

    module: nn.Module
    start: int
    stop: int


def find_gates(
    anatomy: Anatomy, projections: Sequence[tuple[nn.Module, int]], *, device: torch.device
) -> tuple[Gate, ...]:
    """One gate per block.

    Args:
        anatomy: of the model.
        projections: per block the MLP's output projection and the number of its neurons.
        device: of the probe.

    Raises:
        ModelError: the values before the activation function are nowhere to be found in some block.
    """
    functions = list(_functions(anatomy.lm))
    watched = [_Watched.of(layer, *found) for layer, found in zip(anatomy.layers, projections, strict=True)]
    with ExitStack() as hooks, quiet(anatomy.lm):
        for one in watched:
            one.attach(hooks)
        anatomy.lm(input_ids=probe_tokens(anatomy.lm, device), use_cache=False, return_dict=True)
    gates = []
    for number, one in enumerate(watched, start=1):
        gate = one.gate(functions)
        if gate is None:
            raise ModelError(
                f"what enters the activation function of the MLP cannot be found in block {number} of "
                f"{type(anatomy.lm).__name__}, so the site 'mlp_pre' is not there; take 'mlp_post'"
            )
        gates.append(gate)
    return tuple(gates)


def _functions(lm: Any) -> Iterator[Callable[[Tensor], Tensor]]:
    """Activation functions the model may use, the one its config names first."""
    config = text_config(lm)
    named = [value for key in _CONFIG_KEYS if isinstance(value := getattr(config, key, None), str)]
    for name in dict.fromkeys([*named, *_ACTIVATIONS]):
        if name in ACT2FN:
            yield ACT2FN[name]


def _maps(module: nn.Module) -> Iterator[nn.Module]:
    """Parts that are made of no others; one with an adapter on it as a whole, for its output is what the model uses."""
    if not list(module.children()) or hasattr(module, "base_layer"):
        yield module
        return
    for part in module.children():
        yield from _maps(part)


@dataclass(eq=False)
class _Watched:
    """What passed through the linear maps of one block on the probe.

    Attributes:
        projection: the MLP's output projection.
        neurons: how many enter it.
        linears: the maps whose outputs are as many, or twice as many.
        outputs: of each, ``[position, features]``.
        entering: what entered the projection, ``[position, neurons]``.
    """

    projection: nn.Module
    neurons: int
    linears: list[nn.Module]
    outputs: dict[nn.Module, Tensor]
    entering: Tensor | None = None

    @classmethod
    def of(cls, layer: nn.Module, projection: nn.Module, neurons: int) -> _Watched:
        inside = set(projection.modules())
        return cls(projection, neurons, [part for part in _maps(layer) if part not in inside], {})

    def attach(self, hooks: ExitStack) -> None:
        """Watch the next forward."""

        def keep(module: nn.Module, _args: Any, output: Any) -> None:
            hidden = hidden_of(output)
            if isinstance(hidden, Tensor) and hidden.ndim >= 2 and self._parts(hidden):
                self.outputs[module] = hidden.reshape(-1, hidden.shape[-1]).clone()

        def enter(_module: nn.Module, args: Any, kwargs: Any) -> None:
            self.entering = hidden_in(args, kwargs).reshape(-1, self.neurons).clone()

        for module in self.linears:
            hooks.callback(module.register_forward_hook(keep).remove)
        hooks.callback(self.projection.register_forward_pre_hook(enter, with_kwargs=True).remove)

    def _parts(self, hidden: Tensor) -> list[tuple[int, int]]:
        """The runs of outputs that may be neurons."""
        width = hidden.shape[-1]
        if width not in (self.neurons, 2 * self.neurons):
            return []
        return [(start, start + self.neurons) for start in range(0, width, self.neurons)]

    def gate(self, functions: Sequence[Callable[[Tensor], Tensor]]) -> Gate | None:
        """The map and the outputs from which the activation function makes what entered the projection."""
        if self.entering is None:
            return None
        values = [
            (Gate(module, start, stop), hidden[:, start:stop])
            for module, hidden in self.outputs.items()
            for start, stop in self._parts(hidden)
        ]
        half = self.entering.dtype not in (torch.float32, torch.float64)
        allowed = (_TOLERANCE_HALF if half else _TOLERANCE) * float(self.entering.abs().max())
        for function in functions:
            for gate, before in values:
                active = function(before)
                others = [None, *(value for other, value in values if other is not gate)]
                for other in others:
                    made = active if other is None else active * other
                    if float((made - self.entering).abs().max()) <= allowed:
                        return gate
        return None
