"""Whose the tokens of a vocabulary are, kept in the user's cache: working it out takes longer than loading a model."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from latentlang.answers import TokenBytes, TokenLanguages
from latentlang.answers.language_table import CERTAINTY, PRIOR, vocabulary_hash
from latentlang.errors import InputError
from latentlang.paths import user_cache
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import write_text

logger = logging.getLogger(__name__)

# One more whenever what is kept, or how a table is made of the same text, changes.
_FORMAT = 1
# What the embedded text is made of: other text, another table.
_TEXTS = ("reviews.json", "words.json")


@dataclass(frozen=True)
class KnownTokens:
    """What a table of a vocabulary's languages says of its tokens.

    Attributes:
        certain: token to the code of the language it belongs to.
        several: tokens that stand in text of more than one language, and belong to none.
    """

    certain: Mapping[int, str]
    several: frozenset[int]

    @classmethod
    def of(cls, table: TokenLanguages) -> KnownTokens:
        """What such a table says."""
        rows = table.certain
        certain = dict(zip(rows["token"].tolist(), rows["language"].tolist(), strict=True))
        shared = table.table.loc[table.table["elsewhere"] > 0, "token"].tolist()
        return cls(certain, frozenset(shared) - certain.keys())


class _KeptTokens(Record):
    format: int
    certain: dict[str, list[int]]
    several: list[int]


def kept_tokens(table: TokenBytes, codes: Sequence[str]) -> KnownTokens | None:
    """What was kept of a vocabulary and some languages; None where nothing was, or it is damaged."""
    try:
        path = _path(table, codes)
        if not path.is_file():
            return None
        kept = checked(_KeptTokens, read_json(path, kind=dict), path)
    except (OSError, InputError) as error:
        logger.debug("the kept languages of tokens cannot be read: %s", error)
        return None
    numbers = [*kept.several, *(token for ids in kept.certain.values() for token in ids)]
    if (
        kept.format != _FORMAT
        or not kept.certain.keys() <= {*codes}
        or not all(0 <= n < len(table) for n in numbers)
    ):
        return None
    certain = {token: code for code, ids in kept.certain.items() for token in ids}
    return KnownTokens(certain, frozenset(kept.several))


def keep_tokens(table: TokenBytes, codes: Sequence[str], known: KnownTokens) -> None:
    """Keep it for the next session; where that cannot be done, the next one works it out again."""
    by_code: dict[str, list[int]] = {code: [] for code in codes}
    for token, code in known.certain.items():
        by_code[code].append(token)
    record = {"format": _FORMAT, "certain": by_code, "several": sorted(known.several)}
    try:
        path = _path(table, codes)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record))
    except (OSError, InputError) as error:
        logger.debug("the languages of tokens cannot be kept: %s", error)


def _path(table: TokenBytes, codes: Sequence[str]) -> Path:
    """The file of a vocabulary, some languages in any order, and the text that there is of them."""
    folder = files("latentlang.tasks") / "data"
    told = {
        "vocabulary": vocabulary_hash(table), "normalization": table.normalization, "languages": sorted(codes),
        "prior": PRIOR, "certainty": CERTAINTY,
        "texts": [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in _TEXTS],
    }  # fmt: skip
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return user_cache() / "token-languages" / f"{name}.json"
