"""Running prompts through a model: windows, shared few-shot prefixes, batches by a token budget.

Prompts of a batch are filled up on the *right* and run without an attention mask. A causal model's token
never sees what comes after it, so the filling changes nothing, every position is what it is in the prompt
alone (rotary, learned, ALiBi, sliding window alike), and the attention kernels keep their fast causal path.
Whether a model is so is tried first (`latentlang.models.batching_probe`); others run prompt by prompt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import DynamicCache

from latentlang.errors import ModelError
from latentlang.models.anatomy import Anatomy, not_finite, quiet, text_config
from latentlang.models.batch import ActivationBatch, EncodedPrompt, Request, gather_index
from latentlang.models.block_layout import BlockLayout
from latentlang.models.hooks import Capture, Selector
from latentlang.models.interventions import EditPositions, Interventions
from latentlang.models.prefix_cache import RUN_OVERHEAD_TOKENS, PrefixGroup, group_prompts, shared_cache
from latentlang.models.tokenization import PromptLike

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

# Tokens (filling included) run at once, unless asked otherwise: enough to keep the device busy. On a CPU more is
# slower, since activations leave the cache (80 M parameters, one thread: 2048 tokens took 1.12 times as long as 1024).
BATCH_TOKENS = {"cuda": 16384, "mps": 4096, "cpu": 1024}
# A batch that shares a few-shot prefix also holds one prefix's keys and values for shared + own tokens; those
# weigh less than a token that is run.
_SHARED_TOKENS_PER_OWN = 8
# Prompts are sorted by length, and grouped by shared prefix, within this many, so that results come near to
# the input's order and a consumer that writes to disk need not hold them all.
WINDOW = 1024
# A batch's own logits [prompt, vocab] in float32 may take this much.
_LOGIT_BYTES = 256 * 2**20


class Batching(Protocol):
    """What a model's forward allows, as `BatchingProbe` finds it out."""

    @property
    def one_by_one(self) -> str | None:
        """Why prompts cannot be run side by side; None where they can."""

    def shared_up_to(self, tokens: int) -> int:
        """How long prompts may be that share a few-shot prefix, if the longest has so many tokens."""


@dataclass
class CachedPrefix:
    """A few-shot prefix that has been run.

    Attributes:
        length: its tokens.
        cache: its keys and values, readable by any number of rows; None without a prefix.
        kept: site to ``[1, layer, kept, d_model]``, what is read inside it.
        slots: token index, or span inside the prefix, to its place in `kept`.
    """

    length: int = 0
    cache: DynamicCache | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)
    slots: dict[Any, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Recent:
    """A few-shot prefix that was run, and what decided every bit of it.

    Attributes:
        edited: where the prompts of its list are edited; None for a list without edits.
        ids: its tokens.
        inside: what is read inside it.
        prefix: what came of it.
    """

    edited: EditPositions | None
    ids: list[int]
    inside: list[Any]
    prefix: CachedPrefix


def _begun(recent: _Recent, ids: list[int]) -> DynamicCache | None:
    """The keys and values that a prefix shares with an earlier one; None where going on is not worth it."""
    before, cache = recent.ids, recent.prefix.cache
    common = next((at for at, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), len(before))
    common = min(common, len(ids) - 1)
    if cache is None or common < RUN_OVERHEAD_TOKENS // 2:
        return None
    begun = DynamicCache()
    for number, layer in enumerate(cache.layers):
        begun.update(layer.keys[:, :, :common], layer.values[:, :, :common], number)
    return begun


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).casefold()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("not enough memory", "out of memory", "can't allocate memory")
    )


def unless_memory_ends(run: Callable[[], _T], device: torch.device) -> _T | None:
    """What a run gives, None where memory ended; what the failed run held is let go.

    Args:
        run: what is tried.
        device: whose memory it takes.
    """
    try:
        return run()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # outside the handler: the error's traceback keeps the failed forward's tensors alive
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    return None


class Runner:
    """Reads prompts, batch by batch.

    Args:
        anatomy: the model's parts.
        layouts: how to read inside blocks; empty where only ``resid`` is asked for.
        request: what to read.
        device: where token ids and results live.
        vocab_size: width of the logits.
        batch_tokens: tokens run at once.
        interventions: edits in force on the model; they act on lists of prompts (`run`), and on no other forward.
        batching: what the model allows; None where batches are known to come out right and no prefix is to be shared.
        share: whether few-shot prefixes are run once, where the model allows it.
        finite: whether NaN and infinite activations are refused.
        projections: per block the MLP's output projection; needed for ``mlp_post``.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        layouts: tuple[BlockLayout, ...],
        request: Request,
        *,
        device: torch.device,
        vocab_size: int,
        batch_tokens: int,
        interventions: Interventions,
        batching: Batching | None = None,
        share_prefix: bool = False,
        finite: bool = True,
        projections: tuple[nn.Module, ...] = (),
    ) -> None:
        self.anatomy = anatomy
        self.layouts = layouts
        self._projections = projections
        self.request = request
        self.device = device
        self.vocab_size = vocab_size
        self.batch_tokens = batch_tokens
        self._interventions = interventions
        # Where prompts are edited, settled for each list; None for forwards that no edit is to touch.
        self._positions: EditPositions | None = None
        self._batching = batching
        self.share_prefix = share_prefix
        self._finite = finite
        self._budget = batch_tokens
        self._short = short_length(text_config(anatomy.lm))
        # The few-shot prefix run last, and what decides every bit of it. Kept from list to list of prompts, but for
        # those that are edited.
        self._recent: _Recent | None = None

    def run(
        self,
        items: Sequence[EncodedPrompt],
        progress: Callable[[int, int], None] | None = None,
        *,
        there: frozenset[int] = frozenset(),
    ) -> Iterator[ActivationBatch]:
        """Readings of all prompts, in batches, but those batches whose prompts are all `there`.

        They do not depend on what was run before, unless memory ended: then batches are smaller until the list is done.
        """
        # Now, not when the first batch is asked for: readings are of the model as it was when they were asked for.
        return self._run(items, progress, there, self._interventions.begin(items))

    def _run(
        self,
        items: Sequence[EncodedPrompt],
        progress: Callable[[int, int], None] | None,
        there: frozenset[int],
        positions: EditPositions,
    ) -> Iterator[ActivationBatch]:
        self._budget = self.batch_tokens
        self._positions = positions
        done = 0
        for start in range(0, len(items), WINDOW):
            window = items[start : start + WINDOW]
            for group in self._groups(window):
                members = sorted((window[i] for i in group.members), key=lambda item: -len(item.ids))
                for reading in self._group(members, group.length, there):
                    done += len(reading)
                    if progress is not None:
                        progress(done, len(items))
                    yield reading
                    # another list may have been begun meanwhile
                    self._positions = positions
        self._positions = None

    def _groups(self, window: Sequence[EncodedPrompt]) -> list[PrefixGroup]:
        if self._short is None:
            return self._shared(window, range(len(window)))
        short: list[int] = []
        long: list[int] = []
        for index, item in enumerate(window):
            (short if len(item.ids) <= self._short else long).append(index)
        # A prefix is shorter than the prompts it begins, and long ones would have it run with other frequencies.
        return [
            *(self._shared(window, short) if short else []),
            *([PrefixGroup(tuple(long), 0)] if long else []),
        ]

    def _shared(self, window: Sequence[EncodedPrompt], places: Sequence[int]) -> list[PrefixGroup]:
        """Groups of some of the prompts, of those that run together whatever their lengths."""
        if not self.share_prefix or self._batching is None:
            return [PrefixGroup(tuple(places), 0)]
        groups = [
            PrefixGroup(tuple(places[i] for i in group.members), group.length)
            for group in group_prompts([self._shareable(window[index]) for index in places])
        ]
        sharing = [index for group in groups if group.length for index in group.members]
        if not sharing:
            return groups
        longest = max(len(window[index].ids) for index in sharing)
        allowed = self._batching.shared_up_to(longest)
        if allowed >= longest:
            return groups
        rest = tuple(index for index in places if len(window[index].ids) > allowed)
        kept = [index for index in places if len(window[index].ids) <= allowed]
        return [*(self._shared(window, kept) if kept else []), PrefixGroup(rest, 0)]

    def _shareable(self, item: EncodedPrompt) -> list[int]:
        """The prompt's tokens as far as a prefix of them may be run for several: up to the first that is edited."""
        if not self._positions:
            return item.ids
        return item.ids[: self._interventions.first_edited(item, self._positions) + 1]

    def _group(
        self, members: list[EncodedPrompt], length: int, there: frozenset[int]
    ) -> Iterator[ActivationBatch]:
        if there and all(item.index in there for item in members):
            return
        prefix = self._attempt(partial(self._cached_prefix, members, length)) if length else CachedPrefix()
        if prefix is None:
            raise self._too_long(length)
        at = 0
        while at < len(members):
            batch = self._take(members, at, length)
            if there and all(item.index in there for item in batch):
                at += len(batch)
                continue
            reading = self._attempt(partial(self.run_batch, batch, prefix))
            if reading is None:
                if len(batch) == 1:
                    raise self._too_long(len(batch[0].ids))
                rows = len(batch)
                longest = len(batch[0].ids) - length
                self._budget = max(rows // 2 * longest, 1)
                logger.warning("out of memory with %d prompts at once; going on with %d", rows, rows // 2)
                continue
            at += len(batch)
            yield reading

    def _take(self, members: list[EncodedPrompt], at: int, shared: int) -> list[EncodedPrompt]:
        """The next batch: as many as fit, given that the first is the longest."""
        if len(members) > 1 and self._batching is not None and self._batching.one_by_one is not None:
            return members[at : at + 1]
        own_tokens = len(members[at].ids) - shared
        rows = min(
            self._budget // own_tokens,
            self._budget * _SHARED_TOKENS_PER_OWN // (own_tokens + shared),
            _LOGIT_BYTES // (4 * self.vocab_size) if self.request.logits else len(members),
        )
        return members[at : at + max(rows, 1)]

    def _too_long(self, tokens: int) -> ModelError:
        return ModelError(
            f"not enough memory for a single prompt of {tokens} tokens on {self.device}; use fewer shots, "
            "quantization='8bit' or '4bit', or a smaller model"
        )

    def _not_finite(self, batch: list[EncodedPrompt]) -> ModelError:
        """The error for a batch with an activation or a logit that is no number, of its first such prompt."""
        lm, layers = self.anatomy.lm, self.anatomy.layers
        if self._positions:
            return ModelError(
                "with the edits in force activations are NaN or infinite; take weaker edits, or load the model with "
                "dtype='fp32'"
            )
        for item in batch:
            alone = replace(item, positions=(len(item.ids) - 1,), spans=())
            request = Request((len(layers),), ("resid",), pooled=False, squeezed=True, logits=True)
            runner = Runner(
                self.anatomy, (), request, device=self.device, vocab_size=self.vocab_size,
                batch_tokens=self.batch_tokens, finite=False, interventions=self._interventions,
            )  # fmt: skip
            reading = runner.run_batch([alone], CachedPrefix())
            assert reading.logits is not None
            if not (_finite([reading.resid]) and _finite([reading.logits.amax(-1)])):
                break
        ids = torch.tensor([item.ids], device=self.device)
        return not_finite(lm, layers, ids, dtype=self.anatomy.dtype, what=f"prompt {item.index}")

    def _attempt(self, run: Callable[[], _T]) -> _T | None:
        return unless_memory_ends(run, self.device)

    def _forward(
        self,
        ids: Tensor,
        select: Selector | None,
        last: Tensor,
        *,
        cache: DynamicCache | None,
        logits: bool,
        edits: AbstractContextManager[None],
    ) -> tuple[dict[str, Tensor], Tensor]:
        """One forward of the model; its kept sites and, per row or for the first only, its next-token logits."""
        request = self.request if select is not None else replace(self.request, layers=())
        capture = Capture(
            self.anatomy, request, self.layouts, select or Selector(),
            last=last, rows=len(ids) if logits else 1, device=self.device, projections=self._projections,
        )  # fmt: skip
        keep = {"logits_to_keep": 1} if self.anatomy.keeps else {}
        # the edits' context first: it keeps other threads from the model
        with edits, quiet(self.anatomy.lm), capture:
            output = self.anatomy.lm(
                input_ids=ids, past_key_values=cache, use_cache=cache is not None, return_dict=True, **keep
            )
        return capture.sites, output.logits[:, -1].to(self.device, torch.float32)

    def _cached_prefix(self, members: list[EncodedPrompt], length: int) -> CachedPrefix:
        """A few-shot prefix that has been run: the one run last where it is the same, to the last bit."""
        ids, inside = members[0].ids[:length], self._positions_inside(members, length)
        # Where prompts are edited each has a prefix of its own, up to the first edited token: it goes on with what it
        # shares with the one before in its list. Elsewhere readings stay what they are to the last bit.
        edited = self._positions or None
        recent = self._recent if self._recent is not None and self._recent.edited is edited else None
        if recent is None or (recent.ids, recent.inside) != (ids, inside):
            begun = _begun(recent, ids) if recent is not None and edited is not None and not inside else None
            self._recent = recent = None  # let go before the next is made: two may be too much
            self._recent = recent = _Recent(edited, ids, inside, self.run_prefix(ids, inside, begun=begun))
        return recent.prefix

    def _positions_inside(self, members: list[EncodedPrompt], length: int) -> list[Any]:
        """Positions, or parts of spans, that are read inside a few-shot prefix."""
        if self.request.pooled:
            return sorted({_inside(span, length) for item in members for span in item.spans} - {None})
        return sorted({position for item in members for position in item.positions if position < length})

    def run_prefix(
        self, tokens: list[int], inside: Sequence[Any] = (), *, begun: DynamicCache | None = None
    ) -> CachedPrefix:
        """Run a few-shot prefix once, keeping what is read inside it; `begun` holds its first tokens, if any."""
        length = len(tokens)
        select = None
        if inside and self.request.pooled:
            weights = torch.zeros(1, len(inside), length, device=self.device)
            for slot, (start, stop) in enumerate(inside):
                weights[0, slot, start:stop] = 1.0
            select = Selector(weights=weights)
        elif inside:
            select = Selector(index=torch.tensor([[*inside]], device=self.device))
        start = 0 if begun is None else int(begun.get_seq_length())
        ids = torch.tensor([tokens[start:]], device=self.device)
        # Not by the config: its window may be one that the architecture ignores, and a cache that forgets what lies
        # before it would be wrong. Where there is a window, the attention mask says so.
        cache = DynamicCache() if begun is None else begun
        # no edit reaches into a prefix that is run for several (`_shareable`)
        kept, _logits = self._forward(
            ids,
            select,
            torch.tensor([length - start - 1]),
            cache=cache,
            logits=False,
            edits=self._interventions.paused(),
        )
        return CachedPrefix(
            length, shared_cache(cache), kept, {value: slot for slot, value in enumerate(inside)}
        )

    def run_batch(self, batch: list[EncodedPrompt], prefix: CachedPrefix) -> ActivationBatch:
        """Run prompts side by side, after a prefix that they begin with.

        Raises:
            ModelError: what is read of them is NaN or infinite.
        """
        own_ids = [item.ids[prefix.length :] for item in batch]
        width = max(len(ids) for ids in own_ids)
        # filled up with a token of the prompt itself: whatever the model, it is one that can be embedded
        ids = torch.tensor([[*row, *[row[-1]] * (width - len(row))] for row in own_ids], device=self.device)
        last = torch.tensor([len(row) - 1 for row in own_ids], device=self.device)
        positions = weights = None
        if self.request.pooled:
            weights = torch.zeros(len(batch), len(batch[0].spans), width)
            for row, item in enumerate(batch):
                for number, span in enumerate(item.spans):
                    start, stop = (max(edge - prefix.length, 0) for edge in span)
                    weights[row, number, start:stop] = 1.0
            weights = weights.to(self.device)
        if batch[0].positions:
            positions = gather_index([item.positions for item in batch], self.device)
        select = Selector(index=None if positions is None else positions - prefix.length, weights=weights)
        edits = (
            self._interventions.paused()
            if self._positions is None
            else self._interventions.forward(batch, self._positions, prefix.length, width)
        )
        kept, logits = self._forward(
            ids, select, last, cache=prefix.cache, logits=self.request.logits, edits=edits
        )
        if self.request.pooled:
            _finish_mean(kept, batch, prefix)
        if positions is not None and not self.request.pooled:
            _finish_positions(kept, positions, prefix)
        if self._finite and not (_finite(kept.values()) and _finite([logits.amax(-1)])):
            raise self._not_finite(batch)
        return ActivationBatch(
            index=torch.tensor([item.index for item in batch], device=self.device),
            layers=self.request.layers,
            lengths=torch.tensor([len(item.ids) for item in batch], device=self.device),
            positions=None if self.request.squeezed or self.request.pools else positions,
            logits=logits if self.request.logits else None,
            sites={
                name: values[:, :, 0] if self.request.squeezed else values for name, values in kept.items()
            },
            pools=self.request.pools,
        )


def _finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no number is NaN or infinite: either makes the extremes so."""
    return all(
        bool(torch.stack(torch.aminmax(values)).isfinite().all()) for values in tensors if values.numel()
    )


def _inside(span: tuple[int, int], length: int) -> tuple[int, int] | None:
    """The part of a span inside a few-shot prefix, None where there is none."""
    return (span[0], min(span[1], length)) if span[0] < length else None


def _finish_mean(kept: dict[str, Tensor], batch: list[EncodedPrompt], prefix: CachedPrefix) -> None:
    """Sums over each prompt's own tokens become means over its spans: add the prefix's part, divide by the count."""
    for number in range(len(batch[0].spans)):
        spans = [item.spans[number] for item in batch]
        slots = [prefix.slots.get(_inside(span, prefix.length), -1) for span in spans]
        rows = [row for row, slot in enumerate(slots) if slot >= 0]
        counts = torch.tensor([stop - start for start, stop in spans])
        for name, values in kept.items():
            sums = values[:, :, number]
            if rows:
                shared = prefix.kept[name][0][:, [slots[row] for row in rows]]
                sums[rows] += rearrange(shared, "layer prompt d -> prompt layer d")
            sums /= rearrange(counts.to(values.device), "prompt -> prompt 1 1")


def _finish_positions(kept: dict[str, Tensor], positions: Tensor, prefix: CachedPrefix) -> None:
    """Fill in what was read inside the few-shot prefix, and zeros where a prompt has fewer positions."""
    absent = positions < 0
    inside = ~absent & (positions < prefix.length)
    rows, columns = inside.nonzero(as_tuple=True)
    if len(rows):
        places = torch.zeros(prefix.length, dtype=torch.long, device=positions.device)
        places[list(prefix.slots)] = torch.tensor(list(prefix.slots.values()), device=positions.device)
        slots = places[positions[rows, columns]]
    for name, values in kept.items():
        if len(rows):
            values[rows, :, columns] = rearrange(
                prefix.kept[name][0][:, slots], "layer kept d -> kept layer d"
            )
        values.masked_fill_(rearrange(absent, "prompt kept -> prompt 1 kept 1"), 0.0)


@dataclass(frozen=True)
class Reader:
    """A way to read prompts, made by `HookedLM.reader`.

    The few-shot prefix run last stays for the next list, so that lists that go on with it do not run it again. What
    comes out for a list is, to the last bit, what would come out for it alone, as long as the model and its adapter
    stay as they are.

    Attributes:
        runner: runs prompts.
        prepare: checks prompts and settles what is read of each.
    """

    runner: Runner
    prepare: Callable[[Sequence[PromptLike]], list[EncodedPrompt]]

    def stream(
        self,
        prompts: Sequence[PromptLike],
        *,
        progress: Callable[[int, int], None] | None = None,
        there: frozenset[int] = frozenset(),
    ) -> Iterator[ActivationBatch]:
        """Read prompts, batch by batch, in an order that runs fast; `ActivationBatch.index` says which is which.

        Batches are made as if all were to be read, and those whose prompts are all `there` are left out.

        Raises:
            ModelError: a prompt cannot be used, or is too much for the memory.
        """
        return self.runner.run(self.prepare(prompts), progress, there=there)


def short_length(config: Any) -> int | None:
    """Up to how many tokens a forward takes the one set of rotary frequencies, and beyond that another.

    So it is with ``longrope`` (Ding et al. 2024; Phi-3 with 128k, Phi-4-mini). A padded batch, or a few-shot prefix
    that is run once, would give all its prompts the frequencies of the longest. (``dynamic`` ones differ only beyond
    what the model takes.)

    Args:
        config: of the language model, with ``rope_parameters`` (transformers 5) or ``rope_scaling``.

    Returns:
        None where length does not matter.
    """
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = list(rope.values()) if all(isinstance(part, Mapping) for part in rope.values()) else [rope]
    for kind in kinds:
        if kind.get("rope_type", kind.get("type")) == "longrope":
            original_length = getattr(config, "original_max_position_embeddings", None)
            return int(
                kind.get("original_max_position_embeddings")
                or original_length
                or config.max_position_embeddings
            )
    return None
