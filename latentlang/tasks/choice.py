"""Closed tasks with items from files, hub sets or the embedded pairs: sentiment, NLI, paraphrase (Zhang et al. 2024).

Labels are classes; answers are words. ``protocol="as-published"`` keeps what the paper's scripts do (published cues,
blocks to the letter, file order) and says what their scorer would have counted as right (`ChoiceTask.scored_labels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.tasks.base import Prompt, Task, check_language, pick
from latentlang.tasks.few_shot import FewShotPrefixes
from latentlang.tasks.files import PathLike
from latentlang.tasks.hub import HubItems, is_hub
from latentlang.tasks.labels import (
    Kind,
    Protocol,
    Wording,
    answer_words,
    check_protocol,
    languages_of,
    scorer_words,
    wording,
    words,
)
from latentlang.tasks.pairs import EmbeddedPairs, balanced
from latentlang.tasks.paper_files import Item, PaperFiles
from latentlang.tasks.reviews import Answers, check_answer_mode


class ChoiceTask(Task):
    """Which of a few labels fits an item?

    Attributes:
        kind: the task's labels and fields.
        default_shots: the paper's number for items from files and hub sets; one per label for the embedded pairs.
        protocol: ``"corrected"`` or ``"as-published"``.
    """

    closed = True
    next_step = (
        "items of your own come from files: --data FOLDER; words to translate, in any language, with --task "
        "translation --data words.csv"
    )

    def __init__(
        self,
        kind: Kind,
        *,
        data: PathLike | None = None,
        blocks: PathLike | None = None,
        answers: Answers = "same",
        protocol: Protocol = "corrected",
        accept: Mapping[str, str | Iterable[str]] | None = None,
    ) -> None:
        """Set up the task.

        Args:
            kind: which task.
            data: folder with JSON files in the paper's layout (`PaperFiles`), or a set on the hub (``"hub:xnli"``,
                `HubItems`); the embedded pairs by default.
            blocks: JSON file of few-shot prefixes (`FewShotPrefixes`); by default ``few_shot_blocks.json`` in `data`,
                and where there is none the first items of each label in turn, which then are no items.
            answers: answer in the question's language (``"same"``), in English (``"en"``), or with words that mean
                nothing about the task (``"agnostic"``).
            protocol: ``"corrected"`` words cues and answers as a native speaker would, reads labels as classes and
                puts exchanged labels right; ``"as-published"`` keeps the published blocks, cues, words and order.
            accept: label to further strings that name it in the files.

        Raises:
            InputError: an option has no such value, or the files cannot be used.
        """
        check_answer_mode(answers)
        check_protocol(protocol)
        if (data is None or is_hub(data)) and (blocks is not None or accept is not None):
            raise InputError(
                f"{'blocks' if blocks is not None else 'accept'} is for items from files: give their folder as data"
            )
        self.kind = kind
        self.name = kind.name
        # One example per label is what the embedded models' 512 tokens hold in every language.
        self.default_shots = kind.shots if data is not None else len(kind.labels)
        self.protocol = protocol
        self._answers = answers
        self._files: PaperFiles | None = None
        # Items that have few-shot examples of their own.
        self._pairs: EmbeddedPairs | HubItems | None = None
        if data is None:
            self._pairs = EmbeddedPairs(kind)
        elif is_hub(data):
            self._pairs = HubItems(kind, data)
        else:
            accept = {
                label: (strings,) if isinstance(strings, str) else tuple(strings)
                for label, strings in (accept or {}).items()
            }
            self._files = PaperFiles(kind, data, accept=accept)
        self._blocks = _find_blocks(kind, self._files, blocks)
        settings: dict[str, Any] = {"answers": answers, "protocol": protocol, "data": "embedded"}
        if self._files is not None:
            settings["data"] = str(self._files.root)
            if accept:
                settings["accept"] = {label: list(strings) for label, strings in accept.items()}
        elif isinstance(self._pairs, HubItems):
            settings["data"] = self._pairs.origin
        if self._blocks is not None:
            settings["blocks"] = str(self._blocks.path)
        self.settings = settings

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that have items."""
        source = self._files or self._pairs
        return source.languages if source is not None else ()

    @property
    def notes(self) -> Mapping[str, str]:
        """Language code to what was put right in its items, for the target languages so far."""
        source = self._files or self._pairs
        return {} if source is None or isinstance(source, EmbeddedPairs) else dict(source.notes)

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """Prompts such as ``{examples}Premise: ...⏎Hypothesis: ...⏎Answer: "``, labels alternating.

        As published, items from files stand in the file's order (the first n are then not balanced), whatever `seed`.

        Raises:
            InputError: no items in the language, an impossible number, or (as published) no published few-shot prefix
                or words for this answer mode.
        """
        code = find_language(language).code
        check_language(self, code)
        check_count("shots", shots, least=0)
        answers = self.answers(code)
        published = self.protocol == "as-published"
        if published and self._blocks is not None:
            few_shot, form = self._blocks.published(code, self._answers)
            if shots not in (None, self.default_shots):
                raise InputError(
                    f"the published {self.name} few-shot prefix has {self.default_shots} examples, not {shots}; "
                    "protocol='corrected' takes fewer"
                )
            chosen = self._read(code)
        else:
            form = wording(self.kind, code, protocol=self.protocol)
            examples, chosen = self._examples_and_items(code, shots, seed)
            few_shot = "".join(form.example(item.texts, answers[item.label][0]) for item in examples)
        ordered = list(chosen) if published and self._files else balanced(chosen, self.kind.labels, seed=seed)
        return pick([_prompt(item, code, few_shot, form) for item in ordered], items)

    def _read(self, code: str) -> tuple[Item, ...]:
        """All items of a language, labelled as the protocol says."""
        if self._files is not None:
            return (
                self._files.as_written(code) if self.protocol == "as-published" else self._files.items(code)
            )
        assert self._pairs is not None
        return self._pairs.items(code)

    def _examples_and_items(
        self, code: str, shots: int | None, seed: int
    ) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
        """Few-shot examples and the items that are none."""
        items = self._read(code)
        count = self.default_shots if shots is None else shots
        if self._pairs is not None:
            return self._pairs.examples(code, shots=count, seed=seed), items
        if self._blocks is not None:
            examples = self._blocks.examples(code, self._answers)
            if count > len(examples):
                raise InputError(
                    f"the {self.name} few-shot prefix for {code!r} has {len(examples)} examples, not {count}"
                )
            return examples[:count], items
        # Set aside as many as the default at least, so that items do not depend on asking for fewer shots.
        aside = _first_of_each(items, self.kind.labels, max(count, self.default_shots))
        names = {item.id for item in aside}
        rest = tuple(item for item in items if item.id not in names)
        if count < self.default_shots and not rest:
            raise InputError(
                f"{self.name} in {code!r} has {len(items)} items, which are all set aside for few-shot examples (at "
                f"least {self.default_shots}, however few are asked for); give more items, or blocks"
            )
        if len(aside) < count or not rest:
            raise InputError(
                f"{count} few-shot examples leave no items: {self.name} in {code!r} has {len(items)}; ask for fewer "
                "shots, or give a file of few-shot prefixes (blocks)"
            )
        return aside[:count], rest

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Label to answer, in the language or as the answer mode says.

        Raises:
            InputError: the language has no answer words, or (as published) none were published for this mode.
        """
        code = find_language(language).code
        if code not in languages_of(self.kind):
            raise InputError(
                f"the {self.name} task has no answer words in {code!r}; it has {', '.join(languages_of(self.kind))}"
            )
        answers = answer_words(self.kind, code, answers=self._answers, protocol=self.protocol)
        if answers is None:
            raise InputError(
                f"the paper published no {self.name} answers of mode {self._answers!r}; use answers='en', or "
                "protocol='corrected'"
            )
        return {label: (answers[label],) for label in self.kind.labels}

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """The other labels."""
        return tuple(name for name in self.kind.labels if name != label)

    def gold_strings(self, language: str) -> Mapping[str, str]:
        """Item id to the answer as its file says it (embedded items: the language's word)."""
        code = find_language(language).code
        check_language(self, code)
        by_label = words(self.kind, code)
        return {item.id: item.gold or by_label[item.label] for item in self._read(code)}

    def scorer_strings(self, language: str) -> Mapping[str, str]:
        """Label to the string that the published scorer compares an item's answer with.

        Raises:
            InputError: under the corrected protocol, where labels are classes and no string is compared.
        """
        code = find_language(language).code
        check_language(self, code)
        if self.protocol != "as-published":
            raise InputError("labels are classes here; only protocol='as-published' compares strings")
        return scorer_words(self.kind, code)

    def scored_labels(self, language: str) -> Mapping[str, str | None]:
        """Item id to the one label that counts as right; None where none can.

        Corrected: the item's label. As published: the label whose string is the item's gold string to the letter, so
        that Japanese ``中性`` and Bengali ``ধারণ করে`` can never be right, and the exchanged labels of Norwegian stay.
        """
        code = find_language(language).code
        check_language(self, code)
        if self.protocol != "as-published" or self._files is None:
            return {item.id: item.label for item in self._read(code)}
        by_string = {text: label for label, text in scorer_words(self.kind, code).items()}
        return {item.id: by_string.get(item.gold) for item in self._read(code)}


def _prompt(item: Item, code: str, few_shot: str, form: Wording) -> Prompt:
    return Prompt(item.id, code, item.label, few_shot, form.question(item.texts), form.cue)


def _find_blocks(kind: Kind, files: PaperFiles | None, blocks: PathLike | None) -> FewShotPrefixes | None:
    if blocks is not None:
        return FewShotPrefixes(kind, blocks)
    return None if files is None else FewShotPrefixes.in_folder(kind, files.root)


def _first_of_each(items: tuple[Item, ...], labels: tuple[str, ...], count: int) -> tuple[Item, ...]:
    """The first items of each label in turn (published paraphrase files are sorted by label)."""
    by_label = [[item for item in items if item.label == label][:count] for label in labels]
    chosen = [group[turn] for turn in range(count) for group in by_label if turn < len(group)]
    return tuple(chosen[:count])
