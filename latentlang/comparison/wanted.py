"""What a comparison is asked: the prompts of its steps, and names that are checked before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from latentlang.arguments import split_names
from latentlang.errors import InputError, unknown
from latentlang.tasks import Task


@dataclass(frozen=True)
class Wanted:
    """The prompts of a comparison."""

    task: Task
    codes: list[str]
    pivot: str
    shots: int | None
    seed: int

    @cached_property
    def with_pivot(self) -> list[str]:
        """The languages, the pivot among them if the task has it: alignment is with it."""
        if self.pivot in self.codes or self.pivot not in self.task.languages:
            return self.codes
        return [*self.codes, self.pivot]

    def available(self, items: int) -> int:
        """So many items, or all there are."""
        return min(items, *(len(self._prompts(code, None)) for code in self.codes))

    def _prompts(self, code: str, items: int | None) -> Any:
        return self.task.prompts(code, items=items, shots=self.shots, seed=self.seed)

    def options(self, codes: Sequence[str], items: int) -> dict[str, Any]:
        """What a step's outcome depends on, the prompts and answers themselves included."""
        digest = hashlib.sha256()
        for code in codes:
            for prompt in self._prompts(code, items):
                digest.update("\x1f".join([prompt.item, str(prompt.label), prompt.text, ""]).encode())
            digest.update(repr(sorted(self.task.answers(code).items())).encode())
        return {
            "task": self.task.name, "settings": dict(self.task.settings), "languages": list(codes), "items": items,
            "shots": self.shots, "seed": self.seed, "prompts": digest.hexdigest(),
        }  # fmt: skip


def chosen_names(asked: str | Iterable[str], kind: str, known: Sequence[str]) -> list[str]:
    """Resolve names that may come as one text with commas, each once.

    Args:
        asked: the names.
        kind: what they name, for an error.
        known: the names there are.

    Raises:
        InputError: an unknown name, or none.
    """
    names = split_names(asked)
    for name in names:
        if name not in known:
            raise unknown(kind, name, known)
    if not names:
        raise InputError(f"no {kind} was chosen; there are {', '.join(known)}")
    return names
