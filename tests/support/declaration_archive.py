"""A small archive of the declaration of human rights in unicode.org's layout."""

from __future__ import annotations

import io
import zipfile

#: Its path on unicode.org.
PATH = "udhr/assemblies/udhr_xml.zip"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_LISTED = (
    "<orderedlist><listitem tag='1'><para>{0} b\n  c.</para></listitem>"
    "<listitem tag='2'><para>{0} d.</para></listitem></orderedlist>"
)


def document(key: str, tag: str, *, text: str = "a") -> str:
    """A translation as unicode.org has it: title, preamble, and two articles, the second with a list."""
    return (
        f"{HEAD}<udhr iso639-3='{key[:3]}' xml:lang='{tag}' key='{key}' n='Name &amp; {key}' dir='ltr' iso15924='Latn'"
        " xmlns='http://www.unhchr.ch/udhr'>\n<title>Declaration</title>\n"
        "<preamble><title>Preamble</title><para>Whereas.</para></preamble>\n"
        f"<article number='1'><title>Article 1</title><para>{text} all.</para></article>\n"
        f"<article number='2'><title>Article 2</title>{_LISTED.format(text)}</article>\n</udhr>\n"
    )


def archive(members: dict[str, str | bytes]) -> bytes:
    """A zip archive of these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    return content.getvalue()


def official() -> bytes:
    """A small archive of three translations and one that has no article yet."""
    return archive({
        "index.xml": "<udhrs/>",
        "udhr_eng.xml": document("eng", "en"),
        "udhr_jpn.xml": document("jpn", "ja", text="あ"),
        "udhr_jpn_osaka.xml": document("jpn_osaka", "ja", text="い"),
        "udhr_zzz.xml": f"{HEAD}<udhr key='zzz' xml:lang='und' n='nothing yet'/>",
    })  # fmt: skip
