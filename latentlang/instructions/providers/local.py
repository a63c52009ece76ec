"""A model on this machine, asked greedily, in its chat template where it has one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.instructions.providers.base import Messages, ProviderError, Reply, plain

if TYPE_CHECKING:
    from latentlang.models import HookedLM

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

    def __init__(self, model: HookedLM, *, new_tokens: int = NEW_TOKENS) -> None:
        """Take a model.

        Args:
            model: the model; without a chat template the messages are put one under another.
            new_tokens: of an answer, at most.

        Raises:
            InputError: an impossible number.
        """
        from latentlang.models.fingerprint import model_identity

        check_count("new_tokens", new_tokens, least=1)
        self.model, self._new_tokens, self._lock = model, new_tokens, Lock()
        self._template = _template(model.tokenizer)
        digest = hashlib.sha256((self._template or "").encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._settings = {
            "model": model_identity(model),
            "dtype": str(model.dtype).removeprefix("torch."),
            "new_tokens": new_tokens,
            "chat_template": digest if self._template else None,
        }

    @property
    def name(self) -> str:
        """``local:`` and the model's name."""
        return f"local:{self.model.name}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The model with its weights, its template and the limit of an answer."""
        return self._settings

    def count_tokens(self, text: str) -> int:
        """Tokens of a text by the model's own tokenizer, without those that begin and end one."""
        return len(self.model.tokenizer(text, add_special_tokens=False)["input_ids"])

    def ask(self, messages: Messages) -> Reply:
        """What the model writes.

        Raises:
            ProviderError: it writes nothing, or the messages are more than it can read.
        """
        from latentlang.models.generation import generate_tokens

        prompt = self._prompt(messages)
        longest = self.model.max_length
        if longest is not None and len(prompt) + self._new_tokens > longest:
            raise ProviderError(
                f"{self.model.name!r} reads {longest} tokens, and these messages with an answer of {self._new_tokens} "
                f"are {len(prompt) + self._new_tokens}; ask for shorter answers or shorter texts",
                code="refused",
            )
        with self._lock:
            (written,) = generate_tokens(self.model, [prompt], new_tokens=self._new_tokens)
        text = str(self.model.tokenizer.decode(written, skip_special_tokens=True))
        cut = len(written) >= self._new_tokens
        if self._template is None and _END in text.lstrip():
            text, cut = text.lstrip().partition(_END)[0], False
        if not text.strip():
            raise ProviderError(f"{self.model.name!r} wrote nothing; ask otherwise", code="empty-reply")
        return Reply(text.strip(), len(prompt), len(written), cut=cut)

    def _prompt(self, messages: Messages) -> list[int]:
        tokenizer = self.model.tokenizer
        if self._template is None:
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


def _template(tokenizer: Any) -> str | None:
    if tokenizer is None:
        raise InputError("a model without a tokenizer cannot be asked; load it by its name")
    try:
        return str(tokenizer.get_chat_template())
    except (AttributeError, ValueError):
        return None
