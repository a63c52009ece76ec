"""One concept asked for in many languages: a row a language, what every layer would say at the end of its prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from latentlang import defaults
from latentlang.interactive.language_prompts import language_prompt
from latentlang.interactive.loading_code import lens_option, loading_lines, task_words
from latentlang.interactive.messages import Message
from latentlang.interactive.numbers import plain
from latentlang.interactive.page_cells import cell_records
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import BASE, LOGIT, Session
from latentlang.interactive.token_owners import token_owners, words_of
from latentlang.interactive.view_registry import register

_MOST_LANGUAGES, _MOST_SHOTS = 60, 16
_TOP = 3


class LanguagesArguments(Message):
    """What is asked in which languages.

    Attributes:
        label: class or concept.
        lens: name of a lens.
        adapter: of the model's states.
        languages: codes of the languages that are asked for.
        source: language that a word is given in; None for the task's own.
        shots: few-shot examples.
    """

    label: str
    lens: str = LOGIT
    adapter: str = BASE
    languages: list[str] = Field(min_length=1, max_length=_MOST_LANGUAGES)
    source: str | None = None
    shots: int = Field(default=1, ge=0, le=_MOST_SHOTS)


@dataclass(frozen=True)
class LanguagesView:
    """A part a language that has a word for the concept, in the order asked for."""

    name: str = "languages"
    arguments: type[Message] = LanguagesArguments

    def parts(
        self, session: Session, arguments: LanguagesArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any] | None]:
        """What the layers would say at the end of each prompt.

        Raises:
            LatentlangError: a language, label, lens or adapter that there is not.
        """
        lens, pivot = session.lens(arguments.lens), defaults.PIVOT
        codes = session.check_languages(arguments.languages)
        session.check_label(arguments.label)
        if arguments.source is not None:
            session.check_languages([arguments.source])
        owners = token_owners(session)
        nothing = plain(np.full(session.model.n_layers, np.nan))
        for done, code in enumerate(codes):
            run.progress(done, len(codes))
            prompt = language_prompt(
                session.task, arguments.label, code, source=arguments.source, shots=arguments.shots
            )
            if prompt is None:
                continue
            reading = session.read(str(prompt), arguments.adapter)
            last = reading.positions[-1]
            pair = tuple(dict.fromkeys((code, pivot)))
            tokens = reading.word_tokens(session.task, arguments.label, pair, last)
            with session.state(arguments.adapter):
                curves, cells = reading.words_and_cell(tokens, last, top=_TOP, lens=lens)
            of = {curve.language: curve for curve in curves}
            yield {
                "language": code,
                "prompt": str(prompt),
                "asked_word": of[code].word,
                "tokens": len(reading.ids),
                "cells": cell_records(cells, owners, words_of(session, arguments.label))[0],
                "answer": plain(of[code].probability),
                "pivot": plain(of[pivot].probability) if pivot in of else nothing,
                "null": plain(of[code].null),
            }
        run.progress(len(codes), len(codes))

    def code(self, session: Session, arguments: LanguagesArguments, /) -> str:
        """Python code that reads the same languages, over all concepts of the task."""
        return "\n".join([
            *loading_lines(session, arguments.adapter),
            f"task = {task_words(session)}",
            f"result = ll.multilingual_lens(model, task, languages={arguments.languages!r}, shots={arguments.shots}"
            f"{lens_option(session, arguments.lens)})",
            "result.figure()",
        ])  # fmt: skip


register(LanguagesView())
