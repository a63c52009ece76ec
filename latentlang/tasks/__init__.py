"""Tasks: what a model is asked, in which language, and what each language would answer.

Word tasks (Wendler et al. 2024): ``task("translation", source="fr")`` names a word of one language in another,
``task("repetition")`` repeats it, ``task("cloze", data="langs/")`` asks for the word of a definition.
Closed tasks (Zhang et al. 2024): ``task("sentiment")``, ``task("nli")``, ``task("paraphrase")``.
All but cloze come with small data of their own; all read the published files with ``data=PATH``, and NLI and
paraphrase sets on the Hugging Face hub with ``data="hub:xnli"`` and ``data="hub:paws-x"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentlang.errors import InputError, unknown
from latentlang.tasks.base import Prompt, Task
from latentlang.tasks.choice import ChoiceTask
from latentlang.tasks.cloze import ClozeTask, FileWordTask
from latentlang.tasks.files import PathLike, Paths
from latentlang.tasks.labels import KINDS, NLI, PARAPHRASE, SENTIMENT, Protocol, check_protocol
from latentlang.tasks.reading_comprehension import ReadingTask
from latentlang.tasks.reviews import SentimentTask
from latentlang.tasks.words import Concept, WordTask

__all__ = [
    "CLOSED",
    "TASKS",
    "ChoiceTask",
    "ClozeTask",
    "Concept",
    "FileWordTask",
    "Prompt",
    "ReadingTask",
    "SentimentTask",
    "Task",
    "WordTask",
    "as_task",
    "task",
]

DEFAULT_SOURCE = "fr"


def _translation(*, data: Paths | None = None, source: str = DEFAULT_SOURCE, **options: Any) -> Task:
    return _words(data=data, source=source, **options)


def _words(*, data: Paths | None = None, **options: Any) -> Task:
    return WordTask(**options) if data is None else FileWordTask(data=data, **options)


def _sentiment(*, data: PathLike | None = None, protocol: Protocol = "corrected", **options: Any) -> Task:
    if data is not None:
        return ChoiceTask(SENTIMENT, data=data, protocol=protocol, **options)
    # The embedded reviews are ours in either protocol, and their cues and answer words are the published ones.
    check_protocol(protocol)
    return SentimentTask(**options)


def _nli(**options: Any) -> Task:
    return ChoiceTask(NLI, **options)


def _paraphrase(**options: Any) -> Task:
    return ChoiceTask(PARAPHRASE, **options)


_BUILDERS: dict[str, Callable[..., Task]] = {
    "translation": _translation,
    "repetition": _words,
    "cloze": ClozeTask,
    "sentiment": _sentiment,
    "nli": _nli,
    "paraphrase": _paraphrase,
    "reading": ReadingTask,
}

TASKS: dict[str, str] = {
    "translation": "translate a word from one language into another, few-shot (Wendler et al. 2024)",
    "repetition": "repeat a word in its own language, few-shot (Wendler et al. 2024)",
    "cloze": "fill the blank of a definition, 2-shot, from your own CSV files (Wendler et al. 2024)",
    "sentiment": "is a short review positive or negative, 2-shot (Zhang et al. 2024)",
    "nli": "does a statement follow from another, contradict it, or neither, few-shot (Zhang et al. 2024)",
    "paraphrase": "do two sentences say the same, few-shot (Zhang et al. 2024)",
    "reading": "which of four answers does a passage give, from Belebele (Bandarkar et al. 2024)",
}
#: Tasks with a small closed set of labels, which an evaluation chooses between.
CLOSED = (*KINDS, "reading")


def task(name: str, **options: Any) -> Task:
    """Build a task by name.

    Args:
        name: a key of `TASKS`.
        **options: the task's own options, e.g. ``source="fr"`` for translation, ``answers="en"`` for closed tasks,
            ``data=PATH`` for files of one's own (a folder of JSON files in the paper's layout, or CSV files of words),
            ``data="hub:xnli"`` or ``data="hub:paws-x"`` for these sets on the Hugging Face hub,
            ``protocol="as-published"`` for the paper's own cues, blocks and words.

    Raises:
        InputError: no such task, or no such option, or files that cannot be used.
    """
    builder = _BUILDERS.get(name)
    if builder is None:
        raise unknown("task", name, _BUILDERS, hint="`latentlang tasks` lists them")
    try:
        return builder(**options)
    except TypeError as error:
        raise InputError(f"the {name} task does not take these options: {error}") from error


def as_task(given: str | Task) -> Task:
    """The task itself, or the one of a name with its defaults.

    Raises:
        InputError: no such task, or something that is neither a task nor a name.
    """
    if isinstance(given, Task):
        return given
    if isinstance(given, str):
        return task(given)
    raise InputError(f"a task or the name of one is needed, not {type(given).__name__}; task(...) makes one")
