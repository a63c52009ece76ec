"""Small parallel text, written by the tests in each layout that is read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Five paragraphs in four languages, of different length.
PARAGRAPHS = {
    "en": ["All are free.", "No one is held.", "Each has a name, a home and a say.", "Work is paid.", "Rest is due."],
    "de": ["Alle sind frei.", "Niemand wird gehalten.", "Jeder hat Namen, Haus und Wort.", "Arbeit wird bezahlt.",
           "Ruhe steht zu."],
    "ja": ["すべての人は自由。", "誰も囚われない。", "人には名前と家がある。", "仕事には報い。", "休む権利。"],
    "hi": ["सब स्वतंत्र हैं।", "कोई बंदी नहीं।", "हर एक का नाम और घर है।", "काम का दाम।", "आराम का हक।"],
}  # fmt: skip


def lines_folder(folder: Path, texts: Mapping[str, Sequence[str]] = PARAGRAPHS) -> Path:
    """A file a language, a paragraph a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, paragraphs in texts.items():
        (folder / f"{name}.txt").write_text("\n".join(paragraphs) + "\n", encoding="utf-8")
    return folder


def records_folder(folder: Path, texts: Mapping[str, Mapping[object, str]]) -> Path:
    """A file a language, an id and a text a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, paragraphs in texts.items():
        rows = [json.dumps({"id": key, "text": text}, ensure_ascii=False) for key, text in paragraphs.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def declaration(
    folder: Path, translations: Mapping[str, tuple[str, Sequence[Sequence[str]]]], *, packed: bool = False
) -> Path:
    """A file of the declaration: name of each translation to its BCP 47 tag and its articles' paragraphs."""
    rows = [
        json.dumps(
            {"code": code, "bcp47": tag, "iso6393": code[:3], "name": f"Name of {code}", "direction": "ltr",
             "articles": {str(n): list(parts) for n, parts in enumerate(articles, 1)}},
            ensure_ascii=False,
        )
        for code, (tag, articles) in translations.items()
    ]  # fmt: skip
    content = ("\n".join(rows) + "\n").encode()
    name = "udhr.jsonl" + (".gz" if packed else "")
    (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return folder
