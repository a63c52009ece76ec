"""The tasks that come with the package, each one `register`: its module and a record here are all it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Literal

from latentlang.errors import InputError
from latentlang.tasks.base import Task
from latentlang.tasks.benchmarks import (
    ARC,
    CHOICE,
    HELLASWAG,
    MMLU,
    NUSAX,
    XCOPA,
    XNLI_CHOICE,
    XSTORYCLOZE,
    XWINOGRAD,
)
from latentlang.tasks.candidates import CandidateTask
from latentlang.tasks.choice import ChoiceTask
from latentlang.tasks.cloze import ClozeTask, FileWordTask
from latentlang.tasks.continuation import ContinuationTask
from latentlang.tasks.files import PathLike, Paths
from latentlang.tasks.hub import PAWS_X, XNLI
from latentlang.tasks.hub_text import FLORES
from latentlang.tasks.labels import NLI, PARAPHRASE, SENTIMENT, Protocol, check_protocol
from latentlang.tasks.reading_comprehension import BELEBELE, ReadingTask
from latentlang.tasks.registry import register
from latentlang.tasks.reviews import Answers, SentimentTask
from latentlang.tasks.word_files import ENGLISH, read_words
from latentlang.tasks.words import Concept, Sources, WordTask

#: Languages translated from by default: the second where the first itself is asked for.
DEFAULT_SOURCES = ("fr", "de")


def _words(
    data: Paths | None,
    concepts: Iterable[Concept] | None,
    only: str | Iterable[str] | None,
    source: Sources = None,
) -> Task:
    if data is None:
        return WordTask(source=source, concepts=concepts, only=only)
    if concepts is not None:
        raise InputError("data and concepts both say which words are asked; give one of them")
    return FileWordTask(data=data, source=source, only=only)


def _translation(
    *,
    data: Paths | None = None,
    source: Sources = DEFAULT_SOURCES,
    concepts: Iterable[Concept] | None = None,
    only: str | Iterable[str] | None = None,
) -> Task:
    if data is not None and concepts is None and source is DEFAULT_SOURCES:
        source = _sources_in(data)
    return _words(data, concepts, only, source)


def _sources_in(data: Paths) -> tuple[str, ...]:
    """The default sources that files have words in; English, which every file has, where they have neither."""
    there = {code for concept in read_words(data).concepts for code in concept.words}
    return tuple(code for code in DEFAULT_SOURCES if code in there) or (ENGLISH,)


def _repetition(
    *,
    data: Paths | None = None,
    concepts: Iterable[Concept] | None = None,
    only: str | Iterable[str] | None = None,
) -> Task:
    return _words(data, concepts, only)


def _sentiment(
    *,
    data: PathLike | None = None,
    blocks: PathLike | None = None,
    answers: Answers = "same",
    protocol: Protocol = "corrected",
    accept: Mapping[str, str | Iterable[str]] | None = None,
    adjectives: Literal["all", "seen", "held-out"] = "all",
) -> Task:
    if data is not None:
        if adjectives != "all":
            raise InputError("adjectives chooses among the embedded reviews; leave it out with data")
        return ChoiceTask(
            SENTIMENT, data=data, blocks=blocks, answers=answers, protocol=protocol, accept=accept
        )
    # The embedded reviews are ours in either protocol, and their cues and answer words are the published ones.
    check_protocol(protocol)
    for name, value in (("blocks", blocks), ("accept", accept)):
        if value is not None:
            raise InputError(f"{name} is for items from files: give their folder as data")
    return SentimentTask(answers=answers, adjectives=adjectives)


register(
    "translation",
    _translation,
    about="translate a word from one language into another, few-shot (Wendler et al. 2024)",
)
register("repetition", _repetition, about="repeat a word in its own language, few-shot (Wendler et al. 2024)")
register(
    "cloze",
    ClozeTask,
    about="fill the blank of a definition, 2-shot, from your own CSV files (Wendler et al. 2024)",
)
register(
    "sentiment",
    _sentiment,
    about="is a short review positive or negative, 2-shot (Zhang et al. 2024)",
    closed=True,
)
register(
    "nli",
    partial(ChoiceTask, NLI),
    about="does a statement follow from another, contradict it, or neither, few-shot (Zhang et al. 2024)",
    closed=True,
    hub_datasets=[XNLI],
)
register(
    "paraphrase",
    partial(ChoiceTask, PARAPHRASE),
    about="do two sentences say the same, few-shot (Zhang et al. 2024)",
    closed=True,
    hub_datasets=[PAWS_X],
)
register(
    "reading",
    ReadingTask,
    about="which of four answers does a passage give, from Belebele (Bandarkar et al. 2024)",
    closed=True,
    hub_datasets=[BELEBELE],
)
register(
    "continuation",
    ContinuationTask,
    about="no question: paragraphs of your own parallel text, or of the declaration of human rights, as they are",
    hub_datasets=[FLORES],
)

for _benchmark, _about in (
    (XCOPA, "which of two sentences is the cause or the effect, from XCOPA's files (Ponti et al. 2020)"),
    (XSTORYCLOZE, "which of two sentences ends a story, from XStoryCloze's files (Lin et al. 2022)"),
    (
        XWINOGRAD,
        "which of two names a pronoun stands for, from XWinograd's files (Tikhonov and Ryabinin 2021)",
    ),
    (
        HELLASWAG,
        "which of four texts goes on, from files of HellaSwag and its translations (Zellers et al. 2019)",
    ),
    (ARC, "which answer a question has, from files of ARC and its translations (Clark et al. 2018)"),
    (MMLU, "which letter, from files of MMLU, its translations and CMMLU (Hendrycks et al. 2021)"),
    (XNLI_CHOICE, "yes, maybe or no between two statements, from XNLI's files (Conneau et al. 2018)"),
    (NUSAX, "sentiment of three classes, from NusaX's files (Winata et al. 2023)"),
    (CHOICE, "items with candidates of your own, from a file of JSON lines"),
):
    register(_benchmark.name, partial(CandidateTask, _benchmark), about=_about, closed=True)
