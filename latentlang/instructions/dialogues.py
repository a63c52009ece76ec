"""Instructions with their answers: a dialogue of one exchange or of several, in one language or answered in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from latentlang.errors import InputError, shown
from latentlang.language_names import language

Role = Literal["system", "user", "assistant"]
#: Who says a turn, as chat templates and the OpenAI API call them.
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        text: what is said.
    """

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """An instruction and its answer, or several exchanges.

    Attributes:
        id: names it among those of its language and origin.
        language: code of the language that it is asked in.
        turns: an optional ``system`` turn, then ``user`` and ``assistant`` in turn, ending with either.
        input: what the first instruction is about, which a prompt template places; empty for nothing.
        answer_language: code of the language that it is answered in.
        origin: where it comes from (``alpaca``, ``native``, ``google``); empty where nobody said.
        group: the same for dialogues that say the same, in other languages or by other translators: a split never
            parts them.
    """

    id: str
    language: str
    turns: tuple[Turn, ...]
    input: str = ""
    answer_language: str = ""
    origin: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "answer_language", self.answer_language or self.language)
        object.__setattr__(self, "group", self.group or self.id)

    @property
    def instruction(self) -> str:
        """What is asked for first; empty where nothing is."""
        return next((turn.text for turn in self.turns if turn.role == "user"), "")

    @property
    def output(self) -> str:
        """The last answer; empty where the last turn is a question."""
        return self.turns[-1].text if self.turns and self.turns[-1].role == "assistant" else ""

    @property
    def is_answered(self) -> bool:
        """Whether it ends with an answer that is not empty."""
        return bool(self.output.strip())

    def messages(self) -> list[dict[str, str]]:
        """The turns as ``{"role": ..., "content": ...}``, as chat templates, TRL and the OpenAI API take them.

        What the first instruction is about follows it on a line of its own.
        """
        about = self.input
        messages = []
        for turn in self.turns:
            text = turn.text
            if turn.role == "user" and about:
                text, about = f"{text}\n{about}", ""
            messages.append({"role": turn.role, "content": text})
        return messages

    def record(self) -> dict[str, Any]:
        """The dialogue as a JSON object; `latentlang.instructions.layouts` reads it back."""
        return {
            "id": self.id,
            "language": self.language,
            "answer_language": self.answer_language,
            "origin": self.origin,
            "group": self.group,
            "input": self.input,
            "messages": [{"role": turn.role, "content": turn.text} for turn in self.turns],
        }


def single(
    id: str,
    language: str,
    instruction: str,
    output: str,
    *,
    input: str = "",
    answer_language: str = "",
    origin: str = "",
    group: str = "",
) -> Dialogue:
    """A dialogue of one instruction and its answer; without an answer, of the instruction alone.

    Args:
        id: see `Dialogue`, like the others.
        language: of the instruction.
        instruction: what is asked for.
        output: the answer; empty for none.
        input: what the instruction is about.
        answer_language: of the answer.
        origin: where it comes from.
        group: of those that say the same.
    """
    answer = (Turn("assistant", output),) if output else ()
    return Dialogue(id, language, (Turn("user", instruction), *answer), input, answer_language, origin, group)


def check_dialogue(dialogue: Dialogue, where: str = "") -> Dialogue:
    """The dialogue, if it can be used.

    Args:
        dialogue: to look at.
        where: file and line, for the error.

    Raises:
        InputError: its roles do not alternate, it has no question, or a language is not known.
    """
    place = f"{where}: " if where else ""
    named = f"{place}dialogue {shown(dialogue.id, most=60)}"
    roles = [turn.role for turn in dialogue.turns]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    if not spoken:
        raise InputError(f"{named} has no turns; leave it out")
    for number, role in enumerate(spoken):
        expected = ("user", "assistant")[number % 2]
        if role != expected:
            raise InputError(
                f"{named}: turn {number + 1} is said by {shown(role)} and should be by {expected!r}; user and "
                "assistant take turns, after one system text at most"
            )
    for code in (dialogue.language, dialogue.answer_language):
        try:
            language(code)
        except InputError as error:
            raise InputError(f"{named}: {error}") from error
    return dialogue


def by_language(dialogues: Sequence[Dialogue]) -> dict[str, list[Dialogue]]:
    """Language code to the dialogues that are asked in it, in order of appearance."""
    groups: dict[str, list[Dialogue]] = {}
    for dialogue in dialogues:
        groups.setdefault(dialogue.language, []).append(dialogue)
    return groups
