"""The page on Bactrian-X says what the printed values and the committed tables say."""

from __future__ import annotations

import pandas as pd
import pytest

import latentlang as ll
from experiments.bactrianx import measure, page, pictures, tables
from experiments.bactrianx.measure import ARMS, LANGUAGES, run_name
from experiments.instructions.small_sets import SmallSet
from latentlang.provenance import Provenance


def test_the_page_is_what_the_committed_tables_say():
    assert page.page(page.Printed(), page.tables()) == page.PAGE.read_text(encoding="utf-8")


def test_a_page_of_other_numbers_says_those():
    parts = page.tables()
    ratio = parts["table1-ratio"].copy()
    ratio.loc[(ratio["row"] == "LLaMA") & (ratio["column"] == "total"), ["computed", "low", "high"]] = (
        9.5,
        9.25,
        9.75,
    )
    text = page.page(page.Printed(), parts | {"table1-ratio": ratio})
    assert text.count("9.50 [9.25, 9.75]") == 2
    printed = page.Printed()
    printed._tables["figure4"].loc["BLOOMZ vs Bactrian-X-bloom", "ties"] = "99"
    assert "over BLOOMZ 132, 99, 23" in page.page(printed, parts)


def test_languages_above_chance_and_above_constant_answers_are_told_apart():
    def rows(column, low, *, constant):
        return [
            {"row": "model", "column": column, "computed": low + 15, "low": low, "high": low + 30, "n": 40},
            {"row": "chance", "column": column, "computed": 50, "n": 40},
            {"row": "always 1", "column": column, "computed": 100 - constant, "n": 40},
            {"row": "always 2", "column": column, "computed": constant, "n": 40},
        ]

    table = pd.DataFrame(
        [
            *rows("en", 60, constant=55), *rows("ja", 52, constant=58), *rows("fr", 40, constant=50),
            *rows("Avg", 70, constant=50),
        ]
    )  # fmt: skip
    assert page._told_apart(table) == (
        "The interval lies above chance (50) in English and Japanese, and above the best constant answer in English, "
        "of 3; not corrected for their number."
    )


def test_the_picture_has_a_point_for_each_language_and_the_layer_that_its_caption_tells():
    both = tables.tokens_and_alignment()
    row = (
        pd.read_csv(tables.FIGURES / "alignment.csv").query("scope == 'Latin script' and layer == 9").iloc[0]
    )
    figure = pictures.alignment(both, row)
    latin, other = figure.data
    assert len(latin.x) == row["n"] and len(other.x) == both.query("layer == 9 and script != 'Latn'").shape[0]
    place = list(latin.customdata).index("Finnish")
    assert (latin.x[place], latin.y[place]) == tuple(
        both.query("layer == 9").loc["fi", ["relative", "value"]]
    )
    assert [name for name in latin.text if name] and "layer 9" in figure.layout.title.subtitle.text
    assert f"{abs(row['rho']):.2f}" in figure.layout.meta["how_to_read"][0]
    assert 0 < figure.layout.shapes[0].y0 < 0.1


def test_the_language_of_answers_is_told_where_it_was_measured():
    rows = [
        {
            "arm": arm,
            "seed": 0,
            "language": code,
            "kind": kind,
            "n": 8,
            "share": share,
            "low": 0.1,
            "high": 0.9,
        }
        for arm in ("base", ARMS[0])
        for code in LANGUAGES
        for kind, share in (("asked", 0.75), ("English", 0.125), ("another", 0.0), ("unknown", 0.125))
    ]
    layers = [
        {"arm": arm, "seed": 0, "language": code, "kind": kind, "layer": layer, "n": 8, "above": layer / 10 * part,
         "low": 0.0, "high": 1.0}
        for arm in ("base", ARMS[0]) for code in LANGUAGES[1:] for layer in (1, 2)
        for kind, part in (("asked", 3), ("English", 1))
    ]  # fmt: skip
    parts = page.tables() | {"answers": pd.DataFrame(rows), "layers": pd.DataFrame(layers)}
    text = page.page(page.Printed(), parts)
    assert "0.75 [0.10, 0.90], English 0.12" in text and "0.60 / 0.20; 0.20 at 2" in text
    assert "has not been run to its end" not in text


def test_correlation_over_languages_is_that_of_the_ranks():
    aligned = tables.alignment([11])
    committed = pd.read_csv(tables.FIGURES / "alignment.csv").query("layer == 11").reset_index(drop=True)
    pd.testing.assert_frame_equal(aligned, committed, rtol=1e-3)
    one, other = pd.Series(range(12), dtype=float), pd.Series([2.0, 1, 4, 4, 6, 9, 7, 8, 12, 11, 10, 15])
    found = tables._correlation(one, other)
    assert found["rho"] == pytest.approx(one.rank().corr(other.rank()))
    assert found["low"] < found["rho"] <= found["high"] <= 1
    mixed = tables._correlation(one, pd.Series([2.0, 9, 1, 4, 3, 2, 8, 5, 1, 0, 4, 6]))
    assert 0 < found["p"] < 0.05 < mixed["p"] <= 1


def test_only_cells_that_were_computed_are_kept(tmp_path):
    assert tables.computed(tmp_path, "table5").empty
    (tmp_path / "table5.csv").write_text("row,column,printed,corrected,computed\na,en,54.00,,\nb,en,,,50\n")
    kept = tables.computed(tmp_path, "table5")
    assert kept[["row", "column", "computed"]].values.tolist() == [["b", "en", 50]]


def test_the_way_from_instructions_to_both_tables_is_there(tmp_path, monkeypatch):
    """Few items and two new tokens on `pocket`: it answers nothing, but all steps follow each other."""
    monkeypatch.setattr(measure, "TOKENS", 2)
    full = measure.written_anew(tmp_path / "recorded")
    small = SmallSet(
        {arm: members[:4] for arm, members in full.arms.items()},
        {code: members[:1] for code, members in full.held_out.items()},
    )
    texts = {
        code: [one.instruction for one in full.held_out[code]] + [one.output for one in full.held_out[code]]
        for code in LANGUAGES
    }
    model = ll.load("pocket")
    table = ll.token_languages(model, texts, languages=",".join(LANGUAGES), progress=False)
    for arm in (measure.BASE, ARMS[1]):
        measure.measure(model, small, texts, table, tmp_path, arm, 0)
    written = (tmp_path / run_name(ARMS[1], 0) / "trace" / "metadata.json").read_bytes()
    measure.measure(model, small, texts, table, tmp_path, ARMS[1], 0)  # what is there is not done again
    assert (tmp_path / run_name(ARMS[1], 0) / "trace" / "metadata.json").read_bytes() == written
    answers, layers = tables.answers(tmp_path), tables.layers(tmp_path)
    assert set(answers["arm"]) == set(layers["arm"]) == {measure.BASE, ARMS[1]}
    assert answers.groupby(["arm", "language"])["share"].sum().tolist() == pytest.approx(
        [1] * 2 * len(LANGUAGES)
    )
    assert set(layers["language"]) == set(LANGUAGES[1:]) and layers["layer"].max() == model.n_layers


def _trace(*owners: list[str]) -> tables.TraceResult:
    """Answers to two German questions, whose tokens are in these languages; two for each answer, or one for both."""
    rows = [
        {"prompt": prompt, "step": step, "token": "x", "id": 1, "token_language": owner, "layer": layer,
         "language": code, "mass": 0.2 * layer if code == "de" else 0.1, "null": 0.1, "null_high": 0.2, "top": "x"}
        for prompt in (0, 1) for step, owner in enumerate(owners[prompt % len(owners)]) for layer in (1, 2)
        for code in ("de", "en")
    ]  # fmt: skip
    made = Provenance(model="tiny", task="trace", languages=("de", "en"), policy="", seed=0,
                      settings={"prompts": ["a", "b"], "asked": ["de", "de"], "before": ["de", "de"], "tokens": 4,
                                "layers": [1, 2], "n_layers": 2, "certain": {"de": 5, "en": 5}})  # fmt: skip
    return tables.TraceResult(table=pd.DataFrame(rows), provenance=made)


def test_answers_and_layers_are_those_of_the_traces(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LANGUAGES", ("en", "de"))
    trace = _trace(["de", "en", "", "de"])
    trace.save(tmp_path / run_name(ARMS[0], 0) / "trace")
    assert [(arm, seed) for arm, seed, _ in tables.traces(tmp_path)] == [(ARMS[0], 0)]
    answers = tables.answers(tmp_path).query("language == 'de'").set_index("kind")
    assert answers["share"].to_dict() == {"asked": 0.5, "English": 0.25, "another": 0, "unknown": 0.25}
    assert set(answers["n"]) == {2}
    layers = tables.layers(tmp_path).set_index(["kind", "layer"])["above"]
    assert layers.to_dict() == pytest.approx({
        ("asked", 1): 0.1, ("asked", 2): 0.3, ("English", 1): 0.0, ("English", 2): 0.0,
    })  # fmt: skip


def test_intervals_of_shares_stay_within_what_a_share_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LANGUAGES", ("en", "de"))
    _trace(["de", "de"], ["en", "en"]).save(tmp_path / run_name(ARMS[0], 0) / "trace")
    asked = tables.answers(tmp_path).query("language == 'de' and kind == 'asked'").iloc[0]
    assert (asked["share"], asked["low"], asked["high"]) == (0.5, 0, 1)
