"""Word tasks on CSV files: translation, repetition, and the cloze task of Wendler et al. (2024, section 3.2).

The latent word of an item is ``answers("en")[item]``, the target word ``answers(language)[item]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.seeding import shuffled
from latentlang.tasks.base import Prompt, check_language, pick
from latentlang.tasks.files import Paths
from latentlang.tasks.word_files import WordFiles, read_words
from latentlang.tasks.words import Sources, WordTask


class FileWordTask(WordTask):
    """Translation or repetition of words from CSV files.

    Attributes:
        files: what was read, with what was skipped (`WordFiles.skipped`).
    """

    next_step = (
        "add its words to the files that --data (data= in Python) names: a row each, or a column where languages are "
        "columns"
    )

    def __init__(
        self, *, data: Paths, source: Sources = None, only: str | Iterable[str] | None = None
    ) -> None:
        """Set up the task.

        Args:
            data: CSV files or a folder of them (`read_words`).
            source: language of the given word, or several, as in `WordTask`.
            only: ids of the concepts that may be items; ``files.common`` makes them the same in every language.

        Raises:
            InputError: files that cannot be used, or an unknown source language or concept.
        """
        self.files: WordFiles = read_words(data)
        super().__init__(source=source, concepts=self.files.concepts, only=only)
        self.settings = {**self.settings, "data": [str(path) for path in self.files.paths]}
        self._nulls: dict[str, tuple[str, ...]] = {}

    @property
    def notes(self) -> Mapping[str, str]:
        """Language code to what was left out or put right in its file."""
        return self.files.notes()

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other concepts, except those with the same word in some language (German ``Boden``: floor and soil)."""
        if label not in self._nulls:
            pairs = {(code, word.casefold()) for code, word in self._word_pairs(label)}
            self._nulls[label] = tuple(
                name
                for name in super().wrong_labels(label)
                if pairs.isdisjoint((code, word.casefold()) for code, word in self._word_pairs(name))
            )
        return self._nulls[label]

    def _word_pairs(self, label: str) -> Iterable[tuple[str, str]]:
        return self._by_id[label].words.items() if label in self._by_id else ()


class ClozeTask(FileWordTask):
    """Fill the blank of a definition (``A "___" is used to carry items. Answer: "bag".``).

    The sentences come from the user's CSV files; none come with the package. As in the other word tasks the few-shot
    examples are fixed per language and its concepts are no items (Wendler et al. draw examples from the items).
    """

    default_shots = 2

    def __init__(self, *, data: Paths | None = None, only: str | Iterable[str] | None = None) -> None:
        """Set up the task.

        Args:
            data: CSV files or a folder of them (`read_words`), with the column ``blank_prompt_translation_masked``.
                Without it the task has no language.
            only: ids of the concepts that may be items.

        Raises:
            InputError: files that cannot be used or have no cloze sentence, or an unknown concept.
        """
        self._has_data = data is not None
        if data is None:
            self.name, self.settings, self.sources = "cloze", {}, ()
            return
        super().__init__(data=data, only=only)
        self.name = "cloze"
        if not self.files.clozes:
            raise InputError(
                f"no cloze sentences in {', '.join(map(str, self.files.paths))}: they stand in a column "
                "'blank_prompt_translation_masked', such as 'A \"___\" is used to carry items. Answer: \"bag\".'"
            )

    @property
    def notes(self) -> Mapping[str, str]:
        """Language code to what was left out or put right in its file."""
        return self.files.notes(cloze=True) if self._has_data else {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that have sentences."""
        return tuple(self.files.clozes) if self._has_data else ()

    def _needs_data(self) -> None:
        if not self._has_data:
            raise InputError(
                "the cloze task needs definitions, which do not come with latentlang: give it CSV files with "
                "--data words.csv (task('cloze', data='words.csv') in Python), columns lang, word_original, "
                "word_translation, blank_prompt_translation_masked"
            )

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Prompts such as ``A "___" is ... Answer: "rock".⏎ ... A "___" is ... Answer: "``.

        Concepts that have a sentence in every language come first, so that the first n are the same in all.
        """
        self._needs_data()
        code = find_language(language).code
        check_language(self, code)
        shots = self.default_shots if shots is None else shots
        check_count("shots", shots, least=0)
        clozes = self.files.clozes[code]
        order = shuffled([concept.id for concept in self._concepts], "words", seed)
        everywhere = set.intersection(*(set(each) for each in self.files.clozes.values()))
        order = sorted((name for name in order if name in clozes), key=lambda name: name not in everywhere)
        askable = [name for name in order if self._only is None or name in self._only]
        others = [name for name in order if name not in set(askable)]
        examples = (askable + others)[-shots:] if shots else []
        chosen = [name for name in askable if name not in set(examples)]
        if not chosen and not shots:
            raise InputError(f"cloze in {code!r} has none of the sentences that are asked")
        if not chosen or len(examples) < shots:
            raise InputError(
                f"{shots} few-shot examples leave no items: cloze in {code!r} has {len(clozes)} sentences; ask for "
                "fewer --shots"
            )
        few_shot = "".join(
            f"{clozes[name].question}{clozes[name].cue}{self._by_id[name].words[code]}{clozes[name].ending}\n"
            for name in examples
        )
        return pick(
            [Prompt(name, code, name, few_shot, clozes[name].question, clozes[name].cue) for name in chosen],
            items,
        )

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Concept id to its word in the language; in English, the latent word."""
        self._needs_data()
        return super().answers(language)

    def given(self, language: str) -> str | None:
        """None: the prompt describes the word."""
        return None

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other concepts, except those with the same word in some language."""
        self._needs_data()
        return super().wrong_labels(label)
