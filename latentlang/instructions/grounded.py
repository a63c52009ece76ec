"""Dialogues about documents: a model asks about a passage, and answers from it (UltraLink's language-specific chat).

Documents are filtered by language and length and cut into segments, none within a sentence. About each a first question
is asked and answered; then, as a coin falls, one that goes deeper or one that goes further afield, until the published
rule ends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError
from latentlang.instructions.built import ENDED_EARLY, Built, Dropped, check_any
from latentlang.instructions.chinese_script import SIMPLIFIED, simplified, simplified_documents
from latentlang.instructions.dialogues import Dialogue, Turn
from latentlang.instructions.document_filters import (
    default_identifier,
    in_their_language,
    of_length,
    paragraph_languages,
)
from latentlang.instructions.documents import SourceDocument
from latentlang.instructions.prompt_sets import GroundedPrompts, filled, prompt_set, prompt_set_names
from latentlang.instructions.providers.asking import Asking
from latentlang.instructions.providers.base import Provider, ProviderError, Reply
from latentlang.instructions.providers.planning import TokenCounter, token_counter
from latentlang.instructions.segmenting import segments
from latentlang.instructions.translation import asking_of, usage_of
from latentlang.language_id import LanguageIdentifier
from latentlang.progress import ProgressOption
from latentlang.seeding import generator
from latentlang.text import counted

#: Chance that a dialogue ends after its second turn, its third, and so on; the last is certain.
STOPS = (0.1, 0.2, 0.4, 0.8, 1.0)
#: Tokens of a document and of a segment, and the share of its paragraphs that must be in its language.
DOCUMENT_TOKENS, SEGMENT_TOKENS, LEAST_SHARE = (1000, 10_000), (1000, 2000), 0.8
#: Characters of an answer, at least.
LEAST_ANSWER = 10
# In a plan, a question of the length that the paper measured: 88 tokens.
_QUESTION = "why " * 88


@dataclass(frozen=True)
class Segment:
    """A passage that a dialogue is about.

    Attributes:
        document: that it is from.
        number: which of its segments, from 1.
        text: the passage.
    """

    document: SourceDocument
    number: int
    text: str

    @property
    def id(self) -> str:
        """Document and number."""
        return f"{self.document.id}/{self.number}"


@checked_call
def grounded_dialogues(
    documents: Sequence[SourceDocument],
    *,
    asking: Asking | Provider,
    prompts: str | Path | None = None,
    identifier: LanguageIdentifier | None = None,
    check_language: bool = True,
    least_share: float = LEAST_SHARE,
    document_tokens: tuple[int, int] = DOCUMENT_TOKENS,
    segment_tokens: tuple[int, int] = SEGMENT_TOKENS,
    counter: TokenCounter | None = None,
    stops: Iterable[float] = STOPS,
    with_passage: bool = True,
    simplify: bool = False,
    least_answer: int = LEAST_ANSWER,
    items: int | None = None,
    seed: int = 0,
    origin: str | None = None,
    progress: ProgressOption = True,
) -> Built:
    """Dialogues about segments of documents.

    Args:
        documents: what is asked about (`latentlang.instructions.documents.read_documents`).
        asking: what asks and answers, e.g. an `latentlang.instructions.providers.Asker` with a cache.
        prompts: name of a set of prompts or a YAML file; by default those in each document's language.
        identifier: tells the languages of paragraphs; by default `default_identifier`.
        check_language: whether documents in another language are left out.
        least_share: of a document's paragraphs that must be in its language.
        document_tokens: least and most tokens of a document.
        segment_tokens: least and most of a segment; a longer sentence is a segment of its own.
        counter: counts tokens; by default as the provider does, or an estimate.
        stops: chance that a dialogue ends after the second turn, the third, and so on; the last must be 1.
        with_passage: whether the passage stands in the first question, as in the published data.
        simplify: whether Chinese is written in simplified characters, by OpenCC: documents, before they are looked at,
            and questions, as in the published data.
        least_answer: characters of an answer.
        items: segments that are asked about, at most, the same number of each language.
        seed: of the coin, of the ends and of the segments that are chosen.
        origin: of the dialogues; by default says by what they were written.
        progress: whether it is shown, or a function of (done, in all).

    Raises:
        InputError: there are no prompts in a language; an option is impossible; or nothing was made: naming the filter
            and the language that was met most.
        ProviderError: the provider cannot be asked any more.
    """
    ends = tuple(stops)
    _check_options(ends, document_tokens, segment_tokens)
    check_count("least_answer", least_answer, least=1)
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    if not documents:
        raise InputError("there are no documents; give some")
    asks = asking_of(asking)
    changed = 0
    if simplify:
        documents, changed = simplified_documents(documents)
    sets = _prompts(prompts, [document.language for document in documents])
    tokens = counter or token_counter(asks.provider)
    dropped: list[Dropped] = []
    usable = list(documents)
    if check_language:
        named = identifier or default_identifier(documents)
        usable, others = in_their_language(usable, named, least_share=least_share)
        dropped += others
        if not usable:
            raise _none_in_its_language(documents, named)
    usable, others = of_length(usable, tokens, least=document_tokens[0], most=document_tokens[1])
    dropped += others
    pieces, others = _segments(usable, tokens, segment_tokens)
    dropped += others
    pieces = _chosen(pieces, items, seed)
    by = origin or f"grounded by {asks.provider.name}"

    def work(segment: Segment) -> tuple[Dialogue | None, list[Dropped]]:
        code = segment.document.language
        turns, problem = _talk(
            segment, asks, sets[code], ends, seed, least_answer, simplify=simplify and code == SIMPLIFIED
        )
        noted = [] if problem is None else [problem]
        if not turns:
            return None, noted
        return (
            Dialogue(
                segment.id, code, tuple(turns), segment.text.strip() if with_passage else "", origin=by,
                group=segment.document.id,
            ),
            noted,
        )  # fmt: skip

    outcomes = asks.run(pieces, work, what="writing dialogues", progress=progress)
    dialogues = tuple(dialogue for dialogue, _noted in outcomes if dialogue is not None)
    dropped += [drop for _dialogue, noted in outcomes for drop in noted]
    check_any(dialogues, dropped)
    settings: dict[str, Any] = {
        "provider": asks.provider.name, "provider_settings": dict(asks.provider.settings),
        "prompts": {code: str(prompts or code) for code in sets}, "check_language": check_language,
        "least_share": least_share, "document_tokens": list(document_tokens), "segment_tokens": list(segment_tokens),
        "tokens": tokens.name, "stops": list(ends), "with_passage": with_passage, "least_answer": least_answer,
        "items": items, "seed": seed, "documents": len(documents), "segments": len(pieces),
        "simplified": changed if simplify else None,
    }  # fmt: skip
    return Built("grounded", dialogues, tuple(dropped), settings, usage_of(asks))


def _none_in_its_language(documents: Sequence[SourceDocument], identifier: LanguageIdentifier) -> InputError:
    """The error for documents that are all in another language, with the one that most are in."""
    mains = Counter(paragraph_languages(document, identifier).main for document in documents)
    label, count = mains.most_common(1)[0]
    said = ", ".join(sorted({document.language for document in documents}))
    return InputError(
        f"no document passed the language filter: of {counted(len(documents), 'document')} said to be in {said}, "
        f"{count:,} {'are' if count != 1 else 'is'} mostly in {label or 'a language that is undecided'}; say their "
        "language (--data-lang), lower least_share (--least-share), or leave the filter out"
    )


def _check_options(stops: Sequence[float], *spans: tuple[int, int]) -> None:
    if not stops or stops[-1] != 1 or not all(0 <= chance <= 1 for chance in stops):
        raise InputError(f"stops must be chances between 0 and 1 of which the last is 1, not {list(stops)!r}")
    for least, most in spans:
        check_count("the least number of tokens", least, least=0)
        check_count("the most number of tokens", most, least=1)
        if least > most:
            raise InputError(
                f"a least number of tokens, {least:,}, is more than the most, {most:,}; exchange them"
            )


def _prompts(given: str | Path | None, codes: Iterable[str]) -> dict[str, GroundedPrompts]:
    """Language to its prompts.

    Raises:
        InputError: there are none in one; naming those that there are.
    """
    there = [name for name in prompt_set_names() if prompt_set(name).grounded is not None]
    sets: dict[str, GroundedPrompts] = {}
    for code in dict.fromkeys(codes):
        name = given if given is not None else code
        grounded = prompt_set(name).grounded if given is not None or code in there else None
        if grounded is None:
            raise InputError(
                f"there are no prompts for dialogues about documents in {str(name)!r}; there are in "
                f"{', '.join(there)}, or say prompts= (--prompts), one of these or a YAML file"
            )
        sets[code] = grounded
    return sets


def _segments(
    documents: Sequence[SourceDocument], counter: TokenCounter, span: tuple[int, int]
) -> tuple[list[Segment], list[Dropped]]:
    least, most = span
    kept, dropped = [], []
    for document in documents:
        for number, text in enumerate(segments(document.text, most=most, count=counter.count), 1):
            segment = Segment(document, number, text)
            if counter.count(text) >= least:
                kept.append(segment)
            else:
                dropped.append(Dropped(segment.id, document.language, "short-segment", text))
    return kept, dropped


def _chosen(pieces: list[Segment], items: int | None, seed: int) -> list[Segment]:
    """So many segments of each language, drawn, in their order."""
    if items is None:
        return pieces
    chosen: set[str] = set()
    for code in {piece.document.language for piece in pieces}:
        ids = [piece.id for piece in pieces if piece.document.language == code]
        ids.sort(key=lambda name: generator("grounded", seed, "segment", name).random())
        chosen |= set(ids[:items])
    return [piece for piece in pieces if piece.id in chosen]


def turns_drawn(stops: Sequence[float], *key: object) -> int:
    """How many turns a dialogue is to have, at least two: after each it ends with the chance that stands for it.

    Args:
        stops: chance of an end after the second turn, the third, and so on.
        key: what the draw depends on.
    """
    draw = generator("grounded", *key, "turns")
    turns = 2
    for chance in stops:
        if draw.random() < chance:
            break
        turns += 1
    return turns


def _talk(
    segment: Segment,
    asks: Asking,
    prompts: GroundedPrompts,
    stops: Sequence[float],
    seed: int,
    least_answer: int,
    *,
    simplify: bool,
) -> tuple[list[Turn], Dropped | None]:
    """The turns about a segment, and why there are none or fewer than were to be."""
    code = segment.document.language
    wanted = turns_drawn(stops, seed, segment.id)
    coin = generator("grounded", seed, segment.id, "kinds")
    turns: list[Turn] = []
    for number in range(wanted):
        deeper = coin.random() < 0.5
        principles = prompts.first_question
        if number:
            principles = prompts.in_depth if deeper else prompts.expansive
        task = filled(prompts.next if number else prompts.first, principles=_listed(principles))
        try:
            asked = asks.ask(_messages(prompts, segment.text, turns, task), like=_QUESTION)
            question = next(line.strip() for line in asked.text.splitlines() if line.strip())
            question = simplified(question) if simplify else question
            problem, said = _problem(asked, 1), question
            if problem is None:
                task = filled(prompts.answer, principles=_listed(prompts.answers), question=question)
                answered = asks.ask(_messages(prompts, segment.text, turns, task))
                problem, said = _problem(answered, least_answer), answered.text.strip()
        except ProviderError as error:
            problem, said = Dropped.of(error, segment.id, code).reason, str(error)
        if problem is not None:
            if not turns:
                return [], Dropped(segment.id, code, problem, said)
            return turns, Dropped(segment.id, code, ENDED_EARLY, f"turn {number + 1}: {problem}: {said}")
        turns += [Turn("user", question), Turn("assistant", said)]
    return turns, None


def _problem(reply: Reply, least: int) -> str | None:
    """Why a reply cannot be used; None where it can."""
    if reply.cut:
        return "cut"
    return "short-answer" if len(reply.text.strip()) < least else None


def _messages(
    prompts: GroundedPrompts, passage: str, turns: Sequence[Turn], task: str
) -> list[dict[str, str]]:
    parts = [filled(prompts.document, text=passage.strip())]
    if turns:
        names = {"user": prompts.user, "assistant": prompts.assistant}
        said = "\n\n".join(f"{names[turn.role]}: {turn.text}" for turn in turns)
        parts.append(filled(prompts.dialogue, dialogue=said))
    return [{"role": "user", "content": "\n\n".join([*parts, task])}]


def _listed(principles: Sequence[str]) -> str:
    return "\n".join(f"- {principle}" for principle in principles)
