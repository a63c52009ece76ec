"""What a model is asked: a text or a dialogue, with an id and the language that the answer should be in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from latentlang.arguments import check_unicode
from latentlang.errors import InputError, shown
from latentlang.instructions.dialogues import Dialogue, Turn
from latentlang.instructions.prompt_templates import template as find_template
from latentlang.language_names import language as find_language
from latentlang.models.chat import chat_prompt, chat_template_of, chat_text, template_digest
from latentlang.tasks import Prompt

#: How dialogues are written where neither a template nor a chat is asked for: the texts alone.
BASE_TEMPLATE = "base"


@dataclass(frozen=True)
class AnswerPrompt:
    """One thing that a model is asked.

    Attributes:
        id: names it among those of its language; draws of samples depend on it.
        language: code of the language that the answer should be in; empty where nobody says.
        text: what is asked, without any template.
        given: what it was made of, where that is more than a text: a `Dialogue` or a task's `Prompt`.
    """

    id: str
    language: str
    text: str
    given: Dialogue | Prompt | None = None


def as_prompts(given: object, *, language: str | None = None) -> list[AnswerPrompt]:
    """What a model is asked, each with an id of its own in its language.

    Args:
        given: a text, a `Dialogue`, a task's `Prompt`, an `AnswerPrompt`, or several of them; texts are named by their
            places, from 1.
        language: that answers should be in, for what does not say it.

    Raises:
        InputError: something else, an empty text, an unknown language, or one id twice in a language.
    """
    listed: list[object] = (
        list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    )
    code = "" if language is None else find_language(language).code
    prompts = [_as_prompt(one, place, code) for place, one in enumerate(listed, 1)]
    if not prompts:
        raise InputError("there is no prompt to answer; give a text, a dialogue, or several")
    seen: set[tuple[str, str]] = set()
    for prompt in prompts:
        if not prompt.text.strip():
            raise InputError(f"prompt {shown(prompt.id, most=60)} is empty; give what is asked")
        check_unicode(prompt.text, f"prompt {shown(prompt.id, most=60)}")
        key = (prompt.language, prompt.id)
        if key in seen:
            within = f" in {prompt.language!r}" if prompt.language else ""
            raise InputError(
                f"the id {shown(prompt.id, most=60)} names two prompts{within}; give each its own"
            )
        seen.add(key)
    return prompts


def _as_prompt(given: object, place: int, code: str) -> AnswerPrompt:
    if isinstance(given, AnswerPrompt):
        named = given.language or code
        return replace(given, language=find_language(named).code if named else "")
    if isinstance(given, Prompt):
        return AnswerPrompt(given.item, given.language or code, given.text, given)
    if isinstance(given, Dialogue):
        asked = _asked(given)
        turns = [message["content"] for message in asked.messages()]
        return AnswerPrompt(given.id, given.answer_language or code, "\n\n".join(turns), asked)
    if isinstance(given, str):
        return AnswerPrompt(str(place), code, given)
    raise InputError(f"a prompt must be a text, a Dialogue or a Prompt, not {type(given).__name__}")


def _asked(dialogue: Dialogue) -> Dialogue:
    """A dialogue without its last answer, which the model is to write."""
    turns = dialogue.turns
    if turns and turns[-1].role == "assistant":
        turns = turns[:-1]
    if not turns or turns[-1].role != "user":
        raise InputError(f"dialogue {shown(dialogue.id, most=60)} asks nothing; give what the user says")
    return replace(dialogue, turns=turns)


class PromptWriter:
    """Writes what is asked as a model gets it: the text alone, in a prompt template, or in a chat template.

    Attributes:
        settings: how, for a provenance.
    """

    def __init__(self, tokenizer: Any, *, model: str, chat: bool, template: str | None) -> None:
        """Settle how.

        Args:
            tokenizer: whose chat template is used.
            model: name of the model, for errors.
            chat: whether it is.
            template: name of a prompt template, or a text with ``{instruction}`` in it.

        Raises:
            InputError: both are asked for, or there is no such template.
            ModelError: the tokenizer has no chat template.
        """
        if chat and template is not None:
            raise InputError("a chat has the template of the model's tokenizer; leave out template or chat")
        self._tokenizer, self._model, self._chat = tokenizer, model, chat
        self._asked_for = template is not None
        self._template = find_template(template or BASE_TEMPLATE)
        self.settings: dict[str, Any] = {"template": template}
        if chat:
            chat_template_of(tokenizer, model=model)
            self.settings = {"chat": "turns", "chat_template": template_digest(tokenizer)}

    def write(self, prompt: AnswerPrompt) -> Prompt:
        """A prompt as the model gets it.

        Raises:
            InputError: few-shot examples of a task's prompt that cannot be told apart.
            ModelError: the chat template cannot write such a chat.
        """
        given = prompt.given
        if self._chat:
            if isinstance(given, Prompt):
                return chat_prompt(given, self._tokenizer, model=self._model)
            turns = [{"role": "user", "content": prompt.text}] if given is None else given.messages()
            text = chat_text(turns, self._tokenizer, model=self._model, answer_next=True)
            return _plain(prompt, text, templated=True)
        if isinstance(given, Dialogue):
            whole = replace(given, turns=(*given.turns, Turn("assistant", "")))
            return _plain(prompt, "".join(piece.text for piece in self._template.pieces(whole)))
        if isinstance(given, Prompt):
            return given
        return _plain(prompt, self._template.prompt(prompt.text) if self._asked_for else prompt.text)


def _plain(prompt: AnswerPrompt, text: str, *, templated: bool = False) -> Prompt:
    return Prompt(prompt.id, prompt.language, "", "", text, "", templated=templated)
