"""Whose a token is: the language by which a cell of the grid is coloured."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from threading import Event, Thread
from typing import Any

from latentlang.answers import TokenBytes, answer_sets, token_bytes, token_languages
from latentlang.errors import InputError
from latentlang.interactive.session import Session
from latentlang.language_id import LanguageIdentifier

logger = logging.getLogger(__name__)


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
        self._languages: Mapping[int, str] = {}
        #: Whether the table of the vocabulary is made.
        self.learnt = False

    def learn(self, languages: Mapping[int, str]) -> None:
        """Take in which language tokens belong to, by id."""
        self._languages, self.learnt = languages, True

    def of(self, token: int, words: Mapping[int, str]) -> str | None:
        """Code of the language that a token belongs to; None where it is none's.

        Args:
            token: its id.
            words: ids that begin words of a concept to the language (`words_of`).
        """
        if token in words:
            return words[token]
        return self._languages.get(token) or self._script(token)

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


def learn_owners(session: Session) -> Event:
    """Begin, once, to work out which language each token of the vocabulary belongs to, in a thread of its own.

    Of 262,144 tokens and 20 languages that takes some 16 seconds; no model is run.

    Returns:
        Set once it is known, or cannot be.
    """
    owners = token_owners(session)

    def learn(done: Event) -> None:
        try:
            table = token_languages(
                session.model.tokenizer, languages=session.speaking, progress=False
            ).certain
            owners.learn(dict(zip(table["token"].tolist(), table["language"].tolist(), strict=True)))
        except InputError as error:  # one language alone, or one without embedded text
            logger.debug("no table of tokens and languages: %s", error)
        finally:
            done.set()

    def begin() -> Event:
        done = Event()
        Thread(target=learn, args=[done], name="latentlang-token-languages", daemon=True).start()
        return done

    event: Event = session.once("learning", begin)
    return event


def token_owners(session: Session) -> TokenOwners:
    """Whose the tokens of a session's model are."""
    owners: TokenOwners = session.once(
        "owners", lambda: TokenOwners(token_bytes(session.model.tokenizer), session.speaking)
    )
    return owners


def prepare(session: Session) -> None:
    """Find out what the first request would have to wait for: the parts of the model, and what its tokens write."""
    _ = session.model.vocab_size, session.labels
    token_owners(session)


def words_of(session: Session, label: str | None, codes: Sequence[str]) -> Mapping[int, str]:
    """Ids of the tokens that can begin the word for a label in one language alone, to its code.

    Alone among some languages, those that are looked for; else among all that the task has.

    Args:
        session: the session.
        label: class or concept; None for no words.
        codes: the languages that are looked for.
    """
    if label is None:
        return {}
    found: dict[int, str] = session.once(
        ("words", label, tuple(codes)),
        lambda: {**_beginnings(session, label, session.speaking), **_beginnings(session, label, codes)},
    )
    return found


def _beginnings(session: Session, label: str, codes: Sequence[str]) -> dict[int, str]:
    """Ids of the tokens that can begin the word for a label in one of some languages alone, to its code."""
    strings = {
        code: {label: _in_either_case(answers[label])}
        for code in codes
        if label in (answers := session.task.answers(code))
    }
    sets = answer_sets(token_bytes(session.model.tokenizer), strings, cue="", scope="same")
    return {token: code for code, name in sets for token in sets[code, name].exclusive.tolist()}


def _in_either_case(words: Sequence[str]) -> tuple[str, ...]:
    """Words with and without a capital: a model that would write *Fleur* means *fleur*."""
    forms = ((word, word[:1].upper() + word[1:], word[:1].lower() + word[1:]) for word in words)
    return tuple(dict.fromkeys(form for of_word in forms for form in of_word))


def _is_text(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
