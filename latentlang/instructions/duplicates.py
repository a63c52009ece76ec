"""Dialogues that say the same as an earlier one: to the letter, or nearly, by MinHash and then by exact Jaccard."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.pairing import is_answer, texts_of
from latentlang.instructions.text_parts import has_no_spaces, normal, shingles

#: From this share of common shingles on two texts are near-duplicates.
NEAR = 0.8
#: Characters of a shingle: of scripts with spaces between words, and without.
SHINGLE, SHINGLE_NO_SPACES = 5, 3
#: Permutations of a MinHash (Broder 1997).
PERMUTATIONS = 128
# Candidates are looked for below the threshold, so that the estimate's error costs none that the exact value keeps.
_MARGIN = 0.15


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A dialogue that says the same as an earlier one.

    Attributes:
        index: its place among those that were given.
        of: the place of the earlier one, which stays.
        similarity: Jaccard similarity of their shingles; 1 of those that are the same to the letter.
    """

    index: int
    of: int
    similarity: float = 1.0


def question_of(dialogue: Dialogue) -> str:
    """All that is asked in a dialogue, normalised: what makes an instruction a duplicate."""
    return "\n".join(normal(text) for place, text in texts_of(dialogue).items() if not is_answer(place))


def exact_duplicates(dialogues: Sequence[Dialogue]) -> list[Duplicate]:
    """Those that ask the same as an earlier one of their language, but for case, width and spaces."""
    first: dict[tuple[str, str], int] = {}
    repeated = []
    for index, dialogue in enumerate(dialogues):
        earlier = first.setdefault((dialogue.language, question_of(dialogue)), index)
        if earlier != index:
            repeated.append(Duplicate(index, earlier))
    return repeated


def near_duplicates(
    dialogues: Sequence[Dialogue], *, threshold: float = NEAR, permutations: int = PERMUTATIONS, seed: int = 1
) -> list[Duplicate]:
    """Those that ask nearly the same as an earlier one of their language.

    Texts are cut into shingles of characters, which works for scripts without spaces too. MinHash finds candidates;
    each is held against the exact Jaccard similarity, so that none is called a duplicate by chance, and few are missed.

    Args:
        dialogues: in the order in which earlier ones stay.
        threshold: least Jaccard similarity.
        permutations: of a MinHash.
        seed: of the permutations.

    Raises:
        InputError: a threshold that makes no sense, or datasketch is missing.
    """
    if not 0 < threshold <= 1:
        raise InputError(
            f"the similarity of near-duplicates must be above 0 and at most 1, not {threshold:g}"
        )
    lsh_class, minhash_class = _datasketch()
    by_language: dict[str, Any] = {}
    kept_shingles: dict[int, frozenset[str]] = {}
    repeated = []
    for index, dialogue in enumerate(dialogues):
        parts = _shingles(question_of(dialogue))
        if not parts:
            continue
        if dialogue.language not in by_language:
            by_language[dialogue.language] = lsh_class(
                threshold=max(threshold - _MARGIN, 0.05), num_perm=permutations
            )
        index_of_language = by_language[dialogue.language]
        signature = minhash_class(num_perm=permutations, seed=seed, hashfunc=_hash)
        signature.update_batch([part.encode("utf-8", "surrogatepass") for part in sorted(parts)])
        likeness = {
            other: jaccard(parts, kept_shingles[other]) for other in index_of_language.query(signature)
        }
        best = max(sorted(likeness), key=lambda other: likeness[other], default=None)
        if best is not None and likeness[best] >= threshold:
            repeated.append(Duplicate(index, best, likeness[best]))
            continue
        index_of_language.insert(index, signature)
        kept_shingles[index] = parts
    return repeated


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of what is in either that is in both."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def without(dialogues: Sequence[Dialogue], repeated: Iterable[Duplicate]) -> list[Dialogue]:
    """The dialogues without those."""
    gone = {duplicate.index for duplicate in repeated}
    return [dialogue for index, dialogue in enumerate(dialogues) if index not in gone]


def _shingles(text: str) -> frozenset[str]:
    return shingles(text, SHINGLE_NO_SPACES if has_no_spaces(text) else SHINGLE)


def _hash(part: bytes) -> int:
    return zlib.crc32(part)


def _datasketch() -> tuple[Any, Any]:
    try:
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError(f"near-duplicates need datasketch; `{install_command('instruct')}`") from error
    return MinHashLSH, MinHash
