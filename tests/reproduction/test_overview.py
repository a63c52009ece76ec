"""What a reproduction opens with: made from the rows of its tables, and the same wherever they are read from."""

from pathlib import Path

import pandas as pd
import pytest

from latentlang.reproduction.experiments import load_suite
from latentlang.reproduction.kinds.model_tables import ReproducedTable
from latentlang.reproduction.text import overview

COMMITTED = Path(__file__).resolve().parents[2] / "figures" / "spontaneous" / "pocket"


@pytest.fixture(scope="module")
def suite():
    return load_suite("spontaneous")


def _accuracies(suite, *means, difference=None):
    """A table of accuracies: recipe, mean, and its interval."""
    experiment = next(one for one in suite.experiments.values() if one.kind == "accuracy")
    rows = [
        {
            "model": "pocket", "task": "sentiment", "trained_on": "" if recipe == "base" else "sentiment",
            "answers": "en", "recipe": recipe, "language": "mean", "ours": value, "low": low, "high": high,
            "difference": float("nan") if difference is None else difference,
        }
        for recipe, value, low, high in means
    ]  # fmt: skip
    return ReproducedTable(experiment, pd.DataFrame(rows))


def test_each_average_is_held_against_the_interval_of_the_model_without_an_adapter(suite):
    table = _accuracies(
        suite, ("base", 70.0, 60.0, 80.0), ("a", 81.0, 75.0, 90.0), ("b", 59.0, 50.0, 70.0), ("c", 79.0, 70.0, 90.0)
    )  # fmt: skip
    verdict, points = overview([table, table], standin=None)
    assert verdict == (
        "Of 3 mean accuracies with an adapter, above the 95% interval of the model without one: 1; below it: 1; within "
        "it: 1."
    )
    assert points == [
        "Mean accuracy in percent. Sentiment, English answers: 70.0 without, 59.0 to 81.0 with an adapter.",
        "The paper printed no number to compare these with.",
    ]


def test_the_distance_from_the_paper_says_nothing_where_another_model_stands_in(suite):
    table = _accuracies(suite, ("base", 70.0, 60.0, 80.0), ("a", 71.0, 65.0, 80.0), difference=-12.0)
    own, other = (overview([table], standin=standin)[1][-1] for standin in (None, "pocket"))
    assert own == "Median distance from what the paper printed: 12.0 percentage points (2 numbers)."
    assert other == own[:-1] + "; pocket stands in for its models, so this says nothing about the paper."


def test_correlations_are_counted_with_and_without_prompt_length(suite):
    experiment = next(one for one in suite.experiments.values() if one.kind == "pearson")
    rows = [
        {"model": "pocket", "layer": 4, "pair": pair, "state": state, "ours": ours, "without_length": partial,
         "null_mean": 0.001, "difference": float("nan")}
        for pair, state, ours, partial in (
            ("en-de", "base", 0.1, 0.2), ("en-de", "tuned", 0.3, 0.1), ("en-sw", "base", -0.25, 0.1),
            ("en-sw", "tuned", 0.2, 0.2), ("de-sw", "base", 0.1, 0.1), ("de-sw", "tuned", 0.0, 0.0),
        )
    ]  # fmt: skip
    verdict, points = overview([ReproducedTable(experiment, pd.DataFrame(rows))], standin=None)
    assert verdict == (
        "Pearson r of the first component is higher with the adapter in 2 of 3 pairs and layers, in 1 once prompt "
        "length is regressed out."
    )
    assert points[0] == (
        "Pearson r of the first component: −0.25 to 0.10 without the adapter (unpaired translations 0.00), 0.00 to "
        "0.30 with the adapter (unpaired translations 0.00)."
    )


def test_figures_alone_have_no_verdict():
    assert overview([], standin=None) == ("", [])


def test_the_committed_page_opens_with_what_its_tables_say(suite):
    tables = [
        ReproducedTable(experiment, pd.read_csv(path, keep_default_na=True).assign(
            **{"trained_on": lambda rows: rows["trained_on"].fillna("")} if experiment.kind == "accuracy" else {}
        ))
        for name, experiment in suite.experiments.items()
        if (path := COMMITTED / f"{name}.csv").exists()
    ]  # fmt: skip
    verdict, points = overview(tables, standin="pocket")
    assert 1 <= len(points) <= 3
    readme = (COMMITTED / "README.md").read_text(encoding="utf-8")
    opening = "\n".join([f"**{verdict}**", "", *(f"- {point}" for point in points), ""])
    assert readme.split("\n\n", 1)[1].startswith(opening)
