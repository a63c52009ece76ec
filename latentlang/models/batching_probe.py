"""What a model's forward allows: prompts side by side, and few-shot prefixes run once. Tried on probes at first use.

Nothing is probed before it is needed: a single prompt costs no probe; a batch costs 123 tokens, a shared prefix 96
more, and prompts longer than a window that the config names about three times the window. Once per model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentlang.models.anatomy import Anatomy, accepts, probe_tokens, quiet, text_config
from latentlang.models.batch import EncodedPrompt, Request
from latentlang.models.forward import BATCH_TOKENS, CachedPrefix, Runner, out_of_memory
from latentlang.models.interventions import Interventions
from latentlang.models.writing_cache import aligned_start, aligned_step, is_plain, new_cache

logger = logging.getLogger(__name__)

# Largest difference between two ways to run a probe, relative to the norm: on the tiny models of the tests rounding is
# at most 5e-7 in fp32 and 9e-3 in bf16; positions counted from 0 again are mostly 1.3e-1 or more.
_TOLERANCE, _TOLERANCE_HALF = 1e-4, 5e-2
# The probe, the tokens by which a shorter one ends earlier, and how much of it a shared prefix holds. A convolution
# state is a few tokens long.
_TOKENS, _SHORTER, _PREFIXES = 32, 5, (11, 21)
# Tokens that a probe goes on with.
_STEPS = 3
# Windows up to this many tokens are tried; prompts longer than a larger one do not share prefixes.
_LONGEST_WINDOW = 512
# What configs call the tokens after which something changes: a window, a chunk, local attention.
_WINDOWS = ("window", "chunk", "local", "block_size")
_LAYER_KINDS = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
_RUNTIME_ERRORS = (
    RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, NotImplementedError, AssertionError,
)  # fmt: skip


class BatchingProbe:
    """What has been found out about a model.

    Args:
        anatomy: the model's parts.
        device: where token ids go.
        vocab_size: width of the logits.
        name: the model's name, for the notes.
        interventions: edits in force on the model, which no probe sees.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        *,
        device: torch.device,
        vocab_size: int,
        name: str,
        interventions: Interventions,
    ) -> None:
        self._anatomy = anatomy
        self._name = name
        self._runner = Runner(
            anatomy, (), Request((len(anatomy.layers),), ("resid",), pooled=False, squeezed=True, logits=False),
            device=device, vocab_size=vocab_size, batch_tokens=BATCH_TOKENS["cpu"], finite=False,
            interventions=interventions,
        )  # fmt: skip
        self._windows = _windows(text_config(anatomy.lm))
        # per longest prompt that was tried: the reason against sharing blocks, None where it comes out right
        self._tried: dict[int, str | None] = {}
        self._mixed: dict[int, str | None] = {}
        self._noted = False

    @cached_property
    def one_by_one(self) -> str | None:
        """Why prompts cannot be run side by side, filled up on the right; None where they can. Noted once."""
        long, short = self._probes(_TOKENS)
        off = self._off(self._run([_last(0, long), _last(1, short)]), self._alone)
        if not off:
            return None
        reason = self._ahead or f"a batch is off by {off:.1%} on a probe"
        logger.warning("prompts of %s are run one by one: %s", self._name, reason)
        return reason

    @property
    def looks_ahead(self) -> str | None:
        """How a prompt's reading depends on what is put after it; None for a causal model."""
        # in a batch that comes out right the shorter prompt was filled up
        return None if self.one_by_one is None else self._ahead

    @cached_property
    def _ahead(self) -> str | None:
        _long, short = self._probes(_TOKENS)
        item = EncodedPrompt(0, [*short, *[short[-1]] * _SHORTER], (len(short) - 1,))
        off = self._off(self._run([item]), self._alone[1:])
        return f"what a token is depends on later tokens (off by {off:.1%} on a probe)" if off else None

    def shared_up_to(self, tokens: int) -> int:
        """How long prompts may be that share a few-shot prefix, if the longest has so many tokens; 0 for not at all."""
        longest = 0
        for reach in [*self._windows, tokens]:
            if reach > longest and self.why_not_shared(min(reach, tokens)) is not None:
                break
            longest = max(longest, min(reach, tokens))
        return longest

    def why_not_shared(self, tokens: int = _TOKENS) -> str | None:
        """Why prompts of so many tokens may not share a few-shot prefix; None where they may. Noted once."""
        window = max((window for window in self._windows if window < tokens), default=0)
        reach = max(_TOKENS, window)
        if reach not in self._tried:
            self._tried[reach] = self._try_sharing(reach)
        reason = self._tried[reach]
        if reason is not None and not self._noted:
            self._noted = True
            logger.warning("few-shot prefixes of %s are run with every prompt: %s", self._name, reason)
        return reason

    def why_not_mixed(self, tokens: int = _TOKENS) -> str | None:
        """Why prompts of several lengths may not be gone on from side by side, up to so many tokens; None if they may.

        Tried with and without keys and values that were moved (`writing_cache`); noted once.
        """
        reason = self.one_by_one or self.why_not_shared(tokens)
        if reason is not None:
            return reason
        reach = max(_TOKENS, max((window for window in self._windows if window < tokens), default=0))
        if reach not in self._mixed:
            self._mixed[reach] = self._try_mixing(reach)
            if self._mixed[reach] is not None:
                logger.warning(
                    "%s goes on from prompts of one length at a time: %s", self._name, self._mixed[reach]
                )
        return self._mixed[reach]

    def _try_mixing(self, reach: int) -> str | None:
        lm, device = self._anatomy.lm, self._runner.device
        ids = self._probes(reach + _TOKENS // 2)[0]
        prompts, length = [ids[: len(ids) - _STEPS], ids[: len(ids) - _STEPS - _SHORTER]], len(ids)
        options: dict[str, Any] = {"use_cache": True} | ({"logits_to_keep": 1} if self._anatomy.keeps else {})
        try:
            with quiet(lm):
                cache = new_cache()
                mask = aligned_start(lm, prompts, cache, options, device=device)
                if not is_plain(cache):
                    return "its cache is not one of plain keys and values"
                for step in range(_STEPS):
                    latest = torch.tensor(
                        [[ids[len(prompt) - 1 + step]] for prompt in prompts], device=device
                    )
                    mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
                    logits = aligned_step(lm, latest, cache, mask, options)
                alone = [
                    lm(
                        input_ids=torch.tensor([ids[: len(prompt) + _STEPS - 1]], device=device), **options
                    ).logits[:, -1]
                    for prompt in prompts
                ]
        except _RUNTIME_ERRORS as error:
            if out_of_memory(error):
                raise
            line = (str(error).splitlines() or ["no reason given"])[0]
            return f"a step with keys and values that were moved fails ({type(error).__name__}: {line})"
        off = self._off(logits.float(), torch.cat(alone).float())
        return (
            f"logits of prompts of two lengths are off by {off:.1%} on a probe of {length} tokens"
            if off
            else None
        )

    def _try_sharing(self, reach: int) -> str | None:
        if not accepts(self._anatomy.lm, "past_key_values"):
            return "its forward takes no key-value cache"
        kinds = {*(getattr(text_config(self._anatomy.lm), "layer_types", None) or ())}
        if odd := sorted(str(kind) for kind in kinds - _LAYER_KINDS):
            return f"it has {odd[0].replace('_', ' ')} layers"
        if self.looks_ahead is not None:
            return self.looks_ahead
        if reach > _LONGEST_WINDOW:
            return f"a prompt is longer than its window of {reach} tokens"
        if reach == _TOKENS:
            (long, short), alone = self._probes(_TOKENS), self._alone
            trials = [(length, [long, short]) for length in _PREFIXES if length < len(short)]
        else:
            long = self._probes(reach + _TOKENS // 2)[0]
            alone = self._run([_last(0, long)])
            trials = [(length, [long]) for length in (reach // 2, reach + _TOKENS // 4)]
        for length, prompts in trials:
            try:
                prefix = self._runner.run_prefix(long[:length])
                if prefix.cache is None:
                    return "its cache is not one of plain keys and values"
                items = [_last(number, ids) for number, ids in enumerate(prompts)]
                shared = self._run(items if self.one_by_one is None else items[:1], prefix)
            except _RUNTIME_ERRORS as error:
                if out_of_memory(error):
                    raise
                line = (str(error).splitlines() or ["no reason given"])[0]
                return f"a forward with a shared cache fails ({type(error).__name__}: {line})"
            if off := self._off(shared, alone[: len(shared)]):
                return f"readings with a shared cache are off by {off:.1%} on a probe of {len(long)} tokens"
        return None

    def _probes(self, length: int) -> tuple[list[int], list[int]]:
        """Two prompts of different length that begin alike."""
        ids = probe_tokens(self._anatomy.lm, self._runner.device, length=length)[0].tolist()
        return ids, ids[: max(len(ids) - _SHORTER, 1)]

    @cached_property
    def _alone(self) -> Tensor:
        """``[2, d_model]``, each probe run by itself."""
        return torch.cat([self._run([_last(0, ids)]) for ids in self._probes(_TOKENS)])

    def _run(self, items: Sequence[EncodedPrompt], prefix: CachedPrefix | None = None) -> Tensor:
        """Last layer's reading of a batch, after the final norm: a few outlying dimensions would hide the rest."""
        resid = self._runner.run_batch([*items], prefix or CachedPrefix()).resid[:, 0]
        with quiet(self._anatomy.lm):
            return self._anatomy.norm(resid).float()

    def _off(self, ours: Tensor, reference: Tensor) -> float:
        """Largest relative difference of a row; 0 where it is no more than rounding."""
        half = self._anatomy.dtype not in (torch.float32, torch.float64)
        difference = float(((ours - reference).norm(dim=-1) / reference.norm(dim=-1).clamp_min(1e-30)).max())
        return difference if not difference <= (_TOLERANCE_HALF if half else _TOLERANCE) else 0.0


def _last(index: int, ids: list[int]) -> EncodedPrompt:
    return EncodedPrompt(index, ids, (len(ids) - 1,))


def _windows(config: object) -> list[int]:
    """Numbers of tokens after which the attention may change, as far as the config names them, in order."""
    to_dict = getattr(config, "to_dict", None)
    windows = {
        value
        for name, value in (to_dict() if to_dict is not None else {}).items()
        if any(part in name for part in _WINDOWS)
        and "layers" not in name
        and isinstance(value, int)
        and not isinstance(value, bool)
    }
    return sorted(value for value in windows if value >= _TOKENS)
