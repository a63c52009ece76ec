"""What a model answered: a row per state, prompt and sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Unpack

import pandas as pd

from latentlang import defaults
from latentlang.errors import InputError
from latentlang.generation.answer_settings import AnswerSettings
from latentlang.generation.answer_text import answer_sentences, change_sentences
from latentlang.language_names import Language
from latentlang.results import Result, ResultSettings, View, repeated
from latentlang.stats.intervals import wilson
from latentlang.stats.paired import CHANGES, paired_changes
from latentlang.storage.tables import Columns

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = (
    "state", "id", "language", "sample", "prompt", "answer", "ended", "tokens", "log_prob", "answered", "reason",
)  # fmt: skip
#: What stands as the language of an answer that could not be told.
UNDECIDED = "undecided"


@dataclass(frozen=True)
class AnswerResult(Result[AnswerSettings]):
    """What a model answered.

    Attributes:
        table: one row per state, prompt and sample; columns ``state`` (``base`` or ``tuned``); ``id`` of the prompt;
            ``language`` that the answer should be in, empty where nobody said; ``sample``, from 0; ``prompt``, what was
            asked, without a template; ``answer``, up to a stop string; ``ended``: ``end`` (by the model),
            ``stop-string`` or ``length`` (as many tokens as it might write); ``tokens`` written, but for one that ends
            the text; ``log_prob``, the natural logarithm of their probability, that one's included, as the model alone
            has it; ``answered``, the language it was told as, ``undecided``, or missing where nobody looked, and the
            ``reason``, a code of `language_id.REASONS`.
    """

    kind: ClassVar[str] = "answers"
    columns: ClassVar[Columns] = {
        "state": "text", "id": "text", "language": "text", "sample": "whole", "prompt": "text", "answer": "text",
        "ended": "text", "tokens": "whole", "log_prob": "number", "answered": "text?", "reason": "text",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = AnswerSettings

    def fault(self) -> str | None:
        """An answer that is there twice."""
        return repeated(self.table, ["state", "language", "id", "sample"])

    def summary(self, level: float = defaults.LEVEL) -> pd.DataFrame:
        """One row per state and language.

        Columns ``state, language, prompts, answers``; shares of the answers: ``in_language``, ``off_target`` (told as
        another one than the target language) with its Wilson interval over prompts, ``low`` and ``high``,
        ``undecided`` and ``empty`` (of spaces at most), which together are one, and NaN but for the last where no
        target language is known or none was told; shares that ended by ``end``, ``stop_string`` and ``length``; medians
        of ``tokens`` and ``characters``; and ``token_log_prob``, the mean log-probability of a token.

        Args:
            level: coverage of the interval.
        """
        rows = [
            {"state": str(state), "language": str(code), **_row(part, str(code), level)}
            for (state, code), part in self.table.groupby(["state", "language"], sort=False)
        ]
        return pd.DataFrame(rows, columns=list(SUMMARY))

    def changes(self, *, level: float = defaults.LEVEL) -> pd.DataFrame:
        """Which prompts are answered in another language with the adapter, or no longer: a row per target language.

        Columns ``language, n, before, after, difference, low, high, gained, lost, p, p_holm, change``: `before` and
        `after` the shares of prompts whose first answer is off target, the difference with its paired interval
        (Newcombe 1998, method 10), how many turned off target and how many no longer are, McNemar's exact p-value, the
        same corrected over the languages (Holm 1979), and ``up`` or ``down`` where that is at most 1 - level. Languages
        whose answers were not told are left out.

        Args:
            level: coverage of the intervals, and 1 less the chance of any false change.

        Raises:
            InputError: there are not two states.
        """
        states = list(dict.fromkeys(self.table["state"]))
        if states != ["base", "tuned"]:
            raise InputError(
                f"there are answers of {', '.join(states) or 'no state'}, not of base and tuned; answer with an adapter"
            )
        first = self.table[self.table["sample"] == 0]
        by_code = {}
        for code, part in first.groupby("language", sort=False):
            if not code or part["answered"].isna().any():
                continue
            off = (
                part.assign(off=_off_target(part, str(code)))
                .pivot(index="id", columns="state", values="off")
                .to_numpy(bool)
            )
            by_code[str(code)] = (off[:, 0], off[:, 1])
        return pd.DataFrame(paired_changes(by_code, level=level), columns=list(CHANGES))

    def of(self, state: str) -> pd.DataFrame:
        """The rows of a state.

        Raises:
            InputError: there is none.
        """
        part = self.table[self.table["state"] == state].reset_index(drop=True)
        if part.empty:
            there = ", ".join(dict.fromkeys(self.table["state"])) or "none"
            raise InputError(f"there are no answers of state {state!r}; there is {there}")
        return part

    def describe(self) -> str:
        """How it was written, in which languages, and why it ended."""
        lines = answer_sentences(self.summary(), self.settings)
        if list(dict.fromkeys(self.table["state"])) == ["base", "tuned"]:
            lines += change_sentences(self.changes())
        return "\n".join(lines)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """A bar for each target language and state: in which language the answers are.

        Args:
            languages: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or no answers.
        """
        from latentlang.figures.answers import answers_figure

        return answers_figure(self, languages=languages, **look)

    def _view(self) -> View:
        return replace(super()._view(), table=self._answers)

    def _answers(self) -> pd.DataFrame:
        """What was asked and what was answered: the first thing that one wants to see in a notebook."""
        state = ["state"] if self.table["state"].nunique() > 1 else []
        return self.table[[*state, "id", "language", "prompt", "answer", "answered", "ended"]]


#: Columns of `AnswerResult.summary`.
SUMMARY = (
    "state", "language", "prompts", "answers", "in_language", "off_target", "low", "high", "undecided", "empty", "end",
    "stop_string", "length", "tokens", "characters", "token_log_prob",
)  # fmt: skip


def _off_target(part: pd.DataFrame, code: str) -> pd.Series:
    """Whether each answer says something, in another language than it should."""
    return ~part["answered"].isin([code, UNDECIDED]) & (part["answer"].str.strip() != "")


def _row(part: pd.DataFrame, code: str, level: float) -> dict[str, float]:
    count, missing = len(part), float("nan")
    is_empty = part["answer"].str.strip() == ""
    shares = dict.fromkeys(("in_language", "off_target", "low", "high", "undecided"), missing)
    if code and part["answered"].notna().all():
        right = (part["answered"] == code) & ~is_empty
        open_ones = (part["answered"] == UNDECIDED) & ~is_empty
        other = _off_target(part, code)
        # samples of one prompt are no independent answers
        prompts = part["id"].nunique()
        low, high = wilson(float(other.mean()) * prompts, prompts, level=level)
        shares = {
            "in_language": float(right.mean()), "off_target": float(other.mean()), "low": low, "high": high,
            "undecided": float(open_ones.mean()),
        }  # fmt: skip
    written = float((part["tokens"] + (part["ended"] == "end")).sum())
    return {
        "prompts": int(part["id"].nunique()), "answers": count, **shares, "empty": float(is_empty.mean()),
        "end": float((part["ended"] == "end").mean()), "stop_string": float((part["ended"] == "stop-string").mean()),
        "length": float((part["ended"] == "length").mean()), "tokens": float(part["tokens"].median()),
        "characters": float(part["answer"].str.len().median()),
        "token_log_prob": float(part["log_prob"].sum()) / written if written else missing,
    }  # fmt: skip
