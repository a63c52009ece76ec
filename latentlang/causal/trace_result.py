"""A trace of what a model writes: the language of each new token, and what each layer would have said."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

import numpy as np
import pandas as pd

from latentlang.causal.trace_null import NULL_COLUMNS, null_rates
from latentlang.causal.trace_settings import TraceSettings
from latentlang.causal.trace_switch import SWITCH, Switch, find_origin, find_switch, verdict
from latentlang.causal.trace_text import trace_sentences
from latentlang.errors import InputError
from latentlang.remote_paths import located
from latentlang.results import Result, ResultSettings, repeated
from latentlang.storage.documents import damaged
from latentlang.storage.output import TABLE
from latentlang.storage.tables import Columns, read_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

COLUMNS = (
    "prompt", "step", "token", "id", "token_language", "layer", "language", "mass", "null", "null_high", "top",
)  # fmt: skip
EDITS = "edits.parquet"
EDIT_COLUMNS: Columns = {
    "prompt": "whole", "arm": "text", "draw": "whole", "step": "whole", "layer": "whole", "length": "number",
    "undone": "truth", "text": "text",
}  # fmt: skip
#: What is done at the switch: the state is set to the old language's mean along the difference of means, or changed
#: as much in a random one.
EDIT, RANDOM = "edit", "random"


def _no_edits() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in EDIT_COLUMNS})


@dataclass(frozen=True)
class TraceResult(Result[TraceSettings]):
    """What every layer would say in each language before each new token.

    Attributes:
        table: one row per prompt, new token, layer and language; columns ``prompt``, its place from 0; ``step``, the
            new token's place from 0; ``token``, what it writes, made visible, and ``id``; ``token_language``, the
            language that it belongs to, empty for none; ``layer``; ``language``, and its ``mass``: the probability, in
            [0, 1], that the layer gives the tokens of that language, at the token before; ``null`` and ``null_high``,
            the mean and the 95th percentile of the same at tokens of text in the other languages; ``top``, the layer's
            likeliest token.
        edits: one row per prompt with a switch and arm: ``edit`` (the state before the token at which the switch begins
            is set, at the earliest layer, to the old language's mean along the difference of the two languages' means)
            and ``random`` (it is changed as much in a random direction), numbered by ``draw``; ``length`` of the change
            over that of the state; ``undone``, whether the text now written has no switch and at least two tokens of
            the old language (`trace_switch.undone`); ``text``, that from ``step`` on, the switch's onset.
    """

    edits: pd.DataFrame = field(default_factory=_no_edits)

    kind: ClassVar[str] = "trace"
    columns: ClassVar[Columns] = {
        "prompt": "whole", "step": "whole", "token": "text", "id": "whole", "token_language": "text", "layer": "whole",
        "language": "text", "mass": "number", "null": "number", "null_high": "number", "top": "text",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = TraceSettings

    def fault(self) -> str | None:
        """A cell that is there twice, or one of a prompt that is not."""
        if len(self.table) and int(self.table["prompt"].max()) >= len(self.settings.prompts):
            return f"it has prompt {int(self.table['prompt'].max())}, and its settings hold fewer"
        return repeated(self.table, ["prompt", "step", "layer", "language"])

    def tokens(self, prompt: int = 0) -> pd.DataFrame:
        """The new tokens of a prompt: columns ``step, token, id, token_language``.

        Raises:
            InputError: there is no such prompt.
        """
        self.check_prompt(prompt)
        part = self.table[self.table["prompt"] == prompt]
        columns = ["step", "token", "id", "token_language"]
        return part.drop_duplicates("step")[columns].reset_index(drop=True)

    def check_prompt(self, prompt: int) -> None:
        """Refuse a prompt that was not traced.

        Raises:
            InputError: naming it.
        """
        if not 0 <= prompt < len(self.settings.prompts):
            raise InputError(
                f"there is no prompt {prompt}; this result has prompts 0 to {len(self.settings.prompts) - 1}"
            )

    @cached_property
    def _summary(self) -> pd.DataFrame:
        rows = []
        for prompt, before in enumerate(self.settings.before):
            tokens = self.tokens(prompt)
            owners = [owner or None for owner in tokens["token_language"]]
            switch = find_switch(owners, before)
            row = {
                "prompt": prompt, "verdict": verdict(owners, before), "step": -1, "token": "", "onset": -1,
                "before": before or "", "language": "", "layer": -1, "undone": np.nan, "random": np.nan,
                "tokens": len(owners), "known": sum(owner is not None for owner in owners),
            }  # fmt: skip
            if switch is not None:
                row |= {
                    "step": switch.step, "token": tokens["token"][switch.step], "before": switch.before,
                    "language": switch.language,
                }  # fmt: skip
                row["onset"], layer = self._origin(prompt, owners, switch)
                row["layer"] = -1 if layer is None else layer
                made = self.edits[self.edits["prompt"] == prompt]
                for column, arm in (("undone", EDIT), ("random", RANDOM)):
                    row[column] = made.loc[made["arm"] == arm, "undone"].astype(float).mean()
            rows.append(row)
        return pd.DataFrame(rows)

    def _origin(self, prompt: int, owners: list[str | None], switch: Switch) -> tuple[int, int | None]:
        """The new token at which a switch begins, and the layer from which on the new language leads before it."""
        part = self.table[self.table["prompt"] == prompt].sort_values(["step", "layer"], kind="stable")
        codes = list(part["language"].iloc[: part["language"].nunique()])
        shape = (len(owners), -1, len(codes))
        masses, null = (part[name].to_numpy(float).reshape(shape) for name in ("mass", "null_high"))
        layers = sorted({int(layer) for layer in part["layer"]})
        return find_origin(layers, masses, null, owners, switch, codes.index(switch.language))

    def summary(self) -> pd.DataFrame:
        """A row a prompt: whether, where and from which layer on it goes on in another language.

        Columns ``prompt``; ``verdict``: ``switch``, ``no-switch``, ``too-few`` (new tokens that belong to the language
        before, or to any known language, to say) or ``nothing-written``; ``step`` and ``token`` of the first token that
        belongs to the new ``language`` after ``before``; ``onset``, the token at which the switch begins, which may
        belong to none; the ``layer`` from which on the new language leads before that, -1 where it does not at the
        last one; ``undone``, 1 where the edit undoes the switch, and ``random``, the share of random directions that
        do; ``tokens`` that were written, and how many of them are ``known`` to belong to a language. The rules are
        `trace_switch.find_switch`'s, `switch_onset`'s and `trace_switch.verdict`'s.
        """
        return self._summary.copy()

    @property
    def switches(self) -> pd.DataFrame:
        """The rows of `summary` with a switch."""
        found = self.summary()
        return found[found["verdict"] == SWITCH].reset_index(drop=True)

    def false_switches(self, level: float = 0.95) -> pd.DataFrame:
        """How often the same rule calls a switch in text that is in one language throughout.

        A row a language: columns ``language``; ``n`` stretches of text, each as many tokens as were written at most;
        ``share`` of them that are said to switch, with its Wilson interval ``low`` and ``high``; and ``too_few``, the
        share of which too few tokens are known. Empty where there was no text as long, or the result was saved before
        this was measured. Which table these tokens were looked up in is in ``settings.null_table`` (`trace_null`).

        Args:
            level: coverage of the intervals.
        """
        rows = null_rates(self.settings.null_verdicts, level=level)
        return pd.DataFrame(rows, columns=list(NULL_COLUMNS))

    def describe(self) -> str:
        """Where each text goes on in another language, from which layer on, and what undoes it."""
        return "\n".join(trace_sentences(self.summary(), self.settings, self.provenance))

    def figure(self, prompt: int = 0, **look: Unpack[Look]) -> go.Figure:
        """Layers over new tokens, coloured by the language that leads, as strongly as it does.

        Args:
            prompt: place of the prompt.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: there is no such prompt, or nothing was written after it.
        """
        from latentlang.figures.trace import trace_figure

        self.check_prompt(prompt)
        return trace_figure(self, prompt=prompt, **look)

    def _content(self) -> dict[str, pd.DataFrame | bytes]:
        """The table and what came of the edits."""
        return {TABLE: self.table, EDITS: self.edits}

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no such result, or one of another kind or a newer format.
        """
        bare = super().load(folder)
        edits = read_table(located(folder) / EDITS, EDIT_COLUMNS)
        others = _others(edits["prompt"], range(len(bare.settings.prompts)))
        if others:
            raise damaged(
                located(folder) / EDITS, f"it has an edit of prompt {others[0]}, which there is not"
            )
        return replace(bare, edits=edits)


def _others(given: Iterable[int], known: Iterable[int]) -> list[int]:
    return sorted({int(value) for value in given} - {*known})
