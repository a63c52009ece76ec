"""The language filter and the checks on real text of other hands: Debian's books, and the files of Chen et al.

python -m experiments.instructions.other_hands --books /usr/share --gooddata FOLDER

Debian's packages `debian-handbook` and `gnome-user-docs` are translated as far as somebody came: what is not stands
there in English. An edition has the paragraphs of the English one in their order, so that what was left is known, and
what the identifier takes for English can be held against it. Counted are paragraphs that are of some length in English,
wherever a page has as many as the English page. The files of Chen et al. (2024) have a native arm and translations of
English items; measured is what each check finds. Two CSV files in figures/instructions/.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import pandas as pd

from latentlang.instructions import read_dialogues
from latentlang.instructions.document_filters import (
    default_identifier,
    in_their_language,
)
from latentlang.instructions.documents import SourceDocument, read_documents
from latentlang.instructions.filtering import check_dialogues
from latentlang.instructions.grounded import LEAST_SHARE
from latentlang.instructions.segmenting import paragraphs
from latentlang.language_id import LanguageIdentifier, py3langid_backend
from latentlang.language_names import language
from latentlang.storage.files import write_text

OUT = Path(__file__).parents[2] / "figures" / "instructions"
# Book to its folder, the pages in an edition's, the English edition, and the editions that are measured.
BOOKS = {
    "debian-handbook": (
        "doc/debian-handbook/html", "*.html", "en-US",
        "de-DE es-ES fr-FR id-ID ja-JP ko-KR ru-RU vi-VN zh-CN",
    ),
    "gnome-user-docs": (
        "help", "gnome-help/*.page", "C", "ca cs de es fr hr hu id ko pl pt_BR ru sr sv uk zh_CN",
    ),
}  # fmt: skip
ARMS = {"native": "aya_native", "google": "aya_google_translated", "cohere": "aya_cohere_translated"}
CODES = ("es", "ru", "zh")
DIGITS = 4
# Characters of a paragraph in English: shorter ones are headings and names, of which no identifier can be sure.
LONG = 60


def pages(folder: Path, pattern: str, code: str) -> dict[str, SourceDocument]:
    """Name of a page to the page, of one edition."""
    return {
        page.name: document
        for page in sorted(folder.glob(pattern))
        for document in read_documents(page, language=code)
    }


def blocks(document: SourceDocument) -> list[str]:
    """The paragraphs of a page."""
    return [text for paragraph in paragraphs(document.text) if (text := paragraph.strip())]


def left_in_english(
    own: SourceDocument, english: SourceDocument, identifier: LanguageIdentifier
) -> Counter[str]:
    """Of a page's paragraphs that are long in English: how many are English ones, and are taken for such."""
    counts: Counter[str] = Counter()
    pairs = list(zip(blocks(own), blocks(english), strict=True))
    for text, before in pairs:
        if len(before) >= LONG:
            same, taken = text == before, identifier.identify(text).language == "en"
            counts.update(
                paragraphs=1, same=same, english=taken, missed=same and not taken, not_same=taken and not same
            )
    return counts


def books(root: Path) -> pd.DataFrame:
    """A row per book and edition."""
    rows = []
    for book, (place, pattern, original, editions) in BOOKS.items():
        english = pages(root / place / original, pattern, "en")
        for edition in editions.split():
            code = language(edition[:2]).code
            own = pages(root / place / edition, pattern, code)
            identifier = LanguageIdentifier([code, "en"], backend=py3langid_backend())
            aligned = [
                name
                for name in own
                if name in english and len(blocks(own[name])) == len(blocks(english[name]))
            ]
            total: Counter[str] = Counter()
            for name in aligned:
                total += left_in_english(own[name], english[name], identifier)
            kept, _others = in_their_language(
                list(own.values()), default_identifier(own.values()), least_share=LEAST_SHARE
            )
            count = total["paragraphs"]
            shares = {name: total[name] / count for name in ("same", "english", "missed", "not_same")}
            rows.append(
                {"book": book, "language": code, "pages": len(own), "pages_kept": len(kept), "aligned": len(aligned),
                 "paragraphs": count, **shares}
            )  # fmt: skip
            print(rows[-1], flush=True)
    return pd.DataFrame(rows).round(DIGITS)


def gooddata(folder: Path) -> pd.DataFrame:
    """A row per arm, language and check that found something, translations held against their English items."""
    english = read_dialogues(_file(folder, "native", "en"), language="en")
    rows = []
    for arm in ARMS:
        for code in CODES:
            dialogues = read_dialogues(_file(folder, arm, code), language=code)
            sources = None if arm == "native" else english
            report = check_dialogues(
                dialogues, sources=sources, pair_by="group" if sources is None else "number"
            )
            counts = report.counts()
            counts = counts[
                (counts["failed"] > 0) | (counts["undecided"] > 0) | (counts["code"] == "language")
            ]
            rows.append(counts.rename(columns={"code": "check"}).assign(arm=arm, unpaired=report.unpaired))
            print(arm, code, len(dialogues), flush=True)
    columns = ["arm", "language", "check", "dialogues", "failed", "undecided", "share", "unpaired"]
    return pd.concat(rows)[columns].round(DIGITS)


def _file(folder: Path, arm: str, code: str) -> Path:
    (found,) = [path for path in sorted((folder / ARMS[arm]).iterdir()) if f".{code}." in path.name]
    return found


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--books", type=Path, help="folder that has doc/debian-handbook and help/: /usr/share"
    )
    parser.add_argument("--gooddata", type=Path, help="folder of the files of Chen et al.")
    options = parser.parse_args()
    for name, table in (
        ("left-in-english.csv", books(options.books) if options.books else None),
        ("checks.csv", gooddata(options.gooddata) if options.gooddata else None),
    ):
        if table is not None:
            write_text(OUT / name, table.to_csv(index=False))


if __name__ == "__main__":
    main()
