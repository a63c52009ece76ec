"""Errors name options at a shell, where the library names arguments of its functions."""

from __future__ import annotations

import pytest
import typer

from latentlang.cli import app
from latentlang.cli.shell_words import at_shell
from tests.support.parallel import lines_folder
from tests.support.planted_neurons import texts

COMMAND = typer.main.get_command(app)


@pytest.mark.parametrize(
    ("command", "message", "said"),
    [
        ("features", "give other texts, or say held_out=False", "give other texts, or say --no-held-out"),
        ("features", "train on fewer (train_sae(..., items=))", "train on fewer (`latentlang train-sae --items`)"),
        ("features", "has no null (deals=0); count again with deals=200",
         "has no null (--deals 0); count again with --deals 200"),
        ("patch", "more words (data='words.csv')", "more words (--data words.csv)"),
        ("patch", "at='object' cannot be used; take at='last'", "--at object cannot be used; take --at last"),
        ("trace", "two or more: languages='en,ja'", "two or more: --lang en,ja"),
        ("harvest", "load it with AutoTokenizer, or use pool='mean_no_bos'",
         "load it with AutoTokenizer, or use --pools mean_no_bos"),
        ("judge", "name one such as judges='openai:MODEL@URL'", "name one such as --judge openai:MODEL@URL"),
        ("train", "load it with dtype='fp32'.", "load it with --dtype fp32."),
        ("steer", "or parallel text: task('translation', data=...)", "or parallel text: --task translation --data ..."),
        ("compare", "load it with one: load(name, adapter=...)", "load it with one: --adapter ..."),
        ("instructions build parallel", "say languages= or nothing", "say --lang or nothing"),
        # what names the option already, what the command has none for, what the user gave
        ("score", "give sources= (--sources FILE)", "give --sources FILE"),
        ("evaluate", "make it with data=, at a shell --data", "make it with --data"),
        ("evaluate", "say score='sequence' (at a shell --score sequence), or wait", "say --score sequence, or wait"),
        ("train", "an adapter: method='lora' (--set method=lora), with", "an adapter: --set method=lora, with"),
        ("instructions mix", "with items=3 (--items 3)", "with --items 3"),
        ("lens", "from CSV files: --data words.csv (task(..., data='words.csv') in Python)",
         "from CSV files: --data words.csv"),
        ("lens", "--data words.csv (task('cloze', data='words.csv') in Python), columns lang",
         "--data words.csv, columns lang"),
        ("lens", "to the files that --data (data= in Python) names", "to the files that --data names"),
        ("lens", "leave --chat (chat=True in Python) out", "leave --chat out"),
        ("reproduce", "--model pocket, or model='pocket' in Python, runs all", "--model pocket runs all"),
        ("lens", "your own in Python: task('xcopa', words={})", "your own in Python: task('xcopa', words={})"),
        ("lens", "give it as scale=: the root of the width", "give it as scale=: the root of the width"),
        ("train", "--set takes a field and a value, e.g. --set rank=4, not 'steps=x'",
         "--set takes a field and a value, e.g. --set rank=4, not 'steps=x'"),
        ("features", "select with fdr=None", "select with fdr=None"),
        ("lens", "a file 'items=3.csv' is not there", "a file 'items=3.csv' is not there"),
        ("", "say items=3", "say items=3"),
        ("nonsense", "say items=3", "say items=3"),
    ],
)  # fmt: skip
def test_arguments_of_functions_become_options_of_the_command(command, message, said):
    assert at_shell(message, COMMAND, [*command.split(), "--whatever"]) == said


def test_what_an_sae_was_trained_on_is_told_with_the_options_that_help(run, tmp_path):
    given = texts(4)
    lines_folder(tmp_path / "text", {code: given[code] for code in ("en", "ja")})
    training = ("--layer", 4, "--features", 20, "--k", 2, "--steps", 2, "--out", "sae")
    assert run("train-sae", "--text", "text", *training).code == 0
    outcome = run("features", "--sae", "sae", "--text", "text")
    assert outcome.code == 2
    assert "`latentlang train-sae --items`" in outcome.err and "or say --no-held-out" in outcome.err
    small = ("--no-held-out", "--no-splice", "--groups", 2, "--deals", 2)
    assert run("features", "--sae", "sae", "--text", "text", *small, "--out", "out").code == 0
