"""Paragraphs that a translation left in English, told by the English edition and by the identifier."""

from __future__ import annotations

from pathlib import Path

from experiments.instructions.other_hands import blocks, left_in_english, pages
from latentlang.instructions.documents import SourceDocument
from latentlang.language_id import LanguageIdentifier, py3langid_backend

ENGLISH = [
    "A heading",
    "The town lies by the sea and has lived on fishing and on trade for many hundreds of years.",
    "Whoever comes here in summer should bring a tent, because all of the rooms are taken by then.",
    "See the chapter on walking for what there is to be seen in the hills behind the old harbour.",
]
GERMAN = [
    "A heading",
    ENGLISH[1],
    "Wer im Sommer kommt, sollte ein Zelt mitbringen, denn alle Zimmer sind dann schon vergeben.",
    ENGLISH[3].replace("walking", "Wandern"),
]


def page(lines: list[str], code: str) -> SourceDocument:
    return SourceDocument("page", code, "\n\n".join(lines))


def test_what_was_left_is_counted_by_both() -> None:
    identifier = LanguageIdentifier(["de", "en"], backend=py3langid_backend())
    counts = left_in_english(page(GERMAN, "de"), page(ENGLISH, "en"), identifier)
    # the heading is too short, and one paragraph is English but for a word
    assert counts == {"paragraphs": 3, "same": 1, "english": 2, "missed": 0, "not_same": 1}


def test_pages_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<html><body><h1>Eins</h1><p>Zwei.</p></body></html>")
    read = pages(tmp_path, "*.html", "de")
    assert blocks(read["a.html"]) == ["Eins", "Zwei."] and read["a.html"].language == "de"
