"""Answer sets as tidy tables: the tokens, how languages overlap, and what each policy costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from latentlang.answers.policy import POLICIES, select_tokens
from latentlang.answers.sets import AnswerSets
from latentlang.answers.text import reason_text
from latentlang.arguments import split_names

if TYPE_CHECKING:
    import pandas as pd


_TOKEN_COLUMNS = (
    "language", "label", "answer", "token", "text", "bytes", "exclusive", "shared_with", "runs_on",
    "specificity",
)  # fmt: skip


def token_table(sets: AnswerSets) -> pd.DataFrame:
    """One row per language, label, answer and token.

    Columns: ``language``, ``label``, ``answer`` (several wordings joined by ``" / "``), ``token`` (id),
    ``text`` (as `TokenBytes.render`), ``bytes`` (hex, ``e3 83``), ``exclusive`` (bool), ``shared_with``
    (codes joined by commas), ``runs_on`` (bool: the token goes on into a longer word), ``specificity`` (share
    of the vocabulary's tokens that begin with these bytes, in (0, 1]).
    """
    import pandas as pd

    table = sets.table
    distinct = np.unique(np.concatenate([entry.ids for entry in sets.values()]))
    share = dict(zip(distinct.tolist(), table.specificity(distinct.tolist()).tolist(), strict=True))
    rows = [
        {
            "language": entry.language,
            "label": entry.label,
            "answer": " / ".join(entry.answers),
            "token": i,
            "text": table.render(i),
            "bytes": (table.bytes[i] or b"").hex(" "),
            "exclusive": i not in entry.shared_with,
            "shared_with": ",".join(entry.shared_with.get(i, ())),
            "runs_on": i in running,
            "specificity": share[i],
        }
        for entry in sets.values()
        for running in [frozenset(entry.running_on.tolist())]
        for i in entry.ids.tolist()
    ]
    return pd.DataFrame(rows, columns=list(_TOKEN_COLUMNS))


def overlap_table(sets: AnswerSets, *, share: bool = False, label: str | None = None) -> pd.DataFrame:
    """Answer tokens that languages have in common, ``[language, language]``.

    Args:
        sets: the answer sets.
        share: give the part of the row language's tokens that the column language has too, in [0, 1] (NaN
            for a language without tokens); otherwise their number (the diagonal is the size of the
            language's own set).
        label: compare the sets of one label; None compares the sets of all labels together.

    Raises:
        InputError: no language has the label.
    """
    import pandas as pd

    if label is not None:
        labels = {name for code in sets.languages for name in sets.labels(code)}
        if label not in labels:
            from latentlang.errors import unknown

            raise unknown("label", label, labels)
    unions = {code: sets.union(code, label) for code in sets.languages}
    held = np.zeros((len(unions), len(sets.table)), dtype=np.float32)
    for row, ids in enumerate(unions.values()):
        held[row, ids] = 1
    common = held @ held.T
    codes = list(unions)
    if share:
        with np.errstate(invalid="ignore"):
            return pd.DataFrame(common / np.diag(common)[:, None], index=codes, columns=codes)
    return pd.DataFrame(common.astype(np.int64), index=codes, columns=codes)


def policy_table(
    sets: AnswerSets,
    *,
    policies: str | Iterable[str] = tuple(POLICIES),
    against: str | Iterable[str] | None = None,
    pivot: str = "en",
    items: Mapping[str, Mapping[str, int]] | None = None,
) -> pd.DataFrame:
    """What each policy costs each language: one row per language and policy.

    Columns: ``language``, ``policy``, ``labels`` (how many it has), ``labels_lost``, ``lost`` (their names,
    joined by commas), ``reason`` (code of the first, see `policy.Reason`), ``why`` (the same in words), ``caution``
    (of the first that has one), ``tokens`` (in its sets, summed over labels), ``tokens_kept`` (missing for
    ``sequence``, which counts none), ``same_words_as`` (languages whose every answer is the same string, joined by
    commas), and with `items` also ``items`` and ``items_lost``.

    Args:
        sets: the answer sets.
        policies: the policies to compare.
        against: languages that make a token shared, see `policy.select_tokens`.
        pivot: the language of ``drop`` and ``sequence``.
        items: language code to label to number of items.

    Raises:
        InputError: an unknown policy, language or pivot.
    """
    import pandas as pd

    rivals = None if against is None else split_names(against)
    chosen = split_names(policies)
    rows = []
    for code in sets.languages:
        labels = sets.labels(code)
        twins = [set(sets.twins(code, label)) for label in labels]
        same = [other for other in sets.languages if all(other in group for group in twins)]
        for policy in chosen:
            verdicts = [
                select_tokens(sets, code, label, policy=policy, against=rivals, pivot=pivot)
                for label in labels
            ]
            lost = [verdict for verdict in verdicts if not verdict.usable]
            row: dict[str, object] = {
                "language": code,
                "policy": policy,
                "labels": len(labels),
                "labels_lost": len(lost),
                "lost": ",".join(verdict.label for verdict in lost),
                "reason": lost[0].reason.code if lost and lost[0].reason else "",
                "why": reason_text(lost[0].reason) if lost else "",
                "caution": next((reason_text(v.reason) for v in verdicts if v.usable and v.reason), ""),
                "tokens": sum(len(sets[code, label]) for label in labels),
                "tokens_kept": None if policy == "sequence" else sum(len(v.ids) for v in verdicts),
                "same_words_as": ",".join(same),
            }
            if items is not None:
                numbers = items.get(code, {})
                row["items"] = sum(numbers.get(label, 0) for label in labels)
                row["items_lost"] = sum(numbers.get(verdict.label, 0) for verdict in lost)
            rows.append(row)
    return pd.DataFrame(rows).astype({"tokens_kept": "Int64"})
