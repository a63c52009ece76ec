"""Texts at which writing ends: looked for in what the tokens write, not among the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentlang.errors import ModelError

# Tokens that are looked at beside the bytes of a stop string: that write nothing, or end a character begun before.
_MORE = 8


class StopStrings:
    """The stop strings of one run.

    Attributes:
        strings: the texts.
    """

    def __init__(self, tokenizer: Any, strings: Sequence[str]) -> None:
        """Take a tokenizer, which makes text of tokens, and the texts at which writing ends; there may be none.

        Raises:
            ModelError: there are some, and no tokenizer.
        """
        if strings and tokenizer is None:
            raise ModelError("a model without a tokenizer writes no text, so it cannot stop at one")
        self._tokenizer, self.strings = tokenizer, tuple(strings)
        # every token that writes something writes a byte at least
        self._reach = max((len(text.encode()) for text in self.strings), default=0) + _MORE

    @property
    def readable(self) -> bool:
        """Whether what is written can be read as text."""
        return self._tokenizer is not None

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens write; special ones write nothing."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether a stop string has come, of a text that was asked after each of its tokens."""
        if not self.strings or not self._there(tokens[-self._reach :]):
            return False
        return self._there(tokens)

    def _there(self, tokens: Sequence[int]) -> bool:
        text = self.text(tokens)
        return any(string in text for string in self.strings)

    def cut(self, text: str) -> tuple[str, str]:
        """A text up to the first stop string in it, and that string; empty where there is none.

        Of two that begin at one place the longer counts.
        """
        places = [(text.find(string), -len(string), string) for string in self.strings if string in text]
        if not places:
            return text, ""
        place, _length, string = min(places)
        return text[:place], string
