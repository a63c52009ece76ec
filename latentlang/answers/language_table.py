"""Which languages a vocabulary's tokens belong to, estimated from parallel text by the tokens' bytes.

How often each token stands in the text of each language is counted, as the tokenizer cuts it; and how often its bytes
do besides, within other tokens: what a short text never needs as a token may still be known by what it writes. The
shares of the languages are those of a Dirichlet prior, for which the bytes are the evidence, and the counts of the
token; a token belongs to a language whose share is at least the certainty asked for, and to none otherwise. Languages
are told apart from each other alone: what a language that was not asked for writes, and shares with one that was,
counts for that one.
"""

from __future__ import annotations

import hashlib
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from latentlang.answers.tokenbytes import TokenBytes, normalize
from latentlang.answers.vocabulary import token_bytes, tokenizer_name
from latentlang.arguments import checked_call
from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance
from latentlang.results import Count, Result, ResultSettings, Share, repeated
from latentlang.seeding import bucket
from latentlang.storage.tables import Columns
from latentlang.tasks.shared_texts import LanguageTexts, Texts, language_texts
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

Floats = NDArray[np.float64]

#: Occurrences that the prior is worth, and the least share of a language that a token belongs to.
PRIOR, CERTAINTY = 0.5, 0.9
_COLUMNS = ("token", "text", "language", "certainty", "count", "elsewhere", "inside", "inside_elsewhere")


class TokenLanguagesSettings(ResultSettings):
    """Settings of `token_languages`."""

    #: Where the text is from.
    texts: str = ""
    #: Paragraphs of each language, and those that one language lacks.
    paragraphs: Count = 0
    left_out: Count = 0
    #: Language to its bytes of text.
    text_bytes: dict[str, Count] = Field(default_factory=dict)
    #: Occurrences that the prior is worth, and the least share of a language that a token belongs to.
    prior: float = PRIOR
    certainty: Share = CERTAINTY
    #: Tokens that write something, and a hash of what all tokens write.
    tokens: Count = 0
    vocabulary_sha256: str = ""
    #: Language to the share of the tokens of held-out text that belong to it, and to another language.
    recognised: dict[str, Share] = Field(default_factory=dict)
    mistaken: dict[str, Share] = Field(default_factory=dict)


@dataclass(frozen=True)
class TokenLanguages(Result[TokenLanguagesSettings]):
    """Which language each token of a vocabulary belongs to, and how certain that is.

    Attributes:
        table: a row for each token that says anything of a language: its id (``token``) and ``text``, made visible;
            the likeliest ``language`` with its share ``certainty``, in (0, 1); how often the token stands in the text
            of that language (``count``) and of the others (``elsewhere``), and how often its bytes do within other
            tokens (``inside``, ``inside_elsewhere``). Tokens of a lower certainty than ``settings.certainty`` belong to
            no language.
    """

    kind: ClassVar[str] = "token-languages"
    columns: ClassVar[Columns] = {
        "token": "whole", "text": "text", "language": "text", "certainty": "number", "count": "whole",
        "elsewhere": "whole", "inside": "whole", "inside_elsewhere": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = TokenLanguagesSettings

    def fault(self) -> str | None:
        """A token that is there twice, or one of a language that the table is not of."""
        others = set(self.table["language"]) - set(self.languages)
        if others:
            return f"it has tokens of {sorted(others)[0]!r}, and is of {', '.join(self.languages)}"
        return repeated(self.table, ["token"])

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages, in order."""
        return self.provenance.languages

    @cached_property
    def certain(self) -> pd.DataFrame:
        """The rows of the tokens that belong to a language."""
        return self.table[self.table["certainty"] >= self.settings.certainty]

    @cached_property
    def _language_of(self) -> dict[int, str]:
        return dict(zip(self.certain["token"].tolist(), self.certain["language"].tolist(), strict=True))

    def language_of(self, token: int) -> str | None:
        """Code of the language that a token belongs to; None where it belongs to none."""
        return self._language_of.get(int(token))

    def ids(self, language: str | Language) -> NDArray[np.int64]:
        """Sorted ids of a language's tokens."""
        code = self._known(language)
        ids: NDArray[np.int64] = np.sort(
            self.certain.loc[self.certain["language"] == code, "token"].to_numpy(np.int64)
        )
        return ids

    def membership(self, vocab_size: int) -> NDArray[np.float32]:
        """``[vocab_size, language]``, one where a token belongs to a language and zero elsewhere.

        As the weights of a readout it gives the language mass of each layer.

        Args:
            vocab_size: of the model; some have more logits than the tokenizer has tokens, which belong to none.
        """
        matrix = np.zeros((vocab_size, len(self.languages)), np.float32)
        for column, code in enumerate(self.languages):
            ids = self.ids(code)
            matrix[ids[ids < vocab_size], column] = 1.0
        return matrix

    def check_vocabulary(self, tokenizer: Any) -> None:
        """Refuse a tokenizer whose tokens write something else than those the table was made for.

        Raises:
            InputError: they do.
        """
        if vocabulary_hash(token_bytes(tokenizer)) != self.settings.vocabulary_sha256:
            raise InputError(
                f"this table of tokens and languages is of the vocabulary of {self.provenance.model!r}, and the model "
                "has another; make one with token_languages(model, ...)"
            )

    def summary(self) -> pd.DataFrame:
        """A row a language.

        Columns ``language, tokens, recognised, mistaken, text_bytes``: the tokens that belong to it, and of the tokens
        of held-out text in it (a table of one half of the paragraphs, put to the other half) the share that belong to
        it and to another language.
        """
        counts = self.certain["language"].value_counts()
        settings = self.settings
        return pd.DataFrame(
            {
                "language": code,
                "tokens": int(counts.get(code, 0)),
                "recognised": settings.recognised.get(code, np.nan),
                "mistaken": settings.mistaken.get(code, np.nan),
                "text_bytes": settings.text_bytes.get(code, 0),
            }
            for code in self.languages
        )

    def describe(self) -> str:
        """How many tokens belong to which language, and how many of held-out text are recognised."""
        settings, rows = self.settings, self.summary().to_dict("records")
        of_each = listed([f"{find_language(row['language']).name} {row['tokens']:,}" for row in rows])
        certain = len(self.certain)
        lines = [
            f"Of {settings.tokens:,} tokens that write something, {certain:,} belong to one of "
            f"{counted(len(rows), 'language')} with a certainty of at least {percent(settings.certainty)}: {of_each}. "
            f"The other {settings.tokens - certain:,} count for none."
        ]
        checked = [row for row in rows if row["recognised"] == row["recognised"]]
        if checked:
            recognised = listed([
                f"{percent(round(row['recognised'], 2))} in {find_language(row['language']).name}" for row in checked
            ])  # fmt: skip
            worst = max(checked, key=lambda row: row["mistaken"])
            lines.append(
                f"Of the tokens of paragraphs that were held out, {recognised} are recognised; at most "
                f"{percent(round(worst['mistaken'], 3))} ({find_language(worst['language']).name}) pass for another "
                "language."
            )
        return "\n".join(lines)

    def figure(self, **look: Unpack[Look]) -> go.Figure:
        """Of held-out text in each language how many tokens are recognised, and how many pass for another language.

        Args:
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: no paragraphs were held out: there was one alone.
        """
        from latentlang.figures.language_table import language_table_figure

        return language_table_figure(self, **look)

    def _known(self, language: str | Language) -> str:
        code = find_language(language).code
        if code not in self.languages:
            raise InputError(
                f"this table of tokens has no {code!r} ({find_language(code).name}), only {', '.join(self.languages)}"
            )
        return code


@checked_call
def token_languages(
    tokenizer: Any,
    texts: Texts = None,
    *,
    languages: str | Language | Iterable[str | Language],
    prior: float = PRIOR,
    certainty: float = CERTAINTY,
    items: int | None = None,
    seed: int = 0,
    name: str | None = None,
    progress: ProgressOption = True,
) -> TokenLanguages:
    """Estimate from parallel text which tokens belong to which language.

    Of a token that stands ``n`` times in the text of a language and ``N`` times in all, the language's share is
    ``(n + prior * m) / (N + prior)``. ``m``, what is thought before the token was seen, is the same share of the
    occurrences of its bytes within other tokens; what is thought before these were seen is the same again of the
    character beyond ASCII in it that tells most, and of other tokens 1 over the number of languages. A token whose
    bytes of ASCII stand once in one of ten languages, within another token, has a share of 0.7 there, and five times,
    of 0.92. Tokens without a letter, and those of a single ASCII letter, belong to none. Of a character that is cut
    into several tokens only the first one may, where a letter begins so.

    Languages of one script need much text of many subjects: held-out paragraphs of the same text tell how much of
    theirs is recognised (`TokenLanguages.summary`), and other text has fewer of their tokens. The embedded text is
    enough for languages of different scripts, and little for others.

    Args:
        tokenizer: a Hugging Face tokenizer, or a loaded model.
        texts: a folder of parallel text or ``"udhr"``; the continuation task on one; or language code to a list of
            texts, the n-th of which says the same in each. None for the embedded reviews and words, which are short
            and of few subjects.
        languages: two or more.
        prior: occurrences that the prior is worth.
        certainty: the least share of a language that a token belongs to, above one half.
        items: paragraphs of each language; None for all that all languages have.
        seed: draws paragraphs, and the held-out half.
        name: of the tokenizer, for the provenance; its own by default.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (texts done, texts in all).

    Raises:
        InputError: no tokenizer, fewer than two languages, no text in one of them, or a number that makes no sense.
        ModelError: the tokenizer does not keep the text's bytes.
    """
    if isinstance(tokenizer, str):
        raise InputError(
            f"a tokenizer is needed, not the name {tokenizer!r}; latentlang.models.load_tokenizer({tokenizer!r}) gives "
            "it"
        )
    check_shares(prior, certainty)
    corpus = language_texts(texts, languages=languages, items=items, seed=seed)
    if len(corpus.texts) < 2:
        raise InputError(
            f"tokens are told apart between languages, and {next(iter(corpus.texts))!r} is one alone; name another"
        )
    own_name = name or getattr(tokenizer, "name", None)
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    vocabulary = token_bytes(tokenizer)
    # the same paragraphs in every language
    halves: list[list[str]] = [[], []]
    for item in corpus.items:
        halves[bucket("held-out", seed, item, count=2)].append(item)
    counter = _Occurrences(vocabulary, tokenizer)
    total = len(corpus.items) * len(corpus.texts)
    with reporting(progress, "counting", things="texts", total=total) as report:
        parts = [counter.count(corpus.of(half), before * len(corpus.texts), total, report)
                 for half, before in zip(halves, (0, len(halves[0])), strict=True)]  # fmt: skip
    whole = parts[0].plus(parts[1])
    shares = _shares(whole, counter, prior)
    recognised, mistaken = _held_out(corpus, halves[1], parts[0], counter, prior, certainty)
    settings = TokenLanguagesSettings(
        texts=corpus.origin, paragraphs=len(corpus.items), left_out=corpus.left_out,
        text_bytes={
            code: sum(len(text.encode()) for text in by_item.values()) for code, by_item in corpus.texts.items()
        },
        prior=float(prior), certainty=float(certainty), tokens=vocabulary.writing,
        vocabulary_sha256=vocabulary_hash(vocabulary), recognised=recognised, mistaken=mistaken,
    )  # fmt: skip
    provenance = Provenance(
        model=own_name or tokenizer_name(tokenizer),
        task="token-languages", languages=tuple(corpus.texts), policy="", seed=seed, settings=settings.stored(),
    )  # fmt: skip
    table = _table(whole, shares, tuple(corpus.texts), vocabulary, counter)
    return TokenLanguages(table=table, provenance=provenance)


def check_shares(prior: float, certainty: float) -> None:
    """Refuse a prior or a certainty that makes no sense.

    Raises:
        InputError: naming the value.
    """
    if not 0 < prior <= 1_000:
        raise InputError(f"prior must be above 0 and at most 1000 occurrences, not {prior!r}")
    if not 0.5 < certainty < 1:
        raise InputError(f"certainty must be above 0.5 and below 1, not {certainty!r}")


def vocabulary_hash(table: TokenBytes) -> str:
    """A hash of what every token writes."""
    digest = hashlib.sha256()
    for text in table.bytes:
        digest.update(b"\0-" if text is None else len(text).to_bytes(4, "big") + text)
    return digest.hexdigest()


def _tells(text: bytes) -> bool:
    """Whether a token can tell a language: signs, digits and a single ASCII letter stand in text of all.

    Of a character that is cut into several tokens the first one tells, where a letter may begin so: the others follow
    the beginnings of signs and of letters of all scripts.
    """
    letters = [char for char in text.decode(errors="ignore") if unicodedata.category(char)[0] in "LM"]
    return len(letters) > 1 or any(not char.isascii() for char in letters) or _begins_letter(cut_off(text))


def cut_off(text: bytes) -> bytes:
    """The beginning of a character that a text ends with, and that is not complete; empty where there is none."""
    for length in range(1, min(3, len(text)) + 1):
        lead = text[-length]
        if lead >= 0xC0:
            return text[-length:] if length < _encoded_length(lead) else b""
    return b""


def _encoded_length(lead: int) -> int:
    """Bytes of a character in UTF-8 by its first."""
    return 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2


@lru_cache(maxsize=4096)
def _begins_letter(beginning: bytes) -> bool:
    """Whether some letter's bytes begin so."""
    if not beginning:
        return False
    length = _encoded_length(beginning[0])
    number = beginning[0] & (0xFF >> (length + 1))
    for byte in beginning[1:]:
        number = number << 6 | byte & 0x3F
    missing = 6 * (length - len(beginning))
    first, last = number << missing, (number + 1 << missing) - 1
    # shorter characters are not written in so many bytes
    least = {2: 0x80, 3: 0x800, 4: 0x10000}[length]
    numbers = range(max(first, least), min(last, sys.maxunicode) + 1)
    return any(unicodedata.category(chr(code))[0] in "LM" for code in numbers)


@dataclass(frozen=True)
class _Counts:
    """How often what is written stands in texts.

    Attributes:
        tokens: ``[language, place]``, as the tokenizer cuts the texts.
        inside: ``[language, place]``, as bytes, but for those that are counted as tokens.
        characters: every character beyond ASCII to ``[language]``.
    """

    tokens: Floats
    inside: Floats
    characters: Mapping[str, Floats]

    def plus(self, other: _Counts) -> _Counts:
        """Those of both."""
        characters = dict(self.characters)
        for character, counts in other.characters.items():
            characters[character] = characters[character] + counts if character in characters else counts
        return _Counts(self.tokens + other.tokens, self.inside + other.inside, characters)


class _Occurrences:
    """Counts how often the bytes of every token stand in texts; tokens with the same bytes are counted once.

    Attributes:
        places: bytes to their place.
        ids: ``[token]`` ids of the tokens that can tell a language, and `place_of` the place of each.
    """

    def __init__(self, table: TokenBytes, tokenizer: Any) -> None:
        self.normalization, self.tokenizer = table.normalization, tokenizer
        self.places: dict[bytes, int] = {}
        ids, places = [], []
        for token, text in enumerate(table.bytes):
            if text and _tells(text):
                ids.append(token)
                places.append(self.places.setdefault(text, len(self.places)))
        self.ids, self.place_of = np.array(ids, np.int64), np.array(places, np.int64)
        # by id; -1 for tokens that tell nothing
        self._place_by_id = np.full(len(table), -1)
        self._place_by_id[self.ids] = self.place_of
        # a token is looked for no longer than some token still begins like the text
        self._beginnings = {text[:length] for text in self.places for length in range(1, len(text))}

    def places_of(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Places of the tokens of texts, one after the other; -1 for those that tell nothing."""
        if not texts:
            return np.empty(0, np.int64)
        encoded = self.tokenizer(
            list(texts), add_special_tokens=False, padding=False, truncation=False, verbose=False
        )["input_ids"]
        ids = np.array([token for text in encoded for token in text], np.int64)
        known = ids < len(self._place_by_id)
        places: NDArray[np.int64] = np.where(known, self._place_by_id[np.where(known, ids, 0)], -1)
        return places

    def count(self, texts: Mapping[str, Sequence[str]], before: int, total: int, report: Report) -> _Counts:
        """Occurrences in texts by language.

        Args:
            texts: language code to texts.
            before: texts that were counted before.
            total: texts in all.
            report: called with texts done and texts in all.
        """
        tokens, inside = (np.zeros((len(texts), len(self.places))) for _ in range(2))
        characters: dict[str, Floats] = {}
        done = before
        for row, of_language in enumerate(texts.values()):
            places = self.places_of(of_language)
            np.add.at(tokens[row], places[places >= 0], 1.0)
            # what is there twice is gone through once
            for text, times in Counter(
                # a space before the first word too, as before every other
                normalize(" " + text, self.normalization)
                for text in of_language
            ).items():
                np.add.at(inside[row], self._places_in(text.encode()), float(times))
                for character in text:
                    if not character.isascii():
                        characters.setdefault(character, np.zeros(len(texts)))[row] += times
            done += len(of_language)
            report(done, total)
        return _Counts(tokens, np.maximum(inside - tokens, 0.0), characters)

    def _places_in(self, text: bytes) -> list[int]:
        found = []
        places, beginnings = self.places, self._beginnings
        for start in range(len(text)):
            end = start + 1
            while True:
                piece = text[start:end]
                place = places.get(piece)
                if place is not None:
                    found.append(place)
                if piece not in beginnings or end >= len(text):
                    break
                end += 1
        return found


def _shares(counts: _Counts, counter: _Occurrences, prior: float) -> Floats:
    """Shares of the languages ``[language, place]``."""
    languages = len(counts.tokens)
    of_character = {
        character: (seen + prior / languages) / (seen.sum() + prior)
        for character, seen in counts.characters.items()
    }
    means = np.full(counts.tokens.shape, 1 / languages)
    for text, place in counter.places.items():
        if text.isascii():
            continue
        known = [
            of_character[character] for character in text.decode(errors="ignore") if character in of_character
        ]
        if known:
            means[:, place] = max(known, key=lambda shares: float(shares.max()))
    for seen in (counts.inside, counts.tokens):
        means = (seen + prior * means) / (seen.sum(0) + prior)
    return means


def _held_out(
    corpus: LanguageTexts,
    items: Sequence[str],
    counts: _Counts,
    counter: _Occurrences,
    prior: float,
    certainty: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """Of the tokens of held-out items the shares that a table of the other items gives right, and wrongly."""
    if not items or len(items) == len(corpus.items):
        return {}, {}
    shares = _shares(counts, counter, prior)
    owner = np.where(shares.max(0) >= certainty, shares.argmax(0), -1)
    recognised, mistaken = {}, {}
    for row, (code, texts) in enumerate(corpus.of(items).items()):
        places = counter.places_of(texts)
        owners = np.where(places >= 0, owner[places], -1)
        recognised[code] = float((owners == row).sum() / max(len(owners), 1))
        mistaken[code] = float(((owners != row) & (owners >= 0)).sum() / max(len(owners), 1))
    return recognised, mistaken


def _table(
    counts: _Counts, shares: Floats, codes: tuple[str, ...], vocabulary: TokenBytes, counter: _Occurrences
) -> pd.DataFrame:
    """A row for each token of which anything is known."""
    best = shares.argmax(0)
    certainty = shares.max(0)
    # one over the number of languages is what is thought of any token
    kept = (certainty > 1 / len(codes) + 1e-9)[counter.place_of]
    ids, places = counter.ids[kept], counter.place_of[kept]
    columns: dict[str, Any] = {
        "token": ids,
        "text": [vocabulary.render(token) for token in ids.tolist()],
        "language": np.array(codes, object)[best[places]],
        "certainty": certainty[places],
    }
    for name, seen in (("", counts.tokens), ("inside", counts.inside)):
        own = np.take_along_axis(seen, best[None], 0)[0]
        columns[name or "count"] = own[places].astype(np.int64)
        columns[f"{name}_elsewhere".lstrip("_")] = (seen.sum(0) - own)[places].astype(np.int64)
    return pd.DataFrame(columns)[list(_COLUMNS)]
