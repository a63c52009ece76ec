"""Which documents are used: in the language that they are said to be in, paragraph by paragraph, and of some length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latentlang.errors import InputError
from latentlang.instructions.built import Dropped
from latentlang.instructions.documents import SourceDocument
from latentlang.instructions.providers.planning import TokenCounter
from latentlang.instructions.segmenting import paragraphs
from latentlang.language_id import LanguageIdentifier, py3langid_backend
from latentlang.language_names import GROUPS, language
from latentlang.text import listed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ParagraphLanguages:
    """In which languages the paragraphs of a document are.

    Attributes:
        document: the document.
        counts: paragraphs by the code of their language; None for those that are undecided.
    """

    document: SourceDocument
    counts: Counter[str | None]

    @property
    def decided(self) -> int:
        """Paragraphs whose language is known."""
        return self.counts.total() - self.counts[None]

    @property
    def share(self) -> float:
        """The share of the document's own language among the paragraphs whose language is known; 0 without any."""
        return self.counts[self.document.language] / self.decided if self.decided else 0.0

    @property
    def main(self) -> str | None:
        """The language of most paragraphs; None where none is known."""
        known = Counter({code: count for code, count in self.counts.items() if code is not None})
        return known.most_common(1)[0][0] if known else None


# Languages that the identifier takes for each other: a paragraph in one of them passes for another.
_CONFUSED = (
    frozenset({"bs", "hr", "sr"}), frozenset({"id", "ms"}), frozenset({"no", "da"}), frozenset({"xh", "zu"}),
    frozenset({"zh", "zh-Hant"}),
)  # fmt: skip
_TRADITIONAL = "zh-Hant"


def default_identifier(documents: Iterable[SourceDocument]) -> LanguageIdentifier:
    """Tells a hundred languages apart: among few, a text in any other would pass for the nearest of them.

    Raises:
        InputError: py3langid is not installed, or it does not know a language that others share their script with.
    """
    backend = py3langid_backend()
    # of the two scripts of Chinese one stands for both: the identifier has one label
    group = [code for code in GROUPS["flores101"] if code != _TRADITIONAL]
    given = [
        code for code in dict.fromkeys(document.language for document in documents) if code != _TRADITIONAL
    ]
    scripts = Counter(language(code).script for code in dict.fromkeys([*group, *given]))
    unknown = [code for code in given if code not in backend.languages and scripts[language(code).script] > 1]
    if unknown:
        raise InputError(
            f"the language filter ({backend.name}) does not know {listed(unknown)}; leave it out by "
            "check_language=False (--no-check-language), or give an identifier that does"
        )
    return LanguageIdentifier([*group, *given], backend=backend)


def paragraph_languages(document: SourceDocument, identifier: LanguageIdentifier) -> ParagraphLanguages:
    """The language of each paragraph of a document, counted; one that is easily taken for its own counts as its own.

    Args:
        document: the document.
        identifier: takes each paragraph as one of its languages.
    """
    near = next((group for group in _CONFUSED if document.language in group), frozenset())
    found = (
        identifier.identify(paragraph).language
        for paragraph in paragraphs(document.text)
        if paragraph.strip()
    )
    return ParagraphLanguages(
        document, Counter(document.language if code in near else code for code in found)
    )


def language_table(counted: Sequence[ParagraphLanguages]) -> pd.DataFrame:
    """A row a language: ``language``, ``documents``, ``paragraphs``, ``own``, ``english`` and ``undecided`` shares.

    Shares ``own`` and ``english`` are among paragraphs whose language is known, ``undecided`` is among all.

    Args:
        counted: the documents.
    """
    import pandas as pd

    rows = []
    for code in sorted({entry.document.language for entry in counted}):
        entries = [entry for entry in counted if entry.document.language == code]
        total: Counter[str | None] = sum((entry.counts for entry in entries), Counter())
        decided = total.total() - total[None]
        rows.append(
            {
                "language": code, "documents": len(entries), "paragraphs": total.total(),
                "own": total[code] / decided if decided else float("nan"),
                "english": total["en"] / decided if decided else float("nan"),
                "undecided": total[None] / total.total() if total else float("nan"),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def in_their_language(
    documents: Sequence[SourceDocument], identifier: LanguageIdentifier, *, least_share: float
) -> tuple[list[SourceDocument], list[Dropped]]:
    """The documents of which so many paragraphs are in their language, and the others with the language of most.

    Args:
        documents: to look at.
        identifier: tells languages apart.
        least_share: of paragraphs whose language is known.

    Raises:
        InputError: an impossible share.
    """
    if not 0 <= least_share <= 1:
        raise InputError(f"least_share must be between 0 and 1, not {least_share!r}")
    kept, dropped = [], []
    for document in documents:
        counts = paragraph_languages(document, identifier)
        if not counts.decided:
            dropped.append(Dropped(document.id, document.language, "undecided", document.text))
        elif counts.share < least_share:
            said = f"most paragraphs are {counts.main}, {counts.share:.0%} are {document.language}"
            dropped.append(Dropped(document.id, document.language, "other-language", said))
        else:
            kept.append(document)
    return kept, dropped


def of_length(
    documents: Sequence[SourceDocument], counter: TokenCounter, *, least: int, most: int
) -> tuple[list[SourceDocument], list[Dropped]]:
    """The documents of some length, and the others with their tokens.

    Args:
        documents: to look at.
        counter: counts tokens.
        least: tokens.
        most: tokens.
    """
    kept, dropped = [], []
    for document in documents:
        tokens = counter.count(document.text)
        if least <= tokens <= most:
            kept.append(document)
            continue
        reason = "short-document" if tokens < least else "long-document"
        dropped.append(Dropped(document.id, document.language, reason, f"{tokens:,} tokens, {counter.name}"))
    return kept, dropped
