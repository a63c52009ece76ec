"""Language steering: a language's direction is added while the model writes, and what it then writes is scored.

The grid of layers and strengths is tried on one half of the items; the best cell is scored on the other half, where
nothing was chosen, beside what it has to beat: no steering, an instruction in English or in the wanted language, a
random direction and another language's direction of the same length at the same place. Directions that are not given
are made of items that are in neither half.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from latentlang.arguments import Layers, check_count, checked_call
from latentlang.causal.steer_directions import (
    GivenDirections,
    SteerDirections,
    control_among,
    given_directions,
    made_directions,
    open_directions,
)
from latentlang.causal.steer_result import COLUMNS, SteerResult, best_cell
from latentlang.causal.steer_scores import SteerScore, WordScores, score_text
from latentlang.causal.steer_settings import SteerSettings
from latentlang.errors import InputError, unknown
from latentlang.language_id import LanguageIdentifier, py3langid_backend
from latentlang.language_names import GROUPS, Language
from latentlang.language_names import language as find_language
from latentlang.models import Edit, HookedLM, as_model
from latentlang.models.batch import check_layers
from latentlang.models.directions import random_vectors
from latentlang.models.edits import number_of, settle, unit
from latentlang.models.fingerprint import model_identity
from latentlang.models.generation import generate_tokens
from latentlang.progress import ProgressOption, Report, reporting
from latentlang.provenance import Provenance, package_versions
from latentlang.seeding import generator
from latentlang.storage.documents import Record, checked, read_json
from latentlang.storage.files import prepare_folder, write_text
from latentlang.storage.lock import FolderLock
from latentlang.storage.step_cache import Steps
from latentlang.tasks import DEFAULT_SOURCES, ContinuationTask, Prompt, Task, as_task
from latentlang.tasks import task as build_task
from latentlang.tasks.base import settings_for
from latentlang.tasks.instructions import instruction_in_english, instruction_in_itself

STRENGTHS = (0.1, 0.25, 0.5, 1.0)
POSITIONS = ("new", "all")
#: Items of both halves, and those that directions are made of, where there are as many.
ITEMS, DIRECTION_ITEMS = 40, 60
# By default so many layers are tried, evenly spread and without the last, where nothing is left to use what is added.
_MOST_LAYERS = 6
_FEWEST_ITEMS, _FEWEST_FOR_DIRECTIONS = 4, 4
_WORD_TOKENS, _TEXT_TOKENS = 12, 48
_TEXTS = "texts.json"
# Of a paragraph so much is the prompt.
_PROMPT_SHARE = 0.4


@checked_call
def steer(
    model: HookedLM | str,
    task: str | Task = "translation",
    *,
    language: str | Language,
    asked: str | Language | None = None,
    other: str | Language | None = None,
    directions: GivenDirections | None = None,
    layers: Layers | None = None,
    strengths: float | Iterable[float] = STRENGTHS,
    positions: str = "new",
    items: int = ITEMS,
    shots: int | None = None,
    instruction: str | None = None,
    identifier: LanguageIdentifier | None = None,
    new_tokens: int | None = None,
    seed: int = 0,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> SteerResult:
    """Steer a model towards a language while it writes, and measure what that is worth.

    Args:
        model: the model, or its name; it is not changed.
        task: a word task (translation, repetition, cloze, one of your own), or its name; or parallel text to go on
            with, ``task("continuation", data="udhr")``.
        language: the wanted language.
        asked: target language of the prompts: English by default, German where English is wanted.
        other: the language whose direction is a control; by default one drawn by `seed`, in the wanted language's
            script where there is one.
        directions: a result of `ll.directions` on a store of this model, or its folder; by default differences of
            means are made of items that are not asked.
        layers: after which blocks: numbers, text such as ``"4,8-12"`` or ``"all"``; by default up to six, evenly
            spread.
        strengths: lengths of what is added, over the median length of the residual stream at the prompts' last token.
            Negative ones lead away from the language.
        positions: ``new``: at every position that a new token is predicted from; ``all``: at the prompt's too.
        items: of both halves together, at most.
        shots: few-shot examples; None for the task's default.
        instruction: the sentence that asks for the wanted language in itself; by default there is one for the languages
            of the embedded tasks.
        identifier: of languages; by default scripts alone for words (no identifier can be trusted on one), and scripts
            and py3langid for texts.
        new_tokens: how many are written at most; by default 12 for words and 48 for texts.
        seed: draws items, the control language, random directions and bootstrap samples.
        batch_tokens: tokens run at once; by default what suits the device.
        resume: a folder where what was written is kept, layer by layer of the grid, so that the same call goes on where
            one was stopped; delete it when the result is saved. None keeps nothing.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (answers written, answers in all).

    Raises:
        InputError: languages that cannot be compared, a closed task, too few items, or an option that makes no sense.
        ModelError: a layer that does not exist, or directions of another model.
    """
    model = as_model(model)
    settled = settle_languages(task, language, asked)
    grid = check_grid(strengths, positions=positions, items=items, new_tokens=new_tokens, seed=seed)
    identify = identifier or settled.identifier()
    if settled.wanted not in identify.languages:
        raise InputError(
            f"the identifier tells {', '.join(identify.languages)} apart, and the wanted language {settled.wanted!r} "
            "is none of them; add it"
        )
    opened = None if directions is None else open_directions(directions)
    numbers = None if layers is None else check_layers(layers, depth=model.n_layers, first=1)
    wanted, task = settled.wanted, settled.task
    control = settled.control(
        other, seed, among=None if opened is None else control_among(opened, settled.taken)
    )
    if opened is None:
        found = None
        tried = numbers or _spread(range(1, max(model.n_layers, 2)))
    else:
        found = given_directions(opened, model, wanted=wanted, other=control, layers=numbers)
        tried = numbers or _spread([layer for layer in found.layers if 0 < layer < model.n_layers])
    plan = _SteerPlan.drawn(settled, control, items=items, shots=shots, seed=seed, making=found is None)
    if found is None:
        found = made_directions(
            model, plan.for_directions, wanted=wanted, asked=settled.asked, other=control, layers=tried,
            pool="last" if settled.words else "mean_no_bos", batch_tokens=batch_tokens,
        )  # fmt: skip
    without = [layer for layer in tried if layer not in found.layers]
    if without and (numbers is not None or len(without) == len(tried)):
        raise InputError(
            f"there is no direction of {wanted} at layer {without[0]}: its prompts do not differ from those of "
            f"{settled.asked} there; choose another layer"
        )
    chosen_layers = [layer for layer in tried if layer in found.layers]
    run = _SteerRun(
        model, plan, found, chosen_layers, grid, positions=positions, seed=seed, identifier=identify,
        new_tokens=new_tokens or (_WORD_TOKENS if settled.words else _TEXT_TOKENS), batch_tokens=batch_tokens,
        sentences=_sentences(settled, instruction),
    )  # fmt: skip
    with (
        reporting(progress, "steering", things="answers", total=run.total) as report,
        _kept_texts(resume, model, new_tokens=run.new_tokens) as run.texts,
    ):
        table = run.run(report)
    settings = SteerSettings(
        wanted=wanted, asked=settled.asked, other=control, layers=chosen_layers, strengths=grid,
        chosen_layer=run.chosen[0], chosen_strength=run.chosen[1],
        typical={str(layer): float(value) for layer, value in run.typical.items()}, positions=positions,
        n_layers=model.n_layers, shots=task.default_shots if shots is None else shots,
        items_choice=len(plan.choice), items_scored=len(plan.scored), left_out=dict(plan.left_out),
        directions="made" if opened is None else "given", directions_method=found.method,
        directions_items=found.items, new_tokens=run.new_tokens, instructions=run.sentences,
        identifier=identify.name, edit=run.record,
    )  # fmt: skip
    provenance = Provenance(
        model=model.name, revision=model.revision, adapter=model.active_adapter, task=task.name,
        languages=(wanted,), seed=seed,
        settings={**settings_for(task, [settled.asked]), **settings.stored(), **model.noted},
    )  # fmt: skip
    return SteerResult(table=table, provenance=provenance)


def check_grid(
    strengths: float | Iterable[float], *, positions: str, items: int, new_tokens: int | None, seed: int
) -> list[float]:
    """The strengths of a grid, before a model is loaded; arguments as of `steer`.

    Raises:
        InputError: an option that makes no sense.
    """
    if positions not in POSITIONS:
        raise unknown("positions of steering", positions, POSITIONS)
    check_count("items", items, least=_FEWEST_ITEMS)
    check_count("new_tokens", new_tokens, least=1)
    check_count("seed", seed, least=0)
    values = [strengths] if isinstance(strengths, int | float) else list(strengths)
    listed = [number_of(value, "a strength") for value in values]
    if not listed or not all(listed):
        raise InputError(
            f"strengths={values!r}: give at least one number, none of them 0, which is no steering"
        )
    return list(dict.fromkeys(listed))


@dataclass(frozen=True)
class SteerLanguages:
    """What is asked, and which language is wanted.

    Attributes:
        task: the task.
        wanted: code of the wanted language.
        asked: code of the language that prompts ask for.
        words: whether answers are words; else they are text.
    """

    task: Task
    wanted: str
    asked: str
    words: bool

    @property
    def taken(self) -> tuple[str, ...]:
        """Languages that cannot be the control."""
        given = self.task.given(self.asked) if self.words else None
        return tuple(dict.fromkeys(filter(None, (self.wanted, self.asked, given))))

    def control(self, other: str | Language | None, seed: int, among: Sequence[str] | None = None) -> str:
        """The language that is the control.

        Args:
            other: the one to take; None draws one.
            seed: of the draw.
            among: those that have a direction; None for all that the task has prompts in.

        Raises:
            InputError: it is one of the others, or there is none.
        """
        if other is not None:
            code = find_language(other).code
            if code in self.taken:
                raise InputError(
                    f"the other language {code!r} is a control, so it is none of {', '.join(self.taken)}: the wanted "
                    "language, the one asked for and that of the prompt's word; name another"
                )
            if self._source(code) != self._source(self.asked):
                raise InputError(self._of_another_source(code))
            return code
        candidates = [
            code
            for code in among or self.task.languages
            if code not in self.taken and self._source(code) == self._source(self.asked)
        ]
        if not candidates:
            raise InputError(
                f"the {self.task.name} task has no third language beside {', '.join(self.taken)}, which is the "
                "control; add one"
            )
        script = find_language(self.wanted).script
        alike = [code for code in candidates if find_language(code).script == script]
        return generator("steering control", seed, self.wanted, self.asked).choice(
            sorted(alike or candidates)
        )

    def check_sources(self) -> None:
        """Refuse prompts that differ in more than the language that is asked for.

        Raises:
            InputError: they are translated from other languages.
        """
        if self._source(self.wanted) != self._source(self.asked):
            raise InputError(self._of_another_source(self.wanted))

    def _source(self, code: str) -> str | None:
        return self.task.source_of(code)

    def _of_another_source(self, code: str) -> str:
        return (
            f"the prompts translate from {self._source(self.asked)!r} where {self.asked!r} is asked for, and from "
            f"{self._source(code)!r} where {code!r} is, so that a direction would hold both; translate from a language "
            "that is neither"
        )

    def identifier(self) -> LanguageIdentifier:
        """What tells languages: scripts for words, and an identifier beside them for texts."""
        codes = dict.fromkeys([self.wanted, self.asked, *GROUPS["paper20"], *self.task.languages])
        if self.words:
            return LanguageIdentifier(codes)
        backend = py3langid_backend()
        known = [code for code in codes if code in backend.languages]
        return LanguageIdentifier(dict.fromkeys([self.wanted, self.asked, *known]), backend=backend)


def settle_languages(
    task: str | Task, language: str | Language, asked: str | Language | None = None
) -> SteerLanguages:
    """Which languages a task is asked in, before a model is loaded; arguments as of `steer`.

    Raises:
        InputError: a closed task, or languages that cannot be compared.
    """
    wanted = find_language(language).code
    start = find_language(asked).code if asked is not None else ("de" if wanted == "en" else "en")
    if start == wanted:
        raise InputError(
            f"the prompts ask for {wanted!r} already, which is what they would be steered to; give another asked="
        )
    if task == "translation":
        sources = [code for code in (*DEFAULT_SOURCES, "es", "it") if code not in (wanted, start)]
        task = build_task("translation", source=sources[0])
    built = as_task(task)
    text = isinstance(built, ContinuationTask)
    if not text and (built.closed or not built.has_answers):
        raise InputError(
            f"the {built.name} task has a few labels, which say little about language; steer a word task, such as "
            "'translation', or parallel text: task('continuation', data=...)"
        )
    if built.source_of(start) == wanted:
        raise InputError(
            f"the prompt's word is in {wanted!r} already, the language to steer to; translate from another"
        )
    for code in (wanted, start):
        if code not in built.languages:
            raise unknown(f"language of the {built.name} task", code, built.languages)
    settled = SteerLanguages(built, wanted, start, words=not text)
    settled.check_sources()
    return settled


def _spread(layers: Sequence[int]) -> list[int]:
    """At most so many of them, evenly."""
    if len(layers) <= _MOST_LAYERS:
        return list(layers)
    step = (len(layers) - 1) / (_MOST_LAYERS - 1)
    return [layers[round(place * step)] for place in range(_MOST_LAYERS)]


def _sentences(settled: SteerLanguages, given: str | None) -> dict[str, str]:
    """Control to its instruction."""
    own = given or instruction_in_itself(settled.wanted, answer=settled.words)
    english = instruction_in_english(settled.wanted, answer=settled.words)
    return {"instruction-english": english, **({"instruction-wanted": own} if own else {})}


@dataclass(frozen=True)
class _SteerItem:
    """What is asked, and the same asked for directly.

    Attributes:
        name: of the item.
        prompt: asks for the language that is not wanted.
        direct: asks for the wanted one.
        reference: what a text should say; empty for words.
    """

    name: str
    prompt: Prompt
    direct: Prompt
    reference: str = ""


@dataclass(frozen=True)
class _SteerPlan:
    """Which items are asked, and what for.

    Attributes:
        languages: task and languages.
        choice: items that the cell is chosen on.
        scored: other items, that it is scored on.
        for_directions: language to prompts of further items; empty where directions are given.
        left_out: why items were left out, and how many.
    """

    languages: SteerLanguages
    choice: list[_SteerItem]
    scored: list[_SteerItem]
    for_directions: dict[str, list[Prompt]]
    left_out: Counter[str]

    @classmethod
    def drawn(
        cls, settled: SteerLanguages, control: str, *, items: int, shots: int | None, seed: int, making: bool
    ) -> _SteerPlan:
        task = settled.task
        codes = [settled.asked, settled.wanted, *([control] if making else [])]
        if making and control not in task.languages:
            raise unknown(f"language of the {task.name} task", control, task.languages)
        by_code = {
            code: {prompt.item: prompt for prompt in task.prompts(code, shots=shots, seed=seed)}
            for code in codes
        }
        left_out: Counter[str] = Counter()
        usable: list[_SteerItem] = []
        for name, prompt in by_code[settled.asked].items():
            if any(name not in prompts for prompts in by_code.values()):
                left_out["missing"] += 1
                continue
            item = _item(settled, name, prompt, by_code[settled.wanted][name])
            if item is None:
                left_out["alike"] += 1
            else:
                usable.append(item)
        most = len(usable) - max(_FEWEST_FOR_DIRECTIONS, len(usable) // 3) if making else len(usable)
        asked = usable[: min(items, most) // 2 * 2] if most >= _FEWEST_ITEMS else []
        if not asked:
            further = ", and some more to make directions of" if making else ""
            raise InputError(
                f"{len(usable)} items can be steered from {settled.asked} to {settled.wanted} in the {task.name} task; "
                f"at least {_FEWEST_ITEMS} are needed{further}; add items"
                + (", or give directions" if making else "")
            )
        rest = [item.name for item in usable[len(asked) :]][:DIRECTION_ITEMS] if making else []
        made = {code: [by_code[code][name] for name in rest] for code in codes} if making else {}
        return cls(settled, asked[0::2], asked[1::2], made, left_out)


def _item(settled: SteerLanguages, name: str, prompt: Prompt, direct: Prompt) -> _SteerItem | None:
    """An item; None where its answer is another language's word in the prompt too, or its text too short to divide."""
    if not settled.words:
        begun, _rest = _divided(prompt.question)
        begun_direct, reference = _divided(direct.question)
        if not (begun and begun_direct and reference):
            return None
        return _SteerItem(
            name, replace(prompt, question=begun), replace(direct, question=begun_direct), reference
        )
    asked, wanted = (
        settled.task.answers(code).get(prompt.label, ()) for code in (settled.asked, settled.wanted)
    )
    source = settled.task.source_of(settled.asked)
    given = () if source is None else settled.task.answers(source).get(prompt.label, ())
    if not asked or not wanted or {*wanted} & {*asked, *given}:
        return None
    return _SteerItem(name, prompt, direct)


def _divided(text: str) -> tuple[str, str]:
    """The beginning of a text and what follows: at a space where there is one near."""
    cut = round(len(text) * _PROMPT_SHARE)
    space = text.rfind(" ", 0, cut + 1)
    cut = space if space > cut / 2 else cut
    return text[:cut].strip(), text[cut:].strip()


class _KeptTexts:
    """What was written of each step of a run, kept with all that it depends on."""

    def __init__(self, folder: Path, model: HookedLM, *, new_tokens: int) -> None:
        self._steps, self._model = Steps(folder), model
        self._options = {
            "version": package_versions().get("latentlang"), "model": model_identity(model),
            "device": model.device.type, "dtype": str(model.dtype), "new_tokens": new_tokens,
        }  # fmt: skip

    def run(
        self, step: str, prompts: Sequence[Prompt], edit: Edit | None, write: Callable[[], list[str]]
    ) -> list[str]:
        """The texts of a step, new or as they were kept."""
        model = self._model
        record = None if edit is None else settle(edit, depth=model.n_layers, d_model=model.d_model).record
        digest = hashlib.sha256("\x1f".join(prompt.text for prompt in prompts).encode()).hexdigest()

        def compute(folder: Path) -> list[str]:
            texts = write()
            write_text(folder / _TEXTS, json.dumps({"texts": texts}, ensure_ascii=False) + "\n")
            return texts

        def load(folder: Path) -> list[str]:
            record = read_json(folder / _TEXTS, kind=dict)
            return checked(_Texts, record, folder / _TEXTS).texts

        return self._steps.run(step, {**self._options, "prompts": digest, "edit": record}, compute, load)


class _Texts(Record):
    texts: list[str]


@contextmanager
def _kept_texts(
    folder: str | os.PathLike[str] | None, model: HookedLM, *, new_tokens: int
) -> Iterator[_KeptTexts | None]:
    """A folder for what was written, which no other process writes into meanwhile; None for none."""
    if folder is None:
        yield None
        return
    path = prepare_folder(folder)
    with FolderLock(path):
        yield _KeptTexts(path, model, new_tokens=new_tokens)


class _SteerRun:
    """Runs one plan."""

    def __init__(
        self,
        model: HookedLM,
        plan: _SteerPlan,
        directions: SteerDirections,
        layers: Sequence[int],
        strengths: Sequence[float],
        *,
        positions: str,
        seed: int,
        identifier: LanguageIdentifier,
        new_tokens: int,
        batch_tokens: int | None,
        sentences: dict[str, str],
    ) -> None:
        self.model, self.plan, self.directions, self.layers = model, plan, directions, list(layers)
        self.strengths, self.positions, self.seed = list(strengths), positions, seed
        self.new_tokens, self.batch_tokens, self.sentences = new_tokens, batch_tokens, sentences
        self.chosen: tuple[int, float] = (0, 0.0)
        self.typical = self._typical()
        self.record: dict[str, object] = {}
        self.texts: _KeptTexts | None = None
        settled = plan.languages
        self._identifier = identifier
        self._words = None
        if settled.words:
            self._words = WordScores(
                settled.task, wanted=settled.wanted, asked=settled.asked, identifier=identifier
            )
        cells = len(self.layers) * len(self.strengths)
        # steered, random, other, unsteered, asked directly
        self.total = len(plan.choice) * cells + len(plan.scored) * (5 + len(sentences))

    def run(self, report: Report) -> pd.DataFrame:
        """The grid on one half, then the best cell and its controls on the other."""
        cells = [(layer, strength) for layer in self.layers for strength in self.strengths]
        choice: list[dict[str, object]] = []
        for layer in self.layers:
            of_layer = [cell for cell in cells if cell[0] == layer]
            choice += self._steered(
                self.plan.choice, of_layer, lambda item, layer: self.directions.wanted[layer], "steered",
                f"layer-{layer:04}", report, len(choice),
            )  # fmt: skip
        table = pd.DataFrame(choice).assign(half="choice")
        self.chosen = best_cell(table)
        layer, strength = self.chosen
        vector = self.directions.wanted[layer] * (strength * self.typical[layer])
        edit = Edit.add(vector, layers=layer, positions=self.positions)
        self.record = settle(edit, depth=self.model.n_layers, d_model=self.model.d_model).record
        arms: dict[str, Callable[[_SteerItem, int], Tensor]] = {
            "steered": lambda item, layer: self.directions.wanted[layer],
            "random": lambda item, layer: self._random(item),
            "other-language": lambda item, layer: self.directions.other[layer],
        }
        rows = []
        done = len(choice)
        for arm, direction in arms.items():
            rows += self._steered(self.plan.scored, [self.chosen], direction, arm, arm, report, done)
            done += len(self.plan.scored)
        prompts = {
            "unsteered": [item.prompt for item in self.plan.scored],
            **{
                arm: [self._instructed(item.prompt, arm) for item in self.plan.scored]
                for arm in self.sentences
            },
            "asked-directly": [item.direct for item in self.plan.scored],
        }
        for arm, listed in prompts.items():
            texts = self._write(listed, None, arm, report, done)
            done += len(listed)
            rows += [
                self._row(item, text, prompt, arm, 0, 0.0)
                for item, text, prompt in zip(self.plan.scored, texts, listed, strict=True)
            ]
        scored = pd.DataFrame(rows).assign(half="scored")
        return pd.concat([table, scored], ignore_index=True)[list(COLUMNS)]

    def _steered(
        self,
        items: Sequence[_SteerItem],
        cells: Sequence[tuple[int, float]],
        direction: Callable[[_SteerItem, int], Tensor],
        arm: str,
        step: str,
        report: Report,
        done: int,
    ) -> list[dict[str, object]]:
        """Rows of items with a direction added, at every cell."""
        runs = [(item, layer, strength) for item in items for layer, strength in cells]
        layers = sorted({layer for layer, _strength in cells})
        vectors = torch.zeros(len(runs), len(layers), self.model.d_model, device=self.model.device)
        for row, (item, layer, strength) in enumerate(runs):
            vectors[row, layers.index(layer)] = direction(item, layer) * (strength * self.typical[layer])
        edit = Edit.add(vectors, layers=layers, positions=self.positions)
        texts = self._write([item.prompt for item, _layer, _strength in runs], edit, step, report, done)
        return [
            self._row(item, text, item.prompt, arm, layer, strength)
            for (item, layer, strength), text in zip(runs, texts, strict=True)
        ]

    def _write(
        self, prompts: Sequence[Prompt], edit: Edit | None, step: str, report: Report, done: int
    ) -> list[str]:
        """What is written after prompts; of a stopped run, what it wrote."""

        def write() -> list[str]:
            tokens = generate_tokens(
                self.model, prompts, new_tokens=self.new_tokens, edit=edit, batch_tokens=self.batch_tokens,
                progress=lambda now, _all: report(done + now, self.total),
            )  # fmt: skip
            return [self.model.tokenizer.decode(ids, skip_special_tokens=True) for ids in tokens]

        texts = write() if self.texts is None else self.texts.run(step, prompts, edit, write)
        report(done + len(prompts), self.total)
        return texts

    def _row(
        self, item: _SteerItem, text: str, prompt: Prompt, arm: str, layer: int, strength: float
    ) -> dict[str, object]:
        scored = self._score(item, text, prompt)
        return {
            "item": item.name, "arm": arm, "layer": layer, "strength": strength, "language": scored.language,
            "content": scored.content, "score": scored.score, "decided": scored.decided, "text": text,
        }  # fmt: skip

    def _score(self, item: _SteerItem, text: str, prompt: Prompt) -> SteerScore:
        if self._words is not None:
            return self._words.score(text, prompt)
        wanted = self.plan.languages.wanted
        return score_text(text, item.reference, wanted=wanted, identifier=self._identifier)

    def _instructed(self, prompt: Prompt, arm: str) -> Prompt:
        """A prompt that asks for the wanted language as well: in a sentence before the question, and in the cue."""
        settled = self.plan.languages
        wanted = find_language(settled.wanted)
        name = wanted.name if arm == "instruction-english" else wanted.own_name
        before, own_name, after = prompt.cue.rpartition(find_language(settled.asked).own_name)
        cue = f"{before}{name}{after}" if own_name else prompt.cue
        return replace(prompt, few_shot=f"{prompt.few_shot}{self.sentences[arm]}\n", cue=cue)

    def _typical(self) -> dict[int, float]:
        """Median length of the residual stream at the last token, by layer."""
        reading = self.model.activations(
            [item.prompt for item in self.plan.choice], layers=self.layers, logits=False,
            batch_tokens=self.batch_tokens,
        )  # fmt: skip
        medians = reading.resid.float().norm(dim=-1).median(0).values
        return dict(zip(self.layers, medians.tolist(), strict=True))

    def _random(self, item: _SteerItem) -> Tensor:
        """A direction of each item's own, so that the control is no single draw."""
        draw = random_vectors(self.model.d_model, "steering random", self.seed, item.name, bits=63)
        return unit(draw).to(self.model.device)
