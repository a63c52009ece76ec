"""A model translates parallel data, and what it writes is scored beside what no translation would get."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, shown
from latentlang.generation.backends import GenerationBackend
from latentlang.generation.kept_answers import KeptAnswers, answers_in, written_or_kept
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.models import HookedLM, as_model
from latentlang.models.chat import chat_template_of
from latentlang.models.decoding import Decoding, check_no_repeat
from latentlang.models.fingerprint import model_identity
from latentlang.models.generation import Written, iter_generated
from latentlang.models.hooked import check_unedited
from latentlang.models.states import BASE, TUNED
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.seeding import shuffled
from latentlang.tasks.files import PathLike
from latentlang.translation.asking import (
    INSTRUCTION,
    PLAIN,
    TranslationTemplate,
    find_template,
    translation_prompt,
)
from latentlang.translation.line_files import one_line
from latentlang.translation.parallel_items import (
    ParallelData,
    ParallelItems,
    check_enough,
    parse_directions,
    read_items,
)
from latentlang.translation.scores_result import direction_name
from latentlang.translation.translation_result import COLUMNS, TranslationResult
from latentlang.translation.translation_settings import TranslationSettings

#: Few-shot examples unless asked otherwise; none in a chat.
SHOTS = 4
# Tokens that may be written: so many for each of the text's own and so many more, rounded up.
_TOKENS_PER_TOKEN, _MORE_TOKENS, _STEP = 4, 32, 64
# Where a base model's translation ends.
_LINE_END = "\n"


@dataclass(frozen=True)
class TranslationPlan:
    """What is translated, before any model is there.

    Attributes:
        items: the texts by language.
        pairs: directions, as codes.
        chosen: ids of the items, in their order.
        examples: direction to its few-shot examples: texts and their translations.
        template: how it is asked for.
        settings: of the run.
    """

    items: ParallelItems
    pairs: tuple[tuple[str, str], ...]
    chosen: tuple[str, ...]
    examples: Mapping[tuple[str, str], tuple[tuple[str, str], ...]]
    template: TranslationTemplate
    settings: TranslationSettings


def plan_translation(
    data: ParallelData,
    *,
    directions: str | Iterable[str | tuple[str, str]] | None = None,
    source: str | Language | Iterable[str | Language] | None = None,
    target: str | Language | Iterable[str | Language] | None = None,
    shots: int | None = None,
    examples: ParallelData | None = None,
    template: PathLike | None = None,
    chat: bool = False,
    items: int | None = None,
    longest: int | None = None,
    new_tokens: int | None = None,
    decoding: Decoding | None = None,
    seed: int = 0,
) -> TranslationPlan:
    """What `translate` would do; arguments as there.

    Raises:
        InputError: as there.
    """
    for name, value, least in (
        ("shots", shots, 0), ("items", items, 1), ("longest", longest, 1), ("new_tokens", new_tokens, 1),
        ("seed", seed, 0),
    ):  # fmt: skip
        check_count(name, value, least=least)
    pairs = parse_directions(directions, source, target)
    codes = list(dict.fromkeys(code for pair in pairs for code in pair))
    shots = (0 if chat else SHOTS) if shots is None else shots
    template_name = str(template) if template is not None else (INSTRUCTION if chat else PLAIN)
    asked = find_template(template_name)
    read = read_items(data, codes)
    ids = shuffled(read.common(codes), "translation items", seed)
    if longest is not None:
        ids = [name for name in ids if all(len(read.texts[code][name]) <= longest for code in codes)]
    if examples is None:
        check_enough(ids, pairs, shots=shots)
        # from the end, so that items stay the same whatever the number of examples
        chosen, pool = ids[: len(ids) - shots][:items], read
        shown_ids = _apart(read, chosen, ids[len(chosen) :], shots, codes)
    else:
        check_enough(ids, pairs, shots=0)
        chosen, pool = ids[:items], read_items(examples, codes)
        shown_ids = shuffled(pool.common(codes), "translation examples", seed)[:shots]
        if len(shown_ids) < shots:
            raise InputError(f"examples= has {len(shown_ids)} items in all these languages, not {shots}")
        _check_apart(read, chosen, pool, shown_ids, codes)
    settings = TranslationSettings(
        data=read.origin, directions=[direction_name(*pair) for pair in pairs], shots=shots,
        examples=None if examples is None else pool.origin, template=template_name, chat=chat, items=items,
        longest=longest, new_tokens=new_tokens, n_items=len(chosen),
        decoding={
            name: value for name, value in _settled(decoding, chat=chat).record.items() if name != "new_tokens"
        },
    )  # fmt: skip
    solved = {
        (first, second): tuple((pool.texts[first][name], pool.texts[second][name]) for name in shown_ids)
        for first, second in pairs
    }
    return TranslationPlan(read, tuple(pairs), tuple(chosen), solved, asked, settings)


@checked_call
def translate(
    model: str | HookedLM,
    data: ParallelData,
    *,
    directions: str | Iterable[str | tuple[str, str]] | None = None,
    source: str | Language | Iterable[str | Language] | None = None,
    target: str | Language | Iterable[str | Language] | None = None,
    shots: int | None = None,
    examples: ParallelData | None = None,
    template: PathLike | None = None,
    chat: bool = False,
    items: int | None = None,
    longest: int | None = None,
    new_tokens: int | None = None,
    decoding: Decoding | None = None,
    seed: int = 0,
    backend: GenerationBackend | None = None,
    batch_tokens: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: ProgressOption = True,
) -> TranslationResult:
    """Translate parallel data with a model; `TranslationResult.scores` scores it.

    All directions have the same items: those that all of their languages have, in an order drawn by the seed. What a
    base model writes ends with its line; of a chat, line breaks become spaces.

    Args:
        model: a loaded model, or the name of one.
        data: a folder of parallel text, ``"udhr"``, ``"hub:flores"``; a ``.csv``, ``.tsv``, ``.jsonl``, ``.json`` or
            ``.parquet`` file with a column per language; or language to texts, to id and text, or to a file with a
            text a line.
        directions: ``"en-fr,fr-en"``; or instead
        source: languages to translate from, and
        target: languages to translate into.
        shots: few-shot examples, the same for all items of a direction; by default 4, and none in a chat.
        examples: parallel data that they are taken from; by default the last items of `data`, which are then left out.
        template: of the prompt: ``plain``, ``own-names``, ``instruction``, or a YAML file; by default ``plain``, and
            ``instruction`` in a chat.
        chat: ask as in a chat, in the model's own chat template.
        items: how many, of each direction; None for all.
        longest: leave out items that have more characters in one of the languages.
        new_tokens: tokens of a translation at most; by default 4 for each of the text's and 32 more.
        decoding: how it writes: greedily (None), by beam search or by one draw; its stop strings are kept, and a base
            model stops where a line ends in any case. Its number of new tokens does not count.
        seed: of the items' order.
        backend: what runs the model, with its adapter where it has one; the loaded model itself by default.
        batch_tokens: tokens run at once.
        resume: folder in which each translation is kept; a stopped run goes on there.
        progress: True shows a bar once the call takes longer than a second; False nothing; a function is called with
            (texts done, texts in all).

    Raises:
        InputError: no such data, language, template or direction; too few items; or an example that is an item too.
        ModelError: the model cannot be loaded, has no chat template, or cannot read a prompt of this length.
    """
    plan = plan_translation(
        data, directions=directions, source=source, target=target, shots=shots, examples=examples, template=template,
        chat=chat, items=items, longest=longest, new_tokens=new_tokens, decoding=decoding, seed=seed,
    )  # fmt: skip
    check_count("batch_tokens", batch_tokens, least=1)
    loaded = as_model(model)
    check_unedited(loaded, "a model translates")
    how = _settled(decoding, chat=chat)
    check_no_repeat(how, loaded.tokenizer)
    state = BASE if loaded.active_adapter is None else TUNED
    engine: dict[str, Any] = {}
    if backend is not None:
        backend.check(how, [state])
        engine = {"backend": backend.name, "backend_settings": dict(backend.settings)}
    if chat:
        chat_template_of(loaded.tokenizer, model=loaded.name)
    total = len(plan.pairs) * len(plan.chosen)

    def all_depends_on() -> dict[str, Any]:
        return {
            "model": model_identity(loaded), "device": loaded.device.type, "dtype": str(loaded.dtype),
            "decoding": plan.settings.decoding, "new_tokens": new_tokens, **engine,
        }  # fmt: skip

    def write_some(
        prompts: Sequence[Sequence[int]], decoding: Decoding, items: Sequence[str]
    ) -> Iterator[tuple[int, list[Written]]]:
        if backend is None:
            return iter_generated(loaded, prompts, decoding, items=items, batch_tokens=batch_tokens)
        return backend.write(prompts, decoding, items=items, state=state)

    parts = []
    with (
        reporting(progress, "translating", things="texts", total=total) as report,
        answers_in(resume, all_depends_on) as kept,
    ):
        for number, pair in enumerate(plan.pairs):
            before = number * len(plan.chosen)

            def say(done: int, before: int = before) -> None:
                report(before + done, total)

            parts.append(_translated(loaded, plan, pair, how, write_some, kept, say))
    provenance = Provenance(
        model=loaded.name, revision=loaded.revision, adapter=loaded.active_adapter, task="translate",
        languages=tuple(dict.fromkeys(second for _first, second in plan.pairs)), policy="", seed=seed,
        settings={**plan.settings.stored(), **engine, **loaded.noted},
    )  # fmt: skip
    return TranslationResult(table=pd.concat(parts, ignore_index=True), provenance=provenance)


def _translated(
    model: HookedLM,
    plan: TranslationPlan,
    pair: tuple[str, str],
    decoding: Decoding,
    write_some: Callable[
        [Sequence[Sequence[int]], Decoding, Sequence[str]], Iterator[tuple[int, list[Written]]]
    ],
    kept: KeptAnswers | None,
    report: Callable[[int], None],
) -> pd.DataFrame:
    """The items of one direction, translated."""
    first, second = pair
    direction = direction_name(first, second)
    texts, right = plan.items.texts[first], plan.items.texts[second]
    prompts = [
        translation_prompt(
            plan.template, first, second, name, texts[name], examples=plan.examples[pair],
            tokenizer=model.tokenizer if plan.settings.chat else None, model=model.name,
        )
        for name in plan.chosen
    ]  # fmt: skip
    tokenized = [list(one.ids) for one in model.tokenize(prompts)]

    def write(some: list[Sequence[int]], names: list[str]) -> Iterator[tuple[int, list[Written]]]:
        for most, places in _by_length(model, [texts[name] for name in names], plan):
            written = write_some(
                [some[place] for place in places],
                replace(decoding, new_tokens=most),
                [f"{direction}/{names[place]}" for place in places],
            )
            for number, answers in written:
                yield places[number], answers

    written = written_or_kept(
        tokenized, plan.chosen, write, state=direction, kept=kept, progress=lambda done, _of: report(done)
    )
    rows = [
        (
            direction, first, second, item, texts[item], right[item], one_line(answer.text), answer.text,
            len(answer.tokens), answer.ended,
        )
        for item, (answer,) in zip(plan.chosen, written, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _by_length(
    model: HookedLM, texts: Sequence[str], plan: TranslationPlan
) -> Iterator[tuple[int, list[int]]]:
    """Places of texts that may be translated by as many tokens: an item's number does not depend on the others."""
    if plan.settings.new_tokens is not None:
        yield plan.settings.new_tokens, list(range(len(texts)))
        return
    groups: dict[int, list[int]] = {}
    encoded = model.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    for place, ids in enumerate(encoded):
        most = _TOKENS_PER_TOKEN * len(ids) + _MORE_TOKENS
        groups.setdefault(-(-most // _STEP) * _STEP, []).append(place)
    yield from sorted(groups.items())


def _settled(decoding: Decoding | None, *, chat: bool) -> Decoding:
    """How a translation is written: a base model's ends with its line.

    Raises:
        InputError: several texts of an item are asked for.
    """
    how = decoding or Decoding()
    if how.samples > 1:
        raise InputError(f"samples={how.samples}: an item has one translation; ask for one")
    if chat or _LINE_END in how.stop:
        return how
    return replace(how, stop=(*how.stop, _LINE_END))


def _apart(
    read: ParallelItems, chosen: Sequence[str], others: Sequence[str], shots: int, codes: Sequence[str]
) -> list[str]:
    """The last of the other items as examples, but for those that say what an item says.

    Raises:
        InputError: too few are left, naming one that is an item too.
    """
    texts = {code: {read.texts[code][name] for name in chosen} for code in codes}
    apart = [name for name in others if not any(read.texts[code][name] in texts[code] for code in codes)]
    if len(apart) < shots:
        _check_apart(read, chosen, read, others[len(others) - shots :], codes)
    return apart[len(apart) - shots :]


def _check_apart(
    read: ParallelItems,
    chosen: Sequence[str],
    pool: ParallelItems,
    examples: Sequence[str],
    codes: Sequence[str],
) -> None:
    """Refuse an example that is an item too.

    Raises:
        InputError: naming it.
    """
    for code in codes:
        texts: dict[str, Any] = {read.texts[code][name]: name for name in chosen}
        for name in examples:
            if pool.texts[code][name] in texts:
                raise InputError(
                    f"the example {shown(name)} has the {find_language(code).name} text of item "
                    f"{shown(texts[pool.texts[code][name]])}: an example must not be an item too; give other examples"
                )
