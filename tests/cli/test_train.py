"""`train` and `recipes`: what is written and said, what stops it, and the chart in the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

import latentlang as ll
from latentlang.cli.loss_display import LossDisplay, loss_chart
from latentlang.training import (
    TrainingProgress,
    TrainingResult,
    is_identity,
    read_pairs,
    recipe,
    recipe_names,
)
from tests.support.command_line import process

QUICK = ("--per-pair", 12, "--steps", 2, "--batch", 4, "--set", "validation=0.25", "--set", "evaluations=1")
WRITTEN = (
    "adapter_model.safetensors",
    "result.parquet",
    "metadata.json",
    "recipe.yaml",
    "data.parquet",
    "README.md",
    "loss.html",
)


def _ended_well(outcome) -> str:
    assert (outcome.code, outcome.err) == (0, ""), outcome.err
    assert "\x1b" not in outcome.out
    return outcome.out


def test_the_embedded_model_is_trained_and_can_be_loaded(run, tmp_path: Path) -> None:
    text = _ended_well(run("train", "--model", "pocket", "--recipe", "zh+es-en", "--out", "out", *QUICK))
    for name in WRITTEN:
        assert f"wrote out/{name}" in text and (tmp_path / "out" / name).exists()
    result = TrainingResult.load(tmp_path / "out")
    assert f"{result.base_loss:.3f} before training, {result.best_loss:.3f} at step 2 of 2" in text
    assert "pocket: zh+es-en, sentiment questions: 18 translations to learn from, 6 held out" in text
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert ll.load("pocket", adapter=tmp_path / "out").adapter == str(tmp_path / "out")
    assert "Question translation" in (tmp_path / "out" / "loss.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["mistral_folder", "qwen_folder"])
def test_a_model_in_a_folder_is_trained(run, request, folder: str, tmp_path: Path) -> None:
    model = request.getfixturevalue(folder)
    _ended_well(run("train", "--model", model, "--recipe", "de-en", "--out", "out", *QUICK))
    assert ll.load(model, adapter=tmp_path / "out").adapter


def test_instructions_are_trained_on_by_a_recipe_of_their_kind(run, tmp_path: Path) -> None:
    rows = [f"n{n},{code},say {n},{n}" for code in ("de", "en") for n in range(12)]
    (tmp_path / "mine.csv").write_text("\n".join(["id,language,instruction,output", *rows]), encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(
        "data: {kind: instructions, languages: [de, en]}\nlora: {target_modules: all-linear}\n",
        encoding="utf-8",
    )
    options = ("train", "--recipe", "mine.yaml", "--data", "mine.csv")
    quick = ("--set", "per_language=8", *QUICK[2:])
    text = _ended_well(run(*options, "--out", "out", *quick))
    assert "pocket: mine, template plain: 12 instructions to learn from, 4 held out" in text
    assert "Instructions in German and English" in (tmp_path / "out" / "loss.html").read_text(
        encoding="utf-8"
    )
    result = TrainingResult.load(tmp_path / "out")
    assert result.provenance.languages == ("de", "en") and result.recipe["data"]["kind"] == "instructions"
    assert ll.load("pocket", adapter=tmp_path / "out").adapter
    # The same command again finds it finished.
    before = (tmp_path / "out" / "metadata.json").read_bytes()
    _ended_well(run(*options, "--out", "out", *quick))
    assert (tmp_path / "out" / "metadata.json").read_bytes() == before
    for more, message in (
        (("--export", "sets"), "training data of kind 'instructions' cannot be exported"),
        (("--out", "o", "--per-pair", 3), "unknown recipe field 'per_pair'"),
    ):
        outcome = run(*options, *more)
        assert outcome.code == 2 and message in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "sets").exists() and not (tmp_path / "o").exists()


def test_options_change_the_recipe(run, tmp_path: Path) -> None:
    _ended_well(
        run("train", "--recipe", "de-en", "--out", "out", *QUICK, "--learning-rate", "0.01", "--seed", 3,
            "--wrong-pairs", "--set", "target_modules=[q_proj, o_proj]", "--set", "rank=2", "--set", "alpha=5e0")
    )  # fmt: skip
    found = recipe(tmp_path / "out" / "recipe.yaml")
    assert (found.schedule.learning_rate, found.schedule.seed, found.data.wrong_pairs) == (0.01, 3, True)
    assert (found.lora.target_modules, found.lora.rank, found.lora.alpha) == (("q_proj", "o_proj"), 2, 5)
    # The same run is asked for by its own recipe: it is finished.
    before = (tmp_path / "out" / "metadata.json").read_bytes()
    _ended_well(run("train", "--recipe", tmp_path / "out" / "recipe.yaml", "--out", "out"))
    assert (tmp_path / "out" / "metadata.json").read_bytes() == before


def test_identity_leaves_a_record(run, tmp_path: Path) -> None:
    text = _ended_well(run("train", "--recipe", "identity", "--out", "out"))
    assert "pocket: identity trains nothing" in text and "adapter_model" not in text
    assert is_identity(tmp_path / "out")


def test_translations_are_exported_without_a_model(run, tmp_path: Path) -> None:
    text = _ended_well(
        run("train", "--recipe", "sw-en", "--task", "nli", "--export", "sets", "--per-pair", 50)
    )
    index = json.loads((tmp_path / "sets" / "dataset_info.json").read_text())
    assert set(index) == {"snli_sw_question", "snli_sw_question_validation"}
    assert "wrote sets/dataset_info.json" in text
    assert len(read_pairs(tmp_path / "sets")) == 50
    # And what was exported is trained on.
    _ended_well(run("train", "--recipe", "sw-en", "--data", "sets", "--out", "out", *QUICK))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say where the adapter goes: --out DIR"),
        (["--out", "o", "--recipe", "zh+es"], "unknown recipe 'zh+es'"),
        (["--out", "o", "--model", "pockt"], "did you mean 'pocket'"),
        (["--out", "o", "--set", "rank"], "--set takes a field and a value"),
        (["--out", "o", "--set", "rnk=2"], "unknown recipe field 'rnk'; did you mean 'rank'"),
        (["--out", "o", "--set", "rank=[1"], "--set 'rank' is not YAML"),
        (["--out", "o", "--batch", "0"], "schedule.batch"),
        (
            ["--out", "o", "--set", "rank=1000000000"],
            "lora.rank: input should be less than or equal to 65536",
        ),
        (
            ["--out", "o", "--set", "rank=161", "--per-pair", "8"],
            "rank 161 is above the width of 'pocket'",
        ),
        (["--out", "o", "--set", "rank=!!int x"], "--set 'rank' is not YAML: the tag"),
        (["--out", "o", "--set", "seed=2024-13-45"], "schedule.seed: input should be a valid integer"),
        (["--out", "o", "--set", f"rank={'[' * 5000}"], "it is nested too deeply"),
        (["--out", "o", "--learning-rate", "inf"], "schedule.learning_rate"),
        (["--out", "o", "--epochs", "1e300"], "schedule.epochs"),
        (["--out", "o", "--dtype", "fp8"], "unknown dtype 'fp8'"),
        (["--out", "o", "--quantization", "3bit"], "unknown quantization '3bit'"),
        (["--out", "o", "--data", "none.json"], "there is no file 'none.json'"),
        (["--out", "o", "--recipe", "eo-en"], "no questions in 'eo'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    outcome = run("train", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_precision_that_this_machine_has_not_is_refused_and_leaves_nothing(run, tmp_path: Path) -> None:
    outcome = run("train", "--out", "o", "--dtype", "fp16", *QUICK)
    assert outcome.code == 2 and "training in fp16 needs a GPU" in outcome.err
    assert not (tmp_path / "o").exists()


def test_an_interrupted_command_says_what_it_kept(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: LossDisplay, found: TrainingProgress) -> None:
        if found.step == 2:
            raise KeyboardInterrupt

    options = ("train", "--recipe", "de-en", "--out", "out", *QUICK, "--steps", 4, "--set", "evaluations=4")
    with monkeypatch.context() as patch:
        patch.setattr(LossDisplay, "__call__", stop)
        outcome = run(*options)
    assert outcome.code == 130
    assert outcome.err == (
        "latentlang: interrupted; the checkpoint of step 1 is kept in out: the same command goes on from it\n"
    )
    assert "at step" in _ended_well(run(*options))
    assert TrainingResult.load(tmp_path / "out").provenance.settings["resumed_from"] == 1


def test_an_interrupt_before_the_first_checkpoint_and_after_the_last_step_is_told_as_it_was(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    options = ("train", "--recipe", "de-en", "--out", "out", *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(LossDisplay, "__call__", stop)
        outcome = run(*options)
    assert (outcome.code, outcome.err) == (
        130, "latentlang: interrupted before the first checkpoint; the same command begins again\n"
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("latentlang.figures.page.write_html", stop)
        outcome = run(*options)
    assert (outcome.code, outcome.err) == (
        130, "latentlang: interrupted; the training was finished, and its adapter and record are in out\n"
    )  # fmt: skip
    assert TrainingResult.load(tmp_path / "out").best_step


@pytest.mark.parametrize("resume", [(), ("--no-resume",)])
def test_foreign_files_and_an_empty_name_are_one_line(run, tmp_path: Path, resume: tuple[str, ...]) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine").write_text("mine")
    for out, message in (
        ("", "the name of the folder is empty"),
        (".", "'checkpoints', which was not made by this command"),
    ):
        outcome = run("train", "--recipe", "de-en", "--out", out, *QUICK, *resume)
        assert outcome.code == 2 and message in outcome.err.splitlines()[-1]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "checkpoints" / "mine"]


def test_reading_a_recipe_imports_nothing_heavy() -> None:
    code = (
        "import sys; from latentlang.cli import main\n"
        "assert main(['recipes', 'fr+ja-en']) == 0 and main(['train', '--help']) == 0\n"
        "assert main(['train', '--out', 'o', '--recipe', 'zh+es']) == 2\n"
        "import latentlang.training\n"
        "heavy = ('torch', 'transformers', 'trl', 'peft', 'pandas', 'datasets')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = process("-c", code)
    assert ran.code == 0 and ran.out.rstrip().endswith("[]")


# Seeds


def test_seeds_are_runs_of_their_own_with_one_table(run, tmp_path: Path) -> None:
    options = ("train", "--model", "pocket", "--recipe", "zh+es-en", "--out", "runs", *QUICK)
    text = _ended_well(run(*options, "--seeds", 2, "--seed", 3))
    results = [TrainingResult.load(tmp_path / "runs" / f"seed-{seed}") for seed in (3, 4)]
    assert [result.provenance.seed for result in results] == [3, 4]
    table = text[text.index("  seed") :].splitlines()
    for line, result in zip(table[1:3], results, strict=True):
        before, kept = f"{result.base_loss:.3f}", f"{result.best_loss:.3f}"
        assert line.split() == [str(result.provenance.seed), before, kept, "2"]
    mean = (results[0].best_loss + results[1].best_loss) / 2
    spread = abs(results[0].best_loss - results[1].best_loss) / 2**0.5
    assert table[3].startswith(f"kept: mean {mean:.3f}, standard deviation {spread:.3f} over 2 seeds")
    # a seed more goes on from those that are there, and a single run of a seed is the same
    weights = tmp_path / "runs" / "seed-3" / "adapter_model.safetensors"
    before_again = weights.stat().st_mtime_ns
    listed = json.loads(_ended_well(run(*options, "--seeds", 2, "--seed", 3, "--json")))
    assert len(listed) == 2 and weights.stat().st_mtime_ns == before_again
    _ended_well(
        run("train", "--model", "pocket", "--recipe", "zh+es-en", "--out", "one", *QUICK, "--seed", 3)
    )
    assert (tmp_path / "one" / "adapter_model.safetensors").read_bytes() == weights.read_bytes()


def test_seeds_that_make_no_sense_are_refused(run) -> None:
    outcome = run("train", "--model", "pocket", "--out", "runs", "--seeds", 0)
    assert outcome.code == 2 and "seeds must be at least 1, not 0" in outcome.err
    assert run("train", "--export", "runs", "--seeds", 2).code == 2


# Recipes


def test_recipes_are_listed_and_printed(run, tmp_path: Path) -> None:
    text = _ended_well(run("recipes"))
    for name in ("zh+es-en", "sw+hi-zh", "identity"):
        assert any(line.startswith(f"{name} ") for line in text.splitlines())
    listed = json.loads(_ended_well(run("recipes", "--json")))
    assert len(listed) == len(recipe_names()) and listed[0]["schedule"]["learning_rate"] == 5e-5
    (tmp_path / "mine.yaml").write_text(_ended_well(run("recipes", "fr+ja-en")))
    assert recipe(tmp_path / "mine.yaml") == recipe("fr+ja-en")
    assert run("recipes", "zh+es").code == 2


def test_recipes_fit_into_a_terminal_of_80_columns_under_their_papers(run, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = _ended_well(run("recipes")).splitlines()
    assert max(map(len, lines)) <= 80
    first = next(number for number, line in enumerate(lines) if line.startswith("bactrianx-multi "))
    assert "Bactrian-X (Li et al. 2023)" in lines[:first]


# The chart


def test_the_chart_shows_where_the_losses_are() -> None:
    chart = loss_chart([(step, 4.0 - step / 10) for step in range(1, 31)], [(0, 4.0), (30, 1.0)],
                       steps=30, width=49, rows=6).plain.splitlines()  # fmt: skip
    assert len(chart) == 6 and all(len(line) <= 49 for line in chart)
    assert chart[0].startswith("  4.000 ┤◆") and chart[-1].rstrip().endswith("◆")
    assert chart[-1].startswith("  1.000 ┤")
    # A line from the upper left to the lower right.
    dots = [[x for x, cell in enumerate(line) if "\u2801" <= cell <= "\u28ff"] for line in chart]
    middles = [sum(own) / len(own) for own in dots if own]
    assert middles == sorted(middles) and len(middles) >= 4


@pytest.mark.parametrize("losses", [[], [(1, 2.0)], [(1, float("nan"))], [(1, 2.0), (2, 2.0)]])
def test_a_chart_of_little_is_no_trouble(losses: list[tuple[int, float]]) -> None:
    chart = loss_chart(losses, [], steps=2, width=5)
    assert "nan" not in chart.plain


def test_a_terminal_gets_a_chart_and_a_pipe_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for terminal in (True, False):
        console = Console(force_terminal=terminal, width=80, height=30)
        with LossDisplay("training zh-en", console=console) as display:
            display(TrainingProgress(0, 10, None, 3.5, evaluated=True))
            display(TrainingProgress(1, 10, 3.25, 3.5))
            display(TrainingProgress(10, 10, 1.5, 1.75, evaluated=True))
        shown = capsys.readouterr().out
        if terminal:
            for part in (
                "training zh-en",
                "10/10",
                "validation 1.750",
                "before training 3.500",
                "◆",
                "3.500 ┤",
            ):
                assert part in shown
        else:
            assert shown == ""
