"""Steering by hand: a prompt gone on with as it is, towards a language, and in a random direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from latentlang.answers.repeats import circle_start
from latentlang.causal.prompt_steering import ARMS, STRENGTH, TOKENS, LanguageMeans, PromptSteering
from latentlang.causal.trace_switch import find_switch, latest_language
from latentlang.interactive.loading_code import loading_lines
from latentlang.interactive.messages import Message
from latentlang.interactive.request_run import RequestRun
from latentlang.interactive.session import BASE, Session
from latentlang.interactive.token_owners import learn_owners, token_owners, words_of
from latentlang.interactive.view_registry import register

_MOST_TOKENS = 200
# Seconds between two looks at whether a request is still wanted.
_PAUSE = 0.1


class SteerArguments(Message):
    """What is written.

    Attributes:
        prompt: text to go on from.
        language: code of the language to steer to.
        asked: code of the language to steer away from; None for the one that the prompt asks for, or English.
        strength: length of what is added over that of the stream; negative ones lead away.
        layers: after which blocks; None for the default.
        tokens: new tokens at most.
        adapter: of the model's states.
    """

    prompt: str
    language: str
    asked: str | None = None
    strength: float = Field(default=STRENGTH, ge=-10, le=10)
    layers: list[int] | None = None
    tokens: int = Field(default=TOKENS, ge=1, le=_MOST_TOKENS)
    adapter: str = BASE


@dataclass(frozen=True)
class SteerView:
    """A part ``wanted, asked, layers, lengths, from``; then one an arm and token: ``arm, tokens, switch, circle``.

    ``tokens`` are the new ones since the arm's last part, ``switch`` the place of the first token of the arm from which
    on its text is in another language than the prompt's end (``from``; where none of its tokens is of a language, than
    the one asked for), with ``to``, its language. ``circle`` is the place from which on an arm only repeats itself: a
    token that stands there again and again is no switch of language. Progress is that of
    the activations that a direction is made of, the first time a language is asked for. Whose tokens are is known by
    their script until a table of the vocabulary is made; where that was not yet there, each arm is told once more, with
    ``again``, as soon as it is.
    """

    name: str = "steer"
    arguments: type[Message] = SteerArguments

    def parts(
        self, session: Session, arguments: SteerArguments, run: RequestRun, /
    ) -> Iterator[dict[str, Any]]:
        """What the model writes, token by token.

        Raises:
            LatentlangError: an empty prompt, languages that cannot be compared, a layer that does not exist.
        """
        model, owners = session.model, token_owners(session)
        learning, known = learn_owners(session), owners.learnt
        with session.state(arguments.adapter):
            steering = PromptSteering(
                model, arguments.prompt, language=arguments.language, asked=_asked(session, arguments),
                strength=arguments.strength, layers=arguments.layers, positions="new", task=_task(session),
                tokens=arguments.tokens, means=session.once("language means", lambda: LanguageMeans(model)),
                progress=run.progress,
            )  # fmt: skip
        (ids,) = model.encode([arguments.prompt])
        words = words_of(session, session.guess(arguments.prompt))

        def begun() -> str | None:
            return latest_language([owners.of(token, words) for token in ids])

        yield {
            "wanted": steering.wanted, "asked": steering.asked, "layers": steering.layers, "from": begun(),
            "lengths": {str(layer): round(length, 3) for layer, length in steering.lengths.items()},
        }  # fmt: skip
        written: dict[str, list[int]] = {arm: [] for arm in ARMS}
        done: set[str] = set()

        def told(arm: str, tokens: Sequence[int], *, ends: bool) -> dict[str, Any]:
            circle = circle_start(written[arm])
            found = find_switch(
                [owners.of(token, words) for token in written[arm][:circle]], begun() or steering.asked
            )
            return {
                "arm": arm, "tokens": [owners.record(token, words) for token in tokens], "done": ends,
                "switch": found and found.step, "to": found and found.language, "circle": circle,
            }  # fmt: skip

        with session.state(arguments.adapter), closing(steering.write()) as steps:
            for step in steps:
                run.check()
                for arm, token in step.items():
                    if token is None:
                        done.add(arm)
                        yield told(arm, (), ends=True)
                    else:
                        written[arm].append(token)
                        yield told(arm, (token,), ends=False)
        for arm in ARMS:
            if arm not in done:
                yield told(arm, (), ends=True)
        while not known and not learning.wait(_PAUSE):
            run.check()
        if owners.learnt and not known:
            for arm in ARMS:
                yield told(arm, written[arm], ends=True) | {"again": True, "from": begun()}

    def code(self, session: Session, arguments: SteerArguments, /) -> str:
        """Python code that writes the same."""
        layers = "" if arguments.layers is None else f", layers={arguments.layers}"
        return "\n".join([
            *loading_lines(session, arguments.adapter),
            f"prompt = {arguments.prompt!r}",
            f"steered = ll.steer_prompt(model, prompt, language={arguments.language!r}, "
            f"asked={_asked(session, arguments)!r}, strength={arguments.strength:g}{layers}, "
            f"tokens={arguments.tokens}, task={_task(session)!r})",
            "steered.texts",
        ])  # fmt: skip


def _asked(session: Session, arguments: SteerArguments) -> str | None:
    """The language to steer away from: the one given, or the last that the prompt names and that is not wanted."""
    if arguments.asked is not None:
        return arguments.asked
    named = [code for code in session.named(arguments.prompt) if code != arguments.language]
    return named[-1] if named else None


def _task(session: Session) -> str:
    """The task of whose items directions are made: the session's, where it asks for words, and else translation."""
    open_words = session.task.name in ("repetition", "cloze")
    return session.task.name if open_words else "translation"


register(SteerView())
