"""A vocabulary as bytes: what each token writes, which tokens can begin a text, and how to show one."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from latentlang.errors import InputError, unknown

Ids = npt.NDArray[np.int64]
# `TokenBytes.bytes` hides the builtin inside the class.
RawBytes = bytes

NORMALIZATIONS = ("", "NFC", "NFKC", "NFD", "NFKD", "lower", "NFC+lower", "NFKC+lower")

_VISIBLE = {" ": "␣", "\n": "↵", "\r": "␍", "\t": "⇥"}
# Control, format (joiners, bidi marks), every kind of space, and code points that mean nothing here.
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Co", "Cn", "Cs"})


class _Index(NamedTuple):
    """The vocabulary in byte order; tokens that write nothing are left out."""

    texts: list[bytes]  # sorted
    ids: Ids  # [token], the id of each of `texts`
    first: dict[bytes, int]  # position in `texts` of the first token with these bytes


@dataclass(frozen=True, eq=False)
class TokenBytes:
    """What every token of a vocabulary writes, as bytes.

    Attributes:
        bytes: bytes per token id; None for special, control and unused tokens and for holes in the ids.
        family: ``"byte-level"``, ``"sentencepiece"``, ``"unigram"`` or ``"plain"`` (tokens are literal text).
        normalization: what the tokenizer does to a text before cutting it, one of `NORMALIZATIONS`; ``""``
            for nothing. Qwen composes (``"NFC"``), T5 and XGLM fold compatibility forms (``"NFKC"``).
        prefix_space: whether the tokenizer puts a space before a text (Mistral yes, Gemma no).
        names: the vocabulary's own name of the tokens without bytes (``{1: "<s>"}``).
        probes: how many short texts, each in another script or spelling, came back from their tokens' bytes.
    """

    bytes: tuple[RawBytes | None, ...]
    family: str = "plain"
    normalization: str = ""
    prefix_space: bool = False
    names: Mapping[int, str] = field(default_factory=dict)
    probes: int = 0

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise unknown("normalization", self.normalization, NORMALIZATIONS)

    def __len__(self) -> int:
        return len(self.bytes)

    def __repr__(self) -> str:
        return f"TokenBytes({len(self)} tokens, family={self.family!r}, normalization={self.normalization!r})"

    @cached_property
    def _index(self) -> _Index:
        order = sorted((i for i, text in enumerate(self.bytes) if text), key=lambda i: self.bytes[i] or b"")
        texts = [self.bytes[i] or b"" for i in order]
        first: dict[bytes, int] = {}
        for position, text in enumerate(texts):
            first.setdefault(text, position)
        return _Index(texts, np.array(order, dtype=np.int64), first)

    @property
    def writing(self) -> int:
        """How many tokens write anything at all."""
        return len(self._index.texts)

    def answer_bytes(self, answer: str) -> RawBytes:
        """UTF-8 bytes of an answer as this tokenizer's model would write it, i.e. after its normalization.

        Raises:
            InputError: the answer is empty or only spaces, or holds a lone surrogate.
        """
        if not answer.strip():
            raise InputError(f"an answer needs at least one character, not {answer!r}")
        try:
            return normalize(answer, self.normalization).encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"the answer {answer!r} is no valid Unicode text: {error.reason}") from error

    def beginning(self, answer: RawBytes) -> Ids:
        """Ids of tokens that can begin a text: its non-empty prefixes, and tokens that it is a prefix of.

        Args:
            answer: the text's bytes, see `answer_bytes`.

        Returns:
            Sorted ids, ``[token]``.

        Raises:
            InputError: the answer is empty (every token would begin it).
        """
        if not answer:
            raise InputError("an empty answer is begun by every token; give at least one byte")
        index = self._index
        parts = [index.ids[slice(*self._extensions(answer))]]
        for length in range(1, len(answer)):
            prefix = answer[:length]
            start = index.first.get(prefix)
            if start is not None:
                parts.append(index.ids[start : self._run_end(start)])
        ids: Ids = np.sort(np.concatenate(parts))
        return ids

    def exactly(self, text: RawBytes) -> Ids:
        """Sorted ids of the tokens with exactly these bytes (more than one: ``a`` and ``<0x61>``)."""
        start = self._index.first.get(text)
        if start is None:
            return np.empty(0, dtype=np.int64)
        ids: Ids = np.sort(self._index.ids[start : self._run_end(start)])
        return ids

    def specificity(self, ids: Iterable[int]) -> npt.NDArray[np.float64]:
        """Share of the vocabulary's tokens whose bytes start with each token's bytes, ``[token]`` in (0, 1].

        Small is telling: ``ポ`` begins few tokens, the byte ``E3`` begins most of Japanese. NaN for tokens
        without bytes.
        """
        shares = []
        for i in ids:
            text = self._get(i)
            low, high = self._extensions(text) if text else (0, 0)
            shares.append((high - low) / self.writing if text else np.nan)
        return np.array(shares, dtype=np.float64)

    def render(self, token: int) -> str:
        """Readable text of a token: characters where its bytes are text, ``E3 83`` where they are not.

        Spaces and control characters are made visible (``␣``, ``↵``, ``⟨U+200D⟩``), a combining mark gets a
        dotted circle to sit on. An id beyond the tokenizer (padded embedding rows) gives ``⟨no token 123⟩``.

        Raises:
            InputError: the id is negative.
        """
        text = self._get(token)
        if text is None:
            return self.names.get(int(token), f"⟨no token {int(token)}⟩")
        return render_bytes(text)

    def _get(self, token: int) -> RawBytes | None:
        if token < 0:
            raise InputError(f"a token id cannot be negative: {token}")
        return self.bytes[token] if token < len(self.bytes) else None

    def _run_end(self, start: int) -> int:
        """End of the run of tokens with the same bytes as the one at `start`."""
        texts, end = self._index.texts, start + 1
        while end < len(texts) and texts[end] == texts[start]:
            end += 1
        return end

    def _extensions(self, prefix: RawBytes) -> tuple[int, int]:
        """Range in byte order of the tokens that start with `prefix`, itself included."""
        texts = self._index.texts
        low = bisect_left(texts, prefix)
        # The first byte string after all that start with `prefix`: its last byte below FF, raised by one.
        head = prefix.rstrip(b"\xff")
        return low, bisect_left(texts, head[:-1] + bytes([head[-1] + 1]), low) if head else len(texts)


def normalize(text: str, normalization: str) -> str:
    """Apply one of `NORMALIZATIONS`."""
    for step in normalization.split("+") if normalization else ():
        text = text.lower() if step == "lower" else unicodedata.normalize(step, text)  # type: ignore[arg-type]
    return text


def render_bytes(text: bytes) -> str:
    """Show bytes: characters where they are text, two-digit hex (``E3 83``) where they are not."""
    parts: list[str] = []
    position = 0
    while position < len(text):
        try:
            parts.append(_visible(text[position:].decode("utf-8")))
            break
        except UnicodeDecodeError as error:
            if error.start:
                parts.append(_visible(text[position : position + error.start].decode("utf-8")))
            stop = position + error.end
            parts.extend(f"{byte:02X}" for byte in text[position + error.start : stop])
            position = stop
    return " ".join(parts)


def _visible(text: str) -> str:
    shown = "".join(
        _VISIBLE.get(c) or (f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in _UNSEEN else c) for c in text
    )
    return "◌" + shown if unicodedata.category(text[0]).startswith("M") else shown
