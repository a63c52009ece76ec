"""Dialogues that are bound to no culture: a model judges each by a table of criteria; what it leaves open is undecided.

A dialogue is kept where every criterion has a score of 0, and dropped where one has a score of 1. A reply that does not
say each criterion's score, once and as 0 or 1, decides nothing: such a dialogue is in neither, and listed by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from latentlang.arguments import checked_call, chosen_names
from latentlang.errors import InputError
from latentlang.instructions.built import Built, Dropped, check_made_here
from latentlang.instructions.dialogues import Dialogue
from latentlang.instructions.prompt_sets import filled
from latentlang.instructions.providers.asking import Asking
from latentlang.instructions.providers.base import Provider, ProviderError
from latentlang.instructions.translation import asking_of, usage_of
from latentlang.paths import PathLike, given_path
from latentlang.progress import ProgressOption
from latentlang.storage.documents import Closed, checked, read_yaml
from latentlang.storage.files import prepare_folder, write_text

if TYPE_CHECKING:
    import pandas as pd

#: Where the scores are written, in the folder of the dialogues.
CRITERIA = "report/criteria.csv"
UNDECIDED = "undecided"
_FILE = Path(__file__).resolve().parent / "templates" / "culture.yaml"
_SCORE = re.compile(
    r"^\W*(?:\d+[.)]\W*)?(?P<name>[\w-]+)\W*?[:=：]\s*\**(?P<score>\d+(?:[.,]\d+)?)\**(?![\w])\W*(?P<reason>.*)$"
)


class _Criteria(Closed):
    origin: str
    published: list[str]
    criteria: dict[str, str]
    ask: str


@dataclass(frozen=True)
class CriterionScore:
    """What a model said of a dialogue by one criterion.

    Attributes:
        id: of the dialogue.
        language: of the dialogue.
        criterion: its name.
        score: 0 or 1; None where none was said, or none that can be used.
        reason: in the model's words.
    """

    id: str
    language: str
    criterion: str
    score: int | None
    reason: str


@dataclass(frozen=True)
class CultureBuilt(Built):
    """What a culture filter kept: a `Built` with the scores; ``others["undecided"]`` has what is undecided.

    Attributes:
        scores: of every dialogue and criterion.
    """

    scores: tuple[CriterionScore, ...] = ()

    @property
    def criteria_table(self) -> pd.DataFrame:
        """``id``, ``language``, ``criterion``, ``score`` (missing where none can be used) and ``reason``."""
        import pandas as pd

        rows = [
            (entry.id, entry.language, entry.criterion, entry.score, entry.reason) for entry in self.scores
        ]
        table = pd.DataFrame(rows, columns=["id", "language", "criterion", "score", "reason"])
        return table.astype({"score": "Int64"})

    def save(self, folder: PathLike) -> Path:
        """As of `Built`, and the scores in ``report/criteria.csv``.

        Raises:
            InputError: as of `Built`.
        """
        path = given_path(folder)
        check_made_here(path)
        prepare_folder(path / "report")
        write_text(path / CRITERIA, self.criteria_table.to_csv(index=False))
        return super().save(path)


@cache
def _criteria() -> _Criteria:
    return checked(_Criteria, read_yaml(_FILE), _FILE)


def criteria() -> dict[str, str]:
    """Name of each criterion to what it says."""
    return dict(_criteria().criteria)


def published_criteria() -> tuple[str, ...]:
    """Names of those that the paper lists."""
    return tuple(_criteria().published)


@checked_call
def culture_filter(
    dialogues: Sequence[Dialogue],
    *,
    asking: Asking | Provider,
    by: str | Iterable[str] | None = None,
    progress: ProgressOption = True,
) -> CultureBuilt:
    """Keep the dialogues that meet no criterion.

    Args:
        dialogues: to judge.
        asking: what judges, e.g. an `latentlang.instructions.providers.Asker` with a cache.
        by: names of `criteria`; by default those of the paper.
        progress: whether it is shown, or a function of (done, in all).

    Returns:
        The dialogues that are kept; nothing may be left.

    Raises:
        InputError: an unknown criterion, or no dialogues.
        ProviderError: the provider cannot be asked any more.
    """
    names = chosen_names(list(published_criteria()) if by is None else by, "criterion", list(criteria()))
    if not dialogues:
        raise InputError("there are no dialogues to judge; give some")
    asks = asking_of(asking)
    told = "\n".join(f"{name}: {criteria()[name]}" for name in names)

    def work(dialogue: Dialogue) -> list[CriterionScore]:
        text = "\n\n".join(message["content"] for message in dialogue.messages())
        prompt = filled(_criteria().ask, criteria=told, text=text)
        try:
            reply = asks.ask([{"role": "user", "content": prompt}]).text
        except ProviderError as error:
            if not error.failure.of_item:
                raise
            return [CriterionScore(dialogue.id, dialogue.language, name, None, str(error)) for name in names]
        return read_scores(reply, names, dialogue)

    judged = asks.run(dialogues, work, what="judging", progress=progress)
    kept, undecided, dropped = [], [], []
    for dialogue, scores in zip(dialogues, judged, strict=True):
        met = [entry for entry in scores if entry.score == 1]
        unclear = [entry for entry in scores if entry.score is None]
        if met:
            said = "; ".join(f"{entry.criterion}: {entry.reason}" for entry in met)
            dropped.append(Dropped(dialogue.id, dialogue.language, "culture-bound", said))
        elif unclear:
            undecided.append(dialogue)
            said = "; ".join(f"{entry.criterion}: {entry.reason or 'no score'}" for entry in unclear)
            dropped.append(Dropped(dialogue.id, dialogue.language, UNDECIDED, said))
        else:
            kept.append(dialogue)
    settings = {
        "provider": asks.provider.name, "provider_settings": dict(asks.provider.settings), "criteria": names,
        "criteria_origin": _criteria().origin,
    }  # fmt: skip
    others = {UNDECIDED: tuple(undecided)} if undecided else {}
    return CultureBuilt(
        "culture", tuple(kept), tuple(dropped), settings, usage_of(asks), others,
        scores=tuple(entry for scores in judged for entry in scores),
    )  # fmt: skip


def read_scores(reply: str, names: Sequence[str], dialogue: Dialogue) -> list[CriterionScore]:
    """The scores in a reply, one of each criterion; None where it is not said, said in two ways, or neither 0 nor 1.

    Args:
        reply: what the model wrote.
        names: of the criteria.
        dialogue: what was judged.
    """
    said: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
    for line in reply.splitlines():
        match = _SCORE.match(line.strip())
        if match is not None and match["name"].casefold() in said:
            said[match["name"].casefold()].append((match["score"], match["reason"].strip()))
    scores = []
    for name in names:
        values = {score for score, _reason in said[name]}
        usable = len(values) == 1 and values <= {"0", "1"}
        reason = said[name][0][1] if said[name] else ""
        if said[name] and not usable:
            reason = f"scores {', '.join(sorted(values))}: {reason}"
        scores.append(
            CriterionScore(
                dialogue.id, dialogue.language, name, int(values.pop()) if usable else None, reason
            )
        )
    return scores
