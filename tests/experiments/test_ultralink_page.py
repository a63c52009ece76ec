"""The page on UltraLink says what the printed cells and the measured tables hold."""

from __future__ import annotations

import pandas as pd

from experiments.ultralink import page
from experiments.ultralink.pictures import curve
from experiments.ultralink.pruning import ARMS, CURVES
from experiments.ultralink.sums import WORDING


def _pruning(**right: float) -> pd.DataFrame:
    """A table in which arms have the same share of right answers, those of `right` another one."""
    rows = [
        {
            "curve": name, "arm": arm, "size": size, "asked": code, "seeds": 3, "n": 74,
            "right": right.get(arm.split(" ")[-1], 0.5),
            "least": right.get(arm.split(" ")[-1], 0.5) - 0.1, "most": right.get(arm.split(" ")[-1], 0.5) + 0.1,
            "low": 0.4, "high": 0.6,
        }
        for name, own in CURVES.items() for arm in ARMS for size in ARMS[arm].sizes(own) for code in WORDING
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _said(**right: float) -> str:
    return " ".join(page.page({"pruning": _pruning(**right)}).split())


def test_the_page_is_what_the_committed_tables_say() -> None:
    assert page.page(page.tables()) == page.PAGE.read_text(encoding="utf-8")


def test_two_arms_are_told_apart_only_where_all_seeds_do() -> None:
    overlap = (
        "with 64 Chinese items the model that learnt English and the base model overlap (50% against 50%)"
    )
    assert overlap in _said()
    above = "the model that learnt English is above the base model in every seed (90% against 50%)"
    assert above in _said(English=0.9) and above.replace("above", "below") not in _said(English=0.9)
    assert "is below the base model in every seed (10% against 50%)" in _said(English=0.1)


def _answers(*, right: float, low: float, lift: float) -> pd.DataFrame:
    rows = [
        ("exact match", right, low, right + 9, "%"), ("answers of other questions", 0.0, None, None, "%"),
        ("the most frequent answer", 5.0, None, None, "%"), ("log-probability of the answer", -2.0, None, None, "nats"),
        ("above another question's answer", lift, lift - 0.5, lift + 0.5, "nats"),
    ]  # fmt: skip
    return pd.DataFrame(
        [
            {
                "row": f"tiny, {name}",
                "column": code,
                "computed": value,
                "low": least,
                "high": most,
                "n": 40,
                "unit": unit,
            }
            for code in page.LANGUAGES
            for name, value, least, most, unit in rows
        ]
        + [
            {
                "row": "tiny, exact match",
                "column": "Avg",
                "computed": right,
                "low": low,
                "high": 9,
                "n": 200,
                "unit": "%",
            }
        ]
    )


def test_answers_are_held_against_constant_ones_and_other_questions() -> None:
    little = " ".join(page.page({"mgsm": _answers(right=5, low=0, lift=0.4)}).split())
    assert (
        "above that of others in no language, and above that of the most frequent answer in no language"
        in little
    )
    assert "likelier than another's in no language" in little and "XQuAD on Gemma 3 270M, beside" in little
    assert "| mean | 200 | 5.0 [0.0, 9.0] |" in little
    much = " ".join(page.page({"mgsm": _answers(right=9, low=6, lift=0.6)}).split())
    everywhere = "in English, Chinese, Spanish, Russian and French"
    assert (
        f"above that of others {everywhere}, and above that of the most frequent answer {everywhere}" in much
    )
    assert f"likelier than another's {everywhere}" in much


def test_a_page_without_measurements_says_nothing_of_them() -> None:
    said = page.page({})
    assert "## What its own numbers say" in said and "## What stays open" in said
    for heading in ("### HumanEval's ceilings", "### The pruning curve", "## What the layers show"):
        assert heading not in said


def test_the_curve_has_a_panel_a_curve_and_a_line_an_arm_with_ranges() -> None:
    figure = curve(_pruning())
    assert [trace.name for trace in figure.data] == list(ARMS) * len(CURVES)
    assert list(figure.data[0].x) == [0, 1, 2, 3] and list(figure.data[0].error_y.array) == [10] * 4
    assert [trace.line.dash for trace in figure.data][: len(ARMS)] == ["solid", "solid", "dot", "dot"]
    assert [note.text for note in figure.layout.annotations] == [
        name[0].upper() + name[1:] for name in CURVES
    ]
