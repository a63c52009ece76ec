"""The numbers that UltraLink printed against a second reading: sums, averages, whole numbers of items, repeated rows.

What contradicts itself is listed, and is exactly what `corrections.csv` says; no other cell does.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.support import printed

LANGUAGES = ("En", "Zh", "Es", "Ru", "Fr")
ITEMS = {"HumanEval": 164, "MGSM": 250}
PARTS = ("specific_chat", "agnostic_chat", "math", "code")
# Two values that differ by no more than this can be the same number, each rounded to a tenth.
ROUNDING = Decimal("0.1")


TABLES = {
    path.stem: printed.rows("ultralink", path.stem)
    for path in sorted((printed.EXPERIMENTS / "ultralink" / "published").glob("*.csv"))
}
SCORES = ("table3", "table5", "table6", "readme")
CORRECTIONS = printed.corrections("ultralink")


def _cells(*names: str) -> Iterator[tuple[str, str, str, str]]:
    for name in names:
        for row, values in TABLES[name].items():
            for column, value in values.items():
                yield name, row, column, value


def _corrected(*reasons: str) -> set[tuple[str, str, str]]:
    chosen = CORRECTIONS[CORRECTIONS["reason"].isin(reasons)]
    return set(chosen[["table", "row", "column"]].itertuples(index=False, name=None))


def _mean(values: dict[str, str], columns: tuple[str, ...]) -> Decimal:
    return printed.mean(values[column] for column in columns)


def _tenth(value: Decimal) -> Decimal:
    return Decimal(printed.rounded(value, 1))


def _in_readme(row: str) -> dict[str, str]:
    return TABLES["readme"][row.replace("Aya-5-reimplement", "Aya-5-languages")]


def test_every_table_is_whole() -> None:
    sizes = {name: sum(map(len, rows.values())) for name, rows in TABLES.items()}
    assert sizes == {
        "table1": 25, "table2": 28, "table3": 144, "table4": 3, "table5": 198, "table6": 198, "figure11": 3,
        "figure12": 1, "section2-5": 2, "readme": 396,
    }  # fmt: skip
    for name, row, column, value in _cells(*SCORES):
        assert 0 <= Decimal(value) <= 100, (name, row, column)
        assert column in (*LANGUAGES, "Avg")


# Sums


def test_questions_and_answers_are_turns() -> None:
    for row in TABLES["table1"].values():
        assert Decimal(row["question_tokens"]) + Decimal(row["answer_tokens"]) == Decimal(row["turn_tokens"])
        assert int(row["dialogues"]) <= int(row["turns"])


def test_parts_add_up_but_for_what_rounding_to_thousands_does() -> None:
    sizes = {row: {part: int(values[part]) for part in PARTS} for row, values in TABLES["table2"].items()}
    off: dict[tuple[str, str], int] = {}
    for total, members in (("UltraLink", LANGUAGES), ("w/o En", LANGUAGES[1:])):
        for part in PARTS:
            difference = sizes[total][part] - sum(sizes[code][part] for code in members)
            # each member is off by half a thousand at most, and so is the total
            assert abs(difference) <= 500 * (len(members) + 1)
            if difference:
                off[total, part] = difference
    assert off == {("UltraLink", "agnostic_chat"): 1000, ("w/o En", "agnostic_chat"): 1000}
    assert sum(sizes["UltraLink"].values()) == int(TABLES["table1"]["UltraLink"]["dialogues"])


# Whole numbers of items


def test_scores_are_whole_numbers_of_items_but_for_the_known_cells() -> None:
    wrong = set()
    for name, row, column, value in _cells(*SCORES):
        items = ITEMS.get(row.split(" | ")[0])
        if items is None or column == "Avg":
            continue
        if not printed.is_share(value, items):
            wrong.add((name, row, column))
    assert wrong == _corrected("not-a-count") == {
        ("table3", "HumanEval | Aya-5-reimplement", "Zh"),
        ("table5", "HumanEval | Aya-5-reimplement", "Zh"),
        ("table5", "HumanEval | Guanaco-7b", "En"),
        ("readme", "HumanEval | Guanaco-7b", "En"),
    }  # fmt: skip


def test_no_score_of_table_4_is_a_number_of_problems() -> None:
    wrong = {
        (name, row, column)
        for name, row, column, value in _cells("table4")
        if not printed.is_share(value, 164)
    }
    assert wrong == _corrected("no-count-fits") and len(wrong) == len(TABLES["table4"]) == 3
    # what the text says of Figure 11 is of MGSM's 250
    figure = TABLES["figure11"]
    assert all(printed.is_share(row["MGSM-Zh"], 250) for row in figure.values() if "MGSM-Zh" in row)


# Averages


def _averages_of_no_five() -> set[tuple[str, str, str]]:
    """Averages that are not their row's, by more than rounding."""
    return {
        (name, row, "Avg")
        for name in SCORES
        for row, values in TABLES[name].items()
        if abs(_mean(values, LANGUAGES) - Decimal(values["Avg"])) > ROUNDING
    }


def test_averages_are_over_five_languages_but_for_the_known_rows() -> None:
    known = _corrected("average-without-english", "average-not-of-its-row")
    # Guanaco-13b's row differs from the README in all of its cells, and is corrected as a whole.
    known |= {(name, "OMGEval | Guanaco-13b", "Avg") for name in ("table3", "table5")}
    assert _averages_of_no_five() == known
    assert len([cell for cell in known if cell[0] in ("table5", "table6")]) == 11


def test_averages_without_english_are_those_of_the_other_four() -> None:
    cells = _corrected("average-without-english")
    for name, row, _ in cells:
        values = TABLES[name][row]
        assert _tenth(_mean(values, LANGUAGES[1:])) == Decimal(values["Avg"]), (name, row)
    assert len([cell for cell in cells if cell[0] == "table5"]) == 8
    for name, row, _ in _corrected("average-not-of-its-row"):
        values = TABLES[name][row]
        assert abs(_mean(values, LANGUAGES[1:]) - Decimal(values["Avg"])) > ROUNDING, (name, row)


# Tables against each other


def _differing(one: str, rows: dict[str, dict[str, str]]) -> set[tuple[str, str, str]]:
    return {
        (one, row, column)
        for row, values in TABLES[one].items()
        for column, value in values.items()
        if Decimal(value) != Decimal(rows[row][column])
    }


def test_table_3_repeats_the_appendix_but_for_one_row() -> None:
    appendix = TABLES["table5"] | TABLES["table6"]
    row = "MMLU | Aya-101"
    assert _differing("table3", appendix) == {("table3", row, column) for column in (*LANGUAGES, "Avg")}
    assert TABLES["table3"][row] == TABLES["table3"]["MGSM | Aya-101"]


def test_one_row_of_table_6_is_one_of_table_5() -> None:
    repeated = [
        (row, other)
        for row, values in TABLES["table6"].items()
        for other, others in TABLES["table5"].items()
        if values == others
    ]
    assert repeated == [("MMLU | Okapi-7b", "OMGEval | Okapi-7b")]
    assert _corrected("row-copied") == {
        (name, row, column)
        for name, row in (("table6", "MMLU | Okapi-7b"), ("table3", "MMLU | Aya-101"))
        for column in (*LANGUAGES, "Avg")
    }


def test_the_readme_differs_where_it_is_said_to_and_otherwise_in_roundings() -> None:
    appendix = TABLES["table5"] | TABLES["table6"]
    differing = {
        (name, row, column)
        for name in ("table5", "table6")
        for _, row, column in _differing(name, {row: _in_readme(row) for row in appendix})
    }
    said = {cell for cell in _corrected("readme-differs", "row-copied") if cell[0] != "table3"}
    assert said <= differing
    rest = {
        (row, column, Decimal(_in_readme(row)[column]) - Decimal(appendix[row][column]))
        for _, row, column in differing - said
    }
    assert rest == {
        ("HumanEval | Aya-5-reimplement", "Zh", Decimal("0.05")),
        ("MGSM | UltraLink-LM", "Avg", Decimal("1.3")),
        ("Hellaswag | Okapi-7b", "Avg", Decimal("0.1")),
        ("Hellaswag | Aya-101", "Avg", Decimal("0.1")),
        ("ARC | Bloomz-7b1-mt", "Avg", Decimal("0.1")),
        ("ARC | Guanaco-7b", "Avg", Decimal("3.0")),
        ("ARC | Aya-5-reimplement", "Es", Decimal("-0.1")),
    }


# Corrections


def test_corrections_stand_beside_what_is_printed_and_are_what_their_reason_says() -> None:
    assert not CORRECTIONS.duplicated(["table", "row", "column"]).any()
    for one in CORRECTIONS.to_dict("records"):
        row = str(one["row"])
        values = TABLES[one["table"]][row]
        assert one["printed"] == values[one["column"]]
        assert (one["corrected"] == "") == (one["reason"] == "no-count-fits")
        if not one["corrected"]:
            continue
        corrected = Decimal(one["corrected"])
        assert corrected != Decimal(one["printed"])
        if one["reason"].startswith("average"):
            assert one["column"] == "Avg" and corrected == _tenth(_mean(values, LANGUAGES))
        elif one["reason"] == "not-a-count":
            items = ITEMS[row.split(" | ")[0]]
            assert corrected == _tenth(Decimal(round(corrected * items / 100)) * 100 / items)
        elif one["reason"] == "row-copied" and one["table"] == "table3":
            assert one["corrected"] == TABLES["table6"][row][one["column"]]
        else:
            assert one["corrected"] == _in_readme(row)[one["column"]]


# What the text says of its tables


def test_ultralink_has_the_best_average_but_on_arc() -> None:
    best: dict[str, list[tuple[Decimal, str]]] = {}
    for name in ("table5", "table6"):
        for row, values in TABLES[name].items():
            benchmark, model = row.split(" | ")
            best.setdefault(benchmark, []).append((Decimal(values["Avg"]), model))
    winners = {benchmark: max(scores) for benchmark, scores in best.items()}
    assert {model for benchmark, (_, model) in winners.items() if benchmark != "ARC"} == {"UltraLink-LM"}
    assert winners["ARC"] == (Decimal("58.4"), "Bloomz-7b1-mt")


@pytest.mark.parametrize(("row", "column"), [("Guanaco-13b", "Es"), ("PolyLM-Chat-13b", "Zh")])
def test_arc_has_scores_below_chance(row: str, column: str) -> None:
    # Four choices: 25% by chance.
    assert Decimal(TABLES["table6"][f"ARC | {row}"][column]) < 13
