"""The page on instruction data says what its tables hold."""

from __future__ import annotations

import pandas as pd

from experiments.instructions import page


def test_the_page_is_what_the_committed_tables_say() -> None:
    assert page.page(page.tables()) == page.PAGE.read_text(encoding="utf-8")


def test_effects_are_told_by_their_verdicts_and_counted() -> None:
    row = {
        "kind": "languages", "arm": "all in English", "other": "eight", "asked": "ru", "sign": 1, "seeds": 3,
        "difference": 2.5, "low": 2.0, "high": 3.0, "verdict": "as-designed",
    }  # fmt: skip
    null = {**row, "sign": 0, "difference": 0.01, "low": -0.1, "high": 0.12, "verdict": "no-difference"}
    open_ = {**row, "sign": None, "verdict": None}
    parts = {**page.tables(), "effects": pd.DataFrame([row, {**row, "verdict": "not-shown"}, null, open_])}
    said = page.page(parts)
    assert "of 2 effects that the design sets 1 came out, and of 1 null" in said.replace("\n  ", " ")
    assert "| all in English | eight | ru | higher | +2.50 [+2.00, +3.00] | as designed |" in said
    assert "| all in English | eight | ru |  | +2.50 [+2.00, +3.00] |  |" in said
    assert "| **not shown** |" in said and "+0.01 [−0.10, +0.12] | no difference |" in said


def test_a_page_without_a_real_model_says_nothing_of_one() -> None:
    parts = {name: table for name, table in page.tables().items() if name in ("world", "effects")}
    assert "## Gemma" not in page.page(parts) and "## A made world" in page.page(parts)


def test_text_of_other_hands_is_told_by_its_tables() -> None:
    row = {
        "book": "a book", "language": "de", "pages": 9, "pages_kept": 4, "aligned": 9, "paragraphs": 1000,
        "same": 0.2, "english": 0.25, "missed": 0.001, "not_same": 0.051,
    }  # fmt: skip
    left = pd.DataFrame([row])
    checks = pd.DataFrame([
        {"arm": "native", "language": "ru", "check": "language", "dialogues": 10, "failed": 1, "undecided": 0,
         "share": 0.1, "unpaired": 0},
        {"arm": "google", "language": "ru", "check": "numbers", "dialogues": 10, "failed": 2, "undecided": 0,
         "share": 0.2, "unpaired": 0},
    ])  # fmt: skip
    said = page.page({**page.tables(), "left-in-english": left, "checks": checks})
    assert "| a book | German | 1,000 | 20% | 25% | 4 of 9 |" in said
    assert "| check | Russian, native | Russian, google |" in said
    assert "| language | 10% |  |" in said and "| numbers |  | 20% |" in said
    assert "0.1% were left and not found, and 5.1% were taken" in said.replace("\n", " ")
