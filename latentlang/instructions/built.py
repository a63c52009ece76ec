"""What a step makes: dialogues, and of everything that it did not make, which and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from latentlang.errors import InputError, shown
from latentlang.instructions.data_folder import check_data_folder, save_data_folder
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.providers.asking import Usage
from latentlang.instructions.providers.base import FAILURES, ProviderError
from latentlang.paths import PathLike, given_path
from latentlang.results import Displayed, View
from latentlang.text import counted, listed

if TYPE_CHECKING:
    import pandas as pd

#: What a folder of made dialogues has: the dialogues, and below ``report`` what was made and dropped.
DIALOGUES, COUNTS, DROPPED, RECORD = (
    "dialogues.jsonl",
    "report/counts.csv",
    "report/dropped.jsonl",
    "report/build.json",
)
#: The step that a folder of made dialogues is of, whatever made them.
BUILD = "build"
#: In the place of a reason: nothing was dropped.
MADE = "made"
#: Why something was not made, by code.
REASONS: dict[str, str] = {
    **{code: failure.about for code, failure in FAILURES.items() if failure.of_item},
    "cut": "the reply was ended by the limit of its length",
    "no-instruction": "it asks nothing",
    "same-language": "it is in this language already",
    "lost-parts": "the reply has not the parts that were asked for",
    "no-translation": "there is no text in one of the two languages",
    "other-language": "it is in another language than it should be",
    "no-words": "its translation has no words that could be asked for",
    "short-document": "the document is too short",
    "long-document": "the document is too long",
    "short-segment": "the piece of the document is too short",
    "short-answer": "the answer is too short",
    "undecided": "it could not be decided",
    "culture-bound": "it meets a criterion",
}
#: Reasons that end a dialogue early; what there was before is kept.
ENDED_EARLY = "ended-early"
REASONS[ENDED_EARLY] = "the dialogue was ended before its time, and what there was is kept"
# Of each language and reason, in `Built.examples`; characters of one in a report.
_EXAMPLES, _MOST_CHARACTERS = 3, 500


@dataclass(frozen=True)
class Dropped:
    """Something that was not made.

    Attributes:
        id: of the item.
        language: that it would have been in.
        reason: a code of `REASONS`.
        text: of the item, or what was said of it.
    """

    id: str
    language: str
    reason: str
    text: str

    @classmethod
    def of(cls, error: ProviderError, id: str, language: str) -> Dropped:
        """An item that has no reply.

        Raises:
            ProviderError: the error itself, where it is no matter of this item alone.
        """
        if not error.failure.of_item:
            raise error
        return cls(id, language, error.code, str(error))

    def record(self) -> dict[str, str]:
        """As JSON has it, the text cut."""
        return asdict(self) | {"text": self.text[:_MOST_CHARACTERS]}


@dataclass(frozen=True)
class Built(Displayed):
    """What a step made.

    Attributes:
        step: name of the step.
        dialogues: what was made, in the order of the items.
        dropped: what was not.
        settings: what it depends on, as JSON can say it.
        usage: what was asked for.
        others: more dialogues that came with it, by name.
        counted_by: the language that dialogues are counted under, ``language`` or ``answer_language``.
    """

    step: str
    dialogues: tuple[Dialogue, ...]
    dropped: tuple[Dropped, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    others: Mapping[str, tuple[Dialogue, ...]] = field(default_factory=dict)
    counted_by: Literal["language", "answer_language"] = "language"

    def _made(self) -> Counter[str]:
        return Counter(getattr(dialogue, self.counted_by) for dialogue in self.dialogues)

    @property
    def table(self) -> pd.DataFrame:
        """How many were made and dropped: ``language``, ``outcome`` (``made`` or a code of `REASONS`), ``count``."""
        import pandas as pd

        counts = Counter({(code, MADE): count for code, count in self._made().items()})
        counts.update((drop.language, drop.reason) for drop in self.dropped)
        order = {reason: place for place, reason in enumerate((MADE, *REASONS))}
        rows = [(*key, counts[key]) for key in sorted(counts, key=lambda key: (key[0], order[key[1]]))]
        return pd.DataFrame(rows, columns=["language", "outcome", "count"])

    def examples(self, most: int = _EXAMPLES) -> list[Dropped]:
        """Of each language and reason the first few.

        Args:
            most: how many.
        """
        seen: Counter[tuple[str, str]] = Counter()
        chosen = []
        for drop in self.dropped:
            seen[drop.language, drop.reason] += 1
            if seen[drop.language, drop.reason] <= most:
                chosen.append(drop)
        return chosen

    def describe(self) -> str:
        """What was made and dropped, and what it took, in sentences."""
        languages = listed([f"{code} {count:,}" for code, count in self._made().items()])
        lines = [
            f"{counted(len(self.dialogues), 'dialogue')} made" + (f" ({languages})." if languages else ".")
        ]
        dropped = [drop for drop in self.dropped if drop.reason != ENDED_EARLY]
        reasons = Counter(drop.reason for drop in self.dropped)
        if dropped:
            lines.append(f"{counted(len(dropped), 'item')} dropped:")
        for reason, count in reasons.most_common():
            example = next(drop for drop in self.dropped if drop.reason == reason)
            lines.append(
                f"  {count:,}: {REASONS[reason]} ({reason}), such as {shown(example.id, most=40)} ({example.language})"
            )
        if left := self.settings.get("left"):
            of_each = listed([f"{code} {count:,}" for code, count in left.items()])
            lines.append(f"Left as they were, by the keywords {self.settings['leave']}: {of_each}.")
        if self.usage.calls or self.usage.kept:
            lines.append(usage_words(self.usage))
        return "\n".join(lines)

    def save(self, folder: PathLike) -> Path:
        """Write ``dialogues.jsonl``, and below ``report`` the counts, what was dropped and the settings.

        An older outcome of such a step is replaced.

        Raises:
            InputError: the folder cannot be written, or holds something else.
        """
        record = {
            "step": self.step,
            "settings": dict(self.settings),
            "usage": asdict(self.usage),
            "dialogues": len(self.dialogues),
            "dropped": len(self.dropped),
        }
        others = {f"{name}/{DIALOGUES}": dialogues for name, dialogues in self.others.items()}
        save_data_folder(
            folder,
            BUILD,
            data={**others, DIALOGUES: self.dialogues},
            record=record,
            tables={"counts": self.table},
            dropped=[drop.record() for drop in self.dropped],
        )
        return given_path(folder)

    def _view(self) -> View:
        made = counted(len(self.dialogues), "dialogue")
        headline = f"{type(self).__name__}: {self.step}, {made}, {len(self.dropped):,} dropped"
        return View(headline=headline, table=lambda: self.table, words=self.describe)


def usage_words(usage: Usage) -> str:
    """What was asked for, in a sentence."""
    tokens = ""
    if usage.prompt_tokens or usage.answer_tokens:
        uncounted = f", {counted(usage.uncounted, 'call')} not counted" if usage.uncounted else ""
        tokens = (
            f" ({counted(usage.prompt_tokens, 'token')} asked, {counted(usage.answer_tokens, 'token')} answered"
            f"{uncounted})"
        )
    again = f", {counted(usage.repeated, 'attempt')} repeated" if usage.repeated else ""
    kept = counted(usage.kept, "reply", "replies")
    return f"{counted(usage.calls, 'call')}{tokens}{again}; {kept} taken from those kept."


def check_made_here(folder: Path) -> None:
    """Refuse a folder with dialogues that no step made.

    Raises:
        InputError: it holds some.
    """
    check_data_folder(folder, BUILD, [DIALOGUES])


def check_any(dialogues: Sequence[Dialogue], dropped: Sequence[Dropped]) -> None:
    """Refuse an outcome of nothing, which is never what was wanted.

    Raises:
        InputError: nothing was made; naming the reason that was met most.
    """
    if dialogues:
        return
    if not dropped:
        raise InputError("there was nothing to make; give some items")
    reason, count = Counter(drop.reason for drop in dropped).most_common(1)[0]
    example = next(drop for drop in dropped if drop.reason == reason)
    whole = len(dropped)
    what = f"all {whole:,} items were dropped; of {count:,}" if whole > 1 else "the only item was dropped:"
    raise InputError(
        f"{what} {REASONS[reason]} ({reason}), such as "
        f"{shown(example.id, most=40)} ({example.language}): {shown(example.text, most=120)}"
    )
