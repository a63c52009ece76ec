"""Question alignment (Zhang et al. 2024): where its question translations come from, and what is said of them.

They come from a task's own questions, from files in the paper's layout, or from sets on a hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from latentlang.errors import InputError
from latentlang.storage.documents import Record
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
from latentlang.text import listed
from latentlang.training.data.base import (
    ControlWords,
    DataWords,
    RecipeParts,
    TrainingData,
    english_name,
    given_examples,
)
from latentlang.training.data.exports import export
from latentlang.training.data.hub_pairs import HUB_RESERVE, hub_pairs
from latentlang.training.data.leakage import check_no_answers
from latentlang.training.data.question_files import read_pairs
from latentlang.training.data.question_settings import QuestionSettings
from latentlang.training.data.questions import AlignmentData, QuestionPair, choose, parallel_pairs


class _SavedQuestions(Record):
    sources: list[str]
    target: str


_WRONG_PAIRS = ControlWords(
    name="wrong pairs",
    about="every question got another item's translation",
    how_to_read="Here every question was given the translation of another one: the negative control. Its loss can only "
    "fall as far as form goes: which kind of sentence comes, and with which words.",
)


class QuestionAlignment(QuestionSettings):
    """Question translations, never an answer among them: the kind that recipes are of unless they say another."""

    saved: ClassVar[type[Record]] = _SavedQuestions

    def load(
        self,
        recipe: RecipeParts,
        *,
        task: Task | None = None,
        data: PathLike | AlignmentData | Iterable[QuestionPair] | None = None,
    ) -> AlignmentData:
        """As `alignment_data`."""
        if isinstance(data, AlignmentData):
            return data
        if isinstance(data, TrainingData):
            raise InputError(f"question alignment takes AlignmentData, not {type(data).__name__}")
        if task is not None and data is not None:
            raise InputError("give a task or data to take questions from, not both")
        codes = list(dict.fromkeys([*self.sources, self.target]))
        notes: list[str] = []
        downloads: tuple[str, ...] = ()
        if isinstance(data, str | Path):
            pairs = read_pairs(data)
        elif data is not None:
            pairs = given_examples(data, QuestionPair)
        elif task is not None:
            pairs = parallel_pairs(task_questions(task, codes), sources=self.sources, target=self.target)
            notes.append(f"the questions are those that the {task.name} task evaluates with")
        elif self.hub:
            downloads = tuple(one.label for one in self.hub)
            rows = None if self.per_pair is None else self.per_pair * HUB_RESERVE
            pairs = [
                pair
                for one in self.hub
                for pair in hub_pairs(
                    one, sources=self.sources, target=self.target, rows=rows, seed=recipe.schedule.seed
                )
            ]
        else:
            texts = embedded_questions(self.task, codes)
            pairs = parallel_pairs(texts, sources=self.sources, target=self.target)
        self.check_leakage(pairs)
        return replace(choose(pairs, recipe, notes=notes), downloads=downloads)

    def check_leakage(self, examples: Iterable[QuestionPair]) -> None:
        """Refuse translations in which a known cue is followed by one of its answers."""
        check_no_answers(examples)

    def languages_of(self, data: TrainingData[Any]) -> tuple[str, ...]:
        """The sources and the target."""
        return (*self.sources, self.target)

    def export(self, data: TrainingData[Any], folder: PathLike, *, layout: str) -> list[Path]:
        """Write the translations as files for another trainer, see `data.exports.export`."""
        if not isinstance(data, AlignmentData):
            raise InputError(f"question translations are exported, not {type(data).__name__}")
        return export(data, folder, task=self.task, layout=layout)

    @classmethod
    def words(cls, record: Mapping[str, Any], *, languages: Sequence[str], task: str) -> DataWords:
        """What is said of question translations."""
        sources, target = [str(code) for code in record["sources"]], str(record["target"])
        into = english_name(target)
        return DataWords(
            title=f"Question translation: {listed([english_name(code) for code in sources])} to {into}",
            own_names=(tuple(sources), (target,)),
            about=f"{task} questions",
            noun="translation",
            output="translation",
            trained_on=f"{record.get('task')} questions, {', '.join(sources)} into {target}",
            how_to_read="The model is given a question in one language and trained to write the same question in "
            f"{into}",
            after=(
                "The first fall is mostly form: which kind of sentence comes, and with which words. How far form alone "
                "goes is seen in a run with wrong pairs (wrong_pairs in the recipe); only what lies below that is "
                "translation. And whether the model then does the task better, and in which languages, is for an "
                "evaluation to say.",
            ),
            control=_WRONG_PAIRS if record.get("wrong_pairs") else None,
        )


def alignment_data(
    recipe: RecipeParts,
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
        InputError: the recipe is of another kind; no such data, or data that give an answer away, or too few.
    """
    if not isinstance(recipe.data, QuestionAlignment):
        raise InputError(f"recipe {recipe.name!r} is of kind {recipe.data.kind!r}; use training_data")
    return recipe.data.load(recipe, task=task, data=data)


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
        pairs = nli_pairs() if kind.name == "nli" else paraphrase_pairs()
        reviews = {pair.id: (pair.first, pair.second) for pair in pairs if pair.id not in evaluated}
    questions: dict[str, dict[str, str]] = {}
    for code in codes:
        form = wording(kind, code)
        questions[code] = {
            item: form.question(tuple(write_review(review, code) for review in said)) + form.cue
            for item, said in reviews.items()
        }
    return questions


def task_questions(task: Task, codes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Questions with cues of a task's own items: language code to item to text.

    Raises:
        InputError: the task has no data in a language.
    """
    return {
        code: {prompt.item: prompt.question + prompt.cue for prompt in task.prompts(code, shots=0)}
        for code in codes
    }
