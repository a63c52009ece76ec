"""Hidden states that other engines wrote: where they lie, what they are of, and prompt by prompt what they hold.

Three layouts are told by what is there:

- a file for each prompt (``.safetensors`` or ``.npz``) with ``hidden_states`` ``[token, layer, d_model]`` and, where
  they are known, ``token_ids`` ``[token]``: what vLLM's ``ExampleHiddenStatesConnector`` writes under
  ``speculative_config={"method": "extract_hidden_states"}`` as ``<request id>.safetensors``. It does not say which
  layers: they are those of ``eagle_aux_hidden_state_layer_ids``, in that order. Layer l there is the residual stream
  that enters block l, so the embeddings are 0 and the number of blocks is the last one, *before* the final norm: the
  numbers of this package. Read in vLLM's source and its page on hidden state extraction (0.18 to 0.22), not tried with
  vLLM itself. Or, in place of ``hidden_states``, a tensor ``[token, d_model]`` for each layer, whose name ends in the
  layer's number (``layer.12``);
- one file with a tensor ``[prompt, position, d_model]`` for each layer and ``attention_mask`` ``[prompt, position]``:
  ``output_hidden_states`` of transformers, padded on either side; ``input_ids`` where they are known;
- one file with a tensor ``[prompt, d_model]`` for each layer: one vector a prompt, made by whoever wrote it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from latentlang.arguments import ranges
from latentlang.errors import InputError, shown
from latentlang.paths import is_folder, is_present
from latentlang.storage.documents import damaged
from latentlang.storage.npz import stored_arrays
from latentlang.storage.tensors import StoredTensor, stored_tensors

STATES, MASK = "hidden_states", "attention_mask"
_IDS = ("token_ids", "input_ids")
_NUMBERED = re.compile(r"(?:.*[^0-9])?([0-9]{1,4})")
# vLLM names requests by their number, newer versions with some random digits behind it.
_REQUEST = re.compile(r"([0-9]+)(?:-[0-9a-z]+)?")
SUFFIXES = (".safetensors", ".npz")
_THEN = "write it again"
# Bytes of a compressed file's arrays, which are held in memory; and of the rows of others that are read at once.
_MOST_UNPACKED, _AT_ONCE = 2**30, 8 * 2**20

_Stored = TypeVar("_Stored", Tensor, StoredTensor)


@dataclass(frozen=True)
class DumpedPrompt:
    """What a dump holds of one prompt.

    Attributes:
        states: floating point ``[token, layer, d_model]``; of a dump of vectors one token.
        ids: its token ids; None where they are not known.
        other_side: what `states` would be if the padding were on the other side; None where there is none.
    """

    states: Tensor
    ids: tuple[int, ...] | None = None
    other_side: Tensor | None = None


class Dump(Protocol):
    """Hidden states of prompts, in the order of the prompts.

    Attributes:
        layout: ``requests``, ``padded`` or ``vectors``.
        layers: layer numbers along the axis of layers, ascending.
    """

    @property
    def layout(self) -> str:
        """As it says above."""
        ...

    @property
    def layers(self) -> tuple[int, ...]:
        """As it says above."""
        ...

    def read(self, row: int) -> DumpedPrompt:
        """One prompt.

        Raises:
            InputError: its file is missing, damaged, or of another shape than it should be.
        """

    def where(self, row: int) -> str:
        """Where a prompt lies, for an error."""


def open_dump(
    source: Path, files: Sequence[str] | None, *, count: int, layers: Sequence[int] | None, shift: int
) -> Dump:
    """A dump, as what it is.

    Args:
        source: a folder with a file for each prompt, or one file of all.
        files: names of the prompts' files in the folder; None to go by the numbers of their names.
        count: of prompts.
        layers: the layers along the axis of ``hidden_states``, in its order; or which of the named ones are wanted.
        shift: added to the numbers of named layers.

    Raises:
        InputError: it is none, files are missing, or what its layers are is not known.
    """
    for layer in layers or ():
        if layer < 0:
            raise InputError(f"layers= names {layer}; layers count from 0, the embeddings")
    if not is_present(source):
        raise InputError(f"there is no file or folder {str(source)!r} of hidden states")
    if is_folder(source):
        return RequestFiles(_prompt_files(source, files, count), layers, shift)
    if files is not None:
        raise InputError(
            f"the prompts name a file each, and {str(source)!r} is no folder that could hold them; give the folder"
        )
    tensors = stored(source)
    named = _named_layers(source, tensors, layers, shift)
    if len(tensors[named[0][1]].shape) == 3:
        return PaddedFile(source, tensors, named, count)
    return VectorFile(source, tensors, named, count)


def stored(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a ``.safetensors`` or ``.npz`` file, by name, to be read by rows; no pickle is read.

    Raises:
        InputError: it is of another kind, cannot be read, is damaged, or is compressed and too large to be unpacked.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"{str(path)!r}: hidden states are read from {' and '.join(SUFFIXES)} files")
    if path.suffix == ".safetensors":
        return stored_tensors(path, then=_THEN)
    return stored_arrays(path, then=_THEN, most_unpacked=_MOST_UNPACKED)


def read_arrays(path: Path) -> dict[str, Tensor]:
    """All tensors of such a file.

    Raises:
        InputError: as of `stored`.
    """
    return {name: tensor.rows() for name, tensor in stored(path).items()}


def _prompt_files(folder: Path, files: Sequence[str] | None, count: int) -> list[Path]:
    """A file for each prompt, in their order."""
    if files is not None:
        # what an engine says is the path on its machine: the folder may have another one here
        found = [folder / Path(name).name for name in files]
    else:
        numbered: dict[int, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix not in SUFFIXES:
                continue
            request = _REQUEST.fullmatch(path.stem)
            if request is None or int(request[1]) in numbered:
                raise InputError(
                    f"{str(path)!r}: which prompt it is of cannot be told by its name; give the table of prompts a "
                    "column 'file'"
                )
            numbered[int(request[1])] = path
        found = [numbered[number] for number in sorted(numbered)]
        if len(found) != count:
            raise InputError(
                f"{str(folder)!r} holds {len(found)} files of hidden states, and there are {count} prompts; give the "
                "table of prompts a column 'file' that says which is whose"
            )
    present = {path.name for path in folder.iterdir()}
    for path in found:
        if path.name not in present:
            raise InputError(f"there is no file {str(path)!r}, which a prompt names")
    return found


def _named_layers(
    path: Path, tensors: Mapping[str, object], layers: Sequence[int] | None, shift: int
) -> list[tuple[int, str]]:
    """Layer numbers and names of the tensors that are of a layer, ascending; those of `layers` where it is given."""
    named: dict[int, str] = {}
    for name in tensors:
        number = _NUMBERED.fullmatch(name)
        if number is None:
            continue
        layer = int(number[1]) + shift
        if layer in named:
            raise InputError(
                f"{str(path)!r}: {shown(named[layer])} and {shown(name)} are both of layer {layer}; leave one out"
            )
        named[layer] = name
    if not named:
        holds = ", ".join(shown(name, most=40) for name in list(tensors)[:6]) or "nothing"
        raise InputError(
            f"{str(path)!r} holds {holds}: no {STATES!r} of one prompt in a folder of them, and no tensor whose name "
            "ends in a layer's number (layer.12)"
        )
    if min(named) < 0:
        raise InputError(f"shift={shift} makes a layer {min(named)}; layers count from 0, the embeddings")
    if layers is not None:
        for layer in layers:
            if layer not in named:
                raise InputError(f"{str(path)!r} has no layer {layer}; it has {ranges(sorted(named))}")
        named = {layer: named[layer] for layer in layers}
    return sorted(named.items())


def _floating(path: Path, name: str, tensor: _Stored, axes: Sequence[str]) -> _Stored:
    """A tensor of so many axes that holds numbers of which a mean can be taken.

    Raises:
        InputError: it does not.
    """
    shape = list(tensor.shape)
    if not tensor.dtype.is_floating_point or len(shape) != len(axes) or 0 in shape:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise damaged(
            path, f"{shown(name)} is {kind} {shape}, not floating point [{', '.join(axes)}]", then=_THEN
        )
    return tensor


def _check_alike(path: Path, parts: Sequence[Tensor] | Sequence[StoredTensor]) -> None:
    """Refuse layers of which one has another shape, or numbers of another kind, than the others."""
    if len({tuple(part.shape) for part in parts}) > 1:
        raise damaged(path, "its layers have different shapes", then=_THEN)
    if len(kinds := {str(part.dtype).removeprefix("torch.") for part in parts}) > 1:
        raise damaged(path, f"its layers are of different dtypes, {' and '.join(sorted(kinds))}", then=_THEN)


def _ids_of(path: Path, tensors: Mapping[str, _Stored]) -> _Stored | None:
    for name in _IDS:
        if name in tensors:
            if tensors[name].dtype.is_floating_point:
                raise damaged(path, f"{name!r} holds no whole numbers", then=_THEN)
            return tensors[name]
    return None


class _RowBlocks:
    """Tensors with as many rows as each other, of which some rows at a time are in memory.

    Args:
        tensors: that are read together.
    """

    def __init__(self, tensors: Sequence[StoredTensor]) -> None:
        self._tensors = tensors
        each = sum(math.prod(tensor.shape[1:]) * tensor.dtype.itemsize for tensor in tensors)
        self._step = max(1, _AT_ONCE // max(1, each))
        self._first, self._block = 0, [tensor.rows(0, 0) for tensor in tensors]

    def read(self, row: int) -> list[Tensor]:
        """A row of each."""
        if not self._first <= row < self._first + len(self._block[0]):
            self._first = row - row % self._step
            self._block = [tensor.rows(self._first, self._first + self._step) for tensor in self._tensors]
        return [block[row - self._first] for block in self._block]


class RequestFiles:
    """A file for each prompt.

    Args:
        paths: of the files, in the order of the prompts.
        layers: along the axis of ``hidden_states``, or which of the named ones are wanted.
        shift: added to the numbers of named layers.
    """

    layout = "requests"

    def __init__(self, paths: Sequence[Path], layers: Sequence[int] | None, shift: int) -> None:
        self._paths, self._given, self._shift = paths, layers, shift
        if not paths:
            raise InputError("no file of hidden states was given")
        if layers is not None and len(set(layers)) < len(layers):
            raise InputError(f"layers= names one twice: {', '.join(map(str, layers))}")
        first = read_arrays(paths[0])
        if STATES in first:
            if layers is None:
                count = first[STATES].shape[1] if first[STATES].ndim == 3 else 0
                raise InputError(
                    f"{str(paths[0])!r} does not say which {count} layers it holds; give layers=, those of "
                    "eagle_aux_hidden_state_layer_ids in their order"
                )
            if shift:
                raise InputError("shift= is for layers that names number; layers= says which these are")
            self.layers = tuple(sorted(layers))
        else:
            self.layers = tuple(layer for layer, _ in _named_layers(paths[0], first, layers, shift))

    def where(self, row: int) -> str:
        """Its file."""
        return str(self._paths[row])

    def read(self, row: int) -> DumpedPrompt:
        """As `Dump.read`."""
        path = self._paths[row]
        tensors = read_arrays(path)
        if STATES in tensors:
            states = _floating(path, STATES, tensors[STATES], ("token", "layer", "d_model"))
            given = self._given or ()
            if states.shape[1] != len(given):
                raise damaged(
                    path, f"it holds {states.shape[1]} layers, and layers= names {len(given)}", then=_THEN
                )
            order = sorted(range(len(given)), key=lambda place: given[place])
            states = states[:, order]
        else:
            named = _named_layers(path, tensors, self._given, self._shift)
            if tuple(layer for layer, _ in named) != self.layers:
                raise damaged(path, "it has other layers than the first prompt's file", then=_THEN)
            parts = [_floating(path, name, tensors[name], ("token", "d_model")) for _, name in named]
            _check_alike(path, parts)
            states = torch.stack(parts, dim=1)
        ids = _ids_of(path, tensors)
        if ids is not None and ids.shape != states.shape[:1]:
            raise damaged(
                path, f"it has {len(ids.reshape(-1))} token ids and {len(states)} tokens' states", then=_THEN
            )
        return DumpedPrompt(states, None if ids is None else tuple(ids.tolist()))


class PaddedFile:
    """One file of padded batches, ``[prompt, position, d_model]`` for each layer.

    Args:
        path: of the file.
        tensors: what it holds.
        named: layers and names of their tensors.
        count: of prompts.
    """

    layout = "padded"

    def __init__(
        self, path: Path, tensors: Mapping[str, StoredTensor], named: Sequence[tuple[int, str]], count: int
    ) -> None:
        self._path = path
        self.layers = tuple(layer for layer, _ in named)
        states = [
            _floating(path, name, tensors[name], ("prompt", "position", "d_model")) for _, name in named
        ]
        _check_alike(path, states)
        shape = states[0].shape
        _check_count(path, shape[0], count)
        if MASK not in tensors:
            raise InputError(
                f"{str(path)!r} has states of {shape[1]} positions for each prompt and no {MASK!r} "
                f"[{shape[0]}, {shape[1]}] that says which of them are padding; save it with them"
            )
        ids, mask = _ids_of(path, tensors), tensors[MASK]
        for name, values in ((MASK, mask), ("input_ids", ids)):
            if values is not None and values.shape != shape[:2]:
                raise damaged(
                    path, f"{name!r} is {list(values.shape)}, not {list(shape[:2])} as the states", then=_THEN
                )
        self._check_mask(mask)
        self._rows = _RowBlocks([mask, *([] if ids is None else [ids]), *states])
        self._has_ids = ids is not None

    def _check_mask(self, mask: StoredTensor) -> None:
        step = max(1, _AT_ONCE // (mask.shape[1] * mask.dtype.itemsize))
        for start in range(0, mask.shape[0], step):
            part = mask.rows(start, start + step)
            if not bool(((part == 0) | (part == 1)).all()):
                raise damaged(self._path, f"{MASK!r} holds something other than 0 and 1", then=_THEN)
            if not bool((some := (part == 1).any(1)).all()):
                row = start + int((~some).nonzero()[0, 0])
                raise damaged(self._path, f"{MASK!r} leaves no token of prompt {row}", then=_THEN)

    def where(self, row: int) -> str:
        """Its file, and its row in it."""
        return f"{self._path}, row {row}"

    def read(self, row: int) -> DumpedPrompt:
        """As `Dump.read`."""
        mask, *rest = self._rows.read(row)
        kept = mask == 1
        ids = tuple(rest.pop(0)[kept].tolist()) if self._has_ids else None
        states = torch.stack(rest, dim=1)
        return DumpedPrompt(states[kept], ids, None if bool(kept.all()) else states[kept.flip(0)])


class VectorFile:
    """One file of vectors, ``[prompt, d_model]`` for each layer.

    Args:
        path: of the file.
        tensors: what it holds.
        named: layers and names of their tensors.
        count: of prompts.
    """

    layout = "vectors"

    def __init__(
        self, path: Path, tensors: Mapping[str, StoredTensor], named: Sequence[tuple[int, str]], count: int
    ) -> None:
        self._path = path
        self.layers = tuple(layer for layer, _ in named)
        parts = [_floating(path, name, tensors[name], ("prompt", "d_model")) for _, name in named]
        _check_alike(path, parts)
        _check_count(path, parts[0].shape[0], count)
        self._rows = _RowBlocks(parts)

    def where(self, row: int) -> str:
        """Its file, and its row in it."""
        return f"{self._path}, row {row}"

    def read(self, row: int) -> DumpedPrompt:
        """As `Dump.read`."""
        return DumpedPrompt(torch.stack(self._rows.read(row))[None])


def _check_count(path: Path, held: int, count: int) -> None:
    if held != count:
        raise InputError(f"{str(path)!r} has states of {held} prompts, and there are {count} prompts")
