"""The kinds `ceilings` and `questions`: what they need, what they compute, and what stands in their tables."""

from __future__ import annotations

from pathlib import Path

import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.reproduction import Reproduction, plan, reproduce
from latentlang.reproduction.kinds.data_files import found_files
from tests.support.made_paper import write_paper
from tests.support.question_files import needs_a_sandbox, write_mgsm, write_problems, write_squad

SUITE = "{title: A made paper, order: [table2, programs, sums, texts]}"
SCORES = "{title: scores, source: Table 5, kind: printed, stands_in: needs-gpu}"
PROGRAMS = """
title: own solutions that pass
source: Table 5
kind: ceilings
published: ''
languages: {En: en, Es: es}
scores: {table: table2, rows: {A: HumanEval | A}}
"""
SUMS = """
title: sums
source: Table 5
kind: questions
published: ''
task: mgsm
files: mgsm_*.tsv
languages: {En: en, Es: es}
models: [gemma3-270m]
items: 4
shots: 1
new_tokens: 3
"""
TEXTS = SUMS.replace("mgsm_*.tsv", "xquad.*.json").replace("mgsm", "xquad")
PUBLISHED = "table,row,column,value\ntable2,HumanEval | A,En,50.0\ntable2,HumanEval | A,Es,20.0\n"


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {
        "table2": SCORES,
        "published_table2": PUBLISHED,
        "programs": PROGRAMS,
        "sums": SUMS,
        "texts": TEXTS,
    }
    return write_paper(tmp_path_factory.mktemp("paper") / "made", suite=SUITE, corrections="", **files)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, each kind of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("humaneval", "mgsm/files", "xquad"):
        (folder / name).mkdir(parents=True)
    write_problems(folder / "humaneval", "en", "es")
    write_mgsm(folder / "mgsm" / "files", "en", "es")
    write_squad(folder / "xquad", "en", "es")
    return folder


@pytest.fixture(scope="module")
def asked(paper: Path, data: Path, mistral: str, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    out = tmp_path_factory.mktemp("asked")
    planned = plan(str(paper), data=data, model=mistral, only="sums,texts", cache=out / "cache")
    return reproduce(planned, out=out / "out", formats=["html"], progress=False)


def _cells(made: Reproduction, name: str) -> dict[tuple[str, str], float]:
    table = made.tables[name].table
    return {(row["row"], row["column"]): float(row["computed"]) for row in table.to_dict("records")}


# Ceilings


def test_solutions_are_run_only_where_that_is_allowed(paper: Path, data: Path, tmp_path: Path) -> None:
    planned = plan(str(paper), data=data, only="programs", cache=tmp_path / "cache")
    (table,) = planned.tables()
    assert table.steps == () and "add --allow-code" in table.lacks
    made = reproduce(planned, out=tmp_path / "out", formats=["html"], progress=False)
    assert made.ran == () and "programs" not in made.tables


def test_ceilings_are_counted_and_printed_scores_held_against_them(
    paper: Path, data: Path, tmp_path: Path
) -> None:
    needs_a_sandbox()
    planned = plan(str(paper), data=data, only="programs", cache=tmp_path / "cache", allow_code=True)
    assert [step.label for step in planned.needed] == ["ceilings en", "ceilings es"]
    made = reproduce(planned, out=tmp_path / "out", formats=["html"], progress=False)
    cells = _cells(made, "programs")
    assert [cells["own solutions that pass", code] for code in ("En", "Es")] == [3, 1]
    assert cells["own solutions that are no Python behind the prompt", "Es"] == 1
    assert (
        cells["own solutions that fail", "Es"] == 1 and cells["own solutions that end otherwise", "Es"] == 0
    )
    assert [cells["ceiling", code] for code in ("En", "Es")] == [100, pytest.approx(100 / 3)]
    assert cells["A, of the ceiling", "En"] == 50 and cells["A, of the ceiling", "Es"] == pytest.approx(60)
    again = plan(str(paper), data=data, only="programs", cache=tmp_path / "cache", allow_code=True)
    assert all(step.cached for step in again.steps())


def test_other_files_are_another_step(paper: Path, data: Path, tmp_path: Path) -> None:
    def names(folder: Path) -> list[str]:
        planned = plan(str(paper), data=folder, only="programs", allow_code=True)
        return [planned.keys.name(step) for step in planned.needed]

    write_problems(tmp_path, "en", "es")
    assert names(tmp_path) == names(data)
    with (tmp_path / "humaneval_es.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    same, other = zip(names(tmp_path), names(data), strict=True)
    assert same[0] == same[1] and other[0] != other[1]


def test_a_language_without_a_file_is_named(paper: Path, tmp_path: Path) -> None:
    write_problems(tmp_path, "en")
    with pytest.raises(
        InputError, match=r"programs: .* has no file humaneval_\*.json\* of 'es'; give the folder"
    ):
        plan(str(paper), data=tmp_path, only="programs", allow_code=True)
    with pytest.raises(InputError, match=r"sums: '.*' has no file mgsm_\*.tsv; give the folder"):
        plan(str(paper), data=tmp_path, only="sums", allow_code=True)


def test_among_all_tables_one_whose_files_are_not_there_is_left_out_and_named(
    paper: Path, mistral: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_problems(folder, "en")
    write_mgsm(folder, "en")
    options = {"data": folder, "model": mistral, "allow_code": True, "cache": tmp_path / "cache"}
    made = reproduce(plan(str(paper), **options), out=tmp_path / "out", formats="html", progress=False)
    files = {"programs": "humaneval_*.json*", "sums": "mgsm_*.tsv"}
    for name, pattern in files.items():
        (note,) = [note for note in made.notes if note.startswith(f"not computed: {name}: ")]
        assert f"has no file {pattern} of 'es'" in note
        assert pattern in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert made.ran == () and any(note.startswith("not computed: texts: ") for note in made.notes)
    write_mgsm(folder, "es")
    tables = {table.experiment.name: table for table in plan(str(paper), **options).tables(cost=False)}
    assert len(tables["sums"].steps) == 2 and not tables["sums"].lacks and tables["programs"].lacks


# Questions


def test_what_is_missing_is_said_and_nothing_is_planned(paper: Path, mistral: str) -> None:
    for table in plan(str(paper), model=mistral, only="sums,texts").tables():
        assert table.steps == () and table.lacks.startswith("The questions (")
        assert "--data takes the folder" in table.lacks


def test_tables_are_what_asking_gives(asked: Reproduction, data: Path, mistral: str) -> None:
    result = ll.ask(
        mistral, data / "xquad", task="xquad", items=4, shots=1, new_tokens=3, progress=False
    ).summary()
    texts, sums = _cells(asked, "texts"), _cells(asked, "sums")
    for column, row in zip(("En", "Es"), result.to_dict("records"), strict=True):
        assert texts["tiny-mistral, F1", column] == pytest.approx(100 * row["f1"])
        assert texts["tiny-mistral, log-probability of the answer", column] == row["log_prob_per_byte"]
        assert texts["tiny-mistral, above another question's answer", column] == row["lift"]
    # eight questions with the answers 1 to 8: four are asked, each other answer is right for one
    assert sums["tiny-mistral, the most frequent answer", "En"] == 25
    assert {column for row, column in sums if row == "tiny-mistral, exact match"} == {"En", "Es", "Avg"}
    table = asked.tables["sums"].table.set_index(["row", "column"])
    cell = table.loc[("tiny-mistral, exact match", "Es")]
    assert cell["low"] <= cell["computed"] <= cell["high"] and cell["n"] == 4 and cell["unit"] == "%"


def test_each_language_is_a_step_whose_files_are_part_of_it(asked: Reproduction) -> None:
    assert len(asked.ran) == 4 and {name.split("/")[0] for name in asked.ran} == {"questions"}
    assert (asked.folder / "sums.html").is_file() and (asked.folder / "texts.html").is_file()


def test_items_that_the_user_asks_for_are_taken_and_cost_less(paper: Path, data: Path, mistral: str) -> None:
    def tokens(items: int) -> list[int]:
        planned = plan(str(paper), data=data, model=mistral, only="sums", items=items)
        assert {step.step.items for step in planned.steps()} == {items}  # type: ignore[union-attr]
        return [step.cost.tokens for step in planned.steps() if step.cost is not None]

    assert all(0 < few < many for few, many in zip(tokens(1), tokens(5), strict=True))


def test_an_unknown_task_is_one_clear_line(tmp_path: Path) -> None:
    sums = SUMS.replace("task: mgsm", "task: sums")
    paper = write_paper(tmp_path / "made", suite="{title: x, order: [sums]}", corrections="", sums=sums)
    with pytest.raises(InputError, match="'sums' is no task of questions; there are xquad, tydiqa, mgsm"):
        plan(str(paper))


# Files


def test_files_are_those_of_the_nearest_level_that_has_any(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for folder in (deep, tmp_path / "a"):
        write_mgsm(folder, "en", "es")
    assert found_files(tmp_path, "mgsm_*.tsv") == [
        tmp_path / "a" / f"mgsm_{code}.tsv" for code in ("en", "es")
    ]
    assert found_files(deep, "mgsm_*.tsv", languages=["es"]) == [deep / "mgsm_es.tsv"]
    assert found_files(deep / "mgsm_es.tsv", "mgsm_*.tsv") == [deep / "mgsm_es.tsv"]
    assert found_files(deep / "mgsm_es.tsv", "xquad.*") == []
    assert found_files(tmp_path, "xquad.*.json") == found_files(None, "mgsm_*.tsv") == []
