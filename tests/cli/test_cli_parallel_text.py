"""Parallel text at the command line: `bits`, `harvest`, `tune`; what has no answers is refused before a model loads."""

from __future__ import annotations

import pandas as pd
import pytest

import latentlang as ll
from latentlang.answers import FertilityResult
from latentlang.lens import BitsResult, LanguageMassResult, TunedLens
from tests.support.parallel import PARAGRAPHS, lines_folder
from tests.support.warm import warm_process


@pytest.fixture
def text(run, tmp_path):
    return lines_folder(tmp_path / "text", {code: PARAGRAPHS[code] for code in ("en", "de", "ja")})


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    return outcome.out


def test_bits_prints_a_row_a_language_and_writes_the_result(run, text, tmp_path):
    told = _ended_well(run("bits", "--text", text, "--lang", "de,en", "--out", "out"))
    result = BitsResult.load(tmp_path / "out")
    assert set(result.table["language"]) == {"de", "en"} and "bits per UTF-8 byte at layer" in told
    last = result.glance().set_index("language")
    (row,) = (line.split() for line in told.splitlines() if line.startswith("German"))
    assert row[1:3] == ["5", f"{last.loc['de', 'bits_per_byte']:.3f}"]
    page = (tmp_path / "out" / "bits.html").read_text(encoding="utf-8")
    assert "Bits per UTF-8 byte" in page


def test_bits_of_all_languages_go_to_a_folder_named_for_the_run(run, text, tmp_path):
    _ended_well(run("bits", "--text", "text", "--items", "2", "--layers", "1,2"))
    result = BitsResult.load(tmp_path / "latentlang-out" / "bits-pocket-text-all-items-2-layers-1-2")
    assert result.provenance.languages == ("de", "en", "ja") and set(result.table["layer"]) == {1, 2}


_STOPPED = """
import os, signal, sys
from latentlang.cli import main
from latentlang.models import HookedLM
run, left = HookedLM.iter_activations, [int(sys.argv[2])]
def stop(self, prompts, **options):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGINT)
    left[0] -= 1
    return run(self, prompts, **options)
HookedLM.iter_activations = stop
sys.exit(main(["bits", "--text", sys.argv[3], "--out", sys.argv[1]]))
"""


def test_a_stopped_bits_says_what_is_kept_and_goes_on(text, tmp_path):
    out = tmp_path / "out"
    stopped = warm_process("-c", _STOPPED, out, 2, text)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == (
        f"latentlang: interrupted; 2 of 3 languages (de, en) are kept in {out}: run the same command again to go on\n"
    )
    assert warm_process("-c", _STOPPED, out, 1, text).code == 0, "only Japanese is run"
    assert set(BitsResult.load(out).table["language"]) == {"de", "en", "ja"}
    assert not (out / ".unfinished").exists()


def test_paragraphs_are_harvested(run, text, tmp_path):
    _ended_well(
        run("harvest", "--task", "continuation", "--data", "text", "--lang", "de,ja", "--out", "store")
    )
    frame = ll.open_store(tmp_path / "store").frame()
    assert sorted(frame[frame["language"] == "ja"]["text"]) == sorted(PARAGRAPHS["ja"])


def test_a_tuned_lens_is_trained_on_a_folder(run, text, tmp_path):
    asked = (
        "tune",
        "--text",
        "text",
        "--lang",
        "de,en",
        "--steps",
        "2",
        "--positions",
        "8",
        "--out",
        "tuned",
    )
    _ended_well(run(*asked))
    assert TunedLens.load(tmp_path / "tuned", ll.load("pocket")).settings["texts"] == 10
    (tmp_path / "texts.txt").write_text("a\nb\n", encoding="utf-8")
    outcome = run("tune", "--text", "texts.txt", "--lang", "de", "--out", "other")
    assert outcome.code == 2 and "--lang chooses among the languages of parallel text" in outcome.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("lens", "--lang", "ja"), "the continuation task has no answers that could be looked for"),
        (("evaluate", "--lang", "ja"), "continuation"),
        (("tokens", "--lang", "ja"), "the continuation task has no answers in ja, en"),
    ],
)
def test_what_looks_for_answers_refuses_it_in_one_line(run, text, command, said):
    data = () if command[0] == "tokens" else ("--data", "text")
    outcome = run(*command, "--task", "continuation", *data)
    assert outcome.code == 2 and said in outcome.err
    assert outcome.err.count("\n") == 1 and "loading" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--text", "nowhere"), "does not exist"),
        (("--text", "text", "--lang", "hi"), "unknown language 'hi' in 'text'"),
        (("--text", "text", "--items", "0"), "--items must be at least 1"),
        (("--text", "text", "--layers", "x"), "--layers 'x'"),
    ],
)
def test_what_bits_cannot_use_is_refused_before_the_model(run, text, arguments, said):
    outcome = run("bits", *arguments)
    assert outcome.code == 2 and said in outcome.err and "loading" not in outcome.err


def test_fertility_prints_a_row_a_language_and_writes_table_and_page(run, text, tmp_path):
    told = _ended_well(run("fertility", "--text", text, "--lang", "ja,de", "--out", "out"))
    rows = FertilityResult.load(tmp_path / "out").summary().set_index("language")
    assert set(rows.index) == {"ja", "de", "en"}
    (line,) = (line.split() for line in told.splitlines() if line.startswith("de "))
    assert line[:4] == ["de", "German", "Latin", f"{rows.loc['de', 'relative']:.2f}"]
    assert "For the same paragraphs" in told
    table = pd.read_csv(tmp_path / "out" / "fertility.csv").set_index("language")
    assert table.loc["de", "tokens"] == rows.loc["de", "tokens"]
    assert "Tokens for the same text" in (tmp_path / "out" / "fertility.html").read_text(encoding="utf-8")


def test_fertility_without_a_reference_has_no_relative_numbers(run, text, tmp_path):
    printed = _ended_well(run("fertility", "--text", "text", "--reference", "none"))
    result = FertilityResult.load(tmp_path / "latentlang-out" / "fertility-pocket-text-all-reference-none")
    assert result.reference is None and result.provenance.languages == ("de", "en", "ja")
    rows = result.summary().set_index("language")
    (line,) = (line.split() for line in printed.splitlines() if line.startswith("de "))
    assert line[:4] == ["de", "German", "Latin", f"{rows.loc['de', 'tokens_per_character']:.3f}"]
    assert "= 1" not in printed and "nan" not in printed and "For the same paragraphs" not in printed


def test_fertility_without_a_download_says_what_gets_it(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    outcome = run("fertility", "--lang", "ja")
    assert outcome.code == 2 and "`latentlang data get udhr` downloads it" in outcome.err


def test_mass_prints_a_row_a_language_and_writes_the_result(run, text, tmp_path):
    told = _ended_well(run("mass", "--text", text, "--lang", "de,ja", "--items", "3", "--out", "out"))
    result = LanguageMassResult.load(tmp_path / "out")
    assert set(result.table["language"]) == {"de", "ja"} and "probability of tokens of each language" in told
    own = result.summary().query("layer == layer.max() and of == 'ja' and language == 'ja'").iloc[0]
    (row,) = (line.split() for line in told.splitlines() if line.startswith("Japanese"))
    assert row[1:5] == ["3", f"{own['mass']:.3f}", f"[{own['low']:.3f},", f"{own['high']:.3f}]"]
    assert "Which language" in (tmp_path / "out" / "mass.html").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / ".unfinished").exists()
