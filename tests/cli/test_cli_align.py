"""`latentlang align`: from a store to tables and figures, without a model."""

import pandas as pd
import pytest

from latentlang.cli.align import _number
from latentlang.geometry import AlignmentResult, by_language, paper_table
from latentlang.geometry.text import finding
from tests.support import planted

QUICK = ("--permutations", "39", "--resamples", "10")


@pytest.fixture
def store(tmp_path):
    return planted.store(
        tmp_path / "acts", ("en", "de", "hi"), items=40, layers=(0, 1, 2), shared=0.4, bos=200
    )


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


def test_a_store_becomes_figures_tables_and_a_sentence(run, store, tmp_path):
    text = _ended_well(run("align", "acts", *QUICK))
    (folder,) = (tmp_path / "latentlang-out").iterdir()
    assert folder.name == "align-acts-permutations-39-resamples-10"
    result = AlignmentResult.load(folder)
    assert len(result.table) == 3 * 3 * 3 * 12
    assert "planted · sentiment · 3 languages, 3 pairs, layers 0 to 2" in text
    assert finding(result) in " ".join(text.split())
    for words in (
        "Pearson r of component 1",
        "linear CKA, debiased",
        "question only",
        "distance of centroids",
    ):
        assert words in text
    for note in result.notes:
        assert note in text
    for page in ("align.html", "curves.html", "table.html"):
        assert "How to read this" in (folder / page).read_text(encoding="utf-8")
        assert f"{folder.name}/{page}" in text
    for name, table in (
        ("summary.csv", result.summary()), ("pairs.csv", paper_table(result)), ("languages.csv", by_language(result))
    ):  # fmt: skip
        read = pd.read_csv(folder / name)
        assert len(read) == len(table)
    assert float(pd.read_csv(folder / "pairs.csv")["value"].iloc[0]) == pytest.approx(
        paper_table(result)["value"].iloc[0]
    )


def test_what_was_asked_for_is_what_is_measured(run, store, tmp_path):
    _ended_well(
        run(
            "align", "acts", "--lang", "en,hi,de", "--pivot", "hi", "--layers", "1-2", "--measures", "cka,mutual_knn",
            "--pools", "question", "--null", "within-label", "--seed", "3", "--out", "out", *QUICK,
        )
    )  # fmt: skip
    result = AlignmentResult.load(tmp_path / "out")
    assert result.pairs == (("hi", "en"), ("hi", "de"))
    assert result.layers == (1, 2)
    assert result.measures == ("cka", "mutual_knn")
    assert result.pools == ("question",)
    settings = result.provenance.settings
    assert (settings["null"], settings["permutations"], settings["resamples"]) == ("within-label", 39, 10)
    assert result.provenance.seed == 3


def test_one_pair_without_a_null(run, store, tmp_path):
    text = _ended_well(
        run("align", "acts", "--lang", "en,de", "--permutations", "0", "--resamples", "0", "--out", "out")
    )
    assert "no null was drawn" in text
    assert "1 pair," in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("nowhere",), "nowhere"),
        (("acts", "--lang", "en"), "alignment is between languages"),
        (("acts", "--lang", "ja"), "unknown language of this store 'ja'"),
        (("acts", "--measures", "ckaa"), "did you mean 'cka'"),
        (("acts", "--layers", "1-x"), "numbers and ranges"),
        (("acts", "--layers", "9"), "no layer 9"),
        (("acts", "--pools", "last"), "unknown pool 'last'"),
        (("acts", "--null", "label"), "unknown null 'label'"),
        (("acts", "--permutations", "-1"), "permutations must be at least 0"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_no_folder(run, store, tmp_path, options, message):
    outcome = run("align", *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "latentlang-out").exists()


@pytest.mark.parametrize("columns", ["80", "200"])
def test_every_line_fits_the_width(run, store, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    outcome = run("align", store.path, "--out", "out", "--permutations", "10", "--resamples", "4")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    first = "centroid_distance" if columns == "80" else "distance of centroids"
    (row,) = (line for line in lines if line.startswith(first) and "%" in line)
    assert row.split()[-1].endswith("%")


def test_a_measure_of_the_whole_layout_has_a_sentence_too(run, store):
    outcome = run("align", store.path, "--out", "out", "--permutations", "10", "--resamples", "4")
    said = " ".join(outcome.out.split())
    assert "Pearson r of component 1: " in said and "Linear CKA, debiased: " in said
    alone = run(
        "align", store.path, "--out", "one", "--permutations", "10", "--resamples", "4", "--measures", "cka"
    )
    assert " ".join(alone.out.split()).count("Linear CKA, debiased: ") == 1


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(0.6849, ".2f", "0.68"), (0.5546, ".2f", "0.55"), (-0.004, ".2f", "0.00"), (-0.08, ".2f", "-0.08"),
     (2 / 3, ".0%", "67%"), (float("nan"), ".2f", "-")],
)  # fmt: skip
def test_the_table_rounds_as_the_sentence_below_it(value, digits, shown):
    assert _number(value, digits) == shown
