"""Whose a token is: the language by which a cell of the grid is coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from latentlang.answers import TokenBytes, answer_sets, token_bytes
from latentlang.interactive.session import Session
from latentlang.language_id import LanguageIdentifier


class TokenOwners:
    """Says of tokens whose language they are.

    First the words of a concept: a token that can begin the word of one of the languages alone. Then the table of the
    vocabulary, once it is made (`learn`). Then the script, where one of the languages alone is written in it.

    Args:
        table: the vocabulary's bytes.
        codes: the languages in question.
    """

    def __init__(self, table: TokenBytes, codes: Sequence[str]) -> None:
        self._table = table
        self._scripts = LanguageIdentifier(codes)
        self._by_script: dict[int, str | None] = {}
        self._learnt: Mapping[int, str] = {}

    def learn(self, languages: Mapping[int, str]) -> None:
        """Take in which language tokens belong to, by id."""
        self._learnt = languages

    def of(self, token: int, words: Mapping[int, str]) -> str | None:
        """Code of the language that a token belongs to; None where it is none's.

        Args:
            token: its id.
            words: ids that begin words of a concept to the language (`words_of`).
        """
        if token in words:
            return words[token]
        return self._learnt.get(token) or self._script(token)

    def _script(self, token: int) -> str | None:
        if token not in self._by_script:
            text = self._table.bytes[token] if token < len(self._table) else None
            found = self._scripts.identify((text or b"").decode("utf-8", "ignore"))
            self._by_script[token] = found.language if found.reason == "script" else None
        return self._by_script[token]

    def record(self, token: int, words: Mapping[int, str]) -> dict[str, Any]:
        """A token as the page is told of it."""
        text = self._table.bytes[token] if token < len(self._table) else None
        part = text is not None and not _is_text(text)
        return {
            "id": token,
            "text": self._table.render(token),
            "language": self.of(token, words),
            **({"bytes": True} if part else {}),
        }


def token_owners(session: Session) -> TokenOwners:
    """Whose the tokens of a session's model are."""
    owners: TokenOwners = session.once(
        "owners", lambda: TokenOwners(token_bytes(session.model.tokenizer), session.speaking)
    )
    return owners


def words_of(session: Session, label: str | None, codes: Sequence[str]) -> Mapping[int, str]:
    """Ids of the tokens that can begin the word for a label in one of some languages alone, to its code."""

    def find() -> dict[int, str]:
        if label is None:
            return {}
        strings = {
            code: {label: answers[label]}
            for code in codes
            if label in (answers := session.task.answers(code))
        }
        sets = answer_sets(token_bytes(session.model.tokenizer), strings, cue="", scope="same")
        return {token: code for code, name in sets for token in sets[code, name].exclusive.tolist()}

    found: dict[int, str] = session.once(("words", label, tuple(codes)), find)
    return found


def _is_text(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
