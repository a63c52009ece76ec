"""Instruction tuning: instructions with their outputs in several languages, from files, mixed by weights.

The model is given an instruction in a prompt template and trained to write its output; the loss counts the outputs and
the tokens that end them, nothing of the template, unless a recipe says ``loss: all``. A dialogue of several exchanges
is one example, all of whose answers are learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from latentlang.arguments import MOST, split_names
from latentlang.errors import InputError
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.files import read_dialogues
from latentlang.instructions.hub import hub_dialogues
from latentlang.instructions.prompt_templates import CHAT, DialoguePiece, template, templates
from latentlang.instructions.splits import held_out
from latentlang.language_names import language
from latentlang.seeding import generator
from latentlang.storage.documents import Record
from latentlang.tasks import Task
from latentlang.tasks.files import PathLike
from latentlang.tasks.hub import is_hub
from latentlang.text import counted, listed
from latentlang.training.data.base import (
    DataSettings,
    DataWords,
    RecipeParts,
    TrainingData,
    TrainingExample,
    given_examples,
    held_share,
    language_codes,
    named,
)
from latentlang.training.data.instruction_controls import WRONG_PAIRS, check_origins, part_order, wrong_pairs
from latentlang.training.data.leakage import answer_in
from latentlang.training.dialogue_tokens import Overlong, tokenize_pieces

if TYPE_CHECKING:
    from latentlang.models import HookedLM
    from latentlang.training.tokenization import TokenizedExamples


_EVALUATED = "en"
# Rounding of a weight times a scale must not lose an example.
_TINY = 1e-9


class _SavedInstructions(Record):
    template: str = "plain"


@dataclass(frozen=True, slots=True)
class DialogueExample:
    """A dialogue that is learnt: all of its answers.

    Attributes:
        dialogue: its turns.
        input: all that comes before its last answer, in the template; under the template ``chat``, which the model's
            tokenizer writes, the turns with their speakers.
        template: name of its template, or a text of one's own.
    """

    dialogue: Dialogue
    input: str
    template: str

    @property
    def id(self) -> str:
        """Names the item: its group."""
        return self.dialogue.group

    @property
    def language(self) -> str:
        """Code of the answers' language."""
        return self.dialogue.answer_language

    @property
    def group(self) -> str:
        """What it is counted under: its language."""
        return self.language

    @property
    def output(self) -> str:
        """The last answer."""
        return self.dialogue.output

    @property
    def origin(self) -> str:
        """Where it comes from; empty where nobody said."""
        return self.dialogue.origin


AnyInstruction = TrainingExample | DialogueExample


class Instructions(DataSettings):
    """Instructions with their outputs.

    Attributes:
        kind: ``instructions``.
        files: what `latentlang.instructions.read_dialogues` reads: JSON lines, JSON lists, tables and Parquet in any
            published layout, folders of them; or ``hub:ORG/NAME``.
        languages: codes of the languages to take; all there are where it is empty. With one language, records need not
            say theirs.
        per_language: the most examples of each language, training and validation together; None for all there are.
        weights: mixture weights: language to its share, to any scale (``{de: 2, zh: 1}``: twice as many German examples
            as Chinese ones). As many examples are taken as the weights allow, none of them twice; empty for all.
        total: with `weights`, the most examples altogether; None for as many as the weights allow.
        template: prompt template: a name (`latentlang.instructions.prompt_templates`); ``chat`` for that of the model's
            tokenizer; or a text with ``{instruction}``, in which ``{input}`` may say where an instruction's input goes
            (otherwise it follows the instruction on a line of its own).
        overlong: ``drop`` leaves out what is longer than the recipe's cutoff; ``cut`` cuts it there, and leaves out
            what would have no answer left.
        order: ``mixed`` shuffles all languages in every epoch; ``sequential`` takes one language after the other, in
            the order of `weights` or `languages`, or of the files; ``parts`` one part of the mixture after the other:
            the entries of `files`, or, of one file, its origins in the order in which they appear.
        split_by: what is set aside for validation: ``id``, items with all their translations; ``row``, examples drawn
            from all languages together, so that translations of an item may stand on both sides.
        loss: ``answers`` counts the answers and what ends them; ``all`` every token of an example, the template's too.
        wrong_pairs: the negative control: instructions get the answers of other items in their language. True for all,
            or the origins of those that do (``parallel``: translation instructions), while the others stay right.
    """

    kind: Literal["instructions"] = "instructions"
    files: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    per_language: int | None = Field(default=None, ge=1, le=MOST)
    weights: dict[str, float] = Field(default_factory=dict)
    total: int | None = Field(default=None, ge=1, le=MOST)
    template: str = "plain"
    overlong: Overlong = "drop"
    order: Literal["mixed", "sequential", "parts"] = "mixed"
    split_by: Literal["id", "row"] = "id"
    loss: Literal["answers", "all"] = "answers"
    wrong_pairs: bool | tuple[str, ...] = False

    saved: ClassVar[type[Record]] = _SavedInstructions

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        paths = [value] if isinstance(value, str | Path) else value
        return (
            [str(path) if isinstance(path, Path) else path for path in paths]
            if isinstance(paths, list | tuple)
            else value
        )

    @field_validator("wrong_pairs", mode="before")
    @classmethod
    def _all_or_origins(cls, value: Any) -> Any:
        return split_names(value) if isinstance(value, str) and value not in ("true", "false") else value

    @field_validator("languages", mode="before")
    @classmethod
    def _codes(cls, value: Any) -> Any:
        return () if value is None else language_codes(value)

    @field_validator("weights")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        codes = language_codes(list(value))
        for name, weight in value.items():
            if weight <= 0:
                raise ValueError(f"the weight of {name!r} must be greater than 0, not {weight:g}")
        return dict(zip(codes, value.values(), strict=True))

    @field_validator("template")
    @classmethod
    def _known_template(cls, value: str) -> str:
        if value != CHAT:
            template(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Instructions:
        if self.total is not None and not self.weights:
            raise ValueError("total goes with weights; say per_language for the most of each language")
        if self.weights and self.languages and set(self.weights) != set(self.languages):
            odd = sorted(set(self.weights) ^ set(self.languages))
            raise ValueError(
                f"weights and languages must name the same languages, and only one has {odd[0]!r}"
            )
        return self

    @property
    def in_order(self) -> bool:
        """Whether languages or parts follow each other."""
        return self.order != "mixed"

    @property
    def amount(self) -> str:
        """How many examples at most."""
        if self.total is not None:
            return f"{self.total:,}"
        return "all" if self.per_language is None else f"{self.per_language:,} per language"

    def prompt(self, instruction: str, about: str = "") -> str:
        """An instruction in the template: what the model is given.

        Args:
            instruction: what is asked for.
            about: the instruction's input; empty for none.

        Raises:
            InputError: the template is ``chat``, which the model's tokenizer writes.
        """
        if self.template == CHAT:
            raise InputError("the template 'chat' is the tokenizer's: model.chat asks a task in it")
        return template(self.template).prompt(instruction, about)

    def load(
        self,
        recipe: RecipeParts,
        *,
        task: Task | None = None,
        data: PathLike | TrainingData[AnyInstruction] | Iterable[AnyInstruction] | None = None,
    ) -> TrainingData[AnyInstruction]:
        """The instructions of the recipe's files, or of those given, chosen, mixed and split by the seed.

        Args:
            recipe: name, seed, and the share that is set aside for validation.
            task: none: a task has no instructions.
            data: files, a folder or examples to take instead; `TrainingData` are taken as they are.

        Raises:
            InputError: no file, a record that cannot be used, a language without any, too few, or an example that
                answers a question that is evaluated.
        """
        if isinstance(data, TrainingData):
            return data
        if task is not None:
            raise InputError(
                f"recipe {recipe.name!r} trains on instructions, which come from files, not from a task"
            )
        notes: list[str] = []
        taken: tuple[str, ...] = ()
        examples: list[AnyInstruction]
        parts: dict[object, int] = {}
        if data is not None and not isinstance(data, str | Path):
            examples = given_examples(data, TrainingExample)
            self.check_leakage(examples)
        else:
            files = self.files if data is None else (str(data),)
            if not files:
                raise InputError(
                    f"recipe {recipe.name!r} names no file of instructions; say data.files, or give data (--data)"
                )
            read, taken = self._read(files)
            usable = [(one, part) for one, part in read if one.instruction.strip() and one.is_answered]
            if len(usable) < len(read):
                left_out = counted(len(read) - len(usable), "record")
                notes.append(f"{left_out} without an instruction or an output left out")
            self.check_leakage(_unformatted(one for one, _ in usable))
            examples = [self._example(one) for one, _ in usable]
            if self.order == "parts" and len(files) > 1:
                for example, (_, part) in zip(examples, usable, strict=True):
                    parts.setdefault(_key(example), part)
        if self.order == "parts" and not parts:
            parts = _parts_by_origin(examples, recipe.name)
        chosen = self._mix(self._by_language(examples, recipe.name, notes), recipe.schedule.seed, notes)
        split = _split(chosen, recipe, notes, taken, by=self.split_by)
        if self.order == "parts":
            order = part_order([_key(example) for example in split.train], parts)
            split = replace(split, train=tuple(split.train[place] for place in order))
        return self._wrongly_paired(split, recipe.schedule.seed) if self.wrong_pairs else split

    def _wrongly_paired(self, split: TrainingData[AnyInstruction], seed: int) -> TrainingData[AnyInstruction]:
        """The control, each side of the split by itself."""
        origins = self.wrong_pairs if isinstance(self.wrong_pairs, tuple) else None
        check_origins((*split.train, *split.validation), origins or ())
        (train, lone), (validation, lone_held) = (
            wrong_pairs(part, seed, answers=_answers, answered=self._answered, origins=origins)
            for part in (split.train, split.validation)
        )
        which = "every instruction" if origins is None else f"every instruction of origin {listed(origins)}"
        notes = [f"wrong pairs: {which} has the answer of another item (negative control)"]
        if left_out := lone + lone_held:
            words = counted(left_out, "instruction")
            notes.append(f"wrong pairs: {words} left out, with no other item to exchange answers with")
        return replace(split, train=train, validation=validation, notes=(*split.notes, *notes))

    def _answered(self, example: AnyInstruction, answers: tuple[str, ...]) -> AnyInstruction:
        """An example with other answers."""
        if isinstance(example, TrainingExample):
            return replace(example, output=answers[0])
        given = iter(answers)
        turns = tuple(
            replace(turn, text=next(given)) if turn.role == "assistant" else turn
            for turn in example.dialogue.turns
        )
        return self._example(replace(example.dialogue, turns=turns))

    def _read(self, files: Sequence[str]) -> tuple[list[tuple[Dialogue, int]], tuple[str, ...]]:
        """The dialogues of files and hub sets, each with its file's number; and what was downloaded."""
        codes = tuple(self.weights) or self.languages
        read: list[tuple[Dialogue, int]] = []
        taken: list[str] = []
        paths = [file for file in files if not is_hub(file)]
        # one by one only where it matters: of several files some may hold nothing
        for given in [[path] for path in paths] if self.order == "parts" else [paths] if paths else []:
            dialogues = read_dialogues(given, language=codes[0] if len(codes) == 1 else None, distinct=False)
            read += [(one, files.index(given[0])) for one in dialogues]
        for number, file in enumerate(files):
            if is_hub(file):
                hub = hub_dialogues(file, languages=codes or None)
                read += [(one, number) for one in hub.dialogues]
                taken += hub.taken
        return read, tuple(taken)

    def _example(self, dialogue: Dialogue) -> AnyInstruction:
        """A dialogue in the template; one of a single exchange is an input and an output."""
        if self.template == CHAT:
            said = [f"{message['role']}: {message['content']}" for message in dialogue.messages()[:-1]]
            return DialogueExample(dialogue, "\n".join(said), self.template)
        pieces = list(template(self.template).pieces(dialogue))
        if len(pieces) == 2:
            return TrainingExample(
                dialogue.group, dialogue.answer_language, pieces[0].text, pieces[1].text, dialogue.origin
            )
        before = "".join(piece.text for piece in pieces[:-1])
        return DialogueExample(dialogue, before, self.template)

    def tokenize(
        self, model: HookedLM, examples: Sequence[AnyInstruction], *, cutoff: int
    ) -> TokenizedExamples:
        """Examples as tokens: of a dialogue every answer is learnt, with the token that ends it; or all (`loss`).

        Raises:
            InputError: the tokenizer cannot write an answer.
            ModelError: the template is ``chat``, and the tokenizer has none that can write a dialogue.
        """
        from latentlang.training.chat_tokens import chat_pieces

        is_chat = self.template == CHAT
        written = [
            chat_pieces(example.dialogue, model.tokenizer, model=model.name, end=self.end)
            if is_chat and isinstance(example, DialogueExample)
            else _pieces(example)
            for example in examples
        ]
        tokenized = tokenize_pieces(
            model, written, cutoff=cutoff, end=self.end, overlong=self.overlong, templated=is_chat
        )
        return tokenized if self.loss == "answers" else replace(tokenized, labels=tokenized.input_ids)

    def check_leakage(self, examples: Iterable[AnyInstruction]) -> None:
        """Refuse examples in which a cue of a closed task is followed by one of its answers."""
        for example in examples:
            for code in dict.fromkeys((example.language, _EVALUATED)):
                answer = answer_in(example.input + example.output, code)
                if answer is not None:
                    raise InputError(
                        f"item {example.id!r} ({example.language}) answers a question that is evaluated: {answer!r} "
                        "follows the cue of a task; leave such items out"
                    )

    @classmethod
    def words(cls, record: Mapping[str, Any], *, languages: Sequence[str], task: str) -> DataWords:
        """What is said of instructions."""
        name = record.get("template")
        return DataWords(
            title=f"Instructions in {named(languages)}",
            own_names=(tuple(languages),),
            about=f"template {name}" if name in (*templates(), CHAT) else "a template of its own",
            noun="instruction",
            output="output",
            trained_on=f"instructions, in {', '.join(languages)}",
            how_to_read="The model is trained to write instructions and the outputs that belong to them"
            if record.get("loss") == "all"
            else "The model is given an instruction and trained to write the output that belongs to it",
            after=(
                "Part of the first fall is form: that an answer comes after the template, how it begins, how long it "
                "is and in which language. Whether the model follows instructions better, and in which languages, is "
                "for an evaluation to say.",
            ),
            control=WRONG_PAIRS if record.get("wrong_pairs") else None,
        )

    def _by_language(
        self, examples: Iterable[AnyInstruction], name: str, notes: list[str]
    ) -> dict[str, list[AnyInstruction]]:
        """The examples of each language that is wanted, each once."""
        once = list({_key(example): example for example in reversed(list(examples))}.values())[::-1]
        codes = tuple(self.weights) or self.languages or tuple(dict.fromkeys(e.language for e in once))
        groups: dict[str, list[AnyInstruction]] = {code: [] for code in codes}
        others: dict[str, int] = {}
        for example in once:
            if example.language in groups:
                groups[example.language].append(example)
            else:
                others[example.language] = others.get(example.language, 0) + 1
        if not once:
            raise InputError(f"recipe {name!r}: no instruction has an output; give others")
        for code, group in groups.items():
            if not group:
                has = ", ".join(dict.fromkeys(example.language for example in once))
                raise InputError(
                    f"recipe {name!r} wants instructions in {language(code).name}, and the data have none, only {has}"
                )
        if others:
            left_out = ", ".join(f"{code} ({count:,})" for code, count in others.items())
            notes.append(f"languages that the recipe does not name are left out: {left_out}")
        return groups

    def _mix(
        self, available: Mapping[str, list[AnyInstruction]], seed: int, notes: list[str]
    ) -> dict[str, list[AnyInstruction]]:
        """As many examples of each language as the recipe wants, chosen by the seed and the items' names alone."""
        ordered = {
            code: sorted(group, key=lambda example: _draw("choice", seed, example.id))[: self.per_language]
            for code, group in available.items()
        }
        if not self.weights:
            return ordered
        scale = min(len(ordered[code]) / weight for code, weight in self.weights.items())
        if self.total is not None:
            asked_scale = self.total / sum(self.weights.values())
            if scale < asked_scale:
                most = sum(int(scale * weight + _TINY) for weight in self.weights.values())
                notes.append(f"{most:,} instructions, fewer than the {self.total:,} asked for")
            scale = min(scale, asked_scale)
        counts = {code: int(scale * weight + _TINY) for code, weight in self.weights.items()}
        for code, count in counts.items():
            if not count:
                raise InputError(
                    f"the weights leave no example in {language(code).name}; raise its weight or the total, or leave "
                    "it out"
                )
        return {code: ordered[code][:count] for code, count in counts.items()}


def _key(example: AnyInstruction) -> tuple[str, str, str]:
    """What makes an example the same as another one."""
    return example.language, example.input, example.output


def _id(example: AnyInstruction) -> str:
    return example.id


def _row(example: AnyInstruction) -> str:
    return "\n".join(_key(example))


def _answers(example: AnyInstruction) -> tuple[str, ...]:
    if isinstance(example, TrainingExample):
        return (example.output,)
    return tuple(turn.text for turn in example.dialogue.turns if turn.role == "assistant")


def _parts_by_origin(examples: Iterable[AnyInstruction], name: str) -> dict[object, int]:
    """The number of each example's origin, in the order in which they appear.

    Raises:
        InputError: there is one alone.
    """
    listed_examples = list(examples)
    origins = list(dict.fromkeys(example.origin for example in listed_examples))
    if len(origins) < 2:
        raise InputError(
            f"recipe {name!r} has order: parts, and its data are one part: name a file for each part (data.files), or "
            "give records an origin"
        )
    parts: dict[object, int] = {}
    for example in listed_examples:
        parts.setdefault(_key(example), origins.index(example.origin))
    return parts


def _pieces(example: AnyInstruction) -> list[DialoguePiece]:
    if isinstance(example, DialogueExample):
        return list(template(example.template).pieces(example.dialogue))
    return [DialoguePiece(example.input), DialoguePiece(example.output, is_answer=True)]


def _unformatted(dialogues: Iterable[Dialogue]) -> list[TrainingExample]:
    """Examples without a template, in which an answer follows its question."""
    examples = []
    for one in dialogues:
        asked = ""
        for message in one.messages():
            if message["role"] == "assistant":
                examples.append(TrainingExample(one.id, one.answer_language, asked, message["content"]))
            asked = message["content"]
    return examples


def _split(
    chosen: Mapping[str, list[AnyInstruction]],
    recipe: RecipeParts,
    notes: Sequence[str],
    taken: tuple[str, ...],
    *,
    by: Literal["id", "row"],
) -> TrainingData[AnyInstruction]:
    """Set a share of each language's items aside, so that translations of an item are on the same side; or of rows."""
    seed = recipe.schedule.seed
    examples = [example for group in chosen.values() for example in group]
    share = held_share(recipe.schedule.validation, len(examples))
    held: set[str] = set()
    name = _row if by == "row" else _id
    if share:
        held = held_out(
            [
                [name(example) for example in group]
                for group in ([examples] if by == "row" else chosen.values())
            ],
            number=lambda items: max(round(share * items), 1 if items > 1 else 0),
            draw=lambda item: _draw("validation", seed, item),
        )
    train = tuple(example for example in examples if name(example) not in held)
    validation = tuple(example for example in examples if name(example) in held)
    if both := {example.id for example in train} & {example.id for example in validation}:
        notes = [
            *notes,
            f"split_by: row, so that {counted(len(both), 'item')} stand on both sides of the split",
        ]
    if share and not (train and validation):
        raise InputError(
            f"recipe {recipe.name!r}: too few to set some aside ({counted(len(examples), 'instruction')}); give more, "
            "or validation: 0"
        )
    return TrainingData(train, validation, tuple(notes), taken)


def _draw(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return generator("instructions", *key).random()
