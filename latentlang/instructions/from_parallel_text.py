"""Parallel text as four kinds of translation instruction: sentence, document, constrained and interactive (BayLing 2).

Nothing is asked of a model. Languages are paired with pivots; the language that the instruction itself is in is chosen
apart from the direction. Dialogues of the same paragraphs have one group, so that a split never parts them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import Any, Literal, get_args

from latentlang.arguments import check_count, checked_call, chosen_names
from latentlang.errors import InputError
from latentlang.instructions.built import Built, Dropped, check_any
from latentlang.instructions.dialogues import Dialogue, Turn
from latentlang.instructions.instruction_wordings import translation_wordings
from latentlang.instructions.prompt_sets import filled
from latentlang.instructions.segmenting import sentences
from latentlang.language_id import LanguageIdentifier, letters_by_script, py3langid_backend
from latentlang.language_names import Language, language, languages
from latentlang.seeding import generator
from latentlang.tasks.files import PathLike
from latentlang.tasks.parallel_text import ParallelText
from latentlang.text import listed

Kind = Literal["sentence", "document", "constrained", "interactive"]
#: Kinds of translation instruction.
KINDS: tuple[Kind, ...] = get_args(Kind)
Direction = Literal["to-pivot", "from-pivot", "both"]
#: Directions between a language and a pivot.
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
Edit = Literal["add", "order", "leave_out"]
#: Edits of the second turn of an interactive translation.
EDITS: tuple[Edit, ...] = get_args(Edit)
#: In place of a language of instructions: that of what is translated, or of the translation.
ASKED_BY = ("source", "target")
DEFAULT_PARAGRAPHS = 3
# How likely a paragraph must be in another language to be left out.
_SURE = 0.95
_MOST_WORDS = 3
# Letters that a word must have to be asked for, and characters of a word in scripts without spaces.
_LEAST_LETTERS, _HAN_WORD = 4, (2, 4)
_UNSPACED = frozenset({"Thai", "Laoo", "Khmr", "Mymr", "Tibt"})
_WITHIN_WORDS = "-'’\u200c"
# Words of Chinese characters have no spaces: what stands between marks and these, which belong to no longer word.
_HAN = re.compile(r"[\u3400-\u9fff]+")
_HAN_PARTICLES = re.compile(
    "[的了和在是有不与及或之为以其对于等也都而且并将被把从到所这那个人由可应得任何者]"
)
_KATAKANA = re.compile(r"[\u30a0-\u30ff]{2,}")


def template_languages() -> tuple[str, ...]:
    """Codes of the languages that translation instructions are written in."""
    return tuple(translation_wordings())


@dataclass(frozen=True)
class _Pair:
    """A paragraph or several, in two languages."""

    name: str
    group: str
    source: str
    target: str
    text: str
    reference: str


@checked_call
def parallel_instructions(
    data: PathLike | ParallelText,
    *,
    pivots: str | Language | Iterable[str | Language],
    languages: str | Language | Iterable[str | Language] | None = None,
    kinds: str | Iterable[str] = KINDS,
    direction: str = "both",
    asked_in: str | Iterable[str] = ("en",),
    between_pivots: bool = False,
    paragraphs: int = DEFAULT_PARAGRAPHS,
    items: int | None = None,
    check_language: bool = True,
    seed: int = 0,
    origin: str = "parallel",
) -> Built:
    """Translation instructions from parallel text.

    Args:
        data: folder of parallel text (`latentlang.tasks.parallel_text`), or ``"udhr"``.
        pivots: languages that each other one is paired with.
        languages: the others; by default all of the text.
        kinds: of `KINDS`.
        direction: of `DIRECTIONS`.
        asked_in: languages that instructions are in, of `template_languages`, or ``source`` or ``target``; one is drawn
            for each.
        between_pivots: whether pivots are paired with each other too.
        paragraphs: of a document, one after the other.
        items: paragraphs of the text, from the first; by default all.
        check_language: whether a paragraph is left out that is identified as another language than it should be.
        seed: of what is drawn: wording, language of the instruction, words, edits.
        origin: of the dialogues.

    Returns:
        The dialogues; `Dialogue.language` is that of the instruction, `Dialogue.answer_language` that of the
        translation. Dropped is counted by the language translated into.

    Raises:
        InputError: a pivot is among the languages, one has no text, no template, or an option is not known; or nothing
            was made.
    """
    chosen = chosen_names(kinds, "kind of translation instruction", KINDS)
    if direction not in DIRECTIONS:
        chosen_names(direction, "direction", DIRECTIONS)
    asked = _asked_languages(asked_in)
    check_count("paragraphs", paragraphs, least=2)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    text = data if isinstance(data, ParallelText) else ParallelText(data)
    pivot_codes = _codes(pivots)
    others = _others(text, languages, pivot_codes)
    pairs = [(other, pivot) for other in others for pivot in pivot_codes]
    directed = [
        ends
        for other, pivot in pairs
        for ends in {"to-pivot": [(other, pivot)], "from-pivot": [(pivot, other)]}.get(
            direction, [(other, pivot), (pivot, other)]
        )
    ]
    if between_pivots:
        directed += [ends for one, two in combinations(pivot_codes, 2) for ends in ((one, two), (two, one))]
    if not directed:
        raise InputError("there are no two languages to translate between; name some, or a second pivot")
    used = sorted({code for ends in directed for code in ends})
    wrong = _wrong_language(text, used, pivot_codes) if check_language else set()
    numbers = _numbers(text, used, items)
    documents = "document" in chosen
    dialogues: list[Dialogue] = []
    dropped: list[Dropped] = []
    for source, target in directed:
        for kind in chosen:
            for pair in _pairs(text, numbers, source, target, wrong, dropped, kind, paragraphs, documents):
                made = _made(pair, kind, asked, seed, origin)
                (dialogues if isinstance(made, Dialogue) else dropped).append(made)  # type: ignore[arg-type]
    check_any(dialogues, dropped)
    settings: dict[str, Any] = {
        "data": text.origin, "pivots": list(pivot_codes), "languages": list(others), "kinds": chosen,
        "direction": direction, "asked_in": asked, "between_pivots": between_pivots, "paragraphs": paragraphs,
        "items": items, "check_language": check_language, "seed": seed,
    }  # fmt: skip
    return Built(
        "parallel", tuple(dialogues), tuple(dict.fromkeys(dropped)), settings, counted_by="answer_language"
    )


def _codes(given: str | Language | Iterable[str | Language]) -> tuple[str, ...]:
    return tuple(entry.code for entry in languages(given))


def _others(
    text: ParallelText, given: str | Language | Iterable[str | Language] | None, pivots: Sequence[str]
) -> tuple[str, ...]:
    """The languages that are paired with pivots.

    Raises:
        InputError: a pivot is among them, or one of all has no text.
    """
    others = (
        _codes(given) if given is not None else tuple(code for code in text.languages if code not in pivots)
    )
    both = [code for code in others if code in pivots]
    if both:
        raise InputError(
            f"{listed(both)} cannot be a pivot and one of the other languages; leave it out there (between_pivots, "
            "--between-pivots, pairs pivots with each other)"
        )
    missing = [code for code in (*pivots, *others) if code not in (*text.languages, *text.others)]
    if missing:
        there = " ".join(text.languages) if len(text.languages) <= 30 else f"{len(text.languages)} languages"
        raise InputError(f"{text.origin} has no text in {listed(missing)}; it has {there}")
    return others


def _asked_languages(given: str | Iterable[str]) -> list[str]:
    """Languages of instructions.

    Raises:
        InputError: there are no templates in one.
    """
    names = [given] if isinstance(given, str) else list(given)
    asked = [part.strip() for name in names for part in name.split(",") if part.strip()]
    codes = [name if name in ASKED_BY else language(name).code for name in asked]
    missing = [code for code in codes if code not in (*ASKED_BY, *template_languages())]
    if missing or not codes:
        raise InputError(
            f"there are no translation instructions in {listed(missing) or 'no language'}; there are in "
            f"{', '.join(template_languages())}, or say source or target"
        )
    return list(dict.fromkeys(codes))


def _numbers(text: ParallelText, codes: Sequence[str], items: int | None) -> dict[str, int]:
    """Id of a paragraph to its place: in the order of the language that has most, then what only others have."""
    each = sorted((text.translation(code).paragraphs for code in codes), key=len, reverse=True)
    names = list(dict.fromkeys(name for paragraphs in each for name in paragraphs))
    return {name: place for place, name in enumerate(names[:items])}


def _wrong_language(text: ParallelText, codes: Sequence[str], pivots: Sequence[str]) -> set[tuple[str, str]]:
    """Language and id of paragraphs that were left in a pivot or in English: held against these alone.

    Near relatives are no matter here, which identifiers confuse; nor is a language that the identifier does not know.
    """
    backend = py3langid_backend()
    wrong = set()
    for code in (code for code in codes if not code.startswith("x-")):
        identifier = LanguageIdentifier(list(dict.fromkeys([code, *pivots, "en"])), backend=backend)
        for name, paragraph in text.translation(code).paragraphs.items():
            found = identifier.identify(paragraph)
            certain = found.reason == "script" or (code in backend.languages and found.confidence >= _SURE)
            if found.language not in (None, code) and certain:
                wrong.add((code, name))
    return wrong


def _pairs(
    text: ParallelText,
    numbers: dict[str, int],
    source: str,
    target: str,
    wrong: set[tuple[str, str]],
    dropped: list[Dropped],
    kind: str,
    size: int,
    blocks: bool,
) -> Iterator[_Pair]:
    """The paragraphs, or documents of several, that both languages have."""
    texts = [text.translation(code).paragraphs for code in (source, target)]
    usable: dict[int, tuple[str, str, str]] = {}
    for name, place in numbers.items():
        reason = None
        if not all(name in paragraphs for paragraphs in texts):
            reason = "no-translation"
        elif {(source, name), (target, name)} & wrong:
            reason = "other-language"
        if reason is not None:
            dropped.append(Dropped(name, target, reason, f"{source} to {target}: {texts[0].get(name, '')}"))
            continue
        usable[place] = name, texts[0][name], texts[1][name]
    # Where documents are made, what is in one document is one group, whatever is made of its paragraphs.
    group = {
        name: f"{text.folder.name}/block-{place // size:05}" if blocks else f"{text.folder.name}/{name}"
        for name, place in numbers.items()
    }
    if kind != "document":
        for name, first, second in usable.values():
            yield _Pair(name, group[name], source, target, first, second)
        return
    last = len(numbers)
    for block in range(0, last, size):
        stop = min(block + size, last)
        members = [usable[place] for place in range(block, stop) if place in usable]
        names, firsts, seconds = zip(*members, strict=True) if members else ((str(block),), ("",), ("",))
        name = f"{names[0]}..{names[-1]}"
        if len(members) < max(2, stop - block):
            about = f"{len(members)} of {size} paragraphs"
            dropped.append(Dropped(name, target, "short-document", f"{source} to {target}: {about}"))
            continue
        yield _Pair(name, group[names[0]], source, target, "\n\n".join(firsts), "\n\n".join(seconds))


def _made(pair: _Pair, kind: str, asked: Sequence[str], seed: int, origin: str) -> Dialogue | Dropped:
    draw = generator("parallel", seed, kind, pair.name, pair.source, pair.target)
    named = draw.choice(list(asked))
    code = {"source": pair.source, "target": pair.target}.get(named, named)
    if code not in translation_wordings():
        raise InputError(
            f"there are no translation instructions in {code}, which is the {named} of some; there are in "
            f"{', '.join(template_languages())}"
        )
    templates = translation_wordings()[code]
    values = {
        "text": pair.text, "source": language(pair.source).name_in(code),
        "target": language(pair.target).name_in(code),
    }  # fmt: skip
    about = f"{pair.source} to {pair.target}: {pair.reference}"
    if kind == "constrained":
        words = constraint_words(pair.reference, pair.target, draw)
        if not words:
            return Dropped(pair.name, pair.target, "no-words", about)
        values["words"] = ", ".join(words)
    wording = draw.choice(getattr(templates, "sentence" if kind == "interactive" else kind))
    turns = [Turn("user", filled(wording, **values)), Turn("assistant", pair.reference)]
    if kind == "interactive":
        edit = draw.choice([edit for edit in EDITS if edit_of(edit, pair.reference, "x") is not None])
        mark = f"{language(pair.target).own_name}:"
        answer = edit_of(edit, pair.reference, mark)
        turns += [
            Turn("user", filled(draw.choice(getattr(templates, edit)), mark=mark)), Turn("assistant", str(answer)),
        ]  # fmt: skip
    return Dialogue(
        id=f"{kind}/{pair.name}/{pair.source}-{pair.target}", language=code, turns=tuple(turns),
        answer_language=pair.target, origin=origin, group=pair.group,
    )  # fmt: skip


def edit_of(edit: str, translation: str, mark: str) -> str | None:
    """A translation after an edit, which can be checked without a model; None where it would change nothing.

    Args:
        edit: of `EDITS`: ``add`` puts the mark in front, ``order`` gives the sentences in reverse order, ``leave_out``
            leaves the last sentence out.
        translation: before it.
        mark: what is put in front.
    """
    if edit == "add":
        return f"{mark} {translation}"
    pieces = [piece.strip() for piece in sentences(translation)]
    if len(pieces) < 2:
        return None
    if edit == "order":
        reverse = _joined(pieces[::-1], translation)
        return None if reverse == translation.strip() else reverse
    return _joined(pieces[:-1], translation)


def _joined(pieces: Sequence[str], text: str) -> str:
    """Sentences put together as the text has them: with spaces, or without."""
    spaced = any(piece[-1:].isspace() for piece in sentences(text)[:-1])
    return (" " if spaced else "").join(pieces)


def constraint_words(reference: str, code: str, draw: Random) -> list[str]:
    """Some words of a translation, which it must then contain: up to three, as they stand there, in their order.

    Long words of scripts with spaces; in Chinese and Japanese runs of characters between marks and particles, and words
    in katakana; none of Thai and others that have neither.

    Args:
        reference: the translation.
        code: its language.
        draw: chooses.
    """
    scripts = set(letters_by_script(reference))
    finders: list[Callable[[str], list[str]]] = [_spaced_words]
    if scripts & {"Hani", "Kana"}:
        finders = [_han_words]
    elif scripts & _UNSPACED:
        return []
    words = list(dict.fromkeys(word for finder in finders for word in finder(reference)))
    chosen = draw.sample(words, min(len(words), draw.randint(1, _MOST_WORDS)))
    return sorted(chosen, key=reference.index)


def _spaced_words(text: str) -> list[str]:
    """Runs of letters and marks, with hyphens and apostrophes within them."""
    spaced = "".join(
        char if unicodedata.category(char)[0] in "LM" or char in _WITHIN_WORDS else " " for char in text
    )
    words = (word.strip(_WITHIN_WORDS) for word in spaced.split())
    return [word for word in words if len(word) >= _LEAST_LETTERS]


def _han_words(text: str) -> list[str]:
    runs = [part for run in _HAN.findall(text) for part in _HAN_PARTICLES.split(run)]
    least, most = _HAN_WORD
    return [*(part for part in runs if least <= len(part) <= most), *_KATAKANA.findall(text)]
