"""The page on BayLing 2 says what its tables hold, and its tables what was measured."""

from __future__ import annotations

import pandas as pd
import pytest

from experiments.bayling2 import page, pictures, tables
from latentlang.storage.output import METADATA


def test_the_page_is_what_the_committed_tables_say() -> None:
    assert page.page(page.tables()) == page.PAGE.read_text(encoding="utf-8")


def test_other_values_make_another_page() -> None:
    parts = page.tables()
    bleu = parts["bleu"].assign(same=lambda rows: rows["system"] != "google-translate")
    said = " ".join(page.page({**parts, "bleu": bleu}).split())
    assert "of 60 cells of Table 2 48 come out" in said
    changes = parts["changes"].copy()
    row = (changes["figure"] == "fig7") & (changes["row"] == "COMET") & (changes["column"] == "X-Zh, above 0")
    changes.loc[row, "computed"] = 99
    assert "**Into Chinese, down.** 99 of 101 languages" in " ".join(
        page.page({**parts, "changes": changes}).split()
    )


def test_the_picture_has_both_sets_of_facts_for_each_pair_of_arms() -> None:
    arms = page.tables()["arms"]
    figure = pictures.contrasts(arms)
    pairs = page.trained_arms().compare
    assert list(figure.layout.yaxis.ticktext) == [f"{one} less {other}" for one, other in pairs]
    for trace, column in zip(figure.data, (page.FACTS, page.UNSEEN), strict=True):
        row = arms[(arms["row"] == "wrong pairs less both") & (arms["column"] == column)].iloc[0]
        place = list(trace.customdata).index("wrong pairs less both")
        assert trace.x[place] == row["computed"]
        assert trace.error_x.array[place] == pytest.approx(row["high"] - row["computed"])


def test_changes_are_of_the_same_items_before_and_after(tmp_path) -> None:
    before = pd.DataFrame({("en", 1): [0.1, 0.2, 0.3], ("zh", 1): [0.0, 0.0, 0.5]}, index=["a", "b", "c"])
    after = pd.DataFrame({("en", 1): [0.2, 0.4], ("zh", 1): [0.0, 0.1]}, index=["a", "b"])
    for arm in ("before", "both"):
        (folder := tmp_path / "lens" / f"{arm}-0").mkdir(parents=True)
        (folder / METADATA).write_text("{}", encoding="utf-8")
    table = tables.against_before(
        {"before": before, "both": after},
        sorted(before.columns),
        ("words_in", "layer"),
        "items",
        tmp_path,
        "lens",
    ).set_index("words_in")
    assert table.loc["en", ["change", "items", "seeds"]].tolist() == [pytest.approx(0.15), 2, 1]
    # before and after are those of the items that both have
    assert table.loc["zh", "before"] == 0 and table.loc["zh", "after"] == pytest.approx(0.05)
