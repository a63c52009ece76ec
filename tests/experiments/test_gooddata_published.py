"""The printed numbers of Chen et al. 2024: alike where printed twice, averages and steps as they can be."""

from decimal import Decimal

import pytest

from tests.support.printed import corrections as read_corrections
from tests.support.printed import rows

MODELS = (
    "Llama2-7B", "Gemma-2B", "Gemma-7B", "Qwen1.5-0.5B", "Qwen1.5-1.8B", "Qwen1.5-4B", "Qwen1.5-7B", "Qwen1.5-14B",
)  # fmt: skip
ARMS = ("native", "cohere", "google")
ENGINES = ARMS[1:]
AVERAGED = tuple(f"table{number}" for number in range(12, 26))
# Graded by GPT-4-Turbo and Command R+, translated questions and native ones.
GRADED = ("table22", "table23", "table24", "table25")
#: Tables of single languages whose cells are exact: whole numbers of 250 questions, totals of grades.
EXACT = ("table16", "table17", *GRADED)
HALF_OF_THE_LAST_DIGIT = Decimal("0.05")

Cells = dict[tuple[str, str], Decimal]


def _read(table: str) -> Cells:
    cells = {
        (row, column): value for row, values in rows("gooddata", table).items() for column, value in values.items()
    }  # fmt: skip
    assert all(value == f"{Decimal(value):.1f}" for value in cells.values())
    return {cell: Decimal(value) for cell, value in cells.items()}


@pytest.fixture(scope="module")
def printed() -> dict[str, Cells]:
    return {f"table{number}": _read(f"table{number}") for number in range(1, 26)}


@pytest.fixture(scope="module")
def corrections() -> dict[tuple[str, str, str], tuple[Decimal, Decimal]]:
    return {
        (row["table"], row["row"], row["column"]): (Decimal(row["printed"]), Decimal(row["corrected"]))
        for row in read_corrections("gooddata").to_dict("records")
    }


def test_every_model_is_there_with_every_arm_and_setting(printed):
    languages = [f"{data}|{name}" for data in ("mono", "multi") for name in ("es", "ru", "zh", "average")]
    plain = {(f"{model}|{arm}", column) for model in MODELS for arm in ARMS for column in languages}
    for name in AVERAGED:
        spoken = {cell for cell in plain if name not in ("table20", "table21") or "|ru" not in cell[1]}
        assert set(printed[name]) == spoken, name
    settings = ("1e-4|mono", "1e-4|multi", "1e-6|mono", "1e-6|multi")
    native_tests = {(f"{model}|{arm}", column) for model in MODELS for arm in ARMS for column in settings}
    native_tests |= {(f"{model}|{engine}", "1e-4|RTT") for model in MODELS for engine in ENGINES}
    assert set(printed["table10"]) == set(printed["table11"]) == native_tests
    assert sum(map(len, printed.values())) == 3120


def _repeated(name: str, row: str, column: str) -> tuple[str, str, str]:
    """Where the appendix has a cell of Tables 1 to 9: table, row and column."""
    one, _, other = column.partition("|")
    if name in ("table1", "table2"):
        data = "RTT" if other == "RTT" else "mono"
        return ("table10" if name == "table1" else "table11"), f"{row}|{one}", f"1e-4|{data}"
    if name == "table3":
        return ("table18" if other == "MT-MMLU" else "table20"), row, f"mono|{one}"
    if name in ("table4", "table5"):
        return ("table10" if name == "table4" else "table11"), row, column
    high, low = {"table6": (12, 13), "table7": (16, 17), "table8": (18, 19), "table9": (22, 0)}[name]
    return f"table{high if one == '1e-4' else low}", row, f"{other}|average"


def test_what_is_printed_twice_is_the_same_but_for_one_number_that_is_corrected(printed, corrections):
    differing, compared = {}, 0
    for number in range(1, 10):
        for (row, column), value in printed[f"table{number}"].items():
            table, other_row, other_column = _repeated(f"table{number}", row, column)
            other = printed[table][other_row, other_column]
            compared += 1
            if other != value:
                differing[f"table{number}", row, column] = (value, other)
    assert compared == 304
    assert differing == {("table7", "Llama2-7B|cohere", "1e-6|mono"): (Decimal("9.8"), Decimal("9.9"))}
    assert differing == corrections
    cells = [printed["table17"]["Llama2-7B|cohere", f"mono|{name}"] for name in ("es", "ru", "zh")]
    assert abs(sum(cells) / 3 - Decimal("9.9")) <= HALF_OF_THE_LAST_DIGIT  # and 9.8 is further


def test_averages_are_those_of_their_cells_as_far_as_rounding_allows(printed):
    apart = {}
    for name in AVERAGED:
        for (row, column), value in printed[name].items():
            data, _, language = column.partition("|")
            if language != "average":
                continue
            cells = [
                other for (where, which), other in printed[name].items()
                if where == row and which.startswith(f"{data}|") and which != column
            ]  # fmt: skip
            distance = abs(value - sum(cells) / len(cells))
            # either number may be off by half of its last digit
            assert distance <= 2 * HALF_OF_THE_LAST_DIGIT, (name, row, column)
            if distance > HALF_OF_THE_LAST_DIGIT:
                apart[name] = apart.get(name, 0) + 1
    assert apart == {
        "table12": 5, "table13": 4, "table14": 3, "table15": 5, "table18": 3, "table19": 5,
    }  # fmt: skip
    assert not set(apart) & set(EXACT)


def test_mgsm_is_whole_numbers_of_250_questions(printed):
    for name in ("table16", "table17"):
        for (row, column), value in printed[name].items():
            if not column.endswith("average"):
                assert value % Decimal("0.4") == 0, (name, row, column)


def test_totals_are_of_50_grades_and_halves_stand_in_the_rows_that_are_listed(printed):
    halves = {}
    for name in GRADED:
        for (row, column), value in printed[name].items():
            assert 50 <= value <= 250
            if column.endswith("average"):
                continue
            assert value % Decimal("0.5") == 0
            if value % 1:
                halves.setdefault(name, []).append(row.endswith("|native"))
    assert {name: (len(rows), sum(rows)) for name, rows in halves.items()} == {
        "table22": (13, 10), "table23": (1, 0), "table24": (26, 4), "table25": (1, 1),
    }  # fmt: skip


@pytest.mark.parametrize(("exact", "include"), [("table12", "table14"), ("table13", "table15")])
def test_an_exact_match_contains_the_reference_too(printed, exact, include):
    for cell, value in printed[exact].items():
        assert value <= printed[include][cell], cell
