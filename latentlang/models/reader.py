"""Reading list after list of prompts in one and the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from latentlang.models.batch import Item, Reading
from latentlang.models.forward import Runner
from latentlang.models.tokenization import PromptLike


@dataclass(frozen=True)
class Reader:
    """A way to read prompts, made by `HookedLM.reader`.

    The few-shot block run last stays for the next list, so that lists that go on with it do not run it again. What
    comes out for a list is, to the last bit, what would come out for it alone, as long as the model and its adapter
    stay as they are.

    Attributes:
        runner: runs prompts.
        prepare: checks prompts and settles what is read of each.
    """

    runner: Runner
    prepare: Callable[[Sequence[PromptLike]], list[Item]]

    def stream(
        self, prompts: Sequence[PromptLike], *, progress: Callable[[int, int], None] | None = None
    ) -> Iterator[Reading]:
        """Read prompts, batch by batch, in an order that runs fast; `Reading.index` says which is which.

        Raises:
            ModelError: a prompt cannot be used, or is too much for the memory.
        """
        return self.runner.run(self.prepare(prompts), progress)
