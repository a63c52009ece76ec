"""Tasks: what a model is asked, in which language, and what each language would answer.

Word tasks (Wendler et al. 2024): ``task("translation", source="fr")`` names a word of one language in another,
``task("repetition")`` repeats it, ``task("cloze", data="langs/")`` asks for the word of a definition.
Closed tasks (Zhang et al. 2024): ``task("sentiment")``, ``task("nli")``, ``task("paraphrase")``.
Tasks whose items have candidates of their own, from published files: ``task("xcopa", data=FOLDER)``, ``xwinograd``,
``hellaswag`` and others; ``task("choice", data="mine.jsonl")``.
All but cloze and these come with small data of their own; all read the published files with ``data=PATH``, and NLI and
paraphrase sets on the Hugging Face hub with ``data="hub:xnli"`` and ``data="hub:paws-x"``.
A task of one's own has a name once it is registered: ``register("colours", Colours, about="which colour has it")``.
"""

from __future__ import annotations

from latentlang.tasks.base import Candidate, Prompt, Task
from latentlang.tasks.candidates import CandidateTask
from latentlang.tasks.choice import ChoiceTask
from latentlang.tasks.cloze import ClozeTask, FileWordTask
from latentlang.tasks.continuation import ContinuationTask
from latentlang.tasks.parallel_text import ParallelText, Translation
from latentlang.tasks.reading_comprehension import ReadingTask
from latentlang.tasks.registry import TASKS, TaskRecord, as_task, closed_tasks, register, task, task_record
from latentlang.tasks.reviews import SentimentTask
from latentlang.tasks.shipped import DEFAULT_SOURCES
from latentlang.tasks.texts import Texts, prompts_of_texts
from latentlang.tasks.words import Concept, WordTask

__all__ = [
    "DEFAULT_SOURCES",
    "TASKS",
    "Candidate",
    "CandidateTask",
    "ChoiceTask",
    "ClozeTask",
    "Concept",
    "ContinuationTask",
    "FileWordTask",
    "ParallelText",
    "Prompt",
    "ReadingTask",
    "SentimentTask",
    "Task",
    "TaskRecord",
    "Texts",
    "Translation",
    "WordTask",
    "as_task",
    "closed_tasks",
    "prompts_of_texts",
    "register",
    "task",
    "task_record",
]
