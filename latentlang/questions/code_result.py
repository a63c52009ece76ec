"""What programming problems found: a row per program, and pass@k beside the ceiling."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import numpy as np
import pandas as pd

from latentlang.errors import shown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.questions.code_settings import CodeSettings
from latentlang.questions.pass_rates import pass_at_k
from latentlang.questions.text import STATE_WORDS
from latentlang.results import Result, ResultSettings, repeated, unknown_state
from latentlang.stats.intervals import share_means
from latentlang.storage.tables import Columns
from latentlang.text import counted, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

#: States of what was run: the benchmark's own solutions, and a model's programs.
CANONICAL = "canonical"
STATES = (CANONICAL, "base", "tuned")
KINDS_OF_COLUMNS: Columns = {
    "state": "text",
    "language": "text",
    "item": "text",
    "sample": "whole",
    "completion": "text",
    "ended": "text",
    "detail": "text",
    "passed": "truth",
}
COLUMNS = tuple(KINDS_OF_COLUMNS)
_KEYS = ["state", "language"]


@dataclass(frozen=True)
class CodeResult(Result[CodeSettings]):
    """Which programs pass their problem's tests.

    Attributes:
        table: one row per state, language, problem and program. `state` is ``canonical`` (the benchmark's own solution
            behind this language's prompt), ``base`` or ``tuned``; `sample` counts the programs of a problem from 0;
            `completion` is what was put behind the prompt; `ended` how the program ended, one of
            `latentlang.code_execution.ENDINGS`, `detail` the error's line; `passed` whether all tests were passed. The
            text is a model's: it is data, and shown escaped.
    """

    kind: ClassVar[str] = "code"
    columns: ClassVar[Columns] = KINDS_OF_COLUMNS
    settings_type: ClassVar[type[ResultSettings]] = CodeSettings

    def fault(self) -> str | None:
        """A program that is there twice, a state there is not, a language without its ceiling."""
        if (problem := unknown_state(self.table, STATES)) is not None:
            return problem
        known = self.table.loc[self.table["state"] == CANONICAL, "language"]
        for code in self.languages:
            if code not in set(known):
                return f"there are no canonical solutions in {shown(code)}"
        return repeated(self.table, [*_KEYS, "item", "sample"])

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages, in the order asked for."""
        return tuple(map(str, self.table["language"].unique()))

    @cached_property
    def states(self) -> tuple[str, ...]:
        """States whose programs were run, ``canonical`` first."""
        return tuple(name for name in STATES if (self.table["state"] == name).any())

    def ceilings(self) -> pd.DataFrame:
        """How many canonical solutions pass in each language, and why the others do not.

        Columns ``language, problems, passed, syntax, failed, other``: no program of a model that keeps the prompt's
        head can do better than `passed`.
        """
        rows = []
        canonical = self.table[self.table["state"] == CANONICAL]
        for code, part in canonical.groupby("language", sort=False):
            ended = part["ended"].value_counts()
            known = {name: int(ended.get(name, 0)) for name in ("passed", "syntax", "failed")}
            rows.append(
                {"language": code, "problems": len(part), **known, "other": len(part) - sum(known.values())}
            )
        return pd.DataFrame(rows)

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Each state and language in a row; of the canonical solutions alone, where nothing else was run.

        Columns ``state, language, n, samples, ceiling`` and per k ``pass@k, pass@k_low, pass@k_high``: the mean over
        problems of `pass_at_k`, with its interval over problems (`share_means`); `ceiling` is the share that the
        canonical solutions pass. ``pass@1_solvable`` is the mean over the problems whose canonical solution passes.

        Args:
            level: coverage of the intervals.
        """
        ceilings = {
            str(row["language"]): row["passed"] / row["problems"]
            for row in self.ceilings().to_dict("records")
        }
        solvable = self.table[(self.table["state"] == CANONICAL) & self.table["passed"]]
        keys = set(zip(solvable["language"], solvable["item"], strict=True))
        shown_states = [state for state in self.states if state != CANONICAL] or [CANONICAL]
        rows = []
        for (state, code), part in self.table.groupby(_KEYS, sort=False, observed=True):
            if state not in shown_states:
                continue
            counts = part.groupby("item", sort=False)["passed"].agg(["size", "sum"])
            samples = int(counts["size"].min())
            row: dict[str, Any] = {
                "state": state,
                "language": code,
                "n": len(counts),
                "samples": samples,
                "ceiling": ceilings[str(code)],
            }
            for k in self.settings.ks if state != CANONICAL else [1]:
                values = np.array([pass_at_k(int(n), int(right), int(k)) for n, right in counts.to_numpy()])
                low, high = share_means(values[:, None], level=level, seed=self.provenance.seed)
                row |= {f"pass@{k}": values.mean(), f"pass@{k}_low": low[0], f"pass@{k}_high": high[0]}
            kept = [(code, item) in keys for item in counts.index]
            shares = (counts["sum"] / counts["size"])[kept]
            rows.append(row | {"pass@1_solvable": shares.mean() if len(shares) else math.nan})
        return pd.DataFrame(rows)

    def describe(self, level: float = 0.95) -> str:
        """How many canonical solutions pass, and a model's pass@k beside that.

        Args:
            level: coverage of the intervals.
        """
        lines = []
        for row in self.ceilings().to_dict("records"):
            reasons = [
                f"{row['syntax']} are no Python behind this prompt" if row["syntax"] else "",
                f"{row['failed']} fail" if row["failed"] else "",
                f"{row['other']} end otherwise" if row["other"] else "",
            ]
            why = f" ({', '.join(filter(None, reasons))})" if any(reasons) else ""
            lines.append(
                f"{find_language(str(row['language'])).name}: {row['passed']} of "
                f"{counted(int(row['problems']), 'canonical solution')} pass{why}: that is the ceiling."
            )
        for row in self.summary(level).to_dict("records"):
            if row["state"] == CANONICAL:
                continue
            state = f" {STATE_WORDS[str(row['state'])]}" if STATE_WORDS.keys() <= set(self.states) else ""
            scores = [
                f"pass@{k} {percent(round(row[f'pass@{k}'], 3))} ({percent(level)} interval "
                f"{percent(round(row[f'pass@{k}_low'], 3))} to {percent(round(row[f'pass@{k}_high'], 3))})"
                for k in self.settings.ks
            ]
            lines.append(
                f"{find_language(str(row['language'])).name}{state}: {', '.join(scores)} of "
                f"{counted(int(row['n']), 'problem')}, {counted(int(row['samples']), 'program')} each; ceiling "
                f"{percent(round(row['ceiling'], 3))}."
            )
        if count := sum(map(len, (self.settings.together or {}).values())):
            code, items = next(
                (code, items) for code, items in (self.settings.together or {}).items() if items
            )
            lines.append(
                f"The tests of {counted(count, 'problem')} ({items[0]} in {find_language(code).name}"
                f"{', ...' if count > 1 else ''}) need to be in one process with the program: there a program that is "
                "made to look right can pass."
            )
        return "\n".join(lines)

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """pass@k per language with its interval, beside the ceiling.

        Args:
            languages: those to draw, in this order; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.questions import code_figure

        return code_figure(self, languages=languages, **look)
