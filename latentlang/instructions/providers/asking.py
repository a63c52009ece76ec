"""Asking a provider many things: each reply kept on the disk, tried again where that may help, counted and limited.

A run that is stopped, by Ctrl-C, a limit or a kill, has kept the replies that came; the next one asks for the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from latentlang.arguments import check_count
from latentlang.defaults import AT_ONCE, ATTEMPTS
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.instructions.providers.base import (
    Messages,
    Provider,
    ProviderError,
    Reply,
    asked_again,
    request_key,
)
from latentlang.instructions.providers.reply_cache import ReplyCache
from latentlang.paths import PathLike, given_path
from latentlang.progress import ProgressOption, reporting
from latentlang.text import counted

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
_MOST_AT_ONCE, _MOST_ATTEMPTS = 256, 100
# Seconds: before the second attempt (doubled each time), at most, and beyond which a server's wish is not waited for.
_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_WISH = 1.0, 60.0, 600.0
# So many questions refused one after the other are no matter of the questions.
_MOST_IN_A_ROW = 20
_COUNTED_IN_A_ROW = ("refused", "empty-reply")
# Seconds that calls under way have to end after Ctrl-C.
_GRACE = 3.0


@dataclass(frozen=True)
class Usage:
    """What was asked for.

    Attributes:
        calls: questions that the provider was asked.
        kept: questions whose reply was there.
        repeated: attempts after the first.
        prompt_tokens: of the calls, as the provider counts them.
        answer_tokens: likewise.
        uncounted: calls whose tokens the provider did not count.
    """

    calls: int = 0
    kept: int = 0
    repeated: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    uncounted: int = 0


class Asking(Protocol):
    """What a step asks: an `Asker`, or a `latentlang.instructions.providers.Planner`, which only counts."""

    @property
    def provider(self) -> Provider:
        """What answers."""

    def ask(self, messages: Messages, *, like: str = "", again: int = 0) -> Reply:
        """The reply to some messages; `like` is a text of about its length, for a plan.

        With `again`, how often they were asked before, it is a further reply to the same.

        Raises:
            ProviderError: there is none.
        """

    def run(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Outcome],
        *,
        what: str,
        progress: ProgressOption = None,
    ) -> list[Outcome]:
        """What `work` gives for each item, in their order; several at a time. It asks by `ask`."""


class StoppedError(Exception):
    """The run was stopped while this thread was at work."""


class Asker:
    """A provider with what stands around it.

    Attributes:
        provider: what answers.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        cache: PathLike | None = None,
        at_once: int = AT_ONCE,
        attempts: int = ATTEMPTS,
        max_calls: int | None = None,
        earlier: int = 0,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Set up.

        Args:
            provider: what answers.
            cache: folder that replies are kept in; None keeps them in memory.
            at_once: calls at once, at most.
            attempts: how often a call is tried that fails in a way that may pass.
            max_calls: calls of this run, at most; None for any number.
            earlier: calls of the run that others made before.
            wait: waits so many seconds between attempts; by default as long, or until the run is stopped.

        Raises:
            InputError: an impossible number, or the folder cannot be written.
        """
        for name, value, most in (
            ("at_once", at_once, _MOST_AT_ONCE),
            ("attempts", attempts, _MOST_ATTEMPTS),
        ):
            check_count(name, value, least=1)
            if value > most:
                raise InputError(f"{name} must be at most {most}, not {value}")
        check_count("max_calls", max_calls, least=0)
        self.provider = provider
        self._cache = None if cache is None else ReplyCache(given_path(cache))
        self._memory: dict[str, Reply] = {}
        self._at_once = 1 if getattr(provider, "one_at_a_time", False) else at_once
        self._attempts, self._max_calls, self._earlier = attempts, max_calls, earlier
        self._wait = wait
        # Of each thread of a run: whether the run was stopped. The thread that began it has none.
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._asked_now: dict[str, threading.Lock] = {}
        self._in_a_row = 0
        self._usage = Usage()

    @property
    def usage(self) -> Usage:
        """What was asked for so far."""
        with self._lock:
            return self._usage

    def ask(self, messages: Messages, *, like: str = "", again: int = 0) -> Reply:
        """The reply to some messages, the kept one where there is one.

        Args:
            messages: what is asked.
            like: not used here; see `Asking.ask`.
            again: how often they were asked before: a further reply to the same is kept apart.

        Raises:
            ProviderError: there is none, after all attempts; or the limit of calls is reached.
        """
        provider = asked_again(self.provider, again) or self.provider
        key = request_key(provider, messages)
        with self._lock:
            alone = self._asked_now.setdefault(key, threading.Lock())
        with alone:  # the same question of another thread waits, and finds the reply kept
            reply = self._kept(key, provider, messages)
            if reply is not None:
                self._count(kept=1)
                return reply
            self._begin()
            reply = self._answered(provider, messages)
            if self._cache is None:
                self._memory[key] = reply
            else:
                self._cache.put(provider, messages, reply)
            counts = (reply.prompt_tokens, reply.answer_tokens)
            self._count(
                prompt_tokens=counts[0] or 0, answer_tokens=counts[1] or 0, uncounted=int(None in counts)
            )
            return reply

    def run(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Outcome],
        *,
        what: str,
        progress: ProgressOption = None,
    ) -> list[Outcome]:
        """What `work` gives for each item, in their order; as many at a time as calls are allowed.

        Args:
            items: to work on.
            work: asks by `ask`; what it raises ends the run, when the calls under way have ended.
            what: is being done, for the progress.
            progress: whether it is shown, or a function of (done, in all).
        """
        with reporting(progress, what, things="items", total=len(items)) as report:
            if min(self._at_once, len(items)) <= 1:
                outcomes = []
                for done, item in enumerate(items, 1):
                    outcomes.append(work(item))
                    report(done, len(items))
                return outcomes
            return self._in_threads(items, work, report)

    def _in_threads(
        self, items: Sequence[Item], work: Callable[[Item], Outcome], report: Callable[[int, int], None]
    ) -> list[Outcome]:
        waiting: SimpleQueue[tuple[int, Item]] = SimpleQueue()
        for entry in enumerate(items):
            waiting.put(entry)
        finished: SimpleQueue[tuple[int, Outcome | None, BaseException | None]] = SimpleQueue()
        stop = threading.Event()

        def run() -> None:
            self._thread.stop = stop
            while not stop.is_set():
                try:
                    place, item = waiting.get_nowait()
                except Empty:
                    return
                try:
                    finished.put((place, work(item), None))
                except BaseException as error:  # it is raised again in the thread that waits
                    finished.put((place, None, error))

        # Daemons: a call that hangs does not keep the process from ending.
        threads = [threading.Thread(target=run, daemon=True) for _ in range(min(self._at_once, len(items)))]
        outcomes: dict[int, Any] = {}
        try:
            for thread in threads:
                thread.start()
            for done in range(1, len(items) + 1):
                place, outcome, error = finished.get()
                if error is not None:
                    raise error
                outcomes[place] = outcome
                report(done, len(items))
        except KeyboardInterrupt:
            _end(stop, threads, _GRACE)
            raise
        except BaseException:
            _end(stop, threads, None)
            raise
        return [outcomes[place] for place in range(len(items))]

    def _check_stopped(self) -> None:
        """End the work of a thread whose run was stopped.

        Raises:
            StoppedError: it was.
        """
        stop = getattr(self._thread, "stop", None)
        if stop is not None and stop.is_set():
            raise StoppedError

    def _pause(self, seconds: float) -> None:
        """Wait between two attempts, no longer than until the run is stopped."""
        self._count(repeated=1)
        if self._wait is not None:
            self._wait(seconds)
        elif (stop := getattr(self._thread, "stop", None)) is not None:
            stop.wait(seconds)
        else:
            time.sleep(seconds)
        self._check_stopped()

    def _kept(self, key: str, provider: Provider, messages: Messages) -> Reply | None:
        return self._memory.get(key) if self._cache is None else self._cache.get(provider, messages)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._usage = replace(
                self._usage, **{name: getattr(self._usage, name) + count for name, count in more.items()}
            )

    def _begin(self) -> None:
        """Count a call.

        Raises:
            ProviderError: there may be no more.
            StoppedError: the run was stopped.
        """
        self._check_stopped()
        with self._lock:
            if self._max_calls is not None and self._usage.calls + self._earlier >= self._max_calls:
                raise ProviderError(
                    f"the limit of {counted(self._max_calls, 'call')} of {self.provider.name} was reached; what is "
                    "finished is kept: run the same again to go on, or raise the limit",
                    code="max-calls",
                )
            self._usage = replace(self._usage, calls=self._usage.calls + 1)

    def _answered(self, provider: Provider, messages: Messages) -> Reply:
        """The reply, after as many attempts as it takes.

        Raises:
            ProviderError: there is none.
        """
        retried = getattr(self.provider, "retried", True) and self._attempts > 1
        try:
            reply = self._repeating(provider, messages) if retried else provider.ask(messages)
        except ProviderError as error:
            if error.code not in _COUNTED_IN_A_ROW:
                raise
            with self._lock:
                self._in_a_row += 1
                in_a_row = self._in_a_row
            if in_a_row >= _MOST_IN_A_ROW:
                raise ProviderError(
                    f"{in_a_row} questions one after the other have no answer, so it is no matter of the questions: "
                    f"{error}",
                    code="all-failed",
                ) from None
            raise
        with self._lock:
            self._in_a_row = 0
        return reply

    def _repeating(self, provider: Provider, messages: Messages) -> Reply:
        try:
            import tenacity
        except ImportError:
            raise InputError(
                f"calls that fail are repeated by the package tenacity; `{install_command('instruct')}`"
            ) from None

        longer = tenacity.wait_exponential_jitter(initial=_FIRST_WAIT, max=_LONGEST_WAIT)

        def seconds(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            wish = error.wait if isinstance(error, ProviderError) else None
            return max(longer(state), wish or 0.0)

        attempts = 0

        def attempt() -> Reply:
            nonlocal attempts
            attempts += 1
            return provider.ask(messages)

        try:
            reply: Reply = tenacity.Retrying(
                stop=tenacity.stop_after_attempt(self._attempts),
                wait=seconds,
                retry=tenacity.retry_if_exception(_may_pass),
                sleep=self._pause,
                reraise=True,
            )(attempt)
        except ProviderError as error:
            if attempts == 1:
                raise
            raise ProviderError(
                f"{error.args[0]} (tried {attempts} times)", code=error.code, wait=error.wait
            ) from None
        return reply


def _end(stop: threading.Event, threads: Sequence[threading.Thread], grace: float | None) -> None:
    """Ask for nothing new, and let calls under way end, whose replies are then kept."""
    stop.set()
    with suppress(KeyboardInterrupt):  # a second one: at once
        for thread in threads:
            if thread.ident is not None:
                thread.join(None if grace is None else grace / len(threads))


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.failure.passes and (error.wait or 0.0) <= _LONGEST_WISH
