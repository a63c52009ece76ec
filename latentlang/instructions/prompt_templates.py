"""Prompt templates: how a dialogue becomes text, piece by piece; which pieces are answers.

Named ones are data (``templates.yaml``); a text with ``{instruction}`` in it is one too. The template of a model's
tokenizer, ``chat``, is written by the tokenizer (`latentlang.training.chat_tokens`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import yaml

from latentlang.errors import unknown
from latentlang.instructions.dialogues import Dialogue

#: The template that the model's tokenizer has.
CHAT = "chat"
#: The place of what is asked for, without which a text is no template.
INSTRUCTION = "{instruction}"
_INPUT = "{input}"
_PLACE = re.compile(r"\{(instruction|input|system)\}")


@dataclass(frozen=True, slots=True)
class DialoguePiece:
    """Part of a text that a model is trained on.

    Attributes:
        text: as it stands there.
        is_answer: whether it is what the model is to write.
    """

    text: str
    is_answer: bool = False


@dataclass(frozen=True)
class DialogueTemplate:
    """How a dialogue is written.

    Attributes:
        name: as a recipe says it; empty for a text of one's own.
        with_input: what the model is given of a first exchange whose instruction is about something.
        without_input: the same where it is about nothing.
        later: of a further exchange; as the first without an input where it is empty.
        between: what stands behind an answer before the next exchange.
        system: how a system text begins.
        about: what it is, in half a sentence.
    """

    name: str
    with_input: str
    without_input: str
    later: str = ""
    between: str = "\n\n"
    system: str = "{system}\n\n"
    about: str = ""

    def prompt(self, instruction: str, about: str = "", *, later: bool = False) -> str:
        """What the model is given of an exchange.

        Args:
            instruction: what is asked for.
            about: the instruction's input; empty for none.
            later: whether it is a further exchange.
        """
        template = self.with_input if about else self.without_input
        if later and self.later and not about:
            template = self.later
        if about and _INPUT not in template:
            instruction, about = f"{instruction}\n{about}", ""
        return _filled(template, instruction=instruction, input=about)

    def pieces(self, dialogue: Dialogue) -> Iterator[DialoguePiece]:
        """A dialogue piece by piece: prompts and answers in turn; a question without an answer at its end is left out.

        Args:
            dialogue: with turns that alternate.
        """
        about, before, exchanges = dialogue.input, "", 0
        for number, turn in enumerate(dialogue.turns):
            if turn.role == "system":
                before = _filled(self.system, system=turn.text)
            elif turn.role == "assistant":
                yield DialoguePiece(turn.text, is_answer=True)
            elif number + 1 < len(dialogue.turns):
                between = self.between if exchanges else ""
                yield DialoguePiece(before + between + self.prompt(turn.text, about, later=exchanges > 0))
                about = before = ""
                exchanges += 1


def _filled(template: str, **texts: str) -> str:
    """A template with texts in their places; what stands in a text is no place."""
    return _PLACE.sub(lambda match: texts.get(match[1], match[0]), template)


@cache
def templates() -> Mapping[str, DialogueTemplate]:
    """The named templates."""
    text = files("latentlang.instructions").joinpath("templates.yaml").read_text(encoding="utf-8")
    records = yaml.safe_load(text)
    return MappingProxyType({name: DialogueTemplate(name=name, **record) for name, record in records.items()})


def template(value: str) -> DialogueTemplate:
    """A template by its name, or a text with ``{instruction}`` in it.

    Raises:
        InputError: it is neither.
    """
    named = templates()
    if value in named:
        return named[value]
    if INSTRUCTION not in value:
        raise unknown("template", value, [*named, CHAT], hint=f"or give a text with {INSTRUCTION} in it")
    return DialogueTemplate("", with_input=value, without_input=value)
