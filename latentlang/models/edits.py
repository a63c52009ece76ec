"""Edits of activations: what is done (replace, add, scale, project out, swap, skip) and where it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from latentlang.arguments import Layers
from latentlang.errors import InputError, ModelError
from latentlang.models.adapters import AdapterState
from latentlang.models.batch import check_layers
from latentlang.text import listed

# Sites that can be written to. `resid` is the residual stream after a block (0: entering the first), `attn_out` and
# `mlp_out` what the two parts of a block add to it, `mlp_post` the neurons: what enters the MLP's output projection,
# `mlp_pre` what enters their activation function.
EDIT_SITES = ("resid", "attn_out", "mlp_out", "mlp_post", "mlp_pre")
#: Those that are as wide as there are neurons.
NEURON_SITES = ("mlp_post", "mlp_pre")
_WORDS = ("last", "all", "new")
# Directions shorter than this have no direction.
_SHORTEST = 1e-12

Positions = str | int | Sequence[int] | Sequence[Sequence[int]]


@dataclass(frozen=True)
class EditPlace:
    """Where the activations come from that a change is given.

    Attributes:
        prompts: int64 ``[row]``, which prompt each row belongs to, as a place in the list of prompts.
        layer: layer number.
        layer_index: place of the layer among the edit's layers.
        before: ``[row, d]`` the residual stream before the block, for a change that asks for it (`Skip`).
    """

    prompts: Tensor
    layer: int
    layer_index: int
    before: Tensor | None = None


class Change(Protocol):
    """What is done to activations ``[row, d]`` in float32 (float64 in a model of that dtype); any callable will do."""

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations as they are to be, of the same shape."""


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of activations while a model runs; in force within `HookedLM.edited`.

    Edits are made by `replace`, `add`, `set_along`, `scale`, `project_out`, `swap`, `ablate` and `skip`, or from a
    function. Vectors are ``[d]`` for all prompts, ``[prompt, d]`` or ``[prompt, layer, d]``, where an axis of length 1
    is for all, prompts stand in the order of the list that is run, and layers in the order of `layers`.

    Attributes:
        change: what is done; a function of activations ``[row, d]`` and an `EditPlace`.
        layers: ``"all"`` blocks, layer numbers, or text such as ``"4,8-12"``; 0 the embeddings (``resid`` alone).
        site: ``resid``, ``attn_out``, ``mlp_out``, ``mlp_post`` (neurons) or ``mlp_pre`` (before their activation
            function).
        positions: ``"last"`` token of the prompt, ``"all"`` tokens, ``"new"``: every position that a new token is
            predicted from (the prompt's last one and each one generated), token indices (negative: from the prompt's
            end), or a list of them per prompt, which may be empty for prompts that stay as they are.
        weights: fingerprint of the model that the numbers of the change come from, where it is known: a model of other
            weights refuses the edit.
        adapter: which adapter took part where the numbers come from, where it is known: the weights are the same with
            it on and off, and a model in another state refuses the edit.
    """

    change: Change
    layers: Layers = "all"
    site: str = "resid"
    positions: Positions = "last"
    weights: str | None = field(default=None, kw_only=True)
    adapter: AdapterState | None = field(default=None, kw_only=True)
    # Tells edits by functions apart, of which nothing else can be hashed.
    _stamp: str = field(default_factory=lambda: uuid4().hex, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check what can be checked without a model.

        Raises:
            InputError: an unknown site, or positions that are none.
        """
        if self.site not in EDIT_SITES:
            raise InputError(f"unknown site {self.site!r} for an edit; known: {', '.join(EDIT_SITES)}")
        if isinstance(self.positions, str) and self.positions not in _WORDS:
            raise InputError(
                f"positions={self.positions!r}: give {', '.join(map(repr, _WORDS))}, or token indices"
            )
        if not isinstance(self.positions, str | int | np.integer) and not len(self.positions):
            raise InputError("an edit names no position; give 'last', 'all', 'new' or token indices")
        if not callable(self.change):
            raise InputError(
                f"an edit's change is a function of activations, not {type(self.change).__name__}"
            )

    @property
    def prompts(self) -> int | None:
        """How many prompts there are vectors of their own for; None where all prompts have the same."""
        change = self.change
        if not isinstance(change, _Vectors) or change.vectors.ndim == 1 or len(change.vectors) == 1:
            return None
        return len(change.vectors)

    def of_prompts(self, places: Sequence[int]) -> Edit:
        """The edit of some of its prompts, in this order; itself where all prompts have the same."""
        change = self.change
        if self.prompts is None or not isinstance(change, _Vectors):
            return self
        return replace(self, change=replace(change, vectors=change.vectors[list(places)], _copies={}))

    @classmethod
    def replace(cls, value: Any, **where: Any) -> Edit:
        """Put `value` in the activation's place (patching)."""
        return cls(Replace(vectors_of(value, "value")), **where)

    @classmethod
    def add(cls, vector: Any, *, strength: float = 1.0, **where: Any) -> Edit:
        """Add ``strength * vector`` (steering)."""
        return cls(Add(vectors_of(vector, "vector") * number_of(strength, "strength")), **where)

    @classmethod
    def set_along(cls, vector: Any, **where: Any) -> Edit:
        """Put `vector` in the place of what the activation has along it; what is at right angles to it stays."""
        return cls(SetAlong(vectors_of(vector, "vector")), **where)

    @classmethod
    def scale(cls, factor: float, **where: Any) -> Edit:
        """Multiply by a number."""
        return cls(Scale(number_of(factor, "factor")), **where)

    @classmethod
    def project_out(cls, directions: Any, *, strength: float = 1.0, **where: Any) -> Edit:
        """Take away ``strength`` times what lies in the span of directions ``[d]`` or ``[direction, d]``."""
        return cls(ProjectOut(basis_of(directions), number_of(strength, "strength")), **where)

    @classmethod
    def swap(cls, first: Any, second: Any, **where: Any) -> Edit:
        """Let the components along two directions change places.

        The activation is reflected along the difference of the two unit vectors: what it has of the one it then has of
        the other; the rest, and its length, stay.
        """
        one, other = (unit(vectors_of(vector, "direction")) for vector in (first, second))
        axis = one - other
        if not bool((axis.norm(dim=-1) > _SHORTEST).all()) or not all(
            bool((each.norm(dim=-1) > 0).all()) for each in (one, other)
        ):
            raise InputError("a swap needs two directions, and one of these is zero or both are the same")
        return cls(Reflect(unit(axis)), **where)

    @classmethod
    def ablate(
        cls,
        mean: Any = None,
        *,
        features: Sequence[int] | Sequence[Sequence[int]] | None = None,
        **where: Any,
    ) -> Edit:
        """Replace by zero, or by a mean activation.

        Args:
            mean: what is put in its place; zero by default.
            features: which numbers of the activation (neurons, at ``mlp_post``), all by default; or a list of them for
                each of the `layers`, some of which may be empty.
            **where: `layers`, `site` and `positions`.

        Raises:
            InputError: a mean that is no tensor, or features that are none.
        """
        if features is None:
            return cls(Scale(0.0) if mean is None else Replace(vectors_of(mean, "mean")), **where)
        chosen = features_of(features)
        return cls(
            SetFeatures(torch.zeros(1) if mean is None else vectors_of(mean, "mean"), features=chosen),
            **where,
        )

    @classmethod
    def skip(cls, *, layers: Layers, positions: Positions = "all") -> Edit:
        """Leave blocks out: the residual stream after a block is what it was before it."""
        return cls(Skip(), layers=layers, positions=positions)


@dataclass(frozen=True, eq=False)
class _Vectors:
    """Vectors ``[d]``, ``[prompt, d]`` or ``[prompt, layer, d]``, given row by row."""

    vectors: Tensor
    _copies: dict[tuple[torch.device, torch.dtype], Tensor] = field(default_factory=dict, repr=False)

    def rows(self, like: Tensor, place: EditPlace) -> Tensor:
        """The vector of each row ``[row, d]``."""
        key = like.device, like.dtype
        if key not in self._copies:
            self._copies[key] = self.vectors.to(*key)
        vectors = self._copies[key]
        if vectors.ndim == 1:
            return vectors.expand_as(like)
        if vectors.ndim == 3:
            vectors = vectors[:, place.layer_index if vectors.shape[1] > 1 else 0]
        return vectors.expand_as(like) if len(vectors) == 1 else vectors[place.prompts]


@dataclass(frozen=True, eq=False)
class Replace(_Vectors):
    """Another value in the activation's place."""

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The values."""
        return self.rows(activations, place)


@dataclass(frozen=True, eq=False)
class SetFeatures(_Vectors):
    """Another value in the place of some numbers of the activation.

    Attributes:
        features: which ones, a list for each layer, or one for all.
    """

    features: tuple[tuple[int, ...], ...] = ()

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations with these numbers replaced."""
        chosen = list(self.features[place.layer_index if len(self.features) > 1 else 0])
        if not chosen:
            return activations
        changed = activations.clone()
        changed[:, chosen] = self.rows(activations, place)[:, chosen]
        return changed


@dataclass(frozen=True, eq=False)
class Add(_Vectors):
    """A vector more."""

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations and the vectors."""
        return activations + self.rows(activations, place)


@dataclass(frozen=True, eq=False)
class SetAlong(_Vectors):
    """A vector in the place of the component along it; where it is zero nothing changes."""

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """``x - (x . u) u + v``, with u of length one along v."""
        vectors = self.rows(activations, place)
        axes = unit(vectors)
        return activations - (activations * axes).sum(-1, keepdim=True) * axes + vectors


@dataclass(frozen=True, eq=False)
class Reflect(_Vectors):
    """The other way round along unit vectors; where a vector is zero nothing changes."""

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """``x - 2 (x . u) u``."""
        axes = self.rows(activations, place)
        return activations - 2 * (activations * axes).sum(-1, keepdim=True) * axes


@dataclass(frozen=True)
class Scale:
    """A multiple of the activation."""

    factor: float

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The multiple."""
        # not 0 * x, which leaves -0.0
        return activations * self.factor if self.factor else torch.zeros_like(activations)


@dataclass(frozen=True, eq=False)
class ProjectOut:
    """The activation without (a share of) what lies in a subspace, of which the orthonormal `basis` is ``[k, d]``."""

    basis: Tensor
    strength: float = 1.0

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """``x - s B'B x``."""
        basis = self.basis.to(activations)
        return activations - self.strength * (activations @ basis.T) @ basis


@dataclass(frozen=True, eq=False)
class Erase:
    """An affine map that takes something out, each layer its own: ``x - s (x - centre) read' write``.

    Attributes:
        read: what is measured of an activation, ``[layer, k, d]``.
        write: what each measured number takes away, ``[layer, k, d]``.
        centre: the activation that stays as it is, ``[layer, d]``.
        strength: how much of it is taken out.
    """

    read: Tensor
    write: Tensor
    centre: Tensor
    strength: float = 1.0

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The activations without it."""
        read, write, centre = (
            part[place.layer_index].to(activations) for part in (self.read, self.write, self.centre)
        )
        return activations - self.strength * ((activations - centre) @ read.T) @ write


@dataclass(frozen=True)
class Skip:
    """What was there before the block."""

    def __call__(self, activations: Tensor, place: EditPlace, /) -> Tensor:
        """The residual stream before the block."""
        assert place.before is not None, "the hook hands it over"
        return place.before


def vectors_of(value: Any, name: str) -> Tensor:
    """A tensor ``[d]``, ``[prompt, d]`` or ``[prompt, layer, d]`` of finite numbers, apart from the caller's.

    Raises:
        InputError: it is none.
    """
    try:
        tensor = torch.as_tensor(value).detach().clone()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} must be a tensor of numbers, not {type(value).__name__}") from error
    if not tensor.is_floating_point():
        tensor = tensor.float()
    if not 1 <= tensor.ndim <= 3 or not tensor.numel():
        raise InputError(
            f"{name} must be of shape [d], [prompt, d] or [prompt, layer, d], not {list(tensor.shape)}"
        )
    if not bool(tensor.isfinite().all()):
        raise InputError(f"{name} holds a number that is NaN or infinite")
    return tensor


def features_of(features: Any) -> tuple[tuple[int, ...], ...]:
    """Numbers of features, a tuple for each layer or one for all.

    Raises:
        InputError: they are no whole numbers from 0.
    """
    listed = list(features)
    nested = bool(listed) and all(np.ndim(entry) == 1 for entry in listed)
    chosen = tuple(tuple(entry) for entry in (listed if nested else [listed]))
    for index in (index for entry in chosen for index in entry):
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or index < 0:
            raise InputError(f"features are whole numbers from 0, not {index!r}")
    if not any(chosen):
        raise InputError("an edit names no feature; leave 'features' out to change all")
    return tuple(tuple(int(index) for index in entry) for entry in chosen)


def number_of(value: Any, name: str) -> float:
    """A finite number.

    Raises:
        InputError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length one; zero where there is no direction."""
    lengths = vectors.norm(dim=-1, keepdim=True)
    units: Tensor = vectors / lengths.clamp_min(_SHORTEST)
    return torch.where(lengths > _SHORTEST, units, torch.zeros_like(vectors))


def basis_of(directions: Any) -> Tensor:
    """An orthonormal basis ``[k, d]`` of the span of directions ``[d]`` or ``[direction, d]``.

    Raises:
        InputError: they are none, or all zero.
    """
    given = vectors_of(directions, "directions").double()
    if given.ndim == 3:
        raise InputError(f"directions must be of shape [d] or [direction, d], not {list(given.shape)}")
    _left, sizes, right = torch.linalg.svd(given.reshape(-1, given.shape[-1]), full_matrices=False)
    basis: Tensor = right[sizes > sizes.max() * max(given.shape) * torch.finfo(torch.float32).eps]
    if not len(basis) or float(sizes.max()) <= _SHORTEST:
        raise InputError("directions are all zero: there is nothing to project out")
    return basis


def _plain(positions: int | Sequence[Any]) -> Any:
    """Positions as JSON has them."""
    if isinstance(positions, int | np.integer):
        return int(positions)
    return [_plain(entry) for entry in positions]


def _function_name(change: object) -> str:
    return str(getattr(change, "__qualname__", type(change).__qualname__))


@dataclass(frozen=True, eq=False)
class SettledEdit:
    """An edit as a model runs it.

    Attributes:
        edit: the edit.
        layers: its layer numbers.
        width: of the activations at its site.
    """

    edit: Edit
    layers: tuple[int, ...]
    width: int

    @property
    def record(self) -> dict[str, Any]:
        """What provenance says of it: what is done where, and a hash of the numbers it is done with."""
        change = self.edit.change
        known = isinstance(change, _Vectors | Scale | ProjectOut | Erase | Skip)
        digest = hashlib.sha256()
        for name, value in sorted(vars(change).items() if known else ()):
            if isinstance(value, Tensor):
                content = value.contiguous().cpu().double().numpy().tobytes()
                digest.update(name.encode() + str(list(value.shape)).encode() + content)
            elif isinstance(value, float | tuple):
                digest.update(f"{name}={value!r}".encode())
        positions = self.edit.positions
        return {
            "change": type(change).__name__ if known else _function_name(change),
            "site": self.edit.site,
            "layers": list(self.layers),
            "positions": positions if isinstance(positions, str) else _plain(positions),
            # of a function nobody can tell whether it is the same another time
            "sha256": digest.hexdigest() if known else f"not known ({self.edit._stamp})",
        }

    def positions_of(
        self, lengths: Sequence[int], name: Callable[[int], str]
    ) -> list[tuple[int, ...]] | None:
        """Token indices of each prompt; None where they are named by a word.

        Args:
            lengths: tokens per prompt.
            name: how a prompt is called in an error.

        Raises:
            ModelError: a position outside a prompt, or as many lists or vectors as there are not prompts.
        """
        self._check_vectors(len(lengths))
        positions = self.edit.positions
        if isinstance(positions, str):
            return None
        listed: list[Any] = [positions] if isinstance(positions, int | np.integer) else list(positions)
        if any(np.ndim(entry) for entry in listed):
            if len(listed) != len(lengths):
                raise ModelError(
                    f"an edit has positions for {len(listed)} prompts, and {len(lengths)} are run"
                )
            per_prompt = [tuple(int(index) for index in entry) for entry in listed]
        else:
            per_prompt = [tuple(int(index) for index in listed)] * len(lengths)
        settled = []
        for number, (indices, length) in enumerate(zip(per_prompt, lengths, strict=True)):
            for index in indices:
                if not -length <= index < length:
                    raise ModelError(
                        f"{name(number)} has {length} tokens, so an edit cannot be at position {index}"
                    )
            settled.append(tuple(index % length for index in indices))
        return settled

    def first(self, length: int, positions: Sequence[int] | None) -> int:
        """The first token of a prompt that is edited; its length where none is."""
        if positions is not None:
            return min(positions, default=length)
        return 0 if self.edit.positions == "all" else length - 1

    def _check_vectors(self, prompts: int) -> None:
        change = self.edit.change
        if isinstance(change, _Vectors) and change.vectors.ndim > 1:
            given = len(change.vectors)
            if given not in (1, prompts):
                raise ModelError(f"an edit has vectors for {given} prompts, and {prompts} are run")


def settle(edit: Edit, *, depth: int, d_model: int, neurons: int | None = None) -> SettledEdit:
    """Check an edit against a model.

    Args:
        edit: the edit.
        depth: blocks of the model.
        d_model: width of the residual stream.
        neurons: width of ``mlp_post`` and ``mlp_pre``.

    Raises:
        InputError: it is no edit.
        ModelError: a layer that is not there, or vectors of another width or for another number of layers.
    """
    if not isinstance(edit, Edit):
        raise InputError(
            f"an Edit is needed, not {type(edit).__name__}; Edit.replace(...), Edit.add(...) make one"
        )
    blocks_only = edit.layers == "all" or isinstance(edit.change, Skip)
    layers = check_layers(edit.layers, depth=depth, sites=(edit.site,), first=1 if blocks_only else 0)
    if len(set(layers)) < len(layers):
        raise ModelError(f"layers={edit.layers!r} of an edit name one twice; name each once")
    width = neurons if edit.site in NEURON_SITES and neurons is not None else d_model
    change = edit.change
    vectors = change.vectors if isinstance(change, _Vectors) else None
    if isinstance(change, ProjectOut):
        vectors = change.basis
    elif isinstance(change, Erase):
        vectors = change.read
    elif isinstance(change, SetFeatures):
        vectors = None if change.vectors.shape == (1,) else change.vectors
        largest = max(index for chosen in change.features for index in chosen)
        if largest >= width:
            raise ModelError(
                f"an edit changes feature {largest}, and {edit.site!r} of this model has {width}, from 0; does it come "
                "from another model?"
            )
        if len(change.features) not in (1, len(layers)):
            raise ModelError(
                f"an edit has features for {len(change.features)} layers and is made at {len(layers)}"
            )
    if vectors is not None and vectors.shape[-1] != width:
        raise ModelError(
            f"an edit's vectors are {vectors.shape[-1]} wide, and {edit.site!r} of this model is {width}; do they come "
            "from another model?"
        )
    given = len(change.read) if isinstance(change, Erase) else 1
    if isinstance(change, _Vectors) and change.vectors.ndim == 3:
        given = change.vectors.shape[1]
    if given != len(layers) and (given != 1 or isinstance(change, Erase)):
        raise ModelError(f"an edit has vectors for {given} layers and is made at {len(layers)}")
    return SettledEdit(edit, layers, width)


def edit_note(record: Mapping[str, Any]) -> str:
    """The sentence on an edit in force, of its record."""
    layers = listed([str(layer) for layer in record["layers"]])
    positions = record["positions"]
    where = f"{positions} positions" if isinstance(positions, str) else "listed positions"
    return f"read with an edit in force: {record['change']} at {record['site']}, layers {layers}, {where}"
