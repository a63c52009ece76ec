"""The Universal Declaration of Human Rights: the archive of the project "UDHR in Unicode", as a file of JSON lines.

The archive has an XML file for each translation, ``udhr_eng.xml``. It is read in memory, member by member and within
limits, and nothing of it is unpacked to disk.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from latentlang.errors import InputError
from latentlang.storage.documents import printed
from latentlang.storage.xml import MOST_XML, parse_xml

# As `latentlang.tasks.parallel_text` looks for it (a test holds the two names together).
DECLARATION_FILE = "udhr.jsonl"
_MEMBER = re.compile(r"(?:[\w-]+/)?udhr_([A-Za-z0-9_]{2,40})\.xml")
_NUMBER = re.compile("[0-9]{1,2}")
# There are about 550 translations of 10 to 60 kB.
_MOST_MEMBERS, _MOST_UNPACKED = 5_000, 2**28


def translations(archive: Path) -> list[dict[str, Any]]:
    """The translations in an archive that have any article.

    Returns:
        A record each, by ``code``: ``code`` (``"eng"``), ``bcp47``, ``iso6393``, ``name``, ``direction`` and
        ``articles``, number to paragraphs.

    Raises:
        InputError: it is no such archive, or larger than one can be.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            named = [(_MEMBER.fullmatch(info.filename), info) for info in packed.infolist()]
            members = [(match[1], info) for match, info in named if match is not None]
            if not members:
                raise InputError("it has no files udhr_eng.xml, udhr_fra.xml, ...")
            size = sum(info.file_size for _, info in members)
            if len(members) > _MOST_MEMBERS or size > _MOST_UNPACKED:
                raise InputError(
                    f"it has {len(members):,} translations of {size:,} bytes, more than there can be"
                )
            rows = [
                _record(code, _content(packed, info), info.filename)
                for code, info in sorted(members, key=lambda member: member[0])
            ]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"it is no zip archive that can be read: {printed(str(error))}") from error
    with_articles = [row for row in rows if row["articles"]]
    if not with_articles:
        raise InputError("none of its translations has an article")
    return with_articles


def write_translations(archive: Path) -> str:
    """The translations of an archive as JSON lines, the content of `DECLARATION_FILE`.

    Raises:
        InputError: as `translations`.
    """
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in translations(archive))


def _content(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, as many as it says and no more than a translation can have."""
    with packed.open(info) as member:
        return member.read(MOST_XML + 1)


def _record(code: str, content: bytes, name: str) -> dict[str, Any]:
    root = parse_xml(content, name, then="download it again")
    given = root.attrib
    tag = given.get("bcp47") or given.get("lang") or given.get("iso639-3", "und")
    return {
        "code": code,
        "bcp47": tag,
        "iso6393": given.get("iso639-3", ""),
        "name": given.get("n", code),
        "direction": given.get("dir", "ltr"),
        "articles": _articles(root),
    }


def _articles(root: Element) -> dict[str, list[str]]:
    """Number of each article to its paragraphs, without the titles."""
    paragraphs: dict[str, list[str]] = {}
    for article in root.iter("article"):
        number = article.get("number", "")
        texts = [" ".join("".join(paragraph.itertext()).split()) for paragraph in article.iter("para")]
        if _NUMBER.fullmatch(number) and (kept := [text for text in texts if text]):
            paragraphs.setdefault(number, kept)
    return paragraphs
