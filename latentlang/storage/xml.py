"""XML that somebody wrote: elements, attributes and text within limits; no document type, no entities of its own.

What makes XML dangerous (entities that unfold without end, or name other files) is declared in a document type. A file
with one is refused before anything of it is read.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from latentlang.errors import InputError
from latentlang.storage.documents import AGAIN, MOST_DEPTH, damaged, printed

#: Of a document, in bytes.
MOST_XML = 2**24


def parse_xml(content: bytes, where: Path | str, *, then: str = AGAIN) -> Element:
    """XML from bytes, within limits; names of elements and attributes are local ones, without their namespace.

    Args:
        content: the document.
        where: what it is, for the error: the file, or words.
        then: what to do, for the error.

    Raises:
        InputError: it is no XML, has a document type, is too large, or is nested too deeply.
    """
    if len(content) > MOST_XML:
        raise damaged(
            where, f"it has {len(content):,} bytes, more than the {MOST_XML:,} that are read", then=then
        )
    builder = TreeBuilder()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise damaged(where, f"it is nested too deeply, more than {MOST_DEPTH} levels", then=then)
        builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def refuse(*_declared: object) -> None:
        raise damaged(where, "it declares a document type (DOCTYPE), which is not read", then=then)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except InputError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:  # an encoding that nobody knows
        raise damaged(where, printed(str(error)), then=then) from error
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
