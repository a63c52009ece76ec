"""Which languages a pivot's use can be tested with, and which one is the control; needs no model."""

from __future__ import annotations

from latentlang.errors import InputError
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.seeding import generator
from latentlang.tasks import Task
from latentlang.tasks.base import check_pivot


def check_word_task(task: Task, pivot: str) -> None:
    """Refuse a task whose answers are no words for things, or that has none in the pivot language.

    Raises:
        InputError: naming it.
    """
    check_pivot(task, pivot)
    if task.closed:
        raise InputError(
            f"the {task.name} task has a few labels, not words for things; test a pivot on a word task, such as "
            "'translation'"
        )


def third_language(
    task: Task, target: str, *, pivot: str, third: str | Language | None = None, seed: int = 0
) -> str:
    """The language that is the control for a target: neither it, nor the pivot, nor the prompt's own.

    Words in another script are split otherwise by most tokenizers, so that their directions say less: one of the
    pivot's script is taken where there is one.

    Args:
        task: the task.
        target: code of the target language.
        pivot: code of the pivot.
        third: the language to take; None draws one.
        seed: of the draw.

    Raises:
        InputError: the pivot, or the language to take, is the target's or the prompt's, or there is none.
    """
    given = task.given(target)
    for name, role in ((target, "asked for"), (given, "given in the prompt")):
        if pivot == name:
            raise InputError(
                f"the pivot {pivot!r} is itself the language {role} where the answer is in {target!r}; test another "
                "pivot, or translate between two other languages"
            )
    taken = {target, pivot, given}
    if third is not None:
        code = find_language(third).code
        if code in taken:
            raise InputError(
                f"the third language {code!r} is the control for the pivot {pivot!r} in {target!r}, so it is neither "
                f"of them, nor the prompt's {given!r}; name another"
            )
        check_pivot(task, code)
        return code
    others = sorted(code for code in task.languages if code not in taken and task.answers(code))
    script = find_language(pivot).script
    alike = [code for code in others if find_language(code).script == script]
    if not others:
        raise InputError(
            f"the {task.name} task has words in {target!r}, {pivot!r} and no third language, which is the control; add "
            "words in one"
        )
    return generator("third language", seed, given, target, pivot).choice(alike or others)
