"""Word tasks of Wendler et al. (2024, section 3.2): translation and repetition, between any two languages."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from unicodedata import normalize

from latentlang.arguments import check_count, split_names
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.seeding import shuffled
from latentlang.tasks.base import Prompt, Task, check_language, pick
from latentlang.tasks.cleaning import CONTROL, why_unusable, without_marks
from latentlang.text import counted

#: Languages to translate from: the first that is not the target; None for no translation.
Sources = str | Language | Iterable[str | Language] | None


@dataclass(frozen=True)
class Concept:
    """A thing with a name in each language.

    Attributes:
        id: category and English name (``"animal/dog"``).
        category: concepts of the same category are each other's null.
        words: language code to word; composed (NFC), and without invisible marks.

    Raises:
        InputError: a word is empty or holds a line break.
    """

    id: str
    category: str
    words: Mapping[str, str]

    def __post_init__(self) -> None:
        """Take invisible marks off: a direction mark before a word is read as another word by every tokenizer."""
        words = {code: without_marks(normalize("NFC", word)) for code, word in self.words.items()}
        for code, word in words.items():
            if not word or why_unusable(word) == CONTROL:
                raise InputError(f"concept {self.id!r}: the {code!r} word {self.words[code]!r} is no word")
        object.__setattr__(self, "words", words)


@cache
def embedded_concepts() -> tuple[Concept, ...]:
    """The concepts that ship with the package: a reviewed lexicon and Unicode CLDR names, in 20 languages."""
    record = json.loads(files("latentlang.tasks").joinpath("data/words.json").read_text(encoding="utf-8"))
    return tuple(Concept(c["id"], c["category"], c["words"]) for c in record["concepts"])


@cache
def embedded_categories() -> dict[str, dict[str, str]]:
    """Category to its name in each language."""
    record = json.loads(files("latentlang.tasks").joinpath("data/words.json").read_text(encoding="utf-8"))
    categories: dict[str, dict[str, str]] = record["categories"]
    return categories


def translation_line(source: str, word: str, target: str, translation: str | None) -> str:
    """One line of the format ``Français: "fleur" - 中文: "花"``; without a translation it ends at the cue."""
    line = f'{find_language(source).own_name}: "{word}" - {find_language(target).own_name}: "'
    return line if translation is None else f'{line}{translation}"'


def _fingerprint(concepts: tuple[Concept, ...]) -> str:
    """How many concepts, and a hash of all that they hold: two sets of words differ in it."""
    record = [[c.id, c.category, sorted(c.words.items())] for c in concepts]
    digest = hashlib.sha256(
        json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).hexdigest()
    return f"{len(concepts)} of one's own, sha256 {digest[:16]}"


class WordTask(Task):
    """Name a word of one language in another (the same one: repetition).

    The few-shot prefix is fixed per pair of languages, so that it can be run once, and its concepts are no items:
    no concept stands in its own few-shot prefix (Wendler et al. draw examples from the items themselves).

    Attributes:
        sources: codes of the languages translated from, in the order in which `source_of` chooses among them.
    """

    closed = False
    default_shots = 4
    next_step = (
        "words of your own come from CSV files: --data words.csv (task(..., data='words.csv') in Python)"
    )

    def __init__(
        self,
        *,
        source: Sources = None,
        concepts: Iterable[Concept] | None = None,
        only: str | Iterable[str] | None = None,
    ) -> None:
        """Set up the task.

        Args:
            source: language of the given word; of several the first that is not the target (those after the first only
                as far as there are words in them). None repeats the target language's own word.
            concepts: the words; the embedded ones by default.
            only: ids of the concepts that may be items (few-shot examples come from all); all by default.

        Raises:
            InputError: an unknown source language or concept id, an id that stands twice, or no concepts.
        """
        self._concepts = tuple(embedded_concepts() if concepts is None else concepts)
        if not self._concepts:
            raise InputError("a word task needs at least one concept")
        self._by_id = {concept.id: concept for concept in self._concepts}
        if len(self._by_id) < len(self._concepts):
            twice = next(name for name, n in Counter(c.id for c in self._concepts).items() if n > 1)
            raise InputError(f"the concept {twice!r} stands twice; give each an id of its own")
        self._by_category: dict[str, list[str]] = {}
        for concept in self._concepts:
            self._by_category.setdefault(concept.category, []).append(concept.id)
        # an id may have a comma in it: only one text is several ids
        ids = split_names(only) if isinstance(only, str) else only
        self._only = None if ids is None else tuple(dict.fromkeys(ids))
        if self._only == ():
            raise InputError("only= names no concept; give at least one, or leave it out for all")
        for name in self._only or ():
            if name not in self._by_id:
                raise unknown("concept", name, self._by_id)
        codes = () if source is None else tuple(entry.code for entry in find_languages(source))
        if codes and codes[0] not in self._codes:
            raise InputError(
                f"no words in the source language {codes[0]!r}; there are: {', '.join(self._codes)}; {self.next_step}"
            )
        self.sources = tuple(code for code in codes if code in self._codes)
        self.name = "translation" if self.sources else "repetition"
        # what a result notes of several: `settings_for`
        self.settings: dict[str, object] = {"source": self.sources[0]} if self.sources else {}
        if concepts is not None:
            self.settings["concepts"] = _fingerprint(self._concepts)
        if self._only is not None:
            self.settings["only"] = list(self._only)

    @property
    def _codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(code for concept in self._concepts for code in concept.words))

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that have words, except a single source."""
        return tuple(code for code in self._codes if self.sources != (code,))

    def source_of(self, language: str) -> str | None:
        """The first of the sources that is not the language itself; None where its own word is repeated."""
        code = find_language(language).code
        return next((source for source in self.sources if source != code), None)

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Prompts such as ``Français: "chien" - 日本語: "犬"⏎ ... Français: "fleur" - 日本語: "``."""
        code = find_language(language).code
        check_language(self, code)
        check_count("items", items, least=1)
        shots = self.default_shots if shots is None else shots
        check_count("shots", shots, least=0)
        source = self.source_of(code) or code
        order = shuffled([c.id for c in self._concepts], "words", seed)
        named = [
            self._by_id[i] for i in order if source in self._by_id[i].words and code in self._by_id[i].words
        ]
        # The examples are the last of the order, so that the first n items do not depend on the number of shots;
        # with `only`, examples come from the other concepts as far as these go.
        preferred = [c for c in named if self._only is not None and c.id not in self._only]
        rest = [c for c in named if self._only is None or c.id in self._only]
        examples = (rest + preferred)[-shots:] if shots else []
        used = {concept.id for concept in examples}
        chosen = [concept for concept in rest if concept.id not in used]
        if not chosen and not shots:
            raise InputError(f"{self.name} into {code!r} has none of the words that are asked")
        if not chosen or len(examples) < shots:
            raise InputError(
                f"{shots} few-shot examples leave no items: {self.name} into {code!r} has "
                f"{counted(len(named), 'word')}; "
                "ask for fewer --shots"
            )
        few_shot = "".join(
            translation_line(source, c.words[source], code, c.words[code]) + "\n" for c in examples
        )
        prompts = []
        for concept in chosen:
            line = translation_line(source, concept.words[source], code, None)
            cue_length = len(f'" - {find_language(code).own_name}: "')
            prompts.append(
                Prompt(concept.id, code, concept.id, few_shot, line[:-cue_length], line[-cue_length:])
            )
        return pick(prompts, items)

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Concept id to its word in the language."""
        code = find_language(language).code
        return {c.id: (c.words[code],) for c in self._concepts if code in c.words}

    def given(self, language: str) -> str | None:
        """The source language; the target language where its own word is repeated."""
        return self.source_of(language) or find_language(language).code

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other concepts of the same category."""
        if label not in self._by_id:
            raise unknown("concept", label, self._by_id)
        return tuple(i for i in self._by_category[self._by_id[label].category] if i != label)
