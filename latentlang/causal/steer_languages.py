"""Which languages a model is steered between: the wanted one, the one that prompts ask for, and the control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latentlang.errors import InputError, unknown
from latentlang.language_id import LanguageIdentifier, py3langid_backend
from latentlang.language_names import GROUPS, Language
from latentlang.language_names import language as find_language
from latentlang.seeding import generator
from latentlang.tasks import DEFAULT_SOURCES, ContinuationTask, Task, as_task
from latentlang.tasks import task as build_task


@dataclass(frozen=True)
class SteerLanguages:
    """What is asked, and which language is wanted.

    Attributes:
        task: the task.
        wanted: code of the wanted language.
        asked: code of the language that prompts ask for.
        words: whether answers are words; else they are text.
    """

    task: Task
    wanted: str
    asked: str
    words: bool

    @property
    def taken(self) -> tuple[str, ...]:
        """Languages that cannot be the control."""
        given = self.task.given(self.asked) if self.words else None
        return tuple(dict.fromkeys(filter(None, (self.wanted, self.asked, given))))

    def control(self, other: str | Language | None, seed: int, among: Sequence[str] | None = None) -> str:
        """The language that is the control.

        Args:
            other: the one to take; None draws one.
            seed: of the draw.
            among: those that have a direction; None for all that the task has prompts in.

        Raises:
            InputError: it is one of the others, or there is none.
        """
        if other is not None:
            code = find_language(other).code
            if code in self.taken:
                raise InputError(
                    f"the other language {code!r} is a control, so it is none of {', '.join(self.taken)}: the wanted "
                    "language, the one asked for and that of the prompt's word; name another"
                )
            if self._source(code) != self._source(self.asked):
                raise InputError(self._of_another_source(code))
            return code
        candidates = [
            code
            for code in among or self.task.languages
            if code not in self.taken and self._source(code) == self._source(self.asked)
        ]
        if not candidates:
            raise InputError(
                f"the {self.task.name} task has no third language beside {', '.join(self.taken)}, which is the "
                "control; add one"
            )
        script = find_language(self.wanted).script
        alike = [code for code in candidates if find_language(code).script == script]
        return generator("steering control", seed, self.wanted, self.asked).choice(
            sorted(alike or candidates)
        )

    def check_sources(self) -> None:
        """Refuse prompts that differ in more than the language that is asked for.

        Raises:
            InputError: they are translated from other languages.
        """
        if self._source(self.wanted) != self._source(self.asked):
            raise InputError(self._of_another_source(self.wanted))

    def _source(self, code: str) -> str | None:
        return self.task.source_of(code)

    def _of_another_source(self, code: str) -> str:
        return (
            f"the prompts translate from {self._source(self.asked)!r} where {self.asked!r} is asked for, and from "
            f"{self._source(code)!r} where {code!r} is, so that a direction would hold both; translate from a language "
            "that is neither"
        )

    def identifier(self) -> LanguageIdentifier:
        """What tells languages: scripts for words, and an identifier beside them for texts."""
        codes = dict.fromkeys([self.wanted, self.asked, *GROUPS["paper20"], *self.task.languages])
        if self.words:
            return LanguageIdentifier(codes)
        backend = py3langid_backend()
        known = [code for code in codes if code in backend.languages]
        return LanguageIdentifier(dict.fromkeys([self.wanted, self.asked, *known]), backend=backend)


def settle_languages(
    task: str | Task, language: str | Language, asked: str | Language | None = None
) -> SteerLanguages:
    """Which languages a task is asked in, before a model is loaded; arguments as of `steer`.

    Raises:
        InputError: a closed task, or languages that cannot be compared.
    """
    wanted = find_language(language).code
    start = find_language(asked).code if asked is not None else ("de" if wanted == "en" else "en")
    if start == wanted:
        raise InputError(
            f"the prompts ask for {wanted!r} already, which is what they would be steered to; give another asked="
        )
    if task == "translation":
        sources = [code for code in (*DEFAULT_SOURCES, "es", "it") if code not in (wanted, start)]
        task = build_task("translation", source=sources[0])
    built = as_task(task)
    text = isinstance(built, ContinuationTask)
    if not text and (built.closed or not built.has_answers):
        raise InputError(
            f"the {built.name} task has a few labels, which say little about language; steer a word task, such as "
            "'translation', or parallel text: task('continuation', data=...)"
        )
    if built.source_of(start) == wanted:
        raise InputError(
            f"the prompt's word is in {wanted!r} already, the language to steer to; translate from another"
        )
    for code in (wanted, start):
        if code not in built.languages:
            raise unknown(f"language of the {built.name} task", code, built.languages)
    settled = SteerLanguages(built, wanted, start, words=not text)
    settled.check_sources()
    return settled
