"""Chinese in traditional characters written in simplified ones, by OpenCC: Wikipedia has both in one edition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.instructions.documents import SourceDocument

#: What Chinese is called here, in simplified and in traditional characters.
SIMPLIFIED, TRADITIONAL = "zh", "zh-Hant"


def simplified(text: str) -> str:
    """A text with simplified characters in the place of traditional ones (OpenCC's ``t2s``).

    Raises:
        InputError: OpenCC is not installed.
    """
    return str(_converter().convert(text))


@cache
def _converter() -> Any:
    try:
        from opencc import OpenCC
    except ImportError as error:
        raise InputError(
            f"simplified characters need opencc; `{install_command('chinese')}`, or leave simplify (--simplified) out"
        ) from error
    return OpenCC("t2s")


def simplified_documents(documents: Sequence[SourceDocument]) -> tuple[list[SourceDocument], int]:
    """Documents, those in Chinese in simplified characters; and how many were changed.

    Args:
        documents: in any languages.

    Raises:
        InputError: OpenCC is not installed.
    """
    made, changed = [], 0
    for document in documents:
        if document.language in (SIMPLIFIED, TRADITIONAL):
            text = simplified(document.text)
            changed += text != document.text
            document = replace(document, language=SIMPLIFIED, text=text, title=simplified(document.title))
        made.append(document)
    return made, changed
