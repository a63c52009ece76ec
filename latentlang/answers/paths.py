"""Whole answers as tokens: the path that a tokenizer takes to write an answer after a prompt, and what ends it.

Where the cue opened a quotation mark, any token that begins with the closing one ends the answer (``"``, but also
``"⏎`` or ``",``, as tokenizers merge them). That end is what tells ``positiv`` from ``positive``. Where the cue opened
none and one answer is the beginning of another (``1`` and ``10``), the end of a word closes all of the prompt's own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from latentlang.answers.sets import takes_space
from latentlang.answers.tokenbytes import TokenBytes
from latentlang.answers.vocabulary import token_bytes
from latentlang.errors import InputError
from latentlang.tasks.base import Prompt, is_templated

Tokens = tuple[int, ...]
#: An answer: one string, or several that count alike.
Wordings = str | Sequence[str]


class Writer(Protocol):
    """What turns texts into tokens as a model reads them: `HookedLM` does."""

    tokenizer: Any

    def encode(self, texts: Sequence[str | Prompt]) -> list[list[int]]:
        """Tokens of each text."""


# What closes a quotation; Swedish and Danish open with what elsewhere closes.
_CLOSING = {
    '"': '"', "'": "'", "`": "`", "＂": "＂", "＇": "＇", "“": "”", "‘": "’", "„": "“", "‚": "‘", "”": "”", "’": "’",
    "«": "»", "»": "«", "‹": "›", "›": "‹", "「": "」", "『": "』", "《": "》", "〈": "〉", "(": ")", "（": "）",
    "[": "]", "【": "】", "{": "}",
}  # fmt: skip


_APOSTROPHES = ("'", "’")


def closing(cue: str) -> str:
    """What closes the quotation that a cue opens; ``""`` where it opens none."""
    if cue[-1:] in _APOSTROPHES and cue[-2:-1].isalpha():
        return ""  # an elision, as in "l'", opens no quotation
    return _CLOSING.get(cue[-1:], "")


@dataclass(frozen=True)
class AnswerPath:
    """How a tokenizer writes an answer after a prompt.

    Attributes:
        tokens: token ids, one after the other.
        ends: sorted ids of the tokens any of which ends the answer after these; empty where nothing has to.
    """

    tokens: Tokens
    ends: Tokens = ()

    def contains(self, other: AnswerPath) -> bool:
        """Whether whatever goes the other path goes this one too, so that their sum would count it twice."""
        if self.ends:
            return self == other
        return other.tokens[: len(self.tokens)] == self.tokens


def answer_paths(
    model: Writer,
    prompts: Sequence[Prompt | str],
    answers: Sequence[Sequence[Wordings]],
    *,
    verbatim: bool = False,
) -> tuple[list[list[int]], list[list[tuple[AnswerPath, ...]]]]:
    """Tokens of each prompt, and for each of its answers the paths that write it.

    There is one path per wording, or two where the cue lets an answer begin with a space (it ends neither in white
    space nor in a quotation mark): with and without. None is the beginning of another, so their probabilities add up.
    An answer that the tokenizer cannot write has none. Where nothing closes the answers and one begins another (``1``
    and ``10``), each is followed by the end of a word: any token that goes on with neither a letter, a mark nor a
    digit, nor with what makes a longer answer of it, or the end of the text.

    Where the prompt's tokens are not the beginning of the whole text's (the cue's last token merges with the answer's
    first letters), the prompt stays as it is and the answer is spelled after it with the longest tokens that fit,
    byte by byte if need be.

    Args:
        model: whose tokenizer is used.
        prompts: what stands before the answers.
        answers: per prompt, what to write after it; an answer may have several wordings.
        verbatim: answers are texts that go on with the prompt to the letter: no space is put before them and nothing
            closes them. Where the prompt's last token merges with a text's first letters, only these are spelled anew.

    Raises:
        InputError: an empty answer, or not one list of answers per prompt.
        ModelError: the tokenizer's bytes cannot be determined (see `token_bytes`).
    """
    if isinstance(answers, str) or len(answers) != len(prompts):
        raise InputError(f"{len(prompts)} prompts need as many lists of answers, not {len(answers)}")
    table = token_bytes(model.tokenizer)
    end = getattr(model.tokenizer, "eos_token_id", None)
    spelling = _Spelling(table, frozenset() if end is None else frozenset([end]))
    texts: dict[str, None] = {}
    continued: list[list[list[str]]] = []
    for text, per_answer in zip(map(str, prompts), answers, strict=True):
        starts = ("", " ") if takes_space(text) and not verbatim else ("",)
        close = "" if verbatim else closing(text)
        written = []
        for wordings in per_answer:
            words = dict.fromkeys((wordings,) if isinstance(wordings, str) else wordings)
            for word in words:
                table.answer_bytes(word)  # refuses an empty one
            written.append([start + word + close for word in words for start in starts])
        continued.append(written)
        texts |= dict.fromkeys([text, *(text + ending for variants in written for ending in variants)])
    encoded = dict(zip(texts, model.encode(_as_written(list(texts), prompts)), strict=True))
    paths = []
    for text, written in zip(map(str, prompts), continued, strict=True):
        close = "" if verbatim else closing(text)
        longer = {} if close or verbatim else _longer(table, written)
        paths.append(
            [
                _distinct(
                    spelling.path(
                        encoded[text],
                        encoded[text + ending],
                        ending,
                        closed=bool(close),
                        longer=longer.get(ending),
                        resumes=verbatim,
                    )
                    for ending in variants
                )
                for variants in written
            ]
        )
    return [encoded[str(prompt)] for prompt in prompts], paths


def _as_written(texts: Sequence[str], prompts: Sequence[Prompt | str]) -> Sequence[Prompt | str]:
    """The texts, as prompts of a chat where the prompts are such: then no special token is added to them.

    Raises:
        InputError: some of the prompts are and some are not.
    """
    kinds = {is_templated(prompt) for prompt in prompts}
    if len(kinds) > 1:
        raise InputError(
            "some of these prompts are written by a chat template and some are not; ask them apart"
        )
    if kinds != {True}:
        return texts
    return [Prompt("", "", "", "", text, "", templated=True) for text in texts]


def _longer(table: TokenBytes, written: Sequence[Sequence[str]]) -> dict[str, tuple[bytes, ...]]:
    """What makes another answer of each, by its text; empty where no answer is the beginning of another one's."""
    spelled = [{ending: table.answer_bytes(ending) for ending in variants} for variants in written]
    longer: dict[str, tuple[bytes, ...]] = {}
    for index, endings in enumerate(spelled):
        others = {text for at, variants in enumerate(spelled) if at != index for text in variants.values()}
        for ending, text in endings.items():
            rests = {other[len(text) :] for other in others if other.startswith(text)} - {b""}
            longer[ending] = (*longer.get(ending, ()), *sorted(rests))
    return longer if any(longer.values()) else {}


def _distinct(paths: Iterable[AnswerPath | None]) -> tuple[AnswerPath, ...]:
    """The paths that there are, without those that another contains."""
    kept: list[AnswerPath] = []
    for path in sorted((path for path in paths if path is not None), key=lambda path: len(path.tokens)):
        if not any(shorter.contains(path) for shorter in kept):
            kept.append(path)
    return tuple(kept)


def _ends_a_word(text: bytes) -> bool:
    """Whether a token begins with a whole character that is neither letter, mark nor digit."""
    first = text.decode("utf-8", "ignore")[:1]
    return bool(first) and text.startswith(first.encode()) and unicodedata.category(first)[0] not in "LMN"


class _Spelling:
    """How one tokenizer's vocabulary continues a prompt."""

    def __init__(self, table: TokenBytes, last: frozenset[int] = frozenset()) -> None:
        """`last`: tokens that end a text."""
        self.table = table
        self._last = last
        self._ends: dict[bytes, Tokens] = {}
        self._after: dict[tuple[bytes, ...], Tokens] = {}

    def path(
        self,
        before: list[int],
        whole: list[int],
        text: str,
        *,
        closed: bool,
        longer: tuple[bytes, ...] | None = None,
        resumes: bool = False,
    ) -> AnswerPath | None:
        """The path of a text after a prompt; None where the vocabulary cannot write it.

        Args:
            before: tokens of the prompt.
            whole: tokens of prompt + text.
            text: answer and what closes it.
            closed: whether something closes it.
            longer: what makes a longer answer of it, where the end of a word is to close it; else None.
            resumes: where a token spans the end of the prompt, its rest is spelled and the tokenizer's own tokens
                follow; else all of the text is spelled.
        """
        written = self.table.answer_bytes(text)
        tokens: Tokens | None = tuple(whole[len(before) :])
        if whole[: len(before)] != before or self._bytes(tokens or ()) != written:
            tokens = (self._resumed(before, whole, written) if resumes else None) or self._spell(written)
        if not tokens:
            return None
        if not closed:
            return AnswerPath(tokens, () if longer is None else self._word_ends(longer))
        ends = self._beginning(self.table.bytes[tokens[-1]] or b"")
        return AnswerPath(tokens[:-1], ends) if len(ends) > 1 else AnswerPath(tokens)

    def _bytes(self, tokens: Tokens) -> bytes | None:
        pieces = [self.table.bytes[token] if token < len(self.table) else None for token in tokens]
        return None if None in pieces else b"".join(piece or b"" for piece in pieces)

    def _resumed(self, before: list[int], whole: list[int], written: bytes) -> Tokens | None:
        """The tokens of a whole text behind the prompt, the rest of one that spans its end spelled anew; else None."""
        common = 0
        while common < min(len(before), len(whole)) and before[common] == whole[common]:
            common += 1
        prompt, text = self._bytes(tuple(before[common:])), self._bytes(tuple(whole[common:]))
        if prompt is None or text is None or text != prompt + written:
            return None
        length = 0
        for place in range(common, len(whole)):
            length += len(self.table.bytes[whole[place]] or b"")
            if length >= len(prompt):
                rest = text[len(prompt) : length]
                spelled = self._spell(rest) if rest else ()
                return None if spelled is None else (*spelled, *whole[place + 1 :])
        return None

    def _spell(self, written: bytes) -> Tokens | None:
        """The longest token that fits, again and again; None where none does."""
        tokens: list[int] = []
        at = 0
        while at < len(written):
            for stop in range(len(written), at, -1):
                ids = self.table.exactly(written[at:stop])
                if len(ids):
                    # Of ``<0x61>`` and ``a`` the later is the one that texts are made of.
                    tokens.append(int(ids[-1]))
                    at = stop
                    break
            else:
                return None
        return tuple(tokens)

    def _word_ends(self, longer: tuple[bytes, ...]) -> Tokens:
        """Tokens that end a word, or the text, and do not make a longer answer of it."""
        if longer not in self._after:
            self._after[longer] = tuple(
                token
                for token, text in enumerate(self.table.bytes)
                if token in self._last
                or (
                    text
                    and _ends_a_word(text)
                    and not any(rest.startswith(text) or text.startswith(rest) for rest in longer)
                )
            )
        return self._after[longer]

    def _beginning(self, last: bytes) -> Tokens:
        """Tokens that begin with these bytes."""
        if last not in self._ends:
            ids = self.table.beginning(last).tolist()
            self._ends[last] = tuple(i for i in ids if (self.table.bytes[i] or b"").startswith(last))
        return self._ends[last]
