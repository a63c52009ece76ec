"""Texts that a model goes on with side by side: their keys and values are kept, and a token is put behind each.

Prompts are run once each, however many texts go on from them, and so is what all of them begin with. Those of different
lengths are filled up on the right, which a causal model's tokens do not see; then the keys and values of each are moved
to the end, so that all go on at one place, with a mask for what is in front of the shorter ones. Distances between
tokens, and with them windows, are those of each text alone. Where a model cannot be run so (`BatchingProbe`), prompts
of one length run together.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from latentlang.errors import ModelError
from latentlang.models.anatomy import accepts, quiet
from latentlang.models.edits import Edit
from latentlang.models.hooked import HookedLM
from latentlang.models.prefix_cache import RUN_OVERHEAD_TOKENS
from latentlang.models.writing_cache import aligned_start, aligned_step, new_cache, repeat_rows


class NextTokens:
    """Texts with the logits of what comes next; to be used as a context, in which an edit is in force.

    Attributes:
        logits: ``[row, vocabulary]``, of the next token of each text.
    """

    logits: Tensor

    def __init__(
        self, model: HookedLM, prompts: Sequence[Sequence[int]], *, edit: Edit | None = None
    ) -> None:
        """Take prompts, a row each; the same one may stand there several times.

        Args:
            model: the model; it is not changed.
            prompts: token ids; of one length where an edit is in force, or where a `BatchingProbe` says so.
            edit: in force meanwhile, but not before the last token of the prompts, unless it is at all positions.
        """
        self._model, self._lm, self._edit = model, model.lm, edit
        self._prompts = [list(prompt) for prompt in prompts]
        self._length = len(self._prompts[0])
        self._options: dict[str, Any] = {"use_cache": True} if accepts(self._lm, "use_cache") else {}
        if accepts(self._lm, "logits_to_keep"):
            self._options["logits_to_keep"] = 1
        self._cache: Any = None
        # ``[row, token]`` where prompts are of several lengths: 1 for a text's own tokens
        self._mask: Tensor | None = None
        # ``[row, token]``, the whole texts, of a model that keeps nothing
        self._whole: Tensor | None = None
        self._context = ExitStack()

    def __enter__(self) -> Self:
        """Run the prompts."""
        with ExitStack() as entered:
            entered.enter_context(self._model.alone())
            entered.enter_context(quiet(self._model.model))
            if self._edit is not None or self._model.edits:
                self._start_edited(entered)
            else:
                self._start()
            self._context = entered.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Let go of the edit."""
        self._context.close()

    def append(self, tokens: Tensor) -> None:
        """Put a token behind each text ``[row]``, and ask what comes next."""
        latest = tokens[:, None]
        if self._whole is not None:
            self._whole = torch.cat([self._whole, latest], 1)
            with self._in_force(self._whole.shape[1]):
                self.logits = self._lm(input_ids=self._whole, **self._options).logits[:, -1]
        elif self._mask is not None:
            self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], 1)
            self.logits = aligned_step(self._lm, latest, self._cache, self._mask, self._options)
        else:
            self._forward(latest)

    @property
    def can_keep(self) -> bool:
        """Whether rows can be left out: not where each may have an edit of its own, nor where a cache is fixed."""
        fixed = self._cache is not None and not hasattr(self._cache, "reorder_cache")
        return self._edit is None and not self._model.edits and not fixed

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; one may be there several times."""
        self.logits = self.logits[rows]
        if self._cache is not None:
            repeat_rows(self._cache, rows)
        if self._mask is not None:
            self._mask = self._mask[rows]
        if self._whole is not None:
            self._whole = self._whole[rows]

    def _start(self) -> None:
        """Run every prompt once, and give each text its own."""
        shareable = self._why_not_shared() is None
        unique = [*map(tuple, self._prompts)]
        if shareable:
            unique = sorted({*unique})
        common = _common(unique) if shareable else 0
        if (len(unique) - 1) * common < RUN_OVERHEAD_TOKENS:
            common = 0
        if len({*map(len, unique)}) == 1:
            ids = self._tensor(unique)
            if common:
                self._cache = _cache_after(self._lm, ids[:1, :common], None, self._options)
            if self._cache is not None:
                repeat_rows(self._cache, torch.zeros(len(unique), dtype=torch.long, device=ids.device))
                ids = ids[:, common:]
            self._forward(ids)
            if self._cache is None:
                self._whole = self._tensor(unique)
        else:
            self._start_mixed([list(prompt) for prompt in unique], common)
        if shareable:
            place = {prompt: number for number, prompt in enumerate(unique)}
            rows = [place[tuple(prompt)] for prompt in self._prompts]
            if rows != list(range(len(unique))):
                self.keep(torch.tensor(rows, device=self._model.device))

    def _start_mixed(self, prompts: list[list[int]], common: int) -> None:
        """Run prompts of several lengths, filled up, all but their last tokens; then those."""
        self._cache, rows = new_cache(), len(prompts)
        if common:
            self._lm(
                input_ids=self._tensor([prompts[0][:common]]), past_key_values=self._cache, **self._options
            )
            repeat_rows(self._cache, torch.zeros(rows, dtype=torch.long, device=self._model.device))
        self._mask = aligned_start(
            self._lm,
            [prompt[common:] for prompt in prompts],
            self._cache,
            self._options,
            device=self._model.device,
        )
        self.append(torch.tensor([prompt[-1] for prompt in prompts], device=self._model.device))

    def _start_edited(self, entered: ExitStack) -> None:
        """Run prompts of one length under an edit, all but their last tokens without it, where that is the same."""
        ids = self._tensor(self._prompts)
        shared = self._edit is None or self._edit.positions != "all"
        if shared and self._length > 1:
            self._cache = self._before_last(ids)
        forwards = entered.enter_context(ExitStack())
        forwards.enter_context(self._in_force(self._length))
        self._forward(ids if self._cache is None else ids[:, -1:])
        if self._cache is None:
            # the text is run again for each token, and where it began has to be said
            forwards.close()
            self._whole = ids

    def _forward(self, ids: Tensor) -> None:
        before = {} if self._cache is None else {"past_key_values": self._cache}
        output = self._lm(input_ids=ids, **before, **self._options)
        self._cache = getattr(output, "past_key_values", None)
        self.logits = output.logits[:, -1]

    def _before_last(self, ids: Tensor) -> Any:
        """Keys and values of all tokens but the last, each prompt's once, and once what all begin with; or None.

        No edit is in force meanwhile but those that were before.
        """
        if self._model.edits or self._why_not_shared() is not None:
            return None
        prompts, rows = torch.unique(ids, dim=0, return_inverse=True)
        common = _common(prompts.tolist())
        cache: Any = None
        if len(prompts) > 1 and common:
            cache = _cache_after(self._lm, prompts[:1, :common], None, self._options)
            if cache is None:
                return None
            repeat_rows(cache, torch.zeros(len(prompts), dtype=torch.long, device=ids.device))
        start = common if cache is not None else 0
        if start < prompts.shape[1] - 1:
            cache = _cache_after(self._lm, prompts[:, start:-1], cache, self._options)
        if cache is None:
            return None
        repeat_rows(cache, rows)
        return cache

    def _why_not_shared(self) -> str | None:
        return self._model.batching.why_not_shared(max(map(len, self._prompts)))

    def _in_force(self, tokens: int) -> AbstractContextManager[None]:
        """The edit, on texts of so many tokens."""
        edit, length = self._edit, self._length
        if edit is None:
            return nullcontext()
        if tokens > length and edit.positions in ("last", "new"):
            positions = [length - 1] if edit.positions == "last" else list(range(length - 1, tokens))
            edit = replace(edit, positions=positions)
        return self._model.edited(edit)

    def _tensor(self, rows: Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor([[*row] for row in rows], device=self._model.device)


def check_finite(
    model: HookedLM, largest: Tensor, ended: Tensor | None = None, *, edited: bool = False
) -> None:
    """Refuse logits of which any token would be the likeliest.

    Args:
        model: the model.
        largest: logit of each row.
        ended: rows of which it does not matter; None for none.
        edited: whether an edit is in force that the model does not know of.

    Raises:
        ModelError: the largest logit of a text that has not ended is NaN or infinite.
    """
    # -inf may stand for tokens that are never written
    finite = largest.isfinite()
    if bool((finite if ended is None else finite.to(ended.device) | ended).all()):
        return
    kind = str(model.dtype).removeprefix("torch.")
    edits = edited or model.edits
    raise ModelError(
        f"while {model.name!r} writes{' with an edit in force' if edits else ''}, its logits are NaN or infinite "
        f"in {kind}; {'take a weaker edit, or ' if edits else ''}load it with dtype='bf16' or 'fp32'"
    )


def _common(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, one of each left over."""
    least = min(map(len, prompts)) - 1
    first, last = min(map(tuple, prompts)), max(map(tuple, prompts))
    return next((at for at in range(least) if first[at] != last[at]), least)


def _cache_after(lm: Any, ids: Tensor, cache: Any, options: dict[str, Any]) -> Any:
    """Keys and values after some more tokens; None of a model that gives none that can be copied."""
    before = {} if cache is None else {"past_key_values": cache}
    cache = getattr(lm(input_ids=ids, **before, **options), "past_key_values", None)
    return cache if hasattr(cache, "reorder_cache") else None
