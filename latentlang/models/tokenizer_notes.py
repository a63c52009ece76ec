"""What is worth a note of a model and its tokenizer: a missing beginning, probability on tokens that write nothing."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentlang.errors import InputError
from latentlang.models.anatomy import longest_prompt, quiet

# Plain texts on which a model is asked with and without its beginning-of-text token.
_TEXTS = (
    "The capital of France is Paris, and the capital of Germany is Berlin.",
    "Der Hund und die Katze sind im Haus, und die Kinder spielen im Garten.",
    "In the morning she drank a cup of tea and read the newspaper.",
)
# Nats a token by which the beginning-of-text token must help to be worth a note. Measured on Gemma 3 270M: see
# tests/models/test_tokenizer_notes.py; a model that was trained without one is not helped.
_HELPS = 0.3
# Share of the probability on tokens that write nothing that is worth a note.
SILENT_SHARE = 0.01


class TokenizerNotes:
    """What is noticed of a model as it is read.

    Args:
        lm: the causal LM.
        tokenizer: its tokenizer, or None.
        device: where token ids go.
    """

    def __init__(self, lm: Any, tokenizer: Any, *, device: torch.device) -> None:
        self._lm = lm
        self._tokenizer = tokenizer
        self._silent: dict[int, Tensor | None] = {}
        self._device = device

    @cached_property
    def beginning(self) -> str | None:
        """That the tokenizer leaves out a beginning-of-text token which the model reads better with; None if not so.

        The model is asked (six short texts) only where the tokenizer has such a token, other than its end-of-text
        token, and does not put it there.
        """
        tokenizer = self._tokenizer
        bos = getattr(tokenizer, "bos_token_id", None)
        if bos is None or bos == getattr(tokenizer, "eos_token_id", None):
            return None
        limit = longest_prompt(self._lm)
        # with the token before them they are to fit as well
        texts = [list(tokenizer(text)["input_ids"])[: limit and limit - 1] for text in _TEXTS]
        if any(bos in ids[:2] for ids in texts) or any(len(ids) < 3 for ids in texts):
            return None
        without = sum(self._log_prob(ids) for ids in texts)
        gain = (sum(self._log_prob([bos, *ids], start=1) for ids in texts) - without) / sum(map(len, texts))
        if not gain > _HELPS:
            return None
        return (
            f"the tokenizer puts no {tokenizer.bos_token!r} before a text, and with it the model gives plain text "
            f"{gain:.1f} nats a token more: set add_bos_token to true in tokenizer_config.json"
        )

    def _log_prob(self, ids: list[int], *, start: int = 0) -> float:
        """Log-probability of a text's tokens, given the first."""
        with quiet(self._lm):
            output = self._lm(
                input_ids=torch.tensor([ids], device=self._device), use_cache=False, return_dict=True
            )
        log_probs = output.logits[0].float().log_softmax(-1)[start:-1]
        targets = torch.tensor(ids[start + 1 :], device=log_probs.device)
        return float(log_probs.gather(1, targets[:, None]).sum())

    def silent(self, vocab_size: int) -> Tensor | None:
        """Ids of the tokens that write nothing: special, unused and padded ones; None without a readable tokenizer."""
        if vocab_size not in self._silent:
            self._silent[vocab_size] = self._silent_ids(vocab_size)
        return self._silent[vocab_size]

    def _silent_ids(self, vocab_size: int) -> Tensor | None:
        from latentlang.answers.vocabulary import token_bytes

        if self._tokenizer is None:
            return None
        try:
            table = token_bytes(self._tokenizer)
        except InputError:
            return None
        texts = table.bytes[:vocab_size]
        ids = [i for i, text in enumerate(texts) if not text]
        return torch.tensor([*ids, *range(len(texts), vocab_size)], dtype=torch.long)

    def silent_mass(self, logits: Tensor) -> float:
        """Mean share of the probability on tokens that write nothing, of logits ``[row, vocab]``; 0 if not known."""
        silent = self.silent(logits.shape[-1])
        if silent is None or not len(silent):
            return 0.0
        inside = logits[:, silent.to(logits.device)].logsumexp(-1)
        return float((inside - logits.logsumexp(-1)).exp().mean())


def silent_note(mass: float, padded: int) -> str:
    """The sentence on a share of the probability on tokens that write nothing."""
    beyond = f" ({padded} of them beyond its tokenizer)" if padded > 0 else ""
    return (
        f"{mass:.0%} of the model's own probability lies on tokens that write nothing{beyond}: special, unused or "
        "padded ones, so that all answers together have no more than the rest"
    )
