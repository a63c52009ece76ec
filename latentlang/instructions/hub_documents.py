"""Documents from sets on the hub, read as a stream: ``hub:wikimedia/wikipedia``, the editions of languages.

``hub:ORG/NAME@REVISION:CONFIGURATION:PART``; all but the name may be left out. Of an edition of millions only so many
documents are fetched as are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.instructions.documents import SourceDocument, document_of, read_documents
from latentlang.instructions.hub import place_and_parts
from latentlang.language_names import Language, language
from latentlang.language_names import languages as find_languages
from latentlang.tasks.files import PathLike
from latentlang.tasks.hub import Place, asked_of_hub, is_hub, stream_set
from latentlang.text import listed

_PART = "train"
_MOST_NAMED = 6
_OTHERWISE = "or name files or folders of documents (--from)"


@checked_call
def documents_of(
    data: PathLike | Iterable[PathLike],
    *,
    language: str | None = None,
    languages: str | Language | Iterable[str | Language] | None = None,
    documents: int | None = None,
    seed: int = 0,
) -> list[SourceDocument]:
    """Documents of files, folders and hub sets.

    Args:
        data: files and folders, as `read_documents` takes them, and sets, ``hub:ORG/NAME``.
        language: of documents that do not say theirs; of a set without `languages`, the edition that is read.
        languages: documents in these only; of a set, the editions that are read.
        documents: read of each edition of a set, drawn from its stream; must be said where there is a set.
        seed: draws them.

    Raises:
        InputError: a file or set cannot be read, or has nothing in these languages; or `documents` is missing.
    """
    given = (
        [str(data)] if isinstance(data, str) or not isinstance(data, Iterable) else [str(one) for one in data]
    )
    check_count("documents", documents, least=1)
    codes = None if languages is None else [entry.code for entry in find_languages(languages)]
    files = [one for one in given if not is_hub(one)]
    read = read_documents(files, language=language) if files else []
    for one in given:
        if is_hub(one):
            read += _of_set(one, language, codes, documents, seed)
    if codes is None:
        return read
    chosen = [document for document in read if document.language in codes]
    if not chosen:
        there = sorted({document.language for document in read})
        raise InputError(f"no document is in {', '.join(codes)}; they are in {', '.join(there)}")
    return chosen


def _of_set(
    data: str, said: str | None, codes: Sequence[str] | None, most: int | None, seed: int
) -> list[SourceDocument]:
    place, parts = place_and_parts(data)
    if most is None:
        raise InputError(
            f"{data} is read as a stream, of as many documents as are asked for; say how many: documents=1000 "
            "(--documents 1000)"
        )
    configs = asked_of_hub(
        "get_dataset_config_names", place.name, revision=place.revision, otherwise=_OTHERWISE
    )
    config = next((part for part in parts if part in configs), None)
    part = next((one for one in parts if one != config), _PART)
    wanted = codes if codes is not None else [] if said is None else [language(said).code]
    documents: list[SourceDocument] = []
    for code, name in _editions(place, configs, config, wanted).items():
        rows = stream_set(
            place.name, name, part=part, revision=place.revision, seed=seed, otherwise=_OTHERWISE
        )
        documents += islice(_documents(rows, f"{place.origin} ({name}, {part})", code), most)
    if not documents:
        raise InputError(f"the set {place.name!r} has no documents with a text")
    return documents


def _editions(
    place: Place, configs: Sequence[str], config: str | None, codes: Sequence[str]
) -> dict[str, str]:
    """Code of a language to the configuration with its documents.

    Raises:
        InputError: there is none for one, or no language is said.
    """
    if config is not None:
        code = codes[0] if len(codes) == 1 else _edition(config)
        if code is None:
            raise InputError(f"nothing says the language of {config!r}; say it: language= (--data-lang)")
        return {code: config}
    # sorted, so that of several dumps of a language the newest is read
    named = {code: name for name in sorted(configs) if (code := _edition(name)) is not None}
    if not codes:
        raise InputError(
            f"{place.origin} has {len(named) or len(configs)} languages; say which to read: languages= (--lang fr,es)"
        )
    if not named and len(configs) == 1 and len(codes) == 1:
        return {codes[0]: configs[0]}
    missing = [code for code in codes if code not in named]
    if missing:
        there = ", ".join(sorted(named or configs)[:_MOST_NAMED])
        raise InputError(
            f"the set {place.name!r} has nothing in {listed([language(code).name for code in missing])}; it has "
            f"{len(named or configs)}, among them {there}"
        )
    return {code: named[code] for code in codes}


def _edition(name: str) -> str | None:
    """The language of a configuration: ``fr``, ``20231101.fr``; None where its name is none."""
    try:
        return language(name.rpartition(".")[2].replace("_", "-")).code
    except InputError:
        return None


def _documents(rows: Iterator[dict[str, Any]], where: str, code: str) -> Iterator[SourceDocument]:
    for number, row in enumerate(rows, 1):
        document = document_of(row, f"{where}, row {number}", lambda: code, name=f"{code}/{number}")
        if document is not None:
            # editions count their pages each for itself
            yield replace(document, id=f"{code}/{document.id.removeprefix(f'{code}/')}")
