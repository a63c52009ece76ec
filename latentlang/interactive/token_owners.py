"""Whose a token is: the language by which a cell of the grid is coloured."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from latentlang.answers import TokenBytes, answer_sets, token_bytes, token_languages
from latentlang.errors import InputError
from latentlang.interactive.kept_owners import KnownTokens, keep_tokens, kept_tokens
from latentlang.interactive.request_run import CancelledError
from latentlang.interactive.session import Session
from latentlang.language_id import LanguageIdentifier
from latentlang.language_names import language
from latentlang.tasks.words import embedded_concepts

logger = logging.getLogger(__name__)
# Shorter words of one language are too often words of another that no list here has (English *gift*, German *Gift*).
_LEAST_WORD = 5
_LEARNING = "learning"


@dataclass(frozen=True)
class ConceptTokens:
    """Tokens of the words for a concept, each to the code of the one language, of all of the task's, that it can be of.

    Attributes:
        whole: tokens that are such a word.
        others: tokens that begin one, or go on behind it: pieces of many other words too.
    """

    whole: Mapping[int, str] = field(default_factory=dict)
    others: Mapping[int, str] = field(default_factory=dict)

    def __or__(self, more: ConceptTokens) -> ConceptTokens:
        """The tokens of both concepts."""
        return ConceptTokens({**self.whole, **more.whole}, {**self.others, **more.others})


#: Of a prompt that names no concept.
NO_CONCEPT = ConceptTokens()


class TokenOwners:
    """Says of tokens whose language they are; of those that nothing makes certain, nobody's.

    A part of a character is nobody's: characters of many scripts begin with the same byte. A token that is the word of
    a concept in one of the languages alone is that one's, unless the table of the vocabulary knows it as another's.
    Then this table decides, once it is made (`learn`): what it has seen in text of several languages is nobody's. Of
    the tokens that it does not know, whole words of one of the languages alone are that one's, and what begins the word
    of the concept in one of them alone. Then the script, where one of the languages alone is written in it.

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

    def of(self, token: int, concept: ConceptTokens) -> str | None:
        """Code of the language that a token belongs to; None where it is none's.

        Args:
            token: its id.
            concept: tokens of the words that are looked for (`words_of`).
        """
        if not self._letters(token):
            return None
        certain = self._known.certain.get(token)
        if token in concept.whole:
            own = concept.whole[token]
            return own if certain in (None, own) else None
        if certain is None and token not in self._known.several:
            certain = self._words.get(token) or concept.others.get(token)
        return certain or self._script(token)

    def _letters(self, token: int) -> str:
        """The whole characters that a token writes; none of a part of one, and of one that writes nothing."""
        text = self._table.bytes[token] if token < len(self._table) else None
        return (text or b"").decode("utf-8", "ignore").strip()

    def _script(self, token: int) -> str | None:
        if token not in self._by_script:
            found = self._scripts.identify(self._letters(token))
            self._by_script[token] = found.language if found.reason == "script" else None
        return self._by_script[token]

    def record(self, token: int, concept: ConceptTokens) -> dict[str, Any]:
        """A token as the page is told of it."""
        text = self._table.bytes[token] if token < len(self._table) else None
        part = text is not None and not _is_text(text)
        return {
            "id": token,
            "text": self._table.render(token),
            "language": self.of(token, concept),
            **({"bytes": True} if part else {}),
        }


@dataclass(frozen=True)
class _Learning:
    """A thread that makes the table of a vocabulary: told to stop, and at its end."""

    stop: Event = field(default_factory=Event)
    done: Event = field(default_factory=Event)

    def check(self, done: int, total: int) -> None:
        """Called with (texts done, texts in all).

        Raises:
            CancelledError: nobody waits for the table any more.
        """
        if self.stop.is_set():
            raise CancelledError


def learn_owners(session: Session) -> Event:
    """Begin, once, to work out which language each token of the vocabulary belongs to, in a thread of its own.

    Of 262,144 tokens and 20 languages that takes some 16 seconds the first time, and is then kept in the user's cache;
    no model is run. A process that may end before should `stop_learning`.

    Returns:
        Set once it is known, or cannot be.
    """
    owners = token_owners(session)

    def learn(learning: _Learning) -> None:
        try:
            table = token_languages(
                session.model.tokenizer, languages=session.speaking, progress=learning.check
            )
            known = KnownTokens.of(table)
            owners.learn(known)
            keep_tokens(token_bytes(session.model.tokenizer), session.speaking, known)
        except InputError as error:  # one language alone, or one without embedded text
            logger.debug("no table of tokens and languages: %s", error)
        except CancelledError:
            logger.debug("the table of tokens and languages is not wanted any more")
        except Exception as error:  # cells are coloured by script and whole words then
            logger.debug("the table of tokens and languages could not be made", exc_info=error)
        finally:
            learning.done.set()

    def begin() -> _Learning:
        learning = _Learning()
        if owners.learnt:
            learning.done.set()
        else:
            Thread(target=learn, args=[learning], name="latentlang-token-languages", daemon=True).start()
        return learning

    learning: _Learning = session.once(_LEARNING, begin)
    return learning.done


def stop_learning(session: Session, *, wait: float) -> None:
    """Have the thread of `learn_owners` end before it is done, if there is one.

    Args:
        session: the session.
        wait: seconds that it is waited for at most: a process whose end finds a thread amid its work may be aborted.
    """
    learning: _Learning | None = session.found.pop(_LEARNING, None)
    if learning is not None:
        learning.stop.set()
        learning.done.wait(wait)


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


def words_of(session: Session, label: str | None) -> ConceptTokens:
    """Tokens of the word for a label in one language alone, of all that the task has, whichever are looked for.

    Args:
        session: the session.
        label: class or concept; None for no words.
    """
    if label is None:
        return NO_CONCEPT
    found: ConceptTokens = session.once(("words", label), lambda: _concept_tokens(session, label))
    return found


def _concept_tokens(session: Session, label: str) -> ConceptTokens:
    strings = {
        code: {label: _in_either_case(answers[label])}
        for code in session.speaking
        if label in (answers := session.task.answers(code))
    }
    table = token_bytes(session.model.tokenizer)
    sets = answer_sets(table, strings, cue="", scope="same")
    whole: dict[int, str] = {}
    others: dict[int, str] = {}
    for code, name in sets:
        written = {table.answer_bytes(form) for form in strings[code][name]}
        for token in sets[code, name].exclusive.tolist():
            is_word = (table.bytes[token] or b"").removeprefix(b" ") in written
            (whole if is_word else others)[token] = code
    return ConceptTokens(whole, others)


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
