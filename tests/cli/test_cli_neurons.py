"""Neurons of languages at the command line: tables, words, JSON, folders, resuming, and what is refused."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import latentlang as ll
from latentlang.units import NeuronAblationResult, NeuronsResult
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.planted_neurons import texts
from tests.support.warm import warm_process

SMALL = ("--text", "text", "--groups", "4", "--deals", "20")


@pytest.fixture
def text(run, tmp_path):
    given = texts(8)
    return lines_folder(tmp_path / "text", {code: given[code] for code in ("en", "ja", "hi")})


def test_it_prints_a_row_a_language_and_writes_the_result(run, text, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    outcome = run("neurons", *SMALL, "--rule", "lape", "--out", "out")
    assert (outcome.code, outcome.err) == (0, "")
    result = NeuronsResult.load(tmp_path / "out")
    again = ll.neurons("pocket", text, groups=4, deals=20, progress=False)
    pd.testing.assert_frame_equal(result.table, again.table)
    for row in result.summary("lape").to_dict("records"):
        name = {"en": "English", "ja": "Japanese", "hi": "Hindi"}[row["language"]]
        line = next(line.split() for line in outcome.out.splitlines() if line.startswith(f"{name} "))
        assert line[1:5] == [
            f"{result.settings.counted[row['language']]:,}",
            *(str(row[column]) for column in ("neurons", "specific", "related")),
        ]
    assert " ".join(result.describe().split()) in " ".join(outcome.out.split())
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert files == {"result.parquet", "counts.safetensors", "metadata.json", "neurons.html"}


def test_taking_them_out_leaves_what_was_counted(run, text, tmp_path):
    outcome = run(
        "neurons", *SMALL, "--rule", "lape", "--ablate", "2", "--random", "2", "--layers", "7-8", "--json"
    )
    assert (outcome.code, outcome.err) == (0, "")
    record = json.loads(outcome.out)
    folder = (
        tmp_path / "latentlang-out"
        / "neurons-pocket-text-all-layers-7-8-rule-lape-groups-4-deals-20-ablate-2-random-2"
    )  # fmt: skip
    result, ablation = NeuronsResult.load(folder), NeuronAblationResult.load(folder / "ablation")
    assert result.settings.items == 6 and ablation.settings.counted_too == {}
    assert ablation.table.groupby(["ablated", "language", "set"]).size().unique().tolist() == [2]
    assert record["ablation"]["sentence"] == ablation.describe() and record["rule"] == "lape"
    assert len(record["neurons"]) == len(result.select("lape"))
    assert [row["ablated"] for row in record["ablation"]["rows"]] == list(
        dict.fromkeys(ablation.table["ablated"])
    )
    page = (folder / "ablation" / "neuron-ablation.html").read_text(encoding="utf-8")
    assert "What each language loses" in page


def test_where_none_is_selected_nothing_is_taken_out(run, tmp_path):
    same = [f"one two three {word}" for word in ("four", "five", "six", "seven", "eight", "nine")]
    lines_folder(tmp_path / "text", {"en": same, "de": same})
    outcome = run("neurons", *SMALL, "--ablate", "2", "--layers", "8", "--out", "out", "--json")
    record = json.loads(outcome.out)
    assert outcome.code == 0 and record["neurons"] == [] and "ablation" not in record
    assert "none is told from chance" in record["sentence"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "result.parquet", "counts.safetensors", "metadata.json", "neurons.html",
    }  # fmt: skip


_STOPPED = """
import os, signal, sys
from latentlang.cli import main
from latentlang.units import neurons_run
count = neurons_run.count_language
called = []
def stop(*arguments, **options):
    called.append(1)
    if len(called) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGINT)
    return count(*arguments, **options)
neurons_run.count_language = stop
sys.exit(main(["neurons", "--text", sys.argv[3], "--groups", "4", "--deals", "20", "--rule", "lape", "--out", sys.argv[1]]))
"""  # noqa: E501


@pytest.mark.slow("tests/units/test_neurons.py", "tests/cli/test_cli_parallel_text.py")
def test_it_says_what_is_kept_and_goes_on(text, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    stopped = warm_process("-c", _STOPPED, out, "3", text)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.splitlines()[-1] == (
        f"latentlang: interrupted; 2 of 3 languages (en, hi) are kept in {out}: run the same command again to go on"
    )
    # one language is left: an interrupt at a second one is never met
    assert warm_process("-c", _STOPPED, out, "2", text).code == 0
    assert warm_process("-c", _STOPPED, whole, "0", text).code == 0
    resumed, straight = (NeuronsResult.load(folder) for folder in (out, whole))
    pd.testing.assert_frame_equal(resumed.table, straight.table, check_exact=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lang", "ja"), "at least two"),
        (("--lang", "ja,fr"), "unknown language 'fr' in 'text'"),
        (("--rule", "best"), "unknown rule 'best'"),
        (("--tokens", "some"), "unknown choice of tokens 'some'"),
        (("--value", "one"), "unknown value 'one'"),
        (("--groups", "1"), "--groups must be at least 2"),
        (("--deals", "0"), "--rule fdr needs a null"),
        (("--random", "-1"), "--random must be at least 0"),
        (("--ablate", "0"), "--ablate must be at least 1"),
        (("--ablate", "7"), "has 8 paragraphs, too few to count two and to measure on --ablate 7"),
        (("--items", "5", "--ablate", "4"), "too few to count 5"),
        (("--layers", "x"), "--layers 'x'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_model(run, text, options, said):
    outcome = run("neurons", *SMALL, *options)
    assert outcome.code == 2 and said in outcome.err
    assert outcome.err.count("\n") == 1 and "loading" not in outcome.err


def test_too_few_paragraphs_are_one_line_and_leave_no_folder(run, tmp_path):
    lines_folder(tmp_path / "text", {code: PARAGRAPHS[code][:1] for code in ("en", "ja")})
    outcome = run("neurons", *SMALL, "--out", "out")
    assert outcome.code == 2 and "has 1 paragraph, too few" in outcome.err
    assert not (tmp_path / "out").exists()
