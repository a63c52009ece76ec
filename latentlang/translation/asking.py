"""How a translation is asked for: templates as data, few-shot examples, and chats."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from latentlang.errors import InputError, unknown
from latentlang.instructions.prompt_sets import filled
from latentlang.language_names import language as find_language
from latentlang.models.chat import chat_text
from latentlang.paths import given_path, is_file
from latentlang.storage.documents import Closed, checked, read_yaml
from latentlang.tasks import Prompt
from latentlang.tasks.files import PathLike

_TEMPLATES = Path(__file__).resolve().parent / "templates.yaml"
#: The template of base models, and that of a chat.
PLAIN, INSTRUCTION = "plain", "instruction"
_PLACE = "{text}"


class TranslationTemplate(Closed):
    """How a translation is asked for.

    Attributes:
        about: what it is, in half a sentence.
        names: languages are named in ``english``, or each in its ``own`` language.
        ask: what is asked, with ``{text}``, and ``{source}`` and ``{target}`` for names of languages.
        cue: what a base model goes on from.
    """

    about: str = ""
    names: Literal["english", "own"] = "english"
    ask: str
    cue: str


@cache
def shipped_templates() -> dict[str, TranslationTemplate]:
    """Name to template, of those that come with the package."""
    read = read_yaml(_TEMPLATES)
    return {
        name: checked(TranslationTemplate, value, f"{_TEMPLATES}: {name}") for name, value in read.items()
    }


def find_template(given: PathLike) -> TranslationTemplate:
    """A template by its name, or in a YAML file with ``ask`` and ``cue``.

    Raises:
        InputError: there is none, or it has no place for the text.
    """
    if str(given) in shipped_templates():
        return shipped_templates()[str(given)]
    path = given_path(given)
    if not is_file(path):
        raise unknown(
            "template of translation prompts",
            given,
            shipped_templates(),
            hint="or give a YAML file with ask and cue",
        )
    template = checked(TranslationTemplate, read_yaml(path), path)
    if _PLACE not in template.ask:
        raise InputError(f"{path}: ask needs {_PLACE}, where the text to translate goes")
    named(template, "en", "fr", "text")  # a place that is not known
    return template


def named(template: TranslationTemplate, source: str, target: str, text: str) -> tuple[str, str]:
    """What is asked of one text, and the cue.

    Args:
        template: of the prompt.
        source: code of the language translated from.
        target: code of the language translated into.
        text: what is translated.

    Raises:
        InputError: the template names something that there is not.
    """
    first, second = find_language(source), find_language(target)
    own = template.names == "own"
    names = {
        "source": first.own_name if own else first.name, "target": second.own_name if own else second.name,
    }  # fmt: skip
    return filled(template.ask, text=text, **names), filled(template.cue, **names)


def translation_prompt(
    template: TranslationTemplate,
    source: str,
    target: str,
    item: str,
    text: str,
    *,
    examples: Sequence[tuple[str, str]] = (),
    tokenizer: Any = None,
    model: str = "",
) -> Prompt:
    """The prompt of one text.

    Args:
        template: how it is asked for.
        source: code of the language translated from.
        target: code of the language translated into.
        item: its id.
        text: what is translated.
        examples: texts and their translations, which come before it.
        tokenizer: whose chat template is used; None for none.
        model: name of the model, for errors.

    Raises:
        ModelError: the chat template cannot write it.
    """
    asked, cue = named(template, source, target, text)
    solved = [(named(template, source, target, before)[0], answer) for before, answer in examples]
    if tokenizer is None:
        shown = "".join(f"{before}\n{cue} {answer}\n\n" for before, answer in solved)
        return Prompt(item, target, item, shown, f"{asked}\n", cue)
    messages = []
    for before, answer in solved:
        messages += [{"role": "user", "content": before}, {"role": "assistant", "content": answer}]
    messages.append({"role": "user", "content": asked})
    return Prompt(
        item,
        target,
        item,
        "",
        chat_text(messages, tokenizer, model=model, answer_next=True),
        "",
        templated=True,
    )
