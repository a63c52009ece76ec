"""A task asked as in a chat: its prompts in the template of an instruct model's tokenizer.

Few-shot examples are turns of their own: the user asks (question and cue), the assistant answers. What would open a
quotation at the end of a cue is left out, since a turn begins and ends an answer. The prompt ends with the template's
generation prompt, so that the answer is looked for in the assistant's first token. The template writes all special
tokens; none is added when the text becomes tokens, as with ``tokenizer.apply_chat_template(..., tokenize=True)``.

Where items have candidates of their own the user says the context, with what a candidate puts into it, and the
assistant's turn begins with the candidate, without the space before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from latentlang.answers.paths import closing
from latentlang.errors import InputError, ModelError
from latentlang.language_names import language as find_language
from latentlang.tasks import Prompt, Task


class ChatTask(Task):
    """A task whose prompts stand in a chat template; answers, labels and items are those of the task itself.

    Attributes:
        task: the task.
    """

    def __init__(self, task: Task, tokenizer: Any, *, model: str) -> None:
        """Set up the task.

        Args:
            task: what is asked.
            tokenizer: whose template is used.
            model: name of the model, for errors.

        Raises:
            InputError: the task follows its published prompts to the letter, or is asked as in a chat already.
            ModelError: the tokenizer has no chat template.
        """
        if isinstance(task, ChatTask):
            raise InputError("this task is asked as in a chat already; give the task itself")
        if getattr(task, "protocol", "corrected") == "as-published":
            raise InputError(
                "protocol 'as-published' keeps the published prompts to the letter, which are no chat; leave one of "
                "the two out"
            )
        if not task.has_answers and not task.candidate_labels:
            raise InputError(f"the {task.name} task is text to go on with, and asks nothing in a chat")
        chat_template_of(tokenizer, model=model)
        self.task, self._tokenizer, self._model = task, tokenizer, model
        self.name, self.closed, self.default_shots = task.name, task.closed, task.default_shots
        self.has_answers, self.next_step = task.has_answers, task.next_step
        self.settings = {**task.settings, "chat": "turns", "chat_template": template_digest(tokenizer)}

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of the task."""
        return self.task.languages

    @property
    def candidate_labels(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the task."""
        return self.task.candidate_labels

    @property
    def notes(self) -> Mapping[str, str]:
        """Those of the task."""
        return self.task.notes

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """The task's prompts, each as a chat that ends where the assistant begins to answer.

        Raises:
            InputError: as of the task, or its few-shot examples cannot be told apart.
            ModelError: the template cannot write such a chat.
        """
        code = find_language(language).code
        plain = self.task.prompts(code, items=items, shots=shots, seed=seed)
        if self.candidate_labels:
            solved = self.task.solved(code, shots=shots or 0, seed=seed)
            return [
                _candidates_in_chat(prompt, solved, self._tokenizer, model=self._model) for prompt in plain
            ]
        return [chat_prompt(prompt, self._tokenizer, model=self._model) for prompt in plain]

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Those of the task."""
        return self.task.answers(language)

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """Those of the task."""
        return self.task.wrong_labels(label)

    def solved(self, language: str, *, shots: int, seed: int = 0) -> list[tuple[str, str]]:
        """Those of the task."""
        return self.task.solved(language, shots=shots, seed=seed)

    def source_of(self, language: str) -> str | None:
        """That of the task."""
        return self.task.source_of(language)

    def given(self, language: str) -> str | None:
        """That of the task."""
        return self.task.given(language)


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """A prompt as the turns of a chat, the last of them the user's.

    Raises:
        InputError: its few-shot examples cannot be told apart.
    """
    turns: list[dict[str, str]] = []
    for asked, answer in _examples(prompt):
        turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*turns, {"role": "user", "content": _asked(prompt.question, prompt.cue)}]


def chat_prompt(prompt: Prompt, tokenizer: Any, *, model: str) -> Prompt:
    """A prompt in a tokenizer's chat template; question and few-shot examples are marked as before.

    Args:
        prompt: as a task makes it.
        tokenizer: whose template is used.
        model: name of the model, for errors.

    Raises:
        InputError: the few-shot examples cannot be told apart.
        ModelError: there is no template, or it cannot write such a chat.
    """
    chat_template_of(tokenizer, model=model)
    messages = messages_of(prompt)
    text, start = _written(messages, tokenizer, model=model)
    asked = messages[-1]["content"]
    stop = start + min(len(prompt.question.lstrip()), len(asked))
    return replace(prompt, few_shot=text[:start], question=text[start:stop], cue=text[stop:], templated=True)


def _written(messages: Sequence[Mapping[str, str]], tokenizer: Any, *, model: str) -> tuple[str, int]:
    """A chat up to where the assistant begins to answer, and where in it the last turn's text begins.

    Raises:
        ModelError: the template cannot write it, or changes what the user says.
    """
    text = chat_text(messages, tokenizer, model=model, answer_next=True)
    start = text.rfind(messages[-1]["content"])
    if start < 0:
        raise ModelError(
            f"the chat template of {model!r} changes what the user says, so its tokens cannot be told apart; leave "
            "the chat out"
        )
    return text, start


def _candidates_in_chat(
    prompt: Prompt, solved: Sequence[tuple[str, str]], tokenizer: Any, *, model: str
) -> Prompt:
    """An item with candidates of its own, as a chat.

    Where a candidate puts something into the user's turn, all that stands behind the context goes with the candidate.

    Raises:
        InputError: the few-shot examples cannot be told apart, or there is neither a context nor what is put into it.
        ModelError: the template cannot write such a chat.
    """
    if prompt.few_shot and not solved:
        raise InputError(
            f"the few-shot examples of item {prompt.item!r} ({prompt.language}) cannot become turns of a chat; ask "
            "without them: shots=0"
        )
    turns: list[dict[str, str]] = []
    for asked, answer in solved:
        turns += [
            {"role": "user", "content": asked.strip()}, {"role": "assistant", "content": answer.strip()}
        ]  # fmt: skip
    context = (prompt.question + prompt.cue).lstrip()
    in_turns = any(candidate.given for candidate in prompt.candidates)
    written = {}
    for given in dict.fromkeys(candidate.given for candidate in prompt.candidates):
        content = (context + given).strip()
        if not content:
            raise InputError(
                f"item {prompt.item!r} ({prompt.language}) has no context that the user could say; leave the chat out"
            )
        written[given] = _written([*turns, {"role": "user", "content": content}], tokenizer, model=model)
    (text, start), *others = written.values()
    stop = start + len(context if in_turns else context.rstrip())
    if any(other[:stop] != text[:stop] for other, _ in others):
        raise ModelError(
            f"the chat template of {model!r} writes the context of item {prompt.item!r} otherwise for another "
            "candidate; leave the chat out"
        )
    candidates = tuple(
        replace(
            candidate,
            text=candidate.text.lstrip(),
            given=written[candidate.given][0][stop:] if in_turns else "",
        )
        for candidate in prompt.candidates
    )
    return replace(
        prompt, few_shot=text[:start], question=text[start:stop], cue="" if in_turns else text[stop:], templated=True,
        candidates=candidates,
    )  # fmt: skip


def template_digest(tokenizer: Any) -> str | None:
    """A hash of a tokenizer's chat template; None where it has none."""
    if not has_chat_template(tokenizer):
        return None
    digest = hashlib.sha256(
        chat_template_of(tokenizer, model="").encode("utf-8", "surrogatepass")
    ).hexdigest()
    return f"sha256 {digest[:16]}"


def has_chat_template(tokenizer: Any) -> bool:
    """Whether a tokenizer has a template to write a chat in."""
    try:
        tokenizer.get_chat_template()
    except (AttributeError, ValueError):
        return False
    return True


def chat_text(
    messages: Sequence[Mapping[str, str]], tokenizer: Any, *, model: str, answer_next: bool = False
) -> str:
    """A chat as a tokenizer's template writes it, special tokens and all.

    Args:
        messages: its turns.
        tokenizer: whose template is used.
        model: name of the model, for errors.
        answer_next: end where the assistant begins to answer.

    Raises:
        ModelError: the template cannot write such a chat.
    """
    try:
        return str(
            tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=answer_next)
        )
    except Exception as error:  # whatever a template raises: jinja's errors, its own, a missing package
        raise ModelError(f"the chat template of {model!r} cannot write this chat: {error}") from error


def chat_template_of(tokenizer: Any, *, model: str) -> str:
    """The template of a tokenizer.

    Args:
        tokenizer: whose.
        model: name of the model, for errors.

    Raises:
        ModelError: it has none.
    """
    try:
        return str(tokenizer.get_chat_template())
    except (AttributeError, ValueError) as error:
        raise ModelError(
            f"the tokenizer of {model!r} has no chat template, so the model cannot be asked as in a chat; leave --chat "
            "(chat=True in Python) out, or take its instruct version"
        ) from error


def _asked(question: str, cue: str) -> str:
    """What the user says: question and cue, without the quotation mark that the answer would stand behind."""
    return (question + (cue[:-1] if closing(cue) else cue)).strip()


def _examples(prompt: Prompt) -> Sequence[tuple[str, str]]:
    """The few-shot examples of a prompt: what is asked, and the answer.

    Raises:
        InputError: the examples are not written as the prompt itself is.
    """
    rest, cue, end = prompt.few_shot, prompt.cue, closing(prompt.cue) or "\n"
    examples = []
    while rest.strip():
        question, sign, behind = rest.partition(cue)
        answer, closed, rest = behind.partition(end)
        # after the answer its line ends, but for a full stop as in cloze sentences
        line, _, rest = rest.partition("\n") if closing(cue) else ("", "", rest)
        if not (cue and sign and closed and answer.strip()) or line.strip(" .。।"):
            raise InputError(
                f"the few-shot examples of item {prompt.item!r} ({prompt.language}) are not written as the item is, "
                "and cannot become turns of a chat; ask without them: shots=0"
            )
        examples.append((_asked(question, cue), answer.strip()))
    return examples
