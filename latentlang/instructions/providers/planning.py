"""What a run would take before it is begun: calls, those that are kept already, tokens, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.instructions.providers.asking import Item, Outcome
from latentlang.instructions.providers.base import Messages, Provider, Reply, asked_again, request_key
from latentlang.instructions.providers.reply_cache import ReplyCache
from latentlang.paths import PathLike, given_path, is_folder
from latentlang.progress import ProgressOption, reporting
from latentlang.text import are, counted, sentences

# A token of English is some four bytes of UTF-8, and of other scripts too within a factor of two.
_BYTES_PER_TOKEN = 4
#: What the estimate of tokens is called.
ESTIMATE = f"estimated as one token for {_BYTES_PER_TOKEN} bytes"
#: Tokens of an answer whose length nothing is known of.
ANSWER_TOKENS = 300
_MILLION = 1_000_000
_PLACEHOLDER = "… "


@dataclass(frozen=True)
class TokenCounter:
    """How tokens are counted.

    Attributes:
        name: by whom, for a sentence.
        count: tokens of a text.
    """

    name: str
    count: Callable[[str], int]


def estimated_tokens(text: str) -> int:
    """Tokens of a text where no tokenizer is at hand: bytes of UTF-8 divided by four, rounded up."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)


def token_counter(provider: Provider | None = None, *, tokenizer: Any = None, name: str = "") -> TokenCounter:
    """How tokens are counted: by a tokenizer, by the provider's own, or estimated.

    Args:
        provider: may have one.
        tokenizer: comes first.
        name: of the tokenizer's model.
    """
    if tokenizer is not None:
        return TokenCounter(
            f"counted by the tokenizer of {name}",
            lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]),
        )
    own = getattr(provider, "count_tokens", None)
    if provider is not None and own is not None:
        return TokenCounter(f"counted by the tokenizer of {provider.name}", own)
    return TokenCounter(ESTIMATE, estimated_tokens)


@dataclass(frozen=True)
class Prices:
    """What a million tokens cost, in any currency.

    Attributes:
        prompt: of what is asked.
        answer: of what is answered.
    """

    prompt: float
    answer: float

    def __post_init__(self) -> None:
        for value in (self.prompt, self.answer):
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"a price for a million tokens must be 0 or more, not {value!r}")

    def of(self, prompt_tokens: int, answer_tokens: int) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.prompt + answer_tokens * self.answer) / _MILLION


@dataclass(frozen=True)
class CallPlan:
    """What a run would take.

    Attributes:
        provider: name of what would be asked.
        calls: that would be made.
        kept: questions whose reply is kept already.
        prompt_tokens: of the calls.
        answer_tokens: of the calls, as far as it can be foreseen.
        counted_by: how tokens were counted.
        prices: of the tokens; None where they are not known.
    """

    provider: str
    calls: int
    kept: int
    prompt_tokens: int
    answer_tokens: int
    counted_by: str
    prices: Prices | None = None

    @property
    def price(self) -> float | None:
        """What the calls would cost."""
        return None if self.prices is None else self.prices.of(self.prompt_tokens, self.answer_tokens)

    def record(self) -> dict[str, Any]:
        """The plan for another program."""
        return {
            "provider": self.provider, "calls": self.calls, "kept": self.kept, "prompt_tokens": self.prompt_tokens,
            "answer_tokens": self.answer_tokens, "counted_by": self.counted_by, "price": self.price,
        }  # fmt: skip

    @sentences
    def describe(self) -> str:
        """The plan in sentences."""
        lines = [
            f"{counted(self.calls, 'call')} of {self.provider} would be made, and "
            f"{counted(self.kept, 'reply', 'replies')} {are(self.kept)} kept already.",
            f"They would ask {counted(self.prompt_tokens, 'token')} and be answered in about "
            f"{counted(self.answer_tokens, 'token')} ({self.counted_by}; answers are taken to be as long as the texts "
            f"that they stand for, or {ANSWER_TOKENS} tokens).",
        ]
        if self.prices is not None:
            lines.append(
                f"At {self.prices.prompt:g} for a million tokens asked and {self.prices.answer:g} for a million "
                f"answered that is {self.price:,.2f}."
            )
        return "\n".join(lines)


class Planner:
    """Takes the place of an `Asker` in a step and only counts: kept replies are used, all others are made up.

    Attributes:
        provider: what would be asked.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        cache: PathLike | None = None,
        counter: TokenCounter | None = None,
        answer_tokens: int = ANSWER_TOKENS,
    ) -> None:
        """Set up.

        Args:
            provider: what would be asked; it is not.
            cache: folder of kept replies; it need not be there.
            counter: how tokens are counted; by default the provider's own way, or an estimate.
            answer_tokens: of an answer whose length nothing is known of.

        Raises:
            InputError: an impossible number.
        """
        check_count("answer_tokens", answer_tokens, least=1)
        self.provider = provider
        folder = None if cache is None else given_path(cache)
        self._cache = ReplyCache(folder) if folder is not None and is_folder(folder) else None
        self._counter = counter or token_counter(provider)
        self._answer_tokens = answer_tokens
        self._planned: set[str] = set()
        self._calls = self._kept = self._prompt_tokens = self._answered = 0

    def ask(self, messages: Messages, *, like: str = "", again: int = 0) -> Reply:
        """The kept reply, or one that is made up.

        Args:
            messages: what would be asked.
            like: a text of about the length of the answer.
            again: how often they were asked before.
        """
        provider = asked_again(self.provider, again) or self.provider
        reply = None if self._cache is None else self._cache.get(provider, messages)
        key = request_key(provider, messages)
        if reply is not None or key in self._planned:
            self._kept += reply is not None and key not in self._planned
            self._planned.add(key)
            return reply or self._made_up(like)
        self._planned.add(key)
        self._calls += 1
        self._prompt_tokens += sum(self._counter.count(message["content"]) for message in messages)
        self._answered += self._counter.count(like) if like.strip() else self._answer_tokens
        return self._made_up(like)

    def _made_up(self, like: str) -> Reply:
        return Reply(like if like.strip() else _PLACEHOLDER * self._answer_tokens)

    def run(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Outcome],
        *,
        what: str,
        progress: ProgressOption = None,
    ) -> list[Outcome]:
        """What `work` gives for each item, one after the other.

        Args:
            items: to work on.
            work: asks by `ask`.
            what: is being done, for the progress.
            progress: whether it is shown, or a function of (done, in all).
        """
        outcomes = []
        with reporting(progress, f"planning: {what}", things="items", total=len(items)) as report:
            for done, item in enumerate(items, 1):
                outcomes.append(work(item))
                report(done, len(items))
        return outcomes

    def plan(self, prices: Prices | None = None) -> CallPlan:
        """What was counted.

        Args:
            prices: of the tokens.
        """
        return CallPlan(
            self.provider.name, self._calls, self._kept, self._prompt_tokens, self._answered, self._counter.name,
            prices,
        )  # fmt: skip
