"""What Bactrian-X printed, held against itself: its contradictions are those in corrections.csv, and no others."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from latentlang.evaluation import weighted_f1
from tests.support import printed
from tests.support.printed import is_share, mean, rounded

#: Accuracies of each benchmark, and how many items of which language it has.
ACCURACIES = {
    "XCOPA": ("table5", "table9"),
    "XStoryCloze": ("table6", "table10"),
    "XWinograd": ("table7", "table11"),
}
SCORES = {**ACCURACIES, "SentimentX": ("table8", "table12")}
AVERAGE = "Avg"


def cells(table: str) -> pd.DataFrame:
    """A table as printed: a row of text for each of its rows; cells that it has not are missing."""
    return pd.DataFrame.from_dict(printed.rows("bactrianx", table), orient="index")


def corrections(reason: str) -> dict[tuple[str, str, str], str]:
    """Corrected cells of a reason: table, row and column to the value, empty where it cannot be known."""
    listed = printed.corrections("bactrianx")
    chosen = listed[listed["reason"] == reason]
    return {(c.table, c.row, c.column): c.corrected for c in chosen.itertuples(index=False)}


def test_a_share_is_told_from_other_numbers():
    assert is_share("33.33", 3) and is_share("62.13", 1000 * 1000)
    assert not is_share("54.00", 2325) and is_share("54.00", 100)


def test_averages_are_those_of_their_rows_and_of_table_4():
    off = {}
    overview = cells("table4")
    for name, (table, _) in SCORES.items():
        for row, values in cells(table).iterrows():
            average = mean(values.drop(AVERAGE))
            assert overview.loc[row, name] == values[AVERAGE], (name, row)
            # either way of rounding a half
            if abs(average - Decimal(values[AVERAGE])) > Decimal("0.005"):
                off[table, row, AVERAGE] = off["table4", row, name] = rounded(average, 2)
    assert off == corrections("rounding")


def test_accuracies_are_whole_numbers_of_items_but_for_three_rows():
    strange = {}
    for name, (table, sizes) in ACCURACIES.items():
        n = cells(sizes)["test_size"].astype(int)
        for row, values in cells(table).iterrows():
            odd = [code for code in n.index if not is_share(values[code], n[code])]
            if odd:
                strange |= {(table, row, code): "" for code in [*odd, AVERAGE]} | {("table4", row, name): ""}
    assert strange == corrections("hundred-items") | corrections("no-count")


def test_two_rows_fit_a_hundred_items_and_one_fits_no_number():
    hundred = cells("table7").drop(columns=[AVERAGE, "fr"])
    for row in ("LLaMA-13B", "Alpaca-LoRA-13B"):
        assert all(is_share(value, 100) for value in hundred.loc[row])
        assert not any(all(is_share(v, n) for v in hundred.loc[row]) for n in range(1, 100))
    none = cells("table6").loc["Alpaca-LoRA-7B"].drop(AVERAGE)
    assert not any(all(is_share(value, n) for value in none) for n in range(1, 2501))


def test_totals_of_table_1_are_those_of_their_parts():
    table = cells("table1")
    off = {}
    for row, values in table.iterrows():
        total = sum(Decimal(values[f"{part}_mean"]) for part in ("instruction", "input", "response"))
        # four rounded numbers
        if abs(total - Decimal(values["total_mean"])) > Decimal("0.02"):
            off["table1", row, "total_mean"] = str(total)
    assert off == corrections("sum-of-parts")


def test_ratios_are_quotients_of_table_1():
    table, ratios = cells("table1"), cells("table1-ratio")
    assert set(ratios.index) == {"BLOOM", "LLaMA"}
    for model, values in ratios.iterrows():
        for part, ratio in values.items():
            unseen, seen = (
                Decimal(table.loc[f"{model}|{group}", f"{part}_mean"]) for group in ("unseen", "seen")
            )
            assert rounded(unseen / seen, 2) == ratio
    assert ratios.loc["LLaMA", "total"] == "2.42"


def unseen(sizes: pd.DataFrame, *models: str) -> list[str]:
    """Languages that none of the models saw."""
    return [code for code, row in sizes.iterrows() if all(row[f"seen_by_{name}"] == "no" for name in models)]


@pytest.mark.parametrize("benchmark", SCORES)
def test_bars_of_figure_3_are_means_over_languages_that_neither_model_saw(benchmark):
    bars, (scores, sizes) = cells("figure3")[benchmark], map(cells, SCORES[benchmark])
    corrected = {
        row: value for (_, row, column), value in corrections("unseen-by-both").items() if column == benchmark
    }
    for row, bar in bars.items():
        neither = mean(scores.loc[row, unseen(sizes, "llama", "bloom")])
        assert abs(neither - Decimal(bar)) <= Decimal("0.006"), row
        own = rounded(
            mean(scores.loc[row, unseen(sizes, "bloom" if "bloom" in row.casefold() else "llama")]), 2
        )
        assert corrected.get(row, own) == own
        assert (row in corrected) == (abs(Decimal(own) - Decimal(bar)) > Decimal("0.01"))


def test_unseen_languages_are_as_many_as_the_text_says_but_once():
    text = cells("text")
    off = {}
    for benchmark, (_, sizes) in SCORES.items():
        for name in ("LLaMA", "BLOOM"):
            row, found = f"languages unseen by {name}-7B", str(len(unseen(cells(sizes), name.casefold())))
            if text.loc[row, benchmark] != found:
                off["text", row, benchmark] = found
    assert off == corrections("counted")


def test_a_language_of_table_8_is_missing_in_table_12():
    columns = set(cells("table8").columns) - {AVERAGE}
    assert columns - set(cells("table12").index) == {"sw"}
    for table, sizes in ACCURACIES.values():
        assert set(cells(table).columns) - {AVERAGE} == set(cells(sizes).index)


def test_wins_and_ties_are_all_questions_of_all_languages():
    text = cells("text").loc["GPT-4 evaluation"]
    questions = int(text["languages"]) * int(text["questions per language"])
    assert (cells("figure4").astype(int).sum(axis=1) == questions).all()


def test_means_of_figures_5_and_6_agree_but_for_one_model():
    by_language, by_category = (cells(name).map(Decimal) for name in ("figure5", "figure6"))
    apart = abs(by_language.mean(axis=1) - by_category.mean(axis=1))
    # each is a mean of numbers with one decimal
    assert list(apart.index[apart > Decimal("0.1")]) == ["Bactrian-X-bloom"]


def test_scores_of_sentiment_that_a_constant_answer_gets():
    counts = pd.read_csv(printed.EXPERIMENTS / "bactrianx" / "labels.csv").set_index("language")
    classes = ["negative", "neutral", "positive"]
    table = cells("table8").drop(columns=AVERAGE)
    near = set()
    for code, labels in counts[classes].iterrows():
        right = [name for name in classes for _ in range(labels[name])]
        for name in classes:
            constant = 100 * weighted_f1(right, [name] * len(right))
            found = table.index[(table[code].astype(float) - constant).abs() <= 0.5]
            near |= {(row, code, name) for row in found}
    assert near == {
        ("LLaMA-7B", "sw", "neutral"), ("Bactrian-X-llama-7B", "sw", "neutral"),
        ("Bactrian-X-llama-13B", "sw", "neutral"), ("BLOOMZ-7B", "ja", "negative"), ("LLaMA-13B", "ja", "positive"),
        ("Bactrian-X-bloom-7B", "ja", "positive"), ("Bactrian-X-bloom-7B", "sw", "positive"),
        ("BLOOM-7B", "id", "negative"),
    }  # fmt: skip


def test_every_correction_is_of_a_cell_that_was_printed():
    listed = printed.corrections("bactrianx")
    assert not listed.duplicated(["table", "row", "column"]).any()
    for one in listed.itertuples(index=False):
        assert cells(one.table).loc[one.row, one.column] == one.printed
        assert one.corrected != one.printed and one.source
