"""What is steered: items to choose a cell of the grid on, others to score it on, others to make directions of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from latentlang.causal.steer_languages import SteerLanguages
from latentlang.errors import InputError, unknown
from latentlang.tasks import Prompt

#: Items of both halves, and those that directions are made of, where there are as many.
ITEMS, DIRECTION_ITEMS = 40, 60
#: Of fewer items of both halves nothing is chosen.
FEWEST_ITEMS = 4
_FEWEST_FOR_DIRECTIONS = 4
# Of a paragraph so much is the prompt.
_PROMPT_SHARE = 0.4


@dataclass(frozen=True)
class SteerItem:
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
class SteerPlan:
    """Which items are asked, and what for.

    Attributes:
        languages: task and languages.
        choice: items that the cell is chosen on.
        scored: other items, that it is scored on.
        for_directions: language to prompts of further items; empty where directions are given.
        left_out: why items were left out, and how many.
    """

    languages: SteerLanguages
    choice: list[SteerItem]
    scored: list[SteerItem]
    for_directions: dict[str, list[Prompt]]
    left_out: Counter[str]

    @classmethod
    def drawn(
        cls, settled: SteerLanguages, control: str, *, items: int, shots: int | None, seed: int, making: bool
    ) -> SteerPlan:
        """A plan on the items of a task.

        Args:
            settled: task and languages.
            control: the language whose direction is the control.
            items: of both halves together, at most.
            shots: few-shot examples; None for the task's default.
            seed: draws the items.
            making: whether directions are made of items that are in neither half.

        Raises:
            InputError: too few items, or a control without prompts where it needs some.
        """
        task = settled.task
        codes = [settled.asked, settled.wanted, *([control] if making else [])]
        if making and control not in task.languages:
            raise unknown(f"language of the {task.name} task", control, task.languages)
        by_code = {
            code: {prompt.item: prompt for prompt in task.prompts(code, shots=shots, seed=seed)}
            for code in codes
        }
        left_out: Counter[str] = Counter()
        usable: list[SteerItem] = []
        for name, prompt in by_code[settled.asked].items():
            if any(name not in prompts for prompts in by_code.values()):
                left_out["missing"] += 1
                continue
            item = steer_item(settled, name, prompt, by_code[settled.wanted][name])
            if item is None:
                left_out["alike"] += 1
            else:
                usable.append(item)
        most = len(usable) - max(_FEWEST_FOR_DIRECTIONS, len(usable) // 3) if making else len(usable)
        asked = usable[: min(items, most) // 2 * 2] if most >= FEWEST_ITEMS else []
        if not asked:
            further = ", and some more to make directions of" if making else ""
            raise InputError(
                f"{len(usable)} items can be steered from {settled.asked} to {settled.wanted} in the {task.name} task; "
                f"at least {FEWEST_ITEMS} are needed{further}; add items"
                + (", or give directions" if making else "")
            )
        rest = [item.name for item in usable[len(asked) :]][:DIRECTION_ITEMS] if making else []
        made = {code: [by_code[code][name] for name in rest] for code in codes} if making else {}
        return cls(settled, asked[0::2], asked[1::2], made, left_out)


def steer_item(settled: SteerLanguages, name: str, prompt: Prompt, direct: Prompt) -> SteerItem | None:
    """An item; None where its answer is another language's word in the prompt too, or its text too short to divide."""
    if not settled.words:
        begun, _rest = _divided(prompt.question)
        begun_direct, reference = _divided(direct.question)
        if not (begun and begun_direct and reference):
            return None
        return SteerItem(
            name, replace(prompt, question=begun), replace(direct, question=begun_direct), reference
        )
    asked, wanted = (
        settled.task.answers(code).get(prompt.label, ()) for code in (settled.asked, settled.wanted)
    )
    source = settled.task.source_of(settled.asked)
    given = () if source is None else settled.task.answers(source).get(prompt.label, ())
    if not asked or not wanted or {*wanted} & {*asked, *given}:
        return None
    return SteerItem(name, prompt, direct)


def _divided(text: str) -> tuple[str, str]:
    """The beginning of a text and what follows: at a space where there is one near."""
    cut = round(len(text) * _PROMPT_SHARE)
    space = text.rfind(" ", 0, cut + 1)
    cut = space if space > cut / 2 else cut
    return text[:cut].strip(), text[cut:].strip()
