"""Words over layers: what every layer gives a concept's word in each language, beside wrong words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from latentlang.interactive.loading_code import lens_option, loading_lines
from latentlang.interactive.messages import Message
from latentlang.interactive.numbers import plain
from latentlang.interactive.prompt_readings import WordCurve
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import BASE, LOGIT, Session
from latentlang.interactive.token_owners import token_owners, words_of
from latentlang.interactive.view_registry import register

_MOST_TOKENS, _MOST_WORDS = 50, 30


class WordsArguments(Message):
    """Whose words are read where.

    Attributes:
        prompt: its text.
        position: the token after which they would stand; negative ones from the end.
        lens: name of a lens.
        adapter: of the model's states.
        label: class or concept; None without, or for `words`.
        languages: codes of the languages whose words are read.
        tokens: ids of tokens that are read besides.
        words: language code to a word of the user's, in place of a label.
    """

    prompt: str
    position: int = -1
    lens: str = LOGIT
    adapter: str = BASE
    label: str | None = None
    languages: list[str] = Field(default_factory=list)
    tokens: list[int] = Field(default_factory=list, max_length=_MOST_TOKENS)
    words: dict[str, str] | None = Field(default=None, max_length=_MOST_WORDS)


@dataclass(frozen=True)
class WordsView:
    """One part: ``layers`` and ``rows``, a row a word and a token."""

    name: str = "words"
    arguments: type[Message] = WordsArguments

    def parts(
        self, session: Session, arguments: WordsArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any] | None]:
        """What the layers give words.

        Raises:
            LatentlangError: a language, label, lens, adapter, position or token that there is not, or an empty word.
        """
        lens = session.lens(arguments.lens)
        codes = session.check_languages(arguments.languages)
        label = arguments.label if arguments.words is None else None
        if label is not None:
            session.check_label(label)
        if arguments.words is not None:
            session.check_languages(list(arguments.words))
        reading = session.read(
            arguments.prompt,
            arguments.adapter,
            position=None if arguments.position < 0 else arguments.position,
        )
        position = arguments.position if arguments.position >= 0 else len(reading.ids) + arguments.position
        run.check()
        rows: list[dict[str, Any]] = []
        if label is not None or arguments.words:
            tokens = reading.word_tokens(session.task, label, codes, position, own=arguments.words)
            with session.state(arguments.adapter):
                rows = [_row(curve) for curve in reading.words(tokens, position, lens=lens)]
        run.check()
        if arguments.tokens:
            owners, words = token_owners(session), words_of(session, label)
            with session.state(arguments.adapter):
                probabilities, ranks = reading.tokens(arguments.tokens, position, lens=lens)
            rows.extend(
                {
                    "kind": "token", "token": owners.record(token, words), "probability": plain(of_token),
                    "rank": placed.tolist(),
                }
                for token, of_token, placed in zip(arguments.tokens, probabilities, ranks, strict=True)
            )  # fmt: skip
        yield {"layers": list(reading.layers), "rows": rows}

    def code(self, session: Session, arguments: WordsArguments, /) -> str:
        """Python code that reads the same layers."""
        where = f", positions=[{arguments.position}]"
        return "\n".join([
            *loading_lines(session, arguments.adapter),
            f"result = ll.explore(model, {arguments.prompt!r}{where}, top=100{lens_option(session, arguments.lens)})",
            "result.table",
        ])  # fmt: skip


def _row(curve: WordCurve) -> dict[str, Any]:
    return {
        "kind": "word", "language": curve.language, "word": curve.word, "probability": plain(curve.probability),
        "rank": [rank or None for rank in curve.rank.tolist()], "null": plain(curve.null), "low": plain(curve.low),
        "high": plain(curve.high), "why": curve.why,
    }  # fmt: skip


register(WordsView())
