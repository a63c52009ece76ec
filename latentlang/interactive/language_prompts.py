"""The same question in many languages: prompts that ask for one concept."""

from __future__ import annotations

from latentlang import defaults
from latentlang.errors import InputError
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task
from latentlang.tasks.words import translation_line

# Draws of the few-shot examples that are tried until the concept is none of them.
_DRAWS = 5


def language_prompt(task: Task, label: str, code: str, *, source: str | None, shots: int) -> Prompt | None:
    """A prompt whose answer is a label's word in a language; None where the task has none there.

    Args:
        task: the task.
        label: class or concept.
        code: the language that is asked for.
        source: of a task of words, the language that the word is given in; None for the task's own.
        shots: few-shot examples.
    """
    if label not in task.answers(code):
        return None
    if not task.closed and source is None and code not in task.languages:
        # the only language that the task translates from: its word is asked for in another
        source = next((other for other in (defaults.PIVOT, *task.languages) if other != code), None)
    if source is not None and not task.closed:
        return _translation(task, label, code, source=source, shots=shots)
    for seed in range(_DRAWS):
        try:
            prompts = task.prompts(code, shots=shots, seed=seed)
        except InputError:
            return None
        found = next((prompt for prompt in prompts if prompt.label == label), None)
        if found is not None:
            return found
    return None


def _translation(task: Task, label: str, code: str, *, source: str, shots: int) -> Prompt | None:
    given, asked = task.answers(source), task.answers(code)
    if label not in given:
        return None
    others = [name for name in shuffled(sorted({*given} & {*asked}), "words", 0) if name != label][:shots]
    examples = "".join(
        translation_line(source, given[name][0], code, asked[name][0]) + "\n" for name in others
    )
    line = translation_line(source, given[label][0], code, None)
    question, quote, rest = line.rpartition('" - ')
    return Prompt(label, code, label, examples, question, quote + rest)
