"""`latentlang evaluate` from end to end, on the embedded model and on folders of tiny random models."""

import io
import json
import re
import shutil

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

import latentlang as ll
from latentlang.cli.evaluation_table import evaluation_lines
from latentlang.evaluation import EvaluationResult, compare_evaluations
from latentlang.provenance import Provenance
from latentlang.training import TrainingResult
from tests.support.command_line import process
from tests.support.evaluated import before_and_after, evaluated

WRITTEN = ["accuracy.html", "metadata.json", "result.parquet"]
# peft still asks transformers by an attribute it has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


@pytest.fixture
def adapter(mistral_lora, tmp_path):
    """A random adapter for the tiny Mistral."""
    shutil.copytree(mistral_lora, tmp_path / "lora")
    return "./lora"


def test_a_saved_evaluation_is_drawn_without_torch(tmp_path):
    evaluated({"base": {"de": [True, False], "fr": [True, True]}}).save(tmp_path)
    code = (
        "import sys; from latentlang.evaluation import EvaluationResult; "
        f"EvaluationResult.load({str(tmp_path)!r}).figure(); print('torch' in sys.modules)"
    )
    assert _ended_well(process("-c", code)).strip() == "False"


def _shown(result, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    for line in evaluation_lines(result, width=width):
        console.print(line)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_narrow_terminals_lose_columns_but_never_n(width):
    result = evaluated({"base": {"de": [True, False, True], "fr": [True] * 3}})
    lines = _shown(result, width)
    assert max(map(cell_len, lines)) <= width
    (head,) = [line for line in lines if line.startswith("language")]
    assert ("label mass" in head) == (width > 60) and "accuracy" in head and " n " in head
    row = result.summary().iloc[0]
    (line,) = [line for line in lines if "(de) " in line]
    assert re.search(rf" 3 +{row['accuracy']:.3f} +\[{row['low']:.3f}, {row['high']:.3f}\]", line)


@pytest.mark.parametrize("width", [80, 200])
def test_a_narrow_comparison_keeps_n_and_the_interval_of_the_change(width):
    result = before_and_after({"de": (30, 25, 2, 3), "no": (100, 3, 4, 13)}, seen_languages=["no"])
    lines = _shown(result, width)
    assert max(map(cell_len, lines)) <= width
    for row in compare_evaluations(result).summary().itertuples():
        line = next(line for line in lines if f"({row.language})" in line)
        for part in (
            f" {row.n} ",
            f"{row.difference:+.3f}",
            f"[{row.low:+.3f}, {row.high:+.3f}]",
            row.change,
        ):
            assert part in line
        assert (line.count("[") == 3) == (width > 80)


def test_each_task_has_a_folder_that_holds_what_the_library_says(run, tmp_path):
    text = _ended_well(run("evaluate", "--task", "sentiment,nli", "--lang", "ja,de", "--items", "8"))
    folder = tmp_path / "latentlang-out" / "evaluate-pocket-sentiment-nli-ja-de-items-8"
    assert sorted(path.name for path in folder.iterdir()) == ["nli", "sentiment"]
    own = ll.evaluate(ll.load("pocket"), "sentiment,nli", languages="ja,de", items=8)
    for name in ("sentiment", "nli"):
        assert sorted(path.name for path in (folder / name).iterdir()) == WRITTEN
        saved = EvaluationResult.load(folder / name)
        pd.testing.assert_frame_equal(saved.table, own.of(name).table, check_dtype=False)
        assert saved.provenance.settings == json.loads(json.dumps(own.of(name).provenance.settings))
        for file in WRITTEN:
            assert f"wrote {(folder / name / file).relative_to(tmp_path)}" in text


def test_the_printed_numbers_are_the_summarys(run):
    text = _ended_well(run("evaluate", "--lang", "ja,th,de", "--items", "10", "--out", "out"))
    result = EvaluationResult.load("out/sentiment")
    assert "pocket · sentiment · 2-shot · answers same · score first-tokens · seed 0 · chance 0.50" in text
    for row in result.summary().itertuples():
        (line,) = [line for line in text.splitlines() if f"({row.language}) " in line]
        shown = [f"{row.n}", f"{row.accuracy:.3f}", f"[{row.low:.3f}, {row.high:.3f}]", f"{row.macro_f1:.3f}"]
        assert re.search(" +".join(map(re.escape, shown)), line)
    (mean,) = result.averages().itertuples()
    assert re.search(
        rf"mean of 2 +20 +{mean.accuracy:.3f} +\[{mean.low_items:.3f}, {mean.high_items:.3f}\]", text
    )
    assert " nan " not in text and "[nan" not in text
    assert "left out of the mean, since a label cannot be chosen: th" in text
    assert "note on th: 10 of 10 items cannot be right" in text


def test_json_is_all_there_is_on_stdout(run):
    found = json.loads(
        _ended_well(run("evaluate", "--task", "nli", "--lang", "de", "--items", "6", "--json"))
    )
    (record,) = found
    assert record["task"] == "nli" and record["model"] == "pocket" and record["adapter"] is None
    (row,) = record["languages"]
    assert (row["language"], row["n"], row["unanswerable"]) == ("de", 6, 0)
    assert row["accuracy"] == pytest.approx(row["right"] / 6)
    assert "changes" not in record


def test_with_an_adapter_both_states_are_compared(run, mistral_folder, adapter):
    text = _ended_well(
        run("evaluate", "--model", mistral_folder, "--adapter", adapter, "--lang", "de,fr,es", "--items", "6",
            "--shots", "0", "--seen", "es,en", "--out", "out")
    )  # fmt: skip
    result = EvaluationResult.load("out/sentiment")
    assert result.states == ("base", "tuned") and result.seen_languages == ("es", "en")
    comparison = compare_evaluations(result)
    for row in comparison.summary().itertuples():
        (line,) = [line for line in text.splitlines() if f"({row.language})" in line]
        assert f"{row.before:.3f}" in line and f"{row.after:.3f}" in line and f"{row.difference:+.3f}" in line
        assert ("■" in line) == (row.language == "es")
    assert comparison.describe() in " ".join(text.split())
    assert "mean of 1 seen" in text and "mean of 2 unseen" in text
    record = json.loads(
        _ended_well(
            run("evaluate", "--model", mistral_folder, "--adapter", adapter, "--lang", "de", "--items", "4",
                "--shots", "0", "--json", "--out", "two")
        )
    )[0]  # fmt: skip
    assert record["sentence"].startswith("sentiment: ") and len(record["changes"]) == 1


_RECIPE = {
    "name": "own",
    "data": {"sources": ["fr"], "target": "en"},
    "lora": {"rank": 4, "alpha": 8.0, "target_modules": ["q_proj"]},
    "schedule": {"learning_rate": 1e-4, "batch": 8, "seed": 0},
}


def test_an_adapter_with_a_record_says_what_it_has_seen(run, mistral_folder, adapter, tmp_path):
    made = Provenance(
        model="tiny", task="sentiment", languages=("fr", "en"), adapter="lora", settings={"recipe": _RECIPE}
    )
    columns = {"step": [1], "epoch": [0.1], "split": ["train"], "loss": [1.0], "learning_rate": [1e-4]}
    TrainingResult(table=pd.DataFrame(columns), provenance=made).save(tmp_path / "lora")
    for name, extra, seen in (("own", [], ("fr", "en")), ("said", ["--seen", "de"], ("de",))):
        _ended_well(
            run("evaluate", "--model", mistral_folder, "--adapter", adapter, "--lang", "de,fr", "--items", "2",
                "--shots", "0", "--states", "base", "--out", name, *extra)
        )  # fmt: skip
        assert EvaluationResult.load(f"{name}/sentiment").seen_languages == seen


def test_one_state_alone(run, mistral_folder, adapter):
    text = _ended_well(
        run("evaluate", "--model", mistral_folder, "--adapter", adapter, "--states", "tuned", "--lang", "de",
            "--items", "4", "--shots", "0", "--out", "out")
    )  # fmt: skip
    assert EvaluationResult.load("out/sentiment").states == ("tuned",)
    assert "macro-F1" in text and "McNemar" not in text


@pytest.mark.parametrize("score", ["sequence", "sequence-per-byte"])
def test_options_reach_the_library(run, score):
    _ended_well(
        run("evaluate", "--task", "paraphrase", "--lang", "de", "--items", "4", "--shots", "1", "--seed", "3",
            "--answers", "agnostic", "--score", score, "--no-share-prefix", "--out", "o")
    )  # fmt: skip
    made = EvaluationResult.load("o/paraphrase").provenance
    own = made.settings["tasks"]["paraphrase"]
    assert (made.seed, made.settings["score"]) == (3, score)
    assert (own["answers"], own["shots"], own["items"]) == ("agnostic", 1, 4)


def test_data_of_ones_own_as_published(run, tmp_path, qwen_folder):
    folder = tmp_path / "data"
    folder.mkdir()
    for code, words in (("en", ("positive", "negative")), ("de", ("positiv", "negativ"))):
        records = [{"input": f"{code} text {n}", "answer": words[n % 2]} for n in range(12)]
        (folder / f"emotion_{code}12_test.json").write_text(json.dumps(records), encoding="utf-8")
    text = _ended_well(
        run("evaluate", "--model", qwen_folder, "--data", folder, "--items", "5", "--shots", "1", "--protocol",
            "as-published", "--answers", "en", "--out", "o")
    )  # fmt: skip
    assert "protocol as-published" in text
    result = EvaluationResult.load("o/sentiment")
    assert result.languages == ("en", "de")  # all that the files have
    assert result.provenance.protocol == "as-published"
    assert result.provenance.settings["tasks"]["sentiment"]["data"] == str(folder)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "translation"], "the translation task has no labels to choose between"),
        (["--task", "sentimet"], "unknown task 'sentimet'; did you mean 'sentiment'?"),
        (["--task", ","], "no task named"),
        (["--lang", "eo"], "no data in 'eo'"),
        (["--items", "0"], "--items must be at least 1, not 0"),
        (["--states", "tuned"], "there is no tuned state without an adapter; give --adapter FOLDER"),
        (["--states", "after"], "unknown state 'after'"),
        (["--score", "words", "--items", "1"], "unknown score 'words'"),
        (["--answers", "english"], "answers must be one of same, en, agnostic, not 'english'"),
        (["--protocol", "mine"], "protocol must be corrected or as-published, not 'mine'"),
        (["--data", "nowhere"], "the data folder nowhere does not exist"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(run, tmp_path, arguments, said):
    outcome = run("evaluate", *arguments)
    assert outcome.code == 2 and outcome.out == ""
    assert said in outcome.err and outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_the_languages_that_are_done(run, monkeypatch, tmp_path):
    from latentlang.evaluation.scoring import FirstTokens

    own, asked = FirstTokens.run, []

    def stopped(self, model, prompts, **options):
        asked.append(prompts[0].language)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return own(self, model, prompts, **options)

    monkeypatch.setattr(FirstTokens, "run", stopped)
    outcome = run("evaluate", "--task", "sentiment,nli", "--lang", "de,fr", "--items", "3", "--out", "out")
    assert outcome.code == 130
    assert outcome.err == (
        "latentlang: interrupted; kept sentiment in 2 languages, nli in 1 language in out: run the same command again "
        "to go on\n"
    )
    assert EvaluationResult.load("out/sentiment").languages == ("de", "fr")
    assert EvaluationResult.load("out/nli").languages == ("de",)
    asked.clear()
    monkeypatch.setattr(FirstTokens, "run", lambda *a, **k: asked.append(a[2][0].language) or own(*a, **k))
    again = run("evaluate", "--task", "sentiment,nli", "--lang", "de,fr", "--items", "3", "--out", "out")
    assert again.code == 0 and asked == ["fr"] and not (tmp_path / "out" / ".unfinished").exists()
    whole = run("evaluate", "--task", "sentiment,nli", "--lang", "de,fr", "--items", "3", "--out", "whole")
    assert whole.code == 0
    for name in ("sentiment", "nli"):
        one, other = (EvaluationResult.load(f"{folder}/{name}") for folder in ("out", "whole"))
        assert one.table.equals(other.table) and one.languages == ("de", "fr")
    monkeypatch.setattr(FirstTokens, "run", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    outcome = run("evaluate", "--lang", "de", "--items", "3", "--out", "other")
    assert outcome.code == 130 and outcome.err == "latentlang: interrupted; nothing was written\n"
    assert not (tmp_path / "other").exists()


def test_labels_of_ones_own_files_are_named_in_the_command(run, tmp_path, qwen_folder):
    folder = tmp_path / "data"
    folder.mkdir()
    records = [{"input": f"text {n}", "answer": n % 2} for n in range(8)]
    (folder / "emotion_en8_test.json").write_text(json.dumps(records), encoding="utf-8")
    common = ("evaluate", "--model", qwen_folder, "--data", folder, "--shots", "0", "--out", "o")
    refused = run(*common)
    assert refused.code == 2 and "--accept positive=0" in refused.err
    _ended_well(run(*common, "--accept", "positive=1", "--accept", "negative=0"))
    for wrong, said in (("positive", "a label and what the files call it"), ("good=1", "'good' is no label")):
        refused = run(*common, "--accept", wrong)
        assert refused.code == 2 and said in refused.err
    refused = run("evaluate", "--accept", "positive=1")
    assert refused.code == 2 and "give their folder with --data" in refused.err
