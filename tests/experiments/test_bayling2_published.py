"""BayLing 2's printed values against each other: means given elsewhere, cells given twice, counts of items, names."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from latentlang.language_names import language
from tests.support import printed

FOLDER = Path(__file__).parents[2] / "experiments" / "bayling2"
FIGURES = Path(__file__).parents[2] / "figures" / "bayling2"
NAMES = [f"table{number}" for number in range(1, 13)] + ["fig3", "text"]
TABLES = {
    name: pd.read_csv(FOLDER / "published" / f"{name}.csv", dtype=str, keep_default_na=False)
    for name in NAMES
}
CORRECTIONS = printed.corrections("bayling2")
# Tables of single languages: the system and the metric of each.
BY_LANGUAGE = {
    "table3": ("Llama-3-8B-Instruct", "BLEU"), "table4": ("BayLing-3-8B", "BLEU"),
    "table5": ("Llama-3-8B-Instruct", "COMET"), "table6": ("BayLing-3-8B", "COMET"),
}  # fmt: skip
WAYS = ("X-En", "En-X", "X-Zh", "Zh-X")
ARC = {
    "arc_ar": 1169, "arc_eu": 1138, "arc_hi": 1168, "arc_hy": 1100, "arc_mr": 1155, "arc_ne": 1169, "arc_sr": 1169,
    "arc_uk": 1169, "arc_zh": 1170,
}  # fmt: skip


def _printed(table: str, row: str, column: str) -> str:
    return printed.rows("bayling2", table)[row][column]


def _mean(texts: list[str]) -> str:
    return printed.rounded(printed.mean(texts), 2)


def _column(table: str, way: str, *, corrected: bool = False, without: tuple[str, ...] = ()) -> list[str]:
    cells = TABLES[table]
    chosen = cells[(cells["column"] == way) & (cells["value"] != "") & ~cells["row"].isin(without)]
    values = dict(zip(chosen["row"], chosen["value"], strict=True))
    if corrected:
        own = CORRECTIONS[(CORRECTIONS["table"] == table) & (CORRECTIONS["column"] == way)]
        values |= dict(zip(own["row"], own["corrected"], strict=True))
    return list(values.values())


# Completeness


@pytest.mark.parametrize(
    ("table", "rows", "columns"),
    [
        ("table1", 6, 8), ("table2", 13, 24), ("table3", 102, 4), ("table4", 102, 4), ("table5", 102, 4),
        ("table6", 102, 4), ("table7", 38, 1), ("table8", 8, 9), ("table9", 8, 19), ("table10", 8, 4),
        ("table11", 8, 6), ("table12", 8, 9),
    ],
)  # fmt: skip
def test_a_table_is_complete(table, rows, columns):
    cells = TABLES[table]
    assert (cells["row"].nunique(), cells["column"].nunique()) == (rows, columns)
    assert not cells.duplicated(["row", "column"]).any() and len(cells) == rows * columns
    assert set(cells["table"]) == {table}


@pytest.mark.parametrize("table", BY_LANGUAGE)
def test_only_what_cannot_be_translated_is_empty(table):
    cells = TABLES[table]
    empty = cells[cells["value"] == ""]
    assert set(zip(empty["row"], empty["column"], strict=True)) == {
        ("eng", "X-En"), ("eng", "En-X"), ("zho_simpl", "X-Zh"), ("zho_simpl", "Zh-X"),
    }  # fmt: skip


def test_every_value_has_the_digits_of_its_table():
    for name, table in TABLES.items():
        if name in ("table7", "fig3", "text"):
            continue
        digits = 2 if name in ("table1", "table2", *BY_LANGUAGE) else 4
        odd = [text for text in table["value"] if text and len(text.partition(".")[2]) != digits]
        assert odd == (["0.300"] if name == "table9" else []), name


# Numbers that stand elsewhere too


@pytest.mark.parametrize("table", BY_LANGUAGE)
@pytest.mark.parametrize("way", WAYS)
def test_table_1_has_the_means_of_tables_3_to_6(table, way):
    system, metric = BY_LANGUAGE[table]
    assert _mean(_column(table, way)) == _printed("table1", system, f"{way} {metric}")


def test_the_means_are_over_101_languages_and_not_over_100_others():
    others = ("eng", "zho_simpl", "zho_trad")
    counts = {len(_column(table, way)) for table in BY_LANGUAGE for way in WAYS}
    assert counts == {101}
    without = [
        _mean(_column(table, way, without=others)) == _printed("table1", system, f"{way} {metric}")
        for table, (system, metric) in BY_LANGUAGE.items()
        for way in WAYS
    ]
    # one mean is the same to the last digit either way
    assert sum(without) == 1


@pytest.mark.parametrize("table", BY_LANGUAGE)
def test_chinese_and_english_stand_twice_and_agree_but_in_table_6(table):
    differ = {
        ("zho_simpl", own): _printed(table, "eng", twin)
        for own, twin in (("X-En", "Zh-X"), ("En-X", "X-Zh"))
        if _printed(table, "zho_simpl", own) != _printed(table, "eng", twin)
    }
    corrected = CORRECTIONS[CORRECTIONS["table"] == table]
    assert differ == {
        (row, column): value
        for row, column, value in zip(
            corrected["row"], corrected["column"], corrected["corrected"], strict=True
        )
    }
    assert bool(differ) == (table == "table6")


def test_table_7_names_the_columns_of_tables_9_to_12():
    columns = [
        column for number in (9, 10, 11, 12) for column in dict.fromkeys(TABLES[f"table{number}"]["column"])
    ]
    assert sorted(columns) == sorted(TABLES["table7"]["row"])


def test_the_shares_add_up():
    assert sum(map(Fraction, TABLES["fig3"]["value"])) == 100


# Whole numbers of items


@pytest.mark.parametrize(
    ("table", "items"),
    [
        ("table8", {"cb": 56, "gsm8k": 1319}), ("table9", dict.fromkeys(TABLES["table9"]["column"], 900)),
        ("table11", dict.fromkeys(TABLES["table11"]["column"], 2490)), ("table12", ARC),
    ],
)  # fmt: skip
def test_accuracies_are_whole_numbers_of_items(table, items):
    cells = TABLES[table][TABLES[table]["column"].isin(items)]
    assert set(cells["column"]) == set(items)
    wrong = [
        (row.row, row.column, row.value)
        for row in cells.itertuples()
        if not printed.is_share(str(row.value), items[str(row.column)], whole=1)
    ]
    assert wrong == []


def test_another_number_of_items_would_not_do():
    assert not all(printed.is_share(text, 899, whole=1) for text in TABLES["table9"]["value"])
    assert not all(printed.is_share(text, 1319, whole=1) for text in TABLES["table11"]["value"])


# Corrections


def test_a_correction_names_a_printed_cell_and_differs_from_it():
    for row in CORRECTIONS.itertuples():
        assert _printed(str(row.table), str(row.row), str(row.column)) == row.printed != row.corrected


def test_corrected_means_are_those_of_the_corrected_table():
    means = CORRECTIONS[CORRECTIONS["reason"] == "mean-of-corrected"]
    expected = {
        f"{way} COMET": _mean(_column("table6", way, corrected=True))
        for way in WAYS
        if _column("table6", way, corrected=True) != _column("table6", way)
    }
    assert dict(zip(means["column"], means["corrected"], strict=True)) == expected


def test_a_corrected_score_is_that_of_the_published_output_and_the_only_one():
    computed = pd.read_csv(FIGURES / "bleu.csv")
    off = computed[~computed["same"]]
    own = CORRECTIONS[CORRECTIONS["reason"] == "own-output"]
    assert len(computed) == 60 and len(off) == len(own) == 1
    assert f"{off['computed'].iloc[0]:.2f}" == own["corrected"].iloc[0]
    assert (off["system"].iloc[0], off["direction"].iloc[0]) == ("google-translate", "en-de")
    assert (own["row"].iloc[0], own["column"].iloc[0]) == ("Google Translate", "En-De BLEU")


# Languages


def test_languages_of_tables_3_to_6_are_known():
    names = pd.read_csv(FOLDER / "published" / "languages.csv", dtype=str, keep_default_na=False)
    assert list(names["code"]) == list(dict.fromkeys(TABLES["table3"]["row"]))
    for table in BY_LANGUAGE:
        assert list(dict.fromkeys(TABLES[table]["row"])) == list(names["code"])
    assert [language(code).code for code in names["latentlang"]] == list(names["latentlang"])
