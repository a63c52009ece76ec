"""The same question in many languages: prompts that ask for one concept."""

from __future__ import annotations

from latentlang import defaults
from latentlang.errors import InputError
from latentlang.interactive.session import speaking
from latentlang.language_names import language
from latentlang.seeding import shuffled
from latentlang.tasks import Prompt, Task
from latentlang.tasks.words import translation_line

# Prompts to begin with: what is asked for, and pairs of languages, where the task has them.
_EXAMPLES = (("flower", "fr", "de"), ("dog", "ja", "fr"), ("book", "de", "zh"), ("sun", "en", "hi"))
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


def example_prompts(task: Task) -> list[dict[str, str]]:
    """A few prompts of a task of words to begin with, ``title`` and ``prompt``; none of a closed task."""
    if task.closed:
        return []
    found, able = [], speaking(task)
    for name, source, code in _EXAMPLES:
        if source not in able or code not in task.languages:
            continue
        answers = task.answers(source)
        label = next((label for label in answers if label.rpartition("/")[2] == name), None)
        if label is None:
            continue
        prompt = language_prompt(task, label, code, source=source, shots=1)
        if prompt is not None:
            title = f"{language(source).name} to {language(code).name}: {answers[label][0]}"
            found.append({"title": title, "prompt": str(prompt)})
    return found
