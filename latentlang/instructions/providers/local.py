"""A model on this machine, asked greedily or by draws, in its chat template where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.instructions.providers.base import AGAIN, Messages, ProviderError, Reply, messages_key, plain

if TYPE_CHECKING:
    from latentlang.models import HookedLM
    from latentlang.models.decoding import Decoding

NEW_TOKENS = 512
# A model without a chat template goes on writing: its answer ends at the first blank line.
_END = "\n\n"


class LocalModel:
    """A loaded model as a provider.

    Attributes:
        model: the model.
        one_at_a_time: it is asked by one thread at a time.
        retried: asked again, it writes the same.
    """

    one_at_a_time, retried = True, False

    def __init__(
        self,
        model: HookedLM,
        *,
        new_tokens: int = NEW_TOKENS,
        decoding: Decoding | None = None,
    ) -> None:
        """Take a model.

        Args:
            model: the model; without a chat template the messages are put one under another.
            new_tokens: of an answer, at most.
            decoding: how it writes: greedily (None), by draws or by beams, with stop strings; its number of new tokens
                does not count.

        Raises:
            InputError: an impossible number, several samples, or a rule that breaks a language with this tokenizer.
        """
        from latentlang.models.chat import template_digest
        from latentlang.models.decoding import Decoding, check_no_repeat
        from latentlang.models.fingerprint import model_identity

        check_count("new_tokens", new_tokens, least=1)
        self._decoding = replace(decoding or Decoding(), new_tokens=new_tokens)
        if self._decoding.samples > 1:
            raise InputError(f"samples={self._decoding.samples}: a reply is one text; ask for one")
        check_no_repeat(self._decoding, model.tokenizer)
        self.model, self._new_tokens, self._lock, self._sample = model, new_tokens, Lock(), 0
        if model.tokenizer is None:
            raise InputError("a model without a tokenizer cannot be asked; load it by its name")
        digest = template_digest(model.tokenizer)
        self._has_template = digest is not None
        self._settings = {
            "model": model_identity(model),
            "dtype": str(model.dtype).removeprefix("torch."),
            "new_tokens": new_tokens,
            "chat_template": digest and digest.removeprefix("sha256 "),
        }
        if self._decoding != Decoding(new_tokens=new_tokens):
            self._settings["decoding"] = self._decoding.record

    @property
    def name(self) -> str:
        """``local:`` and the model's name."""
        return f"local:{self.model.name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The model with its weights, its template and the limit of an answer; of a further draw also which it is."""
        return self._settings | ({AGAIN: self._sample} if self._sample else {})

    def count_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own tokenizer, without those that begin and end one."""
        return len(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])

    def ask(self, messages: Messages) -> Reply:
        """What the model writes.

        Raises:
            ProviderError: it writes nothing, or the messages are more than it can read.
        """
        prompt = self._prompt(messages)
        longest = self.model.max_length
        if longest is not None and len(prompt) + self._new_tokens > longest:
            raise ProviderError(
                f"{self.model.name!r} reads {longest} tokens, and these messages with an answer of {self._new_tokens} "
                f"are {len(prompt) + self._new_tokens}; ask for shorter answers or shorter texts",
                code="refused",
            )
        with self._lock:
            text, count, cut = self._written(prompt, f"{messages_key(messages)}/{self._sample}")
        if not text.strip():
            raise ProviderError(f"{self.model.name!r} wrote nothing; ask otherwise", code="empty-reply")
        return Reply(text.strip(), len(prompt), count, cut=cut)

    def again(self, time: int) -> LocalModel | None:
        """The model for what is asked once more: another draw; None where it would only write the same."""
        if self._decoding.how != "sample":
            return None
        other = copy(self)  # with the same lock: it is the same model
        other._sample = time
        return other

    def _written(self, prompt: list[int], item: str) -> tuple[str, int, bool]:
        """The text, how many tokens it took, and whether it was cut."""
        from latentlang.models.generation import generate

        ends = () if self._has_template else (_END,)
        how = replace(self._decoding, stop=(*self._decoding.stop, *ends))
        before: list[int] = []
        while True:
            left = self._new_tokens - len(before)
            how = replace(how, new_tokens=left, min_new_tokens=min(how.min_new_tokens, left))
            ((written,),) = generate(self.model, [[*prompt, *before]], how, items=[f"{item}/{len(before)}"])
            before += written.tokens
            # a blank line before anything else ends no answer
            if written.text.strip() or written.stop != _END or len(before) >= self._new_tokens:
                return written.text, len(before), written.ended == "length"

    def _prompt(self, messages: Messages) -> list[int]:
        tokenizer = self.model.tokenizer
        if not self._has_template:
            text = "".join(f"{message['content'].strip()}{_END}" for message in messages)
            return self.model.encode([text])[0]
        try:
            text = str(
                tokenizer.apply_chat_template(plain(messages), tokenize=False, add_generation_prompt=True)
            )
        except Exception as error:  # whatever a template raises: jinja's errors, its own
            raise ProviderError(
                f"the chat template of {self.model.name!r} cannot write these messages: {error}; some take no system "
                "text",
                code="refused",
            ) from error
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
