"""Where question translations come from: a task's own questions, files in the paper's layout, or sets on a hub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.errors import InputError
from latentlang.tasks import Task
from latentlang.tasks.files import PathLike
from latentlang.tasks.labels import (
    ENGLISH,
    KINDS,
    SENTIMENT,
    languages_of,
    wording,
)
from latentlang.tasks.pairs import EmbeddedPairs, nli_pairs, paraphrase_pairs
from latentlang.tasks.reviews import Review, train_reviews, write_review
from latentlang.training.data.hub_pairs import HUB_RESERVE, hub_pairs
from latentlang.training.data.leakage import check_no_answers
from latentlang.training.data.question_files import read_pairs
from latentlang.training.data.questions import AlignmentData, QuestionPair, choose, parallel_pairs

if TYPE_CHECKING:
    from latentlang.training.recipes import Recipe


def alignment_data(
    recipe: Recipe,
    *,
    task: Task | None = None,
    data: PathLike | AlignmentData | Iterable[QuestionPair] | None = None,
) -> AlignmentData:
    """The question translations that a recipe asks for; never an answer among them.

    The embedded tasks give only items that are not evaluated on: training reviews (sentiment), and the pairs that
    few-shot examples come from (NLI and paraphrase, a few dozen).

    Args:
        recipe: languages, numbers, mixing.
        task: take this task's questions instead of the embedded ones'; they are then those it evaluates with.
        data: take these instead: a JSON file in the paper's layout, a folder of such files, or pairs; `AlignmentData`
            is taken as it is.

    Raises:
        InputError: no such data, or data that give an answer away, or too few.
    """
    if isinstance(data, AlignmentData):
        return data
    if task is not None and data is not None:
        raise InputError("give a task or data to take questions from, not both")
    conditions = recipe.data
    codes = list(dict.fromkeys([*conditions.sources, conditions.target]))
    notes: list[str] = []
    if isinstance(data, str | Path):
        pairs = read_pairs(data)
    elif data is not None:
        pairs = list(data)
    elif task is not None:
        pairs = parallel_pairs(
            task_questions(task, codes), sources=conditions.sources, target=conditions.target
        )
        notes.append(f"the questions are those that the {task.name} task evaluates with")
    elif conditions.hub:
        wanted = None if conditions.per_pair is None else conditions.per_pair * HUB_RESERVE
        pairs = [
            pair
            for one in conditions.hub
            for pair in hub_pairs(
                one,
                sources=conditions.sources,
                target=conditions.target,
                rows=wanted,
                seed=recipe.schedule.seed,
            )
        ]
    else:
        texts = embedded_questions(conditions.task, codes)
        pairs = parallel_pairs(texts, sources=conditions.sources, target=conditions.target)
    check_no_answers(pairs)
    return choose(pairs, recipe, notes=notes)


# A task's questions


def embedded_questions(task: str, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Questions with cues of an embedded task that are free for training: language code to item to text.

    Raises:
        InputError: no such task, or no data in a language.
    """
    kind = KINDS.get(task)
    if kind is None:
        raise InputError(
            f"there are no embedded questions for the task {task!r}, only for {', '.join(KINDS)}; give data"
        )
    for code in codes:
        if code not in languages_of(kind):
            raise InputError(
                f"the {task} task has no questions in {code!r}; it has {', '.join(languages_of(kind))}"
            )
    reviews: dict[str, tuple[Review, ...]]
    if kind is SENTIMENT:
        reviews = {review.id: (review,) for review in train_reviews()}
    else:
        evaluated = {item.id for item in EmbeddedPairs(kind).items(ENGLISH)}
        made = nli_pairs() if kind.name == "nli" else paraphrase_pairs()
        reviews = {pair.id: (pair.first, pair.second) for pair in made if pair.id not in evaluated}
    found: dict[str, dict[str, str]] = {}
    for code in codes:
        form = wording(kind, code)
        found[code] = {
            item: form.question(tuple(write_review(review, code) for review in said)) + form.cue
            for item, said in reviews.items()
        }
    return found


def task_questions(task: Task, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Questions with cues of a task's own items: language code to item to text.

    Raises:
        InputError: the task has no data in a language.
    """
    return {
        code: {prompt.item: prompt.question + prompt.cue for prompt in task.prompts(code, shots=0)}
        for code in codes
    }
