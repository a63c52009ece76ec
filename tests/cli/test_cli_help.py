"""Examples at the end of every help, each of which parses; and what a shell completes."""

import itertools
import os
import re
import shlex
from unittest.mock import patch

import pytest
import typer

from latentlang.answers.policy import POLICIES
from latentlang.cli import app, main
from latentlang.cli.completion import _WORDS, completed
from latentlang.cli.examples import DOWNLOAD, EXAMPLES, shown
from latentlang.cli.help_names import broken
from latentlang.evaluation.scoring import SCORES
from latentlang.figures.library import HTML
from latentlang.geometry.direction_fit import METHODS
from latentlang.geometry.erasers import METHODS as ERASERS
from latentlang.geometry.measure_registry import measure_names
from latentlang.geometry.resampling import NULLS
from latentlang.instructions.pipeline_kinds import _KINDS
from latentlang.judging import judge_template_languages
from latentlang.language_names import languages
from latentlang.lens.answer_languages import CANDIDATE_POLICIES
from latentlang.models.batch import POOLS, SITES
from latentlang.models.registry import REGISTRY
from latentlang.questions import QUESTION_TASKS
from latentlang.sizing.costs import _CPU, _GPUS
from latentlang.tasks import TASKS
from latentlang.tasks import task as make_task
from latentlang.tasks.texts import LONG_TEXTS
from latentlang.translation.metrics import METRICS
from latentlang.units.features_result import RULES as FEATURE_RULES
from latentlang.units.neurons_result import RULES as NEURON_RULES
from latentlang.units.neurons_run import TOKENS
from tests.support.command_line import process

GROUP = typer.main.get_command(app)
TYPED = [typed for examples in EXAMPLES.values() for typed, _ in examples]


def _commands(group=GROUP, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_has_examples():
    assert set(dict(_commands())) == set(EXAMPLES)


@pytest.mark.parametrize("typed", TYPED)
def test_an_example_parses_and_names_what_exists(typed):
    command, words = GROUP, shlex.split(typed)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    values = command.make_context("latentlang", words).params
    for option in ("lang", "candidates", "pivot", "source"):
        if values.get(option) and list(values[option]) != ["all"]:
            languages(values[option])
    if (model := values.get("model")) is not None:
        assert model in REGISTRY or model.startswith("path/to/")
    if (task := values.get("task")) is not None:
        assert set(task.split(",")) <= {*TASKS, *QUESTION_TASKS}
        if not any(values.get(option) for option in ("data", "text", "prompt", "harness")):
            for name in task.split(","):
                wanted = {entry.code for entry in languages(values.get("lang") or "en")}
                assert wanted <= set(make_task(name).languages)


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_help_ends_with_them(command, capsys):
    with patch.dict(os.environ, COLUMNS="200"):
        assert main([*command.split(), "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for typed, about in shown(command):
        assert f"# {about} latentlang {typed} " in text.replace(" \\ ", " ") + " "


@pytest.mark.parametrize("command", EXAMPLES)
def test_a_text_that_is_not_in_the_package_is_downloaded_in_the_example_before(command):
    examples = shown(command)
    reading = [place for place, (typed, _) in enumerate(examples) if re.search(r"\budhr\b", typed)]
    if reading and command != "data get":
        assert examples[reading[0]] == DOWNLOAD
    assert [one for one in examples if one != DOWNLOAD] == [*EXAMPLES[command]] or command == "data get"


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_can_be_copied_from_a_narrow_terminal(command, capsys):
    with patch.dict(os.environ, COLUMNS="80"):
        assert main([*command.split(), "--help"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.rpartition("╯")[2].splitlines()]
    text = "\n".join(lines).replace("\\\n", "")
    copied = [shlex.split(line) for line in text.splitlines() if line.startswith("latentlang ")]
    assert copied == [["latentlang", *shlex.split(typed)] for typed, _ in shown(command)]


def test_the_commands_stand_under_headings(capsys):
    with patch.dict(os.environ, COLUMNS="80"):
        assert main(["--help"]) == 0
    headings = re.findall(r"╭─ (.*?) ─+╮", capsys.readouterr().out)
    assert len(headings) > 5 and headings[0] == "Options" and "Commands" not in headings


@pytest.mark.parametrize("command", EXAMPLES)
def test_no_name_of_an_option_is_cut_in_a_narrow_terminal(command, capsys):
    with patch.dict(os.environ, COLUMNS="80"):
        assert main([*command.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert "…" not in told
    for param in dict(_commands())[command].params:
        if not getattr(param, "hidden", False):
            for name in (*param.opts, *param.secondary_opts):
                if name.startswith("--"):
                    first, _, second = broken(name).partition("\n")
                    below = rf"[^\n]*\n.*\s{second}\s" if second else r"[\s,]"
                    assert re.search(rf"[\s,]{first}{below}", told), name


def test_a_long_name_is_broken_after_the_hyphen_in_its_middle_and_whole_in_a_wide_terminal(capsys):
    assert broken("--no-gradient-checkpointing") == "--no-gradient-\ncheckpointing"
    assert broken("--lang") == "--lang" and broken(f"--{'x' * 30}") == f"--{'x' * 30}"
    with patch.dict(os.environ, COLUMNS="120"):
        assert main(["train", "--help"]) == 0
    assert " --no-gradient-checkpointing " in capsys.readouterr().out


@pytest.mark.parametrize("command", EXAMPLES)
def test_no_line_of_the_description_ends_before_the_terminal_does(command, capsys):
    with patch.dict(os.environ, COLUMNS="80"):
        assert main([*command.split(), "--help"]) == 0
    described = capsys.readouterr().out.partition("╭")[0].partition("Usage:")[2].splitlines()[1:]
    for line, following in itertools.pairwise(text.strip() for text in described):
        if line and following:
            assert len(line) + 1 + len(following.split()[0]) > 76, line


@pytest.mark.parametrize(
    "typed",
    [
        "lens",
        "tokens",
        "lenses",
        "lenses --lang ja",
        "train",
        "compare",
        "compare --adapter x",
        "harvest",
        "harvest --lang ja",
        "steer",
        "pivot",
        "barrier",
        "trace",
        "mass",
        "features",
        "neurons --lang ja",
        "tune",
    ],
)
def test_an_option_that_cannot_be_left_out_is_marked_in_the_help(typed, capsys):
    assert main(typed.split()) == 2
    error = capsys.readouterr().err
    (name, *_) = re.findall(r"--[a-z]+", error)
    (option,) = [one for one in GROUP.commands[typed.split()[0]].params if name in one.opts]
    assert option.required or "needed but with" in option.help.lower(), error


def _complete(line):
    words = line.split(" ")
    ran = process(
        "-m", "latentlang",
        COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), _LATENTLANG_COMPLETE="complete_bash",
    )  # fmt: skip
    return ran.out.split()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("latentlang lens --lang ja,h", "ja,hi"),
        ("latentlang lens --candidates pap", "paper20"),
        ("latentlang align store --lang s", "sw"),
        ("latentlang evaluate --model poc", "pocket-control"),
        ("latentlang harvest --task senti", "sentiment"),
        ("latentlang train --recipe zh+e", "zh+es-en"),
        ("latentlang recipes zh+e", "zh+es-en"),
        ("latentlang reproduce spon", "spontaneous"),
        ("latentlang reproduce --only table1", "table13"),
        ("latentlang reproduce spontaneous --only fi", "fig4"),
        ("latentlang len", "lens"),
        ("latentlang harvest --pools mean,qu", "mean,question"),
        ("latentlang data get ud", "udhr"),
    ],
)
def test_a_shell_completes_names(line, word):
    shown = _complete(line)
    last = line.rpartition(" ")[2]
    assert word in shown and all(name.startswith(last) for name in shown)


def test_completion_goes_on_behind_a_comma():
    names = [("ja", "Japanese"), ("jv", "Javanese"), ("hi", "Hindi")]
    assert list(completed(lambda: names, "hi,j")) == [("hi,ja", "Japanese"), ("hi,jv", "Javanese")]


def test_an_option_completes_the_words_that_its_help_names():
    offered = {}
    for name, command in _commands():
        for param in command.params:
            words = _WORDS.get(param.name, "").split()
            found = [item.value for item in param.shell_complete(None, "") if item.value] if words else []
            assert set(found) == {
                word for word in words if word in re.findall(r"[\w+-]+", param.help or "")
            }, name
            offered.setdefault(param.name, set()).update(found)
    assert all(offered[name] == set(words.split()) for name, words in _WORDS.items())
    (task,) = [one for one in GROUP.commands["pivot"].params if one.name == "task"]
    assert [one.value for one in task.shell_complete(None, "")] == ["translation", "repetition", "cloze"]


def test_the_words_are_what_the_library_takes():
    takes = {
        "policy": [*POLICIES, *CANDIDATE_POLICIES], "pools": POOLS, "sites": SITES, "html": HTML,
        "score": SCORES, "null": NULLS, "method": [*METHODS, *ERASERS], "erase": ERASERS, "long_texts": LONG_TEXTS,
        "metrics": METRICS, "on": [*_GPUS, _CPU], "rule": [*NEURON_RULES, *FEATURE_RULES], "tokens": TOKENS,
        "measures": ["all", *measure_names()],
    }  # fmt: skip
    assert {name: set(_WORDS[name].split()) for name in takes} == {
        name: set(words) for name, words in takes.items()
    }


def test_help_and_version_may_be_written_as_commands(capsys):
    assert main(["version"]) == 0 and capsys.readouterr().out.startswith("latentlang ")
    assert main(["help", "data", "get"]) == 0 and "latentlang data get" in capsys.readouterr().out
    assert main(["help"]) == 0 and "COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("command", EXAMPLES)
def test_what_an_example_shows_stands_in_one_line(command):
    assert all(len(f" # {about}") <= 80 for _, about in shown(command))


def test_completing_loads_nothing_heavy():
    code = (
        "import sys\nfrom latentlang.cli import completion\n"
        "for names in set(completion._NAMES.values()): assert list(completion.completed(names, ''))\n"
        "assert not {'torch', 'transformers', 'pandas', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    ran = process("-c", code)
    assert ran.code == 0, ran.err


def test_every_command_that_runs_a_model_takes_batch_tokens():
    runs = {
        "barrier", "lens", "tune", "compare", "reproduce", "evaluate", "harvest", "bits", "patch", "pivot", "steer",
        "trace", "neurons", "mass",
        "jacobian", "lenses", "answer", "ask", "humaneval",
        "train-sae", "features",
        "translate",
    }  # fmt: skip
    taking = {name for name, command in _commands() if any(p.name == "batch_tokens" for p in command.params)}
    assert taking == runs


def test_help_names_every_language_of_judges_templates_and_every_step_of_a_pipeline():
    commands = dict(_commands())
    (option,) = (one for one in commands["judge"].params if one.name == "template_language")
    named = re.findall(r"\b[a-z]{2}\b", option.help.partition(":")[2])
    assert [code for code in named if code != "or"] == judge_template_languages()
    steps = commands["instructions build pipeline"].help.partition("steps:")[2].partition(".")[0]
    assert sorted(step.strip() for step in steps.split(",")) == sorted(_KINDS)
