"""The prefix cache: few-shot examples that many prompts begin with, found as common tokens, run once, shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

# A run more, of the few-shot prefix alone, costs about as much as this many tokens do.
RUN_OVERHEAD_TOKENS = 64
# Below this depth of the prefix tree prompts are no longer distinguished: deeper forks save next to nothing.
_MAX_DEPTH = 64


@dataclass(frozen=True)
class PrefixGroup:
    """Prompts that begin with the same tokens.

    Attributes:
        members: indices into the prompts given.
        length: how many tokens are shared; 0 where nothing is.
    """

    members: tuple[int, ...]
    length: int


@dataclass
class _Node:
    """A fork of the prefix tree: `length` tokens are shared by all prompts below."""

    length: int
    ending: list[int]
    forks: list[_Node]


def group_prompts(
    prompts: Sequence[Sequence[int]], *, overhead: int = RUN_OVERHEAD_TOKENS
) -> list[PrefixGroup]:
    """Divide prompts into groups with a common token prefix, so that the fewest tokens are run.

    A prefix that is run once costs its tokens and `overhead`, and saves them in each prompt of its group.
    Every prompt keeps at least one token of its own. Prompts that share nothing worth it form one group of
    length 0.

    Args:
        prompts: token ids per prompt, none empty.
        overhead: what one run more costs, in tokens.
    """
    if not prompts:
        return []
    order = sorted(range(len(prompts)), key=lambda i: list(prompts[i]))
    saving = _Saving(overhead)
    chosen = saving.groups(_grow(prompts, order, 0, 0))
    return sorted(
        (PrefixGroup(tuple(sorted(members)), length) for length, members in chosen), key=lambda g: g.members
    )


def _grow(prompts: Sequence[Sequence[int]], order: list[int], shared: int, depth: int) -> _Node:
    """The prefix tree of prompts, which are sorted and share `shared` tokens."""
    shortest = min(len(prompts[i]) for i in order)
    first, last = prompts[order[0]], prompts[order[-1]]
    length = shared
    # sorted, so what the first and the last share is shared by all
    while length < shortest - 1 and first[length] == last[length]:
        length += 1
    node = _Node(length, [], [])
    branches: dict[int, list[int]] = {}
    for i in order:
        if len(prompts[i]) == length + 1:
            node.ending.append(i)
        else:
            branches.setdefault(prompts[i][length], []).append(i)
    for branch in branches.values():
        if len(branch) == 1 or depth >= _MAX_DEPTH:
            node.ending.extend(branch)
        else:
            node.forks.append(_grow(prompts, branch, length, depth + 1))
    return node


class _Saving:
    """Which forks' prefixes are worth a run of their own: the best choice, by dynamic programming over the tree.

    A prompt continues from the deepest prefix above it that is run, so the best choice below a fork depends
    on no more than how long that prefix is.
    """

    def __init__(self, overhead: int) -> None:
        self._overhead = overhead
        self._cache: dict[tuple[int, int], tuple[int, bool]] = {}

    def best(self, node: _Node, above: int) -> tuple[int, bool]:
        """Most tokens saved below a fork, given the prefix that is run above it, and whether the fork's own is run."""
        key = (id(node), above)
        if key not in self._cache:
            without = above * len(node.ending) + sum(self.best(fork, above)[0] for fork in node.forks)
            length = node.length
            with_own = length * len(node.ending) + sum(self.best(fork, length)[0] for fork in node.forks)
            with_own -= length + self._overhead
            self._cache[key] = (max(without, with_own), with_own > without)
        return self._cache[key]

    def groups(self, root: _Node) -> list[tuple[int, list[int]]]:
        """Length and members of each group of the best choice; length 0 for those that share nothing."""
        groups: list[tuple[int, list[int]]] = [(0, [])]
        todo = [(root, 0)]
        while todo:
            node, slot = todo.pop()
            if self.best(node, groups[slot][0])[1]:
                groups.append((node.length, []))
                slot = len(groups) - 1
            groups[slot][1].extend(node.ending)
            todo.extend((fork, slot) for fork in node.forks)
        return [(length, members) for length, members in groups if members]


class _Shared:
    """A cache layer that many rows read and none writes: its keys and values are put before each row's own.

    The base class would store the result; here it lives only as long as the prefix that asked for it, so a
    batch needs one prefix's expanded keys and values at a time, not all blocks'.
    """

    keys: Tensor
    values: Tensor

    def update(self, keys: Tensor, values: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        rows = len(keys)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), keys], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), values], dim=-2),
        )


class _SharedFull(_Shared, DynamicLayer):  # type: ignore[misc]  # transformers is not checked
    """All keys and values; a window, where there is one, is in the attention mask."""


def shared_cache(cache: Any) -> DynamicCache | None:
    """A cache of one row as one that any number of rows can read, sharing its tensors.

    Returns None where the cache holds something other than plain keys and values (recurrent states, compressed
    attention), which cannot be shared this way.
    """
    if type(cache) is not DynamicCache:
        return None
    layers = []
    for layer in cache.layers:
        keys = getattr(layer, "keys", None)
        if type(layer) is not DynamicLayer or not isinstance(keys, Tensor) or len(keys) != 1:
            return None
        copy = object.__new__(_SharedFull)
        copy.__dict__.update(layer.__dict__)
        layers.append(copy)
    shared = object.__new__(DynamicCache)
    shared.__dict__.update(cache.__dict__)
    shared.layers = layers
    return shared
