"""Dialogues translated by a provider: each text by itself, each message, or a dialogue as a whole; there and back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from latentlang.arguments import checked_call, chosen_names
from latentlang.errors import InputError
from latentlang.instructions.built import Built, Dropped, check_any
from latentlang.instructions.dialogues import Dialogue, Turn
from latentlang.instructions.keyword_search import Keywords, keywords
from latentlang.instructions.prompt_sets import PromptSet, filled, prompt_set
from latentlang.instructions.providers.asking import Asker, Asking, Usage
from latentlang.instructions.providers.base import Provider, ProviderError
from latentlang.language_names import Language, language, languages
from latentlang.paths import PathLike
from latentlang.progress import ProgressOption

Unit = Literal["part", "message", "dialogue"]
#: What is translated in one call: a part (instruction, input, answer) by itself, a message (an instruction with its
#: input), or a dialogue as a whole.
UNITS: tuple[Unit, ...] = get_args(Unit)
#: Parts of a dialogue.
PARTS = ("instruction", "input", "output")
DEFAULT_PROMPTS, TABLE_PROMPTS = "en", "table"
_PART = re.compile(r"<part(\d+)>(.*?)</part\1>", re.DOTALL)


class _NoTranslationError(Exception):
    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason)
        self.reason, self.text = reason, text


def asking_of(given: Asking | Provider) -> Asking:
    """What asks: an `Asker` as it is, and a provider with one around it that keeps replies in memory."""
    return given if hasattr(given, "run") else Asker(given)  # type: ignore[return-value]


@checked_call
def translate(
    dialogues: Sequence[Dialogue],
    to: str | Language | Iterable[str | Language],
    *,
    asking: Asking | Provider,
    unit: str = "part",
    parts: str | Iterable[str] = PARTS,
    prompts: str | Path | None = None,
    leave: PathLike | Keywords | None = None,
    origin: str | None = None,
    progress: ProgressOption = True,
) -> Built:
    """Translate dialogues into some languages.

    Ids and groups stay, so that translations of one dialogue are known as such. What is not translated because it is
    not among the `parts` stays in its language.

    Args:
        dialogues: what is translated.
        to: languages, each of which gets all dialogues of another language.
        asking: what translates, e.g. an `Asker` with a cache.
        unit: what is translated in one call, of `UNITS`.
        parts: of `PARTS`, those that are translated; all of them unless each part is translated by itself.
        prompts: name of a set of prompts or a YAML file; by default English ones, and for a table of answers ``table``.
        leave: keywords (``programming``, or a file with one on each line): what asks with one of them stands as it was
            in the set of each language, as in Bactrian-X, and is counted.
        origin: of the translations; by default says by what they were translated.
        progress: whether it is shown, or a function of (done, in all).

    Raises:
        InputError: an unknown language, unit or part; no prompts for it; or nothing was translated.
        ProviderError: the provider cannot be asked any more.
    """
    targets = [entry.code for entry in languages(to)]
    asks = asking_of(asking)
    words = None if leave is None else keywords(leave)
    pairs = [(dialogue, code) for code in targets for dialogue in dialogues]
    outcomes, settings = _outcomes(
        pairs, asks, leave=words, unit=unit, parts=parts, prompts=prompts,
        origin=origin or f"translated by {asks.provider.name}", progress=progress, what="translating",
    )  # fmt: skip
    if words is not None:
        counted_left = Counter(
            one.language for one in outcomes if isinstance(one, Dialogue) and one.origin == _left(words)
        )
        settings |= {"leave": words.name, "keywords": list(words.words), "left": dict(counted_left)}
    return _built("translate", outcomes, {"to": targets} | settings, asks)


def _left(words: Keywords) -> str:
    """The origin of what is left as it was."""
    return f"left as it was ({words.name})"


@checked_call
def round_trip(
    dialogues: Sequence[Dialogue],
    *,
    through: str | Language,
    asking: Asking | Provider,
    unit: str = "part",
    prompts: str | Path | None = None,
    origin: str | None = None,
    progress: ProgressOption = True,
) -> Built:
    """Translate dialogues into a language and back into their own: what translation does to a text.

    Args:
        dialogues: what is translated; none in the language between.
        through: the language between.
        asking: what translates.
        unit: what is translated in one call, of `UNITS`.
        prompts: name of a set of prompts, or a YAML file; see `translate`.
        origin: of the outcome; by default says by what it was translated.
        progress: whether it is shown, or a function of (done, in all).

    Returns:
        The dialogues in their own language again; ``others["between"]`` has them in the language between.

    Raises:
        InputError: as `translate`.
        ProviderError: the provider cannot be asked any more.
    """
    asks, between = asking_of(asking), language(through).code
    options: dict[str, Any] = {"unit": unit, "parts": PARTS, "prompts": prompts, "progress": progress}
    name = asks.provider.name
    there, _settings = _outcomes(
        [(dialogue, between) for dialogue in dialogues], asks, homes=[dialogue.language for dialogue in dialogues],
        origin=f"translated by {name}", what="translating there", **options,
    )  # fmt: skip
    arrived = [
        (outcome, dialogue.language)
        for outcome, dialogue in zip(there, dialogues, strict=True)
        if isinstance(outcome, Dialogue)
    ]
    back, settings = _outcomes(
        arrived, asks, origin=origin or f"to {between} and back by {name}", what="translating back", **options
    )
    others = {"between": tuple(outcome for outcome, _home in arrived)}
    return _built(
        "round-trip", [*_dropped(there), *back], {"through": between} | settings, asks, others=others
    )


def usage_of(asks: Asking) -> Usage:
    """What was asked for so far; nothing of what only plans."""
    return asks.usage if isinstance(asks, Asker) else Usage()


def _dropped(outcomes: Iterable[Dialogue | Dropped]) -> list[Dropped]:
    return [outcome for outcome in outcomes if isinstance(outcome, Dropped)]


def _built(
    step: str,
    outcomes: Sequence[Dialogue | Dropped],
    settings: Mapping[str, Any],
    asks: Asking,
    *,
    others: Mapping[str, tuple[Dialogue, ...]] | None = None,
) -> Built:
    dialogues = tuple(outcome for outcome in outcomes if isinstance(outcome, Dialogue))
    dropped = _dropped(outcomes)
    check_any(dialogues, dropped)
    return Built(step, dialogues, tuple(dropped), settings, usage_of(asks), others or {})


def _outcomes(
    pairs: Sequence[tuple[Dialogue, str]],
    asks: Asking,
    *,
    unit: str,
    parts: str | Iterable[str],
    prompts: str | Path | None,
    origin: str,
    progress: ProgressOption,
    what: str,
    homes: Sequence[str] | None = None,
    leave: Keywords | None = None,
) -> tuple[list[Dialogue | Dropped], dict[str, Any]]:
    """Each dialogue in the language beside it, or why not; and the settings.

    What is dropped is counted under its language in `homes`, by default the one beside.
    """
    if unit not in UNITS:
        chosen_names(unit, "unit of translation", UNITS)
    chosen = chosen_names(parts, "part of a dialogue", PARTS)
    if unit != "part" and set(chosen) != set(PARTS):
        raise InputError(
            f"parts are chosen ({', '.join(chosen)}) where each is translated by itself; leave the unit {unit!r} out"
        )
    table = asks.provider.name.startswith(TABLE_PROMPTS)
    name = prompts if prompts is not None else TABLE_PROMPTS if table else DEFAULT_PROMPTS
    asked = prompt_set(name)
    template = asked.translate_dialogue if unit == "dialogue" else asked.translate
    if template is None:
        raise InputError(
            f"the prompts {str(name)!r} have none for {'whole dialogues' if unit == 'dialogue' else 'translations'}; "
            "choose others"
        )

    def work(entry: tuple[tuple[Dialogue, str], str]) -> Dialogue | Dropped:
        (dialogue, target), home = entry
        if not dialogue.instruction.strip():
            return Dropped(dialogue.id, home, "no-instruction", dialogue.output)
        if dialogue.language == target:
            return Dropped(dialogue.id, home, "same-language", dialogue.instruction)

        if leave is not None and leave.found_in(dialogue) is not None:
            return replace(
                dialogue, language=target, answer_language=target, origin=_left(leave), group=dialogue.group
            )

        def translated(text: str, source: str) -> str:
            if not text.strip() or source == target:
                return text
            return _asked(asks, asked, template, text, source, target)

        try:
            return replace(
                _UNIT_WORK[unit](dialogue, target, translated, chosen), origin=origin, group=dialogue.group
            )
        except ProviderError as error:
            return Dropped.of(error, dialogue.id, home)
        except _NoTranslationError as error:
            return Dropped(dialogue.id, home, error.reason, error.text)

    counted_under = homes if homes is not None else [target for _dialogue, target in pairs]
    entries = list(zip(pairs, counted_under, strict=True))
    settings = {
        "provider": asks.provider.name, "provider_settings": dict(asks.provider.settings),
        "unit": unit, "parts": chosen, "prompts": str(name), "prompts_origin": asked.origin,
    }  # fmt: skip
    return asks.run(entries, work, what=what, progress=progress), settings


_Translated = Callable[[str, str], str]


def _asked(asks: Asking, asked: PromptSet, template: str, text: str, source: str, target: str) -> str:
    """The translation of one text."""
    prompt = filled(
        template, text=text, source=language(source).name_in(asked.language), source_code=source,
        target=language(target).name_in(asked.language), target_code=target,
    )  # fmt: skip
    reply = asks.ask([{"role": "user", "content": prompt}], like=text)
    if reply.cut:
        raise _NoTranslationError("cut", reply.text)
    return reply.text.strip()


def _by_part(dialogue: Dialogue, target: str, translated: _Translated, parts: Sequence[str]) -> Dialogue:
    turns = []
    for turn in dialogue.turns:
        answers = turn.role == "assistant"
        source = dialogue.answer_language if answers else dialogue.language
        wanted = ("output" if answers else "instruction") in parts
        turns.append(replace(turn, text=translated(turn.text, source)) if wanted else turn)
    about = translated(dialogue.input, dialogue.language) if "input" in parts else dialogue.input
    answer = target if "output" in parts else dialogue.answer_language
    return replace(dialogue, turns=tuple(turns), input=about, language=target, answer_language=answer)


def _merged(dialogue: Dialogue) -> Dialogue:
    """The dialogue with its input as part of the first message."""
    texts = [message["content"] for message in dialogue.messages()]
    turns = tuple(Turn(turn.role, text) for turn, text in zip(dialogue.turns, texts, strict=True))
    return replace(dialogue, turns=turns, input="")


def _by_message(dialogue: Dialogue, target: str, translated: _Translated, parts: Sequence[str]) -> Dialogue:
    return _by_part(_merged(dialogue), target, translated, parts)


def _as_a_whole(dialogue: Dialogue, target: str, translated: _Translated, parts: Sequence[str]) -> Dialogue:
    texts = [*(turn.text for turn in dialogue.turns), *filter(None, [dialogue.input])]
    marked = "\n".join(f"<part{number}>{text}</part{number}>" for number, text in enumerate(texts, 1))
    reply = translated(marked, dialogue.language)
    found = _PART.findall(reply)
    if [int(number) for number, _text in found] != list(range(1, len(texts) + 1)) or not all(
        text.strip() for _number, text in found
    ):
        raise _NoTranslationError("lost-parts", reply)
    said = [text.strip() for _number, text in found]
    turns = tuple(replace(turn, text=text) for turn, text in zip(dialogue.turns, said, strict=False))
    about = said[-1] if dialogue.input else ""
    return replace(dialogue, turns=turns, input=about, language=target, answer_language=target)


_UNIT_WORK: dict[str, Callable[[Dialogue, str, _Translated, Sequence[str]], Dialogue]] = {
    "part": _by_part,
    "message": _by_message,
    "dialogue": _as_a_whole,
}
