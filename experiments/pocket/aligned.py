"""The part of the model card on question alignment, from `results/alignment.csv`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from experiments.pocket.align import DESIGNS

_LEARNT = 0.5


def by_design(table: pd.DataFrame) -> pd.DataFrame:
    """What question alignment did, a row for each adapter.

    Args:
        table: rows of `align.measure`.
    """
    records = table.to_dict("records")
    return pd.DataFrame({
        "design": table["design"], "what it is": [DESIGNS[name].about for name in table["design"]],
        "steps": table["steps"], "loss": table["validation_loss"].round(2),
        "accuracy, trained": [_change(row, "accuracy_seen") for row in records],
        "accuracy, unseen": [_change(row, "accuracy_unseen") for row in records],
        "CKA, trained": [_change(row, "cka_seen") for row in records],
        "CKA, unseen": [_change(row, "cka_unseen") for row in records],
        "distance, unseen": [_change(row, "centroid_distance_unseen") for row in records],
        "new": [_right_of_two(row, "new", "tuned") for row in records],
        "untaught": [_right_of_two(row, "untaught", "tuned") for row in records],
        "English, new": table["new_english_tuned"].round(2),
        "English, others": table["untaught_english_tuned"].round(2),
    })  # fmt: skip


def compared(table: pd.DataFrame) -> dict[str, Any]:
    """The numbers of the introducing sentences (`sentences.ALIGNED`)."""
    named = table.set_index("design", drop=False)
    (base,) = named.loc[["default"]].to_dict("records")
    return {
        "default_steps": named["steps"]["default"], "wrong_steps": named["steps"]["wrong-pairs"],
        **{name: f"{base[f'{name}_unseen_before']:.2f}" for name in ("accuracy", "cka", "centroid_distance")},
    }  # fmt: skip


def found(table: pd.DataFrame) -> str:
    """What came of the adapters, by their intervals: how many did what."""
    named = table.set_index("design", drop=False)
    trained = named.drop(index=["identity", "wrong-pairs"])
    learnt = trained[trained["validation_loss"] < _LEARNT]
    (wrong,) = named.loc[["wrong-pairs"]].to_dict("records")
    designs = trained["design"].str.replace(r"-seed\d+$", "", regex=True).nunique()
    left = [name for name in DESIGNS if name not in named.index]
    said = [
        f"By the intervals, of {len(trained)} adapters ({designs} designs, the rest are other seeds of one):",
        "",
        f"- Accuracy in languages not trained on rose with {_up(trained, 'accuracy_unseen')} and fell with "
        f"{_down(trained, 'accuracy_unseen')}; in those trained on it rose with {_up(trained, 'accuracy_seen')} and "
        f"fell with {_down(trained, 'accuracy_seen')}.",
        f"- Of the {len(learnt)} that brought the loss under {_LEARNT:g}, CKA with English rose with "
        f"{_up(learnt, 'cka_unseen')} in languages not trained on and with {_up(learnt, 'cka_seen')} in those trained "
        "on; the centres of languages not trained on came nearer with "
        f"{_down(learnt, 'centroid_distance_unseen')} and went further with "
        f"{_up(learnt, 'centroid_distance_unseen')}. Wrong pairs moved CKA by {_change(wrong, 'cka_unseen')} and "
        f"the distance by {_change(wrong, 'centroid_distance_unseen')}.",
        *(f"- {_to_gain(trained, wrong, name)}" for name in ("new", "untaught")),
        "",
        _verdict(trained, wrong),
    ]
    if left:
        said.append(f"Not run on these weights: {', '.join(f'`{name}`' for name in left)}.")
    return "\n".join(said)


def _to_gain(trained: pd.DataFrame, wrong: Mapping[Hashable, Any], name: str) -> str:
    best = max(trained.to_dict("records"), key=lambda row: float(row[f"{name}_tuned"] - row[f"{name}_base"]))
    below = ", less than guessing" if best[f"{name}_base_high"] < 0.5 else ""
    before, after, wrong_before, wrong_after = (
        _right_of_two(row, name, state) for row in (best, wrong) for state in ("base", "tuned")
    )
    return (
        f"*{name.capitalize()}*: best is `{best['design']}`, with {after}; without it {before}{below} (English "
        f"{best[f'{name}_english_base']:.2f}). Wrong pairs: {wrong_after}, without them {wrong_before}."
    )


def _verdict(trained: pd.DataFrame, wrong: Mapping[Hashable, Any]) -> str:
    """Whether any adapter helps where there is something to gain: above the model without it and above wrong pairs."""
    helped = [
        f"`{row['design']}` ({name})"
        for name in ("new", "untaught")
        for row in trained.to_dict("records")
        if row[f"{name}_tuned_low"] > max(row[f"{name}_base_high"], wrong[f"{name}_tuned_high"])
    ]
    broken = [
        f"`{row['design']}`"
        for row in trained.to_dict("records")
        if min(row["new_english_tuned"], row["untaught_english_tuned"]) < 0.9
    ]
    said = (
        f"**Clearly better than the model without an adapter and than wrong pairs: {', '.join(helped)}.** The best of "
        "so many is a little too good."
        if helped
        else "**None of the adapters helps clearly**: none lies above the model without it and above wrong pairs."
    )
    if broken:
        said += f" English itself suffered in {', '.join(broken)}."
    return said


def _up(rows: pd.DataFrame, measure: str) -> int:
    return int((rows[f"{measure}_low"] > 0).sum())


def _down(rows: pd.DataFrame, measure: str) -> int:
    return int((rows[f"{measure}_high"] < 0).sum())


def _change(row: Mapping[Hashable, Any], measure: str) -> str:
    value, low, high = (row[f"{measure}_{name}"] for name in ("difference", "low", "high"))
    return "" if pd.isna(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def _right_of_two(row: Mapping[Hashable, Any], name: str, state: str) -> str:
    value, low, high = (row[f"{name}_{state}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
