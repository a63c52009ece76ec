"""From residual streams to readings: the vocabulary in chunks, for all layers and prompts at once.

The logit lens is the model's final norm with the layer's own statistics, then its unembedding, the head
(nostalgebraist 2020, Wendler et al. 2024; docs/concepts/lens.md names other definitions). Another lens translates the
layer first, here and nowhere else. Nothing of size ``[layer, prompt, vocabulary]`` is ever held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import torch
from einops import rearrange, repeat
from numpy.typing import NDArray
from torch import Tensor

from latentlang.errors import InputError, ModelError
from latentlang.models.hooked import HookedLM

_NATS_PER_BIT = math.log(2)
# Elements of one fp32 logits chunk (64 MiB): small beside any model, large enough for full-speed products.
CHUNK_ELEMENTS = 1 << 24
# On a CPU a chunk (1 MiB) stays in the cache while it is gone over several times. Of many rows it is larger rather than
# narrower: what is done a chunk, whatever its size, would come to be most of the work.
CPU_CHUNK_ELEMENTS, _CPU_STEP = 1 << 18, 512


class Translator(Protocol):
    """What a lens does to layers before norm and head; see `latentlang.lens.Lens`."""

    @property
    def name(self) -> str:
        """What it is called."""

    def translate(self, resid: Tensor, layers: Sequence[int]) -> Tensor:
        """Residual streams ``[..., layer, d_model]`` of these layers, as the final norm is to see them."""


class TokenSets:
    """Sets of token ids whose probabilities are wanted, packed for gathering.

    Attributes:
        ids: ``[unique]`` every token id in any set, sorted.
        members: ``[set, longest]`` indices into `ids`, padded with ``len(ids)``.
        empty: ``[set]`` whether a set holds no token (its log-probability is -inf).
    """

    def __init__(self, sets: Sequence[NDArray[np.int64]]) -> None:
        """Pack the sets; each is an array of token ids without repeats."""
        joined = np.concatenate([*sets, np.empty(0, np.int64)])
        unique = np.unique(joined)
        longest = max((len(ids) for ids in sets), default=0)
        members = np.full((len(sets), max(1, longest)), len(unique), np.int64)
        for row, ids in enumerate(sets):
            members[row, : len(ids)] = np.searchsorted(unique, ids)
        self.ids = torch.from_numpy(unique)
        self.members = torch.from_numpy(members)
        self.empty = torch.tensor([len(ids) == 0 for ids in sets])

    def __len__(self) -> int:
        return len(self.members)

    def members_among(self, ids: Tensor) -> Tensor:
        """`members` as places in a longer sorted list of ids that holds all of `ids`, padded with its length."""
        places = torch.cat([torch.searchsorted(ids, self.ids), torch.tensor([len(ids)])])
        return places[self.members]


@dataclass(frozen=True)
class Readout:
    """Readings of a batch.

    Attributes:
        log_probs: ``[batch, layer, set]`` natural log of each set's summed probability, fp32; -inf for empty sets.
        entropy: ``[batch, layer]`` bits.
        top_ids: ``[batch, layer, k]`` most probable token ids, best first; of equal logits any may come first.
        top_log_probs: ``[batch, layer, k]`` their natural log-probabilities.
        target_log_probs: ``[batch, layer, target]`` natural log-probabilities of `targets`; None without.
        ranks: int64 ``[batch, layer, target]``, how many tokens have a strictly larger logit than the target, from 0
            for the likeliest; tokens with the very same logit share the rank. None unless asked for.
        kl: ``[batch, layer]`` Kullback-Leibler divergence of the layer's distribution to the final one,
            ``sum p_layer log2(p_layer / p_final)``, in bits, at least 0; inf where the final layer rules out (logit
            -inf) what this layer allows. None unless asked for.
        js: ``[batch, layer]`` Jensen-Shannon divergence of the two in bits, in [0, 1] (Lin 1991). None unless asked
            for.
        masses: ``[batch, layer, group]`` expected value of each column of `weights`; None without.
    """

    log_probs: Tensor
    entropy: Tensor
    top_ids: Tensor
    top_log_probs: Tensor
    target_log_probs: Tensor | None = None
    ranks: Tensor | None = None
    kl: Tensor | None = None
    js: Tensor | None = None
    masses: Tensor | None = None


@torch.inference_mode()
def read_out(
    model: HookedLM,
    resid: Tensor,
    sets: TokenSets,
    *,
    top: int = 1,
    targets: Tensor | None = None,
    ranks: bool = False,
    divergence: bool | Literal["kl"] = False,
    final: Tensor | None = None,
    logits: Tensor | None = None,
    lens: Translator | None = None,
    layers: Sequence[int] | None = None,
    weights: Tensor | None = None,
) -> Readout:
    """Read residual streams through the model's own head.

    Ranks and the Jensen-Shannon divergence need every logit again once the targets' logits and the normalisers are
    known: a second pass over the vocabulary, except where the logits of the whole batch fit into one chunk.

    Args:
        model: whose norm and head are used.
        resid: ``[batch, layer, d_model]`` residual streams, before the final norm.
        sets: token sets to sum over.
        top: how many of the most probable tokens to keep.
        targets: int64 ``[batch, target]`` token ids whose log-probabilities are wanted, each row's own.
        ranks: also rank the targets.
        divergence: also measure each layer's distance to the final layer; ``"kl"`` for its KL alone, which takes no
            second pass.
        final: ``[batch, d_model]`` residual stream after the last block, for `divergence`; by default the last of
            `resid`'s layers.
        logits: float32 ``[batch, vocab]``, the model's own, where they are at hand and the last of `resid`'s layers is
            the model's last: that layer is not unembedded once more. Not with ranks or divergences.
        lens: what translates all layers but the model's last before they are read; None for the logit lens.
        layers: the layer numbers of `resid`, which a lens must know.
        weights: float32 ``[vocab, group]``; of each column the expected value under a layer's distribution is wanted,
            which of zeros and ones is the probability of a set of tokens. Sets that hold much of the vocabulary are
            given like this, since nothing is kept of their tokens.

    Raises:
        InputError: ranks without targets, a target that is no token id, or a lens that is not given the layers or does
            not keep the shape, logits with ranks or divergences, or weights of another vocabulary.
        ModelError: the logits of a layer are NaN or infinite.
    """
    if ranks and targets is None:
        raise InputError("ranks are those of target tokens; give targets=[batch, target]")
    if logits is not None and (ranks or divergence):
        raise InputError("ranks and divergences are worked out from the streams; leave out logits")
    if weights is not None and len(weights) != model.vocab_size:
        raise InputError(f"weights are of {len(weights)} tokens, and this model has {model.vocab_size}")
    if lens is not None:
        resid = _translated(lens, resid, layers, depth=model.n_layers)
    if logits is not None:
        outermost = _first_pass(model, _Given(logits), sets, targets, top, layers=1, weights=weights)[0]
        if resid.shape[1] == 1:
            return outermost
        normed = model.norm(rearrange(resid[:, :-1], "batch layer d -> (batch layer) d"))
        inner = _first_pass(
            model, _Chunks(model, normed), sets, targets, top, layers=resid.shape[1] - 1, weights=weights
        )[0]
        return _side_by_side(inner, outermost)
    if divergence and final is not None:
        resid = torch.cat([resid, final[:, None].to(resid)], dim=1)
    batch, count, _ = resid.shape
    normed = model.norm(rearrange(resid, "batch layer d -> (batch layer) d"))
    chunks = _Chunks(model, normed)
    readout, one = _first_pass(
        model, chunks, sets, targets, top, layers=count, weights=weights, compared=bool(divergence)
    )
    if not (ranks or divergence):
        return readout
    kept = count - int(divergence and final is not None)

    def shaped(values: Tensor) -> Tensor:
        return rearrange(values, "(batch layer) ... -> batch layer ...", batch=batch, layer=count)[:, :kept]

    if kept < count:
        fields = ((name, value) for name, value in vars(readout).items() if value is not None)
        readout = replace(readout, **{name: value[:, :kept] for name, value in fields})
    if divergence:
        assert one.mean_apart is not None
        # E_p[log p - log q], with the logits of both less their normalisers
        kl = one.mean_apart - (one.log_total - _final_of(one.log_total, count))
        readout = replace(readout, kl=shaped((kl / _NATS_PER_BIT).clamp_min(0)))
    if divergence == "kl" and not ranks:
        return readout
    two = _Second(chunks, one, count, ranks=ranks, divergence=divergence is True)
    return replace(
        readout,
        ranks=None if two.ranks is None else shaped(two.ranks),
        js=None if two.js is None else shaped((two.js / _NATS_PER_BIT).clamp(0, 1)),
    )


def read_out_each(model: HookedLM, resid: Tensor, sets: Sequence[TokenSets], **options: Any) -> list[Readout]:
    """What `read_out` gives for each of several lots of token sets, to the last bit, from one pass over the head.

    Args:
        model: whose norm and head are used.
        resid: as of `read_out`.
        sets: lots of token sets; each gets a readout of its own.
        **options: of `read_out`, the same for all.

    Raises:
        InputError, ModelError: as `read_out`.
    """
    if len(sets) == 1:
        return [read_out(model, resid, sets[0], **options)]
    ids = torch.cat([each.ids for each in sets]).unique()
    whole = read_out(model, resid, TokenSets([np.array([token]) for token in ids.tolist()]), **options)
    batch = len(whole.log_probs)
    rows = rearrange(whole.log_probs, "batch layer token -> (batch layer) token")
    rows = torch.nn.functional.pad(rows, (0, 1), value=-torch.inf)  # for the sets' padding
    return [
        replace(
            whole,
            log_probs=rearrange(
                _sum_sets(rows, each.members_among(ids).to(rows.device)),
                "(batch layer) set -> batch layer set",
                batch=batch,
            ),
        )
        for each in sets
    ]


def _first_pass(
    model: HookedLM,
    chunks: _Chunks | _Given,
    sets: TokenSets,
    targets: Tensor | None,
    top: int,
    *,
    layers: int,
    weights: Tensor | None = None,
    compared: bool = False,
) -> tuple[Readout, _First]:
    """What one pass over the vocabulary tells of rows ``(batch layer)``, and what a second one needs."""
    wanted = None if targets is None else _per_row(targets, layers, model.vocab_size).to(chunks.device)
    one = _First(
        chunks, sets, wanted, top, None if weights is None else weights.to(chunks.device),
        layers=layers if compared else None,
    )  # fmt: skip
    if not bool(one.log_total.isfinite().all()):
        kind = str(model.dtype).removeprefix("torch.")
        raise ModelError(
            f"the logits that {type(model.lm).__name__} gives its residual stream are NaN or infinite in {kind}; load "
            "it with dtype='bf16' or 'fp32'"
        )

    def shaped(values: Tensor) -> Tensor:
        return rearrange(values, "(batch layer) ... -> batch layer ...", layer=layers)

    return Readout(
        log_probs=shaped(_sum_sets(one.inside - one.log_total[:, None], sets.members.to(chunks.device))),
        entropy=shaped(((one.log_total - one.mean_logit) / _NATS_PER_BIT).clamp_min(0)),
        top_ids=shaped(one.best_ids),
        top_log_probs=shaped(one.best - one.log_total[:, None]),
        target_log_probs=None if wanted is None else shaped(one.target_logits - one.log_total[:, None]),
        masses=None if one.masses is None else shaped(one.masses),
    ), one


def _side_by_side(inner: Readout, outermost: Readout) -> Readout:
    """The readings of some layers and of one more after them."""
    return Readout(
        **{
            name: torch.cat([value, getattr(outermost, name).to(value.device)], dim=1)
            for name, value in vars(inner).items()
            if value is not None
        }
    )


def _translated(lens: Translator, resid: Tensor, layers: Sequence[int] | None, *, depth: int) -> Tensor:
    """The streams as a lens hands them to the norm, ``[..., layer, d_model]``; the last layer is the output, as it is.

    Raises:
        InputError: the layers are not given, or the lens does not keep the shape.
    """
    if layers is None or len(layers) != resid.shape[-2]:
        raise InputError(f"to read through the {lens.name} lens, give the {resid.shape[-2]} layers' numbers")
    inner = [index for index, layer in enumerate(layers) if layer != depth]
    if not inner:
        return resid
    given = resid if len(inner) == len(layers) else resid[..., inner, :]
    translated = lens.translate(given, [layers[index] for index in inner])
    if translated.shape != given.shape:
        raise InputError(
            f"the {lens.name} lens gave {list(translated.shape)} for {list(given.shape)}; translate() must keep the "
            "shape"
        )
    if translated is given:  # the logit lens
        return resid
    if given is resid:
        return translated
    whole = resid.to(translated.dtype, copy=True)
    whole[..., inner, :] = translated
    return whole


def _per_row(targets: Tensor, layers: int, vocabulary: int) -> Tensor:
    """``[batch, target]`` as ``[batch * layer, target]``, checked."""
    if targets.numel():
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= vocabulary:
            bad = low if low < 0 else high
            raise InputError(f"there is no token {bad}; this model has tokens 0 to {vocabulary - 1}")
    return repeat(targets, "batch target -> (batch layer) target", layer=layers)


class _Chunks:
    """The logits of some rows, a slice of the vocabulary at a time; each pass sees the very same numbers."""

    def __init__(self, model: HookedLM, normed: Tensor) -> None:
        self.model = model
        self.normed = normed
        self.rows, self.device = len(normed), normed.device
        self.vocabulary = model.vocab_size
        self.step = _step(self.rows, self.device)
        self._only: Tensor | None = None

    def __iter__(self) -> Iterator[tuple[int, int, Tensor]]:
        """First token, one past the last, and float32 ``[row, token]`` logits."""
        for start in range(0, self.vocabulary, self.step):
            stop = min(start + self.step, self.vocabulary)
            logits = self._only
            if logits is None:
                # under a device map the head may lie elsewhere than the norm
                logits = self.model.head(self.normed, start, stop).to(self.normed.device, torch.float32)
            if stop - start == self.vocabulary:  # all there is: kept for the next pass
                self._only = logits
            yield start, stop, logits


class _Given:
    """Logits that are there already, in the same slices."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.rows, self.device = len(logits), logits.device
        self.vocabulary = logits.shape[-1]

    def __iter__(self) -> Iterator[tuple[int, int, Tensor]]:
        """First token, one past the last, and float32 ``[row, token]`` logits."""
        step = _step(self.rows, self.device)
        for start in range(0, self.vocabulary, step):
            stop = min(start + step, self.vocabulary)
            yield start, stop, self.logits[:, start:stop].float()


def _step(rows: int, device: torch.device) -> int:
    """Tokens of one chunk of so many rows."""
    fitting = CHUNK_ELEMENTS // max(1, rows)
    if device.type == "cpu":
        fitting = min(fitting, max(_CPU_STEP, CPU_CHUNK_ELEMENTS // max(1, rows)))
    return max(256, fitting)


class _First:
    """First pass: normalisers, expected logits, the logits of sets and targets, the likeliest tokens.

    Attributes:
        log_total: ``[row]`` log of the sum of exp(logit).
        mean_logit: ``[row]`` expected logit under the softmax; `log_total` minus this is the entropy in nats.
        inside: ``[row, unique + 1]`` logits of the tokens in any set; the last is -inf, for the sets' padding.
        target_logits: ``[row, target]``.
        best, best_ids: ``[row, top]`` largest logits and their tokens.
        masses: ``[row, group]`` expected value of each of `columns`; None without.
        mean_apart: ``[row]`` expected difference of the logit from that of the last of the row's `layers`, under the
            row's softmax; None without.
    """

    def __init__(
        self,
        chunks: _Chunks | _Given,
        sets: TokenSets,
        targets: Tensor | None,
        top: int,
        columns: Tensor | None = None,
        *,
        layers: int | None = None,
    ) -> None:
        rows, device = chunks.rows, chunks.device
        self._ids, self._columns, self._layers = sets.ids.to(device), columns, layers
        self.inside = torch.full((rows, len(sets.ids) + 1), -torch.inf, device=device)
        self._targets = (
            torch.empty((rows, 0), dtype=torch.long, device=device) if targets is None else targets
        )
        self.target_logits = torch.full(self._targets.shape, -torch.inf, device=device)
        self._top = min(top, chunks.vocabulary)
        self.best = torch.full((rows, 0), -torch.inf, device=device)
        self.best_ids = torch.zeros((rows, 0), dtype=torch.long, device=device)
        self._peak = torch.full((rows,), -torch.inf, device=device)
        # Sums of exp(logit - peak), of it times the logit, times what the last layer's is less, and times each weight.
        self._total, self._own, self._apart = torch.zeros((3, rows), device=device)
        self._masses = torch.zeros((rows, 0 if columns is None else columns.shape[1]), device=device)
        self._room: tuple[Tensor, Tensor] | None = None
        for start, stop, logits in chunks:
            self._add(start, stop, logits)
            # before the next chunk is made: where two are held in turn, freed memory goes back to the system each time
            del logits
        self.log_total = self._peak + self._total.log()
        self.mean_logit = self._own / self._total
        self.masses = None if columns is None else self._masses / self._total[:, None]
        self.mean_apart = None if layers is None else self._apart / self._total

    def _add(self, start: int, stop: int, logits: Tensor) -> None:
        """Take in a chunk's logits ``[row, token]``."""
        edges = torch.searchsorted(self._ids, torch.tensor([start, stop], device=logits.device))
        first, last = edges.tolist()
        if last > first:
            self.inside[:, first:last] = logits[:, self._ids[first:last] - start]
        if self._targets.numel():
            here = (self._targets >= start) & (self._targets < stop)
            theirs = logits.gather(1, (self._targets - start).clamp(0, stop - start - 1))
            self.target_logits = torch.where(here, theirs, self.target_logits)
        here_highest = logits.amax(-1)
        highest = torch.maximum(self._peak, here_highest)
        shrink = torch.where(self._peak == -torch.inf, 0.0, torch.exp(self._peak - highest))
        self._peak = highest
        if self._room is None:
            self._room = torch.empty_like(logits), torch.empty_like(logits)
        room, more_room = (each[:, : logits.shape[1]] for each in self._room)
        weights = torch.sub(logits, highest[:, None], out=room).exp_()
        self._total.mul_(shrink).add_(weights.sum(-1))
        if self._columns is not None:
            self._masses.mul_(shrink[:, None]).add_(weights @ self._columns[start:stop])
        if self._layers is not None:
            of_prompts = logits.unflatten(0, (-1, self._layers))
            torch.sub(of_prompts, of_prompts[:, -1:], out=more_room.unflatten(0, (-1, self._layers)))
            self._apart.mul_(shrink).add_(_weighted_sum(weights, more_room, more_room))
        self._own.mul_(shrink).add_(_weighted_sum(weights, logits, more_room))
        if self._top:
            self._keep_best(logits, here_highest, start, self._top)

    def _keep_best(self, logits: Tensor, highest: Tensor, start: int, top: int) -> None:
        """Put a chunk's likeliest tokens among the best so far."""
        changed: Tensor | slice = slice(None)
        if self.best.shape[1] == top and logits.device.type == "cpu":
            # most rows have their best tokens by then, and seeing that costs less than looking for others
            changed = (highest > self.best[:, -1]).nonzero()[:, 0]
            if not len(changed):
                return
        values, places = logits[changed].topk(min(top, logits.shape[1]), dim=-1)
        merged = torch.cat([self.best[changed], values], -1)
        merged_ids = torch.cat([self.best_ids[changed], places + start], -1)
        best, order = merged.topk(min(top, merged.shape[1]), dim=-1)
        best_ids = merged_ids.gather(1, order)
        if isinstance(changed, slice):
            self.best, self.best_ids = best, best_ids
        else:
            self.best[changed], self.best_ids[changed] = best, best_ids


class _Second:
    """Second pass: what can be computed only once the targets' logits and the normalisers are known.

    Attributes:
        ranks: int64 ``[row, target]``; None unless asked for.
        js: ``[row]`` nats, to the last of the row's layers; None unless asked for.
    """

    def __init__(self, chunks: _Chunks, one: _First, layers: int, *, ranks: bool, divergence: bool) -> None:
        rows, device = chunks.rows, chunks.device
        self.ranks = torch.zeros(one.target_logits.shape, dtype=torch.long, device=device) if ranks else None
        self.js = torch.zeros(rows, device=device) if divergence else None
        for _start, _stop, logits in chunks:
            if self.ranks is not None:
                # one target at a time: [row, chunk], never [row, target, chunk]
                for column, target in enumerate(one.target_logits.unbind(1)):
                    self.ranks[:, column] += (logits > target[:, None]).sum(-1)
            if self.js is not None:
                log_p = logits - one.log_total[:, None]
                log_p = rearrange(log_p, "(batch layer) token -> batch layer token", layer=layers)
                log_q = log_p[:, -1:]
                log_m = torch.logaddexp(log_p, log_q) - math.log(2)
                js = (_expected(log_p, log_m) + _expected(log_q, log_m)) / 2
                self.js += rearrange(js, "batch layer -> (batch layer)")


def _weighted_sum(weights: Tensor, values: Tensor, room: Tensor) -> Tensor:
    """``sum weight * value`` over the last axis; a token of weight 0 adds nothing.

    Args:
        weights: ``[row, token]``.
        values: of the same shape.
        room: of the same shape, for the products; may be the values, which are not needed then.
    """
    products = torch.mul(weights, values, out=room)
    summed: Tensor = products.sum(-1)
    if bool(summed.isnan().any()):
        # Some heads mask tokens with -inf; 0 * -inf is nan, the limit is 0.
        summed = torch.where(weights > 0, products, 0.0).sum(-1)
    return summed


def _final_of(values: Tensor, layers: int) -> Tensor:
    """Of rows ``(batch layer)`` the last layer's value, for each row."""
    last = rearrange(values, "(batch layer) -> batch layer", layer=layers)[:, -1:]
    return last.expand(-1, layers).reshape(values.shape)


def _expected(log_p: Tensor, log_q: Tensor) -> Tensor:
    """``sum p (log p - log q)`` over the last axis; a token with p = 0 adds nothing."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1)


def _sum_sets(log_probs: Tensor, members: Tensor) -> Tensor:
    """Log of the summed probability of each set: ``[row, unique + 1]`` and ``[set, longest]`` to ``[row, set]``."""
    if not len(members):
        return log_probs.new_empty((log_probs.shape[0], 0))
    rows = max(1, CHUNK_ELEMENTS // members.numel())
    # An empty set sums nothing; logsumexp of -inf alone is -inf, as it should be.
    return torch.cat([part[:, members].logsumexp(-1) for part in log_probs.split(rows)])
