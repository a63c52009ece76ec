"""Write hooks: edits in force on a model, told before each forward which prompt and position every token is.

Hooks lie on blocks and parts of blocks as long as `HookedLM.edited` lasts, and act on what the model is run for:
readings, and direct calls of the transformers model (``model.model.generate``), whose positions are found from the
attention mask and the cache. They do not act on the probes by which this package learns what a model is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn

from latentlang.errors import ModelError
from latentlang.models.anatomy import hidden_in, hidden_of
from latentlang.models.batch import EncodedPrompt
from latentlang.models.block_layout import BlockLayout, mlp_of
from latentlang.models.edits import Edit, EditPlace, SettledEdit, Skip
from latentlang.models.neurons import Gate

# Rows, columns and prompts of the activations that an edit changes in one forward.
_Places = tuple[Tensor, Tensor, Tensor]
# Per edit the token indices of each prompt; None where a word names them.
EditPositions = Mapping[SettledEdit, Sequence[Sequence[int]] | None]


@dataclass
class _Frame:
    """Which prompt and position the tokens of one forward are.

    Attributes:
        prompts: int64 ``[row]``, place of each row's prompt in the list that is run.
        offset: int64 ``[row]``, what has to be added to a column to get the token's position in its prompt.
        lengths: int64 ``[row]``, tokens of each prompt.
        columns: tokens of this forward, per row.
        generating: whether tokens after the prompt's end are generated ones, rather than filling.
        positions: where each edit is made.
    """

    prompts: Tensor
    offset: Tensor
    lengths: Tensor
    columns: int
    generating: bool
    positions: EditPositions
    _places: dict[SettledEdit, _Places] = field(default_factory=dict)

    def places(self, settled: SettledEdit, device: torch.device) -> _Places:
        """Where an edit changes something, worked out once for all its layers."""
        if settled not in self._places or self._places[settled][0].device != device:
            rows, columns = self._mask(settled).nonzero(as_tuple=True)
            self._places[settled] = rows.to(device), columns.to(device), self.prompts[rows].to(device)
        return self._places[settled]

    def _mask(self, settled: SettledEdit) -> Tensor:
        """Boolean ``[row, column]``."""
        at = torch.arange(self.columns)[None] + self.offset[:, None]
        lengths = self.lengths[:, None]
        listed = self.positions[settled]
        if listed is not None:
            mask = torch.zeros(at.shape, dtype=torch.bool)
            for row, (prompt, offset) in enumerate(
                zip(self.prompts.tolist(), self.offset.tolist(), strict=True)
            ):
                for index in listed[prompt]:
                    if 0 <= index - offset < self.columns:
                        mask[row, index - offset] = True
            return mask
        words = settled.edit.positions
        if words == "last":
            return at == lengths - 1
        text = (at >= 0) if self.generating else (at >= 0) & (at < lengths)
        return text if words == "all" else text & (at >= lengths - 1)


class Interventions:
    """The edits in force on one model; none, unless within `HookedLM.edited`."""

    def __init__(self) -> None:
        """No edit is in force."""
        #: Held while the model is run, and as long as edits are in force: hooks of one thread would read what another
        #: thread's forward gives. The thread that holds it may take it again.
        self.lock = RLock()
        self._edits: list[SettledEdit] = []
        self._frame: _Frame | None = None
        # More than 0 within forwards whose frame is given, or that are not to be edited.
        self._inside = 0
        # Of the prompts that a direct call of the model began with, while it generates: lengths, filling, positions.
        self._called: tuple[Tensor, Tensor, EditPositions] | None = None
        self._watch = ExitStack()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What provenance says of the edits in force."""
        return [settled.record for settled in self._edits]

    @property
    def edits(self) -> list[Edit]:
        """The edits in force."""
        return [settled.edit for settled in self._edits]

    # What is run

    def begin(self, items: Sequence[EncodedPrompt]) -> EditPositions:
        """Settle where prompts that are run from now on are edited.

        Raises:
            ModelError: a position outside a prompt, or an edit for another number of prompts.
        """
        return self._settled([len(item.ids) for item in items])

    def first_edited(self, item: EncodedPrompt, positions: EditPositions) -> int:
        """The first token of a prompt that an edit changes: what stands before may be run once for several."""
        length = len(item.ids)
        firsts = []
        for settled in self._edits:
            listed = positions[settled]
            firsts.append(settled.first(length, None if listed is None else listed[item.index]))
        return min(firsts, default=length)

    @contextmanager
    def forward(
        self, batch: Sequence[EncodedPrompt], positions: EditPositions, start: int, columns: int
    ) -> Iterator[None]:
        """A forward over tokens ``start`` to ``start + columns`` of each prompt of a batch.

        Raises:
            ModelError: the edits in force are others than when `begin` settled the positions.
        """
        if {*positions} != {*self._edits}:
            raise ModelError(
                "the edits on the model changed while prompts were being read; read them all within edited(...)"
            )
        frame = None
        if self._edits:
            frame = _Frame(
                prompts=torch.tensor([item.index for item in batch]),
                offset=torch.full((len(batch),), start),
                lengths=torch.tensor([len(item.ids) for item in batch]),
                columns=columns,
                generating=False,
                positions=positions,
            )
        with self._framed(frame):
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No edit is in force on what is run inside."""
        with self._framed(None):
            yield

    @contextmanager
    def _framed(self, frame: _Frame | None) -> Iterator[None]:
        with self.lock:
            before = self._frame
            self._frame, self._inside = frame, self._inside + 1
            try:
                yield
            finally:
                self._frame, self._inside = before, self._inside - 1

    def _settled(self, lengths: Sequence[int]) -> EditPositions:
        def name(number: int) -> str:
            return f"prompt {number}"

        return {settled: settled.positions_of(lengths, name) for settled in self._edits}

    # Hooks

    @contextmanager
    def applied(
        self,
        edits: Sequence[SettledEdit],
        *,
        lm: nn.Module,
        layers: Sequence[nn.Module],
        layouts: Sequence[BlockLayout],
        projections: Sequence[nn.Module],
        gates: Sequence[Gate],
    ) -> Iterator[None]:
        """Edits in force inside; later ones see what earlier ones left.

        Args:
            edits: settled edits.
            lm: the causal LM, whose direct calls are watched.
            layers: its blocks.
            layouts: how to write inside the blocks; needed for ``attn_out`` and ``mlp_out``.
            projections: per block the MLP's output projection; needed for ``mlp_post``.
            gates: per block what gives the values before the activation function; needed for ``mlp_pre``.
        """
        with self.lock, ExitStack() as hooks:
            before = self._called
            # what is done to the embeddings comes before what a block keeps of its input
            for settled in sorted(edits, key=lambda each: 0 not in each.layers):
                _attach(self, settled, hooks, layers, layouts, projections, gates)
            if edits and not self._edits:
                self._watch.callback(lm.register_forward_pre_hook(self._enter, with_kwargs=True).remove)
                self._watch.callback(lm.register_forward_hook(self._leave, always_call=True).remove)
            self._edits.extend(edits)
            self._called = None
            try:
                yield
            finally:
                # by identity: contexts held by generators may be left in any order
                self._edits = [settled for settled in self._edits if settled not in edits]
                self._called = before if self._edits else None
                if not self._edits:
                    self._frame = None
                    self._watch.close()

    def changed(self, settled: SettledEdit, number: int, hidden: Tensor, before: Tensor | None) -> Tensor:
        """Activations ``[row, column, d]`` of a block as an edit leaves them; the same tensor where it changes none."""
        if self._frame is None:
            return hidden
        if hidden.ndim == 2:
            # OPT runs its MLP on [row * column, d]
            shaped = hidden.view(len(self._frame.prompts), self._frame.columns, -1)
            changed = self.changed(settled, number, shaped, before)
            return hidden if changed is shaped else changed.view(hidden.shape)
        rows, columns, prompts = self._frame.places(settled, hidden.device)
        if not len(rows):
            return hidden
        given = hidden[rows, columns]
        precise = torch.promote_types(given.dtype, torch.float32)
        place = EditPlace(
            prompts=prompts, layer=number, layer_index=settled.layers.index(number),
            before=None if before is None else before[rows, columns].to(precise),
        )  # fmt: skip
        entering = given.to(precise)
        edited = settled.edit.change(entering, place)
        if edited is entering:
            return hidden
        if not isinstance(edited, Tensor) or edited.shape != given.shape:
            shape = list(edited.shape) if isinstance(edited, Tensor) else type(edited).__name__
            raise ModelError(f"an edit's change of activations {list(given.shape)} gave {shape}")
        changed = hidden.clone()
        changed[rows, columns] = edited.to(hidden.dtype)
        return changed

    def _enter(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before a direct call of the model: find out what its tokens are."""
        if self._inside:
            return
        ids = kwargs.get("input_ids", args[0] if args else None)
        ids = kwargs.get("inputs_embeds") if ids is None else ids
        if ids is None:
            return
        rows, columns = ids.shape[:2]
        cache, mask = kwargs.get("past_key_values"), kwargs.get("attention_mask")
        past = int(cache.get_seq_length()) if cache is not None else 0
        if past == 0 or self._called is None or len(self._called[0]) != rows:
            flat = isinstance(mask, Tensor) and mask.shape == (rows, past + columns)
            if mask is not None and not flat and self._by_position:
                raise ModelError(
                    "the attention mask does not say which tokens are text, so an edit's positions cannot be found; "
                    "call the model with a mask [prompt, token], or edit all positions"
                )
            real = mask.bool().cpu() if flat and mask is not None else torch.ones(rows, past + columns).bool()
            # the filling before the first token; what follows the last one is never looked at
            filling = real.int().argmax(-1)
            lengths = real.sum(-1)
            self._called = lengths, filling, self._settled(lengths.tolist())
        elif columns > 1 and self._by_position:
            raise ModelError(
                "several tokens at once after others that were run before: an edit's positions cannot be found; call "
                "the model on whole prompts, or edit all positions"
            )
        lengths, filling, positions = self._called
        self._frame = _Frame(
            prompts=torch.arange(rows), offset=past - filling, lengths=lengths, columns=columns,
            generating=past > 0, positions=positions,
        )  # fmt: skip

    @property
    def _by_position(self) -> bool:
        """Whether an edit needs to know where its prompt begins and ends."""
        return any(settled.edit.positions != "all" for settled in self._edits)

    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        if not self._inside:
            self._frame = None


def _attach(
    interventions: Interventions,
    settled: SettledEdit,
    hooks: ExitStack,
    layers: Sequence[nn.Module],
    layouts: Sequence[BlockLayout],
    projections: Sequence[nn.Module],
    gates: Sequence[Gate],
) -> None:
    """Hooks of one edit on all its layers."""
    site = settled.edit.site
    for number in settled.layers:
        if site == "mlp_post":
            _on_input(projections[number - 1], hooks, _changer(interventions, settled, number))
        elif site == "mlp_pre":
            _on_part(gates[number - 1], hooks, _changer(interventions, settled, number))
        elif site != "resid":
            _attach_inside(interventions, settled, number, hooks, layers[number - 1], layouts[number - 1])
        elif number == 0:
            _on_input(layers[0], hooks, _changer(interventions, settled, 0))
        elif isinstance(settled.edit.change, Skip):
            _attach_skip(interventions, settled, number, hooks, layers[number - 1])
        else:
            _on_output(layers[number - 1], hooks, _changer(interventions, settled, number))


def _changer(interventions: Interventions, settled: SettledEdit, number: int) -> Callable[[Tensor], Tensor]:
    return lambda hidden: interventions.changed(settled, number, hidden, None)


def _attach_skip(
    interventions: Interventions, settled: SettledEdit, number: int, hooks: ExitStack, layer: nn.Module
) -> None:
    entering: list[Tensor] = []

    def after(hidden: Tensor) -> Tensor:
        return interventions.changed(settled, number, hidden, entering.pop())

    _watch_input(layer, hooks, lambda hidden: entering.__setitem__(slice(None), [hidden]))
    _on_output(layer, hooks, after)


def _attach_inside(
    interventions: Interventions,
    settled: SettledEdit,
    number: int,
    hooks: ExitStack,
    layer: nn.Module,
    layout: BlockLayout,
) -> None:
    """What a part adds to the stream is worked out from its output, changed, and put back into it."""
    parts: dict[str, Tensor] = {}
    attention = settled.edit.site == "attn_out"

    def before(hidden: Tensor) -> None:
        # cloned: Falcon adds to the stream in place
        parts["before"] = hidden.clone() if layout.summed else hidden

    def keep_attention(hidden: Tensor) -> None:
        parts["attention"] = hidden.view(parts["before"].shape)

    def change(output: Tensor) -> Tensor:
        stream = parts["before"]
        hidden = output.view(stream.shape)
        if not layout.summed:
            added = hidden * layout.factor if layout.factor != 1.0 else hidden
            edited = interventions.changed(settled, number, added, None)
            if edited is added:
                return output
            restored = edited / layout.factor if layout.factor != 1.0 else edited
        else:
            base = stream if attention else parts["attention"]
            added = hidden - base
            edited = interventions.changed(settled, number, added, None)
            if edited is added:
                return output
            restored = base + edited
        # what is as it was stays so to the last bit, through a factor or a sum
        return torch.where(edited == added, hidden, restored).view(output.shape)

    _watch_input(layer, hooks, before)
    if layout.summed and not attention:
        module = layer.get_submodule(layout.attention)
        hook = module.register_forward_hook(lambda _m, _a, output: keep_attention(hidden_of(output)))
        hooks.callback(hook.remove)
    _on_output(layer.get_submodule(layout.attention if attention else layout.mlp), hooks, change)


def _watch_input(module: nn.Module, hooks: ExitStack, do: Callable[[Tensor], None]) -> None:
    def hook(_module: nn.Module, args: Any, kwargs: Any) -> None:
        do(hidden_in(args, kwargs))

    hooks.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)


def _on_input(module: nn.Module, hooks: ExitStack, change: Callable[[Tensor], Tensor]) -> None:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden = hidden_in(args, kwargs)
        changed = change(hidden)
        if changed is hidden:
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed}

    hooks.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)


def _on_output(module: nn.Module, hooks: ExitStack, change: Callable[[Tensor], Tensor]) -> None:
    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        hidden = hidden_of(output)
        changed = change(hidden)
        if changed is hidden:
            return None
        if isinstance(output, tuple | list):
            return type(output)([changed, *output[1:]])
        return changed

    hooks.callback(module.register_forward_hook(hook).remove)


def _on_part(gate: Gate, hooks: ExitStack, change: Callable[[Tensor], Tensor]) -> None:
    """Change some of the outputs of a linear module."""

    def part(hidden: Tensor) -> Tensor:
        if hidden.shape[-1] == gate.stop - gate.start:
            return change(hidden)
        given = hidden[..., gate.start : gate.stop]
        changed = change(given)
        if changed is given:
            return hidden
        whole = hidden.clone()
        whole[..., gate.start : gate.stop] = changed
        return whole

    _on_output(gate.module, hooks, part)


def output_projection(layer: nn.Module, d_model: int) -> tuple[nn.Module, int]:
    """The module that leads from the neurons of a block's MLP back to the stream, and how many neurons there are.

    Args:
        layer: the block.
        d_model: width of the stream.

    Raises:
        ModelError: there is no one such module (a mixture of experts has many).
    """
    module = mlp_of(layer)
    candidates: dict[int, list[tuple[nn.Module, int]]] = {}
    for name, part in module.named_modules():
        shape = _in_and_out(part)
        if shape is not None and shape[1] == d_model:
            candidates.setdefault(name.count(".") + bool(name), []).append((part, shape[0]))
    # an adapted projection holds the original one, which lies deeper
    shallowest = candidates[min(candidates)] if candidates else []
    narrow = [entry for entry in shallowest if entry[1] != d_model] or shallowest[-1:]
    experts = any("expert" in name for name, _part in module.named_modules())
    if len(narrow) != 1 or experts:
        raise ModelError(
            f"the neurons of {type(module).__name__} do not all enter one output projection, so the site 'mlp_post' "
            "cannot be read or edited; take 'mlp_out'"
        )
    return narrow[0]


def _in_and_out(module: nn.Module) -> tuple[int, int] | None:
    inputs, outputs = getattr(module, "in_features", None), getattr(module, "out_features", None)
    if isinstance(inputs, int) and isinstance(outputs, int):
        return inputs, outputs
    # GPT-2's Conv1D
    inputs, outputs = getattr(module, "nx", None), getattr(module, "nf", None)
    return (inputs, outputs) if isinstance(inputs, int) and isinstance(outputs, int) else None
