"""Answers written anew by a provider, in the language that is asked in: against translated answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from latentlang.arguments import checked_call
from latentlang.instructions.built import Built, Dropped, check_any
from latentlang.instructions.dialogues import Dialogue, Turn
from latentlang.instructions.providers.asking import Asking
from latentlang.instructions.providers.base import Provider, ProviderError
from latentlang.instructions.translation import asking_of, usage_of
from latentlang.progress import ProgressOption


@checked_call
def answer(
    dialogues: Sequence[Dialogue],
    *,
    asking: Asking | Provider,
    system: str = "",
    keep_cut: bool = False,
    origin: str | None = None,
    progress: ProgressOption = True,
) -> Built:
    """Write the answers of dialogues anew; answers that were there are left out.

    What the user says stays, and each answer follows the new ones before it. The answer's language is taken to be that
    of the question; whether it is has to be checked afterwards.

    Args:
        dialogues: what is asked.
        asking: what answers, e.g. an `Asker` with a cache.
        system: a system text for all; a dialogue's own comes first.
        keep_cut: whether answers are kept that were ended by the limit of their length.
        origin: of the outcome; by default says by what it was answered.
        progress: whether it is shown, or a function of (done, in all).

    Raises:
        InputError: nothing was answered.
        ProviderError: the provider cannot be asked any more.
    """
    asks = asking_of(asking)
    by = origin or f"answered by {asks.provider.name}"

    def work(dialogue: Dialogue) -> Dialogue | Dropped:
        if not dialogue.instruction.strip():
            return Dropped(dialogue.id, dialogue.language, "no-instruction", dialogue.output)
        given = dialogue.messages()
        messages: list[dict[str, str]] = []
        turns: list[Turn] = []
        if system and dialogue.turns[0].role != "system":
            messages.append({"role": "system", "content": system})
        for place, (turn, message) in enumerate(zip(dialogue.turns, given, strict=True)):
            if turn.role == "assistant":
                continue
            messages.append(message)
            turns.append(turn)
            if turn.role == "system":
                continue
            try:
                older = dialogue.turns[place + 1].text if place + 1 < len(dialogue.turns) else ""
                reply = asks.ask(list(messages), like=older)
            except ProviderError as error:
                return Dropped.of(error, dialogue.id, dialogue.language)
            if reply.cut and not keep_cut:
                return Dropped(dialogue.id, dialogue.language, "cut", reply.text)
            messages.append({"role": "assistant", "content": reply.text})
            turns.append(Turn("assistant", reply.text))
        return replace(dialogue, turns=tuple(turns), answer_language=dialogue.language, origin=by)

    outcomes = asks.run(dialogues, work, what="answering", progress=progress)
    built = Built(
        step="answer",
        dialogues=tuple(outcome for outcome in outcomes if isinstance(outcome, Dialogue)),
        dropped=tuple(outcome for outcome in outcomes if isinstance(outcome, Dropped)),
        settings={
            "provider": asks.provider.name, "provider_settings": dict(asks.provider.settings), "system": system,
            "keep_cut": keep_cut,
        },
        usage=usage_of(asks),
    )  # fmt: skip
    check_any(built.dialogues, built.dropped)
    return built
