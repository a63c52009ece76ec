"""Whose a token is: the language by which a cell of the grid is coloured."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from threading import Event, Thread
from typing import Any

from latentlang.answers import TokenBytes, answer_sets, token_bytes, token_languages
from latentlang.errors import InputError
from latentlang.interactive.kept_owners import KnownTokens, keep_tokens, kept_tokens
from latentlang.interactive.session import Session
from latentlang.language_id import LanguageIdentifier
from latentlang.language_names import language
from latentlang.tasks.words import embedded_concepts

logger = logging.getLogger(__name__)
# Shorter words of one language are too often words of another that no list here has (English *gift*, German *Gift*).
_LEAST_WORD = 5


class TokenOwners:
    """Says of tokens whose language they are; of those that nothing makes certain, nobody's.

    First the words of a concept: a token that can begin the word of one of the languages alone. Then the table of the
    vocabulary, once it is made (`learn`). Then whole words of one of the languages alone, unless the table has seen
    them in another's text. Then the script, where one of the languages alone is written in it.

    Args:
        table: the vocabulary's bytes.
        codes: the languages in question.
        words: tokens that are a whole word of one language alone, to its code (`whole_words`).
    """

    def __init__(
        self, table: TokenBytes, codes: Sequence[str], words: Mapping[int, str] | None = None
    ) -> None:
        self._table = table
        self._scripts = LanguageIdentifier(codes)
        self._by_script: dict[int, str | None] = {}
        self._words = words or {}
        self._known = KnownTokens({}, frozenset())
        #: Whether the table of the vocabulary is made.
        self.learnt = False

    def learn(self, known: KnownTokens) -> None:
        """Take in which language tokens belong to."""
        self._known, self.learnt = known, True

    def of(self, token: int, words: Mapping[int, str]) -> str | None:
        """Code of the language that a token belongs to; None where it is none's.

        Args:
            token: its id.
            words: ids that begin words of a concept to the language (`words_of`).
        """
        if token in words:
            return words[token]
        certain = self._known.certain.get(token)
        if certain is None and token not in self._known.several:
            certain = self._words.get(token)
        return certain or self._script(token)

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

    Of 262,144 tokens and 20 languages that takes some 16 seconds the first time, and is then kept in the user's cache;
    no model is run.

    Returns:
        Set once it is known, or cannot be.
    """
    owners = token_owners(session)

    def learn(done: Event) -> None:
        try:
            table = token_languages(session.model.tokenizer, languages=session.speaking, progress=False)
            known = KnownTokens.of(table)
            owners.learn(known)
            keep_tokens(token_bytes(session.model.tokenizer), session.speaking, known)
        except InputError as error:  # one language alone, or one without embedded text
            logger.debug("no table of tokens and languages: %s", error)
        except Exception as error:  # cells are coloured by script and whole words then
            logger.debug("the table of tokens and languages could not be made", exc_info=error)
        finally:
            done.set()

    def begin() -> Event:
        done = Event()
        if owners.learnt:
            done.set()
        else:
            Thread(target=learn, args=[done], name="latentlang-token-languages", daemon=True).start()
        return done

    event: Event = session.once("learning", begin)
    return event


def token_owners(session: Session) -> TokenOwners:
    """Whose the tokens of a session's model are; with what an earlier session has kept of its vocabulary."""

    def make() -> TokenOwners:
        table = token_bytes(session.model.tokenizer)
        owners = TokenOwners(table, session.speaking, whole_words(session))
        kept = kept_tokens(table, session.speaking)
        if kept is not None:
            owners.learn(kept)
        return owners

    owners: TokenOwners = session.once("owners", make)
    return owners


def whole_words(session: Session) -> dict[int, str]:
    """Tokens that are a whole word of one of the session's languages alone, to its code.

    Words are those of the session's task, the embedded ones, and what a language calls itself; of at least five
    letters, with or without a space before and a capital.
    """
    table = token_bytes(session.model.tokenizer)
    speakers: dict[bytes, set[str]] = {}
    for code, word in _words(session):
        if sum(char.isalpha() for char in word) < _LEAST_WORD:
            continue
        for form in _in_either_case([word]):
            speakers.setdefault(table.answer_bytes(form), set()).add(code)
    return {
        token: code
        for text, codes in speakers.items()
        if len(codes) == 1 and (code := next(iter(codes))) in session.speaking
        for written in (text, b" " + text)
        for token in table.exactly(written).tolist()
    }


def _words(session: Session) -> Iterator[tuple[str, str]]:
    """Codes and words of the task, of all embedded languages, and names of languages in themselves."""
    for code in session.speaking:
        for words in session.task.answers(code).values():
            yield from ((code, word) for word in words)
    for concept in embedded_concepts():
        yield from concept.words.items()
    for code in session.speaking:
        if own := language(code).own_name:
            yield code, own


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
